/* bystanders.h: other people behind somebody's NAT, who know nothing of us: BYSTANDERS_FLOWS flows of theirs are asked
 * over and over, and each second they begin a new one. What we do to their router must not break the first, and must
 * let new ones fail once at the most, and not for long. */
#ifndef SIM_BYSTANDERS_H
#define SIM_BYSTANDERS_H
#include "world.h"

enum { BYSTANDERS_FLOWS = 30 };

struct bystanders {
    struct world *w;
    int host, actor;
    struct addr echo;
    vtime_us tick_at; /* the host's clock */
    int sockets[BYSTANDERS_FLOWS + 1]; /* the last: the new one */
    bool answered[BYSTANDERS_FLOWS + 1];
    unsigned ticks;
    unsigned broken;      /* times that an old flow was not answered */
    unsigned new_failed;  /* new flows that were not */
    vtime_us failed_first_at, failed_last_at; /* when the first and the last of those was begun */
};

/* How long new flows failed, now and then or always: from when the first was tried until the last was given up. */
vtime_us bystanders_failing_us(const struct bystanders *b);
/* On a network behind a NAT, and somebody on the internet who answers them, both nearer than a tick. */
void bystanders_start(struct bystanders *b, struct world *w, int network, struct addr ip);
#endif
