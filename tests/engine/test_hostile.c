/*
 * Tests: an engine among enemies. Random packets, and valid ones that were altered, cut and mixed,
 * with a good checksum and often the right tag, in every state of an association.
 *
 * Nothing crashes (AddressSanitizer sees more); whatever is answered passes the watcher; a source
 * that has not proved its address gets no answer longer than its question, the INIT ACK with its
 * cookie aside; and memory is bounded (RFC 9260, 12.2.4).
 *
 * BRAID_SEEDS in the environment: how many runs; BRAID_SEED: only this one.
 */
#include "hostile.h"

#include <malloc.h>
#include <stdio.h>

#include "watcher.h"

#ifdef __SANITIZE_ADDRESS__
/* of sanitizer/allocator_interface.h, which gcc does not always bring */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

enum {
    PACKETS = 300,
    RECEIVE_BUFFER = 20000,
    SEND_BUFFER = 20000,
    MEMORY_MAXIMUM = 1 << 20,
    INIT_ACK_MAXIMUM = 1200,
};

static size_t memory_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

/* Sends a packet; true if the source has an association whose tag it knows. */
static void send_something(struct peer *peer)
{
    uint32_t tags[] = {peer->engine_tag, peer->engine_tag, peer->engine_tag, peer->engine_tag, 0,
                       peer->tag,        below(peer, 100)};
    uint32_t tag = tags[below(peer, sizeof(tags) / sizeof(tags[0]))];
    size_t question, answer = 0, init_acks = 0;
    unsigned int path = chance(peer, 0.8) ? 0 : below(peer, PATHS);
    bool verified;
    const struct sent *sent;

    if (chance(peer, 0.1))
        peer->port = (uint16_t)(PEER_PORT + below(peer, 3));
    peer_begin_tag(peer, tag);
    for (uint32_t i = chance(peer, 0.5) ? 1 : below(peer, 6); i > 0; i--)
        hostile_write_chunk(peer);
    if (chance(peer, 0.4))
        hostile_alter(peer);
    if (chance(peer, 0.02))
        random_bytes(&peer->random, peer->writer.bytes + SCTP_COMMON_HEADER_LENGTH,
                     peer->writer.length - SCTP_COMMON_HEADER_LENGTH);
    question = peer->writer.length;
    verified =
        braid_association_find(peer->engine, peer->endpoint, &peer->there[path], peer->port) != 0;
    peer_skip(peer);
    peer_send_over(peer, path);
    while ((sent = peer_next(peer))) {
        if (!braid_address_equal(&sent->destination, &peer->there[path]))
            continue;
        if (sent_count(sent, SCTP_CHUNK_INIT_ACK) == 0) {
            answer += sent->length;
            continue;
        }
        init_acks++;
        assert_true(sent->length <= question + INIT_ACK_MAXIMUM);
        peer_read_init(peer, sent);
    }
    assert_true(init_acks <= 1);
    /* it may have become known by this very packet, with a cookie */
    verified |=
        braid_association_find(peer->engine, peer->endpoint, &peer->there[path], peer->port) != 0;
    if (!verified && answer > question)
        fail_msg("%zu bytes are answered by %zu", question, answer);
}

/* What a user does meanwhile. */
static void be_a_user(struct peer *peer)
{
    struct braid_received received;

    for (uint32_t id = 0; (id = braid_association_next(peer->engine, 0, id)) != 0;) {
        peer->association = id;
        switch (below(peer, 5)) {
        case 0:
            (void)peer_user_send(peer, (uint16_t)below(peer, 4), 1 + below(peer, 5000));
            break;
        case 1:
            if (chance(peer, 0.1))
                (void)braid_shutdown(peer->engine, id, peer->now);
            break;
        default:
            while (braid_receive(peer->engine, id, &received, peer->now) == 1) {
                assert_true(received.length > 0);
                braid_received_release(peer->engine, &received, peer->now);
            }
        }
        if (peer_state(peer) == BRAID_CLOSED)
            braid_association_release(peer->engine, id, peer->now);
    }
}

/* One of the states in which an engine can be found. */
static void reach_some_state(struct peer *peer, uint64_t seed)
{
    switch (seed % 8) {
    case 0:
        break;
    case 1:
        peer_start_connect(peer);
        peer_read_init(peer, expect(peer, "INIT"));
        break;
    case 2:
        peer_start_connect(peer);
        peer_answer_init(peer);
        break;
    case 3:
        peer_connect(peer);
        break;
    case 4:
        peer_accept(peer);
        break;
    case 5:
        peer_accept(peer);
        (void)braid_shutdown(peer->engine, peer->association, peer->now);
        break;
    case 6:
        peer_accept(peer);
        peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
        break;
    default:
        peer_accept(peer);
        for (int i = 0; i < 10; i++)
            (void)peer_user_send(peer, 0, 1400);
        (void)braid_shutdown(peer->engine, peer->association, peer->now);
    }
}

