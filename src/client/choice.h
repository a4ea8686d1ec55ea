/* choice.h: what a word that was begun may be meant to be. Pure but for the buffer's heap. */
#ifndef CLIENT_CHOICE_H
#define CLIENT_CHOICE_H
#include "client/buffer.h"
#include <stddef.h>

struct choice {
    const char   *prefix; /* set these two, all else zero */
    size_t        prefix_size;
    const char   *first; /* of those that begin with it */
    size_t        common_size; /* bytes, from the beginning, in which they all agree; whole characters of UTF-8 */
    unsigned      count;
    struct buffer all; /* for people; to be freed */
};

/* `word` is not copied. */
void choice_offer(struct choice *c, const char *word);
#endif
