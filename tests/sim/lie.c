#include "lie.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- what an address gets of one host ---- */

static void target_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct target *t = context;
    (void)actor;
    if (fate != FATE_SENT || node != t->host || !addr_ip_equal(&p->dst, &t->ip))
        return;
    vtime_us *oldest = &t->latest[t->packets % (RATE_MAX + 1)];
    t->too_fast |= t->packets > RATE_MAX && t->w->now - *oldest < VTIME_S(1);
    *oldest = t->w->now;
    t->packets++;
    t->low += p->ttl <= LOW_TTL;
}

void target_watch(struct target *t, struct world *w, int host, const struct addr *ip)
{
    *t = (struct target){.w = w, .ip = *ip, .host = host};
    world_add_tap(w, target_tap, t);
}

/* ---- somebody who lies about NATs, and says it over and over ---- */

#define DEPENDENT NAT_ADDRESS_AND_PORT_DEPENDENT
const struct says says_strict = {NAT_ENDPOINT_INDEPENDENT, DEPENDENT, NAT_PORTS_PRESERVED};
const struct says says_random = {DEPENDENT, DEPENDENT, NAT_PORTS_RANDOM};
static const struct says says_sequential = {DEPENDENT, DEPENDENT, NAT_PORTS_SEQUENTIAL};
static const struct says says_kept = {DEPENDENT, DEPENDENT, NAT_PORTS_PRESERVED};

const struct lie_row lie_rows[LIE_ROWS] = {
    [STRICT_AND_RANDOM] = {"strict and random", "port-restricted", &says_random, 0},
    [STRICT_AND_SEQUENTIAL] = {"strict and sequential", "port-restricted", &says_sequential, AIM_PORTS_MAX},
    [STRICT_AND_STRICT] = {"strict and strict", "port-restricted", &says_strict, 1},
    [RANDOM_AND_STRICT] = {"random and strict", "symmetric", &says_strict, 1},
    [SEQUENTIAL_AND_STRICT] = {"sequential and strict", "sequential", &says_strict, 1},
    [SEQUENTIAL_AND_SEQUENTIAL] = {"sequential and sequential", "sequential", &says_sequential, AIM_PORTS_MAX},
    [KEPT_AND_KEPT] = {"kept and kept", "keeps-first", &says_kept, AIM_PORTS_MAX},
};
const struct lie_way lie_ways[LIE_WAYS] = {
    [ANSWERS] = {"answers", 0}, [BEGINS] = {"begins", FLOOD_US}, [TAKES_HER_TIME] = {"takes her time", VTIME_S(5)}};

void lie_take_aim(struct hostile_member *m, struct hostile_run *run, const struct frame *f)
{
    struct lie *t = m->context;
    (void)run;
    if (f->kind == FRAME_AIM && f->aim.attempt > t->theirs)
        t->theirs = f->aim.attempt;
}

void lie_offer(struct lie *t, const struct says *c)
{
    struct frame_offer *o = &t->m->offer;
    o->generation++;
    o->mapping = c->mapping;
    o->filtering = c->filtering;
    o->ports = c->ports;
    o->candidate_count = 1;
    o->candidates[0] = (struct candidate){t->at, CANDIDATE_OBSERVED};
    const struct frame f = {.kind = FRAME_OFFER, .offer = *o};
    if (t->run)
        hostile_member_say(t->m, t->run, &f);
}

void lie_aim(struct lie *t, uint32_t attempt, uint16_t port, uint8_t count)
{
    struct frame f = {.kind = FRAME_AIM, .aim = {.attempt = attempt, .address = t->at, .stride = 7, .count = count}};
    f.aim.address.port = port;
    if (attempt > t->attempt)
        t->attempt = attempt;
    hostile_member_say(t->m, t->run, &f);
}

