/*
 * What became of DATA: which packet carried a TSN first, which again, and which SACK acknowledged
 * it.
 *
 * RFC 9260 section 6.2.1 (SACK), section 6.3.3 and 7.2.4 (retransmissions), section 9.2 (SHUTDOWN
 * acknowledges too), RFC 3758 (FORWARD TSN), RFC 8260 (I-DATA, I-FORWARD TSN).
 */
#include "cli/trace.h"

#include "packet/chunks.h"
#include "packet/wire.h"

#define I_DATA_HEADER_LENGTH 20

static uint64_t tsn_key(uint32_t association, unsigned int side, uint32_t tsn)
{
    return (uint64_t)(association * 2 + side) << 32 | tsn;
}

static bool tsn_reached(uint32_t tsn, uint32_t cumulative)
{
    return (int32_t)(cumulative - tsn) >= 0;
}

static bool tsn_sent(struct trace *trace, uint32_t index, uint32_t tsn, uint32_t payload_length)
{
    struct trace_packet *packet = &trace->packets[index];
    struct trace_side *side = &trace->associations[packet->association].sides[packet->side];
    uint64_t key = tsn_key(packet->association, packet->side, tsn);
    uint32_t known = trace_map_get(&trace->by_tsn, key);
    struct trace_record *record;

    if (side->data_seen && (side->data_from != packet->from || side->data_to != packet->to))
        packet->marks |= TRACE_OTHER_PATH;
    side->data_from = packet->from;
    side->data_to = packet->to;
    side->data_seen = true;
    if (!side->tsn_known) {
        side->initial_tsn = tsn;
        side->tsn_known = true;
    }
    if (known != TRACE_NONE) {
        record = &trace->records[known];
        packet->marks |= TRACE_RETRANSMISSION;
        if (record->acknowledged == TRACE_NONE)
            trace->packets[record->last_packet].marks |= TRACE_LOST;
        else
            packet->marks |= TRACE_NEEDLESS;
        record->previous_packet = record->last_packet;
        record->last_packet = index;
        return true;
    }
    if (!trace_reserve((void **)&trace->records, &trace->record_capacity, trace->record_count + 1,
                       sizeof(*trace->records)) ||
        !trace_reserve((void **)&side->outstanding, &side->outstanding_capacity,
                       side->outstanding_end + 1, sizeof(*side->outstanding)) ||
        !trace_map_set(&trace->by_tsn, key, (uint32_t)trace->record_count))
        return false;
    side->outstanding[side->outstanding_end++] = (uint32_t)trace->record_count;
    side->in_flight += payload_length;
    record = &trace->records[trace->record_count++];
    *record = (struct trace_record){.tsn = tsn,
                                    .payload_length = payload_length,
                                    .first_packet = index,
                                    .previous_packet = TRACE_NONE,
                                    .last_packet = index,
                                    .acknowledged = TRACE_NONE};
    return true;
}

/* Is a TSN in a gap ack block: the blocks stand in ascending order, or are none that can be read.
 */
static bool in_gap_ack_block(const struct sctp_sack *sack, uint32_t tsn)
{
    uint32_t offset = tsn - sack->cumulative_tsn_ack;
    size_t low = 0, high = sack->gap_ack_block_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct sctp_gap_ack_block block = sack_gap_ack_block(sack, middle);

        if (offset > block.end)
            low = middle + 1;
        else if (offset < block.start)
            high = middle;
        else
            return true;
    }
    return false;
}

/* The sender of a SACK or SHUTDOWN has all of the other side's DATA up to it, and what the gap ack
 * blocks of `sack` name. */
