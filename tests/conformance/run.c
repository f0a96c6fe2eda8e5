/*
 * Runs packet scripts, each a test with the name of its file, against the engine in virtual time.
 */
#include "script.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "watcher.h"

static const braid_time LONG = 200 * SECOND; /* "*": at any time, but not later than this */

/* When a step is to happen, counted from the one before. */
struct when {
    bool given;
    braid_time least, most;
};

/* ---- The peer that scripts talk to ---- */

struct setting {
    const char *name;
    size_t offset;
    size_t size;
};

#define SETTING(field)                                                                             \
    {                                                                                              \
#field, offsetof(struct braid_parameters, field),                                          \
            sizeof(((struct braid_parameters *)NULL)->field)                                       \
    }

static const struct setting settings[] = {
    SETTING(rto_initial),
    SETTING(rto_min),
    SETTING(rto_max),
    SETTING(max_burst),
    SETTING(valid_cookie_life),
    SETTING(association_max_retrans),
    SETTING(path_max_retrans),
    SETTING(potentially_failed_max_retrans),
    SETTING(max_init_retransmits),
    SETTING(max_init_timeout),
    SETTING(hb_interval),
    SETTING(sack_delay),
    SETTING(sack_frequency),
    SETTING(shutdown_guard),
    SETTING(receive_buffer),
    SETTING(send_buffer),
    SETTING(maximum_segment),
    SETTING(outbound_streams),
    SETTING(inbound_streams),
    SETTING(no_delay),
    SETTING(cookie_preservative),
    SETTING(disable_fragments),
    SETTING(partial_reliability),
    SETTING(traffic_class),
    SETTING(error_detection_method),
};

static void set_parameter(struct script *script, struct braid_parameters *parameters,
                          const char *name, uint64_t value)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        uint8_t *place = (uint8_t *)parameters + settings[i].offset;

        if (strcmp(settings[i].name, name) != 0)
            continue;
        if (settings[i].size == 4)
            *(uint32_t *)(void *)place = (uint32_t)value;
        else if (settings[i].size == 2)
            *(uint16_t *)(void *)place = (uint16_t)value;
        else
            *place = (uint8_t)value;
        return;
    }
    script_fail(script, "there is no parameter with the name %s", name);
}

/* "host key=value ...": how the world is; the first step, if any. */
static void make_host(struct script *script, const struct item *arguments)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer_config config = {.parameters = &parameters};

    parameters.cookie_preservative = true;
    for (unsigned int i = 0; arguments && i < arguments->argument_count; i++) {
        const struct argument *argument = &arguments->arguments[i];
        uint64_t value = number_value(script, argument->value);

        if (strcmp(argument->key, "paths") == 0)
            config.paths = (unsigned int)value;
        else if (strcmp(argument->key, "ipv6") == 0)
            config.ipv6 = value;
        else if (strcmp(argument->key, "udp") == 0)
            config.udp = (uint16_t)value;
        else if (strcmp(argument->key, "any") == 0)
            config.any_address = value;
        else if (strcmp(argument->key, "mtu") == 0)
            config.mtu = (uint32_t)value;
        else if (strcmp(argument->key, "associations") == 0)
            config.maximum_associations = (uint32_t)value;
        else
            set_parameter(script, &parameters, argument->key, value);
    }
    script->peer = peer_new(&config);
    watcher_allow_other_tags(script->peer->watcher);
}

/* ---- Packets ---- */

struct packet_options {
    unsigned int path;
    bool tag_given;
    enum { CHECKSUM_ANY, CHECKSUM_GOOD, CHECKSUM_BAD, CHECKSUM_ZERO } checksum;
    uint32_t tag;
    uint16_t source_port, destination_port;
    const char *from; /* another source address */
    const char *to;
    size_t cut; /* bytes that are missing at the end */
};

/* "(path=2, tag=7)" in front of the chunks. Returns what follows. */
static const char *read_options(struct script *script, const char *text,
                                struct packet_options *options, struct item **keep)
{
    static const char *const known[] = {"path", "tag", "sport", "dport",
                                        "from", "to",  "cut",   "checksum"};
    const char *end = strchr(text, ')'), *value;
    char inside[VALUE_MAXIMUM] = "";
    struct item *item;

