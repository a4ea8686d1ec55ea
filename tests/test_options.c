/* The command line: every wrong use is refused with a reason, secrets leave argv, servers in all their spellings. */
#include "client/buffer.h"
#include "client/options.h"
#include "client/secret.h"
#include "hex.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 8, ARGUMENT_BYTES = 2048 };

/* Writable, as the system's argv is. */
static char storage[ARGUMENTS_MAX][ARGUMENT_BYTES];
static char *arguments[ARGUMENTS_MAX + 1];
static char error[OPTIONS_ERROR_MAX];
static struct options options;

/* Words apart by '|', because values contain spaces. */
static bool parse(const char *line)
{
    int count = 0;
    snprintf(storage[count], ARGUMENT_BYTES, "p2p-client");
    for (arguments[count] = storage[count], count++; *line != '\0' && count < ARGUMENTS_MAX; count++) {
        size_t size = strcspn(line, "|");
        assert_true(size < ARGUMENT_BYTES);
        memcpy(storage[count], line, size);
        storage[count][size] = '\0';
        arguments[count] = storage[count];
        line += size + (line[size] == '|');
    }
    arguments[count] = NULL;
    error[0] = '\0';
    return options_parse(&options, count, arguments, error);
}

static int forget_environment(void **state)
{
    (void)state;
    unsetenv("P2P_SERVER");
    unsetenv("P2P_KEYWORD");
    return 0;
}

static void test_defaults(void **state)
{
    char at[ADDR_TEXT_MAX];
    (void)state;
    assert_true(parse(""));
    assert_int_equal(options.mode, MODE_AUTO);
    assert_int_equal(options.relay, RELAY_AUTO);
    assert_int_equal(options.keyword_source, KEYWORD_FROM_NOWHERE);
    assert_int_equal(options.wait_s, 86400);
    assert_int_equal(options.name_size, 0);
    assert_false(options.server_given);
    assert_string_equal(addr_format(&options.server.numeric, at), "127.0.0.1:41414");
}

static void test_all_flags(void **state)
{
    (void)state;
    assert_true(parse("--keyword=42-crab-lunar-toast|--server=chat.example.org:5|--name=Zoë|--console|--relay=only|"
                      "--wait=0"));
    assert_int_equal(options.mode, MODE_CONSOLE);
    assert_int_equal(options.relay, RELAY_ONLY);
    assert_int_equal(options.keyword_source, KEYWORD_FROM_FLAG);
    assert_int_equal(options.keyword_size, strlen("42-crab-lunar-toast"));
    assert_memory_equal(options.keyword, "42-crab-lunar-toast", options.keyword_size);
    assert_string_equal(options.server.host, "chat.example.org");
    assert_int_equal(options.server.port, 5);
    assert_int_equal(options.server.numeric.family, ADDR_NONE);
    assert_int_equal(options.name_size, 4);
    assert_int_equal(options.wait_s, 0);
    assert_true(parse("--json|--new|--relay|never"));
    assert_int_equal(options.mode, MODE_JSON);
    assert_int_equal(options.relay, RELAY_NEVER);
    assert_int_equal(options.keyword_source, KEYWORD_FROM_NEW);
    assert_true(parse("--version"));
    assert_true(options.version);
    assert_true(parse("--help|--bogus"));
    assert_true(options.help);
}

static void test_wrong_usage(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"--bogus", "'--bogus'"},
        {"--bogus=secret", "'--bogus'"},
        {"-k", "'-k'"},
        {"--keyword", "--keyword needs a value"},
        {"--keyword|--json", "--keyword needs a value"},
        {"--name", "--name needs a value"},
        {"--new=x", "--new takes no value"},
        {"--ke=x", "several options"},
        {"--keyword|a|--new", "one of --keyword"},
        {"--keyword|a|--keyword|b", "one of --keyword"},
        {"--keyword-file|f|--keyword=b", "one of --keyword"},
        {"--console|--json", "not both"},
        {"--relay|perhaps", "'perhaps'"},
        {"--wait|", "--wait"},
        {"--wait=-1", "--wait"},
        {"--wait|1.5", "--wait"},
        {"--wait|ten", "'ten'"},
        {"--wait|99999999999999999999", "--wait"},
        {"--name|01234567890123456789012345678901234567890123456789012345678901234", "65 bytes"},
        {"--name|a\x1b[31m", "control"},
        {"--name|\xff", "UTF-8"},
        {"stray", "'stray'"},
        {"--json|stray|--new", "'stray'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse(cases[i].line))
            fail_msg("accepted: %s", cases[i].line);
        if (strstr(error, cases[i].said) == NULL || strchr(error, '\n') != NULL)
            fail_msg("%s: %s", cases[i].line, error);
        assert_null(strstr(error, "secret"));
    }
}

