#include "peer/mailbox.h"
#include "wire/varint.h"
#include <assert.h>
#include <string.h>

static_assert(TEXT_BYTES_MAX <= UINT16_MAX, "letter.size");

struct letter *mailbox_letter(struct mailbox *m, uint64_t number)
{
    assert(number >= m->first && number < m->next);
    return &m->letters[number % MAILBOX_MESSAGES];
}

static const struct letter *letter_of(const struct mailbox *m, uint64_t number)
{
    assert(number >= m->first && number < m->next);
    return &m->letters[number % MAILBOX_MESSAGES];
}

bool mailbox_has_room(const struct mailbox *m, size_t text_size)
{
    return m->next - m->first < MAILBOX_MESSAGES && text_size <= MAILBOX_TEXT_BYTES - m->text_used;
}

bool mailbox_is_short(const struct mailbox *m)
{
    return m->next - m->first > MAILBOX_MESSAGES / 8 * 7 || m->text_used > MAILBOX_TEXT_BYTES / 8 * 7;
}

bool mailbox_id_in_use(const struct mailbox *m, uint64_t id)
{
    for (uint64_t n = m->first; n < m->next; n++)
        if (letter_of(m, n)->id == id)
            return true;
    return false;
}

static void ring_write(struct mailbox *m, const uint8_t *text, size_t size)
{
    size_t head = MAILBOX_TEXT_BYTES - m->text_next;
    if (head > size)
        head = size;
    if (size > 0) {
        memcpy(m->text + m->text_next, text, head);
        memcpy(m->text, text + head, size - head);
    }
    m->text_next = (uint32_t)((m->text_next + size) % MAILBOX_TEXT_BYTES);
    m->text_used += (uint32_t)size;
}

static void ring_read(const struct mailbox *m, uint32_t at, uint8_t *ret, size_t size)
{
    at %= MAILBOX_TEXT_BYTES;
    size_t head = MAILBOX_TEXT_BYTES - at;
    if (head > size)
        head = size;
    memcpy(ret, m->text + at, head);
    memcpy(ret + head, m->text, size - head);
}

/* After the largest so far; if that was the largest there is, the lowest that nobody waits for. */
static uint64_t free_id(const struct mailbox *m)
{
    if (m->last_id < MESSAGE_ID_MAX)
        return m->last_id + 1;
    uint64_t id = 1;
    while (mailbox_id_in_use(m, id))
        id++;
    return id;
}

uint64_t mailbox_add(struct mailbox *m, uint64_t id, const uint8_t *text, size_t size, bool open)
{
    assert(mailbox_has_room(m, size));
    if (id == 0)
        id = free_id(m);
    if (id > m->last_id)
        m->last_id = id;
    struct letter *l = &m->letters[m->next % MAILBOX_MESSAGES];
    *l = (struct letter){.id = id, .text_at = m->text_next, .size = (uint16_t)size, .open = open};
    ring_write(m, text, size);
    return m->next++;
}

void mailbox_collect(struct mailbox *m)
{
    while (m->first < m->next) {
        const struct letter *l = letter_of(m, m->first);
        if (l->open || l->waiting != 0)
            return;
        if (!l->delivered)
            m->undelivered++;
        m->text_used -= l->size;
        m->first++;
    }
}

bool mailbox_is_empty(const struct mailbox *m)
{
    return m->first == m->next;
}

void outbox_init(struct outbox *o)
{
    o->first = o->next = o->end = o->sent = 0;
    o->lost_count = 0;
    o->limit = CREDIT_BYTES;
}

static size_t record_head(const struct letter *l, uint8_t ret[static 2 * VARINT_BYTES_MAX])
{
    size_t n = varint_put(ret, VARINT_BYTES_MAX, l->id);
    return n + varint_put(ret + n, VARINT_BYTES_MAX, l->size);
}

void outbox_add(struct outbox *o, const struct mailbox *m, uint64_t number)
{
    assert(o->next - o->first < MAILBOX_MESSAGES);
    uint8_t head[2 * VARINT_BYTES_MAX];
    const struct letter *l = letter_of(m, number);
    o->letter[o->next % MAILBOX_MESSAGES] = number;
    o->start[o->next % MAILBOX_MESSAGES] = o->end;
    o->end += record_head(l, head) + l->size;
    o->next++;
}

bool outbox_next(const struct outbox *o, size_t cap, uint64_t *ret_offset, size_t *ret_size)
{
    uint64_t from, to;
    if (o->lost_count > 0) {
        from = o->lost[0].from;
        to = o->lost[0].to;
    } else {
        from = o->sent;
        to = o->end < o->limit ? o->end : o->limit;
    }
    if (cap == 0 || from >= to)
        return false;
    *ret_offset = from;
    *ret_size = to - from < cap ? (size_t)(to - from) : cap;
    return true;
}

