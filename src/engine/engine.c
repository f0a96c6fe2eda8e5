/*
 * The engine as a whole: its life, time, packets in and out, and events.
 *
 * RFC 9260, section 1.4 (functional view). What the packets mean is in input.c, what they are made
 * of in output.c.
 */
#include <stdlib.h>

#include "engine/private.h"

/* ---- Life ---- */

struct braid_engine *braid_engine_new(const struct braid_engine_config *config, braid_time now)
{
    struct braid_engine *engine = calloc(1, sizeof(*engine));

    if (!engine)
        return NULL;
    engine->config = *config;
    if (!engine->config.maximum_associations || engine->config.maximum_associations > 1u << 20)
        engine->config.maximum_associations = 1u << 20;
    if (!engine->config.secret_lifetime)
        engine->config.secret_lifetime = 3600 * 1000;
    engine->now = now;
    timer_wheel_init(&engine->wheel, now);
    list_init(&engine->ready);
    list_init(&engine->touched);
    random_bytes(engine, engine->hash_key, sizeof(engine->hash_key));
    random_bytes(engine, engine->cookie_keys, sizeof(engine->cookie_keys));
    engine->cookie_key_made = now;
    if (identifier_table_init(&engine->associations, engine->config.maximum_associations) < 0 ||
        identifier_table_init(&engine->endpoints, 1u << 20) < 0) {
        braid_engine_free(engine);
        return NULL;
    }
    return engine;
}

static void event_free(struct braid_engine *engine, struct event_node *node)
{
    if (!node)
        return;
    if (node->message)
        pool_release(&engine->pool, node->message, sizeof(*node->message) + node->message->length);
    pool_release(&engine->pool, node, node->allocated);
}

void braid_engine_free(struct braid_engine *engine)
{
    struct sctp_association *association;
    struct sctp_endpoint *endpoint;

    if (!engine)
        return;
    for (uint32_t id = 0; (association = identifier_next(&engine->associations, id));) {
        id = association->id;
        association_free(association);
    }
    for (uint32_t id = 0; (endpoint = identifier_next(&engine->endpoints, id));) {
        id = endpoint->id;
        braid_endpoint_close(engine, id, engine->now);
    }
    while (engine->first_response) {
        struct response *response = engine->first_response;

        engine->first_response = response->next;
        pool_release(&engine->pool, response, sizeof(*response) + response->capacity);
    }
    while (engine->first_event) {
        struct event_node *node = engine->first_event;

        engine->first_event = node->next;
        event_free(engine, node);
    }
    event_free(engine, engine->told_event);
    pool_clear(&engine->pool);
    free(engine->associations.slots);
    free(engine->endpoints.slots);
    free(engine->path_hash);
    free(engine->spent_tags);
    free(engine->addresses);
    free(engine->kept.bytes);
    free(engine);
}

