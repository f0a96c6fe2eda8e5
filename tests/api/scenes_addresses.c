/* Scenes of addresses: RFC 6458, sections 3.1.2, 7, 8.1.15, 9.1, 9.3 to 9.5, 9.9; RFC 3493. */
#include <arpa/inet.h>

#include "scenes.h"

static void tell_address(const char *what, const struct sockaddr_storage *address, socklen_t length)
{
    char text[INET6_ADDRSTRLEN] = "?";
    const void *bytes = address->ss_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)address)->sin_addr;
    uint16_t port = ntohs(((const struct sockaddr_in *)address)->sin_port);
    inet_ntop(address->ss_family, bytes, text, sizeof(text));
    tell_text(what, "%s %s length %u", text,
              port == ntohs(server_address().sin_port)   ? "server"
              : port == ntohs(client_address().sin_port) ? "client"
              : port == 0                                ? "0"
                                                         : "some port",
              length);
}

static void tell_names(const char *what, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    char text[100];
    snprintf(text, sizeof(text), "%s getsockname", what);
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        tell(text, -1);
    else
        tell_address(text, &address, length);
    snprintf(text, sizeof(text), "%s getpeername", what);
    length = sizeof(address);
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0)
        tell(text, -1);
    else
        tell_address(text, &address, length);
}

static void tell_list(const char *what, int fd, bool peers, sctp_assoc_t id)
{
    struct sockaddr *list = NULL;
    int count = peers ? sctp_getpaddrs(fd, id, &list) : sctp_getladdrs(fd, id, &list);
    char *at = (char *)list;
    tell(what, count);
    for (int i = 0; i < count; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = (socklen_t)sctp_getaddrlen(((struct sockaddr *)(void *)at)->sa_family);
        memcpy(&address, at, length);
        tell_address(what, &address, length);
        at += length;
    }
    if (count > 0)
        sctp_freepaddrs(list);
}

static struct sockaddr_in other_address(struct sockaddr_in address, uint32_t ip)
{
    address.sin_addr.s_addr = htonl(ip);
    return address;
}

static void names(void)
{
    int ends[2], fresh = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    struct sockaddr_in any = other_address(server_address(), INADDR_ANY);
    tell_names("fresh", fresh);
    tell("bind to any", bind(fresh, (struct sockaddr *)&any, sizeof(any)));
    tell_names("bound to any", fresh);
    close(fresh);
    pair(ends, 0);
    tell_names("client", ends[0]);
    tell_names("server", ends[1]);
    tell_list("client's own", ends[0], false, 0);
    tell_list("client's peer", ends[0], true, 0);
    char byte[4];
    struct sockaddr_storage from;
    socklen_t length = 4;
    send(ends[0], "x", 1, 0);
    tell("recvfrom with a short address",
         recvfrom(ends[1], byte, 1, 0, (struct sockaddr *)&from, &length));
    tell("of it", length);
    close(ends[0]);
    close(ends[1]);
}

