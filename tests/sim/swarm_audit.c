/* What must never happen, as far as it is seen on the wire and in the cores' own counts, and the judge does not see to
 * it:
 *   - one share serves two runs, or one key seals two packets with one number;
 *   - strangers, the server among them, get more runs out of a process than its stock allows: each is a guess;
 *   - a packet of a session opens twice;
 *   - with --relay only a datagram goes to somebody else than the server;
 *   - an address gets packets at more ports than a hard try may use, or more new ones in a second;
 *   - an address that only liars name gets more than checks of candidates;
 *   - more sockets, registrations, introductions, links or waiting messages than there may be. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "peer/stock.h"
#include "swarm_parts.h"
#include "world_parts.h"

enum {
    PORTS_MAX = 2000,                     /* of one address, DESIGN s6: probes of guesses and checks */
    PORTS_PER_S_MAX = 500,                /* new ones; the same */
    CHECKS_OF_STRANGERS = 256,            /* each session's, to addresses that have never answered; then */
    IDLE_SOCKETS_MAX = 2 + PEERS_MAX + 4, /* v4, v6, one for each path, questions about the NAT */
    KNOWN_POINTS = 4096,                  /* a power of 2, more than ever are in use */
    INTRODUCTIONS_KEPT = 64,              /* of a process: more than there are at the same time */
};
#define CHECK_OF_STRANGERS_US VTIME_S(5) /* one in so long */

const struct addr swarm_victim = {.family = ADDR_V4, .ip = {192, 0, 2, 99}, .port = 7777};

struct run { /* of one process, as its Signals show it */
    uint8_t point[CPACE_POINT_BYTES];
    uint64_t session;
};

struct sealing {
    uint64_t session, counter;
    uint32_t epoch, digest;
};

struct introduction {
    uint8_t own[CPACE_POINT_BYTES], theirs[CPACE_POINT_BYTES];
};

struct target {
    struct addr ip;
    unsigned count;
    uint8_t ports[65536 / 8];
};

struct seen { /* digests of packets that were delivered: a hash table, 0 is free */
    uint64_t *places;
    size_t count, size; /* a power of 2 */
};

struct process {
    const struct sim_client *c; /* NULL: not an engine */
    const char *keyword;
    vtime_us since; /* its host's clock */
    struct run *runs;
    struct sealing *sealings;
    struct introduction introductions[INTRODUCTIONS_KEPT];
    struct target **targets;
    int run_count, sealing_count, target_count;
    unsigned introduction_next, guesses;
    struct seen seen;
    uint64_t repeated; /* packets that were delivered before */
    vtime_us second;   /* the one that is counted */
    unsigned new_ports, victim_packets;
};

struct known_point { /* who offers this share */
    uint8_t point[CPACE_POINT_BYTES];
    const char *keyword; /* NULL: free */
};

struct swarm_audit {
    struct swarm *x;
    struct process *processes;
    int process_count;
    int *of_actor; /* which process; -1 */
    int actor_count;
    struct known_point known[KNOWN_POINTS];
    struct codec codec;
};

/* ---- who is who ---- */

void swarm_audit_add(struct swarm_audit *a, int actor, const struct sim_client *c, const char *keyword)
{
    GROW(a->processes, a->process_count);
    struct process *p = &a->processes[a->process_count];
    *p = (struct process){.c = c, .keyword = keyword};
    if (c)
        p->since = world_host_now(c->w, c->host);
    while (a->actor_count <= actor) {
        GROW(a->of_actor, a->actor_count);
        a->of_actor[a->actor_count++] = -1;
    }
    a->of_actor[actor] = a->process_count++;
}

static struct process *process_of(struct swarm_audit *a, int actor)
{
    return actor >= 0 && actor < a->actor_count && a->of_actor[actor] >= 0 ? &a->processes[a->of_actor[actor]] : NULL;
}

static const struct process *process_of_client(const struct swarm_audit *a, const struct sim_client *c)
{
    int i = a->process_count - 1;
    while (a->processes[i].c != c)
        i--;
    return &a->processes[i];
}

/* ---- shares ---- */

static struct known_point *place_of(struct swarm_audit *a, const uint8_t point[CPACE_POINT_BYTES])
{
    uint32_t at;
    memcpy(&at, point, sizeof at); /* as random as anything */
    for (unsigned i = 0; i < KNOWN_POINTS; i++) {
        struct known_point *k = &a->known[(at + i) % KNOWN_POINTS];
        if (!k->keyword || memcmp(k->point, point, CPACE_POINT_BYTES) == 0)
            return k;
    }
    return NULL;
}

static void learn_shares(struct swarm_audit *a, const struct process *p, const struct frame_register *r)
{
    for (unsigned i = 0; i < r->share_count; i++) {
        struct known_point *k = place_of(a, r->shares[i].point);
        if (!k || k->keyword)
            continue;
        memcpy(k->point, r->shares[i].point, sizeof k->point);
        k->keyword = p->keyword;
    }
}

