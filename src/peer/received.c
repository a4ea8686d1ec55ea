#include "peer/received.h"
#include <string.h>

static void insert(struct received *r, unsigned at, uint64_t number)
{
    if (r->count == ACK_RANGES_MAX) {
        if (at == ACK_RANGES_MAX)
            return; /* lower than all that we remember: not worth a range */
        r->count--;
    }
    memmove(&r->ranges[at + 1], &r->ranges[at], (size_t)(r->count - at) * sizeof r->ranges[0]);
    r->ranges[at] = (struct ack_range){number, number};
    r->count++;
}

static void merge_down(struct received *r, unsigned at)
{
    if (at + 1U >= r->count || r->ranges[at].first != r->ranges[at + 1].last + 1)
        return;
    r->ranges[at].first = r->ranges[at + 1].first;
    memmove(&r->ranges[at + 1], &r->ranges[at + 2], (size_t)(r->count - at - 2U) * sizeof r->ranges[0]);
    r->count--;
}

static void note(struct received *r, uint64_t number)
{
    unsigned i = 0;
    while (i < r->count && r->ranges[i].first > number + 1)
        i++;
    if (i == r->count || number > r->ranges[i].last + 1) {
        insert(r, i, number);
    } else if (number == r->ranges[i].last + 1) {
        r->ranges[i].last = number; /* had it touched the range above, that one would have been found */
    } else if (number + 1 == r->ranges[i].first) {
        r->ranges[i].first = number;
        merge_down(r, i);
    }
}

void received_add(struct received *r, vtime_us now, uint64_t number, bool ack_eliciting, vtime_us delay_us)
{
    bool newest = r->count == 0 || number > r->ranges[0].last;
    bool gap = r->count > 0 && number != r->ranges[0].last + 1;
    note(r, number);
    if (newest)
        r->largest_at = now;
    if (!ack_eliciting)
        return;
    vtime_us at = gap || r->unacknowledged > 0 ? now : now + delay_us;
    r->ack_at = r->unacknowledged > 0 ? vtime_min(r->ack_at, at) : at;
    r->unacknowledged++;
}

vtime_us received_deadline(const struct received *r)
{
    return r->unacknowledged > 0 ? r->ack_at : VTIME_NEVER;
}

bool received_ack(const struct received *r, vtime_us now, struct frame_ack *ret)
{
    if (r->count == 0)
        return false;
    vtime_us delay = now - r->largest_at;
    ret->delay_us = (uint32_t)(delay < VTIME_S(10) ? delay : VTIME_S(10));
    ret->range_count = r->count;
    memcpy(ret->ranges, r->ranges, r->count * sizeof r->ranges[0]);
    return true;
}

void received_acknowledged(struct received *r)
{
    r->unacknowledged = 0;
}
