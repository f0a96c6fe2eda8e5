/* The generic options, of SOL_SOCKET.
 *
 * RFC 6458, section 8.1.4 (SO_LINGER), 8.1.6 to 8.1.8 (SO_RCVBUF, SO_SNDBUF), socket(7). Linux cuts
 * answers of SOL_SOCKET to the caller's buffer.
 */
#include "socket/options.h"

#define BUFFER_FORCED_MAXIMUM (INT32_MAX / 2)
#define WINDOW_MINIMUM 1500u /* RFC 9260, 3.3.2: a_rwnd of INIT */

static int get_type(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->style == SOCKET_ONE_TO_ONE ? SOCK_STREAM
                                                                                : SOCK_SEQPACKET);
}

static int get_domain(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->domain);
}

static int get_protocol(struct option_call *call)
{
    return option_answer_int_cut(call, IPPROTO_SCTP);
}

static int get_acceptconn(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->state == SOCKET_LISTENING);
}

static int get_error(struct option_call *call)
{
    return option_answer_int_cut(call, -socket_take_error(call->socket));
}

static int get_reuseaddr(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->reuse_address);
}

static int set_reuseaddr(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error == 0)
        call->socket->reuse_address = value != 0;
    return error;
}

static int get_reuseport(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->reuse_port);
}

static int set_reuseport(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error == 0)
        call->socket->reuse_port = value != 0;
    return error;
}

static int get_linger(struct option_call *call)
{
    struct linger linger = {.l_onoff = call->socket->linger,
                            .l_linger = (int)call->socket->linger_time};

    return option_answer_cut(call, &linger, sizeof(linger));
}

static int set_linger(struct option_call *call)
{
    struct linger linger;
    int error = option_read(call, &linger, sizeof(linger));

    if (error < 0)
        return error;
    call->socket->linger = linger.l_onoff != 0;
    if (linger.l_onoff != 0)
        call->socket->linger_time = (uint32_t)linger.l_linger;
    return 0;
}

static void apply_buffers(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->send_buffer = socket->send_buffer;
    parameters->receive_buffer = socket->receive_buffer / 2;
    if (parameters->receive_buffer < WINDOW_MINIMUM)
        parameters->receive_buffer = WINDOW_MINIMUM;
}

/* Twice what was asked for, half of it for bookkeeping, within what the host allows: socket(7). */
static uint32_t buffer_size(int value, uint32_t maximum, uint32_t minimum)
{
    uint32_t size = value < 0 ? maximum : (uint32_t)value;

    if (size > maximum)
        size = maximum;
    size *= 2;
    return size < minimum ? minimum : size;
}

/* SO_RCVBUFFORCE, SO_SNDBUFFORCE: whatever the host allows others. */
static int read_forced_size(const struct option_call *call, uint32_t minimum, uint32_t *size)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    if (!call->caller->privileged)
        return -EPERM;
    *size = buffer_size(value < 0 ? 0 : value, BUFFER_FORCED_MAXIMUM, minimum);
    return 0;
}

enum { LOCK_SEND = 1, LOCK_RECEIVE = 2 }; /* SO_BUF_LOCK: was set by the program */

static void set_receive_buffer(struct sctp_socket *socket, uint32_t size)
{
    socket->receive_buffer = size;
    socket->buffer_lock |= LOCK_RECEIVE;
    option_for_all(socket, apply_buffers);
    socket_changed(socket, SOCKET_STATE);
}

static void set_send_buffer(struct sctp_socket *socket, uint32_t size)
{
    socket->send_buffer = size;
    socket->buffer_lock |= LOCK_SEND;
    option_for_all(socket, apply_buffers);
    socket_changed(socket, SOCKET_STATE | SOCKET_WRITABLE);
}

static int get_rcvbuf(struct option_call *call)
{
    return option_answer_int_cut(call, (int)call->socket->receive_buffer);
}

static int set_rcvbuf(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    set_receive_buffer(socket, buffer_size(value, socket->table->config.receive_buffer_maximum,
                                           SOCKET_RECEIVE_MINIMUM));
    return 0;
}

static int set_rcvbufforce(struct option_call *call)
{
    uint32_t size;
    int error = read_forced_size(call, SOCKET_RECEIVE_MINIMUM, &size);

    if (error == 0)
        set_receive_buffer(call->socket, size);
    return error;
}

