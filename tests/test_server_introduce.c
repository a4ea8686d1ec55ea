/* Who is introduced to whom, how often, and for how long. */
#include "server_check.h"
#include "server_rig.h"

static const uint8_t envelope[50] = {1};

/* Each sends the other a Signal in the run of these shares. */
static void both_answer(struct rig *r, const struct rig_client *a, const struct rig_client *b, uint8_t a_share,
                        uint8_t b_share)
{
    rig_signal(r, a, b->handle, a->shares[a_share].point, envelope, sizeof envelope);
    rig_expect(r, &b->addr, FRAME_SIGNAL);
    rig_signal(r, b, a->handle, b->shares[b_share].point, envelope, sizeof envelope);
    rig_expect(r, &a->addr, FRAME_SIGNAL);
}

static void refresh(struct rig *r, struct rig_client *c, uint32_t room)
{
    rig_stock(c, SHARES_MAX);
    assert_true(rig_register(r, c, FORM_ROOM, room));
}

/* Keeps registrations alive, with so many fresh shares each time. */
static void wait_with_stock(struct rig *r, vtime_us us, struct rig_client *clients, size_t count, uint32_t room,
                            uint8_t shares)
{
    for (const vtime_us until = r->now + us; r->now < until;) {
        rig_wait(r, vtime_min(VTIME_S(15), until - r->now));
        for (size_t i = 0; i < count; i++) {
            rig_stock(&clients[i], shares);
            assert_true(rig_register(r, &clients[i], FORM_ROOM, room));
        }
    }
}

static void wait_with(struct rig *r, vtime_us us, struct rig_client *clients, size_t count, uint32_t room)
{
    wait_with_stock(r, us, clients, count, room, SHARES_MAX);
}

/* ---- repeats ---- */

static void peer_info_is_repeated_to_who_has_not_answered(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 1);
    rig_join(&r, &b, 42, 1);
    rig_signal(&r, &a, b.handle, a.shares[0].point, envelope, sizeof envelope);
    assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 1); /* in front of the first Signal */
    rig_signal(&r, &a, b.handle, a.shares[0].point, envelope, sizeof envelope);
    assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 0); /* and only there */

    for (int i = 0; i < 3; i++) {
        rig_wait(&r, PEER_INFO_REPEAT_US - 1);
        assert_int_equal(r.log_count, 0);
        rig_wait(&r, 1);
        assert_int_equal(r.log_count, 1);
        assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 1);
        assert_memory_equal(r.log[0].frame.peer_info.own_point, b.shares[0].point, 32);
    }
    rig_wait(&r, VTIME_S(20));
    assert_int_equal(r.log_count, 0);
    rig_stop(&r);
}

/* ---- shares ---- */

static void each_introduction_takes_one_share_of_each(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[6];
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 6; i++) {
        c[i] = rig_client(i);
        rig_join(&r, &c[i], 42, 3);
    }
    /* Three pairs each: 0-1 0-2 0-3 1-2 1-3 2-3 use up the first four; 4 and 5 have each other. */
    assert_int_equal(rig_stat(&r, "introduced"), 7);
    refresh(&r, &c[0], 42);
    assert_int_equal(rig_stat(&r, "introduced"), 9);
    rig_stop(&r);
}

/* Ten behind one address have waited longest, then ten who are alone: a newcomer's eight shares go to one of the ten,
 * and to seven others. */
