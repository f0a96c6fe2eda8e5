/*
 * braid dump: packets, chunk by chunk: of a capture, or as an interface or the stack sees them.
 *
 * RFC 9260 section 3 (the packet), section 6.8 (its CRC32c), RFC 9653 (zero checksum). What is in
 * a chunk is described by describe.c.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "cli/capture_reader.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/live.h"
#include "cli/trace.h"
#include "packet/chunks.h"
#include "packet/packet.h"
#include "packet/parameter.h"
#include "packet/wire.h"

#define ANY_STREAM UINT32_MAX

/* Which packets are wanted: those of one association, with a chunk of a type, of a stream. */
struct dump_filter {
    uint32_t association; /* from 1; 0: any */
    uint32_t stream;      /* ANY_STREAM: any */
    bool by_chunk;        /* only those with one of these types: */
    bool chunk_types[256];
};

struct dump_options {
    const char *path;
    const char *interface; /* in place of a path */
    const char *stack;     /* in place of a path: the name of one that runs */
    uint16_t udp_port;
    unsigned long count; /* of packets that are shown; 0: all */
    bool verbose;
    bool json;
    struct dump_filter filter;
};

#define ZERO_TAGS 4096u /* a power of two */

/* What is known of the packets before. */
struct dump_state {
    uint32_t zero_tags[ZERO_TAGS]; /* Initiate Tags with which a checksum of zero is accepted */
    const struct dump_options *options;
    struct trace *trace; /* NULL unless associations are told apart */
    unsigned long shown;
};

static struct capture_reader *live_reader;

/* What became of a packet's checksum. */
enum checksum {
    CHECKSUM_GOOD,
    CHECKSUM_BAD,
    CHECKSUM_ZERO,          /* left out, and the receiver accepts that (RFC 9653) */
    CHECKSUM_ZERO_UNAGREED, /* left out, and it was not seen to accept that */
    CHECKSUM_UNKNOWN,       /* not all of the packet is in the capture */
};

/* Keeps the tag of an INIT or INIT ACK whose sender accepts packets without CRC32c. */
static void learn_zero_checksum(struct dump_state *state, const struct captured_packet *packet)
{
    struct parameter_iterator parameters;
    struct chunk_iterator chunks;
    struct sctp_parameter parameter;
    struct sctp_chunk chunk;
    struct sctp_init init;

    chunk_iterator_init(&chunks, packet->bytes, packet->length);
    if (!chunk_next(&chunks, &chunk) ||
        (chunk.type != SCTP_CHUNK_INIT && chunk.type != SCTP_CHUNK_INIT_ACK) ||
        !init_read(&chunk, &init))
        return;
    parameter_iterator_init(&parameters, init.parameters, init.parameters_length);
    while (parameter_next(&parameters, &parameter)) {
        if (parameter.type == SCTP_PARAMETER_ZERO_CHECKSUM)
            state->zero_tags[init.initiate_tag % ZERO_TAGS] = init.initiate_tag;
    }
}

static enum checksum judge_checksum(const struct dump_state *state,
                                    const struct captured_packet *packet,
                                    const struct sctp_common_header *header)
{
    uint32_t tag = header->verification_tag;

    if (packet->incomplete)
        return CHECKSUM_UNKNOWN;
    if (packet_verify_checksum(packet->bytes, packet->length))
        return CHECKSUM_GOOD;
    if (packet_read_checksum(packet->bytes) != 0)
        return CHECKSUM_BAD;
    return tag != 0 && state->zero_tags[tag % ZERO_TAGS] == tag ? CHECKSUM_ZERO
                                                                : CHECKSUM_ZERO_UNAGREED;
}

static void print_endpoint(FILE *out, const struct braid_address *address, uint16_t port)
{
    char text[DESCRIBE_ADDRESS_SIZE];

    fprintf(out, address->family == BRAID_IPV6 ? "[%s]:%u" : "%s:%u",
            describe_address(address, text), port);
}

static void print_checksum(const struct document *document, const struct captured_packet *packet,
                           enum checksum checksum)
{
    const char *off = document_colour(document, COLOUR_OFF);

    switch (checksum) {
    case CHECKSUM_GOOD:
        fputs("crc ok", document->out);
        break;
    case CHECKSUM_BAD:
        fprintf(document->out, "%scrc bad%s (0x%08" PRIx32 ", not 0x%08" PRIx32 ")",
                document_colour(document, COLOUR_BAD), off,
                packet_compute_checksum(packet->bytes, packet->length),
                packet_read_checksum(packet->bytes));
        break;
    case CHECKSUM_ZERO:
        fputs("crc zero, as agreed", document->out);
        break;
    case CHECKSUM_ZERO_UNAGREED:
        fputs("crc zero, not seen to be agreed", document->out);
        break;
    case CHECKSUM_UNKNOWN:
        fputs("crc unknown", document->out);
        break;
    }
}

