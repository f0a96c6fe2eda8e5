/*
 * Asking the running stack what there is, and walking through its answer: stack/status.h.
 */
#include "cli/status_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/channel.h"
#include "cli/describe.h"

/* ---- Records ---- */

const struct status_record *status_next(const struct status *status,
                                        const struct status_record *record)
{
    static const uint32_t sizes[] = {
        [STATUS_STACK] = sizeof(struct status_stack),
        [STATUS_LINK] = sizeof(struct status_link),
        [STATUS_SOCKET] = sizeof(struct status_socket),
        [STATUS_ASSOCIATION] = sizeof(struct status_association),
        [STATUS_PATH] = sizeof(struct status_path),
        [STATUS_USER] = sizeof(struct status_user),
    };
    const uint8_t *position = record ? (const uint8_t *)record + record->length : status->bytes;
    size_t left = status->length - (size_t)(position - status->bytes);
    const struct status_record *next = (const void *)position;

    /* it may be anybody's stack */
    if (left < sizeof(*next) || next->length > left || next->length % sizeof(*next) != 0 ||
        next->type >= sizeof(sizes) / sizeof(sizes[0]) || next->length != sizes[next->type])
        return NULL;
    return next;
}

/* ---- Asking ---- */

static int read_file(int descriptor, struct status *status)
{
    struct stat info;
    ssize_t got;

    if (fstat(descriptor, &info) < 0)
        return -errno;
    status->length = (size_t)info.st_size;
    status->bytes = malloc(status->length + 1);
    if (!status->bytes)
        return -ENOMEM;
    got = pread(descriptor, status->bytes, status->length, 0);
    return got == (ssize_t)status->length ? 0 : -EIO;
}

/* Whatever stack it is from: texts end. */
static void end_texts(const struct status *status)
{
    for (const struct status_record *record = NULL; (record = status_next(status, record));) {
        struct status_stack *stack = (void *)record;
        struct status_link *link = (void *)record;

        if (record->type == STATUS_STACK)
            stack->name[sizeof(stack->name) - 1] = '\0';
        if (record->type == STATUS_LINK)
            link->name[sizeof(link->name) - 1] = '\0';
    }
}

static int ask_and_read(const char *name, struct status *status)
{
    struct channel_reply reply;
    int descriptor;
    uid_t owner;
    int connection = channel_connect_to_any(name, &owner);
    int error = channel_ask(connection, CHANNEL_STATUS, &reply, &descriptor);

    if (error == 0)
        error = descriptor >= 0 ? read_file(descriptor, status) : -EPROTO;
    if (error == 0)
        end_texts(status);
    if (descriptor >= 0)
        close(descriptor);
    if (connection >= 0)
        close(connection);
    return error;
}

int status_ask(const char *name, struct status *status)
{
    const struct status_record *first;
    int error = ask_and_read(name, status);

    if (error < 0)
        return error;
    first = status_next(status, NULL);
    return first && first->type == STATUS_STACK ? 0 : -EPROTO;
}

/* ---- What belongs to what ---- */

const struct status_record *status_next_below(const struct status *status,
                                              const struct status_record *record,
                                              enum status_type type)
{
    while ((record = status_next(status, record)) && record->type > type)
        ;
    return record && record->type == type ? record : NULL;
}

size_t status_count_below(const struct status *status, const struct status_record *record,
                          enum status_type type)
{
    size_t count = 0;

    while ((record = status_next_below(status, record, type)))
        count++;
    return count;
}

const struct status_path *status_primary_path(const struct status *status,
                                              const struct status_record *association)
{
    const struct status_record *record = association;

    while ((record = status_next_below(status, record, STATUS_PATH))) {
        const struct status_path *path = (const void *)record;

        if (path->info.primary)
            return path;
    }
    return NULL;
}

/* ---- Words ---- */

void status_endpoint_text(char *text, const struct braid_address *address, uint16_t port)
{
    char bytes[DESCRIBE_ADDRESS_SIZE];
    char number[8] = "*";

    if (port != 0)
        snprintf(number, sizeof(number), "%u", port);
    if (address->family == BRAID_UNSPECIFIED)
        snprintf(text, STATUS_ENDPOINT_SIZE, "*:%s", number);
    else
        snprintf(text, STATUS_ENDPOINT_SIZE, address->family == BRAID_IPV6 ? "[%s]:%s" : "%s:%s",
                 describe_address(address, bytes), number);
}
