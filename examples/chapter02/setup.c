/*
 * Sets up an association with so many streams, and tells what both sides agreed on.
 *
 *     setup -l PORT OUT IN           wait for one
 *     setup ADDRESS PORT OUT IN      begin one
 *
 * Chapter 2. OUT is how many streams this side wants to send on, IN how many it lets the peer send
 * on (RFC 9260, section 5.1.1); they are said before the INIT leaves, by SCTP_INITMSG (RFC 6458,
 * section 8.1.3), and read afterwards by SCTP_STATUS (section 8.2.1).
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

static void print_status(int association)
{
    struct sctp_status status = {0};
    socklen_t length = sizeof(status);

    if (getsockopt(association, IPPROTO_SCTP, SCTP_STATUS, &status, &length) < 0)
        fail("SCTP_STATUS");
    printf("state %s, streams %u out and %u in, the peer's window %u bytes, at most %u bytes in a "
           "chunk\n",
           status.sstat_state == SCTP_ESTABLISHED ? "ESTABLISHED" : "other", status.sstat_outstrms,
           status.sstat_instrms, status.sstat_rwnd, status.sstat_fragmentation_point);
    printf("primary path to %s, RTO %u ms\n", address_text(&status.sstat_primary.spinfo_address),
           status.sstat_primary.spinfo_rto);
}

int main(int argc, char **argv)
{
    int listens = argc > 1 && strcmp(argv[1], "-l") == 0;
    struct sctp_initmsg init = {0};
    struct sockaddr_in address;
    int one, association;
    char byte;

    if (argc != 5) {
        fprintf(stderr, "usage: setup -l PORT OUT IN\n       setup ADDRESS PORT OUT IN\n");
        return 2;
    }
    address = read_address(listens ? "0.0.0.0" : argv[1], argv[2]);
    init.sinit_num_ostreams = (uint16_t)atoi(argv[3]);
    init.sinit_max_instreams = (uint16_t)atoi(argv[4]);
    one = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (one < 0)
        fail("socket");
    if (setsockopt(one, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof(init)) < 0)
        fail("SCTP_INITMSG");
    if (listens) {
        if (bind(one, (struct sockaddr *)&address, sizeof(address)) < 0)
            fail("bind");
        if (listen(one, 1) < 0)
            fail("listen");
        printf("waiting on port %s\n", argv[2]);
        fflush(stdout);
        association = accept(one, NULL, NULL);
        if (association < 0)
            fail("accept");
        print_status(association);
        /* Nothing is sent: recv() waits for the end, which reads as 0. */
        if (recv(association, &byte, 1, 0) < 0)
            fail("recv");
        close(association);
    } else {
        if (connect(one, (struct sockaddr *)&address, sizeof(address)) < 0)
            fail("connect");
        print_status(one);
        usleep(200000); /* the other side asks, too: of what has ended there is no status */
    }
    close(one);
    return 0;
}