/* Does the other end of this introduction know the keyword? Whoever knows it has nothing to guess. */
static bool is_friendly(struct swarm_audit *a, const struct process *p, const uint8_t own[CPACE_POINT_BYTES])
{
    for (unsigned i = 0; i < INTRODUCTIONS_KEPT; i++) {
        const struct introduction *n = &p->introductions[i];
        if (memcmp(n->own, own, sizeof n->own) != 0)
            continue;
        const struct known_point *k = place_of(a, n->theirs);
        if (k && k->keyword && strcmp(k->keyword, p->keyword) == 0)
            return true;
    }
    return false;
}

static bool has_three_words(const char *keyword)
{
    struct keyword k;
    return keyword_parse(&k, keyword, strlen(keyword)) == KEYWORD_OK && keyword_has_three_words(&k);
}

static unsigned guesses_allowed(const struct process *p)
{
    uint64_t age_s = (world_host_now(p->c->w, p->c->host) - p->since) / VTIME_S(1);
    if (has_three_words(p->keyword))
        return (unsigned)(SHARES_MAX + 1 + age_s);
    uint64_t fast = age_s < STOCK_FAST_REFILLS ? age_s : STOCK_FAST_REFILLS;
    uint64_t all = SHARES_MAX + 1 + fast + age_s / (STOCK_SLOW_US / VTIME_S(1));
    return all < STOCK_IN_ALL ? (unsigned)all : STOCK_IN_ALL;
}

/* A run is born with the first Signal of its session. Of two runs between the same two processes the one that stays
 * takes over the point of the other one: its session has been born before. */
static void check_run(struct swarm_audit *a, struct process *p, const struct frame_signal *f, uint64_t session)
{
    bool is_taken = false;
    for (int i = 0; i < p->run_count; i++) {
        if (p->runs[i].session == session)
            return;
        is_taken = is_taken || memcmp(p->runs[i].point, f->point, sizeof f->point) == 0;
    }
    if (is_taken)
        scene_fail(a->x->s, "%s uses one share for two runs", p->c->label);
    GROW(p->runs, p->run_count);
    struct run *r = &p->runs[p->run_count++];
    memcpy(r->point, f->point, sizeof r->point);
    r->session = session;
    if (!is_friendly(a, p, f->point) && ++p->guesses > guesses_allowed(p))
        scene_fail(a->x->s, "%s lets strangers guess %u times", p->c->label, p->guesses);
}

static uint32_t digest_of(struct bytes b)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < b.size; i++)
        h = (h ^ b.at[i]) * 16777619U;
    return h;
}

/* Packets are sealed one after the other: a number that does not grow is the same packet again. */
static void check_sealing(struct swarm_audit *a, struct process *p, const struct frame_sealed *f)
{
    uint32_t digest = digest_of(f->ciphertext);
    int i = p->sealing_count - 1;
    while (i >= 0 && p->sealings[i].session != f->session)
        i--;
    if (i < 0) {
        GROW(p->sealings, p->sealing_count);
        p->sealings[p->sealing_count++] = (struct sealing){f->session, f->counter, f->epoch, digest};
        return;
    }
    struct sealing *s = &p->sealings[i];
    if (f->counter < s->counter || f->epoch < s->epoch || (f->counter == s->counter && digest != s->digest))
        scene_fail(a->x->s, "%s seals packet %llu of a session after packet %llu", p->c->label,
                   (unsigned long long)f->counter, (unsigned long long)s->counter);
    *s = (struct sealing){f->session, f->counter, f->epoch, digest};
}

/* ---- replay ---- */

static uint64_t long_digest_of(const struct packet *p)
{
    uint64_t h = 14695981039346656037U, word;
    for (size_t i = 0; i < p->size; i += sizeof word) {
        word = 0;
        memcpy(&word, p->bytes + i, p->size - i < sizeof word ? p->size - i : sizeof word);
        h = (h ^ word) * 1099511628211U;
        h ^= h >> 29;
    }
    return h ? h : 1;
}

static bool seen_put(uint64_t *places, size_t size, uint64_t digest)
{
    size_t at = digest & (size - 1);
    while (places[at] != 0 && places[at] != digest)
        at = (at + 1) & (size - 1);
    bool is_new = places[at] == 0;
    places[at] = digest;
    return is_new;
}

/* False: it was there. */
static bool seen_add(struct seen *s, uint64_t digest)
{
    if (2 * (s->count + 1) > s->size) {
        size_t size = s->size ? 2 * s->size : 64;
        uint64_t *places = calloc(size, sizeof *places);
        assert(places);
        for (size_t i = 0; i < s->size; i++)
            if (s->places[i])
                seen_put(places, size, s->places[i]);
        free(s->places);
        s->places = places;
        s->size = size;
    }
    bool is_new = seen_put(s->places, s->size, digest);
    s->count += is_new;
    return is_new;
}

