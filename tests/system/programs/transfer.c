/* The roles that sctp_transfer and usrsctp_peer share; transfer.h says what they are. */
#include "transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x74726166u
#define HEADER_LENGTH 16
#define CONTROL_LENGTH 56
#define PAYLOAD_PROTOCOL 0x54520000u
#define LARGEST_MESSAGE (16u << 20)
#define STREAMS 65536u

enum kind { KIND_NONE, KIND_DATA, KIND_SEND, KIND_FETCH, KIND_RESULT };
enum { FLAG_STREAM_SET = 1, FLAG_UNORDERED = 2, FLAG_RANDOM_SIZES = 4 };

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

static void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)(value >> 32));
    put32(at + 4, (uint32_t)value);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#define FNV_START 0xcbf29ce484222325u

static uint64_t fnv(uint64_t hash, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

void transfer_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        transfer_fail("calloc");
    return memory;
}

/* The messages that one end sends. */
struct source {
    uint64_t bytes;
    uint32_t size;
    uint16_t streams;
    uint8_t flags;
    uint64_t sent_messages, sent_bytes, checksum;
    unsigned pause;
    uint8_t *message;
};

static uint32_t source_next_size(uint64_t index, uint32_t size, bool random_sizes)
{
    uint64_t state = (index + 1) * 0x9e3779b97f4a7c15u;
    if (!random_sizes || size <= HEADER_LENGTH)
        return size;
    next_random(&state);
    return HEADER_LENGTH + (uint32_t)(next_random(&state) % (size - HEADER_LENGTH + 1));
}

static void source_count(const struct source *source, uint64_t *messages, uint64_t *bytes)
{
    *messages = *bytes = 0;
    do
        *bytes += source_next_size((*messages)++, source->size, source->flags & FLAG_RANDOM_SIZES);
    while (*bytes < source->bytes);
}

static bool source_finished(const struct source *source)
{
    return source->sent_messages && source->sent_bytes >= source->bytes;
}

static ssize_t send_control(struct channel *channel, uint32_t association, const uint8_t *message)
{
    return channel->send(channel, association, message, CONTROL_LENGTH, 0, PAYLOAD_PROTOCOL, false);
}

/* -H: slowly, and as if nothing had been sent, as long as the file is there. */
static void source_hold(struct source *source, const char *file)
{
    if (!file || access(file, F_OK) < 0)
        return;
    usleep(2000);
    source->bytes += source->size;
}

/* A rate that leaves time to do something to the network; whoever does it says when it is done. */
static void source_pause(struct source *source)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    if (!source->pause)
        return;
    usleep(source->pause);
    if (poll(&in, 1, 0) > 0 && in.revents & POLLIN && getchar() != EOF)
        source->pause = 0;
}

static bool source_send(struct source *source, struct channel *channel, uint32_t association)
{
    uint64_t index = source->sent_messages;
    uint16_t stream = (uint16_t)(index % source->streams);
    uint32_t sequence = (uint32_t)(index / source->streams);
    uint32_t size = source_next_size(index, source->size, source->flags & FLAG_RANDOM_SIZES);
    uint64_t state = ((uint64_t)stream << 32 | sequence) + 0x9e3779b97f4a7c15u;
    uint8_t *message = source->message;
    size_t at = 0;
    ssize_t sent;

    source_pause(source);
    if (size >= HEADER_LENGTH) {
        put32(message, MAGIC);
        message[4] = KIND_DATA;
        message[5] = source->flags;
        put16(message + 6, stream);
        put32(message + 8, sequence);
        put32(message + 12, size);
        at = HEADER_LENGTH;
    }
    for (; at + 8 <= size; at += 8)
        put64(message + at, next_random(&state));
    for (; at < size; at++)
        message[at] = (uint8_t)next_random(&state);
    sent = channel->send(channel, association, message, size, stream, PAYLOAD_PROTOCOL + stream,
                         source->flags & FLAG_UNORDERED);
    if (sent != (ssize_t)size) {
        if (sent >= 0)
            errno = EMSGSIZE;
        fprintf(stderr, "sending message %" PRIu64 " of %u bytes: %s\n", index, size,
                strerror(errno));
        return false;
    }
    source->sent_messages++;
    source->sent_bytes += size;
    source->checksum += fnv(FNV_START, message, size);
    return true;
}

