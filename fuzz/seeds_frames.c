#include "peer/internal.h" /* to open what the engines have sealed */
#include "seeds.h"
#include "tests/codec_samples.h"

void seeds_samples(void (*frame)(bool inside, const uint8_t *at, size_t size))
{
    for (size_t i = 0; i < SAMPLES; i++) {
        struct frame f;
        uint8_t bytes[DATAGRAM_BYTES_MAX + 2];
        sample_make(i, &f);
        bool inside = samples[i].inside;
        frame(inside, bytes,
              inside ? codec_encode_inner(&f, bytes, sizeof bytes) : codec_encode(&f, bytes, sizeof bytes));
    }
}

bool seeds_open(const struct engine *e, const struct frame_sealed *f, uint8_t *ret_plain)
{
    for (unsigned i = 0; e != NULL && i < PEER_SLOTS; i++) {
        const struct seal *own = &e->peers[i].seal;
        struct seal peek = {.recv = own->send};
        if (own->send.session == f->session && f->session != 0)
            return seal_open(&peek, 0, f->session, f->epoch, f->counter, f->ciphertext.at, f->ciphertext.size, 0,
                             ret_plain) == SEAL_OPENED;
    }
    return false;
}
