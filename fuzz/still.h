/* still.h: memory that goes back to what it was: an engine that has met somebody, once made, serves every input. Only
 * what an input has touched is made anew. */
#ifndef FUZZ_STILL_H
#define FUZZ_STILL_H
#include <stddef.h>

struct still {
    void  *at; /* zeroed at first; always the same address */
    size_t size;
};

void still_open(struct still *s, size_t size);
/* What is there now is what still_restore brings back. Once. */
void still_keep(struct still *s);
void still_restore(struct still *s);
#endif