/* The same packet opens once: of n that are delivered all but one are counted as something else. */
static void check_replays(const struct swarm_audit *a, const struct process *p)
{
    if (p->repeated == 0 || p->c->actor < 0 || p->c->config.relay == RELAY_ONLY) /* which does not look at them */
        return;
    uint64_t refused = sim_client_stat(p->c, "packets_replayed") + sim_client_stat(p->c, "packets_forged") +
                       sim_client_stat(p->c, "datagrams_dropped");
    if (refused < p->repeated)
        scene_fail(a->x->s, "%s was sent %llu packets again, and has refused %llu", p->c->label,
                   (unsigned long long)p->repeated, (unsigned long long)refused);
}

/* ---- targets ---- */

static bool is_server(const struct swarm_audit *a, const struct addr *to)
{
    const struct sim_server *server = a->x->s->server;
    for (size_t i = 0; world_addr(server->w, server->host, i); i++)
        if (addr_ip_equal(world_addr(server->w, server->host, i), to))
            return true;
    return false;
}

static struct target *target_of(struct process *p, const struct addr *ip)
{
    for (int i = 0; i < p->target_count; i++)
        if (addr_ip_equal(&p->targets[i]->ip, ip))
            return p->targets[i];
    GROW(p->targets, p->target_count);
    struct target *t = calloc(1, sizeof *t);
    assert(t);
    t->ip = *ip;
    return p->targets[p->target_count++] = t;
}

static void check_victim(struct swarm_audit *a, struct process *p)
{
    uint64_t age = world_host_now(p->c->w, p->c->host) - p->since;
    uint64_t sessions = 1 + sim_client_count(p->c, EVENT_PEER, 0);
    if (++p->victim_packets > sessions * (CHECKS_OF_STRANGERS + age / CHECK_OF_STRANGERS_US))
        scene_fail(a->x->s, "%s sent %u packets to an address that a liar named", p->c->label, p->victim_packets);
}

static void check_target(struct swarm_audit *a, struct process *p, const struct addr *to)
{
    struct target *t = target_of(p, to);
    uint8_t *byte = &t->ports[to->port / 8], bit = (uint8_t)(1U << to->port % 8);
    if (p->c->config.relay == RELAY_ONLY)
        scene_fail(a->x->s, "%s, with --relay only, sends to somebody", p->c->label);
    if (addr_ip_equal(to, &swarm_victim))
        check_victim(a, p);
    if (*byte & bit)
        return;
    *byte |= bit;
    if (++t->count > PORTS_MAX)
        scene_fail(a->x->s, "%s has sent to %u ports of one address", p->c->label, t->count);
    vtime_us second = a->x->s->w->now / VTIME_S(1);
    p->new_ports = second == p->second ? p->new_ports + 1 : 1;
    p->second = second;
    if (p->new_ports > PORTS_PER_S_MAX)
        scene_fail(a->x->s, "%s sends to %u new ports in a second", p->c->label, p->new_ports);
}

/* ---- on the wire ---- */

static void audit_signal(struct swarm_audit *a, struct process *p, const struct frame_signal *signal)
{
    struct frame_signal copy = *signal; /* decoding uses the arena again */
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame f;
    memcpy(bytes, copy.datagram.at, copy.datagram.size);
    if (codec_decode(&a->codec, bytes, copy.datagram.size, &f) != DECODE_OK || f.kind != FRAME_SEALED)
        return;
    check_sealing(a, p, &f.sealed);
    check_run(a, p, &copy, f.sealed.session);
}

static void audit_relay(struct swarm_audit *a, struct process *p, struct bytes datagram)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame f;
    memcpy(bytes, datagram.at, datagram.size);
    if (codec_decode(&a->codec, bytes, datagram.size, &f) == DECODE_OK && f.kind == FRAME_SEALED)
        check_sealing(a, p, &f.sealed);
}

static void audit_sent(struct swarm_audit *a, struct process *p, const struct packet *packet)
{
    uint8_t kind = trace_frame_kind(packet->bytes, packet->size);
    struct frame f;
    if (p->c && !is_server(a, &packet->dst))
        check_target(a, p, &packet->dst);
    bool matters = kind == FRAME_REGISTER || kind == FRAME_SIGNAL || kind == FRAME_RELAY || kind == FRAME_SEALED;
    if (!matters || codec_decode(&a->codec, packet->bytes, packet->size, &f) != DECODE_OK)
        return;
    if (f.kind == FRAME_REGISTER)
        learn_shares(a, p, &f.reg);
    else if (!p->c)
        return;
    else if (f.kind == FRAME_SIGNAL)
        audit_signal(a, p, &f.signal);
    else if (f.kind == FRAME_RELAY)
        audit_relay(a, p, f.relay.datagram);
    else
        check_sealing(a, p, &f.sealed);
}

