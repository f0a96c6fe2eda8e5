/*
 * Our addresses change: the requests that tell the peer, one ASCONF at a time, and what may be done
 * with an address meanwhile.
 *
 * RFC 5061, section 5.1 (ASCONF and T4-rto), section 5.3 (rules for addresses).
 */
#include <stdlib.h>

#include "engine/private.h"

/* AUTH, an address of ours, and requests for IPv6 addresses, in UDP over IPv4 with an MTU of 512.
 */
_Static_assert(SCTP_COMMON_HEADER_LENGTH + AUTH_CHUNK_MAXIMUM + 8 + 20 +
                       ASCONF_BUNDLE_MAXIMUM * (8 + 20) <=
                   512 - 20 - 8,
               "an ASCONF is longer than the smallest MTU");

/* ---- An association's own addresses ---- */

static struct local_address *find_local(const struct asconf *asconf,
                                        const struct braid_address *address)
{
    for (uint32_t i = 0; asconf && i < asconf->local_count; i++) {
        if (braid_address_equal(&asconf->local[i].address, address))
            return &asconf->local[i];
    }
    return NULL;
}

static bool has_own_list(const struct asconf *asconf)
{
    return asconf && asconf->local;
}

bool association_has_address(const struct sctp_association *association,
                             const struct braid_address *address)
{
    if (has_own_list(association->asconf) && association->endpoint->address_count > 0)
        return find_local(association->asconf, address) != NULL;
    return endpoint_has_address(association->endpoint, address);
}

bool association_may_send_from(const struct sctp_association *association,
                               const struct braid_address *address)
{
    const struct local_address *local;

    if (!has_own_list(association->asconf))
        return endpoint_has_address(association->endpoint, address);
    local = find_local(association->asconf, address);
    return local && local->state == LOCAL_ACTIVE;
}

size_t association_list_addresses(const struct sctp_association *association,
                                  struct braid_address *addresses, size_t capacity)
{
    const struct sctp_endpoint *endpoint = association->endpoint;
    const struct asconf *asconf = association->asconf;
    size_t count = 0;

    if (!has_own_list(asconf))
        return association->path_count == 0
                   ? 0
                   : endpoint_list_addresses(association->engine, endpoint,
                                             &association->paths[0]->address, endpoint->ipv4,
                                             endpoint->ipv6, addresses, capacity);
    for (; count < asconf->local_count && count < capacity; count++)
        addresses[count] = asconf->local[count].address;
    return count;
}

/* The first address in this state, of this family if it is not 0. */
static const struct local_address *first_local(const struct asconf *asconf,
                                               enum local_address_state state, uint16_t family)
{
    for (uint32_t i = 0; i < asconf->local_count; i++) {
        if (asconf->local[i].state == state &&
            (family == 0 || asconf->local[i].address.family == family))
            return &asconf->local[i];
    }
    return NULL;
}

struct braid_address association_first_source(const struct sctp_association *association,
                                              uint16_t family)
{
    const struct sctp_endpoint *endpoint = association->endpoint;
    const struct asconf *asconf = association->asconf;
    uint32_t count = has_own_list(asconf) ? asconf->local_count : endpoint->address_count;
    struct braid_address first = {0};

    for (uint32_t i = 0; i < count; i++) {
        const struct braid_address *address =
            has_own_list(asconf) ? &asconf->local[i].address : &endpoint->addresses[i];

        if (address->family != family || !association_may_send_from(association, address))
            continue;
        if (engine_has_address(association->engine, address))
            return *address;
        if (!first.family)
            first = *address;
    }
    return first;
}

bool asconf_is_mute(const struct sctp_association *association)
{
    return has_own_list(association->asconf) && association->asconf->capable &&
           !first_local(association->asconf, LOCAL_ACTIVE, 0);
}

bool asconf_holds_back(const struct sctp_association *association)
{
    return association->asconf &&
           (asconf_is_mute(association) ||
            association_data_path(association)->state == BRAID_PATH_UNCONFIRMED);
}

bool asconf_is_deleting(const struct sctp_association *association,
                        const struct braid_address *address)
{
    const struct local_address *local = find_local(association->asconf, address);

    return local && local->state == LOCAL_DELETING;
}

