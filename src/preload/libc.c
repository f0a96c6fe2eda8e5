/*
 * Looks the functions up that stand behind ours (dlsym(3), RTLD_NEXT).
 */
#include "preload/libc.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "preload/private.h"

static struct libc functions;
static atomic_bool found;

/* Two threads may do this at once: they write the same. */
const struct libc *libc_functions(void)
{
    if (__builtin_expect(atomic_load_explicit(&found, memory_order_acquire), true))
        return &functions;
#define LIBC_FIND(result, name, parameters) *(void **)&functions.name = dlsym(RTLD_NEXT, #name);
    LIBC_FUNCTIONS(LIBC_FIND)
#undef LIBC_FIND
    atomic_store_explicit(&found, true, memory_order_release);
    return &functions;
}

__attribute__((constructor(101))) static void begin(void)
{
    libc_functions();
    stack_set_name(getenv(CHANNEL_ENVIRONMENT));
    if (stack_name())
        busy_open();
}
