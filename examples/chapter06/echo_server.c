/*
 * A first SCTP server: it sends every message back to the client that it came from.
 *
 *     echo_server PORT
 *
 * The socket is "one-to-one" (RFC 6458, section 4): SOCK_STREAM with IPPROTO_SCTP. Each accepted
 * descriptor is one association, as a TCP server has one descriptor for each connection. Two things
 * differ from TCP: what one send() was given arrives by one recv(), however long it took to get
 * here; and each message belongs to a stream, which the server keeps when it answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 64            /* at the same time */
#define MESSAGE_MAXIMUM 65536 /* bytes */

static void fail(const char *what)
{
    fprintf(stderr, "echo_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Opens a socket that waits for associations on all of the host's addresses, IPv4 and IPv6. */
static int open_listener(unsigned short port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
    int listener = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
    int yes = 1;

    if (listener < 0)
        fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(listener, 16) < 0)
        fail("listen");
    /* Ask to be told each message's stream. Accepted sockets inherit it. */
    if (setsockopt(listener, IPPROTO_SCTP, SCTP_RECVRCVINFO, &yes, sizeof(yes)) < 0)
        fail("SCTP_RECVRCVINFO");
    return listener;
}

static void print_peer(int client, const char *what)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned short port = 0;

    if (getpeername(client, (struct sockaddr *)&address, &length) == 0) {
        if (address.ss_family == AF_INET6) {
            const struct sockaddr_in6 *peer = (const struct sockaddr_in6 *)&address;

            inet_ntop(AF_INET6, &peer->sin6_addr, text, sizeof(text));
            port = ntohs(peer->sin6_port);
        } else {
            const struct sockaddr_in *peer = (const struct sockaddr_in *)&address;

            inet_ntop(AF_INET, &peer->sin_addr, text, sizeof(text));
            port = ntohs(peer->sin_port);
        }
    }
    printf("%s %s, port %u\n", what, text, port);
}

/* Receives one message, and the number of the stream that it came on. */
static ssize_t receive(int client, void *bytes, size_t size, struct sctp_rcvinfo *info)
{
    char control[CMSG_SPACE(sizeof(*info))];
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(client, &message, 0);

    memset(info, 0, sizeof(*info));
    for (struct cmsghdr *c = length > 0 ? CMSG_FIRSTHDR(&message) : NULL; c;
         c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO)
            memcpy(info, CMSG_DATA(c), sizeof(*info));
    }
    return length;
}

/* Sends one message on a stream. */
static ssize_t send_on(int client, const void *bytes, size_t length, unsigned short stream,
                       unsigned int protocol)
{
    struct sctp_sndinfo info = {.snd_sid = stream, .snd_ppid = protocol};
    char control[CMSG_SPACE(sizeof(info))] = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = SCTP_SNDINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    return sendmsg(client, &message, 0);
}

/* Sends one message back. 0 when the client has shut the association down, -1 if it was lost. */
static int echo(int client)
{
    static char bytes[MESSAGE_MAXIMUM];
    struct sctp_rcvinfo info;
    ssize_t length = receive(client, bytes, sizeof(bytes), &info);

    if (length <= 0)
        return (int)length;
    printf("%zd bytes on stream %u: %.*s\n", length, info.rcv_sid, (int)length, bytes);
    return send_on(client, bytes, (size_t)length, info.rcv_sid, info.rcv_ppid) < 0 ? -1 : 1;
}

int main(int argc, char **argv)
{
    struct pollfd watched[1 + CLIENTS];
    nfds_t count = 1;

    if (argc != 2 || atoi(argv[1]) <= 0 || atoi(argv[1]) > 65535) {
        fprintf(stderr, "usage: echo_server PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a lost client is an error of send(), not our end */
    setlinebuf(stdout);
    watched[0] =
        (struct pollfd){.fd = open_listener((unsigned short)atoi(argv[1])), .events = POLLIN};
    printf("waiting on port %s\n", argv[1]);
    for (;;) {
        if (poll(watched, count, -1) < 0)
            fail("poll");
        for (nfds_t i = count - 1; i > 0; i--) {
            int left = 1;

            if (watched[i].revents)
                left = echo(watched[i].fd);
            if (left < 0)
                printf("association lost: %s\n", strerror(errno));
            if (left == 0)
                printf("association shut down by the client\n");
            if (left <= 0) {
                close(watched[i].fd);
                watched[i] = watched[--count];
            }
        }
        if (watched[0].revents) {
            int client = accept(watched[0].fd, NULL, NULL);

            if (client < 0)
                fail("accept");
            print_peer(client, "association with");
            watched[count++] = (struct pollfd){.fd = client, .events = POLLIN};
        }
        /* With all places taken, further clients wait in the listener's queue. */
        watched[0].events = count < 1 + CLIENTS ? POLLIN : 0;
    }
}
