/*
 * Sockets that come from another process in a message (SCM_RIGHTS, unix(7)). The kernel would give
 * them the lowest numbers, which the filter does not look at. RFC 6458 knows nothing of it.
 *
 * Messages that may bring some are those of recvmsg() with MSG_CMSG_CLOEXEC on any descriptor: the
 * filter sees that flag, and Go sets it, as does who takes care of what he gets. Without it the
 * call is not looked at, for it is what programs receive their datagrams with.
 */
#include <stdlib.h>
#include <unistd.h>

#include "trap/private.h"

static bool is_local(int descriptor)
{
    int domain = -1;
    socklen_t length = sizeof(domain);

    return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
           domain == AF_UNIX;
}

static bool is_ours(int descriptor)
{
    struct program_socket socket;

    descriptor_forget(descriptor);
    return descriptor_is_ours(descriptor, &socket);
}

/* Each descriptor in a message's ancillary data is replaced by what `each` makes of it. */
static void for_each_right(struct msghdr *message, void *context,
                           int (*each)(void *context, int descriptor))
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            unsigned char *place = CMSG_DATA(c) + i * sizeof(int);
            int descriptor;

            memcpy(&descriptor, place, sizeof(int));
            descriptor = each(context, descriptor);
            memcpy(place, &descriptor, sizeof(int));
        }
    }
}

static int look_at(void *context, int descriptor)
{
    bool *found = context;

    *found |= is_ours(descriptor);
    channel_discard(descriptor);
    return -1;
}

/* Does the next message bring one of ours? Or a negative errno: it was not waited for. */
static int brings_ours(int descriptor, int flags)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_RIGHTS_MAXIMUM * sizeof(int))];
    struct msghdr peeked = {.msg_control = control, .msg_controllen = sizeof(control)};
    char byte;
    struct iovec part = {&byte, sizeof(byte)};
    bool found = false;

    peeked.msg_iov = &part;
    peeked.msg_iovlen = 1;
    if (recvmsg(descriptor, &peeked, (flags & MSG_DONTWAIT) | MSG_PEEK | MSG_CMSG_CLOEXEC) < 0)
        return -errno;
    for_each_right(&peeked, &found, look_at);
    return found;
}

static int give_right(void *context, int descriptor)
{
    const struct trapped *trapped = context;

    return is_ours(descriptor) ? target_give(trapped, descriptor, true, 0)
                               : target_give_lowest(trapped, descriptor);
}

/* Takes the message, and gives it to the program with the numbers that its descriptors have there.
 */
static int64_t receive_rights(struct trapped *trapped, int descriptor, struct message *message)
{
    struct msghdr *ours = &message->ours;
    int64_t result = message_read(trapped, trapped->argument[1], message);

    if (result < 0)
        return result;
    if (message->length > LENGTH_MAXIMUM)
        message->length = LENGTH_MAXIMUM;
    message->part.iov_base = malloc(message->length + 1);
    message->part.iov_len = message->length;
    if (!message->part.iov_base)
        return -ENOMEM;
    message_prepare(message);
    result = recvmsg(descriptor, ours, (int)trapped->argument[2]);
    if (result < 0)
        return -errno;
    for_each_right(ours, trapped, give_right);
    return message_give(trapped, trapped->argument[1], message, (size_t)result);
}

int64_t trapped_rights(struct trapped *trapped)
{
    int flags = (int)trapped->argument[2];
    int descriptor = target_copy(trapped, trapped->argument[0]);
    struct message *message;
    int64_t result = CONTINUE;
    int found;

    if (descriptor < 0)
        return CONTINUE;
    found = is_local(descriptor) ? brings_ours(descriptor, flags) : 0;
    message = found > 0 ? message_new() : NULL;
    if (found == -EINTR)
        result = -EINTR;
    else if (found > 0)
        result = message ? receive_rights(trapped, descriptor, message) : -ENOMEM;
    if (message)
        free(message->part.iov_base);
    free(message);
    close(descriptor);
    return result;
}