/* Ann's own try is answered in each way that there is, the worst first; or another is begun for her. */
void lie_flood_once(struct lie *t)
{
    const uint8_t counts[] = {t->row->worst, 1, 0, AIM_PORTS_MAX};
    const uint16_t port = (uint16_t)(1024 + dice_below(&t->s->w->dice, 60000));
    const vtime_us begins_us = t->way->begins_us;
    uint32_t attempt = t->attempt;
    if (t->theirs > t->answered) {
        attempt = t->answered = t->theirs;
    } else if (begins_us > 0 && t->s->w->now >= t->begins_at) {
        attempt++;
        t->begins_at = t->s->w->now + begins_us;
    }
    for (size_t i = 0; attempt > 0 && i < sizeof counts; i++)
        lie_aim(t, attempt, (uint16_t)(port + i), counts[i]);
}

/* With all her might for a minute, and then on and on. */
void lie_flood(struct lie *t, vtime_us us)
{
    const vtime_us start = t->s->w->now;
    for (vtime_us gap = FLOOD_US; t->s->w->now < start + us; world_run_for(t->s->w, gap)) {
        lie_flood_once(t);
        gap = t->s->w->now < start + VTIME_S(60) ? FLOOD_US : VTIME_S(2);
    }
}

uint64_t linked_mask(const struct frame_linked *f)
{
    uint64_t mask = 0;
    for (int k = 8; k-- > 0;)
        mask = mask << 8 | f->token[k];
    return mask;
}

static bool agrees_with_mel(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    const struct lie *t = h->context;
    (void)who;
    (void)at;
    if (f->kind == FRAME_LINKED)
        f->linked.observed = addr_mask(&t->at, linked_mask(&f->linked));
    return false;
}

void lie_mel_comes(struct lie *t, int host)
{
    char label[TRACE_NAME_MAX];
    snprintf(label, sizeof label, "mel%u", ++t->lives);
    t->m = hostile_member_new(t->s, host, NULL, label);
    t->m->habits.tells = true;
    t->m->context = t;
    t->m->on_frame = lie_take_aim;
    if (t->at.family == ADDR_NONE)
        t->at = t->m->addr;
}

struct lie *lie_new(struct scene *s, enum lie_rows row, enum lie_ways way, const char *kind, const struct addr *at,
                    bool server_agrees)
{
    struct lie *t = calloc(1, sizeof *t);
    assert(t);
    t->s = s;
    t->row = &lie_rows[row];
    t->way = &lie_ways[way];
    if (server_agrees) {
        t->h = hostile_server_new(s);
        t->h->context = t;
        t->h->down = agrees_with_mel;
    }
    int home = scene_home_of(s, VTIME_MS(10), nat_kind_find(kind ? kind : t->row->kind));
    t->a = scene_join(s, home, "ann");
    world_run_for(s->w, VTIME_S(5));
    if (at) {
        t->at = *at;
        t->at.port = 5000;
    }
    lie_mel_comes(t, scene_home(s, VTIME_MS(10), NULL));
    target_watch(&t->target, s->w, home, &t->at);
    lie_offer(t, t->row->says);
    t->run = hostile_member_meet(t->m, t->a, VTIME_S(10));
    world_run_for(s->w, VTIME_S(1));
    return t;
}

void lie_free(struct lie *t)
{
    scene_free(t->s);
    hostile_member_free(t->m);
    if (t->h)
        hostile_server_free(t->h);
    free(t);
}

void lie_report(const struct lie *t, const char *what)
{
    printf("%s, %s, mel %s: %llu datagrams, %llu of them die on the way; %u sockets opened, %u at once\n", what,
           t->row->title, t->way->name, (unsigned long long)t->target.packets, (unsigned long long)t->target.low,
           t->a->sockets_opened, t->a->sockets_open_most);
}

static bool has_one_socket(void *context)
{
    return ((const struct sim_client *)context)->sockets_open == 1;
}

void check_sockets(struct scene *s, struct sim_client *c)
{
    scene_check(s, c->sockets_open_most <= SOCKETS_MAX);
    if (!world_run_while_not(s->w, VTIME_S(120), has_one_socket, c))
        scene_fail(s, "%u sockets of %s are open", c->sockets_open, c->label);
}
