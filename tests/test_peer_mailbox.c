/* The ring of texts, and the streams that are put together from it. */
#include "peer/mailbox.h"
#include "peer_tools.h"
#include "wire/varint.h"

static uint8_t pattern(uint64_t letter, size_t i)
{
    return (uint8_t)(letter * 131 + i * 7 + (i >> 8));
}

static uint64_t add(struct mailbox *m, uint64_t id, size_t size)
{
    static uint8_t text[TEXT_BYTES_MAX];
    for (size_t i = 0; i < size; i++)
        text[i] = pattern(m->next, i);
    return mailbox_add(m, id, text, size, false);
}

/* Everybody has got it, or gives it up. */
static void finish(struct mailbox *m, uint64_t number, bool delivered)
{
    struct letter *l = mailbox_letter(m, number);
    l->waiting = 0;
    l->open = false;
    l->delivered = delivered;
    mailbox_collect(m);
}

/* ---- the mailbox ---- */

static void test_room(void **state)
{
    (void)state;
    struct mailbox *m = calloc(1, sizeof *m);
    assert_true(mailbox_is_empty(m));
    for (int i = 0; i < MAILBOX_TEXT_BYTES / TEXT_BYTES_MAX; i++) {
        assert_true(mailbox_has_room(m, TEXT_BYTES_MAX));
        mailbox_letter(m, add(m, 0, TEXT_BYTES_MAX))->waiting = 1;
    }
    assert_false(mailbox_has_room(m, 1));
    assert_true(mailbox_has_room(m, 0)); /* an empty one takes no text */
    finish(m, 1, true);
    assert_false(mailbox_has_room(m, 1)); /* the first still stands in front */
    finish(m, 0, true);
    assert_true(mailbox_has_room(m, 2 * TEXT_BYTES_MAX));
    assert_false(mailbox_has_room(m, 2 * TEXT_BYTES_MAX + 1));
    for (uint64_t n = 2; n < 64; n++)
        finish(m, n, true);
    assert_true(mailbox_is_empty(m));
    assert_int_equal(m->text_used, 0);
    assert_int_equal(m->undelivered, 0);

    for (int i = 0; i < MAILBOX_MESSAGES; i++) {
        assert_true(mailbox_has_room(m, 0));
        mailbox_letter(m, add(m, 0, 0))->waiting = 1;
    }
    assert_false(mailbox_has_room(m, 0));
    free(m);
}

static void test_collect(void **state)
{
    (void)state;
    struct mailbox *m = calloc(1, sizeof *m);
    mailbox_letter(m, add(m, 0, 10))->waiting = 2;
    mailbox_letter(m, add(m, 0, 10))->open = true;
    mailbox_letter(m, add(m, 0, 10))->waiting = 1;
    mailbox_collect(m);
    assert_int_equal(m->first, 0);
    finish(m, 0, false);
    assert_int_equal(m->first, 1);
    assert_int_equal(m->undelivered, 1); /* nobody got it */
    finish(m, 2, true);
    assert_int_equal(m->first, 1); /* 1 is still open */
    finish(m, 1, true);
    assert_int_equal(m->first, 3);
    assert_int_equal(m->undelivered, 1);
    free(m);
}

static void test_ids(void **state)
{
    (void)state;
    struct mailbox *m = calloc(1, sizeof *m);
    assert_int_equal(mailbox_letter(m, add(m, 0, 0))->id, 1);
    assert_int_equal(mailbox_letter(m, add(m, 7, 0))->id, 7);
    assert_int_equal(mailbox_letter(m, add(m, 3, 0))->id, 3);
    assert_int_equal(mailbox_letter(m, add(m, 0, 0))->id, 8);
    assert_true(mailbox_id_in_use(m, 3));
    assert_false(mailbox_id_in_use(m, 4));
    mailbox_collect(m);
    assert_false(mailbox_id_in_use(m, 3));
    /* After the largest there is: the lowest that is free, never one beyond 2^53-1. */
    add(m, MESSAGE_ID_MAX, 0);
    mailbox_letter(m, m->next - 1)->waiting = 1;
    for (uint64_t id = 1; id <= 3; id++) {
        uint64_t n = add(m, 0, 0);
        mailbox_letter(m, n)->waiting = 1;
        assert_int_equal(mailbox_letter(m, n)->id, id);
    }
    add(m, 5, 0);
    mailbox_letter(m, m->next - 1)->waiting = 1;
    assert_int_equal(mailbox_letter(m, add(m, 0, 0))->id, 4);
    mailbox_letter(m, m->next - 1)->waiting = 1;
    assert_int_equal(mailbox_letter(m, add(m, 0, 0))->id, 6);
    free(m);
}

