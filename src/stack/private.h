/* What the files of the stack process share.
 *
 * src/channel/channel.h is the law of what is said to programs; RFC 6458 is behind it.
 */
#ifndef STACK_PRIVATE_H
#define STACK_PRIVATE_H

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "channel/channel.h"
#include "channel/ring.h"
#include "engine/list.h"
#include "link/capture.h"
#include "link/link.h"
#include "link/route.h"
#include "socket/socket.h"
#include "stack/stack.h"

enum {
    UPWARD_BATCH = 32,   /* datagrams that one system call reads, */
    DOWNWARD_BATCH = 32, /* and writes */
    UPWARD_STRIDE = CHANNEL_PIECE_MAXIMUM + 64,
    UPWARD_ASSEMBLIES = 1024,           /* of one socket: senders amid a long message */
    UPWARD_ASSEMBLIES_BYTES = 16 << 20, /* of one socket */
    UPWARD_PENDING = 1024,              /* of one socket: messages that were asked to be sent */
    WIRE_PACKETS = 64,
};

/* Descriptors that came along where none belong: they are discarded. */
union upward_rights {
    struct cmsghdr header;
    char space[CMSG_SPACE(CHANNEL_RIGHTS_MAXIMUM * sizeof(int))];
};

/* A descriptor that epoll watches; the first member of what it belongs to. */
struct watch {
    int descriptor; /* -1: closed; events that were already fetched mean nothing */
    uint32_t events;
    void (*ready)(struct stack *stack, struct watch *watch, uint32_t events);
};

/* A user message of a program that is not yet whole, or that the socket could not yet take. */
struct upward {
    struct list link;
    struct connection *connection; /* who waits for the result; NULL: nobody */
    struct channel_header header;
    bool too_long; /* the rest is skipped */
    size_t length, capacity;
    uint8_t *bytes;
};

/* A program's socket: the stack end of its connection, and what is under way there. */
struct stack_socket {
    struct watch watch;
    struct list link;           /* of stack->ends or stack->dead */
    struct list dirty;          /* of stack->dirty */
    struct sctp_socket *socket; /* NULL: gone */
    struct socket_caller caller;
    uint32_t changed; /* enum socket_change, to be seen to */
    uint32_t slot, generation;
    uint64_t cookie; /* SO_COOKIE of the program end: tells it from an impostor */

    /* upwards: upward.c */
    bool plugged;
    bool hung_up;           /* all programs have closed it, */
    bool left_unread;       /* with messages unread; */
    bool left;              /* and what they sent before was read */
    bool bypassed;          /* somebody wrote to it past the library */
    int shutdown;           /* `how` of a shutdown() that waits for messages before it; -1: none */
    size_t message_length;  /* of the last message: how much the next batch may bring */
    struct list assemblies; /* struct upward: pieces */
    size_t assembly_count, assembly_bytes;
    struct list pending; /* struct upward: whole, in order */
    size_t pending_count;
    bool no_room;        /* SOCKET_WRITABLE will tell of some */
    struct list waiters; /* struct connection */

    /* many small ones: busy.c */
    struct list busy;          /* of stack->busy, while the ring is awake */
    struct channel_ring *ring; /* NULL: none */
    int ring_descriptor;
    uint32_t ring_tail;   /* what was taken of it: its own field is not believed */
    uint32_t run;         /* small messages in a row, */
    braid_time run_start; /* since */

    /* downwards: downward.c */
    bool ended;                   /* no more is sent down */
    bool woken;                   /* CHANNEL_WAKE was sent */
    bool full;                    /* more than a quarter of `size` is unread, */
    bool watched;                 /* or less, but the peer's window is small */
    bool notifications_only;      /* what is unread, if anything, are notifications */
    uint32_t size;                /* SO_SNDBUF of the stack end, */
    uint32_t program_size;        /* and of the program's */
    uint32_t receive_buffer;      /* SO_RCVBUF, that `size` was made for */
    uint32_t weight;              /* what SIOCOUTQ said last, */
    uint32_t payload;             /* and the bytes of user messages in it, */
    uint32_t accept_weight;       /* of one CHANNEL_ACCEPT */
    struct socket_received *next; /* taken from the socket, not yet sent down: at most */
    unsigned int next_count;      /* DOWNWARD_BATCH, and NULL while there are none */
    size_t next_offset;           /* bytes of the first that were sent */
};

enum connection_wait {
    CONNECTION_IDLE,
    CONNECTION_ASSOCIATION, /* until `association` is up or down */
    CONNECTION_SEND,        /* until the message is taken: then, it may wait for the association */
    CONNECTION_LINGER,      /* until the socket is gone, or `deadline` */
};

/* A control connection. */
struct connection {
    struct watch watch;
    struct list link;   /* of the stack's connections, waiting, lingering or dead_connections */
    struct list waiter; /* of the socket's waiters */
    struct ucred peer;
    struct quota *quota; /* its user's */
    enum connection_wait wait;
    struct stack_socket *socket; /* that it waits for; the one that CLOSE_LINGER named */
    int32_t association;
    bool sent; /* the message was taken: what becomes of the association is no error of this */
    braid_time deadline;
};

