/*
 * Packets of an enemy. See hostile.h.
 */
#include "hostile.h"
#include "packet/reconfig.h"

static uint16_t random_u16(struct peer *peer)
{
    return (uint16_t)below(peer, 65536);
}

/* A TSN of some interest around `tsn`. */
static uint32_t near(struct peer *peer, uint32_t tsn)
{
    switch (below(peer, 4)) {
    case 0:
        return tsn;
    case 1:
        return tsn + below(peer, 20);
    case 2:
        return tsn - below(peer, 20);
    default:
        return chance(peer, 0.8) ? tsn + below(peer, 3) : (uint32_t)random_next(&peer->random);
    }
}

/* ---- Chunks that make sense, more or less -----------------------------------------------------
 */

static void write_parameters(struct peer *peer, bool init_ack)
{
    static const uint16_t types[] = {
        1, 5, 6, 7, 8, 9, 11, 12, 0x3ff0, 0x7ff0, 0x8000, 0x8008, 0xbff0, 0xc000, 0xc006, 0xfff0};
    uint8_t value[64];

    if (init_ack && chance(peer, 0.8))
        parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    for (uint32_t i = below(peer, 6); i > 0; i--) {
        random_bytes(&peer->random, value, sizeof(value));
        if (chance(peer, 0.5))
            address_parameter_write(&peer->writer, &peer->there[below(peer, PATHS)]);
        else
            parameter_write(&peer->writer, types[below(peer, sizeof(types) / sizeof(types[0]))],
                            value, below(peer, sizeof(value)));
    }
}

static void write_init(struct peer *peer, uint8_t type)
{
    struct sctp_init init = {.initiate_tag = peer->tag,
                             .a_rwnd = chance(peer, 0.1) ? below(peer, 2000) : 50000,
                             .outbound_streams = (uint16_t)below(peer, 30),
                             .inbound_streams = (uint16_t)below(peer, 30),
                             .initial_tsn = peer->initial_tsn};
    size_t start;

    /* a new tag: what follows is another association, and no old TSN comes back */
    if (type == SCTP_CHUNK_INIT)
        init.initiate_tag = (uint32_t)random_next(&peer->random);
    start = init_begin(&peer->writer, type, &init);
    if (chance(peer, 0.5))
        write_parameters(peer, type == SCTP_CHUNK_INIT_ACK);
    else if (type == SCTP_CHUNK_INIT_ACK)
        parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    chunk_end(&peer->writer, start);
}

static void write_sack(struct peer *peer)
{
    struct sctp_gap_ack_block blocks[8];
    uint32_t duplicates[4];
    size_t count = below(peer, 8);

    for (size_t i = 0; i < count; i++)
        blocks[i] =
            (struct sctp_gap_ack_block){(uint16_t)below(peer, 40), (uint16_t)below(peer, 40)};
    random_bytes(&peer->random, duplicates, sizeof(duplicates));
    sack_write(&peer->writer, near(peer, peer->engine_initial_tsn), below(peer, 100000), blocks,
               count, duplicates, below(peer, 4));
}

static void write_forward_tsn(struct peer *peer)
{
    struct sctp_skipped_stream skipped[4];
    size_t count = below(peer, 4);

    for (size_t i = 0; i < count; i++)
        skipped[i] =
            (struct sctp_skipped_stream){(uint16_t)below(peer, 25), (uint16_t)below(peer, 10)};
    forward_tsn_write(&peer->writer, near(peer, peer->initial_tsn + below(peer, 60)), skipped,
                      count);
}

/* ASCONF with requests about addresses, or the answer to one (RFC 5061, 4.1 and 4.2). */
static void write_asconf(struct peer *peer, uint8_t type)
{
    static const uint16_t requests[] = {0xc001, 0xc002, 0xc003, 0xc004, 0xc005, 0xc006};
    size_t start = chunk_begin(&peer->writer, type, 0);

    packet_write_u32(
        &peer->writer,
        near(peer, type == SCTP_CHUNK_ASCONF ? peer->initial_tsn : peer->engine_initial_tsn));
    if (type == SCTP_CHUNK_ASCONF && chance(peer, 0.95))
        address_parameter_write(&peer->writer, &peer->there[below(peer, PATHS)]);
    for (uint32_t i = below(peer, 4); i > 0; i--) {
        size_t request = parameter_begin(&peer->writer, requests[below(peer, 6)]);

        packet_write_u32(&peer->writer, below(peer, 4));
        if (chance(peer, 0.8))
            address_parameter_write(&peer->writer, chance(peer, 0.8)
                                                       ? &peer->there[below(peer, PATHS)]
                                                       : &peer->here[below(peer, PATHS)]);
        parameter_end(&peer->writer, request);
    }
    chunk_end(&peer->writer, start);
}

static void write_i_data(struct peer *peer)
{
    static const uint8_t payload[600];
    struct sctp_data data = {.tsn = near(peer, peer->initial_tsn + below(peer, 60)),
                             .stream = (uint16_t)below(peer, 25),
                             .flags = (uint8_t)below(peer, 16),
                             .payload = payload,
                             .payload_length = (uint16_t)below(peer, sizeof(payload))};

    data.mid = near(peer, below(peer, 10));
    if (data.flags & SCTP_DATA_FLAG_BEGINNING)
        data.ppid = below(peer, 4);
    else
        data.fsn = near(peer, below(peer, 4));
    i_data_write(&peer->writer, &data);
}

