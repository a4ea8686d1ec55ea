/* CPace against every official vector, and its promises over random runs. */
#include "hex.h"
#include "wire/cpace.h"
#include <jansson.h>
#include <stdlib.h>

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    json_error_t error;
    vectors = json_load_file("tests/vectors/cpace-ristretto255.json", 0, &error);
    if (vectors == NULL)
        fprintf(stderr, "%s\n", error.text);
    return vectors == NULL ? -1 : 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static struct blob vector(const char *object, const char *name)
{
    json_t *from = object != NULL ? json_object_get(vectors, object) : vectors;
    const char *text = json_string_value(json_object_get(from, name));
    if (text == NULL)
        fail_msg("no vector %s", name);
    struct blob b = hex_parse(text);
    assert_int_equal(b.size * 2, strlen(text));
    return b;
}

static struct cpace_part part(const struct blob *b)
{
    return (struct cpace_part){b->at, b->size};
}

static struct cpace_part part_text(const char *text)
{
    return (struct cpace_part){(const uint8_t *)text, strlen(text)};
}

static void test_string_helpers(void **state)
{
    (void)state;
    uint8_t counting[128], out[512];
    for (size_t i = 0; i < sizeof counting; i++)
        counting[i] = (uint8_t)i;
    const struct cpace_part four[] = {part_text("1234"), part_text("5"), {NULL, 0}, part_text("678")};
    const struct cpace_part up_to_127 = {counting, 127}, up_to_128 = {counting, 128};
    struct blob b = vector("string_utils", "prepend_len('')");
    assert_blob(b, out, cpace_lv_cat(out, sizeof out, &four[2], 1));
    b = vector("string_utils", "prepend_len('1234')");
    assert_blob(b, out, cpace_lv_cat(out, sizeof out, four, 1));
    b = vector("string_utils", "prepend_len(bytes(range(127)))");
    assert_blob(b, out, cpace_lv_cat(out, sizeof out, &up_to_127, 1));
    b = vector("string_utils", "prepend_len(bytes(range(128)))");
    assert_blob(b, out, cpace_lv_cat(out, sizeof out, &up_to_128, 1));
    b = vector("string_utils", "lv_cat('1234','5','','678')");
    assert_blob(b, out, cpace_lv_cat(out, sizeof out, four, 4));
    /* What does not fit is refused, and nothing behind cap is touched. */
    for (size_t cap = 0; cap < b.size; cap++) {
        memset(out, 0xee, sizeof out);
        assert_int_equal(cpace_lv_cat(out, cap, four, 4), 0);
        for (size_t i = cap; i < cap + 16; i++)
            assert_int_equal(out[i], 0xee);
    }
    assert_int_equal(cpace_lv_cat(out, sizeof out, four, 0), 0);
}

static void test_generator(void **state)
{
    (void)state;
    struct blob prs = vector("generator", "PRS"), ci = vector("generator", "CI"), sid = vector("generator", "sid");
    struct blob string = vector("generator", "generator_string"), g = vector("generator", "g");
    struct cpace_part p = part(&prs), c = part(&ci), s = part(&sid);
    uint8_t out[CPACE_GENERATOR_STRING_MAX], point[CPACE_POINT_BYTES];
    assert_blob(string, out, cpace_generator_string(out, &p, &c, &s));
    assert_true(cpace_generator(point, &p, &c, &s));
    assert_blob(g, point, sizeof point);
}

