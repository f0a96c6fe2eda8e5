/*
 * Shows the paths of an association, and makes the last of them the primary one.
 *
 *     paths ADDRESS PORT
 *
 * Chapter 5: RFC 9260, section 6.4 (multi-homed endpoints); RFC 6458, section 8.2.2
 * (SCTP_GET_PEER_ADDR_INFO), 8.1.9 (SCTP_PRIMARY_ADDR) and 9.3 (sctp_getpaddrs).
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

static socklen_t address_length(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

static const char *state_name(int state)
{
    switch (state) {
    case SCTP_ACTIVE:
        return "active";
    case SCTP_INACTIVE:
        return "inactive";
    case SCTP_PF:
        return "potentially failed";
    case SCTP_UNCONFIRMED:
        return "unconfirmed";
    default:
        return "unknown";
    }
}

static void print_path(int association, const struct sockaddr *address)
{
    struct sctp_paddrinfo info = {0};
    socklen_t length = sizeof(info);

    memcpy(&info.spinfo_address, address, address_length(address));
    if (getsockopt(association, IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO, &info, &length) < 0)
        fail("SCTP_GET_PEER_ADDR_INFO");
    printf("  to %s: %s, cwnd %u bytes, RTO %u ms, MTU %u\n", address_text(address),
           state_name(info.spinfo_state), info.spinfo_cwnd, info.spinfo_rto, info.spinfo_mtu);
}

int main(int argc, char **argv)
{
    struct sctp_prim primary = {0};
    struct sockaddr *addresses, *last;
    struct sockaddr_in server;
    int association, count;
    char *next;

    if (argc != 3) {
        fprintf(stderr, "usage: paths ADDRESS PORT\n");
        return 2;
    }
    server = read_address(argv[1], argv[2]);
    association = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (association < 0)
        fail("socket");
    if (connect(association, (struct sockaddr *)&server, sizeof(server)) < 0)
        fail("connect");
    sleep(1); /* the paths beside the first are verified by heartbeats meanwhile */

    count = sctp_getpaddrs(association, 0, &addresses);
    if (count <= 0)
        fail("sctp_getpaddrs");
    printf("%d paths:\n", count);
    next = (char *)addresses;
    last = addresses;
    for (int i = 0; i < count; i++) {
        last = (struct sockaddr *)next;
        print_path(association, last);
        next += address_length(last);
    }
    if (send(association, "by the first path", 17, 0) < 0)
        fail("send");
    memcpy(&primary.ssp_addr, last, address_length(last));
    if (setsockopt(association, IPPROTO_SCTP, SCTP_PRIMARY_ADDR, &primary, sizeof(primary)) < 0)
        fail("SCTP_PRIMARY_ADDR");
    printf("the primary path now goes to %s\n", address_text(last));
    if (send(association, "by the last path", 16, 0) < 0)
        fail("send");
    sctp_freepaddrs(addresses);
    if (close(association) < 0)
        fail("close");
    return 0;
}
