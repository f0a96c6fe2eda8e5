/* From sockets to programs: user messages, notifications, new sockets, and the end.
 *
 * What stands unread in the program's descriptor counts against a_rwnd (RFC 9260, 6.2), as on
 * Linux. How much that is, is seen whenever something goes down; and when it becomes less than a
 * quarter of what an end holds, for then the kernel calls it writable. So what was read without our
 * knowledge is at most that much, and leaves at least half of the window. If the rest of that is
 * not free either, the kernel tells of each datagram that is read: else a peer might wait for the
 * window that has nothing before it.
 */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "stack/private.h"

enum {
    MESSAGE_WEIGHT = 512, /* at least what a datagram weighs beside its bytes */
    PIECE_SPARE = 512,    /* bytes of SO_SNDBUF that a datagram leaves free: header and more */
};

static uint32_t unread_weight(const struct stack_socket *end)
{
    int weight = 0;

    return ioctl(end->watch.descriptor, SIOCOUTQ, &weight) < 0 || weight < 0 ? 0 : (uint32_t)weight;
}

/* What is unread weighs less than when it was last looked at: its bytes in proportion. */
static void unread_update(struct stack_socket *end)
{
    uint32_t weight = unread_weight(end);

    if (weight < end->weight)
        end->payload = (uint32_t)((uint64_t)end->payload * weight / end->weight);
    if (end->payload > weight) /* some of it was read while more went down */
        end->payload = weight;
    end->weight = weight;
}

uint32_t downward_unread(struct stack_socket *end)
{
    if (end->watch.descriptor >= 0)
        unread_update(end);
    return end->payload;
}

static void next_free_if_empty(struct stack_socket *end)
{
    if (end->next_count > 0)
        return;
    free(end->next);
    end->next = NULL;
}

/* The first of those that were taken from the socket are done with. */
static void next_release(struct stack *stack, struct stack_socket *end, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        socket_received_release(end->socket, &end->next[i], stack->now);
    end->next_count -= count;
    if (count > 0)
        end->next_offset = 0;
    if (end->next_count > 0)
        memmove(end->next, end->next + count, end->next_count * sizeof(*end->next));
    next_free_if_empty(end);
}

/* As next_release() of the first, that nobody will read. */
static void next_discard(struct stack *stack, struct stack_socket *end)
{
    if (end->next[0].kind == SOCKET_ACCEPTED)
        socket_close(end->next[0].accepted, false, stack->now);
    next_release(stack, end, 1);
}

static bool next_has_room(struct stack_socket *end)
{
    if (!end->next)
        end->next = malloc(DOWNWARD_BATCH * sizeof(*end->next));
    return end->next && end->next_count < DOWNWARD_BATCH;
}

static bool next_take(struct stack *stack, struct stack_socket *end)
{
    if (!next_has_room(end) ||
        !socket_receive(end->socket, &end->next[end->next_count], stack->now)) {
        next_free_if_empty(end);
        return false;
    }
    end->next_count++;
    return true;
}

void downward_free(struct stack *stack, struct stack_socket *end)
{
    while (end->next_count > 0)
        next_discard(stack, end);
    end->ended = true;
}

/* ---- One datagram ---- */

static int send_down(struct stack_socket *end, struct channel_header *header, const void *bytes,
                     size_t length, int descriptor)
{
    header->generation = end->generation;
    return channel_send(end->watch.descriptor, header, sizeof(*header), bytes, length, descriptor);
}

/* A new socket for accept(). */
static void send_accepted(struct stack *stack, struct stack_socket *end)
{
    struct channel_header header = {.type = CHANNEL_ACCEPT, .address = end->next[0].from};
    struct sctp_socket *accepted = end->next[0].accepted;
    struct stack_socket *child;
    int descriptor;
    int error = end_new(stack, accepted, &end->caller, &child, &descriptor);

    if (error < 0) {
        stack_log(stack, "an association was refused: %s", strerror(-error));
        socket_close(accepted, true, stack->now);
        return;
    }
    error = send_down(end, &header, NULL, 0, descriptor);
    close(descriptor); /* if it was not sent, the child sees its end at once */
    if (error == 0 && end->accept_weight == 0)
        end->accept_weight = unread_weight(end);
}

/* SCTP_NXTINFO (RFC 6458, 5.3.6) of the message that follows. */
static void header_add_next(struct channel_header *header, const struct socket_received *next)
{
    header->flags |= CHANNEL_HAS_NEXT;
    header->next = next->info;
    header->next.length = next->length;
    if (next->kind == SOCKET_NOTIFICATION)
        header->next.flags |= SCTP_NOTIFICATION;
}

