/* The other's stream: pieces in any order in, whole messages in order out. */
#include "peer/inbox.h"
#include "peer_tools.h"
#include "wire/varint.h"

struct row { /* bytes of a stream of one record, and what becomes of them */
    const char *name;
    uint8_t bytes[24];
    size_t size;
    enum inbox_next peek, take; /* take: only if peek finds a message */
    uint64_t id;
};

#define MESSAGE INBOX_MESSAGE
#define NOTHING INBOX_NOTHING
#define BROKEN  INBOX_BROKEN

static const struct row rows[] = {
    {"empty stream", {0}, 0, NOTHING, NOTHING, 0},
    {"a word", {1, 2, 'h', 'i'}, 4, MESSAGE, MESSAGE, 1},
    {"an empty message", {5, 0}, 2, MESSAGE, MESSAGE, 5},
    {"a text that is not all there", {1, 3, 'h', 'i'}, 4, NOTHING, NOTHING, 0},
    {"an id that is not all there", {0x80}, 1, NOTHING, NOTHING, 0},
    {"a length that is not all there", {1, 0x80}, 2, NOTHING, NOTHING, 0},
    {"id 0", {0, 2, 'h', 'i'}, 4, BROKEN, NOTHING, 0},
    {"id 2^53-1", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 'x'}, 10, MESSAGE, MESSAGE, MESSAGE_ID_MAX},
    {"id 2^53", {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 'x'}, 10, BROKEN, NOTHING, 0},
    {"id 2^64-1", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 'x'}, 12, BROKEN, NOTHING, 0},
    {"an id without an end", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, BROKEN, NOTHING, 0},
    {"an id that is not minimal", {0x81, 0x00, 1, 'x', 0, 0, 0, 0}, 8, BROKEN, NOTHING, 0},
    {"length 16,385", {1, 0x81, 0x80, 0x01}, 4, BROKEN, NOTHING, 0},
    {"length 16,384, not there", {1, 0x80, 0x80, 0x01}, 4, NOTHING, NOTHING, 0},
    {"a huge length", {1, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6, BROKEN, NOTHING, 0},
    {"a length that is not minimal", {1, 0x81, 0x80, 0x00}, 4, BROKEN, NOTHING, 0},
    {"a byte that is never UTF-8", {1, 2, 'h', 0xff}, 4, MESSAGE, BROKEN, 0},
    {"a NUL", {1, 3, 'h', 0, 'i'}, 5, MESSAGE, BROKEN, 0},
    {"a surrogate", {1, 3, 0xed, 0xa0, 0x80}, 5, MESSAGE, BROKEN, 0},
    {"cut off inside a character", {1, 2, 0xe2, 0x82, 0xac}, 5, MESSAGE, BROKEN, 0},
    {"a character of three", {1, 3, 0xe2, 0x82, 0xac}, 5, MESSAGE, MESSAGE, 1},
};

static struct inbox *inbox_new(void)
{
    struct inbox *b = calloc(1, sizeof *b);
    assert_non_null(b);
    return b;
}

static void test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct inbox *b = inbox_new();
        struct inbox_message m;
        uint8_t text[TEXT_BYTES_MAX];
        assert_int_equal(inbox_put(b, 0, row->bytes, row->size), INBOX_STORED);
        enum inbox_next got = inbox_peek(b, &m);
        if (got != row->peek)
            fail_msg("%s: peek says %d", row->name, got);
        if (got == INBOX_MESSAGE && (got = inbox_take(b, &m, text)) != row->take)
            fail_msg("%s: take says %d", row->name, got);
        if (got == INBOX_MESSAGE) {
            assert_true(m.id == row->id);
            assert_int_equal(m.number, 1);
            assert_int_equal(b->taken, row->size);
            assert_int_equal(inbox_peek(b, &m), INBOX_NOTHING);
        }
        free(b);
    }
}

/* The same records byte by byte: nothing is said before it is certain, and the same in the end. */
static void test_records_slowly(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct inbox *b = inbox_new();
        struct inbox_message m;
        enum inbox_next got = INBOX_NOTHING;
        for (size_t k = 0; k < row->size && got == INBOX_NOTHING; k++) {
            assert_int_equal(inbox_put(b, k, row->bytes + k, 1), INBOX_STORED);
            got = inbox_peek(b, &m);
        }
        if (got != row->peek)
            fail_msg("%s: %d", row->name, got);
        free(b);
    }
}

