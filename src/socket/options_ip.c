/* The options of IPv4 and IPv6 that SCTP has: ip(7), ipv6(7). */
#include "socket/options.h"

/* An int, or a single byte, as ip(7) takes both; nothing is 0. */
static int read_byte_or_int(const struct option_call *call, int *value)
{
    if (call->length >= sizeof(int))
        return option_read_int(call, value);
    *value = call->length > 0 ? *(const uint8_t *)call->value : 0;
    return 0;
}

static int answer_byte_or_int(struct option_call *call, int value)
{
    uint8_t byte = (uint8_t)value;

    if (call->length < sizeof(int) && call->length > 0 && value >= 0 && value <= 255)
        return option_answer(call, &byte, 1);
    return option_answer_cut(call, &value, sizeof(value));
}

static int read_ipv6_int(const struct option_call *call, int *value)
{
    int error = option_read_int(call, value);

    return call->socket->domain == AF_INET6 ? error : -ENOPROTOOPT;
}

/* ---- DSCP ---- */

static void apply_traffic_class(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    int class = socket->domain == AF_INET6 && socket->traffic_class != 0 ? socket->traffic_class
                                                                         : socket->tos;

    parameters->traffic_class = class & 0xfc; /* ECN is not the program's */
}

static int get_tos(struct option_call *call)
{
    return answer_byte_or_int(call, call->socket->tos);
}

static int set_tos(struct option_call *call)
{
    int value, error = read_byte_or_int(call, &value);

    if (error < 0)
        return error;
    call->socket->tos = value & (socket_is_one_to_one(call->socket) ? 0xfc : 0xff);
    option_for_all(call->socket, apply_traffic_class);
    return 0;
}

/* ---- Path MTU discovery: Linux keeps what was set until it sends; then SPP_PMTUD_ENABLE says ----
 */

static int get_mtu_discover(struct option_call *call)
{
    return answer_byte_or_int(call, call->socket->mtu_discover);
}

static int set_mtu_discover(struct option_call *call)
{
    int value, error = read_byte_or_int(call, &value);

    if (error < 0 || value < IP_PMTUDISC_DONT || value > IP_PMTUDISC_OMIT)
        return -EINVAL;
    call->socket->mtu_discover = value;
    return 0;
}

static int get_mtu_discover_ipv6(struct option_call *call)
{
    if (call->socket->domain != AF_INET6)
        return -EOPNOTSUPP;
    return option_answer_int_cut(call, call->socket->mtu_discover_ipv6);
}

static int set_mtu_discover_ipv6(struct option_call *call)
{
    int value, error = read_ipv6_int(call, &value);

    if (error < 0)
        return error;
    if (value < IPV6_PMTUDISC_DONT || value > IPV6_PMTUDISC_OMIT)
        return -EINVAL;
    call->socket->mtu_discover_ipv6 = value;
    return 0;
}

/* ---- How far packets go ---- */

#define HOPS_DEFAULT 64

static void apply_hop_limits(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->time_to_live = (uint8_t)(socket->time_to_live < 0 ? 0 : socket->time_to_live);
    parameters->hop_limit = (uint8_t)(socket->hop_limit < 0 ? 0 : socket->hop_limit);
}

static int get_ttl(struct option_call *call)
{
    int value = call->socket->time_to_live;

    return answer_byte_or_int(call, value < 0 ? HOPS_DEFAULT : value);
}

static int set_ttl(struct option_call *call)
{
    int value, error = read_byte_or_int(call, &value);

    if (error < 0 || call->length == 0 || value == 0 || value < -1 || value > 255)
        return -EINVAL;
    call->socket->time_to_live = value;
    option_for_all(call->socket, apply_hop_limits);
    return 0;
}

static int get_hops(struct option_call *call)
{
    if (call->socket->domain != AF_INET6)
        return -EOPNOTSUPP;
    return option_answer_int_cut(call, call->socket->hop_limit < 0 ? HOPS_DEFAULT
                                                                   : call->socket->hop_limit);
}

static int set_hops(struct option_call *call)
{
    int value, error = read_ipv6_int(call, &value);

    if (error < 0)
        return error;
    if (value < -1 || value > 255)
        return -EINVAL;
    call->socket->hop_limit = value;
    option_for_all(call->socket, apply_hop_limits);
    return 0;
}

