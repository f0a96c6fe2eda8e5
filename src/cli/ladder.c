/*
 * braid ladder: the associations of a capture as sequence drawings.
 *
 * How they are drawn is told by ladder_text.c, ladder_svg.c and ladder_html.c; what there is to
 * draw by trace.c.
 */
#include "cli/ladder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/drawing.h"

#define DEFAULT_LIMIT 100000
#define DEFAULT_WIDTH 100
#define WIDTH_MINIMUM 60
#define WIDTH_MAXIMUM 400

enum ladder_kind ladder_kind(const struct trace_packet *packet)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    enum ladder_kind kind = LADDER_OTHER;

    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        switch (chunk.type) {
        case SCTP_CHUNK_DATA:
        case SCTP_CHUNK_I_DATA:
            if (kind == LADDER_OTHER || kind == LADDER_ACKNOWLEDGEMENT)
                kind = LADDER_DATA;
            break;
        case SCTP_CHUNK_INIT:
        case SCTP_CHUNK_INIT_ACK:
        case SCTP_CHUNK_COOKIE_ECHO:
        case SCTP_CHUNK_COOKIE_ACK:
            return LADDER_SETUP;
        case SCTP_CHUNK_SACK:
        case SCTP_CHUNK_FORWARD_TSN:
        case SCTP_CHUNK_I_FORWARD_TSN:
            if (kind == LADDER_OTHER)
                kind = LADDER_ACKNOWLEDGEMENT;
            break;
        case SCTP_CHUNK_HEARTBEAT:
        case SCTP_CHUNK_HEARTBEAT_ACK:
        case SCTP_CHUNK_ASCONF:
        case SCTP_CHUNK_ASCONF_ACK:
            if (kind == LADDER_OTHER)
                kind = LADDER_PATH;
            break;
        case SCTP_CHUNK_SHUTDOWN:
        case SCTP_CHUNK_SHUTDOWN_ACK:
        case SCTP_CHUNK_SHUTDOWN_COMPLETE:
            if (kind != LADDER_ERROR)
                kind = LADDER_TEARDOWN;
            break;
        case SCTP_CHUNK_ABORT:
        case SCTP_CHUNK_ERROR:
            kind = LADDER_ERROR;
            break;
        default:
            break;
        }
    }
    return kind;
}

const char *ladder_kind_name(enum ladder_kind kind)
{
    static const char *const names[LADDER_KINDS] = {
        [LADDER_SETUP] = "setup",
        [LADDER_DATA] = "data",
        [LADDER_ACKNOWLEDGEMENT] = "acknowledgement",
        [LADDER_PATH] = "path",
        [LADDER_TEARDOWN] = "teardown",
        [LADDER_ERROR] = "error",
        [LADDER_OTHER] = "other",
    };

    return names[kind];
}

const char *ladder_notes(const struct trace_packet *packet, char text[LADDER_NOTES_SIZE])
{
    size_t length = 0;

    text[0] = '\0';
    for (unsigned int i = 0; i < TRACE_MARKS && length < LADDER_NOTES_SIZE; i++) {
        if (packet->marks & (1u << i))
            length += (size_t)snprintf(text + length, LADDER_NOTES_SIZE - length, "%s%s",
                                       length > 0 ? ", " : "", trace_mark_name(1u << i));
    }
    return text;
}

bool ladder_wants(const struct ladder *ladder, uint32_t association)
{
    return (ladder->association == TRACE_NONE || ladder->association == association) &&
           ladder->trace->associations[association].packet_count > 0;
}

const char *ladder_association_title(const struct trace_association *association, char *text,
                                     size_t size)
{
    char addresses[2][DESCRIBE_ADDRESS_SIZE] = {"?", "?"};

    for (unsigned int side = 0; side < 2; side++) {
        if (association->sides[side].address_count > 0)
            describe_address(&association->sides[side].addresses[0], addresses[side]);
    }
    snprintf(text, size, "%s port %u - %s port %u", addresses[0], association->sides[0].port,
             addresses[1], association->sides[1].port);
    return text;
}

/* ---- The command -----------------------------------------------------------------------------
 */

