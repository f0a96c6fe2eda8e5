/*
 * Programs that were made with GCC's -fsanitize=address. Its library wants to be the first that is
 * loaded, and ends the program otherwise; but it does not need to be: ours passes its calls on to
 * the kernel, or to whoever comes next.
 */
#define TAKEN_OVER __attribute__((visibility("default")))

/* What the sanitizer asks each program, and ASAN_OPTIONS overrides. */
const char *__asan_default_options(void);

TAKEN_OVER const char *__asan_default_options(void)
{
    return "verify_asan_link_order=0";
}
