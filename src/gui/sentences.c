#include "gui/sentences.h"
#include "wire/keyword.h"
#include <string.h>

static const char *route_word(enum route route)
{
    switch (route) {
    case ROUTE_RELAY:
        return "through the server";
    case ROUTE_DIRECT:
        return "direct";
    case ROUTE_LAN:
        return "direct, same network";
    case ROUTE_NONE:
        break;
    }
    return "connecting";
}

void sentence_capital(const char *text, struct buffer *ret)
{
    char first = (char)(text[0] - 'a' + 'A');
    bool is_small = text[0] >= 'a' && text[0] <= 'z';
    if (is_small)
        buffer_add(ret, &first, 1);
    buffer_add_text(ret, text + is_small);
}

void sentence_route(const struct person *p, struct buffer *ret)
{
    sentence_capital(route_word(p->route), ret);
    if (p->rtt_ms >= 0 && p->rtt_ms < 1)
        buffer_add_text(ret, ", below 1\u00a0ms");
    else if (p->rtt_ms >= 1)
        buffer_addf(ret, ", %.0f\u00a0ms", p->rtt_ms);
}

static void state_of_many(const struct person *people, size_t count, struct buffer *ret)
{
    size_t direct = 0, relayed = 0;
    for (size_t i = 0; i < count; i++) {
        direct += people[i].route >= ROUTE_DIRECT;
        relayed += people[i].route == ROUTE_RELAY;
    }
    buffer_addf(ret, "%zu people", count);
    if (direct == count || relayed == count)
        buffer_addf(ret, ", all %s", direct == count ? "direct" : "through the server");
    else
        buffer_addf(ret, ": %zu direct, %zu through the server", direct, relayed);
}

void sentence_state(const struct model *m, struct buffer *ret)
{
    const struct person *people;
    size_t count = model_people(m, &people);
    enum link_state link = model_link(m);
    if (link == LINK_NONE || link == LINK_ENDED)
        buffer_add_text(ret, "Not connected");
    else if (count == 1)
        sentence_route(people, ret);
    else if (count > 1)
        state_of_many(people, count, ret);
    else if (link == LINK_STARTING)
        buffer_add_text(ret, "Starting");
    else if (link == LINK_SEARCHING || link == LINK_LOST)
        buffer_add_text(ret, "Looking for the server");
    else
        buffer_add_text(ret, model_somebody_came(m) ? "Nobody is here at the moment"
                                                    : "Waiting for somebody with the same keyword");
    if (link == LINK_LOST && count > 0)
        buffer_add_text(ret, "; no server");
}

void sentence_people(const struct model *m, struct buffer *ret)
{
    const struct person *people;
    size_t count = model_people(m, &people);
    if (count == 0)
        buffer_add_text(ret, model_somebody_came(m) ? "Nobody here" : "Nobody here yet");
    else if (count == 1)
        buffer_add_text(ret, people[0].name);
    else if (count == 2)
        buffer_addf(ret, "%s and %s", people[0].name, people[1].name);
    else
        buffer_addf(ret, "%s, %s and %zu more", people[0].name, people[1].name, count - 2);
}

const char *mark_sign(enum mark mark)
{
    static const char *const signs[] = {
        [MARK_QUEUED] = "…", [MARK_WAITING] = "…",    [MARK_SENT] = "✓",
        [MARK_PARTLY] = "!", [MARK_DELIVERED] = "✓✓", [MARK_FAILED] = "!",
    };
    return signs[mark];
}

