/*
 * The watcher: what must hold for every packet, RFC 9260 sections 3.1 to 3.3, 6.5 to 6.10, 8.5.
 */
#include "watcher.h"

#include <stdio.h>
#include <stdlib.h>

#include "packet/reconfig.h"

enum { FLOW_MAXIMUM = 32, FLOW_WINDOW = 1 << 14, STREAMS_WATCHED = 64 };

/* A tag, and the host that announced it or used it. */
struct tag {
    unsigned int host;
    uint32_t value;
};

struct tag_set {
    struct tag *tags;
    size_t count, capacity; /* a hash table of a power of two; a free place has the value 0 */
};

/* The DATA that one host sends with one tag: no TSN changes what it stands for. */
struct flow {
    struct tag tag;
    bool began;
    uint32_t highest;
    uint32_t tsns[FLOW_WINDOW], sums[FLOW_WINDOW];
    bool acknowledged;
    uint32_t cumulative_tsn_ack; /* of the SACKs */
    bool forwarded;
    uint32_t new_cumulative_tsn; /* of the FORWARD TSNs */
    /* RFC 8260: the message that each stream is sending, and the next MIDs */
    struct {
        bool open, unordered;
        uint32_t mid, fsn, next[2];
    } streams[STREAMS_WATCHED];
};

struct watcher {
    struct tag_set announced, used;
    struct tag_set zero_checksum; /* announced with it (RFC 9653) */
    struct flow *flows[FLOW_MAXIMUM];
    unsigned int next_flow;
    uint64_t count;
    bool other_tags, skipped_tsns;
    const char *name; /* of the packet in hand */
};

static bool has_data(const bool *has)
{
    return has[SCTP_CHUNK_DATA] || has[SCTP_CHUNK_I_DATA];
}

#define watch(watcher, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition))                                                                          \
            watcher_fail(watcher, __LINE__, #condition, __VA_ARGS__);                              \
    } while (0)

__attribute__((format(printf, 4, 5))) static void
watcher_fail(const struct watcher *watcher, int line, const char *condition, const char *rule, ...)
{
    char text[256];
    va_list list;

    va_start(list, rule);
    (void)vsnprintf(text, sizeof(text), rule, list);
    va_end(list);
    fail_msg("packet %llu [%s]: %s (watcher.c:%d: %s)", (unsigned long long)watcher->count,
             watcher->name, text, line, condition);
}

const char *chunk_name(uint8_t type)
{
    static const char *const names[] = {
        "DATA",  "INIT",     "INIT_ACK",          "SACK",  "HEARTBEAT",   "HEARTBEAT_ACK",
        "ABORT", "SHUTDOWN", "SHUTDOWN_ACK",      "ERROR", "COOKIE_ECHO", "COOKIE_ACK",
        "ECNE",  "CWR",      "SHUTDOWN_COMPLETE", "AUTH",
    };
    static char number[8];

    if (type < sizeof(names) / sizeof(names[0]))
        return names[type];
    if (type == SCTP_CHUNK_ASCONF)
        return "ASCONF";
    if (type == SCTP_CHUNK_ASCONF_ACK)
        return "ASCONF_ACK";
    if (type == SCTP_CHUNK_FORWARD_TSN)
        return "FORWARD_TSN";
    if (type == SCTP_CHUNK_I_DATA)
        return "I_DATA";
    if (type == SCTP_CHUNK_I_FORWARD_TSN)
        return "I_FORWARD_TSN";
    if (type == SCTP_CHUNK_RE_CONFIG)
        return "RE_CONFIG";
    (void)snprintf(number, sizeof(number), "0x%02x", type);
    return number;
}

void packet_name(const uint8_t *bytes, size_t length, char *name, size_t size)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    size_t used = 0;

    name[0] = '\0';
    if (length < SCTP_COMMON_HEADER_LENGTH)
        return;
    chunk_iterator_init(&iterator, bytes, length);
    while (chunk_next(&iterator, &chunk) && used < size) {
        int written =
            snprintf(name + used, size - used, "%s%s", used > 0 ? " " : "", chunk_name(chunk.type));

        used += written > 0 ? (size_t)written : 0;
    }
}

