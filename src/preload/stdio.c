/*
 * Streams on a socket: fdopen(), dprintf(), and the standard streams of a program that was started
 * with a socket in their place. glibc's own streams read and write without passing by us, so a
 * stream on one of our descriptors gets functions that do (fopencookie(3)).
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/libc.h"
#include "preload/private.h"

#define TAKEN_OVER __attribute__((visibility("default")))

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

static FILE *open_stream(int descriptor, const char *mode)
{
    cookie_io_functions_t functions = {
        .read = stream_read, .write = stream_write, .close = stream_close};
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the cookie is the number */
    FILE *stream = fopencookie((void *)(intptr_t)descriptor, mode, functions);

    if (stream)
        stream->_fileno = descriptor; /* for fileno() below; glibc does not look at it */
    return stream;
}

TAKEN_OVER FILE *fdopen(int descriptor, const char *mode)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return open_stream(descriptor, mode);
    return libc_functions()->fdopen(descriptor, mode);
}

/* glibc's has no number for a stream with functions. */
TAKEN_OVER int fileno(FILE *stream)
{
    return stream->_fileno >= 0 ? stream->_fileno : libc_functions()->fileno(stream);
}

TAKEN_OVER int fileno_unlocked(FILE *stream)
{
    return fileno(stream);
}

/* After libc's own are there, before the program looks. */
__attribute__((constructor(103))) static void replace_standard_streams(void)
{
    FILE **streams[] = {&stdin, &stdout, &stderr};
    struct program_socket ours;

    for (int i = 0; i <= STDERR_FILENO; i++) {
        FILE *stream = descriptor_is_ours(i, &ours) ? open_stream(i, i == 0 ? "r" : "w") : NULL;

        if (stream)
            *streams[i] = stream;
        if (stream && i == STDERR_FILENO)
            setvbuf(stream, NULL, _IONBF, 0);
    }
}

/* ---- dprintf ---- */

TAKEN_OVER int vdprintf(int descriptor, const char *format, va_list arguments)
{
    struct program_socket ours;
    char *text;
    int length;

    if (!descriptor_is_ours(descriptor, &ours))
        return libc_functions()->vdprintf(descriptor, format, arguments);
    length = vasprintf(&text, format, arguments);
    if (length > 0 && write(descriptor, text, (size_t)length) < 0)
        length = -1;
    free(text);
    return length;
}

TAKEN_OVER int dprintf(int descriptor, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vdprintf(descriptor, format, arguments);
    va_end(arguments);
    return length;
}

/* The fortified variants. */
int __vdprintf_chk(int descriptor, int flag, const char *format, va_list arguments);
int __dprintf_chk(int descriptor, int flag, const char *format, ...);

TAKEN_OVER int __vdprintf_chk(int descriptor, int flag, const char *format, va_list arguments)
{
    struct program_socket ours;

    if (descriptor_is_ours(descriptor, &ours))
        return vdprintf(descriptor, format, arguments);
    return libc_functions()->__vdprintf_chk(descriptor, flag, format, arguments);
}

TAKEN_OVER int __dprintf_chk(int descriptor, int flag, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = __vdprintf_chk(descriptor, flag, format, arguments);
    va_end(arguments);
    return length;
}
