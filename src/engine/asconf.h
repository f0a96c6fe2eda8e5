/*
 * Address reconfiguration: what asconf.c and asconf_peer.c give to the rest of the engine.
 *
 * RFC 5061. An association has a `struct asconf` once both sides offered it, or once the addresses
 * of its endpoint changed: from then on it has a list of its own addresses for itself.
 */
#ifndef ENGINE_ASCONF_H
#define ENGINE_ASCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "engine/timer.h"
#include "packet/chunks.h"

struct arrival;
struct sctp_association;
struct sctp_endpoint;
struct sctp_path;

#define ASCONF_LOCAL_MAXIMUM 64     /* own addresses of one association */
#define ASCONF_REQUESTS_MAXIMUM 128 /* that wait */
#define ASCONF_BUNDLE_MAXIMUM 14    /* requests in one chunk: it fits the smallest MTU (C5) */
#define ASCONF_ACKS_MAXIMUM 8       /* ASCONF ACKs that are kept to be repeated */
#define ASCONF_ACK_MAXIMUM 1024     /* bytes of one */

enum local_address_state {
    LOCAL_ACTIVE,   /* the peer knows it */
    LOCAL_ADDING,   /* packets to it are ours, but none come from it yet (5.3, F1) */
    LOCAL_DELETING, /* the same while it goes (F4) */
};

struct local_address {
    struct braid_address address;
    enum local_address_state state;
};

/* What the peer is to be asked: SCTP_PARAMETER_ADD_IP, _DELETE_IP or _SET_PRIMARY. */
struct asconf_request {
    uint16_t type;
    bool failed; /* while an ASCONF ACK is read */
    uint32_t correlation_id;
    struct braid_address address;
};

/* An ASCONF ACK of ours: a whole chunk. */
struct asconf_ack {
    uint32_t serial_number;
    uint16_t length; /* 0: none */
    bool send;
    uint8_t bytes[ASCONF_ACK_MAXIMUM];
};

struct asconf {
    struct sctp_association *association;
    bool capable;
    bool no_address_requests, no_primary_requests; /* the peer does not understand them (F3) */

    struct local_address *local; /* NULL: as the endpoint says */
    uint32_t local_count;

    struct asconf_request *requests; /* the first `outstanding` of them were sent */
    uint32_t request_count, outstanding;
    uint32_t next_serial, next_correlation_id;
    bool send;
    struct sctp_path *path; /* over which they were sent, or are to be */
    struct timer t4;

    uint32_t peer_serial; /* of the last ASCONF that was acted upon */
    bool packet_had_asconf;
    struct asconf_ack *acks; /* ASCONF_ACKS_MAXIMUM; made with the first ASCONF */
    uint32_t next_ack;
};

/* ---- asconf.c ---- */

/* Both sides' offers are known: makes or empties it. NULL stays NULL without memory, or `capable`.
 */
void asconf_begin_association(struct sctp_association *association, bool capable,
                              uint32_t local_initial_tsn, uint32_t peer_initial_tsn);
void asconf_free(struct sctp_association *association);
/* A path goes away. */
void asconf_forget_path(struct sctp_association *association, const struct sctp_path *path);

/* Packets to this address are for the association. */
bool association_has_address(const struct sctp_association *association,
                             const struct braid_address *address);
/* Its packets may come from it. */
bool association_may_send_from(const struct sctp_association *association,
                               const struct braid_address *address);
/* Copies its own addresses, returns how many it copied. */
size_t association_list_addresses(const struct sctp_association *association,
                                  struct braid_address *addresses, size_t capacity);
/* For want of a better one: the first address of a family that may be sent from, best one that the
 * host has; no family if there is none, or the host may choose. */
struct braid_address association_first_source(const struct sctp_association *association,
                                              uint16_t family);
/* Data and the like have to wait: for an address to send from, or one to send to (F1, F14). */
bool asconf_holds_back(const struct sctp_association *association);
bool asconf_is_mute(const struct sctp_association *association);
/* An ABORT to this address means nothing (5.3.1). */
bool asconf_is_deleting(const struct sctp_association *association,
                        const struct braid_address *address);

/* The addresses of its endpoint are about to change from the old ones, which are still there. */
void asconf_keep_addresses(struct sctp_association *association);
void asconf_change_address(struct sctp_association *association,
                           const struct braid_address *address, bool add);

/* The path of an ASCONF that is due; NULL: none. */
struct sctp_path *asconf_path(struct sctp_association *association);
/* Writes it; gives the source of its packet. */
void asconf_write(struct sctp_association *association, struct packet_writer *writer,
                  struct braid_address *source);
void asconf_timeout(struct asconf *asconf); /* T4-rto */
void asconf_receive_ack(struct sctp_association *association, const struct sctp_chunk *chunk);
/* The peer does not know the chunk (A9). */
void asconf_refused(struct sctp_association *association);

/* ---- asconf_peer.c ---- */

void asconf_receive(struct sctp_association *association, struct arrival *arrival,
                    const struct sctp_chunk *chunk);
/* After the chunks of a packet: sends the answers. */
void asconf_packet_done(struct sctp_association *association, const struct arrival *arrival);

#endif
