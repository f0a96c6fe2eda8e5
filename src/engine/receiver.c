/*
 * DATA comes in, and SACKs go out for it.
 *
 * RFC 9260, section 6.2 (acknowledgement), section 6.7 (gaps), section 6.5 (stream identifiers).
 * The same for I-DATA (RFC 8260, section 2).
 *
 * What was received beyond the Cumulative TSN is a bit in a ring; the chunks among it that wait for
 * others of their message stand in a ring beside it (reassembly.c).
 */
#include <stdlib.h>

#include "engine/private.h"

#define MAP_SMALLEST 64
#define MAP_KEPT 1024    /* bits that an association without a gap keeps room for */
#define AHEAD_LEAST 4096 /* TSNs beyond the Cumulative TSN that are always accepted */
#define SNAPSHOTS 3      /* miss indications that make a fast retransmission (7.2.4) */
#define OVERHEAD 32      /* bytes of the buffer's size for which one more message may stand in it */
#define OVERHEAD_FREE 8192
#define SACK_DELAY_MAXIMUM 500
#define GAP_BLOCKS_MAXIMUM 4096

/* ---- What was received ---- */

static bool is_received(const struct sctp_receiver *receiver, uint32_t tsn)
{
    uint32_t bit = tsn & (receiver->map_size - 1);

    if (!tsn_before(receiver->cumulative_tsn, tsn))
        return true;
    return !tsn_before(receiver->highest_tsn, tsn) && receiver->received[bit / 64] >> bit % 64 & 1;
}

static void set_received(struct sctp_receiver *receiver, uint32_t tsn, bool value)
{
    uint32_t bit = tsn & (receiver->map_size - 1);

    receiver->received[bit / 64] &= ~((uint64_t)1 << bit % 64);
    receiver->received[bit / 64] |= (uint64_t)value << bit % 64;
}

/* Makes room for TSNs up to `ahead` beyond the Cumulative TSN. */
static bool map_reserve(struct sctp_receiver *receiver, uint32_t ahead)
{
    struct sctp_receiver grown = *receiver;

    if (ahead < receiver->map_size)
        return true;
    grown.map_size = MAP_SMALLEST;
    while (grown.map_size <= ahead)
        grown.map_size *= 2;
    grown.received = calloc(grown.map_size / 64, sizeof(uint64_t));
    grown.held = calloc(grown.map_size, sizeof(struct received_data *));
    if (!grown.received || !grown.held) {
        free(grown.received);
        free(grown.held);
        return false;
    }
    for (uint32_t tsn = receiver->cumulative_tsn + 1;
         receiver->map_size && !tsn_before(receiver->highest_tsn, tsn); tsn++) {
        set_received(&grown, tsn, is_received(receiver, tsn));
        *receiver_held(&grown, tsn) = *receiver_held(receiver, tsn);
    }
    free(receiver->received);
    free(receiver->held);
    *receiver = grown;
    return true;
}

static void map_free(struct sctp_receiver *receiver)
{
    free(receiver->received);
    free(receiver->held);
    receiver->received = NULL;
    receiver->held = NULL;
    receiver->map_size = 0;
}

static bool has_gap(const struct sctp_receiver *receiver)
{
    return receiver->highest_tsn != receiver->cumulative_tsn;
}

void receiver_init(struct sctp_association *association, uint32_t initial_tsn)
{
    struct sctp_receiver *receiver = &association->receiver;

    receiver->cumulative_tsn = receiver->highest_tsn = initial_tsn - 1;
    receiver->unacknowledged_packets = 0;
    receiver->duplicate_count = 0;
    receiver->sack_now = receiver->any_data = receiver->had_gap = receiver->skipping = false;
    receiver->sack_path = 0; /* after a restart there may be fewer than before */
    receiver->sack_turned = false;
    receiver->advertised = association->parameters.receive_buffer;
}

void receiver_free(struct sctp_association *association, bool keep_messages)
{
    reassembly_free(association, keep_messages);
    map_free(&association->receiver);
    association->receiver.highest_tsn = association->receiver.cumulative_tsn;
}

/* ---- The window ---- */

uint32_t association_local_rwnd(const struct sctp_association *association)
{
    const struct sctp_receiver *receiver = &association->receiver;
    uint32_t size = association->parameters.receive_buffer;
    uint64_t used = (uint64_t)receiver->held_bytes + receiver->user_held;
    uint64_t count = (uint64_t)receiver->waiting_chunks + receiver->ready_messages;
    uint32_t rwnd = used < size ? (uint32_t)(size - used) : 0;
    uint64_t room = association_account_room(association);

    if (room < rwnd)
        rwnd = (uint32_t)room;
    if (count * OVERHEAD > (uint64_t)size + OVERHEAD_FREE)
        return 0;
    /* RFC 1122, section 4.2.3.3: once closed, it opens by a worthwhile amount. */
    if (receiver->advertised == 0 && rwnd < minimum(size / 4, PACKET_MINIMUM))
        return 0;
    return rwnd;
}

