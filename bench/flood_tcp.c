/*
 * The benchmark over the kernel's TCP, with segments as large as the packets of the others.
 * Messages are gathered into large writes, so that TCP is measured and not the system call.
 */
#include "flood.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TCP_WRITE = 128 << 10 };

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static int tcp_socket(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    int segment = FLOOD_SEGMENT, buffer = FLOOD_BUFFER, yes = 1;

    if (descriptor < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)) < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        flood_fail("TCP socket", errno);
    return descriptor;
}

static void tcp_receive(struct flood *flood)
{
    struct sockaddr_in address = loopback(flood->port);
    int listener = tcp_socket();
    int descriptor;
    size_t capacity = flood->size > FLOOD_BUFFER / 4 ? flood->size : FLOOD_BUFFER / 4;
    uint8_t *buffer = malloc(capacity);
    size_t have = 0;

    if (!buffer)
        flood_fail("TCP", ENOMEM);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
        flood_fail("TCP listen", errno);
    flood_ready(flood);
    descriptor = accept(listener, NULL, NULL);
    if (descriptor < 0)
        flood_fail("TCP accept", errno);
    for (;;) {
        ssize_t length = read(descriptor, buffer + have, capacity - have);
        size_t at = 0;

        if (length < 0)
            flood_fail("TCP read", errno);
        if (length == 0)
            break;
        have += (size_t)length;
        for (; have - at >= flood->size; at += flood->size)
            flood_received(flood, buffer + at, flood->size);
        memmove(buffer, buffer + at, have -= at);
    }
    free(buffer);
    close(descriptor);
    close(listener);
}

static void tcp_write(int descriptor, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t part = write(descriptor, bytes, length);

        if (part <= 0)
            flood_fail("TCP write", errno);
        bytes += part;
        length -= (size_t)part;
    }
}

static void tcp_send(struct flood *flood)
{
    struct sockaddr_in address = loopback(flood->port);
    int descriptor = tcp_socket();
    uint8_t *buffer = malloc(TCP_WRITE + flood->size);
    size_t have = 0;
    const void *message;

    if (!buffer)
        flood_fail("TCP", ENOMEM);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
        flood_fail("TCP connect", errno);
    while ((message = flood_next(flood))) {
        memcpy(buffer + have, message, flood->size);
        have += flood->size;
        if (have >= TCP_WRITE) {
            tcp_write(descriptor, buffer, have);
            have = 0;
        }
        flood_sent(flood);
    }
    tcp_write(descriptor, buffer, have);
    free(buffer);
    close(descriptor);
}

const struct flood_stack flood_tcp = {"tcp", tcp_receive, tcp_send};
