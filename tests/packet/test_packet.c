/*
 * Tests: the common header, the CRC32c, the walk over chunks and parameters, and the writer.
 *
 * RFC 9260 section 3.1, 3.2, 3.2.1, 6.8 and appendix A; RFC 9653. The CRC32c vectors are those of
 * RFC 3720 appendix B.4.
 */
#include "hex.h"

static void crc32c_known_vectors(void **state)
{
    uint8_t bytes[32];

    (void)state;
    assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(bytes, 0), 0);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x46dd794e);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(bytes, sizeof(bytes)), 0x113fdb5c);
}

/* The same by the definition, a bit at a time, at every length and alignment that matters. */
static void crc32c_bit_by_bit(void **state)
{
    uint8_t bytes[300];
    uint32_t expected = UINT32_MAX;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    for (size_t i = 1; i < sizeof(bytes); i++) {
        expected ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            expected = expected & 1 ? expected >> 1 ^ 0x82f63b78 : expected >> 1;
        assert_int_equal(crc32c(bytes + 1, i), ~expected);
    }
}

static void checksum_of_a_packet(void **state)
{
    struct sctp_common_header header = {
        .source_port = 36412, .destination_port = 5001, .verification_tag = 0xdeadbeef};
    struct sctp_common_header read;
    struct packet_writer writer;
    uint8_t bytes[64];

    (void)state;
    packet_writer_init(&writer, bytes, sizeof(bytes));
    packet_write_common_header(&writer, &header);
    chunk_write(&writer, SCTP_CHUNK_COOKIE_ACK, 0, NULL, 0);
    assert_true(packet_finish(&writer));
    assert_int_equal(packet_read_checksum(bytes), packet_compute_checksum(bytes, writer.length));
    assert_true(packet_verify_checksum(bytes, writer.length));

    /* It stands in the packet least significant byte first (RFC 9260 appendix A). */
    assert_int_equal(bytes[8], packet_read_checksum(bytes) & 0xff);
    assert_int_equal(bytes[11], packet_read_checksum(bytes) >> 24);

    assert_true(packet_read_common_header(bytes, writer.length, &read));
    assert_memory_equal(&read, &header, sizeof(header));
    for (size_t bit = 0; bit < writer.length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(packet_verify_checksum(bytes, writer.length));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(packet_verify_checksum(bytes, 11));
    assert_false(packet_read_common_header(bytes, 11, &read));
}

static void packet_without_checksum(void **state)
{
    struct sctp_common_header header = {
        .source_port = 1, .destination_port = 2, .verification_tag = 3};
    struct packet_writer writer;
    uint8_t bytes[16];

    (void)state;
    packet_writer_init(&writer, bytes, sizeof(bytes));
    assert_false(packet_finish(&writer)); /* no common header yet */
    packet_write_common_header(&writer, &header);
    chunk_write(&writer, SCTP_CHUNK_SHUTDOWN_ACK, 0, NULL, 0);
    assert_true(packet_finish(&writer));
    assert_true(packet_finish_without_checksum(&writer));
    assert_written(&writer, "0001 0002 00000003 00000000 08 00 0004");
    assert_int_equal(packet_read_checksum(bytes), 0);
}

/* A packet of a common header and what `hex` says, walked over in memory of exactly its size. */
static void assert_walk(const char *hex, size_t chunks, bool malformed)
{
    uint8_t scratch[256] = {0};
    size_t length =
        SCTP_COMMON_HEADER_LENGTH + hex_read(hex, scratch + SCTP_COMMON_HEADER_LENGTH,
                                             sizeof(scratch) - SCTP_COMMON_HEADER_LENGTH);
    uint8_t *packet = malloc(length);
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    size_t seen = 0;

    assert_non_null(packet);
    memcpy(packet, scratch, length);
    chunk_iterator_init(&iterator, packet, length);
    while (chunk_next(&iterator, &chunk)) {
        assert_true(chunk.bytes >= packet && chunk.bytes + chunk.length <= packet + length);
        assert_ptr_equal(chunk.value, chunk.bytes + 4);
        assert_int_equal(chunk.value_length, chunk.length - 4);
        seen++;
    }
    assert_int_equal(seen, chunks);
    assert_int_equal(iterator.malformed, malformed);
    assert_false(chunk_next(&iterator, &chunk)); /* the end stays the end */
    free(packet);
}

static void walk_over_chunks(void **state)
{
    (void)state;
    assert_walk("", 0, false);
    assert_walk("0b000004", 1, false);
    assert_walk("0b000004 08000004", 2, false);
    assert_walk("0a000005 aa000000 0b000004", 2, false);
    assert_walk("0b000004 0a000005 aa", 2, false);   /* without the padding at the end */
    assert_walk("0b000004 0a000005 aa00", 2, false); /* with some of it */
    assert_walk("0b000004 00", 1, true);             /* scraps */
    assert_walk("0b000004 000000", 1, true);
    assert_walk("0b000004 0b000003", 1, true); /* shorter than its own header */
    assert_walk("0b000004 0b000000", 1, true);
    assert_walk("0b000004 0b000005", 1, true); /* longer than the packet */
    assert_walk("0b00ffff", 0, true);
}

static void walk_over_a_short_packet(void **state)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    uint8_t packet[11] = {0};

    (void)state;
    chunk_iterator_init(&iterator, packet, sizeof(packet));
    assert_false(chunk_next(&iterator, &chunk));
    assert_true(iterator.malformed);
}

