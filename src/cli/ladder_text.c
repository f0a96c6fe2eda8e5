/*
 * A sequence drawing in text, by the characters that terminals have for lines (Unicode).
 *
 *     0.000000  │──── INIT ──────────────────────▶│
 *
 * A line of dashes is a retransmission, a cross in place of the arrow's head a packet that was
 * lost. "+1.250 ms" is when another point saw it.
 */
#include "cli/ladder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/document.h"

#define TIME_WIDTH 12
#define LANE_WIDTH 4
#define NOTES_WIDTH 22
#define GAP_MINIMUM 24
#define CELL_SIZE 5

/* A line of cells: each a character of UTF-8, that needs one column. */
struct line {
    char (*cells)[CELL_SIZE];
    unsigned int width;
};

struct drawing {
    const struct ladder *ladder;
    const struct trace_association *association;
    FILE *out;
    struct line line;
    unsigned int gap_begin, gap_end; /* columns between the inner lanes */
};

static const char *colour_of(enum ladder_kind kind)
{
    switch (kind) {
    case LADDER_DATA:
        return COLOUR_DATA;
    case LADDER_ACKNOWLEDGEMENT:
        return COLOUR_GOOD;
    case LADDER_ERROR:
        return COLOUR_BAD;
    case LADDER_OTHER:
        return COLOUR_FAINT;
    default:
        return COLOUR_CONTROL;
    }
}

static const char *colour(const struct drawing *drawing, const char *sequence)
{
    return drawing->ladder->colour ? sequence : "";
}

static void put(struct drawing *drawing, unsigned int column, const char *character)
{
    if (column < drawing->line.width)
        snprintf(drawing->line.cells[column], CELL_SIZE, "%s", character);
}

/* ASCII text. */
static void put_text(struct drawing *drawing, unsigned int column, const char *text, size_t length)
{
    for (size_t i = 0; i < length && text[i] != '\0'; i++)
        put(drawing, column + (unsigned int)i, (char[]){text[i], '\0'});
}

static unsigned int lane_column(const struct drawing *drawing, unsigned int side, size_t address)
{
    if (side == 0)
        return TIME_WIDTH + LANE_WIDTH * (unsigned int)address;
    return drawing->gap_end + LANE_WIDTH * (unsigned int)address;
}

/* Begins a line: spaces, and each lane. */
static void line_begin(struct drawing *drawing, const char *lane)
{
    for (unsigned int i = 0; i < drawing->line.width; i++)
        put(drawing, i, " ");
    for (unsigned int side = 0; side < 2; side++) {
        for (size_t i = 0; i < drawing->association->sides[side].address_count; i++)
            put(drawing, lane_column(drawing, side, i), lane);
    }
}

/* The columns from `begin` to before `end`, without the spaces that nothing follows. */
static void line_print(const struct drawing *drawing, unsigned int begin, unsigned int end)
{
    for (unsigned int i = begin; i < end && i < drawing->line.width; i++)
        fputs(drawing->line.cells[i], drawing->out);
}

static unsigned int last_lane_column(const struct drawing *drawing)
{
    size_t count = drawing->association->sides[1].address_count;

    return lane_column(drawing, 1, count > 0 ? count - 1 : 0);
}

static void print_header(struct drawing *drawing)
{
    const struct trace_association *association = drawing->association;
    unsigned int right = last_lane_column(drawing) + 1;
    char address[DESCRIBE_ADDRESS_SIZE];
    char text[DESCRIBE_ADDRESS_SIZE + 16];

    /* An address a line; the lanes of those before it go on. */
    size_t rows = association->sides[0].address_count > association->sides[1].address_count
                      ? association->sides[0].address_count
                      : association->sides[1].address_count;

    for (size_t row = 0; row < rows; row++) {
        line_begin(drawing, " ");
        for (unsigned int side = 0; side < 2; side++) {
            const struct trace_side *one = &association->sides[side];

            for (size_t i = 0; i < row && i < one->address_count; i++)
                put(drawing, lane_column(drawing, side, i), "│");
            if (row >= one->address_count)
                continue;
            snprintf(text, sizeof(text),
                     one->addresses[row].family == BRAID_IPV6 ? "[%s]:%u" : "%s:%u",
                     describe_address(&one->addresses[row], address), one->port);
            put_text(drawing, lane_column(drawing, side, row), text, sizeof(text));
        }
        fputs(colour(drawing, COLOUR_STRONG), drawing->out);
        line_print(drawing, 0, drawing->line.width > right + 48 ? right + 48 : drawing->line.width);
        fprintf(drawing->out, "%s\n", colour(drawing, COLOUR_OFF));
    }
}

