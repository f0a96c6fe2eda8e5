/*
 * Tests: every parameter and every error cause, byte for byte, written and read back.
 *
 * RFC 9260 section 3.3.2.1, 3.3.3.1 and 3.3.10, RFC 4895 section 3 and 4, RFC 5061 section 4,
 * RFC 9653. What is expected is written down from the figures of those sections.
 */
#include "hex.h"

/* Every test writes into this, and it is filled with rubbish before, so that padding shows. */
static uint8_t buffer[512];

static struct packet_writer fresh_writer(void)
{
    struct packet_writer writer;

    memset(buffer, 0xee, sizeof(buffer));
    packet_writer_init(&writer, buffer, sizeof(buffer));
    return writer;
}

/* The pair of functions of a parameter that is one 32-bit integer. */
static void check_u32(bool (*read)(const struct sctp_parameter *, uint32_t *),
                      void (*write)(struct packet_writer *, uint32_t), const char *hex)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;
    uint32_t value;

    write(&writer, 0x12345678);
    assert_written(&writer, hex);
    parameter = only_parameter(&writer);
    assert_true(read(&parameter, &value));
    assert_int_equal(value, 0x12345678);
    parameter.value_length = 3;
    assert_false(read(&parameter, &value));
}

static void one_integer(void **state)
{
    (void)state;
    check_u32(cookie_preservative_read, cookie_preservative_write, "0009 0008 12345678");
    check_u32(adaptation_layer_indication_read, adaptation_layer_indication_write,
              "c006 0008 12345678");
    check_u32(zero_checksum_read, zero_checksum_write, "8001 0008 12345678");
    check_u32(success_indication_read, success_indication_write, "c005 0008 12345678");
    check_u32(stale_cookie_read, stale_cookie_write, "0003 0008 12345678");
    check_u32(no_user_data_read, no_user_data_write, "0009 0008 12345678");
}

static void address(void **state)
{
    static const uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    struct braid_address written = braid_address_ipv4((uint8_t[]){192, 0, 2, 1});
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;
    struct braid_address read;

    (void)state;
    address_parameter_write(&writer, &written);
    assert_written(&writer, "0005 0008 c0000201");
    parameter = only_parameter(&writer);
    assert_true(address_parameter_read(&parameter, &read));
    assert_true(braid_address_equal(&read, &written));
    parameter.value_length = 5;
    assert_false(address_parameter_read(&parameter, &read));

    writer = fresh_writer();
    written = braid_address_ipv6(ipv6, 0);
    address_parameter_write(&writer, &written);
    assert_written(&writer, "0006 0014 20010db8 00000000 00000000 00000001");
    parameter = only_parameter(&writer);
    assert_true(address_parameter_read(&parameter, &read));
    assert_true(braid_address_equal(&read, &written));
    parameter.value_length = 4;
    assert_false(address_parameter_read(&parameter, &read));
    parameter.type = SCTP_PARAMETER_HOST_NAME_ADDRESS;
    assert_false(address_parameter_read(&parameter, &read));
}

static void supported_address_types(void **state)
{
    struct sctp_supported_address_types types = {.ipv4 = true, .ipv6 = true};
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;

    (void)state;
    supported_address_types_write(&writer, &types);
    assert_written(&writer, "000c 0008 0005 0006");
    parameter = only_parameter(&writer);
    types = (struct sctp_supported_address_types){0};
    assert_true(supported_address_types_read(&parameter, &types));
    assert_true(types.ipv4 && types.ipv6);

    writer = fresh_writer();
    types.ipv4 = false;
    supported_address_types_write(&writer, &types);
    assert_written(&writer, "000c 0006 0006");
    parameter = only_parameter(&writer);
    assert_true(supported_address_types_read(&parameter, &types));
    assert_false(types.ipv4);
    assert_true(types.ipv6);
    buffer[5] = SCTP_PARAMETER_HOST_NAME_ADDRESS; /* is to be ignored */
    assert_true(supported_address_types_read(&parameter, &types));
    assert_false(types.ipv4 || types.ipv6);
    parameter.value_length = 1;
    assert_false(supported_address_types_read(&parameter, &types));
}

