/*
 * What a capture tells of associations: which packet belongs to which, between which of their
 * addresses it went, and what became of it.
 *
 * RFC 9260 section 5 (who is who in an association), section 8.5 (verification tags), section 6.2.1
 * (what a SACK acknowledges), section 4 (states). A packet is taken as sent and received at the
 * moment when it was captured, and what was lost is inferred from what was sent again. If the
 * capture was made at two points, a packet that both saw is one (trace_points.c).
 */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/address.h"
#include "braid/engine.h"
#include "cli/capture_reader.h"
#include "packet/packet.h"

struct command;

#define TRACE_NONE UINT32_MAX

/* What is to be noted of a packet. */
enum trace_mark {
    TRACE_RETRANSMISSION = 1 << 0, /* a TSN in it was sent before */
    TRACE_LOST = 1 << 1,           /* a TSN in it was sent again, and had not arrived */
    TRACE_NEEDLESS = 1 << 2,       /* it was sent again though it had arrived */
    TRACE_OTHER_PATH = 1 << 3,     /* its DATA takes another path than the DATA before */
    TRACE_GAPS = 1 << 4,           /* a SACK with holes */
    TRACE_ZERO_WINDOW = 1 << 5,    /* a SACK that leaves no room */
    TRACE_CHECKSUM_BAD = 1 << 6,
    TRACE_MALFORMED = 1 << 7,
    TRACE_INCOMPLETE = 1 << 8,        /* not all of it is in the capture */
    TRACE_OUT_OF_THE_BLUE = 1 << 9,   /* of no association that is known (section 8.4) */
    TRACE_CONTROL_REPEATED = 1 << 10, /* the same INIT, COOKIE ECHO, SHUTDOWN ... as before */
};
#define TRACE_MARKS 11

/* "retransmission", "lost" and so on, of one mark. */
const char *trace_mark_name(enum trace_mark mark);

struct trace_packet {
    int64_t time;          /* nanoseconds since 1970 */
    uint64_t number;       /* of the frame in the capture, from 1 */
    int64_t time_again;    /* when another point saw it, or as `time` */
    uint64_t number_again; /* the frame of that; 0: none did */
    const uint8_t *bytes;
    size_t length;
    uint32_t association;
    uint16_t from, to; /* indices of addresses: of the side that sent it, of the other one */
    uint16_t udp_source_port, udp_destination_port; /* both zero: not in UDP */
    uint8_t side;                                   /* which sent it */
    uint8_t states[2];                              /* of both sides after it: enum braid_state */
    uint32_t marks;                                 /* enum trace_mark */
    uint32_t acknowledged; /* index of the packet whose SACK acknowledged the last DATA of it, or
                              TRACE_NONE */
    uint32_t in_flight[2]; /* user bytes of each side sent and not acknowledged, after it */
};

struct trace_side {
    uint16_t port;
    bool known; /* its tag and first TSN are */
    uint32_t tag;
    uint32_t initial_tsn;
    bool tsn_known;
    struct braid_address *addresses; /* those that it listed, and those that were seen */
    size_t address_count;
    enum braid_state state;
    /* DATA that it sent and that is not acknowledged: indices of records, in order of sending */
    uint32_t *outstanding;
    size_t outstanding_begin, outstanding_end, outstanding_capacity;
    uint32_t in_flight;
    uint16_t data_from, data_to; /* where its last DATA went */
    bool data_seen;
    uint32_t control_seen; /* chunk types below 32 that it sent: a bit each */
};

/* Side 0 is the one that began, as far as can be seen. */
struct trace_association {
    struct trace_side sides[2];
    size_t packet_count;
    uint32_t first_packet;
    bool out_of_the_blue; /* no more than packets that belong to none */
};

/* A TSN, and what became of it. */
struct trace_record {
    uint32_t tsn;
    uint32_t payload_length;
    uint32_t first_packet, previous_packet, last_packet; /* that carried it */
    uint32_t acknowledged;                               /* the packet that did, or TRACE_NONE */
};

/* From 64-bit keys to numbers: open addressing; grows. */
struct trace_map {
    uint64_t *keys;
    uint32_t *values; /* TRACE_NONE: the place is free */
    size_t count, capacity;
};

struct trace {
    struct trace_packet *packets;
    size_t packet_count, packet_capacity;
    struct trace_association *associations;
    size_t association_count, association_capacity;
    struct trace_record *records;
    size_t record_count, record_capacity;
    struct trace_map by_tag, by_address, by_tsn;
    struct trace_block *blocks;      /* where the packets' bytes are kept */
    uint64_t frames;                 /* of the capture, whatever is in them */
    uint64_t seen_twice;             /* at two points, and kept once */
    uint64_t omitted;                /* SCTP packets beyond the limit */
    uint64_t fragments;              /* of IP packets, that were passed over */
    uint64_t too_short;              /* that hold no common header */
    char damage[CAPTURE_ERROR_SIZE]; /* why the capture could not be read to its end; or empty */
};

/*
 * Reads a capture, or "-", standard input; of its SCTP packets at most `limit`. On a terminal the
 * command tells how far it has come. NULL, and the
 * reason in `error`, if nothing can be read. What could be read of a damaged one is given.
 * trace_free() frees it.
 */
struct trace *trace_read(const struct command *command, const char *path, uint16_t udp_port,
                         size_t limit, char error[CAPTURE_ERROR_SIZE]);
void trace_free(struct trace *trace);

/*
 * A trace that keeps no packets, to tell of each which association it is of: an index, TRACE_NONE
 * if there is no memory.
 */
struct trace *trace_new(void);
uint32_t trace_association_of(struct trace *trace, const struct captured_packet *packet,
                              const struct sctp_common_header *header);

/* Says what was left out or could not be read. Returns the exit status of a command for that. */
int trace_report(const struct command *command, const char *path, const struct trace *trace);

/* Makes one of what stands twice because the capture was made at two points. False: no memory. */
bool trace_fold_points(struct trace *trace);

/* Reads the next chunks' relation to what was sent before (trace_data.c). False: no memory. */
bool trace_judge_chunk(struct trace *trace, uint32_t packet, const struct sctp_chunk *chunk);

/* A TSN counted from the first one of the side that sent it, which is 1; or as it is. */
uint32_t trace_relative_tsn(const struct trace_side *side, uint32_t tsn, bool absolute);

/*
 * The chunks of a packet in a few words: "SACK 7 gaps 9-10, DATA 3-5 s0". TSNs count from 1 unless
 * `absolute`. Returns the length, at most `size` - 1.
 */
size_t trace_label(const struct trace *trace, const struct trace_packet *packet, bool absolute,
                   char *text, size_t size);

/* Growth of the arrays above. */
bool trace_reserve(void **array, size_t *capacity, size_t count, size_t element);
uint32_t trace_map_get(const struct trace_map *map, uint64_t key);
bool trace_map_set(struct trace_map *map, uint64_t key, uint32_t value);
void trace_map_free(struct trace_map *map);

#endif
