#include "sim_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ENTROPY_US VTIME_S(60)
enum { AT_ONCE_MAX = 4 };

static vtime_us host_now(const struct sim_client *c)
{
    return world_host_now(c->w, c->host);
}

static char *copy_text(const char *text, size_t size)
{
    char *copy = calloc(1, size + 1);
    assert(copy);
    if (size)
        memcpy(copy, text, size);
    return copy;
}

const char *sim_event_name(enum engine_event_kind kind)
{
    static const char *const names[] = {
        [EVENT_KEYWORD] = "keyword",
        [EVENT_REGISTERED] = "registered",
        [EVENT_SERVER_LOST] = "server-lost",
        [EVENT_NAT] = "nat",
        [EVENT_PEER] = "peer",
        [EVENT_NAME] = "name",
        [EVENT_PEER_LEFT] = "left",
        [EVENT_PATH] = "path",
        [EVENT_MESSAGE] = "message",
        [EVENT_SENT] = "sent",
        [EVENT_DELIVERED] = "delivered",
        [EVENT_FAILED] = "failed",
        [EVENT_WARNING] = "warning",
        [EVENT_ERROR] = "error",
        [EVENT_END] = "end",
    };
    return names[kind];
}

/* ---- events ---- */

/* How much of a text the trace shows. */
static int shown(size_t size)
{
    return size < 40 ? (int)size : 40;
}

static void trace_event(struct sim_client *c, const struct engine_event *e)
{
    static const char *const paths[] = {"none", "relay", "direct", "lan"};
    struct trace *t = &c->w->trace;
    const char *what = sim_event_name(e->kind);
    char at[ADDR_TEXT_MAX];
    addr_format(&e->addr, at);
    switch (e->kind) {
    case EVENT_PATH:
        trace_text(t, c->w->now, c->label, what, "peer %u: %s %s (%s)", e->peer, paths[e->path], at,
                   e->text ? e->text : "");
        break;
    case EVENT_MESSAGE:
        trace_text(t, c->w->now, c->label, what, "peer %u, id %llu, number %llu, %zu bytes: %.*s", e->peer,
                   (unsigned long long)e->id, (unsigned long long)e->number, e->text_size, shown(e->text_size),
                   e->text);
        break;
    case EVENT_REGISTERED:
        trace_text(t, c->w->now, c->label, what, "observed %s", at);
        break;
    default:
        trace_text(t, c->w->now, c->label, what, "peer %u (%s) id %llu %s: %s", e->peer, e->name ? e->name : "",
                   (unsigned long long)e->id, e->code ? e->code : "", e->text ? e->text : "");
    }
}

static void broken(struct sim_client *c, const char *what)
{
    if (c->watcher.on_broken)
        c->watcher.on_broken(c->watcher.context, c, what);
}

static void on_event(struct sim_client *c, const struct engine_event *e)
{
    if (c->ended) {
        broken(c, "an event after the end");
        return;
    }
    if (c->event_count == c->event_cap) {
        c->event_cap = c->event_cap ? c->event_cap * 2 : 32;
        c->events = realloc(c->events, c->event_cap * sizeof *c->events);
        assert(c->events);
    }
    struct sim_event *copy = &c->events[c->event_count++];
    *copy = (struct sim_event){.time = c->w->now, .e = *e};
    if (e->text)
        copy->e.text = copy_text(e->text, e->kind == EVENT_MESSAGE ? e->text_size : strlen(e->text));
    if (e->name)
        copy->e.name = copy_text(e->name, strlen(e->name));
    trace_event(c, e);
    if (e->kind == EVENT_END) {
        c->ended = true;
        c->status = e->status;
    }
    if (c->watcher.on_event)
        c->watcher.on_event(c->watcher.context, c, copy);
}

/* ---- what the engine wants ---- */

static void do_command(struct sim_client *c, const struct engine_command *command)
{
    engine_command(c->e, host_now(c), command);
}