static void opaque_and_empty(void **state)
{
    struct packet_writer writer = fresh_writer();

    (void)state;
    parameter_write(&writer, SCTP_PARAMETER_STATE_COOKIE, "cookie", 6);
    assert_written(&writer, "0007 000a 636f 6f6b 6965");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_PARAMETER_UNRECOGNIZED, "\xc0\x99\x00\x04", 4);
    assert_written(&writer, "0008 0008 c099 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_PARAMETER_ECN, NULL, 0);
    assert_written(&writer, "8000 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    assert_written(&writer, "c000 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_PARAMETER_RANDOM, "\x01\x02\x03\x04", 4);
    assert_written(&writer, "8002 0008 01020304");
}

static void lists_of_chunk_types(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;

    (void)state;
    parameter_write(&writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, "\xc1\x80\x0f", 3);
    parameter = only_parameter(&writer);
    assert_true(chunk_types_contain(&parameter, SCTP_CHUNK_ASCONF));
    assert_true(chunk_types_contain(&parameter, SCTP_CHUNK_AUTH));
    assert_false(chunk_types_contain(&parameter, SCTP_CHUNK_DATA));

    writer = fresh_writer();
    parameter_write(&writer, SCTP_PARAMETER_CHUNK_LIST, NULL, 0);
    parameter = only_parameter(&writer);
    assert_false(chunk_types_contain(&parameter, SCTP_CHUNK_DATA));
}

static void hmac_algorithm(void **state)
{
    static const uint16_t identifiers[] = {3, 1, 0x8001};
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;
    size_t count;

    (void)state;
    hmac_algorithm_write(&writer, identifiers, 3);
    assert_written(&writer, "8004 000a 0003 0001 8001");
    parameter = only_parameter(&writer);
    assert_true(hmac_algorithm_read(&parameter, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hmac_algorithm_get(&parameter, i), identifiers[i]);
    parameter.value_length = 5;
    assert_false(hmac_algorithm_read(&parameter, &count));
}

static void address_requests(void **state)
{
    static const uint16_t types[] = {SCTP_PARAMETER_ADD_IP, SCTP_PARAMETER_DELETE_IP,
                                     SCTP_PARAMETER_SET_PRIMARY};
    static const char *const hex[] = {"c001 0010 01023474 0005 0008 c0000201",
                                      "c002 0010 01023474 0005 0008 c0000201",
                                      "c004 0010 01023474 0005 0008 c0000201"};
    struct sctp_address_request written = {
        .correlation_id = 0x01023474, .address = braid_address_ipv4((uint8_t[]){192, 0, 2, 1})};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct packet_writer writer = fresh_writer();
        struct sctp_address_request read = {0};
        struct sctp_parameter parameter;

        address_request_write(&writer, types[i], &written);
        assert_written(&writer, hex[i]);
        parameter = only_parameter(&writer);
        assert_true(address_request_read(&parameter, &read));
        assert_int_equal(read.correlation_id, written.correlation_id);
        assert_true(braid_address_equal(&read.address, &written.address));
        for (uint16_t length = 0; length < 12; length++) {
            parameter.value_length = length;
            assert_false(address_request_read(&parameter, &read));
        }
    }
}

