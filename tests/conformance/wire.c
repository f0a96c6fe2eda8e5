/*
 * Chunks, parameters and error causes by name: written as a script says, and compared with it.
 */
#include "script.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "watcher.h"

enum rest {
    REST_NONE,
    REST_BYTES,      /* the first argument without a key */
    REST_PAYLOAD,    /* of DATA: len=... */
    REST_PARAMETERS, /* items */
    REST_CAUSES,
    REST_CHUNK,
    REST_GAPS,  /* gaps=[2:3 5:5], dups=[7 8] */
    REST_WORDS, /* the first argument without a key: [5 6], of 16 bits each */
    REST_ADDRESS,
};

struct form {
    const char *name;
    uint16_t type;
    struct {
        const char *key;
        uint8_t size;
        uint32_t value; /* if the script does not say */
    } fields[6];
    enum rest rest;
};

static const struct form chunks[] = {
    {"DATA", 0, {{"tsn", 4, 0}, {"sid", 2, 0}, {"ssn", 2, 0}, {"ppid", 4, 7}}, REST_PAYLOAD},
    {"INIT",
     1,
     {{"tag", 4, PEER_TAG}, {"a_rwnd", 4, 131072}, {"os", 2, 10}, {"is", 2, 10}, {"tsn", 4, 1}},
     REST_PARAMETERS},
    {"INIT_ACK",
     2,
     {{"tag", 4, PEER_TAG}, {"a_rwnd", 4, 131072}, {"os", 2, 10}, {"is", 2, 10}, {"tsn", 4, 1}},
     REST_PARAMETERS},
    {"SACK", 3, {{"cum", 4, 0}, {"a_rwnd", 4, 131072}}, REST_GAPS},
    {"HEARTBEAT", 4, {{0}}, REST_PARAMETERS},
    {"HEARTBEAT_ACK", 5, {{0}}, REST_PARAMETERS},
    {"ABORT", 6, {{0}}, REST_CAUSES},
    {"SHUTDOWN", 7, {{"cum", 4, 0}}, REST_NONE},
    {"SHUTDOWN_ACK", 8, {{0}}, REST_NONE},
    {"ERROR", 9, {{0}}, REST_CAUSES},
    {"COOKIE_ECHO", 10, {{0}}, REST_BYTES},
    {"COOKIE_ACK", 11, {{0}}, REST_NONE},
    {"SHUTDOWN_COMPLETE", 14, {{0}}, REST_NONE},
    {"FORWARD_TSN", 192, {{"cum", 4, 0}}, REST_NONE},
    {"CHUNK", 0, {{0}}, REST_BYTES}, /* type=... */
};

static const struct form parameters[] = {
    {"INFO", SCTP_PARAMETER_HEARTBEAT_INFO, {{0}}, REST_BYTES},
    {"IPV4", SCTP_PARAMETER_IPV4_ADDRESS, {{0}}, REST_ADDRESS},
    {"IPV6", SCTP_PARAMETER_IPV6_ADDRESS, {{0}}, REST_ADDRESS},
    {"COOKIE", SCTP_PARAMETER_STATE_COOKIE, {{0}}, REST_BYTES},
    {"UNRECOGNIZED", SCTP_PARAMETER_UNRECOGNIZED, {{0}}, REST_PARAMETERS},
    {"COOKIE_PRESERVATIVE", SCTP_PARAMETER_COOKIE_PRESERVATIVE, {{"ms", 4, 0}}, REST_NONE},
    {"HOST_NAME", SCTP_PARAMETER_HOST_NAME_ADDRESS, {{0}}, REST_BYTES},
    {"ADDRESS_TYPES", SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES, {{0}}, REST_WORDS},
    {"ECN_CAPABLE", SCTP_PARAMETER_ECN, {{0}}, REST_NONE},
    {"FORWARD_TSN_SUPPORTED", SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, {{0}}, REST_NONE},
    {"ADAPTATION", SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION, {{"code", 4, 0}}, REST_NONE},
    {"ZERO_CHECKSUM", SCTP_PARAMETER_ZERO_CHECKSUM, {{"method", 4, 0}}, REST_NONE},
    {"PARAMETER", 0, {{0}}, REST_BYTES}, /* type=... */
};

