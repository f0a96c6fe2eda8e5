/*
 * Partial reliability, the sender's side: messages that are given up, and the FORWARD TSN that
 * tells the peer not to wait for them.
 *
 * RFC 3758, section 3.5 (the rules A, C and F), section 4.1 (timed reliability); RFC 7496, section
 * 3 (limited retransmissions, priority), section 4.3 and 4.4 (counters); RFC 8260, section 2.3
 * (I-FORWARD-TSN).
 *
 * The entry of an abandoned TSN stays in the ring until it is cumulatively acknowledged. It counts
 * as acknowledged, belongs to no message any more, and remembers what FORWARD TSN says of it.
 */
#include <stdlib.h>

#include "engine/private.h"

#define SKIPPED_MAXIMUM 1024 /* streams in one FORWARD TSN */

/* ---- Counters ---- */

static void count(struct sctp_association *association, const struct sent_message *message,
                  bool sent)
{
    uint16_t stream = message->send.stream;
    struct abandoned_messages *abandoned = association->abandoned;

    if (message->send.policy == BRAID_POLICY_NONE)
        return;
    if (stream >= association->abandoned_streams) {
        uint32_t streams = maximum(stream + 1u, 2 * association->abandoned_streams);

        abandoned = realloc(abandoned, streams * sizeof(*abandoned));
        if (!abandoned)
            return;
        memset(abandoned + association->abandoned_streams, 0,
               (streams - association->abandoned_streams) * sizeof(*abandoned));
        association->abandoned = abandoned;
        association->abandoned_streams = streams;
    }
    if (sent)
        abandoned[stream].sent[message->send.policy]++;
    else
        abandoned[stream].unsent[message->send.policy]++;
}

int braid_association_abandoned(const struct braid_engine *engine, uint32_t identifier,
                                uint32_t stream, struct braid_abandoned *abandoned)
{
    const struct sctp_association *association = association_find(engine, identifier);

    if (!association)
        return -ENOENT;
    if (stream != BRAID_ALL_STREAMS && stream >= association->outbound_streams)
        return -EINVAL;
    *abandoned = (struct braid_abandoned){0};
    for (uint32_t i = 0; i < association->abandoned_streams; i++) {
        for (int policy = 0; policy < BRAID_POLICY_COUNT; policy++) {
            if (stream != BRAID_ALL_STREAMS && stream != i)
                continue;
            abandoned->unsent[policy] += association->abandoned[i].unsent[policy];
            abandoned->sent[policy] += association->abandoned[i].sent[policy];
        }
    }
    return 0;
}

/* ---- Giving a message up ---- */

void abandon_unsent(struct sctp_association *association, struct sent_message *message)
{
    count(association, message, false);
    sender_give_back(association, message);
}

static void abandon_chunk(struct sctp_association *association, uint32_t tsn)
{
    struct sctp_sender *sender = &association->sender;
    struct outstanding *entry = sender_entry(sender, tsn);
    const struct sent_message *message = entry->message;
    struct sctp_path *path = association->paths[entry->path];

    if (entry->retransmit) { /* what the window got back was for sending it again (6.2.1, C) */
        sender->marked--;
        sender->peer_rwnd -= minimum(sender->peer_rwnd, entry->length);
    } else if (!entry->acknowledged) {
        sender_leave_flight(association, entry); /* it may be in the peer's window all the same */
    }
    if (path->rtt_running && path->rtt_tsn == tsn)
        path->rtt_running = false;
    if (sender->probe_outstanding && sender->probe_tsn == tsn)
        sender->probe_outstanding = false;
    if (sender->abandoned++ == 0)
        sender->advanced_peer_ack_point = sender->cumulative_tsn_ack;
    *entry = (struct outstanding){
        .stream = message->send.stream,
        .number = association->interleaving ? message->mid : message->ssn,
        .flags = message->send.flags & BRAID_SEND_UNORDERED ? SCTP_DATA_FLAG_UNORDERED : 0,
        .path = entry->path,
        .acknowledged = true,
        .abandoned = true,
    };
}

