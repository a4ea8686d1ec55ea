/* What a client finds out about its NAT, by classify.c alone: the test is shell, router and server, and gives each
 * question its answer, loses it, brings it late or out of order. */
#include "peer/internal.h"
#include "peer_tools.h"

enum { RTT_US = 40000, AGAIN_US = RTT_US * 3 / 2 + 100000, READY_US = RTT_US * 3 / 2 + 50000 };
enum { ROUNDS = 3, FRESH = 4, MAIN = 7000, ASKED_MAX = 200, ANSWERS_MAX = 16 };

static const uint16_t own_ports[FRESH] = {40000, 51000, 33000, 42000}; /* of fresh sockets, in the order of opening */

/* ---- a router and a server, as what they answer ---- */

enum alternate { BOTH, PORT_ONLY, NONE, AT_HOME /* it names an address that is none on the internet */ };

struct row {
    const char *what;
    enum alternate alternate;
    bool on_the_internet;  /* the client itself */
    uint16_t main[2];      /* as the other port sees the main socket, and the other address; 0: no answer comes */
    uint16_t fresh[FRESH]; /* ... and the fresh ones */
    bool pool;             /* the last fresh one comes from another address */
    bool passes[2];        /* the filter: answers from the other port, from the other address */
    unsigned lost;         /* bits of enum classify_what: the first question or its answer */
    unsigned lost_twice;
    bool backwards;                    /* the answers of a moment come in the reverse order */
    uint8_t mapping, filtering, ports; /* what has to be said */
    int16_t step;
    unsigned asked; /* questions that have to be sent, no more and no less */
};

struct asked {
    vtime_us at;
    enum classify_what what;
    uint64_t token;
};

struct answer {
    vtime_us due; /* 0: none */
    struct addr from;
    struct frame_probed f;
};

struct bench {
    const struct row *row;
    struct engine *e;
    struct codec codec;
    vtime_us now;
    struct addr server, other, observed;
    struct asked asked[ASKED_MAX];
    unsigned asked_count, times[CLASSIFY_QUESTIONS];
    unsigned opened, closed;
    struct answer answers[ANSWERS_MAX];
    unsigned answer_count;
};

static struct bench *bench_open(const struct row *row)
{
    struct bench *b = calloc(1, sizeof *b);
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    assert_non_null(b);
    b->e = calloc(1, sizeof *b->e);
    assert_non_null(b->e);
    b->row = row;
    b->now = VTIME_S(1000);
    b->server = addr_v4(203, 0, 113, 1, 41414);
    b->other = addr_v4(203, 0, 113, 2, 41415);
    b->observed = addr_v4(198, 51, 100, 10, MAIN);
    struct engine *e = b->e;
    rng_init(&e->rng, seed);
    e->interfaces[e->interface_count++] = row->on_the_internet ? b->observed : addr_v4(192, 168, 0, 5, 0);
    e->sockets[ENGINE_SOCKET_V4] = (struct engine_socket){
        .use = SOCKET_MAIN, .asked = true, .open = true, .family = ADDR_V4, .local = addr_v4(0, 0, 0, 0, MAIN)};
    e->rv.addrs[e->rv.addr_count++] = b->server;
    e->rv.registered = e->rv.ever_registered = e->rv.echoed = true;
    e->rv.observed = b->observed;
    e->rv.rtt_us = RTT_US;
    return b;
}

static void bench_close(struct bench *b)
{
    free(b->e);
    free(b);
}

static void registered(struct bench *b, bool moved)
{
    struct frame_registered f = {0};
    if (b->row->alternate == BOTH)
        f.alternate = b->other;
    else if (b->row->alternate == PORT_ONLY)
        f.alternate.port = b->other.port;
    else if (b->row->alternate == AT_HOME)
        f.alternate = addr_v4(192, 168, 0, 1, b->other.port);
    classify_registered(b->e, b->now, &f, moved);
}

static bool bit(unsigned bits, enum classify_what what)
{
    return bits >> what & 1;
}

