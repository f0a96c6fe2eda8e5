/*
 * Sending and receiving in batches through sockets, for the links over UDP and over IP.
 *
 * RFC 6951 (UDP), RFC 9260 section 3 (IP), RFC 3168 (ECN), RFC 8899 (Don't Fragment while the path
 * MTU is discovered).
 *
 * A batch leaves by one sendmmsg(), in which each message is up to 64 packets that the host cuts
 * apart (UDP_SEGMENT). Where it cannot, each message is one packet. What comes in by recvmmsg() may
 * be up to 64 packets of one sender in a row (UDP_GRO), which are cut apart here.
 */
#include "link/socket.h"

#include <errno.h>
#include <time.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/sockaddr.h"

enum {
    SEND_MESSAGES = 64,          /* messages that one system call sends at most */
    SEND_SEGMENTS = 64,          /* packets in one message: UDP_MAX_SEGMENTS of older kernels */
    SEND_SEGMENTS_BYTES = 65000, /* bytes of them: with headers less than an IP packet may have */
    SEND_TRIES = 4,              /* how often a send is repeated that an old ICMP error spoiled */
    RECEIVE_BYTES = 65536,       /* room for one message */
    RECEIVE_STRIDE = RECEIVE_BYTES + 128, /* apart, so that headers do not share a cache set */
    SOCKET_BUFFER = 8 << 20,
    ECN_MASK = 3,
    ECN_CE = 3,
};

/* What the last system call brought, and how much of it was given to the caller. */
struct socket_received {
    struct mmsghdr messages[SOCKET_RECEIVE_MESSAGES];
    struct iovec vectors[SOCKET_RECEIVE_MESSAGES];
    union socket_address sources[SOCKET_RECEIVE_MESSAGES];
    _Alignas(struct cmsghdr) uint8_t controls[SOCKET_RECEIVE_MESSAGES][SOCKET_CONTROL_BYTES];
    struct link_socket *socket; /* where it came from */
    unsigned int count, next;   /* messages: how many, and the first that was not yet begun */
    struct braid_packet packet; /* the message that is being cut: its first packet left */
    size_t left, segment;       /* bytes of it; bytes of each packet */
    uint8_t *bytes;
};

/* ---- Receiving ------------------------------------------------------------------------------ */

static struct socket_received *received_new(void)
{
    struct socket_received *received = calloc(1, sizeof(*received));

    if (!received)
        return NULL;
    received->bytes = malloc((size_t)SOCKET_RECEIVE_MESSAGES * RECEIVE_STRIDE);
    if (!received->bytes) {
        free(received);
        return NULL;
    }
    for (size_t i = 0; i < SOCKET_RECEIVE_MESSAGES; i++) {
        struct msghdr *header = &received->messages[i].msg_hdr;

        received->vectors[i] = (struct iovec){.iov_base = received->bytes + i * RECEIVE_STRIDE,
                                              .iov_len = RECEIVE_BYTES};
        header->msg_iov = &received->vectors[i];
        header->msg_iovlen = 1;
        header->msg_name = &received->sources[i];
        header->msg_control = received->controls[i];
    }
    return received;
}

/* The host remembers the error that an ICMP message caused, and gives it to the next call on the
 * socket, whatever that does. It says nothing about that call. */
static bool error_is_of_the_past(int error)
{
    return error != EAGAIN && error != ENOBUFS && error != ENOMEM && error != EINVAL &&
           error != EIO && error != EPERM && error != EBADF && error != EINTR;
}

/* Fills `received` from one socket. Returns the number of messages, or a negative errno. */
static int receive_messages(struct socket_received *received, struct link_socket *socket,
                            size_t maximum)
{
    int count = -1;

    for (size_t i = 0; i < maximum; i++) {
        struct msghdr *header = &received->messages[i].msg_hdr;

        header->msg_namelen = sizeof(received->sources[i]);
        header->msg_controllen = SOCKET_CONTROL_BYTES;
    }
    for (int tries = 0; count < 0 && tries < SEND_TRIES; tries++) {
        count = recvmmsg(socket->descriptor, received->messages, (unsigned int)maximum,
                         MSG_DONTWAIT, NULL);
        if (count < 0 && errno != EINTR && !error_is_of_the_past(errno))
            break;
    }
    if (count < 0)
        return -errno;
    received->socket = socket;
    received->count = (unsigned int)count;
    received->next = 0;
    return count;
}

