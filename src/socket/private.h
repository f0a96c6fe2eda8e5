/* What the files of the socket layer share: a socket, its associations, and the table of both.
 *
 * RFC 6458, section 3 (one-to-many), section 4 (one-to-one). The fields of a socket that an option
 * sets carry the option's name.
 */
#ifndef SOCKET_PRIVATE_H
#define SOCKET_PRIVATE_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <string.h>

#include "engine/list.h"
#include "socket/socket.h"

#define SOCKET_ASSOCIATIONS_MAXIMUM CHANNEL_SLOTS /* identifiers alive at once */
#define SOCKET_BUFFER_DEFAULT 212992u /* Linux's net.core.rmem_default and wmem_default */
#define SOCKET_RECEIVE_MINIMUM 2304u  /* Linux's SOCK_MIN_RCVBUF */
#define SOCKET_SEND_MINIMUM 4608u     /* Linux's SOCK_MIN_SNDBUF */
#define SOCKET_BOUND_MAXIMUM 64u      /* addresses of one socket */
#define SOCKET_CONNECT_MAXIMUM 64u    /* addresses of one connectx() */
#define SOCKET_KEPT_MAXIMUM 64u       /* options that are only kept */
#define SOCKET_EVENTS 14              /* types of notifications, SCTP_DATA_IO_EVENT first */

/* SCTP_PR_SCTP_TTL and so on are enum braid_policy, moved left. */
#define SOCKET_POLICY_SHIFT 4

/* A notification that waits for the reader (RFC 6458, section 6.1). */
struct socket_notification {
    struct list link;
    uint64_t after; /* it follows that many messages of its association */
    uint32_t length;
    uint8_t bytes[];
};

/* RFC 6458, 8.1.13 and 8.1.31: what a send without ancillary data means. */
struct socket_send_defaults {
    uint16_t stream, flags;
    uint32_t ppid, context, time_to_live;
};

/* RFC 6458, 8.1.12, those parts that the engine does not keep. */
struct socket_path_defaults {
    uint32_t flags; /* SPP_HB_ENABLE and so on */
    uint32_t hb_interval;
    uint32_t sack_delay;
};

/* SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, as Linux has it. */
enum { EXPOSE_UNSET, EXPOSE_DISABLED, EXPOSE_ENABLED };

struct socket_association {
    struct list link;  /* of the socket's associations */
    struct list ready; /* of the socket's associations with something to read */
    struct list held;  /* of those whose messages stand unread before the reader */
    uint32_t held_bytes;
    struct sctp_socket *socket;
    uint32_t engine;    /* the engine's name for it */
    int32_t identifier; /* the program's: sctp_assoc_t */
    uint16_t peer_port;
    bool incoming;
    bool up;                      /* COMM_UP was told */
    bool down;                    /* the engine has ended it; it is only read to the end */
    bool readable;                /* the engine may have messages */
    bool shutting;                /* shutdown was asked for, or the peer asks for it */
    struct braid_address primary; /* the peer's, for msg_name */
    struct list notifications;
    uint64_t messages_read;
    uint16_t subscribed; /* bit n: SCTP_SN_TYPE_BASE + n */
    uint16_t encapsulation_port;
    uint32_t receive_context;
    struct socket_send_defaults send;
    struct socket_path_defaults path;
    uint8_t expose_potentially_failed; /* EXPOSE_ENABLED and so on */
};

struct sctp_socket {
    struct list link;        /* of the table's sockets */
    struct list port_link;   /* of the sockets of one port */
    struct list accept_link; /* of the listener's sockets that socket_receive() has not yet given */
    struct list starved;     /* of the quota's starved */
    struct socket_table *table;
    void *user;

    int domain;
    enum socket_style style;
    enum socket_state state;
    struct quota *quota;
    bool closed;
    bool shut_read, shut_write; /* by shutdown(), whatever it said: Linux's sk_shutdown */
    bool disconnecting;         /* shutdown() of a listener failed: as on Linux it stays as it is */
    bool peer_shut;             /* one-to-one: the peer has ended its side */
    bool had_association;       /* one-to-one: it was connected once, */
    bool was_accepted;          /* or came of a listener */
    int error;                  /* SO_ERROR, positive */

    uint16_t port;                                    /* 0: not bound */
    struct braid_address bound[SOCKET_BOUND_MAXIMUM]; /* unspecified addresses mean any */
    size_t bound_count;
    struct braid_address name; /* getsockname(): bound last, or where packets come from since */
    bool reuse_address, reuse_port, sctp_reuse_port;
    uint32_t endpoint; /* the engine's; 0: not yet opened */

