/*
 * Tests: how fast a failed path is left, and what is not believed of paths. RFC 7829 (potentially
 * failed, quick failover, switch of the primary), RFC 9260 sections 5.1.2 (addresses of peers) and
 * 8.1 (an association all of whose paths fail).
 */
#include "peer.h"
#include "world.h"

static struct peer *begin_with(void **state, struct braid_parameters parameters)
{
    struct peer *peer =
        peer_renew(state, &(struct peer_config){.parameters = &parameters, .paths = 2});

    peer_connect(peer);
    return peer;
}

/* Both paths are confirmed: the user named their addresses. */
static struct peer *begin(void **state, uint32_t hb_interval)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.hb_interval = hb_interval;
    return begin_with(state, parameters);
}

static unsigned int path_of(const struct peer *peer, const struct sent *sent)
{
    return braid_address_equal(&sent->destination, &peer->there[1]);
}

static enum braid_path_state state_of(struct peer *peer, uint32_t path)
{
    return peer_path(peer, path).state;
}

static void expect_change(struct peer *peer, enum braid_path_change change, unsigned int path)
{
    const struct braid_event *event = expect_event(peer, BRAID_EVENT_PATH);

    assert_int_equal(event->path_change, change);
    assert_true(braid_address_equal(&event->address, &peer->there[path]));
}

static void acknowledge_heartbeat(struct peer *peer, const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);

    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk.value, chunk.value_length);
    peer_send_over(peer, path_of(peer, sent));
}

static void send_over(struct peer *peer, unsigned int path)
{
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(path_of(peer, expect(peer, "DATA")), path);
}

static struct braid_statistics statistics(const struct peer *peer)
{
    struct braid_statistics counters;

    braid_engine_statistics(peer->engine, &counters);
    return counters;
}

/* ---- RFC 7829, section 3.2 ----------------------------------------------------------------------
 */

/* One T3-rtx is enough: data goes on over the other path, a HEARTBEAT asks after the first, and the
 * first HEARTBEAT ACK brings it back. */
static void test_quick_failover(void **state)
{
    struct peer *peer = begin(state, 30000);
    uint32_t tsn = peer->engine_initial_tsn;
    const struct sent *heartbeat;

    send_over(peer, 0);
    heartbeat = expect_after(peer, 1 * SECOND, "HEARTBEAT");
    assert_int_equal(path_of(peer, heartbeat), 0);
    assert_int_equal(path_of(peer, expect(peer, "DATA")), 1);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    expect_change(peer, BRAID_PATH_SUSPECTED, 0);
    assert_true(peer_path(peer, 0).primary);
    peer_send_sack(peer, tsn);
    /* "ACKs for retransmissions do not transition a PF destination back": it stays */
    assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    send_over(peer, 1);
    peer_send_sack(peer, tsn + 1);
    acknowledge_heartbeat(peer, heartbeat);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_ACTIVE);
    assert_int_equal(peer_path(peer, 0).error_count, 0);
    expect_change(peer, BRAID_PATH_RECOVERED, 0);
    send_over(peer, 0);
}

/* The path that a message goes over which the user wants to go over `path`. */
static unsigned int send_to(struct peer *peer, uint32_t path)
{
    struct braid_send send = {.flags = BRAID_SEND_OVER_PATH, .path = path};

    assert_int_equal(braid_send(peer->engine, peer->association, &send, "named", 5, peer->now), 0);
    return path_of(peer, expect(peer, "DATA"));
}

/* (3), iii: what the user sends to a path by name goes over another while that one is suspected. */
static void test_asked_for_a_failed_path(void **state)
{
    struct peer *peer = begin(state, 30000);
    uint32_t tsn = peer->engine_initial_tsn;
    const struct sent *heartbeat;

    send_over(peer, 0);
    heartbeat = expect_after(peer, 1 * SECOND, "HEARTBEAT");
    assert_int_equal(path_of(peer, expect(peer, "DATA")), 1);
    peer_send_sack(peer, tsn);
    assert_int_equal(send_to(peer, 0), 1);
    peer_send_sack(peer, tsn + 1);
    acknowledge_heartbeat(peer, heartbeat);
    assert_int_equal(send_to(peer, 0), 0);
}

