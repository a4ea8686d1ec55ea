/* sim-run: worlds by the number (docs/simulator.md). A failure prints the end of the trace and the command that
 * repeats it.
 *   sim-run [--story swarm|chaos] [--seed N] [--seeds N] [--seconds S] [--jobs J] [--keep-going] [--trace] [--each]
 *     from seed N (1) on; so many (100), or for so long, in J processes (1); --keep-going: to the end, whatever fails;
 *     --trace: every line of it; --each: a line for every seed. Of chaos, seeds from 1000000 on have hard NATs. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"
#include "swarm.h"

enum { JOBS_MAX = 64 };
#define PROGRESS_S 5.0

struct report { /* of one seed, from a worker through a pipe: less than PIPE_BUF, so it comes whole */
    uint64_t seed;
    double cpu_s; /* of the worker's core */
    struct swarm_result r;
};

struct total {
    uint64_t seeds, failed;
    double cpu_s;
    struct swarm_result r;
};

static struct {
    bool is_chaos, keeps_going, each;
    uint64_t first, seeds; /* seeds 0: by time */
    double seconds;
    unsigned jobs;
} o = {.first = 1, .jobs = 1};

static uint64_t current; /* a worker's */

static double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a worker ---- */

static _Noreturn void failed(const char *why)
{
    (void)why;
    fprintf(stderr, "again: make sim%s SEED=%llu SEEDS=1 TRACE=1\n", o.is_chaos ? " STORY=chaos" : "",
            (unsigned long long)current);
    exit(1);
}

static struct swarm_result run(uint64_t seed)
{
    if (!o.is_chaos)
        return swarm_run(seed, failed);
    struct chaos_result r = chaos_run(seed, failed);
    return (struct swarm_result){
        .hash = r.hash, .messages = r.messages, .datagrams = r.datagrams, .virtual_us = r.virtual_us};
}

static bool is_over(uint64_t seed, double start)
{
    return o.seeds ? seed >= o.first + o.seeds : clock_s(CLOCK_MONOTONIC) - start >= o.seconds;
}

static void work(uint64_t from, double start, int to)
{
    for (current = from; !is_over(current, start); current += o.jobs) {
        struct report report = {.seed = current};
        double before = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        report.r = run(current);
        report.cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - before;
        if (write(to, &report, sizeof report) != (ssize_t)sizeof report)
            exit(2);
    }
    exit(0);
}

/* ---- all of them ---- */

static struct worker {
    pid_t pid; /* 0: done */
    uint64_t next;
} workers[JOBS_MAX];

static void start(struct worker *w, double began, int to)
{
    fflush(stdout);
    w->pid = fork();
    if (w->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* whoever stops us stops them */
        work(w->next, began, to);
    }
}

static void add(struct total *t, const struct report *report)
{
    const struct swarm_result *r = &report->r;
    t->seeds++;
    t->cpu_s += report->cpu_s;
    t->r.messages += r->messages;
    t->r.datagrams += r->datagrams;
    t->r.virtual_us += r->virtual_us;
    t->r.excused += r->excused;
    t->r.hash ^= r->hash; /* whoever comes first */
    for (int i = 0; i < SWARM_HOPES; i++) {
        t->r.pairs[i] += r->pairs[i];
        t->r.direct[i] += r->direct[i];
    }
    if (o.each)
        printf("seed %llu hash %016llx %.3f s\n", (unsigned long long)report->seed, (unsigned long long)r->hash,
               report->cpu_s);
}

static void print_rate(const struct total *t, FILE *to)
{
    double cpu_s = t->cpu_s > 0 ? t->cpu_s : 1e-9;
    fprintf(to, "%llu seeds, %llu failed, %.1f s of a core: %.1f seeds/s, %.0f x real time",
            (unsigned long long)t->seeds, (unsigned long long)t->failed, t->cpu_s, (double)t->seeds / cpu_s,
            (double)t->r.virtual_us / 1e6 / cpu_s);
}