/* The answer to a question, if one comes. */
static void answer(struct bench *b, enum classify_what what, uint64_t token)
{
    const struct row *r = b->row;
    const unsigned fresh =
        what >= CLASSIFY_FRESH_FIRST && what <= CLASSIFY_FRESH_LAST ? what - CLASSIFY_FRESH_FIRST : 0;
    struct addr from = b->server, seen = b->observed;
    seen.port = what == CLASSIFY_OTHER_PORT       ? r->main[0]
                : what == CLASSIFY_OTHER_ADDRESS  ? r->main[1]
                : what == CLASSIFY_FILTER_PORT    ? r->passes[0]
                : what == CLASSIFY_FILTER_ADDRESS ? r->passes[1]
                                                  : r->fresh[fresh];
    if (r->pool && fresh == FRESH - 1)
        seen.ip[3]++;
    if (what == CLASSIFY_OTHER_PORT || what == CLASSIFY_FILTER_PORT)
        from.port = b->other.port;
    if (what == CLASSIFY_OTHER_ADDRESS || what == CLASSIFY_FILTER_ADDRESS)
        from = b->other;
    if (seen.port == 0 || (bit(r->lost, what) && b->times[what] == 1) ||
        (bit(r->lost_twice, what) && b->times[what] < 3))
        return;
    assert_true(b->answer_count < ANSWERS_MAX);
    b->answers[b->answer_count++] = (struct answer){
        .due = b->now + RTT_US, .from = from, .f = {.token = token, .observed = addr_mask(&seen, token)}};
}

/* ---- the shell ---- */

static enum classify_what question_of(const struct bench *b, uint64_t token)
{
    for (int i = 0; i < CLASSIFY_QUESTIONS; i++)
        if (b->e->classify.questions[i].wanted && b->e->classify.questions[i].token == token)
            return (enum classify_what)i;
    fail_msg("%s: a question that nobody has", b->row->what);
    abort();
}

static void sent(struct bench *b, const struct engine_out *out)
{
    struct frame f;
    assert_int_equal(codec_decode(&b->codec, out->bytes, out->size, &f), DECODE_OK);
    assert_int_equal(f.kind, FRAME_PROBE);
    enum classify_what what = question_of(b, f.probe.token);
    const bool same = what < CLASSIFY_FILTER_PORT;
    assert_int_equal(f.probe.from == PROBE_FROM_SAME, same);
    assert_true(addr_equal(&out->to, &b->server) || what == CLASSIFY_OTHER_PORT || what == CLASSIFY_OTHER_ADDRESS);
    assert_true(addr_ip_equal(&out->to, &b->server) || (b->row->alternate == BOTH && addr_equal(&out->to, &b->other)));
    /* What the main socket sends would open the filter for the answer. */
    assert_int_equal(out->socket == ENGINE_SOCKET_V4, what <= CLASSIFY_OTHER_ADDRESS);
    assert_true(b->asked_count < ASKED_MAX);
    b->asked[b->asked_count++] = (struct asked){b->now, what, f.probe.token};
    b->times[what]++;
    answer(b, what, f.probe.token);
}

static void poll_dry(struct bench *b)
{
    struct engine_out out;
    b->e->now = b->now;
    while (classify_poll(b->e, b->now, &out)) {
        if (out.kind == OUT_OPEN) {
            const struct addr local = addr_v4(0, 0, 0, 0, own_ports[b->opened++ % FRESH]);
            pool_opened(b->e, out.socket, &local);
        } else if (out.kind == OUT_SEND) {
            sent(b, &out);
        } else {
            b->closed += out.kind == OUT_CLOSE;
        }
    }
}

static struct answer *first_answer(struct bench *b)
{
    struct answer *first = NULL;
    for (unsigned i = 0; i < b->answer_count; i++) {
        struct answer *a = &b->answers[b->row->backwards ? b->answer_count - 1 - i : i];
        if (a->due != 0 && (first == NULL || a->due < first->due))
            first = a;
    }
    if (first == NULL)
        b->answer_count = 0;
    return first;
}

/* Until it has nothing more to do, or so many questions have been asked. */
static void run(struct bench *b, unsigned asked_max)
{
    for (poll_dry(b); b->asked_count < asked_max; poll_dry(b)) {
        struct answer *a = first_answer(b);
        vtime_us due = classify_deadline(b->e);
        if (a == NULL && due == VTIME_NEVER)
            break;
        if (a == NULL || due < a->due) {
            assert_true(due > b->now);
            b->now = due;
            continue;
        }
        b->now = a->due;
        a->due = 0;
        classify_probed(b->e, &a->from, &a->f);
    }
    for (struct engine_out out; pool_poll(b->e, &out);)
        b->closed += out.kind == OUT_CLOSE;
}

