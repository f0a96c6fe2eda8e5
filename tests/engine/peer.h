/*
 * A scripted peer: one engine in virtual time against packets that the test makes by hand, and
 * answers that it expects by name and by time.
 *
 *     struct peer *peer = peer_new(NULL);
 *
 *     peer_accept(peer);                        the engine listens, we set up an association
 *     peer_send_data(peer, tsn, ...);
 *     expect(peer, "SACK");                     exactly this packet was sent
 *     expect(peer, NONE);                       and no other
 *     expect_within(peer, 200 * MS, "SACK");    time passes until a packet is sent
 *
 * The engine is "here" with the addresses 192.0.2.1 and 198.51.100.1 (or their like in IPv6), the
 * peer is "there" with 192.0.2.2 and 198.51.100.2; each pair is a path. Every packet of the engine
 * passes the watcher. There are no heartbeats unless the configuration asks for them.
 */
#ifndef ENGINE_PEER_H
#define ENGINE_PEER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <setjmp.h>
#include <cmocka.h>

#include "braid/engine.h"
#include "link/random.h"
#include "packet/chunks.h"

#define MS ((braid_time)1000)
#define SECOND ((braid_time)1000000)

enum {
    PATHS = 3,
    ENGINE_PORT = 5001,
    PEER_PORT = 4001,
    PEER_TAG = 0x0a0b0c0d,
    /* A timer may be late by this, as engines count time in steps; microseconds. */
    SLACK = 20000,
};

/* A packet that the engine sent. */
struct sent {
    braid_time time;
    struct braid_address source, destination;
    uint16_t encapsulation_port;
    bool dont_fragment;
    uint8_t traffic_class, hop_limit, priority;
    uint32_t interface;
    struct sctp_common_header header;
    size_t length;
    uint8_t bytes[];
};

/* An event, with a copy of its bytes. */
struct happened {
    struct braid_event event;
    uint8_t bytes[];
};

struct peer_config {
    const struct braid_parameters *parameters; /* NULL: the defaults, without heartbeats */
    unsigned int paths;                        /* 0: one */
    bool ipv6;
    bool any_address; /* the endpoint is bound to all addresses of the host */
    uint32_t mtu;     /* of the routes; 0: 1500 */
    uint64_t seed;    /* 0: 1 */
    uint16_t udp;     /* the UDP port of both; 0: over IP */
    uint32_t maximum_associations;
    const struct braid_keys *keys;
};

struct peer {
    struct braid_engine *engine;
    struct watcher *watcher;
    struct random_generator random;
    braid_time now;
    uint32_t endpoint, association;
    struct braid_address here[PATHS], there[PATHS];
    unsigned int paths;
    uint32_t mtu;
    uint16_t udp;

    /* what the peer says of itself; may be changed before the association is set up */
    uint16_t port;
    uint32_t tag, initial_tsn, a_rwnd;
    uint16_t outbound_streams, inbound_streams;
    bool partial_reliability;        /* Forward-TSN-Supported */
    bool ecn;                        /* ECN Supported */
    uint32_t error_detection_method; /* Zero Checksum Acceptable (RFC 9653) */
    uint8_t extensions[4];           /* Supported Extensions: chunk types up to the first 0 */
    /* what it knows of the engine */
    uint16_t engine_port;
    uint32_t engine_tag, engine_initial_tsn;
    uint32_t engine_a_rwnd;
    uint8_t cookie[4096];
    size_t cookie_length;

    bool without_checksum;      /* its packets have a checksum of zero */
    bool marked;                /* its packets come with Congestion Experienced */
    uint32_t interface, master; /* by which they come in; 0: not known */
    /* the packet in the making */
    struct packet_writer writer;
    uint8_t packet[65536];

    struct sent **sent; /* all that the engine sent */
    size_t sent_count, sent_capacity, sent_seen;
    struct happened **happened;
    size_t happened_count, happened_capacity;
};

#define NONE ""

