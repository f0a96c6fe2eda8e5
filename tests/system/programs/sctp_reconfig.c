/*
 * Stream reconfiguration (RFC 6525) as a program of Linux's socket API: what it sees of it.
 *
 *     sctp_reconfig server PORT
 *     sctp_reconfig client ADDRESS PORT
 *
 * The client resets and adds streams; the server sends each message back on the stream on which it
 * came. Both say, a line each, what comes: messages with their numbers, and notifications.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RETRY_PAUSE = 20000, RETRIES = 400 }; /* microseconds */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* What has to wait until messages have left, or an earlier request is answered, is tried again. */
static void set(int descriptor, int option, const void *value, size_t length)
{
    char name[32];

    for (int i = 0; i < RETRIES; i++) {
        if (setsockopt(descriptor, IPPROTO_SCTP, option, value, (socklen_t)length) == 0)
            return;
        if (errno != EAGAIN && errno != EINPROGRESS)
            break;
        usleep(RETRY_PAUSE);
    }
    snprintf(name, sizeof(name), "option %d", option);
    fail(name);
}

static void prepare(int descriptor)
{
    static const uint16_t types[] = {SCTP_STREAM_RESET_EVENT, SCTP_ASSOC_RESET_EVENT,
                                     SCTP_STREAM_CHANGE_EVENT};
    struct sctp_assoc_value value = {.assoc_value = 1};
    int on = 1;

    set(descriptor, SCTP_RECONFIG_SUPPORTED, &value, sizeof(value));
    value.assoc_value = SCTP_ENABLE_STRRESET_MASK;
    set(descriptor, SCTP_ENABLE_STREAM_RESET, &value, sizeof(value));
    set(descriptor, SCTP_RECVRCVINFO, &on, sizeof(on));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct sctp_event event = {.se_type = types[i], .se_on = 1};

        set(descriptor, SCTP_EVENT, &event, sizeof(event));
    }
}

static void tell_notification(const char *bytes, size_t length)
{
    struct sctp_stream_reset_event reset;
    struct sctp_assoc_reset_event association;
    struct sctp_stream_change_event change;
    uint16_t type;

    memcpy(&type, bytes, sizeof(type));
    switch (type) {
    case SCTP_STREAM_RESET_EVENT:
        memcpy(&reset, bytes, sizeof(reset));
        printf("reset flags %#x streams", reset.strreset_flags);
        for (size_t at = sizeof(reset); at < length; at += sizeof(uint16_t)) {
            uint16_t stream;

            memcpy(&stream, bytes + at, sizeof(stream));
            printf(" %u", stream);
        }
        printf("\n");
        break;
    case SCTP_ASSOC_RESET_EVENT:
        memcpy(&association, bytes, sizeof(association));
        printf("association reset flags %#x\n", association.assocreset_flags);
        break;
    case SCTP_STREAM_CHANGE_EVENT:
        memcpy(&change, bytes, sizeof(change));
        printf("change flags %#x in %u out %u\n", change.strchange_flags, change.strchange_instrms,
               change.strchange_outstrms);
        break;
    default:
        printf("notification %#x\n", type);
    }
}

/* The next thing: 0 at the end. `info` is of a message, `notified` of none. */
static size_t next(int descriptor, char *bytes, size_t size, struct sctp_rcvinfo *info,
                   bool *notified)
{
    char control[256];
    struct iovec iovec = {bytes, size};
    struct msghdr message = {.msg_iov = &iovec,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(descriptor, &message, 0);

    if (length < 0)
        fail("recvmsg");
    *notified = message.msg_flags & MSG_NOTIFICATION;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == IPPROTO_SCTP && header->cmsg_type == SCTP_RCVINFO)
            memcpy(info, CMSG_DATA(header), sizeof(*info));
    }
    if (length > 0 && *notified)
        tell_notification(bytes, (size_t)length);
    else if (length > 0)
        printf("message stream %u ssn %u\n", info->rcv_sid, info->rcv_ssn);
    return (size_t)length;
}

