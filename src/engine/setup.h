/*
 * Making an association: from INIT to COOKIE ACK, and the State Cookie in between.
 *
 * RFC 9260, section 5.
 */
#ifndef ENGINE_SETUP_H
#define ENGINE_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "engine/auth.h"
#include "engine/numbers.h"
#include "packet/chunks.h"

struct arrival;
struct braid_engine;
struct sctp_association;
struct sctp_endpoint;

/* ---- setup_parameters.c ---- */

#define UNRECOGNIZED_MAXIMUM 512 /* bytes that one answer spends on parameters it does not know */

/* What INIT and INIT ACK carry. */
struct init_parameters {
    struct braid_address addresses[ADDRESSES_MAXIMUM]; /* the packet's source first */
    uint8_t address_count;
    bool supported_given, ipv4, ipv6;
    bool adaptation_given;
    uint32_t adaptation;
    bool partial_reliability; /* both sides offer it */
    bool interleaving;        /* both sides list I-DATA */
    bool lists_i_forward_tsn;
    bool lists_asconf, lists_auth; /* in Supported Extensions */
    bool reconfig;                 /* both sides list RE-CONFIG */
    bool ecn;                      /* both sides offer it */
    bool zero_checksum_given;
    bool accepts_zero_checksum;                /* with our error detection method (RFC 9653) */
    uint32_t cookie_preservative;              /* ms */
    bool has_cookie, has_host_name, malformed; /* state_cookie and host_name are valid */
    struct sctp_parameter state_cookie, host_name;
    uint8_t unrecognized[UNRECOGNIZED_MAXIMUM]; /* whole parameters, to be reported */
    size_t unrecognized_length;
    struct authentication_terms terms; /* of the peer; empty: none, or we do not offer it */
};

/* Those of a packet, as far as we have (`own`) the same. */
void setup_read_parameters(struct braid_engine *engine, struct init_parameters *parameters,
                           const struct sctp_init *init, const struct sctp_endpoint *endpoint,
                           const struct arrival *arrival, const struct braid_parameters *own);
bool setup_peer_speaks(const struct init_parameters *parameters, enum braid_family family);
bool setup_offers_asconf(const struct braid_parameters *own);
/* The addresses of ours that the peer is told, unless there is only the one it talks to. */
void setup_write_addresses(struct packet_writer *writer, const struct braid_address *addresses,
                           size_t count, const struct braid_address *talking);
/* Supported Extensions (RFC 5061, 4.2.7). */
struct setup_extensions {
    bool authentication, asconf, reconfig, interleaving, partial_reliability;
};
void setup_write_extensions(struct packet_writer *writer, const struct setup_extensions *offered);

/* ---- setup.c: the side that begins ---- */

void setup_start(struct sctp_association *association);
void setup_write_init(struct sctp_association *association, struct packet_writer *writer);
void setup_timeout(struct sctp_association *association); /* T1-init, T1-cookie */
void setup_receive_init_ack(struct sctp_association *association, struct arrival *arrival,
                            const struct sctp_chunk *chunk);
void setup_receive_cookie_ack(struct sctp_association *association);
void setup_receive_stale_cookie(struct sctp_association *association, uint32_t staleness);
/* Whose an INIT or INIT ACK from an unknown address is, by the addresses that it lists. */
struct sctp_association *setup_find_by_addresses(const struct braid_engine *engine,
                                                 const struct arrival *arrival,
                                                 const struct sctp_chunk *chunk);
/* An address that the peer lists. */
void setup_add_listed(struct sctp_association *association, const struct braid_address *address,
                      const struct braid_address *local, uint16_t encapsulation_port);

/* ---- setup_answer.c ---- */

/* An INIT: `association` is the one that it seems to belong to, or NULL. */
void setup_receive_init(struct braid_engine *engine, struct arrival *arrival,
                        const struct sctp_chunk *chunk, struct sctp_association *association);

/* ---- cookie_echo.c ---- */

/* Returns the association to which the rest of the packet belongs, NULL if it is to be
 * discarded.
 */
struct sctp_association *setup_receive_cookie_echo(struct braid_engine *engine,
                                                   struct arrival *arrival,
                                                   const struct sctp_chunk *chunk,
                                                   struct sctp_association *association);

/* ---- cookie.c ---- */

#define COOKIE_LENGTH_MAXIMUM 2048

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
    bool adaptation_given : 1;
    bool asconf : 1;                /* the peer has ASCONF */
    bool partial_reliability : 1;   /* both have FORWARD TSN */
    bool interleaving : 1;          /* both have I-DATA */
    bool reconfig : 1;              /* both have RE-CONFIG */
    bool ecn : 1;                   /* both have ECN */
    bool accepts_zero_checksum : 1; /* RFC 9653: we do */
    bool peer_accepts_zero_checksum : 1;
    uint8_t address_count; /* the peer's, the source of its INIT first */
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

#endif
