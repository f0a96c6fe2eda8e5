/*
 * The auditor. See audit.h.
 *
 * What is looked at is private to the engine: no test of behaviour can see a counter that is one
 * off before it does harm, hours later.
 */
#include "audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/private.h"

/* What is found in the sender's queues and ring. */
struct found {
    uint32_t outstanding_chunks, outstanding_bytes, marked, abandoned, numbered;
    uint32_t pending_messages, pending_bytes;
    uint64_t queued_bytes, charged;
    uint32_t flight[ADDRESSES_MAXIMUM];
};

#define audit(association, condition)                                                              \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("association %u, %s: %s (audit.c:%d)", (association)->id,                     \
                     braid_state_name((association)->state), #condition, __LINE__);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- What is sent -----------------------------------------------------------------------------
 */

static void find_message(const struct sent_message *message, struct found *found)
{
    found->queued_bytes += message->length;
    found->charged += sizeof(*message) + message->length;
    found->numbered += message->begun > 0 && !(message->send.flags & BRAID_SEND_UNORDERED);
}

static void find_waiting(const struct sctp_association *association,
                         const struct sent_message *message, struct found *found)
{
    for (; message; message = message->next) {
        audit(association, message->begun < message->length);
        audit(association, !(message->send.flags & BRAID_SEND_OVER_PATH) ||
                               message->send.path < association->path_count);
        find_message(message, found);
        found->pending_messages++;
        found->pending_bytes += message->length - message->begun;
    }
}

static void audit_entry(const struct sctp_association *association, uint32_t tsn,
                        const struct outstanding *entry, struct found *found)
{
    const struct sctp_sender *sender = &association->sender;

    audit(association, entry->path < association->path_count);
    if (entry->abandoned) {
        found->abandoned++;
        audit(association, entry->acknowledged && !entry->retransmit && !entry->message);
        return;
    }
    audit(association, entry->message && entry->length > 0);
    audit(association, entry->offset + entry->length <= entry->message->begun);
    if (entry->flags & SCTP_DATA_FLAG_ENDING) {
        audit(association, entry->offset + entry->length == entry->message->length);
        find_message(entry->message, found);
    }
    if (entry->retransmit) {
        audit(association, !entry->acknowledged && !tsn_before(tsn, sender->first_marked));
        found->marked++;
    } else if (!entry->acknowledged) {
        found->outstanding_chunks++;
        found->outstanding_bytes += entry->length;
        found->flight[entry->path] += data_chunk_size(association, entry->length);
        audit(association, !tsn_before(tsn, association->paths[entry->path]->earliest));
    }
}

/* The runs are apart, in order, and all that is acknowledged beyond the Cumulative TSN Ack. */
static void audit_gaps(const struct sctp_association *association)
{
    const struct sctp_sender *sender = &association->sender;
    uint32_t tsn = sender->cumulative_tsn_ack + 1;

    for (uint32_t i = 0; i < gaps_count(&sender->gaps); i++) {
        struct tsn_run run = gaps_run(&sender->gaps, i, sender->cumulative_tsn_ack);

        audit(association, !tsn_before(run.first, tsn) && !tsn_before(run.last, run.first));
        audit(association, tsn_before(run.last, sender->next_tsn));
        for (; tsn_before(tsn, run.first); tsn++)
            audit(association,
                  !sender_entry(sender, tsn)->acknowledged || sender_entry(sender, tsn)->abandoned);
        for (; !tsn_before(run.last, tsn); tsn++)
            audit(association, sender_entry(sender, tsn)->acknowledged);
    }
    for (; tsn_before(tsn, sender->next_tsn); tsn++)
        audit(association,
              !sender_entry(sender, tsn)->acknowledged || sender_entry(sender, tsn)->abandoned);
}

/* Whatever is sent is waited for. (A probe's timer may be left over on a path that was not taken.)
 */
static void audit_t3(const struct sctp_association *association)
{
    const struct sctp_sender *sender = &association->sender;
    bool waits = false;

    for (uint8_t i = 0; i < association->path_count; i++) {
        const struct sctp_path *path = association->paths[i];
        bool runs = timer_is_running(&path->t3_rtx);

        audit(association, path->index == i && path->association == association);
        audit(association, runs || path->flight == 0 || association->state == BRAID_COOKIE_ECHOED);
        waits |= runs;
    }
    if (association_may_send_data(association) && sender->marked > 0)
        audit(association, waits || asconf_holds_back(association));
}

static void audit_sender(const struct sctp_association *association)
{
    const struct sctp_sender *sender = &association->sender;
    bool all = !sender->schedule; /* else some are where only the schedule finds them */
    struct found found = {0};
    uint64_t received;

    find_waiting(association, sender->first, &found);
    if (all) {
        audit(association, found.pending_messages == sender->pending_messages);
        audit(association, found.pending_bytes == sender->pending_bytes);
    }
    find_waiting(association, sender->held, &found);
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++)
        audit_entry(association, tsn, sender_entry(sender, tsn), &found);
    audit(association, found.outstanding_chunks == sender->outstanding_chunks);
    audit(association, found.outstanding_bytes == sender->outstanding_bytes);
    audit(association, found.marked == sender->marked);
    audit(association, found.abandoned == sender->abandoned);
    for (uint8_t i = 0; i < association->path_count; i++)
        audit(association, found.flight[i] == association->paths[i]->flight);
    received = (uint64_t)association->receiver.held_bytes + association->receiver.user_held;
    audit(association, all ? found.queued_bytes == sender->queued_bytes
                           : found.queued_bytes <= sender->queued_bytes);
    audit(association, all ? association->charged == found.charged + received
                           : association->charged >= found.charged + received);
    audit(association,
          all ? found.numbered == sender->numbered : found.numbered <= sender->numbered);
    audit_gaps(association);
    audit_t3(association);
}

