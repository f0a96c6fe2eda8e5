/*
 * The calls that the library itself makes, straight to the kernel: they do not come back into it.
 */
#ifndef PRELOAD_DIRECT_H
#define PRELOAD_DIRECT_H

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The sixth argument of each of these calls, which has none: the filter of src/trap/ knows them. */
#define DIRECT_MARK 0x42726169644d6b21 /* any number that nobody passes by chance */

/* As syscall(2), which the library takes over; at most five arguments. */
long direct_call(long number, ...);

static inline int direct_socket(int domain, int type, int protocol)
{
    return (int)direct_call(SYS_socket, domain, type, protocol);
}

static inline int direct_connect(int descriptor, const struct sockaddr *address, socklen_t length)
{
    return (int)direct_call(SYS_connect, descriptor, address, length);
}

static inline ssize_t direct_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    return direct_call(SYS_sendmsg, descriptor, message, flags);
}

static inline ssize_t direct_recvmsg(int descriptor, struct msghdr *message, int flags)
{
    return direct_call(SYS_recvmsg, descriptor, message, flags);
}

static inline int direct_getsockname(int descriptor, void *address, socklen_t *length)
{
    return (int)direct_call(SYS_getsockname, descriptor, address, length);
}

static inline int direct_getsockopt(int descriptor, int level, int name, void *value,
                                    socklen_t *length)
{
    return (int)direct_call(SYS_getsockopt, descriptor, level, name, value, length);
}

static inline int direct_setsockopt(int descriptor, int level, int name, const void *value,
                                    socklen_t length)
{
    return (int)direct_call(SYS_setsockopt, descriptor, level, name, value, length);
}

static inline ssize_t direct_read(int descriptor, void *bytes, size_t length)
{
    return direct_call(SYS_read, descriptor, bytes, length);
}

static inline ssize_t direct_write(int descriptor, const void *bytes, size_t length)
{
    return direct_call(SYS_write, descriptor, bytes, length);
}

static inline int direct_shutdown(int descriptor, int how)
{
    return (int)direct_call(SYS_shutdown, descriptor, how);
}

static inline int direct_close(int descriptor)
{
    return (int)direct_call(SYS_close, descriptor);
}

static inline int direct_fcntl(int descriptor, int command, long argument)
{
    return (int)direct_call(SYS_fcntl, descriptor, command, argument);
}

static inline int direct_ioctl(int descriptor, unsigned long request, void *value)
{
    return (int)direct_call(SYS_ioctl, descriptor, request, value);
}

/* The same for who may wait, and for whom pthread_cancel(3) ends that. */
static inline ssize_t direct_sendmsg_waiting(int descriptor, const struct msghdr *message,
                                             int flags)
{
    ssize_t sent;
    int type;

    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    sent = direct_sendmsg(descriptor, message, flags);
    pthread_setcanceltype(type, NULL);
    return sent;
}

static inline ssize_t direct_recvmsg_waiting(int descriptor, struct msghdr *message, int flags)
{
    ssize_t received;
    int type;

    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    received = direct_recvmsg(descriptor, message, flags);
    pthread_setcanceltype(type, NULL);
    return received;
}

/* As poll(2) of one descriptor. */
static inline int direct_wait(int descriptor, short events, int milliseconds)
{
    struct pollfd entry = {.fd = descriptor, .events = events};
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

    return (int)direct_call(SYS_ppoll, &entry, 1L, milliseconds < 0 ? NULL : &time, NULL, 0L);
}

#ifdef PRELOAD_CHANNEL /* channel.c, compiled for this library */
#define socket direct_socket
#define connect direct_connect
#define getsockopt direct_getsockopt
#define setsockopt direct_setsockopt
#define shutdown direct_shutdown
#define sendmsg direct_sendmsg
#define recvmsg direct_recvmsg
#define close direct_close
#endif

#endif
