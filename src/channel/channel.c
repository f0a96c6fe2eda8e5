/* The channel between program and stack: names, and datagrams of two parts with a descriptor.
 *
 * Used by both ends (RFC 6458 is above it, nothing of SCTP is in it). No state, no allocation: the
 * preloaded library may call this wherever a program may call send().
 */
#include "channel/channel.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Fills `address` with the abstract name of `length` bytes in `name`. */
static socklen_t channel_name_fill(struct sockaddr_un *address, const char *name, size_t length)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name, length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static bool channel_name_is_valid(const char *name)
{
    size_t length = strnlen(name, CHANNEL_NAME_MAXIMUM + 1);

    return length > 0 && length <= CHANNEL_NAME_MAXIMUM && !strchr(name, '/');
}

int channel_rendezvous(const char *name, struct sockaddr_un *address, socklen_t *length)
{
    char text[sizeof(address->sun_path)];
    int written;

    if (!channel_name_is_valid(name))
        return -ENAMETOOLONG;
    written = snprintf(text, sizeof(text), "%s%s", CHANNEL_NAME_PREFIX, name);
    *length = channel_name_fill(address, text, (size_t)written);
    return 0;
}

int channel_socket_name(const char *name, uint32_t slot, uint32_t generation,
                        struct sockaddr_un *address, socklen_t *length)
{
    char text[sizeof(address->sun_path)];
    int written;

    if (!channel_name_is_valid(name))
        return -ENAMETOOLONG;
    written =
        snprintf(text, sizeof(text), "%s%s/%x.%x", CHANNEL_NAME_PREFIX, name, slot, generation);
    *length = channel_name_fill(address, text, (size_t)written);
    return 0;
}

/* Reads a number in lower-case hexadecimal, at most 32 bits, no sign, no leading zeros beyond the
 * one of zero itself: one number has one name. */
static bool channel_parse_number(const char **position, const char *end, uint32_t *number)
{
    const char *begin = *position;
    uint32_t value = 0;

    for (; *position < end && *position - begin < 8; (*position)++) {
        char c = **position;

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint32_t)(c - 'a' + 10);
        else
            break;
    }
    *number = value;
    return *position > begin && (*begin != '0' || *position == begin + 1);
}

bool channel_name_parse(const struct sockaddr_un *address, socklen_t length, const char *name,
                        uint32_t *slot, uint32_t *generation)
{
    size_t offset = offsetof(struct sockaddr_un, sun_path) + 1;
    size_t prefix = strlen(CHANNEL_NAME_PREFIX);
    size_t name_length = strnlen(name, CHANNEL_NAME_MAXIMUM + 1);
    const char *position = address->sun_path + 1;
    const char *end;

    if (length > sizeof(*address) || length < offset + prefix + name_length + 1 ||
        address->sun_family != AF_UNIX || address->sun_path[0] != 0)
        return false;
    end = (const char *)address + length;
    if (memcmp(position, CHANNEL_NAME_PREFIX, prefix) != 0 ||
        memcmp(position + prefix, name, name_length) != 0)
        return false;
    position += prefix + name_length;
    if (*position++ != '/' || !channel_parse_number(&position, end, slot))
        return false;
    if (position == end || *position++ != '.' || !channel_parse_number(&position, end, generation))
        return false;
    return position == end;
}

int channel_connect_to_any(const char *name, uid_t *owner)
{
    struct sockaddr_un address;
    struct ucred credentials;
    socklen_t length, size = sizeof(credentials);
    int connection;
    int error = channel_rendezvous(name, &address, &length);

    if (error < 0)
        return error;
    connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -errno;
    if (connect(connection, (struct sockaddr *)&address, length) < 0 ||
        getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
        error = -errno;
        close(connection);
        return error;
    }
    *owner = credentials.uid; /* when it began to listen */
    return connection;
}

int channel_connect(const char *name)
{
    uid_t owner = (uid_t)-1;
    int connection = channel_connect_to_any(name, &owner);

    if (connection < 0 || owner == 0 || owner == geteuid() || owner == getuid())
        return connection;
    close(connection);
    return -EACCES;
}

/* Room for descriptors as ancillary data, aligned as it must be. */
union channel_right {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};
union channel_rights {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(CHANNEL_RIGHTS_MAXIMUM * sizeof(int))];
};

int channel_send(int connection, const void *head, size_t head_length, const void *body,
                 size_t body_length, int descriptor)
{
    struct iovec parts[2] = {
        {.iov_base = (void *)head, .iov_len = head_length},
        {.iov_base = (void *)body, .iov_len = body_length},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body_length > 0 ? 2 : 1};
    union channel_right rights;
    ssize_t sent;

    if (descriptor >= 0) {
        memset(&rights, 0, sizeof(rights));
        rights.header.cmsg_level = SOL_SOCKET;
        rights.header.cmsg_type = SCM_RIGHTS;
        rights.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&rights.header), &descriptor, sizeof(int));
        message.msg_control = &rights;
        message.msg_controllen = sizeof(rights);
    }
    do
        sent = sendmsg(connection, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

void channel_discard(int descriptor)
{
    const struct linger none = {0};

    (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(descriptor);
}

int channel_take_descriptor(struct msghdr *message)
{
    int descriptor = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int each;

            memcpy(&each, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (descriptor < 0)
                descriptor = each;
            else
                channel_discard(each);
        }
    }
    return descriptor;
}

ssize_t channel_receive(int connection, void *head, size_t head_length, void *body,
                        size_t body_length, int *descriptor)
{
    struct iovec parts[2] = {
        {.iov_base = head, .iov_len = head_length},
        {.iov_base = body, .iov_len = body_length},
    };
    union channel_rights rights;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body_length > 0 ? 2 : 1};
    ssize_t received;

    if (descriptor) {
        *descriptor = -1;
        message.msg_control = &rights;
        message.msg_controllen = sizeof(rights);
    }
    do
        received = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    if (descriptor)
        *descriptor = channel_take_descriptor(&message);
    if (message.msg_flags & MSG_TRUNC) {
        if (descriptor && *descriptor >= 0) {
            channel_discard(*descriptor);
            *descriptor = -1;
        }
        return -EMSGSIZE;
    }
    return received;
}

int channel_ask(int connection, uint32_t operation, struct channel_reply *reply, int *descriptor)
{
    struct channel_request request = {.version = CHANNEL_VERSION, .operation = operation};
    int error = connection;

    *descriptor = -1;
    if (error >= 0)
        error = channel_send(connection, &request, sizeof(request), NULL, 0, -1);
    if (error == 0 || error == -EPIPE) { /* who is refused may be told before he has asked */
        ssize_t received = channel_receive(connection, reply, sizeof(*reply), NULL, 0, descriptor);

        error = received == sizeof(*reply) ? reply->result : -EPROTO;
    }
    return error;
}

void channel_drain(int connection)
{
    static const int on = 1;
    union channel_rights rights;
    struct msghdr message;
    ssize_t received;

    /* from now on nothing is added, and what stands there comes with its sender's credentials: so
     * an empty datagram is told from the end */
    (void)setsockopt(connection, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    (void)shutdown(connection, SHUT_RD);
    do {
        int descriptor;

        message = (struct msghdr){.msg_control = &rights, .msg_controllen = sizeof(rights)};
        received = recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        descriptor = received < 0 ? -1 : channel_take_descriptor(&message);
        if (descriptor >= 0)
            channel_discard(descriptor);
    } while (received >= 0 && message.msg_controllen > 0);
}
