/* The window's model: events of the client in, state, sentences and commands out. */
#include "gui/model.h"
#include "gui/sentences.h"
#include "hex.h"
#include <stdlib.h>

enum { NOW = 1000000, LINE_BYTES = 1024, LINES = 64 };

static struct model *m;
static char commands[LINES][LINE_BYTES];
static size_t command_count, added, removed;
static unsigned what_changed;

static void on_entry(void *data, const struct entry *entry, enum entry_change change)
{
    (void)data;
    assert_non_null(entry->text);
    added += change == ENTRY_ADDED;
    removed += change == ENTRY_REMOVED;
}

static void on_changed(void *data, unsigned what)
{
    (void)data;
    what_changed |= what;
}

static void on_command(void *data, const char *line, size_t size)
{
    (void)data;
    assert_true(size < LINE_BYTES && line[size - 1] == '\n');
    memcpy(commands[command_count % LINES], line, size);
    commands[command_count++ % LINES][size - 1] = '\0';
}

static int make_model(void **state)
{
    static const struct model_view view = {on_entry, on_changed, on_command};
    (void)state;
    command_count = added = removed = 0;
    what_changed = 0;
    m = model_new(&view, NULL);
    return 0;
}

static int free_model(void **state)
{
    (void)state;
    model_free(m);
    return 0;
}

static void tell(const char *line)
{
    model_line(m, line, strlen(line), NOW);
}

static void start(void)
{
    model_start(m, "chat.example.org", true);
    tell("{\"event\":\"hello\",\"version\":\"1\",\"form\":\"open\"}");
    tell("{\"event\":\"registered\",\"observed\":\"203.0.113.7:40000\"}");
}

static void come(unsigned peer, const char *name)
{
    char line[200];
    snprintf(line, sizeof line, "{\"event\":\"peer\",\"peer\":%u,\"name\":\"%s\"}", peer, name);
    tell(line);
}

static void send(const char *text)
{
    const char *why;
    assert_true(model_send(m, text, strlen(text), NOW, &why));
}

static const struct entry *last_entry(void)
{
    assert_true(model_entry_count(m) > 0);
    return model_entry(m, model_entry_count(m) - 1);
}

static void end(int status, int number, const char *said)
{
    model_ended(m, &(struct ending){.status = status, .signal = number, .said = said}, NOW);
}

#define assert_sentence(call, want)                                                                                    \
    do {                                                                                                               \
        struct buffer b = {0};                                                                                         \
        call;                                                                                                          \
        assert_string_equal(buffer_text(&b), want);                                                                    \
        buffer_free(&b);                                                                                               \
    } while (0)

#define assert_state(want) assert_sentence(sentence_state(m, &b), want)
#define assert_mark(want)  assert_sentence(sentence_mark(last_entry(), &b), want)

static void test_from_nothing_to_direct(void **state)
{
    (void)state;
    assert_int_equal(model_link(m), LINK_NONE);
    assert_state("Not connected");
    model_start(m, "chat.example.org", true);
    assert_state("Starting");
    tell("{\"event\":\"hello\",\"version\":\"1\",\"form\":\"open\"}");
    assert_state("Looking for the server");
    tell("{\"event\":\"registered\",\"observed\":\"203.0.113.7:40000\"}");
    assert_state("Waiting for somebody with the same keyword");
    assert_sentence(sentence_people(m, &b), "Nobody here yet");
    come(1, "ann");
    assert_state("Connecting");
    tell("{\"event\":\"path\",\"peer\":1,\"path\":\"relay\",\"address\":null,\"rtt_ms\":null,\"reason\":null}");
    assert_state("Through the server");
    tell("{\"event\":\"path\",\"peer\":1,\"path\":\"direct\",\"address\":\"192.0.2.1:5\",\"rtt_ms\":23.1,\"reason\":"
         "\"r\"}");
    assert_state("Direct, 23\u00a0ms");
    assert_int_equal(model_route(m), ROUTE_DIRECT);
    assert_string_equal(model_person(m, 1)->reason, "r");
    come(2, "bob");
    assert_int_equal(model_route(m), ROUTE_NONE);
    tell("{\"event\":\"peers\",\"peers\":[{\"peer\":2,\"path\":\"relay\",\"rtt_ms\":50}]}");
    assert_state("2 people: 1 direct, 1 through the server");
    assert_sentence(sentence_people(m, &b), "ann and bob");
    tell("{\"event\":\"peer-left\",\"peer\":1,\"reason\":\"timeout\"}");
    assert_string_equal(last_entry()->text, "ann is gone: nothing was heard for a minute");
    tell("{\"event\":\"peer-left\",\"peer\":2,\"reason\":\"quit\"}");
    assert_string_equal(last_entry()->text, "bob left");
    assert_state("Nobody is here at the moment");
    assert_sentence(sentence_people(m, &b), "Nobody here");
}

