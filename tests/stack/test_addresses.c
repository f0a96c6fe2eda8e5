/*
 * The stack process: addresses of a socket that come and go while an association lives, as programs
 * see it.
 *
 * RFC 5061; RFC 6458, section 6.1.2 (SCTP_PEER_ADDR_CHANGE), 9.1 (sctp_bindx).
 */
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"

enum { PORT = 5000 };

static const char *const plain[] = {"--no-udp", NULL};

/* 127.0.0.`last` */
static struct sockaddr_in local(uint8_t last)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(PORT),
                                .sin_addr.s_addr = htonl(0x7f000000u + last)};
}

static void set(const struct stack_process *stack, int descriptor, int name, const void *value,
                size_t length)
{
    assert_int_equal(program_set_option(stack, descriptor, IPPROTO_SCTP, name, value, length), 0);
}

static void change(const struct stack_process *stack, int descriptor, int name, uint8_t last)
{
    struct sockaddr_in address = local(last);

    set(stack, descriptor, name, &address, sizeof(address));
}

static int open_socket(const struct stack_process *stack)
{
    struct sctp_assoc_value on = {.assoc_value = 1};
    int descriptor = program_socket(stack, AF_INET, SOCK_STREAM);

    assert_true(descriptor >= 0);
    set(stack, descriptor, SCTP_AUTH_SUPPORTED, &on, sizeof(on));
    set(stack, descriptor, SCTP_ASCONF_SUPPORTED, &on, sizeof(on));
    return descriptor;
}

static void expect_change(int descriptor, int change, uint8_t last)
{
    struct channel_header header;
    union sctp_notification notification;
    struct sockaddr_in address, expected = local(last);

    assert_true(program_wait(descriptor, POLLIN));
    assert_true(program_receive(descriptor, &header, &notification, sizeof(notification), 0) > 0);
    assert_true(header.flags & CHANNEL_NOTIFICATION);
    assert_int_equal(notification.sn_header.sn_type, SCTP_PEER_ADDR_CHANGE);
    assert_int_equal(notification.sn_paddr_change.spc_state, change);
    memcpy(&address, &notification.sn_paddr_change.spc_aaddr, sizeof(address));
    assert_int_equal(address.sin_addr.s_addr, expected.sin_addr.s_addr);
    assert_int_equal(address.sin_port, expected.sin_port);
}

static void expect_text(int descriptor, const char *text)
{
    struct channel_header header;
    char bytes[64];

    assert_true(program_wait(descriptor, POLLIN));
    assert_int_equal(program_receive(descriptor, &header, bytes, sizeof(bytes), 0), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void test_server_moves(void **state)
{
    struct sctp_event event = {.se_type = SCTP_PEER_ADDR_CHANGE, .se_on = 1};
    struct sctp_setpeerprim primary = {0};
    struct sockaddr_in second = local(2);
    struct stack_process stack;
    int listener, client, server;

    (void)state;
    stack_start(&stack, plain);
    listener = open_socket(&stack);
    assert_int_equal(program_bind(&stack, listener, PORT), 0);
    assert_int_equal(program_listen(&stack, listener, 8), 0);
    client = open_socket(&stack);
    set(&stack, client, SCTP_EVENT, &event, sizeof(event));
    assert_int_equal(program_connect(&stack, client, PORT, true), 0);
    assert_true(program_wait(listener, POLLIN));
    server = program_accept(listener);
    assert_true(server >= 0);

    change(&stack, server, SCTP_SOCKOPT_BINDX_ADD, 2);
    expect_change(client, SCTP_ADDR_ADDED, 2);
    expect_change(client, SCTP_ADDR_CONFIRMED, 2);
    memcpy(&primary.sspp_addr, &second, sizeof(second));
    set(&stack, server, SCTP_SET_PEER_PRIMARY_ADDR, &primary, sizeof(primary));
    expect_change(client, SCTP_ADDR_MADE_PRIM, 2);
    change(&stack, server, SCTP_SOCKOPT_BINDX_REM, 1);
    expect_change(client, SCTP_ADDR_REMOVED, 1);

    assert_int_equal(program_send(&stack, client, "hello", 5, 0), 0);
    expect_text(server, "hello");
    assert_int_equal(program_send(&stack, server, "and back", 8, 0), 0);
    expect_text(client, "and back");
    close(client);
    close(server);
    close(listener);
    stack_stop(&stack);
}

/* --asconf: programs have not to ask for it. */
static void test_by_default(void **state)
{
    static const char *const options[] = {"--no-udp", "--asconf", NULL};
    struct sctp_assoc_value supported = {0};
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct stack_process stack;
    int descriptor, value = 0;

    (void)state;
    stack_start(&stack, options);
    descriptor = program_socket(&stack, AF_INET, SOCK_STREAM);
    assert_true(program_get_option(&stack, descriptor, IPPROTO_SCTP, SCTP_ASCONF_SUPPORTED,
                                   &supported, sizeof(supported)) >= 0);
    assert_int_equal(supported.assoc_value, 1);
    set(&stack, descriptor, SCTP_SOCKOPT_BINDX_ADD, &any, sizeof(any));
    assert_true(program_get_option(&stack, descriptor, IPPROTO_SCTP, SCTP_AUTO_ASCONF, &value,
                                   sizeof(value)) >= 0);
    assert_int_equal(value, 1);
    close(descriptor);
    stack_stop(&stack);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_moves),
        cmocka_unit_test(test_by_default),
    };

    if (argc < 2)
        return 2;
    braid_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