/* ---- credit ---- */

static size_t record(uint8_t *to, uint64_t id, size_t size)
{
    size_t n = varint_put(to, VARINT_BYTES_MAX, id);
    n += varint_put(to + n, VARINT_BYTES_MAX, size);
    memset(to + n, 'a' + (int)(id % 26), size);
    return n + size;
}

static void test_credit(void **state)
{
    (void)state;
    static uint8_t bytes[2 * CREDIT_BYTES], text[TEXT_BYTES_MAX];
    struct inbox *b = inbox_new();
    struct inbox_message m;
    size_t size = 0;
    for (uint64_t id = 1; size + 10010 < sizeof bytes; id++)
        size += record(bytes + size, id, 10000);
    assert_int_equal(inbox_limit(b), CREDIT_BYTES);
    assert_int_equal(inbox_put(b, CREDIT_BYTES, bytes, 1), INBOX_FULL);
    assert_int_equal(inbox_put(b, CREDIT_BYTES + 1, bytes, 0), INBOX_FULL);
    assert_int_equal(inbox_put(b, UINT64_MAX, bytes, 1), INBOX_FULL);
    assert_int_equal(inbox_put(b, UINT64_MAX - 1, bytes, 1090), INBOX_FULL);
    assert_int_equal(inbox_put(b, CREDIT_BYTES - 5, bytes + CREDIT_BYTES - 5, 6), INBOX_FULL);
    for (size_t at = 0; at < CREDIT_BYTES; at += 1024)
        assert_int_equal(inbox_put(b, at, bytes + at, 1024), INBOX_STORED);
    assert_int_equal(b->piece_count, 1);
    for (uint64_t n = 1; n <= 6; n++) {
        assert_int_equal(inbox_peek(b, &m), INBOX_MESSAGE);
        assert_int_equal(inbox_take(b, &m, text), INBOX_MESSAGE);
        assert_int_equal(m.number, n);
        assert_int_equal(m.size, 10000);
    }
    assert_int_equal(inbox_peek(b, &m), INBOX_NOTHING); /* the seventh is cut off by the credit */
    assert_int_equal(inbox_limit(b), CREDIT_BYTES);     /* taken is not written */
    inbox_written(b, 7);                                /* never taken */
    inbox_written(b, UINT64_MAX);
    assert_int_equal(b->written, 0);
    inbox_written(b, 2);
    assert_int_equal(inbox_limit(b), CREDIT_BYTES + 2 * 10003);
    inbox_written(b, 1); /* goes back: ignored */
    assert_int_equal(b->written, 2);
    inbox_written(b, 6);
    assert_int_equal(inbox_limit(b), CREDIT_BYTES + 6 * 10003);
    size = (size_t)inbox_limit(b);
    for (size_t at = CREDIT_BYTES; at < size; at += 500) {
        size_t piece = size - at < 500 ? size - at : 500;
        assert_int_equal(inbox_put(b, at, bytes + at, piece), INBOX_STORED);
    }
    for (uint64_t n = 7; n <= 12; n++) {
        assert_int_equal(inbox_peek(b, &m), INBOX_MESSAGE);
        assert_int_equal(inbox_take(b, &m, text), INBOX_MESSAGE);
        assert_int_equal(m.id, n);
        for (size_t i = 0; i < m.size; i++)
            assert_int_equal(text[i], 'a' + (int)(n % 26));
    }
    free(b);
}

/* Far more unwritten messages than marks: the credit comes late, but all of it. */
static void test_marks(void **state)
{
    (void)state;
    enum { MESSAGES = 1000 };
    uint8_t bytes[64], text[TEXT_BYTES_MAX];
    struct inbox *b = inbox_new();
    struct inbox_message m;
    uint64_t end = 0;
    for (uint64_t id = 1; id <= MESSAGES; id++) {
        size_t size = record(bytes, id, 10);
        assert_int_equal(inbox_put(b, end, bytes, size), INBOX_STORED);
        end += size;
        assert_int_equal(inbox_peek(b, &m), INBOX_MESSAGE);
        assert_int_equal(inbox_take(b, &m, text), INBOX_MESSAGE);
    }
    assert_int_equal(b->mark_count, INBOX_MARKS_MAX);
    uint64_t limit = inbox_limit(b);
    for (uint64_t n = 1; n <= MESSAGES; n++) {
        inbox_written(b, n);
        assert_true(inbox_limit(b) >= limit);
        assert_true(inbox_limit(b) <= end + CREDIT_BYTES);
        limit = inbox_limit(b);
    }
    assert_int_equal(limit, end + CREDIT_BYTES);
    assert_int_equal(b->mark_count, 0);
    free(b);
}

