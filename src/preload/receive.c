/*
 * User messages and notifications on their way to the program.
 *
 * RFC 6458, section 3.1.4 (recvmsg), section 5.3 (ancillary data), section 6.1 (notifications).
 *
 * A datagram of the stack is a header and the message. If the program's buffers hold it, it is read
 * into them at once; buffers that do not hold every datagram are used after a look at its size.
 * What does not fit is read in parts: by MSG_PEEK, and the descriptor's SO_PEEK_OFF keeps how far;
 * with the last part the datagram is taken away.
 */
#include <time.h>

#include "preload/direct.h"
#include "preload/private.h"

#define PARTS 1024             /* iovecs of one call: UIO_MAXIOV */
#define OURS_ONLY MSG_ERRQUEUE /* others leave what they received where it is (descriptor.c) */

/* ---- What goes to the program beside the bytes ---- */

static void add_ancillary(struct msghdr *message, size_t *used, int type, const void *value,
                          size_t size)
{
    struct cmsghdr header = {
        .cmsg_level = IPPROTO_SCTP, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)};
    size_t room = message->msg_control && message->msg_controllen > *used
                      ? message->msg_controllen - *used
                      : 0;
    char *place = (char *)message->msg_control + *used;

    if (room < sizeof(header)) {
        message->msg_flags |= MSG_CTRUNC;
        return;
    }
    if (room < header.cmsg_len) {
        message->msg_flags |= MSG_CTRUNC;
        header.cmsg_len = room;
    }
    memcpy(place, &header, sizeof(header));
    memcpy(place + CMSG_LEN(0), value, header.cmsg_len - CMSG_LEN(0));
    *used += room < CMSG_SPACE(size) ? room : CMSG_SPACE(size);
}

static void add_nxtinfo(struct msghdr *message, size_t *used, const struct channel_info *next)
{
    struct sctp_nxtinfo info = {
        .nxt_sid = next->stream,
        .nxt_flags = next->flags,
        .nxt_ppid = next->ppid,
        .nxt_length = next->length,
        .nxt_assoc_id = next->association,
    };

    add_ancillary(message, used, SCTP_NXTINFO, &info, sizeof(info));
}

static void add_rcvinfo(struct msghdr *message, size_t *used, const struct channel_info *info)
{
    struct sctp_rcvinfo received = {
        .rcv_sid = info->stream,
        .rcv_ssn = info->ssn,
        .rcv_flags = info->flags,
        .rcv_ppid = info->ppid,
        .rcv_tsn = info->tsn,
        .rcv_cumtsn = info->cumulative_tsn,
        .rcv_context = info->context,
        .rcv_assoc_id = info->association,
    };

    add_ancillary(message, used, SCTP_RCVINFO, &received, sizeof(received));
}

static void add_sndrcv(struct msghdr *message, size_t *used, const struct channel_info *info)
{
    struct sctp_sndrcvinfo received = {
        .sinfo_stream = info->stream,
        .sinfo_ssn = info->ssn,
        .sinfo_flags = info->flags,
        .sinfo_ppid = info->ppid,
        .sinfo_context = info->context,
        .sinfo_tsn = info->tsn,
        .sinfo_cumtsn = info->cumulative_tsn,
        .sinfo_assoc_id = info->association,
    };

    add_ancillary(message, used, SCTP_SNDRCV, &received, sizeof(received));
}

static void describe(const struct program_socket *socket, const struct channel_header *header,
                     struct msghdr *message, bool whole)
{
    uint32_t wanted =
        atomic_load_explicit(&socket->published->receive_options, memory_order_relaxed);
    bool notification = header->flags & CHANNEL_NOTIFICATION;
    size_t used = 0;

    message->msg_flags = (header->flags & CHANNEL_END_OF_RECORD && whole ? MSG_EOR : 0) |
                         (notification ? MSG_NOTIFICATION : 0);
    if (message->msg_name)
        give_address(&header->address, message->msg_name, &message->msg_namelen);
    if (wanted & CHANNEL_RECEIVE_NXTINFO && header->flags & CHANNEL_HAS_NEXT)
        add_nxtinfo(message, &used, &header->next);
    if (wanted & CHANNEL_RECEIVE_RCVINFO && !notification)
        add_rcvinfo(message, &used, &header->info);
    if (wanted & CHANNEL_RECEIVE_SNDRCV && !notification)
        add_sndrcv(message, &used, &header->info);
    message->msg_controllen = used;
}

