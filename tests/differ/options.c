/* Steps with options: RFC 6458, section 8; RFC 6525, 6.3; RFC 8260, 4.3. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "differ.h"

#define NO_ID (-1)
#define W(word) (1ull << (word))

struct option {
    const char *name;
    int level;
    int option;
    int size;
    int id_at;      /* where in it the association id is, or NO_ID */
    int address_at; /* where in it an address is, or 0 */
    uint64_t set; /* bits of the words that are set: no timers, nothing that a run would wait for */
    uint64_t hidden; /* bits of the words that are not shown: they differ from run to run */
};

#define TYPED(option, type, id, address, set, hidden)                                              \
    {                                                                                              \
#option, SOL_SCTP, option, sizeof(type), id, address, set, hidden                          \
    }
#define NUMBER(level, option, set)                                                                 \
    {                                                                                              \
#option, level, option, sizeof(int), NO_ID, 0, set, 0                                      \
    }
#define VALUE(option)                                                                              \
    {                                                                                              \
#option, SOL_SCTP, option, sizeof(struct sctp_assoc_value), 0, 0, W(1), 0                  \
    }

static const struct option options[] = {
    TYPED(SCTP_RTOINFO, struct sctp_rtoinfo, 0, 0, 0, 0),
    TYPED(SCTP_ASSOCINFO, struct sctp_assocparams, 0, 0, 0, W(2) | W(3)),
    TYPED(SCTP_INITMSG, struct sctp_initmsg, NO_ID, 0, W(0), 0),
    NUMBER(SOL_SCTP, SCTP_NODELAY, 1),
    NUMBER(SOL_SCTP, SCTP_AUTOCLOSE, 0),
    TYPED(SCTP_SET_PEER_PRIMARY_ADDR, struct sctp_setpeerprim, 0, 4, 1, 0),
    /* not set: notifications come from the primary when they are read on Linux, here when they are
     * made
     */
    TYPED(SCTP_PRIMARY_ADDR, struct sctp_prim, 0, 4, 0, 0),
    TYPED(SCTP_ADAPTATION_LAYER, struct sctp_setadaptation, NO_ID, 0, 1, 0),
    NUMBER(SOL_SCTP, SCTP_DISABLE_FRAGMENTS, 1),
    TYPED(SCTP_PEER_ADDR_PARAMS, struct sctp_paddrparams, 0, 4, 0, 0),
    TYPED(SCTP_DEFAULT_SEND_PARAM, struct sctp_sndrcvinfo, 28, 0, W(0) | W(1) | W(2) | W(3), 0),
    NUMBER(SOL_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR, 1),
    VALUE(SCTP_MAXSEG),
    TYPED(SCTP_STATUS, struct sctp_status, 0, 0, 0, W(2) | W(40) | W(41) | W(42) | W(43)),
    TYPED(SCTP_STATUS, struct sctp_status, 0, 0, 0, W(2) | W(40) | W(41) | W(42) | W(43)),
    TYPED(SCTP_STATUS, struct sctp_status, 0, 0, 0, W(2) | W(40) | W(41) | W(42) | W(43)),
    TYPED(SCTP_GET_PEER_ADDR_INFO, struct sctp_paddrinfo, 0, 4, 0, W(34) | W(35) | W(36) | W(37)),
    VALUE(SCTP_CONTEXT),
    NUMBER(SOL_SCTP, SCTP_FRAGMENT_INTERLEAVE, 1),
    VALUE(SCTP_MAX_BURST),
    TYPED(SCTP_AUTH_CHUNK, struct sctp_authchunk, NO_ID, 0, 1, 0),
    TYPED(SCTP_AUTH_ACTIVE_KEY, struct sctp_authkeyid, 0, 0, W(1), 0),
    TYPED(SCTP_AUTH_DELETE_KEY, struct sctp_authkeyid, 0, 0, W(1), 0),
    TYPED(SCTP_AUTH_DEACTIVATE_KEY, struct sctp_authkeyid, 0, 0, W(1), 0),
    {"SCTP_PEER_AUTH_CHUNKS", SOL_SCTP, SCTP_PEER_AUTH_CHUNKS, 64, 0, 0, 0, 0},
    {"SCTP_LOCAL_AUTH_CHUNKS", SOL_SCTP, SCTP_LOCAL_AUTH_CHUNKS, 64, 0, 0, 0, 0},
    NUMBER(SOL_SCTP, SCTP_GET_ASSOC_NUMBER, 0),
    NUMBER(SOL_SCTP, SCTP_AUTO_ASCONF, 1),
    TYPED(SCTP_PEER_ADDR_THLDS, struct sctp_paddrthlds, 0, 8, 0, 0),
    NUMBER(SOL_SCTP, SCTP_RECVRCVINFO, 1),
    NUMBER(SOL_SCTP, SCTP_RECVNXTINFO, 1),
    TYPED(SCTP_DEFAULT_SNDINFO, struct sctp_sndinfo, 12, 0, W(0) | W(1) | W(2), 0),
    NUMBER(SOL_SCTP, SCTP_REUSE_PORT, 1),
    VALUE(SCTP_PR_SUPPORTED),
    TYPED(SCTP_DEFAULT_PRINFO, struct sctp_default_prinfo, 4, 0, W(0) | W(2), 0),
    TYPED(SCTP_PR_ASSOC_STATUS, struct sctp_prstatus, 0, 0, 0, 0),
    TYPED(SCTP_PR_STREAM_STATUS, struct sctp_prstatus, 0, 0, 0, 0),
    VALUE(SCTP_RECONFIG_SUPPORTED),
    VALUE(SCTP_ENABLE_STREAM_RESET),
    VALUE(SCTP_RESET_ASSOC),
    TYPED(SCTP_ADD_STREAMS, struct sctp_add_streams, 0, 0, W(1), 0),
    VALUE(SCTP_STREAM_SCHEDULER),
    TYPED(SCTP_STREAM_SCHEDULER_VALUE, struct sctp_stream_value, 0, 0, W(1), 0),
    VALUE(SCTP_INTERLEAVING_SUPPORTED),
    TYPED(SCTP_EVENT, struct sctp_event, 0, 0, W(1), 0),
    VALUE(SCTP_ASCONF_SUPPORTED),
    VALUE(SCTP_AUTH_SUPPORTED),
    VALUE(SCTP_ECN_SUPPORTED),
    NUMBER(SOL_SOCKET, SO_ERROR, 0),
    NUMBER(SOL_SOCKET, SO_ERROR, 0),
    NUMBER(SOL_SOCKET, SO_REUSEADDR, 1),
    NUMBER(SOL_SOCKET, SO_ACCEPTCONN, 0),
    NUMBER(SOL_SOCKET, SO_TYPE, 0),
    NUMBER(SOL_SOCKET, SO_PROTOCOL, 0),
    NUMBER(SOL_SOCKET, SO_DOMAIN, 0),
    NUMBER(IPPROTO_IPV6, IPV6_V6ONLY, 1),
};

