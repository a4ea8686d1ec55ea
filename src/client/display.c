#include "client/display.h"
#include "wire/text.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

struct range {
    uint32_t first, last;
};

/* Sorted. The joiners, the variation selectors and the tags of the three flags are let through by is_kept. */
static const struct range hidden[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x061c, 0x061c}, {0x115f, 0x1160},
    {0x17b4, 0x17b5}, {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f}, {0x2800, 0x2800},
    {0x3164, 0x3164}, {0xfdd0, 0xfdef},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
    {0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

/* What reads as the colon behind a name. */
static const uint32_t colons[] = {':',    0x02d0, 0x02d1, 0x02f8, 0x0589, 0x05c3, 0x0703,
                                  0x0704, 0x1365, 0x16ec, 0x1803, 0x1809, 0x205a, 0x2236,
                                  0x2982, 0xa4fd, 0xa789, 0xfe13, 0xfe30, 0xfe55, 0xff1a};

/* England, Scotland, Wales: a black flag and tags. Other sequences of tags could carry hidden text. */
static const char *const tag_flags[] = {"gbeng", "gbsct", "gbwls"};
enum { BLACK_FLAG = 0x1f3f4, TAG_BASE = 0xe0000, TAG_END = 0xe007f, TAG_FLAG_BYTES = 6 * 4 };

enum { INDENT_BYTES = 3, INDENT_COLUMNS = 2 };
enum { ZWNJ = 0x200c, ZWJ = 0x200d, JOINING_SCRIPTS = 0x0590, ELLIPSIS_COLUMNS = 1 };

static bool is_hidden(uint32_t c)
{
    size_t low = 0, high = sizeof hidden / sizeof *hidden;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > hidden[middle].last)
            low = middle + 1;
        else if (c < hidden[middle].first)
            high = middle;
        else
            return true;
    }
    return false;
}

static bool is_selector(uint32_t c)
{
    return (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef) || (c >= 0x180b && c <= 0x180d);
}

static bool is_joiner(uint32_t c)
{
    return c == ZWNJ || c == ZWJ;
}

/* May this hidden code point stay, given the one before it (0: none)? */
static bool is_kept(uint32_t c, uint32_t before)
{
    if (is_joiner(c))
        return before >= JOINING_SCRIPTS && (is_selector(before) || !is_hidden(before)) && before != 0x3000 &&
               !(before >= 0x2000 && before <= 0x200a);
    if (is_selector(c))
        return before > ' ' && before != 0xa0 && !is_hidden(before);
    return false;
}

/* Bytes of the tags that make a flag of the black flag in front of them, or 0. */
static size_t tag_flag_size(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < sizeof tag_flags / sizeof *tag_flags; i++) {
        size_t at = 0, letter = 0;
        for (; letter < 6; letter++) {
            uint32_t want = letter < 5 ? TAG_BASE + (uint32_t)tag_flags[i][letter] : TAG_END, c;
            size_t length = text_next(text + at, size - at, &c);
            if (length == 0 || c != want)
                break;
            at += length;
        }
        if (letter == 6)
            return at;
    }
    return 0;
}

size_t display_columns(uint32_t codepoint)
{
    int width = utf8proc_charwidth((utf8proc_int32_t)codepoint);
    return width > 0 ? (size_t)width : 0;
}

/* ---- one character after the other ---- */

struct source {
    const uint8_t *text;
    size_t size;
    uint32_t before; /* the last character that was shown as it is, else 0 */
};

struct piece { /* a character as it is shown */
    char text[TAG_FLAG_BYTES + 8];
    size_t size, columns;
    uint32_t codepoint; /* as it came */
    bool escaped;
};

static void piece_escape(struct piece *p)
{
    p->escaped = true;
    p->size = p->columns = (size_t)snprintf(p->text, sizeof p->text, "<U+%04X>", (unsigned)p->codepoint);
}

/* The next piece; false at the end. CR LF is one piece, with the code point of LF. */
static bool next_piece(struct source *s, struct piece *ret)
{
    struct piece p = {0};
    if (s->size == 0)
        return false;
    if (s->size >= 2 && s->text[0] == '\r' && s->text[1] == '\n') {
        s->text++;
        s->size--;
    }
    size_t length = text_next(s->text, s->size, &p.codepoint);
    if (length == 0) {
        length = 1;
        p.codepoint = 0xfffd;
        p.columns = 1;
        p.size = 3;
        memcpy(p.text, "\xef\xbf\xbd", 3);
    } else if (is_hidden(p.codepoint) && !is_kept(p.codepoint, s->before)) {
        piece_escape(&p);
    } else {
        if (p.codepoint == BLACK_FLAG)
            length += tag_flag_size(s->text + length, s->size - length);
        memcpy(p.text, s->text, length);
        p.size = length;
        p.columns = display_columns(p.codepoint);
    }
    s->text += length;
    s->size -= length;
    /* A selector is nothing to select again, and a joiner nothing to join. */
    s->before = p.escaped || is_joiner(p.codepoint) ? 0 : p.codepoint;
    *ret = p;
    return true;
}