/* The links, and delivery to ourselves: wire.c. */
struct wire {
    struct link *udp, *raw;
    struct watch watches[2][LINK_SOCKET_MAXIMUM];
    struct watch host_watch;
    braid_time host_pause_end, host_due; /* when the host may be looked at again, and is to be */
    struct routes routes;
    struct braid_address *addresses; /* the host's */
    size_t address_count;
    struct interface_master *masters; /* of interfaces that are enslaved */
    size_t master_count;
    uint16_t self_port; /* a UDP port that means ourselves besides our own; 0: none */
    struct capture *capture;
    struct braid_batch batch;
    struct braid_loan loan; /* of `batch` */
    struct link *blocked;   /* its socket is full: `rest` waits */
    struct braid_batch rest;
    uint64_t local_packets, no_link_packets;
    bool more; /* a link has more in its own memory */
};

struct stack {
    struct stack_config config;
    char name[CHANNEL_NAME_MAXIMUM + 1];
    braid_time now, started;
    int epoll;
    int log;     /* -1: standard error */
    uid_t owner; /* who started it */
    bool stop;
    bool settled; /* the last turn has done all that there was */
    bool gathering;
    int error; /* why it stops */
    struct braid_engine *engine;
    struct socket_table *sockets;
    struct wire wire;
    struct watch signals;

    struct watch rendezvous;
    bool rendezvous_paused;                      /* no descriptors are left, */
    braid_time rendezvous_pause_end;             /* and they are tried again then */
    struct list connections, waiting, lingering; /* struct connection: by enum connection_wait */
    struct list dead_connections;
    uint32_t connection_count, connections_maximum, sockets_maximum, ring_count;
    struct list ends, dead; /* struct stack_socket */
    struct list dirty;
    struct list busy; /* struct stack_socket whose rings are awake */
    braid_time idle_since;

    /* what programs have sent: in this turn, and in the current span of time (stack.c: gathering)
     */
    braid_time span_start;
    uint32_t turn_messages, turn_bytes, span_messages;

    struct channel_page *page;
    int page_descriptor;
    struct stack_socket **slot_ends; /* by slot */
    uint32_t *free_slots;            /* a ring: a slot rests as long as possible */
    uint32_t free_first, free_count;

    /* one batch of datagrams upwards */
    struct mmsghdr up_messages[UPWARD_BATCH];
    struct iovec up_parts[UPWARD_BATCH][2];
    struct channel_header up_headers[UPWARD_BATCH];
    union upward_rights up_rights[UPWARD_BATCH];
    uint8_t *up_bytes;
    /* one batch downwards */
    struct mmsghdr down_messages[DOWNWARD_BATCH];
    struct iovec down_parts[DOWNWARD_BATCH][2];
    struct channel_header down_headers[DOWNWARD_BATCH];
    uint8_t *request, *reply; /* CHANNEL_CONTROL_MAXIMUM each */
};

/* ---- stack.c ---- */

