/*
 * A server that begins with one socket for all, and gives each association a process of its own.
 *
 *     peeloff_server PORT ASSOCIATIONS
 *
 * Chapter 10: sctp_peeloff() (RFC 6458, section 9.2) takes an association out of a one-to-many
 * socket and gives it one of its own. recv() does not give 0 there when the peer shuts down, as it
 * would on a one-to-one socket: a notification tells. The server ends when so many associations
 * have been served.
 */
#include <netinet/sctp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../example.h"

/* In a process of its own: sends each message back until the association ends. */
static void serve(int association)
{
    char message[1024];
    int length, flags = 0;

    while ((length = sctp_recvmsg(association, message, sizeof(message), NULL, NULL, NULL,
                                  &flags)) > 0) {
        if (flags & MSG_NOTIFICATION) /* the one that was asked for: the peer sends no more */
            exit(0);
        if (send(association, message, (size_t)length, 0) < 0)
            fail("send");
        flags = 0;
    }
    fail("sctp_recvmsg");
}

/* The first message of an association: its sender gets a process. */
static void peel_off(int server, const struct sctp_sndrcvinfo *info, const char *message,
                     size_t length)
{
    int association = sctp_peeloff(server, info->sinfo_assoc_id);
    pid_t process;

    if (association < 0)
        fail("sctp_peeloff");
    process = fork();
    if (process < 0)
        fail("fork");
    if (process == 0) {
        close(server);
        if (send(association, message, length, 0) < 0)
            fail("send");
        serve(association);
    }
    printf("association %d has a process of its own\n", (int)info->sinfo_assoc_id);
    fflush(stdout);
    close(association);
}

int main(int argc, char **argv)
{
    struct sctp_event_subscribe events = {.sctp_data_io_event = 1, .sctp_shutdown_event = 1};
    struct sockaddr_in address;
    int server, count, status, failed = 0;

    if (argc != 3 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: peeloff_server PORT ASSOCIATIONS\n");
        return 2;
    }
    address = read_address("0.0.0.0", argv[1]);
    count = atoi(argv[2]);
    server = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (server < 0)
        fail("socket");
    /* So that sctp_recvmsg() tells which association a message is of, and of its end. */
    if (setsockopt(server, IPPROTO_SCTP, SCTP_EVENTS, &events, sizeof(events)) < 0)
        fail("SCTP_EVENTS");
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(server, 16) < 0)
        fail("listen");
    printf("waiting on port %s\n", argv[1]);
    fflush(stdout);
    for (int i = 0; i < count;) {
        struct sctp_sndrcvinfo info = {0};
        char message[1024];
        int flags = 0;
        int length = sctp_recvmsg(server, message, sizeof(message), NULL, NULL, &info, &flags);

        if (length < 0)
            fail("sctp_recvmsg");
        if (length == 0 || flags & MSG_NOTIFICATION)
            continue;
        peel_off(server, &info, message, (size_t)length);
        i++;
    }
    for (int i = 0; i < count; i++) {
        if (wait(&status) < 0)
            fail("wait");
        failed |= status;
    }
    close(server);
    return failed != 0;
}
