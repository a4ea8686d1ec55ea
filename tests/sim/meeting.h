/* meeting.h: two homes; ann waits in one, bob comes in the other: when each knew the other, when the first datagram came
 * directly, and how many were sent from home to home. */
#ifndef SIM_MEETING_H
#define SIM_MEETING_H
#include "scene.h"

enum { MEETING_RATE_WINDOW = 501 }; /* so many sends are remembered: one more than a second may have */

struct meeting_side { /* of ann, of bob */
    int          home;
    vtime_us     heard_at;  /* the first datagram straight from the other's home; VTIME_NEVER: none yet */
    uint64_t     sent;      /* towards addresses that are not the server's */
    vtime_us     latest[MEETING_RATE_WINDOW]; /* of these, when */
    bool         too_fast;  /* a second had MEETING_RATE_WINDOW of them */
};

struct meeting {
    struct scene *s;
    struct sim_client *a, *b;
    struct meeting_side side[2];
    vtime_us delay_us[2]; /* one way, home to core */
    vtime_us began_at;    /* bob's first packet is not before */
};

/* The internet's core takes 6 hops. Ann joins in the first of the homes and waits 10 to 60 s. Both have typed something. */
void meeting_wait(struct meeting *m, struct scene *s, const struct nat_kind *a, const struct nat_kind *b, vtime_us delay_a_us,
                  vtime_us delay_b_us);
/* Bob comes. */
void meeting_begin(struct meeting *m);

/* When both had opened the other's envelope; VTIME_NEVER: not yet. */
vtime_us meeting_known_at(const struct meeting *m);
/* Runs until the path is direct at both ends, at most so long after both know each other (10 s for that). Returns how
 * long it took, VTIME_NEVER if it did not happen. */
vtime_us meeting_until_direct(struct meeting *m, vtime_us within_us);
/* From meeting_known_at to the first datagram at both ends that came directly; VTIME_NEVER. */
vtime_us meeting_first_direct(const struct meeting *m);
vtime_us meeting_round_trip(const struct meeting *m); /* P */
vtime_us meeting_floor(const struct meeting *m);      /* T */
bool     meeting_is_direct(const struct meeting *m);  /* at both ends */

enum meeting_who { MEETING_ANN, MEETING_BOB, MEETING_BOTH };
/* They say something every 300 ms for so long. */
void meeting_chat(struct meeting *m, enum meeting_who speaker, vtime_us us);
/* Their NATs forget what they know; or reboot, and give other ports from then on. */
void meeting_forget(struct meeting *m, enum meeting_who whose, bool reboots);
/* After it: 10 s of chat arrive, the path is direct again at most so long after them, and what is said then goes there and
 * nowhere else; nothing is told as failed, nobody is met anew. Returns how long it took, the chat included. */
vtime_us meeting_recover(struct meeting *m, enum meeting_who speaker, vtime_us within_us);

/* ---- many of them ---- */
struct sample {
    uint64_t *values;
    size_t    count, cap;
};
void     sample_add(struct sample *s, uint64_t value);
uint64_t sample_percentile(struct sample *s, unsigned percent); /* 50: median; 100: the largest; 0 of none */
void     sample_free(struct sample *s);
#endif
