/*
 * From the packets of a capture to associations.
 *
 * RFC 9260 section 8.5: a packet belongs to the association whose Verification Tag it bears; the
 * tags are told in INIT and INIT ACK (section 5.1). An association whose beginning is not in the
 * capture is known by addresses and ports.
 */
#include "cli/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "packet/chunks.h"
#include "packet/parameter.h"

#define BLOCK_SIZE ((size_t)1 << 20)
#define PROGRESS_PACKETS                                                                           \
    500000                   /* so often it is told how far the reading is: each second or so      \
                              */
#define ADDRESSES_MAXIMUM 64 /* of a side: no capture needs more lanes */

/* Packets' bytes are kept in blocks, one after the other. */
struct trace_block {
    struct trace_block *next;
    size_t used, size;
    uint8_t bytes[];
};

const char *trace_mark_name(enum trace_mark mark)
{
    switch (mark) {
    case TRACE_RETRANSMISSION:
        return "retransmission";
    case TRACE_LOST:
        return "lost";
    case TRACE_NEEDLESS:
        return "had arrived";
    case TRACE_OTHER_PATH:
        return "other path";
    case TRACE_GAPS:
        return "gaps";
    case TRACE_ZERO_WINDOW:
        return "zero window";
    case TRACE_CHECKSUM_BAD:
        return "bad checksum";
    case TRACE_MALFORMED:
        return "malformed";
    case TRACE_INCOMPLETE:
        return "incomplete";
    case TRACE_OUT_OF_THE_BLUE:
        return "out of the blue";
    case TRACE_CONTROL_REPEATED:
        return "repeated";
    }
    return "";
}

/* ---- Memory ----------------------------------------------------------------------------------
 */

bool trace_reserve(void **array, size_t *capacity, size_t count, size_t element)
{
    size_t larger = *capacity ? *capacity * 2 : 64;
    void *grown;

    if (count <= *capacity)
        return true;
    while (larger < count)
        larger *= 2;
    grown = realloc(*array, larger * element);
    if (!grown)
        return false;
    *array = grown;
    *capacity = larger;
    return true;
}

static const uint8_t *keep_bytes(struct trace *trace, const uint8_t *bytes, size_t length)
{
    struct trace_block *block = trace->blocks;
    uint8_t *kept;

    if (!block || block->size - block->used < length) {
        size_t size = length > BLOCK_SIZE ? length : BLOCK_SIZE;

        block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        *block = (struct trace_block){.next = trace->blocks, .size = size};
        trace->blocks = block;
    }
    kept = block->bytes + block->used;
    memcpy(kept, bytes, length);
    block->used += length;
    return kept;
}

/* The finalizer of splitmix64: every bit of the key moves every bit of the place. */
static uint64_t map_hash(uint64_t key)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
    return key ^ (key >> 31);
}

static size_t map_place(const struct trace_map *map, uint64_t key)
{
    size_t place = map_hash(key) & (map->capacity - 1);

    while (map->values[place] != TRACE_NONE && map->keys[place] != key)
        place = (place + 1) & (map->capacity - 1);
    return place;
}

uint32_t trace_map_get(const struct trace_map *map, uint64_t key)
{
    return map->capacity ? map->values[map_place(map, key)] : TRACE_NONE;
}

static bool map_grow(struct trace_map *map)
{
    struct trace_map larger = {.capacity = map->capacity ? map->capacity * 2 : 1024};

    larger.keys = calloc(larger.capacity, sizeof(*larger.keys));
    larger.values = malloc(larger.capacity * sizeof(*larger.values));
    if (!larger.keys || !larger.values) {
        free(larger.keys);
        free(larger.values);
        return false;
    }
    for (size_t i = 0; i < larger.capacity; i++)
        larger.values[i] = TRACE_NONE;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->values[i] != TRACE_NONE)
            trace_map_set(&larger, map->keys[i], map->values[i]);
    }
    free(map->keys);
    free(map->values);
    *map = larger;
    return true;
}

bool trace_map_set(struct trace_map *map, uint64_t key, uint32_t value)
{
    size_t place;

    if (map->count * 2 >= map->capacity && !map_grow(map))
        return false;
    place = map_place(map, key);
    if (map->values[place] == TRACE_NONE)
        map->count++;
    map->keys[place] = key;
    map->values[place] = value;
    return true;
}

void trace_map_free(struct trace_map *map)
{
    free(map->keys);
    free(map->values);
}

/* ---- Which association -----------------------------------------------------------------------
 */

/* In the maps stands 2 * association + the side that a packet with that key goes to. */

