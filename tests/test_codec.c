/* The codec: every kind of frame there and back, the golden bytes, and every bound that p2p.proto states, from
 * both sides. `test_codec --print` writes the samples as scripts/check-vectors.sh wants them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec_samples.h"
#include "codec_tools.h"
#include "wire/limits.h"

static struct codec codec;

/* ---- there and back ---- */

static void test_round_trip(void **state)
{
    bool seen[FRAME_KINDS] = {false};

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame in, out;
        uint8_t bytes[DATAGRAM_BYTES_MAX + 2];
        size_t size;

        sample_make(i, &in);
        seen[in.kind] = true;
        size = encode_either(samples[i].inside, &in, bytes, sizeof bytes);
        if (size == 0 || decode_either(&codec, samples[i].inside, bytes, size, &out) != DECODE_OK ||
            !frames_equal(&in, &out))
            fail_msg("%s does not come back as it went", samples[i].name);
    }
    for (size_t kind = FRAME_REGISTER; kind < FRAME_KINDS; kind++)
        assert_true(seen[kind]);
}

static void test_fits_its_buffer_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame f;
        uint8_t bytes[DATAGRAM_BYTES_MAX + 3];
        size_t size;

        sample_make(i, &f);
        size = encode_either(samples[i].inside, &f, bytes, sizeof bytes);
        for (size_t cap = 0; cap < size; cap++) {
            memset(bytes, 0xa5, sizeof bytes);
            assert_int_equal(encode_either(samples[i].inside, &f, bytes, cap), 0);
            for (size_t at = cap; at < sizeof bytes; at++)
                assert_int_equal(bytes[at], 0xa5);
        }
        assert_int_equal(encode_either(samples[i].inside, &f, bytes, size), size);
        assert_int_equal(bytes[size], 0xa5);
    }
}

static void test_spans_point_into_the_datagram(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame f;
        uint8_t bytes[DATAGRAM_BYTES_MAX + 2];
        size_t size;
        struct bytes *span;

        sample_make(i, &f);
        size = encode_either(samples[i].inside, &f, bytes, sizeof bytes);
        assert_int_equal(decode_either(&codec, samples[i].inside, bytes, size, &f), DECODE_OK);
        span = frame_span(&f);
        if (span != NULL)
            assert_true(span->at > bytes && span->at + span->size == bytes + size);
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *name;
        size_t size_max;
    } table[] = {
        {"registered-most", REGISTERED_BYTES_MAX},
        {"peer-info", PEER_INFO_BYTES_MAX},
        {"signal-up", SIGNAL_BYTES_MAX},
        {"relay-up", DATAGRAM_BYTES_MAX},
        {"sealed-most", RELAY_DATAGRAM_BYTES_MAX},
        {"register-most", DATAGRAM_BYTES_MAX - 131}, /* what put_padding needs */
    };
    uint8_t bytes[DATAGRAM_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame f;
        size_t size;

        sample_make(i, &f);
        size = encode_either(samples[i].inside, &f, bytes, sizeof bytes);
        if (!samples[i].inside)
            assert_memory_equal(bytes, "\x0dP2P1", 5);
        if (f.kind == FRAME_REGISTER && f.reg.pad)
            assert_int_equal(size, DATAGRAM_BYTES_MAX);
        for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
            if (strcmp(table[t].name, samples[i].name) == 0)
                assert_in_range(size, 1, table[t].size_max);
        }
    }
    struct frame f = {.kind = FRAME_MESSAGE, .message = {127, {sample_letters(), MESSAGE_DATA_BYTES_MAX}}};
    assert_int_equal(codec_encode_inner(&f, bytes, sizeof bytes), PLAIN_BYTES_MAX);
}

