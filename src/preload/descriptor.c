/*
 * Is a descriptor one of ours?
 *
 * The kernel knows: the stack bound it to a name that says which socket it is (channel.h). To ask
 * it costs a system call, which programs should not pay for their files. So each descriptor has a
 * mark. "Not ours" is believed, because a descriptor of ours comes into being only where this
 * library looks on; "ours" is not, because any may be closed and made anew where it does not.
 *
 * Nor should they pay it for each message. So "ours" is believed where the kernel itself refuses
 * what we do, if it is wrong:
 *
 *   send     A datagram goes to an address that is none, with MSG_FASTOPEN. A connected AF_UNIX
 *            SOCK_SEQPACKET socket has no use for either; all others answer with an error: TCP
 *            because it is connected or cannot connect there, UDP and the rest because of the
 *            address.
 *   receive  With MSG_ERRQUEUE, of which AF_UNIX sockets know nothing. Those of IP have nothing
 *            there, and leave what they received where it is.
 *
 * After any error the kernel is asked.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "preload/direct.h"
#include "preload/private.h"

#define DESCRIPTORS 65536 /* that have a mark; beyond them the kernel is always asked */

enum mark { UNKNOWN, NOT_OURS, OURS };

/* With the mark its socket, for OURS: from the lowest bit on 8 bits of mark, 16 of slot, and the
 * generation in the upper half. */
static _Atomic uint64_t marks[DESCRIPTORS];
_Static_assert(CHANNEL_SLOTS <= 1 << 16, "a slot does not fit a mark");
static _Atomic(const struct channel_page *) page;
/* A bit for each slot: a message of it was read in part. A socket may have several descriptors, and
 * be read by forked processes, too. NULL: nobody knows. */
static _Atomic uint8_t *partial_slots;
static char name_storage[CHANNEL_NAME_MAXIMUM + 1];
static const char *name;

void stack_set_name(const char *text)
{
    if (!text || strlen(text) > CHANNEL_NAME_MAXIMUM)
        return;
    memcpy(name_storage, text, strlen(text) + 1);
    name = name_storage;
    if (!partial_slots) {
        void *shared = mmap(NULL, CHANNEL_SLOTS / 8, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        partial_slots = shared == MAP_FAILED ? NULL : shared;
    }
}

const char *stack_name(void)
{
    return name;
}

static void mark(int descriptor, enum mark value, uint32_t slot, uint32_t generation)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        atomic_store_explicit(&marks[descriptor],
                              (uint64_t)generation << 32 | (uint64_t)slot << 8 | value,
                              memory_order_relaxed);
}

static uint64_t mark_word(int descriptor)
{
    return descriptor < DESCRIPTORS ? atomic_load_explicit(&marks[descriptor], memory_order_relaxed)
                                    : UNKNOWN;
}

static enum mark marked(int descriptor)
{
    return (enum mark)(mark_word(descriptor) & UINT8_MAX);
}

bool descriptor_forget(int descriptor)
{
    bool ours = descriptor >= 0 && marked(descriptor) == OURS;

    mark(descriptor, UNKNOWN, 0, 0);
    return ours;
}

bool descriptor_forget_range(unsigned int first, unsigned int last)
{
    bool ours = false;

    for (unsigned int i = first; i <= last && i < DESCRIPTORS; i++)
        ours |= descriptor_forget((int)i);
    return ours;
}

void descriptor_was_closed(void)
{
    int saved = errno;

    control_settle(); /* its port is free, and the peer knows, when close() returns */
    busy_collect();
    errno = saved;
}

void descriptor_set_partial(const struct program_socket *socket, bool partial)
{
    uint8_t bit = (uint8_t)(1u << socket->slot % 8);

    if (!partial_slots || descriptor_is_partial(socket) == partial)
        return;
    if (partial)
        atomic_fetch_or(&partial_slots[socket->slot % CHANNEL_SLOTS / 8], bit);
    else
        atomic_fetch_and(&partial_slots[socket->slot % CHANNEL_SLOTS / 8], (uint8_t)~bit);
}

bool descriptor_is_partial(const struct program_socket *socket)
{
    return !partial_slots || atomic_load_explicit(&partial_slots[socket->slot % CHANNEL_SLOTS / 8],
                                                  memory_order_relaxed) >>
                                     socket->slot % 8 &
                                 1;
}

/* What a socket whose stack has died looks like. */
static const struct channel_slot dead = {.state = CHANNEL_STATE_ENDED};

static bool has(const struct channel_page *mapped, uint32_t slot, uint32_t generation)
{
    return mapped && atomic_load(&mapped->slot[slot].generation) == generation;
}

bool socket_is_there(uint32_t slot, uint32_t generation)
{
    return has(atomic_load(&page), slot, generation);
}

/* The page of the stack that is there now, which may be another than the one we knew. */
static const struct channel_page *refresh_page(const struct channel_page *known)
{
    const struct channel_page *fresh = control_map_page();

    if (fresh && known && fresh->stack_pid == known->stack_pid) {
        munmap((void *)fresh, sizeof(*fresh));
        return known;
    }
    /* The old one stays mapped, for other threads may be reading it: once in a stack's life. */
    if (fresh)
        atomic_store(&page, fresh);
    return fresh;
}

