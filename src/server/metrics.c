#include "server/metrics.h"
#include "server/log.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME(n) "p2p_server_" n
#define COUNTER(n, help, stat)                                                                                         \
    {                                                                                                                  \
        NAME(n "_total"), "counter", help, NULL, NULL, stat                                                            \
    }
#define COUNTERS(n, help, label, lv, stat)                                                                             \
    {                                                                                                                  \
        NAME(n "_total"), "counter", help, label, lv, stat                                                             \
    }
#define GAUGE(n, help, stat)                                                                                           \
    {                                                                                                                  \
        NAME(n), "gauge", help, NULL, NULL, stat                                                                       \
    }
#define GAUGES_OF(n, help, label, lv, stat)                                                                            \
    {                                                                                                                  \
        NAME(n), "gauge", help, label, lv, stat                                                                        \
    }

/* clang-format off */
const struct metric metrics_table[] = {
    GAUGES_OF("build_info", "Always 1; the label says which version runs.", "version", P2P_VERSION, "one"),
    {"process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", NULL, NULL, "start_unix_s"},

    GAUGES_OF("table_used", "Entries in use, by table.", "table", "registrations", "registrations"),
    GAUGES_OF("table_used", NULL, "table", "unvalidated", "unvalidated"),
    GAUGES_OF("table_used", NULL, "table", "introductions", "introductions"),
    GAUGES_OF("table_used", NULL, "table", "links", "links"),
    GAUGES_OF("table_max", "Entries that there is room for, by table.", "table", "registrations", "registrations_max"),
    GAUGES_OF("table_max", NULL, "table", "unvalidated", "unvalidated_max"),
    GAUGES_OF("table_max", NULL, "table", "introductions", "introductions_max"),
    GAUGES_OF("table_max", NULL, "table", "links", "links_max"),
    GAUGE("registrations_open", "Registrations in the open form, without a room's number.", "registrations_open"),
    GAUGE("prefix_bits_wanted", "Bits of the keyword's hash that the open form asks for, 0 to 8.", "bits_wanted"),

    COUNTER("received_datagrams", "Datagrams that came in.", "received_datagrams"),
    COUNTER("received_bytes", "Bytes of UDP payload that came in.", "received_bytes"),
    COUNTER("sent_datagrams", "Datagrams that were queued for sending.", "sent_datagrams"),
    COUNTER("sent_bytes", "Bytes of UDP payload that were queued for sending.", "sent_bytes"),
    COUNTER("send_errors", "Datagrams that the system did not send: no route, not permitted.", "send_failed"),
    COUNTER("receive_errors", "Errors in receiving, other than that there is nothing.", "receive_failed"),

    COUNTER("registrations", "Answers to a Register: new ones and refreshes.", "registered"),
    COUNTER("retries", "Registers answered with a cookie instead of a place: the server is under load.", "retries"),
    COUNTER("retries_over_rate", "Those of them because a source prefix sent too many.", "retries_over_rate"),
    COUNTER("lapsed", "Registrations that were not refreshed in time.", "lapsed"),
    COUNTER("displaced", "Registrations that gave way in a full room.", "displaced"),
    COUNTER("introductions", "Pairs that were introduced to each other.", "introduced"),
    COUNTER("introductions_linked", "Introductions whose two sides turned out to share a keyword.", "introductions_linked"),
    COUNTER("signals", "Sealed envelopes passed on.", "signals"),
    COUNTER("links", "Pairs that asked for a relay with the same token.", "linked"),
    COUNTER("relayed_datagrams", "Datagrams relayed between linked pairs.", "relayed_datagrams"),
    COUNTER("relayed_bytes", "Bytes of sealed payload relayed between linked pairs.", "relayed_bytes"),
    COUNTER("probes", "Probes answered, by which clients learn about their NAT.", "probes"),

    COUNTERS("refused", "Requests that were refused and told so, by reason.", "reason", "unknown", "refused_unknown"),
    COUNTERS("refused", NULL, "reason", "room_full", "refused_room_full"),
    COUNTERS("refused", NULL, "reason", "busy", "refused_busy"),
    COUNTERS("refused", NULL, "reason", "crowded", "refused_crowded"),
    COUNTERS("refused", NULL, "reason", "rate", "refused_over_rate"),

    COUNTERS("dropped", "Datagrams, answers and introductions that were dropped, by reason.", "reason", "queue_full", "dropped_queue_full"),
    COUNTERS("dropped", NULL, "reason", "send_full", "send_full"),
    COUNTERS("dropped", NULL, "reason", "wrong_source", "dropped_wrong_source"),
    COUNTERS("dropped", NULL, "reason", "not_for_server", "dropped_not_for_server"),
    COUNTERS("dropped", NULL, "reason", "unknown_secret", "dropped_unknown_secret"),
    COUNTERS("dropped", NULL, "reason", "unpadded", "dropped_unpadded"),
    COUNTERS("dropped", NULL, "reason", "unpaid", "ledger_refused"),
    COUNTERS("dropped", NULL, "reason", "probe", "probes_dropped"),
    COUNTERS("dropped", NULL, "reason", "introductions_full", "introductions_full"),
    COUNTERS("dropped", NULL, "reason", "introductions_cut", "introductions_cut"),
    COUNTERS("dropped", NULL, "reason", "signal", "signals_dropped"),
    COUNTERS("dropped", NULL, "reason", "relay_quota", "relay_over_quota"),
    COUNTERS("dropped", NULL, "reason", "relay_part", "dropped_relay_over_part"),
    COUNTERS("dropped", NULL, "reason", "relay_total", "dropped_relay_over_total"),
    COUNTERS("dropped", NULL, "reason", "rate", "dropped_over_rate"),
    COUNTERS("dropped", NULL, "reason", "introduction_rate", "dropped_introductions_over_rate"),

    COUNTERS("decoded_datagrams", "Datagrams by what the decoder found; all but ok are dropped.", "result", "ok", "decode_ok"),
    COUNTERS("decoded_datagrams", NULL, "result", "size", "decode_size"),
    COUNTERS("decoded_datagrams", NULL, "result", "protocol", "decode_protocol"),
    COUNTERS("decoded_datagrams", NULL, "result", "wire", "decode_wire"),
    COUNTERS("decoded_datagrams", NULL, "result", "memory", "decode_memory"),
    COUNTERS("decoded_datagrams", NULL, "result", "value", "decode_value"),
    COUNTERS("decoded_datagrams", NULL, "result", "unknown", "decode_unknown"),
    COUNTERS("decoded_datagrams", NULL, "result", "place", "decode_place"),

    COUNTER("log_dropped_lines", "Lines of the log that stderr did not take, or that were too many.", "log_dropped"),
};
/* clang-format on */
const size_t metrics_table_count = sizeof metrics_table / sizeof metrics_table[0];

