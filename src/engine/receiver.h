/*
 * Receiving data: TSNs, SACKs, and the messages that chunks make.
 *
 * RFC 9260, sections 6.2, 6.5, 6.6, 6.7, 6.9; RFC 3758, section 3.6; RFC 8260, section 2.
 */
#ifndef ENGINE_RECEIVER_H
#define ENGINE_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/timer.h"
#include "packet/chunks.h"

struct arrival;
struct sctp_association;

#define DUPLICATES_MAXIMUM 32 /* duplicate TSNs that one SACK reports */

/* Received user data: one chunk that waits for others, or a message that is growing or whole. */
struct received_data {
    struct received_data *next;
    uint32_t allocated; /* bytes of the whole allocation */
    uint32_t length;
    uint32_t ppid;
    uint32_t tsn;                 /* of the first chunk */
    uint32_t run_first, run_last; /* at the ends of a run of chunks of one message: the whole run */
    uint32_t number;              /* in its stream: the MID, or the SSN with its overflows */
    uint32_t association;         /* whose window it closes */
    uint16_t stream, ssn;
    uint8_t flags; /* enum sctp_data_flag: B, E, U */
    uint8_t bytes[];
};

#define STREAM_PAGE 64
struct inbound_stream {
    struct received_data *waiting, *waiting_last; /* whole messages, in their order */
    uint32_t next_number;
};

struct sctp_receiver {
    uint32_t cumulative_tsn;
    uint32_t highest_tsn;        /* received at all; never before cumulative_tsn */
    uint64_t *received;          /* bit TSN modulo map_size: received beyond cumulative_tsn */
    struct received_data **held; /* the chunks among them that wait for others of their message */
    uint32_t map_size;           /* bits; a power of two of 64 at least; 0: none yet */

    struct inbound_stream **pages; /* of STREAM_PAGE streams each, made when used */
    uint32_t page_count;

    struct received_data *assembly; /* the message whose next chunk is cumulative_tsn + 1 */
    uint32_t last_message;          /* length of the last assembled message: a guess at the next */
    bool partial;                   /* of `assembly` pieces were delivered already */
    bool skipping; /* the message at cumulative_tsn + 1 may have lost its beginning (RFC 3758) */

    struct interleaving *interleaving; /* messages of I-DATA that are growing; NULL: none yet */

    struct received_data *ready, *ready_last;   /* whole messages for the user */
    struct received_data *pieces, *pieces_last; /* of the partially delivered message */
    uint32_t ready_messages, ready_bytes;

    uint32_t held_bytes; /* all of the above and what the user has not released */
    uint32_t waiting_chunks;
    uint32_t user_held; /* braid_association_hold() */
    bool told_readable;

    /* Acknowledging: 6.2 */
    uint32_t unacknowledged_packets;
    bool sack_now;
    bool had_gap;           /* before the packet that is being processed */
    bool any_data;          /* the first DATA is acknowledged at once (5.1) */
    uint8_t snapshots;      /* SACKs of this batch of packets for single packets of it */
    uint32_t advertised;    /* the last a_rwnd that was sent */
    uint32_t arrived_bytes; /* DATA that was accepted since */
    uint8_t sack_path;      /* to which the next SACK goes */
    bool sack_turned;       /* which is another than the last took */
    uint32_t duplicates[DUPLICATES_MAXIMUM];
    uint8_t duplicate_count;
    struct timer sack_timer;
};

/* ---- receiver.c, reassembly.c ---- */

/* Messages that wait for the user stay. */
void receiver_init(struct sctp_association *association, uint32_t initial_tsn);
/* Frees what the user will never get; what it can still read only if not `keep_messages`. */
void receiver_free(struct sctp_association *association, bool keep_messages);
void receiver_receive_data(struct sctp_association *association, struct arrival *arrival,
                           const struct sctp_chunk *chunk);
void receiver_receive_forward_tsn(struct sctp_association *association, struct arrival *arrival,
                                  const struct sctp_chunk *chunk);
/* The next TSN is this one; what was received up to now is all that comes (RFC 6525, 5.2.4). */
void receiver_restart(struct sctp_association *association, uint32_t next_tsn);
/* After the chunks of a packet with DATA, and after the last packet of a batch. */
void receiver_packet_done(struct sctp_association *association, const struct arrival *arrival);
void receiver_batch_done(struct sctp_association *association);
/* Writes a SACK with as many gap ack blocks as fit; nothing if not even one without fits. */
void receiver_write_sack(struct sctp_association *association, struct packet_writer *writer);
/* The user made room: is the peer to be told? */
void receiver_window_opened(struct sctp_association *association);
/* Is it worth knowing when the user makes more of it? */
bool receiver_window_is_small(const struct sctp_association *association);

/* It is of a message whose SSN the stream is past. */
bool reassembly_used(struct sctp_association *association, const struct sctp_data *data);
/* Takes the DATA chunk whose TSN has just become the Cumulative TSN. False: the peer broke the
 * protocol. */
bool reassembly_take(struct sctp_association *association, const struct sctp_data *data);
/* Takes one beyond it. */
bool reassembly_hold(struct sctp_association *association, const struct sctp_data *data);
/* The one that was held for the TSN that has now become the Cumulative TSN, if any. */
bool reassembly_take_held(struct sctp_association *association, uint32_t tsn);
/* The TSN that has now become the Cumulative TSN will not come (RFC 3758, 3.6). */
void reassembly_skip(struct sctp_association *association);
/* Nor will what is missing of a stream up to this SSN. */
void reassembly_skip_stream(struct sctp_association *association,
                            const struct sctp_skipped_stream *skipped);
/* The next SSN of these streams, of all for a count of 0, is 0 (RFC 6525, 5.2.2, E3). What waited
 * for earlier ones of its stream goes to the user. */
void reassembly_restart_streams(struct sctp_association *association, const uint16_t *streams,
                                size_t count);
/* BRAID_EVENT_READABLE, unless it was told and nobody has looked since. */
void reassembly_tell_readable(struct sctp_association *association);
/* Begins partial delivery (6.9) if the time for it has come. */
void reassembly_deliver_partially(struct sctp_association *association);
void reassembly_free(struct sctp_association *association, bool keep_messages);
/* Takes an I-DATA chunk, wherever its TSN stands. False: the peer broke the protocol. */
bool interleaving_take(struct sctp_association *association, const struct sctp_data *data);
/* What has not come of these messages will not. */
void interleaving_skip(struct sctp_association *association,
                       const struct sctp_skipped_messages *skipped);
static inline struct received_data **receiver_held(const struct sctp_receiver *receiver,
                                                   uint32_t tsn)
{
    return &receiver->held[tsn & (receiver->map_size - 1)];
}

#endif
