/* Options of a whole SCTP socket: what its future associations are like, its addresses, and the
 * calls that libsctp makes by way of options.
 *
 * RFC 6458, section 8.1 (read and write), 8.2 (read only), 9.1 (bindx), 9.2 (peeloff), 9.5
 * (getladdrs), 9.9 (connectx), 6.2 (SCTP_EVENTS).
 */
#include "socket/options.h"

#define AUTOCLOSE_MAXIMUM 8589934u /* seconds: Linux's net.sctp.max_autoclose, at 250 ticks/s */

/* ---- On and off ---- */

static int get_nodelay(struct option_call *call)
{
    return option_answer_int(call, call->socket->parameters.no_delay);
}

static void apply_nodelay(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->no_delay = socket->parameters.no_delay;
}

static int set_nodelay(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    call->socket->parameters.no_delay = value != 0;
    option_for_all(call->socket, apply_nodelay);
    return 0;
}

static int get_disable_fragments(struct option_call *call)
{
    return option_answer_int(call, call->socket->parameters.disable_fragments);
}

static void apply_disable_fragments(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->disable_fragments = socket->parameters.disable_fragments;
}

static int set_disable_fragments(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    call->socket->parameters.disable_fragments = value != 0;
    option_for_all(call->socket, apply_disable_fragments);
    return 0;
}

static int get_mapped_v4(struct option_call *call)
{
    return option_answer_int(call, call->socket->mapped_v4);
}

static int set_mapped_v4(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error == 0)
        call->socket->mapped_v4 = value != 0;
    return error;
}

static int get_recvrcvinfo(struct option_call *call)
{
    return option_answer_int(call, call->socket->receive_rcvinfo);
}

static int set_recvrcvinfo(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    call->socket->receive_rcvinfo = value != 0;
    socket_changed(call->socket, SOCKET_STATE);
    return 0;
}

static int get_recvnxtinfo(struct option_call *call)
{
    return option_answer_int(call, call->socket->receive_nxtinfo);
}

static int set_recvnxtinfo(struct option_call *call)
{
    int value, error = option_read_int(call, &value);

    if (error < 0)
        return error;
    call->socket->receive_nxtinfo = value != 0;
    socket_changed(call->socket, SOCKET_STATE);
    return 0;
}

static int get_fragment_interleave(struct option_call *call)
{
    return option_answer_int(call, call->socket->fragment_interleave);
}

static int set_fragment_interleave(struct option_call *call)
{
    int value, error = option_read_exactly(call, &value, sizeof(value));

    if (error < 0)
        return error;
    call->socket->fragment_interleave = value != 0; /* Linux knows no other level */
    call->socket->parameters.interleaving &= value != 0;
    socket_apply_parameters(call->socket);
    return 0;
}

static int get_reuse_port(struct option_call *call)
{
    return option_answer_int(call, call->socket->sctp_reuse_port);
}

static int set_reuse_port(struct option_call *call)
{
    int value;

    if (call->socket->style != SOCKET_ONE_TO_ONE)
        return -EOPNOTSUPP;
    if (call->socket->port != 0)
        return -EFAULT;
    if (option_read_int(call, &value) < 0)
        return -EINVAL;
    call->socket->sctp_reuse_port = value != 0;
    return 0;
}

static bool has_ecn(const struct braid_association_info *info)
{
    return info->ecn;
}

static int get_ecn(struct option_call *call)
{
    return option_get_supported(call, call->socket->parameters.ecn, has_ecn);
}

static int set_ecn(struct option_call *call)
{
    return option_set_supported(call, &call->socket->parameters.ecn);
}

/* RFC 8260, section 4.3.1; as on Linux it takes SCTP_FRAGMENT_INTERLEAVE and net.sctp.intl_enable.
 */
static bool has_interleaving(const struct braid_association_info *info)
{
    return info->interleaving;
}

static int get_interleaving(struct option_call *call)
{
    return option_get_supported(call, call->socket->parameters.interleaving, has_interleaving);
}

static int set_interleaving(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read(call, &value, sizeof(value));

    if (error == 0)
        error = option_association(call, value.assoc_id, &association);
    if (error < 0)
        return error;
    if (!call->socket->table->config.interleaving || !call->socket->fragment_interleave)
        return -EPERM;
    call->socket->parameters.interleaving = value.assoc_value != 0;
    socket_apply_parameters(call->socket);
    return 0;
}