struct watcher *watcher_new(void)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));

    assert_non_null(watcher);
    return watcher;
}

void watcher_free(struct watcher *watcher)
{
    for (int i = 0; i < FLOW_MAXIMUM; i++)
        free(watcher->flows[i]);
    free(watcher->announced.tags);
    free(watcher->used.tags);
    free(watcher->zero_checksum.tags);
    free(watcher);
}

void watcher_forget(struct watcher *watcher, uint32_t tag)
{
    for (int i = 0; i < FLOW_MAXIMUM; i++) {
        if (watcher->flows[i] && watcher->flows[i]->tag.value == tag) {
            free(watcher->flows[i]);
            watcher->flows[i] = NULL;
        }
    }
}

void watcher_allow_other_tags(struct watcher *watcher)
{
    watcher->other_tags = true;
}

void watcher_allow_skipped_tsns(struct watcher *watcher)
{
    watcher->skipped_tsns = true;
}

uint64_t watcher_count(const struct watcher *watcher)
{
    return watcher->count;
}

/* ---- Sets of tags -----------------------------------------------------------------------------
 */

/* The place of a tag, or the free one where it belongs. */
static struct tag *tag_set_place(const struct tag_set *set, unsigned int host, uint32_t value)
{
    size_t index = (value ^ value >> 15) + (size_t)host;

    for (;; index++) {
        struct tag *tag = &set->tags[index & (set->capacity - 1)];

        if (tag->value == 0 || (tag->value == value && tag->host == host))
            return tag;
    }
}

static void tag_set_add(struct tag_set *set, unsigned int host, uint32_t value)
{
    struct tag *place;

    if (value == 0)
        return;
    if (set->count * 2 >= set->capacity) {
        struct tag_set larger = {.capacity = set->capacity > 0 ? set->capacity * 2 : 64};

        larger.tags = calloc(larger.capacity, sizeof(*larger.tags));
        assert_non_null(larger.tags);
        for (size_t i = 0; i < set->capacity; i++) {
            if (set->tags[i].value != 0)
                *tag_set_place(&larger, set->tags[i].host, set->tags[i].value) = set->tags[i];
        }
        larger.count = set->count;
        free(set->tags);
        *set = larger;
    }
    place = tag_set_place(set, host, value);
    if (place->value == 0)
        set->count++;
    *place = (struct tag){host, value};
}

/* True if a host other than `host` is in the set with the tag. */
static bool tag_set_of_another(const struct tag_set *set, unsigned int host, uint32_t value)
{
    if (set->capacity == 0 || value == 0)
        return false;
    for (unsigned int other = 0; other < 8; other++) {
        if (other != host && tag_set_place(set, other, value)->value == value)
            return true;
    }
    return false;
}

/* An Initiate Tag, and that packets with it need no CRC32c. */
static void announce(struct watcher *watcher, unsigned int host, const struct sctp_init *init)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    tag_set_add(&watcher->announced, host, init->initiate_tag);
    parameter_iterator_init(&iterator, init->parameters, init->parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        if (parameter.type == SCTP_PARAMETER_ZERO_CHECKSUM)
            tag_set_add(&watcher->zero_checksum, host, init->initiate_tag);
    }
}

/* ---- Parameters and causes (3.2.1, 3.3.2, 3.3.3, 3.3.10) ------------------------------------- */

static void watch_padding(const struct watcher *watcher, const uint8_t *bytes, size_t length,
                          const uint8_t *end)
{
    for (const uint8_t *p = bytes + length; p < end && p < bytes + wire_padded((uint32_t)length);
         p++)
        watch(watcher, *p == 0, "3.2: the padding is zero");
}

