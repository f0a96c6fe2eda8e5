/*
 * Fuzzer: the readers of packets, chunks, parameters and error causes (src/packet/).
 *
 * The input is an SCTP packet from the common header on.
 */
#include "fuzz.h"
#include "packet/read_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    (void)read_packet(bytes, length);
    return 0;
}
