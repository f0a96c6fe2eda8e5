/* Between the sockaddrs of programs and the engine's addresses.
 *
 * RFC 6458, section 3.1.2 and 4.1.2 (addresses of calls), 8.1.15 (IPv4 as mapped IPv6), RFC 3493.
 */
#include "socket/private.h"

/* Linux takes a sockaddr_in6 without sin6_scope_id for the check, but then needs it whole. */
static size_t sockaddr_length(sa_family_t family)
{
    if (family == AF_INET)
        return sizeof(struct sockaddr_in);
    return family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

int address_from_user(const struct sctp_socket *socket, const void *bytes, size_t length,
                      struct braid_address *address, uint16_t *port, size_t *used)
{
    union channel_address from;
    size_t needed;

    memset(&from, 0, sizeof(from));
    if (length < sizeof(from.any.sa_family))
        return -EINVAL;
    memcpy(&from, bytes, length < sizeof(from) ? length : sizeof(from));
    needed = sockaddr_length(from.any.sa_family);
    if (needed == 0 || length < needed)
        return -EINVAL;
    if (used)
        *used = needed;
    if (from.any.sa_family == AF_INET) {
        if (socket->domain == AF_INET6 && socket->v6only)
            return -EINVAL;
        *address = braid_address_ipv4(&from.in.sin_addr);
        *port = ntohs(from.in.sin_port);
        return 0;
    }
    if (socket->domain != AF_INET6)
        return -EINVAL;
    *address = braid_address_ipv6(&from.in6.sin6_addr, 0);
    *port = ntohs(from.in6.sin6_port);
    if (braid_address_is_ipv4_mapped(address)) {
        if (socket->v6only)
            return -EINVAL;
        *address = braid_address_normalise(address);
    } else if (braid_address_is_link_local(address)) {
        address->scope = from.in6.sin6_scope_id;
    }
    return 0;
}

size_t address_to_user(const struct sctp_socket *socket, const struct braid_address *address,
                       uint16_t port, union channel_address *to)
{
    memset(to, 0, sizeof(*to));
    if (address->family == BRAID_IPV6) {
        to->in6.sin6_family = AF_INET6;
        to->in6.sin6_port = htons(port);
        to->in6.sin6_scope_id = address->scope;
        memcpy(&to->in6.sin6_addr, address->bytes, 16);
        return sizeof(to->in6);
    }
    if (socket->domain == AF_INET6 && socket->mapped_v4) {
        to->in6.sin6_family = AF_INET6;
        to->in6.sin6_port = htons(port);
        to->in6.sin6_addr.s6_addr[10] = to->in6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(to->in6.sin6_addr.s6_addr + 12, address->bytes, 4);
        return sizeof(to->in6);
    }
    to->in.sin_family = AF_INET;
    to->in.sin_port = htons(port);
    memcpy(&to->in.sin_addr, address->bytes, 4);
    return sizeof(to->in);
}

void address_to_storage(const struct sctp_socket *socket, const struct braid_address *address,
                        uint16_t port, void *storage)
{
    union channel_address user;
    size_t length = address_to_user(socket, address, port, &user);

    memset(storage, 0, sizeof(struct sockaddr_storage));
    memcpy(storage, &user, length);
}

bool address_is_any(const void *storage)
{
    union channel_address address;

    memcpy(&address, storage, sizeof(address));
    if (address.any.sa_family == AF_INET)
        return address.in.sin_addr.s_addr == htonl(INADDR_ANY);
    if (address.any.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&address.in6.sin6_addr);
    return address.any.sa_family == AF_UNSPEC;
}
