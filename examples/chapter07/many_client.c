/*
 * One socket talks to several servers; nobody calls connect().
 *
 *     many_client MESSAGE ADDRESS PORT [ADDRESS PORT]...
 *
 * Chapter 7: the first message to an address sets an association up (RFC 6458, section 3.1.4, and
 * 7.5 for implicit setup); SCTP_EOF shuts one association down and leaves the others.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

/* An empty message with SCTP_EOF: shuts down the association with that peer. */
static void say_goodbye(int client, struct sockaddr_storage *server, socklen_t length)
{
    struct sctp_sndinfo info = {.snd_flags = SCTP_EOF};
    char control[CMSG_SPACE(sizeof(info))] = {0};
    struct msghdr header = {.msg_name = server,
                            .msg_namelen = length,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);

    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = SCTP_SNDINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    /* EINVAL: there is no such association any more, the server was the first to say it. */
    if (sendmsg(client, &header, 0) < 0 && errno != EINVAL)
        fail("sendmsg");
}

int main(int argc, char **argv)
{
    struct sockaddr_in server;
    int client;

    if (argc < 4 || argc % 2 != 0) {
        fprintf(stderr, "usage: many_client MESSAGE ADDRESS PORT [ADDRESS PORT]...\n");
        return 2;
    }
    client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (client < 0)
        fail("socket");
    for (int i = 2; i < argc; i += 2) {
        server = read_address(argv[i], argv[i + 1]);
        if (sendto(client, argv[1], strlen(argv[1]), 0, (struct sockaddr *)&server,
                   sizeof(server)) < 0)
            fail("sendto");
    }
    for (int i = 2; i < argc; i += 2) {
        struct sockaddr_storage from;
        socklen_t length = sizeof(from);
        char message[1024];
        ssize_t received =
            recvfrom(client, message, sizeof(message), 0, (struct sockaddr *)&from, &length);

        if (received <= 0)
            fail("recvfrom");
        printf("%.*s, from %s\n", (int)received, message, address_text(&from));
        say_goodbye(client, &from, length);
    }
    close(client);
    return 0;
}
