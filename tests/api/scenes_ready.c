/*
 * Scenes of readiness: what poll() says of a socket in each state (RFC 6458, 3.2, leaves it to the
 * system), and what is left to read there.
 */
#include <stdlib.h>

#include "scenes.h"

/* All that poll() says of it. */
static void ready(const char *what, int fd)
{
    struct pollfd p = {.fd = fd,
                       .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM |
                                 POLLRDBAND | POLLWRBAND};
    static const struct {
        short bit;
        const char *name;
    } names[] = {{POLLIN, "IN "},         {POLLOUT, "OUT "},       {POLLPRI, "PRI "},
                 {POLLERR, "ERR "},       {POLLHUP, "HUP "},       {POLLRDHUP, "RDHUP "},
                 {POLLRDNORM, "RDNORM "}, {POLLWRNORM, "WRNORM "}, {POLLRDBAND, "RDBAND "},
                 {POLLWRBAND, "WRBAND "}};
    char text[100] = "";
    size_t used = 0;
    if (poll(&p, 1, 0) < 0) {
        tell(what, -1);
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (p.revents & names[i].bit)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", names[i].name);
    tell_text(what, "%s", text);
}

/* Until the other end has heard of it, and there is nothing more to come. */
static void settle(void)
{
    usleep(100000);
}

static void reset_peer(int fd)
{
    struct linger linger = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    settle();
}

static void ready_before(void)
{
    struct sockaddr_in address = server_address(), nobody = {.sin_family = AF_INET,
                                                             .sin_port = htons(7),
                                                             .sin_addr.s_addr = htonl(0x0a08004d)};
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    ready("new", fd);
    tell("shutdown", shutdown(fd, SHUT_RDWR));
    ready("new, shut down", fd);
    close(fd);
    int waiting = listener(SOCK_STREAM);
    ready("listener", waiting);
    fd = client(SOCK_STREAM);
    ready("bound", fd);
    (void)connect(fd, (struct sockaddr *)&address, sizeof(address));
    settle();
    ready("listener with one", waiting);
    int accepted = accept(waiting, NULL, NULL);
    ready("listener without", waiting);
    tell("shutdown", shutdown(waiting, SHUT_RD));
    ready("listener shut down", waiting);
    close(accepted);
    close(fd);
    close(waiting);
    settle();
    fd = client(SOCK_STREAM | SOCK_NONBLOCK);
    tell("connect to nobody", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    settle();
    ready("refused", fd);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    ready("refused, told", fd);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_SCTP);
    tell("connect to who does not answer", connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
    ready("connecting", fd);
    tell("shutdown of reading", shutdown(fd, SHUT_RD));
    ready("connecting, shut for reading", fd);
    tell("shutdown", shutdown(fd, SHUT_RDWR));
    ready("connecting, shut down", fd);
    close(fd);
    int many = socket(AF_INET, SOCK_SEQPACKET | SOCK_NONBLOCK, IPPROTO_SCTP);
    ready("one-to-many", many);
    tell("shutdown", shutdown(many, SHUT_RDWR));
    ready("one-to-many, shut down", many);
    tell("connect to who does not answer",
         connect(many, (struct sockaddr *)&nobody, sizeof(nobody)));
    ready("one-to-many, connecting", many);
    close(many);
    many = listener(SOCK_SEQPACKET);
    ready("one-to-many listener", many);
    tell("shutdown", shutdown(many, SHUT_RD));
    ready("one-to-many listener, shut down", many);
    close(many);
}

/* How an end sees its own shutdown(), before and after what the peer does. */
static void show_shutdown(unsigned events, int how, const char *what)
{
    int ends[2];
    char byte;
    pair(ends, events);
    settle();
    while (recv(ends[0], &byte, 1, MSG_DONTWAIT) >= 0)
        ;
    ready("connected", ends[0]);
    send(ends[1], "x", 1, 0);
    settle();
    ready("with a message", ends[0]);
    tell(what, shutdown(ends[0], how));
    ready("at once", ends[0]);
    settle();
    ready("later", ends[0]);
    ready("its peer", ends[1]);
    tell("send", send(ends[0], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    tell("peer's send", send(ends[1], "y", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    settle();
    for (int i = 0; i < 4; i++)
        tell("recv", recv(ends[0], &byte, 1, MSG_DONTWAIT));
    ready("when all was read", ends[0]);
    close(ends[1]);
    settle();
    ready("when the peer has closed", ends[0]);
    for (int i = 0; i < 3; i++)
        tell("recv", recv(ends[0], &byte, 1, MSG_DONTWAIT));
    ready("at the end", ends[0]);
    tell("again", shutdown(ends[0], how));
    show_option("SO_ERROR", ends[0], SOL_SOCKET, SO_ERROR);
    close(ends[0]);
}

static void ready_shut(void)
{
    show_shutdown(0, SHUT_RD, "SHUT_RD");
    show_shutdown(0, SHUT_WR, "SHUT_WR");
    show_shutdown(0, SHUT_RDWR, "SHUT_RDWR");
}

static void ready_shut_told(void)
{
    show_shutdown(ALL_EVENTS, SHUT_RD, "SHUT_RD");
    show_shutdown(ALL_EVENTS, SHUT_WR, "SHUT_WR");
    show_shutdown(ALL_EVENTS, SHUT_RDWR, "SHUT_RDWR");
}

/* Peer ends, by shutdown() or an ABORT, while there is something to read. */
static void show_end(unsigned events, bool abort)
{
    int ends[2];
    char byte;
    pair(ends, events);
    settle();
    send(ends[1], "x", 1, 0);
    settle();
    if (abort)
        reset_peer(ends[1]);
    else
        tell("peer shuts down", shutdown(ends[1], SHUT_WR));
    settle();
    ready("the peer has ended", ends[0]);
    for (int i = 0; i < 4; i++) {
        ssize_t length = recv(ends[0], &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        if (length > 0)
            show("reads", ends[0], 300, MSG_DONTWAIT);
        else
            tell("recv", length);
        ready("then", ends[0]);
    }
    show_option("SO_ERROR", ends[0], SOL_SOCKET, SO_ERROR);
    ready("then", ends[0]);
    tell("shutdown", shutdown(ends[0], SHUT_RDWR));
    ready("then", ends[0]);
    close(ends[0]);
    if (!abort)
        close(ends[1]);
}

static void ready_ended(void)
{
    show_end(0, false);
    show_end(ALL_EVENTS, false);
}

static void ready_aborted(void)
{
    show_end(0, true);
    show_end(ALL_EVENTS, true);
}

static void ready_many(void)
{
    struct sockaddr_in address = server_address();
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET);
    char byte;
    sctp_sendmsg(many, "x", 1, (struct sockaddr *)&address, sizeof(address), 0, 0, 0, 0, 0);
    settle();
    ready("one-to-many with a message", server);
    tell("recv", recv(server, &byte, 1, MSG_DONTWAIT));
    ready("one-to-many", server);
    int peeled = sctp_peeloff(server, association_of(server));
    ready("peeled off", peeled);
    tell("shutdown of reading", shutdown(peeled, SHUT_RD));
    ready("shut for reading", peeled);
    tell("recv", recv(peeled, &byte, 1, MSG_DONTWAIT));
    tell("shutdown of writing", shutdown(peeled, SHUT_WR));
    ready("shut down", peeled);
    tell("recv", recv(peeled, &byte, 1, MSG_DONTWAIT));
    tell("send", send(peeled, "y", 1, MSG_NOSIGNAL));
    settle();
    tell("peer's recv", recv(many, &byte, 1, MSG_DONTWAIT));
    close(peeled);
    settle();
    ready("the peer", many);
    close(many);
    close(server);
}

/* A listener is closed, and nobody has called accept(). */

static void show_listener_closed(bool unread)
{
    struct sockaddr_in address = server_address();
    int waiting = listener(SOCK_STREAM), fds[4];
    char byte;
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        if (i == 2)
            subscribe(fds[i], ALL_EVENTS);
        tell("connect", connect(fds[i], (struct sockaddr *)&address, sizeof(address)));
    }
    if (unread)
        send(fds[1], "unread", 6, 0);
    settle();
    tell("close", close(waiting));
    settle();
    for (int i = 0; i < 4; i++) {
        ready("one that waited", fds[i]);
        if (i == 2) {
            show("is told", fds[i], 300, MSG_DONTWAIT);
            show("is told", fds[i], 300, MSG_DONTWAIT);
            show("is told", fds[i], 300, MSG_DONTWAIT);
        }
        if (i == 3)
            tell("send", send(fds[i], "x", 1, MSG_NOSIGNAL));
        tell("recv", recv(fds[i], &byte, 1, MSG_DONTWAIT));
        close(fds[i]);
    }
}

static void ready_listener_closed(void)
{
    show_listener_closed(false);
}

static void ready_listener_closed_unread(void)
{
    show_listener_closed(true);
}

static void connectx_that_fails(void)
{
    struct sockaddr_in addresses[3] = {server_address(), server_address(), server_address()};
    struct sockaddr_in name = {0};
    socklen_t length = sizeof(name);
    sctp_assoc_t id = 0;
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    addresses[1].sin_addr.s_addr = htonl(0xe0000001);
    tell("connectx", sctp_connectx(fd, (struct sockaddr *)addresses, 2, &id));
    tell("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
    tell_text("bound", "%d", name.sin_port != 0);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    addresses[1] = server_address();
    addresses[1].sin_port = htons(9);
    tell("connectx", sctp_connectx(fd, (struct sockaddr *)addresses, 2, &id));
    length = sizeof(name);
    tell("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
    tell_text("bound", "%d", name.sin_port != 0);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    addresses[0].sin_addr.s_addr = htonl(0xe0000001);
    tell("connectx", sctp_connectx(fd, (struct sockaddr *)addresses, 1, &id));
    length = sizeof(name);
    tell("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
    tell_text("bound", "%d", name.sin_port != 0);
    tell("connect", connect(fd, (struct sockaddr *)addresses, sizeof(addresses[0])));
    length = sizeof(name);
    tell("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
    tell_text("bound", "%d", name.sin_port != 0);
    addresses[0] = server_address();
    tell("connect", connect(fd, (struct sockaddr *)addresses, sizeof(addresses[0])));
    length = sizeof(name);
    tell("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
    tell_text("bound", "%d", name.sin_port != 0);
    close(fd);
}

/* A one-to-one socket that is connecting. */
static void connects_elsewhere(void)
{
    struct sockaddr_in nobody = {.sin_family = AF_INET,
                                 .sin_port = htons(7),
                                 .sin_addr.s_addr = htonl(0x0a08004d)},
                       server = server_address(), name = {0};
    socklen_t length = sizeof(name);
    char byte;
    int waiting = listener(SOCK_STREAM | SOCK_NONBLOCK),
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_SCTP);
    tell("connect", connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
    tell("connect again", connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
    tell("connect elsewhere", connect(fd, (struct sockaddr *)&server, sizeof(server)));
    settle();
    ready("connected elsewhere", fd);
    tell("getpeername", getpeername(fd, (struct sockaddr *)&name, &length));
    tell_text("peer", "%x", ntohl(name.sin_addr.s_addr));
    tell("send", send(fd, "hello", 5, MSG_NOSIGNAL));
    int accepted = accept4(waiting, NULL, NULL, SOCK_NONBLOCK);
    settle();
    tell("recv", recv(accepted, &byte, 1, 0));
    tell("send", send(accepted, "hello", 5, MSG_NOSIGNAL));
    settle();
    tell("recv", recv(fd, &byte, 1, 0));
    tell("connect when connected", connect(fd, (struct sockaddr *)&server, sizeof(server)));
    close(accepted);
    settle();
    ready("ended", fd);
    close(fd);
    close(waiting);
}

void scenes_ready(void)
{
    scene_run("ready_before", ready_before);
    scene_run("ready_shut", ready_shut);
    scene_run("ready_shut_told", ready_shut_told);
    scene_run("ready_ended", ready_ended);
    scene_run("ready_aborted", ready_aborted);
    scene_run("ready_many", ready_many);
    scene_run("ready_listener_closed", ready_listener_closed);
    scene_run("ready_listener_closed_unread", ready_listener_closed_unread);
    scene_run("connectx_that_fails", connectx_that_fails);
    scene_run("connects_elsewhere", connects_elsewhere);
}
