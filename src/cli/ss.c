/*
 * braid ss: the sockets and associations of the running stack.
 *
 * RFC 9260, section 14.2 and 14.3 (what there is to tell of associations and paths); the layout is
 * that of ss(8).
 */
#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/document.h"
#include "cli/status_reader.h"
#include "cli/watch.h"
#include "stack/stack.h"
#include "stack/status.h"

enum {
    COLUMNS = 5,
    CELL = STATUS_ENDPOINT_SIZE,
};

struct ss_options {
    const char *name;
    bool json, all, verbose;
    double watch; /* seconds between two looks; 0: one look */
};

/* ---- Words ---- */

static const char *style_name(enum socket_style style)
{
    switch (style) {
    case SOCKET_ONE_TO_ONE:
        return "one-to-one";
    case SOCKET_ONE_TO_MANY:
        return "one-to-many";
    case SOCKET_PEELED_OFF:
        break;
    }
    return "peeled-off";
}

static const char *socket_state_name(const struct socket_description *socket)
{
    if (socket->state == SOCKET_LISTENING)
        return "LISTEN";
    return socket->closed ? "CLOSING" : "UNCONN";
}

/* ---- As text ---- */

struct row {
    const struct status_record *record; /* what it tells of; NULL: the headings */
    char cells[COLUMNS][CELL];
};

struct table {
    struct row *rows;
    size_t count;
};

static struct row *table_add(struct table *table, const struct status_record *record)
{
    struct row *rows = realloc(table->rows, (table->count + 1) * sizeof(*rows));
    struct row *row;

    if (!rows)
        abort();
    table->rows = rows;
    row = &rows[table->count++];
    memset(row, 0, sizeof(*row));
    row->record = record;
    return row;
}

static void add_headings(struct table *table)
{
    static const char *const headings[COLUMNS] = {"State", "Recv-Q", "Send-Q", "Local Address:Port",
                                                  "Peer Address:Port"};
    struct row *row = table_add(table, NULL);

    for (size_t i = 0; i < COLUMNS; i++)
        snprintf(row->cells[i], CELL, "%s", headings[i]);
}

static void add_association(struct table *table, const struct status *status,
                            const struct status_socket *socket, const struct status_record *record,
                            bool below)
{
    const struct status_association *association = (const void *)record;
    const struct status_path *path = status_primary_path(status, record);
    struct braid_address local = {0}, peer = {0};
    struct row *row = table_add(table, record);

    if (path) {
        local = path->info.source;
        peer = path->info.address;
    }
    if (local.family == BRAID_UNSPECIFIED && socket->address_count > 0)
        local = socket->addresses[0];
    snprintf(row->cells[0], CELL, "%s%s", below ? "`- " : "",
             braid_state_name(association->info.state));
    snprintf(row->cells[1], CELL, "%" PRIu32,
             association->info.unread_bytes + (below ? 0 : socket->unread));
    snprintf(row->cells[2], CELL, "%" PRIu32, association->info.queued_bytes);
    status_endpoint_text(row->cells[3], &local, association->info.local_port);
    status_endpoint_text(row->cells[4], &peer, association->info.peer_port);
}

static void add_socket(struct table *table, const struct status *status,
                       const struct status_record *record, bool all)
{
    const struct status_socket *socket = (const void *)record;
    const struct socket_description *now = &socket->socket;
    const struct status_record *association = record;
    bool listening = now->state == SOCKET_LISTENING;
    bool has_row =
        listening || now->style == SOCKET_ONE_TO_MANY || (all && now->association_count == 0);

    if (has_row) {
        struct braid_address any = {.family = now->domain == AF_INET6 ? BRAID_IPV6 : BRAID_IPV4};
        struct row *row = table_add(table, record);

        snprintf(row->cells[0], CELL, "%s", socket_state_name(now));
        snprintf(row->cells[1], CELL, "%" PRIu32, listening ? now->waiting : socket->unread);
        snprintf(row->cells[2], CELL, "%" PRIu32,
                 listening && now->style == SOCKET_ONE_TO_ONE ? now->backlog : 0);
        status_endpoint_text(row->cells[3],
                             socket->address_count > 0 ? &socket->addresses[0] : &any, now->port);
        status_endpoint_text(row->cells[4], &any, 0);
    }
    while ((association = status_next_below(status, association, STATUS_ASSOCIATION)))
        add_association(table, status, socket, association, has_row);
}

