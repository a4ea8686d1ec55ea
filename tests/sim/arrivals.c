#include "world_parts.h"

static bool before(const struct arrival *a, const struct arrival *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void arrivals_push(struct world_parts *q, const struct arrival *a)
{
    if (q->heap_count == q->heap_cap) {
        q->heap_cap = q->heap_cap ? q->heap_cap * 2 : 64;
        q->heap = world_grow(q->heap, q->heap_cap * sizeof *q->heap);
    }
    size_t at = q->heap_count++;
    struct arrival new = *a;
    new.order = q->order_next++;
    while (at > 0 && before(&new, &q->heap[(at - 1) / 2])) {
        q->heap[at] = q->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    q->heap[at] = new;
}

struct arrival arrivals_pop(struct world_parts *q)
{
    struct arrival top = q->heap[0], last = q->heap[--q->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= q->heap_count)
            break;
        if (child + 1 < q->heap_count && before(&q->heap[child + 1], &q->heap[child]))
            child++;
        if (!before(&q->heap[child], &last))
            break;
        q->heap[at] = q->heap[child];
        at = child;
    }
    q->heap[at] = last;
    return top;
}
