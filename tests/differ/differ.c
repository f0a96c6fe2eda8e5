/*
 * Random sequences of calls on a handful of SCTP sockets (RFC 6458): each call, and everything that
 * can be seen of its answer, is a line. The same program runs on Linux and under Braid, and the
 * lines are compared.
 *
 *   differ [--jobs N] [--skip STEP,STEP...] SEED [LAST]
 *
 * Between the steps it waits until nothing changes, so that no answer depends on time. A step draws
 * from the seed and its own number: what is left when others are skipped does the same as before.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "differ.h"

#define STEPS_MAXIMUM 64
#define SEEDS_MAXIMUM 500

static bool skipped[STEPS_MAXIMUM];

/* ---- Waiting until it is quiet ---- */

static uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x9e3779b97f4a7c15u + (sum >> 29);
}

static uint64_t status_of(int fd, sctp_assoc_t id)
{
    struct sctp_status status = {.sstat_assoc_id = id};
    socklen_t length = sizeof(status);
    if (getsockopt(fd, SOL_SCTP, SCTP_STATUS, &status, &length) != 0)
        return (uint64_t)errno;
    return mix((uint64_t)status.sstat_state + 1000,
               (uint64_t)status.sstat_unackdata << 16 | status.sstat_penddata);
}

static uint64_t picture(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < SLOTS; i++) {
        int fd = slots[i].fd, pending = 0;
        if (fd < 0)
            continue;
        struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
        poll(&p, 1, 0);
        sum = mix(sum, (uint64_t)p.revents);
        ioctl(fd, FIONREAD, &pending);
        sum = mix(sum, (uint64_t)pending);
        if (!slots[i].many) {
            sum = mix(sum, status_of(fd, 0));
            continue;
        }
        struct {
            uint32_t number;
            sctp_assoc_t ids[16];
        } list = {0};
        socklen_t length = sizeof(list);
        if (getsockopt(fd, SOL_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length) == 0)
            for (uint32_t k = 0; k < list.number && k < 16; k++)
                sum = mix(sum, status_of(fd, list.ids[k]));
    }
    return sum;
}

static void settle(void)
{
    uint64_t last = picture();
    for (int turn = 0, same = 0; turn < 40 && same < 3; turn++) {
        usleep(3000);
        uint64_t now = picture();
        same = now == last ? same + 1 : 0;
        last = now;
    }
}

/* ---- Calls that would wait for ever ---- */

static volatile sig_atomic_t pipe_signals;

static void on_signal(int number)
{
    if (number == SIGPIPE)
        pipe_signals++;
}

