/* The server's command line and configuration file. */
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

#include "server/options.h"

enum { ARGUMENTS_MAX = 24 };

static char config_path[] = "/tmp/p2p-options-XXXXXX";

/* `line` is split at blanks; @ stands for the configuration file. */
static enum options_verdict parse(struct options *o, const char *line, char error[static OPTIONS_ERROR_MAX])
{
    char copy[512];
    char *arguments[ARGUMENTS_MAX] = {(char[]){"p2p-server"}};
    int count = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments[count++] = strcmp(word, "@") == 0 ? config_path : word;
    }
    error[0] = '\0';
    return options_parse(o, count, arguments, error);
}

static void write_config(const char *text)
{
    FILE *file = fopen(config_path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_listens(const struct options *o, size_t i, const char *expected)
{
    char text[ADDR_TEXT_MAX];
    assert_true(i < o->listen_count);
    assert_string_equal(addr_format(&o->listen[i], text), expected);
}

static void defaults(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    assert_int_equal(parse(&o, "", error), OPTIONS_RUN);
    assert_int_equal(o.listen_count, 2);
    assert_listens(&o, 0, "0.0.0.0:41414");
    assert_listens(&o, 1, "[::]:41414");
    assert_true(o.listen_is_default);
    assert_int_equal(o.alternate_port, 41415);
    assert_string_equal(o.user, "");
    assert_int_equal(o.log_level, LOG_LEVEL_INFO);
}

static void the_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum options_verdict verdict;
        size_t listens;
        uint16_t alternate;
    } table[] = {
        {"--check", OPTIONS_CHECK, 2, 41415},
        {"--help", OPTIONS_HELP, 0, 0},
        {"--version", OPTIONS_VERSION, 0, 0},
        {"--listen 127.0.0.1:5000", OPTIONS_RUN, 1, 41415},
        {"--listen=127.0.0.1:5000 --listen [::1]:5000", OPTIONS_RUN, 2, 41415},
        {"--listen 127.0.0.1:0", OPTIONS_RUN, 1, 0},
        {"--listen 127.0.0.1:0 --listen 127.0.0.1:0", OPTIONS_RUN, 2, 0},
        {"--listen 127.0.0.1:0 --alt-port 5", OPTIONS_RUN, 1, 5},
        {"--alt-port 0", OPTIONS_RUN, 2, 0},
        {"--alt-port 65535 --check", OPTIONS_CHECK, 2, 65535},
        {"--user root --log-level debug", OPTIONS_RUN, 2, 41415},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct options o;
        char error[OPTIONS_ERROR_MAX];
        assert_int_equal(parse(&o, table[i].line, error), table[i].verdict);
        assert_string_equal(error, "");
        assert_int_equal(o.listen_count, table[i].listens);
        assert_int_equal(o.alternate_port, table[i].alternate);
    }
}

/* 0 is no limit; what is not given is the core's default. */
static void limits(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    assert_int_equal(parse(&o, "", error), OPTIONS_RUN);
    assert_int_equal(o.core.registrations_max, 0);
    assert_int_equal(o.core.relay_bytes_per_s, 0);
    assert_int_equal(
        parse(&o, "--max-clients 1000000 --relay-rate 1 --relay-total 0 --register-rate 1000000000", error),
        OPTIONS_RUN);
    assert_int_equal(o.core.registrations_max, 1000000);
    assert_int_equal(o.core.relay_bytes_per_s, 1);
    assert_int_equal(o.core.relay_total_bytes_per_s, SERVER_NO_LIMIT);
    assert_int_equal(o.core.register_per_s, 1000000000);
    write_config("max-clients = 5\ncontrol-rate = 7\nrelay-total 9\n");
    assert_int_equal(parse(&o, "--config @ --control-rate 0", error), OPTIONS_RUN);
    assert_int_equal(o.core.registrations_max, 5);
    assert_int_equal(o.core.control_per_s, SERVER_NO_LIMIT);
    assert_int_equal(o.core.relay_total_bytes_per_s, 9);
}

