/*
 * The stack process: one-to-many sockets, links, users, and what `braid stack` and `braid ss` say.
 *
 * RFC 6458, section 3 (one-to-many), 9.2 (peel-off); RFC 6951 (over UDP).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"

enum { PORT = 5000 };

static const char *const plain[] = {"--no-udp", NULL};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* SCTP_SEND_NOW: as a program sends that cannot know whether it may. */
static int send_now(const struct stack_process *stack, int descriptor,
                    const struct channel_header *header, const char *text, bool wait,
                    int32_t *association)
{
    uint8_t payload[sizeof(*header) + 256];
    size_t length = strlen(text);
    struct call call = {
        .operation = CHANNEL_SEND_NOW,
        .descriptor = descriptor,
        .argument = {wait},
        .payload = payload,
        .length = sizeof(*header) + length,
    };
    int result;

    memcpy(payload, header, sizeof(*header));
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): no zero at the end */
    memcpy(payload + sizeof(*header), text, length);
    result = program_call(stack, &call);
    if (association)
        *association = (int32_t)call.answer_argument;
    return result;
}

static void expect_text(int descriptor, const char *text, struct channel_header *header)
{
    char bytes[256];
    ssize_t received = program_receive(descriptor, header, bytes, sizeof(bytes), 0);

    assert_int_equal(received, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void expect_change(int descriptor, uint16_t change)
{
    struct channel_header header;
    union sctp_notification notification;

    assert_true(program_receive(descriptor, &header, &notification, sizeof(notification), 0) > 0);
    assert_true(header.flags & CHANNEL_NOTIFICATION);
    assert_int_equal(notification.sn_header.sn_type, SCTP_ASSOC_CHANGE);
    assert_int_equal(notification.sn_assoc_change.sac_state, change);
}

static int open_listener(const struct stack_process *stack, int type)
{
    int listener = program_socket(stack, AF_INET, type);

    assert_true(listener >= 0);
    assert_int_equal(program_bind(stack, listener, PORT), 0);
    assert_int_equal(program_listen(stack, listener, 8), 0);
    return listener;
}

static void subscribe_to_changes(const struct stack_process *stack, int descriptor)
{
    struct sctp_event event = {
        .se_assoc_id = SCTP_ALL_ASSOC, .se_type = SCTP_ASSOC_CHANGE, .se_on = 1};

    assert_int_equal(
        program_set_option(stack, descriptor, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof(event)), 0);
}

static void test_one_to_many(void **state)
{
    struct stack_process stack;
    struct channel_header header = {
        .type = CHANNEL_SEND,
        .flags = CHANNEL_HAS_ADDRESS | CHANNEL_HAS_INFO,
        .address.in = loopback(PORT),
    };
    struct channel_header received;
    const struct channel_association *entry;
    int server, client;
    int32_t association;

    (void)state;
    stack_start(&stack, plain);
    server = open_listener(&stack, SOCK_SEQPACKET);
    client = program_socket(&stack, AF_INET, SOCK_SEQPACKET);
    subscribe_to_changes(&stack, client);
    assert_true(program_is(client, POLLOUT));
    assert_int_equal(send_now(&stack, client, &header, "one", true, &association), 0);
    assert_true(association > SCTP_ALL_ASSOC);
    entry = &stack.page->association[(uint32_t)association % CHANNEL_SLOTS];
    assert_int_equal(entry->identifier, association);
    assert_true(entry->state & CHANNEL_STATE_CONNECTED);
    assert_int_equal(entry->outbound_streams, 10);
    assert_ptr_equal(&stack.page->slot[entry->slot], program_slot(&stack, client));
    expect_change(client, SCTP_COMM_UP);
    expect_text(server, "one", &received);
    assert_int_equal(received.info.stream, 0);

    /* back, on the fast way */
    received.type = CHANNEL_SEND;
    received.flags = CHANNEL_HAS_INFO;
    received.info.stream = 3;
    received.generation = program_slot(&stack, server)->generation;
    assert_int_equal(channel_send(server, &received, sizeof(received), "two", 3, -1), 0);
    expect_text(client, "two", &received);
    assert_int_equal(received.info.stream, 3);
    assert_int_equal(received.info.association, association);

    /* SCTP_EOF by the control connection comes after what stands on the fast way */
    header.generation = program_slot(&stack, client)->generation;
    assert_int_equal(channel_send(client, &header, sizeof(header), "three", 5, -1), 0);
    header.info.flags = SCTP_EOF;
    assert_int_equal(send_now(&stack, client, &header, "", false, NULL), 0);
    expect_text(server, "three", &received);
    expect_change(client, SCTP_SHUTDOWN_COMP);
    assert_int_equal(entry->identifier, 0);
    close(client);
    close(server);
    stack_stop(&stack);
}

static void test_send_now_refused(void **state)
{
    struct stack_process stack;
    struct channel_header header = {
        .type = CHANNEL_SEND,
        .flags = CHANNEL_HAS_ADDRESS,
        .address.in = loopback(PORT),
    };
    int client;

    (void)state;
    stack_start(&stack, plain);
    client = program_socket(&stack, AF_INET, SOCK_SEQPACKET);
    /* as on Linux the message was taken: that nobody is there is told by a notification */
    assert_int_equal(send_now(&stack, client, &header, "one", true, NULL), 0);
    assert_int_equal(send_now(&stack, client, &header, "one", false, NULL), 0);
    header.flags = 0;
    assert_int_equal(send_now(&stack, client, &header, "one", false, NULL), -EPIPE);
    close(client);
    stack_stop(&stack);
}

/* A message that has to wait for room in the send buffer is answered as soon as there is some: its
 * association has been up for long. */
static void test_send_now_waits_for_room(void **state)
{
    static struct {
        struct channel_header header;
        uint8_t bytes[30000];
    } message = {.header = {.type = CHANNEL_SEND,
                            .flags = CHANNEL_HAS_ADDRESS,
                            .address.in = {.sin_family = AF_INET}}};
    struct call call = {.operation = CHANNEL_SEND_NOW,
                        .argument = {1},
                        .payload = &message,
                        .length = sizeof(message)};
    struct channel_header received;
    struct stack_process stack;
    struct pollfd answer = {.events = POLLIN};
    int server, sent = 1;

    (void)state;
    stack_start(&stack, plain);
    message.header.address.in = loopback(PORT);
    server = open_listener(&stack, SOCK_SEQPACKET);
    call.descriptor = program_socket(&stack, AF_INET, SOCK_SEQPACKET);
    answer.fd = channel_connect(stack.name);
    assert_true(answer.fd >= 0);
    for (; program_ask(answer.fd, &call) == 0 && poll(&answer, 1, 300) == 1; sent++)
        assert_int_equal(program_hear(answer.fd, &call), 0);
    for (; sent > 0; sent--)
        assert_int_equal(
            program_receive(server, &received, message.bytes, sizeof(message.bytes), 0),
            sizeof(message.bytes));
    assert_true(program_wait(answer.fd, POLLIN));
    assert_int_equal(program_hear(answer.fd, &call), 0);
    close(answer.fd);
    close(call.descriptor);
    close(server);
    stack_stop(&stack);
}

static void test_peel_off(void **state)
{
    struct stack_process stack;
    struct channel_header header = {
        .type = CHANNEL_SEND,
        .flags = CHANNEL_HAS_ADDRESS,
        .address.in = loopback(PORT),
    };
    struct channel_header received;
    sctp_peeloff_arg_t argument;
    struct call call = {
        .operation = CHANNEL_GETSOCKOPT,
        .argument = {IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, sizeof(argument)},
        .payload = &argument,
        .length = sizeof(argument),
        .answer = &argument,
        .answer_size = sizeof(argument),
    };
    const struct channel_slot *slot;
    int server, client, peeled;

    (void)state;
    stack_start(&stack, plain);
    server = open_listener(&stack, SOCK_SEQPACKET);
    client = program_socket(&stack, AF_INET, SOCK_SEQPACKET);
    assert_int_equal(send_now(&stack, client, &header, "one", true, NULL), 0);
    expect_text(server, "one", &received);
    argument = (sctp_peeloff_arg_t){.associd = received.info.association};
    call.descriptor = server;
    assert_true(program_call(&stack, &call) >= 0);
    peeled = call.answer_descriptor;
    assert_true(peeled >= 0);
    slot = program_slot(&stack, peeled);
    assert_true(slot->state & CHANNEL_STATE_PEELED_OFF);
    assert_int_equal(slot->association, received.info.association);
    assert_ptr_equal(
        &stack.page->slot[stack.page->association[slot->association % CHANNEL_SLOTS].slot], slot);
    assert_int_equal(program_send(&stack, peeled, "two", 3, 0), 0);
    expect_text(client, "two", &received);
    close(peeled);
    close(server);
    close(client);
    stack_stop(&stack);
}

/* SCTP_RECVNXTINFO (RFC 6458, 5.3.6): what the header tells of the message behind it. */
static void test_next_info(void **state)
{
    struct stack_process stack;
    struct channel_header received;
    char byte;
    int listener, client, server, on = 1, queued;

    (void)state;
    stack_start(&stack, plain);
    listener = open_listener(&stack, SOCK_STREAM);
    client = program_socket(&stack, AF_INET, SOCK_STREAM);
    assert_int_equal(program_connect(&stack, client, PORT, true), 0);
    server = program_accept(listener);
    assert_int_equal(
        program_set_option(&stack, server, IPPROTO_SCTP, SCTP_RECVNXTINFO, &on, sizeof(on)), 0);
    assert_true(program_slot(&stack, server)->receive_options & CHANNEL_RECEIVE_NXTINFO);
    /* many at once, so that one is there when the one before it is handed out */
    kill(stack.page->stack_pid, SIGSTOP);
    for (int i = 0; i < 100; i++)
        assert_int_equal(program_send(&stack, client, "x", 1, 0), 0);
    kill(stack.page->stack_pid, SIGCONT);
    queued = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(program_receive(server, &received, &byte, 1, 0), 1);
        if (received.flags & CHANNEL_HAS_NEXT) {
            assert_int_equal(received.next.length, 1);
            queued++;
        }
    }
    assert_in_range(queued, 1, 99);
    close(server);
    close(client);
    close(listener);
    stack_stop(&stack);
}

/* ---- Over UDP ---- */

static uint16_t free_udp_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof(address);
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
    close(descriptor);
    return ntohs(address.sin_port);
}

