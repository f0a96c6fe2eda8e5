/*
 * libsctp.so.1: the functions about addresses and associations.
 *
 * RFC 6458, sections 9.1 to 9.9. Each is a socket option; what a program sees of them is what
 * lksctp-tools' library gives, symbol versions included. The library knows nothing of Braid: it
 * works on any socket that speaks the options of <linux/sctp.h>.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "libsctp/library.h"

EXPORTED int sctp_getaddrlen(sa_family_t family)
{
    if (family == AF_INET)
        return sizeof(struct sockaddr_in);
    return family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

socklen_t packed_length(const struct sockaddr *addresses, int count)
{
    const char *position = (const char *)addresses;

    for (int i = 0; i < count; i++) {
        sa_family_t family;
        int length;

        memcpy(&family, position + offsetof(struct sockaddr, sa_family), sizeof(family));
        length = sctp_getaddrlen(family);
        if (length == 0)
            return 0;
        position += length;
    }
    return (socklen_t)(position - (const char *)addresses);
}

static int failure(int error)
{
    errno = error;
    return -1;
}

/* ---- Binding and connecting: 9.1, 9.9 ---- */

EXPORTED int sctp_bindx(int descriptor, struct sockaddr *addresses, int count, int flags)
{
    socklen_t length = packed_length(addresses, count);

    if (length == 0 || (flags != SCTP_BINDX_ADD_ADDR && flags != SCTP_BINDX_REM_ADDR))
        return failure(EINVAL);
    return setsockopt(descriptor, IPPROTO_SCTP,
                      flags == SCTP_BINDX_ADD_ADDR ? SCTP_SOCKOPT_BINDX_ADD
                                                   : SCTP_SOCKOPT_BINDX_REM,
                      addresses, length);
}

/* Since 1.0.8: the identifier is told even if the program does not wait (EINPROGRESS). */
EXPORTED int connectx_3(int descriptor, struct sockaddr *addresses, int count,
                        sctp_assoc_t *identifier)
{
    socklen_t length = packed_length(addresses, count);
    struct sctp_getaddrs_old call = {
        .addr_num = (int)length,
        .addrs = addresses,
    };
    socklen_t size = sizeof(call);
    int result;

    if (identifier)
        *identifier = 0;
    if (length == 0)
        return failure(EINVAL);
    result = getsockopt(descriptor, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &call, &size);
    if (identifier && (result == 0 || errno == EINPROGRESS))
        *identifier = call.assoc_id;
    return result;
}

/* Its result was the identifier, and none if the program does not wait. */
EXPORTED int connectx_2(int descriptor, struct sockaddr *addresses, int count,
                        sctp_assoc_t *identifier)
{
    socklen_t length = packed_length(addresses, count);
    int result;

    if (identifier)
        *identifier = 0;
    if (length == 0)
        return failure(EINVAL);
    result = setsockopt(descriptor, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, addresses, length);
    if (result > 0 && identifier)
        *identifier = result;
    return result > 0 ? 0 : result;
}

EXPORTED int connectx_1(int descriptor, struct sockaddr *addresses, int count)
{
    socklen_t length = packed_length(addresses, count);

    if (length == 0)
        return failure(EINVAL);
    return setsockopt(descriptor, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX_OLD, addresses, length);
}

__asm__(".symver connectx_1, sctp_connectx@VERS_1");
__asm__(".symver connectx_2, sctp_connectx@VERS_2");
__asm__(".symver connectx_3, sctp_connectx@@VERS_3");

/* ---- One association of many: 9.2, 9.8 ---- */

EXPORTED int sctp_peeloff(int descriptor, sctp_assoc_t identifier)
{
    sctp_peeloff_arg_t call = {.associd = identifier};
    socklen_t size = sizeof(call);

    if (getsockopt(descriptor, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &call, &size) < 0)
        return -1;
    return call.sd;
}

EXPORTED int sctp_peeloff_flags(int descriptor, sctp_assoc_t identifier, unsigned int flags)
{
    sctp_peeloff_flags_arg_t call = {.p_arg.associd = identifier, .flags = flags};
    socklen_t size = sizeof(call);

    if (flags == 0)
        return sctp_peeloff(descriptor, identifier);
    if (getsockopt(descriptor, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF_FLAGS, &call, &size) < 0)
        return -1;
    return call.p_arg.sd;
}

/* The identifier is the first field of every such option's value. */
EXPORTED int sctp_opt_info(int descriptor, sctp_assoc_t identifier, int option, void *value,
                           socklen_t *size)
{
    if (value)
        memcpy(value, &identifier, sizeof(identifier));
    return getsockopt(descriptor, IPPROTO_SCTP, option, value, size);
}

/* ---- Lists of addresses: 9.3 to 9.6 ---- */

enum { LIST_FIRST = 4096, LIST_MOST = 1 << 20 };

/* The list stands behind the option's head; the program gets a pointer to it. */
static int get_addresses(int descriptor, int option, sctp_assoc_t identifier,
                         struct sockaddr **addresses)
{
    for (socklen_t size = LIST_FIRST; size <= LIST_MOST; size *= 2) {
        struct sctp_getaddrs *list = malloc(size);
        socklen_t length = size;

        if (!list)
            return failure(ENOMEM);
        list->assoc_id = identifier;
        if (getsockopt(descriptor, IPPROTO_SCTP, option, list, &length) == 0) {
            *addresses = (struct sockaddr *)(void *)list->addrs;
            return (int)list->addr_num;
        }
        free(list);
        if (errno != ENOMEM && errno != ENOBUFS)
            return -1;
    }
    return failure(ENOBUFS);
}

static int free_addresses(struct sockaddr *addresses)
{
    if (addresses)
        free((char *)addresses - offsetof(struct sctp_getaddrs, addrs));
    return 0;
}

EXPORTED int sctp_getpaddrs(int descriptor, sctp_assoc_t identifier, struct sockaddr **addresses)
{
    return get_addresses(descriptor, SCTP_GET_PEER_ADDRS, identifier, addresses);
}

EXPORTED int sctp_freepaddrs(struct sockaddr *addresses)
{
    return free_addresses(addresses);
}

EXPORTED int sctp_getladdrs(int descriptor, sctp_assoc_t identifier, struct sockaddr **addresses)
{
    return get_addresses(descriptor, SCTP_GET_LOCAL_ADDRS, identifier, addresses);
}

EXPORTED int sctp_freeladdrs(struct sockaddr *addresses)
{
    return free_addresses(addresses);
}
