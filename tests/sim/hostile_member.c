#include "hostile_member.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/varint.h"

#define REFRESH_US VTIME_S(15)

static vtime_us clock_of(const struct hostile_member *m)
{
    return world_host_now(m->w, m->host);
}

/* ---- the server ---- */

void hostile_member_to_server(struct hostile_member *m, const struct frame *f)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(f, bytes, sizeof bytes);
    assert(size > 0);
    world_send(m->w, m->socket, NULL, &m->server, 0, bytes, size);
}

static void list_links(const struct hostile_member *m, struct frame_register *r)
{
    for (unsigned i = 0; i < MEMBER_RUNS_MAX && r->link_count < LINKS_MAX; i++) {
        const struct hostile_run *run = &m->runs[i];
        if (!run->opened || run->left || m->habits.no_link)
            continue;
        struct relay_token *t = &r->links[r->link_count++];
        memcpy(t->token, run->seal.relay_token, sizeof t->token);
        t->side = run->seal.side;
        t->may_tell = m->habits.tells;
    }
}

void hostile_member_register(struct hostile_member *m)
{
    struct frame f = {.kind = FRAME_REGISTER};
    m->token = f.reg.token = rng_token(&m->rng);
    f.reg.has_secret = m->handle != 0;
    memcpy(f.reg.secret, m->secret, sizeof f.reg.secret);
    f.reg.cookie_size = m->cookie_size;
    memcpy(f.reg.cookie, m->cookie, sizeof f.reg.cookie);
    f.reg.form = (uint8_t)m->key.keyword.form;
    f.reg.room = m->key.keyword.room;
    if (f.reg.form == FORM_OPEN) {
        f.reg.prefix_bits = m->prefix_bits;
        f.reg.prefix = keyword_prefix(&m->key.keyword, m->prefix_bits);
    }
    while (m->share_count < SHARES_MAX)
        hostile_share_make(&m->rng, &m->key, &m->shares[m->share_count++]);
    for (unsigned i = 0; i < m->share_count; i++)
        f.reg.shares[f.reg.share_count++] = m->shares[i].share;
    list_links(m, &f.reg);
    f.reg.pad = m->handle == 0;
    hostile_member_to_server(m, &f);
    m->register_at = m->habits.no_refresh ? VTIME_NEVER : clock_of(m) + (m->validated ? REFRESH_US : VTIME_S(1));
    world_touch(m->w, m->actor);
}

void hostile_member_leave(struct hostile_member *m)
{
    struct frame f = {.kind = FRAME_LEAVE, .leave = {.has_secret = true, .reason = LEAVE_QUIT}};
    memcpy(f.leave.secret, m->secret, sizeof f.leave.secret);
    hostile_member_to_server(m, &f);
    m->handle = 0;
    m->validated = false;
    m->cookie_size = 0;
    m->share_count = 0;
}

static void take_registered(struct hostile_member *m, const struct frame_registered *r)
{
    bool again = m->handle != r->handle;
    if (r->token != m->token)
        return;
    m->handle = r->handle;
    memcpy(m->secret, r->secret, sizeof m->secret);
    memcpy(m->cookie, r->cookie, sizeof m->cookie);
    m->cookie_size = r->cookie_size;
    m->proof = seal_proof(m->secret);
    m->validated = !again;
    if (again)
        hostile_member_register(m);
}

/* ---- runs ---- */

static struct hostile_run *free_run(struct hostile_member *m)
{
    for (unsigned i = 0; i < MEMBER_RUNS_MAX; i++)
        if (!m->runs[i].used || (m->runs[i].left && m->runs[i].since + RUN_US < clock_of(m)))
            return &m->runs[i];
    return NULL;
}

static void first_packet(struct hostile_member *m, struct hostile_run *run)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t size = hostile_put_envelope(run, &m->tags, plain, sizeof plain);
    const struct frame offer = {.kind = FRAME_OFFER, .offer = m->offer};
    size += codec_encode_inner(&offer, plain + size, sizeof plain - size);
    hostile_member_send(m, run, plain, size);
}

static void take_peer_info(struct hostile_member *m, const struct frame_peer_info *f)
{
    struct hostile_run *run = free_run(m);
    unsigned i = 0;
    while (i < m->share_count && memcmp(m->shares[i].share.point, f->own_point, CPACE_POINT_BYTES) != 0)
        i++;
    if (i == m->share_count || !run)
        return;
    *run = (struct hostile_run){.own = m->shares[i], .theirs = f->share, .handle = f->handle};
    m->shares[i] = m->shares[--m->share_count];
    m->introduced++;
    if (hostile_run_begin(run, clock_of(m)) && !m->habits.no_envelope)
        first_packet(m, run);
    m->register_at = vtime_min(m->register_at, clock_of(m) + VTIME_S(1));
}

