#include "client/paste.h"
#include <string.h>

static const char begin_mark[] = "\x1b[200~", end_mark[] = "\x1b[201~";
enum { MARK_BYTES = sizeof end_mark - 1 };

static void add(struct paste *p, const uint8_t *at, size_t size)
{
    size_t room = PASTE_BYTES_MAX - p->text.size;
    buffer_add(&p->text, at, size < room ? size : room);
}

/* Terminals send CR for each line's end, or both. */
static void tidy(struct buffer *text)
{
    size_t size = 0;
    for (size_t i = 0; i < text->size; i++) {
        bool is_first_of_two = text->at[i] == '\r' && i + 1 < text->size && text->at[i + 1] == '\n';
        if (text->at[i] != '\0' && !is_first_of_two)
            text->at[size++] = text->at[i] == '\r' ? '\n' : text->at[i];
    }
    while (size > 0 && text->at[size - 1] == '\n')
        size--;
    text->size = size;
    if (text->at != NULL)
        text->at[size] = '\0';
}

enum paste_step paste_take(struct paste *p, struct keys *k)
{
    if (!p->open) {
        if (k->end - k->start < MARK_BYTES || memcmp(k->at + k->start, begin_mark, MARK_BYTES) != 0)
            return PASTE_NONE;
        k->start += MARK_BYTES;
        p->open = true;
    }
    const uint8_t *at = k->at + k->start;
    size_t size = k->end - k->start;
    const uint8_t *end = memmem(at, size, end_mark, MARK_BYTES);
    if (end == NULL) {
        size_t sure = size < MARK_BYTES ? 0 : size - (MARK_BYTES - 1); /* the rest may be the beginning of the mark */
        add(p, at, sure);
        k->start += sure;
        return PASTE_MORE;
    }
    add(p, at, (size_t)(end - at));
    k->start += (size_t)(end - at) + MARK_BYTES;
    p->open = false;
    tidy(&p->text);
    return PASTE_DONE;
}
