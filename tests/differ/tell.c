/* Lines: what differs from run to run (association ids, ephemeral ports) by the order of
 * appearance. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "differ.h"

#define KNOWN 64

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

void line_begin(const char *who, unsigned number)
{
    printf("%02u %s", number, who);
}

void line_end(void)
{
    printf("\n");
    fflush(stdout);
}

void say_result(long result)
{
    if (result < 0)
        say("%s", strerrorname_np(errno));
    else
        say("%ld", result);
}

void say_id(sctp_assoc_t id)
{
    static sctp_assoc_t known[KNOWN];
    if (id >= 0 && id <= SCTP_ALL_ASSOC) {
        say("#%d", id);
        return;
    }
    for (int i = 0; i < KNOWN; i++) {
        if (known[i] == 0)
            known[i] = id;
        if (known[i] == id) {
            say("#%c", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+++++++++++++"[i]);
            return;
        }
    }
}

static void say_port(uint16_t port)
{
    static uint16_t known[KNOWN];
    if (port == 0)
        say(":0");
    else if (port >= base_port && port < base_port + PORTS + 1)
        say(":p%d", port - base_port);
    else
        for (int i = 0; i < KNOWN; i++) {
            if (known[i] == 0)
                known[i] = port;
            if (known[i] == port) {
                say(":e%d", i);
                return;
            }
        }
}

void say_address(const void *address, socklen_t length)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_storage all;
    memset(&all, 0, sizeof(all));
    memcpy(&all, address, length < sizeof(all) ? length : sizeof(all));
    if (length == 0) {
        say("-");
    } else if (all.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &all, sizeof(in));
        say("%s", inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)));
        say_port(ntohs(in.sin_port));
    } else if (all.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &all, sizeof(in6));
        say("%s", inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text)));
        say_port(ntohs(in6.sin6_port));
    } else {
        say("family%d", all.ss_family);
    }
    if (length != 0 && length != sizeof(struct sockaddr_in) &&
        length != sizeof(struct sockaddr_in6))
        say("/%u", length);
}

void say_addresses(const unsigned char *packed, int count)
{
    for (int i = 0; i < count; i++) {
        struct sockaddr family;
        memcpy(&family, packed, sizeof(family));
        socklen_t length =
            family.sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        say("%s", i ? "," : "");
        say_address(packed, length);
        packed += length;
    }
}
