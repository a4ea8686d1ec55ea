#include "wire/replay.h"
#include <assert.h>

/* A ring of words, one more than the window has, so that the window need not begin at a word's
 * edge; going forward clears whole words and never shifts (RFC 6479). */

static uint64_t *word_of(struct replay *w, uint64_t number)
{
    return &w->bits[number / 64 % REPLAY_WORDS];
}

bool replay_is_new(const struct replay *w, uint64_t number)
{
    if (number == UINT64_MAX) /* `next` could not be one more */
        return false;
    if (number >= w->next)
        return true;
    if (w->next - number > REPLAY_WINDOW_BITS)
        return false;
    return (w->bits[number / 64 % REPLAY_WORDS] >> (number % 64) & 1) == 0;
}

void replay_mark(struct replay *w, uint64_t number)
{
    assert(replay_is_new(w, number));
    if (number >= w->next) {
        uint64_t fresh = w->next / 64 + (w->next % 64 != 0); /* the first word without a number below next */
        uint64_t last = number / 64;
        if (last >= REPLAY_WORDS && fresh <= last - REPLAY_WORDS)
            fresh = last - REPLAY_WORDS + 1; /* a far jump: once around clears everything */
        for (; fresh <= last; fresh++)
            w->bits[fresh % REPLAY_WORDS] = 0;
        w->next = number + 1;
    }
    *word_of(w, number) |= 1ULL << (number % 64);
}
