/* What one user has of the stack, and how much of it he may have.
 *
 * Linux limits descriptors per process and memory per protocol (tcp(7): tcp_mem;
 * net.sctp.sctp_mem); the programs of all users share one stack process here, so it counts for each
 * of them. What a peer makes (associations that come in) is the listener's user's.
 */
#ifndef SOCKET_QUOTA_H
#define SOCKET_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "braid/engine.h"
#include "engine/list.h"

struct socket_table;

/* The most that one user may have; 0: no limit. */
struct quota_limits {
    uint32_t sockets, associations;
    uint32_t connections; /* control connections, of the floor above */
    uint64_t memory;      /* bytes of user messages, with what it takes to keep them */
};

struct quota {
    struct list link; /* of the table's quotas */
    uid_t uid;
    uint32_t holders; /* who has a pointer to it */
    uint32_t sockets; /* closed ones that still have associations included */
    uint32_t associations;
    uint32_t connections;
    struct braid_account account; /* memory */
    struct list starved;          /* sockets that have something to send and no memory for it */
};

/* The quota of a user, made if it is not there. NULL: no memory. */
struct quota *quota_take(struct socket_table *table, uid_t uid);
struct quota *quota_share(struct quota *quota);
void quota_release(struct quota *quota);
struct quota *quota_next(const struct socket_table *table, const struct quota *after);

/* May he have one more? */
bool quota_allows_socket(const struct socket_table *table, const struct quota *quota);
bool quota_allows_association(const struct socket_table *table, const struct quota *quota);
bool quota_allows_connection(const struct socket_table *table, const struct quota *quota);

/* Counts bytes that stand outside of associations. Who is full takes nothing more, but what was
 * taken is kept, so a little more than the maximum may be counted. */
static inline void quota_charge(struct quota *quota, size_t bytes)
{
    quota->account.bytes += bytes;
}
static inline void quota_discharge(struct quota *quota, size_t bytes)
{
    quota->account.bytes -= bytes;
}
static inline bool quota_is_full(const struct quota *quota)
{
    return quota->account.bytes >= quota->account.maximum;
}

/* Those that had no memory may go on. */
void quota_run(struct socket_table *table);

#endif