static void test_marks_of_a_message(void **state)
{
    (void)state;
    start();
    come(1, "ann");
    come(2, "bob");
    send("hi");
    assert_string_equal(commands[command_count - 1], "{\"send\":\"hi\",\"id\":1}");
    assert_mark("Waits for somebody to come");
    tell("{\"event\":\"sent\",\"id\":1,\"peers\":[1,2]}");
    assert_mark("Sent");
    tell("{\"event\":\"delivered\",\"id\":1,\"peer\":1}");
    assert_mark("Sent, delivered to 1 of 2");
    assert_int_equal(model_undelivered(m), 1);
    tell("{\"event\":\"delivered\",\"id\":1,\"peer\":2}");
    assert_mark("Delivered");
    assert_int_equal(model_undelivered(m), 0);
    send("ho");
    tell("{\"event\":\"sent\",\"id\":2,\"peers\":[1,2]}");
    tell("{\"event\":\"delivered\",\"id\":2,\"peer\":1}");
    tell("{\"event\":\"failed\",\"id\":2,\"peer\":2,\"reason\":\"the peer left\"}");
    assert_mark("Delivered to 1 of 2: the peer left");
    send("nobody");
    tell("{\"event\":\"failed\",\"id\":3,\"peer\":null,\"reason\":\"nobody came\"}");
    assert_mark("Not delivered: nobody came");
}

/* For the first one, `delivered` may come between the two `sent`. */
static void test_a_message_that_waited(void **state)
{
    (void)state;
    start();
    send("early");
    tell("{\"event\":\"sent\",\"id\":1,\"peers\":[]}");
    assert_mark("Waits for somebody to come");
    come(1, "ann");
    tell("{\"event\":\"delivered\",\"id\":1,\"peer\":1}");
    come(2, "bob");
    tell("{\"event\":\"sent\",\"id\":1,\"peers\":[1,2]}");
    const struct entry *e = model_entry(m, 0); /* behind it are notices */
    assert_int_equal(e->mark, MARK_SENT);
    tell("{\"event\":\"delivered\",\"id\":1,\"peer\":2}");
    assert_int_equal(e->mark, MARK_DELIVERED);
}

static void test_nothing_typed_is_lost(void **state)
{
    (void)state;
    start();
    send("waits");
    tell("{\"event\":\"sent\",\"id\":1,\"peers\":[]}");
    end(0, 9, "");
    assert_int_equal(model_link(m), LINK_ENDED);
    assert_int_equal(model_trouble(m)->action, BANNER_RECONNECT);
    assert_string_equal(model_trouble(m)->text, "p2p-client, which does the talking, was ended by signal 9 (Killed). "
                                                "Nothing that you typed is lost.");
    size_t before = command_count;
    send("typed without a client");
    assert_int_equal(command_count, before);
    assert_mark("Not sent yet: not connected");
    model_start(m, "chat.example.org", false);
    assert_int_equal(model_trouble(m)->text[0], '\0');
    assert_int_equal(command_count, before); /* not before its hello */
    tell("{\"event\":\"hello\",\"version\":\"1\",\"form\":\"open\"}");
    assert_int_equal(command_count, before + 2);
    assert_string_equal(commands[before], "{\"send\":\"waits\",\"id\":2}");
    assert_string_equal(commands[before + 1], "{\"send\":\"typed without a client\",\"id\":3}");
}

