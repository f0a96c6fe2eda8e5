/*
 * A sequence drawing as SVG 1.1: it needs nothing but itself, and follows the reader's choice of a
 * dark or a light page.
 *
 * What colours say is said by something else too: the label, a dashed line for what was sent again,
 * a cross for what was lost, the names of states.
 */
#include "cli/ladder.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/document.h"

#define MARGIN 16
#define TIME_WIDTH 92
#define STATE_WIDTH 150
#define LANE_WIDTH 30
#define GAP_WIDTH 460
#define TITLE_SIZE 220
#define NOTE_CHARACTER_WIDTH 7
#define TITLE_CHARACTER_WIDTH 9
#define ROW_HEIGHT 30
#define FOLD_HEIGHT 30
#define HEADER_HEIGHT 44
#define ADDRESS_HEIGHT 18
#define SLANT 5 /* how far an arrow falls */

/* A label that is longer does not fit between the lanes. */
#define LABEL_CHARACTERS 66

struct drawing {
    const struct ladder *ladder;
    const struct trace_association *association;
    FILE *out;
    int64_t start;
    int y; /* of the next row */
};

static int lane_x(const struct trace_association *association, unsigned int side, size_t address)
{
    size_t left = association->sides[0].address_count;
    int x = MARGIN + TIME_WIDTH + STATE_WIDTH;

    if (side == 0)
        return x + LANE_WIDTH * (int)address;
    return x + LANE_WIDTH * (int)(left > 0 ? left - 1 : 0) + GAP_WIDTH + LANE_WIDTH * (int)address;
}

/* Where what stands beside the right lanes begins. */
static int right_edge(const struct trace_association *association)
{
    size_t right = association->sides[1].address_count;

    return lane_x(association, 1, right > 0 ? right - 1 : 0) + 12;
}

static const char *association_title(const struct trace_association *association, uint32_t index,
                                     char *text, size_t size)
{
    char title[160];

    snprintf(text, size, "Association %" PRIu32 ": %s%s", index + 1,
             ladder_association_title(association, title, sizeof(title)),
             association->out_of_the_blue ? " (out of the blue)" : "");
    return text;
}

static void print_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
            break;
        }
    }
}

