/*
 * Sending data: messages, outstanding TSNs, and what the peer says of them.
 *
 * RFC 9260, sections 6.1, 6.2.1, 6.3.3, 6.9, 7.2.4; RFC 3758 and RFC 7496 (messages that are given
 * up); RFC 8260, section 3 (schedulers).
 */
#ifndef ENGINE_SENDER_H
#define ENGINE_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "braid/engine.h"
#include "packet/chunks.h"

struct schedule;
struct sctp_association;
struct sctp_path;
struct shared_key;

#define OUTSTANDING_MAXIMUM 65535u /* gap ack blocks reach no further (RFC 9260, 3.3.4) */

/* A user message on its way out. Its fragments point into it. */
struct sent_message {
    struct sent_message *next; /* in the queue of those not yet wholly sent */
    struct shared_key *key;    /* RFC 4895; NULL: the active one */
    uint32_t length;
    uint32_t begun;     /* bytes that were given a TSN */
    uint32_t fragments; /* chunks that have them */
    uint32_t mid;       /* RFC 8260 */
    uint16_t ssn;
    bool small; /* fits one chunk: may wait for company (Nagle) */
    struct braid_send send;
    braid_time expires; /* not begun after this; BRAID_TIME_NEVER */
    uint8_t bytes[];
};

/* An outstanding DATA chunk: the entry of its TSN in the ring. */
struct outstanding {
    struct sent_message *message; /* NULL: abandoned */
    union {
        uint32_t offset;
        uint16_t stream; /* abandoned */
    };
    union {
        uint32_t fsn;    /* RFC 8260 */
        uint32_t number; /* abandoned: its message's SSN or MID */
    };
    uint16_t length;
    uint16_t transmissions; /* at most UINT16_MAX */
    uint8_t flags;          /* B, E, U, I */
    uint8_t path;           /* it was sent over, or is to be retransmitted over */
    bool acknowledged : 1;  /* by a gap ack block, or abandoned */
    bool abandoned : 1;
    bool retransmit : 1; /* marked for retransmission */
    bool fast : 1;       /* was fast retransmitted: not again (7.2.4) */
    bool leads : 1;      /* the first DATA chunk of its packet */
    bool moved : 1;      /* it had been sent over another path before */
    uint8_t misses;      /* miss indications */
};

/* What the last SACK acknowledged beyond its Cumulative TSN Ack, in ascending order. */
struct gaps {
    struct sctp_gap_ack_block *runs; /* the lower halves of TSNs */
    uint32_t begin, end, capacity;
};

struct sctp_sender {
    struct sent_message *first, *last;     /* not yet wholly sent, in the order they will be */
    struct sent_message *held, *held_last; /* whose streams wait for the peer (RFC 6525, 5.1) */
    struct schedule *schedule;             /* the others, by stream; NULL: there are no others */
    uint32_t pending_bytes;                /* their bytes without a TSN */
    uint32_t pending_messages;
    uint32_t queued_bytes; /* taken from the user and not yet acknowledged */
    bool told_full;        /* EAGAIN was answered: tell when there is room */
    bool more;             /* BRAID_SEND_MORE of the last message */

    struct outstanding *ring;    /* TSN modulo capacity */
    uint32_t capacity;           /* a power of two; 0: none yet */
    uint32_t cumulative_tsn_ack; /* the Cumulative TSN Ack Point */
    uint32_t next_tsn;
    uint32_t outstanding_chunks; /* sent, neither acknowledged nor marked for retransmission */
    uint32_t outstanding_bytes;  /* of user data */
    struct gaps gaps;
    uint32_t first_missed; /* no TSN before it is given miss indications any more (7.2.4) */
    uint32_t marked;       /* entries with `retransmit` */
    uint32_t first_marked; /* no marked TSN is before it */
    uint32_t peer_rwnd;
    bool probe;             /* one chunk may be sent though the window has no room for it */
    braid_time probe_at;    /* when that will be; 0: the window is open */
    bool probe_outstanding; /* it did, as probe_tsn */
    uint32_t probe_tsn;
    bool sack_since_probe; /* the peer answers, though its window is closed */
    bool fast_recovery;
    bool fast_retransmit_now; /* one packet passes the cwnd (7.2.4, 3) */
    uint32_t fast_recovery_exit;

