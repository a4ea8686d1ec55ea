/* screen.h: the terminal of the console: a line being typed at the bottom, everything else above it. With libedit,
 * or plain (TERM=dumb): then the terminal itself edits lines.
 *
 * Nothing here waits: keys come through the event loop, and libedit writes into an output queue. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H
#include <stdbool.h>
#include <stddef.h>
#include "client/client.h"
#include "client/output.h"

struct screen;

/* line: one was typed. text == NULL: end of input, by Ctrl-D on an empty line or because the terminal is gone. */
struct screen *screen_open(struct client *c, void (*line)(void *, const char *text, size_t size), void *data);
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
