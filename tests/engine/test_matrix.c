/*
 * Tests: each chunk in each state of an association: what is answered, and which state follows.
 * RFC 9260, figure 3, sections 3.3, 5.2, 6, 8.3, 8.5.1 and 9; RFC 3758, section 3.3; RFC 8260,
 * section 2; RFC 6525, section 5. Then the same with a Verification Tag that is wrong, with the
 * T bit where there is one, and with a chunk of nothing but its header.
 */
#include <stdio.h>

#include "packet/reconfig.h"
#include "script.h"
#include "watcher.h"

enum { STATES = 7, GONE = STATES, SAME = STATES + 1, WRONG_TAG = 0x55667788 };

static const enum braid_state states[STATES] = {
    BRAID_COOKIE_WAIT,   BRAID_COOKIE_ECHOED,     BRAID_ESTABLISHED,      BRAID_SHUTDOWN_PENDING,
    BRAID_SHUTDOWN_SENT, BRAID_SHUTDOWN_RECEIVED, BRAID_SHUTDOWN_ACK_SENT};
static const char *const state_names[STATES] = {
    "COOKIE-WAIT",   "COOKIE-ECHOED",     "ESTABLISHED",      "SHUTDOWN-PENDING",
    "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT"};

/* ---- An association in a state ---- */

/* What both ends have beyond RFC 9260. */
enum extensions { PLAIN, EXTENDED, INTERLEAVED };

/* From ESTABLISHED to a later state. */
static void leave(struct peer *peer, const char *data, enum braid_state wanted)
{
    if (wanted == BRAID_SHUTDOWN_PENDING || wanted == BRAID_SHUTDOWN_RECEIVED) {
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        expect(peer, data);
    }
    if (wanted == BRAID_SHUTDOWN_PENDING || wanted == BRAID_SHUTDOWN_SENT) {
        assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
        peer_run(peer);
    }
    if (wanted == BRAID_SHUTDOWN_RECEIVED || wanted == BRAID_SHUTDOWN_ACK_SENT)
        peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
}

static struct peer *reach(void **state, enum extensions extensions, enum braid_state wanted)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.interleaving = extensions == INTERLEAVED;
    parameters.reconfig = extensions != PLAIN;
    parameters.reconfig_permitted = BRAID_RECONFIG_STREAMS | BRAID_RECONFIG_ADD_STREAMS;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->partial_reliability = extensions != PLAIN;
    if (extensions != PLAIN)
        peer->extensions[0] = SCTP_CHUNK_RE_CONFIG;
    if (extensions == INTERLEAVED) {
        peer->extensions[1] = SCTP_CHUNK_I_DATA;
        peer->extensions[2] = SCTP_CHUNK_I_FORWARD_TSN;
    }
    if (wanted == BRAID_COOKIE_WAIT) {
        peer_start_connect(peer);
        peer_read_init(peer, expect(peer, "INIT"));
    } else if (wanted == BRAID_COOKIE_ECHOED) {
        peer_start_connect(peer);
        peer_answer_init(peer);
        expect(peer, "COOKIE_ECHO");
    } else {
        peer_connect(peer);
    }
    if (wanted > BRAID_ESTABLISHED)
        leave(peer, extensions == INTERLEAVED ? "I_DATA" : "DATA", wanted);
    peer_skip(peer);
    assert_int_equal(peer_state(peer), wanted);
    return peer;
}

/* The same, and both have ASCONF. Its authentication is not known before INIT ACK. */
static struct peer *reach_authenticated(void **state, struct script *script,
                                        enum braid_state wanted)
{
    struct braid_parameters parameters = with_asconf();
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    const struct sent *sent;
    size_t start;

    *script = asconf_script();
    if (wanted <= BRAID_COOKIE_ECHOED) {
        peer_start_connect(peer);
        sent = expect(peer, "INIT");
        peer_read_init(peer, sent);
        learn_key(script, sent);
        if (wanted == BRAID_COOKIE_ECHOED) {
            start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
            parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
            write_terms(peer, script);
            chunk_end(&peer->writer, start);
            peer_send(peer);
            expect(peer, "COOKIE_ECHO");
        }
    } else {
        accept_all(peer, script);
        if (wanted > BRAID_ESTABLISHED)
            leave(peer, "DATA", wanted);
    }
    peer_skip(peer);
    assert_int_equal(peer_state(peer), wanted);
    return peer;
}

/* ---- Chunks ---- */