    uint16_t *ssn;      /* next of each stream */
    uint32_t ssn_count; /* streams that `ssn` has room for */
    uint32_t (*mid)[2]; /* RFC 8260: next of each stream, of ordered and of unordered messages */
    uint32_t mid_count;
    uint32_t numbered; /* messages with an SSN that are not cumulatively acknowledged */

    /* RFC 3758 */
    bool limited;         /* some message may be abandoned */
    bool forward_tsn_due; /* if Advanced.Peer.Ack.Point is beyond what is acknowledged */
    uint32_t abandoned;   /* entries with `abandoned` */
    uint32_t advanced_peer_ack_point; /* valid if abandoned > 0 */
    uint32_t forwarded;               /* the last New Cumulative TSN that was sent, and when */
    braid_time forward_tsn_sent;
};

/* Counters of one outbound stream. */
struct abandoned_messages {
    uint32_t unsent[BRAID_POLICY_COUNT], sent[BRAID_POLICY_COUNT];
};

/* ---- send.c, sender.c, sack.c ---- */

void sender_init(struct sctp_sender *sender, uint32_t initial_tsn);
/* `tell`: BRAID_EVENT_SEND_FAILED for what was not acknowledged. */
void sender_free(struct sctp_association *association, bool tell);
/* Puts a new message, or one that was held, where it belongs. */
void sender_hold_or_queue(struct sctp_association *association, struct sent_message *message);
/* The next SSN, or MIDs, of these streams, of all for a count of 0, are 0. */
void sender_restart_streams(struct sctp_sender *sender, const uint16_t *streams, size_t count);
void sender_set_peer_rwnd(struct sctp_sender *sender, uint32_t a_rwnd);
/* Nothing waits, nothing is outstanding. */
bool sender_is_empty(const struct sctp_sender *sender);
static inline struct outstanding *sender_entry(const struct sctp_sender *sender, uint32_t tsn)
{
    return &sender->ring[tsn & (sender->capacity - 1)];
}
/* Takes a chunk that is in flight out of the counts. */
void sender_leave_flight(struct sctp_association *association, const struct outstanding *entry);
/* Is no lower TSN of the path in flight? */
bool sender_is_earliest(const struct sctp_association *association, struct sctp_path *path,
                        uint32_t tsn);
/* Puts a chunk into the counts. */
void sender_enter_flight(struct sctp_association *association, const struct outstanding *entry,
                         uint32_t tsn);
/* Marks a TSN for retransmission over `path`, unless it is acknowledged. */
void sender_mark(struct sctp_association *association, uint32_t tsn, const struct sctp_path *path);
/* All of a message was acknowledged, of which this is the last chunk: frees it. */
void sender_release(struct sctp_association *association, const struct outstanding *last);
/* Whether there is room again, or nothing left, after messages were released. */
void sender_tell_room(struct sctp_association *association);
/* It is given up: the user gets it back. It is in no queue any more. */
void sender_give_back(struct sctp_association *association, struct sent_message *message);
/* Takes a message that waits out of the queue. */
void sender_drop(struct sctp_sender *sender, struct sent_message *message);
/* Gives the rest of a message that has begun a TSN that is never sent, and takes it out of the
 * queue. False: there is no room. */
bool sender_skip_rest(struct sctp_association *association, struct sent_message *message);
/* Is all of the message acknowledged, of which this is the first TSN in the ring? */
bool sender_was_delivered(const struct sctp_sender *sender, uint32_t first_tsn);
void sender_start_t3(struct sctp_path *path);
/* Where there may be DATA to send: first the path of what is to be retransmitted, then the path of
 * what is new. NULL: nothing. */
struct sctp_path *sender_retransmission_path(const struct sctp_association *association);
struct sctp_path *sender_new_data_path(struct sctp_association *association);
/* Writes the DATA chunks that may go over `path` now, as far as there is room. In a packet with
 * nothing else that `may_grow`, one that is too large for the path may pass. Returns how many were
 * written. */