/* ---- pieces of a stream ---- */

struct pair {
    struct mailbox m;
    struct outbox o;
};

static struct pair *pair_new(void)
{
    struct pair *p = calloc(1, sizeof *p);
    outbox_init(&p->o);
    return p;
}

static void address(struct pair *p, uint64_t id, size_t size)
{
    uint64_t n = add(&p->m, id, size);
    mailbox_letter(&p->m, n)->waiting = 1;
    outbox_add(&p->o, &p->m, n);
}

/* Across the ring's end and every border between records, in pieces of every small size. */
static void test_read(void **state)
{
    (void)state;
    static uint8_t expected[4096];
    for (size_t piece = 1; piece < 40; piece++) {
        struct pair *p = pair_new();
        p->m.text_next = MAILBOX_TEXT_BYTES - 150; /* as if so much had come and gone */
        size_t size = 0;
        for (unsigned i = 0; i < 12; i++) {
            size_t text = i * i; /* 0 to 121 bytes; the 300th and more ids take two bytes */
            address(p, 300 * (i + 1), text);
            size += varint_put(expected + size, VARINT_BYTES_MAX, 300 * (i + 1));
            size += varint_put(expected + size, VARINT_BYTES_MAX, text);
            for (size_t k = 0; k < text; k++)
                expected[size++] = pattern(i, k);
        }
        assert_int_equal(p->o.end, size);
        uint64_t offset;
        size_t got, at = 0;
        uint8_t bytes[40];
        while (outbox_next(&p->o, piece, &offset, &got)) {
            assert_int_equal(offset, at);
            assert_true(got <= piece);
            assert_true(outbox_read(&p->o, &p->m, offset, got, bytes));
            assert_memory_equal(bytes, expected + at, got);
            outbox_sent(&p->o, offset, got);
            at += got;
        }
        assert_int_equal(at, size);
        assert_false(outbox_has_more(&p->o));
        assert_false(outbox_read(&p->o, &p->m, size - 1, 2, bytes)); /* beyond the end */
        free(p);
    }
}

static void test_credit(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    uint64_t offset;
    size_t size;
    for (int i = 0; i < 5; i++)
        address(p, 0, TEXT_BYTES_MAX);
    outbox_sent(&p->o, 0, CREDIT_BYTES - 10);
    assert_true(outbox_next(&p->o, 1000, &offset, &size));
    assert_int_equal(size, 10);
    outbox_sent(&p->o, offset, size);
    assert_false(outbox_next(&p->o, 1000, &offset, &size));
    assert_false(outbox_has_more(&p->o));
    outbox_lost(&p->o, 5, 6); /* what is within the credit may always be repeated */
    assert_true(outbox_has_more(&p->o));
    assert_true(outbox_next(&p->o, 1000, &offset, &size));
    assert_int_equal(offset, 5);
    assert_int_equal(size, 6);
    outbox_sent(&p->o, offset, size);
    p->o.limit = UINT64_MAX; /* as much as a peer can say */
    assert_true(outbox_next(&p->o, 1000, &offset, &size));
    assert_int_equal(offset, CREDIT_BYTES);
    assert_false(outbox_next(&p->o, 0, &offset, &size));
    free(p);
}

/* ---- lost pieces ---- */

struct lost_row {
    const char *name;
    struct stream_range in[6], out[6];
    unsigned in_count, out_count;
};

static const struct lost_row lost_rows[] = {
    {"one", {{10, 20}}, {{10, 20}}, 1, 1},
    {"sorted", {{30, 40}, {10, 20}}, {{10, 20}, {30, 40}}, 2, 2},
    {"touches above", {{10, 20}, {20, 30}}, {{10, 30}}, 2, 1},
    {"touches below", {{20, 30}, {10, 20}}, {{10, 30}}, 2, 1},
    {"overlaps", {{10, 20}, {15, 30}}, {{10, 30}}, 2, 1},
    {"inside", {{10, 30}, {15, 20}}, {{10, 30}}, 2, 1},
    {"closes a gap", {{10, 20}, {30, 40}, {20, 30}}, {{10, 40}}, 3, 1},
    {"swallows several", {{10, 12}, {14, 16}, {18, 20}, {40, 50}, {11, 30}}, {{10, 30}, {40, 50}}, 5, 2},
    {"between", {{10, 12}, {30, 32}, {20, 22}}, {{10, 12}, {20, 22}, {30, 32}}, 3, 3},
    {"nothing", {{10, 10}}, {{0, 0}}, 1, 0},
};

