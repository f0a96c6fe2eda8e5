/*
 * The functions that libsctp adds to the calls of sockets, from a client's side.
 *
 *     functions_client ADDRESS PORT MESSAGE...
 *
 * Chapter 10: sctp_connectx(), sctp_getpaddrs(), sctp_getladdrs(), sctp_sendmsg(), sctp_recvmsg()
 * and sctp_opt_info() (RFC 6458, section 9, and 9.12, 9.13).
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

static void print_addresses(const char *whose, struct sockaddr *addresses, int count)
{
    char *next = (char *)addresses;

    for (int i = 0; i < count; i++) {
        const struct sockaddr *address = (struct sockaddr *)(void *)next;

        printf("%s: %s\n", whose, address_text(address));
        next += address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                               : sizeof(struct sockaddr_in);
    }
}

int main(int argc, char **argv)
{
    struct sctp_status status = {0};
    socklen_t length = sizeof(status);
    struct sockaddr *addresses;
    struct sockaddr_in server;
    sctp_assoc_t association;
    int client, count;

    if (argc < 4) {
        fprintf(stderr, "usage: functions_client ADDRESS PORT MESSAGE...\n");
        return 2;
    }
    server = read_address(argv[1], argv[2]);
    client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (client < 0)
        fail("socket");
    if (sctp_connectx(client, (struct sockaddr *)&server, 1, &association) < 0)
        fail("sctp_connectx");
    if ((count = sctp_getladdrs(client, association, &addresses)) <= 0)
        fail("sctp_getladdrs");
    print_addresses("this side", addresses, count);
    sctp_freeladdrs(addresses);
    if ((count = sctp_getpaddrs(client, association, &addresses)) <= 0)
        fail("sctp_getpaddrs");
    print_addresses("the peer", addresses, count);
    sctp_freepaddrs(addresses);
    if (sctp_opt_info(client, association, SCTP_STATUS, &status, &length) < 0)
        fail("sctp_opt_info");
    printf("%u streams out, %u in\n", status.sstat_outstrms, status.sstat_instrms);
    for (int i = 3; i < argc; i++) {
        struct sctp_sndrcvinfo info = {0};
        char answer[1024];
        int flags = 0, received;

        if (sctp_sendmsg(client, argv[i], strlen(argv[i]), (struct sockaddr *)&server,
                         sizeof(server), htonl(7), 0, (uint16_t)((i - 3) % status.sstat_outstrms),
                         0, 0) < 0)
            fail("sctp_sendmsg");
        received = sctp_recvmsg(client, answer, sizeof(answer), NULL, NULL, &info, &flags);
        if (received <= 0)
            fail("sctp_recvmsg");
        printf("%.*s\n", received, answer);
    }
    close(client);
    return 0;
}
