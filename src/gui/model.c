#include "gui/model_internal.h"
#include <stdlib.h>
#include <string.h>

void model_changed(struct model *m, unsigned what)
{
    m->view.changed(m->data, what);
}

/* ---- beginning and end of a client ---- */

struct model *model_new(const struct model_view *view, void *data)
{
    struct model *m = memory_new(1, sizeof *m);
    m->view = *view;
    m->data = data;
    m->server = text_copy("");
    m->network = text_copy("");
    return m;
}

static void forget_people(struct model *m)
{
    for (size_t i = 0; i < m->people_count; i++)
        person_clear(&m->people[i]);
    m->people_count = 0;
    free(m->words);
    m->words = NULL;
    m->words_of = 0;
}

static void forget_entries(struct model *m)
{
    while (m->entry_count > 0)
        entry_forget_oldest(m);
}

void model_free(struct model *m)
{
    forget_people(m);
    for (size_t i = 0; i < m->entry_count; i++)
        entry_free(m->entries[i]);
    free(m->server);
    free(m->network);
    free(m->nat);
    free(m->observed);
    free(m->keyword);
    free(m->invitation);
    free(m);
}

void model_start(struct model *m, const char *server, bool fresh)
{
    forget_people(m);
    if (fresh) {
        forget_entries(m);
        free(m->keyword);
        free(m->invitation);
        m->keyword = m->invitation = NULL;
    }
    m->somebody_came = m->somebody_came && !fresh;
    m->leaving = false;
    text_set(&m->server, server);
    text_set(&m->network, "");
    free(m->nat);
    free(m->observed);
    m->nat = m->observed = NULL;
    m->trouble = m->advice = (struct banner){0};
    m->link = LINK_STARTING;
    model_changed(m, CHANGED_STATE | CHANGED_PEOPLE | CHANGED_BANNERS | CHANGED_KEYWORD);
}

/* What nobody can have got goes to the next client; of the rest nobody knows. */
static void settle_entries(struct model *m)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        struct entry *e = m->entries[i];
        if (e->kind != ENTRY_OWN)
            continue;
        e->id = 0; /* the next client's answers are not about this one */
        if (e->mark == MARK_WAITING) {
            entry_mark(m, e, MARK_QUEUED);
        } else if (e->mark == MARK_SENT) {
            for (size_t r = 0; r < e->receipt_count; r++)
                if (e->receipts[r].state == RECEIPT_PENDING)
                    e->receipts[r].state = RECEIPT_FAILED;
            text_set(&e->failure, "the chat ended before it was known to have arrived");
            entry_mark(m, e, entry_judge(e));
        }
    }
}

bool model_ended(struct model *m, const struct ending *ending, int64_t now_s)
{
    bool came_up = m->link != LINK_STARTING, was_here = m->people_count > 0;
    settle_entries(m);
    forget_people(m);
    m->trouble = (struct banner){0};
    m->link = m->leaving || !came_up ? LINK_NONE : LINK_ENDED;
    if (!m->leaving)
        model_trouble_of_end(m, ending, came_up);
    if (m->link == LINK_ENDED && was_here)
        model_notice(m, now_s, "The chat was interrupted");
    model_changed(m, CHANGED_STATE | CHANGED_PEOPLE | CHANGED_BANNERS);
    return came_up || m->leaving;
}

/* ---- commands ---- */

static int append(const char *bytes, size_t size, void *data)
{
    buffer_add(data, bytes, size);
    return 0;
}

static bool has_client(const struct model *m)
{
    return m->link != LINK_NONE && m->link != LINK_STARTING && m->link != LINK_ENDED;
}

/* Consumes the object. */
static void command(struct model *m, json_t *object)
{
    struct buffer line = {0};
    if (object != NULL && has_client(m)) {
        json_dump_callback(object, append, &line, JSON_COMPACT);
        buffer_add(&line, "\n", 1);
        m->view.command(m->data, line.at, line.size);
    }
    json_decref(object);
    buffer_free(&line);
}

void model_give(struct model *m, struct entry *e)
{
    if (!has_client(m))
        return;
    e->id = ++m->last_id;
    e->mark = MARK_WAITING;
    command(m, json_pack("{ss sI}", "send", e->typed, "id", (json_int_t)e->id));
}

