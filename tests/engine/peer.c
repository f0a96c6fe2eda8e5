/*
 * A scripted peer: the machinery. See peer.h.
 */
#include "peer.h"

#include <stdio.h>

#include "audit.h"
#include "watcher.h"

enum {
    ENGINE = 0, /* hosts, as the watcher knows them */
    SCRIPT = 1,
    BATCH_BYTES = 1 << 17,
    IDLE_STEPS = 4, /* how often the engine may ask for the same time */
};

static uint8_t pattern(uint32_t tsn, size_t index)
{
    return (uint8_t)((size_t)tsn * 31 + index * 7 + (index >> 8));
}

void peer_pattern(uint32_t tsn, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = pattern(tsn, i);
}

/* ---- The engine's surroundings ----------------------------------------------------------------
 */

static void engine_random(void *context, void *bytes, size_t length)
{
    struct peer *peer = context;

    random_bytes(&peer->random, bytes, length);
}

static bool engine_route(void *context, const struct braid_address *destination, uint32_t interface,
                         struct braid_address *source, uint32_t *mtu)
{
    const struct peer *peer = context;

    (void)interface;
    *mtu = peer->mtu;
    *source = peer->here[0];
    for (unsigned int i = 0; i < peer->paths; i++) {
        if (braid_address_equal(destination, &peer->there[i]))
            *source = peer->here[i];
    }
    return destination->family == peer->here[0].family;
}

static struct braid_address path_address(unsigned int path, uint8_t last, bool ipv6)
{
    static const uint8_t networks[PATHS][4] = {{192, 0, 2, 0}, {198, 51, 100, 0}, {203, 0, 113, 0}};
    uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, 0, (uint8_t)path};

    if (ipv6) {
        bytes[15] = last;
        return braid_address_ipv6(bytes, 0);
    }
    memcpy(bytes, networks[path], 4);
    bytes[3] = last;
    return braid_address_ipv4(bytes);
}

struct braid_parameters peer_parameters(void)
{
    struct braid_parameters parameters;

    braid_parameters_default(&parameters);
    parameters.hb_interval = 0;
    return parameters;
}

struct peer *peer_new(const struct peer_config *config)
{
    static const struct peer_config plain;
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer = calloc(1, sizeof(*peer));
    struct braid_engine_config engine_config = {
        .random = engine_random, .route = engine_route, .context = peer};
    struct braid_endpoint_config endpoint_config = {.port = ENGINE_PORT};

    assert_non_null(peer);
    if (!config)
        config = &plain;
    random_seed(&peer->random, config->seed > 0 ? config->seed : 1);
    peer->now = 1000 * SECOND;
    peer->paths = config->paths > 0 ? config->paths : 1;
    peer->mtu = config->mtu > 0 ? config->mtu : 1500;
    peer->udp = config->udp;
    for (unsigned int i = 0; i < PATHS; i++) {
        peer->here[i] = path_address(i, 1, config->ipv6);
        peer->there[i] = path_address(i, 2, config->ipv6);
    }
    peer->port = PEER_PORT;
    peer->engine_port = ENGINE_PORT;
    peer->tag = PEER_TAG;
    peer->initial_tsn = 1000;
    peer->a_rwnd = 131072;
    peer->outbound_streams = peer->inbound_streams = 20;
    peer->watcher = watcher_new();

    engine_config.maximum_associations = config->maximum_associations;
    engine_config.encapsulation_port = config->udp;
    peer->engine = braid_engine_new(&engine_config, peer->now);
    assert_non_null(peer->engine);
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, peer->paths, peer->now),
                     0);
    endpoint_config.parameters = config->parameters ? config->parameters : &parameters;
    endpoint_config.keys = config->keys;
    endpoint_config.ipv4 = !config->ipv6;
    endpoint_config.ipv6 = config->ipv6;
    if (!config->any_address) {
        endpoint_config.addresses = peer->here;
        endpoint_config.address_count = peer->paths;
    }
    assert_int_equal(braid_endpoint_open(peer->engine, &endpoint_config, &peer->endpoint), 0);
    return peer;
}

void peer_forget(struct peer *peer)
{
    for (size_t i = 0; i < peer->sent_count; i++)
        free(peer->sent[i]);
    for (size_t i = 0; i < peer->happened_count; i++)
        free(peer->happened[i]);
    peer->sent_count = peer->sent_seen = peer->happened_count = 0;
}

