/*
 * User messages on their way to the stack.
 *
 * RFC 6458, section 3.1.4 and 4.1.8 (sendmsg), section 5.3 (ancillary data). What can be judged by
 * the page is; the message then goes up the descriptor, and nobody answers. What cannot is asked:
 * CHANNEL_SEND_NOW.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "channel/ring.h"
#include "preload/direct.h"
#include "preload/private.h"

#define PARTS 64 /* iovecs of one datagram */
#define SPECIAL_FLAGS (SCTP_EOF | SCTP_ABORT | SCTP_SENDALL)

/* ---- Ancillary data ---- */

static bool take(const struct cmsghdr *ancillary, void *value, size_t size)
{
    if (ancillary->cmsg_len != CMSG_LEN(size))
        return false;
    memcpy(value, CMSG_DATA(ancillary), size);
    return true;
}

static bool read_sndrcv(const struct cmsghdr *ancillary, struct channel_header *header)
{
    struct sctp_sndrcvinfo given;

    if (!take(ancillary, &given, sizeof(given)) || given.sinfo_flags & ~CHANNEL_SEND_FLAGS)
        return false;
    header->info.stream = given.sinfo_stream;
    header->info.flags = given.sinfo_flags;
    header->info.ppid = given.sinfo_ppid;
    header->info.context = given.sinfo_context;
    header->info.association = given.sinfo_assoc_id;
    header->time_to_live = given.sinfo_timetolive;
    header->pr_policy = given.sinfo_flags & SCTP_PR_SCTP_MASK;
    header->pr_value = given.sinfo_timetolive;
    header->flags |= CHANNEL_HAS_INFO | CHANNEL_HAS_PR;
    return true;
}

static bool read_sndinfo(const struct cmsghdr *ancillary, struct channel_header *header)
{
    struct sctp_sndinfo given;

    if (!take(ancillary, &given, sizeof(given)) || given.snd_flags & ~CHANNEL_SEND_FLAGS)
        return false;
    header->info.stream = given.snd_sid;
    header->info.flags = given.snd_flags;
    header->info.ppid = given.snd_ppid;
    header->info.context = given.snd_context;
    header->info.association = given.snd_assoc_id;
    header->flags |= CHANNEL_HAS_INFO;
    return true;
}

static bool read_init(const struct cmsghdr *ancillary, struct channel_header *header)
{
    struct sctp_initmsg given;

    if (!take(ancillary, &given, sizeof(given)))
        return false;
    header->init = (struct channel_init){given.sinit_num_ostreams, given.sinit_max_instreams,
                                         given.sinit_max_attempts, given.sinit_max_init_timeo};
    header->flags |= CHANNEL_HAS_INIT;
    return true;
}

static bool read_prinfo(const struct cmsghdr *ancillary, struct channel_header *header)
{
    struct sctp_prinfo given;

    if (!take(ancillary, &given, sizeof(given)) || given.pr_policy & ~SCTP_PR_SCTP_MASK)
        return false;
    header->pr_policy = given.pr_policy;
    header->pr_value = given.pr_policy == SCTP_PR_SCTP_NONE ? 0 : given.pr_value;
    header->flags |= CHANNEL_HAS_PR;
    return true;
}

static bool read_authinfo(const struct cmsghdr *ancillary, struct channel_header *header)
{
    struct sctp_authinfo given;

    if (!take(ancillary, &given, sizeof(given)))
        return false;
    header->auth_key = given.auth_keynumber;
    header->flags |= CHANNEL_HAS_AUTH;
    return true;
}

/* Further destinations: sctp_sendv() gives them as addresses, and msg_name has the port. */
static bool read_destination(const struct cmsghdr *ancillary, struct channel_header *header,
                             union channel_address *destination)
{
    memset(destination, 0, sizeof(*destination));
    if (ancillary->cmsg_type == SCTP_DSTADDRV4) {
        destination->in.sin_family = AF_INET;
        destination->in.sin_port = header->address.in.sin_port;
        return take(ancillary, &destination->in.sin_addr, sizeof(struct in_addr));
    }
    destination->in6.sin6_family = AF_INET6;
    destination->in6.sin6_port = header->address.in6.sin6_port;
    return take(ancillary, &destination->in6.sin6_addr, sizeof(struct in6_addr));
}

#define DESTINATIONS 16

struct outgoing {
    struct channel_header header;
    union channel_address destinations[DESTINATIONS];
};

