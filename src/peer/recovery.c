#include "peer/recovery.h"
#include "wire/limits.h"
#include <assert.h>
#include <string.h>

/* Backoff ends here: after a blackout of any length the peer is tried again within this time. */
#define PTO_BACKOFF_US VTIME_S(3) /* three people's patience; fewer bytes than a keepalive costs anyway */
#define PTO_MAX_US     VTIME_S(8) /* where the round trip itself seems longer than that */

#define ACK_TRUST_US  VTIME_S(1)
#define SAMPLE_MAX_US PTO_MAX_US /* what is acknowledged later tells how long somebody slept or nothing got through */

static struct sent_packet *at(struct recovery *r, uint32_t i)
{
    return &r->sent[(r->first + i) % SENT_PACKETS_MAX];
}

void recovery_init(struct recovery *r)
{
    r->first = r->count = 0;
    r->path = 0;
    r->has_acked = false;
    r->outstanding = 0;
    r->pto_count = 0;
    r->lost_count = 0;
    recovery_path_changed(r, 0, false);
}

void recovery_path_changed(struct recovery *r, vtime_us now, bool keep)
{
    r->pto_count = 0;
    r->pace_at = now;
    if (keep)
        return;
    r->path++;
    r->has_rtt = false;
    r->latest_rtt = r->min_rtt = 0;
    r->smoothed_rtt = INITIAL_RTT_US; /* s6.2.2 */
    r->rttvar = INITIAL_RTT_US / 2;
    r->window = INITIAL_WINDOW_BYTES;
    r->ssthresh = UINT32_MAX;
    r->in_flight = 0;
    r->recovery_start = 0;
    r->loss_time = VTIME_NEVER;
    for (uint32_t i = 0; i < r->count; i++)
        if (at(r, i)->outstanding)
            r->loss_time = now; /* old packets get their time threshold checked at the next timeout */
}

vtime_us recovery_oldest_at(const struct recovery *r)
{
    for (uint32_t i = 0; r->outstanding > 0 && i < r->count; i++) {
        const struct sent_packet *s = &r->sent[(r->first + i) % SENT_PACKETS_MAX];
        if (s->outstanding && s->path == r->path)
            return s->sent_at;
    }
    return VTIME_NEVER;
}

vtime_us recovery_pto(const struct recovery *r) /* s6.2.1 */
{
    vtime_us var = 4 * r->rttvar;
    return r->smoothed_rtt + (var > GRANULARITY_US ? var : GRANULARITY_US) + ACK_DELAY_MAX_US;
}

bool recovery_has_slot(const struct recovery *r)
{
    return r->count < SENT_PACKETS_MAX;
}

bool recovery_window_open(const struct recovery *r)
{
    return recovery_has_slot(r) && r->in_flight + DATAGRAM_BYTES_MAX <= r->window;
}

bool recovery_may_send(const struct recovery *r, vtime_us now)
{
    return recovery_window_open(r) && now >= r->pace_at;
}

vtime_us recovery_pace_at(const struct recovery *r)
{
    return r->pace_at;
}

/* s7.7: bursts of PACING_BURST_PACKETS, beyond that 1.25 windows a round trip. */
static void pace(struct recovery *r, vtime_us now, uint32_t bytes)
{
    vtime_us per_packet = r->smoothed_rtt * bytes * 4 / (5 * (vtime_us)r->window);
    vtime_us burst = per_packet * PACING_BURST_PACKETS;
    if (r->pace_at + burst < now)
        r->pace_at = now - burst;
    /* pace_at runs behind now by at most a burst; the next packet waits once it has caught up. */
    r->pace_at += per_packet;
}

void recovery_sent(struct recovery *r, vtime_us now, const struct sent_packet *p, bool beside)
{
    assert(recovery_has_slot(r));
    struct sent_packet *s = at(r, r->count++);
    *s = *p;
    s->sent_at = now;
    s->path = beside ? r->path - 1 : r->path;
    s->outstanding = true;
    s->repeated = false;
    r->outstanding++;
    r->eliciting_sent_at = now;
    if (beside)
        return;
    r->in_flight += p->bytes;
    pace(r, now, p->bytes);
}

static void settle(struct recovery *r, struct sent_packet *p)
{
    p->outstanding = false;
    r->outstanding--;
    if (p->path == r->path)
        r->in_flight -= p->bytes;
}

static void drop_settled(struct recovery *r)
{
    while (r->count > 0 && !r->sent[r->first].outstanding) {
        r->first = (r->first + 1) % SENT_PACKETS_MAX;
        r->count--;
    }
}