static void send_on(int descriptor, uint16_t stream)
{
    struct sctp_sndinfo info = {.snd_sid = stream};
    char control[CMSG_SPACE(sizeof(info))] = {0};
    struct iovec iovec = {"hello", 5};
    struct msghdr message = {.msg_iov = &iovec,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = IPPROTO_SCTP;
    header->cmsg_type = SCTP_SNDINFO;
    header->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(header), &info, sizeof(info));
    if (sendmsg(descriptor, &message, 0) < 0)
        fail("sendmsg");
}

static void serve(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), descriptor;
    struct sctp_rcvinfo info = {0};
    char bytes[1000];
    bool notified;

    if (listener < 0)
        fail("socket");
    prepare(listener);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
        fail("listen");
    printf("ready\n");
    descriptor = accept(listener, NULL, NULL);
    if (descriptor < 0)
        fail("accept");
    prepare(descriptor);
    while (next(descriptor, bytes, sizeof(bytes), &info, &notified) > 0) {
        if (!notified)
            send_on(descriptor, info.rcv_sid);
    }
    printf("end\n");
}

/* Sends, and waits for what comes back. */
static void exchange(int descriptor, uint16_t stream)
{
    struct sctp_rcvinfo info = {0};
    char bytes[1000];
    bool notified = true;

    send_on(descriptor, stream);
    while (notified) {
        if (next(descriptor, bytes, sizeof(bytes), &info, &notified) == 0)
            fail("the server is gone");
    }
}

static void await_notifications(int descriptor, int count)
{
    struct sctp_rcvinfo info = {0};
    char bytes[1000];
    bool notified;

    while (count-- > 0) {
        if (next(descriptor, bytes, sizeof(bytes), &info, &notified) == 0 || !notified)
            fail("no notification");
    }
}

static void reset_streams(int descriptor, uint16_t flags, uint16_t count, const uint16_t *streams)
{
    char bytes[64] = {0};
    struct sctp_reset_streams reset = {.srs_flags = flags, .srs_number_streams = count};

    memcpy(bytes, &reset, sizeof(reset));
    memcpy(bytes + sizeof(reset), streams, count * sizeof(*streams));
    set(descriptor, SCTP_RESET_STREAMS, bytes, sizeof(reset) + count * sizeof(*streams));
}

static void call(const char *host, uint16_t port)
{
    static const uint16_t one[] = {1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sctp_add_streams add = {.sas_instrms = 3, .sas_outstrms = 2};
    int descriptor = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    sctp_assoc_t any = 0;

    if (descriptor < 0)
        fail("socket");
    inet_pton(AF_INET, host, &address.sin_addr);
    prepare(descriptor);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("connect");
    exchange(descriptor, 1);
    exchange(descriptor, 1);
    exchange(descriptor, 2);
    reset_streams(descriptor, SCTP_STREAM_RESET_OUTGOING, 1, one);
    await_notifications(descriptor, 1);
    exchange(descriptor, 1);
    reset_streams(descriptor, SCTP_STREAM_RESET_INCOMING, 1, one);
    await_notifications(descriptor, 1);
    exchange(descriptor, 1);
    reset_streams(descriptor, SCTP_STREAM_RESET_OUTGOING | SCTP_STREAM_RESET_INCOMING, 0, NULL);
    await_notifications(descriptor, 2);
    exchange(descriptor, 2);
    set(descriptor, SCTP_ADD_STREAMS, &add, sizeof(add));
    await_notifications(descriptor, 2);
    exchange(descriptor, 11);
    set(descriptor, SCTP_RESET_ASSOC, &any, sizeof(any));
    await_notifications(descriptor, 1);
    exchange(descriptor, 11);
    printf("end\n");
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 3 && strcmp(arguments[1], "server") == 0)
        serve((uint16_t)strtoul(arguments[2], NULL, 10));
    else if (count == 4 && strcmp(arguments[1], "client") == 0)
        call(arguments[2], (uint16_t)strtoul(arguments[3], NULL, 10));
    else
        return 2;
    return 0;
}
