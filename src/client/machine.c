#include "client/machine.h"
#include "net/host.h"
#include "net/udp.h"
#include "wire/rng.h"
#include <event2/event.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    TICK_S = 30,        /* interfaces; every second time fresh entropy */
    SLEEP_US = 5000000, /* the clocks moved apart by more: the machine slept */
};

static void tell_interfaces(struct machine *m)
{
    struct engine_command changed;
    bool loopback = false;
    for (size_t i = 0; i < m->resolver.addr_count; i++)
        loopback |= addr_is_loopback(&m->resolver.addrs[i]);
    if (tell_interfaces_changed(&m->told_interfaces, loopback, &changed))
        client_command(m->client, &changed);
}

static void tell_entropy(struct machine *m)
{
    uint8_t entropy[RNG_SEED_BYTES];
    if (getrandom(entropy, sizeof entropy, 0) != sizeof entropy)
        return;
    client_command(m->client, &(struct engine_command){.kind = COMMAND_ENTROPY, .entropy = entropy});
    explicit_bzero(entropy, sizeof entropy);
}

/* Once, not at every try. */
static void tell_unknown(struct machine *m)
{
    const char *error = m->resolver.error;
    if (*error == '\0' || m->told_unknown)
        return;
    m->told_unknown = true;
    client_command(m->client, &(struct engine_command){.kind = COMMAND_SERVER_UNKNOWN,
                                                       .text = (const uint8_t *)error,
                                                       .text_size = strlen(error)});
}

static void tell_server(struct machine *m)
{
    const struct resolver *r = &m->resolver;
    if (r->addr_count == 0) {
        tell_unknown(m);
        return;
    }
    tell_interfaces(m); /* whether loopback belongs to them depends on the server */
    if (addrs_equal(r->addrs, r->addr_count, m->told_server, m->told_server_count))
        return;
    memcpy(m->told_server, r->addrs, sizeof m->told_server);
    m->told_server_count = r->addr_count;
    client_command(m->client, &(struct engine_command){
                                  .kind = COMMAND_SERVER_ADDRS, .addrs = r->addrs, .addr_count = r->addr_count});
}

static void on_resolved(void *data)
{
    struct machine *m = data;
    tell_server(m);
    client_turn(m->client);
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
    struct machine *m = data;
    (void)fd;
    (void)what;
    tell_interfaces(m);
    if (++m->ticks % 2 == 0)
        tell_entropy(m);
    client_turn(m->client);
}

static vtime_us time_asleep(void)
{
    struct timespec awake;
    clock_gettime(CLOCK_MONOTONIC, &awake);
    vtime_us monotonic = VTIME_S(awake.tv_sec) + (vtime_us)awake.tv_nsec / 1000, boot = net_now();
    return boot > monotonic ? boot - monotonic : 0;
}

void machine_notice_sleep(struct machine *m)
{
    vtime_us slept = time_asleep();
    bool woke = slept > m->slept + SLEEP_US;
    m->slept = slept;
    if (!woke)
        return;
    tell_entropy(m);
    tell_interfaces(m);
    resolver_hurry(&m->resolver);
}

void machine_lost_server(struct machine *m)
{
    resolver_hurry(&m->resolver);
}

void machine_open(struct machine *m, struct client *c)
{
    struct timeval tick = {.tv_sec = TICK_S};
    m->client = c;
    m->slept = time_asleep();
    m->tick = event_new(client_base(c), -1, EV_PERSIST, on_tick, m);
    event_add(m->tick, &tick);
    resolver_open(&m->resolver, &client_options(c)->server, client_base(c), on_resolved, m);
    tell_interfaces(m);
    tell_server(m);
}

void machine_close(struct machine *m)
{
    resolver_close(&m->resolver);
    event_free(m->tick);
}