#define ROOM 256

static const struct option *option_draw(struct slot *slot, unsigned char *bytes, bool settable)
{
    const struct option *option = &DRAW_FROM(options);
    while (settable && !option->set)
        option = &DRAW_FROM(options);
    say(" %d %s", slot_number(slot), option->name);
    memset(bytes, 0, ROOM);
    if (option->address_at) {
        struct sockaddr_storage address;
        socklen_t length = address_draw_target(&address, slot);
        struct sockaddr_in6 peer = {0};
        socklen_t size = sizeof(peer);
        if (chance(50) && getpeername(slot->fd, (struct sockaddr *)&peer, &size) == 0) {
            memcpy(&address, &peer, size);
            length = size;
        }
        memcpy(bytes + option->address_at, &address, length);
        say(" ");
        say_address(&address, length);
    }
    if (option->id_at != NO_ID) {
        sctp_assoc_t id = chance(80) ? association_draw(slot) : (sctp_assoc_t)draw(3);
        memcpy(bytes + option->id_at, &id, sizeof(id));
        say(" ");
        say_id(id);
    }
    return option;
}

static void say_value(const struct option *option, const unsigned char *bytes, int length)
{
    for (int at = 0; at + 4 <= length; at += 4) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof(word));
        if (at == option->id_at) {
            say(" ");
            say_id((sctp_assoc_t)word);
        } else if (option->option == SCTP_STATUS && option->level == SOL_SCTP && at == 24) {
            say(" ");
            say_id((sctp_assoc_t)word);
        } else if (option->address_at && at == option->address_at) {
            say(" ");
            say_address(bytes + at, bytes[at] == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_in));
            at += (int)sizeof(struct sockaddr_storage) - 4;
        } else if (option->option == SCTP_STATUS && option->level == SOL_SCTP && at == 28) {
            say(" ");
            say_address(bytes + at, bytes[at] == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_in));
            at += (int)sizeof(struct sockaddr_storage) - 4;
        } else if (!(option->hidden >> at / 4 & 1)) {
            say(" %#x", word);
        }
    }
}

void step_get(void)
{
    unsigned char bytes[ROOM];
    struct slot *slot = slot_draw();
    const struct option *option = option_draw(slot, bytes, false);
    socklen_t length = (socklen_t)option->size;
    int result = getsockopt(slot->fd, option->level, option->option, bytes, &length);
    say(" = ");
    if (result < 0) {
        say_result(-1);
    } else {
        say("%u:", length);
        say_value(option, bytes, (int)length);
    }
}

void step_set(void)
{
    static const uint32_t values[] = {0, 0, 1, 1, 1, 2, 3, 4, 7, 500, 1000, 65535, 0xffffffff};
    unsigned char bytes[ROOM];
    struct slot *slot = slot_draw();
    const struct option *option = option_draw(slot, bytes, true);
    for (int i = 0; i < 4; i++) {
        uint32_t value = DRAW_FROM(values);
        bool taken = chance(70);
        if (!(option->set >> i & 1) || option->address_at || !taken)
            continue;
        if (option->size == 1)
            value &= 0xff;
        memcpy(bytes + 4 * i, &value, sizeof(value));
        say(" [%d]=%#x", i, value);
    }
    say(" = ");
    say_result(setsockopt(slot->fd, option->level, option->option, bytes, (socklen_t)option->size));
}

/* By SCTP_EVENTS for the first eleven, and by SCTP_EVENT for those that came later. */
void subscribe(struct slot *slot, unsigned events)
{
    unsigned char bytes[11];
    events &= ~4u; /* when an address is confirmed is a matter of time */
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = events >> i & 1;
    say(" events %#x", events & 0x3fff);
    setsockopt(slot->fd, SOL_SCTP, SCTP_EVENTS, bytes, sizeof(bytes));
    for (unsigned i = sizeof(bytes); i < 14; i++) {
        struct sctp_event event = {SCTP_FUTURE_ASSOC, (uint16_t)(SCTP_SN_TYPE_BASE + i),
                                   (uint8_t)(events >> i & 1)};
        setsockopt(slot->fd, SOL_SCTP, SCTP_EVENT, &event, sizeof(event));
    }
}

void step_subscribe(void)
{
    struct slot *slot = slot_draw();
    say(" %d", slot_number(slot));
    subscribe(slot, chance(40) ? 0xffffffff : draw(1u << 14));
}
