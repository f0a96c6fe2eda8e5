/* The rendezvous, and the connections on which programs ask (channel.h: control).
 *
 * A reply that must wait (RFC 6458, 4.1.5: connect; 8.1.4: SO_LINGER) is kept with its connection,
 * which meanwhile is only watched for its end.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stack/private.h"

enum {
    RENDEZVOUS_BACKLOG = 4096,
    PAUSE = 100000,       /* us, until a rendezvous without descriptors is tried again */
    ACCEPTS = 64,         /* of one turn, before others have theirs */
    GROUPS_MAXIMUM = 4096 /* of a program, that are looked at */
};

static void connection_set_socket(struct connection *connection, struct stack_socket *end)
{
    list_remove(&connection->waiter);
    connection->socket = end;
    if (end)
        list_append(&end->waiters, &connection->waiter);
}

void connection_close(struct stack *stack, struct connection *connection)
{
    if (connection->watch.descriptor < 0)
        return;
    connection->quota->connections--;
    quota_release(connection->quota);
    if (connection->socket)
        LIST_FOR_EACH(link, &connection->socket->pending)
        {
            struct upward *message = LIST_ENTRY(link, struct upward, link);

            if (message->connection == connection)
                message->connection = NULL;
        }
    connection_set_socket(connection, NULL);
    channel_drain(connection->watch.descriptor);
    stack_unwatch(stack, &connection->watch);
    list_remove(&connection->link);
    list_append(&stack->dead_connections, &connection->link);
    stack->connection_count--;
    rendezvous_resume(stack);
}

void connection_set_wait(struct stack *stack, struct connection *connection,
                         struct stack_socket *end, enum connection_wait wait)
{
    connection->wait = wait;
    connection_set_socket(connection, end);
    list_remove(&connection->link);
    if (wait == CONNECTION_IDLE)
        list_append(&stack->connections, &connection->link);
    else
        list_append(wait == CONNECTION_LINGER ? &stack->lingering : &stack->waiting,
                    &connection->link);
    stack_watch_change(stack, &connection->watch, wait == CONNECTION_IDLE ? EPOLLIN : 0);
}

void connection_reply(struct stack *stack, struct connection *connection,
                      const struct channel_reply *reply, const void *payload, int descriptor)
{
    /* who does not read replies has no use for them */
    if (channel_send(connection->watch.descriptor, reply, sizeof(*reply), payload, reply->length,
                     descriptor) < 0)
        connection_close(stack, connection);
}

void connection_reply_result(struct stack *stack, struct connection *connection, int result,
                             int32_t association)
{
    struct channel_reply reply = {.result = result, .argument = {(uint32_t)association}};

    connection_set_wait(stack, connection, NULL, CONNECTION_IDLE);
    connection_reply(stack, connection, &reply, NULL, -1);
}

/* ---- Waiting ---- */

bool connections_outcome(struct stack *stack, struct stack_socket *end, int32_t association,
                         int error)
{
    bool waited = false;

    LIST_FOR_EACH_SAFE(link, &end->waiters)
    {
        struct connection *connection = LIST_ENTRY(link, struct connection, waiter);

        if (connection->wait != CONNECTION_ASSOCIATION || connection->association != association)
            continue;
        waited = true;
        connection_reply_result(stack, connection, connection->sent ? 0 : -error, association);
    }
    return waited;
}

void connections_gone(struct stack *stack, struct stack_socket *end)
{
    while (!list_is_empty(&end->waiters)) {
        struct connection *connection = LIST_ENTRY(end->waiters.next, struct connection, waiter);

        if (connection->wait == CONNECTION_IDLE)
            connection_set_socket(connection, NULL);
        else
            connection_reply_result(stack, connection,
                                    connection->wait == CONNECTION_LINGER ? 0 : -EPIPE, 0);
    }
}

braid_time connections_timeout(struct stack *stack)
{
    braid_time next = BRAID_TIME_NEVER;

    LIST_FOR_EACH_SAFE(link, &stack->lingering)
    {
        struct connection *connection = LIST_ENTRY(link, struct connection, link);

        if (connection->deadline <= stack->now)
            connection_reply_result(stack, connection, 0, 0);
        else if (connection->deadline < next)
            next = connection->deadline;
    }
    return next;
}

/* ---- New connections ---- */

