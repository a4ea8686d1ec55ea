/* Inputs that stay what they are: records stay records and frames stay frames, part of the time. The rest of the time
 * it is the fuzzer's own mutation of all bytes, which knows nothing.
 *
 * A frame is changed as a tree of protobuf fields, without a schema: a bytes field that reads as fields is taken for
 * a message half of the time, which is right often enough; or it is put in the place of another of the samples. */
#include "fuzz.h"
#include "tests/codec_samples.h"
#include "wire/varint.h"

enum { FIELDS_MAX = 64, RECORDS_MAX = 400, FRAME_MAX = 1400, DEPTH_MAX = 4, SCRIPT_HEAD = 1 };

/* ---- dice: the fuzzer gives a seed, and the same seed has to give the same change ---- */

static uint64_t dice_state;

static uint32_t dice(uint32_t bound)
{
    dice_state ^= dice_state << 13; /* xorshift64, Marsaglia */
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (uint32_t)((dice_state >> 16) % bound);
}

static void dice_seed(unsigned seed)
{
    dice_state = (uint64_t)seed * 0x9e3779b97f4a7c15 + 1;
    dice(2);
    dice(2);
}

/* ---- a frame ---- */

struct field {
    uint64_t number;
    unsigned type;
    size_t start, head, size; /* the value is at start + head; size without the head */
};

/* False: these are no fields, or too many. */
static bool fields_read(const uint8_t *at, size_t size, struct field ret[static FIELDS_MAX], size_t *ret_count)
{
    size_t used = 0, count = 0;
    while (used < size) {
        uint64_t tag, value = 0;
        size_t head = varint_get(at + used, size - used, &tag), more;
        if (head == 0 || count == FIELDS_MAX || tag >> 3 == 0)
            return false;
        struct field f = {.number = tag >> 3, .type = tag & 7, .start = used, .head = head};
        switch (f.type) {
        case 0:
            f.size = varint_get(at + used + head, size - used - head, &value);
            if (f.size == 0)
                return false;
            break;
        case 1:
            f.size = 8;
            break;
        case 2:
            more = varint_get(at + used + head, size - used - head, &value);
            if (more == 0 || value > size)
                return false;
            f.head += more;
            f.size = (size_t)value;
            break;
        case 5:
            f.size = 4;
            break;
        default:
            return false;
        }
        if (f.head + f.size > size - used)
            return false;
        ret[count++] = f;
        used += f.head + f.size;
    }
    *ret_count = count;
    return count > 0;
}

static uint64_t telling_number(void)
{
    static const uint64_t numbers[] = {
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        9,
        15,
        16,
        17,
        20,
        31,
        32,
        33,
        40,
        41,
        63,
        64,
        65,
        127,
        128,
        255,
        256,
        257,
        1090,
        1100,
        3600,
        3601,
        16384,
        65535,
        65536,
        999999,
        1000000,
        10000000,
        10000001,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        1ULL << 32,
        1ULL << 53,
        (1ULL << 53) - 1,
        UINT64_MAX - 1,
        UINT64_MAX,
    };
    switch (dice(4)) {
    case 0:
        return dice(70);
    case 1:
        return (uint64_t)dice(UINT32_MAX) << 32 >> dice(64);
    default:
        return numbers[dice(COUNT(numbers))];
    }
}

static size_t put_field(uint8_t *ret, uint64_t number, unsigned type, const uint8_t *value, size_t size)
{
    size_t used = varint_put(ret, VARINT_BYTES_MAX, number << 3 | type);
    if (type == 2)
        used += varint_put(ret + used, VARINT_BYTES_MAX, size);
    memcpy(ret + used, value, size);
    return used + size;
}

/* The value of one field, changed, to ret, which has room for cap; returns its size. */
static size_t change_value(uint8_t *ret, size_t cap, const struct field *f, const uint8_t *value)
{
    static const uint8_t sizes[] = {0, 1, 4, 8, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65, 120, 200};
    size_t size = f->size;
    uint64_t number = telling_number();
    if (f->type == 0) {
        uint64_t old;
        if (dice(3) == 0 && varint_get(value, f->size, &old) > 0)
            number = old + 1 - 2 * (uint64_t)dice(2);
        return varint_put(ret, cap, number);
    }
    memcpy(ret, value, size);
    if (f->type == 1 || f->type == 5) {
        if (dice(2) == 0) {
            for (size_t i = 0; i < size; i++)
                ret[i] = (uint8_t)(number >> 8 * i);
            return size;
        }
        LLVMFuzzerMutate(ret, size, size); /* may shorten it: the rest stays */
        return size;
    }
    if (dice(3) == 0) {
        size_t wanted = sizes[dice(COUNT(sizes))];
        if (wanted > cap)
            wanted = cap;
        if (wanted > size)
            memset(ret + size, (int)dice(256), wanted - size);
        return wanted;
    }
    if (dice(3) > 0 && size > 0) {
        LLVMFuzzerMutate(ret, size, size);
        return size;
    }
    return LLVMFuzzerMutate(ret, size, cap < size + 64 ? cap : size + 64);
}