static void print_socket_details(FILE *out, const struct status_socket *socket)
{
    fprintf(out, "     %s uid %u rcvbuf %" PRIu32 " sndbuf %" PRIu32,
            style_name(socket->socket.style), socket->socket.uid, socket->socket.receive_buffer,
            socket->socket.send_buffer);
    if (socket->slot != UINT32_MAX)
        fprintf(out, " slot %" PRIx32, socket->slot);
    if (socket->pending > 0)
        fprintf(out, " pending %" PRIu32, socket->pending);
    fputc('\n', out);
    for (uint32_t i = 1; i < socket->address_count; i++) {
        char text[STATUS_ENDPOINT_SIZE];

        status_endpoint_text(text, &socket->addresses[i], socket->socket.port);
        fprintf(out, "     also %s\n", text);
    }
}

static void print_path(FILE *out, const struct braid_path_info *path)
{
    char text[DESCRIBE_ADDRESS_SIZE];

    fprintf(out, "     path %s %s%s", describe_address(&path->address, text),
            braid_path_state_name(path->state), path->primary ? " primary" : "");
    if (path->encapsulation_port != 0)
        fprintf(out, " udp %u", path->encapsulation_port);
    fprintf(out,
            " cwnd %" PRIu32 " ssthresh %" PRIu32 " flight %" PRIu32
            " srtt %.3fms rto %.3fms mtu %" PRIu32 " errors %" PRIu32 "/%" PRIu32 " sent %" PRIu64
            " received %" PRIu64 "\n",
            path->cwnd, path->ssthresh, path->flight, path->srtt / 1000.0, path->rto / 1000.0,
            path->mtu, path->error_count, path->path_max_retrans, path->bytes_sent,
            path->bytes_received);
}

static void print_association_details(FILE *out, const struct status *status,
                                      const struct status_record *record)
{
    const struct status_association *association = (const void *)record;
    const struct braid_association_info *info = &association->info;

    fprintf(out,
            "     id %" PRId32 " %s streams %u/%u tags %08" PRIx32 "/%08" PRIx32 " rwnd %" PRIu32
            "/%" PRIu32 " outstanding %" PRIu32 " retransmitted %" PRIu64 "\n",
            association->identifier, info->incoming ? "incoming" : "outgoing",
            info->outbound_streams, info->inbound_streams, info->local_tag, info->peer_tag,
            info->local_rwnd, info->peer_rwnd, info->outstanding_chunks,
            info->chunks_retransmitted);
    while ((record = status_next_below(status, record, STATUS_PATH)))
        print_path(out, &((const struct status_path *)(const void *)record)->info);
}

static const char *state_colour(const struct document *document, const struct status_record *record)
{
    const struct status_association *association = (const void *)record;

    if (!record)
        return document_colour(document, COLOUR_STRONG);
    if (record->type == STATUS_SOCKET)
        return document_colour(document, COLOUR_CONTROL);
    return document_colour(document, association->info.state == BRAID_ESTABLISHED ? COLOUR_GOOD
                                                                                  : COLOUR_FAINT);
}

static void print_table(const struct table *table, const struct status *status,
                        const struct document *document, bool verbose)
{
    int widths[COLUMNS] = {0};

    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            if ((int)strlen(table->rows[i].cells[j]) > widths[j])
                widths[j] = (int)strlen(table->rows[i].cells[j]);
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        const struct status_record *record = row->record;

        fprintf(document->out, "%s%-*s%s  %*s  %*s  %-*s  %s\n", state_colour(document, record),
                widths[0], row->cells[0], document_colour(document, COLOUR_OFF), widths[1],
                row->cells[1], widths[2], row->cells[2], widths[3], row->cells[3], row->cells[4]);
        if (verbose && record && record->type == STATUS_SOCKET)
            print_socket_details(document->out, (const void *)record);
        if (verbose && record && record->type == STATUS_ASSOCIATION)
            print_association_details(document->out, status, record);
    }
}