struct hostile_run *hostile_member_meet(struct hostile_member *m, const struct sim_client *c, vtime_us us)
{
    for (vtime_us end = m->w->now + us; m->w->now <= end; world_run_for(m->w, VTIME_MS(10)))
        for (unsigned i = 0; i < MEMBER_RUNS_MAX; i++) {
            struct hostile_run *run = &m->runs[i];
            size_t size = strlen(c->config.name);
            if (run->used && run->opened && !run->left && run->offer.name_size == size &&
                memcmp(run->offer.name, c->config.name, size) == 0 && judge_peer(m->s->judge, c, m->mask))
                return run;
        }
    scene_fail(m->s, "%s did not meet %s within %.3f s", m->mask->label, c->label, (double)us / 1e6);
}

/* ---- sending ---- */

void hostile_member_send(struct hostile_member *m, struct hostile_run *run, const uint8_t *plain, size_t size)
{
    uint8_t *bytes = m->newest;
    struct frame f = {.kind = FRAME_SIGNAL, .signal = {.has_secret = true, .handle = run->handle}};
    size = m->newest_size = hostile_seal(run, clock_of(m), plain, size, bytes);
    if (run->direct.family) {
        world_send(m->w, m->socket, NULL, &run->direct, 0, bytes, size);
        return;
    }
    if (run->link) {
        f.kind = FRAME_RELAY;
        f.relay = (struct frame_relay){.has_secret = true, .link = run->link, .datagram = {bytes, size}};
        memcpy(f.relay.secret, m->secret, sizeof f.relay.secret);
    } else {
        f.signal.datagram = (struct bytes){bytes, size};
        memcpy(f.signal.secret, m->secret, sizeof f.signal.secret);
        memcpy(f.signal.point, run->own.share.point, sizeof f.signal.point);
    }
    hostile_member_to_server(m, &f);
}

void hostile_member_say(struct hostile_member *m, struct hostile_run *run, const struct frame *f)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t size = codec_encode_inner(f, plain, sizeof plain);
    assert(size > 0);
    hostile_member_send(m, run, plain, size);
}

