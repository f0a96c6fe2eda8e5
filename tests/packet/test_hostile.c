/*
 * Tests: packets that were cut off or altered are read without a step outside their bytes.
 *
 * The random sequence has a fixed seed: a failure comes again.
 */
#include "hex.h"
#include "packet/chunks.h"
#include "read_packet.h"
#include "samples.h"

static void truncated_everywhere(void **state)
{
    uint8_t bytes[1024];

    (void)state;
    for (size_t i = 0; i < sample_count; i++) {
        size_t length = sample_write(&samples[i], bytes, sizeof(bytes));

        assert_true(length > SCTP_COMMON_HEADER_LENGTH);
        assert_true(packet_verify_checksum(bytes, length));
        assert_true(read_packet(bytes, length) > 0);
        for (size_t cut = 1; cut < length; cut++) {
            assert_false(packet_verify_checksum(bytes, cut));
            read_packet(bytes, cut);
        }
        read_packet(bytes, 0);
    }
}

/* Every length of a chunk, from none to more than there is. */
static void every_chunk_length(void **state)
{
    uint8_t bytes[1024];

    (void)state;
    for (size_t i = 0; i < sample_count; i++) {
        size_t length = sample_write(&samples[i], bytes, sizeof(bytes));

        for (size_t told = 0; told < length; told++) {
            wire_put_u16(bytes + SCTP_COMMON_HEADER_LENGTH + 2, (uint16_t)told);
            read_packet(bytes, length);
        }
    }
}

/* The xorshift of Marsaglia, "Xorshift RNGs", 2003. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void mutated(void **state)
{
    uint32_t random = 9260;
    uint8_t bytes[1024];

    (void)state;
    for (int round = 0; round < 200000; round++) {
        const struct sample *sample = &samples[next_random(&random) % sample_count];
        size_t length = sample_write(sample, bytes, sizeof(bytes));

        for (uint32_t changes = 1 + next_random(&random) % 4; changes > 0; changes--)
            bytes[next_random(&random) % length] = (uint8_t)(next_random(&random) >> 8);
        read_packet(bytes, length - next_random(&random) % 8);
    }
}

static void every_capacity(void **state)
{
    uint8_t bytes[1024];

    (void)state;
    for (size_t i = 0; i < sample_count; i++) {
        size_t length = sample_write(&samples[i], bytes, sizeof(bytes));

        for (size_t capacity = 1; capacity <= length; capacity++) {
            uint8_t *exact = malloc(capacity);

            assert_non_null(exact);
            assert_int_equal(sample_write(&samples[i], exact, capacity),
                             capacity < length ? 0 : length);
            free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_everywhere),
        cmocka_unit_test(every_chunk_length),
        cmocka_unit_test(mutated),
        cmocka_unit_test(every_capacity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