/* The example of RFC 5061 section 4.3.1. */
static void error_cause_indication(void **state)
{
    static const uint8_t request[] = {0xc0, 0x02, 0x00, 0x10, 0x01, 0x02, 0x34, 0x76,
                                      0x00, 0x05, 0x00, 0x08, 0xc0, 0x00, 0x02, 0x01};
    struct sctp_parameter refused = {.bytes = request, .length = sizeof(request)};
    struct parameter_iterator iterator;
    struct sctp_parameter cause;
    struct sctp_error_cause_indication read;
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;
    size_t start;

    (void)state;
    start = error_cause_indication_begin(&writer, 0x01023476);
    refused_request_write(&writer, SCTP_CAUSE_DELETE_LAST_ADDRESS, &refused);
    parameter_end(&writer, start);
    assert_written(&writer, "c003 001c 01023476 00a0 0014"
                            "c002 0010 01023476 0005 0008 c0000201");
    parameter = only_parameter(&writer);
    assert_true(error_cause_indication_read(&parameter, &read));
    assert_int_equal(read.correlation_id, 0x01023476);
    assert_int_equal(read.causes_length, 20);
    parameter_iterator_init(&iterator, read.causes, read.causes_length);
    assert_true(parameter_next(&iterator, &cause));
    assert_int_equal(cause.type, SCTP_CAUSE_DELETE_LAST_ADDRESS);
    assert_true(refused_request_read(&cause, &refused));
    assert_int_equal(refused.type, SCTP_PARAMETER_DELETE_IP);
    assert_int_equal(refused.length, 16);
    parameter.value_length = 3;
    assert_false(error_cause_indication_read(&parameter, &read));
}

static void invalid_stream_identifier(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter cause;
    uint16_t stream;

    (void)state;
    invalid_stream_identifier_write(&writer, 0x0102);
    assert_written(&writer, "0001 0008 0102 0000");
    cause = only_parameter(&writer);
    assert_true(invalid_stream_identifier_read(&cause, &stream));
    assert_int_equal(stream, 0x0102);
    cause.value_length = 1;
    assert_false(invalid_stream_identifier_read(&cause, &stream));
}

static void missing_mandatory_parameter(void **state)
{
    static const uint16_t types[] = {SCTP_PARAMETER_STATE_COOKIE};
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter cause;
    size_t count;

    (void)state;
    missing_mandatory_parameter_write(&writer, types, 1);
    assert_written(&writer, "0002 000a 00000001 0007");
    cause = only_parameter(&writer);
    assert_true(missing_mandatory_parameter_read(&cause, &count));
    assert_int_equal(count, 1);
    assert_int_equal(missing_mandatory_parameter_get(&cause, 0), SCTP_PARAMETER_STATE_COOKIE);
    buffer[7] = 2; /* two are told of, one is there */
    assert_false(missing_mandatory_parameter_read(&cause, &count));
    buffer[4] = 0xff;
    assert_false(missing_mandatory_parameter_read(&cause, &count));
}

static void unresolvable_address(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;
    struct sctp_parameter read;
    struct sctp_parameter cause;
    struct packet_writer other;
    uint8_t bytes[64];

    (void)state;
    packet_writer_init(&other, bytes, sizeof(bytes));
    parameter_write(&other, SCTP_PARAMETER_HOST_NAME_ADDRESS, "a.example", 10);
    parameter = only_parameter(&other);
    unresolvable_address_write(&writer, &parameter);
    assert_written(&writer, "0005 0012 000b 000e 612e 6578 616d 706c 6500");
    cause = only_parameter(&writer);
    assert_true(unresolvable_address_read(&cause, &read));
    assert_int_equal(read.type, SCTP_PARAMETER_HOST_NAME_ADDRESS);
    assert_int_equal(read.value_length, 10);
    assert_memory_equal(read.value, "a.example", 10);
}

static void unrecognized_chunk_type(void **state)
{
    static const uint8_t bytes[] = {0x7e, 0x01, 0x00, 0x05, 0xaa};
    struct sctp_chunk chunk = {.type = 0x7e, .flags = 1, .length = 5, .bytes = bytes};
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter cause;
    struct sctp_chunk read;

    (void)state;
    unrecognized_chunk_type_write(&writer, &chunk);
    assert_written(&writer, "0006 0009 7e01 0005 aa");
    cause = only_parameter(&writer);
    assert_true(unrecognized_chunk_type_read(&cause, &read));
    assert_int_equal(read.type, 0x7e);
    assert_int_equal(read.flags, 1);
    assert_int_equal(read.length, 5);
    assert_int_equal(read.value[0], 0xaa);
}

