/* Rights that are given up: sandbox.h. Nothing of SCTP is in here.
 *
 * The links need CAP_NET_RAW only when they are opened, and the capture, the log and the host's
 * settings are opened before, too.
 */
#include "stack/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- Rights ---- */

static int become(const char *name, char *text, size_t size)
{
    const struct passwd *user;

    errno = 0;
    user = getpwnam(name);
    if (!user) {
        snprintf(text, size, "there is no user '%s'", name);
        return errno != 0 ? -errno : -ENOENT;
    }
    if (capng_change_id((int)user->pw_uid, (int)user->pw_gid,
                        CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT) != 0) {
        snprintf(text, size, "it could not become user '%s'", name);
        return -EPERM;
    }
    return 0;
}

int sandbox_drop_rights(const char *user, char *text, size_t size)
{
    const struct rlimit none = {0, 0};
    int error = 0;

    capng_get_caps_process();
    /* who may not change the bounding set gains nothing by it after PR_SET_NO_NEW_PRIVS */
    if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
        capng_clear(CAPNG_SELECT_BOUNDS);
        error = user ? 0 : capng_apply(CAPNG_SELECT_BOUNDS);
    }
    capng_clear(CAPNG_SELECT_BOTH);
    if (error == 0 && user)
        error = become(user, text, size);
    if (error == 0)
        error = capng_apply(CAPNG_SELECT_CAPS) != 0 ? -EPERM : 0;
    if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        error = -errno;
    if (error == 0 && setrlimit(RLIMIT_CORE, &none) < 0) /* it would hold people's data */
        error = -errno;
    if (error != 0 && text[0] == 0)
        snprintf(text, size, "its rights could not be given up: %s", strerror(EPERM));
    return error > 0 ? -EPERM : error;
}

/* ---- System calls ---- */

#if STACK_FILTER

static const int allowed[] = {
    /* descriptors */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), /* of a descriptor: glibc's fstat(); no path is opened by it */
    SCMP_SYS(lseek),
    SCMP_SYS(ftruncate),
    SCMP_SYS(memfd_create),
    SCMP_SYS(pipe2),
    SCMP_SYS(dup),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    /* sockets */
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* time, chance, and the end */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(geteuid),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Nobody but an attacker calls these here. */
static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(userfaultfd),
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++)
        if (calls[i] >= 0) /* some machines lack some */
            error = seccomp_rule_add(filter, action, calls[i], 0);
    return error;
}

/* Those that are allowed in one way only. */
static int add_narrow(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp netlink = SCMP_A0(SCMP_CMP_EQ, AF_NETLINK);
    const struct scmp_arg_cmp local = SCMP_A0(SCMP_CMP_EQ, AF_UNIX);
    const struct scmp_arg_cmp out = SCMP_A1(SCMP_CMP_EQ, SIOCOUTQ);
    const struct scmp_arg_cmp in = SCMP_A1(SCMP_CMP_EQ, FIONREAD);
    const struct scmp_arg_cmp ourselves = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
    int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_executable);

    if (error == 0)
        error =
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_executable);
    if (error == 0)
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &netlink);
    if (error == 0)
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, &local);
    if (error == 0)
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &out);
    if (error == 0)
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &in);
    if (error == 0) /* abort() */
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &ourselves);
    return error;
}

int sandbox_filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int error = filter ? 0 : -ENOMEM;

    tzset(); /* reads a file */
    if (error == 0)
        error = add_all(filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));
    if (error == 0)
        error = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(deadly[0]));
    if (error == 0)
        error = add_narrow(filter);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

#else

int sandbox_filter_calls(void)
{
    return -ENOSYS;
}

#endif
