/* loop.h: a shell for programs that embed the engine and have no event loop of their own. Linux: poll(2). */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H
#include "peer/engine.h"

/* p2p.h from here */
/* ---- a loop, for programs that have none of their own (Linux) ----
 * All that "Owns no socket" above leaves to the caller: sockets, the clock, entropy, the machine's addresses, the server's
 * name. It blocks while a name is being resolved, and is not for a program that has a loop already. */
struct engine_loop {
    const char *server; /* HOST or HOST:PORT: a name, 192.0.2.1, [2001:db8::1]; port 41414 if left out */
    /* Something has happened. May call engine_command and the functions that look in; `event`, with all that it points
     * to, is valid until it returns, and then a message counts as written. */
    void (*event)(struct engine *e, vtime_us now, const struct engine_event *event, void *data);
    /* NULL: nothing else is watched. Else called when `fd` can be read, or is at its end; NULL again ends it. */
    void (*readable)(struct engine *e, vtime_us now, void *data);
    int fd;
    void *data;
};

/* From engine_init to EVENT_END, whose status it returns; or -errno: no memory, or no entropy from the system. Memory is
 * set aside, wiped and freed in here; COMMAND_QUIT or COMMAND_FINISH, from one of the two functions, ends it. */
int engine_run(const struct engine_config *config, struct engine_loop *loop);
/* p2p.h to here */
#endif
