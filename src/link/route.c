/*
 * What the host knows about addresses: routes by a connected socket, the list of its own addresses
 * and the changes of both by rtnetlink (RFC 3549).
 *
 * RFC 9260 section 6.4 (the source address of packets), section 7.3 (path MTU).
 */
#include "link/route.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/sockaddr.h"

enum {
    ROUTE_PORT = 9,            /* where the socket claims to send to: discard */
    PACKET_MAXIMUM = 65535,    /* of an IP packet; the MTU of loopback is larger */
    NETLINK_BUFFER = 32 << 10, /* the largest message that the kernel makes of a dump */
};

/* ---- Routes --------------------------------------------------------------------------------- */

int routes_open(struct routes *routes)
{
    static const int families[2] = {AF_INET, AF_INET6};
    int error = 0;

    for (int i = 0; i < 2; i++) {
        routes->descriptors[i] = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
        if (routes->descriptors[i] < 0 && errno != EAFNOSUPPORT)
            error = -errno;
    }
    if (error == 0 && routes->descriptors[0] < 0 && routes->descriptors[1] < 0)
        error = -EAFNOSUPPORT;
    if (error != 0)
        routes_close(routes);
    return error;
}

void routes_close(struct routes *routes)
{
    for (int i = 0; i < 2; i++) {
        if (routes->descriptors[i] >= 0)
            close(routes->descriptors[i]);
        routes->descriptors[i] = -1;
    }
}

/* Each look-up may be for another. In network order, as the kernel wants it; Linux before 6.0 looks
 * at it only when something is sent. */
static void set_interface(struct routes *routes, bool ipv6, uint32_t interface)
{
    uint32_t value = htonl(interface);

    if (routes->interfaces[ipv6] == interface)
        return;
    routes->interfaces[ipv6] = interface;
    (void)setsockopt(routes->descriptors[ipv6], ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                     ipv6 ? IPV6_UNICAST_IF : IP_UNICAST_IF, &value, sizeof(value));
}

/* To connect a UDP socket sends nothing, but makes the host choose route and source. */
int route_lookup(struct routes *routes, const struct braid_address *destination, uint32_t interface,
                 struct braid_address *source, uint32_t *mtu)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    bool ipv6 = destination->family == BRAID_IPV6;
    int descriptor = routes->descriptors[ipv6];
    union socket_address address;
    socklen_t length = socket_address_set(&address, destination, ROUTE_PORT);
    int value = 0;
    socklen_t value_length = sizeof(value);

    if (length == 0 || descriptor < 0)
        return -EAFNOSUPPORT;
    (void)connect(descriptor, &nobody, sizeof(nobody)); /* forget the last source */
    set_interface(routes, ipv6, interface);
    if (connect(descriptor, &address.any, length) < 0)
        return -errno;
    length = sizeof(address);
    if (source) {
        if (getsockname(descriptor, &address.any, &length) < 0)
            return -errno;
        *source = socket_address_get(&address);
    }
    if (mtu) {
        if (getsockopt(descriptor, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_MTU : IP_MTU,
                       &value, &value_length) < 0)
            return -errno;
        *mtu = value > PACKET_MAXIMUM ? PACKET_MAXIMUM : (uint32_t)value;
    }
    return 0;
}

/* ---- Addresses ------------------------------------------------------------------------------ */

/* What is collected while the kernel lists interfaces, then addresses. */
struct address_collection {
    uint32_t *interfaces; /* indices of those that are up */
    size_t interface_count;
    struct braid_address *addresses;
    size_t address_count;
    size_t deprecated; /* how many of the addresses, at the end, are deprecated */
    struct interface_master *masters;
    size_t master_count;
};

/* Makes room for one more element; arrays double at the powers of two. Returns where it goes. */
static void *array_append(void **array, size_t *count, size_t size)
{
    if ((*count & (*count - 1)) == 0) {
        void *larger = realloc(*array, (*count ? *count * 2 : 1) * size);

        if (!larger)
            return NULL;
        *array = larger;
    }
    return (char *)*array + (*count)++ * size;
}

static int collect_master(struct address_collection *collection, const struct nlmsghdr *message)
{
    const struct ifinfomsg *info = NLMSG_DATA(message);
    const struct rtattr *attribute = IFLA_RTA(info);
    unsigned int left = (unsigned int)IFLA_PAYLOAD(message);
    void *array = collection->masters;
    struct interface_master *entry;

    while (RTA_OK(attribute, left) && attribute->rta_type != IFLA_MASTER)
        attribute = RTA_NEXT(attribute, left);
    if (!RTA_OK(attribute, left))
        return 0;
    entry = array_append(&array, &collection->master_count, sizeof(*entry));
    collection->masters = array;
    if (!entry)
        return -ENOMEM;
    entry->interface = (uint32_t)info->ifi_index;
    memcpy(&entry->master, RTA_DATA(attribute), sizeof(entry->master));
    return 0;
}

static int collect_interface(struct address_collection *collection, const struct nlmsghdr *message)
{
    const struct ifinfomsg *info = NLMSG_DATA(message);
    void *array = collection->interfaces;
    uint32_t *index;

    if (collect_master(collection, message) < 0)
        return -ENOMEM;
    if (!(info->ifi_flags & IFF_UP))
        return 0;
    index = array_append(&array, &collection->interface_count, sizeof(*index));
    collection->interfaces = array;
    if (!index)
        return -ENOMEM;
    *index = (uint32_t)info->ifi_index;
    return 0;
}

