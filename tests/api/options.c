/*
 * Each option of SOL_SCTP, and the generic ones that programs use with SCTP: read and written with
 * the right size and wrong ones, for each kind of association id, and with each of its 32-bit words
 * set to values at the edges.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define NO_ID (-1)

struct option {
    const char *name;
    int level;
    int option;
    int size;        /* of its structure */
    int id_at;       /* where in it the association id is, or NO_ID */
    int address_at;  /* where in it an address is, or 0 */
    int first_word;  /* of those whose values are tried */
    int words;       /* how many are tried */
    uint64_t times;  /* bits of the words that are milliseconds: the kernel rounds to its ticks */
    uint64_t hidden; /* bits of the words that are not shown: they differ from run to run */
};

#define W(word) (1ull << (word))
#define ALL_HIDDEN UINT64_MAX
#define SCTP_OPTION(option, type, id, address, first, words, times, hidden)                        \
    {                                                                                              \
#option, SOL_SCTP, option, sizeof(type), id, address, first, words, times, hidden          \
    }
#define NUMBER(level, option)                                                                      \
    {                                                                                              \
#option, level, option, sizeof(int), NO_ID, 0, 0, 1, 0, 0                                  \
    }
#define VALUE(option)                                                                              \
    {                                                                                              \
#option, SOL_SCTP, option, sizeof(struct sctp_assoc_value), 0, 0, 1, 1, 0, 0               \
    }