/* A side's state has changed: its name beside the lanes. */
static void print_states(struct drawing *drawing, const uint8_t before[2], const uint8_t after[2])
{
    if (before[0] == after[0] && before[1] == after[1])
        return;
    line_begin(drawing, "│");
    if (before[0] != after[0]) {
        const char *name = braid_state_name(after[0]);

        put(drawing, drawing->gap_begin + 1, "◆");
        put_text(drawing, drawing->gap_begin + 3, name, strlen(name));
    }
    if (before[1] != after[1]) {
        const char *name = braid_state_name(after[1]);
        size_t length = strlen(name);

        if (drawing->gap_end - drawing->gap_begin > 2 * (length + 4) || before[0] == after[0]) {
            put(drawing, drawing->gap_end - 2, "◆");
            put_text(drawing, drawing->gap_end - 3 - (unsigned int)length, name, length);
        }
    }
    line_print(drawing, 0, last_lane_column(drawing) + 1);
    fputc('\n', drawing->out);
}

static void print_silence(struct drawing *drawing, int64_t nanoseconds)
{
    char text[48];

    if (nanoseconds < LADDER_FOLD_NANOSECONDS)
        return;
    line_begin(drawing, "┊");
    snprintf(text, sizeof(text), "%" PRId64 ".%03" PRId64 " s", nanoseconds / 1000000000,
             nanoseconds / 1000000 % 1000);
    put_text(drawing, drawing->gap_begin + 2, text, sizeof(text));
    fputs(colour(drawing, COLOUR_FAINT), drawing->out);
    line_print(drawing, 0, last_lane_column(drawing) + 1);
    fprintf(drawing->out, "%s\n", colour(drawing, COLOUR_OFF));
}

static void put_arrow(struct drawing *drawing, const struct trace_packet *packet, const char *label)
{
    unsigned int from = lane_column(drawing, packet->side, packet->from);
    unsigned int to = lane_column(drawing, !packet->side, packet->to);
    unsigned int left = from < to ? from : to, right = from < to ? to : from;
    const char *dash = packet->marks & (TRACE_RETRANSMISSION | TRACE_CONTROL_REPEATED) ? "╌" : "─";
    const char *head = packet->marks & TRACE_LOST ? "✗" : from < to ? "▶" : "◀";
    unsigned int room = drawing->gap_end - drawing->gap_begin - 8;
    size_t length = strlen(label);

    for (unsigned int column = left + 1; column < right; column++)
        put(drawing, column, strcmp(drawing->line.cells[column], "│") == 0 ? "┼" : dash);
    put(drawing, from, from < to ? "├" : "┤");
    put(drawing, from < to ? to - 1 : to + 1, head);
    if (length > room)
        length = room;
    put(drawing, drawing->gap_begin + 3, " ");
    put_text(drawing, drawing->gap_begin + 4, label, length);
    put(drawing, drawing->gap_begin + 4 + (unsigned int)length, label[length] != '\0' ? "…" : " ");
}

