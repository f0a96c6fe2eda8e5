/*
 * The ring of a busy socket (src/channel/ring.h), from the side of a program that makes it by hand:
 * what goes in comes out, in order with what goes by the descriptor, and nonsense harms nobody
 * else.
 *
 * RFC 6458, section 3.1.4 (send).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "channel/ring.h"
#include "program.h"

enum { PORT = 5000, LENGTH = 64, MANY = 3000 };

static const char *const plain[] = {"--no-udp", NULL};

/* ---- The ring alone ---- */

static struct channel_ring *new_ring(void)
{
    struct channel_ring *ring = calloc(1, sizeof(*ring));

    assert_non_null(ring);
    return ring;
}

static bool put(struct channel_ring *ring, uint32_t number, size_t length)
{
    struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_KNOWS_RING};
    uint8_t bytes[CHANNEL_RING_MESSAGE_MAXIMUM + 1] = {0};
    struct iovec parts[2] = {{bytes, 4}, {bytes + 4, length - 4}};

    memcpy(bytes, &number, sizeof(number));
    return ring_put(ring, &header, parts, 2, length);
}

static void test_wrap(void **state)
{
    struct channel_ring *ring = new_ring();
    struct ring_entry entry;
    uint32_t tail = 0, in = 0, out = 0;

    (void)state;
    assert_int_not_equal(ring_position(ring), 0);
    ring->head = ring->tail = tail = UINT32_MAX - 4095; /* positions wrap soon */
    for (int i = 0; i < 200; i++) {
        while (put(ring, in, 4 + in * 7 % (CHANNEL_RING_MESSAGE_MAXIMUM - 3)))
            in++;
        assert_int_equal(ring->full, 1);
        assert_true(ring_head(ring) - tail <= CHANNEL_RING_SIZE);
        assert_true(ring_head(ring) - tail > CHANNEL_RING_SIZE - 2048);
        /* some of it, all of it */
        for (int k = 0;
             (i % 2 == 0 || k < 100) && ring_take(ring, &tail, ring_head(ring), &entry) == 1; k++) {
            uint32_t number;

            memcpy(&number, entry.bytes, sizeof(number));
            assert_int_equal(number, out++);
            assert_int_equal(entry.length, 4 + number * 7 % (CHANNEL_RING_MESSAGE_MAXIMUM - 3));
        }
        ring_release(ring, tail);
        assert_false(put(ring, in, LENGTH)); /* until the descriptor was found empty */
        ring_reopen(ring);
    }
    assert_true(out > 10000);
    free(ring);
}

static void test_refused(void **state)
{
    struct channel_ring *ring = new_ring();
    struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_HAS_ADDRESS};
    struct iovec part = {&header, sizeof(header)};

    (void)state;
    assert_false(put(ring, 0, CHANNEL_RING_MESSAGE_MAXIMUM + 1));
    assert_false(ring_put(ring, &header, &part, 1, sizeof(header)));
    assert_true(put(ring, 0, CHANNEL_RING_MESSAGE_MAXIMUM));
    ring->lock = 1; /* who had it was killed */
    assert_false(put(ring, 1, LENGTH));
    ring->lock = 0;
    assert_false(ring_sleep(ring, 0)); /* something is in it */
    assert_false(ring_is_asleep(ring));
    assert_true(ring_sleep(ring, ring_head(ring)));
    assert_true(ring_is_asleep(ring));
    assert_false(put(ring, 1, LENGTH));
    ring_wake(ring);
    assert_true(put(ring, 1, LENGTH));
    free(ring);
}

