/* The ring of a busy socket (ring.h): what programs put into it, and what the stack takes out.
 *
 * RFC 6458 is above it. No state of its own, no allocation, no system call.
 */
#include "channel/ring.h"

#include <errno.h>
#include <string.h>

enum {
    ENTRY_ALIGNMENT = 8,
    ENTRY_HEAD = sizeof(uint32_t) + sizeof(struct channel_header),
};

_Static_assert((CHANNEL_RING_SIZE & (CHANNEL_RING_SIZE - 1)) == 0, "positions would not wrap");

static uint32_t entry_size(size_t length)
{
    return (uint32_t)((ENTRY_HEAD + length + ENTRY_ALIGNMENT - 1) & ~(size_t)(ENTRY_ALIGNMENT - 1));
}

/* ---- Programs ---- */

static void entry_write(struct channel_ring *ring, uint32_t at, const struct channel_header *header,
                        const struct iovec *parts, size_t count, size_t length)
{
    uint8_t *bytes = (uint8_t *)ring->words + at;

    atomic_store_explicit(&ring->words[at / sizeof(uint32_t)], (uint32_t)(sizeof(*header) + length),
                          memory_order_relaxed);
    memcpy(bytes + sizeof(uint32_t), header, sizeof(*header));
    bytes += ENTRY_HEAD;
    for (size_t i = 0; i < count && length > 0; i++) {
        size_t part = parts[i].iov_len < length ? parts[i].iov_len : length;

        if (part > 0)
            memcpy(bytes, parts[i].iov_base, part);
        bytes += part;
        length -= part;
    }
}

/* Under the lock. The numbers may be anybody's nonsense: what is written stays within the ring. */
static bool put(struct channel_ring *ring, const struct channel_header *header,
                const struct iovec *parts, size_t count, size_t length)
{
    uint32_t head =
        atomic_load_explicit(&ring->head, memory_order_relaxed) & ~(uint32_t)(ENTRY_ALIGNMENT - 1);
    uint32_t used = head - atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint32_t at = head % CHANNEL_RING_SIZE;
    uint32_t size = entry_size(length);
    uint32_t skipped = at + size > CHANNEL_RING_SIZE ? CHANNEL_RING_SIZE - at : 0;

    if (used > CHANNEL_RING_SIZE || skipped + size > CHANNEL_RING_SIZE - used) {
        atomic_store_explicit(&ring->full, 1, memory_order_relaxed);
        return false;
    }
    if (skipped > 0) {
        atomic_store_explicit(&ring->words[at / sizeof(uint32_t)], 0, memory_order_relaxed);
        at = 0;
    }
    entry_write(ring, at, header, parts, count, length);
    atomic_store_explicit(&ring->head, head + skipped + size, memory_order_release);
    return true;
}

bool ring_put(struct channel_ring *ring, const struct channel_header *header,
              const struct iovec *parts, size_t count, size_t length)
{
    bool done;

    if (length > CHANNEL_RING_MESSAGE_MAXIMUM || header->flags & ~CHANNEL_RING_FLAGS ||
        atomic_load_explicit(&ring->asleep, memory_order_relaxed) != 0 ||
        atomic_load_explicit(&ring->full, memory_order_relaxed) != 0 ||
        atomic_exchange_explicit(&ring->lock, 1, memory_order_acquire) != 0)
        return false;
    done = put(ring, header, parts, count, length);
    atomic_store_explicit(&ring->lock, 0, memory_order_release);
    return done;
}

bool ring_is_asleep(struct channel_ring *ring)
{
    atomic_thread_fence(memory_order_seq_cst); /* after the head was written: see ring_sleep() */
    return atomic_load_explicit(&ring->asleep, memory_order_relaxed) != 0;
}

/* ---- The stack ---- */

int ring_take(const struct channel_ring *ring, uint32_t *tail, uint32_t head,
              struct ring_entry *entry)
{
    uint32_t at = *tail % CHANNEL_RING_SIZE;
    uint32_t used = head - *tail;
    uint32_t length;

    if (used == 0)
        return 0;
    if (used > CHANNEL_RING_SIZE || used % ENTRY_ALIGNMENT != 0)
        return -EBADMSG;
    length = atomic_load_explicit(&ring->words[at / sizeof(uint32_t)], memory_order_relaxed);
    if (length == 0) {
        if (used <= CHANNEL_RING_SIZE - at)
            return -EBADMSG;
        *tail += CHANNEL_RING_SIZE - at;
        used -= CHANNEL_RING_SIZE - at;
        at = 0;
        length = atomic_load_explicit(&ring->words[0], memory_order_relaxed);
    }
    if (length < sizeof(entry->header) ||
        length > sizeof(entry->header) + CHANNEL_RING_MESSAGE_MAXIMUM)
        return -EBADMSG;
    entry->length = length - sizeof(entry->header);
    if (entry_size(entry->length) > used || entry_size(entry->length) > CHANNEL_RING_SIZE - at)
        return -EBADMSG;
    memcpy(&entry->header, (const uint8_t *)ring->words + at + sizeof(uint32_t),
           sizeof(entry->header));
    entry->bytes = (const uint8_t *)ring->words + at + ENTRY_HEAD;
    *tail += entry_size(entry->length);
    if (!channel_is_send(&entry->header) || entry->header.flags & ~CHANNEL_RING_FLAGS ||
        entry->header.address_count != 0)
        return -EBADMSG;
    return 1;
}

void ring_release(struct channel_ring *ring, uint32_t tail)
{
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

void ring_reopen(struct channel_ring *ring)
{
    if (atomic_load_explicit(&ring->full, memory_order_relaxed) != 0)
        atomic_store_explicit(&ring->full, 0, memory_order_relaxed);
}

bool ring_sleep(struct channel_ring *ring, uint32_t tail)
{
    atomic_store_explicit(&ring->asleep, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* before the head is read: see ring_is_asleep() */
    if (ring_head(ring) == tail)
        return true;
    ring_wake(ring);
    return false;
}

void ring_wake(struct channel_ring *ring)
{
    atomic_store_explicit(&ring->asleep, 0, memory_order_relaxed);
}
