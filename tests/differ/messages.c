/* Steps with messages: RFC 6458, sections 5, 6.1 and 8.1.7. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "differ.h"

static unsigned char payload[400000];

static void ancillary_add(struct msghdr *message, int type, const void *data, size_t length)
{
    struct cmsghdr header = {
        .cmsg_len = CMSG_LEN(length), .cmsg_level = IPPROTO_SCTP, .cmsg_type = type};
    unsigned char *at = (unsigned char *)message->msg_control + message->msg_controllen;
    memcpy(at, &header, sizeof(header));
    memcpy(at + CMSG_LEN(0), data, length);
    message->msg_controllen += CMSG_SPACE(length);
}

static uint16_t flags_draw(void)
{
    static const uint16_t flags[] = {
        SCTP_UNORDERED,        SCTP_UNORDERED, SCTP_ADDR_OVER, SCTP_ABORT,
        SCTP_SACK_IMMEDIATELY, SCTP_SENDALL,   SCTP_EOF,       0x8000};
    uint16_t drawn = chance(60) ? 0 : DRAW_FROM(flags);
    return chance(8) ? (uint16_t)(drawn | DRAW_FROM(flags)) : drawn;
}

static uint16_t stream_draw(void)
{
    return (uint16_t)(chance(5) ? draw(65536) : draw(12));
}

/* SNDRCV or SNDINFO, and what may go with it. */
static void ancillary_draw(struct msghdr *message, const struct slot *slot)
{
    sctp_assoc_t id = chance(slot->many ? 60 : 20) ? association_draw(slot) : 0;
    unsigned which = draw(100);
    if (which < 40) {
        struct sctp_sndrcvinfo info = {.sinfo_stream = stream_draw(),
                                       .sinfo_flags = flags_draw(),
                                       .sinfo_ppid = draw(1000),
                                       .sinfo_context = draw(1000),
                                       .sinfo_timetolive = chance(10) ? 5000 : 0,
                                       .sinfo_assoc_id = id};
        say(" SNDRCV(%u %#x %u %u %u ", info.sinfo_stream, info.sinfo_flags, info.sinfo_ppid,
            info.sinfo_context, info.sinfo_timetolive);
        say_id(id);
        say(")");
        ancillary_add(message, SCTP_SNDRCV, &info, sizeof(info));
    } else {
        struct sctp_sndinfo info = {.snd_sid = stream_draw(),
                                    .snd_flags = flags_draw(),
                                    .snd_ppid = draw(1000),
                                    .snd_context = draw(1000),
                                    .snd_assoc_id = id};
        say(" SNDINFO(%u %#x %u %u ", info.snd_sid, info.snd_flags, info.snd_ppid,
            info.snd_context);
        say_id(id);
        say(")");
        ancillary_add(message, SCTP_SNDINFO, &info, sizeof(info));
    }
    if (chance(12)) {
        struct sctp_prinfo info = {(uint16_t)(draw(5) << 4), chance(50) ? 5000 : draw(4)};
        say(" PRINFO(%#x %u)", info.pr_policy, info.pr_value);
        ancillary_add(message, SCTP_PRINFO, &info, sizeof(info));
    }
    if (chance(8)) {
        struct sctp_initmsg info = {(uint16_t)draw(20), (uint16_t)draw(20), 0, 0};
        say(" INIT(%u %u)", info.sinit_num_ostreams, info.sinit_max_instreams);
        ancillary_add(message, SCTP_INIT, &info, sizeof(info));
    }
    if (chance(3)) {
        struct sctp_authinfo info = {(uint16_t)draw(2)};
        say(" AUTHINFO(%u)", info.auth_keynumber);
        ancillary_add(message, SCTP_AUTHINFO, &info, sizeof(info));
    }
    if (chance(6)) {
        struct in_addr in = {htonl(chance(70) ? 0x7f000003 : 0x0a090003)};
        say(" DSTADDRV4(%x)", ntohl(in.s_addr));
        ancillary_add(message, SCTP_DSTADDRV4, &in, sizeof(in));
    }
    if (chance(3) && slot->ipv6) {
        struct in6_addr in6 = {{{0xfd, 9, [15] = 3}}};
        say(" DSTADDRV6");
        ancillary_add(message, SCTP_DSTADDRV6, &in6, sizeof(in6));
    }
    if (chance(2)) {
        int number = 1;
        say(" type 77");
        ancillary_add(message, 77, &number, sizeof(number));
    }
}

