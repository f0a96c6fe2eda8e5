/* From programs to sockets: user messages, in batches, in pieces, and the end.
 *
 * When a socket has no room for a message (RFC 6458, 8.1.7: SO_SNDBUF), or its user has all the
 * memory that he may have, nothing more is read from its programs, and the kernel blocks those that
 * write.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "stack/private.h"

enum {
    ROUNDS_MAXIMUM = 64,         /* batches, more than an end can hold */
    MESSAGE_LENGTH_FIRST = 4096, /* until the first message tells how long they are */
    RING_BATCH = 64,             /* messages of a ring in one turn */
};

int upward_send(struct stack *stack, struct stack_socket *end, const struct channel_header *header,
                const void *bytes, size_t length, int32_t *association)
{
    const uint8_t *position = bytes ? bytes : (const uint8_t *)""; /* pieces without a byte */
    size_t more = 0;

    /* further destinations stand in front of the message */
    for (uint16_t i = 0; i < header->address_count; i++) {
        sa_family_t family;
        size_t each;

        if (length - more < sizeof(family))
            return -EINVAL;
        memcpy(&family, position + more, sizeof(family));
        each = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (length - more < each)
            return -EINVAL;
        more += each;
    }
    return socket_send(end->socket, header, position + more, length - more, position, more,
                       &end->caller, stack->now, association);
}

/* ---- Messages that wait ---- */

static void upward_delete(struct stack_socket *end, struct upward *message)
{
    quota_discharge(socket_quota(end->socket), sizeof(*message) + message->length);
    list_remove(&message->link);
    free(message->bytes);
    free(message);
}

static int upward_add(struct stack_socket *end, struct upward *message, const void *bytes,
                      size_t length)
{
    if (message->capacity - message->length < length) {
        size_t capacity = message->length + length;
        uint8_t *larger = realloc(message->bytes, capacity > 0 ? capacity : 1);

        if (!larger)
            return -ENOMEM;
        message->bytes = larger;
        message->capacity = capacity;
    }
    if (length > 0)
        memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
    quota_charge(socket_quota(end->socket), length);
    return 0;
}

static struct upward *upward_new(struct stack_socket *end, const struct channel_header *header)
{
    struct upward *message = calloc(1, sizeof(*message));

    if (message) {
        quota_charge(socket_quota(end->socket), sizeof(*message));
        message->header = *header;
        list_init(&message->link);
    }
    return message;
}

static void pending_append(struct stack_socket *end, struct upward *message)
{
    list_append(&end->pending, &message->link);
    end->pending_count++;
}

static void pending_delete(struct stack_socket *end, struct upward *message)
{
    end->pending_count--;
    upward_delete(end, message);
}

int upward_append(struct stack_socket *end, const struct channel_header *header, const void *bytes,
                  size_t length, struct connection *connection)
{
    struct upward *message = upward_new(end, header);

    if (!message)
        return -ENOMEM;
    if (upward_add(end, message, bytes, length) < 0) {
        upward_delete(end, message);
        return -ENOMEM;
    }
    message->connection = connection;
    pending_append(end, message);
    return 0;
}

void upward_free(struct stack_socket *end)
{
    LIST_FOR_EACH_SAFE(link, &end->assemblies)
    {
        upward_delete(end, LIST_ENTRY(link, struct upward, link));
    }
    LIST_FOR_EACH_SAFE(link, &end->pending)
    {
        pending_delete(end, LIST_ENTRY(link, struct upward, link));
    }
    end->assembly_count = end->assembly_bytes = 0;
}

/* ---- Messages in pieces ---- */

static struct upward *assembly_find(struct stack_socket *end, uint64_t sender)
{
    LIST_FOR_EACH(link, &end->assemblies)
    {
        struct upward *message = LIST_ENTRY(link, struct upward, link);

        if (message->header.sender == sender)
            return message;
    }
    return NULL;
}

/* The last piece is there: the message goes where whole ones go. */
static void assembly_finish(struct stack *stack, struct stack_socket *end, struct upward *message)
{
    list_remove(&message->link);
    end->assembly_count--;
    end->assembly_bytes -= message->length;
    message->header.flags &= ~(uint32_t)CHANNEL_MORE;
    if (message->too_long ||
        (!upward_is_blocked(end) && upward_send(stack, end, &message->header, message->bytes,
                                                message->length, NULL) != -EAGAIN)) {
        upward_delete(end, message);
        return;
    }
    pending_append(end, message);
}

static void assembly_receive(struct stack *stack, struct stack_socket *end, struct upward *message,
                             const struct channel_header *header, const void *bytes, size_t length)
{
    struct socket_description now;

    if (!message) {
        message = end->assembly_count < UPWARD_ASSEMBLIES ? upward_new(end, header) : NULL;
        if (!message)
            return;
        list_append(&end->assemblies, &message->link);
        end->assembly_count++;
    }
    socket_describe(end->socket, &now);
    if (message->length + length > now.message_maximum ||
        end->assembly_bytes + length > UPWARD_ASSEMBLIES_BYTES)
        message->too_long = true;
    if (!message->too_long && upward_add(end, message, bytes, length) < 0)
        message->too_long = true;
    else if (!message->too_long)
        end->assembly_bytes += length;
    if (!(header->flags & CHANNEL_MORE))
        assembly_finish(stack, end, message);
}

