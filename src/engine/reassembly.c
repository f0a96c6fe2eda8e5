/*
 * From chunks to messages, and from messages to the user.
 *
 * RFC 9260, section 6.9 (fragmentation and reassembly), section 6.6 (ordered and unordered
 * delivery), section 2.7 and RFC 6458, section 8.1.21 (partial delivery).
 *
 * What comes in the order of the TSNs grows into one message, the assembly; one chunk that is a
 * whole message goes straight through. A chunk beyond a gap is held, and knows the ends of the run
 * of held chunks of its message that it stands in: when a run has both ends, the message is whole
 * and need not wait for the gap, unless an earlier one of its stream does.
 *
 * From chunks of I-DATA messages grow in interleaving.c; what becomes of a whole one stands here.
 */
#include "engine/reassembly.h"

#include <stdlib.h>

/* ---- Buffers ---- */

struct received_data *reassembly_new(struct sctp_association *association,
                                     const struct sctp_data *from, size_t capacity)
{
    size_t allocated = pool_size(sizeof(struct received_data) + capacity);
    struct received_data *data = pool_allocate(&association->engine->pool, allocated);

    if (!data)
        return NULL;
    *data = (struct received_data){
        .allocated = (uint32_t)allocated,
        .ppid = from->ppid,
        .tsn = from->tsn,
        .run_first = from->tsn,
        .run_last = from->tsn,
        .stream = from->stream,
        .ssn = from->flags & SCTP_DATA_FLAG_UNORDERED ? 0 : from->ssn,
        .flags = from->flags,
        .association = association->id,
    };
    return data;
}

void reassembly_drop(struct sctp_association *association, struct received_data *data)
{
    if (!data)
        return;
    association->receiver.held_bytes -= data->length;
    association_charge(association, -(int64_t)data->length);
    pool_release(&association->engine->pool, data, data->allocated);
}

static bool same_message(const struct received_data *data, uint16_t stream, uint16_t ssn,
                         uint8_t flags)
{
    bool unordered = flags & SCTP_DATA_FLAG_UNORDERED;

    return data->stream == stream && unordered == !!(data->flags & SCTP_DATA_FLAG_UNORDERED) &&
           (unordered || data->ssn == ssn);
}

/* ---- Streams ---- */

struct inbound_stream *reassembly_make_stream(struct sctp_receiver *receiver, uint16_t stream)
{
    uint32_t page = stream / STREAM_PAGE;

    if (page >= receiver->page_count) {
        struct inbound_stream **pages =
            realloc(receiver->pages, (page + 1) * sizeof(struct inbound_stream *));

        if (!pages)
            return NULL;
        memset(pages + receiver->page_count, 0,
               (page + 1 - receiver->page_count) * sizeof(struct inbound_stream *));
        receiver->pages = pages;
        receiver->page_count = page + 1;
    }
    if (!receiver->pages[page])
        receiver->pages[page] = calloc(STREAM_PAGE, sizeof(struct inbound_stream));
    return receiver->pages[page] ? &receiver->pages[page][stream % STREAM_PAGE] : NULL;
}

void reassembly_tell_readable(struct sctp_association *association)
{
    struct braid_event event = {
        .type = BRAID_EVENT_READABLE,
        .association = association->id,
        .endpoint = association->endpoint->id,
    };

    if (association->receiver.told_readable)
        return;
    association->receiver.told_readable = true;
    event_add(association->engine, &event, NULL, 0);
}

void reassembly_append_ready(struct sctp_association *association, struct received_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;

    data->next = NULL;
    if (receiver->ready)
        receiver->ready_last->next = data;
    else
        receiver->ready = data;
    receiver->ready_last = data;
    receiver->ready_messages++;
    receiver->ready_bytes += data->length;
    association->messages_received += (data->flags & SCTP_DATA_FLAG_ENDING) != 0;
    reassembly_tell_readable(association);
}

static void make_ready(struct sctp_association *association, struct received_data *message)
{
    message->flags |= SCTP_DATA_FLAG_BEGINNING | SCTP_DATA_FLAG_ENDING;
    reassembly_append_ready(association, message);
}

void reassembly_advance(struct sctp_association *association, struct inbound_stream *stream)
{
    stream->next_number++;
    while (stream->waiting && stream->waiting->number == stream->next_number) {
        struct received_data *message = stream->waiting;

        stream->waiting = message->next;
        stream->next_number++;
        association->receiver.waiting_chunks--;
        make_ready(association, message);
    }
}