static void test_padding_of_every_register(void **state)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];

    (void)state;
    for (uint8_t shares = 0; shares <= SHARES_MAX; shares++) {
        for (uint8_t links = 0; links <= LINKS_MAX; links++) {
            for (uint8_t cookie = 0; cookie <= COOKIE_BYTES_MAX; cookie++) {
                struct frame f, out;
                memset(&f, 0, sizeof f);
                make_register_most_padded(&f);
                f.reg.cookie_size = cookie;
                memset(f.reg.cookie + cookie, 0, sizeof f.reg.cookie - cookie);
                memset(f.reg.shares, 0, sizeof f.reg.shares);
                memset(f.reg.links, 0, sizeof f.reg.links);
                sample_shares(&f.reg, shares);
                sample_links(&f.reg, links);
                assert_int_equal(codec_encode(&f, bytes, sizeof bytes), DATAGRAM_BYTES_MAX);
                assert_int_equal(codec_decode(&codec, bytes, sizeof bytes, &out), DECODE_OK);
                assert_true(frames_equal(&f, &out));
            }
        }
    }
}

/* ---- golden bytes ---- */

static void test_golden(void **state)
{
    static struct vector vectors[VECTORS_MAX];
    size_t count = vectors_load(vectors);

    (void)state;
    assert_int_equal(count, SAMPLES);
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct vector *v = &vectors[i];
        struct frame f, out;
        uint8_t bytes[VECTOR_BYTES_MAX];

        sample_make(i, &f);
        assert_string_equal(v->name, samples[i].name);
        assert_int_equal(v->inside, samples[i].inside);
        if (encode_either(v->inside, &f, bytes, sizeof bytes) != v->size || memcmp(bytes, v->at, v->size) != 0)
            fail_msg("%s is encoded to other bytes than the golden ones", v->name);
        assert_int_equal(decode_either(&codec, v->inside, v->at, v->size, &out), DECODE_OK);
        assert_true(frames_equal(&f, &out));
    }
}

static void print_samples(void)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame f;
        uint8_t bytes[VECTOR_BYTES_MAX];
        size_t size;

        sample_make(i, &f);
        size = encode_either(samples[i].inside, &f, bytes, sizeof bytes);
        printf("%s %s\nhex ", samples[i].inside ? "inside" : "outside", samples[i].name);
        for (size_t at = 0; at < size; at++)
            printf("%02x", bytes[at]);
        printf("\n");
    }
}

/* ---- places ---- */

static void test_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame f, out;
        uint8_t bytes[DATAGRAM_BYTES_MAX + 16];
        size_t size;
        bool inside = !samples[i].inside;
        enum decode_result expected = DECODE_PLACE;

        sample_make(i, &f);
        if (f.kind == FRAME_LEAVE) /* inside without secret and proof, outside with one */
            expected = DECODE_VALUE;
        if (f.kind == FRAME_REGISTER)
            f.reg.pad = false;
        size = encode_either(inside, &f, bytes, sizeof bytes);
        if (size > DATAGRAM_BYTES_MAX)
            continue;
        if (decode_either(&codec, inside, bytes, size, &out) != expected)
            fail_msg("%s was taken %s Sealed", samples[i].name, inside ? "inside" : "outside");
    }
}

static void test_front(void **state)
{
    struct frame f;
    uint8_t bytes[DATAGRAM_BYTES_MAX + 1] = {0};
    size_t size;

    (void)state;
    make_register_room(memset(&f, 0, sizeof f));
    size = codec_encode(&f, bytes, sizeof bytes);
    assert_int_equal(codec_decode(&codec, bytes, 0, &f), DECODE_SIZE);
    assert_int_equal(codec_decode(&codec, bytes, sizeof bytes, &f), DECODE_SIZE);
    for (size_t cut = 1; cut < 5; cut++)
        assert_int_equal(codec_decode(&codec, bytes, cut, &f), DECODE_PROTOCOL);
    assert_int_equal(codec_decode(&codec, bytes, 5, &f), DECODE_UNKNOWN);
    assert_int_equal(codec_decode(&codec, bytes, size, &f), DECODE_OK);
    for (size_t at = 0; at < 5; at++) {
        bytes[at] ^= 1;
        assert_int_equal(codec_decode(&codec, bytes, size, &f), DECODE_PROTOCOL);
        bytes[at] ^= 1;
    }
    /* A body in front of the protocol word is legal protobuf, and refused all the same. */
    memmove(bytes + size, bytes, 5);
    assert_int_equal(codec_decode(&codec, bytes + 5, size, &f), DECODE_PROTOCOL);
}