static void write_i_forward_tsn(struct peer *peer)
{
    struct sctp_skipped_messages skipped[4];
    size_t count = below(peer, 4);

    for (size_t i = 0; i < count; i++)
        skipped[i] = (struct sctp_skipped_messages){.stream = (uint16_t)below(peer, 25),
                                                    .unordered = chance(peer, 0.5),
                                                    .mid = near(peer, below(peer, 10))};
    i_forward_tsn_write(&peer->writer, near(peer, peer->initial_tsn + below(peer, 60)), skipped,
                        count);
}

/* RE-CONFIG with requests and answers (RFC 6525, 4.1 to 4.6). */
static void write_reconfig(struct peer *peer)
{
    size_t start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);

    for (uint32_t i = 1 + below(peer, 2); i > 0; i--) {
        uint16_t type = (uint16_t)(SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST + below(peer, 6));
        size_t parameter = parameter_begin(&peer->writer, type);
        bool response = type == SCTP_PARAMETER_RE_CONFIG_RESPONSE;

        packet_write_u32(&peer->writer,
                         near(peer, response ? peer->engine_initial_tsn : peer->initial_tsn));
        if (type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST) {
            packet_write_u32(&peer->writer, near(peer, peer->engine_initial_tsn));
            packet_write_u32(&peer->writer, near(peer, peer->initial_tsn));
        } else if (response) {
            packet_write_u32(&peer->writer, below(peer, 8));
        }
        for (uint32_t j = below(peer, 3); j > 0; j--)
            packet_write_u32(&peer->writer, below(peer, 25) << 16 | below(peer, 25));
        parameter_end(&peer->writer, parameter);
    }
    chunk_end(&peer->writer, start);
}

static void write_causes(struct peer *peer, size_t start)
{
    uint8_t value[40];

    for (uint32_t i = below(peer, 4); i > 0; i--) {
        random_bytes(&peer->random, value, sizeof(value));
        parameter_write(&peer->writer, (uint16_t)below(peer, 15), value,
                        below(peer, sizeof(value)));
    }
    chunk_end(&peer->writer, start);
}

void hostile_write_chunk(struct peer *peer)
{
    uint8_t value[200];

    random_bytes(&peer->random, value, sizeof(value));
    switch (below(peer, 30)) {
    case 0:
        write_init(peer, SCTP_CHUNK_INIT);
        break;
    case 1:
        write_init(peer, SCTP_CHUNK_INIT_ACK);
        break;
    case 2:
    case 3:
        write_sack(peer);
        break;
    case 4:
        heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, value, below(peer, sizeof(value)));
        break;
    case 5:
        heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, value, below(peer, sizeof(value)));
        break;
    case 6:
        if (chance(peer, 0.1))
            write_causes(peer, abort_begin(&peer->writer, chance(peer, 0.2)));
        break;
    case 7:
        if (chance(peer, 0.3))
            shutdown_write(&peer->writer, near(peer, peer->engine_initial_tsn));
        break;
    case 8:
        shutdown_ack_write(&peer->writer);
        break;
    case 9:
        write_causes(peer, error_begin(&peer->writer));
        break;
    case 10:
        cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
        break;
    case 11:
        cookie_ack_write(&peer->writer);
        break;
    case 12:
        shutdown_complete_write(&peer->writer, chance(peer, 0.5));
        break;
    case 13:
        chunk_write(&peer->writer, (uint8_t)below(peer, 256), (uint8_t)below(peer, 256), value,
                    below(peer, sizeof(value)));
        break;
    case 14:
    case 15:
        write_forward_tsn(peer);
        break;
    case 16:
        write_asconf(peer, SCTP_CHUNK_ASCONF);
        break;
    case 17:
        write_asconf(peer, SCTP_CHUNK_ASCONF_ACK);
        break;
    case 18:
    case 19:
        write_i_data(peer);
        break;
    case 20:
        write_i_forward_tsn(peer);
        break;
    case 21:
        write_reconfig(peer);
        break;
    default:
        peer_write_data(peer, near(peer, peer->initial_tsn + below(peer, 60)),
                        (uint16_t)below(peer, 25), (uint16_t)below(peer, 10),
                        (uint8_t)below(peer, 16), below(peer, 600));
    }
}

/* ---- What is done to them ---------------------------------------------------------------------
 */

void hostile_alter(struct peer *peer)
{
    struct packet_writer *writer = &peer->writer;
    uint32_t room = (uint32_t)writer->length - SCTP_COMMON_HEADER_LENGTH;

    if (room < 4)
        return;
    switch (below(peer, 4)) {
    case 0: /* bits */
        for (uint32_t i = below(peer, 4) + 1; i > 0; i--)
            writer->bytes[SCTP_COMMON_HEADER_LENGTH + below(peer, room)] ^=
                (uint8_t)(1U << below(peer, 8));
        break;
    case 1: /* the first chunk's length */
        wire_put_u16(writer->bytes + SCTP_COMMON_HEADER_LENGTH + 2,
                     chance(peer, 0.5) ? random_u16(peer) : (uint16_t)below(peer, room + 8));
        break;
    case 2: /* the end */
        writer->length -= below(peer, room + 1);
        break;
    default: /* a length somewhere within */
        wire_put_u16(writer->bytes + SCTP_COMMON_HEADER_LENGTH + 4 * (size_t)below(peer, room / 4) +
                         2,
                     (uint16_t)below(peer, 60));
    }
}
