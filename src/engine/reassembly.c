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
 */
#include <stdlib.h>

#include "engine/private.h"

/* ---- Buffers ---- */

static struct received_data *data_new(struct sctp_association *association,
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

static void data_append(struct sctp_association *association, struct received_data *data,
                        const uint8_t *bytes, size_t length)
{
    memcpy(data->bytes + data->length, bytes, length);
    data->length += (uint32_t)length;
    association->receiver.held_bytes += (uint32_t)length;
    association_charge(association, (int64_t)length);
}

/* Frees it unseen by the user. */
static void data_free(struct sctp_association *association, struct received_data *data)
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

static struct inbound_stream *find_stream(struct sctp_receiver *receiver, uint16_t stream)
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

static void tell_readable(struct sctp_association *association)
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

static void make_ready(struct sctp_association *association, struct received_data *message)
{
    struct sctp_receiver *receiver = &association->receiver;

    message->next = NULL;
    message->flags |= SCTP_DATA_FLAG_BEGINNING | SCTP_DATA_FLAG_ENDING;
    if (receiver->ready)
        receiver->ready_last->next = message;
    else
        receiver->ready = message;
    receiver->ready_last = message;
    receiver->ready_messages++;
    receiver->ready_bytes += message->length;
    association->messages_received++;
    tell_readable(association);
}

/* The next of the stream was delivered: those that only waited for it follow. */
static void advance_stream(struct sctp_association *association, struct inbound_stream *stream)
{
    stream->next_ssn++;
    while (stream->waiting && stream->waiting->ssn == stream->next_ssn) {
        struct received_data *message = stream->waiting;

        stream->waiting = message->next;
        stream->next_ssn++;
        association->receiver.waiting_chunks--;
        make_ready(association, message);
    }
}

static void wait_in_stream(struct inbound_stream *stream, struct received_data *message)
{
    struct received_data **place = &stream->waiting;

    if (stream->waiting && ssn_before(stream->waiting_last->ssn, message->ssn))
        place = &stream->waiting_last->next;
    while (*place && ssn_before((*place)->ssn, message->ssn))
        place = &(*place)->next;
    message->next = *place;
    *place = message;
    if (!message->next)
        stream->waiting_last = message;
}

/* 6.6: a whole message. */
static void deliver(struct sctp_association *association, struct received_data *message)
{
    struct inbound_stream *stream;

    if (message->flags & SCTP_DATA_FLAG_UNORDERED) {
        make_ready(association, message);
        return;
    }
    stream = find_stream(&association->receiver, message->stream);
    if (!stream || ssn_before(message->ssn, stream->next_ssn)) {
        association->engine->statistics.data_dropped++;
        data_free(association, message); /* its number was used before: there is no place for it */
    } else if (message->ssn == stream->next_ssn) {
        make_ready(association, message);
        advance_stream(association, stream);
    } else {
        association->receiver.waiting_chunks++;
        wait_in_stream(stream, message);
    }
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
    tell_readable(association);
}

static bool assembly_begin(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    size_t guess = receiver->last_message;

    if (receiver->assembly)
        return false; /* the message before has no end */
    if (guess < (size_t)2 * data->payload_length)
        guess = (size_t)2 * data->payload_length;
    receiver->assembly = data_new(association, data, guess);
    return true;
}

static bool assembly_append(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data *assembly = receiver->assembly;
    size_t needed = sizeof(*assembly) + assembly->length + data->payload_length;

    if (needed > assembly->allocated) {
        struct pool *pool = &association->engine->pool;
        size_t allocated = pool_size(2 * needed);
        struct received_data *grown = pool_allocate(pool, allocated);

        if (!grown)
            return false;
        memcpy(grown, assembly, sizeof(*assembly) + assembly->length);
        grown->allocated = (uint32_t)allocated;
        pool_release(pool, assembly, assembly->allocated);
        receiver->assembly = assembly = grown;
    }
    data_append(association, assembly, data->payload, data->payload_length);
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
    stream = find_stream(receiver, assembly->stream);
    if (stream && !(assembly->flags & SCTP_DATA_FLAG_UNORDERED))
        advance_stream(association, stream);
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
        message = data_new(association, data, data->payload_length);
        if (!message)
            return false;
        data_append(association, message, data->payload, data->payload_length);
        deliver(association, message);
        return true;
    }
    if (begins && !assembly_begin(association, data))
        return false;
    if (!receiver->assembly ||
        !same_message(receiver->assembly, data->stream, data->ssn, data->flags) ||
        !assembly_append(association, data))
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
    message = data_new(association,
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

        data_append(association, message, (*place)->bytes, (*place)->length);
        data_free(association, *place);
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
    struct received_data *held = data_new(association, data, data->payload_length);
    bool begins = data->flags & SCTP_DATA_FLAG_BEGINNING;
    bool ends = data->flags & SCTP_DATA_FLAG_ENDING;

    if (!held)
        return false;
    data_append(association, held, data->payload, data->payload_length);
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
    data_free(association, held);
    return taken;
}

/* ---- Partial delivery ---- */

static void tell_partial_delivery_aborted(struct sctp_association *association)
{
    const struct received_data *assembly = association->receiver.assembly;
    struct braid_event event = {
        .type = BRAID_EVENT_PARTIAL_DELIVERY_ABORTED,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .value = assembly->stream,
        .ssn = assembly->ssn,
    };

    event_add(association->engine, &event, NULL, 0);
}

static void free_list(struct sctp_association *association, struct received_data *data)
{
    while (data) {
        struct received_data *next = data->next;

        data_free(association, data);
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
        tell_partial_delivery_aborted(association);
    receiver->partial = false;
    data_free(association, receiver->assembly);
    receiver->assembly = NULL;
}

static bool is_next_in_stream(struct sctp_receiver *receiver, const struct received_data *data)
{
    struct inbound_stream *stream;

    if (data->flags & SCTP_DATA_FLAG_UNORDERED)
        return true;
    stream = find_stream(receiver, data->stream);
    return stream && stream->next_ssn == data->ssn;
}

void reassembly_deliver_partially(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data *piece = receiver->assembly, *rest;
    uint32_t point = association->parameters.partial_delivery_point;

    if (association->down || !piece || piece->length == 0)
        return;
    if (!receiver->partial &&
        (receiver->ready || !is_next_in_stream(receiver, piece) ||
         !((point && piece->length >= point) || association_local_rwnd(association) == 0)))
        return;
    rest = data_new(association,
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
    bool was_partial = association->receiver.partial;

    assembly_free(association, true);
    association->receiver.skipping = true;
    if (was_partial && association->receiver.ready) /* it stood before whole messages */
        tell_readable(association);
}

void reassembly_skip_stream(struct sctp_association *association,
                            const struct sctp_skipped_stream *skipped)
{
    struct inbound_stream *stream = find_stream(&association->receiver, skipped->stream);

    if (!stream)
        return;
    while (stream->waiting && !ssn_before(skipped->ssn, stream->waiting->ssn)) {
        struct received_data *message = stream->waiting;

        stream->waiting = message->next;
        association->receiver.waiting_chunks--;
        make_ready(association, message);
    }
    if (!ssn_before(skipped->ssn, stream->next_ssn)) {
        stream->next_ssn = skipped->ssn;
        advance_stream(association, stream);
    }
}

static void restart_stream(struct sctp_association *association, struct inbound_stream *stream)
{
    while (stream->waiting) {
        struct received_data *message = stream->waiting;

        stream->waiting = message->next;
        association->receiver.waiting_chunks--;
        make_ready(association, message);
    }
    stream->next_ssn = 0;
}

void reassembly_restart_streams(struct sctp_association *association, const uint16_t *streams,
                                size_t count)
{
    struct sctp_receiver *receiver = &association->receiver;

    for (size_t i = 0; i < count; i++) {
        struct inbound_stream *stream = find_stream(receiver, streams[i]);

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
        data = take_piece(receiver);
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
    return 0;
}

/* ---- The end ---- */

void reassembly_free(struct sctp_association *association, bool keep_messages)
{
    struct sctp_receiver *receiver = &association->receiver;

    for (uint32_t tsn = receiver->cumulative_tsn + 1;
         receiver->map_size && !tsn_before(receiver->highest_tsn, tsn); tsn++) {
        data_free(association, *receiver_held(receiver, tsn));
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