    uint32_t backlog, waiting;
    struct list accepted; /* listener: sockets for accept() */

    struct list associations, readable, held;
    uint32_t held_bytes;                /* the sum of its associations */
    uint32_t association_count;         /* those that are not down */
    struct socket_association *partial; /* a begun message stands before others (8.1.20) */

    /* getpeername(): the last peer of a one-to-one socket, or that connect() was called for. */
    struct braid_address peer;
    uint16_t peer_port;

    struct braid_parameters parameters; /* of future associations */
    struct braid_keys *keys;            /* theirs too (RFC 4895) */
    struct socket_send_defaults send;
    struct socket_path_defaults path;
    uint8_t expose_potentially_failed;
    uint32_t receive_context;
    uint16_t subscribed;
    uint16_t encapsulation_port;
    bool receive_rcvinfo, receive_nxtinfo;
    bool mapped_v4, v6only, fragment_interleave;
    bool linger;
    uint32_t linger_time;                 /* seconds */
    uint32_t receive_buffer, send_buffer; /* bytes as Linux tells them: twice what was asked for */
    uint32_t partial_delivery_point;
    uint32_t autoclose;
    uint32_t adaptation;
    int tos, traffic_class;              /* IP_TOS, IPV6_TCLASS */
    int mtu_discover, mtu_discover_ipv6; /* IP_MTU_DISCOVER, IPV6_MTU_DISCOVER */
    int time_to_live, hop_limit;         /* IP_TTL, IPV6_UNICAST_HOPS; -1: the host's */
    int16_t kept[SOCKET_KEPT_MAXIMUM];   /* by the table of options_kept.c */
    uint32_t port_range;                 /* IP_LOCAL_PORT_RANGE */
    int buffer_lock;                     /* SO_BUF_LOCK */
    int priority;                        /* SO_PRIORITY */
    uint32_t interface;                  /* SO_BINDTOIFINDEX; 0: any */
};

struct socket_table {
    struct braid_engine *engine;
    struct socket_table_config config;
    struct list sockets;
    uint32_t count;
    struct list quotas;      /* struct quota: of users that have something */
    struct list ports[1024]; /* bound sockets by port, hashed */
    struct socket_association *associations[SOCKET_ASSOCIATIONS_MAXIMUM]; /* by identifier */
    uint32_t association_count;
    int32_t next_identifier;
    struct braid_address *addresses; /* the host's */
    size_t address_count;
};

/* ---- Small questions ---- */

static inline bool socket_is_one_to_one(const struct sctp_socket *socket)
{
    return socket->style == SOCKET_ONE_TO_ONE;
}

static inline bool socket_is_one_to_many(const struct sctp_socket *socket)
{
    return socket->style == SOCKET_ONE_TO_MANY;
}

/* Linux's SHUTDOWN_MASK: both directions have ended, and by shutdown() the own one. */
static inline bool socket_is_hung_up(const struct sctp_socket *socket)
{
    return socket->shut_write && (socket->shut_read || socket->peer_shut);
}

static inline void socket_changed(struct sctp_socket *socket, unsigned int what)
{
    socket->table->config.callbacks.changed(socket->table->config.context, socket, what);
}

static inline bool socket_event_is_on(uint16_t subscribed, uint16_t type)
{
    return subscribed >> (type - SCTP_SN_TYPE_BASE) & 1;
}

/* ---- address.c ---- */

/* Reads a sockaddr that the program gave, as Linux checks one; IPv4-mapped becomes IPv4. `used`
 * (may be NULL) is how long a sockaddr of its family is. EINVAL. */
int address_from_user(const struct sctp_socket *socket, const void *bytes, size_t length,
                      struct braid_address *address, uint16_t *port, size_t *used);
/* As a program with this socket wants to see it (RFC 6458, 8.1.15). Returns the length. */
size_t address_to_user(const struct sctp_socket *socket, const struct braid_address *address,
                       uint16_t port, union channel_address *to);
/* The same into a sockaddr_storage field, which is cleared first. */
void address_to_storage(const struct sctp_socket *socket, const struct braid_address *address,
                        uint16_t port, void *storage);
/* Is it INADDR_ANY, in6addr_any, or no address at all? That stands for "all" in options. */
bool address_is_any(const void *storage);

/* ---- table.c ---- */