struct peer *peer_new(const struct peer_config *config);
void peer_free(struct peer *peer);

/* For cmocka: a plain peer as the state of a test, freed after it. */
int peer_setup(void **state);
int peer_teardown(void **state);
#define peer_test(test) cmocka_unit_test_setup_teardown(test, peer_setup, peer_teardown)
/* Another peer in place of the plain one. */
struct peer *peer_renew(void **state, const struct peer_config *config);

/* The parameters that peer_new() starts from: the defaults, without heartbeats. */
struct braid_parameters peer_parameters(void);

/* Frees what was sent and what happened so far, seen or not. */
void peer_forget(struct peer *peer);

/* Takes what the engine sends and tells, at this time. Called by all that follow. */
void peer_run(struct peer *peer);
/* One step of the clock, not beyond `until`. */
void peer_step(struct peer *peer, braid_time until);
/* Lets time pass. */
void peer_advance(struct peer *peer, braid_time time);

/* ---- Packets of the peer ----------------------------------------------------------------------
 */

/* The association that an answer was for, as the peer reads it in INIT or INIT ACK. */
void peer_read_init(struct peer *peer, const struct sent *sent);

/* Begins a packet with the engine's tag, or another; chunks are then written to peer->writer. */
void peer_begin(struct peer *peer);
void peer_begin_tag(struct peer *peer, uint32_t tag);
/* Sends it over the first path, or another. */
void peer_send(struct peer *peer);
void peer_send_over(struct peer *peer, unsigned int path);
void peer_send_from(struct peer *peer, const struct braid_address *source,
                    const struct braid_address *destination);
/* Sends any bytes over the first path. */
void peer_send_bytes(struct peer *peer, const void *bytes, size_t length);

/* An INIT or INIT ACK with the peer's numbers; parameters may follow, then chunk_end(). */
size_t peer_begin_init(struct peer *peer, uint8_t type);
void peer_send_init(struct peer *peer);
/* An INIT ACK with the State Cookie "biscuit"; the INIT was `expect()`ed before. */
void peer_send_init_ack(struct peer *peer);
void peer_send_cookie_echo(struct peer *peer);
/* A packet with one chunk of nothing but its header. */
void peer_send_plain(struct peer *peer, uint8_t type, uint8_t flags);
void peer_send_shutdown(struct peer *peer, uint32_t cumulative_tsn_ack);

/* DATA whose bytes follow from `tsn`; `flags` are enum sctp_data_flag. */
void peer_pattern(uint32_t tsn, uint8_t *bytes, size_t length);
enum { WHOLE = SCTP_DATA_FLAG_BEGINNING | SCTP_DATA_FLAG_ENDING };
void peer_write_data(struct peer *peer, uint32_t tsn, uint16_t stream, uint16_t ssn, uint8_t flags,
                     size_t length);
void peer_send_data(struct peer *peer, uint32_t tsn, uint16_t stream, uint16_t ssn, uint8_t flags,
                    size_t length);

/* SACK with the peer's a_rwnd; gaps as pairs of offsets, `gaps` of them. */
void peer_send_sack(struct peer *peer, uint32_t cumulative_tsn_ack);
void peer_send_sack_gaps(struct peer *peer, uint32_t cumulative_tsn_ack, unsigned int gaps,
                         const struct sctp_gap_ack_block *blocks);

/* ---- What the engine sent ---------------------------------------------------------------------
 */

/*
 * The next packet that the engine sent has these chunks, by name, with spaces between; NONE: it
 * sent nothing more. Returns the packet, which stays.
 */
#define expect(peer, chunks) expect_packet(peer, chunks, __FILE__, __LINE__)
const struct sent *expect_packet(struct peer *peer, const char *chunks, const char *file, int line);
/* Lets time pass until the next packet is sent, or fails after that time. */
#define expect_within(peer, time, chunks)                                                          \
    expect_packet_within(peer, time, chunks, __FILE__, __LINE__)
