/*
 * The checker: what was sent, and what comes of it. See checker.h.
 */
#include "checker.h"

/* ---- Messages ---------------------------------------------------------------------------------
 */

/* What stands at the start of a message. */
struct message_header {
    uint32_t flow, number, order, length, stream, unordered;
};

static uint8_t content(uint32_t flow, uint32_t number, size_t index)
{
    return (uint8_t)((size_t)flow * 131 + (size_t)number * 17 + index * 3 + (index >> 7));
}

static void message_write(uint8_t *bytes, const struct message_header *header)
{
    memcpy(bytes, header, sizeof(*header));
    for (size_t i = sizeof(*header); i < header->length; i++)
        bytes[i] = content(header->flow, header->number, i);
}

static struct flow *flow_find(const struct checker *checker, uint32_t serial)
{
    for (struct flow *flow = checker->flows; flow; flow = flow->next)
        if (flow->serial == serial)
            return flow;
    fail_msg("there is no flow %u", serial);
    return NULL;
}

/* Looks at the bytes of a message, and finds out which it is. */
static struct message *message_identify(const struct checker *checker, const uint8_t *bytes,
                                        size_t length, struct flow **flow)
{
    struct message_header header;
    struct message *message;

    assert_true(length >= sizeof(header));
    memcpy(&header, bytes, sizeof(header));
    *flow = flow_find(checker, header.flow);
    if (header.number >= (*flow)->count)
        fail_msg("flow %u has no message %u", header.flow, header.number);
    message = &(*flow)->messages[header.number];
    if (length != message->length)
        fail_msg("flow %u, message %u: %zu bytes, not %u", header.flow, header.number, length,
                 message->length);
    for (size_t i = sizeof(header); i < length; i++) {
        if (bytes[i] != content(header.flow, header.number, i))
            fail_msg("flow %u, message %u is wrong at byte %zu of %zu", header.flow, header.number,
                     i, length);
    }
    return message;
}

static uint32_t message_number(const struct flow *flow, const struct message *message)
{
    return (uint32_t)(message - flow->messages);
}

/* ---- Flows ------------------------------------------------------------------------------------
 */

static struct flow *flow_new(struct checker *checker, unsigned int from, unsigned int to)
{
    struct flow *flow = calloc(1, sizeof(*flow));

    assert_non_null(flow);
    flow->serial = ++checker->flow_count;
    flow->from = from;
    flow->to = to;
    flow->next = checker->flows;
    checker->flows = flow;
    return flow;
}

static struct stream *flow_stream(struct flow *flow, uint16_t number)
{
    if (number >= flow->stream_count) {
        uint32_t count = number + 1U;

        flow->streams = realloc(flow->streams, count * sizeof(*flow->streams));
        assert_non_null(flow->streams);
        memset(flow->streams + flow->stream_count, 0,
               (count - flow->stream_count) * sizeof(*flow->streams));
        flow->stream_count = count;
    }
    return &flow->streams[number];
}

static void flow_add(struct flow *flow, const struct braid_send *send, uint32_t length)
{
    struct stream *stream = flow_stream(flow, send->stream);
    struct message *message;

    if (flow->count == flow->capacity) {
        flow->capacity = flow->capacity > 0 ? 2 * flow->capacity : 16;
        flow->messages = realloc(flow->messages, flow->capacity * sizeof(*flow->messages));
        assert_non_null(flow->messages);
    }
    message = &flow->messages[flow->count++];
    *message = (struct message){.length = length,
                                .ppid = send->ppid,
                                .stream = send->stream,
                                .unordered = send->flags & BRAID_SEND_UNORDERED,
                                .abandonable = send->lifetime > 0 || send->policy != 0};
    flow->leaves_out |= message->abandonable;
    if (message->unordered)
        return;
    message->order = stream->sent++;
    message->previous = stream->last;
    stream->last = flow->count;
}

/* An ordered message was read: those before it were, by this end or by one that has crashed, or may
 * have been abandoned, or were given back when the peer began anew. */
