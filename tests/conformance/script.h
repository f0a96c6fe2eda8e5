/*
 * Packet scripts: what we call, what we expect on the wire, what the peer sends. The form is
 * described in docs/packet-scripts.md.
 *
 *   script.c   text to steps and items        wire.c   items to bytes, and bytes against items
 *   run.c      the commands, and main()
 */
#ifndef CONFORMANCE_SCRIPT_H
#define CONFORMANCE_SCRIPT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer.h"

enum { NAME_MAXIMUM = 48, VALUE_MAXIMUM = 256, ARGUMENTS_MAXIMUM = 16, VARIABLES_MAXIMUM = 64 };

/* NAME(key=value, value, ITEM(...)): a chunk, a parameter, an error cause. */
struct item {
    char name[NAME_MAXIMUM];
    struct argument {
        char key[NAME_MAXIMUM];
        char value[VALUE_MAXIMUM];
        struct item *item; /* in place of a value */
    } arguments[ARGUMENTS_MAXIMUM];
    unsigned int argument_count;
    struct item *next; /* the next chunk of the packet */
};

/* $name: a number, or bytes. */
struct variable {
    char name[NAME_MAXIMUM];
    uint64_t number;
    uint8_t bytes[2048];
    size_t length; /* of the bytes; 0: it is a number */
};

struct script {
    const char *path;
    char *text, *position;
    int line;
    struct variable variables[VARIABLES_MAXIMUM];
    unsigned int variable_count;
    struct peer *peer;
};

/* Fails the test, naming script and line. */
__attribute__((noreturn, format(printf, 2, 3))) void script_fail(const struct script *script,
                                                                 const char *format, ...);

/* Reads the text of a script. */
void script_open(struct script *script, const char *path);
void script_close(struct script *script);
/* The next step: its text without comment, which goes on over line ends within brackets and after
 * a semicolon. NULL at the end. To be freed. */
char *script_next(struct script *script);

/* "CHUNK(...); CHUNK(...)" or "key=value, ..." (as the arguments of an item without a name). */
struct item *items_parse(const struct script *script, const char *text);
struct item *arguments_parse(const struct script *script, const char *text);
void items_free(struct item *item);
/* The value of an argument, NULL if it is not given. A key of "" is the first one without a key. */
const char *item_value(const struct item *item, const char *key);

struct variable *variable_find(struct script *script, const char *name);
struct variable *variable_add(struct script *script, const char *name);
/* A number: 12, 0xc, $name, $name+1. */
uint64_t number_value(struct script *script, const char *text);
/* True if this is what the text says; a variable that was not set is set to it. "!" in front: if
 * it is not. */
bool number_matches(struct script *script, const char *text, uint64_t number);
/* Bytes: "text", hexadecimal digits, $name. */
size_t bytes_value(struct script *script, const char *text, uint8_t *bytes, size_t capacity);
bool bytes_match(struct script *script, const char *text, const uint8_t *bytes, size_t length);

/* ---- wire.c ---- */

/* Writes the chunks into the packet in the making. */
void items_write(struct script *script, const struct item *items);
/* Do the chunks of the packet look like this? If not, why. */
bool items_match(struct script *script, const struct item *items, const uint8_t *packet,
                 size_t length, char *why, size_t size);

#endif