/* The padding by the length of the password: 108 minus it, and none from there on. */
static void test_generator_padding(void **state)
{
    (void)state;
    uint8_t prs[CPACE_GENERATOR_STRING_MAX] = {0}, out[CPACE_GENERATOR_STRING_MAX], g[CPACE_POINT_BYTES];
    const struct cpace_part nothing = {NULL, 0};
    static const size_t pads[][2] = {{8, 100}, {32, 76}, {1, 107}, {107, 1}, {108, 0}, {127, 0}, {128, 0}};
    for (size_t i = 0; i < sizeof pads / sizeof pads[0]; i++) {
        struct cpace_part p = {prs, pads[i][0]};
        size_t size = cpace_generator_string(out, &p, &nothing, &nothing);
        size_t prefix = pads[i][0] < 128 ? 1 : 2;
        assert_int_equal(size, 18 + prefix + pads[i][0] + 1 + pads[i][1] + 2);
        assert_int_equal(out[18 + prefix + pads[i][0]], pads[i][1]);
    }
    struct cpace_part large = {prs, CPACE_GENERATOR_STRING_MAX - 18 - 2 - 1 - 2};
    assert_int_equal(cpace_generator_string(out, &large, &nothing, &nothing), CPACE_GENERATOR_STRING_MAX);
    assert_true(cpace_generator(g, &large, &nothing, &nothing));
    large.size++;
    assert_int_equal(cpace_generator_string(out, &large, &nothing, &nothing), 0);
    assert_false(cpace_generator(g, &large, &nothing, &nothing));
}

static void test_run(void **state)
{
    (void)state;
    struct blob g = vector("run", "g"), sid = vector("run", "sid");
    struct blob scalar_a = vector("run", "ya"), point_a = vector("run", "Ya"), ad_a = vector("run", "ADa");
    struct blob scalar_b = vector("run", "yb"), point_b = vector("run", "Yb"), ad_b = vector("run", "ADb");
    struct blob k = vector("run", "K"), isk = vector("run", "ISK_SY"), sid_output = vector("run", "sid_output_oc");
    struct cpace_part s = part(&sid), a = part(&ad_a), b = part(&ad_b);
    uint8_t point[CPACE_POINT_BYTES];
    struct cpace_result at_a, at_b;
    assert_true(cpace_point(point, scalar_a.at, g.at));
    assert_blob(point_a, point, sizeof point);
    assert_true(cpace_point(point, scalar_b.at, g.at));
    assert_blob(point_b, point, sizeof point);
    assert_true(cpace_point(point, scalar_a.at, point_b.at));
    assert_blob(k, point, sizeof point);
    assert_true(cpace_point(point, scalar_b.at, point_a.at));
    assert_blob(k, point, sizeof point);

    assert_true(cpace_finish(&at_a, scalar_a.at, &s, point_a.at, &a, point_b.at, &b));
    assert_true(cpace_finish(&at_b, scalar_b.at, &s, point_b.at, &b, point_a.at, &a));
    assert_blob(isk, at_a.isk, sizeof at_a.isk);
    assert_blob(isk, at_b.isk, sizeof at_b.isk);
    assert_blob(sid_output, at_a.sid_output, sizeof at_a.sid_output);
    assert_blob(sid_output, at_b.sid_output, sizeof at_b.sid_output);

    /* "oc", then the larger one: a's, as the vector's transcript shows. */
    struct blob transcript = vector(NULL, "transcript_oc");
    assert_memory_equal(transcript.at + 3, point_a.at, point_a.size);
    assert_true(at_a.own_is_larger);
    assert_false(at_b.own_is_larger);
}

static void test_points(void **state)
{
    (void)state;
    json_t *valid = json_object_get(json_object_get(vectors, "points"), "valid");
    struct blob s = hex_parse(json_string_value(json_object_get(valid, "s")));
    struct blob x = hex_parse(json_string_value(json_object_get(valid, "X")));
    struct blob product = hex_parse(json_string_value(json_object_get(valid, "G.scalar_mult_vfy(s,X)")));
    uint8_t out[CPACE_POINT_BYTES], untouched[CPACE_POINT_BYTES];
    memset(untouched, 0x55, sizeof untouched);
    assert_true(cpace_point(out, s.at, x.at));
    assert_blob(product, out, sizeof out);
    static const char *const invalid[] = {"invalid_Y1_not_decodable", "invalid_Y2_identity"};
    for (size_t i = 0; i < 2; i++) {
        struct blob y = vector("points", invalid[i]);
        memset(out, 0x55, sizeof out);
        assert_false(cpace_point(out, s.at, y.at));
        assert_memory_equal(out, untouched, sizeof out);
    }
    /* A scalar of 0 gives the identity. */
    assert_false(cpace_point(out, (const uint8_t[CPACE_SCALAR_BYTES]){0}, x.at));
}

