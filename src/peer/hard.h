/* hard.h: tries to meet on ports that no candidate names, and their budget (hard.c has the picture). Shared by hard*.c;
 * what the rest of the engine calls stands first. */
#ifndef PEER_HARD_H
#define PEER_HARD_H
#include "peer/engine.h"
#include "peer/nat.h"
#include "wire/codec.h"
#include "wire/vtime.h"

struct engine;
struct path;
struct peer;

void hard_aim(struct engine *e, vtime_us now, struct peer *p, const struct frame_aim *f);
bool hard_probed(struct engine *e, const struct addr *from, const struct frame_probed *f);
/* Is that the answer to a question of the try that goes on, and which technique was it? */
bool hard_answers(const struct engine *e, const struct peer *p, const struct path *q, uint64_t answer);
const char *hard_way(const struct engine *e, const struct peer *p, const struct path *q);
void hard_met(struct engine *e, struct peer *p);
bool hard_uses(const struct engine *e, uint16_t socket);
bool hard_poll(struct engine *e, vtime_us now, struct engine_out *ret);
vtime_us hard_deadline(const struct engine *e);

/* ---- numbers ---- */
#define TARGET_US VTIME_S(600) /* the window of a target's probes; the first pause after a failure (DESIGN s6) */

enum {
    /* Of what opens the own NATs and is not to reach the other's: passes two in a row, and dies at the next router. Every
     * second try has one hop more, for whose NATs are further away. */
    PUNCH_TTL = 3,
    PUNCH_TTL_MAX = 6,
    PREDICTED_SOCKETS = 25,      /* and ports: room for a dozen foreign flows (DESIGN s6) */
    KEPT_SOCKETS = 2,            /* of one in 7,000 the port is taken by another flow, which a NAT may have numbered */
    PROBES_PASSES = 3,           /* a row of predicted ports is probed so often: packets get lost */
    PREDICTIONS_MAX = 8,         /* tries in a row */
    PROBES_MAX = 1900, /* to one address in TARGET_US: 99.95 % for 256 sockets among 64,512 ports; with the checks 2,000 */
    HARD_BIRTHDAY_SOCKETS = 256, /* DESIGN s6 */
    HARD_SOCKETS = HARD_BIRTHDAY_SOCKETS + 1, /* and one for the question after a row */
    HARD_SAMPLES = 2,
    HARD_PINGS = 16, /* 1.6 s of them: round trips up to 0.4 s */
    HARD_TARGETS = PEERS_MAX,
};

static_assert(PREDICTIONS_MAX * PROBES_PASSES * AIM_PORTS_MAX <= PROBES_MAX, "predictions stay within the budget");
static_assert(AIM_PORTS_MAX >= 2 * PREDICTED_SOCKETS, "foreign flows among ours fit");

enum hard_phase { HARD_IDLE, HARD_SAMPLING, HARD_AIMED, HARD_PROBING, HARD_OPENING };

struct hard_sample { /* a question to the server about a fresh socket; token 0: none */
    uint64_t token;
    uint16_t socket;
    uint8_t tries;
    vtime_us asked_at;
    struct addr observed;
};

struct hard_ping {
    uint16_t socket; /* 0: none */
    uint64_t token;
    uint8_t tries; /* 0: not asked yet */
    vtime_us sent_at;
};

struct hard_target {
    struct addr ip;
    uint32_t probes; /* until window_until */
    vtime_us window_until, closed_until;
    uint8_t failures;
};

struct hard { /* the try that is going on */
    enum hard_phase phase;
    struct peer *peer; /* NULL: none */
    uint32_t number;   /* its number: the slot may be somebody else's by now */
    unsigned slot_next; /* whose turn it is: among peers who all want a try */
    uint32_t attempt;
    enum nat_technique technique;
    enum nat_foresight own, theirs;
    int16_t step; /* ours, with FORESIGHT_NEAR */
    bool told;    /* our Aim */
    uint8_t key[16]; /* of the challenges */
    uint16_t sockets[HARD_SOCKETS];
    unsigned socket_count;
    struct hard_sample samples[HARD_SAMPLES];
    struct addr target; /* the other's port, or its first */
    uint16_t stride;
    uint8_t count;    /* of the other's ports; 0: random */
    unsigned openers; /* packets of the opener's row */
    uint32_t sent, total, factor, offset;
    vtime_us next_at, deadline;
    struct hard_ping pings[HARD_PINGS];
    vtime_us ping_at;
    unsigned lost_pings;   /* in a row */
    unsigned lost_samples; /* tries in a row whose fresh sockets were not answered */
    bool harmed;         /* for the life of the process */
    struct hard_target targets[HARD_TARGETS];
};

/* ---- between the files of hard*.c ---- */

/* hard_row.c: one packet after the other. False: nothing is due now. */
bool hard_row_poll(struct engine *e, vtime_us now, struct engine_out *ret);
void hard_row_shuffle(struct engine *e); /* the order of guessed ports */
vtime_us hard_row_deadline(const struct engine *e);
bool hard_row_probed(struct engine *e, const struct addr *from, const struct frame_probed *f);
bool hard_are_sampled(const struct hard *h);   /* the server has answered what was asked of it */
bool hard_asked_in_vain(const struct hard *h); /* or one thing not, however often it was asked */
/* A question from a fresh socket to the server's address that NATs are asked about. */
bool hard_ask_server(struct engine *e, uint16_t socket, uint64_t token, struct engine_out *ret);
vtime_us hard_both_rtts(const struct engine *e, const struct peer *p);

/* hard_ping.c: does the router still make mappings? *ret_harm: it does not. */
bool hard_ping_poll(struct engine *e, vtime_us now, struct engine_out *ret, bool *ret_harm);
vtime_us hard_ping_deadline(const struct engine *e);
bool hard_ping_probed(struct engine *e, uint64_t token);
void hard_ping_drop(struct engine *e);

/* hard_target.c: what an address has had of us. NULL: nothing is known of it; from _take: there is no room. */
struct hard_target *hard_target_find(struct hard *h, const struct addr *ip);
struct hard_target *hard_target_take(struct hard *h, vtime_us now, const struct addr *ip);
bool hard_target_is_open(struct hard *h, vtime_us now, const struct addr *ip);
void hard_target_close(struct hard *h, vtime_us now, const struct addr *ip);
#endif
