/* RFC 9002 over one session's packets; section numbers are the RFC's. */
#include "peer/recovery.h"
#include "peer_tools.h"
#include "wire/limits.h"

enum { MS = 1000, BYTES = 1200, FATES_MAX = 4096 };

/* A recovery, its clock, and what it has told of each packet. */
struct rig {
    struct recovery r;
    vtime_us now;
    uint64_t next; /* packet number */
    uint8_t acked[FATES_MAX], lost[FATES_MAX];
    unsigned acked_count, lost_count;
    uint64_t wanted_from; /* what older packets carried is no longer wanted */
};

static void start(struct rig *g)
{
    memset(g, 0, sizeof *g);
    g->now = VTIME_S(100);
    recovery_init(&g->r);
}

static bool note_fate(void *context, const struct sent_packet *p, enum packet_fate fate)
{
    struct rig *g = context;
    assert_true(p->number < FATES_MAX);
    if (fate == PACKET_ACKED) {
        g->acked[p->number]++;
        g->acked_count++;
    } else {
        g->lost[p->number]++;
        g->lost_count++;
    }
    return fate == PACKET_LOST && p->number >= g->wanted_from;
}

static uint64_t send_bytes(struct rig *g, unsigned bytes, bool beside)
{
    struct sent_packet p = {.number = g->next++, .bytes = (uint16_t)bytes};
    recovery_sent(&g->r, g->now, &p, beside);
    return p.number;
}

static void send_many(struct rig *g, unsigned count)
{
    while (count-- > 0)
        send_bytes(g, BYTES, false);
}

static bool ack_range(struct rig *g, uint64_t first, uint64_t last, uint32_t delay_us)
{
    struct frame_ack f = {.delay_us = delay_us, .range_count = 1, .ranges = {{first, last}}};
    return recovery_acked(&g->r, g->now, &f, g->next, note_fate, g);
}

static bool timeout(struct rig *g)
{
    return recovery_timeout(&g->r, g->now, note_fate, g);
}

/* ---- the round trip (s5) ---- */

struct sample {
    unsigned rtt_ms, ack_delay_ms;
    unsigned smoothed_us, rttvar_us, min_ms; /* expected */
};

static const struct sample samples[] = {
    {100, 0, 100000, 50000, 100},    /* the first: R, R/2 (s5.3) */
    {100, 0, 100000, 37500, 100},    /* no change: the variance goes down by a quarter */
    {180, 0, 110000, 48125, 100},    /* 7/8 * 100 + 180/8; (3 * 37.5 + 80) / 4 */
    {60, 0, 103750, 48593, 60},      /* a new minimum */
    {110, 25, 101406, 41132, 60},    /* the delay is taken off: 85; (3 * 48.593 + 18.75) / 4 */
    {70, 25, 97480, 38700, 60},      /* ... but not below the minimum: 70 stays */
    {600, 500, 97795, 29655, 60},    /* a long one as well, whoever waits on purpose says so: 100 */
    {1300, 1200, 123071, 72793, 60}, /* no more than a second of it is believed: 300 */
};

static void test_rtt(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    assert_true(g.r.smoothed_rtt == INITIAL_RTT_US);
    assert_true(g.r.rttvar == INITIAL_RTT_US / 2);
    assert_true(recovery_pto(&g.r) == VTIME_MS(333 + 666 + 25)); /* about 1 s (s6.2.2) */
    for (size_t i = 0; i < COUNT(samples); i++) {
        const struct sample *s = &samples[i];
        uint64_t n = send_bytes(&g, BYTES, false);
        g.now += VTIME_MS(s->rtt_ms);
        assert_true(ack_range(&g, n, n, s->ack_delay_ms * MS));
        assert_in_range(g.r.smoothed_rtt, s->smoothed_us - 5, s->smoothed_us + 5);
        assert_in_range(g.r.rttvar, s->rttvar_us - 5, s->rttvar_us + 5);
        assert_true(g.r.min_rtt == VTIME_MS(s->min_ms));
        vtime_us var = 4 * g.r.rttvar;
        assert_true(recovery_pto(&g.r) == g.r.smoothed_rtt + var + VTIME_MS(25));
    }
}

