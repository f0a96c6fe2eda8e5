/*
 * Calls of the socket API in each state of a socket, each on sockets of its own: what they answer
 * where they have no business, and with arguments that are wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probe.h"

/* Tells the state's answer to a call: its result, or the name of errno. */
typedef long call(struct place *place);

static char buffer[4096];

static long call_bind(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_bind_any_port(struct place *p)
{
    struct sockaddr_in a = loopback(0);
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_bind_taken(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    int other = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (bind(other, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(other, 1) == 0) {
        int result = bind(p->fd, (struct sockaddr *)&a, sizeof(a));
        int error = errno;
        close(other);
        errno = error;
        return result;
    }
    close(other);
    return 77;
}

static long call_bind_foreign(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    a.sin_addr.s_addr = htonl(0xcb007101); /* 203.0.113.1 */
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_bind_short(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    return bind(p->fd, (struct sockaddr *)&a, 4);
}

static long call_bind_family(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    a.sin_family = AF_UNIX;
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_bind_null(struct place *p)
{
    return bind(p->fd, NULL, 16);
}

static long call_bind_multicast(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    a.sin_addr.s_addr = htonl(0xe0000001);
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_bind_broadcast(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    a.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_bind_ipv6(struct place *p)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(p->port)};
    return bind(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_listen(struct place *p)
{
    return listen(p->fd, 5);
}

static long call_listen_zero(struct place *p)
{
    return listen(p->fd, 0);
}

static long call_accept(struct place *p)
{
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    int fd = accept(p->fd, NULL, NULL);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static long call_connect_refused(struct place *p)
{
    struct sockaddr_in a = loopback(9);
    return connect(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_connect_peer(struct place *p)
{
    struct sockaddr_in a = loopback(p->peer_port);
    return connect(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_connect_self(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    return connect(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_connect_port_zero(struct place *p)
{
    struct sockaddr_in a = loopback(0);
    return connect(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_connect_short(struct place *p)
{
    struct sockaddr_in a = loopback(9);
    return connect(p->fd, (struct sockaddr *)&a, 4);
}

static long call_connect_null(struct place *p)
{
    return connect(p->fd, NULL, 16);
}

static long call_connect_unspecified(struct place *p)
{
    struct sockaddr a = {.sa_family = AF_UNSPEC};
    return connect(p->fd, &a, sizeof(a));
}

static long call_connect_unix(struct place *p)
{
    struct sockaddr a = {.sa_family = AF_UNIX};
    return connect(p->fd, &a, sizeof(a));
}

static long call_connect_multicast(struct place *p)
{
    struct sockaddr_in a = loopback(9);
    a.sin_addr.s_addr = htonl(0xe0000001);
    return connect(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_connect_broadcast(struct place *p)
{
    struct sockaddr_in a = loopback(9);
    a.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    return connect(p->fd, (struct sockaddr *)&a, sizeof(a));
}

static long call_getsockname(struct place *p)
{
    struct sockaddr_storage a;
    socklen_t length = sizeof(a);
    return getsockname(p->fd, (struct sockaddr *)&a, &length) ? -1 : (long)length;
}

static long call_getpeername(struct place *p)
{
    struct sockaddr_storage a;
    socklen_t length = sizeof(a);
    return getpeername(p->fd, (struct sockaddr *)&a, &length) ? -1 : (long)length;
}

static long call_send(struct place *p)
{
    return send(p->fd, "abc", 3, MSG_NOSIGNAL);
}

static long call_send_nothing(struct place *p)
{
    return send(p->fd, "", 0, MSG_NOSIGNAL);
}

static long call_send_oob(struct place *p)
{
    return send(p->fd, "abc", 3, MSG_NOSIGNAL | MSG_OOB);
}

static long call_send_more(struct place *p)
{
    return send(p->fd, "abc", 3, MSG_NOSIGNAL | MSG_MORE);
}

static long call_send_huge(struct place *p)
{
    static char huge[1 << 20];
    return send(p->fd, huge, sizeof(huge), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long call_sendto_peer(struct place *p)
{
    struct sockaddr_in a = loopback(p->peer_port);
    return sendto(p->fd, "abc", 3, MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof(a));
}

static long call_sendto_refused(struct place *p)
{
    struct sockaddr_in a = loopback(9);
    return sendto(p->fd, "abc", 3, MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof(a));
}

static long call_sendto_port_zero(struct place *p)
{
    struct sockaddr_in a = loopback(0);
    return sendto(p->fd, "abc", 3, MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof(a));
}

static long call_sendto_short(struct place *p)
{
    struct sockaddr_in a = loopback(p->peer_port);
    return sendto(p->fd, "abc", 3, MSG_NOSIGNAL, (struct sockaddr *)&a, 4);
}

static long call_recv(struct place *p)
{
    return recv(p->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
}

static long call_recv_oob(struct place *p)
{
    return recv(p->fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_OOB);
}

static long call_recv_peek(struct place *p)
{
    return recv(p->fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_PEEK);
}

static long call_recv_errqueue(struct place *p)
{
    return recv(p->fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_ERRQUEUE);
}

static long call_read_nothing(struct place *p)
{
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    return read(p->fd, buffer, 0);
}

static long call_shutdown_read(struct place *p)
{
    return shutdown(p->fd, SHUT_RD);
}

static long call_shutdown_write(struct place *p)
{
    return shutdown(p->fd, SHUT_WR);
}

static long call_shutdown_both(struct place *p)
{
    return shutdown(p->fd, SHUT_RDWR);
}

static long call_shutdown_wrong(struct place *p)
{
    return shutdown(p->fd, 9);
}

static long call_poll(struct place *p)
{
    struct pollfd f = {.fd = p->fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
    poll(&f, 1, 0);
    return f.revents;
}

static long call_lseek(struct place *p)
{
    return lseek(p->fd, 0, SEEK_CUR);
}

/* sendmsg() with one item of ancillary data. */
static long send_with(struct place *p, int type, const void *data, size_t length)
{
    struct sockaddr_in a = loopback(p->peer_port);
    struct iovec iov = {"abc", 3};
    char control[256] = {0};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *c = (struct cmsghdr *)control;
    if (p->state == MANY_CLIENT || p->state == MANY_SERVER || p->state == MANY_CLOSED ||
        p->state == MANY_LISTENING) {
        m.msg_name = &a;
        m.msg_namelen = sizeof(a);
    }
    m.msg_controllen = CMSG_SPACE(length);
    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(c), data, length);
    return sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long sndinfo(struct place *p, struct sctp_sndinfo info)
{
    return send_with(p, SCTP_SNDINFO, &info, sizeof(info));
}

static long call_sndinfo(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_sid = 1, .snd_ppid = 5, .snd_assoc_id = p->id});
}

static long call_sndinfo_stream(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_sid = 60000, .snd_assoc_id = p->id});
}

static long call_sndinfo_id(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_assoc_id = 99999});
}

static long call_sndinfo_flags(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_flags = 0x4000, .snd_assoc_id = p->id});
}

static long call_sndinfo_eof(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_flags = SCTP_EOF, .snd_assoc_id = p->id});
}

static long call_sndinfo_abort(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_flags = SCTP_ABORT, .snd_assoc_id = p->id});
}

static long call_sndinfo_abort_eof(struct place *p)
{
    return sndinfo(
        p, (struct sctp_sndinfo){.snd_flags = SCTP_ABORT | SCTP_EOF, .snd_assoc_id = p->id});
}

static long call_sndinfo_sendall(struct place *p)
{
    return sndinfo(p, (struct sctp_sndinfo){.snd_flags = SCTP_SENDALL, .snd_assoc_id = p->id});
}

static long call_sndinfo_short(struct place *p)
{
    struct sctp_sndinfo info = {0};
    return send_with(p, SCTP_SNDINFO, &info, sizeof(info) - 4);
}

static long call_sndrcv(struct place *p)
{
    struct sctp_sndrcvinfo info = {.sinfo_stream = 1, .sinfo_assoc_id = p->id};
    return send_with(p, SCTP_SNDRCV, &info, sizeof(info));
}

static long call_prinfo(struct place *p)
{
    struct sctp_prinfo info = {.pr_policy = SCTP_PR_SCTP_TTL, .pr_value = 1000};
    return send_with(p, SCTP_PRINFO, &info, sizeof(info));
}

static long call_prinfo_policy(struct place *p)
{
    struct sctp_prinfo info = {.pr_policy = 0x99};
    return send_with(p, SCTP_PRINFO, &info, sizeof(info));
}

static long call_authinfo(struct place *p)
{
    struct sctp_authinfo info = {.auth_keynumber = 7};
    return send_with(p, SCTP_AUTHINFO, &info, sizeof(info));
}

static long call_init(struct place *p)
{
    struct sctp_initmsg info = {.sinit_num_ostreams = 4, .sinit_max_instreams = 4};
    return send_with(p, SCTP_INIT, &info, sizeof(info));
}

static long call_rcvinfo(struct place *p)
{
    struct sctp_rcvinfo info = {0};
    return send_with(p, SCTP_RCVINFO, &info, sizeof(info));
}

static long call_cmsg_unknown(struct place *p)
{
    int value = 0;
    return send_with(p, 77, &value, sizeof(value));
}

static long call_bindx_none(struct place *p)
{
    struct sockaddr_in a = loopback(p->port);
    return sctp_bindx(p->fd, (struct sockaddr *)&a, 0, SCTP_BINDX_ADD_ADDR);
}

static long bindx(struct place *p, uint32_t address, uint16_t port, int flags)
{
    struct sockaddr_in a = loopback(port);
    a.sin_addr.s_addr = htonl(address);
    return sctp_bindx(p->fd, (struct sockaddr *)&a, 1, flags);
}

static long call_bindx(struct place *p)
{
    return bindx(p, 0x7f000002, p->state == CLOSED ? 0 : p->port, SCTP_BINDX_ADD_ADDR);
}

static long call_bindx_again(struct place *p)
{
    return bindx(p, 0x7f000001, p->port, SCTP_BINDX_ADD_ADDR);
}

static long call_bindx_other_port(struct place *p)
{
    return bindx(p, 0x7f000002, (uint16_t)(p->port + 5000), SCTP_BINDX_ADD_ADDR);
}

static long call_bindx_foreign(struct place *p)
{
    return bindx(p, 0xcb007101, p->port, SCTP_BINDX_ADD_ADDR);
}

static long call_bindx_remove_last(struct place *p)
{
    return bindx(p, 0x7f000001, p->port, SCTP_BINDX_REM_ADDR);
}

static long call_bindx_remove_unknown(struct place *p)
{
    return bindx(p, 0x7f000003, p->port, SCTP_BINDX_REM_ADDR);
}

static long call_bindx_flags(struct place *p)
{
    return bindx(p, 0x7f000002, p->port, 9);
}

static long call_connectx_none(struct place *p)
{
    struct sockaddr_in a = loopback(p->peer_port);
    return sctp_connectx(p->fd, (struct sockaddr *)&a, 0, NULL);
}

static long call_connectx_refused(struct place *p)
{
    struct sockaddr_in a = loopback(9);
    return sctp_connectx(p->fd, (struct sockaddr *)&a, 1, NULL);
}

static long call_connectx_peer(struct place *p)
{
    struct sockaddr_in a = loopback(p->peer_port);
    return sctp_connectx(p->fd, (struct sockaddr *)&a, 1, NULL);
}

static long call_connectx_ports(struct place *p)
{
    struct sockaddr_in a[2] = {loopback(9), loopback(10)};
    a[1].sin_addr.s_addr = htonl(0x7f000002);
    return sctp_connectx(p->fd, (struct sockaddr *)a, 2, NULL);
}

static long call_peeloff(struct place *p)
{
    int fd = sctp_peeloff(p->fd, p->id);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static long call_peeloff_wrong(struct place *p)
{
    return sctp_peeloff(p->fd, 99999);
}

static long call_getpaddrs(struct place *p)
{
    struct sockaddr *addresses;
    int count = sctp_getpaddrs(p->fd, p->id, &addresses);
    if (count > 0)
        sctp_freepaddrs(addresses);
    return count;
}

static long call_getladdrs(struct place *p)
{
    struct sockaddr *addresses;
    int count = sctp_getladdrs(p->fd, p->id, &addresses);
    if (count > 0)
        sctp_freeladdrs(addresses);
    return count;
}

static long call_getladdrs_endpoint(struct place *p)
{
    struct sockaddr *addresses;
    int count = sctp_getladdrs(p->fd, 0, &addresses);
    if (count > 0)
        sctp_freeladdrs(addresses);
    return count;
}

static long call_getpaddrs_wrong(struct place *p)
{
    struct sockaddr *addresses;
    return sctp_getpaddrs(p->fd, 99999, &addresses);
}

static long call_opt_info(struct place *p)
{
    struct sctp_rtoinfo info = {0};
    socklen_t length = sizeof(info);
    return sctp_opt_info(p->fd, p->id, SCTP_RTOINFO, &info, &length);
}

static long call_opt_info_wrong(struct place *p)
{
    struct sctp_rtoinfo info = {0};
    socklen_t length = sizeof(info);
    return sctp_opt_info(p->fd, 99999, SCTP_RTOINFO, &info, &length);
}

#define CALL(name)                                                                                 \
    {                                                                                              \
#name, call_##name                                                                         \
    }

static const struct {
    const char *name;
    call *function;
} calls[] = {
    CALL(bind),
    CALL(bind_any_port),
    CALL(bind_taken),
    CALL(bind_foreign),
    CALL(bind_short),
    CALL(bind_family),
    CALL(bind_null),
    CALL(bind_multicast),
    CALL(bind_broadcast),
    CALL(bind_ipv6),
    CALL(listen),
    CALL(listen_zero),
    CALL(accept),
    CALL(connect_refused),
    CALL(connect_peer),
    CALL(connect_self),
    CALL(connect_port_zero),
    CALL(connect_short),
    CALL(connect_null),
    CALL(connect_unspecified),
    CALL(connect_unix),
    CALL(connect_multicast),
    CALL(connect_broadcast),
    CALL(getsockname),
    CALL(getpeername),
    CALL(send),
    CALL(send_nothing),
    CALL(send_oob),
    CALL(send_more),
    CALL(send_huge),
    CALL(sendto_peer),
    CALL(sendto_refused),
    CALL(sendto_port_zero),
    CALL(sendto_short),
    CALL(recv),
    CALL(recv_oob),
    CALL(recv_peek),
    CALL(recv_errqueue),
    CALL(read_nothing),
    CALL(shutdown_read),
    CALL(shutdown_write),
    CALL(shutdown_both),
    CALL(shutdown_wrong),
    CALL(poll),
    CALL(lseek),
    CALL(sndinfo),
    CALL(sndinfo_stream),
    CALL(sndinfo_id),
    CALL(sndinfo_flags),
    CALL(sndinfo_eof),
    CALL(sndinfo_abort),
    CALL(sndinfo_abort_eof),
    CALL(sndinfo_sendall),
    CALL(sndinfo_short),
    CALL(sndrcv),
    CALL(prinfo),
    CALL(prinfo_policy),
    CALL(authinfo),
    CALL(init),
    CALL(rcvinfo),
    CALL(cmsg_unknown),
    CALL(bindx_none),
    CALL(bindx),
    CALL(bindx_again),
    CALL(bindx_other_port),
    CALL(bindx_foreign),
    CALL(bindx_remove_last),
    CALL(bindx_remove_unknown),
    CALL(bindx_flags),
    CALL(connectx_none),
    CALL(connectx_refused),
    CALL(connectx_peer),
    CALL(connectx_ports),
    CALL(peeloff),
    CALL(peeloff_wrong),
    CALL(getpaddrs),
    CALL(getladdrs),
    CALL(getladdrs_endpoint),
    CALL(getpaddrs_wrong),
    CALL(opt_info),
    CALL(opt_info_wrong),
};

void probe_calls(void)
{
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct answer answers[STATES] = {0};
        if (!line_wanted(calls[i].name))
            continue;
        for (int k = 0; k < STATES; k++) {
            struct place place = place_make((enum state)k);
            errno = 0;
            long result = calls[i].function(&place);
            if (result < 0)
                answer_errno(&answers[k], errno);
            else
                answer_add(&answers[k], "%ld", result);
            place_free(&place);
        }
        char name[64];
        snprintf(name, sizeof(name), "call %s", calls[i].name);
        line_print(name, answers);
    }
}
