#include "sim_server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ENTROPY_US VTIME_S(60)

static void pump(struct sim_server *s, vtime_us now)
{
    struct server_out out;
    while (server_poll(s->core, now, &out)) {
        assert(out.socket < 4 && s->sockets[out.socket] >= 0);
        world_send(s->w, s->sockets[out.socket], &out.local, &out.to, 0, out.bytes, out.size);
    }
    assert(server_deadline(s->core) > now); /* else the shell's loop would spin */
}

static void on_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                     const uint8_t *at, size_t size)
{
    struct sim_server *s = self;
    uint16_t i = 0;
    while (s->sockets[i] != socket)
        i++;
    server_input(s->core, now, i, local, from, at, size);
    pump(s, now);
}

static void on_wake(void *self, vtime_us now)
{
    struct sim_server *s = self;
    if (now >= s->entropy_at) {
        uint8_t entropy[RNG_SEED_BYTES];
        dice_bytes(&s->dice, entropy, sizeof entropy);
        server_command(s->core, now, &(struct server_command){.kind = SERVER_COMMAND_ENTROPY, .entropy = entropy});
        s->entropy_at = now + ENTROPY_US;
    }
    pump(s, now);
}

static vtime_us on_deadline(void *self)
{
    const struct sim_server *s = self;
    return vtime_min(s->entropy_at, server_deadline(s->core));
}

static const struct actor_calls calls = {on_input, on_wake, on_deadline};

static const struct addr sockets[4] = {{.family = ADDR_V4, .port = SIM_SERVER_PORT},
                                       {.family = ADDR_V4, .port = SIM_SERVER_ALTERNATE_PORT},
                                       {.family = ADDR_V6, .port = SIM_SERVER_PORT},
                                       {.family = ADDR_V6, .port = SIM_SERVER_ALTERNATE_PORT}};

/* From where it can answer a Probe. */
static void tell_addresses(struct sim_server *s)
{
    memcpy(s->config.sockets, sockets, sizeof sockets);
    s->config.socket_count = sizeof sockets / sizeof *sockets;
    s->config.address_count = 0;
    for (const struct addr *a; (a = world_addr(s->w, s->host, s->config.address_count)) != NULL;)
        s->config.addresses[s->config.address_count++] = *a;
}

void sim_server_start(struct sim_server *s)
{
    assert(s->actor < 0);
    uint8_t seed[RNG_SEED_BYTES];
    dice_bytes(&s->dice, seed, sizeof seed);
    vtime_us now = world_host_now(s->w, s->host);
    tell_addresses(s);
    free(s->core); /* a hostile server's: it has no actor of its own */
    s->core = calloc(1, server_size(&s->config));
    assert(s->core);
    server_init(s->core, &s->config, seed, now);
    s->entropy_at = now + ENTROPY_US;
    s->actor = world_add_actor(s->w, s->host, &calls, s, "server");
    for (int i = 0; i < 4; i++)
        s->sockets[i] = world_open(s->w, s->actor, (enum addr_family)sockets[i].family, sockets[i].port);
    s->lives++;
    world_touch(s->w, s->actor);
    trace_text(&s->w->trace, s->w->now, "server", "starts", "life %u", s->lives);
}

struct sim_server *sim_server_new(struct world *w, int host, const struct server_config *config)
{
    struct sim_server *s = calloc(1, sizeof *s);
    assert(s);
    s->w = w;
    s->host = host;
    s->actor = -1;
    s->dice = dice_fork(&w->dice);
    if (config)
        s->config = *config;
    s->config.alternate_port = SIM_SERVER_ALTERNATE_PORT;
    sim_server_start(s);
    return s;
}

void sim_server_kill(struct sim_server *s)
{
    if (s->actor < 0)
        return;
    trace_text(&s->w->trace, s->w->now, "server", "dies", "life %u", s->lives);
    world_remove_actor(s->w, s->actor);
    s->actor = -1;
    free(s->core);
    s->core = NULL;
}

void sim_server_shutdown(struct sim_server *s)
{
    vtime_us now = world_host_now(s->w, s->host);
    server_command(s->core, now, &(struct server_command){.kind = SERVER_COMMAND_SHUTDOWN});
    pump(s, now);
    sim_server_kill(s);
}

void sim_server_free(struct sim_server *s)
{
    if (s)
        free(s->core);
    free(s);
}

uint64_t sim_server_stat(const struct sim_server *s, const char *name)
{
    struct server_stat stats[SERVER_STATS_MAX];
    size_t count = server_stats(s->core, stats);
    for (size_t i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i].value;
    fprintf(stderr, "the server counts no \"%s\"\n", name);
    abort();
}