/* The delay is taken off the first sample too; more than all of it cannot be. */
static void test_first_sample(void **state)
{
    (void)state;
    const unsigned expected_ms[] = {80, 900, 500};
    const uint32_t delays_ms[] = {820, 900, 10000};
    const unsigned acked_ms[] = {900, 900, 1500};
    for (size_t i = 0; i < COUNT(delays_ms); i++) {
        struct rig g;
        start(&g);
        send_many(&g, 1);
        g.now += VTIME_MS(acked_ms[i]);
        ack_range(&g, 0, 0, delays_ms[i] * MS);
        assert_true(g.r.smoothed_rtt == VTIME_MS(expected_ms[i]));
        assert_true(g.r.min_rtt == VTIME_MS(expected_ms[i]));
    }
}

/* After a blackout an old packet is acknowledged: that is no round trip. */
static void test_late_ack_is_no_sample(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    uint64_t n = send_bytes(&g, BYTES, false);
    g.now += VTIME_S(166);
    assert_true(ack_range(&g, n, n, 0));
    assert_int_equal(g.acked_count, 1);
    assert_true(!g.r.has_rtt && g.r.smoothed_rtt == INITIAL_RTT_US);
    n = send_bytes(&g, BYTES, false);
    g.now += VTIME_S(8);
    assert_true(ack_range(&g, n, n, 0));
    assert_true(g.r.smoothed_rtt == VTIME_S(8));
}

/* A sample comes only of the largest acknowledged, newly acknowledged, on the present path. */
static void test_no_sample(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    send_bytes(&g, BYTES, false);
    g.next++; /* number 1 was not ack-eliciting */
    g.now += VTIME_MS(10);
    assert_true(ack_range(&g, 0, 1, 0));
    assert_false(g.r.has_rtt);

    uint64_t n = send_bytes(&g, BYTES, true);
    g.now += VTIME_MS(10);
    assert_true(ack_range(&g, n, n, 0));
    assert_false(g.r.has_rtt); /* went beside the path */

    n = send_bytes(&g, BYTES, false);
    g.now += VTIME_MS(10);
    recovery_path_changed(&g.r, g.now, false);
    assert_true(ack_range(&g, n, n, 0));
    assert_false(g.r.has_rtt); /* went over the path before */

    n = send_bytes(&g, BYTES, false);
    g.now += VTIME_MS(10);
    assert_true(ack_range(&g, n, n, 0));
    assert_true(g.r.has_rtt);
    g.now += VTIME_MS(500);
    assert_true(ack_range(&g, n, n, 0)); /* the same again */
    assert_true(g.r.latest_rtt == VTIME_MS(10));
}

/* ---- loss (s6.1) ---- */

static void test_packet_threshold(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    send_many(&g, 5);
    g.now += VTIME_MS(1);
    ack_range(&g, 2, 2, 0);
    assert_int_equal(g.lost_count, 0); /* two behind: not yet */
    ack_range(&g, 3, 3, 0);
    assert_int_equal(g.lost[0], 1); /* three behind */
    assert_int_equal(g.lost[1], 0);
    ack_range(&g, 4, 4, 0);
    assert_int_equal(g.lost[1], 1);
    assert_int_equal(g.lost_count, 2);
    assert_int_equal(g.r.outstanding, 0);
    assert_true(recovery_deadline(&g.r) == VTIME_NEVER);
}

static void test_time_threshold(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    uint64_t n = send_bytes(&g, BYTES, false); /* one sample of 80 ms */
    g.now += VTIME_MS(80);
    ack_range(&g, n, n, 0);
    uint64_t first = send_bytes(&g, BYTES, false);
    vtime_us sent_at = g.now;
    n = send_bytes(&g, BYTES, false);
    g.now += VTIME_MS(80);
    ack_range(&g, n, n, 0);
    assert_int_equal(g.lost_count, 0);
    assert_true(recovery_deadline(&g.r) == sent_at + VTIME_MS(90)); /* 9/8 */
    g.now = sent_at + VTIME_MS(90) - 1;
    assert_false(timeout(&g));
    assert_int_equal(g.lost_count, 0);
    g.now++;
    assert_false(timeout(&g)); /* a loss, not a probe */
    assert_int_equal(g.lost[first], 1);
    assert_true(recovery_deadline(&g.r) == VTIME_NEVER);
}

static void test_granularity(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    uint64_t n = send_bytes(&g, BYTES, false);
    g.now += 20;
    ack_range(&g, n, n, 0);
    assert_true(recovery_pto(&g.r) == 20 + GRANULARITY_US + ACK_DELAY_MAX_US);
    send_many(&g, 2);
    ack_range(&g, n + 2, n + 2, 0);
    assert_true(recovery_deadline(&g.r) == g.now + GRANULARITY_US);
}

