/* The engine: SCTP (RFC 9260) without I/O, without a clock, without threads.
 *
 * An engine is one SCTP host. It is fed packets and the time, and is asked what to send and when to
 * wake it. Everything it needs from outside (time, randomness, routes) is passed in, so a run can
 * be repeated exactly, and two engines in one process never meet.
 *
 *     braid_engine_receive(engine, packets, count, now);          packets came
 *     braid_engine_timeout(engine, now);                          the named time has come
 *     while (braid_engine_transmit(engine, &batch, now)) ...      send what is due
 *     while (braid_engine_next_event(engine, &event)) ...         tell the user
 *     sleep until braid_engine_next_timeout(engine) or a packet
 *
 * The order is free, but whatever was called that takes `now`, packets may be due after it, and
 * events there to be told: transmit, ask, and only then sleep. docs/guide/12-embedding.md is a walk
 * through all of it.
 *
 * An endpoint is a local port with its addresses (RFC 9260, 1.3); associations belong to endpoints.
 * Both are named by identifiers, which are never 0 and are not soon used again.
 *
 * Functions that can fail return a negative errno value: those that each names. Of an identifier
 * that is nobody's they say ENOENT, unless they name ENOTCONN or EINVAL. Ports and all numbers are
 * in host byte order; addresses are bytes in network order. No function blocks, and none calls the
 * user back but to `random` and `route`. An engine may be used by one thread at a time; several
 * engines share nothing. Structures may grow until version 1: compile with the header of the
 * library.
 */
#ifndef BRAID_ENGINE_H
#define BRAID_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/address.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BRAID_PUBLIC __attribute__((visibility("default")))

/* A point in time: microseconds on any clock that never goes back. */
typedef uint64_t braid_time;
#define BRAID_TIME_NEVER UINT64_MAX

struct braid_engine;

/* ---- The protocol's parameters --------------------------------------------------------------- */

#define BRAID_AUTH_CHUNKS_MAXIMUM 20 /* chunk types of our own CHUNKS parameter */

/* RFC 9260, section 16, by their names there, then those of Braid. Times are in milliseconds. An
 * endpoint has a set that its future associations start from; each association has its own. */
struct braid_parameters {
    uint32_t rto_initial;                    /* RTO.Initial: 1000 */
    uint32_t rto_min;                        /* RTO.Min: 1000 */
    uint32_t rto_max;                        /* RTO.Max: 60000 */
    uint32_t rto_alpha_shift;                /* RTO.Alpha as 1/2^n: 3, that is 1/8 */
    uint32_t rto_beta_shift;                 /* RTO.Beta as 1/2^n: 2, that is 1/4 */
    uint32_t max_burst;                      /* Max.Burst: 4 packets; 0: no limit */
    uint32_t valid_cookie_life;              /* Valid.Cookie.Life: 60000 */
    uint32_t association_max_retrans;        /* Association.Max.Retrans: 10 */
    uint32_t path_max_retrans;               /* Path.Max.Retrans: 5 */
    uint32_t max_init_retransmits;           /* Max.Init.Retransmits: 8 */
    uint32_t potentially_failed_max_retrans; /* PotentiallyFailed.Max.Retrans (RFC 7829): 0. As
                                              large as path_max_retrans: no such state */
    uint32_t primary_switchover_max_retrans; /* Primary.Switchover.Max.Retrans (RFC 7829): 65535,
                                              which is never */
    uint32_t hb_interval;                    /* HB.interval: 30000; 0: no heartbeats */
    uint32_t hb_max_burst;                   /* HB.Max.Burst: 1 */
    uint32_t sack_delay;                     /* SACK.Delay: 200, at most 500; 0: no delay */
    uint32_t sack_frequency;                 /* packets between two SACKs: 2 */
    uint32_t max_init_timeout;               /* the RTO's limit while setting up; 0: RTO.Max */
    uint32_t shutdown_guard;                 /* T5-shutdown-guard; 0: five times RTO.Max */
    uint32_t autoclose;                      /* idle time after which to shut down; 0: never */
    uint32_t receive_buffer;                 /* bytes; the a_rwnd that is promised at first */
    uint32_t send_buffer;                    /* bytes of user data taken but not yet acknowledged */
    uint32_t partial_delivery_point;         /* bytes of a message that start its delivery; 0: only
                                                when the receive buffer cannot hold it whole */
    uint32_t maximum_segment;       /* user bytes in one DATA chunk; 0: as the path MTU says */
    uint32_t path_mtu;              /* MTU of new paths; 0: as the route says, else 1500. With the
                                       IP header: over DTLS, what DTLS carries plus 20 (IPv4) */
    uint32_t adaptation_indication; /* sent if adaptation_given (RFC 5061, 4.2.6) */
    uint16_t outbound_streams;      /* asked for: 10 */
    uint16_t inbound_streams;       /* accepted at most: 65535 */
    bool no_delay;                  /* do not hold back small chunks (RFC 9260, 6.1) */
    bool cookie_preservative;       /* ask for a longer cookie life when it was stale */
    bool adaptation_given;
    bool disable_fragments;   /* EMSGSIZE in place of fragmentation */
    bool path_mtu_discovery;  /* set DF and believe ICMP: on */
    bool authentication;      /* offer AUTH (RFC 4895): off */
    uint8_t auth_hmac_count;  /* HMAC identifiers in order of preference: 1 and 3, */
    uint16_t auth_hmacs[4];   /*   SHA-1 and SHA-256. SHA-1 must be among them */
    uint8_t auth_chunk_count; /* types of chunks that the peer must authenticate */
    uint8_t auth_chunks[BRAID_AUTH_CHUNKS_MAXIMUM];
    bool partial_reliability;   /* offer FORWARD TSN (RFC 3758): on */
    bool interleaving;          /* offer I-DATA (RFC 8260): off. Then pieces of messages of several
                                   streams come between each other */
    bool asconf;                /* offer ASCONF (RFC 5061), with `authentication`: off */
    bool auto_asconf;           /* bound to all addresses of the host: tell the peer when
                                   they change. Off */
    bool reconfig;              /* offer RE-CONFIG (RFC 6525): off */
    uint8_t reconfig_permitted; /* enum braid_reconfig_kind: what the peer may ask for, and we: 0 */
    /* ms: it is tried whether packets of full size arrive (RFC 8899), and after thirty of these
     * intervals whether larger ones do; 0: never */
    uint32_t probe_interval;
    bool ecn; /* offer ECN (RFC 4960, appendix A): off */
    /* What finds damaged packets in place of CRC32c, below the engine: BRAID_ERROR_DETECTION_DTLS,
     * or another number that the peer knows. With a peer that has the same, packets go without
     * CRC32c, both ways as far as both say so (RFC 9653). 0, nothing does: never */
    uint32_t error_detection_method;
    uint8_t scheduler;     /* enum braid_scheduler: first come, first served */
    uint8_t traffic_class; /* DSCP and ECN byte of packets */
    uint8_t time_to_live;  /* of packets over IPv4; 0: the host's */
    uint8_t hop_limit;     /* of packets over IPv6; 0: the host's */
    uint8_t priority;      /* of packets in the host's queues; 0: as others */
    uint32_t interface;    /* index of the only one that packets leave and come in by, or of a
                              device that it is enslaved to; 0: any */
};