/* ---- The end, and what is not there ---- */

static ssize_t at_end(const struct program_socket *socket, struct msghdr *message, int flags)
{
    uint32_t state = socket_state(socket);
    int error;

    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
    /* as on Linux: an error, once, and then the end */
    if (state & CHANNEL_STATE_SHUT_READ && !(state & CHANNEL_STATE_ERROR))
        return 0;
    error = control_take_error(socket);
    if (error < 0 || state & CHANNEL_STATE_SHUT_READ)
        return error;
    if (!(state & CHANNEL_STATE_ENDED))
        return -ECONNRESET;
    if (state & CHANNEL_STATE_PEELED_OFF)
        return may_wait(socket, flags) ? -ENOTCONN : -EAGAIN;
    /* Linux answers a reader who has shut the association down itself, and may not wait, EAGAIN for
     * ever. Here poll() tells him of the end, so he finds it. */
    return state & CHANNEL_STATE_SHUT_WRITE && !may_wait(socket, flags) ? 0 : -ENOTCONN;
}

/* There never was, or is no longer, an association that something could come from. */
static bool can_hope(uint32_t state)
{
    if (state & CHANNEL_STATE_ONE_TO_MANY)
        return state & (CHANNEL_STATE_CONNECTED | CHANNEL_STATE_LISTENING);
    if (state & CHANNEL_STATE_PEELED_OFF)
        return state & (CHANNEL_STATE_CONNECTED | CHANNEL_STATE_SHUT_READ);
    return state & (CHANNEL_STATE_CONNECTED | CHANNEL_STATE_CONNECTING | CHANNEL_STATE_SHUT_READ |
                    CHANNEL_STATE_ENDED);
}

static ssize_t no_hope(const struct program_socket *socket, int flags)
{
    int error = socket_state(socket) & CHANNEL_STATE_ERROR ? control_take_error(socket) : 0;

    if (error < 0)
        return error;
    return may_wait(socket, flags) ? -ENOTCONN : -EAGAIN;
}

/* ---- Reading ---- */

static size_t room_of(const struct msghdr *message)
{
    size_t room = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++)
        room += message->msg_iov[i].iov_len;
    return room;
}

/* One datagram, header in front, at the offset where the descriptor stands. */
static ssize_t read_datagram(int descriptor, struct channel_header *header,
                             const struct msghdr *message, int flags)
{
    struct iovec parts[PARTS + 1];
    struct msghdr datagram = {.msg_iov = parts, .msg_iovlen = message->msg_iovlen + 1};
    ssize_t received;

    parts[0] = (struct iovec){header, sizeof(*header)};
    memcpy(parts + 1, message->msg_iov, message->msg_iovlen * sizeof(parts[0]));
    received = direct_recvmsg_waiting(descriptor, &datagram, flags | OURS_ONLY);
    if (received > 0 && received < (ssize_t)sizeof(*header))
        return -EBADMSG; /* not the stack's */
    return received < 0 ? -errno : received;
}

static int peek_offset(int descriptor)
{
    int offset = -1;
    socklen_t length = sizeof(offset);

    direct_getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, &length);
    return offset;
}

static void set_peek_offset(int descriptor, int offset)
{
    direct_setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
}

/* The header of the next datagram, with its whole length. The offset must be at none. */
static ssize_t peek_header(int descriptor, struct channel_header *header, int flags)
{
    struct iovec part = {header, sizeof(*header)};
    struct msghdr datagram = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t whole;

    whole = direct_recvmsg_waiting(descriptor, &datagram, flags | MSG_PEEK | MSG_TRUNC | OURS_ONLY);
    return whole < 0 ? -errno : whole;
}

void receive_discard(int descriptor)
{
    char byte;
    struct iovec part = {&byte, sizeof(byte)};
    struct msghdr datagram = {.msg_iov = &part, .msg_iovlen = 1};

    set_peek_offset(descriptor, -1);
    direct_recvmsg(descriptor, &datagram, MSG_DONTWAIT);
}

/* SCTP_NXTINFO (RFC 6458, 5.3.6): what follows may have come after what is read went down. What is
 * only looked at stays the next itself, as on Linux. */