int braid_engine_set_addresses(struct braid_engine *engine, const struct braid_address *addresses,
                               size_t count, braid_time now)
{
    struct braid_address *copy = calloc(count ? count : 1, sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    engine->now = now;
    for (size_t i = 0; i < count; i++)
        copy[i] = braid_address_normalise(&addresses[i]);
    endpoints_change_host(engine, copy, (uint32_t)count);
    return 0;
}

/* ---- Randomness ---- */

void random_bytes(struct braid_engine *engine, void *bytes, size_t length)
{
    engine->config.random(engine->config.context, bytes, length);
}

uint32_t random_u32(struct braid_engine *engine)
{
    uint32_t value;

    random_bytes(engine, &value, sizeof(value));
    return value;
}

uint32_t random_tag(struct braid_engine *engine)
{
    uint32_t tag;

    do
        tag = random_u32(engine);
    while (tag == 0 || cookie_is_spent(engine, tag)); /* with its cookie nobody would get in */
    return tag;
}

/* ---- Time ---- */

static void advance(struct braid_engine *engine, braid_time now)
{
    if (now > engine->now)
        engine->now = now;
}

braid_time braid_engine_next_timeout(const struct braid_engine *engine)
{
    return timer_wheel_next(&engine->wheel);
}

static void timer_expired(struct timer *timer)
{
    switch ((enum timer_kind)timer->kind) {
    case TIMER_T1: {
        struct sctp_association *association = LIST_ENTRY(timer, struct sctp_association, t1);

        if (association->state == BRAID_COOKIE_WAIT || association->state == BRAID_COOKIE_ECHOED)
            setup_timeout(association);
        else
            teardown_timeout(association);
        break;
    }
    case TIMER_T5: /* RFC 9260, section 9.2: at the expiry, abort */
        association_abort(LIST_ENTRY(timer, struct sctp_association, t5), BRAID_DOWN_LOST, NULL);
        break;
    case TIMER_T4:
        asconf_timeout(LIST_ENTRY(timer, struct asconf, t4));
        break;
    case TIMER_RECONFIG:
        reconfig_timeout(LIST_ENTRY(timer, struct reconfig, timer));
        break;
    case TIMER_SACK: {
        struct sctp_association *association =
            LIST_ENTRY(timer, struct sctp_association, receiver.sack_timer);

        association->send_sack = true;
        association_set_ready(association);
        break;
    }
    case TIMER_AUTOCLOSE: {
        struct sctp_association *association =
            LIST_ENTRY(timer, struct sctp_association, autoclose);

        braid_shutdown(association->engine, association->id, association->engine->now);
        break;
    }
    case TIMER_T3:
        sender_timeout(LIST_ENTRY(timer, struct sctp_path, t3_rtx));
        break;
    case TIMER_PLPMTUD:
        plpmtud_timeout(LIST_ENTRY(timer, struct sctp_path, plpmtud.timer));
        break;
    case TIMER_HEARTBEAT:
        heartbeat_timeout(LIST_ENTRY(timer, struct sctp_path, heartbeat_timer));
        break;
    }
}

void braid_engine_timeout(struct braid_engine *engine, braid_time now)
{
    struct timer *timer;

    advance(engine, now);
    while ((timer = timer_wheel_expire(&engine->wheel, engine->now)))
        timer_expired(timer);
}

/* ---- Packets ---- */

void braid_engine_receive(struct braid_engine *engine, const struct braid_packet *packets,
                          size_t count, braid_time now)
{
    advance(engine, now);
    for (size_t i = 0; i < count; i++)
        packet_arrived(engine, &packets[i]);
    while (!list_is_empty(&engine->touched)) {
        struct sctp_association *association =
            LIST_ENTRY(engine->touched.next, struct sctp_association, touched_link);

        list_remove(&association->touched_link);
        receiver_batch_done(association);
    }
}

void braid_engine_receive_own(struct braid_engine *engine, const struct braid_packet *packets,
                              size_t count, const struct braid_loan *loan, braid_time now)
{
    engine->borrowed = loan;
    braid_engine_receive(engine, packets, count, now);
    engine->borrowed = NULL;
}

struct response *response_begin(struct braid_engine *engine, struct packet_writer *writer,
                                size_t capacity, const struct sctp_common_header *header)
{
    struct response *response;

    if (engine->response_count >= RESPONSES_MAXIMUM || engine->reply_forbidden)
        return NULL;
    response = pool_allocate(&engine->pool, sizeof(*response) + capacity);
    if (!response)
        return NULL;
    *response = (struct response){.capacity = (uint16_t)capacity};
    packet_writer_init(writer, response->bytes, capacity);
    packet_write_common_header(writer, header);
    return response;
}

static void response_queue(struct braid_engine *engine, struct response *response,
                           struct packet_writer *writer)
{
    if (writer->overflowed) {
        pool_release(&engine->pool, response, sizeof(*response) + response->capacity);
        return;
    }
    response->length = (uint16_t)writer->length;
    if (engine->last_response)
        engine->last_response->next = response;
    else
        engine->first_response = response;
    engine->last_response = response;
    engine->response_count++;
}

void response_take_parameters(struct response *response, const struct braid_parameters *parameters,
                              const struct arrival *arrival)
{
    response->traffic_class = parameters->traffic_class;
    response->hop_limit = hop_limit_to(parameters, &arrival->source);
    response->priority = parameters->priority;
    response->interface = parameters->interface;
}

void response_send(struct braid_engine *engine, struct response *response,
                   struct packet_writer *writer, const struct arrival *arrival)
{
    response->source = arrival->destination;
    response->destination = arrival->source;
    response->encapsulation_port = arrival->packet->encapsulation_port;
    response_queue(engine, response, writer);
}

void response_send_over(struct response *response, struct packet_writer *writer,
                        struct sctp_path *path)
{
    struct sctp_association *association = path->association;

    response->source = path->source;
    response->destination = path->address;
    response->encapsulation_port = path->encapsulation_port;
    response->traffic_class = path_traffic_class(path);
    response->hop_limit = hop_limit_to(&association->parameters, &path->address);
    response->priority = association->parameters.priority;
    response->interface = association->parameters.interface;
    authentication_end(association, writer);
    path->packets_sent++;
    path->bytes_sent += writer->length;
    association->packets_sent++;
    association->bytes_sent += writer->length;
    response_queue(association->engine, response, writer);
}

static void batch_copy_way(struct braid_batch *batch, const struct braid_batch *from)
{
    batch->source = from->source;
    batch->destination = from->destination;
    batch->encapsulation_port = from->encapsulation_port;
    batch->traffic_class = from->traffic_class;
    batch->hop_limit = from->hop_limit;
    batch->dont_fragment = from->dont_fragment;
    batch->priority = from->priority;
    batch->interface = from->interface;
    batch->checksum_zero = from->checksum_zero;
}

static bool batch_has_way(const struct braid_batch *batch, const struct braid_batch *other)
{
    return braid_address_equal(&batch->destination, &other->destination) &&
           braid_address_equal(&batch->source, &other->source) &&
           batch->encapsulation_port == other->encapsulation_port &&
           batch->traffic_class == other->traffic_class && batch->hop_limit == other->hop_limit &&
           batch->dont_fragment == other->dont_fragment && batch->priority == other->priority &&
           batch->interface == other->interface && batch->checksum_zero == other->checksum_zero;
}

/* Those that go one way and have one size. */
static bool transmit_responses(struct braid_engine *engine, struct braid_batch *batch)
{
    size_t count = 0, length = 0;

    while (engine->first_response && count < batch->maximum_packets) {
        struct response *response = engine->first_response;
        struct braid_batch way = {
            .source = response->source,
            .destination = response->destination,
            .encapsulation_port = response->encapsulation_port,
            .traffic_class = response->traffic_class,
            .hop_limit = response->hop_limit,
            .priority = response->priority,
            .interface = response->interface,
            .checksum_zero = response->checksum_zero,
        };

        if (count == 0)
            batch_copy_way(batch, &way);
        else if (!batch_has_way(batch, &way) || response->length != batch->segment_size ||
                 length + response->length > BATCH_MAXIMUM)
            break;
        batch->segment_size = response->length;
        memcpy(batch->bytes + length, response->bytes, response->length);
        length += response->length;
        count++;
        engine->first_response = response->next;
        engine->response_count--;
        pool_release(&engine->pool, response, sizeof(*response) + response->capacity);
    }
    if (!engine->first_response)
        engine->last_response = NULL;
    batch->count = count;
    batch->length = length;
    return count > 0;
}

static void loan_end(struct braid_loan *loan)
{
    for (size_t i = 0; i < loan->count; i++)
        memcpy(loan->payloads[i].place, loan->payloads[i].bytes, loan->payloads[i].length);
    loan->count = 0;
}

/* The payloads that were lent, and the CRC32c of each packet (RFC 9260, section 6.8), or none
 * (RFC 9653). */
void braid_batch_finish(struct braid_batch *batch)
{
    if (batch->loan)
        loan_end(batch->loan);
    for (size_t at = 0; at < batch->length; at += batch->segment_size) {
        size_t length = batch->length - at;
        struct packet_writer writer;

        if (length > batch->segment_size)
            length = batch->segment_size;
        packet_writer_init(&writer, batch->bytes + at, length);
        writer.length = length;
        if (batch->checksum_zero)
            packet_finish_without_checksum(&writer);
        else
            packet_finish(&writer);
    }
}

/* The first association that has something to send. */
static bool transmit_association(struct braid_engine *engine, struct braid_batch *batch)
{
    while (!list_is_empty(&engine->ready)) {
        struct sctp_association *association =
            LIST_ENTRY(engine->ready.next, struct sctp_association, ready_link);

        list_remove(&association->ready_link);
        if (association_transmit(association, batch)) {
            association_set_ready(association); /* behind the others: it may have more */
            return true;
        }
    }
    return false;
}

/* What did not fit the last batch. */
static bool transmit_kept(struct braid_engine *engine, struct braid_batch *batch)
{
    const struct braid_batch *kept = &engine->kept;

    if (kept->count == 0)
        return false;
    memcpy(batch->bytes, kept->bytes, kept->length);
    batch_copy_way(batch, kept);
    batch->count = kept->count;
    batch->length = kept->length;
    batch->segment_size = kept->segment_size;
    engine->kept.count = 0;
    return true;
}

/* Packets of other associations join the batch, if they go the same way and have its size: the
 * INITs to one server, or SACKs. The first that do not are kept for the next batch. */
static void join_others(struct braid_engine *engine, struct braid_batch *batch)
{
    size_t capacity = minimum((uint32_t)batch->capacity, BATCH_MAXIMUM);
    struct braid_batch *kept = &engine->kept;

    while (!list_is_empty(&engine->ready) && !engine->first_response &&
           batch->length == batch->count * batch->segment_size &&
           batch->count < batch->maximum_packets && batch->length < capacity / 2) {
        size_t room = (capacity - batch->length) / batch->segment_size;

        if (!kept->bytes && !(kept->bytes = malloc(PACKET_MAXIMUM)))
            return;
        kept->capacity = PACKET_MAXIMUM;
        kept->maximum_packets = batch->maximum_packets - batch->count;
        if (kept->maximum_packets > room)
            kept->maximum_packets = room;
        if (!transmit_association(engine, kept)) {
            kept->count = 0;
            return;
        }
        if (!batch_has_way(batch, kept) || kept->segment_size != batch->segment_size)
            return;
        memcpy(batch->bytes + batch->length, kept->bytes, kept->length);
        batch->length += kept->length;
        batch->count += kept->count;
        kept->count = 0;
    }
}

bool braid_engine_transmit(struct braid_engine *engine, struct braid_batch *batch, braid_time now)
{
    bool any;

    advance(engine, now);
    if (batch->loan)
        batch->loan->count = 0;
    engine->lending = batch->loan;
    any = transmit_kept(engine, batch) || transmit_responses(engine, batch) ||
          transmit_association(engine, batch);
    engine->lending = NULL;
    if (!any)
        return false;
    join_others(engine, batch);
    if (!batch->finish_later)
        braid_batch_finish(batch);
    engine->statistics.packets_sent += batch->count;
    engine->statistics.bytes_sent += batch->length;
    return true;
}

/* ---- Events ---- */

static void event_queue(struct braid_engine *engine, struct event_node *node)
{
    if (engine->last_event)
        engine->last_event->next = node;
    else
        engine->first_event = node;
    engine->last_event = node;
}

void event_add(struct braid_engine *engine, const struct braid_event *event, const void *bytes,
               size_t length)
{
    size_t allocated = sizeof(struct event_node) + length;
    struct event_node *node = pool_allocate(&engine->pool, allocated);

    if (!node)
        return;
    *node = (struct event_node){.event = *event, .allocated = allocated};
    if (length > 0) {
        memcpy(node->bytes, bytes, length);
        node->event.bytes = node->bytes;
        node->event.length = length;
    }
    event_queue(engine, node);
}

void event_send_failed(struct sctp_association *association, struct sent_message *message)
{
    struct braid_engine *engine = association->engine;
    struct event_node *node = pool_allocate(&engine->pool, sizeof(*node));

    authentication_unbind(association, message);
    association->sender.queued_bytes -= message->length;
    association_charge(association, -(int64_t)(sizeof(*message) + message->length));
    if (!node) {
        pool_release(&engine->pool, message, sizeof(*message) + message->length);
        return;
    }
    *node = (struct event_node){.message = message, .allocated = sizeof(*node)};
    node->event = (struct braid_event){
        .type = BRAID_EVENT_SEND_FAILED,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .cause = association->down_cause,
        .unsent = message->begun == 0,
        .send = message->send,
        .segment = association_fragmentation_point(association),
        .bytes = message->bytes,
        .length = message->length,
    };
    event_queue(engine, node);
}

bool braid_engine_next_event(struct braid_engine *engine, struct braid_event *event)
{
    struct event_node *node = engine->first_event;

    event_free(engine, engine->told_event);
    engine->told_event = node;
    if (!node)
        return false;
    engine->first_event = node->next;
    if (!engine->first_event)
        engine->last_event = NULL;
    *event = node->event;
    return true;
}

/* ---- Counters ---- */

void braid_engine_statistics(const struct braid_engine *engine, struct braid_statistics *statistics)
{
    *statistics = engine->statistics;
    statistics->associations_now = engine->associations.count;
}