static const struct form causes[] = {
    {"INVALID_STREAM",
     SCTP_CAUSE_INVALID_STREAM_IDENTIFIER,
     {{"sid", 2, 0}, {"reserved", 2, 0}},
     REST_NONE},
    {"MISSING_PARAMETER",
     SCTP_CAUSE_MISSING_MANDATORY_PARAMETER,
     {{"count", 4, 1}, {"parameter", 2, 7}},
     REST_NONE},
    {"STALE_COOKIE", SCTP_CAUSE_STALE_COOKIE, {{"staleness", 4, 0}}, REST_NONE},
    {"OUT_OF_RESOURCE", SCTP_CAUSE_OUT_OF_RESOURCE, {{0}}, REST_NONE},
    {"UNRESOLVABLE_ADDRESS", SCTP_CAUSE_UNRESOLVABLE_ADDRESS, {{0}}, REST_PARAMETERS},
    {"UNRECOGNIZED_CHUNK", SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE, {{0}}, REST_CHUNK},
    {"INVALID_MANDATORY_PARAMETER", SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, {{0}}, REST_NONE},
    {"UNRECOGNIZED_PARAMETERS", SCTP_CAUSE_UNRECOGNIZED_PARAMETERS, {{0}}, REST_PARAMETERS},
    {"NO_USER_DATA", SCTP_CAUSE_NO_USER_DATA, {{"tsn", 4, 0}}, REST_NONE},
    {"COOKIE_WHILE_SHUTTING_DOWN", SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN, {{0}}, REST_NONE},
    {"RESTART_WITH_NEW_ADDRESSES", SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES, {{0}}, REST_PARAMETERS},
    {"USER_ABORT", SCTP_CAUSE_USER_INITIATED_ABORT, {{0}}, REST_BYTES},
    {"PROTOCOL_VIOLATION", SCTP_CAUSE_PROTOCOL_VIOLATION, {{0}}, REST_BYTES},
    {"CAUSE", 0, {{0}}, REST_BYTES}, /* type=... */
};

static const struct family {
    const char *what;
    const struct form *forms;
    size_t count;
} chunk_family = {"chunk", chunks, sizeof(chunks) / sizeof(chunks[0])},
  parameter_family = {"parameter", parameters, sizeof(parameters) / sizeof(parameters[0])},
  cause_family = {"error cause", causes, sizeof(causes) / sizeof(causes[0])};

static const struct form *find_form(struct script *script, const struct family *family,
                                    const struct item *item)
{
    for (size_t i = 0; i < family->count; i++) {
        if (strcmp(family->forms[i].name, item->name) == 0)
            return &family->forms[i];
    }
    script_fail(script, "there is no %s with the name %s", family->what, item->name);
}

static uint16_t item_type(struct script *script, const struct form *form, const struct item *item)
{
    const char *type = item_value(item, "type");

    return type ? (uint16_t)number_value(script, type) : form->type;
}

/* "BE" or a number. */
static uint8_t flags_value(struct script *script, const char *text)
{
    static const char letters[] = "EBUI";
    uint8_t flags = 0;

    if (strcmp(text, "T") == 0)
        return SCTP_FLAG_TAG_REFLECTED;
    if (strspn(text, letters) != strlen(text))
        return (uint8_t)number_value(script, text);
    for (; *text; text++)
        flags |= (uint8_t)(1u << (strchr(letters, *text) - letters));
    return flags;
}

static struct braid_address address_value(struct script *script, const char *text, uint16_t type)
{
    uint8_t bytes[16] = {0};

    if (!text ||
        inet_pton(type == SCTP_PARAMETER_IPV4_ADDRESS ? AF_INET : AF_INET6, text, bytes) != 1)
        script_fail(script, "'%s' is not an address", text ? text : "");
    return type == SCTP_PARAMETER_IPV4_ADDRESS ? braid_address_ipv4(bytes)
                                               : braid_address_ipv6(bytes, 0);
}

/* ---- Writing ---- */

