/*
 * The terminal's control sequences are those of ECMA-48 and of xterm, which all terminals of Linux
 * have: the alternate screen keeps what stood there before.
 */
#include "cli/screen.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l" /* other screen, no cursor, no wrapping */
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_PLAIN "\033[0m"
#define SCREEN_HOME "\033[H"
#define SCREEN_CLEAR_LINE "\033[K"
#define SCREEN_CLEAR_REST "\033[J"

unsigned int screen_rows(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

unsigned int screen_columns(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* How many bytes of a line fit into so many columns. Control sequences and the rest of a character
 * of UTF-8 need none. */
static size_t length_that_fits(const char *line, size_t length, unsigned int columns)
{
    size_t i = 0;

    while (i < length) {
        if (line[i] == '\033') {
            while (i < length && !isalpha((unsigned char)line[i]))
                i++;
        } else if ((line[i] & 0xc0) != 0x80 && columns-- == 0) {
            return i;
        }
        i++;
    }
    return length;
}

void screen_draw(const char *text, bool first)
{
    unsigned int columns = screen_columns();

    fputs(first ? SCREEN_ENTER SCREEN_HOME : SCREEN_HOME, stdout);
    for (unsigned int left = screen_rows(); left > 1 && *text; left--) {
        size_t length = strcspn(text, "\n");

        fwrite(text, length_that_fits(text, length, columns), 1, stdout);
        fputs(SCREEN_PLAIN SCREEN_CLEAR_LINE "\n", stdout);
        text += length + (text[length] == '\n');
    }
    fputs(SCREEN_CLEAR_REST, stdout);
    fflush(stdout);
}

void screen_leave(void)
{
    fputs(SCREEN_LEAVE, stdout);
    fflush(stdout);
}