    *options = (struct packet_options){.source_port = script->peer->port,
                                       .destination_port = script->peer->engine_port};
    *keep = NULL;
    if (*text != '(' || !end || (size_t)(end - text) >= sizeof(inside))
        return text;
    memcpy(inside, text + 1, (size_t)(end - text - 1));
    *keep = item = arguments_parse(script, inside);
    for (unsigned int i = 0; i < item->argument_count; i++) {
        bool found = false;

        for (size_t j = 0; j < sizeof(known) / sizeof(known[0]); j++)
            found |= strcmp(item->arguments[i].key, known[j]) == 0;
        if (!found)
            script_fail(script, "%s is nothing that a packet has", item->arguments[i].key);
    }
    if ((value = item_value(item, "path")))
        options->path = (unsigned int)number_value(script, value) - 1;
    if (options->path >= PATHS)
        script_fail(script, "there is no such path");
    if ((value = item_value(item, "tag"))) {
        options->tag_given = true;
        options->tag = (uint32_t)number_value(script, value);
    }
    if ((value = item_value(item, "sport")))
        options->source_port = (uint16_t)number_value(script, value);
    if ((value = item_value(item, "dport")))
        options->destination_port = (uint16_t)number_value(script, value);
    if ((value = item_value(item, "cut")))
        options->cut = number_value(script, value);
    options->from = item_value(item, "from");
    options->to = item_value(item, "to");
    value = item_value(item, "checksum");
    if (value && strcmp(value, "bad") == 0)
        options->checksum = CHECKSUM_BAD;
    else if (value && strcmp(value, "zero") == 0)
        options->checksum = CHECKSUM_ZERO;
    else if (value && strcmp(value, "good") == 0)
        options->checksum = CHECKSUM_GOOD;
    else if (value)
        script_fail(script, "a checksum is good, bad or zero");
    return end + 1 + strspn(end + 1, " ");
}

static struct braid_address named_address(struct script *script, const char *text)
{
    uint8_t bytes[4];

    if (sscanf(text, "%hhu.%hhu.%hhu.%hhu", &bytes[0], &bytes[1], &bytes[2], &bytes[3]) != 4)
        script_fail(script, "'%s' is not an address", text);
    return braid_address_ipv4(bytes);
}

static bool item_is_init(const struct item *item)
{
    return strcmp(item->name, "INIT") == 0 || strcmp(item->name, "INIT_ACK") == 0;
}

static void set_number(struct script *script, const char *name, uint64_t number)
{
    variable_add(script, name)->number = number;
}

static void inject(struct script *script, const char *text)
{
    struct peer *peer = script->peer;
    struct packet_options options;
    struct braid_address source, destination;
    struct item *keep, *items;
    uint32_t tag;

    items = items_parse(script, read_options(script, text, &options, &keep));
    if (item_is_init(items) && item_value(items, "tag"))
        peer->tag = (uint32_t)number_value(script, item_value(items, "tag"));
    else if (item_is_init(items))
        peer->tag = PEER_TAG;
    tag = options.tag_given ? options.tag : strcmp(items->name, "INIT") == 0 ? 0 : peer->engine_tag;
    set_number(script, "$last_tag", tag);
    source = options.from ? named_address(script, options.from) : peer->there[options.path];
    destination = options.to ? named_address(script, options.to) : peer->here[options.path];
    packet_writer_init(&peer->writer, peer->packet, sizeof(peer->packet));
    packet_write_common_header(
        &peer->writer, &(struct sctp_common_header){.source_port = options.source_port,
                                                    .destination_port = options.destination_port,
                                                    .verification_tag = tag});
    items_write(script, items);
    if (options.cut > peer->writer.length)
        script_fail(script, "there is nothing left");
    peer->writer.length -= options.cut;
    peer->without_checksum = options.checksum == CHECKSUM_ZERO;
    if (options.checksum == CHECKSUM_BAD) {
        assert_true(packet_finish(&peer->writer));
        peer->writer.bytes[SCTP_CHECKSUM_OFFSET] ^= 0x55;
        peer_send_bytes(peer, peer->writer.bytes, peer->writer.length);
    } else {
        peer_send_from(peer, &source, &destination);
    }
    items_free(items);
    items_free(keep);
}