/* ---- our own runs ---- */

struct side {
    uint8_t g[CPACE_POINT_BYTES], scalar[CPACE_SCALAR_BYTES], point[CPACE_POINT_BYTES], ad[32];
};

static struct side new_side(struct rng *r, const char *prs, const char *ci, const char *sid)
{
    struct side s;
    struct cpace_part p = part_text(prs), c = part_text(ci), i = part_text(sid);
    assert_true(cpace_generator(s.g, &p, &c, &i));
    cpace_share(r, s.g, s.scalar, s.point);
    rng_bytes(r, s.ad, sizeof s.ad);
    return s;
}

static bool finish(struct cpace_result *ret, const struct side *own, const char *sid, const uint8_t *point,
                   const uint8_t *ad)
{
    struct cpace_part s = part_text(sid), own_ad = {own->ad, sizeof own->ad}, peer_ad = {ad, sizeof own->ad};
    return cpace_finish(ret, own->scalar, &s, own->point, &own_ad, point, &peer_ad);
}

static bool same_isk(const struct cpace_result *a, const struct cpace_result *b)
{
    return memcmp(a->isk, b->isk, sizeof a->isk) == 0;
}

static void test_random_runs_agree(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){21});
    int larger = 0;
    for (int i = 0; i < 300; i++) {
        char prs[32];
        snprintf(prs, sizeof prs, "%d-%llx", i, (unsigned long long)rng_u64(&r));
        struct side a = new_side(&r, prs, "p2p1 open", ""), b = new_side(&r, prs, "p2p1 open", "");
        struct cpace_result at_a, at_b;
        assert_true(finish(&at_a, &a, "", b.point, b.ad));
        assert_true(finish(&at_b, &b, "", a.point, a.ad));
        assert_true(same_isk(&at_a, &at_b));
        assert_memory_equal(at_a.sid_output, at_b.sid_output, CPACE_SID_BYTES);
        assert_true(at_a.own_is_larger != at_b.own_is_larger);
        larger += at_a.own_is_larger;
    }
    assert_in_range(larger, 100, 200);
}

static void test_any_difference_disagrees(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){22});
    for (int i = 0; i < 100; i++) {
        struct side a = new_side(&r, "42-crab-lunar-toast", "p2p1 room 42", "s");
        struct side b = new_side(&r, "42-crab-lunar-toast", "p2p1 room 42", "s");
        struct side prs = new_side(&r, "42-crab-lunar-toasty", "p2p1 room 42", "s");
        struct side ci = new_side(&r, "42-crab-lunar-toast", "p2p1 room 43", "s");
        struct side sid = new_side(&r, "42-crab-lunar-toast", "p2p1 room 42", "t");
        struct cpace_result right, x, y;
        assert_true(finish(&right, &a, "s", b.point, b.ad));
        const struct side *const others[] = {&prs, &ci, &sid};
        for (size_t k = 0; k < 3; k++) {
            assert_true(finish(&x, &a, "s", others[k]->point, others[k]->ad));
            assert_true(finish(&y, others[k], "s", a.point, a.ad));
            assert_false(same_isk(&x, &y));
        }
        assert_true(finish(&y, &b, "t", a.point, a.ad)); /* sid in the last step only */
        assert_false(same_isk(&right, &y));
        uint8_t bit = (uint8_t)(1U << rng_below(&r, 8));
        size_t at = rng_below(&r, sizeof a.ad);
        a.ad[at] ^= bit; /* one bit of associated data changed on the way */
        assert_true(finish(&y, &b, "s", a.point, a.ad));
        assert_false(same_isk(&right, &y));
        assert_memory_not_equal(right.sid_output, y.sid_output, CPACE_SID_BYTES);
        a.ad[at] ^= bit;
        assert_true(finish(&y, &b, "s", a.point, a.ad));
        assert_true(same_isk(&right, &y));
    }
}

