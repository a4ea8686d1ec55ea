#include "client/lines.h"
#include "client/buffer.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 65536 };

void lines_init(struct lines *l, size_t size_max)
{
    /* A line of size_max, its newline, and room for a good read behind it. */
    *l = (struct lines){.size_max = size_max, .cap = size_max + 1 + READ_BYTES};
    l->at = memory_new(1, l->cap);
}

void lines_free(struct lines *l)
{
    free(l->at);
    *l = (struct lines){0};
}

static bool give(struct lines *l, struct line *ret, size_t size, size_t behind)
{
    bool was_skipping = l->skipping;
    *ret = (struct line){.number = l->count + 1, .text = l->at + l->start, .size = size};
    if (size > l->size_max)
        *ret = (struct line){.number = l->count + 1, .too_long = true};
    l->start = l->scanned = behind;
    l->skipping = false;
    l->count += !was_skipping;
    return !was_skipping;
}

/* Part of a line that is too long already: report it now, forget it, and skip the rest. */
static bool give_up(struct lines *l, struct line *ret)
{
    bool was_skipping = l->skipping;
    *ret = (struct line){.number = l->count + 1, .too_long = true};
    l->start = l->scanned = l->end;
    l->skipping = true;
    l->count += !was_skipping;
    return !was_skipping;
}

bool lines_next(struct lines *l, struct line *ret)
{
    for (;;) {
        char *newline = l->scanned < l->end ? memchr(l->at + l->scanned, '\n', l->end - l->scanned) : NULL;
        if (newline != NULL) {
            size_t at = (size_t)(newline - l->at);
            if (give(l, ret, at - l->start, at + 1))
                return true;
            continue; /* the end of a line that was reported before */
        }
        l->scanned = l->end;
        if (l->end - l->start > l->size_max)
            return give_up(l, ret);
        if (l->ended && l->start < l->end)
            return give(l, ret, l->end - l->start, l->end);
        if (l->skipping)
            l->start = l->end;
        return false;
    }
}

char *lines_space(struct lines *l, size_t *ret_size)
{
    if (l->start > 0) {
        memmove(l->at, l->at + l->start, l->end - l->start);
        l->end -= l->start;
        l->scanned -= l->start;
        l->start = 0;
    }
    *ret_size = l->cap - l->end;
    return l->at + l->end;
}

void lines_filled(struct lines *l, size_t got)
{
    assert(got <= l->cap - l->end);
    l->end += got;
    if (got == 0)
        l->ended = true;
}