/* What one end has received of one association. */
/* A message of a stream of which pieces have come: with interleaving, beside those of others. */
struct growing {
    uint32_t length;
    uint64_t hash;
    uint8_t head[CONTROL_LENGTH];
};

struct account {
    struct growing *growing; /* by stream */
    uint32_t association;
    uint64_t messages, bytes, checksum, errors;
    double last, silence; /* when the last message came, and the longest wait for one: ms */
    /* the message under way */
    uint64_t hash;
    uint32_t length;
    uint8_t head[CONTROL_LENGTH];
    /* what an echo-server keeps of it */
    uint8_t *whole;
    size_t whole_size;
    /* what the peer announced */
    bool announced, answered;
    uint64_t announced_messages;
    uint32_t *next_sequence;
    struct account *next;
};

static void complain(struct account *account, const char *what, uint64_t is, uint64_t expected)
{
    if (account->errors++ < 10)
        fprintf(stderr, "message %" PRIu64 ": %s is %" PRIu64 ", not %" PRIu64 "\n",
                account->messages, what, is, expected);
}

static void account_check(struct account *account, const struct received *received)
{
    const uint8_t *head = account->head;
    uint16_t stream = get16(head + 6);
    uint32_t sequence = get32(head + 8);

    if (get32(head + 12) != account->length)
        complain(account, "length", account->length, get32(head + 12));
    if (!(head[5] & FLAG_UNORDERED) && sequence != account->next_sequence[stream])
        complain(account, "number within its stream", sequence, account->next_sequence[stream]);
    account->next_sequence[stream] = sequence + 1;
    if ((head[5] & FLAG_STREAM_SET) && received->has_information) {
        if (received->stream != stream)
            complain(account, "stream", received->stream, stream);
        if (received->payload_protocol != PAYLOAD_PROTOCOL + stream)
            complain(account, "payload protocol", received->payload_protocol,
                     PAYLOAD_PROTOCOL + stream);
        if (received->unordered != !!(head[5] & FLAG_UNORDERED))
            complain(account, "unordered flag", received->unordered, !received->unordered);
    }
}

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void account_wait(struct account *account)
{
    double now = milliseconds();

    if (account->messages && now - account->last > account->silence)
        account->silence = now - account->last;
    account->last = now;
}

/* Takes a piece of a message; says what the message is once it is complete. */
static enum kind account_piece(struct account *account, const uint8_t *bytes, size_t length,
                               const struct received *received)
{
    struct growing *growing = &account->growing[received->has_information ? received->stream : 0];
    enum kind kind = KIND_DATA;
    uint8_t *head = account->head;

    account->length = growing->length;
    account->hash = growing->hash;
    memcpy(head, growing->head, CONTROL_LENGTH);
    if (!account->length) {
        account->hash = FNV_START;
        memset(head, 0, CONTROL_LENGTH);
    }
    if (account->length < CONTROL_LENGTH) {
        size_t room = CONTROL_LENGTH - account->length;
        memcpy(head + account->length, bytes, length < room ? length : room);
    }
    account->hash = fnv(account->hash, bytes, length);
    account->length += (uint32_t)length;
    growing->length = received->complete ? 0 : account->length;
    growing->hash = account->hash;
    memcpy(growing->head, head, CONTROL_LENGTH);
    if (!received->complete)
        return KIND_NONE;
    if (account->length >= HEADER_LENGTH && get32(head) == MAGIC) {
        kind = head[4];
        if (kind == KIND_DATA)
            account_check(account, received);
    } else if (account->length >= HEADER_LENGTH) {
        complain(account, "magic", get32(head), MAGIC);
    }
    if (kind == KIND_DATA) {
        account_wait(account);
        account->messages++;
        account->bytes += account->length;
        account->checksum += account->hash;
    }
    account->length = 0;
    return kind;
}

static void account_print(const struct account *account, const char *verb)
{
    printf("%s messages=%" PRIu64 " bytes=%" PRIu64 " checksum=%016" PRIx64 " errors=%" PRIu64
           " silence_ms=%.0f\n",
           verb, account->messages, account->bytes, account->checksum, account->errors,
           account->silence);
    fflush(stdout);
}

