/*
 * Programs and a stack that are stopped at any moment, and go on: nobody waits for ever, and
 * nothing is lost, doubled or out of order (RFC 6458, 3.1.4). It is mostly for the ring of busy
 * sockets (src/channel/ring.h): who sleeps must be woken.
 *
 * stress [SECONDS [SEED]]: rounds of random shape, each with two processes that send to each other
 * over one association, by threads and further processes, with messages of all sizes, and wait in
 * all ways there are.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SENDERS = 3, /* of a side, at the most */
    WARM = 2000, /* messages */
    SMALL = 512,
    LARGE = 100000, /* more than a datagram of the channel */
    PATIENCE = 60,  /* seconds for a round */
    FILL = 251,
};

#define SMALL_SHARE 90 /* % of messages */

struct message {
    uint32_t sender, number, length, last;
};

/* One side of a round. */
static struct side {
    int socket;
    uint32_t senders;
    bool processes;     /* its senders are, not threads */
    uint32_t count;     /* messages of each */
    size_t maximum;     /* bytes of one */
    size_t buffer;      /* of the reader */
    uint32_t pause;     /* one of so many messages is followed by one */
    bool waits_to_read; /* with poll() and so on */
} side;

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, strerror(errno));          \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* ---- Waiting ---- */

static void wait_by_epoll(int descriptor, bool writable)
{
    struct epoll_event event = {.events = writable ? EPOLLOUT : EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC), ready;

    REQUIRE(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0);
    do
        ready = epoll_wait(epoll, &event, 1, -1);
    while (ready < 0 && errno == EINTR); /* who was stopped waits no longer */
    REQUIRE(ready == 1);
    close(epoll);
}

static void wait_by_select(int descriptor, bool writable)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(descriptor, &set);
    REQUIRE(select(descriptor + 1, writable ? NULL : &set, writable ? &set : NULL, NULL, NULL) ==
            1);
}

static void wait_until(int descriptor, bool writable, unsigned int *seed)
{
    struct pollfd entry = {.fd = descriptor, .events = writable ? POLLOUT : POLLIN};

    switch (rand_r(seed) % 3) {
    case 0:
        wait_by_epoll(descriptor, writable);
        break;
    case 1:
        wait_by_select(descriptor, writable);
        break;
    default:
        REQUIRE(poll(&entry, 1, -1) == 1);
    }
}

static void pause_now_and_then(unsigned int *seed)
{
    if ((uint32_t)rand_r(seed) % side.pause != 0)
        return;
    if (rand_r(seed) % 2)
        sched_yield();
    else
        usleep((useconds_t)rand_r(seed) % 3000);
}

/* ---- Sending ---- */

/* The first are small, so that the socket gets a ring. */
static size_t random_length(uint32_t number, unsigned int *seed)
{
    int share = number < WARM ? 0 : rand_r(seed) % 100;
    size_t maximum = share < SMALL_SHARE ? SMALL : share < 99 ? 3000 : side.maximum;

    return sizeof(struct message) + (size_t)rand_r(seed) % (maximum - sizeof(struct message));
}

static void send_whole(int descriptor, const uint8_t *bytes, size_t length, unsigned int *seed)
{
    bool waits = rand_r(seed) % 2;
    ssize_t sent;

    while ((sent = send(descriptor, bytes, length, waits ? MSG_DONTWAIT : 0)) < 0) {
        REQUIRE(waits && errno == EAGAIN);
        wait_until(descriptor, true, seed);
    }
    REQUIRE(sent == (ssize_t)length);
}