/* What the peer cannot have seen changes nothing at all. */
static void test_never_sent(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    send_many(&g, 3);
    struct recovery before = g.r;
    assert_false(ack_range(&g, 0, 3, 0));
    assert_false(ack_range(&g, 0, UINT64_MAX, 0));
    assert_false(ack_range(&g, UINT64_MAX, UINT64_MAX, 0));
    assert_memory_equal(&before, &g.r, sizeof before);
    assert_true(ack_range(&g, 0, 2, 0));
    assert_int_equal(g.acked_count, 3);
}

/* ---- the probe timeout (s6.2) ---- */

static void test_pto(void **state)
{
    (void)state;
    const unsigned waits_ms[] = {1024, 2048, 3000, 3000, 3000, 3000}; /* doubles, and ends at 3 s */
    struct rig g;
    start(&g);
    assert_true(recovery_deadline(&g.r) == VTIME_NEVER);
    send_many(&g, 3);
    for (size_t i = 0; i < COUNT(waits_ms); i++) {
        vtime_us due = g.now + VTIME_MS(waits_ms[i]);
        assert_true(recovery_deadline(&g.r) == due);
        g.now = due - 1;
        assert_false(timeout(&g));
        g.now = due;
        assert_true(timeout(&g));
        assert_int_equal(g.lost[0] + g.lost[1], 2); /* the two oldest are to be repeated, */
        assert_int_equal(g.lost[2], i > 0);         /* then the next: what is repeated hangs on a newer packet */
        assert_int_equal(g.r.outstanding, 3);       /* nothing is lost by that (s6.2) */
        assert_int_equal(g.r.window, INITIAL_WINDOW_BYTES);
    }
    recovery_heard(&g.r); /* after a silence the next try comes sooner */
    assert_int_equal(g.r.pto_count, 2);
    assert_true(recovery_deadline(&g.r) == g.now + VTIME_S(3));
    g.now += VTIME_MS(50);
    ack_range(&g, 0, 2, 0);
    assert_int_equal(g.r.pto_count, 0);
    uint64_t n = send_bytes(&g, BYTES, false);
    g.now += VTIME_S(8);
    ack_range(&g, n, n, 0);
    send_many(&g, 1);
    assert_true(recovery_pto(&g.r) > VTIME_S(20)); /* so long has the round trip been */
    assert_true(recovery_deadline(&g.r) == g.now + VTIME_S(8));
}

/* What a probe has repeated is not repeated again when it is found lost. */
static void test_repeated_once(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    send_many(&g, 1);
    g.now = recovery_deadline(&g.r);
    assert_true(timeout(&g));
    assert_int_equal(g.lost[0], 1);
    send_many(&g, 4);
    g.now += VTIME_MS(20);
    ack_range(&g, 1, 4, 0);
    assert_int_equal(g.r.outstanding, 0); /* 0 is lost by the threshold */
    assert_int_equal(g.lost[0], 1);
}

/* ---- congestion (s7) ---- */

static void test_slow_start_and_reduction(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    assert_int_equal(g.r.window, 12000);
    send_many(&g, 9);
    assert_true(recovery_window_open(&g.r)); /* for one more of the largest */
    send_many(&g, 1);
    assert_false(recovery_window_open(&g.r));
    g.now += VTIME_MS(50);
    ack_range(&g, 0, 0, 0);
    assert_int_equal(g.r.window, 12000 + BYTES); /* s7.3.1: by what was acknowledged */
    assert_true(recovery_window_open(&g.r));

    ack_range(&g, 4, 4, 0); /* 1 is lost */
    assert_int_equal(g.lost[1], 1);
    assert_int_equal(g.r.window, (12000 + 2 * BYTES) / 2);
    assert_int_equal(g.r.ssthresh, g.r.window);
    unsigned after = g.r.window;
    ack_range(&g, 9, 9, 0); /* more of the same flight: no second reduction, no growth (s7.3.2) */
    assert_int_equal(g.lost_count, 5);
    assert_int_equal(g.r.window, after);

    g.now += VTIME_MS(1);
    uint64_t first = g.next;
    send_many(&g, 5);
    g.now += VTIME_MS(50);
    ack_range(&g, first, first, 0); /* avoidance: about a packet for a window (s7.3.3) */
    assert_int_equal(g.r.window, after + (unsigned)((uint64_t)DATAGRAM_BYTES_MAX * BYTES / after));
}