static void write_data(struct peer *peer)
{
    peer_write_data(peer, peer->initial_tsn, 0, 0, WHOLE | SCTP_DATA_FLAG_IMMEDIATE, 50);
}

static void write_i_data(struct peer *peer)
{
    static const uint8_t bytes[50];

    i_data_write(&peer->writer, &(struct sctp_data){.flags = WHOLE | SCTP_DATA_FLAG_IMMEDIATE,
                                                    .tsn = peer->initial_tsn,
                                                    .payload = bytes,
                                                    .payload_length = sizeof(bytes)});
}

static void write_init(struct peer *peer)
{
    chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
}

static void write_init_ack(struct peer *peer)
{
    size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);

    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    chunk_end(&peer->writer, start);
}

static void write_sack(struct peer *peer)
{
    sack_write(&peer->writer, peer->engine_initial_tsn - 1, peer->a_rwnd, NULL, 0, NULL, 0);
}

static void write_sack_of_what_was_not_sent(struct peer *peer)
{
    sack_write(&peer->writer, peer->engine_initial_tsn + 100, peer->a_rwnd, NULL, 0, NULL, 0);
}

static void write_heartbeat(struct peer *peer)
{
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "beat", 4);
}

static void write_heartbeat_ack(struct peer *peer)
{
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, "beat", 4);
}

static void write_abort(struct peer *peer)
{
    chunk_end(&peer->writer, abort_begin(&peer->writer, false));
}

static void write_shutdown(struct peer *peer)
{
    shutdown_write(&peer->writer, peer->engine_initial_tsn - 1);
}

static void write_shutdown_of_what_was_not_sent(struct peer *peer)
{
    shutdown_write(&peer->writer, peer->engine_initial_tsn + 100);
}

static void write_shutdown_ack(struct peer *peer)
{
    shutdown_ack_write(&peer->writer);
}

static void write_error(struct peer *peer)
{
    size_t start = error_begin(&peer->writer);

    parameter_write(&peer->writer, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
    chunk_end(&peer->writer, start);
}

static void write_cookie_echo(struct peer *peer)
{
    cookie_echo_write(&peer->writer, "not a cookie of ours", 20);
}

static void write_cookie_ack(struct peer *peer)
{
    cookie_ack_write(&peer->writer);
}

static void write_shutdown_complete(struct peer *peer)
{
    shutdown_complete_write(&peer->writer, false);
}

static void write_ecne(struct peer *peer)
{
    ecne_write(&peer->writer, peer->engine_initial_tsn);
}

static void write_cwr(struct peer *peer)
{
    cwr_write(&peer->writer, peer->initial_tsn);
}

static void write_auth(struct peer *peer)
{
    static const uint8_t bytes[24] = {0, 0, 0, 1};

    chunk_write(&peer->writer, SCTP_CHUNK_AUTH, 0, bytes, sizeof(bytes));
}

static void write_forward_tsn(struct peer *peer)
{
    forward_tsn_write(&peer->writer, peer->initial_tsn, NULL, 0);
}

static void write_i_forward_tsn(struct peer *peer)
{
    i_forward_tsn_write(&peer->writer, peer->initial_tsn, NULL, 0);
}

static void write_asconf(struct peer *peer)
{
    chunk_end(&peer->writer, asconf_begin(&peer->writer, peer->initial_tsn, &peer->there[0]));
}

static void write_asconf_ack(struct peer *peer)
{
    chunk_end(&peer->writer, asconf_ack_begin(&peer->writer, peer->engine_initial_tsn));
}

static void write_re_config(struct peer *peer)
{
    size_t start = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);

    add_streams_request_write(&peer->writer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST,
                              &(struct sctp_add_streams_request){peer->initial_tsn, 1});
    chunk_end(&peer->writer, start);
}

static void write_re_config_without_parameters(struct peer *peer)
{
    chunk_write(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0, NULL, 0);
}

static void write_pad(struct peer *peer)
{
    chunk_write(&peer->writer, SCTP_CHUNK_PAD, 0, "padding", 7);
}

/* Of the four kinds that the highest two bits tell apart (3.2). */
static void write_unknown_00(struct peer *peer)
{
    chunk_write(&peer->writer, 0x3e, 0, "?", 1);
}

static void write_unknown_01(struct peer *peer)
{
    chunk_write(&peer->writer, 0x7e, 0, "?", 1);
}

static void write_unknown_10(struct peer *peer)
{
    chunk_write(&peer->writer, 0xbe, 0, "?", 1);
}

static void write_unknown_11(struct peer *peer)
{
    chunk_write(&peer->writer, 0xfe, 0, "?", 1);
}

