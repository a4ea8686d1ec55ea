/* server_check.h: do the tables of a server core agree with each other? For tests and fuzzers; looks inside. */
#ifndef TESTS_SERVER_CHECK_H
#define TESTS_SERVER_CHECK_H
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/core_internal.h"

/* Not assert: it must also hold where NDEBUG is set. */
#define SERVER_CHECK(condition)                                                                                       \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: the tables disagree: %s\n", __FILE__, __LINE__, #condition);                      \
            abort();                                                                                                  \
        }                                                                                                             \
    } while (0)

static inline uint32_t check_list(const struct table *t, size_t offset, const struct list *l)
{
    uint32_t count = 0, previous = 0;
    for (uint32_t id = l->head; id != 0; id = list_next(t, offset, id)) {
        struct node n;
        memcpy(&n, (uint8_t *)table_at(t, id) + offset, sizeof n);
        SERVER_CHECK(n.prev == previous);
        SERVER_CHECK(id <= t->high && ++count <= t->count);
        previous = id;
    }
    SERVER_CHECK(l->tail == previous);
    return count;
}

static inline void check_places(const struct server *s)
{
    const size_t PLACE = offsetof(struct registration, place);
    uint32_t     placed = 0, open = 0;
    for (uint32_t i = 0; i < OPEN_NODES; i++) {
        uint32_t count = check_list(&s->t.registrations, PLACE, &s->open[i]);
        SERVER_CHECK(count == s->open_counts[i]);
        SERVER_CHECK(i < 128 || count <= REGISTRATIONS_PER_ROOM_MAX);
        open += count;
    }
    SERVER_CHECK(open == s->open_total);
    SERVER_CHECK(s->bits_wanted == place_bits_for(open));
    for (uint32_t i = 0; i <= s->t.rooms_mask; i++)
        placed += check_list(&s->t.registrations, PLACE, &s->t.rooms[i]);
    SERVER_CHECK(placed + open == s->t.registrations.count);
}

static inline void check_party(const struct server *s, uint32_t id)
{
    const struct party *p = party_at(s, id);
    uint32_t            introductions = 0;
    SERVER_CHECK(p->handle != 0 && p->proof != 0);
    SERVER_CHECK(party_by_secret(s, p->secret) == id);
    for (uint32_t i = p->introductions; i != 0; i = introduction_next(s, i, id)) {
        const struct introduction *x = introduction_at(s, i);
        SERVER_CHECK(x->side[0].party == id || x->side[1].party == id);
        SERVER_CHECK(x->side[0].party != x->side[1].party);
        SERVER_CHECK(++introductions <= INTRODUCTIONS_EACH_MAX);
    }
    SERVER_CHECK(introductions == p->introduction_count);
}

static inline void check_registrations(const struct server *s, vtime_us now)
{
    const size_t LEASE = offsetof(struct registration, lease);
    uint32_t     counted = 0;
    for (uint32_t i = 0; i <= s->t.prefix_mask; i++)
        counted += s->t.prefix_counts[i];
    SERVER_CHECK(counted == s->t.registrations.count);
    SERVER_CHECK(check_list(&s->t.registrations, LEASE, &s->leases) == s->t.registrations.count);

    vtime_us before = 0;
    for (uint32_t id = s->leases.head; id != 0; id = list_next(&s->t.registrations, LEASE, id)) {
        const struct registration *r = registration_at(s, id);
        uint32_t                   links = 0;
        check_party(s, id);
        SERVER_CHECK(registration_by_source(s, &r->party.path.from) == id);
        SERVER_CHECK(r->share_count <= SHARES_MAX);
        SERVER_CHECK(r->refreshed >= before && r->refreshed + LEASE_US > now);
        before = r->refreshed;
        for (uint32_t l = r->links; l != 0; links++) {
            const struct link *link = link_at(s, l);
            SERVER_CHECK((link->side[0].registration == id) != (link->side[1].registration == id));
            l = link->side[link->side[1].registration == id].next;
        }
        SERVER_CHECK(links == r->link_count && links <= LINKS_EACH_MAX);
    }
}

static inline void check_strangers(const struct server *s, vtime_us now)
{
    const size_t   AGE = offsetof(struct stranger, age);
    const uint32_t base = s->t.registrations.max;
    SERVER_CHECK(check_list(&s->t.strangers, AGE, &s->stranger_ages) == s->t.strangers.count);
    for (uint32_t row = s->stranger_ages.head; row != 0; row = list_next(&s->t.strangers, AGE, row)) {
        const struct stranger *u = stranger_at(s, row + base);
        check_party(s, row + base);
        SERVER_CHECK(stranger_by_source(s, &u->party.path.from) == row + base);
        SERVER_CHECK(u->ledger.sent <= u->ledger.received);
        SERVER_CHECK(u->party.introduction_count <= 1);
        SERVER_CHECK(u->heard + UNVALIDATED_US > now);
    }
}