void peer_free(struct peer *peer)
{
    peer_forget(peer);
    free(peer->sent);
    free(peer->happened);
    watcher_free(peer->watcher);
    braid_engine_free(peer->engine);
    free(peer);
}

int peer_setup(void **state)
{
    *state = peer_new(NULL);
    return 0;
}

int peer_teardown(void **state)
{
    peer_free(*state);
    return 0;
}

struct peer *peer_renew(void **state, const struct peer_config *config)
{
    peer_free(*state);
    *state = peer_new(config);
    return *state;
}

/* ---- Time -------------------------------------------------------------------------------------
 */

static void *array_grow(void *array, size_t count, size_t *capacity)
{
    if (count == *capacity) {
        *capacity = *capacity > 0 ? *capacity * 2 : 64;
        array = realloc(array, *capacity * sizeof(void *));
        assert_non_null(array);
    }
    return array;
}

static void peer_take_batch(struct peer *peer, const struct braid_batch *batch)
{
    size_t overhead = (batch->destination.family == BRAID_IPV6 ? 40 : 20) + (peer->udp > 0 ? 8 : 0);

    assert_true(batch->count > 0 && batch->length <= batch->capacity);
    assert_true((batch->count - 1) * batch->segment_size < batch->length &&
                batch->length <= batch->count * batch->segment_size);
    assert_int_equal(batch->encapsulation_port, peer->udp);
    for (size_t i = 0; i < batch->count; i++) {
        size_t start = i * batch->segment_size;
        size_t length = i + 1 < batch->count ? batch->segment_size : batch->length - start;
        struct sent *sent = malloc(sizeof(*sent) + length);

        assert_non_null(sent);
        *sent = (struct sent){.time = peer->now,
                              .source = batch->source,
                              .destination = batch->destination,
                              .encapsulation_port = batch->encapsulation_port,
                              .dont_fragment = batch->dont_fragment,
                              .traffic_class = batch->traffic_class,
                              .hop_limit = batch->hop_limit,
                              .priority = batch->priority,
                              .interface = batch->interface,
                              .length = length};
        memcpy(sent->bytes, batch->bytes + start, length);
        watcher_sent(peer->watcher, ENGINE, sent->bytes, length,
                     batch->dont_fragment ? peer->mtu - overhead : 0);
        assert_true(packet_read_common_header(sent->bytes, length, &sent->header));
        peer->sent = array_grow(peer->sent, peer->sent_count, &peer->sent_capacity);
        peer->sent[peer->sent_count++] = sent;
    }
}

void peer_run(struct peer *peer)
{
    static uint8_t bytes[BATCH_BYTES];
    struct braid_association_info info;
    struct braid_event event;

    for (;;) {
        struct braid_batch batch = {
            .bytes = bytes, .capacity = sizeof(bytes), .maximum_packets = 16};

        if (!braid_engine_transmit(peer->engine, &batch, peer->now))
            break;
        peer_take_batch(peer, &batch);
    }
    audit_engine(peer->engine);
    while (braid_engine_next_event(peer->engine, &event)) {
        struct happened *happened = malloc(sizeof(*happened) + event.length);

        assert_non_null(happened);
        if (event.type == BRAID_EVENT_DOWN &&
            braid_association_info(peer->engine, event.association, &info) == 0)
            watcher_forget(peer->watcher, info.peer_tag);
        happened->event = event;
        if (event.length > 0)
            memcpy(happened->bytes, event.bytes, event.length);
        happened->event.bytes = happened->bytes;
        peer->happened = array_grow(peer->happened, peer->happened_count, &peer->happened_capacity);
        peer->happened[peer->happened_count++] = happened;
    }
}

void peer_step(struct peer *peer, braid_time until)
{
    braid_time next = braid_engine_next_timeout(peer->engine);

    if (next > until) {
        peer->now = until;
        return;
    }
    if (next > peer->now)
        peer->now = next;
    braid_engine_timeout(peer->engine, peer->now);
    peer_run(peer);
}

void peer_advance(struct peer *peer, braid_time time)
{
    braid_time until = peer->now + time;
    unsigned int idle = 0;

    peer_run(peer);
    while (peer->now < until) {
        braid_time before = peer->now;

        peer_step(peer, until);
        idle = peer->now == before ? idle + 1 : 0;
        if (idle > IDLE_STEPS)
            fail_msg("braid_engine_next_timeout() does not move on");
    }
}

