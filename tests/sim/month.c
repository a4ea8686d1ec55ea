/* sim-month: so many days (30) of virtual time with one server and a room in which people come and go: does anything
 * grow? After each day it is counted what the server's tables hold, which sockets are open and what the whole program
 * has on its heap; the bounds are in check_day. The cores have no heap (scripts/lint.sh, purity): what they have is in
 * the tables.
 *   sim-month [--days N] [--seed N]
 * The judge keeps everything that was ever said, so it is not here: each message is numbered, and has to come once and
 * in order to whoever was there. */
#include <assert.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kinds.h"
#include "sim_client.h"
#include "sim_server.h"

enum { PEOPLE = 5, SOCKETS_MAX = 2 + PEERS_MAX + 4, GROWTH_KIB_MAX = 256 };
#define DAY_US  VTIME_S(24 * 3600)
#define STEP_US VTIME_S(600) /* something happens so often */

struct person {
    int host;
    struct sim_client *c; /* NULL: away */
    unsigned lives;
    uint64_t said, last[PEOPLE]; /* numbers: the newest of its own, the newest that was shown of each */
};

static struct {
    struct world *w;
    struct sim_server *server;
    struct dice d;
    struct person people[PEOPLE];
    uint64_t shown, lives;
    size_t heap_first;
} m;

static _Noreturn void fail(const char *why)
{
    trace_dump(&m.w->trace, stderr, 200);
    fprintf(stderr, "month, at %.1f h: %s\n", (double)m.w->now / 3.6e9, why);
    exit(1);
}

/* ---- messages ---- */

/* "who life number": of one life all numbers come in order and none twice. */
static void on_event(void *context, struct sim_client *c, const struct sim_event *event)
{
    struct person *p = context;
    unsigned who, life;
    unsigned long long number;
    (void)c;
    if (event->e.kind != EVENT_MESSAGE)
        return;
    if (sscanf(event->e.text, "%u %u %llu", &who, &life, &number) != 3 || who >= PEOPLE)
        fail("a text came that nobody said");
    if (number <= p->last[who])
        fail("a message came twice, or too late");
    p->last[who] = number;
    m.shown++;
}

static void on_broken(void *context, struct sim_client *c, const char *what)
{
    (void)context;
    (void)c;
    fail(what);
}

static void say(struct person *p)
{
    char text[200];
    unsigned who = (unsigned)(p - m.people);
    snprintf(text, sizeof text, "%u %u %llu %0*d", who, p->lives, (unsigned long long)++p->said,
             (int)dice_below(&m.d, 100) + 1, 0);
    if (engine_has_room(p->c->e, sizeof text))
        sim_client_say(p->c, text);
}

/* ---- people ---- */

static void come(struct person *p)
{
    char label[TRACE_NAME_MAX];
    snprintf(label, sizeof label, "p%d.%u", (int)(p - m.people), ++p->lives);
    struct sim_client_config config = {.keyword = "42-crab-lunar-toast", .name = label, .server_count = 1};
    const struct sim_client_watcher watcher = {.context = p, .on_event = on_event, .on_broken = on_broken};
    config.server[0] = addr_v4(198, 51, 100, 1, SIM_SERVER_PORT);
    memset(p->last, 0, sizeof p->last);
    p->c = sim_client_new(m.w, p->host, label, &config, &watcher);
    p->c->forgets = true;
    m.lives++;
}

static void go(struct person *p, bool killed)
{
    if (killed)
        sim_client_kill(p->c);
    else
        sim_client_quit(p->c);
    world_run_for(m.w, VTIME_S(2)); /* it says goodbye */
    sim_client_kill(p->c);
    sim_client_free(p->c);
    p->c = NULL;
}

