/*
 * A network in memory, in virtual time, for tests and simulations.
 *
 * It stands where IP stands under RFC 9260 section 1.3 ("a connectionless packet network"): packets
 * are delayed, lost, reordered, duplicated and damaged, as their wire says.
 *
 * What is sent becomes parcels, one for each packet. A parcel waits in a heap until it arrives,
 * then in the queue of its host.
 */
#include "link/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "link/random.h"

enum {
    HOST_MTU = 1500,
    IPV4_HEADER = 20,
    ECN_FIELD = 3, /* of the traffic class: not 0 if the sender can hear of congestion */
    IPV6_HEADER = 40,
    UDP_HEADER = 8,
#ifdef __SANITIZE_ADDRESS__
    PARCEL_ROOM = 0, /* each is of its own, so that who uses it wrongly is seen */
#else
    PARCEL_ROOM = 1536, /* bytes of most parcels: those are used again */
#endif
    SPARE_MAXIMUM = 1024,
};

/* Bytes of parcels at one time; what comes above it is dropped. */
static const size_t parcel_memory_maximum = (size_t)1 << 30;
static const uint64_t nanoseconds = 1000000000;

struct memory_host;

struct parcel {
    struct parcel *next;        /* in a queue */
    struct memory_host *host;   /* where it goes; NULL: it has gone */
    struct braid_packet packet; /* its bytes are those below */
    bool icmp;                  /* an ICMP message: `packet` is what it quotes */
    enum braid_icmp kind;
    uint32_t mtu;
    uint8_t bytes[];
};

struct parcel_queue {
    struct parcel *first, **last;
};

struct memory_wire {
    struct memory_wire *next;
    struct braid_address source, destination; /* family 0: any */
    struct memory_conditions conditions;
    struct memory_wire_statistics statistics;
    bool bad;                /* Gilbert's state */
    uint64_t free_at;        /* nanoseconds: when its last packet will have left */
    braid_time last_arrival; /* so that jitter keeps the order */
};

struct memory_host {
    struct link link;
    struct memory_network *network;
    struct memory_host *next;
    uint32_t mtu;
    struct parcel_queue packets, errors; /* arrived */
    struct parcel *lent;                 /* their bytes are with the caller, until the next call */
    struct parcel *lent_error;
    /* where its last batch went */
    uint64_t cached_generation;
    struct braid_address cached_source, cached_destination;
    struct memory_wire *cached_wire;
    struct memory_host *cached_target;
    size_t address_count;
    struct braid_address addresses[];
};

struct arrival {
    braid_time time;
    uint64_t order; /* of sending: for those that arrive together */
    struct parcel *parcel;
};

struct memory_network {
    braid_time now;
    struct random_generator random;
    struct memory_host *hosts;
    struct memory_wire *wires;
    uint64_t generation; /* changes when a host or a wire does */
    struct arrival *heap;
    size_t heap_count, heap_capacity;
    uint64_t order;
    size_t memory;        /* of parcels */
    struct parcel *spare; /* free ones of PARCEL_ROOM bytes */
    unsigned int spare_count;
};

static struct memory_host *memory_host_of(struct link *link)
{
    return (struct memory_host *)link;
}

/* ---- Parcels -------------------------------------------------------------------------------- */

static void parcel_free(struct memory_network *network, struct parcel *parcel)
{
    network->memory -= sizeof(*parcel) + parcel->packet.length;
    if (parcel->packet.length > PARCEL_ROOM || network->spare_count >= SPARE_MAXIMUM) {
        free(parcel);
        return;
    }
    parcel->next = network->spare;
    network->spare = parcel;
    network->spare_count++;
}

static struct parcel *parcel_allocate(struct memory_network *network, size_t length)
{
    struct parcel *parcel = network->spare;

    if (length > PARCEL_ROOM || !parcel)
        return malloc(sizeof(*parcel) + (length > PARCEL_ROOM ? length : PARCEL_ROOM));
    network->spare = parcel->next;
    network->spare_count--;
    return parcel;
}