static int get_sndbuf(struct option_call *call)
{
    return option_answer_int_cut(call, (int)call->socket->send_buffer);
}

static int set_sndbuf(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    set_send_buffer(
        socket, buffer_size(value, socket->table->config.send_buffer_maximum, SOCKET_SEND_MINIMUM));
    return 0;
}

static int set_sndbufforce(struct option_call *call)
{
    uint32_t size;
    int error = read_forced_size(call, SOCKET_SEND_MINIMUM, &size);

    if (error == 0)
        set_send_buffer(call->socket, size);
    return error;
}

static int get_buf_lock(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->buffer_lock);
}

static int set_buf_lock(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    if (value & ~(LOCK_SEND | LOCK_RECEIVE))
        return -EINVAL;
    call->socket->buffer_lock = value;
    return 0;
}

/* ---- The host's queues and interfaces ---- */

#define PRIORITY_MAXIMUM 6 /* that everybody may ask for, and so the stack */

static void apply_priority(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->priority =
        (uint8_t)(socket->priority < 0 || socket->priority > PRIORITY_MAXIMUM ? PRIORITY_MAXIMUM
                                                                              : socket->priority);
}

static int get_priority(struct option_call *call)
{
    return option_answer_int_cut(call, call->socket->priority);
}

static int set_priority(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    if ((value < 0 || value > PRIORITY_MAXIMUM) && !call->caller->privileged)
        return -EPERM;
    call->socket->priority = value;
    option_for_all(call->socket, apply_priority);
    return 0;
}

static void apply_interface(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->interface = socket->interface;
}

static int get_bindtoifindex(struct option_call *call)
{
    return option_answer_int_cut(call, (int)call->socket->interface);
}

/* SO_BINDTODEVICE, too: the program's side finds the index. */
static int set_bindtoifindex(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    if (call->socket->interface != 0 && !call->caller->privileged)
        return -EPERM;
    if (value < 0)
        return -EINVAL;
    call->socket->interface = (uint32_t)value;
    option_for_all(call->socket, apply_interface);
    return 0;
}

/* ---- Peers ---- */

/* As getpeername(), of the whole address or less. */
static int get_peername(struct option_call *call)
{
    union channel_address address;
    size_t length = 0;

    if (socket_getpeername(call->socket, &address, &length) < 0)
        return -ENOTCONN;
    return length < call->length ? -EINVAL : option_answer(call, &address, call->length);
}

/* Of sockets that nobody in this host is the other end of. */
static int get_peercred(struct option_call *call)
{
    static const struct ucred nobody = {.uid = (uid_t)-1, .gid = (gid_t)-1};

    return option_answer_cut(call, &nobody, sizeof(nobody));
}

const struct option options_of_socket[] = {
    {SOL_SOCKET, SO_TYPE, get_type, NULL},
    {SOL_SOCKET, SO_DOMAIN, get_domain, NULL},
    {SOL_SOCKET, SO_PROTOCOL, get_protocol, NULL},
    {SOL_SOCKET, SO_ACCEPTCONN, get_acceptconn, NULL},
    {SOL_SOCKET, SO_ERROR, get_error, NULL},
    {SOL_SOCKET, SO_REUSEADDR, get_reuseaddr, set_reuseaddr},
    {SOL_SOCKET, SO_REUSEPORT, get_reuseport, set_reuseport},
    {SOL_SOCKET, SO_LINGER, get_linger, set_linger},
    {SOL_SOCKET, SO_RCVBUF, get_rcvbuf, set_rcvbuf},
    {SOL_SOCKET, SO_SNDBUF, get_sndbuf, set_sndbuf},
    {SOL_SOCKET, SO_RCVBUFFORCE, NULL, set_rcvbufforce},
    {SOL_SOCKET, SO_SNDBUFFORCE, NULL, set_sndbufforce},
    {SOL_SOCKET, SO_PRIORITY, get_priority, set_priority},
    {SOL_SOCKET, SO_BINDTOIFINDEX, get_bindtoifindex, set_bindtoifindex},
    {SOL_SOCKET, SO_BUF_LOCK, get_buf_lock, set_buf_lock},
    {SOL_SOCKET, SO_PEERNAME, get_peername, NULL},
    {SOL_SOCKET, SO_PEERCRED, get_peercred, NULL},
    {SOL_SOCKET, SO_PEEK_OFF, option_get_refused, option_get_refused},
    {0},
};
