#include "server/core_internal.h"
#include <string.h>

size_t header_bytes(const struct addr *a)
{
    return a->family == ADDR_V6 ? UDP6_HEADER_BYTES : UDP4_HEADER_BYTES;
}

static bool ledger_fits(const struct ledger *l, size_t cost)
{
    return l->sent + cost <= l->received;
}

/* The one way out. `ledger` NULL: the source is known to be real. */
static bool send_frame(struct server *s, const struct path *path, struct ledger *ledger, const struct frame *f)
{
    if (s->out_count == OUT_MAX) {
        s->counts[COUNT_DROPPED_QUEUE]++;
        return false;
    }
    struct out *out = &s->out[(s->out_first + s->out_count) % OUT_MAX];
    size_t size = codec_encode(f, out->bytes, sizeof out->bytes);
    assert(size > 0);
    if (ledger != NULL) {
        size_t cost = size + header_bytes(&path->from);
        if (!ledger_fits(ledger, cost)) {
            s->counts[COUNT_LEDGER_REFUSED]++;
            return false;
        }
        ledger->sent += cost;
    }
    out->path = *path;
    out->size = (uint16_t)size;
    s->out_count++;
    s->counts[COUNT_SENT]++;
    s->counts[COUNT_SENT_BYTES] += size;
    return true;
}

bool send_to(struct server *s, uint32_t party, const struct frame *f)
{
    struct party *p = party_at(s, party);
    return send_frame(s, &p->path, is_stranger(s, party) ? &stranger_at(s, party)->ledger : NULL, f);
}

bool send_fits(const struct server *s, uint32_t party, size_t size)
{
    if (!is_stranger(s, party))
        return true;
    const struct stranger *u = stranger_at(s, party);
    return ledger_fits(&u->ledger, size + header_bytes(&u->party.path.from));
}

void send_reply(struct server *s, const struct arrival *in, const struct frame *f)
{
    struct ledger own = {.received = in->size + header_bytes(&in->path.from)};
    send_frame(s, &in->path, &own, f);
}

static struct addr alternate_address(const struct server *s, const struct arrival *in)
{
    struct path other;
    struct addr a = {0};
    if (s->config.alternate_port != 0 && probe_other_address(s, &in->path, &other))
        a = other.local;
    a.port = s->config.alternate_port;
    return a;
}

void send_registered(struct server *s, const struct arrival *in, uint32_t party, uint64_t token)
{
    const bool stranger = is_stranger(s, party);
    const struct party *p = party_at(s, party);
    const struct wish *w = stranger ? &stranger_at(s, party)->wish : &registration_at(s, party)->wish;
    struct frame f = {.kind = FRAME_REGISTERED,
                      .registered = {.token = token,
                                     .handle = p->handle,
                                     .cookie_size = COOKIE_BYTES,
                                     .observed = addr_mask(&p->path.from, token),
                                     .alternate = alternate_address(s, in),
                                     .room = w->room,
                                     .lease_s = (uint32_t)(LEASE_US / VTIME_S(1))}};
    /* A stranger in the open form counts already for what it is told, so that its echo can bring the bits. */
    if (w->room == 0)
        f.registered.bits_wanted = place_bits_for(s->open_total + (stranger ? 1 : 0));
    memcpy(f.registered.secret, p->secret, SECRET_BYTES);
    cookie_make(s, in->now, &p->path.from, f.registered.cookie);
    if (send_to(s, party, &f))
        s->counts[COUNT_REGISTERED]++;
}

static struct frame refused_frame(uint64_t token, uint64_t proof, uint8_t code)
{
    static const uint32_t retry_after_s[] = {[REFUSED_ROOM_FULL] = 15, [REFUSED_BUSY] = 5, [REFUSED_CROWDED] = 60};
    return (struct frame){.kind = FRAME_REFUSED,
                          .refused = {.token = token,
                                      .proof = proof,
                                      .code = code,
                                      .retry_after_s = code == REFUSED_UNKNOWN ? 0 : retry_after_s[code]}};
}

static void count_refused(struct server *s, uint8_t code)
{
    static const enum server_count counts[] = {[REFUSED_UNKNOWN] = COUNT_REFUSED_UNKNOWN,
                                               [REFUSED_ROOM_FULL] = COUNT_REFUSED_ROOM_FULL,
                                               [REFUSED_BUSY] = COUNT_REFUSED_BUSY,
                                               [REFUSED_CROWDED] = COUNT_REFUSED_CROWDED};
    s->counts[counts[code]]++;
}

void send_refused(struct server *s, const struct arrival *in, uint64_t token, uint64_t proof, uint8_t code)
{
    struct frame f = refused_frame(token, proof, code);
    count_refused(s, code);
    send_reply(s, in, &f);
}

void send_refused_over_rate(struct server *s, const struct arrival *in, uint64_t token)
{
    struct frame f = refused_frame(token, 0, REFUSED_BUSY);
    s->counts[COUNT_REFUSED_RATE]++;
    send_reply(s, in, &f);
}

void send_refused_to(struct server *s, uint32_t party, uint64_t token, uint64_t proof, uint8_t code)
{
    struct frame f = refused_frame(token, proof, code);
    count_refused(s, code);
    send_to(s, party, &f);
}
