/* The options of IPv4 and IPv6 that SCTP has: ip(7), ipv6(7). */
#include "socket/options.h"

#define IPV6_MTU_MINIMUM 1280 /* RFC 8200, section 5 */

#ifndef IP_LOCAL_PORT_RANGE /* since Linux 6.3 */
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IP_PROTOCOL
#define IP_PROTOCOL 52
#endif

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
    return option_answer_byte_or_int(call, call->socket->tos);
}

static int set_tos(struct option_call *call)
{
    int value, error = option_read_byte_or_int(call, &value);

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
    return option_answer_byte_or_int(call, call->socket->mtu_discover);
}

static int set_mtu_discover(struct option_call *call)
{
    int value, error = option_read_byte_or_int(call, &value);

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

    return option_answer_byte_or_int(call, value < 0 ? HOPS_DEFAULT : value);
}

static int set_ttl(struct option_call *call)
{
    int value, error = option_read_byte_or_int(call, &value);

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

/* ---- Of the only association's path ---- */

/* ENOTCONN: nothing has been sent anywhere yet. */
static int read_path_mtu(const struct option_call *call, bool ipv6, uint32_t *mtu)
{
    struct braid_engine *engine = call->socket->table->engine;
    const struct socket_association *only =
        socket_is_one_to_many(call->socket) ? NULL : socket_find_association(call->socket, 0);
    struct braid_association_info info;
    struct braid_path_info path;

    if (!only || braid_association_info(engine, only->engine, &info) < 0 ||
        braid_path_info(engine, only->engine, info.primary_path, &path) < 0 ||
        (path.address.family == BRAID_IPV6) != ipv6)
        return -ENOTCONN;
    *mtu = path.mtu;
    return 0;
}

static int get_mtu(struct option_call *call)
{
    uint32_t mtu;
    int error = read_path_mtu(call, false, &mtu);

    return error < 0 ? error : option_answer_byte_or_int(call, (int)mtu);
}

static int get_mtu_ipv6(struct option_call *call)
{
    uint32_t mtu;
    int error = call->socket->domain == AF_INET6 ? read_path_mtu(call, true, &mtu) : -EOPNOTSUPP;

    return error < 0 ? error : option_answer_int_cut(call, (int)mtu);
}

/* A limit for fragments, which packets of SCTP are not cut into. */
static int set_mtu_ipv6(struct option_call *call)
{
    int value, error = read_ipv6_int(call, &value);

    if (error < 0)
        return error;
    return value != 0 && value < IPV6_MTU_MINIMUM ? -EINVAL : 0;
}

static int get_path_mtu(struct option_call *call)
{
    struct ip6_mtuinfo answer = {.ip6m_addr = {.sin6_family = AF_INET6}};
    int error = call->socket->domain == AF_INET6 ? read_path_mtu(call, true, &answer.ip6m_mtu)
                                                 : -EOPNOTSUPP;

    if (error == 0 && call->length < sizeof(answer))
        error = -EINVAL;
    return error < 0 ? error : option_answer(call, &answer, sizeof(answer));
}

/* ---- Ports ---- */

static int get_port_range(struct option_call *call)
{
    return option_answer_byte_or_int(call, (int)call->socket->port_range);
}

/* The lowest in the lower half, the highest in the upper; 0: the host's. */
static int set_port_range(struct option_call *call)
{
    uint32_t range;
    uint16_t lowest, highest;
    int error = option_read_exactly(call, &range, sizeof(range));

    if (error < 0)
        return error;
    lowest = (uint16_t)range;
    highest = (uint16_t)(range >> 16);
    if (lowest != 0 && highest != 0 && lowest > highest)
        return -EINVAL;
    call->socket->port_range = range;
    return 0;
}

/* Linux tells the port: what is the protocol of a raw socket is the port of others. */
static int get_protocol(struct option_call *call)
{
    return option_answer_byte_or_int(call, call->socket->port);
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
    {SOL_IP, IP_MTU, get_mtu, NULL},
    {SOL_IP, IP_LOCAL_PORT_RANGE, get_port_range, set_port_range},
    {SOL_IP, IP_PROTOCOL, get_protocol, NULL},
    {SOL_IPV6, IPV6_MTU, get_mtu_ipv6, set_mtu_ipv6},
    {SOL_IPV6, IPV6_PATHMTU, get_path_mtu, NULL},
    {SOL_IPV6, IPV6_UNICAST_HOPS, get_hops, set_hops},
    {SOL_IPV6, IPV6_MTU_DISCOVER, get_mtu_discover_ipv6, set_mtu_discover_ipv6},
    {SOL_IPV6, IPV6_TCLASS, get_tclass, set_tclass},
    {SOL_IPV6, IPV6_V6ONLY, get_v6only, set_v6only},
    {0},
};