/* Each names the culprit. */
static void wrong_usage(void **state)
{
    (void)state;
    static const struct {
        const char *line, *named;
    } table[] = {
        {"--nonsense", "'--nonsense'"},
        {"-v", "'-v'"},
        {"here", "'here'"},
        {"--check here", "'here'"},
        {"--check=yes", "--check=yes"},
        {"--listen", "--listen needs a value"},
        {"--listen 127.0.0.1", "--listen: '127.0.0.1'"},
        {"--listen localhost:5", "'localhost:5'"},
        {"--listen 127.0.0.1:65536", "'127.0.0.1:65536'"},
        {"--listen ::1:5000", "'::1:5000'"},
        {"--listen 127.0.0.1:5 --listen 127.0.0.1:5", "twice"},
        {"--listen 0.0.0.0:1 --listen 0.0.0.0:2 --listen 0.0.0.0:3 --listen 0.0.0.0:4 --listen 0.0.0.0:5 "
         "--listen 0.0.0.0:6 --listen 0.0.0.0:7 --listen 0.0.0.0:8 --listen 0.0.0.0:9",
         "more than 8"},
        {"--max-clients 0", "--max-clients: '0' is not a number from 1 to 16777216"},
        {"--max-clients 16777217", "'16777217'"},
        {"--max-clients 99999999999999999999999", "'99999999999999999999999'"},
        {"--relay-rate -1", "--relay-rate: '-1' is not a number from 0 to 1000000000"},
        {"--relay-total 1k", "--relay-total: '1k'"},
        {"--register-rate +5", "--register-rate: '+5'"},
        {"--control-rate 1000000001", "--control-rate: '1000000001'"},
        {"--alt-port 65536", "--alt-port: '65536'"},
        {"--alt-port -1", "--alt-port: '-1'"},
        {"--alt-port +1", "--alt-port: '+1'"},
        {"--alt-port 5x", "--alt-port: '5x'"},
        {"--alt-port 0000000000000000001", "--alt-port: '000"},
        {"--alt-port 41414", "41414"},
        {"--listen 127.0.0.1:41415", "41415"},
        {"--metrics nowhere", "'nowhere'"},
        {"--metrics 65536", "'65536'"},
        {"--metrics :", "':'"},
        {"--metrics 127.0.0.1", "'127.0.0.1'"},
        {"--metrics localhost:9090", "'localhost:9090'"},
        {"--user no-such-user-here", "'no-such-user-here'"},
        {"--log-level loud", "'loud'"},
        {"--log-addresses=yes", "--log-addresses=yes"},
        {"--config /no/such/file", "'/no/such/file': No such file"},
        {"--config /", "Is a directory"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct options o;
        char error[OPTIONS_ERROR_MAX];
        assert_int_equal(parse(&o, table[i].line, error), OPTIONS_WRONG);
        if (strstr(error, table[i].named) == NULL)
            fail_msg("\"%s\" gave \"%s\", without \"%s\"", table[i].line, error, table[i].named);
        assert_null(strchr(error, '\n'));
    }
}

/* A port alone is nobody else's: on loopback. */
static void where_metrics_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *line, *at;
    } table[] = {
        {"", "none"},
        {"--metrics 9090", "127.0.0.1:9090"},
        {"--metrics :9090", "127.0.0.1:9090"},
        {"--metrics 0", "127.0.0.1:0"},
        {"--metrics [::1]:9090", "[::1]:9090"},
        {"--metrics 0.0.0.0:9090", "0.0.0.0:9090"},
        {"--metrics 9090 --metrics 9091", "127.0.0.1:9091"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct options o;
        char error[OPTIONS_ERROR_MAX], text[ADDR_TEXT_MAX];
        assert_int_equal(parse(&o, table[i].line, error), OPTIONS_RUN);
        assert_string_equal(addr_format(&o.metrics, text), table[i].at);
    }
}

