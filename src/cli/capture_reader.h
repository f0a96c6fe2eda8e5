/*
 * The SCTP packets of a capture, freed of what they travelled in.
 *
 * Captures are read by libpcap (pcap and pcapng). SCTP is looked for in IPv4 and IPv6 as protocol
 * 132, and in UDP (RFC 6951).
 */
#ifndef CLI_CAPTURE_READER_H
#define CLI_CAPTURE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "braid/address.h"

#define CAPTURE_DEFAULT_UDP_PORT 9899 /* RFC 6951 section 5.1 */
#define CAPTURE_ERROR_SIZE 512

struct capture_reader;

struct captured_packet {
    int64_t time;    /* nanoseconds since 1970 */
    uint64_t number; /* of the frame in the capture, from 1 */
    struct braid_address source;
    struct braid_address destination;
    uint16_t udp_source_port; /* both zero: not in UDP */
    uint16_t udp_destination_port;
    const uint8_t *bytes; /* from the common header on; valid until the next packet is read */
    size_t length;
    bool incomplete; /* cut off by the capture, or the first fragment of more */
};

/*
 * Opens the capture at `path`, or standard input if that is "-". `udp_port` is the one that
 * carries SCTP, on either side. NULL, and the reason in `error`, if that is impossible.
 */
struct capture_reader *capture_reader_open(const char *path, uint16_t udp_port,
                                           char error[CAPTURE_ERROR_SIZE]);

/*
 * The packets that an interface of the host sees from now on ("any": all of them), which needs
 * CAP_NET_RAW. Closed as another one; capture_reader_stop() ends it.
 */
struct capture_reader *capture_reader_open_interface(const char *interface, uint16_t udp_port,
                                                     char error[CAPTURE_ERROR_SIZE]);

/* Packets that are read from `file` as they are written; `file` is closed with the reader. */
struct capture_reader *capture_reader_open_file(FILE *file, uint16_t udp_port,
                                                char error[CAPTURE_ERROR_SIZE]);

/* Makes capture_reader_next() answer 0 soon: may be called in a signal handler. */
void capture_reader_stop(struct capture_reader *reader);

/* The next SCTP packet: 1; 0 at the end; -1 if the capture is damaged: see the error. */
int capture_reader_next(struct capture_reader *reader, struct captured_packet *packet);

/* What was wrong when capture_reader_next() gave -1. */
const char *capture_reader_error(struct capture_reader *reader);

/* Frames that were read so far, whatever is in them. */
uint64_t capture_reader_frames(const struct capture_reader *reader);

/* Fragments of IP packets, other than the first, that were passed over so far. */
uint64_t capture_reader_fragments(const struct capture_reader *reader);

void capture_reader_close(struct capture_reader *reader);

#endif
