/*
 * Scenes: what programs do with sockets, and everything that can be seen of it. Messages with all
 * their ancillary data and flags, notifications field by field (RFC 6458, 5.3 and 6.1).
 */
#include <stdarg.h>
#include <stdlib.h>

#include "scenes.h"

#define PATIENCE 4000 /* ms */

static const char *playing;
static int line;
static uint16_t port = 40000;
static sctp_assoc_t known[16]; /* the scene's association ids, in the order they were seen */

void tell_text(const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("scene %s %02d %s: ", playing, ++line, what);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

void tell(const char *what, long result)
{
    if (result < 0)
        tell_text(what, "%s", strerrorname_np(errno));
    else
        tell_text(what, "%ld", result);
}

void scene_run(const char *name, scene *play)
{
    char whole[80];
    snprintf(whole, sizeof(whole), "scene %s", name);
    if (!line_wanted(whole))
        return;
    playing = name;
    line = 0;
    port += 2;
    memset(known, 0, sizeof(known));
    play();
}

/* An association id, by the order in which the scene came to know it. */
static int id_of(sctp_assoc_t id)
{
    for (int i = 0; i < 16; i++) {
        if (known[i] == 0)
            known[i] = id;
        if (known[i] == id)
            return i + 1;
    }
    return -1;
}

/* ---- Sockets ---- */

struct sockaddr_in server_address(void)
{
    return loopback(port);
}

struct sockaddr_in client_address(void)
{
    return loopback((uint16_t)(port + 1));
}

static int bound(int type, struct sockaddr_in address)
{
    int fd = socket(AF_INET, type, IPPROTO_SCTP);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        tell("bind", -1);
    return fd;
}

int listener(int type)
{
    int fd = bound(type, server_address());
    if (listen(fd, 5) != 0)
        tell("listen", -1);
    return fd;
}

int client(int type)
{
    return bound(type, client_address());
}

void subscribe(int fd, unsigned events)
{
    unsigned char bytes[11];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = events >> i & 1;
    if (setsockopt(fd, SOL_SCTP, SCTP_EVENTS, bytes, sizeof(bytes)) != 0)
        tell("SCTP_EVENTS", -1);
}

void pair(int ends[2], unsigned events)
{
    struct sockaddr_in address = server_address();
    int waiting = listener(SOCK_STREAM);
    ends[0] = client(SOCK_STREAM);
    subscribe(waiting, events);
    subscribe(ends[0], events);
    if (connect(ends[0], (struct sockaddr *)&address, sizeof(address)) != 0)
        tell("connect", -1);
    ends[1] = accept(waiting, NULL, NULL);
    close(waiting);
}

sctp_assoc_t association_of(int fd)
{
    struct {
        uint32_t number;
        sctp_assoc_t ids[8];
    } list = {0};
    socklen_t length = sizeof(list);
    if (getsockopt(fd, SOL_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length) != 0 || list.number != 1)
        tell_text("associations", "%u", list.number);
    return list.ids[0];
}

void await_delivery(int fd)
{
    for (int attempt = 0; attempt < PATIENCE / 10; attempt++) {
        struct sctp_status status = {0};
        socklen_t length = sizeof(status);
        if (getsockopt(fd, SOL_SCTP, SCTP_STATUS, &status, &length) != 0 ||
            (status.sstat_unackdata == 0 && status.sstat_penddata == 0))
            return;
        usleep(10000);
    }
}

void show_option(const char *what, int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    tell(what, getsockopt(fd, level, option, &value, &length) != 0 ? -1 : value);
}

/* ---- What was read ---- */

static const char *whose(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    uint16_t from = ntohs(in->sin_port);
    if (address->ss_family == AF_INET)
        return from == port ? "server" : from == port + 1 ? "client" : "other";
    if (address->ss_family == AF_INET6)
        return from == port ? "server6" : from == port + 1 ? "client6" : "other6";
    return "nobody";
}

static void show_notification(char *text, size_t size, const unsigned char *bytes, ssize_t length)
{
    union sctp_notification n;
    memset(&n, 0, sizeof(n));
    memcpy(&n, bytes, (size_t)length < sizeof(n) ? (size_t)length : sizeof(n));
    int at = snprintf(text, size, "type %#x flags %#x length %u ", n.sn_header.sn_type,
                      n.sn_header.sn_flags, n.sn_header.sn_length);
    text += at;
    size -= (size_t)at;
    switch (n.sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE:
        snprintf(text, size, "ASSOC_CHANGE state %u error %u streams %u %u id %d info %d",
                 n.sn_assoc_change.sac_state, n.sn_assoc_change.sac_error,
                 n.sn_assoc_change.sac_outbound_streams, n.sn_assoc_change.sac_inbound_streams,
                 id_of(n.sn_assoc_change.sac_assoc_id),
                 (int)(n.sn_header.sn_length - sizeof(n.sn_assoc_change)));
        break;
    case SCTP_PEER_ADDR_CHANGE: {
        struct sockaddr_storage address;
        memcpy(&address, &n.sn_paddr_change.spc_aaddr, sizeof(address));
        snprintf(text, size, "PEER_ADDR_CHANGE %s state %d error %d id %d", whose(&address),
                 n.sn_paddr_change.spc_state, n.sn_paddr_change.spc_error,
                 id_of(n.sn_paddr_change.spc_assoc_id));
        break;
    }
    case SCTP_SEND_FAILED:
        snprintf(
            text, size, "SEND_FAILED error %u stream %u flags %#x ppid %u context %u id %d id %d",
            n.sn_send_failed.ssf_error, n.sn_send_failed.ssf_info.sinfo_stream,
            n.sn_send_failed.ssf_info.sinfo_flags, n.sn_send_failed.ssf_info.sinfo_ppid,
            n.sn_send_failed.ssf_info.sinfo_context,
            id_of(n.sn_send_failed.ssf_info.sinfo_assoc_id), id_of(n.sn_send_failed.ssf_assoc_id));
        break;
    case SCTP_REMOTE_ERROR:
        snprintf(text, size, "REMOTE_ERROR error %u id %d", n.sn_remote_error.sre_error,
                 id_of(n.sn_remote_error.sre_assoc_id));
        break;
    case SCTP_SHUTDOWN_EVENT:
        snprintf(text, size, "SHUTDOWN_EVENT id %d", id_of(n.sn_shutdown_event.sse_assoc_id));
        break;
    case SCTP_ADAPTATION_INDICATION:
        snprintf(text, size, "ADAPTATION %u id %d", n.sn_adaptation_event.sai_adaptation_ind,
                 id_of(n.sn_adaptation_event.sai_assoc_id));
        break;
    case SCTP_PARTIAL_DELIVERY_EVENT:
        snprintf(text, size, "PARTIAL_DELIVERY %u stream %u seq %u id %d",
                 n.sn_pdapi_event.pdapi_indication, n.sn_pdapi_event.pdapi_stream,
                 n.sn_pdapi_event.pdapi_seq, id_of(n.sn_pdapi_event.pdapi_assoc_id));
        break;
    case SCTP_AUTHENTICATION_EVENT:
        snprintf(text, size, "AUTHENTICATION key %u indication %u id %d",
                 n.sn_authkey_event.auth_keynumber, n.sn_authkey_event.auth_indication,
                 id_of(n.sn_authkey_event.auth_assoc_id));
        break;
    case SCTP_SENDER_DRY_EVENT:
        snprintf(text, size, "SENDER_DRY id %d", id_of(n.sn_sender_dry_event.sender_dry_assoc_id));
        break;
    default:
        snprintf(text, size, "other");
        break;
    }
}

static void show_ancillary(char *text, size_t size, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        int at = 0;
        union {
            struct sctp_sndrcvinfo sndrcv;
            struct sctp_rcvinfo rcv;
            struct sctp_nxtinfo nxt;
        } u = {0};
        memcpy(&u, CMSG_DATA(c),
               c->cmsg_len - CMSG_LEN(0) < sizeof(u) ? c->cmsg_len - CMSG_LEN(0) : sizeof(u));
        if (c->cmsg_level != IPPROTO_SCTP) {
            at = snprintf(text, size, " level %d", c->cmsg_level);
        } else if (c->cmsg_type == SCTP_SNDRCV) {
            at = snprintf(text, size,
                          " SNDRCV %zu(stream %u ssn %u flags %#x ppid %u context %u ttl %u "
                          "cumtsn %s id %d)",
                          c->cmsg_len, u.sndrcv.sinfo_stream, u.sndrcv.sinfo_ssn,
                          u.sndrcv.sinfo_flags, u.sndrcv.sinfo_ppid, u.sndrcv.sinfo_context,
                          u.sndrcv.sinfo_timetolive, u.sndrcv.sinfo_cumtsn ? "set" : "0",
                          id_of(u.sndrcv.sinfo_assoc_id));
        } else if (c->cmsg_type == SCTP_RCVINFO) {
            at = snprintf(text, size,
                          " RCVINFO %zu(stream %u ssn %u flags %#x ppid %u context %u cumtsn %s "
                          "id %d)",
                          c->cmsg_len, u.rcv.rcv_sid, u.rcv.rcv_ssn, u.rcv.rcv_flags,
                          u.rcv.rcv_ppid, u.rcv.rcv_context, u.rcv.rcv_cumtsn ? "set" : "0",
                          id_of(u.rcv.rcv_assoc_id));
        } else if (c->cmsg_type == SCTP_NXTINFO) {
            at = snprintf(text, size, " NXTINFO %zu(stream %u flags %#x ppid %u length %u id %d)",
                          c->cmsg_len, u.nxt.nxt_sid, u.nxt.nxt_flags, u.nxt.nxt_ppid,
                          u.nxt.nxt_length, id_of(u.nxt.nxt_assoc_id));
        } else {
            at = snprintf(text, size, " type %d", c->cmsg_type);
        }
        text += at;
        size -= (size_t)at;
    }
}

