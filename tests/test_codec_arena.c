/* The second line of defence: the decoder as it would be if the wire check let everything through. The arena alone
 * keeps protobuf-c within its bytes and objects, and the values are checked as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec_tools.h"
#include "wire/wire_check.h"

/* codec.c once more, under other names, with a check that says yes to everything and names the body that it is told. */
static uint32_t said_body;

static bool lenient_check(const uint8_t *at, size_t size, struct wire_summary *ret)
{
    (void)at, (void)size;
    *ret = (struct wire_summary){.protocol = PROTOCOL_WORD, .body = said_body};
    return true;
}

#define wire_check         lenient_check
#define codec_decode       lenient_decode
#define codec_decode_inner lenient_decode_inner
#define decode_result_name lenient_result_name
enum decode_result lenient_decode(struct codec *c, const uint8_t *at, size_t size, struct frame *ret);
enum decode_result lenient_decode_inner(struct codec *c, struct bytes *rest, struct frame *ret);
const char *lenient_result_name(enum decode_result r);
#include "../src/wire/codec.c"
#undef wire_check

static struct {
    struct codec codec;
    uint8_t beyond[64];
} box;

static enum decode_result decode_register(const struct raw *sub)
{
    struct raw r = {0};
    struct frame f;

    raw_datagram(&r, FRAME_REGISTER, sub);
    assert_in_range(r.size, 1, DATAGRAM_BYTES_MAX);
    said_body = FRAME_REGISTER;
    memset(&box, 0, sizeof box);
    memset(box.beyond, 0xa5, sizeof box.beyond);
    enum decode_result result = lenient_decode(&box.codec, r.at, r.size, &f);
    for (size_t i = 0; i < sizeof box.beyond; i++)
        assert_int_equal(box.beyond[i], 0xa5);
    assert_in_range(box.codec.arena_peak, 1, ARENA_BYTES);
    assert_int_equal(box.codec.counts[result], 1);
    return result;
}

/* A share of which protobuf-c makes 1 + `points` objects; few enough fields that it lists them on its stack. */
static void put_share(struct raw *r, unsigned points)
{
    struct raw share = {0};

    assert_in_range(points, 0, 15);
    while (points-- > 0)
        raw_letters(&share, 1, 1);
    raw_sub(r, 8, &share);
}

/* The frame, the Register and the array of its shares are three objects. */
static void test_objects(void **state)
{
    (void)state;
    for (unsigned more = 0; more <= 15; more++) {
        struct raw sub = {0};
        for (unsigned i = 0; i < 15; i++)
            put_share(&sub, 15);
        put_share(&sub, more);
        enum decode_result result = decode_register(&sub);
        assert_int_equal(result, 3 + 15 * 16 + 1 + more <= ARENA_OBJECTS_MAX ? DECODE_VALUE : DECODE_MEMORY);
    }
}

/* Unknown fields until the bytes run out. With the padding to fill what is left there is a way to use up the
 * arena to its last byte. */
static void test_bytes(void **state)
{
    size_t most = 0;

    (void)state;
    for (size_t padding = 16; padding <= 128; padding += 16) {
        bool full = false;
        for (size_t count = 100; count < 300; count++) {
            struct raw sub = {0};
            raw_letters(&sub, 10, padding);
            for (size_t i = 0; i < count; i++)
                raw_uint(&sub, 15, 1);
            enum decode_result result = decode_register(&sub);
            assert_int_equal(result, full ? DECODE_MEMORY : result);
            full = result == DECODE_MEMORY;
            assert_true(full || result == DECODE_VALUE);
            most = !full && box.codec.used > most ? box.codec.used : most;
        }
        assert_true(full);
    }
    assert_int_equal(most, ARENA_BYTES);
}

/* What is refused for want of memory leaves nothing behind. */
static void test_next_one(void **state)
{
    static const uint8_t leave[] = "\x0dP2P1\x7a\x09\x11\x01\0\0\0\0\0\0";
    struct raw sub = {0};
    struct frame f;

    (void)state;
    for (size_t i = 0; i < 16; i++)
        put_share(&sub, 15);
    assert_int_equal(decode_register(&sub), DECODE_MEMORY);
    said_body = FRAME_LEAVE;
    assert_int_equal(lenient_decode(&box.codec, leave, sizeof leave, &f), DECODE_OK);
    assert_int_equal(f.leave.proof, 1);
    assert_in_range(box.codec.objects, 1, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
