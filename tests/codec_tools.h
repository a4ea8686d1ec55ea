/* codec_tools.h: for the tests of the codec: raw protobuf, written field by field, legal or not; changing one
 * field of an encoded frame; and the golden vectors. */
#ifndef TESTS_CODEC_TOOLS_H
#define TESTS_CODEC_TOOLS_H
#include "wire/codec.h"
#include "wire/varint.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct raw {
    size_t size;
    uint8_t at[8192];
};

static inline void raw_put(struct raw *r, const void *at, size_t size)
{
    if (size > sizeof r->at - r->size)
        abort();
    memcpy(r->at + r->size, at, size);
    r->size += size;
}

static inline void raw_varint(struct raw *r, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    raw_put(r, bytes, varint_put(bytes, sizeof bytes, value));
}

static inline void raw_tag(struct raw *r, uint64_t number, unsigned type)
{
    raw_varint(r, number << 3 | type);
}

static inline void raw_uint(struct raw *r, uint64_t number, uint64_t value)
{
    raw_tag(r, number, 0);
    raw_varint(r, value);
}

static inline void raw_fixed(struct raw *r, uint64_t number, size_t size, uint64_t value)
{
    raw_tag(r, number, size == 8 ? 1 : 5);
    for (size_t i = 0; i < size; i++)
        raw_put(r, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

static inline void raw_bytes(struct raw *r, uint64_t number, const void *at, size_t size)
{
    raw_tag(r, number, 2);
    raw_varint(r, size);
    raw_put(r, at, size);
}

/* `size` letters. */
static inline void raw_letters(struct raw *r, uint64_t number, size_t size)
{
    raw_tag(r, number, 2);
    raw_varint(r, size);
    for (size_t i = 0; i < size; i++)
        raw_put(r, &(uint8_t){(uint8_t)('a' + i % 26)}, 1);
}

static inline void raw_sub(struct raw *r, uint64_t number, const struct raw *sub)
{
    raw_bytes(r, number, sub->at, sub->size);
}

/* A datagram around a body. */
static inline void raw_datagram(struct raw *r, uint64_t body, const struct raw *sub)
{
    r->size = 0;
    raw_fixed(r, 1, 4, PROTOCOL_WORD);
    raw_sub(r, body, sub);
}

/* One frame inside Sealed, with its length. */
static inline void raw_inner(struct raw *r, uint64_t body, const struct raw *sub)
{
    struct raw frame = {0};
    raw_sub(&frame, body, sub);
    r->size = 0;
    raw_varint(r, frame.size);
    raw_put(r, frame.at, frame.size);
}

/* ---- one field changed ---- */

/* Copies the message at..at+size to r with the first field `path[0]` replaced by (or, if there is none, with
 * the addition of) `with`, a whole field with its tag; an empty one takes the field away. With path[1] the
 * field is a message and that is done inside it. path ends with 0. */
static inline void raw_replace(struct raw *r, const uint8_t *at, size_t size, const uint32_t *path,
                               const struct raw *with)
{
    bool done = false;

    while (size > 0) {
        uint64_t tag, value;
        size_t head = varint_get(at, size, &tag), total = head;
        if ((tag & 7) == 2) {
            head += varint_get(at + head, size - head, &value);
            total = head + (size_t)value;
        } else {
            total += (tag & 7) == 0 ? varint_get(at + head, size - head, &value) : (tag & 7) == 1 ? 8 : 4;
        }
        if (done || tag >> 3 != path[0]) {
            raw_put(r, at, total);
        } else if (path[1] != 0) {
            struct raw *sub = calloc(1, sizeof *sub);
            raw_replace(sub, at + head, total - head, path + 1, with);
            raw_sub(r, path[0], sub);
            free(sub);
            done = true;
        } else {
            raw_put(r, with->at, with->size);
            done = true;
        }
        at += total;
        size -= total;
    }
    if (!done && path[1] == 0)
        raw_put(r, with->at, with->size);
}

/* ---- golden vectors ---- */

enum { VECTORS_MAX = 64, VECTOR_NAME_BYTES = 32, VECTOR_BYTES_MAX = DATAGRAM_BYTES_MAX + 2 };

struct vector {
    char name[VECTOR_NAME_BYTES];
    bool inside; /* Sealed: begins with its length */
    size_t size;
    uint8_t at[VECTOR_BYTES_MAX];
};

/* tests/vectors/frames.txt: "outside NAME" or "inside NAME", "hex DIGITS", and the text form, indented, which
 * is for scripts/check-vectors.sh. Returns how many there are; 0 if the file cannot be read. */
static inline size_t vectors_load(struct vector ret[static VECTORS_MAX])
{
    FILE *file = fopen("tests/vectors/frames.txt", "r");
    char line[8192], place[8], name[VECTOR_NAME_BYTES];
    size_t count = 0;

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%7s %31s", place, name) != 2)
            continue;
        if (strcmp(place, "outside") == 0 || strcmp(place, "inside") == 0) {
            if (count == VECTORS_MAX)
                abort();
            ret[count] = (struct vector){.inside = place[0] == 'i'};
            memcpy(ret[count++].name, name, sizeof name);
        } else if (strncmp(line, "hex ", 4) == 0 && count > 0) {
            struct vector *v = &ret[count - 1];
            unsigned byte;
            for (const char *at = line + 4; v->size < sizeof v->at && sscanf(at, "%2x", &byte) == 1; at += 2)
                v->at[v->size++] = (uint8_t)byte;
        }
    }
    fclose(file);
    return count;
}

/* ---- frames ---- */

/* Decodes one frame that should fill `size` bytes, inside or outside. */
static inline enum decode_result decode_either(struct codec *c, bool inside, const uint8_t *at, size_t size,
                                               struct frame *ret)
{
    struct bytes rest = {at, size};
    enum decode_result result;

    if (!inside)
        return codec_decode(c, at, size, ret);
    result = codec_decode_inner(c, &rest, ret);
    if (result == DECODE_OK && rest.size != 0)
        return DECODE_WIRE;
    return result;
}

static inline size_t encode_either(bool inside, const struct frame *f, uint8_t *ret, size_t cap)
{
    return inside ? codec_encode_inner(f, ret, cap) : codec_encode(f, ret, cap);
}

static inline struct bytes *frame_span(struct frame *f)
{
    switch (f->kind) {
    case FRAME_SIGNAL:
        return &f->signal.datagram;
    case FRAME_RELAY:
        return &f->relay.datagram;
    case FRAME_SEALED:
        return &f->sealed.ciphertext;
    case FRAME_MESSAGE:
        return &f->message.data;
    default:
        return NULL;
    }
}

/* Every bit but where a span lies. Both must have been zeroed before they were filled, as the decoder does. */
static inline bool frames_equal(const struct frame *a, const struct frame *b)
{
    struct frame x, y;
    struct bytes *in_x, *in_y;

    memcpy(&x, a, sizeof x); /* padding too, which assignment may leave out */
    memcpy(&y, b, sizeof y);
    in_x = frame_span(&x);
    in_y = frame_span(&y);
    if (x.kind == FRAME_REGISTER)
        x.reg.pad = y.reg.pad = false;
    if (x.kind == y.kind && in_x != NULL) {
        if (in_x->size != in_y->size || memcmp(in_x->at, in_y->at, in_x->size) != 0)
            return false;
        in_x->at = in_y->at = NULL;
    }
    return memcmp(&x, &y, sizeof x) == 0;
}
#endif
