/* Packets in and out: links, delivery to ourselves, routes, the host's addresses, captures.
 *
 * RFC 9260, section 3 (over IP), RFC 6951 (over UDP). Packets to one of the host's own addresses
 * that are for this stack never reach a link: so two programs on one host need no privilege.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stack/private.h"

enum {
    BATCH_BYTES = 65535,
    LOOPBACK = 1,           /* its index, in each network namespace */
    RECEIVE_ROUNDS = 16,    /* calls of link_receive() before others have their turn */
    TRANSMIT_BATCHES = 256, /* the same for batches out */
    HOST_PAUSE = 100000,    /* us between two looks at the host's addresses and routes, */
    HOST_SHARE = 50,        /* and so many times what the first of them took */
};

/* ---- Opening ---- */

static void link_ready(struct stack *stack, struct link *link, uint32_t events)
{
    struct wire *wire = &stack->wire;

    if (events & EPOLLERR) {
        struct link_error error;

        while (link_receive_error(link, &error))
            braid_engine_icmp(stack->engine, error.kind, error.mtu, &error.destination,
                              error.quoted, error.length, stack->now);
    }
    if (events & EPOLLIN)
        wire_receive(stack, link);
    if ((events & EPOLLOUT) && link == wire->blocked)
        wire->blocked = NULL;
}

static void udp_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    (void)watch;
    link_ready(stack, stack->wire.udp, events);
}

static void raw_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    (void)watch;
    link_ready(stack, stack->wire.raw, events);
}

/* The descriptors are the link's: they are watched, and closed by link_close(). */
static int watch_link(struct stack *stack, struct link *link, struct watch *watches,
                      void (*ready)(struct stack *, struct watch *, uint32_t))
{
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++) {
        int error;

        watches[i] = (struct watch){.descriptor = -1, .ready = ready};
        if (link->descriptors[i] < 0)
            continue;
        error = stack_watch(stack, &watches[i], link->descriptors[i], EPOLLIN);
        if (error < 0)
            return error;
    }
    return 0;
}

static int open_links(struct stack *stack, char *text, size_t size)
{
    struct wire *wire = &stack->wire;
    struct link_config config = {.port = stack->config.udp_port};
    int error;

    if (stack->config.udp) {
        error = link_open_udp(&wire->udp, &config);
        if (error < 0) {
            snprintf(text, size, "UDP port %u: %s", config.port, link_udp_error_text(error));
            return error;
        }
        error = watch_link(stack, wire->udp, wire->watches[0], udp_ready);
        if (error < 0)
            return error;
    }
    if (stack->config.raw) {
        error = link_open_raw(&wire->raw, &config);
        if (error < 0) {
            snprintf(text, size, "raw IP: %s", link_raw_error_text(error));
            return error;
        }
        error = watch_link(stack, wire->raw, wire->watches[1], raw_ready);
        if (error < 0)
            return error;
    }
    return 0;
}

static void set_capture(struct wire *wire, struct capture *capture)
{
    wire->capture = capture;
    if (wire->udp)
        link_set_capture(wire->udp, capture);
    if (wire->raw)
        link_set_capture(wire->raw, capture);
}

static int open_capture(struct stack *stack, char *text, size_t size)
{
    struct capture *capture;
    int error = capture_open(&capture, stack->config.capture);

    if (error < 0)
        snprintf(text, size, "%s: %s", stack->config.capture, strerror(-error));
    else
        set_capture(&stack->wire, capture);
    return error;
}

int wire_listen(struct stack *stack, int descriptor)
{
    struct capture *capture = stack->wire.capture;

    if (!capture) {
        int error = capture_open(&capture, NULL);

        if (error < 0)
            return error;
        set_capture(&stack->wire, capture);
    }
    return capture_listen(capture, descriptor);
}

void wire_flush_capture(struct stack *stack)
{
    struct capture *capture = stack->wire.capture;
    int error;

    if (!capture)
        return;
    error = capture_flush(capture);
    if (error < 0)
        stack_log(stack, "%s: the capture has ended: %s", stack->config.capture, strerror(-error));
    if (capture_idle(capture) && !stack->config.capture) {
        capture_close(capture);
        set_capture(&stack->wire, NULL);
    }
}

/* A burst of changes is one, and many bursts leave time for other work. */
static void host_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    struct wire *wire = &stack->wire;

    (void)events;
    if (host_changed(watch->descriptor) && wire->host_due == BRAID_TIME_NEVER)
        wire->host_due = wire->host_pause_end;
}

void wire_follow_host(struct stack *stack)
{
    braid_time start, end;
    int error;

    if (stack->wire.host_due > stack->now)
        return;
    stack->wire.host_due = BRAID_TIME_NEVER;
    start = stack_clock();
    error = wire_read_addresses(stack);
    if (error < 0)
        stack_log(stack, "the host's addresses: %s", strerror(-error));
    end = stack_clock();
    stack->wire.host_pause_end = end + HOST_PAUSE + (end - start) * HOST_SHARE;
}

