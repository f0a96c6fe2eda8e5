/* What programs ask on control connections: one function a request (channel.h).
 *
 * Each request about a socket carries its descriptor as proof. It is never ahead of what was sent
 * on that descriptor before (RFC 6458, 3.1.4, 4.1.7).
 */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "stack/private.h"

/* One request, and the reply that becomes of it. */
struct request {
    struct connection *connection;
    struct socket_caller caller;
    const struct channel_request *head;
    uint8_t *payload;
    size_t length;
    int descriptor;           /* -1: none came */
    struct stack_socket *end; /* NULL for requests without one */
    uint8_t *answer;          /* room for CHANNEL_CONTROL_MAXIMUM bytes */
    struct channel_reply reply;
    int answer_descriptor;
    bool answer_is_ours; /* not to be closed */
    bool later;          /* the reply comes later */
};

/* ---- Without a socket ---- */

static int request_open(struct stack *stack, struct request *request)
{
    const int32_t *argument = request->head->argument;
    struct sctp_socket *socket;
    struct stack_socket *end;
    int error = socket_open(stack->sockets, argument[0], argument[1], argument[2], &request->caller,
                            &socket);

    if (error < 0)
        return error;
    error = end_new(stack, socket, &request->caller, &end, &request->answer_descriptor);
    if (error < 0) {
        socket_close(socket, false, stack->now);
        return error;
    }
    if (argument[1] == SOCK_STREAM)
        end_plug(end, request->answer_descriptor);
    end_set_events(stack, end);
    return 0;
}

static int request_hello(struct stack *stack, struct request *request)
{
    request->reply.argument[0] = stack->config.idle > 0;
    request->answer_descriptor = stack->page_descriptor;
    request->answer_is_ours = true;
    return 0;
}

static int request_status(struct stack *stack, struct request *request)
{
    int descriptor = status_write(stack, request->connection->peer.uid);

    request->answer_descriptor = descriptor;
    return descriptor < 0 ? descriptor : 0;
}

/* Is it the stack's own user that asks, or root. */
static bool is_owner(const struct stack *stack, const struct request *request)
{
    uid_t uid = request->connection->peer.uid;

    return uid == 0 || uid == stack->owner;
}

static int request_stop(struct stack *stack, struct request *request)
{
    if (!is_owner(stack, request))
        return -EPERM;
    stack->stop = true;
    return 0;
}

