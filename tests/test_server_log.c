/* The server's log lines: logfmt, quoting, escaping, and what happens when one is too long. */
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "server/log.h"

static const struct log_front at_start = {.unix_seconds = 1700000000};

static void a_line(void **state)
{
    (void)state;
    char line[LOG_LINE_BYTES_MAX + 1];
    const struct log_field fields[] = {LOG_TEXT("version", "1.2.3"), LOG_NUMBER("sockets", UINT64_MAX)};
    size_t size = log_format(line, &at_start, LOG_LEVEL_INFO, "start", fields, 2);
    assert_string_equal(line, "time=2023-11-14T22:13:20Z level=info event=start version=1.2.3 "
                              "sockets=18446744073709551615\n");
    assert_int_equal(size, strlen(line));
    log_format(line, &at_start, LOG_LEVEL_ERROR, "bare", NULL, 0);
    assert_string_equal(line, "time=2023-11-14T22:13:20Z level=error event=bare\n");
}

static void the_journal_has_priorities_and_its_own_clock(void **state)
{
    (void)state;
    static const char *const expected[] = {"<3>level=error event=e\n", "<4>level=warning event=e\n",
                                           "<6>level=info event=e\n", "<7>level=debug event=e\n"};
    const struct log_front front = {.unix_seconds = 1700000000, .journal = true};
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        char line[LOG_LINE_BYTES_MAX + 1];
        log_format(line, &front, (enum log_level)i, "e", NULL, 0);
        assert_string_equal(line, expected[i]);
    }
}

static void quoting(void **state)
{
    (void)state;
    static const struct {
        const char *value, *written;
    } table[] = {
        {"plain", "plain"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"line\nbreak level=error", "\"line\\nbreak level=error\""},
        {"tab\tand\rreturn", "\"tab\\tand\\u000dreturn\""},
        {"\x1b[31mred", "\"\\u001b[31mred\""},
        {"\x7f", "\"\\u007f\""},
        {"\xc3\xa9", "\"\\u00e9\""},
        {"\xe2\x80\xae"
         "esrever",
         "\"\\u202eesrever\""},
        {"\xf0\x9f\xa6\x80", "\"\\ud83e\\udd80\""},
        {"\xff\xc3", "\"\\ufffd\\ufffd\""},
        {"\xc2\x9b"
         "1m",
         "\"\\u009b1m\""},
        {"[2001:db8::1]:41414", "[2001:db8::1]:41414"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char line[LOG_LINE_BYTES_MAX + 1], expected[256];
        const struct log_field field = LOG_TEXT("v", table[i].value);
        log_format(line, &at_start, LOG_LEVEL_INFO, "e", &field, 1);
        snprintf(expected, sizeof expected, "time=2023-11-14T22:13:20Z level=info event=e v=%s\n", table[i].written);
        assert_string_equal(line, expected);
    }
}

/* Every length around the limit: always a whole line within it, and never half a field. */
static void too_long_fields_are_left_out_whole(void **state)
{
    (void)state;
    bool seen_cut = false, seen_whole = false;
    for (size_t length = LOG_LINE_BYTES_MAX - 120; length < LOG_LINE_BYTES_MAX + 20; length++) {
        char value[2 * LOG_LINE_BYTES_MAX], guarded[LOG_LINE_BYTES_MAX + 1 + 8];
        memset(value, 'x', length);
        value[length] = '\0';
        memset(guarded, 0x55, sizeof guarded);
        const struct log_field fields[] = {LOG_NUMBER("before", 1), LOG_TEXT("long", value), LOG_NUMBER("after", 2)};
        const size_t size = log_format(guarded, &at_start, LOG_LEVEL_INFO, "e", fields, 3);
        assert_int_equal(size, strlen(guarded));
        assert_in_range(size, 1, LOG_LINE_BYTES_MAX);
        for (size_t i = LOG_LINE_BYTES_MAX + 1; i < sizeof guarded; i++)
            assert_int_equal(guarded[i], 0x55);
        assert_int_equal(guarded[size - 1], '\n');
        assert_non_null(strstr(guarded, " before=1"));
        const bool whole = strstr(guarded, value) != NULL && strstr(guarded, " after=2") != NULL;
        const bool cut = strstr(guarded, " cut=true\n") != NULL;
        assert_true(whole != cut);
        assert_true(strstr(guarded, " long=") == NULL || strstr(guarded, value) != NULL);
        seen_cut = seen_cut || cut;
        seen_whole = seen_whole || whole;
    }
    assert_true(seen_cut && seen_whole);
}

/* Reads from a terminal's other end, which has what was written a moment later, until there are more than `size` bytes
 * that contain `what`. */
static void hear(int fd, char *heard, size_t cap, size_t size, const char *what)
{
    while (strlen(heard) <= size || strstr(heard, what) == NULL) {
        const size_t used = strlen(heard);
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, 10000) != 1)
            fail_msg("only this came, without '%s': %s", what, heard);
        const ssize_t n = read(fd, heard + used, cap - 1 - used);
        assert_true(n > 0);
        heard[used + (size_t)n] = '\0';
    }
}

/* Terminals take a line in part. What comes after it must not look like its end. */
static void after_half_a_line_comes_a_new_one(void **state)
{
    (void)state;
    int master, slave;
    static char heard[1 << 17];
    char long_value[900];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    const size_t line = strlen("time=2023-11-14T22:13:20Z level=info event=fills it=\r\n") + strlen(long_value);

    const int real_stderr = dup(STDERR_FILENO);
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(dup2(slave, STDERR_FILENO), STDERR_FILENO);
    log_open(LOG_LEVEL_INFO, false);
    const uint64_t before = log_dropped_lines();
    size_t whole = 0;
    while (whole < LOG_LINES_PER_MINUTE / 2) {
        log_event(LOG_LEVEL_INFO, "fills", LOG_TEXT("it", long_value));
        if (log_dropped_lines() != before)
            break;
        whole++;
    }
    hear(master, heard, sizeof heard, whole * line, "fills");
    log_event(LOG_LEVEL_INFO, "after", LOG_NUMBER("it", 1));
    hear(master, heard, sizeof heard, 0, "event=after it=1\r\n");
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(master);
    close(slave);
    assert_int_equal(log_dropped_lines() - before, 1);
    static const char front[] = "\ntime=2023-11-14T22:13:20Z ";
    const char *after = strstr(heard, "level=info event=after");
    assert_true(after - heard > (ptrdiff_t)strlen(front));
    assert_memory_equal(after - strlen(front), front, strlen("\ntime="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line),
        cmocka_unit_test(the_journal_has_priorities_and_its_own_clock),
        cmocka_unit_test(quoting),
        cmocka_unit_test(too_long_fields_are_left_out_whole),
        cmocka_unit_test(after_half_a_line_comes_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