static void test_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lost_rows); i++) {
        const struct lost_row *row = &lost_rows[i];
        struct pair *p = pair_new();
        address(p, 0, 1000);
        outbox_sent(&p->o, 0, 900);
        for (unsigned k = 0; k < row->in_count; k++)
            outbox_lost(&p->o, row->in[k].from, (size_t)(row->in[k].to - row->in[k].from));
        if (p->o.lost_count != row->out_count || memcmp(p->o.lost, row->out, row->out_count * sizeof row->out[0]) != 0)
            fail_msg("%s", row->name);
        free(p);
    }
}

/* More holes than there is room for: too much is sent again rather than too little, never what was not sent yet. */
static void test_lost_overflow(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 100; seed++) {
        enum { SENT = 3000 };
        static bool lost[SENT];
        struct rng r;
        struct pair *p = pair_new();
        dice_seed(&r, seed);
        memset(lost, 0, sizeof lost);
        address(p, 0, 4000);
        outbox_sent(&p->o, 0, SENT);
        for (int i = 0; i < 600; i++) {
            uint32_t from = dice(&r, SENT), size = dice_between(&r, 1, 4);
            size = from + size > SENT ? SENT - from : size;
            outbox_lost(&p->o, from, size);
            memset(lost + from, true, size);
            assert_true(p->o.lost_count <= OUTBOX_LOST_MAX);
            for (unsigned k = 0; k < p->o.lost_count; k++) {
                assert_true(p->o.lost[k].from < p->o.lost[k].to && p->o.lost[k].to <= SENT);
                assert_true(k == 0 || p->o.lost[k - 1].to < p->o.lost[k].from);
            }
        }
        uint64_t offset;
        size_t size;
        while (p->o.lost_count > 0 && outbox_next(&p->o, 50, &offset, &size)) {
            memset(lost + offset, false, size);
            outbox_sent(&p->o, offset, size);
        }
        assert_int_equal(p->o.sent, SENT);
        for (unsigned n = 0; n < SENT; n++)
            assert_false(lost[n]);
        free(p);
    }
}

/* A receipt takes what belongs to its letters out of the repetitions. */
static void test_pop_trims(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    for (int i = 0; i < 3; i++)
        address(p, 0, 98); /* with the head 100 bytes */
    outbox_sent(&p->o, 0, 300);
    outbox_lost(&p->o, 10, 20);
    outbox_lost(&p->o, 50, 10);
    outbox_lost(&p->o, 90, 30);
    outbox_lost(&p->o, 150, 10);
    outbox_pop(&p->o);
    assert_int_equal(p->o.lost_count, 2);
    assert_int_equal(p->o.lost[0].from, 100);
    assert_int_equal(p->o.lost[0].to, 120);
    assert_int_equal(p->o.lost[1].from, 150);
    uint8_t bytes[8];
    assert_false(outbox_read(&p->o, &p->m, 99, 2, bytes)); /* its text may be gone */
    outbox_lost(&p->o, 0, 100);                            /* a late loss of what is receipted */
    assert_int_equal(p->o.lost_count, 2);
    outbox_lost(&p->o, 80, 22);
    assert_int_equal(p->o.lost[0].from, 100);
    outbox_pop(&p->o);
    outbox_pop(&p->o);
    assert_int_equal(p->o.lost_count, 0);
    assert_int_equal(p->o.first, 3);
    outbox_lost(&p->o, 0, 300);
    assert_false(outbox_has_more(&p->o));
    free(p);
}

static void test_what_lost_says(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    for (int i = 0; i < 5; i++)
        address(p, 0, 98);
    outbox_sent(&p->o, 0, 500);
    outbox_pop(&p->o);
    assert_false(outbox_lost(&p->o, 0, 100)); /* receipted */
    assert_true(outbox_lost(&p->o, 50, 51));  /* all but a byte of it */
    assert_true(outbox_lost(&p->o, 101, 10)); /* touches what is lost */
    assert_true(outbox_lost(&p->o, 100, 5));  /* known already: it has to be sent all the same */
    assert_int_equal(p->o.lost_count, 1);
    outbox_sent(&p->o, 100, 11);
    for (uint64_t n = 0; n < OUTBOX_LOST_MAX; n++)
        assert_true(outbox_lost(&p->o, 101 + 2 * n, 1));
    assert_int_equal(p->o.lost_count, OUTBOX_LOST_MAX);
    assert_true(outbox_lost(&p->o, 450, 1)); /* no room to tell it apart */
    free(p);
}

