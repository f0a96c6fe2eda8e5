/*
 * A network in memory, in virtual time, for tests and simulations.
 *
 * It stands where IP stands under RFC 9260 section 1.3 ("a connectionless packet network"): packets
 * are delayed, lost, reordered, duplicated and damaged, as their wire says.
 *
 * What is sent becomes parcels. A parcel is one packet, or, on a wire that treats all alike, a
 * whole batch. It waits in a heap until it arrives, then in the queue of its host. Parcels are used
 * again.
 */
#include "link/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "link/random.h"

enum {
    PARCEL_SIZES = 3,
    SLAB_BYTES = 128 << 10, /* about what is allocated at once */
    HOST_MTU = 1500,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    UDP_HEADER = 8,
};

/* Bytes on the way at one time; what comes above it is dropped. */
static const size_t parcel_memory_maximum = (size_t)1 << 30;
static const uint64_t nanoseconds = 1000000000;

/* Room in a parcel: for one packet of usual size, a short batch, anything. */
static const size_t parcel_sizes[PARCEL_SIZES] = {2048, 16384, 65536};

struct memory_host;

struct parcel {
    struct parcel *next; /* in a queue, or among the free ones */
    struct memory_host *host;
    struct braid_packet packet; /* of the first packet left: its bytes, its addresses */
    size_t left, segment;       /* bytes left; bytes of each packet */
    uint8_t size;               /* index of parcel_sizes */
    bool icmp;                  /* an ICMP message: `packet` is what it quotes */
    enum braid_icmp kind;
    uint32_t mtu;
    uint8_t bytes[];
};

struct parcel_queue {
    struct parcel *first, **last;
};

/* Memory of many parcels, to be freed at the end. */
struct parcel_slab {
    struct parcel_slab *next;
    _Alignas(max_align_t) uint8_t bytes[];
};

struct memory_wire {
    struct memory_wire *next;
    struct memory_conditions conditions;
    struct memory_wire_statistics statistics;
    bool bad;                /* Gilbert's state */
    uint64_t free_at;        /* nanoseconds: when its last packet will have left */
    braid_time last_arrival; /* so that jitter keeps the order */
};

struct memory_host {
    struct link link;
    struct memory_network *network;
    struct memory_host *next_ready;
    bool ready; /* it stands in the network's list */
    uint32_t mtu;
    struct parcel_queue packets, errors; /* arrived */
    struct parcel *lent;                 /* their bytes are with the caller, until the next call */
    struct parcel *lent_error;
    size_t address_count;
    struct braid_address *addresses;
    /* where its last batch went */
    uint64_t cached_generation;
    struct braid_address cached_source, cached_destination;
    struct memory_wire *cached_wire;
    struct memory_host *cached_target;
};

/* From two addresses to a wire, or from one to a host (then the other has no family). */
struct pair_entry {
    struct braid_address source, destination;
    void *value; /* NULL: the entry is free */
};

struct pair_table {
    struct pair_entry *entries;
    size_t capacity, count; /* the capacity is a power of two, or 0 */
};

struct arrival {
    braid_time time;
    uint64_t order; /* of sending: for those that arrive together */
    struct parcel *parcel;
};

struct memory_network {
    braid_time now;
    struct random_generator random;
    struct pair_table hosts, wires;
    uint64_t generation; /* changes when a host or a wire does */
    struct memory_wire *any_wire, *all_wires;
    struct arrival *heap;
    size_t heap_count, heap_capacity;
    uint64_t order;
    struct memory_host *first_ready, **last_ready;
    struct parcel *free_parcels[PARCEL_SIZES];
    struct parcel_slab *slabs;
    size_t memory;
};

static struct memory_host *memory_host_of(struct link *link)
{
    return (struct memory_host *)link;
}

/* ---- A table of address pairs --------------------------------------------------------------- */

