#include "server/core_internal.h"
#include <sodium.h>
#include <stddef.h>
#include <string.h>

static uint32_t *word_at(const struct table *t, size_t offset, uint32_t id)
{
    return (void *)((uint8_t *)table_at(t, id) + offset);
}

static struct node *node_at(const struct table *t, size_t offset, uint32_t id)
{
    return (void *)((uint8_t *)table_at(t, id) + offset);
}

/* Rows are handed out from the free list first, so that memory that was never needed is never touched. */
uint32_t table_take(struct table *t)
{
    uint32_t id = t->free;
    if (id != 0)
        t->free = *word_at(t, 0, id);
    else if (t->high < t->max)
        id = ++t->high;
    else
        return 0;
    memset(table_at(t, id), 0, t->stride);
    t->count++;
    return id;
}

void table_give(struct table *t, uint32_t id)
{
    assert(id >= 1 && id <= t->high && t->count > 0);
    sodium_memzero(table_at(t, id), t->stride);
    *word_at(t, 0, id) = t->free;
    t->free = id;
    t->count--;
}

void list_append(const struct table *t, size_t offset, struct list *l, uint32_t id)
{
    struct node *n = node_at(t, offset, id);
    n->prev = l->tail;
    n->next = 0;
    if (l->tail != 0)
        node_at(t, offset, l->tail)->next = id;
    else
        l->head = id;
    l->tail = id;
}

void list_remove(const struct table *t, size_t offset, struct list *l, uint32_t id)
{
    struct node *n = node_at(t, offset, id);
    if (n->prev != 0)
        node_at(t, offset, n->prev)->next = n->next;
    else
        l->head = n->next;
    if (n->next != 0)
        node_at(t, offset, n->next)->prev = n->prev;
    else
        l->tail = n->prev;
    n->prev = n->next = 0;
}

uint32_t list_next(const struct table *t, size_t offset, uint32_t id)
{
    return node_at(t, offset, id)->next;
}

void chain_insert(const struct table *t, const struct chain_index *x, uint64_t hash, uint32_t id)
{
    uint32_t *head = &x->heads[hash & x->mask];
    *word_at(t, x->next_offset, id) = *head;
    *head = id;
}

void chain_remove(const struct table *t, const struct chain_index *x, uint64_t hash, uint32_t id)
{
    uint32_t *at = &x->heads[hash & x->mask];
    while (*at != id) {
        assert(*at != 0);
        at = word_at(t, x->next_offset, *at);
    }
    *at = *word_at(t, x->next_offset, id);
}

uint32_t chain_first(const struct chain_index *x, uint64_t hash)
{
    return x->heads[hash & x->mask];
}

uint32_t chain_next(const struct table *t, const struct chain_index *x, uint32_t id)
{
    return *word_at(t, x->next_offset, id);
}

/* ---- the block of memory ---- */

static uint32_t count_or(uint32_t configured, uint32_t otherwise)
{
    uint32_t count = configured != 0 ? configured : otherwise;
    return count < SERVER_CLIENTS_MAX ? count : SERVER_CLIENTS_MAX;
}

static uint32_t power_of_two(uint32_t at_least)
{
    uint32_t n = 16;
    while (n < at_least)
        n *= 2;
    return n;
}

struct layout {
    uint8_t *base; /* NULL: only measure */
    size_t size;
};

static void *lay(struct layout *l, size_t count, size_t each)
{
    const size_t offset = l->size;
    if (count > (SIZE_MAX - 64 - offset) / each) { /* on 32 bits; then all that follows does not fit either */
        l->size = SIZE_MAX - 64;
        return NULL;
    }
    l->size = (offset + count * each + 63) & ~(size_t)63;
    return l->base == NULL ? NULL : l->base + offset;
}

static struct table lay_table(struct layout *l, uint32_t max, size_t stride)
{
    return (struct table){.base = lay(l, max, stride), .stride = stride, .max = max};
}

static struct chain_index lay_index(struct layout *l, uint32_t rows, size_t next_offset)
{
    uint32_t heads = power_of_two(rows);
    return (struct chain_index){
        .heads = lay(l, heads, sizeof(uint32_t)), .mask = heads - 1, .next_offset = next_offset};
}

size_t tables_lay_out(struct tables *ret, uint8_t *block, const struct server_config *config)
{
    const uint32_t registrations = count_or(config->registrations_max, REGISTRATIONS_DEFAULT);
    const uint32_t strangers = count_or(config->unvalidated_max, STRANGERS_DEFAULT);
    const uint32_t introductions = count_or(config->introductions_max, registrations / 4 + 64);
    const uint32_t links = count_or(config->links_max, registrations);
    const uint32_t rooms = power_of_two(registrations / 2), pairs = power_of_two(registrations) / PAIR_WAYS;

    struct layout l = {.base = block};
    lay(&l, 1, sizeof(struct server));
    ret->registrations = lay_table(&l, registrations, sizeof(struct registration));
    ret->strangers = lay_table(&l, strangers, sizeof(struct stranger));
    ret->introductions = lay_table(&l, introductions, sizeof(struct introduction));
    ret->links = lay_table(&l, links, sizeof(struct link));
    ret->registration_by_secret = lay_index(&l, registrations, offsetof(struct registration, next_by_secret));
    ret->registration_by_source = lay_index(&l, registrations, offsetof(struct registration, next_by_source));
    ret->stranger_by_secret = lay_index(&l, strangers, offsetof(struct stranger, next_by_secret));
    ret->stranger_by_source = lay_index(&l, strangers, offsetof(struct stranger, next_by_source));
    ret->link_by_token = lay_index(&l, links, offsetof(struct link, next_by_token));
    ret->shares = lay(&l, registrations, SHARES_MAX * sizeof(struct share_public));
    ret->rooms = lay(&l, rooms, sizeof(struct list));
    ret->rooms_mask = rooms - 1;
    ret->prefix_counts = lay(&l, power_of_two(registrations), sizeof(uint32_t));
    ret->prefix_mask = power_of_two(registrations) - 1;
    ret->pairs = lay(&l, (size_t)pairs * PAIR_WAYS, sizeof(struct pair));
    ret->pairs_mask = pairs - 1;
    ret->spent = lay(&l, SPENT_CELLS * power_of_two(registrations), sizeof *ret->spent);
    ret->spent_mask = SPENT_CELLS * power_of_two(registrations) - 1;
    ret->limit_cells = lay(&l, (size_t)LIMITS * LIMIT_CELLS, sizeof *ret->limit_cells);
    return l.size < SIZE_MAX - 64 ? l.size : SIZE_MAX;
}

/* ---- hashes: keyed, since strangers choose what is hashed ---- */

uint64_t server_hash(const struct server *s, const void *bytes, size_t size)
{
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash-2-4-64");
    crypto_shorthash((uint8_t *)&hash, bytes, size, s->hash_key);
    return hash;
}

uint64_t server_hash_source(const struct server *s, const struct addr *a)
{
    uint8_t bytes[19];
    memcpy(bytes, a->ip, 16);
    memcpy(bytes + 16, &a->port, 2);
    bytes[18] = a->family;
    return server_hash(s, bytes, sizeof bytes);
}

uint32_t server_seconds(const struct server *s, vtime_us now)
{
    return (uint32_t)((now - s->started) / VTIME_S(1)) + 1;
}