static struct account *account_new(uint32_t association)
{
    struct account *account = allocate(sizeof *account);
    account->association = association;
    account->next_sequence = allocate(STREAMS * sizeof *account->next_sequence);
    account->growing = allocate(STREAMS * sizeof *account->growing);
    return account;
}

static void account_free(struct account *account)
{
    free(account->next_sequence);
    free(account->growing);
    free(account->whole);
    free(account);
}

static void write_result(uint8_t *message, uint64_t messages, uint64_t bytes, uint64_t checksum,
                         uint64_t errors)
{
    memset(message, 0, CONTROL_LENGTH);
    put32(message, MAGIC);
    message[4] = KIND_RESULT;
    put32(message + 12, CONTROL_LENGTH);
    put64(message + 16, messages);
    put64(message + 24, bytes);
    put64(message + 32, checksum);
    put64(message + 40, errors);
}

static bool receive_piece(struct channel *channel, uint8_t *buffer, size_t size, ssize_t *length,
                          struct received *received)
{
    memset(received, 0, sizeof *received);
    do
        *length = channel->receive(channel, buffer, size, received);
    while (*length < 0 && errno == EINTR);
    return *length > 0;
}

/* Clients. */

#define BUFFER_SIZE (256u << 10)

/* `all`: and all messages that the result speaks of, which the peer sends us. */
static bool client_receive_result(struct channel *channel, struct account *account, uint8_t *buffer,
                                  bool all)
{
    bool have_result = false;
    struct received received;
    ssize_t length = 0;

    while (!have_result || (all && account->messages < get64(account->head + 16))) {
        uint8_t result[CONTROL_LENGTH];
        if (have_result)
            memcpy(result, account->head, sizeof result);
        if (!receive_piece(channel, buffer, BUFFER_SIZE, &length, &received)) {
            fprintf(stderr, "no result: %s\n", length ? strerror(errno) : "the peer has ended");
            return false;
        }
        if (received.ended) {
            fprintf(stderr, "no result: the association has ended\n");
            return false;
        }
        if (received.notification)
            continue;
        if (account_piece(account, buffer, (size_t)length, &received) == KIND_RESULT)
            have_result = true;
        else if (have_result)
            memcpy(account->head, result, sizeof result);
    }
    return true;
}

static bool client_send(struct channel *channel, struct source *source, struct account *account,
                        uint8_t *buffer)
{
    uint8_t request[CONTROL_LENGTH] = {0};
    const uint8_t *result = account->head;
    uint64_t messages, bytes;

    source_count(source, &messages, &bytes);
    put32(request, MAGIC);
    request[4] = KIND_SEND;
    put64(request + 16, messages);
    if (send_control(channel, 0, request) < 0)
        transfer_fail("sending the request");
    while (!source_finished(source))
        if (!source_send(source, channel, 0))
            return false;
    if (!client_receive_result(channel, account, buffer, false))
        return false;
    printf("peer received messages=%" PRIu64 " bytes=%" PRIu64 " checksum=%016" PRIx64
           " errors=%" PRIu64 "\n",
           get64(result + 16), get64(result + 24), get64(result + 32), get64(result + 40));
    return get64(result + 16) == source->sent_messages &&
           get64(result + 24) == source->sent_bytes && get64(result + 32) == source->checksum &&
           get64(result + 40) == 0;
}

static bool client_fetch(struct channel *channel, const struct source *source,
                         struct account *account, uint8_t *buffer)
{
    uint8_t request[CONTROL_LENGTH] = {0};
    const uint8_t *result = account->head;

    put32(request, MAGIC);
    request[4] = KIND_FETCH;
    request[5] = source->flags;
    put16(request + 6, source->streams);
    put64(request + 16, source->bytes);
    put32(request + 24, source->size);
    if (send_control(channel, 0, request) < 0)
        transfer_fail("sending the request");
    if (!client_receive_result(channel, account, buffer, true))
        return false;
    account_print(account, "received");
    return account->errors == 0 && get64(result + 16) == account->messages &&
           get64(result + 24) == account->bytes && get64(result + 32) == account->checksum;
}

