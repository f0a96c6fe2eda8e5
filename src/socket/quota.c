/* What one user has of the stack: quota.h (RFC 6458 knows no such limits; their errors are those
 * that Linux gives when a limit of its own is met).
 */
#include "socket/quota.h"

#include <stdlib.h>

#include "socket/private.h"

struct quota *quota_take(struct socket_table *table, uid_t uid)
{
    uint64_t memory = table->config.user_limits.memory;
    struct quota *quota;

    LIST_FOR_EACH(link, &table->quotas)
    {
        quota = LIST_ENTRY(link, struct quota, link);
        if (quota->uid == uid)
            return quota_share(quota);
    }
    quota = calloc(1, sizeof(*quota));
    if (!quota)
        return NULL;
    quota->uid = uid;
    quota->holders = 1;
    quota->account.maximum = memory != 0 ? memory : UINT64_MAX;
    list_init(&quota->starved);
    list_append(&table->quotas, &quota->link);
    return quota;
}

struct quota *quota_share(struct quota *quota)
{
    quota->holders++;
    return quota;
}

void quota_release(struct quota *quota)
{
    if (--quota->holders > 0)
        return;
    list_remove(&quota->link);
    free(quota);
}

struct quota *quota_next(const struct socket_table *table, const struct quota *after)
{
    const struct list *next = after ? after->link.next : table->quotas.next;

    return next == &table->quotas ? NULL : LIST_ENTRY(next, struct quota, link);
}

static bool is_below(uint32_t count, uint32_t limit)
{
    return limit == 0 || count < limit;
}

bool quota_allows_socket(const struct socket_table *table, const struct quota *quota)
{
    return is_below(quota->sockets, table->config.user_limits.sockets);
}

bool quota_allows_association(const struct socket_table *table, const struct quota *quota)
{
    return is_below(quota->associations, table->config.user_limits.associations);
}

bool quota_allows_connection(const struct socket_table *table, const struct quota *quota)
{
    return is_below(quota->connections, table->config.user_limits.connections);
}

/* Some room first for sends, which take three quarters, so that not each byte that is freed wakes
 * all who wait for it. */
static bool has_room(const struct braid_account *account)
{
    return account->bytes <= account->maximum / 8 * 5;
}

void quota_run(struct socket_table *table)
{
    LIST_FOR_EACH(link, &table->quotas)
    {
        struct quota *quota = LIST_ENTRY(link, struct quota, link);

        while (!list_is_empty(&quota->starved) && has_room(&quota->account)) {
            struct sctp_socket *socket =
                LIST_ENTRY(quota->starved.next, struct sctp_socket, starved);

            list_remove(&socket->starved);
            socket_changed(socket, SOCKET_WRITABLE);
        }
    }
}