static void run(uint64_t seed)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    size_t before;

    parameters.receive_buffer = RECEIVE_BUFFER;
    parameters.send_buffer = SEND_BUFFER;
    parameters.hb_interval = 5000;
    peer = peer_new(&(struct peer_config){
        .seed = seed, .parameters = &parameters, .paths = seed % 3 == 0 ? 2 : 1});
    watcher_allow_other_tags(peer->watcher);
    before = memory_in_use();
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    reach_some_state(peer, seed);
    for (int i = 0; i < PACKETS; i++) {
        send_something(peer);
        if (chance(peer, 0.2))
            be_a_user(peer);
        if (chance(peer, 0.1))
            peer_advance(peer, below(peer, 3000) * MS);
        peer_forget(peer);
        if (memory_in_use() > before + MEMORY_MAXIMUM + 8 * (size_t)131096)
            fail_msg("seed %llu: %zu bytes in use", (unsigned long long)seed,
                     memory_in_use() - before);
    }
    /* left alone, all comes to an end */
    while (braid_association_next(peer->engine, 0, 0) != 0) {
        peer->association = braid_association_next(peer->engine, 0, 0);
        (void)braid_abort(peer->engine, peer->association, NULL, 0, peer->now);
        peer_run(peer);
        braid_association_release(peer->engine, peer->association, peer->now);
    }
    peer_advance(peer, 1000 * SECOND);
    peer_free(peer);
}

static void test_hostile_packets(void **state)
{
    const char *only = getenv("BRAID_SEED"), *count = getenv("BRAID_SEEDS");
    uint64_t seeds = count ? strtoull(count, NULL, 10) : 5000;

    (void)state;
    if (only) {
        run(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        if (getenv("BRAID_VERBOSE"))
            print_message("seed %llu\n", (unsigned long long)seed);
        run(seed);
    }
}

/* A flood of INITs and of cookies that we did not make leaves nothing behind. */
static void test_flood(void **state)
{
    struct peer *peer = *state;
    size_t before = 0;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    for (uint32_t i = 0; i < 20000; i++) {
        peer->port = (uint16_t)(1 + i % 65000);
        peer->there[0].bytes[3] = (uint8_t)(2 + i % 200);
        if (i % 2) {
            peer->tag = 1 + i;
            peer_send_init(peer);
        } else {
            peer_send_cookie_echo(peer);
        }
        peer_run(peer);
        assert_true(peer->sent_count <= 1);
        peer_forget(peer);
        if (i == 1000)
            before = memory_in_use();
    }
    /* the watcher remembers tags */
    assert_true(memory_in_use() < before + MEMORY_MAXIMUM);
    assert_int_equal(braid_association_next(peer->engine, 0, 0), 0);
}

/* Chunks that lie far apart, and fragments without end, each taking as much as can be had. */
static void test_greedy_data(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    size_t before;
    struct peer *peer;

    parameters.receive_buffer = RECEIVE_BUFFER;
    for (int kind = 0; kind < 4; kind++) {
        peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
        peer_accept(peer);
        before = memory_in_use();
        for (uint32_t i = 0; i < 30000; i++) {
            uint32_t tsn = 1000 + (kind == 0 ? 2 + 2 * i : kind == 1 ? i : 1 + i);
            uint8_t flags = kind == 0 ? WHOLE : kind == 1 && i == 0 ? SCTP_DATA_FLAG_BEGINNING : 0;

            if (kind == 3)
                flags = WHOLE | SCTP_DATA_FLAG_UNORDERED;
            peer_send_data(peer, tsn, (uint16_t)(kind == 0 ? i % 20 : 0),
                           (uint16_t)(kind == 0 ? 7 + i : 0), flags, 1);
            peer_forget(peer);
            if (peer_state(peer) != BRAID_ESTABLISHED)
                break;
            if (memory_in_use() > before + 2 * (size_t)MEMORY_MAXIMUM)
                fail_msg("kind %d: %zu bytes in use after %u chunks", kind,
                         memory_in_use() - before, i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_hostile_packets),
        peer_test(test_flood),
        peer_test(test_greedy_data),
    };

    return cmocka_run_group_tests_name("hostile packets", tests, NULL, NULL);
}
