/*
 * What multihome_server and multihome_client share: lists of addresses, and notifications of paths.
 *
 * RFC 6458, section 9.1 (packed addresses), 6.1.2 (SCTP_PEER_ADDR_CHANGE); RFC 7829, section 7; RFC
 * 6458, section 8.1.1 (SCTP_RTOINFO), 8.1.12 (SCTP_PEER_ADDR_PARAMS).
 */
#ifndef MULTIHOME_H
#define MULTIHOME_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES 16

static inline void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* Addresses as sctp_bindx() and sctp_connectx() take them: one behind the other, without gaps. */
struct address_list {
    char bytes[ADDRESSES * sizeof(struct sockaddr_in6)];
    size_t length;
    int count;
    int family; /* of a socket that can have all of them */
};

static inline void add_address(struct address_list *list, const char *text, in_port_t port)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = port};
    int is_ipv4 = inet_pton(AF_INET, text, &ipv4.sin_addr) == 1;
    size_t length = is_ipv4 ? sizeof(ipv4) : sizeof(ipv6);

    if ((!is_ipv4 && inet_pton(AF_INET6, text, &ipv6.sin6_addr) != 1) || list->count == ADDRESSES) {
        fprintf(stderr, "'%s' is not an address, or one too many\n", text);
        exit(2);
    }
    memcpy(list->bytes + list->length, is_ipv4 ? (void *)&ipv4 : (void *)&ipv6, length);
    list->length += length;
    list->count++;
    if (list->family != AF_INET6)
        list->family = is_ipv4 ? AF_INET : AF_INET6;
}

static inline in_port_t read_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || port == 0 || port > 65535) {
        fprintf(stderr, "'%s' is not a port\n", text);
        exit(2);
    }
    return htons((in_port_t)port);
}

/* Asks to be told of every change of a path, also that it has perhaps failed. */
static inline void ask_for_path_changes(int descriptor)
{
    struct sctp_event event = {
        .se_assoc_id = SCTP_FUTURE_ASSOC, .se_type = SCTP_PEER_ADDR_CHANGE, .se_on = 1};
    struct sctp_assoc_value expose = {.assoc_id = SCTP_FUTURE_ASSOC, .assoc_value = 2};

    if (setsockopt(descriptor, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof(event)) < 0)
        fail("SCTP_EVENT");
    if (setsockopt(descriptor, IPPROTO_SCTP, SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, &expose,
                   sizeof(expose)) < 0)
        fail("SCTP_EXPOSE_POTENTIALLY_FAILED_STATE");
}

/* A path is left when 300 ms pass without an answer, and asked after each second. Without this it
 * would take a second (RTO.Min of RFC 9260), and half a minute. Less than the 200 ms by which a
 * peer may hold its SACK back would be too little. */
static inline void be_impatient(int descriptor)
{
    struct sctp_rtoinfo rto = {.srto_initial = 500, .srto_min = 300, .srto_max = 2000};
    struct sctp_paddrparams path = {.spp_flags = SPP_HB_ENABLE, .spp_hbinterval = 1000};

    if (setsockopt(descriptor, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof(rto)) < 0)
        fail("SCTP_RTOINFO");
    if (setsockopt(descriptor, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path)) < 0)
        fail("SCTP_PEER_ADDR_PARAMS");
}

/* Says what a notification tells of a path. */
static inline void print_path_change(const void *bytes, size_t length)
{
    static const char *const states[] = {
        "is available again",      "is unreachable",      "was removed",        "was added",
        "is now the primary path", "belongs to the peer", "has perhaps failed",
    };
    struct sctp_paddr_change change;
    struct sockaddr_storage storage;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    char text[INET6_ADDRSTRLEN] = "?";

    if (length < sizeof(change))
        return;
    memcpy(&change, bytes, sizeof(change));
    if (change.spc_type != SCTP_PEER_ADDR_CHANGE || change.spc_state < 0 ||
        (size_t)change.spc_state >= sizeof(states) / sizeof(states[0]))
        return;
    memcpy(&storage, &change.spc_aaddr, sizeof(storage));
    memcpy(&ipv4, &storage, sizeof(ipv4));
    memcpy(&ipv6, &storage, sizeof(ipv6));
    if (storage.ss_family == AF_INET)
        inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof(text));
    printf("%s %s\n", text, states[change.spc_state]);
    fflush(stdout);
}

#endif