static void watch_init_parameters(const struct watcher *watcher, const struct sctp_chunk *chunk,
                                  const struct sctp_init *init)
{
    const uint8_t *end = init->parameters + init->parameters_length;
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct braid_address address;
    unsigned int cookies = 0;
    bool seen[16] = {false};

    parameter_iterator_init(&iterator, init->parameters, init->parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        watch_padding(watcher, parameter.bytes, parameter.length, end);
        switch (parameter.type) {
        case SCTP_PARAMETER_IPV4_ADDRESS:
        case SCTP_PARAMETER_IPV6_ADDRESS:
            watch(watcher, address_parameter_read(&parameter, &address), "3.3.2.1: an address");
            watch(watcher, braid_address_is_unicast(&address), "11.1: a unicast address");
            watch(watcher, !braid_address_is_ipv4_mapped(&address), "3.3.2.1.2: not IPv4-mapped");
            break;
        case SCTP_PARAMETER_STATE_COOKIE:
            cookies++;
            break;
        case SCTP_PARAMETER_HOST_NAME_ADDRESS:
            watch(watcher, false, "3.3.2.1.4: no Host Name Address");
            break;
        case SCTP_PARAMETER_UNRECOGNIZED:
            watch(watcher, chunk->type == SCTP_CHUNK_INIT_ACK, "3.3.3: only in INIT ACK");
            break;
        default:
            if (parameter.type < sizeof(seen)) {
                watch(watcher, !seen[parameter.type], "3.3.2: parameter %u only once",
                      parameter.type);
                seen[parameter.type] = true;
            }
        }
    }
    watch(watcher, !iterator.malformed, "3.2.1: well-formed parameters");
    watch(watcher, cookies == (chunk->type == SCTP_CHUNK_INIT_ACK), "3.3.3: one State Cookie");
}

static void watch_causes(const struct watcher *watcher, const uint8_t *bytes, size_t length)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;

    parameter_iterator_init(&iterator, bytes, length);
    while (parameter_next(&iterator, &cause)) {
        watch_padding(watcher, cause.bytes, cause.length, bytes + length);
        watch(watcher, cause.type != 0, "3.3.10: a cause code");
    }
    watch(watcher, !iterator.malformed, "3.3.10: well-formed causes");
}

/* ---- DATA and SACK (3.3.1, 3.3.4, 6.5, 6.9) ---------------------------------------------------
 */

static struct flow *watcher_flow(struct watcher *watcher, unsigned int host, uint32_t tag)
{
    struct flow *flow;

    for (int i = 0; i < FLOW_MAXIMUM; i++) {
        flow = watcher->flows[i];
        if (flow && flow->tag.host == host && flow->tag.value == tag)
            return flow;
    }
    flow = watcher->flows[watcher->next_flow];
    if (!flow)
        flow = malloc(sizeof(*flow));
    assert_non_null(flow);
    memset(flow, 0, sizeof(*flow));
    flow->tsns[0] = 1; /* TSN 0, which would stand there, was not sent yet */
    flow->tag = (struct tag){host, tag};
    watcher->flows[watcher->next_flow] = flow;
    watcher->next_flow = (watcher->next_flow + 1) % FLOW_MAXIMUM;
    return flow;
}

/* RFC 8260, 2.1 and 2.2.2, of what is sent for the first time. */
static void watch_i_data(const struct watcher *watcher, struct flow *flow,
                         const struct sctp_chunk *chunk, const struct sctp_data *data)
{
    bool unordered = data->flags & SCTP_DATA_FLAG_UNORDERED;

    watch(watcher, wire_get_u16(chunk->bytes + 10) == 0, "2.1: reserved bits are zero");
    if (data->stream >= STREAMS_WATCHED || watcher->other_tags)
        return;
    if (data->flags & SCTP_DATA_FLAG_BEGINNING) {
        watch(watcher, !flow->streams[data->stream].open || watcher->skipped_tsns,
              "2.2.2: one message at a time in stream %u", data->stream);
        watch(watcher, data->mid == flow->streams[data->stream].next[unordered] || data->mid == 0,
              "2.1: MID %u of stream %u comes next", data->mid, data->stream);
        flow->streams[data->stream].next[unordered] = data->mid + 1;
    } else {
        watch(watcher,
              flow->streams[data->stream].open &&
                  flow->streams[data->stream].unordered == unordered &&
                  flow->streams[data->stream].mid == data->mid &&
                  flow->streams[data->stream].fsn == data->fsn,
              "2.1: stream %u goes on with another chunk than MID %u, FSN %u", data->stream,
              data->mid, data->fsn);
    }
    flow->streams[data->stream].open = !(data->flags & SCTP_DATA_FLAG_ENDING);
    flow->streams[data->stream].unordered = unordered;
    flow->streams[data->stream].mid = data->mid;
    flow->streams[data->stream].fsn = data->fsn + 1;
}