static void write_value(struct script *script, const struct form *form, const struct item *item);

/* "[2:3 5:5]" as pairs, "[7 8]" as numbers; returns how many. */
static size_t list_value(struct script *script, const char *text, uint32_t *first, uint32_t *second)
{
    char copy[VALUE_MAXIMUM], *save = NULL;
    size_t count = 0;

    (void)snprintf(copy, sizeof(copy), "%s", text ? text : "");
    for (char *word = strtok_r(copy, "[] ", &save); word; word = strtok_r(NULL, "[] ", &save)) {
        char *colon = strchr(word, ':');

        if (count == VALUE_MAXIMUM)
            break;
        if (colon)
            *colon = '\0';
        first[count] = (uint32_t)number_value(script, word);
        second[count] = colon ? (uint32_t)number_value(script, colon + 1) : first[count];
        count++;
    }
    return count;
}

static void write_gaps(struct script *script, const struct item *item)
{
    struct packet_writer *writer = &script->peer->writer;
    uint32_t first[VALUE_MAXIMUM], last[VALUE_MAXIMUM];
    uint32_t dups[VALUE_MAXIMUM];
    size_t gap_count = list_value(script, item_value(item, "gaps"), first, last);
    size_t dup_count = list_value(script, item_value(item, "dups"), dups, dups);
    const char *count = item_value(item, "gap_count");

    packet_write_u16(writer, (uint16_t)(count ? number_value(script, count) : gap_count));
    packet_write_u16(writer, (uint16_t)dup_count);
    for (size_t i = 0; i < gap_count; i++) {
        packet_write_u16(writer, (uint16_t)first[i]);
        packet_write_u16(writer, (uint16_t)last[i]);
    }
    for (size_t i = 0; i < dup_count; i++)
        packet_write_u32(writer, dups[i]);
}

static void write_payload(struct script *script, const struct item *item)
{
    const char *length = item_value(item, "len"), *tsn = item_value(item, "tsn");
    size_t count = length ? number_value(script, length) : 100;
    uint8_t *place = packet_writer_reserve(&script->peer->writer, count);

    if (!place)
        script_fail(script, "%zu bytes are too many", count);
    peer_pattern(tsn ? (uint32_t)number_value(script, tsn) : 0, place, count);
}

static void write_nested(struct script *script, const struct family *family,
                         const struct item *item)
{
    struct packet_writer *writer = &script->peer->writer;

    for (unsigned int i = 0; i < item->argument_count; i++) {
        const struct item *nested = item->arguments[i].item;
        const struct form *form;
        const char *length;
        size_t start;

        if (!nested)
            continue;
        form = find_form(script, family, nested);
        start = parameter_begin(writer, item_type(script, form, nested));
        write_value(script, form, nested);
        parameter_end(writer, start);
        length = item_value(nested, "length");
        if (length)
            wire_put_u16(writer->bytes + start + 2, (uint16_t)number_value(script, length));
    }
}

static void write_value(struct script *script, const struct form *form, const struct item *item)
{
    struct packet_writer *writer = &script->peer->writer;
    uint8_t bytes[2048];
    uint32_t words[VALUE_MAXIMUM];
    const char *value = item_value(item, "");
    size_t count;
    struct braid_address address;

    for (unsigned int i = 0; i < 6 && form->fields[i].key; i++) {
        const char *text = item_value(item, form->fields[i].key);
        uint64_t number = text ? number_value(script, text) : form->fields[i].value;

        if (form->fields[i].size == 2)
            packet_write_u16(writer, (uint16_t)number);
        else
            packet_write_u32(writer, (uint32_t)number);
    }
    switch (form->rest) {
    case REST_NONE:
        break;
    case REST_BYTES:
        if (value)
            packet_write_bytes(writer, bytes, bytes_value(script, value, bytes, sizeof(bytes)));
        break;
    case REST_PAYLOAD:
        write_payload(script, item);
        break;
    case REST_PARAMETERS:
        write_nested(script, &parameter_family, item);
        break;
    case REST_CAUSES:
        write_nested(script, &cause_family, item);
        break;
    case REST_CHUNK:
        for (unsigned int i = 0; i < item->argument_count; i++) {
            if (item->arguments[i].item)
                items_write(script, item->arguments[i].item);
        }
        break;
    case REST_GAPS:
        write_gaps(script, item);
        break;
    case REST_WORDS:
        count = list_value(script, value, words, words);
        for (size_t i = 0; i < count; i++)
            packet_write_u16(writer, (uint16_t)words[i]);
        break;
    case REST_ADDRESS:
        address = address_value(script, value, form->type);
        packet_write_bytes(writer, address.bytes, braid_address_length(&address));
        break;
    }
}

