/*
 * What every socket option answers in every state of a socket, and what the calls answer that a
 * program should not have made: one line for each case, the states that answer alike together.
 *
 * The same program runs on Linux and under Braid, and the lines are compared: what Linux does is
 * measured, not remembered (RFC 6458 leaves most errors to the implementation).
 *
 *   probe            all of it
 *   probe WORD       only the lines whose name holds WORD
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

static const char *wanted;
static uint16_t next_port = 20000;

#define NOBODY 0x0a08004d /* 10.8.0.77: there is a route to it, and nobody there */

/* ---- Sockets in each state ---- */

const char *const state_names[STATES] = {
    [CLOSED] = "closed",
    [BOUND] = "bound",
    [LISTENING] = "listening",
    [CONNECTED] = "connected",
    [ACCEPTED] = "accepted",
    [ENDED] = "ended",
    [IPV6] = "ipv6",
    [CONNECTING] = "connecting",
    [SHUT] = "shut",
    [ABORTED] = "aborted",
    [MANY_CLOSED] = "m-closed",
    [MANY_LISTENING] = "m-listening",
    [MANY_CLIENT] = "m-client",
    [MANY_SERVER] = "m-server",
    [MANY_ENDED] = "m-ended",
    [PEELED] = "peeled",
    [UDP] = "udp",
    [PIPE] = "pipe",
};

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int bound_to(int family, int type, uint16_t port, uint32_t to)
{
    struct sockaddr_in address = loopback(port);
    address.sin_addr.s_addr = htonl(to);
    int fd = socket(family, type, IPPROTO_SCTP);
    must(fd >= 0, "socket");
    must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    return fd;
}

static int bound(int family, int type, uint16_t port)
{
    return bound_to(family, type, port, INADDR_LOOPBACK);
}

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    must(poll(&p, 1, 5000) == 1, "poll");
}

/* Waits until so many are there; the identifier of the first. */
static sctp_assoc_t wait_for_associations(int fd, uint32_t count)
{
    struct {
        uint32_t number;
        sctp_assoc_t ids[8];
    } list = {0};
    for (int attempt = 0; attempt < 500; attempt++) {
        socklen_t length = sizeof(list);
        if (getsockopt(fd, SOL_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length) == 0 &&
            list.number == count)
            return list.ids[0];
        usleep(10000);
    }
    must(false, "the number of associations");
    return 0;
}

/* Waits until a one-to-one socket has no association: one who shut it down is not told. */
static void wait_for_end(int fd)
{
    struct sctp_status status = {0};
    socklen_t length = sizeof(status);
    for (int attempt = 0; attempt < 500; attempt++) {
        if (getsockopt(fd, SOL_SCTP, SCTP_STATUS, &status, &length) < 0)
            return;
        usleep(10000);
    }
    must(false, "the association does not end");
}

