/* Options that Linux takes for SCTP sockets, keeps, and tells again, and that have no effect there:
 * what IP's ancillary data would be, which is not given with messages, and what belongs to other
 * protocols. Those that have one here (IP_FREEBIND) are asked for by option_kept(). And options
 * that Linux knows and refuses.
 *
 * socket(7), ip(7), ipv6(7); what Linux 6.1 answers is measured (tests/api).
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "socket/options.h"

/* <linux/in6.h> has these, and does not go with <netinet/in.h>. */
#define IPV6_FLOWINFO 11
#define IPV6_FLOWLABEL_MGR 32
#define IPV6_FLOWINFO_SEND 33

#ifndef SO_TXREHASH
#define SO_TXREHASH 74 /* since Linux 5.18 */
#endif

enum kind {
    FLAG,         /* any int: on, or off; of IPv4, no bytes are off */
    STRICT_FLAG,  /* the same, but there must be a byte. So with those that follow */
    NUMBER,       /* from `least` to `most`; a negative one is what it was at first */
    LENIENT_FLAG, /* IPv6: as FLAG, but less than an int is 0 */
    PRIVILEGED,   /* a flag that not everybody may set */
    FIXED,        /* stays as it is: to set it is `error` */
    EMPTY,        /* the same, of no bytes */
};

struct kept {
    int level;
    uint8_t name;
    uint8_t kind;
    int16_t initial, least, most, error;
};

static const struct kept kept[] = {
    {SOL_SOCKET, SO_TXREHASH, NUMBER, 1, -1, 1, 0},
    {SOL_SOCKET, SO_ATTACH_FILTER, EMPTY, 0, 0, 0, EINVAL}, /* packets are the stack's */
    {SOL_IP, IP_HDRINCL, FIXED, 0, 0, 0, ENOPROTOOPT},
    {SOL_IP, IP_OPTIONS, EMPTY, 0, 0, 0, EINVAL},
    {SOL_IP, IP_RECVOPTS, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_RETOPTS, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_PKTINFO, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_RECVERR, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_RECVTTL, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_RECVTOS, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_FREEBIND, STRICT_FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_PASSSEC, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_TRANSPARENT, PRIVILEGED, 0, 0, 0, 0},
    {SOL_IP, IP_RECVORIGDSTADDR, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_MINTTL, NUMBER, 0, 0, 255, 0},
    {SOL_IP, IP_NODEFRAG, FIXED, 0, 0, 0, ENOPROTOOPT},
    {SOL_IP, IP_CHECKSUM, FLAG, 0, 0, 0, 0},
    {SOL_IP, IP_BIND_ADDRESS_NO_PORT, FLAG, 0, 0, 0, 0}, /* bind() always chooses a port */
    {SOL_IP, IP_RECVFRAGSIZE, FIXED, 0, 0, 0, EINVAL},
    {SOL_IP, IP_RECVERR_RFC4884, NUMBER, 0, 0, 1, 0},
    {SOL_IP, IP_MULTICAST_IF, FIXED, 0, 0, 0, EINVAL},
    {SOL_IP, IP_MULTICAST_TTL, FIXED, 1, 0, 0, EINVAL},
    {SOL_IP, IP_MULTICAST_LOOP, STRICT_FLAG, 1, 0, 0, 0},
    {SOL_IP, IP_MULTICAST_ALL, NUMBER, 1, 0, 1, 0},
    {SOL_IPV6, IPV6_2292PKTINFO, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_2292HOPOPTS, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_2292DSTOPTS, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_2292RTHDR, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_2292PKTOPTIONS, EMPTY, 0, 0, 0, EINVAL},
    {SOL_IPV6, IPV6_2292HOPLIMIT, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_FLOWINFO, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_MULTICAST_IF, FIXED, 0, 0, 0, ENOPROTOOPT},
    {SOL_IPV6, IPV6_MULTICAST_HOPS, FIXED, 1, 0, 0, ENOPROTOOPT},
    {SOL_IPV6, IPV6_MULTICAST_LOOP, NUMBER, 1, 0, 1, 0},
    {SOL_IPV6, IPV6_RECVERR, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_MULTICAST_ALL, FLAG, 1, 0, 0, 0},
    {SOL_IPV6, IPV6_ROUTER_ALERT_ISOLATE, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RECVERR_RFC4884, NUMBER, 0, 0, 1, 0},
    {SOL_IPV6, IPV6_FLOWINFO_SEND, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RECVPKTINFO, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RECVHOPLIMIT, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RECVHOPOPTS, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_HOPOPTS, EMPTY, 0, 0, 0, EINVAL},
    {SOL_IPV6, IPV6_RTHDRDSTOPTS, EMPTY, 0, 0, 0, EINVAL},
    {SOL_IPV6, IPV6_RECVRTHDR, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RTHDR, EMPTY, 0, 0, 0, EINVAL},
    {SOL_IPV6, IPV6_RECVDSTOPTS, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_DSTOPTS, EMPTY, 0, 0, 0, EINVAL},
    {SOL_IPV6, IPV6_RECVPATHMTU, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_DONTFRAG, LENIENT_FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RECVTCLASS, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_AUTOFLOWLABEL, LENIENT_FLAG, 1, 0, 0, 0},
    {SOL_IPV6, IPV6_MINHOPCOUNT, NUMBER, 0, 0, 255, 0},
    {SOL_IPV6, IPV6_RECVORIGDSTADDR, FLAG, 0, 0, 0, 0},
    {SOL_IPV6, IPV6_RECVFRAGSIZE, LENIENT_FLAG, 0, 0, 0, 0},
};
#define KEPT (sizeof(kept) / sizeof(kept[0]))
_Static_assert(KEPT <= SOCKET_KEPT_MAXIMUM, "more options are kept than there is room for");