/* ---- pieces ---- */

/* A piece that begins before what has been taken brings only what is new in it. */
static void test_overlap_with_taken(void **state)
{
    (void)state;
    uint8_t bytes[64], text[TEXT_BYTES_MAX];
    struct inbox_message m;
    size_t one = record(bytes, 1, 10), all = one + record(bytes + one, 2, 20);
    for (size_t from = 0; from <= one; from++) {
        struct inbox *b = inbox_new();
        assert_int_equal(inbox_put(b, 0, bytes, one), INBOX_STORED);
        assert_int_equal(inbox_peek(b, &m), INBOX_MESSAGE);
        assert_int_equal(inbox_take(b, &m, text), INBOX_MESSAGE);
        assert_int_equal(inbox_put(b, from, bytes + from, one - from), INBOX_STORED);
        assert_int_equal(b->piece_count, 0);
        assert_int_equal(inbox_put(b, from, bytes + from, all - 1 - from), INBOX_STORED);
        assert_int_equal(b->piece_count, 1);
        assert_int_equal(b->pieces[0].from, one);
        assert_int_equal(b->pieces[0].to, all - 1);
        assert_int_equal(inbox_peek(b, &m), INBOX_NOTHING);
        assert_int_equal(inbox_put(b, all - 1, bytes + all - 1, 1), INBOX_STORED);
        assert_int_equal(inbox_peek(b, &m), INBOX_MESSAGE);
        assert_int_equal(inbox_take(b, &m, text), INBOX_MESSAGE);
        assert_memory_equal(text, bytes + all - 20, 20);
        free(b);
    }
}

/* 64 gaps and no more; but what comes next in order is always let in, or the stream would stand still. */
static void test_pieces(void **state)
{
    (void)state;
    uint8_t x[200] = {0};
    struct inbox *b = inbox_new();
    for (uint64_t i = 1; i <= INBOX_PIECES_MAX; i++)
        assert_int_equal(inbox_put(b, 100 * i, x, 10), INBOX_STORED);
    assert_int_equal(inbox_put(b, 100 * (INBOX_PIECES_MAX + 1), x, 10), INBOX_FULL);
    assert_int_equal(inbox_put(b, 150, x, 10), INBOX_FULL);
    assert_int_equal(inbox_put(b, 50, x, 10), INBOX_FULL);
    assert_int_equal(inbox_put(b, 110, x, 10), INBOX_STORED); /* touches one */
    assert_int_equal(inbox_put(b, 0, x, 10), INBOX_STORED);
    assert_int_equal(inbox_put(b, 10, x, 10), INBOX_STORED);
    assert_int_equal(inbox_put(b, 50, x, 10), INBOX_FULL);
    assert_int_equal(inbox_put(b, 20, x, 80), INBOX_STORED); /* closes the first gap */
    assert_int_equal(inbox_put(b, 150, x, 10), INBOX_STORED);
    assert_int_equal(inbox_put(b, 0, x, 200), INBOX_STORED);
    assert_int_equal(b->pieces[0].from, 0);
    assert_int_equal(b->pieces[0].to, 210);
    free(b);
}

enum { STREAM = 400000, RECORDS = 4000 };

struct model {
    struct inbox b;
    struct rng dice;
    uint8_t stream[STREAM];
    uint64_t end;
    uint64_t ends[RECORDS];
    unsigned count, taken, written;
    uint32_t piece_max, forward_percent;
    bool have[STREAM];
    unsigned pieces_refused;
};