static void happen(void)
{
    struct person *p = &m.people[dice_below(&m.d, PEOPLE)];
    uint64_t what = dice_below(&m.d, 100);
    int box = p->host - 1; /* homes are made so */
    if (!p->c)
        come(p);
    else if (what < 4)
        go(p, what < 2);
    else if (what == 4)
        world_rebind(m.w, box, NULL);
    else if (what == 5) {
        sim_server_kill(m.server);
        world_run_for(m.w, dice_below(&m.d, VTIME_S(100)));
        sim_server_start(m.server);
    } else if (what == 6) {
        world_sleep(m.w, p->host, true);
        world_run_for(m.w, dice_below(&m.d, VTIME_S(3 * 3600)));
        world_sleep(m.w, p->host, false);
        sim_client_woke(p->c);
    } else if (what == 7) {
        m.w->weather.loss_ppm = (uint32_t)dice_below(&m.d, 300000);
    } else if (what == 8) {
        m.w->weather.loss_ppm = 0;
    } else
        say(p);
}

/* ---- what may not grow ---- */

static unsigned sockets(void)
{
    unsigned n = 0;
    for (int i = 0; i < PEOPLE; i++)
        for (size_t k = 0; m.people[i].c && k < ENGINE_SOCKETS_MAX; k++)
            n += m.people[i].c->sockets[k] >= 0;
    return n;
}

static void check_day(unsigned day, double cpu_s)
{
    uint64_t registrations = sim_server_stat(m.server, "registrations"), links = sim_server_stat(m.server, "links");
    uint64_t introductions = sim_server_stat(m.server, "introductions");
    for (int i = 0; i < PEOPLE; i++) /* everybody there, so that days can be compared */
        if (!m.people[i].c)
            come(&m.people[i]);
    m.w->weather.loss_ppm = 0;
    world_run_for(m.w, VTIME_S(300));
    registrations = sim_server_stat(m.server, "registrations");
    links = sim_server_stat(m.server, "links");
    introductions = sim_server_stat(m.server, "introductions");
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    if (day == 1)
        m.heap_first = heap;
    printf("day %2u: %llu lives, %llu messages; registrations %llu, links %llu, introductions %llu, sockets %u, heap "
           "%zu KiB; %.1f s of a core, %.0f x real time\n",
           day, (unsigned long long)m.lives, (unsigned long long)m.shown, (unsigned long long)registrations,
           (unsigned long long)links, (unsigned long long)introductions, sockets(), heap / 1024, cpu_s,
           (double)m.w->now / 1e6 / cpu_s);
    fflush(stdout);
    if (registrations != PEOPLE || links > PEOPLE * (PEOPLE - 1) / 2 || introductions > 0)
        fail("something is left over in the server's tables");
    if (sockets() > PEOPLE * SOCKETS_MAX)
        fail("sockets stay open");
    if (heap > m.heap_first + GROWTH_KIB_MAX * 1024UL)
        fail("the heap grows");
}

static void build(uint64_t seed)
{
    static const char *const kinds[PEOPLE] = {"port-restricted", "linux", "cgn", "address-restricted", "shifting"};
    m.w = world_new(seed);
    m.d.state = ~seed;
    m.w->core_hops = 6;
    int host = world_add_host(m.w, INTERNET, 0, "server");
    const struct addr v4 = addr_v4(198, 51, 100, 1, 0), second = addr_v4(198, 51, 100, 2, 0);
    world_add_addr(m.w, host, &v4);
    world_add_addr(m.w, host, &second);
    m.server = sim_server_new(m.w, host, NULL);
    for (int i = 0; i < PEOPLE; i++) {
        const struct addr outside = addr_v4(203, 0, 113, (uint8_t)(1 + i), 0);
        const struct addr inside = addr_v4(192, 168, (uint8_t)i, 10, 0);
        int box = world_add_natbox(m.w, INTERNET, VTIME_MS(10 + 10 * (vtime_us)i), nat_kind_find(kinds[i])->config,
                                   &outside, &natbox_firewall);
        m.people[i].host = world_add_host(m.w, world_inside(m.w, box), 0, "host");
        world_add_addr(m.w, m.people[i].host, &inside);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"days", required_argument, NULL, 'd'}, {"seed", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    unsigned days = 30;
    uint64_t seed = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'd')
            days = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    build(seed);
    for (unsigned day = 1; day <= days; day++) {
        while (m.w->now < day * DAY_US) {
            happen();
            world_run_for(m.w, dice_below(&m.d, STEP_US));
        }
        check_day(day, (double)clock() / CLOCKS_PER_SEC);
    }
    return 0;
}
