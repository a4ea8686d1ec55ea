#include "scene.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "world_parts.h"

enum { TRACE_SHOWN = 400, TEXT_MAX = TEXT_BYTES_MAX + 1 };
enum { SERVER_NAMES = 2 /* addresses that its name stands for */ };

/* ---- beginning, end, failure ---- */

static void on_judge(void *context, const char *why)
{
    scene_fail(context, "%s", why);
}

struct scene *scene_new_with(const char *title, uint64_t seed, const struct server_config *config)
{
    struct scene *s = calloc(1, sizeof *s);
    assert(s);
    s->title = title;
    s->seed = seed;
    s->keyword = "42-crab-lunar-toast";
    s->w = world_new(seed);
    s->w->core_hops = 6; /* as the testbed's wan: what opens a NAT dies on the way */
    s->judge = judge_new(s->w, on_judge, s);
    int host = world_add_host(s->w, INTERNET, 0, "server");
    struct addr v4 = addr_v4(198, 51, 100, 1, 0), second = addr_v4(198, 51, 100, 2, 0), v6;
    addr_parse(&v6, "[2001:db8:ffff::1]:0");
    world_add_addr(s->w, host, &v4);
    world_add_addr(s->w, host, &v6);
    world_add_addr(s->w, host, &second);
    s->server = sim_server_new(s->w, host, config);
    judge_set_server(s->judge, s->server);
    return s;
}

struct scene *scene_new(const char *title, uint64_t seed)
{
    return scene_new_with(title, seed, NULL);
}

void scene_free(struct scene *s)
{
    judge_free(s->judge);
    for (int i = 0; i < s->client_count; i++)
        sim_client_free(s->clients[i]);
    sim_server_free(s->server);
    world_free(s->w);
    free(s);
}

void scene_fail(struct scene *s, const char *format, ...)
{
    char why[600];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (!s->w->trace.live) /* else it has been shown */
        trace_dump(&s->w->trace, stderr, getenv("SIM_LINES") ? (size_t)atoi(getenv("SIM_LINES")) : TRACE_SHOWN);
    fprintf(stderr, "%s, seed %llu, at %.6f s: %s\n", s->title, (unsigned long long)s->seed, (double)s->w->now / 1e6,
            why);
    if (s->fail)
        s->fail(why);
    abort();
}

/* ---- the map ---- */

int scene_host(struct scene *s, int network, vtime_us delay_us, struct addr ip)
{
    char name[TRACE_NAME_MAX];
    snprintf(name, sizeof name, "host%d", s->w->parts->node_count);
    int host = world_add_host(s->w, network, delay_us, name);
    world_add_addr(s->w, host, &ip);
    return host;
}

int scene_home(struct scene *s, vtime_us delay_us, const struct natbox_config *nat)
{
    int n = ++s->homes;
    struct addr outside = addr_v4(203, 0, (uint8_t)(113 + n / 200), (uint8_t)(1 + n % 200), 0);
    if (!nat)
        return scene_host(s, INTERNET, delay_us, outside);
    if (nat->mapping == NATBOX_NONE) {
        static const struct addr none;
        int firewall = world_add_natbox(s->w, INTERNET, delay_us, nat, &none, nat);
        return scene_host(s, world_inside(s->w, firewall), 0, outside);
    }
    int box = world_add_natbox(s->w, INTERNET, delay_us, nat, &outside, &natbox_firewall);
    /* Every other home has the same private network as the first: addresses that mean two things. */
    return scene_host(s, world_inside(s->w, box), 0, addr_v4(192, 168, (uint8_t)(n % 2), (uint8_t)(10 + n % 200), 0));
}

int scene_home_of(struct scene *s, vtime_us delay_us, const struct nat_kind *kind)
{
    int host = scene_home(s, delay_us, kind->config);
    for (unsigned i = 1; i < kind->addresses; i++) {
        struct addr more = addr_v4(192, 0, 2, (uint8_t)(NATBOX_OUTSIDE_MAX * s->homes + (int)i), 0);
        world_add_outside(s->w, scene_natbox(s, host), &more);
    }
    return host;
}

int scene_network(const struct scene *s, int host)
{
    return s->w->parts->nodes[host].network;
}

int scene_natbox(const struct scene *s, int host)
{
    return s->w->parts->gateways[scene_network(s, host)];
}

void scene_add_v6(struct scene *s, int host)
{
    struct addr ip;
    char text[ADDR_TEXT_MAX];
    snprintf(text, sizeof text, "[2001:db8:%x::2]:0", host);
    addr_parse(&ip, text);
    world_add_addr(s->w, host, &ip);
}

/* ---- people ---- */

struct sim_client *scene_join(struct scene *s, int host, const char *label)
{
    char name[NAME_BYTES_MAX + 1];
    assert(s->client_count < SCENE_CLIENTS_MAX);
    snprintf(name, sizeof name, "%s%s", JUDGE_MARK, label);
    struct sim_client_config config = s->config;
    struct sim_client_watcher watcher = judge_watcher(s->judge);
    config.keyword = s->keyword;
    config.name = name;
    for (size_t i = 0; config.server_count < SERVER_NAMES; i++) {
        struct addr a = *world_addr(s->w, s->server->host, i);
        a.port = SIM_SERVER_PORT;
        config.server[config.server_count++] = a;
    }
    struct sim_client *c = sim_client_new(s->w, host, label, &config, &watcher);
    s->clients[s->client_count++] = c;
    return c;
}

