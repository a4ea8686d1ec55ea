/* lines.h: bytes in, lines out, within a fixed size. Pure but for its one buffer.
 *
 *     while (lines_next(l, &line)) ...          until it wants more
 *     space = lines_space(l, &size)             then fill it
 *     lines_filled(l, got)                      got 0: end of input */
#ifndef CLIENT_LINES_H
#define CLIENT_LINES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
    uint64_t    number;   /* from 1 */
    bool        too_long; /* over size_max: reported once, without its text */
    const char *text;     /* without the newline, not terminated; valid until lines_space */
    size_t      size;
};

struct lines {
    char    *at;
    size_t   size_max, cap;
    size_t   start, scanned, end; /* at[start..end) is not yet given out; no newline in at[start..scanned) */
    uint64_t count;
    bool     skipping; /* behind the reported part of a line that is too long */
    bool     ended;
};

void lines_init(struct lines *l, size_t size_max);
void lines_free(struct lines *l);
/* The last line needs no newline. False: feed it, or it is over (ended). */
bool lines_next(struct lines *l, struct line *ret);
char *lines_space(struct lines *l, size_t *ret_size);
void lines_filled(struct lines *l, size_t got);
#endif
