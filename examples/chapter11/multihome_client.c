/*
 * A client with several addresses, of a server with several: it sends numbered messages, five each
 * second, checks that each comes back in its turn, and says what becomes of the paths.
 *
 *     multihome_client [-b OWN-ADDRESS]... [-c COUNT] PORT ADDRESS...
 *
 * Cut a cable meanwhile: nothing is lost. RFC 6458, section 9.9 (sctp_connectx).
 */
#include <time.h>

#include "multihome.h"

/* Calls the server: the first of its addresses that answers is the primary path. */
static int call_server(const struct address_list *own, const struct address_list *server)
{
    int descriptor = socket(server->family, SOCK_STREAM, IPPROTO_SCTP);

    if (descriptor < 0)
        fail("socket");
    ask_for_path_changes(descriptor);
    be_impatient(descriptor);
    if (own->count > 0 && sctp_bindx(descriptor, (struct sockaddr *)(void *)own->bytes, own->count,
                                     SCTP_BINDX_ADD_ADDR) < 0)
        fail("sctp_bindx");
    if (sctp_connectx(descriptor, (struct sockaddr *)(void *)server->bytes, server->count, NULL) <
        0)
        fail("sctp_connectx");
    return descriptor;
}

/* The next message; what comes of paths meanwhile is printed. */
static void receive(int descriptor, char *bytes, size_t size)
{
    for (;;) {
        int flags = 0;
        ssize_t length = sctp_recvmsg(descriptor, bytes, size - 1, NULL, NULL, NULL, &flags);

        if (length < 0)
            fail("sctp_recvmsg");
        if (length == 0) {
            fprintf(stderr, "the server shut the association down\n");
            exit(1);
        }
        bytes[length] = '\0';
        if (!(flags & MSG_NOTIFICATION))
            return;
        print_path_change(bytes, (size_t)length);
    }
}

int main(int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = 200000000};
    struct address_list own = {.count = 0}, server = {.count = 0};
    long count = 25;
    int option, descriptor;

    while ((option = getopt(argc, argv, "b:c:")) != -1) {
        if (option == 'b')
            add_address(&own, optarg, 0);
        else if (option == 'c')
            count = strtol(optarg, NULL, 10);
        else
            count = 0;
    }
    if (argc - optind < 2 || count <= 0) {
        fprintf(stderr, "usage: multihome_client [-b OWN-ADDRESS]... [-c COUNT] PORT ADDRESS...\n");
        return 2;
    }
    for (int i = optind + 1; i < argc; i++)
        add_address(&server, argv[i], read_port(argv[optind]));
    descriptor = call_server(&own, &server);
    for (long i = 1; i <= count; i++) {
        char sent[64], received[65536];
        struct timespec before, after;

        if (nanosleep(&pause, NULL) < 0 || clock_gettime(CLOCK_MONOTONIC, &before) < 0)
            fail("nanosleep");
        snprintf(sent, sizeof(sent), "message %ld", i);
        if (sctp_sendmsg(descriptor, sent, strlen(sent), NULL, 0, 0, 0, 0, 0, 0) < 0)
            fail("sctp_sendmsg");
        receive(descriptor, received, sizeof(received));
        if (strcmp(sent, received) != 0 || clock_gettime(CLOCK_MONOTONIC, &after) < 0) {
            fprintf(stderr, "sent '%s', and '%s' came back\n", sent, received);
            return 1;
        }
        printf("%s came back after %.1f ms\n", sent,
               (double)(after.tv_sec - before.tv_sec) * 1e3 +
                   (double)(after.tv_nsec - before.tv_nsec) / 1e6);
        fflush(stdout);
    }
    if (close(descriptor) < 0)
        fail("close");
    return 0;
}