static uint64_t tag_key(uint32_t tag, uint16_t to_port, uint16_t from_port)
{
    return (uint64_t)tag << 32 | (uint64_t)to_port << 16 | from_port;
}

static uint64_t address_key(const struct captured_packet *packet,
                            const struct sctp_common_header *header)
{
    uint64_t key = (uint64_t)header->source_port << 16 | header->destination_port;

    for (size_t i = 0; i < sizeof(packet->source.bytes); i++)
        key = map_hash(key << 8 ^ packet->source.bytes[i]) + packet->destination.bytes[i];
    return key;
}

static uint64_t reverse_address_key(const struct captured_packet *packet,
                                    const struct sctp_common_header *header)
{
    struct captured_packet reverse = *packet;
    struct sctp_common_header ports = {header->destination_port, header->source_port, 0};

    reverse.source = packet->destination;
    reverse.destination = packet->source;
    return address_key(&reverse, &ports);
}

/* The index of an address of a side, which learns it if it is new. */
static uint16_t side_address(struct trace_side *side, const struct braid_address *address)
{
    struct braid_address *grown;

    for (size_t i = 0; i < side->address_count; i++) {
        if (braid_address_equal(&side->addresses[i], address))
            return (uint16_t)i;
    }
    if (side->address_count == ADDRESSES_MAXIMUM)
        return ADDRESSES_MAXIMUM - 1;
    grown = realloc(side->addresses, (side->address_count + 1) * sizeof(*grown));
    if (!grown)
        return 0;
    side->addresses = grown;
    side->addresses[side->address_count] = *address;
    return (uint16_t)side->address_count++;
}

/* Where a packet belongs: 2 * association + the side that it goes to; TRACE_NONE: no memory. */
static uint32_t association_new(struct trace *trace, const struct captured_packet *packet,
                                const struct sctp_common_header *header)
{
    struct trace_association *association;
    uint32_t index = (uint32_t)trace->association_count;

    if (!trace_reserve((void **)&trace->associations, &trace->association_capacity,
                       trace->association_count + 1, sizeof(*association)))
        return TRACE_NONE;
    association = &trace->associations[trace->association_count++];
    memset(association, 0, sizeof(*association));
    association->first_packet = (uint32_t)trace->packet_count;
    association->sides[0].port = header->source_port;
    association->sides[1].port = header->destination_port;
    if (!trace_map_set(&trace->by_address, address_key(packet, header), index * 2 + 1) ||
        !trace_map_set(&trace->by_address, reverse_address_key(packet, header), index * 2))
        return TRACE_NONE;
    return index * 2 + 1;
}

static bool side_has_address(const struct trace_side *side, const struct braid_address *address)
{
    for (size_t i = 0; i < side->address_count; i++) {
        if (braid_address_equal(&side->addresses[i], address))
            return true;
    }
    return false;
}

/*
 * Two that began at the same time (section 5.2.1) are one association: the packets of `gone` join
 * `stays`, in which it is the other side that began them.
 */
static void association_join(struct trace *trace, uint32_t stays, uint32_t gone)
{
    struct trace_association *from = &trace->associations[gone];
    struct trace_association *to = &trace->associations[stays];

    for (size_t i = from->first_packet; from->packet_count > 0 && i < trace->packet_count; i++) {
        struct trace_packet *packet = &trace->packets[i];

        if (packet->association != gone)
            continue;
        from->packet_count--;
        packet->from = side_address(&to->sides[1], &from->sides[0].addresses[packet->from]);
        packet->to = side_address(&to->sides[0], &from->sides[1].addresses[packet->to]);
        packet->association = stays;
        packet->side = 1;
        to->packet_count++;
    }
}

static bool learn_tag(struct trace *trace, uint32_t association, unsigned int side,
                      const struct sctp_init *init)
{
    struct trace_association *found = &trace->associations[association];
    struct trace_side *known = &found->sides[side];
    uint64_t key = tag_key(init->initiate_tag, known->port, found->sides[!side].port);
    uint32_t before = trace_map_get(&trace->by_tag, key);

    if (before != TRACE_NONE && before / 2 != association && before % 2 == 0 && side == 1 &&
        trace->associations[before / 2].packet_count <= 16)
        association_join(trace, association, before / 2);
    known->tag = init->initiate_tag;
    known->known = true;
    if (!known->tsn_known) {
        known->initial_tsn = init->initial_tsn;
        known->tsn_known = true;
    }
    return trace_map_set(&trace->by_tag, key, association * 2 + side);
}

