/* fuzz.h: what the harnesses share. A harness is one file with LLVMFuzzerTestOneInput; libFuzzer, AFL++ and replay.c are
 * three callers of it. docs/testing.md, "Fuzzing", has the overview.
 *
 * An input is bytes, or a frame, or a script: a row of records
 *
 *     operation (1 byte), size of the rest (2 bytes, little-endian), the rest
 *
 * of which the first `head` bytes say how, and what follows is the payload. Anything is a script: a record that is too
 * long ends where the input does. mutate.c knows these shapes, so that frames stay frames part of the time. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Not assert: it must also hold where NDEBUG is set. */
#define FUZZ_CHECK(condition)                                                                                         \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                            \
            abort();                                                                                                  \
        }                                                                                                             \
    } while (0)

/* ---- what fuzzers call ---- */
int    LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *at, size_t size, size_t cap, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *ret,
                                 size_t cap, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *at, size_t size, size_t cap); /* theirs */

/* ---- what inputs look like: shapes.c ---- */
enum fuzz_kind {
    KIND_BYTES,
    KIND_FRAME,  /* a byte, whose lowest bit says whether what follows is a row of inner frames or a datagram */
    KIND_SCRIPT, /* one byte (where to begin), then records */
};
enum fuzz_payload {
    PAYLOAD_NONE,
    PAYLOAD_DATAGRAM, /* a frame with the protocol word */
    PAYLOAD_INNER,    /* a row of inner frames, each behind its length */
    PAYLOAD_BYTES,
};
struct fuzz_operation {
    uint8_t head;    /* bytes that say how */
    uint8_t payload; /* enum fuzz_payload */
    uint8_t weight;  /* how often mutate.c makes one */
};
struct fuzz_shape {
    const char                  *name; /* of the target */
    enum fuzz_kind               kind;
    const struct fuzz_operation *operations; /* of scripts; an operation's byte counts modulo operation_count */
    size_t                       operation_count;
};
extern const struct fuzz_shape *fuzz_shape; /* the harness's own */

/* ---- reading a script ---- */
enum { RECORD_HEAD = 3, OPERATION_HEAD_MAX = 8 };

struct record {
    uint8_t operation; /* below operation_count */
    uint8_t head[OPERATION_HEAD_MAX]; /* zeros where the record ended */
    const uint8_t *payload;
    size_t size;
};

/* Takes a record from the front; false: there is none. */
static inline bool record_next(const uint8_t **at, size_t *size, struct record *ret)
{
    if (*size < RECORD_HEAD)
        return false;
    *ret = (struct record){.operation = (uint8_t)((*at)[0] % fuzz_shape->operation_count)};
    size_t rest = (size_t)((*at)[1] | (*at)[2] << 8);
    size_t head = fuzz_shape->operations[ret->operation].head;
    *at += RECORD_HEAD;
    *size -= RECORD_HEAD;
    if (rest > *size)
        rest = *size;
    if (head > rest)
        head = rest;
    memcpy(ret->head, *at, head);
    ret->payload = *at + head;
    ret->size = rest - head;
    *at += rest;
    *size -= rest;
    return true;
}
#endif