/* The peer may be waiting for more: less than half is left, or less than a chunk may have. */
static bool is_small(const struct sctp_association *association, uint32_t rwnd)
{
    return rwnd < association->parameters.receive_buffer / 2 ||
           (rwnd < PACKET_MAXIMUM && rwnd < association_fragmentation_point(association));
}

bool receiver_window_is_small(const struct sctp_association *association)
{
    return is_small(association, association_local_rwnd(association));
}

void receiver_window_opened(struct sctp_association *association)
{
    const struct sctp_receiver *receiver = &association->receiver;
    uint32_t rwnd = association_local_rwnd(association);
    uint32_t seen = /* what is left of the window that the peer knows */
        receiver->advertised - minimum(receiver->advertised, receiver->arrived_bytes);
    bool all_read = !receiver->ready && !receiver->pieces && receiver->user_held == 0;
    /* a little may be what he waits for, and more will not follow */
    uint32_t worth = all_read ? 1 : association->parameters.receive_buffer / 4;

    if ((association->state != BRAID_ESTABLISHED && association->state != BRAID_SHUTDOWN_PENDING) ||
        rwnd < seen + worth || !is_small(association, seen))
        return;
    association->send_sack = true;
    association_set_ready(association);
}

/* ---- DATA ---- */

static void drop(struct sctp_association *association)
{
    association->engine->statistics.data_dropped++;
    association->receiver.sack_now = true;
}

static bool has_readable(const struct sctp_receiver *receiver)
{
    return receiver->pieces || (receiver->ready && !receiver->partial) || receiver->user_held > 0;
}

/* 6.2: may it be kept? */
static bool has_room(struct sctp_association *association, uint32_t tsn)
{
    struct sctp_receiver *receiver = &association->receiver;
    uint32_t size = association->parameters.receive_buffer;
    uint32_t ahead = tsn - receiver->cumulative_tsn;

    if (ahead > OUTSTANDING_MAXIMUM || ahead > maximum(AHEAD_LEAST, size / 8))
        return false;
    if (association_local_rwnd(association) > 0)
        return true;
    /* Closed: nothing beyond the highest TSN; what fills a gap makes progress, up to a limit, and
     * then only if it is the next and what there is to be read would not open the window. */
    if (tsn_before(receiver->highest_tsn, tsn))
        return false;
    return receiver->held_bytes < 2 * (uint64_t)size ||
           (ahead == 1 && !has_readable(receiver) &&
            receiver->held_bytes < 4 * (uint64_t)size + PACKET_MAXIMUM);
}

static void remember_duplicate(struct sctp_association *association, uint32_t tsn)
{
    struct sctp_receiver *receiver = &association->receiver;

    association->chunks_duplicate++;
    if (receiver->duplicate_count < DUPLICATES_MAXIMUM)
        receiver->duplicates[receiver->duplicate_count++] = tsn;
}

static void refuse_empty(struct sctp_association *association, uint32_t tsn)
{
    uint8_t bytes[32];
    struct packet_writer causes;

    packet_writer_init(&causes, bytes, sizeof(bytes));
    no_user_data_write(&causes, tsn);
    association_abort(association, BRAID_DOWN_PROTOCOL, &causes);
}

/* I-DATA needs no order of TSNs: it was taken when it came. */
static bool take_held(struct sctp_association *association, uint32_t tsn)
{
    return association->interleaving || reassembly_take_held(association, tsn);
}

/* Advances the Cumulative TSN over what is there already. */
static bool advance_cumulative(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;

    while (has_gap(receiver) && is_received(receiver, receiver->cumulative_tsn + 1)) {
        set_received(receiver, ++receiver->cumulative_tsn, false);
        if (!take_held(association, receiver->cumulative_tsn))
            return false;
    }
    if (!has_gap(receiver) && receiver->map_size > MAP_KEPT)
        map_free(receiver);
    return true;
}