/* A parcel with a copy of the bytes; NULL if there is no memory for it. */
static struct parcel *parcel_new(struct memory_network *network, struct memory_host *host,
                                 const struct braid_packet *packet)
{
    size_t size = sizeof(struct parcel) + packet->length;
    struct parcel *parcel = NULL;

    if (network->memory + size <= parcel_memory_maximum)
        parcel = parcel_allocate(network, packet->length);
    if (!parcel)
        return NULL;
    network->memory += size;
    *parcel = (struct parcel){.host = host, .packet = *packet};
    parcel->packet.bytes = parcel->bytes;
    memcpy(parcel->bytes, packet->bytes, packet->length);
    return parcel;
}

static void queue_init(struct parcel_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_put(struct parcel_queue *queue, struct parcel *parcel)
{
    parcel->next = NULL;
    *queue->last = parcel;
    queue->last = &parcel->next;
}

static struct parcel *queue_take(struct parcel_queue *queue)
{
    struct parcel *parcel = queue->first;

    queue->first = parcel->next;
    if (!queue->first)
        queue->last = &queue->first;
    return parcel;
}

static void parcel_free_list(struct memory_network *network, struct parcel *list)
{
    while (list) {
        struct parcel *next = list->next;

        parcel_free(network, list);
        list = next;
    }
}

/* ---- Arrivals ------------------------------------------------------------------------------- */

static void host_take(struct memory_host *host, struct parcel *parcel)
{
    queue_put(parcel->icmp ? &host->errors : &host->packets, parcel);
}

static bool host_has_parcels(const struct memory_host *host)
{
    return host->packets.first || host->errors.first;
}

static bool arrival_before(const struct arrival *a, const struct arrival *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

/* Puts a parcel on the way. */
static void network_carry(struct memory_network *network, struct parcel *parcel, braid_time time)
{
    struct arrival arrival = {.time = time, .order = network->order++, .parcel = parcel};
    size_t index = network->heap_count;

    if (time <= network->now) {
        host_take(parcel->host, parcel);
        return;
    }
    if (index == network->heap_capacity) {
        size_t capacity = index ? index * 2 : 64;
        struct arrival *heap = realloc(network->heap, capacity * sizeof(*heap));

        if (!heap) {
            parcel_free(network, parcel);
            return;
        }
        network->heap = heap;
        network->heap_capacity = capacity;
    }
    network->heap_count++;
    while (index > 0) {
        size_t parent = (index - 1) / 2;

        if (!arrival_before(&arrival, &network->heap[parent]))
            break;
        network->heap[index] = network->heap[parent];
        index = parent;
    }
    network->heap[index] = arrival;
}

/* Takes the first arrival from the heap, which is not empty. */
static struct parcel *network_arrive(struct memory_network *network)
{
    struct arrival *heap = network->heap;
    struct parcel *parcel = heap[0].parcel;
    struct arrival last = heap[--network->heap_count];
    size_t index = 0;

    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= network->heap_count)
            break;
        if (child + 1 < network->heap_count && arrival_before(&heap[child + 1], &heap[child]))
            child++;
        if (!arrival_before(&heap[child], &last))
            break;
        heap[index] = heap[child];
        index = child;
    }
    heap[index] = last;
    return parcel;
}

void memory_network_advance(struct memory_network *network, braid_time now)
{
    struct parcel *lost = NULL; /* their host has gone */

    if (now > network->now)
        network->now = now;
    while (network->heap_count > 0 && network->heap[0].time <= network->now) {
        struct parcel *parcel = network_arrive(network);

        if (parcel->host) {
            host_take(parcel->host, parcel);
        } else {
            parcel->next = lost;
            lost = parcel;
        }
    }
    parcel_free_list(network, lost);
}

struct link *memory_network_next_ready(struct memory_network *network)
{
    for (struct memory_host *host = network->hosts; host; host = host->next)
        if (host_has_parcels(host))
            return &host->link;
    return NULL;
}

