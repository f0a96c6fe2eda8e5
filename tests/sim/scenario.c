/*
 * A scenario: what a seed stands for. See scenario.h.
 */
#include "scenario.h"

#include "changes.h"
#include "engine/watcher.h"
#include "liar.h"
#include "limits.h"
#include "memory.h"
#include "weather.h"

enum {
    ENDPOINTS = 3, /* of each host: ports from WORLD_PORT on */
    ENDS_MAXIMUM = 24,
    /* An idle engine keeps no more than this; the cookies that were spent are most of it. */
    ENGINE_KEEPS = 512 << 10,
};

/* When all is good, something arrives, or an association ends, within this: the most that a user
 * waits until all retransmissions of a chunk that nobody answers were in vain. That happens: a host
 * that was started anew does not answer a COOKIE ECHO of before, nor may it say that it knows
 * nothing of an association if an ABORT is to be authenticated. */
enum { RETRANSMISSIONS = 22 };
static const braid_time patience = (RETRANSMISSIONS + 3) * 70 * SECOND;

/* What may happen: each scenario has some of it. */
enum happening {
    WEATHER,
    CUT,
    MTU,
    PAUSE,
    CLOCK,
    READER,
    SEND,
    CONNECT,
    SHUTDOWN,
    ABORT,
    CRASH,
    ADDRESSES,
    PATHS,
    PARAMETERS,
    RECONFIG,
    SCHEDULE,
    KEYS,
    COLLIDE,
    HOLD,
    HAPPENINGS
};

struct scenario {
    struct world *world;
    struct checker checker;
    struct limits *limits;
    struct liar *liar;
    unsigned int liars; /* hosts whose packets are rewritten: a bit each */
    struct weather weather;
    struct random_generator random;
    struct scenario_counts *counts;
    uint32_t endpoints[WORLD_HOSTS][ENDPOINTS];
    unsigned int end_count, crashes;
    bool calm;
    bool large, unordered, abandonable, many_streams;
    bool reconfig, ecn, probing; /* what the hosts may have besides */
    bool interleaving;           /* RFC 8260 */
    bool guarded;                /* what is below finds damaged packets (RFC 9653) */
    struct braid_keys *keys;
    size_t memory;
};

static uint32_t below(struct scenario *scenario, uint32_t limit)
{
    return (uint32_t)random_below(&scenario->random, limit);
}

static bool chance(struct scenario *scenario, double probability)
{
    return random_chance(&scenario->random, probability);
}

/* ---- Users: what they send and read -----------------------------------------------------------
 */

static void traffic_begin(struct scenario *scenario, struct end *end)
{
    end->traffic = (struct traffic){
        .total = chance(scenario, 0.2) ? 0 : below(scenario, 40),
        .large = scenario->large ? 0.05 : 0,
        .unordered = scenario->unordered ? 0.1 * below(scenario, 11) : 0,
        .abandonable = scenario->abandonable ? 0.1 * below(scenario, 11) : 0,
        .streams = scenario->many_streams ? 65535 : 1 + below(scenario, 10),
    };
}

static size_t some_length(struct scenario *scenario, const struct traffic *traffic)
{
    if (chance(scenario, traffic->large))
        return MESSAGE_HEADER + below(scenario, MESSAGE_MAXIMUM - MESSAGE_HEADER);
    if (chance(scenario, 0.1))
        return MESSAGE_HEADER + below(scenario, 15000);
    return MESSAGE_HEADER + below(scenario, chance(scenario, 0.5) ? 100 : 2000);
}