static size_t change_message(uint8_t *at, size_t size, size_t cap, unsigned depth);

/* Does something to one field, and what follows moves. */
static size_t change_field(uint8_t *at, size_t size, size_t cap, const struct field *f, unsigned depth)
{
    uint8_t value[FRAME_MAX + 128], out[FRAME_MAX + 160];
    const size_t old = f->head + f->size;
    size_t made = 0;

    if (f->size > FRAME_MAX)
        return size;
    memcpy(value, at + f->start + f->head, f->size);
    struct field inside[FIELDS_MAX];
    size_t count;
    if (f->type == 2 && depth < DEPTH_MAX && dice(8) > 0 && fields_read(value, f->size, inside, &count)) {
        size_t grown = change_message(value, f->size, FRAME_MAX, depth + 1);
        made = put_field(out, f->number, 2, value, grown);
    } else {
        switch (dice(8)) {
        case 0: /* away with it */
            break;
        case 1: /* twice */
            memcpy(out, at + f->start, old);
            made = old;
            if (2 * made <= sizeof out) {
                memcpy(out + made, out, made);
                made *= 2;
            }
            break;
        case 2: /* another number, mostly a near one */
            made = put_field(out, 1 + dice(dice(4) == 0 ? 3000 : 24), f->type, value, f->size);
            break;
        default: {
            uint8_t changed[FRAME_MAX + 128];
            size_t changed_size = change_value(changed, sizeof changed - 64, f, value);
            made = put_field(out, f->number, f->type, changed, changed_size);
        }
        }
    }
    if (size - old + made > cap)
        return size;
    memmove(at + f->start + made, at + f->start + old, size - f->start - old);
    memcpy(at + f->start, out, made);
    return size - old + made;
}

/* A row of fields; returns the new size. */
static size_t change_message(uint8_t *at, size_t size, size_t cap, unsigned depth)
{
    struct field fields[FIELDS_MAX];
    size_t count;
    if (!fields_read(at, size, fields, &count))
        return LLVMFuzzerMutate(at, size, cap);
    if (depth > 0 && dice(12) == 0 && size + 24 <= cap) { /* one more */
        uint8_t value[VARINT_BYTES_MAX];
        size_t value_size = varint_put(value, sizeof value, telling_number());
        return size + put_field(at + size, 1 + dice(24), 0, value, value_size);
    }
    /* The body is what is interesting in a frame, not its protocol word. */
    size_t which = depth == 0 && dice(16) > 0 ? count - 1 : dice((uint32_t)count);
    return change_field(at, size, cap, &fields[which], depth);
}

/* One of the samples, without the length in front of inner ones. */
static size_t sample_frame(uint8_t *ret, size_t cap, bool inside)
{
    struct frame f;
    size_t which;
    do {
        which = dice(SAMPLES);
    } while (samples[which].inside != inside);
    sample_make(which, &f);
    uint8_t out[DATAGRAM_BYTES_MAX + 2];
    size_t size = inside ? codec_encode_inner(&f, out, sizeof out) : codec_encode(&f, out, sizeof out);
    uint64_t length;
    size_t skip = inside ? varint_get(out, size, &length) : 0;
    if (size - skip > cap)
        return 0;
    memcpy(ret, out + skip, size - skip);
    return size - skip;
}

static size_t change_datagram(uint8_t *at, size_t size, size_t cap)
{
    if (cap > FRAME_MAX)
        cap = FRAME_MAX;
    if (size > cap)
        size = cap;
    if (size == 0 || dice(10) == 0) {
        size_t made = sample_frame(at, cap, false);
        if (made > 0)
            return made;
    }
    if (dice(10) == 0)
        return LLVMFuzzerMutate(at, size, cap);
    for (uint32_t times = 1 + dice(3); times > 0; times--)
        size = change_message(at, size, cap, 0);
    return size;
}

/* ---- a row of inner frames ---- */

static size_t put_inner(uint8_t *ret, size_t cap, const uint8_t *frame, size_t size)
{
    uint8_t length[VARINT_BYTES_MAX];
    size_t head = varint_put(length, sizeof length, size);
    if (head + size > cap)
        return 0;
    memmove(ret + head, frame, size);
    memcpy(ret, length, head);
    return head + size;
}