/* The line of a packet. */
static void print_packet_line(const struct document *document, const struct captured_packet *packet,
                              const struct sctp_common_header *header, enum checksum checksum,
                              int64_t time)
{
    FILE *out = document->out;
    uint64_t microseconds = (uint64_t)(time < 0 ? -time : time) / 1000;

    fprintf(out, "%s%s%" PRIu64 ".%06" PRIu64 "  ", document_colour(document, COLOUR_STRONG),
            time < 0 ? "-" : "", microseconds / 1000000, microseconds % 1000000);
    print_endpoint(out, &packet->source, header->source_port);
    fputs(" > ", out);
    print_endpoint(out, &packet->destination, header->destination_port);
    fprintf(out, "%s", document_colour(document, COLOUR_OFF));
    if (packet->udp_source_port || packet->udp_destination_port)
        fprintf(out, "  udp %u > %u", packet->udp_source_port, packet->udp_destination_port);
    fprintf(out, "  tag 0x%08" PRIx32 "  ", header->verification_tag);
    print_checksum(document, packet, checksum);
    fprintf(out, "  %zu bytes%s\n", packet->length, packet->incomplete ? ", incomplete" : "");
}

static void print_packet(struct document *document, const struct captured_packet *packet,
                         const struct sctp_common_header *header, enum checksum checksum,
                         int64_t time, bool verbose)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    print_packet_line(document, packet, header, checksum, time);
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        fputs("    ", document->out);
        describe_chunk_in_line(document, &chunk);
        fputc('\n', document->out);
        if (verbose) {
            document->indent = 2;
            describe_chunk_in_full(document, &chunk);
        }
    }
    if (iterator.malformed)
        fprintf(document->out, "    %s%s%s, %zu bytes\n", document_colour(document, COLOUR_BAD),
                packet->incomplete ? "cut off" : "malformed", document_colour(document, COLOUR_OFF),
                (size_t)(iterator.end - iterator.position));
}

static void write_endpoint(struct document *document, const char *name,
                           const struct braid_address *address, uint16_t port)
{
    char text[DESCRIBE_ADDRESS_SIZE];

    document_object_begin(document, name, name);
    document_text(document, "address", describe_address(address, text));
    document_number(document, "port", port);
    document_object_end(document);
}

/* The packet as one line of JSON. */
static void write_packet(struct document *document, const struct captured_packet *packet,
                         const struct sctp_common_header *header, enum checksum checksum,
                         int64_t time)
{
    static const char *const checksums[] = {
        [CHECKSUM_GOOD] = "good",          [CHECKSUM_BAD] = "bad",         [CHECKSUM_ZERO] = "zero",
        [CHECKSUM_ZERO_UNAGREED] = "zero", [CHECKSUM_UNKNOWN] = "unknown",
    };
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    document->comma = false;
    document_object_begin(document, NULL, NULL);
    document_number(document, "frame", packet->number);
    document_time(document, "time", time);
    document_time(document, "timestamp", packet->time);
    write_endpoint(document, "source", &packet->source, header->source_port);
    write_endpoint(document, "destination", &packet->destination, header->destination_port);
    if (packet->udp_source_port || packet->udp_destination_port) {
        document_object_begin(document, "udp", "udp");
        document_number(document, "source_port", packet->udp_source_port);
        document_number(document, "destination_port", packet->udp_destination_port);
        document_object_end(document);
    }
    document_number(document, "verification_tag", header->verification_tag);
    document_text(document, "checksum", checksums[checksum]);
    if (checksum == CHECKSUM_ZERO || checksum == CHECKSUM_ZERO_UNAGREED)
        document_boolean(document, "zero_checksum_agreed", checksum == CHECKSUM_ZERO);
    document_number(document, "length", packet->length);
    document_boolean(document, "incomplete", packet->incomplete);
    document_list_begin(document, "chunks", 1);
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        document_object_begin(document, NULL, NULL);
        describe_chunk_in_full(document, &chunk);
        document_object_end(document);
    }
    document_list_end(document);
    document_boolean(document, "malformed", iterator.malformed);
    document_object_end(document);
    fputc('\n', document->out);
}

/* ---- Which packets are wanted ----------------------------------------------------------------
 */

/* Is the chunk one that the filter asks for, whatever else is in the packet. */
static bool chunk_wanted(const struct dump_filter *filter, const struct sctp_chunk *chunk)
{
    bool is_data = chunk->type == SCTP_CHUNK_DATA || chunk->type == SCTP_CHUNK_I_DATA;

    if (filter->by_chunk && !filter->chunk_types[chunk->type])
        return false;
    return filter->stream == ANY_STREAM || (is_data && chunk->value_length >= 6 &&
                                            wire_get_u16(chunk->value + 4) == filter->stream);
}

