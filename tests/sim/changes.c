/*
 * What users change while an association is up. See changes.h.
 */
#include "changes.h"

static uint32_t below(struct random_generator *random, uint32_t limit)
{
    return (uint32_t)random_below(random, limit);
}

/* ---- Paths and parameters ---- */

static void configure_path(struct random_generator *random, struct end *end, uint32_t path)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;

    switch (below(random, 6)) {
    case 0:
        settings.probe_interval = random_chance(random, 0.3) ? 0 : 1000 + below(random, 30000);
        break;
    case 1:
        settings.hb_interval = below(random, 10000);
        break;
    case 2:
        settings.path_mtu_discovery = below(random, 2);
        break;
    case 3: /* fixed, or discovered again */
        settings.mtu = random_chance(random, 0.3) ? 0 : 512 + below(random, end->host->mtu - 511);
        break;
    case 4:
        settings.path_max_retrans = below(random, 8);
        settings.potentially_failed_max_retrans = below(random, 8);
        break;
    default:
        settings.traffic_class = below(random, 64) << 2; /* another DSCP */
    }
    (void)braid_path_configure(end->host->engine, end->id, path, &settings, host_now(end->host));
}

void change_paths(struct random_generator *random, struct end *end)
{
    struct braid_engine *engine = end->host->engine;
    braid_time now = host_now(end->host);
    uint32_t path = below(random, WORLD_ADDRESSES);

    switch (below(random, 4)) {
    case 0:
        (void)braid_path_set_primary(engine, end->id, path, now);
        break;
    case 1:
        (void)braid_path_request_heartbeat(engine, end->id, path, now);
        break;
    case 2:
        configure_path(random, end, path);
        break;
    default:
        (void)braid_association_set_peer_primary(
            engine, end->id, &end->host->addresses[below(random, end->host->address_count)], now);
    }
}

void change_parameters(struct random_generator *random, struct end *end)
{
    struct braid_parameters *parameters = braid_association_parameters(end->host->engine, end->id);

    assert_non_null(parameters);
    parameters->sack_delay = below(random, 501);
    parameters->sack_frequency = 1 + below(random, 4);
    parameters->no_delay = random_chance(random, 0.5);
    parameters->max_burst = below(random, 6);
    parameters->partial_delivery_point = below(random, 10000);
    parameters->maximum_segment = random_chance(random, 0.5) ? 0 : 50 + below(random, 2000);
}

/* ---- Streams: RFC 6525 ---- */

static void reset_streams(struct random_generator *random, struct end *end,
                          const struct braid_association_info *info)
{
    unsigned int directions = 1 + below(random, 3);
    uint32_t limit = directions == BRAID_RESET_INCOMING               ? info->inbound_streams
                     : directions == BRAID_RESET_OUTGOING             ? info->outbound_streams
                     : info->inbound_streams < info->outbound_streams ? info->inbound_streams
                                                                      : info->outbound_streams;
    uint32_t first = below(random, limit);
    uint16_t streams[5];
    size_t count = below(random, 6); /* 0: all */

    for (size_t i = 0; i < count; i++)
        streams[i] = (uint16_t)((first + i) % limit);
    if (count > limit)
        count = limit;
    (void)braid_reset_streams(end->host->engine, end->id, directions, streams, count,
                              host_now(end->host));
}

void change_streams(struct random_generator *random, struct end *end)
{
    struct braid_engine *engine = end->host->engine;
    struct braid_association_info info;
    braid_time now = host_now(end->host);

    assert_int_equal(braid_association_info(engine, end->id, &info), 0);
    if (info.inbound_streams == 0 || info.outbound_streams == 0) /* not known yet */
        return;
    switch (below(random, 4)) {
    case 0:
        (void)braid_reset_association(engine, end->id, now);
        break;
    case 1:
        (void)braid_add_streams(engine, end->id, (uint16_t)below(random, 20),
                                (uint16_t)below(random, 20), now);
        break;
    default:
        reset_streams(random, end, &info);
    }
}

/* ---- The order of messages: RFC 8260, and their keys: RFC 4895 ---- */

void change_schedule(struct random_generator *random, struct end *end)
{
    struct braid_engine *engine = end->host->engine;
    enum braid_scheduler scheduler =
        (enum braid_scheduler)below(random, BRAID_SCHEDULER_ROUND_ROBIN + 1);

    if (random_chance(random, 0.4)) {
        assert_int_equal(braid_association_set_scheduler(engine, end->id, scheduler), 0);
        assert_int_equal(braid_association_scheduler(engine, end->id), scheduler);
        return;
    }
    for (unsigned int i = 0; i < 4; i++)
        (void)braid_association_set_stream_value(engine, end->id, (uint16_t)below(random, 12),
                                                 (uint16_t)below(random, 3));
}

struct braid_keys *changes_keys(void)
{
    static const char *const secrets[CHANGES_KEYS] = {"", "a secret", "another secret"};
    struct braid_keys *keys = braid_keys_new(NULL);

    assert_non_null(keys);
    for (int i = 0; i < CHANGES_KEYS; i++)
        assert_int_equal(braid_keys_set(keys, (uint16_t)i, secrets[i], strlen(secrets[i])), 0);
    return keys;
}

void change_key(struct random_generator *random, struct end *end)
{
    uint16_t key = (uint16_t)below(random, CHANGES_KEYS);
    enum braid_key_change change =
        random_chance(random, 0.6) ? BRAID_KEY_ACTIVATE : BRAID_KEY_DEACTIVATE;

    (void)braid_association_change_key(end->host->engine, end->id, change, key);
}
