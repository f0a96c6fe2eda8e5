/*
 * Limits of windows, buffers and counters, looked at after each step. See limits.h.
 */
#include "limits.h"

#include "checker.h"
#include "packet/chunks.h"
#include "packet/reconfig.h"

enum {
    MOST_ASSOCIATIONS = 64,
    PACKET_SLACK = 2 * 9000,
    /* TSNs that are further apart are of before and after an SSN/TSN reset (RFC 6525, 5.2.4). */
    RENUMBERED = 1 << 28,
};

/* An association, and what the packets tell of it. */
struct seen {
    uint32_t id, local_tag, peer_tag;
    bool alive;
    bool acknowledged; /* the next two are valid */
    uint32_t cumulative_tsn_ack, a_rwnd;
    bool sent_any, sent_new; /* DATA, since before_transmit */
    uint32_t highest_tsn;    /* valid if sent_any was ever true */
    bool began;
    uint32_t flight[WORLD_ADDRESSES * 2];
};

struct limits {
    struct seen seen[WORLD_HOSTS][MOST_ASSOCIATIONS];
    uint32_t init_rwnd[WORLD_HOSTS]; /* the largest that any INIT or INIT ACK told the host */
    bool distrusts;
};

struct limits *limits_new(void)
{
    struct limits *limits = calloc(1, sizeof(*limits));

    assert_non_null(limits);
    return limits;
}

void limits_free(struct limits *limits)
{
    free(limits);
}

void limits_distrust(struct limits *limits)
{
    limits->distrusts = true;
}

/* ---- What the peers told ----------------------------------------------------------------------
 */

static void take_sack(struct seen *seen, const struct sctp_sack *sack)
{
    if (seen->acknowledged && sack->cumulative_tsn_ack - seen->cumulative_tsn_ack > RENUMBERED)
        return;
    seen->acknowledged = true;
    seen->cumulative_tsn_ack = sack->cumulative_tsn_ack;
    seen->a_rwnd = sack->a_rwnd;
}

/* The peer has performed our SSN/TSN reset: our TSNs go on from there. */
static void take_re_config(struct seen *seen, const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, chunk->value, chunk->value_length);
    while (parameter_next(&iterator, &parameter)) {
        struct sctp_reconfig_response response;
        uint32_t last;

        if (parameter.type != SCTP_PARAMETER_RE_CONFIG_RESPONSE ||
            !reconfig_response_read(&parameter, &response) || !response.has_tsns)
            continue;
        last = response.receiver_next_tsn - 1;
        if (last - seen->cumulative_tsn_ack + RENUMBERED <= 2 * RENUMBERED)
            continue; /* said once more */
        seen->cumulative_tsn_ack = last;
        seen->began = false;
    }
}

static void take_chunk(struct limits *limits, const struct host *host, uint32_t tag,
                       const struct braid_packet *packet, const struct sctp_chunk *chunk)
{
    struct sctp_init init;
    struct sctp_sack sack;
    uint32_t tsn;

    if ((chunk->type == SCTP_CHUNK_INIT || chunk->type == SCTP_CHUNK_INIT_ACK) &&
        init_read(chunk, &init) && init.a_rwnd > limits->init_rwnd[host->number])
        limits->init_rwnd[host->number] = init.a_rwnd;
    for (unsigned int i = 0; i < MOST_ASSOCIATIONS; i++) {
        struct seen *seen = &limits->seen[host->number][i];

        if (seen->id == 0 || seen->local_tag != tag ||
            braid_path_find(host->engine, seen->id, &packet->source) < 0) /* it was deleted */
            continue;
        if (chunk->type == SCTP_CHUNK_SACK && sack_read(chunk, &sack))
            take_sack(seen, &sack);
        if (chunk->type == SCTP_CHUNK_RE_CONFIG)
            take_re_config(seen, chunk);
        if (chunk->type == SCTP_CHUNK_SHUTDOWN && shutdown_read(chunk, &tsn) &&
            seen->acknowledged && tsn != seen->cumulative_tsn_ack &&
            tsn - seen->cumulative_tsn_ack < RENUMBERED) {
            seen->cumulative_tsn_ack = tsn;
            seen->a_rwnd = UINT32_MAX / 2; /* it does not tell how much is read by now (9.2) */
        }
    }
}

void limits_received(struct limits *limits, struct host *host, const struct braid_packet *packet)
{
    struct sctp_common_header header;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    if ((packet_read_checksum(packet->bytes) != 0 &&
         !packet_verify_checksum(packet->bytes, packet->length)) ||
        !packet_read_common_header(packet->bytes, packet->length, &header))
        return;
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk))
        take_chunk(limits, host, header.verification_tag, packet, &chunk);
}

/* ---- What is sent -----------------------------------------------------------------------------
 */

static struct seen *seen_find(struct limits *limits, const struct host *host, uint32_t id)
{
    struct seen *all = limits->seen[host->number], *unused = NULL;

    for (unsigned int i = 0; i < MOST_ASSOCIATIONS; i++) {
        if (all[i].id == id)
            return &all[i];
        if (all[i].id == 0 && !unused)
            unused = &all[i];
    }
    assert_non_null(unused);
    *unused = (struct seen){.id = id};
    return unused;
}