static void test_keyword_leaves_argv(void **state)
{
    static const char *const lines[] = {"--keyword|hidden", "--keyword=hidden", "--json|--keyword|hidden|--wait|5",
                                        "--keyword|hidden|--bogus", "--keyword=hidden|--new"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        parse(lines[i]);
        for (size_t k = 0; k < ARGUMENTS_MAX; k++)
            for (size_t b = 0; b + 6 <= ARGUMENT_BYTES; b++)
                if (memcmp(storage[k] + b, "hidden", 6) == 0)
                    fail_msg("still there: %s", lines[i]);
    }
}

static void test_servers(void **state)
{
    static const struct {
        const char *text, *host, *numeric;
        uint16_t port;
    } cases[] = {
        {"localhost", "localhost", NULL, 41414},
        {"chat.example.org:5", "chat.example.org", NULL, 5},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", NULL, 41414},
        {"4.h7", "4.h7", NULL, 41414},
        {"0xylophone", "0xylophone", NULL, 41414},
        {"192.0.2.1", "192.0.2.1", "192.0.2.1:41414", 41414},
        {"192.0.2.1:65535", "192.0.2.1", "192.0.2.1:65535", 65535},
        {"[2001:db8::1]:7", "2001:db8::1", "[2001:db8::1]:7", 7},
        {"[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:41414", 41414},
        {"2001:db8::1", "2001:db8::1", "[2001:db8::1]:41414", 41414},
        {"::1", "::1", "[::1]:41414", 41414},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1:41414", 41414},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_port server;
        char at[ADDR_TEXT_MAX];
        if (!host_port_parse(&server, cases[i].text, error))
            fail_msg("%s: %s", cases[i].text, error);
        assert_string_equal(server.host, cases[i].host);
        assert_int_equal(server.port, cases[i].port);
        if (cases[i].numeric == NULL)
            assert_int_equal(server.numeric.family, ADDR_NONE);
        else
            assert_string_equal(addr_format(&server.numeric, at), cases[i].numeric);
    }
}

static void test_wrong_servers(void **state)
{
    static const char *const cases[] = {
        "",        ":",         ":5",    "host:",       "host:0",   "host:65536",      "host:-1",
        "host:5x", "host: 5",   "a b",   "http://x",    "[::1",     "[::1]5",          "[::1]:",
        "[::1]:0", "[host]:5",  "a:b:c", "2001:db8::g", "0.0.0.0",  "255.255.255.255", "224.0.0.1",
        "[::]:5",  "user@host", "-x",    "fe80::1%e0",  "host:1:2", "a\001b",          "[]:5",
        "1.2.3",   "127.1:5",   "5",     "0x7f.1",      "a.0X1",    "256.1.1.1",       "0x",
    };
    char longest[300];
    struct host_port server;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (host_port_parse(&server, cases[i], error))
            fail_msg("accepted: '%s'", cases[i]);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(host_port_parse(&server, longest, error));
    longest[HOST_BYTES_MAX] = '\0';
    assert_true(host_port_parse(&server, longest, error));
}

static void test_server_from_environment(void **state)
{
    (void)state;
    setenv("P2P_SERVER", "a.example:7", 1);
    assert_true(parse(""));
    assert_string_equal(options.server.host, "a.example");
    assert_true(options.server_given);
    assert_true(parse("--server|b.example"));
    assert_string_equal(options.server.host, "b.example");
    setenv("P2P_SERVER", "", 1);
    assert_true(parse(""));
    assert_string_equal(options.server.host, "127.0.0.1");
    setenv("P2P_SERVER", "a.example:x", 1);
    assert_false(parse(""));
    assert_non_null(strstr(error, "P2P_SERVER"));
    assert_true(parse("--server|b.example"));
}

static void test_other_side(void **state)
{
    struct buffer command = {0};
    (void)state;
    assert_true(parse("--new"));
    options_other_side(&options, "42-crab-lunar-toast", &command);
    assert_string_equal(command.at, "p2p-client --keyword 42-crab-lunar-toast");
    buffer_clear(&command);
    assert_true(parse("--new|--server|[2001:db8::1]:5"));
    options_other_side(&options, "it's $HOME", &command);
    assert_string_equal(command.at, "p2p-client --keyword 'it'\\''s $HOME' --server '[2001:db8::1]:5'");
    buffer_free(&command);
}

/* ---- where the keyword comes from ---- */

