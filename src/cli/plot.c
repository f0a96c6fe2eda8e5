/*
 * braid plot: one direction of an association over time, as SVG.
 *
 * TSNs as they were sent, sent again, and acknowledged; user bytes in flight; the peer's a_rwnd;
 * the round-trip time of each path (RFC 9260 sections 6.2.1, 6.3.1 and 7). The axes are
 * plot_panel.c's.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/drawing.h"
#include "cli/plot_panel.h"
#include "packet/chunks.h"
#include "packet/wire.h"

#define DEFAULT_LIMIT 1000000
#define PATHS_SHOWN 6

struct plot_options {
    int side; /* which one's DATA; -1: that which sent more */
};

/* What is drawn: an association, and the side whose DATA it is about. */
struct subject {
    const struct trace *trace;
    uint32_t index;
    const struct trace_association *association;
    unsigned int side;
    int64_t start;
};

static double seconds_of(const struct subject *subject, const struct trace_packet *packet)
{
    return (double)(packet->time - subject->start) / 1e9;
}

static double relative_tsn(const struct subject *subject, uint32_t tsn)
{
    return (int32_t)(tsn - subject->association->sides[subject->side].initial_tsn) + 1.0;
}

/* Calls `see` with each packet of the association. */
static void each_packet(const struct subject *subject, struct plot_panel *panel,
                        void (*see)(const struct subject *, struct plot_panel *,
                                    const struct trace_packet *))
{
    const struct trace *trace = subject->trace;
    size_t seen = 0;

    for (size_t i = subject->association->first_packet;
         i < trace->packet_count && seen < subject->association->packet_count; i++) {
        if (trace->packets[i].association != subject->index)
            continue;
        seen++;
        see(subject, panel, &trace->packets[i]);
    }
}

/* ---- TSNs ------------------------------------------------------------------------------------
 */

enum tsn_series { TSN_SENT, TSN_AGAIN, TSN_LOST, TSN_CUMULATIVE, TSN_GAP };

static void see_sack(const struct subject *subject, struct plot_panel *panel, double time,
                     const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;

    if (!sack_read(chunk, &sack))
        return;
    plot_panel_point(panel, TSN_CUMULATIVE, time, relative_tsn(subject, sack.cumulative_tsn_ack));
    for (size_t i = 0; i < sack.gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(&sack, i);

        if (block.start <= block.end)
            plot_panel_range(panel, TSN_GAP, time,
                             relative_tsn(subject, sack.cumulative_tsn_ack + block.start),
                             relative_tsn(subject, sack.cumulative_tsn_ack + block.end));
    }
}

static void see_tsns(const struct subject *subject, struct plot_panel *panel,
                     const struct trace_packet *packet)
{
    double time = seconds_of(subject, packet);
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if (packet->side != subject->side && chunk.type == SCTP_CHUNK_SACK)
            see_sack(subject, panel, time, &chunk);
        if (packet->side == subject->side && chunk.value_length >= 4 &&
            (chunk.type == SCTP_CHUNK_DATA || chunk.type == SCTP_CHUNK_I_DATA)) {
            enum tsn_series series = packet->marks & TRACE_LOST             ? TSN_LOST
                                     : packet->marks & TRACE_RETRANSMISSION ? TSN_AGAIN
                                                                            : TSN_SENT;

            plot_panel_point(panel, series, time, relative_tsn(subject, wire_get_u32(chunk.value)));
        }
    }
}

static void draw_tsns(const struct subject *subject, struct plot *plot)
{
    static const struct plot_series series[] = {
        [TSN_SENT] = {"sent", "data", PLOT_DOTS},
        [TSN_AGAIN] = {"sent again", "again", PLOT_DIAMONDS},
        [TSN_LOST] = {"sent and lost", "lost", PLOT_CROSSES},
        [TSN_CUMULATIVE] = {"acknowledged up to", "ack", PLOT_STEPS},
        [TSN_GAP] = {"acknowledged beyond a gap", "gap", PLOT_DOTS},
    };
    struct plot_panel *panel = plot_panel_new(plot, "TSN", series, 5);

    each_packet(subject, panel, see_tsns);
    plot_panel_draw(panel);
}

