/* The codec against bytes that were frames once: cut off anywhere, with any bit flipped, and mutated as a fuzzer
 * would, from a fixed seed. Nothing crashes it or is read beyond the end, and what is accepted comes back from its
 * own encoding as the same frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "codec_tools.h"
#include "wire/limits.h"

static struct codec codec;

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_u64(void) /* xorshift64* */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1d;
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_u64() % bound);
}

/* Decodes from an exact buffer; what is accepted has to come back from its own encoding unchanged. */
static enum decode_result try_bytes(bool inside, const uint8_t *at, size_t size)
{
    struct frame f, again;
    uint8_t *exact = malloc(size + (size == 0)), out[VECTOR_BYTES_MAX];
    enum decode_result result;

    memcpy(exact, at, size);
    memset(&f, 0xee, sizeof f);
    result = decode_either(&codec, inside, exact, size, &f);
    if (result == DECODE_OK && f.kind != FRAME_NONE) {
        size_t encoded = encode_either(inside, &f, out, sizeof out);
        if (encoded == 0 || decode_either(&codec, inside, out, encoded, &again) != DECODE_OK ||
            !frames_equal(&f, &again)) {
            for (size_t i = 0; i < size; i++)
                fprintf(stderr, "%02x", at[i]);
            fprintf(stderr, "\n");
            fail_msg("what was accepted (kind %d) does not come back from its own encoding", f.kind);
        }
    }
    free(exact);
    return result;
}

static void test_truncations(void **state)
{
    static struct vector vectors[VECTORS_MAX];
    size_t count = vectors_load(vectors);

    (void)state;
    assert_in_range(count, 18, VECTORS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t size = 0; size < vectors[i].size; size++) {
            if (try_bytes(vectors[i].inside, vectors[i].at, size) == DECODE_OK)
                fail_msg("%s is accepted when cut off at %zu", vectors[i].name, size);
        }
    }
}

static void test_bit_flips(void **state)
{
    static struct vector vectors[VECTORS_MAX];
    size_t count = vectors_load(vectors), accepted = 0, total = 0;

    (void)state;
    assert_in_range(count, 18, VECTORS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t bit = 0; bit < vectors[i].size * 8; bit++) {
            vectors[i].at[bit / 8] ^= (uint8_t)(1U << bit % 8);
            accepted += try_bytes(vectors[i].inside, vectors[i].at, vectors[i].size) == DECODE_OK;
            total++;
            vectors[i].at[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
    print_message("%zu of %zu flipped bits are within what fields may hold\n", accepted, total);
}

/* One of the ways in which a fuzzer changes bytes; cap is what *size may grow to. */
static void mutate(uint8_t *at, size_t *size, size_t cap, const struct vector *other)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x1a, 0x10, 0x08, 0x0d, 0x78};
    size_t where = random_below(*size), length = 1 + random_below(16), from;

    switch (random_below(8)) {
    case 0:
        at[where] ^= (uint8_t)(1U << random_below(8));
        return;
    case 1:
        at[where] = (uint8_t)random_u64();
        return;
    case 2:
        at[where] = telling[random_below(sizeof telling)];
        return;
    case 3:
        at[where] = (uint8_t)(at[where] + 1 - 2 * random_below(2));
        return;
    case 4: /* take out */
        length = length < *size - where ? length : *size - where - 1;
        memmove(at + where, at + where + length, *size - where - length);
        *size -= length;
        return;
    case 5: /* repeat */
        length = length < *size - where ? length : *size - where;
        if (*size + length > cap)
            return;
        memmove(at + where + length, at + where, *size - where);
        *size += length;
        return;
    case 6: /* from another vector */
        from = random_below(other->size);
        length = length < other->size - from ? length : other->size - from;
        length = length < *size - where ? length : *size - where;
        memcpy(at + where, other->at + from, length);
        return;
    default:
        *size = where + 1;
    }
}

static void test_mutations(void **state)
{
    static struct vector vectors[VECTORS_MAX];
    size_t count = vectors_load(vectors);
    unsigned long results[DECODE_RESULTS] = {0};

    (void)state;
    assert_in_range(count, 18, VECTORS_MAX);
    for (unsigned run = 0; run < 250000; run++) {
        const struct vector *v = &vectors[random_below(count)];
        uint8_t bytes[DATAGRAM_BYTES_MAX + 8];
        size_t size = v->size < sizeof bytes ? v->size : sizeof bytes;

        memcpy(bytes, v->at, size);
        for (size_t n = 1 + random_below(4); n > 0; n--)
            mutate(bytes, &size, sizeof bytes, &vectors[random_below(count)]);
        results[try_bytes(v->inside, bytes, size)]++;
    }
    for (enum decode_result r = 0; r < DECODE_RESULTS; r++) {
        print_message("%s %lu  ", decode_result_name(r), results[r]);
        if (r != DECODE_MEMORY)
            assert_true(results[r] > 100); /* else the mutations are none */
    }
    print_message("\narena: at most %zu bytes\n", codec.arena_peak);
    assert_int_equal(results[DECODE_MEMORY], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