/* ---- Packets of the peer ----------------------------------------------------------------------
 */

void peer_begin_tag(struct peer *peer, uint32_t tag)
{
    struct sctp_common_header header = {peer->port, peer->engine_port, tag};

    packet_writer_init(&peer->writer, peer->packet, sizeof(peer->packet));
    packet_write_common_header(&peer->writer, &header);
}

void peer_begin(struct peer *peer)
{
    peer_begin_tag(peer, peer->engine_tag);
}

static void peer_deliver(struct peer *peer, const uint8_t *bytes, size_t length,
                         const struct braid_address *source,
                         const struct braid_address *destination)
{
    /* memory of exactly this size, so that AddressSanitizer sees a step outside */
    uint8_t *copy = malloc(length > 0 ? length : 1);
    struct braid_packet packet = {.bytes = copy,
                                  .length = length,
                                  .source = *source,
                                  .destination = *destination,
                                  .encapsulation_port = peer->udp,
                                  .congestion_experienced = peer->marked,
                                  .interface = peer->interface,
                                  .master = peer->master};

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    watcher_scripted(peer->watcher, SCRIPT, copy, length);
    braid_engine_receive(peer->engine, &packet, 1, peer->now);
    free(copy);
    peer_run(peer);
}

void peer_send_from(struct peer *peer, const struct braid_address *source,
                    const struct braid_address *destination)
{
    assert_true(peer->without_checksum ? packet_finish_without_checksum(&peer->writer)
                                       : packet_finish(&peer->writer));
    peer_deliver(peer, peer->writer.bytes, peer->writer.length, source, destination);
}

void peer_send_over(struct peer *peer, unsigned int path)
{
    peer_send_from(peer, &peer->there[path], &peer->here[path]);
}

void peer_send(struct peer *peer)
{
    peer_send_over(peer, 0);
}

void peer_send_bytes(struct peer *peer, const void *bytes, size_t length)
{
    peer_deliver(peer, bytes, length, &peer->there[0], &peer->here[0]);
}

