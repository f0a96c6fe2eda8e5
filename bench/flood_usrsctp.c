/*
 * The benchmark over usrsctp, by its own interface and without the debug output that Debian's tsctp
 * spends its time with.
 */
#include "flood.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#define SCTP_DEBUG /* declares the function that switches it off */
#include <usrsctp.h>

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static struct socket *usrsctp_open(uint16_t udp_port, uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    struct socket *socket;
    int buffer = FLOOD_BUFFER;

    usrsctp_init(udp_port, NULL, NULL);
    usrsctp_sysctl_set_sctp_debug_on(0);
    usrsctp_sysctl_set_sctp_blackhole(2);
    socket = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    if (!socket || usrsctp_setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0 ||
        usrsctp_setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0 ||
        usrsctp_bind(socket, (struct sockaddr *)&address, sizeof(address)) < 0)
        flood_fail("usrsctp socket", errno);
    return socket;
}

static void usrsctp_flood_receive(struct flood *flood)
{
    struct socket *listener = usrsctp_open(flood->port, FLOOD_PORT);
    struct socket *socket;
    size_t have = 0;

    if (usrsctp_listen(listener, 1) < 0)
        flood_fail("usrsctp listen", errno);
    flood_ready(flood);
    socket = usrsctp_accept(listener, NULL, NULL);
    if (!socket)
        flood_fail("usrsctp accept", errno);
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_length = sizeof(from), info_length = 0;
        unsigned int info_type = 0;
        int flags = 0;
        ssize_t length = usrsctp_recvv(socket, flood->message + have, flood->size - have,
                                       (struct sockaddr *)&from, &from_length, NULL, &info_length,
                                       &info_type, &flags);

        if (length < 0)
            flood_fail("usrsctp receive", errno);
        if (length == 0)
            break;
        have += (size_t)length;
        if (!(flags & MSG_EOR) && have < flood->size)
            continue;
        flood_received(flood, flood->message, have);
        have = 0;
    }
    flood->last = flood_now(); /* closing takes a second */
    usrsctp_close(socket);
    usrsctp_close(listener);
}

static void usrsctp_flood_send(struct flood *flood)
{
    struct sockaddr_in address = loopback(FLOOD_PORT);
    struct sctp_udpencaps encapsulation = {.sue_address.ss_family = AF_INET,
                                           .sue_port = htons(flood->port)};
    struct socket *socket = usrsctp_open(flood->port + 1, 0);
    const void *message;

    if (usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &encapsulation,
                           sizeof(encapsulation)) < 0 ||
        usrsctp_connect(socket, (struct sockaddr *)&address, sizeof(address)) < 0)
        flood_fail("usrsctp connect", errno);
    while ((message = flood_next(flood))) {
        if (usrsctp_sendv(socket, message, flood->size, NULL, 0, NULL, 0, SCTP_SENDV_NOINFO, 0) !=
            (ssize_t)flood->size)
            flood_fail("usrsctp send", errno);
        flood_sent(flood);
    }
    usrsctp_close(socket);
    while (usrsctp_finish() != 0)
        ; /* its threads send what is queued */
}

const struct flood_stack flood_usrsctp = {"usrsctp", usrsctp_flood_receive, usrsctp_flood_send};