static size_t length_draw(void)
{
    static const size_t lengths[] = {1, 5, 20, 100, 1000, 1452, 3000, 20000};
    if (chance(4))
        return 0;
    if (chance(2))
        return chance(50) ? 70000 : 300000;
    return DRAW_FROM(lengths);
}

static int send_flags_draw(void)
{
    static const struct {
        int flag;
        const char *name;
    } flags[] = {{MSG_OOB, "OOB"}, {MSG_EOR, "EOR"},         {MSG_EOR, "EOR"},
                 {MSG_FIN, "FIN"}, {MSG_DONTROUTE, "ROUTE"}, {MSG_CONFIRM, "CONFIRM"}};
    int drawn = 0;
    if (chance(7)) {
        unsigned which = draw(6);
        drawn = flags[which].flag;
        say(" MSG_%s", flags[which].name);
    }
    if (chance(85)) {
        drawn |= MSG_DONTWAIT;
    } else {
        say(" waiting");
    }
    if (chance(50)) {
        say(" NOSIGNAL");
        drawn |= MSG_NOSIGNAL;
    }
    return drawn;
}

void step_send(void)
{
    union {
        unsigned char bytes[512];
        struct cmsghdr header;
    } control;
    struct slot *slot = slot_draw();
    struct sockaddr_storage to;
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 1, .msg_control = &control};
    size_t length = length_draw();
    unsigned first = draw(26);
    for (size_t i = 0; i < length; i++)
        payload[i] = (unsigned char)('a' + (first + i) % 26);
    parts[0] = (struct iovec){payload, length};
    if (length > 3 && chance(10)) {
        parts[0].iov_len = 3;
        parts[1] = (struct iovec){payload + 3, length - 3};
        message.msg_iovlen = 2;
    }
    memset(&control, 0, sizeof(control));
    say(" %d %zu", slot_number(slot), length);
    int flags = send_flags_draw();
    if (chance(slot->many ? 60 : 15)) {
        message.msg_namelen = address_draw_target(&to, slot);
        message.msg_name = &to;
        say(" to ");
        say_address(&to, message.msg_namelen);
    }
    if (chance(55))
        ancillary_draw(&message, slot);
    say(" = ");
    say_result(sendmsg(slot->fd, &message, flags));
    if (message.msg_name) {
        struct sockaddr_in6 name = {0};
        socklen_t size = sizeof(name);
        if (!slot->port && getsockname(slot->fd, (struct sockaddr *)&name, &size) == 0)
            slot->port = ntohs(name.sin6_port);
    }
}

/* ---- What was read ---- */

