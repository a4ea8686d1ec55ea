#include "loop/loop.h"
#include "loop/tell.h"
#include "net/host.h"
#include "net/udp.h"
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    TICK_S = 30, /* interfaces; every second time fresh entropy, as the client does it */
};

struct run {
    struct engine *engine;
    struct engine_loop *loop;
    int fds[ENGINE_SOCKETS_MAX]; /* -1: closed */
    vtime_us tick;               /* when the next one is due */
    vtime_us entropy;            /* when it was last told */
    bool wants_server;           /* its name is to be resolved (again) */
    bool told_unknown;
    struct addr servers[ENGINE_SERVER_ADDRS_MAX]; /* as told */
    size_t server_count;
    struct told_interfaces interfaces;
    bool server_is_loopback;
    char name[NAME_BYTES_MAX + 16], text[TEXT_BYTES_MAX + 1]; /* of the event that is being told */
    bool ended;
    int status;
};

/* ---- what the machine tells ---- */

/* How many addresses the server has. */
static size_t find_server(struct run *r, struct addr ret[static ENGINE_SERVER_ADDRS_MAX],
                          char ret_why[static HOST_ERROR_MAX])
{
    struct host_port server;
    if (!host_port_parse(&server, r->loop->server, ret_why))
        return 0;
    if (server.numeric.family == ADDR_NONE)
        return host_resolve(server.host, server.port, ret, ENGINE_SERVER_ADDRS_MAX, ret_why);
    *ret = server.numeric;
    return 1;
}

static void tell_server(struct run *r)
{
    struct addr addrs[ENGINE_SERVER_ADDRS_MAX];
    char why[HOST_ERROR_MAX] = "";
    size_t count = find_server(r, addrs, why);
    struct engine_command known = {.kind = COMMAND_SERVER_ADDRS, .addrs = addrs, .addr_count = count};
    struct engine_command unknown = {
        .kind = COMMAND_SERVER_UNKNOWN, .text = (const uint8_t *)why, .text_size = strlen(why)};
    r->wants_server = count == 0;
    if (count == 0 && (r->told_unknown || r->server_count > 0)) /* what was known may still be right */
        return;
    if (count > 0 && addrs_equal(addrs, count, r->servers, r->server_count))
        return;
    r->told_unknown = count == 0;
    memcpy(r->servers, addrs, count * sizeof *addrs);
    r->server_count = count;
    for (size_t i = 0; i < count; i++)
        r->server_is_loopback |= addr_is_loopback(&addrs[i]);
    engine_command(r->engine, net_now(), count > 0 ? &known : &unknown);
}

static void tell_interfaces(struct run *r)
{
    struct engine_command changed;
    if (tell_interfaces_changed(&r->interfaces, r->server_is_loopback, &changed))
        engine_command(r->engine, net_now(), &changed);
}

static void tell_entropy(struct run *r)
{
    uint8_t entropy[RNG_SEED_BYTES];
    if (getrandom(entropy, sizeof entropy, 0) != sizeof entropy)
        return;
    engine_command(r->engine, net_now(), &(struct engine_command){.kind = COMMAND_ENTROPY, .entropy = entropy});
    explicit_bzero(entropy, sizeof entropy);
    r->entropy = net_now();
}

static void tick(struct run *r)
{
    r->tick = net_now() + VTIME_S(TICK_S);
    if (r->wants_server)
        tell_server(r);
    tell_interfaces(r);
    if (net_now() >= r->entropy + VTIME_S(2 * TICK_S)) /* a sleep counts */
        tell_entropy(r);
}

/* ---- what the engine wants ---- */

static void open_socket(struct run *r, const struct engine_out *out)
{
    struct addr any = {.family = out->family}, local = {0};
    int fd = udp_open(&any, &local);
    if (fd >= 0)
        r->fds[out->socket] = fd;
    tell_opened(r->engine, out->socket, fd < 0 ? -fd : 0, &local);
}

static void close_socket(struct run *r, uint16_t socket)
{
    if (r->fds[socket] >= 0)
        close(r->fds[socket]);
    r->fds[socket] = -1;
}

static void send_datagram(struct run *r, const struct engine_out *out)
{
    tell_sent(r->engine, out, -udp_send(r->fds[out->socket], NULL, &out->to, out->ttl, out->bytes, out->size));
}

/* A copy goes out, for whoever is told may call the engine. */
static void tell_event(struct run *r, const struct engine_event *from)
{
    struct engine_event event = *from;
    if (event.name != NULL)
        snprintf(r->name, sizeof r->name, "%s", event.name);
    if (event.text != NULL) {
        memcpy(r->text, event.text, event.text_size);
        r->text[event.text_size] = '\0';
    }
    event.name = event.name == NULL ? NULL : r->name;
    event.text = event.text == NULL ? NULL : r->text;
    if (event.kind == EVENT_SERVER_LOST) /* it may be somewhere else by now */
        r->wants_server = true;
    if (event.kind == EVENT_END) {
        r->ended = true;
        r->status = event.status;
    }
    r->loop->event(r->engine, net_now(), &event, r->loop->data);
    struct engine_command written = {.kind = COMMAND_WRITTEN, .peer = event.peer, .number = event.number};
    if (event.kind == EVENT_MESSAGE)
        engine_command(r->engine, net_now(), &written);
}