static void assert_parameter_walk(const char *hex, size_t parameters, bool malformed)
{
    uint8_t scratch[256];
    size_t length = hex_read(hex, scratch, sizeof(scratch));
    uint8_t *bytes = malloc(length);
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    size_t seen = 0;

    assert_non_null(bytes);
    memcpy(bytes, scratch, length);
    parameter_iterator_init(&iterator, bytes, length);
    while (parameter_next(&iterator, &parameter)) {
        assert_true(parameter.bytes + parameter.length <= bytes + length);
        seen++;
    }
    assert_int_equal(seen, parameters);
    assert_int_equal(iterator.malformed, malformed);
    free(bytes);
}

static void walk_over_parameters(void **state)
{
    (void)state;
    assert_parameter_walk("8000 0004", 1, false);
    assert_parameter_walk("8000 0004 8008 0006 c180 0000 c000 0004", 3, false);
    assert_parameter_walk("8000 0004 8008 0006 c180", 2, false); /* padding left out */
    assert_parameter_walk("8000 0004 8008 0005 c1 000000", 2, false);
    assert_parameter_walk("8000", 0, true);
    assert_parameter_walk("8000 0003", 0, true);
    assert_parameter_walk("8000 0004 8008 0009 c1c2c3c4", 1, true);
}

static void unknown_types(void **state)
{
    (void)state;
    for (unsigned int type = 0; type < 256; type++) {
        struct sctp_unknown_action action = chunk_unknown_action((uint8_t)type);

        assert_int_equal(action.stop, type < 0x80);
        assert_int_equal(action.report, type / 0x40 % 2);
    }
    for (unsigned int type = 0; type < 65536; type++) {
        struct sctp_unknown_action action = parameter_unknown_action((uint16_t)type);

        assert_int_equal(action.stop, type < 0x8000);
        assert_int_equal(action.report, type / 0x4000 % 2);
    }
}

/* Parameters of odd lengths, one within the other, with the padding where the RFC wants it. */
static void nested_parameters(void **state)
{
    struct packet_writer writer;
    uint8_t bytes[64];
    size_t chunk;
    size_t outer;

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    packet_writer_init(&writer, bytes, sizeof(bytes));
    chunk = chunk_begin(&writer, 0x3f, 0x80);
    parameter_write(&writer, 0x8001, "a", 1);
    outer = parameter_begin(&writer, 0x8002);
    parameter_write(&writer, 0x8003, "bcd", 3);
    parameter_write(&writer, 0x8004, "ef", 2);
    parameter_end(&writer, outer);
    chunk_end(&writer, chunk);
    assert_written(&writer, "3f80 001e 8001 0005 61000000"
                            "8002 0012 8003 0007 62636400 8004 0006 6566 0000");
}

/* Whatever the capacity: nothing is written behind it, and that something is missing is told. */
static void overflow(void **state)
{
    static const char value[5] = "value";
    struct packet_writer writer;

    (void)state;
    for (size_t capacity = 0; capacity <= 40; capacity++) {
        struct sctp_common_header header = {0};
        uint8_t *bytes = malloc(capacity + 1);
        size_t chunk;

        assert_non_null(bytes);
        bytes[capacity] = 0xee;
        packet_writer_init(&writer, bytes, capacity);
        packet_write_common_header(&writer, &header);
        chunk = chunk_begin(&writer, SCTP_CHUNK_ERROR, 0);
        parameter_write(&writer, 0x8001, value, sizeof(value));
        parameter_write(&writer, 0x8002, value, sizeof(value));
        chunk_end(&writer, chunk);
        assert_int_equal(packet_finish(&writer), capacity >= 40);
        assert_int_equal(writer.overflowed, capacity < 40);
        assert_true(writer.length <= capacity);
        assert_int_equal(bytes[capacity], 0xee);
        free(bytes);
    }
}

static void rewind_forgets(void **state)
{
    struct packet_writer writer;
    uint8_t bytes[8];

    (void)state;
    packet_writer_init(&writer, bytes, sizeof(bytes));
    chunk_write(&writer, SCTP_CHUNK_COOKIE_ACK, 0, NULL, 0);
    assert_int_equal(packet_writer_room(&writer), 4);
    chunk_write(&writer, SCTP_CHUNK_COOKIE_ECHO, 0, "cookie", 6);
    assert_true(writer.overflowed);
    chunk_write(&writer, SCTP_CHUNK_SHUTDOWN_ACK, 0, NULL, 0); /* would fit, but it is too late */
    assert_true(writer.overflowed);
    packet_writer_rewind(&writer, 4);
    chunk_write(&writer, SCTP_CHUNK_SHUTDOWN_ACK, 0, NULL, 0);
    assert_written(&writer, "0b000004 08000004");
}