static void say_notification(const unsigned char *bytes, size_t length)
{
    union sctp_notification n;
    memset(&n, 0, sizeof(n));
    memcpy(&n, bytes, length < sizeof(n) ? length : sizeof(n));
    if (length < sizeof(n.sn_header) || length < n.sn_header.sn_length ||
        n.sn_header.sn_type <= SCTP_SN_TYPE_BASE) {
        say(" part");
        return;
    }
    say(" flags %#x length %u ", n.sn_header.sn_flags, n.sn_header.sn_length);
    switch (n.sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE:
        if (n.sn_assoc_change.sac_state == SCTP_CANT_STR_ASSOC) /* on Linux it has no id yet */
            n.sn_assoc_change.sac_assoc_id = 0;
        say("ASSOC_CHANGE state %u error %u streams %u %u ", n.sn_assoc_change.sac_state,
            n.sn_assoc_change.sac_error, n.sn_assoc_change.sac_outbound_streams,
            n.sn_assoc_change.sac_inbound_streams);
        say_id(n.sn_assoc_change.sac_assoc_id);
        break;
    case SCTP_PEER_ADDR_CHANGE:
        say("PEER_ADDR_CHANGE ");
        say_address(&bytes[offsetof(struct sctp_paddr_change, spc_aaddr)],
                    n.sn_paddr_change.spc_aaddr.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                      : sizeof(struct sockaddr_in));
        say(" state %d error %d ", n.sn_paddr_change.spc_state, n.sn_paddr_change.spc_error);
        say_id(n.sn_paddr_change.spc_assoc_id);
        break;
    case SCTP_SEND_FAILED:
        say("SEND_FAILED error %u stream %u flags %#x ppid %u context %u ",
            n.sn_send_failed.ssf_error, n.sn_send_failed.ssf_info.sinfo_stream,
            n.sn_send_failed.ssf_info.sinfo_flags, n.sn_send_failed.ssf_info.sinfo_ppid,
            n.sn_send_failed.ssf_info.sinfo_context);
        break;
    case SCTP_SEND_FAILED_EVENT:
        say("SEND_FAILED_EVENT error %u stream %u flags %#x ppid %u context %u ",
            n.sn_send_failed_event.ssf_error, n.sn_send_failed_event.ssfe_info.snd_sid,
            n.sn_send_failed_event.ssfe_info.snd_flags, n.sn_send_failed_event.ssfe_info.snd_ppid,
            n.sn_send_failed_event.ssfe_info.snd_context);
        break;
    case SCTP_REMOTE_ERROR:
        say("REMOTE_ERROR error %u ", n.sn_remote_error.sre_error);
        say_id(n.sn_remote_error.sre_assoc_id);
        break;
    case SCTP_SHUTDOWN_EVENT:
        say("SHUTDOWN_EVENT ");
        say_id(n.sn_shutdown_event.sse_assoc_id);
        break;
    case SCTP_ADAPTATION_INDICATION:
        say("ADAPTATION %u ", n.sn_adaptation_event.sai_adaptation_ind);
        say_id(n.sn_adaptation_event.sai_assoc_id);
        break;
    case SCTP_PARTIAL_DELIVERY_EVENT:
        say("PARTIAL_DELIVERY %u stream %u seq %u ", n.sn_pdapi_event.pdapi_indication,
            n.sn_pdapi_event.pdapi_stream, n.sn_pdapi_event.pdapi_seq);
        say_id(n.sn_pdapi_event.pdapi_assoc_id);
        break;
    case SCTP_AUTHENTICATION_EVENT:
        say("AUTHENTICATION key %u indication %u ", n.sn_authkey_event.auth_keynumber,
            n.sn_authkey_event.auth_indication);
        say_id(n.sn_authkey_event.auth_assoc_id);
        break;
    case SCTP_SENDER_DRY_EVENT:
        say("SENDER_DRY ");
        say_id(n.sn_sender_dry_event.sender_dry_assoc_id);
        break;
    case SCTP_STREAM_RESET_EVENT:
        say("STREAM_RESET ");
        say_id(n.sn_strreset_event.strreset_assoc_id);
        break;
    case SCTP_ASSOC_RESET_EVENT:
        say("ASSOC_RESET ");
        say_id(n.sn_assocreset_event.assocreset_assoc_id);
        break;
    case SCTP_STREAM_CHANGE_EVENT:
        say("STREAM_CHANGE %u %u ", n.sn_strchange_event.strchange_instrms,
            n.sn_strchange_event.strchange_outstrms);
        say_id(n.sn_strchange_event.strchange_assoc_id);
        break;
    default:
        say("type %#x", n.sn_header.sn_type);
        break;
    }
}

static void say_ancillary(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        union {
            struct sctp_sndrcvinfo sndrcv;
            struct sctp_rcvinfo rcv;
            struct sctp_nxtinfo nxt;
        } u = {0};
        size_t length = c->cmsg_len - CMSG_LEN(0);
        memcpy(&u, CMSG_DATA(c), length < sizeof(u) ? length : sizeof(u));
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_SNDRCV) {
            say(" SNDRCV(%zu: %u ssn %u %#x %u %u ttl %u ", length, u.sndrcv.sinfo_stream,
                u.sndrcv.sinfo_ssn, u.sndrcv.sinfo_flags, u.sndrcv.sinfo_ppid,
                u.sndrcv.sinfo_context, u.sndrcv.sinfo_timetolive);
            say_id(u.sndrcv.sinfo_assoc_id);
            say(")");
        } else if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO) {
            say(" RCVINFO(%zu: %u ssn %u %#x %u %u ", length, u.rcv.rcv_sid, u.rcv.rcv_ssn,
                u.rcv.rcv_flags, u.rcv.rcv_ppid, u.rcv.rcv_context);
            say_id(u.rcv.rcv_assoc_id);
            say(")");
        } else if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_NXTINFO) {
            say(" NXTINFO(%zu: %u %#x %u length %u ", length, u.nxt.nxt_sid, u.nxt.nxt_flags,
                u.nxt.nxt_ppid, u.nxt.nxt_length);
            say_id(u.nxt.nxt_assoc_id);
            say(")");
        } else {
            say(" level %d type %d", c->cmsg_level, c->cmsg_type);
        }
    }
}

/* Who shut a socket down himself may read the end on Braid; Linux does not tell him. */
static void say_count(const struct slot *slot, long length)
{
    if (slot->shut && (length == 0 || (length < 0 && errno == EAGAIN)))
        say("nothing");
    else
        say_result(length);
}

