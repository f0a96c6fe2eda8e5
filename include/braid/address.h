/*
 * An IP address of an endpoint, and the questions that the protocol asks of one.
 *
 * RFC 9260 section 3.3.2.1 (IPv4 and IPv6 Address parameters), section 11.1 (what may not be a
 * transport address), and the IANA special-purpose address registries (RFC 6890).
 */
#ifndef BRAID_ADDRESS_H
#define BRAID_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum braid_family {
    BRAID_UNSPECIFIED = 0,
    BRAID_IPV4 = 4,
    BRAID_IPV6 = 6,
};

/* An address without a port: all addresses of an endpoint share one. It has no padding bytes. */
struct braid_address {
    uint16_t family;   /* enum braid_family */
    uint16_t reserved; /* zero */
    uint32_t scope;    /* interface index of a link-local address, else 0 */
    uint8_t bytes[16]; /* network order; IPv4 stands in the first four, the rest is zero */
};

#ifdef __cplusplus
static_assert(sizeof(struct braid_address) == 24, "struct braid_address has padding");
extern "C" {
#else
_Static_assert(sizeof(struct braid_address) == 24, "struct braid_address has padding");
#endif

/* An IPv4 address from its four bytes in network order. */
static inline struct braid_address braid_address_ipv4(const void *bytes)
{
    struct braid_address address = {BRAID_IPV4, 0, 0, {0}};

    memcpy(address.bytes, bytes, 4);
    return address;
}

/* An IPv6 address from its sixteen bytes; scope is the interface index of a link-local one. */
static inline struct braid_address braid_address_ipv6(const void *bytes, uint32_t scope)
{
    struct braid_address address = {BRAID_IPV6, 0, scope, {0}};

    memcpy(address.bytes, bytes, 16);
    return address;
}

/* How many of the bytes count: 4, 16, or 0 without a family. */
static inline unsigned int braid_address_length(const struct braid_address *address)
{
    return address->family == BRAID_IPV4 ? 4 : address->family == BRAID_IPV6 ? 16 : 0;
}

/* The same address on the same link. */
static inline bool braid_address_equal(const struct braid_address *a, const struct braid_address *b)
{
    return a->family == b->family && a->scope == b->scope &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* ::ffff:a.b.c.d, an IPv4 address in the clothes of an IPv6 one (RFC 4291 section 2.5.5.2). */
static inline bool braid_address_is_ipv4_mapped(const struct braid_address *address)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return address->family == BRAID_IPV6 && memcmp(address->bytes, prefix, sizeof(prefix)) == 0;
}

/* The one way to write an address down: IPv4-mapped IPv6 becomes IPv4, the rest stays. */
static inline struct braid_address braid_address_normalise(const struct braid_address *address)
{
    return braid_address_is_ipv4_mapped(address) ? braid_address_ipv4(address->bytes + 12)
                                                 : *address;
}

/* 0.0.0.0 or ::, "any address". */
static inline bool braid_address_is_unspecified(const struct braid_address *address)
{
    static const uint8_t zero[16] = {0};

    return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

/* 127.0.0.0/8 or ::1. */
static inline bool braid_address_is_loopback(const struct braid_address *address)
{
    static const uint8_t loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

    if (address->family == BRAID_IPV4)
        return address->bytes[0] == 127;
    return address->family == BRAID_IPV6 && memcmp(address->bytes, loopback, sizeof(loopback)) == 0;
}

/* 169.254.0.0/16 or fe80::/10. */
static inline bool braid_address_is_link_local(const struct braid_address *address)
{
    if (address->family == BRAID_IPV4)
        return address->bytes[0] == 169 && address->bytes[1] == 254;
    return address->family == BRAID_IPV6 && address->bytes[0] == 0xfe &&
           (address->bytes[1] & 0xc0) == 0x80;
}

/* The private networks of RFC 1918, or the unique local addresses fc00::/7. */
static inline bool braid_address_is_private(const struct braid_address *address)
{
    const uint8_t *bytes = address->bytes;

    if (address->family == BRAID_IPV4)
        return bytes[0] == 10 || (bytes[0] == 172 && (bytes[1] & 0xf0) == 16) ||
               (bytes[0] == 192 && bytes[1] == 168);
    return address->family == BRAID_IPV6 && (bytes[0] & 0xfe) == 0xfc;
}

/* 224.0.0.0/4 or ff00::/8. */
static inline bool braid_address_is_multicast(const struct braid_address *address)
{
    if (address->family == BRAID_IPV4)
        return (address->bytes[0] & 0xf0) == 0xe0;
    return address->family == BRAID_IPV6 && address->bytes[0] == 0xff;
}

/* 255.255.255.255. A network's own broadcast address cannot be told from the address alone. */
static inline bool braid_address_is_broadcast(const struct braid_address *address)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};

    return address->family == BRAID_IPV4 &&
           memcmp(address->bytes, broadcast, sizeof(broadcast)) == 0;
}

/* May the address be that of one endpoint: a family, and neither any, nor many. */
static inline bool braid_address_is_unicast(const struct braid_address *address)
{
    return braid_address_length(address) != 0 && !braid_address_is_unspecified(address) &&
           !braid_address_is_multicast(address) && !braid_address_is_broadcast(address);
}

/*
 * How far an address reaches: an address is told to a peer only when the peer's own address
 * reaches no further (a loopback address means nothing on another machine).
 */
enum braid_reach {
    BRAID_REACH_LOOPBACK,
    BRAID_REACH_LINK,
    BRAID_REACH_PRIVATE,
    BRAID_REACH_GLOBAL,
};

static inline enum braid_reach braid_address_reach(const struct braid_address *address)
{
    if (braid_address_is_loopback(address))
        return BRAID_REACH_LOOPBACK;
    if (braid_address_is_link_local(address))
        return BRAID_REACH_LINK;
    if (braid_address_is_private(address))
        return BRAID_REACH_PRIVATE;
    return BRAID_REACH_GLOBAL;
}

#ifdef __cplusplus
}
#endif
#endif