static void test_application_limited(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    for (int i = 0; i < 100; i++) {
        uint64_t n = send_bytes(&g, BYTES, false);
        g.now += VTIME_MS(50);
        ack_range(&g, n, n, 0);
    }
    assert_int_equal(g.r.window, INITIAL_WINDOW_BYTES); /* s7.8 */
}

static void test_minimum_window(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    for (int i = 0; i < 10; i++) {
        uint64_t n = g.next;
        send_many(&g, 4);
        g.now += VTIME_MS(10);
        ack_range(&g, n + 3, n + 3, 0);
        g.now += VTIME_S(1);
        timeout(&g);
    }
    assert_int_equal(g.r.window, MINIMUM_WINDOW_BYTES);
    assert_true(recovery_window_open(&g.r));
}

static void test_persistent_congestion(void **state)
{
    (void)state;
    for (int long_enough = 0; long_enough < 2; long_enough++) {
        struct rig g;
        start(&g);
        uint64_t n = send_bytes(&g, BYTES, false);
        g.now += VTIME_MS(100);
        ack_range(&g, n, n, 0);
        vtime_us span = 3 * recovery_pto(&g.r);
        send_bytes(&g, BYTES, false);
        g.now += long_enough ? span + 1000000 : span / 4;
        send_many(&g, 2);
        g.now += VTIME_MS(1);
        n = g.next;
        send_many(&g, 3);
        g.now += VTIME_MS(100);
        ack_range(&g, n, n + 2, 0);
        assert_int_equal(g.lost_count, 3);
        if (long_enough)
            assert_int_equal(g.r.window, MINIMUM_WINDOW_BYTES); /* s7.6 */
        else
            assert_in_range(g.r.window, INITIAL_WINDOW_BYTES / 2, INITIAL_WINDOW_BYTES / 2 + 3 * BYTES);
    }
}

/* ---- pacing (s7.7) ---- */

static unsigned burst(struct rig *g)
{
    unsigned count = 0;
    while (count < 1000 && g->now >= recovery_pace_at(&g->r)) {
        uint64_t n = send_bytes(g, BYTES, false);
        count++;
        struct frame_ack f = {.range_count = 1, .ranges = {{n, n}}}; /* keeps the window open */
        recovery_acked(&g->r, g->now - 0, &f, g->next, note_fate, g);
        g->r.smoothed_rtt = VTIME_MS(100);
        g->r.window = 12000;
    }
    return count;
}

static void test_pacing(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    g.r.smoothed_rtt = VTIME_MS(100);
    unsigned first = burst(&g);
    assert_in_range(first, PACING_BURST_PACKETS, PACING_BURST_PACKETS + 1);
    assert_true(recovery_pace_at(&g.r) > g.now);
    assert_false(recovery_may_send(&g.r, g.now));
    unsigned sent = 0;
    vtime_us until = g.now + VTIME_S(1); /* ten round trips of ten packets, a quarter faster: 125 */
    while (recovery_pace_at(&g.r) <= until) {
        g.now = recovery_pace_at(&g.r);
        assert_true(recovery_may_send(&g.r, g.now));
        assert_false(recovery_may_send(&g.r, g.now - 1));
        sent += burst(&g);
    }
    assert_in_range(sent, 122, 126);
    g.now += VTIME_S(100); /* an hour of silence buys no more than a burst */
    assert_in_range(burst(&g), PACING_BURST_PACKETS, PACING_BURST_PACKETS + 1);
}

/* ---- paths ---- */

