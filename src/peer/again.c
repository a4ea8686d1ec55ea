/* Runs that are over, led to no session, and may yet have been with a friend (docs/protocol.md s5): all packets were
 * lost, or one side's room was full. We show the server the run's relay token. Only who has the same keyword can show
 * the other side of it, so that a server that sees both knows that these two are no strangers, and introduces them
 * again; a stranger gains nothing by it, and no guess is spent on him. */
#include "peer/internal.h"
#include <string.h>

/* How long a token is shown. The other end's run ends at the same time but for a few repetitions; it may be cut off
 * from the server for a minute, after which its registration has lapsed and everybody is new to it. */
#define AGAIN_US     VTIME_S(120)
#define AGAIN_GAP_US VTIME_S(1) /* between two Links of one token, doubling: seven in all */

void again_add(struct engine *e, vtime_us now, const struct seal *seal)
{
    struct again *a = &e->again[0];
    for (unsigned i = 0; i < AGAIN_MAX; i++) {
        if (memcmp(e->again[i].token.token, seal->relay_token, sizeof a->token.token) == 0) {
            a = &e->again[i]; /* from now on anew */
            break;
        }
        if (e->again[i].until < a->until)
            a = &e->again[i];
    }
    *a = (struct again){.until = now + AGAIN_US, .link_at = now, .gap_us = AGAIN_GAP_US, .token = {.side = seal->side}};
    memcpy(a->token.token, seal->relay_token, sizeof a->token.token);
}

void again_forget(struct engine *e)
{
    memset(e->again, 0, sizeof e->again);
}

static bool server_knows_us(const struct engine *e)
{
    return e->phase == PHASE_RUNNING && e->rv.registered && e->rv.echoed;
}

static bool is_shown(const struct again *a, vtime_us now)
{
    return now < a->until;
}

void again_list(const struct engine *e, struct frame_register *f)
{
    for (unsigned i = 0; i < AGAIN_MAX && f->link_count < LINKS_MAX; i++)
        if (is_shown(&e->again[i], e->now))
            f->links[f->link_count++] = e->again[i].token;
}

/* The other has shown its side: withdrawn with the next Register, the token is out of the way of the introduction. */
void again_linked(struct engine *e, const uint8_t token[static RELAY_TOKEN_BYTES])
{
    for (unsigned i = 0; i < AGAIN_MAX; i++) {
        struct again *a = &e->again[i];
        if (!is_shown(a, e->now) || memcmp(a->token.token, token, RELAY_TOKEN_BYTES) != 0)
            continue;
        a->until = 0;
        rendezvous_soon(e, e->now + VTIME_S(1));
    }
}

bool again_poll(struct engine *e, vtime_us now, struct engine_out *ret)
{
    for (unsigned i = 0; i < AGAIN_MAX && server_knows_us(e); i++) {
        struct again *a = &e->again[i];
        if (!is_shown(a, now) || now < a->link_at)
            continue;
        a->link_at = now + a->gap_us;
        a->gap_us *= 2;
        return session_link(e, &a->token, ret);
    }
    return false;
}

vtime_us again_deadline(const struct engine *e)
{
    vtime_us at = VTIME_NEVER;
    for (unsigned i = 0; i < AGAIN_MAX && server_knows_us(e); i++)
        if (is_shown(&e->again[i], e->now) && e->again[i].link_at < e->again[i].until)
            at = vtime_min(at, e->again[i].link_at);
    return at;
}
