/* screen.h: the terminal of the console: a line being typed at the bottom, everything else above it. With libedit,
 * or plain (TERM=dumb): then the terminal itself edits lines.
 *
 * Nothing here waits: keys come through the event loop, and libedit writes into an output queue. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H
#include <stdbool.h>
#include <stddef.h>
#include "client/buffer.h"
#include "client/client.h"
#include "client/output.h"

struct screen;

struct screen_user {
    /* One was typed; one that was pasted may have line breaks. text == NULL: end of input, by Ctrl-D on an empty line or
     * because the terminal is gone. size > TEXT_BYTES_MAX: it was too long, and is not there. */
    void (*line)(void *data, const char *text, size_t size);
    /* Tab, behind `text`: what is to be put there goes to ret. May print. */
    void (*complete)(void *data, const char *text, size_t size, struct buffer *ret);
    void *data;
};

struct screen *screen_open(struct client *c, const struct screen_user *user);
/* Puts the terminal back as it was. */
void screen_close(struct screen *s);
/* Whole lines, already fit for a terminal, above the one being typed. */
void screen_print(struct screen *s, const char *text, size_t size);
size_t screen_columns(const struct screen *s);
/* May we use bold and dim? */
bool screen_has_style(const struct screen *s);
struct output *screen_output(struct screen *s);
/* Are keys read? At the end of every turn. */
void screen_arm(struct screen *s, bool wanted);
/* SIGWINCH, SIGTSTP, SIGCONT. */
void screen_signal(struct screen *s, int number);
#endif