#define BRAID_ERROR_DETECTION_DTLS 1 /* SCTP over DTLS (RFC 8261) */

/* The values of RFC 9260, section 16. */
BRAID_PUBLIC void braid_parameters_default(struct braid_parameters *parameters);

/* ---- The engine -------------------------------------------------------------------------------
 */

struct braid_engine_config {
    /* Fills `bytes` with random bytes. Cookies, tags and nonces rest on it: give the kernel's
     * getrandom(), or a seeded generator in a simulation. Must not fail. */
    void (*random)(void *context, void *bytes, size_t length);

    /* Chooses the source address of packets to `destination` and tells the MTU of the route, as a
     * host's routing table does, for packets that leave by `interface` (0: any). May be NULL: then
     * the endpoint's own addresses decide. Returns false if there is no route. */
    bool (*route)(void *context, const struct braid_address *destination, uint32_t interface,
                  struct braid_address *source, uint32_t *mtu);

    void *context; /* passed to both */

    uint32_t maximum_associations; /* 0: 1,048,576. Further ones are refused */
    uint32_t secret_lifetime;      /* ms until the cookie's key is changed; 0: one hour */
    uint16_t encapsulation_port;   /* our own UDP port (RFC 6951), 0 if packets go over IP */
};

/* Makes an engine; `now` is its first time. NULL if there is no memory. Free with
 * braid_engine_free(), which ends everything without sending. */
BRAID_PUBLIC struct braid_engine *braid_engine_new(const struct braid_engine_config *config,
                                                   braid_time now);
BRAID_PUBLIC void braid_engine_free(struct braid_engine *engine);

/* The host's addresses: what an endpoint bound to "any" lists in its INIT, subject to scope
 * (RFC 9260, 5.1.2). Copied. Peers of associations with `auto_asconf` are told what changed. To be
 * called also when routes may have changed: each path looks up its source and MTU again. */
BRAID_PUBLIC int braid_engine_set_addresses(struct braid_engine *engine,
                                            const struct braid_address *addresses, size_t count,
                                            braid_time now);

/* ---- Packets ----------------------------------------------------------------------------------
 */

/* A received packet: the SCTP common header and what follows it. Not kept after the call. */
struct braid_packet {
    const void *bytes;
    size_t length;
    struct braid_address source, destination;
    uint16_t encapsulation_port; /* the UDP port it came from; 0 if it came over IP */
    bool congestion_experienced; /* the IP header's ECN field said CE */
    bool checksum_good;          /* the link vouches for it; CRC32c is not computed */
    uint32_t interface;          /* index of the one that it came in by; 0: not known */
    uint32_t master;             /* of the device that this one is enslaved to; 0: none */
};

/* Takes packets that arrived together; SACKs are decided once, after the last of them. */
BRAID_PUBLIC void braid_engine_receive(struct braid_engine *engine,
                                       const struct braid_packet *packets, size_t count,
                                       braid_time now);

#define BRAID_LOAN_MAXIMUM 16

/* Large payloads that have their places in packets, but were not copied there: they stand in the
 * messages that they are of. */
struct braid_loan {
    size_t count;
    struct braid_lent {
        uint8_t *place;
        const uint8_t *bytes;
        size_t length;
    } payloads[BRAID_LOAN_MAXIMUM];
};

/* Packets to send, all from one address to one other. They stand back to back in `bytes`; each has
 * `segment_size` bytes but the last, which may be shorter: one UDP_SEGMENT call. */
struct braid_batch {
    /* set by the caller */
    uint8_t *bytes;
    size_t capacity;         /* at least 65,535 */
    size_t maximum_packets;  /* at least 1 */
    bool finish_later;       /* leave CRC32c to braid_batch_finish(), */
    struct braid_loan *loan; /* and large payloads; NULL: no payloads */
    /* set by the engine */
    size_t count;
    size_t length;
    size_t segment_size;
    struct braid_address source; /* unspecified (family 0): let the host choose */
    struct braid_address destination;
    uint16_t encapsulation_port; /* the UDP port to send to; 0: over IP */
    uint8_t traffic_class;
    uint8_t hop_limit; /* or time to live; 0: the host's */
    bool dont_fragment;
    uint8_t priority;
    uint32_t interface; /* to leave by; 0: as the host's routes say */
    bool checksum_zero; /* they have no CRC32c: the peer accepts them without (RFC 9653) */
};