static const struct option options[] = {
    SCTP_OPTION(SCTP_RTOINFO, struct sctp_rtoinfo, 0, 0, 1, 3, W(1) | W(2) | W(3), 0),
    SCTP_OPTION(SCTP_ASSOCINFO, struct sctp_assocparams, 0, 0, 1, 4, W(4), W(2) | W(3)),
    SCTP_OPTION(SCTP_INITMSG, struct sctp_initmsg, NO_ID, 0, 0, 2, 0, 0),
    NUMBER(SOL_SCTP, SCTP_NODELAY),
    NUMBER(SOL_SCTP, SCTP_AUTOCLOSE),
    SCTP_OPTION(SCTP_SET_PEER_PRIMARY_ADDR, struct sctp_setpeerprim, 0, 4, 0, 0, 0, 0),
    SCTP_OPTION(SCTP_PRIMARY_ADDR, struct sctp_prim, 0, 4, 0, 0, 0, 0),
    SCTP_OPTION(SCTP_ADAPTATION_LAYER, struct sctp_setadaptation, NO_ID, 0, 0, 1, 0, 0),
    NUMBER(SOL_SCTP, SCTP_DISABLE_FRAGMENTS),
    SCTP_OPTION(SCTP_PEER_ADDR_PARAMS, struct sctp_paddrparams, 0, 4, 33, 6, W(33) | W(35) | W(36),
                0),
    SCTP_OPTION(SCTP_DEFAULT_SEND_PARAM, struct sctp_sndrcvinfo, 28, 0, 0, 5, 0, 0),
    SCTP_OPTION(SCTP_EVENTS, struct sctp_event_subscribe, NO_ID, 0, 0, 3, 0, 0),
    NUMBER(SOL_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR),
    VALUE(SCTP_MAXSEG),
    /* the window, unacknowledged and pending data; cwnd, which RFC 9260 counts in another way,
       srtt, rto */
    SCTP_OPTION(SCTP_STATUS, struct sctp_status, 0, 0, 0, 0, 0,
                W(2) | W(3) | W(40) | W(41) | W(42)),
    SCTP_OPTION(SCTP_GET_PEER_ADDR_INFO, struct sctp_paddrinfo, 0, 4, 0, 0, 0,
                W(34) | W(35) | W(36)),
    SCTP_OPTION(SCTP_DELAYED_SACK, struct sctp_sack_info, 0, 0, 1, 2, W(1), 0),
    VALUE(SCTP_CONTEXT),
    NUMBER(SOL_SCTP, SCTP_FRAGMENT_INTERLEAVE),
    NUMBER(SOL_SCTP, SCTP_PARTIAL_DELIVERY_POINT),
    VALUE(SCTP_MAX_BURST),
    SCTP_OPTION(SCTP_AUTH_CHUNK, struct sctp_authchunk, NO_ID, 0, 0, 0, 0, 0),
    {"SCTP_HMAC_IDENT", SOL_SCTP, SCTP_HMAC_IDENT, 8, NO_ID, 0, 0, 2, 0, 0},
    SCTP_OPTION(SCTP_AUTH_KEY, struct sctp_authkey, 0, 0, 1, 1, 0, 0),
    SCTP_OPTION(SCTP_AUTH_ACTIVE_KEY, struct sctp_authkeyid, 0, 0, 1, 1, 0, 0),
    SCTP_OPTION(SCTP_AUTH_DELETE_KEY, struct sctp_authkeyid, 0, 0, 1, 1, 0, 0),
    SCTP_OPTION(SCTP_AUTH_DEACTIVATE_KEY, struct sctp_authkeyid, 0, 0, 1, 1, 0, 0),
    {"SCTP_PEER_AUTH_CHUNKS", SOL_SCTP, SCTP_PEER_AUTH_CHUNKS, 64, 0, 0, 0, 0, 0, 0},
    {"SCTP_LOCAL_AUTH_CHUNKS", SOL_SCTP, SCTP_LOCAL_AUTH_CHUNKS, 64, 0, 0, 0, 0, 0, 0},
    NUMBER(SOL_SCTP, SCTP_GET_ASSOC_NUMBER),
    {"SCTP_GET_ASSOC_ID_LIST", SOL_SCTP, SCTP_GET_ASSOC_ID_LIST, 16, NO_ID, 0, 0, 0, 0, ALL_HIDDEN},
    NUMBER(SOL_SCTP, SCTP_AUTO_ASCONF),
    SCTP_OPTION(SCTP_PEER_ADDR_THLDS, struct sctp_paddrthlds, 0, 8, 34, 1, 0, 0),
    SCTP_OPTION(SCTP_PEER_ADDR_THLDS_V2, struct sctp_paddrthlds_v2, 0, 8, 34, 1, 0, 0),
    NUMBER(SOL_SCTP, SCTP_RECVRCVINFO),
    NUMBER(SOL_SCTP, SCTP_RECVNXTINFO),
    SCTP_OPTION(SCTP_DEFAULT_SNDINFO, struct sctp_sndinfo, 12, 0, 0, 3, 0, 0),
    NUMBER(SOL_SCTP, SCTP_REUSE_PORT),
    SCTP_OPTION(SCTP_GET_ASSOC_STATS, struct sctp_assoc_stats, 0, 0, 0, 0, 0, ALL_HIDDEN),
    VALUE(SCTP_PR_SUPPORTED),
    SCTP_OPTION(SCTP_DEFAULT_PRINFO, struct sctp_default_prinfo, 0, 0, 1, 2, 0, 0),
    SCTP_OPTION(SCTP_PR_ASSOC_STATUS, struct sctp_prstatus, 0, 0, 1, 1, 0, 0),
    SCTP_OPTION(SCTP_PR_STREAM_STATUS, struct sctp_prstatus, 0, 0, 1, 1, 0, 0),
    VALUE(SCTP_RECONFIG_SUPPORTED),
    VALUE(SCTP_ENABLE_STREAM_RESET),
    SCTP_OPTION(SCTP_RESET_STREAMS, struct sctp_reset_streams, 0, 0, 1, 1, 0, 0),
    {"SCTP_RESET_ASSOC", SOL_SCTP, SCTP_RESET_ASSOC, 4, 0, 0, 0, 0, 0, 0},
    SCTP_OPTION(SCTP_ADD_STREAMS, struct sctp_add_streams, 0, 0, 1, 1, 0, 0),
    VALUE(SCTP_STREAM_SCHEDULER),
    SCTP_OPTION(SCTP_STREAM_SCHEDULER_VALUE, struct sctp_stream_value, 0, 0, 1, 1, 0, 0),
    VALUE(SCTP_INTERLEAVING_SUPPORTED),
    SCTP_OPTION(SCTP_EVENT, struct sctp_event, 0, 0, 1, 1, 0, 0),
    VALUE(SCTP_ASCONF_SUPPORTED),
    VALUE(SCTP_AUTH_SUPPORTED),
    VALUE(SCTP_ECN_SUPPORTED),
    VALUE(SCTP_EXPOSE_POTENTIALLY_FAILED_STATE),
    SCTP_OPTION(SCTP_REMOTE_UDP_ENCAPS_PORT, struct sctp_udpencaps, 0, 4, 33, 1, 0, 0),
    SCTP_OPTION(SCTP_PLPMTUD_PROBE_INTERVAL, struct sctp_probeinterval, 0, 4, 33, 1, W(33), 0),
    {"SCTP_NOT_AN_OPTION", SOL_SCTP, 150, 4, NO_ID, 0, 0, 1, 0, 0},
    NUMBER(SOL_SOCKET, SO_RCVBUF),
    NUMBER(SOL_SOCKET, SO_SNDBUF),
    {"SO_LINGER", SOL_SOCKET, SO_LINGER, sizeof(struct linger), NO_ID, 0, 0, 2, 0, 0},
    NUMBER(SOL_SOCKET, SO_REUSEADDR),
    NUMBER(SOL_SOCKET, SO_REUSEPORT),
    NUMBER(SOL_SOCKET, SO_KEEPALIVE),
    NUMBER(SOL_SOCKET, SO_BROADCAST),
    NUMBER(SOL_SOCKET, SO_OOBINLINE),
    NUMBER(SOL_SOCKET, SO_ERROR),
    NUMBER(SOL_SOCKET, SO_TYPE),
    NUMBER(SOL_SOCKET, SO_DOMAIN),
    NUMBER(SOL_SOCKET, SO_PROTOCOL),
    NUMBER(SOL_SOCKET, SO_ACCEPTCONN),
    NUMBER(SOL_SOCKET, SO_PRIORITY),
    NUMBER(SOL_SOCKET, SO_RCVLOWAT),
    NUMBER(SOL_SOCKET, SO_SNDLOWAT),
    NUMBER(SOL_SOCKET, SO_DONTROUTE),
    NUMBER(SOL_SOCKET, SO_MARK),
    NUMBER(SOL_SOCKET, SO_TIMESTAMP),
    NUMBER(SOL_SOCKET, SO_TIMESTAMPNS),
    NUMBER(SOL_SOCKET, SO_PASSCRED),
    NUMBER(SOL_SOCKET, SO_PEEK_OFF),
    NUMBER(SOL_SOCKET, SO_NO_CHECK),
    NUMBER(SOL_SOCKET, SO_RXQ_OVFL),
    NUMBER(SOL_SOCKET, SO_MAX_PACING_RATE),
    NUMBER(SOL_SOCKET, SO_ZEROCOPY),
    NUMBER(SOL_SOCKET, SO_RCVBUFFORCE),
    NUMBER(SOL_SOCKET, SO_BINDTODEVICE),
    NUMBER(SOL_SOCKET, SO_BINDTOIFINDEX),
    {"SO_PEERCRED", SOL_SOCKET, SO_PEERCRED, sizeof(struct ucred), NO_ID, 0, 0, 0, 0, 0},
    {"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval), NO_ID, 0, 0, 4, 0, 0},
    {"SO_SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval), NO_ID, 0, 0, 4, 0, 0},
    NUMBER(IPPROTO_IP, IP_TOS),
    NUMBER(IPPROTO_IP, IP_TTL),
    NUMBER(IPPROTO_IP, IP_FREEBIND),
    NUMBER(IPPROTO_IP, IP_MTU_DISCOVER),
    NUMBER(IPPROTO_IP, IP_RECVERR),
    NUMBER(IPPROTO_IP, IP_MTU),
    NUMBER(IPPROTO_IP, IP_PKTINFO),
    NUMBER(IPPROTO_IP, IP_RECVTTL),
    NUMBER(IPPROTO_IP, IP_RECVTOS),
    NUMBER(IPPROTO_IP, IP_TRANSPARENT),
    NUMBER(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
    NUMBER(IPPROTO_IPV6, IPV6_V6ONLY),
    NUMBER(IPPROTO_IPV6, IPV6_TCLASS),
    NUMBER(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
    NUMBER(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
    NUMBER(IPPROTO_IPV6, IPV6_MTU),
    NUMBER(IPPROTO_IPV6, IPV6_RECVERR),
    NUMBER(IPPROTO_IPV6, IPV6_RECVPKTINFO),
    NUMBER(IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
    NUMBER(IPPROTO_IPV6, IPV6_RECVTCLASS),
    NUMBER(IPPROTO_IPV6, IPV6_FREEBIND),
    NUMBER(IPPROTO_IPV6, IPV6_TRANSPARENT),
    NUMBER(IPPROTO_TCP, TCP_NODELAY),
};

#define KINDS (PEELED + 1) /* options are asked of SCTP sockets */
#define OPTIONS (int)(sizeof(options) / sizeof(options[0]))

static struct place places[STATES];

/* What the machine allows at the most. */
static int buffer_maximum(const char *name)
{
    char path[64];
    int maximum = 0;
    snprintf(path, sizeof(path), "/proc/sys/net/core/%s", name);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%d", &maximum) != 1)
        maximum = 212992;
    if (file)
        fclose(file);
    return maximum;
}

static int zeros_at(const unsigned char *value, int at, int length)
{
    int zeros = 0;
    while (at + 4 * (zeros + 1) <= length) {
        int32_t word;
        memcpy(&word, value + at + 4 * zeros, 4);
        if (word != 0)
            break;
        zeros++;
    }
    return zeros;
}

/* The value as 32-bit words in decimal, the association id as "id", addresses as whose they are. */
static void words_add(struct answer *answer, const struct option *option, const struct place *place,
                      const unsigned char *value, int length)
{
    for (int at = 0; at < length; at += 4) {
        int32_t word = 0;
        int left = length - at < 4 ? length - at : 4;
        int zeros = zeros_at(value, at, length);
        memcpy(&word, value + at, (size_t)left);
        bool address = at < 140 && option->level == SOL_SCTP && length > 128 &&
                       (word & 0xffff) == AF_INET && (word >> 16) != 0;
        if (at / 4 < 64 && option->hidden & W(at / 4)) {
            answer_add(answer, " *");
        } else if (place->is_id && word == (int32_t)place->is_id &&
                   (option->id_at == at || (option->option == SCTP_STATUS && at == 24))) {
            answer_add(answer, " id");
        } else if (address) {
            uint16_t port = ntohs((uint16_t)(word >> 16));
            answer_add(answer, " %s",
                       port == place->peer_port ? "peer"
                       : port == place->port    ? "own"
                                                : "other");
        } else if (zeros > 3) {
            answer_add(answer, " 0*%d", zeros);
            at += 4 * (zeros - 1);
        } else if (option->level == SOL_SOCKET && word > 4096 &&
                   ((option->option == SO_RCVBUF && word == 2 * buffer_maximum("rmem_max")) ||
                    (option->option == SO_SNDBUF && word == 2 * buffer_maximum("wmem_max")))) {
            answer_add(answer, " maximum");
        } else {
            answer_add(answer, " %d", word);
        }
    }
}

static void get(struct answer *answer, const struct option *option, const struct place *place,
                unsigned char *value, socklen_t length)
{
    socklen_t asked = length;
    if (getsockopt(place->fd, option->level, option->option, value, &length) != 0) {
        answer_errno(answer, errno);
        return;
    }
    answer_add(answer, "ok");
    if (length != asked)
        answer_add(answer, " length %u", length);
    if (option->hidden != ALL_HIDDEN)
        words_add(answer, option, place, value, (int)(length < asked ? length : asked));
}

static void prepare(const struct option *option, const struct place *place, unsigned char *value,
                    bool with_address)
{
    memset(value, 0, 512);
    if (option->id_at != NO_ID)
        memcpy(value + option->id_at, &place->id, sizeof(place->id));
    if (option->address_at && with_address) {
        struct sockaddr_in address = loopback(place->peer_port);
        memcpy(value + option->address_at, &address, sizeof(address));
    }
    if (option->option == SCTP_EVENT && option->level == SOL_SCTP) {
        uint16_t type = SCTP_ASSOC_CHANGE;
        memcpy(value + 4, &type, sizeof(type));
    }
}

static void each_get(const struct option *option, const char *what, int length, sctp_assoc_t id,
                     bool own_id, bool with_address)
{
    struct answer answers[STATES] = {0};
    char name[128];
    unsigned char value[512];
    snprintf(name, sizeof(name), "get %s%s", option->name, what);
    for (int i = 0; i < KINDS; i++) {
        prepare(option, &places[i], value, with_address);
        if (!own_id && option->id_at != NO_ID)
            memcpy(value + option->id_at, &id, sizeof(id));
        get(&answers[i], option, &places[i], value, (socklen_t)length);
    }
    line_print(name, answers);
}

/* Sets what is there already, with one word changed, reads it back, and sets what was there. */
static void each_set(const struct option *option, const char *what, int length, sctp_assoc_t id,
                     bool own_id, bool with_address, int word, int32_t number)
{
    struct answer answers[STATES] = {0};
    char name[128];
    unsigned char value[512], before[512];
    snprintf(name, sizeof(name), "set %s%s", option->name, what);
    for (int i = 0; i < KINDS; i++) {
        socklen_t size = (socklen_t)option->size;
        prepare(option, &places[i], value, with_address);
        getsockopt(places[i].fd, option->level, option->option, value, &size);
        if (!own_id && option->id_at != NO_ID)
            memcpy(value + option->id_at, &id, sizeof(id));
        memcpy(before, value, sizeof(before));
        if (word >= 0)
            memcpy(value + 4 * word, &number, sizeof(number));
        if (setsockopt(places[i].fd, option->level, option->option, value, (socklen_t)length) !=
            0) {
            answer_errno(&answers[i], errno);
            continue;
        }
        if (word < 0) {
            answer_add(&answers[i], "ok");
            continue;
        }
        prepare(option, &places[i], value, with_address);
        get(&answers[i], option, &places[i], value, (socklen_t)option->size);
        setsockopt(places[i].fd, option->level, option->option, before, (socklen_t)option->size);
    }
    line_print(name, answers);
}

typedef void each(const struct option *option, const char *what, int length, bool own_id,
                  sctp_assoc_t id, bool with_address);

static void each_set_as_it_is(const struct option *option, const char *what, int length,
                              bool own_id, sctp_assoc_t id, bool with_address)
{
    each_set(option, what, length, id, own_id, with_address, -1, 0);
}

static void each_get_as_it_is(const struct option *option, const char *what, int length,
                              bool own_id, sctp_assoc_t id, bool with_address)
{
    each_get(option, what, length, id, own_id, with_address);
}

/* With sizes and association ids that are right and that are not. */
static void probe_shapes(const struct option *option, each *do_it)
{
    static const int differences[] = {-8, -4, -1, 4};
    static const struct {
        const char *name;
        sctp_assoc_t id;
    } ids[] = {{" id FUTURE", SCTP_FUTURE_ASSOC},
               {" id CURRENT", SCTP_CURRENT_ASSOC},
               {" id ALL", SCTP_ALL_ASSOC},
               {" id 99999", 99999},
               {" id -1", -1}};
    char what[64];

    do_it(option, "", option->size, true, 0, false);
    do_it(option, " length 0", 0, true, 0, false);
    do_it(option, " length 1", 1, true, 0, false);
    do_it(option, " length 4", 4, true, 0, false);
    for (int i = 0; i < 4; i++) {
        if (option->size + differences[i] <= 4)
            continue;
        snprintf(what, sizeof(what), " length %d", option->size + differences[i]);
        do_it(option, what, option->size + differences[i], true, 0, false);
    }
    if (option->address_at)
        do_it(option, " peer's address", option->size, true, 0, true);
    for (unsigned i = 0; option->id_at != NO_ID && i < sizeof(ids) / sizeof(ids[0]); i++)
        do_it(option, ids[i].name, option->size, false, ids[i].id, false);
}

static void probe(const struct option *option)
{
    static const int32_t numbers[] = {0, 1, 2, 3, 255, 1000, 1500, 65536, 0x7fffffff, -1};
    static const int32_t times[] = {0, 4, 100, 500, 504, 60000, 322144};
    char what[64];

    probe_shapes(option, each_get_as_it_is);
    probe_shapes(option, each_set_as_it_is);
    for (int word = option->first_word; word < option->first_word + option->words; word++) {
        bool time = option->times & W(word);
        const int32_t *tried = time ? times : numbers;
        size_t count = time ? sizeof(times) : sizeof(numbers);
        for (size_t i = 0; i < count / sizeof(int32_t); i++) {
            snprintf(what, sizeof(what), " word %d = %d", word, tried[i]);
            each_set(option, what, option->size, 0, true, false, word, tried[i]);
        }
    }
}

/* NULL in place of the value and of its length. */
static void probe_null(void)
{
    struct answer answers[4][STATES] = {0};
    for (int i = 0; i < KINDS; i++) {
        socklen_t length = 4;
        int value = 0;
        int fd = places[i].fd;
        answer_errno(&answers[0][i],
                     getsockopt(fd, SOL_SCTP, SCTP_NODELAY, NULL, &length) ? errno : 0);
        answer_errno(&answers[1][i],
                     getsockopt(fd, SOL_SCTP, SCTP_NODELAY, &value, NULL) ? errno : 0);
        answer_errno(&answers[2][i], setsockopt(fd, SOL_SCTP, SCTP_NODELAY, NULL, 4) ? errno : 0);
        answer_errno(&answers[3][i],
                     setsockopt(fd, SOL_SCTP, SCTP_NODELAY, &value, (socklen_t)-1) ? errno : 0);
    }
    line_print("get SCTP_NODELAY to NULL", answers[0]);
    line_print("get SCTP_NODELAY with NULL for the length", answers[1]);
    line_print("set SCTP_NODELAY from NULL", answers[2]);
    line_print("set SCTP_NODELAY with length -1", answers[3]);
}

/* Of an interface by its name, and the mark of urgent data, which SCTP has not. */
static void probe_interface(void)
{
    static const struct {
        const char *name;
        unsigned long request;
    } requests[] = {{"SIOCGIFADDR", SIOCGIFADDR},
                    {"SIOCGIFNETMASK", SIOCGIFNETMASK},
                    {"SIOCATMARK", SIOCATMARK}};
    for (int r = 0; r < 3; r++) {
        struct answer answers[STATES] = {0};
        for (int i = 0; i < KINDS; i++) {
            struct ifreq interface = {.ifr_name = "lo"};
            struct sockaddr_in *address = (struct sockaddr_in *)&interface.ifr_addr;
            if (ioctl(places[i].fd, requests[r].request, &interface) != 0)
                answer_errno(&answers[i], errno);
            else
                answer_add(&answers[i], "ok %#x", ntohl(address->sin_addr.s_addr));
        }
        line_print(requests[r].name, answers);
    }
}

static void probe_ioctls(void)
{
    static const struct {
        const char *name;
        unsigned long request;
    } requests[] = {{"FIONREAD", FIONREAD}, {"SIOCINQ", SIOCINQ}, {"SIOCOUTQ", SIOCOUTQ}};
    for (int r = 0; r < 3; r++) {
        struct answer answers[STATES] = {0};
        for (int i = 0; i < KINDS; i++) {
            int value = -1;
            if (ioctl(places[i].fd, requests[r].request, &value) != 0)
                answer_errno(&answers[i], errno);
            else
                answer_add(&answers[i], "ok %d", value);
        }
        line_print(requests[r].name, answers);
    }
    probe_interface();
}

void probe_options(void)
{
    for (int i = -1; i < OPTIONS; i++) {
        if (!line_wanted(i < 0 ? "NULL" : options[i].name))
            continue;
        for (int k = 0; k < KINDS; k++)
            places[k] = place_make((enum state)k);
        if (i < 0) {
            probe_null();
            probe_ioctls();
        } else {
            probe(&options[i]);
        }
        for (int k = 0; k < KINDS; k++)
            place_free(&places[k]);
    }
}
