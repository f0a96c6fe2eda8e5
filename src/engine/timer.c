/*
 * The timer wheel.
 */
#include "engine/timer.h"

#include <stddef.h>

#define DIGIT 6 /* bits: TIMER_SLOTS is 2^6 */

_Static_assert(DIGIT *TIMER_LEVELS + TIMER_TICK_SHIFT >= 64, "there is a level for any time");

static uint64_t tick_of(braid_time time)
{
    return time >> TIMER_TICK_SHIFT;
}

/* The tick at which a slot begins. */
static uint64_t slot_tick(const struct timer_wheel *wheel, unsigned int level, unsigned int index)
{
    unsigned int above = DIGIT * (level + 1);

    return (wheel->tick >> above << above) | (uint64_t)index << DIGIT * level;
}

/* The earliest slot in use. */
static bool first_slot(const struct timer_wheel *wheel, unsigned int *level, unsigned int *index)
{
    for (unsigned int i = 0; i < TIMER_LEVELS; i++) {
        if (wheel->occupied[i]) {
            *level = i;
            *index = (unsigned int)__builtin_ctzll(wheel->occupied[i]);
            return true;
        }
    }
    return false;
}

void timer_wheel_init(struct timer_wheel *wheel, braid_time now)
{
    *wheel = (struct timer_wheel){.tick = tick_of(now)};
    for (size_t i = 0; i < (size_t)TIMER_LEVELS * TIMER_SLOTS; i++)
        list_init(&wheel->slots[i]);
}

static void place(struct timer_wheel *wheel, struct timer *timer)
{
    uint64_t tick = tick_of(timer->expires);
    unsigned int level = 0;

    if (tick < wheel->tick)
        tick = wheel->tick;
    if (tick != wheel->tick)
        level = (63 - (unsigned int)__builtin_clzll(tick ^ wheel->tick)) / DIGIT;

    unsigned int index = tick >> DIGIT * level & (TIMER_SLOTS - 1);

    timer->slot = (uint16_t)(level * TIMER_SLOTS + index);
    list_append(&wheel->slots[timer->slot], &timer->link);
    wheel->occupied[level] |= (uint64_t)1 << index;
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer_is_running(timer))
        return;
    list_remove(&timer->link);
    if (list_is_empty(&wheel->slots[timer->slot]))
        wheel->occupied[timer->slot / TIMER_SLOTS] &= ~((uint64_t)1 << timer->slot % TIMER_SLOTS);
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, braid_time expires)
{
    bool later = timer_is_running(timer) && expires >= timer->expires;

    if (!later)
        timer_stop(wheel, timer);
    timer->expires = expires;
    if (!later)
        place(wheel, timer);
}

braid_time timer_wheel_next(const struct timer_wheel *wheel)
{
    unsigned int level, index;

    if (!first_slot(wheel, &level, &index))
        return BRAID_TIME_NEVER;

    braid_time begin = slot_tick(wheel, level, index) << TIMER_TICK_SHIFT;

    if (level > 0)
        return begin;

    braid_time earliest = BRAID_TIME_NEVER;
    const struct list *slot = &wheel->slots[index];

    LIST_FOR_EACH(link, slot)
    {
        braid_time expires = LIST_ENTRY(link, struct timer, link)->expires;

        if (expires < earliest)
            earliest = expires;
    }
    /* Put off beyond their slot, all of them: they have to be moved on. */
    if (tick_of(earliest) > tick_of(begin))
        return begin;
    return earliest;
}

struct timer *timer_wheel_expire(struct timer_wheel *wheel, braid_time now)
{
    unsigned int level, index;

    while (first_slot(wheel, &level, &index)) {
        uint64_t begin = slot_tick(wheel, level, index);
        struct list *slot = &wheel->slots[level * TIMER_SLOTS + index];

        if (begin > tick_of(now))
            break;
        if (begin > wheel->tick)
            wheel->tick = begin;
        LIST_FOR_EACH_SAFE(link, slot)
        {
            struct timer *timer = LIST_ENTRY(link, struct timer, link);
            bool moves = level > 0 || tick_of(timer->expires) > begin;

            if (!moves && timer->expires > now)
                continue;
            timer_stop(wheel, timer);
            if (!moves)
                return timer;
            place(wheel, timer);
        }
        if (level == 0 && wheel->occupied[0] >> index & 1)
            break; /* this tick is the present one, and the rest of it is yet to come */
    }
    if (tick_of(now) > wheel->tick)
        wheel->tick = tick_of(now);
    return NULL;
}
