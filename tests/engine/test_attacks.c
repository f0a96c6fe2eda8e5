/*
 * Attacks: RFC 5062, RFC 9260 section 12, and what the vulnerabilities of other implementations
 * teach. Each has a bound that does not hold without the defence: tests/attacks/mutate takes the
 * defences away, one by one, and sees these tests fail. docs/security.md has the table.
 */
#include "peer.h"

#include <malloc.h>
#include <time.h>

#include "watcher.h"

#ifdef __SANITIZE_ADDRESS__
/* of sanitizer/allocator_interface.h, which gcc does not always bring */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

enum { KILO = 1024, RECEIVE_BUFFER = 65536 };

static size_t memory_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks + mallinfo2().hblkhd;
#endif
}

static void assert_memory(size_t before, size_t limit)
{
    size_t now = memory_in_use();

    if (now > before + limit)
        fail_msg("%zu KiB more are in use, %zu are the limit", (now - before) / KILO, limit / KILO);
}

/* Bytes of all that was sent and not yet seen; forgets it. */
static size_t take_bytes(struct peer *peer, size_t *packets)
{
    const struct sent *sent;
    size_t bytes = 0;

    while ((sent = peer_next(peer))) {
        bytes += sent->length;
        if (packets)
            (*packets)++;
    }
    peer_forget(peer);
    return bytes;
}

static struct peer *renew_with(void **state, const struct braid_parameters *parameters,
                               unsigned int paths)
{
    struct peer *peer =
        peer_renew(state, &(struct peer_config){.parameters = parameters, .paths = paths});

    watcher_allow_other_tags(peer->watcher);
    return peer;
}

static void add_many_heartbeats(struct peer *peer, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "four", 4);
}

/* ---- Who does not see our packets: blind injection --------------------------------------------
 */

/* RFC 5062, 2.3 and others: every chunk, from the peer's address, with a guessed tag. */
static void test_blind_injection(void **state)
{
    struct peer *peer = *state;
    struct braid_association_info before, after;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    peer_skip(peer);
    before = peer_info(peer);
    for (unsigned int i = 0; i < 40000; i++) {
        uint32_t tag = (uint32_t)random_next(&peer->random);

        if (tag == peer->engine_tag || tag == peer->tag || tag == 0)
            continue;
        peer_begin_tag(peer, tag);
        switch (i % 10) {
        case 0:
            chunk_write(&peer->writer, SCTP_CHUNK_ABORT, i / 10 & 1, NULL, 0);
            break;
        case 1:
            shutdown_write(&peer->writer, peer->engine_initial_tsn);
            break;
        case 2:
            peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
            break;
        case 3:
            sack_write(&peer->writer, peer->engine_initial_tsn + i, 0, NULL, 0, NULL, 0);
            break;
        case 4:
            shutdown_ack_write(&peer->writer);
            break;
        case 5:
            shutdown_complete_write(&peer->writer, i / 10 & 1);
            break;
        case 6:
            heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "hello", 5);
            break;
        case 7:
            forward_tsn_write(&peer->writer, 5000, NULL, 0);
            break;
        case 8:
            chunk_write(&peer->writer, SCTP_CHUNK_ASCONF, 0, "\0\0\0\1\0\5\0\10\1\2\3\4", 12);
            break;
        default:
            peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
            wire_put_u32(peer->writer.bytes + 4, tag);
            chunk_end(&peer->writer, SCTP_COMMON_HEADER_LENGTH);
        }
        peer_send(peer);
    }
    after = peer_info(peer);
    assert_int_equal(after.state, BRAID_ESTABLISHED);
    assert_int_equal(after.outstanding_chunks, 1);
    assert_int_equal(after.packets_received, before.packets_received);
    assert_int_equal(take_bytes(peer, NULL), 0);
}

