#include "wire/codec.h"
#include "wire/codec_value.h"
#include "wire/varint.h"
#include "wire/wire_check.h"
#include <string.h>

enum { OBJECT_ALIGNMENT = 16 };
static_assert(ARENA_BYTES % OBJECT_ALIGNMENT == 0, "objects fill the arena");

const char *decode_result_name(enum decode_result r)
{
    static const char *const names[DECODE_RESULTS] = {
        [DECODE_OK] = "ok",         [DECODE_SIZE] = "size",   [DECODE_PROTOCOL] = "protocol", [DECODE_WIRE] = "wire",
        [DECODE_MEMORY] = "memory", [DECODE_VALUE] = "value", [DECODE_UNKNOWN] = "unknown",   [DECODE_PLACE] = "place",
    };
    return r < DECODE_RESULTS ? names[r] : "?";
}

/* protobuf-c asks for its objects here. After the first refusal `objects` stays above its maximum, so that
 * a smaller object does not slip in and the caller sees why unpacking failed. */
static void *arena_alloc(void *data, size_t size)
{
    struct codec *c = data;
    uint8_t *object = c->arena + c->used;

    if (c->objects >= ARENA_OBJECTS_MAX || size > ARENA_BYTES - c->used) {
        c->objects = ARENA_OBJECTS_MAX + 1;
        return NULL;
    }
    c->objects++;
    c->used += (size + OBJECT_ALIGNMENT - 1) / OBJECT_ALIGNMENT * OBJECT_ALIGNMENT;
    return object;
}

static void arena_free(void *data, void *object)
{
    (void)data, (void)object;
}

static bool place_fits(uint32_t body, bool inside)
{
    if (body == FRAME_LEAVE)
        return true;
    return ((body >= FRAME_PUNCH && body <= FRAME_OFFER) || body == FRAME_AIM) == inside;
}

static enum decode_result decode_frame(struct codec *c, const uint8_t *at, size_t size, bool inside, struct frame *ret)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_free, c};
    struct wire_summary summary;
    P2p__V1__Frame *m;
    struct bytes span;

    if (!wire_check(at, size, &summary))
        return DECODE_WIRE;
    if (summary.protocol != (inside ? 0 : PROTOCOL_WORD))
        return DECODE_PROTOCOL;
    if (summary.body == 0)
        return DECODE_UNKNOWN;
    if (!place_fits(summary.body, inside))
        return DECODE_PLACE;
    c->used = 0;
    c->objects = 0;
    m = p2p__v1__frame__unpack(&allocator, size, at);
    if (c->used > c->arena_peak)
        c->arena_peak = c->used;
    if (m == NULL)
        return c->objects > ARENA_OBJECTS_MAX ? DECODE_MEMORY : DECODE_WIRE;
    span = (struct bytes){summary.span, summary.span_size};
    return codec_value(m, span, inside, ret) ? DECODE_OK : DECODE_VALUE;
}

static enum decode_result decode_datagram(struct codec *c, const uint8_t *at, size_t size, struct frame *ret)
{
    static const uint8_t front[5] = {0x0d, 'P', '2', 'P', '1'}; /* tag of Frame.protocol, PROTOCOL_WORD */

    if (size == 0 || size > DATAGRAM_BYTES_MAX)
        return DECODE_SIZE;
    if (size < sizeof front || memcmp(at, front, sizeof front) != 0)
        return DECODE_PROTOCOL;
    return decode_frame(c, at, size, false, ret);
}

static enum decode_result decode_inner(struct codec *c, struct bytes *rest, struct frame *ret)
{
    uint64_t length;
    size_t head;
    enum decode_result result = DECODE_OK;

    if (rest->size == 0 || rest->size > DATAGRAM_BYTES_MAX)
        return DECODE_SIZE;
    head = varint_get(rest->at, rest->size, &length);
    if (head == 0 || length > rest->size - head)
        return DECODE_WIRE;
    if (length == 0)
        ret->kind = FRAME_NONE;
    else
        result = decode_frame(c, rest->at + head, (size_t)length, true, ret);
    if (result == DECODE_OK || result == DECODE_UNKNOWN) {
        rest->at += head + length;
        rest->size -= head + (size_t)length;
    }
    return result;
}

enum decode_result codec_decode(struct codec *c, const uint8_t *at, size_t size, struct frame *ret)
{
    enum decode_result result = decode_datagram(c, at, size, ret);

    c->counts[result]++;
    return result;
}

enum decode_result codec_decode_inner(struct codec *c, struct bytes *rest, struct frame *ret)
{
    enum decode_result result = decode_inner(c, rest, ret);

    c->counts[result]++;
    return result;
}
