#include "server/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {"error", "warning", "info", "debug"};
static enum log_level level_max = LOG_LEVEL_INFO;

bool log_level_parse(enum log_level *ret, const char *name)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    return false;
}

void log_set_level(enum log_level level)
{
    level_max = level;
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
    if (level > level_max)
        return;
    char line[1024], when[32];
    struct tm utc;
    time_t now = time(NULL);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));

    va_list args;
    va_start(args, fields);
    vsnprintf(line, sizeof line, fields, args);
    va_end(args);
    fprintf(stderr, "time=%s level=%s event=%s%s%s\n", when, names[level], event, line[0] != '\0' ? " " : "", line);
}
