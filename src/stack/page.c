/* Sockets as programs hold them: the page in which their state is published, and the two ends of
 * their connections.
 *
 * src/channel/channel.h says what all this must look like from outside (RFC 6458 is behind it).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/private.h"

#ifndef SO_PASSRIGHTS /* since Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif

enum {
    NAME_TRIES = 16,   /* generations of a slot, should somebody have taken the name */
    END_SIZE = 212992, /* SO_SNDBUF of both ends, at most: the kernel doubles it */
    END_SIZE_LEAST = 2304,
    PLUG_SPARE = 512, /* bytes by which a plug passes a quarter of that */
};

_Static_assert(2 * END_SIZE >= CHANNEL_PIECE_MAXIMUM + 1024, "a piece does not fit an end");

int page_open(struct stack *stack)
{
    int descriptor = memfd_create("braid-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct channel_page *page;

    stack->page_descriptor = descriptor;
    if (descriptor < 0 || ftruncate(descriptor, sizeof(*page)) < 0)
        return -errno;
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (page == MAP_FAILED)
        return -errno;
    stack->page = page;
    if (fcntl(descriptor, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    stack->free_slots = malloc(CHANNEL_SLOTS * sizeof(*stack->free_slots));
    if (!stack->free_slots)
        return -ENOMEM;
    for (uint32_t i = 0; i < CHANNEL_SLOTS; i++)
        stack->free_slots[i] = i;
    stack->free_count = CHANNEL_SLOTS;
    stack->slot_ends = calloc(CHANNEL_SLOTS, sizeof(struct stack_socket *));
    if (!stack->slot_ends)
        return -ENOMEM;
    page->version = CHANNEL_VERSION;
    page->slots = CHANNEL_SLOTS;
    page->stack_pid = getpid();
    return 0;
}

void page_close(struct stack *stack)
{
    if (stack->page)
        munmap(stack->page, sizeof(*stack->page));
    if (stack->page_descriptor >= 0)
        close(stack->page_descriptor);
    free(stack->free_slots);
    free(stack->slot_ends);
}

static void store(_Atomic uint32_t *field, uint32_t value)
{
    atomic_store_explicit(field, value, memory_order_release);
}

/* A size that does not depend on the host's default. Returns what it has become. */
static uint32_t set_size(int descriptor, int size)
{
    socklen_t length = sizeof(size);

    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (getsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0)
        return END_SIZE;
    return (uint32_t)size;
}

/* An end holds no more than SO_RCVBUF: the kernel tells when a quarter of it is unread, which then
 * is at most half of the window (downward.c). */
static void fit_size(struct stack_socket *end, uint32_t receive_buffer)
{
    uint32_t wanted = receive_buffer / 2;

    if (end->receive_buffer == receive_buffer)
        return;
    end->receive_buffer = receive_buffer;
    if (wanted > END_SIZE)
        wanted = END_SIZE;
    if (wanted < END_SIZE_LEAST)
        wanted = END_SIZE_LEAST;
    end->size = set_size(end->watch.descriptor, (int)wanted);
}

void page_publish(struct stack *stack, struct stack_socket *end)
{
    struct channel_slot *slot = &stack->page->slot[end->slot];
    struct socket_description now;

    if (end->watch.descriptor < 0)
        return;
    socket_describe(end->socket, &now);
    fit_size(end, now.receive_buffer);
    if (end->shutdown == SHUT_WR || end->shutdown == SHUT_RDWR)
        now.channel_state |= CHANNEL_STATE_SHUT_WRITE;
    if (end->ring)
        now.channel_state |= CHANNEL_STATE_RING;
    store(&slot->receive_options, now.receive_options);
    store(&slot->outbound_streams, now.outbound_streams);
    store(&slot->message_maximum, now.message_maximum);
    store(&slot->association, (uint32_t)now.association);
    store(&slot->state, now.channel_state);
}

void page_publish_association(struct stack *stack, int32_t association,
                              const struct stack_socket *end, uint32_t outbound_streams,
                              uint32_t state)
{
    struct channel_association *entry =
        &stack->page->association[(uint32_t)association % CHANNEL_SLOTS];

    store(&entry->slot, end ? end->slot : UINT32_MAX);
    store(&entry->outbound_streams, outbound_streams);
    store(&entry->state, state);
    store(&entry->identifier, state != 0 ? (uint32_t)association : 0);
}

/* ---- Ends ---- */

/* Takes a slot and binds the program end to its name. */
static int slot_take(struct stack *stack, int descriptor, uint32_t *slot, uint32_t *generation)
{
    struct sockaddr_un address;
    socklen_t length;
    int error = -ENFILE;

    if (stack->free_count == 0)
        return error;
    *slot = stack->free_slots[stack->free_first];
    for (int tries = 0; tries < NAME_TRIES; tries++) {
        stack_random(NULL, generation, sizeof(*generation));
        *generation |= 1;
        error = channel_socket_name(stack->name, *slot, *generation, &address, &length);
        if (error < 0)
            return error;
        if (bind(descriptor, (struct sockaddr *)&address, length) == 0)
            break;
        error = -errno;
    }
    stack->free_first = (stack->free_first + 1) % CHANNEL_SLOTS;
    stack->free_count--;
    if (error < 0) {
        stack->free_slots[(stack->free_first + stack->free_count++) % CHANNEL_SLOTS] = *slot;
        return error;
    }
    return 0;
}

static void slot_give_back(struct stack *stack, uint32_t slot, uint32_t generation)
{
    struct channel_slot *entry = &stack->page->slot[slot];

    store(&entry->generation, generation + 1);
    store(&entry->state, 0);
    store(&entry->receive_options, 0);
    store(&entry->outbound_streams, 0);
    store(&entry->message_maximum, 0);
    store(&entry->association, 0);
    stack->slot_ends[slot] = NULL;
    stack->free_slots[(stack->free_first + stack->free_count++) % CHANNEL_SLOTS] = slot;
}

static int socket_cookie(int descriptor, uint64_t *cookie)
{
    socklen_t length = sizeof(*cookie);

    return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, cookie, &length) < 0 ? -errno : 0;
}

static int make_pair(struct stack_socket *end, int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return errno == EMFILE ? -ENFILE : -errno;
    end->size = set_size(pair[0], END_SIZE);
    end->program_size = set_size(pair[1], END_SIZE);
    /* programs have no descriptors to send on this way; older kernels do not know how to say so */
    (void)setsockopt(pair[0], SOL_SOCKET, SO_PASSRIGHTS, &(int){0}, sizeof(int));
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return socket_cookie(pair[1], &end->cookie);
}

static void end_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    struct stack_socket *end = (struct stack_socket *)watch;

    if (events & EPOLLERR)
        end->left_unread = true;
    if (events & EPOLLHUP) {
        end->hung_up = true;
        end->plugged = false; /* nobody is left who should not write */
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        upward_receive(stack, end, false);
    if (events & EPOLLOUT)
        end_set_dirty(stack, end, SOCKET_READABLE);
}

static void end_begin(struct stack *stack, struct stack_socket *end)
{
    struct socket_description now;
    uint32_t association = 0;

    socket_set_user(end->socket, end);
    list_append(&stack->ends, &end->link);
    stack->slot_ends[end->slot] = end;
    store(&stack->page->slot[end->slot].generation, end->generation);
    page_publish(stack, end);
    socket_describe(end->socket, &now);
    association = (uint32_t)now.association;
    if (association != 0)
        store(&stack->page->association[association % CHANNEL_SLOTS].slot, end->slot);
    end_set_dirty(stack, end, SOCKET_READABLE | SOCKET_STATE);
}

int end_new(struct stack *stack, struct sctp_socket *socket, const struct socket_caller *caller,
            struct stack_socket **result, int *descriptor)
{
    struct stack_socket *end = calloc(1, sizeof(*end));
    int pair[2] = {-1, -1};
    int error;

    if (!end)
        return -ENOMEM;
    end->watch = (struct watch){.descriptor = -1, .ready = end_ready};
    end->socket = socket;
    end->caller = *caller;
    end->shutdown = -1;
    list_init(&end->link);
    list_init(&end->dirty);
    list_init(&end->assemblies);
    list_init(&end->pending);
    list_init(&end->waiters);
    list_init(&end->busy);
    error = make_pair(end, pair);
    if (error == 0)
        error = slot_take(stack, pair[1], &end->slot, &end->generation);
    if (error == 0) {
        error = stack_watch(stack, &end->watch, pair[0], EPOLLIN);
        if (error < 0)
            slot_give_back(stack, end->slot, end->generation);
    }
    if (error < 0) {
        for (int i = 0; i < 2; i++)
            if (pair[i] >= 0)
                close(pair[i]);
        free(end);
        return error;
    }
    end_begin(stack, end);
    *result = end;
    *descriptor = pair[1];
    return 0;
}

void end_leave(struct stack *stack, struct stack_socket *end)
{
    if (end->watch.descriptor < 0)
        return;
    downward_free(stack, end);
    channel_drain(end->watch.descriptor);
    stack_unwatch(stack, &end->watch);
    busy_end(stack, end);
    slot_give_back(stack, end->slot, end->generation);
}

void end_free(struct stack *stack, struct stack_socket *end)
{
    end_leave(stack, end);
    upward_free(end);
    socket_set_user(end->socket, NULL);
    end->socket = NULL;
    list_remove(&end->dirty);
    list_remove(&end->link);
    list_append(&stack->dead, &end->link); /* until no event can speak of it any more */
}

struct stack_socket *end_find(struct stack *stack, int descriptor)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    struct stack_socket *end;
    uint32_t slot, generation;
    uint64_t cookie;

    if (descriptor < 0 || getsockname(descriptor, (struct sockaddr *)&address, &length) < 0 ||
        !channel_name_parse(&address, length, stack->name, &slot, &generation) ||
        slot >= CHANNEL_SLOTS || socket_cookie(descriptor, &cookie) < 0)
        return NULL;
    if (atomic_load(&stack->page->slot[slot].generation) != generation)
        return NULL;
    end = stack->slot_ends[slot];
    return end && end->cookie == cookie ? end : NULL;
}

/* ---- Plugs ---- */

void end_plug(struct stack_socket *end, int descriptor)
{
    struct channel_header header = {.type = CHANNEL_PLUG, .generation = end->generation};
    size_t length = end->program_size / 4 + PLUG_SPARE;
    void *bytes = calloc(1, length);

    if (bytes && !end->plugged)
        end->plugged = channel_send(descriptor, &header, sizeof(header), bytes, length, -1) == 0;
    free(bytes);
}

void end_unplug(struct stack *stack, struct stack_socket *end)
{
    if (!end->plugged)
        return;
    end->plugged = false;
    upward_receive(stack, end, true);
    end_set_events(stack, end);
}

/* ---- Events ---- */

void end_set_events(struct stack *stack, struct stack_socket *end)
{
    uint32_t events = 0;

    if (end->watch.descriptor < 0)
        return;
    /* the end of the program is told in any case: once, while it cannot be seen to */
    if (upward_is_blocked(end))
        events |= EPOLLET;
    else if (!end->plugged)
        events |= EPOLLIN;
    if (end->full)
        events |= EPOLLOUT;
    /* each accept() makes room in the backlog, or each recv() in a small window */
    if ((end->accept_weight != 0 && end->weight != 0) || end->watched)
        events |= EPOLLOUT | EPOLLET;
    stack_watch_change(stack, &end->watch, events);
}

void end_set_dirty(struct stack *stack, struct stack_socket *end, unsigned int what)
{
    end->changed |= what;
    if (list_is_empty(&end->dirty) && end->socket)
        list_append(&stack->dirty, &end->dirty);
}
