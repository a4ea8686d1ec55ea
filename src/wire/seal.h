/* seal.h: the keys of one session and the packets sealed with them. docs/protocol.md, "Keys".
 * Pure: ChaCha20-Poly1305 (IETF) and BLAKE2b of libsodium. */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/cpace.h"
#include "wire/replay.h"
#include "wire/vtime.h"

enum { SEAL_KEY_BYTES = 32, SEAL_TAG_BYTES = 16, SEAL_NONCE_BYTES = 32, SEAL_COMMITMENT_BYTES = 32,
       SEAL_RELAY_TOKEN_BYTES = 16, SEAL_WORDS = 4, SEAL_SECRET_BYTES = 16 };

/* BLAKE2b-256("commit" || nonce). */
void seal_commit(uint8_t ret[static SEAL_COMMITMENT_BYTES], const uint8_t nonce[static SEAL_NONCE_BYTES]);
/* The first 8 bytes, little-endian, of BLAKE2b-128("p2p1 proof", key = secret): what the server shows to
 * prove that it knows a registration's secret. Never 0 (0 is shown as 1). */
uint64_t seal_proof(const uint8_t secret[static SEAL_SECRET_BYTES]);

struct seal_direction {
    uint64_t session;              /* Sealed.session in this direction */
    uint32_t epoch;
    uint8_t  key[SEAL_KEY_BYTES];
    uint64_t packets;              /* sealed or opened in this epoch */
};

struct seal {
    uint8_t  side;                 /* ours: 0 or 1 */
    struct seal_direction send, recv;
    bool     recv_old_valid;       /* the key before recv.key still opens, until recv_old_until */
    uint8_t  recv_old_key[SEAL_KEY_BYTES];
    vtime_us recv_old_until;
    uint64_t counter;              /* of the next packet */
    vtime_us epoch_since;          /* when send's epoch began */
    bool     epoch_confirmed;      /* a packet of send's epoch has been acknowledged */
    struct replay replay;
    uint8_t  relay_token[SEAL_RELAY_TOKEN_BYTES];
    uint8_t  words_key[SEAL_KEY_BYTES];
    uint8_t  same_key[SEAL_KEY_BYTES];
};

/* All keys of a session from a finished run. */
void seal_init(struct seal *s, const struct cpace_result *run, vtime_us now);

/* Seals `size` bytes. The packet's number goes to *ret_counter and its epoch to *ret_epoch;
 * ciphertext takes size + SEAL_TAG_BYTES bytes. Steps the key first when it is due (DESIGN §5: 2^20
 * packets or 10 minutes, and only if epoch_confirmed). */
void seal_packet(struct seal *s, vtime_us now, const uint8_t *plain, size_t size, uint8_t *ret_ciphertext,
                 uint64_t *ret_counter, uint32_t *ret_epoch);
/* Call when a packet of `epoch` has been acknowledged. */
void seal_acknowledged(struct seal *s, uint32_t epoch);

enum seal_verdict { SEAL_OPENED, SEAL_FORGED, SEAL_REPLAYED, SEAL_WRONG_EPOCH };
/* Opens a packet; only SEAL_OPENED changes any state (replay window, epoch). plain takes
 * size - SEAL_TAG_BYTES. old_key_us is how long the previous key stays after a step. */
enum seal_verdict seal_open(struct seal *s, vtime_us now, uint64_t session, uint32_t epoch, uint64_t counter,
                            const uint8_t *ciphertext, size_t size, vtime_us old_key_us, uint8_t *ret_plain);

/* Four numbers of 11 bits: BLAKE2b(words_key, nonce of side 0 || nonce of side 1). */
void seal_words(const struct seal *s, const uint8_t own_nonce[static SEAL_NONCE_BYTES],
                const uint8_t peer_nonce[static SEAL_NONCE_BYTES], uint16_t ret[static SEAL_WORDS]);
/* The tag by which both ends of an old session recognise each other in a new run (sid_output is the new one's). `side`
 * is the sender's in the old one: each end has a tag of its own, lest a third send back to one what it got from it.
 * `running`: the old one is a run that neither confirmed nor ended. */
uint64_t seal_same_tag(const uint8_t same_key[static SEAL_KEY_BYTES], uint8_t side, bool running,
                       const uint8_t sid_output[static CPACE_SID_BYTES]);
void seal_wipe(struct seal *s);
#endif
