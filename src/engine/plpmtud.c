/*
 * Packetization Layer Path MTU Discovery: HEARTBEATs as long as a packet may be, to see whether
 * such packets arrive. It needs no ICMP.
 *
 * RFC 8899, section 5 (the search), section 6.2 (SCTP: HEARTBEAT and PAD); RFC 4820 (PAD). The MTU
 * of the route is believed at first, and asked for; if three HEARTBEATs of that size are lost, a
 * small packet is what remains, and the search goes on between the two. What was found is asked for
 * again when DATA is not answered (6.2.1.3: not else), and after many intervals a larger one is.
 */
#include "engine/private.h"

#define BASE_PLPMTU 1280 /* of an IP packet: what any path should take */
#define MAX_PROBES 3     /* 5.1.2 */
#define GRANULARITY 8    /* bytes that are not worth a probe */
#define INTERVALS_TO_RAISE 30
#define PROBE_TIMER_MINIMUM ((braid_time)1000000) /* 5.1.1 */

struct probe_info {
    uint64_t nonce;
    struct braid_address address;
    uint8_t unlike[24]; /* the Heartbeat Info of others: it is longer */
};

static bool is_probing(const struct plpmtud *plpmtud)
{
    return plpmtud->wanted || plpmtud->outstanding;
}

static void probe(struct sctp_path *path, uint32_t size)
{
    path->plpmtud.probed = size;
    path->plpmtud.lost = 0;
    path->plpmtud.wanted = true;
    association_set_ready(path->association);
}

/* The next size to be tried, between what is known to pass and what does not. When there is none,
 * it is complete, until the PMTU_RAISE_TIMER runs out. */
static void search(struct sctp_path *path)
{
    struct plpmtud *plpmtud = &path->plpmtud;
    uint32_t low = path->mtu, high = plpmtud->limit;

    if (high < low + GRANULARITY)
        timer_start(&path->association->engine->wheel, &plpmtud->timer,
                    path->association->engine->now +
                        INTERVALS_TO_RAISE * milliseconds(plpmtud->interval));
    else if (high == path->route_mtu)
        probe(path, high);
    else
        probe(path, (low + high) / 2 & ~3u);
}

static bool is_possible(const struct sctp_path *path)
{
    return path->plpmtud.interval > 0 && !path->mtu_fixed &&
           path->state != BRAID_PATH_UNCONFIRMED && association_may_send_data(path->association);
}

void plpmtud_start(struct sctp_path *path)
{
    plpmtud_stop(path);
    if (!is_possible(path))
        return;
    path->plpmtud.limit = path->route_mtu;
    probe(path, path->mtu);
}

void plpmtud_stop(struct sctp_path *path)
{
    timer_stop(&path->association->engine->wheel, &path->plpmtud.timer);
    path->plpmtud.wanted = path->plpmtud.outstanding = false;
}

void plpmtud_doubt(struct sctp_path *path)
{
    if (is_possible(path) && !is_probing(&path->plpmtud) && path->mtu > BASE_PLPMTU)
        probe(path, path->mtu);
}

void plpmtud_recover(struct sctp_path *path)
{
    if (!is_possible(path))
        return;
    path->plpmtud.limit = path->route_mtu;
    path->plpmtud.lost = 0;
    if (!is_probing(&path->plpmtud))
        probe(path, path->mtu);
}

/* 4.6.2: what it says is only tried. */
void plpmtud_too_big(struct sctp_path *path, uint32_t mtu)
{
    struct plpmtud *plpmtud = &path->plpmtud;
    uint32_t before = path->mtu;

    mtu &= ~3u;
    if (!is_possible(path)) {
        if (mtu < path->mtu)
            path_lower_mtu(path, mtu);
        return;
    }
    if (mtu < path_mtu_minimum(path) || mtu >= maximum(plpmtud->probed, before))
        return; /* no router says that of what we send */
    plpmtud_stop(path);
    plpmtud->limit = mtu;
    if (mtu < before)
        path_lower_mtu(path, mtu < BASE_PLPMTU ? path_mtu_minimum(path) : BASE_PLPMTU);
    if (mtu < path->mtu + GRANULARITY)
        search(path);
    else
        probe(path, mtu);
}

void plpmtud_timeout(struct sctp_path *path)
{
    struct plpmtud *plpmtud = &path->plpmtud;
    uint32_t probed = plpmtud->probed;

    if (!plpmtud->outstanding) {
        plpmtud->limit = path->route_mtu;
        search(path);
        return;
    }
    plpmtud->outstanding = false;
    if (++plpmtud->lost < MAX_PROBES && probed >= path->mtu) {
        plpmtud->wanted = true;
        association_set_ready(path->association);
        return;
    }
    if (probed <= path->mtu && path->mtu <= BASE_PLPMTU) { /* that is not for want of room */
        plpmtud->limit = path->mtu;
        search(path);
        return;
    }
    plpmtud->limit = minimum(plpmtud->limit, probed - 4);
    if (probed <= path->mtu) /* 4.3: a black hole */
        path_lower_mtu(path, BASE_PLPMTU);
    search(path);
}

/* An answer takes no longer, whatever the RTO has come to in the meantime. */
static braid_time probe_time(const struct sctp_path *path)
{
    braid_time time = path->rtt_measured ? path->srtt + 4 * (braid_time)path->rttvar : path->rto;

    return time > PROBE_TIMER_MINIMUM ? time : PROBE_TIMER_MINIMUM;
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
    timer_start(&association->engine->wheel, &plpmtud->timer,
                association->engine->now + probe_time(path));
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
