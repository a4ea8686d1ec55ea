#include "client/people.h"
#include "client/display.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct person *find(struct people *p, uint32_t peer)
{
    for (size_t i = 0; peer != 0 && i < PEOPLE_MAX; i++)
        if (p->all[i].peer == peer)
            return &p->all[i];
    return NULL;
}

/* Those who are present stay: there are at most PEERS_MAX of them. */
static struct person *add(struct people *p, uint32_t peer)
{
    for (size_t tries = 0; tries < PEOPLE_MAX; tries++) {
        struct person *slot = &p->all[p->next++ % PEOPLE_MAX];
        if (slot->peer == 0 || !slot->present) {
            *slot = (struct person){.peer = peer};
            return slot;
        }
    }
    return NULL;
}

static bool name_is_taken(const struct people *p, const struct person *person, const char *name)
{
    for (size_t i = 0; i < PEOPLE_MAX; i++)
        if (p->all[i].present && &p->all[i] != person && strcmp(p->all[i].name, name) == 0)
            return true;
    return false;
}

static void set_name(struct people *p, struct person *person, const char *name)
{
    struct buffer shown = {0};
    display_name(&shown, name);
    if (shown.size == 0)
        buffer_addf(&shown, "peer %u", person->peer);
    if (p->distinct && name_is_taken(p, person, shown.at))
        buffer_addf(&shown, " (%u)", person->peer);
    snprintf(person->name, sizeof person->name, "%s", shown.at);
    buffer_free(&shown);
}

void people_note(struct people *p, const struct engine_event *event)
{
    p->server_answered |= event->kind == EVENT_REGISTERED;
    if (event->kind != EVENT_PEER && event->kind != EVENT_NAME && event->kind != EVENT_PEER_LEFT &&
        event->kind != EVENT_PATH)
        return;
    struct person *person = find(p, event->peer);
    if (person == NULL && event->kind == EVENT_PEER)
        person = add(p, event->peer);
    if (person == NULL)
        return;
    if ((event->kind == EVENT_PEER || event->kind == EVENT_NAME) && event->name != NULL)
        set_name(p, person, event->name);
    if (event->kind == EVENT_PATH)
        person->path = event->path;
    person->present = event->kind != EVENT_PEER_LEFT;
}

const char *people_name(const struct people *p, uint32_t peer, char buf[static 32])
{
    for (size_t i = 0; peer != 0 && i < PEOPLE_MAX; i++)
        if (p->all[i].peer == peer)
            return p->all[i].name;
    if (peer == 0)
        return "anybody";
    snprintf(buf, 32, "peer %u", peer);
    return buf;
}

const char *people_next(const struct people *p, size_t *at)
{
    while (*at < PEOPLE_MAX) {
        const struct person *person = &p->all[(*at)++];
        if (person->peer != 0 && person->present)
            return person->name;
    }
    return NULL;
}

uint32_t people_find(const struct people *p, const char *text)
{
    uint32_t found = 0;
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    for (size_t i = 0; i < PEOPLE_MAX; i++) {
        const struct person *person = &p->all[i];
        if (!person->present)
            continue;
        if (*text != '\0' && *end == '\0' && person->peer == number)
            return person->peer;
        if (strcmp(person->name, text) == 0) {
            if (found != 0)
                return 0;
            found = person->peer;
        }
    }
    return found;
}

const char *path_text(enum engine_path path)
{
    switch (path) {
    case PATH_RELAY:
        return "relayed";
    case PATH_DIRECT:
        return "direct";
    case PATH_LAN:
        return "direct (lan)";
    case PATH_NONE:
        break;
    }
    return "no path";
}

void add_rtt(struct buffer *ret, uint32_t rtt_us)
{
    if (rtt_us != RTT_UNKNOWN)
        buffer_addf(ret, " %u.%u ms", (rtt_us + 50) / 1000, (rtt_us + 50) / 100 % 10);
}

