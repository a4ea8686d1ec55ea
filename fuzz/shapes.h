/* shapes.h: what the inputs of each target look like, for its harness and for mutate.c. */
#ifndef FUZZ_SHAPES_H
#define FUZZ_SHAPES_H
#include "fuzz.h"

extern const struct fuzz_shape shape_codec, shape_server, shape_engine, shape_sealed, shape_pair, shape_text, shape_json,
    shape_console, shape_options, shape_config, shape_canary;
const struct fuzz_shape *shape_find(const char *name); /* NULL: there is none */

enum server_operation {
    SERVER_FRAME,    /* source, socket, 2 bytes of enum server_patch; a frame as it is or with secrets put right */
    SERVER_RAW,      /* source, socket; any bytes */
    SERVER_TIME,     /* how long */
    SERVER_AGAIN,    /* source; the newest datagram of anybody, from there */
    SERVER_RESTART,  /* a new process with empty tables */
    SERVER_ENTROPY,
    SERVER_SHUTDOWN,
    SERVER_STEP,     /* source, what: a client's next honest step: Register and echo, refresh, Link, ... */
    SERVER_CROWD,    /* first source, what, how many: SERVER_STEP twice for each */
    SERVER_OPERATIONS
};

enum engine_operation {
    ENGINE_FRAME,    /* from, socket, 2 bytes of enum hand_patch; from the server or a stranger */
    ENGINE_RAW,      /* from, socket; any bytes */
    ENGINE_SEALED,   /* way, what is wrong with it; inner frames of the hand's session */
    ENGINE_TIME,     /* how long, and how honest the server is meanwhile */
    ENGINE_SAY,      /* id, to; text */
    ENGINE_COMMAND,  /* which, argument; text */
    ENGINE_SHELL,    /* which, socket, address: what the shell may report */
    ENGINE_INTRODUCE, /* how (enum hand_run): the hand's peer and the engine, once more */
    ENGINE_AGAIN,    /* which, from: an older datagram that went to the engine, or its own back to it */
    ENGINE_OPERATIONS
};

enum pair_operation {
    PAIR_RUN,     /* how many arrivals and deadlines */
    PAIR_SAY,     /* who, how much */
    PAIR_LOSE,    /* which of those under way */
    PAIR_DOUBLE,  /* which, how much later */
    PAIR_DELAY,   /* which, how much */
    PAIR_BLOCK,   /* what: direct, one of the lines to the server, both ways or one */
    PAIR_REPLAY,  /* which that arrived long ago */
    PAIR_REBIND,  /* who: its NAT gives it another port */
    PAIR_HOLD,    /* who: its reader stops, or goes on */
    PAIR_SLEEP,   /* who, how long */
    PAIR_RESTART, /* the server */
    PAIR_OPERATIONS
};
#endif
