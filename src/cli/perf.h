/*
 * braid perf: what the server and the client share.
 *
 * Both embed an engine (include/braid/engine.h) with a link of its own, in one thread. They speak
 * by messages of text with the payload protocol identifier PERF_CONTROL; all others are counted, or
 * sent back:
 *
 *     client                          server
 *     flood                           ready
 *     ...messages...
 *     end MESSAGES                    report MESSAGES BYTES FIRST LAST    (in us, by its clock)
 *
 *     echo                            ready
 *     ...a message                    the same message...
 *
 * An association without any of them is one that only tries how fast it is set up.
 */
#ifndef CLI_PERF_H
#define CLI_PERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "cli/cli.h"
#include "link/link.h"
#include "link/route.h"

enum {
    PERF_CONTROL = 1, /* payload protocol identifier */
    PERF_CONTROL_MAXIMUM = 128,
    PERF_PORT = 5001,
    PERF_SIZE_MAXIMUM = 1 << 24,
};

struct perf_options {
    const char *host;
    uint16_t port;     /* of SCTP, at the server */
    uint16_t udp_port; /* of the server; 0: over IP */
    uint32_t size, streams, associations;
    uint32_t mtu;    /* 0: as the route says */
    uint32_t buffer; /* bytes of the send and the receive buffer */
    double duration; /* seconds */
    bool unordered, json;
    bool test_setup, test_latency, test_throughput;
};

/* What the host's routing table said of a destination. */
struct perf_route {
    struct braid_address destination, source;
    uint32_t mtu;
    bool found;
    braid_time looked_up;
};

/* An engine with its link. */
struct perf_host {
    struct link *link;
    struct braid_engine *engine;
    struct routes routes;
    struct perf_route known_routes[16];
    uint8_t random[256]; /* of which the first `random_left` were not given away yet */
    size_t random_left;
    struct braid_parameters parameters;
    braid_time now;
    struct braid_batch batch, rest; /* `rest` waits for room in the link */
    bool received;                  /* much came in the last turn: more may be there */
    char error[256];                /* why it could not be opened */
};

braid_time perf_clock(void);

/* `udp_port`: our own, 0 for any; not looked at with `raw`. 0 or a negative errno, with `error`
 * filled; then it is to be closed all the same. */
int perf_host_open(struct perf_host *host, const struct perf_options *options, uint16_t udp_port);
void perf_host_close(struct perf_host *host);

/* Takes packets that came, and timers that went off. Then events are to be looked at. */
void perf_host_receive(struct perf_host *host);
/* Sends what is due; sleeps until a packet comes, a timer goes off or `wake`, unless something came
 * just before. */
void perf_host_transmit(struct perf_host *host, braid_time wake);

int perf_endpoint_open(struct perf_host *host, uint16_t port, uint32_t *endpoint);

/* Sends a line of text. 0 or a negative errno. */
int perf_control_send(struct perf_host *host, uint32_t association, const char *text);
/* Copies what came as a text; empty if it is too long. */
void perf_control_copy(const struct braid_received *received, char text[PERF_CONTROL_MAXIMUM]);

/* Why an association ended, for people. */
const char *perf_down_text(const struct braid_event *event);

extern const struct command perf_command;

int perf_serve(const struct perf_options *options);

/* ---- What a client found ---- */

/* Times of many round trips: counted in classes that are at most 1/64 wide. */
enum { HISTOGRAM_PARTS = 64, HISTOGRAM_CLASSES = 59 * HISTOGRAM_PARTS };
struct histogram {
    uint64_t count, sum, least, most; /* nanoseconds */
    uint64_t classes[HISTOGRAM_CLASSES];
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);
/* The time that so many of a thousand did not exceed. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned int thousandths);

struct perf_result {
    uint64_t setups, setup_time; /* of associations set up and ended; us */
    struct histogram latency;
    uint64_t messages, bytes, time; /* as the receiver counted them; us */
    uint64_t retransmitted;         /* chunks */
};

/* Runs the tests. 0, or the exit status, with what is wrong said. */
int perf_measure(const struct perf_options *options, struct perf_result *result);

#endif