/* The stack's counters; the second kind is of what was refused or dropped. */
#define COUNTER(field, refused) #field, offsetof(struct braid_statistics, field), refused
static const struct counter {
    const char *name;
    size_t offset;
    bool refused;
} counters[] = {
    {COUNTER(packets_received, false)},
    {COUNTER(packets_sent, false)},
    {COUNTER(bytes_received, false)},
    {COUNTER(bytes_sent, false)},
    {COUNTER(bad_checksum, true)},
    {COUNTER(bad_packet, true)},
    {COUNTER(bad_tag, true)},
    {COUNTER(out_of_the_blue, true)},
    {COUNTER(bad_cookie, true)},
    {COUNTER(stale_cookie, true)},
    {COUNTER(unknown_chunks, true)},
    {COUNTER(unknown_parameters, true)},
    {COUNTER(bad_authentication, true)},
    {COUNTER(unauthenticated_chunks, true)},
    {COUNTER(asconf_refused, true)},
    {COUNTER(asconf_ignored, true)},
    {COUNTER(addresses_refused, true)},
    {COUNTER(bad_heartbeat_ack, true)},
    {COUNTER(associations_opened, false)},
    {COUNTER(associations_accepted, false)},
    {COUNTER(associations_aborted, false)},
    {COUNTER(associations_shut_down, false)},
    {COUNTER(associations_refused, true)},
    {COUNTER(data_dropped, true)},
    {COUNTER(associations_now, false)},
};

enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static uint64_t counter_value(const struct counter *counter,
                              const struct braid_statistics *statistics)
{
    uint64_t value;

    memcpy(&value, (const char *)statistics + counter->offset, sizeof(value));
    return value;
}

/* Those that count something bad, and are not 0. */
static void print_refused(FILE *out, const struct braid_statistics *statistics)
{
    const char *between = "     refused ";

    for (size_t i = 0; i < COUNTERS; i++) {
        uint64_t value = counter_value(&counters[i], statistics);

        if (!counters[i].refused || value == 0)
            continue;
        fprintf(out, "%s%s %" PRIu64, between, counters[i].name, value);
        between = ", ";
    }
    if (between[0] == ',')
        fputc('\n', out);
}

static void print_user(FILE *out, const struct status_user *user)
{
    fprintf(out,
            "     user %u sockets %" PRIu32 "/%" PRIu32 " associations %" PRIu32 "/%" PRIu32
            " memory %" PRIu64 "/%" PRIu64 "\n",
            user->uid, user->sockets, user->limits.sockets, user->associations,
            user->limits.associations, user->memory, user->limits.memory);
}

static void print_stack(FILE *out, const struct status *status)
{
    const struct status_stack *stack = (const void *)status->bytes;
    const struct status_record *record = &stack->record;

    fprintf(out, "Stack '%s', pid %" PRId32 ", up %.0f s, %" PRIu64 " associations\n", stack->name,
            stack->pid, (double)stack->uptime / 1e6, stack->engine.associations_now);
    while ((record = status_next_below(status, record, STATUS_LINK))) {
        const struct status_link *link = (const void *)record;

        fprintf(out, "     link %s", link->name);
        if (link->port != 0)
            fprintf(out, " port %u", link->port);
        fprintf(out, "%s%s sent %" PRIu64 " received %" PRIu64 "\n", link->ipv4 ? " IPv4" : "",
                link->ipv6 ? " IPv6" : "", link->statistics.packets_sent,
                link->statistics.packets_received);
    }
    for (record = NULL; (record = status_next(status, record));)
        if (record->type == STATUS_USER)
            print_user(out, (const void *)record);
    fprintf(out, "     to ourselves %" PRIu64 "\n", stack->local_packets);
    print_refused(out, &stack->engine);
}

static void print_text(FILE *out, const struct status *status, const struct ss_options *options)
{
    struct document document = {.out = out, .colour = cli_wants_colour(stdout)};
    struct table table = {0};
    const struct status_record *record = NULL;

    if (options->verbose)
        print_stack(out, status);
    add_headings(&table);
    while ((record = status_next(status, record)))
        if (record->type == STATUS_SOCKET)
            add_socket(&table, status, record, options->all);
    print_table(&table, status, &document, options->verbose);
    free(table.rows);
}

