/*
 * Stream reconfiguration (RFC 6525): a scripted peer's requests and our answers, ours and the
 * peer's; two engines that reset and add streams while they talk over a bad network.
 */
#include <stdio.h>

#include "packet/reconfig.h"
#include "peer.h"
#include "watcher.h"
#include "world.h"

enum {
    OUTGOING = SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST,
    INCOMING = SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST,
    ALL = BRAID_RECONFIG_STREAMS | BRAID_RECONFIG_ASSOCIATION | BRAID_RECONFIG_ADD_STREAMS,
    FULL = 1452,
};

static struct braid_parameters permitting(uint8_t permitted)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.reconfig = true;
    parameters.reconfig_permitted = permitted;
    parameters.no_delay = true;
    return parameters;
}

static struct peer *scene_with(void **state, uint8_t permitted)
{
    struct braid_parameters parameters = permitting(permitted);
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});

    peer->extensions[0] = SCTP_CHUNK_RE_CONFIG;
    peer->outbound_streams = peer->inbound_streams = 8;
    peer->a_rwnd = 1000000;
    peer_accept(peer);
    assert_true(peer_info(peer).reconfig);
    return peer;
}

static struct peer *scene(void **state)
{
    return scene_with(state, ALL);
}

/* ---- What the peer says ---- */

static void send_reset_from(struct peer *peer, uint16_t type, uint32_t number, uint32_t last_tsn,
                            size_t count, const uint16_t *streams)
{
    struct sctp_ssn_reset_request request = {
        .request_number = number, .last_tsn = last_tsn, .stream_count = count};
    size_t start;

    peer_begin(peer);
    start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
    ssn_reset_request_write(&peer->writer, type, &request, streams);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

static void send_add(struct peer *peer, uint16_t type, uint32_t number, uint16_t count)
{
    struct sctp_add_streams_request request = {number, count};
    size_t start;

    peer_begin(peer);
    start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
    add_streams_request_write(&peer->writer, type, &request);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

static void send_association_reset(struct peer *peer, uint32_t number)
{
    size_t start;

    peer_begin(peer);
    start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
    ssn_tsn_reset_request_write(&peer->writer, number);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

static void send_response(struct peer *peer, const struct sctp_reconfig_response *response)
{
    size_t start;

    peer_begin(peer);
    start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
    reconfig_response_write(&peer->writer, response);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

static void answer(struct peer *peer, uint32_t number, uint32_t result)
{
    send_response(peer,
                  &(struct sctp_reconfig_response){.response_number = number, .result = result});
}

/* ---- What the engine says ---- */

static struct sctp_parameter sent_parameter_at(const struct sent *sent, unsigned int index)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_RE_CONFIG);
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, chunk.value, chunk.value_length);
    do
        assert_true(parameter_next(&iterator, &parameter));
    while (index-- > 0);
    return parameter;
}

static struct sctp_reconfig_response response_in(const struct sent *sent, uint32_t number,
                                                 uint32_t result)
{
    struct sctp_parameter parameter = sent_parameter_at(sent, 0);
    struct sctp_reconfig_response response = {0};

    assert_int_equal(parameter.type, SCTP_PARAMETER_RE_CONFIG_RESPONSE);
    assert_true(reconfig_response_read(&parameter, &response));
    assert_int_equal(response.response_number, number);
    assert_int_equal(response.result, result);
    return response;
}

static struct sctp_reconfig_response expect_response(struct peer *peer, uint32_t number,
                                                     uint32_t result)
{
    return response_in(expect(peer, "RE_CONFIG"), number, result);
}

static struct sctp_ssn_reset_request reset_in(const struct sent *sent, unsigned int index,
                                              uint16_t type)
{
    struct sctp_parameter parameter = sent_parameter_at(sent, index);
    struct sctp_ssn_reset_request request = {0};

    assert_int_equal(parameter.type, type);
    assert_true(ssn_reset_request_read(&parameter, &request));
    return request;
}

static struct sctp_add_streams_request add_in(const struct sent *sent, unsigned int index,
                                              uint16_t type)
{
    struct sctp_parameter parameter = sent_parameter_at(sent, index);
    struct sctp_add_streams_request request = {0};

    assert_int_equal(parameter.type, type);
    assert_true(add_streams_request_read(&parameter, &request));
    return request;
}

static void expect_reset(struct peer *peer, enum braid_reconfig_outcome outcome, bool incoming,
                         size_t count, const uint16_t *streams)
{
    const struct braid_event *event = expect_event(peer, BRAID_EVENT_STREAMS_RESET);

    assert_int_equal(event->outcome, outcome);
    assert_int_equal(event->incoming, incoming);
    assert_int_equal(event->length, count * sizeof(*streams));
    if (count > 0)
        assert_memory_equal(event->bytes, streams, event->length);
}

static void expect_added(struct peer *peer, enum braid_reconfig_outcome outcome, uint16_t outbound,
                         uint16_t inbound)
{
    const struct braid_event *event = expect_event(peer, BRAID_EVENT_STREAMS_ADDED);

    assert_int_equal(event->outcome, outcome);
    assert_int_equal(event->outbound_streams, outbound);
    assert_int_equal(event->inbound_streams, inbound);
}

static int reset(struct peer *peer, unsigned int directions, size_t count, const uint16_t *streams)
{
    int result =
        braid_reset_streams(peer->engine, peer->association, directions, streams, count, peer->now);

    peer_run(peer);
    return result;
}

static int reset_association(struct peer *peer)
{
    int result = braid_reset_association(peer->engine, peer->association, peer->now);

    peer_run(peer);
    return result;
}

static int add(struct peer *peer, uint16_t outgoing, uint16_t incoming)
{
    int result = braid_add_streams(peer->engine, peer->association, outgoing, incoming, peer->now);

    peer_run(peer);
    return result;
}

/* The engine sends a message on the stream, which is acknowledged: its SSN. */
static uint16_t next_ssn(struct peer *peer, uint16_t stream)
{
    struct sctp_data data;

    assert_int_equal(peer_user_send(peer, stream, 10), 0);
    data = sent_data(expect(peer, "DATA"), 0);
    peer_send_sack(peer, data.tsn);
    return data.ssn;
}

static void receive(struct peer *peer, uint32_t tsn, uint16_t stream, uint16_t ssn)
{
    peer_send_data(peer, tsn, stream, ssn, WHOLE, 10);
    expect_within(peer, 300 * MS, "SACK");
    expect_message(peer, stream, tsn, 10);
}

/* ---- Who has it ---- */

static void test_offered(void **state)
{
    struct braid_parameters parameters = permitting(ALL);
    struct sctp_parameter parameter;
    const struct sent *sent;
    struct peer *peer;

    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->extensions[0] = SCTP_CHUNK_RE_CONFIG;
    peer_start_connect(peer);
    sent = expect(peer, "INIT");
    assert_true(sent_parameter(sent, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, &parameter));
    assert_true(chunk_types_contain(&parameter, SCTP_CHUNK_RE_CONFIG));
    peer_read_init(peer, sent);
    peer_send_init_ack(peer);
    expect(peer, "COOKIE_ECHO");
    peer_begin(peer);
    cookie_ack_write(&peer->writer);
    peer_send(peer);
    assert_true(peer_info(peer).reconfig);
}

/* A peer without it is not asked, and what it sends all the same is not known. */
static void test_not_offered(void **state)
{
    struct peer *peer = peer_renew(state, NULL);

    peer->extensions[0] = SCTP_CHUNK_RE_CONFIG;
    peer_accept(peer);
    assert_false(peer_info(peer).reconfig);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(reset_association(peer), -EOPNOTSUPP);
    assert_int_equal(add(peer, 1, 0), -EOPNOTSUPP);
    send_association_reset(peer, peer->initial_tsn);
    expect(peer, NONE);
}

static void test_errors(void **state)
{
    static const uint16_t far[] = {8};
    struct peer *peer = scene(state);

    assert_int_equal(reset(peer, 0, 0, NULL), -EINVAL);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 1, far), -EINVAL);
    assert_int_equal(reset(peer, BRAID_RESET_INCOMING, 1, far), -EINVAL);
    assert_int_equal(add(peer, 0, 0), -EINVAL);
    assert_int_equal(add(peer, 65528, 0), -EINVAL);
    assert_int_equal(add(peer, 0, 65528), -EINVAL);
    expect(peer, NONE);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 0, NULL), 0);
    expect(peer, "RE_CONFIG");
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 0, NULL), -EINPROGRESS);
    assert_int_equal(reset_association(peer), -EINPROGRESS);
    assert_int_equal(add(peer, 1, 1), -EINPROGRESS);
    peer_association_parameters(peer)->reconfig_permitted = 0;
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 0, NULL), -EOPNOTSUPP);
}

