/*
 * Transfers over usrsctp, as a peer of Braid's: over UDP (RFC 6951), or over raw IP.
 * What it does is in transfer.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <usrsctp.h>

#include "transfer.h"

static ssize_t send_message(struct channel *channel, uint32_t association, const void *bytes,
                            size_t length, uint16_t stream, uint32_t payload_protocol,
                            bool unordered)
{
    struct sctp_sndinfo info = {
        .snd_sid = stream,
        .snd_ppid = htonl(payload_protocol),
        .snd_flags = unordered ? SCTP_UNORDERED : 0,
        .snd_assoc_id = association,
    };

    return usrsctp_sendv(channel->socket, bytes, length, NULL, 0, &info, sizeof info,
                         SCTP_SENDV_SNDINFO, 0);
}

static ssize_t receive_message(struct channel *channel, void *bytes, size_t size,
                               struct received *received)
{
    struct sctp_rcvinfo info;
    struct sockaddr_storage from;
    socklen_t from_length = sizeof from, info_length = sizeof info;
    unsigned int type = 0;
    int flags = 0;
    ssize_t length = usrsctp_recvv(channel->socket, bytes, size, (struct sockaddr *)&from,
                                   &from_length, &info, &info_length, &type, &flags);

    if (length < 0)
        return length;
    received->complete = flags & MSG_EOR;
    received->notification = flags & MSG_NOTIFICATION;
    if (!received->notification && type == SCTP_RECVV_RCVINFO) {
        received->has_information = true;
        received->stream = info.rcv_sid;
        received->payload_protocol = ntohl(info.rcv_ppid);
        received->unordered = info.rcv_flags & SCTP_UNORDERED;
    }
    return length;
}

static void set_option(struct socket *socket, int level, int name, const void *value,
                       socklen_t length, const char *what)
{
    if (usrsctp_setsockopt(socket, level, name, value, length) < 0)
        transfer_fail(what);
}

static void set_timers(struct socket *socket)
{
    struct sctp_rtoinfo rto = {.srto_initial = IMPATIENT_RTO_MIN,
                               .srto_min = IMPATIENT_RTO_MIN,
                               .srto_max = IMPATIENT_RTO_MAX};
    struct sctp_assocparams association = {.sasoc_asocmaxrxt = IMPATIENT_ASSOCIATION_RETRANS};
    struct sctp_paddrparams path = {.spp_hbinterval = IMPATIENT_HEARTBEAT,
                                    .spp_pathmaxrxt = IMPATIENT_PATH_RETRANS,
                                    .spp_flags = SPP_HB_ENABLE};

    set_option(socket, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto, "SCTP_RTOINFO");
    set_option(socket, IPPROTO_SCTP, SCTP_ASSOCINFO, &association, sizeof association,
               "SCTP_ASSOCINFO");
    set_option(socket, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path,
               "SCTP_PEER_ADDR_PARAMS");
}

/* usrsctp has it, but not in its header. */
#ifndef SCTP_INTERLEAVING_SUPPORTED
#define SCTP_INTERLEAVING_SUPPORTED 0x00001206
#endif

static void set_interleaving(struct socket *socket)
{
    struct sctp_assoc_value supported = {.assoc_value = 1};
    struct sctp_assoc_value scheduler = {.assoc_value = SCTP_SS_ROUND_ROBIN};
    int level = 2;

    set_option(socket, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &level, sizeof level,
               "SCTP_FRAGMENT_INTERLEAVE");
    set_option(socket, IPPROTO_SCTP, SCTP_INTERLEAVING_SUPPORTED, &supported, sizeof supported,
               "SCTP_INTERLEAVING_SUPPORTED");
    set_option(socket, IPPROTO_SCTP, SCTP_PLUGGABLE_SS, &scheduler, sizeof scheduler,
               "SCTP_PLUGGABLE_SS");
}

static struct socket *open_socket(const struct transfer_options *options, int family)
{
    static const int on = 1;
    struct sctp_initmsg init = {.sinit_num_ostreams = options->streams ? options->streams : 64,
                                .sinit_max_instreams = 65535};
    struct sctp_udpencaps encapsulation = {.sue_port = htons(options->remote_udp)};
    struct socket *socket = usrsctp_socket(family, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);

