/*
 * A capture: packets of links, written to a file for Wireshark.
 *
 * PCAP Next Generation (draft-ietf-opsawg-pcapng), IPv4 (RFC 791), IPv6 (RFC 8200), UDP (RFC 768).
 * libpcap 1.10 reads this format but cannot write it.
 */
#include "link/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packet/wire.h"

enum {
    BUFFER_BYTES = 256 << 10, /* more than one block of the largest packet */
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    LINKTYPE_RAW = 101,
    OPTION_END = 0,
    OPTION_SECTION_APPLICATION = 4,
    OPTION_INTERFACE_NAME = 2,
    OPTION_INTERFACE_RESOLUTION = 9,
    OPTION_PACKET_FLAGS = 2,
    RESOLUTION_NANOSECONDS = 9,
    BLOCK_OVERHEAD = 48, /* of a packet block, with its options */

    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    UDP_HEADER = 8,
    PROTOCOL_UDP = 17,
    PROTOCOL_SCTP = 132,
    TIME_TO_LIVE = 64,
    PACKET_MAXIMUM = 65535,
};

struct capture {
    int descriptor; /* -1: there is no file */
    int listeners[CAPTURE_LISTENERS];
    size_t listener_count;
    int error; /* what stopped it; 0: it goes on */
    bool error_told;
    off_t written;           /* bytes in the file */
    size_t length;           /* bytes in the buffer: whole blocks, and the one being made */
    size_t block;            /* where the block being made begins */
    uint16_t identification; /* of the last IPv4 packet that may be fragmented */
    uint64_t count;
    uint8_t bytes[BUFFER_BYTES];
};

/* ---- The file ------------------------------------------------------------------------------- */

/* The disk is full, or the reader of a pipe has gone. `done` bytes of the buffer were written: cuts
 * the file after the last whole block of them. */
static void capture_stop(struct capture *capture, int error, size_t done)
{
    size_t whole = 0;
    struct stat status;

    capture->error = error;
    while (whole < done) {
        uint32_t size;

        memcpy(&size, capture->bytes + whole + 4, sizeof(size));
        if (whole + size > done)
            break;
        whole += size;
    }
    if (fstat(capture->descriptor, &status) == 0 && S_ISREG(status.st_mode))
        while (ftruncate(capture->descriptor, capture->written + (off_t)whole) < 0 &&
               errno == EINTR)
            ;
    capture->length = 0;
}

static void capture_empty_buffer(struct capture *capture)
{
    size_t done = 0;

    while (done < capture->length) {
        ssize_t part = write(capture->descriptor, capture->bytes + done, capture->length - done);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0) {
            capture_stop(capture, part < 0 ? -errno : -EIO, done);
            return;
        }
        done += (size_t)part;
    }
    capture->written += (off_t)done;
    capture->length = 0;
}

static void listener_forget(struct capture *capture, size_t index)
{
    close(capture->listeners[index]);
    capture->listeners[index] = capture->listeners[--capture->listener_count];
}

/* Those who have closed their end, though no packet came since. */
static void forget_closed(struct capture *capture)
{
    for (size_t i = capture->listener_count; i-- > 0;) {
        struct pollfd end = {.fd = capture->listeners[i]};

        if (poll(&end, 1, 0) > 0 && end.revents & (POLLHUP | POLLERR))
            listener_forget(capture, i);
    }
}

int capture_flush(struct capture *capture)
{
    forget_closed(capture);
    if (capture->error == 0 && capture->descriptor >= 0)
        capture_empty_buffer(capture);
    if (capture->error == 0 || capture->error_told)
        return 0;
    capture->error_told = true;
    return capture->error;
}

/* ---- Blocks --------------------------------------------------------------------------------- */

/* Numbers of the format are in the byte order of the host that writes; the packets are not. */
static void put_bytes(struct capture *capture, const void *bytes, size_t length)
{
    memcpy(capture->bytes + capture->length, bytes, length);
    capture->length += length;
}

static void put_u16(struct capture *capture, uint16_t value)
{
    put_bytes(capture, &value, sizeof(value));
}

static void put_u32(struct capture *capture, uint32_t value)
{
    put_bytes(capture, &value, sizeof(value));
}

static void put_padding(struct capture *capture)
{
    while ((capture->length - capture->block) % 4 != 0)
        capture->bytes[capture->length++] = 0;
}

static void put_option(struct capture *capture, uint16_t code, const void *value, size_t length)
{
    put_u16(capture, code);
    put_u16(capture, (uint16_t)length);
    put_bytes(capture, value, length);
    put_padding(capture);
}

