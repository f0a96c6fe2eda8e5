/*
 * braid perf client: associations that are set up and ended, messages that go there and back, and
 * as many messages as go one way.
 */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/perf.h"
#include "link/sockaddr.h"

enum {
    SETUPS_AT_ONCE = 32,
    SHARE = 10,               /* latency and setup are tried for a tenth of the time each */
    PROGRESS_TIME = 500000,   /* us */
    PATIENCE_TIME = 30000000, /* us in which something has to be heard of the other side */
};

/* One association. */
struct flow {
    uint32_t endpoint, association;
    bool up, ready, full, ended, reported, down;
    uint64_t sent;
};

struct client {
    struct perf_host host;
    const struct perf_options *options;
    struct braid_address server;
    struct perf_result *result;
    void (*up)(struct client *client, struct flow *flow);
    void (*message)(struct client *client, struct flow *flow, const struct braid_received *message);
    void (*down)(struct client *client, struct flow *flow);
    struct flow *flows;
    uint32_t flow_count;
    uint32_t ready, reported, open; /* flows that are */
    uint8_t *bytes;                 /* of a message */
    braid_time begun, end, heard;
    uint64_t heard_packets;
    uint64_t first, last; /* of all reports */
    uint64_t sent_at;     /* latency: ns */
    bool failed;
};

static void fail(struct client *client, const char *what, const char *why)
{
    if (!client->failed)
        cli_failure(&perf_command, "%s: %s: %s", client->options->host, what, why);
    client->failed = true;
}

static struct flow *flow_of(struct client *client, uint32_t association)
{
    return braid_association_user(client->host.engine, association);
}

static void flow_connect(struct client *client, struct flow *flow)
{
    const struct perf_options *options = client->options;
    struct braid_engine *engine = client->host.engine;
    int error = braid_connect(engine, flow->endpoint, &client->server, 1, options->port,
                              options->udp_port, client->host.now, &flow->association);

    if (error < 0) {
        fail(client, "the association", strerror(-error));
        return;
    }
    flow->up = flow->down = false;
    client->open++;
    braid_association_set_user(engine, flow->association, flow);
}

/* ---- Turns ---- */

static void read_messages(struct client *client, struct flow *flow)
{
    struct braid_engine *engine = client->host.engine;
    struct braid_received received;

    while (!client->failed &&
           braid_receive(engine, flow->association, &received, client->host.now) > 0) {
        client->message(client, flow, &received);
        braid_received_release(engine, &received, client->host.now);
    }
}

static void flow_down(struct client *client, struct flow *flow, const struct braid_event *event)
{
    bool well = event->reason == BRAID_DOWN_SHUTDOWN && flow->ended;

    if (!well && !flow->up)
        fail(client, "no association", "nobody answers; is 'braid perf server' running there?");
    else if (!well)
        fail(client, "the association", perf_down_text(event));
    flow->down = true;
    client->open--;
    braid_association_release(client->host.engine, flow->association, client->host.now);
    if (well)
        client->down(client, flow);
}

static void take_events(struct client *client)
{
    struct braid_event event;

    while (!client->failed && braid_engine_next_event(client->host.engine, &event)) {
        struct flow *flow = flow_of(client, event.association);

        flow->up |= event.type == BRAID_EVENT_UP;
        if (event.type == BRAID_EVENT_UP)
            client->up(client, flow);
        else if (event.type == BRAID_EVENT_READABLE)
            read_messages(client, flow);
        else if (event.type == BRAID_EVENT_WRITABLE)
            flow->full = false;
        else if (event.type == BRAID_EVENT_DOWN)
            flow_down(client, flow, &event);
    }
}

/* False if it has failed. `wake`: when there is something to do though nothing comes. */
static bool turn(struct client *client, braid_time wake)
{
    struct perf_host *host = &client->host;
    braid_time patience;

    perf_host_transmit(host, wake);
    perf_host_receive(host);
    if (host->link->statistics.packets_received != client->heard_packets) {
        client->heard_packets = host->link->statistics.packets_received;
        client->heard = host->now;
    }
    patience = client->heard + PATIENCE_TIME;
    take_events(client);
    if (host->now > patience)
        fail(client, "the test", "nothing was heard for 30 seconds");
    return !client->failed;
}