size_t peer_begin_init(struct peer *peer, uint8_t type)
{
    struct sctp_init init = {.initiate_tag = peer->tag,
                             .a_rwnd = peer->a_rwnd,
                             .outbound_streams = peer->outbound_streams,
                             .inbound_streams = peer->inbound_streams,
                             .initial_tsn = peer->initial_tsn};

    size_t start;

    peer_begin_tag(peer, type == SCTP_CHUNK_INIT ? 0 : peer->engine_tag);
    start = init_begin(&peer->writer, type, &init);
    if (peer->partial_reliability)
        parameter_write(&peer->writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    if (peer->ecn)
        parameter_write(&peer->writer, SCTP_PARAMETER_ECN, NULL, 0);
    if (peer->error_detection_method)
        zero_checksum_write(&peer->writer, peer->error_detection_method);
    if (peer->extensions[0])
        parameter_write(&peer->writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, peer->extensions,
                        strnlen((const char *)peer->extensions, sizeof(peer->extensions)));
    return start;
}

void peer_send_init(struct peer *peer)
{
    chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
    peer_send(peer);
}

void peer_send_init_ack(struct peer *peer)
{
    size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);

    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

void peer_send_cookie_echo(struct peer *peer)
{
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_send(peer);
}

void peer_send_plain(struct peer *peer, uint8_t type, uint8_t flags)
{
    peer_begin(peer);
    chunk_write(&peer->writer, type, flags, NULL, 0);
    peer_send(peer);
}

void peer_send_shutdown(struct peer *peer, uint32_t cumulative_tsn_ack)
{
    peer_begin(peer);
    shutdown_write(&peer->writer, cumulative_tsn_ack);
    peer_send(peer);
}

void peer_write_data(struct peer *peer, uint32_t tsn, uint16_t stream, uint16_t ssn, uint8_t flags,
                     size_t length)
{
    static uint8_t bytes[65536];
    struct sctp_data data = {.flags = flags,
                             .stream = stream,
                             .ssn = ssn,
                             .payload_length = (uint16_t)length,
                             .tsn = tsn,
                             .ppid = 7,
                             .payload = bytes};

    peer_pattern(tsn, bytes, length);
    data_write(&peer->writer, &data);
}

void peer_send_data(struct peer *peer, uint32_t tsn, uint16_t stream, uint16_t ssn, uint8_t flags,
                    size_t length)
{
    peer_begin(peer);
    peer_write_data(peer, tsn, stream, ssn, flags, length);
    peer_send(peer);
}

void peer_send_sack_gaps(struct peer *peer, uint32_t cumulative_tsn_ack, unsigned int gaps,
                         const struct sctp_gap_ack_block *blocks)
{
    peer_begin(peer);
    sack_write(&peer->writer, cumulative_tsn_ack, peer->a_rwnd, blocks, gaps, NULL, 0);
    peer_send(peer);
}

void peer_send_sack(struct peer *peer, uint32_t cumulative_tsn_ack)
{
    peer_send_sack_gaps(peer, cumulative_tsn_ack, 0, NULL);
}

/* ---- What the engine sent ---------------------------------------------------------------------
 */

const struct sent *peer_next(struct peer *peer)
{
    peer_run(peer);
    return peer->sent_seen < peer->sent_count ? peer->sent[peer->sent_seen++] : NULL;
}

size_t peer_skip(struct peer *peer)
{
    size_t count;

    peer_run(peer);
    count = peer->sent_count - peer->sent_seen;
    peer->sent_seen = peer->sent_count;
    return count;
}

const struct sent *expect_packet(struct peer *peer, const char *chunks, const char *file, int line)
{
    const struct sent *sent = peer_next(peer);
    char name[1024] = NONE;

    if (sent)
        packet_name(sent->bytes, sent->length, name, sizeof(name));
    if (strcmp(name, chunks) != 0) {
        print_error("expected [%s], the engine sent [%s]\n", chunks, name);
        _fail(file, line);
    }
    return sent;
}

const struct sent *expect_packet_within(struct peer *peer, braid_time time, const char *chunks,
                                        const char *file, int line)
{
    braid_time until = peer->now + time;
    unsigned int idle = 0;

    peer_run(peer);
    while (peer->now < until && peer->sent_seen == peer->sent_count) {
        braid_time before = peer->now;

        peer_step(peer, until);
        idle = peer->now == before ? idle + 1 : 0;
        if (idle > IDLE_STEPS)
            fail_msg("braid_engine_next_timeout() does not move on");
    }
    return expect_packet(peer, chunks, file, line);
}

const struct sent *expect_packet_after(struct peer *peer, braid_time time, const char *chunks,
                                       const char *file, int line)
{
    braid_time start = peer->now;
    const struct sent *sent = expect_packet_within(peer, time + SLACK, chunks, file, line);

    if (sent->time < start + time) {
        print_error("[%s] came after %llu us, not %llu\n", chunks,
                    (unsigned long long)(sent->time - start), (unsigned long long)time);
        _fail(file, line);
    }
    return sent;
}

void expect_silence_for(struct peer *peer, braid_time time, const char *file, int line)
{
    peer_advance(peer, time);
    (void)expect_packet(peer, NONE, file, line);
}

unsigned int sent_count(const struct sent *sent, uint8_t type)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    unsigned int count = 0;

    chunk_iterator_init(&iterator, sent->bytes, sent->length);
    while (chunk_next(&iterator, &chunk))
        count += chunk.type == type;
    return count;
}

static struct sctp_chunk sent_nth(const struct sent *sent, uint8_t type, unsigned int index)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    chunk_iterator_init(&iterator, sent->bytes, sent->length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk.type == type && index-- == 0)
            return chunk;
    }
    fail_msg("no %s in the packet", chunk_name(type));
    return chunk;
}

struct sctp_chunk sent_chunk(const struct sent *sent, uint8_t type)
{
    return sent_nth(sent, type, 0);
}

struct sctp_init sent_init(const struct sent *sent)
{
    uint8_t type = sent_count(sent, SCTP_CHUNK_INIT) > 0 ? SCTP_CHUNK_INIT : SCTP_CHUNK_INIT_ACK;
    struct sctp_chunk chunk = sent_chunk(sent, type);
    struct sctp_init init;

    assert_true(init_read(&chunk, &init));
    return init;
}

struct sctp_sack sent_sack(const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_SACK);
    struct sctp_sack sack;

    assert_true(sack_read(&chunk, &sack));
    return sack;
}

struct sctp_data sent_data(const struct sent *sent, unsigned int index)
{
    struct sctp_chunk chunk = sent_nth(sent, SCTP_CHUNK_DATA, index);
    struct sctp_data data;

