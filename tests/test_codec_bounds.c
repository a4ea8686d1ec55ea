/* The codec: every bound that p2p.proto states, from both sides; and the schema itself, as protoc-c read it,
 * against the table of the wire check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec_samples.h"
#include "codec_tools.h"
#include "p2p.pb-c.h"
#include "wire/limits.h"
#include "wire/wire_check.h"

static struct codec codec;

/* ---- one field of a sample changed ---- */

enum change { GONE, UINT, FIXED, BYTES, V4_MAPPED, TEXT };

struct row {
    const char *sample;
    uint32_t path[4]; /* from the body down, 0 ends it */
    enum change change;
    uint64_t value; /* of the number, or how many bytes */
    enum decode_result expected;
    const char *text;
};

static const struct sample *sample_find(const char *name)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        if (strcmp(samples[i].name, name) == 0)
            return &samples[i];
    }
    fail_msg("no sample %s", name);
    return NULL;
}

static void field_of(const struct row *r, struct raw *ret)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 203, 0, 113, 7};
    uint32_t number = r->path[0];

    for (size_t i = 1; r->path[i] != 0; i++)
        number = r->path[i];
    ret->size = 0;
    switch (r->change) {
    case GONE:
        break;
    case UINT:
        raw_uint(ret, number, r->value);
        break;
    case FIXED:
        raw_fixed(ret, number, 8, r->value);
        break;
    case BYTES:
        raw_letters(ret, number, r->value);
        break;
    case V4_MAPPED:
        raw_bytes(ret, number, mapped, sizeof mapped);
        break;
    case TEXT:
        raw_bytes(ret, number, r->text, r->value);
        break;
    }
}

static enum decode_result decode_changed(const struct row *r, struct frame *ret)
{
    static struct raw field, bare, changed;
    static uint8_t bytes[VECTOR_BYTES_MAX]; /* what *ret's span points to */
    const struct sample *s = sample_find(r->sample);
    uint32_t path[5];
    struct frame f;
    size_t size, head = 0;

    memset(&f, 0, sizeof f);
    s->make(&f);
    path[0] = f.kind;
    memcpy(path + 1, r->path, sizeof r->path);
    field_of(r, &field);
    size = encode_either(s->inside, &f, bytes, sizeof bytes);
    if (s->inside)
        head = varint_get(bytes, size, &(uint64_t){0});
    bare.size = changed.size = 0;
    raw_replace(&bare, bytes + head, size - head, path, &field);
    if (s->inside)
        raw_varint(&changed, bare.size);
    raw_put(&changed, bare.at, bare.size);
    assert_in_range(changed.size, 1, sizeof bytes);
    memcpy(bytes, changed.at, changed.size);
    return decode_either(&codec, s->inside, bytes, changed.size, ret);
}

