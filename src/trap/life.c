/*
 * From socket() to close(): the arguments come from the program's memory, the results go there.
 * RFC 6458, sections 3.1, 4.1, 8 and 9.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "trap/private.h"

int64_t trapped_socket(struct trapped *trapped)
{
    int type = (int)trapped->argument[1];
    int descriptor = call_socket((int)trapped->argument[0], type, (int)trapped->argument[2]);

    return descriptor < 0 ? descriptor : target_give(trapped, descriptor, type & SOCK_CLOEXEC, 0);
}

/* ---- Addresses ---- */

/* The second argument, as long as the third. */
static int read_address(const struct trapped *trapped, struct sockaddr_storage *address)
{
    socklen_t length = (socklen_t)trapped->argument[2];

    if (length > sizeof(*address))
        return -EINVAL;
    memset(address, 0, sizeof(*address));
    return target_read(trapped, trapped->argument[1], address, length);
}

/* To where the second argument points, and its length to where the third does. */
static int write_address(const struct trapped *trapped, const struct sockaddr_storage *address,
                         socklen_t length)
{
    socklen_t room;
    int error = target_read(trapped, trapped->argument[2], &room, sizeof(room));

    if (error == 0)
        error = target_write(trapped, trapped->argument[1], address, room < length ? room : length);
    return error < 0 ? error : target_write(trapped, trapped->argument[2], &length, sizeof(length));
}

int64_t trapped_bind(struct trapped *trapped)
{
    struct sockaddr_storage address;
    int error = read_address(trapped, &address);

    return error < 0 ? error
                     : call_bind(&trapped->socket, (struct sockaddr *)&address,
                                 (socklen_t)trapped->argument[2]);
}

int64_t trapped_connect(struct trapped *trapped)
{
    struct sockaddr_storage address;
    int error = read_address(trapped, &address);

    return error < 0 ? error
                     : call_connect(&trapped->socket, (struct sockaddr *)&address,
                                    (socklen_t)trapped->argument[2]);
}

int64_t trapped_listen(struct trapped *trapped)
{
    return call_listen(&trapped->socket, (int)trapped->argument[1]);
}

int64_t trapped_shutdown(struct trapped *trapped)
{
    return call_shutdown(&trapped->socket, (int)trapped->argument[1]);
}

static int64_t accept_with(struct trapped *trapped, int flags)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    int accepted = call_accept(&trapped->socket, (struct sockaddr *)&address, &length, flags);
    int error;

    if (accepted < 0)
        return accepted;
    error = trapped->argument[1] != 0 ? write_address(trapped, &address, length) : 0;
    if (error < 0) {
        close(accepted);
        return error;
    }
    return target_give(trapped, accepted, flags & SOCK_CLOEXEC, 0);
}

int64_t trapped_accept(struct trapped *trapped)
{
    return accept_with(trapped, 0);
}

int64_t trapped_accept4(struct trapped *trapped)
{
    return accept_with(trapped, (int)trapped->argument[3]);
}

static int64_t get_name(struct trapped *trapped, bool peer)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    int error = call_name(&trapped->socket, peer, (struct sockaddr *)&address, &length);

    return error < 0 ? error : write_address(trapped, &address, length);
}

int64_t trapped_getsockname(struct trapped *trapped)
{
    return get_name(trapped, false);
}

int64_t trapped_getpeername(struct trapped *trapped)
{
    return get_name(trapped, true);
}

/* ---- Options ---- */

/* Its value has a pointer to the addresses (Linux's struct sctp_getaddrs_old). */
static int64_t connectx(struct trapped *trapped, void *value, socklen_t *length)
{
    struct {
        int32_t association;
        int size;
        struct sockaddr *addresses;
    } call;
    uint64_t there;
    void *addresses;
    int64_t result;

    if (*length < sizeof(call))
        return -EINVAL;
    memcpy(&call, value, sizeof(call));
    if (call.size <= 0 || call.size > (int)CHANNEL_CONTROL_MAXIMUM)
        return -EINVAL;
    addresses = malloc((size_t)call.size);
    if (!addresses)
        return -ENOMEM;
    there = (uint64_t)(uintptr_t)call.addresses;
    result = target_read(trapped, there, addresses, (size_t)call.size);
    if (result == 0) {
        call.addresses = addresses;
        result =
            call_getsockopt(&trapped->socket, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &call, length);
        memcpy(value, &call.association, sizeof(call.association));
        *length = sizeof(call.association);
    }
    free(addresses);
    return result;
}

/* The new socket's number stands behind the association's identifier. */
static int give_peeled_off(struct trapped *trapped, int descriptor, void *value)
{
    bool close_on_exec = fcntl(descriptor, F_GETFD) & FD_CLOEXEC;
    int number = target_give(trapped, descriptor, close_on_exec, 0);

    memcpy((char *)value + sizeof(int), &number, sizeof(number));
    return number;
}

