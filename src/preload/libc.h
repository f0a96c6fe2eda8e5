/*
 * The functions that stand behind those we take over: the next library's.
 */
#ifndef PRELOAD_LIBC_H
#define PRELOAD_LIBC_H

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define SPAWN_PARAMETERS                                                                           \
    (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,         \
     char *const[], char *const[])
/* result, name, parameters */
#define LIBC_FUNCTIONS(X)                                                                          \
    X(int, socket, (int, int, int))                                                                \
    X(int, socketpair, (int, int, int, int *))                                                     \
    X(int, bind, (int, const struct sockaddr *, socklen_t))                                        \
    X(int, listen, (int, int))                                                                     \
    X(int, accept, (int, struct sockaddr *, socklen_t *))                                          \
    X(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                    \
    X(int, connect, (int, const struct sockaddr *, socklen_t))                                     \
    X(int, shutdown, (int, int))                                                                   \
    X(int, close, (int))                                                                           \
    X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                     \
    X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                     \
    X(int, getsockopt, (int, int, int, void *, socklen_t *))                                       \
    X(int, setsockopt, (int, int, int, const void *, socklen_t))                                   \
    X(ssize_t, send, (int, const void *, size_t, int))                                             \
    X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))       \
    X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                         \
    X(int, sendmmsg, (int, struct mmsghdr *, unsigned int, int))                                   \
    X(ssize_t, recv, (int, void *, size_t, int))                                                   \
    X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))               \
    X(ssize_t, recvmsg, (int, struct msghdr *, int))                                               \
    X(int, recvmmsg, (int, struct mmsghdr *, unsigned int, int, struct timespec *))                \
    X(ssize_t, read, (int, void *, size_t))                                                        \
    X(ssize_t, write, (int, const void *, size_t))                                                 \
    X(ssize_t, readv, (int, const struct iovec *, int))                                            \
    X(ssize_t, writev, (int, const struct iovec *, int))                                           \
    X(ssize_t, preadv64v2, (int, const struct iovec *, int, off64_t, int))                         \
    X(ssize_t, pwritev64v2, (int, const struct iovec *, int, off64_t, int))                        \
    X(ssize_t, sendfile, (int, int, off_t *, size_t))                                              \
    X(ssize_t, sendfile64, (int, int, off64_t *, size_t))                                          \
    X(ssize_t, __read_chk, (int, void *, size_t, size_t))                                          \
    X(ssize_t, __recv_chk, (int, void *, size_t, size_t, int))                                     \
    X(ssize_t, __recvfrom_chk, (int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *)) \
    X(ssize_t, splice, (int, off64_t *, int, off64_t *, size_t, unsigned int))                     \
    X(int, poll, (struct pollfd *, nfds_t, int))                                                   \
    X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))            \
    X(int, __poll_chk, (struct pollfd *, nfds_t, int, size_t))                                     \
    X(int, __ppoll_chk,                                                                            \
      (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t))                \
    X(int, ioctl, (int, unsigned long, ...))                                                       \
    X(int, fcntl, (int, int, ...))                                                                 \
    X(int, fcntl64, (int, int, ...))                                                               \
    X(int, dup, (int))                                                                             \
    X(int, dup2, (int, int))                                                                       \
    X(int, dup3, (int, int, int))                                                                  \
    X(FILE *, fdopen, (int, const char *))                                                         \
    X(int, fileno, (FILE *))                                                                       \
    X(int, vdprintf, (int, const char *, va_list))                                                 \
    X(int, __vdprintf_chk, (int, int, const char *, va_list))                                      \
    X(int, execve, (const char *, char *const[], char *const[]))                                   \
    X(int, execvpe, (const char *, char *const[], char *const[]))                                  \
    X(int, execveat, (int, const char *, char *const[], char *const[], int))                       \
    X(int, posix_spawn, SPAWN_PARAMETERS)                                                          \
    X(int, posix_spawnp, SPAWN_PARAMETERS)                                                         \
    X(void *, dlopen, (const char *, int))                                                         \
    X(long, syscall, (long, ...))

struct libc {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type and a list of parameters */
#define LIBC_FIELD(result, name, parameters) result(*name) parameters;
    LIBC_FUNCTIONS(LIBC_FIELD)
#undef LIBC_FIELD
};

/* Looked up at the first use. */
const struct libc *libc_functions(void);

#endif