static struct braid_send some_send(struct scenario *scenario, const struct traffic *traffic,
                                   uint32_t streams, uint32_t paths)
{
    struct braid_send send = {0};

    if (streams > traffic->streams)
        streams = traffic->streams;
    send.stream = (uint16_t)below(scenario, streams > 0 ? streams : 1);
    if (chance(scenario, traffic->unordered))
        send.flags |= BRAID_SEND_UNORDERED;
    if (chance(scenario, 0.05))
        send.flags |= BRAID_SEND_SACK_IMMEDIATELY;
    if (chance(scenario, 0.05)) /* the last of all, too: SHUTDOWN ends the waiting */
        send.flags |= BRAID_SEND_MORE;
    if (chance(scenario, 0.05)) {
        send.flags |= BRAID_SEND_OVER_PATH;
        send.path = below(scenario, paths);
    }
    if (!chance(scenario, traffic->abandonable))
        return send;
    send.policy = (uint16_t)below(scenario, BRAID_POLICY_COUNT);
    if (send.policy == BRAID_POLICY_RETRANSMISSIONS || send.policy == BRAID_POLICY_PRIORITY)
        send.limit = below(scenario, 4);
    else
        send.lifetime = 1 + below(scenario, 2000);
    return send;
}

/* Sends what there is to send, as far as it is taken. */
static void end_send(struct scenario *scenario, struct end *end)
{
    struct traffic *traffic = &end->traffic;
    struct braid_association_info info;

    while (traffic->sent < traffic->total && !traffic->stuck && !end->down) {
        struct braid_send send;
        int result;

        assert_int_equal(braid_association_info(end->host->engine, end->id, &info), 0);
        send = some_send(scenario, traffic, info.outbound_streams, info.path_count);
        result = checker_send(&scenario->checker, end, &send, some_length(scenario, traffic));
        if (result == -EAGAIN)
            return;
        if (result == -EPIPE || result == -ENOTCONN)
            traffic->stuck = true;
        else if (result != 0 && result != -EMSGSIZE)
            fail_msg("braid_send: %s", strerror(-result));
        traffic->sent++;
    }
}

static void end_read(struct scenario *scenario, struct end *end)
{
    if (!end->reader_stops)
        checker_read(&scenario->checker, end, UINT32_MAX);
}

static void end_shut_down(struct end *end)
{
    end->traffic.stuck = true;
    (void)braid_shutdown(end->host->engine, end->id, host_now(end->host));
}

/* All that is left to do, when all is good. */
static void end_finish(struct scenario *scenario, struct end *end)
{
    if (end->down || end->crashed)
        return;
    if (checker_distrusts(&scenario->checker, end->host->number, end->peer_host)) {
        (void)braid_abort(end->host->engine, end->id, NULL, 0, host_now(end->host));
        return;
    }
    end->reader_stops = false;
    (void)braid_association_hold(end->host->engine, end->id, 0, host_now(end->host));
    end_read(scenario, end);
    end_send(scenario, end);
    if (end->up && (end->traffic.sent >= end->traffic.total || end->traffic.stuck) &&
        !end->traffic.shut_down) {
        end->traffic.shut_down = true;
        end_shut_down(end);
    }
}

/* ---- Associations -----------------------------------------------------------------------------
 */

static struct end *scenario_end(struct scenario *scenario, struct host *host, uint32_t id,
                                unsigned int peer)
{
    struct end *end = checker_end(&scenario->checker, host, id, peer);

    traffic_begin(scenario, end);
    scenario->end_count++;
    return end;
}

static unsigned int host_of(const struct scenario *scenario, const struct braid_address *address)
{
    for (unsigned int i = 0; i < scenario->world->count; i++) {
        const struct host *host = &scenario->world->hosts[i];

        for (unsigned int j = 0; j < host->address_count; j++)
            if (braid_address_equal(&host->addresses[j], address))
                return i;
    }
    if (!scenario->checker.liars)
        fail_msg("an association with nobody");
    return PEER_UNKNOWN;
}

static struct end *scenario_accept(struct scenario *scenario, struct host *host, uint32_t id)
{
    struct braid_association_info info;
    struct braid_path_info path;
    unsigned int peer = PEER_UNKNOWN;
    struct end *end;

