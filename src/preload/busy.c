/*
 * Busy sockets: their rings (src/channel/ring.h), as this process has them mapped.
 *
 * RFC 6458, 3.1.4, is in send.c. The stack says in the page that a socket has a ring; who sends
 * then asks for it, once, with the descriptor as proof, and unmaps it when he closes a descriptor
 * of that socket. What goes into a ring is not checked by the kernel as datagrams are
 * (descriptor.c): so a child after fork() asks anew, too, since what it closed before it might not
 * have been seen.
 */
#include <sys/mman.h>

#include "channel/ring.h"
#include "preload/direct.h"
#include "preload/private.h"

#define EXCLUSIVE (1u << 31)

/* By slot. What is in it may be read by who is one of `users`, and changed by the only one, who has
 * made it EXCLUSIVE. Nobody waits for either: a signal handler may have interrupted the other. */
static struct place {
    _Atomic uint32_t users;
    uint32_t generation;       /* of the socket that was asked for; 0: none */
    struct channel_ring *ring; /* NULL: it could not be mapped */
} * places;

void busy_open(void)
{
    size_t size = CHANNEL_SLOTS * sizeof(*places);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return;
    if (madvise(memory, size, MADV_WIPEONFORK) == 0)
        places = memory;
    else
        munmap(memory, size);
}

bool busy_is_open(void)
{
    return places != NULL;
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

static void place_clear(struct place *place)
{
    if (place->ring)
        munmap(place->ring, sizeof(*place->ring));
    place->ring = NULL;
    place->generation = 0;
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
    int saved = errno;

    if (!place_lock(place))
        return false;
    if (place->generation != socket->generation) {
        place_clear(place);
        place->ring = map_ring(socket);
        place->generation = socket->generation;
    }
    place_unlock(place);
    errno = saved;
    return true;
}

struct channel_ring *busy_take(const struct program_socket *socket)
{
    struct place *place;

    if (!places || !(socket_state(socket) & CHANNEL_STATE_RING))
        return NULL;
    place = &places[socket->slot % CHANNEL_SLOTS];
    do {
        if (atomic_fetch_add(&place->users, 1) < EXCLUSIVE &&
            place->generation == socket->generation && place->ring)
            return place->ring;
        atomic_fetch_sub(&place->users, 1);
    } while (place->generation != socket->generation && place_fill(place, socket));
    return NULL;
}

void busy_release(const struct program_socket *socket)
{
    atomic_fetch_sub(&places[socket->slot % CHANNEL_SLOTS].users, 1);
}

void busy_forget(uint32_t slot, uint32_t generation)
{
    struct place *place;

    if (!places)
        return;
    place = &places[slot % CHANNEL_SLOTS];
    if (atomic_load(&place->users) != 0 || place->generation != generation || !place_lock(place))
        return;
    if (place->generation == generation)
        place_clear(place);
    place_unlock(place);
}