static void test_protocol_inside(void **state)
{
    struct raw sub = {0}, frame = {0}, row = {0};
    struct frame f;

    (void)state;
    raw_fixed(&frame, 1, 4, PROTOCOL_WORD);
    raw_sub(&frame, FRAME_PUNCH, &sub);
    raw_bytes(&row, 0, frame.at, frame.size); /* a tag of 0, and length and frame after it */
    assert_int_equal(decode_either(&codec, true, row.at + 1, row.size - 1, &f), DECODE_PROTOCOL);
    row.at[3] = row.at[4] = row.at[5] = row.at[6] = 0; /* written out, but what "absent" means */
    assert_int_equal(decode_either(&codec, true, row.at + 1, row.size - 1, &f), DECODE_OK);
}

static void test_row_of_frames(void **state)
{
    struct frame f;
    uint8_t row[256];
    size_t size = 0;
    struct raw unknown = {0}, sub = {0};
    struct bytes rest;

    (void)state;
    row[size++] = 0; /* padding */
    make_receipt_most(memset(&f, 0, sizeof f));
    size += codec_encode_inner(&f, row + size, sizeof row - size);
    raw_inner(&unknown, 32, &sub); /* a body of a later version */
    memcpy(row + size, unknown.at, unknown.size);
    size += unknown.size;
    make_ack_gaps(memset(&f, 0, sizeof f));
    size += codec_encode_inner(&f, row + size, sizeof row - size);
    row[size++] = 0;
    row[size++] = 5; /* cut off */

    rest = (struct bytes){row, size};
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_OK);
    assert_int_equal(f.kind, FRAME_NONE);
    assert_ptr_equal(rest.at, row + 1);
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_OK);
    assert_int_equal(f.kind, FRAME_RECEIPT);
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_UNKNOWN);
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_OK);
    assert_int_equal(f.kind, FRAME_ACK);
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_OK);
    assert_int_equal(f.kind, FRAME_NONE);
    assert_int_equal(rest.size, 1);
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_WIRE);
    assert_ptr_equal(rest.at, row + size - 1);
    rest.size = 0;
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_SIZE);
}

static void test_longest_row(void **state)
{
    static const uint8_t zeros[DATAGRAM_BYTES_MAX + 1];
    struct bytes rest = {zeros, DATAGRAM_BYTES_MAX + 1};
    struct frame f;

    (void)state;
    assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_SIZE);
    rest.size--;
    while (rest.size > 0)
        assert_int_equal(codec_decode_inner(&codec, &rest, &f), DECODE_OK);
    assert_ptr_equal(rest.at, zeros + DATAGRAM_BYTES_MAX);
}

static void test_counts(void **state)
{
    static struct codec c;
    struct frame f;

    (void)state;
    memset(&c, 0, sizeof c);
    codec_decode(&c, (const uint8_t *)"", 0, &f);
    codec_decode(&c, (const uint8_t *)"hello", 5, &f);
    codec_decode(&c, (const uint8_t *)"\x0dP2P1\x0b", 6, &f);
    codec_decode(&c, (const uint8_t *)"\x0dP2P1\x12\x00", 7, &f);
    codec_decode(&c, (const uint8_t *)"\x0dP2P1\xfa\x01\x00", 8, &f);
    codec_decode(&c, (const uint8_t *)"\x0dP2P1\x42\x00", 7, &f);
    codec_decode_inner(&c, &(struct bytes){(const uint8_t *)"\x02\x42\x00", 3}, &f);
    for (enum decode_result r = 0; r < DECODE_RESULTS; r++)
        assert_int_equal(c.counts[r], r == DECODE_MEMORY ? 0 : 1);
    assert_string_equal(decode_result_name(DECODE_OK), "ok");
    assert_string_equal(decode_result_name(DECODE_RESULTS), "?");
    for (enum decode_result r = 0; r < DECODE_RESULTS; r++) {
        for (enum decode_result q = 0; q < r; q++)
            assert_string_not_equal(decode_result_name(r), decode_result_name(q));
    }
}

/* ---- acknowledgements ---- */

static enum decode_result ack_decode(uint64_t largest, const uint64_t *numbers, size_t count, struct frame *ret)
{
    struct raw packed = {0}, ack = {0}, row = {0};