    if (!socket)
        transfer_fail("usrsctp_socket");
    encapsulation.sue_address.ss_family = (sa_family_t)family;
    if (options->remote_udp)
        set_option(socket, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &encapsulation,
                   sizeof encapsulation, "SCTP_REMOTE_UDP_ENCAPS_PORT");
    set_option(socket, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init, "SCTP_INITMSG");
    set_option(socket, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on, "SCTP_RECVRCVINFO");
    if (options->impatient)
        set_timers(socket);
    if (options->interleaving)
        set_interleaving(socket);
    if (options->no_delay)
        set_option(socket, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on, "SCTP_NODELAY");
    if (options->send_buffer)
        set_option(socket, SOL_SOCKET, SO_SNDBUF, &options->send_buffer, sizeof(int), "SO_SNDBUF");
    if (options->receive_buffer)
        set_option(socket, SOL_SOCKET, SO_RCVBUF, &options->receive_buffer, sizeof(int),
                   "SO_RCVBUF");
    return socket;
}

static void bind_addresses(struct socket *socket, const struct transfer_options *options,
                           int family, uint16_t port)
{
    struct sockaddr_storage address;

    for (unsigned i = 0; i < options->local_address_count; i++) {
        transfer_address(options->local_addresses[i], port, &address);
        if (usrsctp_bindx(socket, (struct sockaddr *)&address, 1, SCTP_BINDX_ADD_ADDR) < 0)
            transfer_fail("usrsctp_bindx");
    }
    if (options->local_address_count || !port)
        return;

    socklen_t length = transfer_address(family == AF_INET6 ? "::" : "0.0.0.0", port, &address);

    if (usrsctp_bind(socket, (struct sockaddr *)&address, length) < 0)
        transfer_fail("usrsctp_bind");
}

static struct channel open_channel(const struct transfer_options *options, struct socket *socket)
{
    return (struct channel){
        .send = send_message, .receive = receive_message, .socket = socket, .options = options};
}

static bool run_client(const struct transfer_options *options)
{
    struct sockaddr_storage peer;
    socklen_t length = transfer_address(options->host, options->port, &peer);
    struct socket *socket = open_socket(options, peer.ss_family);
    struct channel channel = open_channel(options, socket);
    bool good;

    bind_addresses(socket, options, peer.ss_family, options->local_port);
    if (usrsctp_connect(socket, (struct sockaddr *)&peer, length) < 0)
        transfer_fail("usrsctp_connect");
    good = transfer_client(&channel);
    usrsctp_close(socket);
    return good;
}

static bool run_server(const struct transfer_options *options)
{
    int family = options->ipv6 ? AF_INET6 : AF_INET;
    struct socket *listener = open_socket(options, family);
    bool good = true;

    bind_addresses(listener, options, family, options->port);
    if (usrsctp_listen(listener, 16) < 0)
        transfer_fail("usrsctp_listen");
    printf("ready\n");
    fflush(stdout);
    for (unsigned served = 0; !options->count || served < options->count; served++) {
        struct socket *socket = usrsctp_accept(listener, NULL, NULL);
        struct channel channel = open_channel(options, socket);

        if (!socket)
            transfer_fail("usrsctp_accept");
        good = transfer_serve(&channel) && good;
        usrsctp_close(socket);
    }
    usrsctp_close(listener);
    return good;
}

int main(int count, char **arguments)
{
    struct transfer_options options;
    bool good;

    transfer_read_options(&options, count, arguments);
    usrsctp_init(options.local_udp, NULL, NULL);
    usrsctp_sysctl_set_sctp_blackhole(2);
    good = options.mode <= MODE_SERVER ? run_server(&options) : run_client(&options);
    /* It ends its associations in threads of its own: SHUTDOWN is to be seen through. */
    for (int i = 0; i < 50 && usrsctp_finish() != 0; i++)
        usleep(100000);
    return good ? 0 : 1;
}
