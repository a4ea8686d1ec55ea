/* received.h: which of the peer's packets have arrived, and when an Ack is due (RFC 9000 s13.2). Pure. */
#ifndef PEER_RECEIVED_H
#define PEER_RECEIVED_H
#include "wire/codec.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stdint.h>

struct received {                            /* all zero: nothing yet */
    struct ack_range ranges[ACK_RANGES_MAX]; /* highest first, never touching */
    uint8_t count;
    vtime_us largest_at;
    unsigned unacknowledged; /* ack-eliciting packets since the last Ack */
    vtime_us ack_at;         /* when one must go out; meaningful if unacknowledged > 0 */
};

/* A packet opened. delay_us: how long its Ack may wait; less if there is a gap or it is the second. */
void received_add(struct received *r, vtime_us now, uint64_t number, bool ack_eliciting, vtime_us delay_us);
vtime_us received_deadline(const struct received *r);
/* The Ack frame as of now; false if nothing has arrived yet. */
bool received_ack(const struct received *r, vtime_us now, struct frame_ack *ret);
/* Call after an Ack went out over a path that works. */
void received_acknowledged(struct received *r);
#endif
