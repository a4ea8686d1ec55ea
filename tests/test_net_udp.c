/* UDP sockets over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "net/udp.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_at(const char *text, struct addr *ret_local)
{
    struct addr a;
    assert_true(addr_parse(&a, text));
    int fd = udp_open(&a, ret_local);
    if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT)
        skip(); /* a machine without IPv6 */
    assert_true(fd >= 0);
    assert_int_not_equal(ret_local->port, 0);
    return fd;
}

static int receive(int fd, uint8_t *at, size_t cap, struct addr *ret_from, struct addr *ret_local)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    return udp_receive(fd, at, cap, ret_from, ret_local);
}

static void a_datagram_arrives_with_both_addresses(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {
        {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"},
        {"0.0.0.0:0", "127.0.0.1:0", "127.0.0.3:0"}, /* bound to any: local tells which one it was */
        {"[::1]:0", "[::1]:0", "[::1]:0"},
        {"[::]:0", "[::1]:0", "[::1]:0"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct addr server, client, to, from, local;
        uint8_t bytes[1200];
        int a = open_at(pairs[i][0], &server), b = open_at(pairs[i][1], &client);
        assert_true(addr_parse(&to, pairs[i][2]));
        to.port = server.port;
        assert_int_equal(udp_receive(a, bytes, sizeof bytes, &from, &local), -EAGAIN);
        assert_int_equal(udp_send(b, NULL, &to, 0, (const uint8_t *)"hello", 5), 0);
        assert_int_equal(receive(a, bytes, sizeof bytes, &from, &local), 5);
        assert_memory_equal(bytes, "hello", 5);
        assert_true(addr_equal(&from, &client));
        assert_true(addr_ip_equal(&local, &to));
        assert_int_equal(local.port, 0);

        /* The answer comes from the address that was asked, whatever the system would pick. */
        assert_int_equal(udp_send(a, &local, &from, 0, (const uint8_t *)"hi", 2), 0);
        assert_int_equal(receive(b, bytes, sizeof bytes, &from, &local), 2);
        assert_true(addr_equal(&from, &to));
        close(a);
        close(b);
    }
}

static void one_that_has_a_single_address_need_not_tell_it(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};
    for (int i = 0; i < 2; i++) {
        struct addr server, client, from, local;
        uint8_t byte;
        int a = open_at(addresses[i], &server), b = open_at(addresses[i], &client);
        udp_stop_local(a, &server);
        assert_int_equal(udp_send(b, NULL, &server, 0, (const uint8_t *)"x", 1), 0);
        assert_int_equal(receive(a, &byte, 1, &from, &local), 1);
        assert_true(addr_equal(&from, &client));
        assert_int_equal(local.family, ADDR_NONE);
        assert_int_equal(udp_send(a, &local, &from, 0, (const uint8_t *)"y", 1), 0);
        assert_int_equal(receive(b, &byte, 1, &from, &local), 1);
        assert_true(addr_equal(&from, &server));
        close(a);
        close(b);
    }
}

static void sizes(void **state)
{
    (void)state;
    struct addr server, client, from, local;
    uint8_t bytes[8];
    const uint8_t nine[9] = {0};
    int a = open_at("127.0.0.1:0", &server), b = open_at("127.0.0.1:0", &client);
    const size_t sent[] = {0, 8, 9};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(udp_send(b, NULL, &server, 0, nine, sent[i]), 0);
        assert_int_equal(receive(a, bytes, sizeof bytes, &from, &local), sent[i]); /* 9: one more than fits */
    }
    close(a);
    close(b);
}

