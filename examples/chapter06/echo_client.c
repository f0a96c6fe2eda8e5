/*
 * A first SCTP client: it sends each of its arguments as one message, and prints what comes back.
 *
 *     echo_client ADDRESS PORT MESSAGE...
 *
 * The n-th message goes on stream n (RFC 6458, section 4, and 5.3.4 for the stream). Messages on
 * one stream arrive in order; those on different streams do not wait for each other.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "echo_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Sets an association up with the server: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK. */
static int open_association(const char *host, const char *port, unsigned short streams)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_SCTP};
    struct sctp_initmsg init = {.sinit_num_ostreams = streams, .sinit_max_instreams = streams};
    struct addrinfo *found;
    int error = getaddrinfo(host, port, &wanted, &found);
    int descriptor;

    if (error == EAI_SERVICE ||
        error == EAI_SOCKTYPE) { /* a resolver that knows only TCP and UDP */
        wanted.ai_socktype = wanted.ai_protocol = 0;
        error = getaddrinfo(host, port, &wanted, &found);
    }
    if (error != 0) {
        fprintf(stderr, "echo_client: %s: %s\n", host, gai_strerror(error));
        exit(1);
    }
    descriptor = socket(found->ai_family, SOCK_STREAM, IPPROTO_SCTP);
    if (descriptor < 0)
        fail("socket");
    /* How many streams there are is agreed while the association is set up: it is asked before. */
    if (setsockopt(descriptor, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof(init)) < 0)
        fail("SCTP_INITMSG");
    if (connect(descriptor, found->ai_addr, found->ai_addrlen) < 0)
        fail("connect");
    freeaddrinfo(found);
    return descriptor;
}

/* Sends one message on a stream: the number goes beside the bytes, as ancillary data. */
static void send_on(int descriptor, const char *text, unsigned short stream)
{
    struct sctp_sndinfo info = {.snd_sid = stream};
    char control[CMSG_SPACE(sizeof(info))] = {0};
    struct iovec part = {.iov_base = (char *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = SCTP_SNDINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    if (sendmsg(descriptor, &message, 0) < 0)
        fail("sendmsg");
}

int main(int argc, char **argv)
{
    int count = argc - 3;
    int descriptor;

    if (count < 1 || count > 65535) {
        fprintf(stderr, "usage: echo_client ADDRESS PORT MESSAGE...\n");
        return 2;
    }
    descriptor = open_association(argv[1], argv[2], (unsigned short)count);
    for (int i = 0; i < count; i++)
        send_on(descriptor, argv[3 + i], (unsigned short)i);
    for (int i = 0; i < count; i++) {
        char bytes[65536];
        ssize_t length = recv(descriptor, bytes, sizeof(bytes), 0);

        if (length < 0)
            fail("recv");
        if (length == 0) {
            fprintf(stderr, "echo_client: the server shut the association down\n");
            return 1;
        }
        printf("%.*s\n", (int)length, bytes);
    }
    /* SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE: nothing that was sent is lost. */
    if (close(descriptor) < 0)
        fail("close");
    return 0;
}