static void learn_addresses(struct trace_side *side, const struct sctp_init *init)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct braid_address address;

    parameter_iterator_init(&iterator, init->parameters, init->parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        if (address_parameter_read(&parameter, &address))
            side_address(side, &address);
    }
}

/* The INIT or INIT ACK of a packet, which stands alone in it. */
static bool find_init(const struct captured_packet *packet, struct sctp_chunk *chunk,
                      struct sctp_init *init)
{
    struct chunk_iterator iterator;

    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    return chunk_next(&iterator, chunk) &&
           (chunk->type == SCTP_CHUNK_INIT || chunk->type == SCTP_CHUNK_INIT_ACK) &&
           init_read(chunk, init);
}

/* May it bear the tag of its own sender: an ABORT or SHUTDOWN COMPLETE with the T bit. */
static bool tag_reflected(const struct captured_packet *packet)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if ((chunk.type == SCTP_CHUNK_ABORT || chunk.type == SCTP_CHUNK_SHUTDOWN_COMPLETE) &&
            (chunk.flags & SCTP_FLAG_TAG_REFLECTED))
            return true;
    }
    return false;
}

/* 2 * association + the side that the packet goes to; TRACE_NONE: no memory. */
static uint32_t find_association(struct trace *trace, const struct captured_packet *packet,
                                 const struct sctp_common_header *header)
{
    struct sctp_chunk chunk;
    struct sctp_init init;
    bool has_init = find_init(packet, &chunk, &init);
    bool reflected = tag_reflected(packet);
    uint32_t found = TRACE_NONE;

    if (has_init && chunk.type == SCTP_CHUNK_INIT) {
        /* The same INIT again, to another address perhaps, is of the same association. */
        found = trace_map_get(&trace->by_tag, tag_key(init.initiate_tag, header->source_port,
                                                      header->destination_port));
        if (found != TRACE_NONE)
            found ^= 1;
        else
            found = association_new(trace, packet, header);
    } else if (header->verification_tag != 0 && reflected) {
        found = trace_map_get(&trace->by_tag, tag_key(header->verification_tag, header->source_port,
                                                      header->destination_port));
        if (found != TRACE_NONE)
            found ^= 1;
    }
    if (found == TRACE_NONE && header->verification_tag != 0)
        found =
            trace_map_get(&trace->by_tag, tag_key(header->verification_tag,
                                                  header->destination_port, header->source_port));
    if (found == TRACE_NONE) {
        found = trace_map_get(&trace->by_address, address_key(packet, header));
        if (found != TRACE_NONE) {
            struct trace_association *association = &trace->associations[found / 2];

            /* Another tag than the one that is known: another association. */
            if (!side_has_address(&association->sides[found % 2], &packet->destination) ||
                (association->sides[found % 2].known && !reflected &&
                 association->sides[found % 2].tag != header->verification_tag))
                found = TRACE_NONE;
        }
        if (found == TRACE_NONE)
            found = association_new(trace, packet, header);
        if (found != TRACE_NONE && header->verification_tag != 0 && !reflected) {
            struct trace_side *side = &trace->associations[found / 2].sides[found % 2];

            if (!side->known) {
                side->tag = header->verification_tag;
                side->known = true;
                if (!trace_map_set(
                        &trace->by_tag,
                        tag_key(side->tag, header->destination_port, header->source_port), found))
                    return TRACE_NONE;
            }
        }
    }
    if (found != TRACE_NONE && has_init) {
        if (!learn_tag(trace, found / 2, !(found % 2), &init))
            return TRACE_NONE;
        side_address(&trace->associations[found / 2].sides[!(found % 2)], &packet->source);
        learn_addresses(&trace->associations[found / 2].sides[!(found % 2)], &init);
    }
    return found;
}

/* ---- States ----------------------------------------------------------------------------------
 */

