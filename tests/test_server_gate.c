/* Register: the four cases, cookies, ledgers, full tables. */
#include "server_rig.h"

/* ---- case 1: strangers ---- */

static void an_unpadded_stranger_is_dropped(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    struct frame f = rig_register_frame(&a, FORM_ROOM, 42);
    f.reg.pad = false;
    rig_send(&r, &a.addr, &f);
    assert_int_equal(r.log_count, 0);
    assert_int_equal(rig_stat(&r, "dropped_unpadded"), 1);
    assert_int_equal(rig_stat(&r, "unvalidated"), 0);
    rig_stop(&r);
}

static void a_stranger_keeps_its_names_for_five_seconds(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    const struct rig_client before = a;
    rig_wait(&r, UNVALIDATED_US - 1);

    a.registered = false;
    a.cookie_size = 0;
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_equal(a.handle, before.handle);
    assert_memory_equal(a.secret, before.secret, SECRET_BYTES);
    assert_int_equal(rig_stat(&r, "unvalidated"), 1);

    rig_wait(&r, UNVALIDATED_US);
    assert_int_equal(rig_stat(&r, "unvalidated"), 0);
    a.registered = false;
    a.cookie_size = 0;
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_not_equal(a.handle, before.handle);
    rig_stop(&r);
}

/* A forged Register must not move, replace or refresh a registration of the same source. */
static void a_stranger_does_not_touch_the_registration_of_its_source(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2), forger = rig_client(1);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    rig_wait(&r, VTIME_S(30));
    rig_stock(&forger, 8);
    assert_true(rig_register(&r, &forger, FORM_ROOM, 7));
    assert_int_equal(rig_stat(&r, "registrations"), 1);

    rig_join(&r, &b, 42, 8); /* a is still in its room, with its own shares */
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    rig_wait(&r, LEASE_US - VTIME_S(30)); /* and its lease runs from its own refresh */
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    rig_stop(&r);
}

/* ---- case 2: a cookie ---- */

static void under_load_there_is_no_state_before_the_cookie(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.unvalidated_max = 8};
    rig_start(&r, &config);
    for (uint16_t i = 0; i < 5; i++) {
        struct rig_client c = rig_client(i);
        assert_true(rig_register(&r, &c, FORM_ROOM, 42));
    }
    assert_int_equal(rig_stat(&r, "unvalidated"), 5);

    struct rig_client a = rig_client(100);
    rig_stock(&a, 8);
    assert_false(rig_register(&r, &a, FORM_ROOM, 42));
    const struct frame *f = rig_expect(&r, &a.addr, FRAME_RETRY);
    assert_int_equal(f->retry.token, a.token);
    assert_int_equal(rig_stat(&r, "unvalidated"), 5);

    /* The cookie of another source is worth nothing. */
    struct rig_client thief = rig_client(101);
    thief.cookie_size = a.cookie_size = f->retry.cookie_size;
    memcpy(a.cookie, f->retry.cookie, a.cookie_size);
    memcpy(thief.cookie, f->retry.cookie, a.cookie_size);
    assert_false(rig_register(&r, &thief, FORM_ROOM, 42));
    rig_expect(&r, &thief.addr, FRAME_RETRY);

    /* Its own validates at once. */
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    assert_int_equal(rig_stat(&r, "unvalidated"), 5);
    rig_stop(&r);
}

/* Two Registers that went out before the first was answered: by its shares the second is known for the same process,
 * so that it is introduced once, and not by one of its shares to two of the other's. A process that follows on the
 * same port has others. */
static void a_cookie_twice_is_one_registration(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 7, 1);
    rig_wait(&r, LEASE_US + VTIME_S(1)); /* its secret is forgotten, its cookie is good */
    rig_join(&r, &b, 42, 4);
    rig_stock(&a, 4);
    const struct frame first = rig_register_frame(&a, FORM_ROOM, 42);
    rig_send(&r, &a.addr, &first);
    const uint64_t handle = rig_expect(&r, &a.addr, FRAME_REGISTERED)->registered.handle;
    assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 1);
    const struct frame second = rig_register_frame(&a, FORM_ROOM, 42);
    rig_send(&r, &a.addr, &second);
    assert_int_equal(rig_expect(&r, &a.addr, FRAME_REGISTERED)->registered.handle, handle);
    assert_int_equal(rig_count(&r, &a.addr, FRAME_PEER_INFO) + rig_count(&r, &b.addr, FRAME_PEER_INFO), 0);
    assert_int_equal(rig_stat(&r, "registrations"), 2);

    a.registered = false;
    rig_stock(&a, 4);
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_not_equal(a.handle, handle);
    assert_int_equal(rig_count(&r, &b.addr, FRAME_PEER_INFO), 1);
    assert_int_equal(rig_stat(&r, "registrations"), 2);
    rig_stop(&r);
}

