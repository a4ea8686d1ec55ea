/* JSON mode's lines, both ways: exact bytes out, every bad line refused, never a crash. Also the line splitter. */
#include "client/json.h"
#include "client/keys.h"
#include "client/lines.h"
#include "hex.h"
#include "wire/rng.h"
#include <jansson.h>

static struct buffer out;

static const char *line(void)
{
    static char last[65536];
    snprintf(last, sizeof last, "%s", buffer_text(&out));
    buffer_clear(&out);
    return last;
}

static const char *of(struct engine_event e)
{
    json_event(&out, &e);
    return line();
}

/* ---- out ---- */

static void test_events_of_the_server(void **state)
{
    (void)state;
    json_hello(&out, "0.1.0", KEYWORD_ROOM);
    assert_string_equal(line(), "{\"event\":\"hello\",\"version\":\"0.1.0\",\"form\":\"room\"}\n");
    json_hello(&out, "0.1.0", KEYWORD_OPEN);
    assert_string_equal(line(), "{\"event\":\"hello\",\"version\":\"0.1.0\",\"form\":\"open\"}\n");
    json_hello(&out, "0.1.0", KEYWORD_NEW);
    assert_string_equal(line(), "{\"event\":\"hello\",\"version\":\"0.1.0\",\"form\":\"room\"}\n");
    json_keyword(&out, "42-crab", "p2p-client --keyword 42-crab");
    assert_string_equal(
        line(), "{\"event\":\"keyword\",\"keyword\":\"42-crab\",\"command\":\"p2p-client --keyword 42-crab\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_REGISTERED, .addr = addr_v4(203, 0, 113, 7, 40000)}),
                        "{\"event\":\"registered\",\"observed\":\"203.0.113.7:40000\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_SERVER_LOST, .text = "no answer"}),
                        "{\"event\":\"server-lost\",\"reason\":\"no answer\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_NAT,
                                                 .mapping = NAT_PORT_INDEPENDENT,
                                                 .filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
                                                 .ports = NAT_PORTS_SEQUENTIAL}),
                        "{\"event\":\"nat\",\"mapping\":\"port-independent\",\"filtering\":"
                        "\"address-and-port-dependent\",\"ports\":\"sequential\"}\n");
    assert_string_equal(
        of((struct engine_event){.kind = EVENT_NAT, .mapping = 200, .filtering = 200, .ports = 200}),
        "{\"event\":\"nat\",\"mapping\":\"unknown\",\"filtering\":\"unknown\",\"ports\":\"unknown\"}\n");
}

static void test_events_of_peers(void **state)
{
    (void)state;
    assert_string_equal(of((struct engine_event){.kind = EVENT_PEER, .peer = 1, .name = "ann"}),
                        "{\"event\":\"peer\",\"peer\":1,\"name\":\"ann\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_NAME, .peer = 1, .name = "anna"}),
                        "{\"event\":\"name\",\"peer\":1,\"name\":\"anna\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_PEER_LEFT, .peer = 1, .name = "ann", .text = "quit"}),
                        "{\"event\":\"peer-left\",\"peer\":1,\"reason\":\"quit\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_PATH,
                                                 .peer = 1,
                                                 .path = PATH_RELAY,
                                                 .addr = addr_v4(192, 0, 2, 1, 5),
                                                 .rtt_us = 23100,
                                                 .text = "first"}),
                        "{\"event\":\"path\",\"peer\":1,\"path\":\"relay\",\"address\":\"192.0.2.1:5\",\"rtt_ms\":23.1,"
                        "\"reason\":\"first\"}\n");
    assert_string_equal(
        of((struct engine_event){.kind = EVENT_PATH, .peer = 2, .path = PATH_LAN, .rtt_us = RTT_UNKNOWN}),
        "{\"event\":\"path\",\"peer\":2,\"path\":\"lan\",\"address\":null,\"rtt_ms\":null,"
        "\"reason\":null}\n");
}

