/*
 * A SACK comes in.
 *
 * RFC 9260, section 6.2.1 (processing a SACK), section 6.3.2 (T3-rtx), section 7.2.4 (fast
 * retransmit on gap reports). It is walked through in ascending order of TSN: first what the
 * Cumulative TSN Ack covers, then blocks and holes in turns.
 */
#include "engine/private.h"

#define FAST_RETRANSMIT_MISSES 3

/* What one SACK did. */
struct sack_result {
    bool any_new;
    bool cumulative_advanced;
    bool forwarded;       /* over TSNs that were abandoned (RFC 3758) */
    uint32_t highest_new; /* HTNA: the Highest TSN Newly Acknowledged */
};

static void begin(struct sctp_association *association)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];

        path->acknowledged = path->acknowledged_packets = 0;
        path->flight_before = path->flight;
        path->earliest_acknowledged = path->hole_seen = path->lost = false;
        path->answered = false;
    }
}

/* A TSN is acknowledged for the first time. */
static void acknowledge(struct sctp_association *association, uint32_t tsn,
                        struct outstanding *entry, struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;
    struct sctp_path *path = association->paths[entry->path];

    if (entry->retransmit) {
        entry->retransmit = false;
        sender->marked--;
    } else {
        sender_leave_flight(association, entry);
        if (!path->hole_seen)
            path->earliest_acknowledged = true;
    }
    path->acknowledged += (uint32_t)data_written_length(entry->length);
    path->acknowledged_packets += entry->leads;
    path->answered |= !entry->moved || path->state != BRAID_PATH_POTENTIALLY_FAILED;
    if (path->rtt_running && path->rtt_tsn == tsn) {
        path->rtt_running = false;
        path_update_rtt(path, association->engine->now - path->rtt_sent);
    }
    result->any_new = true;
    result->highest_new = tsn;
}

static void take_cumulative(struct sctp_association *association, uint32_t cumulative_tsn_ack,
                            struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;

    while (sender->cumulative_tsn_ack != cumulative_tsn_ack) {
        uint32_t tsn = ++sender->cumulative_tsn_ack;
        struct outstanding *entry = sender_entry(sender, tsn);
        struct sent_message *message = entry->message;

        result->cumulative_advanced = true;
        if (entry->abandoned) {
            sender->abandoned--;
            result->forwarded = true;
            continue;
        }
        if (entry->acknowledged)
            sender->gap_acknowledged--;
        else
            acknowledge(association, tsn, entry, result);
        if (--message->unacknowledged == 0 && message->begun == message->length)
            sender_release(association, message);
    }
    if (sender->marked > 0 && !tsn_before(cumulative_tsn_ack, sender->first_marked))
        sender->first_marked = cumulative_tsn_ack + 1;
}

/* The TSNs from `first` to before `end` are not acknowledged; any that were, the peer has dropped
 * again (6.2.1, D iii). */
static void take_hole(struct sctp_association *association, uint32_t first, uint32_t end)
{
    struct sctp_sender *sender = &association->sender;

    for (uint32_t tsn = first; tsn_before(tsn, end); tsn++) {
        struct outstanding *entry = sender_entry(sender, tsn);
        struct sctp_path *path = association->paths[entry->path];

        if (entry->abandoned)
            continue;
        if (entry->acknowledged) {
            entry->acknowledged = false;
            path->rtt_running = false;
            sender->gap_acknowledged--;
            sender->outstanding_chunks++;
            sender->outstanding_bytes += entry->length;
            path->flight += (uint32_t)data_written_length(entry->length);
            if (entry->misses < FAST_RETRANSMIT_MISSES)
                entry->misses++;
        }
        if (!entry->retransmit)
            path->hole_seen = true;
    }
}