struct ladder_options {
    unsigned int width; /* 0: the terminal's */
    bool absolute;
};

static unsigned int terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    unsigned long width = DEFAULT_WIDTH;

    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        width = size.ws_col;
    else if (columns)
        cli_parse_number(columns, WIDTH_MINIMUM, WIDTH_MAXIMUM, &width);
    return width < WIDTH_MINIMUM ? WIDTH_MINIMUM
                                 : (unsigned int)(width > WIDTH_MAXIMUM ? WIDTH_MAXIMUM : width);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);

    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static int draw(const struct drawing_options *options, const struct trace *trace)
{
    const struct ladder_options *own = options->own;
    const char *slash = strrchr(options->path, '/');
    struct ladder ladder = {
        .trace = trace,
        .title = slash ? slash + 1 : options->path,
        .association = options->association == 0 ? TRACE_NONE : options->association - 1,
        .absolute = own->absolute,
        .width = own->width > 0 ? own->width : terminal_width(),
    };
    FILE *out;

    if (ladder.association != TRACE_NONE && ladder.association >= trace->association_count)
        return drawing_no_association(&ladder_command, options, trace);
    out = drawing_open(&ladder_command, options);
    if (!out)
        return CLI_FAILED;
    if (!options->output) {
        ladder.colour = cli_wants_colour(stdout);
        ladder_text(&ladder, out);
    } else if (ends_with(options->output, ".svg")) {
        ladder_svg(&ladder, out);
    } else {
        ladder_html(&ladder, out);
    }
    return drawing_close(&ladder_command, options, out);
}

static const char *take_option(void *options, int option, const char *argument)
{
    struct ladder_options *own = options;
    unsigned long number = 0;

    switch (option) {
    case 'o':
        if (!ends_with(argument, ".svg") && !ends_with(argument, ".html"))
            return "ends neither in .svg nor in .html";
        break;
    case 'A':
        own->absolute = true;
        break;
    case 'w':
        if (!cli_parse_number(argument, WIDTH_MINIMUM, WIDTH_MAXIMUM, &number))
            return "is not a number of columns from 60 to 400";
        own->width = (unsigned int)number;
        break;
    default:
        break;
    }
    return NULL;
}

static int run_ladder(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"absolute", no_argument, NULL, 'A'},
        {"width", required_argument, NULL, 'w'},
        DRAWING_LONG_OPTIONS,
    };
    static const struct drawing_command drawing = {&ladder_command, long_options, take_option,
                                                   draw};
    struct ladder_options own = {0};
    struct drawing_options options = {.limit = DEFAULT_LIMIT, .own = &own};

    return drawing_run(&drawing, &options, argc, argv);
}

const struct command ladder_command = {
    .name = "ladder",
    .summary = "draw the associations of a capture",
    .help = "usage: braid ladder [OPTION]... FILE\n"
            "\n"
            "Draws the associations in FILE, a pcap or pcapng capture ('-' is standard input):\n"
            "each address is a lane, each packet an arrow. What was sent again, what was lost,\n"
            "failovers and states are marked, and silences are folded.\n"
            "\n"
            "  -o, --output FILE    a drawing (.svg), or a page in which packets can be looked\n"
            "                       into (.html), in place of text\n"
            "  -a, --association N  the Nth alone\n"
            "      --absolute       TSNs as they are; else each side's first is 1\n"
            "      --limit N        read at most N packets (default 100000)\n"
            "      --width N        of text, in columns (default: the terminal's, or 100)\n"
            "      --udp-port N     SCTP is in UDP packets from or to this port (default 9899)\n"
            "  -h, --help           this text\n"
            "\n"
            "That a packet was lost is inferred: what it carried was sent again, and nothing\n"
            "says that it had arrived. If the capture was made at two points (both hosts', or\n"
            "all interfaces), a packet that both saw is drawn once, with both times.\n"
            "\n"
            "Exit status: 0 if all went well, 1 if the capture cannot be read, is damaged or has\n"
            "no SCTP in it, 2 if the command was not understood.\n",
    .run = run_ladder,
};
