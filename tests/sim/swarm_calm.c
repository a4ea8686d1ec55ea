/* All is well again: how soon is everybody together, and what is left over? */
#include <stdlib.h>

#include "swarm_parts.h"

#define LOOK_US      VTIME_MS(100) /* how often it is looked whether all is well */
#define STEADY_US    VTIME_S(5)    /* a session that only one of two has may look like peace for a moment */
#define HOUSE_GAP_US VTIME_S(10)
#define SETTLED_US   VTIME_S(60) /* for all that was ever said: who does not answer any more is gone by then */
#define SWEPT_US                                                                                                       \
    VTIME_S(240) /* for what the dead have left at the server: leases, and tokens of runs that were lost               \
                  */

enum { FEW = 4 }; /* people, for whom SWARM_CALM_US is enough in any case */

static bool are_friends(const struct swarm_person *a, const struct swarm_person *b)
{
    return a != b && a->group == b->group;
}

/* Too many strangers asked for it: it takes no newcomer until it has a share again. */
static bool is_out_of_shares(const struct swarm_person *p)
{
    return sim_client_stat(p->c, "shares_in_stock") == 0;
}

static bool is_excused(const struct swarm *x, const struct swarm_person *a, const struct swarm_person *b)
{
    return judge_peer(x->s->judge, a->c, b->c) == 0 && (is_out_of_shares(a) || is_out_of_shares(b));
}

static bool is_pair_well(const struct swarm *x, const struct swarm_person *a, const struct swarm_person *b)
{
    if (swarm_best(a, b) == PATH_NONE) /* they meet, hear nothing, lose each other, and meet again */
        return true;
    return judge_peer(x->s->judge, a->c, b->c) != 0 && scene_path(x->s, a->c, b->c) >= swarm_best(a, b);
}

/* Everybody once, and nobody who is dead. */
static bool has_no_ghosts(const struct swarm *x, const struct swarm_person *p)
{
    struct engine_peer peers[PEERS_MAX];
    size_t friends = 0;
    for (int i = 0; i < x->count; i++)
        friends += are_friends(p, &x->people[i]) && judge_peer(x->s->judge, p->c, x->people[i].c) != 0;
    return engine_peers(p->c->e, peers, PEERS_MAX) == friends;
}

static bool is_all_well(struct swarm *x)
{
    for (int i = 0; i < x->count; i++)
        if (!swarm_is_up(&x->people[i]))
            return false;
    for (int i = 0; i < x->count; i++) {
        const struct swarm_person *p = &x->people[i];
        for (int k = 0; k < x->count; k++) {
            const struct swarm_person *q = &x->people[k];
            if (are_friends(p, q) && !is_pair_well(x, p, q) && !is_excused(x, p, q))
                return false;
        }
        if (!has_no_ghosts(x, p))
            return false;
    }
    return true;
}

/* But for who is alone, and where there is no way: one of two wants no relay, and nothing else is possible; or has no
 * share to meet the other. */
static bool is_all_settled(struct swarm *x)
{
    for (int i = 0; i < x->count; i++) {
        const struct swarm_person *p = &x->people[i];
        bool has_way = x->groups[p->group].people > 1;
        for (int k = 0; k < x->count; k++)
            if (are_friends(p, &x->people[k]))
                has_way = has_way && swarm_best(p, &x->people[k]) != PATH_NONE && !is_excused(x, p, &x->people[k]);
        if (has_way && !judge_is_settled(x->s->judge, p->c))
            return false;
    }
    return true;
}

/* ---- waiting ---- */

static void step(struct swarm *x)
{
    swarm_pass(x, true);
    world_run_for(x->s->w, LOOK_US);
    swarm_audit_step(x->audit);
}

static bool waits_for(struct swarm *x, vtime_us us, bool (*done)(struct swarm *x))
{
    vtime_us end = x->s->w->now + us;
    while (!done(x)) {
        if (x->s->w->now >= end)
            return false;
        step(x);
    }
    return true;
}