/* ---- The tables ---- */

/* In a state: the packets that answer, with a semicolon between them, and the state after it. */
struct cell {
    const char *answer;
    unsigned int next; /* an index of states[], GONE or SAME */
};

struct row {
    const char *name;
    void (*write)(struct peer *peer);
    struct cell cells[STATES];
};

#define NOTHING                                                                                    \
    {                                                                                              \
        NONE, SAME                                                                                 \
    }
#define SAY(packets)                                                                               \
    {                                                                                              \
        packets, SAME                                                                              \
    }
#define END(packets)                                                                               \
    {                                                                                              \
        packets, GONE                                                                              \
    }
#define GO(packets, index)                                                                         \
    {                                                                                              \
        packets, index                                                                             \
    }
/* In COOKIE-WAIT, COOKIE-ECHOED, and the five states of those that are set up. */
#define IGNORED                                                                                    \
    {                                                                                              \
        NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING                              \
    }
#define REPORTED                                                                                   \
    {                                                                                              \
        NOTHING, NOTHING, SAY("ERROR"), SAY("ERROR"), SAY("ERROR"), SAY("ERROR"), SAY("ERROR")     \
    }
/* What comes as DATA does, and is of the wrong kind. */
#define VIOLATION                                                                                  \
    {                                                                                              \
        NOTHING, NOTHING, END("ABORT"), END("ABORT"), END("ABORT"), NOTHING, NOTHING               \
    }

static const struct row plain[] = {
    {"DATA",
     write_data, /* 6: "any other state SHOULD be discarded"; 9.2 */
     {NOTHING, NOTHING, SAY("SACK"), SAY("SACK"), SAY("SACK SHUTDOWN"), NOTHING, NOTHING}},
    {"INIT",
     write_init, /* 5.2.1, 5.2.2, 9.2 */
     {SAY("INIT_ACK"), SAY("INIT_ACK"), SAY("INIT_ACK"), SAY("INIT_ACK"), SAY("INIT_ACK"),
      SAY("INIT_ACK"), SAY("SHUTDOWN_ACK")}},
    {"INIT ACK",
     write_init_ack, /* 5.1, 5.2.3 */
     {GO("COOKIE_ECHO", 1), NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING}},
    {"SACK", write_sack, IGNORED}, /* of nothing new */
    {"SACK of what was not sent",
     write_sack_of_what_was_not_sent, /* 6.2.1, 12.4, 6 */
     {NOTHING, NOTHING, END("ABORT"), END("ABORT"), NOTHING, END("ABORT"), NOTHING}},
    {"HEARTBEAT",
     write_heartbeat, /* 8.3 */
     {NOTHING, SAY("HEARTBEAT_ACK"), SAY("HEARTBEAT_ACK"), SAY("HEARTBEAT_ACK"), NOTHING,
      SAY("HEARTBEAT_ACK"), NOTHING}},
    {"HEARTBEAT ACK", write_heartbeat_ack, IGNORED},
    {"ABORT",
     write_abort, /* 9.1 */
     {END(NONE), END(NONE), END(NONE), END(NONE), END(NONE), END(NONE), END(NONE)}},
    {"SHUTDOWN",
     write_shutdown, /* 9.2 */
     {NOTHING, NOTHING, GO("SHUTDOWN_ACK", 6), GO(NONE, 5), GO("SHUTDOWN_ACK", 6), NOTHING,
      SAY("SHUTDOWN_ACK")}},
    {"SHUTDOWN of what was not sent",
     write_shutdown_of_what_was_not_sent, /* 6.2.1 */
     {NOTHING, NOTHING, END("ABORT"), END("ABORT"), GO("SHUTDOWN_ACK", 6), END("ABORT"),
      SAY("SHUTDOWN_ACK")}},
    {"SHUTDOWN ACK",
     write_shutdown_ack, /* 8.5.1 E, 9.2 */
     {SAY("SHUTDOWN_COMPLETE"), SAY("SHUTDOWN_COMPLETE"), NOTHING, NOTHING,
      END("SHUTDOWN_COMPLETE"), NOTHING, END("SHUTDOWN_COMPLETE")}},
    {"ERROR", write_error, IGNORED},
    {"COOKIE ECHO that is forged", write_cookie_echo, IGNORED}, /* 5.1.5 */
    {"COOKIE ACK",
     write_cookie_ack, /* 5.2.5 */
     {NOTHING, GO(NONE, 2), NOTHING, NOTHING, NOTHING, NOTHING, NOTHING}},
    {"SHUTDOWN COMPLETE",
     write_shutdown_complete, /* 9.2 */
     {NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, END(NONE)}},
    {"ECNE", write_ecne, IGNORED}, /* not agreed: as unknown ones (3.2) */
    {"CWR", write_cwr, IGNORED},
    {"AUTH", write_auth, IGNORED},
    {"I-DATA", write_i_data, VIOLATION}, /* RFC 8260, 2.2.3: not agreed on */
    {"FORWARD TSN", write_forward_tsn, REPORTED},
    {"I-FORWARD-TSN", write_i_forward_tsn, VIOLATION}, /* 2.3.1 */
    {"ASCONF", write_asconf, REPORTED},
    {"ASCONF ACK", write_asconf_ack, IGNORED},
    {"RE-CONFIG", write_re_config, IGNORED},
    {"PAD", write_pad, IGNORED}, /* RFC 4820, 3 */
    {"unknown, 00", write_unknown_00, IGNORED},
    {"unknown, 01", write_unknown_01, REPORTED},
    {"unknown, 10", write_unknown_10, IGNORED},
    {"unknown, 11", write_unknown_11, REPORTED},
};