static void each_prefix_has_its_turn(void **state)
{
    enum { TOGETHER = 10, MEMBERS = 20, ROUNDS = 5 };
    struct rig r;
    struct rig_client c[MEMBERS], newcomer = rig_client(100);
    size_t together = 0;
    (void)state;
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < MEMBERS; i++) {
        c[i] = rig_client(i < TOGETHER ? 1 : i);
        c[i].addr.port = (uint16_t)(1000 + i);
        rig_join(&r, &c[i], 7, SHARES_MAX);
    }
    for (int round = 0; round < ROUNDS; round++) /* all are introduced who may be, and have shares again */
        for (int i = 0; i < MEMBERS; i++)
            refresh(&r, &c[i], 7);
    rig_join(&r, &newcomer, 7, SHARES_MAX);
    for (size_t i = 0; i < TOGETHER; i++)
        together += rig_count(&r, &c[i].addr, FRAME_PEER_INFO);
    assert_int_equal(rig_count(&r, &newcomer.addr, FRAME_PEER_INFO), SHARES_MAX);
    assert_int_equal(together, 1);
    server_check(r.server, r.now);
    rig_stop(&r);
}

/* The client's list may be older than the introduction: what was used is not used again. */
static void a_used_share_is_not_restocked(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2), d = rig_client(3);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 1);
    rig_join(&r, &b, 42, 8);
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    assert_true(rig_register(&r, &a, FORM_ROOM, 42)); /* the same share again */
    rig_join(&r, &d, 42, 8);
    assert_int_equal(rig_count(&r, &a.addr, FRAME_PEER_INFO), 0);

    /* Nor when the other has left in the meantime. */
    struct frame leave = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
    memcpy(leave.leave.secret, b.secret, SECRET_BYTES);
    rig_send(&r, &b.addr, &leave);
    const uint64_t introduced = rig_stat(&r, "introduced");
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "introduced"), introduced);
    rig_stop(&r);
}

/* ---- the end of an introduction ---- */

static void strangers_do_not_meet_twice(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[2] = {rig_client(1), rig_client(2)};
    rig_start(&r, NULL);
    rig_join(&r, &c[0], 42, 1);
    rig_join(&r, &c[1], 42, 1);
    both_answer(&r, &c[0], &c[1], 0, 0);
    wait_with(&r, VTIME_S(300), c, 2, 42);
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    assert_int_equal(rig_stat(&r, "introductions"), 0);

    /* A new registration is somebody new. */
    struct rig_client again = rig_client(1);
    rig_join(&r, &again, 42, 8);
    assert_int_equal(rig_stat(&r, "introduced"), 2);
    rig_stop(&r);
}

static void linked_pairs_do_not_meet_again(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client c[2] = {rig_client(1), rig_client(2)};
    rig_start(&r, NULL);
    rig_join(&r, &c[0], 42, 1);
    rig_join(&r, &c[1], 42, 1);
    both_answer(&r, &c[0], &c[1], 0, 0);
    rig_link(&r, &c[0], 7, 0, false);
    rig_link(&r, &c[1], 7, 1, false);
    assert_int_equal(rig_stat(&r, "introductions_linked"), 1);
    wait_with(&r, VTIME_S(45), c, 2, 42);
    assert_int_equal(rig_stat(&r, "introduced"), 1);

    /* When the session has ended on both sides, they have met and parted: they may meet again. */
    c[0].link_count = c[1].link_count = 0;
    refresh(&r, &c[0], 42);
    assert_int_equal(rig_stat(&r, "introduced"), 2);
    rig_stop(&r);
}

static void who_was_silent_meets_again_after_its_refresh(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 1);
    rig_join(&r, &b, 42, 1);
    rig_signal(&r, &a, b.handle, a.shares[0].point, envelope, sizeof envelope);
    rig_wait(&r, VTIME_S(20));
    refresh(&r, &a, 42);
    refresh(&r, &b, 42);
    rig_wait(&r, VTIME_S(15)); /* over; b was silent */
    assert_int_equal(rig_stat(&r, "introductions"), 0);
    refresh(&r, &a, 42);
    assert_int_equal(rig_stat(&r, "introduced"), 1); /* a's refresh does not help */
    refresh(&r, &b, 42);
    assert_int_equal(rig_stat(&r, "introduced"), 2);
    rig_stop(&r);
}

