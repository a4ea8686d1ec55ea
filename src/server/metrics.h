/* metrics.h: what the server counts, in Prometheus' text format 0.0.4. docs/operating.md has the same table for people;
 * a test compares them. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H
#include <stddef.h>
#include <stdint.h>
#include "server/core.h"
#include "server/histogram.h"

struct metrics { /* what the shell counts; the core has its own */
    uint64_t         start_unix_s;
    uint64_t         send_failed, send_full, receive_failed;
    struct histogram wakeup_datagrams; /* received between waking up and waiting again; wake-ups without any not counted */
    struct histogram busy_us;          /* from waking up until waiting again */
};

enum {
    METRICS_OWN = 6, /* values of the shell beside those of the core */
    METRICS_VALUES_MAX = SERVER_STATS_MAX + METRICS_OWN,
    METRICS_TEXT_MAX = 32768, /* bytes; twice of what there is, and a test looks whether the largest numbers fit */
};

/* One line of the text for each value. Lines of one name follow each other; the first has the help. */
struct metric {
    const char *name;
    const char *type; /* "counter", "gauge" */
    const char *help;
    const char *label, *label_value; /* NULL: none */
    const char *stat;                /* its name among the values */
};
extern const struct metric metrics_table[];
extern const size_t metrics_table_count;

void metrics_init(struct metrics *m);
/* The core's values and the shell's. Returns how many. */
size_t metrics_values(const struct metrics *m, const struct server *s, struct server_stat ret[static METRICS_VALUES_MAX]);
/* The whole text, without a NUL; returns its size, 0 if cap is too small. */
size_t metrics_text(const struct metrics *m, const struct server_stat *values, size_t count, char *ret, size_t cap);
#endif
