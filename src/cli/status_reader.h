/*
 * What the running stack tells of itself (stack/status.h), for the commands that show it.
 */
#ifndef CLI_STATUS_READER_H
#define CLI_STATUS_READER_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"
#include "stack/status.h"

/* The records, one behind the other. */
struct status {
    uint8_t *bytes; /* to be freed, also after an error */
    size_t length;
};

/* Asks the stack of this name. What it gives to `status` begins with a struct status_stack. */
int status_ask(const char *name, struct status *status);

/* The record after another, or the first; NULL at the end. */
const struct status_record *status_next(const struct status *status,
                                        const struct status_record *record);

/* The next record of this type that belongs to the same one: before any of a type below it. */
const struct status_record *status_next_below(const struct status *status,
                                              const struct status_record *record,
                                              enum status_type type);
size_t status_count_below(const struct status *status, const struct status_record *record,
                          enum status_type type);

/* The primary path of an association; NULL: there is none yet. */
const struct status_path *status_primary_path(const struct status *status,
                                              const struct status_record *association);

/* address:port as ss(8) writes it; no port is '*'. */
#define STATUS_ENDPOINT_SIZE 64
void status_endpoint_text(char *text, const struct braid_address *address, uint16_t port);

#endif