static void the_configuration_file(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    write_config("# where\n"
                 "listen = 127.0.0.1:5000   # the first\n"
                 "\tlisten [::1]:5000\n"
                 "\n"
                 "alt-port=6000\r\n"
                 "log-addresses = yes\n"
                 "  log-level   =   error  ");
    assert_int_equal(parse(&o, "--config @", error), OPTIONS_RUN);
    assert_int_equal(o.listen_count, 2);
    assert_listens(&o, 0, "127.0.0.1:5000");
    assert_listens(&o, 1, "[::1]:5000");
    assert_int_equal(o.alternate_port, 6000);
    assert_int_equal(o.log_level, LOG_LEVEL_ERROR);
    assert_true(o.log_addresses);

    /* The command line wins, wherever --config stands. */
    assert_int_equal(parse(&o, "--alt-port 7 --config @ --listen 127.0.0.2:1 --listen 127.0.0.3:1", error),
                     OPTIONS_RUN);
    assert_int_equal(o.listen_count, 2);
    assert_listens(&o, 0, "127.0.0.2:1");
    assert_listens(&o, 1, "127.0.0.3:1");
    assert_int_equal(o.alternate_port, 7);
    assert_int_equal(o.log_level, LOG_LEVEL_ERROR);
}

static void wrong_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *text, *named;
    } table[] = {
        {"\n\ncolour = blue\n", "line 3: there is no setting 'colour'"},
        {"config = /etc/passwd\n", "line 1: there is no setting 'config'"},
        {"--listen = 127.0.0.1:1\n", "line 1: there is no setting '--listen'"},
        {"= 5\n", "line 1: there is no setting ''"},
        {"listen = 127.0.0.1\n", "line 1: listen: '127.0.0.1'"},
        {"alt-port =\n", "line 1: alt-port has no value"},
        {"alt-port\n", "line 1: alt-port has no value"},
        {"log-addresses = perhaps\n", "line 1: log-addresses: 'perhaps'"},
        {"alt-port # 5\n", "line 1: alt-port has no value"},
        {"listen 1.2.3.4:5\nmetrics = 127.0.0.1\n", "line 2: metrics: '127.0.0.1'"},
        {"user = no-such-user-here\n", "line 1: user: there is no user"},
    };
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        write_config(table[i].text);
        assert_int_equal(parse(&o, "--check --config @", error), OPTIONS_WRONG);
        if (strstr(error, table[i].named) == NULL)
            fail_msg("\"%s\" gave \"%s\", without \"%s\"", table[i].text, error, table[i].named);
    }
    char long_line[3000];
    memset(long_line, '#', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = '\0';
    memcpy(long_line + sizeof long_line - 12, "\ncolour = b", 12);
    write_config(long_line);
    assert_int_equal(parse(&o, "--config @", error), OPTIONS_WRONG);
    assert_non_null(strstr(error, "line 1 is too long"));
    assert_non_null(strstr(error, "line 2: there is no setting 'colour'"));
}

static void every_wrong_line_is_told(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_MAX], many[4000];
    write_config("listen = nonsense\nlog-level = error\nalt-port = 70000\n# fine\nuser = no-such-user-here\n");
    assert_int_equal(parse(&o, "--check --config @", error), OPTIONS_WRONG);
    assert_non_null(strstr(error, "line 1: listen: 'nonsense'"));
    assert_non_null(strstr(error, "\n"));
    assert_non_null(strstr(error, "line 3: alt-port: '70000'"));
    assert_non_null(strstr(error, "line 5: user: there is no user"));
    assert_null(strstr(error, "line 2"));
    assert_null(strstr(error, "line 4"));

    for (size_t i = 0; i < sizeof many - 1; i++) /* two thousand wrong lines */
        many[i] = i % 2 == 0 ? 'x' : '\n';
    many[sizeof many - 1] = '\0';
    write_config(many);
    assert_int_equal(parse(&o, "--check --config @", error), OPTIONS_WRONG);
    assert_true(strlen(error) > OPTIONS_ERROR_MAX / 2 && error[strlen(error) - 1] != '\n');
}

static int make_config(void **state)
{
    (void)state;
    int fd = mkstemp(config_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_config(void **state)
{
    (void)state;
    return unlink(config_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(the_command_line),
        cmocka_unit_test(limits),
        cmocka_unit_test(wrong_usage),
        cmocka_unit_test(where_metrics_are_told),
        cmocka_unit_test(the_configuration_file),
        cmocka_unit_test(wrong_configuration),
        cmocka_unit_test(every_wrong_line_is_told),
    };
    return cmocka_run_group_tests(tests, make_config, remove_config);
}