braid_time memory_network_next_on_the_way(const struct memory_network *network)
{
    return network->heap_count > 0 ? network->heap[0].time : BRAID_TIME_NEVER;
}

braid_time memory_network_next_arrival(const struct memory_network *network)
{
    for (const struct memory_host *host = network->hosts; host; host = host->next)
        if (host_has_parcels(host))
            return network->now;
    return memory_network_next_on_the_way(network);
}

/* ---- Wires ---------------------------------------------------------------------------------- */

static const struct braid_address any_address;

struct memory_wire *memory_network_wire(struct memory_network *network,
                                        const struct braid_address *source,
                                        const struct braid_address *destination)
{
    struct memory_wire *wire;

    source = source ? source : &any_address;
    destination = destination ? destination : &any_address;
    for (wire = network->wires; wire; wire = wire->next)
        if (braid_address_equal(&wire->source, source) &&
            braid_address_equal(&wire->destination, destination))
            return wire;
    wire = calloc(1, sizeof(*wire));
    if (!wire)
        return NULL;
    wire->source = *source;
    wire->destination = *destination;
    wire->next = network->wires;
    network->wires = wire;
    network->generation++;
    return wire;
}

struct memory_conditions *memory_wire_conditions(struct memory_wire *wire)
{
    return &wire->conditions;
}

const struct memory_wire_statistics *memory_wire_statistics(const struct memory_wire *wire)
{
    return &wire->statistics;
}

/* The closest wire. There is always that from any to any address. */
static struct memory_wire *wire_find(const struct memory_network *network,
                                     const struct braid_address *source,
                                     const struct braid_address *destination)
{
    struct memory_wire *best = NULL;
    int best_rank = -1;

    for (struct memory_wire *wire = network->wires; wire; wire = wire->next) {
        bool from = braid_address_equal(&wire->source, source);
        bool to = braid_address_equal(&wire->destination, destination);
        int rank = 2 * to + from;

        if ((!from && wire->source.family) || (!to && wire->destination.family) ||
            rank <= best_rank)
            continue;
        best = wire;
        best_rank = rank;
    }
    return best;
}

/* When a packet that leaves now has left, in microseconds, with what stands before it. False if
 * there is no room to wait. */
static bool wire_depart(struct memory_wire *wire, braid_time now, size_t bytes, braid_time *time)
{
    const struct memory_conditions *conditions = &wire->conditions;
    uint64_t now_ns = now * 1000;
    uint64_t start = wire->free_at > now_ns ? wire->free_at : now_ns;
    unsigned __int128 waiting;

    *time = now;
    if (conditions->bandwidth == 0)
        return true;
    waiting = (unsigned __int128)(start - now_ns) * conditions->bandwidth / 8 / nanoseconds;
    if (conditions->queue != 0 && waiting > 0 && waiting + bytes > conditions->queue)
        return false;
    wire->free_at = start + bytes * 8 * nanoseconds / conditions->bandwidth;
    *time = (wire->free_at + 999) / 1000;
    return true;
}

static bool wire_loses(struct memory_wire *wire, struct random_generator *random)
{
    const struct memory_conditions *conditions = &wire->conditions;

    if (wire->bad) {
        if (random_chance(random, conditions->burst_end))
            wire->bad = false;
    } else if (conditions->burst_begin > 0 && random_chance(random, conditions->burst_begin)) {
        wire->bad = true;
    }
    if (wire->bad && random_chance(random, conditions->burst_loss))
        return true;
    return conditions->loss > 0 && random_chance(random, conditions->loss);
}

