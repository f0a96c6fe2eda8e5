/*
 * Captures that were made at two points: those of both hosts merged, or one of all interfaces.
 *
 * There each packet stands twice. Nothing in it tells: what is sent again may be the same to the
 * last byte (RFC 9260 section 6.3.3). But a network that repeats half of all packets, always after
 * the same short time, is none; and a retransmission comes a round trip later at the earliest,
 * which is two ways between the points.
 */
#include "cli/trace.h"

#include <stdlib.h>
#include <string.h>

#include "packet/wire.h"

#define WINDOW_NANOSECONDS 250000000 /* no way between two points is longer */
#define LEAST_WAY_NANOSECONDS 100000 /* clocks and queues are no better */
#define PAIRS_MINIMUM 2
#define PAIRED (TRACE_NONE - 1) /* in place of an index */

struct pair {
    uint32_t direction; /* 2 * association + the side that sent it */
    uint32_t first, second;
    int64_t way;
};

struct pairs {
    struct pair *list;
    size_t count, capacity;
    int64_t *longest_ways; /* of each direction: what takes longer is another packet */
};

static uint64_t packet_key(const struct trace_packet *packet)
{
    uint64_t key = (uint64_t)packet->association << 32 | (uint64_t)packet->from << 16 | packet->to;
    size_t i = 0;

    for (; i + 4 <= packet->length; i += 4)
        key = (key ^ wire_get_u32(packet->bytes + i)) * 0x9e3779b97f4a7c15u;
    for (; i < packet->length; i++)
        key = (key ^ packet->bytes[i]) * 0x9e3779b97f4a7c15u;
    return key;
}

static int64_t way_between(const struct trace_packet *a, const struct trace_packet *b)
{
    return a->time < b->time ? b->time - a->time : a->time - b->time;
}

static bool same_packet(const struct trace_packet *a, const struct trace_packet *b)
{
    return a->association == b->association && a->side == b->side && a->from == b->from &&
           a->to == b->to && a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* All that may be the same packet twice. False: no memory. */
static bool find_pairs(const struct trace *trace, struct pairs *pairs)
{
    struct trace_map alone = {0}; /* by their keys, packets that have no second */
    bool good = true;

    pairs->count = 0;
    for (size_t i = 0; good && i < trace->packet_count; i++) {
        const struct trace_packet *packet = &trace->packets[i];
        uint32_t direction = packet->association * 2 + packet->side;
        uint64_t key = packet_key(packet);
        uint32_t before = trace_map_get(&alone, key);
        uint32_t left = (uint32_t)i;

        if (before < i && same_packet(&trace->packets[before], packet)) {
            int64_t way = way_between(&trace->packets[before], packet);

            if (way <= pairs->longest_ways[direction]) {
                good = trace_reserve((void **)&pairs->list, &pairs->capacity, pairs->count + 1,
                                     sizeof(*pairs->list));
                if (good)
                    pairs->list[pairs->count++] =
                        (struct pair){direction, before, (uint32_t)i, way};
                left = PAIRED;
            }
        }
        good = good && trace_map_set(&alone, key, left);
    }
    trace_map_free(&alone);
    return good;
}

static int pair_compare(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;

    if (a->direction != b->direction)
        return a->direction < b->direction ? -1 : 1;
    return a->way < b->way ? -1 : a->way > b->way;
}

/* The end of the pairs from `begin` on that are of the same direction. */
static size_t direction_end(const struct pairs *pairs, size_t begin)
{
    size_t end = begin;

    while (end < pairs->count && pairs->list[end].direction == pairs->list[begin].direction)
        end++;
    return end;
}

/* Learns how long the way from one point to the other is, by what most packets took. */
static void learn_ways(struct pairs *pairs)
{
    for (size_t begin = 0, end; begin < pairs->count; begin = end) {
        int64_t longest;

        end = direction_end(pairs, begin);
        longest = 2 * pairs->list[begin + (end - begin) / 2].way;
        if (longest < LEAST_WAY_NANOSECONDS)
            longest = LEAST_WAY_NANOSECONDS;
        pairs->longest_ways[pairs->list[begin].direction] = longest;
    }
}

static void pair_fold(struct trace *trace, const struct pair *pair)
{
    struct trace_packet *first = &trace->packets[pair->first];
    struct trace_packet *second = &trace->packets[pair->second];

    first->number_again = second->number;
    first->time_again = first->time + pair->way;
    if (second->time < first->time) {
        first->time_again = first->time;
        first->time = second->time;
    }
    second->association = TRACE_NONE; /* it goes */
}

/* An association's pairs, from `begin` on: folds them if it was seen at two points. */
static size_t fold_association(struct trace *trace, const struct pairs *pairs, size_t begin)
{
    uint32_t index = pairs->list[begin].direction / 2;
    struct trace_association *association = &trace->associations[index];
    size_t end = begin;

    while (end < pairs->count && pairs->list[end].direction / 2 == index)
        end++;
    if (end - begin >= PAIRS_MINIMUM && (end - begin) * 4 >= association->packet_count) {
        for (size_t i = begin; i < end; i++)
            pair_fold(trace, &pairs->list[i]);
        association->packet_count -= end - begin;
        trace->seen_twice += end - begin;
    }
    return end;
}

/* Closes the places of those that went. */
static void close_ranks(struct trace *trace)
{
    size_t kept = 0;

    for (size_t i = 0; i < trace->association_count; i++)
        trace->associations[i].first_packet = TRACE_NONE;
    for (size_t i = 0; i < trace->packet_count; i++) {
        struct trace_association *association;

        if (trace->packets[i].association == TRACE_NONE)
            continue;
        association = &trace->associations[trace->packets[i].association];
        if (association->first_packet == TRACE_NONE)
            association->first_packet = (uint32_t)kept;
        trace->packets[kept++] = trace->packets[i];
    }
    trace->packet_count = kept;
}

bool trace_fold_points(struct trace *trace)
{
    size_t directions = trace->association_count * 2;
    struct pairs pairs = {.longest_ways = calloc(directions + 1, sizeof(*pairs.longest_ways))};
    bool good = pairs.longest_ways != NULL;

    for (size_t i = 0; good && i < directions; i++)
        pairs.longest_ways[i] = WINDOW_NANOSECONDS;
    good = good && find_pairs(trace, &pairs);
    if (good && pairs.count > 0) {
        qsort(pairs.list, pairs.count, sizeof(*pairs.list), pair_compare);
        learn_ways(&pairs);
        good = find_pairs(trace, &pairs);
        qsort(pairs.list, pairs.count, sizeof(*pairs.list), pair_compare);
        for (size_t i = 0; good && i < pairs.count;)
            i = fold_association(trace, &pairs, i);
        if (trace->seen_twice > 0)
            close_ranks(trace);
    }
    free(pairs.longest_ways);
    free(pairs.list);
    return good;
}