/* "Heartbeats SHOULD be sent to PF destinations once per RTO", whatever HB.interval is; then the
 * path is inactive, and the interval counts again. */
static void test_heartbeats_each_rto(void **state)
{
    struct peer *peer = begin(state, 3600000);
    uint32_t tsn = peer->engine_initial_tsn;
    const struct sent *heartbeat;

    send_over(peer, 0);
    expect_after(peer, 1 * SECOND, "HEARTBEAT");
    expect(peer, "DATA");
    peer_send_sack(peer, tsn);
    for (unsigned int i = 1; i < 5; i++) {
        assert_int_equal(peer_path(peer, 0).error_count, i);
        expect_after(peer, (1u << i) * SECOND, "HEARTBEAT");
        assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    }
    expect_change(peer, BRAID_PATH_SUSPECTED, 0);
    expect_silence(peer, 3500 * SECOND);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_INACTIVE);
    expect_change(peer, BRAID_PATH_UNREACHABLE, 0);
    do { /* the other path is idle too */
        heartbeat = expect_within(peer, 200 * SECOND, "HEARTBEAT");
        acknowledge_heartbeat(peer, heartbeat);
    } while (path_of(peer, heartbeat) != 0);
    expect_change(peer, BRAID_PATH_AVAILABLE, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_info(peer).error_count, 0);
}

/* Nor does it wait when the user changes HB.interval meanwhile. */
static void test_heartbeats_changed(void **state)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct peer *peer = begin(state, 30000);

    send_over(peer, 0);
    expect_after(peer, 1 * SECOND, "HEARTBEAT");
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    settings.hb_interval = 0;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    expect_silence(peer, 20 * SECOND); /* the one that is outstanding is lost, no other follows */
    assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    settings.hb_interval = 3600000;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    acknowledge_heartbeat(peer, expect(peer, "HEARTBEAT"));
    assert_int_equal(state_of(peer, 0), BRAID_PATH_ACTIVE);
}

/* What the user has turned off stays off. */
static void test_heartbeats_turned_off(void **state)
{
    struct peer *peer = begin(state, 0);

    send_over(peer, 0);
    assert_int_equal(path_of(peer, expect_after(peer, 1 * SECOND, "DATA")), 1);
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    expect_silence(peer, 100 * SECOND);
}

/* PotentiallyFailed.Max.Retrans: so many errors are allowed, for one path or all. */
static void test_threshold(void **state)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct peer *peer = begin(state, 0);
    uint32_t tsn = peer->engine_initial_tsn;

    settings.potentially_failed_max_retrans = 2;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    assert_int_equal(peer_path(peer, 0).potentially_failed_max_retrans, 2);
    assert_int_equal(peer_path(peer, 1).potentially_failed_max_retrans, 0);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(state_of(peer, 0), BRAID_PATH_ACTIVE);
        send_over(peer, 0);
        assert_int_equal(path_of(peer, expect_after(peer, (1u << i) * SECOND, "DATA")), 1);
        peer_send_sack(peer, tsn + i);
    }
    assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    send_over(peer, 1);
}

/* As large as Path.Max.Retrans: there is no such state, as in RFC 9260. */
static void test_without_the_state(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.potentially_failed_max_retrans = parameters.path_max_retrans = 1;
    peer = begin_with(state, parameters);
    send_over(peer, 0);
    expect_after(peer, 1 * SECOND, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_ACTIVE);
    send_over(peer, 0);
    expect_after(peer, 2 * SECOND, "DATA");
    assert_int_equal(state_of(peer, 0), BRAID_PATH_INACTIVE);
    expect_change(peer, BRAID_PATH_UNREACHABLE, 0);
}

