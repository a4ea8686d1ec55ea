/* paste.h: text that the terminal says was pasted (ESC[200~ ... ESC[201~), taken out of the keys. Pure but for the
 * buffer's heap. */
#ifndef CLIENT_PASTE_H
#define CLIENT_PASTE_H
#include "client/buffer.h"
#include "client/keys.h"
#include <stdbool.h>

#define PASTE_ASK  "\x1b[?2004h" /* to a terminal: mark what is pasted; */
#define PASTE_STOP "\x1b[?2004l" /* as it was */

enum { PASTE_BYTES_MAX = 65536 }; /* far over what a message may have; the rest is not kept */

struct paste { /* all zero: nothing is being pasted */
    bool          open;
    struct buffer text;
};

enum paste_step {
    PASTE_NONE, /* the next key, if there is one, was typed */
    PASTE_MORE, /* all that is there belongs to a paste that goes on */
    PASTE_DONE, /* p->text is what was pasted: UTF-8 as far as it was, a line's end is LF, none at the end. Clear it. */
};
enum paste_step paste_take(struct paste *p, struct keys *k);
#endif
