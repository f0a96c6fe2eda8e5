/*
 * Sends messages of every kind: on several streams, one that needs several chunks, one without
 * order.
 *
 *     sender ADDRESS PORT
 *
 * Chapter 3. SCTP_MAXSEG (RFC 6458, section 8.1.16) makes chunks of at most 500 bytes, so that a
 * capture of a few packets shows how a message is cut (RFC 9260, section 6.9).
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

static void send_on(int association, const void *bytes, size_t length, uint16_t stream,
                    uint16_t flags)
{
    struct sctp_sndinfo info = {.snd_sid = stream, .snd_flags = flags, .snd_ppid = htonl(42)};
    char control[CMSG_SPACE(sizeof(info))] = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);

    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = SCTP_SNDINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    if (sendmsg(association, &header, 0) < 0)
        fail("sendmsg");
}

int main(int argc, char **argv)
{
    struct sctp_assoc_value most = {.assoc_value = 500};
    struct sockaddr_in server;
    static char large[1800];
    int association;

    if (argc != 3) {
        fprintf(stderr, "usage: sender ADDRESS PORT\n");
        return 2;
    }
    server = read_address(argv[1], argv[2]);
    association = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (association < 0)
        fail("socket");
    if (setsockopt(association, IPPROTO_SCTP, SCTP_MAXSEG, &most, sizeof(most)) < 0)
        fail("SCTP_MAXSEG");
    if (connect(association, (struct sockaddr *)&server, sizeof(server)) < 0)
        fail("connect");
    send_on(association, "one", 3, 0, 0);
    send_on(association, "two", 3, 1, 0);
    send_on(association, "three", 5, 1, 0);
    memset(large, 'x', sizeof(large));
    send_on(association, large, sizeof(large), 2, 0);
    send_on(association, "whenever", 8, 1, SCTP_UNORDERED);
    if (close(association) < 0)
        fail("close");
    return 0;
}
