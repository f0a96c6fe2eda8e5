/*
 * Tests: the parameters of RE-CONFIG, byte for byte, written and read back.
 *
 * RFC 6525 section 4. What is expected is written down from the figures of that section.
 */
#include "hex.h"
#include "packet/reconfig.h"

static uint8_t buffer[512];

static struct packet_writer fresh_writer(void)
{
    struct packet_writer writer;

    memset(buffer, 0xee, sizeof(buffer));
    packet_writer_init(&writer, buffer, sizeof(buffer));
    return writer;
}

static void ssn_reset(void **state)
{
    static const uint16_t streams[] = {0x0102, 0x0304, 0x0506};
    struct sctp_ssn_reset_request written = {.request_number = 0x11223344,
                                             .response_number = 0x55667788,
                                             .last_tsn = 0x99aabbcc,
                                             .stream_count = 3};
    struct packet_writer writer = fresh_writer();
    struct sctp_ssn_reset_request read;
    struct sctp_parameter parameter;

    (void)state;
    ssn_reset_request_write(&writer, SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST, &written, streams);
    assert_written(&writer, "000d 0016 11223344 55667788 99aabbcc 0102 0304 0506");
    parameter = only_parameter(&writer);
    assert_true(ssn_reset_request_read(&parameter, &read));
    assert_int_equal(read.request_number, 0x11223344);
    assert_int_equal(read.response_number, 0x55667788);
    assert_int_equal(read.last_tsn, 0x99aabbcc);
    assert_int_equal(read.stream_count, 3);
    assert_int_equal(ssn_reset_stream(&read, 0), 0x0102);
    assert_int_equal(ssn_reset_stream(&read, 2), 0x0506);
    parameter.value_length = 12;
    assert_true(ssn_reset_request_read(&parameter, &read));
    assert_int_equal(read.stream_count, 0);
    parameter.value_length = 13;
    assert_false(ssn_reset_request_read(&parameter, &read));
    parameter.value_length = 10;
    assert_false(ssn_reset_request_read(&parameter, &read));

    writer = fresh_writer();
    written.stream_count = 1;
    ssn_reset_request_write(&writer, SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST, &written, streams);
    assert_written(&writer, "000e 000a 11223344 0102");
    parameter = only_parameter(&writer);
    assert_true(ssn_reset_request_read(&parameter, &read));
    assert_int_equal(read.request_number, 0x11223344);
    assert_int_equal(read.stream_count, 1);
    assert_int_equal(ssn_reset_stream(&read, 0), 0x0102);
    parameter.value_length = 2;
    assert_false(ssn_reset_request_read(&parameter, &read));
}

static void ssn_tsn_reset(void **state)
{
    struct packet_writer writer = fresh_writer();
    struct sctp_parameter parameter;
    uint32_t number;

    (void)state;
    ssn_tsn_reset_request_write(&writer, 0x11223344);
    assert_written(&writer, "000f 0008 11223344");
    parameter = only_parameter(&writer);
    assert_true(ssn_tsn_reset_request_read(&parameter, &number));
    assert_int_equal(number, 0x11223344);
    parameter.value_length = 3;
    assert_false(ssn_tsn_reset_request_read(&parameter, &number));
}

static void response(void **state)
{
    struct sctp_reconfig_response written = {.response_number = 0x11223344,
                                             .result = SCTP_RECONFIG_IN_PROGRESS};
    struct packet_writer writer = fresh_writer();
    struct sctp_reconfig_response read;
    struct sctp_parameter parameter;

    (void)state;
    reconfig_response_write(&writer, &written);
    assert_written(&writer, "0010 000c 11223344 00000006");
    parameter = only_parameter(&writer);
    assert_true(reconfig_response_read(&parameter, &read));
    assert_int_equal(read.response_number, 0x11223344);
    assert_int_equal(read.result, SCTP_RECONFIG_IN_PROGRESS);
    assert_false(read.has_tsns);

    writer = fresh_writer();
    written.has_tsns = true;
    written.sender_next_tsn = 0x01020304;
    written.receiver_next_tsn = 0x05060708;
    reconfig_response_write(&writer, &written);
    assert_written(&writer, "0010 0014 11223344 00000006 01020304 05060708");
    parameter = only_parameter(&writer);
    assert_true(reconfig_response_read(&parameter, &read));
    assert_true(read.has_tsns);
    assert_int_equal(read.sender_next_tsn, 0x01020304);
    assert_int_equal(read.receiver_next_tsn, 0x05060708);
    parameter.value_length = 12;
    assert_false(reconfig_response_read(&parameter, &read));
}

static void add_streams(void **state)
{
    struct sctp_add_streams_request written = {.request_number = 0x11223344, .count = 0x0102};
    struct packet_writer writer = fresh_writer();
    struct sctp_add_streams_request read;
    struct sctp_parameter parameter;

    (void)state;
    add_streams_request_write(&writer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, &written);
    assert_written(&writer, "0011 000c 11223344 0102 0000");
    parameter = only_parameter(&writer);
    assert_true(add_streams_request_read(&parameter, &read));
    assert_int_equal(read.request_number, 0x11223344);
    assert_int_equal(read.count, 0x0102);
    parameter.value_length = 6;
    assert_false(add_streams_request_read(&parameter, &read));

    writer = fresh_writer();
    add_streams_request_write(&writer, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST, &written);
    assert_written(&writer, "0012 000c 11223344 0102 0000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ssn_reset),
        cmocka_unit_test(ssn_tsn_reset),
        cmocka_unit_test(response),
        cmocka_unit_test(add_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
