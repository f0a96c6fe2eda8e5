/*
 * The packets of the running stack, as they come: it writes a block of the capture in each datagram
 * (link/capture.h), and this makes a stream of them.
 */
#include "cli/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/channel.h"

struct live {
    int descriptor;
    size_t begin, end; /* what of `block` was not read yet */
    char block[1 << 17];
};

static ssize_t live_read(void *cookie, char *bytes, size_t size)
{
    struct live *live = cookie;

    if (live->begin == live->end) {
        ssize_t received = recv(live->descriptor, live->block, sizeof(live->block), 0);

        if (received < 0 && errno == EINTR)
            return 0; /* the reader was told to stop */
        if (received <= 0)
            return received;
        live->begin = 0;
        live->end = (size_t)received;
    }
    if (size > live->end - live->begin)
        size = live->end - live->begin;
    memcpy(bytes, live->block + live->begin, size);
    live->begin += size;
    return (ssize_t)size;
}

static int live_close(void *cookie)
{
    struct live *live = cookie;

    close(live->descriptor);
    free(live);
    return 0;
}

/* The descriptor that the stack answers with, or a negative errno. */
static int ask_for_packets(const char *name)
{
    struct channel_reply reply;
    int descriptor;
    int connection = channel_connect(name);
    int error = channel_ask(connection, CHANNEL_CAPTURE, &reply, &descriptor);

    if (connection >= 0)
        close(connection);
    if (error == 0)
        error = descriptor >= 0 ? descriptor : -EPROTO;
    return error;
}

FILE *live_open(const char *name, int *error)
{
    static const cookie_io_functions_t functions = {.read = live_read, .close = live_close};
    struct live *live = calloc(1, sizeof(*live));
    FILE *file = NULL;

    *error = live ? ask_for_packets(name) : -ENOMEM;
    if (*error >= 0) {
        live->descriptor = *error;
        file = fopencookie(live, "r", functions);
        *error = file ? 0 : -ENOMEM;
        if (!file)
            close(live->descriptor);
    }
    if (!file)
        free(live);
    return file;
}