    if (braid_path_info(host->engine, id, 0, &path) == 0)
        peer = host_of(scenario, &path.address);
    assert_int_equal(braid_association_info(host->engine, id, &info), 0);
    end = scenario_end(scenario, host, id, peer);
    end->endpoint = info.local_port - WORLD_PORT;
    end->peer_port = info.peer_port;
    (void)braid_association_claim(host->engine, id);
    return end;
}

static void scenario_event(struct host *host, const struct braid_event *event)
{
    struct scenario *scenario = host->world->user;
    struct end *end = checker_find(&scenario->checker, host, event->association);
    struct braid_association_info info;

    if (!end && event->type == BRAID_EVENT_UP) {
        assert_true(event->incoming);
        (void)scenario_accept(scenario, host, event->association);
    }
    if (event->type == BRAID_EVENT_DOWN &&
        braid_association_info(host->engine, event->association, &info) == 0)
        watcher_forget(host->world->watcher, info.peer_tag);
    checker_event(&scenario->checker, host, event);
    end = checker_find(&scenario->checker, host, event->association);
    if (!end)
        return;
    if (event->type == BRAID_EVENT_RESTART) /* what went on before is over, a shutdown, too */
        end->traffic.shut_down = false;
    if (event->type == BRAID_EVENT_READABLE)
        end_read(scenario, end);
    if (event->type == BRAID_EVENT_UP || event->type == BRAID_EVENT_WRITABLE)
        end_send(scenario, end);
    if (scenario->calm)
        end_finish(scenario, end);
}

static void connect_to(struct scenario *scenario, struct host *host, unsigned int endpoint,
                       const struct host *peer, uint16_t port)
{
    size_t count = chance(scenario, 0.5) ? 1 : peer->address_count;
    struct end *end;
    uint32_t id;
    int result;

    if (scenario->end_count >= ENDS_MAXIMUM)
        return;
    result = braid_connect(host->engine, scenario->endpoints[host->number][endpoint],
                           peer->addresses, count, port, scenario->world->udp, host_now(host), &id);
    if (result == -EISCONN)
        return;
    assert_int_equal(result, 0);
    end = scenario_end(scenario, host, id, peer->number);
    end->endpoint = endpoint;
    end->peer_port = port;
    if (chance(scenario, 0.5))
        end_send(scenario, end);
}

static void scenario_connect(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct host *host = &world->hosts[below(scenario, world->count)];
    unsigned int to = (host->number + 1 + below(scenario, world->count - 1)) % world->count;

    unsigned int from_endpoint = below(scenario, ENDPOINTS);
    unsigned int to_endpoint = below(scenario, ENDPOINTS);

    connect_to(scenario, host, from_endpoint, &world->hosts[to],
               (uint16_t)(WORLD_PORT + to_endpoint));
    if (chance(scenario, 0.2)) /* the other at the same time: 5.2.1 */
        connect_to(scenario, &world->hosts[to], to_endpoint, host,
                   (uint16_t)(WORLD_PORT + from_endpoint));
}

/* One that is there; NULL: none. */
static struct end *some_end(struct scenario *scenario)
{
    unsigned int count = 0, chosen;

    for (struct end *end = scenario->checker.ends; end; end = end->next)
        count += !end->down && !end->crashed;
    if (count == 0)
        return NULL;
    chosen = below(scenario, count);
    for (struct end *end = scenario->checker.ends; end; end = end->next)
        if (!end->down && !end->crashed && chosen-- == 0)
            return end;
    return NULL;
}

/* The other end of the same association; NULL: it is not there, or not any more. */
static struct end *opposite_end(struct scenario *scenario, const struct end *end)
{
    for (struct end *other = scenario->checker.ends; other; other = other->next)
        if (!other->down && !other->crashed && other->host->number == end->peer_host &&
            other->peer_host == end->host->number &&
            other->endpoint == end->peer_port - (unsigned int)WORLD_PORT &&
            end->endpoint == other->peer_port - (unsigned int)WORLD_PORT)
            return other;
    return NULL;
}

