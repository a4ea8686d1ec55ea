/* Loads a relay that runs on another core, and measures what it does.
 * usage: relay_load KIND PORT PID FLOWS BYTES SECONDS [RATE]
 *   KIND   bare (forward), p2p (p2p-server), turn; at 127.0.0.1:PORT, process PID
 *   BYTES  of a datagram as it comes to the relay; RATE: datagrams a second
 *
 * Without RATE: as many as the relay takes, a fixed number being under way at any time, so that none is lost. With it:
 * so many, and on a flow of its own a probe in each millisecond or so, of which the way through the relay is timed.
 *
 * This program must never be what limits. It sends several datagrams of a flow in one call that the kernel cuts up
 * (UDP_SEGMENT), and does not fetch what arrives: a filter on the receiving socket lets the kernel count and drop it.
 * Nor does that wake anybody, as no receiver on another machine would be woken by the relay either. */
#include "bench/flow.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FLOWS_MAX = 1000,
    BURST = 8,                /* datagrams in one call */
    UNDER_WAY = 256 / BURST,  /* bursts at a time: a relay that takes 64 datagrams at once finds as many */
    STALL_NS = 250 * 1000000, /* nothing arrives: what is under way is lost, and the next is sent */
    PACED_BURST = 4,          /* or this program could not keep up with the batched forwarder */
    LATE_NS = 1000000,        /* what this program is late by more is not made up for: it would come at once */
    WARM_UP_NS = 50 * 1000000,
    PROBE_GAP_NS = 1000000, /* +- half of it */
    PROBES_MAX = 1 << 20,
};
#define PATIENCE_NS 5000000000U

struct load {
    struct flow *flows;
    uint32_t count;
    pid_t pid;
    uint64_t datagrams_sent;
    uint32_t next; /* flow to be sent to */
    /* Bursts under way, as numbers of flows, in the order in which they were sent and will arrive. */
    uint32_t under_way[UNDER_WAY];
    uint32_t oldest, bursts;
};

/* ---- one flow ---- */

static void count_and_drop(int fd)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &nothing};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        bench_fail("this kernel takes no socket filter: %s", strerror(errno));
}

static uint32_t dropped(int fd)
{
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t size = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0 || size < sizeof memory)
        bench_fail("this kernel does not tell what a socket has dropped (SO_MEMINFO): %s", strerror(errno));
    return memory[SK_MEMINFO_DROPS];
}

static void cut_up(const struct flow *f)
{
    const int size = (int)f->size;
    if (setsockopt(f->from, SOL_UDP, UDP_SEGMENT, &size, sizeof size) != 0)
        bench_fail("this kernel has no UDP_SEGMENT (Linux 4.18): %s", strerror(errno));
}

static void send_burst(struct flow *f, unsigned count)
{
    struct iovec parts[BURST];
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct iovec){.iov_base = f->datagram, .iov_len = f->size};
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    if (sendmsg(f->from, &message, 0) < 0 && errno != ECONNREFUSED)
        bench_fail("cannot send: %s", strerror(errno));
}

/* On a busy machine a relay may not have had its turn yet. */
static bool is_early(const struct bench_use *began)
{
    return bench_now_ns() - began->now_ns < PATIENCE_NS;
}

/* ---- as much as it takes ---- */

static void send_next(struct load *l)
{
    struct flow *f = &l->flows[l->next];
    send_burst(f, BURST);
    f->sent += BURST;
    l->datagrams_sent += BURST;
    l->under_way[(l->oldest + l->bursts++) % UNDER_WAY] = l->next;
    l->next = (l->next + 1) % l->count;
}

static bool oldest_has_arrived(struct load *l)
{
    struct flow *f = &l->flows[l->under_way[l->oldest]];
    uint32_t later = 0; /* bursts of the same flow */
    for (uint32_t i = 1; i < l->bursts && l->count < UNDER_WAY; i++)
        later += l->under_way[(l->oldest + i) % UNDER_WAY] == l->under_way[l->oldest];
    f->arrived = dropped(f->to);
    return (int32_t)(f->sent - f->arrived) <= (int32_t)(later * BURST);
}

static void forget_oldest(struct load *l)
{
    l->oldest = (l->oldest + 1) % UNDER_WAY;
    l->bursts--;
}

/* What is lost counts as arrived from now on; measure_full has its own count. */
static void give_up(struct load *l)
{
    for (; l->bursts > 0; forget_oldest(l)) {
        struct flow *f = &l->flows[l->under_way[l->oldest]];
        f->sent = f->arrived = dropped(f->to);
    }
}

static void run_full(struct load *l, uint64_t ns)
{
    uint64_t now = bench_now_ns(), progress = now;
    const uint64_t until = now + ns;
    for (; now < until; now = bench_now_ns()) {
        if (l->bursts < UNDER_WAY)
            send_next(l);
        if (oldest_has_arrived(l)) {
            forget_oldest(l);
            progress = now;
        } else if (now - progress > STALL_NS) {
            give_up(l);
            progress = now;
        }
    }
}

static uint64_t arrived(const struct load *l)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->count; i++)
        sum += dropped(l->flows[i].to);
    return sum;
}

/* Until all that is under way has arrived. */
static void fetch_rest(struct load *l)
{
    const uint64_t until = bench_now_ns() + STALL_NS;
    while (l->bursts > 0 && bench_now_ns() < until)
        if (oldest_has_arrived(l))
            forget_oldest(l);
    give_up(l);
}