void sentence_mark(const struct entry *e, struct buffer *ret)
{
    size_t delivered = 0;
    for (size_t i = 0; i < e->receipt_count; i++)
        delivered += e->receipts[i].state == RECEIPT_DELIVERED;
    switch (e->mark) {
    case MARK_QUEUED:
        buffer_add_text(ret, "Not sent yet: not connected");
        break;
    case MARK_WAITING:
        buffer_add_text(ret, "Waits for somebody to come");
        break;
    case MARK_SENT:
        buffer_add_text(ret, "Sent");
        if (delivered > 0)
            buffer_addf(ret, ", delivered to %zu of %zu", delivered, e->receipt_count);
        break;
    case MARK_PARTLY:
        buffer_addf(ret, "Delivered to %zu of %zu", delivered, e->receipt_count);
        break;
    case MARK_DELIVERED:
        buffer_add_text(ret, "Delivered");
        break;
    case MARK_FAILED:
        buffer_add_text(ret, "Not delivered");
        break;
    }
    if ((e->mark == MARK_PARTLY || e->mark == MARK_FAILED) && e->failure != NULL && e->failure[0] != '\0')
        buffer_addf(ret, ": %s", e->failure);
}

void sentence_entry(const struct entry *e, const char *clock, struct buffer *ret)
{
    if (e->kind == ENTRY_NOTICE)
        buffer_addf(ret, "%s, %s", e->text, clock);
    else if (e->kind == ENTRY_RECEIVED)
        buffer_addf(ret, "%s, %s: %s", e->name, clock, e->text);
    else {
        buffer_addf(ret, "You, %s, ", clock);
        sentence_mark(e, ret);
        buffer_addf(ret, ": %s", e->text);
    }
}

bool server_is_here(const char *typed)
{
    static const char *const names[] = {"localhost", "[::1]", "127."};
    if (typed == NULL || *typed == '\0' || strcmp(typed, "::1") == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(typed, names[i], size) == 0 && (names[i][size - 1] == '.' || strchr(":", typed[size]) != NULL))
            return true; /* strchr finds the end, too */
    }
    return false;
}

/* ---- the keyword ---- */

struct hint hint_keyword(const char *typed, size_t size)
{
    struct keyword k;
    enum keyword_error error = keyword_parse(&k, typed, size);
    if (error == KEYWORD_EMPTY)
        return (struct hint){HINT_NONE, "The same keyword on both sides, and you meet."};
    if (error != KEYWORD_OK)
        return (struct hint){HINT_WRONG, keyword_error_text(error)};
    bool weak = keyword_is_weak(&k), room = k.form == KEYWORD_ROOM;
    keyword_wipe(&k);
    if (weak)
        return (struct hint){HINT_WEAK, "Easy to guess: who does is in the chat. Longer, or several words, is better."};
    return (struct hint){HINT_GOOD, room ? "Hard to guess, with a room of its own." : "Hard to guess."};
}

/* One word of a command line, as a POSIX shell reads what --new prints: plain or in '...', with \' in between. */
static const char *read_word(const char *at, struct buffer *ret)
{
    bool quoted = false;
    at += strspn(at, " \t\r\n");
    for (; *at != '\0' && (quoted || strchr(" \t\r\n", *at) == NULL); at++) {
        if (*at == '\'')
            quoted = !quoted;
        else if (*at == '\\' && !quoted && at[1] != '\0')
            buffer_add(ret, ++at, 1);
        else
            buffer_add(ret, at, 1);
    }
    return at;
}

bool invitation_read(const char *typed, struct buffer *ret_keyword, struct buffer *ret_server)
{
    struct buffer word = {0};
    struct buffer *value = NULL;
    const char *at = read_word(typed, &word);
    bool is_ours = strcmp(buffer_text(&word), "p2p-client") == 0;
    while (is_ours && *at != '\0') {
        buffer_clear(&word);
        at = read_word(at, &word);
        if (value != NULL)
            buffer_add_text(value, buffer_text(&word));
        if (value != NULL)
            value = NULL;
        else if (strcmp(buffer_text(&word), "--keyword") == 0)
            value = ret_keyword;
        else if (strcmp(buffer_text(&word), "--server") == 0)
            value = ret_server;
    }
    buffer_free(&word);
    return is_ours && ret_keyword->size > 0;
}
