/* histogram.h: how often a value was how large. Integers, fixed buckets, no allocation: cheap enough for every event. */
#ifndef SERVER_HISTOGRAM_H
#define SERVER_HISTOGRAM_H
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 10 };

struct histogram { /* all zero but for the bounds is an empty one */
    const uint64_t *bounds; /* HISTOGRAM_BOUNDS, rising; a value belongs to the first that is not less */
    uint64_t        counts[HISTOGRAM_BOUNDS + 1]; /* the last: over all bounds */
    uint64_t        sum;
};

void histogram_add(struct histogram *h, uint64_t value);
#endif
