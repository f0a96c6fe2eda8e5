/*
 * Stream schedulers: which stream's next message is sent when several have one.
 *
 * RFC 8260, section 3. Without one (first come, first served) messages stand in one list in the
 * order they came, and nothing here is used. With one they stand in lists by stream; the streams
 * that have a message are in a heap, and the message that is being sent is alone in the list. With
 * user message interleaving it goes back to its stream after each of its chunks.
 */
#include <stdlib.h>

#include "engine/private.h"

#define VALUE_SHIFT 48 /* a priority stands above the turn */

struct scheduled_stream {
    struct sent_message *first, *last;
    uint64_t key;   /* the lowest goes first */
    uint32_t place; /* in the heap, from 1; 0: not in it */
    uint16_t value; /* its priority: the lowest goes first */
};

struct schedule {
    enum braid_scheduler scheduler;
    struct scheduled_stream **streams; /* by number, made when used */
    uint32_t stream_count;
    struct scheduled_stream **heap; /* from 1 on */
    uint32_t waiting;
    uint64_t turn;
};

/* ---- The heap ---- */

static void put(struct schedule *schedule, uint32_t place, struct scheduled_stream *stream)
{
    schedule->heap[place] = stream;
    stream->place = place;
}

static void sift_up(struct schedule *schedule, struct scheduled_stream *stream)
{
    uint32_t place = stream->place;

    while (place > 1 && stream->key < schedule->heap[place / 2]->key) {
        put(schedule, place, schedule->heap[place / 2]);
        place /= 2;
    }
    put(schedule, place, stream);
}

static void sift_down(struct schedule *schedule, struct scheduled_stream *stream)
{
    uint32_t place = stream->place, child;

    while ((child = 2 * place) <= schedule->waiting) {
        if (child < schedule->waiting &&
            schedule->heap[child + 1]->key < schedule->heap[child]->key)
            child++;
        if (stream->key <= schedule->heap[child]->key)
            break;
        put(schedule, place, schedule->heap[child]);
        place = child;
    }
    put(schedule, place, stream);
}

static void take(struct schedule *schedule, struct scheduled_stream *stream)
{
    struct scheduled_stream *last = schedule->heap[schedule->waiting--];

    if (last != stream) {
        last->place = stream->place;
        sift_up(schedule, last);
        sift_down(schedule, last);
    }
    stream->place = 0;
}

/* ---- Streams ---- */

/* Its place in the order from now on: behind all that have waited as long as the scheduler lets
 * them (RFC 8260, 3.2 and 3.4: streams take turns). */
static uint64_t next_key(struct schedule *schedule, const struct scheduled_stream *stream)
{
    uint64_t priority =
        schedule->scheduler == BRAID_SCHEDULER_PRIORITY ? (uint64_t)stream->value : 0;

    return priority << VALUE_SHIFT | ++schedule->turn;
}

static void make_wait(struct schedule *schedule, struct scheduled_stream *stream, uint64_t key)
{
    stream->key = key;
    stream->place = ++schedule->waiting;
    sift_up(schedule, stream);
}

/* The stream of this number, whose place in the heap is kept free. NULL: no memory. */
static struct scheduled_stream *find_stream(struct schedule *schedule, uint16_t number)
{
    if (number >= schedule->stream_count) {
        uint32_t count = maximum(number + 1u, 2 * schedule->stream_count);
        struct scheduled_stream **streams =
            realloc(schedule->streams, count * sizeof(struct scheduled_stream *));
        struct scheduled_stream **heap;

        if (!streams)
            return NULL;
        schedule->streams = streams;
        heap = realloc(schedule->heap, (count + 1) * sizeof(struct scheduled_stream *));
        if (!heap)
            return NULL;
        schedule->heap = heap;
        memset(streams + schedule->stream_count, 0,
               (count - schedule->stream_count) * sizeof(struct scheduled_stream *));
        schedule->stream_count = count;
    }
    if (!schedule->streams[number])
        schedule->streams[number] = calloc(1, sizeof(struct scheduled_stream));
    return schedule->streams[number];
}

/* ---- The sender's side ---- */

/* The only message in the list is the first of its stream again. NULL: there is none, or it has to
 * stay. */
static struct scheduled_stream *put_back(struct sctp_sender *sender)
{
    struct sent_message *chosen = sender->first;
    struct scheduled_stream *stream;

    if (!chosen || chosen->next)
        return NULL;
    stream = find_stream(sender->schedule, chosen->send.stream);
    if (!stream)
        return NULL;
    sender->first = NULL;
    chosen->next = stream->first;
    if (!stream->first)
        stream->last = chosen;
    stream->first = chosen;
    return stream;
}

/* One with a better priority has come: the message that is chosen but not begun stands back. One
 * that has begun does so only where chunks of messages may stand between each other: where MIDs are
 * given. */
static void reconsider(struct sctp_sender *sender)
{
    struct schedule *schedule = sender->schedule;
    struct scheduled_stream *stream;

    if (sender->first && sender->first->begun > 0 && !sender->mid)
        return;
    stream = put_back(sender);
    if (!stream)
        return;
    if (stream->place) {
        stream->key &= ~(uint64_t)0 << VALUE_SHIFT;
        sift_up(schedule, stream);
    } else {
        make_wait(schedule, stream, next_key(schedule, stream) & ~(uint64_t)0 << VALUE_SHIFT);
    }
}

void schedule_yield(struct sctp_sender *sender)
{
    struct scheduled_stream *stream = put_back(sender);

    if (stream && !stream->place)
        make_wait(sender->schedule, stream, next_key(sender->schedule, stream));
}

