/*
 * What the test programs say to each other: bulk transfers whose every message is checked.
 *
 * sctp_transfer (Linux sockets: on a Linux kernel, or on Braid) and usrsctp_peer (usrsctp) share
 * this file's roles and command line, so that any one can talk to any other, in either role:
 *
 *   [options] echo-server PORT                        sends each message back, on its stream
 *   [options] server PORT                             takes a client's messages, or sends it some
 *   [options] echo HOST PORT BYTES SIZE STREAMS       client of echo-server
 *   [options] send HOST PORT BYTES SIZE STREAMS       client of server: sends to it
 *   [options] fetch HOST PORT BYTES SIZE STREAMS      client of server: has it send
 *
 * Every message but those under 16 bytes starts with a header (stream, number within the stream,
 * own length); what follows is generated from stream and number. The checksum of a transfer is the
 * sum over its messages of each one's 64-bit FNV-1a: both ends compute it, and the one that
 * received tells the other. So a byte changed, a message lost, doubled, cut or joined, an order
 * violated within a stream, and a wrong stream, payload protocol identifier or unordered flag are
 * each seen.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum transfer_mode { MODE_ECHO_SERVER, MODE_SERVER, MODE_ECHO, MODE_SEND, MODE_FETCH };

struct transfer_options {
    enum transfer_mode mode;
    const char *host; /* of a client */
    uint16_t port;
    uint64_t bytes;
    uint32_t size;
    uint16_t streams;
    bool ipv6;         /* -6: servers listen on IPv6 (and IPv4); clients go by the address given */
    bool one_to_many;  /* -m */
    bool plain;        /* -P: send() and recv() with no option, no stream, no ancillary data */
    bool unordered;    /* -u */
    bool no_delay;     /* -n */
    bool random_sizes; /* -r: from 16 bytes to SIZE */
    bool fork;         /* -f: a server handles each association in a process of its own */
    unsigned count;    /* -c: a server ends after so many associations; 0: never */
    uint16_t local_port;
    const char *local_addresses[8]; /* -b, more than once */
    unsigned local_address_count;
    int send_buffer, receive_buffer; /* -S, -R */
    uint16_t local_udp, remote_udp;  /* -L, -U: UDP encapsulation, of usrsctp only; 0: raw IP */
    unsigned window;                 /* -w: messages that echo keeps under way */
    bool dynamic_addresses;          /* -A: RFC 5061 */
    const char *hold;                /* -H: echo has no end before this file is gone */
    unsigned pause;    /* -i: microseconds between two messages, until something stands on stdin */
    bool impatient;    /* -T: RTO from 100 ms to 2 s, Path.Max.Retrans 2, Association.Max.Retrans 8,
                          HB.interval 500 ms */
    bool interleaving; /* -I: I-DATA, streams in turns (RFC 8260) */
    unsigned flap;     /* -y: a client makes another path the primary, so often (ms) */
};

/* One message, or a piece of one, as it was received. */
struct received {
    bool complete;        /* the end of the message is here */
    bool notification;    /* not a message at all */
    bool ended;           /* that association has ended */
    bool has_information; /* the next four are there */
    uint16_t stream;
    uint32_t payload_protocol;
    bool unordered;
    uint32_t association; /* 0 on a one-to-one socket */
};

/* A socket of whichever stack, open and, but for a one-to-many server, associated. */
struct channel {
    /* Each returns what its libc namesake does, with errno. */
    ssize_t (*send)(struct channel *channel, uint32_t association, const void *bytes, size_t length,
                    uint16_t stream, uint32_t payload_protocol, bool unordered);
    ssize_t (*receive)(struct channel *channel, void *bytes, size_t size,
                       struct received *received);
    int descriptor;        /* of sctp_transfer */
    struct socket *socket; /* of usrsctp_peer */
    const struct transfer_options *options;
    struct sockaddr_storage peer; /* a one-to-many client names it with each message */
    socklen_t peer_length;
};

/* What -T asks for. */
enum {
    IMPATIENT_RTO_MIN = 100,
    IMPATIENT_RTO_MAX = 2000,
    IMPATIENT_PATH_RETRANS = 2,
    IMPATIENT_ASSOCIATION_RETRANS = 8,
    IMPATIENT_HEARTBEAT = 500,
};

/* Reads the command line; prints how it goes and exits with 2 if it is wrong. */
void transfer_read_options(struct transfer_options *options, int count, char **arguments);

/* Parses a numeric address; exits with 2 if it is none. */
socklen_t transfer_address(const char *text, uint16_t port, struct sockaddr_storage *address);
/* As text, "[::1]:9". */
const char *transfer_address_text(const struct sockaddr *address);

/* Each plays its role to the end, says what happened on stdout, and returns true if all was well.
 */
bool transfer_client(struct channel *channel);
bool transfer_serve(struct channel *channel);

/* Says what failed and errno's text, and exits with 1. */
__attribute__((noreturn)) void transfer_fail(const char *what);

#endif
