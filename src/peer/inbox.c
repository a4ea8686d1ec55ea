#include "peer/inbox.h"
#include "wire/text.h"
#include "wire/varint.h"
#include <string.h>

uint64_t inbox_limit(const struct inbox *b)
{
    return b->written_end + CREDIT_BYTES;
}

static void piece_remove(struct inbox *b, unsigned i)
{
    b->piece_count--;
    memmove(&b->pieces[i], &b->pieces[i + 1], (b->piece_count - i) * sizeof b->pieces[0]);
}

static bool piece_add(struct inbox *b, uint64_t from, uint64_t to)
{
    unsigned i = 0;
    while (i < b->piece_count && b->pieces[i].to < from)
        i++;
    if (i < b->piece_count && b->pieces[i].from <= to) {
        if (from < b->pieces[i].from)
            b->pieces[i].from = from;
        if (to > b->pieces[i].to)
            b->pieces[i].to = to;
        while (i + 1 < b->piece_count && b->pieces[i + 1].from <= b->pieces[i].to) {
            if (b->pieces[i + 1].to > b->pieces[i].to)
                b->pieces[i].to = b->pieces[i + 1].to;
            piece_remove(b, i + 1);
        }
        return true;
    }
    /* What continues the stream is always let in: refused, it would be repeated for ever, and nothing taken. */
    bool continues = from == b->taken || (b->piece_count > 0 && b->pieces[0].from == b->taken);
    if (b->piece_count == (continues ? INBOX_PIECES_MAX + 1U : INBOX_PIECES_MAX))
        return false;
    memmove(&b->pieces[i + 1], &b->pieces[i], (b->piece_count - i) * sizeof b->pieces[0]);
    b->pieces[i].from = from;
    b->pieces[i].to = to;
    b->piece_count++;
    return true;
}

enum inbox_verdict inbox_put(struct inbox *b, uint64_t offset, const uint8_t *at, size_t size)
{
    if (offset > inbox_limit(b) || size > inbox_limit(b) - offset)
        return INBOX_FULL;
    if (offset < b->taken) { /* (partly) known: what is taken must not be written over */
        if (size <= b->taken - offset)
            return INBOX_STORED;
        at += b->taken - offset;
        size -= (size_t)(b->taken - offset);
        offset = b->taken;
    }
    if (size == 0)
        return INBOX_STORED;
    if (!piece_add(b, offset, offset + size))
        return INBOX_FULL;
    size_t where = (size_t)(offset % CREDIT_BYTES), head = CREDIT_BYTES - where;
    if (head > size)
        head = size;
    memcpy(b->ring + where, at, head);
    memcpy(b->ring, at + head, size - head);
    return INBOX_STORED;
}

static size_t available(const struct inbox *b)
{
    if (b->piece_count == 0 || b->pieces[0].from != b->taken)
        return 0;
    return (size_t)(b->pieces[0].to - b->taken);
}

static void copy_out(const struct inbox *b, uint64_t offset, uint8_t *ret, size_t size)
{
    size_t where = (size_t)(offset % CREDIT_BYTES), head = CREDIT_BYTES - where;
    if (head > size)
        head = size;
    memcpy(ret, b->ring + where, head);
    memcpy(ret + head, b->ring, size - head);
}

/* The record's head at the front: *ret_size its bytes. Varints may be cut off (nothing yet) or wrong. */
static enum inbox_next read_head(const struct inbox *b, uint64_t *ret_id, uint64_t *ret_text, size_t *ret_size)
{
    uint8_t head[2 * VARINT_BYTES_MAX];
    size_t have = available(b) < sizeof head ? available(b) : sizeof head;
    copy_out(b, b->taken, head, have);
    size_t at = 0;
    uint64_t *const values[2] = {ret_id, ret_text};
    const size_t longest[2] = {MESSAGE_ID_BYTES_MAX, 3}; /* varints of 2^53-1 and 16,384 */
    for (int i = 0; i < 2; i++) {
        size_t n = varint_get(head + at, have - at, values[i]);
        if (n == 0)
            return have - at >= longest[i] ? INBOX_BROKEN : INBOX_NOTHING;
        at += n;
    }
    if (*ret_id == 0 || *ret_id > MESSAGE_ID_MAX || *ret_text > TEXT_BYTES_MAX)
        return INBOX_BROKEN;
    *ret_size = at;
    return INBOX_MESSAGE;
}

enum inbox_next inbox_peek(const struct inbox *b, struct inbox_message *ret)
{
    uint64_t id, text;
    size_t head;
    if (available(b) == 0)
        return INBOX_NOTHING;
    enum inbox_next got = read_head(b, &id, &text, &head);
    if (got != INBOX_MESSAGE)
        return got;
    if (available(b) < head + text)
        return INBOX_NOTHING;
    *ret = (struct inbox_message){.id = id, .number = b->messages + 1, .size = (size_t)text};
    return INBOX_MESSAGE;
}

static void mark(struct inbox *b)
{
    if (b->mark_count == INBOX_MARKS_MAX)
        b->mark_count--; /* the last one moves on: credit for its message comes with the next */
    b->marks[b->mark_count].number = b->messages;
    b->marks[b->mark_count].end = b->taken;
    b->mark_count++;
}

enum inbox_next inbox_take(struct inbox *b, const struct inbox_message *m, uint8_t *ret_text)
{
    uint64_t id, text;
    size_t head;
    if (read_head(b, &id, &text, &head) != INBOX_MESSAGE)
        return INBOX_BROKEN;
    copy_out(b, b->taken + head, ret_text, m->size);
    if (!text_is_valid(ret_text, m->size))
        return INBOX_BROKEN;
    b->taken += head + m->size;
    if (b->pieces[0].to == b->taken)
        piece_remove(b, 0);
    else
        b->pieces[0].from = b->taken;
    b->messages++;
    mark(b);
    return INBOX_MESSAGE;
}

void inbox_written(struct inbox *b, uint64_t number)
{
    if (number > b->messages || number <= b->written)
        return;
    b->written = number;
    unsigned done = 0;
    while (done < b->mark_count && b->marks[done].number <= number)
        b->written_end = b->marks[done++].end;
    b->mark_count -= done;
    memmove(&b->marks[0], &b->marks[done], b->mark_count * sizeof b->marks[0]);
}
