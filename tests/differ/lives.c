/* Steps of a socket's life: from socket() to close(), and its addresses. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "differ.h"

/* Acknowledged at once, so that nothing has to be waited for. */
struct slot *make_socket(bool many, bool ipv6)
{
    struct slot like = {.many = many, .ipv6 = ipv6};
    struct sctp_sack_info sack = {.sack_freq = 1, .sack_delay = 8};
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, many ? SOCK_SEQPACKET : SOCK_STREAM, IPPROTO_SCTP);
    if (fd < 0) {
        say(" socket=");
        say_result(-1);
        exit(1);
    }
    setsockopt(fd, SOL_SCTP, SCTP_DELAYED_SACK, &sack, sizeof(sack));
    return slot_add(fd, &like);
}

void step_socket(void)
{
    bool many = chance(50), ipv6 = chance(30), all = chance(30);
    if (!slot_free())
        return;
    struct slot *slot = make_socket(many, ipv6);
    say(" %d: %s%s", slot_number(slot), many ? "many" : "one", ipv6 ? "6" : "");
    if (all) {
        say(" all events");
        subscribe(slot, 0xffffffff);
    }
}

/* What getsockname() says of the port is told: it is drawn from later. */
static void learn_port(struct slot *slot)
{
    struct sockaddr_in6 name = {0};
    socklen_t length = sizeof(name);
    if (getsockname(slot->fd, (struct sockaddr *)&name, &length) == 0)
        slot->port = ntohs(name.sin6_port);
}

void step_bind(void)
{
    struct slot *slot = slot_draw();
    struct sockaddr_storage address;
    socklen_t length = address_draw(&address, slot);
    say(" %d ", slot_number(slot));
    say_address(&address, length);
    int result = bind(slot->fd, (struct sockaddr *)&address, length);
    say(" = ");
    say_result(result);
    learn_port(slot);
}

void step_bindx(void)
{
    unsigned char packed[200];
    struct slot *slot = slot_draw();
    bool add = chance(65);
    int count = addresses_draw(packed, slot, NULL);
    say(" %d %s ", slot_number(slot), add ? "add" : "remove");
    say_addresses(packed, count);
    int result = sctp_bindx(slot->fd, (struct sockaddr *)packed, count,
                            add ? SCTP_BINDX_ADD_ADDR : SCTP_BINDX_REM_ADDR);
    say(" = ");
    say_result(result);
    learn_port(slot);
}

void step_listen(void)
{
    static const int backlogs[] = {0, 1, 5, 5, 5};
    struct slot *slot = slot_draw();
    int backlog = DRAW_FROM(backlogs);
    int result = listen(slot->fd, backlog);
    say(" %d %d = ", slot_number(slot), backlog);
    say_result(result);
    if (result == 0)
        slot->listening = backlog > 0;
    learn_port(slot);
}

void step_connect(void)
{
    struct slot *slot = slot_draw();
    struct sockaddr_storage address;
    socklen_t length = address_draw_target(&address, slot);
    int before = fcntl(slot->fd, F_GETFL);
    bool nonblocking = chance(30);
    say(" %d%s ", slot_number(slot), nonblocking ? " nonblocking" : "");
    say_address(&address, length);
    if (nonblocking)
        fcntl(slot->fd, F_SETFL, before | O_NONBLOCK);
    int result = connect(slot->fd, (struct sockaddr *)&address, length);
    say(" = ");
    say_result(result);
    if (nonblocking)
        fcntl(slot->fd, F_SETFL, before);
    learn_port(slot);
}

void step_connectx(void)
{
    unsigned char packed[200];
    struct slot *slot = slot_draw();
    const struct slot *target = slot_draw_listening();
    int count = addresses_draw(packed, slot, target ? target : &(struct slot){.port = base_port});
    sctp_assoc_t id = 0;
    say(" %d ", slot_number(slot));
    say_addresses(packed, count);
    int result = sctp_connectx(slot->fd, (struct sockaddr *)packed, count, &id);
    say(" = ");
    say_result(result);
    if (result == 0) {
        say(" ");
        say_id(id);
        learn_port(slot);
    }
}

