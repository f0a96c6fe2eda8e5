/*
 * The SCTP packets of a capture, freed of what they travelled in.
 *
 * IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200 section 4, RFC 4302), UDP (RFC 768 and
 * RFC 6951). The link types are those of https://www.tcpdump.org/linktypes.html.
 */
#include "cli/capture_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "packet/wire.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_SERVICE_VLAN 0x88a8

#define ETHERNET_ADDRESSES_LENGTH 12
#define VLAN_TAG_LENGTH 4
#define LINUX_SLL_HEADER_LENGTH 16
#define LINUX_SLL_PROTOCOL_OFFSET 14
#define LINUX_SLL2_HEADER_LENGTH 20
#define NULL_HEADER_LENGTH 4

#define LIVE_SNAPSHOT_LENGTH 262144
#define LIVE_TIMEOUT_MILLISECONDS 100
#define LIVE_BUFFER_BYTES (16 << 20)

#define IPV4_HEADER_LENGTH 20
#define IPV6_HEADER_LENGTH 40
#define IPV6_FRAGMENT_LENGTH 8
#define UDP_HEADER_LENGTH 8

#define SECONDS_MAXIMUM 4600000000 /* since 1970, or before */

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8

enum ip_protocol {
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_UDP = 17,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_AUTHENTICATION = 51,
    PROTOCOL_DESTINATION_OPTIONS = 60,
    PROTOCOL_SCTP = 132,
    PROTOCOL_MOBILITY = 135,
};

struct capture_reader {
    pcap_t *pcap;
    int link_type;
    uint16_t udp_port;
    uint64_t frames;
    uint64_t fragments;
};

/* What is left of a frame while its headers are taken off, one after the other. */
struct remainder {
    const uint8_t *bytes;
    size_t length;
    bool incomplete; /* less is there than the headers told of */
};

/* Takes `length` bytes off the front. Returns them, or NULL if there are fewer. */
static const uint8_t *take(struct remainder *rest, size_t length)
{
    const uint8_t *taken = rest->bytes;

    if (length > rest->length)
        return NULL;
    rest->bytes += length;
    rest->length -= length;
    return taken;
}

/* A header told how long what follows it is: cuts off what lies behind it. */
static void limit(struct remainder *rest, size_t length)
{
    if (length > rest->length)
        rest->incomplete = true;
    else
        rest->length = length;
}

static bool is_ip_ethertype(uint16_t ethertype)
{
    return ethertype == ETHERTYPE_IPV4 || ethertype == ETHERTYPE_IPV6;
}

/* Takes off the header of the link. False if there is no IP behind it. */
static bool take_link_header(struct remainder *rest, int link_type)
{
    const uint8_t *header;

    switch (link_type) {
    case DLT_EN10MB:
        if (!take(rest, ETHERNET_ADDRESSES_LENGTH))
            return false;
        while (rest->length >= VLAN_TAG_LENGTH &&
               (wire_get_u16(rest->bytes) == ETHERTYPE_VLAN ||
                wire_get_u16(rest->bytes) == ETHERTYPE_SERVICE_VLAN))
            take(rest, VLAN_TAG_LENGTH);
        header = take(rest, 2);
        return header && is_ip_ethertype(wire_get_u16(header));
    case DLT_LINUX_SLL:
        header = take(rest, LINUX_SLL_HEADER_LENGTH);
        return header && is_ip_ethertype(wire_get_u16(header + LINUX_SLL_PROTOCOL_OFFSET));
    case DLT_LINUX_SLL2:
        header = take(rest, LINUX_SLL2_HEADER_LENGTH);
        return header && is_ip_ethertype(wire_get_u16(header));
    case DLT_NULL:
    case DLT_LOOP:
        /* The family's number differs between systems; the IP header says the same. */
        return take(rest, NULL_HEADER_LENGTH) != NULL;
    default: /* DLT_RAW, DLT_IPV4, DLT_IPV6: there is none */
        return true;
    }
}

/* Takes off the IPv4 header. False if nothing that can be read is behind it. */
static bool take_ipv4_header(struct capture_reader *reader, struct remainder *rest,
                             struct captured_packet *packet, uint8_t *protocol)
{
    const uint8_t *header = take(rest, IPV4_HEADER_LENGTH);
    size_t header_length;
    size_t total_length;
    uint16_t fragment;

    if (!header)
        return false;
    header_length = (size_t)(header[0] & 0x0f) * 4;
    total_length = wire_get_u16(header + 2);
    if (total_length == 0) /* segmentation offload: the network card would have filled it in */
        total_length = IPV4_HEADER_LENGTH + rest->length;
    if (header_length < IPV4_HEADER_LENGTH || total_length < header_length ||
        !take(rest, header_length - IPV4_HEADER_LENGTH))
        return false;
    limit(rest, total_length - header_length);
    fragment = wire_get_u16(header + 6);
    if (fragment & IPV4_FRAGMENT_OFFSET) {
        reader->fragments++;
        return false;
    }
    if (fragment & IPV4_MORE_FRAGMENTS)
        rest->incomplete = true;
    packet->source = braid_address_ipv4(header + 12);
    packet->destination = braid_address_ipv4(header + 16);
    *protocol = header[9];
    return true;
}

