/* A program with p2p-client's libraries that waits in libevent's loop for a line that never comes: the least that an
 * idle client can take. Says `ready`, and runs until it is killed. */
#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    event_base_loopbreak(context);
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct event *input = base == NULL ? NULL : event_new(base, 0, EV_READ, on_readable, base);
    if (sodium_init() < 0 || input == NULL || event_add(input, NULL) != 0) {
        fputs("bench: no event loop on standard input; give it a pipe\n", stderr);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    event_base_dispatch(base);
    event_free(input);
    event_base_free(base);
    return 0;
}