/* ---- Numbers ---- */

static int get_autoclose(struct option_call *call)
{
    if (call->socket->style == SOCKET_ONE_TO_ONE)
        return -EOPNOTSUPP;
    return option_answer_int(call, (int)call->socket->autoclose);
}

static int set_autoclose(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    uint32_t seconds;

    if (socket->style == SOCKET_ONE_TO_ONE)
        return -EOPNOTSUPP;
    if (option_read_exactly(call, &seconds, sizeof(seconds)) < 0)
        return -EINVAL;
    socket->autoclose = seconds > AUTOCLOSE_MAXIMUM ? AUTOCLOSE_MAXIMUM : seconds;
    socket->parameters.autoclose =
        socket->autoclose > UINT32_MAX / 1000 ? UINT32_MAX : socket->autoclose * 1000;
    socket_apply_parameters(socket);
    return 0;
}

static int get_partial_delivery_point(struct option_call *call)
{
    return option_answer_int(call, (int)call->socket->partial_delivery_point);
}

static void apply_partial_delivery_point(struct sctp_socket *socket,
                                         struct braid_parameters *parameters)
{
    parameters->partial_delivery_point = socket->partial_delivery_point;
}

static int set_partial_delivery_point(struct option_call *call)
{
    uint32_t value;

    if (option_read_exactly(call, &value, sizeof(value)) < 0 ||
        value > call->socket->receive_buffer / 2)
        return -EINVAL;
    call->socket->partial_delivery_point = value;
    option_for_all(call->socket, apply_partial_delivery_point);
    return 0;
}

static int get_adaptation(struct option_call *call)
{
    struct sctp_setadaptation adaptation = {.ssb_adaptation_ind = call->socket->adaptation};

    if (call->length < sizeof(adaptation))
        return -EINVAL;
    return option_answer(call, &adaptation, sizeof(adaptation));
}

static int set_adaptation(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    struct sctp_setadaptation adaptation;

    if (option_read_exactly(call, &adaptation, sizeof(adaptation)) < 0)
        return -EINVAL;
    socket->adaptation = adaptation.ssb_adaptation_ind;
    socket->parameters.adaptation_indication = socket->adaptation;
    socket->parameters.adaptation_given = socket->adaptation != 0;
    socket_apply_parameters(socket);
    return 0;
}

static int get_initmsg(struct option_call *call)
{
    const struct braid_parameters *parameters = &call->socket->parameters;
    struct sctp_initmsg init = {
        .sinit_num_ostreams = parameters->outbound_streams,
        .sinit_max_instreams = parameters->inbound_streams,
        .sinit_max_attempts = (uint16_t)parameters->max_init_retransmits,
        .sinit_max_init_timeo = (uint16_t)parameters->max_init_timeout,
    };

    if (call->length < sizeof(init))
        return -EINVAL;
    return option_answer(call, &init, sizeof(init));
}

static int set_initmsg(struct option_call *call)
{
    struct braid_parameters *parameters = &call->socket->parameters;
    struct sctp_initmsg init;

    if (option_read_exactly(call, &init, sizeof(init)) < 0)
        return -EINVAL;
    if (init.sinit_num_ostreams != 0)
        parameters->outbound_streams = init.sinit_num_ostreams;
    if (init.sinit_max_instreams != 0)
        parameters->inbound_streams = init.sinit_max_instreams;
    if (init.sinit_max_attempts != 0)
        parameters->max_init_retransmits = init.sinit_max_attempts;
    if (init.sinit_max_init_timeo != 0)
        parameters->max_init_timeout = init.sinit_max_init_timeo;
    socket_apply_parameters(call->socket);
    return 0;
}

/* ---- Notifications ---- */

static int get_events(struct option_call *call)
{
    uint8_t events[sizeof(struct sctp_event_subscribe)];
    size_t length = call->length < sizeof(events) ? call->length : sizeof(events);

    if (length == 0)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        events[i] = call->socket->subscribed >> i & 1;
    return option_answer(call, events, length);
}