/* Whatever stands there, nothing outside of the ring is read or written. */
static void test_nonsense(void **state)
{
    struct channel_ring *ring = new_ring();
    struct ring_entry entry;

    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        uint32_t tail = (uint32_t)rand() & ~7u, head = tail + ((uint32_t)rand() % 70 << 12);
        uint32_t before = tail;

        if (i % 3 == 0)
            head = (uint32_t)rand();
        ring->words[tail % CHANNEL_RING_SIZE / 4] =
            i % 5 == 0 ? 0 : (uint32_t)sizeof(struct channel_header) + (uint32_t)rand() % 600;
        ring->words[0] = (uint32_t)rand() % 1000;
        ring->words[tail % CHANNEL_RING_SIZE / 4 + 1] = CHANNEL_SEND;
        if (ring_take(ring, &tail, head, &entry) == 1) {
            assert_true((const uint8_t *)entry.bytes + entry.length <=
                        (const uint8_t *)ring + sizeof(*ring));
            assert_true(tail - before <= head - before);
        }
        ring->head = (uint32_t)rand();
        ring->tail = i % 2 ? ring->head - (uint32_t)rand() % CHANNEL_RING_SIZE : (uint32_t)rand();
        ring->full = 0;
        (void)put(ring, 0, 4 + (size_t)rand() % CHANNEL_RING_MESSAGE_MAXIMUM);
    }
    free(ring);
}

/* ---- Through the stack ---- */

struct pair {
    struct stack_process stack;
    int client, server;
    struct channel_ring *ring;
    int file;
};

static void send_by_descriptor(const struct pair *pair, uint32_t number, size_t length)
{
    struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_KNOWS_RING};
    uint8_t bytes[4096] = {0};

    if (pair->ring)
        header.ring_position = ring_position(pair->ring);
    memcpy(bytes, &number, sizeof(number));
    assert_int_equal(channel_send(pair->client, &header, sizeof(header), bytes, length, -1), 0);
}

static void expect_number(const struct pair *pair, uint32_t number)
{
    struct channel_header header;
    uint8_t bytes[4096];
    uint32_t got;

    assert_true(program_receive(pair->server, &header, bytes, sizeof(bytes), 0) >= 4);
    memcpy(&got, bytes, sizeof(got));
    assert_int_equal(got, number);
}

static void open_pair(struct pair *pair)
{
    int listener, one = 1;

    memset(pair, 0, sizeof(*pair));
    stack_start(&pair->stack, plain);
    listener = program_socket(&pair->stack, AF_INET, SOCK_STREAM);
    pair->client = program_socket(&pair->stack, AF_INET, SOCK_STREAM);
    assert_int_equal(program_bind(&pair->stack, listener, PORT), 0);
    assert_int_equal(program_listen(&pair->stack, listener, 1), 0);
    assert_int_equal(program_connect(&pair->stack, pair->client, PORT, true), 0);
    pair->server = program_accept(listener);
    assert_true(pair->server >= 0);
    assert_int_equal(program_set_option(&pair->stack, pair->client, IPPROTO_SCTP, SCTP_NODELAY,
                                        &one, sizeof(one)),
                     0);
    close(listener);
}

/* Sends until the socket has a ring, and maps it. */
static void get_ring(struct pair *pair)
{
    struct call call = {.operation = CHANNEL_RING, .descriptor = pair->client};
    const struct channel_slot *slot = program_slot(&pair->stack, pair->client);

    assert_int_equal(program_call(&pair->stack, &call), -ENOENT);
    for (int tries = 0; tries < 100 && !(atomic_load(&slot->state) & CHANNEL_STATE_RING); tries++) {
        for (uint32_t i = 0; i < 300; i++)
            send_by_descriptor(pair, i, LENGTH);
        for (uint32_t i = 0; i < 300; i++)
            expect_number(pair, i);
    }
    assert_true(atomic_load(&slot->state) & CHANNEL_STATE_RING);
    call = (struct call){.operation = CHANNEL_RING, .descriptor = pair->client};
    assert_int_equal(program_call(&pair->stack, &call), 0);
    pair->file = call.answer_descriptor;
    pair->ring = mmap(NULL, sizeof(*pair->ring), PROT_READ | PROT_WRITE, MAP_SHARED, pair->file, 0);
    assert_true(pair->ring != MAP_FAILED);
}

static void close_pair(struct pair *pair)
{
    close(pair->server);
    stack_stop(&pair->stack);
    if (pair->ring)
        munmap(pair->ring, sizeof(*pair->ring));
    if (pair->ring)
        close(pair->file);
}

