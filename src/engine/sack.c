/*
 * A SACK comes in.
 *
 * RFC 9260, section 6.2.1 (processing a SACK), section 6.3.2 (T3-rtx), section 7.2.4 (fast
 * retransmit on gap reports). It is walked through in ascending order of TSN: first what the
 * Cumulative TSN Ack covers, then what is beyond it, as far as the last SACK did not say the same.
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
        path->earliest_acknowledged = path->lost = false;
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
        if (!path->earliest_acknowledged)
            path->earliest_acknowledged = sender_is_earliest(association, path, tsn);
        sender_leave_flight(association, entry);
    }
    path->acknowledged += data_chunk_size(association, entry->length);
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
    bool released = false;

    while (sender->cumulative_tsn_ack != cumulative_tsn_ack) {
        uint32_t tsn = ++sender->cumulative_tsn_ack;
        struct outstanding *entry = sender_entry(sender, tsn);

        result->cumulative_advanced = true;
        if (entry->abandoned) {
            sender->abandoned--;
            result->forwarded = true;
            continue;
        }
        if (!entry->acknowledged)
            acknowledge(association, tsn, entry, result);
        if (entry->flags & SCTP_DATA_FLAG_ENDING) { /* all others of the message were before it */
            sender_release(association, entry);
            released = true;
        }
    }
    if (released)
        sender_tell_room(association);
    if (sender->marked > 0 && !tsn_before(cumulative_tsn_ack, sender->first_marked))
        sender->first_marked = cumulative_tsn_ack + 1;
}

/* What was acknowledged and is not any more, the peer has dropped again (6.2.1, D iii). */
static void take_back(struct sctp_association *association, uint32_t first, uint32_t last)
{
    struct sctp_sender *sender = &association->sender;

    for (uint32_t tsn = first; !tsn_before(last, tsn); tsn++) {
        struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->abandoned)
            continue;
        entry->acknowledged = false;
        association->paths[entry->path]->rtt_running = false;
        sender_enter_flight(association, entry, tsn);
        if (entry->misses < FAST_RETRANSMIT_MISSES)
            entry->misses++;
        if (tsn_before(tsn, sender->first_missed))
            sender->first_missed = tsn;
    }
}

static void take_new(struct sctp_association *association, uint32_t first, uint32_t last,
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
    }
}

/* A block that makes sense: beyond the one before it. */
static bool next_block(const struct sctp_sack *sack, uint32_t *index, uint32_t after,
                       struct tsn_run *run)
{
    while (*index < sack->gap_ack_block_count) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(sack, (*index)++);

        run->first = sack->cumulative_tsn_ack + block.start;
        run->last = sack->cumulative_tsn_ack + block.end;
        if (block.start == 0 || block.end < block.start || !tsn_before(after, run->first))
            continue;
        return true;
    }
    return false;
}

static uint32_t earlier(uint32_t a, uint32_t b)
{
    return tsn_before(a, b) ? a : b;
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return tsn_before(a, b) ? b : a;
}

/* From the first block on that was not in the last SACK. */
static void take_gaps(struct sctp_association *association, const struct sctp_sack *sack,
                      uint32_t block, struct sack_result *result)
{
    const struct gaps *gaps = &association->sender.gaps;
    uint32_t cumulative = sack->cumulative_tsn_ack, index = block, count = gaps_count(gaps);
    uint32_t after = block > 0 ? gaps_run(gaps, block - 1, cumulative).last : cumulative;
    struct tsn_run now;

    while (next_block(sack, &block, after, &now)) {
        uint32_t tsn = now.first, same;

        for (; index < count; index++) { /* the hole before it */
            struct tsn_run known = gaps_run(gaps, index, cumulative);

            if (!tsn_before(known.first, now.first))
                break;
            take_back(association, later(known.first, after + 1),
                      earlier(known.last, now.first - 1));
            if (!tsn_before(known.last, now.first))
                break;
        }
        for (; index < count; index++) { /* and itself */
            struct tsn_run known = gaps_run(gaps, index, cumulative);

            if (tsn_before(now.last, known.first))
                break;
            take_new(association, tsn, known.first - 1, result);
            tsn = known.last + 1;
            if (tsn_before(now.last, known.last))
                break;
        }
        take_new(association, tsn, now.last, result);
        after = now.last;
        if (tsn_before(after + 1, tsn)) /* of the last run there is more */
            continue;
        same = gaps_same(gaps, index, sack, block);
        block += same;
        index += same;
        if (same > 0)
            after = gaps_run(gaps, index - 1, cumulative).last;
    }
    for (; index < count; index++)
        take_back(association, later(gaps_run(gaps, index, cumulative).first, after + 1),
                  gaps_run(gaps, index, cumulative).last);
}