/* ---- Bytes in flight, a_rwnd -----------------------------------------------------------------
 */

static void see_in_flight(const struct subject *subject, struct plot_panel *panel,
                          const struct trace_packet *packet)
{
    plot_panel_point(panel, 0, seconds_of(subject, packet), packet->in_flight[subject->side]);
}

static void see_window(const struct subject *subject, struct plot_panel *panel,
                       const struct trace_packet *packet)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct sctp_sack sack;
    struct sctp_init init;

    if (packet->side == subject->side)
        return;
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk.type == SCTP_CHUNK_SACK && sack_read(&chunk, &sack))
            plot_panel_point(panel, 0, seconds_of(subject, packet), sack.a_rwnd);
        if ((chunk.type == SCTP_CHUNK_INIT || chunk.type == SCTP_CHUNK_INIT_ACK) &&
            init_read(&chunk, &init))
            plot_panel_point(panel, 0, seconds_of(subject, packet), init.a_rwnd);
    }
}

static void draw_bytes(const struct subject *subject, struct plot *plot)
{
    static const struct plot_series flight = {"sent and not acknowledged", "data", PLOT_STEPS};
    static const struct plot_series window = {"the receiver's a_rwnd", "ack", PLOT_STEPS};
    struct plot_panel *panel = plot_panel_new(plot, "bytes in flight", &flight, 1);

    each_packet(subject, panel, see_in_flight);
    plot_panel_draw(panel);
    panel = plot_panel_new(plot, "a_rwnd, bytes", &window, 1);
    each_packet(subject, panel, see_window);
    plot_panel_draw(panel);
}

/* ---- Round-trip times ------------------------------------------------------------------------
 */

/* A SACK may be held back, so what is measured is the path and SACK.Delay together. By Karn's rule
 * what was sent twice tells nothing. A HEARTBEAT's way is measured too. */
static void see_rtt(const struct subject *subject, struct plot_panel *panel,
                    const struct trace_packet *packet)
{
    const struct trace *trace = subject->trace;

    if (packet->side != subject->side || packet->acknowledged == TRACE_NONE ||
        packet->marks & (TRACE_RETRANSMISSION | TRACE_LOST) || packet->to >= PATHS_SHOWN)
        return;
    plot_panel_point(panel, packet->to, seconds_of(subject, packet),
                     (double)(trace->packets[packet->acknowledged].time_again - packet->time) /
                         1e6);
}

static void draw_rtt(const struct subject *subject, struct plot *plot)
{
    static const char *const classes[PATHS_SHOWN] = {"data", "again", "ack",
                                                     "gap",  "lost",  "other"};
    const struct trace_side *peer = &subject->association->sides[!subject->side];
    char names[PATHS_SHOWN][DESCRIBE_ADDRESS_SIZE + 4];
    struct plot_series series[PATHS_SHOWN];
    struct plot_panel *panel;
    size_t paths = peer->address_count < PATHS_SHOWN ? peer->address_count : PATHS_SHOWN;

    for (size_t i = 0; i < paths; i++) {
        char address[DESCRIBE_ADDRESS_SIZE];

        snprintf(names[i], sizeof(names[i]), "to %s",
                 describe_address(&peer->addresses[i], address));
        series[i] = (struct plot_series){names[i], classes[i],
                                         i % 3 == 0   ? PLOT_DOTS
                                         : i % 3 == 1 ? PLOT_DIAMONDS
                                                      : PLOT_CROSSES};
    }
    panel = plot_panel_new(plot, "round-trip time, ms", series, paths);
    each_packet(subject, panel, see_rtt);
    plot_panel_draw(panel);
}

/* ---- The command -----------------------------------------------------------------------------
 */

/* The side that sent more user data in the association. */
static unsigned int busier_side(const struct trace *trace, uint32_t index)
{
    size_t packets[2] = {0, 0};

    for (size_t i = 0; i < trace->packet_count; i++) {
        const struct trace_packet *packet = &trace->packets[i];

        if (packet->association == index && packet->in_flight[packet->side] > 0)
            packets[packet->side] += packet->length;
    }
    return packets[1] > packets[0];
}

