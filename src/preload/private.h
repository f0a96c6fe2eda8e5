/*
 * The library that is loaded into a program: its SCTP sockets are the stack process's.
 *
 * RFC 6458, as Linux has it; src/channel/channel.h is what is said to the stack. What the files do:
 *
 *   entry.c       the libc functions that are taken over, one line each
 *   libc.c        the functions of the next library, for all other descriptors
 *   descriptor.c  is this descriptor one of ours?
 *   control.c     requests to the stack, and their replies
 *   call.c        socket, bind, connect, accept, options, ...
 *   send.c        user messages up          receive.c    user messages and notifications down
 *   stdio.c       streams on a socket        number.c     system calls by number
 *   transfer.c    files and pipes            start.c      a stack, should there be none
 *   exec.c        the environment of programs that are started
 *   image.c       can the library be loaded into a program?
 *   interface.c   interfaces by their names    io_uring.c  there is none
 *   poll.c        sockets that have failed    busy.c     rings of busy sockets
 *
 * Inside the library a result is a number >= 0 or a negative errno; entry.c makes it what libc
 * gives. Nothing is allocated, no lock is taken: all of this may be called from a signal handler.
 */
#ifndef PRELOAD_PRIVATE_H
#define PRELOAD_PRIVATE_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "channel/channel.h"

/* A descriptor of ours. */
struct program_socket {
    int descriptor;
    uint32_t slot, generation;
    bool believed; /* it was ours when it was last looked at: see descriptor_is_believed() */
    const struct channel_slot *published;
};

/* A result beyond all errnos: what was believed to be ours is not, and nothing was done. */
#define DESCRIPTOR_IS_ANOTHERS (-4096)

/* A pointer of the program's that the kernel would answer with EFAULT, as far as can be seen
 * without touching it: what is at the ends of the address space is no program's. */
static inline bool is_wild(const void *pointer)
{
    return (uintptr_t)pointer < 4096 || (uintptr_t)pointer >> 47 != 0;
}

/* ---- descriptor.c ---- */

/* The name of the stack that this program belongs to; NULL: none, and nothing is taken over. */
const char *stack_name(void);
void stack_set_name(const char *text);
/* How a stack is started, should there be none: start.c. */
void stack_set_start(const char *path, const char *text);
bool stack_start(void);
/* Is it ours? Fast for descriptors that are known not to be. */
bool descriptor_is_ours(int descriptor, struct program_socket *socket);
/* The same for messages, which the kernel refuses on any other socket: what was ours is believed to
 * be. send_message() and receive_message() look again when something fails. */
bool descriptor_is_believed(int descriptor, struct program_socket *socket);
/* What the page says of one that is believed to be ours; 0: it is not. */
uint32_t descriptor_state(int descriptor);
/* A call on a believed one has failed. True if it is ours, but another: its call is to be made
 * anew. Else `*result` is what there is to say. */
bool descriptor_is_other(const struct program_socket *believed, struct program_socket *socket,
                         ssize_t *result);
/* It may be another than before. True if it was ours. */
bool descriptor_forget(int descriptor);
bool descriptor_forget_range(unsigned int first, unsigned int last);
/* After one of ours was closed: what that ends has ended, and is not kept. */
void descriptor_was_closed(void);
/* Does the stack still have this socket? */
bool socket_is_there(uint32_t slot, uint32_t generation);
/* A message of it was read in part, or is no longer (SO_PEEK_OFF tells how much). */
void descriptor_set_partial(const struct program_socket *socket, bool partial);
bool descriptor_is_partial(const struct program_socket *socket);
/* A new descriptor from the stack: with the flags that the program asked for (SOCK_NONBLOCK,
 * SOCK_CLOEXEC), and the lowest number that is free, as POSIX has it. Returns it. */
int descriptor_adopt(int descriptor, int flags);
/* Gives a descriptor the generic options that another has: of a listener, or what was peeled off.
 */
void descriptor_inherit(int from, int to);
bool descriptor_blocks(int descriptor);
static inline bool may_wait(const struct program_socket *socket, int flags)
{
    return !(flags & MSG_DONTWAIT) && descriptor_blocks(socket->descriptor);
}
static inline uint32_t socket_state(const struct program_socket *socket)
{
    return atomic_load_explicit(&socket->published->state, memory_order_acquire);
}
/* What the stack publishes of a one-to-many socket's association; NULL if it is not there. */
const struct channel_association *published_association(const struct program_socket *socket,
                                                        int32_t identifier);

/* ---- control.c ---- */

/* A request and its reply. What is 0 or NULL is left out. */
struct control {
    uint32_t operation;
    int32_t argument[4];
    const void *payload;
    size_t length;
    void *answer; /* room for the reply's payload */
    size_t answer_size, answer_length;
    int answer_descriptor;          /* out: -1 if there was none */
    uint32_t answer_argument;       /* out */
    const struct timeval *patience; /* NULL or zero: waits for ever */
    bool interruptible;             /* a signal ends the wait: EINTR */
};
/* The reply's result, or a negative errno: -ECONNREFUSED if no stack is there, -EAGAIN if patience
 * was over. `descriptor`: the socket that it is about, or -1. */
