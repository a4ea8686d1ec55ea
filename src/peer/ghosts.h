/* ghosts.h: so that nothing is shown twice when only one of two got as far as a session. Pure.
 *
 * A sends text with a run's first packet; B opens it and shows the text; nothing of B's comes back, so that for A the
 * run never confirms and the text is still to be said. In the next run between the two A names the old one (the
 * tag in Envelope.pending, which only the two can make), and B knows which messages it has shown already. */
#ifndef PEER_GHOSTS_H
#define PEER_GHOSTS_H
#include "wire/limits.h"
#include "wire/seal.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GHOSTS_MAX = 8,  /* as many as shares */
    SHOWN_MAX = 256, /* messages in the first packet of a run: 676 bytes, at least 3 each */
};
#define GHOST_US VTIME_S(600) /* how long the two may take to meet again */

struct shown { /* which messages have been shown: by id and a hash of the text */
    unsigned count;
    struct {
        uint64_t id, hash;
    } messages[SHOWN_MAX];
};

struct ghost {
    vtime_us until; /* 0: none */
    uint8_t same_key[SEAL_KEY_BYTES];
    uint8_t side;       /* ours in it */
    struct shown shown; /* empty on the side that spoke */
};

void shown_add(struct shown *s, uint64_t id, const uint8_t *text, size_t size);
bool shown_contains(const struct shown *s, uint64_t id, const uint8_t *text, size_t size);
void shown_join(struct shown *s, const struct shown *more);

/* In place of the oldest. shown may be NULL. */
void ghost_add(struct ghost ghosts[static GHOSTS_MAX], vtime_us now, const struct seal *seal,
               const struct shown *shown);
bool ghost_is_there(const struct ghost *g, vtime_us now);
#endif