/* Only addresses count: whoever asks for one that is nowhere must not have all routes looked up
 * anew as often as he likes. */
static bool addresses_have_changed(const struct wire *wire)
{
    struct braid_address *addresses;
    size_t count;
    bool same;

    if (addresses_list(&addresses, &count) < 0)
        return false;
    same = count == wire->address_count;
    for (size_t i = 0; same && i < count; i++)
        same = braid_address_equal(&addresses[i], &wire->addresses[i]);
    free(addresses);
    return !same;
}

bool wire_catch_up(struct stack *stack)
{
    struct wire *wire = &stack->wire;

    host_ready(stack, &wire->host_watch, EPOLLIN);
    if (wire->host_due == BRAID_TIME_NEVER || !addresses_have_changed(wire))
        return false;
    wire->host_due = stack->now;
    wire_follow_host(stack);
    return true;
}

int wire_open(struct stack *stack, char *text, size_t size)
{
    struct wire *wire = &stack->wire;
    int error;

    wire->batch.bytes = malloc(BATCH_BYTES);
    if (!wire->batch.bytes)
        return -ENOMEM;
    wire->batch.capacity = BATCH_BYTES;
    wire->batch.maximum_packets = WIRE_PACKETS;
    wire->batch.finish_later = true;
    wire->batch.loan = &wire->loan;
    error = routes_open(&wire->routes);
    if (error == 0)
        error = open_links(stack, text, size);
    if (error == 0 && stack->config.capture)
        error = open_capture(stack, text, size);
    if (error < 0)
        return error;
    wire->host_watch.ready = host_ready;
    wire->host_due = BRAID_TIME_NEVER;
    error = host_watch();
    if (error >= 0)
        error = stack_watch(stack, &wire->host_watch, error, EPOLLIN);
    /* a port that nobody named means ourselves, too, at our own addresses */
    if (stack->config.peer_udp_port == 0)
        wire->self_port = LINK_UDP_PORT;
    return error;
}

void wire_close(struct stack *stack)
{
    struct wire *wire = &stack->wire;

    stack_unwatch(stack, &wire->host_watch);
    link_close(wire->udp);
    link_close(wire->raw);
    routes_close(&wire->routes);
    capture_close(wire->capture);
    free(wire->addresses);
    free(wire->masters);
    free(wire->batch.bytes);
}

/* ---- What the host knows ---- */

static int read_masters(struct wire *wire)
{
    struct interface_master *masters;
    size_t count;
    int error = masters_list(&masters, &count);

    if (error < 0)
        return error;
    free(wire->masters);
    wire->masters = masters;
    wire->master_count = count;
    return 0;
}

int wire_read_addresses(struct stack *stack)
{
    struct braid_address *addresses;
    size_t count;
    int error = read_masters(&stack->wire);

    if (error == 0)
        error = addresses_list(&addresses, &count);
    if (error < 0)
        return error;
    free(stack->wire.addresses);
    stack->wire.addresses = addresses;
    stack->wire.address_count = count;
    error = braid_engine_set_addresses(stack->engine, addresses, count, stack->now);
    if (error == 0)
        error = socket_table_set_addresses(stack->sockets, addresses, count);
    return error;
}

static bool is_own_address(const struct wire *wire, const struct braid_address *address)
{
    if (address->family == BRAID_IPV4 && braid_address_is_loopback(address))
        return true;
    for (size_t i = 0; i < wire->address_count; i++)
        if (braid_address_equal(address, &wire->addresses[i]))
            return true;
    return false;
}

bool wire_route(void *context, const struct braid_address *destination, uint32_t interface,
                struct braid_address *source, uint32_t *mtu)
{
    struct stack *stack = context;
    struct wire *wire = &stack->wire;

    if (!wire->udp && !wire->raw && !is_own_address(wire, destination))
        return false;
    return route_lookup(&wire->routes, destination, interface, source, mtu) == 0;
}

/* ---- Out ---- */

static bool is_for_ourselves(const struct wire *wire, const struct braid_batch *batch)
{
    uint16_t port = batch->encapsulation_port;

    if (port != 0 && port != wire->self_port && !(wire->udp && port == wire->udp->port))
        return false;
    return is_own_address(wire, &batch->destination);
}

static void capture_local(struct wire *wire, const struct braid_batch *batch,
                          const struct braid_packet *packets, size_t count)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < count; i++)
        capture_write(wire->capture,
                      &(struct capture_packet){
                          .time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
                          .source = packets[i].source,
                          .destination = packets[i].destination,
                          .traffic_class = batch->traffic_class,
                          .hop_limit = batch->hop_limit,
                          .bytes = packets[i].bytes,
                          .length = packets[i].length,
                      });
}

