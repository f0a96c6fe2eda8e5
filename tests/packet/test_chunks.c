/*
 * Tests: every chunk, byte for byte, written and read back.
 *
 * RFC 9260 section 3.3, RFC 4960 appendix A, RFC 3758 section 3.2, RFC 4895 section 5.1, RFC 5061
 * section 4.1. What is expected is written down from the figures of those sections.
 */
#include "hex.h"
#include "packet/chunks.h"

/* Every test writes into this, and it is filled with rubbish before, so that padding shows. */
static uint8_t buffer[512];

static struct packet_writer fresh_writer(void)
{
    struct packet_writer writer;

    memset(buffer, 0xee, sizeof(buffer));
    packet_writer_init(&writer, buffer, sizeof(buffer));
    return writer;
}

static void data(void **state)
{
    struct sctp_data written = {.flags = SCTP_DATA_FLAG_BEGINNING | SCTP_DATA_FLAG_ENDING |
                                         SCTP_DATA_FLAG_IMMEDIATE,
                                .tsn = 0x01020304,
                                .stream = 0x0506,
                                .ssn = 0x0708,
                                .ppid = 0x090a0b0c,
                                .payload = (const uint8_t *)"hello",
                                .payload_length = 5};
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    struct sctp_data read = {0};

    (void)state;
    data_write(&writer, &written);
    assert_written(&writer, "00 0b 0015 01020304 0506 0708 090a0b0c 6865 6c6c 6f00 0000");
    assert_int_equal(data_written_length(5), 24);
    chunk = only_chunk(&writer);
    assert_true(data_read(&chunk, &read));
    assert_int_equal(read.flags, written.flags);
    assert_int_equal(read.tsn, written.tsn);
    assert_int_equal(read.stream, written.stream);
    assert_int_equal(read.ssn, written.ssn);
    assert_int_equal(read.ppid, written.ppid);
    assert_int_equal(read.payload_length, 5);
    assert_memory_equal(read.payload, "hello", 5);
}

static void data_of_any_length(void **state)
{
    static const uint8_t payload[8] = "abcdefgh";

    (void)state;
    for (size_t length = 0; length <= sizeof(payload); length++) {
        struct sctp_data written = {.payload = payload, .payload_length = (uint16_t)length};
        struct packet_writer writer = fresh_writer();
        struct sctp_chunk chunk;
        struct sctp_data read = {0};

        data_write(&writer, &written);
        assert_int_equal(writer.length, data_written_length(length));
        chunk = only_chunk(&writer);
        assert_true(data_read(&chunk, &read));
        assert_int_equal(read.payload_length, length);
        assert_memory_equal(read.payload, payload, length);
        for (size_t i = 16 + length; i < writer.length; i++)
            assert_int_equal(buffer[i], 0);
        assert_int_equal(buffer[writer.length], 0xee);
    }
}

static void data_that_does_not_fit(void **state)
{
    static const uint8_t payload[UINT16_MAX];
    static uint8_t large[70000];
    struct sctp_data written = {.payload = payload, .payload_length = 5};
    struct packet_writer writer;

    (void)state;
    memset(buffer, 0xee, sizeof(buffer));
    packet_writer_init(&writer, buffer, 23);
    data_write(&writer, &written);
    assert_true(writer.overflowed);
    assert_int_equal(writer.length, 0);
    assert_int_equal(buffer[0], 0xee);

    packet_writer_init(&writer, large, sizeof(large));
    written.payload_length = UINT16_MAX - 16;
    data_write(&writer, &written);
    assert_false(writer.overflowed);
    packet_writer_rewind(&writer, 0);
    written.payload_length = UINT16_MAX - 15;
    data_write(&writer, &written);
    assert_true(writer.overflowed);
}

