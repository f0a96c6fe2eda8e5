/*
 * libsctp.so.1: the functions that send and receive.
 *
 * RFC 6458, sections 9.10 to 9.13, and the deprecated ones that lksctp-tools has. Each is one
 * sendmsg() or recvmsg() with the ancillary data of section 5.3.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "libsctp/library.h"

enum { DESTINATIONS = 64 }; /* besides the first */

/* A message under way: its header, and ancillary data that grows. */
struct sending {
    struct msghdr message;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct sctp_sndrcvinfo)) +
                   CMSG_SPACE(sizeof(struct sctp_prinfo)) +
                   CMSG_SPACE(sizeof(struct sctp_authinfo)) +
                   DESTINATIONS * CMSG_SPACE(sizeof(struct in6_addr))];
    } control;
};

static void add(struct sending *sending, int type, const void *value, size_t size)
{
    struct cmsghdr *header =
        (struct cmsghdr *)(void *)(sending->control.bytes + sending->message.msg_controllen);

    header->cmsg_level = IPPROTO_SCTP;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), value, size);
    sending->message.msg_control = sending->control.bytes;
    sending->message.msg_controllen += CMSG_SPACE(size);
}

/* Several addresses of one peer: the first names it, the others go beside (5.3.9, 5.3.10). */
static bool add_addresses(struct sending *sending, struct sockaddr *addresses, int count)
{
    const char *position = (const char *)addresses;

    if (!addresses || count == 0)
        return true;
    if (count < 0 || count > 1 + DESTINATIONS || packed_length(addresses, count) == 0)
        return false;
    sending->message.msg_name = addresses;
    sending->message.msg_namelen = packed_length(addresses, 1);
    position += sending->message.msg_namelen;
    for (int i = 1; i < count; i++) {
        struct sockaddr_in6 each = {.sin6_family = 0};
        struct sockaddr_in ipv4;
        sa_family_t family;

        memcpy(&family, position, sizeof(family));
        if (family == AF_INET) {
            memcpy(&ipv4, position, sizeof(ipv4));
            add(sending, SCTP_DSTADDRV4, &ipv4.sin_addr, sizeof(ipv4.sin_addr));
        } else {
            memcpy(&each, position, sizeof(each));
            add(sending, SCTP_DSTADDRV6, &each.sin6_addr, sizeof(each.sin6_addr));
        }
        position += sctp_getaddrlen(family);
    }
    return true;
}

/* ---- One buffer, struct sctp_sndrcvinfo: 9.10, 9.7 of RFC 6458's predecessors ---- */

EXPORTED int sctp_sendmsg(int descriptor, const void *bytes, size_t length, struct sockaddr *to,
                          socklen_t to_length, uint32_t ppid, uint32_t flags, uint16_t stream,
                          uint32_t time_to_live, uint32_t context)
{
    struct iovec part = {(void *)bytes, length};
    struct sctp_sndrcvinfo info = {
        .sinfo_ppid = ppid,
        .sinfo_flags = (uint16_t)flags,
        .sinfo_stream = stream,
        .sinfo_timetolive = time_to_live,
        .sinfo_context = context,
    };
    struct sending sending = {
        .message = {
            .msg_name = to, .msg_namelen = to ? to_length : 0, .msg_iov = &part, .msg_iovlen = 1}};

    add(&sending, SCTP_SNDRCV, &info, sizeof(info));
    return (int)sendmsg(descriptor, &sending.message, 0);
}

EXPORTED int sctp_sendx(int descriptor, const void *bytes, size_t length,
                        struct sockaddr *addresses, int count, const struct sctp_sndrcvinfo *info,
                        int flags)
{
    struct iovec part = {(void *)bytes, length};
    struct sending sending = {.message = {.msg_iov = &part, .msg_iovlen = 1}};

    if (!add_addresses(&sending, addresses, count)) {
        errno = EINVAL;
        return -1;
    }
    if (info)
        add(&sending, SCTP_SNDRCV, info, sizeof(*info));
    return (int)sendmsg(descriptor, &sending.message, flags);
}

EXPORTED int sctp_send(int descriptor, const void *bytes, size_t length,
                       const struct sctp_sndrcvinfo *info, int flags)
{
    return sctp_sendx(descriptor, bytes, length, NULL, 0, info, flags);
}

/* Looks for ancillary data of this type. */
static bool find(struct msghdr *message, int type, void *value, size_t size)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == type &&
            c->cmsg_len >= CMSG_LEN(size)) {
            memcpy(value, CMSG_DATA(c), size);
            return true;
        }
    }
    return false;
}