static int set_events(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    const uint8_t *events = call->value;
    struct socket_association *only;

    if (call->length > sizeof(struct sctp_event_subscribe))
        return -EINVAL;
    for (size_t i = 0; i < call->length; i++)
        socket->subscribed =
            (uint16_t)(events[i] ? socket->subscribed | 1u << i : socket->subscribed & ~(1u << i));
    LIST_FOR_EACH(link, &socket->associations)
    {
        LIST_ENTRY(link, struct socket_association, link)->subscribed = socket->subscribed;
    }
    socket_changed(socket, SOCKET_STATE);
    only = socket_find_association(socket, 0);
    if (only && socket_queue_size(socket) == 0)
        notify_dry(only);
    return 0;
}

/* ---- Associations and addresses ---- */

static int get_assoc_number(struct option_call *call)
{
    if (call->socket->style == SOCKET_ONE_TO_ONE)
        return -EOPNOTSUPP;
    return option_answer_int(call, (int)call->socket->association_count);
}

static int get_assoc_id_list(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    struct sctp_assoc_ids *list = call->value;
    uint32_t count = 0;

    if (socket->style == SOCKET_ONE_TO_ONE)
        return -EOPNOTSUPP;
    if (call->length < sizeof(*list) + socket->association_count * sizeof(sctp_assoc_t))
        return -EINVAL;
    LIST_FOR_EACH(link, &socket->associations)
    {
        struct socket_association *association = LIST_ENTRY(link, struct socket_association, link);

        if (!association->down)
            memcpy(&list->gaids_assoc_id[count++], &association->identifier, sizeof(sctp_assoc_t));
    }
    list->gaids_number_of_ids = count;
    call->length = sizeof(*list) + count * sizeof(sctp_assoc_t);
    return 0;
}

/* Appends an address to a list in the caller's buffer. */
static int append_address(const struct option_call *call, const struct braid_address *address,
                          uint16_t port, size_t *used)
{
    union channel_address user;
    size_t length = address_to_user(call->socket, address, port, &user);

    if (call->length - *used < length)
        return -ENOMEM;
    memcpy((uint8_t *)call->value + *used, &user, length);
    *used += length;
    return 0;
}

static bool address_is_wanted(const struct sctp_socket *socket, const struct braid_address *address)
{
    if (address->family == BRAID_IPV6)
        return socket->domain == AF_INET6;
    return socket->domain == AF_INET || !socket->v6only;
}

static int get_local_addrs(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    const struct braid_address *addresses = socket->bound;
    const struct socket_association *association = NULL;
    struct braid_address of_association[SOCKET_BOUND_MAXIMUM];
    size_t count = socket->bound_count;
    size_t used = sizeof(struct sctp_getaddrs);
    struct sctp_getaddrs header;
    int error = option_read(call, &header, sizeof(header));

    if (error < 0)
        return error;
    if (header.assoc_id != 0) {
        association = socket_find_association(socket, header.assoc_id);
        if (!association)
            return -EINVAL;
        addresses = of_association;
        count = braid_association_addresses(socket->table->engine, association->engine,
                                            of_association, SOCKET_BOUND_MAXIMUM);
    } else if (count == 1 && braid_address_is_unspecified(&addresses[0])) {
        addresses = socket->table->addresses;
        count = socket->table->address_count;
    }
    header.addr_num = 0;
    for (size_t i = 0; i < count; i++) {
        if (!address_is_wanted(socket, &addresses[i]))
            continue;
        error = append_address(call, &addresses[i], socket->port, &used);
        if (error < 0)
            return error;
        header.addr_num++;
    }
    memcpy(call->value, &header, sizeof(header));
    call->length = used;
    return 0;
}

static int get_peer_addrs(struct option_call *call)
{
    struct braid_engine *engine = call->socket->table->engine;
    struct socket_association *association = NULL;
    struct braid_path_info path;
    size_t used = sizeof(struct sctp_getaddrs);
    struct sctp_getaddrs header;
    int error = option_read(call, &header, sizeof(header));

    if (error < 0)
        return error;
    association = socket_find_association(call->socket, header.assoc_id);
    if (!association)
        return -EINVAL;
    header.addr_num = 0;
    while (braid_path_info(engine, association->engine, header.addr_num, &path) == 0) {
        error = append_address(call, &path.address, association->peer_port, &used);
        if (error < 0)
            return error;
        header.addr_num++;
    }
    memcpy(call->value, &header, sizeof(header));
    call->length = used;
    return 0;
}