static bool interface_is_up(const struct address_collection *collection, uint32_t index)
{
    for (size_t i = 0; i < collection->interface_count; i++)
        if (collection->interfaces[i] == index)
            return true;
    return false;
}

static int collect_address(struct address_collection *collection, const struct nlmsghdr *message)
{
    const struct ifaddrmsg *info = NLMSG_DATA(message);
    const struct rtattr *attribute = IFA_RTA(info);
    unsigned int left = (unsigned int)IFA_PAYLOAD(message);
    const void *bytes = NULL, *local = NULL;
    uint32_t flags = info->ifa_flags;
    struct braid_address *address, swap;
    void *array = collection->addresses;
    size_t first_deprecated = collection->address_count - collection->deprecated;

    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == IFA_ADDRESS)
            bytes = RTA_DATA(attribute);
        else if (attribute->rta_type == IFA_LOCAL)
            local = RTA_DATA(attribute); /* IFA_ADDRESS is then that of the other end */
        else if (attribute->rta_type == IFA_FLAGS)
            memcpy(&flags, RTA_DATA(attribute), sizeof(flags));
    }
    if (local)
        bytes = local;
    if (!bytes || (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
        !interface_is_up(collection, info->ifa_index) || (flags & IFA_F_DADFAILED) ||
        ((flags & IFA_F_TENTATIVE) && !(flags & IFA_F_OPTIMISTIC)))
        return 0;
    address = array_append(&array, &collection->address_count, sizeof(*address));
    collection->addresses = array;
    if (!address)
        return -ENOMEM;
    *address = info->ifa_family == AF_INET ? braid_address_ipv4(bytes)
                                           : socket_address_ipv6(bytes, info->ifa_index);
    if (flags & IFA_F_DEPRECATED) {
        collection->deprecated++;
    } else {
        swap = collection->addresses[first_deprecated];
        collection->addresses[first_deprecated] = *address;
        *address = swap;
    }
    return 0;
}

/* Asks the kernel for all it has of a kind, and collects the answers. */
static int netlink_dump(int descriptor, uint16_t type, struct address_collection *collection)
{
    struct {
        struct nlmsghdr header;
        struct rtgenmsg body;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = type,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = type},
        .body = {.rtgen_family = AF_UNSPEC},
    };
    _Alignas(struct nlmsghdr) char buffer[NETLINK_BUFFER];

    if (send(descriptor, &request, sizeof(request), 0) < 0)
        return -errno;
    for (;;) {
        ssize_t received = recv(descriptor, buffer, sizeof(buffer), 0);
        unsigned int left = (unsigned int)received;

        if (received < 0)
            return -errno;
        for (const struct nlmsghdr *message = (void *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            int error = 0;

            if (message->nlmsg_seq != type)
                continue;
            if (message->nlmsg_type == NLMSG_DONE)
                return 0;
            if (message->nlmsg_type == NLMSG_ERROR)
                return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
            if (message->nlmsg_type == RTM_NEWLINK)
                error = collect_interface(collection, message);
            else if (message->nlmsg_type == RTM_NEWADDR)
                error = collect_address(collection, message);
            if (error != 0)
                return error;
        }
    }
}

int addresses_list(struct braid_address **addresses, size_t *count)
{
    struct address_collection collection = {0};
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int error;

    if (descriptor < 0)
        return -errno;
    error = netlink_dump(descriptor, RTM_GETLINK, &collection);
    if (error == 0)
        error = netlink_dump(descriptor, RTM_GETADDR, &collection);
    close(descriptor);
    free(collection.interfaces);
    free(collection.masters);
    if (error != 0) {
        free(collection.addresses);
        return error;
    }
    *addresses = collection.addresses;
    *count = collection.address_count;
    return 0;
}

int masters_list(struct interface_master **masters, size_t *count)
{
    struct address_collection collection = {0};
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int error = descriptor < 0 ? -errno : netlink_dump(descriptor, RTM_GETLINK, &collection);

    if (descriptor >= 0)
        close(descriptor);
    free(collection.interfaces);
    if (error != 0) {
        free(collection.masters);
        return error;
    }
    *masters = collection.masters;
    *count = collection.master_count;
    return 0;
}

int host_watch(void)
{
    struct sockaddr_nl groups = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                     RTMGRP_IPV6_ROUTE | 1u << (RTNLGRP_IPV4_RULE - 1) |
                     1u << (RTNLGRP_IPV6_RULE - 1),
    };
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (descriptor < 0)
        return -errno;
    if (bind(descriptor, (struct sockaddr *)&groups, sizeof(groups)) < 0) {
        int error = -errno;

        close(descriptor);
        return error;
    }
    return descriptor;
}

/* What changed is not looked at: to list all again is as cheap. ENOBUFS says that some was lost. */
bool host_changed(int descriptor)
{
    char buffer[NETLINK_BUFFER];
    bool changed = false;

    while (recv(descriptor, buffer, sizeof(buffer), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
        changed = true;
    return changed;
}
