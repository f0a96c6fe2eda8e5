/* Notifications, in Linux's layouts.
 *
 * RFC 6458, section 6.1; Linux's <linux/sctp.h> and net/sctp/ulpevent.c say what stands in which
 * field. A notification is queued with its place among the messages of its association.
 */
#include <stdlib.h>

#include "socket/private.h"

#define ERROR_CAUSE_HEADER 4 /* RFC 9260, 3.3.10 */

enum {
    SCTP_DATA_LAST_FRAG = 1,
    SCTP_DATA_FIRST_FRAG = 2,
    SCTP_DATA_UNORDERED = 4,
    SCTP_DATA_SACK_IMM = 8,
};

/* Room for a notification, whose header (all begin alike) is filled, with `extra` bytes behind its
 * structure; NULL if it is not wanted. */
static void *notify_new(struct socket_association *association, uint16_t type, uint64_t after,
                        size_t length, size_t extra, struct socket_notification **notification)
{
    struct {
        uint16_t type, flags;
        uint32_t length;
    } header = {.type = type, .length = (uint32_t)(length + extra)};

    if (!socket_event_is_on(association->subscribed, type) || association->socket->closed ||
        socket_is_hung_up(association->socket))
        return NULL;
    *notification = calloc(1, sizeof(**notification) + length + extra);
    if (!*notification)
        return NULL;
    (*notification)->after = after;
    (*notification)->length = header.length;
    memcpy((*notification)->bytes, &header, sizeof(header));
    return (*notification)->bytes;
}

static uint16_t notification_type(const struct socket_notification *notification)
{
    uint16_t type;

    memcpy(&type, notification->bytes, sizeof(type));
    return type;
}

static void notify_queue(struct socket_association *association,
                         struct socket_notification *notification)
{
    list_append(&association->notifications, &notification->link);
    socket_association_set_readable(association);
}

/* As on Linux the end is told before the messages that it left unsent. */
static void notify_queue_end(struct socket_association *association,
                             struct socket_notification *notification)
{
    struct list *last = association->notifications.previous;

    while (last != &association->notifications) {
        uint16_t type = notification_type(LIST_ENTRY(last, struct socket_notification, link));

        if (type != SCTP_SEND_FAILED && type != SCTP_SEND_FAILED_EVENT)
            break;
        last = last->previous;
    }
    list_append(last->next, &notification->link);
    socket_association_set_readable(association);
}

void notify_association_change(struct socket_association *association, uint16_t state,
                               uint16_t error, uint64_t after, const void *info, size_t length)
{
    struct braid_association_info now = {0};
    struct socket_notification *notification;
    struct sctp_assoc_change *change =
        notify_new(association, SCTP_ASSOC_CHANGE, after, sizeof(*change), length, &notification);

    if (!change)
        return;
    change->sac_state = state;
    change->sac_error = htons(error);
    change->sac_assoc_id = association->identifier;
    if (state == SCTP_COMM_UP || state == SCTP_RESTART) {
        braid_association_info(association->socket->table->engine, association->engine, &now);
        change->sac_outbound_streams = now.outbound_streams;
        change->sac_inbound_streams = now.inbound_streams;
    }
    if (length > 0)
        memcpy(change->sac_info, info, length);
    if (state == SCTP_COMM_UP || state == SCTP_RESTART)
        notify_queue(association, notification);
    else
        notify_queue_end(association, notification);
}

static int path_change_state(enum braid_path_change change)
{
    switch (change) {
    case BRAID_PATH_AVAILABLE:
        return SCTP_ADDR_AVAILABLE;
    case BRAID_PATH_UNREACHABLE:
        return SCTP_ADDR_UNREACHABLE;
    case BRAID_PATH_REMOVED:
        return SCTP_ADDR_REMOVED;
    case BRAID_PATH_ADDED:
        return SCTP_ADDR_ADDED;
    case BRAID_PATH_MADE_PRIMARY:
        return SCTP_ADDR_MADE_PRIM;
    case BRAID_PATH_SUSPECTED:
        return SCTP_ADDR_POTENTIALLY_FAILED;
    case BRAID_PATH_RECOVERED:
        return SCTP_ADDR_AVAILABLE;
    case BRAID_PATH_CONFIRMED:
        break;
    }
    return SCTP_ADDR_CONFIRMED;
}

void notify_path_change(struct socket_association *association, const struct braid_event *event,
                        uint64_t after)
{
    struct socket_notification *notification;
    bool exposed = association->expose_potentially_failed == EXPOSE_ENABLED;
    struct sctp_paddr_change *change;

    if (!exposed &&
        (event->path_change == BRAID_PATH_SUSPECTED || event->path_change == BRAID_PATH_RECOVERED))
        return;
    change =
        notify_new(association, SCTP_PEER_ADDR_CHANGE, after, sizeof(*change), 0, &notification);
    if (!change)
        return;
    address_to_storage(association->socket, &event->address, association->peer_port,
                       &change->spc_aaddr);
    change->spc_state = path_change_state(event->path_change);
    change->spc_error = (int)event->value; /* SCTP_RECEIVED_SACK, SCTP_HEARTBEAT_SUCCESS */
    change->spc_assoc_id = association->identifier;
    notify_queue(association, notification);
}

