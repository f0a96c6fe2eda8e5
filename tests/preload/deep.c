/*
 * Libraries that are opened with RTLD_DEEPBIND make SCTP sockets like all others. It knows nothing
 * of Braid.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void talk(const char *name, int mode)
{
    void *library = dlopen(name, mode);
    bool (*function)(void);

    assert_non_null(library);
    assert_null(dlerror());
    function = (bool (*)(void))dlsym(library, "talk");
    assert_non_null(function);
    assert_true(function());
    dlclose(library);
}

/* By its name alone: it is found where this program, and no other, says that its libraries are. */
static void opened_as_others(void **state)
{
    (void)state;
    talk("libdeep-lazy.so", RTLD_LAZY);
}

static void opened_deeply(void **state)
{
    (void)state;
    talk(FOLDER "/libdeep-lazy.so", RTLD_LAZY | RTLD_DEEPBIND);
    talk(FOLDER "/libdeep-lazy.so", RTLD_NOW | RTLD_DEEPBIND | RTLD_GLOBAL);
}

/* What it imports is read-only once it is loaded. */
static void sealed(void **state)
{
    (void)state;
    talk(FOLDER "/libdeep-sealed.so", RTLD_LAZY | RTLD_DEEPBIND);
}

static void found_or_not(void **state)
{
    void *library;

    (void)state;
    assert_null(dlopen("libdeep-nowhere.so", RTLD_LAZY | RTLD_DEEPBIND));
    assert_non_null(dlerror());
    library = dlopen("libdeep-lazy.so", RTLD_LAZY | RTLD_DEEPBIND);
    assert_non_null(library);
    dlclose(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opened_as_others),
        cmocka_unit_test(opened_deeply),
        cmocka_unit_test(sealed),
        cmocka_unit_test(found_or_not),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
