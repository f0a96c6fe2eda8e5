/* Scenes of messages: RFC 6458, sections 3.1.4, 5.3, 8.1.13, 8.1.29 to 8.1.31, 9.10 to 9.13. */
#include "scenes.h"

static struct sctp_sndinfo sndinfo(uint16_t stream, uint16_t flags, uint32_t ppid, uint32_t context)
{
    return (struct sctp_sndinfo){
        .snd_sid = stream, .snd_flags = flags, .snd_ppid = ppid, .snd_context = context};
}

/* sendmsg() with one item of ancillary data. */
static ssize_t send_info(int fd, const char *text, int type, const void *info, size_t size)
{
    char control[256] = {0};
    struct iovec part = {(void *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), info, size);
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void set_int(int fd, int option, int value)
{
    if (setsockopt(fd, SOL_SCTP, option, &value, sizeof(value)) != 0)
        tell("setsockopt", -1);
}

static void infos(void)
{
    int ends[2];
    struct sctp_sndinfo info;
    pair(ends, DATA_EVENT);
    set_int(ends[1], SCTP_RECVRCVINFO, 1);
    struct sctp_assoc_value context = {.assoc_value = 77};
    setsockopt(ends[1], SOL_SCTP, SCTP_CONTEXT, &context, sizeof(context));
    for (int i = 0; i < 3; i++) {
        info = sndinfo((uint16_t)(i / 2), i == 2 ? SCTP_UNORDERED : 0, htonl(5), 9);
        tell("send", send_info(ends[0], "info", SCTP_SNDINFO, &info, sizeof(info)));
        show("both infos", ends[1], 100, 0);
    }
    struct sctp_sndrcvinfo old = {.sinfo_stream = 2,
                                  .sinfo_ppid = 6,
                                  .sinfo_flags = SCTP_UNORDERED,
                                  .sinfo_timetolive = 5000};
    tell("send with SNDRCV", send_info(ends[0], "old", SCTP_SNDRCV, &old, sizeof(old)));
    subscribe(ends[1], 0);
    show("rcvinfo alone", ends[1], 100, 0);
    set_int(ends[1], SCTP_RECVRCVINFO, 0);
    tell("plain send", send(ends[0], "plain", 5, 0));
    show("no info", ends[1], 100, 0);
    close(ends[0]);
    show("end", ends[1], 100, 0);
    close(ends[1]);
}

static void next_infos(void)
{
    int ends[2];
    pair(ends, 0);
    set_int(ends[1], SCTP_RECVNXTINFO, 1);
    set_int(ends[1], SCTP_RECVRCVINFO, 1);
    struct sctp_sndinfo info = sndinfo(3, SCTP_UNORDERED, htonl(8), 0);
    send(ends[0], "first", 5, 0);
    send_info(ends[0], "second!", SCTP_SNDINFO, &info, sizeof(info));
    send(ends[0], "third", 5, 0);
    await_delivery(ends[0]);
    show("first of three", ends[1], 100, 0);
    show("peeked", ends[1], 100, MSG_PEEK);
    show("half", ends[1], 3, 0);
    show("other half", ends[1], 100, 0);
    show("last", ends[1], 100, 0);
    close(ends[0]);
    close(ends[1]);
}

static void parts(void)
{
    int ends[2], waiting = -1;
    pair(ends, DATA_EVENT);
    tell("send", send(ends[0], "0123456789", 10, 0));
    send(ends[0], "next", 4, 0);
    await_delivery(ends[0]);
    tell("FIONREAD", ioctl(ends[1], FIONREAD, &waiting) != 0 ? -1 : waiting);
    show("peek of 4", ends[1], 4, MSG_PEEK);
    show("4", ends[1], 4, 0);
    tell("FIONREAD", ioctl(ends[1], FIONREAD, &waiting) != 0 ? -1 : waiting);
    show("peek of the rest", ends[1], 100, MSG_PEEK);
    show("0", ends[1], 0, 0);
    show("5", ends[1], 5, 0);
    show("the last", ends[1], 1, 0);
    show("MSG_TRUNC", ends[1], 2, MSG_TRUNC);
    show("the rest", ends[1], 100, MSG_WAITALL);
    tell("FIONREAD", ioctl(ends[1], FIONREAD, &waiting) != 0 ? -1 : waiting);
    tell("nothing", recv(ends[1], &waiting, 1, MSG_DONTWAIT));
    close(ends[0]);
    close(ends[1]);
}

static void vectors(void)
{
    int ends[2];
    char a[4] = "", b[10] = "";
    pair(ends, 0);
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
    struct iovec in[2] = {{a, 3}, {b, 9}};
    tell("writev", writev(ends[0], out, 3));
    tell("readv", readv(ends[1], in, 2));
    tell_text("parts", "%s %s", a, b);
    struct mmsghdr many[2] = {{.msg_hdr = {.msg_iov = out, .msg_iovlen = 1}},
                              {.msg_hdr = {.msg_iov = out + 2, .msg_iovlen = 1}}};
    tell("sendmmsg", sendmmsg(ends[0], many, 2, 0));
    tell_text("lengths", "%u %u", many[0].msg_len, many[1].msg_len);
    await_delivery(ends[0]);
    struct mmsghdr got[3] = {{.msg_hdr = {.msg_iov = in, .msg_iovlen = 1}},
                             {.msg_hdr = {.msg_iov = in + 1, .msg_iovlen = 1}},
                             {.msg_hdr = {.msg_iov = in, .msg_iovlen = 1}}};
    tell("recvmmsg", recvmmsg(ends[1], got, 3, MSG_DONTWAIT, NULL));
    tell_text("lengths", "%u %u flags %d %d", got[0].msg_len, got[1].msg_len,
              got[0].msg_hdr.msg_flags & MSG_EOR, got[1].msg_hdr.msg_flags & MSG_EOR);
    tell("recvmmsg of nothing", recvmmsg(ends[1], got, 3, MSG_DONTWAIT, NULL));
    tell("pwritev2", pwritev2(ends[0], out, 3, -1, 0));
    tell("preadv2", preadv2(ends[1], in, 2, -1, 0));
    tell("preadv2 at a place", preadv2(ends[1], in, 2, 5, 0));
    tell("sendmsg without parts", sendmsg(ends[0], &(struct msghdr){0}, MSG_NOSIGNAL));
    close(ends[0]);
    close(ends[1]);
}

static void short_control(void)
{
    int ends[2];
    char byte, control[CMSG_SPACE(8)];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    pair(ends, DATA_EVENT);
    send(ends[0], "x", 1, 0);
    tell("recvmsg", recvmsg(ends[1], &message, 0));
    tell_text("control", "%zu flags %#x", message.msg_controllen,
              (unsigned)message.msg_flags & (MSG_CTRUNC | MSG_EOR));
    send(ends[0], "x", 1, 0);
    message.msg_control = NULL;
    message.msg_controllen = 0;
    tell("recvmsg", recvmsg(ends[1], &message, 0));
    tell_text("no control", "%zu flags %#x", message.msg_controllen,
              (unsigned)message.msg_flags & (MSG_CTRUNC | MSG_EOR));
    close(ends[0]);
    close(ends[1]);
}

static void defaults(void)
{
    int ends[2];
    pair(ends, DATA_EVENT);
    struct sctp_sndrcvinfo old = {.sinfo_stream = 4, .sinfo_ppid = 44, .sinfo_context = 1};
    tell("DEFAULT_SEND_PARAM",
         setsockopt(ends[0], SOL_SCTP, SCTP_DEFAULT_SEND_PARAM, &old, sizeof(old)));
    send(ends[0], "a", 1, 0);
    show("by default", ends[1], 100, 0);
    struct sctp_sndinfo info = sndinfo(5, SCTP_UNORDERED, 55, 2);
    tell("DEFAULT_SNDINFO",
         setsockopt(ends[0], SOL_SCTP, SCTP_DEFAULT_SNDINFO, &info, sizeof(info)));
    send(ends[0], "b", 1, 0);
    show("by default", ends[1], 100, 0);
    info = sndinfo(1, 0, 0, 0);
    send_info(ends[0], "c", SCTP_SNDINFO, &info, sizeof(info));
    show("not by default", ends[1], 100, 0);
    struct sctp_prinfo prinfo = {.pr_policy = SCTP_PR_SCTP_RTX, .pr_value = 3};
    tell("send with PRINFO", send_info(ends[0], "d", SCTP_PRINFO, &prinfo, sizeof(prinfo)));
    show("with PRINFO alone", ends[1], 100, 0);
    close(ends[0]);
    close(ends[1]);
}

static void library(void)
{
    int ends[2];
    char text[100];
    struct sctp_sndrcvinfo info = {0};
    struct sockaddr_in from;
    socklen_t from_length = sizeof(from);
    int flags = 0;
    pair(ends, DATA_EVENT);
    tell("sctp_sendmsg",
         sctp_sendmsg(ends[0], "lib", 3, NULL, 0, htonl(3), SCTP_UNORDERED, 2, 0, 11));
    tell("sctp_recvmsg", sctp_recvmsg(ends[1], text, sizeof(text), (struct sockaddr *)&from,
                                      &from_length, &info, &flags));
    tell_text("of it", "stream %u flags %#x ppid %u msg_flags %#x from %u", info.sinfo_stream,
              info.sinfo_flags, ntohl(info.sinfo_ppid),
              (unsigned)flags & ~(unsigned)MSG_CMSG_CLOEXEC, from_length);
    info = (struct sctp_sndrcvinfo){.sinfo_stream = 3};
    tell("sctp_send", sctp_send(ends[0], "more", 4, &info, 0));
    show("it", ends[1], 100, 0);
    struct iovec part = {"vec", 3};
    struct sctp_sendv_spa spa = {.sendv_flags = SCTP_SEND_SNDINFO_VALID | SCTP_SEND_PRINFO_VALID,
                                 .sendv_sndinfo = {.snd_sid = 6, .snd_ppid = 66},
                                 .sendv_prinfo = {.pr_policy = SCTP_PR_SCTP_TTL, .pr_value = 900}};
    tell("sctp_sendv spa",
         sctp_sendv(ends[0], &part, 1, NULL, 0, &spa, sizeof(spa), SCTP_SENDV_SPA, 0));
    show("it", ends[1], 100, 0);
    struct sctp_sndinfo sndinfo_6 = {.snd_sid = 7};
    tell("sctp_sendv sndinfo", sctp_sendv(ends[0], &part, 1, NULL, 0, &sndinfo_6, sizeof(sndinfo_6),
                                          SCTP_SENDV_SNDINFO, 0));
    show("it", ends[1], 100, 0);
    tell("sctp_sendv noinfo",
         sctp_sendv(ends[0], &part, 1, NULL, 0, NULL, 0, SCTP_SENDV_NOINFO, 0));
    tell("sctp_sendv bad", sctp_sendv(ends[0], &part, 1, NULL, 0, &spa, 3, SCTP_SENDV_SPA, 0));
    set_int(ends[1], SCTP_RECVRCVINFO, 1);
    struct sctp_recvv_rn rn = {0};
    socklen_t rn_length = sizeof(rn);
    unsigned int type = 99;
    struct iovec in = {text, sizeof(text)};
    from_length = sizeof(from);
    tell("sctp_recvv", sctp_recvv(ends[1], &in, 1, (struct sockaddr *)&from, &from_length, &rn,
                                  &rn_length, &type, &flags));
    tell_text("of it", "type %u length %u stream %u", type, rn_length, rn.recvv_rcvinfo.rcv_sid);
    close(ends[0]);
    close(ends[1]);
}

/* A message that no receive buffer holds comes in pieces, the last with MSG_EOR. */
static void large(void)
{
    static char bytes[200000], got[200000];
    int ends[2];
    size_t total = 0;
    bool end = false, right = true;
    pair(ends, 0);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 + i / 251);
    tell("send", send(ends[0], bytes, sizeof(bytes), 0));
    while (!end && total < sizeof(got)) {
        struct iovec part = {got + total, sizeof(got) - total};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t length = recvmsg(ends[1], &message, 0);
        if (length <= 0)
            break;
        total += (size_t)length;
        end = message.msg_flags & MSG_EOR;
    }
    right = memcmp(bytes, got, sizeof(got)) == 0;
    tell_text("came", "%zu %s %s", total, end ? "EOR" : "no EOR", right ? "right" : "WRONG");
    close(ends[0]);
    close(ends[1]);
}