void step_accept(void)
{
    struct slot *slot = slot_draw_listening();
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    memset(&address, 0, sizeof(address));
    if (!slot || chance(10))
        slot = slot_draw();
    bool waits = chance(10), flags = chance(50);
    int before = fcntl(slot->fd, F_GETFL);
    if (!waits)
        fcntl(slot->fd, F_SETFL, before | O_NONBLOCK);
    int fd = flags ? accept4(slot->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK)
                   : accept(slot->fd, (struct sockaddr *)&address, &length);
    int error = errno;
    fcntl(slot->fd, F_SETFL, before);
    errno = error;
    struct slot *accepted = slot_add(fd, slot);
    say(" %d%s = ", slot_number(slot), waits ? " waiting" : "");
    say_result(fd < 0 ? -1 : 0);
    if (fd >= 0) {
        say(" ");
        say_address(&address, length);
    }
    if (accepted) {
        accepted->listening = accepted->shut = false;
        say(" in %d", slot_number(accepted));
    }
}

void step_peeloff(void)
{
    struct slot *slot = slot_draw();
    for (int i = 0; i < 3 && !slot->many; i++)
        slot = slot_draw();
    sctp_assoc_t id = association_draw(slot);
    say(" %d ", slot_number(slot));
    say_id(id);
    int fd = sctp_peeloff(slot->fd, id);
    say(" = ");
    say_result(fd < 0 ? -1 : 0);
    struct slot *peeled = slot_add(fd, slot);
    if (peeled) {
        peeled->many = peeled->listening = peeled->shut = false;
        say(" in %d", slot_number(peeled));
    }
}

void step_shutdown(void)
{
    static const char *const names[] = {"RD", "WR", "RDWR", "3"};
    struct slot *slot = slot_draw();
    unsigned how = slot->many ? SHUT_WR : chance(60) ? SHUT_WR : draw(30) ? draw(3) : 3;
    say(" %d %s = ", slot_number(slot), names[how]);
    say_result(shutdown(slot->fd, (int)how));
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].copy_of == slot->copy_of)
            slots[i].shut = true;
}

void slot_close(struct slot *slot)
{
    /* Linux aborts all that wait there if one of them has something unread */
    if (slot->listening && !slot->many) {
        fcntl(slot->fd, F_SETFL, O_RDWR | O_NONBLOCK);
        for (int fd = accept(slot->fd, NULL, NULL); fd >= 0; fd = accept(slot->fd, NULL, NULL))
            close(fd);
    }
    close(slot->fd);
    slot->fd = -1;
    slot->listening = false;
}

void step_close(void)
{
    struct slot *slot = slot_draw();
    say(" %d", slot_number(slot));
    slot_close(slot);
}

void step_dup(void)
{
    struct slot *slot = slot_draw();
    if (!slot_free() || slot->fd < 0)
        return;
    struct slot *other = slot_add(dup(slot->fd), slot);
    other->copy_of = slot->copy_of;
    say(" %d in %d", slot_number(slot), slot_number(other));
}

