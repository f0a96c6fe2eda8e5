/*
 * From I-DATA chunks to messages.
 *
 * RFC 8260, section 2.2.3 (the receiver's side), section 2.3 (I-FORWARD-TSN); RFC 9260, section 6.9
 * (partial delivery).
 *
 * A chunk says which message it is of (stream, order, MID) and where it stands in it (FSN); its TSN
 * says nothing about that. So several messages grow at a time, each from its first chunk on; chunks
 * that are ahead of others of their message are held until those come. A peer can begin as many
 * messages, and leave as many holes, as the window lets it, in whatever order it likes: both are
 * found in trees.
 *
 * A message that is delivered in pieces stands between others where its pieces came: whoever agreed
 * on I-DATA said that he can take them so (section 2.2.1).
 */
#include <stdlib.h>

#include "engine/reassembly.h"
#include "engine/tree.h"

/* A chunk that is ahead of others of its message. */
struct held_chunk {
    struct tree_node node; /* by FSN */
    uint16_t length;
    uint8_t bytes[];
};

struct growing_message {
    struct tree_node node;       /* by stream, order and MID */
    struct list candidate;       /* it could be delivered in pieces, but need not yet */
    struct received_data *begun; /* what came of it without a hole; NULL: nothing, or all of that
                                    was delivered */
    struct tree_node *held;
    uint32_t next_fsn;    /* the first that is missing */
    uint32_t highest_fsn; /* of those that came */
    uint32_t ppid;
    bool first_came, last_came; /* then highest_fsn is the last */
    bool partial;               /* of it pieces were delivered */
};

struct interleaving {
    struct tree_node *messages;
    struct list candidates;
    uint64_t random; /* for the trees */
};

/* ---- Where things stand ---- */

static uint64_t message_key(uint16_t stream, bool unordered, uint32_t mid)
{
    return (uint64_t)stream << 33 | (uint64_t)unordered << 32 | mid;
}

static uint16_t stream_of(const struct growing_message *message)
{
    return (uint16_t)(message->node.key >> 33);
}

static bool is_unordered(const struct growing_message *message)
{
    return message->node.key >> 32 & 1;
}

static uint32_t mid_of(const struct growing_message *message)
{
    return (uint32_t)message->node.key;
}

/* A xorshift: nobody sees what it gives. */
static uint32_t random_priority(struct interleaving *interleaving)
{
    uint64_t x = interleaving->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    interleaving->random = x;
    return (uint32_t)(x >> 32);
}

static struct interleaving *get_interleaving(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;

    if (receiver->interleaving)
        return receiver->interleaving;
    receiver->interleaving = calloc(1, sizeof(*receiver->interleaving));
    if (!receiver->interleaving)
        return NULL;
    random_bytes(association->engine, &receiver->interleaving->random, sizeof(uint64_t));
    receiver->interleaving->random |= 1;
    list_init(&receiver->interleaving->candidates);
    return receiver->interleaving;
}

static struct growing_message *find_message(const struct sctp_receiver *receiver, uint64_t key)
{
    return (struct growing_message *)(void *)tree_find(receiver->interleaving->messages, key);
}

static struct growing_message *begin_message(struct sctp_association *association, uint64_t key)
{
    struct interleaving *interleaving = association->receiver.interleaving;
    struct growing_message *message = pool_allocate(&association->engine->pool, sizeof(*message));

    if (!message)
        return NULL;
    *message = (struct growing_message){
        .node = {.key = key, .priority = random_priority(interleaving)},
    };
    list_init(&message->candidate);
    tree_insert(&interleaving->messages, &message->node);
    association->receiver.waiting_chunks++;
    return message;
}

/* ---- Chunks ahead of others ---- */

static void drop_held(struct sctp_association *association, struct growing_message *message,
                      struct held_chunk *chunk)
{
    tree_remove(&message->held, &chunk->node);
    association->receiver.waiting_chunks--;
    association->receiver.held_bytes -= chunk->length;
    association_charge(association, -(int64_t)chunk->length);
    pool_release(&association->engine->pool, chunk, sizeof(*chunk) + chunk->length);
}