static void send_all(uint32_t sender)
{
    unsigned int seed = side.count + sender;
    /* some send by a copy of their own */
    int descriptor = rand_r(&seed) % 2 ? dup(side.socket) : side.socket;
    uint8_t *bytes = malloc(LARGE);

    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i % FILL);
    for (uint32_t i = 0; i < side.count; i++) {
        struct message message = {sender, i, (uint32_t)random_length(i, &seed),
                                  i + 1 == side.count};

        memcpy(bytes, &message, sizeof(message));
        send_whole(descriptor, bytes, message.length, &seed);
        if (i >= WARM)
            pause_now_and_then(&seed);
        if (descriptor != side.socket && rand_r(&seed) % 500 == 0) {
            close(descriptor);
            descriptor = dup(side.socket);
        }
    }
    if (descriptor != side.socket)
        close(descriptor);
    free(bytes);
}

static void *send_in_thread(void *argument)
{
    send_all(*(const uint32_t *)argument);
    return NULL;
}

/* ---- Receiving ---- */

/* A message, in as many parts as the buffer makes of it. */
static size_t receive_whole(uint8_t *bytes, unsigned int *seed)
{
    size_t length = 0;

    for (;;) {
        struct iovec part = {bytes + length,
                             side.buffer < LARGE - length ? side.buffer : LARGE - length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        bool waits = side.waits_to_read && rand_r(seed) % 2;
        ssize_t received;

        if (waits)
            wait_until(side.socket, false, seed);
        received = recvmsg(side.socket, &message, waits ? MSG_DONTWAIT : 0);
        if (received < 0 && waits && errno == EAGAIN)
            continue;
        REQUIRE(received > 0);
        length += (size_t)received;
        if (message.msg_flags & MSG_EOR)
            return length;
        REQUIRE(length < LARGE);
    }
}

static void receive_all(uint32_t senders)
{
    uint8_t *bytes = malloc(LARGE);
    unsigned int seed = senders;
    uint32_t next[SENDERS] = {0}, ended = 0;

    while (ended < senders) {
        struct message message;
        size_t length = receive_whole(bytes, &seed);

        memcpy(&message, bytes, sizeof(message));
        REQUIRE(length == message.length && message.sender < senders);
        REQUIRE(message.number == next[message.sender]++);
        for (size_t i = sizeof(message); i < length; i++)
            REQUIRE(bytes[i] == i % FILL);
        ended += message.last;
        pause_now_and_then(&seed);
    }
    free(bytes);
}

/* ---- A side, a round ---- */

static void run_side(uint32_t peer_senders)
{
    uint32_t names[SENDERS];
    pthread_t threads[SENDERS];
    pid_t children[SENDERS];

    for (uint32_t i = 0; i < side.senders; i++) {
        names[i] = i;
        if (!side.processes) {
            REQUIRE(pthread_create(&threads[i], NULL, send_in_thread, &names[i]) == 0);
            continue;
        }
        children[i] = fork();
        REQUIRE(children[i] >= 0);
        if (children[i] == 0) {
            send_all(i);
            _exit(0);
        }
    }
    receive_all(peer_senders);
    for (uint32_t i = 0; i < side.senders; i++) {
        int status = 0;

        if (side.processes)
            REQUIRE(waitpid(children[i], &status, 0) == children[i] && status == 0);
        else
            REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    _exit(0);
}

/* A chunk that is larger than the receiver's window goes only now and then. */
static const int *random_buffer(bool large)
{
    static const int buffers[] = {30000, 60000, 100000, 300000, 1 << 20};

    return large ? &buffers[3 + rand() % 2] : &buffers[rand() % 5];
}

static void make_pair(int pair[2], bool large)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), one = 1;
    struct sctp_sack_info at_once = {.sack_freq = 1};

    pair[0] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, random_buffer(large), sizeof(int));
    setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, random_buffer(large), sizeof(int));
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, random_buffer(large), sizeof(int));
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, random_buffer(large), sizeof(int));
    /* else a small send buffer waits for SACKs that wait */
    setsockopt(pair[0], IPPROTO_SCTP, SCTP_DELAYED_SACK, &at_once, sizeof(at_once));
    setsockopt(listener, IPPROTO_SCTP, SCTP_DELAYED_SACK, &at_once, sizeof(at_once));
    if (rand() % 2)
        setsockopt(pair[0], IPPROTO_SCTP, SCTP_NODELAY, &one, sizeof(one));
    REQUIRE(bind(listener, (struct sockaddr *)&address, length) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    REQUIRE(listen(listener, 1) == 0);
    REQUIRE(connect(pair[0], (struct sockaddr *)&address, length) == 0);
    pair[1] = accept(listener, NULL, NULL);
    REQUIRE(pair[1] >= 0);
    close(listener);
}

