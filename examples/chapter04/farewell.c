/*
 * Ends an association in one of the ways that there are.
 *
 *     farewell ADDRESS PORT shutdown     send a message, then shut down: it arrives
 *     farewell ADDRESS PORT abort        give up at once, and say why
 *     farewell ADDRESS PORT heartbeat    ask twice whether the peer is there, then shut down
 *
 * Chapter 4: RFC 9260, section 9 (termination) and 8 (faults); RFC 6458, section 5.3.4 (SCTP_ABORT)
 * and 8.1.12 (SCTP_PEER_ADDR_PARAMS).
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

/* An ABORT is sent as a message is, with SCTP_ABORT; its bytes are the reason. Linux allows that on
 * one-to-many sockets only, which is why this is one. */
static void abort_association(int association, struct sockaddr_in *server, const char *reason)
{
    struct sctp_sndinfo info = {.snd_flags = SCTP_ABORT};
    char control[CMSG_SPACE(sizeof(info))] = {0};
    struct iovec part = {.iov_base = (void *)reason, .iov_len = strlen(reason)};
    struct msghdr header = {.msg_name = server,
                            .msg_namelen = sizeof(*server),
                            .msg_iov = &part,
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

/* A HEARTBEAT now. By themselves they go to a path on which nothing was said for 30 s or so
 * (HB.interval), which spp_hbinterval changes. */
static void send_heartbeat(int association, const struct sockaddr_in *server)
{
    struct sctp_paddrparams path = {.spp_flags = SPP_HB_DEMAND};

    memcpy(&path.spp_address, server, sizeof(*server));
    if (setsockopt(association, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path)) < 0)
        fail("SCTP_PEER_ADDR_PARAMS");
}

int main(int argc, char **argv)
{
    struct sockaddr_in server;
    const char *way = argc == 4 ? argv[3] : "";
    int association;

    if (strcmp(way, "shutdown") != 0 && strcmp(way, "abort") != 0 &&
        strcmp(way, "heartbeat") != 0) {
        fprintf(stderr, "usage: farewell ADDRESS PORT shutdown|abort|heartbeat\n");
        return 2;
    }
    server = read_address(argv[1], argv[2]);
    association = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (association < 0)
        fail("socket");
    if (connect(association, (struct sockaddr *)&server, sizeof(server)) < 0)
        fail("connect");
    for (int i = 0; i < 2 && strcmp(way, "heartbeat") == 0; i++) {
        send_heartbeat(association, &server);
        sleep(1);
    }
    if (strcmp(way, "abort") == 0)
        abort_association(association, &server, "out of patience");
    else if (sendto(association, "the last word", 13, 0, (struct sockaddr *)&server,
                    sizeof(server)) < 0)
        fail("sendto");
    if (close(association) < 0)
        fail("close");
    return 0;
}