    for (size_t i = 0; i < count; i++)
        raw_varint(&packed, numbers[i]);
    raw_uint(&ack, 1, largest);
    raw_bytes(&ack, 3, packed.at, packed.size);
    raw_inner(&row, FRAME_ACK, &ack);
    return decode_either(&codec, true, row.at, row.size, ret);
}

static void test_ack_ranges(void **state)
{
    static const struct {
        uint64_t largest;
        size_t count;
        uint64_t numbers[5];
        enum decode_result expected;
        struct ack_range last; /* the lowest */
    } table[] = {
        {0, 1, {0}, DECODE_OK, {0, 0}},
        {9, 1, {9}, DECODE_OK, {0, 9}},
        {9, 1, {10}, DECODE_VALUE, {0, 0}},
        {0, 1, {UINT64_MAX}, DECODE_VALUE, {0, 0}},
        {UINT64_MAX, 1, {UINT64_MAX}, DECODE_OK, {0, UINT64_MAX}},
        {9, 0, {0}, DECODE_VALUE, {0, 0}},
        {9, 2, {0, 0}, DECODE_VALUE, {0, 0}},
        {9, 4, {0, 0, 0, 0}, DECODE_VALUE, {0, 0}},
        /* 9..9, 8 missing, 7..7 */
        {9, 3, {0, 0, 0}, DECODE_OK, {7, 7}},
        {9, 3, {0, 0, 7}, DECODE_OK, {0, 7}},
        {9, 3, {0, 0, 8}, DECODE_VALUE, {0, 0}},
        {9, 3, {0, 7, 0}, DECODE_OK, {0, 0}},
        {9, 3, {0, 8, 0}, DECODE_VALUE, {0, 0}},
        {9, 3, {0, UINT64_MAX, 0}, DECODE_VALUE, {0, 0}},
        {9, 3, {0, UINT64_MAX - 1, 0}, DECODE_VALUE, {0, 0}},
        /* down to 1 or 0: nothing fits below */
        {9, 3, {8, 0, 0}, DECODE_VALUE, {0, 0}},
        {9, 3, {9, 0, 0}, DECODE_VALUE, {0, 0}},
        {9, 3, {7, 0, 0}, DECODE_OK, {0, 0}},
        {UINT64_MAX, 5, {0, 0, 0, UINT64_MAX - 4, 0}, DECODE_OK, {0, 0}},
        {UINT64_MAX, 5, {0, 0, 0, UINT64_MAX - 3, 0}, DECODE_VALUE, {0, 0}},
    };
    struct frame f;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum decode_result result = ack_decode(table[i].largest, table[i].numbers, table[i].count, &f);
        if (result != table[i].expected)
            fail_msg("row %zu: %s", i, decode_result_name(result));
        if (result != DECODE_OK)
            continue;
        assert_int_equal(f.ack.range_count, (table[i].count + 1) / 2);
        assert_int_equal(f.ack.ranges[0].last, table[i].largest);
        assert_int_equal(f.ack.ranges[f.ack.range_count - 1].first, table[i].last.first);
        assert_int_equal(f.ack.ranges[f.ack.range_count - 1].last, table[i].last.last);
    }
}

static void test_ack_count(void **state)
{
    uint64_t zeros[65] = {0};
    struct frame f;

    (void)state;
    assert_int_equal(ack_decode(1000, zeros, 63, &f), DECODE_OK);
    assert_int_equal(f.ack.range_count, ACK_RANGES_MAX);
    assert_int_equal(f.ack.ranges[31].last, 1000 - 62);
    assert_int_equal(ack_decode(1000, zeros, 64, &f), DECODE_WIRE);
    assert_int_equal(ack_decode(1000, zeros, 65, &f), DECODE_WIRE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_fits_its_buffer_or_not),
        cmocka_unit_test(test_spans_point_into_the_datagram),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_padding_of_every_register),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_front),
        cmocka_unit_test(test_protocol_inside),
        cmocka_unit_test(test_row_of_frames),
        cmocka_unit_test(test_longest_row),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_ack_ranges),
        cmocka_unit_test(test_ack_count),
    };

    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        print_samples();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