/* What the engine says of itself is known to the peer from then on. */
static void learn(struct script *script, const struct sent *sent)
{
    struct peer *peer = script->peer;

    if (sent_count(sent, SCTP_CHUNK_INIT) + sent_count(sent, SCTP_CHUNK_INIT_ACK) > 0)
        peer_read_init(peer, sent);
}

static void wait_for_packet(struct script *script, const struct when *when)
{
    struct peer *peer = script->peer;
    braid_time start = peer->now;
    char name[256];

    if (peer->sent_seen < peer->sent_count || !when->given)
        peer_run(peer);
    while (when->given && peer->sent_seen == peer->sent_count && peer->now < start + when->most)
        peer_step(peer, start + when->most);
    if (peer->sent_seen == peer->sent_count)
        script_fail(script, "nothing was sent");
    if (when->given && when->least > 0 && peer->now < start + when->least) {
        const struct sent *sent = peer->sent[peer->sent_seen];

        packet_name(sent->bytes, sent->length, name, sizeof(name));
        script_fail(script, "[%s] came after %.3f s already", name,
                    (double)(peer->now - start) / (double)SECOND);
    }
}

static void expect_packets(struct script *script, const char *text, const struct when *when)
{
    struct peer *peer = script->peer;
    struct packet_options options;
    struct item *keep, *items;
    const struct sent *sent;
    char why[256] = "", name[512];
    uint32_t tag;

    wait_for_packet(script, when);
    sent = peer->sent[peer->sent_seen++];
    learn(script, sent);
    items = items_parse(script, read_options(script, text, &options, &keep));
    packet_name(sent->bytes, sent->length, name, sizeof(name));
    if (!items_match(script, items, sent->bytes, sent->length, why, sizeof(why)))
        script_fail(script, "%s; [%s] was sent", why, name);
    tag = options.tag_given ? options.tag : strcmp(items->name, "INIT") == 0 ? 0 : peer->tag;
    if (!options.tag_given && item_value(items, "flags") &&
        strcmp(item_value(items, "flags"), "T") == 0)
        tag = (uint32_t)variable_find(script, "$last_tag")->number;
    if (sent->header.verification_tag != tag)
        script_fail(script, "[%s] has the Verification Tag 0x%x, not 0x%x", name,
                    sent->header.verification_tag, tag);
    if (sent->header.destination_port != options.source_port ||
        sent->header.source_port != options.destination_port)
        script_fail(script, "[%s] is for another port", name);
    if (options.checksum != CHECKSUM_ANY &&
        (packet_read_checksum(sent->bytes) == 0) != (options.checksum == CHECKSUM_ZERO))
        script_fail(script, "[%s] has the checksum 0x%08x", name,
                    packet_read_checksum(sent->bytes));
    if (!options.from && !braid_address_equal(&sent->destination, &peer->there[options.path]))
        script_fail(script, "[%s] goes over another path", name);
    items_free(items);
    items_free(keep);
}

static void expect_silent(struct script *script)
{
    struct peer *peer = script->peer;
    char name[512];

    peer_run(peer);
    if (peer->sent_seen == peer->sent_count)
        return;
    packet_name(peer->sent[peer->sent_seen]->bytes, peer->sent[peer->sent_seen]->length, name,
                sizeof(name));
    script_fail(script, "[%s] was sent and not expected", name);
}

/* ---- What we call ---- */

static const struct named {
    const char *name;
    int value;
} errors[] = {{"EPIPE", EPIPE},       {"EINVAL", EINVAL},     {"EAGAIN", EAGAIN},
              {"ENOTCONN", ENOTCONN}, {"EMSGSIZE", EMSGSIZE}, {"OK", 0}},
  events[] = {{"up", BRAID_EVENT_UP},
              {"down", BRAID_EVENT_DOWN},
              {"restart", BRAID_EVENT_RESTART},
              {"path", BRAID_EVENT_PATH},
              {"send_failed", BRAID_EVENT_SEND_FAILED},
              {"remote_error", BRAID_EVENT_REMOTE_ERROR},
              {"peer_shutdown", BRAID_EVENT_PEER_SHUTDOWN},
              {"dry", BRAID_EVENT_DRY},
              {"adaptation", BRAID_EVENT_ADAPTATION},
              {NULL, 0}},
  reasons[] = {{"shutdown", BRAID_DOWN_SHUTDOWN},
               {"aborted_by_user", BRAID_DOWN_ABORTED_BY_USER},
               {"aborted_by_peer", BRAID_DOWN_ABORTED_BY_PEER},
               {"lost", BRAID_DOWN_LOST},
               {"cannot_start", BRAID_DOWN_CANNOT_START},
               {"protocol", BRAID_DOWN_PROTOCOL}};