unsigned int sender_write(struct sctp_association *association, struct sctp_path *path,
                          struct packet_writer *writer, bool may_grow);
void sender_timeout(struct sctp_path *path); /* T3-rtx */
void sender_receive_sack(struct sctp_association *association, const struct sctp_sack *sack);
/* The Cumulative TSN Ack of a SHUTDOWN. */
void sender_receive_cumulative(struct sctp_association *association, uint32_t cumulative_tsn_ack);

/* Behind the others of a list. */
static inline void sender_append(struct sent_message **first, struct sent_message **last,
                                 struct sent_message *message)
{
    if (*first)
        (*last)->next = message;
    else
        *first = message;
    *last = message;
    message->next = NULL;
}

/* ---- gaps.c ---- */

struct tsn_run {
    uint32_t first, last;
};

static inline uint32_t gaps_count(const struct gaps *gaps)
{
    return gaps->end - gaps->begin;
}
/* Makes room for so many more. False: there is no memory. */
bool gaps_reserve(struct gaps *gaps, uint32_t count);
void gaps_free(struct gaps *gaps);
struct tsn_run gaps_run(const struct gaps *gaps, uint32_t index, uint32_t cumulative_tsn_ack);
/* The Cumulative TSN Ack Point moves: what is no longer beyond it is left out. */
void gaps_advance(struct gaps *gaps, uint32_t before, uint32_t cumulative_tsn_ack);
/* How many of its blocks from one on are the same as the runs from `index` on. */
uint32_t gaps_same(const struct gaps *gaps, uint32_t index, const struct sctp_sack *sack,
                   uint32_t block);
/* How many of its first blocks say the same as runs beyond its Cumulative TSN Ack. `before`: the
 * Cumulative TSN Ack Point. */
uint32_t gaps_repeated(const struct gaps *gaps, uint32_t before, const struct sctp_sack *sack);
/* The first run that begins after this TSN. */
uint32_t gaps_find_beyond(const struct gaps *gaps, uint32_t tsn, uint32_t cumulative_tsn_ack);

/* ---- schedule.c: RFC 8260, section 3 ---- */

/* The sender has a schedule, in all but the four that follow. */
void schedule_append(struct sctp_sender *sender, struct sent_message *message);
/* The list is empty: the message whose turn it is comes into it, if there is one. */
void schedule_next(struct sctp_sender *sender);
/* The first message of this stream comes into it, in front of all. */
void schedule_pick(struct sctp_sender *sender, uint16_t stream);
/* The message in the list has begun, and is not the only one whose turn may be next (RFC 8260). */
void schedule_yield(struct sctp_sender *sender);
/* Does a message of this stream wait, besides what is in the list? */
bool schedule_has(const struct schedule *schedule, uint16_t stream);
/* Puts all messages into the list, in their order, to be looked at; and back again. */
void schedule_gather(struct sctp_sender *sender);
void schedule_spread(struct sctp_sender *sender);
void schedule_free(struct sctp_sender *sender);
/* ENOMEM. */
int schedule_choose(struct sctp_association *association, enum braid_scheduler scheduler);

/* ---- abandon.c: RFC 3758, section 3.5 ---- */

/* It was not yet begun to be sent, and will not be. */
void abandon_unsent(struct sctp_association *association, struct sent_message *message);
/* The first message of the queue, which has begun to be sent. False: not now. */
bool abandon_begun(struct sctp_association *association);
/* Of what is marked for retransmission, what its policy does not permit to be sent again. */
void abandon_overdue(struct sctp_association *association);
/* The send buffer is full for this message: makes room for it at the cost of others. */
void abandon_for(struct sctp_association *association, const struct braid_send *send);
/* After a SACK and after T3-rtx (A4, A5). */
void abandon_receive_sack(struct sctp_association *association);
void abandon_timeout(struct sctp_association *association);
/* T3-rtx runs for a FORWARD TSN (C5). */
bool abandon_awaits_sack(const struct sctp_association *association);
/* Is a FORWARD TSN to be sent now? */
bool abandon_owes_forward_tsn(struct sctp_association *association);
void abandon_write_forward_tsn(struct sctp_association *association, struct packet_writer *writer);

#endif