/* CVE-2021-3772: with tags of zero, and against one that is only being set up. */
static void test_blind_while_setting_up(void **state)
{
    static const uint8_t types[] = {SCTP_CHUNK_ABORT, SCTP_CHUNK_SHUTDOWN_COMPLETE,
                                    SCTP_CHUNK_SHUTDOWN_ACK, SCTP_CHUNK_ERROR,
                                    SCTP_CHUNK_COOKIE_ACK};
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    for (unsigned int i = 0; i < 2 * sizeof(types); i++) {
        peer_begin_tag(peer, 0);
        chunk_write(&peer->writer, types[i / 2], i & 1, NULL, 0);
        peer_send(peer);
    }
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    assert_int_equal(take_bytes(peer, NULL), 0);
}

/* A restart that is forged: there is an INIT ACK, and all stays as it is (5.2.2). */
static void test_blind_init(void **state)
{
    struct peer *peer = *state;
    struct braid_association_info before, after;

    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    peer_skip(peer);
    before = peer_info(peer);
    for (uint32_t i = 1; i < 1000; i++) {
        peer->tag = i;
        peer_send_init(peer);
    }
    after = peer_info(peer);
    assert_int_equal(after.state, BRAID_ESTABLISHED);
    assert_int_equal(after.peer_tag, before.peer_tag);
    assert_int_equal(after.local_tag, before.local_tag);
    expect_no_event(peer, BRAID_EVENT_RESTART);
}

/* ---- Cookies ----------------------------------------------------------------------------------
 */

/* Not a byte of a cookie can be another, and none is accepted that we did not make. */
static void test_forged_cookies(void **state)
{
    struct peer *peer = *state;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    for (size_t i = 0; i < peer->cookie_length; i++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            peer->cookie[i] ^= (uint8_t)(1U << bit);
            peer_send_cookie_echo(peer);
            peer->cookie[i] ^= (uint8_t)(1U << bit);
        }
    }
    assert_int_equal(take_bytes(peer, NULL), 0);
    assert_int_equal(braid_association_next(peer->engine, 0, 0), 0);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
}

/* RFC 9260, 5.3.1, and 12.2.4.1: who has seen a cookie cannot have the association again, with
 * its data, when it has ended; nor another key's, nor an old one's. */
static void test_replayed_cookies(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    expect_event(peer, BRAID_EVENT_DOWN);
    for (unsigned int i = 0; i < 100; i++) {
        peer_begin(peer);
        cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
        peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
        peer_send(peer);
        peer_advance(peer, SECOND);
    }
    expect_no_event(peer, BRAID_EVENT_UP);
    expect_no_event(peer, BRAID_EVENT_READABLE);
    peer_advance(peer, 4 * 3600 * SECOND);
    peer_skip(peer);
    peer_send_cookie_echo(peer);
    expect_no_event(peer, BRAID_EVENT_UP);
}

/* 5.3.1: of many random tags one is drawn again, sooner or later. With a cookie that is used up
 * nobody would get in, so it is another. */
static void test_tag_of_before(void **state)
{
    struct peer *peer = *state;
    struct random_generator random;
    uint32_t tag;

    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    expect_event(peer, BRAID_EVENT_DOWN);
    random = peer->random;
    peer_accept(peer);
    tag = peer->engine_tag;
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    expect_event(peer, BRAID_EVENT_DOWN);
    peer->random = random;
    peer_accept(peer);
    assert_int_not_equal(peer->engine_tag, tag);
}

/* ---- Floods of strangers ----------------------------------------------------------------------
 */

static double cpu_seconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* One INIT after the other from ever new addresses and ports, straight to the engine. */
static size_t flood(struct peer *peer, uint32_t first, uint32_t count, size_t *received)
{
    static uint8_t batch_bytes[1 << 17];
    size_t sent = 0;

    for (uint32_t i = first; i < first + count; i++) {
        struct braid_packet packet = {.source = peer->there[0], .destination = peer->here[0]};
        struct braid_batch batch = {
            .bytes = batch_bytes, .capacity = sizeof(batch_bytes), .maximum_packets = 16};

        wire_put_u32(packet.source.bytes, 0x0b000000 + i);
        peer->port = (uint16_t)(1 + i % 65000);
        peer->tag = 1 + i;
        chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
        assert_true(packet_finish(&peer->writer));
        packet.bytes = peer->writer.bytes;
        packet.length = peer->writer.length;
        *received += packet.length;
        braid_engine_receive(peer->engine, &packet, 1, peer->now);
        while (braid_engine_transmit(peer->engine, &batch, peer->now))
            sent += batch.length;
    }
    return sent;
}

