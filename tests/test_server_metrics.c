/* The table of metrics, their text, and histograms. */
#include "server/metrics.h"
#include "server_rig.h"
#include <stdio.h>

static bool has_value(const struct server_stat *values, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0)
            return true;
    return false;
}

static size_t lines_of(const char *stat)
{
    size_t lines = 0;
    for (size_t i = 0; i < metrics_table_count; i++)
        lines += strcmp(metrics_table[i].stat, stat) == 0;
    return lines;
}

/* What is counted anew has to get its place in the table, and one that is gone has to leave it. */
static void every_counter_has_one_metric(void **state)
{
    (void)state;
    struct rig r;
    struct metrics m;
    struct server_stat values[METRICS_VALUES_MAX];
    rig_start(&r, NULL);
    metrics_init(&m);
    const size_t count = metrics_values(&m, r.server, values);
    for (size_t i = 0; i < count; i++)
        if (lines_of(values[i].name) != 1)
            fail_msg("'%s' of server_stats() is in %zu lines of metrics_table", values[i].name,
                     lines_of(values[i].name));
    for (size_t i = 0; i < metrics_table_count; i++)
        if (!has_value(values, count, metrics_table[i].stat))
            fail_msg("%s: nothing counts '%s'", metrics_table[i].name, metrics_table[i].stat);
    rig_stop(&r);
}

static void names_follow_the_conventions(void **state)
{
    (void)state;
    for (size_t i = 0; i < metrics_table_count; i++) {
        const struct metric *m = &metrics_table[i];
        const size_t length = strlen(m->name);
        const bool total = length > 6 && strcmp(m->name + length - 6, "_total") == 0;
        assert_true(strcmp(m->type, "counter") == 0 || strcmp(m->type, "gauge") == 0);
        assert_true(total == (strcmp(m->type, "counter") == 0));
        const bool first = i == 0 || strcmp(m->name, m[-1].name) != 0;
        assert_true(first == (m->help != NULL));
        assert_true((m->label == NULL) == (m->label_value == NULL));
        for (size_t k = 0; first && k < i; k++) /* lines of one name stand together */
            assert_string_not_equal(metrics_table[k].name, m->name);
        for (size_t k = 0; !first && k < i; k++)
            assert_true(strcmp(metrics_table[k].name, m->name) != 0 ||
                        strcmp(metrics_table[k].label_value, m->label_value) != 0);
    }
}

static void fill(struct histogram *h)
{
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        h->counts[i] = UINT64_MAX / (HISTOGRAM_BOUNDS + 1);
    h->sum = UINT64_MAX;
}

/* And half of the room is left for what will be counted one day. */
static void the_largest_numbers_fit(void **state)
{
    (void)state;
    struct rig r;
    struct metrics m;
    struct server_stat values[METRICS_VALUES_MAX];
    static char text[METRICS_TEXT_MAX];
    rig_start(&r, NULL);
    metrics_init(&m);
    const size_t count = metrics_values(&m, r.server, values);
    for (size_t i = 0; i < count; i++)
        values[i].value = UINT64_MAX;
    fill(&m.wakeup_datagrams);
    fill(&m.busy_us);
    const size_t size = metrics_text(&m, values, count, text, sizeof text);
    assert_in_range(size, 1, METRICS_TEXT_MAX / 2);
    assert_int_equal(text[size - 1], '\n');
    for (size_t cap = 1; cap <= size; cap++) {
        static char small[METRICS_TEXT_MAX];
        small[cap] = 0x55;
        assert_int_equal(metrics_text(&m, values, count, small, cap), 0);
        assert_int_equal(small[cap], 0x55);
    }
    assert_int_equal(metrics_text(&m, values, count, text, size + 1), size);
    rig_stop(&r);
}

static void assert_has_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    if (at == NULL || (at != text && at[-1] != '\n') || at[strlen(line)] != '\n')
        fail_msg("no line '%s'", line);
}

static void histograms(void **state)
{
    (void)state;
    struct metrics m;
    static char text[METRICS_TEXT_MAX + 1];
    metrics_init(&m);
    static const uint64_t datagrams[] = {1, 1, 2, 3, 512, 513};
    static const uint64_t busy_us[] = {0, 25, 26, 100000, 100001, 3000000};
    for (size_t i = 0; i < sizeof datagrams / sizeof datagrams[0]; i++) {
        histogram_add(&m.wakeup_datagrams, datagrams[i]);
        histogram_add(&m.busy_us, busy_us[i]);
    }
    text[metrics_text(&m, NULL, 0, text, METRICS_TEXT_MAX)] = '\0';
    static const char *const lines[] = {
        "p2p_server_wakeup_datagrams_bucket{le=\"1\"} 2",
        "p2p_server_wakeup_datagrams_bucket{le=\"2\"} 3",
        "p2p_server_wakeup_datagrams_bucket{le=\"4\"} 4",
        "p2p_server_wakeup_datagrams_bucket{le=\"256\"} 4",
        "p2p_server_wakeup_datagrams_bucket{le=\"512\"} 5",
        "p2p_server_wakeup_datagrams_bucket{le=\"+Inf\"} 6",
        "p2p_server_wakeup_datagrams_sum 1032",
        "p2p_server_wakeup_datagrams_count 6",
        "p2p_server_busy_seconds_bucket{le=\"0.000025\"} 2",
        "p2p_server_busy_seconds_bucket{le=\"0.000050\"} 3",
        "p2p_server_busy_seconds_bucket{le=\"0.100000\"} 4",
        "p2p_server_busy_seconds_bucket{le=\"+Inf\"} 6",
        "p2p_server_busy_seconds_sum 3.200052",
        "p2p_server_busy_seconds_count 6",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_has_line(text, lines[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_has_one_metric),
        cmocka_unit_test(names_follow_the_conventions),
        cmocka_unit_test(the_largest_numbers_fit),
        cmocka_unit_test(histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
