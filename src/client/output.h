/* output.h: a queue of bytes in front of a descriptor that never makes the event loop wait.
 *
 * The descriptors that a shell gives us are shared with other programs, and O_NONBLOCK belongs to what is shared: it
 * must not be set on them. Pipes and terminals are therefore opened anew through /proc (a description of our own);
 * sockets are sent to with MSG_DONTWAIT; files never make anybody wait; and where none of that goes, a poll is
 * followed by a write that a pipe takes whole. */
#ifndef CLIENT_OUTPUT_H
#define CLIENT_OUTPUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct event;

enum output_kind { OUTPUT_PLAIN, OUTPUT_OWN, OUTPUT_SOCKET, OUTPUT_POLLED };

struct output_mark { /* a message whose last byte ends before `position` */
    uint64_t position;
    uint64_t number;
    uint32_t peer;
};

struct output {
    int              fd;
    enum output_kind kind;
    int              error; /* errno that ended it; 0: alive */
    char            *at;    /* waiting: at[start..end) */
    size_t           start, end, cap;
    uint64_t         accepted, written; /* bytes, since the start */
    struct output_mark *marks;          /* waiting: marks[mark_first..mark_end) */
    size_t           mark_first, mark_end, mark_cap;
    struct event    *writable;
    void           (*progress)(void *); /* called from the event loop after each write, and on an error */
    void            *progress_data;
};

/* base may be NULL: then output_flush alone writes. */
void output_open(struct output *o, int fd, struct event_base *base, void (*progress)(void *), void *data);
void output_close(struct output *o);
/* Takes the bytes and writes what can be written now. After an error it drops them. */
void output_write(struct output *o, const char *bytes, size_t size);
/* Everything taken so far is message `number` of `peer` and what was before it. */
void output_mark(struct output *o, uint32_t peer, uint64_t number);
/* The next message that has been written out whole. */
bool output_take_written(struct output *o, uint32_t *ret_peer, uint64_t *ret_number);
size_t output_pending(const struct output *o);
/* Waits for the descriptor until all is written, at most so long; false: something is left. */
bool output_flush(struct output *o, int timeout_ms);
#endif