/* Builds what is due now. False when nothing is left to send. */
BRAID_PUBLIC bool braid_engine_transmit(struct braid_engine *engine, struct braid_batch *batch,
                                        braid_time now);

/* Completes packets that were built with `finish_later`, before anything else is asked of the
 * engine. Who learns only from the batch where it goes does not pay for what is not needed. */
BRAID_PUBLIC void braid_batch_finish(struct braid_batch *batch);

/* As braid_engine_receive(), for packets of the engine's own that were not finished: they go from
 * one of its associations to another. Their checksums have to be called good. */
BRAID_PUBLIC void braid_engine_receive_own(struct braid_engine *engine,
                                           const struct braid_packet *packets, size_t count,
                                           const struct braid_loan *loan, braid_time now);

/* When braid_engine_timeout() is next to be called, BRAID_TIME_NEVER if no timer runs. Calling it
 * too early or too late does no harm. */
BRAID_PUBLIC braid_time braid_engine_next_timeout(const struct braid_engine *engine);
BRAID_PUBLIC void braid_engine_timeout(struct braid_engine *engine, braid_time now);

/* An ICMP message about a packet of ours (RFC 9260, section 10). `quoted` is the SCTP packet that
 * it quotes, as far as it does. Ignored unless ports and Verification Tag fit an association. */
enum braid_icmp { BRAID_ICMP_UNREACHABLE, BRAID_ICMP_PROTOCOL_UNREACHABLE, BRAID_ICMP_TOO_BIG };
BRAID_PUBLIC void braid_engine_icmp(struct braid_engine *engine, enum braid_icmp kind, uint32_t mtu,
                                    const struct braid_address *destination, const void *quoted,
                                    size_t length, braid_time now);

/* ---- Endpoints --------------------------------------------------------------------------------
 */

/* What the associations of one user of the engine hold together: messages that are sent and not yet
 * acknowledged, and messages that are received and not yet released. When three quarters are full
 * braid_send() answers ENOBUFS: the rest is for what comes, and the windows that peers are told
 * shrink with it. It is the caller's, and stays until the endpoints that have it are closed. */
struct braid_account {
    uint64_t bytes, maximum;
};

struct braid_endpoint_config {
    uint16_t port;                         /* 0: an unused one is chosen */
    const struct braid_address *addresses; /* none: all of the host */
    size_t address_count;
    bool ipv4, ipv6; /* families for "all of the host" */
    bool share_port; /* EADDRINUSE is not raised against another that shares */
    bool free_bind;  /* `addresses` may be such that the host does not have, or not yet */
    const struct braid_parameters *parameters; /* NULL: the defaults */
    const struct braid_keys *keys; /* each future association starts with a copy of them;
                                      stays the caller's. NULL: the empty key 0 */
    struct braid_account *account; /* of its associations; NULL: none */
    void *user;                    /* the caller's own */
};

/* EADDRINUSE, EADDRNOTAVAIL (an address that the host does not have), ENOMEM. */
BRAID_PUBLIC int braid_endpoint_open(struct braid_engine *engine,
                                     const struct braid_endpoint_config *config,
                                     uint32_t *endpoint);
/* Aborts the associations that are left. */
BRAID_PUBLIC void braid_endpoint_close(struct braid_engine *engine, uint32_t endpoint,
                                       braid_time now);
/* Takes new associations from peers: at most `backlog` at a time that were not yet claimed by
 * braid_association_claim() or braid_association_move(). 0: none, INIT is answered by ABORT. */
BRAID_PUBLIC int braid_endpoint_listen(struct braid_engine *engine, uint32_t endpoint,
                                       uint32_t backlog);
BRAID_PUBLIC uint16_t braid_endpoint_port(const struct braid_engine *engine, uint32_t endpoint);
BRAID_PUBLIC void *braid_endpoint_user(const struct braid_engine *engine, uint32_t endpoint);
/* Parameters of future associations; may be changed in place. */
BRAID_PUBLIC struct braid_parameters *braid_endpoint_parameters(struct braid_engine *engine,
                                                                uint32_t endpoint);
/* Changes the addresses of an endpoint that is bound to some: at least one must stay. Peers that
 * have ASCONF are told (RFC 5061); other associations go on with those that they had.
 * EINVAL (no address, or bound to all of the host), EADDRNOTAVAIL, ENOMEM. */
BRAID_PUBLIC int braid_endpoint_set_addresses(struct braid_engine *engine, uint32_t endpoint,
                                              const struct braid_address *addresses, size_t count,
                                              braid_time now);
/* Copies up to `capacity` addresses, returns how many there are. */
BRAID_PUBLIC size_t braid_endpoint_addresses(const struct braid_engine *engine, uint32_t endpoint,
                                             struct braid_address *addresses, size_t capacity);

/* ---- Associations -----------------------------------------------------------------------------
 */

/* Starts an association (RFC 9260, 5.1). The first address that answers becomes the primary path.
 * If the peer calls at the same time, from and to the same ports, it is one association, and
 * neither need listen (5.2.1).
 * `encapsulation_port`: the peer's UDP port, 0 for IP. BRAID_EVENT_UP or BRAID_EVENT_DOWN tells the
 * outcome; messages may be sent at once, and leave with the COOKIE ECHO.
 * EINVAL, EADDRNOTAVAIL, ENETUNREACH, EISCONN (there is one to that peer), ENOBUFS, ENOMEM. */
