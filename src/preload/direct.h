/*
 * The calls that the library itself makes, straight to the kernel: they do not come back into it.
 *
 * Their sixth argument, which none of them has, tells the filter of src/trap/ that they are meant
 * for the descriptor as it is.
 */
#ifndef PRELOAD_DIRECT_H
#define PRELOAD_DIRECT_H

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECT_MARK 0x42726169644d6b21 /* any number that nobody passes by chance */

/* Not syscall(2), which the library takes over. */
static inline long direct_call(long number, long a, long b, long c, long d, long e)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = DIRECT_MARK;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long result __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = DIRECT_MARK;

    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
#else
#error "how does this machine call the kernel?"
#endif
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

static inline int direct_socket(int domain, int type, int protocol)
{
    return (int)direct_call(SYS_socket, domain, type, protocol, 0, 0);
}

static inline int direct_connect(int descriptor, const struct sockaddr *address, socklen_t length)
{
    return (int)direct_call(SYS_connect, descriptor, (long)address, length, 0, 0);
}

static inline ssize_t direct_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    return direct_call(SYS_sendmsg, descriptor, (long)message, flags, 0, 0);
}

static inline ssize_t direct_recvmsg(int descriptor, struct msghdr *message, int flags)
{
    return direct_call(SYS_recvmsg, descriptor, (long)message, flags, 0, 0);
}

static inline int direct_getsockname(int descriptor, void *address, socklen_t *length)
{
    return (int)direct_call(SYS_getsockname, descriptor, (long)address, (long)length, 0, 0);
}

static inline int direct_getsockopt(int descriptor, int level, int name, void *value,
                                    socklen_t *length)
{
    return (int)direct_call(SYS_getsockopt, descriptor, level, name, (long)value, (long)length);
}

static inline int direct_setsockopt(int descriptor, int level, int name, const void *value,
                                    socklen_t length)
{
    return (int)direct_call(SYS_setsockopt, descriptor, level, name, (long)value, length);
}

static inline int direct_close(int descriptor)
{
    return (int)direct_call(SYS_close, descriptor, 0, 0, 0, 0);
}

static inline int direct_fcntl(int descriptor, int command, long argument)
{
    return (int)direct_call(SYS_fcntl, descriptor, command, argument, 0, 0);
}

static inline int direct_ioctl(int descriptor, unsigned long request, void *value)
{
    return (int)direct_call(SYS_ioctl, descriptor, (long)request, (long)value, 0, 0);
}

#ifdef PRELOAD_CHANNEL /* channel.c, compiled for this library */
#define socket direct_socket
#define connect direct_connect
#define sendmsg direct_sendmsg
#define recvmsg direct_recvmsg
#define close direct_close
#endif

#endif
