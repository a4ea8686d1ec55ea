/* log.h: one line an event on stderr: time, level, event, fields. Never an address, never a keyword. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H
#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* False for a name that is none. */
bool log_level_parse(enum log_level *ret, const char *name);
void log_set_level(enum log_level level);
/* fields: "name=value name=value", or "" */
void log_event(enum log_level level, const char *event, const char *fields, ...) __attribute__((format(printf, 3, 4)));
#endif