static int find_named(struct script *script, const struct named *names, size_t count,
                      const char *name)
{
    for (size_t i = 0; i < count && names[i].name; i++) {
        if (strcmp(names[i].name, name) == 0)
            return names[i].value;
    }
    script_fail(script, "'%s' is not known here", name);
}

#define NAMED(script, names, name)                                                                 \
    find_named(script, names, sizeof(names) / sizeof((names)[0]), name)

static uint64_t argument_number(struct script *script, const struct item *arguments,
                                const char *key, uint64_t otherwise)
{
    const char *text = item_value(arguments, key);

    return text ? number_value(script, text) : otherwise;
}

static void take_association(struct script *script)
{
    struct braid_association_info info;
    struct peer *peer = script->peer;
    uint32_t last = 0, next;

    peer_run(peer);
    if (peer->association && braid_association_info(peer->engine, peer->association, &info) == 0 &&
        info.state != BRAID_CLOSED)
        return;
    while ((next = braid_association_next(peer->engine, 0, last)) != 0)
        last = next;
    if (last)
        peer->association = last;
}

static void call_send(struct script *script, const struct item *arguments)
{
    struct peer *peer = script->peer;
    size_t length = argument_number(script, arguments, "", 100);
    const char *error = item_value(arguments, "error"), *path = item_value(arguments, "path");
    struct braid_send send = {
        .stream = (uint16_t)argument_number(script, arguments, "sid", 0),
        .flags =
            (uint16_t)((argument_number(script, arguments, "unordered", 0) ? BRAID_SEND_UNORDERED
                                                                           : 0) |
                       (path ? BRAID_SEND_OVER_PATH : 0)),
        .path = path ? (uint32_t)number_value(script, path) - 1 : 0,
        .ppid = 7,
    };
    uint8_t *bytes = calloc(1, length + 1);
    int result;

    assert_non_null(bytes);
    result = braid_send(peer->engine, peer->association, &send, bytes, length, peer->now);
    free(bytes);
    if (result != (error ? -NAMED(script, errors, error) : 0))
        script_fail(script, "the result is %d", result);
}

static void call_read(struct script *script, const struct item *arguments)
{
    struct peer *peer = script->peer;
    const char *length = item_value(arguments, "");
    struct braid_received received;
    int result = braid_receive(peer->engine, peer->association, &received, peer->now);

    if (length && strcmp(length, "nothing") == 0) {
        if (result > 0)
            script_fail(script, "%u bytes can be read", received.length);
        return;
    }
    if (result <= 0)
        script_fail(script, "there is nothing to read");
    if (length && received.length != number_value(script, length))
        script_fail(script, "the message has %u bytes", received.length);
    if (received.stream != argument_number(script, arguments, "sid", received.stream) ||
        received.tsn != argument_number(script, arguments, "tsn", received.tsn))
        script_fail(script, "it is another message: stream %u, TSN %u", received.stream,
                    received.tsn);
    braid_received_release(peer->engine, &received, peer->now);
}

static void call_event(struct script *script, const struct item *arguments, bool none)
{
    const char *name = item_value(arguments, ""), *value;
    enum braid_event_type type = (enum braid_event_type)NAMED(script, events, name ? name : "");
    const struct braid_event *event;
    struct peer *peer = script->peer;
    bool found = false;

    peer_run(peer);
    for (size_t i = 0; i < peer->happened_count; i++)
        found |= peer->happened[i]->event.type == type;
    if (none != !found)
        script_fail(script, none ? "it happened" : "it did not happen");
    if (none)
        return;
    event = expect_event(peer, type);
    if ((value = item_value(arguments, "reason")) &&
        event->reason != (enum braid_down_reason)NAMED(script, reasons, value))
        script_fail(script, "it ended for reason %d", (int)event->reason);
    if ((value = item_value(arguments, "cause")) &&
        event->cause != (uint16_t)number_value(script, value))
        script_fail(script, "the cause is %u", event->cause);
    if ((value = item_value(arguments, "change")) &&
        event->path_change != (enum braid_path_change)number_value(script, value))
        script_fail(script, "the path's change is %d", (int)event->path_change);
}

