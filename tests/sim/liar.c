/*
 * A peer that lies: how packets are rewritten. See liar.h.
 */
#include "liar.h"

#include "engine/hostile.h"
#include "engine/watcher.h"

enum {
    TAGS = 64,             /* associations whose numbers are known, by the peer's tag */
    KEPT = 8,              /* packets of before */
    COOKIES_ECHOED = 6,    /* beside those of its engine: each makes an association or a restart */
    ODD_CHUNK = 0x9e,      /* of no type that is known: skipped in silence, */
    REPORTED_CHUNK = 0xde, /* or reported */
};

struct numbers {
    uint32_t tag, tsn, cumulative_tsn_ack;
};

struct liar {
    struct world *world;
    enum lies lies;
    uint64_t count;
    unsigned int cookies_echoed;
    uint32_t
        invented_tag; /* of the last INIT that its engine does not know; 0: its cookie was used */
    struct numbers numbers[TAGS];
    struct kept {
        unsigned int host;
        struct braid_batch batch; /* its addresses count */
        size_t length;
        uint8_t bytes[65536];
    } kept[KEPT];
    struct peer author; /* who writes: its random numbers are the scenario's for the time */
    struct random_generator *random;
};

struct liar *liar_new(struct world *world, struct random_generator *random, enum lies lies)
{
    struct liar *liar = calloc(1, sizeof(*liar));

    assert_non_null(liar);
    liar->world = world;
    liar->random = random;
    liar->lies = lies;
    return liar;
}

void liar_free(struct liar *liar)
{
    free(liar);
}

uint64_t liar_count(const struct liar *liar)
{
    return liar->count;
}

/* ---- What leaves the host ---------------------------------------------------------------------
 */

static void send_bytes(struct liar *liar, struct host *host, const struct braid_batch *like,
                       uint8_t *bytes, size_t length)
{
    struct braid_batch batch = *like;

    watcher_scripted(liar->world->watcher, host->number, bytes, length);
    batch.bytes = bytes;
    batch.count = 1;
    batch.length = batch.segment_size = length;
    (void)link_send(host->link, &batch); /* whatever it says, SCTP takes it as loss */
}

/* The packet that the author has written. */
static void send_written(struct liar *liar, struct host *host, const struct braid_batch *like,
                         bool without_checksum)
{
    struct packet_writer *writer = &liar->author.writer;

    if (writer->length <= SCTP_COMMON_HEADER_LENGTH || writer->overflowed ||
        !(without_checksum ? packet_finish_without_checksum(writer) : packet_finish(writer)))
        return;
    liar->count++;
    send_bytes(liar, host, like, writer->bytes, writer->length);
}

static void begin(struct liar *liar, const struct sctp_common_header *header)
{
    packet_writer_init(&liar->author.writer, liar->author.packet, sizeof(liar->author.packet));
    packet_write_common_header(&liar->author.writer, header);
}

/* ---- What may be said -------------------------------------------------------------------------
 */

/* 6.2.1, D iv: what was in a gap ack block need not be in the next. */
static void write_odd_sack(struct peer *author, const struct sctp_chunk *chunk)
{
    struct sctp_gap_ack_block blocks[64];
    uint32_t duplicates[3];
    struct sctp_sack sack;
    size_t count = 0;

    if (!sack_read(chunk, &sack)) {
        chunk_write(&author->writer, chunk->type, chunk->flags, chunk->value, chunk->value_length);
        return;
    }
    if (chance(author, 0.3))
        sack.a_rwnd = chance(author, 0.4) ? 0 : below(author, 200000) >> below(author, 16);
    for (uint16_t i = 0; i < sack.gap_ack_block_count && count < 64; i++)
        if (!chance(author, 0.2))
            blocks[count++] = sack_gap_ack_block(&sack, i);
    random_bytes(&author->random, duplicates, sizeof(duplicates));
    sack_write(&author->writer, sack.cumulative_tsn_ack, sack.a_rwnd, blocks, count, duplicates,
               chance(author, 0.1) ? 3 : 0);
}

static bool is_data(const struct sctp_chunk *chunk)
{
    return chunk->type == SCTP_CHUNK_DATA || chunk->type == SCTP_CHUNK_I_DATA;
}

