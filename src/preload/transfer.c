/*
 * Bytes between a socket and a file or a pipe: sendfile(2), splice(2). RFC 6458 knows them not; on
 * Linux they are messages of a moderate size.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "preload/direct.h"
#include "preload/private.h"

#define PIECE 16384

/* A file in messages of a moderate size, as Linux cuts it into pages. */
ssize_t transfer_file(const struct program_socket *ours, int file, off64_t *offset, size_t count)
{
    size_t done = 0;

    while (done < count) {
        char bytes[PIECE];
        size_t most = count - done < sizeof(bytes) ? count - done : sizeof(bytes);
        ssize_t got = offset ? pread64(file, bytes, most, *offset) : direct_read(file, bytes, most);
        struct iovec part = {bytes, got > 0 ? (size_t)got : 0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t sent;

        if (got <= 0)
            return done > 0 || got == 0 ? (ssize_t)done : -errno;
        sent = send_message(ours, &message, 0);
        if (sent < 0) {
            if (!offset)
                lseek64(file, -got, SEEK_CUR);
            return done > 0 ? (ssize_t)done : sent;
        }
        if (offset)
            *offset += got;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Waits until a pipe has room, and says how much. */
static ssize_t pipe_room(int end, unsigned int flags)
{
    struct pollfd waiting = {.fd = end, .events = POLLOUT};
    int size, filled = 0;

    if (flags & SPLICE_F_NONBLOCK || !descriptor_blocks(end)) {
        if (poll(&waiting, 1, 0) == 0)
            return -EAGAIN;
    } else if (poll(&waiting, 1, -1) < 0) {
        return -errno;
    }
    size = direct_fcntl(end, F_GETPIPE_SZ, 0);
    if (size < 0 || direct_ioctl(end, FIONREAD, &filled) < 0)
        return -EINVAL; /* no pipe */
    return size > filled ? size - filled : 1;
}

ssize_t transfer_to_pipe(const struct program_socket *ours, int pipe, size_t length,
                         unsigned int flags)
{
    char bytes[PIECE];
    ssize_t room = pipe_room(pipe, flags);
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t received;

    if (room < 0)
        return room;
    if (part.iov_len > (size_t)room)
        part.iov_len = (size_t)room;
    if (part.iov_len > length)
        part.iov_len = length;
    received = receive_message(ours, &message, 0);
    if (received > 0 && direct_write(pipe, bytes, (size_t)received) < 0)
        return -errno;
    return received;
}

ssize_t transfer_from_pipe(const struct program_socket *ours, int pipe, size_t length,
                           unsigned int flags)
{
    struct pollfd waiting = {.fd = pipe, .events = POLLIN};
    char bytes[PIECE];
    struct iovec part = {bytes, 0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got;

    if (direct_fcntl(pipe, F_GETPIPE_SZ, 0) < 0)
        return -EINVAL;
    if (flags & SPLICE_F_NONBLOCK && poll(&waiting, 1, 0) == 0)
        return -EAGAIN;
    got = direct_read(pipe, bytes, length < sizeof(bytes) ? length : sizeof(bytes));
    if (got <= 0)
        return got < 0 ? -errno : 0;
    part.iov_len = (size_t)got;
    return send_message(ours, &message, 0);
}