static void do_open(struct sim_client *c, const struct engine_out *out)
{
    struct engine_command answer = {
        .kind = COMMAND_SOCKET_FAILED, .socket = out->socket, .text = (const uint8_t *)"no"};
    if (out->socket >= ENGINE_SOCKETS_MAX || c->sockets[out->socket] >= 0) {
        broken(c, "opens a socket that is open, or out of range");
        return;
    }
    int s = world_open(c->w, c->actor, (enum addr_family)out->family, 0);
    answer.text_size = 2;
    if (s >= 0) {
        c->sockets[out->socket] = s;
        c->sockets_opened++;
        if (++c->sockets_open > c->sockets_open_most)
            c->sockets_open_most = c->sockets_open;
        answer.kind = COMMAND_SOCKET_OPENED;
        /* As getsockname() says it of a socket that is bound to every address. */
        answer.addr = (struct addr){.family = out->family, .port = world_port(c->w, s)};
    }
    do_command(c, &answer);
}

static void do_send(struct sim_client *c, const struct engine_out *out)
{
    if (out->socket >= ENGINE_SOCKETS_MAX || c->sockets[out->socket] < 0) {
        broken(c, "sends from a socket that is not open");
        return;
    }
    if (out->size == 0 || out->size > DATAGRAM_BYTES_MAX || !addr_is_sendable(&out->to)) {
        broken(c, "sends a datagram that is empty, too large or to no address");
        return;
    }
    if (world_send(c->w, c->sockets[out->socket], NULL, &out->to, out->ttl, out->bytes, out->size)) {
        c->first_sent_at = vtime_min(c->first_sent_at, c->w->now);
        c->sent_count++;
        return;
    }
    static const char why[] = "Network is unreachable";
    do_command(c, &(struct engine_command){.kind = COMMAND_SEND_FAILED,
                                           .socket = out->socket,
                                           .addr = out->to,
                                           .text = (const uint8_t *)why,
                                           .text_size = sizeof why - 1});
}

static void do_close(struct sim_client *c, const struct engine_out *out)
{
    if (out->socket >= ENGINE_SOCKETS_MAX || c->sockets[out->socket] < 0) {
        broken(c, "closes a socket that is not open");
        return;
    }
    world_close(c->w, c->sockets[out->socket]);
    c->sockets[out->socket] = -1;
    c->sockets_open--;
}

/* The user's reader: one message after the other, each told to the engine. */
static bool write_one(struct sim_client *c)
{
    while (c->written < c->event_count && c->events[c->written].e.kind != EVENT_MESSAGE)
        c->written++;
    if (c->reader_stalled || c->written == c->event_count || c->ended)
        return false;
    const struct engine_event *e = &c->events[c->written++].e;
    if (c->watcher.on_written)
        c->watcher.on_written(c->watcher.context, c, e->peer, e->id);
    do_command(c, &(struct engine_command){.kind = COMMAND_WRITTEN, .peer = e->peer, .number = e->number});
    return true;
}

static void carry_out(struct sim_client *c, const struct engine_out *out)
{
    switch (out->kind) {
    case OUT_SEND:
        do_send(c, out);
        break;
    case OUT_OPEN:
        do_open(c, out);
        break;
    case OUT_CLOSE:
        do_close(c, out);
        break;
    case OUT_EVENT:
        on_event(c, &out->event);
        break;
    default:
        broken(c, "wants something unheard of");
    }
}

static void events_free(struct sim_client *c)
{
    for (size_t i = 0; i < c->event_count; i++) {
        free((void *)(uintptr_t)c->events[i].e.text);
        free((void *)(uintptr_t)c->events[i].e.name);
    }
    c->event_count = c->written = 0;
}

static void pump(struct sim_client *c)
{
    struct engine_out out;
    unsigned at_once = 0;
    do {
        do {
            while (!c->ended && engine_poll(c->e, host_now(c), &out))
                carry_out(c, &out);
        } while (write_one(c));
        /* A timer that is due at once calls again at once: once or twice is no harm, for ever is a busy loop. */
    } while (!c->ended && engine_deadline(c->e) <= host_now(c) && ++at_once < AT_ONCE_MAX);
    if (c->forgets && c->written == c->event_count)
        events_free(c);
    if (at_once == AT_ONCE_MAX)
        broken(c, "polled dry and its deadline has come: the shell's loop would spin");
    if (c->ended && c->actor >= 0) {
        world_remove_actor(c->w, c->actor);
        c->actor = -1;
    } else if (c->actor >= 0) {
        world_touch(c->w, c->actor);
    }
}

