/* Two peers with data channels between them. What they have for DTLS here is a pair of datagram
 * sockets, which do no damage either; each peer is as it would be in a process of its own. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"

enum { PACKET_SIZE = 1200, FILE_SIZE = 4 << 20, BLOCK = 16384 };

struct peer {
    const char *name;
    struct channels *channels;
    int pipe;
    int file; /* the channel of the transfer */
    size_t sent, received;
    bool ended;
};

static braid_time now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (braid_time)time.tv_sec * 1000000 + (braid_time)time.tv_nsec / 1000;
}

static void check(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-result));
        exit(1);
    }
}

/* What a full pipe drops is lost, as on any network. */
static void packet(void *context, const void *bytes, size_t length)
{
    struct peer *peer = context;

    (void)!send(peer->pipe, bytes, length, MSG_DONTWAIT);
}

/* As much as there is room for; writable() goes on. */
static void send_file(struct peer *peer)
{
    static const uint8_t block[BLOCK];
    int result = 0;

    while (peer->sent < FILE_SIZE && result == 0) {
        result = channel_send(peer->channels, (uint16_t)peer->file, false, block, BLOCK, now());
        peer->sent += result == 0 ? BLOCK : 0;
    }
    if (peer->sent == FILE_SIZE)
        channel_close(peer->channels, (uint16_t)peer->file);
}

static void opened(void *context, uint16_t channel, const struct channel_config *config)
{
    struct peer *peer = context;

    printf("%s: channel %u is '%s'%s%s\n", peer->name, channel, config->label,
           config->unordered ? ", unordered" : "", config->policy ? ", partially reliable" : "");
    if (channel == peer->file)
        send_file(peer);
}

static void message(void *context, uint16_t channel, bool text, const void *bytes, size_t length)
{
    struct peer *peer = context;

    if (!text) {
        peer->received += length;
        return;
    }
    printf("%s: channel %u says '%.*s'\n", peer->name, channel, (int)length, (const char *)bytes);
    if (memcmp(bytes, "ping", length) == 0)
        check(channel_send(peer->channels, channel, true, "pong", 4, now()), "pong");
    else
        channel_close(peer->channels, channel);
}

static void writable(void *context)
{
    send_file(context);
}

static void closed(void *context, uint16_t channel)
{
    struct peer *peer = context;

    printf("%s: channel %u is closed\n", peer->name, channel);
    if (peer->received == FILE_SIZE)
        peer->ended = true;
}

static void ended(void *context)
{
    struct peer *peer = context;

    printf("%s: the association has ended\n", peer->name);
    exit(1);
}

int main(void)
{
    struct peer peers[2] = {{.name = "left", .file = -1}, {.name = "right", .file = -1}};
    struct channel_config chat = {.label = "chat"};
    struct channel_config file = {.label = "file", .unordered = true};
    int pipes[2], result;

    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pipes) < 0)
        return 1;
    for (int i = 0; i < 2; i++) {
        struct channels_user user = {packet, opened, message, writable, closed, ended, &peers[i]};

        peers[i].pipe = pipes[i];
        peers[i].channels = channels_new(&user, i == 0, PACKET_SIZE, now());
        check(peers[i].channels ? 0 : -ENOMEM, "channels");
    }
    result = channel_open(peers[0].channels, &chat, now());
    check(result, "chat");
    check(channel_send(peers[0].channels, (uint16_t)result, true, "ping", 4, now()), "ping");
    peers[1].file = channel_open(peers[1].channels, &file, now());
    check(peers[1].file, "file");

    for (;;) {
        struct pollfd polled[2] = {{pipes[0], POLLIN, 0}, {pipes[1], POLLIN, 0}};
        braid_time next = BRAID_TIME_NEVER;

        for (int i = 0; i < 2; i++) {
            braid_time due = channels_work(peers[i].channels, now());

            next = due < next ? due : next;
        }
        if (peers[0].ended)
            break;
        poll(polled, 2, next > now() ? (int)((next - now()) / 1000 + 1) : 0);
        for (int i = 0; i < 2; i++) {
            uint8_t bytes[PACKET_SIZE];
            ssize_t length;

            while ((length = recv(pipes[i], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
                channels_packet(peers[i].channels, bytes, (size_t)length, now());
        }
    }
    for (int i = 0; i < 2; i++) {
        channels_free(peers[i].channels);
        close(pipes[i]);
    }
    printf("%zu bytes came\n", peers[0].received);
    return 0;
}
