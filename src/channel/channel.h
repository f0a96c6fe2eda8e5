/* What a program (src/preload/) and the stack process (src/stack/) say to each other.
 *
 * It carries the calls of RFC 6458; which of them exist is decided by both ends, not here.
 *
 * A program's SCTP socket is a real descriptor: the "program end" of an AF_UNIX SOCK_SEQPACKET
 * connection whose "stack end" and whole state are in the stack process. Three ways lead across,
 * and for busy sockets a fourth, upwards: ring.h.
 *
 *   data      On the connection itself, one message a datagram, each with a `channel_header` in
 *             front. Upwards CHANNEL_SEND; downwards CHANNEL_MESSAGE and CHANNEL_ACCEPT. Nothing on
 *             this way is answered. Readable means that one of them waits, or the end; writable
 *             means that the stack still reads.
 *   control   Everything that wants an answer. The program opens a fresh connection to the stack's
 *             rendezvous, sends one `channel_request`, with the descriptor it is about in
 *             SCM_RIGHTS as the proof that it holds it, reads one `channel_reply`, closes. No
 *             descriptor of Braid stays open in the program but the sockets that it asked for.
 *             More requests may follow on the same connection, one after the other. The stack first
 *             takes what stands on the data way of that socket: a request never overtakes a send.
 *             A reply that needs waiting (connect, linger) comes later; who no longer wants it
 *             closes the connection, which takes nothing back.
 *   page      A memory file that each program maps read-only, in which the stack publishes what a
 *             sender must know at once: a `channel_slot` for each socket.
 *
 * Names. The rendezvous is the abstract address "\0braid/NAME", which belongs to the network
 * namespace as SCTP's ports do. The stack binds each program end to "\0braid/NAME/SLOT.GENERATION"
 * (both in hexadecimal) before it hands it out: so getsockname() on a descriptor tells that it is
 * ours and which slot is its own, in a child that was exec'ed as well as in a stranger to whom it
 * was passed. Both ends are made by the stack, and the program end is given by SCM_RIGHTS. A
 * generation is random, so that nobody can take such a name before the stack does.
 *
 * Trust. The stack knows who asks by SO_PEERCRED of the control connection, and what may be asked
 * of a socket by the descriptor that came along. A program talks only to a stack of root or of its
 * own user, which it knows by SO_PEERCRED too (channel_connect()). Each believes nothing else that
 * the other says.
 *
 * Ends. The stack ends its direction (shutdown(SHUT_WR)) when no more is to be read, after it
 * published why. A program that reads end of file asks CHANNEL_TAKE_ERROR; if nobody answers there,
 * the stack has died, and the error is ECONNRESET. A stack end that reads end of file was closed by
 * all its holders; ECONNRESET there means closed with messages unread.
 *
 * One-to-one sockets are born "plugged": CHANNEL_PLUG stands in front of the data way, sent by the
 * stack on the program end, which makes it not writable, as an unconnected socket of Linux is not.
 * The stack takes the plug away when the socket is connected, or when a connect that was not waited
 * for has failed. After a failed connect the socket is alive, and may connect again.
 *
 * Reading: CHANNEL_STATE_SHUT_READ is published before the end of file of a graceful end: recv()
 * answers 0. With CHANNEL_STATE_ENDED alone recv() answers the error that CHANNEL_TAKE_ERROR tells,
 * and once that is taken ENOTCONN. A recv() on a socket that is neither CONNECTED nor LISTENING nor
 * CONNECTING, with nothing to read, answers at once: ENOTCONN, or EAGAIN if it may not wait.
 *
 * After shutdown() of reading (CHANNEL_STATE_DEAF) what comes is still read, and who finds nothing
 * finds the end: recv() answers 0. So that nobody waits, the descriptor is never empty: with each
 * request about the socket, and who has read something makes one, it gets a CHANNEL_WAKE if it is.
 *
 * Both ends are on one machine: fields are in host byte order unless they are sockaddrs.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define CHANNEL_VERSION 3u
#define CHANNEL_NAME_PREFIX "braid/"
#define CHANNEL_NAME_MAXIMUM 64           /* bytes of NAME */
#define CHANNEL_ENVIRONMENT "BRAID_STACK" /* the variable that tells programs NAME */
/* Another: the options with which `braid run` starts a stack. Without it nobody else may. */
#define CHANNEL_START "BRAID_START"
#define CHANNEL_START_SEPARATOR "\x1f"
#define CHANNEL_START_MAXIMUM 8192