static void finish(struct client *client, struct flow *flow)
{
    flow->ended = true;
    braid_shutdown(client->host.engine, flow->association, client->host.now);
}

static void count_down(struct client *client, struct flow *flow)
{
    (void)client;
    (void)flow;
}

static void ask(struct client *client, struct flow *flow, const char *what)
{
    int error = perf_control_send(&client->host, flow->association, what);

    if (error < 0)
        fail(client, "send", strerror(-error));
}

/* The server's answer to ask(). False: it is none. */
static bool take_ready(struct client *client, struct flow *flow,
                       const struct braid_received *received)
{
    char text[PERF_CONTROL_MAXIMUM];

    if (flow->ready || received->ppid != PERF_CONTROL)
        return false;
    perf_control_copy(received, text);
    if (strcmp(text, "ready") != 0) {
        fail(client, "the server", "it does not answer as 'braid perf server' does");
        return true;
    }
    flow->ready = true;
    client->ready++;
    return true;
}

static int open_flows(struct client *client, uint32_t count)
{
    client->flows = calloc(count, sizeof(*client->flows));
    if (!client->flows)
        return -ENOMEM;
    client->flow_count = count;
    for (uint32_t i = 0; i < count; i++) {
        int error = perf_endpoint_open(&client->host, 0, &client->flows[i].endpoint);

        if (error < 0)
            return error;
    }
    return 0;
}

/* Opens so many associations, and waits until the server is ready for all of them. */
static bool begin(struct client *client, uint32_t count)
{
    int error = open_flows(client, count);

    if (error < 0) {
        fail(client, "endpoints", strerror(-error));
        return false;
    }
    client->heard = client->host.now = perf_clock();
    client->ready = client->reported = client->open = 0;
    for (uint32_t i = 0; i < count && !client->failed; i++)
        flow_connect(client, &client->flows[i]);
    while (!client->failed && client->ready < count)
        turn(client, BRAID_TIME_NEVER);
    client->begun = client->host.now;
    return !client->failed;
}

static void end(struct client *client)
{
    while (!client->failed && client->open > 0)
        turn(client, BRAID_TIME_NEVER);
    for (uint32_t i = 0; i < client->flow_count; i++)
        braid_endpoint_close(client->host.engine, client->flows[i].endpoint, client->host.now);
    client->host.received = true; /* do not wait: only the ABORTs of what failed are to go */
    perf_host_transmit(&client->host, client->host.now);
    free(client->flows);
    client->flows = NULL;
    client->flow_count = 0;
}

/* ---- Setup ---- */

static void setup_up(struct client *client, struct flow *flow)
{
    finish(client, flow);
    client->ready++;
}

static void setup_down(struct client *client, struct flow *flow)
{
    client->result->setups++;
    client->result->setup_time = client->host.now - client->begun;
    flow->ended = false;
    if (client->host.now < client->end)
        flow_connect(client, flow);
}

static void setup_message(struct client *client, struct flow *flow,
                          const struct braid_received *received)
{
    (void)flow;
    (void)received;
    fail(client, "the server", "it sends what nobody asked for");
}

static void test_setup(struct client *client, braid_time time)
{
    client->up = setup_up;
    client->message = setup_message;
    client->down = setup_down;
    client->begun = perf_clock();
    client->end = client->begun + time;
    begin(client, SETUPS_AT_ONCE);
    end(client);
}

/* ---- Latency ---- */

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void latency_send(struct client *client, struct flow *flow)
{
    struct braid_send send = {.flags = client->options->unordered ? BRAID_SEND_UNORDERED : 0};
    int error = braid_send(client->host.engine, flow->association, &send, client->bytes,
                           client->options->size, client->host.now);

    if (error < 0)
        fail(client, "send", strerror(-error));
    client->sent_at = nanoseconds();
}