static size_t change_inner(uint8_t *at, size_t size, size_t cap)
{
    size_t starts[FIELDS_MAX], count = 0, used = 0;
    uint8_t frame[FRAME_MAX];
    uint64_t length = 0;
    if (cap > FRAME_MAX)
        cap = FRAME_MAX;
    if (size > cap)
        size = cap;
    while (used < size && count < FIELDS_MAX) {
        size_t head = varint_get(at + used, size - used, &length);
        if (head == 0 || length > size - used - head)
            break;
        starts[count++] = used;
        used += head + (size_t)length;
    }
    if (count == 0 || dice(6) == 0) { /* one more, at the end or instead of all */
        size_t keep = dice(3) == 0 ? 0 : used;
        size_t made = sample_frame(frame, sizeof frame, true);
        made = put_inner(at + keep, cap - keep, frame, made);
        return made == 0 ? size : keep + made;
    }
    if (dice(12) == 0)
        return LLVMFuzzerMutate(at, size, cap);
    size_t start = starts[dice((uint32_t)count)];
    size_t head = varint_get(at + start, size - start, &length), old = head + (size_t)length;
    uint8_t out[FRAME_MAX + VARINT_BYTES_MAX];
    size_t made = 0;
    if (dice(12) > 0) { /* else it is taken away */
        memcpy(frame, at + start + head, (size_t)length);
        size_t grown = length == 0 ? 0 : change_message(frame, (size_t)length, sizeof frame, 0);
        made = put_inner(out, sizeof out, frame, grown);
    }
    if (size - old + made > cap)
        return size;
    memmove(at + start + made, at + start + old, size - start - old);
    memcpy(at + start, out, made);
    return size - old + made;
}

/* ---- a script ---- */

struct place {
    size_t start, size; /* the record, its head of three bytes included */
};

static size_t records_find(const uint8_t *at, size_t size, struct place ret[static RECORDS_MAX])
{
    size_t count = 0, used = SCRIPT_HEAD;
    while (size >= RECORD_HEAD && used <= size - RECORD_HEAD && count < RECORDS_MAX) {
        size_t rest = (size_t)(at[used + 1] | at[used + 2] << 8);
        if (rest > size - used - RECORD_HEAD)
            rest = size - used - RECORD_HEAD;
        ret[count++] = (struct place){used, RECORD_HEAD + rest};
        used += RECORD_HEAD + rest;
    }
    return count;
}

static size_t change_payload(const struct fuzz_operation *o, uint8_t *at, size_t size, size_t cap)
{
    switch (o->payload) {
    case PAYLOAD_DATAGRAM:
        return change_datagram(at, size, cap);
    case PAYLOAD_INNER:
        return change_inner(at, size, cap);
    case PAYLOAD_BYTES:
        return LLVMFuzzerMutate(at, size, cap);
    default:
        return 0;
    }
}

/* Puts `size` bytes in the place of `old` ones at `start`. */
static size_t script_replace(uint8_t *at, size_t total, size_t cap, size_t start, size_t old, const uint8_t *with,
                             size_t size)
{
    if (total - old + size > cap)
        return total;
    memmove(at + start + size, at + start + old, total - start - old);
    memcpy(at + start, with, size);
    return total - old + size;
}

static size_t put_record(uint8_t *ret, uint8_t operation, const uint8_t *rest, size_t size)
{
    ret[0] = operation;
    ret[1] = (uint8_t)size;
    ret[2] = (uint8_t)(size >> 8);
    memmove(ret + RECORD_HEAD, rest, size);
    return RECORD_HEAD + size;
}

static size_t new_record(uint8_t *ret)
{
    uint32_t total = 0, which = 0, throw;
    uint8_t rest[OPERATION_HEAD_MAX + FRAME_MAX];
    for (size_t i = 0; i < fuzz_shape->operation_count; i++)
        total += fuzz_shape->operations[i].weight;
    for (throw = dice(total); throw >= fuzz_shape->operations[which].weight; which++)
        throw -= fuzz_shape->operations[which].weight;
    const struct fuzz_operation *o = &fuzz_shape->operations[which];
    for (size_t i = 0; i < o->head; i++)
        rest[i] = (uint8_t)dice(dice(2) == 0 ? 256 : 8);
    size_t size = o->head;
    if (o->payload == PAYLOAD_DATAGRAM)
        size += sample_frame(rest + size, FRAME_MAX, false);
    else if (o->payload == PAYLOAD_INNER) {
        uint8_t frame[FRAME_MAX];
        for (uint32_t times = 1 + dice(3); times > 0; times--) {
            size_t made = sample_frame(frame, sizeof frame, true);
            size += put_inner(rest + size, sizeof rest - size, frame, made);
        }
    } else if (o->payload == PAYLOAD_BYTES) {
        size += LLVMFuzzerMutate(rest + size, 0, 32);
    }
    return put_record(ret, (uint8_t)which, rest, size);
}