static bool client_echo(struct channel *channel, struct source *source, struct account *account,
                        uint8_t *buffer)
{
    struct received received;
    ssize_t length = 0;

    while (!source_finished(source) || account->messages < source->sent_messages) {
        if (!source_finished(source) &&
            source->sent_messages - account->messages < channel->options->window) {
            source_hold(source, channel->options->hold);
            if (!source_send(source, channel, 0))
                return false;
            continue;
        }
        if (!receive_piece(channel, buffer, BUFFER_SIZE, &length, &received) || received.ended) {
            fprintf(stderr, "no echo: %s\n",
                    length < 0 ? strerror(errno) : "the association has ended");
            return false;
        }
        if (!received.notification)
            account_piece(account, buffer, (size_t)length, &received);
    }
    account_print(account, "received");
    return account->errors == 0 && account->bytes == source->sent_bytes &&
           account->checksum == source->checksum;
}

bool transfer_client(struct channel *channel)
{
    const struct transfer_options *options = channel->options;
    struct source source = {
        .bytes = options->bytes,
        .size = options->size,
        .streams = options->streams,
        .pause = options->pause,
        .flags = (uint8_t)((options->plain ? 0 : FLAG_STREAM_SET) |
                           (options->unordered ? FLAG_UNORDERED : 0) |
                           (options->random_sizes ? FLAG_RANDOM_SIZES : 0)),
        .message = allocate(options->size),
    };
    struct account *account = account_new(0);
    uint8_t *buffer = allocate(BUFFER_SIZE);
    struct timespec start, end;
    double seconds;
    bool good;

    clock_gettime(CLOCK_MONOTONIC, &start);
    if (options->mode == MODE_SEND)
        good = client_send(channel, &source, account, buffer);
    else if (options->mode == MODE_FETCH)
        good = client_fetch(channel, &source, account, buffer);
    else
        good = client_echo(channel, &source, account, buffer);
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    if (options->mode != MODE_FETCH)
        printf("sent messages=%" PRIu64 " bytes=%" PRIu64 " checksum=%016" PRIx64 "\n",
               source.sent_messages, source.sent_bytes, source.checksum);
    printf("%s seconds=%.3f mbit_per_second=%.1f\n", good ? "good" : "BAD", seconds,
           (double)(options->mode == MODE_FETCH ? account->bytes : source.sent_bytes) * 8 /
               seconds / 1e6);
    fflush(stdout);
    account_free(account);
    free(buffer);
    free(source.message);
    return good;
}

/* Servers. */

static bool serve_fetch(struct channel *channel, const struct account *account)
{
    const uint8_t *head = account->head;
    struct source source = {
        .bytes = get64(head + 16),
        .size = get32(head + 24),
        .streams = get16(head + 6),
        .flags = head[5],
        .pause = channel->options->pause,
    };
    uint8_t message[CONTROL_LENGTH];
    bool good = true;

    if (!source.size || source.size > LARGEST_MESSAGE || !source.streams) {
        fprintf(stderr, "a request for messages of %u bytes on %u streams\n", source.size,
                source.streams);
        return false;
    }
    if (channel->options->plain)
        source.flags &= (uint8_t)~FLAG_STREAM_SET;
    source.message = allocate(source.size);
    while (good && !source_finished(&source))
        good = source_send(&source, channel, account->association);
    free(source.message);
    if (!good)
        return false;
    write_result(message, source.sent_messages, source.sent_bytes, source.checksum, 0);
    if (send_control(channel, account->association, message) < 0)
        return false;
    printf("sent messages=%" PRIu64 " bytes=%" PRIu64 " checksum=%016" PRIx64 "\n",
           source.sent_messages, source.sent_bytes, source.checksum);
    fflush(stdout);
    return true;
}

static bool serve_result(struct channel *channel, struct account *account)
{
    uint8_t message[CONTROL_LENGTH];

    if (!account->announced || account->answered || account->messages < account->announced_messages)
        return true;
    account->answered = true;
    write_result(message, account->messages, account->bytes, account->checksum, account->errors);
    return send_control(channel, account->association, message) >= 0;
}

