/*
 * A library to be loaded into a process: counts the bytes that memcpy() and memmove() copy there,
 * and writes the number when the process ends, into the directory COUNT_COPIES, in a file with the
 * program's name. (Copies of a length that the compiler knows are no calls, nor are they of a
 * payload.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TAKEN_OVER __attribute__((visibility("default")))

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);

static _Atomic uint64_t copied;
static int file = -1;

/* Early: the stack later gives up the right to open files. */
__attribute__((constructor)) static void open_file(void)
{
    const char *directory = getenv("COUNT_COPIES");
    char path[4096];

    if (!directory)
        return;
    (void)snprintf(path, sizeof(path), "%s/%s", directory, program_invocation_short_name);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

__attribute__((destructor)) static void write_file(void)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)copied);

    if (file >= 0)
        (void)!write(file, text, (size_t)length);
}

TAKEN_OVER void *memmove(void *to, const void *from, size_t length)
{
    volatile uint8_t *target = to; /* so that the compiler does not see what this is */
    const uint8_t *source = from;

    atomic_fetch_add_explicit(&copied, length, memory_order_relaxed);
    if ((uintptr_t)to - (uintptr_t)from >= length)
        for (size_t i = 0; i < length; i++)
            target[i] = source[i];
    else
        while (length-- > 0)
            target[length] = source[length];
    return to;
}

TAKEN_OVER void *memcpy(void *to, const void *from, size_t length)
{
    return memmove(to, from, length);
}

TAKEN_OVER void *__memcpy_chk(void *to, const void *from, size_t length, size_t room)
{
    return length <= room ? memmove(to, from, length) : (abort(), NULL);
}

TAKEN_OVER void *__memmove_chk(void *to, const void *from, size_t length, size_t room)
{
    return length <= room ? memmove(to, from, length) : (abort(), NULL);
}
