/* Inputs to begin with, out of what the tests have: the golden frames, and simulated meetings behind easy and hard NATs
 * as datagrams, as plaintexts (the simulator knows every key) and as scripts.
 * usage: seeds FOLDER      writes FOLDER/TARGET/NUMBER for codec, server, engine and sealed */
#include "seeds.h"
#include "hand.h"
#include "shapes.h"
#include "tests/sim/inside.h"
#include "tests/sim/meeting.h"
#include <sys/stat.h>

enum { SCRIPT_MAX = 4000, SEEN_MAX = 4096 };

const struct fuzz_shape *fuzz_shape = &shape_codec;

static const char *folder;
static struct codec codec;

static void write_input(const char *target, const uint8_t *at, size_t size)
{
    static unsigned number;
    char path[400];
    snprintf(path, sizeof path, "%.300s/%s", folder, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%.300s/%s/seed-%u", folder, target, ++number);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(at, 1, size, file) == size && fclose(file) == 0);
}

/* ---- single frames ---- */

static void write_frame(bool inside, const uint8_t *at, size_t size)
{
    static uint8_t input[DATAGRAM_BYTES_MAX + 3];
    input[0] = inside;
    memcpy(input + 1, at, size);
    write_input("codec", input, size + 1);
}

/* One of each kind and size is enough of what only differs in its random bytes. */
static bool is_new(unsigned kind, size_t size)
{
    static unsigned seen[SEEN_MAX], count;
    unsigned key = kind << 16 | (unsigned)size;
    for (unsigned i = 0; i < count; i++)
        if (seen[i] == key)
            return false;
    if (count < SEEN_MAX)
        seen[count++] = key;
    return true;
}

/* ---- scripts ---- */

struct script {
    const char *target;
    size_t size;
    vtime_us newest;
    uint8_t at[SCRIPT_MAX];
};

static void script_end(struct script *s)
{
    if (s->size > 1)
        write_input(s->target, s->at, s->size);
    s->size = 1;
}

static void script_add(struct script *s, uint8_t operation, const uint8_t *head, size_t head_size, const uint8_t *at,
                       size_t size)
{
    if (s->size + RECORD_HEAD + head_size + size > SCRIPT_MAX)
        script_end(s);
    s->at[s->size] = operation;
    s->at[s->size + 1] = (uint8_t)(head_size + size);
    s->at[s->size + 2] = (uint8_t)((head_size + size) >> 8);
    memcpy(s->at + s->size + RECORD_HEAD, head, head_size);
    if (size > 0)
        memcpy(s->at + s->size + RECORD_HEAD + head_size, at, size);
    s->size += RECORD_HEAD + head_size + size;
}

/* ---- golden frames in the middle of something ---- */

static void write_sample(bool inside, const uint8_t *at, size_t size)
{
    static struct script s;
    const uint8_t honest[2] = {5, 0}, join[2] = {8, 0}, other[2] = {9, 0}, right[4] = {0, 0, 0xff, 0};
    const uint8_t from[4] = {8, 0, 0x5f, 4}, sealed[2] = {WAY_SIGNAL, TWIST_RIGHT}, again[2] = {WAY_DIRECT, 0};
    write_frame(inside, at, size);
    if (inside) {
        s = (struct script){.target = "sealed", .size = 1};
        script_add(&s, ENGINE_SEALED, sealed, sizeof sealed, at, size);
        script_add(&s, ENGINE_TIME, honest, sizeof honest, NULL, 0);
        script_add(&s, ENGINE_SEALED, again, sizeof again, at, size);
        script_end(&s);
        return;
    }
    s = (struct script){.target = "server", .size = 1};
    for (int i = 0; i < 2; i++) { /* Register and echo, of two */
        script_add(&s, SERVER_STEP, join, sizeof join, NULL, 0);
        script_add(&s, SERVER_STEP, other, sizeof other, NULL, 0);
    }
    script_add(&s, SERVER_FRAME, from, sizeof from, at, size);
    script_end(&s);
    s = (struct script){.target = "engine", .size = 1};
    script_add(&s, ENGINE_TIME, honest, sizeof honest, NULL, 0);
    script_add(&s, ENGINE_FRAME, right, sizeof right, at, size);
    script_add(&s, ENGINE_TIME, honest, sizeof honest, NULL, 0);
    script_end(&s);
}

/* ---- a meeting ---- */

struct listener {
    struct meeting m;
    struct script server, engine, sealed;
};

/* What bob says becomes what the hand says. */
static void hear_sealed(struct listener *l, const uint8_t *at, size_t size, enum hand_way way)
{
    uint8_t plain[CIPHERTEXT_BYTES_MAX];
    const uint8_t head[2] = {(uint8_t)way, TWIST_RIGHT | TWIST_ACK};
    struct frame f;
    if (codec_decode(&codec, at, size, &f) != DECODE_OK || f.kind != FRAME_SEALED)
        return;
    bool bob = l->m.b != NULL && inside_open(l->m.b->e, &f.sealed, plain);
    if (!bob && !(l->m.a != NULL && inside_open(l->m.a->e, &f.sealed, plain)))
        return;
    size = f.sealed.ciphertext.size - SEAL_TAG_BYTES;
    if (is_new(100 + plain[1] / 8, size))
        write_frame(true, plain, size);
    if (bob)
        script_add(&l->sealed, ENGINE_SEALED, head, sizeof head, plain, size);
}

static void hear(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct listener *l = context;
    const struct meeting *m = &l->m;
    struct frame f;
    (void)actor;
    if (fate != FATE_SENT || codec_decode(&codec, p->bytes, p->size, &f) != DECODE_OK)
        return;
    if (is_new(f.kind, p->size))
        write_frame(false, p->bytes, p->size);
    if (f.kind == FRAME_SEALED) {
        hear_sealed(l, p->bytes, p->size, WAY_DIRECT);
        return;
    }
    if (f.kind == FRAME_SIGNAL || f.kind == FRAME_RELAY) {
        const struct bytes *d = f.kind == FRAME_SIGNAL ? &f.signal.datagram : &f.relay.datagram;
        uint8_t copy[DATAGRAM_BYTES_MAX]; /* the span lies in the datagram, and decoding goes on */
        memcpy(copy, d->at, d->size);
        hear_sealed(l, copy, d->size, f.kind == FRAME_SIGNAL ? WAY_SIGNAL : WAY_RELAY);
    }
    if (node == m->s->server->host) {
        const uint8_t head[4] = {0, 0, 0xff, 0};
        script_add(&l->engine, ENGINE_FRAME, head, sizeof head, p->bytes, p->size);
    } else {
        const uint8_t head[4] = {(uint8_t)(node == m->side[0].home ? 6 : 8), 0, 0x1f, f.kind == FRAME_REGISTER ? 4 : 0};
        if (m->s->w->now > l->server.newest + VTIME_MS(400))
            script_add(&l->server, SERVER_TIME, (const uint8_t[]){1}, 1, NULL, 0);
        l->server.newest = m->s->w->now;
        script_add(&l->server, SERVER_FRAME, head, sizeof head, p->bytes, p->size);
    }
}

static void meet(const char *nat_a, const char *nat_b, uint64_t seed)
{
    static struct listener l;
    struct scene *s = scene_new("seeds", seed);
    memset(&l, 0, sizeof l);
    l.server = (struct script){.target = "server", .size = 1};
    l.engine = (struct script){.target = "engine", .size = 1};
    l.sealed = (struct script){.target = "sealed", .size = 1};
    l.m.s = s;
    world_add_tap(s->w, hear, &l);
    meeting_wait(&l.m, s, nat_kind_find(nat_a), nat_kind_find(nat_b), VTIME_MS(25), VTIME_MS(25));
    meeting_begin(&l.m);
    meeting_until_direct(&l.m, VTIME_S(20));
    scene_say(s, l.m.a, 40);
    scene_say(s, l.m.b, 3000);
    world_run_for(s->w, VTIME_S(3));
    sim_client_rename(l.m.b, "robert");
    world_run_for(s->w, VTIME_S(20));
    sim_client_finish(l.m.b);
    world_run_for(s->w, VTIME_S(5));
    script_end(&l.server);
    script_end(&l.engine);
    script_end(&l.sealed);
    scene_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    (void)at, (void)size;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: seeds FOLDER\n", stderr);
        return 2;
    }
    folder = argv[1];
    mkdir(folder, 0777);
    seeds_samples(write_sample);
    meet("port-restricted", "port-restricted", 1);
    meet("address-restricted", "symmetric", 2);
    meet("symmetric", "symmetric", 3);
    meet("none", "full-cone", 4);
    return 0;
}