static void end_abort(struct end *end)
{
    (void)braid_abort(end->host->engine, end->id, "enough", 6, host_now(end->host));
}

/* Both ends end it at the same time: SHUTDOWN meets SHUTDOWN or ABORT. */
static void end_both(struct scenario *scenario, struct end *end)
{
    struct end *other = opposite_end(scenario, end);

    end_shut_down(end);
    if (other && chance(scenario, 0.7))
        end_shut_down(other);
    else if (other)
        end_abort(other);
}

/* ---- Hosts ------------------------------------------------------------------------------------
 */

static struct braid_parameters some_parameters(struct scenario *scenario, bool authentication)
{
    static const uint8_t authenticated[] = {
        SCTP_CHUNK_DATA,     SCTP_CHUNK_SACK,        SCTP_CHUNK_HEARTBEAT, SCTP_CHUNK_FORWARD_TSN,
        SCTP_CHUNK_SHUTDOWN, SCTP_CHUNK_COOKIE_ECHO, SCTP_CHUNK_ABORT};
    struct braid_parameters parameters;

    braid_parameters_default(&parameters);
    parameters.receive_buffer = 1500 << below(scenario, 8);
    parameters.send_buffer = 1 + below(scenario, 200000);
    parameters.max_burst = below(scenario, 6);
    parameters.sack_delay = chance(scenario, 0.5) ? 200 : below(scenario, 501);
    parameters.sack_frequency = 1 + below(scenario, 4);
    parameters.no_delay = chance(scenario, 0.5);
    parameters.rto_min = chance(scenario, 0.5) ? 1000 : 1 + below(scenario, 1000);
    parameters.rto_initial = parameters.rto_min + below(scenario, 2000);
    parameters.rto_max =
        chance(scenario, 0.5) ? 60000 : parameters.rto_initial + below(scenario, 9000);
    parameters.hb_interval = chance(scenario, 0.2) ? 0 : 1 + below(scenario, 30000);
    parameters.hb_max_burst = below(scenario, 3);
    parameters.association_max_retrans = 2 + below(scenario, RETRANSMISSIONS - 2);
    parameters.path_max_retrans = below(scenario, 8);
    parameters.potentially_failed_max_retrans = below(scenario, 6);
    parameters.primary_switchover_max_retrans =
        chance(scenario, 0.3) ? 1 + below(scenario, 8) : 65535;
    parameters.maximum_segment = chance(scenario, 0.2) ? 50 + below(scenario, 2000) : 0;
    parameters.partial_delivery_point = chance(scenario, 0.3) ? 1 + below(scenario, 10000) : 0;
    parameters.autoclose = chance(scenario, 0.05) ? 1 + below(scenario, 20000) : 0;
    parameters.disable_fragments = chance(scenario, 0.05);
    parameters.path_mtu_discovery = chance(scenario, 0.8);
    parameters.outbound_streams =
        scenario->many_streams ? 65535 : (uint16_t)(1 + below(scenario, 20));
    parameters.inbound_streams =
        chance(scenario, 0.7) ? 65535 : (uint16_t)(1 + below(scenario, 20));
    parameters.partial_reliability = chance(scenario, 0.8);
    parameters.cookie_preservative = chance(scenario, 0.2);
    parameters.valid_cookie_life = chance(scenario, 0.8) ? 60000 : 100 + below(scenario, 3000);
    parameters.scheduler = (uint8_t)below(scenario, BRAID_SCHEDULER_ROUND_ROBIN + 1);
    parameters.reconfig = scenario->reconfig && chance(scenario, 0.9);
    parameters.reconfig_permitted = chance(scenario, 0.7) ? 7 : (uint8_t)below(scenario, 8);
    parameters.ecn = scenario->ecn && chance(scenario, 0.9);
    parameters.interleaving = scenario->interleaving && chance(scenario, 0.9);
    if (scenario->guarded && chance(scenario, 0.9)) /* RFC 9653: only then */
        parameters.error_detection_method = 1 + below(scenario, 2);
    if (scenario->probing)
        parameters.probe_interval = chance(scenario, 0.2) ? 0 : 1000 + below(scenario, 30000);
    if (!authentication)
        return parameters;
    parameters.authentication = chance(scenario, 0.9);
    parameters.asconf = parameters.auto_asconf = chance(scenario, 0.8);
    for (size_t i = 0; i < sizeof(authenticated); i++)
        if (chance(scenario, 0.2))
            parameters.auth_chunks[parameters.auth_chunk_count++] = authenticated[i];
    return parameters;
}

