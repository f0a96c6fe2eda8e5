/*
 * Tests: SACKs without order or sense, beside a plain reading of RFC 9260, sections 6.2.1 and
 * 7.2.4, that goes through all TSNs each time.
 */
#include "peer.h"

enum {
    WINDOW = 300, /* TSNs that one round has outstanding at most */
    TSNS = 80000, /* of one run: the lower 16 bits wrap around */
    BLOCKS = 64,  /* Gap Ack Blocks of one SACK */
    SEEDS = 4,
    ROUND = 8, /* SACKs of a round */
    STRIKES = 3,
    RANDOM_SETS = 2 /* of three: the others are what the last SACK said, and some more */
};

/* What the sender should know of its TSNs from `first` on. */
struct model {
    uint32_t first, cumulative, highest;
    struct {
        bool acknowledged, marked, fast;
        uint8_t misses;
    } tsns[WINDOW + 1];
    bool fast_recovery;
    uint32_t exit;
};

static bool before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static unsigned int in_flight(const struct model *model)
{
    unsigned int count = 0;

    for (uint32_t tsn = model->cumulative + 1; !before(model->highest, tsn); tsn++)
        count += !model->tsns[tsn - model->first].acknowledged &&
                 !model->tsns[tsn - model->first].marked;
    return count;
}

/* The blocks that count are those beyond the one before. */
static uint32_t read_blocks(const struct model *model, uint32_t cumulative, unsigned int count,
                            const struct sctp_gap_ack_block *blocks, bool *acknowledged)
{
    uint32_t last = cumulative;

    for (unsigned int i = 0; i < count; i++) {
        uint32_t from = cumulative + blocks[i].start, to = cumulative + blocks[i].end;

        if (blocks[i].start == 0 || blocks[i].end < blocks[i].start || !before(last, from))
            continue;
        for (uint32_t tsn = from; !before(to, tsn); tsn++)
            acknowledged[tsn - model->first] = true;
        last = to;
    }
    return last;
}

static void model_receive(struct model *model, uint32_t cumulative, unsigned int count,
                          const struct sctp_gap_ack_block *blocks)
{
    bool acknowledged[WINDOW + 1] = {false}, any_new = false, all;
    bool advanced = cumulative != model->cumulative;
    uint32_t last = read_blocks(model, cumulative, count, blocks, acknowledged), highest_new = 0;

    for (uint32_t tsn = model->cumulative + 1; !before(model->highest, tsn); tsn++) {
        uint32_t i = tsn - model->first;
        bool now = acknowledged[i] || !before(cumulative, tsn);

        if (now && !model->tsns[i].acknowledged) {
            any_new = true;
            highest_new = tsn;
            model->tsns[i].misses = 0;
            model->tsns[i].marked = false;
        } else if (!now && model->tsns[i].acknowledged && model->tsns[i].misses < STRIKES) {
            model->tsns[i].misses++;
        }
        model->tsns[i].acknowledged = now;
    }
    model->cumulative = cumulative;
    if (model->fast_recovery && !before(cumulative, model->exit))
        model->fast_recovery = false;
    all = model->fast_recovery && advanced;
    for (uint32_t tsn = cumulative + 1; before(tsn, last); tsn++) {
        uint32_t i = tsn - model->first;

        if (!all && !(any_new && before(tsn, highest_new)))
            break;
        if (model->tsns[i].acknowledged || model->tsns[i].marked || model->tsns[i].fast ||
            ++model->tsns[i].misses < STRIKES)
            continue;
        model->tsns[i].marked = model->tsns[i].fast = true;
        model->tsns[i].misses = 0;
        if (!model->fast_recovery)
            model->exit = model->highest;
        model->fast_recovery = true;
    }
}