/* s5, but for the delay that the peer tells: it is taken off the first sample too, and up to ACK_TRUST_US of it are
 * believed. The Ack of an envelope waits on purpose (docs/protocol.md s6), and a round trip that contained this wait
 * would make every loss on the relay cost seconds. Who lies about it is sent more, that is all. */
static void sample_rtt(struct recovery *r, vtime_us sample, vtime_us ack_delay)
{
    ack_delay = vtime_min(ack_delay, ACK_TRUST_US);
    r->latest_rtt = sample > 0 ? sample : 1;
    if (!r->has_rtt) {
        if (r->latest_rtt > ack_delay)
            r->latest_rtt -= ack_delay;
        r->has_rtt = true;
        r->min_rtt = r->smoothed_rtt = r->latest_rtt;
        r->rttvar = r->latest_rtt / 2;
        return;
    }
    r->min_rtt = vtime_min(r->min_rtt, r->latest_rtt);
    vtime_us adjusted = r->latest_rtt >= r->min_rtt + ack_delay ? r->latest_rtt - ack_delay : r->latest_rtt;
    vtime_us diff = r->smoothed_rtt > adjusted ? r->smoothed_rtt - adjusted : adjusted - r->smoothed_rtt;
    r->rttvar = (3 * r->rttvar + diff) / 4;
    r->smoothed_rtt = (7 * r->smoothed_rtt + adjusted) / 8;
}

static void grow(struct recovery *r, const struct sent_packet *p) /* s7.3 */
{
    if (p->path != r->path || (r->recovery_start != 0 && p->sent_at <= r->recovery_start))
        return;
    if (r->in_flight + 3 * DATAGRAM_BYTES_MAX < r->window / 2)
        return; /* limited by the application (s7.8) */
    if (r->window < r->ssthresh)
        r->window += p->bytes;
    else
        r->window += (uint32_t)((uint64_t)DATAGRAM_BYTES_MAX * p->bytes / r->window);
}

static void congestion_event(struct recovery *r, vtime_us now, vtime_us sent_at) /* s7.3.2 */
{
    if (r->recovery_start != 0 && sent_at <= r->recovery_start)
        return;
    r->recovery_start = now;
    r->ssthresh = r->window / 2;
    r->window = r->ssthresh > MINIMUM_WINDOW_BYTES ? r->ssthresh : MINIMUM_WINDOW_BYTES;
}

static vtime_us loss_delay(const struct recovery *r) /* s6.1.2 */
{
    vtime_us rtt = r->smoothed_rtt > r->latest_rtt ? r->smoothed_rtt : r->latest_rtt;
    rtt = rtt * 9 / 8;
    return rtt > GRANULARITY_US ? rtt : GRANULARITY_US;
}

static void detect_lost(struct recovery *r, vtime_us now, recovery_fate *fate, void *context) /* A.10 */
{
    vtime_us delay = loss_delay(r), oldest = VTIME_NEVER, newest = 0;
    r->loss_time = VTIME_NEVER;
    for (uint32_t i = 0; i < r->count; i++) {
        struct sent_packet *p = at(r, i);
        bool same_path = p->path == r->path;
        if (!p->outstanding)
            continue;
        if (same_path && (!r->has_acked || p->number > r->largest_acked))
            continue;
        bool overtaken = same_path && r->largest_acked >= p->number + PACKET_THRESHOLD;
        if (!overtaken && p->sent_at + delay > now) {
            r->loss_time = vtime_min(r->loss_time, p->sent_at + delay);
            continue;
        }
        settle(r, p);
        r->lost_count++;
        if (same_path) {
            oldest = vtime_min(oldest, p->sent_at);
            newest = p->sent_at > newest ? p->sent_at : newest;
        }
        if (!p->repeated)
            fate(context, p, PACKET_LOST);
    }
    if (oldest != VTIME_NEVER) {
        congestion_event(r, now, newest);
        if (r->has_rtt && newest - oldest > 3 * recovery_pto(r)) /* s7.6 */
            r->window = MINIMUM_WINDOW_BYTES;
    }
    drop_settled(r);
}

static bool covers(const struct frame_ack *ack, uint64_t number)
{
    for (unsigned i = 0; i < ack->range_count; i++)
        if (number >= ack->ranges[i].first)
            return number <= ack->ranges[i].last;
    return false;
}

