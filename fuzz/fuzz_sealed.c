/* What a peer may say: the fuzzer's bytes become the plaintext of packets that open at a live engine. It begins with a
 * session between the engine and the hand; the server is honest unless the script says otherwise. */
#include "script.h"
#include "shapes.h"

const struct fuzz_shape *fuzz_shape = &shape_sealed;

static const struct hand_beginning beginnings[] = {
    {.keyword = "42-crab-lunar-toast", .meets = true},
    {.keyword = "foo", .meets = true, .relay = RELAY_ONLY},
    {.keyword = "foo", .meets = true, .relay = RELAY_NEVER},
    {.keyword = "42-crab-lunar-toast", .meets = true, .nat = NAT_OF_COUNTING},
    {.keyword = "42-crab-lunar-toast", .meets = true, .nat = NAT_OF_DICE},
};

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    script_run(beginnings, COUNT(beginnings), at, size);
    return 0;
}
