/* What the client says. */
#include "client/display.h"
#include "gui/model_internal.h"
#include <stdlib.h>
#include <string.h>

static const char *string_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text == NULL ? "" : text;
}

static uint32_t peer_of(const json_t *event)
{
    json_int_t peer = json_integer_value(json_object_get(event, "peer"));
    return peer < 1 || peer > UINT32_MAX ? 0 : (uint32_t)peer;
}

static uint64_t id_of(const json_t *event)
{
    json_int_t id = json_integer_value(json_object_get(event, "id"));
    return id < 1 ? 0 : (uint64_t)id;
}

struct person *person_find(const struct model *m, uint32_t peer)
{
    for (size_t i = 0; i < m->people_count; i++)
        if (m->people[i].peer == peer)
            return (struct person *)&m->people[i];
    return NULL;
}

void person_clear(struct person *p)
{
    free(p->name);
    free(p->reason);
    free(p->address);
    *p = (struct person){0};
}

static bool is_taken(const struct model *m, const struct person *person, const char *name)
{
    for (size_t i = 0; i < m->people_count; i++)
        if (&m->people[i] != person && strcmp(m->people[i].name, name) == 0)
            return true;
    return false;
}

/* Two of one name are told apart by the number of the second, as in the console. */
static void set_name(struct model *m, struct person *p, const char *name)
{
    struct buffer b = {0};
    display_name(&b, name);
    if (b.size == 0)
        buffer_addf(&b, "peer %u", p->peer);
    if (is_taken(m, p, b.at))
        buffer_addf(&b, " (%u)", p->peer);
    text_set(&p->name, b.at);
    buffer_free(&b);
}

static void say(struct model *m, int64_t now_s, const char *format, const char *a, const char *b)
    __attribute__((format(printf, 3, 0)));

static void say(struct model *m, int64_t now_s, const char *format, const char *a, const char *b)
{
    struct buffer line = {0};
    buffer_addf(&line, format, a, b);
    model_notice(m, now_s, line.at);
    buffer_free(&line);
}

static void on_peer(struct model *m, const json_t *event, int64_t now_s)
{
    uint32_t peer = peer_of(event);
    if (peer == 0 || m->people_count == PEERS_MAX || person_find(m, peer) != NULL)
        return;
    struct person *p = &m->people[m->people_count++];
    *p = (struct person){
        .peer = peer, .rtt_ms = -1, .name = text_copy(""), .reason = text_copy(""), .address = text_copy("")};
    set_name(m, p, string_of(event, "name"));
    m->somebody_came = true;
    say(m, now_s, "%s joined", p->name, "");
    model_changed(m, CHANGED_PEOPLE | CHANGED_STATE);
}

static void on_name(struct model *m, const json_t *event, int64_t now_s)
{
    struct person *p = person_find(m, peer_of(event));
    if (p == NULL)
        return;
    char *before = text_copy(p->name);
    set_name(m, p, string_of(event, "name"));
    if (strcmp(before, p->name) != 0)
        say(m, now_s, "%s is now called %s", before, p->name);
    free(before);
    model_changed(m, CHANGED_PEOPLE | CHANGED_STATE);
}

static void on_peer_left(struct model *m, const json_t *event, int64_t now_s)
{
    struct person *p = person_find(m, peer_of(event));
    if (p == NULL)
        return;
    bool said_goodbye = strcmp(string_of(event, "reason"), "quit") == 0;
    say(m, now_s, said_goodbye ? "%s left" : "%s is gone: nothing was heard for a minute", p->name, "");
    size_t at = (size_t)(p - m->people);
    person_clear(p);
    m->people_count--;
    memmove(p, p + 1, (m->people_count - at) * sizeof *p);
    model_changed(m, CHANGED_PEOPLE | CHANGED_STATE);
}

static enum route route_of(const char *path)
{
    static const char *const names[] = {
        [ROUTE_NONE] = "none", [ROUTE_RELAY] = "relay", [ROUTE_DIRECT] = "direct", [ROUTE_LAN] = "lan"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(path, names[i]) == 0)
            return (enum route)i;
    return ROUTE_NONE;
}

/* The path of one peer: an event of its own, or a member of the list of peers. */
static void read_path(struct model *m, const json_t *object)
{
    struct person *p = person_find(m, peer_of(object));
    const json_t *rtt = json_object_get(object, "rtt_ms");
    if (p == NULL)
        return;
    p->route = route_of(string_of(object, "path"));
    p->rtt_ms = json_is_number(rtt) ? json_number_value(rtt) : -1;
    free(p->reason);
    p->reason = shown_line(string_of(object, "reason"));
    free(p->address);
    p->address = shown_line(string_of(object, "address"));
}

static void on_path(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    read_path(m, event);
    model_changed(m, CHANGED_PEOPLE | CHANGED_STATE);
}

static void on_peers(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    const json_t *list = json_object_get(event, "peers");
    for (size_t i = 0; i < json_array_size(list); i++)
        read_path(m, json_array_get(list, i));
    model_changed(m, CHANGED_PEOPLE | CHANGED_STATE);
}