/* RFC 9260, 5.1: an INIT leaves nothing behind; what it costs does not grow; and the answer, which
 * has to carry our state for us, is at most so much longer. */
static void test_init_flood(void **state)
{
    enum { PART = 20000, COOKIE_AND_HEADER = 132 };
    struct peer *peer = *state;
    size_t before, received = 0, sent = 0;
    double first, last;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    sent += flood(peer, 0, PART, &received);
    before = memory_in_use();
    first = cpu_seconds();
    sent += flood(peer, PART, PART, &received);
    first = cpu_seconds() - first;
    sent += flood(peer, 2 * PART, PART, &received);
    last = cpu_seconds();
    sent += flood(peer, 3 * PART, PART, &received);
    last = cpu_seconds() - last;
    assert_memory(before, 64 * KILO);
    assert_true(last < 3 * first + 0.1);
    assert_int_equal(braid_association_next(peer->engine, 0, 0), 0);
    assert_true(sent <= (size_t)4 * PART * COOKIE_AND_HEADER);
}

/* The same while nothing can be sent: answers wait, but not without end. */
static void test_answers_that_wait(void **state)
{
    struct peer *peer = *state;
    size_t before;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    before = memory_in_use();
    for (uint32_t i = 0; i < 50000; i++) {
        struct braid_packet packet = {.source = peer->there[0], .destination = peer->here[0]};

        peer->port = (uint16_t)(1 + i % 65000);
        chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
        assert_true(packet_finish(&peer->writer));
        packet.bytes = peer->writer.bytes;
        packet.length = peer->writer.length;
        braid_engine_receive(peer->engine, &packet, 1, peer->now);
    }
    assert_memory(before, 12 * KILO * KILO);
}

/* Strangers who do answer our INIT ACKs fill the backlog, and no more. */
static void test_cookie_echo_flood(void **state)
{
    struct peer *peer = *state;
    unsigned int count = 0;

    watcher_allow_other_tags(peer->watcher);
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    /* all cookies first, while there is room for each */
    struct {
        uint8_t cookie[2048];
        size_t length;
        uint32_t tag;
    } *collected = calloc(200, sizeof(*collected));
    assert_non_null(collected);
    for (uint16_t i = 0; i < 200; i++) {
        peer->port = (uint16_t)(1000 + i);
        peer_send_init(peer);
        peer_read_init(peer, expect(peer, "INIT_ACK"));
        memcpy(collected[i].cookie, peer->cookie, peer->cookie_length);
        collected[i].length = peer->cookie_length;
        collected[i].tag = peer->engine_tag;
    }
    for (uint16_t i = 0; i < 200; i++) {
        peer->port = (uint16_t)(1000 + i);
        peer->engine_tag = collected[i].tag;
        memcpy(peer->cookie, collected[i].cookie, collected[i].length);
        peer->cookie_length = collected[i].length;
        peer_send_cookie_echo(peer);
    }
    free(collected);
    for (uint32_t id = 0; (id = braid_association_next(peer->engine, 0, id)) != 0;)
        count++;
    assert_int_equal(count, 5);
}

/* CVE-2010-1173: as many unknown parameters as fit an INIT, as many unknown chunks as fit a packet,
 * each to be reported. */
static void test_much_to_report(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    for (unsigned int i = 0; i < 8000; i++)
        parameter_write(&peer->writer, (uint16_t)(0xc100 + i % 4096), NULL, 0);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "INIT_ACK");
    assert_true(sent->length <= 1600);

    peer_accept(peer);
    peer_begin(peer);
    for (unsigned int i = 0; i < 8000; i++)
        chunk_write(&peer->writer, 0xfe, 0, NULL, 0);
    peer_send(peer);
    sent = expect(peer, "ERROR");
    assert_true(sent->length <= 1500);
}

