/*
 * What `braid top` shows: two looks at the stack, and what happened between them.
 *
 * RFC 9260, section 14 (what there is to tell of associations and paths).
 */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/status_reader.h"

/* The columns, which are also what may be sorted by. */
enum top_column {
    TOP_STATE,
    TOP_LOCAL,
    TOP_PEER,
    TOP_SENT,          /* bytes a second, from here on numbers */
    TOP_RECEIVED,      /* bytes a second */
    TOP_MESSAGES_OUT,  /* a second */
    TOP_MESSAGES_IN,   /* a second */
    TOP_RETRANSMITTED, /* chunks a second */
    TOP_QUEUED,        /* bytes that wait or are not acknowledged */
    TOP_RTT,           /* smoothed, of the primary path, in milliseconds */
    TOP_COLUMNS,
};

/* One look. */
struct top_look {
    struct status status;
    const struct status_association **associations; /* by their tags */
    size_t count;
};

#define TOP_SEARCH_SIZE 64

struct top_view {
    const char *name; /* of the stack */
    enum top_column sort;
    bool reverse; /* smallest numbers first, last texts first */
    bool paths;   /* a line for each path, too */
    char search[TOP_SEARCH_SIZE];
    size_t scroll; /* associations that stand above the screen */
    struct top_look now, before;
};

/* The column of this name; TOP_COLUMNS: there is none. */
enum top_column top_column_find(const char *name);
const char *top_column_name(enum top_column column);

/* Asks the stack. Negative errno: the view stays what it was. */
int top_view_look(struct top_view *view);
void top_view_free(struct top_view *view);

/* Writes as many lines as there are rows, without those at the end that are empty. `room`: columns
 * of the terminal; what needs more is cut off there. */
void top_view_print(struct top_view *view, FILE *out, unsigned int rows, unsigned int room);

#endif