/* A killed client answers nobody: after two it costs no more shares. */
static void two_unanswered_are_enough_until_the_refresh(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client ghost = rig_client(1);
    rig_start(&r, NULL);
    rig_join(&r, &ghost, 42, 8);
    for (uint16_t i = 0; i < 5; i++) {
        struct rig_client c = rig_client((uint16_t)(10 + i));
        rig_join(&r, &c, 42, 1);
        rig_wait(&r, VTIME_S(4));
        struct frame leave = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
        memcpy(leave.leave.secret, c.secret, SECRET_BYTES);
        rig_send(&r, &c.addr, &leave);
    }
    assert_int_equal(rig_stat(&r, "introduced"), 2);
    refresh(&r, &ghost, 42);
    struct rig_client c = rig_client(30);
    rig_join(&r, &c, 42, 1);
    assert_int_equal(rig_stat(&r, "introduced"), 3);
    rig_stop(&r);
}

/* ---- before the echo ---- */

static void a_stranger_meets_the_longest_waiting_only(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2), d = rig_client(3);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    rig_join(&r, &b, 42, 8);
    both_answer(&r, &a, &b, 0, 0);
    rig_link(&r, &a, 7, 0, false);
    rig_link(&r, &b, 7, 1, false);

    rig_stock(&d, 8);
    assert_true(rig_register(&r, &d, FORM_ROOM, 42));
    assert_int_equal(rig_count(&r, &a.addr, FRAME_PEER_INFO), 1);
    assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 0);
    d.registered = false;
    assert_true(rig_register(&r, &d, FORM_ROOM, 42)); /* with a cookie: validated, the other follows */
    assert_int_equal(rig_count(&r, &a.addr, FRAME_PEER_INFO), 0);
    assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 1);
    rig_stop(&r);
}

static void a_waiter_with_an_unconfirmed_run_is_cautious(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), forged = rig_client(2), b = rig_client(3);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    rig_stock(&forged, 8);
    assert_true(rig_register(&r, &forged, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "introduced"), 1);

    /* While it is open, when it is over, and for ten minutes. */
    vtime_us waits[] = {0, VTIME_S(40), VTIME_S(500)};
    for (size_t i = 0; i < 3; i++) {
        wait_with(&r, waits[i], &a, 1, 42);
        b.registered = false;
        b.cookie_size = 0;
        rig_stock(&b, 8);
        assert_true(rig_register(&r, &b, FORM_ROOM, 42));
        assert_int_equal(rig_stat(&r, "introduced"), 1);
    }
    wait_with(&r, VTIME_S(110), &a, 1, 42);
    b.registered = false;
    b.cookie_size = 0;
    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "introduced"), 2);
    rig_stop(&r);
}

/* A client that comes back lists its links; whom it has links with, the server learns only at the echo. */
static void links_without_shares_wait_for_the_echo(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    for (int i = 0; i < 2; i++) {
        struct rig_client *c = i == 0 ? &a : &b;
        struct frame f = rig_register_frame(c, FORM_ROOM, 42);
        f.reg.link_count = 1;
        f.reg.links[0] = (struct relay_token){.token = {9}, .side = (uint8_t)i, .may_tell = true};
        rig_send(&r, &c->addr, &f);
        assert_true(rig_take_registered(&r, c));
        assert_int_equal(r.log_count, 1);
        rig_stock(c, 8);
        f = rig_register_frame(c, FORM_ROOM, 42);
        f.reg.link_count = 1;
        f.reg.links[0] = (struct relay_token){.token = {9}, .side = (uint8_t)i, .may_tell = true};
        rig_send(&r, &c->addr, &f);
        assert_true(rig_take_registered(&r, c));
    }
    assert_int_equal(r.log_count, 3);
    rig_expect(&r, &a.addr, FRAME_LINKED);
    rig_expect(&r, &b.addr, FRAME_LINKED);
    assert_int_equal(rig_stat(&r, "introduced"), 0);
    rig_stop(&r);
}

/* ---- Signal ---- */