void limits_before_transmit(struct limits *limits, struct host *host)
{
    struct braid_association_info info;
    struct braid_path_info path;
    uint32_t id = 0;

    for (unsigned int i = 0; i < MOST_ASSOCIATIONS; i++)
        limits->seen[host->number][i].alive = false;
    while ((id = braid_association_next(host->engine, 0, id)) != 0) {
        struct seen *seen = seen_find(limits, host, id);

        assert_int_equal(braid_association_info(host->engine, id, &info), 0);
        if (seen->local_tag != info.local_tag || seen->peer_tag != info.peer_tag)
            *seen = (struct seen){.id = id, .local_tag = info.local_tag, .peer_tag = info.peer_tag};
        seen->alive = true;
        seen->sent_any = seen->sent_new = false;
        for (uint32_t i = 0; i < info.path_count && i < WORLD_ADDRESSES * 2; i++) {
            assert_int_equal(braid_path_info(host->engine, id, i, &path), 0);
            seen->flight[i] = path.flight;
        }
    }
    for (unsigned int i = 0; i < MOST_ASSOCIATIONS; i++)
        if (!limits->seen[host->number][i].alive)
            limits->seen[host->number][i].id = 0;
}

void limits_sent(struct limits *limits, struct host *host, const uint8_t *bytes, size_t length)
{
    struct sctp_common_header header;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct sctp_data data;
    struct seen *seen = NULL;

    assert_true(packet_read_common_header(bytes, length, &header));
    for (unsigned int i = 0; i < MOST_ASSOCIATIONS; i++) {
        if (limits->seen[host->number][i].id != 0 &&
            limits->seen[host->number][i].peer_tag == header.verification_tag)
            seen = &limits->seen[host->number][i];
    }
    if (!seen)
        return;
    chunk_iterator_init(&iterator, bytes, length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk.type != SCTP_CHUNK_DATA || !data_read(&chunk, &data))
            continue;
        seen->sent_any = true;
        if (seen->began && (int32_t)(data.tsn - seen->highest_tsn) <= 0)
            continue;
        seen->sent_new = seen->began = true;
        seen->highest_tsn = data.tsn;
    }
}

/* ---- What must hold ---------------------------------------------------------------------------
 */

static void check_path(const struct host *host, const struct seen *seen, uint32_t index,
                       const struct braid_path_info *path)
{
    uint32_t before = index < WORLD_ADDRESSES * 2 ? seen->flight[index] : UINT32_MAX;
    uint32_t limit = before > path->cwnd ? before : path->cwnd;

    /* the last packet may be one that was made before the path's MTU was found to be smaller */
    if (path->flight > before && path->flight > limit + host->mtu)
        fail_msg("host %u, association %u, path %u: %u bytes in flight, %u before, cwnd is %u",
                 host->number, seen->id, index, path->flight, before, path->cwnd);
    assert_true(path->cwnd > 0);
    assert_true(path->mtu >= 256 && path->mtu <= 65535);
    assert_true(path->rto > 0);
}

static void check_window(const struct limits *limits, const struct host *host,
                         const struct seen *seen, const struct braid_association_info *info)
{
    uint32_t told = seen->acknowledged ? seen->a_rwnd : limits->init_rwnd[host->number];

    if (!limits->distrusts && seen->sent_new && info->outstanding_bytes > told + host->mtu)
        fail_msg("host %u, association %u: %u bytes outstanding, but a_rwnd is %u", host->number,
                 seen->id, info->outstanding_bytes, told);
}

static void check_association(struct limits *limits, const struct host *host,
                              const struct seen *seen)
{
    const struct braid_parameters *parameters =
        braid_association_parameters(host->engine, seen->id);
    struct braid_association_info info;
    struct braid_path_info path;
    uint64_t flight = 0;

    assert_non_null(parameters);
    assert_int_equal(braid_association_info(host->engine, seen->id, &info), 0);
    for (uint32_t i = 0; i < info.path_count; i++) {
        assert_int_equal(braid_path_info(host->engine, seen->id, i, &path), 0);
        check_path(host, seen, i, &path);
        flight += path.flight;
    }
    check_window(limits, host, seen, &info);
    if (info.outstanding_chunks == 0 ? flight != 0 || info.outstanding_bytes != 0
                                     : flight < info.outstanding_bytes)
        fail_msg("host %u, association %u: %u chunks of %u bytes are outstanding, %llu in flight",
                 host->number, seen->id, info.outstanding_chunks, info.outstanding_bytes,
                 (unsigned long long)flight);
    if (info.outstanding_bytes > info.queued_bytes ||
        info.queued_bytes > parameters->send_buffer + MESSAGE_MAXIMUM)
        fail_msg("host %u, association %u: %u bytes queued, %u outstanding", host->number, seen->id,
                 info.queued_bytes, info.outstanding_bytes);
    if (info.unread_bytes > 2 * parameters->receive_buffer + PACKET_SLACK) /* gaps are filled */
        fail_msg("host %u, association %u: %u bytes unread", host->number, seen->id,
                 info.unread_bytes);
}

void limits_after_transmit(struct limits *limits, struct host *host)
{
    struct braid_statistics statistics;
    unsigned int count = 0;

    for (unsigned int i = 0; i < MOST_ASSOCIATIONS; i++) {
        const struct seen *seen = &limits->seen[host->number][i];

        if (seen->id == 0)
            continue;
        count++;
        check_association(limits, host, seen);
    }
    braid_engine_statistics(host->engine, &statistics);
    assert_true(statistics.associations_now <= count);
}
