#include "server/loop.h"
#include "net/interfaces.h"
#include "net/udp.h"
#include "server/batch.h"
#include "server/metrics_http.h"
#include "server/service.h"
#include "server/watch.h"
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    RECEIVE_BATCHES = 4,  /* from one socket before the others get a turn; */
    NEWCOMER_BATCHES = 1, /* from one of newcomers: in a flood of them those who are known have four fifths */
    FLUSH_WAIT_MS = 10,   /* for a full send queue, while saying goodbye */
    SLEEP_MAX_S = 60,     /* the timer's clock stops while the machine sleeps, the core's does not */
};
#define FLUSH_MAX_US VTIME_S(3)

struct loop {
    const struct sockets *sockets;
    struct server *server;
    struct event_base *base;
    struct event *readable[2 * SERVER_SOCKETS_MAX], *timer, *minute, *watchdog, *interrupt, *terminate;
    struct listener { /* what a socket's event needs to know */
        struct loop *loop;
        uint16_t socket;
        uint16_t batches;
    } listeners[2 * SERVER_SOCKETS_MAX]; /* the second half: newcomers */
    struct batch_in *in;
    struct batch_out *out; /* one for each socket; what is never used is never touched */
    struct metrics metrics;
    struct metrics_http *http;
    struct watch watch;
    vtime_us woken;   /* when the first event of this round was handled; 0: none yet */
    uint64_t arrived; /* datagrams in this round */
};

/* ---- out ---- */

static void flush(struct loop *l, size_t socket)
{
    struct batch_out *out = &l->out[socket];
    const uint64_t failed = out->failed;
    batch_send(out, l->sockets->fds[socket]);
    if (out->failed != failed)
        watch_failure(&l->watch, net_now(), out->failed_errno, &out->failed_to);
}

static void flush_all(struct loop *l)
{
    for (size_t i = 0; i < l->sockets->count; i++)
        flush(l, i);
}

/* A socket that is bound to one address sends from there as it is. */
static void put(struct loop *l, const struct server_out *o)
{
    static const struct addr of_the_socket;
    const bool one = l->sockets->only[o->socket].family != ADDR_NONE;
    batch_put(&l->out[o->socket], one ? &of_the_socket : &o->local, &o->to, o->bytes, o->size);
}

/* What the core has to say goes into the batches. Copied, so that the core has its queue for itself. */
static void gather(struct loop *l, vtime_us now)
{
    for (struct server_out o; server_poll(l->server, now, &o);) {
        put(l, &o);
        if (l->out[o.socket].count == BATCH_MAX)
            flush(l, o.socket);
    }
}

static void set_timer(struct loop *l)
{
    const vtime_us due = server_deadline(l->server), now = net_now();
    vtime_us wait = due <= now ? 0 : due - now;
    if (wait > VTIME_S(SLEEP_MAX_S))
        wait = VTIME_S(SLEEP_MAX_S);
    const struct timeval t = {.tv_sec = (time_t)(wait / VTIME_S(1)), .tv_usec = (suseconds_t)(wait % VTIME_S(1))};
    evtimer_add(l->timer, &t);
}

/* ---- what is counted ---- */

/* Everything, by name. */
static size_t collect(struct loop *l, struct server_stat ret[static METRICS_VALUES_MAX])
{
    l->metrics.send_failed = l->metrics.send_full = 0;
    for (size_t i = 0; i < l->sockets->count; i++) {
        l->metrics.send_failed += l->out[i].failed;
        l->metrics.send_full += l->out[i].full;
    }
    return metrics_values(&l->metrics, l->server, ret);
}

/* At the beginning of every event. */
static void wake(struct loop *l)
{
    if (l->woken == 0)
        l->woken = net_now();
}

static void end_round(struct loop *l)
{
    if (l->woken != 0)
        histogram_add(&l->metrics.busy_us, net_now() - l->woken);
    if (l->arrived != 0)
        histogram_add(&l->metrics.wakeup_datagrams, l->arrived);
    l->woken = l->arrived = 0;
}

/* ---- in ---- */

/* One reading of the clock for a batch: its last datagram is not 1 ms older than its first, and what the core times
 * are seconds. Returns how many came. */
