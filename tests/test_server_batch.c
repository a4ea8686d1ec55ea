/* Batches over loopback, and over a kernel that refuses: sendmmsg and recvmmsg here stand before the library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "net/udp.h"
#include "server/batch.h"
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the next calls are to fail with, 0: not; and how many datagrams the others take at the most. */
static int errors[32];
static size_t error_next, error_count;
static unsigned take_max = BATCH_MAX;

static void script(const int *list, size_t count, unsigned take)
{
    if (count > 0)
        memcpy(errors, list, count * sizeof *list);
    error_next = 0;
    error_count = count;
    take_max = take;
}

static long scripted(long number, int fd, struct mmsghdr *headers, unsigned count, int flags)
{
    int error = error_next < error_count ? errors[error_next++] : 0;
    if (error == 0)
        return syscall(number, fd, headers, count < take_max ? count : take_max, flags, NULL);
    errno = error;
    return -1;
}

int sendmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags)
{
    return (int)scripted(SYS_sendmmsg, fd, headers, count, flags);
}

int recvmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags, struct timespec *timeout)
{
    (void)timeout;
    return (int)scripted(SYS_recvmmsg, fd, headers, count, flags);
}

static struct world {
    struct batch_in in;
    struct batch_out out;
    int server, client;
    struct addr server_at, client_at, to;
} w;

static void open_world(const char *server, const char *client, const char *to)
{
    assert_true(addr_parse(&w.server_at, server) && addr_parse(&w.client_at, client) && addr_parse(&w.to, to));
    w.server = udp_open(&w.server_at, &w.server_at);
    if (w.server == -EADDRNOTAVAIL || w.server == -EAFNOSUPPORT)
        skip(); /* a machine without IPv6 */
    w.client = udp_open(&w.client_at, &w.client_at);
    assert_true(w.server >= 0 && w.client >= 0);
    w.to.port = w.server_at.port;
    memset(&w.out, 0, sizeof w.out);
    batch_out_init(&w.out);
    script(NULL, 0, BATCH_MAX);
}

static void close_world(void)
{
    close(w.server);
    close(w.client);
}

static void put(const struct addr *to, uint8_t value)
{
    const uint8_t bytes[2] = {'n', value};
    batch_put(&w.out, &(struct addr){0}, to, bytes, sizeof bytes);
}

static int receive(int fd)
{
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000), 1);
    return batch_receive(&w.in, fd);
}

static void expect_values(int fd, const uint8_t *values, int count)
{
    assert_int_equal(receive(fd), count);
    for (int i = 0; i < count; i++) {
        struct batch_datagram d;
        batch_get(&w.in, (size_t)i, &d);
        assert_int_equal(d.size, 2);
        assert_int_equal(d.bytes[1], values[i]);
    }
    assert_int_equal(batch_receive(&w.in, fd), 0);
}

