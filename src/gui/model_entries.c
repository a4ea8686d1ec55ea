/* The row of messages and notices. */
#include "client/display.h"
#include "gui/model_internal.h"
#include <stdlib.h>
#include <string.h>

char *text_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_new(1, size), text, size);
}

void text_set(char **at, const char *text)
{
    free(*at);
    *at = text_copy(text);
}

void entry_free(struct entry *e)
{
    free(e->name);
    free(e->text);
    free(e->typed);
    free(e->failure);
    free(e);
}

void entry_forget_oldest(struct model *m)
{
    m->view.entry(m->data, m->entries[0], ENTRY_REMOVED);
    entry_free(m->entries[0]);
    m->entry_count--;
    memmove(m->entries, m->entries + 1, m->entry_count * sizeof *m->entries);
}

static bool follows(const struct model *m, const struct entry *e)
{
    const struct entry *before = m->entry_count > 0 ? m->entries[m->entry_count - 1] : NULL;
    return before != NULL && e->kind != ENTRY_NOTICE && before->kind == e->kind && before->peer == e->peer &&
           e->time_s - before->time_s < SAME_SENDER_S && (e->name == NULL || strcmp(e->name, before->name) == 0);
}

struct entry *entry_add(struct model *m, struct entry made)
{
    struct entry *e = memory_new(1, sizeof *e);
    *e = made;
    e->number = ++m->last_number;
    e->follows = follows(m, e);
    if (m->entry_count == ENTRIES_MAX)
        entry_forget_oldest(m);
    m->entries[m->entry_count++] = e;
    m->view.entry(m->data, e, ENTRY_ADDED);
    return e;
}

char *shown_block(const char *text, size_t size)
{
    struct buffer b = {0};
    display_block(&b, text, size);
    buffer_add(&b, "", 0);
    return b.at == NULL ? text_copy("") : b.at;
}

char *shown_line(const char *text)
{
    struct buffer b = {0};
    display_line(&b, text, strlen(text), LINE_COLUMNS);
    return b.at == NULL ? text_copy("") : b.at;
}

void model_notice(struct model *m, int64_t now_s, const char *text)
{
    entry_add(m, (struct entry){.kind = ENTRY_NOTICE, .time_s = now_s, .text = text_copy(text)});
}

struct entry *entry_find(const struct model *m, uint64_t id)
{
    for (size_t i = m->entry_count; id != 0 && i > 0; i--)
        if (m->entries[i - 1]->kind == ENTRY_OWN && m->entries[i - 1]->id == id)
            return m->entries[i - 1];
    return NULL;
}

static size_t count_receipts(const struct entry *e, enum receipt_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < e->receipt_count; i++)
        count += e->receipts[i].state == state;
    return count;
}

enum mark entry_judge(const struct entry *e)
{
    size_t delivered = count_receipts(e, RECEIPT_DELIVERED), failed = count_receipts(e, RECEIPT_FAILED);
    if (e->receipt_count == 0)
        return MARK_WAITING;
    if (delivered + failed < e->receipt_count)
        return MARK_SENT;
    if (failed == 0)
        return MARK_DELIVERED;
    return delivered > 0 ? MARK_PARTLY : MARK_FAILED;
}

void entry_mark(struct model *m, struct entry *e, enum mark new)
{
    e->mark = new;
    m->view.entry(m->data, e, ENTRY_CHANGED);
}

struct receipt *entry_receipt(struct entry *e, uint32_t peer)
{
    for (size_t i = 0; i < e->receipt_count; i++)
        if (e->receipts[i].peer == peer)
            return &e->receipts[i];
    if (e->receipt_count == RECEIPTS_MAX)
        return NULL;
    e->receipts[e->receipt_count] = (struct receipt){.peer = peer};
    return &e->receipts[e->receipt_count++];
}
