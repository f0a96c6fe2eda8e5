/*
 * A program as the stack process sees one: program.h. RFC 6458 is behind it.
 */
#include "program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "stack/stack.h"

/* A stack that a failed test leaves behind ends by itself: --idle. */
enum {
    OPTIONS_MAXIMUM = 16,
    PATIENCE = 20000, /* ms; nothing here takes long but on a busy machine */
};

const char *braid_path;

/* ---- The stack process ---- */

static void map_page(struct stack_process *process)
{
    struct call hello = {.operation = CHANNEL_HELLO, .descriptor = -1};

    assert_int_equal(program_call(process, &hello), 0);
    process->page =
        mmap(NULL, sizeof(*process->page), PROT_READ, MAP_SHARED, hello.answer_descriptor, 0);
    assert_ptr_not_equal(process->page, MAP_FAILED);
    close(hello.answer_descriptor);
}

void stack_start(struct stack_process *process, const char *const *options)
{
    static int count;
    const char *arguments[OPTIONS_MAXIMUM] = {braid_path, "stack", "--name",    process->name,
                                              "--idle",   "60",    "--ready-fd"};
    char ready[16], text[256] = "";
    size_t length = 0, next = 7;
    int ends[2], status;
    ssize_t got;
    pid_t child;

    snprintf(process->name, sizeof(process->name), "test-%d-%d", (int)getpid(), count++);
    assert_int_equal(pipe(ends), 0);
    snprintf(ready, sizeof(ready), "%d", ends[1]);
    arguments[next++] = ready;
    while (options && *options)
        arguments[next++] = *options++;
    child = fork();
    if (child == 0) {
        execv(braid_path, (char *const *)arguments);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_string_equal(text, STACK_READY);
    assert_int_equal(status, 0);
    map_page(process);
}

void stack_stop(struct stack_process *process)
{
    struct call stop = {.operation = CHANNEL_STOP, .descriptor = -1};
    int connection = channel_connect(process->name);
    char end;

    assert_true(connection >= 0);
    assert_int_equal(program_ask(connection, &stop), 0);
    assert_int_equal(program_hear(connection, &stop), 0);
    assert_int_equal(read(connection, &end, 1), 0);
    close(connection);
    munmap((void *)process->page, sizeof(*process->page));
}

/* ---- Requests ---- */

int program_ask(int connection, const struct call *call)
{
    struct channel_request request = {
        .version = CHANNEL_VERSION,
        .operation = call->operation,
        .length = (uint32_t)call->length,
    };

    memcpy(request.argument, call->argument, sizeof(request.argument));
    return channel_send(connection, &request, sizeof(request), call->payload, call->length,
                        call->descriptor);
}

int program_hear(int connection, struct call *call)
{
    struct channel_reply reply;
    ssize_t received = channel_receive(connection, &reply, sizeof(reply), call->answer,
                                       call->answer_size, &call->answer_descriptor);

    if (received < (ssize_t)sizeof(reply))
        return received < 0 ? (int)received : -ECONNRESET;
    call->answer_length = (size_t)received - sizeof(reply);
    assert_int_equal(reply.length, call->answer_length);
    call->answer_argument = reply.argument[0];
    return reply.result;
}

int program_call(const struct stack_process *process, struct call *call)
{
    int connection = channel_connect(process->name);
    int result = connection;

    if (connection < 0)
        return result;
    result = program_ask(connection, call);
    if (result == 0 || result == -EPIPE) /* who is refused may be told before he has asked */
        result = program_hear(connection, call);
    close(connection);
    return result;
}

int program_socket(const struct stack_process *process, int domain, int type)
{
    struct call call = {
        .operation = CHANNEL_OPEN, .argument = {domain, type, IPPROTO_SCTP}, .descriptor = -1};
    int result = program_call(process, &call);

    return result < 0 ? result : call.answer_descriptor;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int program_bind(const struct stack_process *process, int descriptor, uint16_t port)
{
    struct sockaddr_in address = loopback(port);

    return program_call(process, &(struct call){.operation = CHANNEL_BIND,
                                                .descriptor = descriptor,
                                                .payload = &address,
                                                .length = sizeof(address)});
}

int program_listen(const struct stack_process *process, int descriptor, int backlog)
{
    return program_call(process, &(struct call){.operation = CHANNEL_LISTEN,
                                                .descriptor = descriptor,
                                                .argument = {backlog}});
}

int program_connect(const struct stack_process *process, int descriptor, uint16_t port, bool wait)
{
    struct sockaddr_in address = loopback(port);

    return program_call(process, &(struct call){.operation = CHANNEL_CONNECT,
                                                .descriptor = descriptor,
                                                .argument = {wait},
                                                .payload = &address,
                                                .length = sizeof(address)});
}

int program_shutdown(const struct stack_process *process, int descriptor, int how)
{
    return program_call(
        process,
        &(struct call){.operation = CHANNEL_SHUTDOWN, .descriptor = descriptor, .argument = {how}});
}

int program_take_error(const struct stack_process *process, int descriptor)
{
    struct call call = {.operation = CHANNEL_TAKE_ERROR, .descriptor = descriptor};
    int result = program_call(process, &call);

    return result < 0 ? result : -(int)call.answer_argument;
}

int program_set_option(const struct stack_process *process, int descriptor, int level, int name,
                       const void *value, size_t length)
{
    return program_call(process, &(struct call){.operation = CHANNEL_SETSOCKOPT,
                                                .descriptor = descriptor,
                                                .argument = {level, name, (int32_t)length},
                                                .payload = value,
                                                .length = length});
}

int program_get_option(const struct stack_process *process, int descriptor, int level, int name,
                       void *value, size_t length)
{
    return program_call(process, &(struct call){.operation = CHANNEL_GETSOCKOPT,
                                                .descriptor = descriptor,
                                                .argument = {level, name, (int32_t)length},
                                                .payload = value,
                                                .length = length,
                                                .answer = value,
                                                .answer_size = length});
}

/* ---- Data ---- */

int program_accept(int descriptor)
{
    struct channel_header header;
    int accepted;
    ssize_t received = channel_receive(descriptor, &header, sizeof(header), NULL, 0, &accepted);

    if (received < 0)
        return (int)received;
    assert_int_equal(received, sizeof(header));
    assert_int_equal(header.type, CHANNEL_ACCEPT);
    assert_true(accepted >= 0);
    return accepted;
}

static uint32_t slot_of(const struct stack_process *process, int descriptor, uint32_t *generation)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    uint32_t slot;

    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
    assert_true(channel_name_parse(&address, length, process->name, &slot, generation));
    return slot;
}

const struct channel_slot *program_slot(const struct stack_process *process, int descriptor)
{
    uint32_t generation;
    const struct channel_slot *slot =
        &process->page->slot[slot_of(process, descriptor, &generation)];

    assert_int_equal(slot->generation, generation);
    return slot;
}

int program_send(const struct stack_process *process, int descriptor, const void *bytes,
                 size_t length, int flags)
{
    struct channel_header header = {.type = CHANNEL_SEND, .sender = 1};
    const uint8_t *position = bytes;

    slot_of(process, descriptor, &header.generation);
    do {
        size_t piece = length < CHANNEL_PIECE_MAXIMUM ? length : CHANNEL_PIECE_MAXIMUM;
        struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)position, piece}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

        header.flags = piece < length ? CHANNEL_MORE : 0;
        if (sendmsg(descriptor, &message, MSG_NOSIGNAL | flags) < 0)
            return -errno;
        position += piece;
        length -= piece;
    } while (length > 0);
    return 0;
}

ssize_t program_receive(int descriptor, struct channel_header *header, void *bytes, size_t size,
                        int flags)
{
    struct iovec parts[2] = {{header, sizeof(*header)}, {bytes, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t received;

    if (!(flags & MSG_DONTWAIT) && !program_wait(descriptor, POLLIN))
        return -ETIMEDOUT;
    received = recvmsg(descriptor, &message, flags);
    if (received <= 0)
        return received < 0 ? -errno : 0;
    assert_true(received >= (ssize_t)sizeof(*header));
    assert_int_equal(header->type, CHANNEL_MESSAGE);
    return received - (ssize_t)sizeof(*header);
}

bool program_wait(int descriptor, short events)
{
    struct pollfd poll_descriptor = {.fd = descriptor, .events = events};

    return poll(&poll_descriptor, 1, PATIENCE) == 1;
}

bool program_is(int descriptor, short events)
{
    struct pollfd poll_descriptor = {.fd = descriptor, .events = events};

    return poll(&poll_descriptor, 1, 0) == 1 && (poll_descriptor.revents & events) == events;
}
