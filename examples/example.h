/* What the examples share: how a program ends that cannot go on, and addresses as text. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static inline void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* An IPv4 address and a port, as a program is given them. */
static inline struct sockaddr_in read_address(const char *text, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char *end;
    unsigned long number = strtoul(port, &end, 10);

    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        fprintf(stderr, "'%s' is not an IPv4 address\n", text);
        exit(2);
    }
    if (*port < '0' || *port > '9' || *end != '\0' || number == 0 || number > 65535) {
        fprintf(stderr, "'%s' is not a port\n", port);
        exit(2);
    }
    address.sin_port = htons((in_port_t)number);
    return address;
}

/* "10.0.0.1 port 5000". The text lives until the next call. */
static inline const char *address_text(const void *address)
{
    static char text[INET6_ADDRSTRLEN + 16];
    struct sockaddr_in6 ipv6 = {0};
    struct sockaddr_in ipv4 = {0};
    sa_family_t family;

    memcpy(&family, (const char *)address + offsetof(struct sockaddr, sa_family), sizeof(family));
    if (family == AF_INET6) {
        memcpy(&ipv6, address, sizeof(ipv6));
        inet_ntop(AF_INET6, &ipv6.sin6_addr, text, INET6_ADDRSTRLEN);
    } else {
        memcpy(&ipv4, address, sizeof(ipv4));
        inet_ntop(AF_INET, &ipv4.sin_addr, text, INET6_ADDRSTRLEN);
    }
    snprintf(text + strlen(text), 16, " port %u",
             ntohs(family == AF_INET6 ? ipv6.sin6_port : ipv4.sin_port));
    return text;
}

#endif
