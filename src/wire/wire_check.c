#include "wire/wire_check.h"
#include "wire/limits.h"
#include "wire/varint.h"
#include <string.h>

enum { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_BYTES = 2, TYPE_FIXED32 = 5 };

enum kind {
    KIND_NONE, /* no such field: unknown */
    KIND_FIXED32,
    KIND_FIXED64,
    KIND_ENUM,   /* varint, below 2^31 */
    KIND_UINT32, /* varint */
    KIND_UINT64, /* varint */
    KIND_BYTES,
    KIND_SPAN, /* bytes that the caller wants to find again */
    KIND_MESSAGE,
    KIND_PACKED_FIXED64,
    KIND_PACKED_UINT64,
    KINDS
};

static const uint8_t kind_type[KINDS] = {
    [KIND_FIXED32] = TYPE_FIXED32,     [KIND_FIXED64] = TYPE_FIXED64, [KIND_ENUM] = TYPE_VARINT,
    [KIND_UINT32] = TYPE_VARINT,       [KIND_UINT64] = TYPE_VARINT,   [KIND_BYTES] = TYPE_BYTES,
    [KIND_SPAN] = TYPE_BYTES,          [KIND_MESSAGE] = TYPE_BYTES,   [KIND_PACKED_FIXED64] = TYPE_BYTES,
    [KIND_PACKED_UINT64] = TYPE_BYTES,
};

struct field {
    uint8_t kind;
    uint8_t times_max;    /* how often the field may come in its message */
    uint8_t elements_max; /* of a packed field */
    const struct message *message;
};

enum { NUMBERS = 23 }; /* of the largest message, Frame: 1 to 22 */

struct message {
    uint32_t numbers; /* entries in `fields`, which is indexed by field number */
    const struct field *fields;
};

