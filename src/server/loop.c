#include "server/loop.h"
#include "net/interfaces.h"
#include "net/udp.h"
#include "server/batch.h"
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    RECEIVE_BATCHES = 4, /* from one socket before the others get a turn */
    FLUSH_WAIT_MS = 10,  /* for a full send queue, while saying goodbye */
    SLEEP_MAX_S = 60,    /* the timer's clock stops while the machine sleeps, the core's does not */
};
#define FLUSH_MAX_US VTIME_S(3)

struct loop {
    const struct sockets *sockets;
    struct server *server;
    struct event_base *base;
    struct event *readable[SERVER_SOCKETS_MAX], *timer, *minute, *interrupt, *terminate;
    struct listener { /* what a socket's event needs to know */
        struct loop *loop;
        uint16_t socket;
    } listeners[SERVER_SOCKETS_MAX];
    struct batch_in *in;
    struct batch_out *out; /* one for each socket; what is never used is never touched */
    uint64_t receive_failed;
};

/* ---- out ---- */

static void flush(struct loop *l, size_t socket)
{
    batch_send(&l->out[socket], l->sockets->fds[socket]);
}

static void flush_all(struct loop *l)
{
    for (size_t i = 0; i < l->sockets->count; i++)
        flush(l, i);
}

/* What the core has to say goes into the batches. Copied, so that the core has its queue for itself. */
static void gather(struct loop *l, vtime_us now)
{
    for (struct server_out o; server_poll(l->server, now, &o);) {
        batch_put(&l->out[o.socket], &o.local, &o.to, o.bytes, o.size);
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

/* ---- in ---- */

/* One reading of the clock for a batch: its last datagram is not 1 ms older than its first, and what the core times
 * are seconds. Returns how many came. */
static int receive(struct loop *l, uint16_t socket)
{
    const int count = batch_receive(l->in, l->sockets->fds[socket]);
    const vtime_us now = net_now();
    if (count < 0)
        l->receive_failed++;
    for (int i = 0; i < count; i++) {
        struct batch_datagram d;
        batch_get(l->in, (size_t)i, &d);
        server_input(l->server, now, socket, &d.local, &d.from, d.bytes, d.size);
        gather(l, now);
    }
    flush_all(l);
    return count;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    const struct listener *listener = context;
    (void)fd, (void)what;
    for (int i = 0; i < RECEIVE_BATCHES && receive(listener->loop, listener->socket) == BATCH_MAX; i++)
        continue;
    set_timer(listener->loop);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct loop *l = context;
    (void)fd, (void)what;
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
    (void)fd, (void)what;
    if (!draw_entropy(entropy))
        return;
    server_command(l->server, net_now(), &(struct server_command){.kind = SERVER_COMMAND_ENTROPY, .entropy = entropy});
    explicit_bzero(entropy, sizeof entropy);
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
        batch_put(&l->out[o.socket], &o.local, &o.to, o.bytes, o.size);
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
    say_goodbye(l);
    event_base_loopbreak(l->base);
}

static void log_stats(const struct loop *l)
{
    struct server_stat stats[SERVER_STATS_MAX];
    struct log_field fields[3 + SERVER_STATS_MAX];
    const size_t count = server_stats(l->server, stats);
    size_t used = 0;
    uint64_t send_failed = 0, send_full = 0;
    for (size_t i = 0; i < l->sockets->count; i++) {
        send_failed += l->out[i].failed;
        send_full += l->out[i].full;
    }
    fields[used++] = LOG_NUMBER("send_failed", send_failed);
    fields[used++] = LOG_NUMBER("send_full", send_full);
    fields[used++] = LOG_NUMBER("receive_failed", l->receive_failed);
    for (size_t i = 0; i < count; i++)
        if (stats[i].value != 0)
            fields[used++] = LOG_NUMBER(stats[i].name, stats[i].value);
    log_fields(LOG_LEVEL_INFO, "stop", fields, used);
}

/* ---- start ---- */

static bool start_core(struct loop *l)
{
    struct server_config config = {.alternate_port = l->sockets->alternate_port, .socket_count = l->sockets->count};
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

static bool start_events(struct loop *l)
{
    static const struct timeval minute = {.tv_sec = 60};
    l->base = event_base_new();
    if (l->base == NULL)
        return false;
    for (size_t i = 0; i < l->sockets->count; i++) {
        l->listeners[i] = (struct listener){.loop = l, .socket = (uint16_t)i};
        l->readable[i] = event_new(l->base, l->sockets->fds[i], EV_READ | EV_PERSIST, on_readable, &l->listeners[i]);
        if (l->readable[i] == NULL || event_add(l->readable[i], NULL) != 0)
            return false;
    }
    l->timer = evtimer_new(l->base, on_timer, l);
    l->minute = event_new(l->base, -1, EV_PERSIST, on_minute, l);
    l->interrupt = evsignal_new(l->base, SIGINT, on_signal, l);
    l->terminate = evsignal_new(l->base, SIGTERM, on_signal, l);
    return l->timer != NULL && l->minute != NULL && l->interrupt != NULL && l->terminate != NULL &&
           event_add(l->minute, &minute) == 0 && event_add(l->interrupt, NULL) == 0 &&
           event_add(l->terminate, NULL) == 0;
}

static void free_event(struct event *e)
{
    if (e != NULL)
        event_free(e);
}

static void stop(struct loop *l)
{
    for (size_t i = 0; i < l->sockets->count; i++)
        free_event(l->readable[i]);
    free_event(l->timer);
    free_event(l->minute);
    free_event(l->interrupt);
    free_event(l->terminate);
    if (l->base != NULL)
        event_base_free(l->base);
    free(l->in);
    free(l->out);
    free(l->server);
}

int loop_run(const struct sockets *sockets, void (*ready)(const struct sockets *))
{
    struct loop l = {.sockets = sockets};
    bool started = start_core(&l) && start_batches(&l) && start_events(&l);
    if (started) {
        set_timer(&l);
        ready(sockets);
        event_base_dispatch(l.base);
        log_stats(&l);
    } else {
        log_event(LOG_LEVEL_ERROR, "start-failed", LOG_TEXT("reason", "no memory or no entropy"));
    }
    stop(&l);
    return started ? 0 : 1;
}