static void __attribute__((format(printf, 5, 6)))
print_text(struct drawing *drawing, int x, int y, const char *class, const char *format, ...)
{
    char text[LADDER_LABEL_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(drawing->out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
    print_escaped(drawing->out, text);
    fputs("</text>\n", drawing->out);
}

static void print_style(FILE *out)
{
    fputs("<style>\n"
          "svg { background: #ffffff; font: 13px ui-sans-serif, system-ui, sans-serif; }\n"
          "text { fill: #1f2328; }\n"
          ".title { font-size: 16px; font-weight: 600; }\n"
          ".time, .fold, .note { font-size: 12px; fill: #59636e; }\n"
          ".twice { font-size: 10px; } .time, .end { text-anchor: end; }\n"
          ".label { text-anchor: middle; paint-order: stroke; stroke-linejoin: round; stroke: "
          "#ffffff; stroke-width: 4px; }\n"
          ".note { fill: #b3261e; font-weight: 600; }\n"
          ".state { font-size: 12px; font-weight: 600; }\n"
          ".lane { stroke: #9aa4ae; stroke-width: 1.5; }\n"
          ".silence { stroke: #9aa4ae; stroke-width: 1.5; stroke-dasharray: 2 4; }\n"
          ".arrow { stroke-width: 1.8; fill: none; }\n"
          ".again { stroke-dasharray: 7 4; }\n"
          "path.head { stroke: none; }\n"
          "text.head { paint-order: stroke; stroke-linejoin: round; stroke: #ffffff; stroke-width: "
          "4px; }\n"
          ".setup { stroke: #8250df; } .setup.head { fill: #8250df; }\n"
          ".data { stroke: #0969da; } .data.head { fill: #0969da; }\n"
          ".acknowledgement { stroke: #1a7f37; } .acknowledgement.head { fill: #1a7f37; }\n"
          ".path { stroke: #8a6100; } .path.head { fill: #8a6100; }\n"
          ".teardown { stroke: #57606a; } .teardown.head { fill: #57606a; }\n"
          ".error { stroke: #b3261e; } .error.head { fill: #b3261e; }\n"
          ".other { stroke: #57606a; } .other.head { fill: #57606a; }\n"
          "@media (prefers-color-scheme: dark) {\n"
          "svg { background: #0d1117; } text { fill: #e6edf3; }\n"
          ".label, text.head { stroke: #0d1117; } .time, .fold { fill: #9198a1; } .note { fill: "
          "#ff8f87; }\n"
          ".lane, .silence { stroke: #6e7781; }\n"
          ".setup { stroke: #b78cff; } .setup.head { fill: #b78cff; }\n"
          ".data { stroke: #58a6ff; } .data.head { fill: #58a6ff; }\n"
          ".acknowledgement { stroke: #3fb950; } .acknowledgement.head { fill: #3fb950; }\n"
          ".path { stroke: #d4a72c; } .path.head { fill: #d4a72c; }\n"
          ".error { stroke: #ff7b72; } .error.head { fill: #ff7b72; }\n"
          ".teardown, .other { stroke: #9198a1; }\n"
          ".teardown.head, .other.head { fill: #9198a1; }\n"
          "}\n"
          "</style>\n",
          out);
}

static void print_lanes(struct drawing *drawing, int height, const char *class)
{
    for (unsigned int side = 0; side < 2; side++) {
        for (size_t i = 0; i < drawing->association->sides[side].address_count; i++) {
            int x = lane_x(drawing->association, side, i);

            fprintf(drawing->out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"%s\"/>\n",
                    x, drawing->y, x, drawing->y + height, class);
        }
    }
}

/* How many rows the addresses at the head take. */
static size_t address_rows(const struct trace_association *association)
{
    size_t left = association->sides[0].address_count, right = association->sides[1].address_count;

    return left > right ? left : right;
}

static void print_header(struct drawing *drawing, uint32_t index)
{
    const struct trace_association *association = drawing->association;
    int rows = (int)address_rows(association);
    char title[TITLE_SIZE], address[DESCRIBE_ADDRESS_SIZE];

    print_text(drawing, MARGIN, drawing->y + 20, "title", "%s",
               association_title(association, index, title, sizeof(title)));
    drawing->y += HEADER_HEIGHT;
    for (unsigned int side = 0; side < 2; side++) {
        const struct trace_side *one = &association->sides[side];

        for (size_t i = 0; i < one->address_count; i++) {
            /* The outermost lane has its name lowest, so that no lane runs through a name. */
            size_t row =
                (size_t)rows - one->address_count + (side == 0 ? one->address_count - 1 - i : i);
            int x = lane_x(association, side, i);
            int y = drawing->y + ADDRESS_HEIGHT * (int)(row + 1);

            fprintf(drawing->out,
                    "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"lane\"/>\n", x, y + 4, x,
                    drawing->y + ADDRESS_HEIGHT * rows + 12);
            print_text(drawing, side == 0 ? x + 4 : x - 4, y,
                       side == 0 ? "state end head" : "state head",
                       one->addresses[i].family == BRAID_IPV6 ? "[%s]:%u" : "%s:%u",
                       describe_address(&one->addresses[i], address), one->port);
        }
    }
    drawing->y += ADDRESS_HEIGHT * rows + 12;
}

static void print_silence(struct drawing *drawing, int64_t nanoseconds)
{
    const struct trace_association *association = drawing->association;
    size_t left = association->sides[0].address_count;

    if (nanoseconds < LADDER_FOLD_NANOSECONDS)
        return;
    print_lanes(drawing, FOLD_HEIGHT, "silence");
    print_text(drawing, lane_x(association, 0, left > 0 ? left - 1 : 0) + 14,
               drawing->y + FOLD_HEIGHT / 2 + 4, "fold", "%" PRId64 ".%03" PRId64 " s",
               nanoseconds / 1000000000, nanoseconds / 1000000 % 1000);
    drawing->y += FOLD_HEIGHT;
}

static void print_states(struct drawing *drawing, const uint8_t before[2], const uint8_t after[2])
{
    const struct trace_association *association = drawing->association;

    if (before[0] != after[0])
        print_text(drawing, lane_x(association, 0, 0) - 12, drawing->y + ROW_HEIGHT / 2 + 4,
                   "state end", "%s", braid_state_name(after[0]));
    if (before[1] != after[1])
        print_text(drawing, right_edge(association), drawing->y + ROW_HEIGHT / 2 + 4, "state", "%s",
                   braid_state_name(after[1]));
}

static void print_arrow(struct drawing *drawing, const struct trace_packet *packet)
{
    const struct trace_association *association = drawing->association;
    int from = lane_x(association, packet->side, packet->from);
    int to = lane_x(association, !packet->side, packet->to);
    int direction = to > from ? 1 : -1;
    int y = drawing->y + ROW_HEIGHT * 2 / 3;
    const char *kind = ladder_kind_name(ladder_kind(packet));
    const char *again =
        packet->marks & (TRACE_RETRANSMISSION | TRACE_CONTROL_REPEATED) ? " again" : "";
    FILE *out = drawing->out;

    if (packet->marks & TRACE_LOST)
        to = from + (to - from) * 4 / 5;
    fprintf(out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"arrow %s%s\"/>\n", from,
            y - SLANT / 2, to - direction * 7, y + SLANT / 2, kind, again);
    if (packet->marks & TRACE_LOST)
        fprintf(out, "<path d=\"M%d %d l10 10 m0 -10 l-10 10\" class=\"arrow error\"/>\n", to - 5,
                y + SLANT / 2 - 5);
    else
        fprintf(out, "<path d=\"M%d %d l%d -5 v10 z\" class=\"head %s\"/>\n", to, y + SLANT / 2,
                -direction * 10, kind);
}

/* `state_told`: that of the right side stands beside its lanes. */
static void print_packet(struct drawing *drawing, const struct trace_packet *packet,
                         bool state_told)
{
    const struct trace_association *association = drawing->association;
    size_t left = association->sides[0].address_count;
    int middle = (lane_x(association, 0, left > 0 ? left - 1 : 0) + lane_x(association, 1, 0)) / 2;
    int64_t time = packet->time - drawing->start;
    char label[LADDER_LABEL_SIZE], notes[LADDER_NOTES_SIZE];

    trace_label(drawing->ladder->trace, packet, drawing->ladder->absolute, label, sizeof(label));
    fprintf(drawing->out, "<g><title>frame %" PRIu64 ": ", packet->number);
    print_escaped(drawing->out, label);
    fputs("</title>\n", drawing->out);
    print_text(drawing, MARGIN + TIME_WIDTH - 12, drawing->y + ROW_HEIGHT / 2 + 4, "time",
               "%" PRId64 ".%06" PRId64, time / 1000000000, time / 1000 % 1000000);
    if (packet->number_again > 0)
        print_text(drawing, MARGIN + TIME_WIDTH - 12, drawing->y + ROW_HEIGHT - 2, "time twice",
                   "+%.3f ms", (double)(packet->time_again - packet->time) / 1e6);
    print_arrow(drawing, packet);
    print_text(drawing, middle, drawing->y + ROW_HEIGHT / 2 - 1, "label", "%.*s%s",
               LABEL_CHARACTERS, label, strlen(label) > LABEL_CHARACTERS ? "…" : "");
    ladder_notes(packet, notes);
    if (notes[0] != '\0')
        print_text(drawing, right_edge(association) + (state_told ? STATE_WIDTH : 0),
                   drawing->y + ROW_HEIGHT / 2 + 4, "note", "%s", notes);
    fputs("</g>\n", drawing->out);
}

static void draw_association(struct drawing *drawing, uint32_t index)
{
    const struct trace *trace = drawing->ladder->trace;
    uint8_t states[2] = {BRAID_CLOSED, BRAID_CLOSED};
    size_t drawn = 0;
    int64_t last = 0;

    drawing->association = &trace->associations[index];
    print_header(drawing, index);
    for (size_t i = drawing->association->first_packet;
         i < trace->packet_count && drawn < drawing->association->packet_count; i++) {
        const struct trace_packet *packet = &trace->packets[i];

        if (packet->association != index)
            continue;
        if (drawn++ == 0)
            drawing->start = last = packet->time;
        print_silence(drawing, packet->time - last);
        print_lanes(drawing, ROW_HEIGHT, "lane");
        print_packet(drawing, packet, states[1] != packet->states[1]);
        print_states(drawing, states, packet->states);
        memcpy(states, packet->states, sizeof(states));
        last = packet->time;
        drawing->y += ROW_HEIGHT;
    }
    drawing->y += MARGIN;
}

static void widen(int *width, int needed)
{
    if (needed + MARGIN > *width)
        *width = needed + MARGIN;
}

/* How large the whole will be. */
static void measure(const struct ladder *ladder, int *width, int *height)
{
    const struct trace *trace = ladder->trace;

    *width = 0;
    *height = MARGIN;
    for (uint32_t i = 0; i < trace->association_count; i++) {
        const struct trace_association *association = &trace->associations[i];
        char title[TITLE_SIZE], notes[LADDER_NOTES_SIZE];
        uint8_t state = BRAID_CLOSED;
        int64_t last = INT64_MAX;
        bool told;

        if (!ladder_wants(ladder, i))
            continue;
        widen(width, right_edge(association) + STATE_WIDTH);
        widen(width, MARGIN + TITLE_CHARACTER_WIDTH * (int)strlen(association_title(
                                                          association, i, title, sizeof(title))));
        *height += HEADER_HEIGHT + ADDRESS_HEIGHT * (int)address_rows(association) + 12 + MARGIN;
        size_t counted = 0;

        for (size_t at = association->first_packet;
             at < trace->packet_count && counted < association->packet_count; at++) {
            const struct trace_packet *packet = &trace->packets[at];

            if (packet->association != i)
                continue;
            counted++;
            ladder_notes(packet, notes);
            told = packet->states[1] != state;
            state = packet->states[1];
            widen(width, right_edge(association) + (told ? STATE_WIDTH : 0) +
                             NOTE_CHARACTER_WIDTH * (int)strlen(notes));
            if (last != INT64_MAX && packet->time - last >= LADDER_FOLD_NANOSECONDS)
                *height += FOLD_HEIGHT;
            last = packet->time;
            *height += ROW_HEIGHT;
        }
    }
}

void ladder_svg(const struct ladder *ladder, FILE *out)
{
    struct drawing drawing = {.ladder = ladder, .out = out, .y = MARGIN};
    int width, height;

    measure(ladder, &width, &height);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" role=\"img\">\n<title>",
            width, height, width, height);
    print_escaped(out, ladder->title);
    fputs("</title>\n", out);
    print_style(out);
    fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"none\"/>\n", width, height);
    for (uint32_t i = 0; i < ladder->trace->association_count; i++) {
        if (ladder_wants(ladder, i))
            draw_association(&drawing, i);
    }
    fputs("</svg>\n", out);
}