static uint32_t piece_maximum(const struct stack_socket *end)
{
    uint32_t maximum = end->size - PIECE_SPARE;

    return maximum < CHANNEL_PIECE_MAXIMUM ? maximum : CHANNEL_PIECE_MAXIMUM;
}

/* The next datagram of a batch: a message, or as much of it as one datagram may carry. False: no
 * other may follow it in this batch. */
static bool batch_add(struct stack *stack, const struct stack_socket *end, unsigned int i)
{
    const struct socket_received *message = &end->next[i];
    size_t offset = i == 0 ? end->next_offset : 0;
    size_t left = message->length - offset;
    size_t length = left < piece_maximum(end) ? left : piece_maximum(end);
    struct channel_header *header = &stack->down_headers[i];

    *header = (struct channel_header){
        .type = CHANNEL_MESSAGE,
        .generation = end->generation,
        .info = message->info,
        .address = message->from,
    };
    if (message->kind == SOCKET_NOTIFICATION)
        header->flags |= CHANNEL_NOTIFICATION;
    if (length < left)
        header->flags |= CHANNEL_MORE;
    else if (message->end_of_record)
        header->flags |= CHANNEL_END_OF_RECORD;
    if (i + 1 < end->next_count)
        header_add_next(header, &end->next[i + 1]);
    stack->down_parts[i][0] = (struct iovec){header, sizeof(*header)};
    stack->down_parts[i][1] = (struct iovec){(uint8_t *)message->bytes + offset, length};
    stack->down_messages[i].msg_hdr =
        (struct msghdr){.msg_iov = stack->down_parts[i], .msg_iovlen = length > 0 ? 2 : 1};
    return length == left;
}

/* The first `count` datagrams of a batch were sent. */
static void batch_release(struct stack *stack, struct stack_socket *end, unsigned int count)
{
    uint32_t length = 0, done = count;

    for (unsigned int i = 0; i < count; i++) {
        length = (uint32_t)stack->down_parts[i][1].iov_len;
        if (end->next[i].kind != SOCKET_MESSAGE)
            continue;
        end->payload += length;
        end->notifications_only = false;
    }
    /* the last may have been a piece */
    if (end->next[count - 1].length - (count == 1 ? end->next_offset : 0) > length)
        done--;
    next_release(stack, end, done);
    if (done < count)
        end->next_offset += length;
}

/* ---- Peel-off ---- */

/* A datagram that was taken out of a program end again. */
struct taken {
    struct list link;
    size_t length; /* of what follows the header */
    struct channel_header header;
    uint8_t bytes[];
};

static struct taken *take_datagram(int descriptor)
{
    struct taken *taken = malloc(sizeof(*taken) + CHANNEL_PIECE_MAXIMUM), *fitting;
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t received;

    if (!taken)
        return NULL;
    parts[0] = (struct iovec){&taken->header, sizeof(taken->header)};
    parts[1] = (struct iovec){taken->bytes, CHANNEL_PIECE_MAXIMUM};
    received = recvmsg(descriptor, &message, MSG_DONTWAIT);
    if (received < (ssize_t)sizeof(taken->header)) {
        free(taken);
        return NULL;
    }
    taken->length = (size_t)received - sizeof(taken->header);
    fitting = realloc(taken, sizeof(*taken) + taken->length);
    return fitting ? fitting : taken;
}

/* How much of the first datagram was read already. The offset is gone then: to take datagrams away
 * would move it. */
static size_t take_offset(int descriptor)
{
    int offset = -1, none = -1;
    socklen_t size = sizeof(offset);

    getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, &size);
    if (offset <= (int)sizeof(struct channel_header))
        return 0;
    setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none));
    return (size_t)offset - sizeof(struct channel_header);
}

/* The rest of one that was read in part is as a message of its own. */
static void forget_what_was_read(struct taken *taken, size_t read_before)
{
    if (read_before > taken->length)
        return;
    taken->length -= read_before;
    memmove(taken->bytes, taken->bytes + read_before, taken->length);
}

void downward_move(struct stack_socket *from, int descriptor, struct stack_socket *to,
                   int32_t association)
{
    size_t read_before = take_offset(descriptor);
    struct list datagrams;
    struct taken *taken;
    unsigned int kept = 0;

    list_init(&datagrams);
    while ((taken = take_datagram(descriptor)) != NULL) {
        forget_what_was_read(taken, read_before);
        read_before = 0;
        list_append(&datagrams, &taken->link);
    }
    from->payload = 0;
    from->notifications_only = to->notifications_only = true;
    LIST_FOR_EACH_SAFE(link, &datagrams)
    {
        struct stack_socket *end;

        taken = LIST_ENTRY(link, struct taken, link);
        end = taken->header.info.association == association ? to : from;
        if (send_down(end, &taken->header, taken->bytes, taken->length, -1) == 0 &&
            !(taken->header.flags & CHANNEL_NOTIFICATION)) {
            end->payload += (uint32_t)taken->length;
            end->notifications_only = false;
        }
        free(taken);
    }
    from->weight = unread_weight(from);
    to->weight = unread_weight(to);
    for (unsigned int i = 0; i < from->next_count; i++) {
        if (from->next[i].info.association != association || !next_has_room(to))
            from->next[kept++] = from->next[i];
        else
            to->next[to->next_count++] = from->next[i];
        if (i == 0 && kept == 0) {
            to->next_offset = from->next_offset;
            from->next_offset = 0;
        }
    }
    from->next_count = kept;
    next_free_if_empty(from);
}

