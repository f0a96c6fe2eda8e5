/*
 * braid dump: what is in a capture, packet by packet and chunk by chunk.
 *
 * RFC 9260 section 3 (the packet), section 6.8 (its CRC32c), RFC 9653 (zero checksum). What is in
 * a chunk is described by describe.c.
 */
#include <getopt.h>
#include <inttypes.h>

#include "cli/capture_reader.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "packet/packet.h"

struct dump_options {
    const char *path;
    uint16_t udp_port;
    bool verbose;
    bool json;
};

/* What became of a packet's checksum. */
enum checksum {
    CHECKSUM_GOOD,
    CHECKSUM_BAD,
    CHECKSUM_ZERO,    /* left out, as RFC 9653 permits where both sides agreed to it */
    CHECKSUM_UNKNOWN, /* not all of the packet is in the capture */
};

static enum checksum judge_checksum(const struct captured_packet *packet)
{
    if (packet->incomplete)
        return CHECKSUM_UNKNOWN;
    if (packet_verify_checksum(packet->bytes, packet->length))
        return CHECKSUM_GOOD;
    return packet_read_checksum(packet->bytes) == 0 ? CHECKSUM_ZERO : CHECKSUM_BAD;
}

static void print_endpoint(FILE *out, const struct braid_address *address, uint16_t port)
{
    char text[DESCRIBE_ADDRESS_SIZE];

    fprintf(out, address->family == BRAID_IPV6 ? "[%s]:%u" : "%s:%u",
            describe_address(address, text), port);
}

static void print_checksum(const struct document *document, const struct captured_packet *packet)
{
    const char *off = document_colour(document, COLOUR_OFF);

    switch (judge_checksum(packet)) {
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
        fputs("crc zero", document->out);
        break;
    case CHECKSUM_UNKNOWN:
        fputs("crc unknown", document->out);
        break;
    }
}

/* The line of a packet. */
static void print_packet_line(const struct document *document, const struct captured_packet *packet,
                              const struct sctp_common_header *header, int64_t time)
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
    print_checksum(document, packet);
    fprintf(out, "  %zu bytes%s\n", packet->length, packet->incomplete ? ", incomplete" : "");
}

static void print_packet(struct document *document, const struct captured_packet *packet,
                         const struct sctp_common_header *header, int64_t time, bool verbose)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    print_packet_line(document, packet, header, time);
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
                         const struct sctp_common_header *header, int64_t time)
{
    static const char *const checksums[] = {
        [CHECKSUM_GOOD] = "good",
        [CHECKSUM_BAD] = "bad",
        [CHECKSUM_ZERO] = "zero",
        [CHECKSUM_UNKNOWN] = "unknown",
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
    document_text(document, "checksum", checksums[judge_checksum(packet)]);
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

static void dump_packet(struct document *document, const struct captured_packet *packet,
                        int64_t time, bool verbose)
{
    struct sctp_common_header header;

    if (!packet_read_common_header(packet->bytes, packet->length, &header)) {
        fprintf(stderr, "braid dump: frame %" PRIu64 ": too short for SCTP\n", packet->number);
        return;
    }
    if (document->json)
        write_packet(document, packet, &header, time);
    else
        print_packet(document, packet, &header, time, verbose);
}

static int dump(const struct dump_options *options)
{
    struct document document = {
        .out = stdout, .json = options->json, .colour = !options->json && cli_wants_colour(stdout)};
    char error[CAPTURE_ERROR_SIZE];
    struct capture_reader *reader = capture_reader_open(options->path, options->udp_port, error);
    struct captured_packet packet;
    int status = CLI_OK;
    int64_t start = 0;
    uint64_t packets;
    int result;

    if (!reader)
        return cli_failure(&dump_command, "%s: %s", options->path, error);
    for (packets = 0; (result = capture_reader_next(reader, &packet)) == 1; packets++) {
        if (packets == 0)
            start = packet.time;
        dump_packet(&document, &packet, packet.time - start, options->verbose);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        status = cli_failure(&dump_command, "the output could not be written");
    if (result < 0)
        status = cli_failure(&dump_command, "%s: %s", options->path, capture_reader_error(reader));
    else if (packets == 0)
        fprintf(stderr, "braid dump: %s: no SCTP packets\n", options->path);
    if (capture_reader_fragments(reader) > 0)
        fprintf(stderr, "braid dump: %s: %" PRIu64 " fragments of IP packets were passed over\n",
                options->path, capture_reader_fragments(reader));
    capture_reader_close(reader);
    return status;
}

static int run_dump(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"verbose", no_argument, NULL, 'v'},
        {"json", no_argument, NULL, 'j'},
        {"udp-port", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct dump_options options = {.udp_port = CAPTURE_DEFAULT_UDP_PORT};
    unsigned long port;
    int option;

    while ((option = getopt_long(argc, argv, "hv", long_options, NULL)) != -1) {
        switch (option) {
        case 'v':
            options.verbose = true;
            break;
        case 'j':
            options.json = true;
            break;
        case 'u':
            if (!cli_parse_number(optarg, 1, UINT16_MAX, &port)) {
                cli_failure(&dump_command, "'%s' is not a UDP port", optarg);
                return cli_usage_error(&dump_command);
            }
            options.udp_port = (uint16_t)port;
            break;
        case 'h':
            fputs(dump_command.help, stdout);
            return CLI_OK;
        default:
            return cli_usage_error(&dump_command);
        }
    }
    if (argc - optind != 1) {
        cli_failure(&dump_command, argc == optind ? "no file was named" : "one file at a time");
        return cli_usage_error(&dump_command);
    }
    options.path = argv[optind];
    return dump(&options);
}

const struct command dump_command = {
    .name = "dump",
    .summary = "show the packets of a capture, chunk by chunk",
    .help = "usage: braid dump [OPTION]... FILE\n"
            "\n"
            "Shows the SCTP packets in FILE, a pcap or pcapng capture; '-' is standard input.\n"
            "SCTP is found over IPv4 and IPv6, and in UDP (RFC 6951).\n"
            "\n"
            "  -v, --verbose      every field, parameter and error cause\n"
            "      --json         one JSON object a packet, a line each, with every field\n"
            "      --udp-port N   SCTP is in UDP packets from or to this port (default 9899)\n"
            "  -h, --help         this text\n"
            "\n"
            "Exit status: 0 if all went well, 1 if the capture cannot be read or is damaged,\n"
            "2 if the command was not understood.\n",
    .run = run_dump,
};