void hostile_member_spoof(struct hostile_member *m, struct hostile_run *run, const struct addr *from,
                          const struct addr *to, const struct frame *f)
{
    uint8_t plain[PLAIN_BYTES_MAX], bytes[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode_inner(f, plain, sizeof plain);
    size = hostile_seal(run, clock_of(m), plain, size, bytes);
    hostile_spoof(m->w, m->host, from, to, bytes, size);
}

void hostile_member_text(struct hostile_member *m, struct hostile_run *run, const char *text)
{
    static uint8_t stream[TEXT_BYTES_MAX + 32];
    struct sim_client_watcher watcher = judge_watcher(m->s->judge);
    size_t size = strlen(text), used, done = 0;
    uint64_t id = ++m->next_id;
    watcher.on_said(watcher.context, m->mask, id, 0, (const uint8_t *)text, size);
    used = varint_put(stream, sizeof stream, id);
    used += varint_put(stream + used, sizeof stream - used, size);
    memcpy(stream + used, text, size);
    used += size;
    while (done < used) {
        size_t piece = used - done < 600 ? used - done : 600;
        const struct frame f = {.kind = FRAME_MESSAGE,
                                .message = {.offset = run->stream_end, .data = {stream + done, piece}}};
        hostile_member_say(m, run, &f);
        run->stream_end += piece;
        done += piece;
    }
}

void hostile_member_offer(struct hostile_member *m, struct hostile_run *run, const struct addr *candidates,
                          size_t count)
{
    m->offer.generation++;
    m->offer.candidate_count = (uint8_t)count;
    for (size_t i = 0; i < count; i++)
        m->offer.candidates[i] = (struct candidate){candidates[i], CANDIDATE_HOST};
    const struct frame f = {.kind = FRAME_OFFER, .offer = m->offer};
    if (run)
        hostile_member_say(m, run, &f);
}

static void ask_for_link(struct hostile_member *m, const struct hostile_run *run)
{
    struct frame f = {.kind = FRAME_LINK, .link = {.token = {.side = run->seal.side, .may_tell = m->habits.tells}}};
    memcpy(f.link.secret, m->secret, sizeof f.link.secret);
    memcpy(f.link.token.token, run->seal.relay_token, RELAY_TOKEN_BYTES);
    hostile_member_to_server(m, &f);
}

/* ---- what comes ---- */

static void tell_judge(struct hostile_member *m, const struct engine_event *e)
{
    struct sim_client_watcher watcher = judge_watcher(m->s->judge);
    const struct sim_event event = {.time = m->w->now, .e = *e};
    watcher.on_event(watcher.context, m->mask, &event);
}

static void take_offer(struct hostile_member *m, struct hostile_run *run, const struct frame_offer *o)
{
    char name[NAME_BYTES_MAX + 1] = {0};
    if (o->generation <= run->offer.generation)
        return;
    run->offer = *o;
    memcpy(name, o->name, o->name_size);
    if (run->number == 0) {
        run->number = ++m->next_number;
        tell_judge(m, &(struct engine_event){.kind = EVENT_PEER, .peer = run->number, .name = name});
    }
}

/* Reads what was said. The judge knows that it is written before anybody is told. */
static void read_on(struct hostile_member *m, struct hostile_run *run)
{
    static uint8_t text[TEXT_BYTES_MAX + 1];
    struct sim_client_watcher watcher = judge_watcher(m->s->judge);
    struct inbox_message message;
    while (inbox_peek(&run->inbox, &message) == INBOX_MESSAGE) {
        inbox_take(&run->inbox, &message, text);
        tell_judge(m, &(struct engine_event){.kind = EVENT_MESSAGE,
                                             .peer = run->number,
                                             .id = message.id,
                                             .text = (const char *)text,
                                             .text_size = message.size});
        watcher.on_written(watcher.context, m->mask, run->number, message.id);
        inbox_written(&run->inbox, message.number);
    }
}

static void answer(struct hostile_member *m, struct hostile_run *run, const struct frame *f, struct bytes *out)
{
    struct frame a = {.kind = FRAME_NONE};
    if (f->kind == FRAME_PUNCH && f->punch.challenge && !m->habits.no_answers)
        a = (struct frame){.kind = FRAME_PUNCH, .punch = {.answer = f->punch.challenge}};
    if (f->kind == FRAME_MESSAGE && !m->habits.no_receipts)
        a = (struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = run->inbox.written}};
    if (a.kind != FRAME_NONE)
        out->size += codec_encode_inner(&a, (uint8_t *)(uintptr_t)out->at + out->size, 400 - out->size);
    if (f->kind == FRAME_MESSAGE && !m->habits.no_credit) {
        uint64_t limit = m->habits.endless_credit ? UINT64_MAX : inbox_limit(&run->inbox);
        a = (struct frame){.kind = FRAME_CREDIT, .credit = {.limit = limit}};
        out->size += codec_encode_inner(&a, (uint8_t *)(uintptr_t)out->at + out->size, 400 - out->size);
    }
}

static void take_frame(struct hostile_member *m, struct hostile_run *run, const struct frame *f)
{
    run->frames[f->kind]++;
    if (f->kind == FRAME_ENVELOPE)
        run->envelope = f->envelope;
    else if (f->kind == FRAME_OFFER)
        take_offer(m, run, &f->offer);
    else if (f->kind == FRAME_CREDIT && f->credit.limit > run->credit)
        run->credit = f->credit.limit;
    else if (f->kind == FRAME_RECEIPT && f->receipt.count > run->receipt)
        run->receipt = f->receipt.count;
    else if (f->kind == FRAME_LEAVE)
        run->left = true;
    else if (f->kind == FRAME_MESSAGE) {
        inbox_put(&run->inbox, f->message.offset, f->message.data.at, f->message.data.size);
        read_on(m, run);
    }
}

static bool take_sealed(struct hostile_member *m, struct hostile_run *run, struct bytes datagram)
{
    uint8_t plain[CIPHERTEXT_BYTES_MAX], reply[400];
    struct bytes out = {reply, 0};
    struct frame f;
    size_t size;
    bool eliciting = false, opened_before = run->opened;
    if (!hostile_open(run, clock_of(m), &m->codec, datagram, plain, &size))
        return false;
    if (!m->habits.no_acks) {
        struct frame ack = {.kind = FRAME_ACK};
        if (received_ack(&run->received, clock_of(m), &ack.ack))
            out.size += codec_encode_inner(&ack, reply, sizeof reply);
    }
    for (struct bytes rest = {plain, size}; rest.size > 0;) {
        enum decode_result ok = codec_decode_inner(&m->codec, &rest, &f);
        if (ok == DECODE_UNKNOWN)
            continue;
        if (ok != DECODE_OK)
            break;
        eliciting |= f.kind == FRAME_ENVELOPE || f.kind == FRAME_OFFER || f.kind == FRAME_MESSAGE ||
                     f.kind == FRAME_RECEIPT || f.kind == FRAME_CREDIT || f.kind == FRAME_PUNCH;
        take_frame(m, run, &f);
        if (m->on_frame)
            m->on_frame(m, run, &f);
        answer(m, run, &f, &out);
    }
    if (!opened_before && !m->habits.no_link)
        ask_for_link(m, run);
    if (eliciting && out.size > 0 && !run->left && !m->habits.no_envelope)
        hostile_member_send(m, run, reply, out.size);
    return true;
}

