/* wire_check.h: is this row of bytes a frame of p2p.proto, seen as protobuf? One pass over the raw
 * bytes, before anything is built from them: known fields have their wire type and come as often as
 * they may, varints are minimal and in range, lengths lie inside their parents, nothing is nested
 * deeper or repeated more often than limits.h says. Values are somebody else's business (codec_value.h).
 * Pure: no heap. What it lets through, protobuf-c unpacks with a bounded number of allocations, and every
 * other decoder reads the same values from. */
#ifndef WIRE_WIRE_CHECK_H
#define WIRE_WIRE_CHECK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_summary {
    uint32_t protocol;   /* 0: absent */
    uint32_t body;       /* the number of the body in Frame; 0: none that is known here */
    const uint8_t *span; /* the one long field of Signal, Relay, Sealed or Message as it lies in `at`; */
    size_t span_size;    /* NULL and 0: absent */
};

/* False: to be refused, and *ret means nothing. */
bool wire_check(const uint8_t *at, size_t size, struct wire_summary *ret);
#endif
