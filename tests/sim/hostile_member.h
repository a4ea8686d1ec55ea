/* hostile_member.h: somebody who knows the keyword (or does not) and keeps to no rule: a client made by hand, that
 * registers, runs CPace and answers like any other as far as its habits say, and sends whatever a test wants besides.
 * To the judge it is a client like others, who never lies about what it has written. */
#ifndef SIM_HOSTILE_MEMBER_H
#define SIM_HOSTILE_MEMBER_H
#include "hostile_run.h"
#include "scene.h"

enum { MEMBER_RUNS_MAX = 32 };

struct hostile_habits { /* all zero: an honest, simple client that is relayed */
    bool no_envelope; /* stays silent in its runs */
    bool no_acks, no_answers /* to Punch */, no_credit, no_receipts;
    bool endless_credit;
    bool no_link;
    bool tells; /* lets the server tell others where it is */
    bool no_refresh;
};

struct hostile_member {
    struct scene *s;
    struct world *w;
    int host, actor, socket;
    struct addr addr, server;
    struct hostile_key key;
    struct rng rng;
    struct codec codec;
    struct hostile_habits habits;
    struct frame_offer offer;
    struct frame_envelope tags;
    uint8_t prefix_bits; /* open form */

    bool validated;
    uint64_t token, handle, proof;
    uint8_t secret[SECRET_BYTES], cookie[COOKIE_BYTES_MAX], cookie_size;
    struct share_secret shares[SHARES_MAX];
    unsigned share_count;
    vtime_us register_at;
    uint64_t refused, introduced;
    uint64_t next_id; /* of its messages, whoever they are for */

    struct hostile_run *runs; /* MEMBER_RUNS_MAX */
    uint32_t next_number; /* of peers, as the judge knows them */
    /* Sees every frame that opens, before the habits do; NULL. */
    void (*on_frame)(struct hostile_member *m, struct hostile_run *run, const struct frame *f);
    void *context;

    uint8_t newest[DATAGRAM_BYTES_MAX]; /* the last Sealed datagram it sent */
    size_t newest_size;
    struct sim_client *mask; /* what the judge takes it for */
};

/* keyword NULL: the scene's. Registers at once. */
struct hostile_member *hostile_member_new(struct scene *s, int host, const char *keyword, const char *label);
void hostile_member_free(struct hostile_member *m); /* before the scene's end; also kills it */
/* The run with this client, if a packet of it has opened; NULL. */
struct hostile_run *hostile_member_meet(struct hostile_member *m, const struct sim_client *c, vtime_us us);
void hostile_member_register(struct hostile_member *m); /* once more, now */
void hostile_member_leave(struct hostile_member *m);    /* the server */

/* ---- packets of a session, over its direct address, its link or as Signal, in this order ---- */
void hostile_member_send(struct hostile_member *m, struct hostile_run *run, const uint8_t *plain, size_t size);
void hostile_member_say(struct hostile_member *m, struct hostile_run *run, const struct frame *f);
/* The same, directly, as if from another address. */
void hostile_member_spoof(struct hostile_member *m, struct hostile_run *run, const struct addr *from, const struct addr *to,
                          const struct frame *f);
/* A message as the protocol has it. */
void hostile_member_text(struct hostile_member *m, struct hostile_run *run, const char *text);
void hostile_member_offer(struct hostile_member *m, struct hostile_run *run, const struct addr *candidates, size_t count);
void hostile_member_to_server(struct hostile_member *m, const struct frame *f);
#endif