BRAID_PUBLIC int braid_connect(struct braid_engine *engine, uint32_t endpoint,
                               const struct braid_address *addresses, size_t count, uint16_t port,
                               uint16_t encapsulation_port, braid_time now, uint32_t *association);

/* Ends gracefully: what was sent is delivered first (RFC 9260, 9.2). Before it is up there is
 * nobody to deliver to, and it ends at once. ENOTCONN: it has ended. */
BRAID_PUBLIC int braid_shutdown(struct braid_engine *engine, uint32_t association, braid_time now);

/* Ends at once (RFC 9260, 9.1). `reason` is given to the peer as a User-Initiated Abort cause.
 * Copied. ENOTCONN: it has ended. */
BRAID_PUBLIC int braid_abort(struct braid_engine *engine, uint32_t association, const void *reason,
                             size_t length, braid_time now);

/* Gives back an identifier after BRAID_EVENT_DOWN, which each association needs; before it,
 * braid_abort() first. What was received and not read is gone. */
BRAID_PUBLIC void braid_association_release(struct braid_engine *engine, uint32_t association,
                                            braid_time now);

/* The user has taken an incoming association: it no longer counts against the backlog. */
BRAID_PUBLIC int braid_association_claim(struct braid_engine *engine, uint32_t association);
/* Makes another endpoint its owner: accept and peel-off. Claims it too. EINVAL: the ports differ.
 */
BRAID_PUBLIC int braid_association_move(struct braid_engine *engine, uint32_t association,
                                        uint32_t endpoint);

BRAID_PUBLIC void *braid_association_user(const struct braid_engine *engine, uint32_t association);
BRAID_PUBLIC int braid_association_set_user(struct braid_engine *engine, uint32_t association,
                                            void *user);
/* Its own parameters; may be changed in place. What was agreed at setup stays. NULL: no such one.
 */
BRAID_PUBLIC struct braid_parameters *braid_association_parameters(struct braid_engine *engine,
                                                                   uint32_t association);

/* Finds the association of an endpoint with a peer's address and port; 0 if there is none. */
BRAID_PUBLIC uint32_t braid_association_find(const struct braid_engine *engine, uint32_t endpoint,
                                             const struct braid_address *peer, uint16_t port);
/* The first identifier greater than `after`, of any endpoint if `endpoint` is 0; 0 at the end. */
BRAID_PUBLIC uint32_t braid_association_next(const struct braid_engine *engine, uint32_t endpoint,
                                             uint32_t after);

enum braid_state {
    BRAID_CLOSED,
    BRAID_COOKIE_WAIT,
    BRAID_COOKIE_ECHOED,
    BRAID_ESTABLISHED,
    BRAID_SHUTDOWN_PENDING,
    BRAID_SHUTDOWN_SENT,
    BRAID_SHUTDOWN_RECEIVED,
    BRAID_SHUTDOWN_ACK_SENT,
};
/* "ESTABLISHED" and so on, as RFC 9260 spells them. */
BRAID_PUBLIC const char *braid_state_name(enum braid_state state);

struct braid_association_info {
    uint32_t endpoint;
    enum braid_state state;
    uint16_t local_port, peer_port;
    uint16_t inbound_streams, outbound_streams;
    uint32_t local_tag, peer_tag;
    uint32_t peer_rwnd;          /* what we think the peer can still take, bytes */
    uint32_t local_rwnd;         /* what we would advertise now, bytes */
    uint32_t outstanding_chunks; /* DATA chunks sent and not acknowledged */
    uint32_t outstanding_bytes;  /* the same in bytes of user data */
    uint32_t queued_bytes;       /* user data taken and not acknowledged: against send_buffer */
    uint32_t unread_messages;    /* whole messages ready to be read */
    uint32_t unread_bytes;
    uint32_t receive_chunks_waiting; /* received DATA chunks not yet given to the user */
    uint32_t fragmentation_point;    /* user bytes that fit one DATA chunk */
    uint32_t path_count;
    uint32_t primary_path; /* index */
    uint32_t error_count;  /* RFC 9260, 8.1 */
    bool incoming;         /* the peer began */
    bool writable;         /* queued_bytes is below send_buffer */
    bool peer_adaptation_given;
    bool partial_reliability;        /* both sides have FORWARD TSN (RFC 3758) */
    bool interleaving;               /* both sides have I-DATA (RFC 8260) */
    bool reconfig;                   /* both sides have RE-CONFIG (RFC 6525) */
    bool ecn;                        /* both sides have ECN (RFC 4960, appendix A) */
    bool accepts_zero_checksum;      /* the peer was told so (RFC 9653) */
    bool peer_accepts_zero_checksum; /* packets go out without CRC32c */
    uint32_t peer_adaptation;
    /* counters since it came up */
    uint64_t packets_sent, packets_received, bytes_sent, bytes_received;
    uint64_t messages_sent, messages_received, chunks_retransmitted, chunks_duplicate, sacks_sent,
        sacks_received, fast_retransmits, t3_expirations, heartbeats_sent, heartbeats_acknowledged,
        forward_tsns_sent, forward_tsns_received,
        ecn_reductions; /* how often a marked packet lowered a cwnd */
};
BRAID_PUBLIC int braid_association_info(const struct braid_engine *engine, uint32_t association,
                                        struct braid_association_info *info);

