/* Ten thousand associations in one thread: an echo server and its clients, each side one engine
 * over one UDP socket (RFC 6951) in one epoll loop.
 *
 *     crowd server ADDRESS UDP-PORT
 *     crowd client ADDRESS UDP-PORT COUNT
 *
 * Each client sends one message and waits for its echo. When all COUNT are up and have theirs, they
 * end. IPv4 alone, so that addresses do not hide the rest. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <braid/engine.h>

/* At most BUSY clients begin or end at a time: ten thousand packets at once no socket would hold,
 * and what is lost then comes again only after a second (RTO.Initial). */
enum { SCTP_PORT = 7, PACKETS = 32, PACKET_SIZE = 2048, BUSY = 64, SEGMENTS = 32 };

struct host {
    struct braid_engine *engine;
    int udp;
    struct braid_address address, server;
    uint16_t server_port; /* UDP; 0: we are the server */
    unsigned int count, begun, ended, busy, echoes;
    uint32_t told; /* the association that was last told to end; NOBODY: all were */
};

#define NOBODY UINT32_MAX

static void fail(const char *what, int error)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(error));
    exit(1);
}

static int check(int result, const char *what)
{
    if (result < 0)
        fail(what, -result);
    return result;
}

static braid_time now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (braid_time)time.tv_sec * 1000000 + (braid_time)time.tv_nsec / 1000;
}

static void random_bytes(void *context, void *bytes, size_t length)
{
    (void)context;
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        abort();
}

/* ---- Packets ---- */

/* All that has come. The socket is bound to one address, so that is where it came to. */
static void receive_packets(struct host *host)
{
    static uint8_t bytes[PACKETS][PACKET_SIZE];
    struct braid_packet packets[PACKETS];
    struct sockaddr_in from[PACKETS];
    struct mmsghdr messages[PACKETS];
    struct iovec pieces[PACKETS];
    int count;

    do {
        for (int i = 0; i < PACKETS; i++) {
            pieces[i] = (struct iovec){bytes[i], PACKET_SIZE};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                                  .msg_namelen = sizeof(from[i]),
                                                  .msg_iov = &pieces[i],
                                                  .msg_iovlen = 1};
        }
        count = recvmmsg(host->udp, messages, PACKETS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++)
            packets[i] = (struct braid_packet){.bytes = bytes[i],
                                               .length = messages[i].msg_len,
                                               .source = braid_address_ipv4(&from[i].sin_addr),
                                               .destination = host->address,
                                               .encapsulation_port = ntohs(from[i].sin_port)};
        if (count > 0)
            braid_engine_receive(host->engine, packets, (size_t)count, now());
    } while (count == PACKETS);
}

/* All that is due. What the socket does not take is lost, as it might be further on. */
static void send_packets(struct host *host)
{
    static uint8_t bytes[65535];
    struct braid_batch batch = {
        .bytes = bytes, .capacity = sizeof(bytes), .maximum_packets = SEGMENTS};

    while (braid_engine_transmit(host->engine, &batch, now())) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(uint16_t))];
        } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(uint16_t)),
                                .cmsg_level = IPPROTO_UDP,
                                .cmsg_type = UDP_SEGMENT}};
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons(batch.encapsulation_port)};
        struct iovec piece = {bytes, batch.length};
        struct msghdr message = {
            .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &piece, .msg_iovlen = 1};
        uint16_t segment = (uint16_t)batch.segment_size;

        memcpy(&to.sin_addr, batch.destination.bytes, sizeof(to.sin_addr));
        memcpy(CMSG_DATA(&control.header), &segment, sizeof(segment));
        if (batch.count > 1) {
            message.msg_control = &control;
            message.msg_controllen = sizeof(control);
        }
        (void)!sendmsg(host->udp, &message, 0);
    }
}

/* ---- Associations ---- */

static void begin(struct host *host)
{
    static const char greeting[] = "hello";
    const struct braid_endpoint_config config = {.ipv4 = true}; /* a port of its own for each */
    const struct braid_send send = {.stream = 0};
    uint32_t endpoint, association;

    check(braid_endpoint_open(host->engine, &config, &endpoint), "endpoint");
    check(braid_connect(host->engine, endpoint, &host->server, 1, SCTP_PORT, host->server_port,
                        now(), &association),
          "connect");
    /* it leaves with the COOKIE ECHO */
    check(braid_send(host->engine, association, &send, greeting, sizeof(greeting), now()), "send");
}

/* The server gives back what it reads, and reads only while it has room to; the room that it waits
 * for is told by BRAID_EVENT_WRITABLE. */
static void read_messages(struct host *host, uint32_t association)
{
    struct braid_received received;
    uint32_t room;

    while (braid_association_room(host->engine, association, &room) == 0 && room > 0 &&
           braid_receive(host->engine, association, &received, now()) > 0) {
        const struct braid_send send = {.stream = received.stream, .ppid = received.ppid};

        if (host->server_port != 0)
            host->echoes++;
        else
            (void)braid_send(host->engine, association, &send, received.bytes, received.length,
                             now());
        braid_received_release(host->engine, &received, now());
    }
}