/* Two stacks on one host, each at its UDP port, as two hosts would. */
static void test_two_stacks_over_udp(void **state)
{
    static uint8_t bytes[60000], got[60000];
    char ports[2][8];
    struct stack_process stacks[2];
    struct channel_header header;
    int listener, client, server;

    (void)state;
    for (int i = 0; i < 2; i++)
        snprintf(ports[i], sizeof(ports[i]), "%u", free_udp_port());
    for (int i = 0; i < 2; i++) {
        const char *options[] = {"--udp", ports[i], "--peer-udp", ports[1 - i], NULL};

        stack_start(&stacks[i], options);
    }
    listener = open_listener(&stacks[1], SOCK_STREAM);
    client = program_socket(&stacks[0], AF_INET, SOCK_STREAM);
    assert_int_equal(program_connect(&stacks[0], client, PORT, true), 0);
    server = program_accept(listener);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 11 + (i >> 8));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(program_send(&stacks[0], client, bytes, sizeof(bytes), 0), 0);
        assert_int_equal(program_receive(server, &header, got, sizeof(got), 0), sizeof(got));
        assert_memory_equal(got, bytes, sizeof(bytes));
    }
    close(client);
    assert_int_equal(program_receive(server, &header, got, 1, 0), 0);
    close(server);
    close(listener);
    stack_stop(&stacks[0]);
    stack_stop(&stacks[1]);
}

