/*
 * An association: its state, its paths, and what each part of the engine keeps for it.
 *
 * RFC 9260, sections 4, 9 and 13 (the Transmission Control Block).
 */
#ifndef ENGINE_ASSOCIATION_H
#define ENGINE_ASSOCIATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "engine/asconf.h"
#include "engine/auth.h"
#include "engine/list.h"
#include "engine/reconfig.h"
#include "engine/numbers.h"
#include "engine/path.h"
#include "engine/receiver.h"
#include "engine/sender.h"
#include "engine/timer.h"

struct arrival;
struct braid_engine;
struct response;
struct sctp_endpoint;

/* ---- ECN: RFC 4960, appendix A ---- */

struct ecn {
    bool capable;      /* both sides */
    bool echo;         /* a packet was marked, and the peer has not yet said that it slowed down */
    bool reduced;      /* we have, once at least */
    bool send_cwr;     /* and are to say so */
    uint32_t echo_tsn; /* what ECNE tells */
    uint32_t reduced_tsn; /* the last that was sent before */
    uint32_t cwr_tsn;     /* what CWR tells */
};

enum timer_kind {
    TIMER_T1, /* T1-init, T1-cookie, T2-shutdown: one runs at a time */
    TIMER_T5, /* T5-shutdown-guard */
    TIMER_SACK,
    TIMER_AUTOCLOSE,
    TIMER_T4,       /* T4-rto: RFC 5061 */
    TIMER_RECONFIG, /* RFC 6525 */
    TIMER_T3,       /* of a path, as the next */
    TIMER_HEARTBEAT,
    TIMER_PLPMTUD,
};

struct sctp_association {
    struct braid_engine *engine;
    struct sctp_endpoint *endpoint;
    struct list endpoint_link;
    struct list ready_link;   /* engine->ready: may have something to send */
    struct list touched_link; /* engine->touched: got DATA in this batch of packets */
    void *user;
    struct braid_account *account; /* NULL: none */
    uint64_t charged;              /* what of it is ours */
    uint32_t id;
    uint8_t state;       /* enum braid_state */
    bool down;           /* BRAID_EVENT_DOWN was told: waits for its release */
    uint16_t down_cause; /* the first cause of its end: RFC 9260, 3.3.10 */
    bool incoming;
    bool claimed; /* or begun by us: does not count against the backlog */
    bool was_up;

    /* what is to be sent */
    bool send_init, send_cookie_echo, send_cookie_ack, send_sack, send_shutdown, send_shutdown_ack;

    uint16_t local_port, peer_port;
    uint16_t inbound_streams, outbound_streams;
    uint32_t local_tag, peer_tag;
    uint32_t local_tie_tag, peer_tie_tag; /* 5.2.2: not the tags themselves */
    uint32_t local_initial_tsn;
    struct braid_parameters parameters;

    /* setup: 5.1 */
    uint8_t *cookie; /* the peer's; behind it, what it said that we do not know, as
                        error causes */
    uint16_t cookie_length, setup_error_length;
    uint16_t setup_attempts, stale_cookies;
    uint32_t cookie_life_increment; /* asked of the peer: ms */
    braid_time cookie_echoed;       /* when it was first sent: RTT */
    braid_time init_sent;
    bool setup_resent; /* Karn */
    struct timer t1, t5, autoclose;
    braid_time last_data; /* autoclose */

    struct sctp_path **paths;
    uint8_t path_count;
    uint8_t primary;
    uint8_t setup_path; /* INIT, COOKIE ECHO, SHUTDOWN, SHUTDOWN ACK go over it */
    uint8_t reply_path; /* COOKIE ACK: from where the peer spoke */

    uint32_t error_count;
    uint32_t data_header_length; /* of its chunks of user data: DATA or I-DATA */
    bool partial_reliability;    /* both sides have FORWARD TSN (RFC 3758) */
    bool interleaving;           /* both sides have I-DATA (RFC 8260) */
    bool peer_adaptation_given;
    uint32_t peer_adaptation;
    bool accepts_zero_checksum, peer_accepts_zero_checksum; /* RFC 9653 */
    struct ecn ecn;
    struct authentication *authentication; /* NULL: we do not offer it */
    struct asconf *asconf;                 /* NULL: nothing to keep */
    struct reconfig *reconfig;             /* NULL: not both sides have it */

    struct sctp_sender sender;
    struct sctp_receiver receiver;
    struct abandoned_messages *abandoned; /* by stream, as far as there were any */
    uint32_t abandoned_streams;           /* that it has room for */

    uint64_t packets_sent, packets_received, bytes_sent, bytes_received;
    uint64_t messages_sent, messages_received, chunks_retransmitted, chunks_duplicate;
    uint64_t sacks_sent, sacks_received, fast_retransmits, t3_expirations;
    uint64_t heartbeats_sent, heartbeats_acknowledged;
    uint64_t forward_tsns_sent, forward_tsns_received;
    uint64_t ecn_reductions;
};

static inline void association_set_interleaving(struct sctp_association *association,
                                                bool interleaving)
{
    association->interleaving = interleaving;
    association->data_header_length =
        interleaving ? SCTP_I_DATA_HEADER_LENGTH : SCTP_DATA_HEADER_LENGTH;
}
/* The type of its chunks of user data, and what one takes of a packet. */
static inline uint8_t data_chunk_type(const struct sctp_association *association)
{
    return association->interleaving ? SCTP_CHUNK_I_DATA : SCTP_CHUNK_DATA;
}
static inline uint32_t data_chunk_size(const struct sctp_association *association, uint32_t length)
{
    return wire_padded(association->data_header_length + length);
}

