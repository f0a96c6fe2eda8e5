/*
 * Memory for messages: free blocks by size, so that a steady flow of them asks nobody.
 *
 * Sizes are rounded up to a power of two; of each at most as many are kept for the next
 * time as are in use, or POOL_KEPT bytes. Which blocks are free stands beside them, not in them: a
 * message that is released was last touched long ago, and is not in the cache.
 */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_SMALLEST 6 /* 2^6 bytes */
#define POOL_LARGEST 17 /* 2^17 bytes: larger ones come from malloc() and go to free() */
#define POOL_KEPT ((size_t)1 << 23)

/* The blocks of one size. */
struct pool_shelf {
    void **free;
    size_t kept, used; /* blocks */
    size_t capacity;   /* of `free` */
};

struct pool {
    struct pool_shelf shelves[POOL_LARGEST + 1];
};

/* At least `length` bytes, not initialized; NULL if there is no memory. */
void *pool_allocate(struct pool *pool, size_t length);
/* `length` as it was asked for. */
void pool_release(struct pool *pool, void *bytes, size_t length);
/* How many bytes pool_allocate() really gives. */
size_t pool_size(size_t length);
/* Gives all that is kept back to the system. */
void pool_clear(struct pool *pool);

#endif
