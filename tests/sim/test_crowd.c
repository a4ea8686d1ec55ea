/* Two friends among many: forged Registers and strangers in their room, hundreds of others in the open form. */
#include <stdlib.h>
#include <string.h>

#include "hostile_run.h"
#include "scene_test.h"

/* ---- the numbered room ---- */

struct flood { /* padded Registers with shares, each from an address of its own that is not the sender's */
    struct scene *s;
    struct rng rng;
    int host;
    uint32_t sent;
    struct share_secret shares[SHARES_MAX]; /* of a keyword that nobody has; the same in all: a forger saves work */
};

static void forge(struct flood *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame r = {.kind = FRAME_REGISTER,
                      .reg = {.token = rng_token(&f->rng), .form = FORM_ROOM, .room = 42, .pad = true}};
    const uint32_t n = f->sent++;
    const struct addr from = addr_v4(100, (uint8_t)(64 + (n >> 16)), (uint8_t)(n >> 8), (uint8_t)n, 5000);
    const struct addr to = addr_v4(198, 51, 100, 1, SIM_SERVER_PORT);
    for (r.reg.share_count = 0; r.reg.share_count < SHARES_MAX; r.reg.share_count++)
        r.reg.shares[r.reg.share_count] = f->shares[r.reg.share_count].share;
    hostile_spoof(f->s->w, f->host, &from, &to, bytes, codec_encode(&r, bytes, sizeof bytes));
}

/* 200 a second, for so long. */
static void flood_for(struct flood *f, vtime_us us)
{
    for (vtime_us end = f->s->w->now + us; f->s->w->now < end; world_run_for(f->s->w, VTIME_MS(5)))
        forge(f);
}

static bool have_met(const struct scene *s, const struct sim_client *a, const struct sim_client *b)
{
    return judge_peer(s->judge, a, b) && judge_peer(s->judge, b, a);
}

static void forged_registers(const char *keyword, uint64_t seed)
{
    static const uint8_t entropy[RNG_SEED_BYTES] = {1};
    struct scene *s = scene_test("forged registers", seed);
    struct flood f = {.s = s, .host = scene_home(s, VTIME_MS(10), NULL)};
    struct hostile_key other;
    char label[16];
    rng_init(&f.rng, entropy);
    hostile_key_init(&other, "42-forged-by-nobody");
    for (int i = 0; i < SHARES_MAX; i++)
        hostile_share_make(&f.rng, &other, &f.shares[i]);
    s->keyword = keyword;
    struct sim_client *ann = scene_join(s, scene_home(s, VTIME_MS(40), &natbox_port_restricted), "ann");
    scene_say(s, ann, 600); /* so that her first packets are as long as can be, and the ledgers of sources too short */
    world_run_for(s->w, VTIME_S(20));
    flood_for(&f, VTIME_S(5));
    s->keyword = "42-quite-other-words";
    for (int i = 0; i < 3; i++) {
        snprintf(label, sizeof label, "eve%d", i);
        scene_join(s, scene_home(s, VTIME_MS(20), &natbox_cone), label);
        flood_for(&f, VTIME_S(5));
    }
    s->keyword = keyword;
    struct sim_client *bob = scene_join(s, scene_home(s, VTIME_MS(60), &natbox_port_restricted), "bob");
    vtime_us start = s->w->now;
    while (!have_met(s, ann, bob) && s->w->now < start + VTIME_S(5))
        flood_for(&f, VTIME_MS(50));
    scene_check(s, have_met(s, ann, bob));
    const double took = (double)(s->w->now - start) / 1e6;
    flood_for(&f, VTIME_S(60));
    scene_check(s, have_met(s, ann, bob) && sim_client_count(ann, EVENT_PEER_LEFT, 0) == 0);
    /* The three strangers, the friend, and the one that came before its echo while ann had met nobody. */
    const uint64_t spent = sim_client_stat(ann, "introductions"), silent = sim_client_stat(ann, "guesses_silent");
    print_message("%u forged Registers: friends met after %.2f s; ann took part in %llu runs, %llu of them silent, "
                  "%llu with a friend\n",
                  (unsigned)f.sent, took, (unsigned long long)spent, (unsigned long long)silent,
                  (unsigned long long)sim_client_stat(ann, "introductions_confirmed"));
    scene_check(s, spent <= 3 + 1 + 1 && silent <= 1 && sim_client_stat(ann, "guesses_wrong") == 3);
    scene_free(s);
}

/* Forged sources cost a waiting client one share in ten minutes, and keep nobody out. */
static void test_forged_registers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        forged_registers("42-crab-lunar-toast", seed);
        forged_registers("42-moonshine", seed);
    }
}

/* ---- the open form ---- */

enum { CROWD = 500 };

struct crowd {
    struct scene *s;
    struct codec codec;
    struct sim_client *c[CROWD]; /* unknown to the judge, for whom they would be too many */
    uint8_t bits_most;           /* in any Register */
    uint64_t registers;
};