static void the_hop_limit_is_set(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};
    for (int i = 0; i < 2; i++) {
        struct addr server, client;
        int a = open_at(addresses[i], &server), b = open_at(addresses[i], &client), on = 1, hops = 0;
        if (i == 0)
            assert_int_equal(setsockopt(a, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
        else
            assert_int_equal(setsockopt(a, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on), 0);
        assert_int_equal(udp_send(b, &client, &server, 3, (const uint8_t *)"x", 1), 0);

        struct pollfd p = {.fd = a, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        char byte;
        _Alignas(struct cmsghdr) char control[256];
        struct iovec part = {&byte, 1};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        assert_int_equal(recvmsg(a, &m, 0), 1);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
            if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
                (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
                memcpy(&hops, CMSG_DATA(c), sizeof hops);
        assert_int_equal(hops, 3);
        close(a);
        close(b);
    }
}

static void errors_are_returned(void **state)
{
    (void)state;
    struct addr server, twice, elsewhere, none = {0}, v6;
    int a = open_at("127.0.0.1:0", &server);
    assert_int_equal(udp_open(&server, &twice), -EADDRINUSE);
    assert_true(addr_parse(&elsewhere, "192.0.2.1:0"));
    assert_int_equal(udp_open(&elsewhere, &twice), -EADDRNOTAVAIL);
    assert_true(addr_parse(&v6, "[::1]:9"));
    assert_true(udp_send(a, NULL, &v6, 0, (const uint8_t *)"x", 1) < 0);
    assert_int_equal(udp_send(a, NULL, &none, 0, (const uint8_t *)"x", 1), -EAFNOSUPPORT);
    close(a);
}

/* A flood of those fills the second one's queue only; and a port that is shared with oneself is taken for others. */
static void one_size_comes_to_a_socket_of_its_own(void **state)
{
    (void)state;
    enum { SIZE = 1200, FLOOD = 20000 }; /* more than any queue holds */
    static const char *const HOSTS[] = {"127.0.0.1:0", "[::1]:0"};
    static uint8_t bytes[SIZE + 1];
    for (size_t i = 0; i < 2; i++) {
        struct addr server, client, from, local, other;
        int first = open_at(HOSTS[i], &server), sender = open_at(HOSTS[i], &client);
        int second = udp_open_beside(first, &server, SIZE);
        assert_true(second >= 0);
        assert_int_equal(udp_open(&server, &other), -EADDRINUSE);
        for (int n = 0; n < FLOOD; n++)
            assert_int_equal(udp_send(sender, NULL, &server, 0, bytes, SIZE), 0);
        assert_int_equal(udp_send(sender, NULL, &server, 0, bytes, SIZE - 1), 0);
        assert_int_equal(udp_send(sender, NULL, &server, 0, bytes, SIZE + 1), 0);
        assert_int_equal(receive(first, bytes, sizeof bytes, &from, &local), SIZE - 1);
        assert_true(addr_equal(&from, &client) && addr_ip_equal(&local, &server));
        assert_int_equal(receive(first, bytes, sizeof bytes, &from, &local), SIZE + 1);
        assert_int_equal(receive(second, bytes, sizeof bytes, &from, &local), SIZE);
        assert_true(addr_equal(&from, &client) && addr_ip_equal(&local, &server));
        close(first);
        close(second);
        close(sender);
    }
}

/* Somebody's closed port must neither end the loop nor hide what others send. */
static void refusals_of_the_network_are_swallowed(void **state)
{
    (void)state;
    struct addr server, closed, client, from, local;
    uint8_t bytes[8];
    int a = open_at("127.0.0.1:0", &server), b = open_at("127.0.0.1:0", &closed);
    close(b);
    for (int i = 0; i < 5; i++)
        assert_int_equal(udp_send(a, NULL, &closed, 0, (const uint8_t *)"x", 1), 0);
    assert_int_equal(udp_receive(a, bytes, sizeof bytes, &from, &local), -EAGAIN);
    b = open_at("127.0.0.1:0", &client);
    assert_int_equal(udp_send(b, NULL, &server, 0, (const uint8_t *)"x", 1), 0);
    assert_int_equal(receive(a, bytes, sizeof bytes, &from, &local), 1);
    close(a);
    close(b);
}

static void time_goes_on(void **state)
{
    (void)state;
    vtime_us before = net_now();
    assert_true(before > 0);
    assert_true(net_now() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_arrives_with_both_addresses),
        cmocka_unit_test(one_that_has_a_single_address_need_not_tell_it),
        cmocka_unit_test(sizes),
        cmocka_unit_test(the_hop_limit_is_set),
        cmocka_unit_test(errors_are_returned),
        cmocka_unit_test(one_size_comes_to_a_socket_of_its_own),
        cmocka_unit_test(refusals_of_the_network_are_swallowed),
        cmocka_unit_test(time_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
