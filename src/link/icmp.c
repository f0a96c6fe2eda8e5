/*
 * ICMP messages about our packets, from the error queues of the sockets.
 *
 * RFC 9260 section 10, RFC 6951 section 5.5; ICMP (RFC 792), ICMPv6 (RFC 4443), path MTU (RFC 1191,
 * RFC 8201).
 */
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "link/sockaddr.h"
#include "link/socket.h"

void socket_link_report_too_big(struct socket_link *self, const struct braid_batch *batch)
{
    struct link_error *error = &self->local_error;

    *error = (struct link_error){
        .kind = BRAID_ICMP_TOO_BIG,
        .destination = batch->destination,
        .quoted = self->quoted,
        .length = batch->length < batch->segment_size ? batch->length : batch->segment_size,
    };
    if (error->length > sizeof(self->quoted))
        error->length = sizeof(self->quoted);
    memcpy(self->quoted, batch->bytes, error->length);
    (void)route_lookup(&self->routes, &batch->destination, batch->interface, NULL, &error->mtu);
    self->local_error_waits = true;
}

/* What an ICMP message means to SCTP (RFC 9260 section 10, RFC 6951 section 5.5). False: nothing.
 */
static bool icmp_kind(bool over_ip, const struct sock_extended_err *icmp, enum braid_icmp *kind)
{
    *kind = BRAID_ICMP_UNREACHABLE;
    if (icmp->ee_origin == SO_EE_ORIGIN_ICMP && icmp->ee_type == ICMP_DEST_UNREACH) {
        if (icmp->ee_code == ICMP_FRAG_NEEDED)
            *kind = BRAID_ICMP_TOO_BIG;
        else if (icmp->ee_code == ICMP_PROT_UNREACH ||
                 (icmp->ee_code == ICMP_PORT_UNREACH && !over_ip))
            *kind = BRAID_ICMP_PROTOCOL_UNREACHABLE;
        return icmp->ee_code != ICMP_PORT_UNREACH || !over_ip;
    }
    if (icmp->ee_origin != SO_EE_ORIGIN_ICMP6)
        return false;
    if (icmp->ee_type == ICMP6_PACKET_TOO_BIG) {
        *kind = BRAID_ICMP_TOO_BIG;
        return true;
    }
    if (icmp->ee_type == ICMP6_DST_UNREACH) {
        if (icmp->ee_code == ICMP6_DST_UNREACH_NOPORT)
            *kind = BRAID_ICMP_PROTOCOL_UNREACHABLE;
        return icmp->ee_code != ICMP6_DST_UNREACH_NOPORT || !over_ip;
    }
    *kind = BRAID_ICMP_PROTOCOL_UNREACHABLE;
    return icmp->ee_type == ICMP6_PARAM_PROB && icmp->ee_code == ICMP6_PARAMPROB_NEXTHEADER;
}

/* Takes one entry from the error queue of a socket: 1 if it means something, 0 if not, negative if
 * there is none. */
static int receive_icmp(struct socket_link *self, struct link_socket *socket,
                        struct link_error *error)
{
    union socket_address destination = {.any = {.sa_family = AF_UNSPEC}};
    _Alignas(struct cmsghdr) uint8_t controls[SOCKET_CONTROL_BYTES];
    struct iovec vector = {.iov_base = self->quoted, .iov_len = sizeof(self->quoted)};
    struct msghdr header = {
        .msg_name = &destination,
        .msg_namelen = sizeof(destination),
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = controls,
        .msg_controllen = sizeof(controls),
    };
    ssize_t length = recvmsg(socket->descriptor, &header, MSG_ERRQUEUE | MSG_DONTWAIT);

    if (length < 0)
        return -errno;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&header); control;
         control = CMSG_NXTHDR(&header, control)) {
        bool ipv4 = control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_RECVERR;
        bool ipv6 = control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_RECVERR;
        const struct sock_extended_err *icmp = (const void *)CMSG_DATA(control);
        enum braid_icmp kind;

        if ((!ipv4 && !ipv6) || !icmp_kind(self->over_ip, icmp, &kind))
            continue;
        *error = (struct link_error){
            .kind = kind,
            .mtu = kind == BRAID_ICMP_TOO_BIG ? icmp->ee_info : 0,
            .destination = socket_address_get(&destination),
            .quoted = self->quoted,
            .length = (size_t)length,
        };
        return 1;
    }
    return 0;
}

bool socket_link_receive_error(struct link *link, struct link_error *error)
{
    struct socket_link *self = socket_link_of(link);

    if (self->local_error_waits) {
        self->local_error_waits = false;
        *error = self->local_error;
        return true;
    }
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++) {
        int found = 0;

        while (self->sockets[i].descriptor >= 0 && found == 0)
            found = receive_icmp(self, &self->sockets[i], error);
        if (found > 0)
            return true;
    }
    return false;
}
