#include "judge.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "judge_parts.h"
#include "world_parts.h"

void judge_fail(const struct judge *j, const char *format, ...)
{
    char why[400];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (j->fail)
        j->fail(j->fail_context, why);
    trace_dump(&j->w->trace, stderr, 60);
    fprintf(stderr, "%s\n", why);
    abort();
}

/* ---- who is who ---- */

static int client_index(struct judge *j, struct sim_client *c)
{
    for (int i = 0; i < j->client_count; i++)
        if (j->clients[i].c == c)
            return i;
    assert(j->client_count < JUDGE_CLIENTS_MAX);
    struct judge_client *new = &j->clients[j->client_count];
    new->c = c;
    if (c->config.keyword)
        snprintf(new->keyword, sizeof new->keyword, "%s", c->config.keyword);
    memset(new->last_shown, 0xff, sizeof new->last_shown);
    return j->client_count++;
}

static const struct judge_client *client_find(const struct judge *j, const struct sim_client *c)
{
    for (int i = 0; i < j->client_count; i++)
        if (j->clients[i].c == c)
            return &j->clients[i];
    return NULL;
}

static int client_by_name(const struct judge *j, const char *name)
{
    for (int i = 0; i < j->client_count; i++)
        if (strcmp(j->clients[i].c->config.name, name) == 0)
            return i;
    return -1;
}

/* Which client is `peer` to this one? */
static int peer_is(const struct judge *j, const struct judge_client *jc, uint32_t peer)
{
    if (peer == 0 || peer >= jc->peer_count || jc->peers[peer] < 0)
        judge_fail(j, "%s speaks of peer %u, whom it has not introduced", jc->c->label, peer);
    return jc->peers[peer];
}

uint32_t judge_peer(const struct judge *j, const struct sim_client *c, const struct sim_client *other)
{
    const struct judge_client *jc = client_find(j, c);
    for (uint32_t p = jc ? jc->peer_count : 0; p-- > 1;)
        if (jc->peers[p] >= 0 && j->clients[jc->peers[p]].c == other && !jc->left[p])
            return p;
    return 0;
}

static void on_peer(struct judge *j, int self, const struct engine_event *e)
{
    struct judge_client *jc = &j->clients[self];
    if (e->peer == 0 || (e->peer < jc->peer_count && jc->peers[e->peer] >= 0))
        judge_fail(j, "%s uses peer number %u again", jc->c->label, e->peer);
    int other = client_by_name(j, e->name);
    if (other < 0)
        judge_fail(j, "%s met \"%s\", who is not in this world", jc->c->label, e->name);
    if (other == self)
        judge_fail(j, "%s met itself", jc->c->label);
    if (strcmp(j->clients[other].keyword, jc->keyword) != 0)
        judge_fail(j, "%s met %s, who has another keyword", jc->c->label, j->clients[other].c->label);
    uint32_t count = e->peer < jc->peer_count ? jc->peer_count : e->peer + 1;
    jc->peers = world_grow(jc->peers, count * sizeof *jc->peers);
    jc->left = world_grow(jc->left, count * sizeof *jc->left);
    for (uint32_t p = jc->peer_count; p < count; p++) {
        jc->peers[p] = -1;
        jc->left[p] = false;
    }
    jc->peers[e->peer] = other;
    jc->peer_count = count;
}

/* ---- messages ---- */

static struct said *said_find(struct judge_client *jc, uint64_t id)
{
    for (int i = jc->said_count; i-- > 0;)
        if (jc->said[i].id == id)
            return &jc->said[i];
    return NULL;
}

static bool said_names(const struct said *s, uint32_t peer)
{
    for (uint8_t i = 0; i < s->sent_count; i++)
        if (s->sent[i] == peer)
            return true;
    return false;
}

static void on_said(void *context, struct sim_client *c, uint64_t id, uint32_t to, const uint8_t *text, size_t size)
{
    struct judge *j = context;
    struct judge_client *jc = &j->clients[client_index(j, c)];
    GROW(jc->said, jc->said_count);
    struct said *s = &jc->said[jc->said_count++];
    *s = (struct said){.id = id, .to = to, .size = size};
    s->text = world_grow(NULL, size + 1);
    memcpy(s->text, text, size);
}

static void check_gap(const struct judge *j, const struct judge_client *from, int reader, int shown)
{
    uint32_t peer = 0; /* the reader's newest number at the sender; what an older session lost is `failed` */
    for (uint32_t p = 1; p < from->peer_count; p++)
        if (from->peers[p] == reader)
            peer = from->left[p] ? 0 : p;
    for (int i = 0; i < shown; i++)
        if (!from->said[i].shown[reader] && said_names(&from->said[i], peer))
            judge_fail(j, "%s was shown message %llu of %s and not %llu, which is older", j->clients[reader].c->label,
                       (unsigned long long)from->said[shown].id, from->c->label, (unsigned long long)from->said[i].id);
}

