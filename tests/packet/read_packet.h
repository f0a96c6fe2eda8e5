/*
 * Everything in a packet is read, by every reader, to its last byte; for tests and fuzzers.
 *
 * The packet is put into memory of exactly its size, so that AddressSanitizer and valgrind see any
 * step outside. Ends the program if a chunk does not lie within the packet.
 */
#ifndef TESTS_PACKET_READ_PACKET_H
#define TESTS_PACKET_READ_PACKET_H

#include <stddef.h>
#include <stdint.h>

/* Returns how many chunks the packet has. */
size_t read_packet(const uint8_t *bytes, size_t length);

#endif