static const struct row rows[] = {
    /* Register */
    {"register-room", {1}, FIXED, 0, DECODE_VALUE, NULL},
    {"register-room", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"register-room", {2}, BYTES, 0, DECODE_OK, NULL},
    {"register-room", {2}, BYTES, 15, DECODE_VALUE, NULL},
    {"register-room", {2}, BYTES, 16, DECODE_OK, NULL},
    {"register-room", {2}, BYTES, 17, DECODE_VALUE, NULL},
    {"register-room", {3}, BYTES, 0, DECODE_OK, NULL},
    {"register-room", {3}, BYTES, 1, DECODE_OK, NULL},
    {"register-room", {3}, BYTES, 32, DECODE_OK, NULL},
    {"register-room", {3}, BYTES, 33, DECODE_VALUE, NULL},
    {"register-room", {3}, BYTES, 256, DECODE_VALUE, NULL},
    {"register-room", {4}, GONE, 0, DECODE_VALUE, NULL},
    {"register-room", {4}, UINT, 0, DECODE_VALUE, NULL},
    {"register-room", {4}, UINT, 4, DECODE_VALUE, NULL},
    {"register-room", {4}, UINT, FORM_OPEN, DECODE_VALUE, NULL},
    {"register-room", {4}, UINT, FORM_NEW, DECODE_VALUE, NULL},
    {"register-room", {4}, UINT, 256 + FORM_ROOM, DECODE_VALUE, NULL},
    {"register-room", {5}, GONE, 0, DECODE_VALUE, NULL},
    {"register-room", {5}, UINT, 0, DECODE_VALUE, NULL},
    {"register-room", {5}, UINT, 999999, DECODE_OK, NULL},
    {"register-room", {5}, UINT, 1000000, DECODE_VALUE, NULL},
    {"register-room", {6}, UINT, 0, DECODE_OK, NULL},
    {"register-room", {6}, UINT, 1, DECODE_VALUE, NULL},
    {"register-room", {7}, UINT, 0, DECODE_OK, NULL},
    {"register-room", {7}, UINT, 1, DECODE_VALUE, NULL},
    {"register-room", {10}, BYTES, 1, DECODE_OK, NULL},
    {"register-open", {5}, UINT, 1, DECODE_VALUE, NULL},
    {"register-open", {6}, UINT, 8, DECODE_OK, NULL},
    {"register-open", {6}, UINT, 9, DECODE_VALUE, NULL},
    {"register-open", {6}, UINT, 32, DECODE_VALUE, NULL},
    {"register-open", {6}, UINT, 256, DECODE_VALUE, NULL},
    {"register-open", {7}, UINT, 1, DECODE_VALUE, NULL}, /* of no bits */
    {"register-most", {4}, UINT, FORM_NEW, DECODE_VALUE, NULL},
    {"register-most", {8, 1}, BYTES, 31, DECODE_VALUE, NULL},
    {"register-most", {8, 1}, BYTES, 33, DECODE_VALUE, NULL},
    {"register-most", {8, 1}, GONE, 0, DECODE_VALUE, NULL},
    {"register-most", {8, 2}, BYTES, 31, DECODE_VALUE, NULL},
    {"register-most", {8, 2}, GONE, 0, DECODE_VALUE, NULL},
    {"register-most", {9, 1}, BYTES, 15, DECODE_VALUE, NULL},
    {"register-most", {9, 1}, BYTES, 17, DECODE_VALUE, NULL},
    {"register-most", {9, 1}, GONE, 0, DECODE_VALUE, NULL},
    {"register-most", {9, 2}, UINT, 1, DECODE_OK, NULL},
    {"register-most", {9, 2}, UINT, 2, DECODE_VALUE, NULL},
    {"register-most", {9, 2}, UINT, 256, DECODE_VALUE, NULL},
    {"register-most", {9, 3}, UINT, 0, DECODE_OK, NULL},
    {"register-most", {9, 3}, UINT, 2, DECODE_VALUE, NULL},
    {"register-most", {2}, GONE, 0, DECODE_VALUE, NULL}, /* shares and links, and no secret */
    /* Registered */
    {"registered-least", {1}, GONE, 0, DECODE_OK, NULL},
    {"registered-least", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-least", {3}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-least", {3}, BYTES, 15, DECODE_VALUE, NULL},
    {"registered-least", {3}, BYTES, 17, DECODE_VALUE, NULL},
    {"registered-least", {4}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-least", {4}, BYTES, 0, DECODE_VALUE, NULL},
    {"registered-least", {4}, BYTES, 33, DECODE_VALUE, NULL},
    {"registered-least", {5}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-least", {5, 1}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-least", {5, 1}, BYTES, 3, DECODE_VALUE, NULL},
    {"registered-least", {5, 1}, BYTES, 15, DECODE_VALUE, NULL},
    {"registered-least", {5, 1}, BYTES, 16, DECODE_OK, NULL},
    {"registered-least", {5, 1}, V4_MAPPED, 0, DECODE_OK, NULL},
    {"registered-least", {5, 1}, BYTES, 17, DECODE_VALUE, NULL},
    {"registered-least", {5, 2}, UINT, 65535, DECODE_OK, NULL},
    {"registered-least", {5, 2}, UINT, 65536, DECODE_VALUE, NULL},
    {"registered-most", {6}, GONE, 0, DECODE_OK, NULL},
    {"registered-most", {6}, BYTES, 0, DECODE_VALUE, NULL}, /* there, but without a port */
    {"registered-most", {6, 1}, GONE, 0, DECODE_OK, NULL},
    {"registered-most", {6, 1}, BYTES, 1, DECODE_VALUE, NULL},
    {"registered-most", {6, 1}, BYTES, 5, DECODE_VALUE, NULL},
    {"registered-most", {6, 1}, V4_MAPPED, 0, DECODE_VALUE, NULL},
    {"registered-most", {6, 2}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-most", {6, 2}, UINT, 0, DECODE_VALUE, NULL},
    {"registered-most", {6, 2}, UINT, 1, DECODE_OK, NULL},
    {"registered-most", {6, 2}, UINT, 65536, DECODE_VALUE, NULL},
    {"registered-port", {6, 2}, UINT, 0, DECODE_VALUE, NULL},
    {"registered-port", {6, 2}, UINT, 1, DECODE_OK, NULL},
    {"registered-port", {6, 2}, UINT, 65535, DECODE_OK, NULL},
    {"registered-port", {6, 2}, UINT, 65536, DECODE_VALUE, NULL},
    {"registered-most", {7}, UINT, 1000000, DECODE_VALUE, NULL},
    {"registered-least", {8}, GONE, 0, DECODE_VALUE, NULL},
    {"registered-least", {8}, UINT, 0, DECODE_VALUE, NULL},
    {"registered-least", {8}, UINT, 3600, DECODE_OK, NULL},
    {"registered-least", {8}, UINT, 3601, DECODE_VALUE, NULL},
    {"registered-least", {9}, UINT, UINT32_MAX, DECODE_OK, NULL},
    /* Retry, Refused */
    {"retry-least", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"retry-least", {2}, BYTES, 0, DECODE_VALUE, NULL},
    {"retry-least", {2}, BYTES, 33, DECODE_VALUE, NULL},
    {"refused-token", {4}, UINT, 3600, DECODE_OK, NULL},
    {"refused-token", {4}, UINT, 3601, DECODE_VALUE, NULL},
    /* Probe, Probed */
    {"probe-same", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"probe-same", {2}, UINT, 2, DECODE_OK, NULL},
    {"probe-same", {2}, UINT, 3, DECODE_VALUE, NULL},
    {"probe-same", {3}, GONE, 0, DECODE_OK, NULL}, /* the server looks at the size */
    {"probed-least", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"probed-least", {2, 1}, BYTES, 5, DECODE_VALUE, NULL},
    {"probed-least", {2, 2}, UINT, 65536, DECODE_VALUE, NULL},
    /* PeerInfo */
    {"peer-info", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"peer-info", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"peer-info", {2}, BYTES, 31, DECODE_VALUE, NULL},
    {"peer-info", {2}, BYTES, 33, DECODE_VALUE, NULL},
    {"peer-info", {3}, GONE, 0, DECODE_VALUE, NULL},
    {"peer-info", {3}, BYTES, 0, DECODE_VALUE, NULL},
    {"peer-info", {3, 1}, BYTES, 31, DECODE_VALUE, NULL},
    {"peer-info", {3, 2}, BYTES, 33, DECODE_VALUE, NULL},
    /* Signal, Relay, Link, Linked, Leave */
    {"signal-up", {1}, BYTES, 15, DECODE_VALUE, NULL},
    {"signal-up", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"signal-up", {2}, FIXED, 1, DECODE_VALUE, NULL},
    {"signal-up", {2}, FIXED, 0, DECODE_OK, NULL},
    {"signal-up", {3}, FIXED, 0, DECODE_VALUE, NULL},
    {"signal-up", {4}, BYTES, 31, DECODE_VALUE, NULL},
    {"signal-up", {4}, BYTES, 33, DECODE_VALUE, NULL},
    {"signal-up", {5}, BYTES, 725, DECODE_VALUE, NULL},
    {"signal-up", {5}, BYTES, 0, DECODE_VALUE, NULL},
    {"signal-up", {5}, GONE, 0, DECODE_VALUE, NULL},
    {"signal-down", {1}, BYTES, 16, DECODE_VALUE, NULL},
    {"signal-down", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"relay-down", {1}, BYTES, 16, DECODE_VALUE, NULL},
    {"relay-down", {2}, FIXED, 0, DECODE_VALUE, NULL},
    {"relay-down", {3}, GONE, 0, DECODE_VALUE, NULL},
    {"relay-down", {4}, BYTES, 1160, DECODE_OK, NULL},
    {"relay-down", {4}, BYTES, 1161, DECODE_VALUE, NULL},
    {"relay-down", {4}, BYTES, 0, DECODE_VALUE, NULL},
    {"relay-down", {4}, GONE, 0, DECODE_VALUE, NULL},
    {"relay-up", {1}, BYTES, 15, DECODE_VALUE, NULL},
    {"link-least", {1}, BYTES, 15, DECODE_VALUE, NULL},
    {"link-least", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"link-least", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"link-least", {2, 1}, BYTES, 17, DECODE_VALUE, NULL},
    {"link-least", {2, 2}, UINT, 2, DECODE_VALUE, NULL},
    {"link-least", {2, 3}, UINT, 2, DECODE_VALUE, NULL},
    {"linked-least", {2}, BYTES, 15, DECODE_VALUE, NULL},
    {"linked-least", {3}, GONE, 0, DECODE_VALUE, NULL},
    {"linked-most", {4, 1}, BYTES, 5, DECODE_VALUE, NULL},
    {"linked-most", {4, 1}, GONE, 0, DECODE_VALUE, NULL},
    {"linked-most", {4, 2}, UINT, 65536, DECODE_VALUE, NULL},
    {"leave-up", {1}, BYTES, 15, DECODE_VALUE, NULL},
    {"leave-up", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"leave-up", {2}, FIXED, 1, DECODE_VALUE, NULL},
    {"leave-down", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"leave-inside", {1}, BYTES, 16, DECODE_VALUE, NULL},
    {"leave-inside", {2}, FIXED, 1, DECODE_VALUE, NULL},
    /* Sealed */
    {"sealed-least", {4}, BYTES, 16, DECODE_VALUE, NULL},
    {"sealed-least", {4}, GONE, 0, DECODE_VALUE, NULL},
    {"sealed-least", {4}, BYTES, 1117, DECODE_VALUE, NULL},
    {"sealed-least", {2}, UINT, UINT32_MAX, DECODE_OK, NULL},
    {"sealed-least", {2}, UINT, 1ULL << 32, DECODE_WIRE, NULL},
    /* Envelope */
    {"offer-most", {8}, UINT, 1, DECODE_OK, NULL},
    {"offer-most", {8}, UINT, 2, DECODE_VALUE, NULL},
    {"envelope-least", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"envelope-least", {1}, BYTES, 31, DECODE_VALUE, NULL},
    {"envelope-least", {1}, BYTES, 33, DECODE_VALUE, NULL},
    {"envelope-least", {2}, BYTES, 0, DECODE_OK, NULL},
    {"envelope-least", {2}, BYTES, 120, DECODE_OK, NULL},
    {"envelope-least", {2}, BYTES, 119, DECODE_WIRE, NULL},
    {"envelope-least", {2}, BYTES, 128, DECODE_WIRE, NULL},
    {"envelope-least", {3}, BYTES, 320, DECODE_OK, NULL},
    {"envelope-least", {3}, BYTES, 319, DECODE_WIRE, NULL},
    {"envelope-least", {3}, BYTES, 328, DECODE_WIRE, NULL},
    /* Offer */
    {"offer-least", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"offer-least", {2}, BYTES, 64, DECODE_OK, NULL},
    {"offer-least", {2}, BYTES, 65, DECODE_VALUE, NULL},
    {"offer-least", {2}, TEXT, 2, DECODE_OK, "\xc3\xa9"},
    {"offer-least", {2}, TEXT, 1, DECODE_VALUE, "\xc3"},
    {"offer-least", {2}, TEXT, 2, DECODE_VALUE, "\xc0\xaf"},
    {"offer-least", {2}, TEXT, 3, DECODE_VALUE, "a\0b"},
    {"offer-least", {2}, TEXT, 3, DECODE_VALUE, "a\nb"},
    {"offer-least", {2}, TEXT, 3, DECODE_VALUE, "a\033b"},
    {"offer-least", {2}, TEXT, 3, DECODE_VALUE, "a\xc2\x85"},
    {"offer-most", {3, 1}, GONE, 0, DECODE_VALUE, NULL},
    {"offer-most", {3, 1}, BYTES, 0, DECODE_VALUE, NULL},
    {"offer-most", {3, 1, 1}, GONE, 0, DECODE_VALUE, NULL},
    {"offer-most", {3, 1, 1}, BYTES, 15, DECODE_VALUE, NULL},
    {"offer-most", {3, 1, 1}, BYTES, 16, DECODE_OK, NULL},
    {"offer-most", {3, 1, 1}, V4_MAPPED, 0, DECODE_VALUE, NULL},
    {"offer-most", {3, 1, 2}, GONE, 0, DECODE_VALUE, NULL},
    {"offer-most", {3, 1, 2}, UINT, 65535, DECODE_OK, NULL},
    {"offer-most", {3, 1, 2}, UINT, 65536, DECODE_VALUE, NULL},
    {"offer-most", {7}, UINT, 10000001, DECODE_VALUE, NULL},
    {"offer-most", {4}, UINT, INT32_MAX, DECODE_OK, NULL},
    {"offer-most", {4}, UINT, 1ULL << 31, DECODE_WIRE, NULL},
    {"offer-most", {5}, UINT, UINT64_MAX, DECODE_WIRE, NULL}, /* how protobuf writes -1 */
    /* Aim */
    {"aim-least", {1}, GONE, 0, DECODE_VALUE, NULL},
    {"aim-least", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"aim-least", {2, 2}, GONE, 0, DECODE_VALUE, NULL},
    {"aim-least", {2, 1}, V4_MAPPED, 0, DECODE_VALUE, NULL},
    {"aim-least", {5}, UINT, 1, DECODE_VALUE, NULL},
    {"aim-most", {3}, UINT, 65536, DECODE_VALUE, NULL},
    {"aim-most", {4}, UINT, 65, DECODE_VALUE, NULL},
    {"aim-most", {5}, UINT, 2, DECODE_VALUE, NULL},
    {"aim-stop", {5}, GONE, 0, DECODE_VALUE, NULL},
    /* Message, Ack */
    {"message-least", {2}, GONE, 0, DECODE_VALUE, NULL},
    {"message-least", {2}, BYTES, 0, DECODE_VALUE, NULL},
    {"message-least", {2}, BYTES, 1090, DECODE_OK, NULL},
    {"message-least", {2}, BYTES, 1091, DECODE_VALUE, NULL},
    {"message-least", {1}, UINT, UINT64_MAX - 1, DECODE_OK, NULL},
    {"message-least", {1}, UINT, UINT64_MAX, DECODE_VALUE, NULL},
    {"ack-least", {2}, UINT, 10000000, DECODE_OK, NULL},
    {"ack-least", {2}, UINT, 10000001, DECODE_VALUE, NULL},
    {"ack-least", {3}, GONE, 0, DECODE_VALUE, NULL},
};

static void test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame f;
        enum decode_result result = decode_changed(&rows[i], &f);
        if (result != rows[i].expected)
            fail_msg("row %zu, %s, field %u.%u.%u: %s", i, rows[i].sample, rows[i].path[0], rows[i].path[1],
                     rows[i].path[2], decode_result_name(result));
    }
}