/* Flags that change how a message goes, not what the reader sees of it. */
static void flags(void)
{
    int ends[2];
    pair(ends, DATA_EVENT);
    struct sctp_sndinfo info = sndinfo(0, SCTP_SACK_IMMEDIATELY, 0, 0);
    tell("at once", send_info(ends[0], "sack", SCTP_SNDINFO, &info, sizeof(info)));
    show("it", ends[1], 100, 0);
    info.snd_flags = SCTP_ADDR_OVER;
    tell("over no address", send_info(ends[0], "over", SCTP_SNDINFO, &info, sizeof(info)));
    struct sockaddr_in peer = server_address();
    tell("over an address", sctp_sendmsg(ends[0], "over", 4, (struct sockaddr *)&peer, sizeof(peer),
                                         0, SCTP_ADDR_OVER, 0, 0, 0));
    show("it", ends[1], 100, 0);
    info.snd_flags = SCTP_PR_SCTP_PRIO;
    tell("with a priority", send_info(ends[0], "prio", SCTP_SNDINFO, &info, sizeof(info)));
    show("it", ends[1], 100, 0);
    close(ends[0]);
    close(ends[1]);
}

/* A peer with several addresses, by SCTP_DSTADDRV4; an IPv6 address of an IPv4 socket is refused.
 */
