/*
 * Fuzzer: the stack process (src/stack/, src/socket/) from the side of its programs, over real
 * connections: all that a program can send, with and without sense, in any order.
 *
 * The input is a list of steps, see step(). Between two inputs everything is closed, and then
 * nothing of it may be left: sockets, connections, memory of any user, descriptors.
 */
#include <fcntl.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "stack/private.h"

enum {
    PLACES = 8, /* descriptors, and connections, that a program has at a time */
    PORT = 5000,
    PAYLOAD_MAXIMUM = 70000,
    TURNS_MAXIMUM = 1000,
};

static struct stack *stack;
static int descriptors[PLACES], connections[PLACES];
static unsigned int descriptor_count; /* when nothing is open */

struct input {
    const uint8_t *bytes;
    size_t length;
};

static uint8_t take(struct input *input)
{
    if (input->length == 0)
        return 0;
    input->length--;
    return *input->bytes++;
}

static void take_bytes(struct input *input, void *to, size_t length)
{
    size_t there = length < input->length ? length : input->length;

    memset(to, 0, length);
    memcpy(to, input->bytes, there);
    input->bytes += there;
    input->length -= there;
}

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* Sockets and memory files; others are libFuzzer's. */
static unsigned int count_descriptors(void)
{
    unsigned int count = 0;
    int type;
    socklen_t length = sizeof(type);

    for (int i = 0; i < 256; i++)
        count +=
            getsockopt(i, SOL_SOCKET, SO_TYPE, &type, &length) == 0 || fcntl(i, F_GET_SEALS) >= 0;
    return count;
}

/* ---- What a program does ---- */

static void put(int *place, int descriptor)
{
    if (*place >= 0)
        close(*place);
    *place = descriptor;
    if (descriptor >= 0)
        fcntl(descriptor, F_SETFL, O_NONBLOCK);
}

/* Bytes from the input, or such as the stack understands. */
static size_t take_payload(struct input *input, uint8_t *payload)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t length = take(input);

    switch (take(input) % 4) {
    case 0:
        take_bytes(input, payload, length);
        return length;
    case 1: /* a sockaddr, or two */
        memcpy(payload, &address, sizeof(address));
        memcpy(payload + sizeof(address), &address, sizeof(address));
        return length & 1 ? sizeof(address) : 2 * sizeof(address);
    case 2: /* much */
        memset(payload, take(input), length * 273);
        return length * 273;
    default: /* a header, some fields of it from the input */
        memset(payload, 0, sizeof(struct channel_header) + length);
        ((struct channel_header *)(void *)payload)->flags = CHANNEL_HAS_ADDRESS;
        memcpy(&((struct channel_header *)(void *)payload)->address, &address, sizeof(address));
        take_bytes(input, payload + (take(input) % sizeof(struct channel_header)), 8);
        return sizeof(struct channel_header) + length;
    }
}

static int32_t take_number(struct input *input)
{
    static const int32_t known[] = {0,
                                    1,
                                    2,
                                    AF_INET,
                                    AF_INET6,
                                    SOCK_STREAM,
                                    SOCK_SEQPACKET,
                                    IPPROTO_SCTP,
                                    SOL_SOCKET,
                                    SO_LINGER,
                                    SO_SNDBUF,
                                    -1,
                                    INT32_MIN,
                                    INT32_MAX,
                                    131072,
                                    SCTP_SOCKOPT_PEELOFF};
    uint8_t kind = take(input);
    int32_t number;

    if (kind < 16)
        return known[kind];
    if (kind < 240)
        return kind - 16;
    take_bytes(input, &number, sizeof(number));
    return number;
}

/* A socket, another thing, or none, to send along. Not a socket where it may stand unread: who is
 * closed but waits in his own queue is never closed (docs/security.md). */
static int take_descriptor(struct input *input, bool is_read)
{
    uint8_t which = take(input);

    if (!is_read)
        return which < 64 ? STDIN_FILENO : -1;
    if (which < 2 * PLACES)
        return descriptors[which % PLACES];
    if (which < 3 * PLACES)
        return connections[which % PLACES];
    return which < 64 ? STDIN_FILENO : -1;
}

static void send_request(struct input *input, int connection)
{
    static uint8_t payload[PAYLOAD_MAXIMUM];
    struct channel_request request = {.version = CHANNEL_VERSION, .operation = take(input) % 20};
    int descriptor = take_descriptor(input, true);
    size_t length;

    for (size_t i = 0; i < 4; i++)
        request.argument[i] = take_number(input);
    length = take_payload(input, payload);
    request.length = (uint32_t)length;
    (void)channel_send(connection, &request, sizeof(request), payload, length, descriptor);
}