int control(int descriptor, struct control *request);
/* Why the socket ended: a negative errno, 0 if that was told before. */
int control_take_error(const struct program_socket *socket);
/* What SIOCOUTQ says. */
int control_queue_size(const struct program_socket *socket);
/* Waits until the stack has done what it had to do when this was called. */
void control_settle(void);
/* Maps the page of the stack on whose connection this is done. */
const struct channel_page *control_map_page(void);

/* ---- busy.c ---- */

struct channel_ring;

/* Before anything is sent; without it (src/trap/) this process uses no rings. */
void busy_open(void);
bool busy_is_open(void);
/* The ring of a socket. */
enum busy {
    BUSY_NOT,      /* it has none, or none that could be used: nothing was put into it here */
    BUSY_RING,     /* it is to be given back by busy_release() */
    BUSY_CHANGING, /* another thread is about to know */
};
enum busy busy_take(const struct program_socket *socket, struct channel_ring **ring);
void busy_release(const struct program_socket *socket);
/* Unmaps the rings of sockets that are gone. */
void busy_collect(void);
/* A small message: has the kernel read from all of its pages before? And now it has. */
bool busy_may_read(const struct msghdr *message);
void busy_was_read(const struct msghdr *message);

/* ---- call.c ---- */

bool call_wants_socket(int domain, int type, int protocol);
int call_socket(int domain, int type, int protocol);
int call_bind(const struct program_socket *socket, const struct sockaddr *address,
              socklen_t length);
int call_listen(const struct program_socket *socket, int backlog);
int call_accept(const struct program_socket *socket, struct sockaddr *address, socklen_t *length,
                int flags);
int call_connect(const struct program_socket *socket, const struct sockaddr *address,
                 socklen_t length);
int call_shutdown(const struct program_socket *socket, int how);
int call_name(const struct program_socket *socket, bool peer, struct sockaddr *address,
              socklen_t *length);
/* -ENOSYS: the real descriptor's. */
int call_getsockopt(const struct program_socket *socket, int level, int name, void *value,
                    socklen_t *length);
int call_setsockopt(const struct program_socket *socket, int level, int name, const void *value,
                    socklen_t length);
/* FIONREAD, SIOCOUTQ, and those. -ENOSYS: the real descriptor's. */
int call_ioctl(const struct program_socket *socket, unsigned long name, void *value);
int call_close(const struct program_socket *socket);
/* How long the sockaddr of a family is; 0: of none that SCTP has. */
socklen_t address_length(sa_family_t family);
/* Copies an address to a caller that has room for *length bytes, and says how long it is. Either
 * may be NULL. */
void give_address(const union channel_address *from, struct sockaddr *address, socklen_t *length);

/* ---- interface.c ---- */

/* An ioctl() that every socket of IPv4 answers, and one of AF_UNIX does not? */
bool interface_is_asked(unsigned long name);
/* Asks it of a socket that is there for this. */
int interface_ask(unsigned long name, void *value);
/* SO_BINDTODEVICE. */
int interface_bind(const struct program_socket *socket, const char *name, socklen_t length);
int interface_bound(const struct program_socket *socket, char *name, socklen_t *length);

/* ---- image.c ---- */

/* What becomes of a program that the library is to be loaded into? */
enum image {
    IMAGE_LOADS,  /* it works */
    IMAGE_TRAPS,  /* it is loaded, but not all calls come by it: Go's */
    IMAGE_STATIC, /* it is not loaded */
    IMAGE_OTHER,  /* it cannot be loaded, and the program fails to start: another libc */
};
enum image image_of(const char *path);

/* ---- send.c, receive.c ---- */

/* Both may answer DESCRIPTOR_IS_ANOTHERS if the socket is only believed to be ours. */
ssize_t send_message(const struct program_socket *socket, const struct msghdr *message, int flags);
ssize_t receive_message(const struct program_socket *socket, struct msghdr *message, int flags);
/* recvmmsg(): how many, or the error of the first. */
int receive_messages(const struct program_socket *socket, struct mmsghdr *messages,
                     unsigned int count, int flags, struct timespec *timeout);
/* The timeout of recvmmsg() (NULL: none) is looked at after each message: from -EINVAL or 0 at the
 * beginning, with the time at which it is over, to true at its end; `timeout` is what is left. */
int timeout_begin(const struct timespec *timeout, struct timespec *end);
bool timeout_is_over(const struct timespec *end, struct timespec *timeout);
/* Takes away the datagram that stands first. */
void receive_discard(int descriptor);
/* The bytes of the message that would be read next, for FIONREAD. */
int receive_waiting(const struct program_socket *socket);

/* ---- transfer.c ---- */

/* sendfile(2). */
ssize_t transfer_file(const struct program_socket *socket, int file, off64_t *offset, size_t count);
/* splice(2), with a socket at one end. */
ssize_t transfer_to_pipe(const struct program_socket *socket, int pipe, size_t length,
                         unsigned int flags);
ssize_t transfer_from_pipe(const struct program_socket *socket, int pipe, size_t length,
                           unsigned int flags);

#endif