static void destinations(void)
{
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET);
    struct sockaddr_in peer = server_address();
    struct in_addr other = {htonl(0x7f000002)};
    char control[CMSG_SPACE(sizeof(struct in6_addr))] = {0};
    struct iovec part = {"hello", 5};
    struct msghdr message = {.msg_name = &peer,
                             .msg_namelen = sizeof(peer),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(sizeof(struct in6_addr))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = SCTP_DSTADDRV6;
    c->cmsg_len = CMSG_LEN(sizeof(struct in6_addr));
    memcpy(CMSG_DATA(c), &in6addr_loopback, sizeof(in6addr_loopback));
    int fresh = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    tell("SCTP_DSTADDRV6", sendmsg(fresh, &message, 0));
    close(fresh);
    message.msg_controllen = CMSG_SPACE(sizeof(other));
    c->cmsg_type = SCTP_DSTADDRV4;
    c->cmsg_len = CMSG_LEN(sizeof(other));
    memcpy(CMSG_DATA(c), &other, sizeof(other));
    tell("SCTP_DSTADDRV4", sendmsg(many, &message, 0));
    show("it", server, 100, 0);
    close(many);
    close(server);
}

/* What nobody reads fills the window to the byte: what comes then waits, until its time is over. */
static void window(void)
{
    static char bytes[200000];
    int ends[2];
    pair(ends, 0);
    struct sctp_status status = {0};
    socklen_t length = sizeof(status);
    getsockopt(ends[0], SOL_SCTP, SCTP_STATUS, &status, &length);
    tell("fill", send(ends[0], bytes, status.sstat_rwnd + 100, 0));
    struct sctp_sndrcvinfo info = {.sinfo_timetolive = 400};
    tell("a message with little time", sctp_send(ends[0], "soon", 4, &info, 0));
    info.sinfo_timetolive = 0;
    tell("one that has time", sctp_send(ends[0], "late", 4, &info, 0));
    usleep(900000);
    size_t total = 0;
    while (total < status.sstat_rwnd + 100) {
        ssize_t got = recv(ends[1], bytes, sizeof(bytes), 0);
        if (got <= 0)
            break;
        total += (size_t)got;
    }
    tell("what filled it", (long)total);
    show("next", ends[1], 100, 0);
    close(ends[0]);
    close(ends[1]);
}

