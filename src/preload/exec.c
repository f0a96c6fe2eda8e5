/*
 * Programs that this one starts. SCTP does not depend on the environment, so it must not get lost
 * with it: what a program is given has the variables that load this library, also if the one who
 * starts it gave it none.
 *
 * All of this may be called in a child of vfork(): nothing is allocated, nothing of ours is
 * changed.
 */
#include <dlfcn.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/libc.h"
#include "preload/private.h"

#define TAKEN_OVER __attribute__((visibility("default")))
#define PRELOAD "LD_PRELOAD="
#define ADDED 2 /* variables, at the most */

static char own_path[PATH_MAX];
static char stack_variable[sizeof(CHANNEL_ENVIRONMENT "=") + CHANNEL_NAME_MAXIMUM];

__attribute__((constructor(102))) static void remember(void)
{
    Dl_info info;

    if (!stack_name() || !dladdr(own_path, &info) || strlen(info.dli_fname) >= sizeof(own_path))
        return;
    snprintf(stack_variable, sizeof(stack_variable), "%s=%s", CHANNEL_ENVIRONMENT, stack_name());
    snprintf(own_path, sizeof(own_path), "%s", info.dli_fname);
}

/* ---- The environment ---- */

static char *const no_variables[] = {NULL};

static size_t count_of(char *const *list)
{
    size_t count = 0;

    while (list[count])
        count++;
    return count;
}

static char **find(char *const *variables, const char *name, size_t length)
{
    for (; *variables; variables++)
        if (strncmp(*variables, name, length) == 0)
            return (char **)variables;
    return NULL;
}

/* How many bytes LD_PRELOAD needs, if it must be changed. */
static size_t preload_size(char *const *variables)
{
    char *const *there = find(variables, PRELOAD, strlen(PRELOAD));

    return sizeof(PRELOAD ":") + strlen(own_path) + (there ? strlen(*there) : 0);
}

/* `list` has room for all variables and ADDED more, `preload` for `size` bytes. */
static char *const *complete(char *const *variables, char **list, char *preload, size_t size)
{
    size_t count = count_of(variables);
    const char *others = "";
    char **there;

    if (!*own_path)
        return variables;
    memcpy(list, variables, (count + 1) * sizeof(*list));
    if (!find(list, stack_variable, sizeof(CHANNEL_ENVIRONMENT "=") - 1))
        list[count++] = stack_variable;
    list[count] = NULL;
    there = find(list, PRELOAD, strlen(PRELOAD));
    if (there && strstr(*there, own_path))
        return list;
    if (there)
        others = *there + strlen(PRELOAD);
    snprintf(preload, size, "%s%s%s%s", PRELOAD, own_path, *others ? ":" : "", others);
    if (there) {
        *there = preload;
    } else {
        list[count] = preload;
        list[count + 1] = NULL;
    }
    return list;
}

/* Declares `completed`, the environment with what must be in it. */
#define COMPLETE(variables)                                                                        \
    char *const *given = (variables) ? (variables) : no_variables;                                 \
    char *list[count_of(given) + ADDED + 1], preload[preload_size(given)];                         \
    char *const *completed = complete(given, list, preload, sizeof(preload))

/* ---- exec ---- */

TAKEN_OVER int execve(const char *path, char *const arguments[], char *const variables[])
{
    COMPLETE(variables);
    return libc_functions()->execve(path, arguments, completed);
}

TAKEN_OVER int execvpe(const char *file, char *const arguments[], char *const variables[])
{
    COMPLETE(variables);
    return libc_functions()->execvpe(file, arguments, completed);
}

TAKEN_OVER int fexecve(int descriptor, char *const arguments[], char *const variables[])
{
    COMPLETE(variables);
    return libc_functions()->fexecve(descriptor, arguments, completed);
}

TAKEN_OVER int execveat(int directory, const char *path, char *const arguments[],
                        char *const variables[], int flags)
{
    COMPLETE(variables);
    return libc_functions()->execveat(directory, path, arguments, completed, flags);
}

TAKEN_OVER int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

TAKEN_OVER int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

/* Declares `list`, the arguments from `first` to NULL, and leaves `rest` behind them. */
#define LIST_ARGUMENTS(first)                                                                      \
    va_list rest;                                                                                  \
    size_t count = 1;                                                                              \
    va_start(rest, first);                                                                         \
    while (va_arg(rest, char *))                                                                   \
        count++;                                                                                   \
    va_end(rest);                                                                                  \
    char *list[count + 1];                                                                         \
    list[0] = (char *)(first);                                                                     \
    va_start(rest, first);                                                                         \
    for (size_t i = 1; i <= count; i++)                                                            \
    list[i] = va_arg(rest, char *)

TAKEN_OVER int execl(const char *path, const char *argument, ...)
{
    LIST_ARGUMENTS(argument);
    va_end(rest);
    return execve(path, list, environ);
}

TAKEN_OVER int execlp(const char *file, const char *argument, ...)
{
    LIST_ARGUMENTS(argument);
    va_end(rest);
    return execvpe(file, list, environ);
}

TAKEN_OVER int execle(const char *path, const char *argument, ...)
{
    char *const *variables;

    LIST_ARGUMENTS(argument);
    variables = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, list, variables);
}

/* ---- posix_spawn ---- */

TAKEN_OVER int posix_spawn(pid_t *child, const char *path,
                           const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const arguments[],
                           char *const variables[])
{
    COMPLETE(variables);
    return libc_functions()->posix_spawn(child, path, actions, attributes, arguments, completed);
}

TAKEN_OVER int posix_spawnp(pid_t *child, const char *file,
                            const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attributes, char *const arguments[],
                            char *const variables[])
{
    COMPLETE(variables);
    return libc_functions()->posix_spawnp(child, file, actions, attributes, arguments, completed);
}
