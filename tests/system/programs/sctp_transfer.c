/*
 * Transfers over Linux's SCTP sockets (RFC 6458): an ordinary program, for a Linux kernel or for
 * Braid. What it does is in transfer.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transfer.h"

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct sctp_sndinfo)) + CMSG_SPACE(sizeof(struct sctp_rcvinfo))];
};

static ssize_t send_message(struct channel *channel, uint32_t association, const void *bytes,
                            size_t length, uint16_t stream, uint32_t payload_protocol,
                            bool unordered)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    union control control = {0};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    struct sctp_sndinfo info = {
        .snd_sid = stream,
        .snd_ppid = htonl(payload_protocol),
        .snd_flags = unordered ? SCTP_UNORDERED : 0,
        .snd_assoc_id = (sctp_assoc_t)association,
    };

    if (channel->options->plain)
        return send(channel->descriptor, bytes, length, 0);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof info);
    control.header.cmsg_level = IPPROTO_SCTP;
    control.header.cmsg_type = SCTP_SNDINFO;
    control.header.cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(&control.header), &info, sizeof info);
    if (association == 0 && channel->peer_length) {
        message.msg_name = &channel->peer;
        message.msg_namelen = channel->peer_length;
    }
    return sendmsg(channel->descriptor, &message, 0);
}

static void read_notification(const void *bytes, struct received *received)
{
    const union sctp_notification *notification = bytes;
    const struct sctp_assoc_change *change = &notification->sn_assoc_change;

    if (notification->sn_header.sn_type != SCTP_ASSOC_CHANGE)
        return;
    received->association = (uint32_t)change->sac_assoc_id;
    received->ended = change->sac_state == SCTP_COMM_LOST ||
                      change->sac_state == SCTP_SHUTDOWN_COMP ||
                      change->sac_state == SCTP_CANT_STR_ASSOC;
}

static ssize_t receive_message(struct channel *channel, void *bytes, size_t size,
                               struct received *received)
{
    struct iovec vector = {.iov_base = bytes, .iov_len = size};
    union control control;
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control,
    };
    ssize_t length;

    if (channel->options->plain) {
        length = recv(channel->descriptor, bytes, size, 0);
        received->complete = length >= 0 && (size_t)length < size;
        return length;
    }
    length = recvmsg(channel->descriptor, &message, 0);
    if (length < 0)
        return length;
    received->complete = message.msg_flags & MSG_EOR;
    received->notification = message.msg_flags & MSG_NOTIFICATION;
    if (received->notification) {
        read_notification(bytes, received);
        return length;
    }
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        struct sctp_rcvinfo info;

        if (at->cmsg_level != IPPROTO_SCTP || at->cmsg_type != SCTP_RCVINFO)
            continue;
        memcpy(&info, CMSG_DATA(at), sizeof info);
        received->has_information = true;
        received->stream = info.rcv_sid;
        received->payload_protocol = ntohl(info.rcv_ppid);
        received->unordered = info.rcv_flags & SCTP_UNORDERED;
        if (channel->options->one_to_many)
            received->association = (uint32_t)info.rcv_assoc_id;
    }
    return length;
}

static void set_option(int descriptor, int level, int name, const void *value, socklen_t length,
                       const char *what)
{
    if (setsockopt(descriptor, level, name, value, length) < 0)
        transfer_fail(what);
}

static void set_timers(int descriptor)
{
    struct sctp_rtoinfo rto = {.srto_initial = IMPATIENT_RTO_MIN,
                               .srto_min = IMPATIENT_RTO_MIN,
                               .srto_max = IMPATIENT_RTO_MAX};
    struct sctp_assocparams association = {.sasoc_asocmaxrxt = IMPATIENT_ASSOCIATION_RETRANS};
    struct sctp_paddrparams path = {.spp_hbinterval = IMPATIENT_HEARTBEAT,
                                    .spp_pathmaxrxt = IMPATIENT_PATH_RETRANS,
                                    .spp_flags = SPP_HB_ENABLE};

    set_option(descriptor, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto, "SCTP_RTOINFO");
    set_option(descriptor, IPPROTO_SCTP, SCTP_ASSOCINFO, &association, sizeof association,
               "SCTP_ASSOCINFO");
    set_option(descriptor, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path,
               "SCTP_PEER_ADDR_PARAMS");
}

static void set_interleaving(int descriptor)
{
    struct sctp_assoc_value supported = {.assoc_value = 1};
    struct sctp_assoc_value scheduler = {.assoc_value = SCTP_SS_RR};
    int level = 2;

    set_option(descriptor, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &level, sizeof level,
               "SCTP_FRAGMENT_INTERLEAVE");
    set_option(descriptor, IPPROTO_SCTP, SCTP_INTERLEAVING_SUPPORTED, &supported, sizeof supported,
               "SCTP_INTERLEAVING_SUPPORTED");
    set_option(descriptor, IPPROTO_SCTP, SCTP_STREAM_SCHEDULER, &scheduler, sizeof scheduler,
               "SCTP_STREAM_SCHEDULER");
}

/* ---- -y: the primary flaps ---- */

