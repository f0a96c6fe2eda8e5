/*
 * The libc functions that are taken over: each asks whether the descriptor is ours, and goes on to
 * the next library if not.
 *
 * RFC 6458, sections 3 and 4; the fortified variants of glibc are the same calls.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "preload/direct.h"
#include "preload/libc.h"
#include "preload/private.h"

#define TAKEN_OVER __attribute__((visibility("default")))

/* A negative errno becomes what libc gives. */
static ssize_t answer(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

#define LIBC libc_functions()

/* ---- Life ---- */

TAKEN_OVER int socket(int domain, int type, int protocol)
{
    if (call_wants_socket(domain, type, protocol))
        return (int)answer(call_socket(domain, type, protocol));
    return LIBC->socket(domain, type, protocol);
}

TAKEN_OVER int socketpair(int domain, int type, int protocol, int ends[2])
{
    if (call_wants_socket(domain, type, protocol))
        return (int)answer(-EOPNOTSUPP);
    return LIBC->socketpair(domain, type, protocol, ends);
}

TAKEN_OVER int bind(int descriptor, const struct sockaddr *address, socklen_t length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_bind(&ours, address, length));
    return LIBC->bind(descriptor, address, length);
}

TAKEN_OVER int listen(int descriptor, int backlog)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_listen(&ours, backlog));
    return LIBC->listen(descriptor, backlog);
}

TAKEN_OVER int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_accept(&ours, address, length, flags));
    return LIBC->accept4(descriptor, address, length, flags);
}

TAKEN_OVER int accept(int descriptor, struct sockaddr *address, socklen_t *length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_accept(&ours, address, length, 0));
    return LIBC->accept(descriptor, address, length);
}

TAKEN_OVER int connect(int descriptor, const struct sockaddr *address, socklen_t length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_connect(&ours, address, length));
    return LIBC->connect(descriptor, address, length);
}

TAKEN_OVER int shutdown(int descriptor, int how)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_shutdown(&ours, how));
    return LIBC->shutdown(descriptor, how);
}

TAKEN_OVER int close(int descriptor)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_close(&ours));
    descriptor_forget(descriptor);
    return LIBC->close(descriptor);
}

TAKEN_OVER int close_range(unsigned int first, unsigned int last, int flags)
{
    bool ours = descriptor_forget_range(first, last);
    int result = (int)direct_call(SYS_close_range, first, last, flags);

    if (ours && result == 0)
        descriptor_was_closed();
    return result;
}

TAKEN_OVER void closefrom(int lowest)
{
    unsigned int first = lowest > 0 ? (unsigned int)lowest : 0;

    if (close_range(first, ~0u, 0) == 0)
        return;
    for (long last = sysconf(_SC_OPEN_MAX); first < last; first++)
        direct_close((int)first); /* before Linux 5.9 */
}

/* ---- Names and options ---- */

TAKEN_OVER int getsockname(int descriptor, struct sockaddr *address, socklen_t *length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_name(&ours, false, address, length));
    return LIBC->getsockname(descriptor, address, length);
}

TAKEN_OVER int getpeername(int descriptor, struct sockaddr *address, socklen_t *length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return (int)answer(call_name(&ours, true, address, length));
    return LIBC->getpeername(descriptor, address, length);
}

TAKEN_OVER int getsockopt(int descriptor, int level, int name, void *value, socklen_t *length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours)) {
        int result = call_getsockopt(&ours, level, name, value, length);

        if (result != -ENOSYS)
            return (int)answer(result);
    }
    return LIBC->getsockopt(descriptor, level, name, value, length);
}

TAKEN_OVER int setsockopt(int descriptor, int level, int name, const void *value, socklen_t length)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours)) {
        int result = call_setsockopt(&ours, level, name, value, length);

        if (result != -ENOSYS)
            return (int)answer(result);
    }
    return LIBC->setsockopt(descriptor, level, name, value, length);
}

/* ---- Sending ---- */

