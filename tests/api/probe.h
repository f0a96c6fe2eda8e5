/* What the parts of the probe share: sockets in each state, and lines of answers. */
#ifndef BRAID_TESTS_API_PROBE_H
#define BRAID_TESTS_API_PROBE_H

#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stdint.h>

enum state {
    CLOSED, /* one-to-one, as socket() made it */
    BOUND,
    LISTENING,
    CONNECTED, /* by connect() */
    ACCEPTED,
    ENDED,       /* the peer closed, and the end was read */
    IPV6,        /* as CLOSED */
    CONNECTING,  /* to an address where nobody answers */
    SHUT,        /* by shutdown(SHUT_WR); the association is over */
    ABORTED,     /* by the peer, and nothing of it was read */
    MANY_CLOSED, /* one-to-many */
    MANY_LISTENING,
    MANY_CLIENT, /* with one association, which it set up */
    MANY_SERVER, /* with one association, which the peer set up */
    MANY_ENDED,  /* as MANY_CLIENT, and the peer has closed */
    PEELED,
    UDP,  /* no SCTP */
    PIPE, /* no socket */
    STATES
};

extern const char *const state_names[STATES];

struct place {
    enum state state;
    int fd;
    int peer;        /* the other end, or -1 */
    int peeled_from; /* or -1 */
    uint16_t port, peer_port;
    sctp_assoc_t id;    /* of one-to-many sockets with an association, and peeled ones */
    sctp_assoc_t is_id; /* of any socket with an association: what is shown as "id" */
};

struct answer {
    char text[1200];
};

struct sockaddr_in loopback(uint16_t port);
struct place place_make(enum state state);
void place_free(struct place *place);

void answer_add(struct answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void answer_errno(struct answer *answer, int error);
void line_print(const char *name, const struct answer answers[STATES]);
bool line_wanted(const char *name);

void probe_options(void);
void probe_numbers(void);
void probe_calls(void);
void probe_scenes(void);

#endif
