/* What a NAT's class means for two, and how new mappings get their ports. */
#include "peer/nat.h"
#include "peer_tools.h"

/* ---- every pair of classes ---- */

enum group { LAX, STRICT, ONCE, NEAR, BLIND, GROUPS };

/* One of each that an Offer can tell, with what has not been found out yet. */
static const struct {
    struct nat_class c;
    enum group group;
} classes[] = {
    {{NAT_NONE, NAT_NONE, NAT_PORTS_PRESERVED, 0}, LAX},
    {{NAT_NONE, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_PRESERVED, 0}, STRICT}, /* a firewall */
    {{NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT, NAT_PORTS_PRESERVED, 0}, LAX},
    {{NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_PORTS_RANDOM, 0}, LAX},
    {{NAT_ENDPOINT_INDEPENDENT, NAT_PORT_INDEPENDENT, NAT_PORTS_SEQUENTIAL, 1}, LAX},
    {{NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_PRESERVED, 0}, STRICT},
    {{NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_SEQUENTIAL, 1}, STRICT},
    {{NAT_ENDPOINT_INDEPENDENT, NAT_UNKNOWN, NAT_PORTS_UNKNOWN, 0}, STRICT},
    {{NAT_PORT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_RANDOM, 0}, STRICT},
    {{NAT_PORT_INDEPENDENT, NAT_PORT_INDEPENDENT, NAT_PORTS_RANDOM, 0}, LAX},
    {{NAT_UNKNOWN, NAT_UNKNOWN, NAT_PORTS_UNKNOWN, 0}, STRICT},
    {{NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_PORTS_PRESERVED, 0}, ONCE},
    {{NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_PRESERVED, 0}, ONCE},
    {{NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_PORTS_SEQUENTIAL, -2}, NEAR},
    {{NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_UNKNOWN, NAT_PORTS_SEQUENTIAL, 1}, NEAR},
    {{NAT_ADDRESS_DEPENDENT, NAT_ENDPOINT_INDEPENDENT, NAT_PORTS_RANDOM, 0}, BLIND}, /* what it lets in is no help */
    {{NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_RANDOM, 0}, BLIND},
    {{NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_UNKNOWN, 0}, BLIND},
};

static void test_foresight(void **state)
{
    (void)state;
    static const enum nat_foresight of[GROUPS] = {FORESIGHT_EXACT, FORESIGHT_EXACT, FORESIGHT_ONCE, FORESIGHT_NEAR,
                                                  FORESIGHT_NONE};
    for (size_t i = 0; i < COUNT(classes); i++)
        assert_int_equal(nat_foresight(&classes[i].c), of[classes[i].group]);
    assert_true(FORESIGHT_NONE < FORESIGHT_NEAR && FORESIGHT_NEAR < FORESIGHT_ONCE && FORESIGHT_ONCE < FORESIGHT_EXACT);
}

static void test_technique(void **state)
{
    (void)state;
    enum { C = TECHNIQUE_CHECKS, P = TECHNIQUE_PREDICTION, B = TECHNIQUE_BIRTHDAY, X = TECHNIQUE_NONE };
    static const int table[GROUPS][GROUPS] = {
        /*            lax strict once near blind */
        [LAX] = {C, C, C, C, C}, /* a packet shows the port */
        [STRICT] = {C, C, P, P, B}, [ONCE] = {C, P, P, P, X}, [NEAR] = {C, P, P, P, X}, [BLIND] = {C, B, X, X, X},
    };
    for (size_t i = 0; i < COUNT(classes); i++)
        for (size_t k = 0; k < COUNT(classes); k++)
            assert_int_equal(nat_technique(&classes[i].c, &classes[k].c), table[classes[i].group][classes[k].group]);
}

