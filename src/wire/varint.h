/* varint.h: LEB128 as protobuf has it. Pure. */
#ifndef WIRE_VARINT_H
#define WIRE_VARINT_H
#include <stddef.h>
#include <stdint.h>

enum { VARINT_BYTES_MAX = 10 };

/* Returns the bytes written, 0 if cap is too small. */
size_t varint_put(uint8_t *ret, size_t cap, uint64_t value);
/* Returns the bytes read; 0 if it is cut off, longer than ten bytes, beyond 64 bits or not minimal. */
size_t varint_get(const uint8_t *at, size_t size, uint64_t *ret);
#endif
