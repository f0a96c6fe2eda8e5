/*
 * braid perf: how fast associations are between two hosts. The command line, and what is printed.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/document.h"
#include "cli/perf.h"

enum {
    OPTION_PORT = 256,
    OPTION_UDP,
    OPTION_RAW,
    OPTION_SIZE,
    OPTION_STREAMS,
    OPTION_DURATION,
    OPTION_UNORDERED,
    OPTION_ASSOCIATIONS,
    OPTION_ONLY,
    OPTION_MTU,
    OPTION_BUFFER,
    OPTION_JSON,
};

/* ---- Options ---- */

static bool parse_number(const char *text, uint32_t least, uint32_t most, uint32_t *value)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || number < least || number > most) {
        cli_failure(&perf_command, "'%s' is not a number from %u to %u", text, least, most);
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

static bool parse_duration(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    if (*text && !*end && *value >= 0.01 && *value <= 86400)
        return true;
    cli_failure(&perf_command, "'%s' is not a number of seconds from 0.01 to 86400", text);
    return false;
}

static bool parse_test(const char *text, struct perf_options *options)
{
    options->test_setup = strcmp(text, "setup") == 0;
    options->test_latency = strcmp(text, "latency") == 0;
    options->test_throughput = strcmp(text, "throughput") == 0;
    if (options->test_setup || options->test_latency || options->test_throughput)
        return true;
    cli_failure(&perf_command, "there is no test '%s', only setup, latency and throughput", text);
    return false;
}

static bool take_option(struct perf_options *options, int option)
{
    uint32_t port;

    switch (option) {
    case OPTION_PORT:
        if (!parse_number(optarg, 1, UINT16_MAX, &port))
            return false;
        options->port = (uint16_t)port;
        return true;
    case OPTION_UDP:
        if (!parse_number(optarg, 1, UINT16_MAX, &port))
            return false;
        options->udp_port = (uint16_t)port;
        return true;
    case OPTION_RAW:
        options->udp_port = 0;
        return true;
    case OPTION_SIZE:
        return parse_number(optarg, 1, PERF_SIZE_MAXIMUM, &options->size);
    case OPTION_STREAMS:
        return parse_number(optarg, 1, UINT16_MAX, &options->streams);
    case OPTION_ASSOCIATIONS:
        return parse_number(optarg, 1, 10000, &options->associations);
    case OPTION_MTU:
        return parse_number(optarg, 576, UINT16_MAX, &options->mtu);
    case OPTION_BUFFER:
        return parse_number(optarg, 4096, 1 << 30, &options->buffer);
    case OPTION_DURATION:
        return parse_duration(optarg, &options->duration);
    case OPTION_ONLY:
        return parse_test(optarg, options);
    case OPTION_UNORDERED:
        options->unordered = true;
        return true;
    case OPTION_JSON:
        options->json = true;
        return true;
    default:
        return false;
    }
}

/* ---- What came out ---- */

static uint64_t per_second(uint64_t count, uint64_t microseconds)
{
    return (uint64_t)((double)count * 1e6 / (double)(microseconds > 0 ? microseconds : 1) + 0.5);
}

static const struct {
    const char *name, *title;
    unsigned int thousandths;
} quantiles[] = {{"median", "median", 500},
                 {"percentile_90", "90 %", 900},
                 {"percentile_99", "99 %", 990},
                 {"percentile_99_9", "99.9 %", 999}};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static void print_json(const struct perf_options *options, const struct perf_result *result)
{
    const struct histogram *latency = &result->latency;
    struct document document = {.out = stdout, .json = true};

    document_object_begin(&document, NULL, NULL);
    document_text(&document, "host", options->host);
    document_text(&document, "link", options->udp_port != 0 ? "udp" : "raw");
    document_number(&document, "size", options->size);
    document_number(&document, "streams", options->streams);
    document_number(&document, "associations", options->associations);
    document_boolean(&document, "unordered", options->unordered);
    if (options->test_throughput) {
        document_number(&document, "bits_per_second", per_second(result->bytes * 8, result->time));
        document_number(&document, "messages_per_second",
                        per_second(result->messages, result->time));
        document_number(&document, "messages", result->messages);
        document_number(&document, "bytes", result->bytes);
        document_time(&document, "seconds", (int64_t)result->time * 1000);
        document_number(&document, "chunks_retransmitted", result->retransmitted);
    }
    if (options->test_latency) { /* of the way there and back, in seconds */
        document_object_begin(&document, "latency", NULL);
        document_number(&document, "round_trips", latency->count);
        document_time(&document, "minimum", (int64_t)latency->least);
        document_time(&document, "mean",
                      (int64_t)(latency->count ? latency->sum / latency->count : 0));
        for (size_t i = 0; i < QUANTILES; i++)
            document_time(&document, quantiles[i].name,
                          (int64_t)histogram_quantile(latency, quantiles[i].thousandths));
        document_time(&document, "maximum", (int64_t)latency->most);
        document_object_end(&document);
    }
    if (options->test_setup) {
        document_object_begin(&document, "setup", NULL);
        document_number(&document, "associations", result->setups);
        document_number(&document, "associations_per_second",
                        per_second(result->setups, result->setup_time));
        document_object_end(&document);
    }
    document_object_end(&document);
    putchar('\n');
}

static void print_text(const struct perf_options *options, const struct perf_result *result)
{
    const struct histogram *latency = &result->latency;
    double seconds = (double)(result->time > 0 ? result->time : 1) / 1e6;

    if (options->test_setup)
        printf("setup       %llu associations/s, set up and ended\n",
               (unsigned long long)per_second(result->setups, result->setup_time));
    if (options->test_latency) {
        printf("latency     ");
        for (size_t i = 0; i < QUANTILES; i++)
            printf("%s %.1f us, ", quantiles[i].title,
                   (double)histogram_quantile(latency, quantiles[i].thousandths) / 1e3);
        printf("maximum %.1f us, there and back, %u bytes\n", (double)latency->most / 1e3,
               options->size);
    }
    if (options->test_throughput)
        printf("throughput  %.1f Mb/s, %.0f messages/s of %u bytes for %.2f s; "
               "%llu chunks were sent again\n",
               (double)result->bytes * 8 / seconds / 1e6, (double)result->messages / seconds,
               options->size, seconds, (unsigned long long)result->retransmitted);
}

/* ---- The command ---- */

static int run_client(struct perf_options *options)
{
    static struct perf_result result;
    int status = perf_measure(options, &result);

    if (status != CLI_OK)
        return status;
    if (options->json)
        print_json(options, &result);
    else
        print_text(options, &result);
    return CLI_OK;
}

static int run_perf(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"port", required_argument, NULL, OPTION_PORT},
        {"udp", required_argument, NULL, OPTION_UDP},
        {"raw", no_argument, NULL, OPTION_RAW},
        {"size", required_argument, NULL, OPTION_SIZE},
        {"streams", required_argument, NULL, OPTION_STREAMS},
        {"duration", required_argument, NULL, OPTION_DURATION},
        {"unordered", no_argument, NULL, OPTION_UNORDERED},
        {"associations", required_argument, NULL, OPTION_ASSOCIATIONS},
        {"only", required_argument, NULL, OPTION_ONLY},
        {"mtu", required_argument, NULL, OPTION_MTU},
        {"buffer", required_argument, NULL, OPTION_BUFFER},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct perf_options options = {
        .port = PERF_PORT,
        .udp_port = LINK_UDP_PORT,
        .size = 1024,
        .streams = 1,
        .associations = 1,
        .buffer = 1 << 20,
        .duration = 5,
        .test_setup = true,
        .test_latency = true,
        .test_throughput = true,
    };
    bool server, client;
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(perf_command.help, stdout);
            return CLI_OK;
        }
        if (!take_option(&options, option))
            return cli_usage_error(&perf_command);
    }
    server = optind < argc && strcmp(argv[optind], "server") == 0;
    client = optind < argc && strcmp(argv[optind], "client") == 0;
    if (!server && !client) {
        cli_failure(&perf_command, "say 'server', or 'client HOST'");
        return cli_usage_error(&perf_command);
    }
    if (client && optind + 1 == argc) {
        cli_failure(&perf_command, "which host is the server?");
        return cli_usage_error(&perf_command);
    }
    if (optind + 1 + client != argc) {
        cli_failure(&perf_command, "'%s' is one argument too many", argv[optind + 1 + client]);
        return cli_usage_error(&perf_command);
    }
    if (server)
        return perf_serve(&options);
    options.host = argv[optind + 1];
    return run_client(&options);
}

