/* What goes wrong, and how it ends. */
#include <string.h>

#include "swarm_parts.h"

#define FAR_US  VTIME_S(40)
#define LEAP_US VTIME_S(2) /* from here on it is one: less is a machine that is busy */

static struct swarm_person *anybody(struct swarm *x)
{
    return &x->people[swarm_roll(x, (uint64_t)x->count)];
}

static vtime_us soon(struct swarm *x, vtime_us us)
{
    return x->s->w->now + 1 + swarm_roll(x, us);
}

/* ---- the seed's choice ---- */

/* A part of what can happen does not, in half of the seeds more than in others; the rest is skewed. */
void swarm_choose_faults(struct swarm *x)
{
    unsigned off = (unsigned)swarm_roll(x, 4); /* of four faults so many, on average */
    for (int i = 0; i < FAULTS; i++) {
        bool is_off = swarm_roll(x, 4) < off;
        unsigned weight = 1U << swarm_roll(x, 4);
        x->weights[i] = is_off && i != FAULT_TALK ? 0 : weight;
    }
    x->weights[FAULT_TALK] *= 4; /* else nothing is at stake */
    for (int i = 0; i < FAULTS; i++)
        x->weight_sum += x->weights[i];
    struct weather *w = &x->worst;
    w->loss_ppm = swarm_roll(x, 3) ? 400000 : 0;
    w->duplicate_ppm = swarm_roll(x, 2) ? 200000 : 0;
    w->reorder_ppm = swarm_roll(x, 2) ? 200000 : 0;
    w->reorder_us = VTIME_MS(200);
    w->jitter_us = swarm_roll(x, 2) ? VTIME_MS(60) : 0;
    x->step_us = VTIME_MS(1000) / (vtime_us)(1 + x->count / 4);
}

/* ---- what happens ---- */

static void happen_talk(struct swarm *x, struct swarm_person *p)
{
    size_t size = swarm_roll(x, 12) ? swarm_roll(x, 300) : swarm_roll(x, TEXT_BYTES_MAX);
    const struct swarm_person *to = anybody(x);
    if (!swarm_is_up(p) || !engine_has_room(p->c->e, size + 64))
        return;
    uint32_t peer = to->c && to != p && swarm_roll(x, 6) == 0 ? judge_peer(x->s->judge, p->c, to->c) : 0;
    if (peer == 0) {
        scene_say(x->s, p->c, size);
        return;
    }
    const char *text = scene_text(x->s, size);
    sim_client_say_to(p->c, peer, (const uint8_t *)text, strlen(text));
}

static uint32_t up_to(struct swarm *x, uint64_t most)
{
    return most ? (uint32_t)swarm_roll(x, most) : 0;
}

static void happen_weather(struct swarm *x)
{
    struct weather *weather = &x->s->w->weather;
    weather->loss_ppm = up_to(x, x->worst.loss_ppm);
    weather->duplicate_ppm = up_to(x, x->worst.duplicate_ppm);
    weather->reorder_ppm = up_to(x, x->worst.reorder_ppm);
    weather->reorder_us = up_to(x, x->worst.reorder_us);
    weather->jitter_us = up_to(x, x->worst.jitter_us);
    x->clears_at = soon(x, VTIME_S(30));
}

static int line_of(const struct swarm_person *p)
{
    return p->at.box >= 0 ? p->at.box : p->at.host;
}

/* Everybody who lives there has the same line. */
static void line_changes(struct swarm *x, struct swarm_person *p, bool spike)
{
    vtime_us until = soon(x, VTIME_S(15));
    for (int i = 0; i < x->count; i++) {
        struct swarm_person *q = &x->people[i];
        if (line_of(q) == line_of(p))
            *(spike ? &q->spiked_until : &q->slow_until) = until;
    }
    if (spike) {
        world_set_delay(x->s->w, line_of(p), VTIME_MS(200) + swarm_roll(x, VTIME_S(2)));
        return;
    }
    /* Two draws in one call would come in the order that the compiler likes. */
    uint32_t queue = 3000 + up_to(x, 60000);
    world_set_rate(x->s->w, line_of(p), 2000 + up_to(x, 40000), queue);
}

static void happen_block(struct swarm *x)
{
    int a = (int)swarm_roll(x, (uint64_t)x->count), b = (int)swarm_roll(x, (uint64_t)x->count);
    for (size_t i = 0; i < SWARM_BLOCKS_MAX && a != b; i++)
        if (x->blocks[i].until == 0) {
            x->blocks[i].a = x->people[a].at.host;
            x->blocks[i].b = x->people[b].at.host;
            x->blocks[i].until = soon(x, VTIME_S(40));
            world_block(x->s->w, x->blocks[i].a, x->blocks[i].b, swarm_roll(x, 2));
            return;
        }
}