/* The largest datagram on the data way. A longer user message is sent in pieces, each but the last
 * with CHANNEL_MORE. It fits the least SO_SNDBUF that the stack gives a socket, and is what most
 * programs give recv() at the most. */
#define CHANNEL_PIECE_MAXIMUM 65536u

union channel_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* ---- Data ---- */

/* Who writes to a descriptor past the library (io_uring, a program that does not have it) sends no
 * header: the numbers are such that hardly any bytes are taken for one, see channel_is_send(). */
enum channel_type {
    CHANNEL_SEND = 0xf5c1, /* program to stack: a user message, or a piece */
    CHANNEL_PLUG,          /* either: nothing; fills the queue so that the end is not writable */
    CHANNEL_MESSAGE,       /* stack to program: a user message, a piece of one, or a notification */
    CHANNEL_ACCEPT,        /* stack to program: a new association; its socket is in SCM_RIGHTS */
    CHANNEL_WAKE,          /* stack to program: nothing; who waits is to look at the page again */
};

enum channel_flags {
    CHANNEL_MORE = 1,        /* SEND: the message goes on in the sender's next datagram; MESSAGE: it
                                goes on in the next one, which comes as soon as there is room */
    CHANNEL_HAS_INFO = 2,    /* SEND: stream, ppid and so on were given; else the defaults hold */
    CHANNEL_HAS_ADDRESS = 4, /* SEND: `addresses[0]` is where to (msg_name) */
    CHANNEL_HAS_INIT = 8,    /* SEND: `init` was given (SCTP_INIT, RFC 6458, 5.3.1) */
    CHANNEL_NOTIFICATION = 16,  /* MESSAGE: MSG_NOTIFICATION */
    CHANNEL_END_OF_RECORD = 32, /* MESSAGE: MSG_EOR */
    CHANNEL_HAS_NEXT = 64,      /* MESSAGE: `next` is given (SCTP_NXTINFO, RFC 6458, 5.3.6) */
    CHANNEL_HAS_PR = 128,      /* SEND: pr_policy, pr_value were given (SCTP_PRINFO, SCTP_SNDRCV) */
    CHANNEL_HAS_AUTH = 256,    /* SEND: auth_key was given (SCTP_AUTHINFO, 5.3.8) */
    CHANNEL_HOLD = 512,        /* SEND: MSG_MORE, the message may wait for the next one */
    CHANNEL_KNOWS_RING = 1024, /* SEND: the sender uses a ring if there is one: `ring_position` */
    CHANNEL_FLAGS = 2047,      /* all of them */
};

/* The fields of struct sctp_sndinfo / sctp_rcvinfo / sctp_nxtinfo (RFC 6458, 5.3.4 to 5.3.6). */
struct channel_info {
    uint16_t stream;
    uint16_t ssn;
    uint16_t flags; /* SCTP_UNORDERED, SCTP_EOF, SCTP_ABORT, ... of <netinet/sctp.h> */
    uint16_t reserved;
    uint32_t ppid; /* as the program gave it: network order by custom, never converted */
    uint32_t context;
    uint32_t tsn;
    uint32_t cumulative_tsn;
    int32_t association; /* sctp_assoc_t */
    uint32_t length;     /* NEXT: bytes of the next message */
};