static void test_events_of_messages(void **state)
{
    (void)state;
    assert_string_equal(of((struct engine_event){
                            .kind = EVENT_MESSAGE, .peer = 1, .name = "ann", .id = 7, .text = "hi", .text_size = 2}),
                        "{\"event\":\"message\",\"peer\":1,\"name\":\"ann\",\"id\":7,\"text\":\"hi\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_SENT, .id = 3, .peer_count = 2, .peers = {1, 2}}),
                        "{\"event\":\"sent\",\"id\":3,\"peers\":[1,2]}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_SENT, .id = MESSAGE_ID_MAX}),
                        "{\"event\":\"sent\",\"id\":9007199254740991,\"peers\":[]}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_DELIVERED, .id = 3, .peer = 1}),
                        "{\"event\":\"delivered\",\"id\":3,\"peer\":1}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_FAILED, .id = 3, .peer = 2, .text = "timeout"}),
                        "{\"event\":\"failed\",\"id\":3,\"peer\":2,\"reason\":\"timeout\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_FAILED, .id = 3, .text = "nobody came"}),
                        "{\"event\":\"failed\",\"id\":3,\"peer\":null,\"reason\":\"nobody came\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_WARNING, .code = "weak-keyword", .text = "short"}),
                        "{\"event\":\"warning\",\"code\":\"weak-keyword\",\"text\":\"short\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_ERROR, .code = "room-full", .text = "full"}),
                        "{\"event\":\"error\",\"code\":\"room-full\",\"text\":\"full\"}\n");
    assert_string_equal(of((struct engine_event){.kind = EVENT_END, .status = 1}),
                        "{\"event\":\"end\",\"status\":1}\n");
}

static void test_answers(void **state)
{
    static const char *const words[4] = {"acid", "bone", "crab", "dune"};
    const struct engine_peer peers[] = {
        {.peer = 1,
         .name = "ann",
         .path = PATH_DIRECT,
         .addr = addr_v4(192, 0, 2, 1, 5),
         .rtt_us = 1200,
         .reason = "r"},
        {.peer = 4, .name = "peer 4", .path = PATH_NONE, .rtt_us = RTT_UNKNOWN, .reason = ""},
    };
    const struct engine_stat stats[] = {{"datagrams_in", 5}, {"datagrams_out", UINT64_C(1) << 40}};
    (void)state;
    json_peers(&out, peers, 2);
    assert_string_equal(line(), "{\"event\":\"peers\",\"peers\":[{\"peer\":1,\"name\":\"ann\",\"path\":\"direct\","
                                "\"address\":\"192.0.2.1:5\",\"rtt_ms\":1.2,\"reason\":\"r\"},{\"peer\":4,\"name\":"
                                "\"peer 4\",\"path\":\"none\",\"address\":null,\"rtt_ms\":null,\"reason\":\"\"}]}\n");
    json_peers(&out, peers, 0);
    assert_string_equal(line(), "{\"event\":\"peers\",\"peers\":[]}\n");
    json_stats(&out, stats, 2, peers, 1);
    assert_string_equal(line(),
                        "{\"event\":\"stats\",\"datagrams_in\":5,\"datagrams_out\":1099511627776,\"peers\":[{"
                        "\"peer\":1,\"name\":\"ann\",\"path\":\"direct\",\"address\":\"192.0.2.1:5\",\"rtt_ms\":"
                        "1.2,\"reason\":\"r\"}]}\n");
    json_verify(&out, 1, words);
    assert_string_equal(line(), "{\"event\":\"verify\",\"peer\":1,\"words\":[\"acid\",\"bone\",\"crab\",\"dune\"]}\n");
    json_bad_command(&out, "no", 0);
    assert_string_equal(line(), "{\"event\":\"error\",\"code\":\"bad-command\",\"text\":\"no\"}\n");
    json_bad_command(&out, "no", 9);
    assert_string_equal(line(), "{\"event\":\"error\",\"code\":\"bad-command\",\"text\":\"no\",\"id\":9}\n");
}