/* Begins a block that will have at most `room` bytes. False if nobody wants it. */
static bool block_begin(struct capture *capture, uint32_t type, size_t room)
{
    if (capture->error == 0 && capture->descriptor >= 0 && capture->length + room > BUFFER_BYTES)
        capture_empty_buffer(capture);
    if (capture_idle(capture))
        return false;
    capture->block = capture->length;
    put_u32(capture, type);
    put_u32(capture, 0); /* its length, when that is known */
    return true;
}

static void block_end(struct capture *capture)
{
    uint32_t size;

    put_u16(capture, OPTION_END);
    put_u16(capture, 0);
    size = (uint32_t)(capture->length - capture->block) + 4;
    memcpy(capture->bytes + capture->block + 4, &size, sizeof(size));
    put_u32(capture, size);
}

/* Gives the block that was made to those who listen. */
static void block_tell(struct capture *capture)
{
    const uint8_t *block = capture->bytes + capture->block;

    for (size_t i = capture->listener_count; i-- > 0;) {
        if (send(capture->listeners[i], block, capture->length - capture->block,
                 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
            errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
            continue;
        listener_forget(capture, i);
    }
    if (capture->descriptor < 0 || capture->error != 0)
        capture->length = 0; /* there is no file to keep it for */
}

/* ---- IP and UDP headers --------------------------------------------------------------------- */

/* The ones' complement sum of RFC 1071 over 16 bit words, not yet folded. */
static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, size_t length)
{
    for (; length >= 2; length -= 2, bytes += 2)
        sum += wire_get_u16(bytes);
    return length ? sum + ((uint64_t)bytes[0] << 8) : sum;
}

static uint16_t sum_finish(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static size_t put_ipv4(uint8_t *to, const struct capture_packet *packet, uint8_t protocol,
                       size_t payload, uint16_t identification)
{
    memset(to, 0, IPV4_HEADER);
    to[0] = 4 << 4 | IPV4_HEADER / 4;
    to[1] = packet->traffic_class;
    wire_put_u16(to + 2, (uint16_t)(IPV4_HEADER + payload));
    wire_put_u16(to + 4, identification);
    wire_put_u16(to + 6, packet->dont_fragment ? 0x4000 : 0);
    to[8] = packet->hop_limit ? packet->hop_limit : TIME_TO_LIVE;
    to[9] = protocol;
    memcpy(to + 12, packet->source.bytes, 4);
    memcpy(to + 16, packet->destination.bytes, 4);
    wire_put_u16(to + 10, sum_finish(sum_bytes(0, to, IPV4_HEADER)));
    return IPV4_HEADER;
}

static size_t put_ipv6(uint8_t *to, const struct capture_packet *packet, uint8_t protocol,
                       size_t payload)
{
    wire_put_u32(to, 6U << 28 | (uint32_t)packet->traffic_class << 20);
    wire_put_u16(to + 4, (uint16_t)payload);
    to[6] = protocol;
    to[7] = packet->hop_limit ? packet->hop_limit : TIME_TO_LIVE;
    memcpy(to + 8, packet->source.bytes, 16);
    memcpy(to + 24, packet->destination.bytes, 16);
    return IPV6_HEADER;
}

static size_t put_udp(uint8_t *to, const struct capture_packet *packet)
{
    unsigned int address_length = braid_address_length(&packet->source);
    uint16_t length = (uint16_t)(UDP_HEADER + packet->length);
    uint64_t sum = PROTOCOL_UDP + (uint64_t)length; /* the pseudo-header */
    uint16_t checksum;

    wire_put_u16(to, packet->source_port);
    wire_put_u16(to + 2, packet->destination_port);
    wire_put_u16(to + 4, length);
    wire_put_u16(to + 6, 0);
    sum = sum_bytes(sum, packet->source.bytes, address_length);
    sum = sum_bytes(sum, packet->destination.bytes, address_length);
    sum = sum_bytes(sum, to, UDP_HEADER);
    checksum = sum_finish(sum_bytes(sum, packet->bytes, packet->length));
    wire_put_u16(to + 6, checksum == 0 ? 0xffff : checksum); /* 0 says that there is none */
    return UDP_HEADER;
}

void capture_write(struct capture *capture, const struct capture_packet *packet)
{
    uint32_t flags = packet->direction; /* the lowest two bits of the option */
    bool udp = packet->source_port != 0 || packet->destination_port != 0;
    bool ipv6 = packet->source.family == BRAID_IPV6;
    uint8_t protocol = udp ? PROTOCOL_UDP : PROTOCOL_SCTP;
    size_t payload = packet->length + (udp ? UDP_HEADER : 0);
    size_t length = payload + (ipv6 ? IPV6_HEADER : IPV4_HEADER);
    uint8_t *to;

    if (braid_address_length(&packet->source) == 0 || length > PACKET_MAXIMUM ||
        packet->source.family != packet->destination.family ||
        !block_begin(capture, BLOCK_PACKET, BLOCK_OVERHEAD + length))
        return;
    put_u32(capture, 0); /* the interface */
    put_u32(capture, (uint32_t)(packet->time >> 32));
    put_u32(capture, (uint32_t)packet->time);
    put_u32(capture, (uint32_t)length);
    put_u32(capture, (uint32_t)length);
    to = capture->bytes + capture->length;
    if (ipv6)
        to += put_ipv6(to, packet, protocol, payload);
    else
        to += put_ipv4(to, packet, protocol, payload,
                       packet->dont_fragment ? 0 : ++capture->identification);
    if (udp)
        to += put_udp(to, packet);
    memcpy(to, packet->bytes, packet->length);
    capture->length += length;
    put_padding(capture);
    put_option(capture, OPTION_PACKET_FLAGS, &flags, sizeof(flags));
    block_end(capture);
    block_tell(capture);
    capture->count++;
}

/* ---- Opening and closing -------------------------------------------------------------------- */

/* The blocks that a capture begins with: calls `made` after each. */
static void put_head(struct capture *self, void (*made)(struct capture *self))
{
    static const char application[] = "braid";
    static const uint8_t resolution = RESOLUTION_NANOSECONDS;

    block_begin(self, BLOCK_SECTION, BLOCK_OVERHEAD);
    put_u32(self, BYTE_ORDER_MAGIC);
    put_u16(self, 1); /* version 1.0 */
    put_u16(self, 0);
    put_u32(self, UINT32_MAX); /* the length of the section, 64 bits: not known */
    put_u32(self, UINT32_MAX);
    put_option(self, OPTION_SECTION_APPLICATION, application, strlen(application));
    block_end(self);
    made(self);
    block_begin(self, BLOCK_INTERFACE, BLOCK_OVERHEAD);
    put_u16(self, LINKTYPE_RAW);
    put_u16(self, 0);
    put_u32(self, 0); /* packets are never cut */
    put_option(self, OPTION_INTERFACE_NAME, application, strlen(application));
    put_option(self, OPTION_INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
    block_end(self);
    made(self);
}

static void stays_in_buffer(struct capture *capture)
{
    (void)capture;
}

static void tell_newest(struct capture *capture)
{
    ssize_t sent =
        send(capture->listeners[capture->listener_count - 1], capture->bytes + capture->block,
             capture->length - capture->block, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)sent; /* a new socket has room */
    capture->length = capture->block;
}

int capture_open(struct capture **capture, const char *path)
{
    struct capture *self = malloc(sizeof(*self));
    int descriptor = -1, error;

    if (!self)
        return -ENOMEM;
    if (path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (path && descriptor < 0) {
        error = -errno;
        free(self);
        return error;
    }
    memset(self, 0, offsetof(struct capture, bytes));
    self->descriptor = descriptor;
    if (path)
        put_head(self, stays_in_buffer);
    error = capture_flush(self); /* a full disk is told at once */
    if (error < 0) {
        capture_close(self);
        return error;
    }
    *capture = self;
    return 0;
}

int capture_listen(struct capture *capture, int descriptor)
{
    forget_closed(capture);
    if (capture->listener_count == CAPTURE_LISTENERS)
        return -EMFILE;
    capture->listeners[capture->listener_count++] = descriptor;
    put_head(capture, tell_newest);
    return 0;
}

bool capture_idle(const struct capture *capture)
{
    return capture->listener_count == 0 && (capture->descriptor < 0 || capture->error != 0);
}

int capture_close(struct capture *capture)
{
    int error;

    if (!capture)
        return 0;
    error = capture_flush(capture);
    if (capture->descriptor >= 0 && close(capture->descriptor) < 0 && error == 0 &&
        !capture->error_told)
        error = -errno;
    for (size_t i = 0; i < capture->listener_count; i++)
        close(capture->listeners[i]);
    free(capture);
    return error;
}

uint64_t capture_count(const struct capture *capture)
{
    return capture->count;
}
