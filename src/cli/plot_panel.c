/*
 * Plots over time as SVG: panels one below the other, with the same axis of time.
 */
#include "cli/plot_panel.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 1000
#define LEFT 90
#define RIGHT 24
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define TITLE_HEIGHT 46
#define PANEL_HEIGHT 210
#define PANEL_GAP 46
#define AXIS_HEIGHT 44
#define PANELS_MAXIMUM 6
#define CELLS (PLOT_WIDTH * PANEL_HEIGHT)

/* The height is written before the panels are known: room for all of them is left at first. */
struct plot {
    FILE *out;
    double seconds;
    size_t panels;
    bool failed;
};

#define FEW_POINTS 400 /* they can be drawn large */

struct point {
    float seconds, from, to;
    uint16_t series;
};

struct plot_panel {
    struct plot *plot;
    const char *title;
    const struct plot_series *series;
    size_t series_count;
    struct point *points;
    size_t count, capacity;
    double most;
    int top;
};

/* A step between the lines of a scale: 1, 2 or 5 times a power of ten, four to nine of them. */
static double nice_step(double most)
{
    double power = pow(10, floor(log10(most / 4)));
    double step = most / 4 / power;

    return power * (step >= 5 ? 5 : step >= 2 ? 2 : 1);
}

static double x_of(const struct plot *plot, double seconds)
{
    return LEFT + seconds / plot->seconds * PLOT_WIDTH;
}

static double y_of(const struct plot_panel *panel, double value)
{
    return panel->top + PANEL_HEIGHT - value / panel->most * PANEL_HEIGHT;
}

struct plot *plot_begin(FILE *out, const char *title, double seconds)
{
    struct plot *plot = calloc(1, sizeof(*plot));

    if (!plot)
        return NULL;
    plot->out = out;
    plot->seconds = seconds > 0 ? seconds : 1e-6;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "role=\"img\">\n<title>%s</title>\n"
            "<style>\n"
            "svg { background: #ffffff; font: 13px ui-sans-serif, system-ui, sans-serif; }\n"
            "text { fill: #1f2328; } .faint { fill: #59636e; font-size: 12px; }\n"
            ".title { font-size: 16px; font-weight: 600; } .name { font-weight: 600; }\n"
            ".end { text-anchor: end; } .middle { text-anchor: middle; }\n"
            ".grid { stroke: #d1d9e0; } .frame { stroke: #9aa4ae; fill: none; }\n"
            ".mark { fill: none; stroke-width: 1.5; }\n"
            ".dots { stroke-width: 3; stroke-linecap: round; } .few { stroke-width: 6; }\n"
            ".data { stroke: #0969da; } .again { stroke: #9a6700; } .lost { stroke: #b3261e; }\n"
            ".ack { stroke: #1a7f37; } .gap { stroke: #5bc27a; } .other { stroke: #8250df; }\n"
            "@media (prefers-color-scheme: dark) {\n"
            "svg { background: #0d1117; } text { fill: #e6edf3; } .faint { fill: #9198a1; }\n"
            ".grid { stroke: #30363d; } .frame { stroke: #6e7781; }\n"
            ".data { stroke: #58a6ff; } .again { stroke: #d4a72c; } .lost { stroke: #ff7b72; }\n"
            ".ack { stroke: #3fb950; } .gap { stroke: #7ee2a0; } .other { stroke: #b78cff; }\n"
            "}\n</style>\n"
            "<text x=\"%d\" y=\"28\" class=\"title\">%s</text>\n",
            WIDTH, TITLE_HEIGHT + 4 * (PANEL_HEIGHT + PANEL_GAP) + AXIS_HEIGHT, WIDTH, title, LEFT,
            title);
    return plot;
}

bool plot_end(struct plot *plot)
{
    double step;
    int top;
    bool good;

    if (!plot)
        return false;
    step = nice_step(plot->seconds);
    top = TITLE_HEIGHT + (int)plot->panels * (PANEL_HEIGHT + PANEL_GAP) + 4;
    for (int i = 0; i * step <= plot->seconds; i++)
        fprintf(plot->out, "<text x=\"%.1f\" y=\"%d\" class=\"faint middle\">%.6g</text>\n",
                x_of(plot, i * step), top, i * step);
    fprintf(plot->out, "<text x=\"%d\" y=\"%d\" class=\"faint middle\">seconds</text>\n</svg>\n",
            LEFT + PLOT_WIDTH / 2, top + 20);
    good = !plot->failed;
    free(plot);
    return good;
}

struct plot_panel *plot_panel_new(struct plot *plot, const char *title,
                                  const struct plot_series *series, size_t series_count)
{
    struct plot_panel *panel = calloc(1, sizeof(*panel));

    if (!panel) {
        plot->failed = true;
        return NULL;
    }
    panel->plot = plot;
    panel->title = title;
    panel->series = series;
    panel->series_count = series_count;
    panel->top = TITLE_HEIGHT + (int)plot->panels++ * (PANEL_HEIGHT + PANEL_GAP) + 22;
    return panel;
}

void plot_panel_range(struct plot_panel *panel, size_t series, double seconds, double from,
                      double to)
{
    if (!panel || panel->plot->failed)
        return;
    if (panel->count == panel->capacity) {
        size_t capacity = panel->capacity ? panel->capacity * 2 : 1024;
        struct point *points = realloc(panel->points, capacity * sizeof(*points));

        if (!points) {
            panel->plot->failed = true;
            return;
        }
        panel->points = points;
        panel->capacity = capacity;
    }
    from = from > 0 ? from : 0;
    to = to > 0 ? to : 0;
    panel->points[panel->count++] =
        (struct point){(float)seconds, (float)from, (float)to, (uint16_t)series};
    if (to > panel->most)
        panel->most = to;
}