/* A child that sends, and ends: its parent's sockets stay. */
void step_fork(void)
{
    struct slot *slot = slot_draw();
    bool closes = chance(50);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (closes)
            close(slot->fd);
        long result = send(slot->fd, "child", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
        _exit(result < 0 ? errno : 0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    int error = WEXITSTATUS(status);
    say(" %d%s child sends = %s", slot_number(slot), closes ? " closed" : "",
        error ? strerrorname_np(error) : "good");
}

void step_names(void)
{
    struct slot *slot = slot_draw();
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    say(" %d", slot_number(slot));
    for (int i = 0; i < 2; i++) {
        length = sizeof(address);
        int result = i == 0 ? getsockname(slot->fd, (struct sockaddr *)&address, &length)
                            : getpeername(slot->fd, (struct sockaddr *)&address, &length);
        say(i == 0 ? " ours " : " peer ");
        if (result < 0)
            say_result(-1);
        else
            say_address(&address, length);
    }
}

static int compare(const void *one, const void *other)
{
    return memcmp(one, other, sizeof(struct sockaddr_in6));
}

static bool is_ipv4(const struct sockaddr_in6 *address)
{
    return address->sin6_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&address->sin6_addr);
}

/* Sorted: their order is that in which the host got them. Returns whether IPv4 is among them, and
 * tells of that only if it is `wanted`. */
static bool say_sorted(struct sockaddr *all, int count, bool wanted)
{
    struct sockaddr_in6 sorted[32];
    const unsigned char *at = (unsigned char *)all;
    bool ipv4 = false;
    memset(sorted, 0, sizeof(sorted));
    for (int i = 0; i < count && i < 32; i++) {
        struct sockaddr family;
        memcpy(&family, at, sizeof(family));
        size_t length =
            family.sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        memcpy(&sorted[i], at, length);
        at += length;
    }
    if (count <= 0)
        return false;
    qsort(sorted, (size_t)count, sizeof(sorted[0]), compare);
    for (int i = 0; i < count; i++) {
        ipv4 = ipv4 || is_ipv4(&sorted[i]);
        if (!wanted && is_ipv4(&sorted[i]))
            continue;
        say(" ");
        say_address(&sorted[i], sorted[i].sin6_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                  : sizeof(struct sockaddr_in));
    }
    sctp_freepaddrs(all);
    return ipv4;
}

void step_addresses(void)
{
    struct slot *slot = slot_draw();
    struct sockaddr *all = NULL;
    sctp_assoc_t id = association_draw(slot);
    if (chance(20))
        id = 0;
    say(" %d ", slot_number(slot));
    say_id(id);
    int count = sctp_getladdrs(slot->fd, id, &all);
    say(" ours = ");
    say_result(count);
    /* Linux keeps addresses of a peer that it cannot send to, having none of their family */
    bool ipv4 = say_sorted(all, count, true);
    count = sctp_getpaddrs(slot->fd, id, &all);
    say(" peer = ");
    say_result(count < 0 ? -1 : 0);
    say_sorted(all, count, ipv4);
}

/* Not which kind of end it is, and nothing of a socket that was shut down, or whose association is
 * over: there Braid tells more. */
void step_poll(void)
{
    for (int i = 0; i < SLOTS; i++) {
        struct pollfd p = {.fd = slots[i].fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
        if (p.fd < 0 || slots[i].shut)
            continue;
        poll(&p, 1, 0);
        struct sctp_status status = {0};
        socklen_t length = sizeof(status);
        bool sends =
            slots[i].many || getsockopt(slots[i].fd, SOL_SCTP, SCTP_STATUS, &status, &length) == 0;
        if (!sends && !slots[i].listening)
            continue;
        say(" %d:%s%s%s", i, p.revents & POLLIN ? " IN" : "",
            p.revents & POLLOUT && sends ? " OUT" : "", p.revents & POLLPRI ? " PRI" : "");
    }
}

void step_blocking(void)
{
    struct slot *slot = slot_draw();
    int flags = fcntl(slot->fd, F_GETFL);
    say(" %d = ", slot_number(slot));
    say_result(fcntl(slot->fd, F_SETFL, flags ^ O_NONBLOCK));
}

void step_linger(void)
{
    struct slot *slot = slot_draw();
    struct linger linger = {(int)draw(2), (int)draw(2)};
    say(" %d %d %d = ", slot_number(slot), linger.l_onoff, linger.l_linger);
    say_result(setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

void step_pending(void)
{
    struct slot *slot = slot_draw();
    int value = -1;
    say(" %d FIONREAD ", slot_number(slot));
    int result = ioctl(slot->fd, FIONREAD, &value);
    say_result(result < 0 ? -1 : value);
}