/* Nothing comes back over either: each has its turn, no HEARTBEAT goes where DATA does, and the
 * association ends when Association.Max.Retrans is passed, not before. */
static void test_all_paths_fail(void **state)
{
    struct peer *peer = begin(state, 30000);
    unsigned int over[2] = {0}, changes[8] = {0};
    const struct sent *sent;

    send_over(peer, 0);
    while (peer_state(peer) == BRAID_ESTABLISHED && over[0] + over[1] < 100) {
        peer_advance(peer, 100 * MS);
        while ((sent = peer_next(peer)))
            over[path_of(peer, sent)] += sent_count(sent, SCTP_CHUNK_DATA);
    }
    assert_int_equal(over[0] + over[1], 10);
    assert_in_range(over[0], 4, 6);
    for (size_t i = 0; i < peer->happened_count; i++) {
        if (peer->happened[i] && peer->happened[i]->event.type == BRAID_EVENT_PATH)
            changes[peer->happened[i]->event.path_change]++;
    }
    assert_int_equal(changes[BRAID_PATH_SUSPECTED], 2);
    assert_true(changes[BRAID_PATH_UNREACHABLE] >= 1);
    expect_down(peer, BRAID_DOWN_LOST);
}

/* The dormant state (section 4): all are inactive, the association has patience left. The path
 * that was not the primary answers first. */
static void test_dormant(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    const struct sent *sent;
    struct peer *peer;

    parameters.path_max_retrans = 1;
    parameters.association_max_retrans = 20;
    peer = begin_with(state, parameters);
    send_over(peer, 0);
    for (int i = 0; i < 1000 && (state_of(peer, 0) != BRAID_PATH_INACTIVE ||
                                 state_of(peer, 1) != BRAID_PATH_INACTIVE);
         i++)
        peer_advance(peer, 100 * MS);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_INACTIVE);
    assert_int_equal(state_of(peer, 1), BRAID_PATH_INACTIVE);
    peer_skip(peer);
    do {
        sent = expect_within(peer, 100 * SECOND, "DATA");
    } while (path_of(peer, sent) != 1);
    peer_begin(peer);
    sack_write(&peer->writer, peer->engine_initial_tsn, peer->a_rwnd, NULL, 0, NULL, 0);
    peer_send_over(peer, 1);
    assert_int_equal(state_of(peer, 1), BRAID_PATH_ACTIVE);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_INACTIVE);
    assert_int_equal(peer_info(peer).error_count, 0);
    send_over(peer, 1);
}

/* Section 5: after so many errors more the other path is the primary for good. */
static void test_primary_switchover(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    const struct sent *heartbeat;
    struct peer *peer;

    parameters.hb_interval = 30000;
    parameters.primary_switchover_max_retrans = 1;
    peer = begin_with(state, parameters);
    send_over(peer, 0);
    expect_after(peer, 1 * SECOND, "HEARTBEAT");
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_true(peer_path(peer, 0).primary);
    heartbeat = expect_after(peer, 2 * SECOND, "HEARTBEAT");
    expect_change(peer, BRAID_PATH_SUSPECTED, 0);
    expect_change(peer, BRAID_PATH_MADE_PRIMARY, 1);
    assert_true(peer_path(peer, 1).primary);
    acknowledge_heartbeat(peer, heartbeat);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_ACTIVE);
    send_over(peer, 1);
}

/* ---- RFC 9260, section 6.4: where SACKs go
 * -------------------------------------------------------
 */

/* "It MAY be beneficial to vary the destination address": the way back may be broken. */
static void test_sacks_of_duplicates(void **state)
{
    struct peer *peer = begin(state, 0);
    unsigned int over[2] = {0};

    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    assert_int_equal(path_of(peer, expect(peer, "SACK")), 0);
    for (unsigned int i = 0; i < 6; i++) {
        peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
        over[path_of(peer, expect(peer, "SACK"))]++;
    }
    assert_int_equal(over[0], 3);
    assert_int_equal(over[1], 3);
}

