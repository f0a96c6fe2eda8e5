/* The state of the stack for `braid ss`: status.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/private.h"
#include "stack/status.h"

static void write_record(FILE *file, struct status_record *record, enum status_type type,
                         size_t length)
{
    record->type = type;
    record->length = (uint32_t)length;
    fwrite(record, length, 1, file);
}

static void write_stack(struct stack *stack, FILE *file)
{
    struct status_stack status = {
        .pid = getpid(),
        .idle = stack->config.idle,
        .uptime = stack->now - stack->started,
        .sockets = socket_table_count(stack->sockets),
        .connections = stack->connection_count,
        .local_packets = stack->wire.local_packets,
        .no_link_packets = stack->wire.no_link_packets,
        .captured = stack->wire.capture ? capture_count(stack->wire.capture) : 0,
    };

    memcpy(status.name, stack->name, sizeof(status.name));
    braid_engine_statistics(stack->engine, &status.engine);
    write_record(file, &status.record, STATUS_STACK, sizeof(status));
}

static void write_user(struct stack *stack, const struct quota *quota, FILE *file)
{
    struct status_user status = {
        .uid = quota->uid,
        .sockets = quota->sockets,
        .associations = quota->associations,
        .connections = quota->connections,
        .memory = quota->account.bytes,
        .limits = stack->config.user_limits,
    };

    write_record(file, &status.record, STATUS_USER, sizeof(status));
}

static void write_link(const struct link *link, FILE *file)
{
    struct status_link status = {0};

    if (!link)
        return;
    snprintf(status.name, sizeof(status.name), "%s", link->name);
    status.port = link->port;
    status.ipv4 = link->ipv4;
    status.ipv6 = link->ipv6;
    status.statistics = link->statistics;
    write_record(file, &status.record, STATUS_LINK, sizeof(status));
}

static void write_association(struct stack *stack, uint32_t association, FILE *file)
{
    struct status_association status = {0};

    if (braid_association_info(stack->engine, association, &status.info) < 0)
        return;
    status.identifier = socket_association_identifier(stack->sockets, association);
    write_record(file, &status.record, STATUS_ASSOCIATION, sizeof(status));
    for (uint32_t i = 0; i < status.info.path_count; i++) {
        struct status_path path = {0};

        if (braid_path_info(stack->engine, association, i, &path.info) == 0)
            write_record(file, &path.record, STATUS_PATH, sizeof(path));
    }
}

static void write_socket(struct stack *stack, const struct sctp_socket *socket, FILE *file)
{
    struct stack_socket *end = socket_user(socket);
    struct status_socket status = {.slot = UINT32_MAX};
    size_t count;

    socket_describe(socket, &status.socket);
    count = socket_bound_addresses(socket, status.addresses, STATUS_ADDRESSES);
    status.address_count = (uint32_t)(count < STATUS_ADDRESSES ? count : STATUS_ADDRESSES);
    if (end && end->watch.descriptor >= 0)
        status.slot = end->slot;
    if (end) {
        status.unread = downward_unread(end);
        status.pending = (uint32_t)end->pending_count;
    }
    write_record(file, &status.record, STATUS_SOCKET, sizeof(status));
    for (uint32_t i = 0; (i = socket_next_association(socket, i)) != 0;)
        write_association(stack, i, file);
}

/* As a kernel hides other users' descriptors. Tags of associations are told here: who knows them
 * can end them from anywhere (RFC 9260, 8.5). */
static bool may_see(const struct stack *stack, uid_t viewer, uid_t owner)
{
    return viewer == 0 || viewer == stack->owner || viewer == owner;
}

int status_write(struct stack *stack, uid_t viewer)
{
    int descriptor = memfd_create("braid-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int copy = descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "w");
    int error;

    if (!file) {
        error = -errno;
        if (descriptor >= 0)
            close(descriptor);
        if (copy >= 0)
            close(copy);
        return error;
    }
    write_stack(stack, file);
    write_link(stack->wire.udp, file);
    write_link(stack->wire.raw, file);
    for (const struct quota *quota = NULL; (quota = quota_next(stack->sockets, quota)) != NULL;)
        if (may_see(stack, viewer, quota->uid))
            write_user(stack, quota, file);
    for (const struct sctp_socket *socket = NULL;
         (socket = socket_table_next(stack->sockets, socket)) != NULL;)
        if (may_see(stack, viewer, socket_quota(socket)->uid))
            write_socket(stack, socket, file);
    if (fclose(file) != 0) {
        error = -errno;
        close(descriptor);
        return error;
    }
    return descriptor;
}