/* The flags that a send may have (RFC 6458, 5.3.2, 5.3.4), by the names of <netinet/sctp.h>. */
#define CHANNEL_SEND_FLAGS                                                                         \
    (SCTP_UNORDERED | SCTP_ADDR_OVER | SCTP_SACK_IMMEDIATELY | SCTP_SENDALL | SCTP_PR_SCTP_MASK |  \
     SCTP_ABORT | SCTP_EOF)

struct channel_init { /* struct sctp_initmsg */
    uint16_t outbound_streams, inbound_streams, attempts, timeout;
};

/* In front of each datagram on the data way; the payload follows it. */
struct channel_header {
    uint16_t type;
    uint16_t address_count; /* SEND: more destinations follow the header as sockaddrs (sendv) */
    uint32_t flags;
    struct channel_info info;
    struct channel_info next;
    struct channel_init init;
    uint16_t pr_policy;
    uint16_t auth_key;
    uint32_t pr_value;
    uint32_t time_to_live; /* SEND: ms, of struct sctp_sndrcvinfo */
    uint32_t generation;   /* MESSAGE, ACCEPT: of the slot, by which a reader sees whose it is */
    uint64_t sender;       /* SEND of a piece: names the thread (of one namespace: its pid and tid),
                              so that pieces of two do not mix. 0: a whole message */
    union channel_address address; /* SEND: where to; MESSAGE, ACCEPT: from whom */
    uint32_t ring_position; /* SEND: what stands before it in the ring goes first (ring.h); 0: there
                               was no ring */
};

/* ---- Control ---- */

enum channel_operation {
    CHANNEL_OPEN = 1, /* argument: domain (AF_INET, AF_INET6), type (SOCK_STREAM,
                         SOCK_SEQPACKET, without flags), protocol. Reply: the program end,
                         blocking and close-on-exec: the program sets what it asked for */
    CHANNEL_HELLO,    /* no descriptor. Reply: the page's memory file; argument[0]: 1 if the stack
                         ends when nobody needs it, and may be started again */
    CHANNEL_BIND,     /* payload: sockaddr, as long as the program said */
    CHANNEL_LISTEN,   /* argument[0]: backlog */
    CHANNEL_CONNECT,  /* payload: sockaddr; argument[0]: 1 to wait for the outcome, else the
                         reply is -EINPROGRESS. reply.argument[0]: the sctp_assoc_t */
    CHANNEL_SHUTDOWN, /* argument[0]: how */
    CHANNEL_GETSOCKNAME, /* reply payload: sockaddr */
    CHANNEL_GETPEERNAME,
    CHANNEL_GETSOCKOPT,   /* argument: level, name, length of the caller's buffer; payload: what the
                             buffer held. Reply payload: the value; with a new socket in SCM_RIGHTS
                             for SCTP_SOCKOPT_PEELOFF and _FLAGS (the value's sd is the program's to
                             fill in). Not for SCTP_SOCKOPT_CONNECTX3, see SETSOCKOPT */
    CHANNEL_SETSOCKOPT,   /* argument: level, name, length; payload: the value; argument[3]: 1 to
                             wait (on a blocking socket). All of CONNECTX, CONNECTX_OLD, CONNECTX3:
                             as SCTP_SOCKOPT_CONNECTX, whose value is packed sockaddrs;
                             reply.argument[0] is the sctp_assoc_t, also with -EINPROGRESS */
    CHANNEL_TAKE_ERROR,   /* reply: [0] the pending error, an errno, or 0 */
    CHANNEL_QUEUE_SIZE,   /* argument[0]: SIOCOUTQ or SIOCINQ. Reply: result */
    CHANNEL_CLOSE_LINGER, /* SO_LINGER. First request, with the descriptor: reply.result is 1 if
                             there is something to wait for. Then the program closes its descriptor
                             and sends the request again without one: the reply comes when all is
                             done, or the time is over, or at once if others still hold the socket
                           */
    CHANNEL_STATUS,       /* no descriptor. Reply: a memory file of records, see stack/status.h */
    CHANNEL_STOP,         /* no descriptor. The stack ends (its own user or root only) */
    CHANNEL_SEND_NOW, /* payload: a channel_header and at most CHANNEL_PIECE_MAXIMUM bytes, a whole
                         message: as CHANNEL_SEND, for who cannot decide by the page alone whether
                         it may be sent: implicit setup, SCTP_EOF, SCTP_ABORT, SCTP_SENDALL.
                         Reply: 0 or errno; argument[0]: the sctp_assoc_t. argument[0] of the
                         request: 1 to wait until the association is up or down */
    CHANNEL_CAPTURE,  /* no descriptor (the stack's own user or root only). Reply: a SOCK_SEQPACKET
                         socket that all packets from now on are written to, see link/capture.h */
    CHANNEL_RING,     /* Reply: the memory file of the socket's ring, see ring.h */
};