static void wait_in_stream(struct inbound_stream *stream, struct received_data *message)
{
    struct received_data **place = &stream->waiting;

    if (stream->waiting && tsn_before(stream->waiting_last->number, message->number))
        place = &stream->waiting_last->next;
    while (*place && tsn_before((*place)->number, message->number))
        place = &(*place)->next;
    message->next = *place;
    *place = message;
    if (!message->next)
        stream->waiting_last = message;
}

/* The number that an SSN stands for: of those that end so, the one next to what is expected. */
static uint32_t widen(const struct inbound_stream *stream, uint16_t ssn)
{
    return stream->next_number + (uint32_t)(int16_t)(uint16_t)(ssn - stream->next_number);
}

static void place(struct sctp_association *association, struct inbound_stream *stream,
                  struct received_data *message)
{
    if (stream && message->number == stream->next_number) {
        make_ready(association, message);
        reassembly_advance(association, stream);
    } else if (stream && tsn_before(stream->next_number, message->number)) {
        association->receiver.waiting_chunks++;
        wait_in_stream(stream, message);
    } else { /* its number was used before: there is no place for it */
        association->engine->statistics.data_dropped++;
        reassembly_drop(association, message);
    }
}

void reassembly_deliver(struct sctp_association *association, struct received_data *message)
{
    if (message->flags & SCTP_DATA_FLAG_UNORDERED)
        make_ready(association, message);
    else
        place(association, reassembly_stream(&association->receiver, message->stream), message);
}

/* The same of DATA. */
static void deliver(struct sctp_association *association, struct received_data *message)
{
    struct inbound_stream *stream;

    if (message->flags & SCTP_DATA_FLAG_UNORDERED) {
        make_ready(association, message);
        return;
    }
    stream = reassembly_stream(&association->receiver, message->stream);
    if (stream && message->ssn == (uint16_t)stream->next_number) {
        make_ready(association, message);
        reassembly_advance(association, stream);
        return;
    }
    if (stream)
        message->number = widen(stream, message->ssn);
    place(association, stream, message);
}

bool reassembly_used(struct sctp_association *association, const struct sctp_data *data)
{
    const struct inbound_stream *stream;

    if ((data->flags & SCTP_DATA_FLAG_UNORDERED) || data->stream >= association->inbound_streams)
        return false;
    stream = reassembly_stream(&association->receiver, data->stream);
    return stream && tsn_before(association->interleaving ? data->mid : widen(stream, data->ssn),
                                stream->next_number);
}

/* ---- In order: the assembly ---- */

static void add_piece(struct sctp_association *association, struct received_data *piece)
{
    struct sctp_receiver *receiver = &association->receiver;

    piece->next = NULL;
    if (receiver->pieces)
        receiver->pieces_last->next = piece;
    else
        receiver->pieces = piece;
    receiver->pieces_last = piece;
    reassembly_tell_readable(association);
}

static bool assembly_begin(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    size_t guess = receiver->last_message;

    if (receiver->assembly)
        return false; /* the message before has no end */
    if (guess < (size_t)2 * data->payload_length)
        guess = (size_t)2 * data->payload_length;
    receiver->assembly = reassembly_new(association, data, guess);
    return true;
}

bool reassembly_enlarge(struct sctp_association *association, struct received_data **message,
                        size_t needed)
{
    struct pool *pool = &association->engine->pool;
    size_t allocated = pool_size(2 * needed);
    struct received_data *before = *message, *grown = pool_allocate(pool, allocated);

    if (!grown)
        return false;
    memcpy(grown, before, sizeof(*before) + before->length);
    grown->allocated = (uint32_t)allocated;
    pool_release(pool, before, before->allocated);
    *message = grown;
    return true;
}

static void assembly_end(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data *assembly = receiver->assembly;
    struct inbound_stream *stream;

    receiver->assembly = NULL;
    if (!receiver->partial) {
        receiver->last_message = minimum(assembly->length, 1u << POOL_LARGEST);
        deliver(association, assembly);
        return;
    }
    receiver->partial = false;
    assembly->flags |= SCTP_DATA_FLAG_ENDING;
    association->messages_received++;
    add_piece(association, assembly);
    stream = reassembly_stream(receiver, assembly->stream);
    if (stream && !(assembly->flags & SCTP_DATA_FLAG_UNORDERED))
        reassembly_advance(association, stream);
}