static void cookies_live_two_to_four_minutes(void **state)
{
    (void)state;
    static const struct {
        vtime_us born, used;
        bool quiet, valid;
    } table[] = {
        {0, VTIME_S(119), false, true},
        {0, VTIME_S(121), false, true},
        {0, VTIME_S(239), false, true},
        {0, VTIME_S(241), false, false},
        {VTIME_S(119), VTIME_S(239), false, true},
        {VTIME_S(119), VTIME_S(241), false, false},
        {0, VTIME_S(119), true, true},
        {0, VTIME_S(239), true, true},
        {0, VTIME_S(241), true, false},
        {VTIME_S(119), VTIME_S(241), true, false},
        {0, VTIME_S(7200), true, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rig r;
        struct rig_client a = rig_client(1), other = rig_client(2);
        rig_start(&r, NULL);
        const vtime_us start = r.now;
        rig_wait(&r, table[i].born);
        assert_true(rig_register(&r, &a, FORM_ROOM, 42));
        /* Others keep coming, so that keys are looked at at all times. */
        while (r.now < start + table[i].used) {
            vtime_us left = start + table[i].used - r.now;
            rig_wait(&r, left < VTIME_S(7) ? left : VTIME_S(7));
            other.registered = false;
            other.cookie_size = 0;
            assert_true(table[i].quiet || rig_register(&r, &other, FORM_ROOM, 1));
        }

        a.registered = false; /* no secret: only the cookie can help an unpadded one */
        struct frame f = rig_register_frame(&a, FORM_ROOM, 42);
        f.reg.pad = false;
        rig_send(&r, &a.addr, &f);
        assert_int_equal(rig_count(&r, &a.addr, FRAME_REGISTERED), table[i].valid);
        rig_stop(&r);
    }
}

/* ---- case 3: echo and refresh ---- */

static void the_lease_is_sixty_seconds(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 0);
    for (int i = 0; i < 10; i++) {
        rig_wait(&r, VTIME_S(18));
        const uint64_t handle = a.handle;
        assert_true(rig_register(&r, &a, FORM_ROOM, 42));
        assert_int_equal(a.handle, handle);
        assert_int_equal(r.log_count, 1);
    }
    rig_wait(&r, LEASE_US - 1);
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    rig_wait(&r, 1);
    assert_int_equal(rig_stat(&r, "registrations"), 0);
    assert_int_equal(server_deadline(r.server), VTIME_NEVER);
    rig_stop(&r);
}

static void a_source_has_one_registration(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client old = rig_client(1), new = rig_client(1);
    rig_start(&r, NULL);
    rig_join(&r, &old, 42, 8);
    rig_join(&r, &new, 42, 8); /* the program was started anew and got the same port */
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    assert_int_equal(rig_stat(&r, "introduced"), 0);
    assert_int_not_equal(new.handle, old.handle);
    rig_stop(&r);
}

/* ---- case 4: a new source ---- */