/* A3: the message of this TSN, with all its TSNs; of what is not cumulatively acknowledged. Others'
 * may stand between them (RFC 8260). */
static bool abandon_sent(struct sctp_association *association, uint32_t tsn)
{
    struct sctp_sender *sender = &association->sender;
    struct sent_message *message = sender_entry(sender, tsn)->message;

    /* The peer must miss something of it, or it would wait for the rest. */
    if (message->begun < message->length && !sender_skip_rest(association, message))
        return false;
    while (tsn - 1 != sender->cumulative_tsn_ack &&
           !(sender_entry(sender, tsn)->message == message &&
             sender_entry(sender, tsn)->flags & SCTP_DATA_FLAG_BEGINNING))
        tsn--;
    for (bool ends = false; !ends; tsn++) {
        const struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->message != message)
            continue;
        ends = entry->flags & SCTP_DATA_FLAG_ENDING;
        abandon_chunk(association, tsn);
    }
    sender->forward_tsn_due = true;
    count(association, message, true);
    sender_give_back(association, message);
    return true;
}

bool abandon_begun(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;

    /* All that was sent of it may be acknowledged: what is not sent has a TSN then. */
    if (!association->partial_reliability || !sender_skip_rest(association, sender->first))
        return false;
    return abandon_sent(association, sender->next_tsn - 1);
}

/* TR4; RFC 7496, 3.1. The chunk is to be retransmitted. */
static bool is_overdue(const struct sctp_association *association, const struct outstanding *entry)
{
    const struct sent_message *message = entry->message;

    return association->engine->now >= message->expires ||
           (message->send.policy == BRAID_POLICY_RETRANSMISSIONS &&
            entry->transmissions > message->send.limit);
}

void abandon_overdue(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;

    if (!association->partial_reliability)
        return;
    for (uint32_t tsn = sender->first_marked, left = sender->marked;
         left > 0 && sender->marked > 0 && tsn_before(tsn, sender->next_tsn); tsn++) {
        const struct outstanding *entry = sender_entry(sender, tsn);

        if (!entry->retransmit)
            continue;
        left--;
        if (is_overdue(association, entry))
            abandon_sent(association, tsn);
    }
}

/* RFC 7496, 3.2: a lower number is a higher priority. */
static bool yields_to(const struct sent_message *message, const struct braid_send *send)
{
    uint32_t priority = send->policy == BRAID_POLICY_PRIORITY ? send->limit : 0;

    return message->send.policy == BRAID_POLICY_PRIORITY && message->send.limit > priority;
}

void abandon_for(struct sctp_association *association, const struct braid_send *send)
{
    struct sctp_sender *sender = &association->sender;
    uint32_t room = association->parameters.send_buffer;
    struct sent_message **place, *previous = NULL;

    if (!association->partial_reliability)
        return;
    schedule_gather(sender);
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1;
         tsn_before(tsn, sender->next_tsn) && sender->queued_bytes >= room; tsn++) {
        const struct sent_message *message = sender_entry(sender, tsn)->message;

        if (message && yields_to(message, send) && !sender_was_delivered(sender, tsn))
            abandon_sent(association, tsn);
    }
    place = &sender->first;
    while (*place && sender->queued_bytes >= room) {
        struct sent_message *message = *place;

        if (message->begun > 0 || !yields_to(message, send)) {
            previous = message;
            place = &message->next;
            continue;
        }
        *place = message->next;
        if (sender->last == message)
            sender->last = previous;
        sender->pending_bytes -= message->length;
        sender->pending_messages--;
        abandon_unsent(association, message);
    }
    schedule_spread(sender);
    association_set_ready(association);
}

/* ---- FORWARD TSN ---- */

/* C1, C2. */
static void advance(struct sctp_sender *sender)
{
    uint32_t point = sender->advanced_peer_ack_point;

    if (tsn_before(point, sender->cumulative_tsn_ack))
        point = sender->cumulative_tsn_ack;
    while (tsn_before(point + 1, sender->next_tsn) && sender_entry(sender, point + 1)->abandoned)
        point++;
    sender->advanced_peer_ack_point = point;
}

