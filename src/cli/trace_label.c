/*
 * The chunks of a packet in a few words, for a drawing.
 *
 * RFC 9260 section 3.3. TSNs are told from 1 on, as a reader counts; what was given as 1 is the
 * Initial TSN of the side that sends them.
 */
#include "cli/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/describe.h"
#include "packet/chunks.h"
#include "packet/wire.h"

struct label {
    char *text;
    size_t size, length;
};

/* DATA of one stream with consecutive TSNs is told together. */
struct run {
    bool open;
    const char *name;
    uint32_t first, last;
    uint16_t stream;
    uint8_t flags; /* of all of them: B, E, U */
};

static void __attribute__((format(printf, 2, 3))) add(struct label *label, const char *format, ...)
{
    va_list arguments;
    int written;

    va_start(arguments, format);
    written =
        /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is not */
        vsnprintf(label->text + label->length, label->size - label->length, format, arguments);
    va_end(arguments);
    if (written > 0)
        label->length += (size_t)written;
    if (label->length >= label->size)
        label->length = label->size - 1;
}

static void add_name(struct label *label, const char *name)
{
    add(label, "%s%s", label->length > 0 ? ", " : "", name);
}

uint32_t trace_relative_tsn(const struct trace_side *side, uint32_t tsn, bool absolute)
{
    return absolute || !side->tsn_known ? tsn : tsn - side->initial_tsn + 1;
}

static void run_close(struct label *label, struct run *run)
{
    if (!run->open)
        return;
    run->open = false;
    add_name(label, run->name);
    add(label, " %" PRIu32, run->first);
    if (run->last != run->first)
        add(label, "-%" PRIu32, run->last);
    add(label, " s%u", run->stream);
    if (run->flags & SCTP_DATA_FLAG_UNORDERED)
        add(label, " unordered");
    if (run->first == run->last) {
        if (!(run->flags & SCTP_DATA_FLAG_ENDING))
            add(label, run->flags & SCTP_DATA_FLAG_BEGINNING ? " first" : " middle");
        else if (!(run->flags & SCTP_DATA_FLAG_BEGINNING))
            add(label, " last");
    }
}

static void run_add(struct label *label, struct run *run, const char *name, uint32_t tsn,
                    uint16_t stream, uint8_t flags)
{
    if (run->open && run->name == name && tsn == run->last + 1 && stream == run->stream &&
        ((flags ^ run->flags) & SCTP_DATA_FLAG_UNORDERED) == 0) {
        run->last = tsn;
        return;
    }
    run_close(label, run);
    *run = (struct run){true, name, tsn, tsn, stream, flags};
}

static void add_sack(struct label *label, const struct trace_side *peer, bool absolute,
                     const struct sctp_sack *sack)
{
    uint32_t cumulative = trace_relative_tsn(peer, sack->cumulative_tsn_ack, absolute);

    add(label, " %" PRIu32, cumulative);
    for (size_t i = 0; i < sack->gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(sack, i);

        add(label, i == 0 ? " +" : ",");
        add(label, "%" PRIu32, cumulative + block.start);
        if (block.end != block.start)
            add(label, "-%" PRIu32, cumulative + block.end);
    }
    for (size_t i = 0; i < sack->duplicate_tsn_count; i++)
        add(label, "%s%" PRIu32, i == 0 ? " twice " : ",",
            trace_relative_tsn(peer, sack_duplicate_tsn(sack, i), absolute));
    if (sack->a_rwnd == 0)
        add(label, " no room");
}

static void add_first_cause(struct label *label, const uint8_t *causes, size_t length)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;

    parameter_iterator_init(&iterator, causes, length);
    if (parameter_next(&iterator, &cause))
        add(label, ": %s", describe_cause_code(cause.type));
}

static void add_chunk(struct label *label, const struct trace_side *sender,
                      const struct trace_side *peer, bool absolute, const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;
    struct sctp_abort abort;
    struct sctp_error error;
    struct sctp_sack sack;
    uint32_t cumulative;

    add_name(label, describe_chunk_type(chunk->type));
    switch (chunk->type) {
    case SCTP_CHUNK_SACK:
        if (sack_read(chunk, &sack))
            add_sack(label, peer, absolute, &sack);
        break;
    case SCTP_CHUNK_SHUTDOWN:
        if (shutdown_read(chunk, &cumulative))
            add(label, " %" PRIu32, trace_relative_tsn(peer, cumulative, absolute));
        break;
    case SCTP_CHUNK_FORWARD_TSN:
        if (forward_tsn_read(chunk, &forward))
            add(label, " %" PRIu32,
                trace_relative_tsn(sender, forward.new_cumulative_tsn, absolute));
        break;
    case SCTP_CHUNK_ABORT:
        if (abort_read(chunk, &abort))
            add_first_cause(label, abort.causes, abort.causes_length);
        break;
    case SCTP_CHUNK_ERROR:
        if (error_read(chunk, &error))
            add_first_cause(label, error.causes, error.causes_length);
        break;
    default:
        break;
    }
}

size_t trace_label(const struct trace *trace, const struct trace_packet *packet, bool absolute,
                   char *text, size_t size)
{
    const struct trace_association *association = &trace->associations[packet->association];
    const struct trace_side *sender = &association->sides[packet->side];
    struct label label = {text, size, 0};
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct run run = {0};

    text[0] = '\0';
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        struct sctp_data data;

        if (chunk.type == SCTP_CHUNK_DATA && data_read(&chunk, &data)) {
            run_add(&label, &run, "DATA", trace_relative_tsn(sender, data.tsn, absolute),
                    data.stream, data.flags);
        } else if (chunk.type == SCTP_CHUNK_I_DATA && chunk.value_length >= 16) {
            run_add(&label, &run, "I-DATA",
                    trace_relative_tsn(sender, wire_get_u32(chunk.value), absolute),
                    wire_get_u16(chunk.value + 4), chunk.flags);
        } else {
            run_close(&label, &run);
            add_chunk(&label, sender, &association->sides[!packet->side], absolute, &chunk);
        }
    }
    run_close(&label, &run);
    if (label.length == 0)
        add(&label, "no chunk");
    return label.length;
}