static void watch_data(struct watcher *watcher, struct flow *flow, const struct sctp_chunk *chunk)
{
    struct sctp_data data = {0};
    uint32_t sum;
    uint32_t *tsn;

    if (chunk->type == SCTP_CHUNK_I_DATA)
        watch(watcher, i_data_read(chunk, &data), "RFC 8260, 2.1: a whole I-DATA header");
    else
        watch(watcher, data_read(chunk, &data), "3.3.1: a whole DATA header");
    watch(watcher, data.payload_length > 0, "6.2: DATA has user data");
    watch(watcher, (data.flags & 0xf0) == 0, "3.3.1: reserved flags are zero");
    sum = crc32c(data.payload, data.payload_length) ^ (uint32_t)(data.flags & 7) << 16 ^
          data.stream ^ (uint32_t)data.ssn << 3 ^ data.ppid ^ data.mid << 5 ^ data.fsn << 7;
    if (!flow->began)
        flow->highest = data.tsn - 1;
    flow->began = true;
    tsn = &flow->tsns[data.tsn % FLOW_WINDOW];
    if ((int32_t)(data.tsn - flow->highest) > 0) {
        watch(watcher,
              data.tsn == flow->highest + 1 || watcher->other_tags || watcher->skipped_tsns,
              "6.9: TSNs go out in sequence: %u after %u", data.tsn, flow->highest);
        flow->highest = data.tsn;
        *tsn = data.tsn;
        flow->sums[data.tsn % FLOW_WINDOW] = sum;
        if (chunk->type == SCTP_CHUNK_I_DATA)
            watch_i_data(watcher, flow, chunk, &data);
    } else if (*tsn == data.tsn) {
        watch(watcher, flow->sums[data.tsn % FLOW_WINDOW] == sum,
              "TSN %u is sent again with something else in it", data.tsn);
    }
}

static void watch_sack(struct watcher *watcher, struct flow *flow, const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;
    uint32_t before = 0;

    watch(watcher, sack_read(chunk, &sack), "3.3.4: a whole SACK");
    for (uint16_t i = 0; i < sack.gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(&sack, i);

        watch(watcher, block.start <= block.end, "3.3.4: a block begins before it ends");
        watch(watcher, block.start > before + 1, "3.3.4: blocks are apart and in order");
        before = block.end;
    }
    watch(watcher,
          !flow->acknowledged || (int32_t)(sack.cumulative_tsn_ack - flow->cumulative_tsn_ack) >= 0,
          "6.2.1: the Cumulative TSN Ack never goes back: %u after %u", sack.cumulative_tsn_ack,
          flow->cumulative_tsn_ack);
    flow->acknowledged = true;
    flow->cumulative_tsn_ack = sack.cumulative_tsn_ack;
}

/* RFC 3758, 3.2 and 3.5. */
static void watch_forward_tsn(struct watcher *watcher, struct flow *flow,
                              const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;
    bool interleaving = chunk->type == SCTP_CHUNK_I_FORWARD_TSN;

    if (interleaving)
        watch(watcher, i_forward_tsn_read(chunk, &forward), "RFC 8260, 2.3.1: an I-FORWARD-TSN");
    else
        watch(watcher, forward_tsn_read(chunk, &forward), "RFC 3758, 3.2: a whole FORWARD TSN");
    for (size_t i = 0; i < forward.skipped_stream_count; i++) {
        for (size_t other = 0; other < i; other++)
            watch(watcher,
                  interleaving ? i_forward_tsn_skipped(&forward, i).stream !=
                                         i_forward_tsn_skipped(&forward, other).stream ||
                                     i_forward_tsn_skipped(&forward, i).unordered !=
                                         i_forward_tsn_skipped(&forward, other).unordered
                               : forward_tsn_skipped_stream(&forward, i).stream !=
                                     forward_tsn_skipped_stream(&forward, other).stream,
                  "RFC 3758, C4: each stream once");
    }
    watch(watcher,
          !flow->forwarded || (int32_t)(forward.new_cumulative_tsn - flow->new_cumulative_tsn) >= 0,
          "RFC 3758, 3.5: the New Cumulative TSN never goes back");
    flow->forwarded = true;
    flow->new_cumulative_tsn = forward.new_cumulative_tsn;
}