void show(const char *what, int fd, size_t room, int flags)
{
    static unsigned char bytes[300000];
    char control[512], body[600] = "", ancillary[600] = "";
    struct sockaddr_storage from = {0};
    struct iovec part = {bytes, room};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof(from),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, PATIENCE) != 1) {
        tell_text(what, "nothing came");
        return;
    }
    ssize_t length = recvmsg(fd, &message, flags);
    if (length < 0) {
        tell(what, -1);
        return;
    }
    if (message.msg_flags & MSG_NOTIFICATION)
        show_notification(body, sizeof(body), bytes, length);
    else
        snprintf(body, sizeof(body), "\"%.*s\"", length < 40 ? (int)length : 0, (char *)bytes);
    show_ancillary(ancillary, sizeof(ancillary), &message);
    tell_text(what, "%zd %s%s%s%s%s%s from %s/%u%s", length, body,
              message.msg_flags & MSG_EOR ? " EOR" : "",
              message.msg_flags & MSG_NOTIFICATION ? " NOTIFICATION" : "",
              message.msg_flags & MSG_TRUNC ? " TRUNC" : "",
              message.msg_flags & MSG_CTRUNC ? " CTRUNC" : "",
              message.msg_flags &
                      ~(MSG_EOR | MSG_NOTIFICATION | MSG_TRUNC | MSG_CTRUNC | MSG_CMSG_CLOEXEC)
                  ? " more flags"
                  : "",
              whose(&from), message.msg_namelen, ancillary);
}

void show_silence(const char *what, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    tell(what, poll(&p, 1, 100));
}

void probe_scenes(void)
{
    scenes_messages();
    scenes_lives();
    scenes_addresses();
    scenes_ready();
}