void items_write(struct script *script, const struct item *items)
{
    struct packet_writer *writer = &script->peer->writer;

    for (const struct item *item = items; item; item = item->next) {
        const struct form *form = find_form(script, &chunk_family, item);
        const char *flags = item_value(item, "flags"), *length = item_value(item, "length");
        uint8_t default_flags = form->rest == REST_PAYLOAD ? WHOLE : 0;
        size_t start = chunk_begin(writer, (uint8_t)item_type(script, form, item),
                                   flags ? flags_value(script, flags) : default_flags);

        write_value(script, form, item);
        chunk_end(writer, start);
        if (length) /* a lie */
            wire_put_u16(writer->bytes + start + 2, (uint16_t)number_value(script, length));
    }
    if (writer->overflowed)
        script_fail(script, "the packet is too long");
}

/* ---- Comparing ---- */

struct comparison {
    struct script *script;
    char *why;
    size_t size;
};

#define differs(comparison, ...)                                                                   \
    ((void)snprintf((comparison)->why, (comparison)->size, __VA_ARGS__), false)

static bool match_value(struct comparison *comparison, const struct form *form,
                        const struct item *item, const uint8_t *value, size_t length);
static bool match_chunk(struct comparison *comparison, const struct item *item,
                        const struct sctp_chunk *chunk);

/* Each nested item of the script is there, in this order, perhaps among others. */
static bool match_nested(struct comparison *comparison, const struct family *family,
                         const struct item *item, const uint8_t *bytes, size_t length)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, bytes, length);
    for (unsigned int i = 0; i < item->argument_count; i++) {
        const struct item *nested = item->arguments[i].item;
        const struct form *form;
        bool found = false;

        if (!nested)
            continue;
        form = find_form(comparison->script, family, nested);
        while (!found && parameter_next(&iterator, &parameter)) {
            found = parameter.type == item_type(comparison->script, form, nested) &&
                    match_value(comparison, form, nested, parameter.value, parameter.value_length);
        }
        if (!found)
            return differs(comparison, "%s has no such %s", item->name, nested->name);
    }
    return true;
}

static bool match_list(struct comparison *comparison, const struct item *item, const char *key,
                       const uint32_t *first, const uint32_t *last, size_t count)
{
    uint32_t from[VALUE_MAXIMUM], to[VALUE_MAXIMUM];
    const char *text = item_value(item, key);
    size_t expected;

    if (!text)
        return true;
    expected = list_value(comparison->script, text, from, to);
    if (expected != count)
        return differs(comparison, "%s has %zu %s", item->name, count, key);
    for (size_t i = 0; i < count; i++) {
        if (from[i] != first[i] || to[i] != last[i])
            return differs(comparison, "%s: %u:%u in %s", item->name, first[i], last[i], key);
    }
    return true;
}

static bool match_gaps(struct comparison *comparison, const struct item *item, const uint8_t *value,
                       size_t length)
{
    uint32_t first[VALUE_MAXIMUM], last[VALUE_MAXIMUM], dups[VALUE_MAXIMUM];
    size_t gap_count = length >= 4 ? wire_get_u16(value) : 0;
    size_t dup_count = length >= 4 ? wire_get_u16(value + 2) : 0;

    if (length != 4 + 4 * (gap_count + dup_count) || gap_count > VALUE_MAXIMUM ||
        dup_count > VALUE_MAXIMUM)
        return differs(comparison, "SACK is malformed");
    value += 4;
    for (size_t i = 0; i < gap_count; i++, value += 4) {
        first[i] = wire_get_u16(value);
        last[i] = wire_get_u16(value + 2);
    }
    for (size_t i = 0; i < dup_count; i++, value += 4)
        dups[i] = wire_get_u32(value);
    return match_list(comparison, item, "gaps", first, last, gap_count) &&
           match_list(comparison, item, "dups", dups, dups, dup_count);
}