/* ---- Receiving ---- */

static void upward_message(struct stack *stack, struct stack_socket *end,
                           const struct channel_header *header, const void *bytes, size_t length)
{
    struct upward *assembly;

    assembly = end->assembly_count > 0 ? assembly_find(end, header->sender) : NULL;
    if (assembly || (header->flags & CHANNEL_MORE)) {
        assembly_receive(stack, end, assembly, header, bytes, length);
        return;
    }
    end->message_length = length;
    stack->turn_messages++;
    stack->turn_bytes += (uint32_t)length;
    if (upward_is_blocked(end) || upward_send(stack, end, header, bytes, length, NULL) == -EAGAIN)
        upward_append(end, header, bytes, length, NULL);
}

/* What a program has written there is not what the library writes. */
static void ring_drop(struct stack *stack, struct stack_socket *end)
{
    if (!end->bypassed)
        stack_log(stack, "user %u: nonsense stands in the ring of an SCTP socket, and is dropped",
                  (unsigned int)end->caller.uid);
    end->bypassed = true;
    end->ring_tail = ring_head(end->ring);
}

/* Up to where programs have written. */
static uint32_t ring_look(struct stack *stack, struct stack_socket *end)
{
    uint32_t head = end->ring ? ring_head(end->ring) : 0;

    if (!end->ring || head - end->ring_tail <= CHANNEL_RING_SIZE)
        return head;
    ring_drop(stack, end);
    ring_release(end->ring, end->ring_tail);
    return end->ring_tail;
}

/* Takes at most `count` messages that stand before `head` in the ring, or all: of those that must
 * go before another some may have to wait, too. Otherwise they wait in the ring. */
static void ring_receive(struct stack *stack, struct stack_socket *end, uint32_t head,
                         unsigned int count, bool all)
{
    struct ring_entry entry;
    int taken = 0;

    if (!end->ring || (int32_t)(head - end->ring_tail) <= 0)
        return;
    while ((all || (count-- > 0 && !upward_is_blocked(end))) && end->ring &&
           (taken = ring_take(end->ring, &end->ring_tail, head, &entry)) > 0)
        upward_message(stack, end, &entry.header, entry.bytes, entry.length);
    if (!end->ring)
        return;
    if (taken < 0)
        ring_drop(stack, end);
    ring_release(end->ring, end->ring_tail);
}

/* As many as there is room for: what is read and finds none must be copied. The last of them may be
 * longer than the room. */
static unsigned int batch_size(const struct stack_socket *end)
{
    size_t length = end->message_length > 0 ? end->message_length : MESSAGE_LENGTH_FIRST;
    size_t room = socket_send_room(end->socket), count = (room + length - 1) / length;

    return count < UPWARD_BATCH ? (unsigned int)count : UPWARD_BATCH;
}

