/*
 * Is a descriptor one of ours?
 *
 * The kernel knows: the stack bound it to a name that says which socket it is (channel.h). To ask
 * it costs a system call, which programs should not pay for their files. So each descriptor has a
 * mark. "Not ours" is believed, because a descriptor of ours comes into being only where this
 * library looks on; "ours" is not, because any may be closed and made anew where it does not.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "preload/direct.h"
#include "preload/private.h"

#define DESCRIPTORS 65536 /* that have a mark; beyond them the kernel is always asked */

enum mark { UNKNOWN, NOT_OURS, OURS, OURS_PARTIAL };

static _Atomic uint8_t marks[DESCRIPTORS];
static _Atomic(const struct channel_page *) page;
static char name_storage[CHANNEL_NAME_MAXIMUM + 1];
static const char *name;

void stack_set_name(const char *text)
{
    if (!text || strlen(text) > CHANNEL_NAME_MAXIMUM)
        return;
    memcpy(name_storage, text, strlen(text) + 1);
    name = name_storage;
}

const char *stack_name(void)
{
    return name;
}

static void mark(int descriptor, enum mark value)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        atomic_store_explicit(&marks[descriptor], (uint8_t)value, memory_order_relaxed);
}

static enum mark marked(int descriptor)
{
    return descriptor < DESCRIPTORS ? atomic_load_explicit(&marks[descriptor], memory_order_relaxed)
                                    : UNKNOWN;
}

void descriptor_forget(int descriptor)
{
    mark(descriptor, UNKNOWN);
}

void descriptor_set_partial(int descriptor, bool partial)
{
    mark(descriptor, partial ? OURS_PARTIAL : OURS);
}

bool descriptor_is_partial(int descriptor)
{
    return descriptor >= DESCRIPTORS || marked(descriptor) == OURS_PARTIAL;
}

/* What a socket whose stack has died looks like. */
static const struct channel_slot dead = {.state = CHANNEL_STATE_ENDED};

static bool has(const struct channel_page *mapped, uint32_t slot, uint32_t generation)
{
    return mapped && atomic_load(&mapped->slot[slot].generation) == generation;
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

bool descriptor_is_ours(int descriptor, struct program_socket *socket)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    int saved = errno;
    bool ours;

    if (!name || descriptor < 0 || marked(descriptor) == NOT_OURS)
        return false;
    ours = direct_getsockname(descriptor, &address, &length) == 0 &&
           channel_name_parse(&address, length, name, &socket->slot, &socket->generation);
    if (ours) {
        socket->descriptor = descriptor;
        socket->published = find_slot(socket->slot, socket->generation);
    }
    if (!ours) {
        mark(descriptor, NOT_OURS);
    } else if (marked(descriptor) == UNKNOWN) {
        /* Who had it before us may have left a message half read. */
        int offset = -1;

        length = sizeof(offset);
        direct_getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, &length);
        mark(descriptor, offset > 0 ? OURS_PARTIAL : OURS);
    }
    errno = saved;
    return ours;
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
