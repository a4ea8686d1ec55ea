#include "server/core.h"
#include "server/core_internal.h"
#include <stddef.h>
#include <string.h>

/* ---- start ---- */

size_t server_size(const struct server_config *config)
{
    struct tables unused;
    return tables_lay_out(&unused, NULL, config);
}

void server_init(struct server *s, const struct server_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                 vtime_us now)
{
    s->config = *config;
    s->started = now;
    tables_lay_out(&s->t, (uint8_t *)s, config);
    limits_init(s, now);
    rng_init(&s->rng, seed);
    rng_bytes(&s->rng, s->hash_key, sizeof s->hash_key);
    rng_bytes(&s->rng, s->cookie_key, sizeof s->cookie_key);
    s->cookie_rotated = now;
}

/* ---- time ---- */

static void run_timers(struct server *s, vtime_us now)
{
    if (s->down)
        return;
    introductions_run(s, now);
    registrations_run(s, now);
    failed_run(s, now);
    strangers_run(s, now);
}

vtime_us server_deadline(const struct server *s)
{
    vtime_us due = vtime_min(introductions_deadline(s), failed_deadline(s));
    if (s->down)
        return VTIME_NEVER;
    if (s->leases.head != 0)
        due = vtime_min(due, registration_at(s, s->leases.head)->refreshed + LEASE_US);
    if (s->stranger_ages.head != 0)
        due = vtime_min(due, stranger_at(s, s->stranger_ages.head + s->t.registrations.max)->heard + UNVALIDATED_US);
    return due;
}

/* ---- what arrives ---- */

static bool is_over_rate(struct server *s, const struct arrival *in)
{
    if (limit_control(s, in->now, &in->path.from))
        return false;
    s->counts[COUNT_DROPPED_RATE]++;
    return true;
}

static void hear_signal(struct server *s, const struct arrival *in, const struct frame_signal *f)
{
    uint32_t sender = f->has_secret ? gate_authenticate(s, in, f->secret, true) : 0;
    if (sender != 0 && !is_over_rate(s, in))
        signal_forward(s, sender, f);
}

static void hear_link(struct server *s, const struct arrival *in, const struct frame_link *f)
{
    uint32_t sender = gate_authenticate(s, in, f->secret, true);
    if (sender != 0 && !is_over_rate(s, in))
        link_present(s, in->now, sender, &f->token, true);
}

static void hear_relay(struct server *s, const struct arrival *in, const struct frame_relay *f)
{
    uint32_t sender = f->has_secret ? gate_authenticate(s, in, f->secret, true) : 0;
    if (sender != 0)
        relay_forward(s, in, sender, f);
}

static void hear_leave(struct server *s, const struct arrival *in, const struct frame_leave *f)
{
    uint32_t sender = f->has_secret ? party_by_secret(s, f->secret) : 0;
    if (sender == 0 || !addr_equal(&party_at(s, sender)->path.from, &in->path.from))
        return;
    if (is_stranger(s, sender))
        stranger_remove(s, sender);
    else
        registration_remove(s, in->now, sender);
}

static void hear(struct server *s, const struct arrival *in, const struct frame *f)
{
    switch (f->kind) {
    case FRAME_REGISTER:
        gate_register(s, in, &f->reg);
        break;
    case FRAME_SIGNAL:
        hear_signal(s, in, &f->signal);
        break;
    case FRAME_LINK:
        hear_link(s, in, &f->link);
        break;
    case FRAME_RELAY:
        hear_relay(s, in, &f->relay);
        break;
    case FRAME_LEAVE:
        hear_leave(s, in, &f->leave);
        break;
    case FRAME_PROBE:
        probe_answer(s, in, &f->probe);
        break;
    default:
        s->counts[COUNT_DROPPED_KIND]++;
    }
}

void server_input(struct server *s, vtime_us now, uint16_t socket, const struct addr *local, const struct addr *from,
                  const uint8_t *at, size_t size)
{
    struct frame f;
    struct arrival in = {.now = now, .size = size, .path = {.from = *from, .local = *local, .socket = socket}};
    s->counts[COUNT_RECEIVED]++;
    s->counts[COUNT_RECEIVED_BYTES] += size;
    run_timers(s, now);
    if (s->down)
        return;
    if (!addr_is_sendable(from)) {
        s->counts[COUNT_DROPPED_SOURCE]++;
        return;
    }
    if (codec_decode(&s->codec, at, size, &f) == DECODE_OK)
        hear(s, &in, &f);
}

void server_command(struct server *s, vtime_us now, const struct server_command *command)
{
    switch (command->kind) {
    case SERVER_COMMAND_ENTROPY:
        rng_reseed(&s->rng, command->entropy);
        break;
    case SERVER_COMMAND_SHUTDOWN:
        run_timers(s, now);
        s->down = true;
        s->down_next = s->leases.head;
        break;
    }
}

/* ---- what leaves ---- */

/* One by one as they are fetched, since the queue is shorter than the table. */
static void say_leave(struct server *s)
{
    if (!s->down || s->down_next == 0)
        return;
    struct frame f = {.kind = FRAME_LEAVE, .leave = {.proof = party_at(s, s->down_next)->proof, .reason = LEAVE_QUIT}};
    send_to(s, s->down_next, &f);
    s->down_next = list_next(&s->t.registrations, offsetof(struct registration, lease), s->down_next);
}

bool server_poll(struct server *s, vtime_us now, struct server_out *ret)
{
    if (s->out_count == 0)
        run_timers(s, now);
    if (s->out_count == 0)
        say_leave(s);
    if (s->out_count == 0)
        return false;
    const struct out *out = &s->out[s->out_first];
    s->out_first = (s->out_first + 1) % OUT_MAX;
    s->out_count--;
    *ret = (struct server_out){.socket = out->path.socket,
                               .local = out->path.local,
                               .to = out->path.from,
                               .bytes = out->bytes,
                               .size = out->size};
    return true;
}
