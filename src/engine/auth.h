/*
 * Authenticated chunks: what auth.c and keys.c give to the rest of the engine.
 *
 * RFC 4895. An association has a `struct authentication` if its endpoint has it on; it is `capable`
 * once the peer has offered it too. What each side said at setup (RANDOM, CHUNKS, HMAC-ALGO) is
 * kept as those parameters stand on the wire: it goes into packets, into the State Cookie and into
 * keys.
 */
#ifndef ENGINE_AUTH_H
#define ENGINE_AUTH_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "packet/chunks.h"

struct arrival;
struct braid_engine;
struct sctp_association;
struct sent_message;

#define AUTH_RANDOM_LENGTH 32
#define AUTH_PEER_HMACS_MAXIMUM 16
/* RANDOM, CHUNKS (3.2: 260 bytes at most) and HMAC-ALGO, padded. */
#define AUTH_TERMS_MAXIMUM (4 + AUTH_RANDOM_LENGTH + 260 + 4 + 2 * AUTH_PEER_HMACS_MAXIMUM)
#define AUTH_CHUNK_MAXIMUM (8 + 32)

/* ---- keys.c ---- */

enum { AUTH_SHA1, AUTH_SHA256, AUTH_HMACS };

/* An endpoint pair shared key (6.1). It stays as long as messages are bound to it. */
struct shared_key {
    struct shared_key *next;
    uint16_t identifier;
    uint16_t length;
    uint32_t references;               /* the ring's, and one for each message */
    bool deactivated;                  /* RFC 6458, 8.3.4: not for new messages */
    bool listed;                       /* in a ring */
    EVP_MAC_CTX *contexts[AUTH_HMACS]; /* with the association shared key; made when used */
    uint8_t bytes[];
};

struct braid_keys {
    struct shared_key *first;
    uint16_t active;
};

/* NULL if the ring has none. */
struct shared_key *keys_find(const struct braid_keys *keys, uint16_t identifier);
/* The association shared keys are to be computed anew. */
void keys_forget_contexts(struct braid_keys *keys);
void shared_key_release(struct shared_key *key);

/* ---- auth.c ---- */

/* RANDOM, CHUNKS if there is one, HMAC-ALGO, in this order. Length 0: nothing was offered. */
struct authentication_terms {
    uint16_t length;
    uint8_t bytes[AUTH_TERMS_MAXIMUM];
};

/* The three parameters of an INIT or INIT ACK as they come; `bytes` NULL: not there. */
struct authentication_offer {
    struct sctp_parameter random, chunks, hmacs;
};

struct authentication {
    struct authentication_terms local, peer;
    struct braid_keys *keys;
    bool capable; /* both sides offered it */
    bool begun;   /* AUTH stands in the packet that is being written */
    bool bundled; /* the peer wants some of the chunks that share packets with others */
    uint8_t hmac; /* the one that the peer prefers: AUTH_SHA1 ... */
    uint8_t local_chunks[32], peer_chunks[32]; /* bit n: chunk type n is to be authenticated */
    struct shared_key *packet_key;             /* of the DATA in the packet that is being written */
    uint16_t peer_key;                         /* the identifier that the peer used last */
    bool peer_key_is_new;                      /* and the user has not heard of it */
};

/* Takes the parameter if it is one of the three. */
void authentication_offer_read(struct authentication_offer *offer,
                               const struct sctp_parameter *parameter);
/* False: RANDOM is not as long as it must be (6.1). What is offered by halves, or too long to be
 * kept, gives no terms. */
bool authentication_offer_take(const struct authentication_offer *offer,
                               struct authentication_terms *terms);
/* What we say, with a fresh RANDOM. */
void authentication_make_terms(struct braid_engine *engine,
                               const struct braid_parameters *parameters,
                               struct authentication_terms *terms);
void authentication_write_terms(const struct authentication_terms *terms,
                                struct packet_writer *writer);

/* For a new association, with terms of its own and a copy of its endpoint's keys. NULL: no memory.
 */
struct authentication *authentication_new(struct sctp_association *association);
void authentication_free(struct authentication *authentication);
/* Both sides' terms are known. Either may be empty. */
void authentication_agree(struct sctp_association *association,
                          const struct authentication_terms *local,
                          const struct authentication_terms *peer);

/* Both sides have it. */
bool authentication_is_capable(const struct sctp_association *association);
/* The peer must send chunks of this type authenticated, or we must. */
bool authentication_expects(const struct sctp_association *association, uint8_t chunk_type);
bool authentication_owes(const struct sctp_association *association, uint8_t chunk_type);

/* Bytes that packets lose to AUTH. */
size_t authentication_overhead(const struct sctp_association *association);
/* Puts an AUTH chunk in front of what follows, if the peer may want it for that; `asconf`: that is
 * ASCONF or ASCONF ACK. */
void authentication_begin(struct sctp_association *association, struct packet_writer *writer,
                          bool asconf);
/* May DATA of this message stand in the packet that is being written? One packet has one key. */
bool authentication_permits(struct sctp_association *association,
                            const struct sent_message *message);
/* The packet is complete: fills the MAC in, or takes AUTH out if nothing in the packet needs it. */
void authentication_end(struct sctp_association *association, struct packet_writer *writer);

/* Binds a message to the key that it is to be authenticated with. EINVAL: no such key. */
int authentication_bind(struct sctp_association *association, struct sent_message *message);
void authentication_unbind(struct sctp_association *association, struct sent_message *message);

/* An AUTH chunk came, with what follows in its packet. True: the rest may be believed. */
bool authentication_receive(struct sctp_association *association, const struct arrival *arrival,
                            const struct sctp_chunk *chunk);
/* The peer uses another key than before: told once the association is up. */
void authentication_tell_new_key(struct sctp_association *association);
/* BRAID_EVENT_AUTHENTICATION. */
void authentication_tell(struct sctp_association *association,
                         enum braid_authentication_indication indication, uint16_t key);

#endif