/* There is room for them all. */
static void remember_gaps(struct sctp_sender *sender, const struct sctp_sack *sack, uint32_t block)
{
    struct gaps *gaps = &sender->gaps;
    uint32_t after = block > 0 ? gaps_run(gaps, block - 1, sack->cumulative_tsn_ack).last
                               : sack->cumulative_tsn_ack;
    struct tsn_run now;

    gaps->end = gaps->begin + block;
    while (next_block(sack, &block, after, &now)) {
        gaps->runs[gaps->end++] =
            (struct sctp_gap_ack_block){(uint16_t)now.first, (uint16_t)now.last};
        after = now.last;
    }
}

/* 7.2.4: returns true if a chunk was marked. */
static bool count_misses(struct sctp_association *association, const struct sack_result *result)
{
    struct sctp_sender *sender = &association->sender;
    bool all = sender->fast_recovery && result->cumulative_advanced, marked = false, found = false;
    uint32_t tsn = later(sender->first_missed, sender->cumulative_tsn_ack + 1);
    uint32_t index = gaps_find_beyond(&sender->gaps, tsn, sender->cumulative_tsn_ack);

    if (!all && !result->any_new)
        return false;
    if (index > 0)
        tsn = later(tsn, gaps_run(&sender->gaps, index - 1, sender->cumulative_tsn_ack).last + 1);
    for (; index < gaps_count(&sender->gaps); index++) {
        struct tsn_run run = gaps_run(&sender->gaps, index, sender->cumulative_tsn_ack);

        for (; tsn_before(tsn, run.first) && (all || tsn_before(tsn, result->highest_new)); tsn++) {
            struct outstanding *entry = sender_entry(sender, tsn);

            if (entry->acknowledged || entry->retransmit || entry->fast)
                continue;
            if (++entry->misses < FAST_RETRANSMIT_MISSES) {
                if (!found)
                    sender->first_missed = tsn;
                found = true;
                continue;
            }
            association->paths[entry->path]->lost = true;
            sender_mark(association, tsn, association->paths[entry->path]);
            entry->fast = true;
            marked = true;
        }
        if (tsn_before(tsn, run.first))
            break;
        tsn = run.last + 1;
    }
    if (!found)
        sender->first_missed = tsn;
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
                path_answered(path, PATH_DATA_ANSWERED);
        }
        if (path->flight == 0) /* R2 */
            timer_stop(wheel, &path->t3_rtx);
        else if (path->earliest_acknowledged || !timer_is_running(&path->t3_rtx)) /* R3, R4 */
            timer_start(wheel, &path->t3_rtx, association->engine->now + path->rto);
    }
    if (result->forwarded) { /* the FORWARD TSN was answered */
        association->error_count = 0;
        path_answered(association_data_path(association), PATH_DATA_ANSWERED);
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

/* How far beyond the Cumulative TSN Ack its Gap Ack Blocks reach, from one of them on. */
static uint16_t furthest_gap(const struct sctp_sack *sack, uint32_t index)
{
    uint16_t furthest = 0;

    for (uint32_t i = index; i < sack->gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(sack, i);

        if (block.start > 0 && block.start <= block.end && block.end > furthest)
            furthest = block.end;
    }
    return furthest;
}

void sender_receive_sack(struct sctp_association *association, const struct sctp_sack *sack)
{
    struct sctp_sender *sender = &association->sender;
    struct gaps *gaps = &sender->gaps;
    struct sack_result result = {.highest_new = sack->cumulative_tsn_ack};
    uint32_t cumulative = sender->cumulative_tsn_ack, same = gaps_repeated(gaps, cumulative, sack);

    association->sacks_received++;
    if (!is_current(association, sack->cumulative_tsn_ack, furthest_gap(sack, same)) ||
        !gaps_reserve(gaps, minimum(sack->gap_ack_block_count, sender->next_tsn - cumulative)))
        return; /* without memory it is as if it were lost */
    gaps_advance(gaps, cumulative, sack->cumulative_tsn_ack);
    if (gaps_count(gaps) == 0)
        sender->first_missed = sack->cumulative_tsn_ack + 1;
    begin(association);
    take_cumulative(association, sack->cumulative_tsn_ack, &result);
    take_gaps(association, sack, same, &result);
    remember_gaps(sender, sack, same);
    finish(association, &result);
    if (sack->gap_ack_block_count > 0 && count_misses(association, &result))
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
    gaps_advance(&sender->gaps, sender->cumulative_tsn_ack, cumulative_tsn_ack);
    begin(association);
    take_cumulative(association, cumulative_tsn_ack, &result);
    finish(association, &result);
    sender_set_peer_rwnd(sender, a_rwnd);
    end_probe(association, a_rwnd);
    if (sender->abandoned > 0)
        abandon_receive_sack(association);
    association_set_ready(association);
}