static void test_path_changed(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    uint64_t n = send_bytes(&g, BYTES, false);
    g.now += VTIME_MS(40);
    ack_range(&g, n, n, 0);
    send_many(&g, 4);
    assert_int_equal(g.r.in_flight, 4 * BYTES);

    struct recovery kept = g.r; /* another port of the same address: all stays */
    recovery_path_changed(&kept, g.now, true);
    assert_true(kept.smoothed_rtt == VTIME_MS(40));
    assert_int_equal(kept.in_flight, 4 * BYTES);
    assert_true(kept.loss_time == VTIME_NEVER);

    recovery_path_changed(&g.r, g.now, false);
    assert_false(g.r.has_rtt);
    assert_true(g.r.smoothed_rtt == INITIAL_RTT_US);
    assert_int_equal(g.r.window, INITIAL_WINDOW_BYTES);
    assert_int_equal(g.r.in_flight, 0);
    assert_int_equal(g.r.outstanding, 4);

    uint64_t newest = send_bytes(&g, BYTES, false);
    g.now += VTIME_MS(30);
    ack_range(&g, newest, newest, 0);
    assert_int_equal(g.lost_count, 0); /* not by the packet threshold: they went another way */
    assert_int_equal(g.r.outstanding, 4);
    g.now = recovery_deadline(&g.r);
    timeout(&g);
    assert_int_equal(g.lost_count, 4);                  /* but by time */
    assert_int_equal(g.r.window, INITIAL_WINDOW_BYTES); /* which says nothing of this path */
    assert_int_equal(g.r.in_flight, 0);
}

static void test_path_changed_acked_late(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    send_many(&g, 4);
    recovery_path_changed(&g.r, g.now, false);
    g.now += VTIME_MS(10);
    assert_false(timeout(&g));
    assert_int_equal(g.lost_count, 0); /* the time threshold is not over */
    assert_true(recovery_deadline(&g.r) > g.now);
    ack_range(&g, 0, 3, 0);
    assert_int_equal(g.acked_count, 4);
    assert_int_equal(g.r.in_flight, 0);
    assert_int_equal(g.r.window, INITIAL_WINDOW_BYTES);
    assert_true(recovery_deadline(&g.r) == VTIME_NEVER);
}

/* ---- the ring ---- */

/* A blackout while very many small packets are under way: probes still find a place. */
static void test_ring_full(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    for (int i = 0; i < SENT_PACKETS_MAX; i++)
        send_bytes(&g, 1, false);
    assert_false(recovery_has_slot(&g.r));
    assert_false(recovery_may_send(&g.r, g.now));
    for (int i = 0; i < 20; i++) {
        g.now = recovery_deadline(&g.r);
        assert_true(timeout(&g));
        assert_true(recovery_has_slot(&g.r));
        while (recovery_has_slot(&g.r))
            send_bytes(&g, 1, false);
    }
    for (int i = 0; i < 10; i++)
        assert_true(g.lost[i] > 0);
    assert_true(ack_range(&g, 0, g.next - 1, 0));
    assert_int_equal(g.r.outstanding, 0);
    assert_int_equal(g.r.in_flight, 0);
    assert_int_equal(g.r.count, 0);
}

static void test_carries(void **state)
{
    (void)state;
    struct rig g;
    start(&g);
    assert_false(recovery_carries(&g.r, 0xff));
    struct sent_packet p = {.number = g.next++, .bytes = 10, .carried = CARRIED_RECEIPT};
    recovery_sent(&g.r, g.now, &p, false);
    assert_true(recovery_carries(&g.r, CARRIED_RECEIPT));
    assert_true(recovery_carries(&g.r, CARRIED_RECEIPT | CARRIED_OFFER));
    assert_false(recovery_carries(&g.r, CARRIED_OFFER | CARRIED_CREDIT | CARRIED_ENVELOPE));
    ack_range(&g, 0, 0, 0);
    assert_false(recovery_carries(&g.r, CARRIED_RECEIPT));
}

/* ---- anything at all ---- */

static void check_sums(const struct rig *g)
{
    uint64_t bytes = 0, last = 0;
    uint32_t outstanding = 0;
    for (uint32_t i = 0; i < g->r.count; i++) {
        const struct sent_packet *p = &g->r.sent[(g->r.first + i) % SENT_PACKETS_MAX];
        assert_true(i == 0 || p->number > last);
        last = p->number;
        if (!p->outstanding)
            continue;
        outstanding++;
        if (p->path == g->r.path)
            bytes += p->bytes;
    }
    assert_int_equal(g->r.in_flight, bytes);
    assert_int_equal(g->r.outstanding, outstanding);
    assert_true(g->r.window >= MINIMUM_WINDOW_BYTES);
    assert_true(g->r.count == 0 || g->r.sent[g->r.first].outstanding || outstanding > 0);
    assert_true(outstanding > 0 || recovery_deadline(&g->r) == VTIME_NEVER);
}