static void test_refused(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){23});
    struct side a = new_side(&r, "foo", "p2p1 open", ""), b = new_side(&r, "foo", "p2p1 open", "");
    struct cpace_result result, before;
    memset(&before, 0x77, sizeof before);
    memcpy(&result, &before, sizeof result);
    const uint8_t identity[CPACE_POINT_BYTES] = {0};
    uint8_t no_point[CPACE_POINT_BYTES], long_ad[CPACE_AD_MAX + 1] = {1};
    memset(no_point, 0xff, sizeof no_point);
    assert_false(finish(&result, &a, "", identity, b.ad));
    assert_false(finish(&result, &a, "", no_point, b.ad));
    assert_false(finish(&result, &a, "", a.point, a.ad)); /* both reflected */
    assert_false(finish(&result, &a, "", a.point, b.ad)); /* the point alone */
    assert_false(finish(&result, &a, "", b.point, a.ad)); /* the associated data alone */
    struct cpace_part sid = {NULL, 0}, ad = {a.ad, sizeof a.ad}, too_long = {long_ad, sizeof long_ad};
    assert_false(cpace_finish(&result, a.scalar, &sid, a.point, &ad, b.point, &too_long));
    assert_false(cpace_finish(&result, a.scalar, &sid, a.point, &too_long, b.point, &ad));
    assert_false(cpace_finish(&result, a.scalar, &sid, a.point, &sid, b.point, &sid)); /* none is the same as none */
    assert_memory_equal(&result, &before, sizeof result);
    too_long.size--;
    assert_true(cpace_finish(&result, a.scalar, &sid, a.point, &ad, b.point, &too_long));
    assert_true(cpace_finish(&result, a.scalar, &sid, a.point, &too_long, b.point, &ad));
}

/* Lengths of the associated data do not matter for the order: the points come first and always differ. */
static void test_point_decides_order(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){24});
    for (int i = 0; i < 50; i++) {
        struct side a = new_side(&r, "foo", "p2p1 open", ""), b = new_side(&r, "foo", "p2p1 open", "");
        struct cpace_part sid = {NULL, 0}, ad_a = {a.ad, 1 + rng_below(&r, 31)}, ad_b = {b.ad, 32};
        struct cpace_result x, y;
        assert_true(cpace_finish(&x, a.scalar, &sid, a.point, &ad_a, b.point, &ad_b));
        assert_true(cpace_finish(&y, b.scalar, &sid, b.point, &ad_b, a.point, &ad_a));
        assert_true(same_isk(&x, &y));
        assert_int_equal(x.own_is_larger, memcmp(a.point, b.point, sizeof a.point) > 0);
    }
}

/* The draft asks for scalars below the order, each new. */
static void test_shares(void **state)
{
    (void)state;
    struct rng r, twin;
    rng_init(&r, (const uint8_t[RNG_SEED_BYTES]){25});
    struct side a = new_side(&r, "foo", "p2p1 open", "");
    twin = r;
    uint8_t last[CPACE_SCALAR_BYTES] = {0};
    for (int i = 0; i < 100; i++) {
        uint8_t scalar[CPACE_SCALAR_BYTES], point[CPACE_POINT_BYTES], again[CPACE_POINT_BYTES];
        cpace_share(&r, a.g, scalar, point);
        assert_true(scalar[31] <= 0x10);
        assert_memory_not_equal(scalar, last, sizeof scalar);
        assert_true(cpace_point(again, scalar, a.g));
        assert_memory_equal(point, again, sizeof point);
        memcpy(last, scalar, sizeof last);
    }
    uint8_t drawn[64]; /* exactly 64 bytes a share: the same seed gives the same scalars everywhere */
    for (int i = 0; i < 100; i++)
        rng_bytes(&twin, drawn, sizeof drawn);
    assert_memory_equal(&r, &twin, sizeof r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string_helpers),
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_generator_padding),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_random_runs_agree),
        cmocka_unit_test(test_any_difference_disagrees),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_point_decides_order),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests_name("cpace", tests, load, unload);
}
