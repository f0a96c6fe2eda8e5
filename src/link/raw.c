/*
 * The link over IP: SCTP packets as the payload of IPv4 and IPv6, protocol 132, by raw sockets.
 *
 * RFC 9260 section 3. The host makes the IP headers, fragments and reassembles. It sends no
 * "protocol unreachable" for packets that a raw socket takes: since Linux 6.17 or so a socket whose
 * buffer is full does not count, and a second one that is always empty does.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/sockaddr.h"
#include "link/socket.h"

/*
 * True if the kernel speaks SCTP itself: it would answer all packets to ports that it does not know
 * with ABORT. To ask by socket() would load the module that we hope is not there.
 */
static bool kernel_sctp_is_active(void)
{
    char line[256];
    bool found = access("/proc/net/sctp", F_OK) == 0;
    FILE *protocols = fopen("/proc/net/protocols", "re");

    if (!protocols)
        return found;
    while (!found && fgets(line, sizeof(line), protocols))
        found = strncmp(line, "SCTP", 4) == 0;
    fclose(protocols);
    return found;
}

/* A socket that all packets match, and whose filter lets none in. */
static int guard_open(int family, const struct braid_address *address)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K};
    struct sock_fprog filter = {.len = 1, .filter = &nothing};
    int descriptor = socket(family, SOCK_RAW | SOCK_CLOEXEC, LINK_IP_PROTOCOL);
    union socket_address bound;
    socklen_t length = socket_address_set(&bound, address, 0);

    if (descriptor < 0)
        return -errno;
    if (setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
        (length > 0 && bind(descriptor, &bound.any, length) < 0)) {
        int error = -errno;

        close(descriptor);
        return error;
    }
    return descriptor;
}

static int guards_open(struct socket_link *self, const struct link_config *config)
{
    const bool wanted[LINK_SOCKET_MAXIMUM] = {self->link.ipv4, self->link.ipv6};
    static const int families[LINK_SOCKET_MAXIMUM] = {AF_INET, AF_INET6};

    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++) {
        self->guards[i] = wanted[i] ? guard_open(families[i], &config->address) : -1;
        if (wanted[i] && self->guards[i] < 0)
            return self->guards[i];
    }
    return 0;
}

static int raw_open(struct socket_link *self, const struct link_config *config)
{
    uint16_t family = config->address.family;
    int error = -EAFNOSUPPORT;

    self->over_ip = true;
    if (!config->ipv6_only && family != BRAID_IPV6) {
        error = socket_link_open(self, BRAID_IPV4, SOCK_RAW, LINK_IP_PROTOCOL, 0, config);
        if (error < 0 && error != -EAFNOSUPPORT)
            return error;
    }
    if (!config->ipv4_only && family != BRAID_IPV4) {
        error = socket_link_open(self, BRAID_IPV6, SOCK_RAW, LINK_IP_PROTOCOL, 0, config);
        if (error < 0 && error != -EAFNOSUPPORT)
            return error;
    }
    if (!self->link.ipv4 && !self->link.ipv6)
        return error;
    return kernel_sctp_is_active() ? -EBUSY : guards_open(self, config);
}

int link_open_raw(struct link **link, const struct link_config *config)
{
    struct socket_link *self = socket_link_new("raw");
    int error;

    if (!self)
        return -ENOMEM;
    error = raw_open(self, config);
    if (error < 0) {
        link_close(&self->link);
        return error;
    }
    *link = &self->link;
    return 0;
}

const char *link_raw_error_text(int error)
{
    switch (error) {
    case -EPERM:
    case -EACCES:
        return "SCTP directly over IP needs the capability CAP_NET_RAW: run as root, give it with "
               "\"setcap cap_net_raw+ep\" to the program, or use SCTP over UDP";
    case -EBUSY:
        return "this kernel's own SCTP is active and would answer the same packets: unload it with "
               "\"rmmod sctp\" (and what uses it, see lsmod), or use SCTP over UDP";
    case -EADDRNOTAVAIL:
        return "this host does not have that address";
    case -EAFNOSUPPORT:
        return "this host has neither IPv4 nor IPv6, or not the one that was asked for";
    default:
        return strerror(-error);
    }
}