static int read_ancillary(const struct msghdr *message, struct outgoing *outgoing)
{
    struct channel_header *header = &outgoing->header;

    if (message->msg_controllen > 0 && is_wild(message->msg_control))
        return -EFAULT;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
         c = CMSG_NXTHDR((struct msghdr *)message, c)) {
        bool good;

        if (c->cmsg_len < sizeof(*c) ||
            c->cmsg_len > message->msg_controllen -
                              (size_t)((const char *)c - (const char *)message->msg_control))
            return -EINVAL;
        if (c->cmsg_level != IPPROTO_SCTP)
            continue;
        switch (c->cmsg_type) {
        case SCTP_INIT:
            good = read_init(c, header);
            break;
        case SCTP_SNDRCV:
            good = read_sndrcv(c, header);
            break;
        case SCTP_SNDINFO:
            good = read_sndinfo(c, header);
            break;
        case SCTP_PRINFO:
            good = read_prinfo(c, header);
            break;
        case SCTP_AUTHINFO:
            good = read_authinfo(c, header);
            break;
        case SCTP_DSTADDRV4:
        case SCTP_DSTADDRV6:
            if (header->address_count == DESTINATIONS)
                return -EINVAL;
            good = read_destination(c, header, &outgoing->destinations[header->address_count++]);
            break;
        default:
            good = false;
        }
        if (!good)
            return -EINVAL;
    }
    return 0;
}

static int read_name(const struct msghdr *message, struct channel_header *header)
{
    const struct sockaddr *name = message->msg_name;
    socklen_t length;

    if (!name || message->msg_namelen == 0)
        return 0;
    if (is_wild(name))
        return -EFAULT;
    if (message->msg_namelen < sizeof(sa_family_t))
        return -EINVAL;
    length = address_length(name->sa_family);
    if (length == 0 || message->msg_namelen < length)
        return -EINVAL;
    memcpy(&header->address, name, length);
    header->flags |= CHANNEL_HAS_ADDRESS;
    return 0;
}

/* ---- May it be sent, and how? ---- */

enum way { UP_THE_DESCRIPTOR, ASK };

/* The stack has ended the socket, or died: what does the program hear? */
static int ended(const struct program_socket *socket)
{
    int error = control_take_error(socket);

    return error < 0 ? error : -EPIPE;
}

static bool is_one_to_one(uint32_t state)
{
    return !(state & (CHANNEL_STATE_ONE_TO_MANY | CHANNEL_STATE_PEELED_OFF));
}

static int check_length(const struct program_socket *socket, size_t length)
{
    uint32_t state = socket_state(socket);
    uint32_t maximum =
        atomic_load_explicit(&socket->published->message_maximum, memory_order_relaxed);

    if (is_one_to_one(state) && state & CHANNEL_STATE_LISTENING)
        return -EPIPE;
    return maximum > 0 && length > maximum ? -EMSGSIZE : 0;
}

static uint16_t flags_of(const struct channel_header *header)
{
    return header->flags & CHANNEL_HAS_INFO ? header->info.flags : 0;
}

/* What fits together, whatever the socket's state: as Linux, before anything of the peer is
 * looked at. */
static int check_flags(const struct program_socket *socket, const struct channel_header *header,
                       size_t length, bool has_name)
{
    uint16_t flags = flags_of(header);
    bool ends = flags & (SCTP_EOF | SCTP_ABORT);

    if (length == 0 && !ends)
        return -EINVAL;
    if (ends && is_one_to_one(socket_state(socket)))
        return -EINVAL;
    if (flags & SCTP_EOF && length > 0)
        return -EINVAL;
    return flags & SCTP_ADDR_OVER && !has_name ? -EINVAL : 0;
}

