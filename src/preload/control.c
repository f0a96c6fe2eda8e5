/*
 * Requests to the stack process: a connection, a question, an answer.
 *
 * RFC 6458's calls that are not data. channel.h says what is in them.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "preload/direct.h"
#include "preload/private.h"

static ssize_t hear(int connection, struct channel_reply *reply, struct control *request)
{
    struct iovec parts[2] = {{reply, sizeof(*reply)}, {request->answer, request->answer_size}};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } rights;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = request->answer_size > 0 ? 2 : 1,
                             .msg_control = &rights,
                             .msg_controllen = sizeof(rights)};
    ssize_t received;

    do
        received = direct_recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR && !request->interruptible);
    if (received < 0)
        return -errno;
    request->answer_descriptor = channel_take_descriptor(&message);
    return received;
}

static void close_connection(void *connection)
{
    direct_close(*(int *)connection);
}

/* A thread may be cancelled while it waits. */
static ssize_t hear_or_end(int connection, struct channel_reply *reply, struct control *request)
{
    ssize_t received;
    int type;

    if (!request->interruptible)
        return hear(connection, reply, request);
    pthread_cleanup_push(close_connection, &connection);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    received = hear(connection, reply, request);
    pthread_setcanceltype(type, NULL);
    pthread_cleanup_pop(0);
    return received;
}

int control(int descriptor, struct control *request)
{
    struct channel_request head = {
        .version = CHANNEL_VERSION,
        .operation = request->operation,
        .length = (uint32_t)request->length,
    };
    struct channel_reply reply;
    ssize_t received;
    int connection = channel_connect(stack_name());
    int error;

    request->answer_descriptor = -1;
    if (connection < 0)
        return connection;
    memcpy(head.argument, request->argument, sizeof(head.argument));
    if (request->patience && (request->patience->tv_sec || request->patience->tv_usec))
        direct_setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, request->patience,
                          sizeof(*request->patience));
    error = channel_send(connection, &head, sizeof(head), request->payload, request->length,
                         descriptor);
    /* who is refused may be told before he has asked */
    received = error < 0 && error != -EPIPE ? error : hear_or_end(connection, &reply, request);
    direct_close(connection);
    if (received < 0)
        return (int)received;
    if ((size_t)received < sizeof(reply))
        return -ECONNREFUSED; /* it died meanwhile */
    request->answer_length = (size_t)received - sizeof(reply);
    request->answer_argument = reply.argument[0];
    return reply.result;
}

int control_take_error(const struct program_socket *socket)
{
    struct control request = {.operation = CHANNEL_TAKE_ERROR};

    /* Nobody there who knows the socket: its stack has died. */
    if (control(socket->descriptor, &request) < 0)
        return -ECONNRESET;
    return -(int)request.answer_argument;
}

int control_queue_size(const struct program_socket *socket)
{
    struct control request = {.operation = CHANNEL_QUEUE_SIZE, .argument = {TIOCOUTQ}};

    return control(socket->descriptor, &request);
}

void control_settle(void)
{
    struct control request = {.operation = CHANNEL_HELLO};

    if (control(-1, &request) >= 0 && request.answer_descriptor >= 0)
        direct_close(request.answer_descriptor);
}

const struct channel_page *control_map_page(void)
{
    struct control request = {.operation = CHANNEL_HELLO};
    const struct channel_page *page = MAP_FAILED;

    if (control(-1, &request) < 0 || request.answer_descriptor < 0)
        return NULL;
    page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, request.answer_descriptor, 0);
    direct_close(request.answer_descriptor);
    if (page == MAP_FAILED)
        return NULL;
    if (page->version == CHANNEL_VERSION && page->slots == CHANNEL_SLOTS)
        return page;
    munmap((void *)page, sizeof(*page));
    return NULL;
}