/* RFC 6525, 3.1 and 4.4. After an SSN/TSN reset all numbers may be others. */
static void watch_re_config(struct watcher *watcher, const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    unsigned int count = 0;

    watch_causes(watcher, chunk->value, chunk->value_length);
    parameter_iterator_init(&iterator, chunk->value, chunk->value_length);
    for (; parameter_next(&iterator, &parameter); count++) {
        struct sctp_reconfig_response response = {0};

        watch(watcher,
              parameter.type >= SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST &&
                  parameter.type <= SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST,
              "RFC 6525, 4: a parameter of RE-CONFIG");
        if (parameter.type != SCTP_PARAMETER_RE_CONFIG_RESPONSE)
            continue;
        watch(watcher, reconfig_response_read(&parameter, &response), "RFC 6525, 4.4: whole");
        for (int i = 0; response.has_tsns && i < FLOW_MAXIMUM; i++) {
            if (watcher->flows[i])
                watcher->flows[i]->began = watcher->flows[i]->acknowledged =
                    watcher->flows[i]->forwarded = false;
        }
    }
    watch(watcher, count == 1 || count == 2, "RFC 6525, 3.1: one or two parameters");
}

/* ---- Chunks (3.3) -----------------------------------------------------------------------------
 */

/* Looks at a chunk other than DATA. True if its Verification Tag is one that was reflected. */
static bool watch_control(struct watcher *watcher, unsigned int host, uint32_t tag,
                          const struct sctp_chunk *chunk)
{
    struct sctp_heartbeat heartbeat;
    struct sctp_abort abort;
    struct sctp_error error;
    struct sctp_init init;
    struct sctp_asconf asconf;
    struct sctp_auth auth;
    bool reflected = false;
    uint32_t tsn;

    switch (chunk->type) {
    case SCTP_CHUNK_INIT:
    case SCTP_CHUNK_INIT_ACK:
        watch(watcher, init_read(chunk, &init), "3.3.2: a whole header");
        watch(watcher, init.initiate_tag != 0, "3.3.2: the Initiate Tag is not 0");
        watch(watcher, init.a_rwnd >= 1500, "3.3.2: a_rwnd is not below 1500");
        watch(watcher, init.outbound_streams > 0 && init.inbound_streams > 0, "3.3.2: streams");
        watch_init_parameters(watcher, chunk, &init);
        announce(watcher, host, &init);
        break;
    case SCTP_CHUNK_SACK:
        watch_sack(watcher, watcher_flow(watcher, host, tag), chunk);
        break;
    case SCTP_CHUNK_FORWARD_TSN:
    case SCTP_CHUNK_I_FORWARD_TSN:
        watch_forward_tsn(watcher, watcher_flow(watcher, host, tag), chunk);
        break;
    case SCTP_CHUNK_HEARTBEAT:
    case SCTP_CHUNK_HEARTBEAT_ACK:
        if (chunk->type == SCTP_CHUNK_HEARTBEAT)
            watch(watcher, heartbeat_read(chunk, &heartbeat), "3.3.5: Heartbeat Info");
        break;
    case SCTP_CHUNK_ABORT:
        watch(watcher, abort_read(chunk, &abort), "3.3.7: a whole ABORT");
        watch_causes(watcher, abort.causes, abort.causes_length);
        reflected = abort.tag_reflected;
        break;
    case SCTP_CHUNK_SHUTDOWN:
        watch(watcher, shutdown_read(chunk, &tsn) && chunk->length == 8, "3.3.8: 8 bytes");
        break;
    case SCTP_CHUNK_SHUTDOWN_ACK:
    case SCTP_CHUNK_COOKIE_ACK:
        watch(watcher, chunk->length == 4, "3.3.9, 3.3.12: 4 bytes");
        break;
    case SCTP_CHUNK_ERROR:
        watch(watcher, error_read(chunk, &error), "3.3.10: an ERROR has a cause");
        watch_causes(watcher, error.causes, error.causes_length);
        break;
    case SCTP_CHUNK_COOKIE_ECHO:
        break; /* what is in it is the peer's, also nothing */
    case SCTP_CHUNK_SHUTDOWN_COMPLETE:
        watch(watcher, shutdown_complete_read(chunk, &reflected) && chunk->length == 4,
              "3.3.13: 4 bytes");
        break;
    case SCTP_CHUNK_ASCONF:
        watch(watcher, asconf_read(chunk, &asconf), "RFC 5061, 4.1.1: serial number, address");
        watch_causes(watcher, asconf.parameters, asconf.parameters_length);
        break;
    case SCTP_CHUNK_ASCONF_ACK:
        watch(watcher, asconf_ack_read(chunk, &asconf), "RFC 5061, 4.1.2: a serial number");
        watch_causes(watcher, asconf.parameters, asconf.parameters_length);
        break;
    case SCTP_CHUNK_PAD: /* RFC 4820 */
        break;
    case SCTP_CHUNK_ECNE:
        watch(watcher, ecne_read(chunk, &tsn) && chunk->length == 8, "RFC 4960, A: 8 bytes");
        break;
    case SCTP_CHUNK_CWR:
        watch(watcher, cwr_read(chunk, &tsn) && chunk->length == 8, "RFC 4960, A: 8 bytes");
        break;
    case SCTP_CHUNK_RE_CONFIG:
        watch_re_config(watcher, chunk);
        break;
    case SCTP_CHUNK_AUTH:
        watch(watcher, auth_read(chunk, &auth), "RFC 4895, 5.1: a whole AUTH");
        watch(watcher, auth.hmac_length == (auth.hmac_identifier == 1 ? 20 : 32),
              "RFC 4895, 3.3: the MAC of SHA-1 or SHA-256");
        break;
    default:
        watch(watcher, false, "3.2: chunk type %u is not ours to send", chunk->type);
    }
    watch(watcher, chunk->flags == (reflected ? SCTP_FLAG_TAG_REFLECTED : 0),
          "3.3: reserved flags are zero");
    return reflected;
}

