/* A client's engine, and everything that comes to it from anywhere: the server's frames and lies, strangers, the user,
 * the shell. It begins before it knows the server's answer. */
#include "script.h"
#include "shapes.h"

const struct fuzz_shape *fuzz_shape = &shape_engine;

static const struct hand_beginning beginnings[] = {
    {.keyword = "42-crab-lunar-toast"},
    {.keyword = "foo", .wait_us = VTIME_S(60)},
    {.keyword = NULL},
    {.keyword = "42-crab-lunar-toast", .relay = RELAY_NEVER},
    {.keyword = "foo", .relay = RELAY_ONLY},
};

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    script_run(beginnings, COUNT(beginnings), at, size);
    return 0;
}
