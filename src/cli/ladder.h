/*
 * Sequence drawings of associations: what the three ways to draw one share.
 *
 * Each address is a lane, a packet an arrow from lane to lane. The left lanes are those of side 0,
 * which began. Time goes down, and where nothing happens it is folded.
 */
#ifndef CLI_LADDER_H
#define CLI_LADDER_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/trace.h"

/* Longer silences are told in a line of their own. */
#define LADDER_FOLD_NANOSECONDS 200000000

#define LADDER_LABEL_SIZE 512
#define LADDER_NOTES_SIZE 160

struct ladder {
    const struct trace *trace;
    const char *title;    /* the capture's name */
    uint32_t association; /* draw this one alone; TRACE_NONE: all */
    bool absolute;        /* TSNs as they are */
    bool colour;          /* of text */
    unsigned int width;   /* of text, in columns */
};

/* What a packet is about, by its first chunk: what its colour says. */
enum ladder_kind {
    LADDER_SETUP,
    LADDER_DATA,
    LADDER_ACKNOWLEDGEMENT,
    LADDER_PATH, /* HEARTBEAT, ASCONF */
    LADDER_TEARDOWN,
    LADDER_ERROR,
    LADDER_OTHER,
};
#define LADDER_KINDS 7

enum ladder_kind ladder_kind(const struct trace_packet *packet);
/* "setup", "data" and so on: also the CSS class. */
const char *ladder_kind_name(enum ladder_kind kind);

/* The names of a packet's marks, with ", " between. Returns `text`. */
const char *ladder_notes(const struct trace_packet *packet, char text[LADDER_NOTES_SIZE]);

bool ladder_wants(const struct ladder *ladder, uint32_t association);

/* "10.0.0.1 port 40000 - 10.0.0.2 port 5000". Returns `text`. */
const char *ladder_association_title(const struct trace_association *association, char *text,
                                     size_t size);

void ladder_text(const struct ladder *ladder, FILE *out);
void ladder_svg(const struct ladder *ladder, FILE *out);
void ladder_html(const struct ladder *ladder, FILE *out);

#endif
