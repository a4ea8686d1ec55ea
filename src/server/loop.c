#include "server/loop.h"
#include "net/interfaces.h"
#include "net/udp.h"
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    RECEIVE_BATCH = 256, /* datagrams from one socket before the others get a turn */
    FLUSH_BATCH = 32,
    FLUSH_WAIT_MS = 10, /* for a full send queue, while saying goodbye */
    SLEEP_MAX_S = 60,   /* the timer's clock stops while the machine sleeps, the core's does not */
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
    uint64_t send_failed, receive_failed;
};

/* ---- out ---- */

static bool send_next(struct loop *l)
{
    struct server_out out;
    if (!server_poll(l->server, net_now(), &out))
        return false;
    if (udp_send(l->sockets->fds[out.socket], &out.local, &out.to, 0, out.bytes, out.size) != 0)
        l->send_failed++; /* weather: no route, not permitted */
    return true;
}

static void send_all(struct loop *l)
{
    while (send_next(l))
        continue;
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

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    const struct listener *listener = context;
    struct loop *l = listener->loop;
    uint8_t datagram[DATAGRAM_BYTES_MAX + 1]; /* one more: a size that the core refuses */
    (void)what;
    for (int i = 0; i < RECEIVE_BATCH; i++) {
        struct addr from, local;
        int size = udp_receive(fd, datagram, DATAGRAM_BYTES_MAX, &from, &local);
        if (size < 0) {
            l->receive_failed += size != -EAGAIN;
            break;
        }
        server_input(l->server, net_now(), listener->socket, &local, &from, datagram, (size_t)size);
        send_all(l);
    }
    set_timer(l);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    send_all(context);
    set_timer(context);
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

static bool can_send(const struct loop *l)
{
    struct pollfd fds[SERVER_SOCKETS_MAX];
    for (size_t i = 0; i < l->sockets->count; i++)
        fds[i] = (struct pollfd){.fd = l->sockets->fds[i], .events = POLLOUT};
    return poll(fds, l->sockets->count, FLUSH_WAIT_MS) > 0;
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct loop *l = context;
    const vtime_us until = net_now() + FLUSH_MAX_US;
    (void)number, (void)what;
    server_command(l->server, net_now(), &(struct server_command){.kind = SERVER_COMMAND_SHUTDOWN});
    for (int i = 1; net_now() < until && send_next(l); i++)
        if (i % FLUSH_BATCH == 0)
            can_send(l);
    event_base_loopbreak(l->base);
}

static void log_stats(const struct loop *l)
{
    struct server_stat stats[SERVER_STATS_MAX];
    struct log_field fields[2 + SERVER_STATS_MAX];
    const size_t count = server_stats(l->server, stats);
    size_t used = 0;
    fields[used++] = LOG_NUMBER("send_failed", l->send_failed);
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
    free(l->server);
}

int loop_run(const struct sockets *sockets, void (*ready)(const struct sockets *))
{
    struct loop l = {.sockets = sockets};
    bool started = start_core(&l) && start_events(&l);
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