static void test_starved(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    assert_false(outbox_is_starved(&p->o));
    for (int i = 0; i < 5; i++)
        address(p, 0, TEXT_BYTES_MAX);
    assert_false(outbox_is_starved(&p->o)); /* there is credit still */
    outbox_sent(&p->o, 0, CREDIT_BYTES - 1);
    assert_false(outbox_is_starved(&p->o));
    outbox_sent(&p->o, CREDIT_BYTES - 1, 1);
    assert_true(outbox_is_starved(&p->o));
    p->o.limit = p->o.end;
    assert_false(outbox_is_starved(&p->o));
    outbox_sent(&p->o, CREDIT_BYTES, (size_t)(p->o.end - CREDIT_BYTES));
    assert_false(outbox_is_starved(&p->o)); /* all said: it needs no more */
    free(p);
}

static void test_was_sent(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    assert_true(outbox_was_sent(&p->o, 0));
    assert_false(outbox_was_sent(&p->o, 1));
    assert_false(outbox_was_sent(&p->o, UINT64_MAX));
    for (int i = 0; i < 3; i++)
        address(p, 0, 98);
    outbox_sent(&p->o, 0, 199);
    assert_true(outbox_was_sent(&p->o, 1));
    assert_false(outbox_was_sent(&p->o, 2)); /* a byte is missing */
    outbox_sent(&p->o, 199, 1);
    assert_true(outbox_was_sent(&p->o, 2));
    assert_false(outbox_was_sent(&p->o, 3));
    outbox_pop(&p->o);
    assert_true(outbox_was_sent(&p->o, 0)); /* an old one */
    assert_true(outbox_was_sent(&p->o, 2));
    assert_false(outbox_was_sent(&p->o, 4));
    free(p);
}

/* ---- anything at all: two readers of one mailbox, loss, receipts, credit ---- */

enum { STREAM_MAX = 1 << 21, FLIGHT_MAX = 300, READERS = 2 };

struct reader {
    struct outbox o;
    uint8_t stream[STREAM_MAX]; /* as it should be */
    uint64_t end;
    uint64_t ends[4096]; /* of its letters */
    uint64_t letters[4096];
    unsigned count;
    uint8_t got[STREAM_MAX];
    bool have[STREAM_MAX];
    uint64_t whole; /* contiguous from the start */
    unsigned receipted;
    struct {
        uint64_t offset;
        size_t size;
        uint8_t bytes[1200];
    } flight[FLIGHT_MAX];
    unsigned flight_count;
};

struct world {
    struct mailbox m;
    struct reader readers[READERS];
    struct rng dice;
    unsigned loss_percent;
    uint64_t last_id;
};

static void world_write(struct world *w)
{
    size_t size = dice_percent(&w->dice, 80) ? dice(&w->dice, 60) : dice(&w->dice, TEXT_BYTES_MAX + 1);
    if (!mailbox_has_room(&w->m, size) || w->m.next >= 4000)
        return;
    w->last_id += 1 + (dice_percent(&w->dice, 5) ? dice(&w->dice, 1000000) : 0);
    uint64_t n = add(&w->m, w->last_id, size);
    for (unsigned i = 0; i < READERS; i++) {
        struct reader *r = &w->readers[i];
        if (dice_percent(&w->dice, 25) || r->end + size + 20 > STREAM_MAX)
            continue;
        mailbox_letter(&w->m, n)->waiting |= 1U << i;
        outbox_add(&r->o, &w->m, n);
        r->end += varint_put(r->stream + r->end, VARINT_BYTES_MAX, w->last_id);
        r->end += varint_put(r->stream + r->end, VARINT_BYTES_MAX, size);
        for (size_t k = 0; k < size; k++)
            r->stream[r->end++] = pattern(n, k);
        r->letters[r->count] = n;
        r->ends[r->count++] = r->end;
        assert_int_equal(r->o.end, r->end);
    }
    mailbox_collect(&w->m); /* it may be for nobody */
}