static void handle(struct host *host, const struct braid_event *event)
{
    bool client = host->server_port != 0;

    switch (event->type) {
    case BRAID_EVENT_UP:
        if (client)
            host->busy--;
        else
            check(braid_association_claim(host->engine, event->association), "claim");
        break;
    case BRAID_EVENT_READABLE:
    case BRAID_EVENT_WRITABLE:
        read_messages(host, event->association);
        break;
    case BRAID_EVENT_DOWN:
        if (client && event->reason != BRAID_DOWN_SHUTDOWN)
            fail("association", ECONNABORTED);
        braid_association_release(host->engine, event->association, now());
        if (client) {
            braid_endpoint_close(host->engine, event->endpoint, now());
            host->busy--;
            host->ended++;
        }
        break;
    default:
        break;
    }
}

/* What clients do next: some more begin, or, when all have their echo, some more end. False: all
 * have ended. */
static bool go_on(struct host *host)
{
    for (; host->begun < host->count && host->busy < BUSY; host->begun++, host->busy++)
        begin(host);
    if (host->echoes == host->count && host->told == 0)
        printf("%u associations are up, each with its echo\n", host->count);
    while (host->echoes == host->count && host->told != NOBODY && host->busy < BUSY) {
        uint32_t next = braid_association_next(host->engine, 0, host->told);

        host->told = next != 0 ? next : NOBODY;
        if (next != 0) {
            check(braid_shutdown(host->engine, next, now()), "shutdown");
            host->busy++;
        }
    }
    return host->ended < host->count;
}

static void run(struct host *host)
{
    int epoll = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN};
    struct braid_event event;

    epoll_ctl(epoll, EPOLL_CTL_ADD, host->udp, &wanted);
    while (host->server_port == 0 || go_on(host)) {
        braid_time next;
        int timeout = -1; /* milliseconds, rounded up */

        send_packets(host);
        next = braid_engine_next_timeout(host->engine);
        if (next != BRAID_TIME_NEVER)
            timeout = next > now() ? (int)((next - now() + 999) / 1000) : 0;
        if (epoll_wait(epoll, &wanted, 1, timeout) > 0)
            receive_packets(host);
        braid_engine_timeout(host->engine, now());
        while (braid_engine_next_event(host->engine, &event))
            handle(host, &event);
    }
    send_packets(host); /* the last SHUTDOWN COMPLETE */
    close(epoll);
}

/* ---- The program ---- */

int main(int argc, char **argv)
{
    bool client = argc == 5 && strcmp(argv[1], "client") == 0;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    struct host host = {.udp = socket(AF_INET, SOCK_DGRAM, 0)};
    struct braid_engine_config config = {.random = random_bytes};
    uint32_t endpoint;
    int buffer = 4 << 20; /* as much of it as the host allows */

    if ((!client && (argc != 4 || strcmp(argv[1], "server") != 0)) ||
        inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) {
        fprintf(
            stderr,
            "usage: crowd server ADDRESS UDP-PORT\n       crowd client ADDRESS UDP-PORT COUNT\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(argv[3]));
    setsockopt(host.udp, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    if (client) {
        /* from the address that the host would use; the socket itself stays unconnected */
        int probe = socket(AF_INET, SOCK_DGRAM, 0);

        host.server = braid_address_ipv4(&address.sin_addr);
        host.server_port = ntohs(address.sin_port);
        host.count = (unsigned int)atoi(argv[4]);
        if (connect(probe, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            getsockname(probe, (struct sockaddr *)&address, &length) < 0)
            fail("connect", errno);
        close(probe);
        address.sin_port = 0;
    }
    if (bind(host.udp, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        getsockname(host.udp, (struct sockaddr *)&address, &length) < 0)
        fail("bind", errno);
    host.address = braid_address_ipv4(&address.sin_addr);
    config.encapsulation_port = ntohs(address.sin_port);
    host.engine = braid_engine_new(&config, now());
    if (!host.engine)
        fail("engine", ENOMEM);
    check(braid_engine_set_addresses(host.engine, &host.address, 1, now()), "addresses");
    if (!client) {
        const struct braid_endpoint_config listener = {.port = SCTP_PORT, .ipv4 = true};

        check(braid_endpoint_open(host.engine, &listener, &endpoint), "endpoint");
        check(braid_endpoint_listen(host.engine, endpoint, 1024), "listen");
        printf("waiting on UDP port %u\n", config.encapsulation_port);
        fflush(stdout);
    }
    run(&host);
    printf("%u associations have ended\n", host.ended);
    braid_engine_free(host.engine);
    close(host.udp);
    return 0;
}