/* False: the peer broke the protocol. */
static bool accept(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    bool known_stream = data->stream < association->inbound_streams;

    receiver->arrived_bytes += data->payload_length;
    if (!known_stream) { /* 6.5: acknowledged, reported, thrown away */
        size_t before = association->engine->errors.length;

        invalid_stream_identifier_write(&association->engine->errors, data->stream);
        errors_end(association->engine, before);
    }
    if (known_stream && association->interleaving) { /* the order of TSNs is nothing to it */
        if (!interleaving_take(association, data))
            return false;
        known_stream = false;
    }
    if (data->tsn == receiver->cumulative_tsn + 1) {
        bool gap = has_gap(receiver);

        receiver->cumulative_tsn++;
        if (!gap)
            receiver->highest_tsn = receiver->cumulative_tsn;
        if (known_stream && !reassembly_take(association, data))
            return false;
        return !gap || advance_cumulative(association);
    }
    set_received(receiver, data->tsn, true);
    if (tsn_before(receiver->highest_tsn, data->tsn))
        receiver->highest_tsn = data->tsn;
    return !known_stream || reassembly_hold(association, data);
}

static bool expects_data(const struct sctp_association *association)
{
    return association->state == BRAID_ESTABLISHED ||
           association->state == BRAID_SHUTDOWN_PENDING ||
           association->state == BRAID_SHUTDOWN_SENT;
}

/* The packet has something that a SACK answers. */
static void note_arrival(struct sctp_association *association, struct arrival *arrival)
{
    struct sctp_receiver *receiver = &association->receiver;

    if (!arrival->data_seen)
        receiver->had_gap = has_gap(receiver);
    arrival->data_seen = true;
}

/* RFC 8260, 2.2.3: an association has either DATA or I-DATA. */
static bool read_i_data(struct sctp_association *association, const struct sctp_chunk *chunk,
                        struct sctp_data *data)
{
    if (!association->interleaving || chunk->type != SCTP_CHUNK_I_DATA) {
        association_abort_violation(association);
        return false;
    }
    if (!i_data_read(chunk, data)) {
        association->engine->statistics.bad_packet++;
        return false;
    }
    return true;
}

/* Where a payload stands that has its place here. */
__attribute__((noinline)) static const uint8_t *find_lent(const struct braid_loan *loan,
                                                          const uint8_t *place)
{
    for (size_t i = 0; i < loan->count; i++)
        if (loan->payloads[i].place == place)
            return loan->payloads[i].bytes;
    return place;
}

void receiver_receive_data(struct sctp_association *association, struct arrival *arrival,
                           const struct sctp_chunk *chunk)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct sctp_data data;

    if (!expects_data(association))
        return;
    if (association->interleaving || chunk->type != SCTP_CHUNK_DATA) {
        if (!read_i_data(association, chunk, &data))
            return;
    } else if (!data_read(chunk, &data)) {
        association->engine->statistics.bad_packet++;
        return;
    }
    if (data.payload_length == 0) {
        refuse_empty(association, data.tsn);
        return;
    }
    if (reconfig_numbers_are_unknown(association) ||
        (association->reconfig && !is_received(receiver, data.tsn) &&
         reconfig_is_over(association, &data))) {
        /* it will come again */
        association->engine->statistics.data_dropped++;
        return;
    }
    note_arrival(association, arrival);
    if (data.flags & SCTP_DATA_FLAG_IMMEDIATE)
        receiver->sack_now = true;
    if (is_received(receiver, data.tsn)) {
        arrival->duplicate_seen = true;
        remember_duplicate(association, data.tsn);
        return;
    }
    if (!has_room(association, data.tsn) ||
        (data.tsn != receiver->cumulative_tsn + 1 &&
         !map_reserve(receiver, data.tsn - receiver->cumulative_tsn))) {
        drop(association);
        reassembly_deliver_partially(association);
        return;
    }
    arrival->new_data_seen = true;
    if (association->engine->borrowed)
        data.payload = find_lent(association->engine->borrowed, data.payload);
    if (!accept(association, &data)) {
        association_abort_violation(association);
        return;
    }
    if (receiver->assembly || receiver->interleaving)
        reassembly_deliver_partially(association);
    if (receiver->user_held > 0 && receiver_window_is_small(association))
        reassembly_tell_readable(association);
}

/* ---- FORWARD TSN: RFC 3758, section 3.6; I-FORWARD-TSN: RFC 8260, section 2.3 ---- */

/* The TSN that has now become the Cumulative TSN will not come. Which message of I-DATA it was of
 * does not follow from that. */
static void skip(struct sctp_association *association)
{
    if (!association->interleaving)
        reassembly_skip(association);
}

