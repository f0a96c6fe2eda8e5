/*
 * Stream reconfiguration: what reconfig.c and reconfig_peer.c give to the rest of the engine.
 *
 * RFC 6525. An association has a `struct reconfig` once both sides offered it.
 */
#ifndef ENGINE_RECONFIG_H
#define ENGINE_RECONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "engine/timer.h"
#include "packet/packet.h"
#include "packet/reconfig.h"

struct arrival;
struct sctp_association;
struct sctp_data;
struct sctp_path;

#define RECONFIG_REQUESTS 2 /* in one chunk (RFC 6525, 3.1); one chunk is outstanding (5.1.1) */
#define RECONFIG_RESULTS 2  /* of the peer's last requests, which it may repeat */
#define STREAMS_MAXIMUM UINT16_MAX
/* More TSNs than ever are outstanding: others are of before or after an SSN/TSN reset, which moves
 * them by half of all there are (5.2.4, G1). */
#define TSNS_APART (1u << 30)

/* A request of ours. */
struct reconfig_request {
    uint16_t type; /* SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST and so on; 0: it was answered */
    uint32_t number;
    uint32_t response_number; /* of an outgoing reset: the request of the peer's that it answers */
    uint16_t count;           /* of `streams`, or how many are to be added */
    uint16_t *streams;        /* NULL: all, or it is not about certain streams */
    uint32_t last_tsn;        /* of an outgoing reset: Sender's Last Assigned TSN */
};

/* A request of the peer's that waits for DATA that is still on its way (5.2.2, E2). */
struct reconfig_deferred {
    bool waits;
    uint32_t number, last_tsn;
    uint16_t *streams;
    size_t count;
};

struct reconfig {
    struct sctp_association *association;
    struct reconfig_request requests[RECONFIG_REQUESTS]; /* that are outstanding */
    uint32_t next_number;
    bool send;
    bool written;           /* some of the requests has left */
    bool answered;          /* "in progress": the peer is well */
    bool repeated;          /* they have left more than once */
    bool doubted;           /* the last "in progress" was not believed */
    braid_time asked;       /* when they left last */
    bool renumbered;        /* our TSNs began anew: SACKs of before may come still */
    struct sctp_path *path; /* over which they were sent, or are to be */
    struct timer timer;

    uint32_t expected_number;           /* of the peer's next request */
    uint32_t results[RECONFIG_RESULTS]; /* the last one's first */
    struct reconfig_deferred deferred;
    struct sctp_reconfig_response responses[RECONFIG_REQUESTS]; /* to the chunk that came */
    uint8_t response_count;
};

/* ---- reconfig.c: our requests ---- */

/* Both sides' offers are known: makes or empties it. */
void reconfig_begin_association(struct sctp_association *association, bool capable,
                                uint32_t local_initial_tsn, uint32_t peer_initial_tsn);
void reconfig_free(struct sctp_association *association);
/* A path goes away. */
void reconfig_forget_path(struct sctp_association *association, const struct sctp_path *path);
/* The peer does not have this stream: it was asked to have it, and has not answered. */
bool reconfig_asks_for(struct reconfig *reconfig, uint16_t stream);
/* New messages of this stream wait for an answer of the peer's (5.1.2, A1). */
bool reconfig_holds(const struct sctp_association *association, uint16_t stream);
bool reconfig_is_outstanding(const struct reconfig *reconfig);
/* The one of this type; NULL: there is none. */
struct reconfig_request *reconfig_find_request(struct reconfig *reconfig, uint16_t type);
/* A reset is of this stream, too. */
bool reconfig_covers(const struct reconfig_request *request, uint16_t stream);
/* One more in the chunk that is to be sent. Takes `streams`, which come from malloc(). */
void reconfig_add_request(struct reconfig *reconfig, const struct reconfig_request *request);
/* It was answered: what it held goes on. */
void reconfig_end_request(struct reconfig *reconfig, struct reconfig_request *request);
/* Is a message of these streams, or of any for a count of 0, not yet wholly sent? */
bool reconfig_must_wait(const struct sctp_association *association, const uint16_t *streams,
                        size_t count);

/* The peer may have begun anew with all numbers, as we asked, and its answer is under way or lost:
 * what its DATA means is not known before that came. */
bool reconfig_numbers_are_unknown(const struct sctp_association *association);
/* New DATA that cannot be of before the SSN/TSN reset that we asked for, since its SSN was used:
 * the peer has begun anew, and the numbers are not known. */
bool reconfig_is_over(struct sctp_association *association, const struct sctp_data *data);
/* A TSN of ours that was not sent is acknowledged, and nobody has lied: it is of after an SSN/TSN
 * reset whose answer did not come, or of before one. */
bool reconfig_explains(const struct sctp_association *association, uint32_t tsn);

/* The path of requests that are due; NULL: none. */
struct sctp_path *reconfig_path(struct sctp_association *association);
void reconfig_write(struct sctp_association *association, struct packet_writer *writer);
void reconfig_timeout(struct reconfig *reconfig);

/* ---- reconfig_response.c ---- */

void reconfig_receive_response(struct reconfig *reconfig,
                               const struct sctp_reconfig_response *response);
/* All numbers of both directions begin anew (5.2.4, G4 and G5; 5.2.7). */
void reconfig_restart_numbers(struct sctp_association *association, uint32_t next_sent,
                              uint32_t next_received);

/* BRAID_EVENT_STREAM_RESET and so on. */
void reconfig_tell_streams(struct sctp_association *association,
                           enum braid_reconfig_outcome outcome, bool incoming,
                           const uint16_t *streams, size_t count);
void reconfig_tell_association(struct sctp_association *association,
                               enum braid_reconfig_outcome outcome, uint32_t next_sent,
                               uint32_t next_received);
void reconfig_tell_added(struct sctp_association *association, enum braid_reconfig_outcome outcome,
                         uint16_t outgoing, uint16_t incoming);

/* ---- reconfig_peer.c: requests of the peer's ---- */

void reconfig_receive(struct sctp_association *association, const struct arrival *arrival,
                      const struct sctp_chunk *chunk);
/* After the chunks of a packet: a reset may have waited for what has come. */
void reconfig_packet_done(struct sctp_association *association, const struct arrival *arrival);

#endif
