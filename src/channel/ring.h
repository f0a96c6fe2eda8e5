/* Small messages of a busy socket, upwards, without a system call for each.
 *
 * A socket that sends many small messages (RFC 6458, 3.1.4) gets a "ring": a memory file of one
 * `channel_ring`, which the stack makes and maps, and which programs that hold the socket ask for
 * (CHANNEL_RING) and map too. The descriptor stays what it is: the ring only carries what it has
 * room for, while the stack is awake.
 *
 * Who sends puts a message into the ring if nobody else is doing so, it fits, and the stack is not
 * asleep; else it goes by the descriptor, as all that is large or special does. Nobody ever waits
 * for the ring. Once it was full, all goes by the descriptor until the stack has found that empty:
 * so poll() and EAGAIN agree. A program that is killed while it holds the lock leaves all others,
 * for good, with the descriptor.
 *
 * Order. A datagram on the descriptor says where the ring's head was when its call began
 * (`ring_position`, + 1): the stack first takes from the ring what stands before that. On its own
 * it takes from the ring only what stood there before it found the descriptor empty. So of two
 * calls of which one returned before the other began, be it of threads or of processes, the first
 * one's message is first. (What was on the descriptor before a message was put into the ring, is
 * before all datagrams that name a later position.)
 *
 * Sleep. Before the stack sleeps it says so in each ring, and looks into it once more. Who put a
 * message in and then sees that the stack sleeps, wakes it by a datagram that says nothing
 * (CHANNEL_PLUG). Any datagram on the descriptor wakes it: who sends seldom does not notice the
 * ring.
 *
 * The end. The stack has the ring mapped, and takes what is left in it after the descriptor's end.
 *
 * Trust. All of it may change at any time, on both sides: another process has it, perhaps another
 * user's. No number is used before it was copied and checked. Who writes nonsense loses his
 * messages; the memory file is sealed, so that it cannot shrink.
 */
#ifndef CHANNEL_RING_H
#define CHANNEL_RING_H

#include <sys/uio.h>

#include "channel/channel.h"

#define CHANNEL_RING_SIZE (1u << 18) /* bytes; a power of two */
#define CHANNEL_RING_MESSAGE_MAXIMUM 512u
#define CHANNEL_RINGS_MAXIMUM 64 /* of one stack */

/* The flags that a message in a ring may have: all else goes by the descriptor. */
#define CHANNEL_RING_FLAGS                                                                         \
    ((uint32_t)(CHANNEL_HAS_INFO | CHANNEL_HAS_PR | CHANNEL_HOLD | CHANNEL_KNOWS_RING))

/* Positions count bytes from the beginning on, and wrap. */
struct channel_ring {
    _Atomic uint32_t head; /* programs': all before it is written */
    _Atomic uint32_t lock; /* programs': 1 while one of them writes */
    uint32_t reserved[14];
    _Atomic uint32_t tail;   /* the stack's: all before it was taken */
    _Atomic uint32_t asleep; /* the stack's: 1 if it has to be woken */
    _Atomic uint32_t full;   /* 1: a program found no room, and the stack has more to read */
    uint32_t more_reserved[13];
    _Atomic uint32_t words[CHANNEL_RING_SIZE / sizeof(uint32_t)];
};

/* An entry, at a multiple of 8: its length in a word (0: go on at the ring's beginning), a
 * channel_header, and the message's bytes. It does not wrap. */

/* ---- Programs ---- */

/* Puts a message in; `parts` are `length` bytes. False: it has to go by the descriptor. */
bool ring_put(struct channel_ring *ring, const struct channel_header *header,
              const struct iovec *parts, size_t count, size_t length);

/* After ring_put(): does the stack sleep? */
bool ring_is_asleep(struct channel_ring *ring);

/* What a datagram says of where the head was: never 0, which is where there was no ring. */
static inline uint32_t ring_position(const struct channel_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire) | 1;
}

/* ---- The stack ---- */

struct ring_entry {
    struct channel_header header; /* a copy */
    const void *bytes; /* in the ring: they may change, and are to be read no more than once */
    size_t length;
};

/* Takes the entry at `*tail`, which is moved behind it, if it is before `head`. 1: done; 0: there
 * is none; -EBADMSG: nonsense stands there. */
int ring_take(const struct channel_ring *ring, uint32_t *tail, uint32_t head,
              struct ring_entry *entry);

/* Says that what is before `tail` may be written over. */
void ring_release(struct channel_ring *ring, uint32_t tail);

/* The descriptor was found empty. */
void ring_reopen(struct channel_ring *ring);

/* Says that the stack sleeps. False: something was put in, and it is said to be awake. */
bool ring_sleep(struct channel_ring *ring, uint32_t tail);
void ring_wake(struct channel_ring *ring);

/* ---- Both ---- */

static inline uint32_t ring_head(const struct channel_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

#endif