static struct asconf *asconf_of(struct sctp_association *association)
{
    struct asconf *asconf = association->asconf;

    if (asconf)
        return asconf;
    asconf = calloc(1, sizeof(*asconf));
    if (!asconf)
        return NULL;
    asconf->association = association;
    timer_init(&asconf->t4, TIMER_T4);
    association->asconf = asconf;
    return asconf;
}

void asconf_free(struct sctp_association *association)
{
    struct asconf *asconf = association->asconf;

    if (!asconf)
        return;
    timer_stop(&association->engine->wheel, &asconf->t4);
    free(asconf->local);
    free(asconf->requests);
    free(asconf->acks);
    free(asconf);
    association->asconf = NULL;
}

void asconf_begin_association(struct sctp_association *association, bool capable,
                              uint32_t local_initial_tsn, uint32_t peer_initial_tsn)
{
    struct asconf *asconf;

    asconf_free(association);
    if (!capable)
        return;
    asconf = asconf_of(association);
    if (!asconf)
        return;
    asconf->capable = true;
    asconf->next_serial = local_initial_tsn; /* A2 */
    asconf->peer_serial = peer_initial_tsn - 1;
}

void asconf_forget_path(struct sctp_association *association, const struct sctp_path *path)
{
    if (association->asconf && association->asconf->path == path)
        association->asconf->path = NULL;
}

static bool append_local(struct asconf *asconf, const struct braid_address *address,
                         enum local_address_state state)
{
    struct local_address *grown;

    if (asconf->local_count == ASCONF_LOCAL_MAXIMUM)
        return false;
    grown = realloc(asconf->local, (asconf->local_count + 1) * sizeof(*grown));
    if (!grown)
        return false;
    asconf->local = grown;
    grown[asconf->local_count++] = (struct local_address){*address, state};
    return true;
}

static void remove_local(struct asconf *asconf, struct local_address *local)
{
    size_t behind = asconf->local_count - (size_t)(local - asconf->local) - 1;

    asconf->local_count--;
    memmove(local, local + 1, behind * sizeof(*local));
}

void asconf_keep_addresses(struct sctp_association *association)
{
    struct braid_address addresses[ASCONF_LOCAL_MAXIMUM];
    struct asconf *asconf = asconf_of(association);
    size_t count;

    if (!asconf || asconf->local)
        return;
    count = association_list_addresses(association, addresses, ASCONF_LOCAL_MAXIMUM);
    for (size_t i = 0; i < count; i++)
        append_local(asconf, &addresses[i], LOCAL_ACTIVE);
}

/* What may be sent from has changed. */
static void choose_sources(struct sctp_association *association)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        association->paths[i]->route_source = (struct braid_address){0}; /* to be believed again */
        path_look_up_route(association->paths[i]);
    }
    association_set_ready(association);
}

/* ---- Requests ---- */

/* Behind those that are outstanding; an addition goes in front of deletions, so that a last address
 * can be changed for another (5.3.2). */
static bool append_request(struct asconf *asconf, uint16_t type,
                           const struct braid_address *address)
{
    uint32_t at = asconf->request_count;
    struct asconf_request *grown;

    if (asconf->request_count == ASCONF_REQUESTS_MAXIMUM)
        return false;
    grown = realloc(asconf->requests, (asconf->request_count + 1) * sizeof(*grown));
    if (!grown)
        return false;
    asconf->requests = grown;
    while (type == SCTP_PARAMETER_ADD_IP && at > asconf->outstanding &&
           grown[at - 1].type == SCTP_PARAMETER_DELETE_IP &&
           !braid_address_equal(&grown[at - 1].address, address))
        at--;
    memmove(&grown[at + 1], &grown[at], (asconf->request_count - at) * sizeof(*grown));
    grown[at] = (struct asconf_request){
        .type = type, .correlation_id = asconf->next_correlation_id++, .address = *address};
    asconf->request_count++;
    return true;
}

/* Takes a request back that was not yet sent. */
static bool withdraw_request(struct asconf *asconf, uint16_t type,
                             const struct braid_address *address)
{
    for (uint32_t i = asconf->outstanding; i < asconf->request_count; i++) {
        struct asconf_request *request = &asconf->requests[i];

        if (request->type != type || !braid_address_equal(&request->address, address))
            continue;
        asconf->request_count--;
        memmove(request, request + 1, (asconf->request_count - i) * sizeof(*request));
        return true;
    }
    return false;
}

