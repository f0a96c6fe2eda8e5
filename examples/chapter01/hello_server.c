/*
 * Waits for one association, prints the messages that come, and ends with the association.
 *
 *     hello_server PORT
 *
 * Chapter 1: the shortest server. IPPROTO_SCTP is all that tells it from one of TCP.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int listener, association;
    char message[1024];
    ssize_t length;

    if (argc != 2) {
        fprintf(stderr, "usage: hello_server PORT\n");
        return 2;
    }
    address = read_address("0.0.0.0", argv[1]);
    listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (listener < 0)
        fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(listener, 1) < 0)
        fail("listen");
    printf("waiting on port %s\n", argv[1]);
    fflush(stdout);
    association = accept(listener, NULL, NULL);
    if (association < 0)
        fail("accept");
    while ((length = recv(association, message, sizeof(message), 0)) > 0)
        printf("%.*s\n", (int)length, message);
    if (length < 0)
        fail("recv");
    printf("the client has said goodbye\n");
    close(association);
    close(listener);
    return 0;
}