void notify_remote_error(struct socket_association *association, const struct braid_event *event,
                         uint64_t after)
{
    size_t length = event->length > ERROR_CAUSE_HEADER ? event->length - ERROR_CAUSE_HEADER : 0;
    struct socket_notification *notification;
    struct sctp_remote_error *error =
        notify_new(association, SCTP_REMOTE_ERROR, after, sizeof(*error), length, &notification);

    if (!error)
        return;
    error->sre_error = htons(event->cause);
    error->sre_assoc_id = association->identifier;
    if (length > 0)
        memcpy(error->sre_data, event->bytes + ERROR_CAUSE_HEADER, length);
    notify_queue(association, notification);
}

/* One DATA chunk of a message that failed. As on Linux each is told by itself, with the chunk's own
 * flags, so that the program can put the message together again (RFC 9260, 3.3.1). */
struct failed_chunk {
    const uint8_t *bytes;
    size_t length;
    uint16_t flags;
};

static void notify_send_failed_old(struct socket_association *association,
                                   const struct braid_event *event,
                                   const struct failed_chunk *chunk, uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_send_failed *failed = notify_new(association, SCTP_SEND_FAILED, after,
                                                 sizeof(*failed), chunk->length, &notification);

    if (!failed)
        return;
    failed->ssf_flags = event->unsent ? SCTP_DATA_UNSENT : SCTP_DATA_SENT;
    failed->ssf_error = htons(event->cause);
    failed->ssf_assoc_id = association->identifier;
    failed->ssf_info = (struct sctp_sndrcvinfo){
        .sinfo_stream = event->send.stream,
        .sinfo_flags = chunk->flags,
        .sinfo_ppid = htonl(event->send.ppid),
        .sinfo_context = event->send.context,
        .sinfo_timetolive =
            event->send.policy > BRAID_POLICY_LIFETIME ? event->send.limit : event->send.lifetime,
        .sinfo_assoc_id = association->identifier,
    };
    if (chunk->length > 0)
        memcpy(failed->ssf_data, chunk->bytes, chunk->length);
    notify_queue(association, notification);
}

static void notify_send_failed_event(struct socket_association *association,
                                     const struct braid_event *event,
                                     const struct failed_chunk *chunk, uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_send_failed_event *failed = notify_new(
        association, SCTP_SEND_FAILED_EVENT, after, sizeof(*failed), chunk->length, &notification);

    if (!failed)
        return;
    failed->ssf_flags = event->unsent ? SCTP_DATA_UNSENT : SCTP_DATA_SENT;
    failed->ssf_error = htons(event->cause);
    failed->ssf_assoc_id = association->identifier;
    failed->ssfe_info = (struct sctp_sndinfo){
        .snd_sid = event->send.stream,
        .snd_flags = chunk->flags,
        .snd_ppid = htonl(event->send.ppid),
        .snd_context = event->send.context,
        .snd_assoc_id = association->identifier,
    };
    if (chunk->length > 0)
        memcpy(failed->ssf_data, chunk->bytes, chunk->length);
    notify_queue(association, notification);
}

void notify_send_failed(struct socket_association *association, const struct braid_event *event,
                        uint64_t after)
{
    uint16_t unordered = event->send.flags & BRAID_SEND_UNORDERED ? SCTP_DATA_UNORDERED : 0;
    uint16_t last = event->send.flags & BRAID_SEND_SACK_IMMEDIATELY
                        ? SCTP_DATA_LAST_FRAG | SCTP_DATA_SACK_IMM
                        : SCTP_DATA_LAST_FRAG;
    size_t done = 0;

    do {
        size_t left = event->length - done;
        size_t length = event->segment > 0 && left > event->segment ? event->segment : left;
        struct failed_chunk chunk = {
            .bytes = event->bytes + done,
            .length = length,
            .flags =
                unordered | (done == 0 ? SCTP_DATA_FIRST_FRAG : 0) | (length == left ? last : 0),
        };

        notify_send_failed_old(association, event, &chunk, after);
        notify_send_failed_event(association, event, &chunk, after);
        done += length;
    } while (done < event->length);
}

void notify_shutdown(struct socket_association *association, uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_shutdown_event *shutdown =
        notify_new(association, SCTP_SHUTDOWN_EVENT, after, sizeof(*shutdown), 0, &notification);

    if (!shutdown)
        return;
    shutdown->sse_assoc_id = association->identifier;
    notify_queue(association, notification);
}