/* A network's broadcast address is known to the host alone, which would answer from another. It
 * becomes the one that everybody knows. */
static struct braid_address destination_ipv4(const struct in_pktinfo *info)
{
    static const uint8_t everybody[4] = {255, 255, 255, 255};

    return braid_address_ipv4(info->ipi_addr.s_addr == info->ipi_spec_dst.s_addr
                                  ? (const void *)&info->ipi_addr
                                  : everybody);
}

/* What the control messages tell of a received message. Its segment size, or 0. */
static size_t receive_control(struct socket_link *self, struct socket_received *received,
                              struct msghdr *header)
{
    struct braid_packet *packet = &received->packet;
    size_t segment = 0;

    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
         control = CMSG_NXTHDR(header, control)) {
        const void *data = CMSG_DATA(control);
        int level = control->cmsg_level, type = control->cmsg_type;

        if (level == IPPROTO_IP && type == IP_PKTINFO) {
            packet->destination = destination_ipv4(data);
            packet->interface = (uint32_t)((const struct in_pktinfo *)data)->ipi_ifindex;
        } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
            const struct in6_pktinfo *info = data;

            packet->destination = socket_address_ipv6(&info->ipi6_addr, info->ipi6_ifindex);
            packet->interface = info->ipi6_ifindex;
        } else if (level == IPPROTO_IP && type == IP_TOS) {
            packet->congestion_experienced = (*(const uint8_t *)data & ECN_MASK) == ECN_CE;
        } else if (level == IPPROTO_IPV6 && type == IPV6_TCLASS) {
            packet->congestion_experienced = (*(const int *)data & ECN_MASK) == ECN_CE;
        } else if (level == SOL_UDP && type == UDP_GRO) {
            segment = (size_t) * (const int *)data;
        } else if (level == SOL_SOCKET && type == SO_RXQ_OVFL) {
            uint32_t dropped = *(const uint32_t *)data;

            self->link.statistics.receive_dropped +=
                (uint32_t)(dropped - received->socket->dropped);
            received->socket->dropped = dropped;
        }
    }
    return segment;
}

/* The length of the IPv4 header that stands before what a raw socket receives (RFC 791); 0 if there
 * is none. The host has verified it. */
static size_t ipv4_header_length(const uint8_t *bytes, size_t length)
{
    size_t header = length >= 20 ? (size_t)(bytes[0] & 15) * 4 : 0;

    return header >= 20 && header <= length ? header : 0;
}

/* Begins with the next message. */
static void receive_next(struct socket_link *self, struct socket_received *received)
{
    unsigned int index = received->next++;
    struct mmsghdr *message = &received->messages[index];
    const union socket_address *source = &received->sources[index];
    const uint8_t *bytes = received->vectors[index].iov_base;
    size_t header = 0;

    received->packet = (struct braid_packet){
        .bytes = bytes,
        .source = socket_address_get(source),
        .encapsulation_port = self->over_ip ? 0 : socket_address_port(source),
    };
    received->segment = receive_control(self, received, &message->msg_hdr);
    received->left = message->msg_len;
    if (self->over_ip && source->any.sa_family == AF_INET)
        header = ipv4_header_length(bytes, received->left);
    received->packet.bytes = bytes + header;
    received->left -= header;
    if (received->left == 0 || (message->msg_hdr.msg_flags & MSG_TRUNC)) {
        received->left = 0;
        self->link.statistics.receive_ignored++;
    }
    if (received->segment == 0)
        received->segment = received->left;
}

static int socket_link_receive(struct link *link, struct braid_packet *packets, size_t capacity)
{
    struct socket_link *self = socket_link_of(link);
    struct socket_received *received = self->received;
    size_t maximum = capacity < SOCKET_RECEIVE_MESSAGES ? capacity : SOCKET_RECEIVE_MESSAGES;
    size_t count = 0;

    /* the socket that had something last time first: mostly only one is in use */
    for (int i = 0;
         i < LINK_SOCKET_MAXIMUM && received->left == 0 && received->next == received->count; i++) {
        struct link_socket *socket = &self->sockets[self->turn];
        int error = socket->descriptor < 0 ? -EAGAIN : receive_messages(received, socket, maximum);

        if (error > 0)
            link->statistics.receive_calls++;
        else if (error != -EAGAIN)
            return error;
        else
            self->turn = (self->turn + 1) % LINK_SOCKET_MAXIMUM;
    }
    while (count < capacity) {
        struct braid_packet *packet = &received->packet;

        if (received->left == 0) {
            if (received->next == received->count)
                break;
            receive_next(self, received);
            continue;
        }
        packet->length = received->left < received->segment ? received->left : received->segment;
        packets[count++] = *packet;
        packet->bytes = (const uint8_t *)packet->bytes + packet->length;
        received->left -= packet->length;
    }
    return (int)count;
}