static void print_packet(struct drawing *drawing, const struct trace_packet *packet, int64_t time)
{
    char label[LADDER_LABEL_SIZE], notes[LADDER_NOTES_SIZE], text[32];
    unsigned int end = last_lane_column(drawing) + 1;

    trace_label(drawing->ladder->trace, packet, drawing->ladder->absolute, label, sizeof(label));
    line_begin(drawing, "│");
    snprintf(text, sizeof(text), "%*" PRId64 ".%06" PRId64, TIME_WIDTH - 9, time / 1000000000,
             time / 1000 % 1000000);
    put_text(drawing, 0, text, sizeof(text));
    put_arrow(drawing, packet, label);
    line_print(drawing, 0, TIME_WIDTH);
    fputs(colour(drawing, colour_of(ladder_kind(packet))), drawing->out);
    line_print(drawing, TIME_WIDTH, end);
    fputs(colour(drawing, COLOUR_OFF), drawing->out);
    ladder_notes(packet, notes);
    if (notes[0] != '\0')
        fprintf(drawing->out, " %s%s%s", colour(drawing, COLOUR_BAD), notes,
                colour(drawing, COLOUR_OFF));
    if (packet->number_again > 0)
        fprintf(drawing->out, " %s+%.3f ms%s", colour(drawing, COLOUR_FAINT),
                (double)(packet->time_again - packet->time) / 1e6, colour(drawing, COLOUR_OFF));
    fputc('\n', drawing->out);
}

static void draw_association(struct drawing *drawing, uint32_t index)
{
    const struct trace *trace = drawing->ladder->trace;
    uint8_t states[2] = {BRAID_CLOSED, BRAID_CLOSED};
    int64_t start = 0, last = 0;
    size_t drawn = 0;
    char title[160];

    drawing->association = &trace->associations[index];
    drawing->gap_begin =
        lane_column(drawing, 0, drawing->association->sides[0].address_count) - LANE_WIDTH;
    drawing->gap_end = drawing->line.width - NOTES_WIDTH -
                       LANE_WIDTH * (unsigned int)drawing->association->sides[1].address_count;
    if (drawing->gap_end < drawing->gap_begin + GAP_MINIMUM)
        drawing->gap_end = drawing->gap_begin + GAP_MINIMUM;
    fprintf(drawing->out, "%sassociation %" PRIu32 ":%s %s%s\n", colour(drawing, COLOUR_STRONG),
            index + 1, colour(drawing, COLOUR_OFF),
            ladder_association_title(drawing->association, title, sizeof(title)),
            drawing->association->out_of_the_blue ? " (out of the blue)" : "");
    print_header(drawing);
    for (size_t i = drawing->association->first_packet;
         i < trace->packet_count && drawn < drawing->association->packet_count; i++) {
        const struct trace_packet *packet = &trace->packets[i];

        if (packet->association != index)
            continue;
        if (drawn++ == 0)
            start = last = packet->time;
        print_silence(drawing, packet->time - last);
        print_packet(drawing, packet, packet->time - start);
        print_states(drawing, states, packet->states);
        memcpy(states, packet->states, sizeof(states));
        last = packet->time;
    }
}

/* Columns that the lanes of any association need at least. */
static unsigned int columns_needed(const struct trace *trace)
{
    size_t lanes = 0;

    for (size_t i = 0; i < trace->association_count; i++) {
        size_t count = trace->associations[i].sides[0].address_count +
                       trace->associations[i].sides[1].address_count;

        if (count > lanes)
            lanes = count;
    }
    return TIME_WIDTH + LANE_WIDTH * (unsigned int)lanes + GAP_MINIMUM + NOTES_WIDTH;
}

void ladder_text(const struct ladder *ladder, FILE *out)
{
    struct drawing drawing = {.ladder = ladder, .out = out};
    unsigned int needed = columns_needed(ladder->trace);
    bool first = true;

    drawing.line.width = (ladder->width > needed ? ladder->width : needed) + DESCRIBE_ADDRESS_SIZE;
    drawing.line.cells = malloc(drawing.line.width * sizeof(*drawing.line.cells));
    if (!drawing.line.cells) {
        fputs("braid ladder: out of memory\n", stderr);
        return;
    }
    drawing.line.width -= DESCRIBE_ADDRESS_SIZE;
    for (uint32_t i = 0; i < ladder->trace->association_count; i++) {
        if (!ladder_wants(ladder, i))
            continue;
        if (!first)
            fputc('\n', out);
        first = false;
        draw_association(&drawing, i);
    }
    free(drawing.line.cells);
}