void notify_adaptation(struct socket_association *association, uint32_t indication, uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_adaptation_event *adaptation = notify_new(
        association, SCTP_ADAPTATION_INDICATION, after, sizeof(*adaptation), 0, &notification);

    if (!adaptation)
        return;
    adaptation->sai_adaptation_ind = indication;
    adaptation->sai_assoc_id = association->identifier;
    notify_queue(association, notification);
}

void notify_partial_delivery(struct socket_association *association,
                             const struct braid_event *event, uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_pdapi_event *partial = notify_new(association, SCTP_PARTIAL_DELIVERY_EVENT, after,
                                                  sizeof(*partial), 0, &notification);

    if (!partial)
        return;
    partial->pdapi_indication = SCTP_PARTIAL_DELIVERY_ABORTED;
    partial->pdapi_assoc_id = association->identifier;
    partial->pdapi_stream = event->value;
    partial->pdapi_seq = event->ssn;
    notify_queue(association, notification);
}

static uint32_t authentication_indication(enum braid_authentication_indication indication)
{
    switch (indication) {
    case BRAID_AUTHENTICATION_NEW_KEY:
        return SCTP_AUTH_NEW_KEY;
    case BRAID_AUTHENTICATION_FREE_KEY:
        return SCTP_AUTH_FREE_KEY;
    case BRAID_AUTHENTICATION_NONE:
        break;
    }
    return SCTP_AUTH_NO_AUTH;
}

void notify_authentication(struct socket_association *association, const struct braid_event *event,
                           uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_authkey_event *authkey = notify_new(association, SCTP_AUTHENTICATION_EVENT, after,
                                                    sizeof(*authkey), 0, &notification);

    if (!authkey)
        return;
    authkey->auth_keynumber = event->key;
    authkey->auth_indication = authentication_indication(event->authentication);
    authkey->auth_assoc_id = association->identifier;
    notify_queue(association, notification);
}

/* The bits are the same in SCTP_ASSOC_RESET_EVENT and SCTP_STREAM_CHANGE_EVENT. */
static uint16_t outcome_flags(enum braid_reconfig_outcome outcome)
{
    switch (outcome) {
    case BRAID_RECONFIG_DENIED:
        return SCTP_STREAM_RESET_DENIED;
    case BRAID_RECONFIG_FAILED:
        return SCTP_STREAM_RESET_FAILED;
    case BRAID_RECONFIG_PERFORMED:
        break;
    }
    return 0;
}

void notify_streams_reset(struct socket_association *association, const struct braid_event *event,
                          uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_stream_reset_event *reset = notify_new(
        association, SCTP_STREAM_RESET_EVENT, after, sizeof(*reset), event->length, &notification);

    if (!reset)
        return;
    reset->strreset_flags = (uint16_t)(outcome_flags(event->outcome) |
                                       (event->incoming ? SCTP_STREAM_RESET_INCOMING_SSN
                                                        : SCTP_STREAM_RESET_OUTGOING_SSN));
    reset->strreset_assoc_id = association->identifier;
    if (event->length > 0)
        memcpy(reset->strreset_stream_list, event->bytes, event->length);
    notify_queue(association, notification);
}

/* Which of the two Linux calls local is that which the peer sends next. */
void notify_association_reset(struct socket_association *association,
                              const struct braid_event *event, uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_assoc_reset_event *reset =
        notify_new(association, SCTP_ASSOC_RESET_EVENT, after, sizeof(*reset), 0, &notification);

    if (!reset)
        return;
    reset->assocreset_flags = outcome_flags(event->outcome);
    reset->assocreset_assoc_id = association->identifier;
    reset->assocreset_local_tsn = event->next_tsn_received;
    reset->assocreset_remote_tsn = event->next_tsn_sent;
    notify_queue(association, notification);
}

void notify_streams_added(struct socket_association *association, const struct braid_event *event,
                          uint64_t after)
{
    struct socket_notification *notification;
    struct sctp_stream_change_event *change =
        notify_new(association, SCTP_STREAM_CHANGE_EVENT, after, sizeof(*change), 0, &notification);

    if (!change)
        return;
    change->strchange_flags = outcome_flags(event->outcome);
    change->strchange_assoc_id = association->identifier;
    change->strchange_instrms = event->inbound_streams;
    change->strchange_outstrms = event->outbound_streams;
    notify_queue(association, notification);
}

void notify_dry(struct socket_association *association)
{
    struct socket_notification *notification;
    struct sctp_sender_dry_event *dry =
        notify_new(association, SCTP_SENDER_DRY_EVENT, association->messages_read, sizeof(*dry), 0,
                   &notification);

    if (!dry)
        return;
    dry->sender_dry_assoc_id = association->identifier;
    notify_queue(association, notification);
}