/* ---- As JSON ---- */

static void write_address(struct document *document, const char *name,
                          const struct braid_address *address)
{
    char text[DESCRIBE_ADDRESS_SIZE];

    if (address->family != BRAID_UNSPECIFIED)
        document_text(document, name, describe_address(address, text));
}

static void write_path(struct document *document, const struct braid_path_info *path)
{
    document_object_begin(document, NULL, "path");
    write_address(document, "address", &path->address);
    write_address(document, "source", &path->source);
    document_text(document, "state", braid_path_state_name(path->state));
    document_boolean(document, "primary", path->primary);
    document_number(document, "udp_port", path->encapsulation_port);
    document_number(document, "srtt_us", path->srtt);
    document_number(document, "rttvar_us", path->rttvar);
    document_number(document, "rto_us", path->rto);
    document_number(document, "cwnd", path->cwnd);
    document_number(document, "ssthresh", path->ssthresh);
    document_number(document, "flight", path->flight);
    document_number(document, "partial_bytes_acked", path->partial_bytes_acked);
    document_number(document, "mtu", path->mtu);
    document_number(document, "error_count", path->error_count);
    document_number(document, "path_max_retrans", path->path_max_retrans);
    document_number(document, "potentially_failed_max_retrans",
                    path->potentially_failed_max_retrans);
    document_number(document, "primary_switchover_max_retrans",
                    path->primary_switchover_max_retrans);
    document_number(document, "hb_interval_ms", path->hb_interval);
    document_number(document, "packets_sent", path->packets_sent);
    document_number(document, "packets_received", path->packets_received);
    document_number(document, "bytes_sent", path->bytes_sent);
    document_number(document, "bytes_received", path->bytes_received);
    document_object_end(document);
}

static void write_association_counters(struct document *document,
                                       const struct braid_association_info *info)
{
    document_number(document, "packets_sent", info->packets_sent);
    document_number(document, "packets_received", info->packets_received);
    document_number(document, "bytes_sent", info->bytes_sent);
    document_number(document, "bytes_received", info->bytes_received);
    document_number(document, "messages_sent", info->messages_sent);
    document_number(document, "messages_received", info->messages_received);
    document_number(document, "chunks_retransmitted", info->chunks_retransmitted);
    document_number(document, "chunks_duplicate", info->chunks_duplicate);
    document_number(document, "sacks_sent", info->sacks_sent);
    document_number(document, "sacks_received", info->sacks_received);
    document_number(document, "fast_retransmits", info->fast_retransmits);
    document_number(document, "t3_expirations", info->t3_expirations);
    document_number(document, "heartbeats_sent", info->heartbeats_sent);
    document_number(document, "heartbeats_acknowledged", info->heartbeats_acknowledged);
}

static void write_association(struct document *document, const struct status *status,
                              const struct status_record *record)
{
    const struct status_association *association = (const void *)record;
    const struct braid_association_info *info = &association->info;

    document_object_begin(document, NULL, "association");
    document_number(document, "id", (uint64_t)association->identifier);
    document_text(document, "state", braid_state_name(info->state));
    document_boolean(document, "incoming", info->incoming);
    document_number(document, "local_port", info->local_port);
    document_number(document, "peer_port", info->peer_port);
    document_number(document, "local_tag", info->local_tag);
    document_number(document, "peer_tag", info->peer_tag);
    document_number(document, "outbound_streams", info->outbound_streams);
    document_number(document, "inbound_streams", info->inbound_streams);
    document_number(document, "local_rwnd", info->local_rwnd);
    document_number(document, "peer_rwnd", info->peer_rwnd);
    document_number(document, "outstanding_chunks", info->outstanding_chunks);
    document_number(document, "outstanding_bytes", info->outstanding_bytes);
    document_number(document, "queued_bytes", info->queued_bytes);
    document_number(document, "unread_messages", info->unread_messages);
    document_number(document, "unread_bytes", info->unread_bytes);
    document_number(document, "error_count", info->error_count);
    write_association_counters(document, info);
    document_list_begin(document, "paths", info->path_count);
    while ((record = status_next_below(status, record, STATUS_PATH)))
        write_path(document, &((const struct status_path *)(const void *)record)->info);
    document_list_end(document);
    document_object_end(document);
}

