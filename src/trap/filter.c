/*
 * The filter, a program of the kernel's for each system call (seccomp(2)): it asks us about new
 * SCTP sockets, and about calls on descriptors that may be such. All others pass, as they pass
 * without it.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/direct.h"
#include "trap/private.h"

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#else
#error "which machine is this?"
#endif

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* since Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Those whose first argument is the descriptor. */
static const uint32_t on_descriptors[] = {
    SYS_bind,        SYS_connect,    SYS_listen,     SYS_accept,   SYS_accept4, SYS_getsockname,
    SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_shutdown, SYS_sendto,  SYS_sendmsg,
    SYS_sendmmsg,    SYS_recvfrom,   SYS_recvmmsg,   SYS_read,     SYS_write,   SYS_readv,
    SYS_writev,      SYS_close,      SYS_ioctl,      SYS_dup,      SYS_fcntl,   SYS_sendfile,
    SYS_preadv2,     SYS_pwritev2,   SYS_dup3,
#ifdef SYS_dup2
    SYS_dup2,
#endif
};
#define ON_DESCRIPTORS (sizeof(on_descriptors) / sizeof(on_descriptors[0]))

/* ---- Writing it ---- */

enum label {
    NEXT,
    SOCKET,
    SOCKET_OF_IP,
    RIGHTS,
    SPLICE,
    DESCRIPTOR,
    OURS,
    ASK,
    REFUSE,
    PASS,
    LABELS
};

#define CODE_MAXIMUM (2u * INHERITED_MAXIMUM + 32u) /* beside a question for each call */

/* Jumps are to labels, until all is written. */
struct writer {
    struct sock_filter code[ON_DESCRIPTORS + CODE_MAXIMUM];
    unsigned short length;
    unsigned short labels[LABELS];
};

static void add(struct writer *writer, unsigned int code, size_t value, enum label yes,
                enum label no)
{
    writer->code[writer->length++] = (struct sock_filter){
        .code = (uint16_t)code, .jt = (uint8_t)yes, .jf = (uint8_t)no, .k = (uint32_t)value};
}

static void load(struct writer *writer, size_t offset)
{
    add(writer, BPF_LD | BPF_W | BPF_ABS, offset, NEXT, NEXT);
}

/* Its lower half, on machines that have that first. */
static void load_argument(struct writer *writer, size_t number)
{
    load(writer, offsetof(struct seccomp_data, args) + number * sizeof(uint64_t));
}

static void if_equal(struct writer *writer, size_t value, enum label yes, enum label no)
{
    add(writer, BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

static void place(struct writer *writer, enum label label)
{
    writer->labels[label] = writer->length;
}

static void write_filter(struct writer *writer, const uint32_t *inherited, size_t count)
{
    load(writer, offsetof(struct seccomp_data, arch));
    if_equal(writer, MACHINE, NEXT, PASS);
    load(writer, offsetof(struct seccomp_data, nr));
    if_equal(writer, SYS_socket, SOCKET, NEXT);
    if_equal(writer, SYS_recvmsg, RIGHTS, NEXT);
    if_equal(writer, SYS_splice, SPLICE, NEXT);
    if_equal(writer, SYS_io_uring_setup, REFUSE, NEXT); /* its calls pass by the filter */
    for (size_t i = 0; i < ON_DESCRIPTORS; i++)
        if_equal(writer, on_descriptors[i], DESCRIPTOR, i + 1 < ON_DESCRIPTORS ? NEXT : PASS);

    place(writer, SOCKET);
    load_argument(writer, 0);
    if_equal(writer, AF_INET6, SOCKET_OF_IP, NEXT);
    if_equal(writer, AF_INET, SOCKET_OF_IP, PASS);
    place(writer, SOCKET_OF_IP);
    load_argument(writer, 2);
    if_equal(writer, IPPROTO_SCTP, ASK, NEXT);
    if_equal(writer, 0, NEXT, PASS);
    load_argument(writer, 1);
    add(writer, BPF_ALU | BPF_AND | BPF_K, 0xf, NEXT, NEXT);
    if_equal(writer, SOCK_SEQPACKET, ASK, PASS);

    /* it may bring some, on whatever descriptor (rights.c) */
    place(writer, RIGHTS);
    load_argument(writer, 2);
    add(writer, BPF_JMP | BPF_JSET | BPF_K, MSG_CMSG_CLOEXEC, OURS, DESCRIPTOR);
    /* it has one at either end */
    place(writer, SPLICE);
    load_argument(writer, 2);
    for (size_t i = 0; i < count; i++)
        if_equal(writer, inherited[i], OURS, NEXT);
    add(writer, BPF_JMP | BPF_JGE | BPF_K, FIRST, OURS, DESCRIPTOR);
    place(writer, DESCRIPTOR);
    load_argument(writer, 0);
    for (size_t i = 0; i < count; i++)
        if_equal(writer, inherited[i], OURS, NEXT);
    add(writer, BPF_JMP | BPF_JGE | BPF_K, FIRST, OURS, PASS);
    /* the loaded library's own calls are for the descriptor as it is */
    place(writer, OURS);
    load_argument(writer, 5);
    if_equal(writer, (uint32_t)DIRECT_MARK, NEXT, ASK);
    load(writer, offsetof(struct seccomp_data, args[5]) + sizeof(uint32_t));
    if_equal(writer, (uint32_t)(DIRECT_MARK >> 32), PASS, ASK);
    place(writer, ASK);
    add(writer, BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF, NEXT, NEXT);
    place(writer, REFUSE);
    add(writer, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, NEXT, NEXT);
    place(writer, PASS);
    add(writer, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, NEXT, NEXT);
}

static void resolve_labels(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->length; i++) {
        struct sock_filter *each = &writer->code[i];

        if (BPF_CLASS(each->code) != BPF_JMP)
            continue;
        each->jt = each->jt == NEXT ? 0 : (uint8_t)(writer->labels[each->jt] - i - 1);
        each->jf = each->jf == NEXT ? 0 : (uint8_t)(writer->labels[each->jf] - i - 1);
    }
}

/* ---- The beginning ---- */

static long seccomp(unsigned int flags, const struct sock_fprog *program)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
}