/* ---- All that there is ---- */

/* Sends messages as long as what is unread weighs less than `end->size`; `*weight` is what it is
 * thought to weigh. False: there are none, or they must wait. */
static bool send_messages(struct stack *stack, struct stack_socket *end, bool wants_following,
                          uint32_t *weight)
{
    unsigned int count = 0;
    bool more = true;
    int sent;

    while (more && *weight < end->size && count < DOWNWARD_BATCH) {
        if (count == end->next_count && !next_take(stack, end))
            break;
        if (wants_following && count + 1 == end->next_count)
            next_take(stack, end);
        more = batch_add(stack, end, count);
        *weight += MESSAGE_WEIGHT + (uint32_t)stack->down_parts[count++][1].iov_len;
    }
    if (count == 0)
        return false;
    do
        sent = sendmmsg(end->watch.descriptor, stack->down_messages, count, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        end->ended |= errno == EPIPE || errno == ECONNRESET;
    else
        batch_release(stack, end, (unsigned int)sent);
    return sent == (int)count;
}

/* Sends the next socket for accept(). False: there is none. */
static bool send_next_accepted(struct stack *stack, struct stack_socket *end)
{
    if (end->next_count == 0 && !next_take(stack, end))
        return false;
    if (end->next[0].kind != SOCKET_ACCEPTED)
        return false;
    send_accepted(stack, end);
    next_release(stack, end, 1);
    return true;
}

/* RFC 6458, 4.1.6: the reader finds the end, after all that came before. */
static void send_end(struct stack *stack, struct stack_socket *end)
{
    page_publish(stack, end);
    end->ended = true;
    end->full = false;
    shutdown(end->watch.descriptor, SHUT_WR);
}

/* A wait in recv() must end though the descriptor does not: socket_is_abandoned(), or
 * CHANNEL_STATE_DEAF. */
static void send_wake(struct stack *stack, struct stack_socket *end)
{
    struct channel_header header = {.type = CHANNEL_WAKE};

    page_publish(stack, end);
    end->woken = send_down(end, &header, NULL, 0, -1) == 0;
}

/* Nobody will read it. */
static void discard(struct stack *stack, struct stack_socket *end)
{
    while (end->next_count > 0 || next_take(stack, end))
        next_discard(stack, end);
    socket_hold(end->socket, 0, stack->now);
}

/* What accept() has not taken counts against the backlog. */
static void count_waiting(struct stack_socket *end)
{
    socket_set_waiting(end->socket, (end->weight + end->accept_weight - 1) / end->accept_weight);
}

void downward_send(struct stack *stack, struct stack_socket *end)
{
    const struct channel_slot *slot = &stack->page->slot[end->slot];
    bool wants_following;
    uint32_t weight;
    bool needs_wake;

    if (end->watch.descriptor < 0)
        return;
    if (end->ended) {
        discard(stack, end);
        return;
    }
    unread_update(end);
    if (end->weight == 0)
        end->notifications_only = true;
    wants_following = atomic_load(&slot->receive_options) & CHANNEL_RECEIVE_NXTINFO;
    weight = end->weight;
    while (weight < end->size && send_next_accepted(stack, end))
        weight += MESSAGE_WEIGHT;
    while (send_messages(stack, end, wants_following, &weight))
        ;
    unread_update(end);
    /* there may be more if it was the size that ended the loop, though all may be read by now */
    end->full =
        !end->ended && (end->next_count > 0 || weight >= end->size || end->weight * 4 > end->size);
    if (end->accept_weight != 0)
        count_waiting(end);
    else
        end->watched = socket_hold(end->socket, end->payload, stack->now) && !end->full;
    if (page_state(stack, end) & CHANNEL_STATE_DEAF)
        needs_wake = end->weight == 0; /* so it is never what makes an end an ABORT: left_unread */
    else
        needs_wake = !end->woken && socket_is_abandoned(end->socket);
    if (!end->ended && end->next_count == 0 && socket_has_ended(end->socket))
        send_end(stack, end);
    else if (!end->ended && end->next_count == 0 && needs_wake)
        send_wake(stack, end);
    end_set_events(stack, end);
}