/* When a packet that has left now arrives, in the order of sending unless it is reordered. */
static braid_time wire_arrival(struct memory_wire *wire, struct random_generator *random,
                               braid_time departure)
{
    const struct memory_conditions *conditions = &wire->conditions;
    braid_time time = departure + conditions->delay;

    if (conditions->jitter > 0)
        time += random_below(random, (uint64_t)conditions->jitter + 1);
    if (conditions->reorder > 0 && random_chance(random, conditions->reorder)) {
        wire->statistics.reordered++;
        return time + conditions->reorder_delay;
    }
    if (time < wire->last_arrival)
        time = wire->last_arrival;
    wire->last_arrival = time;
    return time;
}

static void wire_deliver(struct memory_network *network, struct memory_wire *wire,
                         struct memory_host *target, const struct braid_packet *packet,
                         braid_time time)
{
    struct parcel *parcel = parcel_new(network, target, packet);
    double corrupt = wire->conditions.corrupt;

    if (!parcel) {
        wire->statistics.queue_full++;
        return;
    }
    if (corrupt > 0 && packet->length > 0 && random_chance(&network->random, corrupt)) {
        uint64_t bit = random_below(&network->random, packet->length * 8);

        parcel->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        wire->statistics.corrupted++;
        if (wire->conditions.guarded) {
            parcel_free(network, parcel);
            return;
        }
    }
    wire->statistics.delivered++;
    network_carry(network, parcel, time);
}

/* A router on the way is congested, and says so to who can hear it. */
static void wire_mark(struct memory_network *network, struct memory_wire *wire,
                      uint8_t traffic_class, struct braid_packet *packet)
{
    if (wire->conditions.mark == 0 || (traffic_class & ECN_FIELD) == 0 ||
        !random_chance(&network->random, wire->conditions.mark))
        return;
    packet->congestion_experienced = true;
    wire->statistics.marked++;
}

/* A packet goes through a wire that may do anything to it. */
static void wire_send(struct memory_network *network, struct memory_wire *wire,
                      struct memory_host *target, const struct braid_packet *packet,
                      size_t ip_packet)
{
    braid_time time;

    if (wire->conditions.cut) {
        wire->statistics.lost++;
        return;
    }
    if (!wire_depart(wire, network->now, ip_packet, &time)) {
        wire->statistics.queue_full++;
        return;
    }
    if (wire_loses(wire, &network->random)) {
        wire->statistics.lost++;
        return;
    }
    time = wire_arrival(wire, &network->random, time);
    wire_deliver(network, wire, target, packet, time);
    if (wire->conditions.duplicate > 0 &&
        random_chance(&network->random, wire->conditions.duplicate)) {
        wire->statistics.duplicated++;
        wire_deliver(network, wire, target, packet, time);
    }
}

/* Tells the sender of a packet, by ICMP, what became of it. */
static void network_answer(struct memory_host *sender, const struct braid_packet *packet,
                           enum braid_icmp kind, uint32_t mtu, braid_time time)
{
    struct parcel *parcel = parcel_new(sender->network, sender, packet);

    if (!parcel)
        return;
    parcel->icmp = true;
    parcel->kind = kind;
    parcel->mtu = mtu;
    network_carry(sender->network, parcel, time);
}

/* A router answers: it comes back after the time of a round trip. */
static void wire_answer(struct memory_host *sender, const struct memory_wire *wire,
                        const struct braid_packet *packet, enum braid_icmp kind)
{
    const struct memory_conditions *conditions = &wire->conditions;

    if (conditions->icmp && !conditions->cut)
        network_answer(sender, packet, kind, kind == BRAID_ICMP_TOO_BIG ? conditions->mtu : 0,
                       sender->network->now + (braid_time)conditions->delay * 2);
}

/* ---- The link of a host --------------------------------------------------------------------- */

static struct memory_host *host_find(const struct memory_network *network,
                                     const struct braid_address *address)
{
    for (struct memory_host *host = network->hosts; host; host = host->next)
        for (size_t i = 0; i < host->address_count; i++)
            if (braid_address_equal(&host->addresses[i], address))
                return host;
    return NULL;
}