static bool serve_echo(struct channel *channel, struct account *account, const uint8_t *bytes,
                       size_t length, const struct received *received)
{
    size_t at = account->length;
    bool good = true;

    if (at + length > LARGEST_MESSAGE) {
        fprintf(stderr, "a message of more than %u bytes\n", LARGEST_MESSAGE);
        return false;
    }
    if (at + length > account->whole_size) {
        account->whole_size = 2 * (at + length);
        account->whole = realloc(account->whole, account->whole_size);
        if (!account->whole)
            transfer_fail("realloc");
    }
    memcpy(account->whole + at, bytes, length);
    if (received->complete)
        good = channel->send(channel, account->association, account->whole, at + length,
                             received->stream, received->payload_protocol,
                             received->unordered) == (ssize_t)(at + length);
    if (!good)
        fprintf(stderr, "echo of %zu bytes: %s\n", at + length, strerror(errno));
    account_piece(account, bytes, length, received);
    return good;
}

static bool serve_piece(struct channel *channel, struct account *account, const uint8_t *bytes,
                        size_t length, const struct received *received)
{
    switch (account_piece(account, bytes, length, received)) {
    case KIND_SEND:
        account->announced = true;
        account->announced_messages = get64(account->head + 16);
        return serve_result(channel, account);
    case KIND_FETCH:
        return serve_fetch(channel, account);
    case KIND_DATA:
        return serve_result(channel, account);
    default:
        return true;
    }
}

static struct account **find_account(struct account **accounts, uint32_t association)
{
    while (*accounts && (*accounts)->association != association)
        accounts = &(*accounts)->next;
    return accounts;
}

static bool end_account(struct account **place)
{
    struct account *account = *place;
    bool good = account->errors == 0;

    account_print(account, "received");
    *place = account->next;
    account_free(account);
    return good;
}

bool transfer_serve(struct channel *channel)
{
    const struct transfer_options *options = channel->options;
    uint8_t *buffer = allocate(BUFFER_SIZE);
    struct account *accounts = NULL;
    struct received received;
    unsigned ended = 0;
    ssize_t length;
    bool good = true;

    while (receive_piece(channel, buffer, BUFFER_SIZE, &length, &received)) {
        struct account **place = find_account(&accounts, received.association);
        if (received.ended) {
            if (*place) {
                good = end_account(place) && good;
                if (options->one_to_many && options->count && ++ended == options->count)
                    break;
            }
            continue;
        }
        if (received.notification)
            continue;
        if (!*place)
            *place = account_new(received.association);
        if (!(options->mode == MODE_ECHO_SERVER ? serve_echo : serve_piece)(
                channel, *place, buffer, (size_t)length, &received)) {
            good = false;
            if (!options->one_to_many)
                break;
        }
    }
    if (length < 0) {
        fprintf(stderr, "receiving: %s\n", strerror(errno));
        good = false;
    }
    while (accounts)
        good = end_account(&accounts) && good;
    free(buffer);
    return good;
}

/* The command line. */

__attribute__((noreturn)) static void usage(void)
{
    fputs("usage: [options] echo-server PORT\n"
          "       [options] server PORT\n"
          "       [options] echo|send|fetch HOST PORT BYTES SIZE STREAMS\n"
          "  -6  servers: IPv6 and IPv4     -m  one-to-many socket      -u  unordered\n"
          "  -n  SCTP_NODELAY               -r  sizes from 16 to SIZE   -f  servers: fork\n"
          "  -P  plain send() and recv(): one stream, no options, no ancillary data\n"
          "  -c COUNT  servers: end after so many associations\n"
          "  -p PORT  local port            -b ADDRESS  local address (may be repeated)\n"
          "  -S BYTES  send buffer          -R BYTES  receive buffer\n"
          "  -w COUNT  messages that echo keeps under way (8)\n"
          "  -A  SCTP_AUTH_SUPPORTED, SCTP_ASCONF_SUPPORTED; without -b also SCTP_AUTO_ASCONF\n"
          "  -H FILE  echo: slowly as long as FILE is there, then BYTES more\n"
          "  -i TIME  microseconds between two messages, until something stands on stdin\n"
          "  -T  RTO from 100 ms to 2 s, Path.Max.Retrans 2, Association.Max.Retrans 8, HB 500 ms\n"
          "  -y TIME  client: another path becomes the primary, so often (milliseconds)\n"
          "  -I  messages of several streams beside each other (RFC 8260)\n"
          "  -L PORT, -U PORT  usrsctp: local and remote UDP encapsulation port (0: raw IP)\n",
          stderr);
    exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most) {
        fprintf(stderr, "\"%s\" is not a number from %" PRIu64 " to %" PRIu64 "\n", text, least,
                most);
        usage();
    }
    return value;
}