int filter_install(const uint32_t *inherited, size_t count)
{
    struct writer writer = {.length = 0};
    struct sock_fprog program = {.filter = writer.code};
    unsigned int flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    long listener;

    write_filter(&writer, inherited, count);
    resolve_labels(&writer);
    program.len = writer.length;
    listener = seccomp(flags, &program);
    if (listener < 0 && errno == EACCES) {
        /* who has no rights must say that nobody gets any by this program's files */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            return -errno;
        listener = seccomp(flags, &program);
    }
    if (listener < 0 && errno == EINVAL)
        listener = seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return listener < 0 ? -errno : (int)listener;
}

/* In a process that nobody waits for, and that holds nothing of the program's. */
static _Noreturn void become_supervisor(int connection)
{
    int null = open("/dev/null", O_RDWR);
    char byte;
    int listener;

    setsid();
    if (fork() != 0)
        _exit(0);
    connection =
        fcntl(connection, F_DUPFD, STDERR_FILENO + 1); /* the program may have closed those below */
    for (int i = 0; i <= STDERR_FILENO; i++)
        dup2(null, i);
    connection = dup2(connection, STDERR_FILENO + 1);
    close_range(STDERR_FILENO + 2, ~0u, 0);
    (void)!chdir("/");
    prctl(PR_SET_NAME, "braid-trap");
    if (channel_receive(connection, &byte, 1, NULL, 0, &listener) <= 0 || listener < 0)
        _exit(1);
    close(connection);
    supervise(listener);
}

static size_t find_inherited(uint32_t *numbers)
{
    struct program_socket socket;
    size_t count = 0;

    for (int i = 0; i < FIRST && count < INHERITED_MAXIMUM; i++)
        if (descriptor_is_ours(i, &socket))
            numbers[count++] = (uint32_t)i;
    return count;
}

int trap_begin(const char *stack_name)
{
    uint32_t inherited[INHERITED_MAXIMUM];
    int ends[2], listener, status;
    size_t count;
    pid_t child;

    stack_set_name(stack_name);
    stack_set_start("/proc/self/exe", getenv(CHANNEL_START));
    count = find_inherited(inherited);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    child = fork();
    if (child == 0) {
        close(ends[0]);
        become_supervisor(ends[1]);
    }
    close(ends[1]);
    listener = child < 0 ? -errno : filter_install(inherited, count);
    if (listener >= 0) {
        int error = channel_send(ends[0], "", 1, NULL, 0, listener);

        close(listener);
        listener = error;
    }
    close(ends[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return listener;
}
