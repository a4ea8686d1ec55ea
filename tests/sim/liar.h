/* liar.h: a scene with a hostile server and two friends, for the tests of what it can do. */
#ifndef SIM_LIAR_H
#define SIM_LIAR_H
#include "hostile_server.h"
#include "scene_test.h"

struct liar {
    struct scene *s;
    struct hostile_server *h;
    struct sim_client *a, *b;
    unsigned kind; /* of lie */
};

static inline struct liar liar_new(const char *title, uint64_t seed)
{
    struct liar l = {.s = scene_test(title, seed)};
    l.h = hostile_server_new(l.s);
    return l;
}

static inline void join_two(struct liar *l)
{
    l->a = scene_join(l->s, scene_home(l->s, VTIME_MS(20), NULL), "ann");
    world_run_for(l->s->w, VTIME_S(2));
    l->b = scene_join(l->s, scene_home(l->s, VTIME_MS(35), NULL), "bob");
}

/* Both talk, and it goes through the server: the direct path is blocked. */
static inline struct liar relayed_pair(const char *title, uint64_t seed)
{
    struct liar l = liar_new(title, seed);
    join_two(&l);
    world_block(l.s->w, l.a->host, l.b->host, true);
    scene_meet(l.s, l.a, l.b, VTIME_S(5));
    world_run_for(l.s->w, VTIME_S(5));
    return l;
}

static inline struct liar direct_pair(const char *title, uint64_t seed)
{
    struct liar l = liar_new(title, seed);
    join_two(&l);
    scene_meet_by(l.s, l.a, l.b, PATH_DIRECT, VTIME_S(5));
    world_run_for(l.s->w, VTIME_S(5));
    return l;
}

static inline void liar_free(struct liar *l)
{
    scene_free(l->s);
    hostile_server_free(l->h);
}
#endif
