/* Data channels: RFC 8831 (what they are), RFC 8832 (how they are opened), RFC 8261 (SCTP in DTLS).
 */
#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PORT = 5000, IP_HEADER = 20, RECEIVE_BUFFER = 1 << 20, STREAMS = CHANNEL_COUNT };

/* Payload Protocol Identifiers: RFC 8831, section 8. A message of no bytes is sent as one zero
 * byte. */
enum {
    PPID_DCEP = 50,
    PPID_STRING = 51,
    PPID_BINARY = 53,
    PPID_STRING_EMPTY = 56,
    PPID_BINARY_EMPTY
};

/* RFC 8832, section 5: the two messages; the channel type's bits. */
enum { DCEP_ACK = 2, DCEP_OPEN = 3, DCEP_HEADER = 12 };
enum { TYPE_RETRANSMISSIONS = 0x01, TYPE_LIFETIME = 0x02, TYPE_UNORDERED = 0x80 };

struct channel {
    struct channel_config config;
    bool used;
    bool acknowledged; /* the peer knows it: messages may overtake each other */
    bool ack_due;      /* there was no room for the ACK */
    bool closing, reset_asked;
    bool reset_outgoing, reset_incoming; /* what has happened of RFC 8831, 6.7 */
};

struct channels {
    struct channels_user user;
    struct braid_engine *engine;
    uint32_t association;
    bool even;
    struct channel channels[CHANNEL_COUNT];
};

/* The pipe has no addresses, and the engine puts none into its packets: any two will do, and each
 * side may call itself the first. */
static const struct braid_address here = {.family = BRAID_IPV4, .bytes = {192, 0, 2, 1}};
static const struct braid_address there = {.family = BRAID_IPV4, .bytes = {192, 0, 2, 2}};

static void fill(void *context, void *bytes, size_t length)
{
    (void)context;
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        abort();
}

struct channels *channels_new(const struct channels_user *user, bool even, uint32_t packet_size,
                              braid_time now)
{
    struct braid_parameters parameters;
    struct braid_engine_config config = {.random = fill};
    struct braid_endpoint_config endpoint = {.port = PORT,
                                             .addresses = &here,
                                             .address_count = 1,
                                             .free_bind = true,
                                             .parameters = &parameters};
    struct channels *channels = calloc(1, sizeof(*channels));
    uint32_t identifier;

    braid_parameters_default(&parameters);
    parameters.path_mtu = packet_size + IP_HEADER;
    parameters.path_mtu_discovery = false;
    parameters.outbound_streams = STREAMS;
    parameters.receive_buffer = RECEIVE_BUFFER;
    parameters.interleaving = true;
    parameters.reconfig = true;
    parameters.reconfig_permitted = BRAID_RECONFIG_STREAMS;
    parameters.error_detection_method = BRAID_ERROR_DETECTION_DTLS;
    if (channels == NULL)
        return NULL;
    channels->user = *user;
    channels->even = even;
    channels->engine = braid_engine_new(&config, now);
    if (channels->engine == NULL ||
        braid_endpoint_open(channels->engine, &endpoint, &identifier) < 0 ||
        braid_connect(channels->engine, identifier, &there, 1, PORT, 0, now,
                      &channels->association) < 0) {
        channels_free(channels);
        return NULL;
    }
    return channels;
}

void channels_free(struct channels *channels)
{
    if (channels->engine != NULL)
        braid_engine_free(channels->engine);
    free(channels);
}

static int send_dcep(struct channels *channels, uint16_t channel, const uint8_t *bytes,
                     size_t length, braid_time now)
{
    struct braid_send send = {.stream = channel, .ppid = PPID_DCEP};

    return braid_send(channels->engine, channels->association, &send, bytes, length, now);
}

static void put(uint8_t *bytes, unsigned int size, uint32_t value)
{
    while (size-- > 0) {
        bytes[size] = (uint8_t)value;
        value >>= 8;
    }
}