static const struct row extended[] = {
    {"FORWARD TSN",
     write_forward_tsn, /* RFC 3758, 3.6: where DATA may come */
     {NOTHING, NOTHING, SAY("SACK"), SAY("SACK"), SAY("SACK SHUTDOWN"), NOTHING, NOTHING}},
    {"I-FORWARD-TSN", write_i_forward_tsn, VIOLATION},
    {"I-DATA", write_i_data, VIOLATION},
    {"RE-CONFIG",
     write_re_config, /* RFC 6525, 5.2 */
     {NOTHING, NOTHING, SAY("RE_CONFIG"), SAY("RE_CONFIG"), SAY("RE_CONFIG"), SAY("RE_CONFIG"),
      NOTHING}},
    {"RE-CONFIG without parameters",
     write_re_config_without_parameters, /* RFC 6525, 3.1 */
     {NOTHING, NOTHING, END("ABORT"), END("ABORT"), END("ABORT"), END("ABORT"), NOTHING}},
};

/* RFC 8260, 2.2.3, 2.3.1: DATA and FORWARD TSN are a protocol violation. */
static const struct row interleaved[] = {
    {"I-DATA",
     write_i_data,
     {NOTHING, NOTHING, SAY("SACK"), SAY("SACK"), SAY("SACK SHUTDOWN"), NOTHING, NOTHING}},
    {"DATA", write_data, VIOLATION},
    {"I-FORWARD-TSN",
     write_i_forward_tsn,
     {NOTHING, NOTHING, SAY("SACK"), SAY("SACK"), SAY("SACK SHUTDOWN"), NOTHING, NOTHING}},
    {"FORWARD TSN", write_forward_tsn, VIOLATION},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- The check ---- */

/* The answers to what was just sent. */
static void read_answers(struct peer *peer, char *answers, size_t size)
{
    const struct sent *sent;
    size_t length = 0;

    answers[0] = '\0';
    while ((sent = peer_next(peer))) {
        char name[256];

        packet_name(sent->bytes, sent->length, name, sizeof(name));
        length +=
            (size_t)snprintf(answers + length, size - length, "%s%s", length ? ";" : "", name);
        assert_true(length < size);
    }
}

static bool is_gone(struct peer *peer)
{
    struct braid_association_info info;

    return braid_association_info(peer->engine, peer->association, &info) != 0 ||
           info.state == BRAID_CLOSED;
}

/* How many cells are wrong: 0 or 1. */
static unsigned int check_cell(struct peer *peer, const char *name, unsigned int index,
                               const struct cell *expected)
{
    unsigned int next = expected->next == SAME ? index : expected->next;
    char answers[1024];
    bool gone;

    read_answers(peer, answers, sizeof(answers));
    gone = is_gone(peer);
    if (strcmp(answers, expected->answer) == 0 &&
        (next == GONE ? gone : !gone && peer_state(peer) == states[next]))
        return 0;
    print_error("%s in %s: answered by [%s], not [%s]; %s, not %s\n", name, state_names[index],
                answers, expected->answer, gone ? "gone" : braid_state_name(peer_state(peer)),
                next == GONE ? "gone" : state_names[next]);
    return 1;
}

static void check_rows(void **state, enum extensions extensions, const struct row *rows,
                       size_t count)
{
    unsigned int wrong = 0;

    for (size_t i = 0; i < count; i++) {
        for (unsigned int index = 0; index < STATES; index++) {
            struct peer *peer = reach(state, extensions, states[index]);

            peer_begin(peer); /* INIT and INIT ACK begin their own */
            rows[i].write(peer);
            peer_send(peer);
            wrong += check_cell(peer, rows[i].name, index, &rows[i].cells[index]);
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_plain(void **state)
{
    check_rows(state, PLAIN, plain, COUNT(plain));
}

static void test_extended(void **state)
{
    check_rows(state, EXTENDED, extended, COUNT(extended));
}

static void test_interleaved(void **state)
{
    check_rows(state, INTERLEAVED, interleaved, COUNT(interleaved));
}

/* RFC 5061, 5.1.1, C4; 5.2, D5. */
static void test_asconf(void **state)
{
    static const struct cell ignored = NOTHING, answered = SAY("AUTH ASCONF_ACK");
    unsigned int wrong = 0;

    for (unsigned int index = 0; index < STATES; index++) {
        for (unsigned int authentic = 0; authentic < 2; authentic++) {
            struct script script;
            struct peer *peer = reach_authenticated(state, &script, states[index]);
            bool open =
                states[index] >= BRAID_ESTABLISHED && states[index] != BRAID_SHUTDOWN_ACK_SENT;
            size_t at = 0;

            peer_begin(peer);
            if (authentic)
                at = begin_auth(peer, 0, SHA1);
            write_asconf(peer);
            if (authentic)
                fill_mac(peer, &script, at, SHA1);
            peer_send(peer);
            wrong += check_cell(peer, authentic ? "AUTH ASCONF" : "ASCONF", index,
                                authentic && open ? &answered : &ignored);
        }
    }
    assert_int_equal(wrong, 0);
}

/* ---- Parameters that nobody knows, of the four kinds that the highest two bits tell apart: 3.2.1
 * ---- */

static const uint16_t unknown_types[] = {0x3ffe, 0x7ffe, 0xbffe, 0xfffe};

static bool is_reported(uint16_t type)
{
    return type & 0x4000;
}

static void write_unknown_parameter(struct peer *peer, uint16_t type)
{
    parameter_write(&peer->writer, type, "what?", 5);
}

/* INIT is answered in each state but one, and what is unknown stands in the INIT ACK (5.2.1, 5.2.2,
 * 9.2). */
static void test_unknown_parameters_of_an_init(void **state)
{
    static const struct cell late = SAY("SHUTDOWN_ACK");
    unsigned int wrong = 0;

    for (size_t i = 0; i < COUNT(unknown_types); i++) {
        for (unsigned int index = 0; index < STATES; index++) {
            struct peer *peer = reach(state, PLAIN, states[index]);
            size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT);
            struct sctp_parameter parameter;
            const struct sent *sent;

            write_unknown_parameter(peer, unknown_types[i]);
            chunk_end(&peer->writer, start);
            peer_send(peer);
            if (states[index] == BRAID_SHUTDOWN_ACK_SENT) {
                wrong += check_cell(peer, "INIT", index, &late);
                continue;
            }
            sent = expect(peer, "INIT_ACK");
            assert_int_equal(sent_parameter(sent, SCTP_PARAMETER_UNRECOGNIZED, &parameter),
                             is_reported(unknown_types[i]));
            if (is_reported(unknown_types[i])) {
                assert_int_equal(wire_get_u16(parameter.value), unknown_types[i]);
                assert_int_equal(wire_get_u16(parameter.value + 2), 9);
            }
            assert_int_equal(peer_state(peer), states[index]);
        }
    }
    assert_int_equal(wrong, 0);
}

/* A HEARTBEAT comes back with all that is in it (8.3); causes that nobody knows are the user's. */
static void test_unknown_parameters_of_others(void **state)
{
    static const struct cell nothing = NOTHING;
    unsigned int wrong = 0;

    for (size_t i = 0; i < COUNT(unknown_types); i++) {
        for (unsigned int index = 0; index < STATES; index++) {
            struct peer *peer = reach(state, PLAIN, states[index]);
            bool answers = states[index] >= BRAID_COOKIE_ECHOED &&
                           states[index] != BRAID_SHUTDOWN_SENT &&
                           states[index] != BRAID_SHUTDOWN_ACK_SENT;
            size_t start;

            peer_begin(peer);
            start = chunk_begin(&peer->writer, SCTP_CHUNK_HEARTBEAT, 0);
            parameter_write(&peer->writer, SCTP_PARAMETER_HEARTBEAT_INFO, "beat", 4);
            write_unknown_parameter(peer, unknown_types[i]);
            chunk_end(&peer->writer, start);
            peer_send(peer);
            if (answers) {
                struct sctp_chunk ack =
                    sent_chunk(expect(peer, "HEARTBEAT_ACK"), SCTP_CHUNK_HEARTBEAT_ACK);

                assert_int_equal(ack.value_length, 8 + 9);
                assert_int_equal(wire_get_u16(ack.value + 8), unknown_types[i]);
            }
            peer_begin(peer);
            start = error_begin(&peer->writer);
            write_unknown_parameter(peer, unknown_types[i]);
            chunk_end(&peer->writer, start);
            peer_send(peer);
            wrong += check_cell(peer, "ERROR", index, &nothing);
        }
    }
    assert_int_equal(wrong, 0);
}

/* 8.5: silently discarded. But SHUTDOWN ACK is out of the blue while the setup goes on (8.5.1 E).
 */
static void test_wrong_tag(void **state)
{
    static const struct cell nothing = NOTHING, complete = SAY("SHUTDOWN_COMPLETE");
    unsigned int wrong = 0;

    for (size_t i = 0; i < COUNT(plain); i++) {
        for (unsigned int index = 0; index < STATES; index++) {
            struct peer *peer = reach(state, PLAIN, states[index]);

            peer_begin(peer);
            plain[i].write(peer);
            wire_put_u32(peer->packet + 4, WRONG_TAG);
            peer_send(peer);
            wrong += check_cell(peer, plain[i].name, index,
                                plain[i].write == write_shutdown_ack && index < 2 ? &complete
                                                                                  : &nothing);
        }
    }
    assert_int_equal(wrong, 0);
}

/* 8.5.1, B and C: with the T bit the tag is the peer's own, and no other. */
static void test_reflected_tag(void **state)
{
    static const struct cell nothing = NOTHING, end = END(NONE);
    unsigned int wrong = 0;

    for (unsigned int index = 0; index < STATES; index++) {
        for (unsigned int kind = 0; kind < 4; kind++) {
            bool complete = kind & 1, own = kind & 2;
            struct peer *peer = reach(state, PLAIN, states[index]);
            bool ends = own && index > 0 && (!complete || states[index] == BRAID_SHUTDOWN_ACK_SENT);

            peer_begin_tag(peer, own ? peer->tag : peer->engine_tag);
            if (complete)
                shutdown_complete_write(&peer->writer, true);
            else
                chunk_end(&peer->writer, abort_begin(&peer->writer, true));
            peer_send(peer);
            wrong += check_cell(peer, complete ? "SHUTDOWN COMPLETE" : "ABORT", index,
                                ends ? &end : &nothing);
        }
    }
    assert_int_equal(wrong, 0);
}

/* A chunk that has not even its fixed part changes nothing, and is not answered. */
static void test_header_only(void **state)
{
    static const uint8_t types[] = {
        SCTP_CHUNK_DATA,          SCTP_CHUNK_INIT,        SCTP_CHUNK_INIT_ACK,
        SCTP_CHUNK_SACK,          SCTP_CHUNK_SHUTDOWN,    SCTP_CHUNK_COOKIE_ECHO,
        SCTP_CHUNK_HEARTBEAT_ACK, SCTP_CHUNK_FORWARD_TSN, SCTP_CHUNK_ERROR};
    static const struct cell nothing = NOTHING;
    unsigned int wrong = 0;

    for (size_t i = 0; i < COUNT(types); i++) {
        for (unsigned int index = 0; index < STATES; index++) {
            struct peer *peer = reach(state, EXTENDED, states[index]);
            char name[32];

            snprintf(name, sizeof(name), "type %u of 4 bytes", types[i]);
            peer_begin_tag(peer, types[i] == SCTP_CHUNK_INIT ? 0 : peer->engine_tag);
            chunk_write(&peer->writer, types[i], 0, NULL, 0);
            peer_send(peer);
            wrong += check_cell(peer, name, index, &nothing);
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_asconf),
        peer_test(test_unknown_parameters_of_an_init),
        peer_test(test_unknown_parameters_of_others),
        peer_test(test_plain),
        peer_test(test_extended),
        peer_test(test_interleaved),
        peer_test(test_wrong_tag),
        peer_test(test_reflected_tag),
        peer_test(test_header_only),
    };

    return cmocka_run_group_tests_name("each chunk in each state", tests, NULL, NULL);
}