static inline void check_introductions(const struct server *s, vtime_us now)
{
    const size_t STAGE = offsetof(struct introduction, stage_node);
    uint32_t     count = 0, sides = 0, of_parties = 0;
    for (int stage = 0; stage < STAGES; stage++) {
        vtime_us before = 0;
        count += check_list(&s->t.introductions, STAGE, &s->stages[stage]);
        for (uint32_t i = s->stages[stage].head; i != 0; i = list_next(&s->t.introductions, STAGE, i)) {
            const struct introduction *x = introduction_at(s, i);
            SERVER_CHECK(x->stage == stage && x->due >= before && x->due > now && x->began <= now);
            before = x->due;
            for (int side = 0; side < 2; side++) {
                sides += x->side[side].party != 0;
                SERVER_CHECK(x->side[side].frames <= SIGNAL_FRAMES_MAX);
                SERVER_CHECK(x->side[side].bytes <= SIGNAL_BYTES_TOTAL_MAX);
            }
        }
    }
    SERVER_CHECK(count == s->t.introductions.count);
    for (uint32_t id = s->leases.head; id != 0; id = registration_at(s, id)->lease.next)
        of_parties += party_at(s, id)->introduction_count;
    for (uint32_t row = s->stranger_ages.head; row != 0; row = stranger_at(s, row + s->t.registrations.max)->age.next)
        of_parties += party_at(s, row + s->t.registrations.max)->introduction_count;
    SERVER_CHECK(sides == of_parties);
}

static inline void check_links(const struct server *s)
{
    uint32_t sides = 0, of_registrations = 0, count = 0;
    for (uint32_t i = 0; i <= s->t.link_by_token.mask; i++)
        for (uint32_t l = chain_first(&s->t.link_by_token, i); l != 0;
             l = chain_next(&s->t.links, &s->t.link_by_token, l)) {
            const struct link *link = link_at(s, l);
            SERVER_CHECK(++count <= s->t.links.count);
            SERVER_CHECK(link->side[0].registration != link->side[1].registration);
            SERVER_CHECK(link->credit_bytes <= RELAY_BURST_BYTES);
            for (int side = 0; side < 2; side++)
                sides += link->side[side].registration != 0;
        }
    SERVER_CHECK(count == s->t.links.count);
    for (uint32_t id = s->leases.head; id != 0; id = registration_at(s, id)->lease.next)
        of_registrations += registration_at(s, id)->link_count;
    SERVER_CHECK(sides == of_registrations);
}

/* Whoever waits for the end of its house's gap is in a list whose end is due. */
static inline void check_failed(const struct server *s, vtime_us now)
{
    const struct table slots = {
        .base = (uint8_t *)(uintptr_t)s->failed, .stride = sizeof s->failed[0], .max = FAILED_SLOTS, .high = FAILED_SLOTS,
        .count = FAILED_SLOTS};
    uint32_t gaps = 0, waiting = 0, all_waiting = 0;
    vtime_us before = 0;
    check_list(&slots, offsetof(struct failed, gap), &s->gaps);
    for (uint32_t i = s->gaps.head; i != 0; i = s->failed[i - 1].gap.next) {
        SERVER_CHECK(s->failed[i - 1].introduced >= before && s->failed[i - 1].introduced + FAILED_GAP_US > now);
        before = s->failed[i - 1].introduced;
    }
    for (uint32_t i = 0; i < FAILED_SLOTS; i++) {
        const struct failed *f = &s->failed[i];
        gaps += f->in_gap;
        waiting += check_list(&s->t.registrations, offsetof(struct registration, waiting), &f->waiting);
        SERVER_CHECK(f->in_gap || f->waiting.head == 0);
        for (uint32_t id = f->waiting.head; id != 0; id = registration_at(s, id)->waiting.next)
            SERVER_CHECK(registration_at(s, id)->waits_at == i + 1);
    }
    for (uint32_t i = s->gaps.head; i != 0; i = s->failed[i - 1].gap.next)
        gaps--;
    SERVER_CHECK(gaps == 0);
    for (uint32_t id = s->leases.head; id != 0; id = registration_at(s, id)->lease.next)
        all_waiting += registration_at(s, id)->waits_at != 0;
    SERVER_CHECK(waiting == all_waiting);
}

/* Call when everything that was due has been polled. */
static inline void server_check(const struct server *s, vtime_us now)
{
    check_places(s);
    check_registrations(s, now);
    check_strangers(s, now);
    check_introductions(s, now);
    check_links(s);
    check_failed(s, now);
    SERVER_CHECK(s->out_count == 0);
}
#endif
