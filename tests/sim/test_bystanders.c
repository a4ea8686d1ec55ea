/* Do the bystanders notice what they are there to notice? And does an easy pair leave them alone? */
#include "bystanders.h"
#include "meeting.h"
#include "scene_test.h"

enum { HOG_FLOWS = 320 };

struct hog { /* fills a router with flows that are refreshed */
    struct world *w;
    int actor, sockets[HOG_FLOWS], count;
    vtime_us tick_at;
};

static void hog_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                      const uint8_t *at, size_t size)
{
    (void)self, (void)now, (void)socket, (void)local, (void)from, (void)at, (void)size;
}

static void hog_wake(void *self, vtime_us now)
{
    struct hog *h = self;
    struct addr to = addr_v4(198, 51, 100, 7, 9);
    for (int i = 0; i < h->count; i++)
        world_send(h->w, h->sockets[i], NULL, &to, 0, (const uint8_t *)"x", 1);
    h->tick_at = now + VTIME_MS(300); /* before somebody else takes a place that is free */
}

static vtime_us hog_deadline(void *self)
{
    return ((struct hog *)self)->tick_at;
}

static void hog_start(struct hog *h, struct world *w, int host)
{
    static const struct actor_calls calls = {hog_input, hog_wake, hog_deadline};
    *h = (struct hog){.w = w, .tick_at = world_host_now(w, host)};
    h->actor = world_add_actor(w, host, &calls, h, "hog");
    for (h->count = 0; h->count < HOG_FLOWS; h->count++)
        h->sockets[h->count] = world_open(w, h->actor, ADDR_V4, 0);
    world_touch(w, h->actor);
}

/* As the testbed's HarmProbe has it of a kernel's router: new flows fail, old ones live. And when the hog is gone its
 * flows run out, and new ones work again. */
static void test_a_full_router_is_noticed(void **state)
{
    (void)state;
    struct scene *s = scene_test("a full router is noticed", 1);
    int home = scene_home_of(s, VTIME_MS(10), nat_kind_find("few-sessions"));
    struct bystanders others;
    struct hog hog;
    bystanders_start(&others, s->w, scene_network(s, home), addr_v4(192, 168, 1, 250, 0));
    world_run_for(s->w, VTIME_S(60));
    scene_check(s, others.ticks > 59 && others.broken == 0 && others.new_failed == 0);
    hog_start(&hog, s->w, home);
    world_run_for(s->w, VTIME_S(60));
    scene_check(s, others.broken == 0 && others.new_failed > 5 && bystanders_failing_us(&others) > VTIME_S(5));
    world_remove_actor(s->w, hog.actor);
    world_run_for(s->w, VTIME_S(30) + VTIME_S(2));
    unsigned failed = others.new_failed;
    world_run_for(s->w, VTIME_S(60));
    scene_check(s, others.broken == 0 && others.new_failed == failed);
    world_forget(s->w, scene_natbox(s, home));
    s->w->weather.loss_ppm = 1000000;
    world_run_for(s->w, VTIME_S(2));
    scene_check(s, others.broken >= BYSTANDERS_FLOWS);
    scene_free(s);
}

static void test_an_easy_pair_harms_nobody(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct scene *s = scene_test("an easy pair harms nobody", seed);
            struct meeting m;
            struct bystanders others;
            meeting_wait(&m, s, nat_kind_find("few-sessions"), nat_kind_find("few-sessions"), VTIME_MS(20),
                         VTIME_MS(20));
            bystanders_start(&others, s->w, scene_network(s, m.side[side].home),
                             addr_v4(192, 168, side ? 0 : 1, 250, 0));
            world_run_for(s->w, VTIME_S(5));
            meeting_begin(&m);
            scene_check(s, meeting_until_direct(&m, VTIME_S(2)) != VTIME_NEVER);
            world_run_for(s->w, VTIME_S(100));
            scene_check(s, others.ticks > 100 && others.broken == 0 && others.new_failed == 0);
            scene_free(s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_router_is_noticed),
        cmocka_unit_test(test_an_easy_pair_harms_nobody),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
