/* Busy sockets: those that send many small messages have a ring beside their descriptor.
 *
 * src/channel/ring.h says what it is for and how it keeps the order of messages (RFC 6458, 3.1.4);
 * upward.c takes from it. This makes rings, and looks after those that are awake: epoll does not
 * tell of them.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/private.h"

enum {
    BUSY_RUN = 256,    /* small messages in a row, */
    BUSY_SPAN = 20000, /* in so many us, make a socket busy */
};

static int ring_new(struct stack_socket *end)
{
    int descriptor = memfd_create("braid-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct channel_ring *ring;

    if (descriptor < 0)
        return -errno;
    if (ftruncate(descriptor, sizeof(*ring)) < 0 ||
        fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
        (ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)) ==
            MAP_FAILED) {
        int error = -errno;

        close(descriptor);
        return error;
    }
    end->ring = ring;
    end->ring_descriptor = descriptor;
    end->ring_tail = 0;
    return 0;
}

static void busy_begin(struct stack *stack, struct stack_socket *end)
{
    struct quota *quota = socket_quota(end->socket);

    /* the memory is the user's as long as he has the socket */
    if (stack->ring_count >= CHANNEL_RINGS_MAXIMUM ||
        quota->account.bytes + 2 * sizeof(struct channel_ring) > quota->account.maximum ||
        ring_new(end) < 0)
        return;
    quota_charge(quota, sizeof(*end->ring));
    stack->ring_count++;
    list_append(&stack->busy, &end->busy);
    page_publish(stack, end);
}

void busy_count(struct stack *stack, struct stack_socket *end, const struct channel_header *header,
                size_t length)
{
    if (end->ring || !(header->flags & CHANNEL_KNOWS_RING))
        return;
    if (length > CHANNEL_RING_MESSAGE_MAXIMUM || stack->now - end->run_start > BUSY_SPAN) {
        end->run_start = stack->now;
        end->run = 0;
    }
    if (++end->run == BUSY_RUN)
        busy_begin(stack, end);
}

void busy_end(struct stack *stack, struct stack_socket *end)
{
    if (!end->ring)
        return;
    quota_discharge(socket_quota(end->socket), sizeof(*end->ring));
    stack->ring_count--;
    list_remove(&end->busy);
    munmap(end->ring, sizeof(*end->ring));
    close(end->ring_descriptor);
    end->ring = NULL;
}

void busy_wake(struct stack *stack, struct stack_socket *end)
{
    if (!end->ring || !list_is_empty(&end->busy))
        return;
    ring_wake(end->ring);
    list_append(&stack->busy, &end->busy);
}

/* What programs do not say by themselves: the stack has to look. */
static bool has_work(const struct stack_socket *end)
{
    return !end->plugged && !upward_is_blocked(end) && ring_head(end->ring) != end->ring_tail;
}

void busy_serve(struct stack *stack)
{
    LIST_FOR_EACH_SAFE(link, &stack->busy)
    {
        struct stack_socket *end = LIST_ENTRY(link, struct stack_socket, busy);

        if (has_work(end))
            upward_receive(stack, end, false);
    }
}

bool busy_sleep(struct stack *stack)
{
    LIST_FOR_EACH_SAFE(link, &stack->busy)
    {
        struct stack_socket *end = LIST_ENTRY(link, struct stack_socket, busy);

        if (upward_is_blocked(end)) /* it will be looked at when there is room */
            continue;
        if (!ring_sleep(end->ring, end->ring_tail))
            return false;
        list_remove(&end->busy);
    }
    return true;
}
