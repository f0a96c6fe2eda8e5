/*
 * The thread that asks: its memory, its descriptors, its signals.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap/private.h"

#define PIDFD_OF_THREAD O_EXCL /* PIDFD_THREAD, since Linux 6.9 */

/* ---- The process ---- */

static FILE *open_status(pid_t thread)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
    return fopen(path, "re");
}

static pid_t process_of(pid_t thread)
{
    FILE *status = open_status(thread);
    char line[256];
    int process = -1;

    while (status && process < 0 && fgets(line, sizeof(line), status))
        (void)sscanf(line, "Tgid: %d", &process); /* NOLINT(cert-err34-c): the kernel's numbers */
    if (status)
        fclose(status);
    return process;
}

static int open_process(pid_t thread)
{
    int process = (int)syscall(SYS_pidfd_open, thread, PIDFD_OF_THREAD);

    if (process < 0 && errno == EINVAL)
        process = (int)syscall(SYS_pidfd_open, thread, 0);
    if (process < 0)
        process = (int)syscall(SYS_pidfd_open, process_of(thread), 0);
    return process;
}

int target_open(struct trapped *trapped)
{
    trapped->process = open_process(trapped->thread);
    return trapped->process < 0 ? -errno : 0;
}

int target_copy(const struct trapped *trapped, uint64_t number)
{
    int copy = (int)syscall(SYS_pidfd_getfd, trapped->process, (int)number, 0);

    return copy < 0 ? -errno : copy;
}

static bool is_valid(const struct trapped *trapped)
{
    return ioctl(trapped->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &trapped->question->id) == 0;
}

bool target_take(struct trapped *trapped, uint64_t number)
{
    int copy = target_copy(trapped, number);

    if (copy < 0)
        return false;
    descriptor_forget(copy);
    /* who asked may have died, and another have its number */
    if (descriptor_is_ours(copy, &trapped->socket) && is_valid(trapped)) {
        trapped->socket.descriptor = copy;
        return true;
    }
    close(copy);
    return false;
}

void target_close(struct trapped *trapped)
{
    if (trapped->socket.descriptor >= 0)
        close(trapped->socket.descriptor);
    if (trapped->process >= 0)
        close(trapped->process);
}

/* ---- Memory ---- */

/* NOLINTBEGIN(performance-no-int-to-ptr): addresses of another process */
int target_read(const struct trapped *trapped, uint64_t from, void *to, size_t length)
{
    struct iovec own = {to, length}, its = {(void *)from, length};

    return length == 0 || process_vm_readv(trapped->thread, &own, 1, &its, 1, 0) == (ssize_t)length
               ? 0
               : -EFAULT;
}

int target_write(const struct trapped *trapped, uint64_t to, const void *from, size_t length)
{
    struct iovec own = {(void *)from, length}, its = {(void *)to, length};

    return length == 0 || process_vm_writev(trapped->thread, &own, 1, &its, 1, 0) == (ssize_t)length
               ? 0
               : -EFAULT;
}
/* NOLINTEND(performance-no-int-to-ptr) */

/* ---- Descriptors ---- */

static int give(const struct trapped *trapped, int descriptor, int number, bool close_on_exec)
{
    struct seccomp_notif_addfd order = {
        .id = trapped->question->id,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = (uint32_t)descriptor,
        .newfd = (uint32_t)number,
        .newfd_flags = close_on_exec ? O_CLOEXEC : 0,
    };
    int given = ioctl(trapped->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &order);

    return given < 0 ? -errno : given;
}

static bool is_free(const struct trapped *trapped, int number)
{
    int copy = target_copy(trapped, (uint64_t)number);

    if (copy >= 0)
        close(copy);
    return copy == -EBADF;
}

static int find_free(const struct trapped *trapped, int begin, int end)
{
    for (int number = begin; number < end; number++)
        if (is_free(trapped, number))
            return number;
    return -EMFILE;
}

/* Below what select() can have, if there is room. */
static int find_number(const struct trapped *trapped, uint32_t least)
{
    struct rlimit limit = {0};
    int begin = least > FIRST ? (int)least : FIRST;
    int number, end;

    if (prlimit(trapped->thread, RLIMIT_NOFILE, NULL, &limit) < 0)
        return -errno;
    end = limit.rlim_cur < INT32_MAX ? (int)limit.rlim_cur : INT32_MAX;
    number = begin < SELECT_END ? find_free(trapped, begin, end < SELECT_END ? end : SELECT_END)
                                : -EMFILE;
    if (number == -EMFILE && end > SELECT_END)
        number = find_free(trapped, begin > SELECT_END ? begin : SELECT_END, end);
    return number;
}

int target_give(const struct trapped *trapped, int descriptor, bool close_on_exec, uint32_t least)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    int number;

    pthread_mutex_lock(&one_at_a_time);
    number = find_number(trapped, least);
    if (number >= 0)
        number = give(trapped, descriptor, number, close_on_exec);
    pthread_mutex_unlock(&one_at_a_time);
    close(descriptor);
    return number;
}

int target_give_lowest(const struct trapped *trapped, int descriptor)
{
    struct seccomp_notif_addfd order = {
        .id = trapped->question->id, .srcfd = (uint32_t)descriptor, .newfd_flags = O_CLOEXEC};
    int given = ioctl(trapped->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &order);

    given = given < 0 ? -errno : given;
    close(descriptor);
    return given;
}

int target_empty(const struct trapped *trapped, int number)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int result = null < 0 ? -errno : give(trapped, null, number, true);

    if (null >= 0)
        close(null);
    return result < 0 ? result : 0;
}

/* ---- Signals ---- */

bool target_has_signal(pid_t thread)
{
    FILE *status = open_status(thread);
    unsigned long long own = 0, shared = 0, blocked = 0, ignored = 0;
    char line[256];

    while (status && fgets(line, sizeof(line), status))
        /* NOLINTNEXTLINE(cert-err34-c): the kernel's numbers */
        (void)(sscanf(line, "SigPnd: %llx", &own) || sscanf(line, "ShdPnd: %llx", &shared) ||
               sscanf(line, "SigBlk: %llx", &blocked) || sscanf(line, "SigIgn: %llx", &ignored));
    if (status)
        fclose(status);
    /* those of the process are the main thread's, if it does not block them */
    if (process_of(thread) != thread)
        shared = 0;
    return ((own | shared) & ~blocked & ~ignored) != 0;
}
