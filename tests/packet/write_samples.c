/*
 * Writes one packet of every kind into a capture, for an independent reader to look at.
 *
 *     write_samples FILE [LINK]
 *
 * LINK is what the packets come wrapped in: `ipv4` (the default) and `ipv6` are raw IP packets of
 * protocol 132, `ethernet` is the former in Ethernet frames, `udp` is RFC 6951 over IPv4.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "packet/wire.h"
#include "samples.h"

#define IPV4_HEADER_LENGTH 20
#define IPV6_HEADER_LENGTH 40
#define UDP_HEADER_LENGTH 8
#define ETHERNET_HEADER_LENGTH 14
#define UDP_ENCAPSULATION_PORT 9899
#define PROTOCOL_UDP 17
#define PROTOCOL_SCTP 132

enum wrapping {
    WRAPPED_IN_IPV4,
    WRAPPED_IN_IPV6,
    WRAPPED_IN_ETHERNET,
    WRAPPED_IN_UDP,
};

/* RFC 1071. */
static uint16_t internet_checksum(const uint8_t *bytes, size_t length)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i += 2)
        sum += wire_get_u16(bytes + i);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

/* From 192.0.2.1 to 192.0.2.2. */
static void write_ipv4_header(uint8_t *bytes, uint8_t protocol, size_t payload_length)
{
    memset(bytes, 0, IPV4_HEADER_LENGTH);
    bytes[0] = 0x45;
    wire_put_u16(bytes + 2, (uint16_t)(IPV4_HEADER_LENGTH + payload_length));
    bytes[8] = 64;
    bytes[9] = protocol;
    wire_put_u32(bytes + 12, 0xc0000201);
    wire_put_u32(bytes + 16, 0xc0000202);
    wire_put_u16(bytes + 10, internet_checksum(bytes, IPV4_HEADER_LENGTH));
}

/* From 2001:db8::1 to 2001:db8::2. */
static void write_ipv6_header(uint8_t *bytes, uint8_t protocol, size_t payload_length)
{
    memset(bytes, 0, IPV6_HEADER_LENGTH);
    bytes[0] = 0x60;
    wire_put_u16(bytes + 4, (uint16_t)payload_length);
    bytes[6] = protocol;
    bytes[7] = 64;
    wire_put_u32(bytes + 8, 0x20010db8);
    bytes[23] = 1;
    wire_put_u32(bytes + 24, 0x20010db8);
    bytes[39] = 2;
}

static void write_ethernet_header(uint8_t *bytes)
{
    memset(bytes, 2, 12);
    wire_put_u16(bytes + 12, 0x0800);
}

static void write_udp_header(uint8_t *bytes, size_t payload_length)
{
    wire_put_u16(bytes, UDP_ENCAPSULATION_PORT);
    wire_put_u16(bytes + 2, UDP_ENCAPSULATION_PORT);
    wire_put_u16(bytes + 4, (uint16_t)(UDP_HEADER_LENGTH + payload_length));
    wire_put_u16(bytes + 6, 0);
}

/* Writes a sample with the headers that it is wrapped in. Returns the length of it all. */
static size_t write_frame(const struct sample *sample, enum wrapping wrapping, uint8_t *frame,
                          size_t capacity)
{
    static const size_t headers[] = {
        [WRAPPED_IN_IPV4] = IPV4_HEADER_LENGTH,
        [WRAPPED_IN_IPV6] = IPV6_HEADER_LENGTH,
        [WRAPPED_IN_ETHERNET] = ETHERNET_HEADER_LENGTH + IPV4_HEADER_LENGTH,
        [WRAPPED_IN_UDP] = IPV4_HEADER_LENGTH + UDP_HEADER_LENGTH,
    };
    size_t header = headers[wrapping];
    size_t length = sample_write(sample, frame + header, capacity - header);

    switch (wrapping) {
    case WRAPPED_IN_IPV4:
        write_ipv4_header(frame, PROTOCOL_SCTP, length);
        break;
    case WRAPPED_IN_IPV6:
        write_ipv6_header(frame, PROTOCOL_SCTP, length);
        break;
    case WRAPPED_IN_ETHERNET:
        write_ethernet_header(frame);
        write_ipv4_header(frame + ETHERNET_HEADER_LENGTH, PROTOCOL_SCTP, length);
        break;
    case WRAPPED_IN_UDP:
        write_ipv4_header(frame, PROTOCOL_UDP, UDP_HEADER_LENGTH + length);
        write_udp_header(frame + IPV4_HEADER_LENGTH, length);
        break;
    }
    return length == 0 ? 0 : header + length;
}

static int parse_wrapping(const char *name, enum wrapping *wrapping)
{
    static const char *const names[] = {"ipv4", "ipv6", "ethernet", "udp"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *wrapping = (enum wrapping)i;
            return 0;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    enum wrapping wrapping = WRAPPED_IN_IPV4;
    pcap_dumper_t *dumper;
    uint8_t frame[2048];
    pcap_t *pcap;

    if (argc < 2 || argc > 3 || (argc == 3 && parse_wrapping(argv[2], &wrapping) != 0)) {
        fprintf(stderr, "usage: write_samples FILE [ipv4|ipv6|ethernet|udp]\n");
        return 2;
    }
    pcap = pcap_open_dead(wrapping == WRAPPED_IN_ETHERNET ? DLT_EN10MB : DLT_RAW, 65535);
    dumper = pcap ? pcap_dump_open(pcap, argv[1]) : NULL;
    if (!dumper) {
        fprintf(stderr, "write_samples: %s: %s\n", argv[1], pcap ? pcap_geterr(pcap) : "no memory");
        return 1;
    }
    for (size_t i = 0; i < sample_count; i++) {
        size_t length = write_frame(&samples[i], wrapping, frame, sizeof(frame));
        struct pcap_pkthdr header = {.ts = {.tv_sec = 1000000000, .tv_usec = (suseconds_t)i * 1500},
                                     .caplen = (bpf_u_int32)length,
                                     .len = (bpf_u_int32)length};

        if (length == 0) {
            fprintf(stderr, "write_samples: %s does not fit\n", samples[i].name);
            return 1;
        }
        pcap_dump((u_char *)dumper, &header, frame);
    }
    pcap_dump_close(dumper);
    pcap_close(pcap);
    return 0;
}
