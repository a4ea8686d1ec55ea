/* input.h: standard input as lines, read only when somebody wants them. */
#ifndef CLIENT_INPUT_H
#define CLIENT_INPUT_H
#include <stdbool.h>
#include "client/client.h"
#include "client/lines.h"

struct event;

struct input {
    struct client *client;
    struct lines   lines;
    struct event  *readable;
    bool           armed;
};

/* Lines of up to line_max bytes from descriptor 0. */
void input_open(struct input *in, struct client *c, size_t line_max);
void input_close(struct input *in);
/* False: none is there yet, or all were given (input_has_ended). */
bool input_next(struct input *in, struct line *ret);
bool input_has_ended(const struct input *in);
/* Read on when something comes, or leave it where it is. At the end of every turn. */
void input_arm(struct input *in, bool wanted);
#endif