static const struct transfer_options *flap_options;

static void *flap(void *argument)
{
    int descriptor = *(int *)argument;

    for (unsigned turn = 0;; turn++) {
        struct {
            struct sctp_getaddrs header;
            uint8_t bytes[16 * sizeof(struct sockaddr_in6)];
        } peers = {.header.addr_num = 0};
        socklen_t length = sizeof peers;
        struct sctp_prim primary = {0};
        const uint8_t *at = (const uint8_t *)peers.header.addrs;
        sa_family_t family;

        usleep(flap_options->flap * 1000);
        if (getsockopt(descriptor, IPPROTO_SCTP, SCTP_GET_PEER_ADDRS, &peers, &length) < 0)
            return NULL; /* it has ended */
        for (unsigned i = 0; i < turn % peers.header.addr_num; i++) {
            memcpy(&family, at, sizeof family);
            at += family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        }
        memcpy(&family, at, sizeof family);
        memcpy(&primary.ssp_addr, at,
               family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        if (setsockopt(descriptor, IPPROTO_SCTP, SCTP_PRIMARY_ADDR, &primary, sizeof primary) < 0)
            return NULL;
    }
}

static void set_options(int descriptor, const struct transfer_options *options)
{
    static const int on = 1;
    static const struct sctp_assoc_value supported = {.assoc_value = 1};
    struct sctp_initmsg init = {.sinit_num_ostreams = options->streams ? options->streams : 64,
                                .sinit_max_instreams = 65535};
    struct sctp_event event = {.se_type = SCTP_ASSOC_CHANGE, .se_on = 1};

    if (options->send_buffer)
        set_option(descriptor, SOL_SOCKET, SO_SNDBUF, &options->send_buffer, sizeof(int),
                   "SO_SNDBUF");
    if (options->receive_buffer)
        set_option(descriptor, SOL_SOCKET, SO_RCVBUF, &options->receive_buffer, sizeof(int),
                   "SO_RCVBUF");
    if (options->dynamic_addresses) {
        set_option(descriptor, IPPROTO_SCTP, SCTP_AUTH_SUPPORTED, &supported, sizeof supported,
                   "SCTP_AUTH_SUPPORTED");
        set_option(descriptor, IPPROTO_SCTP, SCTP_ASCONF_SUPPORTED, &supported, sizeof supported,
                   "SCTP_ASCONF_SUPPORTED");
    }
    if (options->plain)
        return;
    set_option(descriptor, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init, "SCTP_INITMSG");
    set_option(descriptor, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on, "SCTP_RECVRCVINFO");
    if (options->impatient)
        set_timers(descriptor);
    if (options->interleaving)
        set_interleaving(descriptor);
    if (options->no_delay)
        set_option(descriptor, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on, "SCTP_NODELAY");
    if (options->one_to_many)
        set_option(descriptor, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event, "SCTP_EVENT");
}

static void bind_addresses(int descriptor, const struct transfer_options *options, uint16_t port)
{
    static const int on = 1;
    struct sockaddr_storage address;
    socklen_t length;

    for (unsigned i = 0; i < options->local_address_count; i++) {
        length = transfer_address(options->local_addresses[i], port, &address);
        if (i == 0 && bind(descriptor, (struct sockaddr *)&address, length) < 0)
            transfer_fail("bind");
        if (i > 0)
            set_option(descriptor, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, &address, length,
                       "SCTP_SOCKOPT_BINDX_ADD");
    }
    if (options->local_address_count || (!port && !options->dynamic_addresses))
        return;
    length = transfer_address(options->ipv6 ? "::" : "0.0.0.0", port, &address);
    if (bind(descriptor, (struct sockaddr *)&address, length) < 0)
        transfer_fail("bind");
    if (options->dynamic_addresses)
        set_option(descriptor, IPPROTO_SCTP, SCTP_AUTO_ASCONF, &on, sizeof on, "SCTP_AUTO_ASCONF");
}

static int open_socket(const struct transfer_options *options, int family)
{
    int descriptor =
        socket(family, options->one_to_many ? SOCK_SEQPACKET : SOCK_STREAM, IPPROTO_SCTP);

    if (descriptor < 0)
        transfer_fail("socket");
    set_options(descriptor, options);
    return descriptor;
}

static struct channel open_channel(const struct transfer_options *options, int descriptor)
{
    return (struct channel){.send = send_message,
                            .receive = receive_message,
                            .descriptor = descriptor,
                            .options = options};
}

static bool run_client(const struct transfer_options *options)
{
    struct sockaddr_storage peer;
    socklen_t length = transfer_address(options->host, options->port, &peer);
    int descriptor = open_socket(options, peer.ss_family);
    struct channel channel = open_channel(options, descriptor);
    bool good;

    bind_addresses(descriptor, options, options->local_port);
    if (options->one_to_many) {
        channel.peer = peer;
        channel.peer_length = length;
    } else if (connect(descriptor, (struct sockaddr *)&peer, length) < 0) {
        transfer_fail("connect");
    }
    if (options->flap) {
        pthread_t thread;

        flap_options = options;
        if (pthread_create(&thread, NULL, flap, &descriptor) != 0 || pthread_detach(thread) != 0)
            transfer_fail("pthread_create");
    }
    good = transfer_client(&channel);
    if (close(descriptor) < 0)
        transfer_fail("close");
    return good;
}

static bool serve_one(const struct transfer_options *options, int descriptor)
{
    struct channel channel = open_channel(options, descriptor);
    bool good = transfer_serve(&channel);

    close(descriptor);
    return good;
}

static void serve_in_child(const struct transfer_options *options, int listener, int descriptor)
{
    pid_t child = fork();

    if (child < 0)
        transfer_fail("fork");
    if (child == 0) {
        close(listener);
        exit(serve_one(options, descriptor) ? 0 : 1);
    }
    close(descriptor);
}

static bool wait_for_children(void)
{
    bool good = true;
    int status;

    while (wait(&status) > 0)
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return good;
}

static bool run_server(const struct transfer_options *options)
{
    int listener = open_socket(options, options->ipv6 ? AF_INET6 : AF_INET);
    bool good = true;

    bind_addresses(listener, options, options->port);
    if (listen(listener, 16) < 0)
        transfer_fail("listen");
    printf("ready\n");
    fflush(stdout);
    if (options->one_to_many)
        return serve_one(options, listener);
    for (unsigned served = 0; !options->count || served < options->count; served++) {
        int descriptor = accept(listener, NULL, NULL);

        if (descriptor < 0)
            transfer_fail("accept");
        if (options->fork)
            serve_in_child(options, listener, descriptor);
        else
            good = serve_one(options, descriptor) && good;
    }
    close(listener);
    return wait_for_children() && good;
}

int main(int count, char **arguments)
{
    struct transfer_options options;

    signal(SIGPIPE, SIG_IGN);
    transfer_read_options(&options, count, arguments);
    return (options.mode <= MODE_SERVER ? run_server(&options) : run_client(&options)) ? 0 : 1;
}