static void write_socket(struct document *document, const struct status *status,
                         const struct status_record *record)
{
    const struct status_socket *socket = (const void *)record;
    const struct socket_description *now = &socket->socket;

    document_object_begin(document, NULL, "socket");
    document_text(document, "style", style_name(now->style));
    document_text(document, "state", socket_state_name(now));
    document_boolean(document, "ipv6", now->domain == AF_INET6);
    document_number(document, "uid", now->uid);
    document_number(document, "port", now->port);
    document_list_begin(document, "addresses", socket->address_count);
    for (uint32_t i = 0; i < socket->address_count; i++)
        write_address(document, NULL, &socket->addresses[i]);
    document_list_end(document);
    document_boolean(document, "closed", now->closed);
    document_boolean(document, "held", socket->slot != UINT32_MAX);
    document_number(document, "receive_buffer", now->receive_buffer);
    document_number(document, "send_buffer", now->send_buffer);
    document_number(document, "unread_bytes", socket->unread);
    document_number(document, "pending_messages", socket->pending);
    if (now->state == SOCKET_LISTENING && now->style == SOCKET_ONE_TO_ONE) {
        document_number(document, "backlog", now->backlog);
        document_number(document, "waiting", now->waiting);
    }
    document_list_begin(document, "associations",
                        status_count_below(status, record, STATUS_ASSOCIATION));
    while ((record = status_next_below(status, record, STATUS_ASSOCIATION)))
        write_association(document, status, record);
    document_list_end(document);
    document_object_end(document);
}

static void write_link(struct document *document, const struct status_link *link)
{
    document_object_begin(document, NULL, "link");
    document_text(document, "name", link->name);
    document_number(document, "port", link->port);
    document_boolean(document, "ipv4", link->ipv4);
    document_boolean(document, "ipv6", link->ipv6);
    document_number(document, "packets_sent", link->statistics.packets_sent);
    document_number(document, "packets_received", link->statistics.packets_received);
    document_number(document, "bytes_sent", link->statistics.bytes_sent);
    document_number(document, "bytes_received", link->statistics.bytes_received);
    document_number(document, "send_full", link->statistics.send_full);
    document_number(document, "send_failed", link->statistics.send_failed);
    document_number(document, "receive_dropped", link->statistics.receive_dropped);
    document_object_end(document);
}

static void write_user(struct document *document, const struct status_user *user)
{
    document_object_begin(document, NULL, "user");
    document_number(document, "uid", user->uid);
    document_number(document, "sockets", user->sockets);
    document_number(document, "sockets_maximum", user->limits.sockets);
    document_number(document, "associations", user->associations);
    document_number(document, "associations_maximum", user->limits.associations);
    document_number(document, "connections", user->connections);
    document_number(document, "connections_maximum", user->limits.connections);
    document_number(document, "memory", user->memory);
    document_number(document, "memory_maximum", user->limits.memory);
    document_object_end(document);
}

static size_t count_records(const struct status *status, enum status_type type)
{
    size_t count = 0;

    for (const struct status_record *record = NULL; (record = status_next(status, record));)
        count += record->type == type;
    return count;
}

static void write_counters(struct document *document, const struct braid_statistics *statistics)
{
    document_object_begin(document, "counters", "counters");
    for (size_t i = 0; i < COUNTERS; i++)
        document_number(document, counters[i].name, counter_value(&counters[i], statistics));
    document_object_end(document);
}

