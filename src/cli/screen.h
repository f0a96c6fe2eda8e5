/*
 * A terminal that is drawn anew again and again, and left as it was before.
 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>

/* As many lines as the terminal has; 24 if it does not say. */
unsigned int screen_rows(void);
/* And as many columns; 80 if it does not say. */
unsigned int screen_columns(void);

/* Draws all lines of `text` but the last of the terminal, and cuts off what is too wide. `first`:
 * what stands there is kept aside until screen_leave(). */
void screen_draw(const char *text, bool first);
void screen_leave(void);

#endif