static void signals_have_a_budget(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    static const struct {
        size_t size, frames;
    } table[] = {{10, 16}, {SIGNAL_DATAGRAM_BYTES_MAX, 8192 / SIGNAL_DATAGRAM_BYTES_MAX}, {512, 16}, {513, 15}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const uint8_t datagram[SIGNAL_DATAGRAM_BYTES_MAX] = {0};
        size_t arrived = 0;
        rig_start(&r, NULL);
        a = rig_client(1);
        b = rig_client(2);
        rig_join(&r, &a, 42, 1);
        rig_join(&r, &b, 42, 1);
        for (int k = 0; k < 20; k++) {
            rig_signal(&r, &a, b.handle, a.shares[0].point, datagram, table[i].size);
            arrived += rig_count(&r, &b.addr, FRAME_SIGNAL);
        }
        assert_int_equal(arrived, table[i].frames);
        rig_signal(&r, &b, a.handle, b.shares[0].point, datagram, table[i].size); /* the other way has its own */
        rig_expect(&r, &a.addr, FRAME_SIGNAL);
        rig_stop(&r);
    }
}

static void signals_go_only_where_an_introduction_is(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2), d = rig_client(3);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 1);
    rig_join(&r, &b, 42, 1);
    rig_join(&r, &d, 43, 1);
    rig_signal(&r, &d, a.handle, d.shares[0].point, envelope, sizeof envelope); /* another room */
    assert_int_equal(r.log_count, 0);
    rig_signal(&r, &a, b.handle, b.shares[0].point, envelope, sizeof envelope); /* another share */
    assert_int_equal(r.log_count, 0);
    rig_signal(&r, &a, a.handle, a.shares[0].point, envelope, sizeof envelope); /* oneself */
    assert_int_equal(r.log_count, 0);
    rig_wait(&r, INTRODUCTION_US);
    rig_signal(&r, &a, b.handle, a.shares[0].point, envelope, sizeof envelope); /* too late */
    assert_int_equal(r.log_count, 0);
    assert_int_equal(rig_stat(&r, "signals_dropped"), 4);
    rig_stop(&r);
}

/* ---- failed runs ---- */

/* A guesser in a numbered room: after three failed runs its house gets one introduction in ten seconds, under
 * whatever registration. */
static void a_house_whose_runs_failed_is_slowed_down(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client members[8], guesser = rig_client(50);
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 8; i++) {
        members[i] = rig_client(i);
        rig_join(&r, &members[i], 42, 0);
    }
    for (uint32_t failed = 0; failed < 3; failed++) { /* nobody else has shares, so that only its runs count */
        rig_join(&r, &guesser, 42, 1);
        rig_stock(&members[failed], 1);
        assert_true(rig_register(&r, &members[failed], FORM_ROOM, 42));
        assert_int_equal(rig_count(&r, &guesser.addr, FRAME_PEER_INFO), 1);
        wait_with_stock(&r, VTIME_S(31), members, 8, 42, 0);
        guesser.registered = false;
        guesser.cookie_size = 0;
        guesser.addr.port++;
    }
    rig_join(&r, &guesser, 42, 8);
    assert_int_equal(rig_stat(&r, "introduced"), 3);
    for (int i = 3; i < 8; i++) {
        rig_stock(&members[i], 1);
        assert_true(rig_register(&r, &members[i], FORM_ROOM, 42));
        assert_int_equal(rig_count(&r, &guesser.addr, FRAME_PEER_INFO), i == 3 || i == 6);
        rig_stock(&members[i], 0);
        assert_true(rig_register(&r, &members[i], FORM_ROOM, 42));
        rig_wait(&r, VTIME_S(4));
    }
    rig_stop(&r);
}

/* So that they are not introduced to each other. */
static void link_all(struct rig *r, struct rig_client *c, uint8_t count, uint8_t first_token)
{
    for (uint8_t i = 0; i < count; i++)
        for (uint8_t k = 0; k < i; k++, first_token++) {
            rig_link(r, &c[i], first_token, 0, false);
            rig_link(r, &c[k], first_token, 1, false);
        }
}