#define MESSAGE(name, ...)                                                                                             \
    static const struct field fields_of_##name[] = {__VA_ARGS__};                                                      \
    static_assert(sizeof fields_of_##name / sizeof(struct field) <= NUMBERS, "enough counters");                       \
    static const struct message name = {sizeof fields_of_##name / sizeof(struct field), fields_of_##name}
#define ONE(number, what)         [number] = {KIND_##what, 1, 0, NULL}
#define PACKED(number, what, max) [number] = {KIND_PACKED_##what, 1, (max), NULL}
#define SUB(number, name)         [number] = {KIND_MESSAGE, 1, 0, &(name)}
#define SUBS(number, name, max)   [number] = {KIND_MESSAGE, (max), 0, &(name)}

/* p2p.proto once more, from the leaves up; tests/test_codec.c compares the two. */
MESSAGE(address, ONE(1, BYTES), ONE(2, UINT32));
MESSAGE(share, ONE(1, BYTES), ONE(2, BYTES));
MESSAGE(relay_token, ONE(1, BYTES), ONE(2, UINT32), ONE(3, UINT32));
MESSAGE(candidate, SUB(1, address), ONE(2, ENUM));
MESSAGE(registration, ONE(1, FIXED64), ONE(2, BYTES), ONE(3, BYTES), ONE(4, ENUM), ONE(5, UINT32), ONE(6, UINT32),
        ONE(7, UINT32), SUBS(8, share, SHARES_MAX), SUBS(9, relay_token, LINKS_MAX), ONE(10, BYTES));
MESSAGE(registered, ONE(1, FIXED64), ONE(2, FIXED64), ONE(3, BYTES), ONE(4, BYTES), SUB(5, address), SUB(6, address),
        ONE(7, UINT32), ONE(8, UINT32), ONE(9, UINT32));
MESSAGE(peer_info, ONE(1, FIXED64), ONE(2, BYTES), SUB(3, share));
MESSAGE(signal, ONE(1, BYTES), ONE(2, FIXED64), ONE(3, FIXED64), ONE(4, BYTES), ONE(5, SPAN));
MESSAGE(relay, ONE(1, BYTES), ONE(2, FIXED64), ONE(3, FIXED32), ONE(4, SPAN));
MESSAGE(sealed, ONE(1, FIXED64), ONE(2, UINT32), ONE(3, FIXED64), ONE(4, SPAN));
MESSAGE(punch, ONE(1, FIXED64), ONE(2, FIXED64));
MESSAGE(text, ONE(1, UINT64), ONE(2, SPAN));
MESSAGE(ack, ONE(1, UINT64), ONE(2, UINT32), PACKED(3, UINT64, 2 * ACK_RANGES_MAX - 1));
MESSAGE(receipt, ONE(1, UINT64));
MESSAGE(credit, ONE(1, UINT64));
MESSAGE(envelope, ONE(1, BYTES), PACKED(2, FIXED64, SAME_TAGS_MAX), PACKED(3, FIXED64, PENDING_TAGS_MAX));
MESSAGE(offer, ONE(1, UINT32), ONE(2, BYTES), SUBS(3, candidate, CANDIDATES_MAX), ONE(4, ENUM), ONE(5, ENUM),
        ONE(6, ENUM), ONE(7, UINT32), ONE(8, UINT32));
MESSAGE(leave, ONE(1, BYTES), ONE(2, FIXED64), ONE(3, ENUM));
MESSAGE(link_up, ONE(1, BYTES), SUB(2, relay_token));
MESSAGE(linked, ONE(1, FIXED64), ONE(2, BYTES), ONE(3, FIXED32), SUB(4, address));
MESSAGE(retry, ONE(1, FIXED64), ONE(2, BYTES));
MESSAGE(refused, ONE(1, FIXED64), ONE(2, FIXED64), ONE(3, ENUM), ONE(4, UINT32));
MESSAGE(probe, ONE(1, FIXED64), ONE(2, ENUM), ONE(3, BYTES));
MESSAGE(probed, ONE(1, FIXED64), SUB(2, address));
MESSAGE(aim, ONE(1, UINT32), SUB(2, address), ONE(3, UINT32), ONE(4, UINT32), ONE(5, UINT32));
enum { FRAME_PROTOCOL = 1, FRAME_BODY_FIRST = 2 };
MESSAGE(frame, ONE(FRAME_PROTOCOL, FIXED32), SUB(2, registration), SUB(3, registered), SUB(4, peer_info),
        SUB(5, signal), SUB(6, relay), SUB(7, sealed), SUB(8, punch), SUB(9, text), SUB(10, ack), SUB(11, receipt),
        SUB(12, credit), SUB(13, envelope), SUB(14, offer), SUB(15, leave), SUB(16, link_up), SUB(17, linked),
        SUB(18, retry), SUB(19, refused), SUB(20, probe), SUB(21, probed), SUB(22, aim));

struct check { /* of the whole frame */
    unsigned fields, unknown;
    struct wire_summary summary;
};

struct entry { /* one field as it lies there */
    uint32_t number, type;
    uint64_t value;    /* of a varint */
    const uint8_t *at; /* what follows tag and length */
    size_t size;
};

/* Returns the bytes taken, tag and length included; 0: malformed. */
static size_t read_entry(const uint8_t *at, size_t size, struct entry *ret)
{
    uint64_t tag, length;
    size_t head = varint_get(at, size, &tag), more;

    if (head == 0 || tag > UINT32_MAX || tag >> 3 == 0)
        return 0;
    ret->number = (uint32_t)(tag >> 3);
    ret->type = (uint32_t)(tag & 7);
    switch (ret->type) {
    case TYPE_VARINT:
        ret->size = varint_get(at + head, size - head, &ret->value);
        if (ret->size == 0)
            return 0;
        break;
    case TYPE_FIXED64:
        ret->size = 8;
        break;
    case TYPE_FIXED32:
        ret->size = 4;
        break;
    case TYPE_BYTES:
        more = varint_get(at + head, size - head, &length);
        if (more == 0 || length > size)
            return 0;
        head += more;
        ret->size = (size_t)length;
        break;
    default: /* groups, and what is no wire type at all */
        return 0;
    }
    if (ret->size > size - head)
        return 0;
    ret->at = at + head;
    return head + ret->size;
}

static bool packed_fits(const struct field *f, const struct entry *e)
{
    unsigned elements = 0;
    uint64_t value;

    if (f->kind == KIND_PACKED_FIXED64)
        return e->size % 8 == 0 && e->size / 8 <= f->elements_max;
    for (size_t used = 0; used < e->size; elements++) {
        size_t n = varint_get(e->at + used, e->size - used, &value);
        if (n == 0 || elements == f->elements_max)
            return false;
        used += n;
    }
    return true;
}

static bool message_fits(struct check *k, const struct message *m, const uint8_t *at, size_t size, unsigned depth);

static bool known_fits(struct check *k, const struct field *f, const struct entry *e, unsigned depth)
{
    if (e->type != kind_type[f->kind])
        return false;
    switch (f->kind) {
    case KIND_ENUM: /* negative ones are legal protobuf, but there are none here */
        return e->value <= INT32_MAX;
    case KIND_UINT32: /* decoders differ in what they make of a larger one */
        return e->value <= UINT32_MAX;
    case KIND_SPAN:
        k->summary.span = e->at;
        k->summary.span_size = e->size;
        return true;
    case KIND_PACKED_FIXED64:
    case KIND_PACKED_UINT64:
        return packed_fits(f, e);
    case KIND_MESSAGE:
        return message_fits(k, f->message, e->at, e->size, depth + 1);
    default:
        return true;
    }
}

/* Protobuf merges a body that comes twice, protobuf-c lets the last one win: there shall be none. */
static bool frame_field_fits(struct check *k, const struct entry *e)
{
    if (e->number == FRAME_PROTOCOL && e->type == TYPE_FIXED32)
        k->summary.protocol =
            (uint32_t)e->at[0] | (uint32_t)e->at[1] << 8 | (uint32_t)e->at[2] << 16 | (uint32_t)e->at[3] << 24;
    if (e->number >= FRAME_BODY_FIRST) {
        if (k->summary.body != 0)
            return false;
        k->summary.body = e->number;
    }
    return true;
}

/* Recursion goes along the tables above, which have no loop; the depth is looked at all the same. */
static bool message_fits(struct check *k, const struct message *m, const uint8_t *at, size_t size, unsigned depth)
{
    uint8_t times[NUMBERS] = {0};

    if (depth > WIRE_DEPTH_MAX)
        return false;
    while (size > 0) {
        struct entry e;
        size_t taken = read_entry(at, size, &e);

        if (taken == 0 || ++k->fields > WIRE_FIELDS_MAX)
            return false;
        if (e.number >= m->numbers || m->fields[e.number].kind == KIND_NONE) {
            if (++k->unknown > UNKNOWN_FIELDS_MAX)
                return false;
        } else {
            const struct field *f = &m->fields[e.number];
            if (++times[e.number] > f->times_max || (m == &frame && !frame_field_fits(k, &e)) ||
                !known_fits(k, f, &e, depth))
                return false;
        }
        at += taken;
        size -= taken;
    }
    return true;
}

bool wire_check(const uint8_t *at, size_t size, struct wire_summary *ret)
{
    struct check k = {0};

    if (!message_fits(&k, &frame, at, size, 0))
        return false;
    *ret = k.summary;
    return true;
}