static bool match_rest(struct comparison *comparison, const struct form *form,
                       const struct item *item, const uint8_t *value, size_t length)
{
    const char *text = item_value(item, "");
    struct braid_address address;
    struct chunk_iterator iterator = {.position = value, .end = value + length};
    struct sctp_chunk chunk;

    switch (form->rest) {
    case REST_NONE:
    case REST_WORDS:
        return true;
    case REST_BYTES:
        return !text || bytes_match(comparison->script, text, value, length) ||
               differs(comparison, "%s has other bytes, %zu of them", item->name, length);
    case REST_PAYLOAD:
        text = item_value(item, "len");
        return !text || number_matches(comparison->script, text, length) ||
               differs(comparison, "%s has len=%zu", item->name, length);
    case REST_PARAMETERS:
        return match_nested(comparison, &parameter_family, item, value, length);
    case REST_CAUSES:
        return match_nested(comparison, &cause_family, item, value, length);
    case REST_CHUNK:
        for (unsigned int i = 0; i < item->argument_count; i++) {
            if (item->arguments[i].item)
                return chunk_next(&iterator, &chunk) &&
                       match_chunk(comparison, item->arguments[i].item, &chunk);
        }
        return true;
    case REST_GAPS:
        return match_gaps(comparison, item, value, length);
    case REST_ADDRESS:
        if (!text)
            return true;
        address = address_value(comparison->script, text, form->type);
        return length == braid_address_length(&address) &&
               memcmp(address.bytes, value, length) == 0;
    }
    return false;
}

static bool match_value(struct comparison *comparison, const struct form *form,
                        const struct item *item, const uint8_t *value, size_t length)
{
    for (unsigned int i = 0; i < 6 && form->fields[i].key; i++) {
        const char *text = item_value(item, form->fields[i].key);
        size_t size = form->fields[i].size;
        uint32_t number;

        if (length < size)
            return differs(comparison, "%s is too short", item->name);
        number = size == 2 ? wire_get_u16(value) : wire_get_u32(value);
        if (text && !number_matches(comparison->script, text, number))
            return differs(comparison, "%s has %s=%u", item->name, form->fields[i].key, number);
        value += size;
        length -= size;
    }
    return match_rest(comparison, form, item, value, length);
}

static bool match_chunk(struct comparison *comparison, const struct item *item,
                        const struct sctp_chunk *chunk)
{
    const struct form *form = find_form(comparison->script, &chunk_family, item);
    const char *flags = item_value(item, "flags");
    /* What is not said of ABORT and SHUTDOWN COMPLETE is that the tag is not reflected. */
    bool exact = chunk->type == SCTP_CHUNK_ABORT || chunk->type == SCTP_CHUNK_SHUTDOWN_COMPLETE;

    if (chunk->type != item_type(comparison->script, form, item))
        return differs(comparison, "%s stands where %s should", chunk_name(chunk->type),
                       item->name);
    if ((flags || exact) && chunk->flags != (flags ? flags_value(comparison->script, flags) : 0))
        return differs(comparison, "%s has flags=%u", item->name, chunk->flags);
    return match_value(comparison, form, item, chunk->value, chunk->value_length);
}

bool items_match(struct script *script, const struct item *items, const uint8_t *packet,
                 size_t length, char *why, size_t size)
{
    struct comparison comparison = {script, why, size};
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    chunk_iterator_init(&iterator, packet, length);
    for (const struct item *item = items; item; item = item->next) {
        if (!chunk_next(&iterator, &chunk))
            return differs(&comparison, "there is no %s in it", item->name);
        if (!match_chunk(&comparison, item, &chunk))
            return false;
    }
    return !chunk_next(&iterator, &chunk) ||
           differs(&comparison, "there is %s besides", chunk_name(chunk.type));
}