/* ---- what is found out ---- */

#define KEPT                                                                                                           \
    {                                                                                                                  \
        40000, 51000, 33000, 42000                                                                                     \
    }
#define ANY                                                                                                            \
    {                                                                                                                  \
        2000, 61000, 17000, 44000                                                                                      \
    }
#define EI       NAT_ENDPOINT_INDEPENDENT
#define AD       NAT_ADDRESS_DEPENDENT
#define APD      NAT_ADDRESS_AND_PORT_DEPENDENT
#define PI       NAT_PORT_INDEPENDENT
#define ALL_LOST ((1U << CLASSIFY_QUESTIONS) - 1)

enum {
    ALL = CLASSIFY_QUESTIONS,            /* each once */
    STRICT = ALL + 2 * (ROUNDS - 1),     /* what a filter keeps out looks lost: both are asked again */
    ADDRESS_STRICT = ALL + (ROUNDS - 1), /* one of them */
    WITHOUT_ADDRESS = ALL - 2,
};

static const struct row rows[] = {
    {"no NAT", BOTH, .on_the_internet = true, .main = {MAIN, MAIN}, .fresh = KEPT, .passes = {true, true},
     .mapping = NAT_NONE, .filtering = NAT_NONE, .ports = NAT_PORTS_PRESERVED, .asked = ALL},
    {"a firewall", BOTH, .on_the_internet = true, .main = {MAIN, MAIN}, .fresh = KEPT, .mapping = NAT_NONE,
     .filtering = APD, .ports = NAT_PORTS_PRESERVED, .asked = STRICT},
    {"full cone", BOTH, .main = {MAIN, MAIN}, .fresh = ANY, .passes = {true, true}, .mapping = EI, .filtering = EI,
     .ports = NAT_PORTS_RANDOM, .asked = ALL},
    {"address-restricted", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .passes = {true, false}, .mapping = EI,
     .filtering = AD, .ports = NAT_PORTS_PRESERVED, .asked = ADDRESS_STRICT},
    {"port-restricted", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .mapping = EI, .filtering = APD,
     .ports = NAT_PORTS_PRESERVED, .asked = STRICT},
    {"another port for each address", BOTH, .main = {MAIN, 9000}, .fresh = ANY, .passes = {true, false}, .mapping = AD,
     .filtering = AD, .ports = NAT_PORTS_RANDOM, .asked = ADDRESS_STRICT},
    {"another port for each", BOTH, .main = {9000, 31000}, .fresh = ANY, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_RANDOM, .asked = STRICT},
    {"another port, other addresses, too", BOTH, .main = {9000, 31000}, .fresh = KEPT, .pool = true, .mapping = APD,
     .filtering = APD, .ports = NAT_PORTS_RANDOM, .asked = STRICT},
    {"one port, of several addresses", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .pool = true, .mapping = EI,
     .filtering = APD, .ports = NAT_PORTS_PRESERVED, .asked = STRICT},

    {"counts up", BOTH, .main = {7001, 7002}, .fresh = {7003, 7004, 7005, 7006}, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_SEQUENTIAL, .step = 1, .asked = STRICT},
    {"counts down", BOTH, .main = {6999, 6998}, .fresh = {6997, 6996, 6995, 6994}, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_SEQUENTIAL, .step = -1, .asked = STRICT},
    {"counts by twos", BOTH, .main = {7002, 7004}, .fresh = {7006, 7008, 7010, 7012}, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_SEQUENTIAL, .step = 2, .asked = STRICT},
    {"down by twos", BOTH, .main = {6998, 6996}, .fresh = {6994, 6992, 6990, 6988}, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_SEQUENTIAL, .step = -2, .asked = STRICT},
    {"others between", BOTH, .main = {7003, 7010}, .fresh = {7011, 7015, 7016, 7023}, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_SEQUENTIAL, .step = 1, .asked = STRICT},
    {"others between, down by twos", BOTH, .main = {6998, 6990}, .fresh = {6980, 6978, 6970, 6964}, .mapping = APD,
     .filtering = APD, .ports = NAT_PORTS_SEQUENTIAL, .step = -2, .asked = STRICT},
    {"counts, the answers come backwards", BOTH, .main = {7001, 7002}, .fresh = {7003, 7004, 7005, 7006},
     .backwards = true, .mapping = APD, .filtering = APD, .ports = NAT_PORTS_SEQUENTIAL, .step = 1, .asked = STRICT},

    {"kept once, then another", BOTH, .main = {9000, 31000}, .fresh = KEPT, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_PRESERVED, .asked = STRICT},
    {"kept, one is taken", BOTH, .main = {9000, 31000}, .fresh = {40000, 51000, 1024, 42000}, .mapping = APD,
     .filtering = APD, .ports = NAT_PORTS_PRESERVED, .asked = STRICT},
    {"kept, the first is taken", BOTH, .main = {MAIN, MAIN}, .fresh = {1024, 51000, 33000, 42000}, .mapping = EI,
     .filtering = APD, .ports = NAT_PORTS_PRESERVED, .asked = STRICT},
    {"kept at the other port, taken at the other address", BOTH, .main = {MAIN, 1024}, .fresh = KEPT, .mapping = AD,
     .filtering = APD, .ports = NAT_PORTS_PRESERVED, .asked = STRICT},

    {"one address: one port", PORT_ONLY, .main = {MAIN, 0}, .fresh = KEPT, .passes = {true, false}, .mapping = PI,
     .filtering = PI, .ports = NAT_PORTS_PRESERVED, .asked = WITHOUT_ADDRESS},
    {"one address: one port, strict", PORT_ONLY, .main = {MAIN, 0}, .fresh = ANY, .mapping = PI, .filtering = APD,
     .ports = NAT_PORTS_RANDOM, .asked = WITHOUT_ADDRESS + ROUNDS - 1},
    {"one address: another port", PORT_ONLY, .main = {9000, 0}, .fresh = ANY, .mapping = APD, .filtering = APD,
     .ports = NAT_PORTS_RANDOM, .asked = WITHOUT_ADDRESS + ROUNDS - 1},
    {"an address at home is none", AT_HOME, .main = {MAIN, 0}, .fresh = KEPT, .passes = {true, false}, .mapping = PI,
     .filtering = PI, .ports = NAT_PORTS_PRESERVED, .asked = WITHOUT_ADDRESS},
    {"nobody else to ask", NONE, .fresh = KEPT, .mapping = NAT_UNKNOWN, .filtering = NAT_UNKNOWN,
     .ports = NAT_PORTS_PRESERVED, .asked = FRESH},
    {"the other address is silent", BOTH, .main = {MAIN, 0}, .fresh = KEPT, .passes = {true, false}, .mapping = PI,
     .filtering = AD, .ports = NAT_PORTS_PRESERVED, .asked = ALL + 2 * (ROUNDS - 1)},

    {"all lost once", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .passes = {true, true}, .lost = ALL_LOST,
     .mapping = EI, .filtering = EI, .ports = NAT_PORTS_PRESERVED, .asked = 2 * ALL},
    {"all lost twice", BOTH, .main = {9000, 31000}, .fresh = {7003, 7004, 7005, 7006}, .passes = {true, true},
     .lost_twice = ALL_LOST, .mapping = APD, .filtering = EI, .ports = NAT_PORTS_SEQUENTIAL, .step = 1,
     .asked = ROUNDS * ALL},
    {"some lost, once and twice", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .passes = {true, true},
     .lost = 1U << CLASSIFY_FRESH_FIRST | 1U << CLASSIFY_OTHER_ADDRESS, .lost_twice = 1U << CLASSIFY_FILTER_ADDRESS,
     .mapping = EI, .filtering = EI, .ports = NAT_PORTS_PRESERVED, .asked = ALL + 1 + 1 + 2},
    {"the lost one was a counter's", BOTH, .main = {7001, 7002}, .fresh = {7003, 7004, 7005, 7006},
     .lost = 1U << CLASSIFY_FRESH_LAST, .mapping = APD, .filtering = APD, .ports = NAT_PORTS_SEQUENTIAL, .step = 1,
     .asked = STRICT + 1},
    {"one fresh socket is never answered", BOTH, .main = {7001, 7002}, .fresh = {7003, 0, 7005, 7006}, .mapping = APD,
     .filtering = APD, .ports = NAT_PORTS_SEQUENTIAL, .step = 1, .asked = STRICT + ROUNDS - 1},
    {"two are never answered", BOTH, .main = {7001, 7002}, .fresh = {7003, 0, 0, 7006}, .mapping = APD,
     .filtering = APD, .ports = NAT_PORTS_UNKNOWN, .asked = STRICT + 2 * (ROUNDS - 1)},
    {"the one that asks about the filter is not", BOTH, .main = {MAIN, MAIN}, .fresh = {0, 51000, 33000, 42000},
     .mapping = EI, .filtering = NAT_UNKNOWN, .ports = NAT_PORTS_PRESERVED, .asked = STRICT + ROUNDS - 1},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bench *b = bench_open(&rows[i]);
        const struct row *r = &rows[i];
        registered(b, false);
        run(b, ASKED_MAX);
        const struct nat_class *n = &b->e->nat;
        if (n->mapping != r->mapping || n->filtering != r->filtering || n->ports != r->ports || n->step != r->step)
            fail_msg("%s: mapping %u, filtering %u, ports %u, step %d; should be %u, %u, %u, %d", r->what, n->mapping,
                     n->filtering, n->ports, n->step, r->mapping, r->filtering, r->ports, r->step);
        if (b->asked_count != r->asked || b->opened != FRESH || b->closed != FRESH)
            fail_msg("%s: %u questions, %u sockets opened, %u closed; should be %u, %u, %u", r->what, b->asked_count,
                     b->opened, b->closed, r->asked, FRESH, FRESH);
        assert_int_equal(b->e->event_count, 1); /* told once */
        const struct engine_event *event = &b->e->events[b->e->event_first].event;
        assert_int_equal(event->kind, EVENT_NAT);
        assert_int_equal(event->mapping, r->mapping);
        assert_int_equal(event->filtering, r->filtering);
        assert_int_equal(event->ports, r->ports);
        assert_int_equal(b->e->classify.stage, CLASSIFY_DONE);
        bench_close(b);
    }
}