/* As the library does. */
static void send_small(const struct pair *pair, uint32_t number)
{
    struct channel_header plug = {.type = CHANNEL_PLUG};

    if (!put(pair->ring, number, LENGTH))
        send_by_descriptor(pair, number, LENGTH);
    else if (ring_is_asleep(pair->ring))
        assert_int_equal(channel_send(pair->client, &plug, sizeof(plug), NULL, 0, -1), 0);
}

static void test_order(void **state)
{
    struct pair pair;
    uint32_t in = 0, out = 0;

    (void)state;
    open_pair(&pair);
    get_ring(&pair);
    assert_true(ftruncate(pair.file, 4096) < 0); /* sealed */
    /* on a busy machine the stack may sleep whenever there is something to send */
    for (; in < MANY || (ring_head(pair.ring) == 0 && in < 100 * MANY); in++) {
        if (in % 37 == 0)
            send_by_descriptor(&pair, in, 2000);
        else
            send_small(&pair, in);
        /* now and then the stack falls asleep */
        while (in - out > (in % 1000 == 0 ? 0u : 500u))
            expect_number(&pair, out++);
    }
    while (out < in)
        expect_number(&pair, out++);
    assert_true(ring_head(pair.ring) > 0);
    close(pair.client);
    close_pair(&pair);
}

/* What stands in the ring goes before the end, though nobody says so. */
static void test_end(void **state)
{
    for (int by_shutdown = 0; by_shutdown < 2; by_shutdown++) {
        struct channel_header header;
        struct pair pair;
        uint8_t bytes[64];

        (void)state;
        open_pair(&pair);
        get_ring(&pair);
        ring_wake(pair.ring);
        for (uint32_t i = 0; i < 200; i++)
            assert_true(put(pair.ring, i, LENGTH));
        if (by_shutdown)
            assert_int_equal(program_shutdown(&pair.stack, pair.client, SHUT_WR), 0);
        else
            close(pair.client);
        for (uint32_t i = 0; i < 200; i++)
            expect_number(&pair, i);
        assert_int_equal(program_receive(pair.server, &header, bytes, sizeof(bytes), 0), 0);
        if (by_shutdown)
            close(pair.client);
        close_pair(&pair);
    }
}

/* Who writes nonsense loses what he wrote; the socket, and the stack, go on. */
static void test_liar(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    get_ring(&pair);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t head = ring_head(pair.ring);

        switch (i % 5) {
        case 0:
            atomic_store(&pair.ring->head, head + 0x12345678); /* far beyond */
            break;
        case 1:
            atomic_store(&pair.ring->head, head - 4096); /* back */
            break;
        case 2: /* no length */
            atomic_store(&pair.ring->words[head % CHANNEL_RING_SIZE / 4], 0xffffff00);
            atomic_store(&pair.ring->head, head + 256);
            break;
        case 3: /* no header */
            atomic_store(&pair.ring->words[head % CHANNEL_RING_SIZE / 4], 200);
            atomic_store(&pair.ring->words[head % CHANNEL_RING_SIZE / 4 + 1], 7);
            atomic_store(&pair.ring->head, head + 208);
            break;
        default:
            atomic_store(&pair.ring->tail, 0x1001);
            atomic_store(&pair.ring->lock, 77);
            atomic_store(&pair.ring->head, head + 3); /* not where an entry begins */
        }
        {
            struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_KNOWS_RING};
            uint32_t bytes[16] = {1000 + i};

            header.ring_position = i % 2 ? (uint32_t)rand() : ring_position(pair.ring);
            assert_int_equal(
                channel_send(pair.client, &header, sizeof(header), bytes, sizeof(bytes), -1), 0);
        }
        expect_number(&pair, 1000 + i);
        atomic_store(&pair.ring->head, (ring_head(pair.ring) + 7) & ~7u);
    }
    close(pair.client);
    close_pair(&pair);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrap),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_order),
        cmocka_unit_test(test_end),      cmocka_unit_test(test_liar),
    };

    if (argc != 2)
        return 2;
    braid_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
