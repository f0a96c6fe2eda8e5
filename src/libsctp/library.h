/*
 * What the files of libsctp.so.1 share.
 */
#ifndef LIBSCTP_LIBRARY_H
#define LIBSCTP_LIBRARY_H

#include <sys/socket.h>

#define EXPORTED __attribute__((visibility("default")))

/* The bytes of so many addresses in a row; 0 if there are none, or one has no family of ours. */
socklen_t packed_length(const struct sockaddr *addresses, int count);

#endif
