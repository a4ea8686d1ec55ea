#include "client/choice.h"
#include <string.h>

void choice_offer(struct choice *c, const char *word)
{
    size_t same = 0, size = strlen(word);
    if (size < c->prefix_size || memcmp(word, c->prefix, c->prefix_size) != 0)
        return;
    buffer_addf(&c->all, "%s%s", c->count > 0 ? "  " : "", word);
    if (c->count++ == 0) {
        c->first = word;
        c->common_size = size;
        return;
    }
    while (same < c->common_size && word[same] == c->first[same])
        same++;
    while (same > c->prefix_size && (c->first[same] & 0xc0) == 0x80) /* not in the middle of a character */
        same--;
    c->common_size = same;
}
