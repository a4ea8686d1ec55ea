#include "server/log.h"
#include "wire/text.h"
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(LOG_LINE_BYTES_MAX + 1 <= PIPE_BUF, "a line after an unfinished one is written whole, too");

static const char *const names[] = {"error", "warning", "info", "debug"};
static const char priorities[] = {'3', '4', '6', '7'}; /* syslog's */

bool log_level_parse(enum log_level *ret, const char *name)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

/* ---- the line ---- */

static const char cut_mark[] = " cut=true\n";

struct writer { /* writes nothing any more once something has not fitted */
    char *at;
    size_t used, cap;
    bool full;
};

static void put(struct writer *w, const char *text, size_t size)
{
    if (w->full || size > w->cap - w->used) {
        w->full = true;
        return;
    }
    memcpy(w->at + w->used, text, size);
    w->used += size;
}

static void put_format(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_format(struct writer *w, const char *format, ...)
{
    char piece[64]; /* a number, an escape, a time */
    va_list args;
    va_start(args, format);
    int size = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    put(w, piece, size > 0 && (size_t)size < sizeof piece ? (size_t)size : 0);
}

static bool is_bare(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

/* As in JSON, and ASCII only: what somebody else has made up must not steer the terminal of who reads the log. */
static void put_escaped(struct writer *w, uint32_t codepoint)
{
    if (codepoint == '"' || codepoint == '\\')
        put_format(w, "\\%c", (int)codepoint);
    else if (codepoint >= ' ' && codepoint < 0x7f)
        put_format(w, "%c", (int)codepoint);
    else if (codepoint == '\n')
        put(w, "\\n", 2);
    else if (codepoint == '\t')
        put(w, "\\t", 2);
    else if (codepoint >= 0x10000)
        put_format(w, "\\u%04x\\u%04x", 0xd800 + (unsigned)((codepoint - 0x10000) >> 10),
                   0xdc00 + (unsigned)((codepoint - 0x10000) & 0x3ff));
    else
        put_format(w, "\\u%04x", (unsigned)codepoint);
}

static void put_value(struct writer *w, const char *text)
{
    const size_t size = strlen(text);
    size_t bare = 0;
    while (bare < size && is_bare(text[bare]))
        bare++;
    if (size > 0 && bare == size) {
        put(w, text, size);
        return;
    }
    put(w, "\"", 1);
    for (size_t i = 0; i < size && !w->full;) {
        uint32_t codepoint = 0xfffd; /* for a byte that is no UTF-8 */
        const size_t length = text_next((const uint8_t *)text + i, size - i, &codepoint);
        put_escaped(w, length != 0 ? codepoint : 0xfffd);
        i += length != 0 ? length : 1;
    }
    put(w, "\"", 1);
}

static void put_field(struct writer *w, const struct log_field *f)
{
    put(w, " ", 1);
    put(w, f->name, strlen(f->name));
    put(w, "=", 1);
    if (f->text != NULL)
        put_value(w, f->text);
    else
        put_format(w, "%" PRIu64, f->number);
}

static void put_front(struct writer *w, const struct log_front *front, enum log_level level)
{
    char when[32];
    struct tm utc;
    const time_t seconds = (time_t)front->unix_seconds;
    if (front->journal) {
        put_format(w, "<%c>", priorities[level]);
        return;
    }
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
    put_format(w, "time=%s ", when);
}

size_t log_format(char ret[static LOG_LINE_BYTES_MAX + 1], const struct log_front *front, enum log_level level,
                  const char *event, const struct log_field *fields, size_t count)
{
    struct writer w = {.at = ret, .cap = LOG_LINE_BYTES_MAX - strlen(cut_mark)};
    bool cut = false;
    put_front(&w, front, level);
    put_format(&w, "level=%s event=", names[level]);
    put_value(&w, event);
    for (size_t i = 0; i < count; i++) {
        const size_t before = w.used;
        put_field(&w, &fields[i]);
        if (w.full) {
            w.used = before;
            w.full = false;
            cut = true;
        }
    }
    const char *end = cut ? cut_mark : "\n";
    memcpy(ret + w.used, end, strlen(end) + 1);
    return w.used + strlen(end);
}

/* ---- where it goes ---- */

static struct {
    enum log_level level_max;
    bool with_addresses, journal;
    int fd;         /* stderr, or the same file opened anew, or -1: not opened yet */
    bool is_socket; /* then a flag of the call is enough not to wait */
    bool torn;      /* the last line went out in part */
    uint64_t dropped;
    uint64_t minute; /* of CLOCK_MONOTONIC */
    unsigned lines;  /* in this minute */
} out = {.level_max = LOG_LEVEL_INFO, .fd = -1};

/* systemd tells the device and inode of the stderr that it has given. */
static bool is_journal(const struct stat *of)
{
    const char *said = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    return said != NULL && sscanf(said, "%ju:%ju", &device, &inode) == 2 && device == of->st_dev && inode == of->st_ino;
}

void log_open(enum log_level level, bool with_addresses)
{
    struct stat is;
    out.level_max = level;
    out.with_addresses = with_addresses;
    out.fd = STDERR_FILENO;
    if (fstat(STDERR_FILENO, &is) != 0)
        return;
    out.is_socket = S_ISSOCK(is.st_mode);
    out.journal = is_journal(&is);
    /* O_NONBLOCK belongs to the open file, which we share with whoever started us; so we open our own. Not for a real
     * file: there it has no meaning, and the place where to write next is shared as well. */
    if (S_ISFIFO(is.st_mode) || isatty(STDERR_FILENO)) {
        const int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        out.fd = fd >= 0 ? fd : STDERR_FILENO;
    }
    struct tm utc;
    gmtime_r(&(time_t){0}, &utc); /* reads the system's time zone once, while files may still be opened */
}

bool log_has_addresses(void)
{
    return out.with_addresses;
}

uint64_t log_dropped_lines(void)
{
    return out.dropped;
}

static bool is_over_rate(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t minute = (uint64_t)now.tv_sec / 60;
    if (minute != out.minute) {
        out.minute = minute;
        out.lines = 0;
    }
    return out.lines++ >= LOG_LINES_PER_MINUTE;
}

/* Asked first in case that stderr could not be opened anew: who may write to a pipe at all may write PIPE_BUF. */
static ssize_t write_now(const char *line, size_t size)
{
    struct pollfd ready = {.fd = out.fd, .events = POLLOUT};
    if (out.is_socket)
        return send(out.fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return poll(&ready, 1, 0) == 1 ? write(out.fd, line, size) : -1;
}

static void write_line(const char *line, size_t size)
{
    const ssize_t written = write_now(line, size);
    if (written == (ssize_t)size) {
        out.torn = false;
        return;
    }
    out.torn = out.torn || written > 0;
    out.dropped++;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    char line[1 + LOG_LINE_BYTES_MAX + 1]; /* a newline first, for after a torn line */
    if (level > out.level_max)
        return;
    if (out.fd < 0)
        log_open(out.level_max, out.with_addresses);
    if (is_over_rate()) {
        out.dropped++;
        return;
    }
    const struct log_front front = {.unix_seconds = (uint64_t)time(NULL), .journal = out.journal};
    line[0] = '\n';
    const size_t size = log_format(line + 1, &front, level, event, fields, count);
    write_line(out.torn ? line : line + 1, out.torn ? size + 1 : size);
}