/* ---- when ---- */

static void test_what_is_lost_is_asked_again(void **state)
{
    (void)state;
    static const struct row row = {"lost",
                                   BOTH,
                                   .main = {MAIN, MAIN},
                                   .fresh = KEPT,
                                   .passes = {true, true},
                                   .lost = 1U << CLASSIFY_OTHER_PORT,
                                   .lost_twice = 1U << CLASSIFY_FRESH_LAST};
    struct bench *b = bench_open(&row);
    const vtime_us began = b->now + READY_US; /* its echo has brought introductions by then */
    registered(b, false);
    run(b, ASKED_MAX);
    assert_int_equal(b->asked_count, ALL + 2 + 1);
    for (unsigned i = 0; i < ALL; i++) { /* all at one moment, in their order */
        assert_int_equal(b->asked[i].at, began);
        assert_int_equal(b->asked[i].what, i);
    }
    static const struct {
        unsigned round;
        enum classify_what what;
    } more[] = {{1, CLASSIFY_OTHER_PORT}, {1, CLASSIFY_FRESH_LAST}, {2, CLASSIFY_FRESH_LAST}};
    for (size_t i = 0; i < COUNT(more); i++) {
        const struct asked *a = &b->asked[ALL + i];
        assert_int_equal(a->at, began + more[i].round * AGAIN_US);
        assert_int_equal(a->what, more[i].what);
        assert_true(a->token == b->asked[a->what].token); /* so that an answer to either will do */
    }
    bench_close(b);
}