const struct sent *expect_packet_within(struct peer *peer, braid_time time, const char *chunks,
                                        const char *file, int line);
/* The next packet is sent `time` from now: not earlier, and later by no more than SLACK. */
#define expect_after(peer, time, chunks) expect_packet_after(peer, time, chunks, __FILE__, __LINE__)
const struct sent *expect_packet_after(struct peer *peer, braid_time time, const char *chunks,
                                       const char *file, int line);
/* Nothing is sent for so long. */
#define expect_silence(peer, time) expect_silence_for(peer, time, __FILE__, __LINE__)
void expect_silence_for(struct peer *peer, braid_time time, const char *file, int line);
/* Takes all that was sent until now; how many packets. */
size_t peer_skip(struct peer *peer);
/* The next unseen packet without a look at what it is; NULL: none. */
const struct sent *peer_next(struct peer *peer);

/* The first chunk of a type in a packet, which has one. */
struct sctp_chunk sent_chunk(const struct sent *sent, uint8_t type);
/* The same, read. */
struct sctp_init sent_init(const struct sent *sent);
struct sctp_sack sent_sack(const struct sent *sent);
struct sctp_data sent_data(const struct sent *sent, unsigned int index);
struct sctp_data sent_i_data(const struct sent *sent, unsigned int index);
/* How many chunks of a type it has. */
unsigned int sent_count(const struct sent *sent, uint8_t type);
/* The error cause of an ABORT or ERROR, which has it. */
struct sctp_parameter sent_cause(const struct sent *sent, uint16_t code);
/* True if an ABORT or ERROR has the cause. */
bool sent_has_cause(const struct sent *sent, uint16_t code);
/* A parameter of an INIT or INIT ACK; false if it has none of the type. */
bool sent_parameter(const struct sent *sent, uint16_t type, struct sctp_parameter *parameter);
/* The SACK says this. */
void assert_sack(const struct sent *sent, uint32_t cumulative_tsn_ack, unsigned int gaps,
                 unsigned int duplicates);

/* ---- Events and messages ----------------------------------------------------------------------
 */

/* The first event of a type that was not taken yet; fails without one. */
const struct braid_event *expect_event(struct peer *peer, enum braid_event_type type);
/* No event of this type is left. */
void expect_no_event(struct peer *peer, enum braid_event_type type);
/* The association ended for this reason, with this first cause. */
const struct braid_event *expect_down(struct peer *peer, enum braid_down_reason reason);

/* A message of the stream can be read, and is what peer_write_data() wrote for `tsn`. */
void expect_message(struct peer *peer, uint16_t stream, uint32_t tsn, size_t length);
void expect_no_message(struct peer *peer);

/* ---- An association ---------------------------------------------------------------------------
 */

/* The engine listens, the peer sets it up. The engine's INIT ACK is read. */
void peer_accept(struct peer *peer);
/* The peer's half of it, as often as needed. */
void peer_handshake(struct peer *peer);
/* The engine sets it up. */
void peer_connect(struct peer *peer);
/* Only as far as braid_connect(): an INIT is on its way. */
void peer_start_connect(struct peer *peer);
/* Answers the INIT that was sent, and reads the cookie echoed. State: COOKIE-ECHOED. */
void peer_answer_init(struct peer *peer);

/* Sends a message of `length` bytes on a stream. */
int peer_user_send(struct peer *peer, uint16_t stream, size_t length);
int peer_user_send_flags(struct peer *peer, uint16_t stream, size_t length, uint16_t flags);

struct braid_association_info peer_info(struct peer *peer);
struct braid_path_info peer_path(struct peer *peer, uint32_t path);
enum braid_state peer_state(struct peer *peer);
struct braid_parameters *peer_association_parameters(struct peer *peer);

/* Path Maximum DATA Chunk Size (RFC 9260, 1.2). */
uint32_t peer_pmdcs(const struct peer *peer);

#endif
