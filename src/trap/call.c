/*
 * Which call is it?
 */
#include <sys/syscall.h>

#include "trap/private.h"

static const struct {
    int number;
    int64_t (*handle)(struct trapped *trapped);
} calls[] = {
    {SYS_bind, trapped_bind},
    {SYS_connect, trapped_connect},
    {SYS_listen, trapped_listen},
    {SYS_accept, trapped_accept},
    {SYS_accept4, trapped_accept4},
    {SYS_shutdown, trapped_shutdown},
    {SYS_close, trapped_close},
    {SYS_getsockname, trapped_getsockname},
    {SYS_getpeername, trapped_getpeername},
    {SYS_getsockopt, trapped_getsockopt},
    {SYS_setsockopt, trapped_setsockopt},
    {SYS_ioctl, trapped_ioctl},
    {SYS_dup, trapped_dup},
    {SYS_fcntl, trapped_fcntl},
    {SYS_dup3, trapped_dup_to},
#ifdef SYS_dup2
    {SYS_dup2, trapped_dup_to},
#endif
    {SYS_write, trapped_write},
    {SYS_writev, trapped_writev},
    {SYS_sendto, trapped_sendto},
    {SYS_sendmsg, trapped_sendmsg},
    {SYS_sendmmsg, trapped_sendmmsg},
    {SYS_sendfile, trapped_sendfile},
    {SYS_read, trapped_read},
    {SYS_readv, trapped_readv},
    {SYS_preadv2, trapped_preadv2},
    {SYS_pwritev2, trapped_pwritev2},
    {SYS_recvfrom, trapped_recvfrom},
    {SYS_recvmsg, trapped_recvmsg},
    {SYS_recvmmsg, trapped_recvmmsg},
};

int64_t call(struct trapped *trapped)
{
    int number = trapped->question->data.nr;

    int error = target_open(trapped);

    if (number == SYS_socket)
        return error < 0 ? error : trapped_socket(trapped);
    if (error == 0 && number == SYS_splice)
        return trapped_splice(trapped);
    if (error < 0 || !target_take(trapped, trapped->argument[0]))
        return error == 0 && number == SYS_recvmsg ? trapped_rights(trapped) : CONTINUE;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i].number == number)
            return calls[i].handle(trapped);
    return CONTINUE;
}
