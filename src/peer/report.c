/* Looking in: what /peers, /stats and /verify show. Changes nothing. */
#include "peer/internal.h"
#include "wire/words.h"
#include <string.h>

size_t engine_peers(const struct engine *e, struct engine_peer *ret, size_t cap)
{
    size_t count = 0;
    for (uint32_t number = 1; number <= e->next_number; number++)
        for (unsigned i = 0; i < PEER_SLOTS; i++) {
            const struct peer *p = &e->peers[i];
            if (p->state != PEER_LIVE || !p->told || p->number != number)
                continue;
            if (count < cap) {
                const struct path *c = p->chosen >= 0 ? &p->paths[p->chosen] : NULL;
                ret[count] = (struct engine_peer){.peer = p->number,
                                                  .name = p->name,
                                                  .rtt_us = RTT_UNKNOWN,
                                                  .reason = p->path_reason,
                                                  .waiting = (uint32_t)(p->outbox.next - p->outbox.first)};
                ret[count].path = c == NULL ? PATH_NONE : path_kind(c);
                if (c != NULL)
                    ret[count].addr = p->chosen == PATH_RELAYED ? *rendezvous_addr(e) : c->remote;
                if (c != NULL && c->rtt_us > 0)
                    ret[count].rtt_us = (uint32_t)c->rtt_us;
            }
            count++;
        }
    return count;
}

bool engine_verify(const struct engine *e, uint32_t peer, const char *ret_words[static 4])
{
    for (unsigned i = 0; i < PEER_SLOTS; i++) {
        const struct peer *p = &e->peers[i];
        if (p->state != PEER_LIVE || p->number != peer)
            continue;
        uint16_t words[SEAL_WORDS];
        seal_words(&p->seal, p->own.nonce, p->envelope.nonce, words);
        for (unsigned k = 0; k < SEAL_WORDS; k++)
            ret_words[k] = words_list[words[k]];
        return true;
    }
    return false;
}

bool engine_has_room(const struct engine *e, size_t text_size)
{
    return mailbox_has_room(&e->mailbox, text_size);
}

size_t engine_undelivered(const struct engine *e)
{
    return (size_t)(e->mailbox.next - e->mailbox.first);
}

size_t engine_stats(const struct engine *e, struct engine_stat ret[static ENGINE_STATS_MAX])
{
    const struct engine_stat all[] = {
        {"datagrams_in", e->count.datagrams_in},
        {"datagrams_out", e->count.datagrams_out},
        {"bytes_in", e->count.bytes_in},
        {"bytes_out", e->count.bytes_out},
        {"datagrams_dropped", e->count.dropped},
        {"server_frames_refused", e->count.server_frames_refused},
        {"registers", e->count.registers},
        {"punch_attempts", e->count.attempts},
        {"punch_probes", e->count.probes},
        {"server_rtt_us", e->rv.rtt_us},
        {"prefix_bits", e->rv.bits},
        {"peers", e->live},
        {"introductions", e->count.introductions},
        {"introductions_confirmed", e->count.confirmed},
        {"guesses_wrong", e->count.wrong},
        {"guesses_silent", e->count.silent},
        {"reflected", e->count.reflected},
        {"shares_in_stock", e->stock.count},
        {"messages_in", e->count.messages_in},
        {"messages_out", e->count.messages_out},
        {"messages_waiting", e->mailbox.next - e->mailbox.first},
        {"packets_lost", e->count.packets_lost},
        {"packets_forged", e->count.forged},
        {"packets_replayed", e->count.replayed},
    };
    static_assert(sizeof all / sizeof all[0] <= ENGINE_STATS_MAX, "room for all");
    memcpy(ret, all, sizeof all);
    return sizeof all / sizeof all[0];
}