/* Whatever a peer writes, the line is one line and gives the text back. */
static void test_text_is_exact(void **state)
{
    static const char *const texts[] = {
        "",
        "\"quoted\" \\ back",
        "two\nlines\r\n\ttab",
        "\x1b[31m\x01\x7f",
        "\u202e\u2028\xc2\x85",
        "👩‍👧 日本",
        "{\"event\":\"end\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t size = strlen(texts[i]);
        const char *got = of((struct engine_event){
            .kind = EVENT_MESSAGE, .peer = 1, .name = texts[i], .id = 1, .text = texts[i], .text_size = size});
        assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
        json_t *object = json_loads(got, 0, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "text")), texts[i]);
        assert_string_equal(json_string_value(json_object_get(object, "name")), texts[i]);
        json_decref(object);
    }
}

/* ---- in ---- */

static char error[JSON_ERROR_MAX];

static bool parse(struct json_command *ret, const char *text)
{
    error[0] = '\0';
    return json_command_parse(ret, text, strlen(text), error);
}

static void test_send(void **state)
{
    struct json_command c;
    (void)state;
    assert_true(parse(&c, "{\"send\":\"hello\",\"id\":3,\"to\":1}"));
    assert_int_equal(c.kind, JSON_SEND);
    assert_int_equal(c.id, 3);
    assert_int_equal(c.peer, 1);
    assert_int_equal(c.text_size, 5);
    assert_memory_equal(c.text, "hello", 5);
    json_command_free(&c);

    assert_true(parse(&c, " { \"send\" : \"\\ud83d\\ude00\\n\" , \"later\" : [ ] } \r"));
    assert_int_equal(c.id, 0);
    assert_int_equal(c.peer, 0);
    assert_int_equal(c.text_size, 5);
    assert_memory_equal(c.text, "😀\n", 5);
    json_command_free(&c);

    assert_true(parse(&c, "{\"send\":\"\",\"id\":9007199254740991,\"to\":4294967295}"));
    assert_int_equal(c.id, MESSAGE_ID_MAX);
    assert_int_equal(c.peer, UINT32_MAX);
    assert_int_equal(c.text_size, 0);
    json_command_free(&c);
}

static void test_commands(void **state)
{
    static const struct {
        const char *text;
        enum json_command_kind kind;
        uint32_t peer;
    } cases[] = {
        {"{\"command\":\"peers\"}", JSON_PEERS, 0},
        {"{\"command\":\"stats\"}", JSON_STATS, 0},
        {"{\"command\":\"quit\"}", JSON_QUIT, 0},
        {"{\"command\":\"verify\"}", JSON_VERIFY, 0},
        {"{\"command\":\"verify\",\"peer\":2}", JSON_VERIFY, 2},
        {"{\"command\":\"ignore\",\"peer\":5}", JSON_IGNORE, 5},
        {"{\"command\":\"name\",\"name\":\"\"}", JSON_NAME, 0},
    };
    struct json_command c;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!parse(&c, cases[i].text))
            fail_msg("%s: %s", cases[i].text, error);
        assert_int_equal(c.kind, cases[i].kind);
        assert_int_equal(c.peer, cases[i].peer);
        json_command_free(&c);
    }
    assert_true(parse(&c, "{\"command\":\"name\",\"name\":\"Zoë\"}"));
    assert_int_equal(c.text_size, 4);
    json_command_free(&c);
}

