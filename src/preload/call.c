/*
 * The calls of a socket's life that are not data.
 *
 * RFC 6458, sections 3.1, 4.1, 8 and 9; the stack answers them, and decides their errors.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "preload/direct.h"
#include "preload/private.h"

#define SOCK_TYPES 0xf /* the bits of socket()'s type that are no flags */

/* The program once set SO_LINGER: only then has close() to ask. */
static atomic_bool lingers;

bool call_wants_socket(int domain, int type, int protocol)
{
    int base = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

    /* SOCK_RAW is the kernel's, whatever the protocol; of IP only SCTP has SOCK_SEQPACKET */
    return stack_name() && (domain == AF_INET || domain == AF_INET6) && base != SOCK_RAW &&
           (protocol == IPPROTO_SCTP || base == SOCK_SEQPACKET);
}

int call_socket(int domain, int type, int protocol)
{
    int base = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct control request = {.operation = CHANNEL_OPEN, .argument = {domain, base, protocol}};
    int result;

    if (base & ~SOCK_TYPES)
        return -EINVAL;
    result = control(-1, &request);
    if (result == -ECONNREFUSED && stack_start())
        result = control(-1, &request);
    if (result == -ECONNREFUSED) /* as a kernel without the module */
        return -EPROTONOSUPPORT;
    if (result < 0)
        return result;
    return descriptor_adopt(request.answer_descriptor, type);
}

int call_bind(const struct program_socket *socket, const struct sockaddr *address, socklen_t length)
{
    struct control request = {.operation = CHANNEL_BIND, .payload = address, .length = length};

    if (length > sizeof(struct sockaddr_storage))
        return -EINVAL;
    if (length > 0 && is_wild(address))
        return -EFAULT;
    return control(socket->descriptor, &request);
}

int call_listen(const struct program_socket *socket, int backlog)
{
    struct control request = {.operation = CHANNEL_LISTEN, .argument = {backlog}};

    return control(socket->descriptor, &request);
}

socklen_t address_length(sa_family_t family)
{
    if (family == AF_INET)
        return sizeof(struct sockaddr_in);
    return family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

void give_address(const union channel_address *from, struct sockaddr *address, socklen_t *length)
{
    socklen_t whole = address_length(from->any.sa_family);

    if (!length)
        return;
    if (address)
        memcpy(address, from, *length < whole ? *length : whole);
    *length = whole;
}

/* The stack has died: of one that lives, a socket that has ended is bound. */
static bool socket_is_orphan(const struct program_socket *socket)
{
    return socket_state(socket) == CHANNEL_STATE_ENDED;
}

/* A peer on this host that has begun to connect is there at once, as with a kernel. */
static ssize_t take_accepted(const struct program_socket *socket, struct msghdr *message)
{
    int saved = errno;
    ssize_t received = direct_recvmsg_waiting(socket->descriptor, message, MSG_CMSG_CLOEXEC);

    if (received < 0 && errno == EAGAIN && !descriptor_blocks(socket->descriptor)) {
        control_settle();
        received = direct_recvmsg(socket->descriptor, message, MSG_CMSG_CLOEXEC);
    }
    if (received < 0)
        return -errno;
    errno = saved;
    return received;
}

/* As Linux, which looks for a number before it looks for an association: without one that stays
 * where it is. A descriptor that comes where there is no room for it would be lost. */
static int room_for_accepted(const struct program_socket *socket)
{
    int number = direct_fcntl(socket->descriptor, F_DUPFD_CLOEXEC, 0);

    if (number < 0)
        return -errno;
    direct_close(number);
    return 0;
}

/* The descriptor, and in front of it what a program may have asked for: SO_PASSCRED, SO_PASSSEC,
 * SO_TIMESTAMP and their like. */
#define ACCEPT_ANCILLARY 1024

int call_accept(const struct program_socket *socket, struct sockaddr *address, socklen_t *length,
                int flags)
{
    struct channel_header header;
    struct iovec part = {&header, sizeof(header)};
    union {
        struct cmsghdr header;
        char space[ACCEPT_ANCILLARY];
    } rights;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = sizeof(rights)};
    uint32_t state = socket_state(socket);
    ssize_t received;
    int accepted, error;

    if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return -EINVAL;
    if (address && (is_wild(address) || is_wild(length)))
        return -EFAULT;
    if (state & (CHANNEL_STATE_ONE_TO_MANY | CHANNEL_STATE_PEELED_OFF))
        return -EOPNOTSUPP;
    if (!(state & CHANNEL_STATE_LISTENING))
        return socket_is_orphan(socket) ? -ECONNRESET : -EINVAL;
    error = room_for_accepted(socket);
    if (error < 0)
        return error;
    do { /* what it was told of an association of its own, before it listened, is not for accept()
          */
        message.msg_controllen = sizeof(rights);
        received = take_accepted(socket, &message);
    } while (received > 0 &&
             !((size_t)received >= sizeof(header) && header.type == CHANNEL_ACCEPT));
    if (received < 0)
        return (int)received;
    if (received == 0) {
        error = control_take_error(socket);
        return error < 0 ? error : -EINVAL;
    }
    accepted = channel_take_descriptor(&message);
    if (accepted < 0)
        return -ECONNABORTED;
    give_address(&header.address, address, length);
    descriptor_inherit(socket->descriptor, accepted);
    return descriptor_adopt(accepted, flags);
}