const struct command perf_command = {
    .name = "perf",
    .summary = "measure how fast associations are between two hosts",
    .help =
        "usage: braid perf server [OPTION]...\n"
        "       braid perf client HOST [OPTION]...\n"
        "\n"
        "Measures between two hosts: how many associations are set up and ended in a second, how\n"
        "long a message takes there and back, and how many messages go to the server in a "
        "second,\n"
        "as the server counts them. It needs no stack process: engine and link are in the "
        "command.\n"
        "The server serves any number of clients, until SIGINT or SIGTERM.\n"
        "\n"
        "Of both:\n"
        "      --port PORT        SCTP port of the server (default 5001)\n"
        "      --udp PORT         UDP port of the server (default 9899)\n"
        "      --raw              SCTP directly over IP, not over UDP; needs CAP_NET_RAW\n"
        "      --mtu BYTES        largest IP packet (default: as the route says)\n"
        "      --buffer BYTES     send and receive buffer of an association (default 1048576)\n"
        "Of the client:\n"
        "      --size BYTES       of a message (default 1024)\n"
        "      --streams N        messages take turns in so many streams (default 1)\n"
        "      --unordered        send them unordered\n"
        "      --associations N   as many at once, for the throughput (default 1)\n"
        "      --duration S       seconds to send (default 5); setup and latency are tried for a\n"
        "                         tenth of it each\n"
        "      --only TEST        one test for all the time: setup, latency or throughput\n"
        "      --json             for programs: numbers are per second, times in seconds\n"
        "  -h, --help             this text\n"
        "\n"
        "Exit status: 0 if all went well, 1 if it did not, 2 if the command was not understood.\n",
    .run = run_perf,
};