/* Takes off an IPv6 extension header. False if what follows it cannot be read. */
static bool take_extension_header(struct capture_reader *reader, struct remainder *rest,
                                  uint8_t *protocol)
{
    const uint8_t *header = rest->bytes;
    size_t length;

    if (rest->length < 8)
        return false;
    switch (*protocol) {
    case PROTOCOL_FRAGMENT:
        length = IPV6_FRAGMENT_LENGTH;
        if (wire_get_u16(header + 2) & IPV6_FRAGMENT_OFFSET) {
            reader->fragments++;
            return false;
        }
        if (wire_get_u16(header + 2) & IPV6_MORE_FRAGMENTS)
            rest->incomplete = true;
        break;
    case PROTOCOL_AUTHENTICATION:
        length = ((size_t)header[1] + 2) * 4;
        break;
    default:
        length = ((size_t)header[1] + 1) * 8;
        break;
    }
    *protocol = header[0];
    return take(rest, length) != NULL;
}

/* Takes off the IPv6 header and its extension headers. */
static bool take_ipv6_header(struct capture_reader *reader, struct remainder *rest,
                             struct captured_packet *packet, uint8_t *protocol)
{
    const uint8_t *header = take(rest, IPV6_HEADER_LENGTH);

    if (!header)
        return false;
    if (wire_get_u16(header + 4) != 0) /* zero: a jumbogram, or segmentation offload */
        limit(rest, wire_get_u16(header + 4));
    packet->source = braid_address_ipv6(header + 8, 0);
    packet->destination = braid_address_ipv6(header + 24, 0);
    *protocol = header[6];
    for (;;) {
        switch (*protocol) {
        case PROTOCOL_HOP_BY_HOP:
        case PROTOCOL_ROUTING:
        case PROTOCOL_FRAGMENT:
        case PROTOCOL_AUTHENTICATION:
        case PROTOCOL_DESTINATION_OPTIONS:
        case PROTOCOL_MOBILITY:
            if (!take_extension_header(reader, rest, protocol))
                return false;
            break;
        default:
            return true;
        }
    }
}

/* Takes off the UDP header. False if it is not that of encapsulated SCTP. */
static bool take_udp_header(struct remainder *rest, struct captured_packet *packet,
                            uint16_t udp_port)
{
    const uint8_t *header = take(rest, UDP_HEADER_LENGTH);
    size_t length;

    if (!header)
        return false;
    packet->udp_source_port = wire_get_u16(header);
    packet->udp_destination_port = wire_get_u16(header + 2);
    if (packet->udp_source_port != udp_port && packet->udp_destination_port != udp_port)
        return false;
    length = wire_get_u16(header + 4);
    if (length >= UDP_HEADER_LENGTH)
        limit(rest, length - UDP_HEADER_LENGTH);
    return true;
}

/* Finds the SCTP packet in a frame. False if there is none. */
static bool find_packet(struct capture_reader *reader, struct remainder rest,
                        struct captured_packet *packet)
{
    uint8_t protocol;

    if (!take_link_header(&rest, reader->link_type) || rest.length == 0)
        return false;
    switch (rest.bytes[0] >> 4) {
    case BRAID_IPV4:
        if (!take_ipv4_header(reader, &rest, packet, &protocol))
            return false;
        break;
    case BRAID_IPV6:
        if (!take_ipv6_header(reader, &rest, packet, &protocol))
            return false;
        break;
    default:
        return false;
    }
    if (protocol == PROTOCOL_UDP) {
        if (!take_udp_header(&rest, packet, reader->udp_port))
            return false;
    } else if (protocol != PROTOCOL_SCTP) {
        return false;
    }
    packet->bytes = rest.bytes;
    packet->length = rest.length;
    packet->incomplete = rest.incomplete;
    return true;
}

static bool is_known_link_type(int link_type)
{
    switch (link_type) {
    case DLT_EN10MB:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
        return true;
    default:
        return false;
    }
}

/* Takes `pcap` over, which is NULL if there is a reason not to. */
static struct capture_reader *reader_new(pcap_t *pcap, const char *reason, uint16_t udp_port,
                                         char error[CAPTURE_ERROR_SIZE])
{
    struct capture_reader *reader = NULL;
    const char *name;

    if (!pcap) {
        snprintf(error, CAPTURE_ERROR_SIZE, "%s", reason);
        return NULL;
    }
    if (!is_known_link_type(pcap_datalink(pcap))) {
        name = pcap_datalink_val_to_name(pcap_datalink(pcap));
        snprintf(error, CAPTURE_ERROR_SIZE, "packets of link type %d (%s) cannot be read",
                 pcap_datalink(pcap), name ? name : "unknown");
        pcap_close(pcap);
        return NULL;
    }
    reader = calloc(1, sizeof(*reader));
    if (!reader) {
        snprintf(error, CAPTURE_ERROR_SIZE, "out of memory");
        pcap_close(pcap);
        return NULL;
    }
    reader->pcap = pcap;
    reader->udp_port = udp_port;
    reader->link_type = pcap_datalink(pcap);
    return reader;
}

