/* replay.h: which packet numbers have been seen; RFC 6479's window. Pure. */
#ifndef WIRE_REPLAY_H
#define WIRE_REPLAY_H
#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WINDOW_BITS = 2048, REPLAY_WORDS = REPLAY_WINDOW_BITS / 64 + 1 };

struct replay { /* all zero: nothing seen */
    uint64_t next; /* the highest number seen + 1 */
    uint64_t bits[REPLAY_WORDS];
};

/* Would `number` be accepted: never seen and not older than the window. Changes nothing. */
bool replay_is_new(const struct replay *w, uint64_t number);
/* Marks it. Call only after the packet opened, and only if replay_is_new. */
void replay_mark(struct replay *w, uint64_t number);
#endif