static bool hold(struct sctp_association *association, struct growing_message *message,
                 const struct sctp_data *data)
{
    struct held_chunk *chunk;

    if (tree_find(message->held, data->fsn))
        return false;
    chunk = pool_allocate(&association->engine->pool, sizeof(*chunk) + data->payload_length);
    if (!chunk)
        return false;
    *chunk = (struct held_chunk){
        .node = {.key = data->fsn, .priority = random_priority(association->receiver.interleaving)},
        .length = data->payload_length,
    };
    memcpy(chunk->bytes, data->payload, data->payload_length);
    tree_insert(&message->held, &chunk->node);
    association->receiver.waiting_chunks++;
    association->receiver.held_bytes += data->payload_length;
    association_charge(association, data->payload_length);
    return true;
}

/* ---- Its end ---- */

/* What was not delivered of it is freed, and itself. */
static void end_message(struct sctp_association *association, struct growing_message *message)
{
    while (message->held)
        drop_held(association, message, (struct held_chunk *)(void *)message->held);
    reassembly_drop(association, message->begun);
    list_remove(&message->candidate);
    tree_remove(&association->receiver.interleaving->messages, &message->node);
    association->receiver.waiting_chunks--;
    pool_release(&association->engine->pool, message, sizeof(*message));
}

static bool is_piece_of(const struct received_data *data, const struct growing_message *message)
{
    return data->stream == stream_of(message) && data->number == mid_of(message) &&
           !(data->flags & SCTP_DATA_FLAG_UNORDERED) == !is_unordered(message);
}

/* Drops what the user has not yet read of its pieces. False if he has read nothing at all of it. */
static bool drop_pieces(struct sctp_association *association, const struct growing_message *message)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct received_data **place = &receiver->ready, *piece, *last = NULL;
    bool read = true;

    for (piece = receiver->ready; piece; piece = piece->next) {
        if (is_piece_of(piece, message) && piece->flags & SCTP_DATA_FLAG_ENDING) {
            last = piece; /* it had its number before: the stream was reset */
            place = &piece->next;
        }
    }
    while ((piece = *place)) {
        if (!is_piece_of(piece, message)) {
            last = piece;
            place = &piece->next;
            continue;
        }
        read &= !(piece->flags & SCTP_DATA_FLAG_BEGINNING);
        *place = piece->next;
        receiver->ready_messages--;
        receiver->ready_bytes -= piece->length;
        reassembly_drop(association, piece);
    }
    receiver->ready_last = last;
    return read;
}

/* It will not become whole. */
static void give_up(struct sctp_association *association, struct growing_message *message,
                    bool tell)
{
    if (message->partial && tell && drop_pieces(association, message))
        reassembly_tell_aborted(association, stream_of(message), (uint16_t)mid_of(message));
    end_message(association, message);
}

/* ---- Delivery ---- */

static void deliver_piece(struct sctp_association *association, struct growing_message *message)
{
    struct received_data *piece = message->begun;
    bool ends = message->last_came && message->next_fsn == message->highest_fsn + 1;

    message->begun = NULL;
    piece->flags = (uint8_t)((message->partial ? 0 : SCTP_DATA_FLAG_BEGINNING) |
                             (ends ? SCTP_DATA_FLAG_ENDING : 0) |
                             (is_unordered(message) ? SCTP_DATA_FLAG_UNORDERED : 0));
    message->partial = true;
    list_remove(&message->candidate);
    reassembly_append_ready(association, piece);
}