/* Connecting waits as long as SO_SNDTIMEO says. */
static int connect_with(const struct program_socket *socket, struct control *request)
{
    struct timeval patience = {0};
    socklen_t length = sizeof(patience);
    int result;

    direct_getsockopt(socket->descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, &length);
    request->patience = &patience;
    request->interruptible = true;
    result = control(socket->descriptor, request);
    return result == -EAGAIN ? -EINPROGRESS : result;
}

int call_connect(const struct program_socket *socket, const struct sockaddr *address,
                 socklen_t length)
{
    struct control request = {.operation = CHANNEL_CONNECT,
                              .argument = {descriptor_blocks(socket->descriptor)},
                              .payload = address,
                              .length = length};

    if (length > sizeof(struct sockaddr_storage) || length < sizeof(sa_family_t))
        return -EINVAL;
    if (is_wild(address))
        return -EFAULT;
    if (address->sa_family == AF_UNSPEC)
        return -EOPNOTSUPP;
    /* one address, though there may be more bytes than it has */
    request.length = address_length(address->sa_family);
    if (request.length == 0 || request.length > length)
        return -EINVAL;
    return connect_with(socket, &request);
}

int call_shutdown(const struct program_socket *socket, int how)
{
    struct control request = {.operation = CHANNEL_SHUTDOWN, .argument = {how}};

    return control(socket->descriptor, &request);
}

int call_name(const struct program_socket *socket, bool peer, struct sockaddr *address,
              socklen_t *length)
{
    union channel_address name = {0};
    struct control request = {.operation = peer ? CHANNEL_GETPEERNAME : CHANNEL_GETSOCKNAME,
                              .answer = &name,
                              .answer_size = sizeof(name)};
    int result;

    if (is_wild(address) || is_wild(length))
        return -EFAULT;
    result = control(socket->descriptor, &request);
    if (result < 0)
        return result;
    give_address(&name, address, length);
    return 0;
}

/* ---- Options ---- */

#define NEWER 76 /* than Linux 6.1, which has SO_RCVMARK last */

#ifndef SO_TXREHASH
#define SO_TXREHASH 74 /* since Linux 5.18 */
#endif

/* Of SOL_SOCKET, those that mean the SCTP socket; the rest mean its descriptor. */
static bool is_stacks(int level, int name)
{
    if (level != SOL_SOCKET)
        return true;
    switch (name) {
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
    case SO_LINGER:
    case SO_REUSEADDR:
    case SO_REUSEPORT:
    case SO_ERROR:
    case SO_TYPE:
    case SO_DOMAIN:
    case SO_PROTOCOL:
    case SO_ACCEPTCONN:
    case SO_PEERCRED:
    case SO_PEERNAME:
    case SO_PRIORITY:
    case SO_BINDTOIFINDEX:
    case SO_PEERGROUPS:
    case SO_PEEK_OFF:
    case SO_BUF_LOCK:
    case SO_ATTACH_FILTER:
    case SO_ATTACH_BPF:
    case SO_ATTACH_REUSEPORT_CBPF:
    case SO_ATTACH_REUSEPORT_EBPF:
        return true;
    default:
        return name >= NEWER || name == SO_TXREHASH;
    }
}