/* ---- Our resets ---- */

static void test_reset_outgoing(void **state)
{
    static const uint16_t streams[] = {3, 1};
    struct peer *peer = scene(state);
    struct sctp_ssn_reset_request request;
    struct sctp_data data;

    assert_int_equal(next_ssn(peer, 3), 0);
    assert_int_equal(next_ssn(peer, 3), 1);
    assert_int_equal(next_ssn(peer, 2), 0);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 2, streams), 0);
    request = reset_in(expect(peer, "RE_CONFIG"), 0, OUTGOING);
    assert_int_equal(request.request_number, peer->engine_initial_tsn);
    assert_int_equal(request.response_number, peer->initial_tsn - 1);
    assert_int_equal(request.last_tsn, peer->engine_initial_tsn + 2);
    assert_int_equal(request.stream_count, 2);
    assert_int_equal(ssn_reset_stream(&request, 0), 3);
    assert_int_equal(ssn_reset_stream(&request, 1), 1);

    /* 5.1.2, A1: what is sent on these streams waits; another stream does not */
    assert_int_equal(peer_user_send(peer, 3, 20), 0);
    expect(peer, NONE);
    assert_int_equal(next_ssn(peer, 2), 1);
    /* answers to what was not asked mean nothing */
    answer(peer, request.request_number + 1, SCTP_RECONFIG_PERFORMED);
    expect_no_event(peer, BRAID_EVENT_STREAMS_RESET);
    answer(peer, request.request_number, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, false, 2, streams);
    data = sent_data(expect(peer, "DATA"), 0);
    assert_int_equal(data.stream, 3);
    assert_int_equal(data.ssn, 0);
    peer_send_sack(peer, data.tsn);
    assert_int_equal(next_ssn(peer, 2), 2);
    assert_int_equal(next_ssn(peer, 1), 0);
    /* a second answer changes nothing; the next request has the next number */
    answer(peer, request.request_number, SCTP_RECONFIG_PERFORMED);
    expect_no_event(peer, BRAID_EVENT_STREAMS_RESET);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 0, NULL), 0);
    request = reset_in(expect(peer, "RE_CONFIG"), 0, OUTGOING);
    assert_int_equal(request.request_number, peer->engine_initial_tsn + 1);
    assert_int_equal(request.stream_count, 0);
    assert_int_equal(peer_user_send(peer, 7, 20), 0);
    expect(peer, NONE);
    answer(peer, request.request_number, SCTP_RECONFIG_NOTHING_TO_DO);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, false, 0, NULL);
    data = sent_data(expect(peer, "DATA"), 0);
    peer_send_sack(peer, data.tsn);
    assert_int_equal(next_ssn(peer, 2), 0);
}

static void test_reset_refused(void **state)
{
    static const uint32_t results[] = {SCTP_RECONFIG_DENIED, SCTP_RECONFIG_WRONG_SSN,
                                       SCTP_RECONFIG_REQUEST_IN_PROGRESS,
                                       SCTP_RECONFIG_BAD_SEQUENCE_NUMBER, 99};
    static const uint16_t stream[] = {2};
    struct peer *peer = scene(state);

    for (uint16_t i = 0; i < 5; i++) {
        assert_int_equal(next_ssn(peer, 2), i);
        assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 1, stream), 0);
        expect(peer, "RE_CONFIG");
        answer(peer, peer->engine_initial_tsn + i, results[i]);
        expect_reset(peer, i == 0 ? BRAID_RECONFIG_DENIED : BRAID_RECONFIG_FAILED, false, 1,
                     stream);
    }
}