/* What is sent is new, or was to be sent again. */
static void take(struct peer *peer, struct model *model)
{
    const struct sent *sent;

    while ((sent = peer_next(peer))) {
        for (unsigned int i = 0; i < sent_count(sent, SCTP_CHUNK_DATA); i++) {
            uint32_t tsn = sent_data(sent, i).tsn;

            assert_true(tsn - model->first <= WINDOW);
            if (before(model->highest, tsn)) {
                assert_int_equal(tsn, model->highest + 1);
                model->highest = tsn;
                continue;
            }
            assert_true(model->tsns[tsn - model->first].marked);
            assert_false(model->tsns[tsn - model->first].acknowledged);
            model->tsns[tsn - model->first].marked = false;
        }
    }
    assert_int_equal(peer_info(peer).outstanding_chunks, in_flight(model));
}

/* Blocks with holes between them, and some nonsense. */
static unsigned int make_blocks(struct peer *peer, const struct model *model, uint32_t cumulative,
                                struct sctp_gap_ack_block *blocks)
{
    uint32_t beyond = model->highest - cumulative, at = 0,
             length = 1 + (uint32_t)random_below(&peer->random, 20);
    bool anew = random_below(&peer->random, 3) < RANDOM_SETS;
    unsigned int count = 0;

    while (count < BLOCKS) {
        struct sctp_gap_ack_block *block = &blocks[count];

        if (anew) {
            at += 2 + (uint32_t)random_below(&peer->random, 5);
            block->start = (uint16_t)at;
            at += (uint32_t)random_below(&peer->random, length);
        } else { /* each TSN as it was, and sometimes one that is new */
            for (at++; at <= beyond; at++) {
                if (model->tsns[cumulative + at - model->first].acknowledged ||
                    random_below(&peer->random, 40) == 0)
                    break;
            }
            block->start = (uint16_t)at;
            while (at < beyond && model->tsns[cumulative + at + 1 - model->first].acknowledged)
                at++;
        }
        block->end = (uint16_t)at;
        if (at > beyond)
            break;
        if (random_below(&peer->random, 60) == 0)
            block->start = (uint16_t)random_below(&peer->random, at + 2);
        count++;
    }
    return count;
}

/* Some TSNs are outstanding, and SACKs come for them at one moment; then for all. */
static void run_round(struct peer *peer, uint32_t *first)
{
    struct model model = {.first = *first, .cumulative = *first - 1, .highest = *first - 1};
    struct sctp_gap_ack_block blocks[BLOCKS];

    for (int i = 0; i < WINDOW; i++)
        assert_int_equal(peer_user_send(peer, 0, 40), 0);
    take(peer, &model);
    for (int i = 0; i < ROUND; i++) {
        uint32_t cumulative = model.cumulative;
        unsigned int count;

        if (random_below(&peer->random, 3) == 0)
            cumulative += (uint32_t)random_below(&peer->random, model.highest - cumulative + 1);
        count = make_blocks(peer, &model, cumulative, blocks);
        peer_send_sack_gaps(peer, cumulative, count, blocks);
        model_receive(&model, cumulative, count, blocks);
        take(peer, &model);
    }
    while (peer_info(peer).queued_bytes > 0) {
        peer_send_sack(peer, model.highest);
        model_receive(&model, model.highest, 0, NULL);
        take(peer, &model);
    }
    assert_int_equal(peer_path(peer, 0).flight, 0);
    *first = model.highest + 1;
    peer_forget(peer);
}

static void test_random(void **state)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.no_delay = true;
    parameters.max_burst = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct peer_config config = {.parameters = &parameters, .seed = seed};
        struct peer *peer = peer_renew(state, &config);
        uint32_t first;

        print_message("seed %d\n", (int)seed);
        peer->a_rwnd = 1000000;
        peer_accept(peer);
        first = peer->engine_initial_tsn;
        while (first - peer->engine_initial_tsn < TSNS)
            run_round(peer, &first);
        assert_int_equal(peer_info(peer).state, BRAID_ESTABLISHED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_random),
    };

    return cmocka_run_group_tests_name("SACKs", tests, NULL, NULL);
}