static int judge(const struct program_socket *socket, const struct channel_header *header,
                 size_t length, enum way *way)
{
    uint32_t state = socket_state(socket);
    bool many = state & CHANNEL_STATE_ONE_TO_MANY && !(state & CHANNEL_STATE_PEELED_OFF);
    bool special = flags_of(header) & SPECIAL_FLAGS;
    uint32_t streams =
        atomic_load_explicit(&socket->published->outbound_streams, memory_order_relaxed);
    uint16_t stream = header->flags & CHANNEL_HAS_INFO ? header->info.stream : 0;

    *way = UP_THE_DESCRIPTOR;
    if (is_one_to_one(state) && header->flags & CHANNEL_HAS_ADDRESS) {
        *way = ASK; /* is it the peer's? */
        return 0;
    }
    if (state & CHANNEL_STATE_SHUT_WRITE && state & CHANNEL_STATE_CONNECTED) {
        control_settle(); /* perhaps it has ended meanwhile, which is another error */
        state = socket_state(socket);
    }
    if (state & CHANNEL_STATE_SHUT_WRITE)
        return state & CHANNEL_STATE_CONNECTED ? -ESHUTDOWN : -EPIPE;
    if (state & CHANNEL_STATE_ENDED)
        return ended(socket);
    if (!many && !(state & (CHANNEL_STATE_CONNECTED | CHANNEL_STATE_CONNECTING)))
        return ended(socket);
    if (many) {
        const struct channel_association *association =
            header->flags & CHANNEL_HAS_INFO
                ? published_association(socket, header->info.association)
                : NULL;

        if (!association || header->flags & CHANNEL_HAS_ADDRESS) {
            *way = ASK;
            return 0;
        }
        if (atomic_load(&association->state) & CHANNEL_STATE_SHUT_WRITE)
            *way = ASK; /* is it still there? */
        streams = atomic_load(&association->outbound_streams);
    } else if (!(state & CHANNEL_STATE_CONNECTED)) {
        *way = ASK;
    }
    if (special || header->flags & CHANNEL_HAS_INIT || header->address_count > 0)
        *way = ASK;
    /* Only the stack knows the keys; what is too long for a question goes without an answer. */
    if (header->flags & CHANNEL_HAS_AUTH && length < CHANNEL_PIECE_MAXIMUM / 2)
        *way = ASK;
    /* Who knows no ring asks, which does not go ahead of what others have put into it. */
    if (state & CHANNEL_STATE_RING && !busy_is_open())
        *way = ASK;
    if (*way == UP_THE_DESCRIPTOR && streams > 0 && stream >= streams)
        return -EINVAL;
    return 0;
}

/* ---- Sending ---- */

/* What of a message was put into datagrams already. */
struct cursor {
    const struct iovec *part;
    size_t parts;
    size_t offset; /* in the first of them */
};

/* Lists at most `most` bytes, and moves on. Returns how many bytes that are. */
static size_t cursor_take(struct cursor *cursor, struct iovec *list, size_t *count, size_t most)
{
    size_t taken = 0;

    *count = 0;
    while (cursor->parts > 0 && *count < PARTS && taken < most) {
        size_t left = cursor->part->iov_len - cursor->offset;
        size_t piece = left < most - taken ? left : most - taken;

        if (piece > 0)
            list[(*count)++] =
                (struct iovec){(char *)cursor->part->iov_base + cursor->offset, piece};
        taken += piece;
        cursor->offset += piece;
        if (cursor->offset == cursor->part->iov_len) {
            cursor->part++;
            cursor->parts--;
            cursor->offset = 0;
        }
    }
    return taken;
}

/* The rest of a begun message has to follow, even if the program would not wait. */
static int send_datagram(int descriptor, struct msghdr *datagram, int flags, bool begun)
{
    sa_family_t nowhere = AF_INET6;

    /* so that it goes nowhere if the socket is not ours (descriptor.c) */
    datagram->msg_name = &nowhere;
    datagram->msg_namelen = sizeof(nowhere);
    flags |= MSG_FASTOPEN | MSG_NOSIGNAL;
    for (;;) {
        if ((begun ? direct_sendmsg : direct_sendmsg_waiting)(descriptor, datagram, flags) >= 0)
            return 0;
        if (!begun || (errno != EAGAIN && errno != EINTR))
            return -errno;
        direct_wait(descriptor, POLLOUT, -1);
    }
}

static int send_up(const struct program_socket *socket, struct outgoing *outgoing,
                   struct cursor *cursor, size_t length, int flags)
{
    bool begun = false;

    do {
        struct iovec parts[PARTS + 1];
        struct msghdr datagram = {.msg_iov = parts};
        size_t count;
        int error;

        parts[0] = (struct iovec){&outgoing->header, sizeof(outgoing->header)};
        length -= cursor_take(cursor, parts + 1, &count, CHANNEL_PIECE_MAXIMUM);
        datagram.msg_iovlen = count + 1;
        if (length > 0)
            outgoing->header.flags |= CHANNEL_MORE;
        else
            outgoing->header.flags &= ~(uint32_t)CHANNEL_MORE;
        error = send_datagram(socket->descriptor, &datagram, flags & MSG_DONTWAIT, begun);
        if (error < 0)
            return error;
        begun = true;
    } while (length > 0);
    return 0;
}

/* A datagram that says nothing. If there is no room for it, another will wake the stack. */
static void wake(const struct program_socket *socket)
{
    struct channel_header header = {.type = CHANNEL_PLUG};
    struct iovec part = {&header, sizeof(header)};
    struct msghdr datagram = {.msg_iov = &part, .msg_iovlen = 1};

    (void)send_datagram(socket->descriptor, &datagram, MSG_DONTWAIT, false);
}

