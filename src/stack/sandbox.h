/* What the stack process gives up once all is open, so that who takes it over gets little. */
#ifndef STACK_SANDBOX_H
#define STACK_SANDBOX_H

#include <stddef.h>
#include <sys/types.h>

/* Lets go of all capabilities for ever (capabilities(7), PR_SET_NO_NEW_PRIVS), of the groups, and
 * of root if `user` names another (NULL: it stays who it is). No core file is written. 0 or a
 * negative errno, with one line for the user in `text`. */
int sandbox_drop_rights(const char *user, char *text, size_t size);

/* From here on only those system calls are possible that the event loop makes (seccomp(2)): no
 * files are opened, no programs started, no sockets made but those of the channel and of rtnetlink.
 * What is not on the list fails with EPERM; an attempt to start a program or to look into another
 * ends the process. -ENOSYS: this build has no filter. */
int sandbox_filter_calls(void);

#endif