/* An empty datagram, or the end? */
static bool is_at_end(int descriptor)
{
    struct pollfd poll_end = {.fd = descriptor, .events = POLLRDHUP};
    char byte;

    return poll(&poll_end, 1, 0) > 0 && (poll_end.revents & (POLLHUP | POLLRDHUP)) &&
           recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Left to the kernel they would be closed as they are, and that may take long. */
static void discard_rights(struct msghdr *message)
{
    int descriptor = message->msg_controllen > 0 ? channel_take_descriptor(message) : -1;

    if (descriptor >= 0)
        channel_discard(descriptor);
    message->msg_controllen = sizeof(union upward_rights);
}

/* What did not come from the library is no message of anybody's, and harms nobody. Its user hears
 * of it once. */
static void tell_bypassed(struct stack *stack, struct stack_socket *end, size_t length,
                          const struct channel_header *header)
{
    if (end->bypassed || (length >= sizeof(*header) && header->type == CHANNEL_PLUG))
        return;
    end->bypassed = true;
    stack_log(stack,
              "user %u: %zu bytes were written to an SCTP socket past Braid, and are dropped "
              "(by io_uring or aio, or a program into which no library was loaded: see --trap)",
              (unsigned int)end->caller.uid, length);
}

static void upward_datagram(struct stack *stack, struct stack_socket *end,
                            const struct channel_header *header, const void *bytes, size_t length)
{
    if (end->ring && header->flags & CHANNEL_KNOWS_RING && header->ring_position != 0) {
        uint32_t head = ring_look(stack, end), position = header->ring_position & ~1u;
        bool is_there = (int32_t)(head - position) >= 0;

        ring_receive(stack, end, is_there ? position : head, 0, true);
    }
    upward_message(stack, end, header, bytes, length);
    busy_count(stack, end, header, length);
}

static bool upward_batch(struct stack *stack, struct stack_socket *end, unsigned int wanted)
{
    int count = recvmmsg(end->watch.descriptor, stack->up_messages, wanted,
                         MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);

    if (count < 0) {
        /* ECONNRESET is told once, then comes what is left, then the end */
        if (errno == ECONNRESET)
            end->left_unread = true;
        return errno == ECONNRESET || errno == EINTR;
    }
    for (int i = 0; i < count; i++)
        discard_rights(&stack->up_messages[i].msg_hdr);
    for (int i = 0; i < count && end->socket; i++) {
        unsigned int length = stack->up_messages[i].msg_len;
        const struct channel_header *header = &stack->up_headers[i];

        busy_wake(stack, end);
        if (length == 0 && is_at_end(end->watch.descriptor)) {
            end->left = true;
            return false;
        }
        if (length < sizeof(*header) || stack->up_messages[i].msg_hdr.msg_flags & MSG_TRUNC ||
            !channel_is_send(header))
            tell_bypassed(stack, end, length, header);
        else
            upward_datagram(stack, end, header, stack->up_parts[i][1].iov_base,
                            length - sizeof(*header));
    }
    return (unsigned int)count == wanted;
}

/* Does what had to wait for the messages before it. */
static void upward_finish(struct stack *stack, struct stack_socket *end)
{
    int how = end->shutdown;
    bool unread = end->left_unread && !end->notifications_only;

    /* what he waits for may be his own, and is freed only when this is closed */
    unread |= end->hung_up && socket_is_starved(end->socket);
    /* an ABORT does not wait for what was sent before it */
    if (end->hung_up && (unread || socket_aborts(end->socket)))
        end->left = true;
    else if (upward_is_blocked(end))
        return;
    if (how >= 0) {
        end->shutdown = -1;
        socket_shutdown(end->socket, how, stack->now);
    }
    if (end->left) {
        end_leave(stack, end);
        socket_close(end->socket, unread, stack->now);
    }
}

void upward_receive(struct stack *stack, struct stack_socket *end, bool all)
{
    int rounds;
    uint32_t head = ring_look(stack, end);
    bool more = true;

    all |= end->shutdown >= 0; /* which waits for what stands there */
    all |= end->watched;       /* the kernel tells only what is new (EPOLLET) */
    rounds = all ? ROUNDS_MAXIMUM : 1;
    if (end->plugged || end->watch.descriptor < 0)
        return;
    if (!end->hung_up && quota_is_full(socket_quota(end->socket)))
        socket_starve(end->socket);
    while (more && rounds-- > 0 && !upward_is_blocked(end)) {
        unsigned int wanted = batch_size(end);

        end->no_room = wanted == 0;
        more = wanted > 0 && upward_batch(stack, end, wanted);
    }
    if (end->left && end->ring)
        ring_receive(stack, end, ring_look(stack, end), 0, true);
    else if (end->ring && !more) {
        ring_receive(stack, end, head, all ? UINT32_MAX : RING_BATCH, false);
        if (end->ring && !upward_is_blocked(end))
            ring_reopen(end->ring);
    }
    if (upward_is_blocked(end) || end->left)
        end_set_events(stack, end);
    upward_finish(stack, end);
}

void upward_gather(struct stack *stack, struct stack_socket *end)
{
    uint32_t head = ring_look(stack, end);
    int rounds = ROUNDS_MAXIMUM;

    if (!upward_is_blocked(end) || end->plugged || end->watch.descriptor < 0)
        return;
    while (rounds-- > 0 && upward_batch(stack, end, UPWARD_BATCH))
        ;
    ring_receive(stack, end, head, 0, true);
}

static void upward_answer(struct stack *stack, struct stack_socket *end, struct upward *message,
                          int error, int32_t association)
{
    struct connection *connection = message->connection;

    if (!connection)
        return;
    if (error == 0 && association != 0 && !socket_association_is_up(stack->sockets, association)) {
        connection->association = association;
        connection_set_wait(stack, connection, end, CONNECTION_ASSOCIATION);
    } else {
        connection_reply_result(stack, connection, error, association);
    }
}

void upward_continue(struct stack *stack, struct stack_socket *end)
{
    end->no_room = false;
    LIST_FOR_EACH_SAFE(link, &end->pending)
    {
        struct upward *message = LIST_ENTRY(link, struct upward, link);
        int32_t association = 0;
        int error = upward_send(stack, end, &message->header, message->bytes, message->length,
                                &association);

        if (error == -EAGAIN)
            return;
        upward_answer(stack, end, message, error, association);
        pending_delete(end, message);
    }
    if (end->watch.descriptor >= 0) {
        end_set_events(stack, end);
        upward_receive(stack, end, false);
    } else {
        upward_finish(stack, end);
    }
}