static int receive(struct loop *l, int fd, uint16_t socket)
{
    const struct addr *only = &l->sockets->only[socket];
    const int count = batch_receive(l->in, fd);
    const vtime_us now = net_now();
    if (count < 0) {
        l->metrics.receive_failed++;
        watch_failure(&l->watch, now, -count, NULL);
    }
    l->arrived += count > 0 ? (uint64_t)count : 0;
    for (int i = 0; i < count; i++) {
        struct batch_datagram d;
        batch_get(l->in, (size_t)i, &d);
        server_input(l->server, now, socket, only->family != ADDR_NONE ? only : &d.local, &d.from, d.bytes, d.size);
        gather(l, now);
    }
    flush_all(l);
    return count;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    const struct listener *listener = context;
    struct loop *l = listener->loop;
    (void)what;
    wake(l);
    for (int i = 0; i < listener->batches && receive(l, fd, listener->socket) == BATCH_MAX; i++)
        continue;
    set_timer(l);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct loop *l = context;
    (void)fd, (void)what;
    wake(l);
    gather(l, net_now());
    flush_all(l);
    set_timer(l);
}

static bool draw_entropy(uint8_t ret[static RNG_SEED_BYTES])
{
    return getrandom(ret, RNG_SEED_BYTES, 0) == RNG_SEED_BYTES;
}

static void on_minute(evutil_socket_t fd, short what, void *context)
{
    struct loop *l = context;
    uint8_t entropy[RNG_SEED_BYTES];
    struct server_stat values[METRICS_VALUES_MAX];
    (void)fd, (void)what;
    wake(l);
    watch_minute(&l->watch, net_now(), values, collect(l, values));
    if (!draw_entropy(entropy))
        return;
    server_command(l->server, net_now(), &(struct server_command){.kind = SERVER_COMMAND_ENTROPY, .entropy = entropy});
    explicit_bzero(entropy, sizeof entropy);
}

static void on_watchdog(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    wake(context);
    service_say("WATCHDOG=1");
}

/* ---- the end ---- */

static void wait_until_sendable(int fd)
{
    poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, FLUSH_WAIT_MS);
}

/* A goodbye that is lost costs its client a minute, so a full queue is waited for, but not for long. */
static void say_goodbye(struct loop *l)
{
    const vtime_us until = net_now() + FLUSH_MAX_US;
    struct server_out o;
    server_command(l->server, net_now(), &(struct server_command){.kind = SERVER_COMMAND_SHUTDOWN});
    for (vtime_us now; (now = net_now()) < until && server_poll(l->server, now, &o);) {
        put(l, &o);
        if (l->out[o.socket].count == BATCH_MAX) {
            wait_until_sendable(l->sockets->fds[o.socket]);
            flush(l, o.socket);
        }
    }
    flush_all(l);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct loop *l = context;
    (void)number, (void)what;
    service_say("STOPPING=1");
    say_goodbye(l);
    event_base_loopbreak(l->base);
}

static void log_stop(struct loop *l)
{
    struct server_stat values[METRICS_VALUES_MAX];
    watch_stop(values, collect(l, values));
}

/* ---- start ---- */

static bool start_core(struct loop *l, struct server_config config)
{
    config.alternate_port = l->sockets->alternate_port;
    config.socket_count = l->sockets->count;
    memcpy(config.sockets, l->sockets->locals, sizeof config.sockets);
    config.address_count = interfaces_list(config.addresses, NULL, SERVER_ADDRESSES_MAX, false);
    uint8_t seed[RNG_SEED_BYTES];
    l->server = calloc(1, server_size(&config)); /* so large that these are fresh pages: untouched, they cost nothing */
    if (l->server == NULL || !draw_entropy(seed))
        return false;
    server_init(l->server, &config, seed, net_now());
    explicit_bzero(seed, sizeof seed);
    return true;
}

static bool start_batches(struct loop *l)
{
    l->in = calloc(1, sizeof *l->in);
    l->out = calloc(l->sockets->count, sizeof *l->out);
    if (l->in == NULL || l->out == NULL)
        return false;
    batch_in_init(l->in);
    for (size_t i = 0; i < l->sockets->count; i++)
        batch_out_init(&l->out[i]);
    return true;
}