/* What waits to be sent on the stream goes first. */
static void test_reset_too_early(void **state)
{
    static const uint16_t one[] = {1}, two[] = {2};
    struct peer *peer = scene(state);

    for (int i = 0; i < 8; i++)
        assert_int_equal(peer_user_send(peer, 1, FULL), 0);
    assert_true(peer_skip(peer) < 8);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 1, one), -EAGAIN);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 0, NULL), -EAGAIN);
    assert_int_equal(reset_association(peer), -EAGAIN);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 1, two), 0);
    expect(peer, "RE_CONFIG");
}

static void test_reset_incoming(void **state)
{
    static const uint16_t streams[] = {5};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;
    struct sctp_ssn_reset_request request, other = {.stream_count = 1};
    const struct sent *sent;
    size_t start;

    receive(peer, tsn, 5, 0);
    receive(peer, tsn + 1, 5, 1);
    /* both directions: one chunk with two requests */
    assert_int_equal(reset(peer, BRAID_RESET_INCOMING | BRAID_RESET_OUTGOING, 1, streams), 0);
    sent = expect(peer, "RE_CONFIG");
    request = reset_in(sent, 0, OUTGOING);
    assert_int_equal(request.request_number, peer->engine_initial_tsn);
    request = reset_in(sent, 1, INCOMING);
    assert_int_equal(request.request_number, peer->engine_initial_tsn + 1);
    assert_int_equal(ssn_reset_stream(&request, 0), 5);
    answer(peer, peer->engine_initial_tsn, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, false, 1, streams);
    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 1, streams), -EINPROGRESS);
    /* the peer fulfils the other by a request of its own, which says whose answer it is */
    other.request_number = peer->initial_tsn;
    other.response_number = request.request_number;
    other.last_tsn = tsn + 1;
    peer_begin(peer);
    start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
    ssn_reset_request_write(&peer->writer, OUTGOING, &other, streams);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect_response(peer, peer->initial_tsn, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, true, 1, streams);
    expect_silence(peer, 5 * SECOND);
    receive(peer, tsn + 2, 5, 0);
    assert_int_equal(reset(peer, BRAID_RESET_INCOMING, 1, streams), 0);
    expect(peer, "RE_CONFIG");
    answer(peer, peer->engine_initial_tsn + 2, SCTP_RECONFIG_DENIED);
    expect_reset(peer, BRAID_RECONFIG_DENIED, true, 1, streams);
}

/* 5.1.1: the timer, with the association's RTO; failures count. */
static void test_lost(void **state)
{
    struct peer *peer = scene(state);
    const struct sent *first, *again;

    peer_association_parameters(peer)->association_max_retrans = 3;
    assert_int_equal(add(peer, 2, 1), 0);
    first = expect(peer, "RE_CONFIG");
    again = expect_after(peer, 1 * SECOND, "RE_CONFIG");
    assert_int_equal(first->length, again->length);
    assert_memory_equal(first->bytes, again->bytes, first->length);
    assert_int_equal(peer_info(peer).error_count, 1);
    expect_after(peer, 2 * SECOND, "RE_CONFIG");
    /* "in progress": it is asked again, but the peer is well */
    answer(peer, peer->engine_initial_tsn, SCTP_RECONFIG_IN_PROGRESS);
    assert_int_equal(peer_info(peer).error_count, 0);
    expect_within(peer, 4 * SECOND + SLACK, "RE_CONFIG");
    assert_int_equal(peer_info(peer).error_count, 0);
    for (int i = 0; i < 3; i++)
        expect_within(peer, 60 * SECOND, "RE_CONFIG");
    expect_within(peer, 100 * SECOND, "ABORT");
    expect_down(peer, BRAID_DOWN_LOST);
}

/* ---- The peer's resets ---- */

static void test_peer_resets(void **state)
{
    static const uint16_t streams[] = {1, 4}, far[] = {8};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->initial_tsn;

    receive(peer, tsn, 4, 0);
    receive(peer, tsn + 1, 4, 1);
    receive(peer, tsn + 2, 2, 0);
    send_reset_from(peer, OUTGOING, number, tsn + 2, 2, streams);
    expect_response(peer, number, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, true, 2, streams);
    receive(peer, tsn + 3, 4, 0);
    receive(peer, tsn + 4, 2, 1);
    /* once more, for a lost answer: it is not done again */
    send_reset_from(peer, OUTGOING, number, tsn + 2, 2, streams);
    expect_response(peer, number, SCTP_RECONFIG_PERFORMED);
    expect_no_event(peer, BRAID_EVENT_STREAMS_RESET);
    receive(peer, tsn + 5, 4, 1);
    send_reset_from(peer, OUTGOING, number + 1, tsn + 5, 1, far);
    expect_response(peer, number + 1, SCTP_RECONFIG_WRONG_SSN);
    /* all of them */
    send_reset_from(peer, OUTGOING, number + 2, tsn + 5, 0, NULL);
    expect_response(peer, number + 2, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, true, 0, NULL);
    receive(peer, tsn + 6, 4, 0);
    receive(peer, tsn + 7, 2, 0);
    /* numbers that are not next: the last two are known, others are wrong */
    send_reset_from(peer, OUTGOING, number + 1, tsn + 5, 1, far);
    expect_response(peer, number + 1, SCTP_RECONFIG_WRONG_SSN);
    send_reset_from(peer, OUTGOING, number, tsn + 5, 1, far);
    expect_response(peer, number, SCTP_RECONFIG_BAD_SEQUENCE_NUMBER);
    send_reset_from(peer, OUTGOING, number + 4, tsn + 5, 1, far);
    expect_response(peer, number + 4, SCTP_RECONFIG_BAD_SEQUENCE_NUMBER);
    peer_association_parameters(peer)->reconfig_permitted = 0;
    send_reset_from(peer, OUTGOING, number + 3, tsn + 7, 0, NULL);
    expect_response(peer, number + 3, SCTP_RECONFIG_DENIED);
    expect_no_event(peer, BRAID_EVENT_STREAMS_RESET);
    receive(peer, tsn + 8, 4, 1);
}