/* Three runs of this house have failed; the members have no shares. */
static void fail_three_times(struct rig *r, struct rig_client *members, size_t count, struct rig_client *guesser)
{
    for (size_t failed = 0; failed < 3; failed++) {
        rig_join(r, guesser, 42, 1);
        rig_stock(&members[failed], 1);
        assert_true(rig_register(r, &members[failed], FORM_ROOM, 42));
        wait_with_stock(r, VTIME_S(31), members, count, 42, 0);
        guesser->registered = false;
        guesser->cookie_size = 0;
        guesser->addr.port++;
    }
}

/* When the ten seconds are over it is somebody's turn at once, with no refresh; those of one house take turns. */
static void a_house_whose_runs_failed_need_not_refresh(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client members[8], house[2];
    rig_start(&r, NULL);
    for (uint16_t i = 0; i < 8; i++) {
        members[i] = rig_client(i);
        rig_join(&r, &members[i], 42, 0);
    }
    link_all(&r, members, 8, 1);
    house[0] = rig_client(50);
    fail_three_times(&r, members, 8, &house[0]);
    house[1] = house[0];
    house[1].addr.port++;
    for (int i = 0; i < 2; i++)
        rig_join(&r, &house[i], 42, 0);
    link_all(&r, house, 2, 100);
    for (int i = 0; i < 2; i++) {
        rig_stock(&house[i], 3);
        assert_true(rig_register(&r, &house[i], FORM_ROOM, 42));
    }
    const uint64_t before = rig_stat(&r, "introduced") + 1; /* the first need not wait */
    for (uint16_t i = 0; i < 8; i++) {
        rig_stock(&members[i], 1);
        assert_true(rig_register(&r, &members[i], FORM_ROOM, 42));
    }
    assert_int_equal(rig_stat(&r, "introduced"), before);
    for (uint64_t turn = 1; turn <= 2; turn++) { /* nobody answers: then not before a refresh */
        rig_wait(&r, FAILED_GAP_US - 1);
        assert_int_equal(rig_stat(&r, "introduced"), before + turn - 1);
        rig_wait(&r, 1);
        assert_int_equal(rig_stat(&r, "introduced"), before + turn);
        assert_int_equal(rig_count(&r, &house[0].addr, FRAME_PEER_INFO), turn % 2 == 1);
        assert_int_equal(rig_count(&r, &house[1].addr, FRAME_PEER_INFO), turn % 2 == 0);
    }
    rig_stop(&r);
}

/* Who waits for its turn goes, moves to another room or to another address. */
static void who_waits_for_its_turn_may_go(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct rig r;
        struct rig_client members[4], house[2];
        rig_start(&r, NULL);
        for (uint16_t i = 0; i < 4; i++) {
            members[i] = rig_client(i);
            rig_join(&r, &members[i], 42, 0);
        }
        link_all(&r, members, 4, 1);
        house[0] = rig_client(50);
        fail_three_times(&r, members, 4, &house[0]);
        house[1] = house[0];
        house[1].addr.port++;
        for (int i = 0; i < 2; i++)
            rig_join(&r, &house[i], 42, 0);
        link_all(&r, house, 2, 100);
        for (int i = 0; i < 2; i++) {
            rig_stock(&house[i], 8);
            assert_true(rig_register(&r, &house[i], FORM_ROOM, 42));
        }
        const uint64_t before = rig_stat(&r, "introduced") + 1;
        for (uint16_t i = 0; i < 4; i++) {
            rig_stock(&members[i], 1);
            assert_true(rig_register(&r, &members[i], FORM_ROOM, 42));
        }
        server_check(r.server, r.now);
        struct frame leave = {.kind = FRAME_LEAVE, .leave = {.has_secret = true}};
        memcpy(leave.leave.secret, house[0].secret, SECRET_BYTES);
        if (how == 0)
            rig_send(&r, &house[0].addr, &leave);
        else if (how == 1)
            assert_true(rig_register(&r, &house[0], FORM_ROOM, 43));
        else if (how == 2)
            rig_wait(&r, LEASE_US); /* all of them */
        else
            house[0].addr = rig_client(60).addr;
        if (how == 3) { /* a house of its own: nothing has failed there, and it need not wait */
            assert_false(rig_register(&r, &house[0], FORM_ROOM, 42));
            const struct frame *retry = rig_expect(&r, &house[0].addr, FRAME_RETRY);
            house[0].cookie_size = retry->retry.cookie_size;
            memcpy(house[0].cookie, retry->retry.cookie, retry->retry.cookie_size);
            assert_true(rig_register(&r, &house[0], FORM_ROOM, 42));
        }
        server_check(r.server, r.now);
        if (how < 2) {
            rig_wait(&r, FAILED_GAP_US);
            assert_int_equal(rig_stat(&r, "introduced"), before + 1);
        } else if (how == 3) {
            assert_int_equal(rig_stat(&r, "introduced"), before + 3);
        }
        rig_wait(&r, 3 * FAILED_GAP_US);
        server_check(r.server, r.now);
        rig_stop(&r);
    }
}