/* 1 is an idle server's; at 256 from one socket the loop turns to the others. */
static const uint64_t wakeup_bounds[HISTOGRAM_BOUNDS] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
/* A relayed datagram takes 8 us (measured), so the lower ones are single datagrams; of 100 ms people take notice. */
static const uint64_t busy_bounds_us[HISTOGRAM_BOUNDS] = {25, 50, 100, 250, 500, 1000, 5000, 10000, 50000, 100000};

void metrics_init(struct metrics *m)
{
    *m = (struct metrics){
        .start_unix_s = (uint64_t)time(NULL),
        .wakeup_datagrams = {.bounds = wakeup_bounds},
        .busy_us = {.bounds = busy_bounds_us},
    };
}

size_t metrics_values(const struct metrics *m, const struct server *s,
                      struct server_stat ret[static METRICS_VALUES_MAX])
{
    const struct server_stat own[METRICS_OWN] = {
        {"one", 1},
        {"start_unix_s", m->start_unix_s},
        {"send_failed", m->send_failed},
        {"send_full", m->send_full},
        {"receive_failed", m->receive_failed},
        {"log_dropped", log_dropped_lines()},
    };
    const size_t count = server_stats(s, ret);
    memcpy(ret + count, own, sizeof own);
    return count + METRICS_OWN;
}

/* ---- the text ---- */

struct text {
    char *at;
    size_t used, cap; /* used == cap: it did not fit */
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int size = vsnprintf(t->at + t->used, t->cap - t->used, format, args);
    va_end(args);
    t->used = size >= 0 && (size_t)size < t->cap - t->used ? t->used + (size_t)size : t->cap;
}

static void put_head(struct text *t, const char *name, const char *type, const char *help)
{
    put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static uint64_t find(const struct server_stat *values, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0)
            return values[i].value;
    return 0; /* a test looks that each is found */
}

static void put_metric(struct text *t, const struct metric *m, uint64_t value)
{
    if (m->help != NULL)
        put_head(t, m->name, m->type, m->help);
    if (m->label != NULL)
        put(t, "%s{%s=\"%s\"} %" PRIu64 "\n", m->name, m->label, m->label_value, value);
    else
        put(t, "%s %" PRIu64 "\n", m->name, value);
}

/* unit: what one of the text's is in the histogram's; 1000000 for microseconds told in seconds. */
static void put_histogram(struct text *t, const char *name, const char *help, const struct histogram *h, uint64_t unit)
{
    uint64_t below = 0;
    put_head(t, name, "histogram", help);
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        below += h->counts[i];
        if (i == HISTOGRAM_BOUNDS)
            put(t, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, below);
        else if (unit == 1)
            put(t, "%s_bucket{le=\"%" PRIu64 "\"} %" PRIu64 "\n", name, h->bounds[i], below);
        else
            put(t, "%s_bucket{le=\"%" PRIu64 ".%06" PRIu64 "\"} %" PRIu64 "\n", name, h->bounds[i] / unit,
                h->bounds[i] % unit, below);
    }
    if (unit == 1)
        put(t, "%s_sum %" PRIu64 "\n", name, h->sum);
    else
        put(t, "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, h->sum / unit, h->sum % unit);
    put(t, "%s_count %" PRIu64 "\n", name, below);
}

size_t metrics_text(const struct metrics *m, const struct server_stat *values, size_t count, char *ret, size_t cap)
{
    struct text t = {.at = ret, .cap = cap};
    for (size_t i = 0; i < metrics_table_count; i++)
        put_metric(&t, &metrics_table[i], find(values, count, metrics_table[i].stat));
    put_histogram(&t, NAME("wakeup_datagrams"), "Datagrams received at one waking up.", &m->wakeup_datagrams, 1);
    put_histogram(&t, NAME("busy_seconds"), "From waking up until waiting again.", &m->busy_us, VTIME_S(1));
    return t.used < t.cap ? t.used : 0;
}
