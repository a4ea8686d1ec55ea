/* mutate.c for AFL++: a library for AFL_CUSTOM_MUTATOR_LIBRARY. Which target it is for says FUZZ_TARGET. */
#include "shapes.h"

struct mutator {
    uint8_t *out;
    size_t cap;
};

const struct fuzz_shape *fuzz_shape;

static uint64_t state = 1;

static uint32_t below(uint32_t bound)
{
    state = state * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
    return (uint32_t)(state >> 33) % bound;
}

/* libFuzzer has its own; this is a small one of the usual kind. */
size_t LLVMFuzzerMutate(uint8_t *at, size_t size, size_t cap)
{
    if (size == 0 && cap > 0)
        at[size++] = (uint8_t)below(256);
    for (uint32_t times = 1 + below(4); times > 0 && size > 0; times--) {
        size_t where = below((uint32_t)size), length = 1 + below(8);
        switch (below(6)) {
        case 0:
            at[where] ^= (uint8_t)(1U << below(8));
            break;
        case 1:
            at[where] = (uint8_t)below(256);
            break;
        case 2:
            at[where] = (uint8_t)(at[where] + below(7) - 3);
            break;
        case 3:
            length = length < size - where ? length : size - where;
            memmove(at + where, at + where + length, size - where - length);
            size -= length;
            break;
        case 4:
            length = length < cap - size ? length : cap - size;
            memmove(at + where + length, at + where, size - where);
            size += length;
            break;
        default:
            length = length < size - where ? length : size - where;
            memmove(at + below((uint32_t)(size - length + 1)), at + where, length);
        }
    }
    return size;
}

void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(void *data, uint8_t *at, size_t size, uint8_t **ret, uint8_t *other, size_t other_size,
                       size_t cap);
void afl_custom_deinit(void *data);

void *afl_custom_init(void *afl, unsigned seed)
{
    const char *name = getenv("FUZZ_TARGET");
    const struct fuzz_shape *shape = name == NULL ? NULL : shape_find(name);
    (void)afl;
    FUZZ_CHECK(shape != NULL);
    fuzz_shape = shape;
    state = seed;
    return calloc(1, sizeof(struct mutator));
}

size_t afl_custom_fuzz(void *data, uint8_t *at, size_t size, uint8_t **ret, uint8_t *other, size_t other_size,
                       size_t cap)
{
    struct mutator *m = data;
    if (m->cap < cap) {
        free(m->out);
        m->out = malloc(cap);
        FUZZ_CHECK(m->out != NULL);
        m->cap = cap;
    }
    *ret = m->out;
    if (other != NULL && below(8) == 0)
        return LLVMFuzzerCustomCrossOver(at, size, other, other_size, m->out, cap, below(1U << 30));
    size = size < cap ? size : cap;
    memcpy(m->out, at, size);
    return LLVMFuzzerCustomMutator(m->out, size, cap, below(1U << 30));
}

void afl_custom_deinit(void *data)
{
    struct mutator *m = data;
    free(m->out);
    free(m);
}
