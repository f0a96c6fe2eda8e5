/*
 * Sets up an association, sends one message, and shuts the association down.
 *
 *     hello_client ADDRESS PORT [MESSAGE]
 *
 * Chapter 1: eleven packets, each of which the guide reads.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

int main(int argc, char **argv)
{
    const char *message = argc > 3 ? argv[3] : "hello, world";
    struct sockaddr_in server;
    int association;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: hello_client ADDRESS PORT [MESSAGE]\n");
        return 2;
    }
    server = read_address(argv[1], argv[2]);
    association = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (association < 0)
        fail("socket");
    if (connect(association, (struct sockaddr *)&server, sizeof(server)) < 0)
        fail("connect");
    if (send(association, message, strlen(message), 0) < 0)
        fail("send");
    if (close(association) < 0)
        fail("close");
    return 0;
}