static bool may_request(const struct sctp_association *association)
{
    const struct asconf *asconf = association->asconf;

    return asconf && asconf->capable && association_may_send_data(association); /* C4 */
}

static void add_address(struct asconf *asconf, const struct braid_address *address)
{
    struct local_address *local = find_local(asconf, address);

    if (local && local->state != LOCAL_DELETING)
        return;
    if (local && withdraw_request(asconf, SCTP_PARAMETER_DELETE_IP, address)) {
        local->state = LOCAL_ACTIVE;
        return;
    }
    if (!local && !append_local(asconf, address, LOCAL_ADDING))
        return;
    find_local(asconf, address)->state = LOCAL_ADDING;
    append_request(asconf, SCTP_PARAMETER_ADD_IP, address);
}

static void delete_address(struct asconf *asconf, const struct braid_address *address)
{
    struct local_address *local = find_local(asconf, address);

    if (!local || local->state == LOCAL_DELETING)
        return;
    withdraw_request(asconf, SCTP_PARAMETER_SET_PRIMARY, address);
    if (local->state == LOCAL_ADDING && withdraw_request(asconf, SCTP_PARAMETER_ADD_IP, address)) {
        remove_local(asconf, local);
        return;
    }
    local->state = LOCAL_DELETING;
    append_request(asconf, SCTP_PARAMETER_DELETE_IP, address);
}

void asconf_change_address(struct sctp_association *association,
                           const struct braid_address *address, bool add)
{
    struct asconf *asconf = association->asconf;

    if (!may_request(association) || asconf->no_address_requests || association->path_count == 0 ||
        braid_address_reach(address) < braid_address_reach(&association->paths[0]->address) ||
        (address->family == BRAID_IPV6 && braid_address_is_link_local(address)))
        return;
    if (add)
        add_address(asconf, address);
    else
        delete_address(asconf, address);
    choose_sources(association);
}

size_t braid_association_addresses(const struct braid_engine *engine, uint32_t identifier,
                                   struct braid_address *addresses, size_t capacity)
{
    const struct sctp_association *association = association_find(engine, identifier);

    return association ? association_list_addresses(association, addresses, capacity) : 0;
}

static bool lists_address(const struct sctp_association *association,
                          const struct braid_address *address)
{
    struct braid_address addresses[ASCONF_LOCAL_MAXIMUM];
    size_t count = association_list_addresses(association, addresses, ASCONF_LOCAL_MAXIMUM);

    for (size_t i = 0; i < count; i++) {
        if (braid_address_equal(&addresses[i], address))
            return !asconf_is_deleting(association, address);
    }
    return false;
}

int braid_association_set_peer_primary(struct braid_engine *engine, uint32_t identifier,
                                       const struct braid_address *local, braid_time now)
{
    struct sctp_association *association = association_find(engine, identifier);
    struct braid_address address = braid_address_normalise(local);

    if (now > engine->now)
        engine->now = now;
    if (!association || !association_may_send_data(association))
        return -ENOTCONN;
    if (!may_request(association) || association->asconf->no_primary_requests)
        return -EOPNOTSUPP;
    if (!lists_address(association, &address))
        return -EADDRNOTAVAIL;
    if (!append_request(association->asconf, SCTP_PARAMETER_SET_PRIMARY, &address))
        return -ENOBUFS;
    association_set_ready(association);
    return 0;
}

/* ---- Sending ---- */

/* How many of the waiting requests the next ASCONF takes: none that would leave us without an
 * address (F5). */
static uint32_t next_bundle(const struct asconf *asconf)
{
    uint32_t count = minimum(asconf->request_count, ASCONF_BUNDLE_MAXIMUM);
    bool remains = !has_own_list(asconf) || first_local(asconf, LOCAL_ACTIVE, 0) != NULL;
    uint32_t taken = 0;

    for (uint32_t i = 0; i < count; i++) {
        remains |= asconf->requests[i].type == SCTP_PARAMETER_ADD_IP;
        if (asconf->requests[i].type == SCTP_PARAMETER_DELETE_IP && !remains)
            break;
        taken++;
    }
    return taken;
}