static void look_at_next(const struct program_socket *socket, struct channel_header *header,
                         bool peeked)
{
    uint32_t wanted =
        atomic_load_explicit(&socket->published->receive_options, memory_order_relaxed);
    struct channel_header next;
    ssize_t whole;

    if (!(wanted & CHANNEL_RECEIVE_NXTINFO) || (header->flags & CHANNEL_HAS_NEXT && !peeked))
        return;
    whole = peek_header(socket->descriptor, &next, MSG_DONTWAIT);
    if (whole < (ssize_t)sizeof(next) || next.type == CHANNEL_WAKE)
        return;
    header->flags |= CHANNEL_HAS_NEXT;
    header->next = next.info;
    header->next.length = (uint32_t)((size_t)whole - sizeof(next));
    if (next.flags & CHANNEL_NOTIFICATION)
        header->next.flags |= SCTP_NOTIFICATION;
}

static ssize_t read_part(const struct program_socket *socket, struct msghdr *message, int flags,
                         bool *more)
{
    int descriptor = socket->descriptor;
    struct channel_header header;
    struct msghdr part = {.msg_iov = message->msg_iov, .msg_iovlen = message->msg_iovlen};
    int offset = descriptor_is_partial(socket) ? peek_offset(descriptor) : -1;
    size_t before = offset > (int)sizeof(header) ? (size_t)offset : sizeof(header);
    ssize_t whole, received;
    bool last;

    if (offset > 0)
        set_peek_offset(descriptor, -1);
    whole = peek_header(descriptor, &header, flags & MSG_DONTWAIT);
    if (whole <= 0) {
        if (offset > 0)
            set_peek_offset(descriptor, offset);
        return whole == 0 || whole == -ECONNRESET ? at_end(socket, message, flags) : whole;
    }
    if ((size_t)whole < before)
        before = sizeof(header);
    set_peek_offset(descriptor, (int)before);
    /* at the very end of the datagram the kernel would go on to the next */
    received =
        before == (size_t)whole ? 0 : direct_recvmsg(descriptor, &part, MSG_PEEK | MSG_DONTWAIT);
    if (received < 0)
        return -errno;
    last = before + (size_t)received == (size_t)whole;
    if (flags & MSG_PEEK) {
        set_peek_offset(descriptor, -1);
        look_at_next(socket, &header, true);
        set_peek_offset(descriptor, offset);
    } else if (last) {
        receive_discard(descriptor);
        look_at_next(socket, &header, false);
    }
    *more = last && header.flags & CHANNEL_MORE;
    describe(socket, &header, message, last);
    descriptor_set_partial(socket, flags & MSG_PEEK ? offset > 0 : !last);
    return received;
}

/* The next datagram, or as much of it as there is room for; `*more`: another belongs to it. EAGAIN
 * if all is different now, too (CHANNEL_WAKE). */
static ssize_t read_piece(const struct program_socket *socket, struct msghdr *message, int flags,
                          bool wait, bool *more)
{
    int own = (flags & (MSG_DONTWAIT | MSG_PEEK)) | (wait ? 0 : MSG_DONTWAIT);
    struct channel_header header;
    size_t room = room_of(message);
    ssize_t received;

    if (descriptor_is_partial(socket))
        return read_part(socket, message, own, more);
    if (room < CHANNEL_PIECE_MAXIMUM) {
        received = peek_header(socket->descriptor, &header, own & MSG_DONTWAIT);
        if (received > (ssize_t)(room + sizeof(header)))
            return read_part(socket, message, own, more);
        if (received == -EAGAIN || received == -EINTR)
            return received;
    }
    received = read_datagram(socket->descriptor, &header, message, own);
    if (received == 0 || received == -ECONNRESET)
        return at_end(socket, message, flags);
    if (received < 0)
        return received;
    if (header.generation != socket->generation)
        descriptor_forget(socket->descriptor); /* another of ours has its number */
    if (header.type == CHANNEL_ACCEPT)
        return -ENOTCONN; /* of a socket that listened */
    if (header.type == CHANNEL_WAKE) {
        if (flags & MSG_PEEK)
            receive_discard(socket->descriptor);
        return -EAGAIN;
    }
    *more = header.flags & CHANNEL_MORE;
    look_at_next(socket, &header, flags & MSG_PEEK);
    describe(socket, &header, message, true);
    return received - (ssize_t)sizeof(header);
}

