/* What the judge reads off the wire. */
#include <string.h>

#include "judge.h"
#include "judge_parts.h"
#include "world_parts.h"

static bool is_at_server(const struct judge *j, const struct addr *ip)
{
    if (!j->server)
        return false;
    for (size_t i = 0; world_addr(j->w, j->server->host, i); i++)
        if (addr_ip_equal(world_addr(j->w, j->server->host, i), ip))
            return true;
    return false;
}

/* ---- secrets ---- */

static bool contains(const struct packet *p, const void *needle, size_t size)
{
    return size > 0 && memmem(p->bytes, p->size, needle, size) != NULL;
}

static void check_secrets(const struct judge *j, const struct packet *p)
{
    if (contains(p, JUDGE_MARK, sizeof JUDGE_MARK - 1))
        judge_fail(j, "a text or a name is in clear in a datagram of %s", world_name(j->w, p->origin));
    for (int i = 0; i < j->client_count; i++) {
        const struct judge_client *jc = &j->clients[i];
        size_t size = strlen(jc->keyword);
        if (size < 6) /* shorter ones turn up by chance */
            continue;
        const char *secret = strchr(jc->keyword, '-');
        secret = secret && strlen(secret) > 6 ? secret : jc->keyword;
        if (contains(p, secret, strlen(secret)))
            judge_fail(j, "the keyword is in clear in a datagram of %s", world_name(j->w, p->origin));
    }
}

/* As the codec would write it (Address.ip); four bytes alone would turn up by chance. */
static void check_private(const struct judge *j, const struct packet *p)
{
    for (size_t i = 0; world_addr(j->w, p->origin, i); i++) {
        const struct addr *a = world_addr(j->w, p->origin, i);
        uint8_t field[18] = {0x0a, (uint8_t)addr_ip_size(a)};
        memcpy(field + 2, a->ip, addr_ip_size(a));
        if (addr_is_private(a) && contains(p, field, 2 + addr_ip_size(a)))
            judge_fail(j, "%s tells the server its private address", world_name(j->w, p->origin));
    }
}

/* ---- the ledger ---- */

static struct judge_source *source_of(struct judge *j, const struct addr *a, int origin)
{
    for (int i = 0; i < j->source_count; i++)
        if (addr_equal(&j->sources[i].addr, a)) {
            if (origin >= 0)
                j->sources[i].origin = origin;
            return &j->sources[i];
        }
    GROW(j->sources, j->source_count);
    struct judge_source *s = &j->sources[j->source_count++];
    *s = (struct judge_source){.addr = *a, .origin = origin};
    return s;
}

static uint64_t weight(const struct packet *p)
{
    return p->size + (uint64_t)(p->dst.family == ADDR_V6 ? UDP6_HEADER_BYTES : UDP4_HEADER_BYTES);
}

static bool is_proof(const struct judge_source *s, const uint8_t *at, uint8_t size)
{
    for (unsigned i = 0; i < JUDGE_PROOFS; i++)
        if (size > 0 && size == s->proof_size[i] && memcmp(at, s->proofs[i], size) == 0)
            return true;
    return false;
}

static void server_received(struct judge *j, const struct packet *p)
{
    struct judge_source *s = source_of(j, &p->src, p->origin);
    struct frame f;
    s->received += weight(p);
    if (s->validated || codec_decode(j->codec, p->bytes, p->size, &f) != DECODE_OK)
        return;
    if (f.kind == FRAME_REGISTER)
        s->validated = is_proof(s, f.reg.cookie, f.reg.cookie_size) ||
                       (f.reg.has_secret && is_proof(s, f.reg.secret, SECRET_BYTES));
    else if (f.kind == FRAME_SIGNAL)
        s->validated = is_proof(s, f.signal.secret, SECRET_BYTES);
    else if (f.kind == FRAME_LINK)
        s->validated = is_proof(s, f.link.secret, SECRET_BYTES);
    else if (f.kind == FRAME_RELAY)
        s->validated = is_proof(s, f.relay.secret, SECRET_BYTES);
}

static void remember_proof(struct judge_source *s, const uint8_t *at, uint8_t size)
{
    unsigned i = s->proof_next++ % JUDGE_PROOFS;
    s->proof_size[i] = size;
    memcpy(s->proofs[i], at, size);
}

static int client_on(const struct judge *j, int host)
{
    for (int i = j->client_count; i-- > 0;)
        if (j->clients[i].c->host == host)
            return i;
    return -1;
}

static void check_told(struct judge *j, const struct judge_source *to, const struct frame_linked *f)
{
    uint64_t mask = 0;
    for (int i = 8; i-- > 0;)
        mask = mask << 8 | f->token[i];
    if (f->observed.family == ADDR_NONE)
        return;
    struct addr told = addr_mask(&f->observed, mask);
    const struct judge_source *whose = source_of(j, &told, -1);
    int a = client_on(j, to->origin), b = whose->origin < 0 ? -1 : client_on(j, whose->origin);
    if (a >= 0 && b >= 0 && strcmp(j->clients[a].keyword, j->clients[b].keyword) != 0)
        judge_fail(j, "the server told %s the address of %s, who has another keyword", j->clients[a].c->label,
                   j->clients[b].c->label);
}

static void server_sent(struct judge *j, const struct packet *p)
{
    struct frame f;
    struct judge_source *s = source_of(j, &p->dst, -1);
    s->sent += weight(p);
    if (!s->validated && s->sent > s->received)
        judge_fail(j, "the server sent %llu bytes to a source that sent %llu and has not shown that it receives there",
                   (unsigned long long)s->sent, (unsigned long long)s->received);
    if (codec_decode(j->codec, p->bytes, p->size, &f) != DECODE_OK)
        judge_fail(j, "the server sent what is no frame");
    if (f.kind == FRAME_REGISTERED) {
        remember_proof(s, f.registered.cookie, f.registered.cookie_size);
        remember_proof(s, f.registered.secret, SECRET_BYTES);
    }
    if (f.kind == FRAME_RETRY)
        remember_proof(s, f.retry.cookie, f.retry.cookie_size);
    if (f.kind == FRAME_LINKED) {
        struct judge_source copy = *s; /* source_of may move the table */
        check_told(j, &copy, &f.linked);
    }
}

/* ---- */

static void count_sent(struct judge *j, const struct packet *p, bool by_server)
{
    struct judge_traffic *t = &j->traffic;
    if (by_server) {
        t->from_server++;
        t->bytes_from_server += p->size;
    } else if (is_at_server(j, &p->dst)) {
        t->to_server++;
        t->bytes_to_server += p->size;
    } else {
        t->to_others++;
        t->bytes_to_others += p->size;
    }
}

void judge_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    struct judge *j = context;
    bool at_server = j->server && node == j->server->host;
    (void)actor;
    if (fate == FATE_SENT) {
        check_secrets(j, p);
        count_sent(j, p, at_server);
        if (at_server)
            server_sent(j, p);
        else if (is_at_server(j, &p->dst))
            check_private(j, p);
    } else if (fate == FATE_DELIVERED && at_server) {
        server_received(j, p);
    } else if (fate == FATE_DELIVERED && j->server && p->origin != j->server->host) {
        j->traffic.direct++;
    }
}