static void flow_check_order(struct flow *flow, const struct message *message)
{
    struct stream *stream = flow_stream(flow, message->stream);
    uint32_t before = message->previous;

    if (message->order < stream->received)
        fail_msg("flow %u, stream %u: message %u comes after %u others of its stream", flow->serial,
                 message->stream, message_number(flow, message), stream->received);
    for (uint32_t left = message->order - stream->received; left > 0; left--) {
        const struct message *skipped = &flow->messages[before - 1];

        if (!skipped->abandonable && !skipped->failed && !skipped->received && !skipped->forgotten)
            fail_msg("flow %u, stream %u: message %u comes before %u", flow->serial,
                     message->stream, message_number(flow, message), before - 1);
        before = skipped->previous;
    }
    stream->received = message->order + 1;
}

/* ---- Ends -------------------------------------------------------------------------------------
 */

static void partial_free(struct partial **place)
{
    struct partial *partial = *place;

    *place = partial->next;
    free(partial->bytes);
    free(partial);
}

void checker_init(struct checker *checker, struct world *world)
{
    *checker = (struct checker){.world = world};
}

void checker_free(struct checker *checker)
{
    while (checker->ends) {
        struct end *end = checker->ends;

        checker->ends = end->next;
        while (end->partials)
            partial_free(&end->partials);
        free(end->resets);
        free(end);
    }
    while (checker->flows) {
        struct flow *flow = checker->flows;

        checker->flows = flow->next;
        free(flow->messages);
        free(flow->streams);
        free(flow);
    }
}

struct end *checker_end(struct checker *checker, struct host *host, uint32_t id, unsigned int peer)
{
    struct end *end = calloc(1, sizeof(*end));

    assert_non_null(end);
    assert_null(checker_find(checker, host, id));
    end->host = host;
    end->id = id;
    end->peer_host = peer;
    end->out = flow_new(checker, host->number, peer);
    end->next = checker->ends;
    checker->ends = end;
    checker->counts.associations++;
    return end;
}

struct end *checker_find(struct checker *checker, const struct host *host, uint32_t id)
{
    for (struct end *end = checker->ends; end; end = end->next)
        if (end->host == host && end->id == id && !end->down && !end->crashed)
            return end;
    return NULL;
}

bool checker_distrusts(const struct checker *checker, unsigned int host, unsigned int peer)
{
    return checker->liars >> host & 1 || (checker->liars && peer == PEER_UNKNOWN) ||
           checker->liars >> peer & 1;
}

static bool end_is_distrusted(const struct checker *checker, const struct end *end)
{
    return checker_distrusts(checker, end->host->number, end->peer_host);
}

void checker_crash(struct checker *checker, const struct host *host, unsigned int crash)
{
    for (struct end *end = checker->ends; end; end = end->next) {
        if (end->host != host || end->crashed || end->down)
            continue;
        end->crashed = true;
        end->crash = crash;
    }
    for (struct flow *flow = checker->flows; flow; flow = flow->next) {
        flow->sender_crashed |= flow->from == host->number && !flow->ended;
        for (uint32_t i = 0; flow->to == host->number && i < flow->count; i++)
            flow->messages[i].forgotten |= !flow->messages[i].received;
    }
}

/* ---- Sending ----------------------------------------------------------------------------------
 */

int checker_send(struct checker *checker, struct end *end, struct braid_send *send, size_t length)
{
    static uint8_t bytes[MESSAGE_MAXIMUM];
    struct flow *flow = end->out;
    struct message_header header = {.flow = flow->serial,
                                    .number = flow->count,
                                    .order = flow_stream(flow, send->stream)->sent,
                                    .length = (uint32_t)length,
                                    .stream = send->stream,
                                    .unordered = send->flags & BRAID_SEND_UNORDERED};
    int result;

    send->context = header.number;
    send->ppid = 0x42000000 + header.number; /* nothing that tshark would look into */
    message_write(bytes, &header);
    result = braid_send(end->host->engine, end->id, send, bytes, length, host_now(end->host));
    if (result == 0) {
        flow_add(flow, send, (uint32_t)length);
        checker->counts.messages_sent++;
    }
    return result;
}

static void checker_send_failed(struct checker *checker, const struct braid_event *event)
{
    struct flow *flow;
    struct message *message = message_identify(checker, event->bytes, event->length, &flow);

    assert_int_equal(event->send.context, message_number(flow, message));
    assert_int_equal(event->send.ppid, message->ppid);
    assert_int_equal(event->send.stream, message->stream);
    if (message->failed)
        fail_msg("flow %u, message %u failed twice", flow->serial, event->send.context);
    if (message->received && event->unsent)
        fail_msg("flow %u, message %u was never sent, but received", flow->serial,
                 event->send.context);
    message->failed = flow->leaves_out = true;
    message->failed_unsent = event->unsent;
    checker->counts.messages_failed++;
}

