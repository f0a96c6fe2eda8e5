/*
 * What all files of the engine share: the engine itself, its endpoints, the packets that come and
 * go. The other parts have a header each:
 *
 *   numbers.h      serial numbers, units, limits
 *   association.h  an association: association.c, user.c, teardown.c, ecn.c
 *   setup.h        its making: setup.c, setup_answer.c, setup_parameters.c,
 *                  cookie.c, cookie_echo.c
 *   path.h         a path: path.c, heartbeat.c, congestion.c, plpmtud.c
 *   sender.h       what goes out: send.c, sender.c, sack.c, gaps.c, schedule.c, abandon.c
 *   receiver.h     what comes in: receiver.c
 *   reassembly.h   and the messages it makes: reassembly.c, interleaving.c
 *   auth.h, asconf.h, reconfig.h   RFC 4895, RFC 5061, RFC 6525
 *
 * docs/architecture.md says what is in each file.
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "braid/engine.h"
#include "engine/association.h"
#include "engine/list.h"
#include "engine/pool.h"
#include "engine/setup.h"
#include "engine/timer.h"
#include "packet/chunks.h"

#define CAUSES_TOLD_MAXIMUM 16 /* error causes of one packet that the user hears of */
#define RESPONSES_MAXIMUM 4096 /* packets that wait to answer others */

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
    bool share_port, free_bind;
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
    uint8_t traffic_class, hop_limit, priority;
    uint32_t interface;
    uint16_t length, capacity;
    bool checksum_zero; /* RFC 9653 */
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
    struct braid_loan *lending;        /* while packets are built; NULL: all payloads are copied */
    const struct braid_loan *borrowed; /* while such packets are received; NULL: they are whole */
    struct event_node *first_event, *last_event, *told_event;

    struct braid_address *addresses;
    uint32_t address_count;

    uint8_t cookie_keys[2][COOKIE_KEY_LENGTH]; /* the present one and the one before */
    braid_time cookie_key_made;
    struct spent_tag *spent_tags; /* cookie.c; NULL: none yet */

    struct braid_statistics statistics;

    /* While a packet is processed: the causes of the ERROR that answers it. */
    uint8_t error_bytes[ERRORS_MAXIMUM];
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
    bool checksum_zero;     /* and whether that is good is not known yet */
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
/* What the user wants of all packets, for one that response_send() takes next. */
void response_take_parameters(struct response *response, const struct braid_parameters *parameters,
                              const struct arrival *arrival);
/* Completes it and queues it: back to where `arrival` came from. */
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
/* May one who is bound to an interface (0: to none) have the packet? */
bool packet_is_of_interface(const struct braid_packet *packet, uint32_t interface);
/* The listener that an INIT or COOKIE ECHO for these goes to. */
struct sctp_endpoint *endpoint_find_listener(const struct braid_engine *engine, uint16_t port,
                                             const struct braid_address *address,
                                             const struct braid_packet *packet);
/* The addresses that are told to `peer` (5.1.2): those that reach as far as it, of families that
 * both have. Returns how many. */
size_t endpoint_list_addresses(const struct braid_engine *engine,
                               const struct sctp_endpoint *endpoint,
                               const struct braid_address *peer, bool ipv4, bool ipv6,
                               struct braid_address *addresses, size_t capacity);

/* ---- input.c ---- */

void packet_arrived(struct braid_engine *engine, const struct braid_packet *packet);

/* ---- output.c ---- */

/* Begins the packet that answers `arrival` at once, or goes on with it. NULL: there is no room for
 * so many bytes. */
struct packet_writer *reply_continue(struct sctp_association *association,
                                     const struct arrival *arrival, size_t length);
/* Sends it if it was begun, or there is an ERROR to be sent, with all other control chunks that are
 * due. */
void reply_end(struct sctp_association *association, const struct arrival *arrival);
void reply_drop(struct braid_engine *engine);
/* What was written to `errors` from `start` on is reported if there was room for it. */
void errors_end(struct braid_engine *engine, size_t start);
bool association_transmit(struct sctp_association *association, struct braid_batch *batch);

#endif