enum braid_path_state {
    BRAID_PATH_UNCONFIRMED,
    BRAID_PATH_ACTIVE,
    BRAID_PATH_INACTIVE,
    BRAID_PATH_POTENTIALLY_FAILED, /* RFC 7829: carries no data while another is active */
};
/* "POTENTIALLY-FAILED" and so on. */
BRAID_PUBLIC const char *braid_path_state_name(enum braid_path_state state);

struct braid_path_info {
    struct braid_address address; /* the peer's */
    struct braid_address source;  /* ours; family 0 if the host chooses */
    uint16_t encapsulation_port;
    enum braid_path_state state;
    bool primary;
    uint32_t srtt, rttvar, rto;      /* microseconds */
    uint32_t cwnd, ssthresh, flight; /* bytes */
    uint32_t partial_bytes_acked;
    uint32_t mtu;            /* of the IP packet */
    uint32_t probe_interval; /* ms (RFC 8899); 0: it is not tried */
    uint32_t error_count;
    uint32_t hb_interval; /* ms */
    uint32_t path_max_retrans;
    uint32_t potentially_failed_max_retrans, primary_switchover_max_retrans;
    uint32_t sack_delay; /* ms; of DATA that comes over it */
    bool path_mtu_discovery;
    uint8_t traffic_class;
    uint64_t packets_sent, bytes_sent, packets_received, bytes_received;
};
BRAID_PUBLIC int braid_path_info(const struct braid_engine *engine, uint32_t association,
                                 uint32_t path, struct braid_path_info *info);
/* The index of a peer's address; ENOENT if it is not one of the association's. An index may be
 * another path's after BRAID_PATH_REMOVED. */
BRAID_PUBLIC int braid_path_find(const struct braid_engine *engine, uint32_t association,
                                 const struct braid_address *peer);
/* RFC 9260, 11.1: SETPRIMARY. */
BRAID_PUBLIC int braid_path_set_primary(struct braid_engine *engine, uint32_t association,
                                        uint32_t path, braid_time now);
/* RFC 9260, 11.1: REQUESTHEARTBEAT. ENOTCONN: it is not up. */
BRAID_PUBLIC int braid_path_request_heartbeat(struct braid_engine *engine, uint32_t association,
                                              uint32_t path, braid_time now);
/* RFC 9260, 11.1: CHANGEHEARTBEAT, SETFAILURETHRESHOLD and the like, for one path. -1: leave. */
struct braid_path_settings {
    int64_t hb_interval; /* ms; 0: no heartbeats */
    int64_t path_max_retrans;
    int64_t mtu;                                                            /* fixed; 0: discover */
    int64_t potentially_failed_max_retrans, primary_switchover_max_retrans; /* RFC 7829 */
    int64_t probe_interval;     /* ms (RFC 8899); 0: off */
    int64_t encapsulation_port; /* until a packet comes from another; 0: over IP (RFC 6951) */
    /* of these also BRAID_AS_ASSOCIATION, which they are at first */
    int64_t sack_delay;         /* ms */
    int64_t path_mtu_discovery; /* 0 or 1 */
    int64_t traffic_class;
};
#define BRAID_AS_ASSOCIATION (-2) /* as the association's parameters say, now and later */
#define BRAID_PATH_SETTINGS_UNCHANGED                                                              \
    ((struct braid_path_settings){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1})
BRAID_PUBLIC int braid_path_configure(struct braid_engine *engine, uint32_t association,
                                      uint32_t path, const struct braid_path_settings *settings,
                                      braid_time now);

/* Its own addresses: those that the peer was told (RFC 9260, 5.1.2), and those that it is being
 * told (RFC 5061). Copies up to `capacity`, returns how many it copied. */
BRAID_PUBLIC size_t braid_association_addresses(const struct braid_engine *engine,
                                                uint32_t association,
                                                struct braid_address *addresses, size_t capacity);

/* Asks the peer to send to this address of ours (RFC 5061, 4.2.4).
 * ENOTCONN, EOPNOTSUPP (the peer does not have ASCONF), EADDRNOTAVAIL, ENOBUFS (too many wait). */
BRAID_PUBLIC int braid_association_set_peer_primary(struct braid_engine *engine,
                                                    uint32_t association,
                                                    const struct braid_address *local,
                                                    braid_time now);

/* ---- Authentication: RFC 4895 -----------------------------------------------------------------
 */

/* A ring of endpoint pair shared keys (RFC 4895, 6.1) with their identifiers, one of which is
 * active: that one authenticates what is sent. A new ring is a copy of `from`, or (NULL) has the
 * empty key 0 only. NULL: no memory. */
struct braid_keys;
BRAID_PUBLIC struct braid_keys *braid_keys_new(const struct braid_keys *from);
BRAID_PUBLIC void braid_keys_free(struct braid_keys *keys);
/* Adds a key, or replaces it. The bytes are copied. EINVAL (longer than 65,535 bytes), ENOMEM. */
BRAID_PUBLIC int braid_keys_set(struct braid_keys *keys, uint16_t identifier, const void *bytes,
                                size_t length);
/* RFC 6458, 8.1.18, 8.3.4, 8.3.5. A deactivated key is not for new messages any more.
 * EINVAL: there is no such key; the active one is not to be deactivated or deleted, a deactivated
 * one not to be activated. */
enum braid_key_change { BRAID_KEY_ACTIVATE, BRAID_KEY_DEACTIVATE, BRAID_KEY_DELETE };
BRAID_PUBLIC int braid_keys_change(struct braid_keys *keys, enum braid_key_change change,
                                   uint16_t identifier);
BRAID_PUBLIC uint16_t braid_keys_active(const struct braid_keys *keys);