/* ---- What is received -------------------------------------------------------------------------
 */

static uint32_t list_bytes(const struct received_data *data, uint32_t *count)
{
    uint32_t bytes = 0;

    for (; data; data = data->next) {
        bytes += data->length;
        (*count)++;
    }
    return bytes;
}

/* Those that wait for others of their stream. */
static uint32_t waiting_bytes(const struct sctp_association *association, uint32_t *count)
{
    const struct sctp_receiver *receiver = &association->receiver;
    uint32_t bytes = 0;

    for (uint32_t page = 0; page < receiver->page_count; page++) {
        for (uint32_t i = 0; receiver->pages[page] && i < STREAM_PAGE; i++)
            bytes += list_bytes(receiver->pages[page][i].waiting, count);
    }
    return bytes;
}

static void audit_map(const struct sctp_association *association, uint32_t *bytes, uint32_t *count)
{
    const struct sctp_receiver *receiver = &association->receiver;
    bool gap = receiver->highest_tsn != receiver->cumulative_tsn;

    audit(association, !tsn_before(receiver->highest_tsn, receiver->cumulative_tsn));
    audit(association, !gap || receiver->highest_tsn - receiver->cumulative_tsn >= 2);
    for (uint32_t i = 0; i < receiver->map_size; i++) {
        uint32_t tsn = receiver->cumulative_tsn + 1 + i;
        uint32_t bit = tsn & (receiver->map_size - 1);
        bool received = receiver->received[bit / 64] >> bit % 64 & 1;

        audit(association, !received || !tsn_before(receiver->highest_tsn, tsn));
        audit(association, received || !*receiver_held(receiver, tsn));
        if (tsn == receiver->cumulative_tsn + 1)
            audit(association, !received);
        if (gap && tsn == receiver->highest_tsn)
            audit(association, received);
        if (*receiver_held(receiver, tsn)) {
            *bytes += (*receiver_held(receiver, tsn))->length;
            (*count)++;
        }
    }
}

static void audit_receiver(const struct sctp_association *association)
{
    const struct sctp_receiver *receiver = &association->receiver;
    uint32_t ready = 0, waiting = 0, pieces = 0, bytes;

    bytes = list_bytes(receiver->ready, &ready);
    audit(association, ready == receiver->ready_messages && bytes == receiver->ready_bytes);
    bytes += list_bytes(receiver->pieces, &pieces) + waiting_bytes(association, &waiting);
    bytes += receiver->assembly ? receiver->assembly->length : 0;
    audit_map(association, &bytes, &waiting);
    /* besides: what the user has in hand, and I-DATA that is growing */
    audit(association, bytes <= receiver->held_bytes);
    if (!receiver->interleaving)
        audit(association, waiting == receiver->waiting_chunks);
    else
        audit(association, waiting <= receiver->waiting_chunks);
    if (pieces > 0 || (ready > 0 && !receiver->partial)) /* a begun message is finished first */
        audit(association, receiver->told_readable);
    if (receiver->unacknowledged_packets > 0 && association->state != BRAID_SHUTDOWN_SENT)
        audit(association, association->send_sack || timer_is_running(&receiver->sack_timer));
}

/* ---- The whole --------------------------------------------------------------------------------
 */

static void audit_timers(const struct sctp_association *association)
{
    uint8_t state = association->state;
    bool control = state == BRAID_COOKIE_WAIT || state == BRAID_COOKIE_ECHOED ||
                   state == BRAID_SHUTDOWN_SENT || state == BRAID_SHUTDOWN_ACK_SENT;

    audit(association, timer_is_running(&association->t1) == control);
    if (association_may_send_data(association) && association->asconf &&
        association->asconf->outstanding > 0)
        audit(association, timer_is_running(&association->asconf->t4));
    if (association->reconfig && reconfig_is_outstanding(association->reconfig))
        audit(association,
              timer_is_running(&association->reconfig->timer) || association->reconfig->send);
}

static void audit_down(const struct sctp_association *association)
{
    audit(association, association->state == BRAID_CLOSED && association->path_count == 0);
    audit(association, !timer_is_running(&association->t1) && !timer_is_running(&association->t5));
    audit(association, !timer_is_running(&association->autoclose) &&
                           !timer_is_running(&association->receiver.sack_timer));
    audit(association, association->sender.queued_bytes == 0 && !association->sender.ring);
    audit(association,
          list_is_empty(&association->ready_link) && list_is_empty(&association->touched_link));
    audit(association, association->charged == (uint64_t)association->receiver.held_bytes +
                                                   association->receiver.user_held);
}

void audit_engine(const struct braid_engine *engine)
{
    for (uint32_t id = 0; (id = braid_association_next(engine, 0, id)) != 0;) {
        const struct sctp_association *association = association_find(engine, id);

        if (association->down) {
            audit_down(association);
            continue;
        }
        audit(association, association->path_count > 0);
        audit(association, association->primary < association->path_count &&
                               association->setup_path < association->path_count &&
                               association->reply_path < association->path_count &&
                               association->receiver.sack_path < association->path_count);
        audit_sender(association);
        audit_receiver(association);
        audit_timers(association);
    }
}