void schedule_append(struct sctp_sender *sender, struct sent_message *message)
{
    struct schedule *schedule = sender->schedule;
    struct scheduled_stream *stream = find_stream(schedule, message->send.stream);

    if (!stream) { /* out of turn is better than not at all */
        sender_append(&sender->first, &sender->last, message);
        return;
    }
    sender_append(&stream->first, &stream->last, message);
    if (!stream->place)
        make_wait(schedule, stream, next_key(schedule, stream));
    if (schedule->scheduler == BRAID_SCHEDULER_PRIORITY)
        reconsider(sender);
}

/* The first message of a stream in the heap comes into the list, in front of all. */
static void choose(struct sctp_sender *sender, struct scheduled_stream *stream)
{
    struct schedule *schedule = sender->schedule;
    struct sent_message *message = stream->first;

    take(schedule, stream);
    stream->first = message->next;
    message->next = sender->first;
    if (!sender->first)
        sender->last = message;
    sender->first = message;
    if (stream->first)
        make_wait(schedule, stream, next_key(schedule, stream));
}

void schedule_next(struct sctp_sender *sender)
{
    if (sender->schedule->waiting > 0)
        choose(sender, sender->schedule->heap[1]);
}

void schedule_pick(struct sctp_sender *sender, uint16_t stream)
{
    choose(sender, sender->schedule->streams[stream]);
}

bool schedule_has(const struct schedule *schedule, uint16_t stream)
{
    return stream < schedule->stream_count && schedule->streams[stream] &&
           schedule->streams[stream]->first;
}

void schedule_gather(struct sctp_sender *sender)
{
    struct sent_message *first = sender->first, *last = sender->last;

    if (!sender->schedule)
        return;
    while (sender->schedule->waiting > 0) {
        schedule_next(sender);
        sender_append(&first, &last, sender->first);
    }
    sender->first = first;
    sender->last = last;
}

void schedule_spread(struct sctp_sender *sender)
{
    struct sent_message *message = sender->first;

    if (!sender->schedule || !message)
        return;
    if (message->begun > 0) { /* it is being sent */
        message = message->next;
        sender->first->next = NULL;
        sender->last = sender->first;
    } else {
        sender->first = sender->last = NULL;
    }
    while (message) {
        struct sent_message *next = message->next;

        schedule_append(sender, message);
        message = next;
    }
}

void schedule_free(struct sctp_sender *sender)
{
    struct schedule *schedule = sender->schedule;

    if (!schedule)
        return;
    for (uint32_t i = 0; i < schedule->stream_count; i++)
        free(schedule->streams[i]);
    free(schedule->streams);
    free(schedule->heap);
    free(schedule);
    sender->schedule = NULL;
}

/* ---- The user's side ---- */

int schedule_choose(struct sctp_association *association, enum braid_scheduler scheduler)
{
    struct sctp_sender *sender = &association->sender;
    struct schedule *schedule = NULL;

    if (scheduler != BRAID_SCHEDULER_FIRST_COME) {
        schedule = calloc(1, sizeof(*schedule));
        if (!schedule)
            return -ENOMEM;
        schedule->scheduler = scheduler;
    }
    schedule_gather(sender);
    schedule_free(sender);
    sender->schedule = schedule;
    schedule_spread(sender);
    return 0;
}

int braid_association_set_scheduler(struct braid_engine *engine, uint32_t identifier,
                                    enum braid_scheduler scheduler)
{
    struct sctp_association *association = association_find(engine, identifier);

    if (!association)
        return -ENOENT;
    if ((unsigned int)scheduler > BRAID_SCHEDULER_ROUND_ROBIN)
        return -EINVAL;
    if (scheduler == braid_association_scheduler(engine, identifier))
        return 0;
    association->parameters.scheduler = (uint8_t)scheduler;
    return schedule_choose(association, scheduler);
}

enum braid_scheduler braid_association_scheduler(const struct braid_engine *engine,
                                                 uint32_t identifier)
{
    const struct sctp_association *association = association_find(engine, identifier);

    return association && association->sender.schedule ? association->sender.schedule->scheduler
                                                       : BRAID_SCHEDULER_FIRST_COME;
}

int braid_association_set_stream_value(struct braid_engine *engine, uint32_t identifier,
                                       uint16_t number, uint16_t value)
{
    struct sctp_association *association = association_find(engine, identifier);
    struct scheduled_stream *stream;
    struct schedule *schedule;

    if (!association)
        return -ENOENT;
    if (number >= association->outbound_streams)
        return -EINVAL;
    schedule = association->sender.schedule;
    if (!schedule || schedule->scheduler != BRAID_SCHEDULER_PRIORITY)
        return 0; /* it has no use for one */
    schedule_gather(&association->sender);
    stream = find_stream(schedule, number);
    if (stream)
        stream->value = value;
    schedule_spread(&association->sender);
    return stream ? 0 : -ENOMEM;
}

int braid_association_stream_value(const struct braid_engine *engine, uint32_t identifier,
                                   uint16_t number, uint16_t *value)
{
    const struct sctp_association *association = association_find(engine, identifier);
    const struct schedule *schedule;

    if (!association)
        return -ENOENT;
    if (number >= association->outbound_streams)
        return -EINVAL;
    schedule = association->sender.schedule;
    *value = schedule && number < schedule->stream_count && schedule->streams[number]
                 ? schedule->streams[number]->value
                 : 0;
    return 0;
}