/* The stack process; 0: there is none of Braid's. */
static pid_t find_stack(void)
{
    const char *name = getenv("BRAID_STACK");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t length = sizeof(peer);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET, 0), used;

    used =
        snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "braid/%s", name ? name : "");
    if (name &&
        connect(descriptor, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)used) == 0)
        getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    close(descriptor);
    return peer.pid;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* True once both have ended well. */
static bool watch(const pid_t sides[2], bool stops, double end)
{
    const pid_t stack = find_stack();
    bool done[2] = {false, false};

    while (!done[0] || !done[1]) {
        pid_t victims[] = {sides[0], sides[1], stack};
        pid_t victim = victims[rand() % 3];
        int status;

        usleep((useconds_t)rand() % 4000);
        for (int i = 0; i < 2; i++)
            if (!done[i] && waitpid(sides[i], &status, WNOHANG) == sides[i]) {
                done[i] = true;
                if (status != 0)
                    return false;
            }
        if (now() > end)
            return false;
        if (!stops || victim == 0 || (victim == sides[0] && done[0]) ||
            (victim == sides[1] && done[1]))
            continue;
        kill(victim, SIGSTOP);
        usleep((useconds_t)rand() % 4000);
        kill(victim, SIGCONT);
    }
    return true;
}

static bool run_round(unsigned int seed)
{
    uint32_t senders[2], counts;
    bool processes[2], stops, large;
    pid_t sides[2];
    int pair[2];

    srand(seed);
    large = rand() % 2;
    make_pair(pair, large);
    stops = rand() % 4 != 0;
    counts = WARM + (uint32_t)rand() % 6000;
    for (int i = 0; i < 2; i++) {
        senders[i] = 1 + (uint32_t)rand() % SENDERS;
        processes[i] = rand() % 3 == 0;
    }
    for (int i = 0; i < 2; i++) {
        struct side own = {
            .socket = pair[i],
            .senders = senders[i],
            .processes = processes[i],
            .count = counts / (rand() % 3 ? 1 : 20) + 1,
            .maximum = large ? LARGE : 10000,
            .buffer = rand() % 2 ? LARGE : 100 + (size_t)rand() % 8000,
            .pause = rand() % 2 ? 1000 : 20 + (uint32_t)rand() % 300,
            .waits_to_read = rand() % 2,
        };

        sides[i] = fork();
        REQUIRE(sides[i] >= 0);
        if (sides[i] == 0) {
            close(pair[1 - i]);
            side = own;
            run_side(senders[1 - i]);
        }
    }
    close(pair[0]);
    close(pair[1]);
    if (watch(sides, stops, now() + PATIENCE))
        return true;
    fprintf(stderr, "seed %u: processes %d and %d\n", seed, (int)sides[0], (int)sides[1]);
    kill(sides[0], SIGKILL);
    kill(sides[1], SIGKILL);
    return false;
}

int main(int argc, char **argv)
{
    double end = now() + (argc > 1 ? atof(argv[1]) : 5);
    unsigned int seed = argc > 2 ? (unsigned int)atoi(argv[2]) : (unsigned int)getpid();
    unsigned int rounds = 0;

    do {
        if (!run_round(seed + rounds))
            return 1;
        rounds++;
    } while (now() < end);
    printf("%u rounds, from seed %u\n[  PASSED  ]\n", rounds, seed);
    return 0;
}