static void on_message(struct model *m, const json_t *event, int64_t now_s)
{
    const json_t *text = json_object_get(event, "text");
    const struct person *p = person_find(m, peer_of(event));
    if (p == NULL || p->ignored || !json_is_string(text))
        return;
    entry_add(m, (struct entry){.kind = ENTRY_RECEIVED,
                                .time_s = now_s,
                                .peer = p->peer,
                                .name = text_copy(p->name),
                                .text = shown_block(json_string_value(text), json_string_length(text))});
}

/* The second `sent` of a message that waited may come behind a receipt of it. */
static void on_sent(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    struct entry *e = entry_find(m, id_of(event));
    const json_t *list = json_object_get(event, "peers");
    if (e == NULL)
        return;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t peer = json_integer_value(json_array_get(list, i));
        if (peer >= 1 && peer <= UINT32_MAX)
            entry_receipt(e, (uint32_t)peer);
    }
    entry_mark(m, e, entry_judge(e));
}

static void on_receipt(struct model *m, const json_t *event, enum receipt_state state)
{
    struct entry *e = entry_find(m, id_of(event));
    uint32_t peer = peer_of(event);
    struct receipt *r = e == NULL || peer == 0 ? NULL : entry_receipt(e, peer);
    if (e == NULL)
        return;
    if (r != NULL)
        r->state = state;
    if (state == RECEIPT_FAILED) {
        free(e->failure);
        e->failure = shown_line(string_of(event, "reason"));
    }
    entry_mark(m, e, peer == 0 ? MARK_FAILED : entry_judge(e));
}

static void on_delivered(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    on_receipt(m, event, RECEIPT_DELIVERED);
}

static void on_failed(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    on_receipt(m, event, RECEIPT_FAILED);
}

static void on_keyword(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    free(m->keyword);
    free(m->invitation);
    m->keyword = shown_line(string_of(event, "keyword"));
    m->invitation = shown_line(string_of(event, "command"));
    model_changed(m, CHANGED_KEYWORD);
}

static void on_nat(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    struct buffer b = {0};
    buffer_addf(&b, "mapping %s, filtering %s, ports %s", string_of(event, "mapping"), string_of(event, "filtering"),
                string_of(event, "ports"));
    free(m->nat);
    m->nat = shown_line(b.at);
    buffer_free(&b);
    model_describe_network(m);
    model_changed(m, CHANGED_PEOPLE);
}

static void on_registered(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    m->link = LINK_REGISTERED;
    m->trouble = (struct banner){0};
    free(m->observed);
    m->observed = shown_line(string_of(event, "observed"));
    model_describe_network(m);
    model_changed(m, CHANGED_STATE | CHANGED_PEOPLE | CHANGED_BANNERS);
}

static void on_server_lost(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    m->link = LINK_LOST;
    model_trouble_of_server(m, string_of(event, "reason"));
    model_changed(m, CHANGED_STATE | CHANGED_BANNERS);
}

static void on_verify(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    const json_t *list = json_object_get(event, "words");
    struct buffer b = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        buffer_addf(&b, "%s%s", i == 0 ? "" : " ", word == NULL ? "" : word);
    }
    free(m->words);
    m->words = shown_line(buffer_text(&b));
    m->words_of = peer_of(event);
    buffer_free(&b);
    model_changed(m, CHANGED_WORDS);
}

static void on_trouble(struct model *m, const json_t *event, int64_t now_s)
{
    (void)now_s;
    struct entry *e = entry_find(m, id_of(event));
    if (e != NULL) {
        free(e->failure);
        e->failure = shown_line(string_of(event, "text"));
        entry_mark(m, e, MARK_FAILED);
        return;
    }
    model_advise(m, string_of(event, "code"), string_of(event, "text"));
    model_changed(m, CHANGED_BANNERS | CHANGED_STATE);
}

static void on_hello(struct model *m, const json_t *event, int64_t now_s)
{
    (void)event;
    (void)now_s;
    m->link = LINK_SEARCHING;
    for (size_t i = 0; i < m->entry_count; i++)
        if (m->entries[i]->kind == ENTRY_OWN && m->entries[i]->mark == MARK_QUEUED)
            model_give(m, m->entries[i]);
    model_changed(m, CHANGED_STATE);
}

static const struct {
    const char *name;
    void (*take)(struct model *, const json_t *, int64_t);
} events[] = {
    {"hello", on_hello},
    {"keyword", on_keyword},
    {"registered", on_registered},
    {"server-lost", on_server_lost},
    {"nat", on_nat},
    {"peer", on_peer},
    {"name", on_name},
    {"peer-left", on_peer_left},
    {"path", on_path},
    {"message", on_message},
    {"sent", on_sent},
    {"delivered", on_delivered},
    {"failed", on_failed},
    {"peers", on_peers},
    {"verify", on_verify},
    {"warning", on_trouble},
    {"error", on_trouble},
};

void model_line(struct model *m, const char *line, size_t size, int64_t now_s)
{
    json_error_t error;
    json_t *event = json_loadb(line, size, 0, &error);
    const char *name = json_string_value(json_object_get(event, "event"));
    bool expected = m->link != LINK_NONE && m->link != LINK_ENDED && name != NULL &&
                    (m->link == LINK_STARTING) == (strcmp(name, "hello") == 0);
    for (size_t i = 0; expected && i < sizeof events / sizeof *events; i++)
        if (strcmp(events[i].name, name) == 0)
            events[i].take(m, event, now_s);
    json_decref(event);
}