static bool packet_wanted(struct dump_state *state, const struct captured_packet *packet,
                          const struct sctp_common_header *header)
{
    const struct dump_filter *filter = &state->options->filter;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    if (state->trace &&
        trace_association_of(state->trace, packet, header) + 1 != filter->association)
        return false;
    if (!filter->by_chunk && filter->stream == ANY_STREAM)
        return true;
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk_wanted(filter, &chunk))
            return true;
    }
    return false;
}

/* A chunk type by its name ("SACK", "init-ack") or number. False: there is none. */
static bool filter_add_chunk(struct dump_filter *filter, const char *text)
{
    unsigned long number;
    bool known = cli_parse_number(text, 0, UINT8_MAX, &number);

    for (unsigned int type = 0; type <= UINT8_MAX && !known; type++) {
        const char *name = describe_chunk_type((uint8_t)type);
        size_t at = 0;

        while (name[at] != '\0' && (toupper((unsigned char)text[at]) == name[at] ||
                                    (name[at] == ' ' && strchr("-_", text[at]) && text[at])))
            at++;
        known = name[at] == '\0' && text[at] == '\0';
        number = type;
    }
    if (known)
        filter->by_chunk = filter->chunk_types[number] = true;
    return known;
}

/* ---- The command -----------------------------------------------------------------------------
 */

static void dump_packet(struct document *document, struct dump_state *state,
                        const struct captured_packet *packet, int64_t time)
{
    struct sctp_common_header header;
    enum checksum checksum;

    if (!packet_read_common_header(packet->bytes, packet->length, &header)) {
        fprintf(stderr, "braid dump: frame %" PRIu64 ": too short for SCTP\n", packet->number);
        return;
    }
    learn_zero_checksum(state, packet);
    if (!packet_wanted(state, packet, &header))
        return;
    checksum = judge_checksum(state, packet, &header);
    if (document->json)
        write_packet(document, packet, &header, checksum, time);
    else
        print_packet(document, packet, &header, checksum, time, state->options->verbose);
    state->shown++;
    if (!state->options->path)
        fflush(document->out);
}

static void stop_capturing(int number)
{
    (void)number;
    capture_reader_stop(live_reader);
}

static const char *source_name(const struct dump_options *options)
{
    return options->path ? options->path : options->interface ? options->interface : options->stack;
}

static struct capture_reader *open_stack(const struct dump_options *options,
                                         char error[CAPTURE_ERROR_SIZE])
{
    int reason;
    FILE *file = live_open(options->stack, &reason);

    if (file)
        return capture_reader_open_file(file, options->udp_port, error);
    cli_stack_error(error, options->stack, reason);
    return NULL;
}

static struct capture_reader *open_reader(const struct dump_options *options,
                                          char error[CAPTURE_ERROR_SIZE])
{
    struct sigaction action = {.sa_handler = stop_capturing, .sa_flags = (int)SA_RESETHAND};
    struct capture_reader *reader;

    if (options->path)
        return capture_reader_open(options->path, options->udp_port, error);
    if (options->interface)
        reader = capture_reader_open_interface(options->interface, options->udp_port, error);
    else
        reader = open_stack(options, error);
    if (reader) {
        live_reader = reader;
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        fprintf(stderr, "braid dump: listening on %s, until Ctrl-C\n", source_name(options));
    }
    return reader;
}