static _Noreturn void complain(struct swarm *x, const char *what)
{
    static const char *const paths[] = {"none", "relay", "direct", "lan"};
    for (int i = 0; i < x->count; i++) {
        const struct swarm_person *p = &x->people[i];
        struct engine_peer peers[PEERS_MAX];
        size_t n = p->c ? engine_peers(p->c->e, peers, PEERS_MAX) : 0;
        fprintf(stderr, "%s (%s%s%s%s%s, home %d, group %d, shares %llu):", p->c ? p->c->label : "-", p->at.kind->name,
                p->at.outer ? " behind " : "", p->at.outer ? p->at.outer->name : "", p->at.has_v6 ? ", v6" : "",
                p->relay == RELAY_ONLY    ? ", relay only"
                : p->relay == RELAY_NEVER ? ", relay never"
                                          : "",
                p->at.lan, p->group, p->c ? (unsigned long long)sim_client_stat(p->c, "shares_in_stock") : 0);
        for (size_t k = 0; k < n && k < PEERS_MAX; k++)
            fprintf(stderr, "  %s %s (%s) waiting %u;", peers[k].name, paths[peers[k].path], peers[k].reason,
                    peers[k].waiting);
        fputc('\n', stderr);
        for (int k = 0; k < x->count && p->c; k++)
            if (are_friends(p, &x->people[k]) && x->people[k].c && !is_pair_well(x, p, &x->people[k]))
                fprintf(stderr, "  has no good path to %s\n", x->people[k].c->label);
        if (p->c)
            judge_print_unsettled(x->s->judge, p->c, stderr);
    }
    scene_fail(x->s, "%s", what);
}

/* ---- the phase ---- */

/* Who has been introduced with a wrong share, by a liar or by one bit that was bent on the way, has other keys than his
 * friend. Their Signals pass, nothing opens, and the server takes them for strangers for as long as both are
 * registered. After that an honest server that knows nothing takes over. */
static void end_of_chaos(struct swarm *x)
{
    swarm_member_end(x);
    swarm_wire_end(x);
    swarm_liar_end(x);
    swarm_pass(x, true);
    if (x->liar || swarm_wire_has_bent(x) || x->has_leapt)
        scene_restart_server(x->s);
}

/* From a home three of whose runs have led to nothing (somebody was killed there, thrice) the server introduces one in
 * ten seconds: two who live there and know nobody yet need so long for a full room. */
static vtime_us calm_us(const struct swarm *x)
{
    return x->count <= FEW ? SWARM_CALM_US : SWARM_CALM_US + 2 * (vtime_us)x->count * HOUSE_GAP_US;
}

static void come_together(struct swarm *x)
{
    vtime_us end = x->s->w->now + calm_us(x);
    do {
        if (!waits_for(x, end - x->s->w->now, is_all_well))
            complain(x, "calm did not bring everybody together");
        for (vtime_us steady = x->s->w->now + STEADY_US; x->s->w->now < steady;)
            step(x);
    } while (!is_all_well(x) && x->s->w->now < end);
    if (!is_all_well(x))
        complain(x, "calm did not last");
}

static void talk(struct swarm *x)
{
    for (int i = 0; i < x->count; i++)
        if (engine_has_room(x->people[i].c->e, 200))
            scene_say(x->s, x->people[i].c, 100);
    if (!waits_for(x, SETTLED_US, is_all_settled))
        complain(x, "not everything arrived in calm weather");
}

static bool is_swept(struct swarm *x)
{
    return swarm_audit_is_swept(x->audit);
}

static void count_pairs(struct swarm *x, struct swarm_result *ret)
{
    for (int i = 0; i < x->count; i++)
        for (int k = 0; k < i; k++) {
            const struct swarm_person *a = &x->people[i], *b = &x->people[k];
            if (!are_friends(a, b))
                continue;
            enum hope hope = swarm_hope(a, b);
            ret->pairs[hope]++;
            ret->direct[hope] += scene_path(x->s, a->c, b->c) >= PATH_DIRECT;
            ret->excused += is_excused(x, a, b);
        }
}

void swarm_calm(struct swarm *x, struct swarm_result *ret)
{
    end_of_chaos(x);
    come_together(x);
    talk(x);
    if (!waits_for(x, SWEPT_US, is_swept))
        swarm_audit_complain(x->audit);
    count_pairs(x, ret);
}
