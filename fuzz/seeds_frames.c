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
