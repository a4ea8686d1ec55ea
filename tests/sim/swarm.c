#include "swarm.h"

#include "swarm_parts.h"

/* Small tables in every other seed: what happens when they are full is then part of the story. */
static struct server_config server_config(struct dice *d)
{
    struct server_config c = {
        .registrations_max = 1024, .unvalidated_max = 128, .introductions_max = 4096, .links_max = 2048};
    if (dice_below(d, 2))
        c.unvalidated_max = 16;
    return c;
}

static void chaos(struct swarm *x)
{
    vtime_us end = VTIME_S(5) + swarm_roll(x, SWARM_CHAOS_US - VTIME_S(5));
    while (x->s->w->now < end) {
        swarm_pass(x, false);
        swarm_happen(x);
        swarm_member_act(x);
        swarm_wire_act(x);
        swarm_liar_act(x);
        world_run_for(x->s->w, swarm_roll(x, x->step_us));
        swarm_audit_step(x->audit);
    }
}

struct swarm_result swarm_run(uint64_t seed, void (*fail)(const char *why))
{
    struct swarm x = {.d = {.state = ~seed}};
    struct swarm_result r = {0};
    const struct server_config config = server_config(&x.d);
    x.s = scene_new_with("swarm", seed, &config);
    x.s->fail = fail;
    x.s->w->timer_slack_us = swarm_roll(&x, 2) ? VTIME_MS(3) : 0;
    x.s->w->core_hops = 1 + (int)swarm_roll(&x, 6);
    x.audit = swarm_audit_new(&x);
    swarm_cast(&x);
    swarm_choose_faults(&x);
    swarm_liar_new(&x);
    swarm_member_new(&x);
    swarm_wire_new(&x);
    chaos(&x);
    swarm_calm(&x, &r);
    r.hash = x.s->w->trace.hash;
    r.messages = x.s->judge->shown;
    r.datagrams = x.s->w->fates[FATE_SENT];
    r.virtual_us = x.s->w->now;
    scene_free(x.s);
    if (x.member)
        hostile_member_free(x.member);
    swarm_hostile_free(&x);
    swarm_audit_free(x.audit);
    return r;
}