static size_t change_record(uint8_t *at, size_t size, size_t cap, const struct place *r)
{
    uint8_t rest[OPERATION_HEAD_MAX + FRAME_MAX], out[RECORD_HEAD + sizeof rest];
    uint8_t operation = at[r->start];
    const struct fuzz_operation *o = &fuzz_shape->operations[operation % fuzz_shape->operation_count];
    size_t rest_size = r->size - RECORD_HEAD, head = o->head < rest_size ? o->head : rest_size;
    if (rest_size > sizeof rest)
        return LLVMFuzzerMutate(at, size, cap);
    memcpy(rest, at + r->start + RECORD_HEAD, rest_size);
    if (rest_size < o->head) {
        memset(rest + rest_size, 0, o->head - rest_size);
        rest_size = head = o->head;
    }
    if (head > 0 && (o->payload == PAYLOAD_NONE || dice(3) == 0)) {
        size_t which = dice((uint32_t)head);
        rest[which] = dice(2) == 0 ? (uint8_t)dice(256) : (uint8_t)(rest[which] ^ 1U << dice(8));
    } else {
        rest_size = head + change_payload(o, rest + head, rest_size - head, FRAME_MAX);
    }
    return script_replace(at, size, cap, r->start, r->size, out, put_record(out, operation, rest, rest_size));
}

static size_t change_script(uint8_t *at, size_t size, size_t cap)
{
    static uint8_t copy[1 << 16];
    struct place records[RECORDS_MAX];
    uint8_t made[RECORD_HEAD + OPERATION_HEAD_MAX + FRAME_MAX];
    size_t count = records_find(at, size, records);
    if (count == 0) {
        if (size == 0)
            at[size++] = (uint8_t)dice(256);
        return script_replace(at, size, cap, size, 0, made, new_record(made));
    }
    const struct place *r = &records[dice((uint32_t)count)], *other = &records[dice((uint32_t)count)];
    switch (dice(10)) {
    case 0: /* the fuzzer's own */
        return LLVMFuzzerMutate(at, size, cap);
    case 1:
        return script_replace(at, size, cap, r->start, r->size, made, 0);
    case 2: { /* a copy, elsewhere: two of them are one more case than one */
        if (r->size > sizeof copy)
            return size;
        memcpy(copy, at + r->start, r->size);
        return script_replace(at, size, cap, other->start, 0, copy, r->size);
    }
    case 3:
        at[0] = (uint8_t)dice(256);
        return size;
    case 4:
    case 5:
        return script_replace(at, size, cap, dice(4) == 0 ? size : r->start, 0, made, new_record(made));
    default:
        return change_record(at, size, cap, r);
    }
}

/* ---- what the fuzzer calls ---- */

size_t LLVMFuzzerCustomMutator(uint8_t *at, size_t size, size_t cap, unsigned seed)
{
    dice_seed(seed);
    if (fuzz_shape->kind == KIND_BYTES || cap < 16)
        return LLVMFuzzerMutate(at, size, cap);
    for (uint32_t times = 1 + dice(3); times > 0; times--) {
        if (fuzz_shape->kind == KIND_SCRIPT) {
            size = change_script(at, size, cap);
        } else {
            if (size == 0 || dice(40) == 0)
                at[0] = (uint8_t)dice(2);
            size = size == 0 ? 1 : size;
            size = 1 + (at[0] % 2 == 1 ? change_inner(at + 1, size - 1, cap - 1)
                                       : change_datagram(at + 1, size - 1, cap - 1));
        }
    }
    return size;
}

/* The first records of one, then the last ones of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *ret,
                                 size_t cap, unsigned seed)
{
    struct place of_a[RECORDS_MAX], of_b[RECORDS_MAX];
    size_t end = a_size / 2, begin = b_size / 2;
    dice_seed(seed);
    if (fuzz_shape->kind == KIND_SCRIPT) {
        size_t a_count = records_find(a, a_size, of_a), b_count = records_find(b, b_size, of_b);
        if (a_count > 0)
            end = of_a[dice((uint32_t)a_count)].start;
        if (b_count > 0)
            begin = of_b[dice((uint32_t)b_count)].start;
    }
    size_t size = end < cap ? end : cap;
    memcpy(ret, a, size);
    size_t more = b_size - begin < cap - size ? b_size - begin : cap - size;
    memcpy(ret + size, b + begin, more);
    return size + more;
}