/* Every prefix of so many bits, and one beyond. */
static void test_prefixes(void **state)
{
    (void)state;
    for (uint8_t bits = 0; bits <= PREFIX_BITS_MAX; bits++) {
        struct frame f, out;
        uint8_t bytes[DATAGRAM_BYTES_MAX];

        make_register_open(memset(&f, 0, sizeof f));
        f.reg.prefix_bits = bits;
        f.reg.prefix = (uint8_t)((1U << bits) - 1);
        size_t size = codec_encode(&f, bytes, sizeof bytes);
        assert_int_equal(codec_decode(&codec, bytes, size, &out), DECODE_OK);
        assert_int_equal(out.reg.prefix, f.reg.prefix);
        if (bits == PREFIX_BITS_MAX)
            break;
        f.reg.prefix++;
        size = codec_encode(&f, bytes, sizeof bytes);
        assert_int_equal(codec_decode(&codec, bytes, size, &out), DECODE_VALUE);
    }
}

/* Without a secret, links and shares exclude each other. */
static void test_links_or_shares(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        struct frame f, out;
        uint8_t bytes[DATAGRAM_BYTES_MAX];

        make_register_room(memset(&f, 0, sizeof f));
        sample_shares(&f.reg, bits & 1);
        sample_links(&f.reg, bits >> 1 & 1);
        f.reg.has_secret = bits >> 2;
        size_t size = codec_encode(&f, bytes, sizeof bytes);
        assert_int_equal(codec_decode(&codec, bytes, size, &out), bits == 3 ? DECODE_VALUE : DECODE_OK);
    }
}