void plot_panel_point(struct plot_panel *panel, size_t series, double seconds, double value)
{
    plot_panel_range(panel, series, seconds, value, value);
}

static void draw_frame(const struct plot_panel *panel)
{
    FILE *out = panel->plot->out;
    double step = nice_step(panel->most), time_step = nice_step(panel->plot->seconds);

    fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"name\">%s</text>\n", LEFT, panel->top - 8,
            panel->title);
    for (int i = 0; i * step <= panel->most; i++) {
        double y = y_of(panel, i * step);

        fprintf(out,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
                "<text x=\"%d\" y=\"%.1f\" class=\"faint end\">%.7g</text>\n",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, i * step);
    }
    for (int i = 0; i * time_step <= panel->plot->seconds; i++)
        fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"grid\"/>\n",
                x_of(panel->plot, i * time_step), x_of(panel->plot, i * time_step), panel->top,
                panel->top + PANEL_HEIGHT);
    fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"frame\"/>\n", LEFT,
            panel->top, PLOT_WIDTH, PANEL_HEIGHT);
}

static void draw_mark(FILE *out, enum plot_form form, double x, double y)
{
    switch (form) {
    case PLOT_DIAMONDS:
        fprintf(out, "M%.1f %.1fl3.5 3.5l-3.5 3.5l-3.5-3.5z", x, y - 3.5);
        break;
    case PLOT_CROSSES:
        fprintf(out, "M%.1f %.1fl6 6m0-6l-6 6", x - 3, y - 3);
        break;
    default:
        fprintf(out, "M%.1f %.1fh0", x, y);
        break;
    }
}

/* Points, each place once; `taken` has a bit for each. */
static void draw_points(const struct plot_panel *panel, size_t series, uint8_t *taken)
{
    FILE *out = panel->plot->out;
    enum plot_form form = panel->series[series].form;

    memset(taken, 0, (CELLS + 7) / 8);
    for (size_t i = 0; i < panel->count; i++) {
        const struct point *point = &panel->points[i];
        double x = x_of(panel->plot, point->seconds), from = y_of(panel, point->from),
               to = y_of(panel, point->to);
        int column = (int)(x - LEFT), row = (int)(to - panel->top);
        size_t cell;

        if (point->series != series)
            continue;
        column = column < 0 ? 0 : column >= PLOT_WIDTH ? PLOT_WIDTH - 1 : column;
        row = row < 0 ? 0 : row >= PANEL_HEIGHT ? PANEL_HEIGHT - 1 : row;
        cell = (size_t)row * PLOT_WIDTH + (size_t)column;
        if (taken[cell / 8] & 1u << cell % 8)
            continue;
        taken[cell / 8] |= (uint8_t)(1u << cell % 8);
        if (point->from != point->to)
            fprintf(out, "M%.1f %.1fV%.1f", x, from, to);
        else
            draw_mark(out, form, x, to);
    }
}

/* A line of steps: of those within a pixel's width, the extremes. */
static void draw_steps(const struct plot_panel *panel, size_t series)
{
    FILE *out = panel->plot->out;
    double last_x = -1, last_y = -1;
    bool begun = false;

    for (size_t i = 0; i < panel->count; i++) {
        const struct point *point = &panel->points[i];
        double x = x_of(panel->plot, point->seconds), y = y_of(panel, point->to);

        if (point->series != series)
            continue;
        if (!begun)
            fprintf(out, "M%.1f %.1f", x, y);
        else if (fabs(x - last_x) >= 0.1 || fabs(y - last_y) >= 0.5)
            fprintf(out, "H%.1fV%.1f", x, y);
        else
            continue;
        begun = true;
        last_x = x;
        last_y = y;
    }
}

static void draw_legend(const struct plot_panel *panel)
{
    FILE *out = panel->plot->out;
    double x = WIDTH - RIGHT;

    for (size_t i = panel->series_count; i-- > 0;) {
        const struct plot_series *series = &panel->series[i];

        x -= 7.0 * (double)strlen(series->name) + 6;
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" class=\"faint\">%s</text>\n", x, panel->top - 8,
                series->name);
        fprintf(out, "<path class=\"mark %s%s\" d=\"", series->class,
                series->form == PLOT_DOTS ? " dots few" : "");
        if (series->form == PLOT_STEPS)
            fprintf(out, "M%.1f %dh14", x - 20, panel->top - 12);
        else
            draw_mark(out, series->form, x - 10, panel->top - 12);
        fputs("\"/>\n", out);
        x -= 34;
    }
}

void plot_panel_draw(struct plot_panel *panel)
{
    uint8_t *taken;

    if (!panel)
        return;
    taken = malloc((CELLS + 7) / 8);
    if (!taken)
        panel->plot->failed = true;
    panel->most = panel->most > 0 ? panel->most * 1.05 : 1;
    draw_frame(panel);
    draw_legend(panel);
    for (size_t i = 0; taken && i < panel->series_count; i++) {
        fprintf(panel->plot->out, "<path class=\"mark %s%s\" d=\"", panel->series[i].class,
                panel->series[i].form != PLOT_DOTS ? ""
                : panel->count <= FEW_POINTS       ? " dots few"
                                                   : " dots");
        if (panel->series[i].form == PLOT_STEPS)
            draw_steps(panel, i);
        else
            draw_points(panel, i, taken);
        fputs("\"/>\n", panel->plot->out);
    }
    free(taken);
    free(panel->points);
    free(panel);
}