/* ---- Receiving --------------------------------------------------------------------------------
 */

/* The first message of a flow came to this end: the peer began it, or began it anew. It may have
 * come to another before: until the peer has seen a COOKIE ACK, its cookie sets up one association
 * after the other, and what came with it comes again. That one has ended, or does not know it yet:
 * who is called from other addresses than he calls has two for a while. */
static void end_begin_flow(struct end *end, struct flow *flow)
{
    /* One that was called first may come up last: to another address of the peer, whom it takes for
     * restarted. */
    assert_true(!end->in || !flow->reader || flow->serial > end->in->serial);
    if (flow->reader) {
        for (uint32_t i = 0; i < flow->count; i++)
            flow->messages[i].received_here = false;
        for (uint32_t i = 0; i < flow->stream_count; i++)
            flow->streams[i].received = flow->streams[i].next_ssn = 0;
    }
    flow->reader = end;
    assert_int_equal(flow->to, end->host->number);
    assert_true(flow->from == end->peer_host || end->peer_host == PEER_UNKNOWN);
    end->flows_begun++;
    end->in = flow;
}

/* RFC 6525, 5.1.2: a number is the next, or 0 if the stream was reset. The event of that may be
 * read after the message. */
static void end_check_ssn(struct end *end, struct stream *stream, uint16_t number, uint16_t ssn)
{
    uint16_t expected = stream->next_ssn;

    stream->next_ssn = (uint16_t)(ssn + 1);
    if (end->in->leaves_out || ssn == expected)
        return;
    if (ssn != 0)
        fail_msg("flow %u, stream %u: SSN %u, not %u", end->in->serial, number, ssn, expected);
    if (!end->resets)
        end->resets = calloc(STREAMS, sizeof(*end->resets));
    assert_non_null(end->resets);
    if (end->resets[number] < 0)
        fail_msg("flow %u, stream %u: was reset twice without a word", end->in->serial, number);
    end->resets[number]--;
}

static void end_take_message(struct checker *checker, struct end *end,
                             const struct braid_received *received, const struct partial *whole)
{
    struct flow *flow;
    struct message *message = message_identify(checker, whole->bytes, whole->length, &flow);
    uint32_t number = message_number(flow, message);

    if (flow != end->in)
        end_begin_flow(end, flow);
    if (flow->reader != end)
        fail_msg("flow %u, message %u came to an end that had ended", flow->serial, number);
    if (message->received_here)
        fail_msg("flow %u, message %u came twice", flow->serial, number);
    if (message->failed_unsent)
        fail_msg("flow %u, message %u was never sent, but received", flow->serial, number);
    assert_int_equal(received->stream, message->stream);
    assert_int_equal(received->ppid, message->ppid);
    assert_int_equal((received->flags & BRAID_RECEIVE_UNORDERED) != 0, message->unordered);
    message->received = message->received_here = true;
    if (!message->unordered) {
        flow_check_order(flow, message);
        end_check_ssn(end, flow_stream(flow, message->stream), message->stream, received->ssn);
    }
    checker->counts.messages_received++;
}

static void partial_add(struct partial *partial, const struct braid_received *received)
{
    size_t length = partial->length + received->length;

    assert_true(length <= MESSAGE_MAXIMUM);
    if (length > partial->capacity) {
        partial->capacity = 2 * length;
        partial->bytes = realloc(partial->bytes, partial->capacity);
        assert_non_null(partial->bytes);
    }
    memcpy(partial->bytes + partial->length, received->bytes, received->length);
    partial->length = length;
}

/* The message that a piece is of. Where it begins, those that it cannot stand beside were broken
 * off: with I-DATA an ordered one of its stream, else any. */
static struct partial **end_partial(struct end *end, const struct braid_received *received,
                                    bool interleaving)
{
    bool unordered = received->flags & BRAID_RECEIVE_UNORDERED;
    struct partial **place = &end->partials;

    if (received->flags & BRAID_RECEIVE_BEGIN) {
        while (*place) {
            if (!interleaving ||
                (!unordered && !(*place)->unordered && (*place)->stream == received->stream))
                (*place)->broken = true;
            place = &(*place)->next;
        }
        *place = calloc(1, sizeof(**place));
        assert_non_null(*place);
        (*place)->stream = received->stream;
        (*place)->ssn = received->ssn;
        (*place)->unordered = unordered;
        return place;
    }
    while (*place && ((*place)->broken || (*place)->stream != received->stream ||
                      (*place)->ssn != received->ssn || (*place)->unordered != unordered))
        place = &(*place)->next;
    if (!*place) {
        fail_msg("a piece without a beginning");
        abort();
    }
    return place;
}

