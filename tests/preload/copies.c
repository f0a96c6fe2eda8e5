/*
 * Sends messages to itself and reads them: copies COUNT LENGTH [AHEAD]. Each is sent when so many
 * are on their way at the most, or when there is no room for another.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t sent[65536], received[65536];

/* False: there is no room now. */
static bool send_one(int client, size_t length)
{
    ssize_t done = send(client, sent, length, MSG_DONTWAIT);

    if (done < 0 && errno == EAGAIN)
        return false;
    if (done == (ssize_t)length)
        return true;
    perror("copies: send");
    exit(1);
}

static void receive_one(int server, size_t length)
{
    for (size_t got = 0; got < length;) {
        ssize_t more = recv(server, received, sizeof(received), 0);

        if (more <= 0) {
            perror("copies: recv");
            exit(1);
        }
        got += (size_t)more;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), server;
    int client = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), one = 1;
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    size_t length = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    long ahead = argc > 3 ? strtol(argv[3], NULL, 10) : 1, on_the_way = 0;

    if (length > sizeof(sent) || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
        setsockopt(client, IPPROTO_SCTP, SCTP_NODELAY, &one, sizeof(one)) < 0 ||
        connect(client, (struct sockaddr *)&address, size) < 0 ||
        (server = accept(listener, NULL, NULL)) < 0) {
        perror("copies");
        return 1;
    }
    while (count > 0 || on_the_way > 0) {
        if (count > 0 && on_the_way < ahead && send_one(client, length)) {
            count--;
            on_the_way++;
        } else if (on_the_way > 0) {
            receive_one(server, length);
            on_the_way--;
        }
    }
    close(client);
    close(server);
    return 0;
}