static const struct channel_slot *find_slot(uint32_t slot, uint32_t generation)
{
    const struct channel_page *mapped = atomic_load(&page);

    if (slot >= CHANNEL_SLOTS)
        return &dead;
    if (!has(mapped, slot, generation))
        mapped = refresh_page(mapped);
    return has(mapped, slot, generation) ? &mapped->slot[slot] : &dead;
}

static bool is_marked_as(int descriptor, const struct program_socket *socket)
{
    uint64_t word = mark_word(descriptor);

    return (word & UINT8_MAX) == OURS && (word >> 8 & UINT16_MAX) == socket->slot &&
           word >> 32 == socket->generation;
}

bool descriptor_is_ours(int descriptor, struct program_socket *socket)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    int saved = errno;
    bool ours;

    if (!name || descriptor < 0 || marked(descriptor) == NOT_OURS)
        return false;
    socket->believed = false;
    ours = direct_getsockname(descriptor, &address, &length) == 0 &&
           channel_name_parse(&address, length, name, &socket->slot, &socket->generation);
    if (ours) {
        socket->descriptor = descriptor;
        socket->published = find_slot(socket->slot, socket->generation);
    }
    if (!ours) {
        mark(descriptor, NOT_OURS, 0, 0);
    } else if (!is_marked_as(descriptor, socket)) {
        /* Who had it before us may have left a message half read. */
        int offset = -1;

        length = sizeof(offset);
        direct_getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, &length);
        mark(descriptor, OURS, socket->slot, socket->generation);
        descriptor_set_partial(socket, offset > 0);
    }
    errno = saved;
    return ours;
}

uint32_t descriptor_state(int descriptor)
{
    const struct channel_page *mapped = atomic_load_explicit(&page, memory_order_acquire);
    uint64_t word = descriptor >= 0 ? mark_word(descriptor) : UNKNOWN;
    uint32_t slot = (uint32_t)(word >> 8 & UINT16_MAX);

    if ((word & UINT8_MAX) < OURS || !has(mapped, slot, (uint32_t)(word >> 32)))
        return 0;
    return atomic_load_explicit(&mapped->slot[slot].state, memory_order_acquire);
}

bool descriptor_is_believed(int descriptor, struct program_socket *socket)
{
    const struct channel_page *mapped = atomic_load_explicit(&page, memory_order_acquire);
    uint64_t word;

    if (!name || descriptor < 0)
        return false;
    word = mark_word(descriptor);
    socket->slot = (uint32_t)(word >> 8 & UINT16_MAX);
    socket->generation = (uint32_t)(word >> 32);
    if ((word & UINT8_MAX) != OURS || !has(mapped, socket->slot, socket->generation) ||
        descriptor_is_partial(socket))
        return descriptor_is_ours(descriptor, socket);
    socket->descriptor = descriptor;
    socket->published = &mapped->slot[socket->slot];
    socket->believed = true;
    return true;
}

bool descriptor_is_other(const struct program_socket *believed, struct program_socket *socket,
                         ssize_t *result)
{
    if (!descriptor_is_ours(believed->descriptor, socket))
        *result = DESCRIPTOR_IS_ANOTHERS;
    else
        return socket->slot != believed->slot || socket->generation != believed->generation;
    return false;
}

/* While the stack was asked, the connection to it had a number that is free again. */
static int move_to_lowest(int descriptor)
{
    int lowest = direct_fcntl(descriptor, F_DUPFD_CLOEXEC, 0);

    if (lowest < 0)
        return descriptor;
    direct_close(lowest < descriptor ? descriptor : lowest);
    return lowest < descriptor ? lowest : descriptor;
}

int descriptor_adopt(int descriptor, int flags)
{
    descriptor = move_to_lowest(descriptor);
    descriptor_forget(descriptor);
    if (!(flags & SOCK_CLOEXEC))
        direct_fcntl(descriptor, F_SETFD, 0);
    if (flags & SOCK_NONBLOCK)
        direct_fcntl(descriptor, F_SETFL, O_RDWR | O_NONBLOCK);
    return descriptor;
}

void descriptor_inherit(int from, int to)
{
    static const int names[] = {SO_RCVTIMEO, SO_SNDTIMEO, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE};
    static const struct timeval none;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct timeval value = {0}; /* the largest of them */
        socklen_t length = sizeof(value);

        if (direct_getsockopt(from, SOL_SOCKET, names[i], &value, &length) == 0 &&
            memcmp(&value, &none, length) != 0)
            direct_setsockopt(to, SOL_SOCKET, names[i], &value, length);
    }
}

bool descriptor_blocks(int descriptor)
{
    return !(direct_fcntl(descriptor, F_GETFL, 0) & O_NONBLOCK);
}

const struct channel_association *published_association(const struct program_socket *socket,
                                                        int32_t identifier)
{
    const struct channel_page *mapped = atomic_load(&page);
    const struct channel_association *association;

    if (!mapped || identifier <= 0)
        return NULL;
    association = &mapped->association[(uint32_t)identifier % CHANNEL_SLOTS];
    if (atomic_load(&association->identifier) != (uint32_t)identifier ||
        atomic_load(&association->slot) != socket->slot)
        return NULL;
    return association;
}