bool reassembly_take(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    bool begins = data->flags & SCTP_DATA_FLAG_BEGINNING;
    bool ends = data->flags & SCTP_DATA_FLAG_ENDING;

    if (receiver->skipping && !begins) { /* what came before it was skipped */
        receiver->skipping = !ends;
        return true;
    }
    receiver->skipping = false;
    if (begins && ends) {
        struct received_data *message;

        if (receiver->assembly)
            return false;
        message = reassembly_new(association, data, data->payload_length);
        if (!message)
            return false;
        reassembly_copy(association, message, data->payload, data->payload_length);
        deliver(association, message);
        return true;
    }
    if (begins && !assembly_begin(association, data))
        return false;
    if (!receiver->assembly ||
        !same_message(receiver->assembly, data->stream, data->ssn, data->flags) ||
        !reassembly_append(association, &receiver->assembly, data->payload, data->payload_length))
        return false;
    if (ends)
        assembly_end(association);
    return true;
}

/* ---- Beyond a gap: runs of held chunks ---- */

static struct received_data *held_neighbour(const struct sctp_receiver *receiver, uint32_t tsn)
{
    if (!tsn_before(receiver->cumulative_tsn, tsn) || tsn_before(receiver->highest_tsn, tsn))
        return NULL;
    return *receiver_held(receiver, tsn);
}

static void assemble_run(struct sctp_association *association, uint32_t first, uint32_t last)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data *head = *receiver_held(receiver, first);
    struct received_data *message;
    size_t length = 0;

    for (uint32_t tsn = first; !tsn_before(last, tsn); tsn++)
        length += (*receiver_held(receiver, tsn))->length;
    message = reassembly_new(association,
                             &(struct sctp_data){.flags = head->flags,
                                                 .stream = head->stream,
                                                 .ssn = head->ssn,
                                                 .tsn = head->tsn,
                                                 .ppid = head->ppid},
                             length);
    if (!message)
        return; /* it is tried again when the Cumulative TSN comes by */
    for (uint32_t tsn = first; !tsn_before(last, tsn); tsn++) {
        struct received_data **place = receiver_held(receiver, tsn);

        reassembly_copy(association, message, (*place)->bytes, (*place)->length);
        reassembly_drop(association, *place);
        *place = NULL;
        receiver->waiting_chunks--;
    }
    deliver(association, message);
}

bool reassembly_hold(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data *before = held_neighbour(receiver, data->tsn - 1);
    struct received_data *after = held_neighbour(receiver, data->tsn + 1);
    struct received_data *held = reassembly_new(association, data, data->payload_length);
    bool begins = data->flags & SCTP_DATA_FLAG_BEGINNING;
    bool ends = data->flags & SCTP_DATA_FLAG_ENDING;

    if (!held)
        return false;
    reassembly_copy(association, held, data->payload, data->payload_length);
    if (begins && ends) {
        deliver(association, held);
        return true;
    }
    *receiver_held(receiver, data->tsn) = held;
    receiver->waiting_chunks++;
    /* A fragment stands beside its own message's, or where one ends and another begins. */
    if (before && !begins) {
        if (before->flags & SCTP_DATA_FLAG_ENDING ||
            !same_message(before, data->stream, data->ssn, data->flags))
            return false;
        held->run_first = before->run_first;
    } else if (before && !(before->flags & SCTP_DATA_FLAG_ENDING)) {
        return false;
    }
    if (after && !ends) {
        if (after->flags & SCTP_DATA_FLAG_BEGINNING ||
            !same_message(after, data->stream, data->ssn, data->flags))
            return false;
        held->run_last = after->run_last;
    } else if (after && !(after->flags & SCTP_DATA_FLAG_BEGINNING)) {
        return false;
    }

    struct received_data *head = *receiver_held(receiver, held->run_first);
    struct received_data *tail = *receiver_held(receiver, held->run_last);

    head->run_last = held->run_last;
    tail->run_first = held->run_first;
    if (head->flags & SCTP_DATA_FLAG_BEGINNING && tail->flags & SCTP_DATA_FLAG_ENDING)
        assemble_run(association, head->tsn, tail->tsn);
    return true;
}

bool reassembly_take_held(struct sctp_association *association, uint32_t tsn)
{
    struct received_data **place = receiver_held(&association->receiver, tsn);
    struct received_data *held = *place;
    struct sctp_data data;
    bool taken;

    if (!held) {
        /* It went out with a whole message: then none can be open. */
        association->receiver.skipping = false;
        return !association->receiver.assembly;
    }
    *place = NULL;
    association->receiver.waiting_chunks--;
    data = (struct sctp_data){
        .flags = held->flags,
        .stream = held->stream,
        .ssn = held->ssn,
        .payload_length = (uint16_t)held->length,
        .tsn = held->tsn,
        .ppid = held->ppid,
        .payload = held->bytes,
    };
    taken = reassembly_take(association, &data);
    reassembly_drop(association, held);
    return taken;
}

