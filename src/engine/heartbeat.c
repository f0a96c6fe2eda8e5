/*
 * Heartbeats: is a path alive, how far is it, and does its address really belong to the peer?
 *
 * RFC 9260, section 8.3 (path heartbeat), section 5.4 (path verification). One timer a path: while
 * a HEARTBEAT is outstanding, until it counts as lost, which is one RTO; else until the next.
 */
#include "engine/private.h"

struct heartbeat_info {
    uint64_t nonce;
    braid_time sent;
    struct braid_address address;
};

static void request(struct sctp_path *path)
{
    path->heartbeat_wanted = true;
    association_set_ready(path->association);
}

/* No path may carry data: the peer has deleted those that did (RFC 5061). */
static bool nothing_is_confirmed(const struct sctp_association *association)
{
    return association_data_path(association)->state == BRAID_PATH_UNCONFIRMED;
}

/* A HEARTBEAT each RTO: section 5.4, and RFC 7829, section 3.2 (4). Where nothing else is left,
 * Path.Max.Retrans is no reason to stop. */
static bool is_probed(const struct sctp_path *path)
{
    if (path->state == BRAID_PATH_POTENTIALLY_FAILED)
        return path->hb_interval > 0;
    return path->state == BRAID_PATH_UNCONFIRMED &&
           (path->error_count <= path->path_max_retrans || nothing_is_confirmed(path->association));
}

/* Now, unless DATA that is on its way over it will tell as much. */
static void probe(struct sctp_path *path)
{
    if (path->flight > 0)
        timer_start(&path->association->engine->wheel, &path->heartbeat_timer,
                    path->association->engine->now + path->rto);
    else
        request(path);
}

/* RTO and HB.interval, and half an RTO more or less. */
static void wait_for_next(struct sctp_path *path, braid_time from, bool with_rto)
{
    struct braid_engine *engine = path->association->engine;
    braid_time wait = milliseconds(path->hb_interval);

    if (path->hb_interval == 0) {
        timer_stop(&engine->wheel, &path->heartbeat_timer);
        return;
    }
    wait += random_u32(engine) % (path->rto + 1);
    if (with_rto)
        wait += path->rto / 2;
    else
        wait = wait > path->rto / 2 ? wait - path->rto / 2 : 0;
    timer_start(&engine->wheel, &path->heartbeat_timer, from + wait);
}

void heartbeat_start(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    struct braid_engine *engine = association->engine;
    uint32_t burst = maximum(1, association->parameters.hb_max_burst);
    uint32_t before = 0, turns;

    if (path->state == BRAID_PATH_POTENTIALLY_FAILED && is_probed(path)) {
        probe(path);
        return;
    }
    if (path->state != BRAID_PATH_UNCONFIRMED) {
        wait_for_next(path, engine->now, true);
        return;
    }
    /* HB.Max.Burst of them now, as many after the next RTO, and so on. Within this host there is
     * time: no other path helps there, and programs that are tried on one host hear of addresses
     * as late as from Linux. */
    for (uint8_t i = 0; i < path->index; i++)
        before += association->paths[i]->state == BRAID_PATH_UNCONFIRMED;
    turns = before / burst;
    if (braid_address_is_loopback(&association->paths[association->primary]->address))
        turns++;
    if (turns == 0)
        request(path);
    else
        timer_start(&engine->wheel, &path->heartbeat_timer,
                    engine->now + (braid_time)turns * path->rto);
}

void heartbeat_hurry(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    struct timer_wheel *wheel = &association->engine->wheel;

    if (path->heartbeat_outstanding || path->heartbeat_wanted || !is_probed(path) ||
        !association_may_send_data(association))
        return;
    if (association_data_path(association) ==
        path) /* DATA asks, and a HEARTBEAT if there is none */
        timer_start(wheel, &path->heartbeat_timer, association->engine->now + path->rto);
    else
        request(path);
}

void heartbeat_stop_all(struct sctp_association *association)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];

        timer_stop(&association->engine->wheel, &path->heartbeat_timer);
        path->heartbeat_wanted = path->heartbeat_outstanding = false;
        path->heartbeat_nonce = 0;
        plpmtud_stop(path);
    }
}