/* False: it is not ours. */
static bool send_ours(int descriptor, const struct msghdr *message, int flags, ssize_t *result)
{
    struct program_socket ours;

    if (!descriptor_is_believed(descriptor, &ours))
        return false;
    *result = send_message(&ours, message, flags);
    if (*result == DESCRIPTOR_IS_ANOTHERS)
        return false;
    *result = answer(*result);
    return true;
}

static bool send_bytes(int descriptor, const void *bytes, size_t length, int flags,
                       const struct sockaddr *address, socklen_t address_length, ssize_t *result)
{
    struct iovec part = {(void *)bytes, length};
    struct msghdr message = {.msg_name = (void *)address,
                             .msg_namelen = address ? address_length : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1};

    return send_ours(descriptor, &message, flags, result);
}

TAKEN_OVER ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    ssize_t result;

    if (send_ours(descriptor, message, flags, &result))
        return result;
    return LIBC->sendmsg(descriptor, message, flags);
}

TAKEN_OVER ssize_t sendto(int descriptor, const void *bytes, size_t length, int flags,
                          const struct sockaddr *address, socklen_t address_length)
{
    ssize_t result;

    if (send_bytes(descriptor, bytes, length, flags, address, address_length, &result))
        return result;
    return LIBC->sendto(descriptor, bytes, length, flags, address, address_length);
}

TAKEN_OVER ssize_t send(int descriptor, const void *bytes, size_t length, int flags)
{
    ssize_t result;

    if (send_bytes(descriptor, bytes, length, flags, NULL, 0, &result))
        return result;
    return LIBC->send(descriptor, bytes, length, flags);
}

TAKEN_OVER ssize_t write(int descriptor, const void *bytes, size_t length)
{
    ssize_t result;

    if (send_bytes(descriptor, bytes, length, 0, NULL, 0, &result))
        return result;
    return LIBC->write(descriptor, bytes, length);
}

TAKEN_OVER ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = count < 0 ? SIZE_MAX : (size_t)count};
    ssize_t result;

    if (send_ours(descriptor, &message, 0, &result))
        return result;
    return LIBC->writev(descriptor, parts, count);
}

static int flags_of(int flags)
{
    return flags & RWF_NOWAIT ? MSG_DONTWAIT : 0;
}

/* An offset of -1 is none: the same as writev(). With another the kernel says that it cannot seek.
 */
TAKEN_OVER ssize_t pwritev64v2(int descriptor, const struct iovec *parts, int count, off64_t offset,
                               int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = count < 0 ? SIZE_MAX : (size_t)count};
    ssize_t result;

    if (offset == -1 && send_ours(descriptor, &message, flags_of(flags), &result))
        return result;
    return LIBC->pwritev64v2(descriptor, parts, count, offset, flags);
}

TAKEN_OVER ssize_t pwritev2(int descriptor, const struct iovec *parts, int count, off_t offset,
                            int flags)
{
    return pwritev64v2(descriptor, parts, count, offset, flags);
}

TAKEN_OVER int sendmmsg(int descriptor, struct mmsghdr *messages, unsigned int count, int flags)
{
    struct program_socket ours;

    if (!descriptor_is_ours(descriptor, &ours)) /* who sends many does not mind one question */
        return LIBC->sendmmsg(descriptor, messages, count, flags);
    for (unsigned int i = 0; i < count; i++) {
        ssize_t sent = send_message(&ours, &messages[i].msg_hdr, flags);

        if (sent < 0)
            return i > 0 ? (int)i : (int)answer(sent);
        messages[i].msg_len = (unsigned int)sent;
    }
    return (int)count;
}

TAKEN_OVER ssize_t sendfile64(int descriptor, int file, off64_t *offset, size_t count)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return answer(transfer_file(&ours, file, offset, count));
    return LIBC->sendfile64(descriptor, file, offset, count);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "sendfile() and sendfile64() differ");
TAKEN_OVER ssize_t sendfile(int descriptor, int file, off_t *offset, size_t count)
{
    return sendfile64(descriptor, file, offset, count);
}

