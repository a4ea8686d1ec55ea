/* A room and a bucket that one source prefix has filled, or sixteen have: two friends still get in, and meet. What is
 * for that does not keep honest people apart. */
#include "server_check.h"
#include "server_rig.h"

enum { FLOOD = 70, OTHERS = 41, ROOM = 42, PREFIX = 200, RUNS_MAX = 256 };

enum form { IN_ROOM, IN_BUCKET };

static bool join(struct rig *r, struct rig_client *c, enum form form)
{
    return form == IN_ROOM ? rig_register(r, c, FORM_ROOM, ROOM) : rig_register_open(r, c, 8, PREFIX);
}

/* So many subscribers, each with a v4 address and many ports, or with many addresses of a v6 /56. `alone`: one more,
 * with an address of its own. */
static struct rig_client flooder(uint16_t n, bool v6, uint16_t sources, bool alone)
{
    const uint16_t subscriber = alone ? sources + n % FLOOD : n % sources;
    struct rig_client c = rig_client((uint16_t)(1 + subscriber));
    char text[ADDR_TEXT_MAX];
    c.token += (uint64_t)n << 32;
    if (v6) {
        snprintf(text, sizeof text, "[2001:db8:%x:12%02x::%x]:%d", 7 + subscriber, n % 256, n + 1, 1000 + n);
        assert_true(addr_parse(&c.addr, text));
    } else {
        c.addr.port = (uint16_t)(1000 + n);
    }
    return c;
}

struct friend
{ /* keeps to the rules of the stock with a keyword that is no three words of the list */
    struct rig_client c;
    uint32_t fast; /* refills at one a second */
    vtime_us refill_at, refresh_at;
    uint32_t met_others;
    bool met_friend;
};

struct run { /* that a friend has been given */
    const struct friend *of;
    uint64_t handle;
    uint8_t point[32];
};

/* other: NULL, or whom it looks for. Returns how many runs it added to ret. */
static size_t friend_counts(struct rig *r, struct friend *f, const struct friend *other, struct run *ret, size_t cap)
{
    size_t count = 0;
    for (size_t n = 0; rig_find(r, &f->c.addr, FRAME_PEER_INFO, n) != NULL; n++) {
        const struct frame_peer_info *p = &rig_find(r, &f->c.addr, FRAME_PEER_INFO, n)->peer_info;
        const bool is_friend = other != NULL && p->handle == other->c.handle;
        uint8_t i = 0;
        while (i < f->c.share_count && memcmp(f->c.shares[i].point, p->own_point, 32) != 0)
            i++;
        if (i == f->c.share_count) /* a repetition */
            continue;
        memmove(&f->c.shares[i], &f->c.shares[i + 1], (size_t)(--f->c.share_count - i) * sizeof f->c.shares[0]);
        f->met_friend = f->met_friend || is_friend;
        f->met_others += !is_friend;
        assert_true(count < cap);
        ret[count] = (struct run){.of = f, .handle = p->handle};
        memcpy(ret[count++].point, p->own_point, 32);
    }
    return count;
}

static void refill(struct friend *f, vtime_us now)
{
    while (f->c.share_count < SHARES_MAX && now >= f->refill_at) {
        struct share_public *share = &f->c.shares[f->c.share_count++];
        f->c.shares_made++;
        memset(share, 0x5a, sizeof *share);
        memcpy(share->point, &f->c.addr, sizeof f->c.addr);
        memcpy(share->point + 24, &f->c.shares_made, sizeof f->c.shares_made);
        f->refill_at = now + (f->fast < 16 ? VTIME_S(1) : VTIME_S(30));
        f->fast++;
        f->refresh_at = now;
    }
}

struct scene {
    struct rig r;
    enum form form;
    bool v6, churns;
    uint16_t sources, alone; /* of the flood: so many addresses, and so many of it have their own */
    uint32_t seed;           /* of the server's keys, by which it finds what it knows of a source */
    struct rig_client flood[FLOOD];
    uint16_t next;
    struct friend a, b;
    struct friend others[OTHERS]; /* each with a keyword of its own */
    size_t other_count;
};

/* Where there are honest others, all answer: so the server learns that they are strangers to each other. */
static void count_all(struct scene *s)
{
    static const uint8_t envelope[50] = {1};
    struct run runs[RUNS_MAX];
    size_t count = friend_counts(&s->r, &s->a, &s->b, runs, RUNS_MAX);
    count += friend_counts(&s->r, &s->b, &s->a, runs + count, RUNS_MAX - count);
    for (size_t i = 0; i < s->other_count; i++)
        count += friend_counts(&s->r, &s->others[i], NULL, runs + count, RUNS_MAX - count);
    for (size_t i = 0; i < count && s->other_count > 0; i++)
        rig_signal(&s->r, &runs[i].of->c, runs[i].handle, runs[i].point, envelope, sizeof envelope);
}