/* 5.2.2, E2: DATA is still on its way. */
static void test_peer_resets_early(void **state)
{
    static const uint16_t streams[] = {4};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->initial_tsn;

    receive(peer, tsn, 4, 0);
    send_reset_from(peer, OUTGOING, number, tsn + 2, 1, streams);
    expect_response(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    send_reset_from(peer, OUTGOING, number, tsn + 2, 1, streams);
    expect_response(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    send_reset_from(peer, OUTGOING, number + 1, tsn + 2, 1, streams);
    expect_response(peer, number + 1, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
    peer_send_data(peer, tsn + 2, 4, 2, WHOLE, 10);
    expect(peer, "SACK");
    expect_no_event(peer, BRAID_EVENT_STREAMS_RESET);
    peer_send_data(peer, tsn + 1, 4, 1, WHOLE, 10);
    (void)response_in(expect(peer, "RE_CONFIG SACK"), number, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, true, 1, streams);
    expect_message(peer, 4, tsn + 1, 10);
    expect_message(peer, 4, tsn + 2, 10);
    receive(peer, tsn + 3, 4, 0);
    send_reset_from(peer, OUTGOING, number, tsn + 2, 1, streams);
    expect_response(peer, number, SCTP_RECONFIG_PERFORMED);
    receive(peer, tsn + 4, 4, 1);
}

/* 5.2.3: the peer would have us reset our streams. */
static void test_peer_asks(void **state)
{
    static const uint16_t streams[] = {2}, far[] = {8}, others[] = {2, 3};
    struct peer *peer = scene(state);
    uint32_t number = peer->initial_tsn, next;
    struct sctp_ssn_reset_request request;

    assert_int_equal(next_ssn(peer, 2), 0);
    send_reset_from(peer, INCOMING, number, 0, 1, streams);
    request = reset_in(expect(peer, "RE_CONFIG"), 0, OUTGOING);
    assert_int_equal(request.response_number, number);
    assert_int_equal(request.request_number, peer->engine_initial_tsn);
    assert_int_equal(request.last_tsn, peer->engine_initial_tsn);
    assert_int_equal(ssn_reset_stream(&request, 0), 2);
    send_reset_from(peer, INCOMING, number, 0, 1, streams); /* the timer sees to that */
    expect(peer, NONE);
    send_reset_from(peer, INCOMING, number + 1, 0, 1, streams); /* that is being done */
    expect_response(peer, number + 1, SCTP_RECONFIG_NOTHING_TO_DO);
    send_reset_from(peer, INCOMING, number + 1, 0, 1, streams);
    expect_response(peer, number + 1, SCTP_RECONFIG_NOTHING_TO_DO);
    send_reset_from(peer, INCOMING, number + 2, 0, 2, others);
    expect_response(peer, number + 2, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
    send_reset_from(peer, INCOMING, number + 3, 0, 0, NULL);
    expect_response(peer, number + 3, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
    number += 2;
    answer(peer, request.request_number, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, false, 1, streams);
    assert_int_equal(next_ssn(peer, 2), 0);
    send_reset_from(peer, INCOMING, number + 2, 0, 1, far);
    expect_response(peer, number + 2, SCTP_RECONFIG_WRONG_SSN);
    /* not before what waits is sent */
    for (int i = 0; i < 8; i++)
        assert_int_equal(peer_user_send(peer, 2, FULL), 0);
    next = peer->engine_initial_tsn + 2 + (uint32_t)peer_skip(peer);
    assert_true(next < peer->engine_initial_tsn + 10);
    send_reset_from(peer, INCOMING, number + 3, 0, 1, streams);
    expect_response(peer, number + 3, SCTP_RECONFIG_IN_PROGRESS);
    while (next < peer->engine_initial_tsn + 10) {
        peer_send_sack(peer, next - 1);
        next += (uint32_t)peer_skip(peer);
    }
    send_reset_from(peer, INCOMING, number + 3, 0, 1, streams);
    request = reset_in(expect(peer, "RE_CONFIG"), 0, OUTGOING);
    assert_int_equal(request.response_number, number + 3);
    answer(peer, request.request_number, SCTP_RECONFIG_PERFORMED);
    peer_association_parameters(peer)->reconfig_permitted = 0;
    send_reset_from(peer, INCOMING, number + 4, 0, 0, NULL);
    expect_response(peer, number + 4, SCTP_RECONFIG_DENIED);
}

/* Both ask at the same time: neither stands in the other's way. */
static void test_simultaneous(void **state)
{
    static const uint16_t streams[] = {2};
    struct peer *peer = scene(state);

    assert_int_equal(reset(peer, BRAID_RESET_OUTGOING, 1, streams), 0);
    expect(peer, "RE_CONFIG");
    send_reset_from(peer, OUTGOING, peer->initial_tsn, peer->initial_tsn - 1, 1, streams);
    expect_response(peer, peer->initial_tsn, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, true, 1, streams);
    answer(peer, peer->engine_initial_tsn, SCTP_RECONFIG_PERFORMED);
    expect_reset(peer, BRAID_RECONFIG_PERFORMED, false, 1, streams);
    expect_silence(peer, 5 * SECOND);
}

/* ---- The whole association: 5.1.4, 5.2.4 ---- */

static void test_reset_association(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->engine_initial_tsn;
    const struct braid_event *event;
    struct sctp_parameter parameter;
    struct sctp_data data;

    watcher_allow_skipped_tsns(peer->watcher);
    assert_int_equal(next_ssn(peer, 1), 0);
    receive(peer, tsn, 3, 0);
    assert_int_equal(reset_association(peer), 0);
    parameter = sent_parameter_at(expect(peer, "RE_CONFIG"), 0);
    assert_int_equal(parameter.type, SCTP_PARAMETER_SSN_TSN_RESET_REQUEST);
    assert_int_equal(peer_user_send(peer, 1, 20), 0);
    expect(peer, NONE);
    /* it has begun anew, and its answer was lost: what its DATA means cannot be known */
    peer_send_sack(peer, 77776);
    peer_send_data(peer, tsn + 1, 3, 0, WHOLE, 10);
    expect_silence(peer, 500 * MS);
    expect_no_message(peer);
    answer(peer, number, SCTP_RECONFIG_PERFORMED); /* it does not say the numbers */
    expect_no_event(peer, BRAID_EVENT_ASSOCIATION_RESET);
    send_response(peer, &(struct sctp_reconfig_response){.response_number = number,
                                                         .result = SCTP_RECONFIG_PERFORMED,
                                                         .has_tsns = true,
                                                         .sender_next_tsn = tsn + 1,
                                                         .receiver_next_tsn = 77777});
    event = expect_event(peer, BRAID_EVENT_ASSOCIATION_RESET);
    assert_int_equal(event->outcome, BRAID_RECONFIG_PERFORMED);
    assert_int_equal(event->next_tsn_sent, 77777);
    assert_int_equal(event->next_tsn_received, tsn + 1);
    data = sent_data(expect(peer, "DATA"), 0);
    assert_int_equal(data.tsn, 77777);
    assert_int_equal(data.ssn, 0);
    peer_send_sack(peer, data.tsn);
    peer_send_sack(peer, data.tsn + (1U << 31) - 2); /* of before */
    expect(peer, NONE);
    receive(peer, tsn + 1, 3, 0);
    assert_int_equal(reset_association(peer), 0);
    expect(peer, "RE_CONFIG");
    answer(peer, number + 1, SCTP_RECONFIG_DENIED);
    event = expect_event(peer, BRAID_EVENT_ASSOCIATION_RESET);
    assert_int_equal(event->outcome, BRAID_RECONFIG_DENIED);
    receive(peer, tsn + 2, 3, 1);
    assert_int_equal(next_ssn(peer, 1), 1);
}

/* "In progress", and then DATA that can only be of after the reset: it is not taken before the
 * answer that says the numbers, though the peer seemed not to have begun anew. */
static void test_reset_association_unnoticed(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->engine_initial_tsn;

    receive(peer, tsn, 3, 0);
    assert_int_equal(reset_association(peer), 0);
    expect(peer, "RE_CONFIG");
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    receive(peer, tsn + 1, 3, 1); /* of before */
    expect_within(peer, 4 * SECOND, "RE_CONFIG");
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS); /* once more, and late */
    peer_send_data(peer, tsn + 2, 3, 0, WHOLE, 10);
    expect_silence(peer, 300 * MS);
    peer_send_data(peer, tsn + 3, 4, 0, WHOLE, 10); /* now nothing can be believed */
    expect_silence(peer, 300 * MS);
    expect_no_message(peer);
    expect_within(peer, 4 * SECOND, "RE_CONFIG");
    send_response(peer, &(struct sctp_reconfig_response){.response_number = number,
                                                         .result = SCTP_RECONFIG_PERFORMED,
                                                         .has_tsns = true,
                                                         .sender_next_tsn = tsn + 2,
                                                         .receiver_next_tsn = 77777});
    assert_int_equal(expect_event(peer, BRAID_EVENT_ASSOCIATION_RESET)->next_tsn_received, tsn + 2);
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS); /* it was answered: nothing */
    receive(peer, tsn + 2, 3, 0);
    receive(peer, tsn + 3, 4, 0);
    expect_silence(peer, 10 * SECOND);
}

/* The same, and DATA that has no SSN: it is taken, and stays taken. */
static void test_reset_association_unnoticed_unordered(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->engine_initial_tsn;

    receive(peer, tsn, 3, 0);
    assert_int_equal(reset_association(peer), 0);
    expect(peer, "RE_CONFIG");
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    expect_within(peer, 4 * SECOND, "RE_CONFIG");
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS); /* once more, and late */
    peer_send_data(peer, tsn + 1, 3, 0, WHOLE | SCTP_DATA_FLAG_UNORDERED, 10);
    assert_sack(expect_within(peer, 300 * MS, "SACK"), tsn + 1, 0, 0);
    peer_send_data(peer, tsn + 3, 5, 0, WHOLE | SCTP_DATA_FLAG_UNORDERED, 10);
    assert_sack(expect(peer, "SACK"), tsn + 1, 1, 0);
    send_response(peer, &(struct sctp_reconfig_response){.response_number = number,
                                                         .result = SCTP_RECONFIG_PERFORMED,
                                                         .has_tsns = true,
                                                         .sender_next_tsn = tsn + 1,
                                                         .receiver_next_tsn = 77777});
    expect_event(peer, BRAID_EVENT_ASSOCIATION_RESET);
    expect_message(peer, 3, tsn + 1, 10);
    expect_message(peer, 5, tsn + 3, 10);
    peer_send_data(peer, tsn + 2, 3, 0, WHOLE, 10);
    assert_sack(expect_within(peer, 300 * MS, "SACK"), tsn + 3, 0, 0);
    expect_message(peer, 3, tsn + 2, 10);
    receive(peer, tsn + 4, 3, 1);
}

/* The path has become faster than anything that was measured: the second answer that comes at once
 * is believed, or nothing would ever be taken from a peer that must wait for its DATA first. */
static void test_in_progress_of_a_fast_path(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->engine_initial_tsn;
    struct sctp_data data;

    assert_int_equal(peer_user_send(peer, 1, 10), 0);
    data = sent_data(expect(peer, "DATA"), 0);
    peer_advance(peer, 400 * MS); /* the round trip */
    peer_send_sack(peer, data.tsn);
    assert_int_equal(reset_association(peer), 0);
    expect(peer, "RE_CONFIG");
    for (int i = 0; i < 2; i++) {
        expect_within(peer, 9 * SECOND, "RE_CONFIG");
        peer_advance(peer, 10 * MS);
        answer(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    }
    receive(peer, tsn, 3, 0);
}

/* All copies of a request have one number: an answer that comes at once is not the last one's. */
static void test_in_progress_of_before(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->engine_initial_tsn;
    struct sctp_data data;

    assert_int_equal(peer_user_send(peer, 1, 10), 0);
    data = sent_data(expect(peer, "DATA"), 0);
    peer_advance(peer, 400 * MS); /* the round trip */
    peer_send_sack(peer, data.tsn);
    assert_int_equal(reset_association(peer), 0);
    expect(peer, "RE_CONFIG");
    expect_within(peer, 4 * SECOND, "RE_CONFIG");
    peer_advance(peer, 10 * MS);
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    peer_send_data(peer, tsn, 3, 0, WHOLE, 10);
    expect_silence(peer, 300 * MS);
    expect_no_message(peer);
    answer(peer, number, SCTP_RECONFIG_IN_PROGRESS); /* the last one's */
    receive(peer, tsn, 3, 0);
}

static void test_peer_resets_association(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn, number = peer->initial_tsn, next;
    struct sctp_reconfig_response response;
    const struct braid_event *event;
    struct sctp_data data;

    assert_int_equal(next_ssn(peer, 1), 0);
    receive(peer, tsn, 3, 0);
    /* what lies beyond a gap is given up, a whole message that waits for it is not */
    peer_send_data(peer, tsn + 2, 3, 2, WHOLE, 10);
    peer_send_data(peer, tsn + 4, 4, 0, SCTP_DATA_FLAG_BEGINNING, 10);
    peer_skip(peer);
    /* not while DATA of ours is outstanding */
    assert_int_equal(peer_user_send(peer, 1, 20), 0);
    data = sent_data(expect(peer, "DATA"), 0);
    send_association_reset(peer, number);
    expect_response(peer, number, SCTP_RECONFIG_IN_PROGRESS);
    peer_send_sack(peer, data.tsn);
    send_association_reset(peer, number);
    response = expect_response(peer, number, SCTP_RECONFIG_PERFORMED);
    assert_true(response.has_tsns);
    assert_int_equal(response.sender_next_tsn, data.tsn + 1);
    next = response.receiver_next_tsn;
    assert_int_equal(next, tsn + (1u << 31));
    event = expect_event(peer, BRAID_EVENT_ASSOCIATION_RESET);
    assert_int_equal(event->next_tsn_sent, data.tsn + 1);
    assert_int_equal(event->next_tsn_received, next);
    expect_message(peer, 3, tsn + 2, 10);
    /* the answer was lost */
    send_association_reset(peer, number);
    response = expect_response(peer, number, SCTP_RECONFIG_PERFORMED);
    assert_int_equal(response.receiver_next_tsn, next);
    assert_int_equal(response.sender_next_tsn, data.tsn + 1);
    receive(peer, next, 3, 0);
    receive(peer, next + 1, 4, 0);
    assert_int_equal(next_ssn(peer, 1), 0);
    /* DATA from before comes too late */
    peer_send_data(peer, tsn + 1, 3, 1, WHOLE, 10);
    peer_skip(peer);
    expect_no_message(peer);
    peer_association_parameters(peer)->reconfig_permitted = BRAID_RECONFIG_STREAMS;
    send_association_reset(peer, number + 1);
    expect_response(peer, number + 1, SCTP_RECONFIG_DENIED);
}

/* ---- More streams ---- */

static void test_add(void **state)
{
    struct peer *peer = scene(state);
    uint32_t number = peer->engine_initial_tsn;
    struct sctp_add_streams_request request;
    struct sctp_data data;
    const struct sent *sent;

    assert_int_equal(peer_info(peer).outbound_streams, 8);
    assert_int_equal(add(peer, 2, 3), 0);
    sent = expect(peer, "RE_CONFIG");
    request = add_in(sent, 0, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST);
    assert_int_equal(request.request_number, number);
    assert_int_equal(request.count, 2);
    request = add_in(sent, 1, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST);
    assert_int_equal(request.request_number, number + 1);
    assert_int_equal(request.count, 3);
    /* messages for them wait */
    assert_int_equal(peer_user_send(peer, 10, 20), -EINVAL);
    assert_int_equal(peer_user_send(peer, 9, 20), 0);
    expect(peer, NONE);
    assert_int_equal(next_ssn(peer, 1), 0);
    answer(peer, number, SCTP_RECONFIG_PERFORMED);
    expect_added(peer, BRAID_RECONFIG_PERFORMED, 2, 0);
    data = sent_data(expect(peer, "DATA"), 0);
    assert_int_equal(data.stream, 9);
    peer_send_sack(peer, data.tsn);
    /* the peer adds what it was asked for */
    send_add(peer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, peer->initial_tsn, 3);
    expect_response(peer, peer->initial_tsn, SCTP_RECONFIG_PERFORMED);
    expect_added(peer, BRAID_RECONFIG_PERFORMED, 0, 3);
    assert_int_equal(peer_info(peer).outbound_streams, 10);
    assert_int_equal(peer_info(peer).inbound_streams, 11);
    receive(peer, peer->initial_tsn, 10, 0);
    expect_silence(peer, 5 * SECOND);
}

static void test_add_refused(void **state)
{
    struct peer *peer = scene(state);
    uint32_t number = peer->engine_initial_tsn;

    assert_int_equal(add(peer, 2, 3), 0);
    expect(peer, "RE_CONFIG");
    assert_int_equal(peer_user_send(peer, 9, 20), 0);
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    peer_run(peer);
    expect(peer, NONE);
    answer(peer, number + 1, SCTP_RECONFIG_DENIED);
    expect_added(peer, BRAID_RECONFIG_DENIED, 0, 3);
    answer(peer, number, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
    expect_added(peer, BRAID_RECONFIG_FAILED, 2, 0);
    /* what waited cannot be sent; nothing holds the shutdown up any more */
    assert_true(expect_event(peer, BRAID_EVENT_SEND_FAILED)->unsent);
    assert_int_equal(peer_info(peer).outbound_streams, 8);
    expect(peer, "SHUTDOWN");
}

/* A message in a stream that the peer did not grant when the association was set up, and whose turn
 * comes while the stream is asked for: it is given up, as it would have been before. */
static void test_add_what_was_not_granted(void **state)
{
    struct braid_parameters parameters = permitting(ALL);
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    struct sctp_data data;

    peer->extensions[0] = SCTP_CHUNK_RE_CONFIG;
    peer->outbound_streams = peer->inbound_streams = 8;
    peer->a_rwnd = 1500;
    peer_start_connect(peer);
    for (int i = 0; i < 2; i++)
        assert_int_equal(peer_user_send(peer, 0, 1400), 0);
    assert_int_equal(peer_user_send(peer, 8, 20), 0);
    peer_answer_init(peer);
    data = sent_data(expect(peer, "COOKIE_ECHO DATA"), 0);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_int_equal(add(peer, 1, 0), 0);
    expect(peer, "RE_CONFIG");
    peer->a_rwnd = 10000;
    peer_send_sack(peer, data.tsn);
    data = sent_data(expect(peer, "DATA"), 0);
    peer_send_sack(peer, data.tsn);
    expect(peer, NONE);
    assert_true(expect_event(peer, BRAID_EVENT_SEND_FAILED)->unsent);
    assert_int_equal(peer_user_send(peer, 8, 20), 0); /* this one waits */
    expect(peer, NONE);
    answer(peer, peer->engine_initial_tsn, SCTP_RECONFIG_PERFORMED);
    expect_added(peer, BRAID_RECONFIG_PERFORMED, 1, 0);
    assert_int_equal(sent_data(expect(peer, "DATA"), 0).ssn, 0);
}

static void test_peer_adds(void **state)
{
    struct peer *peer = scene(state);
    uint32_t number = peer->initial_tsn;
    struct sctp_add_streams_request request;

    send_add(peer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, number, 4);
    expect_response(peer, number, SCTP_RECONFIG_PERFORMED);
    expect_added(peer, BRAID_RECONFIG_PERFORMED, 0, 4);
    assert_int_equal(peer_info(peer).inbound_streams, 12);
    send_add(peer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, number + 1, 65535);
    expect_response(peer, number + 1, SCTP_RECONFIG_DENIED);
    send_add(peer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, number + 2, 0);
    expect_response(peer, number + 2, SCTP_RECONFIG_DENIED);
    send_add(peer, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST, number + 3, 5);
    request = add_in(expect(peer, "RE_CONFIG"), 0, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST);
    assert_int_equal(request.count, 5);
    send_add(peer, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST, number + 4, 5);
    expect_response(peer, number + 4, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
    answer(peer, request.request_number, SCTP_RECONFIG_PERFORMED);
    expect_added(peer, BRAID_RECONFIG_PERFORMED, 5, 0);
    assert_int_equal(peer_info(peer).outbound_streams, 13);
    assert_int_equal(next_ssn(peer, 12), 0);
    send_add(peer, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST, number + 5, 65530);
    expect_response(peer, number + 5, SCTP_RECONFIG_DENIED);
    peer_association_parameters(peer)->reconfig_permitted = BRAID_RECONFIG_STREAMS;
    send_add(peer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, number + 6, 1);
    expect_response(peer, number + 6, SCTP_RECONFIG_DENIED);
}

/* ---- 3.1: what cannot be a RE-CONFIG ---- */

static void send_raw(struct peer *peer, size_t length, const uint8_t *value)
{
    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0, value, length);
    peer_send(peer);
}

static void test_malformed(void **state)
{
    static const struct {
        size_t length;
        uint8_t value[40];
    } chunks[] = {
        {0, {0}},
        {3, {0, 15, 0}},
        {8, {0, 15, 0, 9, 0, 0, 0, 1}}, /* longer than the chunk */
        {8, {0, 13, 0, 8, 0, 0, 0, 1}}, /* too short */
    };

    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        struct peer *peer = scene(state);

        send_raw(peer, chunks[i].length, chunks[i].value);
        assert_true(sent_has_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION));
        expect_down(peer, BRAID_DOWN_PROTOCOL);
    }
}

/* 3.1: what may not stand together is reported, and nothing of it is done. */
static void test_not_together(void **state)
{
    static const struct {
        size_t length;
        uint8_t value[40];
    } chunks[] = {
        {16, {0, 15, 0, 8, 0, 0, 0, 1, 0, 15, 0, 8, 0, 0, 0, 2}}, /* not these two */
        {36, {0, 16, 0, 12, 0, 0, 0, 1,  0, 0,  0, 1, 0, 16, 0, 12, 0, 0,
              0, 1,  0, 0,  0, 1, 0, 16, 0, 12, 0, 0, 0, 1,  0, 0,  0, 1}}, /* not three */
    };

    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        struct peer *peer = scene(state);

        send_raw(peer, chunks[i].length, chunks[i].value);
        assert_true(sent_has_cause(expect(peer, "ERROR"), SCTP_CAUSE_PROTOCOL_VIOLATION));
        send_reset_from(peer, OUTGOING, peer->initial_tsn, peer->initial_tsn - 1, 0, NULL);
        expect_response(peer, peer->initial_tsn, SCTP_RECONFIG_PERFORMED);
    }
}

/* RFC 9260, 3.2.1: of the four kinds of parameters that nobody knows, in front of a request. */
static void test_unknown_parameters(void **state)
{
    static const struct {
        uint16_t type;
        bool goes_on, reported;
    } kinds[] = {
        {0x3ffe, false, false}, {0x7ffe, false, true}, {0xbffe, true, false}, {0xfffe, true, true}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct peer *peer = scene(state);
        struct sctp_parameter cause;
        const struct sent *sent;
        size_t chunk;

        peer_begin(peer);
        chunk = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
        parameter_write(&peer->writer, kinds[i].type, "what", 4);
        add_streams_request_write(&peer->writer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST,
                                  &(struct sctp_add_streams_request){peer->initial_tsn, 1});
        chunk_end(&peer->writer, chunk);
        peer_send(peer);
        if (!kinds[i].goes_on && !kinds[i].reported) {
            expect(peer, NONE);
            continue;
        }
        sent = expect(peer, !kinds[i].goes_on   ? "ERROR"
                            : kinds[i].reported ? "RE_CONFIG ERROR"
                                                : "RE_CONFIG");
        if (!kinds[i].reported)
            continue;
        cause = sent_cause(sent, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS);
        assert_int_equal(cause.value_length, 8);
        assert_int_equal(wire_get_u16(cause.value), kinds[i].type);
        assert_memory_equal(cause.value + 4, "what", 4);
    }
}

/* ---- Two engines over a bad network ---- */

enum { ROUNDS = 12, STREAMS = 6 };

/* Both sides send numbered messages on each stream; host 0 resets, and adds. A message's first byte
 * is the round that it was sent in, the next its place in it. */
static struct {
    uint16_t next[WORLD_HOSTS][64]; /* SSN expected of each stream */
    unsigned int resets, adds, failures, messages;
    bool down[WORLD_HOSTS];
} now;

static void read_all(struct host *host)
{
    struct braid_received received;

    while (braid_receive(host->engine, host->association, &received, host->world->now) == 1) {
        assert_int_equal(received.ssn, now.next[host->number][received.stream]++);
        now.messages++;
        braid_received_release(host->engine, &received, host->world->now);
    }
}

static void took_event(struct host *host, const struct braid_event *event)
{
    switch (event->type) {
    case BRAID_EVENT_READABLE:
        read_all(host);
        break;
    case BRAID_EVENT_STREAMS_RESET:
        now.failures += event->outcome != BRAID_RECONFIG_PERFORMED;
        if (event->incoming) {
            read_all(host);
            memset(now.next[host->number], 0, sizeof(now.next[0]));
            now.resets++;
        }
        break;
    case BRAID_EVENT_ASSOCIATION_RESET:
        now.failures += event->outcome != BRAID_RECONFIG_PERFORMED;
        read_all(host);
        memset(now.next[host->number], 0, sizeof(now.next[0]));
        now.resets++;
        break;
    case BRAID_EVENT_STREAMS_ADDED:
        now.failures += event->outcome != BRAID_RECONFIG_PERFORMED;
        now.adds++;
        break;
    case BRAID_EVENT_DOWN:
        now.down[host->number] = true;
        break;
    default:
        break;
    }
}

static unsigned int send_some(struct host *host)
{
    struct braid_association_info info;
    unsigned int sent = 0;

    assert_int_equal(braid_association_info(host->engine, host->association, &info), 0);
    for (uint16_t i = 0; i < 20; i++) {
        struct braid_send send = {.stream = (uint16_t)(i % info.outbound_streams), .ppid = 7};
        static const uint8_t bytes[3000];

        sent += braid_send(host->engine, host->association, &send, bytes, 100 + i * 100u,
                           host->world->now) == 0;
    }
    return sent;
}

static void run_world(uint64_t seed, const char *capture)
{
    struct braid_parameters parameters = permitting(ALL);
    struct world *world;
    unsigned int sent = 0;

    memset(&now, 0, sizeof(now));
    parameters.outbound_streams = STREAMS;
    world = world_new(&(struct world_config){
        .seed = seed, .addresses = 2, .parameters = &parameters, .capture = capture});
    world->event = took_event;
    watcher_allow_skipped_tsns(world->watcher);
    *world_conditions(world) = (struct memory_conditions){.delay = 20000,
                                                          .jitter = 5000,
                                                          .loss = 0.05,
                                                          .reorder = 0.02,
                                                          .reorder_delay = 30000,
                                                          .duplicate = 0.01};
    world_connect(world, 0, 1);
    world_run(world, 10 * SECOND);
    for (int round = 0; round < ROUNDS; round++) {
        struct host *asking = &world->hosts[round % 2];
        int result;

        sent += send_some(&world->hosts[0]) + send_some(&world->hosts[1]);
        world_run(world, 200 * SECOND);
        assert_int_equal(now.messages, sent);
        switch (round % 3) {
        case 0:
            result = braid_reset_streams(asking->engine, asking->association,
                                         BRAID_RESET_OUTGOING | BRAID_RESET_INCOMING, NULL, 0,
                                         world->now);
            break;
        case 1:
            result = braid_add_streams(asking->engine, asking->association, 2, 1, world->now);
            break;
        default:
            result = braid_reset_association(asking->engine, asking->association, world->now);
            break;
        }
        assert_int_equal(result, 0);
        sent += send_some(asking); /* waits for the answer */
        world_run(world, 200 * SECOND);
        assert_int_equal(now.messages, sent);
    }
    assert_int_equal(now.failures, 0);
    assert_int_equal(now.resets, ROUNDS / 3 * 4);
    assert_int_equal(now.adds, ROUNDS / 3 * 4);
    braid_shutdown(world->hosts[0].engine, world->hosts[0].association, world->now);
    world_run(world, 200 * SECOND);
    assert_true(now.down[0] && now.down[1]);
    if (world->capture)
        (void)capture_flush(world->capture);
    world_free(world);
}

static void test_worlds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++)
        run_world(seed, NULL);
    run_world(7, getenv("CAPTURE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_offered),
        peer_test(test_not_offered),
        peer_test(test_errors),
        peer_test(test_reset_outgoing),
        peer_test(test_reset_refused),
        peer_test(test_reset_too_early),
        peer_test(test_reset_incoming),
        peer_test(test_lost),
        peer_test(test_peer_resets),
        peer_test(test_peer_resets_early),
        peer_test(test_peer_asks),
        peer_test(test_simultaneous),
        peer_test(test_reset_association),
        peer_test(test_reset_association_unnoticed),
        peer_test(test_reset_association_unnoticed_unordered),
        peer_test(test_in_progress_of_before),
        peer_test(test_in_progress_of_a_fast_path),
        peer_test(test_peer_resets_association),
        peer_test(test_add),
        peer_test(test_add_refused),
        peer_test(test_add_what_was_not_granted),
        peer_test(test_peer_adds),
        peer_test(test_malformed),
        peer_test(test_not_together),
        peer_test(test_unknown_parameters),
        cmocka_unit_test(test_worlds),
    };

    return cmocka_run_group_tests_name("reconfig", tests, NULL, NULL);
}
