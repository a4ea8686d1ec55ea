/* vtime.h: time as the cores see it: microseconds of a clock that the caller reads
 * (CLOCK_BOOTTIME in life, a counter in the simulator). It never goes back. */
#ifndef WIRE_VTIME_H
#define WIRE_VTIME_H
#include <stdint.h>

typedef uint64_t vtime_us;

#define VTIME_NEVER UINT64_MAX
#define VTIME_MS(n) ((vtime_us)(n) * 1000U)
#define VTIME_S(n)  ((vtime_us)(n) * 1000000U)

static inline vtime_us vtime_min(vtime_us a, vtime_us b)
{
    return a < b ? a : b;
}
#endif
