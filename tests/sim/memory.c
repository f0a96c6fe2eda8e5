/*
 * How much memory is allocated. See memory.h.
 */
#include "memory.h"

#include <malloc.h>

/* NOLINTBEGIN: the linker's names */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *bytes, size_t size);
void __real_free(void *bytes);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *bytes, size_t size);
void __wrap_free(void *bytes);

static size_t in_use;

void *__wrap_malloc(size_t size)
{
    void *bytes = __real_malloc(size);

    in_use += malloc_usable_size(bytes);
    return bytes;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *bytes = __real_calloc(count, size);

    in_use += malloc_usable_size(bytes);
    return bytes;
}

void *__wrap_realloc(void *bytes, size_t size)
{
    size_t before = malloc_usable_size(bytes);
    void *moved = __real_realloc(bytes, size);

    in_use += malloc_usable_size(moved) - before;
    return moved;
}

void __wrap_free(void *bytes)
{
    in_use -= malloc_usable_size(bytes);
    __real_free(bytes);
}
/* NOLINTEND */

size_t memory_in_use(void)
{
    return in_use;
}