static void test_bad_lines(void **state)
{
    static const char *const cases[] = {
        "",
        " ",
        "hello",
        "{",
        "{}",
        "[]",
        "\"send\"",
        "null",
        "{\"send\":\"a\"} {\"send\":\"b\"}",
        "{\"send\":\"a\",\"send\":\"b\"}",
        "{\"send\":\"a\",\"command\":\"quit\"}",
        "{\"send\":1}",
        "{\"send\":null}",
        "{\"send\":[\"a\"]}",
        "{\"send\":\"a\\u0000b\"}",
        "{\"send\":\"\\ud800\"}",
        "{\"send\":\"\xff\"}",
        "{\"send\":\"a\",\"id\":0}",
        "{\"send\":\"a\",\"id\":-1}",
        "{\"send\":\"a\",\"id\":1.0}",
        "{\"send\":\"a\",\"id\":1e2}",
        "{\"send\":\"a\",\"id\":\"1\"}",
        "{\"send\":\"a\",\"id\":null}",
        "{\"send\":\"a\",\"id\":true}",
        "{\"send\":\"a\",\"id\":9007199254740992}",
        "{\"send\":\"a\",\"id\":99999999999999999999999}",
        "{\"send\":\"a\",\"to\":0}",
        "{\"send\":\"a\",\"to\":4294967296}",
        "{\"send\":\"a\",\"to\":\"ann\"}",
        "{\"command\":1}",
        "{\"command\":\"\"}",
        "{\"command\":\"Quit\"}",
        "{\"command\":\"quit\\u0000\",\"x\":\"\xc3\"}",
        "{\"command\":\"send\"}",
        "{\"command\":\"name\"}",
        "{\"command\":\"name\",\"name\":5}",
        "{\"command\":\"name\",\"name\":\"a\\nb\"}",
        "{\"command\":\"name\",\"name\":\"a\\u0000b\"}",
        "{\"command\":\"name\",\"name\":\"01234567890123456789012345678901234567890123456789012345678901234\"}",
        "{\"command\":\"ignore\"}",
        "{\"command\":\"ignore\",\"peer\":0}",
        "{\"command\":\"verify\",\"peer\":\"ann\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_command c;
        if (parse(&c, cases[i]))
            fail_msg("accepted: %s", cases[i]);
        assert_true(error[0] != '\0');
        assert_null(strchr(error, '\n'));
        json_command_free(&c);
    }
}

static void test_length_of_text(void **state)
{
    struct buffer text = {0};
    struct json_command c;
    (void)state;
    for (size_t size = TEXT_BYTES_MAX; size <= TEXT_BYTES_MAX + 1; size++) {
        buffer_clear(&text);
        buffer_add_text(&text, "{\"id\":8,\"send\":\"");
        for (size_t i = 0; i < size; i++)
            buffer_add_text(&text, "x");
        buffer_add_text(&text, "\"}");
        assert_int_equal(parse(&c, text.at), size <= TEXT_BYTES_MAX);
        assert_int_equal(c.id, 8); /* known in a refusal too */
        json_command_free(&c);
    }
    buffer_free(&text);
}

/* Bytes changed at random: whatever comes of it, it is refused or within bounds. */
static void test_mutated_lines(void **state)
{
    static const char *const seeds[] = {"{\"send\":\"hello\",\"id\":3,\"to\":1}",
                                        "{\"command\":\"name\",\"name\":\"x\"}", "{\"command\":\"verify\",\"peer\":2}"};
    uint8_t seed[RNG_SEED_BYTES] = {7};
    struct rng rng;
    size_t good = 0;
    (void)state;
    rng_init(&rng, seed);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        struct json_command c;
        size_t size = (size_t)snprintf(text, sizeof text, "%s", seeds[i % 3]);
        for (uint32_t k = rng_below(&rng, 4); k > 0; k--)
            text[rng_below(&rng, (uint32_t)size)] = (char)rng_below(&rng, 256);
        if (json_command_parse(&c, text, size, error)) {
            good++;
            assert_true(c.id <= MESSAGE_ID_MAX && c.text_size <= TEXT_BYTES_MAX);
        }
        json_command_free(&c);
    }
    assert_in_range(good, 5000, 15000); /* a quarter is not changed at all */
}

/* ---- lines ---- */