/* Duplicates that arrive together have one SACK, which takes another way than the last: the number
 * of packets makes no difference. */
static void test_sack_of_many_duplicates(void **state)
{
    struct peer *peer = begin(state, 0);
    struct braid_packet packets[3];

    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    assert_int_equal(path_of(peer, expect(peer, "SACK")), 0);
    peer_begin(peer);
    peer_write_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    assert_true(packet_finish(&peer->writer));
    for (unsigned int i = 0; i < 3; i++)
        packets[i] = (struct braid_packet){.bytes = peer->writer.bytes,
                                           .length = peer->writer.length,
                                           .source = peer->there[0],
                                           .destination = peer->here[0]};
    for (unsigned int round = 0; round < 4; round++) {
        braid_engine_receive(peer->engine, packets, 2 + round % 2, peer->now);
        assert_int_equal(path_of(peer, expect(peer, "SACK")), (round + 1) % 2);
    }
}

/* With three paths, two of them alive, it is one of these. */
static void test_sacks_of_duplicates_avoid_a_failed_path(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    unsigned int over[3] = {0};

    parameters.hb_interval = 0;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters, .paths = 3});
    peer_connect(peer);
    send_over(peer, 0);
    expect_after(peer, 1 * SECOND, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(state_of(peer, 0), BRAID_PATH_POTENTIALLY_FAILED);
    for (unsigned int i = 0; i < 7; i++) {
        const struct sent *sent;

        peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
        sent = expect(peer, "SACK");
        for (unsigned int path = 0; path < 3; path++)
            over[path] += braid_address_equal(&sent->destination, &peer->there[path]);
    }
    assert_int_equal(over[0], 0);
    assert_in_range(over[1], 3, 4);
}

/* Nor does a SACK go over a path that is believed to have failed, while there is a better one. */
static void test_sacks_avoid_a_failed_path(void **state)
{
    struct peer *peer = begin(state, 0);

    send_over(peer, 0);
    expect_after(peer, 1 * SECOND, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    assert_int_equal(path_of(peer, expect(peer, "SACK")), 1);
}

/* Nor is a SHUTDOWN ACK that is not answered sent again over the path that it was lost on (6.4). */
static void test_shutdown_ack_takes_the_other_path(void **state)
{
    struct peer *peer = begin(state, 0);

    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    assert_int_equal(path_of(peer, expect(peer, "SHUTDOWN_ACK")), 0);
    assert_int_equal(path_of(peer, expect_after(peer, 1 * SECOND, "SHUTDOWN_ACK")), 1);
    assert_int_equal(peer_path(peer, 0).error_count, 1);
    assert_int_equal(peer_path(peer, 1).error_count, 0);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_COMPLETE, 0);
    expect_down(peer, BRAID_DOWN_SHUTDOWN);
}

/* It goes where the SHUTDOWN came from at first, and that is the path that is at fault. */
static void test_shutdown_ack_over_the_second_path(void **state)
{
    struct peer *peer = begin(state, 0);

    peer_begin(peer);
    shutdown_write(&peer->writer, peer->engine_initial_tsn - 1);
    peer_send_over(peer, 1);
    assert_int_equal(path_of(peer, expect(peer, "SHUTDOWN_ACK")), 1);
    assert_int_equal(path_of(peer, expect_after(peer, 1 * SECOND, "SHUTDOWN_ACK")), 0);
    assert_int_equal(peer_path(peer, 0).error_count, 0);
    assert_int_equal(peer_path(peer, 1).error_count, 1);
    /* repeated, it is not answered over the path that is known to fail */
    peer_begin(peer);
    shutdown_write(&peer->writer, peer->engine_initial_tsn - 1);
    peer_send_over(peer, 1);
    assert_int_equal(path_of(peer, expect(peer, "SHUTDOWN_ACK")), 0);
}

