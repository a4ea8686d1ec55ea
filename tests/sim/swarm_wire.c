/* Somebody on the wire, in the internet's core: sees every packet that crosses it, and sends some of them again, soon
 * or late, as they were or bent, as from where they came; and makes up what strangers can. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "swarm_parts.h"
#include "world_parts.h"

enum { KEPT = 256, FLOOD_MAX = 20 };

struct swarm_wire {
    struct swarm *x;
    struct dice d;
    int host;
    bool repeats, bends, forges;
    unsigned kept, seen;
    struct packet packets[KEPT]; /* a sample of all */
};

/* Looks at what crosses the core, and lets it go. */
static bool on_core(void *context, const struct packet *p)
{
    struct swarm_wire *wire = context;
    unsigned at = wire->seen++ < KEPT ? wire->kept++ : (unsigned)dice_below(&wire->d, KEPT);
    /* Half of the places hold the newest, half whatever is old. */
    if (wire->seen < KEPT || at % 2 == 0 || dice_below(&wire->d, 16) == 0)
        wire->packets[at] = *p;
    return false;
}

static void send(const struct swarm_wire *wire, const struct packet *as)
{
    struct world *w = wire->x->s->w;
    struct packet *p = world_packet_new(w);
    *p = *as;
    p->number = w->fates[FATE_SENT];
    p->ttl = WORLD_TTL;
    world_packet_tell(w, FATE_SENT, p, wire->host, -1);
    route_send(w, wire->host, p);
}

static void do_repeat(struct swarm_wire *wire, bool bend)
{
    struct packet p = wire->packets[dice_below(&wire->d, wire->kept)];
    if (p.size == 0)
        return; /* a datagram of nothing */
    if (bend) {
        uint64_t at = dice_below(&wire->d, p.size);
        p.bytes[at] ^= (uint8_t)(1U << dice_below(&wire->d, 8));
        if (dice_below(&wire->d, 4) == 0)
            p.size = (uint16_t)(1 + dice_below(&wire->d, p.size));
    }
    for (uint64_t n = 1 + dice_below(&wire->d, bend ? 1 : 4); n > 0; n--)
        send(wire, &p);
}

static struct addr source_any(struct swarm_wire *wire)
{
    struct addr from = addr_v4(192, 0, 2, (uint8_t)(100 + dice_below(&wire->d, 100)), 0);
    from.port = (uint16_t)(1024 + dice_below(&wire->d, 60000));
    return from;
}

/* Registers of people who are nobody, in everybody's room: each is a stranger with one share. */
static void do_forge(struct swarm_wire *wire)
{
    struct swarm *x = wire->x;
    const struct addr to = addr_v4(198, 51, 100, 1, SIM_SERVER_PORT);
    struct frame f = {.kind = FRAME_REGISTER, .reg = {.pad = true, .share_count = 1}};
    const char *keyword = x->groups[dice_below(&wire->d, (uint64_t)x->group_count)].keyword;
    struct packet p = {.origin = wire->host, .dst = to};
    f.reg.form = *keyword && !strchr(keyword, '-') ? FORM_OPEN : FORM_ROOM;
    f.reg.room = f.reg.form == FORM_ROOM ? 42 : 0;
    for (uint64_t n = 1 + dice_below(&wire->d, FLOOD_MAX); n > 0; n--) {
        f.reg.token = dice_u64(&wire->d);
        dice_bytes(&wire->d, &f.reg.shares[0], sizeof f.reg.shares[0]);
        p.src = source_any(wire);
        p.size = (uint16_t)codec_encode(&f, p.bytes, DATAGRAM_BYTES_MAX);
        assert(p.size > 0);
        send(wire, &p);
    }
}

void swarm_wire_act(struct swarm *x)
{
    struct swarm_wire *wire = x->wire;
    if (!wire || wire->kept == 0)
        return;
    switch (dice_below(&wire->d, 8)) {
    case 0:
        if (wire->forges)
            do_forge(wire);
        break;
    case 1:
    case 2:
        if (wire->bends)
            do_repeat(wire, true);
        break;
    default:
        if (wire->repeats)
            do_repeat(wire, false);
    }
}

void swarm_wire_new(struct swarm *x)
{
    if (swarm_roll(x, 3))
        return;
    struct swarm_wire *wire = calloc(1, sizeof *wire);
    assert(wire);
    *wire = (struct swarm_wire){.x = x, .d = dice_fork(&x->d)};
    wire->repeats = swarm_roll(x, 4) > 0;
    wire->bends = swarm_roll(x, 2);
    wire->forges = swarm_roll(x, 3) == 0 && !x->liar; /* which the liar would have to keep books of */
    wire->host = scene_home(x->s, 0, NULL);
    x->wire = wire;
    x->s->w->drop = on_core;
    x->s->w->drop_context = wire;
}

void swarm_wire_end(struct swarm *x)
{
    x->s->w->drop = NULL;
}

bool swarm_wire_has_bent(const struct swarm *x)
{
    return x->wire && x->wire->bends;
}
