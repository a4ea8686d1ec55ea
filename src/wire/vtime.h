/* vtime.h: time as the cores see it: microseconds of a clock that the caller reads
 * (CLOCK_BOOTTIME in life, a counter in the simulator). It never goes back. */
#ifndef WIRE_VTIME_H
#define WIRE_VTIME_H
#include <stdint.h>

/* p2p.h from here */
/* Microseconds of a clock that never goes back and counts while the machine sleeps: CLOCK_BOOTTIME. */
typedef uint64_t vtime_us;

#define VTIME_NEVER UINT64_MAX
#define VTIME_MS(n) ((vtime_us)(n) * 1000U)
#define VTIME_S(n)  ((vtime_us)(n) * 1000000U)
/* p2p.h to here */

static inline vtime_us vtime_min(vtime_us a, vtime_us b)
{
    return a < b ? a : b;
}
#endif