/* Of SOL_SOCKET the stack answers SO_SNDBUF, SO_RCVBUF (and FORCE), SO_LINGER, SO_REUSEADDR,
 * SO_REUSEPORT, SO_ERROR, SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN; all others are the real
 * descriptor's. Of SOL_IP and SOL_IPV6 it answers all that SCTP has. */

struct channel_request {
    uint32_t version;
    uint32_t operation;
    int32_t argument[4];
    uint32_t length; /* of the payload that follows in the same datagram */
    uint32_t reserved;
};

struct channel_reply {
    int32_t result;  /* 0 or more: done; negative: errno */
    uint32_t length; /* of the payload that follows */
    uint32_t argument[2];
};

#define CHANNEL_CONTROL_MAXIMUM 131072u /* a request or reply with its payload */

/* ---- Page ---- */

enum channel_state {
    CHANNEL_STATE_CONNECTING = 1,
    CHANNEL_STATE_CONNECTED = 2, /* one-to-one: established; one-to-many: has associations */
    CHANNEL_STATE_LISTENING = 4,
    CHANNEL_STATE_SHUT_WRITE = 8, /* sending answers ESHUTDOWN, or EPIPE if not CONNECTED */
    CHANNEL_STATE_SHUT_READ = 16, /* reading answers 0 once the queue is empty, by either side */
    CHANNEL_STATE_ENDED = 32,     /* the association is over */
    CHANNEL_STATE_ONE_TO_MANY = 64,
    CHANNEL_STATE_IPV6 = 128,
    CHANNEL_STATE_ERROR = 256, /* an error waits for CHANNEL_TAKE_ERROR */
    CHANNEL_STATE_BOUND = 512,
    CHANNEL_STATE_EXPLICIT_EOR = 1024,
    CHANNEL_STATE_PEELED_OFF = 2048, /* a socket of one association that was peeled off */
    CHANNEL_STATE_RING = 4096,       /* it has a ring: CHANNEL_RING */
    CHANNEL_STATE_DEAF = 8192,       /* shutdown() of reading: see "Reading" */
    CHANNEL_STATE_HUNG_UP = 16384,   /* both directions: poll() says POLLHUP */
};

enum channel_receive_options {                             /* which ancillary data recvmsg() adds */
                               CHANNEL_RECEIVE_SNDRCV = 1, /* SCTP_SNDRCV (sctp_data_io_event) */
                               CHANNEL_RECEIVE_RCVINFO = 2,
                               CHANNEL_RECEIVE_NXTINFO = 4,
};

/* One socket, one cache line. Written by the stack alone. */
struct channel_slot {
    _Atomic uint32_t generation;       /* odd while the slot is in use */
    _Atomic uint32_t state;            /* enum channel_state */
    _Atomic uint32_t receive_options;  /* enum channel_receive_options */
    _Atomic uint32_t outbound_streams; /* one-to-one: of its association; 0: not known */
    _Atomic uint32_t message_maximum;  /* EMSGSIZE above this many bytes */
    _Atomic uint32_t association;      /* one-to-one: its sctp_assoc_t */
    uint32_t reserved[10];
};

