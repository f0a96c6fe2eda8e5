/*
 * Fuzzer: an engine (src/engine/), fed packets with the right tags, checksums, MACs and cookies in
 * each state of an association, while its user goes on.
 *
 * The input is told in engine_input.h. Numbers that an enemy could know are written relative to
 * what they are at the time: TSNs to the initial ones, a short cookie stands for the last one that
 * the engine made, a short HEARTBEAT ACK answers the last HEARTBEAT.
 *
 * What must hold: no crash, what is sent passes the watcher, counts agree, and the engine ends with
 * nothing left.
 */
#include "engine/script.h"
#include "engine/watcher.h"
#include "engine_input.h"
#include "fuzz.h"
#include "packet/reconfig.h"

enum { STREAMS = 20, MESSAGE_MAXIMUM = 20000 };

struct scene {
    struct peer *peer;
    struct script script;
    uint8_t features, more;
    uint32_t inits;        /* of the peer: each has a tag of its own */
    uint8_t heartbeat[64]; /* the last Heartbeat Info of the engine */
    size_t heartbeat_length;
};

/* ---- What the engine sent ---------------------------------------------------------------------
 */

static void scene_look(struct scene *scene)
{
    struct peer *peer = scene->peer;
    const struct sent *sent;
    struct chunk_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_heartbeat heartbeat;
    struct sctp_chunk chunk;

    while ((sent = peer_next(peer))) {
        chunk_iterator_init(&iterator, sent->bytes, sent->length);
        while (chunk_next(&iterator, &chunk)) {
            if (chunk.type == SCTP_CHUNK_INIT || chunk.type == SCTP_CHUNK_INIT_ACK) {
                peer_read_init(peer, sent);
                if (sent_parameter(sent, SCTP_PARAMETER_RANDOM, &parameter))
                    (void)learn_key(&scene->script, sent);
            } else if (chunk.type == SCTP_CHUNK_HEARTBEAT && heartbeat_read(&chunk, &heartbeat) &&
                       heartbeat.info_length <= sizeof(scene->heartbeat)) {
                memcpy(scene->heartbeat, heartbeat.info, heartbeat.info_length);
                scene->heartbeat_length = heartbeat.info_length;
            }
        }
    }
    peer_forget(peer);
}

/* ---- What the peer sends ----------------------------------------------------------------------
 */

static void add_at(uint8_t *bytes, uint32_t base)
{
    wire_put_u32(bytes, wire_get_u32(bytes) + base);
}

/* The numbers of requests follow from the TSNs, too (RFC 6525, 4.1). */
static void add_to_reconfig(const struct peer *peer, uint8_t *value, size_t length)
{
    size_t size;

    for (; length >= 8; value += size, length -= size) {
        uint16_t type = wire_get_u16(value);
        bool response = type == SCTP_PARAMETER_RE_CONFIG_RESPONSE;

        size = wire_padded(wire_get_u16(value + 2));
        if (size < 8 || size > length)
            return;
        add_at(value + 4, response ? peer->engine_initial_tsn - 1 : peer->initial_tsn);
        if (type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST && size >= 16) {
            add_at(value + 8, peer->engine_initial_tsn - 1);
            add_at(value + 12, peer->initial_tsn);
        }
    }
}

/* Writes a chunk of the input, its relative numbers made absolute. */
static void write_chunk(struct scene *scene, const struct sctp_chunk *chunk)
{
    struct peer *peer = scene->peer;
    struct packet_writer *writer = &peer->writer;
    size_t at = writer->length;
    uint8_t *value;

    if (chunk->type == SCTP_CHUNK_COOKIE_ECHO && chunk->value_length < 8) {
        cookie_echo_write(writer, peer->cookie, peer->cookie_length);
        return;
    }
    if (chunk->type == SCTP_CHUNK_HEARTBEAT_ACK && chunk->value_length < 8) {
        heartbeat_write(writer, chunk->type, scene->heartbeat, scene->heartbeat_length);
        return;
    }
    chunk_write(writer, chunk->type, chunk->flags, chunk->value, chunk->value_length);
    if (writer->overflowed || chunk->value_length < 4)
        return;
    value = writer->bytes + at + SCTP_CHUNK_HEADER_LENGTH;
    switch (chunk->type) {
    case SCTP_CHUNK_INIT:
    case SCTP_CHUNK_INIT_ACK:
        if (wire_get_u32(value) != 0)
            wire_put_u32(value, PEER_TAG + ++scene->inits);
        break;
    case SCTP_CHUNK_DATA:
    case SCTP_CHUNK_I_DATA:
    case SCTP_CHUNK_FORWARD_TSN:
    case SCTP_CHUNK_I_FORWARD_TSN:
    case SCTP_CHUNK_ASCONF:
        add_at(value, peer->initial_tsn);
        break;
    case SCTP_CHUNK_SACK:
    case SCTP_CHUNK_SHUTDOWN:
    case SCTP_CHUNK_ASCONF_ACK:
        add_at(value, peer->engine_initial_tsn - 1);
        break;
    case SCTP_CHUNK_RE_CONFIG:
        add_to_reconfig(peer, value, chunk->value_length);
        break;
    default:
        break;
    }
}