static void host_begin(struct scenario *scenario, struct host *host)
{
    uint32_t *endpoints = scenario->endpoints[host->number];

    endpoints[0] = host->endpoint;
    for (unsigned int i = 1; i < ENDPOINTS; i++) {
        struct braid_endpoint_config config = {.port = (uint16_t)(WORLD_PORT + i),
                                               .ipv4 = true,
                                               .ipv6 = true,
                                               .parameters = &host->parameters,
                                               .keys = host->keys};

        if (scenario->world->bound) {
            config.addresses = host->addresses;
            config.address_count = host->address_count;
        }
        assert_int_equal(braid_endpoint_open(host->engine, &config, &endpoints[i]), 0);
        assert_int_equal(braid_endpoint_listen(host->engine, endpoints[i], 1000), 0);
    }
}

/* Calls again, from the same port to the same, whom the host was connected to: a restart (5.2.4).
 */
static void host_call_again(struct scenario *scenario, struct host *host)
{
    for (struct end *end = scenario->checker.ends; end; end = end->next) {
        if (end->host == host && end->crashed && end->crash == scenario->crashes &&
            end->peer_host != PEER_UNKNOWN && chance(scenario, 0.8))
            connect_to(scenario, host, end->endpoint, &scenario->world->hosts[end->peer_host],
                       end->peer_port);
    }
}

/* Which addresses the host has; one at least. */
static void host_set_addresses(struct scenario *scenario, struct host *host, bool all)
{
    struct braid_address addresses[WORLD_ADDRESSES];
    unsigned int kept = below(scenario, host->address_count);
    size_t count = 0;

    for (unsigned int i = 0; i < host->address_count; i++) {
        bool up = all || i == kept || chance(scenario, 0.6);

        weather_set_address(&scenario->weather, host->number, i, up);
        if (up)
            addresses[count++] = host->addresses[i];
    }
    if (scenario->world->bound && chance(scenario, 0.5))
        (void)braid_endpoint_set_addresses(host->engine, host->endpoint, addresses, count,
                                           host_now(host));
    assert_int_equal(braid_engine_set_addresses(host->engine, addresses, count, host_now(host)), 0);
}

static void host_crash(struct scenario *scenario, struct host *host)
{
    struct braid_association_info info;

    /* a peer that it does not know any more may go on with the same tag */
    for (uint32_t id = 0; (id = braid_association_next(host->engine, 0, id)) != 0;)
        if (braid_association_info(host->engine, id, &info) == 0)
            watcher_forget(host->world->watcher, info.peer_tag);
    scenario->crashes++;
    checker_crash(&scenario->checker, host, scenario->crashes);
    for (unsigned int i = 0; i < host->address_count; i++)
        weather_set_address(&scenario->weather, host->number, i, true);
    world_restart(scenario->world, host->number);
    host_begin(scenario, host);
    scenario->counts->crashes++;
    if (chance(scenario, 0.3)) /* it comes up with others than it had */
        host_set_addresses(scenario, host, false);
    if (chance(scenario, 0.5))
        (void)world_run(scenario->world, below(scenario, 300) * MS);
    host_call_again(scenario, host);
}

/* ---- What happens -----------------------------------------------------------------------------
 */

