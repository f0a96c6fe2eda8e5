/*
 * What may stand beside a message that is received.
 *
 *     ancillary_server PORT COUNT
 *
 * Chapter 8: SCTP_RCVINFO tells of the message itself, SCTP_NXTINFO of the one behind it, if it has
 * come already (RFC 6458, section 5.3.5 and 5.3.6). Each is asked for by an option. It ends after
 * COUNT messages.
 */
#include <netinet/sctp.h>
#include <poll.h>
#include <unistd.h>

#include "../example.h"

static void print_control(struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO) {
            struct sctp_rcvinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            printf("  stream %u, %s, protocol %u\n", info.rcv_sid,
                   info.rcv_flags & SCTP_UNORDERED ? "unordered" : "in order",
                   ntohl(info.rcv_ppid));
        }
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_NXTINFO) {
            struct sctp_nxtinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            printf("  behind it: %u bytes on stream %u\n", info.nxt_length, info.nxt_sid);
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int server, count, yes = 1;

    if (argc != 3 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: ancillary_server PORT COUNT\n");
        return 2;
    }
    address = read_address("0.0.0.0", argv[1]);
    count = atoi(argv[2]);
    server = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (server < 0)
        fail("socket");
    if (setsockopt(server, IPPROTO_SCTP, SCTP_RECVRCVINFO, &yes, sizeof(yes)) < 0)
        fail("SCTP_RECVRCVINFO");
    if (setsockopt(server, IPPROTO_SCTP, SCTP_RECVNXTINFO, &yes, sizeof(yes)) < 0)
        fail("SCTP_RECVNXTINFO");
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(server, 1) < 0)
        fail("listen");
    printf("waiting on port %s\n", argv[1]);
    fflush(stdout);
    if (poll(&(struct pollfd){.fd = server, .events = POLLIN}, 1, -1) < 0)
        fail("poll");
    sleep(1); /* so that there is something behind the first message */
    for (int i = 0; i < count; i++) {
        char message[1024];
        char control[CMSG_SPACE(sizeof(struct sctp_rcvinfo)) +
                     CMSG_SPACE(sizeof(struct sctp_nxtinfo))];
        struct iovec part = {.iov_base = message, .iov_len = sizeof(message)};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof(control)};
        ssize_t received = recvmsg(server, &header, 0);

        if (received < 0)
            fail("recvmsg");
        printf("%.*s\n", (int)received, message);
        print_control(&header);
    }
    close(server);
    return 0;
}