/* RFC 9260, 6.10 and what each chunk's section says about its company. */
static void watch_bundling(const struct watcher *watcher, const bool *has, unsigned int count,
                           unsigned int index, const struct sctp_chunk *chunk, uint8_t before)
{
    switch (chunk->type) {
    case SCTP_CHUNK_INIT:
    case SCTP_CHUNK_INIT_ACK:
    case SCTP_CHUNK_SHUTDOWN_COMPLETE:
        watch(watcher, count == 1, "6.10: not bundled");
        break;
    case SCTP_CHUNK_COOKIE_ECHO:
    case SCTP_CHUNK_COOKIE_ACK:
        watch(watcher, index == (before == SCTP_CHUNK_AUTH),
              "5.1: the first chunk; RFC 4895, 6.3: the second behind AUTH");
        break;
    case SCTP_CHUNK_ABORT:
        watch(watcher, index == count - 1, "3.3.7: other chunks stand before an ABORT");
        watch(watcher, !has_data(has), "3.3.7: no DATA with an ABORT");
        break;
    case SCTP_CHUNK_SHUTDOWN:
    case SCTP_CHUNK_SHUTDOWN_ACK:
        watch(watcher, !has_data(has), "6.10: no DATA with SHUTDOWN or SHUTDOWN ACK");
        break;
    default:
        break;
    }
}