static void happen_to_end(struct scenario *scenario, enum happening what, struct end *end)
{
    struct braid_engine *engine = end->host->engine;
    braid_time now = host_now(end->host);

    switch (what) {
    case READER:
        end->reader_stops = !end->reader_stops;
        if (!end->reader_stops && chance(scenario, 0.3))
            checker_read(&scenario->checker, end, below(scenario, 5));
        end_read(scenario, end);
        break;
    case SEND:
        end->traffic.total += below(scenario, 20);
        end_send(scenario, end);
        break;
    case SHUTDOWN:
        end_shut_down(end);
        break;
    case ABORT:
        end_abort(end);
        break;
    case COLLIDE:
        end_both(scenario, end);
        break;
    case HOLD: /* until all is good: see end_finish() */
        (void)braid_association_hold(engine, end->id, below(scenario, 20000), now);
        break;
    case PATHS:
        change_paths(&scenario->random, end);
        break;
    case RECONFIG:
        change_streams(&scenario->random, end);
        break;
    case SCHEDULE:
        change_schedule(&scenario->random, end);
        break;
    case KEYS:
        change_key(&scenario->random, end);
        break;
    default:
        change_parameters(&scenario->random, end);
    }
}

static void happen(struct scenario *scenario, enum happening what)
{
    struct world *world = scenario->world;
    struct host *host = &world->hosts[below(scenario, world->count)];
    struct end *end = some_end(scenario);

    scenario->counts->actions++;
    switch (what) {
    case WEATHER:
        weather_change(&scenario->weather);
        break;
    case CUT:
        weather_cut(&scenario->weather);
        break;
    case MTU:
        weather_change_mtu(&scenario->weather);
        break;
    case PAUSE:
        host->paused_until = world->now + below(scenario, 5000) * MS;
        break;
    case CLOCK:
        host->clock_ahead += (braid_time)below(scenario, 100000) * MS >> below(scenario, 12);
        break;
    case CONNECT:
        scenario_connect(scenario);
        break;
    case CRASH:
        host_crash(scenario, host);
        break;
    case ADDRESSES:
        host_set_addresses(scenario, host, false);
        break;
    default:
        if (end)
            happen_to_end(scenario, what, end);
    }
}

static void run_wild(struct scenario *scenario)
{
    uint64_t enabled = random_next(&scenario->random);
    unsigned int steps;

    enabled &= random_next(&scenario->random);
    steps = below(scenario, 40);
    for (unsigned int i = 1 + below(scenario, 3); i > 0; i--)
        scenario_connect(scenario);
    enabled |= 1U << SEND;
    if (scenario->reconfig)
        enabled |= 1U << RECONFIG;
    for (unsigned int step = 0; step < steps; step++) {
        enum happening what = (enum happening)below(scenario, HAPPENINGS);

        if (enabled >> what & 1)
            happen(scenario, what);
        (void)world_run(scenario->world,
                        (braid_time)below(scenario, 8000) * MS >> below(scenario, 10));
    }
}

/* ---- The end ----------------------------------------------------------------------------------
 */

static bool all_ended(const struct scenario *scenario)
{
    for (const struct end *end = scenario->checker.ends; end; end = end->next)
        if (!end->down && !end->crashed)
            return false;
    return true;
}

static void complain(const struct scenario *scenario)
{
    for (const struct end *end = scenario->checker.ends; end; end = end->next) {
        struct braid_association_info info;

        if (end->down || end->crashed ||
            braid_association_info(end->host->engine, end->id, &info) != 0)
            continue;
        print_error("host %u, association %u to host %u: %s, %u bytes outstanding, %u queued, "
                    "a_rwnd %u, errors %u, sent %u of %u messages\n",
                    end->host->number, end->id, end->peer_host, braid_state_name(info.state),
                    info.outstanding_bytes, info.queued_bytes, info.peer_rwnd, info.error_count,
                    end->traffic.sent, end->traffic.total);
    }
    fail_msg("nothing moves any more, though all is good");
}

