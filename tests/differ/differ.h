/* What the parts share: the drawing of calls, the sockets, and the line that is being told. */
#ifndef BRAID_TESTS_DIFFER_H
#define BRAID_TESTS_DIFFER_H

#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stdint.h>

#define SLOTS 10

/* A socket, and what is known of it from the answers so far. */
struct slot {
    int fd; /* or -1 */
    bool many, ipv6, listening;
    bool shut;     /* by shutdown() */
    int copy_of;   /* the slot whose descriptor this one's was copied from, or its own */
    uint16_t port; /* 0: not bound */
};

extern struct slot slots[SLOTS];
extern uint16_t base_port; /* the sequence's ports are base_port to base_port + PORTS - 1 */
#define PORTS 6

/* ---- Drawing: the same for a step, whatever became of the steps before it ---- */

void draw_begin(uint64_t seed, unsigned step);
unsigned draw(unsigned below);
bool chance(unsigned percent);
#define DRAW_FROM(array) ((array)[draw(sizeof(array) / sizeof((array)[0]))])

struct slot *slot_draw(void);
struct slot *slot_free(void); /* or NULL */
struct slot *slot_add(int fd, const struct slot *like);
struct slot *slot_draw_listening(void); /* or NULL */
socklen_t address_draw(struct sockaddr_storage *address, const struct slot *slot);
/* Addresses of one port, packed; how many. */
int addresses_draw(unsigned char *packed, const struct slot *slot, const struct slot *target);
socklen_t address_draw_target(struct sockaddr_storage *address, const struct slot *slot);
sctp_assoc_t association_draw(const struct slot *slot);

/* ---- Telling ---- */

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_result(long result); /* -1: errno */
void say_address(const void *address, socklen_t length);
void say_addresses(const unsigned char *packed, int count);
void say_id(sctp_assoc_t id);
void line_begin(const char *who, unsigned number);
void line_end(void);
int slot_number(const struct slot *slot);

/* ---- Steps ---- */

typedef void step_function(void);
step_function step_socket, step_bind, step_bindx, step_listen, step_connect, step_connectx,
    step_accept, step_peeloff, step_shutdown, step_close, step_dup, step_fork, step_names,
    step_addresses, step_poll, step_blocking, step_linger, step_pending, step_send, step_recv,
    step_recvmmsg, step_get, step_set, step_subscribe;

struct slot *make_socket(bool many, bool ipv6);
void subscribe(struct slot *slot, unsigned events);
void slot_close(struct slot *slot);
void receive_and_say(struct slot *slot, unsigned char *bytes, size_t room, size_t control_room,
                     int flags);

#endif