static bool listen_to(struct loop *l, int fd, size_t socket, size_t slot, uint16_t batches)
{
    if (fd < 0)
        return true;
    l->listeners[slot] = (struct listener){.loop = l, .socket = (uint16_t)socket, .batches = batches};
    l->readable[slot] = event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, &l->listeners[slot]);
    return l->readable[slot] != NULL && event_add(l->readable[slot], NULL) == 0;
}

static bool start_events(struct loop *l)
{
    static const struct timeval minute = {.tv_sec = 60};
    l->base = event_base_new();
    if (l->base == NULL)
        return false;
    for (size_t i = 0; i < l->sockets->count; i++)
        if (!listen_to(l, l->sockets->fds[i], i, i, RECEIVE_BATCHES) ||
            !listen_to(l, l->sockets->newcomers[i], i, SERVER_SOCKETS_MAX + i, NEWCOMER_BATCHES))
            return false;
    l->timer = evtimer_new(l->base, on_timer, l);
    l->minute = event_new(l->base, -1, EV_PERSIST, on_minute, l);
    l->interrupt = evsignal_new(l->base, SIGINT, on_signal, l);
    l->terminate = evsignal_new(l->base, SIGTERM, on_signal, l);
    return l->timer != NULL && l->minute != NULL && l->interrupt != NULL && l->terminate != NULL &&
           event_add(l->minute, &minute) == 0 && event_add(l->interrupt, NULL) == 0 &&
           event_add(l->terminate, NULL) == 0;
}

/* Twice as often as is asked for. */
static bool start_watchdog(struct loop *l)
{
    const uint64_t each_us = service_watchdog_us() / 2;
    const struct timeval each = {.tv_sec = (time_t)(each_us / VTIME_S(1)),
                                 .tv_usec = (suseconds_t)(each_us % VTIME_S(1))};
    if (each_us == 0)
        return true;
    l->watchdog = event_new(l->base, -1, EV_PERSIST, on_watchdog, l);
    return l->watchdog != NULL && event_add(l->watchdog, &each) == 0;
}

static void wake_from_http(void *context)
{
    wake(context);
}

static size_t write_metrics(void *context, char *ret, size_t cap)
{
    struct loop *l = context;
    struct server_stat values[METRICS_VALUES_MAX];
    const size_t count = collect(l, values);
    return metrics_text(&l->metrics, values, count, ret, cap);
}

static bool start_metrics(struct loop *l, int listening)
{
    if (listening < 0)
        return true;
    l->http =
        metrics_http_start(l->base, listening,
                           &(struct metrics_http_caller){.context = l, .woken = wake_from_http, .text = write_metrics});
    return l->http != NULL;
}

static void free_event(struct event *e)
{
    if (e != NULL)
        event_free(e);
}

static void stop(struct loop *l)
{
    for (size_t i = 0; i < 2 * SERVER_SOCKETS_MAX; i++)
        free_event(l->readable[i]);
    free_event(l->timer);
    free_event(l->minute);
    free_event(l->watchdog);
    free_event(l->interrupt);
    free_event(l->terminate);
    metrics_http_stop(l->http);
    if (l->base != NULL)
        event_base_free(l->base);
    free(l->in);
    free(l->out);
    free(l->server);
}

int loop_run(const struct sockets *sockets, int metrics, const struct options *options, loop_ready *ready)
{
    struct loop l = {.sockets = sockets};
    metrics_init(&l.metrics);
    bool running = start_core(&l, options->core) && start_batches(&l) && start_events(&l) && start_watchdog(&l) &&
                   start_metrics(&l, metrics);
    if (!running)
        log_event(LOG_LEVEL_ERROR, "start-failed",
                  LOG_TEXT("reason", "no memory for so many clients (--max-clients), or no entropy"));
    running = running && ready(sockets, options);
    if (running) {
        set_timer(&l);
        while (!event_base_got_break(l.base) && event_base_loop(l.base, EVLOOP_ONCE) == 0)
            end_round(&l);
        log_stop(&l);
    }
    stop(&l);
    return running ? 0 : 1;
}