static uint32_t get(const uint8_t *bytes, unsigned int size)
{
    uint32_t value = 0;

    while (size-- > 0)
        value = value << 8 | *bytes++;
    return value;
}

int channel_open(struct channels *channels, const struct channel_config *config, braid_time now)
{
    uint8_t open[DCEP_HEADER + CHANNEL_NAME] = {DCEP_OPEN};
    size_t length = strnlen(config->label, CHANNEL_NAME - 1);
    uint16_t number = channels->even ? 0 : 1;
    int result;

    while (number < CHANNEL_COUNT && channels->channels[number].used)
        number += 2;
    if (number >= CHANNEL_COUNT)
        return -ENOSPC;
    open[1] = (uint8_t)((config->unordered ? TYPE_UNORDERED : 0) |
                        (config->policy == BRAID_POLICY_RETRANSMISSIONS ? TYPE_RETRANSMISSIONS
                         : config->policy == BRAID_POLICY_LIFETIME      ? TYPE_LIFETIME
                                                                        : 0));
    put(open + 4, 4, config->limit);
    put(open + 8, 2, (uint32_t)length);
    memcpy(open + DCEP_HEADER, config->label, length);
    result = send_dcep(channels, number, open, DCEP_HEADER + length, now);
    if (result < 0)
        return result;
    channels->channels[number] = (struct channel){.config = *config, .used = true};
    return number;
}

int channel_send(struct channels *channels, uint16_t number, bool text, const void *bytes,
                 size_t length, braid_time now)
{
    struct channel *channel = number < CHANNEL_COUNT ? &channels->channels[number] : NULL;
    struct braid_send send = {.stream = number, .ppid = text ? PPID_STRING : PPID_BINARY};

    if (channel == NULL || !channel->used || channel->closing)
        return -ENOENT;
    if (channel->config.unordered && channel->acknowledged)
        send.flags = BRAID_SEND_UNORDERED;
    send.policy = (uint16_t)channel->config.policy;
    if (channel->config.policy == BRAID_POLICY_LIFETIME)
        send.lifetime = channel->config.limit;
    else
        send.limit = channel->config.limit;
    if (length == 0) {
        send.ppid = text ? PPID_STRING_EMPTY : PPID_BINARY_EMPTY;
        bytes = "";
        length = 1;
    }
    return braid_send(channels->engine, channels->association, &send, bytes, length, now);
}

void channel_close(struct channels *channels, uint16_t number)
{
    if (number < CHANNEL_COUNT && channels->channels[number].used)
        channels->channels[number].closing = true;
}

/* The peer opens a channel, or has taken one of ours. */
static void receive_dcep(struct channels *channels, uint16_t number, const uint8_t *bytes,
                         size_t length)
{
    struct channel *channel = &channels->channels[number];
    size_t label;

    if (length >= 1 && bytes[0] == DCEP_ACK && channel->used && !channel->acknowledged) {
        channel->acknowledged = true;
        channels->user.opened(channels->user.context, number, &channel->config);
    }
    if (length < DCEP_HEADER || bytes[0] != DCEP_OPEN || channel->used)
        return;
    label = get(bytes + 8, 2);
    if (label + get(bytes + 10, 2) > length - DCEP_HEADER)
        return;
    *channel = (struct channel){.used = true, .acknowledged = true, .ack_due = true};
    channel->config.unordered = bytes[1] & TYPE_UNORDERED;
    channel->config.policy = bytes[1] & TYPE_RETRANSMISSIONS ? BRAID_POLICY_RETRANSMISSIONS
                             : bytes[1] & TYPE_LIFETIME      ? BRAID_POLICY_LIFETIME
                                                             : BRAID_POLICY_NONE;
    channel->config.limit = get(bytes + 4, 4);
    memcpy(channel->config.label, bytes + DCEP_HEADER,
           label < CHANNEL_NAME ? label : CHANNEL_NAME - 1);
    channels->user.opened(channels->user.context, number, &channel->config);
}