static void init_and_init_ack(void **state)
{
    struct sctp_init written = {.initiate_tag = 0x11223344,
                                .a_rwnd = 0x00010000,
                                .outbound_streams = 10,
                                .inbound_streams = 0xffff,
                                .initial_tsn = 0xfffffffe};
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    struct sctp_init read;
    size_t start;

    (void)state;
    start = init_begin(&writer, SCTP_CHUNK_INIT, &written);
    parameter_write(&writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, "\xc1\x80\x0f", 3);
    parameter_write(&writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    chunk_end(&writer, start);
    assert_written(&writer, "01 00 0020 11223344 00010000 000a ffff fffffffe"
                            "8008 0007 c1800f00 c000 0004");
    chunk = only_chunk(&writer);
    assert_true(init_read(&chunk, &read));
    assert_int_equal(read.initiate_tag, written.initiate_tag);
    assert_int_equal(read.a_rwnd, written.a_rwnd);
    assert_int_equal(read.outbound_streams, 10);
    assert_int_equal(read.inbound_streams, 0xffff);
    assert_int_equal(read.initial_tsn, written.initial_tsn);
    assert_int_equal(read.parameters_length, 12);

    /* What was read can be written as it is. */
    packet_writer_init(&writer, buffer + 256, 256);
    init_write(&writer, SCTP_CHUNK_INIT_ACK, &read);
    assert_written(&writer, "02 00 0020 11223344 00010000 000a ffff fffffffe"
                            "8008 0007 c1800f00 c000 0004");
}

static void sack(void **state)
{
    static const struct sctp_gap_ack_block blocks[] = {{2, 3}, {5, 0xffff}};
    static const uint32_t duplicates[] = {0x01020304, 9};
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    struct sctp_sack read;

    (void)state;
    sack_write(&writer, 0xa1a2a3a4, 0xb1b2b3b4, blocks, 2, duplicates, 2);
    assert_written(&writer, "03 00 0020 a1a2a3a4 b1b2b3b4 0002 0002 0002 0003 0005 ffff"
                            "01020304 00000009");
    assert_int_equal(sack_written_length(2, 2), 32);
    chunk = only_chunk(&writer);
    assert_true(sack_read(&chunk, &read));
    assert_int_equal(read.cumulative_tsn_ack, 0xa1a2a3a4);
    assert_int_equal(read.a_rwnd, 0xb1b2b3b4);
    assert_int_equal(read.gap_ack_block_count, 2);
    assert_int_equal(read.duplicate_tsn_count, 2);
    assert_int_equal(sack_gap_ack_block(&read, 0).start, 2);
    assert_int_equal(sack_gap_ack_block(&read, 0).end, 3);
    assert_int_equal(sack_gap_ack_block(&read, 1).start, 5);
    assert_int_equal(sack_gap_ack_block(&read, 1).end, 0xffff);
    assert_int_equal(sack_duplicate_tsn(&read, 0), 0x01020304);
    assert_int_equal(sack_duplicate_tsn(&read, 1), 9);

    buffer[15] = 3; /* three duplicates are told of, there is room for two */
    assert_false(sack_read(&chunk, &read));
    buffer[15] = 2;
    buffer[12] = 0x80;
    assert_false(sack_read(&chunk, &read));

    writer = fresh_writer();
    sack_write(&writer, 1, 2, NULL, 0, NULL, 0);
    assert_written(&writer, "03 00 0010 00000001 00000002 0000 0000");
}

/* Of TSNs as they were said before, relative to another Cumulative TSN Ack. */
static void sack_repeated(void **state)
{
    enum { BLOCKS = 21, CUMULATIVE = 0x7ffff0 };
    struct sctp_gap_ack_block blocks[BLOCKS], halves[BLOCKS];
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    struct sctp_sack read;

    (void)state;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        blocks[i] = (struct sctp_gap_ack_block){(uint16_t)(i * 10 + 2), (uint16_t)(i * 10 + 5)};
        halves[i].start = (uint16_t)(CUMULATIVE + blocks[i].start); /* some are above 0x800000 */
        halves[i].end = (uint16_t)(CUMULATIVE + blocks[i].end);
    }
    sack_write(&writer, CUMULATIVE, 1000, blocks, BLOCKS, NULL, 0);
    chunk = only_chunk(&writer);
    assert_true(sack_read(&chunk, &read));
    assert_int_equal(sack_gap_ack_blocks_repeated(&read, 0, halves, BLOCKS), BLOCKS);
    assert_int_equal(sack_gap_ack_blocks_repeated(&read, 0, halves, 3), 3);
    assert_int_equal(sack_gap_ack_blocks_repeated(&read, 5, halves + 5, BLOCKS - 5), BLOCKS - 5);
    assert_int_equal(sack_gap_ack_blocks_repeated(&read, BLOCKS, halves, BLOCKS), 0);
    assert_int_equal(sack_gap_ack_blocks_repeated(&read, 0, halves + 1, BLOCKS - 1), 0);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        halves[i].end++;
        assert_int_equal(sack_gap_ack_blocks_repeated(&read, 0, halves, BLOCKS), i);
        halves[i].end--;
        halves[i].start--;
        assert_int_equal(sack_gap_ack_blocks_repeated(&read, 0, halves, BLOCKS), i);
        halves[i].start++;
    }
}