/* Finds the wire and the host (NULL: nobody) that a batch goes to; both are remembered. */
static void host_resolve(struct memory_host *host, const struct braid_address *source,
                         const struct braid_address *destination)
{
    struct memory_network *network = host->network;

    if (host->cached_generation == network->generation &&
        braid_address_equal(source, &host->cached_source) &&
        braid_address_equal(destination, &host->cached_destination))
        return;
    host->cached_wire = wire_find(network, source, destination);
    host->cached_target = host_find(network, destination);
    host->cached_source = *source;
    host->cached_destination = *destination;
    host->cached_generation = network->generation;
}

static int memory_send(struct link *link, const struct braid_batch *batch)
{
    struct memory_host *host = memory_host_of(link);
    struct braid_batch rest = *batch;
    size_t header = (batch->destination.family == BRAID_IPV6 ? IPV6_HEADER : IPV4_HEADER) +
                    (batch->encapsulation_port != 0 ? UDP_HEADER : 0);
    struct memory_wire *wire;
    struct memory_host *target;
    struct braid_packet packet;
    bool answered = false; /* one ICMP message a batch is enough */

    if (rest.source.family == BRAID_UNSPECIFIED &&
        !memory_host_route(link, &rest.destination, &rest.source, NULL))
        return -ENETUNREACH;
    link_batch_packets(&rest, link->port, &packet, 1);
    if (packet.length > LINK_PACKET_MAXIMUM - header)
        return -EINVAL;
    if (batch->dont_fragment && packet.length + header > host->mtu) {
        /* our own interface is too small: known at once */
        network_answer(host, &packet, BRAID_ICMP_TOO_BIG, host->mtu, host->network->now);
        return -EMSGSIZE;
    }
    host_resolve(host, &rest.source, &rest.destination);
    wire = host->cached_wire;
    target = host->cached_target;
    for (; rest.count > 0; rest = link_batch_rest(&rest, 1)) {
        enum braid_icmp kind;
        size_t ip_packet;

        link_batch_packets(&rest, link->port, &packet, 1);
        ip_packet = packet.length + header;
        wire->statistics.packets++;
        wire->statistics.bytes += ip_packet;
        if (!target || target->link.port != batch->encapsulation_port) {
            wire->statistics.unreachable++;
            kind = target ? BRAID_ICMP_PROTOCOL_UNREACHABLE : BRAID_ICMP_UNREACHABLE;
        } else if (wire->conditions.mtu != 0 && ip_packet > wire->conditions.mtu &&
                   batch->dont_fragment) {
            wire->statistics.too_big++;
            kind = BRAID_ICMP_TOO_BIG;
        } else {
            wire_mark(host->network, wire, batch->traffic_class, &packet);
            wire_send(host->network, wire, target, &packet, ip_packet);
            continue;
        }
        if (!answered)
            wire_answer(host, wire, &packet, kind);
        answered = true;
    }
    link->statistics.send_calls++;
    return (int)batch->count;
}

static int memory_receive(struct link *link, struct braid_packet *packets, size_t capacity)
{
    struct memory_host *host = memory_host_of(link);
    size_t count = 0;

    parcel_free_list(host->network, host->lent);
    host->lent = NULL;
    for (; count < capacity && host->packets.first; count++) {
        struct parcel *parcel = queue_take(&host->packets);

        packets[count] = parcel->packet;
        parcel->next = host->lent;
        host->lent = parcel;
    }
    if (count > 0)
        link->statistics.receive_calls++;
    return (int)count;
}

static bool memory_receive_error(struct link *link, struct link_error *error)
{
    struct memory_host *host = memory_host_of(link);
    struct parcel *parcel;

    parcel_free_list(host->network, host->lent_error);
    host->lent_error = NULL;
    if (!host->errors.first)
        return false;
    parcel = queue_take(&host->errors);
    parcel->next = NULL;
    host->lent_error = parcel;
    *error = (struct link_error){
        .kind = parcel->kind,
        .mtu = parcel->mtu,
        .destination = parcel->packet.destination,
        .quoted = parcel->bytes,
        .length = parcel->packet.length,
    };
    return true;
}