static void add_text(struct buffer *ret, const char *text, size_t size, const char *line_break)
{
    struct source s = {.text = (const uint8_t *)text, .size = size};
    for (struct piece p; next_piece(&s, &p);) {
        if (p.codepoint == '\n')
            buffer_add_text(ret, line_break);
        else if (p.codepoint == '\t')
            buffer_add_text(ret, "\t");
        else
            buffer_add(ret, p.text, p.size);
    }
}

void display_text(struct buffer *ret, const char *text, size_t size)
{
    add_text(ret, text, size, "\n  ");
}

void display_block(struct buffer *ret, const char *text, size_t size)
{
    add_text(ret, text, size, "\n");
}

/* A row of a wrapped text. */
struct row {
    size_t column;
    size_t space_at, space_column; /* behind its last space: where it may be broken; space_at 0: nowhere */
};

static void break_row(struct buffer *ret, struct row *row)
{
    static const char indent[] = "\n  ";
    size_t behind = row->space_at == 0 ? 0 : ret->size - row->space_at;
    buffer_add(ret, indent, INDENT_BYTES);
    memmove(ret->at + ret->size - behind, ret->at + ret->size - INDENT_BYTES - behind, behind);
    memcpy(ret->at + ret->size - behind - INDENT_BYTES, indent, INDENT_BYTES);
    row->column = INDENT_COLUMNS + (row->space_at == 0 ? 0 : row->column - row->space_column);
    row->space_at = 0;
}

void display_wrapped(struct buffer *ret, const char *text, size_t size, size_t column, size_t columns)
{
    struct source s = {.text = (const uint8_t *)text, .size = size};
    struct row row = {.column = column};
    for (struct piece p; next_piece(&s, &p);) {
        if (p.codepoint == '\n') {
            row.space_at = 0;
            break_row(ret, &row);
            continue;
        }
        if (p.codepoint == '\t') {
            memcpy(p.text, "    ", 4);
            p.size = p.columns = 4;
        }
        if (p.codepoint == ' ' && row.column == columns && row.column > INDENT_COLUMNS) {
            row.space_at = 0; /* the word before it just fits, and the break is its space */
            break_row(ret, &row);
            continue;
        }
        /* Twice, if the word that moves down is too long with this piece. */
        for (int i = 0; i < 2 && row.column + p.columns > columns && row.column > INDENT_COLUMNS; i++)
            break_row(ret, &row);
        buffer_add(ret, p.text, p.size);
        row.column += p.columns;
        if (p.codepoint == ' ') {
            row.space_at = ret->size;
            row.space_column = row.column;
        }
    }
}

void display_line(struct buffer *ret, const char *text, size_t size, size_t columns)
{
    struct source s = {.text = (const uint8_t *)text, .size = size};
    size_t column = 0, cut_at = ret->size; /* where an ellipsis still fits */
    for (struct piece p; next_piece(&s, &p);) {
        if (column + ELLIPSIS_COLUMNS <= columns)
            cut_at = ret->size;
        if (column + p.columns > columns) {
            ret->size = cut_at;
            buffer_add_text(ret, "…");
            return;
        }
        buffer_add(ret, p.text, p.size);
        column += p.columns;
    }
}

/* ---- names ---- */

static bool is_colon(uint32_t c)
{
    for (size_t i = 0; i < sizeof colons / sizeof *colons; i++)
        if (colons[i] == c)
            return true;
    return false;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ZS;
}

void display_name(struct buffer *ret, const char *name)
{
    struct source s = {.text = (const uint8_t *)name, .size = strlen(name)};
    struct buffer line = {0};
    bool at_start = true;
    for (struct piece p; next_piece(&s, &p); at_start = false) {
        bool at_end = s.size == 0;
        if (!p.escaped && (is_colon(p.codepoint) || (is_space(p.codepoint) && (at_start || at_end))))
            piece_escape(&p);
        buffer_add(&line, p.text, p.size);
    }
    display_line(ret, buffer_text(&line), line.size, DISPLAY_NAME_COLUMNS);
    buffer_free(&line);
}