static void a_registration_moves_with_a_cookie_only(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    const struct addr old = a.addr;
    a.addr.port = 5555;
    assert_false(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_equal(r.log_count, 1);
    const struct frame_retry retry = rig_expect(&r, &a.addr, FRAME_RETRY)->retry;
    assert_int_equal(retry.token, a.token);

    rig_stock(&b, 8); /* until then it is where it was */
    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    assert_int_equal(rig_count(&r, &old, FRAME_PEER_INFO), 1);

    const uint64_t handle = a.handle;
    memcpy(a.cookie, retry.cookie, retry.cookie_size);
    assert_true(rig_register(&r, &a, FORM_ROOM, 42));
    assert_int_equal(a.handle, handle);
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    const uint8_t datagram[10] = {1};
    rig_signal(&r, &b, a.handle, b.shares[0].point, datagram, sizeof datagram);
    rig_expect(&r, &a.addr, FRAME_SIGNAL);
    assert_int_equal(rig_count(&r, &old, FRAME_SIGNAL), 0);
    rig_stop(&r);
}

static void an_unknown_secret_is_told(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    a.registered = true;
    memset(a.secret, 9, SECRET_BYTES);
    rig_register(&r, &a, FORM_ROOM, 42);
    const struct frame *f = rig_expect(&r, &a.addr, FRAME_REFUSED);
    assert_int_equal(f->refused.code, REFUSED_UNKNOWN);
    assert_int_equal(f->refused.token, a.token);

    const uint8_t datagram[100] = {0};
    rig_relay(&r, &a, 5, datagram, sizeof datagram);
    f = rig_expect(&r, &a.addr, FRAME_REFUSED);
    assert_int_equal(f->refused.proof, rig_proof(&a));
    assert_int_equal(f->refused.token, 0);
    rig_signal(&r, &a, 5, datagram, datagram, 1);
    assert_int_equal(rig_expect(&r, &a.addr, FRAME_REFUSED)->refused.proof, rig_proof(&a));
    rig_link(&r, &a, 1, 0, true);
    assert_int_equal(rig_expect(&r, &a.addr, FRAME_REFUSED)->refused.proof, rig_proof(&a));
    assert_int_equal(rig_stat(&r, "refused_unknown"), 4);

    /* Padded, it is a stranger like any other. */
    struct frame padded = rig_register_frame(&a, FORM_ROOM, 42);
    padded.reg.pad = true;
    rig_send(&r, &a.addr, &padded);
    rig_expect(&r, &a.addr, FRAME_REGISTERED);
    rig_stop(&r);
}

static void a_known_secret_from_elsewhere_is_dropped(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    const uint8_t datagram[100] = {0};
    a.addr.port++;
    rig_relay(&r, &a, 5, datagram, sizeof datagram);
    assert_int_equal(r.log_count, 0);
    rig_link(&r, &a, 1, 0, true);
    assert_int_equal(r.log_count, 0);
    struct frame leave = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
    memcpy(leave.leave.secret, a.secret, SECRET_BYTES);
    rig_send(&r, &a.addr, &leave);
    assert_int_equal(rig_stat(&r, "registrations"), 1);
    a.addr.port--;
    rig_send(&r, &a.addr, &leave);
    assert_int_equal(rig_stat(&r, "registrations"), 0);
    rig_stop(&r);
}

/* ---- ledgers ---- */

/* Whatever an echo-less source sends, it never gets back more than that, headers included. */
static void a_stranger_gets_no_more_than_it_sent(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client waiter = rig_client(1), victim = rig_client(2);
    rig_start(&r, NULL);
    waiter.addr.family = victim.addr.family = ADDR_V6;
    memset(waiter.addr.ip, 0x26, 16);
    memset(victim.addr.ip, 0x27, 16);
    rig_join(&r, &waiter, 42, 8);

    size_t sent = 0, received = 0;
    rig_stock(&victim, 8);
    struct frame f = rig_register_frame(&victim, FORM_ROOM, 42);
    received += rig_send(&r, &victim.addr, &f) + UDP6_HEADER_BYTES;
    uint8_t datagram[SIGNAL_DATAGRAM_BYTES_MAX] = {0};
    for (int i = 0; i < 12; i++) {
        for (size_t k = 0; k < r.log_count; k++)
            if (addr_equal(&r.log[k].to, &victim.addr)) {
                sent += r.log[k].size + UDP6_HEADER_BYTES;
                assert_true(r.log[k].frame.kind != FRAME_REGISTERED || r.log[k].size <= REGISTERED_BYTES_MAX);
                assert_true(r.log[k].frame.kind != FRAME_PEER_INFO || r.log[k].size <= PEER_INFO_BYTES_MAX);
                assert_true(r.log[k].frame.kind != FRAME_SIGNAL || r.log[k].size <= SIGNAL_BYTES_MAX);
                if (r.log[k].frame.kind == FRAME_REGISTERED)
                    victim.handle = r.log[k].frame.registered.handle;
            }
        assert_true(sent <= received);
        if (i == 1)
            rig_signal(&r, &waiter, victim.handle, waiter.shares[0].point, datagram, sizeof datagram);
        else if (i % 2 == 1)
            rig_signal(&r, &waiter, victim.handle, waiter.shares[0].point, datagram, sizeof datagram);
        else
            rig_wait(&r, VTIME_MS(900));
    }
    /* One Register pays for the answer, the introduction and the largest envelope. */
    assert_true(sent > 1000);
    assert_int_equal(received, DATAGRAM_BYTES_MAX + UDP6_HEADER_BYTES);
    rig_stop(&r);
}

static void refusals_are_not_longer_than_what_they_answer(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1);
    rig_start(&r, NULL);
    struct frame f = {.kind = FRAME_RELAY,
                      .relay = {.has_secret = true, .link = 1, .datagram = {(const uint8_t *)"", 1}}};
    size_t size = rig_send(&r, &a.addr, &f);
    assert_int_equal(r.log_count, 1);
    assert_true(r.log[0].size <= size);
    f = (struct frame){.kind = FRAME_REGISTER, .reg = {.token = 1, .has_secret = true, .form = FORM_NEW}};
    size = rig_send(&r, &a.addr, &f);
    assert_int_equal(r.log_count, 1);
    assert_true(r.log[0].size <= size);
    rig_stop(&r);
}

