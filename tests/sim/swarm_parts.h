/* swarm_parts.h: what swarm*.c share; nobody else includes it. */
#ifndef SIM_SWARM_PARTS_H
#define SIM_SWARM_PARTS_H
#include "hostile_member.h"
#include "hostile_server.h"
#include "swarm.h"

enum {
    SWARM_PEOPLE_MAX = 16,
    SWARM_GROUPS_MAX = 4,
    SWARM_LIVES_MAX = 100, /* of all together: the judge knows 128 */
    SWARM_BLOCKS_MAX = 8,
    SWARM_CGNS_MAX = 4,
};

enum swarm_fault { /* what may happen; a seed gives each a weight, most often 0 */
    FAULT_TALK,
    FAULT_WEATHER,
    FAULT_SPIKE, /* one home's line has a long delay */
    FAULT_RATE,  /* one home's line is narrow */
    FAULT_BLOCK, /* two hear each other no more, or one the other */
    FAULT_REBIND,
    FAULT_FORGET,
    FAULT_SERVER,
    FAULT_KILL,
    FAULT_QUIT,
    FAULT_FINISH,
    FAULT_SLEEP,
    FAULT_JUMP, /* a clock leaps forward */
    FAULT_STALL,
    FAULT_IGNORE,
    FAULTS,
};

struct swarm_place { /* where somebody lives */
    int host;
    int lan; /* who has the same number shares a network */
    int box; /* the NAT in front of it; -1 */
    int cgn; /* the box beyond that; -1 */
    const struct nat_kind *kind, *outer; /* of both; outer NULL: none */
    vtime_us delay_us;
    bool has_v6, is_private;
};

struct swarm_person {
    struct swarm_place at;
    int group;
    enum relay_policy relay;
    struct sim_client *c; /* NULL: not running */
    bool leaves;          /* has been told to; will end by itself */
    vtime_us back_at;     /* when it starts again */
    vtime_us wakes_at, slept_at; /* 0: awake; and since when it sleeps */
    vtime_us reads_at;    /* 0: its reader reads */
    vtime_us spiked_until, slow_until; /* its line; 0: as ever */
};

struct swarm_group { /* of people with the same keyword */
    char keyword[KEYWORD_BYTES_MAX + 1]; /* "": the first of them makes one (--new) */
    int maker;                           /* who; -1 */
    int people;
};

struct swarm_audit;

struct swarm {
    struct scene *s;
    struct dice d;
    struct swarm_person people[SWARM_PEOPLE_MAX];
    struct swarm_group groups[SWARM_GROUPS_MAX];
    int count, group_count;
    unsigned lives;
    struct {
        int box;
        const struct nat_kind *kind;
    } cgns[SWARM_CGNS_MAX];
    int cgn_count;
    const struct nat_kind *palette[NAT_KINDS]; /* the seed's kinds */
    unsigned palette_count;
    unsigned weights[FAULTS], weight_sum;
    struct weather worst; /* 0 in what the seed turned off */
    vtime_us step_us;     /* at most so long between two events */
    bool has_leapt;       /* somebody's clock, so far that it can be made good by a new server only */
    vtime_us server_at;   /* when it comes back; 0: it is there */
    vtime_us clears_at;   /* the weather */
    struct {
        int a, b;
        vtime_us until; /* 0: free */
    } blocks[SWARM_BLOCKS_MAX];
    struct swarm_audit *audit;
    /* ---- who keeps to no rule; NULL: there is none ---- */
    struct hostile_member *member;
    bool member_is_stranger; /* guesses */
    uint32_t member_habits;  /* which of its tricks it knows */
    struct swarm_wire *wire; /* listens on the wire, repeats, forges */
    struct swarm_liar *liar; /* in the server's place */
};

/* ---- swarm_cast.c ---- */
uint64_t swarm_roll(struct swarm *x, uint64_t bound);
void swarm_cast(struct swarm *x); /* people, rooms, homes */
void swarm_start(struct swarm *x, struct swarm_person *p);
bool swarm_is_up(const struct swarm_person *p);
enum hope swarm_hope(const struct swarm_person *a, const struct swarm_person *b);
/* The least that the two must have at the end. */
enum engine_path swarm_best(const struct swarm_person *a, const struct swarm_person *b);

/* ---- swarm_faults.c ---- */
void swarm_choose_faults(struct swarm *x);
void swarm_happen(struct swarm *x);
void swarm_pass(struct swarm *x, bool calm); /* what was to end ends; with calm everything */

/* ---- swarm_hostile.c, swarm_wire.c, swarm_liar.c: each _new may do nothing ---- */
void swarm_member_new(struct swarm *x);
void swarm_member_act(struct swarm *x);
void swarm_member_end(struct swarm *x); /* kill -9 */
void swarm_wire_new(struct swarm *x);
void swarm_wire_act(struct swarm *x);
void swarm_wire_end(struct swarm *x);
bool swarm_wire_has_bent(const struct swarm *x);
void swarm_liar_new(struct swarm *x);
void swarm_liar_act(struct swarm *x);
void swarm_liar_end(struct swarm *x); /* it becomes an honest one */
void swarm_hostile_free(struct swarm *x);

/* ---- swarm_audit.c: what must never happen, as far as the judge does not see to it ---- */
struct swarm_audit *swarm_audit_new(struct swarm *x);
void swarm_audit_free(struct swarm_audit *a);
/* Somebody with this keyword sends from this actor. c NULL: nothing is asked of him. */
void swarm_audit_add(struct swarm_audit *a, int actor, const struct sim_client *c, const char *keyword);
void swarm_audit_step(struct swarm_audit *a); /* after every step */
bool swarm_audit_is_swept(struct swarm_audit *a); /* in the calm: nothing is left over */
_Noreturn void swarm_audit_complain(struct swarm_audit *a); /* that something is */
extern const struct addr swarm_victim;        /* nobody: whom liars name as somebody's address */

/* ---- swarm_calm.c ---- */
void swarm_calm(struct swarm *x, struct swarm_result *ret);
#endif
