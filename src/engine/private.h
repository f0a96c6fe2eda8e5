/*
 * What the files of the engine share: an engine, its endpoints, associations, paths, and the two
 * halves of data transfer.
 *
 * RFC 9260, section 13 (the Transmission Control Block) lists most of what stands here. Which file
 * does what:
 *
 *   engine.c     time, packets in and out, events      table.c        finding things
 *   endpoint.c   ports, addresses, listening           association.c  life, and the user's calls
 *   setup.c      section 5: INIT to COOKIE ACK         cookie.c       5.1.3: the State Cookie
 *   input.c      8.4, 8.5, and the chunks              icmp.c         section 10
 *   teardown.c   section 9: shutdown, abort            heartbeat.c    8.3, 5.4
 *   path.c       6.3, 8.1, 8.2: RTO, failures          congestion.c   7.2
 *   sender.c     6.1: messages and outstanding TSNs    sack.c, gaps.c 6.2.1, 7.2.4
 *   receiver.c   6.2: DATA and the SACKs for it        reassembly.c   6.5, 6.6, 6.9
 *   output.c     6.10: what goes into a packet      auth.c, keys.c  RFC 4895 (auth.h)
 *   asconf.c, asconf_peer.c  RFC 5061 (asconf.h)       abandon.c      RFC 3758, RFC 7496
 *   reconfig.c, reconfig_peer.c, reconfig_response.c  RFC 6525 (reconfig.h)
 *   schedule.c   RFC 8260, section 3               ecn.c          RFC 4960, appendix A
 *   plpmtud.c    RFC 8899
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "braid/engine.h"
#include "engine/asconf.h"
#include "engine/auth.h"
#include "engine/list.h"
#include "engine/pool.h"
#include "engine/reconfig.h"
#include "engine/timer.h"
#include "packet/chunks.h"

/* Serial numbers of 32 and 16 bits (RFC 9260, section 1.6). */
static inline bool tsn_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool ssn_before(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b) < 0;
}