void memory_host_set_mtu(struct link *link, uint32_t mtu)
{
    memory_host_of(link)->mtu = mtu;
}

bool memory_host_route(struct link *link, const struct braid_address *destination,
                       struct braid_address *source, uint32_t *mtu)
{
    const struct memory_host *host = memory_host_of(link);

    for (size_t i = 0; i < host->address_count; i++) {
        if (host->addresses[i].family != destination->family)
            continue;
        if (source)
            *source = host->addresses[i];
        if (mtu)
            *mtu = host->mtu;
        return true;
    }
    return false;
}

static bool memory_source(struct link *link, const struct braid_address *destination,
                          struct braid_address *source)
{
    return memory_host_route(link, destination, source, NULL);
}

static uint64_t memory_time(struct link *link)
{
    return memory_host_of(link)->network->now * 1000;
}

/* ---- Hosts and networks --------------------------------------------------------------------- */

static void memory_close(struct link *link)
{
    struct memory_host *host = memory_host_of(link);
    struct memory_network *network = host->network;
    struct memory_host **place = &network->hosts;

    while (*place != host)
        place = &(*place)->next;
    *place = host->next;
    for (size_t i = 0; i < network->heap_count; i++)
        if (network->heap[i].parcel->host == host)
            network->heap[i].parcel->host = NULL;
    parcel_free_list(network, host->packets.first);
    parcel_free_list(network, host->errors.first);
    parcel_free_list(network, host->lent);
    parcel_free_list(network, host->lent_error);
    network->generation++;
    free(host);
}

int memory_network_attach(struct memory_network *network, const struct braid_address *addresses,
                          size_t count, uint16_t port, struct link **link)
{
    static const struct link_operations operations = {
        .receive = memory_receive,
        .send = memory_send,
        .receive_error = memory_receive_error,
        .close = memory_close,
        .source = memory_source,
        .time = memory_time,
    };
    struct memory_host *host;
    struct memory_host **place = &network->hosts;

    if (count == 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (braid_address_length(&addresses[i]) == 0)
            return -EINVAL;
        if (host_find(network, &addresses[i]))
            return -EADDRINUSE;
    }
    host = calloc(1, sizeof(*host) + count * sizeof(*addresses));
    if (!host)
        return -ENOMEM;
    host->network = network;
    host->mtu = HOST_MTU;
    queue_init(&host->packets);
    queue_init(&host->errors);
    host->link.operations = &operations;
    host->link.name = "memory";
    host->link.port = port;
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        host->link.descriptors[i] = -1;
    memcpy(host->addresses, addresses, count * sizeof(*addresses));
    host->address_count = count;
    for (size_t i = 0; i < count; i++) {
        host->link.ipv4 |= addresses[i].family == BRAID_IPV4;
        host->link.ipv6 |= addresses[i].family == BRAID_IPV6;
    }
    while (*place)
        place = &(*place)->next;
    *place = host;
    network->generation++;
    *link = &host->link;
    return 0;
}

struct memory_network *memory_network_new(uint64_t seed)
{
    struct memory_network *network = calloc(1, sizeof(*network));

    if (!network)
        return NULL;
    random_seed(&network->random, seed);
    network->generation = 1; /* a host's cache starts with 0 */
    if (!memory_network_wire(network, NULL, NULL)) {
        free(network);
        return NULL;
    }
    return network;
}

void memory_network_free(struct memory_network *network)
{
    if (!network)
        return;
    for (size_t i = 0; i < network->heap_count; i++)
        free(network->heap[i].parcel);
    while (network->spare) {
        struct parcel *next = network->spare->next;

        free(network->spare);
        network->spare = next;
    }
    while (network->wires) {
        struct memory_wire *next = network->wires->next;

        free(network->wires);
        network->wires = next;
    }
    free(network->heap);
    free(network);
}