/* What ports are guessed by does not wait for what a filter swallows, or not. */
static void test_the_mapping_is_there_before_the_filter(void **state)
{
    (void)state;
    static const struct row row = {
        .what = "strict", .alternate = BOTH, .main = {9000, 31000}, .fresh = {7003, 7004, 7005, 7006}};
    struct bench *b = bench_open(&row);
    registered(b, false);
    run(b, ALL + 1);
    assert_int_equal(b->now, b->asked[0].at + AGAIN_US);
    assert_int_equal(b->e->nat.mapping, APD);
    assert_int_equal(b->e->nat.ports, NAT_PORTS_SEQUENTIAL);
    assert_int_equal(b->e->nat.filtering, NAT_UNKNOWN);
    assert_int_equal(b->e->event_count, 0);
    bench_close(b);
}

/* An answer that comes when the question has been asked again already counts as well, once. */
static void test_late_answers(void **state)
{
    (void)state;
    static const struct row row = {"late", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .passes = {true, true}};
    struct bench *b = bench_open(&row);
    registered(b, false);
    run(b, ALL);
    for (unsigned i = 0; i < b->answer_count; i++)
        b->answers[i].due = b->asked[0].at + AGAIN_US + RTT_US / 2;
    run(b, ASKED_MAX);
    assert_int_equal(b->asked_count, 2 * ALL);
    assert_int_equal(b->e->classify.stage, CLASSIFY_DONE);
    assert_int_equal(b->now, b->asked[0].at + AGAIN_US + RTT_US); /* the second answers find nothing to do */
    assert_int_equal(b->e->nat.mapping, EI);
    assert_int_equal(b->e->nat.filtering, EI);
    assert_int_equal(b->e->event_count, 1);
    bench_close(b);
}