static inline uint32_t minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t maximum(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline braid_time milliseconds(uint64_t value)
{
    return value * 1000;
}

#define ECN_CAPABLE_TRANSPORT 2 /* ECT(0) (RFC 3168, section 5) */
#define ECNE_LENGTH 8           /* and of CWR */
#define ADDRESSES_MAXIMUM 32    /* of one endpoint or peer that setup looks at */
#define A_RWND_MINIMUM 1500     /* of INIT and INIT ACK (RFC 9260, 3.3.2) */
#define COOKIE_LENGTH_MAXIMUM 2048
#define CAUSES_MAXIMUM 1200    /* bytes of error causes that one ABORT or ERROR carries */
#define CAUSES_TOLD_MAXIMUM 16 /* error causes of one packet that the user hears of */
#define PACKET_MAXIMUM 65535u  /* an IP packet */
#define BATCH_MAXIMUM 65487u   /* of one UDP_SEGMENT call: an IPv6 packet's payload without UDP */
#define PACKET_MINIMUM 1280u   /* what our own control packets never exceed */
#define RESPONSES_MAXIMUM 4096 /* packets that wait to answer others */
#define DUPLICATES_MAXIMUM 32  /* duplicate TSNs that one SACK reports */
#define OUTSTANDING_MAXIMUM 65535u /* gap ack blocks reach no further (RFC 9260, 3.3.4) */

/* ---- Paths: sections 6.3, 7, 8 ---- */

/* RFC 8899. All sizes are of IP packets. */
struct plpmtud {
    uint32_t interval; /* ms between two rounds; 0: off */
    uint32_t probed;   /* the size that is tried now; 0: none */
    uint32_t limit;    /* what is larger is not tried */
    uint32_t rounds;
    uint8_t lost; /* probes of this size */
    bool wanted, outstanding;
    uint64_t nonce;
    struct timer timer; /* until a probe is lost, or the next round */
};

struct sctp_path {
    struct sctp_association *association;
    struct sctp_path *next_hashed; /* table.c: by ports and the peer's address */
    struct braid_address address;  /* the peer's */
    struct braid_address source;   /* ours; no family: the host chooses */
    uint16_t encapsulation_port;
    uint8_t index; /* in association->paths */
    uint8_t state; /* enum braid_path_state */
    bool route_known;
    bool preferred;             /* to be the primary once it is confirmed (RFC 5061, 5.4) */
    bool mtu_fixed;             /* the user said it */
    bool heartbeat_wanted;      /* to be sent now */
    bool heartbeat_outstanding; /* sent, not yet answered */
    bool after_timeout;         /* section 7.2.1: one packet in flight until one is acknowledged */
    bool rtt_measured;          /* srtt and rttvar are valid */
    bool rtt_running;           /* rtt_tsn is being measured */
    uint32_t mtu;               /* of the IP packet */
    uint32_t route_mtu;         /* what the host's route said last, */
    struct braid_address route_source; /* for both */

    struct plpmtud plpmtud;
    struct timer t3_rtx;
    struct timer heartbeat_timer; /* until the next HEARTBEAT, or until one is taken as lost */
    uint64_t heartbeat_nonce;
    braid_time heartbeat_sent;
    uint32_t hb_interval; /* ms */

    uint32_t srtt, rttvar, rto; /* microseconds */
    uint32_t rtt_tsn;
    braid_time rtt_sent;
    uint32_t error_count, path_max_retrans;
    uint32_t potentially_failed_max_retrans, primary_switchover_max_retrans;
    struct { /* what the user wants of this path, or BRAID_AS_ASSOCIATION */
        int32_t sack_delay;
        int16_t traffic_class;
        int8_t mtu_discovery;
    } own;

    uint32_t cwnd, ssthresh, partial_bytes_acked;
    uint32_t flight;       /* bytes of DATA chunks with header and padding */
    uint32_t earliest;     /* no TSN before it is in flight here; valid if any is */
    uint32_t burst_sacks;  /* Max.Burst (6.1, D): so many bursts may leave before the next SACK */
    uint32_t burst_sent;   /* bytes that did */
    braid_time last_data;  /* when DATA was last sent: section 7.2.1, idle */
    uint8_t traffic_class; /* of the last DATA */
    /* while one SACK is processed */
    uint32_t acknowledged; /* bytes newly acknowledged */
    uint32_t acknowledged_packets;
    uint32_t flight_before;
    bool earliest_acknowledged; /* its lowest outstanding TSN was */
    bool lost;                  /* its cwnd is to be lowered */
    bool answered;              /* something that went over no other path was acknowledged */

    uint64_t packets_sent, bytes_sent, packets_received, bytes_received;
};

/* ---- Sending data: sections 6.1, 6.2.1, 6.9, 7 ---- */

/* A user message on its way out. Its fragments point into it. */
struct sent_message {
    struct sent_message *next; /* in the queue of those not yet wholly sent */
    struct shared_key *key;    /* RFC 4895; NULL: the active one */
    uint32_t length;
    uint32_t begun; /* bytes that were given a TSN */
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
        struct sctp_skipped_stream skipped; /* abandoned: what FORWARD TSN tells of it */
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
    uint32_t numbered;  /* messages with an SSN that are not cumulatively acknowledged */

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

/* ---- Receiving data: sections 6.2, 6.5, 6.6, 6.9 ---- */

/* Received user data: one chunk that waits for others, or a message that is growing or whole. */
struct received_data {
    struct received_data *next;
    uint32_t allocated; /* bytes of the whole allocation */
    uint32_t length;
    uint32_t ppid;
    uint32_t tsn;                 /* of the first chunk */
    uint32_t run_first, run_last; /* at the ends of a run of chunks of one message: the whole run */
    uint16_t stream, ssn;
    uint8_t flags;        /* enum sctp_data_flag: B, E, U */
    uint32_t association; /* whose window it closes */
    uint8_t bytes[];
};

#define STREAM_PAGE 64
struct inbound_stream {
    struct received_data *waiting, *waiting_last; /* whole messages, in the order of their SSN */
    uint16_t next_ssn;
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

/* ---- Associations ---- */

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
    bool partial_reliability; /* both sides have FORWARD TSN (RFC 3758) */
    bool peer_adaptation_given;
    uint32_t peer_adaptation;
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

/* ---- Endpoints and the engine ---- */

struct sctp_endpoint {
    uint32_t id;
    uint16_t port;
    struct sctp_port *of_port;
    struct list port_link;     /* of the port's endpoints */
    struct list listener_link; /* of the port's listeners */
    struct list associations;
    void *user;
    struct braid_parameters parameters;
    const struct braid_keys *keys;   /* NULL: none */
    struct braid_account *account;   /* NULL: none */
    struct braid_address *addresses; /* none: all of the host */
    uint32_t address_count;
    bool ipv4, ipv6;
    bool share_port;
    uint32_t backlog, unclaimed;
};

/* All endpoints of one port. */
struct sctp_port {
    struct sctp_port *next;
    uint16_t port;
    uint32_t endpoint_count, exclusive_count;
    struct list endpoints, listeners;
};

/* Identifiers: an index with a number that changes with every use of it. */
struct identifier_table {
    struct identifier_slot {
        void *object;        /* NULL: free */
        uint32_t identifier; /* of the object, or of the next one */
        uint32_t next_free;
    } * slots;
    uint32_t count, capacity, maximum;
    uint32_t first_free, last_free; /* the longest free comes first; 0: none */
};

/* A packet that answers another, ready to be sent. */
struct response {
    struct response *next;
    struct braid_address source, destination;
    uint16_t encapsulation_port;
    uint8_t traffic_class, hop_limit;
    uint16_t length, capacity;
    uint8_t bytes[];
};

struct event_node {
    struct event_node *next;
    struct braid_event event;
    struct sent_message *message; /* SEND_FAILED: holds the bytes */
    size_t allocated;
    uint8_t bytes[];
};

#define COOKIE_KEY_LENGTH 32

struct braid_engine {
    struct braid_engine_config config;
    braid_time now;
    struct timer_wheel wheel;
    struct pool pool;

    struct identifier_table associations, endpoints;
    struct sctp_path **path_hash;
    uint32_t path_hash_size, path_hash_count;
    uint64_t hash_key[2];
    struct sctp_port *ports[1024];

    struct list ready, touched;
    struct response *first_response, *last_response;
    uint32_t response_count;
    struct braid_batch kept; /* packets that were built and did not fit the batch; count 0: none */
    struct event_node *first_event, *last_event, *told_event;

    struct braid_address *addresses;
    uint32_t address_count;

    uint8_t cookie_keys[2][COOKIE_KEY_LENGTH]; /* the present one and the one before */
    braid_time cookie_key_made;
    struct spent_tag *spent_tags; /* cookie.c; NULL: none yet */

    struct braid_statistics statistics;

    /* While a packet is processed: the causes of the ERROR that answers it. */
    uint8_t error_bytes[CAUSES_MAXIMUM];
    struct packet_writer errors;
    /* and the packet that answers it at once: not more than one (12.4) */
    struct response *reply; /* NULL: none */
    struct packet_writer reply_writer;
    bool reply_forbidden; /* an ABORT is in it: nothing answers (9.1) */
};

/* A packet while it is processed. */
struct arrival {
    const struct braid_packet *packet;
    struct braid_address source, destination; /* normalised */
    struct sctp_common_header header;
    struct sctp_path *path; /* it came over; NULL: the source is not one of the association's */
    bool data_seen, new_data_seen, duplicate_seen;
    uint32_t causes_told;
    bool heartbeat_seen;           /* its answer goes back to where it came from */
    const struct sctp_chunk *auth; /* AUTH in front of a COOKIE ECHO (RFC 4895, 6.3) */
    bool authenticated;            /* the chunks that follow stand behind a good AUTH */
};

/* ---- table.c ---- */

int identifier_table_init(struct identifier_table *table, uint32_t maximum);
/* The new identifier, or 0: the table is full or memory is. */
uint32_t identifier_add(struct identifier_table *table, void *object);
void *identifier_find(const struct identifier_table *table, uint32_t identifier);
/* The first one greater than `after`. */
void *identifier_next(const struct identifier_table *table, uint32_t after);
void identifier_remove(struct identifier_table *table, uint32_t identifier);

int path_hash_add(struct braid_engine *engine, struct sctp_path *path);
void path_hash_remove(struct braid_engine *engine, struct sctp_path *path);
/* The path of the association of these ports to `peer`, that has `local` among its own addresses.
 * NULL for `local`: any. NULL for `endpoint`: any. */
struct sctp_path *path_hash_find(const struct braid_engine *engine,
                                 const struct sctp_endpoint *endpoint,
                                 const struct braid_address *local, uint16_t local_port,
                                 const struct braid_address *peer, uint16_t peer_port);
struct sctp_port *port_find(const struct braid_engine *engine, uint16_t port);

/* ---- engine.c ---- */

void random_bytes(struct braid_engine *engine, void *bytes, size_t length);
uint32_t random_u32(struct braid_engine *engine);
/* Never 0 (5.3.1). */
uint32_t random_tag(struct braid_engine *engine);

/* Queues an event, with a copy of `bytes`. */
void event_add(struct braid_engine *engine, const struct braid_event *event, const void *bytes,
               size_t length);
void event_send_failed(struct sctp_association *association, struct sent_message *message);

/* Begins a packet that answers; NULL if too many wait already. Fill it through `writer`, then
 * response_send(). */
struct response *response_begin(struct braid_engine *engine, struct packet_writer *writer,
                                size_t capacity, const struct sctp_common_header *header);
/* Completes it and queues it: back to where `arrival` came from. */
/* What the user wants of all packets, for one that response_send() takes next. */
void response_take_parameters(struct response *response, const struct braid_parameters *parameters,
                              const struct arrival *arrival);
void response_send(struct braid_engine *engine, struct response *response,
                   struct packet_writer *writer, const struct arrival *arrival);
/* The same for a path. */
void response_send_over(struct response *response, struct packet_writer *writer,
                        struct sctp_path *path);

/* ---- endpoint.c ---- */

struct sctp_endpoint *endpoint_find(const struct braid_engine *engine, uint32_t identifier);
bool endpoint_has_address(const struct sctp_endpoint *endpoint,
                          const struct braid_address *address);
/* Is it the host's? */
bool engine_has_address(const struct braid_engine *engine, const struct braid_address *address);
/* May an address that a peer names be its own? One that reaches less far than the one it speaks
 * from leads to somebody else (5.1.2, B), an IPv6 link-local one nowhere without its link; ours is
 * the peer's only if it lives here. */
bool endpoint_peer_may_have(const struct braid_engine *engine, const struct braid_address *address,
                            const struct arrival *arrival);
/* The host's addresses become these, which the engine takes: peers of endpoints that are bound to
 * all of them, and have auto_asconf, are told. All paths look up their routes. */
void endpoints_change_host(struct braid_engine *engine, struct braid_address *addresses,
                           uint32_t count);
/* The listener that an INIT or COOKIE ECHO for these goes to. */
struct sctp_endpoint *endpoint_find_listener(const struct braid_engine *engine, uint16_t port,
                                             const struct braid_address *address);
/* The addresses that are told to `peer` (5.1.2): those that reach as far as it, of families that
 * both have. Returns how many. */
size_t endpoint_list_addresses(const struct braid_engine *engine,
                               const struct sctp_endpoint *endpoint,
                               const struct braid_address *peer, bool ipv4, bool ipv6,
                               struct braid_address *addresses, size_t capacity);

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
/* Sends an ABORT with these error causes, then ends. NULL: none. */
void association_abort(struct sctp_association *association, enum braid_down_reason reason,
                       const struct packet_writer *causes);
/* The same for a peer that broke the protocol in a way that has no cause of its own. */
void association_abort_violation(struct sctp_association *association);
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

/* ---- setup.c ---- */

void setup_start(struct sctp_association *association);
void setup_write_init(struct sctp_association *association, struct packet_writer *writer);
void setup_timeout(struct sctp_association *association); /* T1-init, T1-cookie */
/* An INIT: `association` is the one that it seems to belong to, or NULL. */
void setup_receive_init(struct braid_engine *engine, struct arrival *arrival,
                        const struct sctp_chunk *chunk, struct sctp_association *association);
void setup_receive_init_ack(struct sctp_association *association, struct arrival *arrival,
                            const struct sctp_chunk *chunk);
/* Returns the association to which the rest of the packet belongs, NULL if it is to be discarded.
 */
struct sctp_association *setup_receive_cookie_echo(struct braid_engine *engine,
                                                   struct arrival *arrival,
                                                   const struct sctp_chunk *chunk,
                                                   struct sctp_association *association);
void setup_receive_cookie_ack(struct sctp_association *association);
void setup_receive_stale_cookie(struct sctp_association *association, uint32_t staleness);
/* An ABORT back to where the packet came from, not of an association (5.1, 8.4). NULL: no cause. */
void abort_statelessly(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                       bool tag_reflected, const struct packet_writer *causes);
/* Where an INIT ACK from an unknown address belongs to, by the addresses that it lists. */
struct sctp_association *setup_find_by_addresses(const struct braid_engine *engine,
                                                 const struct arrival *arrival,
                                                 const struct sctp_chunk *chunk);

/* ---- cookie.c ---- */

/* What the State Cookie (5.1.3) carries. */
struct cookie {
    braid_time created;
    uint32_t life; /* ms */
    uint32_t local_tag, peer_tag;
    uint32_t local_tie_tag, peer_tie_tag;
    uint32_t local_initial_tsn, peer_initial_tsn;
    uint32_t peer_rwnd, local_rwnd;
    uint16_t outbound_streams, inbound_streams;
    uint16_t local_port, peer_port;
    uint16_t encapsulation_port;
    bool adaptation_given;
    bool asconf;              /* the peer has ASCONF */
    bool partial_reliability; /* both have FORWARD TSN */
    bool reconfig;            /* both have RE-CONFIG */
    bool ecn;                 /* both have ECN */
    uint8_t address_count;    /* the peer's, the source of its INIT first */
    uint32_t adaptation;
    struct braid_address local_address;
    struct braid_address addresses[ADDRESSES_MAXIMUM];
    struct authentication_terms local_terms, peer_terms; /* RFC 4895, 6.3 */
};

/* Writes it with its MAC; returns its length, at most COOKIE_LENGTH_MAXIMUM; 0 on failure. */
size_t cookie_write(struct braid_engine *engine, const struct cookie *cookie, uint8_t *bytes);
/* False if it is not one of ours. */
bool cookie_read(struct braid_engine *engine, const uint8_t *bytes, size_t length,
                 struct cookie *cookie);

/* 5.3.1: the association's tag has been used. A cookie that has it is not to make another. */
void cookie_spend(const struct sctp_association *association);
bool cookie_is_spent(const struct braid_engine *engine, uint32_t local_tag);

/* ---- input.c ---- */

void packet_arrived(struct braid_engine *engine, const struct braid_packet *packet);

/* ---- teardown.c ---- */

/* Goes on with a shutdown when all data was acknowledged (9.2). */
void teardown_continue(struct sctp_association *association);
void teardown_timeout(struct sctp_association *association); /* T2-shutdown */
/* A packet with DATA came in SHUTDOWN-SENT. */
void teardown_answer_data(struct sctp_association *association);
void teardown_receive_shutdown(struct sctp_association *association, struct arrival *arrival,
                               const struct sctp_chunk *chunk);
void teardown_receive_shutdown_ack(struct sctp_association *association, struct arrival *arrival);
void teardown_receive_shutdown_complete(struct sctp_association *association);
void teardown_receive_abort(struct sctp_association *association, const struct arrival *arrival,
                            const struct sctp_chunk *chunk);

/* ---- path.c ---- */

void path_update_rtt(struct sctp_path *path, braid_time rtt);
void path_back_off(struct sctp_path *path);
/* An answer failed to come (8.1, 8.2). False if the association is down now. */
bool path_failed(struct sctp_path *path, bool counts_for_association);
/* The peer answered over it. */
void path_answered(struct sctp_path *path);
void path_confirm(struct sctp_path *path);
void path_tell(struct sctp_path *path, enum braid_path_change change);
/* The peer would have it as the primary path (RFC 5061, 5.4). */
void path_prefer(struct sctp_path *path);
/* Bytes from the common header on that fit a packet. */
uint32_t path_packet_size(const struct sctp_path *path);
/* RFC 9260, section 1.5: PMDCS. */
uint32_t path_maximum_data_chunk_size(const struct sctp_path *path);
void path_set_mtu(struct sctp_path *path, uint32_t mtu);
/* Chunks that no longer fit are sent again at once, in packets that may be fragmented (7.3). */
void path_lower_mtu(struct sctp_path *path, uint32_t mtu);
/* The source and MTU that the host's routing table gives now. */
void path_look_up_route(struct sctp_path *path);
/* The one that new data goes over (6.4). */
struct sctp_path *association_data_path(const struct sctp_association *association);
/* The one for an answer: from where the question came (6.4), unless that is unconfirmed (5.4). */
struct sctp_path *association_reply_path(const struct sctp_association *association,
                                         const struct arrival *arrival);
/* What the user said of the path, else of the association. */
uint32_t path_sack_delay(const struct sctp_path *path);
uint8_t path_traffic_class(const struct sctp_path *path);
/* Of packets to an address; 0: the host's. */
uint8_t hop_limit_to(const struct braid_parameters *parameters,
                     const struct braid_address *address);
bool path_discovers_mtu(const struct sctp_path *path);
/* The best of the others; `path` if there is no other that is confirmed. */
struct sctp_path *association_other_path(const struct sctp_association *association,
                                         const struct sctp_path *path);
/* The same if it is as good as `path` (6.4.1). */
struct sctp_path *association_alternate_path(const struct sctp_association *association,
                                             const struct sctp_path *path);

/* ---- heartbeat.c ---- */

void heartbeat_start(struct sctp_path *path);
/* It has become potentially failed (RFC 7829), or is the last hope: a HEARTBEAT each RTO from now
 * on, if none is on its way. */
void heartbeat_hurry(struct sctp_path *path);
void heartbeat_stop_all(struct sctp_association *association);
void heartbeat_timeout(struct sctp_path *path);
void heartbeat_write_request(struct sctp_path *path, struct packet_writer *writer);
void heartbeat_receive(struct sctp_association *association, struct arrival *arrival,
                       const struct sctp_chunk *chunk);
void heartbeat_receive_ack(struct sctp_association *association, const struct sctp_chunk *chunk);

/* ---- congestion.c ---- */

void congestion_init(struct sctp_path *path);
void congestion_acknowledged(struct sctp_path *path, bool cumulative_advanced);
void congestion_loss(struct sctp_path *path);
void congestion_timeout(struct sctp_path *path);
void congestion_before_data(struct sctp_path *path); /* new DATA is going to be sent */
bool congestion_permits_burst(const struct sctp_path *path);

/* ---- sender.c, sack.c ---- */

void sender_init(struct sctp_sender *sender, uint32_t initial_tsn);
/* `tell`: BRAID_EVENT_SEND_FAILED for what was not acknowledged. */
void sender_free(struct sctp_association *association, bool tell);
/* Puts a new message, or one that was held, where it belongs. */
void sender_hold_or_queue(struct sctp_association *association, struct sent_message *message);
/* The next SSN of these streams, of all for a count of 0, is 0. */
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
/* A message was acknowledged: frees it. */
void sender_release(struct sctp_association *association, struct sent_message *message);
/* It is given up: the user gets it back. It is in no queue any more. */
void sender_give_back(struct sctp_association *association, struct sent_message *message);
/* Takes the first message of the queue out of it. */
void sender_drop_first(struct sctp_sender *sender);
/* Gives the rest of the first message of the queue, which has begun, a TSN that is never sent, and
 * takes it out of the queue. False: there is no room. */
bool sender_skip_rest(struct sctp_association *association);
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
/* Begins partial delivery (6.9) if the time for it has come. */
void reassembly_deliver_partially(struct sctp_association *association);
void reassembly_free(struct sctp_association *association, bool keep_messages);
static inline struct received_data **receiver_held(const struct sctp_receiver *receiver,
                                                   uint32_t tsn)
{
    return &receiver->held[tsn & (receiver->map_size - 1)];
}

/* ---- plpmtud.c ---- */

/* The path is there, or its interval is another. */
void plpmtud_start(struct sctp_path *path);
void plpmtud_stop(struct sctp_path *path);
void plpmtud_timeout(struct sctp_path *path);
/* Fills a packet of the size that is tried. */
void plpmtud_write(struct sctp_path *path, struct packet_writer *writer);
/* True if it answers a probe. */
bool plpmtud_receive_ack(struct sctp_association *association,
                         const struct sctp_heartbeat *heartbeat);

/* ---- ecn.c ---- */

/* Packets with DATA say that they may be marked. */
void ecn_mark(const struct sctp_association *association, struct braid_batch *batch);
/* A packet came that was marked. */
void ecn_packet_marked(struct sctp_association *association, const struct arrival *arrival);
void ecn_write_echo(const struct sctp_association *association, struct packet_writer *writer);
void ecn_receive_cwr(struct sctp_association *association, const struct sctp_chunk *chunk);
void ecn_receive_echo(struct sctp_association *association, const struct sctp_chunk *chunk);
void ecn_write_cwr(struct sctp_association *association, struct packet_writer *writer);

/* ---- output.c ---- */

/* Begins the packet that answers `arrival` at once, or goes on with it. NULL: there is no room for
 * so many bytes. */
struct packet_writer *reply_continue(struct sctp_association *association,
                                     const struct arrival *arrival, size_t length);
/* Sends it if it was begun, or there is an ERROR to be sent, with all other control chunks that are
 * due. */
void reply_end(struct sctp_association *association, const struct arrival *arrival);
void reply_drop(struct braid_engine *engine);
bool association_transmit(struct sctp_association *association, struct braid_batch *batch);

#endif
