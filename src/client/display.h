/* display.h: foreign text made fit for a terminal. Pure but for the buffer's heap.
 *
 * What could move the cursor, change colours, ring, hide, or turn the direction of reading is replaced by its
 * code point, `<U+202E>`, everywhere in the same notation. Shown that way:
 *   - C0 (ESC among them), DEL, C1, except tab and line breaks where the function says so;
 *   - bidi controls, isolates and marks: U+061C, U+200E/F, U+202A-202E, U+2066-2069;
 *   - what is invisible and not needed by a script: U+00AD, U+034F, U+115F/1160, U+17B4/5, U+180B-180F, U+200B,
 *     U+2060-2065, U+206A-206F, U+2800, U+3164, U+FEFF, U+FFA0, U+1BCA0-3, U+1D173-A, U+E0000-E0FFF;
 *   - line and paragraph separator, interlinear annotations, noncharacters.
 * Kept: every letter, mark and symbol of every script, private use and code points that are not assigned yet (a
 * later emoji); ZWJ and ZWNJ behind a character of a script that joins or of an emoji (U+0590 and above), never two
 * in a row; variation selectors behind a visible character; the three flags that are spelled with tags. */
#ifndef CLIENT_DISPLAY_H
#define CLIENT_DISPLAY_H
#include <stddef.h>
#include "client/buffer.h"

enum { DISPLAY_NAME_COLUMNS = 64 }; /* no valid name is cut unless it is full of escapes */

/* Tabs are kept, a line break (LF or CR LF) becomes a line break and two spaces. Bytes that are no UTF-8 (they do
 * not arrive) become U+FFFD. */
void display_text(struct buffer *ret, const char *text, size_t size);
/* The same for a text with a place of its own, where nobody else's line can follow: a line break is one. */
void display_block(struct buffer *ret, const char *text, size_t size);
/* The same for a screen of `columns`: a tab becomes four spaces, and a long line is broken (behind a
 * space if there is one) and indented too, so that
 * no part of a text can look like a line of somebody else. `column` is where it starts. */
void display_wrapped(struct buffer *ret, const char *text, size_t size, size_t column, size_t columns);
/* One line: line breaks and tabs are shown by their code points; cut at `columns` with an ellipsis. */
void display_line(struct buffer *ret, const char *text, size_t size, size_t columns);
/* A name: one line, without anything that looks like a colon, no spaces at the ends. */
void display_name(struct buffer *ret, const char *name);
/* Columns of one code point: 0, 1 or 2. */
size_t display_columns(uint32_t codepoint);
#endif