static void latency_up(struct client *client, struct flow *flow)
{
    braid_association_parameters(client->host.engine, flow->association)->no_delay = true;
    ask(client, flow, "echo");
}

static void latency_message(struct client *client, struct flow *flow,
                            const struct braid_received *received)
{
    if (take_ready(client, flow, received)) {
        client->end += client->host.now;
    } else if (!(received->flags & BRAID_RECEIVE_END)) {
        return;
    } else {
        histogram_add(&client->result->latency, nanoseconds() - client->sent_at);
    }
    if (client->host.now >= client->end)
        finish(client, flow);
    else
        latency_send(client, flow);
}

static void test_latency(struct client *client, braid_time time)
{
    client->up = latency_up;
    client->message = latency_message;
    client->down = count_down;
    client->end = time;
    begin(client, 1);
    end(client);
}

/* ---- Throughput ---- */

static void throughput_up(struct client *client, struct flow *flow)
{
    ask(client, flow, "flood");
}

static void throughput_message(struct client *client, struct flow *flow,
                               const struct braid_received *received)
{
    struct perf_result *result = client->result;
    struct braid_association_info info;
    char text[PERF_CONTROL_MAXIMUM];
    uint64_t messages, bytes, first, last;

    if (take_ready(client, flow, received))
        return;
    perf_control_copy(received, text);
    if (received->ppid != PERF_CONTROL ||
        sscanf(text, "report %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &messages, &bytes,
               &first, &last) != 4 ||
        messages != flow->sent || bytes != messages * client->options->size) {
        fail(client, "the server", "it did not receive what was sent");
        return;
    }
    if (client->reported++ == 0 || first < client->first)
        client->first = first;
    if (client->reported == 1 || last > client->last)
        client->last = last;
    result->messages += messages;
    result->bytes += bytes;
    result->time = client->last - client->first;
    if (braid_association_info(client->host.engine, flow->association, &info) == 0)
        result->retransmitted += info.chunks_retransmitted;
    finish(client, flow);
}

static void fill(struct client *client, struct flow *flow)
{
    const struct perf_options *options = client->options;
    struct braid_send send = {.flags = options->unordered ? BRAID_SEND_UNORDERED : 0};

    while (!flow->full && !client->failed) {
        int error;

        send.stream = (uint16_t)(flow->sent % options->streams);
        error = braid_send(client->host.engine, flow->association, &send, client->bytes,
                           options->size, client->host.now);
        flow->full = error == -EAGAIN;
        flow->sent += error == 0;
        if (error < 0 && error != -EAGAIN)
            fail(client, "send", strerror(-error));
    }
}

/* Tells the server how many messages there are. False: there is no room for that yet. */
static bool close_flow(struct client *client, struct flow *flow)
{
    if (!flow->reported && !flow->full) {
        char text[PERF_CONTROL_MAXIMUM];
        int error;

        snprintf(text, sizeof(text), "end %" PRIu64, flow->sent);
        error = perf_control_send(&client->host, flow->association, text);
        flow->full = error == -EAGAIN;
        flow->reported = error == 0;
        if (error < 0 && error != -EAGAIN)
            fail(client, "send", strerror(-error));
    }
    return flow->reported;
}

static void print_progress(struct client *client)
{
    uint64_t bytes = 0;
    double seconds = (double)(client->host.now - client->begun) / 1e6;
    struct braid_association_info info;

    for (uint32_t i = 0; i < client->flow_count; i++) {
        struct flow *flow = &client->flows[i];

        if (!flow->down &&
            braid_association_info(client->host.engine, flow->association, &info) == 0)
            bytes += flow->sent * client->options->size - info.queued_bytes;
    }
    fprintf(stderr, "\r\033[K%5.1f s  %9.1f Mb/s  %12.0f messages/s", seconds,
            (double)bytes * 8 / seconds / 1e6, (double)bytes / client->options->size / seconds);
    fflush(stderr);
}

