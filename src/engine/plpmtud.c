/*
 * Packetization Layer Path MTU Discovery: HEARTBEATs as long as a packet may be, to see whether
 * such packets arrive. It needs no ICMP.
 *
 * RFC 8899, section 5 (the search), section 6.2 (SCTP: HEARTBEAT and PAD); RFC 4820 (PAD). The MTU
 * of the route is believed at first, and asked for; if three HEARTBEATs of that size are lost, a
 * small packet is what remains, and the search goes on between the two.
 */
#include "engine/private.h"

#define BASE_PLPMTU 1280 /* of an IP packet: what any path should take */
#define MAX_PROBES 3     /* 5.1.2 */
#define GRANULARITY 8    /* bytes that are not worth a probe */
#define ROUNDS_TO_RAISE 30

struct probe_info {
    uint64_t nonce;
    struct braid_address address;
    uint8_t unlike[24]; /* the Heartbeat Info of others: it is longer */
};

static void wait_for_round(struct sctp_path *path)
{
    struct plpmtud *plpmtud = &path->plpmtud;

    plpmtud->probed = 0;
    timer_start(&path->association->engine->wheel, &plpmtud->timer,
                path->association->engine->now + milliseconds(plpmtud->interval));
}

static void probe(struct sctp_path *path, uint32_t size)
{
    path->plpmtud.probed = size;
    path->plpmtud.lost = 0;
    path->plpmtud.wanted = true;
    association_set_ready(path->association);
}

/* The next size to be tried, between what is known to pass and what does not. */
static void search(struct sctp_path *path)
{
    struct plpmtud *plpmtud = &path->plpmtud;
    uint32_t low = path->mtu, high = plpmtud->limit;

    if (high < low + GRANULARITY)
        wait_for_round(path);
    else if (high == path->route_mtu)
        probe(path, high);
    else
        probe(path, (low + high) / 2 & ~3u);
}

void plpmtud_start(struct sctp_path *path)
{
    struct plpmtud *plpmtud = &path->plpmtud;

    plpmtud_stop(path);
    if (plpmtud->interval == 0 || path->mtu_fixed || path->state == BRAID_PATH_UNCONFIRMED ||
        !association_may_send_data(path->association))
        return;
    plpmtud->limit = path->route_mtu;
    plpmtud->rounds = 0;
    probe(path, path->mtu);
}

void plpmtud_stop(struct sctp_path *path)
{
    timer_stop(&path->association->engine->wheel, &path->plpmtud.timer);
    path->plpmtud.wanted = path->plpmtud.outstanding = false;
}

void plpmtud_timeout(struct sctp_path *path)
{
    struct plpmtud *plpmtud = &path->plpmtud;
    uint32_t probed = plpmtud->probed;

    if (!plpmtud->outstanding) { /* is it still as it was? */
        if (++plpmtud->rounds % ROUNDS_TO_RAISE == 0)
            plpmtud->limit = path->route_mtu;
        probe(path, path->mtu);
        return;
    }
    plpmtud->outstanding = false;
    if (++plpmtud->lost < MAX_PROBES && probed >= path->mtu) {
        plpmtud->wanted = true;
        association_set_ready(path->association);
        return;
    }
    if (probed <= path->mtu && path->mtu <= BASE_PLPMTU) { /* that is not for want of room */
        wait_for_round(path);
        return;
    }
    plpmtud->limit = minimum(plpmtud->limit, probed - 4);
    if (probed <= path->mtu) /* 4.3: a black hole */
        path_lower_mtu(path, BASE_PLPMTU);
    search(path);
}

void plpmtud_write(struct sctp_path *path, struct packet_writer *writer)
{
    struct plpmtud *plpmtud = &path->plpmtud;
    struct sctp_association *association = path->association;
    struct probe_info info = {.address = path->address};
    uint32_t mtu = path->mtu;
    size_t length;

    path->mtu = plpmtud->probed;
    length = path_packet_size(path);
    path->mtu = mtu;
    random_bytes(association->engine, &info.nonce, sizeof(info.nonce));
    plpmtud->nonce = info.nonce;
    heartbeat_write(writer, SCTP_CHUNK_HEARTBEAT, &info, sizeof(info));
    if (length >= writer->length + SCTP_CHUNK_HEADER_LENGTH) {
        size_t chunk = chunk_begin(writer, SCTP_CHUNK_PAD, 0);
        size_t padding = length - writer->length;
        uint8_t *place = packet_writer_reserve(writer, padding);

        if (place)
            memset(place, 0, padding);
        chunk_end(writer, chunk);
    }
    plpmtud->wanted = false;
    plpmtud->outstanding = true;
    association->heartbeats_sent++;
    timer_start(&association->engine->wheel, &plpmtud->timer, association->engine->now + path->rto);
}

bool plpmtud_receive_ack(struct sctp_association *association,
                         const struct sctp_heartbeat *heartbeat)
{
    struct probe_info info;
    struct sctp_path *path;

    if (heartbeat->info_length != sizeof(info))
        return false;
    memcpy(&info, heartbeat->info, sizeof(info));
    path = association_path_to(association, &info.address);
    if (!path || !path->plpmtud.outstanding || path->plpmtud.nonce != info.nonce)
        return false;
    path->plpmtud.outstanding = false;
    association->heartbeats_acknowledged++;
    if (path->plpmtud.probed > path->mtu)
        path_set_mtu(path, path->plpmtud.probed);
    association_set_ready(association);
    search(path);
    return true;
}