/* Its own router, or the one beyond; with a new address if it has one only. */
static void happen_rebind(struct swarm *x, const struct swarm_person *p, bool forget)
{
    int box = p->at.cgn >= 0 && swarm_roll(x, 2) ? p->at.cgn : p->at.box;
    if (box < 0)
        return;
    if (forget) {
        world_forget(x->s->w, box);
        return;
    }
    bool moves = box == p->at.box && p->at.cgn < 0 && p->at.is_private && p->at.kind->addresses <= 1;
    if (!moves || swarm_roll(x, 2)) {
        world_rebind(x->s->w, box, NULL);
        return;
    }
    int n = ++x->s->homes;
    const struct addr outside = addr_v4(203, 0, (uint8_t)(113 + n / 200), (uint8_t)(1 + n % 200), 0);
    world_rebind(x->s->w, box, &outside);
}

static void happen_server(struct swarm *x)
{
    if (x->server_at || x->liar)
        return;
    if (swarm_roll(x, 4) == 0)
        sim_server_shutdown(x->s->server);
    else
        sim_server_kill(x->s->server);
    x->server_at = soon(x, VTIME_S(swarm_roll(x, 3) ? 5 : 50));
}

static void happen_death(struct swarm *x, struct swarm_person *p, enum swarm_fault how)
{
    if (!swarm_is_up(p) || x->lives + (unsigned)x->count >= SWARM_LIVES_MAX)
        return;
    if (how == FAULT_KILL)
        sim_client_kill(p->c);
    else if (how == FAULT_QUIT)
        sim_client_quit(p->c);
    else
        sim_client_finish(p->c);
    p->leaves = p->c->actor >= 0; /* looked after in `pass` */
    if (p->leaves)
        return;
    p->c = NULL;
    p->back_at = soon(x, VTIME_S(20));
}

static void happen_sleep(struct swarm *x, struct swarm_person *p)
{
    if (!swarm_is_up(p))
        return;
    world_sleep(x->s->w, p->at.host, true);
    p->slept_at = x->s->w->now;
    p->wakes_at = x->s->w->now + VTIME_S(1) + swarm_roll(x, VTIME_S(swarm_roll(x, 4) ? 15 : 60));
}

/* Both ends remember for ten minutes what has been shown in a run that only one of them took for confirmed (protocol,
 * s5, "The same two processes twice"). Whoever leaps so far may show a message twice, and that is known. */
static bool is_waiting(const struct swarm *x, const struct swarm_person *p)
{
    for (int i = 0; i < x->count; i++) {
        const struct swarm_person *q = &x->people[i];
        if (q->group == p->group && q->c && engine_undelivered(q->c->e) > 0)
            return true;
    }
    return false;
}

/* What others saw a moment ago is long ago for this one. Of two in a lost run one then shows its token (protocol, s5,
 * "Again") when the other does not do so yet, and the server takes them for strangers. */
static void leap(struct swarm *x, int host, vtime_us us)
{
    x->has_leapt = x->has_leapt || us > LEAP_US;
    world_jump(x->s->w, host, us);
}

static void happen_jump(struct swarm *x, struct swarm_person *p)
{
    static const vtime_us most[] = {VTIME_S(2), VTIME_S(40), VTIME_S(700), VTIME_S(24 * 3600)};
    vtime_us us = 1 + swarm_roll(x, most[swarm_roll(x, 4)]);
    if (swarm_roll(x, 6) == 0 && x->server_at == 0) {
        leap(x, x->s->server->host, us);
        return;
    }
    if (!swarm_is_up(p) || (us > FAR_US && is_waiting(x, p)))
        return;
    leap(x, p->at.host, us);
    if (swarm_roll(x, 2))
        sim_client_woke(p->c);
}

static void happen_stall(struct swarm *x, struct swarm_person *p)
{
    if (!swarm_is_up(p) || p->reads_at)
        return;
    sim_client_stall(p->c, true);
    p->reads_at = soon(x, VTIME_S(30));
}

static void happen_ignore(struct swarm *x, struct swarm_person *p)
{
    const struct swarm_person *whom = anybody(x);
    uint32_t peer = whom != p && whom->c && swarm_is_up(p) ? judge_peer(x->s->judge, p->c, whom->c) : 0;
    if (peer)
        sim_client_ignore(p->c, peer);
}