static int64_t get_option(struct trapped *trapped, void *value, socklen_t *length)
{
    int level = (int)trapped->argument[1], name = (int)trapped->argument[2];
    bool waits = level == IPPROTO_SCTP && name == SCTP_SOCKOPT_CONNECTX3;
    int64_t result = waits ? connectx(trapped, value, length)
                           : call_getsockopt(&trapped->socket, level, name, value, length);

    if (result == -ENOSYS)
        return CONTINUE;
    if (result >= 0 && level == IPPROTO_SCTP &&
        (name == SCTP_SOCKOPT_PEELOFF || name == SCTP_SOCKOPT_PEELOFF_FLAGS))
        result = give_peeled_off(trapped, (int)result, value);
    if (result >= 0 || (waits && result == -EINPROGRESS)) {
        int error = target_write(trapped, trapped->argument[3], value, *length);

        if (error == 0 && !waits)
            error = target_write(trapped, trapped->argument[4], length, sizeof(*length));
        if (error < 0)
            return error;
    }
    return result;
}

int64_t trapped_getsockopt(struct trapped *trapped)
{
    socklen_t length;
    void *value;
    int64_t result = target_read(trapped, trapped->argument[4], &length, sizeof(length));

    if (result < 0)
        return result;
    if (length > INT32_MAX)
        return -EINVAL;
    if (length > CHANNEL_CONTROL_MAXIMUM)
        length = CHANNEL_CONTROL_MAXIMUM;
    value = calloc(1, length + 1);
    if (!value)
        return -ENOMEM;
    result = target_read(trapped, trapped->argument[3], value, length);
    if (result == 0)
        result = get_option(trapped, value, &length);
    free(value);
    return result;
}

int64_t trapped_setsockopt(struct trapped *trapped)
{
    socklen_t length = (socklen_t)trapped->argument[4];
    void *value;
    int64_t result;

    if (length > CHANNEL_CONTROL_MAXIMUM)
        return -EINVAL;
    value = calloc(1, length + 1);
    if (!value)
        return -ENOMEM;
    result = target_read(trapped, trapped->argument[3], value, length);
    if (result == 0)
        result = call_setsockopt(&trapped->socket, (int)trapped->argument[1],
                                 (int)trapped->argument[2], value, length);
    free(value);
    return result == -ENOSYS ? CONTINUE : result;
}

int64_t trapped_ioctl(struct trapped *trapped)
{
    uint64_t name = trapped->argument[1], place = trapped->argument[2];
    struct ifreq value = {.ifr_ifindex = 0}; /* or an int */
    size_t size = interface_is_asked(name) && name != SIOCATMARK ? sizeof(value) : sizeof(int);
    int result;

    if (name != FIONREAD && name != TIOCOUTQ && !interface_is_asked(name))
        return CONTINUE;
    if (target_read(trapped, place, &value, size) < 0)
        return -EFAULT;
    result = call_ioctl(&trapped->socket, name, &value);
    return result < 0 ? result : target_write(trapped, place, &value, size);
}

/* ---- The descriptor ---- */

/* A copy must have a number that the filter looks at. */
static int64_t give_copy(struct trapped *trapped, bool close_on_exec, uint32_t least)
{
    int copy = fcntl(trapped->socket.descriptor, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -errno : target_give(trapped, copy, close_on_exec, least);
}

int64_t trapped_dup(struct trapped *trapped)
{
    return give_copy(trapped, false, 0);
}

int64_t trapped_fcntl(struct trapped *trapped)
{
    int command = (int)trapped->argument[1];

    if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
        return CONTINUE;
    if (trapped->argument[2] > INT32_MAX)
        return -EINVAL;
    return give_copy(trapped, command == F_DUPFD_CLOEXEC, (uint32_t)trapped->argument[2]);
}

/* A number that the filter does not look at would give the program what is the channel's. The same
 * one is no new one, and what else is wrong the kernel says. */
int64_t trapped_dup_to(struct trapped *trapped)
{
    return trapped->argument[1] < FIRST && trapped->argument[1] != trapped->argument[0] ? -EBADF
                                                                                        : CONTINUE;
}

/* Its descriptor goes first, so that ours is the last but for those of others; then it is waited
 * for as call_close() does. The kernel frees the number. */
int64_t trapped_close(struct trapped *trapped)
{
    if (target_empty(trapped, (int)trapped->argument[0]) == 0) {
        call_close(&trapped->socket);
        trapped->socket.descriptor = -1;
    }
    return CONTINUE;
}
