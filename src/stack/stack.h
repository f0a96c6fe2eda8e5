/* The stack process: one SCTP host for the programs of a network namespace.
 *
 * It brings together the sockets of RFC 6458 (src/socket/), the engine of RFC 9260 (src/engine/),
 * links (src/link/) and the channel to programs (src/channel/): one thread, one event loop.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "socket/quota.h"

struct stack;

#define STACK_NAME "default" /* of the rendezvous, if nobody says another */

struct stack_config {
    const char *name;       /* of the rendezvous: channel.h */
    bool udp;               /* a link over UDP (RFC 6951) ... */
    uint16_t udp_port;      /* ... on this port of ours */
    bool raw;               /* a link over IP; it needs CAP_NET_RAW */
    uint16_t peer_udp_port; /* where peers listen, for associations that we begin. 0: by `raw`
                               over IP, else at LINK_UDP_PORT */
    bool asconf;            /* new sockets have AUTH, ASCONF and SCTP_AUTO_ASCONF on */
    bool authentication;    /* new sockets have AUTH on */
    bool interleaving;      /* sockets may have I-DATA, if they ask for it */
    const char *capture;    /* a file for all packets; NULL: none */
    const char *log;        /* a file that lines are added to; NULL: standard error */
    bool has_group;         /* a stack of root's serves root and the members of */
    gid_t group;            /* this group, not everybody */
    const char *user;       /* root's stack becomes this user once all is open; NULL: it stays */
    struct quota_limits user_limits; /* what is 0: half of what there is */
    uint32_t idle;                   /* seconds without a socket after which it ends; 0: never */
};

/* Opens all that the configuration asks for. Programs that come from then on are served by
 * stack_run(). On failure NULL, `error` (a negative errno) and one line for the user in `text`.
 * EADDRINUSE with `*running` set: a stack of that name is already there. */
struct stack *stack_open(const struct stack_config *config, int *error, bool *running, char *text,
                         size_t size);

/* Gives up all rights and system calls that serving does not need: sandbox.h. To be called once,
 * between stack_open() and stack_run(). On failure a negative errno, and one line in `text`. */
int stack_confine(struct stack *stack, char *text, size_t size);

/* Serves until a signal (SIGTERM, SIGINT, SIGHUP), CHANNEL_STOP, or until it is idle. Peers of
 * associations that are left then get an ABORT. 0 or a negative errno. */
int stack_run(struct stack *stack);

void stack_close(struct stack *stack);

/* How a stack is started by another program, without a race: that one makes a pipe and starts
 * `braid stack --ready-fd N ...` with the pipe's end for writing as descriptor N. The stack goes to
 * the background, so the child that was started ends at once, with 0. The starter closes its own
 * copy of N, reads the pipe to the end, and waits for the child. It has read STACK_READY if
 * programs can now find a stack of that name (this one, or one that was already there); else the
 * one line that says what is wrong. */
#define STACK_READY "ready\n"

#endif