static void take_block(struct sctp_association *association, uint32_t first, uint32_t last,
                       struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;

    for (uint32_t tsn = first; !tsn_before(last, tsn); tsn++) {
        struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->acknowledged)
            continue;
        acknowledge(association, tsn, entry, result);
        entry->acknowledged = true;
        entry->misses = 0;
        if (sender->gap_acknowledged++ == 0 || tsn_before(sender->highest_gap_acknowledged, tsn))
            sender->highest_gap_acknowledged = tsn;
    }
}

/* A block that makes sense: beyond the one before it. */
static bool next_block(const struct sctp_sack *sack, uint16_t *index, uint32_t after,
                       uint32_t *first, uint32_t *last)
{
    while (*index < sack->gap_ack_block_count) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(sack, (*index)++);

        *first = sack->cumulative_tsn_ack + block.start;
        *last = sack->cumulative_tsn_ack + block.end;
        if (block.start == 0 || block.end < block.start || !tsn_before(after, *first))
            continue;
        return true;
    }
    return false;
}

static void take_gaps(struct sctp_association *association, const struct sctp_sack *sack,
                      struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;
    uint32_t after = sack->cumulative_tsn_ack, first, last;
    uint16_t index = 0;

    while (next_block(sack, &index, after, &first, &last)) {
        take_hole(association, after + 1, first);
        take_block(association, first, last, result);
        after = last;
    }
    if (sender->gap_acknowledged > 0 && tsn_before(after, sender->highest_gap_acknowledged))
        take_hole(association, after + 1, sender->highest_gap_acknowledged + 1);
    if (sender->gap_acknowledged > 0)
        sender->highest_gap_acknowledged = after;
}

/* 7.2.4: returns true if a chunk was marked. */
static bool count_misses(struct sctp_association *association, const struct sctp_sack *sack,
                         const struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;
    bool all = sender->fast_recovery && result->cumulative_advanced;
    uint32_t after = sack->cumulative_tsn_ack, first, last;
    uint16_t index = 0;
    bool marked = false;

    while (next_block(sack, &index, after, &first, &last)) {
        for (uint32_t tsn = after + 1; tsn != first; tsn++) {
            struct outstanding *entry = sender_entry(sender, tsn);

            if (!all && !(result->any_new && tsn_before(tsn, result->highest_new)))
                return marked;
            if (entry->abandoned || entry->retransmit || entry->fast ||
                ++entry->misses < FAST_RETRANSMIT_MISSES)
                continue;
            association->paths[entry->path]->lost = true;
            sender_mark(association, tsn, association->paths[entry->path]);
            entry->fast = true;
            marked = true;
        }
        after = last;
    }
    return marked;
}

static void fast_retransmit(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;

    association->fast_retransmits++;
    if (sender->fast_recovery)
        return;
    for (uint8_t i = 0; i < association->path_count; i++) {
        if (association->paths[i]->lost)
            congestion_loss(association->paths[i]);
    }
    sender->fast_recovery = true;
    sender->fast_recovery_exit = sender->next_tsn - 1;
    sender->fast_retransmit_now = true;
}

/* 6.1, A: the peer answers. When its window is open again, the probe that it had to drop need not
 * wait for T3-rtx. */
static void end_probe(struct sctp_association *association, uint32_t a_rwnd)
{
    struct sctp_sender *sender = &association->sender;
    const struct outstanding *entry;

    if (!sender->probe_outstanding)
        return;
    entry = sender_entry(sender, sender->probe_tsn);
    sender->sack_since_probe = true;
    if (!tsn_before(sender->cumulative_tsn_ack, sender->probe_tsn)) {
        sender->probe_outstanding = false;
    } else if (entry->length <= a_rwnd) {
        sender->probe_outstanding = false;
        sender_mark(association, sender->probe_tsn, association->paths[entry->path]);
    }
}