/* RFC 9260, 12.4: a HEARTBEAT is answered as long as it is, and a packet by a packet. */
static void test_heartbeat_reflection(void **state)
{
    struct peer *peer = *state;
    size_t packets = 0, bytes;

    peer_accept(peer);
    peer_begin(peer);
    add_many_heartbeats(peer, 120);
    peer_send(peer);
    bytes = take_bytes(peer, &packets);
    assert_int_equal(packets, 1);
    assert_true(bytes <= peer->writer.length);
}

/* Nor do two hosts that do not know each other talk for ever: what we say out of the blue is not
 * answered when it comes from somebody else (8.4). */
static void test_no_echo(void **state)
{
    static const uint8_t types[] = {
        SCTP_CHUNK_DATA,         SCTP_CHUNK_SACK,        SCTP_CHUNK_HEARTBEAT, SCTP_CHUNK_SHUTDOWN,
        SCTP_CHUNK_SHUTDOWN_ACK, SCTP_CHUNK_COOKIE_ECHO, SCTP_CHUNK_INIT_ACK,  0xc5};
    struct peer *peer = *state;
    const struct sent *sent;

    for (unsigned int i = 0; i < sizeof(types); i++) {
        peer_begin_tag(peer, 99);
        chunk_write(&peer->writer, types[i], 0, "0123456789012345", 16);
        peer_send(peer);
        sent = peer_next(peer);
        if (!sent)
            continue;
        assert_true(sent->length <= peer->writer.length);
        peer_send_bytes(peer, sent->bytes, sent->length);
        expect(peer, NONE);
    }
}

/* Packets of, or to, more than one host. */
static void test_not_unicast(void **state)
{
    static const uint8_t addresses[][4] = {
        {224, 0, 0, 1}, {239, 1, 2, 3}, {255, 255, 255, 255}, {0, 0, 0, 0}};
    struct peer *peer = *state;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    for (unsigned int i = 0; i < 8; i++) {
        struct braid_address address = braid_address_ipv4(addresses[i / 2]);

        chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
        if (i & 1)
            peer_send_from(peer, &address, &peer->here[0]);
        else
            peer_send_from(peer, &peer->there[0], &address);
    }
    assert_int_equal(take_bytes(peer, NULL), 0);
}

/* RFC 5062, 2.1 and 2.2: an INIT lists the addresses of a victim. It gets a few HEARTBEATs, ever
 * more seldom, and never data. */