/* Grows whenever anything is achieved. */
static uint64_t progress(const struct checker *checker)
{
    const struct checker_counts *counts = &checker->counts;

    return counts->bytes_received + counts->messages_sent + counts->messages_failed +
           counts->shut_down + counts->aborted + counts->lost + counts->restarts;
}

static void run_calm(struct scenario *scenario)
{
    struct world *world = scenario->world;
    uint64_t before = 0;
    braid_time since = world->now;

    scenario->calm = true;
    weather_calm(&scenario->weather);
    for (unsigned int i = 0; i < world->count; i++) {
        world->hosts[i].paused_until = 0;
        host_set_addresses(scenario, &world->hosts[i], true);
    }
    while (!all_ended(scenario)) {
        for (struct end *end = scenario->checker.ends; end; end = end->next)
            end_finish(scenario, end);
        bool still = world_run(world, SECOND);

        if (progress(&scenario->checker) != before) {
            before = progress(&scenario->checker);
            since = world->now;
        } else if (still || world->now - since > patience) {
            complain(scenario);
        }
    }
    if (!world_run(world, 10000 * SECOND))
        fail_msg("all has ended, but something moves");
}

/* What is there after all has ended, less what the test itself keeps. */
static size_t memory_of_engines(struct scenario *scenario)
{
    struct braid_packet packet;

    for (unsigned int i = 0; i < scenario->world->count; i++)
        assert_int_equal(link_receive(scenario->world->hosts[i].link, &packet, 1), 0);
    watcher_free(scenario->world->watcher);
    scenario->world->watcher = watcher_new();
    watcher_allow_other_tags(scenario->world->watcher);
    watcher_allow_skipped_tsns(scenario->world->watcher);
    return memory_in_use();
}

static void check_memory(struct scenario *scenario)
{
    size_t kept = scenario->world->count * (size_t)ENGINE_KEEPS;
    size_t now;

    checker_free(&scenario->checker);
    now = memory_of_engines(scenario);
    if (now > scenario->memory + kept)
        fail_msg("%zu bytes were in use before, %zu after", scenario->memory, now);
}

/* ---- The whole --------------------------------------------------------------------------------
 */

static bool lies(const struct scenario *scenario, const struct host *host)
{
    return !scenario->calm && scenario->liars >> host->number & 1;
}

static void received(struct host *host, const struct braid_packet *packet)
{
    struct scenario *scenario = host->world->user;

    if (lies(scenario, host))
        liar_received(scenario->liar, host, packet);
    limits_received(scenario->limits, host, packet);
}

static void transmit(struct host *host, const struct braid_batch *batch)
{
    struct scenario *scenario = host->world->user;

    if (lies(scenario, host))
        liar_transmit(scenario->liar, host, batch);
    else
        (void)link_send(host->link, batch);
}

static void before_transmit(struct host *host)
{
    limits_before_transmit(((struct scenario *)host->world->user)->limits, host);
}

static void sent(struct host *host, const uint8_t *bytes, size_t length)
{
    limits_sent(((struct scenario *)host->world->user)->limits, host, bytes, length);
}

static void after_transmit(struct host *host)
{
    limits_after_transmit(((struct scenario *)host->world->user)->limits, host);
}

/* What a host's clock says at first; where it wraps around in too few bits, if it does. */
static braid_time some_clock(struct scenario *scenario)
{
    static const unsigned int bits[] = {31, 32, 41, 42, 46, 51};
    braid_time clock = (braid_time)below(scenario, 1000000) * MS;

    if (chance(scenario, 0.7))
        return clock;
    return ((braid_time)1 << bits[below(scenario, sizeof(bits) / sizeof(bits[0]))]) -
           (clock >> below(scenario, 10));
}