/* Twice, so that what the system has written over in the headers is seen to be mended. */
static void a_batch_goes_there_and_back(void **state)
{
    (void)state;
    static const char *const worlds[][3] = {
        {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"},
        {"0.0.0.0:0", "127.0.0.1:0", "127.0.0.3:0"}, /* bound to any: the answer comes from where it was asked */
        {"[::]:0", "[::1]:0", "[::1]:0"},
    };
    for (size_t k = 0; k < sizeof worlds / sizeof worlds[0]; k++) {
        open_world(worlds[k][0], worlds[k][1], worlds[k][2]);
        for (int round = 0; round < 2; round++) {
            for (uint8_t i = 0; i < BATCH_MAX; i++)
                put(&w.to, i);
            batch_send(&w.out, w.client);
            assert_int_equal(receive(w.server), BATCH_MAX);
            for (uint8_t i = 0; i < BATCH_MAX; i++) {
                struct batch_datagram d;
                batch_get(&w.in, i, &d);
                assert_int_equal(d.bytes[1], i);
                assert_true(addr_equal(&d.from, &w.client_at));
                assert_true(addr_ip_equal(&d.local, &w.to) && d.local.port == 0);
                batch_put(&w.out, &d.local, &d.from, d.bytes, d.size);
            }
            batch_send(&w.out, w.server);
            assert_int_equal(receive(w.client), BATCH_MAX);
            for (uint8_t i = 0; i < BATCH_MAX; i++) {
                struct batch_datagram d;
                batch_get(&w.in, i, &d);
                assert_int_equal(d.bytes[1], i);
                assert_true(addr_equal(&d.from, &w.to));
            }
        }
        assert_int_equal(w.out.failed + w.out.full, 0);
        close_world();
    }
}

static void a_longer_one_is_told_and_the_next_is_whole(void **state)
{
    (void)state;
    static const uint8_t long_one[DATAGRAM_BYTES_MAX + 300] = {1};
    const size_t sizes[] = {DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MAX + 1, sizeof long_one, 0, DATAGRAM_BYTES_MAX};
    const size_t seen[] = {DATAGRAM_BYTES_MAX, BATCH_DATAGRAM_BYTES, BATCH_DATAGRAM_BYTES, 0, DATAGRAM_BYTES_MAX};
    open_world("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(udp_send(w.client, NULL, &w.to, 0, long_one, sizes[i]), 0);
    assert_int_equal(receive(w.server), 5);
    for (size_t i = 0; i < 5; i++) {
        struct batch_datagram d;
        batch_get(&w.in, i, &d);
        assert_int_equal(d.size, seen[i]);
    }
    close_world();
}

static void one_that_cannot_be_sent_does_not_hold_up_the_rest(void **state)
{
    (void)state;
    open_world("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    struct addr no_port = w.to, other_family = {.family = ADDR_V6, .ip = {[15] = 1}, .port = 9};
    no_port.port = 0;
    put(&no_port, 1);
    put(&w.to, 2);
    put(&other_family, 3);
    put(&no_port, 4);
    put(&w.to, 5);
    put(&no_port, 6);
    batch_send(&w.out, w.client);
    expect_values(w.server, (const uint8_t[]){2, 5}, 2);
    assert_int_equal(w.out.failed, 4);
    assert_int_equal(w.out.count, 0);
    close_world();
}

static void a_full_queue_drops_one_and_an_interruption_none(void **state)
{
    (void)state;
    open_world("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    for (uint8_t i = 0; i < 7; i++)
        put(&w.to, i);
    /* two at a time: 0 1, EAGAIN 2, ENOBUFS 3, EINTR, 4 5, ICMP 6 */
    script((const int[]){0, EAGAIN, ENOBUFS, EINTR, 0, ECONNREFUSED}, 6, 2);
    batch_send(&w.out, w.client);
    assert_int_equal(w.out.full, 2);
    assert_int_equal(w.out.failed, 1);
    script(NULL, 0, BATCH_MAX);
    expect_values(w.server, (const uint8_t[]){0, 1, 4, 5}, 4);
    close_world();
}

static void icmp_errors_are_weather_and_others_are_not(void **state)
{
    (void)state;
    int storm[32];
    open_world("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    put(&w.to, 7);
    batch_send(&w.out, w.client);
    script((const int[]){ECONNREFUSED, EHOSTUNREACH, EINTR}, 3, BATCH_MAX);
    expect_values(w.server, (const uint8_t[]){7}, 1);
    script((const int[]){EBADF}, 1, BATCH_MAX);
    assert_int_equal(batch_receive(&w.in, w.server), -EBADF);
    for (size_t i = 0; i < 32; i++)
        storm[i] = ECONNREFUSED;
    script(storm, 32, BATCH_MAX);
    assert_int_equal(batch_receive(&w.in, w.server), 0); /* others get a turn */
    assert_true(error_next < 32);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_goes_there_and_back),
        cmocka_unit_test(a_longer_one_is_told_and_the_next_is_whole),
        cmocka_unit_test(one_that_cannot_be_sent_does_not_hold_up_the_rest),
        cmocka_unit_test(a_full_queue_drops_one_and_an_interruption_none),
        cmocka_unit_test(icmp_errors_are_weather_and_others_are_not),
    };
    batch_in_init(&w.in); /* once for all sockets, as the server does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
