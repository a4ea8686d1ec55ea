/* tell.h: what every shell tells its engine in the same way, whatever loop it has. */
#ifndef LOOP_TELL_H
#define LOOP_TELL_H
#include "peer/engine.h"

/* The answer to OUT_OPEN: opened (error 0) at `local`, or an errno. */
void tell_opened(struct engine *e, uint16_t socket, int error, const struct addr *local);
/* OUT_SEND ended with this errno, or with 0. Errors that are but loss are not told. */
void tell_sent(struct engine *e, const struct engine_out *out, int error);

struct told_interfaces { /* all zero to begin with */
    struct addr addrs[ENGINE_INTERFACES_MAX];
    uint8_t     prefixes[ENGINE_INTERFACES_MAX];
    size_t      count;
};

/* The machine's addresses, as a command that points into *t. False: they are as they were told last. */
bool tell_interfaces_changed(struct told_interfaces *t, bool with_loopback, struct engine_command *ret);
#endif