static void test_what_was_under_way_at_the_end_can_be_sent_again(void **state)
{
    (void)state;
    start();
    come(1, "ann");
    send("under way");
    tell("{\"event\":\"sent\",\"id\":1,\"peers\":[1]}");
    uint64_t number = last_entry()->number;
    end(1, 0, "");
    const struct entry *e = model_entry(m, model_entry_count(m) - 2); /* before the notice */
    assert_int_equal(e->number, number);
    assert_int_equal(e->mark, MARK_FAILED);
    const struct person *people;
    assert_int_equal(model_people(m, &people), 0);
    model_start(m, "chat.example.org", false);
    tell("{\"event\":\"hello\",\"version\":\"1\",\"form\":\"open\"}");
    size_t before = command_count;
    model_send_again(m, number, NOW);
    assert_int_equal(command_count, before + 1);
    assert_string_equal(last_entry()->text, "under way");
    /* An old client's ids mean nothing now. */
    tell("{\"event\":\"delivered\",\"id\":1,\"peer\":1}");
    assert_int_equal(e->mark, MARK_FAILED);
}

static void test_a_client_that_does_not_come_up(void **state)
{
    (void)state;
    model_start(m, "x", true);
    assert_false(model_ended(m, &(struct ending){.status = 2, .said = "p2p-client: --server: no\x1b"}, NOW));
    assert_int_equal(model_link(m), LINK_NONE);
    assert_string_equal(model_trouble(m)->text, "--server: no<U+001B>");
}

static void test_leaving_is_no_trouble(void **state)
{
    (void)state;
    start();
    model_leave(m);
    assert_string_equal(commands[command_count - 1], "{\"command\":\"quit\"}");
    tell("{\"event\":\"end\",\"status\":0}");
    end(0, 0, "");
    assert_int_equal(model_link(m), LINK_NONE);
    assert_int_equal(model_trouble(m)->text[0], '\0');
}

static void test_the_server_goes_and_comes(void **state)
{
    (void)state;
    start();
    tell("{\"event\":\"server-lost\",\"reason\":\"no answer\"}");
    assert_state("Looking for the server");
    assert_non_null(strstr(model_trouble(m)->text, "no answer"));
    tell("{\"event\":\"registered\",\"observed\":\"203.0.113.7:40000\"}");
    assert_int_equal(model_trouble(m)->text[0], '\0');
    tell("{\"event\":\"error\",\"code\":\"server-unreachable\",\"text\":\"no answer\"}");
    assert_string_equal(model_trouble(m)->text, "chat.example.org: no answer");
    tell("{\"event\":\"error\",\"code\":\"server-unreachable\",\"text\":\"the name chat.example.org is unknown\"}");
    assert_string_equal(model_trouble(m)->text, "The name chat.example.org is unknown");
    tell("{\"event\":\"error\",\"code\":\"server-unreachable\",\"text\":\"\"}");
    assert_string_equal(model_trouble(m)->text, "chat.example.org: ");
}

static void test_a_server_that_nobody_else_can_reach(void **state)
{
    static const char *const here[] = {NULL,          "",    "127.0.0.1", "127.1.2.3:5", "localhost",
                                       "localhost:5", "::1", "[::1]",     "[::1]:5"};
    static const char *const elsewhere[] = {"localhost.example.org", "127",     "128.0.0.1", "[::1", "::12", "[::12]:5",
                                            "chat.example.org",      "12.7.0.0"};
    (void)state;
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        assert_true(server_is_here(here[i]));
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        assert_false(server_is_here(elsewhere[i]));
}

static void test_every_code_says_what_to_do(void **state)
{
    static const struct {
        const char *code;
        enum banner_action action;
    } codes[] = {{"wrong-keyword", BANNER_NEW_KEYWORD},
                 {"room-full", BANNER_NEW_KEYWORD},
                 {"too-many-strangers", BANNER_NEW_KEYWORD},
                 {"weak-keyword", BANNER_NEW_KEYWORD},
                 {"server-busy", BANNER_NOTHING}};
    (void)state;
    start();
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        char line[200];
        snprintf(line, sizeof line, "{\"event\":\"warning\",\"code\":\"%s\",\"text\":\"?\"}", codes[i].code);
        tell(line);
        assert_true(strlen(model_advice(m)->text) > 10);
        assert_int_equal(model_advice(m)->action, codes[i].action);
        model_dismiss_advice(m);
        assert_int_equal(model_advice(m)->text[0], '\0');
    }
    tell("{\"event\":\"warning\",\"code\":\"of-tomorrow\",\"text\":\"new\\u202e\"}");
    assert_string_equal(model_advice(m)->text, "new<U+202E>");
}