static void read_option(struct transfer_options *options, int option)
{
    switch (option) {
    case '6':
        options->ipv6 = true;
        break;
    case 'm':
        options->one_to_many = true;
        break;
    case 'P':
        options->plain = true;
        break;
    case 'u':
        options->unordered = true;
        break;
    case 'n':
        options->no_delay = true;
        break;
    case 'r':
        options->random_sizes = true;
        break;
    case 'f':
        options->fork = true;
        break;
    case 'c':
        options->count = (unsigned)number(optarg, 1, 1000000);
        break;
    case 'p':
        options->local_port = (uint16_t)number(optarg, 0, 65535);
        break;
    case 'b':
        if (options->local_address_count == 8)
            usage();
        options->local_addresses[options->local_address_count++] = optarg;
        break;
    case 'S':
        options->send_buffer = (int)number(optarg, 1, 1u << 30);
        break;
    case 'R':
        options->receive_buffer = (int)number(optarg, 1, 1u << 30);
        break;
    case 'A':
        options->dynamic_addresses = true;
        break;
    case 'H':
        options->hold = optarg;
        break;
    case 'L':
        options->local_udp = (uint16_t)number(optarg, 0, 65535);
        break;
    case 'U':
        options->remote_udp = (uint16_t)number(optarg, 0, 65535);
        break;
    case 'w':
        options->window = (unsigned)number(optarg, 1, 1000000);
        break;
    case 'i':
        options->pause = (unsigned)number(optarg, 0, 1000000);
        break;
    case 'T':
        options->impatient = true;
        break;
    case 'I':
        options->interleaving = true;
        break;
    case 'y':
        options->flap = (unsigned)number(optarg, 1, 1000000);
        break;
    default:
        usage();
    }
}

void transfer_read_options(struct transfer_options *options, int count, char **arguments)
{
    static const char *const modes[] = {"echo-server", "server", "echo", "send", "fetch"};
    unsigned mode = 0;
    int option;

    memset(options, 0, sizeof *options);
    options->window = 8;
    while ((option = getopt(count, arguments, "6mPunrfTAc:p:b:S:R:L:U:w:H:i:y:I")) != -1)
        read_option(options, option);
    arguments += optind;
    count -= optind;
    if (count < 2)
        usage();
    while (mode < 5 && strcmp(arguments[0], modes[mode]) != 0)
        mode++;
    if (mode == 5)
        usage();
    options->mode = (enum transfer_mode)mode;
    if (mode <= MODE_SERVER) {
        if (count != 2)
            usage();
        options->port = (uint16_t)number(arguments[1], 0, 65535);
        return;
    }
    if (count != 6)
        usage();
    options->host = arguments[1];
    options->port = (uint16_t)number(arguments[2], 1, 65535);
    options->bytes = number(arguments[3], 0, 1ull << 40);
    options->size =
        (uint32_t)number(arguments[4], mode == MODE_ECHO ? 1 : HEADER_LENGTH, LARGEST_MESSAGE);
    options->streams = (uint16_t)number(arguments[5], 1, options->plain ? 1 : 65535);
}

socklen_t transfer_address(const char *text, uint16_t port, struct sockaddr_storage *address)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(port);
        return sizeof *ipv4;
    }
    if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1) {
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(port);
        return sizeof *ipv6;
    }
    fprintf(stderr, "\"%s\" is not an address\n", text);
    exit(2);
}

const char *transfer_address_text(const struct sockaddr *address)
{
    static char text[INET6_ADDRSTRLEN + 16];
    char numeric[INET6_ADDRSTRLEN] = "?";

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &ipv4->sin_addr, numeric, sizeof numeric);
        snprintf(text, sizeof text, "%s:%u", numeric, ntohs(ipv4->sin_port));
    } else {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &ipv6->sin6_addr, numeric, sizeof numeric);
        snprintf(text, sizeof text, "[%s]:%u", numeric, ntohs(ipv6->sin6_port));
    }
    return text;
}
