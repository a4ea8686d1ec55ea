/* hostile_run.h: one end of a run and its session, made by hand out of cpace, seal and codec, with none of the
 * engine's rules: for those who want to break them. Nothing is repeated and nothing is timed. */
#ifndef SIM_HOSTILE_RUN_H
#define SIM_HOSTILE_RUN_H
#include "peer/inbox.h"
#include "peer/received.h"
#include "peer/stock.h"
#include "wire/seal.h"
#include "world.h"

struct hostile_key { /* a keyword, right or guessed */
    struct keyword keyword;
    uint8_t generator[CPACE_POINT_BYTES];
};

struct hostile_run {
    bool used;
    vtime_us since;
    struct share_secret own;
    struct share_public theirs;
    uint64_t handle; /* theirs */
    uint8_t run_id[CPACE_SID_BYTES];
    struct seal seal;
    bool opened; /* a packet of theirs did: they have this keyword */
    uint64_t wrong; /* packets that did not open */
    struct frame_envelope envelope; /* theirs */
    struct frame_offer offer;       /* their newest */
    uint32_t link;                  /* 0: none */
    struct addr direct;             /* ADDR_NONE: through the server */
    struct received received;
    struct inbox inbox;
    uint64_t credit, receipt; /* theirs */
    uint64_t stream_end;      /* ours */
    bool left;
    uint32_t number; /* 0: not known yet */
    uint64_t packets, frames[FRAME_KINDS]; /* what came */
};

void hostile_key_init(struct hostile_key *k, const char *text);
void hostile_share_make(struct rng *r, const struct hostile_key *k, struct share_secret *ret);
/* From own, theirs and handle; false where CPace says abort. */
bool hostile_run_begin(struct hostile_run *run, vtime_us now);
/* A whole Frame with a Sealed body; returns its size. */
size_t hostile_seal(struct hostile_run *run, vtime_us now, const uint8_t *plain, size_t size,
                    uint8_t ret[static DATAGRAM_BYTES_MAX]);
/* The plaintext of one; false: it does not open. */
bool hostile_open(struct hostile_run *run, vtime_us now, struct codec *c, struct bytes datagram,
                  uint8_t ret_plain[static CIPHERTEXT_BYTES_MAX], size_t *ret_size);
/* Envelope with our nonce and these same tags. */
size_t hostile_put_envelope(const struct hostile_run *run, const struct frame_envelope *tags, uint8_t *ret, size_t cap);
/* The four words that this end would show. */
void hostile_words(const struct hostile_run *run, const char *ret[static SEAL_WORDS]);

/* ---- the world ---- */
/* A datagram from an address that is not the sender's. */
void hostile_spoof(struct world *w, int host, const struct addr *src, const struct addr *dst, const uint8_t *at,
                   size_t size);

struct hostile_victim { /* counts what is sent to an address, whether or not anybody is there */
    struct addr ip;     /* port 0: any */
    int but;            /* not what this host sends itself; -1 */
    uint64_t packets, bytes;
    uint16_t largest;
};
void hostile_watch(struct world *w, struct hostile_victim *v);
#endif