static int connectx(const struct program_socket *socket, const void *addresses, size_t length,
                    int32_t *association)
{
    struct control request = {.operation = CHANNEL_SETSOCKOPT,
                              .argument = {IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, (int32_t)length,
                                           descriptor_blocks(socket->descriptor)},
                              .payload = addresses,
                              .length = length};
    int result;

    if (length > CHANNEL_CONTROL_MAXIMUM - sizeof(struct channel_request))
        return -EINVAL;
    result = connect_with(socket, &request);
    *association = (int32_t)request.answer_argument;
    return result;
}

/* sctp_connectx() of today's libsctp: the addresses are behind a pointer, the association comes
 * back in the value. */
static int connectx3(const struct program_socket *socket, void *value, const socklen_t *length)
{
    struct {
        int32_t association;
        int size;
        struct sockaddr *addresses;
    } call;
    int result;

    if (*length < sizeof(call))
        return -EINVAL;
    memcpy(&call, value, sizeof(call));
    if (!call.addresses || call.size <= 0)
        return -EINVAL;
    result = connectx(socket, call.addresses, (size_t)call.size, &call.association);
    if (result >= 0 || result == -EINPROGRESS)
        memcpy(value, &call.association, sizeof(call.association));
    return result < 0 ? result : 0;
}

/* The new socket's descriptor stands behind the association's identifier, and is the result. */
static int adopt_peeled_off(const struct program_socket *from, int descriptor, int name,
                            void *value, socklen_t length)
{
    int flags = 0;

    if (name == SCTP_SOCKOPT_PEELOFF_FLAGS && length >= 3 * sizeof(int))
        memcpy(&flags, (char *)value + 2 * sizeof(int), sizeof(flags));
    descriptor_inherit(from->descriptor, descriptor);
    descriptor = descriptor_adopt(descriptor, flags);
    memcpy((char *)value + sizeof(int), &descriptor, sizeof(descriptor));
    return descriptor;
}

/* How much of the buffer is a question; the rest need not be set, and valgrind would ask who did.
 * Of what is not here all is. */
static size_t question_length(int level, int name, size_t length)
{
    const size_t maximum = CHANNEL_CONTROL_MAXIMUM - sizeof(struct channel_request);

    if (level != IPPROTO_SCTP)
        return 0;
    switch (name) {
    case SCTP_INITMSG:
    case SCTP_NODELAY:
    case SCTP_AUTOCLOSE:
    case SCTP_DISABLE_FRAGMENTS:
    case SCTP_I_WANT_MAPPED_V4_ADDR:
    case SCTP_RECVRCVINFO:
    case SCTP_RECVNXTINFO:
    case SCTP_FRAGMENT_INTERLEAVE:
    case SCTP_REUSE_PORT:
    case SCTP_PARTIAL_DELIVERY_POINT:
    case SCTP_ADAPTATION_LAYER:
    case SCTP_AUTO_ASCONF:
    case SCTP_GET_ASSOC_NUMBER:
        return 0;
    case SCTP_RTOINFO:
    case SCTP_ASSOCINFO:
    case SCTP_STATUS:
    case SCTP_PRIMARY_ADDR:
    case SCTP_GET_ASSOC_STATS:
    case SCTP_GET_PEER_ADDRS:
    case SCTP_GET_LOCAL_ADDRS:
    case SCTP_PEER_AUTH_CHUNKS:
    case SCTP_LOCAL_AUTH_CHUNKS:
        return length < sizeof(sctp_assoc_t) ? length : sizeof(sctp_assoc_t);
    default:
        return length < maximum ? length : maximum;
    }
}

