/*
 * Two hosts with sockets (src/socket/) over the real engine, joined by a network in memory, in
 * virtual time: whole associations in a few microseconds, and the same each time.
 *
 * RFC 6458, sections 3, 4 and 6 are what is looked at through it.
 */
#ifndef WORLD_H
#define WORLD_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "link/memory.h"
#include "link/random.h"
#include "socket/socket.h"

#define MS ((braid_time)1000)
#define SECOND ((braid_time)1000000)

enum { HOSTS = 2, HOST_ADDRESSES = 3, PORT = 5000, OUTCOMES = 16, IDENTIFIERS = 64 };

struct outcome {
    const struct sctp_socket *socket;
    int32_t association;
    int error;
};

struct host {
    struct world *world;
    struct braid_engine *engine;
    struct socket_table *table;
    struct link *link;
    struct braid_address addresses[HOST_ADDRESSES]; /* that the network knows */
    struct braid_address address, second; /* 192.0.2.x, 198.51.100.x: each pair is a path */
    struct outcome outcomes[OUTCOMES];
    unsigned int outcome_count;
    unsigned int gone;           /* closed sockets that were freed */
    bool published[IDENTIFIERS]; /* identifiers of associations that are known now */
    unsigned int associations;   /* how many those are */
    struct random_generator random;
};

struct world {
    struct memory_network *network;
    struct host hosts[HOSTS];
    braid_time now;
};

/* 10 ms from one host to the other. */
void world_open(struct world *world);
/* The same, with limits and switches of `config`; all else in it is the world's. */
void world_open_with(struct world *world, const struct socket_table_config *config);
void world_close(struct world *world);
/* So many of its addresses are configured from now on: at first two. */
void host_has(struct host *host, size_t first, size_t count);
/* Lets time pass. */
void world_run(struct world *world, braid_time duration);
struct memory_conditions *world_wire(struct world *world);

extern const struct socket_caller user, root;

/* A socket of a host; fails the test if it cannot be. */
struct sctp_socket *socket_make(struct host *host, int domain, int type);
struct sockaddr_in host_address(const struct host *host, uint16_t port);
/* Listens on PORT of the host. */
struct sctp_socket *socket_make_listener(struct host *host, int type);
/* connect() to PORT of the other host: what it returns at once. */
int socket_begin(struct sctp_socket *socket, struct host *host, struct host *to, uint16_t port);

/* One-to-one: an association between the hosts; `server` of the second one. */
void sockets_join(struct world *world, struct sctp_socket **client, struct sctp_socket **server,
                  struct sctp_socket **listener);
struct sctp_socket *socket_take_accepted(struct sctp_socket *listener, struct world *world);

/* Sends on stream 0 with these flags (SCTP_UNORDERED and so on). To `to` if it is not NULL. */
int send_text(struct world *world, struct sctp_socket *socket, const char *text, uint16_t flags,
              int32_t association, const struct sockaddr_in *to);
int send_bytes(struct world *world, struct sctp_socket *socket, const void *bytes, size_t length,
               const struct channel_header *header, int32_t *association);

/* The next thing that the reader of the socket gets, in words: the text of a message, or
 * "COMM_UP", "SHUTDOWN_EVENT" and so on; "-" if there is nothing. */
const char *next_text(struct world *world, struct sctp_socket *socket);

/* Subscribes to all notifications of ASSOC_CHANGE, SHUTDOWN_EVENT and SEND_FAILED. */
void subscribe(struct world *world, struct sctp_socket *socket);

#endif