/* The same for one association. EACCES: the peer does not have AUTH, or is not known yet. When
 * nothing is bound to a deactivated key any more, BRAID_EVENT_AUTHENTICATION tells. */
BRAID_PUBLIC int braid_association_set_key(struct braid_engine *engine, uint32_t association,
                                           uint16_t identifier, const void *bytes, size_t length);
BRAID_PUBLIC int braid_association_change_key(struct braid_engine *engine, uint32_t association,
                                              enum braid_key_change change, uint16_t identifier);

struct braid_authentication_info {
    bool capable; /* both sides have AUTH; all else is zero if not */
    bool asconf;  /* and ASCONF (RFC 5061) */
    uint16_t active_key;
    uint16_t hmac; /* identifier of the one that we use */
    uint16_t local_chunk_count, peer_chunk_count;
    uint8_t local_chunks[256]; /* types that the peer must authenticate */
    uint8_t peer_chunks[256];  /* types that we must */
};
BRAID_PUBLIC int braid_association_authentication(const struct braid_engine *engine,
                                                  uint32_t association,
                                                  struct braid_authentication_info *info);

/* ---- Sending ----------------------------------------------------------------------------------
 */

enum braid_send_flags {
    BRAID_SEND_UNORDERED = 1,        /* RFC 9260, 6.6 */
    BRAID_SEND_SACK_IMMEDIATELY = 2, /* RFC 7053 */
    BRAID_SEND_OVER_PATH = 4,        /* prefer `path` to the primary */
    BRAID_SEND_KEY = 64,             /* authenticate with `key`, not with the active one */
    BRAID_SEND_MORE = 128,           /* more follows: unless a packet is full, nothing new is sent
                                        before a message without it, or braid_shutdown() */
};

/* When a message is abandoned though it was sent (RFC 3758, 4.1; RFC 7496, section 3). It is not,
 * if the peer does not have FORWARD TSN. */
enum braid_policy {
    BRAID_POLICY_NONE,            /* after its lifetime, if it has one */
    BRAID_POLICY_LIFETIME,        /* the same, and counted in braid_abandoned */
    BRAID_POLICY_RETRANSMISSIONS, /* once a chunk was retransmitted `limit` times, and is lost again
                                   */
    BRAID_POLICY_PRIORITY,        /* when the send buffer is full for a message that goes before it:
                                     with a lower `limit`, or without this policy */
    BRAID_POLICY_COUNT,
};

struct braid_send {
    uint16_t stream;
    uint16_t flags;    /* enum braid_send_flags */
    uint32_t ppid;     /* as the number whose network order stands in the packet */
    uint32_t context;  /* comes back in BRAID_EVENT_SEND_FAILED */
    uint32_t lifetime; /* ms after which it is not begun to be sent; 0: unlimited */
    uint32_t path;     /* with BRAID_SEND_OVER_PATH */
    uint16_t key;      /* with BRAID_SEND_KEY: identifier of a shared key (RFC 4895) */
    uint16_t policy;   /* enum braid_policy */
    uint32_t limit;    /* of the policy, if it is not about time */
};

/* Sends one user message. The bytes are copied, once. A message is taken whole as long as
 * queued_bytes is below send_buffer, even if it passes it.
 * The next braid_engine_transmit() sends what may be sent: call it before you sleep.
 * EAGAIN (no room; BRAID_EVENT_WRITABLE follows), EINVAL (stream, empty message, flags, key),
 * EMSGSIZE (disable_fragments), EPIPE (shut down), ENOTCONN, ENOBUFS (the account is full; no event
 * follows), ENOMEM. */
BRAID_PUBLIC int braid_send(struct braid_engine *engine, uint32_t association,
                            const struct braid_send *send, const void *bytes, size_t length,
                            braid_time now);

/* How many bytes of send_buffer are free. 0 only if braid_send() would answer EAGAIN:
 * BRAID_EVENT_WRITABLE follows then, too. ENOENT. */
BRAID_PUBLIC int braid_association_room(struct braid_engine *engine, uint32_t association,
                                        uint32_t *room);

/* Which stream's message is sent next: RFC 8260, section 3. */
enum braid_scheduler {
    BRAID_SCHEDULER_FIRST_COME,  /* in the order they came */
    BRAID_SCHEDULER_PRIORITY,    /* of the stream whose value is lowest; among equals in turns */
    BRAID_SCHEDULER_ROUND_ROBIN, /* of each stream in turn */
};
/* Streams begin with the value 0 when the scheduler changes, and only that by priority keeps one.
 * ENOENT, EINVAL (no such scheduler; no such stream), ENOMEM. */
BRAID_PUBLIC int braid_association_set_scheduler(struct braid_engine *engine, uint32_t association,
                                                 enum braid_scheduler scheduler);
BRAID_PUBLIC enum braid_scheduler braid_association_scheduler(const struct braid_engine *engine,
                                                              uint32_t association);
BRAID_PUBLIC int braid_association_set_stream_value(struct braid_engine *engine,
                                                    uint32_t association, uint16_t stream,
                                                    uint16_t value);
BRAID_PUBLIC int braid_association_stream_value(const struct braid_engine *engine,
                                                uint32_t association, uint16_t stream,
                                                uint16_t *value);

/* Messages that were abandoned, by policy: RFC 7496, 4.3 and 4.4. */
struct braid_abandoned {
    uint64_t unsent[BRAID_POLICY_COUNT]; /* before any part was sent */
    uint64_t sent[BRAID_POLICY_COUNT];
};
#define BRAID_ALL_STREAMS UINT32_MAX
/* Those of one outbound stream, or of all. ENOENT, EINVAL (there is no such stream). */
BRAID_PUBLIC int braid_association_abandoned(const struct braid_engine *engine,
                                             uint32_t association, uint32_t stream,
                                             struct braid_abandoned *abandoned);