struct capture_reader *capture_reader_open_file(FILE *file, uint16_t udp_port,
                                                char error[CAPTURE_ERROR_SIZE])
{
    char reason[PCAP_ERRBUF_SIZE];
    pcap_t *pcap =
        pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, reason);

    if (!pcap) {
        fclose(file);
        if (strcmp(reason, "unknown file format") == 0)
            snprintf(reason, sizeof(reason), "it is no capture (neither pcap nor pcapng)");
    }
    return reader_new(pcap, reason, udp_port, error);
}

/* Has a file any byte: false, with the reason. libpcap would speak of its own header. */
static bool file_has_bytes(FILE *file, char error[CAPTURE_ERROR_SIZE])
{
    int first = getc(file);

    if (first == EOF)
        snprintf(error, CAPTURE_ERROR_SIZE, "%s", ferror(file) ? strerror(errno) : "it is empty");
    return first != EOF && ungetc(first, file) == first;
}

struct capture_reader *capture_reader_open(const char *path, uint16_t udp_port,
                                           char error[CAPTURE_ERROR_SIZE])
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");

    if (!file) {
        snprintf(error, CAPTURE_ERROR_SIZE, "%s", strerror(errno));
        return NULL;
    }
    if (!file_has_bytes(file, error)) {
        fclose(file);
        return NULL;
    }
    return capture_reader_open_file(file, udp_port, error);
}

/* Lets the kernel pass only what may be SCTP. */
static bool set_filter(pcap_t *pcap, uint16_t udp_port)
{
    struct bpf_program program;
    char filter[64];
    bool good;

    snprintf(filter, sizeof(filter), "sctp or ip6 proto 132 or udp port %u", udp_port);
    if (pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0)
        return false;
    good = pcap_setfilter(pcap, &program) == 0;
    pcap_freecode(&program);
    return good;
}

struct capture_reader *capture_reader_open_interface(const char *interface, uint16_t udp_port,
                                                     char error[CAPTURE_ERROR_SIZE])
{
    char reason[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_create(interface, reason);
    int result;

    if (!pcap)
        return reader_new(NULL, reason, udp_port, error);
    pcap_set_snaplen(pcap, LIVE_SNAPSHOT_LENGTH);
    pcap_set_immediate_mode(pcap, 1);
    pcap_set_timeout(pcap, LIVE_TIMEOUT_MILLISECONDS);
    pcap_set_buffer_size(pcap, LIVE_BUFFER_BYTES);
    pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
    result = pcap_activate(pcap);
    if (result < 0 || !set_filter(pcap, udp_port)) {
        if (result == PCAP_ERROR_PERM_DENIED)
            snprintf(error, CAPTURE_ERROR_SIZE, "to capture needs CAP_NET_RAW");
        else if (result == PCAP_ERROR_NO_SUCH_DEVICE)
            snprintf(error, CAPTURE_ERROR_SIZE, "there is no such interface");
        else
            snprintf(error, CAPTURE_ERROR_SIZE, "%s", pcap_geterr(pcap));
        pcap_close(pcap);
        return NULL;
    }
    return reader_new(pcap, NULL, udp_port, error);
}

void capture_reader_stop(struct capture_reader *reader)
{
    pcap_breakloop(reader->pcap);
}

/* Nanoseconds; a time that no clock shows is cut, so that two can be subtracted. */
static int64_t frame_time(const struct timeval *time)
{
    int64_t seconds = time->tv_sec;

    if (seconds > SECONDS_MAXIMUM)
        seconds = SECONDS_MAXIMUM;
    if (seconds < -SECONDS_MAXIMUM)
        seconds = -SECONDS_MAXIMUM;
    return seconds * 1000000000 + time->tv_usec % 1000000000;
}

int capture_reader_next(struct capture_reader *reader, struct captured_packet *packet)
{
    struct pcap_pkthdr *header;
    const u_char *bytes;

    for (;;) {
        int result = pcap_next_ex(reader->pcap, &header, &bytes);
        struct remainder rest;

        if (result == PCAP_ERROR_BREAK)
            return 0;
        if (result == 0) /* an interface on which nothing has come for a while */
            continue;
        if (result != 1)
            return -1;
        reader->frames++;
        rest = (struct remainder){
            .bytes = bytes, .length = header->caplen, .incomplete = header->caplen < header->len};
        *packet =
            (struct captured_packet){.time = frame_time(&header->ts), .number = reader->frames};
        if (find_packet(reader, rest, packet))
            return 1;
    }
}

const char *capture_reader_error(struct capture_reader *reader)
{
    return pcap_geterr(reader->pcap);
}

uint64_t capture_reader_frames(const struct capture_reader *reader)
{
    return reader->frames;
}

uint64_t capture_reader_fragments(const struct capture_reader *reader)
{
    return reader->fragments;
}

void capture_reader_close(struct capture_reader *reader)
{
    pcap_close(reader->pcap);
    free(reader);
}