/* ---- Partial delivery ---- */

void reassembly_tell_aborted(struct sctp_association *association, uint16_t stream, uint16_t ssn)
{
    struct braid_event event = {
        .type = BRAID_EVENT_PARTIAL_DELIVERY_ABORTED,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .value = stream,
        .ssn = ssn,
    };

    event_add(association->engine, &event, NULL, 0);
}

static void free_list(struct sctp_association *association, struct received_data *data)
{
    while (data) {
        struct received_data *next = data->next;

        reassembly_drop(association, data);
        data = next;
    }
}

/* Drops what the user has not yet read of the message in partial delivery: nothing of it is to come
 * after he was told that its rest will not. False if he has read nothing at all of it. */
static bool drop_pieces(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data **place = &receiver->pieces, *last = NULL;
    bool read;

    for (struct received_data *piece = receiver->pieces; piece; piece = piece->next) {
        if (piece->flags & SCTP_DATA_FLAG_ENDING) { /* of the message before */
            last = piece;
            place = &piece->next;
        }
    }
    read = !*place || !((*place)->flags & SCTP_DATA_FLAG_BEGINNING);
    free_list(association, *place);
    *place = NULL;
    receiver->pieces_last = last;
    return read;
}

/* What was assembled of a message will not become whole. */
static void assembly_free(struct sctp_association *association, bool tell)
{
    struct sctp_receiver *receiver = &association->receiver;

    if (receiver->partial && tell && drop_pieces(association))
        reassembly_tell_aborted(association, receiver->assembly->stream, receiver->assembly->ssn);
    if (receiver->partial && tell && receiver->ready) /* it stood before whole messages */
        reassembly_tell_readable(association);
    receiver->partial = false;
    reassembly_drop(association, receiver->assembly);
    receiver->assembly = NULL;
}

static bool is_next_in_stream(struct sctp_receiver *receiver, const struct received_data *data)
{
    struct inbound_stream *stream;

    if (data->flags & SCTP_DATA_FLAG_UNORDERED)
        return true;
    stream = reassembly_stream(receiver, data->stream);
    return stream && (uint16_t)stream->next_number == data->ssn;
}

void reassembly_deliver_partially(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data *piece = receiver->assembly, *rest;
    uint32_t point = association->parameters.partial_delivery_point;

    if (receiver->interleaving)
        interleaving_deliver_partially(association);
    if (association->down || !piece || piece->length == 0)
        return;
    if (!receiver->partial &&
        (receiver->ready || !is_next_in_stream(receiver, piece) ||
         !((point && piece->length >= point) || association_local_rwnd(association) == 0)))
        return;
    rest = reassembly_new(
        association,
        &(struct sctp_data){.flags = piece->flags & (uint8_t)~SCTP_DATA_FLAG_BEGINNING,
                            .stream = piece->stream,
                            .ssn = piece->ssn,
                            .tsn = piece->tsn,
                            .ppid = piece->ppid},
        piece->length);
    if (!rest)
        return;
    receiver->assembly = rest;
    receiver->partial = true;
    add_piece(association, piece);
}

/* ---- What will not come: RFC 3758, section 3.6 ---- */

void reassembly_skip(struct sctp_association *association)
{
    assembly_free(association, true);
    association->receiver.skipping = true;
}

void reassembly_skip_numbers(struct sctp_association *association, struct inbound_stream *stream,
                             uint32_t last)
{
    while (stream->waiting && !tsn_before(last, stream->waiting->number)) {
        struct received_data *message = stream->waiting;

        stream->waiting = message->next;
        association->receiver.waiting_chunks--;
        make_ready(association, message);
    }
    if (!tsn_before(last, stream->next_number)) {
        stream->next_number = last;
        reassembly_advance(association, stream);
    }
}

void reassembly_skip_stream(struct sctp_association *association,
                            const struct sctp_skipped_stream *skipped)
{
    struct inbound_stream *stream = reassembly_stream(&association->receiver, skipped->stream);

    if (stream)
        reassembly_skip_numbers(association, stream, widen(stream, skipped->ssn));
}

static void restart_stream(struct sctp_association *association, struct inbound_stream *stream)
{
    while (stream->waiting) {
        struct received_data *message = stream->waiting;

        stream->waiting = message->next;
        association->receiver.waiting_chunks--;
        make_ready(association, message);
    }
    stream->next_number = 0;
}

