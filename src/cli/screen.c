/*
 * The terminal's control sequences are those of ECMA-48 and of xterm, which all terminals of Linux
 * have: the alternate screen keeps what stood there before.
 */
#include "cli/screen.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l" /* other screen, no cursor, no wrapping */
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_CLEAR_LINE "\033[K"
#define SCREEN_CLEAR_REST "\033[J"

unsigned int screen_rows(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

void screen_draw(const char *text, bool first)
{
    fputs(first ? SCREEN_ENTER SCREEN_HOME : SCREEN_HOME, stdout);
    for (unsigned int left = screen_rows(); left > 1 && *text; left--) {
        size_t length = strcspn(text, "\n");

        fwrite(text, length, 1, stdout);
        fputs(SCREEN_CLEAR_LINE "\n", stdout);
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
