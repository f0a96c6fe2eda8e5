/*
 * What the links over UDP and over IP share: sending and receiving in batches through a socket for
 * IPv4 and one for IPv6, and the errors that come back by ICMP.
 *
 * RFC 6951 (UDP), RFC 9260 section 3 (IP), section 10 (ICMP), RFC 3168 (ECN).
 *
 * Two sockets rather than one for both families: an IPv6 socket cannot choose an IPv4 source
 * address per packet, nor set the Don't Fragment bit of IPv4.
 */
#ifndef LINK_SOCKET_H
#define LINK_SOCKET_H

#include "link/link.h"
#include "link/route.h"

enum {
    SOCKET_RECEIVE_MESSAGES = 32, /* datagrams that one system call receives at most */
    SOCKET_CONTROL_BYTES = 256,   /* room for all control messages of one message */
    SOCKET_QUOTE_MAXIMUM = 1280,  /* bytes of a packet that an ICMP message quotes at most */
};

/* The socket of one family. */
struct link_socket {
    int descriptor;              /* -1: not open */
    int discovery;               /* the value of IP_MTU_DISCOVER or IPV6_MTU_DISCOVER that is set */
    int priority, traffic_class; /* of SO_PRIORITY and IP_TOS that are set */
    bool segments;               /* UDP_SEGMENT can be used */
    uint32_t dropped; /* the host's count of packets that the receive buffer did not hold */
};

struct socket_received;

struct socket_link {
    struct link link;
    struct link_socket sockets[LINK_SOCKET_MAXIMUM]; /* IPv4, IPv6 */
    int guards[LINK_SOCKET_MAXIMUM];  /* raw: take every packet and keep none; -1: none */
    bool over_ip;                     /* raw: an IPv4 packet comes with its header */
    unsigned int turn;                /* the socket to receive from first: it had something */
    struct socket_received *received; /* what the last system call brought */
    struct routes routes;
    struct link_error local_error; /* a packet was too big for our own interface */
    bool local_error_waits;
    uint8_t quoted[SOCKET_QUOTE_MAXIMUM];
};

static inline struct socket_link *socket_link_of(struct link *link)
{
    return (struct socket_link *)link;
}

/* Makes a link without sockets; NULL if there is no memory. Freed by link_close(). */
struct socket_link *socket_link_new(const char *name);

/*
 * Opens one socket of the link and sets what all of them need. The link is closed by the caller if
 * this fails. `port` is 0 for IP.
 */
int socket_link_open(struct socket_link *self, enum braid_family family, int type, int protocol,
                     uint16_t port, const struct link_config *config);

/* Closes the sockets, to start again. */
void socket_link_shut(struct socket_link *self);

/* link_receive_error() of these links. */
bool socket_link_receive_error(struct link *link, struct link_error *error);
/* The first packet of a batch is too big for our own interface: reported as a router would. */
void socket_link_report_too_big(struct socket_link *self, const struct braid_batch *batch);

#endif