static void on_message(struct judge *j, int self, const struct engine_event *e)
{
    const struct judge_client *reader = &j->clients[self];
    int other = peer_is(j, reader, e->peer);
    struct judge_client *from = &j->clients[other];
    unsigned long long id = e->id;
    struct said *s = said_find(from, e->id);
    if (!s)
        judge_fail(j, "%s was shown message %llu, which %s never said", reader->c->label, id, from->c->label);
    int index = (int)(s - from->said);
    if (s->size != e->text_size || memcmp(s->text, e->text, s->size) != 0)
        judge_fail(j, "%s was shown message %llu of %s altered", reader->c->label, id, from->c->label);
    if (s->to != 0 && peer_is(j, from, s->to) != self)
        judge_fail(j, "%s was shown message %llu of %s, which was for somebody else", reader->c->label, id,
                   from->c->label);
    if (reader->is_liar) {
        s->shown[self] = true;
        return; /* what it makes of it is its own affair, too */
    }
    if (s->shown[self])
        judge_fail(j, "%s was shown message %llu of %s twice", reader->c->label, id, from->c->label);
    if (index < reader->last_shown[other])
        judge_fail(j, "%s was shown message %llu of %s too late", reader->c->label, id, from->c->label);
    s->shown[self] = true;
    j->clients[self].last_shown[other] = index;
    j->shown++;
    check_gap(j, from, self, index);
}

static void on_written(void *context, struct sim_client *c, uint32_t peer, uint64_t id)
{
    struct judge *j = context;
    int self = client_index(j, c);
    struct said *s = said_find(&j->clients[peer_is(j, &j->clients[self], peer)], id);
    assert(s);
    s->written[self] = true;
}

static void on_ignored(void *context, struct sim_client *c, uint32_t peer)
{
    struct judge *j = context;
    struct judge_client *jc = &j->clients[client_index(j, c)];
    jc->ignores[peer_is(j, jc, peer)] = true;
}

/* Has `reader` written it, or thrown it away unseen? */
static bool is_done_with(const struct judge *j, const struct said *s, const struct judge_client *from, int reader)
{
    return s->written[reader] || j->clients[reader].is_liar ||
           (!s->shown[reader] && j->clients[reader].ignores[from - j->clients]);
}

static void add_outcome(struct judge *j, struct judge_client *jc, const struct engine_event *e)
{
    bool delivered = e->kind == EVENT_DELIVERED;
    struct said *s = said_find(jc, e->id);
    unsigned long long id = e->id;
    if (!s)
        judge_fail(j, "%s: %s for %llu, which it never said", jc->c->label, sim_event_name(e->kind), id);
    if (e->peer == 0) {
        if (delivered || s->nobody || s->outcome_count)
            judge_fail(j, "%s: %llu failed for nobody, and more than that", jc->c->label, id);
        s->nobody = true;
        return;
    }
    if (!delivered && e->peer == s->to && e->peer >= jc->peer_count) {
        s->nobody = true; /* for somebody who does not exist */
        return;
    }
    int other = peer_is(j, jc, e->peer);
    for (int i = 0; i < s->outcome_count; i++)
        if (s->outcomes[i].peer == e->peer)
            judge_fail(j, "%s: %s for %llu and %s, after %s", jc->c->label, sim_event_name(e->kind), id,
                       j->clients[other].c->label, s->outcomes[i].delivered ? "delivered" : "failed");
    if (delivered && !is_done_with(j, s, jc, other))
        judge_fail(j, "%s: delivered for %llu, but %s has not written it", jc->c->label, id,
                   j->clients[other].c->label);
    GROW(s->outcomes, s->outcome_count);
    s->outcomes[s->outcome_count++] = (struct outcome){e->peer, delivered};
}

static void on_sent(struct judge *j, struct judge_client *jc, const struct engine_event *e)
{
    struct said *s = said_find(jc, e->id);
    if (!s)
        judge_fail(j, "%s: sent for %llu, which it never said", jc->c->label, (unsigned long long)e->id);
    if (++s->sent_events > 2 || s->sent_count > 0)
        judge_fail(j, "%s: sent for %llu once more", jc->c->label, (unsigned long long)e->id);
    s->sent_count = e->peer_count;
    memcpy(s->sent, e->peers, e->peer_count * sizeof e->peers[0]);
}

