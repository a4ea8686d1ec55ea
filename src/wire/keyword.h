/* keyword.h: from what people type to what the protocol uses.
 * Pure but for utf8proc, which may use the heap in keyword_parse only (never on a packet's way). */
#ifndef WIRE_KEYWORD_H
#define WIRE_KEYWORD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/limits.h"
#include "wire/rng.h"

/* p2p.h from here */
/* NEW is none yet: with this as `form` and all else zero, the engine asks the server for a room and makes the words. */
enum keyword_form { KEYWORD_ROOM = 1, KEYWORD_OPEN = 2, KEYWORD_NEW = 3 }; /* as enum Form in p2p.proto */

/* A value of fixed size, filled by keyword_parse. Secret: wipe it when it is not needed any more. */
struct keyword {
    enum keyword_form form;
    uint32_t          room;                      /* 1..999999 in room form, else 0 */
    uint8_t           hash;                      /* open form: first byte of the prefix hash */
    uint8_t           size;                      /* bytes of normal, 1..KEYWORD_BYTES_MAX */
    uint8_t           normal[KEYWORD_BYTES_MAX]; /* the CPace password; secret */
};

enum keyword_error {
    KEYWORD_OK,
    KEYWORD_EMPTY,       /* nothing left after trimming */
    KEYWORD_TOO_LONG,    /* over KEYWORD_BYTES_MAX in normal form */
    KEYWORD_NOT_UTF8,
    KEYWORD_CONTROL,     /* a control character or NUL inside */
};

/* From what people type, `size` bytes of UTF-8 that need not be terminated: NFKC + case fold, trimmed, runs of white
 * space and '-' become one '-'; then the form: room if it is ^[1-9][0-9]{0,5}-.+ , else open. *ret is untouched unless
 * KEYWORD_OK. Uses the heap for a moment. */
enum keyword_error keyword_parse(struct keyword *ret, const char *text, size_t size);
/* One sentence for people: what is wrong and what to do. Static. */
const char *keyword_error_text(enum keyword_error e);
/* Is it easy to guess? True: deserves one line of advice. Room form with three of our words and
 * anything of similar strength is not weak. A cheap estimate, documented at the definition. */
bool keyword_is_weak(const struct keyword *k);
/* Overwrites it with zeroes. */
void keyword_wipe(struct keyword *k);
/* p2p.h to here */

/* The first `bits` (0..8) bits of the prefix hash as a number. */
uint8_t keyword_prefix(const struct keyword *k, uint8_t bits);
/* CPace's CI: "p2p1 open" or "p2p1 room 42". Returns its size; buf is not terminated. */
size_t keyword_ci(const struct keyword *k, uint8_t buf[static KEYWORD_CI_MAX]);
/* "word-word-word" out of the list, 33 bits; returns the size, the text is NUL-terminated. */
size_t keyword_random_words(struct rng *r, char buf[static KEYWORD_WORDS_TEXT_MAX]);
/* True if the part behind the room number is three words of our list (the fast guess budget). */
bool keyword_has_three_words(const struct keyword *k);
#endif