int call_getsockopt(const struct program_socket *socket, int level, int name, void *value,
                    socklen_t *length)
{
    struct control request = {.operation = CHANNEL_GETSOCKOPT, .argument = {level, name}};
    int result;

    if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
        return interface_bound(socket, value, length);
    if (!is_stacks(level, name))
        return -ENOSYS;
    if (is_wild(length) || (*length > 0 && is_wild(value)))
        return -EFAULT;
    if (level == IPPROTO_SCTP && name == SCTP_SOCKOPT_CONNECTX3)
        return connectx3(socket, value, length);
    request.argument[2] = (int32_t)*length;
    request.payload = value;
    request.length = question_length(level, name, *length);
    request.answer = value;
    request.answer_size = *length;
    result = control(socket->descriptor, &request);
    if (result < 0) {
        if (request.answer_descriptor >= 0)
            direct_close(request.answer_descriptor);
        return result;
    }
    *length = (socklen_t)request.answer_length;
    if (request.answer_descriptor >= 0)
        return adopt_peeled_off(socket, request.answer_descriptor, name, value, *length);
    return result;
}

int call_setsockopt(const struct program_socket *socket, int level, int name, const void *value,
                    socklen_t length)
{
    struct control request = {
        .operation = CHANNEL_SETSOCKOPT,
        .argument = {level, name, (int32_t)length, descriptor_blocks(socket->descriptor)},
        .payload = value,
        .length = length};
    int32_t association;
    int result;

    if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
        return interface_bind(socket, value, length);
    if (!is_stacks(level, name))
        return -ENOSYS;
    if (length > 0 && is_wild(value))
        return -EFAULT;
    if (length > CHANNEL_CONTROL_MAXIMUM - sizeof(struct channel_request))
        return -EINVAL;
    if (level == IPPROTO_SCTP &&
        (name == SCTP_SOCKOPT_CONNECTX || name == SCTP_SOCKOPT_CONNECTX_OLD)) {
        result = connectx(socket, value, length, &association);
        return result < 0 || name == SCTP_SOCKOPT_CONNECTX_OLD ? result : association;
    }
    result = control(socket->descriptor, &request);
    if (result >= 0 && level == SOL_SOCKET && name == SO_LINGER)
        atomic_store(&lingers, true);
    return result;
}

/* ---- The rest ---- */

static bool is_listener(uint32_t state)
{
    return state & CHANNEL_STATE_LISTENING && !(state & CHANNEL_STATE_ONE_TO_MANY);
}

int call_ioctl(const struct program_socket *socket, unsigned long name, void *value)
{
    int result;

    if (name == SIOCATMARK)
        return is_listener(socket_state(socket)) ? -ENOTCONN : -ENOTTY;
    if (interface_is_asked(name))
        return socket_state(socket) & CHANNEL_STATE_IPV6 ? -ENOTTY : interface_ask(name, value);
    if (name == TIOCOUTQ)
        result = control_queue_size(socket);
    else if (name == FIONREAD)
        result = is_listener(socket_state(socket)) ? -ENOTCONN : receive_waiting(socket);
    else
        return -ENOSYS;
    if (result < 0)
        return result;
    if (is_wild(value))
        return -EFAULT;
    memcpy(value, &result, sizeof(result));
    return 0;
}

/* What SO_LINGER asks for; the stack says 1 if there is something to wait for. */
static bool close_slowly(const struct program_socket *socket)
{
    struct channel_request head = {.version = CHANNEL_VERSION, .operation = CHANNEL_CLOSE_LINGER};
    struct channel_reply reply;
    int connection = channel_connect(stack_name());
    bool slowly;

    if (connection < 0)
        return false;
    slowly = channel_send(connection, &head, sizeof(head), NULL, 0, socket->descriptor) == 0 &&
             channel_receive(connection, &reply, sizeof(reply), NULL, 0, NULL) == sizeof(reply) &&
             reply.result == 1;
    if (slowly) {
        direct_close(socket->descriptor);
        if (channel_send(connection, &head, sizeof(head), NULL, 0, -1) == 0)
            channel_receive(connection, &reply, sizeof(reply), NULL, 0, NULL);
    }
    direct_close(connection);
    return slowly;
}

int call_close(const struct program_socket *socket)
{
    int descriptor = socket->descriptor;

    descriptor_forget(descriptor);
    if (atomic_load(&lingers) && close_slowly(socket))
        return 0;
    if (direct_close(descriptor) < 0)
        return -errno;
    descriptor_was_closed();
    return 0;
}