static uint32_t largest_association(const struct trace *trace)
{
    uint32_t largest = 0;

    for (uint32_t i = 1; i < trace->association_count; i++) {
        if (trace->associations[i].packet_count > trace->associations[largest].packet_count)
            largest = i;
    }
    return largest;
}

static int draw(const struct drawing_options *options, const struct trace *trace)
{
    const struct plot_options *own = options->own;
    uint32_t index = options->association ? options->association - 1 : largest_association(trace);
    struct subject subject = {.trace = trace, .index = index};
    char title[300], addresses[2][DESCRIBE_ADDRESS_SIZE];
    const struct trace_packet *last;
    struct plot *plot;
    FILE *out;

    if (index >= trace->association_count || trace->associations[index].packet_count == 0)
        return drawing_no_association(&plot_command, options, trace);
    subject.association = &trace->associations[index];
    subject.side = own->side >= 0 ? (unsigned int)own->side : busier_side(trace, index);
    subject.start = trace->packets[subject.association->first_packet].time;
    last = &trace->packets[trace->packet_count - 1];
    while (last->association != index)
        last--;
    out = drawing_open(&plot_command, options);
    if (!out)
        return CLI_FAILED;
    for (unsigned int side = 0; side < 2; side++) {
        const struct trace_side *one = &subject.association->sides[side ^ subject.side];

        snprintf(addresses[side], sizeof(addresses[side]), "?");
        if (one->address_count > 0)
            describe_address(&one->addresses[0], addresses[side]);
    }
    snprintf(title, sizeof(title), "Association %" PRIu32 ": from %s port %u to %s port %u",
             index + 1, addresses[0], subject.association->sides[subject.side].port, addresses[1],
             subject.association->sides[!subject.side].port);
    plot = plot_begin(out, title, seconds_of(&subject, last));
    if (plot) {
        draw_tsns(&subject, plot);
        draw_bytes(&subject, plot);
        draw_rtt(&subject, plot);
    }
    if (!plot_end(plot)) {
        drawing_close(&plot_command, options, out);
        return cli_failure(&plot_command, "out of memory");
    }
    return drawing_close(&plot_command, options, out);
}

static const char *take_option(void *options, int option, const char *argument)
{
    struct plot_options *own = options;

    if (option == 'f') {
        if (strcmp(argument, "first") != 0 && strcmp(argument, "second") != 0)
            return "is no side: say 'first' or 'second'";
        own->side = strcmp(argument, "second") == 0;
    }
    return NULL;
}

static int run_plot(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"from", required_argument, NULL, 'f'},
        DRAWING_LONG_OPTIONS,
    };
    static const struct drawing_command drawing = {&plot_command, long_options, take_option, draw};
    struct plot_options own = {.side = -1};
    struct drawing_options options = {.limit = DEFAULT_LIMIT, .own = &own};

    return drawing_run(&drawing, &options, argc, argv);
}

const struct command plot_command = {
    .name = "plot",
    .summary = "plot an association of a capture over time",
    .help = "usage: braid plot [OPTION]... FILE\n"
            "\n"
            "Plots one direction of an association in FILE, a pcap or pcapng capture ('-' is\n"
            "standard input), as SVG: the TSNs that were sent, sent again, lost and\n"
            "acknowledged, the bytes in flight, the receiver's window, and the round-trip\n"
            "times of each path.\n"
            "\n"
            "  -o, --output FILE    where the SVG goes (default: standard output)\n"
            "  -a, --association N  the Nth (default: the one with most packets)\n"
            "      --from SIDE      the DATA of the 'first' side, which began, or the 'second'\n"
            "                       (default: of that which sent more)\n"
            "      --limit N        read at most N packets (default 1000000)\n"
            "      --udp-port N     SCTP is in UDP packets from or to this port (default 9899)\n"
            "  -h, --help           this text\n"
            "\n"
            "Exit status: 0 if all went well, 1 if the capture cannot be read, is damaged or has\n"
            "no SCTP in it, 2 if the command was not understood.\n",
    .run = run_plot,
};