/* May it be delivered in pieces, and is it long enough for that? */
static void consider(struct sctp_association *association, struct growing_message *message)
{
    struct sctp_receiver *receiver = &association->receiver;
    uint32_t point = association->parameters.partial_delivery_point;

    if (!message->begun)
        return;
    if (!message->partial && !is_unordered(message)) {
        const struct inbound_stream *stream = reassembly_stream(receiver, stream_of(message));

        if (!stream || stream->next_number != mid_of(message))
            return;
    }
    if (message->partial || (point && message->begun->length >= point))
        deliver_piece(association, message);
    else if (list_is_empty(&message->candidate))
        list_append(&receiver->interleaving->candidates, &message->candidate);
}

/* A message of the stream was delivered: the next may be growing. */
static void consider_next(struct sctp_association *association, uint16_t number)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct inbound_stream *stream = reassembly_stream(receiver, number);
    struct growing_message *next =
        stream ? find_message(receiver, message_key(number, false, stream->next_number)) : NULL;

    if (next)
        consider(association, next);
}

static void finish(struct sctp_association *association, struct growing_message *message)
{
    struct received_data *whole = message->begun;
    uint16_t number = stream_of(message);
    bool ordered = !is_unordered(message);

    message->begun = NULL;
    if (!message->partial) {
        reassembly_deliver(association, whole);
    } else {
        struct inbound_stream *stream = reassembly_stream(&association->receiver, number);

        message->begun = whole;
        deliver_piece(association, message);
        if (ordered && stream)
            reassembly_advance(association, stream);
    }
    end_message(association, message);
    if (ordered)
        consider_next(association, number);
}

void interleaving_deliver_partially(struct sctp_association *association)
{
    struct sctp_receiver *receiver = &association->receiver;
    struct list *candidates = &receiver->interleaving->candidates;

    if (association->down || receiver->ready || list_is_empty(candidates) ||
        association_local_rwnd(association) > 0)
        return;
    deliver_piece(association, LIST_ENTRY(candidates->next, struct growing_message, candidate));
}

/* ---- Chunks ---- */

static struct received_data *new_data(struct sctp_association *association,
                                      const struct sctp_data *from, size_t capacity)
{
    struct received_data *data = reassembly_new(association, from, capacity);

    if (!data)
        return NULL;
    data->number = from->mid;
    data->ssn = (uint16_t)from->mid; /* section 4.1 */
    return data;
}

static bool add(struct sctp_association *association, struct growing_message *message,
                const struct sctp_data *data, const uint8_t *bytes, size_t length)
{
    message->next_fsn++;
    if (!message->begun) {
        message->begun = new_data(association,
                                  &(struct sctp_data){
                                      .flags = data->flags,
                                      .stream = data->stream,
                                      .mid = data->mid,
                                      .tsn = data->tsn,
                                      .ppid = message->ppid,
                                  },
                                  length);
        if (!message->begun)
            return false;
    }
    return reassembly_append(association, &message->begun, bytes, length);
}

/* A chunk of a message of several. False: the peer broke the protocol, or there is no memory. */
static bool take_fragment(struct sctp_association *association, struct growing_message *message,
                          const struct sctp_data *data)
{
    bool begins = data->flags & SCTP_DATA_FLAG_BEGINNING;
    bool ends = data->flags & SCTP_DATA_FLAG_ENDING;
    bool any = message->first_came || message->held;
    struct tree_node *held;

    /* One first chunk, of FSN 0, one last, and nothing behind that. */
    if (begins                 ? message->first_came
        : !message->first_came ? data->fsn == 0
                               : tsn_before(data->fsn, message->next_fsn))
        return false;
    if (message->last_came ? ends || tsn_before(message->highest_fsn, data->fsn)
                           : ends && any && tsn_before(data->fsn, message->highest_fsn))
        return false;
    if (!any || tsn_before(message->highest_fsn, data->fsn))
        message->highest_fsn = data->fsn;
    message->last_came |= ends;
    if (begins) {
        message->first_came = true;
        message->ppid = data->ppid;
    } else if (!message->first_came || data->fsn != message->next_fsn) {
        return hold(association, message, data);
    }
    if (!add(association, message, data, data->payload, data->payload_length))
        return false;
    while ((held = tree_find(message->held, message->next_fsn))) {
        struct held_chunk *chunk = (struct held_chunk *)(void *)held;
        bool added = add(association, message, data, chunk->bytes, chunk->length);

        drop_held(association, message, chunk);
        if (!added)
            return false;
    }
    if (message->last_came && message->next_fsn == message->highest_fsn + 1)
        finish(association, message);
    else
        consider(association, message);
    return true;
}

