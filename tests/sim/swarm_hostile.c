/* A member of the bucket who keeps to no rule: knows the keyword and does whatever it likes with its sessions, or does
 * not know it and guesses. Each seed gives it some of the tricks. */
#include <string.h>

#include "swarm_parts.h"

enum trick {
    TRICK_GARBAGE,    /* plaintexts of random bytes */
    TRICK_CUT,        /* frames cut short or bent */
    TRICK_REPLAY,     /* its last packet again */
    TRICK_CANDIDATES, /* addresses that are not its own */
    TRICK_AIM,        /* ports that are nobody's */
    TRICK_NUMBERS,    /* Acks, Receipts, Credit of what never was */
    TRICK_TEXT,       /* says something */
    TRICK_BREAK,      /* a stream that is none */
    TRICK_BEYOND,     /* writes far beyond its credit */
    TRICK_SULK,       /* another set of habits */
    TRICK_COME_AND_GO,
    TRICK_PUNCH,   /* challenges and answers, from addresses that are not its own */
    TRICK_LEAVE,   /* says that it goes, or that the room is full */
    TRICK_REFLECT, /* sends everybody's tags back */
    TRICKS,
};

static uint64_t roll(struct swarm *x, uint64_t bound)
{
    return swarm_roll(x, bound);
}

/* ---- addresses that are not its own ---- */

static struct addr address_any(struct swarm *x)
{
    const struct swarm_person *p = &x->people[roll(x, (uint64_t)x->count)];
    struct addr a = swarm_victim;
    switch (roll(x, 5)) {
    case 0: /* somebody's home */
        a = *world_addr(x->s->w, p->at.box >= 0 && p->at.cgn < 0 && p->at.is_private ? p->at.box : p->at.host, 0);
        break;
    case 1: /* the server */
        a = x->member->server;
        break;
    case 2: /* none that may be sent to */
        a = addr_v4((uint8_t)(roll(x, 2) ? 127 : 224), 0, 0, 1, 0);
        break;
    default:
        break;
    }
    a.port = (uint16_t)(1 + roll(x, 65535));
    return a;
}

static struct hostile_run *run_any(struct swarm *x)
{
    struct hostile_member *m = x->member;
    unsigned first = (unsigned)roll(x, MEMBER_RUNS_MAX);
    for (unsigned i = 0; i < MEMBER_RUNS_MAX; i++) {
        struct hostile_run *run = &m->runs[(first + i) % MEMBER_RUNS_MAX];
        if (run->used && run->opened && !run->left && run->number)
            return run;
    }
    return NULL;
}

/* ---- tricks of one with a session ---- */

static void do_garbage(struct swarm *x, struct hostile_run *run, bool cut)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    size_t size = 1 + roll(x, 300);
    dice_bytes(&x->d, plain, size);
    if (cut) {
        const struct frame f = {.kind = FRAME_OFFER, .offer = x->member->offer};
        size = codec_encode_inner(&f, plain, sizeof plain);
        size_t at = roll(x, size);
        plain[at] ^= (uint8_t)(1U << roll(x, 8));
        size = roll(x, 3) ? size : 1 + roll(x, size);
        /* A bit of the name may be another name, and the judge knows people by theirs. */
        if (memmem(plain, size, JUDGE_MARK, sizeof JUDGE_MARK - 1))
            size /= 2;
    }
    hostile_member_send(x->member, run, plain, size);
}

static void do_replay(struct swarm *x, struct hostile_run *run)
{
    struct hostile_member *m = x->member;
    const struct addr *to = run->direct.family ? &run->direct : &m->server;
    for (uint64_t n = 1 + roll(x, 5); n > 0 && m->newest_size > 0; n--)
        if (run->direct.family)
            world_send(x->s->w, m->socket, NULL, to, 0, m->newest, m->newest_size);
}

static void do_candidates(struct swarm *x, struct hostile_run *run)
{
    struct addr candidates[CANDIDATES_MAX];
    size_t count = roll(x, CANDIDATES_MAX + 1);
    for (size_t i = 0; i < count; i++)
        candidates[i] = address_any(x);
    hostile_member_offer(x->member, run, candidates, count);
}

static void do_aim(struct swarm *x, struct hostile_run *run)
{
    struct frame f = {.kind = FRAME_AIM, .aim = {.attempt = (uint32_t)(1 + roll(x, 9))}};
    f.aim.address = address_any(x);
    f.aim.count = (uint8_t)roll(x, AIM_PORTS_MAX + 1);
    f.aim.stride = (uint16_t)(1 + roll(x, 3));
    hostile_member_say(x->member, run, &f);
}

static void do_numbers(struct swarm *x, struct hostile_run *run)
{
    static const uint64_t values[] = {0, 1, 7, 1000, 1ULL << 32, UINT64_MAX};
    uint64_t value = values[roll(x, 6)];
    struct frame f = {.kind = FRAME_ACK};
    switch (roll(x, 3)) {
    case 0:
        f.ack = (struct frame_ack){.range_count = 1, .delay_us = 10000000, .ranges = {{value / 2, value}}};
        break;
    case 1:
        f = (struct frame){.kind = FRAME_RECEIPT, .receipt = {.count = value}};
        break;
    default:
        f = (struct frame){.kind = FRAME_CREDIT, .credit = {.limit = value}};
    }
    hostile_member_say(x->member, run, &f);
}

