/*
 * Messages between the program's memory and the stack: RFC 6458, sections 3.1.4, 3.2, 4.1.8.
 */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap/private.h"

/* ---- Headers ---- */

static int read_parts(const struct trapped *trapped, struct message *message)
{
    size_t count = message->theirs.msg_iovlen;
    int error;

    if (count > IOV_MAX)
        return -EMSGSIZE;
    error = target_read(trapped, (uint64_t)(uintptr_t)message->theirs.msg_iov, message->parts,
                        count * sizeof(message->parts[0]));
    message->length = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        if (message->parts[i].iov_len > INT_MAX - message->length)
            return -EINVAL;
        message->length += message->parts[i].iov_len;
    }
    return error;
}

struct message *message_new(void)
{
    struct message *message = malloc(sizeof(*message));

    if (message)
        memset(message, 0, offsetof(struct message, parts));
    if (message)
        message->length = 0;
    return message;
}

/* One part: the second and third argument. */
static struct message *message_of_bytes(const struct trapped *trapped)
{
    struct message *message = message_new();

    if (!message)
        return NULL;
    message->length = trapped->argument[2] < INT_MAX ? (size_t)trapped->argument[2] : INT_MAX;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process */
    message->parts[0] = (struct iovec){(void *)trapped->argument[1], message->length};
    message->theirs.msg_iovlen = 1;
    return message;
}

/* ---- Sending ---- */

static int64_t gather(const struct trapped *trapped, struct message *message)
{
    size_t at = 0;

    if (message->length > LENGTH_MAXIMUM)
        return -EMSGSIZE;
    message->part.iov_base = malloc(message->length + 1);
    message->part.iov_len = message->length;
    if (!message->part.iov_base)
        return -ENOMEM;
    for (size_t i = 0; i < message->theirs.msg_iovlen; i++) {
        const struct iovec *each = &message->parts[i];

        if (target_read(trapped, (uint64_t)(uintptr_t)each->iov_base,
                        (char *)message->part.iov_base + at, each->iov_len) < 0)
            return -EFAULT;
        at += each->iov_len;
    }
    return 0;
}

static int64_t read_name_and_control(const struct trapped *trapped, struct message *message)
{
    const struct msghdr *theirs = &message->theirs;
    struct msghdr *ours = &message->ours;
    int error = 0;

    if (theirs->msg_name && theirs->msg_namelen > 0) {
        if (theirs->msg_namelen > sizeof(message->name))
            return -EINVAL;
        ours->msg_name = &message->name;
        ours->msg_namelen = theirs->msg_namelen;
        error = target_read(trapped, (uint64_t)(uintptr_t)theirs->msg_name, &message->name,
                            theirs->msg_namelen);
    }
    if (error == 0 && theirs->msg_controllen > 0) {
        if (theirs->msg_controllen > sizeof(message->control))
            return -ENOBUFS;
        ours->msg_control = message->control;
        ours->msg_controllen = theirs->msg_controllen;
        error = target_read(trapped, (uint64_t)(uintptr_t)theirs->msg_control, message->control,
                            theirs->msg_controllen);
    }
    return error;
}

/* Frees the message. */
static int64_t send_gathered(const struct trapped *trapped, struct message *message, int flags)
{
    int64_t result = read_name_and_control(trapped, message);

    if (result == 0)
        result = gather(trapped, message);
    message->ours.msg_iov = &message->part;
    message->ours.msg_iovlen = 1;
    if (result == 0)
        result = send_message(&trapped->socket, &message->ours, flags | MSG_NOSIGNAL);
    if ((result == -EPIPE || result == -ESHUTDOWN) && !(flags & MSG_NOSIGNAL))
        syscall(SYS_tkill, trapped->thread, SIGPIPE);
    free(message->part.iov_base);
    free(message);
    return result;
}

int64_t trapped_write(struct trapped *trapped)
{
    struct message *message = message_of_bytes(trapped);

    return message ? send_gathered(trapped, message, 0) : -ENOMEM;
}

int64_t trapped_sendto(struct trapped *trapped)
{
    struct message *message = message_of_bytes(trapped);

    if (!message)
        return -ENOMEM;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process */
    message->theirs.msg_name = (void *)trapped->argument[4];
    message->theirs.msg_namelen = (socklen_t)trapped->argument[5];
    return send_gathered(trapped, message, (int)trapped->argument[3]);
}

int64_t message_read(const struct trapped *trapped, uint64_t from, struct message *message)
{
    int error = 0;

    if (from != 0) {
        error = target_read(trapped, from, &message->theirs, sizeof(message->theirs));
    } else {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process */
        message->theirs.msg_iov = (struct iovec *)trapped->argument[1];
        message->theirs.msg_iovlen = (size_t)trapped->argument[2];
    }
    return error < 0 ? error : read_parts(trapped, message);
}