static void write_oddly(struct peer *author, const struct sctp_chunk *chunk)
{
    uint8_t flags = chunk->flags;

    if (chunk->type == SCTP_CHUNK_SACK) {
        write_odd_sack(author, chunk);
        return;
    }
    if (is_data(chunk) && chance(author, 0.2))
        flags ^= SCTP_DATA_FLAG_IMMEDIATE;
    if (is_data(chunk) && chance(author, 0.1))
        flags |= (uint8_t)(below(author, 16) << 4); /* reserved: "ignored on receipt" */
    chunk_write(&author->writer, chunk->type, flags, chunk->value, chunk->value_length);
}

static void write_nonsense(struct peer *author)
{
    static const uint8_t types[] = {ODD_CHUNK, REPORTED_CHUNK, SCTP_CHUNK_PAD};
    uint8_t value[100];

    random_bytes(&author->random, value, sizeof(value));
    chunk_write(&author->writer, types[below(author, 3)], (uint8_t)below(author, 256), value,
                below(author, sizeof(value)));
}

/* Each chunk in a packet of its own, the last one first. */
static void send_apart(struct liar *liar, struct host *host, const struct braid_batch *batch,
                       const struct sctp_common_header *header, const struct sctp_chunk *chunks,
                       size_t count, bool without_checksum)
{
    while (count-- > 0) {
        begin(liar, header);
        write_oddly(&liar->author, &chunks[count]);
        send_written(liar, host, batch, without_checksum);
    }
}

/* ---- What may not be said ---------------------------------------------------------------------
 */

static void twist_number(struct peer *author, uint8_t *bytes, size_t length)
{
    size_t width = chance(author, 0.5) ? 2 : 4;
    size_t fields = (length < 28 ? length : 28) / width;
    uint32_t change = 1 + below(author, chance(author, 0.7) ? 3 : 70000), number;

    if (fields == 0)
        return;
    bytes += width * below(author, (uint32_t)fields);
    number = width == 2 ? wire_get_u16(bytes) : wire_get_u32(bytes);
    if (chance(author, 0.1))
        number = chance(author, 0.5) ? 0 : UINT32_MAX;
    else
        number = chance(author, 0.5) ? number + change : number - change;
    if (width == 2)
        wire_put_u16(bytes, (uint16_t)number);
    else
        wire_put_u32(bytes, number);
}

/* The chunk that was written last, from `at` on. */
static void twist(struct peer *author, size_t at)
{
    static const uint8_t types[] = {
        SCTP_CHUNK_DATA,      SCTP_CHUNK_I_DATA,        SCTP_CHUNK_SACK,
        SCTP_CHUNK_SHUTDOWN,  SCTP_CHUNK_SHUTDOWN_ACK,  SCTP_CHUNK_COOKIE_ACK,
        SCTP_CHUNK_HEARTBEAT, SCTP_CHUNK_HEARTBEAT_ACK, SCTP_CHUNK_FORWARD_TSN,
        SCTP_CHUNK_RE_CONFIG, SCTP_CHUNK_I_FORWARD_TSN, SCTP_CHUNK_ASCONF_ACK};
    struct packet_writer *writer = &author->writer;
    uint8_t *bytes = writer->bytes + at;

    if (writer->overflowed || writer->length < at + SCTP_CHUNK_HEADER_LENGTH)
        return;
    switch (below(author, 8)) {
    case 0:
        bytes[0] = types[below(author, sizeof(types))];
        break;
    case 1:
        bytes[1] ^= (uint8_t)(1U << below(author, 8));
        break;
    case 2:
        wire_put_u16(bytes + 2, (uint16_t)(wire_get_u16(bytes + 2) + below(author, 9) - 4));
        break;
    default:
        twist_number(author, bytes + SCTP_CHUNK_HEADER_LENGTH,
                     writer->length - at - SCTP_CHUNK_HEADER_LENGTH);
    }
}

static void write_falsely(struct peer *author, const struct sctp_chunk *chunk)
{
    size_t at = author->writer.length;

    if (chance(author, 0.05))
        return;
    write_oddly(author, chunk);
    /* another TSN for the same tag would be another association to the watcher */
    if (chance(author, 0.3) && chunk->type != SCTP_CHUNK_INIT && chunk->type != SCTP_CHUNK_INIT_ACK)
        twist(author, at);
    if (chance(author, 0.03))
        chunk_write(&author->writer, chunk->type, chunk->flags, chunk->value, chunk->value_length);
}

