/* Every kind of NAT against every other: does each pair get what kinds.h says? */
#include "hostile_member.h"
#include "scene_test.h"

static const struct {
    unsigned a, b;
} delays[] = {{20, 20}, {5, 120}, {120, 5}};

/* True: directly. */
static bool meet(const struct nat_kind *ka, const struct nat_kind *kb, size_t d, uint64_t seed)
{
    char title[100];
    snprintf(title, sizeof title, "%s against %s, %u and %u ms", ka->name, kb->name, delays[d].a, delays[d].b);
    struct scene *s = scene_test(title, seed);
    int home_a = scene_home_of(s, VTIME_MS(delays[d].a), ka), home_b = scene_home_of(s, VTIME_MS(delays[d].b), kb);
    struct sim_client *a = scene_join(s, home_a, "ann");
    scene_say(s, a, 40);
    world_run_for(s->w, VTIME_S(20) + dice_below(&s->w->dice, VTIME_S(20)));
    struct sim_client *b = scene_join(s, home_b, "bob");
    scene_say(s, b, 40);
    scene_meet(s, a, b, VTIME_S(1));
    enum hope hope = nat_hope(ka, kb);
    if (hope == HOPE_DIRECT)
        scene_meet_by(s, a, b, PATH_DIRECT, VTIME_S(2));
    world_run_for(s->w, VTIME_S(60));
    scene_say(s, a, 5000);
    scene_say(s, b, 5000);
    scene_settle(s, a, b, VTIME_S(5));
    scene_check(s, hope != HOPE_DIRECT || scene_path(s, a, b) == PATH_DIRECT);
    scene_check(s, hope != HOPE_RELAY || scene_path(s, a, b) == PATH_RELAY);
    scene_check(s, sim_client_count(a, EVENT_PEER, 0) == 1 && sim_client_count(a, EVENT_PEER_LEFT, 0) == 0);
    bool direct = scene_path(s, a, b) == PATH_DIRECT;
    scene_free(s);
    return direct;
}

static bool meet_at_all_delays(const struct nat_kind *ka, const struct nat_kind *kb)
{
    bool direct = true;
    for (size_t d = 0; d < sizeof delays / sizeof *delays; d++)
        direct = meet(ka, kb, d, 1 + d) && direct;
    return direct;
}

/* Of kinds that the testbed has, too. */
static void test_every_pair(void **state)
{
    (void)state;
    unsigned direct = 0;
    for (size_t i = 0; i < NAT_KINDS_OF_KERNEL; i++)
        for (size_t k = 0; k < NAT_KINDS_OF_KERNEL; k++)
            direct += meet_at_all_delays(&nat_kinds[i], &nat_kinds[k]);
    print_message("direct: %u of %u ordered pairs\n", direct, NAT_KINDS_OF_KERNEL * NAT_KINDS_OF_KERNEL);
}

/* The others, each with one of each class and with itself. */
static void test_kinds_that_no_kernel_has(void **state)
{
    (void)state;
    static const char *const classes[] = {"none", "address-restricted", "port-restricted", "sequential", "symmetric"};
    for (size_t i = NAT_KINDS_OF_KERNEL; i < NAT_KINDS; i++) {
        meet_at_all_delays(&nat_kinds[i], &nat_kinds[i]);
        for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
            meet_at_all_delays(&nat_kinds[i], nat_kind_find(classes[k]));
            meet_at_all_delays(nat_kind_find(classes[k]), &nat_kinds[i]);
        }
    }
}

struct arrivals { /* of Probed at one host */
    int host;
    unsigned from_same, from_other_port, from_other_address;
};

static void count_probed(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct arrivals *a = context;
    struct addr other = addr_v4(198, 51, 100, 2, 0);
    (void)actor;
    if (fate != FATE_DELIVERED || node != a->host || trace_frame_kind(p->bytes, p->size) != FRAME_PROBED)
        return;
    a->from_other_address += addr_ip_equal(&p->src, &other) && p->src.port == SIM_SERVER_ALTERNATE_PORT;
    a->from_other_port += !addr_ip_equal(&p->src, &other) && p->src.port == SIM_SERVER_ALTERNATE_PORT;
    a->from_same += !addr_ip_equal(&p->src, &other) && p->src.port == SIM_SERVER_PORT;
}

/* What a client can find out about its NAT from the server's two addresses. */
static void test_whose_probes_are_answered(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        bool other_port, other_address;
    } rows[] = {
        {"none", true, true},
        {"full-cone", true, true},
        {"address-restricted", true, false},
        {"port-restricted", false, false},
        {"symmetric", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene *s = scene_test("whose probes are answered", 1);
        struct arrivals got = {.host = scene_home_of(s, VTIME_MS(20), nat_kind_find(rows[i].kind))};
        struct hostile_member *m = hostile_member_new(s, got.host, NULL, "eve");
        world_add_tap(s->w, count_probed, &got);
        for (uint8_t from = PROBE_FROM_SAME; from <= PROBE_FROM_OTHER_ADDRESS; from++)
            hostile_member_to_server(m, &(struct frame){.kind = FRAME_PROBE, .probe = {.token = 1, .from = from}});
        world_run_for(s->w, VTIME_S(1));
        scene_check(s, got.from_same == 1);
        scene_check(s, got.from_other_port == rows[i].other_port);
        scene_check(s, got.from_other_address == rows[i].other_address);
        hostile_member_free(m);
        scene_free(s);
    }
}

/* Loss makes one side's packet come too early for the other's NAT. Where that poisons a port, a later try must not
 * use it again. */
static void test_poisoned_ports(void **state)
{
    (void)state;
    unsigned direct = 0;
    enum { SEEDS = 40 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct scene *s = scene_test("poisoned ports", seed);
        int home_a = scene_home(s, VTIME_MS(20), &natbox_masquerade_open);
        int home_b = scene_home(s, VTIME_MS(50), &natbox_masquerade_open);
        struct sim_client *a = scene_join(s, home_a, "ann");
        world_run_for(s->w, VTIME_S(10));
        s->w->weather.loss_ppm = 200000;
        struct sim_client *b = scene_join(s, home_b, "bob");
        scene_meet(s, a, b, VTIME_S(40));
        s->w->weather.loss_ppm = 0;
        world_run_for(s->w, VTIME_S(120));
        scene_say(s, a, 100);
        scene_settle(s, a, b, VTIME_S(5));
        direct += scene_path(s, a, b) == PATH_DIRECT && scene_path(s, b, a) == PATH_DIRECT;
        scene_free(s);
    }
    assert_int_equal(direct, SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_kinds_that_no_kernel_has),
        cmocka_unit_test(test_whose_probes_are_answered),
        cmocka_unit_test(test_poisoned_ports),
    };
    scene_test_filter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
