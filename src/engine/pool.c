/*
 * Free blocks by size.
 */
#include "engine/pool.h"

#include <stdbool.h>
#include <stdlib.h>

#define SHELF_LEAST 32

static size_t size_class(size_t length)
{
    if (length <= (size_t)1 << POOL_SMALLEST)
        return POOL_SMALLEST;
    return 64 - (size_t)__builtin_clzll(length - 1); /* to the next power of two */
}

/* Under AddressSanitizer nothing is kept: what is used after its release is to be seen. */
#ifdef __SANITIZE_ADDRESS__
static const bool keeping = false;
#else
static const bool keeping = true;
#endif

/* Where much is in use, as much may come back at once, and be wanted again. */
static bool keeps_too_much(const struct pool_shelf *shelf, size_t class, size_t kept)
{
    return keeping ? kept > shelf->used && kept > POOL_KEPT >> class : kept > 0;
}

static bool grow(struct pool_shelf *shelf)
{
    size_t capacity = shelf->capacity ? 2 * shelf->capacity : SHELF_LEAST;
    void **blocks = realloc(shelf->free, capacity * sizeof(*blocks));

    if (!blocks)
        return false;
    shelf->free = blocks;
    shelf->capacity = capacity;
    return true;
}

/* What is rare is not inlined, so that the rest needs no registers saved. */
__attribute__((noinline)) static void *allocate_new(struct pool_shelf *shelf, size_t class)
{
    void *block = malloc((size_t)1 << class);

    shelf->used += !!block;
    return block;
}

/* There is no place for it, or too much is kept. */
__attribute__((noinline)) static void release_rarely(struct pool_shelf *shelf, size_t class,
                                                     void *block)
{
    if (shelf->kept == shelf->capacity && !grow(shelf)) {
        free(block);
        return;
    }
    shelf->free[shelf->kept++] = block;
    while (keeps_too_much(shelf, class, shelf->kept))
        free(shelf->free[--shelf->kept]);
}

size_t pool_size(size_t length)
{
    return length > (size_t)1 << POOL_LARGEST ? length : (size_t)1 << size_class(length);
}

void *pool_allocate(struct pool *pool, size_t length)
{
    if (length > (size_t)1 << POOL_LARGEST)
        return malloc(length);

    size_t class = size_class(length);
    struct pool_shelf *shelf = &pool->shelves[class];

    if (shelf->kept == 0)
        return allocate_new(shelf, class);
    shelf->used++;
    return shelf->free[--shelf->kept];
}

void pool_release(struct pool *pool, void *bytes, size_t length)
{
    if (!bytes)
        return;
    if (length > (size_t)1 << POOL_LARGEST) {
        free(bytes);
        return;
    }

    size_t class = size_class(length);
    struct pool_shelf *shelf = &pool->shelves[class];

    shelf->used--;
    if (shelf->kept == shelf->capacity || keeps_too_much(shelf, class, shelf->kept + 1))
        release_rarely(shelf, class, bytes);
    else
        shelf->free[shelf->kept++] = bytes;
}

void pool_clear(struct pool *pool)
{
    for (size_t class = 0; class <= POOL_LARGEST; class ++) {
        struct pool_shelf *shelf = &pool->shelves[class];

        while (shelf->kept > 0)
            free(shelf->free[--shelf->kept]);
        free(shelf->free);
        *shelf = (struct pool_shelf){0};
    }
}
