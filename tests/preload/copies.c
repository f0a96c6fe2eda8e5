/*
 * Sends messages to itself and reads them, as often and as long as it is told: copies COUNT LENGTH.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t sent[65536], received[65536];

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), server;
    int client = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), one = 1;
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    size_t length = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;

    if (length > sizeof(sent) || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
        setsockopt(client, IPPROTO_SCTP, SCTP_NODELAY, &one, sizeof(one)) < 0 ||
        connect(client, (struct sockaddr *)&address, size) < 0 ||
        (server = accept(listener, NULL, NULL)) < 0) {
        perror("copies");
        return 1;
    }
    for (long i = 0; i < count; i++) {
        size_t got = 0;

        if (send(client, sent, length, 0) != (ssize_t)length) {
            perror("copies: send");
            return 1;
        }
        while (got < length) {
            ssize_t more = recv(server, received, sizeof(received), 0);

            if (more <= 0) {
                perror("copies: recv");
                return 1;
            }
            got += (size_t)more;
        }
    }
    close(client);
    close(server);
    return 0;
}