static void guard(bool on)
{
    struct timeval time = {.tv_usec = on ? 150000 : 0};
    struct itimerval timer = {time, time};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- The beginning: sockets with something between them, so that there is something to do ---- */

static void begin_connect(struct slot *from, const struct slot *to)
{
    struct sockaddr_storage address;
    socklen_t length = from->ipv6 && !to->ipv6 ? 0 : sizeof(struct sockaddr_in);
    memset(&address, 0, sizeof(address));
    if (to->ipv6 && from->ipv6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(to->port),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        memcpy(&address, &in6, sizeof(in6));
        length = sizeof(in6);
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons(to->port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        memcpy(&address, &in, sizeof(in));
        length = sizeof(in);
    }
    say(" connect=");
    say_result(connect(from->fd, (struct sockaddr *)&address, length));
}

static struct slot *begin_listener(bool many, bool ipv6, uint16_t port)
{
    struct slot *slot = make_socket(many, ipv6);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool any = chance(50);
    if (!any) {
        in6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    say(" %s%s%s bind=", many ? "many" : "one", ipv6 ? "6" : "", any ? " any" : "");
    say_result(ipv6 ? bind(slot->fd, (struct sockaddr *)&in6, sizeof(in6))
                    : bind(slot->fd, (struct sockaddr *)&in, sizeof(in)));
    if (chance(60))
        subscribe(slot, chance(60) ? 0xffffffff : draw(1u << 14));
    say(" listen=");
    say_result(listen(slot->fd, 5));
    slot->listening = true;
    slot->port = port;
    return slot;
}

static void begin(void)
{
    bool ipv6 = chance(30), many = chance(50), many_client = chance(50);
    unsigned clients = draw(4);
    if (chance(10))
        return;
    struct slot *listener = begin_listener(many, ipv6, base_port);
    for (unsigned i = 0; i < clients; i++) {
        struct slot *client = make_socket(many_client, ipv6);
        say(" %s", many_client ? "many" : "one");
        if (chance(60))
            subscribe(client, chance(60) ? 0xffffffff : draw(1u << 14));
        begin_connect(client, listener);
        if (!many && chance(80)) {
            int fd = accept(listener->fd, NULL, NULL);
            say(" accept=");
            say_result(fd < 0 ? -1 : 0);
            struct slot *accepted = slot_add(fd, listener);
            if (accepted)
                accepted->listening = false;
        }
    }
}

/* ---- The steps ---- */

static const struct {
    const char *name;
    unsigned weight;
    step_function *function;
} steps[] = {
    {"socket", 4, step_socket},     {"bind", 4, step_bind},
    {"bindx", 4, step_bindx},       {"listen", 3, step_listen},
    {"connect", 5, step_connect},   {"connectx", 3, step_connectx},
    {"accept", 4, step_accept},     {"peeloff", 4, step_peeloff},
    {"shutdown", 4, step_shutdown}, {"close", 3, step_close},
    {"dup", 1, step_dup},           {"fork", 1, step_fork},
    {"names", 3, step_names},       {"addresses", 4, step_addresses},
    {"poll", 6, step_poll},         {"blocking", 1, step_blocking},
    {"linger", 2, step_linger},     {"pending", 3, step_pending},
    {"send", 24, step_send},        {"recv", 24, step_recv},
    {"recvmmsg", 2, step_recvmmsg}, {"get", 10, step_get},
    {"set", 10, step_set},          {"subscribe", 3, step_subscribe},
};

static void step(uint64_t seed, unsigned number)
{
    unsigned total = 0, chosen = 0;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        total += steps[i].weight;
    draw_begin(seed, number);
    for (unsigned at = draw(total); at >= steps[chosen].weight; chosen++)
        at -= steps[chosen].weight;
    line_begin(steps[chosen].name, number);
    pipe_signals = 0;
    guard(true);
    steps[chosen].function();
    guard(false);
    if (pipe_signals)
        say(" SIGPIPE");
    line_end();
    settle();
}

/* All that is still to be read; a socket that has nothing is not told of. */
static void drain(unsigned number)
{
    static unsigned char bytes[200000];
    for (int i = 0; i < SLOTS; i++) {
        for (int turn = 0; slots[i].fd >= 0 && turn < 30; turn++) {
            long first = recv(slots[i].fd, bytes, 1, MSG_PEEK | MSG_DONTWAIT);
            if (first < 0 && (errno == EAGAIN || errno == ENOTCONN))
                break;
            if (first == 0 && slots[i].shut)
                break;
            line_begin("rest", number);
            say(" %d", i);
            if (first < 0) {
                say(" = ");
                say_result(-1);
            } else {
                receive_and_say(&slots[i], bytes, sizeof(bytes), 512, MSG_DONTWAIT);
            }
            line_end();
            if (first <= 0)
                break;
        }
    }
}

static void play(uint64_t seed)
{
    base_port = (uint16_t)(10000 + seed % 2000 * 10);
    for (int i = 0; i < SLOTS; i++)
        slots[i].fd = -1;
    draw_begin(seed, 1000);
    unsigned count = 12 + draw(STEPS_MAXIMUM - 12);
    line_begin("begin", 0);
    begin();
    line_end();
    settle();
    for (unsigned i = 1; i < count; i++)
        if (!skipped[i])
            step(seed, i);
    if (!skipped[0])
        drain(STEPS_MAXIMUM);
    for (int i = 0; i < SLOTS && !skipped[0]; i++) {
        if (slots[i].fd < 0)
            continue;
        slot_close(&slots[i]);
        settle();
        drain(STEPS_MAXIMUM + 1 + (unsigned)i);
    }
}

static FILE *start(uint64_t seed)
{
    FILE *file = tmpfile();
    if (!file) {
        perror("differ: tmpfile");
        exit(2);
    }
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("differ: fork");
        exit(2);
    }
    if (child == 0) {
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGALRM, &action, NULL);
        sigaction(SIGPIPE, &action, NULL);
        dup2(fileno(file), STDOUT_FILENO);
        printf("seed %llu\n", (unsigned long long)seed);
        play(seed);
        exit(0);
    }
    return file;
}

static void show(FILE *file)
{
    char line[4096];
    rewind(file);
    while (fgets(line, sizeof(line), file))
        fputs(line, stdout);
    fflush(stdout);
    fclose(file);
}

static void skips(char *list)
{
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ","))
        if (strtoul(word, NULL, 10) < STEPS_MAXIMUM)
            skipped[strtoul(word, NULL, 10)] = true;
}

int main(int count, char **arguments)
{
    unsigned jobs = 1;
    int at = 1;
    for (; at + 1 < count && arguments[at][0] == '-'; at += 2) {
        if (strcmp(arguments[at], "--jobs") == 0)
            jobs = (unsigned)strtoul(arguments[at + 1], NULL, 10);
        else if (strcmp(arguments[at], "--skip") == 0)
            skips(arguments[at + 1]);
        else
            break;
    }
    if (at >= count || count > at + 2 || arguments[at][0] == '-' || jobs < 1 || jobs > 16) {
        fprintf(stderr, "differ [--jobs N] [--skip STEP,STEP...] SEED [LAST]\n");
        return 2;
    }
    uint64_t first = strtoull(arguments[at], NULL, 10);
    uint64_t last = at + 1 < count ? strtoull(arguments[at + 1], NULL, 10) : first;
    if (last < first || last - first >= SEEDS_MAXIMUM) {
        fprintf(stderr, "differ: at most %d seeds at once\n", SEEDS_MAXIMUM);
        return 2;
    }
    static FILE *files[SEEDS_MAXIMUM];
    for (uint64_t i = 0; i <= last - first; i++) {
        if (i >= jobs)
            wait(NULL);
        files[i] = start(first + i);
    }
    while (wait(NULL) > 0)
        ;
    for (uint64_t i = 0; i <= last - first; i++)
        show(files[i]);
    return 0;
}