static void finish(struct sctp_association *association, const struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;
    struct timer_wheel *wheel = &association->engine->wheel;

    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];

        congestion_acknowledged(path, result->cumulative_advanced);
        if (path->acknowledged > 0) {
            association->error_count = 0;
            if (path->answered) /* RFC 7829, 3.2 (8): not by what may have come over another */
                path_answered(path);
        }
        if (path->flight == 0) /* R2 */
            timer_stop(wheel, &path->t3_rtx);
        else if (path->earliest_acknowledged || !timer_is_running(&path->t3_rtx)) /* R3, R4 */
            timer_start(wheel, &path->t3_rtx, association->engine->now + path->rto);
    }
    if (result->forwarded) { /* the FORWARD TSN was answered */
        association->error_count = 0;
        path_answered(association_data_path(association));
    }
    if (sender->fast_recovery &&
        !tsn_before(sender->cumulative_tsn_ack, sender->fast_recovery_exit))
        sender->fast_recovery = false;
}

/* 12.4: one that acknowledges what was never sent ends the association. False, also if it is from
 * the past, or of other numbers (RFC 6525, 5.2.4). */
static bool is_current(struct sctp_association *association, uint32_t cumulative_tsn_ack,
                       uint16_t furthest)
{
    const struct sctp_sender *sender = &association->sender;

    if (tsn_before(cumulative_tsn_ack, sender->cumulative_tsn_ack))
        return false;
    if (tsn_before(cumulative_tsn_ack, sender->next_tsn) &&
        furthest < sender->next_tsn - cumulative_tsn_ack)
        return true;
    if (!reconfig_explains(association, cumulative_tsn_ack))
        association_abort_violation(association);
    return false;
}

/* How far beyond the Cumulative TSN Ack its Gap Ack Blocks reach. */
static uint16_t furthest_gap(const struct sctp_sack *sack)
{
    uint16_t furthest = 0;

    for (uint16_t i = 0; i < sack->gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(sack, i);

        if (block.start > 0 && block.start <= block.end && block.end > furthest)
            furthest = block.end;
    }
    return furthest;
}

void sender_receive_sack(struct sctp_association *association, const struct sctp_sack *sack)
{
    struct sctp_sender *sender = &association->sender;
    struct sack_result result = {.highest_new = sack->cumulative_tsn_ack};

    association->sacks_received++;
    if (!is_current(association, sack->cumulative_tsn_ack, furthest_gap(sack)))
        return;
    begin(association);
    take_cumulative(association, sack->cumulative_tsn_ack, &result);
    if (sack->gap_ack_block_count > 0 || sender->gap_acknowledged > 0)
        take_gaps(association, sack, &result);
    finish(association, &result);
    if (sack->gap_ack_block_count > 0 && count_misses(association, sack, &result))
        fast_retransmit(association);
    sender_set_peer_rwnd(sender, sack->a_rwnd);
    sender->probe = false;
    end_probe(association, sack->a_rwnd);
    if (sender->abandoned > 0)
        abandon_receive_sack(association);
    teardown_continue(association);
    association_set_ready(association);
}

void sender_receive_cumulative(struct sctp_association *association, uint32_t cumulative_tsn_ack)
{
    struct sctp_sender *sender = &association->sender;
    struct sack_result result = {.highest_new = cumulative_tsn_ack};
    /* A SHUTDOWN does not say how large the window is: as large as it was. */
    uint32_t a_rwnd = sender->peer_rwnd + sender->outstanding_bytes;

    if (!is_current(association, cumulative_tsn_ack, 0))
        return;
    if (sender->probe_outstanding && !sender_entry(sender, sender->probe_tsn)->acknowledged)
        a_rwnd -= sender_entry(sender, sender->probe_tsn)->length; /* there was no room for that */
    begin(association);
    take_cumulative(association, cumulative_tsn_ack, &result);
    finish(association, &result);
    sender_set_peer_rwnd(sender, a_rwnd);
    end_probe(association, a_rwnd);
    if (sender->abandoned > 0)
        abandon_receive_sack(association);
    association_set_ready(association);
}