/* ---- the program ---- */

static void on_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                     const uint8_t *at, size_t size)
{
    struct sim_client *c = self;
    uint16_t i = 0;
    while (c->sockets[i] != socket)
        i++;
    engine_input(c->e, now, i, local, from, at, size);
    pump(c);
}

static void feed_entropy(struct sim_client *c)
{
    uint8_t entropy[RNG_SEED_BYTES];
    dice_bytes(&c->dice, entropy, sizeof entropy);
    do_command(c, &(struct engine_command){.kind = COMMAND_ENTROPY, .entropy = entropy});
    c->entropy_at = host_now(c) + ENTROPY_US;
}

static void on_wake(void *self, vtime_us now)
{
    struct sim_client *c = self;
    if (now >= c->entropy_at)
        feed_entropy(c);
    pump(c);
}

static vtime_us on_deadline(void *self)
{
    const struct sim_client *c = self;
    return vtime_min(c->entropy_at, engine_deadline(c->e));
}

static const struct actor_calls calls = {on_input, on_wake, on_deadline};

static void tell_interfaces(struct sim_client *c)
{
    struct addr addrs[WORLD_NODE_ADDRS];
    size_t count = 0;
    for (const struct addr *a; (a = world_addr(c->w, c->host, count)) != NULL;)
        addrs[count++] = *a;
    do_command(c, &(struct engine_command){.kind = COMMAND_INTERFACES, .addrs = addrs, .addr_count = count});
}

static void engine_begin(struct sim_client *c)
{
    struct engine_config config = {.relay = c->config.relay, .wait_us = c->config.wait_us};
    uint8_t seed[RNG_SEED_BYTES];
    config.keyword.form = KEYWORD_NEW;
    if (c->config.keyword) {
        enum keyword_error error = keyword_parse(&config.keyword, c->config.keyword, strlen(c->config.keyword));
        assert(error == KEYWORD_OK);
        (void)error;
    }
    config.name_size = (uint8_t)strlen(c->config.name);
    assert(config.name_size <= NAME_BYTES_MAX);
    memcpy(config.name, c->config.name, config.name_size);
    dice_bytes(&c->dice, seed, sizeof seed);
    c->e = calloc(1, engine_size());
    assert(c->e);
    engine_init(c->e, &config, seed, host_now(c));
}

struct sim_client *sim_client_new(struct world *w, int host, const char *label, const struct sim_client_config *config,
                                  const struct sim_client_watcher *watcher)
{
    struct sim_client *c = calloc(1, sizeof *c);
    assert(c);
    c->w = w;
    c->host = host;
    c->config = *config;
    c->config.name = c->name;
    snprintf(c->name, sizeof c->name, "%s", config->name);
    if (config->keyword) {
        c->config.keyword = c->keyword;
        snprintf(c->keyword, sizeof c->keyword, "%s", config->keyword);
    }
    if (watcher)
        c->watcher = *watcher;
    for (size_t i = 0; i + 1 < sizeof c->label && label[i]; i++)
        c->label[i] = label[i];
    for (size_t i = 0; i < ENGINE_SOCKETS_MAX; i++)
        c->sockets[i] = -1;
    c->dice = dice_fork(&w->dice);
    c->next_id = 1;
    c->started_at = w->now;
    c->first_sent_at = VTIME_NEVER;
    c->actor = world_add_actor(w, host, &calls, c, label);
    trace_text(&w->trace, w->now, label, "starts", "on %s", world_name(w, host));
    engine_begin(c);
    c->entropy_at = host_now(c) + ENTROPY_US;
    tell_interfaces(c);
    if (config->server_count)
        do_command(c, &(struct engine_command){
                          .kind = COMMAND_SERVER_ADDRS, .addrs = c->config.server, .addr_count = config->server_count});
    pump(c);
    return c;
}

void sim_client_free(struct sim_client *c)
{
    events_free(c);
    free(c->events);
    free(c->e);
    free(c);
}