static void measure_full(struct load *l, double seconds)
{
    for (uint32_t i = 0; i < l->count; i++) {
        count_and_drop(l->flows[i].to);
        cut_up(&l->flows[i]);
        l->flows[i].sent = dropped(l->flows[i].to);
    }
    run_full(l, WARM_UP_NS);
    fetch_rest(l);
    l->datagrams_sent = 0;
    const uint64_t before = arrived(l);
    const struct bench_use began = bench_use_of(l->pid);
    uint64_t in_time;
    do
        run_full(l, (uint64_t)(seconds * 1e9));
    while ((in_time = arrived(l) - before) == 0 && is_early(&began));
    const struct bench_use ended = bench_use_of(l->pid);
    fetch_rest(l);
    if (in_time == 0)
        bench_fail("nothing came through the relay");
    printf("{\"bytes\": %zu, \"datagrams\": %llu, \"lost\": %llu, ", l->flows[0].size, (unsigned long long)in_time,
           (unsigned long long)(before + l->datagrams_sent - arrived(l)));
    bench_use_print(&began, &ended);
    puts("}");
}

/* ---- so much, and how long it takes ---- */

static void send_probe(struct flow *f, uint64_t now)
{
    memcpy(f->datagram + f->size - sizeof now, &now, sizeof now);
    if (send(f->from, f->datagram, f->size, 0) < 0)
        bench_fail("cannot send a probe: %s", strerror(errno));
}

static bool fetch_probe(const struct flow *f, uint32_t *ret_ns)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    uint64_t then;
    ssize_t size = recv(f->to, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size < (ssize_t)sizeof then)
        return false;
    memcpy(&then, bytes + size - sizeof then, sizeof then);
    *ret_ns = (uint32_t)(bench_now_ns() - then);
    return true;
}

static size_t run_paced(struct load *l, uint64_t ns, double rate, uint32_t *ret_times)
{
    const uint64_t until = bench_now_ns() + ns, gap = (uint64_t)(PACED_BURST * 1e9 / rate);
    uint64_t now = bench_now_ns(), burst_at = now, probe_at = now;
    size_t times = 0;
    for (; now < until; now = bench_now_ns()) {
        if (now >= burst_at) {
            send_burst(&l->flows[l->next], PACED_BURST);
            l->datagrams_sent += PACED_BURST;
            l->next = l->next % (l->count - 1) + 1; /* 0 has the probes */
            burst_at = now - burst_at < LATE_NS ? burst_at + gap : now + gap;
        }
        if (now >= probe_at) {
            send_probe(&l->flows[0], now);
            probe_at = now + PROBE_GAP_NS / 2 + (uint64_t)rand() % PROBE_GAP_NS;
        }
        if (times < PROBES_MAX)
            times += fetch_probe(&l->flows[0], &ret_times[times]);
    }
    return times;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void measure_paced(struct load *l, double seconds, double rate)
{
    static uint32_t times[PROBES_MAX];
    for (uint32_t i = 1; i < l->count; i++) {
        count_and_drop(l->flows[i].to);
        cut_up(&l->flows[i]);
    }
    l->next = 1;
    run_paced(l, WARM_UP_NS, rate, times);
    l->datagrams_sent = 0;
    const struct bench_use began = bench_use_of(l->pid);
    size_t count;
    do
        count = run_paced(l, (uint64_t)(seconds * 1e9), rate, times);
    while (count == 0 && is_early(&began));
    const struct bench_use ended = bench_use_of(l->pid);
    if (count == 0)
        bench_fail("no probe came through the relay");
    qsort(times, count, sizeof times[0], by_size);
    printf("{\"bytes\": %zu, \"sent\": %llu, \"probes\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f, ", l->flows[0].size,
           (unsigned long long)l->datagrams_sent, count, times[count / 2] / 1e3, times[count * 99 / 100] / 1e3);
    bench_use_print(&began, &ended);
    puts("}");
}

/* ---- start ---- */

typedef void flow_open(struct flow *f, uint32_t number, uint16_t port, size_t size);

static flow_open *kind_named(const char *name)
{
    static const struct {
        const char *name;
        flow_open *open;
    } kinds[] = {{"bare", flow_open_bare}, {"p2p", flow_open_p2p}, {"turn", flow_open_turn}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].open;
    bench_fail("KIND: '%s' is none of bare, p2p, turn", name);
}

int main(int argc, char *argv[])
{
    if (argc != 7 && argc != 8)
        bench_fail("usage: relay_load KIND PORT PID FLOWS BYTES SECONDS [RATE]");
    const bool paced = argc == 8;
    flow_open *open = kind_named(argv[1]);
    const uint16_t port = (uint16_t)bench_number("PORT", argv[2], 1, 65535);
    const size_t size = bench_number("BYTES", argv[5], 100, DATAGRAM_BYTES_MAX);
    const double seconds = bench_seconds("SECONDS", argv[6]);
    struct load l = {.pid = (pid_t)bench_number("PID", argv[3], 1, INT32_MAX),
                     .count = (uint32_t)bench_number("FLOWS", argv[4], 1, FLOWS_MAX) + paced};
    l.flows = calloc(l.count, sizeof *l.flows);
    if (l.flows == NULL)
        bench_fail("no memory");
    for (uint32_t i = 0; i < l.count; i++)
        open(&l.flows[i], i, port, size);
    if (paced)
        measure_paced(&l, seconds, (double)bench_number("RATE", argv[7], 1, 100000000));
    else
        measure_full(&l, seconds);
    return 0;
}
