/* How an option is looked up, read and set: what the files of options share.
 *
 * RFC 6458, section 8. Each file has a table of what it knows; options.c asks one after the other.
 */
#ifndef SOCKET_OPTIONS_H
#define SOCKET_OPTIONS_H

#include "socket/private.h"

/* A getsockopt() or setsockopt() on its way. */
struct option_call {
    struct sctp_socket *socket;
    int level, name;
    void *value;   /* get: what the caller's buffer held, to be changed. set: read only */
    size_t length; /* get: of the buffer, then of the answer */
    const struct socket_caller *caller;
    braid_time now;
    struct sctp_socket *peeled; /* get of SCTP_SOCKOPT_PEELOFF: the new socket */
    int32_t association;        /* set of SCTP_SOCKOPT_CONNECTX: the new association */
};

struct option {
    int level, name;
    int (*get)(struct option_call *call); /* NULL: ENOPROTOOPT */
    int (*set)(struct option_call *call);
};

extern const struct option options_of_socket[]; /* each ends with a zero level */
extern const struct option options_of_ip[];
extern const struct option options_of_endpoint[];
extern const struct option options_of_association[];
extern const struct option options_of_path[];
extern const struct option options_of_failure[];
extern const struct option options_of_asconf[];
extern const struct option options_of_auth[];
extern const struct option options_of_reliability[];
extern const struct option options_of_reconfig[];
extern const struct option options_of_schedule[];

/* Copies a structure in from the caller: EINVAL if it is shorter. */
int option_read(const struct option_call *call, void *to, size_t size);
/* The same if it must have exactly this size. */
int option_read_exactly(const struct option_call *call, void *to, size_t size);
/* Answers with a structure; the caller's buffer is large enough. */
int option_answer(struct option_call *call, const void *from, size_t size);
/* The same, cut to the caller's buffer, as Linux does for generic options. */
int option_answer_cut(struct option_call *call, const void *from, size_t size);
int option_answer_int_cut(struct option_call *call, int value);
/* Of what is an option to Linux, but not in this way: EOPNOTSUPP. */
int option_get_refused(struct option_call *call);
/* An int, as most of Linux's on and off options are. */
int option_read_int(const struct option_call *call, int *value);
int option_answer_int(struct option_call *call, int value);

/* An int, or a single byte, as ip(7) takes both; nothing is 0. */
int option_read_byte_or_int(const struct option_call *call, int *value);
int option_answer_byte_or_int(struct option_call *call, int value);

/* Those that are only kept, and the error of all others (options_kept.c). */
int option_get_kept(struct option_call *call);
int option_set_kept(struct option_call *call);
void option_keep_initial(struct sctp_socket *socket);
/* The value of one of them. */
int option_kept(const struct sctp_socket *socket, int level, int name);

/* Which association an option is about. EINVAL if `identifier` names none, on a one-to-many socket
 * where only SCTP_FUTURE_ASSOC stands for the socket itself: `*association` is NULL then. */
int option_association(const struct option_call *call, sctp_assoc_t identifier,
                       struct socket_association **association);
/* Copies a sctp_assoc_value in, and finds which association it is about. */
int option_read_value(const struct option_call *call, struct sctp_assoc_value *value,
                      struct socket_association **association);
int option_read_value_exactly(const struct option_call *call, struct sctp_assoc_value *value,
                              struct socket_association **association);

/* SCTP_PR_SUPPORTED and its like: does an association have what both sides must offer, or the
 * socket offer it to future ones? */
int option_get_supported(struct option_call *call, bool offered,
                         bool (*has)(const struct braid_association_info *info));
int option_set_supported(struct option_call *call, bool *offered);

/* For options that also know SCTP_CURRENT_ASSOC and SCTP_ALL_ASSOC: applies to each that is meant;
 * `association` is NULL for the socket itself, that is for its future associations. */
int option_for_each(struct option_call *call, sctp_assoc_t identifier,
                    void (*apply)(struct sctp_socket *socket,
                                  struct socket_association *association, const void *value),
                    const void *value);

/* The peers of future associations must authenticate chunks of this type (RFC 4895). False: there
 * are too many. */
bool option_add_auth_chunk(struct braid_parameters *parameters, uint8_t type);
/* As on Linux ASCONF and ASCONF ACK join the list when both that and AUTH are on. */
void option_require_asconf(struct sctp_socket *socket);

/* A path of an association; a NULL association is the socket itself. */
struct option_path {
    struct socket_association *association;
    uint32_t index;
    bool all; /* no address was given */
};

/* Finds the path that a sockaddr_storage and an association identifier name. No address means all
 * paths, and no association then the socket. EINVAL. */
int option_find_paths(const struct option_call *call, const void *storage, sctp_assoc_t identifier,
                      struct option_path *path);

/* What there is to know of a path, as SCTP_STATUS and SCTP_GET_PEER_ADDR_INFO tell it. */
void option_fill_path(const struct socket_association *association,
                      const struct braid_path_info *path, struct sctp_paddrinfo *info);

/* Sets the same thing in all associations: options of the socket that take effect at once. */
void option_for_all(struct sctp_socket *socket,
                    void (*apply)(struct sctp_socket *socket, struct braid_parameters *parameters));

#endif