static void print_total(const struct total *t)
{
    print_rate(t, stdout);
    printf("; %llu messages, %llu datagrams; hash %016llx\n", (unsigned long long)t->r.messages,
           (unsigned long long)t->r.datagrams, (unsigned long long)t->r.hash);
    if (o.is_chaos)
        return;
    printf("pairs that ended directly connected:");
    for (int i = 0; i < SWARM_HOPES; i++)
        printf("%s %s %u of %u", i ? "," : "", nat_hope_name((enum hope)i), t->r.direct[i], t->r.pairs[i]);
    printf("; without a share, and so not connected: %u\n", t->r.excused);
}

/* A worker has ended. False: badly, and that is the end of it all. */
static bool reap(struct total *t, double began, int to)
{
    int status;
    pid_t pid = wait(&status);
    for (unsigned i = 0; i < o.jobs; i++) {
        struct worker *w = &workers[i];
        if (w->pid != pid)
            continue;
        w->pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return true;
        t->failed++;
        if (WIFSIGNALED(status))
            printf("crashed; again: make sim%s SEED=%llu SEEDS=1 TRACE=1\n", o.is_chaos ? " STORY=chaos" : "",
                   (unsigned long long)w->next);
        else
            printf("failed: seed %llu\n", (unsigned long long)w->next);
        w->next += o.jobs;
        if (o.keeps_going && !is_over(w->next, began))
            start(w, began, to);
        return o.keeps_going;
    }
    return true;
}

static unsigned running(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o.jobs; i++)
        n += workers[i].pid != 0;
    return n;
}

static void stop_all(void)
{
    for (unsigned i = 0; i < o.jobs; i++)
        if (workers[i].pid)
            kill(workers[i].pid, SIGTERM);
}

static void take_reports(struct total *t, int from)
{
    struct report report;
    while (read(from, &report, sizeof report) == (ssize_t)sizeof report) {
        workers[(report.seed - o.first) % o.jobs].next = report.seed + o.jobs;
        add(t, &report);
    }
}

static bool run_all(struct total *t)
{
    int ends[2];
    double began = clock_s(CLOCK_MONOTONIC), shown = began;
    bool ok = true;
    if (pipe2(ends, O_NONBLOCK) < 0) {
        perror("pipe");
        return false;
    }
    /* Workers wait when the pipe is full; we do not when it is empty. */
    fcntl(ends[1], F_SETFL, 0);
    for (unsigned i = 0; i < o.jobs; i++) {
        workers[i].next = o.first + i;
        start(&workers[i], began, ends[1]);
    }
    while (ok && running() > 0) {
        siginfo_t info = {0};
        struct pollfd wait = {.fd = ends[0], .events = POLLIN};
        poll(&wait, 1, 100);
        take_reports(t, ends[0]);
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
            take_reports(t, ends[0]); /* what it said before it ended */
            ok = reap(t, began, ends[1]);
        }
        if (clock_s(CLOCK_MONOTONIC) - shown >= PROGRESS_S) {
            shown = clock_s(CLOCK_MONOTONIC);
            print_rate(t, stderr);
            fputc('\n', stderr);
        }
    }
    stop_all();
    return ok && t->failed == 0;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 'f'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"story", required_argument, NULL, 'y'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"keep-going", no_argument, NULL, 'k'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"each", no_argument, NULL, 'e'},
                                            {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'f')
            o.first = strtoull(optarg, NULL, 10);
        else if (c == 'n')
            o.seeds = strtoull(optarg, NULL, 10);
        else if (c == 's')
            o.seconds = strtod(optarg, NULL);
        else if (c == 'j')
            o.jobs = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'y')
            o.is_chaos = strcmp(optarg, "chaos") == 0;
        else if (c == 'k')
            o.keeps_going = true;
        else if (c == 'e')
            o.each = true;
        else if (c == 't')
            setenv("SIM_TRACE", "1", 1);
        else
            return false;
    }
    if (o.seeds == 0 && o.seconds <= 0)
        o.seeds = 100;
    return optind == argc && o.jobs >= 1 && o.jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
    struct total total = {0};
    if (!parse(argc, argv))
        return 2;
    bool ok = run_all(&total);
    print_total(&total);
    return ok ? 0 : 1;
}
