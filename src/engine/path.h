/*
 * A path to one of the peer's addresses: its timeout, its congestion window, its size.
 *
 * RFC 9260, sections 5.4, 6.3, 6.4, 7.2, 7.3, 8; RFC 7829 (quick failover); RFC 8899 (path MTU
 * without ICMP).
 */
#ifndef ENGINE_PATH_H
#define ENGINE_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "braid/engine.h"
#include "engine/numbers.h"
#include "engine/timer.h"
#include "packet/chunks.h"

struct arrival;
struct sctp_association;

/* RFC 8899. All sizes are of IP packets. */
struct plpmtud {
    uint32_t interval; /* ms; after many of them it is tried whether more passes; 0: off */
    uint32_t probed;   /* the size that is tried now, or was last */
    uint32_t limit;    /* what is larger is not tried */
    uint8_t lost;      /* probes of this size */
    bool wanted, outstanding;
    uint64_t nonce;
    struct timer timer; /* until a probe is lost, or what is larger is tried */
};

/* What said that a path is alive. */
enum path_answer { PATH_CHUNK_ANSWERED, PATH_DATA_ANSWERED, PATH_HEARTBEAT_ANSWERED };

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
    uint64_t heartbeat_nonce;     /* of the last HEARTBEAT; 0: it was answered */
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
    uint32_t flight;      /* bytes of DATA chunks with header and padding */
    uint32_t earliest;    /* no TSN before it is in flight here; valid if any is */
    uint32_t burst_sacks; /* Max.Burst (6.1, D): so many bursts may leave before the next SACK */
    uint32_t burst_sent;  /* bytes that did */
    braid_time burst_began;
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

/* ---- path.c ---- */

void path_update_rtt(struct sctp_path *path, braid_time rtt);
void path_back_off(struct sctp_path *path);
/* An answer failed to come (8.1, 8.2). False if the association is down now. */
bool path_failed(struct sctp_path *path, bool counts_for_association);
/* The peer answered over it. */
void path_answered(struct sctp_path *path, enum path_answer answer);
void path_confirm(struct sctp_path *path);
void path_tell(struct sctp_path *path, enum braid_path_change change);
/* The peer would have it as the primary path (RFC 5061, 5.4). */
void path_prefer(struct sctp_path *path);
/* Bytes from the common header on that fit a packet. */
uint32_t path_packet_size(const struct sctp_path *path);
/* RFC 9260, section 1.5: PMDCS. */
uint32_t path_maximum_data_chunk_size(const struct sctp_path *path);
uint32_t path_mtu_minimum(const struct sctp_path *path);
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
bool congestion_permits_burst(struct sctp_path *path);

/* ---- plpmtud.c ---- */

/* The path is there, or its interval is another. */
void plpmtud_start(struct sctp_path *path);
void plpmtud_stop(struct sctp_path *path);
/* DATA was not answered: it may have been too long. */
void plpmtud_doubt(struct sctp_path *path);
/* What is small arrives again: what was lost before says nothing of sizes. */
void plpmtud_recover(struct sctp_path *path);
/* ICMP says that this is the MTU of a link on the way. */
void plpmtud_too_big(struct sctp_path *path, uint32_t mtu);
void plpmtud_timeout(struct sctp_path *path);
/* Fills a packet of the size that is tried. */
void plpmtud_write(struct sctp_path *path, struct packet_writer *writer);
/* True if it answers a probe. */
bool plpmtud_receive_ack(struct sctp_association *association,
                         const struct sctp_heartbeat *heartbeat);

#endif
