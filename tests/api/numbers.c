/*
 * Each number of an option, whether it has a name or not, at the levels SOL_SOCKET, IPPROTO_IP and
 * IPPROTO_IPV6: what it is with room enough, what an int and a byte do to it, and what it is then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "probe.h"

#define NUMBERS 84 /* Linux 6.1 has none above */
#define ROOM 64
#define SHOWN 16 /* bytes of a value */

/* What differs from run to run. */
static bool is_hidden(int level, int number)
{
    return level == SOL_SOCKET &&
           (number == SO_INCOMING_CPU || number == SO_MEMINFO || number == SO_INCOMING_NAPI_ID ||
            number == SO_COOKIE || number == SO_SNDBUF || number == SO_RCVBUF ||
            number == SO_NETNS_COOKIE || number == SO_PEERGROUPS);
}

static void get(struct answer *answer, int fd, int level, int number)
{
    unsigned char value[ROOM];
    socklen_t length = sizeof(value);

    memset(value, 0, sizeof(value));
    if (getsockopt(fd, level, number, value, &length) != 0) {
        answer_errno(answer, errno);
        return;
    }
    answer_add(answer, "%u:", length);
    while (length > 0 && value[length - 1] == 0)
        length--;
    for (socklen_t i = 0; i < length && i < SHOWN && !is_hidden(level, number); i++)
        answer_add(answer, "%02x", value[i]);
}

static void set(struct answer *answer, const char *what, int fd, int level, int number,
                const void *value, socklen_t length)
{
    answer_add(answer, " %s ", what);
    if (setsockopt(fd, level, number, value, length) != 0) {
        answer_errno(answer, errno);
        return;
    }
    answer_add(answer, "ok ");
    get(answer, fd, level, number);
}

static void ask(struct answer *answer, enum state state, int level, int number)
{
    static const int values[] = {1, 0, -1};
    static const unsigned char zeros[ROOM];
    struct place place = place_make(state);

    get(answer, place.fd, level, number);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char what[16];

        snprintf(what, sizeof(what), "%d", values[i]);
        set(answer, what, place.fd, level, number, &values[i], sizeof(values[i]));
    }
    set(answer, "byte", place.fd, level, number, "\x01", 1);
    set(answer, "zeros", place.fd, level, number, zeros, sizeof(zeros));
    place_free(&place);
}

void probe_numbers(void)
{
    static const struct {
        const char *name;
        int level;
    } levels[] = {
        {"SOL_SOCKET", SOL_SOCKET}, {"IPPROTO_IP", IPPROTO_IP}, {"IPPROTO_IPV6", IPPROTO_IPV6}};
    static const enum state states[] = {CLOSED, CONNECTED, IPV6, MANY_CLOSED};

    for (size_t l = 0; l < sizeof(levels) / sizeof(levels[0]); l++)
        for (int number = 0; number < NUMBERS; number++) {
            struct answer answers[STATES] = {0};
            char name[64];

            snprintf(name, sizeof(name), "number %s %d", levels[l].name, number);
            if (!line_wanted(name))
                continue;
            for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++)
                ask(&answers[states[s]], states[s], levels[l].level, number);
            line_print(name, answers);
        }
}
