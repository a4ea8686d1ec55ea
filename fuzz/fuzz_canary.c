/* The bird in the mine: code with a mistake that only a sanitizer sees, behind a frame that has to be well formed. If
 * the rig does not find it within seconds, the rig is broken: tests/test_fuzz.sh. */
#include "shapes.h"
#include "wire/codec.h"

const struct fuzz_shape *fuzz_shape = &shape_canary;

static struct codec codec;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct frame f;
    if (size < 2 || codec_decode(&codec, at + 1, size - 1, &f) != DECODE_OK || f.kind != FRAME_PROBED)
        return 0;
    /* None of the golden frames is like that: it has to be made. */
    if (f.probed.observed.family != ADDR_V6 || f.probed.observed.port < 1000 || f.probed.token % 4 != 2)
        return 0;
    uint8_t *ip = malloc(15);
    FUZZ_CHECK(ip != NULL);
    for (size_t i = 0; i < 16; i++)
        ip[i] = f.probed.observed.ip[i];
    free(ip);
    return 0;
}
