/* How much memory and time the server's core takes for each who waits, at a number of people.
 * usage: registry PEOPLE     prints one JSON object
 *
 * The real core in this process, fed as a client would: Register from an address of one's own with a full stock of
 * shares, Registered, the echo, Registered. Each is in a room of his own (the last of a million share the first ones:
 * there are 999,999 numbers). The time is the core's alone, for both datagrams and both answers, of the last who came:
 * the tables are as full as is said. It is CPU time, with what the kernel does for fresh pages. */
#include "bench/bench.h"
#include "server/core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PEOPLE_MIN = 1000,
    PEOPLE_MAX = 1 << 24,
    TIMED_PART = 8, /* of the people: the last ones */
    TOGETHER = 8,   /* come at the same time: between two looks at the clock */
};

static struct codec codec;
static struct rng rng;
static uint64_t core_ns;

static struct person {
    struct addr from;
    struct frame question;
    uint8_t bytes[DATAGRAM_BYTES_MAX], answer[DATAGRAM_BYTES_MAX];
    size_t size, answer_size;
} people[TOGETHER];

static uint64_t resident_bytes(void)
{
    unsigned long long size, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu", &size, &resident) != 2)
        bench_fail("cannot read /proc/self/statm");
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Time does not pass: nobody is forgotten, and nobody's answer comes late. */
static const vtime_us now = VTIME_S(1000);

/* Registered comes first; somebody in a room that is not empty gets a PeerInfo as well. */
static void ask(struct server *s, struct person *p)
{
    static const struct addr local = {.family = ADDR_V4, .ip = {192, 0, 2, 1}};
    struct server_out out;
    p->answer_size = 0;
    server_input(s, now, 0, &local, &p->from, p->bytes, p->size);
    while (server_poll(s, now, &out))
        if (p->answer_size == 0) {
            p->answer_size = out.size;
            memcpy(p->answer, out.bytes, out.size);
        }
}

static void ask_all(struct server *s)
{
    for (int i = 0; i < TOGETHER; i++)
        people[i].size = codec_encode(&people[i].question, people[i].bytes, sizeof people[i].bytes);
    const uint64_t began = bench_cpu_ns(getpid());
    for (int i = 0; i < TOGETHER; i++)
        ask(s, &people[i]);
    core_ns += bench_cpu_ns(getpid()) - began;
}

static void first_question(struct person *p, uint32_t number)
{
    p->from = addr_v4(10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number, 40000);
    p->question = (struct frame){.kind = FRAME_REGISTER,
                                 .reg = {.token = number + 1,
                                         .form = FORM_ROOM,
                                         .room = number % ROOM_NUMBER_MAX + 1,
                                         .share_count = SHARES_MAX,
                                         .pad = true}};
    rng_bytes(&rng, p->question.reg.shares, sizeof p->question.reg.shares);
}

static void second_question(struct person *p)
{
    struct frame answer;
    struct frame_register *r = &p->question.reg;
    if (codec_decode(&codec, p->answer, p->answer_size, &answer) != DECODE_OK || answer.kind != FRAME_REGISTERED)
        bench_fail("the server's first answer is not Registered");
    r->pad = false;
    r->has_secret = true;
    memcpy(r->secret, answer.registered.secret, SECRET_BYTES);
    r->cookie_size = answer.registered.cookie_size;
    memcpy(r->cookie, answer.registered.cookie, COOKIE_BYTES_MAX);
}

static void come(struct server *s, uint32_t first_number)
{
    for (uint32_t i = 0; i < TOGETHER; i++)
        first_question(&people[i], first_number + i);
    ask_all(s);
    for (int i = 0; i < TOGETHER; i++)
        second_question(&people[i]);
    ask_all(s);
}

static uint64_t stat_named(const struct server *s, const char *name)
{
    struct server_stat stats[SERVER_STATS_MAX];
    size_t count = server_stats(s, stats);
    for (size_t i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i].value;
    bench_fail("the server counts no '%s'", name);
}

int main(int argc, char *argv[])
{
    if (argc != 2)
        bench_fail("usage: registry PEOPLE");
    uint32_t count = (uint32_t)bench_number("PEOPLE", argv[1], PEOPLE_MIN, PEOPLE_MAX);
    count -= count % TOGETHER;
    const uint32_t timed = count / TIMED_PART / TOGETHER * TOGETHER;
    const struct server_config config = {.registrations_max = count};
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    rng_init(&rng, seed);
    memset(people, 1, sizeof people); /* ours, not the server's */

    const uint64_t before = resident_bytes();
    struct server *s = calloc(1, server_size(&config));
    if (s == NULL)
        bench_fail("no memory for %u people", count);
    server_init(s, &config, seed, now);
    for (uint32_t i = 0; i < count; i += TOGETHER) {
        if (i == count - timed)
            core_ns = 0;
        come(s, i);
    }
    const uint64_t resident = resident_bytes() - before, there = stat_named(s, "registrations");
    if (there != count)
        bench_fail("%llu of %u people are registered", (unsigned long long)there, count);
    printf("{\"people\": %u, \"resident_bytes\": %llu, \"each_bytes\": %.1f, \"each_us\": %.3f}\n", count,
           (unsigned long long)resident, (double)resident / count, (double)core_ns / timed / 1e3);
    free(s);
    return 0;
}
