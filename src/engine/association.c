/*
 * An association from its making to its end.
 *
 * RFC 9260, section 4 (states), section 13 (its variables).
 */
#include <stdlib.h>

#include "engine/private.h"

/* ---- Making and freeing ---- */

struct sctp_association *association_find(const struct braid_engine *engine, uint32_t identifier)
{
    return identifier_find(&engine->associations, identifier);
}

struct sctp_association *association_new(struct braid_engine *engine,
                                         struct sctp_endpoint *endpoint, uint16_t peer_port)
{
    struct sctp_association *association = calloc(1, sizeof(*association));

    if (!association)
        return NULL;
    association->id = identifier_add(&engine->associations, association);
    if (!association->id) {
        engine->statistics.associations_refused++;
        free(association);
        return NULL;
    }
    association->engine = engine;
    association->endpoint = endpoint;
    association->account = endpoint->account;
    association->parameters = endpoint->parameters;
    association->local_port = endpoint->port;
    association->peer_port = peer_port;
    association->local_tag = random_tag(engine);
    association->local_tie_tag = random_tag(engine);
    association->peer_tie_tag = random_tag(engine);
    association->local_initial_tsn = random_u32(engine);
    list_append(&endpoint->associations, &association->endpoint_link);
    list_init(&association->ready_link);
    list_init(&association->touched_link);
    timer_init(&association->t1, TIMER_T1);
    timer_init(&association->t5, TIMER_T5);
    timer_init(&association->autoclose, TIMER_AUTOCLOSE);
    timer_init(&association->receiver.sack_timer, TIMER_SACK);
    association_set_interleaving(association, false);
    sender_init(&association->sender, association->local_initial_tsn);
    (void)schedule_choose(association, association->parameters.scheduler);
    if (association->parameters.authentication) {
        association->authentication = authentication_new(association);
        if (!association->authentication) {
            association->claimed = true; /* it was never counted */
            association_free(association);
            return NULL;
        }
    }
    return association;
}

void association_free_paths(struct sctp_association *association)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        path_hash_remove(association->engine, association->paths[i]);
        free(association->paths[i]);
    }
    free(association->paths);
    association->paths = NULL;
    association->path_count = 0;
}

/* Behind `gone` they move up; what was of it becomes another's. */
static uint8_t moved(uint32_t index, const struct sctp_path *gone, const struct sctp_path *other)
{
    uint32_t now = index == gone->index ? other->index : index;

    return (uint8_t)(now > gone->index ? now - 1 : now);
}

/* Messages that are to go over it go over another. */
static void forget_path_of(struct sent_message *message, uint8_t index)
{
    for (; message; message = message->next) {
        if (message->send.path == index)
            message->send.flags &= (uint16_t)~BRAID_SEND_OVER_PATH;
        else if (message->send.path > index)
            message->send.path--;
    }
}

void association_remove_path(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    struct sctp_sender *sender = &association->sender;
    struct timer_wheel *wheel = &association->engine->wheel;
    struct sctp_path *other = association_data_path(association);
    uint8_t index = path->index;

    if (other == path)
        other = association_alternate_path(association, path);
    if (other == path)
        other = association->paths[index == 0 ? 1 : 0];
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++) {
        struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->path == index && !entry->acknowledged)
            sender_mark(association, tsn, other);
        entry->path = moved(entry->path, path, other);
    }
    schedule_gather(sender);
    forget_path_of(sender->first, index);
    schedule_spread(sender);
    forget_path_of(sender->held, index);
    timer_stop(wheel, &path->t3_rtx);
    timer_stop(wheel, &path->heartbeat_timer);
    plpmtud_stop(path);
    asconf_forget_path(association, path);
    reconfig_forget_path(association, path);
    association->primary = moved(association->primary, path, other);
    association->setup_path = moved(association->setup_path, path, other);
    association->reply_path = moved(association->reply_path, path, other);
    association->receiver.sack_path = moved(association->receiver.sack_path, path, other);
    path_tell(path, BRAID_PATH_REMOVED);
    path_hash_remove(association->engine, path);
    association->path_count--;
    for (uint8_t i = index; i < association->path_count; i++) {
        association->paths[i] = association->paths[i + 1];
        association->paths[i]->index = i;
    }
    free(path);
    for (uint8_t i = 0; i < association->path_count; i++)
        heartbeat_hurry(association->paths[i]);
    association_set_ready(association);
}