/* ---- Addresses that are not the peer's ----------------------------------------------------------
 */

static struct braid_address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return braid_address_ipv4((uint8_t[]){a, b, c, d});
}

static struct braid_address ipv6(uint8_t first, uint8_t second, uint8_t last)
{
    return braid_address_ipv6((uint8_t[16]){first, second, [15] = last}, 0);
}

/* An INIT that lists these, and the handshake that follows. */
static void accept_with(struct peer *peer, const struct braid_address *addresses, size_t count)
{
    size_t start;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    for (size_t i = 0; i < count; i++)
        address_parameter_write(&peer->writer, &addresses[i]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

static void test_impossible_addresses(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2, .any_address = true});
    const struct braid_address addresses[] = {
        ipv4(255, 255, 255, 255), ipv4(224, 0, 0, 1), ipv4(127, 0, 0, 1), ipv4(0, 0, 0, 0),
        ipv4(169, 254, 1, 1),     ipv4(10, 1, 2, 3),  peer->here[0],      peer->here[1],
    };

    accept_with(peer, addresses, sizeof(addresses) / sizeof(addresses[0]));
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(statistics(peer).addresses_refused, 8);
    send_over(peer, 0);
}

static void test_impossible_addresses_of_ipv6(void **state)
{
    struct peer *peer =
        peer_renew(state, &(struct peer_config){.paths = 1, .any_address = true, .ipv6 = true});
    const struct braid_address addresses[] = {
        ipv6(0, 0, 0), ipv6(0, 0, 1), ipv6(0xff, 2, 1), ipv6(0xfe, 0x80, 1), peer->here[0],
    };

    accept_with(peer, addresses, sizeof(addresses) / sizeof(addresses[0]));
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(statistics(peer).addresses_refused, 5);
}

/* 32 are looked at; they are probed for a while, and carry nothing. */
static void test_two_hundred_addresses(void **state)
{
    struct peer *peer = *state;
    struct braid_address addresses[200];
    const struct sent *sent;
    unsigned int heartbeats = 0;

    for (unsigned int i = 0; i < 200; i++)
        addresses[i] = ipv4(203, 0, 113, (uint8_t)(i + 1));
    accept_with(peer, addresses, 200);
    assert_int_equal(peer_info(peer).path_count, 32);
    assert_int_equal(statistics(peer).addresses_refused, 200 - 31);
    for (unsigned int i = 0; i < 3000; i++) {
        peer_advance(peer, 1 * SECOND);
        while ((sent = peer_next(peer))) {
            if (!braid_address_equal(&sent->destination, &peer->there[0]))
                heartbeats += sent_count(sent, SCTP_CHUNK_HEARTBEAT);
            else
                assert_int_equal(sent_count(sent, SCTP_CHUNK_HEARTBEAT), 0);
        }
    }
    /* Path.Max.Retrans and one each */
    assert_int_equal(heartbeats, 31 * 6);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_info(peer).error_count, 0);
    send_over(peer, 0);
}

/* The user called two addresses; the one that answers is another host's than the other. */
static void test_address_of_a_stranger(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2});
    const struct braid_event *event;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    assert_int_equal(peer_info(peer).path_count, 2);
    assert_int_equal(path_of(peer, expect_after(peer, 1 * SECOND, "INIT")), 1);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    chunk_end(&peer->writer, start);
    peer_send_over(peer, 1);
    assert_int_equal(path_of(peer, expect(peer, "COOKIE_ECHO")), 1);
    event = expect_event(peer, BRAID_EVENT_PATH);
    assert_int_equal(event->path_change, BRAID_PATH_REMOVED);
    assert_true(braid_address_equal(&event->address, &peer->there[0]));
    peer_begin(peer);
    cookie_ack_write(&peer->writer);
    peer_send_over(peer, 1);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_true(peer_path(peer, 0).primary);
    send_over(peer, 1);
}

