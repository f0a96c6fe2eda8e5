/*
 * One socket, many associations: a server that answers each message from where it came.
 *
 *     many_server PORT COUNT
 *
 * Chapter 7: the one-to-many style (RFC 6458, section 3). There is no accept(): the socket is of
 * SOCK_SEQPACKET, recvfrom() tells who sent a message, and sendto() answers. It ends after COUNT
 * messages.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int server, count;

    if (argc != 3 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: many_server PORT COUNT\n");
        return 2;
    }
    address = read_address("0.0.0.0", argv[1]);
    count = atoi(argv[2]);
    server = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (server < 0)
        fail("socket");
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(server, 16) < 0) /* no queue to accept from: it says that associations may come */
        fail("listen");
    printf("waiting on port %s\n", argv[1]);
    fflush(stdout);
    while (count > 0) {
        struct sockaddr_storage client;
        socklen_t length = sizeof(client);
        char message[1024];
        ssize_t received =
            recvfrom(server, message, sizeof(message), 0, (struct sockaddr *)&client, &length);

        if (received < 0)
            fail("recvfrom");
        if (received == 0) /* an association has ended; the socket goes on */
            continue;
        printf("%.*s, from %s\n", (int)received, message, address_text(&client));
        if (sendto(server, message, (size_t)received, 0, (struct sockaddr *)&client, length) < 0)
            fail("sendto");
        count--;
    }
    close(server); /* shuts down all associations that are left */
    return 0;
}
