/* What is drawn for a call: numbers, sockets, addresses, associations. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "differ.h"

struct slot slots[SLOTS];
uint16_t base_port;
static uint64_t state;

void draw_begin(uint64_t seed, unsigned step)
{
    state = seed * 0x9e3779b97f4a7c15u + step * 0xd1342543de82ef95u;
}

/* splitmix64 */
unsigned draw(unsigned below)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ z >> 31) % below);
}

bool chance(unsigned percent)
{
    return draw(100) < percent;
}

int slot_number(const struct slot *slot)
{
    return (int)(slot - slots);
}

/* The drawn one, or the next that is there; slot 0 if there is none, and its calls say EBADF. */
static struct slot *slot_next(unsigned from, bool listening)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &slots[(from + i) % SLOTS];
        if (slot->fd >= 0 && (!listening || slot->listening))
            return slot;
    }
    return NULL;
}

struct slot *slot_draw(void)
{
    struct slot *slot = slot_next(draw(SLOTS), false);
    return slot ? slot : &slots[0];
}

struct slot *slot_draw_listening(void)
{
    return slot_next(draw(SLOTS), true);
}

struct slot *slot_free(void)
{
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].fd < 0)
            return &slots[i];
    return NULL;
}

struct slot *slot_add(int fd, const struct slot *like)
{
    struct slot *slot = slot_free();
    if (fd < 0)
        return NULL;
    if (!slot) {
        close(fd);
        return NULL;
    }
    *slot = *like;
    slot->fd = fd;
    slot->copy_of = slot_number(slot);
    return slot;
}

static const char *const addresses4[] = {"127.0.0.1", "127.0.0.1", "10.9.0.1",
                                         "10.9.0.2",  "0.0.0.0",   "0.0.0.0"};
static const char *const addresses6[] = {"::1", "::1", "fd09::1",          "fd09::2",
                                         "::",  "::",  "::ffff:127.0.0.1", "::ffff:10.9.0.1"};
static const char *const strange[] = {"192.0.2.1",   "224.0.0.1", "255.255.255.255",
                                      "2001:db8::1", "ff02::1",   "fe80::1"};

static socklen_t address_set(struct sockaddr_storage *address, const char *text, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(address, &in, sizeof(in));
        return sizeof(in);
    }
    inet_pton(AF_INET6, text, &in6.sin6_addr);
    memcpy(address, &in6, sizeof(in6));
    return sizeof(in6);
}

static const char *text_draw(bool ipv6)
{
    if (chance(4))
        return DRAW_FROM(strange);
    return ipv6 ? DRAW_FROM(addresses6) : DRAW_FROM(addresses4);
}

static uint16_t port_draw(void)
{
    return chance(10) ? 0 : (uint16_t)(base_port + draw(PORTS));
}

/* Any address, most often of the socket's family. */
socklen_t address_draw(struct sockaddr_storage *address, const struct slot *slot)
{
    bool ipv6 = slot->ipv6 ? chance(70) : chance(4);
    socklen_t length = address_set(address, text_draw(ipv6), port_draw());
    if (chance(3))
        length -= 1 + draw(8);
    if (chance(3))
        address->ss_family = AF_UNSPEC;
    return length;
}

static const char *address_plain(const char *text)
{
    return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}

int addresses_draw(unsigned char *packed, const struct slot *slot, const struct slot *target)
{
    int count = 1 + (int)draw(3);
    uint16_t port =
        target && target->port && chance(90) ? target->port : (uint16_t)(base_port + draw(PORTS));
    if (!target && chance(20))
        port = 0;
    if (!target && slot->port && chance(60))
        port = chance(50) ? slot->port : 0;
    if (target && port == slot->port)
        port = (uint16_t)(base_port + PORTS);
    if (!target && !slot->port) /* what is left of several that failed is Linux's affair */
        count = 1;
    int used = 0;
    const char *texts[3];
    for (int i = 0; i < count; i++) {
        struct sockaddr_storage address;
        bool ipv6 = slot->ipv6 ? chance(60) : chance(4), twice = false;
        const char *text = text_draw(ipv6);
        socklen_t length = address_set(&address, text, chance(96) ? port : (uint16_t)(port + 1));
        for (int k = 0; k < used; k++)
            twice = twice || strcmp(address_plain(texts[k]), address_plain(text)) == 0;
        if (twice) /* Linux takes its own association with the first for another's */
            continue;
        texts[used++] = text;
        memcpy(packed, &address, length);
        packed += length;
    }
    return used;
}

/* Where somebody listens, most often. */
socklen_t address_draw_target(struct sockaddr_storage *address, const struct slot *slot)
{
    struct slot *target = slot_draw_listening();
    if (target && target->port == slot->port) /* itself */
        target = NULL;
    bool strange_one = chance(12), ipv6 = slot->ipv6 && chance(70);
    const char *text = text_draw(ipv6);
    uint16_t port = (uint16_t)(base_port + draw(PORTS));
    if (!target || strange_one)
        return address_set(address, text,
                           port == slot->port ? (uint16_t)(base_port + PORTS) : port);
    if (chance(60))
        text = ipv6 && target->ipv6 ? "::1" : "127.0.0.1";
    return address_set(address, text, target->port);
}

sctp_assoc_t association_draw(const struct slot *slot)
{
    struct {
        uint32_t number;
        sctp_assoc_t ids[16];
    } list = {0};
    socklen_t length = sizeof(list);
    unsigned which = draw(16), other = draw(100);
    if (other < 3)
        return (sctp_assoc_t)draw(3);
    if (other < 5)
        return 123456;
    if (getsockopt(slot->fd, SOL_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length) != 0 ||
        list.number == 0 || list.number > 16)
        return 0;
    for (uint32_t i = 0; i < list.number && i < 16; i++) {
        struct sctp_status status = {.sstat_assoc_id = list.ids[(which + i) % list.number]};
        length = sizeof(status);
        /* before that it has no id on Linux */
        if (status.sstat_assoc_id > SCTP_ALL_ASSOC &&
            getsockopt(slot->fd, SOL_SCTP, SCTP_STATUS, &status, &length) == 0 &&
            status.sstat_state == SCTP_ESTABLISHED)
            return status.sstat_assoc_id;
    }
    return 0;
}
