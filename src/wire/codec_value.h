/* codec_value.h: between codec.c and codec_value.c, nobody else. From protobuf-c's structs to struct frame,
 * and every value against the bounds that p2p.proto states. Pure. */
#ifndef WIRE_CODEC_VALUE_H
#define WIRE_CODEC_VALUE_H
#include "p2p.pb-c.h"
#include "wire/codec.h"
#include <stdbool.h>

/* *m is what came out of unpacking a frame that wire_check let through and that has a body; `span` is
 * that check's. `inside`: it lay inside Sealed. False when a bound is broken; then *ret means nothing. */
bool codec_value(const P2p__V1__Frame *m, struct bytes span, bool inside, struct frame *ret);
#endif