/* Whom the packet is for; the author then writes of the addresses of both, and of others'. */
static void know_addresses(struct liar *liar, const struct host *host,
                           const struct braid_address *destination)
{
    const struct host *to = host;
    unsigned int addresses = host->address_count > 1 ? host->address_count : 1;

    for (unsigned int i = 0; i < liar->world->count; i++)
        for (unsigned int j = 0; j < addresses; j++)
            if (braid_address_equal(&liar->world->hosts[i].addresses[j], destination))
                to = &liar->world->hosts[i];
    for (unsigned int i = 0; i < PATHS; i++) {
        const struct host *other = &liar->world->hosts[below(&liar->author, liar->world->count)];

        liar->author.here[i] = to->addresses[i % addresses];
        liar->author.there[i] = chance(&liar->author, 0.8) ? host->addresses[i % addresses]
                                                           : other->addresses[i % addresses];
    }
}

static void know_numbers(struct liar *liar, uint32_t tag, const struct sctp_chunk *chunk)
{
    struct numbers *numbers = &liar->numbers[tag % TAGS];
    struct sctp_cookie_echo echo;

    if (numbers->tag != tag)
        *numbers = (struct numbers){.tag = tag};
    if (is_data(chunk) && chunk->value_length >= 4)
        numbers->tsn = wire_get_u32(chunk->value);
    else if (chunk->type == SCTP_CHUNK_SACK && chunk->value_length >= 4)
        numbers->cumulative_tsn_ack = wire_get_u32(chunk->value);
    else if (chunk->type == SCTP_CHUNK_COOKIE_ECHO && cookie_echo_read(chunk, &echo) &&
             echo.cookie_length <= sizeof(liar->author.cookie)) {
        memcpy(liar->author.cookie, echo.cookie, echo.cookie_length);
        liar->author.cookie_length = echo.cookie_length;
    }
    liar->author.initial_tsn = numbers->tsn;
    liar->author.engine_initial_tsn = numbers->cumulative_tsn_ack;
}

/* A packet that its engine knows nothing of. */
static void send_invented(struct liar *liar, struct host *host, const struct braid_batch *batch,
                          struct sctp_common_header header)
{
    struct peer *author = &liar->author;

    if (chance(author, 0.3)) {
        struct sctp_init init = {.initiate_tag =
                                     1 + (uint32_t)random_below(&author->random, UINT32_MAX),
                                 .a_rwnd = 1500 + below(author, 100000),
                                 .outbound_streams = (uint16_t)(1 + below(author, 20)),
                                 .inbound_streams = (uint16_t)(1 + below(author, 20)),
                                 .initial_tsn = (uint32_t)random_next(&author->random)};
        size_t start;

        liar->invented_tag = init.initiate_tag;
        header.verification_tag = 0;
        begin(liar, &header);
        start = init_begin(&author->writer, SCTP_CHUNK_INIT, &init);
        for (uint32_t i = below(author, 4); i > 0; i--)
            address_parameter_write(&author->writer, &author->there[below(author, PATHS)]);
        chunk_end(&author->writer, start);
    } else {
        begin(liar, &header);
        for (uint32_t i = 1 + below(author, 3); i > 0; i--)
            hostile_write_chunk(author);
    }
    send_written(liar, host, batch, false);
}

/* ---- One packet -------------------------------------------------------------------------------
 */

enum { CHUNKS_MAXIMUM = 200 };

/* The packet, told otherwise. */
static void retell(struct liar *liar, struct host *host, const struct braid_batch *batch,
                   const uint8_t *bytes, const struct sctp_chunk *chunks, size_t count)
{
    struct peer *author = &liar->author;
    bool without_checksum = packet_read_checksum(bytes) == 0, data = true;
    struct sctp_common_header header;

    assert_true(packet_read_common_header(bytes, SCTP_COMMON_HEADER_LENGTH, &header));
    for (size_t i = 0; i < count; i++) {
        data &= is_data(&chunks[i]) || chunks[i].type == SCTP_CHUNK_SACK;
        if (header.verification_tag != 0)
            know_numbers(liar, header.verification_tag, &chunks[i]);
    }
    if (data && count > 1 && chance(author, 0.3)) {
        send_apart(liar, host, batch, &header, chunks, count, without_checksum);
        return;
    }
    begin(liar, &header);
    for (size_t i = 0; i < count; i++) {
        if (liar->lies == LIES_HOSTILE)
            write_falsely(author, &chunks[i]);
        else
            write_oddly(author, &chunks[i]);
    }
    if (header.verification_tag != 0 && chunks[0].type != SCTP_CHUNK_INIT_ACK &&
        chunks[0].type != SCTP_CHUNK_SHUTDOWN_COMPLETE &&
        chunks[count - 1].type != SCTP_CHUNK_ABORT && chance(author, 0.2) &&
        author->writer.length + 104 < host->mtu / 2)
        write_nonsense(author);
    if (liar->lies == LIES_HOSTILE && chance(author, 0.1))
        hostile_write_chunk(author);
    if (liar->lies == LIES_HOSTILE && chance(author, 0.05))
        hostile_alter(author);
    send_written(liar, host, batch, without_checksum);
}

