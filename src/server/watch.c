#include "server/watch.h"
#include "server/log.h"
#include <stdbool.h>
#include <string.h>

static bool may_say(vtime_us *quiet_until, vtime_us now)
{
    if (now < *quiet_until)
        return false;
    *quiet_until = now + WATCH_QUIET_US;
    return true;
}

static size_t place_of(const char *stat, const struct server_stat *values, size_t count)
{
    size_t i = 0;
    while (i < count && strcmp(values[i].name, stat) != 0)
        i++;
    return i;
}

/* All counters called `metric` that have grown, by their labels. */
static void say_growth(const struct watch *w, const char *event, const char *metric, const struct server_stat *values,
                       size_t count)
{
    struct log_field fields[METRICS_VALUES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < metrics_table_count; i++) {
        const struct metric *m = &metrics_table[i];
        const size_t at = strcmp(m->name, metric) == 0 ? place_of(m->stat, values, count) : count;
        if (at < count && values[at].value > w->before[at])
            fields[used++] = LOG_NUMBER(m->label_value, values[at].value - w->before[at]);
    }
    if (used > 0)
        log_fields(LOG_LEVEL_INFO, event, fields, used);
}

static void say_full(struct watch *w, vtime_us now, const char *table, const char *max_stat,
                     const struct server_stat *values, size_t count)
{
    const size_t used = place_of(table, values, count), max = place_of(max_stat, values, count);
    if (used == count || max == count || values[used].value * 100 < values[max].value * WATCH_FULL_PERCENT)
        return;
    if (may_say(&w->quiet_until[used], now))
        log_event(LOG_LEVEL_WARNING, "table-full", LOG_TEXT("table", table), LOG_NUMBER("used", values[used].value),
                  LOG_NUMBER("max", values[max].value));
}

void watch_minute(struct watch *w, vtime_us now, const struct server_stat *values, size_t count)
{
    say_growth(w, "refused", "p2p_server_refused_total", values, count);
    say_growth(w, "dropped", "p2p_server_dropped_total", values, count);
    for (size_t i = 0; i < metrics_table_count; i++)
        if (strcmp(metrics_table[i].name, "p2p_server_table_max") == 0)
            say_full(w, now, metrics_table[i].label_value, metrics_table[i].stat, values, count);
    for (size_t i = 0; i < count; i++)
        w->before[i] = values[i].value;
}

void watch_stop(const struct server_stat *values, size_t count)
{
    struct log_field fields[METRICS_VALUES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < metrics_table_count; i++) {
        const size_t at = place_of(metrics_table[i].stat, values, count);
        if (at < count && values[at].value > 0 && strcmp(metrics_table[i].type, "counter") == 0)
            fields[used++] = LOG_NUMBER(values[at].name, values[at].value);
    }
    log_fields(LOG_LEVEL_INFO, "stop", fields, used);
}

void watch_failure(struct watch *w, vtime_us now, int error, const struct addr *to)
{
    char text[ADDR_TEXT_MAX];
    if (!may_say(to != NULL ? &w->send_quiet_until : &w->receive_quiet_until, now))
        return;
    const struct log_field fields[] = {LOG_TEXT("reason", strerror(error)),
                                       LOG_TEXT("to", to != NULL ? addr_format(to, text) : "")};
    log_fields(LOG_LEVEL_WARNING, to != NULL ? "send-failed" : "receive-failed", fields,
               to != NULL && log_has_addresses() ? 2 : 1);
}