static void audit_delivered(struct swarm_audit *a, struct process *p, const struct packet *packet)
{
    struct frame f;
    uint8_t kind = trace_frame_kind(packet->bytes, packet->size);
    if (p->c && kind == FRAME_SEALED)
        p->repeated += !seen_add(&p->seen, long_digest_of(packet));
    if (!p->c || kind != FRAME_PEER_INFO || codec_decode(&a->codec, packet->bytes, packet->size, &f) != DECODE_OK)
        return;
    struct introduction *n = &p->introductions[p->introduction_next++ % INTRODUCTIONS_KEPT];
    memcpy(n->own, f.peer_info.own_point, sizeof n->own);
    memcpy(n->theirs, f.peer_info.share.point, sizeof n->theirs);
}

static void audit_tap(void *context, enum packet_fate fate, const struct packet *packet, int node, int actor)
{
    struct swarm_audit *a = context;
    struct process *p = fate == FATE_SENT || fate == FATE_DELIVERED ? process_of(a, actor) : NULL;
    (void)node;
    if (!p)
        return;
    if (fate == FATE_SENT)
        audit_sent(a, p, packet);
    else
        audit_delivered(a, p, packet);
}

/* ---- growth ---- */

static unsigned open_sockets(const struct sim_client *c)
{
    unsigned n = 0;
    for (size_t i = 0; i < ENGINE_SOCKETS_MAX; i++)
        n += c->sockets[i] >= 0;
    return n;
}

static void check_server(const struct swarm_audit *a)
{
    const struct sim_server *server = a->x->s->server;
    if (!server->core)
        return;
    uint64_t people = sim_server_stat(server, "registrations"), unvalidated = sim_server_stat(server, "unvalidated");
    uint64_t lives = a->x->lives + 300; /* whoever lived, at new addresses; and what is forged */
    if (people > lives || unvalidated > server->config.unvalidated_max ||
        sim_server_stat(server, "introductions") > server->config.introductions_max ||
        sim_server_stat(server, "links") > server->config.links_max)
        scene_fail(a->x->s, "the server's tables grow: %llu registrations", (unsigned long long)people);
}

void swarm_audit_step(struct swarm_audit *a)
{
    check_server(a);
    for (int i = 0; i < a->x->count; i++) {
        const struct sim_client *c = a->x->people[i].c;
        if (c && engine_undelivered(c->e) > MAILBOX_MESSAGES)
            scene_fail(a->x->s, "%s keeps %zu messages", c->label, engine_undelivered(c->e));
        if (c)
            check_replays(a, process_of_client(a, c));
    }
}

/* With everybody there and nobody gone for a lease: so many are registered and no more, and of the sockets of hard
 * tries those remain that a path uses. */
static bool is_server_swept(const struct swarm *x)
{
    const struct sim_server *server = x->s->server;
    return sim_server_stat(server, "registrations") <= (uint64_t)x->count &&
           sim_server_stat(server, "unvalidated") == 0 &&
           sim_server_stat(server, "links") <= (uint64_t)(x->count * (x->count - 1) / 2);
}

bool swarm_audit_is_swept(struct swarm_audit *a)
{
    const struct swarm *x = a->x;
    for (int i = 0; i < x->count; i++)
        if (open_sockets(x->people[i].c) > IDLE_SOCKETS_MAX)
            return false;
    return is_server_swept(x);
}

void swarm_audit_complain(struct swarm_audit *a)
{
    const struct sim_server *server = a->x->s->server;
    for (int i = 0; i < a->x->count; i++)
        fprintf(stderr, "%s has %u sockets\n", a->x->people[i].c->label, open_sockets(a->x->people[i].c));
    scene_fail(a->x->s, "left over in the calm: %llu registrations, %llu unvalidated, %llu links",
               (unsigned long long)sim_server_stat(server, "registrations"),
               (unsigned long long)sim_server_stat(server, "unvalidated"),
               (unsigned long long)sim_server_stat(server, "links"));
}

/* ---- beginning and end ---- */

struct swarm_audit *swarm_audit_new(struct swarm *x)
{
    struct swarm_audit *a = calloc(1, sizeof *a);
    assert(a);
    a->x = x;
    world_add_tap(x->s->w, audit_tap, a);
    return a;
}

void swarm_audit_free(struct swarm_audit *a)
{
    for (int i = 0; i < a->process_count; i++) {
        struct process *p = &a->processes[i];
        for (int k = 0; k < p->target_count; k++)
            free(p->targets[k]);
        free(p->targets);
        free(p->runs);
        free(p->sealings);
        free(p->seen.places);
    }
    free(a->processes);
    free(a->of_actor);
    free(a);
}