static enum swarm_fault fault_any(struct swarm *x)
{
    uint64_t at = swarm_roll(x, x->weight_sum);
    enum swarm_fault f = FAULT_TALK;
    while (at >= x->weights[f])
        at -= x->weights[f++];
    return f;
}

void swarm_happen(struct swarm *x)
{
    struct swarm_person *p = anybody(x);
    enum swarm_fault what = fault_any(x);
    switch (what) {
    case FAULT_WEATHER:
        happen_weather(x);
        break;
    case FAULT_SPIKE:
    case FAULT_RATE:
        line_changes(x, p, what == FAULT_SPIKE);
        break;
    case FAULT_BLOCK:
        happen_block(x);
        break;
    case FAULT_REBIND:
    case FAULT_FORGET:
        happen_rebind(x, p, what == FAULT_FORGET);
        break;
    case FAULT_SERVER:
        happen_server(x);
        break;
    case FAULT_KILL:
    case FAULT_QUIT:
    case FAULT_FINISH:
        happen_death(x, p, what);
        break;
    case FAULT_SLEEP:
        happen_sleep(x, p);
        break;
    case FAULT_JUMP:
        happen_jump(x, p);
        break;
    case FAULT_STALL:
        happen_stall(x, p);
        break;
    case FAULT_IGNORE:
        happen_ignore(x, p);
        break;
    default:
        happen_talk(x, p);
    }
}

/* ---- what passes ---- */

static void pass_line(struct swarm *x, struct swarm_person *p, bool calm)
{
    vtime_us now = x->s->w->now;
    if (p->spiked_until && (calm || p->spiked_until <= now)) {
        p->spiked_until = 0;
        world_set_delay(x->s->w, line_of(p), p->at.delay_us);
    }
    if (p->slow_until && (calm || p->slow_until <= now)) {
        p->slow_until = 0;
        world_set_rate(x->s->w, line_of(p), 0, 0);
    }
}

/* One who has ended, by himself or since he was told to; one who made a keyword and is killed before it was told
 * leaves it to the next. */
static void pass_end(struct swarm *x, struct swarm_person *p, bool calm)
{
    struct swarm_group *g = &x->groups[p->group];
    if (p->leaves && calm && p->c && !p->c->ended)
        sim_client_quit(p->c);
    if (p->c && p->c->ended) {
        p->c = NULL;
        p->leaves = false;
        p->back_at = soon(x, VTIME_S(10));
    }
    if (g->keyword[0] == '\0' && g->maker == (int)(p - x->people)) {
        const struct sim_event *made = p->c ? sim_client_event(p->c, EVENT_KEYWORD, 0, 0, 0) : NULL;
        if (made)
            snprintf(g->keyword, sizeof g->keyword, "%s", made->e.text);
        else if (!p->c)
            g->maker = -1;
    }
}

/* Clocks differ in whether they go on while the machine sleeps. */
static void wake_up(struct swarm *x, struct swarm_person *p)
{
    p->wakes_at = 0;
    if (swarm_roll(x, 2))
        world_stand_still(x->s->w, p->at.host, x->s->w->now - p->slept_at);
    world_sleep(x->s->w, p->at.host, false);
    if (p->c)
        sim_client_woke(p->c);
}

static void pass_person(struct swarm *x, struct swarm_person *p, bool calm)
{
    vtime_us now = x->s->w->now;
    if (p->wakes_at && (calm || p->wakes_at <= now))
        wake_up(x, p);
    if (p->reads_at && p->wakes_at == 0 && (calm || p->reads_at <= now)) {
        p->reads_at = 0;
        if (p->c && !p->c->ended)
            sim_client_stall(p->c, false);
    }
    pass_line(x, p, calm);
    pass_end(x, p, calm);
    if (!p->c && p->wakes_at == 0 && (calm || p->back_at <= now)) {
        p->reads_at = 0;
        swarm_start(x, p);
    }
}

void swarm_pass(struct swarm *x, bool calm)
{
    vtime_us now = x->s->w->now;
    if (x->server_at && (calm || x->server_at <= now)) {
        x->server_at = 0;
        scene_restart_server(x->s);
    }
    for (size_t i = 0; i < SWARM_BLOCKS_MAX; i++)
        if (x->blocks[i].until && (calm || x->blocks[i].until <= now)) {
            x->blocks[i].until = 0;
            world_unblock(x->s->w, x->blocks[i].a, x->blocks[i].b);
        }
    if (calm || x->clears_at <= now)
        x->s->w->weather = (struct weather){0};
    for (int i = 0; i < x->count; i++)
        pass_person(x, &x->people[i], calm);
}
