/*
 * A link: packets in and out of the machine. One interface for all kinds.
 *
 * RFC 9260 section 3 (packets over IP), RFC 6951 (over UDP), RFC 9260 section 10 (ICMP).
 *
 * A link carries SCTP packets and does not look into them. It takes what braid_engine_transmit()
 * built and gives what braid_engine_receive() and braid_engine_icmp() take:
 *
 *     count = link_receive(link, packets, capacity);   when a descriptor is readable
 *     while (link_receive_error(link, &error)) ...     when it says EPOLLERR, and now and then
 *     sent = link_send(link, &batch);                  for each batch
 *
 * No function blocks. A link may be used by one thread at a time. Errors are negative errno values.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/address.h"
#include "braid/engine.h"

struct capture;
struct link;

enum {
    LINK_UDP_PORT = 9899,    /* RFC 6951 section 5.1 */
    LINK_IP_PROTOCOL = 132,  /* IPPROTO_SCTP */
    LINK_SOCKET_MAXIMUM = 2, /* descriptors of a link: one for IPv4, one for IPv6 */
    LINK_PACKET_MAXIMUM = 65535,
};

/* An ICMP message about a packet that we sent: the arguments of braid_engine_icmp(). */
struct link_error {
    enum braid_icmp kind;
    uint32_t mtu; /* TOO_BIG: what the IP packet may have, 0 if it was not said */
    struct braid_address destination;
    const uint8_t *quoted; /* the SCTP packet, as far as it was quoted; the link's own memory */
    size_t length;
};

/* Counters since the link was opened. Bytes are those of SCTP packets, without IP and UDP headers.
 */
struct link_statistics {
    uint64_t packets_sent, bytes_sent;
    uint64_t packets_received, bytes_received;
    uint64_t send_calls, receive_calls; /* system calls that carried something */
    uint64_t send_full;                 /* sends cut short: the socket or the device was full */
    uint64_t send_too_big;              /* packets larger than the MTU, with Don't Fragment */
    uint64_t send_failed;               /* sends that failed otherwise: no route, address gone */
    uint64_t receive_dropped;           /* packets that the host dropped: receive buffer full */
    uint64_t receive_ignored;           /* empty or truncated packets */
    uint64_t errors;                    /* ICMP messages given by link_receive_error() */
};

/* What a kind of link can do. A link calls these through the functions below only. */
struct link_operations {
    int (*receive)(struct link *link, struct braid_packet *packets, size_t capacity);
    int (*send)(struct link *link, const struct braid_batch *batch);
    bool (*receive_error)(struct link *link, struct link_error *error);
    void (*close)(struct link *link);
    /* The source address of a batch that leaves it to the host. */
    bool (*source)(struct link *link, const struct braid_address *destination,
                   struct braid_address *source);
    uint64_t (*time)(struct link *link); /* for captures: nanoseconds since 1970 or since 0 */
};

/* The part that all links share; the first member of each. Fields are to be read only. */
struct link {
    const struct link_operations *operations;
    const char *name;                     /* "udp", "raw", "memory": the interface in a capture */
    uint16_t port;                        /* our UDP port; 0: packets go over IP */
    bool ipv4, ipv6;                      /* what it carries */
    int descriptors[LINK_SOCKET_MAXIMUM]; /* to poll; -1: none */
    struct link_statistics statistics;
    struct capture *capture; /* NULL: none */
};

/* How to open a link over UDP or IP. All zero is a good start, with `port` for UDP. */
struct link_config {
    uint16_t port;                /* UDP: the port to bind, 0: any. IP: not used */
    bool ipv4_only, ipv6_only;    /* leave the other family out */
    struct braid_address address; /* only this local address; family 0: all of the host */
    uint32_t socket_buffer;       /* bytes for each direction; 0: 8 MiB, if the host allows */
};

/*
 * Opens a link that carries SCTP in UDP (RFC 6951), over IPv4 and IPv6 as far as the host has them.
 * It needs no privilege. EADDRINUSE, EADDRNOTAVAIL, EACCES (a port below 1024), EAFNOSUPPORT.
 */
int link_open_udp(struct link **link, const struct link_config *config);

/*
 * Opens a link that carries SCTP in IP (protocol 132). EPERM: CAP_NET_RAW is missing. EBUSY: the
 * kernel's own SCTP is active and would answer the same packets. EAFNOSUPPORT.
 */
int link_open_raw(struct link **link, const struct link_config *config);

/* One line for the user: why link_open_udp() or link_open_raw() failed, and what to do. */
const char *link_udp_error_text(int error);
const char *link_raw_error_text(int error);

/* Closes the link and frees it. A capture stays open. NULL is allowed. */
void link_close(struct link *link);

/*
 * Gives packets that came, at most `capacity` (at least 1). 0 if there are none. When it gives
 * `capacity`, more may stand in the link's own memory, which no descriptor tells: call it again
 * before waiting. The bytes are the link's own, until the next call. IPv4-mapped addresses have
 * become IPv4; CRC32c was not looked at.
 * A negative errno says that the link is broken; ICMP errors are not reported here.
 */
int link_receive(struct link *link, struct braid_packet *packets, size_t capacity);

/*
 * Sends a batch, with as few system calls as the host allows. Returns how many packets went:
 * fewer than `batch->count` if it stopped in between, the rest is then in link_batch_rest().
 *
 * If none went:
 *  - EAGAIN: the socket is full: wait until it is writable, or drop the packets
 *  - ENOBUFS: the device dropped them
 *  - EMSGSIZE: the first packet is larger than the MTU and must not be fragmented. What to tell the
 *    engine stands ready in link_receive_error(), as if a router had said it
 *  - others (ENETUNREACH, EINVAL, a source that is not ours, EPERM by a firewall): they are lost
 * None is fatal: SCTP treats all of them as loss.
 */
int link_send(struct link *link, const struct braid_batch *batch);

/* What is left of a batch after `sent` of its packets; it points into the same bytes. */
struct braid_batch link_batch_rest(const struct braid_batch *batch, size_t sent);

/*
 * Cuts a batch into packets, as a receiver at its destination would see them; nothing is copied.
 * `port` is the sender's UDP port. Gives at most `capacity`, returns how many.
 */
size_t link_batch_packets(const struct braid_batch *batch, uint16_t port,
                          struct braid_packet *packets, size_t capacity);

/*
 * Gives the next ICMP message about our packets; false if there is none. What RFC 9260 section 10
 * tells to ignore is left out. The quoted bytes are valid until the next call.
 */
bool link_receive_error(struct link *link, struct link_error *error);

/*
 * Writes all packets of the link to a capture from now on, in the order seen; NULL: no more. The
 * capture must stay open as long.
 */
void link_set_capture(struct link *link, struct capture *capture);

#endif
