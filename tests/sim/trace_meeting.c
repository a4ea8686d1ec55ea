/* trace_meeting: two people behind two NATs meet, and every datagram is told, with what is inside; for
 * scripts/picture.py.
 *   trace_meeting NAT_OF_ANN NAT_OF_BOB [SEED [MS_ANN MS_BOB]]     one way from home to the core, in ms (25)
 *
 * Ann waits, bob comes, they become direct (or not, in 20 s), each says something. Lines, times in microseconds from
 * bob's first datagram:
 *   home NAME NAT MICROSECONDS MICROSECONDS                    one way to the core; of that, to its own NAT
 *   waited MICROSECONDS                                        ann, until then
 *   packet NUMBER TIME FATE WHERE FROM TO TTL BYTES CONTENT    once where it was sent, once where it ended
 *   event TIME WHO TEXT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "meeting.h"

enum { STORY_S_MAX = 20 };
#define LAN_US VTIME_MS(3)

/* ---- what happens ---- */

static const char *name_of(const struct meeting *m, int node)
{
    static const char *const nats[] = {"ann-nat", "bob-nat"}, *const people[] = {"ann", "bob"};
    for (int i = 0; i < 2; i++) {
        if (node == m->side[i].home)
            return people[i];
        if (node >= 0 && node == scene_natbox(m->s, m->side[i].home))
            return nats[i];
    }
    return node == m->s->server->host ? "server" : "core";
}

static void tell_packet(void *context, enum packet_fate fate, const struct packet *p, int node, int actor)
{
    static const char *const fates[FATES] = {
        [FATE_SENT] = "sent",         [FATE_DELIVERED] = "delivered", [FATE_LOST] = "lost",
        [FATE_BLOCKED] = "blocked",   [FATE_EXPIRED] = "expired",     [FATE_NAT] = "refused",
        [FATE_UNROUTED] = "unrouted", [FATE_UNHEARD] = "unheard",
    };
    const struct meeting *m = context;
    char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX], content[INSIDE_TEXT_MAX] = "";
    (void)actor;
    if (m->began_at == 0)
        return;
    if (fate == FATE_SENT)
        inside_tell((const struct engine *[]){m->a->e, m->b ? m->b->e : NULL}, 2, p->bytes, p->size, content);
    printf("packet %llu %llu %s %s %s %s %u %u %s\n", (unsigned long long)p->number,
           (unsigned long long)(m->s->w->now - m->began_at), fates[fate], name_of(m, node), addr_format(&p->src, from),
           addr_format(&p->dst, to), p->ttl, p->size, fate == FATE_SENT ? content : "-");
}

static void tell_events(const struct meeting *m, const struct sim_client *c)
{
    static const char *const paths[] = {"no path", "relayed", "direct", "direct, on the LAN"};
    for (size_t i = 0; i < c->event_count; i++) {
        const struct engine_event *e = &c->events[i].e;
        if (c->events[i].time < m->began_at)
            continue;
        printf("event %lld %s ", (long long)(c->events[i].time - m->began_at), c->label);
        if (e->kind == EVENT_PATH)
            printf("path: %s (%s)\n", paths[e->path], e->text);
        else
            printf("%s\n", sim_event_name(e->kind));
    }
}

/* Gives the way inside a home a length, so that one sees what goes in and what comes out. */
static void tell_home(const struct meeting *m, int side, const char *name, const char *nat)
{
    int home = m->side[side].home, box = scene_natbox(m->s, home);
    vtime_us lan = box >= 0 && m->delay_us[side] > 2 * LAN_US ? LAN_US : 0;
    if (lan > 0) {
        world_set_delay(m->s->w, home, lan);
        world_set_delay(m->s->w, box, m->delay_us[side] - lan);
    }
    printf("home %s %s %llu %llu\n", name, nat, (unsigned long long)m->delay_us[side], (unsigned long long)lan);
}

int main(int argc, char **argv)
{
    const struct nat_kind *a = argc > 2 ? nat_kind_find(argv[1]) : NULL, *b = argc > 2 ? nat_kind_find(argv[2]) : NULL;
    if (!a || !b || argc > 6 || argc == 5) {
        fputs("usage: trace_meeting NAT_OF_ANN NAT_OF_BOB [SEED [MS_ANN MS_BOB]]\n", stderr);
        return 2;
    }
    struct scene *s = scene_new("a meeting", argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    vtime_us delays[2] = {VTIME_MS(25), VTIME_MS(25)};
    for (int i = 0; i < 2 && argc == 6; i++)
        delays[i] = VTIME_MS(strtoull(argv[4 + i], NULL, 10));
    struct meeting m;
    meeting_wait(&m, s, a, b, delays[0], delays[1]);
    tell_home(&m, 0, "ann", a->name);
    tell_home(&m, 1, "bob", b->name);
    printf("waited %llu\n", (unsigned long long)(s->w->now - m.a->started_at));
    world_add_tap(s->w, tell_packet, &m);
    meeting_begin(&m);
    meeting_until_direct(&m, VTIME_S(STORY_S_MAX));
    world_run_for(s->w, meeting_round_trip(&m));
    scene_say(s, m.a, 40);
    world_run_for(s->w, meeting_round_trip(&m));
    scene_say(s, m.b, 40);
    scene_settle(s, m.a, m.b, VTIME_S(5));
    world_run_for(s->w, meeting_round_trip(&m));
    tell_events(&m, m.a);
    tell_events(&m, m.b);
    scene_free(s);
    return 0;
}
