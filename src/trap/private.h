/*
 * What the files of src/trap/ share:
 *
 *   filter.c      which calls the kernel asks about; the beginning
 *   supervisor.c  takes the questions, a thread for each that waits, and breaks off what a signal
 *                 ends
 *   target.c      the asking thread: its memory and descriptors
 *   call.c        which call is it             life.c        socket to close
 *   data.c        messages                     rights.c      sockets that come in messages
 *
 * Which descriptors are ours the filter cannot see, but it sees their numbers. Ours get numbers
 * from FIRST on, which other descriptors have only where hundreds are open: those are asked about
 * in vain, and rightly left alone.
 */
#ifndef TRAP_PRIVATE_H
#define TRAP_PRIVATE_H

#include <limits.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "preload/private.h"
#include "trap/trap.h"

enum {
    FIRST = 512,               /* the least number of a descriptor of ours */
    SELECT_END = 1024,         /* select(2) can have those below */
    INHERITED_MAXIMUM = 16,    /* sockets that a program is started with, at lower numbers */
    LENGTH_MAXIMUM = 16 << 20, /* of a message that is sent */
};

/* What a handler returns beside a result: the kernel shall do the call itself. */
#define CONTINUE INT32_MIN

/* A question: a thread of a program, and what it calls. */
struct trapped {
    int listener;
    struct seccomp_notif *question;
    const uint64_t *argument; /* of question->data */
    pid_t thread;
    int process;                  /* a pidfd */
    struct program_socket socket; /* our copy of its descriptor, while the call lasts */
    uint8_t *scratch;             /* CHANNEL_PIECE_MAXIMUM bytes */
};

#define CONTROL_MAXIMUM 4096 /* bytes of ancillary data: more than all of SCTP's */

/* A message of the program's: its header as it stands there, and what that points to. */
struct message {
    struct msghdr theirs, ours;
    struct iovec parts[IOV_MAX]; /* there */
    struct iovec part;           /* here: all of them in one */
    size_t length;
    struct sockaddr_storage name;
    char control[CONTROL_MAXIMUM];
};

/* ---- filter.c ---- */

/* Asks about calls on these numbers, too. The listener, or a negative errno. */
int filter_install(const uint32_t *inherited, size_t count);

/* ---- supervisor.c ---- */

/* Answers until nobody is left who could ask. */
_Noreturn void supervise(int listener);

/* ---- target.c ---- */

/* Opens the process that asks. 0, or a negative errno. */
int target_open(struct trapped *trapped);
/* Takes a copy of its descriptor of that number. False: it is not ours. */
bool target_take(struct trapped *trapped, uint64_t number);
void target_close(struct trapped *trapped);
/* A copy of another descriptor, or -EBADF. */
int target_copy(const struct trapped *trapped, uint64_t number);
/* 0 or -EFAULT. */
int target_read(const struct trapped *trapped, uint64_t from, void *to, size_t length);
int target_write(const struct trapped *trapped, uint64_t to, const void *from, size_t length);
/* Gives it a descriptor, which is closed here: its number there, from `least` on. */
int target_give(const struct trapped *trapped, int descriptor, bool close_on_exec, uint32_t least);
/* The same with the lowest number that is free there, closed on exec. */
int target_give_lowest(const struct trapped *trapped, int descriptor);
/* Closes its descriptor, while the number stays in use. */
int target_empty(const struct trapped *trapped, int number);
/* Does a signal wait for it that it does not block? */
bool target_has_signal(pid_t thread);

/* ---- call.c ---- */

/* Carries it out: a result, a negative errno, or CONTINUE. */
int64_t call(struct trapped *trapped);

/* ---- life.c, data.c ---- */

int64_t trapped_socket(struct trapped *trapped);
int64_t trapped_bind(struct trapped *trapped);
int64_t trapped_connect(struct trapped *trapped);
int64_t trapped_listen(struct trapped *trapped);
int64_t trapped_accept(struct trapped *trapped);
int64_t trapped_accept4(struct trapped *trapped);
int64_t trapped_shutdown(struct trapped *trapped);
int64_t trapped_close(struct trapped *trapped);
int64_t trapped_getsockname(struct trapped *trapped);
int64_t trapped_getpeername(struct trapped *trapped);
int64_t trapped_getsockopt(struct trapped *trapped);
int64_t trapped_setsockopt(struct trapped *trapped);
int64_t trapped_ioctl(struct trapped *trapped);
int64_t trapped_dup(struct trapped *trapped);
int64_t trapped_fcntl(struct trapped *trapped);
int64_t trapped_dup_to(struct trapped *trapped);

/* NULL: no memory. */
struct message *message_new(void);
/* The header at `from`; or, if that is 0, the parts that are the second and third argument. */
int64_t message_read(const struct trapped *trapped, uint64_t from, struct message *message);
/* `ours` becomes a header for all that `theirs` wants, with `part` for its bytes. */
void message_prepare(struct message *message);
/* What was received by that goes to the program, and its header `at` where that is not 0: the
 * length, or a negative errno. */
int64_t message_give(const struct trapped *trapped, uint64_t at, struct message *message,
                     size_t length);

int64_t trapped_write(struct trapped *trapped);
int64_t trapped_writev(struct trapped *trapped);
int64_t trapped_sendto(struct trapped *trapped);
int64_t trapped_sendmsg(struct trapped *trapped);
int64_t trapped_sendmmsg(struct trapped *trapped);
int64_t trapped_sendfile(struct trapped *trapped);
int64_t trapped_splice(struct trapped *trapped);
int64_t trapped_read(struct trapped *trapped);
int64_t trapped_readv(struct trapped *trapped);
int64_t trapped_preadv2(struct trapped *trapped);
int64_t trapped_pwritev2(struct trapped *trapped);
int64_t trapped_recvfrom(struct trapped *trapped);
int64_t trapped_recvmsg(struct trapped *trapped);
int64_t trapped_recvmmsg(struct trapped *trapped);

/* ---- rights.c ---- */

/* recvmsg() on a descriptor that is not ours, but may bring some that are. */
int64_t trapped_rights(struct trapped *trapped);

#endif
