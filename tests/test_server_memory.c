/* What somebody who waits takes of memory. A short form of bench/registry. */
#include "server_rig.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FEW = 2000, MANY = 20000, EACH_BYTES_MAX = 690 };

static size_t resident_bytes(void *block, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page;
    unsigned char *in_core = malloc(pages);
    size_t count = 0;
    assert_non_null(in_core);
    assert_int_equal(mincore(block, size, in_core), 0);
    for (size_t i = 0; i < pages; i++)
        count += in_core[i] & 1;
    free(in_core);
    return count * page;
}

/* Rows and shares: a million of them, with 25 bytes for each in hash tables, fit 700 MiB. */
static void each_takes_less_than_700_bytes(void **state)
{
    (void)state;
    const struct server_config config = {.registrations_max = MANY};
    const size_t size = server_size(&config);
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    size_t resident[2] = {0};
    struct rig r = {.now = VTIME_S(1000)};
    r.server = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r.log = calloc(RIG_LOG_MAX, sizeof *r.log);
    assert_true((void *)r.server != MAP_FAILED);
    assert_non_null(r.log);
    madvise(r.server, size, MADV_NOHUGEPAGE); /* a page is to be one that was needed; may fail where there are none */
    server_init(r.server, &config, seed, r.now);
    for (uint32_t i = 0; i < MANY; i++) {
        struct rig_client c = {.addr = addr_v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 4000),
                               .token = 1 + i};
        rig_join(&r, &c, 1 + i, SHARES_MAX);
        if (i + 1 == FEW)
            resident[0] = resident_bytes(r.server, size);
    }
    resident[1] = resident_bytes(r.server, size);
    assert_int_equal(rig_stat(&r, "registrations"), MANY);
    const size_t each = (resident[1] - resident[0]) / (MANY - FEW);
    print_message("%zu bytes each, %zu KiB for the first %d\n", each, resident[0] / 1024, FEW);
    assert_true(each <= EACH_BYTES_MAX);
    munmap(r.server, size);
    free(r.log);
}

/* All tables full to the last row, with a link for each. */
static void a_million_is_less_than_a_gigabyte(void **state)
{
    (void)state;
    const struct server_config million = {.registrations_max = 1000000}, most = {.registrations_max = UINT32_MAX - 1},
                               same = {.registrations_max = SERVER_CLIENTS_MAX};
    print_message("%zu MiB for a million at most\n", server_size(&million) >> 20);
    assert_true(server_size(&million) < 1000UL * 1000 * 1000);
    assert_true(server_size(&most) == server_size(&same));
    assert_true(server_size(&same) > 16 * server_size(&million));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_takes_less_than_700_bytes),
        cmocka_unit_test(a_million_is_less_than_a_gigabyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
