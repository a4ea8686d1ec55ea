/* buffer.h: bytes that grow. Out of memory ends the program: nothing here is larger than what credit allows. */
#ifndef CLIENT_BUFFER_H
#define CLIENT_BUFFER_H
#include <stddef.h>
#include <stdint.h>

struct buffer { /* all zero is empty; at[size] is 0 when at is not NULL */
    char  *at;
    size_t size, cap;
};

void buffer_add(struct buffer *b, const void *bytes, size_t size);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_addf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "" when empty. */
const char *buffer_text(const struct buffer *b);
void buffer_clear(struct buffer *b);
void buffer_free(struct buffer *b);

/* calloc and realloc that end the program instead of failing. */
void *memory_new(size_t count, size_t size);
void *memory_grow(void *old, size_t size);
#endif