/* With none of the answers that mapping takes it is tried again, five times, with pauses that double. */
static void test_nothing_is_answered(void **state)
{
    (void)state;
    enum { TRIES = 6, EACH = ROUNDS * ALL };
    static const struct row row = {.what = "silence", .alternate = BOTH};
    struct bench *b = bench_open(&row);
    registered(b, false);
    run(b, ASKED_MAX);
    assert_int_equal(b->asked_count, TRIES * EACH);
    for (unsigned i = 1; i < TRIES; i++)
        assert_int_equal(b->asked[i * EACH].at - b->asked[i * EACH - 1].at, AGAIN_US + (VTIME_S(10) << (i - 1)));
    assert_int_equal(b->opened, TRIES * FRESH);
    assert_int_equal(b->closed, TRIES * FRESH);
    assert_int_equal(b->e->classify.stage, CLASSIFY_DONE);
    assert_int_equal(b->e->nat.mapping, NAT_UNKNOWN);
    assert_int_equal(b->e->nat.filtering, NAT_UNKNOWN);
    assert_int_equal(b->e->nat.ports, NAT_PORTS_UNKNOWN);
    bench_close(b);
}

/* ---- answers to nothing ---- */

static void test_wrong_answers(void **state)
{
    (void)state;
    static const struct row row = {.what = "wrong", .alternate = BOTH};
    struct bench *b = bench_open(&row);
    const struct addr stranger = addr_v4(192, 0, 2, 1, 41414);
    registered(b, false);
    run(b, ALL);
    const uint64_t token = b->asked[CLASSIFY_FRESH_FIRST].token;
    const struct frame_probed right = {.token = token, .observed = addr_mask(&b->observed, token)};
    struct frame_probed guessed = right;
    guessed.token ^= 1;
    assert_false(classify_probed(b->e, &b->server, &guessed));
    assert_false(classify_probed(b->e, &stranger, &right));
    assert_false(classify_probed(b->e, &b->other, &right)); /* only what was asked from elsewhere comes from there */
    assert_false(b->e->classify.questions[CLASSIFY_FRESH_FIRST].answered);
    const struct frame_probed filter = {.token = b->asked[CLASSIFY_FILTER_ADDRESS].token};
    assert_false(classify_probed(b->e, &b->server, &filter)); /* that would say nothing of the filter */
    assert_true(classify_probed(b->e, &b->server, &right));
    assert_true(b->e->classify.questions[CLASSIFY_FRESH_FIRST].answered);
    run(b, ASKED_MAX);
    assert_false(classify_probed(b->e, &b->server, &right)); /* it is over */
    bench_close(b);
}

/* ---- once more ---- */

static void test_after_a_move_all_is_asked_anew(void **state)
{
    (void)state;
    static const struct row row = {"moved", BOTH, .main = {MAIN, MAIN}, .fresh = KEPT, .passes = {true, true}};
    struct bench *b = bench_open(&row);
    registered(b, false);
    run(b, ASKED_MAX);
    registered(b, false); /* a refresh */
    run(b, ASKED_MAX);
    assert_int_equal(b->asked_count, ALL);
    const vtime_us moved_at = b->now += VTIME_S(60);
    registered(b, true);
    assert_int_equal(b->e->nat.mapping, EI); /* stays until something else is known */
    run(b, ASKED_MAX);
    assert_int_equal(b->asked_count, 2 * ALL);
    assert_int_equal(b->asked[ALL].at, moved_at + READY_US);
    assert_int_equal(b->e->event_count, 2);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_is_lost_is_asked_again),
        cmocka_unit_test(test_the_mapping_is_there_before_the_filter),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_nothing_is_answered),
        cmocka_unit_test(test_wrong_answers),
        cmocka_unit_test(test_after_a_move_all_is_asked_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