static int request_capture(struct stack *stack, struct request *request)
{
    int ends[2], error;

    if (!is_owner(stack, request))
        return -EPERM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    error = wire_listen(stack, ends[0]);
    if (error < 0) {
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    request->answer_descriptor = ends[1];
    return 0;
}

/* ---- Naming and connecting ---- */

static int request_bind(struct stack *stack, struct request *request)
{
    int error;

    do
        error =
            socket_bind(request->end->socket, request->payload, request->length, &request->caller);
    while (error == -EADDRNOTAVAIL && wire_catch_up(stack));
    return error;
}

static int request_listen(struct stack *stack, struct request *request)
{
    (void)stack;
    return socket_listen(request->end->socket, request->head->argument[0]);
}

/* An association was begun. The socket is not writable until it is up. */
static int wait_for_association(struct stack *stack, struct request *request, int result,
                                int32_t association, bool wait)
{
    struct stack_socket *end = request->end;
    struct socket_description now;

    request->reply.argument[0] = (uint32_t)association;
    if (result != -EINPROGRESS)
        return result;
    socket_describe(end->socket, &now);
    if (now.style == SOCKET_ONE_TO_ONE && !end->plugged) {
        end_plug(end, request->descriptor);
        end_set_events(stack, end);
    }
    if (!wait)
        return result;
    request->connection->association = association;
    connection_set_wait(stack, request->connection, end, CONNECTION_ASSOCIATION);
    request->later = true;
    return 0;
}

static int request_connect(struct stack *stack, struct request *request)
{
    int32_t association = 0;
    int result = socket_connect(request->end->socket, request->payload, request->length,
                                &request->caller, stack->now, &association);

    return wait_for_association(stack, request, result, association,
                                request->head->argument[0] == 1);
}

static int request_shutdown(struct stack *stack, struct request *request)
{
    struct stack_socket *end = request->end;
    int how = request->head->argument[0];
    struct socket_description now;

    if (!upward_is_blocked(end))
        return socket_shutdown(end->socket, how, stack->now);
    /* messages still wait for room: they go first, and nobody is kept waiting for that */
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    socket_describe(end->socket, &now);
    if (now.style != SOCKET_ONE_TO_ONE || how == SHUT_RD)
        return socket_shutdown(end->socket, how, stack->now);
    end->shutdown = how;
    end_set_dirty(stack, end, SOCKET_STATE);
    return 0;
}

static int answer_address(struct request *request, int result, const union channel_address *address,
                          size_t length)
{
    if (result < 0)
        return result;
    memcpy(request->answer, address, length);
    request->reply.length = (uint32_t)length;
    return 0;
}

static int request_getsockname(struct stack *stack, struct request *request)
{
    union channel_address address;
    size_t length = 0;
    int result = socket_getsockname(request->end->socket, &address, &length);

    (void)stack;
    return answer_address(request, result, &address, length);
}

static int request_getpeername(struct stack *stack, struct request *request)
{
    union channel_address address;
    size_t length = 0;
    int result = socket_getpeername(request->end->socket, &address, &length);

    (void)stack;
    return answer_address(request, result, &address, length);
}

/* ---- Options ---- */

static int request_getsockopt(struct stack *stack, struct request *request)
{
    const int32_t *argument = request->head->argument;
    size_t length = (size_t)(argument[2] < 0 ? 0 : argument[2]);
    size_t maximum = CHANNEL_CONTROL_MAXIMUM - sizeof(struct channel_reply);
    struct sctp_socket *peeled = NULL;
    struct socket_description description;
    struct stack_socket *end;
    int result;

    if (argument[2] < 0)
        return -EINVAL;
    if (length > maximum)
        length = maximum;
    memset(request->answer, 0, length);
    memcpy(request->answer, request->payload, request->length < length ? request->length : length);
    result = socket_get_option(request->end->socket, argument[0], argument[1], request->answer,
                               &length, &request->caller, stack->now, &peeled);
    if (peeled) {
        int error = end_new(stack, peeled, &request->caller, &end, &request->answer_descriptor);

        if (error < 0) {
            socket_close(peeled, true, stack->now);
            return error;
        }
        socket_describe(peeled, &description);
        downward_move(request->end, request->descriptor, end, description.association);
        end_set_dirty(stack, end, SOCKET_READABLE);
    }
    if (result >= 0)
        request->reply.length = (uint32_t)(length < maximum ? length : maximum);
    return result;
}

static int request_setsockopt(struct stack *stack, struct request *request)
{
    const int32_t *argument = request->head->argument;
    int32_t association = 0;
    int result;

    if (argument[2] < 0)
        return -EINVAL;
    wire_transmit(stack); /* what was sent before has left, if it may: some options ask for that */
    do
        result = socket_set_option(request->end->socket, argument[0], argument[1], request->payload,
                                   request->length, &request->caller, stack->now, &association);
    while (result == -EADDRNOTAVAIL && wire_catch_up(stack)); /* sctp_bindx() */
    end_set_dirty(stack, request->end, SOCKET_STATE);
    return wait_for_association(stack, request, result, association, argument[3] == 1);
}

static int request_take_error(struct stack *stack, struct request *request)
{
    (void)stack;
    request->reply.argument[0] = (uint32_t)-socket_take_error(request->end->socket);
    return 0;
}

static int request_queue_size(struct stack *stack, struct request *request)
{
    int size;

    (void)stack;
    if (request->head->argument[0] != SIOCOUTQ)
        return -EINVAL; /* SIOCINQ: the reader's own queue, which it sees itself */
    size = socket_queue_size(request->end->socket);
    LIST_FOR_EACH(link, &request->end->pending)
    {
        if (size >= 0)
            size += (int)LIST_ENTRY(link, struct upward, link)->length;
    }
    return size;
}

/* ---- Sending and closing ---- */

/* SCTP_SEND_NOW: a message whose result is told. */
static int request_send_now(struct stack *stack, struct request *request)
{
    struct stack_socket *end = request->end;
    const struct channel_header *header = (const void *)request->payload;
    const uint8_t *bytes = request->payload + sizeof(*header);
    size_t length = request->length - sizeof(*header);
    bool wait = request->head->argument[0] == 1;
    bool goes_ahead, ends;
    int32_t association = 0;
    int result = -EAGAIN;

    if (request->length < sizeof(*header))
        return -EINVAL;
    goes_ahead = header->flags & CHANNEL_HAS_INFO && header->info.flags & SCTP_ABORT;
    ends = header->flags & CHANNEL_HAS_INFO && header->info.flags & SCTP_EOF;
    if (goes_ahead || !upward_is_blocked(end))
        result = upward_send(stack, end, header, bytes, length, &association);
    request->reply.argument[0] = (uint32_t)association;
    if (result == -EAGAIN && (wait || ends)) {
        if (end->pending_count >= UPWARD_PENDING || quota_is_full(socket_quota(end->socket)))
            return -ENOBUFS;
        upward_gather(stack, end);
        result = upward_append(end, header, bytes, length, wait ? request->connection : NULL);
        end_set_events(stack, end);
        if (result < 0 || !wait)
            return result;
        request->connection->sent = true;
        connection_set_wait(stack, request->connection, end, CONNECTION_SEND);
        request->later = true;
        return 0;
    }
    if (result == 0 && wait && association != 0 &&
        !socket_association_is_up(stack->sockets, association)) {
        request->connection->sent = true;
        return wait_for_association(stack, request, -EINPROGRESS, association, true);
    }
    return result;
}

static bool is_held_by_others(const struct stack_socket *end)
{
    struct pollfd poll_end = {.fd = end->watch.descriptor};

    return end->watch.descriptor >= 0 &&
           (poll(&poll_end, 1, 0) <= 0 || !(poll_end.revents & POLLHUP));
}

static int request_close_linger(struct stack *stack, struct request *request)
{
    struct connection *connection = request->connection;
    struct stack_socket *end = request->end;
    uint32_t time;

    if (end) {
        if (socket_linger_time(end->socket) == 0 ||
            (!socket_lingers(end->socket) && !upward_is_blocked(end)))
            return 0;
        connection_set_wait(stack, connection, end, CONNECTION_IDLE);
        return 1;
    }
    end = connection->socket;
    if (!end || is_held_by_others(end))
        return 0;
    time = socket_linger_time(end->socket);
    connection->deadline = stack->now + (braid_time)time * 1000;
    connection_set_wait(stack, connection, end, CONNECTION_LINGER);
    request->later = true;
    return 0;
}

static int request_ring(struct stack *stack, struct request *request)
{
    (void)stack;
    if (!request->end->ring)
        return -ENOENT;
    request->answer_descriptor = request->end->ring_descriptor;
    request->answer_is_ours = true;
    return 0;
}

/* ---- Finding out what is asked ---- */

enum need { NEEDS_SOCKET, NEEDS_NONE, MAY_HAVE_SOCKET };

static const struct operation {
    int (*handle)(struct stack *stack, struct request *request);
    enum need need;
} operations[] = {
    [CHANNEL_OPEN] = {request_open, NEEDS_NONE},
    [CHANNEL_HELLO] = {request_hello, NEEDS_NONE},
    [CHANNEL_BIND] = {request_bind, NEEDS_SOCKET},
    [CHANNEL_LISTEN] = {request_listen, NEEDS_SOCKET},
    [CHANNEL_CONNECT] = {request_connect, NEEDS_SOCKET},
    [CHANNEL_SHUTDOWN] = {request_shutdown, NEEDS_SOCKET},
    [CHANNEL_GETSOCKNAME] = {request_getsockname, NEEDS_SOCKET},
    [CHANNEL_GETPEERNAME] = {request_getpeername, NEEDS_SOCKET},
    [CHANNEL_GETSOCKOPT] = {request_getsockopt, NEEDS_SOCKET},
    [CHANNEL_SETSOCKOPT] = {request_setsockopt, NEEDS_SOCKET},
    [CHANNEL_TAKE_ERROR] = {request_take_error, NEEDS_SOCKET},
    [CHANNEL_QUEUE_SIZE] = {request_queue_size, NEEDS_SOCKET},
    [CHANNEL_CLOSE_LINGER] = {request_close_linger, MAY_HAVE_SOCKET},
    [CHANNEL_STATUS] = {request_status, NEEDS_NONE},
    [CHANNEL_STOP] = {request_stop, NEEDS_NONE},
    [CHANNEL_SEND_NOW] = {request_send_now, NEEDS_SOCKET},
    [CHANNEL_CAPTURE] = {request_capture, NEEDS_NONE},
    [CHANNEL_RING] = {request_ring, NEEDS_SOCKET},
};

/* What the program is to see when it has its reply. */
static void request_publish(struct stack *stack, const struct request *request)
{
    struct stack_socket *end = request->end;
    struct socket_description now;

    page_publish(stack, end);
    if (end->watch.descriptor < 0)
        return;
    if (page_state(stack, end) & CHANNEL_STATE_DEAF)
        downward_send(stack, end);
    socket_describe(end->socket, &now);
    /* the error of a connect() that was not waited for was taken: it is as it was before */
    if (now.style == SOCKET_ONE_TO_ONE && now.state == SOCKET_CLOSED && now.association == 0 &&
        !(now.channel_state & CHANNEL_STATE_ERROR) && !end->plugged && request->descriptor >= 0) {
        end_plug(end, request->descriptor);
        end_set_events(stack, end);
    }
}

static int request_handle(struct stack *stack, struct request *request)
{
    const struct operation *operation = NULL;
    int result;

    if (request->head->version != CHANNEL_VERSION)
        return -EPROTONOSUPPORT;
    if (request->head->length != request->length)
        return -EBADMSG;
    if (request->head->operation < sizeof(operations) / sizeof(operations[0]))
        operation = &operations[request->head->operation];
    if (!operation || !operation->handle)
        return -EOPNOTSUPP;
    if (operation->need == NEEDS_SOCKET ||
        (operation->need == MAY_HAVE_SOCKET && request->descriptor >= 0)) {
        request->end = end_find(stack, request->descriptor);
        if (!request->end)
            return -ENOTSOCK;
        upward_receive(stack, request->end, true);
        if (!request->end->socket)
            return -ENOTSOCK;
    }
    result = operation->handle(stack, request);
    if (request->end && request->end->socket)
        request_publish(stack, request);
    return result;
}

void request_receive(struct stack *stack, struct connection *connection)
{
    struct channel_request head;
    struct request request = {
        .connection = connection,
        .caller = {.uid = connection->peer.uid, .privileged = connection->peer.uid == 0},
        .head = &head,
        .payload = stack->request,
        .descriptor = -1,
        .answer = stack->reply,
        .answer_descriptor = -1,
    };
    int unread = 0;
    ssize_t received;

    /* one request after the other: who does not read replies gets no more of them */
    if (ioctl(connection->watch.descriptor, SIOCOUTQ, &unread) < 0 || unread > 0) {
        connection_close(stack, connection);
        return;
    }
    received = channel_receive(connection->watch.descriptor, &head, sizeof(head), stack->request,
                               CHANNEL_CONTROL_MAXIMUM, &request.descriptor);

    if (received == -EAGAIN)
        return;
    if (received < (ssize_t)sizeof(head)) {
        if (request.descriptor >= 0)
            channel_discard(request.descriptor);
        connection_close(stack, connection);
        return;
    }
    request.length = (size_t)received - sizeof(head);
    connection->sent = false;
    request.reply.result = request_handle(stack, &request);
    if (!request.later)
        connection_reply(stack, connection, &request.reply, request.answer,
                         request.answer_descriptor);
    if (request.answer_descriptor >= 0 && !request.answer_is_ours)
        close(request.answer_descriptor);
    if (request.descriptor >= 0 && request.end)
        close(request.descriptor);
    else if (request.descriptor >= 0)
        channel_discard(request.descriptor);
}
