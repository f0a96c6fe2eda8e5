/*
 * What the last SACK acknowledged beyond its Cumulative TSN Ack.
 *
 * RFC 9260, section 6.2.1. While a large window is repaired each SACK repeats hundreds of Gap Ack
 * Blocks, nearly all of which were in the SACK before. They are kept as runs of TSNs, so that only
 * what is another in the next SACK has to be looked at. Of a TSN the lower half is kept: no run is
 * further than that from the Cumulative TSN Ack Point.
 */
#include <stdlib.h>

#include "engine/private.h"

#define RUNS_LEAST 32

static uint32_t whole(uint32_t cumulative_tsn_ack, uint16_t half)
{
    return cumulative_tsn_ack + (uint16_t)(half - (uint16_t)cumulative_tsn_ack);
}

bool gaps_reserve(struct gaps *gaps, uint32_t count)
{
    uint32_t used = gaps->end - gaps->begin, capacity = maximum(gaps->capacity, RUNS_LEAST);
    struct sctp_gap_ack_block *runs;

    if (gaps->end + count <= gaps->capacity)
        return true;
    if (gaps->begin > 0)
        memmove(gaps->runs, gaps->runs + gaps->begin, used * sizeof(*gaps->runs));
    gaps->begin = 0;
    gaps->end = used;
    while (capacity < used + count)
        capacity *= 2;
    if (capacity == gaps->capacity)
        return true;
    runs = realloc(gaps->runs, capacity * sizeof(*runs));
    if (!runs)
        return false;
    gaps->runs = runs;
    gaps->capacity = capacity;
    return true;
}

void gaps_free(struct gaps *gaps)
{
    free(gaps->runs);
    *gaps = (struct gaps){0};
}

struct tsn_run gaps_run(const struct gaps *gaps, uint32_t index, uint32_t cumulative_tsn_ack)
{
    struct sctp_gap_ack_block run = gaps->runs[gaps->begin + index];

    return (struct tsn_run){whole(cumulative_tsn_ack, run.start),
                            whole(cumulative_tsn_ack, run.end)};
}

void gaps_advance(struct gaps *gaps, uint32_t before, uint32_t cumulative_tsn_ack)
{
    for (; gaps->begin < gaps->end; gaps->begin++) {
        struct tsn_run run = gaps_run(gaps, 0, before);

        if (!tsn_before(cumulative_tsn_ack, run.first))
            gaps->runs[gaps->begin].start = (uint16_t)(cumulative_tsn_ack + 1);
        if (tsn_before(cumulative_tsn_ack, run.last))
            break;
    }
}

uint32_t gaps_same(const struct gaps *gaps, uint32_t index, const struct sctp_sack *sack,
                   uint32_t block)
{
    if (index == gaps_count(gaps)) /* there may be no place for any yet */
        return 0;
    return (uint32_t)sack_gap_ack_blocks_repeated(sack, block, gaps->runs + gaps->begin + index,
                                                  gaps_count(gaps) - index);
}

uint32_t gaps_find_beyond(const struct gaps *gaps, uint32_t tsn, uint32_t cumulative_tsn_ack)
{
    uint32_t low = 0, high = gaps_count(gaps);

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (tsn_before(tsn, gaps_run(gaps, middle, cumulative_tsn_ack).first))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint32_t gaps_repeated(const struct gaps *gaps, uint32_t before, const struct sctp_sack *sack)
{
    uint32_t index, cumulative = sack->cumulative_tsn_ack;

    if (tsn_before(cumulative, before))
        return 0;
    index = gaps_find_beyond(gaps, cumulative, before);
    if (index > 0 && tsn_before(cumulative, gaps_run(gaps, index - 1, before).last))
        return 0; /* of one there is a part left */
    return gaps_same(gaps, index, sack, 0);
}