/* The end of a stack is told to its peers. */
static void test_stack_stops_politely(void **state)
{
    char ports[2][8];
    struct stack_process stacks[2];
    struct channel_header header;
    int listener, client, server;
    char byte;

    (void)state;
    for (int i = 0; i < 2; i++)
        snprintf(ports[i], sizeof(ports[i]), "%u", free_udp_port());
    for (int i = 0; i < 2; i++) {
        const char *options[] = {"--udp", ports[i], "--peer-udp", ports[1 - i], NULL};

        stack_start(&stacks[i], options);
    }
    listener = open_listener(&stacks[1], SOCK_STREAM);
    client = program_socket(&stacks[0], AF_INET, SOCK_STREAM);
    assert_int_equal(program_connect(&stacks[0], client, PORT, true), 0);
    server = program_accept(listener);
    stack_stop(&stacks[0]);
    assert_int_equal(program_receive(server, &header, &byte, 1, 0), 0);
    assert_int_equal(program_take_error(&stacks[1], server), -ECONNRESET);
    close(client);
    close(server);
    close(listener);
    stack_stop(&stacks[1]);
}

/* ---- The commands ---- */

/* Runs `braid` with these arguments; its exit status, and what it said on both outputs. */
static int run_braid(const char *const *arguments, char *text, size_t size)
{
    const char *all[16] = {braid_path};
    size_t length = 0, next = 1;
    int ends[2], status;
    ssize_t got;
    pid_t child;

    while (*arguments)
        all[next++] = *arguments++;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execv(braid_path, (char *const *)all);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

#define RUN(text, ...) run_braid((const char *const[]){__VA_ARGS__, NULL}, text, sizeof(text))

static unsigned int count_lines(const char *text)
{
    unsigned int count = 0;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void test_commands(void **state)
{
    static char text[65536];
    struct stack_process stack;
    char port[8];
    int listener, client, server, taken;
    struct sockaddr_in address;

    (void)state;
    stack_start(&stack, plain);
    listener = open_listener(&stack, SOCK_STREAM);
    client = program_socket(&stack, AF_INET, SOCK_STREAM);
    assert_int_equal(RUN(text, "ss", "--name", stack.name), 0);
    assert_int_equal(count_lines(text), 2);
    assert_non_null(strstr(text, "LISTEN"));
    assert_non_null(strstr(text, "0       8  127.0.0.1:5000"));
    assert_int_equal(RUN(text, "ss", "-a", "--name", stack.name), 0);
    assert_int_equal(count_lines(text), 3);
    assert_int_equal(program_connect(&stack, client, PORT, true), 0);
    server = program_accept(listener);
    assert_int_equal(RUN(text, "ss", "-v", "--name", stack.name), 0);
    assert_non_null(strstr(text, "ESTABLISHED"));
    assert_non_null(strstr(text, "path 127.0.0.1 ACTIVE primary"));
    assert_int_equal(RUN(text, "ss", "--json", "--name", stack.name), 0);
    assert_non_null(strstr(text, "\"state\":\"ESTABLISHED\""));
    close(server);
    close(client);
    close(listener);

    assert_int_equal(RUN(text, "stack", "--no-udp", "--name", stack.name), 1);
    assert_non_null(strstr(text, "already running"));
    assert_int_equal(count_lines(text), 1);
    assert_int_equal(RUN(text, "stack", "--stop", "--name", stack.name), 0);
    assert_int_equal(RUN(text, "stack", "--stop", "--name", stack.name), 1);
    assert_non_null(strstr(text, "no stack named"));
    assert_int_equal(RUN(text, "ss", "--name", stack.name), 1);
    assert_non_null(strstr(text, "no stack named"));
    assert_int_equal(count_lines(text), 1);

    /* a port that somebody else has */
    taken = socket(AF_INET, SOCK_DGRAM, 0);
    address = loopback(free_udp_port());
    assert_int_equal(bind(taken, (struct sockaddr *)&address, sizeof(address)), 0);
    snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
    assert_int_equal(RUN(text, "stack", "--udp", port, "--name", stack.name), 1);
    assert_non_null(strstr(text, port));
    assert_non_null(strstr(text, "in use"));
    assert_int_equal(count_lines(text), 1);
    close(taken);
    assert_int_equal(
        RUN(text, "stack", "--no-udp", "--capture", "/nowhere/x", "--name", stack.name), 1);
    assert_non_null(strstr(text, "/nowhere/x"));
    assert_int_equal(RUN(text, "stack", "--udp", "70000"), 2);
    assert_int_equal(RUN(text, "stack", "--name", "a/b"), 2);
    assert_int_equal(RUN(text, "ss", "--name", "a/b"), 1);
    assert_non_null(strstr(text, "without '/'"));
    assert_int_equal(RUN(text, "run", "--name", stack.name, "--udp", "70000", "true"), 125);
    assert_non_null(strstr(text, "'70000' is not a UDP port"));
    assert_null(strstr(text, "without a word"));
    assert_int_equal(RUN(text, "help", "ss"), 0);
    assert_non_null(strstr(text, "usage: braid ss"));
    assert_int_equal(RUN(text, "stack", "surplus"), 2);
    assert_int_equal(RUN(text, "ss", "surplus"), 2);
}

/* What is refused is counted, and told by `braid ss -v`. */
static void test_refused(void **state)
{
    static char text[65536];
    struct stack_process stack;
    struct sockaddr_in to = loopback(free_udp_port());
    char port[8];
    const char *const options[] = {"--udp", port, NULL};
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);

    (void)state;
    snprintf(port, sizeof(port), "%u", ntohs(to.sin_port));
    stack_start(&stack, options);
    assert_int_equal(RUN(text, "ss", "-v", "--name", stack.name), 0);
    assert_null(strstr(text, "refused"));
    assert_int_equal(sendto(descriptor, "no packet at all", 16, 0, (void *)&to, sizeof(to)), 16);
    for (int i = 0; i < 1000 && !strstr(text, "refused"); i++)
        assert_int_equal(RUN(text, "ss", "-v", "--name", stack.name), 0);
    assert_non_null(strstr(text, "     refused bad_checksum 1\n"));
    close(descriptor);
    stack_stop(&stack);
}

/* A stack of an ordinary user does not serve others. Root can be both here. */
static void test_other_users(void **state)
{
    struct stack_process stack;
    pid_t child;
    int status;

    (void)state;
    if (geteuid() != 0)
        skip();
    stack_start(&stack, plain); /* root's: everybody's */
    child = fork();
    if (child == 0) {
        int descriptor;

        if (setuid(65534) < 0)
            _exit(10);
        descriptor = program_socket(&stack, AF_INET, SOCK_STREAM);
        if (descriptor < 0)
            _exit(11);
        if (program_bind(&stack, descriptor, 80) != -EACCES)
            _exit(12);
        if (program_call(&stack, &(struct call){.operation = CHANNEL_STOP, .descriptor = -1}) !=
            -EPERM)
            _exit(13);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    stack_stop(&stack);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_to_many),
        cmocka_unit_test(test_send_now_refused),
        cmocka_unit_test(test_send_now_waits_for_room),
        cmocka_unit_test(test_peel_off),
        cmocka_unit_test(test_next_info),
        cmocka_unit_test(test_two_stacks_over_udp),
        cmocka_unit_test(test_stack_stops_politely),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_users),
    };

    if (argc < 2)
        return 2;
    braid_path = argv[1];
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