static void heartbeat(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_heartbeat read;
    struct sctp_chunk chunk;

    (void)state;
    heartbeat_write(&writer, SCTP_CHUNK_HEARTBEAT, "nonce", 5);
    assert_written(&writer, "04 00 000d 0001 0009 6e6f 6e63 6500 0000");
    chunk = only_chunk(&writer);
    assert_true(heartbeat_read(&chunk, &read));
    assert_int_equal(read.info_length, 5);
    assert_memory_equal(read.info, "nonce", 5);
    buffer[5] = 2; /* not a Heartbeat Info */
    assert_false(heartbeat_read(&chunk, &read));

    writer = fresh_writer();
    heartbeat_write(&writer, SCTP_CHUNK_HEARTBEAT_ACK, "n", 1);
    assert_written(&writer, "05 00 0009 0001 0005 6e00 0000");
}

static void abort_with_and_without_causes(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_abort read;
    struct sctp_chunk chunk;
    size_t start;

    (void)state;
    chunk_end(&writer, abort_begin(&writer, true));
    assert_written(&writer, "06 01 0004");
    chunk = only_chunk(&writer);
    assert_true(abort_read(&chunk, &read));
    assert_true(read.tag_reflected);
    assert_int_equal(read.causes_length, 0);

    writer = fresh_writer();
    start = abort_begin(&writer, false);
    parameter_write(&writer, SCTP_CAUSE_USER_INITIATED_ABORT, "bye", 3);
    chunk_end(&writer, start);
    assert_written(&writer, "06 00 000b 000c 0007 62796500");
    chunk = only_chunk(&writer);
    assert_true(abort_read(&chunk, &read));
    assert_false(read.tag_reflected);
    assert_int_equal(read.causes_length, 7);
}

