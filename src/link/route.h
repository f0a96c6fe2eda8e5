/*
 * What the host knows about addresses: the source and MTU of a route, its own addresses, and when
 * they change.
 *
 * RFC 9260 section 6.4 (the source address of packets), section 7.3 (path MTU), RFC 6724 (which
 * source address the host prefers).
 */
#ifndef LINK_ROUTE_H
#define LINK_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/address.h"

/* A way to ask the routing table: a socket for each family, which sends nothing. */
struct routes {
    int descriptors[2];     /* IPv4, IPv6; -1: the host does not have the family */
    uint32_t interfaces[2]; /* what IP_UNICAST_IF and IPV6_UNICAST_IF say */
};

/* Opens the sockets. EAFNOSUPPORT if the host has neither family, EMFILE and the like. */
int routes_open(struct routes *routes);
void routes_close(struct routes *routes);

/*
 * The source address that the host would choose for packets to `destination` that leave by
 * `interface` (0: by any), and the MTU of an IP
 * packet on the way there, as far as the host knows it: that of the route, of the interface, or one
 * that it learned from ICMP. Either may be NULL. ENETUNREACH, EHOSTUNREACH, EACCES, EAFNOSUPPORT.
 */
int route_lookup(struct routes *routes, const struct braid_address *destination, uint32_t interface,
                 struct braid_address *source, uint32_t *mtu);

/*
 * The addresses of the host that may be used now: of interfaces that are up, and not tentative
 * (RFC 4862). Those of loopback are among them; link-local ones have their scope. Deprecated ones
 * come last. `*addresses` is to be freed. ENOMEM and those of sockets.
 */
int addresses_list(struct braid_address **addresses, size_t *count);

/* An interface that is enslaved to another device: packets that come in by it are those of a VRF.
 */
struct interface_master {
    uint32_t interface, master; /* indices */
};
/* All that there are. `*masters` is to be freed; NULL if there is none. */
int masters_list(struct interface_master **masters, size_t *count);

/*
 * A descriptor that is readable when addresses, interfaces, routes or rules of routing may have
 * changed; the caller closes it. Negative errno.
 */
int host_watch(void);
/* Reads what the descriptor has; true if it was anything, or if some was lost: then call
 * addresses_list() again, and look up routes anew. */
bool host_changed(int descriptor);

#endif