/* ---- Pipes ---- */

TAKEN_OVER ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length,
                          unsigned int flags)
{
    struct program_socket ours;

    if (descriptor_is_ours(in, &ours))
        return answer(in_offset ? -ESPIPE : transfer_to_pipe(&ours, out, length, flags));
    if (descriptor_is_ours(out, &ours))
        return answer(out_offset ? -ESPIPE : transfer_from_pipe(&ours, in, length, flags));
    return LIBC->splice(in, in_offset, out, out_offset, length, flags);
}

/* ---- Receiving ---- */

/* Descriptors that come from another program may be ours. */
static void look_for_descriptors(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int each;

            memcpy(&each, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            descriptor_forget(each);
        }
    }
}

/* False: it is not ours. */
static bool receive_ours(int descriptor, struct msghdr *message, int flags, ssize_t *result)
{
    struct program_socket ours;

    if (!descriptor_is_believed(descriptor, &ours))
        return false;
    *result = receive_message(&ours, message, flags);
    if (*result == DESCRIPTOR_IS_ANOTHERS)
        return false;
    *result = answer(*result);
    return true;
}

static bool receive_bytes(int descriptor, void *bytes, size_t length, int flags,
                          struct sockaddr *address, socklen_t *address_length, ssize_t *result)
{
    struct iovec part = {bytes, length};
    struct msghdr message = {.msg_name = address,
                             .msg_namelen = address && address_length ? *address_length : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1};

    if (!receive_ours(descriptor, &message, flags, result))
        return false;
    if (*result >= 0 && address && address_length)
        *address_length = message.msg_namelen;
    return true;
}

TAKEN_OVER ssize_t recvmsg(int descriptor, struct msghdr *message, int flags)
{
    ssize_t received;

    if (receive_ours(descriptor, message, flags, &received))
        return received;
    received = LIBC->recvmsg(descriptor, message, flags);
    if (received >= 0 && message->msg_controllen > 0)
        look_for_descriptors(message);
    return received;
}

TAKEN_OVER ssize_t recvfrom(int descriptor, void *bytes, size_t length, int flags,
                            struct sockaddr *address, socklen_t *address_length)
{
    ssize_t received;

    if (receive_bytes(descriptor, bytes, length, flags, address, address_length, &received))
        return received;
    return LIBC->recvfrom(descriptor, bytes, length, flags, address, address_length);
}

TAKEN_OVER ssize_t recv(int descriptor, void *bytes, size_t length, int flags)
{
    ssize_t received;

    if (receive_bytes(descriptor, bytes, length, flags, NULL, NULL, &received))
        return received;
    return LIBC->recv(descriptor, bytes, length, flags);
}

TAKEN_OVER ssize_t read(int descriptor, void *bytes, size_t length)
{
    ssize_t received;

    /* no bytes are asked of nobody: the kernel sees to it that there is a descriptor */
    if (length > 0 && receive_bytes(descriptor, bytes, length, 0, NULL, NULL, &received))
        return received;
    return LIBC->read(descriptor, bytes, length);
}

TAKEN_OVER ssize_t readv(int descriptor, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = count < 0 ? SIZE_MAX : (size_t)count};
    ssize_t received;

    if (receive_ours(descriptor, &message, 0, &received))
        return received;
    return LIBC->readv(descriptor, parts, count);
}

TAKEN_OVER ssize_t preadv64v2(int descriptor, const struct iovec *parts, int count, off64_t offset,
                              int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts,
                             .msg_iovlen = count < 0 ? SIZE_MAX : (size_t)count};
    ssize_t received;

    if (offset == -1 && receive_ours(descriptor, &message, flags_of(flags), &received))
        return received;
    return LIBC->preadv64v2(descriptor, parts, count, offset, flags);
}

TAKEN_OVER ssize_t preadv2(int descriptor, const struct iovec *parts, int count, off_t offset,
                           int flags)
{
    return preadv64v2(descriptor, parts, count, offset, flags);
}

