/*
 * io_uring(7): a ring's calls go from the program straight to the kernel, and past us. On an SCTP
 * socket they would send and receive what is the channel's, so there are no rings: programs that
 * can do without do so, as on a kernel that has none, and others say why they end. RFC 6458 knows
 * nothing of it.
 *
 * These are the functions of liburing that make a ring; who asks by syscall() is answered by
 * number.c, and who asks the kernel by itself, if its calls are trapped, by the filter (src/trap/).
 */
#include <errno.h>
#include <stddef.h>

#define TAKEN_OVER __attribute__((visibility("default")))

struct io_uring;
struct io_uring_params;

int io_uring_setup(unsigned int entries, struct io_uring_params *parameters);
int io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
                               struct io_uring_params *parameters);
int io_uring_queue_init_mem(unsigned int entries, struct io_uring *ring,
                            struct io_uring_params *parameters, void *memory, size_t size);

TAKEN_OVER int io_uring_setup(unsigned int entries, struct io_uring_params *parameters)
{
    (void)entries;
    (void)parameters;
    return -ENOSYS;
}

TAKEN_OVER int io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
    (void)entries;
    (void)ring;
    (void)flags;
    return -ENOSYS;
}

TAKEN_OVER int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
                                          struct io_uring_params *parameters)
{
    (void)entries;
    (void)ring;
    (void)parameters;
    return -ENOSYS;
}

TAKEN_OVER int io_uring_queue_init_mem(unsigned int entries, struct io_uring *ring,
                                       struct io_uring_params *parameters, void *memory,
                                       size_t size)
{
    (void)memory;
    (void)size;
    return io_uring_queue_init_params(entries, ring, parameters);
}
