/*
 * A program as the stack process sees one: the calls of RFC 6458, said by hand over the channel
 * (src/channel/channel.h). And a stack process of its own for each test.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel/channel.h"

/* The program `braid`; set from the command line. */
extern const char *braid_path;

struct stack_process {
    char name[CHANNEL_NAME_MAXIMUM];
    const struct channel_page *page;
};

/* Starts `braid stack` with a fresh name and these options besides (NULL at the end), and waits
 * until it is ready. */
void stack_start(struct stack_process *process, const char *const *options);
/* Asks it to end, and waits until it has. */
void stack_stop(struct stack_process *process);

/* One request and its reply: the result. What is NULL or -1 is left out. */
struct call {
    uint32_t operation;
    int32_t argument[4];
    const void *payload;
    size_t length;
    int descriptor;
    void *answer; /* room for the reply's payload */
    size_t answer_size, answer_length;
    int answer_descriptor;
    uint32_t answer_argument;
};
int program_call(const struct stack_process *process, struct call *call);
/* The same on a connection that is open; two halves. */
int program_ask(int connection, const struct call *call);
int program_hear(int connection, struct call *call);

int program_socket(const struct stack_process *process, int domain, int type);
/* To 127.0.0.1 and this port; 0 or a negative errno. */
int program_bind(const struct stack_process *process, int descriptor, uint16_t port);
int program_listen(const struct stack_process *process, int descriptor, int backlog);
int program_connect(const struct stack_process *process, int descriptor, uint16_t port, bool wait);
int program_shutdown(const struct stack_process *process, int descriptor, int how);
int program_take_error(const struct stack_process *process, int descriptor);
int program_set_option(const struct stack_process *process, int descriptor, int level, int name,
                       const void *value, size_t length);
int program_get_option(const struct stack_process *process, int descriptor, int level, int name,
                       void *value, size_t length);
int program_accept(int descriptor);

/* A message on stream 0, in pieces if it is long. 0 or a negative errno. */
int program_send(const struct stack_process *process, int descriptor, const void *bytes,
                 size_t length, int flags);
/* A message or notification; its length, 0 at the end, or a negative errno. */
ssize_t program_receive(int descriptor, struct channel_header *header, void *bytes, size_t size,
                        int flags);

/* The socket's place in the page. */
const struct channel_slot *program_slot(const struct stack_process *process, int descriptor);

/* Waits until it is readable (POLLIN), writable (POLLOUT), ...; false after some seconds. */
bool program_wait(int descriptor, short events);
/* Is it so now? */
bool program_is(int descriptor, short events);

#endif
