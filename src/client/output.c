#include "client/output.h"
#include "client/buffer.h"
#include "net/udp.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WRITE_BYTES_MAX = 65536,
    WRITES_PER_TURN = 16,   /* then the loop gets a chance to do something else */
    SHRINK_BYTES = 1 << 20, /* an empty queue of more than that is given back */
};

static void choose_kind(struct output *o, int fd)
{
    struct stat st;
    char path[32];
    o->fd = fd;
    o->kind = OUTPUT_POLLED;
    if (fstat(fd, &st) != 0)
        return;
    if (S_ISSOCK(st.st_mode))
        o->kind = OUTPUT_SOCKET;
    else if (S_ISREG(st.st_mode))
        o->kind = OUTPUT_PLAIN; /* a description of our own would have an offset of its own */
    if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    o->fd = own;
    o->kind = OUTPUT_OWN;
}

/* Like write, but never waits: -EAGAIN instead. */
static ssize_t write_some(struct output *o, const char *at, size_t size)
{
    ssize_t put;
    if (size > WRITE_BYTES_MAX)
        size = WRITE_BYTES_MAX;
    if (o->kind == OUTPUT_SOCKET) {
        put = send(o->fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (o->kind == OUTPUT_POLLED) {
        struct pollfd wait = {.fd = o->fd, .events = POLLOUT};
        if (poll(&wait, 1, 0) == 0)
            return -EAGAIN;
        put = write(o->fd, at, size < PIPE_BUF ? size : PIPE_BUF);
    } else {
        put = write(o->fd, at, size);
    }
    return put < 0 ? -errno : put;
}

static void forget(struct output *o)
{
    o->accepted = o->written;
    o->start = o->end = 0;
    o->mark_first = o->mark_end = 0;
}

static void write_now(struct output *o)
{
    for (int i = 0; i < WRITES_PER_TURN && o->start < o->end && o->error == 0; i++) {
        ssize_t put = write_some(o, o->at + o->start, o->end - o->start);
        if (put == -EINTR)
            continue;
        if (put == -EAGAIN || put == -EWOULDBLOCK || put == 0)
            break;
        if (put < 0) {
            o->error = (int)-put;
            forget(o);
            break;
        }
        o->start += (size_t)put;
        o->written += (uint64_t)put;
    }
    if (o->start == o->end) {
        o->start = o->end = 0;
        if (o->cap > SHRINK_BYTES) {
            free(o->at);
            o->at = NULL;
            o->cap = 0;
        }
    }
    if (o->writable != NULL && o->start < o->end)
        event_add(o->writable, NULL);
    else if (o->writable != NULL)
        event_del(o->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
    struct output *o = data;
    (void)fd;
    (void)what;
    write_now(o);
    if (o->progress != NULL)
        o->progress(o->progress_data);
}

void output_open(struct output *o, int fd, struct event_base *base, void (*progress)(void *), void *data)
{
    *o = (struct output){.progress = progress, .progress_data = data};
    choose_kind(o, fd);
    if (base != NULL)
        o->writable = event_new(base, o->fd, EV_WRITE, on_writable, o);
}

void output_close(struct output *o)
{
    if (o->writable != NULL)
        event_free(o->writable);
    if (o->kind == OUTPUT_OWN)
        close(o->fd);
    free(o->at);
    free(o->marks);
    *o = (struct output){.fd = -1, .error = EBADF};
}

static void make_room(struct output *o, size_t size)
{
    /* Moves only what is less than what has been written: each byte is moved once on average. */
    if (o->start > 0 && o->end + size > o->cap && o->start >= o->end - o->start) {
        memmove(o->at, o->at + o->start, o->end - o->start);
        o->end -= o->start;
        o->start = 0;
    }
    size_t cap = o->cap == 0 ? 4096 : o->cap;
    while (cap < o->end + size)
        cap *= 2;
    if (cap > o->cap) {
        o->at = memory_grow(o->at, cap);
        o->cap = cap;
    }
}

void output_write(struct output *o, const char *bytes, size_t size)
{
    if (o->error != 0 || size == 0)
        return;
    make_room(o, size);
    memcpy(o->at + o->end, bytes, size);
    o->end += size;
    o->accepted += size;
    write_now(o);
}

void output_mark(struct output *o, uint32_t peer, uint64_t number)
{
    if (o->error != 0)
        return;
    if (o->mark_first > 0 && o->mark_end == o->mark_cap && o->mark_first >= o->mark_cap - o->mark_first) {
        memmove(o->marks, o->marks + o->mark_first, (o->mark_end - o->mark_first) * sizeof *o->marks);
        o->mark_end -= o->mark_first;
        o->mark_first = 0;
    }
    if (o->mark_end == o->mark_cap) {
        o->mark_cap = o->mark_cap == 0 ? 64 : 2 * o->mark_cap;
        o->marks = memory_grow(o->marks, o->mark_cap * sizeof *o->marks);
    }
    o->marks[o->mark_end++] = (struct output_mark){.position = o->accepted, .peer = peer, .number = number};
}

bool output_take_written(struct output *o, uint32_t *ret_peer, uint64_t *ret_number)
{
    if (o->mark_first == o->mark_end || o->marks[o->mark_first].position > o->written)
        return false;
    *ret_peer = o->marks[o->mark_first].peer;
    *ret_number = o->marks[o->mark_first].number;
    if (++o->mark_first == o->mark_end)
        o->mark_first = o->mark_end = 0;
    return true;
}

size_t output_pending(const struct output *o)
{
    return o->end - o->start;
}

bool output_flush(struct output *o, int timeout_ms)
{
    vtime_us until = net_now() + VTIME_MS((uint64_t)timeout_ms);
    write_now(o);
    while (output_pending(o) > 0) {
        vtime_us now = net_now();
        struct pollfd wait = {.fd = o->fd, .events = POLLOUT};
        if (now >= until || (poll(&wait, 1, (int)((until - now) / 1000) + 1) < 0 && errno != EINTR))
            return false;
        write_now(o);
    }
    return true;
}
