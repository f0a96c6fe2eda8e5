/*
 * Finding things: by identifier, by ports and addresses.
 *
 * RFC 9260, section 1.3: an association is known by the transport addresses of its two endpoints.
 */
#include <stdlib.h>

#include "engine/private.h"

/* ---- Identifiers: the index in the upper bits, so that they are in the order of the table ---- */

#define GENERATION_BITS 11
#define GENERATION_MASK ((1u << GENERATION_BITS) - 1)

static int identifier_table_grow(struct identifier_table *table)
{
    uint32_t capacity = table->capacity ? table->capacity * 2 : 16;

    if (capacity > table->maximum + 1)
        capacity = table->maximum + 1;
    if (capacity <= table->capacity)
        return -ENOBUFS;

    struct identifier_slot *slots = realloc(table->slots, capacity * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    table->slots = slots;
    for (uint32_t i = table->capacity; i < capacity; i++) {
        slots[i] = (struct identifier_slot){.identifier = i << GENERATION_BITS};
        if (i == 0)
            continue; /* no identifier is below 2^GENERATION_BITS */
        if (table->last_free)
            slots[table->last_free].next_free = i;
        else
            table->first_free = i;
        table->last_free = i;
    }
    table->capacity = capacity;
    return 0;
}

int identifier_table_init(struct identifier_table *table, uint32_t maximum)
{
    *table = (struct identifier_table){.maximum = maximum};
    return identifier_table_grow(table);
}

uint32_t identifier_add(struct identifier_table *table, void *object)
{
    if (!table->first_free && identifier_table_grow(table) < 0)
        return 0;

    struct identifier_slot *slot = &table->slots[table->first_free];

    table->first_free = slot->next_free;
    if (!table->first_free)
        table->last_free = 0;
    slot->next_free = 0;
    slot->object = object;
    table->count++;
    return slot->identifier;
}

void *identifier_find(const struct identifier_table *table, uint32_t identifier)
{
    uint32_t index = identifier >> GENERATION_BITS;

    if (index >= table->capacity || table->slots[index].identifier != identifier)
        return NULL;
    return table->slots[index].object;
}

void *identifier_next(const struct identifier_table *table, uint32_t after)
{
    for (uint32_t i = after >> GENERATION_BITS; i < table->capacity; i++) {
        if (table->slots[i].object && table->slots[i].identifier > after)
            return table->slots[i].object;
    }
    return NULL;
}

void identifier_remove(struct identifier_table *table, uint32_t identifier)
{
    uint32_t index = identifier >> GENERATION_BITS;
    struct identifier_slot *slot = &table->slots[index];
    uint32_t generation = (identifier + 1) & GENERATION_MASK;

    *slot = (struct identifier_slot){.identifier = index << GENERATION_BITS | generation};
    if (table->last_free)
        table->slots[table->last_free].next_free = index;
    else
        table->first_free = index;
    table->last_free = index;
    table->count--;
}

/* ---- Paths, by both ports and the peer's address ---- */

/* Keyed, so that nobody can choose addresses and ports that all fall into one chain. */
static uint32_t path_hash(const struct braid_engine *engine, const struct braid_address *peer,
                          uint16_t local_port, uint16_t peer_port)
{
    uint64_t low, high, hash;

    memcpy(&low, peer->bytes, 8);
    memcpy(&high, peer->bytes + 8, 8);
    hash = (low ^ engine->hash_key[0]) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29 ^ high ^ engine->hash_key[1]) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 32 ^ ((uint64_t)local_port << 16 | peer_port)) * 0x94d049bb133111ebu;
    return (uint32_t)(hash >> 32) & (engine->path_hash_size - 1);
}

static void path_hash_link(struct braid_engine *engine, struct sctp_path *path)
{
    uint32_t index = path_hash(engine, &path->address, path->association->local_port,
                               path->association->peer_port);

    path->next_hashed = engine->path_hash[index];
    engine->path_hash[index] = path;
}

int path_hash_add(struct braid_engine *engine, struct sctp_path *path)
{
    if (engine->path_hash_count >= engine->path_hash_size) {
        uint32_t old_size = engine->path_hash_size;
        struct sctp_path **old = engine->path_hash;
        uint32_t size = old_size ? old_size * 2 : 64;
        struct sctp_path **grown = calloc(size, sizeof(struct sctp_path *));

        if (!grown)
            return -ENOMEM;
        engine->path_hash = grown;
        engine->path_hash_size = size;
        for (uint32_t i = 0; i < old_size; i++) {
            for (struct sctp_path *moved = old[i], *next; moved; moved = next) {
                next = moved->next_hashed;
                path_hash_link(engine, moved);
            }
        }
        free(old);
    }
    path_hash_link(engine, path);
    engine->path_hash_count++;
    return 0;
}

void path_hash_remove(struct braid_engine *engine, struct sctp_path *path)
{
    struct sctp_path **place = &engine->path_hash[path_hash(
        engine, &path->address, path->association->local_port, path->association->peer_port)];

    while (*place && *place != path)
        place = &(*place)->next_hashed;
    if (*place) {
        *place = path->next_hashed;
        engine->path_hash_count--;
    }
}

struct sctp_path *path_hash_find(const struct braid_engine *engine,
                                 const struct sctp_endpoint *endpoint,
                                 const struct braid_address *local, uint16_t local_port,
                                 const struct braid_address *peer, uint16_t peer_port)
{
    if (engine->path_hash_size == 0)
        return NULL;

    struct sctp_path *path = engine->path_hash[path_hash(engine, peer, local_port, peer_port)];

    for (; path; path = path->next_hashed) {
        const struct sctp_association *association = path->association;

        if (association->local_port == local_port && association->peer_port == peer_port &&
            braid_address_equal(&path->address, peer) &&
            (!endpoint || association->endpoint == endpoint) &&
            (!local || association_has_address(association, local)))
            return path;
    }
    return NULL;
}

/* ---- Ports ---- */

struct sctp_port *port_find(const struct braid_engine *engine, uint16_t port)
{
    struct sctp_port *found = engine->ports[port % (sizeof(engine->ports) / sizeof(void *))];

    while (found && found->port != port)
        found = found->next;
    return found;
}