static void send_data(struct input *input, int socket)
{
    static uint8_t payload[PAYLOAD_MAXIMUM];
    struct channel_header header = {.type = CHANNEL_SEND};
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    uint32_t slot;
    int descriptor = take_descriptor(input, false);
    uint8_t what = take(input);

    if (getsockname(socket, (struct sockaddr *)&name, &length) == 0)
        channel_name_parse(&name, length, stack->name, &slot, &header.generation);
    header.flags = what & 1 ? CHANNEL_MORE : 0;
    header.sender = what >> 6;
    if (what & 2) {
        header.flags |= CHANNEL_HAS_INFO;
        take_bytes(input, &header.info, 12);
    }
    if (what & 4) {
        header.flags |= CHANNEL_HAS_ADDRESS;
        header.address.in = (struct sockaddr_in){.sin_family = AF_INET,
                                                 .sin_port = htons(PORT),
                                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    }
    if (what & 8)
        take_bytes(input, (uint8_t *)&header + (take(input) % (sizeof(header) - 8)), 8);
    length = (socklen_t)take_payload(input, payload);
    (void)channel_send(socket, &header, sizeof(header), payload, length, descriptor);
}

/* The ring of a socket: made if there is none (busy.c), then written to with and without sense. */
static void write_ring(struct input *input, int socket)
{
    struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_KNOWS_RING};
    struct stack_socket *end = socket < 0 ? NULL : end_find(stack, socket);
    uint8_t bytes[64];
    struct iovec part = {bytes, sizeof(bytes)};
    uint8_t what = take(input);

    if (!end || end->watch.descriptor < 0)
        return;
    if (!end->ring) {
        for (unsigned int i = 0; i < 300; i++)
            if (channel_send(socket, &header, sizeof(header), bytes, 0, -1) < 0)
                (void)stack_turn(stack, 0);
        return;
    }
    take_bytes(input, bytes, sizeof(bytes));
    if (what & 1)
        memcpy((uint8_t *)&header + bytes[0] % sizeof(header), bytes, 1);
    (void)ring_put(end->ring, &header, &part, 1, what & 2 ? bytes[1] % sizeof(bytes) : 1);
    if (what & 4)
        ((uint8_t *)end->ring)[bytes[2] % 136] = bytes[3]; /* the numbers */
    if (what & 8)
        end->ring->words[(ring_head(end->ring) / 4 + bytes[4]) % (CHANNEL_RING_SIZE / 4)] =
            bytes[5];
    if (what & 16)
        atomic_fetch_add(&end->ring->head, bytes[6]);
    header.ring_position = ring_position(end->ring);
    if (what & 32)
        (void)channel_send(socket, &header, sizeof(header), bytes, 1, -1);
}

/* What came is thrown away, but descriptors. */
static void receive(int from, int *place)
{
    static uint8_t bytes[CHANNEL_CONTROL_MAXIMUM];
    int descriptor = -1;

    (void)channel_receive(from, bytes, 1, bytes, sizeof(bytes), &descriptor);
    if (descriptor >= 0)
        put(place, descriptor);
}

static void step(struct input *input)
{
    uint8_t what = take(input);
    uint8_t places = take(input);
    int *descriptor = &descriptors[places % PLACES],
        *connection = &connections[places / 16 % PLACES];

    switch (what % 8) {
    case 0:
        put(connection, channel_connect(stack->name));
        break;
    case 1:
        send_request(input, *connection);
        break;
    case 2:
        send_data(input, *descriptor);
        break;
    case 3:
        receive(*connection, descriptor);
        break;
    case 4:
        receive(*descriptor, &descriptors[take(input) % PLACES]);
        break;
    case 5:
        put(places & 128 ? connection : descriptor, -1);
        break;
    case 6:
        shutdown(places & 128 ? *connection : *descriptor, take(input) % 3);
        break;
    default: {
        uint8_t bytes[64];
        size_t length;

        if (what & 64) {
            write_ring(input, *descriptor);
            break;
        }
        length = take(input) % sizeof(bytes);
        take_bytes(input, bytes, length);
        (void)channel_send(places & 128 ? *connection : *descriptor, bytes, length, NULL, 0,
                           take_descriptor(input, false));
    }
    }
    if (!(what & 128))
        (void)stack_turn(stack, 0);
}

/* ---- Before and after ---- */

static void start(void)
{
    struct stack_config config = {.idle = 0};
    static char name[32];
    char text[256];
    bool running;
    int error;

    signal(SIGPIPE, SIG_IGN);
    (void)snprintf(name, sizeof(name), "fuzz-%d", (int)getpid());
    config.name = name;
    stack = stack_open(&config, &error, &running, text, sizeof(text));
    check(stack != NULL, "the stack cannot start");
    for (int i = 0; i < PLACES; i++)
        descriptors[i] = connections[i] = -1;
    descriptor_count = count_descriptors();
}

static bool anything_left(void)
{
    return stack->connection_count > 0 || socket_table_count(stack->sockets) > 0 ||
           !list_is_empty(&stack->ends);
}

static void close_all(void)
{
    for (int i = 0; i < PLACES; i++) {
        put(&descriptors[i], -1);
        put(&connections[i], -1);
    }
    for (int i = 0; i < TURNS_MAXIMUM && (i < 2 || anything_left()); i++) {
        (void)stack_turn(stack, 0);
        stack_abort_all(stack); /* no time passes here for a shutdown */
    }
    stack->stop = false;
    check(!anything_left(), "a socket or connection is left");
    check(!quota_next(stack->sockets, NULL), "somebody still has something");
    check(stack->free_count == CHANNEL_SLOTS, "a slot is left");
    check(count_descriptors() == descriptor_count, "a descriptor is left");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input = {bytes, length};

    if (!stack)
        start();
    while (input.length > 0)
        step(&input);
    close_all();
    return 0;
}