/* `fd` and `peer`: one-to-one sockets with an association between them. */
static void connect_pair(struct place *place)
{
    struct sockaddr_in address = loopback(place->peer_port);
    int listener = bound(AF_INET, SOCK_STREAM, place->peer_port);
    must(listen(listener, 5) == 0, "listen");
    place->fd = bound(AF_INET, SOCK_STREAM, place->port);
    must(connect(place->fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
    place->peer = accept(listener, NULL, NULL);
    must(place->peer >= 0, "accept");
    close(listener);
}

static void many_pair(struct place *place)
{
    struct sockaddr_in address = loopback(place->peer_port);
    char byte;
    place->peer = bound(AF_INET, SOCK_SEQPACKET, place->peer_port);
    must(listen(place->peer, 5) == 0, "listen");
    place->fd = bound(AF_INET, SOCK_SEQPACKET, place->port);
    must(sctp_sendmsg(place->fd, "x", 1, (struct sockaddr *)&address, sizeof(address), 0, 0, 0, 0,
                      0) == 1,
         "sctp_sendmsg");
    wait_readable(place->peer);
    must(recv(place->peer, &byte, 1, 0) == 1, "recv");
}

static void swap(struct place *place)
{
    int fd = place->fd;
    place->fd = place->peer;
    place->peer = fd;
}

struct place place_make(enum state state)
{
    struct place place = {.fd = -1, .peer = -1, .peeled_from = -1, .state = state};
    place.port = next_port++;
    place.peer_port = next_port++;
    if (next_port > 60000)
        next_port = 20000;
    switch (state) {
    case CLOSED:
        place.fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        break;
    case BOUND:
        place.fd = bound(AF_INET, SOCK_STREAM, place.port);
        break;
    case LISTENING:
        place.fd = bound(AF_INET, SOCK_STREAM, place.port);
        must(listen(place.fd, 5) == 0, "listen");
        break;
    case CONNECTED:
    case ACCEPTED:
        connect_pair(&place);
        if (state == ACCEPTED)
            swap(&place);
        place.id = 0;
        break;
    case ENDED: {
        char byte;
        connect_pair(&place);
        close(place.peer);
        place.peer = -1;
        wait_readable(place.fd);
        must(recv(place.fd, &byte, 1, 0) == 0, "recv");
        break;
    }
    case IPV6:
        place.fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
        break;
    case CONNECTING: {
        struct sockaddr_in address = loopback(place.peer_port);
        address.sin_addr.s_addr = htonl(NOBODY);
        place.fd = bound_to(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, place.port, INADDR_ANY);
        must(connect(place.fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
                 errno == EINPROGRESS,
             "connect to nobody");
        break;
    }
    case SHUT:
        connect_pair(&place);
        must(shutdown(place.fd, SHUT_WR) == 0, "shutdown");
        wait_for_end(place.fd);
        break;
    case ABORTED: {
        struct linger linger = {1, 0};
        connect_pair(&place);
        must(setsockopt(place.peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0,
             "SO_LINGER");
        close(place.peer);
        place.peer = -1;
        wait_readable(place.fd);
        break;
    }
    case MANY_CLOSED:
        place.fd = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
        break;
    case MANY_LISTENING:
        place.fd = bound(AF_INET, SOCK_SEQPACKET, place.port);
        must(listen(place.fd, 5) == 0, "listen");
        break;
    case MANY_CLIENT:
    case MANY_SERVER:
        many_pair(&place);
        if (state == MANY_SERVER)
            swap(&place);
        place.id = wait_for_associations(place.fd, 1);
        break;
    case MANY_ENDED:
        many_pair(&place);
        close(place.peer);
        place.peer = -1;
        wait_for_associations(place.fd, 0);
        break;
    case PEELED: {
        many_pair(&place);
        sctp_assoc_t id = wait_for_associations(place.peer, 1);
        place.peeled_from = place.fd;
        place.fd = place.peer;
        int peeled = sctp_peeloff(place.fd, id);
        must(peeled >= 0, "sctp_peeloff");
        place.peer = place.peeled_from;
        place.peeled_from = place.fd;
        place.fd = peeled;
        place.id = id;
        break;
    }
    case UDP:
        place.fd = socket(AF_INET, SOCK_DGRAM, 0);
        break;
    case PIPE: {
        int ends[2];
        must(pipe(ends) == 0, "pipe");
        place.fd = ends[0];
        place.peer = ends[1];
        break;
    }
    case STATES:
        break;
    }
    place.is_id = place.id;
    if (state == CONNECTED || state == ACCEPTED) {
        struct sctp_status status = {0};
        socklen_t length = sizeof(status);
        must(getsockopt(place.fd, SOL_SCTP, SCTP_STATUS, &status, &length) == 0, "SCTP_STATUS");
        place.is_id = status.sstat_assoc_id;
    }
    must(place.fd >= 0, "no descriptor");
    return place;
}

void place_free(struct place *place)
{
    if (place->peer >= 0)
        close(place->peer);
    if (place->peeled_from >= 0)
        close(place->peeled_from);
    if (place->fd >= 0)
        close(place->fd);
}

/* ---- Lines ---- */

void answer_add(struct answer *answer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t used = strlen(answer->text);
    vsnprintf(answer->text + used, sizeof(answer->text) - used, format, arguments);
    va_end(arguments);
}

void answer_errno(struct answer *answer, int error)
{
    answer_add(answer, "%s", strerrorname_np(error) ? strerrorname_np(error) : "?");
}

/* States that are told by one word when all of them answer alike. */
static const struct {
    const char *name;
    enum state first, last;
} groups[] = {{"sctp", CLOSED, PEELED},
              {"one-to-one", CLOSED, ABORTED},
              {"one-to-many", MANY_CLOSED, MANY_ENDED}};

static void states_print(const struct answer answers[STATES], int which, bool told[STATES])
{
    const char *before = " | ";
    for (unsigned g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        bool all = true;
        for (int k = groups[g].first; k <= (int)groups[g].last; k++)
            all = all && !told[k] && strcmp(answers[k].text, answers[which].text) == 0;
        if (!all)
            continue;
        printf("%s%s", before, groups[g].name);
        for (int k = groups[g].first; k <= (int)groups[g].last; k++)
            told[k] = true;
        before = ",";
    }
    for (int k = which; k < STATES; k++) {
        if (told[k] || strcmp(answers[k].text, answers[which].text) != 0)
            continue;
        printf("%s%s", before, state_names[k]);
        told[k] = true;
        before = ",";
    }
    printf(" = %s", answers[which].text);
}

/* NAME: ANSWER, when all the states that were asked say the same; else NAME: | STATES = ANSWER ...
 * A state without an answer was not asked. */
void line_print(const char *name, const struct answer answers[STATES])
{
    bool told[STATES] = {false};
    bool different = false;
    for (int i = 0; i < STATES; i++) {
        told[i] = answers[i].text[0] == '\0';
        different = different || (!told[i] && strcmp(answers[i].text, answers[0].text) != 0);
    }
    printf("%s:", name);
    if (!different)
        printf(" %s", answers[0].text);
    for (int i = 0; different && i < STATES; i++)
        if (!told[i])
            states_print(answers, i, told);
    printf("\n");
}

bool line_wanted(const char *name)
{
    return !wanted || strstr(name, wanted);
}

int main(int count, char **arguments)
{
    wanted = count > 1 ? arguments[1] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    probe_options();
    probe_numbers();
    probe_calls();
    probe_scenes();
    return 0;
}