static void unrecognized_parameters(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_parameter cause;
    size_t start;

    (void)state;
    start = parameter_begin(&writer, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS);
    parameter_write(&writer, 0xffff, "x", 1);
    parameter_write(&writer, 0xfffe, NULL, 0);
    parameter_end(&writer, start);
    assert_written(&writer, "0008 0010 ffff 0005 78000000 fffe 0004");
    cause = only_parameter(&writer);
    parameter_iterator_init(&iterator, cause.value, cause.value_length);
    assert_true(parameter_next(&iterator, &parameter));
    assert_int_equal(parameter.type, 0xffff);
    assert_true(parameter_next(&iterator, &parameter));
    assert_int_equal(parameter.type, 0xfffe);
    assert_false(parameter_next(&iterator, &parameter));
}

static void restart_with_new_addresses(void **state)
{
    static const uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2};
    struct braid_address written[] = {braid_address_ipv4((uint8_t[]){192, 0, 2, 1}),
                                      braid_address_ipv6(ipv6, 0)};
    struct packet_writer writer = fresh_writer();
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_parameter cause;

    (void)state;
    restart_with_new_addresses_write(&writer, written, 2);
    assert_written(&writer, "000b 0020 0005 0008 c0000201"
                            "0006 0014 20010db8 00000000 00000000 00000002");
    cause = only_parameter(&writer);
    parameter_iterator_init(&iterator, cause.value, cause.value_length);
    for (size_t i = 0; i < 2; i++) {
        struct braid_address read;

        assert_true(parameter_next(&iterator, &parameter));
        assert_true(address_parameter_read(&parameter, &read));
        assert_true(braid_address_equal(&read, &written[i]));
    }
}

/* The causes that are a text, or nothing. */
static void plain_causes(void **state)
{
    struct packet_writer writer = fresh_writer();

    (void)state;
    parameter_write(&writer, SCTP_CAUSE_PROTOCOL_VIOLATION, "why", 3);
    assert_written(&writer, "000d 0007 776879");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_CAUSE_USER_INITIATED_ABORT, NULL, 0);
    assert_written(&writer, "000c 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
    assert_written(&writer, "0004 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, NULL, 0);
    assert_written(&writer, "0007 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN, NULL, 0);
    assert_written(&writer, "000a 0004");
    writer = fresh_writer();
    parameter_write(&writer, SCTP_CAUSE_NO_AUTHORIZATION, NULL, 0);
    assert_written(&writer, "00a4 0004");
}

static void unsupported_hmac(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter cause;
    uint16_t identifier;

    (void)state;
    unsupported_hmac_write(&writer, 2);
    assert_written(&writer, "0105 0006 0002");
    cause = only_parameter(&writer);
    assert_true(unsupported_hmac_read(&cause, &identifier));
    assert_int_equal(identifier, 2);
    cause.value_length = 1;
    assert_false(unsupported_hmac_read(&cause, &identifier));
}

static void none_at_all(void **state)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    (void)state;
    parameter_iterator_init(&iterator, NULL, 0);
    assert_false(parameter_next(&iterator, &parameter));
    assert_false(iterator.malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_at_all),
        cmocka_unit_test(one_integer),
        cmocka_unit_test(address),
        cmocka_unit_test(supported_address_types),
        cmocka_unit_test(opaque_and_empty),
        cmocka_unit_test(lists_of_chunk_types),
        cmocka_unit_test(hmac_algorithm),
        cmocka_unit_test(address_requests),
        cmocka_unit_test(error_cause_indication),
        cmocka_unit_test(invalid_stream_identifier),
        cmocka_unit_test(missing_mandatory_parameter),
        cmocka_unit_test(unresolvable_address),
        cmocka_unit_test(unrecognized_chunk_type),
        cmocka_unit_test(unrecognized_parameters),
        cmocka_unit_test(restart_with_new_addresses),
        cmocka_unit_test(plain_causes),
        cmocka_unit_test(unsupported_hmac),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