/* Whatever bytes come in an Offer, both ends compute the same. */
static void test_technique_is_the_same_at_both_ends(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NAT_BEHAVIOURS * NAT_BEHAVIOURS * (NAT_PORTS_KINDS + 1); i++)
        for (unsigned k = 0; k < NAT_BEHAVIOURS * NAT_BEHAVIOURS * (NAT_PORTS_KINDS + 1); k++) {
            struct nat_class c[2];
            for (unsigned n = 0, v = i; n < 2; n++, v = k)
                c[n] = (struct nat_class){.mapping = (uint8_t)(v % NAT_BEHAVIOURS),
                                          .filtering = (uint8_t)(v / NAT_BEHAVIOURS % NAT_BEHAVIOURS),
                                          .ports = (uint8_t)(v / NAT_BEHAVIOURS / NAT_BEHAVIOURS)};
            assert_int_equal(nat_technique(&c[0], &c[1]), nat_technique(&c[1], &c[0]));
        }
}

/* ---- ports ---- */

static void test_ports(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t count;
        uint16_t own[4], seen[4];
        uint8_t ports;
        int16_t step;
    } rows[] = {
        {"none answered", 0, {0}, {0}, NAT_PORTS_UNKNOWN, 0},
        {"one, kept", 1, {40000}, {40000}, NAT_PORTS_PRESERVED, 0},
        {"one, another", 1, {40000}, {2000}, NAT_PORTS_UNKNOWN, 0},
        {"two, in a row", 2, {40000, 41000}, {2000, 2001}, NAT_PORTS_UNKNOWN, 0},
        {"two, one kept", 2, {40000, 41000}, {40000, 2001}, NAT_PORTS_UNKNOWN, 0},
        {"all kept", 4, {40000, 51000, 33000, 42000}, {40000, 51000, 33000, 42000}, NAT_PORTS_PRESERVED, 0},
        {"one taken", 4, {40000, 51000, 33000, 42000}, {40000, 51000, 1024, 42000}, NAT_PORTS_PRESERVED, 0},
        {"the first taken", 4, {40000, 51000, 33000, 42000}, {7777, 51000, 33000, 42000}, NAT_PORTS_PRESERVED, 0},
        {"two of three kept", 3, {40000, 51000, 33000}, {40000, 51000, 60001}, NAT_PORTS_PRESERVED, 0},
        {"kept, by sockets in a row", 4, {5000, 5001, 5002, 5003}, {5000, 5001, 5002, 5003}, NAT_PORTS_PRESERVED, 0},
        {"half kept", 4, {40000, 51000, 33000, 42000}, {40000, 1024, 33000, 9000}, NAT_PORTS_RANDOM, 0},
        {"up", 4, {40000, 51000, 33000, 42000}, {2000, 2001, 2002, 2003}, NAT_PORTS_SEQUENTIAL, 1},
        {"up, one of them kept", 4, {2001, 51000, 33000, 42000}, {2001, 2002, 2003, 2004}, NAT_PORTS_SEQUENTIAL, 1},
        {"down", 4, {40000, 51000, 33000, 42000}, {2000, 1999, 1998, 1997}, NAT_PORTS_SEQUENTIAL, -1},
        {"by twos", 4, {40000, 51000, 33000, 42000}, {2000, 2002, 2004, 2006}, NAT_PORTS_SEQUENTIAL, 2},
        {"three, up", 3, {40000, 51000, 33000}, {2000, 2001, 2002}, NAT_PORTS_SEQUENTIAL, 1},
        {"others between", 4, {40000, 51000, 33000, 42000}, {2000, 2004, 2005, 2012}, NAT_PORTS_SEQUENTIAL, 1},
        {"others, by twos", 4, {40000, 51000, 33000, 42000}, {2000, 2002, 2012, 2016}, NAT_PORTS_SEQUENTIAL, 2},
        {"others, down", 4, {40000, 51000, 33000, 42000}, {2000, 1996, 1995, 1991}, NAT_PORTS_SEQUENTIAL, -1},
        {"very busy", 4, {40000, 51000, 33000, 42000}, {2000, 2128, 2256, 2384}, NAT_PORTS_SEQUENTIAL, 128},
        {"far too busy", 4, {40000, 51000, 33000, 42000}, {2000, 2129, 2258, 2387}, NAT_PORTS_RANDOM, 0},
        {"round by 0", 4, {40000, 51000, 33000, 42000}, {65534, 65535, 0, 1}, NAT_PORTS_SEQUENTIAL, 1},
        {"round to 1024", 4, {40000, 51000, 33000, 42000}, {65534, 65535, 1024, 1025}, NAT_PORTS_SEQUENTIAL, 1},
        {"round at once", 4, {40000, 51000, 33000, 42000}, {60999, 32768, 32769, 32770}, NAT_PORTS_SEQUENTIAL, 1},
        {"round at the end", 4, {40000, 51000, 33000, 42000}, {60997, 60998, 60999, 32768}, NAT_PORTS_SEQUENTIAL, 1},
        {"round, down", 4, {40000, 51000, 33000, 42000}, {1025, 1024, 65535, 65534}, NAT_PORTS_SEQUENTIAL, -1},
        {"round, of three", 3, {40000, 51000, 33000}, {65535, 1024, 1025}, NAT_PORTS_RANDOM, 0},
        {"one too late in order", 4, {40000, 51000, 33000, 42000}, {2000, 2002, 2001, 2003}, NAT_PORTS_SEQUENTIAL, 2},
        {"two jumps", 4, {40000, 51000, 33000, 42000}, {2000, 9000, 9001, 30000}, NAT_PORTS_RANDOM, 0},
        {"one for all", 4, {40000, 51000, 33000, 42000}, {2000, 2000, 2000, 2000}, NAT_PORTS_RANDOM, 0},
        {"anything", 4, {40000, 51000, 33000, 42000}, {2000, 61000, 17000, 44000}, NAT_PORTS_RANDOM, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int16_t step = 0;
        uint8_t ports = nat_ports_of(rows[i].own, rows[i].seen, rows[i].count, &step);
        if (ports != rows[i].ports || step != rows[i].step)
            fail_msg("%s: ports %u, step %d; should be %u, %d", rows[i].what, ports, step, rows[i].ports, rows[i].step);
    }
}