static void take_linked(struct hostile_member *m, const struct frame_linked *f)
{
    for (unsigned i = 0; i < MEMBER_RUNS_MAX; i++)
        if (m->runs[i].used && memcmp(m->runs[i].seal.relay_token, f->token, sizeof f->token) == 0)
            m->runs[i].link = f->link;
}

static void take_sealed_any(struct hostile_member *m, struct bytes datagram)
{
    for (unsigned i = 0; i < MEMBER_RUNS_MAX; i++)
        if (m->runs[i].used && take_sealed(m, &m->runs[i], datagram))
            return;
}

static void on_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                     const uint8_t *at, size_t size)
{
    struct hostile_member *m = self;
    static struct frame f;
    (void)now;
    (void)socket;
    (void)local;
    (void)from;
    if (codec_decode(&m->codec, at, size, &f) != DECODE_OK)
        return;
    if (f.kind == FRAME_REGISTERED)
        take_registered(m, &f.registered);
    else if (f.kind == FRAME_PEER_INFO)
        take_peer_info(m, &f.peer_info);
    else if (f.kind == FRAME_SIGNAL)
        take_sealed_any(m, f.signal.datagram);
    else if (f.kind == FRAME_RELAY)
        take_sealed_any(m, f.relay.datagram);
    else if (f.kind == FRAME_LINKED)
        take_linked(m, &f.linked);
    else if (f.kind == FRAME_SEALED)
        take_sealed_any(m, (struct bytes){at, size});
    else if (f.kind == FRAME_REFUSED)
        m->refused++;
}

static void on_wake(void *self, vtime_us now)
{
    struct hostile_member *m = self;
    if (now >= m->register_at)
        hostile_member_register(m);
}

static vtime_us on_deadline(void *self)
{
    const struct hostile_member *m = self;
    return m->register_at;
}

/* ---- beginning and end ---- */

/* The judge knows it by its first event. */
static struct sim_client *mask_new(struct hostile_member *m, const char *keyword, const char *label)
{
    struct sim_client *c = calloc(1, sizeof *c);
    struct sim_client_watcher watcher = judge_watcher(m->s->judge);
    const struct sim_event event = {.e = {.kind = EVENT_REGISTERED}};
    assert(c);
    c->w = m->w;
    c->host = m->host;
    c->actor = -1;
    snprintf(c->label, sizeof c->label, "%s", label);
    snprintf(c->name, sizeof c->name, "%s%s", JUDGE_MARK, label);
    snprintf(c->keyword, sizeof c->keyword, "%s", keyword);
    c->config.name = c->name;
    c->config.keyword = c->keyword;
    watcher.on_event(watcher.context, c, &event);
    return c;
}

struct hostile_member *hostile_member_new(struct scene *s, int host, const char *keyword, const char *label)
{
    static const struct actor_calls calls = {on_input, on_wake, on_deadline};
    struct hostile_member *m = calloc(1, sizeof *m);
    uint8_t seed[RNG_SEED_BYTES];
    assert(m);
    m->s = s;
    m->w = s->w;
    m->host = host;
    m->addr = *world_addr(s->w, host, 0);
    m->server = addr_v4(198, 51, 100, 1, SIM_SERVER_PORT);
    m->runs = calloc(MEMBER_RUNS_MAX, sizeof *m->runs);
    assert(m->runs);
    dice_bytes(&s->w->dice, seed, sizeof seed);
    rng_init(&m->rng, seed);
    hostile_key_init(&m->key, keyword ? keyword : s->keyword);
    m->mask = mask_new(m, keyword ? keyword : s->keyword, label);
    m->offer.generation = 1;
    m->offer.name_size = (uint8_t)strlen(m->mask->name);
    memcpy(m->offer.name, m->mask->name, m->offer.name_size);
    m->actor = world_add_actor(s->w, host, &calls, m, label);
    m->socket = world_open(s->w, m->actor, ADDR_V4, 0);
    m->addr.port = world_port(s->w, m->socket);
    hostile_member_register(m);
    return m;
}

void hostile_member_free(struct hostile_member *m)
{
    free(m->mask);
    free(m->runs);
    free(m);
}