static void write_file(char path[static 32], const char *bytes, size_t size)
{
    snprintf(path, 32, "/tmp/p2p-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static void assert_keyword(const struct keyword *k, const char *want)
{
    assert_int_equal(k->size, strlen(want));
    assert_memory_equal(k->normal, want, k->size);
}

static void test_keyword_file(void **state)
{
    static const struct {
        const char *bytes, *want; /* NULL: refused */
    } cases[] = {
        {"lunar toast\nsecond line\n", "lunar-toast"},
        {"lunar toast", "lunar-toast"},
        {"lunar toast\r\n", "lunar-toast"},
        {"\xef\xbb\xbflunar toast\n", "lunar-toast"},
        {"", NULL},
        {"\nlunar\n", NULL},
        {"\xff\n", NULL},
        {"a\001b\n", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyword k;
        char path[32], line[80];
        write_file(path, cases[i].bytes, strlen(cases[i].bytes));
        snprintf(line, sizeof line, "--keyword-file|%s", path);
        assert_true(parse(line));
        bool good = secret_obtain(&k, &options, false, error);
        unlink(path);
        assert_int_equal(good, cases[i].want != NULL);
        if (good)
            assert_keyword(&k, cases[i].want);
        else
            assert_non_null(strstr(error, path));
    }
}

static void test_keyword_file_of_one_endless_line(void **state)
{
    char path[32], line[80], *bytes = memory_new(1, 1 << 20);
    struct keyword k;
    (void)state;
    memset(bytes, 'x', 1 << 20);
    write_file(path, bytes, 1 << 20);
    snprintf(line, sizeof line, "--keyword-file|%s", path);
    assert_true(parse(line));
    assert_false(secret_obtain(&k, &options, false, error));
    assert_non_null(strstr(error, "too long"));
    unlink(path);
    free(bytes);
}

static void test_keyword_from_environment(void **state)
{
    struct keyword k;
    (void)state;
    setenv("P2P_KEYWORD", "lunar toast", 1);
    char *value = getenv("P2P_KEYWORD");
    assert_true(parse(""));
    assert_true(secret_obtain(&k, &options, false, error));
    assert_keyword(&k, "lunar-toast");
    assert_null(getenv("P2P_KEYWORD"));
    for (size_t i = 0; i < strlen("lunar toast"); i++)
        assert_int_equal(value[i], 0);

    setenv("P2P_KEYWORD", "", 1);
    assert_true(parse(""));
    assert_false(secret_obtain(&k, &options, false, error));
    assert_non_null(strstr(error, "P2P_KEYWORD"));

    setenv("P2P_KEYWORD", "lunar toast", 1);
    assert_true(parse("--keyword|crab"));
    assert_true(secret_obtain(&k, &options, false, error));
    assert_keyword(&k, "crab");
    assert_null(getenv("P2P_KEYWORD")); /* wiped although it was not used */
}

static void test_no_keyword(void **state)
{
    struct keyword k;
    (void)state;
    assert_true(parse(""));
    assert_false(secret_obtain(&k, &options, false, error));
    assert_non_null(strstr(error, "no keyword"));
    assert_true(parse("--new"));
    assert_true(secret_obtain(&k, &options, false, error));
    assert_int_equal(k.form, KEYWORD_NEW);
}

static void test_flag_is_wiped_after_use(void **state)
{
    struct keyword k;
    (void)state;
    assert_true(parse("--keyword|hidden words"));
    assert_true(secret_obtain(&k, &options, false, error));
    for (size_t i = 0; i < sizeof options.keyword; i++)
        assert_int_equal(options.keyword[i], 0);
}

static void test_help_fits_a_screen(void **state)
{
    size_t lines = 0, column = 0;
    (void)state;
    for (const char *at = options_usage; *at != '\0'; at++) {
        column = *at == '\n' ? 0 : column + 1;
        lines += *at == '\n';
        assert_true(column <= 80);
    }
    assert_true(lines <= 22); /* and the command and the next prompt */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, forget_environment),
        cmocka_unit_test_setup(test_all_flags, forget_environment),
        cmocka_unit_test_setup(test_wrong_usage, forget_environment),
        cmocka_unit_test_setup(test_keyword_leaves_argv, forget_environment),
        cmocka_unit_test_setup(test_servers, forget_environment),
        cmocka_unit_test_setup(test_wrong_servers, forget_environment),
        cmocka_unit_test_setup(test_server_from_environment, forget_environment),
        cmocka_unit_test_setup(test_other_side, forget_environment),
        cmocka_unit_test_setup(test_keyword_file, forget_environment),
        cmocka_unit_test_setup(test_keyword_file_of_one_endless_line, forget_environment),
        cmocka_unit_test_setup(test_keyword_from_environment, forget_environment),
        cmocka_unit_test_setup(test_no_keyword, forget_environment),
        cmocka_unit_test_setup(test_flag_is_wiped_after_use, forget_environment),
        cmocka_unit_test_setup(test_help_fits_a_screen, forget_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
