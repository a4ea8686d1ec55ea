/* watch.h: what the log says of the counters: once a minute a line of what was refused and dropped, and a warning when
 * something is wrong, the first of its kind in ten minutes. However many packets come, there are not more lines. */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H
#include "server/metrics.h"
#include "wire/addr.h"
#include "wire/vtime.h"

#define WATCH_QUIET_US VTIME_S(600)
enum { WATCH_FULL_PERCENT = 90 }; /* of a table: time to do something about it */

struct watch { /* all zero before the first use */
    uint64_t before[METRICS_VALUES_MAX];
    vtime_us quiet_until[METRICS_VALUES_MAX]; /* by place of the table's gauge among the values */
    vtime_us send_quiet_until, receive_quiet_until;
};

/* Once a minute, with what metrics_values() says. */
void watch_minute(struct watch *w, vtime_us now, const struct server_stat *values, size_t count);
/* At the end: everything that was counted. */
void watch_stop(const struct server_stat *values, size_t count);
/* After a datagram could not be sent, or received (to NULL): an errno. */
void watch_failure(struct watch *w, vtime_us now, int error, const struct addr *to);
#endif
