/* Bytes from anybody: what the decoder accepts comes back from its own encoding as the same frame, the arena holds, and
 * Google's protobuf, where it is there, reads the same (google.h). Input: a byte, whose lowest bit says whether what
 * follows is a row of inner frames or a datagram. */
#include "fuzz.h"
#include "google.h"
#include "shapes.h"
#include "tests/codec_tools.h"
#include "wire/wire_check.h"

const struct fuzz_shape *fuzz_shape = &shape_codec;

static struct codec codec;

static void check_arena(void)
{
    FUZZ_CHECK(codec.used <= ARENA_BYTES && codec.arena_peak <= ARENA_BYTES);
    FUZZ_CHECK(codec.objects <= ARENA_OBJECTS_MAX + 1);
    FUZZ_CHECK(codec.counts[DECODE_MEMORY] == 0); /* what passes the wire check never takes so much */
}

/* `at`: a whole frame without the length of inner ones. */
static void check_accepted(bool inside, const struct frame *f, const uint8_t *at, size_t size)
{
    struct frame again;
    uint8_t once[DATAGRAM_BYTES_MAX + 2], twice[sizeof once];

    size_t encoded = encode_either(inside, f, once, sizeof once);
    FUZZ_CHECK(encoded > 0);
    FUZZ_CHECK(encode_either(inside, f, twice, encoded - 1) == 0);
    FUZZ_CHECK(decode_either(&codec, inside, once, encoded, &again) == DECODE_OK);
    FUZZ_CHECK(frames_equal(f, &again));
    FUZZ_CHECK(encode_either(inside, &again, twice, sizeof twice) == encoded);
    FUZZ_CHECK(memcmp(once, twice, encoded) == 0);
    check_arena();

    uint64_t length;
    size_t head = inside ? varint_get(once, encoded, &length) : 0;
    FUZZ_CHECK(google_same_values(at, size, once + head, encoded - head));
}

/* What our wire check lets through, Google's parser accepts; what it refuses is refused for its form or for a count. */
static void check_wire(const uint8_t *at, size_t size)
{
    struct wire_summary summary;
    static uint8_t plain[1 << 16];
    if (size > DATAGRAM_BYTES_MAX)
        return;
    bool ours = wire_check(at, size, &summary);
    enum google_verdict theirs = google_parse(at, size);
    FUZZ_CHECK(theirs == GOOGLE_NOT_HERE || !ours || theirs != GOOGLE_REFUSES);
    if (ours || theirs != GOOGLE_ACCEPTS)
        return;
    /* The same values, written as they should be. */
    size_t plain_size = google_rewrite(at, size, plain, sizeof plain);
    FUZZ_CHECK(wire_check(plain, plain_size, &summary));
}

static void run_datagram(const uint8_t *at, size_t size)
{
    struct frame f;
    memset(&f, 0xee, sizeof f);
    enum decode_result result = codec_decode(&codec, at, size, &f);
    check_arena();
    FUZZ_CHECK(decode_result_name(result)[0] != '?');
    if (result == DECODE_OK)
        check_accepted(false, &f, at, size);
    check_wire(at, size);
}

static void run_inner(const uint8_t *at, size_t size)
{
    struct bytes rest = {at, size};
    while (rest.size > 0) {
        struct frame f;
        const struct bytes before = rest;
        uint64_t length;
        memset(&f, 0xee, sizeof f);
        enum decode_result result = codec_decode_inner(&codec, &rest, &f);
        check_arena();
        size_t head = varint_get(before.at, before.size, &length);
        if (head > 0 && length <= before.size - head)
            check_wire(before.at + head, (size_t)length);
        if (result != DECODE_OK && result != DECODE_UNKNOWN)
            break;
        FUZZ_CHECK(head > 0 && rest.at == before.at + head + length && rest.size == before.size - head - length);
        if (result == DECODE_OK && f.kind != FRAME_NONE)
            check_accepted(true, &f, before.at + head, (size_t)length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size == 0)
        return 0;
    if (at[0] % 2 == 1)
        run_inner(at + 1, size - 1);
    else
        run_datagram(at + 1, size - 1);
    return 0;
}
