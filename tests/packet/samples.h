/*
 * One packet of every kind: every chunk, every parameter, every error cause.
 *
 * What is to hold for any packet (that it can be cut off anywhere, that tshark reads the same in
 * it) is tested with these.
 */
#ifndef TESTS_PACKET_SAMPLES_H
#define TESTS_PACKET_SAMPLES_H

#include <stddef.h>

#include "packet/writer.h"

#define SAMPLE_SOURCE_PORT 40000
#define SAMPLE_DESTINATION_PORT 5001
#define SAMPLE_VERIFICATION_TAG 0x1a2b3c4d

struct sample {
    const char *name;
    void (*write)(struct packet_writer *writer); /* the chunks, behind the common header */
};

extern const struct sample samples[];
extern const size_t sample_count;

/* Writes a whole packet, checksum included. Returns its length. */
size_t sample_write(const struct sample *sample, uint8_t *bytes, size_t capacity);

#endif