EXPORTED int sctp_recvmsg(int descriptor, void *bytes, size_t length, struct sockaddr *from,
                          socklen_t *from_length, struct sctp_sndrcvinfo *info, int *flags)
{
    struct iovec part = {bytes, length};
    union {
        struct cmsghdr header;
        char bytes[512];
    } control;
    struct msghdr message = {.msg_name = from,
                             .msg_namelen = from && from_length ? *from_length : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t received = recvmsg(descriptor, &message, flags ? *flags : 0);

    if (received < 0)
        return -1;
    if (from_length)
        *from_length = message.msg_namelen;
    if (flags)
        *flags = message.msg_flags;
    if (info)
        find(&message, SCTP_SNDRCV, info, sizeof(*info));
    return (int)received;
}

/* ---- Several buffers, and what is known about them: 9.12, 9.13 ---- */

static bool add_info(struct sending *sending, const void *info, socklen_t length, unsigned int type)
{
    static const struct {
        int type;
        socklen_t size;
    } single[] = {
        [SCTP_SENDV_SNDINFO] = {SCTP_SNDINFO, sizeof(struct sctp_sndinfo)},
        [SCTP_SENDV_PRINFO] = {SCTP_PRINFO, sizeof(struct sctp_prinfo)},
        [SCTP_SENDV_AUTHINFO] = {SCTP_AUTHINFO, sizeof(struct sctp_authinfo)},
    };
    struct sctp_sendv_spa all;

    if (type == SCTP_SENDV_NOINFO)
        return !info && length == 0;
    if (!info)
        return false;
    if (type < SCTP_SENDV_SPA) {
        if (length < single[type].size)
            return false;
        add(sending, single[type].type, info, single[type].size);
        return true;
    }
    if (type != SCTP_SENDV_SPA || length < sizeof(all))
        return false;
    memcpy(&all, info, sizeof(all));
    if (all.sendv_flags & SCTP_SEND_SNDINFO_VALID)
        add(sending, SCTP_SNDINFO, &all.sendv_sndinfo, sizeof(all.sendv_sndinfo));
    if (all.sendv_flags & SCTP_SEND_PRINFO_VALID)
        add(sending, SCTP_PRINFO, &all.sendv_prinfo, sizeof(all.sendv_prinfo));
    if (all.sendv_flags & SCTP_SEND_AUTHINFO_VALID)
        add(sending, SCTP_AUTHINFO, &all.sendv_authinfo, sizeof(all.sendv_authinfo));
    return true;
}

EXPORTED int sctp_sendv(int descriptor, const struct iovec *parts, int part_count,
                        struct sockaddr *addresses, int count, void *info, socklen_t length,
                        unsigned int type, int flags)
{
    struct sending sending = {
        .message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)part_count}};

    if (part_count < 0 || !add_addresses(&sending, addresses, count) ||
        !add_info(&sending, info, length, type)) {
        errno = EINVAL;
        return -1;
    }
    return (int)sendmsg(descriptor, &sending.message, flags);
}

/* Gives the program what it has room for, and says what that is. */
static void give_info(struct msghdr *message, void *info, socklen_t *length, unsigned int *type)
{
    struct sctp_recvv_rn both;
    bool received, next;

    memset(&both, 0, sizeof(both));
    received = find(message, SCTP_RCVINFO, &both.recvv_rcvinfo, sizeof(both.recvv_rcvinfo));
    next = find(message, SCTP_NXTINFO, &both.recvv_nxtinfo, sizeof(both.recvv_nxtinfo));
    *type = SCTP_RECVV_NOINFO;
    if (received && next && *length >= sizeof(both)) {
        memcpy(info, &both, sizeof(both));
        *length = sizeof(both);
        *type = SCTP_RECVV_RN;
    } else if (received && *length >= sizeof(both.recvv_rcvinfo)) {
        memcpy(info, &both.recvv_rcvinfo, sizeof(both.recvv_rcvinfo));
        *length = sizeof(both.recvv_rcvinfo);
        *type = SCTP_RECVV_RCVINFO;
    } else if (next && *length >= sizeof(both.recvv_nxtinfo)) {
        memcpy(info, &both.recvv_nxtinfo, sizeof(both.recvv_nxtinfo));
        *length = sizeof(both.recvv_nxtinfo);
        *type = SCTP_RECVV_NXTINFO;
    }
}

EXPORTED int sctp_recvv(int descriptor, const struct iovec *parts, int part_count,
                        struct sockaddr *from, socklen_t *from_length, void *info,
                        socklen_t *length, unsigned int *type, int *flags)
{
    union {
        struct cmsghdr header;
        char bytes[512];
    } control;
    struct msghdr message = {.msg_name = from,
                             .msg_namelen = from && from_length ? *from_length : 0,
                             .msg_iov = (struct iovec *)parts,
                             .msg_iovlen = (size_t)part_count,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t received;

    if (part_count < 0) {
        errno = EINVAL;
        return -1;
    }
    received = recvmsg(descriptor, &message, flags ? *flags : 0);
    if (received < 0)
        return -1;
    if (from_length)
        *from_length = message.msg_namelen;
    if (flags)
        *flags = message.msg_flags;
    if (info && length && type)
        give_info(&message, info, length, type);
    return (int)received;
}