static void on_event(void *context, struct sim_client *c, const struct sim_event *event)
{
    struct judge *j = context;
    int self = client_index(j, c);
    struct judge_client *jc = &j->clients[self];
    const struct engine_event *e = &event->e;
    switch (e->kind) {
    case EVENT_KEYWORD:
        snprintf(jc->keyword, sizeof jc->keyword, "%s", e->text);
        break;
    case EVENT_PEER:
        on_peer(j, self, e);
        break;
    case EVENT_PEER_LEFT:
        peer_is(j, jc, e->peer);
        if (jc->left[e->peer])
            judge_fail(j, "%s: peer %u left twice", c->label, e->peer);
        jc->left[e->peer] = true;
        break;
    case EVENT_MESSAGE:
        on_message(j, self, e);
        break;
    case EVENT_SENT:
        on_sent(j, jc, e);
        break;
    case EVENT_DELIVERED:
    case EVENT_FAILED:
        add_outcome(j, jc, e);
        break;
    case EVENT_NAME:
    case EVENT_PATH:
        peer_is(j, jc, e->peer);
        break;
    case EVENT_REGISTERED:
    case EVENT_SERVER_LOST:
    case EVENT_NAT:
    case EVENT_WARNING:
    case EVENT_ERROR:
    case EVENT_END:
        break;
    }
}

static void on_broken(void *context, struct sim_client *c, const char *what)
{
    judge_fail(context, "%s %s", c->label, what);
}

/* ---- verdicts ---- */

static bool said_is_settled(const struct said *s)
{
    return s->nobody || (s->sent_count > 0 && s->outcome_count >= s->sent_count);
}

bool judge_is_settled(const struct judge *j, const struct sim_client *c)
{
    const struct judge_client *jc = client_find(j, c);
    for (int i = 0; jc && i < jc->said_count; i++)
        if (!said_is_settled(&jc->said[i]))
            return false;
    return true;
}

void judge_print_unsettled(const struct judge *j, const struct sim_client *c, FILE *to)
{
    const struct judge_client *jc = client_find(j, c);
    for (int i = 0; jc && i < jc->said_count; i++) {
        const struct said *s = &jc->said[i];
        if (said_is_settled(s))
            continue;
        fprintf(to, "  %s: message %llu was sent to", c->label, (unsigned long long)s->id);
        for (uint8_t k = 0; k < s->sent_count; k++)
            fprintf(to, " %u", s->sent[k]);
        fprintf(to, s->sent_count ? ", outcomes:" : " nobody yet, outcomes:");
        for (int k = 0; k < s->outcome_count; k++)
            fprintf(to, " %u %s", s->outcomes[k].peer, s->outcomes[k].delivered ? "delivered" : "failed");
        fputc('\n', to);
    }
}

bool judge_has_all(const struct judge *j, const struct sim_client *from, const struct sim_client *to)
{
    const struct judge_client *sender = client_find(j, from), *reader = client_find(j, to);
    if (!sender)
        return true;
    for (int i = 0; i < sender->said_count; i++)
        if (sender->said[i].to == 0 && (!reader || !sender->said[i].shown[reader - j->clients]))
            return false;
    return true;
}

/* ---- beginning and end ---- */

struct judge *judge_new(struct world *w, void (*fail)(void *context, const char *why), void *context)
{
    struct judge *j = calloc(1, sizeof *j);
    assert(j);
    j->w = w;
    j->fail = fail;
    j->fail_context = context;
    j->clients = calloc(JUDGE_CLIENTS_MAX, sizeof *j->clients);
    j->codec = calloc(1, sizeof *j->codec);
    assert(j->clients && j->codec);
    world_add_tap(w, judge_tap, j);
    return j;
}

struct sim_client_watcher judge_watcher(struct judge *j)
{
    return (struct sim_client_watcher){j, on_said, on_event, on_written, on_ignored, on_broken};
}

void judge_distrust(struct judge *j, struct sim_client *c)
{
    j->clients[client_index(j, c)].is_liar = true;
}

void judge_set_server(struct judge *j, struct sim_server *s)
{
    j->server = s;
}

void judge_server_restarted(struct judge *j)
{
    j->source_count = 0;
}

void judge_free(struct judge *j)
{
    for (int i = 0; i < j->client_count; i++) {
        struct judge_client *jc = &j->clients[i];
        for (int k = 0; k < jc->said_count; k++) {
            free(jc->said[k].text);
            free(jc->said[k].outcomes);
        }
        free(jc->said);
        free(jc->peers);
        free(jc->left);
    }
    free(j->clients);
    free(j->sources);
    free(j->codec);
    free(j);
}