static void deliver_to_ourselves(struct stack *stack, struct braid_batch *batch)
{
    struct wire *wire = &stack->wire;
    struct braid_packet packets[WIRE_PACKETS];
    uint16_t port = batch->encapsulation_port;
    size_t count;

    if (batch->source.family == BRAID_UNSPECIFIED)
        batch->source = batch->destination;
    if (port != 0 && wire->udp)
        port = wire->udp->port;
    count = link_batch_packets(batch, port, packets, WIRE_PACKETS);
    for (size_t i = 0; i < count; i++) {
        packets[i].checksum_good = true; /* nothing could have damaged it */
        packets[i].interface = batch->interface != 0 ? batch->interface : LOOPBACK;
    }
    wire->local_packets += count;
    if (wire->capture) {
        braid_batch_finish(batch);
        capture_local(wire, batch, packets, count);
    }
    braid_engine_receive_own(stack->engine, packets, count, &wire->loan, stack->now);
}

static void watch_for_room(struct stack *stack, struct link *link, bool wanted)
{
    struct watch *watches = stack->wire.watches[link == stack->wire.raw];

    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        if (watches[i].descriptor >= 0)
            stack_watch_change(stack, &watches[i], wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Sends a batch through a link. What does not go for want of room waits, the rest is lost as any
 * packet may be. */
static void send_to_link(struct stack *stack, struct link *link, const struct braid_batch *batch)
{
    struct wire *wire = &stack->wire;
    struct braid_batch rest = *batch;
    struct link_error error;

    while (rest.count > 0) {
        int sent = link_send(link, &rest);

        if (sent == -EAGAIN) {
            wire->blocked = link;
            wire->rest = rest;
            watch_for_room(stack, link, true);
            return;
        }
        if (sent < 0) {
            if (sent == -EMSGSIZE)
                while (link_receive_error(link, &error))
                    braid_engine_icmp(stack->engine, error.kind, error.mtu, &error.destination,
                                      error.quoted, error.length, stack->now);
            return;
        }
        rest = link_batch_rest(&rest, (size_t)sent);
    }
}

/* The part of a batch that waited for room in its link. False: it still waits. */
static bool transmit_rest(struct stack *stack)
{
    struct wire *wire = &stack->wire;
    struct link *link = wire->rest.encapsulation_port != 0 ? wire->udp : wire->raw;
    struct braid_batch rest = wire->rest;

    if (wire->blocked)
        return false;
    if (rest.count == 0)
        return true;
    wire->rest.count = 0;
    watch_for_room(stack, link, false);
    send_to_link(stack, link, &rest);
    return !wire->blocked;
}

bool wire_transmit(struct stack *stack)
{
    struct wire *wire = &stack->wire;
    struct braid_batch *batch = &wire->batch;
    int batches = 0;

    if (!transmit_rest(stack))
        return false;
    for (; batches < TRANSMIT_BATCHES && !wire->blocked; batches++) {
        struct link *link;

        if (!braid_engine_transmit(stack->engine, batch, stack->now))
            return false;
        if (is_for_ourselves(wire, batch)) {
            deliver_to_ourselves(stack, batch);
            return true;
        }
        link = batch->encapsulation_port != 0 ? wire->udp : wire->raw;
        if (link) {
            braid_batch_finish(batch);
            send_to_link(stack, link, batch);
        } else {
            wire->no_link_packets += batch->count;
        }
    }
    wire->more |= batches == TRANSMIT_BATCHES;
    return false;
}

/* ---- In ---- */

/* A socket that is bound to a VRF has the packets of its interfaces. */
static void add_masters(const struct wire *wire, struct braid_packet *packets, int count)
{
    for (size_t m = 0; m < wire->master_count; m++)
        for (int i = 0; i < count; i++)
            if (packets[i].interface == wire->masters[m].interface)
                packets[i].master = wire->masters[m].master;
}

void wire_receive(struct stack *stack, struct link *link)
{
    struct braid_packet packets[WIRE_PACKETS];
    int count = WIRE_PACKETS;

    for (int i = 0; i < RECEIVE_ROUNDS && count == WIRE_PACKETS; i++) {
        count = link_receive(link, packets, WIRE_PACKETS);
        if (count < 0) {
            stack_log(stack, "the link %s: %s", link->name, strerror(-count));
            stack->error = count;
            stack->stop = true;
        } else if (count > 0) {
            add_masters(&stack->wire, packets, count);
            braid_engine_receive(stack->engine, packets, (size_t)count, stack->now);
        }
    }
    stack->wire.more |= count == WIRE_PACKETS;
}
