/* From sockets to programs: user messages, notifications, new sockets, and the end.
 *
 * What stands unread in the program's descriptor counts against a_rwnd (RFC 9260, 6.2), as on
 * Linux. How much that is, is seen whenever something goes down; and when it becomes less than a
 * quarter of what an end holds, for then the kernel calls it writable. So what was read without our
 * knowledge is at most that much, and leaves at least half of the window.
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

/* The first of those that were taken from the socket is done with. */
static void next_release(struct stack *stack, struct stack_socket *end)
{
    if (end->next_count == 0)
        return;
    socket_received_release(end->socket, &end->next[0], stack->now);
    end->next[0] = end->next[1];
    end->next_count--;
    end->next_offset = 0;
}

/* As next_release(), of one that nobody will read. */
static void next_discard(struct stack *stack, struct stack_socket *end)
{
    if (end->next[0].kind == SOCKET_ACCEPTED)
        socket_close(end->next[0].accepted, false, stack->now);
    next_release(stack, end);
}

static bool next_take(struct stack *stack, struct stack_socket *end)
{
    if (!socket_receive(end->socket, &end->next[end->next_count], stack->now))
        return false;
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

/* A message, or as much of it as one datagram may carry. */
static int send_message(struct stack *stack, struct stack_socket *end)
{
    const struct socket_received *message = &end->next[0];
    size_t maximum = end->size - PIECE_SPARE;
    size_t left = message->length - end->next_offset;
    size_t length = left;
    struct channel_header header = {
        .type = CHANNEL_MESSAGE,
        .info = message->info,
        .address = message->from,
    };
    int error;

    if (maximum > CHANNEL_PIECE_MAXIMUM)
        maximum = CHANNEL_PIECE_MAXIMUM;
    if (length > maximum)
        length = maximum;
    if (message->kind == SOCKET_NOTIFICATION)
        header.flags |= CHANNEL_NOTIFICATION;
    if (message->end_of_record && length == left)
        header.flags |= CHANNEL_END_OF_RECORD;
    if (end->next_count > 1)
        header_add_next(&header, &end->next[1]);
    error = send_down(end, &header, message->bytes + end->next_offset, length, -1);
    if (error < 0) {
        end->ended |= error == -EPIPE || error == -ECONNRESET;
        return error;
    }
    if (message->kind == SOCKET_MESSAGE) {
        end->payload += (uint32_t)length;
        end->notifications_only = false;
    }
    end->next_offset += length;
    if (length == left)
        next_release(stack, end);
    return 0;
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
    struct taken *taken = malloc(sizeof(*taken) + CHANNEL_PIECE_MAXIMUM);
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
    return taken;
}

/* The first was read in part: the rest of it is as a message of its own. */
static void forget_what_was_read(int descriptor, struct list *datagrams)
{
    struct taken *first = LIST_ENTRY(datagrams->next, struct taken, link);
    int offset = -1, none = -1;
    socklen_t size = sizeof(offset);
    size_t read_before;

    getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, &size);
    if (offset <= (int)sizeof(first->header) || list_is_empty(datagrams))
        return;
    setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none));
    read_before = (size_t)offset - sizeof(first->header);
    if (read_before > first->length)
        return;
    first->length -= read_before;
    memmove(first->bytes, first->bytes + read_before, first->length);
}

void downward_move(struct stack_socket *from, int descriptor, struct stack_socket *to,
                   int32_t association)
{
    struct list datagrams;
    struct taken *taken;
    unsigned int kept = 0;

    list_init(&datagrams);
    while ((taken = take_datagram(descriptor)) != NULL)
        list_append(&datagrams, &taken->link);
    forget_what_was_read(descriptor, &datagrams);
    from->payload = 0;
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
        if (from->next[i].info.association != association)
            from->next[kept++] = from->next[i];
        else
            to->next[to->next_count++] = from->next[i];
        if (i == 0 && kept == 0) {
            to->next_offset = from->next_offset;
            from->next_offset = 0;
        }
    }
    from->next_count = kept;
}

/* ---- All that there is ---- */

/* Sends the next thing. False: there is none, or it must wait. */
static bool send_next(struct stack *stack, struct stack_socket *end, bool wants_following)
{
    if (end->next_count == 0 && !next_take(stack, end))
        return false;
    if (end->next[0].kind == SOCKET_ACCEPTED) {
        send_accepted(stack, end);
        next_release(stack, end);
        return true;
    }
    if (wants_following && end->next_count == 1)
        next_take(stack, end);
    return send_message(stack, end) == 0;
}

/* RFC 6458, 4.1.6: the reader finds the end, after all that came before. */
static void send_end(struct stack *stack, struct stack_socket *end)
{
    page_publish(stack, end);
    end->ended = true;
    end->full = false;
    shutdown(end->watch.descriptor, SHUT_WR);
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
    for (weight = end->weight; weight < end->size; weight += MESSAGE_WEIGHT) {
        uint32_t before = end->payload;

        if (!send_next(stack, end, wants_following))
            break;
        weight += end->payload - before;
    }
    unread_update(end);
    /* there may be more if it was the size that ended the loop, though all may be read by now */
    end->full =
        !end->ended && (end->next_count > 0 || weight >= end->size || end->weight * 4 > end->size);
    if (end->accept_weight != 0)
        count_waiting(end);
    else
        socket_hold(end->socket, end->payload, stack->now);
    if (!end->ended && end->next_count == 0 && socket_has_ended(end->socket))
        send_end(stack, end);
    end_set_events(stack, end);
}