/* A message of one chunk. */
static bool take_whole(struct sctp_association *association, const struct sctp_data *data)
{
    struct received_data *message = new_data(association, data, data->payload_length);

    if (!message)
        return false;
    reassembly_copy(association, message, data->payload, data->payload_length);
    reassembly_deliver(association, message);
    if (association->receiver.interleaving && !(data->flags & SCTP_DATA_FLAG_UNORDERED))
        consider_next(association, data->stream);
    return true;
}

bool interleaving_take(struct sctp_association *association, const struct sctp_data *data)
{
    struct sctp_receiver *receiver = &association->receiver;
    bool unordered = data->flags & SCTP_DATA_FLAG_UNORDERED;
    uint8_t both = SCTP_DATA_FLAG_BEGINNING | SCTP_DATA_FLAG_ENDING;
    uint64_t key = message_key(data->stream, unordered, data->mid);
    struct growing_message *message = receiver->interleaving ? find_message(receiver, key) : NULL;
    const struct inbound_stream *stream;

    if ((data->flags & both) == both)
        return !message && take_whole(association, data);
    if (!message) {
        stream = unordered ? NULL : reassembly_stream(receiver, data->stream);
        if (stream && tsn_before(data->mid, stream->next_number)) {
            association->engine->statistics.data_dropped++; /* its number was used before */
            return true;
        }
        if (!get_interleaving(association))
            return false;
        message = begin_message(association, key);
    }
    return message && take_fragment(association, message, data);
}

/* ---- What will not come ---- */

static void give_up_range(struct sctp_association *association, uint64_t first, uint64_t last)
{
    struct tree_node **messages = &association->receiver.interleaving->messages, *node;

    while ((node = tree_find_from(*messages, first)) && node->key <= last)
        give_up(association, (struct growing_message *)(void *)node, true);
}

void interleaving_skip(struct sctp_association *association,
                       const struct sctp_skipped_messages *skipped)
{
    struct sctp_receiver *receiver = &association->receiver;
    uint32_t first = skipped->mid - INT32_MAX, last = skipped->mid; /* as serial numbers */
    uint64_t base = message_key(skipped->stream, skipped->unordered, 0);
    struct inbound_stream *stream;

    if (receiver->interleaving && first <= last) {
        give_up_range(association, base + first, base + last);
    } else if (receiver->interleaving) {
        give_up_range(association, base + first, base + UINT32_MAX);
        give_up_range(association, base, base + last);
    }
    stream = skipped->unordered ? NULL : reassembly_stream(receiver, skipped->stream);
    if (!stream)
        return;
    reassembly_skip_numbers(association, stream, skipped->mid);
    if (receiver->interleaving)
        consider_next(association, skipped->stream);
}

void interleaving_restart_streams(struct sctp_association *association, const uint16_t *streams,
                                  size_t count)
{
    if (!association->receiver.interleaving)
        return;
    for (size_t i = 0; i < count; i++)
        give_up_range(association, message_key(streams[i], false, 0),
                      message_key(streams[i], true, UINT32_MAX));
    if (count == 0)
        give_up_range(association, 0, UINT64_MAX);
}

void interleaving_free(struct sctp_association *association, bool tell)
{
    struct sctp_receiver *receiver = &association->receiver;

    if (!receiver->interleaving)
        return;
    while (receiver->interleaving->messages)
        give_up(association, (struct growing_message *)(void *)receiver->interleaving->messages,
                tell);
    free(receiver->interleaving);
    receiver->interleaving = NULL;
}
