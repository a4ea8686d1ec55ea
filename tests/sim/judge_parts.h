/* judge_parts.h: what judge.c and judge_wire.c share; nobody else includes it. */
#ifndef SIM_JUDGE_PARTS_H
#define SIM_JUDGE_PARTS_H
#include "judge.h"

struct outcome {
    uint32_t peer;
    bool     delivered;
};

struct said { /* one message of one client */
    uint64_t id;
    uint32_t to;
    uint8_t *text;
    size_t   size;
    unsigned sent_events;
    bool     nobody; /* the failure of a message that nobody ever came for */
    uint8_t  sent_count;
    uint32_t sent[PEERS_MAX];
    struct outcome *outcomes;
    int      outcome_count;
    bool     shown[JUDGE_CLIENTS_MAX], written[JUDGE_CLIENTS_MAX];
};

struct judge_client {
    struct sim_client *c;
    char         keyword[KEYWORD_BYTES_MAX + 1];
    struct said *said;
    int          said_count;
    int         *peers; /* by peer number: which client it is; -1: not told yet */
    bool        *left;
    uint32_t     peer_count;
    bool         is_liar;
    bool         ignores[JUDGE_CLIENTS_MAX];
    int          last_shown[JUDGE_CLIENTS_MAX]; /* index into said[] of that client; -1 */
};

enum { JUDGE_PROOFS = 16, JUDGE_PROOF_BYTES = COOKIE_BYTES_MAX };
struct judge_source {
    struct addr addr;
    int         origin; /* the host */
    uint64_t    received, sent;
    bool        validated;
    uint8_t     proof_size[JUDGE_PROOFS]; /* what only who receives there can know: cookies and secrets */
    uint8_t     proofs[JUDGE_PROOFS][JUDGE_PROOF_BYTES];
    unsigned    proof_next;
};

/* judge_wire.c */
void judge_tap(void *context, enum packet_fate fate, const struct packet *p, int node, int actor);
#endif
