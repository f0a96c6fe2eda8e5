/* SCTP sockets: RFC 6458 over the engine, without descriptors and without system calls.
 *
 * A socket here is what the kernel keeps behind a descriptor. The floor above (src/stack/) carries
 * calls of programs to these functions, hands the reader what socket_receive() gives, and is told
 * by `socket_callbacks` when something changed. Where RFC 6458 leaves room, Linux's behaviour
 * (net/sctp/socket.c) decides.
 *
 * Functions that can fail return a negative errno value: what the program's call would set. None
 * blocks: where a call of Linux waits, -EINPROGRESS or -EAGAIN is returned, and the outcome is told
 * by a callback.
 */
#ifndef SOCKET_SOCKET_H
#define SOCKET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "braid/engine.h"
#include "channel/channel.h"
#include "socket/quota.h"

struct socket_table; /* all sockets of one engine */
struct sctp_socket;

/* RFC 6458, sections 3 and 4. A peeled-off socket (9.2) is a one-to-many socket with exactly one
 * association, which behaves almost like a one-to-one socket. */
enum socket_style { SOCKET_ONE_TO_ONE, SOCKET_ONE_TO_MANY, SOCKET_PEELED_OFF };

/* The state of Linux's struct sock; one-to-many sockets know only CLOSED and LISTENING. */
enum socket_state { SOCKET_CLOSED, SOCKET_LISTENING, SOCKET_ESTABLISHED, SOCKET_CLOSING };

/* Who calls: decides who may bind what. */
struct socket_caller {
    uid_t uid;
    bool privileged; /* has CAP_NET_BIND_SERVICE */
};

enum socket_change {
    SOCKET_READABLE = 1, /* socket_receive() may have something */
    SOCKET_WRITABLE = 2, /* room again after an EAGAIN of socket_send(), or none */
    SOCKET_STATE = 4,    /* a field of socket_describe() changed */
};

struct socket_callbacks {
    /* `what`: enum socket_change. */
    void (*changed)(void *context, struct sctp_socket *socket, unsigned int what);
    /* An association that the socket began is up (error 0), or could not start. */
    void (*outcome)(void *context, struct sctp_socket *socket, int32_t association, int error);
    /* A closed socket has no association left and is freed when this returns. */
    void (*gone)(void *context, struct sctp_socket *socket);
    /* An identifier came or went, or what may be sent to it changed; `outbound_streams` and `state`
     * (enum channel_state) as in struct channel_association. socket is NULL when it went. */
    void (*association)(void *context, int32_t association, struct sctp_socket *socket,
                        uint32_t outbound_streams, uint32_t state);
};

struct socket_table_config {
    struct braid_engine *engine;
    void (*random)(void *context, void *bytes, size_t length);
    struct socket_callbacks callbacks;
    void *context;                      /* passed to all of these */
    uint16_t port_lowest, port_highest; /* ephemeral ports; 0: 32768 to 60999 */
    uint16_t privileged_below;          /* ports below it ask for a privileged caller */
    uint16_t encapsulation_port;        /* peers' UDP port for new associations; 0: over IP */
    bool asconf;         /* new sockets have AUTH, ASCONF and SCTP_AUTO_ASCONF on, as on Linux with
                            net.sctp.auth_enable, addip_enable and default_auto_asconf */
    bool authentication; /* new sockets have AUTH: net.sctp.auth_enable */
    bool interleaving;   /* SCTP_INTERLEAVING_SUPPORTED may be set: net.sctp.intl_enable */
    uint32_t maximum_sockets; /* 0: no limit */
    struct quota_limits user_limits;
    uint32_t receive_buffer_maximum,
        send_buffer_maximum; /* net.core.rmem_max, wmem_max; 0: 212992 */
};

/* NULL if there is no memory. */
struct socket_table *socket_table_new(const struct socket_table_config *config);
/* Frees all sockets without a word to anybody; the engine must still be there. */
void socket_table_free(struct socket_table *table);

/* The host's addresses: what may be bound, and what "any" means. Copied. */
int socket_table_set_addresses(struct socket_table *table, const struct braid_address *addresses,
                               size_t count);