/* What a later version may say and this one reads as something it knows. */
static void test_unknown_values(void **state)
{
    struct frame f;

    (void)state;
    for (uint64_t value = 0; value < 600; value++) {
        assert_int_equal(decode_changed(&(struct row){"refused-token", {3}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.refused.code, value >= 1 && value <= 4 ? value : REFUSED_BUSY);
        assert_int_equal(decode_changed(&(struct row){"leave-up", {3}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.leave.reason, value == LEAVE_ROOM_FULL ? LEAVE_ROOM_FULL : LEAVE_QUIT);
        assert_int_equal(decode_changed(&(struct row){"offer-most", {3, 2}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.offer.candidates[0].kind, value >= 1 && value <= 3 ? value : CANDIDATE_OBSERVED);
        assert_int_equal(decode_changed(&(struct row){"offer-most", {4}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.offer.mapping, value <= 5 ? value : 0);
        assert_int_equal(decode_changed(&(struct row){"offer-most", {5}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.offer.filtering, value <= 5 ? value : 0);
        assert_int_equal(decode_changed(&(struct row){"offer-most", {6}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.offer.ports, value <= 3 ? value : 0);
        assert_int_equal(decode_changed(&(struct row){"registered-most", {9}, UINT, value, 0, NULL}, &f), DECODE_OK);
        assert_int_equal(f.registered.bits_wanted, value <= 8 ? value : 8);
    }
}

/* ---- the wire check against the schema ---- */

/* A value of `type` for field `number`; bytes and messages are empty. */
static void put_typed(struct raw *r, uint32_t number, unsigned type)
{
    switch (type) {
    case 0:
        raw_uint(r, number, 1);
        return;
    case 1:
        raw_fixed(r, number, 8, 1);
        return;
    case 2:
        raw_letters(r, number, 0);
        return;
    case 5:
        raw_fixed(r, number, 4, 1);
        return;
    default:
        raw_tag(r, number, type);
    }
}

/* Wraps *fields into the messages path[depth - 1] .. path[0] and asks the wire check. */
static bool checks(const struct raw *fields, const uint32_t *path, size_t depth)
{
    struct wire_summary summary;
    struct raw *now = calloc(1, sizeof *now), *outer = calloc(1, sizeof *outer);
    bool result;

    raw_put(now, fields->at, fields->size);
    while (depth-- > 0) {
        outer->size = 0;
        raw_sub(outer, path[depth], now);
        now->size = 0;
        raw_put(now, outer->at, outer->size);
    }
    result = wire_check(now->at, now->size, &summary);
    free(now);
    free(outer);
    return result;
}

static unsigned type_of(const ProtobufCFieldDescriptor *f)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return 2;
    switch (f->type) {
    case PROTOBUF_C_TYPE_FIXED32:
        return 5;
    case PROTOBUF_C_TYPE_FIXED64:
        return 1;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_ENUM:
        return 0;
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return 2;
    default:
        fail_msg("%s has a type that the schema does not use", f->name);
        return 0;
    }
}

static unsigned times_max(const ProtobufCMessageDescriptor *m, const ProtobufCFieldDescriptor *f)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
        return 1;
    if (m == &p2p__v1__offer__descriptor)
        return CANDIDATES_MAX;
    return strcmp(f->name, "shares") == 0 ? SHARES_MAX : LINKS_MAX;
}

static void compare_varint_range(const ProtobufCFieldDescriptor *f, const uint32_t *path, size_t depth)
{
    uint64_t top = f->type == PROTOBUF_C_TYPE_ENUM     ? INT32_MAX
                   : f->type == PROTOBUF_C_TYPE_UINT32 ? UINT32_MAX
                                                       : UINT64_MAX;
    struct raw r = {0};

    raw_uint(&r, f->id, top);
    assert_true(checks(&r, path, depth));
    r.size = 0;
    raw_uint(&r, f->id, top + 1);
    assert_int_equal(checks(&r, path, depth), top == UINT64_MAX); /* there, 0 */
}

static unsigned fields_compared;

static void compare_message(const ProtobufCMessageDescriptor *m, uint32_t *path, size_t depth)
{
    static const unsigned types[] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t last = 0;

    assert_in_range(depth, 0, WIRE_DEPTH_MAX);
    for (unsigned i = 0; i < m->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->fields[i];
        unsigned right = type_of(f), most = times_max(m, f);

        fields_compared++;
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            struct raw r = {0};
            put_typed(&r, f->id, types[t]);
            if (checks(&r, path, depth) != (types[t] == right))
                fail_msg("%s.%s as type %u", m->short_name, f->name, types[t]);
        }
        struct raw r = {0};
        for (unsigned times = 1; times <= most + 1; times++) {
            put_typed(&r, f->id, right);
            if (checks(&r, path, depth) != (times <= most))
                fail_msg("%s.%s, %u times", m->short_name, f->name, times);
        }
        if (right == 0)
            compare_varint_range(f, path, depth);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            path[depth] = f->id;
            compare_message(f->descriptor, path, depth + 1);
        }
        last = f->id > last ? f->id : last;
    }
    for (uint32_t number = last + 1; number < last + 20; number++) { /* of later versions: any type */
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            struct raw r = {0};
            put_typed(&r, number, types[t]);
            assert_int_equal(checks(&r, path, depth), types[t] <= 2 || types[t] == 5);
        }
    }
}

static void test_schema(void **state)
{
    uint32_t path[8] = {0};

    (void)state;
    compare_message(&p2p__v1__frame__descriptor, path, 0);
    assert_int_equal(p2p__v1__frame__descriptor.fields[p2p__v1__frame__descriptor.n_fields - 1].id, FRAME_KINDS - 1);
    assert_in_range(fields_compared, 19 + 60, 200);
    print_message("%u fields compared\n", fields_compared);
}

/* No two bodies, not even the same one twice, and in whatever order. */
static void test_one_body(void **state)
{
    (void)state;
    for (uint32_t a = FRAME_REGISTER; a < FRAME_KINDS; a++) {
        for (uint32_t b = FRAME_REGISTER; b < FRAME_KINDS; b++) {
            struct raw r = {0};
            struct wire_summary summary;
            raw_letters(&r, a, 0);
            assert_true(wire_check(r.at, r.size, &summary));
            assert_int_equal(summary.body, a);
            raw_letters(&r, b, 0);
            assert_false(wire_check(r.at, r.size, &summary));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_prefixes), cmocka_unit_test(test_links_or_shares),
        cmocka_unit_test(test_unknown_values), cmocka_unit_test(test_schema),   cmocka_unit_test(test_one_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