/* False: the peer broke the protocol. */
static bool forward(struct sctp_association *association,
                    const struct sctp_forward_tsn *forward_tsn)
{
    struct sctp_receiver *receiver = &association->receiver;
    uint32_t last = forward_tsn->new_cumulative_tsn;

    while (has_gap(receiver) && tsn_before(receiver->cumulative_tsn, last)) {
        uint32_t tsn = receiver->cumulative_tsn + 1;
        bool received = is_received(receiver, tsn);

        receiver->cumulative_tsn = tsn;
        set_received(receiver, tsn, false);
        if (!received)
            skip(association);
        else if (!take_held(association, tsn))
            return false;
    }
    if (tsn_before(receiver->cumulative_tsn, last)) { /* nothing has come beyond */
        receiver->cumulative_tsn = receiver->highest_tsn = last;
        skip(association);
    }
    for (size_t i = 0; i < forward_tsn->skipped_stream_count; i++) {
        if (association->interleaving) {
            struct sctp_skipped_messages skipped = i_forward_tsn_skipped(forward_tsn, i);

            if (skipped.stream < association->inbound_streams)
                interleaving_skip(association, &skipped);
        } else {
            struct sctp_skipped_stream skipped = forward_tsn_skipped_stream(forward_tsn, i);

            if (skipped.stream < association->inbound_streams)
                reassembly_skip_stream(association, &skipped);
        }
    }
    return advance_cumulative(association);
}

void receiver_receive_forward_tsn(struct sctp_association *association, struct arrival *arrival,
                                  const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward_tsn;

    if (!expects_data(association))
        return;
    /* RFC 8260, 2.3.1: only one of the two kinds belongs to an association. */
    if ((chunk->type == SCTP_CHUNK_I_FORWARD_TSN) != association->interleaving) {
        association_abort_violation(association);
        return;
    }
    if (!(association->interleaving ? i_forward_tsn_read(chunk, &forward_tsn)
                                    : forward_tsn_read(chunk, &forward_tsn))) {
        association->engine->statistics.bad_packet++;
        return;
    }
    association->forward_tsns_received++;
    if (reconfig_numbers_are_unknown(association))
        return;
    note_arrival(association, arrival);
    if (!tsn_before(association->receiver.cumulative_tsn, forward_tsn.new_cumulative_tsn)) {
        arrival->duplicate_seen = true; /* the SACK for it was lost, perhaps */
        return;
    }
    if (forward_tsn.new_cumulative_tsn - association->receiver.cumulative_tsn > TSNS_APART)
        return; /* of before an SSN/TSN reset */
    arrival->new_data_seen = true;
    if (!forward(association, &forward_tsn))
        association_abort_violation(association);
}

void receiver_restart(struct sctp_association *association, uint32_t next_tsn)
{
    struct sctp_receiver *receiver = &association->receiver;
    /* it was not noticed that they had begun anew, and DATA of these numbers is here already */
    bool begun = receiver->highest_tsn - next_tsn < TSNS_APART;

    (void)forward(association,
                  &(struct sctp_forward_tsn){.new_cumulative_tsn =
                                                 begun ? next_tsn - 1 : receiver->highest_tsn});
    if (!begun)
        skip(association);
    reassembly_restart_streams(association, NULL, 0);
    receiver->skipping = false;
    if (begun)
        return;
    map_free(receiver);
    receiver->cumulative_tsn = receiver->highest_tsn = next_tsn - 1;
    receiver->duplicate_count = 0;
}

/* ---- SACK ---- */

/* The first TSN from `tsn` on whose bit is `value`; the one after highest_tsn if there is none. */
static uint32_t find_bit(const struct sctp_receiver *receiver, uint32_t tsn, bool value)
{
    while (!tsn_before(receiver->highest_tsn, tsn)) {
        uint32_t bit = tsn & (receiver->map_size - 1);
        uint64_t word = receiver->received[bit / 64];
        uint64_t rest = (value ? word : ~word) >> bit % 64;

        if (rest) {
            tsn += (uint32_t)__builtin_ctzll(rest);
            break;
        }
        tsn += 64 - bit % 64;
    }
    return tsn_before(receiver->highest_tsn, tsn) ? receiver->highest_tsn + 1 : tsn;
}

static size_t list_gaps(const struct sctp_receiver *receiver, struct sctp_gap_ack_block *blocks,
                        size_t capacity)
{
    uint32_t tsn = receiver->cumulative_tsn + 1;
    size_t count = 0;

    while (has_gap(receiver) && count < capacity) {
        uint32_t first = find_bit(receiver, tsn, true);

        if (tsn_before(receiver->highest_tsn, first))
            break;
        tsn = find_bit(receiver, first, false);
        blocks[count++] = (struct sctp_gap_ack_block){
            (uint16_t)(first - receiver->cumulative_tsn),
            (uint16_t)(tsn - 1 - receiver->cumulative_tsn),
        };
    }
    return count;
}

