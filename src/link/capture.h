/*
 * A capture: packets of links, written to a file for Wireshark.
 *
 * PCAP Next Generation (draft-ietf-opsawg-pcapng); link type RAW, that is IPv4 and IPv6 packets.
 * All links are one interface of it: libpcap does not read a second one of that type.
 *
 * A link sees SCTP packets without their IP and UDP headers, so these are made here from what is
 * known: addresses, ports, traffic class and checksums are those on the wire; TTL is 64, and the
 * IPv4 identification counts. The SCTP packet is written as it is, with the CRC32c that it has.
 *
 * The capture writes through a buffer. If the file cannot be written (the disk is full), it ends
 * after the last whole packet, says so once, and swallows what follows: packets go on.
 */
#ifndef LINK_CAPTURE_H
#define LINK_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"

struct capture;

enum capture_direction { CAPTURE_UNKNOWN, CAPTURE_INBOUND, CAPTURE_OUTBOUND };

/* What the headers of a packet are made of. */
struct capture_packet {
    enum capture_direction direction;
    uint64_t time; /* nanoseconds, since 1970 on a real link */
    struct braid_address source, destination;
    uint16_t source_port, destination_port; /* of UDP; both 0: SCTP over IP */
    uint8_t traffic_class;
    uint8_t hop_limit; /* 0: what hosts mostly have */
    bool dont_fragment;
    const void *bytes; /* the SCTP packet */
    size_t length;     /* at most 65,535 less the headers */
};

/*
 * Creates the file, or makes it empty. It is readable by its owner only: packets are people's data.
 * Without a path (NULL) there is no file, but only who listens. ENOENT, EACCES, ENOSPC and so on,
 * ENOMEM.
 */
int capture_open(struct capture **capture, const char *path);

#define CAPTURE_LISTENERS 8

/*
 * What is captured from now on goes to `descriptor` too, a SOCK_SEQPACKET socket: a block of the
 * format in each datagram, the first two being those that begin a capture. What a slow listener has
 * no room for, he does not get; one that closes his end is forgotten. `descriptor` is then the
 * capture's. EMFILE: there are enough of them.
 */
int capture_listen(struct capture *capture, int descriptor);

/* Nothing is captured for anyone: there was no path, and nobody listens. */
bool capture_idle(const struct capture *capture);

/* Writes what is buffered and closes. NULL is allowed. Returns like capture_flush(). */
int capture_close(struct capture *capture);

/* Writes a packet. Addresses of two families, or none, or a packet that is too long: not written.
 */
void capture_write(struct capture *capture, const struct capture_packet *packet);

/*
 * Writes what is buffered to the file: to be called when there is nothing else to do.
 * Returns the error that stopped the capture, the first time that it is asked; else 0.
 */
int capture_flush(struct capture *capture);

/* Packets written since it was opened. */
uint64_t capture_count(const struct capture *capture);

#endif