/* Ranges over numbers below next, some of which were never given to recovery_sent. */
static void ack_some(struct rig *g, struct rng *r)
{
    struct frame_ack f = {.delay_us = dice(r, 30000)};
    uint64_t at = g->next - 1 - dice(r, g->next < 20 ? (uint32_t)g->next : 20);
    for (;;) {
        uint64_t size = dice(r, 6);
        f.ranges[f.range_count].last = at;
        f.ranges[f.range_count].first = at > size ? at - size : 0;
        at = f.ranges[f.range_count++].first;
        uint64_t gap = 2 + dice(r, 5);
        if (at < gap || f.range_count == ACK_RANGES_MAX || dice_percent(r, 10))
            break;
        at -= gap;
    }
    assert_true(recovery_acked(&g->r, g->now, &f, g->next, note_fate, g));
}

static void random_step(struct rig *g, struct rng *r)
{
    switch (dice(r, 12)) {
    default:
        if (recovery_has_slot(&g->r) && g->next < FATES_MAX - 1)
            send_bytes(g, dice_between(r, 1, 1200), dice_percent(r, 15));
        break;
    case 5:
        g->next += g->next < FATES_MAX - 1; /* a packet that asks for no Ack */
        break;
    case 6:
    case 7:
        if (g->next > 0)
            ack_some(g, r);
        break;
    case 8:
        g->now += dice(r, 200000);
        break;
    case 9:
        if (recovery_deadline(&g->r) != VTIME_NEVER && recovery_deadline(&g->r) > g->now)
            g->now = recovery_deadline(&g->r);
        break;
    case 10:
        recovery_path_changed(&g->r, g->now, dice_percent(r, 50));
        break;
    case 11:
        recovery_heard(&g->r);
        break;
    }
    if (recovery_deadline(&g->r) <= g->now) {
        timeout(g);
        assert_true(recovery_deadline(&g->r) > g->now); /* else its caller would turn for ever */
    }
}

static void test_random(void **state)
{
    (void)state;
    struct rig *g = malloc(sizeof *g);
    for (uint32_t seed = 0; seed < 150; seed++) {
        struct rng r;
        dice_seed(&r, seed);
        start(g);
        bool hungry = dice_percent(&r, 50); /* half the runs keep the ring crowded */
        for (int step = 0; step < 1500; step++) {
            if (hungry && recovery_has_slot(&g->r) && g->next < FATES_MAX - 1)
                send_bytes(g, 40, false);
            random_step(g, &r);
            check_sums(g);
        }
        if (g->next > 0)
            assert_true(ack_range(g, 0, g->next - 1, 0));
        check_sums(g);
        assert_int_equal(g->r.outstanding, 0);
        assert_int_equal(g->r.count, 0);
        for (unsigned n = 0; n < FATES_MAX; n++)
            assert_true(g->acked[n] <= 1);
    }
    free(g);
}

/* The receipts for the first packets came, their Acks never do: what hangs on the later ones is repeated all the same.
 */
static void test_unwanted_does_not_hold_up_the_rest(void **state)
{
    (void)state;
    struct rig *g = malloc(sizeof *g);
    start(g);
    send_many(g, 6);
    g->wanted_from = 4;
    g->now = recovery_deadline(&g->r);
    assert_true(timeout(g));
    assert_int_equal(g->lost[4] + g->lost[5], 2);
    assert_int_equal(g->r.outstanding, 2);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rtt),
        cmocka_unit_test(test_first_sample),
        cmocka_unit_test(test_late_ack_is_no_sample),
        cmocka_unit_test(test_no_sample),
        cmocka_unit_test(test_packet_threshold),
        cmocka_unit_test(test_time_threshold),
        cmocka_unit_test(test_granularity),
        cmocka_unit_test(test_never_sent),
        cmocka_unit_test(test_pto),
        cmocka_unit_test(test_repeated_once),
        cmocka_unit_test(test_slow_start_and_reduction),
        cmocka_unit_test(test_application_limited),
        cmocka_unit_test(test_minimum_window),
        cmocka_unit_test(test_persistent_congestion),
        cmocka_unit_test(test_pacing),
        cmocka_unit_test(test_path_changed),
        cmocka_unit_test(test_path_changed_acked_late),
        cmocka_unit_test(test_ring_full),
        cmocka_unit_test(test_unwanted_does_not_hold_up_the_rest),
        cmocka_unit_test(test_carries),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