static void flood_joins(struct scene *s, struct rig_client *c)
{
    *c = flooder(s->next, s->v6, s->sources, s->next % FLOOD < s->alone);
    s->next++;
    join(&s->r, c, s->form);
    count_all(s);
    rig_stock(c, SHARES_MAX);
    join(&s->r, c, s->form);
    count_all(s);
}

/* The flood always has shares, and comes again when it had to go. */
static void flood_acts(struct scene *s, uint32_t second)
{
    for (uint16_t i = 0; i < FLOOD; i++) {
        struct rig_client *c = &s->flood[i];
        if (s->churns && (i + second) % 10 == 0) {
            struct frame leave = {.kind = FRAME_LEAVE, .leave = {.has_secret = true}};
            memcpy(leave.leave.secret, c->secret, SECRET_BYTES);
            rig_send(&s->r, &c->addr, &leave);
            flood_joins(s, c);
            continue;
        }
        rig_stock(c, SHARES_MAX);
        if (!join(&s->r, c, s->form)) { /* displaced */
            count_all(s);
            flood_joins(s, c);
        }
        count_all(s);
    }
}

static void friend_acts(struct scene *s, struct friend *f)
{
    refill(f, s->r.now);
    if (s->r.now < f->refresh_at)
        return;
    assert_true(join(&s->r, &f->c, s->form));
    count_all(s);
    f->refresh_at = s->r.now + VTIME_S(16);
}

static void friend_comes(struct scene *s, struct friend *f, uint16_t address, uint16_t port)
{
    f->c = rig_client(address);
    f->c.addr.port = port;
    f->c.token += (uint64_t)port << 32;
    assert_true(join(&s->r, &f->c, s->form));
    count_all(s);
    rig_stock(&f->c, SHARES_MAX);
    assert_true(join(&s->r, &f->c, s->form));
    count_all(s);
    f->refill_at = s->r.now + VTIME_S(1);
    f->refresh_at = s->r.now + VTIME_S(16);
}

/* The flood is there first, one of them comes into it, `later` seconds afterwards the other. After how many seconds
 * have they met? 1000: not. */
static uint32_t meet_after(struct scene *s, uint32_t later)
{
    enum { PATIENCE_S = 60 };
    static const struct server_config standard;
    uint8_t seed[RNG_SEED_BYTES] = {1};
    memcpy(seed + 1, &s->seed, sizeof s->seed);
    rig_start(&s->r, NULL);
    server_init(s->r.server, &standard, seed, s->r.now);
    for (uint16_t i = 0; i < FLOOD; i++)
        flood_joins(s, &s->flood[i]);
    assert_int_equal(rig_stat(&s->r, "registrations"), REGISTRATIONS_PER_ROOM_MAX);
    friend_comes(s, &s->a, 100, 1);
    uint32_t second = 0;
    for (; second < later + PATIENCE_S && !s->a.met_friend; second++) {
        if (second == later)
            friend_comes(s, &s->b, 101, 1);
        flood_acts(s, second);
        friend_acts(s, &s->a);
        if (second >= later)
            friend_acts(s, &s->b);
        rig_wait(&s->r, VTIME_S(1));
        count_all(s);
        server_check(s->r.server, s->r.now);
    }
    const bool met = s->a.met_friend && s->b.met_friend;
    print_message("%s, %u %s%s, the second friend after %u s: met after %u s, %u and %u shares for the flood\n",
                  s->form == IN_ROOM ? "room" : "bucket", s->sources, s->v6 ? "/56" : "/32",
                  s->churns ? ", comes and goes" : "", later, met ? second - later : 1000, s->a.met_others,
                  s->b.met_others);
    rig_stop(&s->r);
    return met ? second - later : 1000;
}

static void friends_meet(enum form form)
{
    static const uint32_t later[] = {0, 1, 10, 300};
    static const uint16_t sources[] = {1, 16};
    for (unsigned kind = 0; kind < 8; kind++)
        for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
            struct scene *s = calloc(1, sizeof *s);
            assert_non_null(s);
            s->form = form;
            s->v6 = kind % 2 == 1;
            s->churns = kind / 2 % 2 == 1;
            s->sources = sources[kind / 4];
            /* In five minutes one of a flood that comes and goes was once alone behind his address, and got the share
             * that was kept for the friend: they meet when there is another. */
            const uint32_t bound_s = s->churns && s->sources > 1 && later[i] == 300 ? 4 : 1;
            const uint32_t took = meet_after(s, later[i]);
            free(s);
            assert_in_range(took, 0, bound_s);
        }
}