/* Where the bytes go after the first `length`, which is less than there is room for. */
static size_t parts_after(const struct msghdr *message, size_t length, struct iovec *parts)
{
    size_t count = 0;

    for (size_t i = 0; i < message->msg_iovlen; i++) {
        struct iovec part = message->msg_iov[i];
        size_t used = length < part.iov_len ? length : part.iov_len;

        length -= used;
        part.iov_base = (char *)part.iov_base + used;
        part.iov_len -= used;
        if (part.iov_len > 0)
            parts[count++] = part;
    }
    return count;
}

#define DEAF_TURNS 3        /* wakes in a row: others ask for them, too */
#define PIECE_PATIENCE 1000 /* ms: another thread may have taken it */

/* The rest of a message that is longer than a datagram. The stack has it whole, and sends it while
 * what was read makes room: so also who may not wait gets all of it. */
static ssize_t read_rest(const struct program_socket *socket, const struct msghdr *given,
                         struct msghdr *message, ssize_t received)
{
    size_t room = room_of(given);
    bool more = true;

    while (more && (size_t)received < room) {
        struct iovec parts[PARTS];
        struct msghdr rest = *given;
        ssize_t length;

        rest.msg_iov = parts;
        rest.msg_iovlen = parts_after(given, (size_t)received, parts);
        more = false;
        if (direct_wait(socket->descriptor, POLLIN, PIECE_PATIENCE) <= 0)
            break;
        length = read_piece(socket, &rest, MSG_DONTWAIT, false, &more);
        if (length <= 0)
            break;
        received += length;
        message->msg_namelen = rest.msg_namelen;
        message->msg_controllen = rest.msg_controllen;
        message->msg_flags = rest.msg_flags;
    }
    return received;
}

/* The next message or notification, or as much of it as there is room for. */
static ssize_t read_next(const struct program_socket *socket, struct msghdr *message, int flags,
                         bool wait)
{
    const struct msghdr given = *message;
    bool more = false;
    ssize_t received = read_piece(socket, message, flags, wait, &more);

    if (received <= 0 || !more || flags & MSG_PEEK)
        return received;
    return read_rest(socket, &given, message, received);
}

/* Programs that read until nothing is left ask each time: if that was in vain so often, only as
 * often as costs little. */
#define VAIN_ATTEMPTS 8
#define PAUSE 4 /* ms */

static bool worth_asking(const struct program_socket *socket)
{
    static _Atomic unsigned int vain;
    static _Atomic int64_t asked; /* ms */
    struct timespec time;
    int64_t now;

    if (socket_state(socket) & CHANNEL_STATE_SHUT_READ)
        return true; /* the end is coming */
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
    if (now >= atomic_load_explicit(&asked, memory_order_relaxed) + PAUSE)
        atomic_store_explicit(&vain, 0, memory_order_relaxed);
    else if (atomic_load_explicit(&vain, memory_order_relaxed) >= VAIN_ATTEMPTS)
        return false;
    atomic_store_explicit(&asked, now, memory_order_relaxed);
    atomic_fetch_add_explicit(&vain, 1, memory_order_relaxed);
    return true;
}

/* What a peer on this host has sent is there at once, as with a kernel, though it may be on its way
 * through the stack. */
static ssize_t read_what_is_coming(const struct program_socket *socket, struct msghdr *message,
                                   int flags)
{
    if (!worth_asking(socket))
        return -EAGAIN;
    control_settle();
    return read_next(socket, message, flags, true);
}

/* The reader has shut his side (CHANNEL_STATE_DEAF), and has met a CHANNEL_WAKE: what stands behind
 * it comes first. */
static ssize_t read_when_deaf(const struct program_socket *socket, struct msghdr *message,
                              int flags)
{
    ssize_t received;

    control_settle();
    for (int turn = 0; turn < DEAF_TURNS; turn++) {
        received = read_next(socket, message, flags, false);
        if (received != -EAGAIN)
            return received;
    }
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
    return control_take_error(socket);
}

