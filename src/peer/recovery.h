/* recovery.h: RFC 9002 over the packets of one session: round-trip time, loss, probe timeout, NewReno, pacing.
 * Names and section numbers are the RFC's. Pure.
 *
 * There is one current path. Packets that went over an earlier one are lost only by time, count towards no
 * window and give no RTT sample (DESIGN s7). */
#ifndef PEER_RECOVERY_H
#define PEER_RECOVERY_H
#include "wire/codec.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stdint.h>

enum { SENT_PACKETS_MAX = 512, LIGHT_PACKETS_MAX = 32 };

/* What a packet carried and must be sent again if it is lost. */
enum { CARRIED_ENVELOPE = 1, CARRIED_OFFER = 2, CARRIED_RECEIPT = 4, CARRIED_CREDIT = 8, CARRIED_AIM = 16 };

struct sent_packet {
    uint64_t number;
    vtime_us sent_at;
    uint64_t stream_offset; /* of the piece of messages in it */
    uint16_t stream_size;   /* 0: none */
    uint16_t bytes;
    uint32_t epoch;
    uint32_t path; /* generation of the path it went over */
    uint8_t carried;
    bool outstanding; /* neither acknowledged nor lost */
    bool repeated;    /* a probe has carried its content again */
};

struct recovery {
    struct sent_packet sent[SENT_PACKETS_MAX]; /* ring, by number */
    uint32_t first, count;
    struct { /* ring of the last packets that are not ack-eliciting: their Acks tell the round trip, too (s5.1) */
        uint64_t number;
        vtime_us sent_at;
        uint32_t path; /* 0: none */
    } light[LIGHT_PACKETS_MAX];
    uint32_t light_next;
    uint32_t path; /* generation of the current one */
    bool has_rtt, has_acked, has_heard;
    uint64_t largest_acked;
    uint64_t largest_heard; /* of any Ack's largest, light packets too */
    vtime_us latest_rtt, smoothed_rtt, rttvar, min_rtt;
    uint32_t window, ssthresh, in_flight; /* bytes */
    vtime_us recovery_start;              /* of the congestion event; 0: none yet */
    vtime_us loss_time;                   /* VTIME_NEVER: none pending */
    vtime_us eliciting_sent_at;           /* the last one */
    uint32_t outstanding;                 /* packets, on any path */
    uint32_t pto_count;
    vtime_us pace_at; /* no earlier than this */
    uint32_t lost_count;
};

enum packet_fate { PACKET_ACKED, PACKET_LOST };
/* Returns, of a lost one, whether anything in it has to be sent again. */
typedef bool recovery_fate(void *context, const struct sent_packet *p, enum packet_fate fate);

void recovery_init(struct recovery *r);
/* The session goes on over another path. keep: it is the same path with another port. */
void recovery_path_changed(struct recovery *r, vtime_us now, bool keep);
/* A slot, the window and the pacer allow one more packet. */
bool recovery_may_send(const struct recovery *r, vtime_us now);
bool recovery_has_slot(const struct recovery *r);
/* When the pacer alone holds the next packet back; now or earlier if it does not. */
vtime_us recovery_pace_at(const struct recovery *r);
/* The window alone allows one more packet. */
bool recovery_window_open(const struct recovery *r);
/* An ack-eliciting packet went out; beside: over another path than the current one. */
void recovery_sent(struct recovery *r, vtime_us now, const struct sent_packet *p, bool beside);
/* A packet that is not ack-eliciting went out over the current path. */
void recovery_sent_light(struct recovery *r, vtime_us now, uint64_t number);
/* False if the Ack speaks of packets that were never sent (`next` is the first such number): nothing is changed. */
bool recovery_acked(struct recovery *r, vtime_us now, const struct frame_ack *ack, uint64_t next, recovery_fate *fate,
                    void *context);
vtime_us recovery_deadline(const struct recovery *r);
/* Call when the deadline has come. True: probes are due (s6.2.4); recovery_repeat_oldest has been
 * called for the first. */
bool recovery_timeout(struct recovery *r, vtime_us now, recovery_fate *fate, void *context);
/* Reports the two oldest outstanding packets as lost, so that a probe repeats them; they stay outstanding
 * unless the ring is full of others. */
void recovery_repeat_oldest(struct recovery *r, recovery_fate *fate, void *context);
/* When the oldest packet that nothing is known of went out over the current path; VTIME_NEVER: there is none. */
vtime_us recovery_oldest_at(const struct recovery *r);
/* The probe timeout without backoff. */
vtime_us recovery_pto(const struct recovery *r);
/* Does an outstanding packet carry one of these? */
bool recovery_carries(const struct recovery *r, uint8_t carried);
/* The peer was heard after a silence: start over with short timeouts. */
void recovery_heard(struct recovery *r);
#endif