static void test_foreign_text_is_made_fit(void **state)
{
    (void)state;
    start();
    come(1, "a\\u202eb:");
    assert_string_equal(model_person(m, 1)->name, "a<U+202E>b<U+003A>");
    tell("{\"event\":\"message\",\"peer\":1,\"name\":\"x\",\"id\":1,\"text\":\"one\\r\\ntwo\\u001b[1m\\u2066\"}");
    assert_string_equal(last_entry()->text, "one\ntwo<U+001B>[1m<U+2066>");
    send("own \u202e");
    assert_string_equal(last_entry()->text, "own <U+202E>");
    assert_string_equal(commands[command_count - 1], "{\"send\":\"own \u202e\",\"id\":1}");
}

static void test_two_of_one_name(void **state)
{
    (void)state;
    start();
    come(1, "ann");
    come(2, "ann");
    come(3, "");
    assert_string_equal(model_person(m, 1)->name, "ann");
    assert_string_equal(model_person(m, 2)->name, "ann (2)");
    assert_string_equal(model_person(m, 3)->name, "peer 3");
    tell("{\"event\":\"name\",\"peer\":3,\"name\":\"ann\"}");
    assert_string_equal(last_entry()->text, "peer 3 is now called ann (3)");
}

static void test_verify_and_ignore(void **state)
{
    (void)state;
    start();
    come(1, "ann");
    model_ask_words(m, 1);
    assert_string_equal(commands[command_count - 1], "{\"command\":\"verify\",\"peer\":1}");
    assert_null(model_words(m, 1));
    tell("{\"event\":\"verify\",\"peer\":1,\"words\":[\"crab\",\"lunar\",\"toast\",\"maple\"]}");
    assert_string_equal(model_words(m, 1), "crab lunar toast maple");
    model_set_verified(m, 1, true);
    assert_true(model_person(m, 1)->verified);
    model_set_verified(m, 1, false);
    assert_false(model_person(m, 1)->verified);
    assert_true(model_advice(m)->is_error);
    model_ignore(m, 1);
    size_t before = model_entry_count(m);
    tell("{\"event\":\"message\",\"peer\":1,\"name\":\"ann\",\"id\":1,\"text\":\"hi\"}");
    assert_int_equal(model_entry_count(m), before);
    assert_false(model_rename(m, ""));
    assert_false(model_rename(m, "a\nb"));
    assert_true(model_rename(m, "anna"));
    assert_string_equal(commands[command_count - 1], "{\"command\":\"name\",\"name\":\"anna\"}");
}

static void test_what_cannot_be_sent(void **state)
{
    const char *why = NULL;
    (void)state;
    start();
    assert_false(model_send(m, " \n ", 3, NOW, &why));
    assert_string_equal(why, "");
    char *text = malloc(TEXT_BYTES_MAX + 2);
    memset(text, 'x', TEXT_BYTES_MAX + 1);
    text[TEXT_BYTES_MAX + 1] = '\0';
    assert_false(model_send(m, text, TEXT_BYTES_MAX + 1, NOW, &why));
    assert_non_null(strstr(why, "16 KiB"));
    free(text);
    tell("{\"event\":\"error\",\"code\":\"bad-command\",\"text\":\"no\",\"id\":9}");
    assert_int_equal(model_entry_count(m), 0);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    start();
    for (unsigned i = 1; i <= PEERS_MAX + 3; i++)
        come(i, "x");
    const struct person *people;
    assert_int_equal(model_people(m, &people), PEERS_MAX);
    for (unsigned i = 0; i < ENTRIES_MAX + 10; i++)
        tell("{\"event\":\"message\",\"peer\":1,\"name\":\"x\",\"id\":1,\"text\":\"hi\"}");
    assert_int_equal(model_entry_count(m), ENTRIES_MAX);
    assert_int_equal(added - removed, ENTRIES_MAX);
    send("hi");
    for (unsigned i = 1; i <= RECEIPTS_MAX + 5; i++) {
        char line[100];
        snprintf(line, sizeof line, "{\"event\":\"delivered\",\"id\":1,\"peer\":%u}", i);
        tell(line);
    }
    assert_int_equal(last_entry()->receipt_count, RECEIPTS_MAX);
}

