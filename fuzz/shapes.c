#include "shapes.h"

static const struct fuzz_operation server[SERVER_OPERATIONS] = {
    [SERVER_FRAME] = {4, PAYLOAD_DATAGRAM, 30}, [SERVER_RAW] = {2, PAYLOAD_DATAGRAM, 3},
    [SERVER_TIME] = {1, PAYLOAD_NONE, 10},      [SERVER_AGAIN] = {1, PAYLOAD_NONE, 4},
    [SERVER_RESTART] = {0, PAYLOAD_NONE, 1},    [SERVER_ENTROPY] = {0, PAYLOAD_NONE, 1},
    [SERVER_SHUTDOWN] = {0, PAYLOAD_NONE, 1},   [SERVER_STEP] = {2, PAYLOAD_NONE, 30},
    [SERVER_CROWD] = {3, PAYLOAD_NONE, 3},
};

static const struct fuzz_operation engine[ENGINE_OPERATIONS] = {
    [ENGINE_FRAME] = {4, PAYLOAD_DATAGRAM, 25}, [ENGINE_RAW] = {2, PAYLOAD_DATAGRAM, 3},
    [ENGINE_SEALED] = {2, PAYLOAD_INNER, 10},   [ENGINE_TIME] = {2, PAYLOAD_NONE, 12},
    [ENGINE_SAY] = {2, PAYLOAD_BYTES, 4},       [ENGINE_COMMAND] = {2, PAYLOAD_BYTES, 4},
    [ENGINE_SHELL] = {3, PAYLOAD_NONE, 5},      [ENGINE_INTRODUCE] = {1, PAYLOAD_NONE, 4},
    [ENGINE_AGAIN] = {2, PAYLOAD_NONE, 3},
};

/* The same, but it is about what peers say. */
static const struct fuzz_operation sealed[ENGINE_OPERATIONS] = {
    [ENGINE_FRAME] = {4, PAYLOAD_DATAGRAM, 4}, [ENGINE_RAW] = {2, PAYLOAD_DATAGRAM, 1},
    [ENGINE_SEALED] = {2, PAYLOAD_INNER, 50},  [ENGINE_TIME] = {2, PAYLOAD_NONE, 14},
    [ENGINE_SAY] = {2, PAYLOAD_BYTES, 6},      [ENGINE_COMMAND] = {2, PAYLOAD_BYTES, 3},
    [ENGINE_SHELL] = {3, PAYLOAD_NONE, 3},     [ENGINE_INTRODUCE] = {1, PAYLOAD_NONE, 1},
    [ENGINE_AGAIN] = {2, PAYLOAD_NONE, 3},
};

static const struct fuzz_operation pair[PAIR_OPERATIONS] = {
    [PAIR_RUN] = {1, PAYLOAD_NONE, 30},   [PAIR_SAY] = {2, PAYLOAD_NONE, 15},    [PAIR_LOSE] = {1, PAYLOAD_NONE, 12},
    [PAIR_DOUBLE] = {2, PAYLOAD_NONE, 8}, [PAIR_DELAY] = {2, PAYLOAD_NONE, 10},  [PAIR_BLOCK] = {1, PAYLOAD_NONE, 6},
    [PAIR_REPLAY] = {1, PAYLOAD_NONE, 6}, [PAIR_REBIND] = {1, PAYLOAD_NONE, 2},  [PAIR_HOLD] = {1, PAYLOAD_NONE, 3},
    [PAIR_SLEEP] = {2, PAYLOAD_NONE, 2},  [PAIR_RESTART] = {0, PAYLOAD_NONE, 1},
};

const struct fuzz_shape shape_codec = {.name = "codec", .kind = KIND_FRAME};
const struct fuzz_shape shape_server = {"server", KIND_SCRIPT, server, SERVER_OPERATIONS};
const struct fuzz_shape shape_engine = {"engine", KIND_SCRIPT, engine, ENGINE_OPERATIONS};
const struct fuzz_shape shape_sealed = {"sealed", KIND_SCRIPT, sealed, ENGINE_OPERATIONS};
const struct fuzz_shape shape_pair = {"pair", KIND_SCRIPT, pair, PAIR_OPERATIONS};
const struct fuzz_shape shape_text = {.name = "text"};
const struct fuzz_shape shape_json = {.name = "json"};
const struct fuzz_shape shape_console = {.name = "console"};
const struct fuzz_shape shape_options = {.name = "options"};
const struct fuzz_shape shape_config = {.name = "config"};
const struct fuzz_shape shape_canary = {.name = "canary", .kind = KIND_FRAME};

const struct fuzz_shape *shape_find(const char *name)
{
    static const struct fuzz_shape *const all[] = {
        &shape_codec, &shape_server,  &shape_engine,  &shape_sealed, &shape_pair,   &shape_text,
        &shape_json,  &shape_console, &shape_options, &shape_config, &shape_canary,
    };
    for (size_t i = 0; i < COUNT(all); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}