/* An INIT that lists the address of a peer whose association comes up meanwhile: the COOKIE ECHO
 * does not take it away from there. */
static void test_address_of_another_peer(void **state)
{
    struct peer *peer = *state;
    struct braid_address liar = peer->there[1];
    uint8_t cookie[sizeof(peer->cookie)];
    size_t start, length;
    uint32_t tag;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer->tag++;
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[0]);
    chunk_end(&peer->writer, start);
    peer_send_from(peer, &liar, &peer->here[0]);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    tag = peer->engine_tag;
    length = peer->cookie_length;
    memcpy(cookie, peer->cookie, length);
    peer->tag--;

    peer_accept(peer); /* the address's owner */
    peer_begin_tag(peer, tag);
    cookie_echo_write(&peer->writer, cookie, length);
    peer_send_from(peer, &liar, &peer->here[0]);
    expect(peer, "COOKIE_ACK");
    assert_int_equal(statistics(peer).addresses_refused, 1);
    assert_int_equal(statistics(peer).associations_now, 2);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    expect(peer, "SACK");
    expect_message(peer, 0, peer->initial_tsn, 100);
}

/* Never asked for, altered, or of another path: counted, and nothing else. */
static void test_heartbeat_acks_that_were_not_asked_for(void **state)
{
    struct peer *peer = begin(state, 0);
    struct sctp_chunk chunk;
    uint8_t forged[256];

    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, "nobody asked", 12);
    peer_send(peer);
    assert_int_equal(statistics(peer).bad_heartbeat_ack, 1);
    assert_int_equal(braid_path_request_heartbeat(peer->engine, peer->association, 0, peer->now),
                     0);
    chunk = sent_chunk(expect(peer, "HEARTBEAT"), SCTP_CHUNK_HEARTBEAT);
    assert_true(chunk.value_length <= sizeof(forged));
    for (unsigned int i = 4; i < 12; i++) { /* the nonce */
        memcpy(forged, chunk.value, chunk.value_length);
        forged[i] ^= 1;
        peer_begin(peer);
        chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, forged, chunk.value_length);
        peer_send(peer);
    }
    assert_int_equal(statistics(peer).bad_heartbeat_ack, 9);
    assert_int_equal(peer_info(peer).heartbeats_acknowledged, 0);
    for (unsigned int i = 0; i < 2; i++) { /* the right one counts once */
        peer_begin(peer);
        chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk.value, chunk.value_length);
        peer_send(peer);
    }
    assert_int_equal(peer_info(peer).heartbeats_acknowledged, 1);
    assert_int_equal(statistics(peer).bad_heartbeat_ack, 10);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* ---- Two engines, two shaped links --------------------------------------------------------------
 */

struct flow {
    uint64_t received;
    uint32_t next; /* the number of the next message */
    braid_time last, silence;
};

static struct flow flow;

static void flow_event(struct host *host, const struct braid_event *event)
{
    struct braid_received received;

    if (event->type != BRAID_EVENT_READABLE)
        return;
    while (braid_receive(host->engine, event->association, &received, host->world->now) > 0) {
        assert_int_equal(received.ppid, flow.next++);
        if (flow.last != 0 && host->world->now - flow.last > flow.silence)
            flow.silence = host->world->now - flow.last;
        flow.last = host->world->now;
        flow.received += received.length;
        braid_received_release(host->engine, &received, host->world->now);
    }
}

/* Keeps the sender's buffer full for so long. */
static void keep_sending(struct world *world, braid_time time, uint32_t *number)
{
    static const uint8_t message[1400];
    struct host *host = &world->hosts[0];

    for (braid_time until = world->now + time; world->now < until;) {
        struct braid_send send = {.ppid = *number};

        while (braid_send(host->engine, host->association, &send, message, sizeof(message),
                          world->now) == 0)
            send.ppid = ++*number;
        world_run(world, 5 * MS);
    }
}

