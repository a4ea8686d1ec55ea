#include "client/buffer.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(void)
{
    fputs("p2p-client: out of memory; end other programs, or raise the limit (ulimit -v)\n", stderr);
    abort();
}

void *memory_new(size_t count, size_t size)
{
    void *at = calloc(count, size);
    if (at == NULL)
        out_of_memory();
    return at;
}

void *memory_grow(void *old, size_t size)
{
    void *at = realloc(old, size);
    if (at == NULL)
        out_of_memory();
    return at;
}

static void reserve(struct buffer *b, size_t more)
{
    size_t need = b->size + more + 1, cap = b->cap == 0 ? 128 : b->cap;
    if (b->at != NULL && need <= b->cap)
        return;
    while (cap < need)
        cap *= 2;
    b->at = memory_grow(b->at, cap);
    b->cap = cap;
}

void buffer_add(struct buffer *b, const void *bytes, size_t size)
{
    reserve(b, size);
    if (size > 0)
        memcpy(b->at + b->size, bytes, size);
    b->size += size;
    b->at[b->size] = '\0';
}

void buffer_add_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_addf(struct buffer *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);

    reserve(b, (size_t)size);
    va_start(arguments, format);
    vsnprintf(b->at + b->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    b->size += (size_t)size;
}

const char *buffer_text(const struct buffer *b)
{
    return b->at == NULL ? "" : b->at;
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
    if (b->at != NULL)
        b->at[0] = '\0';
}

void buffer_free(struct buffer *b)
{
    free(b->at);
    *b = (struct buffer){0};
}
