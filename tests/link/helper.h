/*
 * What the tests of the links share: batches, waiting for packets, network namespaces.
 *
 * RFC 9260 section 3 (packets), RFC 6951 (over UDP).
 */
#ifndef TESTS_LINK_HELPER_H
#define TESTS_LINK_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/link.h"

enum { TEST_SKIPPED = 77, TEST_BATCH_BYTES = 65535 };

/* 127.0.0.1, ::1 and so on. */
struct braid_address test_address(const char *text);

/* A batch of `count` packets of `size` bytes, the last of `last` bytes, with the bytes counting up
 * from the number of the packet. The bytes stand in a static buffer. */
struct braid_batch test_batch(const char *source, const char *destination, uint16_t port,
                              size_t count, size_t size, size_t last);
/* Is it packet number `index` of such a batch? */
void test_assert_packet(const struct braid_packet *packet, size_t index, size_t size);

/* Waits until packets come, at most five seconds; the number of packets. */
size_t test_receive(struct link *link, struct braid_packet *packets, size_t capacity);
/* Waits for an error, at most five seconds. */
bool test_receive_error(struct link *link, struct link_error *error);
/* Sends the whole batch, or fails. */
void test_send(struct link *link, const struct braid_batch *batch);

/* Moves this process to a network namespace of its own, with loopback up. False if it may not. */
bool test_enter_namespace(void);
/* Runs a shell command; true if it succeeds. */
bool test_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A router in another namespace: we are 10.1.1.1 and fd01::1 with MTU 1500; behind it are
 * 10.9.9.0/24 and fd09::/64 with MTU 1300, and 10.8.0.0/16 is unreachable. Returns its process, to
 * be ended by test_router_stop(), or -1.
 */
int test_router_start(void);
void test_router_stop(int router);

#endif
