/* log.h: one line an event on stderr, as logfmt: time, level, event, fields. Never a keyword; an address of somebody
 * else only if the operator has asked for it (see log_has_addresses).
 *
 * Whatever happens to stderr, nobody waits for it: a line that it does not take at once is dropped and counted. So is
 * what goes over LOG_LINES_PER_MINUTE, so that no flood fills a disk. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum {
    LOG_LINE_BYTES_MAX = 1024, /* with the newline; below PIPE_BUF, so that a pipe takes a line whole or not at all */
    LOG_LINES_PER_MINUTE = 60, /* at most 90 MB a day; what is logged by design is some lines a minute */
};

struct log_field {
    const char *name;
    const char *text; /* NULL: number is the value */
    uint64_t    number;
};
#define LOG_TEXT(n, value)   ((struct log_field){.name = (n), .text = (value)})
#define LOG_NUMBER(n, value) ((struct log_field){.name = (n), .number = (value)})

/* False for a name that is none. */
bool log_level_parse(enum log_level *ret, const char *name);
/* Before the first event, and before root is given up: looks what stderr is. */
void log_open(enum log_level level, bool with_addresses);
/* May addresses of clients be logged? */
bool log_has_addresses(void);
uint64_t log_dropped_lines(void);

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count);
/* log_event(LOG_LEVEL_INFO, "start", LOG_TEXT("version", "1.0"), LOG_NUMBER("sockets", 2)); at least one field */
#define log_event(level, event, ...)                                                                                   \
    log_fields(level, event, (const struct log_field[]){__VA_ARGS__},                                                  \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* What is at the front of a line: a time, or for the journal, which has its own, a priority. */
struct log_front {
    uint64_t unix_seconds;
    bool     journal;
};
/* The line with its newline and a NUL; returns its length. Fields that do not fit are left out, and "cut=true" says
 * so. */
size_t log_format(char ret[static LOG_LINE_BYTES_MAX + 1], const struct log_front *front, enum log_level level,
                  const char *event, const struct log_field *fields, size_t count);
#endif
