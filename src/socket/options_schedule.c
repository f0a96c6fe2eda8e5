/* Options of stream schedulers (RFC 8260, section 4.3.2 and 4.3.3), with Linux's sizes and errors.
 */
#include "socket/options.h"

_Static_assert((int)SCTP_SS_FCFS == BRAID_SCHEDULER_FIRST_COME &&
                   (int)SCTP_SS_PRIO == BRAID_SCHEDULER_PRIORITY &&
                   (int)SCTP_SS_RR == BRAID_SCHEDULER_ROUND_ROBIN,
               "Linux's numbers are the engine's");

static int get_scheduler(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    value.assoc_value = call->socket->parameters.scheduler;
    if (association)
        value.assoc_value =
            braid_association_scheduler(call->socket->table->engine, association->engine);
    return option_answer(call, &value, sizeof(value));
}

static void apply_scheduler(struct sctp_socket *socket, struct socket_association *association,
                            const void *value)
{
    const struct sctp_assoc_value *scheduler = value;

    if (association)
        (void)braid_association_set_scheduler(socket->table->engine, association->engine,
                                              (enum braid_scheduler)scheduler->assoc_value);
    else
        socket->parameters.scheduler = (uint8_t)scheduler->assoc_value;
}

static int set_scheduler(struct option_call *call)
{
    struct sctp_assoc_value value;

    if (option_read(call, &value, sizeof(value)) < 0 || value.assoc_value > SCTP_SS_MAX)
        return -EINVAL;
    return option_for_each(call, value.assoc_id, apply_scheduler, &value);
}

static int get_value(struct option_call *call)
{
    const struct socket_association *association;
    struct sctp_stream_value value;
    int error = option_read(call, &value, sizeof(value));

    if (error < 0)
        return error;
    association = socket_find_association(call->socket, value.assoc_id);
    if (!association)
        return -EINVAL;
    error = braid_association_stream_value(call->socket->table->engine, association->engine,
                                           value.stream_id, &value.stream_value);
    return error < 0 ? -EINVAL : option_answer(call, &value, sizeof(value));
}

/* Of one association, or of all: the last error counts, but none stops it. */
static int set_value(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    struct socket_association *association;
    struct sctp_stream_value value;
    int error = option_read(call, &value, sizeof(value));

    if (error < 0)
        return error;
    association = socket_find_association(socket, value.assoc_id);
    if (association)
        return braid_association_set_stream_value(socket->table->engine, association->engine,
                                                  value.stream_id, value.stream_value);
    if (socket->style == SOCKET_ONE_TO_MANY && value.assoc_id != SCTP_CURRENT_ASSOC)
        return -EINVAL;
    LIST_FOR_EACH(link, &socket->associations)
    {
        int result;

        association = LIST_ENTRY(link, struct socket_association, link);
        if (association->down)
            continue;
        result = braid_association_set_stream_value(socket->table->engine, association->engine,
                                                    value.stream_id, value.stream_value);
        if (result < 0)
            error = result;
    }
    return error;
}

const struct option options_of_schedule[] = {
    {SOL_SCTP, SCTP_STREAM_SCHEDULER, get_scheduler, set_scheduler},
    {SOL_SCTP, SCTP_STREAM_SCHEDULER_VALUE, get_value, set_value},
    {0},
};