    assert_true(data_read(&chunk, &data));
    return data;
}

struct sctp_data sent_i_data(const struct sent *sent, unsigned int index)
{
    struct sctp_chunk chunk = sent_nth(sent, SCTP_CHUNK_I_DATA, index);
    struct sctp_data data;

    assert_true(i_data_read(&chunk, &data));
    return data;
}

static bool find_cause(const struct sent *sent, uint16_t code, struct sctp_parameter *cause)
{
    struct parameter_iterator causes;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    chunk_iterator_init(&iterator, sent->bytes, sent->length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk.type != SCTP_CHUNK_ABORT && chunk.type != SCTP_CHUNK_ERROR)
            continue;
        parameter_iterator_init(&causes, chunk.value, chunk.value_length);
        while (parameter_next(&causes, cause)) {
            if (cause->type == code)
                return true;
        }
    }
    return false;
}

bool sent_has_cause(const struct sent *sent, uint16_t code)
{
    struct sctp_parameter cause;

    return find_cause(sent, code, &cause);
}

struct sctp_parameter sent_cause(const struct sent *sent, uint16_t code)
{
    struct sctp_parameter cause;

    if (!find_cause(sent, code, &cause))
        fail_msg("no error cause %u in the packet", code);
    return cause;
}

bool sent_parameter(const struct sent *sent, uint16_t type, struct sctp_parameter *parameter)
{
    struct sctp_init init = sent_init(sent);
    struct parameter_iterator iterator;

    parameter_iterator_init(&iterator, init.parameters, init.parameters_length);
    while (parameter_next(&iterator, parameter)) {
        if (parameter->type == type)
            return true;
    }
    return false;
}

void assert_sack(const struct sent *sent, uint32_t cumulative_tsn_ack, unsigned int gaps,
                 unsigned int duplicates)
{
    struct sctp_sack sack = sent_sack(sent);

    assert_int_equal(sack.cumulative_tsn_ack, cumulative_tsn_ack);
    assert_int_equal(sack.gap_ack_block_count, gaps);
    assert_int_equal(sack.duplicate_tsn_count, duplicates);
}

/* ---- Events and messages ----------------------------------------------------------------------
 */

static struct happened *peer_find_event(struct peer *peer, enum braid_event_type type)
{
    peer_run(peer);
    for (size_t i = 0; i < peer->happened_count; i++) {
        if (peer->happened[i]->event.type == type)
            return peer->happened[i];
    }
    return NULL;
}

const struct braid_event *expect_event(struct peer *peer, enum braid_event_type type)
{
    struct happened *happened = peer_find_event(peer, type);
    static struct braid_event event;
    static uint8_t bytes[65536];
    size_t index = 0;

    if (!happened) {
        fail_msg("no event of type %d", (int)type);
        return &event;
    }
    event = happened->event;
    memcpy(bytes, happened->bytes, event.length < sizeof(bytes) ? event.length : sizeof(bytes));
    event.bytes = bytes;
    while (peer->happened[index] != happened)
        index++;
    for (; index + 1 < peer->happened_count; index++)
        peer->happened[index] = peer->happened[index + 1];
    peer->happened_count--;
    free(happened);
    return &event;
}

void expect_no_event(struct peer *peer, enum braid_event_type type)
{
    if (peer_find_event(peer, type))
        fail_msg("an event of type %d", (int)type);
}

const struct braid_event *expect_down(struct peer *peer, enum braid_down_reason reason)
{
    const struct braid_event *event = expect_event(peer, BRAID_EVENT_DOWN);

    assert_int_equal(event->reason, reason);
    assert_int_equal(event->association, peer->association);
    return event;
}

void expect_message(struct peer *peer, uint16_t stream, uint32_t tsn, size_t length)
{
    struct braid_received received;

    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_int_equal(received.stream, stream);
    assert_int_equal(received.tsn, tsn);
    assert_int_equal(received.length, length);
    assert_int_equal(received.ppid, 7);
    assert_true(received.flags & BRAID_RECEIVE_END);
    for (size_t i = 0; i < length; i++) {
        if (received.bytes[i] != pattern(tsn, i))
            fail_msg("byte %zu of message %u is wrong", i, tsn);
    }
    braid_received_release(peer->engine, &received, peer->now);
    peer_run(peer);
}

void expect_no_message(struct peer *peer)
{
    struct braid_received received;

    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 0);
}

