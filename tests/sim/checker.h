/*
 * The checker: knows what every user sent, and ends the program at the first thing that must not
 * be.
 *
 * What goes from one user to another through one association is a flow. Each message carries the
 * serial number of its flow and its own number in it, so that whoever reads it knows at once:
 *
 *   - whether it was sent to him, and is what was sent, byte for byte;
 *   - that it comes only once, and after those before it in its stream, of which none is left out
 *     that its sender did not permit to be abandoned;
 *   - that its Stream Sequence Number follows that before it, or begins anew as the reader is told
 *     (RFC 6525);
 *   - and at the end, that no message is lost without a word: each was read, or given back by
 *     BRAID_EVENT_SEND_FAILED; all were read if the association was shut down.
 *
 * An end is one side of an association, as its user sees it. Where either side lies (liar.h), what
 * is read may be anything, and messages may be lost; that none is given back twice, and that events
 * come in order, holds all the same.
 */
#ifndef SIM_CHECKER_H
#define SIM_CHECKER_H

#include "engine/world.h"

enum {
    MESSAGE_MAXIMUM = 200000,
    MESSAGE_HEADER = 24,
    STREAMS = 65536,
    PEER_UNKNOWN = WORLD_HOSTS, /* of an association that is down when one hears that it was up */
};

/* A message that its engine took. */
struct message {
    uint32_t length, ppid;
    uint32_t order;    /* among the ordered ones of its stream */
    uint32_t previous; /* its number + 1 of the one before it in its stream; 0: none */
    uint16_t stream;
    bool unordered, abandonable, received, failed, failed_unsent;
    bool received_here; /* by the end that reads now */
    bool forgotten;     /* not read when the receiver crashed */
};

/* Of a stream: how many ordered messages went in and came out, and the number + 1 of the last. */
struct stream {
    uint32_t sent, received, last;
    uint16_t next_ssn; /* that the reader expects, if none is left out */
};

struct end;

struct flow {
    struct flow *next;
    const struct end *reader; /* NULL: nothing of it came yet */
    uint32_t serial;
    unsigned int from, to; /* hosts */
    bool sender_crashed;   /* and forgot what it sent */
    bool leaves_out;       /* messages may be missing, and their numbers */
    bool receiver_crashed; /* and forgot what it had not read */
    bool ended;            /* its sender was told so, for this reason */
    enum braid_down_reason reason;
    struct message *messages;
    uint32_t count, capacity;
    struct stream *streams;
    uint32_t stream_count;
};

struct partial {
    struct partial *next;
    uint16_t stream, ssn;
    bool unordered;
    bool broken; /* another message began before it ended: an event will tell */
    size_t length, capacity;
    uint8_t *bytes;
};

struct end {
    struct end *next;
    struct host *host;
    uint32_t id;
    bool up, down, crashed;
    bool reader_stops;
    struct flow *out;
    struct flow *in;    /* the one of the last message that was read */
    unsigned int crash; /* which one: a number of the scenario's */
    unsigned int peer_host;
    unsigned int endpoint; /* the scenario's */
    uint16_t peer_port;
    unsigned int flows_begun, restarts; /* of the peer's */
    struct partial *partials; /* messages in partial delivery: with I-DATA several at a time */
    /* What the peer resets, by stream: how often the numbers may begin anew, for the reader was
     * told so; -1 if they did and he has to be told. */
    int16_t *resets;
    /* the scenario's */
    struct traffic {
        unsigned int total, sent; /* messages */
        uint32_t streams;
        double unordered, abandonable, large;
        bool shut_down, stuck; /* no more can be sent */
    } traffic;
};

struct checker {
    struct world *world;
    struct end *ends;
    struct flow *flows;
    uint32_t flow_count;
    unsigned int liars; /* hosts: a bit each */
    struct checker_counts {
        uint64_t associations, shut_down, aborted, lost, restarts;
        uint64_t messages_sent, messages_received, messages_failed;
        uint64_t pieces, interleaved, bytes_received, resets, association_resets, streams_added;
        uint64_t ecn_reductions, forward_tsns, without_checksum;
    } counts;
};

void checker_init(struct checker *checker, struct world *world);
void checker_free(struct checker *checker);

/* A new end of an association: begun by braid_connect(), or told of by BRAID_EVENT_UP. */
struct end *checker_end(struct checker *checker, struct host *host, uint32_t id, unsigned int peer);
/* The end of an association that is not down; NULL: there is none. */
struct end *checker_find(struct checker *checker, const struct host *host, uint32_t id);

/* One of the two hosts lies. */
bool checker_distrusts(const struct checker *checker, unsigned int host, unsigned int peer);

/* To be called for each event, before anything is done about it. */
void checker_event(struct checker *checker, struct host *host, const struct braid_event *event);

/* Sends a message of this length as `send` says, and notes it if the engine took it. */
int checker_send(struct checker *checker, struct end *end, struct braid_send *send, size_t length);
/* Reads up to so many messages and pieces. */
void checker_read(struct checker *checker, struct end *end, unsigned int maximum);

/* A host is about to forget everything, for the `crash`th time that any does. */
void checker_crash(struct checker *checker, const struct host *host, unsigned int crash);

/* All is over: nothing may be missing. */
void checker_finish(struct checker *checker);

#endif