/* Random ports look like a counter's once in 40,000 times, and never like kept ones. */
static void test_random_ports_are_told_from_a_counter(void **state)
{
    (void)state;
    enum { TRIES = 400000 };
    unsigned sequential = 0;
    struct rng r;
    dice_seed(&r, 1);
    for (unsigned i = 0; i < TRIES; i++) {
        uint16_t own[4], seen[4];
        int16_t step = 0;
        for (unsigned k = 0; k < 4; k++) {
            own[k] = (uint16_t)dice_between(&r, 32768, 60999);
            seen[k] = (uint16_t)dice_between(&r, 1024, 65535);
        }
        uint8_t ports = nat_ports_of(own, seen, 4, &step);
        assert_int_not_equal(ports, NAT_PORTS_PRESERVED);
        sequential += ports == NAT_PORTS_SEQUENTIAL;
    }
    print_message("of %u times four random ports %u look sequential\n", TRIES, sequential);
    assert_in_range(sequential, 1, 2 * TRIES / 40000);
}

/* ---- words ---- */

static void test_words(void **state)
{
    (void)state;
    static const struct {
        struct nat_class c;
        const char *text;
    } rows[] = {
        {{NAT_NONE, NAT_NONE, NAT_PORTS_PRESERVED, 0}, "no NAT"},
        {{NAT_NONE, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_PRESERVED, 0}, "no NAT, strict filter"},
        {{NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_PORTS_RANDOM, 0}, "endpoint-independent"},
        {{NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORTS_PRESERVED, 0},
         "address-and-port-dependent, ports kept once"},
        {{NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_PORTS_SEQUENTIAL, 1},
         "address-and-port-dependent, sequential ports"},
        {{NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_PORTS_RANDOM, 0}, "address-dependent, random ports"},
        {{NAT_UNKNOWN, NAT_UNKNOWN, NAT_PORTS_UNKNOWN, 0}, "unknown"},
    };
    char text[64], cut[8];
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(nat_describe(&rows[i].c, text, sizeof text), rows[i].text);
    assert_string_equal(nat_describe(&rows[1].c, cut, sizeof cut), "no NAT,");
    const struct nat_class odd = {.mapping = 200, .filtering = 200, .ports = 200};
    assert_string_equal(nat_describe(&odd, text, sizeof text), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foresight),
        cmocka_unit_test(test_technique),
        cmocka_unit_test(test_technique_is_the_same_at_both_ends),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_random_ports_are_told_from_a_counter),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