bool abandon_awaits_sack(const struct sctp_association *association)
{
    const struct sctp_sender *sender = &association->sender;

    return sender->abandoned > 0 &&
           tsn_before(sender->cumulative_tsn_ack, sender->advanced_peer_ack_point);
}

bool abandon_owes_forward_tsn(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;

    if (sender->abandoned > 0)
        advance(sender);
    sender->forward_tsn_due = abandon_awaits_sack(association);
    return sender->forward_tsn_due;
}

/* C5. */
static void guard(struct sctp_association *association)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        if (timer_is_running(&association->paths[i]->t3_rtx))
            return;
    }
    sender_start_t3(association_data_path(association));
}

/* C3. The same FORWARD TSN again only after a round trip (F2). */
void abandon_receive_sack(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;
    braid_time rtt = association_data_path(association)->srtt;

    if (!abandon_owes_forward_tsn(association))
        return;
    sender->forward_tsn_due = sender->advanced_peer_ack_point != sender->forwarded ||
                              association->engine->now - sender->forward_tsn_sent >= rtt;
    guard(association);
}

void abandon_timeout(struct sctp_association *association)
{
    association->sender.forward_tsn_due = true;
}

/* What FORWARD TSN and I-FORWARD-TSN say of an abandoned TSN. False: there is no room. */
static bool skip(const struct sctp_association *association, const struct outstanding *entry,
                 struct sctp_skipped_messages *skipped, size_t *count, size_t capacity)
{
    bool unordered = entry->flags & SCTP_DATA_FLAG_UNORDERED;
    size_t i = *count;

    if (unordered && !association->interleaving)
        return true;
    while (i > 0 &&
           (skipped[i - 1].stream != entry->stream || skipped[i - 1].unordered != unordered))
        i--;
    if (i == 0 && *count == capacity)
        return false;
    skipped[i > 0 ? i - 1 : (*count)++] =
        (struct sctp_skipped_messages){entry->stream, unordered, entry->number};
    return true;
}

static void write_skipped(const struct sctp_association *association, struct packet_writer *writer,
                          uint32_t point, const struct sctp_skipped_messages *skipped, size_t count)
{
    struct sctp_skipped_stream streams[SKIPPED_MAXIMUM];

    if (association->interleaving) {
        i_forward_tsn_write(writer, point, skipped, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        streams[i] = (struct sctp_skipped_stream){skipped[i].stream, (uint16_t)skipped[i].mid};
    forward_tsn_write(writer, point, streams, count);
}

/* C4. Where the packet is full, Advanced.Peer.Ack.Point is lowered to what it says. */
void abandon_write_forward_tsn(struct sctp_association *association, struct packet_writer *writer)
{
    struct sctp_sender *sender = &association->sender;
    struct sctp_skipped_messages skipped[SKIPPED_MAXIMUM];
    size_t room = packet_writer_room(writer), capacity, count = 0;
    uint32_t point = sender->cumulative_tsn_ack;

    if (room < SCTP_FORWARD_TSN_HEADER_LENGTH)
        return;
    capacity = (room - SCTP_FORWARD_TSN_HEADER_LENGTH) / (association->interleaving ? 8 : 4);
    if (capacity > SKIPPED_MAXIMUM)
        capacity = SKIPPED_MAXIMUM;
    while (point != sender->advanced_peer_ack_point &&
           skip(association, sender_entry(sender, point + 1), skipped, &count, capacity))
        point++;
    if (point == sender->cumulative_tsn_ack)
        return;
    write_skipped(association, writer, point, skipped, count);
    sender->advanced_peer_ack_point = sender->forwarded = point;
    sender->forward_tsn_sent = association->engine->now;
    sender->forward_tsn_due = false;
    association->forward_tsns_sent++;
    guard(association);
}
