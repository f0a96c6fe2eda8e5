/*
 * A server with several addresses: it sends every message back, and says what becomes of the paths.
 *
 *     multihome_server PORT ADDRESS...
 *
 * An association with it lives as long as one of its addresses can be reached. RFC 6458, section
 * 9.1 (sctp_bindx).
 */
#include "multihome.h"

/* Until the client shuts the association down, or is lost. */
static void serve(int descriptor)
{
    unsigned long count = 0;

    for (;;) {
        char bytes[65536];
        int flags = 0;
        ssize_t length = sctp_recvmsg(descriptor, bytes, sizeof(bytes), NULL, NULL, NULL, &flags);

        if (length < 0) {
            perror("sctp_recvmsg");
            break;
        }
        if (length == 0)
            break;
        if (flags & MSG_NOTIFICATION) {
            print_path_change(bytes, (size_t)length);
            continue;
        }
        count++;
        if (sctp_sendmsg(descriptor, bytes, (size_t)length, NULL, 0, 0, 0, 0, 0, 0) < 0) {
            perror("sctp_sendmsg");
            break;
        }
    }
    printf("%lu messages\n", count);
    fflush(stdout);
    if (close(descriptor) < 0)
        fail("close");
}

int main(int argc, char **argv)
{
    struct address_list addresses = {.count = 0};
    int listener;

    if (argc < 3) {
        fprintf(stderr, "usage: multihome_server PORT ADDRESS...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        add_address(&addresses, argv[i], read_port(argv[1]));
    listener = socket(addresses.family, SOCK_STREAM, IPPROTO_SCTP);
    if (listener < 0)
        fail("socket");
    ask_for_path_changes(listener);
    be_impatient(listener);
    if (sctp_bindx(listener, (struct sockaddr *)(void *)addresses.bytes, addresses.count,
                   SCTP_BINDX_ADD_ADDR) < 0)
        fail("sctp_bindx");
    if (listen(listener, 8) < 0)
        fail("listen");
    printf("waiting at %d addresses\n", addresses.count);
    fflush(stdout);
    for (;;) {
        int descriptor = accept(listener, NULL, NULL);

        if (descriptor < 0)
            fail("accept");
        serve(descriptor);
    }
}
