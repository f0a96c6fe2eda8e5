/*
 * Congestion control of one path.
 *
 * RFC 9260, section 7.2: slow start (7.2.1), congestion avoidance (7.2.2), what a loss does
 * (7.2.3). All sizes are of DATA chunks with header and padding.
 */
#include "engine/private.h"

#define DSCP_SHIFT 2 /* the two lowest bits are ECN's */

/* 6.1, D. A burst is over when as much could have been acknowledged since it began: when cwnd
 * leaves evenly in an RTT. So who sends a packet now and then does not wait for a SACK. */
bool congestion_permits_burst(struct sctp_path *path)
{
    uint32_t max_burst = path->association->parameters.max_burst;
    braid_time elapsed = path->association->engine->now - path->burst_began;

    if (max_burst == 0 || path->burst_sent < (uint64_t)path->burst_sacks * max_burst *
                                                 path_maximum_data_chunk_size(path))
        return true;
    if (elapsed > UINT32_MAX)
        elapsed = UINT32_MAX;
    if (!path->rtt_measured || elapsed == 0 ||
        elapsed * path->cwnd < (uint64_t)path->srtt * path->burst_sent)
        return false;
    path->burst_sent = 0;
    return true;
}

void congestion_init(struct sctp_path *path)
{
    uint32_t pmdcs = path_maximum_data_chunk_size(path);
    uint32_t floor = path->address.family == BRAID_IPV4 ? 4404 : 4344;

    path->cwnd = minimum(4 * pmdcs, maximum(2 * pmdcs, floor));
    path->ssthresh = UINT32_MAX;
    path->partial_bytes_acked = 0;
    path->burst_sacks = 1;
    path->burst_sent = 0;
}

/*
 * After a SACK: `acknowledged` bytes of the path are new. A peer that acknowledges many packets at
 * once leaves SACKs out; what these would have permitted is permitted: in slow start L is the
 * number of SACKs that one for every second packet would have been, and so is the number of bursts.
 */
void congestion_acknowledged(struct sctp_path *path, bool cumulative_advanced)
{
    const struct sctp_association *association = path->association;
    uint32_t pmdcs = path_maximum_data_chunk_size(path);
    uint32_t sacks = maximum(1, path->acknowledged_packets / 2);

    /* What was earned is for the data that waits. */
    path->burst_sacks = association->sender.pending_messages > 0 ? sacks : 1;
    path->burst_sent = 0;
    if (path->acknowledged > 0)
        path->after_timeout = false;
    if (path->acknowledged > 0 && !association->sender.fast_recovery) {
        if (path->cwnd <= path->ssthresh) {
            if (cumulative_advanced && path->flight_before >= path->cwnd)
                path->cwnd += minimum(path->acknowledged, sacks * pmdcs);
        } else {
            path->partial_bytes_acked += path->acknowledged;
            if (path->partial_bytes_acked >= path->cwnd && path->flight_before < path->cwnd)
                path->partial_bytes_acked = path->cwnd;
            if (path->partial_bytes_acked >= path->cwnd && path->flight_before >= path->cwnd) {
                path->partial_bytes_acked -= path->cwnd;
                path->cwnd += pmdcs;
            }
        }
    }
    if (path->flight == 0)
        path->partial_bytes_acked = 0;
}

void congestion_loss(struct sctp_path *path)
{
    path->ssthresh = maximum(path->cwnd / 2, 4 * path_maximum_data_chunk_size(path));
    path->cwnd = path->ssthresh;
    path->partial_bytes_acked = 0;
}

void congestion_timeout(struct sctp_path *path)
{
    uint32_t pmdcs = path_maximum_data_chunk_size(path);

    path->ssthresh = maximum(path->cwnd / 2, 4 * pmdcs);
    path->cwnd = pmdcs;
    path->partial_bytes_acked = 0;
    path->after_timeout = true;
}

/* 7.2.1: what was learnt decays while nothing is sent. */
static void decay(struct sctp_path *path)
{
    uint32_t pmdcs = path_maximum_data_chunk_size(path);
    braid_time now = path->association->engine->now;

    if (path->flight > 0 || path->last_data == 0)
        return;
    if (now - path->last_data < path->rto || path->cwnd <= 4 * pmdcs)
        return;
    path->ssthresh = path->cwnd;
    for (braid_time idle = now - path->last_data; idle >= path->rto && path->cwnd > 4 * pmdcs;
         idle -= path->rto)
        path->cwnd = maximum(path->cwnd / 2, 4 * pmdcs);
    path->last_data = now;
}

/* 7.2.5.1: with another DSCP packets may go another way, of which nothing is known. */
void congestion_before_data(struct sctp_path *path)
{
    uint8_t traffic_class = path_traffic_class(path);

    if (traffic_class >> DSCP_SHIFT != path->traffic_class >> DSCP_SHIFT)
        congestion_init(path);
    path->traffic_class = traffic_class;
    decay(path);
}