static void add_reason(struct buffer *ret, const char *format, const char *reason)
{
    if (reason == NULL || *reason == '\0')
        return;
    struct buffer shown = {0};
    display_line(&shown, reason, strlen(reason), 1000);
    buffer_addf(ret, format, buffer_text(&shown));
    buffer_free(&shown);
}

static const char *nat_text(uint8_t behaviour)
{
    static const char *const names[NAT_BEHAVIOURS] = {
        "unknown",         "none", "endpoint-independent", "address-dependent", "address-and-port-dependent",
        "port-independent"};
    return behaviour < NAT_BEHAVIOURS ? names[behaviour] : names[0];
}

static const char *ports_text(uint8_t ports)
{
    static const char *const names[NAT_PORTS_KINDS] = {"unknown", "preserved", "sequential", "random"};
    return ports < NAT_PORTS_KINDS ? names[ports] : names[0];
}

static void path_sentence(struct people *p, const struct engine_event *event, const char *name, struct buffer *ret)
{
    const struct person *person = find(p, event->peer);
    enum engine_path before = person == NULL ? PATH_NONE : person->path;
    buffer_addf(ret, "%s: ", name);
    if (before != PATH_NONE && before != event->path)
        buffer_addf(ret, "%s → ", path_text(before));
    buffer_add_text(ret, path_text(event->path));
    add_rtt(ret, event->rtt_us);
    add_reason(ret, " (%s)", event->text);
}

bool people_came(const struct people *p)
{
    return p->next > 0;
}

const char *people_nobody_came(const struct people *p)
{
    if (p->server_answered)
        return "nobody came; are the keyword and the server the same on the other side?";
    return "nobody came, and the server never answered; is its address right, is it running, and is UDP let through?";
}

bool people_sentence(struct people *p, const struct engine_event *event, const char *what, struct buffer *ret)
{
    char buf[32], old[PERSON_TEXT_MAX], at[ADDR_TEXT_MAX];
    snprintf(old, sizeof old, "%s", people_name(p, event->peer, buf));
    if (event->kind == EVENT_PATH)
        path_sentence(p, event, old, ret);
    people_note(p, event);
    const char *name = people_name(p, event->peer, buf);

    switch (event->kind) {
    case EVENT_REGISTERED:
        buffer_addf(ret, "registered with the server, which sees %s", addr_format(&event->addr, at));
        break;
    case EVENT_SERVER_LOST:
        buffer_add_text(ret, "no answer from the server");
        add_reason(ret, ": %s", event->text);
        break;
    case EVENT_NAT:
        if (event->mapping == NAT_UNKNOWN && event->filtering == NAT_UNKNOWN)
            break;
        buffer_addf(ret, "NAT: mapping %s, filtering %s, ports %s", nat_text(event->mapping),
                    nat_text(event->filtering), ports_text(event->ports));
        break;
    case EVENT_PEER:
        buffer_addf(ret, "%s joined", name);
        break;
    case EVENT_NAME:
        buffer_addf(ret, "%s is now called %s", old, name);
        break;
    case EVENT_PEER_LEFT:
        if (event->text != NULL && strcmp(event->text, "timeout") == 0)
            buffer_addf(ret, "%s is gone: not heard of for too long (timeout)", name);
        else
            buffer_addf(ret, "%s left", name);
        break;
    case EVENT_FAILED:
        buffer_addf(ret, "%s was not delivered to %s", what, name);
        add_reason(ret, ": %s", event->text);
        break;
    case EVENT_WARNING:
    case EVENT_ERROR:
        buffer_addf(ret, "%s: ", event->kind == EVENT_WARNING ? "warning" : "error");
        add_reason(ret, "%s", event->text);
        buffer_addf(ret, " [%s]", event->code == NULL ? "" : event->code);
        break;
    default: /* EVENT_PATH was said above */
        break;
    }
    return ret->size > 0;
}
