/*
 * As much of cmocka(3) as these tests need, for programs that are statically linked: Debian has
 * only the shared library.
 */
#ifndef STATIC_CMOCKA_H
#define STATIC_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*function)(void **state);
};

static jmp_buf static_test_failed;

#define STATIC_FAIL_IF(condition, text)                                                            \
    do {                                                                                           \
        if (condition) {                                                                           \
            printf("[  ERROR   ] %s:%d: %s\n", __FILE__, __LINE__, text);                          \
            longjmp(static_test_failed, 1);                                                        \
        }                                                                                          \
    } while (0)
#define assert_true(value) STATIC_FAIL_IF(!(value), #value)
#define assert_false(value) STATIC_FAIL_IF(value, "not: " #value)
#define assert_null(value) STATIC_FAIL_IF((value) != NULL, #value " is not NULL")
#define assert_non_null(value) STATIC_FAIL_IF((value) == NULL, #value " is NULL")
#define assert_int_equal(a, b)                                                                     \
    do {                                                                                           \
        uintmax_t static_a = (uintmax_t)(a), static_b = (uintmax_t)(b);                            \
        char static_text[256];                                                                     \
        snprintf(static_text, sizeof(static_text), "%s is %jd, not %s, %jd", #a,                   \
                 (intmax_t)static_a, #b, (intmax_t)static_b);                                      \
        STATIC_FAIL_IF(static_a != static_b, static_text);                                         \
    } while (0)
#define assert_int_not_equal(a, b) STATIC_FAIL_IF((a) == (b), #a " is " #b)
#define assert_in_range(value, low, high)                                                          \
    STATIC_FAIL_IF((value) < (low) || (value) > (high), #value " is out of range")
#define assert_memory_equal(a, b, length)                                                          \
    STATIC_FAIL_IF(memcmp(a, b, length) != 0, #a " is not " #b)
#define assert_string_equal(a, b) STATIC_FAIL_IF(strcmp(a, b) != 0, #a " is not " #b)

#define cmocka_unit_test(function)                                                                 \
    {                                                                                              \
#function, function                                                                        \
    }

static int static_run(const struct CMUnitTest *tests, size_t count)
{
    volatile int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (volatile size_t i = 0; i < count; i++) {
        printf("[ RUN      ] %s\n", tests[i].name);
        if (setjmp(static_test_failed) == 0) {
            tests[i].function(NULL);
        } else {
            printf("[  FAILED  ] %s\n", tests[i].name);
            failed++;
        }
    }
    printf("[  %s  ] %zu test(s).\n", failed ? "FAILED" : "PASSED", count);
    return failed;
}
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    static_run(tests, sizeof(tests) / sizeof((tests)[0]))

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    static_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
