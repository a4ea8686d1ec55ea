/* trace.h: what happened in a run: a ring of the latest lines for people, a hash over all for
 * machines (equal hashes: the same run). */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "wire/addr.h"
#include "wire/vtime.h"

enum { TRACE_LINES = 4096, TRACE_NAME_MAX = 20, TRACE_TEXT_MAX = 100 };

struct trace_line {
    vtime_us    time;
    const char *what; /* static */
    char        who[TRACE_NAME_MAX];
    bool        is_packet;
    uint8_t     ttl;
    uint8_t     frame; /* the outer frame's kind */
    uint16_t    size;
    struct addr src, dst;
    char        text[TRACE_TEXT_MAX]; /* of a line that is no packet */
};

struct trace {
    struct trace_line lines[TRACE_LINES];
    uint64_t          count;
    uint64_t          hash;
    bool              live; /* print every line at once to stderr: SIM_TRACE in the environment */
};

void trace_init(struct trace *t);
/* `what` must be static. */
void trace_packet(struct trace *t, vtime_us now, const char *who, const char *what, const struct addr *src,
                  const struct addr *dst, uint8_t ttl, const uint8_t *at, size_t size);
void trace_text(struct trace *t, vtime_us now, const char *who, const char *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The latest lines (0: all that are kept). */
void trace_dump(const struct trace *t, FILE *to, size_t lines_max);

/* The number of the outer frame's body by the datagram's first bytes alone; 0: none of ours. */
uint8_t     trace_frame_kind(const uint8_t *at, size_t size);
const char *trace_frame_name(uint8_t kind); /* "Register", ...; "?" */
#endif