void heartbeat_timeout(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    braid_time now = association->engine->now;
    braid_time period = (braid_time)path->rto + milliseconds(path->hb_interval);

    if (path->heartbeat_outstanding) {
        /* 8.1: of the path that data takes, and if there is data on it, T3-rtx counts. */
        bool counts = path == association_data_path(association) &&
                      (path->state == BRAID_PATH_UNCONFIRMED ||
                       association->sender.outstanding_chunks + association->sender.marked == 0);

        path->heartbeat_outstanding = false;
        path_back_off(path);
        if (!path_failed(path, counts))
            return;
        if (is_probed(path))
            probe(path);
        else
            wait_for_next(path, now, false);
    } else if (path->state == BRAID_PATH_POTENTIALLY_FAILED) {
        probe(path);
    } else if (path->last_data && now - path->last_data < period) { /* not idle */
        timer_start(&association->engine->wheel, &path->heartbeat_timer, path->last_data + period);
    } else {
        request(path);
    }
}

void heartbeat_write_request(struct sctp_path *path, struct packet_writer *writer)
{
    struct sctp_association *association = path->association;
    struct braid_engine *engine = association->engine;
    struct heartbeat_info info = {.sent = engine->now, .address = path->address};

    random_bytes(engine, &info.nonce, sizeof(info.nonce));
    heartbeat_write(writer, SCTP_CHUNK_HEARTBEAT, &info, sizeof(info));
    path->heartbeat_nonce = info.nonce;
    path->heartbeat_sent = engine->now;
    path->heartbeat_wanted = false;
    path->heartbeat_outstanding = true;
    association->heartbeats_sent++;
    timer_start(&engine->wheel, &path->heartbeat_timer, engine->now + path->rto);
}

/* 8.3: answered from COOKIE-ECHOED or ESTABLISHED on, until SHUTDOWN-SENT or SHUTDOWN-ACK-SENT.
 * The whole chunk goes back as it came. */
void heartbeat_receive(struct sctp_association *association, struct arrival *arrival,
                       const struct sctp_chunk *chunk)
{
    struct sctp_heartbeat heartbeat;
    struct packet_writer *writer;

    if (!heartbeat_read(chunk, &heartbeat)) {
        association->engine->statistics.bad_packet++;
        return;
    }
    if (association->state < BRAID_COOKIE_ECHOED || association->state == BRAID_SHUTDOWN_SENT ||
        association->state == BRAID_SHUTDOWN_ACK_SENT || !arrival->path)
        return;
    writer = reply_continue(association, arrival, wire_padded(chunk->length));
    if (!writer)
        return;
    chunk_write(writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk->value, chunk->value_length);
    arrival->heartbeat_seen = true;
}

void heartbeat_receive_ack(struct sctp_association *association, const struct sctp_chunk *chunk)
{
    struct braid_engine *engine = association->engine;
    struct sctp_heartbeat heartbeat;
    struct heartbeat_info info;
    struct sctp_path *path;

    if (heartbeat_read(chunk, &heartbeat) && plpmtud_receive_ack(association, &heartbeat))
        return;
    if (!heartbeat_read(chunk, &heartbeat) || heartbeat.info_length != sizeof(info)) {
        engine->statistics.bad_heartbeat_ack++;
        return;
    }
    memcpy(&info, heartbeat.info, sizeof(info));
    path = association_path_to(association, &info.address);
    /* One that comes after its RTO counted as lost, and still says that the path is alive. */
    if (!path || path->heartbeat_nonce == 0 || path->heartbeat_nonce != info.nonce) {
        engine->statistics.bad_heartbeat_ack++;
        return;
    }
    path->heartbeat_outstanding = false;
    path->heartbeat_nonce = 0;
    association->heartbeats_acknowledged++;
    path_update_rtt(path, engine->now - path->heartbeat_sent);
    association->error_count = 0;
    path_answered(path, PATH_HEARTBEAT_ANSWERED);
    path_confirm(path);
    wait_for_next(path, engine->now, true);
}