static void keep(struct liar *liar, const struct host *host, const struct braid_batch *batch,
                 const uint8_t *bytes, size_t length)
{
    struct kept *kept = &liar->kept[below(&liar->author, KEPT)];

    kept->host = host->number;
    kept->batch = *batch;
    kept->length = length;
    memcpy(kept->bytes, bytes, length);
}

static void tell(struct liar *liar, struct host *host, const struct braid_batch *batch,
                 uint8_t *bytes, size_t length)
{
    struct peer *author = &liar->author;
    struct kept *kept = &liar->kept[below(author, KEPT)];
    struct sctp_chunk chunks[CHUNKS_MAXIMUM];
    struct sctp_common_header header;
    struct chunk_iterator iterator;
    size_t count = 0;

    assert_true(packet_read_common_header(bytes, length, &header));
    chunk_iterator_init(&iterator, bytes, length);
    while (count < CHUNKS_MAXIMUM && chunk_next(&iterator, &chunks[count]))
        count++;
    know_addresses(liar, host, &batch->destination);
    /* what is behind AUTH cannot be changed */
    if (count < CHUNKS_MAXIMUM && chance(author, 0.4) &&
        (chunks[0].type != SCTP_CHUNK_AUTH || (liar->lies == LIES_HOSTILE && chance(author, 0.2))))
        retell(liar, host, batch, bytes, chunks, count);
    else
        send_bytes(liar, host, batch, bytes, length);
    if (liar->lies == LIES_HOSTILE && chance(author, 0.05))
        send_invented(liar, host, batch, header);
    if (kept->length > 0 && kept->host == host->number && chance(author, 0.03)) {
        liar->count++;
        send_bytes(liar, host, &kept->batch, kept->bytes, kept->length);
    }
    if (chance(author, 0.1))
        keep(liar, host, batch, bytes, length);
}

/* The scenario's randomness is the author's while it writes. */
static void borrow_random(struct liar *liar)
{
    liar->author.random = *liar->random;
}

static void return_random(struct liar *liar)
{
    *liar->random = liar->author.random;
}

void liar_transmit(struct liar *liar, struct host *host, const struct braid_batch *batch)
{
    borrow_random(liar);
    for (size_t i = 0; i < batch->count; i++) {
        size_t start = i * batch->segment_size;
        size_t length = i + 1 < batch->count ? batch->segment_size : batch->length - start;

        tell(liar, host, batch, batch->bytes + start, length);
    }
    return_random(liar);
}

/* An INIT ACK that its engine did not ask for is answered, once: the same tag and TSNs again would
 * be the same association to the watcher. */
void liar_received(struct liar *liar, struct host *host, const struct braid_packet *packet)
{
    struct peer *author = &liar->author;
    struct braid_batch batch = {.source = packet->destination,
                                .destination = packet->source,
                                .encapsulation_port = packet->encapsulation_port};
    struct sctp_common_header header;
    struct parameter_iterator parameters;
    struct sctp_parameter parameter;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct sctp_init init;

    if (liar->lies != LIES_HOSTILE || liar->cookies_echoed == COOKIES_ECHOED ||
        !packet_verify_checksum(packet->bytes, packet->length) ||
        !packet_read_common_header(packet->bytes, packet->length, &header) ||
        header.verification_tag != liar->invented_tag || liar->invented_tag == 0)
        return;
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    if (!chunk_next(&iterator, &chunk) || chunk.type != SCTP_CHUNK_INIT_ACK ||
        !init_read(&chunk, &init))
        return;
    borrow_random(liar);
    parameter_iterator_init(&parameters, init.parameters, init.parameters_length);
    while (parameter_next(&parameters, &parameter)) {
        if (parameter.type != SCTP_PARAMETER_STATE_COOKIE || chance(author, 0.5))
            continue;
        liar->cookies_echoed++;
        liar->invented_tag = 0;
        know_addresses(liar, host, &packet->source);
        begin(liar, &(struct sctp_common_header){header.destination_port, header.source_port,
                                                 init.initiate_tag});
        cookie_echo_write(&author->writer, parameter.value, parameter.value_length);
        while (chance(author, 0.5))
            hostile_write_chunk(author);
        send_written(liar, host, &batch, false);
        break;
    }
    return_random(liar);
}