static int64_t send_from(const struct trapped *trapped, uint64_t from, int flags)
{
    struct message *message = message_new();
    int64_t error;

    if (!message)
        return -ENOMEM;
    error = message_read(trapped, from, message);
    if (error < 0) {
        free(message);
        return error;
    }
    return send_gathered(trapped, message, flags);
}

int64_t trapped_writev(struct trapped *trapped)
{
    return send_from(trapped, 0, 0);
}

/* pwritev2() and preadv2() without an offset; with one the kernel says that it cannot seek. Their
 * last argument has flags of its own. */
static bool has_offset(const struct trapped *trapped)
{
    return trapped->argument[3] != UINT64_MAX;
}

static int flags_of_vector(const struct trapped *trapped)
{
    return trapped->argument[5] & RWF_NOWAIT ? MSG_DONTWAIT : 0;
}

int64_t trapped_pwritev2(struct trapped *trapped)
{
    return has_offset(trapped) ? CONTINUE : send_from(trapped, 0, flags_of_vector(trapped));
}

int64_t trapped_sendmsg(struct trapped *trapped)
{
    return trapped->argument[1]
               ? send_from(trapped, trapped->argument[1], (int)trapped->argument[2])
               : -EFAULT;
}

/* One message after the other, as long as there is time (NULL: for ever); `each` is told how long
 * it was. */
static int64_t for_each(struct trapped *trapped,
                        int64_t (*each)(const struct trapped *trapped, uint64_t from, int flags),
                        struct timespec *timeout)
{
    struct timespec end = {0};
    uint64_t at = trapped->argument[1];
    uint32_t count = (uint32_t)trapped->argument[2];
    int flags = (int)trapped->argument[3];
    int error = timeout_begin(timeout, &end);

    if (error < 0)
        return error;
    for (uint32_t i = 0; i < count; i++, at += sizeof(struct mmsghdr)) {
        int own = i > 0 && flags & MSG_WAITFORONE ? flags | MSG_DONTWAIT : flags;
        int64_t result = each(trapped, at, own & ~MSG_WAITFORONE);
        unsigned int length = (unsigned int)result;

        if (result >= 0 && target_write(trapped, at + offsetof(struct mmsghdr, msg_len), &length,
                                        sizeof(length)) < 0)
            result = -EFAULT;
        if (result < 0)
            return i > 0 ? i : result;
        if (timeout_is_over(&end, timeout))
            return i + 1;
    }
    return count;
}

int64_t trapped_sendmmsg(struct trapped *trapped)
{
    return for_each(trapped, send_from, NULL);
}

/* ---- Receiving ---- */

static int scatter(const struct trapped *trapped, const struct message *message, size_t length)
{
    size_t at = 0;

    for (size_t i = 0; at < length; i++) {
        const struct iovec *each = &message->parts[i];
        size_t piece = each->iov_len < length - at ? each->iov_len : length - at;

        if (target_write(trapped, (uint64_t)(uintptr_t)each->iov_base,
                         (const char *)message->part.iov_base + at, piece) < 0)
            return -EFAULT;
        at += piece;
    }
    return 0;
}

void message_prepare(struct message *message)
{
    const struct msghdr *theirs = &message->theirs;
    struct msghdr *ours = &message->ours;

    *ours = (struct msghdr){.msg_iov = &message->part, .msg_iovlen = 1};
    if (theirs->msg_name) {
        ours->msg_name = &message->name;
        ours->msg_namelen = sizeof(message->name);
    }
    if (theirs->msg_control) {
        ours->msg_control = message->control;
        ours->msg_controllen = theirs->msg_controllen < sizeof(message->control)
                                   ? theirs->msg_controllen
                                   : sizeof(message->control);
    }
}

int64_t message_give(const struct trapped *trapped, uint64_t at, struct message *message,
                     size_t length)
{
    struct msghdr *theirs = &message->theirs, *ours = &message->ours;
    int error = scatter(trapped, message, length);

    if (error == 0 && theirs->msg_name)
        error = target_write(trapped, (uint64_t)(uintptr_t)theirs->msg_name, &message->name,
                             theirs->msg_namelen < ours->msg_namelen ? theirs->msg_namelen
                                                                     : ours->msg_namelen);
    if (error == 0 && theirs->msg_control)
        error = target_write(trapped, (uint64_t)(uintptr_t)theirs->msg_control, message->control,
                             ours->msg_controllen);
    if (error == 0 && at != 0) {
        theirs->msg_namelen = ours->msg_namelen;
        theirs->msg_controllen = ours->msg_controllen;
        theirs->msg_flags = ours->msg_flags;
        error = target_write(trapped, at, theirs, sizeof(*theirs));
    }
    return error < 0 ? error : (int64_t)length;
}