/* The chunks of a record; what follows the last good one is written as it stands. */
static void write_chunks(struct scene *scene, const struct record *record)
{
    static uint8_t packet[SCTP_COMMON_HEADER_LENGTH + UINT16_MAX];
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    memcpy(packet + SCTP_COMMON_HEADER_LENGTH, record->bytes, record->length);
    chunk_iterator_init(&iterator, packet, SCTP_COMMON_HEADER_LENGTH + (size_t)record->length);
    while (chunk_next(&iterator, &chunk))
        write_chunk(scene, &chunk);
    packet_write_bytes(&scene->peer->writer, iterator.position,
                       (size_t)(iterator.end - iterator.position));
}

static void send_packet(struct scene *scene, const struct record *record)
{
    struct peer *peer = scene->peer;
    unsigned int path = (record->argument & PACKET_OTHER_PATH) != 0;
    bool authenticated = record->argument & PACKET_AUTHENTICATED && scene->script.key_length > 0;
    const struct braid_address *from =
        record->argument & PACKET_STRANGE_ADDRESS ? &peer->there[2] : &peer->there[path];
    uint32_t tags[] = {peer->engine_tag, peer->engine_tag, 0, peer->tag};
    uint16_t port = peer->port;
    size_t auth = 0;

    if (record->argument & PACKET_OTHER_PORT)
        peer->port = PEER_PORT + 1;
    peer_begin_tag(peer, tags[record->argument & PACKET_TAG]);
    if (authenticated)
        auth = begin_auth(peer, 0, SHA1);
    write_chunks(scene, record);
    if (authenticated)
        fill_mac(peer, &scene->script, auth, SHA1);
    if (!peer->writer.overflowed)
        peer_send_from(peer, from, &peer->here[path]);
    peer->port = port;
}

/* ---- What the user does -----------------------------------------------------------------------
 */

static void user_send(struct peer *peer, const struct record *record)
{
    static const uint8_t message[MESSAGE_MAXIMUM];
    uint8_t bytes[8] = {0};
    struct braid_send send = {0};

    memcpy(bytes, record->bytes, record->length < sizeof(bytes) ? record->length : sizeof(bytes));
    send.stream = record->argument % (STREAMS + 1);
    send.flags = bytes[2] & (BRAID_SEND_UNORDERED | BRAID_SEND_SACK_IMMEDIATELY);
    send.policy = bytes[3] % BRAID_POLICY_COUNT;
    send.limit = bytes[4];
    send.lifetime = bytes[5];
    (void)braid_send(peer->engine, peer->association, &send, message,
                     (bytes[0] | bytes[1] << 8) % MESSAGE_MAXIMUM, peer->now);
}

static void user_read(struct peer *peer, unsigned int count)
{
    struct braid_received received;

    while (count-- > 0 &&
           braid_receive(peer->engine, peer->association, &received, peer->now) == 1) {
        assert_true(received.length > 0);
        braid_received_release(peer->engine, &received, peer->now);
    }
}

/* The route of a packet that the engine may have sent turns out to be narrow, or to end. */
static void icmp_comes(struct peer *peer, uint8_t argument)
{
    uint8_t quoted[8];

    wire_put_u16(quoted, ENGINE_PORT);
    wire_put_u16(quoted + 2, PEER_PORT);
    wire_put_u32(quoted + 4, peer->tag);
    braid_engine_icmp(peer->engine, argument & 1 ? BRAID_ICMP_TOO_BIG : BRAID_ICMP_UNREACHABLE,
                      argument * 4U, &peer->there[0], quoted, sizeof(quoted), peer->now);
}

static void user_reconfigures(struct peer *peer, uint8_t argument)
{
    static const uint16_t streams[] = {0, 1, 2, 3};
    uint32_t association = peer->association;

    switch (argument % 4) {
    case 0:
        (void)braid_reset_association(peer->engine, association, peer->now);
        break;
    case 1:
        (void)braid_add_streams(peer->engine, association, argument / 4, argument % 3, peer->now);
        break;
    default:
        (void)braid_reset_streams(peer->engine, association, argument % 4, streams, argument / 6,
                                  peer->now);
    }
}

