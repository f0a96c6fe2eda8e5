/*
 * Free lists by size.
 */
#include "engine/pool.h"

#include <stdbool.h>
#include <stdlib.h>

struct pool_block {
    struct pool_block *next;
};

static unsigned int size_class(size_t length)
{
    if (length <= (size_t)1 << POOL_SMALLEST)
        return POOL_SMALLEST;
    return (unsigned int)(64 - __builtin_clzll(length - 1)); /* to the next power of two */
}

/* Under AddressSanitizer nothing is kept: what is used after its release is to be seen. */
#ifdef __SANITIZE_ADDRESS__
static const bool keeping = false;
#else
static const bool keeping = true;
#endif

/* Where much is in use, as much may come back at once, and be wanted again. */
static bool keeps_too_much(const struct pool *pool, unsigned int class)
{
    size_t kept = pool->kept[class];

    return keeping ? kept > POOL_KEPT && kept > pool->used[class] : kept > 0;
}

static struct pool_block *take(struct pool *pool, unsigned int class)
{
    struct pool_block *block = pool->free[class];

    pool->free[class] = block->next;
    pool->kept[class] -= (size_t)1 << class;
    return block;
}

size_t pool_size(size_t length)
{
    return length > (size_t)1 << POOL_LARGEST ? length : (size_t)1 << size_class(length);
}

void *pool_allocate(struct pool *pool, size_t length)
{
    if (length > (size_t)1 << POOL_LARGEST)
        return malloc(length);

    unsigned int class = size_class(length);
    void *block = pool->free[class] ? take(pool, class) : malloc((size_t)1 << class);

    if (block)
        pool->used[class] += (size_t)1 << class;
    return block;
}

void pool_release(struct pool *pool, void *bytes, size_t length)
{
    unsigned int class = size_class(length);
    struct pool_block *block = bytes;

    if (!bytes)
        return;
    if (length > (size_t)1 << POOL_LARGEST) {
        free(bytes);
        return;
    }
    block->next = pool->free[class];
    pool->free[class] = block;
    pool->kept[class] += (size_t)1 << class;
    pool->used[class] -= (size_t)1 << class;
    while (keeps_too_much(pool, class))
        free(take(pool, class));
}

void pool_clear(struct pool *pool)
{
    for (unsigned int class = 0; class <= POOL_LARGEST; class ++) {
        while (pool->free[class])
            free(take(pool, class));
    }
}