/* What a chunk, sent and received, does to the states of both (section 4). */
static void follow_states(struct trace_side *sender, struct trace_side *receiver, uint8_t type)
{
    switch (type) {
    case SCTP_CHUNK_INIT:
        if (sender->state == BRAID_CLOSED)
            sender->state = BRAID_COOKIE_WAIT;
        break;
    case SCTP_CHUNK_COOKIE_ECHO:
        if (sender->state <= BRAID_COOKIE_WAIT)
            sender->state = BRAID_COOKIE_ECHOED;
        break;
    case SCTP_CHUNK_COOKIE_ACK:
        sender->state = BRAID_ESTABLISHED;
        receiver->state = BRAID_ESTABLISHED;
        break;
    case SCTP_CHUNK_DATA:
    case SCTP_CHUNK_I_DATA:
    case SCTP_CHUNK_SACK:
        /* The beginning may not be in the capture. DATA may stand with a COOKIE ECHO. */
        if (sender->state == BRAID_CLOSED && receiver->state == BRAID_CLOSED)
            sender->state = receiver->state = BRAID_ESTABLISHED;
        break;
    case SCTP_CHUNK_SHUTDOWN:
        sender->state = BRAID_SHUTDOWN_SENT;
        if (receiver->state == BRAID_ESTABLISHED)
            receiver->state = BRAID_SHUTDOWN_RECEIVED;
        break;
    case SCTP_CHUNK_SHUTDOWN_ACK:
        if (sender->state != BRAID_CLOSED)
            sender->state = BRAID_SHUTDOWN_ACK_SENT;
        break;
    case SCTP_CHUNK_ABORT:
    case SCTP_CHUNK_SHUTDOWN_COMPLETE:
        sender->state = receiver->state = BRAID_CLOSED;
        break;
    default:
        break;
    }
}

/* ---- Reading ---------------------------------------------------------------------------------
 */

/* The same control chunk twice from one side is a retransmission of it. */
static bool control_repeats(uint8_t type)
{
    switch (type) {
    case SCTP_CHUNK_INIT:
    case SCTP_CHUNK_INIT_ACK:
    case SCTP_CHUNK_COOKIE_ECHO:
    case SCTP_CHUNK_COOKIE_ACK:
    case SCTP_CHUNK_SHUTDOWN_ACK:
        return true;
    default:
        return false;
    }
}

static bool judge_chunks(struct trace *trace, uint32_t index)
{
    struct trace_packet *packet = &trace->packets[index];
    struct trace_association *association = &trace->associations[packet->association];
    struct trace_side *sender = &association->sides[packet->side];
    struct trace_side *receiver = &association->sides[!packet->side];
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    bool any = false;

    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if (control_repeats(chunk.type)) {
            if (sender->control_seen & (1u << chunk.type))
                packet->marks |= TRACE_CONTROL_REPEATED;
            sender->control_seen |= 1u << chunk.type;
        }
        follow_states(sender, receiver, chunk.type);
        if (!trace_judge_chunk(trace, index, &chunk))
            return false;
        any = true;
    }
    if (!(packet->marks & TRACE_INCOMPLETE) && (iterator.malformed || !any))
        packet->marks |= TRACE_MALFORMED;
    for (unsigned int side = 0; side < 2; side++) {
        packet->states[side] = (uint8_t)association->sides[side].state;
        packet->in_flight[side] = association->sides[side].in_flight;
    }
    return true;
}

static bool add_packet(struct trace *trace, const struct captured_packet *captured,
                       const struct sctp_common_header *header)
{
    struct trace_association *association;
    struct trace_packet *packet;
    uint32_t found;

    if (!trace_reserve((void **)&trace->packets, &trace->packet_capacity, trace->packet_count + 1,
                       sizeof(*packet)))
        return false;
    found = find_association(trace, captured, header);
    if (found == TRACE_NONE)
        return false;
    association = &trace->associations[found / 2];
    packet = &trace->packets[trace->packet_count];
    *packet = (struct trace_packet){
        .time = captured->time,
        .time_again = captured->time,
        .number = captured->number,
        .bytes = keep_bytes(trace, captured->bytes, captured->length),
        .length = captured->length,
        .association = found / 2,
        .side = !(found % 2),
        .from = side_address(&association->sides[!(found % 2)], &captured->source),
        .to = side_address(&association->sides[found % 2], &captured->destination),
        .udp_source_port = captured->udp_source_port,
        .udp_destination_port = captured->udp_destination_port,
        .acknowledged = TRACE_NONE,
    };
    if (!packet->bytes)
        return false;
    if (captured->incomplete)
        packet->marks |= TRACE_INCOMPLETE;
    else if (!packet_verify_checksum(captured->bytes, captured->length) &&
             packet_read_checksum(captured->bytes) != 0) /* zero: RFC 9653 */
        packet->marks |= TRACE_CHECKSUM_BAD;
    association->packet_count++;
    trace->packet_count++;
    return true;
}

/* Associations that were never more than a refusal: an ABORT or the like to what nobody knows. */
static void mark_out_of_the_blue(struct trace *trace)
{
    for (size_t i = 0; i < trace->packet_count; i++) {
        struct trace_packet *packet = &trace->packets[i];
        struct trace_association *association = &trace->associations[packet->association];

        if (association->packet_count <= 2 && !association->sides[0].tsn_known &&
            !association->sides[1].tsn_known && !association->sides[0].data_seen &&
            !association->sides[1].data_seen) {
            association->out_of_the_blue = true;
            packet->marks |= TRACE_OUT_OF_THE_BLUE;
        }
    }
}

