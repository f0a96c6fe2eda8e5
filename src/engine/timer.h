/*
 * Timers of all associations in one structure: setting and stopping is O(1).
 *
 * A hierarchical wheel. A slot of the lowest level is a tick of 1,024 microseconds; one of each
 * further level is 64 of the level below. A timer stands in the level of the highest digit (base
 * 64) in which its tick differs from the wheel's own, so all timers of a level are earlier than
 * those of the level above it, and each moves down at most once a level.
 *
 * A timer that is only put off stays in its slot, and moves on when that slot's time comes: T3-rtx
 * is restarted with every SACK, which then writes one number.
 */
#ifndef ENGINE_TIMER_H
#define ENGINE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "braid/engine.h"
#include "engine/list.h"

#define TIMER_LEVELS 9 /* all ticks that there are */
#define TIMER_SLOTS 64
#define TIMER_TICK_SHIFT 10 /* a tick is 2^10 microseconds */

struct timer {
    struct list link;   /* empty: it does not run */
    braid_time expires; /* the time it is to go off */
    uint16_t slot;      /* where it stands: level * TIMER_SLOTS + index */
    uint16_t kind;      /* its owner's: which timer this is */
    uint32_t owner;     /* its owner's */
};

struct timer_wheel {
    uint64_t tick; /* of the time up to which timers went off */
    uint64_t occupied[TIMER_LEVELS];
    struct list slots[TIMER_LEVELS * TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, braid_time now);

/* When timer_wheel_expire() has something to do; BRAID_TIME_NEVER if no timer runs. It may be a
 * little too early, never too late. */
braid_time timer_wheel_next(const struct timer_wheel *wheel);

/* Takes out one timer whose time has come, NULL if there is none (left). */
struct timer *timer_wheel_expire(struct timer_wheel *wheel, braid_time now);

static inline void timer_init(struct timer *timer, uint16_t kind)
{
    list_init(&timer->link);
    timer->kind = kind;
}

static inline bool timer_is_running(const struct timer *timer)
{
    return !list_is_empty(&timer->link);
}

/* Starts it, or starts it anew. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, braid_time expires);
/* Harmless if it does not run. */
void timer_stop(struct timer_wheel *wheel, struct timer *timer);

#endif