static ssize_t receive_judged(const struct program_socket *socket, struct msghdr *message,
                              int flags)
{
    uint32_t state = socket_state(socket);
    ssize_t received;

    if ((message->msg_iovlen > 0 && is_wild(message->msg_iov)) ||
        (message->msg_name && is_wild(message->msg_name)))
        return -EFAULT;
    if (message->msg_iovlen > PARTS)
        return -EMSGSIZE;
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (state & CHANNEL_STATE_LISTENING && !(state & CHANNEL_STATE_ONE_TO_MANY))
        return -ENOTCONN;
    received = read_next(socket, message, flags, can_hope(state));
    if (socket_state(socket) & CHANNEL_STATE_DEAF) {
        if (received == -EAGAIN)
            received = read_when_deaf(socket, message, flags);
        if (received > 0)
            control_queue_size(socket);
        return received;
    }
    if (received == -EAGAIN && state & CHANNEL_STATE_PEELED_OFF)
        state = socket_state(socket); /* the association may have ended meanwhile */
    if (received == -EAGAIN && !can_hope(state)) {
        if (may_wait(socket, flags)) {
            control_settle(); /* what came before the end may be on its way */
            received = read_next(socket, message, flags, can_hope(socket_state(socket)));
        }
        if (received == -EAGAIN)
            received = no_hope(socket, flags);
    } else if (received == -EAGAIN && !may_wait(socket, flags)) {
        received = read_what_is_coming(socket, message, flags);
    }
    return received;
}

ssize_t receive_message(const struct program_socket *socket, struct msghdr *message, int flags)
{
    int saved = errno; /* who succeeds leaves it as it was */
    struct program_socket other;
    struct msghdr given;
    ssize_t result;

    if (is_wild(message))
        return -EFAULT;
    given = *message;
    result = receive_judged(socket, message, flags);
    if (result >= 0)
        errno = saved;
    if (result >= 0 || !socket->believed)
        return result;
    if (descriptor_is_other(socket, &other, &result)) {
        *message = given;
        result = receive_judged(&other, message, flags);
    } else if (result == DESCRIPTOR_IS_ANOTHERS) {
        *message = given;
    }
    return result;
}

#define NANOSECONDS 1000000000L

int timeout_begin(const struct timespec *timeout, struct timespec *end)
{
    if (!timeout)
        return 0;
    if (is_wild(timeout))
        return -EFAULT;
    if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= NANOSECONDS)
        return -EINVAL;
    clock_gettime(CLOCK_MONOTONIC, end);
    end->tv_sec += timeout->tv_sec;
    end->tv_nsec += timeout->tv_nsec;
    if (end->tv_nsec >= NANOSECONDS) {
        end->tv_sec++;
        end->tv_nsec -= NANOSECONDS;
    }
    return 0;
}

bool timeout_is_over(const struct timespec *end, struct timespec *timeout)
{
    struct timespec now;

    if (!timeout)
        return false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *timeout = (struct timespec){end->tv_sec - now.tv_sec, end->tv_nsec - now.tv_nsec};
    if (timeout->tv_nsec < 0) {
        timeout->tv_sec--;
        timeout->tv_nsec += NANOSECONDS;
    }
    if (timeout->tv_sec < 0)
        *timeout = (struct timespec){0, 0};
    return timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

/* As on Linux an error that waits comes before messages that do; and if it comes after some of
 * them, it waits for the next call. */
int receive_messages(const struct program_socket *socket, struct mmsghdr *messages,
                     unsigned int count, int flags, struct timespec *timeout)
{
    struct timespec end = {0};
    int error = timeout_begin(timeout, &end);

    if (error == 0 && socket_state(socket) & CHANNEL_STATE_ERROR)
        error = control_take_error(socket);

    if (error < 0)
        return error;
    for (unsigned int i = 0; i < count; i++) {
        int own = i > 0 && flags & MSG_WAITFORONE ? flags | MSG_DONTWAIT : flags;
        ssize_t length;

        if (i > 0 && socket_state(socket) & CHANNEL_STATE_ERROR && receive_waiting(socket) == 0)
            return (int)i;
        length = receive_message(socket, &messages[i].msg_hdr, own & ~MSG_WAITFORONE);
        if (length < 0)
            return i > 0 ? (int)i : (int)length;
        messages[i].msg_len = (unsigned int)length;
        if (timeout_is_over(&end, timeout))
            return (int)i + 1;
    }
    return (int)count;
}

int receive_waiting(const struct program_socket *socket)
{
    int descriptor = socket->descriptor;
    int offset = descriptor_is_partial(socket) ? peek_offset(descriptor) : -1;
    struct channel_header header;
    ssize_t whole, read_before;

    if (offset > 0)
        set_peek_offset(descriptor, -1);
    whole = peek_header(descriptor, &header, MSG_DONTWAIT);
    if (offset > 0)
        set_peek_offset(descriptor, offset);
    read_before = offset > (int)sizeof(header) ? offset : (int)sizeof(header);
    return whole > read_before ? (int)(whole - read_before) : 0;
}