/* A chunk's length has 16 bits, however large the buffer. */
static void longest_chunk(void **state)
{
    const size_t capacity = 70000;
    uint8_t *bytes = malloc(capacity);
    uint8_t *value = calloc(1, capacity);
    struct packet_writer writer;

    (void)state;
    assert_non_null(bytes);
    assert_non_null(value);
    packet_writer_init(&writer, bytes, capacity);
    chunk_write(&writer, SCTP_CHUNK_PAD, 0, value, UINT16_MAX - 4);
    assert_false(writer.overflowed);
    assert_int_equal(only_chunk(&writer).length, UINT16_MAX);
    packet_writer_rewind(&writer, 0);
    chunk_write(&writer, SCTP_CHUNK_PAD, 0, value, UINT16_MAX - 3);
    assert_true(writer.overflowed);
    free(value);
    free(bytes);
}

static struct braid_address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return braid_address_ipv4((uint8_t[4]){a, b, c, d});
}

static struct braid_address ipv6(const char *hex)
{
    uint8_t bytes[16];

    assert_int_equal(hex_read(hex, bytes, sizeof(bytes)), sizeof(bytes));
    return braid_address_ipv6(bytes, 0);
}

static void addresses(void **state)
{
    struct braid_address any = ipv4(0, 0, 0, 0);
    struct braid_address loopback = ipv4(127, 8, 8, 8);
    struct braid_address link = ipv4(169, 254, 1, 2);
    struct braid_address private = ipv4(172, 31, 0, 1);
    struct braid_address global = ipv4(172, 32, 0, 1);
    struct braid_address multicast = ipv4(239, 1, 1, 1);
    struct braid_address broadcast = ipv4(255, 255, 255, 255);
    struct braid_address mapped = ipv6("0000 0000 0000 0000 0000 ffff 7f08 0808");
    struct braid_address loopback6 = ipv6("0000 0000 0000 0000 0000 0000 0000 0001");
    struct braid_address link6 = ipv6("fe80 0000 0000 0000 0000 0000 0000 0001");
    struct braid_address other_link6 = braid_address_ipv6(link6.bytes, 2);
    struct braid_address private6 = ipv6("fd00 0000 0000 0000 0000 0000 0000 0001");
    struct braid_address global6 = ipv6("2001 0db8 0000 0000 0000 0000 0000 0001");
    struct braid_address multicast6 = ipv6("ff02 0000 0000 0000 0000 0000 0000 0001");
    struct braid_address normal = braid_address_normalise(&mapped);

    (void)state;
    assert_true(braid_address_is_unspecified(&any));
    assert_false(braid_address_is_unicast(&any));
    assert_false(braid_address_is_unicast(&multicast));
    assert_false(braid_address_is_unicast(&multicast6));
    assert_false(braid_address_is_unicast(&broadcast));
    assert_true(braid_address_is_unicast(&global));
    assert_int_equal(braid_address_reach(&loopback), BRAID_REACH_LOOPBACK);
    assert_int_equal(braid_address_reach(&link), BRAID_REACH_LINK);
    assert_int_equal(braid_address_reach(&private), BRAID_REACH_PRIVATE);
    assert_int_equal(braid_address_reach(&global), BRAID_REACH_GLOBAL);
    assert_int_equal(braid_address_reach(&loopback6), BRAID_REACH_LOOPBACK);
    assert_int_equal(braid_address_reach(&link6), BRAID_REACH_LINK);
    assert_int_equal(braid_address_reach(&private6), BRAID_REACH_PRIVATE);
    assert_int_equal(braid_address_reach(&global6), BRAID_REACH_GLOBAL);
    assert_true(braid_address_equal(&normal, &loopback));
    assert_false(braid_address_equal(&mapped, &loopback));
    assert_false(braid_address_equal(&link6, &other_link6));
    normal = braid_address_normalise(&global6);
    assert_true(braid_address_equal(&normal, &global6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_known_vectors),
        cmocka_unit_test(crc32c_bit_by_bit),
        cmocka_unit_test(checksum_of_a_packet),
        cmocka_unit_test(packet_without_checksum),
        cmocka_unit_test(walk_over_chunks),
        cmocka_unit_test(walk_over_a_short_packet),
        cmocka_unit_test(walk_over_parameters),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(nested_parameters),
        cmocka_unit_test(overflow),
        cmocka_unit_test(rewind_forgets),
        cmocka_unit_test(longest_chunk),
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
