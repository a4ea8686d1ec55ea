/* Signal: envelopes between two that are being introduced. */
#include "server/core_internal.h"
#include <string.h>

static void forward(struct server *s, const struct introduction *i, int from, const struct bytes *datagram)
{
    const uint32_t to = i->side[1 - from].party;
    struct frame f = {.kind = FRAME_SIGNAL,
                      .signal = {.proof = party_at(s, to)->proof,
                                 .handle = party_at(s, i->side[from].party)->handle,
                                 .datagram = *datagram}};
    memcpy(f.signal.point, i->side[from].share.point, 32);
    if (send_to(s, to, &f))
        s->counts[COUNT_SIGNALS]++;
}

static size_t signal_size(size_t datagram)
{
    return SIGNAL_BYTES_MAX - SIGNAL_DATAGRAM_BYTES_MAX + datagram;
}

static void deliver(struct server *s, struct introduction *i, int from, const struct bytes *datagram)
{
    struct introduction_side *receiver = &i->side[1 - from];
    const size_t size = signal_size(datagram->size);
    if (!send_fits(s, receiver->party, size)) {
        struct stranger *u = stranger_at(s, receiver->party);
        u->slot_size = (uint16_t)datagram->size;
        memcpy(u->slot, datagram->at, datagram->size);
        return;
    }
    if (receiver->frames == 0 && !receiver->prompted) {
        receiver->prompted = true;
        introduction_send_peer_info(s, i, 1 - from, size + header_bytes(&party_at(s, receiver->party)->path.from));
    }
    forward(s, i, from, datagram);
}

void signal_forward(struct server *s, uint32_t sender, const struct frame_signal *f)
{
    for (uint32_t id = party_at(s, sender)->introductions; id != 0; id = introduction_next(s, id, sender)) {
        struct introduction *i = introduction_at(s, id);
        const int from = introduction_side_of(i, sender);
        struct introduction_side *own = &i->side[from];
        const uint32_t to = i->side[1 - from].party;
        if (to == 0 || party_at(s, to)->handle != f->handle || memcmp(own->share.point, f->point, 32) != 0)
            continue;
        if (own->frames == SIGNAL_FRAMES_MAX || own->bytes + f->datagram.size > SIGNAL_BYTES_TOTAL_MAX)
            break;
        own->frames++;
        own->bytes = (uint16_t)(own->bytes + f->datagram.size);
        party_at(s, sender)->unanswered = 0;
        deliver(s, i, from, &f->datagram);
        return;
    }
    s->counts[COUNT_SIGNALS_DROPPED]++;
}

void signal_deliver_slot(struct server *s, uint32_t registration, const uint8_t *datagram, size_t size)
{
    uint32_t id = party_at(s, registration)->introductions;
    if (id == 0 || size == 0)
        return;
    struct introduction *i = introduction_at(s, id);
    const int to = introduction_side_of(i, registration);
    if (i->side[1 - to].party != 0)
        deliver(s, i, 1 - to, &(struct bytes){datagram, size});
}
