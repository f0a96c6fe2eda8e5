/*
 * A library that makes SCTP sockets itself, for deep.c: it calls functions, and keeps their
 * addresses.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((visibility("default"))) bool talk(void);

static ssize_t (*const read_from)(int, void *, size_t, int) = recv;

bool talk(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *name = (struct sockaddr *)&address;
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    int client = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), server;
    socklen_t length = sizeof(address);
    char text[16] = "";
    bool good;

    good = bind(listener, name, length) == 0 && getsockname(listener, name, &length) == 0 &&
           listen(listener, 1) == 0 && connect(client, name, length) == 0;
    server = accept(listener, NULL, NULL);
    good = good && send(client, "deep", 5, 0) == 5 &&
           read_from(server, text, sizeof(text), 0) == 5 && strcmp(text, "deep") == 0;
    close(server);
    close(client);
    close(listener);
    return good;
}
