/* What the log says of the counters, and how much at the most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "server/log.h"
#include "server/watch.h"

static char said[1 << 17];
static int real_stderr;
static FILE *file;

/* From here on stderr is a file. */
static void listen_to(bool with_addresses)
{
    fflush(stderr);
    file = tmpfile();
    assert_non_null(file);
    real_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    log_open(LOG_LEVEL_INFO, with_addresses);
}

/* What has been said since, in `said`. Returns how many lines. */
static size_t hear(void)
{
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    size_t lines = 0;
    for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    return lines;
}

static void assert_said(const char *what)
{
    if (strstr(said, what) == NULL)
        fail_msg("'%s' is not in: %s", what, said);
}

static void growth_is_said_once_a_minute(void **state)
{
    (void)state;
    struct watch w = {0};
    struct server_stat values[] = {{"refused_busy", 3}, {"refused_unknown", 0}, {"dropped_unpadded", 5}};
    listen_to(false);
    watch_minute(&w, VTIME_S(60), values, 3);
    assert_int_equal(hear(), 2);
    assert_said("level=info event=refused busy=3\n");
    assert_said("level=info event=dropped unpadded=5\n");

    listen_to(false);
    watch_minute(&w, VTIME_S(120), values, 3);
    assert_int_equal(hear(), 0);

    listen_to(false);
    values[0].value = 4;
    values[1].value = 7;
    watch_minute(&w, VTIME_S(180), values, 3);
    assert_int_equal(hear(), 1);
    assert_said("event=refused unknown=7 busy=1\n");
}

static void a_full_table_is_warned_of(void **state)
{
    (void)state;
    struct watch w = {0};
    struct server_stat values[] = {{"links", 89}, {"links_max", 100}};
    listen_to(false);
    watch_minute(&w, VTIME_S(60), values, 2);
    assert_int_equal(hear(), 0);

    listen_to(false);
    values[0].value = 90;
    for (vtime_us now = VTIME_S(120); now < VTIME_S(120) + WATCH_QUIET_US; now += VTIME_S(60))
        watch_minute(&w, now, values, 2);
    assert_int_equal(hear(), 1);
    assert_said("level=warning event=table-full table=links used=90 max=100\n");

    listen_to(false);
    watch_minute(&w, VTIME_S(120) + WATCH_QUIET_US, values, 2);
    assert_int_equal(hear(), 1);
}

static void failures_tell_addresses_only_if_asked(void **state)
{
    (void)state;
    const struct addr to = addr_v4(192, 0, 2, 1, 5000);
    for (int with = 0; with < 2; with++) {
        struct watch w = {0};
        listen_to(with);
        for (int i = 0; i < 100; i++)
            watch_failure(&w, VTIME_S(60) + VTIME_MS(i), 101, &to);
        watch_failure(&w, VTIME_S(60), 12, NULL);
        assert_int_equal(hear(), 2);
        assert_said("level=warning event=send-failed reason=\"Network is unreachable\"");
        assert_said("level=warning event=receive-failed reason=\"Cannot allocate memory\"\n");
        assert_true((strstr(said, " to=192.0.2.1:5000\n") != NULL) == (with == 1));
    }
}

/* A minute may end in the middle, once. */
static void a_flood_of_events_is_not_a_flood_of_lines(void **state)
{
    (void)state;
    enum { FLOOD = 1000 };
    const uint64_t before = log_dropped_lines();
    listen_to(false);
    for (int i = 0; i < FLOOD; i++)
        log_event(LOG_LEVEL_INFO, "flood", LOG_NUMBER("i", (uint64_t)i));
    const size_t lines = hear();
    assert_in_range(lines, 1, 2 * LOG_LINES_PER_MINUTE);
    assert_int_equal(log_dropped_lines() - before, FLOOD - lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_is_said_once_a_minute),
        cmocka_unit_test(a_full_table_is_warned_of),
        cmocka_unit_test(failures_tell_addresses_only_if_asked),
        cmocka_unit_test(a_flood_of_events_is_not_a_flood_of_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
