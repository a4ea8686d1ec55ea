/* lie.h: a member who lies about its NAT and says it over and over, with one who listens to it (ann), for the tests of
 * what can be had by that; and what an address gets of one host. */
#ifndef SIM_LIE_H
#define SIM_LIE_H
#include "hostile_member.h"
#include "hostile_server.h"

enum {
    PROBES_MAX = 1900, /* to one address in ten minutes, whoever asks for them (docs/protocol.md s7) */
    AT_ONCE = 256,     /* plain questions to those who have never answered, */
    GAP_S = 5,         /* and then one in so many seconds */
    RATE_MAX = 500,    /* a second, all together */
    SOCKETS_MAX = 300, /* open at any time */
    LOW_TTL = 6,       /* dies on the way */
};

static inline uint64_t allowed_to_anybody(vtime_us us)
{
    return AT_ONCE + us / VTIME_S(GAP_S) + 1;
}

struct target { /* counts what a host sends to an address */
    struct world *w;
    struct addr ip;
    int host;
    uint64_t packets, low; /* all, and those that die on the way */
    vtime_us latest[RATE_MAX + 1];
    bool too_fast;
};
void target_watch(struct target *t, struct world *w, int host, const struct addr *ip);

struct says { /* of its NAT */
    uint8_t mapping, filtering, ports;
};
extern const struct says says_strict, says_random;

/* What ann is, what mel says to be, and the number of ports in an Aim that do most harm. */
struct lie_row {
    const char *title, *kind;
    const struct says *says;
    uint8_t worst;
};
/* How mel goes about it: how often she begins a try herself, beside answering. */
struct lie_way {
    const char *name;
    vtime_us begins_us; /* 0: never */
};
enum lie_rows {
    STRICT_AND_RANDOM,
    STRICT_AND_SEQUENTIAL,
    STRICT_AND_STRICT,
    RANDOM_AND_STRICT,
    SEQUENTIAL_AND_STRICT,
    SEQUENTIAL_AND_SEQUENTIAL,
    KEPT_AND_KEPT,
    LIE_ROWS
};
enum lie_ways { ANSWERS, BEGINS, TAKES_HER_TIME, LIE_WAYS };
extern const struct lie_row lie_rows[LIE_ROWS];
extern const struct lie_way lie_ways[LIE_WAYS];

#define FLOOD_US VTIME_MS(250)

struct lie {
    struct scene *s;
    struct hostile_server *h; /* NULL: the server is honest */
    struct sim_client *a;     /* ann */
    struct hostile_member *m; /* mel, on a public address */
    struct hostile_run *run;
    unsigned lives; /* mel's */
    const struct lie_row *row;
    const struct lie_way *way;
    struct addr at;                     /* that mel says to be at */
    uint32_t attempt, theirs, answered; /* mel's newest, ann's newest, the newest of ann's that mel has answered */
    vtime_us begins_at;
    struct target target; /* `at`, of ann */
};

/* Ann, behind a NAT of that kind (NULL: the row's), has found out about it before mel comes. at NULL: where mel really
 * is. Owns the scene. */
struct lie *lie_new(struct scene *s, enum lie_rows row, enum lie_ways way, const char *kind, const struct addr *at,
                    bool server_agrees);
void lie_free(struct lie *t);
void lie_mel_comes(struct lie *t, int host); /* once more */
void lie_take_aim(struct hostile_member *m, struct hostile_run *run, const struct frame *f); /* her on_frame */
void lie_offer(struct lie *t, const struct says *c);
void lie_aim(struct lie *t, uint32_t attempt, uint16_t port, uint8_t count);
void lie_flood_once(struct lie *t);
void lie_flood(struct lie *t, vtime_us us);
void lie_report(const struct lie *t, const char *what);

uint64_t linked_mask(const struct frame_linked *f);
/* Never too many, and after a try but the one that it began with (between one try and the next is time enough). */
void check_sockets(struct scene *s, struct sim_client *c);
#endif
