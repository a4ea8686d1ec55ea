/* options.h: the command line of p2p-client-gtk. What most values are worth is
 * judged by p2p-client, to which they go. */
#ifndef GUI_OPTIONS_H
#define GUI_OPTIONS_H
#include <stdbool.h>

enum join_by { JOIN_BY_TYPED, JOIN_BY_FILE, JOIN_BY_NEW };

/* How p2p-client is started. Strings are the heap's; NULL: not given. */
struct join {
    enum join_by by;
    char        *keyword; /* BY_TYPED; secret: wiped by join_clear */
    char        *file;    /* BY_FILE */
    char        *server, *name, *relay, *wait;
};

/* What --relay can be, in the order of the join screen; NULL ends it. */
extern const char *const join_relays[];

void join_clear(struct join *join);
/* Replaces the keyword and wipes the old one. */
void join_set_keyword(struct join *join, const char *keyword);

enum options_verdict {
    OPTIONS_RUN,
    OPTIONS_DONE,  /* --help or --version has been printed */
    OPTIONS_PROBE, /* --probe: say by the status whether a window can be opened */
    OPTIONS_WRONG, /* said on stderr */
};

/* Reads argv, P2P_KEYWORD and P2P_SERVER. Keywords are overwritten there. *ret_has_keyword: no need to ask. */
enum options_verdict options_read(int argc, char **argv, struct join *ret, bool *ret_has_keyword);
#endif