braid_time stack_clock(void);
void stack_random(void *context, void *bytes, size_t length);
void stack_log(struct stack *stack, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One turn of stack_run(), which may sleep so many milliseconds first. 0 or a negative errno. */
int stack_turn(struct stack *stack, int sleep);
/* The peers learn that it is over. */
void stack_abort_all(struct stack *stack);
/* Watches a descriptor. 0 or a negative errno. */
int stack_watch(struct stack *stack, struct watch *watch, int descriptor, uint32_t events);
void stack_watch_change(struct stack *stack, struct watch *watch, uint32_t events);
/* Closes the descriptor too. Harmless if it is closed. */
void stack_unwatch(struct stack *stack, struct watch *watch);

/* ---- wire.c ---- */

int wire_open(struct stack *stack, char *text, size_t size);
void wire_close(struct stack *stack);
int wire_read_addresses(struct stack *stack);
/* Reads them again if the host's addresses or routes have changed. */
void wire_follow_host(struct stack *stack);
/* Does so at once for a program that asks for an address that is not known: it may have come just
 * now. False: there is no news. */
bool wire_catch_up(struct stack *stack);
/* Packets go to `descriptor` too from now on, which is then the capture's (see capture_listen()).
 */
int wire_listen(struct stack *stack, int descriptor);
/* Writes what was captured in this turn. */
void wire_flush_capture(struct stack *stack);
bool wire_route(void *context, const struct braid_address *destination, uint32_t interface,
                struct braid_address *source, uint32_t *mtu);
/* Sends what is due. True if packets were delivered to ourselves: then there may be more to send,
 * after programs got what was in them, so that the acknowledgement tells of the room. */
bool wire_transmit(struct stack *stack);
void wire_receive(struct stack *stack, struct link *link);

/* ---- page.c: slots and ends ---- */

int page_open(struct stack *stack);
void page_close(struct stack *stack);
/* Publishes what a sender must know. */
void page_publish(struct stack *stack, struct stack_socket *end);
/* What was published last: enum channel_state. */
static inline uint32_t page_state(const struct stack *stack, const struct stack_socket *end)
{
    return atomic_load(&stack->page->slot[end->slot].state);
}
void page_publish_association(struct stack *stack, int32_t association,
                              const struct stack_socket *end, uint32_t outbound_streams,
                              uint32_t state);
/* Makes both ends for a socket, and gives the program's. 0, or a negative errno. */
int end_new(struct stack *stack, struct sctp_socket *socket, const struct socket_caller *caller,
            struct stack_socket **end, int *descriptor);
/* No program holds it any more, or they shall see it end. It lives on until its socket is gone. */
void end_leave(struct stack *stack, struct stack_socket *end);
void end_free(struct stack *stack, struct stack_socket *end);
/* The end that a descriptor from a program is of; NULL if it is none of ours. */
struct stack_socket *end_find(struct stack *stack, int descriptor);
/* Makes the program end not writable, until unplugged. */
void end_plug(struct stack_socket *end, int descriptor);
void end_unplug(struct stack *stack, struct stack_socket *end);
void end_set_events(struct stack *stack, struct stack_socket *end);
void end_set_dirty(struct stack *stack, struct stack_socket *end, unsigned int what);

/* ---- upward.c ---- */

/* Takes what programs have sent; `all`: everything that stood there when it was called. */
void upward_receive(struct stack *stack, struct stack_socket *end, bool all);
/* Messages wait for room: what stands there goes behind them, so that one more may follow. */
void upward_gather(struct stack *stack, struct stack_socket *end);
/* Tries those again that the socket had no room for, then what waited behind them. */
void upward_continue(struct stack *stack, struct stack_socket *end);
/* Does a message wait for room, or must all of the socket's user's? */
static inline bool upward_is_blocked(const struct stack_socket *end)
{
    return end->no_room || !list_is_empty(&end->pending) ||
           (end->socket && socket_is_starved(end->socket));
}
/* Puts a copy of a message behind those that wait. -ENOMEM. */
int upward_append(struct stack_socket *end, const struct channel_header *header, const void *bytes,
                  size_t length, struct connection *connection);
int upward_send(struct stack *stack, struct stack_socket *end, const struct channel_header *header,
                const void *bytes, size_t length, int32_t *association);
void upward_free(struct stack_socket *end);

/* ---- busy.c ---- */

/* A message came by the descriptor: another that makes the socket busy? */
void busy_count(struct stack *stack, struct stack_socket *end, const struct channel_header *header,
                size_t length);
/* Its ring is gone, for the stack. */
void busy_end(struct stack *stack, struct stack_socket *end);
/* Somebody sends: its ring is looked at in each turn again. */
void busy_wake(struct stack *stack, struct stack_socket *end);
/* Takes what is in the rings that are awake. */
void busy_serve(struct stack *stack);
/* Before the stack sleeps. False: it must not. */
bool busy_sleep(struct stack *stack);

/* ---- downward.c ---- */

/* Gives the program what its socket has, as much as may stand unread. */
void downward_send(struct stack *stack, struct stack_socket *end);
/* Peel-off (RFC 6458, 9.2): what the program has not read of an association goes over to its new
 * socket. `descriptor`: the program end of the old one. */
void downward_move(struct stack_socket *from, int descriptor, struct stack_socket *to,
                   int32_t association);
/* Bytes of user messages that stand unread in the program's descriptor. */
uint32_t downward_unread(struct stack_socket *end);
void downward_free(struct stack *stack, struct stack_socket *end);

/* ---- connection.c ---- */

int connections_open(struct stack *stack);
void connections_close(struct stack *stack);
void connection_close(struct stack *stack, struct connection *connection);
void connection_reply(struct stack *stack, struct connection *connection,
                      const struct channel_reply *reply, const void *payload, int descriptor);
void connection_reply_result(struct stack *stack, struct connection *connection, int result,
                             int32_t association);
void connection_set_wait(struct stack *stack, struct connection *connection,
                         struct stack_socket *end, enum connection_wait wait);
/* An association that the socket began is up or down. True if somebody waited for that. */
bool connections_outcome(struct stack *stack, struct stack_socket *end, int32_t association,
                         int error);
void connections_gone(struct stack *stack, struct stack_socket *end);
/* Answers those whose time is over; returns when the next one's is. */
braid_time connections_timeout(struct stack *stack);
void rendezvous_resume(struct stack *stack);

/* ---- request.c ---- */

void request_receive(struct stack *stack, struct connection *connection);

/* ---- status.c ---- */

/* Writes a memory file (status.h) with what this user may see. Returns its descriptor, or a
 * negative errno. */
int status_write(struct stack *stack, uid_t viewer);

#endif