static void both_families(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = server_address().sin_port};
    struct sockaddr_in address = server_address();
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof(from);
    int waiting = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP), off = 0;
    tell("bind", bind(waiting, (struct sockaddr *)&any, sizeof(any)));
    listen(waiting, 5);
    tell_names("listener", waiting);
    int fd = client(SOCK_STREAM);
    tell("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    int accepted = accept(waiting, (struct sockaddr *)&from, &length);
    tell_address("accepted from", &from, length);
    tell_names("accepted", accepted);
    tell_list("its peer", accepted, true, 0);
    tell("SCTP_I_WANT_MAPPED_V4_ADDR",
         setsockopt(accepted, SOL_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof(off)));
    tell_names("not mapped", accepted);
    tell_list("its peer, not mapped", accepted, true, 0);
    send(fd, "x", 1, 0);
    show("message", accepted, 10, 0);
    close(fd);
    close(accepted);
    fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
    any.sin6_addr = in6addr_loopback;
    tell("connect by IPv6", connect(fd, (struct sockaddr *)&any, sizeof(any)));
    tell_names("IPv6", fd);
    close(fd);
    close(waiting);
    fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
    off = 1;
    tell("IPV6_V6ONLY", setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
    tell("IPv4 then", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    close(fd);
}

static void several(void)
{
    struct sockaddr_in own[2] = {server_address(), other_address(server_address(), 0x7f000002)};
    struct sockaddr_in to[2] = {other_address(server_address(), 0x7f000002), server_address()};
    int waiting = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    tell("sctp_bindx", sctp_bindx(waiting, (struct sockaddr *)own, 2, SCTP_BINDX_ADD_ADDR));
    listen(waiting, 5);
    tell_list("bound", waiting, false, 0);
    tell("remove one", sctp_bindx(waiting, (struct sockaddr *)own, 1, SCTP_BINDX_REM_ADDR));
    tell_list("left", waiting, false, 0);
    tell("remove the other",
         sctp_bindx(waiting, (struct sockaddr *)(own + 1), 1, SCTP_BINDX_REM_ADDR));
    tell("add it again", sctp_bindx(waiting, (struct sockaddr *)own, 1, SCTP_BINDX_ADD_ADDR));
    int fd = client(SOCK_STREAM);
    sctp_assoc_t id = 0;
    tell("sctp_connectx", sctp_connectx(fd, (struct sockaddr *)to, 2, &id));
    tell_text("id", "%d", id > 0);
    tell_list("peer", fd, true, id);
    tell_list("own", fd, false, id);
    tell_names("client", fd);
    struct sctp_prim prim = {.ssp_assoc_id = id};
    memcpy(&prim.ssp_addr, &to[1], sizeof(to[1]));
    tell("SCTP_PRIMARY_ADDR", setsockopt(fd, SOL_SCTP, SCTP_PRIMARY_ADDR, &prim, sizeof(prim)));
    tell_names("with another primary", fd);
    memcpy(&prim.ssp_addr, &own[0], sizeof(own[0]));
    ((struct sockaddr_in *)&prim.ssp_addr)->sin_addr.s_addr = htonl(0x7f000009);
    tell("a primary of nobody", setsockopt(fd, SOL_SCTP, SCTP_PRIMARY_ADDR, &prim, sizeof(prim)));
    struct sctp_paddrinfo info = {.spinfo_assoc_id = id};
    socklen_t length = sizeof(info);
    memcpy(&info.spinfo_address, &to[0], sizeof(to[0]));
    tell("SCTP_GET_PEER_ADDR_INFO", sctp_opt_info(fd, id, SCTP_GET_PEER_ADDR_INFO, &info, &length));
    tell_text("of it", "state %d mtu %u id %d", info.spinfo_state, info.spinfo_mtu,
              info.spinfo_assoc_id == id);
    close(fd);
    close(waiting);
}

static void shared_ports(void)
{
    struct sockaddr_in address = server_address();
    int one = 1, fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    tell("bind", bind(fds[0], (struct sockaddr *)&address, sizeof(address)));
    tell("bind the same", bind(fds[1], (struct sockaddr *)&address, sizeof(address)));
    setsockopt(fds[1], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    tell("one with REUSEADDR", bind(fds[1], (struct sockaddr *)&address, sizeof(address)));
    setsockopt(fds[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    tell("both with REUSEADDR", bind(fds[1], (struct sockaddr *)&address, sizeof(address)));
    tell("listen", listen(fds[0], 1));
    tell("both listen", listen(fds[1], 1));
    address.sin_addr.s_addr = htonl(0x7f000002);
    tell("another address", bind(fds[2], (struct sockaddr *)&address, sizeof(address)));
    close(fds[2]);
    fds[2] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    setsockopt(fds[2], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    address = server_address();
    tell("a port where somebody listens",
         bind(fds[2], (struct sockaddr *)&address, sizeof(address)));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    for (int i = 0; i < 3; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
        tell("REUSEPORT bind", bind(fds[i], (struct sockaddr *)&address, sizeof(address)));
        tell("REUSEPORT listen", listen(fds[i], 5));
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        tell("SCTP_REUSE_PORT", setsockopt(fds[i], SOL_SCTP, SCTP_REUSE_PORT, &one, sizeof(one)));
        tell("bind", bind(fds[i], (struct sockaddr *)&address, sizeof(address)));
    }
    tell("listen", listen(fds[0], 5));
    tell("listen", listen(fds[1], 5));
    for (int i = 0; i < 2; i++)
        close(fds[i]);
}

static void sockets(void)
{
    static const struct {
        int domain, type, protocol;
    } tried[] = {{AF_INET, SOCK_STREAM, 0},
                 {AF_INET, SOCK_SEQPACKET, 0},
                 {AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP},
                 {AF_INET, SOCK_DGRAM, IPPROTO_SCTP},
                 {AF_INET, SOCK_RDM, IPPROTO_SCTP},
                 {AF_INET6, SOCK_SEQPACKET, 0},
                 {AF_INET6, SOCK_DGRAM, IPPROTO_SCTP},
                 {AF_UNIX, SOCK_STREAM, IPPROTO_SCTP},
                 {AF_INET, SOCK_SEQPACKET, IPPROTO_TCP},
                 {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_SCTP},
                 {AF_INET, SOCK_STREAM | 0x40, IPPROTO_SCTP}};
    for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
        char what[80];
        int fd = socket(tried[i].domain, tried[i].type, tried[i].protocol);
        snprintf(what, sizeof(what), "socket(%d, %#x, %d)", tried[i].domain,
                 (unsigned)tried[i].type, tried[i].protocol);
        tell(what, fd < 0 ? -1 : 0);
        if (fd >= 0)
            close(fd);
    }
    int pair_of[2];
    tell("socketpair", socketpair(AF_INET, SOCK_STREAM, IPPROTO_SCTP, pair_of));
}

/* The server has another address, which is not yet confirmed: 5.4 of RFC 9260, 6.1.2 of RFC 6458.
 */
static void unconfirmed(void)
{
    struct sockaddr_in address = server_address(), any = address;
    int server = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), fd = client(SOCK_STREAM);
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    tell("bind", bind(server, (struct sockaddr *)&any, sizeof(any)));
    tell("listen", listen(server, 1));
    subscribe(fd, ALL_EVENTS);
    tell("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    for (int i = 0; i < 2; i++)
        show("client", fd, 300, 0);
    show_silence("client has no more", fd);
    close(fd);
    close(server);
}

static int on(int fd, int level, int option)
{
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof(one));
}

/* Addresses that the host does not have: IP_FREEBIND, IP_TRANSPARENT, for which RFC 6458 has no
 * words; ip(7). */
static void foreign(void)
{
    struct sockaddr_in address = other_address(server_address(), 0xc0000207);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = server_address().sin_port};
    inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr);
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    tell("bind", bind(fd, (struct sockaddr *)&address, sizeof(address)));
    tell("IP_FREEBIND", on(fd, IPPROTO_IP, IP_FREEBIND));
    tell("bind freely", bind(fd, (struct sockaddr *)&address, sizeof(address)));
    tell_names("bound", fd);
    tell("listen", listen(fd, 1));
    address.sin_addr.s_addr = htonl(0xc0000208);
    tell("sctp_bindx", sctp_bindx(fd, (struct sockaddr *)&address, 1, SCTP_BINDX_ADD_ADDR));
    tell_list("its own", fd, false, 0);
    close(fd);
    fd = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    tell("IP_TRANSPARENT", on(fd, IPPROTO_IP, IP_TRANSPARENT));
    tell("bind transparently", bind(fd, (struct sockaddr *)&address, sizeof(address)));
    close(fd);
    fd = socket(AF_INET6, SOCK_SEQPACKET, IPPROTO_SCTP);
    tell("IPV6_TRANSPARENT", on(fd, IPPROTO_IPV6, IPV6_TRANSPARENT));
    tell("IPv6 bind transparently", bind(fd, (struct sockaddr *)&v6, sizeof(v6)));
    close(fd);
    fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
    tell("IPv6 bind", bind(fd, (struct sockaddr *)&v6, sizeof(v6)));
    tell("IPV6_FREEBIND", on(fd, IPPROTO_IPV6, IPV6_FREEBIND));
    show_option("IP_FREEBIND too", fd, IPPROTO_IP, IP_FREEBIND);
    tell("IPv6 bind freely", bind(fd, (struct sockaddr *)&v6, sizeof(v6)));
    close(fd);
}

void scenes_addresses(void)
{
    scene_run("names", names);
    scene_run("both_families", both_families);
    scene_run("several", several);
    scene_run("shared_ports", shared_ports);
    scene_run("sockets", sockets);
    scene_run("unconfirmed", unconfirmed);
    scene_run("foreign", foreign);
}