static void the_envelope_that_does_not_fit_waits_for_the_echo(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    rig_stock(&b, 8);
    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    const uint8_t big[SIGNAL_DATAGRAM_BYTES_MAX] = {1}, second[SIGNAL_DATAGRAM_BYTES_MAX] = {2};
    rig_signal(&r, &a, b.handle, a.shares[0].point, big, sizeof big);
    assert_int_equal(rig_count(&r, &b.addr, FRAME_SIGNAL), 1);
    rig_signal(&r, &a, b.handle, a.shares[0].point, second, sizeof second);
    assert_int_equal(r.log_count, 0);

    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    assert_int_equal(r.log[0].frame.kind, FRAME_REGISTERED);
    const struct frame *f = rig_expect(&r, &b.addr, FRAME_SIGNAL);
    assert_memory_equal(f->signal.datagram.at, second, sizeof second);
    assert_int_equal(f->signal.handle, a.handle);
    rig_stop(&r);
}

/* B's echo is lost; its envelope shows that the secret arrived. */
static void a_signal_counts_as_the_echo(void **state)
{
    (void)state;
    struct rig r;
    struct rig_client a = rig_client(1), b = rig_client(2);
    rig_start(&r, NULL);
    rig_join(&r, &a, 42, 8);
    rig_stock(&b, 8);
    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    const uint8_t datagram[10] = {1};
    rig_signal(&r, &b, a.handle, b.shares[0].point, datagram, sizeof datagram);
    assert_int_equal(rig_stat(&r, "registrations"), 2);
    assert_int_equal(rig_stat(&r, "unvalidated"), 0);
    rig_expect(&r, &a.addr, FRAME_SIGNAL);
    assert_true(rig_register(&r, &b, FORM_ROOM, 42));
    assert_int_equal(rig_stat(&r, "introduced"), 1);
    rig_stop(&r);
}

/* ---- full tables ---- */

static void a_full_table_answers_busy(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.registrations_max = 3};
    rig_start(&r, &config);
    for (uint16_t i = 0; i < 3; i++) {
        struct rig_client c = rig_client(i);
        rig_join(&r, &c, 100U + i, 0);
    }
    struct rig_client late = rig_client(50);
    assert_true(rig_register(&r, &late, FORM_ROOM, 42));
    assert_false(rig_register(&r, &late, FORM_ROOM, 42));
    const struct frame *f = rig_expect(&r, &late.addr, FRAME_REFUSED);
    assert_int_equal(f->refused.code, REFUSED_BUSY);
    assert_int_equal(f->refused.token, late.token);
    assert_true(f->refused.retry_after_s > 0);
    assert_int_equal(rig_stat(&r, "registrations"), 3);
    rig_stop(&r);
}

/* One subscriber may have many registrations, but not more than half the table leaves for others. */
static void shares_of_a_prefix_bite_when_the_table_is_over_half_full(void **state)
{
    (void)state;
    struct rig r;
    const struct server_config config = {.registrations_max = 256};
    rig_start(&r, &config);
    uint64_t registered = 0;
    for (uint16_t i = 0; i < 250; i++) {
        struct rig_client c = rig_client(1);
        c.addr.port = (uint16_t)(1000 + i);
        assert_true(rig_register(&r, &c, FORM_ROOM, 100U + i));
        registered += rig_register(&r, &c, FORM_ROOM, 100U + i);
    }
    assert_int_equal(registered, 129);
    struct rig_client other = rig_client(2);
    rig_join(&r, &other, 42, 0);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unpadded_stranger_is_dropped),
        cmocka_unit_test(a_stranger_keeps_its_names_for_five_seconds),
        cmocka_unit_test(a_stranger_does_not_touch_the_registration_of_its_source),
        cmocka_unit_test(under_load_there_is_no_state_before_the_cookie),
        cmocka_unit_test(a_cookie_twice_is_one_registration),
        cmocka_unit_test(cookies_live_two_to_four_minutes),
        cmocka_unit_test(the_lease_is_sixty_seconds),
        cmocka_unit_test(a_source_has_one_registration),
        cmocka_unit_test(a_registration_moves_with_a_cookie_only),
        cmocka_unit_test(an_unknown_secret_is_told),
        cmocka_unit_test(a_known_secret_from_elsewhere_is_dropped),
        cmocka_unit_test(a_stranger_gets_no_more_than_it_sent),
        cmocka_unit_test(refusals_are_not_longer_than_what_they_answer),
        cmocka_unit_test(the_envelope_that_does_not_fit_waits_for_the_echo),
        cmocka_unit_test(a_signal_counts_as_the_echo),
        cmocka_unit_test(a_full_table_answers_busy),
        cmocka_unit_test(shares_of_a_prefix_bite_when_the_table_is_over_half_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
