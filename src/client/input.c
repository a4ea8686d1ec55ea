#include "client/input.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One read, which does not wait because something is there; the turn gives the lines to the mode. */
static void on_readable(evutil_socket_t fd, short what, void *data)
{
    struct input *in = data;
    size_t size;
    char *space = lines_space(&in->lines, &size);
    (void)what;
    ssize_t got = read(fd, space, size);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got < 0)
        fprintf(stderr, "p2p-client: cannot read standard input: %s; going on as if it had ended\n",
                strerror(errno)); /* and that is its end */
    lines_filled(&in->lines, got < 0 ? 0 : (size_t)got);
    client_turn(in->client);
}

void input_open(struct input *in, struct client *c, size_t line_max)
{
    *in = (struct input){.client = c};
    lines_init(&in->lines, line_max);
    in->readable = event_new(client_base(c), STDIN_FILENO, EV_READ | EV_PERSIST, on_readable, in);
}

void input_close(struct input *in)
{
    event_free(in->readable);
    explicit_bzero(in->lines.at, in->lines.cap);
    lines_free(&in->lines);
}

bool input_next(struct input *in, struct line *ret)
{
    return lines_next(&in->lines, ret);
}

bool input_has_ended(const struct input *in)
{
    return in->lines.ended && in->lines.start == in->lines.end;
}

void input_arm(struct input *in, bool wanted)
{
    wanted = wanted && !in->lines.ended;
    if (wanted == in->armed)
        return;
    if (wanted)
        event_add(in->readable, NULL);
    else
        event_del(in->readable);
    in->armed = wanted;
}