static void user_call(struct scene *scene, uint8_t argument)
{
    struct peer *peer = scene->peer;
    uint32_t association = peer->association;
    size_t addresses = 1 + (argument / 16) % peer->paths;

    switch (argument % 10) {
    case 0:
        (void)braid_shutdown(peer->engine, association, peer->now);
        break;
    case 1:
        (void)braid_abort(peer->engine, association, "no more", 7, peer->now);
        break;
    case 2:
        (void)braid_path_request_heartbeat(peer->engine, association, argument / 10, peer->now);
        break;
    case 3:
        (void)braid_path_set_primary(peer->engine, association, argument / 10, peer->now);
        break;
    case 4:
        (void)braid_engine_set_addresses(peer->engine, peer->here, addresses, peer->now);
        break;
    case 5:
        (void)braid_endpoint_set_addresses(peer->engine, peer->endpoint, peer->here, addresses,
                                           peer->now);
        break;
    case 6:
        (void)braid_association_set_peer_primary(peer->engine, association,
                                                 &peer->here[addresses - 1], peer->now);
        break;
    case 7:
        (void)braid_association_hold(peer->engine, association, argument * 16U, peer->now);
        break;
    case 8:
        icmp_comes(peer, argument);
        break;
    default:
        if (braid_association_next(peer->engine, 0, 0) == 0)
            (void)braid_connect(peer->engine, peer->endpoint, peer->there, peer->paths, peer->port,
                                0, peer->now, &peer->association);
        else
            user_reconfigures(peer, argument / 10);
    }
}

/* ---- What must hold ---------------------------------------------------------------------------
 */

static void check_association(const struct scene *scene, uint32_t id)
{
    struct braid_engine *engine = scene->peer->engine;
    const struct braid_parameters *parameters = braid_association_parameters(engine, id);
    struct braid_association_info info;
    struct braid_path_info path;
    uint64_t flight = 0;

    assert_int_equal(braid_association_info(engine, id, &info), 0);
    assert_non_null(parameters);
    assert_true(info.local_rwnd <=
                (parameters->receive_buffer > 1500 ? parameters->receive_buffer : 1500));
    assert_true(info.outstanding_bytes <= info.queued_bytes);
    assert_true(info.queued_bytes <= parameters->send_buffer + MESSAGE_MAXIMUM);
    for (uint32_t i = 0; i < info.path_count; i++) {
        assert_int_equal(braid_path_info(engine, id, i, &path), 0);
        assert_true(path.mtu >= 256 && path.cwnd > 0);
        flight += path.flight;
    }
    assert_true(flight >= info.outstanding_bytes);
    assert_true(info.outstanding_chunks > 0 || flight == 0);
}

static void check(struct scene *scene)
{
    struct peer *peer = scene->peer;
    struct braid_statistics statistics;
    uint64_t count = 0;
    uint32_t id = 0;

    scene_look(scene);
    while ((id = braid_association_next(peer->engine, 0, id)) != 0) {
        count++;
        check_association(scene, id);
        peer->association = id;
    }
    braid_engine_statistics(peer->engine, &statistics);
    assert_true(statistics.associations_now <= count);
    /* an association that is down is given back by its user, who may read what is left first */
    for (id = 0; (id = braid_association_next(peer->engine, 0, id)) != 0;) {
        struct braid_association_info info;

        assert_int_equal(braid_association_info(peer->engine, id, &info), 0);
        if (info.state == BRAID_CLOSED)
            braid_association_release(peer->engine, id, peer->now);
    }
}

/* ---- The run ----------------------------------------------------------------------------------
 */

static struct peer *new_peer(uint8_t features, uint8_t more)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.send_buffer = 50000;
    parameters.no_delay = features & FEATURE_NO_DELAY;
    if (features & FEATURE_SMALL_BUFFERS) {
        parameters.receive_buffer = 4000;
        parameters.partial_delivery_point = 500;
    }
    if (features & FEATURE_AUTH) {
        parameters.authentication = true;
        parameters.asconf = parameters.auto_asconf = true;
        if (features & FEATURE_DATA_AUTHENTICATED)
            require(&parameters, SCTP_CHUNK_DATA);
    }
    parameters.interleaving = more & MORE_INTERLEAVING;
    parameters.reconfig = more & MORE_RECONFIG;
    if (more & MORE_RECONFIG)
        parameters.reconfig_permitted =
            BRAID_RECONFIG_STREAMS | BRAID_RECONFIG_ASSOCIATION | BRAID_RECONFIG_ADD_STREAMS;
    if (more & MORE_ZERO_CHECKSUM)
        parameters.error_detection_method = BRAID_ERROR_DETECTION_DTLS;
    return peer_new(&(struct peer_config){.parameters = &parameters,
                                          .paths = features & FEATURE_TWO_PATHS ? 2 : 1,
                                          .any_address = features & FEATURE_ANY_ADDRESS,
                                          .ipv6 = features & FEATURE_IPV6});
}