TAKEN_OVER int recvmmsg(int descriptor, struct mmsghdr *messages, unsigned int count, int flags,
                        struct timespec *timeout)
{
    struct program_socket ours;
    int received;

    if (!descriptor_is_ours(descriptor, &ours)) {
        received = LIBC->recvmmsg(descriptor, messages, count, flags, timeout);
        for (int i = 0; i < received; i++)
            look_for_descriptors(&messages[i].msg_hdr);
        return received;
    }
    return (int)answer(receive_messages(&ours, messages, count, flags, timeout));
}

/* The fortified variants: glibc's check comes first, and ends the program if it fails. */
ssize_t __read_chk(int descriptor, void *bytes, size_t length, size_t room);
ssize_t __recv_chk(int descriptor, void *bytes, size_t length, size_t room, int flags);
ssize_t __recvfrom_chk(int descriptor, void *bytes, size_t length, size_t room, int flags,
                       struct sockaddr *address, socklen_t *address_length);

TAKEN_OVER ssize_t __read_chk(int descriptor, void *bytes, size_t length, size_t room)
{
    return length <= room ? read(descriptor, bytes, length)
                          : LIBC->__read_chk(descriptor, bytes, length, room);
}

TAKEN_OVER ssize_t __recv_chk(int descriptor, void *bytes, size_t length, size_t room, int flags)
{
    return length <= room ? recv(descriptor, bytes, length, flags)
                          : LIBC->__recv_chk(descriptor, bytes, length, room, flags);
}

TAKEN_OVER ssize_t __recvfrom_chk(int descriptor, void *bytes, size_t length, size_t room,
                                  int flags, struct sockaddr *address, socklen_t *address_length)
{
    return length <= room ? recvfrom(descriptor, bytes, length, flags, address, address_length)
                          : LIBC->__recvfrom_chk(descriptor, bytes, length, room, flags, address,
                                                 address_length);
}

/* ---- The descriptor ---- */

TAKEN_OVER int ioctl(int descriptor, unsigned long request, ...)
{
    struct program_socket ours;
    va_list arguments;
    void *value;

    va_start(arguments, request);
    value = va_arg(arguments, void *);
    va_end(arguments);
    if ((request == FIONREAD || request == TIOCOUTQ || interface_is_asked(request)) &&
        descriptor_is_ours(descriptor, &ours)) {
        int result = call_ioctl(&ours, request, value);

        if (result != -ENOSYS)
            return (int)answer(result);
    }
    return LIBC->ioctl(descriptor, request, value);
}

static int control_descriptor(int (*next)(int, int, ...), int descriptor, int command, void *value)
{
    int result = next(descriptor, command, value);

    if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        descriptor_forget(result);
    return result;
}

TAKEN_OVER int fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    void *value;

    va_start(arguments, command);
    value = va_arg(arguments, void *);
    va_end(arguments);
    return control_descriptor(LIBC->fcntl, descriptor, command, value);
}

TAKEN_OVER int fcntl64(int descriptor, int command, ...)
{
    va_list arguments;
    void *value;

    va_start(arguments, command);
    value = va_arg(arguments, void *);
    va_end(arguments);
    return control_descriptor(LIBC->fcntl64, descriptor, command, value);
}

TAKEN_OVER int dup(int descriptor)
{
    int copy = LIBC->dup(descriptor);

    descriptor_forget(copy);
    return copy;
}

TAKEN_OVER int dup2(int descriptor, int copy)
{
    bool ours = descriptor_forget(copy);
    int result = LIBC->dup2(descriptor, copy);

    if (ours && result >= 0)
        descriptor_was_closed();
    return result;
}

TAKEN_OVER int dup3(int descriptor, int copy, int flags)
{
    bool ours = descriptor_forget(copy);
    int result = LIBC->dup3(descriptor, copy, flags);

    if (ours && result >= 0)
        descriptor_was_closed();
    return result;
}