bool model_send(struct model *m, const char *text, size_t size, int64_t now_s, const char **ret_why)
{
    if (size == 0 || text[strspn(text, " \t\r\n")] == '\0') {
        *ret_why = "";
        return false;
    }
    if (size > TEXT_BYTES_MAX) {
        *ret_why = "This is too long for one message: at most 16 KiB go at once.";
        return false;
    }
    struct entry *e = entry_add(
        m,
        (struct entry){.kind = ENTRY_OWN, .time_s = now_s, .typed = text_copy(text), .text = shown_block(text, size)});
    model_give(m, e);
    m->view.entry(m->data, e, ENTRY_CHANGED);
    model_changed(m, CHANGED_STATE);
    return true;
}

void model_send_again(struct model *m, uint64_t number, int64_t now_s)
{
    const char *why;
    for (size_t i = 0; i < m->entry_count; i++) {
        struct entry *e = m->entries[i];
        if (e->number != number || (e->mark != MARK_FAILED && e->mark != MARK_PARTLY))
            continue;
        char *typed = text_copy(e->typed); /* the new one may push this one out */
        model_send(m, typed, strlen(typed), now_s, &why);
        free(typed);
        return;
    }
}

void model_ask_words(struct model *m, uint32_t peer)
{
    if (person_find(m, peer) != NULL)
        command(m, json_pack("{ss sI}", "command", "verify", "peer", (json_int_t)peer));
}

void model_ask_people(struct model *m)
{
    command(m, json_pack("{ss}", "command", "peers"));
}

void model_set_verified(struct model *m, uint32_t peer, bool same)
{
    struct person *p = person_find(m, peer);
    if (p == NULL)
        return;
    p->verified = same;
    if (!same)
        model_advise(m, "words-differ", "");
    model_changed(m, CHANGED_PEOPLE | CHANGED_BANNERS);
}

void model_ignore(struct model *m, uint32_t peer)
{
    struct person *p = person_find(m, peer);
    if (p == NULL)
        return;
    p->ignored = true;
    command(m, json_pack("{ss sI}", "command", "ignore", "peer", (json_int_t)peer));
    model_changed(m, CHANGED_PEOPLE);
}

bool model_rename(struct model *m, const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > NAME_BYTES_MAX || !text_is_name((const uint8_t *)name, size))
        return false;
    command(m, json_pack("{ss ss}", "command", "name", "name", name));
    return true;
}

void model_leave(struct model *m)
{
    m->leaving = true;
    command(m, json_pack("{ss}", "command", "quit"));
}

void model_dismiss_advice(struct model *m)
{
    m->advice = (struct banner){0};
    model_changed(m, CHANGED_BANNERS);
}

/* ---- looking in ---- */

enum link_state model_link(const struct model *m)
{
    return m->link;
}

enum route model_route(const struct model *m)
{
    enum route worst = m->people_count == 0 ? ROUTE_NONE : ROUTE_LAN;
    for (size_t i = 0; i < m->people_count; i++)
        if (m->people[i].route < worst)
            worst = m->people[i].route;
    return worst;
}

size_t model_people(const struct model *m, const struct person **ret)
{
    *ret = m->people;
    return m->people_count;
}

const struct person *model_person(const struct model *m, uint32_t peer)
{
    return person_find(m, peer);
}

bool model_somebody_came(const struct model *m)
{
    return m->somebody_came;
}

size_t model_undelivered(const struct model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->entry_count; i++)
        count += m->entries[i]->kind == ENTRY_OWN && m->entries[i]->mark <= MARK_SENT;
    return count;
}

size_t model_entry_count(const struct model *m)
{
    return m->entry_count;
}

const struct entry *model_entry(const struct model *m, size_t index)
{
    return m->entries[index];
}

const struct banner *model_trouble(const struct model *m)
{
    return &m->trouble;
}

const struct banner *model_advice(const struct model *m)
{
    return &m->advice;
}

const char *model_keyword(const struct model *m)
{
    return m->keyword;
}

const char *model_invitation(const struct model *m)
{
    return m->invitation;
}

const char *model_words(const struct model *m, uint32_t peer)
{
    return m->words_of == peer && peer != 0 ? m->words : NULL;
}

const char *model_network(const struct model *m)
{
    return m->network;
}
