#include "trace.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, eight bytes a step: the runs are compared with each other only, never with another program. */
#define FNV_OFFSET 14695981039346656037U
#define FNV_PRIME  1099511628211U

static void hash_bytes(struct trace *t, const void *at, size_t size)
{
    const uint8_t *bytes = at;
    while (size > 0) {
        uint64_t word = 0;
        size_t n = size < sizeof word ? size : sizeof word;
        memcpy(&word, bytes, n);
        t->hash = (t->hash ^ word) * FNV_PRIME;
        t->hash ^= t->hash >> 29;
        bytes += n;
        size -= n;
    }
}

void trace_init(struct trace *t)
{
    t->count = 0;
    t->hash = FNV_OFFSET;
    t->live = getenv("SIM_TRACE") != NULL;
}

static void line_print(const struct trace_line *l, FILE *to)
{
    fprintf(to, "%6llu.%06llu  %-10s %-9s ", (unsigned long long)(l->time / 1000000),
            (unsigned long long)(l->time % 1000000), l->who, l->what);
    if (l->is_packet) {
        char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
        fprintf(to, "%s > %s  %s, %u bytes", addr_format(&l->src, src), addr_format(&l->dst, dst),
                trace_frame_name(l->frame), l->size);
        if (l->ttl < 64)
            fprintf(to, ", ttl %u", l->ttl);
        fputc('\n', to);
    } else {
        fprintf(to, "%s\n", l->text);
    }
}

static struct trace_line *line_begin(struct trace *t, vtime_us now, const char *who, const char *what)
{
    struct trace_line *l = &t->lines[t->count++ % TRACE_LINES];
    memset(l, 0, sizeof *l);
    l->time = now;
    l->what = what;
    snprintf(l->who, sizeof l->who, "%s", who);
    hash_bytes(t, &now, sizeof now);
    hash_bytes(t, l->who, strlen(l->who));
    hash_bytes(t, what, strlen(what));
    return l;
}

void trace_packet(struct trace *t, vtime_us now, const char *who, const char *what, const struct addr *src,
                  const struct addr *dst, uint8_t ttl, const uint8_t *at, size_t size)
{
    struct trace_line *l = line_begin(t, now, who, what);
    l->is_packet = true;
    l->src = *src;
    l->dst = *dst;
    l->ttl = ttl;
    l->frame = trace_frame_kind(at, size);
    l->size = (uint16_t)size;
    hash_bytes(t, &src->port, sizeof src->port);
    hash_bytes(t, src->ip, sizeof src->ip);
    hash_bytes(t, at, size);
    if (t->live)
        line_print(l, stderr);
}

void trace_text(struct trace *t, vtime_us now, const char *who, const char *what, const char *format, ...)
{
    struct trace_line *l = line_begin(t, now, who, what);
    va_list args;
    va_start(args, format);
    vsnprintf(l->text, sizeof l->text, format, args);
    va_end(args);
    hash_bytes(t, l->text, strlen(l->text));
    if (t->live)
        line_print(l, stderr);
}

void trace_dump(const struct trace *t, FILE *to, size_t lines_max)
{
    uint64_t kept = t->count < TRACE_LINES ? t->count : TRACE_LINES;
    if (lines_max > 0 && lines_max < kept)
        kept = lines_max;
    if (kept < t->count)
        fprintf(to, "... %llu earlier lines\n", (unsigned long long)(t->count - kept));
    for (uint64_t i = t->count - kept; i < t->count; i++)
        line_print(&t->lines[i % TRACE_LINES], to);
}

uint8_t trace_frame_kind(const uint8_t *at, size_t size)
{
    static const uint8_t word[] = {0x0d, 0x50, 0x32, 0x50, 0x31}; /* field 1, fixed32, "P2P1" */
    if (size < sizeof word + 2 || memcmp(at, word, sizeof word) != 0)
        return 0;
    unsigned tag = at[5];
    if (tag & 0x80)
        tag = (tag & 0x7f) | (unsigned)at[6] << 7;
    return tag >> 3 < 64 ? (uint8_t)(tag >> 3) : 0;
}

const char *trace_frame_name(uint8_t kind)
{
    static const char *const names[] = {
        [2] = "Register", [3] = "Registered", [4] = "PeerInfo", [5] = "Signal",   [6] = "Relay",   [7] = "Sealed",
        [8] = "Punch",    [9] = "Message",    [10] = "Ack",     [11] = "Receipt", [12] = "Credit", [13] = "Envelope",
        [14] = "Offer",   [15] = "Leave",     [16] = "Link",    [17] = "Linked",  [18] = "Retry",  [19] = "Refused",
        [20] = "Probe",   [21] = "Probed",    [22] = "Aim",
    };
    return kind < sizeof names / sizeof *names && names[kind] ? names[kind] : "?";
}
