#include "peer/internal.h"
#include <stdio.h>
#include <string.h>

/* The queue is emptied after every call of the engine, so it fills only for a caller that never polls. */
struct queued_event *events_add(struct engine *e, enum engine_event_kind kind)
{
    if (e->event_count == EVENTS_MAX) {
        e->event_first = (e->event_first + 1) % EVENTS_MAX;
        e->event_count--;
        e->count.events_dropped++;
    }
    struct queued_event *q = &e->events[(e->event_first + e->event_count++) % EVENTS_MAX];
    *q = (struct queued_event){.event = {.kind = kind, .rtt_us = RTT_UNKNOWN}};
    return q;
}

void events_note(struct engine *e, enum engine_event_kind kind, const char *code, const char *text)
{
    struct queued_event *q = events_add(e, kind);
    q->event.code = code;
    snprintf(q->text, sizeof q->text, "%s", text);
}

void events_peer(struct engine *e, enum engine_event_kind kind, const struct peer *p)
{
    struct queued_event *q = events_add(e, kind);
    q->event.peer = p->number;
    snprintf(q->name, sizeof q->name, "%s", p->name);
    if (kind == EVENT_PEER_LEFT)
        snprintf(q->text, sizeof q->text, "%s", p->left_reason);
}

bool events_poll(struct engine *e, struct engine_out *ret)
{
    if (e->event_count == 0)
        return false;
    struct queued_event *q = &e->events[e->event_first];
    e->event_first = (e->event_first + 1) % EVENTS_MAX;
    e->event_count--;
    q->event.name = q->name;
    q->event.text = q->text;
    q->event.text_size = strlen(q->text);
    *ret = (struct engine_out){.kind = OUT_EVENT, .event = q->event};
    return true;
}
