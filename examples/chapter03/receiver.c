/*
 * Prints of each message what SCTP tells of it: stream, number within the stream, TSN.
 *
 *     receiver PORT
 *
 * Chapter 3. SCTP_RECVRCVINFO (RFC 6458, section 8.1.29) asks for a struct sctp_rcvinfo beside each
 * message, which sctp_recvmsg() or recvmsg() give.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

/* One message, however long: recvmsg() says by MSG_EOR that it was the end of it. */
static ssize_t receive(int association, char *message, size_t size, struct sctp_rcvinfo *info)
{
    size_t length = 0;
    int flags = 0;

    while (!(flags & MSG_EOR)) {
        char control[CMSG_SPACE(sizeof(*info))];
        struct iovec part = {.iov_base = message + length, .iov_len = size - length};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof(control)};
        ssize_t received = recvmsg(association, &header, 0);
        struct cmsghdr *c = received > 0 ? CMSG_FIRSTHDR(&header) : NULL;

        if (received <= 0)
            return received;
        if (c && c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO)
            memcpy(info, CMSG_DATA(c), sizeof(*info));
        length += (size_t)received;
        flags = header.msg_flags;
    }
    return (ssize_t)length;
}

int main(int argc, char **argv)
{
    static char message[1 << 16];
    struct sctp_rcvinfo info = {0};
    struct sockaddr_in address;
    int listener, association, yes = 1;
    ssize_t length;
    uint32_t first = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: receiver PORT\n");
        return 2;
    }
    address = read_address("0.0.0.0", argv[1]);
    listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (listener < 0)
        fail("socket");
    if (setsockopt(listener, IPPROTO_SCTP, SCTP_RECVRCVINFO, &yes, sizeof(yes)) < 0)
        fail("SCTP_RECVRCVINFO");
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(listener, 1) < 0)
        fail("listen");
    printf("waiting on port %s\n", argv[1]);
    fflush(stdout);
    association = accept(listener, NULL, NULL);
    if (association < 0)
        fail("accept");
    while ((length = receive(association, message, sizeof(message), &info)) > 0) {
        if (first == 0)
            first = info.rcv_tsn;
        printf("%5zd bytes, stream %u", length, info.rcv_sid);
        if (info.rcv_flags & SCTP_UNORDERED)
            printf(", unordered");
        else
            printf(", message %u of it", info.rcv_ssn);
        printf(", first TSN + %u, protocol %u\n", info.rcv_tsn - first, ntohl(info.rcv_ppid));
    }
    if (length < 0)
        fail("recvmsg");
    close(association);
    close(listener);
    return 0;
}