/* All that a call may take fits one datagram of the channel. The header is `at`; 0: there is none.
 */
static int64_t receive(const struct trapped *trapped, uint64_t at, struct message *message,
                       int flags)
{
    int64_t result;

    message->part = (struct iovec){trapped->scratch, message->length < CHANNEL_PIECE_MAXIMUM
                                                         ? message->length
                                                         : CHANNEL_PIECE_MAXIMUM};
    message_prepare(message);
    result = receive_message(&trapped->socket, &message->ours, flags);
    return result < 0 ? result : message_give(trapped, at, message, (size_t)result);
}

static int64_t receive_bytes(struct trapped *trapped, uint64_t name, uint64_t name_length,
                             int flags)
{
    struct message *message = message_of_bytes(trapped);
    int64_t result;

    if (!message)
        return -ENOMEM;
    if (name != 0 && name_length != 0) {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process */
        message->theirs.msg_name = (void *)name;
        result = target_read(trapped, name_length, &message->theirs.msg_namelen,
                             sizeof(message->theirs.msg_namelen));
    } else {
        result = 0;
    }
    if (result == 0)
        result = receive(trapped, 0, message, flags);
    if (result >= 0 && message->theirs.msg_name &&
        target_write(trapped, name_length, &message->ours.msg_namelen,
                     sizeof(message->ours.msg_namelen)) < 0)
        result = -EFAULT;
    free(message);
    return result;
}

int64_t trapped_read(struct trapped *trapped)
{
    return receive_bytes(trapped, 0, 0, 0);
}

int64_t trapped_recvfrom(struct trapped *trapped)
{
    return receive_bytes(trapped, trapped->argument[4], trapped->argument[5],
                         (int)trapped->argument[3]);
}

static int64_t receive_to(const struct trapped *trapped, uint64_t at, int flags)
{
    struct message *message = message_new();
    int64_t result;

    if (!message)
        return -ENOMEM;
    result = message_read(trapped, at, message);
    if (result == 0)
        result = receive(trapped, at, message, flags);
    free(message);
    return result;
}

int64_t trapped_readv(struct trapped *trapped)
{
    return receive_to(trapped, 0, 0);
}

int64_t trapped_preadv2(struct trapped *trapped)
{
    return has_offset(trapped) ? CONTINUE : receive_to(trapped, 0, flags_of_vector(trapped));
}

int64_t trapped_recvmsg(struct trapped *trapped)
{
    return trapped->argument[1]
               ? receive_to(trapped, trapped->argument[1], (int)trapped->argument[2])
               : -EFAULT;
}

int64_t trapped_recvmmsg(struct trapped *trapped)
{
    uint64_t place = trapped->argument[4];
    struct timespec timeout;
    int64_t result = place ? target_read(trapped, place, &timeout, sizeof(timeout)) : 0;

    if (result == 0)
        result = for_each(trapped, receive_to, place ? &timeout : NULL);
    if (result >= 0 && place && target_write(trapped, place, &timeout, sizeof(timeout)) < 0)
        result = -EFAULT;
    return result;
}

/* ---- Files and pipes ---- */

int64_t trapped_sendfile(struct trapped *trapped)
{
    int file = target_copy(trapped, trapped->argument[1]);
    uint64_t place = trapped->argument[2];
    off64_t offset;
    int64_t result;

    if (file < 0)
        return file;
    result = place ? target_read(trapped, place, &offset, sizeof(offset)) : 0;
    if (result == 0)
        result = transfer_file(&trapped->socket, file, place ? &offset : NULL,
                               (size_t)trapped->argument[3]);
    if (result >= 0 && place && target_write(trapped, place, &offset, sizeof(offset)) < 0)
        result = -EFAULT;
    close(file);
    return result;
}

int64_t trapped_splice(struct trapped *trapped)
{
    bool out = !target_take(trapped, trapped->argument[0]);
    size_t length = (size_t)trapped->argument[4];
    unsigned int flags = (unsigned int)trapped->argument[5];
    int64_t result;
    int pipe;

    if (out && !target_take(trapped, trapped->argument[2]))
        return CONTINUE;
    if (trapped->argument[out ? 3 : 1] != 0)
        return -ESPIPE;
    pipe = target_copy(trapped, trapped->argument[out ? 0 : 2]);
    if (pipe < 0)
        return pipe;
    result = out ? transfer_from_pipe(&trapped->socket, pipe, length, flags)
                 : transfer_to_pipe(&trapped->socket, pipe, length, flags);
    close(pipe);
    return result;
}