const char *scene_text(struct scene *s, size_t size)
{
    static char text[TEXT_MAX];
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz 0123456789";
    int n = snprintf(text, sizeof text, "%s%llu ", JUDGE_MARK, (unsigned long long)dice_u64(&s->w->dice));
    size_t at = (size_t)n;
    while (at < size && at + 1 < sizeof text) {
        /* The mark again and again, so that every fragment has it. */
        if (at % 64 == 0 && at + sizeof JUDGE_MARK < size) {
            memcpy(text + at, JUDGE_MARK, sizeof JUDGE_MARK - 1);
            at += sizeof JUDGE_MARK - 1;
        } else {
            text[at] = letters[(at * 7 + (size_t)n) % (sizeof letters - 1)];
            at++;
        }
    }
    text[at] = '\0';
    return text;
}

uint64_t scene_say(struct scene *s, struct sim_client *c, size_t size)
{
    return sim_client_say(c, scene_text(s, size));
}

/* ---- waiting ---- */

struct waiting {
    struct scene *scene;
    struct sim_client *a, *b;
    enum engine_event_kind kind;
    enum engine_path path;
    bool (*done)(struct scene *s, void *context);
    void *context;
};

static bool event_is_there(void *context)
{
    const struct waiting *wait = context;
    return sim_client_event(wait->a, wait->kind, 0, 0, 0) != NULL;
}

const struct sim_event *scene_wait(struct scene *s, struct sim_client *c, enum engine_event_kind kind, vtime_us us)
{
    struct waiting wait = {.scene = s, .a = c, .kind = kind};
    if (!world_run_while_not(s->w, us, event_is_there, &wait))
        scene_fail(s, "%s had no \"%s\" within %.3f s", c->label, sim_event_name(kind), (double)us / 1e6);
    return sim_client_event(c, kind, 0, 0, 0);
}

enum engine_path scene_path(const struct scene *s, const struct sim_client *a, const struct sim_client *b)
{
    struct engine_peer peers[PEERS_MAX];
    uint32_t number = judge_peer(s->judge, a, b);
    if (number == 0 || a->ended)
        return PATH_NONE;
    size_t count = engine_peers(a->e, peers, PEERS_MAX);
    for (size_t i = 0; i < count && i < PEERS_MAX; i++)
        if (peers[i].peer == number)
            return peers[i].path;
    return PATH_NONE;
}

static bool have_met(void *context)
{
    const struct waiting *wait = context;
    const struct judge *j = wait->scene->judge;
    return judge_peer(j, wait->a, wait->b) && judge_peer(j, wait->b, wait->a) &&
           scene_path(wait->scene, wait->a, wait->b) >= wait->path &&
           scene_path(wait->scene, wait->b, wait->a) >= wait->path;
}

void scene_meet_by(struct scene *s, struct sim_client *a, struct sim_client *b, enum engine_path path, vtime_us us)
{
    static const char *const names[] = {"no", "relayed", "direct", "lan"};
    struct waiting wait = {.scene = s, .a = a, .b = b, .path = path};
    if (!world_run_while_not(s->w, us, have_met, &wait))
        scene_fail(s, "%s and %s did not meet within %.3f s by a path that is at least %s; now %s and %s", a->label,
                   b->label, (double)us / 1e6, names[path], names[scene_path(s, a, b)], names[scene_path(s, b, a)]);
}

void scene_meet(struct scene *s, struct sim_client *a, struct sim_client *b, vtime_us us)
{
    scene_meet_by(s, a, b, PATH_NONE, us);
}

static bool are_settled(void *context)
{
    const struct waiting *wait = context;
    const struct judge *j = wait->scene->judge;
    return judge_has_all(j, wait->a, wait->b) && judge_has_all(j, wait->b, wait->a) && judge_is_settled(j, wait->a) &&
           judge_is_settled(j, wait->b);
}

void scene_settle(struct scene *s, struct sim_client *a, struct sim_client *b, vtime_us us)
{
    struct waiting wait = {.scene = s, .a = a, .b = b};
    const struct judge *j = s->judge;
    if (!world_run_while_not(s->w, us, are_settled, &wait))
        scene_fail(s, "%.3f s were not enough: %s has %s, %s has %s; %s is %s, %s is %s", (double)us / 1e6, a->label,
                   judge_has_all(j, b, a) ? "all" : "not all", b->label, judge_has_all(j, a, b) ? "all" : "not all",
                   a->label, judge_is_settled(j, a) ? "settled" : "not settled", b->label,
                   judge_is_settled(j, b) ? "settled" : "not settled");
}

static bool is_done(void *context)
{
    const struct waiting *wait = context;
    return wait->done(wait->scene, wait->context);
}

bool scene_wait_until(struct scene *s, vtime_us us, bool (*done)(struct scene *s, void *context), void *context)
{
    struct waiting wait = {.scene = s, .done = done, .context = context};
    return world_run_while_not(s->w, us, is_done, &wait);
}

void scene_restart_server(struct scene *s)
{
    sim_server_kill(s->server);
    sim_server_start(s->server);
    judge_server_restarted(s->judge);
}
