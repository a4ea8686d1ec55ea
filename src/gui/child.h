/* child.h: p2p-client --json as a process of ours: lines in, lines out, and how it went. */
#ifndef GUI_CHILD_H
#define GUI_CHILD_H
#include <gio/gio.h>
#include <stddef.h>
#include "gui/model.h"
#include "gui/options.h"

struct child;

struct child_events { /* called from the main loop */
    void (*line)(void *data, const char *line, size_t size);
    /* Last of all; the child is freed behind it. */
    void (*ended)(void *data, const struct ending *ending);
};

/* NULL: *error says why. The program is looked for beside this one, then in PATH. The keyword goes through a pipe. */
struct child *child_start(const struct join *join, const struct child_events *events, void *data, GError **error);
/* Never waits. */
void child_write(struct child *c, const char *bytes, size_t size);
/* At once, whatever it is doing; `ended` follows. */
void child_kill(struct child *c);
#endif
