/* Members, servers and strangers who lie about NATs, to have ports guessed that are somebody else's, or traffic sent
 * there (docs/attacks.md is the table). */
#include <string.h>

#include "lie.h"
#include "scene_test.h"

static const struct addr third = {.family = ADDR_V4, .ip = {192, 0, 2, 66}}; /* nobody answers there */
static const struct addr fourth = {.family = ADDR_V4, .ip = {192, 0, 2, 99}};

/* ---- third parties ---- */

/* Attack: a member says to be at a third party's address, of whatever class, and floods Aims there.
 * Bound: the server has not seen it there, so no more than for any Offer, what dies on the way included. */
static void test_aims_at_a_third_party(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LIE_ROWS * LIE_WAYS; i++) {
        struct lie *t =
            lie_new(scene_test("aims at a third party", 1), i / LIE_WAYS, i % LIE_WAYS, NULL, &third, false);
        lie_flood(t, VTIME_S(600));
        lie_report(t, "a third party, ten minutes");
        scene_check(t->s, t->target.packets <= allowed_to_anybody(VTIME_S(601)));
        scene_check(t->s, !t->target.too_fast);
        check_sockets(t->s, t->a);
        lie_free(t);
    }
}

/* Attack: the same, and the server agrees.
 * Bound: what an address may get at all, of each who believes it: 1,900 in ten minutes beside the plain questions. */
static void test_member_and_server_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LIE_ROWS * LIE_WAYS; i++) {
        struct lie *t =
            lie_new(scene_test("a member and the server agree", 1), i / LIE_WAYS, i % LIE_WAYS, NULL, &third, true);
        lie_flood(t, VTIME_S(590));
        lie_report(t, "member and server, ten minutes");
        scene_check(t->s, t->target.packets <= PROBES_MAX + allowed_to_anybody(VTIME_S(591)));
        scene_check(t->s, !t->target.too_fast);
        if (t->row->says ==
            &says_strict) /* ann opens, by what does not get there, but where she takes turns with mel */
            scene_check(t->s, t->target.packets - t->target.low <= allowed_to_anybody(VTIME_S(591)));
        if (i == 0) { /* the most; so the test reaches what it is about */
            scene_check(t->s, t->target.packets >= PROBES_MAX);
            lie_flood(t, VTIME_S(3600));
            lie_report(t, "member and server, another hour");
            scene_check(t->s, t->target.packets <= 4 * PROBES_MAX + allowed_to_anybody(VTIME_S(4191)));
        }
        check_sockets(t->s, t->a);
        lie_free(t);
    }
}

/* Attack: a member lets ann guess for a while, is found, falls silent, and is guessed for again.
 * Bound: still 1,900 in ten minutes. (It is its own address here, and that of whoever shares it.) */
static void test_found_and_lost_again(void **state)
{
    (void)state;
    struct lie *t = lie_new(scene_test("found and lost again", 1), STRICT_AND_RANDOM, ANSWERS, NULL, NULL, false);
    struct addr ann = *world_addr(t->s->w, scene_natbox(t->s, t->a->host), 0);
    unsigned found = 0;
    ann.port = world_port(t->s->w, t->a->sockets[ENGINE_SOCKET_V4]);
    t->m->habits.no_answers = true;
    for (int i = 0; i < 56; i++) {
        lie_flood(t, VTIME_S(2));
        t->m->habits.no_answers = false;
        t->run->direct = ann;
        lie_offer(t, t->row->says); /* so that she asks */
        world_run_for(t->s->w, VTIME_S(3));
        found += scene_path(t->s, t->a, t->m->mask) == PATH_DIRECT;
        t->m->habits.no_answers = t->m->habits.no_acks = true;
        t->run->direct = (struct addr){0};
        scene_say(t->s, t->a, 100);
        world_run_for(t->s->w, VTIME_S(5));
        t->m->habits.no_acks = false;
    }
    lie_report(t, "found and lost again");
    print_message("found %u times\n", found);
    scene_check(t->s, found > 5 && t->target.packets <= PROBES_MAX + allowed_to_anybody(VTIME_S(600)) + 10 * found);
    lie_free(t);
}

struct two {
    struct scene *s;
    struct hostile_server *h;
    struct sim_client *c[2];
    struct addr real[2];
    const struct addr *lie[2];
    unsigned kind; /* of lie */
};

static bool replace(const struct two *t, struct addr *a)
{
    for (int i = 0; i < 2; i++)
        if (addr_ip_equal(a, &t->real[i])) {
            memcpy(a->ip, t->lie[i]->ip, sizeof a->ip);
            return true;
        }
    return false;
}

static bool moves_both(struct hostile_server *h, struct hostile_known *who, struct frame *f, struct bytes at)
{
    const struct two *t = h->context;
    (void)at;
    struct addr *masked = f->kind == FRAME_REGISTERED ? &f->registered.observed
                          : f->kind == FRAME_LINKED   ? &f->linked.observed
                                                      : NULL;
    if (masked && masked->family != ADDR_NONE) {
        uint64_t mask = f->kind == FRAME_REGISTERED ? who->token : linked_mask(&f->linked);
        struct addr a = addr_mask(masked, mask);
        replace(t, &a);
        *masked = addr_mask(&a, mask);
    }
    return false;
}