/* Who lies: nobody; all, in what they may; or one, in all. */
static void lies_begin(struct scenario *scenario)
{
    enum lies kind = chance(scenario, 0.6)   ? LIES_NONE
                     : chance(scenario, 0.5) ? LIES_ODD
                                             : LIES_HOSTILE;

    scenario->liar = liar_new(scenario->world, &scenario->random, kind);
    if (kind == LIES_ODD)
        scenario->liars = ~0U;
    if (kind != LIES_HOSTILE)
        return;
    scenario->liars = scenario->checker.liars = 1;
    limits_distrust(scenario->limits);
}

static void scenario_begin(struct scenario *scenario, uint64_t seed, const char *capture)
{
    static const uint32_t mtus[] = {1500, 1500, 1280, 9000, 576};
    struct world_config config = {.seed = seed, .capture = capture};
    bool authentication;

    random_seed(&scenario->random, seed);
    config.hosts = chance(scenario, 0.7) ? 2 : 3 + below(scenario, 2);
    config.addresses = 1 + below(scenario, WORLD_ADDRESSES);
    config.ipv6 = chance(scenario, 0.2);
    config.bound = chance(scenario, 0.4);
    config.udp = chance(scenario, 0.2) ? 9899 : 0;
    config.mtu = mtus[below(scenario, config.ipv6 ? 4 : 5)];
    scenario->large = chance(scenario, 0.2);
    scenario->unordered = chance(scenario, 0.5);
    scenario->abandonable = chance(scenario, 0.4);
    scenario->many_streams = chance(scenario, 0.1);
    scenario->reconfig = chance(scenario, 0.4);
    scenario->ecn = chance(scenario, 0.3);
    scenario->probing = chance(scenario, 0.3);
    scenario->guarded = chance(scenario, 0.3);
    scenario->interleaving = chance(scenario, 0.3);
    scenario->keys = chance(scenario, 0.5) ? changes_keys() : NULL;
    authentication = chance(scenario, 0.3);

    scenario->world = world_new(&config);
    scenario->world->user = scenario;
    scenario->world->event = scenario_event;
    scenario->world->received = received;
    scenario->world->before_transmit = before_transmit;
    scenario->world->sent = sent;
    scenario->world->after_transmit = after_transmit;
    scenario->world->transmit = transmit;
    scenario->world->near_the_end = chance(scenario, 0.3);
    scenario->limits = limits_new();
    checker_init(&scenario->checker, scenario->world);
    lies_begin(scenario);
    weather_init(&scenario->weather, scenario->world, &scenario->random, scenario->guarded);
    for (unsigned int i = 0; i < scenario->world->count; i++) {
        struct host *host = &scenario->world->hosts[i];

        host->clock_ahead = some_clock(scenario);
        host->parameters = some_parameters(scenario, authentication);
        host->keys = scenario->keys;
        world_restart(scenario->world, i);
        host_begin(scenario, host);
    }
    scenario->memory = memory_of_engines(scenario);
}

static void count(struct scenario *scenario)
{
    struct scenario_counts *counts = scenario->counts;

    counts->checker = scenario->checker.counts;
    counts->packets = watcher_count(scenario->world->watcher);
    counts->lies = liar_count(scenario->liar);
    counts->seconds = scenario->world->now / SECOND;
}

void scenario_run(uint64_t seed, const char *capture, struct scenario_counts *counts)
{
    struct scenario scenario = {.counts = counts};
    size_t before = memory_in_use();

    *counts = (struct scenario_counts){0};
    scenario_begin(&scenario, seed, capture);
    run_wild(&scenario);
    run_calm(&scenario);
    checker_finish(&scenario.checker);
    count(&scenario);
    check_memory(&scenario);
    limits_free(scenario.limits);
    liar_free(scenario.liar);
    world_free(scenario.world);
    braid_keys_free(scenario.keys);
    if (memory_in_use() != before)
        fail_msg("%zu bytes were not given back", memory_in_use() - before);
}