static void end_take(struct checker *checker, struct end *end,
                     const struct braid_received *received, bool interleaving)
{
    struct partial **place = end_partial(end, received, interleaving);

    partial_add(*place, received);
    if (received->flags & BRAID_RECEIVE_END) {
        end_take_message(checker, end, received, *place);
        partial_free(place);
    } else {
        checker->counts.pieces++;
        checker->counts.interleaved += interleaving && end->partials->next;
    }
}

void checker_read(struct checker *checker, struct end *end, unsigned int maximum)
{
    struct braid_engine *engine = end->host->engine;
    struct braid_association_info info = {0};
    struct braid_received received;

    (void)braid_association_info(engine, end->id, &info);
    while (maximum-- > 0 && braid_receive(engine, end->id, &received, host_now(end->host)) == 1) {
        assert_true(received.length > 0);
        checker->counts.bytes_received += received.length;
        if (!end_is_distrusted(checker, end))
            end_take(checker, end, &received, info.interleaving);
        braid_received_release(engine, &received, host_now(end->host));
    }
}

/* Of two with the same numbers, ordered and unordered, the one that was broken began first. */
static void partial_aborted(struct end *end, const struct braid_event *event)
{
    struct partial **place = &end->partials;

    while (*place && ((*place)->stream != event->value || (*place)->ssn != event->ssn))
        place = &(*place)->next;
    if (!*place)
        fail_msg("a partial delivery that was not there is aborted");
    else
        partial_free(place);
}

/* ---- Events -----------------------------------------------------------------------------------
 */

static void flow_end(struct flow *flow, enum braid_down_reason reason)
{
    flow->ended = true;
    flow->reason = reason;
}

/* There was one before between the same ports: a late copy of its COOKIE ECHO may have set this one
 * up, with the same tags and TSNs, and late SACKs of before acknowledge more than it has sent. */
static bool is_second(const struct checker *checker, const struct end *end)
{
    for (const struct end *other = checker->ends; other; other = other->next)
        if (other != end && other->host == end->host && other->endpoint == end->endpoint &&
            other->peer_host == end->peer_host && other->peer_port == end->peer_port)
            return true;
    return false;
}

static void checker_down(struct checker *checker, struct end *end, enum braid_down_reason reason)
{
    struct braid_association_info info;

    checker_read(checker, end, UINT32_MAX);
    assert_int_equal(braid_association_info(end->host->engine, end->id, &info), 0);
    checker->counts.ecn_reductions += info.ecn_reductions;
    checker->counts.without_checksum += info.peer_accepts_zero_checksum;
    checker->counts.forward_tsns += info.forward_tsns_sent;
    end->down = true;
    flow_end(end->out, reason);
    switch (reason) {
    case BRAID_DOWN_SHUTDOWN:
        checker->counts.shut_down++;
        break;
    case BRAID_DOWN_LOST:
    case BRAID_DOWN_CANNOT_START:
        checker->counts.lost++;
        break;
    case BRAID_DOWN_PROTOCOL:
        if (!is_second(checker, end) && !end_is_distrusted(checker, end))
            fail_msg("the peer is said to have broken the protocol");
        checker->counts.aborted++;
        break;
    default:
        checker->counts.aborted++;
    }
    braid_association_release(end->host->engine, end->id, host_now(end->host));
}

/* There are fewer streams than were asked for: what was sent on others is given back. */
static void end_give_back(struct end *end)
{
    struct braid_association_info info;

    assert_int_equal(braid_association_info(end->host->engine, end->id, &info), 0);
    for (uint32_t i = 0; i < end->out->count; i++)
        end->out->messages[i].abandonable |= end->out->messages[i].stream >= info.outbound_streams;
}

static void end_up(struct end *end)
{
    if (end->up)
        fail_msg("UP twice");
    end->up = true;
    end_give_back(end);
}