/* Two links of equal, shaped bandwidth; the primary is cut in the midst of a stream of data. With
 * quick failover the reader waits for no longer than one RTO, and what the packets take on top. */
static void test_silence_of_a_failover(void **state)
{
    struct braid_parameters parameters;

    (void)state;
    braid_parameters_default(&parameters);
    for (uint32_t rto_min = 100; rto_min <= 1000; rto_min += 900) {
        struct braid_path_info path;
        struct world *world;
        uint32_t number = 0;
        braid_time rto;

        memset(&flow, 0, sizeof(flow));
        parameters.rto_min = rto_min;
        world = world_new(
            &(struct world_config){.seed = rto_min, .addresses = 2, .parameters = &parameters});
        world->event = flow_event;
        for (unsigned int i = 0; i < 4; i++) {
            struct memory_wire *wire =
                memory_network_wire(world->network, &world->hosts[i / 2].addresses[i % 2],
                                    &world->hosts[1 - i / 2].addresses[i % 2]);

            *memory_wire_conditions(wire) =
                (struct memory_conditions){.delay = 5000, .bandwidth = 20000000, .queue = 60000};
        }
        world_connect(world, 0, 1);
        world_run(world, 3 * SECOND);
        keep_sending(world, 5 * SECOND, &number);
        assert_true(flow.silence < 100 * MS);
        for (unsigned int round = 0; round < 3; round++) {
            flow.silence = 0;
            assert_int_equal(
                braid_path_info(world->hosts[0].engine, world->hosts[0].association, 0, &path), 0);
            rto = path.rto;
            for (unsigned int i = 0; i < 2; i++)
                memory_wire_conditions(memory_network_wire(world->network,
                                                           &world->hosts[i].addresses[0],
                                                           &world->hosts[1 - i].addresses[0]))
                    ->cut = true;
            keep_sending(world, 10 * SECOND, &number);
            assert_in_range(flow.silence, 1, rto + 40 * MS);
            for (unsigned int i = 0; i < 2; i++)
                memory_wire_conditions(memory_network_wire(world->network,
                                                           &world->hosts[i].addresses[0],
                                                           &world->hosts[1 - i].addresses[0]))
                    ->cut = false;
            keep_sending(world, 40 * SECOND, &number);
        }
        /* 20 Mb/s, but for the silences */
        assert_true(flow.received > 200000000);
        world_free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_quick_failover),
        peer_test(test_asked_for_a_failed_path),
        peer_test(test_heartbeats_each_rto),
        peer_test(test_heartbeats_changed),
        peer_test(test_heartbeats_turned_off),
        peer_test(test_threshold),
        peer_test(test_without_the_state),
        peer_test(test_all_paths_fail),
        peer_test(test_dormant),
        peer_test(test_primary_switchover),
        peer_test(test_sacks_of_duplicates),
        peer_test(test_sack_of_many_duplicates),
        peer_test(test_sacks_of_duplicates_avoid_a_failed_path),
        peer_test(test_sacks_avoid_a_failed_path),
        peer_test(test_impossible_addresses),
        peer_test(test_impossible_addresses_of_ipv6),
        peer_test(test_two_hundred_addresses),
        peer_test(test_address_of_a_stranger),
        peer_test(test_address_of_another_peer),
        peer_test(test_shutdown_ack_takes_the_other_path),
        peer_test(test_shutdown_ack_over_the_second_path),
        peer_test(test_heartbeat_acks_that_were_not_asked_for),
        cmocka_unit_test(test_silence_of_a_failover),
    };

    if (getenv("BRAID_TEST"))
        cmocka_set_test_filter(getenv("BRAID_TEST"));
    return cmocka_run_group_tests_name("RFC 7829, and addresses that lie", tests, NULL, NULL);
}
