/*
 * Programs into which no library can be loaded: statically linked ones, and those that make system
 * calls themselves, as Go's do. The kernel stops their calls on SCTP sockets (seccomp(2),
 * SECCOMP_RET_USER_NOTIF) and asks a process of ours, which carries them out with the code that is
 * otherwise loaded into programs (src/preload/). RFC 6458 is what they are.
 */
#ifndef TRAP_TRAP_H
#define TRAP_TRAP_H

#include <stdbool.h>

/* From here on, the calls of this process, and of all that it becomes or starts, are looked at.
 * 0, or a negative errno. -EBUSY: they were already. */
int trap_begin(const char *stack_name);

#endif
