/*
 * Streams on a socket: fdopen(). glibc's own streams read and write without passing by us, so a
 * stream on one of our descriptors gets functions that do (fopencookie(3)).
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "preload/libc.h"
#include "preload/private.h"

static ssize_t stream_read(void *cookie, char *bytes, size_t length)
{
    return read((int)(intptr_t)cookie, bytes, length);
}

static ssize_t stream_write(void *cookie, const char *bytes, size_t length)
{
    ssize_t written = write((int)(intptr_t)cookie, bytes, length);

    return written < 0 ? 0 : written; /* as fopencookie(3) has it: 0 is the error */
}

static int stream_close(void *cookie)
{
    return close((int)(intptr_t)cookie);
}

__attribute__((visibility("default"))) FILE *fdopen(int descriptor, const char *mode)
{
    cookie_io_functions_t functions = {
        .read = stream_read, .write = stream_write, .close = stream_close};
    struct program_socket ours;

    if (!descriptor_is_ours(descriptor, &ours))
        return libc_functions()->fdopen(descriptor, mode);
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the cookie is the number */
    return fopencookie((void *)(intptr_t)descriptor, mode, functions);
}