/* A flood of introductions keeps nobody apart: in a full table the oldest gives way, once its two have had a second. */
static void in_a_full_table_the_oldest_gives_way(void **state)
{
    (void)state;
    const struct server_config config = {.introductions_max = 2};
    struct rig r;
    struct rig_client c[6];
    rig_start(&r, &config);
    for (uint16_t i = 0; i < 6; i++) {
        c[i] = rig_client(i);
        rig_join(&r, &c[i], 42 + i / 2, SHARES_MAX);
    }
    assert_int_equal(rig_stat(&r, "introduced"), 2);
    assert_int_equal(rig_stat(&r, "introductions_full"), 2); /* before its echo and after */

    rig_wait(&r, INTRODUCTION_MIN_US);
    refresh(&r, &c[5], 44);
    assert_int_equal(rig_stat(&r, "introduced"), 3);
    assert_int_equal(rig_stat(&r, "introductions_cut"), 1);
    server_check(r.server, r.now);
    both_answer(&r, &c[4], &c[5], 0, 0);
    const uint64_t dropped = rig_stat(&r, "signals_dropped");
    rig_signal(&r, &c[0], c[1].handle, c[0].shares[0].point, envelope, sizeof envelope);
    assert_int_equal(rig_stat(&r, "signals_dropped"), dropped + 1);

    /* The two who gave way are not held to be strangers. */
    refresh(&r, &c[1], 42);
    assert_int_equal(rig_stat(&r, "introduced"), 4);
    server_check(r.server, r.now);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_a_full_table_the_oldest_gives_way),
        cmocka_unit_test(peer_info_is_repeated_to_who_has_not_answered),
        cmocka_unit_test(each_introduction_takes_one_share_of_each),
        cmocka_unit_test(each_prefix_has_its_turn),
        cmocka_unit_test(a_used_share_is_not_restocked),
        cmocka_unit_test(strangers_do_not_meet_twice),
        cmocka_unit_test(linked_pairs_do_not_meet_again),
        cmocka_unit_test(who_was_silent_meets_again_after_its_refresh),
        cmocka_unit_test(two_unanswered_are_enough_until_the_refresh),
        cmocka_unit_test(a_stranger_meets_the_longest_waiting_only),
        cmocka_unit_test(a_waiter_with_an_unconfirmed_run_is_cautious),
        cmocka_unit_test(links_without_shares_wait_for_the_echo),
        cmocka_unit_test(signals_have_a_budget),
        cmocka_unit_test(signals_go_only_where_an_introduction_is),
        cmocka_unit_test(a_house_whose_runs_failed_is_slowed_down),
        cmocka_unit_test(a_house_whose_runs_failed_need_not_refresh),
        cmocka_unit_test(who_waits_for_its_turn_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