static void call_state(struct script *script, const struct item *arguments)
{
    const char *expected = item_value(arguments, "");
    const char *state = braid_state_name(peer_state(script->peer));

    if (!expected || strcmp(expected, state) != 0)
        script_fail(script, "the state is %s", state);
}

static void call_connect(struct script *script)
{
    struct peer *peer = script->peer;
    int error = braid_connect(peer->engine, peer->endpoint, peer->there, peer->paths, peer->port,
                              peer->udp, peer->now, &peer->association);

    if (error < 0)
        script_fail(script, "the result is %d", error);
}

/* The four steps of the setup: we connect, or the peer does. $tsn is our first TSN, 1 is the
 * peer's. */
static void call_established(struct script *script, const struct item *arguments, bool called)
{
    struct peer *peer = script->peer;

    peer->initial_tsn = 1;
    peer->a_rwnd = (uint32_t)argument_number(script, arguments, "a_rwnd", peer->a_rwnd);
    peer->outbound_streams = (uint16_t)argument_number(script, arguments, "os", 10);
    peer->inbound_streams = (uint16_t)argument_number(script, arguments, "is", 10);
    if (called)
        peer_accept(peer);
    else
        peer_connect(peer);
    set_number(script, "$tsn", peer->engine_initial_tsn);
    set_number(script, "$tag", peer->engine_tag);
    variable_add(script, "$cookie")->length = peer->cookie_length;
    memcpy(variable_find(script, "$cookie")->bytes, peer->cookie, peer->cookie_length);
}

static void call_set(struct script *script, const struct item *arguments)
{
    struct braid_parameters *parameters =
        braid_association_parameters(script->peer->engine, script->peer->association);

    if (!parameters)
        script_fail(script, "there is no association");
    for (unsigned int i = 0; i < arguments->argument_count; i++)
        set_parameter(script, parameters, arguments->arguments[i].key,
                      number_value(script, arguments->arguments[i].value));
}

static void call(struct script *script, const char *name, const struct item *arguments)
{
    struct peer *peer = script->peer;
    uint32_t path = (uint32_t)argument_number(script, arguments, "path", 1) - 1;

    if (strcmp(name, "host") != 0)
        take_association(script);
    if (strcmp(name, "listen") == 0)
        assert_int_equal(
            braid_endpoint_listen(peer->engine, peer->endpoint,
                                  (uint32_t)argument_number(script, arguments, "backlog", 5)),
            0);
    else if (strcmp(name, "connect") == 0)
        call_connect(script);
    else if (strcmp(name, "connected") == 0 || strcmp(name, "accepted") == 0)
        call_established(script, arguments, strcmp(name, "accepted") == 0);
    else if (strcmp(name, "set") == 0)
        call_set(script, arguments);
    else if (strcmp(name, "send") == 0)
        call_send(script, arguments);
    else if (strcmp(name, "read") == 0)
        call_read(script, arguments);
    else if (strcmp(name, "shutdown") == 0)
        (void)braid_shutdown(peer->engine, peer->association, peer->now);
    else if (strcmp(name, "abort") == 0)
        (void)braid_abort(peer->engine, peer->association, "because", 7, peer->now);
    else if (strcmp(name, "heartbeat") == 0)
        (void)braid_path_request_heartbeat(peer->engine, peer->association, path, peer->now);
    else if (strcmp(name, "primary") == 0)
        (void)braid_path_set_primary(peer->engine, peer->association, path, peer->now);
    else if (strcmp(name, "event") == 0)
        call_event(script, arguments, false);
    else if (strcmp(name, "no_event") == 0)
        call_event(script, arguments, true);
    else if (strcmp(name, "state") == 0)
        call_state(script, arguments);
    else if (strcmp(name, "silence") == 0)
        expect_silent(script);
    else
        script_fail(script, "'%s' is no step", name);
    peer_run(peer);
}

