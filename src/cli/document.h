/*
 * A document of named values, lists and objects, written either as indented text for people or as
 * JSON (RFC 8259) for programs.
 *
 * What is described is said once, by these functions, and comes out in either form. In a list the
 * values have no names: `name` is NULL.
 *
 * Text and bytes may come from an attacker: control characters never reach the terminal.
 */
#ifndef CLI_DOCUMENT_H
#define CLI_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct document {
    FILE *out;
    bool json;
    bool colour;         /* of text */
    unsigned int indent; /* of text: the level that the next line stands at */
    unsigned int depth;  /* how many objects and lists are open */
    bool comma;          /* of JSON: something stands before the next value */
};

/* Colours: the escape sequence if the document has colour, else nothing. */
#define COLOUR_OFF "\033[0m"
#define COLOUR_STRONG "\033[1m"
#define COLOUR_FAINT "\033[2m"
#define COLOUR_BAD "\033[31m"
#define COLOUR_GOOD "\033[32m"
#define COLOUR_DATA "\033[36m"
#define COLOUR_CONTROL "\033[33m"
static inline const char *document_colour(const struct document *document, const char *colour)
{
    return document->colour ? colour : "";
}

/* Values. A hexadecimal number is one in JSON, where `digits` are of no meaning. */
void document_number(struct document *document, const char *name, uint64_t value);
void document_hexadecimal(struct document *document, const char *name, uint64_t value, int digits);
void document_boolean(struct document *document, const char *name, bool value);
void document_text(struct document *document, const char *name, const char *text);
void document_text_bytes(struct document *document, const char *name, const void *text,
                         size_t length);
void document_bytes(struct document *document, const char *name, const void *bytes, size_t length);

/* Two numbers that belong together, in a list: [2,3] in JSON, 2-3 in text if '-' is between. */
void document_pair(struct document *document, uint64_t first, char separator, uint64_t second);

/* A time in nanoseconds; in seconds, as a decimal fraction. */
void document_time(struct document *document, const char *name, int64_t nanoseconds);

/* A list. In text, one that is known to be empty is not there at all. */
void document_list_begin(struct document *document, const char *name, size_t count);
void document_list_end(struct document *document);

/* An object. In text its title stands above its values; JSON has no titles. */
void document_object_begin(struct document *document, const char *name, const char *title);
void document_object_end(struct document *document);

/* The bytes of a text of unknown origin, with what could do harm to a terminal written as \xNN. */
void document_print_text(FILE *out, const void *text, size_t length);

#endif