/* Feeds `text` in pieces of `piece` bytes; writes what comes out as "text|text!|", ! for too long. */
static void split(const char *text, size_t size, size_t piece, size_t size_max, struct buffer *ret)
{
    struct lines l;
    struct line got;
    uint64_t number = 0;
    lines_init(&l, size_max);
    for (bool ended = false; !ended;) {
        size_t space;
        char *at = lines_space(&l, &space);
        size_t now = size < piece ? size : piece;
        assert_true(space >= now);
        memcpy(at, text, now);
        lines_filled(&l, now);
        ended = now == 0;
        text += now;
        size -= now;
        while (lines_next(&l, &got)) {
            assert_int_equal(got.number, ++number);
            assert_true(got.size <= size_max);
            if (got.too_long)
                buffer_add_text(ret, "!");
            else
                buffer_add(ret, got.text, got.size);
            buffer_add_text(ret, "|");
        }
    }
    assert_int_equal(l.count, number);
    lines_free(&l);
}

static void test_lines_in_all_pieces(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"\n", "|"},
        {"\n\n", "||"},
        {"a\nb\n", "a|b|"},
        {"a\nb", "a|b|"},
        {"12345678\n1\n", "12345678|1|"},
        {"123456789\n1\n", "!|1|"},
        {"123456789\n", "!|"},
        {"123456789", "!|"},
        {"1234567890123456789012345\n\n2\n", "!||2|"},
        {"1\n1234567890123456789012345678901234567890", "1|!|"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece <= 45; piece++) {
            struct buffer got = {0};
            split(cases[i].text, strlen(cases[i].text), piece, 8, &got);
            assert_string_equal(buffer_text(&got), cases[i].want);
            buffer_free(&got);
        }
}

static void test_lines_carry_nul(void **state)
{
    struct buffer got = {0};
    (void)state;
    split("a\0b\nc", 5, 2, 8, &got);
    assert_int_equal(got.size, 6);
    assert_memory_equal(got.at, "a\0b|c|", 6);
    buffer_free(&got);
}

/* ---- keys ---- */

static void assert_keys(const char *bytes, bool whole, const char *left)
{
    struct keys k = {0};
    size_t size;
    uint32_t codepoint;
    uint8_t *at = keys_space(&k, &size);
    assert_true(size == KEYS_BYTES);
    memcpy(at, bytes, strlen(bytes));
    k.end = strlen(bytes);
    assert_int_equal(keys_are_whole(&k), whole);
    assert_int_equal(keys_are_partial(&k), !whole && *bytes != '\0');
    if (keys_next(&k, &codepoint)) {
        assert_int_equal(k.end - k.start, strlen(left));
        assert_memory_equal(k.at + k.start, left, strlen(left));
    }
}

static void test_keys(void **state)
{
    (void)state;
    assert_keys("", false, "");
    assert_keys("ab", true, "b");
    assert_keys("é", true, "");
    assert_keys("\xc3", false, "");
    assert_keys("\xf0\x9f\x98", false, "\x9f\x98");
    assert_keys("\xf0\x9f"
                "a",
                true,
                "\x9f"
                "a");
    assert_keys("\xff", true, "");
    assert_keys("\x1b", false, "");
    assert_keys("\x1b[", false, "[");
    assert_keys("\x1b[1;5", false, "[1;5");
    assert_keys("\x1b[1;5C", true, "[1;5C");
    assert_keys("\x1bOA", true, "OA");
    assert_keys("\x1b"
                "f",
                true, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_of_the_server),
        cmocka_unit_test(test_events_of_peers),
        cmocka_unit_test(test_events_of_messages),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_text_is_exact),
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_length_of_text),
        cmocka_unit_test(test_mutated_lines),
        cmocka_unit_test(test_lines_in_all_pieces),
        cmocka_unit_test(test_lines_carry_nul),
        cmocka_unit_test(test_keys),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_free(&out);
    return failed;
}