/* Takes the engine's events. To be called after each call into the engine, and after each of the
 * functions below. */
void socket_table_run(struct socket_table *table, braid_time now);
/* Sockets, closed ones that still have associations included. */
uint32_t socket_table_count(const struct socket_table *table);
struct sctp_socket *socket_table_next(const struct socket_table *table,
                                      const struct sctp_socket *after);

/* ---- Life (socket.c) ---- */

/* domain: AF_INET or AF_INET6; type: SOCK_STREAM or SOCK_SEQPACKET; protocol: 0 or IPPROTO_SCTP.
 * EAFNOSUPPORT, ESOCKTNOSUPPORT, EPROTONOSUPPORT, ENFILE (all that there may be), EMFILE (all that
 * this user may have), ENOMEM. */
int socket_open(struct socket_table *table, int domain, int type, int protocol,
                const struct socket_caller *caller, struct sctp_socket **socket);

/* The program closed its last descriptor (RFC 6458, 3.1.5 and 4.1.6). `unread`: it left messages
 * unread, so the peers get an ABORT; else what was sent is delivered in the background. The socket
 * lives on until callbacks.gone(). */
void socket_close(struct sctp_socket *socket, bool unread, braid_time now);
/* Would socket_close() abort, whatever was read? That is what SO_LINGER with no time asks for. */
bool socket_aborts(const struct sctp_socket *socket);
/* True as long as a closed socket, or one about to be closed, has associations: SO_LINGER. */
bool socket_lingers(const struct sctp_socket *socket);
/* Milliseconds that close() has to wait: 0 if SO_LINGER is off or its time 0. */
uint32_t socket_linger_time(const struct sctp_socket *socket);

/* shutdown(): RFC 6458, 4.1.7. Linux's results: 0, ENOTCONN, EINVAL. */
int socket_shutdown(struct sctp_socket *socket, int how, braid_time now);

/* Its user's. */
struct quota *socket_quota(const struct sctp_socket *socket);
/* Nothing more can be taken for want of its user's memory: callbacks.changed() tells
 * SOCKET_WRITABLE when there is some. */
void socket_starve(struct sctp_socket *socket);
bool socket_is_starved(const struct sctp_socket *socket);

void *socket_user(const struct sctp_socket *socket);
void socket_set_user(struct sctp_socket *socket, void *user);

/* What the floor above publishes. */
struct socket_description {
    int domain;
    enum socket_style style;
    enum socket_state state;
    uint32_t channel_state;   /* enum channel_state */
    uint32_t receive_options; /* enum channel_receive_options */
    uint32_t message_maximum;
    uint32_t receive_buffer, send_buffer; /* as SO_RCVBUF, SO_SNDBUF tell them */
    uint32_t outbound_streams;            /* of the only association, else 0 */
    int32_t association;                  /* the only association, else 0 */
    uint32_t association_count;
    uint16_t port;
    bool closed;
    uid_t uid;
    uint32_t backlog; /* LISTENING: as listen() was told */
    uint32_t waiting; /* LISTENING: accepted by us, not yet by the program */
};
void socket_describe(const struct sctp_socket *socket, struct socket_description *description);
/* One-to-one: nothing will come to be read any more, and all that came was. Of what was peeled off
 * Linux tells this only if it failed; the rest is for notifications. */
bool socket_has_ended(const struct sctp_socket *socket);
/* What was peeled off has lost its association, and all that came was read. Linux shows no end, but
 * who waits in recv() waits no longer. */
bool socket_is_abandoned(const struct sctp_socket *socket);
/* The engine's identifiers of its associations: the first for after = 0; 0 at the end. */
uint32_t socket_next_association(const struct sctp_socket *socket, uint32_t after);
/* Addresses that it is bound to, at most `capacity`; returns how many there are. */
size_t socket_bound_addresses(const struct sctp_socket *socket, struct braid_address *addresses,
                              size_t capacity);

/* SO_ERROR, and what a failing recv() tells: a negative errno, once. */
int socket_take_error(struct sctp_socket *socket);

/* ---- Naming and connecting (bind.c, connect.c) ---- */