#define CHANNEL_SLOTS 65536u
/* Associations of one-to-many sockets, by identifier modulo CHANNEL_SLOTS. */
struct channel_association {
    _Atomic uint32_t identifier; /* 0: none */
    _Atomic uint32_t slot;       /* of its socket */
    _Atomic uint32_t outbound_streams;
    _Atomic uint32_t state; /* enum channel_state */
};

struct channel_page {
    uint32_t version;
    uint32_t slots;
    int32_t stack_pid;
    uint32_t reserved[13];
    struct channel_slot slot[CHANNEL_SLOTS];
    struct channel_association association[CHANNEL_SLOTS];
};

/* ---- What both ends do alike (channel.c) ---- */

/* Fills `address` with the rendezvous of NAME; returns its length, or -ENAMETOOLONG. */
int channel_rendezvous(const char *name, struct sockaddr_un *address, socklen_t *length);

/* Fills `address` with the name of a program end. Returns like channel_rendezvous(). */
int channel_socket_name(const char *name, uint32_t slot, uint32_t generation,
                        struct sockaddr_un *address, socklen_t *length);

/* A new connection to the rendezvous of NAME, close-on-exec, or a negative errno: ECONNREFUSED if
 * no stack is there; EACCES if who took that name is neither root nor the caller's own user: any
 * user may take an abstract name, and what a program says here is what it sends to its peers. */
int channel_connect(const char *name);

/* The same without that check, for who only looks; the owner's user is given in `owner`. */
int channel_connect_to_any(const char *name, uid_t *owner);

/* Sends one datagram of two parts, and a descriptor if `descriptor` >= 0. Retries EINTR.
 * 0 or a negative errno. */
int channel_send(int connection, const void *head, size_t head_length, const void *body,
                 size_t body_length, int descriptor);

/* Receives one datagram of two parts, and a descriptor (or -1) if `descriptor` is not NULL; it is
 * close-on-exec. Returns the length, 0 at the end, or a negative errno: -EMSGSIZE if the datagram
 * was longer (it is gone then). */
ssize_t channel_receive(int connection, void *head, size_t head_length, void *body,
                        size_t body_length, int *descriptor);

/* Asks for an operation that is about no socket, and reads the reply; a descriptor that came with
 * it goes to `descriptor`, or -1. `connection` may be the error of channel_connect(), which is then
 * returned. 0, the stack's refusal, or another negative errno: -EPROTO if it does not understand.
 */
int channel_ask(int connection, uint32_t operation, struct channel_reply *reply, int *descriptor);

/* Closes a descriptor that came from somebody else, whatever it is: without waiting for what a TCP
 * socket with SO_LINGER still has to send. */
void channel_discard(int descriptor);

/* Takes what stands unread in a connection that is about to be closed, so that the kernel does not
 * close descriptors that came along, which may wait (see channel_discard()). */
void channel_drain(int connection);

/* The most descriptors that Linux lets one message carry (SCM_MAX_FD). */
#define CHANNEL_RIGHTS_MAXIMUM 253

/* The first descriptor that came with a message, -1 if none; any others are discarded. */
int channel_take_descriptor(struct msghdr *message);

/* Is it the beginning of a datagram that the library made? */
static inline bool channel_is_send(const struct channel_header *header)
{
    return header->type == CHANNEL_SEND && !(header->flags & ~(uint32_t)CHANNEL_FLAGS) &&
           header->info.reserved == 0 && header->next.reserved == 0;
}

/* Reads slot and generation out of the name of a program end; false if it is not one of NAME's. */
bool channel_name_parse(const struct sockaddr_un *address, socklen_t length, const char *name,
                        uint32_t *slot, uint32_t *generation);

#endif
