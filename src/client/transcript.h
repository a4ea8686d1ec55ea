/* transcript.h: what was said and what happened in this session, kept in memory for /save. */
#ifndef CLIENT_TRANSCRIPT_H
#define CLIENT_TRANSCRIPT_H
#include "client/buffer.h"
#include <stdbool.h>

enum { TRANSCRIPT_BYTES_MAX = 4 << 20 }; /* days of chat; what is older goes */

struct transcript { /* all zero is empty */
    struct buffer text;
    bool          cut; /* something older has gone */
};

/* One entry, fit for a terminal, without a line's end at the end; the time goes in front. */
void transcript_add(struct transcript *t, const char *entry, size_t size);
/* Into a new file that only its owner can read. Returns 0, or an errno: EEXIST if there is one already; then, and
 * after any other error, nothing is left behind and nothing was changed. */
int transcript_save(const struct transcript *t, const char *path);
void transcript_wipe(struct transcript *t);
#endif