/* ---- association.c ---- */

struct sctp_association *association_find(const struct braid_engine *engine, uint32_t identifier);
/* CLOSED, with fresh tags and no path. NULL: limits or memory. */
struct sctp_association *association_new(struct braid_engine *engine,
                                         struct sctp_endpoint *endpoint, uint16_t peer_port);
void association_free(struct sctp_association *association);
/* Stops all its timers, and those of its paths. */
void association_stop_timers(struct sctp_association *association);
void association_free_paths(struct sctp_association *association);
/* NULL if there is no memory, or too many. */
struct sctp_path *association_add_path(struct sctp_association *association,
                                       const struct braid_address *address,
                                       uint16_t encapsulation_port, enum braid_path_state state);
/* It goes away, and what was on its way over it is sent over another. One at least stays. */
void association_remove_path(struct sctp_path *path);
/* The path to an address of the peer. */
struct sctp_path *association_path_to(const struct sctp_association *association,
                                      const struct braid_address *address);
/* It may have something to send: braid_engine_transmit() will ask. */
void association_set_ready(struct sctp_association *association);
/* Enters ESTABLISHED: timers, heartbeats, BRAID_EVENT_UP; BRAID_EVENT_RESTART if it was up. */
void association_established(struct sctp_association *association);
/* Ends it: everything stops, BRAID_EVENT_SEND_FAILED and BRAID_EVENT_DOWN are told. `causes` as on
 * the wire. */
void association_down(struct sctp_association *association, enum braid_down_reason reason,
                      const void *causes, size_t length);
bool association_may_send_data(const struct sctp_association *association);
/* Begins a packet of control chunks to the peer, COOKIE ACK first if it is due. */
struct response *association_respond(struct sctp_association *association,
                                     struct packet_writer *writer, size_t capacity);
/* What the association holds counts in its endpoint's account. */
static inline void association_charge(struct sctp_association *association, int64_t bytes)
{
    association->charged += (uint64_t)bytes;
    if (association->account)
        association->account->bytes += (uint64_t)bytes;
}
static inline uint64_t association_account_room(const struct sctp_association *association)
{
    const struct braid_account *account = association->account;

    if (!account)
        return UINT64_MAX;
    return account->bytes < account->maximum ? account->maximum - account->bytes : 0;
}
uint32_t association_local_rwnd(const struct sctp_association *association);
void association_restart_autoclose(struct sctp_association *association);
/* User bytes that fit one DATA chunk on each path (7.3: AMDCS). */
uint32_t association_fragmentation_point(const struct sctp_association *association);

/* ---- teardown.c ---- */

/* An ABORT back to where the packet came from, not of an association (5.1, 8.4). NULL: no cause. */
void abort_statelessly(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                       bool tag_reflected, const struct packet_writer *causes);
/* The same with one cause. */
void abort_for_cause(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                     uint16_t cause, const void *value, size_t length);
/* One cause, or none if it is too long. */
void cause_write(struct packet_writer *causes, uint8_t bytes[CAUSES_MAXIMUM], uint16_t cause,
                 const void *value, size_t length);
/* Sends an ABORT with these error causes, then ends. NULL: none. */
void association_abort(struct sctp_association *association, enum braid_down_reason reason,
                       const struct packet_writer *causes);
/* The same for a peer that broke the protocol in a way that has no cause of its own. */
void association_abort_violation(struct sctp_association *association);
/* 3.3.10.12, with as much of the reason as a packet takes. */
void association_abort_by_user(struct sctp_association *association, const void *reason,
                               size_t length);
void teardown_receive_abort(struct sctp_association *association, const struct arrival *arrival,
                            const struct sctp_chunk *chunk);

/* Goes on with a shutdown when all data was acknowledged (9.2). */
void teardown_continue(struct sctp_association *association);
void teardown_timeout(struct sctp_association *association); /* T2-shutdown */
/* A packet with DATA came in SHUTDOWN-SENT. */
void teardown_answer_data(struct sctp_association *association);
void teardown_receive_shutdown(struct sctp_association *association, struct arrival *arrival,
                               const struct sctp_chunk *chunk);
void teardown_receive_shutdown_ack(struct sctp_association *association, struct arrival *arrival);
void teardown_receive_shutdown_complete(struct sctp_association *association);

/* ---- ecn.c ---- */

#define ECN_CAPABLE_TRANSPORT 2 /* ECT(0) (RFC 3168, section 5) */
#define ECNE_LENGTH 8           /* and of CWR */

/* Packets with DATA say that they may be marked. */
void ecn_mark(const struct sctp_association *association, struct braid_batch *batch);
/* A packet came that was marked. */
void ecn_packet_marked(struct sctp_association *association, const struct arrival *arrival);
void ecn_write_echo(const struct sctp_association *association, struct packet_writer *writer);
void ecn_receive_cwr(struct sctp_association *association, const struct sctp_chunk *chunk);
void ecn_receive_echo(struct sctp_association *association, const struct sctp_chunk *chunk);
void ecn_write_cwr(struct sctp_association *association, struct packet_writer *writer);

#endif
