/* The answer to CHANNEL_STATUS: a memory file of records, for `braid ss`.
 *
 * Each record is a `struct status_record` and what its type says. An association's record follows
 * that of its socket, those of its paths follow it (RFC 9260, section 14, and RFC 3873 say what of
 * them is worth showing). Root and who started the stack see everything, others their own sockets.
 * Between one version of Braid and another nothing is promised: JSON of
 * `braid ss --json` is for others.
 */
#ifndef STACK_STATUS_H
#define STACK_STATUS_H

#include "braid/engine.h"
#include "channel/channel.h"
#include "link/link.h"
#include "socket/socket.h"

#define STATUS_ADDRESSES 64 /* of one socket that are told */

enum status_type {
    STATUS_STACK = 1,
    STATUS_LINK,
    STATUS_SOCKET,
    STATUS_ASSOCIATION,
    STATUS_PATH,
    STATUS_USER,
};

struct status_record {
    _Alignas(8) uint32_t type;
    uint32_t length; /* of the whole record */
};

struct status_stack {
    struct status_record record;
    char name[CHANNEL_NAME_MAXIMUM + 1];
    int32_t pid;
    uint32_t idle;            /* seconds, 0: it stays */
    uint64_t uptime;          /* microseconds */
    uint32_t sockets;         /* closed ones that still have associations included */
    uint32_t connections;     /* of programs that ask something */
    uint64_t local_packets;   /* delivered without a link */
    uint64_t no_link_packets; /* lost, since there is no link of that kind */
    uint64_t captured;
    struct braid_statistics engine;
};

struct status_link {
    struct status_record record;
    char name[8];
    uint16_t port;
    bool ipv4, ipv6;
    struct link_statistics statistics;
};

/* Who has how much of what he may have (socket/quota.h). */
struct status_user {
    struct status_record record;
    uid_t uid;
    uint32_t sockets, associations, connections;
    uint64_t memory;
    struct quota_limits limits; /* 0: none */
};

struct status_socket {
    struct status_record record;
    struct socket_description socket;
    uint32_t slot;    /* UINT32_MAX: no program holds it */
    uint32_t unread;  /* bytes of user messages that stand in the program's descriptor */
    uint32_t pending; /* messages that wait for room in the send buffer */
    uint32_t address_count;
    struct braid_address addresses[STATUS_ADDRESSES];
};

struct status_association {
    struct status_record record;
    int32_t identifier; /* sctp_assoc_t */
    struct braid_association_info info;
};

struct status_path {
    struct status_record record;
    struct braid_path_info info;
};

#endif
