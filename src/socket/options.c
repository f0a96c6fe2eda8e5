/* getsockopt() and setsockopt(): finding the option, and what all options have in common.
 *
 * RFC 6458, section 8; sizes and errors are those of Linux's net/sctp/socket.c.
 */
#include "socket/options.h"

static const struct option *const tables[] = {
    options_of_association, options_of_endpoint, options_of_path,        options_of_failure,
    options_of_auth,        options_of_asconf,   options_of_reliability, options_of_reconfig,
    options_of_schedule,    options_of_socket,   options_of_ip};

static const struct option *option_find(int level, int name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct option *option = tables[i]; option->get || option->set; option++)
            if (option->level == level && option->name == name)
                return option;
    return NULL;
}

int socket_get_option(struct sctp_socket *socket, int level, int name, void *value, size_t *length,
                      const struct socket_caller *caller, braid_time now,
                      struct sctp_socket **peeled)
{
    const struct option *option = option_find(level, name);
    struct option_call call = {.socket = socket,
                               .level = level,
                               .name = name,
                               .value = value,
                               .length = *length,
                               .caller = caller,
                               .now = now};
    int result;

    *peeled = NULL;
    result = option && option->get ? option->get(&call) : option_get_kept(&call);
    *length = call.length;
    *peeled = call.peeled;
    return result;
}

int socket_set_option(struct sctp_socket *socket, int level, int name, const void *value,
                      size_t length, const struct socket_caller *caller, braid_time now,
                      int32_t *association)
{
    const struct option *option = option_find(level, name);
    struct option_call call = {.socket = socket,
                               .level = level,
                               .name = name,
                               .value = (void *)value,
                               .length = length,
                               .caller = caller,
                               .now = now};
    int result;

    *association = 0;
    if (level == SOL_SOCKET && length < sizeof(int))
        return -EINVAL;
    result = option && option->set ? option->set(&call) : option_set_kept(&call);
    *association = call.association;
    return result;
}

int option_read(const struct option_call *call, void *to, size_t size)
{
    if (call->length < size)
        return -EINVAL;
    memcpy(to, call->value, size);
    return 0;
}

int option_read_exactly(const struct option_call *call, void *to, size_t size)
{
    return call->length == size ? option_read(call, to, size) : -EINVAL;
}

int option_answer(struct option_call *call, const void *from, size_t size)
{
    if (size > 0)
        memcpy(call->value, from, size);
    call->length = size;
    return 0;
}

int option_answer_cut(struct option_call *call, const void *from, size_t size)
{
    return option_answer(call, from, call->length < size ? call->length : size);
}

int option_answer_int_cut(struct option_call *call, int value)
{
    return option_answer_cut(call, &value, sizeof(value));
}

int option_read_byte_or_int(const struct option_call *call, int *value)
{
    if (call->length >= sizeof(int))
        return option_read_int(call, value);
    *value = call->length > 0 ? *(const uint8_t *)call->value : 0;
    return 0;
}

int option_answer_byte_or_int(struct option_call *call, int value)
{
    uint8_t byte = (uint8_t)value;

    if (call->length < sizeof(int) && call->length > 0 && value >= 0 && value <= 255)
        return option_answer(call, &byte, 1);
    return option_answer_cut(call, &value, sizeof(value));
}

int option_get_refused(struct option_call *call)
{
    (void)call;
    return -EOPNOTSUPP;
}

int option_read_int(const struct option_call *call, int *value)
{
    return option_read(call, value, sizeof(*value));
}

int option_answer_int(struct option_call *call, int value)
{
    if (call->length < sizeof(value))
        return -EINVAL;
    return option_answer(call, &value, sizeof(value));
}

int option_association(const struct option_call *call, sctp_assoc_t identifier,
                       struct socket_association **association)
{
    *association = socket_find_association(call->socket, identifier);
    if (!*association && identifier != SCTP_FUTURE_ASSOC && socket_is_one_to_many(call->socket))
        return -EINVAL;
    return 0;
}

int option_read_value(const struct option_call *call, struct sctp_assoc_value *value,
                      struct socket_association **association)
{
    int error = option_read(call, value, sizeof(*value));

    return error < 0 ? error : option_association(call, value->assoc_id, association);
}

int option_read_value_exactly(const struct option_call *call, struct sctp_assoc_value *value,
                              struct socket_association **association)
{
    int error = option_read_exactly(call, value, sizeof(*value));

    return error < 0 ? error : option_association(call, value->assoc_id, association);
}

int option_get_supported(struct option_call *call, bool offered,
                         bool (*has)(const struct braid_association_info *info))
{
    struct socket_association *association = NULL;
    struct braid_association_info info = {0};
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    if (association)
        braid_association_info(call->socket->table->engine, association->engine, &info);
    value.assoc_value = association ? has(&info) : offered;
    return option_answer(call, &value, sizeof(value));
}

int option_set_supported(struct option_call *call, bool *offered)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read_value_exactly(call, &value, &association);

    if (error < 0)
        return error;
    *offered = value.assoc_value != 0;
    socket_apply_parameters(call->socket);
    return 0;
}

int option_for_each(struct option_call *call, sctp_assoc_t identifier,
                    void (*apply)(struct sctp_socket *socket,
                                  struct socket_association *association, const void *value),
                    const void *value)
{
    struct sctp_socket *socket = call->socket;
    struct socket_association *association = socket_find_association(socket, identifier);

    if (association) {
        apply(socket, association, value);
        return 0;
    }
    if (socket->style != SOCKET_ONE_TO_MANY)
        identifier = SCTP_FUTURE_ASSOC;
    else if (identifier > SCTP_ALL_ASSOC)
        return -EINVAL;
    if (identifier == SCTP_FUTURE_ASSOC || identifier == SCTP_ALL_ASSOC)
        apply(socket, NULL, value);
    if (identifier == SCTP_CURRENT_ASSOC || identifier == SCTP_ALL_ASSOC)
        LIST_FOR_EACH(link, &socket->associations)
        {
            association = LIST_ENTRY(link, struct socket_association, link);
            if (!association->down)
                apply(socket, association, value);
        }
    socket_apply_parameters(socket);
    return 0;
}

void option_for_all(struct sctp_socket *socket,
                    void (*apply)(struct sctp_socket *socket, struct braid_parameters *parameters))
{
    apply(socket, &socket->parameters);
    socket_apply_parameters(socket);
    LIST_FOR_EACH(link, &socket->associations)
    {
        struct socket_association *association = LIST_ENTRY(link, struct socket_association, link);
        struct braid_parameters *parameters = socket_association_parameters(association);

        if (parameters && !association->down)
            apply(socket, parameters);
    }
}