static void receive(struct channels *channels, braid_time now)
{
    const struct channels_user *user = &channels->user;
    struct braid_received received;

    while (braid_receive(channels->engine, channels->association, &received, now) == 1) {
        const unsigned int whole = BRAID_RECEIVE_BEGIN | BRAID_RECEIVE_END;
        uint16_t number = received.stream;

        if ((received.flags & whole) != whole) /* longer than the receive buffer */
            (void)braid_abort(channels->engine, channels->association, NULL, 0, now);
        else if (number >= CHANNEL_COUNT)
            ;
        else if (received.ppid == PPID_DCEP)
            receive_dcep(channels, number, received.bytes, received.length);
        else if (channels->channels[number].used)
            user->message(
                user->context, number,
                received.ppid == PPID_STRING || received.ppid == PPID_STRING_EMPTY, received.bytes,
                received.ppid == PPID_STRING || received.ppid == PPID_BINARY ? received.length : 0);
        braid_received_release(channels->engine, &received, now);
    }
}

/* RFC 8831, 6.7: each side resets the stream that it sends on; with both, the channel is gone. */
static void receive_reset(struct channels *channels, const struct braid_event *event)
{
    for (unsigned int i = 0; i < CHANNEL_COUNT; i++) {
        struct channel *channel = &channels->channels[i];
        bool named = event->length == 0;

        for (size_t at = 0; at + 2 <= event->length; at += 2) {
            uint16_t stream;

            memcpy(&stream, event->bytes + at, sizeof(stream));
            named = named || stream == i;
        }
        if (!channel->used || !named)
            continue;
        channel->closing = true;
        channel->reset_incoming = channel->reset_incoming || event->incoming;
        channel->reset_outgoing = channel->reset_outgoing || !event->incoming;
        if (channel->reset_incoming && channel->reset_outgoing) {
            *channel = (struct channel){.used = false};
            channels->user.closed(channels->user.context, (uint16_t)i);
        }
    }
}

/* What there was no room for, or what had to wait for others: it is tried again. */
static void catch_up(struct channels *channels, braid_time now)
{
    static const uint8_t ack = DCEP_ACK;

    for (unsigned int i = 0; i < CHANNEL_COUNT; i++) {
        struct channel *channel = &channels->channels[i];
        uint16_t stream = (uint16_t)i;

        if (channel->ack_due)
            channel->ack_due = send_dcep(channels, stream, &ack, 1, now) == -EAGAIN;
        if (channel->closing && !channel->reset_asked) /* EAGAIN: messages of its are not yet sent;
                                                          EINPROGRESS: one request at a time */
            channel->reset_asked = braid_reset_streams(channels->engine, channels->association,
                                                       BRAID_RESET_OUTGOING, &stream, 1, now) == 0;
    }
}

void channels_packet(struct channels *channels, const void *bytes, size_t length, braid_time now)
{
    struct braid_packet packet = {
        .bytes = bytes, .length = length, .source = there, .destination = here};

    braid_engine_receive(channels->engine, &packet, 1, now);
}

braid_time channels_work(struct channels *channels, braid_time now)
{
    static uint8_t bytes[65535];
    struct braid_batch batch = {.bytes = bytes, .capacity = sizeof(bytes), .maximum_packets = 1};
    const struct channels_user *user = &channels->user;
    struct braid_event event;

    braid_engine_timeout(channels->engine, now);
    while (braid_engine_next_event(channels->engine, &event)) {
        if (event.type == BRAID_EVENT_READABLE)
            receive(channels, now);
        else if (event.type == BRAID_EVENT_WRITABLE)
            user->writable(user->context);
        else if (event.type == BRAID_EVENT_STREAMS_RESET)
            receive_reset(channels, &event);
        else if (event.type == BRAID_EVENT_DOWN)
            user->ended(user->context);
    }
    catch_up(channels, now);
    while (braid_engine_transmit(channels->engine, &batch, now))
        user->packet(user->context, bytes, batch.length);
    return braid_engine_next_timeout(channels->engine);
}
