/*
 * Plots over time as SVG: panels one below the other, with the same axis of time.
 *
 * A panel gathers the points of its series, and draws them once it knows how far they reach. Points
 * that fall on one another are drawn once, so that the drawing's size has a limit.
 */
#ifndef CLI_PLOT_PANEL_H
#define CLI_PLOT_PANEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct plot;
struct plot_panel;

enum plot_form {
    PLOT_DOTS,
    PLOT_DIAMONDS,
    PLOT_CROSSES,
    PLOT_STEPS, /* a line that stays where it is until the next point */
};

struct plot_series {
    const char *name;
    const char *class; /* of CSS: its colour */
    enum plot_form form;
};

/* Begins a plot of so many seconds. NULL: no memory. */
struct plot *plot_begin(FILE *out, const char *title, double seconds);

/* Writes the axis of time and ends the plot. False: something was not written, for lack of memory.
 */
bool plot_end(struct plot *plot);

/* A panel below the ones before. The series are not copied. Drawn, and freed, by plot_panel_draw().
 */
struct plot_panel *plot_panel_new(struct plot *plot, const char *title,
                                  const struct plot_series *series, size_t series_count);
void plot_panel_point(struct plot_panel *panel, size_t series, double seconds, double value);
/* Points at all values from one to another. */
void plot_panel_range(struct plot_panel *panel, size_t series, double seconds, double from,
                      double to);
void plot_panel_draw(struct plot_panel *panel);

#endif
