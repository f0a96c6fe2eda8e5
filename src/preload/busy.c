/*
 * Busy sockets: their rings (src/channel/ring.h), as this process has them mapped.
 *
 * RFC 6458, 3.1.4, is in send.c. The stack says in the page that a socket has a ring; who sends
 * then asks for it, once, with the descriptor as proof. It stays mapped until the socket is gone:
 * whoever has put something into it knows what goes before a datagram. What goes into a ring is not
 * checked by the kernel as datagrams are (descriptor.c): so a child after fork() asks anew, since
 * what it closed before it might not have been seen.
 *
 * Nor does the kernel see where the bytes come from. So those of a page from which the kernel has
 * not taken any yet go by the descriptor: a bad pointer is EFAULT, unless it was a good one before.
 */
#include <sys/mman.h>

#include "channel/ring.h"
#include "preload/direct.h"
#include "preload/private.h"

#define EXCLUSIVE (1u << 31)

/* What is in it may be read by who is one of `users`, and changed by the only one, who has made it
 * EXCLUSIVE. Nobody waits for either: a signal handler may have interrupted the other. */
struct place {
    _Atomic uint32_t users;
    _Atomic uint32_t generation; /* of the socket that was asked for; 0: none */
    struct channel_ring *ring;   /* NULL: it could not be mapped */
};

static struct {
    struct place places[CHANNEL_SLOTS]; /* by slot */
    _Atomic uint32_t
        mapped[CHANNEL_RINGS_MAXIMUM]; /* slots of those that have a ring, + 1; 0: none */
} * busy;

void busy_open(void)
{
    void *memory = mmap(NULL, sizeof(*busy), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return;
    if (madvise(memory, sizeof(*busy), MADV_WIPEONFORK) == 0)
        busy = memory;
    else
        munmap(memory, sizeof(*busy));
}

bool busy_is_open(void)
{
    return busy != NULL;
}

static bool place_lock(struct place *place)
{
    uint32_t nobody = 0;

    return atomic_compare_exchange_strong(&place->users, &nobody, EXCLUSIVE);
}

static void place_unlock(struct place *place)
{
    atomic_fetch_sub(&place->users, EXCLUSIVE);
}

/* Changes one entry of the list of those that are mapped. False: there is none. */
static bool list_change(uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < CHANNEL_RINGS_MAXIMUM; i++) {
        uint32_t expected = from;

        if (atomic_compare_exchange_strong(&busy->mapped[i], &expected, to))
            return true;
    }
    return false;
}

static void place_clear(struct place *place)
{
    if (place->ring) {
        munmap(place->ring, sizeof(*place->ring));
        list_change((uint32_t)(place - busy->places) + 1, 0);
    }
    place->ring = NULL;
    atomic_store(&place->generation, 0);
}

static struct channel_ring *map_ring(const struct program_socket *socket)
{
    struct control request = {.operation = CHANNEL_RING};
    struct channel_ring *ring = MAP_FAILED;

    if (control(socket->descriptor, &request) >= 0 && request.answer_descriptor >= 0)
        ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED,
                    request.answer_descriptor, 0);
    if (request.answer_descriptor >= 0)
        direct_close(request.answer_descriptor);
    if (ring == MAP_FAILED)
        return NULL;
    if (madvise(ring, sizeof(*ring), MADV_DONTFORK) == 0)
        return ring;
    munmap(ring, sizeof(*ring));
    return NULL;
}

static bool place_fill(struct place *place, const struct program_socket *socket)
{
    if (!place_lock(place))
        return false;
    if (atomic_load(&place->generation) != socket->generation) {
        uint32_t entry = (uint32_t)(place - busy->places) + 1;

        place_clear(place);
        busy_collect();
        if (list_change(0, entry)) {
            place->ring = map_ring(socket);
            if (!place->ring)
                list_change(entry, 0);
        }
        atomic_store(&place->generation, socket->generation);
    }
    place_unlock(place);
    return true;
}

enum busy busy_take(const struct program_socket *socket, struct channel_ring **ring)
{
    struct place *place;

    if (!busy || !(socket_state(socket) & CHANNEL_STATE_RING))
        return BUSY_NOT;
    place = &busy->places[socket->slot % CHANNEL_SLOTS];
    for (;;) {
        bool changing = atomic_fetch_add(&place->users, 1) >= EXCLUSIVE;
        bool known = !changing && atomic_load(&place->generation) == socket->generation;

        if (known && place->ring) {
            *ring = place->ring;
            return BUSY_RING;
        }
        atomic_fetch_sub(&place->users, 1);
        if (known)
            return BUSY_NOT;
        if (changing || !place_fill(place, socket))
            return BUSY_CHANGING;
    }
}

void busy_release(const struct program_socket *socket)
{
    atomic_fetch_sub(&busy->places[socket->slot % CHANNEL_SLOTS].users, 1);
}

void busy_collect(void)
{
    if (!busy)
        return;
    for (size_t i = 0; i < CHANNEL_RINGS_MAXIMUM; i++) {
        uint32_t entry = atomic_load(&busy->mapped[i]);
        struct place *place = entry > 0 ? &busy->places[entry - 1] : NULL;

        if (!place || socket_is_there(entry - 1, atomic_load(&place->generation)) ||
            !place_lock(place))
            continue;
        if (!socket_is_there(entry - 1, atomic_load(&place->generation)))
            place_clear(place);
        place_unlock(place);
    }
}

/* ---- Where the bytes come from ---- */

#define PAGE_SIZE 4096u /* or a part of one */
#define PAGES 1024u     /* that are remembered */

/* Each in its number's place, + 1; 0: none. Races are harmless. */
static _Atomic uintptr_t readable[PAGES];

static bool each_page(const struct msghdr *message, bool (*does)(uintptr_t page))
{
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        uintptr_t begin = (uintptr_t)message->msg_iov[i].iov_base;
        size_t length = message->msg_iov[i].iov_len;

        if (length == 0)
            continue;
        if (length - 1 > UINTPTR_MAX - begin)
            return false;
        for (uintptr_t page = begin / PAGE_SIZE; page <= (begin + length - 1) / PAGE_SIZE; page++)
            if (!does(page))
                return false;
    }
    return true;
}

static bool is_readable(uintptr_t page)
{
    return atomic_load_explicit(&readable[page % PAGES], memory_order_relaxed) == page + 1;
}

static bool remember(uintptr_t page)
{
    atomic_store_explicit(&readable[page % PAGES], page + 1, memory_order_relaxed);
    return true;
}

bool busy_may_read(const struct msghdr *message)
{
    return each_page(message, is_readable);
}

void busy_was_read(const struct msghdr *message)
{
    each_page(message, remember);
}