void association_stop_timers(struct sctp_association *association)
{
    struct timer_wheel *wheel = &association->engine->wheel;

    timer_stop(wheel, &association->t1);
    timer_stop(wheel, &association->t5);
    timer_stop(wheel, &association->autoclose);
    timer_stop(wheel, &association->receiver.sack_timer);
    if (association->asconf)
        timer_stop(wheel, &association->asconf->t4);
    if (association->reconfig)
        timer_stop(wheel, &association->reconfig->timer);
    for (uint8_t i = 0; i < association->path_count; i++)
        timer_stop(wheel, &association->paths[i]->t3_rtx);
    heartbeat_stop_all(association);
}

void association_free(struct sctp_association *association)
{
    struct braid_engine *engine = association->engine;

    association_stop_timers(association);
    if (!association->claimed)
        association->endpoint->unclaimed--;
    list_remove(&association->endpoint_link);
    list_remove(&association->ready_link);
    list_remove(&association->touched_link);
    sender_free(association, false);
    receiver_free(association, false);
    association_free_paths(association);
    free(association->cookie);
    authentication_free(association->authentication);
    asconf_free(association);
    reconfig_free(association);
    free(association->abandoned);
    association_charge(association, -(int64_t)association->charged);
    identifier_remove(&engine->associations, association->id);
    free(association);
}

struct sctp_path *association_add_path(struct sctp_association *association,
                                       const struct braid_address *address,
                                       uint16_t encapsulation_port, enum braid_path_state state)
{
    struct sctp_path **paths;
    struct sctp_path *path;

    if (association->path_count == ADDRESSES_MAXIMUM)
        return NULL;
    paths =
        realloc(association->paths, (association->path_count + 1u) * sizeof(struct sctp_path *));
    if (!paths)
        return NULL;
    association->paths = paths;
    path = calloc(1, sizeof(*path));
    if (!path)
        return NULL;
    path->association = association;
    path->address = *address;
    path->encapsulation_port = encapsulation_port;
    path->index = association->path_count;
    path->state = (uint8_t)state;
    path->rto = association->parameters.rto_initial * 1000;
    path->hb_interval = association->parameters.hb_interval;
    path->path_max_retrans = association->parameters.path_max_retrans;
    path->potentially_failed_max_retrans = association->parameters.potentially_failed_max_retrans;
    path->primary_switchover_max_retrans = association->parameters.primary_switchover_max_retrans;
    path->own.sack_delay = BRAID_AS_ASSOCIATION;
    path->own.traffic_class = BRAID_AS_ASSOCIATION;
    path->own.mtu_discovery = BRAID_AS_ASSOCIATION;
    timer_init(&path->t3_rtx, TIMER_T3);
    timer_init(&path->heartbeat_timer, TIMER_HEARTBEAT);
    timer_init(&path->plpmtud.timer, TIMER_PLPMTUD);
    path->plpmtud.interval = association->parameters.probe_interval;
    path_look_up_route(path);
    path->traffic_class = association->parameters.traffic_class;
    congestion_init(path);
    if (path_hash_add(association->engine, path) < 0) {
        free(path);
        return NULL;
    }
    association->paths[association->path_count++] = path;
    return path;
}

struct sctp_path *association_path_to(const struct sctp_association *association,
                                      const struct braid_address *address)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        if (braid_address_equal(&association->paths[i]->address, address))
            return association->paths[i];
    }
    return NULL;
}

/* ---- Life ---- */

void association_set_ready(struct sctp_association *association)
{
    if (list_is_empty(&association->ready_link) && association->state != BRAID_CLOSED)
        list_append(&association->engine->ready, &association->ready_link);
}