static void tsns_acknowledged(struct trace *trace, uint32_t index, uint32_t cumulative,
                              const struct sctp_sack *sack)
{
    const struct trace_packet *packet = &trace->packets[index];
    struct trace_side *side = &trace->associations[packet->association].sides[!packet->side];
    size_t kept = side->outstanding_begin;
    bool gaps = sack && sack->gap_ack_block_count > 0;

    for (size_t i = side->outstanding_begin; i < side->outstanding_end; i++) {
        struct trace_record *record = &trace->records[side->outstanding[i]];

        if (tsn_reached(record->tsn, cumulative) || (gaps && in_gap_ack_block(sack, record->tsn))) {
            record->acknowledged = index;
            trace->packets[record->last_packet].acknowledged = index;
            side->in_flight -= record->payload_length;
        } else if (!gaps && kept == side->outstanding_begin) {
            /* They stand in the order of sending: the rest was not acknowledged either. */
            side->outstanding_begin = i;
            return;
        } else {
            side->outstanding[kept++] = side->outstanding[i];
        }
    }
    side->outstanding_end = kept;
    if (side->outstanding_begin == side->outstanding_end)
        side->outstanding_begin = side->outstanding_end = 0;
}

/* The receiver had it twice: no transmission of it was lost, and the last was for nothing. */
static void tsn_duplicate(struct trace *trace, uint32_t index, uint32_t tsn)
{
    const struct trace_packet *packet = &trace->packets[index];
    uint32_t known =
        trace_map_get(&trace->by_tsn, tsn_key(packet->association, !packet->side, tsn));
    struct trace_record *record;

    if (known == TRACE_NONE)
        return;
    record = &trace->records[known];
    if (record->previous_packet == TRACE_NONE)
        return;
    trace->packets[record->previous_packet].marks &= ~(uint32_t)TRACE_LOST;
    trace->packets[record->last_packet].marks |= TRACE_NEEDLESS;
}

static void judge_sack(struct trace *trace, uint32_t index, const struct sctp_sack *sack)
{
    struct trace_packet *packet = &trace->packets[index];

    if (sack->gap_ack_block_count > 0)
        packet->marks |= TRACE_GAPS;
    if (sack->a_rwnd == 0)
        packet->marks |= TRACE_ZERO_WINDOW;
    for (size_t i = 0; i < sack->duplicate_tsn_count; i++)
        tsn_duplicate(trace, index, sack_duplicate_tsn(sack, i));
    tsns_acknowledged(trace, index, sack->cumulative_tsn_ack, sack);
}

/* The sender gave up what the other side does not have: it is no longer in flight. */
static void tsns_abandoned(struct trace *trace, uint32_t index, uint32_t cumulative)
{
    const struct trace_packet *packet = &trace->packets[index];
    struct trace_side *side = &trace->associations[packet->association].sides[packet->side];
    size_t kept = side->outstanding_begin;

    for (size_t i = side->outstanding_begin; i < side->outstanding_end; i++) {
        struct trace_record *record = &trace->records[side->outstanding[i]];

        if (tsn_reached(record->tsn, cumulative))
            side->in_flight -= record->payload_length;
        else
            side->outstanding[kept++] = side->outstanding[i];
    }
    side->outstanding_end = kept;
}

bool trace_judge_chunk(struct trace *trace, uint32_t packet, const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;
    struct sctp_data data;
    struct sctp_sack sack;
    uint32_t cumulative;

    switch (chunk->type) {
    case SCTP_CHUNK_DATA:
        return !data_read(chunk, &data) || tsn_sent(trace, packet, data.tsn, data.payload_length);
    case SCTP_CHUNK_I_DATA:
        return chunk->length < I_DATA_HEADER_LENGTH ||
               tsn_sent(trace, packet, wire_get_u32(chunk->value),
                        chunk->length - I_DATA_HEADER_LENGTH);
    case SCTP_CHUNK_SACK:
        if (sack_read(chunk, &sack))
            judge_sack(trace, packet, &sack);
        return true;
    case SCTP_CHUNK_SHUTDOWN:
        if (shutdown_read(chunk, &cumulative))
            tsns_acknowledged(trace, packet, cumulative, NULL);
        return true;
    case SCTP_CHUNK_FORWARD_TSN:
        if (forward_tsn_read(chunk, &forward))
            tsns_abandoned(trace, packet, forward.new_cumulative_tsn);
        return true;
    case SCTP_CHUNK_I_FORWARD_TSN:
        if (chunk->value_length >= 4)
            tsns_abandoned(trace, packet, wire_get_u32(chunk->value));
        return true;
    default:
        return true;
    }
}