void watcher_sent(struct watcher *watcher, unsigned int host, const uint8_t *bytes, size_t length,
                  size_t room)
{
    struct sctp_common_header header;
    struct chunk_iterator iterator;
    unsigned int count = 0, index = 0;
    bool reflected = false, data_came = false, auth_came = false;
    uint8_t before = SCTP_CHUNK_DATA;
    bool has[256] = {false};
    struct sctp_chunk chunk;
    uint32_t tsn = 0;
    char name[256];

    packet_name(bytes, length, name, sizeof(name));
    watcher->name = name;
    watcher->count++;

    watch(watcher, length >= 16 && length % 4 == 0, "3: %zu bytes", length);
    watch(watcher, room == 0 || length <= room, "6.10: %zu bytes where %zu fit", length, room);
    watch(watcher, packet_read_common_header(bytes, length, &header), "3.1: the common header");
    watch(watcher, header.source_port != 0 && header.destination_port != 0, "3.1: ports");

    chunk_iterator_init(&iterator, bytes, length);
    for (; chunk_next(&iterator, &chunk); count++)
        has[chunk.type] = true;
    if (packet_read_checksum(bytes) == 0 && !has[SCTP_CHUNK_INIT] && !has[SCTP_CHUNK_COOKIE_ECHO] &&
        !has[SCTP_CHUNK_ASCONF])
        watch(watcher,
              tag_set_of_another(&watcher->zero_checksum, host, header.verification_tag) ||
                  packet_verify_checksum(bytes, length),
              "RFC 9653, 5.2, 1: a zero checksum for who did not ask for it");
    else
        watch(watcher, packet_verify_checksum(bytes, length), "6.8: the CRC32c");
    watch(watcher, !iterator.malformed && count > 0, "3.2: well-formed chunks");

    chunk_iterator_init(&iterator, bytes, length);
    for (; chunk_next(&iterator, &chunk); index++) {
        watch_padding(watcher, chunk.bytes, chunk.length, bytes + length);
        watch_bundling(watcher, has, count, index, &chunk, before);
        watch(watcher, chunk.type != SCTP_CHUNK_AUTH || !auth_came, "RFC 4895, 5.1: one AUTH");
        auth_came |= chunk.type == SCTP_CHUNK_AUTH;
        before = chunk.type;
        if (chunk.type == SCTP_CHUNK_DATA || chunk.type == SCTP_CHUNK_I_DATA) {
            watch(watcher, !has[SCTP_CHUNK_DATA] || !has[SCTP_CHUNK_I_DATA],
                  "RFC 8260, 2.2.1: DATA or I-DATA");
            watch_data(watcher, watcher_flow(watcher, host, header.verification_tag), &chunk);
            watch(watcher, !data_came || (int32_t)(wire_get_u32(chunk.bytes + 4) - tsn) > 0,
                  "6.10: TSNs grow within a packet");
            tsn = wire_get_u32(chunk.bytes + 4);
            data_came = true;
        } else {
            watch(watcher, !data_came, "6.10: control chunks come before DATA");
            reflected |= watch_control(watcher, host, header.verification_tag, &chunk);
        }
    }
    if (has[SCTP_CHUNK_INIT])
        watch(watcher, header.verification_tag == 0, "8.5.1 A: INIT has tag 0");
    else if (reflected)
        watch(watcher, tag_set_of_another(&watcher->used, host, header.verification_tag),
              "8.5.1: %08x was not in a packet to reflect", header.verification_tag);
    else
        watch(watcher, tag_set_of_another(&watcher->announced, host, header.verification_tag),
              "8.5: %08x is nobody's Initiate Tag", header.verification_tag);
    tag_set_add(&watcher->used, host, header.verification_tag);
}

void watcher_scripted(struct watcher *watcher, unsigned int host, const uint8_t *bytes,
                      size_t length)
{
    struct sctp_common_header header;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct sctp_init init;

    if (!packet_read_common_header(bytes, length, &header))
        return;
    tag_set_add(&watcher->used, host, header.verification_tag);
    chunk_iterator_init(&iterator, bytes, length);
    while (chunk_next(&iterator, &chunk)) {
        if ((chunk.type == SCTP_CHUNK_INIT || chunk.type == SCTP_CHUNK_INIT_ACK) &&
            init_read(&chunk, &init))
            announce(watcher, host, &init);
    }
}