/* ---- Sending -------------------------------------------------------------------------------- */

/* Adds one control message to a header that has room for it. */
static void control_add(struct msghdr *header, int level, int type, const void *data, size_t size)
{
    struct cmsghdr *control = (void *)((uint8_t *)header->msg_control + header->msg_controllen);

    memset(control, 0, CMSG_SPACE(size));
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(control), data, size);
    header->msg_controllen += CMSG_SPACE(size);
}

/* The source, and the interface to leave by. */
static void control_add_way(struct msghdr *header, bool ipv6, const struct braid_batch *batch)
{
    const struct braid_address *source = &batch->source;

    if (source->family == BRAID_UNSPECIFIED && batch->interface == 0)
        return;
    if (!ipv6) {
        struct in_pktinfo info = {.ipi_ifindex = (int)batch->interface};

        if (source->family != BRAID_UNSPECIFIED)
            memcpy(&info.ipi_spec_dst, source->bytes, 4);
        control_add(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex =
                                       source->scope != 0 ? source->scope : batch->interface};

        if (source->family != BRAID_UNSPECIFIED)
            memcpy(&info.ipi6_addr, source->bytes, 16);
        control_add(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

static void control_add_traffic_class(struct msghdr *header, bool ipv6, int traffic_class)
{
    if (traffic_class == 0)
        return;
    control_add(header, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_TCLASS : IP_TOS,
                &traffic_class, sizeof(traffic_class));
}

static void control_add_hop_limit(struct msghdr *header, bool ipv6, int hop_limit)
{
    if (hop_limit == 0)
        return;
    control_add(header, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_HOPLIMIT : IP_TTL, &hop_limit,
                sizeof(hop_limit));
}

/*
 * Don't Fragment is a state of the socket, so it is set when it changes. PROBE sets the bit and
 * does not heed the path MTU that the host has learned: the engine keeps its own.
 */
static void socket_set_discovery(struct link_socket *socket, bool ipv6, bool dont_fragment)
{
    int value = dont_fragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT; /* IPV6_ ones are equal */

    if (socket->discovery == value)
        return;
    if (setsockopt(socket->descriptor, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   ipv6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &value, sizeof(value)) == 0)
        socket->discovery = value;
}

/*
 * The priority in the host's queues is a state of the socket, too. IP_TOS sets it with the traffic
 * class (ip(7)), also as ancillary data: so with a priority both are set, in that order.
 */
static void socket_set_priority(struct link_socket *socket, bool ipv6,
                                const struct braid_batch *batch)
{
    int class = batch->priority != 0 && !ipv6 ? batch->traffic_class : 0;
    int priority = batch->priority;

    if (socket->priority == priority && socket->traffic_class == class)
        return;
    if (!ipv6)
        (void)setsockopt(socket->descriptor, IPPROTO_IP, IP_TOS, &class, sizeof(class));
    (void)setsockopt(socket->descriptor, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority));
    socket->priority = priority;
    socket->traffic_class = class;
}

/*
 * Sends the batch, or as much of it as one system call can, in messages of `segments` packets.
 * Returns how many packets went, or a negative errno if none.
 */
static int send_messages(struct link_socket *socket, struct msghdr *header,
                         const struct braid_batch *batch, size_t segments)
{
    struct mmsghdr messages[SEND_MESSAGES];
    struct iovec vectors[SEND_MESSAGES];
    size_t message_size = segments * batch->segment_size;
    size_t offset = 0;
    size_t packets;
    unsigned int count = 0;
    int sent = -1;

    for (; count < SEND_MESSAGES && offset < batch->length; count++) {
        size_t left = batch->length - offset;

        vectors[count].iov_base = batch->bytes + offset;
        vectors[count].iov_len = left < message_size ? left : message_size;
        messages[count] = (struct mmsghdr){.msg_hdr = *header};
        messages[count].msg_hdr.msg_iov = &vectors[count];
        messages[count].msg_hdr.msg_iovlen = 1;
        offset += vectors[count].iov_len;
    }
    for (int tries = 0; sent < 0 && tries < SEND_TRIES; tries++) {
        sent = sendmmsg(socket->descriptor, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && !error_is_of_the_past(errno))
            break;
    }
    if (sent < 0)
        return -errno;
    packets = (size_t)sent * segments;
    return (int)(packets < batch->count ? packets : batch->count);
}

/* How many packets of the batch one message can carry. */
static size_t batch_segments(const struct braid_batch *batch)
{
    size_t segments;

    if (batch->count <= 1)
        return 1;
    segments = SEND_SEGMENTS_BYTES / batch->segment_size;
    if (segments > SEND_SEGMENTS)
        segments = SEND_SEGMENTS;
    return segments > 1 ? segments : 1;
}

static int socket_link_send(struct link *link, const struct braid_batch *batch)
{
    struct socket_link *self = socket_link_of(link);
    bool ipv6 = batch->destination.family == BRAID_IPV6;
    struct link_socket *socket = &self->sockets[ipv6];
    struct braid_batch rest = *batch;
    union socket_address address;
    _Alignas(struct cmsghdr) uint8_t control[SOCKET_CONTROL_BYTES];
    struct msghdr header = {.msg_name = &address, .msg_control = control};
    size_t plain_length; /* of the control messages without UDP_SEGMENT */
    size_t segments = socket->segments ? batch_segments(batch) : 1;
    size_t total = 0;
    int sent = 0;

    if (socket->descriptor < 0)
        return -EAFNOSUPPORT;
    header.msg_namelen = socket_address_set(&address, &batch->destination,
                                            self->over_ip ? 0 : batch->encapsulation_port);
    control_add_way(&header, ipv6, batch);
    socket_set_priority(socket, ipv6, batch);
    if (ipv6 || batch->priority == 0)
        control_add_traffic_class(&header, ipv6, batch->traffic_class);
    control_add_hop_limit(&header, ipv6, batch->hop_limit);
    plain_length = header.msg_controllen;
    if (segments > 1) {
        uint16_t size = (uint16_t)batch->segment_size;

        control_add(&header, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
    }
    socket_set_discovery(socket, ipv6, batch->dont_fragment);
    while (total < batch->count) {
        sent = send_messages(socket, &header, &rest, segments);
        if (sent < 0 && segments > 1 && sent != -EAGAIN && sent != -ENOBUFS) {
            /* EIO: this device cannot do it. Else a packet may be too large to be cut so, or it is
             * an error of its own, which the first packet alone will show. */
            if (sent == -EIO)
                socket->segments = false;
            segments = 1;
            header.msg_controllen = plain_length;
            continue;
        }
        if (sent < 0)
            break;
        link->statistics.send_calls++;
        total += (size_t)sent;
        rest = link_batch_rest(&rest, (size_t)sent);
    }
    if (total > 0)
        return (int)total;
    if (sent == -EMSGSIZE)
        socket_link_report_too_big(self, batch);
    return sent;
}

/* ---- Opening and closing -------------------------------------------------------------------- */

static bool socket_link_source(struct link *link, const struct braid_address *destination,
                               struct braid_address *source)
{
    return route_lookup(&socket_link_of(link)->routes, destination, 0, source, NULL) == 0;
}

static uint64_t socket_link_time(struct link *link)
{
    struct timespec now;

    (void)link;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void socket_link_shut(struct socket_link *self)
{
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++) {
        if (self->sockets[i].descriptor >= 0)
            close(self->sockets[i].descriptor);
        self->sockets[i] = (struct link_socket){.descriptor = -1, .discovery = -1};
        self->link.descriptors[i] = -1;
        if (self->guards[i] >= 0)
            close(self->guards[i]);
        self->guards[i] = -1;
    }
    self->link.ipv4 = self->link.ipv6 = false;
}

static void socket_link_close(struct link *link)
{
    struct socket_link *self = socket_link_of(link);

    socket_link_shut(self);
    routes_close(&self->routes);
    if (self->received)
        free(self->received->bytes);
    free(self->received);
    free(self);
}

struct socket_link *socket_link_new(const char *name)
{
    static const struct link_operations operations = {
        .receive = socket_link_receive,
        .send = socket_link_send,
        .receive_error = socket_link_receive_error,
        .close = socket_link_close,
        .source = socket_link_source,
        .time = socket_link_time,
    };
    struct socket_link *self = calloc(1, sizeof(*self));

    if (!self)
        return NULL;
    self->link.operations = &operations;
    self->link.name = name;
    self->routes = (struct routes){.descriptors = {-1, -1}};
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        self->sockets[i].descriptor = self->guards[i] = -1;
    socket_link_shut(self);
    self->received = received_new();
    if (!self->received || routes_open(&self->routes) < 0) {
        socket_link_close(&self->link);
        return NULL;
    }
    return self;
}

static int set_option(int descriptor, int level, int name, int value)
{
    return setsockopt(descriptor, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Large buffers bridge the time until we run. The limits of the host hold for those without
 * privilege; less is not an error. */
static void set_buffers(int descriptor, uint32_t bytes)
{
    int value = (int)(bytes == 0 ? SOCKET_BUFFER : bytes > INT32_MAX / 2 ? INT32_MAX / 2 : bytes);

    if (set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, value) < 0)
        (void)set_option(descriptor, SOL_SOCKET, SO_RCVBUF, value);
    if (set_option(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, value) < 0)
        (void)set_option(descriptor, SOL_SOCKET, SO_SNDBUF, value);
}

/* What each family needs, up to {0, 0}. */
struct socket_option {
    int name, value;
};

static int set_options(int descriptor, int level, const struct socket_option *options)
{
    int error = 0;

    for (; error == 0 && options->name; options++)
        error = set_option(descriptor, level, options->name, options->value);
    return error;
}

static const struct socket_option ipv4_options[] = {
    {IP_PKTINFO, 1}, {IP_RECVTOS, 1}, {IP_RECVERR, 1}, {0, 0}};
static const struct socket_option ipv6_options[] = {
    {IPV6_RECVPKTINFO, 1}, {IPV6_RECVTCLASS, 1}, {IPV6_RECVERR, 1}, {0, 0}};
static const struct socket_option ipv6_udp_options[] = {{IPV6_V6ONLY, 1}, {0, 0}};
/* The host must not write a checksum of its own into the packet. */
static const struct socket_option ipv6_raw_options[] = {{IPV6_CHECKSUM, -1}, {0, 0}};

static int set_family_options(int descriptor, bool ipv6, bool udp)
{
    int error;

    if (!ipv6)
        return set_options(descriptor, IPPROTO_IP, ipv4_options);
    error = set_options(descriptor, IPPROTO_IPV6, ipv6_options);
    if (error < 0)
        return error;
    return set_options(descriptor, IPPROTO_IPV6, udp ? ipv6_udp_options : ipv6_raw_options);
}

static int socket_bind(int descriptor, enum braid_family family, uint16_t port,
                       const struct braid_address *address)
{
    struct braid_address any = {.family = (uint16_t)family};
    union socket_address local;
    socklen_t length = socket_address_set(&local, address->family ? address : &any, port);

    return bind(descriptor, &local.any, length) < 0 ? -errno : 0;
}

int socket_link_open(struct socket_link *self, enum braid_family family, int type, int protocol,
                     uint16_t port, const struct link_config *config)
{
    bool ipv6 = family == BRAID_IPV6;
    bool udp = protocol == IPPROTO_UDP;
    struct link_socket *entry = &self->sockets[ipv6];
    int descriptor =
        socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    int error;

    if (descriptor < 0)
        return -errno;
    entry->descriptor = descriptor;
    set_buffers(descriptor, config->socket_buffer);
    (void)set_option(descriptor, SOL_SOCKET, SO_RXQ_OVFL, 1);
    error = set_family_options(descriptor, ipv6, udp);
    if (error == 0)
        error = socket_bind(descriptor, family, port, &config->address);
    if (error < 0)
        return error;
    if (udp) {
        /* both are there since Linux 5.0; without them each packet is a message */
        (void)set_option(descriptor, SOL_UDP, UDP_GRO, 1);
        entry->segments = set_option(descriptor, SOL_UDP, UDP_SEGMENT, 0) == 0;
    }
    self->link.descriptors[ipv6] = descriptor;
    if (ipv6)
        self->link.ipv6 = true;
    else
        self->link.ipv4 = true;
    return 0;
}