/* A small message of a busy socket (ring.h). False: it goes another way, and if that is by the
 * descriptor, the header says what goes before it. */
static bool send_by_ring(const struct program_socket *socket, struct outgoing *outgoing,
                         const struct msghdr *message, size_t length, enum way *way)
{
    struct channel_ring *ring;
    enum busy found = busy_take(socket, &ring);
    bool done;

    if (busy_is_open())
        outgoing->header.flags |= CHANNEL_KNOWS_RING;
    if (found == BUSY_CHANGING)
        *way = ASK; /* other processes may have put something into it */
    if (found != BUSY_RING)
        return false;
    done = length <= CHANNEL_RING_MESSAGE_MAXIMUM && busy_may_read(message) &&
           ring_put(ring, &outgoing->header, message->msg_iov, message->msg_iovlen, length);
    outgoing->header.ring_position = ring_position(ring);
    if (done && ring_is_asleep(ring))
        wake(socket);
    busy_release(socket);
    return done;
}

static size_t pack_destinations(const struct outgoing *outgoing, uint8_t *bytes)
{
    size_t length = 0;

    for (uint16_t i = 0; i < outgoing->header.address_count; i++) {
        const union channel_address *destination = &outgoing->destinations[i];
        size_t size = destination->any.sa_family == AF_INET ? sizeof(destination->in)
                                                            : sizeof(destination->in6);

        memcpy(bytes + length, destination, size);
        length += size;
    }
    return length;
}

/* The kernel copies: it says EFAULT where a copy of ours would end the program. */
static int gather(uint8_t *bytes, size_t length, const struct iovec *parts, size_t count)
{
    struct iovec whole = {bytes, length};
    long copied = direct_call(SYS_process_vm_readv, (long)getpid(), &whole, 1L, parts, count, 0L);

    if (copied == (long)length)
        return 0;
    if (copied >= 0 || errno == EFAULT)
        return -EFAULT;
    for (size_t i = 0; i < count; i++) { /* it may not, in some containers */
        memcpy(bytes, parts[i].iov_base, parts[i].iov_len);
        bytes += parts[i].iov_len;
    }
    return 0;
}

/* A question holds one message of at most CHANNEL_PIECE_MAXIMUM bytes, in one place. */
static int send_now(const struct program_socket *socket, struct outgoing *outgoing,
                    struct cursor *cursor, size_t length, bool wait)
{
    uint8_t bytes[sizeof(struct channel_header) + CHANNEL_PIECE_MAXIMUM];
    struct control request = {
        .operation = CHANNEL_SEND_NOW, .argument = {wait}, .payload = bytes, .interruptible = true};
    struct timeval patience = {0};
    socklen_t size = sizeof(patience);
    size_t at = sizeof(struct channel_header);

    direct_getsockopt(socket->descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, &size);
    request.patience = &patience;
    memcpy(bytes, &outgoing->header, sizeof(outgoing->header));
    at += pack_destinations(outgoing, bytes + at);
    for (size_t count; length > 0;) {
        struct iovec part[PARTS];
        size_t taken = cursor_take(cursor, part, &count, length);
        int error = gather(bytes + at, taken, part, count);

        if (error < 0)
            return error;
        at += taken;
        length -= taken;
    }
    request.length = at;
    return control(socket->descriptor, &request);
}

static bool fragments_are_disabled(const struct program_socket *socket)
{
    int disabled = 0;
    socklen_t size = sizeof(disabled);

    return call_getsockopt(socket, IPPROTO_SCTP, SCTP_DISABLE_FRAGMENTS, &disabled, &size) == 0 &&
           disabled;
}

/* What is too long for a question goes up the descriptor, without an answer. What there is to say
 * against it is asked before: against the peer, as connect() asks it, and against fragments. */
static int send_long(const struct program_socket *socket, struct outgoing *outgoing,
                     struct cursor *cursor, size_t length, int flags)
{
    const union channel_address *peer = &outgoing->header.address;
    struct control request = {.operation = CHANNEL_CONNECT,
                              .payload = peer,
                              .length = peer->any.sa_family == AF_INET ? sizeof(peer->in)
                                                                       : sizeof(peer->in6)};
    uint32_t state = socket_state(socket);

