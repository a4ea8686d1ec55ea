/* sim-run: chaos by the number. A failure prints the trace and the command that repeats it.
 *   sim-run [--seed N] [--seeds N] [--seconds S]     from seed N (1) on; so many (100), or for so long */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "chaos.h"

static uint64_t current;

static _Noreturn void failed(const char *why)
{
    (void)why;
    fprintf(stderr, "again: sim-run --seed %llu --seeds 1\n", (unsigned long long)current);
    exit(1);
}

/* Of one core, however busy the machine is. */
static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 'f'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    uint64_t first = 1, seeds = 0;
    double seconds = 0;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'f')
            first = strtoull(optarg, NULL, 10);
        else if (o == 'n')
            seeds = strtoull(optarg, NULL, 10);
        else if (o == 's')
            seconds = strtod(optarg, NULL);
        else
            return 2;
    }
    if (seeds == 0 && seconds <= 0)
        seeds = 100;
    double start = now_s();
    struct chaos_result sum = {0};
    for (current = first; (seeds && current < first + seeds) || (!seeds && now_s() - start < seconds); current++) {
        struct chaos_result r = chaos_run(current, failed);
        sum.messages += r.messages;
        sum.datagrams += r.datagrams;
        sum.virtual_us += r.virtual_us;
        sum.hash ^= r.hash;
    }
    double took = now_s() - start;
    printf(
        "%llu seeds in %.1f s of a core: %.1f seeds/s, %.0f x real time; %llu messages, %llu datagrams; hash %016llx\n",
        (unsigned long long)(current - first), took, (double)(current - first) / took,
        (double)sum.virtual_us / 1e6 / took, (unsigned long long)sum.messages, (unsigned long long)sum.datagrams,
        (unsigned long long)sum.hash);
    return 0;
}
