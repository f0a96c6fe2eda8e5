/*
 * The SCTP socket API of Linux (RFC 6458): what programs include.
 *
 * Structures, options, notifications and ancillary data are the kernel's own, from its header, so a
 * program that was compiled with this file runs on a kernel with SCTP as well as on Braid. Here are
 * the functions of RFC 6458, section 9, as libsctp.so.1 has them, and what they take.
 */
#ifndef BRAID_NETINET_SCTP_H
#define BRAID_NETINET_SCTP_H

#ifndef _LINUX_IN_H /* who has the kernel's header cannot have the other */
#include <netinet/in.h>
#endif
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/sctp.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif
#ifndef SOL_SCTP
#define SOL_SCTP 132
#endif

/* What programs test for at compile time: all of it is there. */
#define HAVE_SCTP
#define HAVE_KERNEL_SCTP
#define HAVE_SCTP_MULTIBUF
#define HAVE_SCTP_NOCONNECT
#define HAVE_SCTP_PRSCTP
#define HAVE_SCTP_ADDIP
#define HAVE_SCTP_CANSET_PRIMARY
#define HAVE_SCTP_STREAM_RESET_EVENT 1
#define HAVE_SCTP_STREAM_RECONFIG 1
#define HAVE_SCTP_PEELOFF_FLAGS 1
#define HAVE_SCTP_PDAPI_EVENT_PDAPI_STREAM 1
#define HAVE_SCTP_PDAPI_EVENT_PDAPI_SEQ 1
#define HAVE_SCTP_SENDV 1
#define HAVE_SCTP_AUTH_NO_AUTH 1
#define HAVE_SCTP_SPP_IPV6_FLOWLABEL 1
#define HAVE_SCTP_SPP_DSCP 1

/* ---- Addresses and associations: 9.1 to 9.9 ---- */

/* Adds addresses to those that the socket is bound to (SCTP_BINDX_ADD_ADDR), or takes them away
 * (SCTP_BINDX_REM_ADDR). `addrs` are packed: each as long as its family says. */
int sctp_bindx(int sd, struct sockaddr *addrs, int addrcnt, int flags);
/* Sets an association up with a peer that has several addresses. `id` may be NULL. */
int sctp_connectx(int sd, struct sockaddr *addrs, int addrcnt, sctp_assoc_t *id);
/* Makes an association of a one-to-many socket a socket of its own: its descriptor, or -1. */
int sctp_peeloff(int sd, sctp_assoc_t assoc_id);
int sctp_peeloff_flags(int sd, sctp_assoc_t assoc_id, unsigned flags);
/* getsockopt() for options whose value says which association is meant. */
int sctp_opt_info(int sd, sctp_assoc_t id, int opt, void *arg, socklen_t *size);
/* The peer's addresses, and ours: how many, or -1. To be freed by the function below each. */
int sctp_getpaddrs(int sd, sctp_assoc_t id, struct sockaddr **addrs);
int sctp_freepaddrs(struct sockaddr *addrs);
int sctp_getladdrs(int sd, sctp_assoc_t id, struct sockaddr **addrs);
int sctp_freeladdrs(struct sockaddr *addrs);
/* The size of a family's sockaddr. */
int sctp_getaddrlen(sa_family_t family);

/* ---- Messages: 9.10 to 9.13 ---- */

int sctp_sendmsg(int s, const void *msg, size_t len, struct sockaddr *to, socklen_t tolen,
                 uint32_t ppid, uint32_t flags, uint16_t stream_no, uint32_t timetolive,
                 uint32_t context);
int sctp_send(int s, const void *msg, size_t len, const struct sctp_sndrcvinfo *sinfo, int flags);
/* To a peer with several addresses, which are packed (deprecated: sctp_sendv()). */
int sctp_sendx(int sd, const void *msg, size_t len, struct sockaddr *addrs, int addrcnt,
               const struct sctp_sndrcvinfo *sinfo, int flags);
int sctp_recvmsg(int s, void *msg, size_t len, struct sockaddr *from, socklen_t *fromlen,
                 struct sctp_sndrcvinfo *sinfo, int *msg_flags);

/* What `info` of sctp_sendv() is, by `infotype`. */
enum {
    SCTP_SENDV_NOINFO,
    SCTP_SENDV_SNDINFO,
    SCTP_SENDV_PRINFO,
    SCTP_SENDV_AUTHINFO,
    SCTP_SENDV_SPA
};

/* Which fields of struct sctp_sendv_spa count. */
#define SCTP_SEND_SNDINFO_VALID 0x1
#define SCTP_SEND_PRINFO_VALID 0x2
#define SCTP_SEND_AUTHINFO_VALID 0x4

struct sctp_sendv_spa {
    uint32_t sendv_flags;
    struct sctp_sndinfo sendv_sndinfo;
    struct sctp_prinfo sendv_prinfo;
    struct sctp_authinfo sendv_authinfo;
};

int sctp_sendv(int s, const struct iovec *iov, int iovcnt, struct sockaddr *addrs, int addrcnt,
               void *info, socklen_t infolen, unsigned int infotype, int flags);

/* What sctp_recvv() wrote to `info`. */
enum { SCTP_RECVV_NOINFO, SCTP_RECVV_RCVINFO, SCTP_RECVV_NXTINFO, SCTP_RECVV_RN };

struct sctp_recvv_rn {
    struct sctp_rcvinfo recvv_rcvinfo;
    struct sctp_nxtinfo recvv_nxtinfo;
};

int sctp_recvv(int s, const struct iovec *iov, int iovlen, struct sockaddr *from,
               socklen_t *fromlen, void *info, socklen_t *infolen, unsigned int *infotype,
               int *flags);

#ifdef __cplusplus
}
#endif
#endif