static uint64_t pair_hash(const struct braid_address *source,
                          const struct braid_address *destination)
{
    uint64_t words[6];
    uint64_t hash = 0;

    memcpy(words, source, sizeof(*source));
    memcpy(words + 3, destination, sizeof(*destination));
    for (int i = 0; i < 6; i++) {
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    return hash;
}

/* The entry of a pair, or the free one where it would stand. The table has a free one. */
static struct pair_entry *pair_find(const struct pair_table *table,
                                    const struct braid_address *source,
                                    const struct braid_address *destination)
{
    size_t index = pair_hash(source, destination) & (table->capacity - 1);

    for (;;) {
        struct pair_entry *entry = &table->entries[index];

        if (!entry->value || (braid_address_equal(&entry->source, source) &&
                              braid_address_equal(&entry->destination, destination)))
            return entry;
        index = (index + 1) & (table->capacity - 1);
    }
}

static void *pair_get(const struct pair_table *table, const struct braid_address *source,
                      const struct braid_address *destination)
{
    return table->capacity ? pair_find(table, source, destination)->value : NULL;
}

static int pair_grow(struct pair_table *table, size_t capacity)
{
    struct pair_table larger = {.capacity = capacity};

    larger.entries = calloc(capacity, sizeof(*larger.entries));
    if (!larger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < table->capacity; i++) {
        const struct pair_entry *entry = &table->entries[i];

        if (!entry->value)
            continue;
        *pair_find(&larger, &entry->source, &entry->destination) = *entry;
        larger.count++;
    }
    free(table->entries);
    *table = larger;
    return 0;
}

static int pair_set(struct pair_table *table, const struct braid_address *source,
                    const struct braid_address *destination, void *value)
{
    struct pair_entry *entry;

    if (table->count * 2 >= table->capacity) {
        int error = pair_grow(table, table->capacity ? table->capacity * 2 : 16);

        if (error < 0)
            return error;
    }
    entry = pair_find(table, source, destination);
    if (!entry->value)
        table->count++;
    *entry = (struct pair_entry){.source = *source, .destination = *destination, .value = value};
    return 0;
}

/* Takes an entry out, and closes the gap by moving up those that were displaced by it. */
static void pair_remove(struct pair_table *table, struct pair_entry *entry)
{
    size_t mask = table->capacity - 1;
    size_t gap = (size_t)(entry - table->entries);

    for (size_t index = (gap + 1) & mask; table->entries[index].value; index = (index + 1) & mask) {
        struct pair_entry *other = &table->entries[index];
        size_t home = pair_hash(&other->source, &other->destination) & mask;

        if (((index - home) & mask) < ((index - gap) & mask))
            continue;
        table->entries[gap] = *other;
        gap = index;
    }
    table->entries[gap].value = NULL;
    table->count--;
}

/* ---- Parcels -------------------------------------------------------------------------------- */

static int parcel_add_slab(struct memory_network *network, uint8_t size)
{
    size_t stride = sizeof(struct parcel) + parcel_sizes[size];
    size_t count = SLAB_BYTES / stride;
    struct parcel_slab *slab;

    if (network->memory + count * stride > parcel_memory_maximum)
        return -ENOBUFS;
    slab = malloc(sizeof(*slab) + count * stride);
    if (!slab)
        return -ENOMEM;
    slab->next = network->slabs;
    network->slabs = slab;
    network->memory += count * stride;
    for (size_t i = 0; i < count; i++) {
        struct parcel *parcel = (void *)(slab->bytes + i * stride);

        parcel->size = size;
        parcel->next = network->free_parcels[size];
        network->free_parcels[size] = parcel;
    }
    return 0;
}

static void parcel_free(struct memory_network *network, struct parcel *parcel)
{
    parcel->next = network->free_parcels[parcel->size];
    network->free_parcels[parcel->size] = parcel;
}

/* A parcel with a copy of the bytes, at most LINK_PACKET_MAXIMUM; NULL if there is no memory for
 * it. */
static struct parcel *parcel_new(struct memory_network *network, struct memory_host *host,
                                 const struct braid_packet *packet, size_t segment)
{
    uint8_t size = 0;
    struct parcel *parcel;

    while (size < PARCEL_SIZES - 1 && packet->length > parcel_sizes[size])
        size++;
    if (!network->free_parcels[size] && parcel_add_slab(network, size) < 0)
        return NULL;
    parcel = network->free_parcels[size];
    network->free_parcels[size] = parcel->next;
    parcel->next = NULL;
    parcel->host = host;
    parcel->packet = *packet;
    parcel->packet.bytes = parcel->bytes;
    parcel->left = packet->length;
    parcel->segment = segment;
    parcel->icmp = false;
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
    struct memory_network *network = host->network;

    queue_put(parcel->icmp ? &host->errors : &host->packets, parcel);
    if (host->ready)
        return;
    host->ready = true;
    host->next_ready = NULL;
    *network->last_ready = host;
    network->last_ready = &host->next_ready;
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
    if (now > network->now)
        network->now = now;
    while (network->heap_count > 0 && network->heap[0].time <= network->now) {
        struct parcel *parcel = network_arrive(network);

        if (parcel->host)
            host_take(parcel->host, parcel);
        else
            parcel_free(network, parcel);
    }
}

struct link *memory_network_next_ready(struct memory_network *network)
{
    while (network->first_ready) {
        struct memory_host *host = network->first_ready;

        if (host->packets.first || host->errors.first)
            return &host->link;
        network->first_ready = host->next_ready;
        if (!network->first_ready)
            network->last_ready = &network->first_ready;
        host->ready = false;
    }
    return NULL;
}

braid_time memory_network_next_arrival(const struct memory_network *network)
{
    for (const struct memory_host *host = network->first_ready; host; host = host->next_ready)
        if (host->packets.first || host->errors.first)
            return network->now;
    return network->heap_count > 0 ? network->heap[0].time : BRAID_TIME_NEVER;
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
    wire = pair_get(&network->wires, source, destination);
    if (wire)
        return wire;
    wire = calloc(1, sizeof(*wire));
    if (!wire)
        return NULL;
    if (pair_set(&network->wires, source, destination, wire) < 0) {
        free(wire);
        return NULL;
    }
    wire->next = network->all_wires;
    network->all_wires = wire;
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

static struct memory_wire *wire_find(const struct memory_network *network,
                                     const struct braid_address *source,
                                     const struct braid_address *destination)
{
    struct memory_wire *wire = pair_get(&network->wires, source, destination);

    if (!wire)
        wire = pair_get(&network->wires, &any_address, destination);
    if (!wire)
        wire = pair_get(&network->wires, source, &any_address);
    return wire ? wire : network->any_wire;
}

/* Nothing but a delay: packets that were sent together arrive together. */
static bool wire_is_plain(const struct memory_wire *wire, size_t ip_packet)
{
    const struct memory_conditions *conditions = &wire->conditions;

    return !conditions->cut && (conditions->mtu == 0 || ip_packet <= conditions->mtu) &&
           conditions->jitter == 0 && conditions->bandwidth == 0 && !(conditions->loss > 0) &&
           !(conditions->burst_begin > 0) && !wire->bad && !(conditions->reorder > 0) &&
           !(conditions->duplicate > 0) && !(conditions->corrupt > 0);
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
    struct parcel *parcel = parcel_new(network, target, packet, packet->length);
    double corrupt = wire->conditions.corrupt;

    if (!parcel) {
        wire->statistics.queue_full++;
        return;
    }
    if (corrupt > 0 && packet->length > 0 && random_chance(&network->random, corrupt)) {
        uint64_t bit = random_below(&network->random, packet->length * 8);

        parcel->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        wire->statistics.corrupted++;
    }
    wire->statistics.delivered++;
    network_carry(network, parcel, time);
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

/* A router answers by ICMP: it comes back after the time of a round trip. */
static void wire_answer(struct memory_host *host, const struct memory_wire *wire,
                        const struct braid_packet *packet, enum braid_icmp kind)
{
    struct memory_network *network = host->network;
    struct parcel *parcel;

    if (!wire->conditions.icmp || wire->conditions.cut)
        return;
    parcel = parcel_new(network, host, packet, packet->length);
    if (!parcel)
        return;
    parcel->icmp = true;
    parcel->kind = kind;
    parcel->mtu = kind == BRAID_ICMP_TOO_BIG ? wire->conditions.mtu : 0;
    network_carry(network, parcel, network->now + (braid_time)wire->conditions.delay * 2);
}

/* ---- The link of a host --------------------------------------------------------------------- */

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
    host->cached_target = pair_get(&network->hosts, &any_address, destination);
    host->cached_source = *source;
    host->cached_destination = *destination;
    host->cached_generation = network->generation;
}

/* The host's own interface is too small: known at once. */
static void host_report_too_big(struct memory_host *host, const struct braid_packet *packet)
{
    struct parcel *parcel = parcel_new(host->network, host, packet, packet->length);

    if (!parcel)
        return;
    parcel->icmp = true;
    parcel->kind = BRAID_ICMP_TOO_BIG;
    parcel->mtu = host->mtu;
    host_take(host, parcel);
}

static void send_plain(struct memory_host *host, const struct braid_batch *batch,
                       const struct braid_packet *first)
{
    struct memory_wire *wire = host->cached_wire;
    struct braid_packet all = *first;
    struct parcel *parcel;
    braid_time time = host->network->now + wire->conditions.delay;

    all.length = batch->length;
    parcel = parcel_new(host->network, host->cached_target, &all, batch->segment_size);
    if (!parcel) {
        wire->statistics.queue_full += batch->count;
        return;
    }
    if (time < wire->last_arrival)
        time = wire->last_arrival;
    wire->last_arrival = time;
    wire->statistics.delivered += batch->count;
    network_carry(host->network, parcel, time);
}

static int memory_send(struct link *link, const struct braid_batch *batch)
{
    struct memory_host *host = memory_host_of(link);
    struct braid_batch rest = *batch;
    size_t header = (batch->destination.family == BRAID_IPV6 ? IPV6_HEADER : IPV4_HEADER) +
                    (batch->encapsulation_port != 0 ? UDP_HEADER : 0);
    struct memory_wire *wire;
    struct memory_wire_statistics *statistics;
    struct braid_packet packet;
    bool answered = false;

    if (rest.source.family == BRAID_UNSPECIFIED &&
        !memory_host_route(link, &rest.destination, &rest.source, NULL))
        return -ENETUNREACH;
    link_batch_packets(&rest, link->port, &packet, 1);
    if (batch->length > LINK_PACKET_MAXIMUM)
        return -EINVAL;
    if (batch->dont_fragment && packet.length + header > host->mtu) {
        host_report_too_big(host, &packet);
        return -EMSGSIZE;
    }
    host_resolve(host, &rest.source, &rest.destination);
    wire = host->cached_wire;
    statistics = &wire->statistics;
    statistics->packets += batch->count;
    statistics->bytes += batch->length + batch->count * header;
    if (!host->cached_target || host->cached_target->link.port != batch->encapsulation_port) {
        statistics->unreachable += batch->count;
        wire_answer(host, wire, &packet,
                    host->cached_target ? BRAID_ICMP_PROTOCOL_UNREACHABLE : BRAID_ICMP_UNREACHABLE);
    } else if (wire_is_plain(wire, packet.length + header)) {
        send_plain(host, batch, &packet);
    } else {
        for (; rest.count > 0; rest = link_batch_rest(&rest, 1)) {
            size_t ip_packet;

            link_batch_packets(&rest, link->port, &packet, 1);
            ip_packet = packet.length + header;
            if (wire->conditions.mtu != 0 && ip_packet > wire->conditions.mtu &&
                batch->dont_fragment) {
                statistics->too_big++;
                if (!answered)
                    wire_answer(host, wire, &packet, BRAID_ICMP_TOO_BIG);
                answered = true;
                continue;
            }
            wire_send(host->network, wire, host->cached_target, &packet, ip_packet);
        }
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
    while (count < capacity && host->packets.first) {
        struct parcel *parcel = host->packets.first;
        struct braid_packet *packet = &parcel->packet;

        packet->length = parcel->left < parcel->segment ? parcel->left : parcel->segment;
        packets[count++] = *packet;
        packet->bytes = (const uint8_t *)packet->bytes + packet->length;
        parcel->left -= packet->length;
        if (parcel->left == 0) {
            queue_take(&host->packets);
            parcel->next = host->lent;
            host->lent = parcel;
        }
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
        .length = parcel->left,
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

static void network_forget_ready(struct memory_network *network, const struct memory_host *host)
{
    struct memory_host **place = &network->first_ready;

    while (*place && *place != host)
        place = &(*place)->next_ready;
    if (!*place)
        return;
    *place = host->next_ready;
    if (!*place)
        network->last_ready = place;
}

static void memory_close(struct link *link)
{
    struct memory_host *host = memory_host_of(link);
    struct memory_network *network = host->network;

    for (size_t i = 0; i < network->heap_count; i++)
        if (network->heap[i].parcel->host == host)
            network->heap[i].parcel->host = NULL;
    parcel_free_list(network, host->packets.first);
    parcel_free_list(network, host->errors.first);
    parcel_free_list(network, host->lent);
    parcel_free_list(network, host->lent_error);
    network_forget_ready(network, host);
    for (size_t i = 0; i < host->address_count; i++) {
        const struct braid_address *address = &host->addresses[i];

        if (pair_get(&network->hosts, &any_address, address) == host)
            pair_remove(&network->hosts, pair_find(&network->hosts, &any_address, address));
    }
    network->generation++;
    free(host->addresses);
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

    if (count == 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (braid_address_length(&addresses[i]) == 0)
            return -EINVAL;
        if (pair_get(&network->hosts, &any_address, &addresses[i]))
            return -EADDRINUSE;
    }
    host = calloc(1, sizeof(*host));
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
    host->addresses = malloc(count * sizeof(*addresses));
    if (!host->addresses) {
        free(host);
        return -ENOMEM;
    }
    memcpy(host->addresses, addresses, count * sizeof(*addresses));
    host->address_count = count;
    for (size_t i = 0; i < count; i++) {
        host->link.ipv4 |= addresses[i].family == BRAID_IPV4;
        host->link.ipv6 |= addresses[i].family == BRAID_IPV6;
        if (pair_set(&network->hosts, &any_address, &addresses[i], host) < 0) {
            memory_close(&host->link);
            return -ENOMEM;
        }
    }
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
    network->last_ready = &network->first_ready;
    network->any_wire = memory_network_wire(network, NULL, NULL);
    if (!network->any_wire) {
        memory_network_free(network);
        return NULL;
    }
    return network;
}

void memory_network_free(struct memory_network *network)
{
    if (!network)
        return;
    while (network->all_wires) {
        struct memory_wire *next = network->all_wires->next;

        free(network->all_wires);
        network->all_wires = next;
    }
    while (network->slabs) {
        struct parcel_slab *next = network->slabs->next;

        free(network->slabs);
        network->slabs = next;
    }
    free(network->heap);
    free(network->hosts.entries);
    free(network->wires.entries);
    free(network);
}