static void reader_send(struct world *w, struct reader *r)
{
    uint64_t offset;
    size_t size, cap = dice_between(&w->dice, 1, 1200);
    if (r->flight_count == FLIGHT_MAX || !outbox_next(&r->o, cap, &offset, &size))
        return;
    unsigned k = r->flight_count++;
    assert_true(size >= 1 && size <= cap && offset + size <= r->end && offset + size <= r->o.limit);
    assert_true(outbox_read(&r->o, &w->m, offset, size, r->flight[k].bytes));
    assert_memory_equal(r->flight[k].bytes, r->stream + offset, size);
    r->flight[k].offset = offset;
    r->flight[k].size = size;
    outbox_sent(&r->o, offset, size);
}

/* One packet of those under way, any of them, arrives or is found lost, or both (a needless repetition). */
static void reader_fate(struct world *w, struct reader *r)
{
    if (r->flight_count == 0)
        return;
    unsigned k = dice(&w->dice, r->flight_count);
    bool lost = dice_percent(&w->dice, w->loss_percent);
    if (!lost || dice_percent(&w->dice, 10)) {
        memcpy(r->got + r->flight[k].offset, r->flight[k].bytes, r->flight[k].size);
        memset(r->have + r->flight[k].offset, true, r->flight[k].size);
    }
    if (lost)
        outbox_lost(&r->o, r->flight[k].offset, r->flight[k].size);
    r->flight[k] = r->flight[--r->flight_count];
    while (r->whole < STREAM_MAX && r->have[r->whole])
        r->whole++;
}

static void reader_receipt(struct world *w, struct reader *r, unsigned index)
{
    unsigned count = r->receipted;
    while (count < r->count && r->ends[count] <= r->whole)
        count++;
    assert_true(outbox_was_sent(&r->o, count));
    if (r->ends[count] > r->o.sent && count < r->count)
        assert_false(outbox_was_sent(&r->o, count + 1));
    assert_false(outbox_was_sent(&r->o, r->count + 1));
    for (; r->receipted < count; r->receipted++) {
        struct letter *l = mailbox_letter(&w->m, r->letters[r->receipted]);
        l->waiting &= ~(1U << index);
        l->delivered = true;
        outbox_pop(&r->o);
        mailbox_collect(&w->m);
    }
    uint64_t limit = (count > 0 ? r->ends[count - 1] : 0) + CREDIT_BYTES;
    if (limit > r->o.limit)
        r->o.limit = limit;
}

static void world_run(struct world *w, uint32_t seed)
{
    memset(w, 0, sizeof *w);
    dice_seed(&w->dice, seed);
    w->loss_percent = dice(&w->dice, 70);
    w->m.text_next = MAILBOX_TEXT_BYTES - dice(&w->dice, 3000);
    for (unsigned i = 0; i < READERS; i++)
        outbox_init(&w->readers[i].o);
    for (int step = 0; step < 6000; step++) {
        unsigned i = dice(&w->dice, READERS);
        if (dice_percent(&w->dice, 6))
            world_write(w);
        reader_send(w, &w->readers[i]);
        if (dice_percent(&w->dice, 90))
            reader_fate(w, &w->readers[i]);
        if (dice_percent(&w->dice, 3))
            reader_receipt(w, &w->readers[i], i);
    }
    w->loss_percent = 0; /* calm */
    for (unsigned i = 0; i < READERS; i++) {
        struct reader *r = &w->readers[i];
        while (r->receipted < r->count) {
            reader_send(w, r);
            reader_fate(w, r);
            reader_receipt(w, r, i);
        }
        assert_int_equal(r->whole, r->end);
        assert_memory_equal(r->got, r->stream, r->end);
    }
    assert_true(mailbox_is_empty(&w->m));
    assert_int_equal(w->m.text_used, 0);
}

static void test_random(void **state)
{
    (void)state;
    struct world *w = malloc(sizeof *w);
    for (uint32_t seed = 0; seed < 60; seed++)
        world_run(w, seed);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),           cmocka_unit_test(test_collect),   cmocka_unit_test(test_ids),
        cmocka_unit_test(test_read),           cmocka_unit_test(test_credit),    cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_overflow),  cmocka_unit_test(test_pop_trims), cmocka_unit_test(test_was_sent),
        cmocka_unit_test(test_what_lost_says), cmocka_unit_test(test_starved),   cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