bool association_may_send_data(const struct sctp_association *association)
{
    return association->state == BRAID_ESTABLISHED ||
           association->state == BRAID_SHUTDOWN_PENDING ||
           association->state == BRAID_SHUTDOWN_RECEIVED;
}

void association_restart_autoclose(struct sctp_association *association)
{
    if (association->parameters.autoclose && association->state == BRAID_ESTABLISHED)
        timer_start(&association->engine->wheel, &association->autoclose,
                    association->engine->now + milliseconds(association->parameters.autoclose));
}

static void tell(struct sctp_association *association, enum braid_event_type type, uint32_t value)
{
    struct braid_event event = {
        .type = type,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .incoming = association->incoming,
        .value = value,
    };

    event_add(association->engine, &event, NULL, 0);
}

void association_established(struct sctp_association *association)
{
    struct braid_engine *engine = association->engine;

    timer_stop(&engine->wheel, &association->t1);
    free(association->cookie);
    association->cookie = NULL;
    association->send_init = association->send_cookie_echo = false;
    association->state = BRAID_ESTABLISHED;
    association->error_count = 0;
    if (!association->sender.schedule) /* after a restart */
        (void)schedule_choose(association, association->parameters.scheduler);
    if (association->was_up) {
        tell(association, BRAID_EVENT_RESTART, 0);
    } else {
        if (association->incoming)
            engine->statistics.associations_accepted++;
        else
            engine->statistics.associations_opened++;
        tell(association, BRAID_EVENT_UP, 0);
    }
    association->was_up = true;
    if (association->peer_adaptation_given)
        tell(association, BRAID_EVENT_ADAPTATION, association->peer_adaptation);
    if (!association->authentication || !association->authentication->capable)
        authentication_tell(association, BRAID_AUTHENTICATION_NONE, 0);
    else
        authentication_tell_new_key(association);
    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];

        if (path->flight > 0) /* DATA that went with the COOKIE ECHO */
            timer_start(&engine->wheel, &path->t3_rtx, engine->now + path->rto);
        heartbeat_start(path);
        plpmtud_start(path);
    }
    association_restart_autoclose(association);
    association_set_ready(association);
}

void association_down(struct sctp_association *association, enum braid_down_reason reason,
                      const void *causes, size_t length)
{
    struct braid_engine *engine = association->engine;
    struct braid_event event = {
        .type = BRAID_EVENT_DOWN,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .reason = reason,
    };
    struct parameter_iterator iterator;
    struct sctp_parameter cause;

    if (association->down)
        return;
    association->down = true;
    cookie_spend(association);
    parameter_iterator_init(&iterator, causes, length);
    if (parameter_next(&iterator, &cause))
        event.cause = association->down_cause = cause.type;
    association_stop_timers(association);
    asconf_free(association);
    list_remove(&association->ready_link);
    list_remove(&association->touched_link);
    association->state = BRAID_CLOSED;
    if (reason == BRAID_DOWN_SHUTDOWN)
        engine->statistics.associations_shut_down++;
    else
        engine->statistics.associations_aborted++;
    sender_free(association, true);
    receiver_free(association, true);
    association_free_paths(association);
    free(association->cookie);
    association->cookie = NULL;
    event_add(engine, &event, causes, length);
}

struct response *association_respond(struct sctp_association *association,
                                     struct packet_writer *writer, size_t capacity)
{
    struct sctp_common_header header = {association->local_port, association->peer_port,
                                        association->peer_tag};
    struct response *response = response_begin(
        association->engine, writer,
        capacity + SCTP_CHUNK_HEADER_LENGTH + authentication_overhead(association), &header);

    if (!response)
        return NULL;
    response->checksum_zero = association->peer_accepts_zero_checksum;
    authentication_begin(association, writer, false);
    if (association->send_cookie_ack) { /* 5.1.5: it comes first */
        cookie_ack_write(writer);
        association->send_cookie_ack = false;
    }
    return response;
}