static void say_received(long length, struct msghdr *message, const unsigned char *bytes)
{
    unsigned sum = 0;
    say("%ld", length);
    if (message->msg_flags & MSG_NOTIFICATION) {
        say_notification(bytes, (size_t)length);
    } else {
        for (long i = 0; i < length; i++)
            sum = sum * 31 + bytes[i];
        say(" \"%.*s\" %x", length < 4 ? (int)length : 4, (const char *)bytes, sum);
    }
    say("%s%s%s%s%s", message->msg_flags & MSG_EOR ? " EOR" : "",
        message->msg_flags & MSG_NOTIFICATION ? " NOTIFICATION" : "",
        message->msg_flags & MSG_TRUNC ? " TRUNC" : "",
        message->msg_flags & MSG_CTRUNC ? " CTRUNC" : "",
        message->msg_flags &
                ~(MSG_EOR | MSG_NOTIFICATION | MSG_TRUNC | MSG_CTRUNC | MSG_CMSG_CLOEXEC)
            ? " more"
            : "");
    if (message->msg_name) {
        say(" from ");
        say_address(message->msg_name, message->msg_namelen);
    }
    say_ancillary(message);
}

void receive_and_say(struct slot *slot, unsigned char *bytes, size_t room, size_t control_room,
                     int flags)
{
    union {
        unsigned char bytes[512];
        struct cmsghdr header;
    } control;
    struct sockaddr_storage from;
    struct iovec part = {bytes, room};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof(from),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = control_room};
    memset(&from, 0, sizeof(from));
    long length = recvmsg(slot->fd, &message, flags);
    say(" = ");
    if (length < 0 || (length == 0 && slot->shut))
        say_count(slot, length);
    else
        say_received(length < (long)room ? length : (long)room, &message, bytes);
}

static int receive_flags_draw(void)
{
    static const struct {
        int flag;
        const char *name;
    } flags[] = {{MSG_PEEK, "PEEK"},       {MSG_PEEK, "PEEK"}, {MSG_TRUNC, "TRUNC"},
                 {MSG_WAITALL, "WAITALL"}, {MSG_OOB, "OOB"},   {MSG_ERRQUEUE, "ERRQUEUE"}};
    int drawn = 0;
    if (chance(20)) {
        unsigned which = draw(6);
        drawn = flags[which].flag;
        say(" MSG_%s", flags[which].name);
    }
    if (chance(94))
        drawn |= MSG_DONTWAIT;
    else
        say(" waiting");
    return drawn;
}

void step_recv(void)
{
    static unsigned char bytes[100000];
    static const size_t rooms[] = {0, 1, 5, 20, 50, 300, 5000, 5000, 100000, 100000};
    static const size_t controls[] = {0, 20, 48, 60, 512, 512, 512, 512};
    struct slot *slot = slot_draw();
    size_t room = DRAW_FROM(rooms), control = DRAW_FROM(controls);
    say(" %d %zu/%zu", slot_number(slot), room, control);
    int flags = receive_flags_draw();
    if (chance(15)) {
        long length = recv(slot->fd, bytes, room, flags);
        say(" recv = ");
        say_count(slot, length);
    } else if (flags == MSG_DONTWAIT && chance(15)) {
        struct sockaddr_storage from;
        socklen_t size = sizeof(from);
        memset(&from, 0, sizeof(from));
        long length = recvfrom(slot->fd, bytes, room, flags, (struct sockaddr *)&from, &size);
        say(" recvfrom = ");
        say_count(slot, length);
        if (length > 0) {
            say(" ");
            say_address(&from, size);
        }
    } else {
        receive_and_say(slot, bytes, room, control, flags);
    }
}

void step_recvmmsg(void)
{
    static unsigned char bytes[3][300];
    struct sockaddr_storage from[3];
    struct iovec parts[3];
    struct mmsghdr messages[3];
    struct slot *slot = slot_draw();
    memset(messages, 0, sizeof(messages));
    memset(from, 0, sizeof(from));
    for (int i = 0; i < 3; i++) {
        parts[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof(from[i]),
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1};
    }
    int count = recvmmsg(slot->fd, messages, 3, MSG_DONTWAIT, NULL);
    say(" %d = ", slot_number(slot));
    int whole = 0;
    while (whole < count && messages[whole].msg_len > 0)
        whole++;
    if (slot->shut)
        say_count(slot, count < 0 ? -1 : whole);
    else
        say_result(count);
    for (int i = 0; i < count && messages[i].msg_len; i++) {
        say(" | ");
        say_received(messages[i].msg_len, &messages[i].msg_hdr, bytes[i]);
    }
}
