/* people.h: who is there, as the console and the pipe show it, and sentences about what happens. */
#ifndef CLIENT_PEOPLE_H
#define CLIENT_PEOPLE_H
#include <stdbool.h>
#include "client/buffer.h"
#include "peer/engine.h"

enum { PEOPLE_MAX = 64, PERSON_TEXT_MAX = 4 * NAME_BYTES_MAX * 2 };

struct person {
    uint32_t         peer; /* 0: free */
    bool             present;
    enum engine_path path;
    char             name[PERSON_TEXT_MAX]; /* fit for a terminal (display_name) */
};

struct people {
    struct person all[PEOPLE_MAX];
    size_t        next;     /* the slot that is overwritten next: who has left is remembered for a while */
    bool          distinct; /* show the number behind a name that somebody else here has too */
    bool          server_answered; /* ever */
};

/* Notes what the event says of a peer, or that the server is there. */
void people_note(struct people *p, const struct engine_event *event);
/* Has anybody ever been there? */
bool people_came(const struct people *p);
/* What to say of it and to do about it if not, at the end. Static. */
const char *people_nobody_came(const struct people *p);
/* Never NULL: "peer N" for somebody unknown, "anybody" for 0. `buf` is used for that. */
const char *people_name(const struct people *p, uint32_t peer, char buf[static 32]);
/* The next one who is present behind *at (0 to begin with), as shown; NULL: no more. */
const char *people_next(const struct people *p, size_t *at);
/* By number or by name as shown; 0: nobody, or more than one. */
uint32_t people_find(const struct people *p, const char *text);
/* One line on the event without a line break, and notes it; false: nothing to say (messages, receipts). `what` names
 * a message for EVENT_FAILED. */
bool people_sentence(struct people *p, const struct engine_event *event, const char *what, struct buffer *ret);
/* "relayed", "direct", "direct (lan)", "no path". */
const char *path_text(enum engine_path path);
/* " 23.1 ms", or nothing if it is not known. */
void add_rtt(struct buffer *ret, uint32_t rtt_us);
#endif