static void timeouts(void)
{
    int ends[2];
    char byte;
    static char bytes[1000];
    struct timeval time = {0, 200000};
    int count = 0;
    pair(ends, 0);
    setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    tell("recv in vain", recv(ends[1], &byte, 1, 0));
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
    while (send(ends[0], bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes) && count < 10000)
        count++;
    tell("send in vain", -1);
    tell_text("messages", "%s", count > 100 && count < 1000 ? "some hundreds" : "a strange number");
    struct pollfd p = {.fd = ends[0], .events = POLLIN | POLLOUT};
    tell("poll", poll(&p, 1, 0));
    close(ends[0]);
    close(ends[1]);
}

/* A message that was read in part, and whose rest never comes: RFC 6458, 6.1.7. */
static void partial_delivery(void)
{
    static char bytes[200000];
    int ends[2], point = 1000, pieces = 0;
    struct linger linger = {1, 0};
    struct msghdr message = {.msg_iov = &(struct iovec){bytes, 1000}, .msg_iovlen = 1};
    pair(ends, ALL_EVENTS & ~DATA_EVENT);
    for (int i = 0; i < 2; i++)
        show("server", ends[1], 300, 0);
    tell("point",
         setsockopt(ends[1], SOL_SCTP, SCTP_PARTIAL_DELIVERY_POINT, &point, sizeof(point)));
    tell("send", send(ends[0], bytes, sizeof(bytes), 0));
    show("begins", ends[1], 1000, 0);
    usleep(300000); /* until the window is full */
    setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    tell("close", close(ends[0]));
    struct pollfd p = {.fd = ends[1], .events = POLLIN};
    while (poll(&p, 1, 2000) == 1 && recvmsg(ends[1], &message, MSG_PEEK) > 0 &&
           !(message.msg_flags & (MSG_NOTIFICATION | MSG_EOR))) {
        (void)!recvmsg(ends[1], &message, 0);
        pieces++;
    }
    tell("went on", pieces > 10);
    show("server", ends[1], 300, 0);
    show("server", ends[1], 300, 0);
    show("server", ends[1], 300, 0);
    close(ends[1]);
}

void scenes_messages(void)
{
    scene_run("infos", infos);
    scene_run("next_infos", next_infos);
    scene_run("parts", parts);
    scene_run("vectors", vectors);
    scene_run("short_control", short_control);
    scene_run("defaults", defaults);
    scene_run("library", library);
    scene_run("large", large);
    scene_run("flags", flags);
    scene_run("destinations", destinations);
    scene_run("window", window);
    scene_run("timeouts", timeouts);
    scene_run("partial_delivery", partial_delivery);
}