/* A source that the peer can answer to. While we have none that it knows, one that is being added
 * (F1). */
static bool find_source(const struct asconf *asconf, const struct sctp_path *path,
                        struct braid_address *source)
{
    const struct local_address *adding;

    *source = path->source;
    if (!asconf_is_mute(asconf->association))
        return true;
    adding = first_local(asconf, LOCAL_ADDING, path->address.family);
    if (adding)
        *source = adding->address;
    return adding != NULL;
}

struct sctp_path *asconf_path(struct sctp_association *association)
{
    struct asconf *asconf = association->asconf;
    struct braid_address source;

    if (!may_request(association) || asconf->request_count == 0 ||
        (asconf->outstanding > 0 && !asconf->send) ||
        (asconf->outstanding == 0 && next_bundle(asconf) == 0))
        return NULL;
    if (!asconf->path)
        asconf->path = association_data_path(association);
    for (uint8_t i = 0; i < association->path_count && !find_source(asconf, asconf->path, &source);
         i++)
        asconf->path = association->paths[i];
    return find_source(asconf, asconf->path, &source) ? asconf->path : NULL;
}

/* An address that the peer knows (4.1.1). */
static struct braid_address known_address(const struct asconf *asconf,
                                          const struct braid_address *source)
{
    const struct local_address *local;
    struct sctp_endpoint *endpoint = asconf->association->endpoint;

    if (has_own_list(asconf)) {
        local = first_local(asconf, LOCAL_ACTIVE, 0);
        if (!local)
            local = first_local(asconf, LOCAL_DELETING, 0);
        if (local)
            return local->address;
    }
    if (source->family)
        return *source;
    if (endpoint->address_count > 0)
        return endpoint->addresses[0];
    return (struct braid_address){.family = BRAID_IPV4}; /* 0.0.0.0: look at the packet */
}

void asconf_write(struct sctp_association *association, struct packet_writer *writer,
                  struct braid_address *source)
{
    struct asconf *asconf = association->asconf;
    struct braid_address known;
    size_t chunk;

    find_source(asconf, asconf->path, source);
    known = known_address(asconf, source);
    if (asconf->outstanding == 0) {
        asconf->outstanding = next_bundle(asconf);
        asconf->next_serial++;
    }
    chunk = asconf_begin(writer, asconf->next_serial - 1, &known);
    for (uint32_t i = 0; i < asconf->outstanding; i++)
        address_request_write(writer, asconf->requests[i].type,
                              &(struct sctp_address_request){asconf->requests[i].correlation_id,
                                                             asconf->requests[i].address});
    chunk_end(writer, chunk);
    asconf->send = false;
    timer_start(&association->engine->wheel, &asconf->t4,
                association->engine->now + asconf->path->rto); /* A4 */
}

void asconf_timeout(struct asconf *asconf)
{
    struct sctp_association *association = asconf->association;
    struct sctp_path *path = asconf->path ? asconf->path : association_data_path(association);

    path_back_off(path);          /* B3 */
    if (!path_failed(path, true)) /* B1, B2 */
        return;
    asconf->path = association_alternate_path(association, path);
    asconf->send = true;
    association_set_ready(association);
}

/* ---- ASCONF ACK ---- */

static void abort_for_ack(struct sctp_association *association)
{
    uint8_t bytes[SCTP_PARAMETER_HEADER_LENGTH];
    struct packet_writer causes;

    packet_writer_init(&causes, bytes, sizeof(bytes));
    parameter_write(&causes, SCTP_CAUSE_ILLEGAL_ASCONF_ACK, NULL, 0);
    association_abort(association, BRAID_DOWN_PROTOCOL, &causes);
}

static bool has_unrecognized_parameter(const struct sctp_error_cause_indication *indication)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;

    parameter_iterator_init(&iterator, indication->causes, indication->causes_length);
    return parameter_next(&iterator, &cause) && cause.type == SCTP_CAUSE_UNRECOGNIZED_PARAMETERS;
}