static int set_bindx_add(struct option_call *call)
{
    return socket_bind_change(call->socket, call->value, call->length, true, call->caller,
                              call->now);
}

static int set_bindx_rem(struct option_call *call)
{
    return socket_bind_change(call->socket, call->value, call->length, false, call->caller,
                              call->now);
}

static int set_connectx(struct option_call *call)
{
    return socket_connect(call->socket, call->value, call->length, call->caller, call->now,
                          &call->association);
}

static int get_peeloff(struct option_call *call)
{
    sctp_peeloff_arg_t argument;
    int error = option_read(call, &argument, sizeof(argument));

    if (error == 0)
        error = socket_peel_off(call->socket, argument.associd, &call->peeled);
    return error < 0 ? error : option_answer(call, &argument, sizeof(argument));
}

static int get_peeloff_flags(struct option_call *call)
{
    sctp_peeloff_flags_arg_t argument;
    int error = option_read(call, &argument, sizeof(argument));

    if (error == 0)
        error = socket_peel_off(call->socket, argument.p_arg.associd, &call->peeled);
    return error < 0 ? error : option_answer(call, &argument, sizeof(argument));
}

const struct option options_of_endpoint[] = {
    {SOL_SCTP, SCTP_NODELAY, get_nodelay, set_nodelay},
    {SOL_SCTP, SCTP_DISABLE_FRAGMENTS, get_disable_fragments, set_disable_fragments},
    {SOL_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR, get_mapped_v4, set_mapped_v4},
    {SOL_SCTP, SCTP_RECVRCVINFO, get_recvrcvinfo, set_recvrcvinfo},
    {SOL_SCTP, SCTP_RECVNXTINFO, get_recvnxtinfo, set_recvnxtinfo},
    {SOL_SCTP, SCTP_FRAGMENT_INTERLEAVE, get_fragment_interleave, set_fragment_interleave},
    {SOL_SCTP, SCTP_INTERLEAVING_SUPPORTED, get_interleaving, set_interleaving},
    {SOL_SCTP, SCTP_ECN_SUPPORTED, get_ecn, set_ecn},
    {SOL_SCTP, SCTP_REUSE_PORT, get_reuse_port, set_reuse_port},
    {SOL_SCTP, SCTP_AUTOCLOSE, get_autoclose, set_autoclose},
    {SOL_SCTP, SCTP_PARTIAL_DELIVERY_POINT, get_partial_delivery_point, set_partial_delivery_point},
    {SOL_SCTP, SCTP_ADAPTATION_LAYER, get_adaptation, set_adaptation},
    {SOL_SCTP, SCTP_INITMSG, get_initmsg, set_initmsg},
    {SOL_SCTP, SCTP_EVENTS, get_events, set_events},
    {SOL_SCTP, SCTP_GET_ASSOC_NUMBER, get_assoc_number, NULL},
    {SOL_SCTP, SCTP_GET_ASSOC_ID_LIST, get_assoc_id_list, NULL},
    {SOL_SCTP, SCTP_GET_LOCAL_ADDRS, get_local_addrs, NULL},
    {SOL_SCTP, SCTP_GET_PEER_ADDRS, get_peer_addrs, NULL},
    {SOL_SCTP, SCTP_SOCKOPT_BINDX_ADD, NULL, set_bindx_add},
    {SOL_SCTP, SCTP_SOCKOPT_BINDX_REM, NULL, set_bindx_rem},
    {SOL_SCTP, SCTP_SOCKOPT_CONNECTX, NULL, set_connectx},
    {SOL_SCTP, SCTP_SOCKOPT_CONNECTX_OLD, NULL, set_connectx},
    {SOL_SCTP, SCTP_SOCKOPT_PEELOFF, get_peeloff, NULL},
    {SOL_SCTP, SCTP_SOCKOPT_PEELOFF_FLAGS, get_peeloff_flags, NULL},
    {0},
};