    if (flags_of(&outgoing->header) & SCTP_ABORT)
        return -EMSGSIZE;
    if (outgoing->header.flags & CHANNEL_HAS_ADDRESS) {
        int error = control(socket->descriptor, &request);

        if (error < 0 && error != -EINPROGRESS && error != -EALREADY && error != -EISCONN)
            return error;
    } else if (state & CHANNEL_STATE_ONE_TO_MANY && !(state & CHANNEL_STATE_PEELED_OFF) &&
               !(flags_of(&outgoing->header) & SCTP_SENDALL) &&
               !published_association(socket, outgoing->header.info.association)) {
        return -EPIPE;
    }
    if (fragments_are_disabled(socket))
        return -EMSGSIZE;
    return send_up(socket, outgoing, cursor, length, flags);
}

static bool is_too_long(const struct outgoing *outgoing, size_t length)
{
    return length + sizeof(outgoing->destinations) > CHANNEL_PIECE_MAXIMUM;
}

static int total_length(const struct msghdr *message, size_t *length)
{
    *length = 0;
    if (message->msg_iovlen > 0 && is_wild(message->msg_iov))
        return -EFAULT;
    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        if (message->msg_iov[i].iov_len > INT_MAX - *length)
            return -EMSGSIZE;
        *length += message->msg_iov[i].iov_len;
    }
    return 0;
}

/* Linux counts the bytes that go out as messages: those of an ABORT do not, and those to all of no
 * association do not go out. */
static bool nothing_is_sent(const struct program_socket *socket,
                            const struct channel_header *header)
{
    uint16_t flags = flags_of(header);

    if (flags & (SCTP_EOF | SCTP_ABORT))
        return true;
    return flags & SCTP_SENDALL && socket_state(socket) & CHANNEL_STATE_ONE_TO_MANY &&
           !(socket_state(socket) & CHANNEL_STATE_CONNECTED);
}

static ssize_t send_judged(const struct program_socket *socket, const struct msghdr *message,
                           int flags)
{
    struct cursor cursor = {message->msg_iov, message->msg_iovlen, 0};
    struct outgoing outgoing;
    size_t length;
    enum way way = UP_THE_DESCRIPTOR;
    int error, bad_name = 0;

    memset(&outgoing.header, 0, sizeof(outgoing.header));
    outgoing.header.type = CHANNEL_SEND;
    if (flags & MSG_MORE)
        outgoing.header.flags |= CHANNEL_HOLD;
    error = total_length(message, &length);
    if (error == 0 && !(socket_state(socket) & CHANNEL_STATE_PEELED_OFF))
        bad_name = read_name(message, &outgoing.header);
    if (bad_name == -EFAULT)
        return bad_name;
    if (error == 0 && length > CHANNEL_PIECE_MAXIMUM)
        outgoing.header.sender = (uint64_t)(uint32_t)getpid() << 32 | (uint32_t)gettid();
    if (error == 0)
        error = check_length(socket, length);
    if (error == 0)
        error = read_ancillary(message, &outgoing);
    if (error == 0)
        error = check_flags(socket, &outgoing.header, length, message->msg_namelen > 0);
    if (error == 0)
        error = bad_name;
    if (error == 0)
        error = judge(socket, &outgoing.header, length, &way);
    if (error < 0)
        return error;
    if (way == UP_THE_DESCRIPTOR && send_by_ring(socket, &outgoing, message, length, &way))
        return (ssize_t)length;
    if (way == UP_THE_DESCRIPTOR)
        error = send_up(socket, &outgoing, &cursor, length, flags);
    else if (is_too_long(&outgoing, length))
        error = send_long(socket, &outgoing, &cursor, length, flags);
    else
        error = send_now(socket, &outgoing, &cursor, length, may_wait(socket, flags));
    if (error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN || error == -ECONNREFUSED)
        return way == ASK && error != -ECONNREFUSED ? error : ended(socket);
    if (error < 0)
        return error;
    if (length <= CHANNEL_RING_MESSAGE_MAXIMUM && way == UP_THE_DESCRIPTOR)
        busy_was_read(message);
    return nothing_is_sent(socket, &outgoing.header) ? 0 : (ssize_t)length;
}

ssize_t send_message(const struct program_socket *socket, const struct msghdr *message, int flags)
{
    int saved = errno; /* who succeeds leaves it as it was */
    struct program_socket other;
    ssize_t result;

    pthread_testcancel(); /* what goes into a ring does not wait */
    result = is_wild(message) ? -EFAULT : send_judged(socket, message, flags);
    if (result < 0 && socket->believed && descriptor_is_other(socket, &other, &result))
        result = send_judged(&other, message, flags);
    if (result == -EPIPE && !(flags & MSG_NOSIGNAL))
        raise(SIGPIPE);
    if (result >= 0)
        errno = saved;
    return result;
}