/* ---- An association ---------------------------------------------------------------------------
 */

void peer_read_init(struct peer *peer, const struct sent *sent)
{
    struct sctp_parameter cookie;
    struct sctp_init init = sent_init(sent);

    peer->engine_tag = init.initiate_tag;
    peer->engine_initial_tsn = init.initial_tsn;
    peer->engine_a_rwnd = init.a_rwnd;
    peer->engine_port = sent->header.source_port;
    if (sent_parameter(sent, SCTP_PARAMETER_STATE_COOKIE, &cookie)) {
        assert_true(cookie.value_length <= sizeof(peer->cookie));
        memcpy(peer->cookie, cookie.value, cookie.value_length);
        peer->cookie_length = cookie.value_length;
    }
}

void peer_handshake(struct peer *peer)
{
    size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    const struct sent *sent;

    for (unsigned int i = 0; peer->paths > 1 && i < peer->paths; i++)
        address_parameter_write(&peer->writer, &peer->there[i]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "INIT_ACK");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    peer_read_init(peer, sent);
    peer_send_cookie_echo(peer);
}

void peer_accept(struct peer *peer)
{
    const struct braid_event *event;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer_handshake(peer);
    expect(peer, "COOKIE_ACK");
    event = expect_event(peer, BRAID_EVENT_UP);
    assert_true(event->incoming);
    peer->association = event->association;
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

void peer_start_connect(struct peer *peer)
{
    assert_int_equal(braid_connect(peer->engine, peer->endpoint, peer->there, peer->paths,
                                   peer->port, peer->udp, peer->now, &peer->association),
                     0);
    peer_run(peer);
}

void peer_answer_init(struct peer *peer)
{
    const struct sent *sent = expect(peer, "INIT");
    size_t start;

    assert_int_equal(sent->header.verification_tag, 0);
    assert_int_equal(sent->header.destination_port, peer->port);
    peer_read_init(peer, sent);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    for (unsigned int i = 0; peer->paths > 1 && i < peer->paths; i++)
        address_parameter_write(&peer->writer, &peer->there[i]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

void peer_connect(struct peer *peer)
{
    const struct sent *sent;

    peer_start_connect(peer);
    peer_answer_init(peer);
    sent = expect(peer, "COOKIE_ECHO");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_COOKIE_ECHO).value_length, 7);
    assert_memory_equal(sent_chunk(sent, SCTP_CHUNK_COOKIE_ECHO).value, "biscuit", 7);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_false(expect_event(peer, BRAID_EVENT_UP)->incoming);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

int peer_user_send_flags(struct peer *peer, uint16_t stream, size_t length, uint16_t flags)
{
    static uint8_t bytes[1 << 20];
    struct braid_send send = {.stream = stream, .flags = flags, .ppid = 51, .context = 99};
    int result;

    assert_true(length <= sizeof(bytes));
    for (size_t i = 0; i < length; i++)
        bytes[i] = pattern((uint32_t)length, i);
    result = braid_send(peer->engine, peer->association, &send, bytes, length, peer->now);
    peer_run(peer);
    return result;
}

int peer_user_send(struct peer *peer, uint16_t stream, size_t length)
{
    return peer_user_send_flags(peer, stream, length, 0);
}

struct braid_association_info peer_info(struct peer *peer)
{
    struct braid_association_info info;

    assert_int_equal(braid_association_info(peer->engine, peer->association, &info), 0);
    return info;
}

struct braid_path_info peer_path(struct peer *peer, uint32_t path)
{
    struct braid_path_info info;

    assert_int_equal(braid_path_info(peer->engine, peer->association, path, &info), 0);
    return info;
}

enum braid_state peer_state(struct peer *peer)
{
    struct braid_association_info info;

    if (braid_association_info(peer->engine, peer->association, &info) < 0)
        return BRAID_CLOSED;
    return info.state;
}

struct braid_parameters *peer_association_parameters(struct peer *peer)
{
    struct braid_parameters *parameters =
        braid_association_parameters(peer->engine, peer->association);

    assert_non_null(parameters);
    return parameters;
}

uint32_t peer_pmdcs(const struct peer *peer)
{
    uint32_t overhead = peer->here[0].family == BRAID_IPV6 ? 40 : 20;

    return (peer->mtu - overhead - (peer->udp > 0 ? 8 : 0) - SCTP_COMMON_HEADER_LENGTH) &
           ~(uint32_t)3;
}