static void error(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_error read;
    struct sctp_chunk chunk;
    size_t start;

    (void)state;
    start = error_begin(&writer);
    invalid_stream_identifier_write(&writer, 7);
    parameter_write(&writer, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
    chunk_end(&writer, start);
    assert_written(&writer, "09 00 0010 0001 0008 0007 0000 0004 0004");
    chunk = only_chunk(&writer);
    assert_true(error_read(&chunk, &read));
    assert_int_equal(read.causes_length, 12);

    writer = fresh_writer();
    chunk_end(&writer, error_begin(&writer));
    chunk = only_chunk(&writer);
    assert_false(error_read(&chunk, &read));
}

static void shutdown_sequence(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    uint32_t cumulative_tsn_ack;
    bool tag_reflected;

    (void)state;
    shutdown_write(&writer, 0xcafe0001);
    assert_written(&writer, "07 00 0008 cafe0001");
    chunk = only_chunk(&writer);
    assert_true(shutdown_read(&chunk, &cumulative_tsn_ack));
    assert_int_equal(cumulative_tsn_ack, 0xcafe0001);

    writer = fresh_writer();
    shutdown_ack_write(&writer);
    assert_written(&writer, "08 00 0004");

    for (int reflected = 0; reflected < 2; reflected++) {
        writer = fresh_writer();
        shutdown_complete_write(&writer, reflected);
        assert_written(&writer, reflected ? "0e 01 0004" : "0e 00 0004");
        chunk = only_chunk(&writer);
        assert_true(shutdown_complete_read(&chunk, &tag_reflected));
        assert_int_equal(tag_reflected, reflected);
    }
}

static void cookie(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_cookie_echo read;
    struct sctp_chunk chunk;

    (void)state;
    cookie_echo_write(&writer, "cookie", 6);
    assert_written(&writer, "0a 00 000a 636f 6f6b 6965 0000");
    chunk = only_chunk(&writer);
    assert_true(cookie_echo_read(&chunk, &read));
    assert_int_equal(read.cookie_length, 6);
    assert_memory_equal(read.cookie, "cookie", 6);

    writer = fresh_writer();
    cookie_echo_write(&writer, NULL, 0);
    chunk = only_chunk(&writer);
    assert_false(cookie_echo_read(&chunk, &read));

    writer = fresh_writer();
    cookie_ack_write(&writer);
    assert_written(&writer, "0b 00 0004");
}

static void explicit_congestion_notification(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    uint32_t tsn;

    (void)state;
    ecne_write(&writer, 0x10203040);
    assert_written(&writer, "0c 00 0008 10203040");
    chunk = only_chunk(&writer);
    assert_true(ecne_read(&chunk, &tsn));
    assert_int_equal(tsn, 0x10203040);

    writer = fresh_writer();
    cwr_write(&writer, 0x50607080);
    assert_written(&writer, "0d 00 0008 50607080");
    chunk = only_chunk(&writer);
    assert_true(cwr_read(&chunk, &tsn));
    assert_int_equal(tsn, 0x50607080);
}

static void forward_tsn(void **state)
{
    static const struct sctp_skipped_stream skipped[] = {{1, 2}, {0xfffe, 0xffff}};
    struct packet_writer writer = fresh_writer();
    struct sctp_forward_tsn read;
    struct sctp_chunk chunk;

    (void)state;
    forward_tsn_write(&writer, 0x77000001, skipped, 2);
    assert_written(&writer, "c0 00 0010 77000001 0001 0002 fffe ffff");
    chunk = only_chunk(&writer);
    assert_true(forward_tsn_read(&chunk, &read));
    assert_int_equal(read.new_cumulative_tsn, 0x77000001);
    assert_int_equal(read.skipped_stream_count, 2);
    assert_int_equal(forward_tsn_skipped_stream(&read, 0).stream, 1);
    assert_int_equal(forward_tsn_skipped_stream(&read, 0).ssn, 2);
    assert_int_equal(forward_tsn_skipped_stream(&read, 1).stream, 0xfffe);
    assert_int_equal(forward_tsn_skipped_stream(&read, 1).ssn, 0xffff);

    writer = fresh_writer();
    forward_tsn_write(&writer, 1, NULL, 0);
    chunk = only_chunk(&writer);
    assert_true(forward_tsn_read(&chunk, &read));
    assert_int_equal(read.skipped_stream_count, 0);
}

static void i_data(void **state)
{
    struct sctp_data written = {.flags = SCTP_DATA_FLAG_BEGINNING,
                                .tsn = 0x01020304,
                                .stream = 0x0506,
                                .mid = 0x0708090a,
                                .ppid = 0x0b0c0d0e,
                                .payload = (const uint8_t *)"hello",
                                .payload_length = 5};
    struct packet_writer writer = fresh_writer();
    struct sctp_chunk chunk;
    struct sctp_data read = {0};

    (void)state;
    i_data_write(&writer, &written);
    assert_written(&writer, "40 02 0019 01020304 0506 0000 0708090a 0b0c0d0e 6865 6c6c 6f00 0000");
    chunk = only_chunk(&writer);
    assert_true(i_data_read(&chunk, &read));
    assert_int_equal(read.flags, written.flags);
    assert_int_equal(read.tsn, written.tsn);
    assert_int_equal(read.stream, written.stream);
    assert_int_equal(read.mid, written.mid);
    assert_int_equal(read.ppid, written.ppid);
    assert_int_equal(read.fsn, 0);
    assert_int_equal(read.payload_length, 5);
    assert_memory_equal(read.payload, "hello", 5);

    writer = fresh_writer();
    written.flags = SCTP_DATA_FLAG_ENDING | SCTP_DATA_FLAG_UNORDERED;
    written.fsn = 0x10203;
    i_data_write(&writer, &written);
    assert_written(&writer, "40 05 0019 01020304 0506 0000 0708090a 00010203 6865 6c6c 6f00 0000");
    chunk = only_chunk(&writer);
    assert_true(i_data_read(&chunk, &read));
    assert_int_equal(read.fsn, 0x10203);
    assert_int_equal(read.ppid, 0);
    chunk.length = 19;
    assert_false(i_data_read(&chunk, &read));
    packet_writer_init(&writer, buffer, 27);
    i_data_write(&writer, &written);
    assert_true(writer.overflowed);
}

static void i_forward_tsn(void **state)
{
    static const struct sctp_skipped_messages skipped[] = {{1, false, 2},
                                                           {0xfffe, true, 0xff0000ff}};
    struct packet_writer writer = fresh_writer();
    struct sctp_forward_tsn read;
    struct sctp_chunk chunk;

    (void)state;
    i_forward_tsn_write(&writer, 0x77000001, skipped, 2);
    assert_written(&writer, "c2 00 0018 77000001 0001 0000 00000002 fffe 0001 ff0000ff");
    chunk = only_chunk(&writer);
    assert_true(i_forward_tsn_read(&chunk, &read));
    assert_int_equal(read.new_cumulative_tsn, 0x77000001);
    assert_int_equal(read.skipped_stream_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(i_forward_tsn_skipped(&read, i).stream, skipped[i].stream);
        assert_int_equal(i_forward_tsn_skipped(&read, i).unordered, skipped[i].unordered);
        assert_int_equal(i_forward_tsn_skipped(&read, i).mid, skipped[i].mid);
    }
    chunk.value_length -= 4;
    assert_false(i_forward_tsn_read(&chunk, &read));
    chunk.value_length = 0;
    assert_false(i_forward_tsn_read(&chunk, &read));
}

static void auth(void **state)
{
    struct sctp_auth written = {.shared_key_identifier = 1, .hmac_identifier = 3, .hmac_length = 6};
    struct packet_writer writer = fresh_writer();
    struct sctp_auth read;
    struct sctp_chunk chunk;
    uint8_t *hmac;

    (void)state;
    hmac = auth_write(&writer, &written);
    assert_written(&writer, "0f 00 000e 0001 0003 0000 0000 0000 0000");
    assert_ptr_equal(hmac, buffer + 8);
    memset(hmac, 0xaa, 6);
    chunk = only_chunk(&writer);
    assert_true(auth_read(&chunk, &read));
    assert_int_equal(read.shared_key_identifier, 1);
    assert_int_equal(read.hmac_identifier, 3);
    assert_int_equal(read.hmac_length, 6);
    assert_memory_equal(read.hmac, "\xaa\xaa\xaa\xaa\xaa\xaa", 6);

    packet_writer_init(&writer, buffer, 15);
    assert_null(auth_write(&writer, &written));
}

static void asconf(void **state)
{
    struct braid_address address = braid_address_ipv4((uint8_t[]){192, 0, 2, 1});
    struct sctp_address_request request = {.correlation_id = 0x01023474, .address = address};
    struct packet_writer writer = fresh_writer();
    struct sctp_asconf read;
    struct sctp_chunk chunk;
    size_t start;

    (void)state;
    start = asconf_begin(&writer, 0xabcd0001, &address);
    address_request_write(&writer, SCTP_PARAMETER_ADD_IP, &request);
    chunk_end(&writer, start);
    assert_written(&writer, "c1 00 0020 abcd0001 0005 0008 c0000201"
                            "c001 0010 01023474 0005 0008 c0000201");
    chunk = only_chunk(&writer);
    assert_true(asconf_read(&chunk, &read));
    assert_int_equal(read.serial_number, 0xabcd0001);
    assert_true(braid_address_equal(&read.address, &address));
    assert_int_equal(read.parameters_length, 16);
    assert_ptr_equal(read.parameters, buffer + 16);
    buffer[9] = 11; /* a host name is no address */
    assert_false(asconf_read(&chunk, &read));

    writer = fresh_writer();
    start = asconf_ack_begin(&writer, 0xabcd0001);
    success_indication_write(&writer, 0x01023474);
    chunk_end(&writer, start);
    assert_written(&writer, "80 00 0010 abcd0001 c005 0008 01023474");
    chunk = only_chunk(&writer);
    assert_true(asconf_ack_read(&chunk, &read));
    assert_int_equal(read.serial_number, 0xabcd0001);
    assert_int_equal(read.parameters_length, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data),
        cmocka_unit_test(data_of_any_length),
        cmocka_unit_test(data_that_does_not_fit),
        cmocka_unit_test(init_and_init_ack),
        cmocka_unit_test(sack),
        cmocka_unit_test(sack_repeated),
        cmocka_unit_test(heartbeat),
        cmocka_unit_test(abort_with_and_without_causes),
        cmocka_unit_test(error),
        cmocka_unit_test(shutdown_sequence),
        cmocka_unit_test(cookie),
        cmocka_unit_test(explicit_congestion_notification),
        cmocka_unit_test(forward_tsn),
        cmocka_unit_test(i_data),
        cmocka_unit_test(i_forward_tsn),
        cmocka_unit_test(auth),
        cmocka_unit_test(asconf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