/* One socket of IPv6 has both of these names, and one place for them. */
static const struct {
    int name_ipv6, name_ipv4;
} shared[] = {{IPV6_FREEBIND, IP_FREEBIND}, {IPV6_TRANSPARENT, IP_TRANSPARENT}};

/* Known, and refused: of sockets of other protocols, or that SCTP has no use for. */
static const struct {
    int level;
    uint8_t first, last;
    int16_t get, set;
} refused[] = {
    {SOL_SOCKET, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF, ENOPROTOOPT, EINVAL},
    {SOL_SOCKET, SO_PEERGROUPS, SO_PEERGROUPS, ENODATA, ENOPROTOOPT},
    {SOL_IP, IP_ROUTER_ALERT, IP_ROUTER_ALERT, ENOPROTOOPT, EINVAL},
    {SOL_IP, IP_IPSEC_POLICY, IP_XFRM_POLICY, ENOPROTOOPT, EINVAL},
    {SOL_IP, IP_ADD_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP, ENOPROTOOPT, EINVAL},
    {SOL_IP, IP_MSFILTER, IP_MSFILTER, EINVAL, EINVAL},
    {SOL_IP, MCAST_JOIN_GROUP, MCAST_LEAVE_SOURCE_GROUP, ENOPROTOOPT, EINVAL},
    {SOL_IP, MCAST_MSFILTER, MCAST_MSFILTER, EINVAL, EINVAL},
    {SOL_IPV6, IPV6_ADDRFORM, IPV6_ADDRFORM, ENOPROTOOPT, EINVAL},
    {SOL_IPV6, IPV6_ADD_MEMBERSHIP, IPV6_DROP_MEMBERSHIP, ENOPROTOOPT, EINVAL},
    {SOL_IPV6, IPV6_JOIN_ANYCAST, IPV6_LEAVE_ANYCAST, ENOPROTOOPT, EINVAL},
    {SOL_IPV6, IPV6_FLOWLABEL_MGR, IPV6_FLOWLABEL_MGR, ENOENT, EINVAL},
    {SOL_IPV6, IPV6_IPSEC_POLICY, IPV6_XFRM_POLICY, ENOPROTOOPT, EINVAL},
    {SOL_IPV6, MCAST_JOIN_GROUP, MCAST_LEAVE_SOURCE_GROUP, ENOPROTOOPT, EINVAL},
    {SOL_IPV6, MCAST_MSFILTER, MCAST_MSFILTER, EINVAL, EINVAL},
};

static size_t find(int level, int name)
{
    size_t i = 0;

    for (size_t s = 0; level == SOL_IPV6 && s < sizeof(shared) / sizeof(shared[0]); s++)
        if (shared[s].name_ipv6 == name)
            return find(SOL_IP, shared[s].name_ipv4);
    while (i < KEPT && (kept[i].level != level || kept[i].name != name))
        i++;
    return i;
}

void option_keep_initial(struct sctp_socket *socket)
{
    for (size_t i = 0; i < KEPT; i++)
        socket->kept[i] = kept[i].initial;
}

int option_kept(const struct sctp_socket *socket, int level, int name)
{
    return socket->kept[find(level, name)];
}

static int error_of(const struct option_call *call, bool get)
{
    bool known = call->level == SOL_SCTP || call->level == SOL_SOCKET || call->level == SOL_IP ||
                 call->socket->domain == AF_INET6;

    if (!known)
        return get ? -EOPNOTSUPP : -ENOPROTOOPT;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (refused[i].level == call->level && call->name >= refused[i].first &&
            call->name <= refused[i].last)
            return get ? -refused[i].get : -refused[i].set;
    return -ENOPROTOOPT;
}

int option_get_kept(struct option_call *call)
{
    size_t i = find(call->level, call->name);

    if (i == KEPT || (call->level == SOL_IPV6 && call->socket->domain != AF_INET6))
        return error_of(call, true);
    if (kept[i].kind == EMPTY)
        return option_answer(call, NULL, 0);
    if (call->level == SOL_IP)
        return option_answer_byte_or_int(call, call->socket->kept[i]);
    return option_answer_int_cut(call, call->socket->kept[i]);
}

static int read_value(const struct option_call *call, const struct kept *option, int *value)
{
    if (call->level == SOL_IP)
        return option->kind != FLAG && call->length == 0 ? -EINVAL
                                                         : option_read_byte_or_int(call, value);
    if (option->kind == LENIENT_FLAG && call->length < sizeof(*value)) {
        *value = 0;
        return 0;
    }
    return option_read_int(call, value);
}

int option_set_kept(struct option_call *call)
{
    size_t i = find(call->level, call->name);
    int value, error;

    if (i == KEPT || (call->level == SOL_IPV6 && call->socket->domain != AF_INET6))
        return error_of(call, false);
    if (kept[i].kind == FIXED || kept[i].kind == EMPTY)
        return -kept[i].error;
    error = read_value(call, &kept[i], &value);
    if (error < 0)
        return error;
    if (kept[i].kind == PRIVILEGED && value != 0 && !call->caller->privileged)
        return -EPERM;
    if (kept[i].kind == NUMBER && (value < kept[i].least || value > kept[i].most))
        return -EINVAL;
    if (kept[i].kind != NUMBER)
        value = value != 0;
    call->socket->kept[i] = (int16_t)(value < 0 ? kept[i].initial : value);
    return 0;
}
