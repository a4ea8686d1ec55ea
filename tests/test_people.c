/* What happens to people, in words. */
#include "client/people.h"
#include "hex.h"
#include <stdio.h>
#include <string.h>

static const char *sentence(struct people *p, struct engine_event event)
{
    static char text[400];
    struct buffer line = {0};
    people_sentence(p, &event, "\"hello\"", &line);
    snprintf(text, sizeof text, "%s", buffer_text(&line));
    buffer_free(&line);
    return text;
}

static void test_words(void **state)
{
    struct people p = {.distinct = true};
    struct engine_event ann = {.kind = EVENT_PEER, .peer = 1, .name = "ann"};
    struct engine_event other = {.kind = EVENT_PEER, .peer = 2, .name = "ann"};
    (void)state;
    assert_string_equal(sentence(&p, ann), "ann joined");
    assert_string_equal(sentence(&p, other), "ann (2) joined");
    assert_string_equal(sentence(&p, (struct engine_event){.kind = EVENT_NAME, .peer = 2, .name = "anna"}),
                        "ann (2) is now called anna");
    assert_string_equal(sentence(&p, (struct engine_event){.kind = EVENT_PEER_LEFT, .peer = 1, .text = "quit"}),
                        "ann left");
    assert_string_equal(sentence(&p, (struct engine_event){.kind = EVENT_PEER_LEFT, .peer = 2, .text = "timeout"}),
                        "anna is gone: not heard of for too long (timeout)");
    assert_string_equal(sentence(&p, (struct engine_event){.kind = EVENT_FAILED, .peer = 2, .text = "it left"}),
                        "\"hello\" was not delivered to anna: it left");
    assert_string_equal(sentence(&p, (struct engine_event){.kind = EVENT_DELIVERED, .peer = 2}), "");
}

static void test_only_who_is_present_is_listed(void **state)
{
    struct people p = {.distinct = true};
    size_t at = 0;
    (void)state;
    people_note(&p, &(struct engine_event){.kind = EVENT_PEER, .peer = 1, .name = "ann"});
    people_note(&p, &(struct engine_event){.kind = EVENT_PEER, .peer = 2, .name = "bob"});
    people_note(&p, &(struct engine_event){.kind = EVENT_PEER_LEFT, .peer = 1, .text = "quit"});
    assert_string_equal(people_next(&p, &at), "bob");
    assert_null(people_next(&p, &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_only_who_is_present_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