static void test_addresses_of_a_victim(void **state)
{
    enum { VICTIMS = 300, PATHS_OF_A_PEER = 31, PROBES = 9 };
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    const struct sent *sent;
    size_t start, bytes = 0, packets = 0;

    parameters.hb_interval = 30000;
    parameters.association_max_retrans = 1000;
    peer = renew_with(state, &parameters, 1);
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    for (uint32_t i = 0; i < VICTIMS; i++) {
        struct braid_address victim = peer->there[0];

        wire_put_u32(victim.bytes, 0x0b0b0000 + i);
        address_parameter_write(&peer->writer, &victim);
    }
    chunk_end(&peer->writer, start);
    peer_send(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_send_cookie_echo(peer);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    for (int i = 0; i < 20; i++)
        assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    peer_advance(peer, 200 * SECOND);
    while ((sent = peer_next(peer))) {
        if (braid_address_equal(&sent->destination, &peer->there[0]))
            continue;
        assert_int_equal(sent_count(sent, SCTP_CHUNK_HEARTBEAT), 1);
        bytes += sent->length;
        packets++;
    }
    assert_true(packets > 0 && packets <= PATHS_OF_A_PEER * PROBES);
    assert_true(bytes <= packets * 64);
}

/* 5.4: who does not get our packets at an address cannot say that it is there: every bit of the
 * nonce counts. */
static void test_forged_nonce(void **state)
{
    struct peer *peer = renew_with(state, NULL, 2);
    const struct sent *sent;
    struct sctp_chunk chunk;
    uint8_t value[256];

    peer_accept(peer);
    sent = expect(peer, "HEARTBEAT");
    assert_true(braid_address_equal(&sent->destination, &peer->there[1]));
    chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);
    assert_true(chunk.value_length <= sizeof(value));
    memcpy(value, chunk.value, chunk.value_length);
    for (unsigned int bit = 0; bit <= 64; bit++) {
        if (bit < 64)
            value[SCTP_PARAMETER_HEADER_LENGTH + bit / 8] ^= (uint8_t)(1U << bit % 8);
        peer_begin(peer);
        chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, value, chunk.value_length);
        peer_send_over(peer, 1);
        assert_int_equal(peer_path(peer, 1).state,
                         bit < 64 ? BRAID_PATH_UNCONFIRMED : BRAID_PATH_ACTIVE);
        if (bit < 64)
            value[SCTP_PARAMETER_HEADER_LENGTH + bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

/* ---- Peers that mean ill: who has an association, and our tag --------------------------------
 */

/* RFC 9260, 12.4, RFC 5062, 3: acknowledgements for what was not sent. */
static void test_optimistic_sacks(void **state)
{
    static const struct sctp_gap_ack_block block = {2, 500};
    struct peer *peer = *state;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1, &block);
    expect(peer, "ABORT");
    expect_down(peer, BRAID_DOWN_PROTOCOL);

    peer = renew_with(state, NULL, 1);
    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn + 1);
    expect(peer, "ABORT");
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

/* Many SACKs for a little each: the window grows by what was acknowledged, not by their number. */
static void test_divided_acknowledgements(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t before;

    parameters.no_delay = true;
    parameters.max_burst = 0;
    peer = renew_with(state, &parameters, 1);
    peer_accept(peer);
    for (int i = 0; i < 400; i++)
        assert_int_equal(peer_user_send(peer, 0, 12), 0);
    before = peer_path(peer, 0).cwnd;
    for (uint32_t i = 0; i < 100; i++)
        peer_send_sack(peer, peer->engine_initial_tsn + i);
    assert_true(peer_path(peer, 0).cwnd <= before + 100 * 28);
}

/* What was acknowledged in a block is taken back, and acknowledged again, for ever. Each chunk is
 * retransmitted by that once at most (7.2.4), and the counts stay right. */
static void test_renege_games(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct sctp_gap_ack_block block = {2, 40};
    struct peer *peer;
    size_t packets = 0;

    parameters.no_delay = true;
    parameters.send_buffer = 1 << 20;
    peer = renew_with(state, &parameters, 1);
    peer->a_rwnd = 1 << 20;
    peer_accept(peer);
    for (int i = 0; i < 200; i++)
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
    block.end = (uint16_t)peer_info(peer).outstanding_chunks;
    assert_true(block.end >= 20);
    peer_skip(peer);
    for (int i = 0; i < 5000; i++) {
        struct sctp_gap_ack_block last = {block.end, block.end};

        peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1, i & 1 ? &block : &last);
        (void)take_bytes(peer, &packets);
    }
    assert_true(packets <= 3 * 200);
    peer_send_sack(peer, peer->engine_initial_tsn + block.end - 1);
    assert_true(peer_info(peer).outstanding_bytes <= 200 * 100);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* RFC 9260, 6.1, A: a window of 0 for ever costs a probe a minute, and what the user may queue. */
static void test_window_of_zero(void **state)
{
    struct peer *peer = *state;
    size_t before, packets = 0;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    peer->a_rwnd = 0;
    peer_send_sack(peer, peer->engine_initial_tsn);
    before = memory_in_use();
    while (peer_user_send(peer, 0, 1000) == 0)
        ;
    for (int second = 0; second < 3600; second++) {
        const struct sent *sent;

        peer_advance(peer, SECOND);
        while ((sent = peer_next(peer)))
            packets += sent_count(sent, SCTP_CHUNK_DATA) > 0;
        peer_send_sack(peer, peer->engine_initial_tsn);
        peer_forget(peer);
    }
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_true(packets >= 50 && packets <= 75);
    assert_memory(before, 512 * KILO);
}

/* The reader does not read, and the peer does not care: what does not fit is dropped. */
static void test_slow_reader(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    size_t before;
    struct peer *peer;

    parameters.receive_buffer = RECEIVE_BUFFER;
    peer = renew_with(state, &parameters, 1);
    peer_accept(peer);
    before = memory_in_use();
    for (uint16_t i = 0; i < 8000; i++) {
        peer_send_data(peer, 1000U + i, 0, i, WHOLE, 1400);
        peer_forget(peer);
    }
    assert_memory(before, 4 * RECEIVE_BUFFER);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* What fills a gap makes progress, and is taken when the window is closed (6.2): but a gap that is
 * wide leaves no way around it, whether the reader could read what fills it, or a message before
 * it never comes. */
static void test_wide_gap(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    size_t before;
    struct peer *peer;

    parameters.receive_buffer = RECEIVE_BUFFER;
    for (uint16_t ssn = 0; ssn < 2; ssn++) {
        peer = renew_with(state, &parameters, 1);
        peer_accept(peer);
        before = memory_in_use();
        peer_send_data(peer, 1000U + 4000, 1, 0, WHOLE, 1);
        for (uint16_t i = 0; i < 4000; i++) {
            peer_send_data(peer, 1000U + i, 0, (uint16_t)(i + ssn), WHOLE, 1400);
            peer_forget(peer);
        }
        assert_memory(before, 8 * RECEIVE_BUFFER);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    }
}

/* A message in fragments of one byte, and messages of one byte that nobody reads: what each takes
 * besides its bytes counts too. */
static void test_small_pieces(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    size_t before;

    parameters.receive_buffer = RECEIVE_BUFFER;
    for (unsigned int kind = 0; kind < 4; kind++) {
        peer = renew_with(state, &parameters, 1);
        peer_accept(peer);
        before = memory_in_use();
        for (uint32_t i = 0; i < 400; i++) {
            peer_begin(peer);
            for (uint32_t j = 0; j < 60; j++) {
                uint32_t n = 60 * i + j;
                /* fragments in order; with the first missing; whole ones; one of each stream */
                uint8_t flags = kind == 0 && n == 0 ? SCTP_DATA_FLAG_BEGINNING
                                : kind < 2          ? 0
                                                    : WHOLE;

                peer_write_data(peer, 1000 + n + (kind == 1), (uint16_t)(kind == 3 ? n % 20 : 0),
                                (uint16_t)(kind == 2 ? n : 1), flags, 1);
            }
            peer_send(peer);
            peer_forget(peer);
        }
        assert_memory(before, (size_t)16 * RECEIVE_BUFFER);
    }
}

/* The same with I-DATA (RFC 8260), whose messages grow beside each other: half ones without number,
 * with and without their beginning; holes in one message; and all of them skipped again. */
static void test_interleaved_pieces(void **state)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.receive_buffer = RECEIVE_BUFFER;
    parameters.interleaving = true;
    for (unsigned int kind = 0; kind < 4; kind++) {
        struct peer *peer = renew_with(state, &parameters, 1);
        uint32_t tsn = 1000;
        size_t before;

        peer->extensions[0] = SCTP_CHUNK_I_DATA;
        peer->partial_reliability = true;
        peer_accept(peer);
        before = memory_in_use();
        for (uint32_t i = 0; i < 400; i++) {
            peer_begin(peer);
            for (uint32_t j = 0; j < 50; j++, tsn++) {
                uint32_t scattered = tsn * 2654435761U;

                i_data_write(&peer->writer, &(struct sctp_data){
                                                .flags = kind == 0 ? SCTP_DATA_FLAG_BEGINNING : 0,
                                                .stream = kind < 2 ? (uint16_t)(scattered % 10) : 0,
                                                .payload_length = 1,
                                                .tsn = tsn,
                                                .payload = (const uint8_t *)"x",
                                                .mid = kind == 2 ? 0 : 1 + scattered / 2,
                                                .fsn = 1 + scattered,
                                            });
                if (kind == 3)
                    i_forward_tsn_write(
                        &peer->writer, tsn,
                        &(struct sctp_skipped_messages){.unordered = j % 2, .mid = scattered}, 1);
            }
            peer_send(peer);
            peer_forget(peer);
        }
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
        assert_memory(before, (size_t)16 * RECEIVE_BUFFER);
    }
}

/* A half message, or one out of order, on each of all streams. */
static void test_all_streams(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    size_t before;

    parameters.receive_buffer = RECEIVE_BUFFER;
    peer = renew_with(state, &parameters, 1);
    peer->outbound_streams = UINT16_MAX;
    peer_accept(peer);
    before = memory_in_use();
    for (uint32_t i = 0; i < UINT16_MAX; i++) {
        peer_send_data(peer, 1000 + i, (uint16_t)i, 1, WHOLE, 1);
        peer_forget(peer);
    }
    assert_memory(before, 4 * KILO * KILO);
}

/* TSNs that are far ahead, in both kinds of chunk. */
static void test_far_ahead(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    size_t before;
    double cpu;

    parameters.receive_buffer = RECEIVE_BUFFER;
    peer = renew_with(state, &parameters, 1);
    peer->partial_reliability = true;
    peer_accept(peer);
    before = memory_in_use();
    for (uint32_t i = 1; i < 31; i++) {
        peer_send_data(peer, 1000 + (1U << i), 0, 1, WHOLE, 1);
        peer_forget(peer);
    }
    assert_memory(before, 4 * RECEIVE_BUFFER);
    cpu = cpu_seconds();
    for (uint32_t i = 0; i < 1000; i++) {
        peer_begin(peer);
        forward_tsn_write(&peer->writer, 1000 + i * 0x100000, NULL, 0);
        peer_send(peer);
        peer_forget(peer);
    }
    assert_true(cpu_seconds() - cpu < 1);
    assert_memory(before, 4 * RECEIVE_BUFFER);
}

/* What a peer tells the user has an end too: causes of errors. */
static void test_many_causes(void **state)
{
    struct peer *peer = *state;
    size_t before, start;

    peer_accept(peer);
    peer_run(peer);
    before = peer->happened_count;
    peer_begin(peer);
    start = error_begin(&peer->writer);
    for (unsigned int i = 0; i < 8000; i++)
        parameter_write(&peer->writer, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
    chunk_end(&peer->writer, start);
    for (unsigned int i = 0; i < 3000; i++) {
        start = error_begin(&peer->writer);
        parameter_write(&peer->writer, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
        chunk_end(&peer->writer, start);
    }
    peer_send(peer);
    assert_true(peer->happened_count > before);
    assert_true(peer->happened_count <= before + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_blind_injection),
        peer_test(test_blind_while_setting_up),
        peer_test(test_blind_init),
        peer_test(test_forged_cookies),
        peer_test(test_replayed_cookies),
        peer_test(test_tag_of_before),
        peer_test(test_init_flood),
        peer_test(test_answers_that_wait),
        peer_test(test_cookie_echo_flood),
        peer_test(test_much_to_report),
        peer_test(test_heartbeat_reflection),
        peer_test(test_no_echo),
        peer_test(test_not_unicast),
        peer_test(test_addresses_of_a_victim),
        peer_test(test_forged_nonce),
        peer_test(test_optimistic_sacks),
        peer_test(test_divided_acknowledgements),
        peer_test(test_renege_games),
        peer_test(test_window_of_zero),
        peer_test(test_slow_reader),
        peer_test(test_wide_gap),
        peer_test(test_small_pieces),
        peer_test(test_interleaved_pieces),
        peer_test(test_all_streams),
        peer_test(test_far_ahead),
        peer_test(test_many_causes),
    };

    return cmocka_run_group_tests_name("attacks", tests, NULL, NULL);
}