/* A6 to A8: which of the outstanding requests failed? */
static void read_responses(struct asconf *asconf, const struct sctp_asconf *ack)
{
    bool succeeded[ASCONF_BUNDLE_MAXIMUM] = {false};
    uint32_t first_failed = asconf->outstanding;
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    for (uint32_t i = 0; i < asconf->outstanding; i++)
        asconf->requests[i].failed = false;
    parameter_iterator_init(&iterator, ack->parameters, ack->parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        struct sctp_error_cause_indication indication = {0};
        bool failed = parameter.type == SCTP_PARAMETER_ERROR_CAUSE_INDICATION;
        uint32_t i = 0;

        if (failed ? !error_cause_indication_read(&parameter, &indication)
                   : parameter.type != SCTP_PARAMETER_SUCCESS_INDICATION ||
                         !success_indication_read(&parameter, &indication.correlation_id))
            continue;
        while (i < asconf->outstanding &&
               asconf->requests[i].correlation_id != indication.correlation_id)
            i++;
        if (i == asconf->outstanding)
            continue;
        asconf->requests[i].failed = failed;
        succeeded[i] = !failed;
        if (failed)
            first_failed = minimum(first_failed, i);
        if (failed && has_unrecognized_parameter(&indication)) { /* F3 */
            asconf->no_primary_requests |= asconf->requests[i].type == SCTP_PARAMETER_SET_PRIMARY;
            asconf->no_address_requests |= asconf->requests[i].type != SCTP_PARAMETER_SET_PRIMARY;
        }
    }
    for (uint32_t i = first_failed; i < asconf->outstanding; i++)
        asconf->requests[i].failed = !succeeded[i];
}

/* The address may have been asked for anew meanwhile: then its state says so. */
static void complete_request(struct asconf *asconf, const struct asconf_request *request)
{
    struct local_address *local = find_local(asconf, &request->address);

    if (!local)
        return;
    if (request->type == SCTP_PARAMETER_ADD_IP && local->state == LOCAL_ADDING) {
        if (request->failed)
            remove_local(asconf, local); /* F10 */
        else
            local->state = LOCAL_ACTIVE; /* F2 */
    } else if (request->type == SCTP_PARAMETER_DELETE_IP && local->state == LOCAL_DELETING &&
               !request->failed) {
        remove_local(asconf, local);
    }
}

static void drop_outstanding(struct asconf *asconf)
{
    timer_stop(&asconf->association->engine->wheel, &asconf->t4);
    asconf->request_count -= asconf->outstanding;
    memmove(asconf->requests, asconf->requests + asconf->outstanding,
            asconf->request_count * sizeof(asconf->requests[0]));
    asconf->outstanding = 0;
    asconf->send = false;
    asconf->path = NULL;
    choose_sources(asconf->association);
}

void asconf_receive_ack(struct sctp_association *association, const struct sctp_chunk *chunk)
{
    struct braid_engine *engine = association->engine;
    struct asconf *asconf = association->asconf;
    struct sctp_asconf ack;

    if (!asconf_ack_read(chunk, &ack)) {
        engine->statistics.bad_packet++;
        return;
    }
    if (asconf->outstanding == 0 && !tsn_before(ack.serial_number, asconf->next_serial)) { /* F0 */
        abort_for_ack(association);
        return;
    }
    if (asconf->outstanding == 0 || ack.serial_number != asconf->next_serial - 1) {
        engine->statistics.asconf_ignored++;
        return;
    }
    association->error_count = 0; /* A5 */
    if (asconf->path)
        path_answered(asconf->path, PATH_CHUNK_ANSWERED);
    read_responses(asconf, &ack);
    for (uint32_t i = 0; i < asconf->outstanding; i++)
        complete_request(asconf, &asconf->requests[i]);
    drop_outstanding(asconf);
}

void asconf_refused(struct sctp_association *association)
{
    struct asconf *asconf = association->asconf;

    if (!asconf || !asconf->capable)
        return;
    asconf->capable = false;
    asconf->outstanding = asconf->request_count;
    for (uint32_t i = 0; i < asconf->outstanding; i++) {
        asconf->requests[i].failed = true;
        complete_request(asconf, &asconf->requests[i]);
    }
    drop_outstanding(asconf);
}
