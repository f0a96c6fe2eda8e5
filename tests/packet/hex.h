/*
 * For the tests of the packet floor: bytes written down in hexadecimal, as in the RFC's figures.
 */
#ifndef TESTS_PACKET_HEX_H
#define TESTS_PACKET_HEX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packet/packet.h"
#include "packet/parameter.h"
#include "packet/writer.h"

/* The bytes of "00 0a ff": two digits each, blanks in between are passed over. */
static inline size_t hex_read(const char *hex, uint8_t *bytes, size_t capacity)
{
    size_t length = 0;

    while (*hex) {
        char digits[3] = {hex[0], hex[1], 0};

        if (*hex == ' ') {
            hex++;
            continue;
        }
        assert_true(length < capacity);
        bytes[length++] = (uint8_t)strtoul(digits, NULL, 16);
        hex += 2;
    }
    return length;
}

/* The writer holds these bytes, no more and no fewer. */
static inline void assert_written(const struct packet_writer *writer, const char *hex)
{
    uint8_t expected[512];
    size_t length = hex_read(hex, expected, sizeof(expected));

    assert_false(writer->overflowed);
    assert_int_equal(writer->length, length);
    assert_memory_equal(writer->bytes, expected, length);
}

/* The one chunk that stands in the writer, which holds no common header. */
static inline struct sctp_chunk only_chunk(const struct packet_writer *writer)
{
    struct chunk_iterator iterator = {.position = writer->bytes,
                                      .end = writer->bytes + writer->length};
    struct sctp_chunk chunk;
    struct sctp_chunk other;

    assert_true(chunk_next(&iterator, &chunk));
    assert_false(chunk_next(&iterator, &other));
    assert_false(iterator.malformed);
    return chunk;
}

/* The one parameter, or error cause, that stands in the writer. */
static inline struct sctp_parameter only_parameter(const struct packet_writer *writer)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_parameter other;

    parameter_iterator_init(&iterator, writer->bytes, writer->length);
    assert_true(parameter_next(&iterator, &parameter));
    assert_false(parameter_next(&iterator, &other));
    assert_false(iterator.malformed);
    return parameter;
}

#endif