static void moves_probed(struct hostile_server *h, const struct addr *to, struct frame *f)
{
    (void)to;
    struct addr a = addr_mask(&f->probed.observed, f->probed.token);
    if (replace(h->context, &a))
        f->probed.observed = addr_mask(&a, f->probed.token);
}

static struct two two_new(const char *title, const char *a, const char *b)
{
    static const char *const names[] = {"ann", "bob"};
    struct two t = {.s = scene_test(title, 1), .lie = {&third, &fourth}};
    const char *kinds[] = {a, b};
    int home[2];
    t.h = hostile_server_new(t.s);
    for (int i = 0; i < 2; i++) {
        home[i] = scene_home_of(t.s, VTIME_MS(20), nat_kind_find(kinds[i]));
        t.real[i] = *world_addr(t.s->w, scene_natbox(t.s, home[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        t.c[i] = scene_join(t.s, home[i], names[i]);
        world_run_for(t.s->w, VTIME_MS(1));
    }
    return t;
}

static void check_chat(struct two *t)
{
    for (int i = 0; i < 2; i++)
        scene_say(t->s, t->c[i], 500);
    scene_settle(t->s, t->c[0], t->c[1], VTIME_S(10));
}

static void two_free(struct two *t)
{
    scene_free(t->s);
    hostile_server_free(t->h);
}

/* Attack: the server alone tells two honest people behind hard NATs, whenever it says where somebody is, that each is
 * at another third party's address.
 * Sees: that they stay relayed. Bound: the same of each of the two. */
static void test_a_server_that_moves_both(void **state)
{
    (void)state;
    static const char *const kinds[][2] = {
        {"port-restricted", "symmetric"}, {"port-restricted", "sequential"}, {"sequential", "sequential"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct two t = two_new("a server that moves both", kinds[i][0], kinds[i][1]);
        struct target target[2];
        t.h->context = &t;
        t.h->down = moves_both;
        t.h->on_probed = moves_probed;
        for (int k = 0; k < 2; k++)
            target_watch(&target[k], t.s->w, t.c[k]->host, t.lie[1 - k]);
        scene_meet(t.s, t.c[0], t.c[1], VTIME_S(10));
        world_run_for(t.s->w, VTIME_S(590));
        print_message(
            "a server that moves both, %s and %s, ten minutes: %llu and %llu datagrams, %llu and %llu of them "
            "die on the way\n",
            kinds[i][0], kinds[i][1], (unsigned long long)target[0].packets, (unsigned long long)target[1].packets,
            (unsigned long long)target[0].low, (unsigned long long)target[1].low);
        for (int k = 0; k < 2; k++) {
            scene_check(t.s, target[k].packets <= PROBES_MAX + allowed_to_anybody(VTIME_S(600)));
            scene_check(t.s, !target[k].too_fast);
        }
        scene_check(t.s, i > 0 || target[0].packets >= PROBES_MAX);
        check_chat(&t);
        check_sockets(t.s, t.c[0]);
        check_sockets(t.s, t.c[1]);
        two_free(&t);
    }
}

/* ---- answers of Probe that are none ---- */

static void lies_probed(struct hostile_server *h, const struct addr *to, struct frame *f)
{
    struct two *t = h->context;
    struct addr a = addr_mask(&f->probed.observed, f->probed.token);
    (void)to;
    switch (t->kind) {
    case 0: /* the right address, any port */
        a.port = (uint16_t)(1 + dice_below(&t->s->w->dice, 65535));
        break;
    case 1: /* any address */
        dice_bytes(&t->s->w->dice, a.ip, 4);
        break;
    case 2:
        memcpy(a.ip, third.ip, sizeof a.ip);
        break;
    case 3:
        a.port = 0;
        break;
    case 4:
        addr_parse(&a, "[2001:db8::66]:77");
        break;
    case 5: /* at the end of all ports: predictions go over it */
        a.port = 65535;
        break;
    default: /* another token: no answer to anything */
        f->probed.token++;
    }
    f->probed.observed = addr_mask(&a, f->probed.token);
}

/* Attack: a server whose answers about NATs are wrong.
 * Sees: that they stay relayed. Bound: nobody else gets a guess, and no socket stays open. */
static void test_a_server_that_lies_about_nats(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 7; kind++) {
        struct two t = two_new("a server that lies about NATs", "port-restricted", "sequential");
        struct target target[2];
        t.kind = kind;
        t.h->context = &t;
        t.h->on_probed = lies_probed;
        for (int k = 0; k < 2; k++)
            target_watch(&target[k], t.s->w, t.c[k]->host, &third);
        scene_meet(t.s, t.c[0], t.c[1], VTIME_S(10));
        world_run_for(t.s->w, VTIME_S(300));
        scene_check(t.s, target[0].packets == 0 && target[1].packets == 0);
        check_chat(&t);
        check_sockets(t.s, t.c[0]);
        two_free(&t);
    }
}

/* Attack: a stranger sends answers in the server's name, all the time.
 * Bound: nothing; the tokens are not to be guessed. */
static void test_forged_probed(void **state)
{
    (void)state;
    struct scene *s = scene_test("forged Probed", 1);
    int eve = scene_home(s, VTIME_MS(5), NULL);
    struct sim_client *a = scene_join(s, scene_home(s, VTIME_MS(20), NULL), "ann");
    const struct addr sources[] = {addr_v4(198, 51, 100, 1, SIM_SERVER_PORT),
                                   addr_v4(198, 51, 100, 1, SIM_SERVER_ALTERNATE_PORT),
                                   addr_v4(198, 51, 100, 2, SIM_SERVER_ALTERNATE_PORT)};
    uint64_t sent = 0;
    for (vtime_us end = s->w->now + VTIME_S(4); s->w->now < end; world_run_for(s->w, VTIME_MS(5)))
        for (unsigned k = 0; k < ENGINE_SOCKETS_MAX; k++)
            for (size_t i = 0; a->sockets[k] >= 0 && i < sizeof sources / sizeof *sources; i++) {
                uint8_t bytes[DATAGRAM_BYTES_MAX], token[8];
                struct frame f = {.kind = FRAME_PROBED};
                struct addr at = *world_addr(s->w, a->host, 0);
                at.port = world_port(s->w, a->sockets[k]);
                dice_bytes(&s->w->dice, token, sizeof token);
                memcpy(&f.probed.token, token, sizeof token);
                f.probed.observed = addr_mask(&third, f.probed.token);
                f.probed.observed.port = 9;
                hostile_spoof(s->w, eve, &sources[i], &at, bytes, codec_encode(&f, bytes, sizeof bytes));
                sent++;
            }
    const struct sim_event *nat = sim_client_event(a, EVENT_NAT, 0, 0, 0);
    print_message("forged Probed: %llu\n", (unsigned long long)sent);
    scene_check(s, sent > 2000 && nat != NULL);
    scene_check(s, nat->e.mapping == NAT_NONE && nat->e.filtering == NAT_NONE && nat->e.ports == NAT_PORTS_PRESERVED);
    scene_free(s);
}

/* ---- answers from elsewhere ---- */

struct seen { /* challenges that have come to mel */
    uint64_t challenges[64];
    unsigned count;
};
static struct seen seen;

static void keep_challenge(struct hostile_member *m, struct hostile_run *run, const struct frame *f)
{
    lie_take_aim(m, run, f);
    if (f->kind == FRAME_PUNCH && f->punch.challenge != 0)
        seen.challenges[seen.count++ % (sizeof seen.challenges / sizeof *seen.challenges)] = f->punch.challenge;
}

static void answer_from(struct lie *t, const struct addr *from)
{
    for (unsigned k = 0; k < ENGINE_SOCKETS_MAX; k++)
        for (unsigned i = 0; t->a->sockets[k] >= 0 && i < seen.count && i < 64; i++) {
            const struct frame f = {.kind = FRAME_PUNCH, .punch = {.answer = seen.challenges[i]}};
            struct addr at = *world_addr(t->s->w, t->a->host, 0);
            at.port = world_port(t->s->w, t->a->sockets[k]);
            hostile_member_spoof(t->m, t->run, from, &at, &f);
        }
    seen.count = 0;
}

/* Attack: has ann ask it in its tries, and answers in a third party's name.
 * Bound: each question is for one address, so nothing that is said goes there. */
static void test_answers_from_elsewhere(void **state)
{
    (void)state;
    struct lie *t = lie_new(scene_test("answers from elsewhere", 1), STRICT_AND_STRICT, ANSWERS, "none", NULL, false);
    struct target aside;
    struct addr from = third;
    unsigned asked = 0;
    from.port = 4000;
    seen.count = 0;
    target_watch(&aside, t->s->w, t->a->host, &third);
    t->m->habits.no_answers = true;
    t->m->on_frame = keep_challenge;
    for (int i = 0; i < 3000; i++) {
        if (t->theirs > t->answered) {
            t->answered = t->theirs;
            lie_aim(t, t->theirs, t->m->addr.port, 1);
        }
        asked += seen.count;
        answer_from(t, &from);
        if (i % 50 == 0)
            scene_say(t->s, t->a, 1000);
        world_run_for(t->s->w, VTIME_MS(20));
        scene_check(t->s, scene_path(t->s, t->a, t->m->mask) == PATH_RELAY);
    }
    print_message("answers from elsewhere: to %u questions; %llu datagrams of ann's to there\n", asked,
                  (unsigned long long)aside.packets);
    scene_check(t->s, asked > 20 && t->answered > 2);
    scene_check(t->s, aside.packets <= allowed_to_anybody(VTIME_S(60)));
    lie_free(t);
}

int main(void)
{
    scene_test_filter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aims_at_a_third_party),         cmocka_unit_test(test_member_and_server_agree),
        cmocka_unit_test(test_found_and_lost_again),          cmocka_unit_test(test_a_server_that_moves_both),
        cmocka_unit_test(test_a_server_that_lies_about_nats), cmocka_unit_test(test_forged_probed),
        cmocka_unit_test(test_answers_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