/* Cut, of another type, before hello, of nobody: none of it may matter, and nothing of it may crash. */
static void test_lines_that_make_no_sense(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"event\":3}",
        "{\"event\":\"peer\"}",
        "{\"event\":\"peer\",\"peer\":-1,\"name\":3}",
        "{\"event\":\"peer\",\"peer\":4294967296,\"name\":\"x\"}",
        "{\"event\":\"message\",\"peer\":1,\"text\":3}",
        "{\"event\":\"message\",\"peer\":9,\"text\":\"x\"}",
        "{\"event\":\"sent\",\"id\":\"x\",\"peers\":3}",
        "{\"event\":\"delivered\",\"id\":77,\"peer\":1}",
        "{\"event\":\"path\",\"peer\":1,\"path\":7,\"rtt_ms\":\"x\"}",
        "{\"event\":\"verify\",\"peer\":1,\"words\":[1,2]}",
        "{\"event\":\"peers\",\"peers\":[1,{}]}",
        "{\"event\":\"keyword\"}",
        "{\"event\":\"nat\"}",
        "{\"event\":\"server-lost\"}",
        "{\"event\":\"warning\"}",
        "{\"event\":\"of-tomorrow\",\"x\":1}",
        "{\"event\":\"hello\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        tell(lines[i]);
    assert_int_equal(model_entry_count(m), 0);
    assert_int_equal(what_changed, 0);
    start();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        tell(lines[i]);
    assert_int_equal(model_entry_count(m), 0);
}

static void test_the_keyword_of_new(void **state)
{
    (void)state;
    start();
    tell("{\"event\":\"keyword\",\"keyword\":\"42-crab\",\"command\":\"p2p-client --keyword 42-crab\"}");
    assert_true(what_changed & CHANGED_KEYWORD);
    assert_string_equal(model_keyword(m), "42-crab");
    assert_string_equal(model_invitation(m), "p2p-client --keyword 42-crab");
    model_start(m, "x", false);
    assert_string_equal(model_keyword(m), "42-crab");
    model_start(m, "x", true);
    assert_null(model_keyword(m));
}

static void test_hints(void **state)
{
    static const struct {
        const char *typed;
        enum hint_level level;
    } cases[] = {{"", HINT_NONE},
                 {"  ", HINT_NONE},
                 {"hello", HINT_WEAK},
                 {"a\x01z", HINT_WRONG},
                 {"crab-lunar-toast", HINT_GOOD},
                 {"42-crab-lunar-toast", HINT_GOOD}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(hint_keyword(cases[i].typed, strlen(cases[i].typed)).level, cases[i].level);
}

static void test_invitations(void **state)
{
    static const struct {
        const char *typed, *keyword, *server;
    } cases[] = {
        {"p2p-client --keyword 42-crab --server chat.example.org:7", "42-crab", "chat.example.org:7"},
        {" p2p-client --keyword 'it'\\''s mine'\n", "it's mine", ""},
        {"p2p-client --server x", NULL, NULL},
        {"42-crab-lunar", NULL, NULL},
        {"p2p-client --keyword", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer keyword = {0}, server = {0};
        assert_int_equal(invitation_read(cases[i].typed, &keyword, &server), cases[i].keyword != NULL);
        if (cases[i].keyword != NULL) {
            assert_string_equal(buffer_text(&keyword), cases[i].keyword);
            assert_string_equal(buffer_text(&server), cases[i].server);
        }
        buffer_free(&keyword);
        buffer_free(&server);
    }
}

#define with_model(test) cmocka_unit_test_setup_teardown(test, make_model, free_model)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_model(test_from_nothing_to_direct),
        with_model(test_marks_of_a_message),
        with_model(test_a_message_that_waited),
        with_model(test_nothing_typed_is_lost),
        with_model(test_what_was_under_way_at_the_end_can_be_sent_again),
        with_model(test_a_client_that_does_not_come_up),
        with_model(test_leaving_is_no_trouble),
        with_model(test_the_server_goes_and_comes),
        with_model(test_every_code_says_what_to_do),
        with_model(test_foreign_text_is_made_fit),
        with_model(test_two_of_one_name),
        with_model(test_verify_and_ignore),
        with_model(test_what_cannot_be_sent),
        with_model(test_memory_is_bounded),
        with_model(test_lines_that_make_no_sense),
        with_model(test_the_keyword_of_new),
        cmocka_unit_test(test_a_server_that_nobody_else_can_reach),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_invitations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