/* ---- Streams: RFC 6525 ------------------------------------------------------------------------
 */

/* What may be asked for, as bits of `reconfig_permitted`. */
enum braid_reconfig_kind {
    BRAID_RECONFIG_STREAMS = 1,     /* the numbering of streams begins anew */
    BRAID_RECONFIG_ASSOCIATION = 2, /* that of all streams and of the TSNs */
    BRAID_RECONFIG_ADD_STREAMS = 4,
};
enum braid_reset_direction { BRAID_RESET_INCOMING = 1, BRAID_RESET_OUTGOING = 2 };
#define BRAID_RESET_BYTES_MAXIMUM 65000 /* of stream numbers in one request */

/* Asks the peer for it. The outcome is told by BRAID_EVENT_STREAMS_RESET, _ASSOCIATION_RESET or
 * _STREAMS_ADDED: one event for each direction. Until then messages of the streams concerned wait.
 * `directions`: enum braid_reset_direction. A `count` of 0 means all streams.
 * ENOTCONN, EOPNOTSUPP (the peer does not have it, or it is not permitted), EINPROGRESS (another
 * request is outstanding), EINVAL (no direction, no such streams, more than 65,535 streams), EAGAIN
 * (messages wait to be sent on the streams to be reset; for an association: any are
 * unacknowledged), ENOMEM. No event tells that EAGAIN or EINPROGRESS has passed: try again after
 * the packets that come. */
BRAID_PUBLIC int braid_reset_streams(struct braid_engine *engine, uint32_t association,
                                     unsigned int directions, const uint16_t *streams, size_t count,
                                     braid_time now);
BRAID_PUBLIC int braid_reset_association(struct braid_engine *engine, uint32_t association,
                                         braid_time now);
BRAID_PUBLIC int braid_add_streams(struct braid_engine *engine, uint32_t association,
                                   uint16_t outgoing, uint16_t incoming, braid_time now);

/* ---- Receiving --------------------------------------------------------------------------------
 */

enum braid_receive_flags {
    BRAID_RECEIVE_UNORDERED = 1,
    BRAID_RECEIVE_END = 2,   /* the message's last piece (always, but in partial delivery) */
    BRAID_RECEIVE_BEGIN = 4, /* its first piece */
};

/* A user message, or a piece of one in partial delivery (RFC 9260, 6.9; RFC 6458, 6.1.7). */
struct braid_received {
    const uint8_t *bytes;
    uint32_t length;
    uint16_t stream;
    uint16_t ssn; /* 0 if unordered */
    uint32_t ppid;
    uint32_t tsn; /* of its first chunk */
    uint32_t cumulative_tsn;
    uint16_t flags;
    void *message; /* the engine's own */
};

/* The next message of the association, in the order of arrival. 1: got one. 0: none.
 * The bytes are the caller's until braid_received_release(). Their room is not given back to the
 * peer's window before then. */
BRAID_PUBLIC int braid_receive(struct braid_engine *engine, uint32_t association,
                               struct braid_received *received, braid_time now);
/* Gives the buffer back. The association may be gone. */
BRAID_PUBLIC void braid_received_release(struct braid_engine *engine,
                                         struct braid_received *received, braid_time now);
/* Bytes that were released but still stand unread in a queue of the caller's: subtracted from
 * a_rwnd until told otherwise. 1: little of that is left, so the peer may be waiting; the
 * engine should be told again as soon as some of them are read. */
BRAID_PUBLIC int braid_association_hold(struct braid_engine *engine, uint32_t association,
                                        uint32_t bytes, braid_time now);

/* ---- Events -----------------------------------------------------------------------------------
 */

enum braid_event_type {
    BRAID_EVENT_UP = 1,        /* COMMUNICATION UP: established; `incoming` if the peer began */
    BRAID_EVENT_DOWN,          /* it ended, or could not start: see `reason`. Nothing follows */
    BRAID_EVENT_RESTART,       /* RESTART: the peer began anew */
    BRAID_EVENT_READABLE,      /* DATA ARRIVE: braid_receive() has something, and had nothing. Read
                                  until it says 0: what comes before that is not told. Or a_rwnd
                                  became small: how much is held (braid_association_hold()) now? */
    BRAID_EVENT_WRITABLE,      /* room again, after an EAGAIN or none */
    BRAID_EVENT_PATH,          /* NETWORK STATUS CHANGE: see `path`, `path_change` */
    BRAID_EVENT_SEND_FAILED,   /* SEND FAILURE: a message that the peer did not acknowledge whole */
    BRAID_EVENT_REMOTE_ERROR,  /* COMMUNICATION ERROR: an ERROR chunk; `bytes` is one cause */
    BRAID_EVENT_PEER_SHUTDOWN, /* the peer sent SHUTDOWN: no more can be sent */
    BRAID_EVENT_DRY,           /* everything sent was acknowledged */
    BRAID_EVENT_PARTIAL_DELIVERY_ABORTED, /* the rest of a begun message will not come */
    BRAID_EVENT_ADAPTATION,               /* the peer's Adaptation Layer Indication, in `value` */
    BRAID_EVENT_AUTHENTICATION,    /* RFC 4895, RFC 6458, 6.1.8: see `authentication`, `key` */
    BRAID_EVENT_STREAMS_RESET,     /* RFC 6525: see `outcome`; those that the peer sends on if
                                      `incoming`, else ours. `bytes` are uint16_t; none: all */
    BRAID_EVENT_ASSOCIATION_RESET, /* `outcome`, `next_tsn_sent`, `next_tsn_received` */
    BRAID_EVENT_STREAMS_ADDED,     /* `outcome`, `outbound_streams`, `inbound_streams` more */
};

