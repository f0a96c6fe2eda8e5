/*
 * Between struct braid_address and the socket addresses of Linux.
 *
 * RFC 9260 section 3.3.2.1 (addresses), RFC 3493 (struct sockaddr_in6).
 */
#ifndef LINK_SOCKADDR_H
#define LINK_SOCKADDR_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "braid/address.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* Fills a socket address, and returns its length; 0 if the address has no family. */
static inline socklen_t socket_address_set(union socket_address *to,
                                           const struct braid_address *from, uint16_t port)
{
    memset(to, 0, sizeof(*to));
    if (from->family == BRAID_IPV4) {
        to->ipv4.sin_family = AF_INET;
        to->ipv4.sin_port = htons(port);
        memcpy(&to->ipv4.sin_addr, from->bytes, 4);
        return sizeof(to->ipv4);
    }
    if (from->family == BRAID_IPV6) {
        to->ipv6.sin6_family = AF_INET6;
        to->ipv6.sin6_port = htons(port);
        to->ipv6.sin6_scope_id = from->scope;
        memcpy(&to->ipv6.sin6_addr, from->bytes, 16);
        return sizeof(to->ipv6);
    }
    return 0;
}

/* An IPv6 address with its scope, if it is one that needs it; IPv4-mapped becomes IPv4. */
static inline struct braid_address socket_address_ipv6(const void *bytes, uint32_t interface)
{
    struct braid_address address = braid_address_ipv6(bytes, 0);

    if (braid_address_is_link_local(&address))
        address.scope = interface;
    return braid_address_normalise(&address);
}

/* Family 0 if it is not an IP address. */
static inline struct braid_address socket_address_get(const union socket_address *from)
{
    if (from->any.sa_family == AF_INET)
        return braid_address_ipv4(&from->ipv4.sin_addr);
    if (from->any.sa_family == AF_INET6)
        return socket_address_ipv6(&from->ipv6.sin6_addr, from->ipv6.sin6_scope_id);
    return (struct braid_address){0};
}

static inline uint16_t socket_address_port(const union socket_address *from)
{
    return ntohs(from->any.sa_family == AF_INET6 ? from->ipv6.sin6_port : from->ipv4.sin_port);
}

#endif