/* ---- What Linux remembers for SCTP sockets, and does nothing with: ancillary data of IP is not
 * given with messages, and bind() always chooses a port ---- */

static const struct {
    int level, name;
} remembered[] = {
    {SOL_IP, IP_PKTINFO},         {SOL_IP, IP_RECVTTL},
    {SOL_IP, IP_RECVTOS},         {SOL_IP, IP_BIND_ADDRESS_NO_PORT},
    {SOL_IPV6, IPV6_RECVPKTINFO}, {SOL_IPV6, IPV6_RECVHOPLIMIT},
    {SOL_IPV6, IPV6_RECVTCLASS},
};

static uint32_t remembered_bit(const struct option_call *call)
{
    for (size_t i = 0; i < sizeof(remembered) / sizeof(remembered[0]); i++)
        if (remembered[i].level == call->level && remembered[i].name == call->name)
            return 1U << i;
    return 0;
}

static int get_remembered(struct option_call *call)
{
    bool on = call->socket->remembered & remembered_bit(call);

    if (call->level == SOL_IP)
        return answer_byte_or_int(call, on);
    if (call->socket->domain != AF_INET6)
        return -EOPNOTSUPP;
    return option_answer_int_cut(call, on);
}

static int set_remembered(struct option_call *call)
{
    int value, error = call->level == SOL_IP ? read_byte_or_int(call, &value)
                                             : read_ipv6_int(call, &value);

    if (error < 0)
        return error;
    call->socket->remembered &= ~remembered_bit(call);
    if (value != 0)
        call->socket->remembered |= remembered_bit(call);
    return 0;
}

/* ---- IPv6 ---- */

static int get_tclass(struct option_call *call)
{
    if (call->socket->domain != AF_INET6)
        return -EOPNOTSUPP;
    return option_answer_cut(call, &call->socket->traffic_class, sizeof(int));
}

static int set_tclass(struct option_call *call)
{
    int value, error = read_ipv6_int(call, &value);

    if (error < 0)
        return error;
    if (value < -1 || value > 0xff)
        return -EINVAL;
    call->socket->traffic_class = value < 0 ? 0 : value & 0xfc;
    option_for_all(call->socket, apply_traffic_class);
    return 0;
}

static int get_v6only(struct option_call *call)
{
    if (call->socket->domain != AF_INET6)
        return -EOPNOTSUPP;
    return option_answer_int_cut(call, call->socket->v6only);
}

static int set_v6only(struct option_call *call)
{
    int value, error = read_ipv6_int(call, &value);

    if (error < 0)
        return error;
    if (call->socket->port != 0)
        return -EINVAL;
    call->socket->v6only = value != 0;
    return 0;
}

const struct option options_of_ip[] = {
    {SOL_IP, IP_TOS, get_tos, set_tos},
    {SOL_IP, IP_MTU_DISCOVER, get_mtu_discover, set_mtu_discover},
    {SOL_IP, IP_TTL, get_ttl, set_ttl},
    {SOL_IP, IP_PKTINFO, get_remembered, set_remembered},
    {SOL_IP, IP_RECVTTL, get_remembered, set_remembered},
    {SOL_IP, IP_RECVTOS, get_remembered, set_remembered},
    {SOL_IP, IP_BIND_ADDRESS_NO_PORT, get_remembered, set_remembered},
    {SOL_IPV6, IPV6_RECVPKTINFO, get_remembered, set_remembered},
    {SOL_IPV6, IPV6_RECVHOPLIMIT, get_remembered, set_remembered},
    {SOL_IPV6, IPV6_RECVTCLASS, get_remembered, set_remembered},
    {SOL_IPV6, IPV6_UNICAST_HOPS, get_hops, set_hops},
    {SOL_IPV6, IPV6_MTU_DISCOVER, get_mtu_discover_ipv6, set_mtu_discover_ipv6},
    {SOL_IPV6, IPV6_TCLASS, get_tclass, set_tclass},
    {SOL_IPV6, IPV6_V6ONLY, get_v6only, set_v6only},
    {0},
};