/* EINVAL, EADDRNOTAVAIL, EACCES, EADDRINUSE. */
int socket_bind(struct sctp_socket *socket, const void *address, size_t length,
                const struct socket_caller *caller);
int socket_listen(struct sctp_socket *socket, int backlog);
/* connect() and sctp_connectx(): one sockaddr or several, packed. -EINPROGRESS: begun, and
 * callbacks.outcome() follows. `association` may be NULL. */
int socket_connect(struct sctp_socket *socket, const void *addresses, size_t length,
                   const struct socket_caller *caller, braid_time now, int32_t *association);
int socket_getsockname(struct sctp_socket *socket, union channel_address *address, size_t *length);
int socket_getpeername(const struct sctp_socket *socket, union channel_address *address,
                       size_t *length);

/* ---- Sending (send.c) ---- */

/* One user message with what came in front of it: RFC 6458, 3.1.4, 5.3, 8.1. `more` are further
 * destinations (SCTP_DSTADDRV4, V6), packed sockaddrs. `association` (may be NULL) tells whose it
 * became, also with -EAGAIN: that one has no room.
 * EAGAIN, EINVAL, EMSGSIZE, EPIPE, ESHUTDOWN, EADDRNOTAVAIL, and those of socket_connect(). */
int socket_send(struct sctp_socket *socket, const struct channel_header *header, const void *bytes,
                size_t length, const void *more, size_t more_length,
                const struct socket_caller *caller, braid_time now, int32_t *association);
/* About how many bytes it would take now; without an association, as many as its buffer holds.
 * None: SOCKET_WRITABLE tells of some. */
uint32_t socket_send_room(const struct sctp_socket *socket);
/* True also if there is no such association. */
bool socket_association_is_up(const struct socket_table *table, int32_t association);
/* From the engine's name for an association to the program's; 0 if there is none. */
int32_t socket_association_identifier(const struct socket_table *table, uint32_t association);

/* ---- Receiving (receive.c) ---- */

struct socket_received {
    enum { SOCKET_MESSAGE, SOCKET_NOTIFICATION, SOCKET_ACCEPTED } kind;
    bool end_of_record;
    const uint8_t *bytes;
    uint32_t length;
    struct channel_info info; /* MESSAGE; for a notification its association only */
    union channel_address from;
    struct sctp_socket *accepted;  /* ACCEPTED */
    struct braid_received message; /* MESSAGE: the engine's */
    void *notification;            /* NOTIFICATION: to be freed */
    uint32_t owner;                /* MESSAGE: the engine's association */
};

/* The next thing for the reader; its bytes are valid until released. False if there is none. */
bool socket_receive(struct sctp_socket *socket, struct socket_received *received, braid_time now);
void socket_received_release(struct sctp_socket *socket, struct socket_received *received,
                             braid_time now);
/* The reader has so many bytes before it that were released here but not read: they close the
 * windows of those associations that they came from. True: one of these is small, so what is read
 * should be told at once. */
bool socket_hold(struct sctp_socket *socket, uint32_t bytes, braid_time now);
/* How many of the sockets that socket_receive() gave still wait for accept(). */
void socket_set_waiting(struct sctp_socket *socket, uint32_t waiting);
/* SIOCOUTQ: bytes sent and not acknowledged. ENOTCONN on a listener, as Linux. */
int socket_queue_size(const struct sctp_socket *socket);

/* ---- Options (options.c and others) ---- */

/* `value` holds what the caller's buffer held, `*length` its size; both are changed. A new socket
 * by peel-off is given in `*peeled` (else NULL). ENOPROTOOPT for what there is not. */
int socket_get_option(struct sctp_socket *socket, int level, int name, void *value, size_t *length,
                      const struct socket_caller *caller, braid_time now,
                      struct sctp_socket **peeled);
/* 0 or more: done. SCTP_SOCKOPT_CONNECTX gives the association in `*association`. */
int socket_set_option(struct sctp_socket *socket, int level, int name, const void *value,
                      size_t length, const struct socket_caller *caller, braid_time now,
                      int32_t *association);

#endif