/* The peer's streams were reset. */
static void end_reset(struct end *end, const uint16_t *streams, size_t count)
{
    if (!end->resets)
        end->resets = calloc(STREAMS, sizeof(*end->resets));
    assert_non_null(end->resets);
    for (size_t i = 0; i < count; i++)
        end->resets[streams[i]]++;
    for (uint32_t i = 0; count == 0 && i < STREAMS; i++)
        end->resets[i]++;
}

/* RFC 6525. What was refused has changed nothing. */
static void checker_reconfig(struct checker *checker, struct end *end,
                             const struct braid_event *event)
{
    if (!end->up)
        fail_msg("event %d before UP", (int)event->type);
    if (event->outcome != BRAID_RECONFIG_PERFORMED) {
        end_give_back(end); /* streams that were asked for already had messages */
        return;
    }
    switch (event->type) {
    case BRAID_EVENT_STREAMS_RESET:
        checker->counts.resets++;
        if (event->incoming)
            end_reset(end, (const uint16_t *)(const void *)event->bytes,
                      event->length / sizeof(uint16_t));
        break;
    case BRAID_EVENT_ASSOCIATION_RESET:
        checker->counts.association_resets++;
        end_reset(end, NULL, 0);
        break;
    default:
        checker->counts.streams_added += event->outbound_streams + event->inbound_streams;
    }
}

void checker_event(struct checker *checker, struct host *host, const struct braid_event *event)
{
    struct end *end = checker_find(checker, host, event->association);

    if (!end)
        fail_msg("event %d of an association that is not there", (int)event->type);
    switch (event->type) {
    case BRAID_EVENT_UP:
        end_up(end);
        break;
    case BRAID_EVENT_RESTART:
        assert_true(end->up);
        for (uint32_t i = 0; i < end->out->count; i++) /* given back for this */
            end->out->messages[i].abandonable |= end->out->messages[i].failed;
        end->restarts++;
        checker->counts.restarts++;
        break;
    case BRAID_EVENT_SEND_FAILED:
        checker_send_failed(checker, event);
        break;
    case BRAID_EVENT_PARTIAL_DELIVERY_ABORTED:
        if (!end_is_distrusted(checker, end))
            partial_aborted(end, event);
        break;
    case BRAID_EVENT_DOWN:
        checker_down(checker, end, event->reason);
        break;
    case BRAID_EVENT_STREAMS_RESET:
    case BRAID_EVENT_ASSOCIATION_RESET:
    case BRAID_EVENT_STREAMS_ADDED:
        checker_reconfig(checker, end, event);
        break;
    case BRAID_EVENT_READABLE:
    case BRAID_EVENT_PEER_SHUTDOWN:
        if (!end->up)
            fail_msg("event %d before UP", (int)event->type);
        break;
    default:
        break;
    }
}

/* ---- The end ----------------------------------------------------------------------------------
 */

void checker_finish(struct checker *checker)
{
    for (struct end *end = checker->ends; end; end = end->next) {
        if (!end->down && !end->crashed)
            fail_msg("the association %u of host %u does not end", end->id, end->host->number);
        if (end_is_distrusted(checker, end))
            continue;
        for (const struct partial *partial = end->partials; partial; partial = partial->next)
            if (partial->broken && !end->crashed)
                fail_msg("host %u, association %u: a partial delivery was aborted without a word",
                         end->host->number, end->id);
        for (uint32_t i = 0; end->resets && !end->crashed && i < STREAMS; i++)
            if (end->resets[i] < 0)
                fail_msg("host %u, association %u: stream %u was reset without a word",
                         end->host->number, end->id, i);
        if (end->flows_begun > 1 + end->restarts)
            fail_msg("host %u, association %u: the peer began anew without a word",
                     end->host->number, end->id);
    }
    for (struct flow *flow = checker->flows; flow; flow = flow->next) {
        bool graceful = flow->ended && flow->reason == BRAID_DOWN_SHUTDOWN;

        if (checker_distrusts(checker, flow->from, flow->to))
            continue;
        for (uint32_t i = 0; i < flow->count && !flow->sender_crashed; i++) {
            const struct message *message = &flow->messages[i];

            if (message->received || message->forgotten)
                continue;
            if (!message->failed)
                fail_msg("flow %u: message %u of %u is lost without a word", flow->serial, i,
                         flow->count);
            if (graceful && !message->abandonable)
                fail_msg("flow %u: message %u of %u failed, though it was shut down", flow->serial,
                         i, flow->count);
        }
    }
}
