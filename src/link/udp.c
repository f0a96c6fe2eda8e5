/*
 * The link over UDP: SCTP packets as the payload of UDP datagrams, to and from one port.
 *
 * RFC 6951: section 5.1 (architecture, port), section 5.5 (ICMP).
 */
#include <errno.h>
#include <string.h>

#include "link/sockaddr.h"
#include "link/socket.h"

enum { PORT_TRIES = 16 }; /* until one is found that is free for both families */

static int udp_port(int descriptor, uint16_t *port)
{
    union socket_address local = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t length = sizeof(local);

    if (getsockname(descriptor, &local.any, &length) < 0)
        return -errno;
    *port = socket_address_port(&local);
    return 0;
}

/* Opens both sockets on one port. A family that the host does not have is left out. */
static int udp_open(struct socket_link *self, const struct link_config *config)
{
    uint16_t family = config->address.family;
    bool ipv4 = !config->ipv6_only && family != BRAID_IPV6;
    bool ipv6 = !config->ipv4_only && family != BRAID_IPV4;
    uint16_t port = config->port;
    int error = -EAFNOSUPPORT;

    if (ipv4) {
        error = socket_link_open(self, BRAID_IPV4, SOCK_DGRAM, IPPROTO_UDP, port, config);
        if (error == 0)
            error = udp_port(self->sockets[0].descriptor, &port);
        if (error < 0 && error != -EAFNOSUPPORT)
            return error;
    }
    if (ipv6) {
        error = socket_link_open(self, BRAID_IPV6, SOCK_DGRAM, IPPROTO_UDP, port, config);
        if (error == 0)
            error = udp_port(self->sockets[1].descriptor, &port);
        if (error < 0 && error != -EAFNOSUPPORT)
            return error;
    }
    self->link.port = port;
    return self->link.ipv4 || self->link.ipv6 ? 0 : error;
}

int link_open_udp(struct link **link, const struct link_config *config)
{
    struct socket_link *self = socket_link_new("udp");
    int error = -ENOMEM;

    if (!self)
        return error;
    for (int tries = 0; tries < PORT_TRIES; tries++) {
        error = udp_open(self, config);
        if (error != -EADDRINUSE || config->port != 0)
            break;
        socket_link_shut(self);
    }
    if (error < 0) {
        link_close(&self->link);
        return error;
    }
    *link = &self->link;
    return 0;
}

const char *link_udp_error_text(int error)
{
    switch (error) {
    case -EADDRINUSE:
        return "the UDP port is in use, perhaps by another SCTP stack: end that, or choose another "
               "port (9899 is what peers expect)";
    case -EADDRNOTAVAIL:
        return "this host does not have that address";
    case -EACCES:
        return "UDP ports below 1024 need the capability CAP_NET_BIND_SERVICE: choose a higher one";
    case -EAFNOSUPPORT:
        return "this host has neither IPv4 nor IPv6, or not the one that was asked for";
    default:
        return strerror(-error);
    }
}
