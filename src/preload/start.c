/*
 * A stack for a program that outlives the one that it had: one that nobody needed for a while ends,
 * and so may one that was stopped. As a kernel loads its module, the next socket() starts another.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "preload/direct.h"
#include "preload/private.h"

#define ARGUMENTS_MAXIMUM 32
#define FAILED 1

static char program[4096];                      /* `braid` */
static char options[CHANNEL_START_MAXIMUM + 1]; /* of `braid run`, each with its end */
static bool known;

void stack_set_start(const char *path, const char *text)
{
    if (!path || !text || strlen(path) >= sizeof(program) || strlen(text) >= sizeof(options))
        return;
    memcpy(program, path, strlen(path) + 1);
    memcpy(options, text, strlen(text) + 1);
    known = true;
}

static void list_arguments(const char **arguments, char *text)
{
    size_t count = 0;
    char *rest = text;

    arguments[count++] = "braid";
    arguments[count++] = "run";
    arguments[count++] = "--name";
    arguments[count++] = stack_name();
    arguments[count++] = "--start";
    for (const char *each; (each = strsep(&rest, CHANNEL_START_SEPARATOR)) != NULL;)
        if (*each && count < ARGUMENTS_MAXIMUM)
            arguments[count++] = each;
    arguments[count] = NULL;
}

static int wait_for(long child, int flags)
{
    int status = -1;

    while (child > 0 && direct_call(SYS_wait4, child, &status, flags, NULL) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

static void become_braid(char *text)
{
    const char *arguments[ARGUMENTS_MAXIMUM + 1];
    int null = (int)direct_call(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);

    list_arguments(arguments, text);
    for (int i = 0; i <= STDERR_FILENO; i++)
        direct_call(SYS_dup3, null, i, 0);
    direct_call(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
    direct_call(SYS_execve, program, arguments, environ);
    direct_call(SYS_exit_group, FAILED);
}

/* The program must not see a child that it has not made. The one between it and `braid` ends
 * without a signal, and only who asks for such is told of it (__WCLONE, waitpid(2)). */
bool stack_start(void)
{
    char text[sizeof(options)];
    long child;

    if (!known || !stack_name())
        return false;
    memcpy(text, options, sizeof(text));
    child = direct_call(SYS_clone, 0L, 0L, 0L, 0L, 0L);
    if (child == 0) {
        long grandchild = direct_call(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);

        if (grandchild == 0)
            become_braid(text);
        direct_call(SYS_exit_group, wait_for(grandchild, 0));
    }
    return wait_for(child, __WCLONE) == 0;
}