static void model_fill(struct model *m)
{
    uint64_t id = 0;
    while (m->end + TEXT_BYTES_MAX + 20 < STREAM && m->count < RECORDS) {
        size_t size = dice_percent(&m->dice, 95) ? dice(&m->dice, 200) : dice(&m->dice, TEXT_BYTES_MAX + 1);
        id += dice_between(&m->dice, 1, 100000);
        m->end += varint_put(m->stream + m->end, VARINT_BYTES_MAX, id);
        m->end += varint_put(m->stream + m->end, VARINT_BYTES_MAX, size);
        for (size_t i = 0; i < size; i++)
            m->stream[m->end++] = (uint8_t)('!' + dice(&m->dice, 90));
        m->ends[m->count++] = m->end;
    }
}

static uint64_t model_start(const struct model *m, unsigned k)
{
    return k == 0 ? 0 : m->ends[k - 1];
}

/* How many separate pieces would there be above what is taken, if [from, to) came too; not counting one at the
 * front. */
static unsigned model_gaps(const struct model *m, uint64_t from, uint64_t to)
{
    unsigned count = 0;
    uint64_t low = model_start(m, m->taken), high = inbox_limit(&m->b);
    bool before = true; /* a piece at `low` leaves no gap */
    for (uint64_t n = low; n < high && n < STREAM; n++) {
        bool here = m->have[n] || (n >= from && n < to);
        count += here && !before;
        before = here;
    }
    return count;
}

static void model_put(struct model *m)
{
    uint64_t low = model_start(m, m->written), at = low + dice(&m->dice, CREDIT_BYTES + 2000);
    size_t size = dice_between(&m->dice, 1, m->piece_max);
    if (dice_percent(&m->dice, m->forward_percent)) { /* more often what is missing */
        at = model_start(m, m->taken);
        while (at < m->end && m->have[at])
            at++;
    }
    if (at + size > m->end)
        size = at < m->end ? (size_t)(m->end - at) : 0;
    if (size == 0)
        return;
    bool within = at + size <= low + CREDIT_BYTES || at + size <= inbox_limit(&m->b);
    bool fits = within && model_gaps(m, at, at + size) <= INBOX_PIECES_MAX;
    enum inbox_verdict v = inbox_put(&m->b, at, m->stream + at, size);
    assert_int_equal(v, fits ? INBOX_STORED : INBOX_FULL);
    m->pieces_refused += within && !fits;
    if (fits)
        memset(m->have + at, true, size);
}

static void model_take(struct model *m)
{
    static uint8_t text[TEXT_BYTES_MAX];
    struct inbox_message got;
    uint64_t whole = model_start(m, m->taken);
    while (whole < m->end && m->have[whole])
        whole++;
    bool expected = m->taken < m->count && m->ends[m->taken] <= whole;
    assert_int_equal(inbox_peek(&m->b, &got), expected ? INBOX_MESSAGE : INBOX_NOTHING);
    if (!expected)
        return;
    assert_int_equal(inbox_take(&m->b, &got, text), INBOX_MESSAGE);
    assert_int_equal(got.number, ++m->taken);
    assert_memory_equal(text, m->stream + m->ends[m->taken - 1] - got.size, got.size);
}

static void model_run(struct model *m, uint32_t seed)
{
    memset(m, 0, sizeof *m);
    dice_seed(&m->dice, seed);
    model_fill(m);
    m->piece_max = seed % 2 ? 1090 : 300;
    m->forward_percent = dice_between(&m->dice, 20, 70);
    uint32_t lazy = dice_between(&m->dice, 1, 60);
    for (long step = 0; m->written < m->count; step++) {
        assert_true(step < 1000000);
        model_put(m);
        if (dice_percent(&m->dice, 30))
            model_take(m);
        if (dice_percent(&m->dice, lazy) && m->taken > m->written) {
            m->written += dice_between(&m->dice, 1, m->taken - m->written);
            inbox_written(&m->b, m->written);
        }
        if (m->b.mark_count == 0)
            assert_true(inbox_limit(&m->b) == model_start(m, m->written) + CREDIT_BYTES);
        assert_true(inbox_limit(&m->b) <= model_start(m, m->written) + CREDIT_BYTES);
    }
    assert_int_equal(m->b.taken, m->end);
    assert_int_equal(m->b.piece_count, 0);
}

static void test_model(void **state)
{
    (void)state;
    struct model *m = malloc(sizeof *m);
    unsigned refused = 0;
    for (uint32_t seed = 0; seed < 10; seed++) {
        model_run(m, seed);
        refused += m->pieces_refused;
    }
    assert_true(refused > 100); /* it came to that */
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_records_slowly),
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_overlap_with_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