static void pump(struct run *r)
{
    struct engine_out out;
    while (!r->ended && engine_poll(r->engine, net_now(), &out)) {
        if (out.kind == OUT_SEND)
            send_datagram(r, &out);
        else if (out.kind == OUT_OPEN)
            open_socket(r, &out);
        else if (out.kind == OUT_CLOSE)
            close_socket(r, out.socket);
        else
            tell_event(r, &out.event);
    }
}

/* ---- a turn ---- */

static void receive(struct run *r, uint16_t socket)
{
    uint8_t datagram[DATAGRAM_BYTES_MAX + 1]; /* a longer one is none of ours: the engine drops it */
    struct addr from, local;
    int size = udp_receive(r->fds[socket], datagram, sizeof datagram, &from, &local);
    if (size < 0)
        return;
    size_t got = (size_t)size < sizeof datagram ? (size_t)size : sizeof datagram;
    engine_input(r->engine, net_now(), socket, &local, &from, datagram, got);
    pump(r);
}

/* The open ones only: poll(2) refuses more places than the process may have descriptors. ret_sockets[i] is the number
 * of ret[i]; the caller's descriptor comes last. */
static nfds_t list(const struct run *r, struct pollfd ret[static ENGINE_SOCKETS_MAX + 1],
                   uint16_t ret_sockets[static ENGINE_SOCKETS_MAX + 1])
{
    nfds_t count = 0;
    for (uint16_t i = 0; i < ENGINE_SOCKETS_MAX; i++) {
        if (r->fds[i] < 0)
            continue;
        ret_sockets[count] = i;
        ret[count++] = (struct pollfd){.fd = r->fds[i], .events = POLLIN};
    }
    if (r->loop->readable != NULL)
        ret[count++] = (struct pollfd){.fd = r->loop->fd, .events = POLLIN};
    return count;
}

static struct timespec time_to_wait(const struct run *r)
{
    vtime_us now = net_now(), due = engine_deadline(r->engine), wait = VTIME_MS(1); /* if it is over: do not spin */
    due = due < r->tick ? due : r->tick;
    if (due > now + wait)
        wait = due - now;
    return (struct timespec){.tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000) * 1000};
}

static void turn(struct run *r)
{
    struct pollfd fds[ENGINE_SOCKETS_MAX + 1];
    uint16_t sockets[ENGINE_SOCKETS_MAX + 1];
    nfds_t count = list(r, fds, sockets);
    bool is_watching = r->loop->readable != NULL;
    struct timespec timeout = time_to_wait(r);
    if (ppoll(fds, count, &timeout, NULL) > 0) { /* EINTR: a signal that the caller handles */
        for (nfds_t i = 0; i < count - is_watching && !r->ended; i++)
            if (fds[i].revents != 0 && r->fds[sockets[i]] == fds[i].fd)
                receive(r, sockets[i]);
        if (is_watching && fds[count - 1].revents != 0 && !r->ended && r->loop->readable != NULL)
            r->loop->readable(r->engine, net_now(), r->loop->data);
    }
    if (net_now() >= r->tick)
        tick(r);
}

static void run(struct run *r)
{
    tell_server(r);
    tick(r);
    for (pump(r); !r->ended; pump(r))
        turn(r);
}

int engine_run(const struct engine_config *config, struct engine_loop *loop)
{
    uint8_t seed[RNG_SEED_BYTES];
    struct run *r = calloc(1, sizeof *r);
    struct engine *e = calloc(1, engine_size());
    int status = r == NULL || e == NULL ? -ENOMEM : 0;
    if (sodium_init() < 0 || getrandom(seed, sizeof seed, 0) != sizeof seed)
        status = -EIO;
    if (status == 0) {
        *r = (struct run){.engine = e, .loop = loop, .entropy = net_now()};
        for (size_t i = 0; i < ENGINE_SOCKETS_MAX; i++)
            r->fds[i] = -1;
        engine_init(e, config, seed, net_now());
        run(r);
        for (uint16_t i = 0; i < ENGINE_SOCKETS_MAX; i++)
            close_socket(r, i);
        status = r->status;
        explicit_bzero(e, engine_size()); /* what was said is still in there */
        explicit_bzero(r, sizeof *r);
    }
    explicit_bzero(seed, sizeof seed);
    free(e);
    free(r);
    return status;
}