/* What the peer's INIT says of the features that stand at the end of the input. */
static void say_more(struct peer *peer, uint8_t more)
{
    size_t count = 0;

    if (more & MORE_INTERLEAVING) {
        peer->extensions[count++] = SCTP_CHUNK_I_DATA;
        peer->extensions[count++] = SCTP_CHUNK_I_FORWARD_TSN;
    }
    if (more & MORE_RECONFIG)
        peer->extensions[count++] = SCTP_CHUNK_RE_CONFIG;
    if (more & MORE_ZERO_CHECKSUM)
        peer->error_detection_method = BRAID_ERROR_DETECTION_DTLS;
}

/* The peer calls, as far as COOKIE ACK. */
static void accept_peer(struct scene *scene)
{
    if (scene->features & FEATURE_AUTH)
        accept_all(scene->peer, &scene->script);
    else
        peer_accept(scene->peer);
}

static void reach(struct scene *scene, enum start start)
{
    struct peer *peer = scene->peer;
    bool data = start == START_DATA_OUTSTANDING || start == START_SHUTDOWN_PENDING ||
                start == START_SHUTDOWN_RECEIVED;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    if (start == START_COOKIE_WAIT || start == START_COOKIE_ECHOED)
        peer_start_connect(peer);
    if (start == START_COOKIE_ECHOED)
        peer_answer_init(peer);
    if (start == START_CONNECTED)
        peer_connect(peer);
    else if (start >= START_ACCEPTED)
        accept_peer(scene);
    for (int i = 0; data && i < 20; i++)
        (void)peer_user_send(peer, (uint16_t)(i % 4), 1400);
    if (start == START_SHUTDOWN_PENDING || start == START_SHUTDOWN_SENT)
        (void)braid_shutdown(peer->engine, peer->association, peer->now);
    if (start == START_SHUTDOWN_RECEIVED || start == START_SHUTDOWN_ACK_SENT)
        peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
}

static void happen(struct scene *scene, const struct record *record)
{
    struct peer *peer = scene->peer;

    switch ((enum record_kind)record->kind) {
    case RECORD_PACKET:
        send_packet(scene, record);
        break;
    case RECORD_SEND:
        user_send(peer, record);
        break;
    case RECORD_READ:
        user_read(peer, record->argument);
        break;
    case RECORD_TIME:
        peer_advance(peer, record->argument * (braid_time)record->argument * MS);
        break;
    default:
        user_call(scene, record->argument);
    }
    check(scene);
}

/* All that is left is aborted, and then nothing is. */
static void end(struct scene *scene)
{
    struct peer *peer = scene->peer;
    struct braid_statistics statistics;

    while ((peer->association = braid_association_next(peer->engine, 0, 0)) != 0) {
        (void)braid_abort(peer->engine, peer->association, NULL, 0, peer->now);
        peer_run(peer);
        braid_association_release(peer->engine, peer->association, peer->now);
    }
    peer_advance(peer, 100 * SECOND);
    braid_engine_statistics(peer->engine, &statistics);
    assert_int_equal(statistics.associations_now, 0);
    peer_free(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct scene scene = {.script = plain_script(9)};
    struct record record;
    enum start start;

    if (length < INPUT_START)
        return 0;
    start = bytes[0] % START_COUNT;
    scene.features = bytes[1];
    bytes += INPUT_START;
    length -= INPUT_START;
    scene.more = more_features(bytes, length);
    scene.script.asconf = true;
    scene.script.chunks[0] = SCTP_CHUNK_ASCONF;
    scene.script.chunks[1] = SCTP_CHUNK_ASCONF_ACK;
    scene.script.chunk_count = 2;
    scene.peer = new_peer(scene.features, scene.more);
    scene.peer->partial_reliability = scene.features & FEATURE_PARTIAL_RELIABILITY;
    say_more(scene.peer, scene.more);
    watcher_allow_other_tags(scene.peer->watcher);
    watcher_allow_skipped_tsns(scene.peer->watcher);
    reach(&scene, start);
    check(&scene);
    while (record_next(&bytes, &length, &record))
        happen(&scene, &record);
    end(&scene);
    return 0;
}