static void connection_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)watch;

    if (events & EPOLLIN)
        request_receive(stack, connection);
    else
        connection_close(stack, connection);
}

/* Is the program's group, or one of its further ones, this one? */
static bool is_of_group(int descriptor, const struct ucred *peer, gid_t group)
{
    static gid_t groups[GROUPS_MAXIMUM];
    socklen_t length = sizeof(groups);

    if (peer->gid == group)
        return true;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
        return false;
    for (size_t i = 0; i < length / sizeof(groups[0]); i++)
        if (groups[i] == group)
            return true;
    return false;
}

/* A stack of an ordinary user is that user's; one of root is everybody's, as a kernel is, or of
 * those in a group. */
static bool may_connect(const struct stack *stack, int descriptor, const struct ucred *peer)
{
    if (peer->uid == 0 || peer->uid == stack->owner)
        return true;
    return stack->owner == 0 &&
           (!stack->config.has_group || is_of_group(descriptor, peer, stack->config.group));
}

/* Who connects and says nothing gives way: the one that did it first. */
static bool make_room(struct stack *stack)
{
    if (stack->connection_count < stack->connections_maximum)
        return true;
    if (list_is_empty(&stack->connections))
        return false;
    connection_close(stack, LIST_ENTRY(stack->connections.next, struct connection, link));
    return true;
}

static int connection_begin(struct stack *stack, struct connection *connection, int descriptor)
{
    struct quota *quota = quota_take(stack->sockets, connection->peer.uid);
    int error;

    if (!quota)
        return -ENOMEM;
    connection->quota = quota;
    error = quota_allows_connection(stack->sockets, quota) && make_room(stack) ? 0 : -EMFILE;
    if (error == 0)
        error = stack_watch(stack, &connection->watch, descriptor, EPOLLIN);
    if (error < 0) {
        quota_release(quota);
        return error;
    }
    quota->connections++;
    list_append(&stack->connections, &connection->link);
    stack->connection_count++;
    return 0;
}

static int connection_new(struct stack *stack, int descriptor)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    socklen_t length = sizeof(connection->peer);
    int error = -ENOMEM;

    if (!connection)
        return error;
    connection->watch = (struct watch){.descriptor = -1, .ready = connection_ready};
    list_init(&connection->link);
    list_init(&connection->waiter);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &connection->peer, &length) < 0)
        error = -errno;
    else if (!may_connect(stack, descriptor, &connection->peer))
        error = -EACCES;
    else
        error = connection_begin(stack, connection, descriptor);
    if (error < 0)
        free(connection);
    return error;
}

static void rendezvous_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    (void)events;
    for (int i = 0; i < ACCEPTS; i++) {
        int descriptor = accept4(watch->descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int error;

        if (descriptor < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            stack->rendezvous_paused = true;
            stack->rendezvous_pause_end = stack->now + PAUSE;
            stack_watch_change(stack, watch, 0);
        }
        if (descriptor < 0)
            return;
        error = connection_new(stack, descriptor);
        if (error < 0) {
            struct channel_reply reply = {.result = error};

            (void)channel_send(descriptor, &reply, sizeof(reply), NULL, 0, -1);
            channel_drain(descriptor);
            close(descriptor);
        }
    }
}

void rendezvous_resume(struct stack *stack)
{
    if (!stack->rendezvous_paused)
        return;
    stack->rendezvous_paused = false;
    stack_watch_change(stack, &stack->rendezvous, EPOLLIN);
}

void connections_close(struct stack *stack)
{
    struct list *lists[] = {&stack->connections, &stack->waiting, &stack->lingering};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        while (!list_is_empty(lists[i]))
            connection_close(stack, LIST_ENTRY(lists[i]->next, struct connection, link));
}

int connections_open(struct stack *stack)
{
    struct sockaddr_un address;
    socklen_t length;
    int descriptor;
    int error = channel_rendezvous(stack->name, &address, &length);

    if (error < 0)
        return error;
    descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -errno;
    if (bind(descriptor, (struct sockaddr *)&address, length) < 0 ||
        listen(descriptor, RENDEZVOUS_BACKLOG) < 0) {
        error = -errno;
        close(descriptor);
        return error;
    }
    stack->rendezvous.ready = rendezvous_ready;
    return stack_watch(stack, &stack->rendezvous, descriptor, EPOLLIN);
}
