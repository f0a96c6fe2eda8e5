/*
 * What may stand beside a message that is sent.
 *
 *     ancillary_client ADDRESS PORT
 *
 * Chapter 8: control messages of sendmsg() (RFC 6458, section 5.3): SCTP_SNDINFO says stream,
 * flags, and a number for the peer's program; SCTP_PRINFO for how long the message is worth the
 * trouble (RFC 3758). SCTP_INIT stands beside the message that sets an association up.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

/* Puts a control message at the end of those that `header` has, in room that is there for it. */
static void add_control(struct msghdr *header, int type, const void *value, size_t size)
{
    struct cmsghdr *c =
        (struct cmsghdr *)(void *)((char *)header->msg_control + header->msg_controllen);

    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), value, size);
    header->msg_controllen += CMSG_SPACE(size);
}

int main(int argc, char **argv)
{
    struct sctp_initmsg init = {.sinit_num_ostreams = 5, .sinit_max_instreams = 5};
    struct sctp_prinfo reliability = {.pr_policy = SCTP_PR_SCTP_TTL, .pr_value = 500};
    char control[CMSG_SPACE(sizeof(init)) + CMSG_SPACE(sizeof(struct sctp_sndinfo)) +
                 CMSG_SPACE(sizeof(reliability))];
    static const char *const texts[] = {"the first opens the association", "urgent, on stream 3",
                                        "worth half a second"};
    struct sockaddr_in server;
    int client;

    if (argc != 3) {
        fprintf(stderr, "usage: ancillary_client ADDRESS PORT\n");
        return 2;
    }
    server = read_address(argv[1], argv[2]);
    client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (client < 0)
        fail("socket");
    for (unsigned int i = 0; i < 3; i++) {
        struct sctp_sndinfo info = {.snd_ppid = htonl(100 + i), .snd_sid = i == 1 ? 3 : 0};
        struct iovec part = {.iov_base = (void *)texts[i], .iov_len = strlen(texts[i])};
        struct msghdr header = {.msg_name = &server,
                                .msg_namelen = sizeof(server),
                                .msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control};

        memset(control, 0, sizeof(control));
        if (i == 0)
            add_control(&header, SCTP_INIT, &init, sizeof(init));
        if (i == 1)
            info.snd_flags = SCTP_UNORDERED | SCTP_SACK_IMMEDIATELY;
        add_control(&header, SCTP_SNDINFO, &info, sizeof(info));
        if (i == 2)
            add_control(&header, SCTP_PRINFO, &reliability, sizeof(reliability));
        if (sendmsg(client, &header, 0) < 0)
            fail("sendmsg");
    }
    close(client);
    return 0;
}
