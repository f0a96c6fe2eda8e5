/*
 * A scripted peer that authenticates its chunks (RFC 4895): it computes keys and MACs on its own,
 * with HMAC() over bytes that are put together by hand.
 */
#ifndef ENGINE_SCRIPT_H
#define ENGINE_SCRIPT_H

#include "peer.h"

enum { SHA1 = 1, SHA256 = 3 };

/* What the peer says, and the key that comes of it. */
struct script {
    uint8_t random[64];
    size_t random_length;
    uint8_t chunks[20];
    size_t chunk_count;
    uint16_t hmacs[4];
    size_t hmac_count;
    bool asconf;        /* Supported Extensions lists ASCONF, ASCONF ACK and AUTH */
    const char *shared; /* the endpoint pair shared key */
    uint8_t key[1024];
    size_t key_length;
};

/* SHA-1, no chunks, the empty shared key, a RANDOM of this byte. */
struct script plain_script(uint8_t fill);
/* The parameters of peer_new(), with authentication. */
struct braid_parameters enabled(void);
/* The same of a peer, and of the engine, with ASCONF. */
struct script asconf_script(void);
struct braid_parameters with_asconf(void);
/* The engine requires chunks of this type to be authenticated. */
void require(struct braid_parameters *parameters, uint8_t type);

/* RANDOM, CHUNKS, HMAC-ALGO into the packet in the making. */
void write_terms(struct peer *peer, const struct script *script);
/* The key vector of the engine (6.1), from its INIT or INIT ACK. */
size_t engine_vector(const struct sent *sent, uint8_t *vector);
/* Computes the key. True if the engine's vector is the smaller. */
bool learn_key(struct script *script, const struct sent *sent);

/* AUTH into the packet in the making: where it stands; chunks follow, then fill_mac(). */
size_t begin_auth(struct peer *peer, uint16_t key, uint16_t hmac);
void fill_mac(struct peer *peer, const struct script *script, size_t at, uint16_t hmac);
void send_data_authentic(struct peer *peer, const struct script *script, uint32_t tsn, uint16_t key,
                         uint16_t hmac);
/* The AUTH chunk of a packet of the engine is right. */
struct sctp_auth assert_authentic(const struct script *script, const struct sent *sent);

/* The peer sets an association up, as far as the INIT ACK, which is returned; or wholly. */
const struct sent *accept_script(struct peer *peer, struct script *script);
void accept_all(struct peer *peer, struct script *script);

#endif