static void flood(struct client *client)
{
    bool visible = isatty(STDERR_FILENO);
    braid_time progress = visible ? client->begun + PROGRESS_TIME : BRAID_TIME_NEVER;

    while (!client->failed && client->host.now < client->end) {
        for (uint32_t i = 0; i < client->flow_count; i++)
            fill(client, &client->flows[i]);
        turn(client, client->end < progress ? client->end : progress);
        if (client->host.now >= progress) {
            print_progress(client);
            progress += PROGRESS_TIME;
        }
    }
    if (visible)
        fputs("\r\033[K", stderr);
}

static void test_throughput(struct client *client, braid_time time)
{
    uint32_t closed = 0;

    client->up = throughput_up;
    client->message = throughput_message;
    client->down = count_down;
    if (begin(client, client->options->associations)) {
        client->end = client->begun + time;
        flood(client);
    }
    while (!client->failed && closed < client->flow_count) {
        closed = 0;
        for (uint32_t i = 0; i < client->flow_count; i++)
            closed += close_flow(client, &client->flows[i]);
        turn(client, BRAID_TIME_NEVER);
    }
    end(client);
}

/* ---- All of it ---- */

static int look_up(struct client *client)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list;
    int error = getaddrinfo(client->options->host, NULL, &hints, &list);

    if (error != 0)
        return cli_failure(&perf_command, "%s: %s", client->options->host, gai_strerror(error));
    for (struct addrinfo *each = list; each && client->server.family == 0; each = each->ai_next)
        client->server = socket_address_get((union socket_address *)each->ai_addr);
    freeaddrinfo(list);
    return 0;
}

static void run_tests(struct client *client)
{
    const struct perf_options *options = client->options;
    braid_time time = (braid_time)(options->duration * 1e6);
    bool alone = options->test_setup + options->test_latency + options->test_throughput == 1;

    if (options->test_setup && !client->failed)
        test_setup(client, alone ? time : time / SHARE);
    if (options->test_latency && !client->failed)
        test_latency(client, alone ? time : time / SHARE);
    if (options->test_throughput && !client->failed)
        test_throughput(client, time);
}

int perf_measure(const struct perf_options *options, struct perf_result *result)
{
    struct client client = {.options = options, .result = result};
    int error = look_up(&client);

    if (error != 0)
        return error;
    client.bytes = calloc(1, options->size);
    error = client.bytes ? perf_host_open(&client.host, options, 0) : -ENOMEM;
    if (error < 0) {
        fail(&client, "the client", client.host.error[0] ? client.host.error : strerror(-error));
    } else {
        client.host.parameters.outbound_streams = (uint16_t)options->streams;
        run_tests(&client);
    }
    perf_host_close(&client.host);
    free(client.bytes);
    return client.failed ? CLI_FAILED : CLI_OK;
}

/* ---- Times of many round trips ---- */

static unsigned int histogram_class(uint64_t nanoseconds)
{
    unsigned int shift;

    if (nanoseconds < HISTOGRAM_PARTS)
        return (unsigned int)nanoseconds;
    shift = 63 - 6 - (unsigned int)__builtin_clzll(nanoseconds);
    return shift * HISTOGRAM_PARTS + (unsigned int)(nanoseconds >> shift);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    histogram->classes[histogram_class(nanoseconds)]++;
    histogram->sum += nanoseconds;
    if (histogram->count++ == 0 || nanoseconds < histogram->least)
        histogram->least = nanoseconds;
    if (nanoseconds > histogram->most)
        histogram->most = nanoseconds;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned int thousandths)
{
    uint64_t wanted = (histogram->count * thousandths + 999) / 1000, seen = 0;
    unsigned int class = 0;
    unsigned int shift;

    while (class < HISTOGRAM_CLASSES - 1 && (seen += histogram->classes[class]) < wanted)
        class ++;
    if (class < 2 * HISTOGRAM_PARTS)
        return class;
    shift = class / HISTOGRAM_PARTS - 1;
    return (uint64_t)(class - shift * HISTOGRAM_PARTS) << shift;
}
