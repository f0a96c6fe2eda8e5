/*
 * A user's messages: they enter the sender, and leave it, acknowledged or given back.
 *
 * RFC 9260, section 11.1.5 (SEND), section 11.2.2 (SEND FAILURE). A message is copied once, when
 * the user sends it; its fragments and their retransmissions point into it.
 */
#include <stdlib.h>

#include "engine/private.h"

static size_t message_size(const struct sent_message *message)
{
    return sizeof(*message) + message->length;
}

static void tell(struct sctp_association *association, enum braid_event_type type)
{
    struct braid_event event = {
        .type = type,
        .association = association->id,
        .endpoint = association->endpoint->id,
    };

    event_add(association->engine, &event, NULL, 0);
}

static int check_send(const struct sctp_association *association, const struct braid_send *send,
                      size_t length)
{
    if (!association || association->down)
        return -ENOTCONN;
    if (association->state > BRAID_ESTABLISHED)
        return -EPIPE;
    if (length == 0 || length > UINT32_MAX / 2 || send->stream >= association->outbound_streams ||
        send->policy >= BRAID_POLICY_COUNT ||
        send->flags & ~(BRAID_SEND_UNORDERED | BRAID_SEND_SACK_IMMEDIATELY | BRAID_SEND_OVER_PATH |
                        BRAID_SEND_KEY | BRAID_SEND_MORE))
        return -EINVAL;
    if (send->flags & BRAID_SEND_OVER_PATH && send->path >= association->path_count)
        return -EINVAL;
    if (association->parameters.disable_fragments &&
        length > association_fragmentation_point(association))
        return -EMSGSIZE;
    return 0;
}

void sender_hold_or_queue(struct sctp_association *association, struct sent_message *message)
{
    struct sctp_sender *sender = &association->sender;

    if (association->reconfig && reconfig_holds(association, message->send.stream)) {
        sender_append(&sender->held, &sender->held_last, message);
        return;
    }
    if (sender->schedule)
        schedule_append(sender, message);
    else
        sender_append(&sender->first, &sender->last, message);
    sender->pending_bytes += message->length;
    sender->pending_messages++;
}

/* A quarter is for what comes: two whose sends had filled all there is would be told of closed
 * windows only, and wait for each other for ever. */
static bool has_account_room(const struct sctp_association *association, size_t size)
{
    const struct braid_account *account = association->account;

    return !account || account->bytes + size <= account->maximum - account->maximum / 4;
}

int braid_send(struct braid_engine *engine, uint32_t identifier, const struct braid_send *send,
               const void *bytes, size_t length, braid_time now)
{
    struct sctp_association *association = association_find(engine, identifier);
    struct sent_message *message;
    struct sctp_sender *sender;
    int error = check_send(association, send, length);

    if (now > engine->now)
        engine->now = now;
    if (error < 0)
        return error;
    sender = &association->sender;
    if (sender->queued_bytes >= association->parameters.send_buffer && sender->limited)
        abandon_for(association, send);
    if (sender->queued_bytes >= association->parameters.send_buffer) {
        sender->told_full = true;
        return -EAGAIN;
    }
    if (!has_account_room(association, sizeof(*message) + length))
        return -ENOBUFS;
    message = pool_allocate(&engine->pool, sizeof(*message) + length);
    if (!message)
        return -ENOMEM;
    *message = (struct sent_message){
        .length = (uint32_t)length,
        .small = length <= association_fragmentation_point(association),
        .send = *send,
        .expires = BRAID_TIME_NEVER,
    };
    if (send->lifetime && send->policy <= BRAID_POLICY_LIFETIME)
        message->expires = engine->now + milliseconds(send->lifetime);
    error = authentication_bind(association, message);
    if (error < 0) {
        pool_release(&engine->pool, message, message_size(message));
        return error;
    }
    memcpy(message->bytes, bytes, length);
    sender->more = send->flags & BRAID_SEND_MORE;
    sender_hold_or_queue(association, message);
    sender->queued_bytes += message->length;
    association_charge(association, (int64_t)message_size(message));
    if (message->expires != BRAID_TIME_NEVER || send->policy != BRAID_POLICY_NONE)
        sender->limited = true;
    association_set_ready(association);
    return 0;
}

int braid_association_room(struct braid_engine *engine, uint32_t identifier, uint32_t *room)
{
    struct sctp_association *association = association_find(engine, identifier);
    struct sctp_sender *sender;
    uint32_t size;

    if (!association)
        return -ENOENT;
    sender = &association->sender;
    size = association->parameters.send_buffer;
    if (sender->queued_bytes < size) {
        *room = size - sender->queued_bytes;
        return 0;
    }
    /* it has another answer for who has ended, and some messages make room for others (RFC 7496) */
    *room = association->down || association->state > BRAID_ESTABLISHED || sender->limited;
    sender->told_full |= *room == 0;
    return 0;
}

void sender_tell_room(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;

    if (sender->told_full && sender->queued_bytes < association->parameters.send_buffer) {
        sender->told_full = false;
        tell(association, BRAID_EVENT_WRITABLE);
    }
    if (sender->queued_bytes == 0)
        tell(association, BRAID_EVENT_DRY);
}

/* What it needs stands in the ring: the message was last touched long ago, and is not in the cache.
 */
void sender_release(struct sctp_association *association, const struct outstanding *last)
{
    uint32_t length = last->offset + last->length;
    size_t size = sizeof(struct sent_message) + length;

    association->sender.queued_bytes -= length;
    association->sender.numbered -= !(last->flags & SCTP_DATA_FLAG_UNORDERED);
    association_charge(association, -(int64_t)size);
    if (association->authentication)
        authentication_unbind(association, last->message);
    pool_release(&association->engine->pool, last->message, size);
}

void sender_give_back(struct sctp_association *association, struct sent_message *message)
{
    association->sender.numbered -=
        message->begun > 0 && !(message->send.flags & BRAID_SEND_UNORDERED);
    event_send_failed(association, message);
    sender_tell_room(association);
}

/* ---- The end ---- */

static void give_up(struct sctp_association *association, struct sent_message *message, bool tell)
{
    if (tell) {
        event_send_failed(association, message);
        return;
    }
    association_charge(association, -(int64_t)message_size(message));
    authentication_unbind(association, message);
    pool_release(&association->engine->pool, message, message_size(message));
}

static void give_up_all(struct sctp_association *association, struct sent_message *message,
                        bool tell)
{
    while (message) {
        struct sent_message *next = message->next;

        give_up(association, message, tell);
        message = next;
    }
}

void sender_free(struct sctp_association *association, bool tell)
{
    struct sctp_sender *sender = &association->sender;

    schedule_gather(sender);
    schedule_free(sender);
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++) {
        const struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->message && entry->flags & SCTP_DATA_FLAG_ENDING) /* else it waits, too */
            give_up(association, entry->message, tell);
    }
    give_up_all(association, sender->first, tell);
    give_up_all(association, sender->held, tell);
    free(sender->ring);
    free(sender->ssn);
    free(sender->mid);
    gaps_free(&sender->gaps);
    memset(sender, 0, sizeof(*sender));
}