static void print_json(FILE *out, const struct status *status)
{
    struct document document = {.out = out, .json = true};
    const struct status_stack *stack = (const void *)status->bytes;
    const struct status_record *record = &stack->record;

    document_object_begin(&document, NULL, "stack");
    document_text(&document, "name", stack->name);
    document_number(&document, "pid", (uint64_t)stack->pid);
    document_number(&document, "uptime_us", stack->uptime);
    document_number(&document, "local_packets", stack->local_packets);
    write_counters(&document, &stack->engine);
    document_list_begin(&document, "links", status_count_below(status, record, STATUS_LINK));
    while ((record = status_next_below(status, record, STATUS_LINK)))
        write_link(&document, (const void *)record);
    document_list_end(&document);
    document_list_begin(&document, "users", count_records(status, STATUS_USER));
    for (record = NULL; (record = status_next(status, record));)
        if (record->type == STATUS_USER)
            write_user(&document, (const void *)record);
    document_list_end(&document);
    document_list_begin(&document, "sockets", count_records(status, STATUS_SOCKET));
    record = NULL;
    while ((record = status_next(status, record)))
        if (record->type == STATUS_SOCKET)
            write_socket(&document, status, record);
    document_list_end(&document);
    document_object_end(&document);
    fputc('\n', out);
}

/* ---- The command line ---- */

static int show(void *context, FILE *out)
{
    const struct ss_options *options = context;
    struct status status = {0};
    int error = status_ask(options->name, &status);
    int result = CLI_OK;

    if (error < 0)
        result = cli_stack_failure(&ss_command, options->name, error);
    else if (options->json)
        print_json(out, &status);
    else
        print_text(out, &status, options);
    if (fflush(out) != 0)
        result = cli_failure(&ss_command, "the output could not be written");
    free(status.bytes);
    return result;
}

static int run_ss(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"all", no_argument, NULL, 'a'},
        {"verbose", no_argument, NULL, 'v'},
        {"json", no_argument, NULL, 'j'},
        {"name", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"watch", optional_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    struct ss_options options = {.name = getenv(CHANNEL_ENVIRONMENT)};
    int option;

    if (!options.name || !*options.name)
        options.name = STACK_NAME;
    while ((option = getopt_long(argc, argv, "ahv", long_options, NULL)) != -1) {
        switch (option) {
        case 'a':
            options.all = true;
            break;
        case 'v':
            options.verbose = true;
            break;
        case 'j':
            options.json = true;
            break;
        case 'n':
            options.name = optarg;
            break;
        case 'w':
            /* "--watch 2" is as good as "--watch=2". */
            if (!optarg && optind < argc && strspn(argv[optind], "0123456789.") > 0)
                optarg = argv[optind++];
            options.watch = optarg ? watch_seconds(optarg) : 1;
            if (options.watch > 0)
                break;
            cli_failure(&ss_command, "'%s' is not a number of seconds", optarg);
            return cli_usage_error(&ss_command);
        case 'h':
            fputs(ss_command.help, stdout);
            return CLI_OK;
        default:
            return cli_usage_error(&ss_command);
        }
    }
    if (optind != argc) {
        cli_failure(&ss_command, "'%s' is one argument too many", argv[optind]);
        return cli_usage_error(&ss_command);
    }
    return options.watch > 0 ? watch(show, &options, options.watch) : show(&options, stdout);
}

const struct command ss_command = {
    .name = "ss",
    .summary = "show sockets and associations",
    .help =
        "usage: braid ss [OPTION]...\n"
        "\n"
        "Shows the sockets that listen and the associations of the running stack: all of them to\n"
        "root and to who started it, to others their own. Of a socket\n"
        "that listens, Recv-Q is how many associations wait for accept(), Send-Q how many may;\n"
        "else they are bytes: received and not read, sent and not acknowledged.\n"
        "\n"
        "  -a, --all        also sockets without an association\n"
        "  -v, --verbose    the stack, its links, and how much of what it refused; of each\n"
        "                   association its streams, tags and windows, and a line for each path\n"
        "      --json       one JSON object with all there is to tell\n"
        "      --watch [SECONDS]  stay, and look again each second, or so often, until ^C\n"
        "      --name NAME  of the stack (default: $" CHANNEL_ENVIRONMENT ", else " STACK_NAME ")\n"
        "  -h, --help       this text\n"
        "\n"
        "Exit status: 0 if all went well, 1 if no stack is running or it cannot be asked, 2 if\n"
        "the command was not understood.\n",
    .run = run_ss,
};
