/* What the scenes share: each is a short play of sockets, told line by line. */
#ifndef BRAID_TESTS_API_SCENES_H
#define BRAID_TESTS_API_SCENES_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probe.h"

/* The next line of the scene: what was done, and a result as a call gives it (-1: errno). */
void tell(const char *what, long result);
void tell_text(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sockets of the scene's own ports. */
int listener(int type);
int client(int type);
struct sockaddr_in server_address(void);
struct sockaddr_in client_address(void);
/* A one-to-one association; both ends subscribe to `events` (bits of struct sctp_event_subscribe).
 */
void pair(int ends[2], unsigned events);
void subscribe(int fd, unsigned events);
#define ALL_EVENTS 0x7ffu /* but not SCTP_SENDER_DRY and what came later */
#define DATA_EVENT 1u

/* Waits until a one-to-one socket's peer has acknowledged all. */
void await_delivery(int fd);

/* Reads once, and tells everything about what came; waits at most a few seconds. */
void show(const char *what, int fd, size_t room, int flags);
/* Nothing is to be read. */
void show_silence(const char *what, int fd);
void show_option(const char *what, int fd, int level, int option);
/* The only association of a one-to-many socket. */
sctp_assoc_t association_of(int fd);

typedef void scene(void);
void scene_run(const char *name, scene *play);

void scenes_messages(void);
void scenes_lives(void);
void scenes_addresses(void);
void scenes_ready(void);

#endif
