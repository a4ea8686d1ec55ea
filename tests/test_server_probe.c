/* Probes: answered from where the client asks, never with more than it sent, and without a registration. */
#include "server_rig.h"

static const struct addr client = {.family = ADDR_V4, .ip = {198, 51, 100, 7}, .port = 40000};

static struct server_config with_two_ports(void)
{
    return (struct server_config){.alternate_port = 41415,
                                  .socket_count = 2,
                                  .sockets = {{.family = ADDR_V4, .port = 41414}, {.family = ADDR_V4, .port = 41415}}};
}

static const struct rig_sent *ask(struct rig *r, uint8_t from)
{
    const struct frame f = {.kind = FRAME_PROBE, .probe = {.token = 0x0102030405060708, .from = from}};
    assert_int_equal(rig_send(r, &client, &f), PROBE_BYTES_MIN);
    assert_true(r->log_count <= 1);
    if (r->log_count == 0)
        return NULL;
    const struct rig_sent *sent = &r->log[0];
    assert_int_equal(sent->frame.kind, FRAME_PROBED);
    assert_true(addr_equal(&sent->to, &client) && sent->size <= PROBE_BYTES_MIN);
    struct addr observed = addr_mask(&sent->frame.probed.observed, 0x0102030405060708);
    assert_true(addr_equal(&observed, &client));
    return sent;
}

static void answers_come_from_where_they_are_asked_for(void **state)
{
    (void)state;
    struct server_config config = with_two_ports();
    struct rig r;
    rig_start(&r, &config);
    assert_int_equal(ask(&r, PROBE_FROM_SAME)->socket, 0);
    assert_int_equal(ask(&r, PROBE_FROM_OTHER_PORT)->socket, 1);
    assert_null(ask(&r, PROBE_FROM_OTHER_ADDRESS)); /* there is none */
    assert_int_equal(rig_stat(&r, "probes"), 2);
    assert_int_equal(rig_stat(&r, "probes_dropped"), 1);
    assert_int_equal(rig_stat(&r, "registrations"), 0);
    rig_stop(&r);

    config.addresses[config.address_count++] = addr_v4(192, 0, 2, 1, 0); /* the one that is asked */
    config.addresses[config.address_count++] = addr_v4(10, 0, 0, 1, 0);  /* not for a public client */
    config.addresses[config.address_count++] = addr_v4(192, 0, 2, 2, 0);
    rig_start(&r, &config);
    const struct rig_sent *sent = ask(&r, PROBE_FROM_OTHER_ADDRESS);
    const struct addr expected = addr_v4(192, 0, 2, 2, 0);
    assert_non_null(sent);
    assert_int_equal(sent->socket, 1);
    assert_true(addr_ip_equal(&sent->local, &expected));
    rig_stop(&r);
}

static void a_server_with_one_port_answers_from_it_only(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    assert_non_null(ask(&r, PROBE_FROM_SAME));
    assert_null(ask(&r, PROBE_FROM_OTHER_PORT));
    rig_stop(&r);
}

static void short_probes_are_dropped(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, NULL);
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    const struct frame f = {.kind = FRAME_PROBE, .probe = {.token = 1}};
    size_t size = codec_encode(&f, bytes, sizeof bytes);
    assert_int_equal(size, PROBE_BYTES_MIN);
    bytes[7]--;  /* the body, behind the word and a tag of two bytes, */
    bytes[18]--; /* and the padding in it, behind the token: one byte shorter */
    rig_input(&r, &client, bytes, size - 1);
    assert_int_equal(r.log_count, 0);
    assert_int_equal(rig_stat(&r, "probes_dropped"), 1);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_from_where_they_are_asked_for),
        cmocka_unit_test(a_server_with_one_port_answers_from_it_only),
        cmocka_unit_test(short_probes_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
