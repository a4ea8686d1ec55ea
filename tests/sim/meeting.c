#include "meeting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_WITHIN_US VTIME_S(10)
enum { CORE_HOPS = 6 }; /* as the testbed's wan: a low-TTL opener really dies on the way */

/* ---- watching ---- */

static bool to_server(const struct meeting *m, const struct addr *to)
{
    for (size_t i = 0; world_addr(m->s->w, m->s->server->host, i); i++)
        if (addr_ip_equal(world_addr(m->s->w, m->s->server->host, i), to))
            return true;
    return false;
}

static void note_sent(struct meeting *m, struct meeting_side *side)
{
    vtime_us *oldest = &side->latest[side->sent % MEETING_RATE_WINDOW];
    if (side->sent >= MEETING_RATE_WINDOW && m->s->w->now - *oldest < VTIME_S(1))
        side->too_fast = true;
    *oldest = m->s->w->now;
    side->sent++;
}

static void watch(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct meeting *m = context;
    if ((fate != FATE_SENT && fate != FATE_DELIVERED) || actor < 0)
        return;
    for (int i = 0; i < 2; i++) {
        struct meeting_side *side = &m->side[i];
        if (node != side->home)
            continue;
        if (fate == FATE_SENT && !to_server(m, &p->dst))
            note_sent(m, side);
        if (fate == FATE_DELIVERED && p->origin == m->side[1 - i].home && side->heard_at == VTIME_NEVER)
            side->heard_at = m->s->w->now;
    }
}

/* ---- the story ---- */

void meeting_wait(struct meeting *m, struct scene *s, const struct nat_kind *a, const struct nat_kind *b,
                  vtime_us delay_a_us, vtime_us delay_b_us)
{
    *m = (struct meeting){.s = s, .delay_us = {delay_a_us, delay_b_us}};
    s->w->core_hops = CORE_HOPS;
    m->side[0].home = scene_home_of(s, delay_a_us, a);
    m->side[1].home = scene_home_of(s, delay_b_us, b);
    m->side[0].heard_at = m->side[1].heard_at = VTIME_NEVER;
    world_add_tap(s->w, watch, m);
    m->a = scene_join(s, m->side[0].home, "ann");
    scene_say(s, m->a, 40);
    world_run_for(s->w, VTIME_S(10) + dice_below(&s->w->dice, VTIME_S(50)));
}

void meeting_begin(struct meeting *m)
{
    m->began_at = m->s->w->now;
    m->b = scene_join(m->s, m->side[1].home, "bob");
    scene_say(m->s, m->b, 40);
}

vtime_us meeting_known_at(const struct meeting *m)
{
    const struct sim_event *a = sim_client_event(m->a, EVENT_PEER, 0, 0, 0);
    const struct sim_event *b = sim_client_event(m->b, EVENT_PEER, 0, 0, 0);
    return !a || !b ? VTIME_NEVER : a->time > b->time ? a->time : b->time;
}

bool meeting_is_direct(const struct meeting *m)
{
    return scene_path(m->s, m->a, m->b) >= PATH_DIRECT && scene_path(m->s, m->b, m->a) >= PATH_DIRECT;
}

static bool is_direct(void *context)
{
    return meeting_is_direct(context);
}

vtime_us meeting_until_direct(struct meeting *m, vtime_us within_us)
{
    scene_meet(m->s, m->a, m->b, KNOWN_WITHIN_US);
    vtime_us known = meeting_known_at(m), now = m->s->w->now;
    if (!world_run_while_not(m->s->w, known + within_us - now, is_direct, m))
        return VTIME_NEVER;
    return m->s->w->now - known;
}

vtime_us meeting_first_direct(const struct meeting *m)
{
    vtime_us known = meeting_known_at(m), first = m->side[0].heard_at, last = m->side[1].heard_at;
    last = last > first ? last : first;
    if (last == VTIME_NEVER || known == VTIME_NEVER)
        return VTIME_NEVER;
    return last > known ? last - known : 0;
}

vtime_us meeting_round_trip(const struct meeting *m)
{
    return 2 * (m->delay_us[0] + m->delay_us[1]);
}

vtime_us meeting_floor(const struct meeting *m)
{
    vtime_us r_a = 2 * m->delay_us[0], r_b = 2 * m->delay_us[1], newcomer = r_a + r_b, waiter = (3 * r_b + r_a) / 2;
    return newcomer > waiter ? newcomer : waiter;
}

/* ---- a NAT forgets ---- */

void meeting_chat(struct meeting *m, enum meeting_who speaker, vtime_us us)
{
    for (vtime_us end = m->s->w->now + us; m->s->w->now < end;) {
        if (speaker != MEETING_BOB)
            scene_say(m->s, m->a, 50);
        if (speaker != MEETING_ANN)
            scene_say(m->s, m->b, 50);
        world_run_for(m->s->w, VTIME_MS(300));
    }
}

void meeting_forget(struct meeting *m, enum meeting_who whose, bool reboots)
{
    for (int i = 0; i < 2; i++) {
        int box = scene_natbox(m->s, m->side[i].home);
        if (whose != MEETING_BOTH && (int)whose != i)
            continue;
        if (reboots)
            world_rebind(m->s->w, box, NULL);
        else
            world_forget(m->s->w, box);
    }
}

static void check_is_really_direct(struct meeting *m)
{
    struct scene *s = m->s;
    meeting_chat(m, MEETING_BOTH, VTIME_S(1));
    scene_settle(s, m->a, m->b, VTIME_S(5)); /* what was still on its way through the server has come */
    uint64_t direct = s->judge->traffic.direct, relayed = sim_server_stat(s->server, "relayed_datagrams");
    meeting_chat(m, MEETING_BOTH, VTIME_S(2));
    scene_settle(s, m->a, m->b, VTIME_S(5));
    scene_check(s, s->judge->traffic.direct > direct + 10);
    scene_check(s, sim_server_stat(s->server, "relayed_datagrams") == relayed);
}

vtime_us meeting_recover(struct meeting *m, enum meeting_who speaker, vtime_us within_us)
{
    struct scene *s = m->s;
    vtime_us start = s->w->now;
    /* Nothing reaches a listener whose NAT has forgotten until its own next sign of life. */
    meeting_chat(m, speaker, VTIME_S(10));
    scene_settle(s, m->a, m->b, VTIME_S(20));
    scene_check(s, world_run_while_not(s->w, within_us, is_direct, m));
    vtime_us took = s->w->now - start;
    check_is_really_direct(m);
    scene_check(s, sim_client_count(m->a, EVENT_FAILED, 0) == 0 && sim_client_count(m->b, EVENT_FAILED, 0) == 0);
    scene_check(s, sim_client_count(m->a, EVENT_PEER, 0) == 1 && sim_client_count(m->b, EVENT_PEER, 0) == 1);
    return took;
}

/* ---- samples ---- */

void sample_add(struct sample *s, uint64_t value)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->values = realloc(s->values, s->cap * sizeof *s->values);
        assert(s->values);
    }
    s->values[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t sample_percentile(struct sample *s, unsigned percent)
{
    if (s->count == 0)
        return 0;
    qsort(s->values, s->count, sizeof *s->values, compare);
    size_t rank = (s->count * percent + 99) / 100; /* nearest rank */
    return s->values[rank ? rank - 1 : 0];
}

void sample_free(struct sample *s)
{
    free(s->values);
    *s = (struct sample){0};
}
