/*
 * poll(2) of an SCTP socket that has failed, or was shut down. RFC 6458, section 3.2, leaves it to
 * the system.
 *
 * The descriptor is one of AF_UNIX, and its other end can say that it has ended, but not why: the
 * kernel tells POLLIN and POLLRDHUP where a socket of Linux's SCTP has an error (POLLERR), or was
 * shut down (POLLHUP). What is ready is looked at once more, by the page. That costs nothing but a
 * look at the mark of each ready descriptor, and no system call, unless one of ours has ended.
 *
 * epoll(7) names descriptors by what the program gave it, which need not be their number: there it
 * stays as the kernel tells it. For select(2) an error is readable and writable, as the end is.
 */
#include "preload/direct.h"
#include "preload/libc.h"
#include "preload/private.h"

#define TAKEN_OVER __attribute__((visibility("default")))
#define READABLE (POLLIN | POLLRDNORM)
#define WRITABLE (POLLOUT | POLLWRNORM)

/* The type of what would be read next: 0 at the end, negative if there is nothing. */
static int next_type(const struct program_socket *socket)
{
    struct channel_header header = {.type = 0};
    struct iovec part = {&header, sizeof(header)};
    struct msghdr datagram = {.msg_iov = &part, .msg_iovlen = 1};

    if (descriptor_is_partial(socket))
        return CHANNEL_MESSAGE;
    return direct_recvmsg(socket->descriptor, &datagram, MSG_PEEK | MSG_DONTWAIT) < 0 ? -1
                                                                                      : header.type;
}

/* CHANNEL_WAKE is for who waits in recv(); it says nothing to who asks whether there is something
 * to read. It has done its work: the page tells the rest. */
static int without_wake(const struct program_socket *socket, int told)
{
    if (next_type(socket) != CHANNEL_WAKE)
        return told;
    receive_discard(socket->descriptor);
    return told & ~READABLE;
}

/* The error of a one-to-one socket waits to be read. */
static bool has_failed(uint32_t state)
{
    return state & CHANNEL_STATE_ERROR && !(state & CHANNEL_STATE_ONE_TO_MANY);
}

/* As sctp_poll() of Linux: what shutdown() or the peer has ended can be read for ever; an end that
 * is an error is POLLERR, and nothing else. */
static int as_linux(const struct program_socket *socket, uint32_t state, int told)
{
    int mask = told & WRITABLE;

    if (has_failed(state) && !(state & CHANNEL_STATE_ENDED))
        mask = 0; /* a connect() that was not waited for has failed */
    if (told & READABLE && next_type(socket) == CHANNEL_MESSAGE)
        mask |= READABLE;
    if (state & CHANNEL_STATE_SHUT_READ)
        mask |= READABLE | POLLRDHUP;
    if (state & CHANNEL_STATE_HUNG_UP)
        mask |= POLLHUP;
    if (has_failed(state))
        mask |= POLLERR;
    return mask;
}

/* What is to be told of a descriptor that is ready. */
static int correct(const struct pollfd *entry)
{
    int told = entry->revents;
    uint32_t state = descriptor_state(entry->fd);
    bool abandoned = state & CHANNEL_STATE_PEELED_OFF && state & CHANNEL_STATE_ENDED;
    bool shut = state & CHANNEL_STATE_SHUT_READ;
    struct program_socket socket;

    if (told & POLLWRBAND && told & ~POLLWRBAND && descriptor_is_ours(entry->fd, &socket))
        told &= ~POLLWRBAND; /* SCTP has none */
    if ((!abandoned && !shut && !has_failed(state)) || !descriptor_is_ours(entry->fd, &socket))
        return told;
    if (shut || has_failed(state))
        return as_linux(&socket, state, told) & (entry->events | POLLERR | POLLHUP);
    return told & READABLE ? without_wake(&socket, told) : told;
}

/* How many are still ready. */
static int correct_all(struct pollfd *entries, nfds_t count, int ready)
{
    for (nfds_t i = 0, left = (nfds_t)ready; i < count && left > 0; i++) {
        if (entries[i].revents == 0)
            continue;
        left--;
        entries[i].revents = (short)correct(&entries[i]);
        if (entries[i].revents == 0)
            ready--;
    }
    return ready;
}

/* If nothing is left of what was ready, it is waited for anew: once in a socket's life. */
TAKEN_OVER int poll(struct pollfd *entries, nfds_t count, int timeout)
{
    int told, ready;

    do {
        told = libc_functions()->poll(entries, count, timeout);
        ready = told > 0 ? correct_all(entries, count, told) : told;
    } while (ready == 0 && told > 0);
    return ready;
}

TAKEN_OVER int ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                     const sigset_t *mask)
{
    int told, ready;

    do {
        told = libc_functions()->ppoll(entries, count, timeout, mask);
        ready = told > 0 ? correct_all(entries, count, told) : told;
    } while (ready == 0 && told > 0);
    return ready;
}

/* The fortified variants: glibc's check comes first. */
int __poll_chk(struct pollfd *entries, nfds_t count, int timeout, size_t room);
int __ppoll_chk(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t room);

TAKEN_OVER int __poll_chk(struct pollfd *entries, nfds_t count, int timeout, size_t room)
{
    return room / sizeof(*entries) >= count
               ? poll(entries, count, timeout)
               : libc_functions()->__poll_chk(entries, count, timeout, room);
}

TAKEN_OVER int __ppoll_chk(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                           const sigset_t *mask, size_t room)
{
    return room / sizeof(*entries) >= count
               ? ppoll(entries, count, timeout, mask)
               : libc_functions()->__ppoll_chk(entries, count, timeout, mask, room);
}