static uint64_t start_of(const struct outbox *o, uint64_t k)
{
    return k == o->next ? o->end : o->start[k % MAILBOX_MESSAGES];
}

uint64_t outbox_receipted(const struct outbox *o)
{
    return start_of(o, o->first);
}

/* The letter of the stream that offset lies in, by bisection over their starts. */
static uint64_t letter_at(const struct outbox *o, uint64_t offset)
{
    uint64_t low = o->first, high = o->next; /* start_of(low) <= offset < start_of(high) */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (start_of(o, middle) <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool outbox_read(const struct outbox *o, const struct mailbox *m, uint64_t offset, size_t size, uint8_t *ret)
{
    if (o->first == o->next || offset < start_of(o, o->first) || offset + size > o->end)
        return false;
    uint64_t k = letter_at(o, offset);
    while (size > 0) {
        const struct letter *l = letter_of(m, o->letter[k % MAILBOX_MESSAGES]);
        uint8_t head[2 * VARINT_BYTES_MAX];
        size_t head_size = record_head(l, head), in_record = (size_t)(offset - start_of(o, k)), take = 0;
        if (in_record < head_size) {
            take = head_size - in_record < size ? head_size - in_record : size;
            memcpy(ret, head + in_record, take);
        } else {
            size_t in_text = in_record - head_size, left = l->size - in_text;
            take = left < size ? left : size;
            ring_read(m, l->text_at + (uint32_t)in_text, ret, take);
        }
        ret += take;
        size -= take;
        offset += take;
        if (offset == start_of(o, k + 1))
            k++;
    }
    return true;
}

static void lost_remove(struct outbox *o, unsigned i)
{
    o->lost_count--;
    memmove(&o->lost[i], &o->lost[i + 1], (o->lost_count - i) * sizeof o->lost[0]);
}

void outbox_sent(struct outbox *o, uint64_t offset, size_t size)
{
    uint64_t to = offset + size;
    if (to > o->sent)
        o->sent = to;
    for (unsigned i = 0; i < o->lost_count;) {
        struct stream_range *l = &o->lost[i];
        if (offset <= l->from && l->from < to)
            l->from = to < l->to ? to : l->to;
        if (l->from >= l->to)
            lost_remove(o, i);
        else
            i++;
    }
}

bool outbox_was_sent(const struct outbox *o, uint64_t count)
{
    return count <= o->next && (count < o->first || start_of(o, count) <= o->sent);
}

void outbox_pop(struct outbox *o)
{
    assert(o->first < o->next);
    o->first++;
    uint64_t floor = start_of(o, o->first);
    if (o->sent < floor)
        o->sent = floor;
    while (o->lost_count > 0 && o->lost[0].from < floor) {
        o->lost[0].from = floor;
        if (o->lost[0].from < o->lost[0].to)
            break;
        lost_remove(o, 0);
    }
}

bool outbox_lost(struct outbox *o, uint64_t offset, size_t size)
{
    uint64_t floor = start_of(o, o->first), to = offset + size;
    if (offset < floor)
        offset = floor; /* receipted meanwhile */
    if (offset >= to)
        return false;
    unsigned i = 0;
    while (i < o->lost_count && o->lost[i].to < offset)
        i++;
    if (i < o->lost_count && o->lost[i].from <= to) { /* touches: grow, and swallow those behind */
        struct stream_range *l = &o->lost[i];
        l->from = offset < l->from ? offset : l->from;
        l->to = to > l->to ? to : l->to;
        while (i + 1 < o->lost_count && o->lost[i + 1].from <= l->to) {
            l->to = o->lost[i + 1].to > l->to ? o->lost[i + 1].to : l->to;
            lost_remove(o, i + 1);
        }
        return true;
    }
    if (o->lost_count == OUTBOX_LOST_MAX) { /* send more than was lost rather than forget some */
        unsigned j = i < o->lost_count ? i : i - 1;
        o->lost[j].from = offset < o->lost[j].from ? offset : o->lost[j].from;
        o->lost[j].to = to > o->lost[j].to ? to : o->lost[j].to;
        return true;
    }
    memmove(&o->lost[i + 1], &o->lost[i], (o->lost_count - i) * sizeof o->lost[0]);
    o->lost[i] = (struct stream_range){offset, to};
    o->lost_count++;
    return true;
}

bool outbox_has_more(const struct outbox *o)
{
    return o->lost_count > 0 || (o->sent < o->end && o->sent < o->limit);
}

bool outbox_is_starved(const struct outbox *o)
{
    return o->sent >= o->limit && o->sent < o->end;
}
