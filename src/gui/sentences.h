/* sentences.h: the model in words. Pure. */
#ifndef GUI_SENTENCES_H
#define GUI_SENTENCES_H
#include "gui/model.h"

/* "Waiting for somebody with the same keyword", "Direct, 12 ms", "3 people: 2 direct, 1 through the server". */
void sentence_state(const struct model *m, struct buffer *ret);
/* "ann", "ann and bob", "ann, bob and 3 more"; "Nobody here yet", "Nobody here". */
void sentence_people(const struct model *m, struct buffer *ret);
/* "Direct, 12 ms"; there is no line break before the unit. */
void sentence_route(const struct person *p, struct buffer *ret);
/* A sentence's beginning: with a capital if it is a letter of ASCII. */
void sentence_capital(const char *text, struct buffer *ret);
/* "✓✓", and what it means: "Delivered". */
const char *mark_sign(enum mark mark);
void sentence_mark(const struct entry *e, struct buffer *ret);
/* An entry as it is read out. `clock` is its time of day. */
void sentence_entry(const struct entry *e, const char *clock, struct buffer *ret);

/* Is this server, as it was typed, this computer, which nobody else can name like this? NULL and "": the default is. */
bool server_is_here(const char *typed);

/* ---- of the keyword that is being typed ---- */

enum hint_level { HINT_NONE, HINT_WRONG, HINT_WEAK, HINT_GOOD };

struct hint {
    enum hint_level level;
    const char     *text; /* static */
};

/* HINT_NONE and HINT_WRONG: it cannot be used yet. */
struct hint hint_keyword(const char *typed, size_t size);
/* Is this, pasted, the command that --new prints for the other side? Then its values, as a shell would read them;
 * server is "" if it names none. */
bool invitation_read(const char *typed, struct buffer *ret_keyword, struct buffer *ret_server);
#endif