struct socket_association *socket_association_new(struct sctp_socket *socket, uint32_t engine);
/* Takes it out of everything, and gives its identifier in the engine back. */
void socket_association_free(struct socket_association *association, braid_time now);
/* Puts it under another socket: accept and peel-off. */
void socket_association_give(struct socket_association *association, struct sctp_socket *socket);
/* By the program's identifier; NULL also for those that are down. */
struct socket_association *socket_association_find(const struct socket_table *table,
                                                   int32_t identifier);
/* As Linux's sctp_id2assoc(): on one-to-one sockets the identifier does not matter. */
struct socket_association *socket_find_association(const struct sctp_socket *socket,
                                                   int32_t identifier);
struct socket_association *socket_find_peer(const struct sctp_socket *socket,
                                            const struct braid_address *peer, uint16_t port);
/* Tells the floor above what may be sent to it. */
void socket_association_publish(struct socket_association *association);
/* Those of the engine; NULL if it has given the association up. */
struct braid_parameters *
socket_association_parameters(const struct socket_association *association);

/* ---- socket.c ---- */

struct sctp_socket *socket_new(struct socket_table *table, struct quota *quota);
/* A socket like another, for accept and peel-off: same port, options, subscriptions; its endpoint
 * is open. NULL and `*error` on failure. */
struct sctp_socket *socket_clone(const struct sctp_socket *from, enum socket_style style,
                                 int *error);
void socket_free(struct sctp_socket *socket, braid_time now);
/* Frees a closed socket that has nothing more to do. */
void socket_free_if_done(struct sctp_socket *socket, braid_time now);
/* A new listener's child, or one that was accepted: how many more the engine may take. */
void socket_update_backlog(struct sctp_socket *socket);
/* After a change of socket->parameters: future associations of the endpoint have them too. */
void socket_apply_parameters(struct sctp_socket *socket);

/* ---- bind.c ---- */

/* Chooses a port and all addresses if the socket has none. EAGAIN: no port is left. */
int socket_autobind(struct sctp_socket *socket);
/* Opens the engine's endpoint if it is not yet open. */
int socket_open_endpoint(struct sctp_socket *socket);
/* As on Linux a socket has the name of the address from which it last talked to a primary path. */
void socket_learn_name(const struct socket_association *association);
bool socket_is_bound_to_any(const struct sctp_socket *socket);
/* SCTP_SOCKOPT_BINDX_ADD and _REM: packed sockaddrs. */
int socket_bind_change(struct sctp_socket *socket, const void *addresses, size_t length, bool add,
                       const struct socket_caller *caller, braid_time now);

/* ---- connect.c ---- */

/* Begins an association: 0 or the error. */
int socket_associate(struct sctp_socket *socket, const struct braid_address *addresses,
                     size_t count, uint16_t port, const struct sctp_initmsg *init,
                     const struct socket_caller *caller, braid_time now,
                     struct socket_association **association);
/* The peer takes the association away from a one-to-many socket into its own (9.2). */
int socket_peel_off(struct sctp_socket *socket, int32_t identifier, struct sctp_socket **peeled);

/* ---- receive.c ---- */

void socket_association_set_readable(struct socket_association *association);

/* ---- notification.c ---- */

/* Queues a notification if the association is subscribed to it. */
void notify_association_change(struct socket_association *association, uint16_t state,
                               uint16_t error, uint64_t after, const void *info, size_t length);
void notify_path_change(struct socket_association *association, const struct braid_event *event,
                        uint64_t after);
void notify_remote_error(struct socket_association *association, const struct braid_event *event,
                         uint64_t after);
void notify_send_failed(struct socket_association *association, const struct braid_event *event,
                        uint64_t after);
void notify_shutdown(struct socket_association *association, uint64_t after);
void notify_adaptation(struct socket_association *association, uint32_t indication, uint64_t after);
void notify_partial_delivery(struct socket_association *association,
                             const struct braid_event *event, uint64_t after);
void notify_authentication(struct socket_association *association, const struct braid_event *event,
                           uint64_t after);
void notify_streams_reset(struct socket_association *association, const struct braid_event *event,
                          uint64_t after);
void notify_association_reset(struct socket_association *association,
                              const struct braid_event *event, uint64_t after);
void notify_streams_added(struct socket_association *association, const struct braid_event *event,
                          uint64_t after);
void notify_dry(struct socket_association *association);

/* ---- event.c ---- */

void socket_event(struct socket_table *table, const struct braid_event *event, braid_time now);

#endif