static bool read_packets(struct trace *trace, struct capture_reader *reader, size_t limit,
                         const struct command *command, const char *path)
{
    uint64_t seen = 0;
    struct captured_packet packet;
    struct sctp_common_header header;
    int result;

    while ((result = capture_reader_next(reader, &packet)) == 1) {
        if (++seen % PROGRESS_PACKETS == 0)
            cli_progress(command, "%s: %" PRIu64 " packets", path, seen);
        if (!packet_read_common_header(packet.bytes, packet.length, &header))
            trace->too_short++;
        else if (trace->packet_count >= limit)
            trace->omitted++;
        else if (!add_packet(trace, &packet, &header))
            return false;
    }
    if (seen >= PROGRESS_PACKETS)
        cli_progress_end();
    if (result < 0)
        snprintf(trace->damage, sizeof(trace->damage), "%s", capture_reader_error(reader));
    trace->frames = capture_reader_frames(reader);
    trace->fragments = capture_reader_fragments(reader);
    if (!trace_fold_points(trace))
        return false;
    for (size_t i = 0; i < trace->packet_count; i++) {
        if (!judge_chunks(trace, (uint32_t)i))
            return false;
    }
    mark_out_of_the_blue(trace);
    return true;
}

struct trace *trace_new(void)
{
    return calloc(1, sizeof(struct trace));
}

uint32_t trace_association_of(struct trace *trace, const struct captured_packet *packet,
                              const struct sctp_common_header *header)
{
    uint32_t found = find_association(trace, packet, header);

    if (found == TRACE_NONE)
        return TRACE_NONE;
    side_address(&trace->associations[found / 2].sides[!(found % 2)], &packet->source);
    side_address(&trace->associations[found / 2].sides[found % 2], &packet->destination);
    return found / 2;
}

struct trace *trace_read(const struct command *command, const char *path, uint16_t udp_port,
                         size_t limit, char error[CAPTURE_ERROR_SIZE])
{
    struct capture_reader *reader = capture_reader_open(path, udp_port, error);
    struct trace *trace;

    if (!reader)
        return NULL;
    trace = trace_new();
    if (!trace || !read_packets(trace, reader, limit, command, path)) {
        snprintf(error, CAPTURE_ERROR_SIZE, "out of memory");
        trace_free(trace);
        trace = NULL;
    }
    capture_reader_close(reader);
    return trace;
}

int trace_report(const struct command *command, const char *path, const struct trace *trace)
{
    const char *name = command->name;

    if (trace->omitted > 0)
        fprintf(stderr,
                "braid %s: %s: the first %" PRIu64 " SCTP packets were read, %" PRIu64
                " more were not (--limit)\n",
                name, path, trace->packet_count + trace->seen_twice, trace->omitted);
    if (trace->seen_twice > 0)
        fprintf(stderr,
                "braid %s: %s: %" PRIu64
                " packets were captured at two points; each is shown once\n",
                name, path, trace->seen_twice);
    if (trace->fragments > 0)
        fprintf(stderr, "braid %s: %s: %" PRIu64 " fragments of IP packets were passed over\n",
                name, path, trace->fragments);
    if (trace->too_short > 0)
        fprintf(stderr, "braid %s: %s: %" PRIu64 " packets were too short for SCTP\n", name, path,
                trace->too_short);
    if (trace->damage[0] != '\0')
        return cli_failure(command, "%s: %s; what stands before that was read", path,
                           trace->damage);
    if (trace->packet_count == 0)
        return cli_failure(command,
                           "%s: no SCTP packets in %" PRIu64 " frames (in UDP: see --udp-port)",
                           path, trace->frames);
    return CLI_OK;
}

void trace_free(struct trace *trace)
{
    if (!trace)
        return;
    for (size_t i = 0; i < trace->association_count; i++) {
        for (unsigned int side = 0; side < 2; side++) {
            free(trace->associations[i].sides[side].addresses);
            free(trace->associations[i].sides[side].outstanding);
        }
    }
    while (trace->blocks) {
        struct trace_block *next = trace->blocks->next;

        free(trace->blocks);
        trace->blocks = next;
    }
    trace_map_free(&trace->by_tag);
    trace_map_free(&trace->by_address);
    trace_map_free(&trace->by_tsn);
    free(trace->packets);
    free(trace->associations);
    free(trace->records);
    free(trace);
}