void reassembly_restart_streams(struct sctp_association *association, const uint16_t *streams,
                                size_t count)
{
    struct sctp_receiver *receiver = &association->receiver;

    interleaving_restart_streams(association, streams, count);
    for (size_t i = 0; i < count; i++) {
        struct inbound_stream *stream = reassembly_stream(receiver, streams[i]);

        if (stream)
            restart_stream(association, stream);
    }
    for (uint32_t page = 0; count == 0 && page < receiver->page_count; page++) {
        for (uint32_t i = 0; receiver->pages[page] && i < STREAM_PAGE; i++)
            restart_stream(association, &receiver->pages[page][i]);
    }
}

/* ---- The user's side ---- */

static struct received_data *take_piece(struct sctp_receiver *receiver)
{
    struct received_data *piece = receiver->pieces;

    if (piece)
        receiver->pieces = piece->next;
    return piece;
}

static struct received_data *take_ready(struct sctp_receiver *receiver)
{
    struct received_data *message = receiver->ready;

    if (!message || receiver->partial) /* a begun message is finished first */
        return NULL;
    receiver->ready = message->next;
    receiver->ready_messages--;
    receiver->ready_bytes -= message->length;
    return message;
}

int braid_receive(struct braid_engine *engine, uint32_t identifier, struct braid_received *received,
                  braid_time now)
{
    struct sctp_association *association = association_find(engine, identifier);
    struct sctp_receiver *receiver;
    struct received_data *data;

    if (now > engine->now)
        engine->now = now;
    if (!association)
        return -ENOENT;
    receiver = &association->receiver;
    data = take_piece(receiver);
    if (!data)
        data = take_ready(receiver);
    if (!data) {
        reassembly_deliver_partially(association);
        data = association->interleaving ? take_ready(receiver) : take_piece(receiver);
    }
    if (!data) {
        receiver->told_readable = false;
        return 0;
    }
    *received = (struct braid_received){
        .bytes = data->bytes,
        .length = data->length,
        .stream = data->stream,
        .ssn = data->ssn,
        .ppid = data->ppid,
        .tsn = data->tsn,
        .cumulative_tsn = receiver->cumulative_tsn,
        .message = data,
    };
    received->flags =
        (uint16_t)((data->flags & SCTP_DATA_FLAG_UNORDERED ? BRAID_RECEIVE_UNORDERED : 0) |
                   (data->flags & SCTP_DATA_FLAG_BEGINNING ? BRAID_RECEIVE_BEGIN : 0) |
                   (data->flags & SCTP_DATA_FLAG_ENDING ? BRAID_RECEIVE_END : 0));
    return 1;
}

void braid_received_release(struct braid_engine *engine, struct braid_received *received,
                            braid_time now)
{
    struct received_data *data = received->message;
    struct sctp_association *association;

    if (now > engine->now)
        engine->now = now;
    if (!data)
        return;
    association = association_find(engine, data->association);
    if (association) {
        association->receiver.held_bytes -= data->length;
        association_charge(association, -(int64_t)data->length);
        receiver_window_opened(association);
    }
    pool_release(&engine->pool, data, data->allocated);
    received->message = NULL;
}

int braid_association_hold(struct braid_engine *engine, uint32_t identifier, uint32_t bytes,
                           braid_time now)
{
    struct sctp_association *association = association_find(engine, identifier);

    if (now > engine->now)
        engine->now = now;
    if (!association)
        return -ENOENT;
    association_charge(association, (int64_t)bytes - association->receiver.user_held);
    association->receiver.user_held = bytes;
    receiver_window_opened(association);
    return bytes > 0 && receiver_window_is_small(association) ? 1 : 0;
}

/* ---- The end ---- */

void reassembly_free(struct sctp_association *association, bool keep_messages)
{
    struct sctp_receiver *receiver = &association->receiver;

    interleaving_free(association, keep_messages);
    for (uint32_t tsn = receiver->cumulative_tsn + 1;
         receiver->map_size && !tsn_before(receiver->highest_tsn, tsn); tsn++) {
        reassembly_drop(association, *receiver_held(receiver, tsn));
        *receiver_held(receiver, tsn) = NULL;
    }
    for (uint32_t page = 0; page < receiver->page_count; page++) {
        for (uint32_t i = 0; receiver->pages[page] && i < STREAM_PAGE; i++)
            free_list(association, receiver->pages[page][i].waiting);
        free(receiver->pages[page]);
    }
    free(receiver->pages);
    receiver->pages = NULL;
    receiver->page_count = receiver->waiting_chunks = 0;
    assembly_free(association, keep_messages);
    if (keep_messages)
        return;
    free_list(association, receiver->ready);
    free_list(association, receiver->pieces);
    receiver->ready = receiver->pieces = NULL;
}