static void do_break(struct swarm *x, struct hostile_run *run, bool beyond)
{
    static const uint8_t no_stream[] = {0, 1, 'x'};
    struct frame f = {.kind = FRAME_MESSAGE, .message = {.data = {no_stream, sizeof no_stream}}};
    f.message.offset = beyond ? run->stream_end + (1ULL << 20) + roll(x, 1ULL << 40) : run->stream_end;
    hostile_member_say(x->member, run, &f);
    if (!beyond)
        run->left = true; /* nothing more is said in it: the judge could not tell what comes of it */
}

static void do_sulk(struct swarm *x)
{
    struct hostile_habits *h = &x->member->habits;
    h->no_envelope = roll(x, 4) == 0;
    h->no_acks = roll(x, 4) == 0;
    h->no_answers = roll(x, 4) == 0;
    h->no_credit = roll(x, 4) == 0;
    h->no_receipts = roll(x, 4) == 0;
    h->endless_credit = roll(x, 4) == 0;
    h->no_link = roll(x, 4) == 0;
}

static void do_punch(struct swarm *x, struct hostile_run *run)
{
    struct frame f = {.kind = FRAME_PUNCH, .punch = {.challenge = roll(x, 5)}};
    f.punch.answer = dice_u64(&x->d);
    struct addr from = address_any(x), to = run->direct;
    if (to.family && from.family == to.family)
        hostile_member_spoof(x->member, run, &from, &to, &f);
    else
        hostile_member_say(x->member, run, &f);
}

static void do_leave(struct swarm *x, struct hostile_run *run)
{
    const struct frame f = {.kind = FRAME_LEAVE,
                            .leave = {.reason = (uint8_t)(roll(x, 2) ? LEAVE_QUIT : LEAVE_ROOM_FULL)}};
    hostile_member_say(x->member, run, &f);
    run->left = true;
}

static void do_come_and_go(struct swarm *x)
{
    if (roll(x, 2) && x->member->handle)
        hostile_member_leave(x->member);
    hostile_member_register(x->member);
}

static void do_trick(struct swarm *x, enum trick trick, struct hostile_run *run)
{
    switch (trick) {
    case TRICK_GARBAGE:
    case TRICK_CUT:
        do_garbage(x, run, trick == TRICK_CUT);
        break;
    case TRICK_REPLAY:
        do_replay(x, run);
        break;
    case TRICK_CANDIDATES:
        do_candidates(x, run);
        break;
    case TRICK_AIM:
        do_aim(x, run);
        break;
    case TRICK_NUMBERS:
        do_numbers(x, run);
        break;
    case TRICK_TEXT:
        if (run->stream_end + 2000 < run->credit)
            hostile_member_text(x->member, run, scene_text(x->s, roll(x, 1500)));
        break;
    case TRICK_BREAK:
    case TRICK_BEYOND:
        do_break(x, run, trick == TRICK_BEYOND);
        break;
    case TRICK_PUNCH:
        do_punch(x, run);
        break;
    case TRICK_LEAVE:
        do_leave(x, run);
        break;
    default:
        x->member->tags = run->envelope;
    }
}

void swarm_member_act(struct swarm *x)
{
    if (!x->member)
        return;
    enum trick trick = (enum trick)roll(x, TRICKS);
    struct hostile_run *run = run_any(x);
    if (!(x->member_habits >> trick & 1U))
        return;
    if (trick == TRICK_SULK)
        do_sulk(x);
    else if (trick == TRICK_COME_AND_GO)
        do_come_and_go(x);
    else if (run)
        do_trick(x, trick, run);
}

/* ---- beginning and end ---- */

void swarm_member_new(struct swarm *x)
{
    struct swarm_group *g = &x->groups[0];
    if (roll(x, 4) || g->keyword[0] == '\0' || g->people >= SWARM_PEOPLE_MAX)
        return;
    x->member_is_stranger = roll(x, 3) == 0;
    x->member_habits = (uint32_t)(dice_u64(&x->d) & dice_u64(&x->d));
    const char *wrong = strchr(g->keyword, '-') ? "42-guess" : "guess";
    const char *keyword = x->member_is_stranger ? wrong : g->keyword;
    int host = scene_home(x->s, VTIME_MS(1 + roll(x, 100)), NULL);
    x->member = hostile_member_new(x->s, host, keyword, "mallory");
    judge_distrust(x->s->judge, x->member->mask);
    swarm_audit_add(x->audit, x->member->actor, NULL, x->member->mask->keyword);
    if (x->member_is_stranger) {
        x->member_habits |= 1U << TRICK_COME_AND_GO; /* its only one */
        hostile_member_register(x->member);
    }
}

void swarm_member_end(struct swarm *x)
{
    if (x->member)
        world_remove_actor(x->s->w, x->member->actor);
}