enum braid_down_reason {
    BRAID_DOWN_SHUTDOWN = 1,    /* graceful, from either side */
    BRAID_DOWN_ABORTED_BY_USER, /* braid_abort(), braid_endpoint_close() */
    BRAID_DOWN_ABORTED_BY_PEER, /* an ABORT came; its causes are in `bytes` */
    BRAID_DOWN_LOST,            /* Association.Max.Retrans was passed */
    BRAID_DOWN_CANNOT_START,    /* Max.Init.Retransmits was passed */
    BRAID_DOWN_PROTOCOL,        /* we aborted it: the peer broke the protocol; cause in `bytes` */
};

enum braid_path_change {
    BRAID_PATH_AVAILABLE = 1,
    BRAID_PATH_UNREACHABLE,
    BRAID_PATH_REMOVED,
    BRAID_PATH_ADDED,
    BRAID_PATH_MADE_PRIMARY,
    BRAID_PATH_CONFIRMED,
    BRAID_PATH_SUSPECTED, /* it is potentially failed (RFC 7829) */
    BRAID_PATH_RECOVERED, /* and active again, without having been unreachable */
};

/* RFC 6458, section 6.1.8. */
enum braid_authentication_indication {
    BRAID_AUTHENTICATION_NEW_KEY = 1, /* the peer uses another key than before: `key` */
    BRAID_AUTHENTICATION_FREE_KEY,    /* nothing is bound to the deactivated `key` any more */
    BRAID_AUTHENTICATION_NONE,        /* it came up without AUTH */
};

enum braid_reconfig_outcome {
    BRAID_RECONFIG_PERFORMED,
    BRAID_RECONFIG_DENIED,
    BRAID_RECONFIG_FAILED
};

struct braid_event {
    enum braid_event_type type;
    uint32_t association;
    uint32_t endpoint;
    bool incoming;                                       /* UP, STREAMS_RESET */
    enum braid_down_reason reason;                       /* DOWN */
    struct braid_address address;                        /* PATH: the peer's */
    enum braid_path_change path_change;                  /* PATH */
    enum braid_authentication_indication authentication; /* AUTHENTICATION */
    uint16_t key;   /* AUTHENTICATION: identifier of a shared key */
    uint16_t cause; /* DOWN, REMOTE_ERROR: the first cause code, 0 if none;
                       SEND_FAILED: that of the end, 0 if there is none */
    uint32_t value; /* ADAPTATION; PARTIAL_DELIVERY_ABORTED: stream; PATH: 1: DATA was acknowledged,
                       2: a HEARTBEAT */
    uint16_t ssn;   /* PARTIAL_DELIVERY_ABORTED */
    enum braid_reconfig_outcome outcome;       /* STREAMS_RESET, ASSOCIATION_RESET, STREAMS_ADDED */
    uint32_t next_tsn_sent, next_tsn_received; /* ASSOCIATION_RESET */
    uint16_t outbound_streams, inbound_streams; /* STREAMS_ADDED */
    bool unsent;                                /* SEND_FAILED: no part of it was ever sent */
    struct braid_send send;                     /* SEND_FAILED: as it was sent, */
    uint32_t segment;                           /*   so many bytes in a DATA chunk at most */
    const uint8_t *bytes; /* DOWN, REMOTE_ERROR: whole causes as on the wire; SEND_FAILED: the
                             message; STREAMS_RESET: in host byte order. Valid until the next
                             braid_engine_next_event() */
    size_t length;
};

/* The next thing that happened. False if there is none. They are kept until they are asked for, so
 * other functions may be called between two. */
BRAID_PUBLIC bool braid_engine_next_event(struct braid_engine *engine, struct braid_event *event);

/* ---- Counters ---------------------------------------------------------------------------------
 */

/* RFC 3873 calls most of these sctpStats. */
struct braid_statistics {
    uint64_t packets_received, packets_sent;
    uint64_t bytes_received, bytes_sent;
    uint64_t bad_checksum;    /* packets with a CRC32c that does not fit */
    uint64_t bad_packet;      /* packets with a malformed chunk or header */
    uint64_t bad_tag;         /* packets whose Verification Tag does not fit (8.5) */
    uint64_t out_of_the_blue; /* packets of no association (8.4) */
    uint64_t bad_cookie;      /* COOKIE ECHOs that we did not make */
    uint64_t stale_cookie;
    uint64_t unknown_chunks, unknown_parameters;
    uint64_t bad_authentication;     /* AUTH chunks with a bad MAC, an unknown key or HMAC */
    uint64_t unauthenticated_chunks; /* dropped for want of AUTH (RFC 4895, 6.3) */
    uint64_t asconf_refused;         /* requests of peers that were refused (RFC 5061) */
    uint64_t asconf_ignored;         /* ASCONF, ASCONF ACK: repeated or out of order */
    uint64_t addresses_refused;   /* that peers listed: not unicast, ours, of no reach, too many */
    uint64_t bad_heartbeat_ack;   /* HEARTBEAT ACKs that were not asked for, or too late (5.4) */
    uint64_t associations_opened; /* by us */
    uint64_t associations_accepted; /* by the peer */
    uint64_t associations_aborted, associations_shut_down;
    uint64_t associations_refused; /* for a limit */
    uint64_t data_dropped;         /* DATA beyond the window or a limit */
    uint64_t associations_now;
};
BRAID_PUBLIC void braid_engine_statistics(const struct braid_engine *engine,
                                          struct braid_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
