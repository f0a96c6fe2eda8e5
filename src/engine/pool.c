/*
 * Free lists by size.
 */
#include "engine/pool.h"

#include <stdlib.h>

struct pool_block {
    struct pool_block *next;
};

/* Under AddressSanitizer nothing is kept: what is used after its release is to be seen. */
#ifdef __SANITIZE_ADDRESS__
static const size_t keep = 0;
#else
static const size_t keep = POOL_KEPT;
#endif

static unsigned int size_class(size_t length)
{
    unsigned int class = POOL_SMALLEST;

    while ((size_t)1 << class < length)
        class ++;
    return class;
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
    struct pool_block *block = pool->free[class];

    if (!block)
        return malloc((size_t)1 << class);
    pool->free[class] = block->next;
    pool->kept[class] -= (size_t)1 << class;
    return block;
}

void pool_release(struct pool *pool, void *bytes, size_t length)
{
    unsigned int class = size_class(length);

    if (!bytes)
        return;
    if (length > (size_t)1 << POOL_LARGEST || pool->kept[class] >= keep) {
        free(bytes);
        return;
    }

    struct pool_block *block = bytes;

    block->next = pool->free[class];
    pool->free[class] = block;
    pool->kept[class] += (size_t)1 << class;
}

void pool_clear(struct pool *pool)
{
    for (unsigned int class = 0; class <= POOL_LARGEST; class ++) {
        while (pool->free[class]) {
            struct pool_block *block = pool->free[class];

            pool->free[class] = block->next;
            free(block);
        }
        pool->kept[class] = 0;
    }
}