static void watch_registers(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct crowd *k = context;
    struct frame f;
    (void)node;
    (void)actor;
    if (fate != FATE_SENT || codec_decode(&k->codec, p->bytes, p->size, &f) != DECODE_OK || f.kind != FRAME_REGISTER)
        return;
    k->registers++;
    if (f.reg.prefix_bits > k->bits_most)
        k->bits_most = f.reg.prefix_bits;
}

static struct crowd *crowd_new(const char *title)
{
    struct crowd *k = calloc(1, sizeof *k);
    assert_non_null(k);
    k->s = scene_test(title, 1);
    world_add_tap(k->s->w, watch_registers, k);
    return k;
}

static void crowd_join(struct crowd *k, int i)
{
    char label[16], keyword[32];
    snprintf(label, sizeof label, "x%d", i);
    snprintf(keyword, sizeof keyword, "lonely words %d", i);
    struct sim_client_config config = {.keyword = keyword, .name = label};
    config.server[config.server_count++] = addr_v4(198, 51, 100, 1, SIM_SERVER_PORT);
    k->c[i] = sim_client_new(k->s->w, scene_home(k->s, VTIME_MS(10 + (vtime_us)i % 90), NULL), label, &config, NULL);
}

static void crowd_free(struct crowd *k)
{
    for (int i = 0; i < CROWD; i++)
        if (k->c[i])
            sim_client_free(k->c[i]);
    scene_free(k->s);
    free(k);
}

static unsigned bits_for(unsigned waiting)
{
    unsigned bits = 0;
    while (bits < PREFIX_BITS_MAX && waiting > 4U << bits)
        bits++;
    return bits;
}

/* Five hundred, each with a keyword of its own; ann is there from the beginning, bob comes last. */
static void test_five_hundred(void **state)
{
    (void)state;
    struct crowd *k = crowd_new("five hundred");
    struct scene *s = k->s;
    s->keyword = "crab lunar toast";
    struct sim_client *ann = scene_join(s, scene_home(s, VTIME_MS(40), &natbox_port_restricted), "ann");
    world_run_for(s->w, VTIME_S(1));
    for (unsigned i = 0; i < CROWD; i++) {
        crowd_join(k, (int)i);
        world_run_for(s->w, VTIME_MS(400));
        scene_check(s, sim_server_stat(s->server, "registrations_open") == i + 2);
        scene_check(s, sim_server_stat(s->server, "bits_wanted") == bits_for(i + 2));
    }
    world_run_for(s->w, VTIME_S(20));
    scene_check(s, sim_client_stat(ann, "prefix_bits") == bits_for(CROWD + 1));
    struct sim_client *bob = scene_join(s, scene_home(s, VTIME_MS(60), &natbox_port_restricted), "bob");
    scene_say(s, bob, 40);
    vtime_us start = s->w->now;
    scene_meet(s, ann, bob, VTIME_S(2));
    const double took = (double)(s->w->now - start) / 1e6;
    scene_settle(s, ann, bob, VTIME_S(2));
    world_run_for(s->w, VTIME_S(60));
    uint64_t sum = 0, most = 0;
    for (int i = 0; i < CROWD; i++) {
        const uint64_t spent = sim_client_stat(k->c[i], "introductions");
        sum += spent;
        most = spent > most ? spent : most;
        scene_check(s, sim_client_stat(k->c[i], "peers") == 0);
    }
    print_message("five hundred: the friends met after %.2f s; at most %u bits; runs with strangers: ann %llu, "
                  "the others %.1f, at most %llu\n",
                  took, (unsigned)k->bits_most, (unsigned long long)sim_client_stat(ann, "guesses_wrong"),
                  (double)sum / CROWD, (unsigned long long)most);
    scene_check(s, k->bits_most == bits_for(CROWD + 2) && most < 64);
    crowd_free(k);
}

/* As long as there are four, nothing of a keyword is told. */
static void test_four_tell_nothing(void **state)
{
    (void)state;
    struct crowd *k = crowd_new("four");
    k->s->keyword = "crab lunar toast";
    for (int i = 0; i < 2; i++)
        crowd_join(k, i);
    struct sim_client *ann = scene_join(k->s, scene_home(k->s, VTIME_MS(40), NULL), "ann");
    world_run_for(k->s->w, VTIME_S(30));
    struct sim_client *bob = scene_join(k->s, scene_home(k->s, VTIME_MS(60), NULL), "bob");
    scene_meet(k->s, ann, bob, VTIME_S(2));
    world_run_for(k->s->w, VTIME_S(600));
    scene_check(k->s, k->bits_most == 0 && k->registers > 100);
    crowd_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged_registers),
        cmocka_unit_test(test_five_hundred),
        cmocka_unit_test(test_four_tell_nothing),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