void recovery_sent_light(struct recovery *r, vtime_us now, uint64_t number)
{
    uint32_t k = r->light_next++ % LIGHT_PACKETS_MAX;
    r->light[k].number = number;
    r->light[k].sent_at = now;
    r->light[k].path = r->path;
}

/* When the packet with the Ack's largest number went out, if that number is news and went over this path; 0: else. */
static vtime_us largest_sent_at(struct recovery *r, uint64_t largest)
{
    if (r->has_heard && largest <= r->largest_heard)
        return 0;
    r->has_heard = true;
    r->largest_heard = largest;
    for (uint32_t i = 0; i < r->count; i++)
        if (at(r, i)->number == largest)
            return at(r, i)->path == r->path ? at(r, i)->sent_at : 0;
    for (uint32_t k = 0; k < LIGHT_PACKETS_MAX; k++)
        if (r->light[k].path == r->path && r->light[k].number == largest)
            return r->light[k].sent_at;
    return 0;
}

bool recovery_acked(struct recovery *r, vtime_us now, const struct frame_ack *ack, uint64_t next, recovery_fate *fate,
                    void *context)
{
    uint64_t largest = ack->ranges[0].last;
    if (largest >= next)
        return false;
    vtime_us sent_at = largest_sent_at(r, largest);
    bool progress = false;
    for (uint32_t i = 0; i < r->count; i++) {
        struct sent_packet *p = at(r, i);
        if (!p->outstanding || !covers(ack, p->number))
            continue;
        /* The largest is news, and something ack-eliciting is (s5.1). But a minute is no round trip, and pacing by it
         * would silence us for minutes more. */
        if (!progress && sent_at != 0 && now - sent_at <= SAMPLE_MAX_US)
            sample_rtt(r, now - sent_at, ack->delay_us);
        progress = true;
        settle(r, p);
        if (p->path == r->path) {
            if (!r->has_acked || p->number > r->largest_acked)
                r->largest_acked = p->number;
            r->has_acked = true;
        }
        grow(r, p);
        fate(context, p, PACKET_ACKED);
    }
    if (progress) {
        r->pto_count = 0;
        detect_lost(r, now, fate, context);
    }
    return true;
}

vtime_us recovery_deadline(const struct recovery *r) /* A.8 */
{
    if (r->outstanding == 0)
        return VTIME_NEVER;
    if (r->loss_time != VTIME_NEVER)
        return r->loss_time;
    vtime_us pto = vtime_min(recovery_pto(r), PTO_MAX_US);
    vtime_us limit = pto > PTO_BACKOFF_US ? pto : PTO_BACKOFF_US;
    return r->eliciting_sent_at + vtime_min(pto << (r->pto_count < 10 ? r->pto_count : 10), limit);
}

/* A packet whose content has been repeated waits only for its Ack: the content now hangs on the newer packet. One whose
 * content is no longer wanted (the receipt for it came, its Ack did not) is over: repeating it for ever would keep
 * the others from being repeated. */
void recovery_repeat_oldest(struct recovery *r, recovery_fate *fate, void *context)
{
    unsigned repeated = 0;
    bool crowded = r->count > SENT_PACKETS_MAX - 2;
    for (uint32_t i = 0; i < r->count && repeated < 2; i++) {
        struct sent_packet *p = at(r, i);
        if (!p->outstanding || (p->repeated && !crowded))
            continue;
        bool wanted = !p->repeated && fate(context, p, PACKET_LOST);
        p->repeated = true;
        repeated += wanted;
        if (!wanted || crowded) /* their repetition needs a place, or nothing would ever be sent again */
            settle(r, p);
    }
    drop_settled(r);
}

bool recovery_timeout(struct recovery *r, vtime_us now, recovery_fate *fate, void *context) /* A.9 */
{
    if (now < recovery_deadline(r))
        return false;
    if (r->loss_time != VTIME_NEVER) {
        detect_lost(r, now, fate, context);
        if (now < recovery_deadline(r))
            return false;
    }
    r->pto_count++;
    r->eliciting_sent_at = now; /* the next one counts from here even if no path can carry a probe now */
    recovery_repeat_oldest(r, fate, context);
    return true;
}

void recovery_heard(struct recovery *r)
{
    if (r->pto_count > 2)
        r->pto_count = 2;
}

bool recovery_carries(const struct recovery *r, uint8_t carried)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct sent_packet *p = &r->sent[(r->first + i) % SENT_PACKETS_MAX];
        if (p->outstanding && (p->carried & carried))
            return true;
    }
    return false;
}