void receiver_write_sack(struct sctp_association *association, struct packet_writer *writer)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct sctp_gap_ack_block blocks[GAP_BLOCKS_MAXIMUM];
    size_t room = packet_writer_room(writer), count, duplicates;

    if (room < SCTP_SACK_HEADER_LENGTH)
        return;
    room = (room - SCTP_SACK_HEADER_LENGTH) / 4;
    count = list_gaps(receiver, blocks, room < GAP_BLOCKS_MAXIMUM ? room : GAP_BLOCKS_MAXIMUM);
    duplicates = receiver->duplicate_count;
    if (duplicates > room - count)
        duplicates = room - count;
    receiver->advertised = association_local_rwnd(association);
    receiver->arrived_bytes = 0;
    sack_write(writer, receiver->cumulative_tsn, receiver->advertised, blocks, count,
               receiver->duplicates, duplicates);
    receiver->duplicate_count = 0;
    receiver->unacknowledged_packets = 0;
    receiver->sack_now = receiver->sack_turned = false;
    association->send_sack = false;
    association->sacks_sent++;
    ecn_write_echo(association, writer);
    timer_stop(&association->engine->wheel, &receiver->sack_timer);
}

/* While a hole is open each packet has its SACK (7.2.4), as it was when the packet came. */
static void send_snapshot(struct sctp_association *association)
{
    struct sctp_path *path = association->paths[association->receiver.sack_path];
    struct packet_writer writer;
    struct response *response;

    if (association->engine->reply || association->engine->errors.length > 0)
        return; /* it will go with them */
    response = association_respond(association, &writer,
                                   path_packet_size(path) - SCTP_CHUNK_HEADER_LENGTH -
                                       (uint32_t)authentication_overhead(association));

    if (!response)
        return;
    receiver_write_sack(association, &writer);
    response_send_over(response, &writer, path);
    association->receiver.snapshots++;
}

/* 6.4: where the packet came from, unless that way is known to fail. What is all known already says
 * that our SACKs may not get there: each goes another way than the last, whatever we believe of it.
 */
static struct sctp_path *choose_sack_path(const struct sctp_association *association,
                                          const struct arrival *arrival)
{
    const struct sctp_receiver *receiver = &association->receiver;
    struct sctp_path *path = association_reply_path(association, arrival);
    struct sctp_path *best = association_data_path(association);

    if (!arrival->duplicate_seen || arrival->new_data_seen)
        return best->state == BRAID_PATH_ACTIVE && path->state != BRAID_PATH_ACTIVE ? best : path;
    path = association->paths[receiver->sack_path];
    return receiver->sack_turned ? path : association_other_path(association, path);
}

void receiver_packet_done(struct sctp_association *association, const struct arrival *arrival)
{
    struct sctp_receiver *receiver = &association->receiver;
    bool now = receiver->had_gap || has_gap(receiver) || !receiver->any_data ||
               (arrival->duplicate_seen && !arrival->new_data_seen);

    receiver->any_data = true;
    receiver->sack_path = choose_sack_path(association, arrival)->index;
    receiver->sack_turned = arrival->duplicate_seen && !arrival->new_data_seen;
    association_restart_autoclose(association);
    if (association->state ==
        BRAID_SHUTDOWN_SENT) { /* 9.2; only a SACK says how much room is left */
        receiver->sack_now = false;
        teardown_answer_data(association);
        return;
    }
    receiver->unacknowledged_packets++;
    receiver->sack_now |= now;
    if (has_gap(receiver) && receiver->snapshots < SNAPSHOTS)
        send_snapshot(association);
    if (list_is_empty(&association->touched_link))
        list_append(&association->engine->touched, &association->touched_link);
}

void receiver_batch_done(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;
    const struct braid_parameters *parameters = &association->parameters;
    uint32_t delay =
        minimum(path_sack_delay(association->paths[receiver->sack_path]), SACK_DELAY_MAXIMUM);

    receiver->snapshots = 0;
    if (receiver->sack_now ||
        (receiver->unacknowledged_packets > 0 &&
         (receiver->unacknowledged_packets >= parameters->sack_frequency || delay == 0))) {
        association->send_sack = true;
        association_set_ready(association);
    } else if (receiver->unacknowledged_packets > 0 && !timer_is_running(&receiver->sack_timer)) {
        timer_start(&association->engine->wheel, &receiver->sack_timer,
                    association->engine->now + milliseconds(delay));
    }
}