void sim_client_kill(struct sim_client *c)
{
    if (c->actor < 0)
        return;
    trace_text(&c->w->trace, c->w->now, c->label, "killed", "%s", "");
    world_remove_actor(c->w, c->actor);
    c->actor = -1;
}

/* ---- the user ---- */

uint64_t sim_client_say_to(struct sim_client *c, uint32_t to, const uint8_t *text, size_t size)
{
    uint64_t id = c->next_id++;
    trace_text(&c->w->trace, c->w->now, c->label, "says", "id %llu, to %u, %zu bytes: %.*s", (unsigned long long)id, to,
               size, shown(size), (const char *)text);
    if (c->watcher.on_said)
        c->watcher.on_said(c->watcher.context, c, id, to, text, size);
    do_command(c, &(struct engine_command){.kind = COMMAND_SEND, .id = id, .to = to, .text = text, .text_size = size});
    pump(c);
    return id;
}

uint64_t sim_client_say(struct sim_client *c, const char *text)
{
    return sim_client_say_to(c, 0, (const uint8_t *)text, strlen(text));
}

static void simple_command(struct sim_client *c, enum engine_command_kind kind, const char *name)
{
    trace_text(&c->w->trace, c->w->now, c->label, "command", "%s", name);
    do_command(c, &(struct engine_command){.kind = kind});
    pump(c);
}

void sim_client_finish(struct sim_client *c)
{
    simple_command(c, COMMAND_FINISH, "finish");
}

void sim_client_quit(struct sim_client *c)
{
    simple_command(c, COMMAND_QUIT, "quit");
}

void sim_client_rename(struct sim_client *c, const char *name)
{
    trace_text(&c->w->trace, c->w->now, c->label, "command", "name %s", name);
    do_command(
        c, &(struct engine_command){.kind = COMMAND_NAME, .text = (const uint8_t *)name, .text_size = strlen(name)});
    pump(c);
}

void sim_client_ignore(struct sim_client *c, uint32_t peer)
{
    if (c->watcher.on_ignored)
        c->watcher.on_ignored(c->watcher.context, c, peer);
    do_command(c, &(struct engine_command){.kind = COMMAND_IGNORE, .peer = peer});
    pump(c);
}

void sim_client_stall(struct sim_client *c, bool stalled)
{
    trace_text(&c->w->trace, c->w->now, c->label, "command", stalled ? "reader stalls" : "reader goes on");
    c->reader_stalled = stalled;
    pump(c);
}

void sim_client_interfaces(struct sim_client *c)
{
    tell_interfaces(c);
    pump(c);
}

void sim_client_woke(struct sim_client *c)
{
    feed_entropy(c);
    tell_interfaces(c);
    pump(c);
}

void sim_client_server(struct sim_client *c, const struct addr *addrs, size_t count)
{
    do_command(c, &(struct engine_command){.kind = COMMAND_SERVER_ADDRS, .addrs = addrs, .addr_count = count});
    pump(c);
}

/* ---- what was seen ---- */

const struct sim_event *sim_client_event(const struct sim_client *c, enum engine_event_kind kind, uint32_t peer,
                                         size_t from, size_t nth)
{
    for (size_t i = from; i < c->event_count; i++)
        if (c->events[i].e.kind == kind && (peer == 0 || c->events[i].e.peer == peer) && nth-- == 0)
            return &c->events[i];
    return NULL;
}

size_t sim_client_count(const struct sim_client *c, enum engine_event_kind kind, uint32_t peer)
{
    size_t n = 0;
    while (sim_client_event(c, kind, peer, 0, n))
        n++;
    return n;
}

size_t sim_client_codes(const struct sim_client *c, const char *code)
{
    size_t n = 0;
    for (size_t i = 0; i < c->event_count; i++)
        n += c->events[i].e.code && strcmp(c->events[i].e.code, code) == 0;
    return n;
}

uint64_t sim_client_stat(const struct sim_client *c, const char *name)
{
    struct engine_stat stats[ENGINE_STATS_MAX];
    size_t count = engine_stats(c->e, stats);
    for (size_t i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i].value;
    fprintf(stderr, "the engine counts no \"%s\"\n", name);
    abort();
}
