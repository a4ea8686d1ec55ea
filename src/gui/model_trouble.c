/* What went wrong, in words, and what can be done about it. */
#include "client/display.h"
#include "gui/model_internal.h"
#include "gui/sentences.h"
#include <stdio.h>
#include <string.h>

static void set_banner(struct banner *b, enum banner_action action, bool is_error, const struct buffer *text)
{
    struct buffer line = {0};
    display_line(&line, buffer_text(text), text->size, LINE_COLUMNS);
    *b = (struct banner){.action = action, .is_error = is_error};
    snprintf(b->text, sizeof b->text, "%s", buffer_text(&line));
    buffer_free(&line);
}

void model_trouble_of_server(struct model *m, const char *reason)
{
    struct buffer b = {0};
    buffer_addf(&b, "The server is gone (%s). Trying again. ", reason);
    buffer_add_text(&b, m->people_count > 0 ? "Who is reached directly stays reachable." : "");
    set_banner(&m->trouble, BANNER_NOTHING, false, &b);
    buffer_free(&b);
}

/* The client says why, and what could be done about it. */
static void server_unreachable(struct model *m, const char *text)
{
    struct buffer b = {0};
    if (strstr(text, m->server) == NULL) { /* it names the address; what was typed is a name */
        buffer_addf(&b, "%s: %s", m->server, text);
    } else {
        sentence_capital(text, &b);
    }
    set_banner(&m->trouble, BANNER_NOTHING, true, &b);
    buffer_free(&b);
}

static const struct {
    const char *code, *text;
    enum banner_action action;
    bool is_error;
} advices[] = {
    {"wrong-keyword",
     "Somebody tries this room with other keywords. If it is your friend, compare the spelling. If it goes on, take "
     "a new keyword.",
     BANNER_NEW_KEYWORD, false},
    {"room-full", "This room is full. It is tried again every half minute; or take a new keyword.", BANNER_NEW_KEYWORD,
     true},
    {"too-many-strangers",
     "Too many strangers use keywords like this one, so nobody new is let in. Take a new keyword.", BANNER_NEW_KEYWORD,
     true},
    {"weak-keyword", "This keyword is easy to guess, and who guesses it is in the chat. A new one cannot be guessed.",
     BANNER_NEW_KEYWORD, false},
    {"words-differ",
     "The words differ: somebody may be between the two of you. Write nothing secret here, and meet again by a new "
     "keyword.",
     BANNER_NEW_KEYWORD, true},
    {"server-busy", "The server is busy. Trying again.", BANNER_NOTHING, false},
};

void model_advise(struct model *m, const char *code, const char *text)
{
    if (strcmp(code, "server-unreachable") == 0) {
        server_unreachable(m, text);
        return;
    }
    struct buffer b = {0};
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        if (strcmp(advices[i].code, code) != 0)
            continue;
        buffer_add_text(&b, advices[i].text);
        set_banner(&m->advice, advices[i].action, advices[i].is_error, &b);
    }
    if (b.size == 0) { /* one that a later client knows */
        buffer_add_text(&b, text);
        set_banner(&m->advice, BANNER_NOTHING, false, &b);
    }
    buffer_free(&b);
}

/* "p2p-client: what was wrong" without its beginning. */
static const char *without_program(const char *said)
{
    static const char program[] = "p2p-client: ";
    return strncmp(said, program, sizeof program - 1) == 0 ? said + sizeof program - 1 : said;
}

void model_trouble_of_end(struct model *m, const struct ending *ending, bool came_up)
{
    struct buffer b = {0};
    const char *said = without_program(ending->said);
    if (ending->signal != 0)
        buffer_addf(&b, "p2p-client, which does the talking, was ended by signal %d (%s).", ending->signal,
                    strsignal(ending->signal));
    else if (!came_up)
        buffer_addf(&b, "%s", *said != '\0' ? said : "p2p-client did not start.");
    else if (ending->status == 0)
        buffer_add_text(&b, "p2p-client, which does the talking, has ended.");
    else if (!m->somebody_came)
        buffer_add_text(&b, "Nobody came, so p2p-client has given up waiting.");
    else
        buffer_addf(&b, "p2p-client, which does the talking, has ended with status %d%s%s.", ending->status,
                    *said != '\0' ? ": " : "", said);
    if (came_up)
        buffer_add_text(&b, " Nothing that you typed is lost.");
    set_banner(&m->trouble, came_up ? BANNER_RECONNECT : BANNER_NOTHING, true, &b);
    buffer_free(&b);
}

void model_describe_network(struct model *m)
{
    struct buffer b = {0};
    if (m->observed != NULL && m->observed[0] != '\0')
        buffer_addf(&b, "The server sees you at %s.", m->observed);
    if (m->nat != NULL)
        buffer_addf(&b, "%sYour NAT: %s.", b.size > 0 ? " " : "", m->nat);
    text_set(&m->network, buffer_text(&b));
    buffer_free(&b);
}