static int dump(const struct dump_options *options)
{
    struct document document = {
        .out = stdout, .json = options->json, .colour = !options->json && cli_wants_colour(stdout)};
    struct dump_state state = {.options = options};
    const char *source = source_name(options);
    char error[CAPTURE_ERROR_SIZE];
    struct capture_reader *reader = open_reader(options, error);
    struct captured_packet packet;
    int status = CLI_OK;
    int64_t start = 0;
    uint64_t packets = 0;
    int result = 0;

    if (!reader)
        return options->path || options->interface ? cli_failure(&dump_command, "%s: %s", source,
                                                                 error)
                                                   : cli_failure(&dump_command, "%s", error);
    if (options->filter.association != 0 && !(state.trace = trace_new())) {
        capture_reader_close(reader);
        return cli_failure(&dump_command, "out of memory");
    }
    while ((options->count == 0 || state.shown < options->count) && !ferror(stdout) &&
           (result = capture_reader_next(reader, &packet)) == 1) {
        if (packets++ == 0)
            start = packet.time;
        dump_packet(&document, &state, &packet, packet.time - start);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        status = cli_failure(&dump_command, "the output could not be written");
    if (result < 0)
        status = cli_failure(&dump_command, "%s: %s", source, capture_reader_error(reader));
    else if (packets == 0)
        fprintf(stderr, "braid dump: %s: no SCTP packets in %" PRIu64 " frames%s\n", source,
                capture_reader_frames(reader),
                options->path || options->interface ? " (in UDP: see --udp-port)" : "");
    else if (state.shown == 0)
        fprintf(stderr, "braid dump: %s: of %" PRIu64 " SCTP packets none is as asked for\n",
                source, packets);
    if (capture_reader_fragments(reader) > 0)
        fprintf(stderr, "braid dump: %s: %" PRIu64 " fragments of IP packets were passed over\n",
                source, capture_reader_fragments(reader));
    capture_reader_close(reader);
    trace_free(state.trace);
    return status;
}

/* Takes an option. False, and what is wrong was said: it is none. */
static bool take_option(struct dump_options *options, int option, const char *argument)
{
    unsigned long number = 0;
    const char *wrong = NULL;

    switch (option) {
    case 'a':
        if (!cli_parse_number(argument, 1, UINT32_MAX - 1, &number))
            wrong = "is not the number of an association";
        options->filter.association = (uint32_t)number;
        break;
    case 'c':
        if (!filter_add_chunk(&options->filter, argument))
            wrong = "is no type of chunk";
        break;
    case 'i':
        options->interface = argument;
        break;
    case 'l':
        options->stack = argument ? argument : "default";
        break;
    case 'j':
        options->json = true;
        break;
    case 'n':
        if (!cli_parse_number(argument, 1, ULONG_MAX, &options->count))
            wrong = "is not a number of packets";
        break;
    case 's':
        if (!cli_parse_number(argument, 0, UINT16_MAX, &number))
            wrong = "is not a stream";
        options->filter.stream = (uint32_t)number;
        break;
    case 'u':
        if (!cli_parse_number(argument, 1, UINT16_MAX, &number))
            wrong = "is not a UDP port";
        options->udp_port = (uint16_t)number;
        break;
    case 'v':
        options->verbose = true;
        break;
    default:
        return false;
    }
    if (wrong)
        cli_failure(&dump_command, "'%s' %s", argument, wrong);
    return !wrong;
}

static int run_dump(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"association", required_argument, NULL, 'a'},
        {"chunk", required_argument, NULL, 'c'},
        {"interface", required_argument, NULL, 'i'},
        {"live", optional_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'},
        {"count", required_argument, NULL, 'n'},
        {"stream", required_argument, NULL, 's'},
        {"udp-port", required_argument, NULL, 'u'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct dump_options options = {.udp_port = CAPTURE_DEFAULT_UDP_PORT,
                                   .filter = {.stream = ANY_STREAM}};
    int option, sources;

    while ((option = getopt_long(argc, argv, "a:c:hi:n:s:v", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(dump_command.help, stdout);
            return CLI_OK;
        }
        if (!take_option(&options, option, optarg))
            return cli_usage_error(&dump_command);
    }
    sources = (options.interface != NULL) + (options.stack != NULL) + (argc - optind);
    if (sources != 1) {
        cli_failure(&dump_command,
                    sources == 0 ? "no file was named" : "one file, interface or stack at a time");
        return cli_usage_error(&dump_command);
    }
    options.path = argc > optind ? argv[optind] : NULL;
    return dump(&options);
}

const struct command dump_command = {
    .name = "dump",
    .summary = "show packets, chunk by chunk: of a capture, or as they come",
    .help =
        "usage: braid dump [OPTION]... FILE\n"
        "       braid dump [OPTION]... -i INTERFACE\n"
        "       braid dump [OPTION]... --live[=NAME]\n"
        "\n"
        "Shows the SCTP packets in FILE, a pcap or pcapng capture; '-' is standard input.\n"
        "SCTP is found over IPv4 and IPv6, and in UDP (RFC 6951).\n"
        "\n"
        "  -i, --interface NAME what an interface sees from now on, in place of a file ('any':\n"
        "                       all interfaces); this needs CAP_NET_RAW\n"
        "      --live[=NAME]    what the running stack sends and receives from now on (the stack\n"
        "                       of 'braid run --name NAME'; of one's own user, or by root)\n"
        "  -v, --verbose        every field, parameter and error cause\n"
        "      --json           one JSON object a packet, a line each, with every field\n"
        "  -a, --association N  only packets of the Nth association, as braid ladder counts\n"
        "  -c, --chunk TYPE     only packets with such a chunk, by name ('sack', 'init-ack')\n"
        "                       or number; may be given more than once\n"
        "  -s, --stream N       only packets with user data of stream N\n"
        "  -n, --count N        end after N packets were shown\n"
        "      --udp-port N     SCTP is in UDP packets from or to this port (default 9899)\n"
        "  -h, --help           this text\n"
        "\n"
        "Exit status: 0 if all went well, 1 if the capture cannot be read or is damaged,\n"
        "2 if the command was not understood.\n",
    .run = run_dump,
};
