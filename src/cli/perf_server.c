/*
 * braid perf server: counts what clients send, and sends back what is to be sent back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/perf.h"

enum { BACKLOG = 65535 };

/* An association whose client has said what it wants. */
struct session {
    bool echo;
    bool ending; /* `expected` is known */
    uint64_t messages, bytes, expected;
    braid_time first, last;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* ---- Messages ---- */

static void refuse(struct perf_host *host, uint32_t association, const char *reason)
{
    braid_abort(host->engine, association, reason, strlen(reason), host->now);
}

static bool session_begin(struct perf_host *host, uint32_t association, bool echo)
{
    struct session *session = calloc(1, sizeof(*session));

    if (!session)
        return false;
    session->echo = echo;
    braid_association_set_user(host->engine, association, session);
    return perf_control_send(host, association, "ready") == 0;
}

/* False: it is nothing that a client of ours says. */
static bool session_control(struct perf_host *host, uint32_t association, struct session *session,
                            const struct braid_received *received)
{
    char text[PERF_CONTROL_MAXIMUM];

    perf_control_copy(received, text);
    if (!session && (strcmp(text, "flood") == 0 || strcmp(text, "echo") == 0))
        return session_begin(host, association, text[0] == 'e');
    if (!session || session->echo || sscanf(text, "end %" SCNu64, &session->expected) != 1)
        return false;
    session->ending = true;
    return true;
}

static bool session_message(struct perf_host *host, uint32_t association, struct session *session,
                            const struct braid_received *received)
{
    struct braid_send send = {
        .stream = received->stream,
        .flags = received->flags & BRAID_RECEIVE_UNORDERED ? BRAID_SEND_UNORDERED : 0};

    if (session && session->echo)
        return (received->flags & BRAID_RECEIVE_END) &&
               braid_send(host->engine, association, &send, received->bytes, received->length,
                          host->now) == 0;
    if (!session)
        return false;
    if (session->messages == 0 && session->bytes == 0)
        session->first = host->now;
    session->last = host->now;
    session->bytes += received->length;
    session->messages += !!(received->flags & BRAID_RECEIVE_END);
    return true;
}

static void report(struct perf_host *host, uint32_t association, struct session *session)
{
    uint64_t time = session->last > session->first ? session->last - session->first : 1;
    char text[PERF_CONTROL_MAXIMUM];

    session->ending = false;
    snprintf(text, sizeof(text), "report %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
             session->messages, session->bytes, session->first, session->last);
    perf_control_send(host, association, text);
    printf("%" PRIu64 " messages in %.3f s: %.0f messages/s, %.1f Mb/s\n", session->messages,
           (double)time / 1e6, (double)session->messages * 1e6 / (double)time,
           (double)session->bytes * 8 / (double)time);
    fflush(stdout);
}

static void read_messages(struct perf_host *host, uint32_t association)
{
    struct braid_received received;
    struct session *session = braid_association_user(host->engine, association);

    while (braid_receive(host->engine, association, &received, host->now) > 0) {
        bool control = received.ppid == PERF_CONTROL;
        bool good = control ? session_control(host, association, session, &received)
                            : session_message(host, association, session, &received);

        braid_received_release(host->engine, &received, host->now);
        if (!good) {
            refuse(host, association, "this is braid perf, and that is not what it expects");
            return;
        }
        if (control)
            session = braid_association_user(host->engine, association);
    }
    if (session && session->ending && session->messages >= session->expected)
        report(host, association, session);
}

static void take_events(struct perf_host *host)
{
    struct braid_event event;

    while (braid_engine_next_event(host->engine, &event)) {
        if (event.type == BRAID_EVENT_UP) {
            braid_association_claim(host->engine, event.association);
        } else if (event.type == BRAID_EVENT_READABLE) {
            read_messages(host, event.association);
        } else if (event.type == BRAID_EVENT_DOWN) {
            free(braid_association_user(host->engine, event.association));
            braid_association_release(host->engine, event.association, host->now);
        }
    }
}

/* ---- Serving ---- */

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = stop};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void serve(struct perf_host *host, uint32_t endpoint)
{
    while (!stopped) {
        perf_host_receive(host);
        take_events(host);
        perf_host_transmit(host, BRAID_TIME_NEVER);
    }
    braid_endpoint_close(host->engine, endpoint, host->now); /* clients shall not wait */
    take_events(host);
    host->received = true;
    perf_host_transmit(host, host->now);
}

int perf_serve(const struct perf_options *options)
{
    struct perf_host host;
    uint32_t endpoint = 0;
    int error;

    host.error[0] = '\0';
    error = perf_host_open(&host, options, options->udp_port);
    if (error == 0) {
        error = perf_endpoint_open(&host, options->port, &endpoint);
        if (error < 0)
            snprintf(host.error, sizeof(host.error), "SCTP port %u: %s", options->port,
                     strerror(-error));
    }
    if (error < 0) {
        cli_failure(&perf_command, "%s", host.error);
        perf_host_close(&host);
        return CLI_FAILED;
    }
    watch_signals();
    braid_endpoint_listen(host.engine, endpoint, BACKLOG);
    if (options->udp_port != 0)
        printf("braid perf server: SCTP port %u, over UDP port %u\n", options->port,
               options->udp_port);
    else
        printf("braid perf server: SCTP port %u, over IP\n", options->port);
    fflush(stdout);
    serve(&host, endpoint);
    perf_host_close(&host);
    return CLI_OK;
}
