/*
 * Programs that this one starts. SCTP does not depend on the environment, so it must not get lost
 * with it: what a program is given has the variables that load this library, also if the one who
 * starts it gave it none.
 *
 * All of this may be called in a child of vfork(): nothing is allocated, nothing of ours is
 * changed.
 */
#include <dlfcn.h>
#include <fcntl.h>
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
#define ADDED 3 /* variables, at the most */

static char own_path[PATH_MAX];
static char braid_path[PATH_MAX];
static char stack_variable[sizeof(CHANNEL_ENVIRONMENT "=") + CHANNEL_NAME_MAXIMUM];
static char start_variable[sizeof(CHANNEL_START "=") + CHANNEL_START_MAXIMUM];

/* `braid` belongs beside this library: in the build tree, or installed. */
static void find_braid(void)
{
    const char *folder = strstr(own_path, "/src/preload/");

    if (folder)
        snprintf(braid_path, sizeof(braid_path), "%.*s/braid", (int)(folder - own_path), own_path);
    if (!folder || access(braid_path, X_OK) != 0)
        snprintf(braid_path, sizeof(braid_path), "%s", BRAID_PROGRAM);
}

__attribute__((constructor(102))) static void remember(void)
{
    const char *start = getenv(CHANNEL_START);
    Dl_info info;

    if (!stack_name() || !dladdr(own_path, &info) || strlen(info.dli_fname) >= sizeof(own_path))
        return;
    snprintf(stack_variable, sizeof(stack_variable), "%s=%s", CHANNEL_ENVIRONMENT, stack_name());
    snprintf(own_path, sizeof(own_path), "%s", info.dli_fname);
    find_braid();
    if (start && strlen(start) <= CHANNEL_START_MAXIMUM) {
        snprintf(start_variable, sizeof(start_variable), "%s=%s", CHANNEL_START, start);
        stack_set_start(braid_path, start);
    }
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
    if (*start_variable && !find(list, start_variable, sizeof(CHANNEL_START "=") - 1))
        list[count++] = start_variable;
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

/* ---- Programs whose calls are trapped ---- */

/* Where execvp() would find it. */
static const char *find_program(const char *file, char *path)
{
    const char *folders = getenv("PATH");

    if (strchr(file, '/'))
        return file;
    for (const char *at = folders ? folders : "/bin:/usr/bin"; at;) {
        size_t length = strcspn(at, ":");

        snprintf(path, PATH_MAX, "%.*s/%s", length > 0 ? (int)length : 1, length > 0 ? at : ".",
                 file);
        if (access(path, X_OK) == 0)
            return path;
        at = at[length] == ':' ? at + length + 1 : NULL;
    }
    return file;
}

#define BRAID_ARGUMENTS 8 /* that stand in front of the program's own, but for its name */

/* `braid run` of it. `list` has room for BRAID_ARGUMENTS more than there are. */
static char *const *run_trapped(const char *path, char *const *arguments, char **list)
{
    const char *front[BRAID_ARGUMENTS] = {
        "braid", "run", "--name", stack_name(), "--trap", "--argv0", *arguments ? *arguments : "",
        path};
    size_t count = *arguments ? count_of(arguments) - 1 : 0;

    memcpy(list, front, sizeof(front));
    memcpy(list + BRAID_ARGUMENTS, arguments + (*arguments ? 1 : 0), count * sizeof(*list));
    list[BRAID_ARGUMENTS + count] = NULL;
    return list;
}

/* ---- Starting ---- */

/* What exec or posix_spawn was asked for. */
struct start {
    const char *file;
    bool search; /* in PATH */
    char *const *arguments, *const *variables;
    pid_t *child; /* posix_spawn: out */
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
    bool spawn;
};

static int start_as_it_is(const struct start *start)
{
    const struct libc *libc = libc_functions();

    if (start->spawn)
        return (start->search ? libc->posix_spawnp : libc->posix_spawn)(
            start->child, start->file, start->actions, start->attributes, start->arguments,
            start->variables);
    return (start->search ? libc->execvpe : libc->execve)(start->file, start->arguments,
                                                          start->variables);
}

/* Goes on as `braid run`, if it is a program that needs it. */
static int start_complete(const struct start *start)
{
    char found[PATH_MAX];
    const char *path = start->search ? find_program(start->file, found) : start->file;

    if (image_of(path) != IMAGE_LOADS) {
        char *list[count_of(start->arguments) + BRAID_ARGUMENTS + 1];
        struct start trapped = *start;

        trapped.search = false;
        trapped.file = braid_path;
        trapped.arguments = run_trapped(path, start->arguments, list);
        return start_as_it_is(&trapped);
    }
    return start_as_it_is(start);
}

static int start(struct start start)
{
    char *const *given = start.variables ? start.variables : no_variables;

    if (!*own_path || is_wild(start.file) || is_wild(start.arguments) || is_wild(given))
        return start_as_it_is(&start);
    {
        char *list[count_of(given) + ADDED + 1], preload[preload_size(given)];

        start.variables = complete(given, list, preload, sizeof(preload));
        return start_complete(&start);
    }
}

/* ---- exec ---- */

TAKEN_OVER int execve(const char *path, char *const arguments[], char *const variables[])
{
    return start((struct start){.file = path, .arguments = arguments, .variables = variables});
}

TAKEN_OVER int execvpe(const char *file, char *const arguments[], char *const variables[])
{
    return start((struct start){
        .file = file, .search = true, .arguments = arguments, .variables = variables});
}

/* Of a file without a name there is no telling; it keeps its library. */
TAKEN_OVER int execveat(int directory, const char *path, char *const arguments[],
                        char *const variables[], int flags)
{
    char *const *given = variables ? variables : no_variables;
    char *list[count_of(given) + ADDED + 1], preload[preload_size(given)];

    return libc_functions()->execveat(directory, path, arguments,
                                      complete(given, list, preload, sizeof(preload)), flags);
}

TAKEN_OVER int fexecve(int descriptor, char *const arguments[], char *const variables[])
{
    return execveat(descriptor, "", arguments, variables, AT_EMPTY_PATH);
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
    return start((struct start){.file = path,
                                .arguments = arguments,
                                .variables = variables,
                                .child = child,
                                .actions = actions,
                                .attributes = attributes,
                                .spawn = true});
}

TAKEN_OVER int posix_spawnp(pid_t *child, const char *file,
                            const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attributes, char *const arguments[],
                            char *const variables[])
{
    return start((struct start){.file = file,
                                .search = true,
                                .arguments = arguments,
                                .variables = variables,
                                .child = child,
                                .actions = actions,
                                .attributes = attributes,
                                .spawn = true});
}