/* ---- Steps ---- */

/* "+0.5", "+0.5..1", "*". */
static const char *read_when(const struct script *script, const char *text, struct when *when)
{
    char *end;
    double from, to;

    *when = (struct when){0};
    if (*text == '*') {
        *when = (struct when){true, 0, LONG};
        return text + 1 + strspn(text + 1, " ");
    }
    if (*text != '+')
        return text;
    from = to = strtod(text + 1, &end);
    if (end > text + 1 && end[-1] == '.') /* "1..2" is read as "1." */
        end--;
    if (strncmp(end, "..", 2) == 0)
        to = strtod(end + 2, &end);
    if (!isspace((unsigned char)*end) || to < from)
        script_fail(script, "'%s' is no time", text);
    *when = (struct when){true, (braid_time)(from * (double)SECOND),
                          (braid_time)(to * (double)SECOND) + SLACK};
    return end + strspn(end, " ");
}

static void run_step(struct script *script, const char *text)
{
    struct when when;
    char name[NAME_MAXIMUM];
    struct item *arguments;
    size_t length;

    text = read_when(script, text, &when);
    if (*text == '>') {
        expect_packets(script, text + 1 + strspn(text + 1, " "), &when);
        return;
    }
    if (when.given && when.least > 0)
        peer_advance(script->peer, when.least);
    if (*text == '<') {
        inject(script, text + 1 + strspn(text + 1, " "));
        return;
    }
    length = strcspn(text, " ");
    if (length >= sizeof(name))
        script_fail(script, "'%s' is no step", text);
    memcpy(name, text, length);
    name[length] = '\0';
    arguments = arguments_parse(script, text + length);
    call(script, name, arguments);
    items_free(arguments);
}

static void run_script(void **state)
{
    static struct script script;
    char *text;

    script_open(&script, *state);
    text = script_next(&script);
    if (text && strncmp(text, "host ", 5) == 0) {
        struct item *arguments = arguments_parse(&script, text + 5);

        make_host(&script, arguments);
        items_free(arguments);
        free(text);
        text = script_next(&script);
    } else {
        make_host(&script, NULL);
    }
    set_number(&script, "$last_tag", 0);
    for (; text; text = script_next(&script)) {
        run_step(&script, text);
        free(text);
    }
    expect_silent(&script);
    peer_free(script.peer);
    script_close(&script);
}

/* ---- All scripts of the folders that are named, or single ones ---- */

static int is_script(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');

    return end && strcmp(end, ".script") == 0;
}

static void add_test(struct CMUnitTest **tests, size_t *count, char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = strdup(slash ? slash + 1 : path);

    *tests = realloc(*tests, (*count + 1) * sizeof(**tests));
    assert_non_null(*tests);
    assert_non_null(name);
    if (strrchr(name, '.'))
        *strrchr(name, '.') = '\0';
    (*tests)[(*count)++] =
        (struct CMUnitTest){.name = name, .test_func = run_script, .initial_state = path};
}

static void add_folder(struct CMUnitTest **tests, size_t *count, const char *folder)
{
    struct dirent **entries;
    int found = scandir(folder, &entries, is_script, alphasort);

    for (int i = 0; i < found; i++) {
        char *path = NULL;

        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            abort();
        add_test(tests, count, path);
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
}

int main(int argument_count, char **arguments)
{
    struct CMUnitTest *tests = NULL;
    size_t count = 0;
    int failed;

    for (int i = 1; i < argument_count; i++) {
        struct stat status;

        if (stat(arguments[i], &status) == 0 && S_ISDIR(status.st_mode))
            add_folder(&tests, &count, arguments[i]);
        else
            add_test(&tests, &count, strdup(arguments[i]));
    }
    if (count == 0) {
        print_error("usage: packet_scripts FOLDER|SCRIPT...\n");
        return 2;
    }
    failed = _cmocka_run_group_tests("packet scripts", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        free((char *)tests[i].name);
        free(tests[i].initial_state);
    }
    free(tests);
    return failed;
}