static void two_friends_meet_in_a_flooded_room(void **state)
{
    (void)state;
    friends_meet(IN_ROOM);
}

static void two_friends_meet_in_a_flooded_bucket(void **state)
{
    (void)state;
    friends_meet(IN_BUCKET);
}

static void two_friends_meet_whatever_the_servers_keys_are(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 200; seed++) {
        struct scene *s = calloc(1, sizeof *s);
        assert_non_null(s);
        s->form = IN_ROOM;
        s->v6 = seed % 2 == 1;
        s->sources = 16;
        s->seed = seed;
        const uint32_t took = meet_after(s, 1);
        free(s);
        assert_in_range(took, 0, 1);
    }
}

static void two_friends_meet_though_some_of_the_flood_are_alone(void **state)
{
    static const uint32_t later[] = {0, 1, 10, 300};
    (void)state;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        struct scene *s = calloc(1, sizeof *s);
        assert_non_null(s);
        s->form = IN_ROOM;
        s->sources = 16;
        s->alone = 9;
        const uint32_t took = meet_after(s, later[i]);
        free(s);
        assert_in_range(took, 0, 1);
    }
}

static void all_act(struct scene *s, unsigned seconds)
{
    for (; seconds > 0; seconds--) {
        for (size_t i = 0; i < s->other_count; i++)
            friend_acts(s, &s->others[i]);
        if (s->a.c.registered)
            friend_acts(s, &s->a);
        if (s->b.c.registered)
            friend_acts(s, &s->b);
        rig_wait(&s->r, VTIME_S(1));
        count_all(s);
    }
}

/* Forty who are alone at their addresses, and a friend who shares his with another: nobody keeps his shares from him,
 * for there are too many who are alone for anything to be kept for one of them. */
static void a_friend_with_a_neighbour_is_met_among_people_who_are_alone(void **state)
{
    enum { ALONE = OTHERS - 1, BOUND_S = 60 };
    struct scene *s = calloc(1, sizeof *s);
    uint32_t second = 0;
    (void)state;
    assert_non_null(s);
    rig_start(&s->r, NULL);
    while (s->other_count < OTHERS) {
        const uint16_t n = (uint16_t)s->other_count++;
        friend_comes(s, &s->others[n], n < ALONE ? 1 + n : 100, 10 + n);
        all_act(s, 2);
    }
    all_act(s, 120); /* they know one another by then */
    friend_comes(s, &s->a, 100, 1);
    all_act(s, 10);
    friend_comes(s, &s->b, 101, 1);
    for (; second < BOUND_S && !s->a.met_friend; second++)
        all_act(s, 1);
    print_message("a friend with a neighbour: met after %u s, %u and %u shares for others\n", second, s->a.met_others,
                  s->b.met_others);
    assert_true(s->a.met_friend && s->b.met_friend);
    rig_stop(&s->r);
    free(s);
}

/* An office: all behind one address, each with a keyword of his own. As long as they are few everybody is tried at
 * once. */
static void strangers_of_one_address_are_all_tried_where_they_are_few(void **state)
{
    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct rig r;
        struct rig_client c[7];
        uint64_t pairs = 0;
        rig_start(&r, NULL);
        for (uint16_t i = 0; i < 7; pairs += i++) {
            c[i] = flooder(i, v6 != 0, 1, false);
            rig_stock(&c[i], SHARES_MAX);
            assert_true(rig_register_open(&r, &c[i], 0, 0));
            assert_true(rig_register_open(&r, &c[i], 0, 0));
        }
        assert_int_equal(rig_stat(&r, "introduced"), pairs);
        rig_stop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_of_one_address_are_all_tried_where_they_are_few),
        cmocka_unit_test(a_friend_with_a_neighbour_is_met_among_people_who_are_alone),
        cmocka_unit_test(two_friends_meet_in_a_flooded_room),
        cmocka_unit_test(two_friends_meet_in_a_flooded_bucket),
        cmocka_unit_test(two_friends_meet_though_some_of_the_flood_are_alone),
        cmocka_unit_test(two_friends_meet_whatever_the_servers_keys_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
