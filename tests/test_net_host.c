/* The addresses of a server. How it may be written: test_options.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "net/host.h"

enum { CAP = 4 };

static void each_address_is_there_once_and_can_be_sent_to(void **state)
{
    struct addr found[CAP], here;
    char error[HOST_ERROR_MAX] = "";
    (void)state;
    assert_int_equal(host_resolve("127.0.0.1", 5, found, CAP, error), 1);
    assert_true(addr_parse(&here, "127.0.0.1:5"));
    assert_true(addr_equal(&found[0], &here));
    size_t count = host_resolve("localhost", 5, found, CAP, error);
    assert_in_range(count, 1, 2);
    assert_false(count == 2 && addr_equal(&found[0], &found[1]));
    assert_string_equal(error, "");
    assert_int_equal(host_resolve("::ffff:127.0.0.1", 5, found, CAP, error), 1); /* an IPv4 address after all */
    assert_true(addr_equal(&found[0], &here));
    assert_int_equal(host_resolve("127.0.0.1", 5, found, 0, error), 0);
}

static void why_there_is_none_is_said(void **state)
{
    struct addr found[CAP];
    char error[HOST_ERROR_MAX] = "";
    (void)state;
    assert_int_equal(host_resolve("0.0.0.0", 5, found, CAP, error), 0);
    assert_string_equal(error, "it has no address that can be used");
    error[0] = '\0';
    assert_int_equal(host_resolve("no-such-host.invalid", 5, found, CAP, error), 0);
    assert_int_not_equal(error[0], '\0');
}

static void lists_are_equal_in_their_order(void **state)
{
    struct addr a[2] = {addr_v4(192, 0, 2, 1, 1), addr_v4(192, 0, 2, 2, 1)}, turned[2] = {a[1], a[0]};
    (void)state;
    assert_true(addrs_equal(a, 2, a, 2));
    assert_true(addrs_equal(a, 0, turned, 0));
    assert_false(addrs_equal(a, 2, turned, 2));
    assert_false(addrs_equal(a, 2, a, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_is_there_once_and_can_be_sent_to),
        cmocka_unit_test(why_there_is_none_is_said),
        cmocka_unit_test(lists_are_equal_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
