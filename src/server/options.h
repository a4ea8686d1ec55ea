/* options.h: what the operator wants, from the command line and the configuration file. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "server/core.h"
#include "server/log.h"
#include "wire/addr.h"

enum {
    OPTIONS_LISTEN_MAX = 8, /* each has a main and an alternate socket: SERVER_SOCKETS_MAX */
    OPTIONS_ERROR_LINE_MAX = 512,
    OPTIONS_ERROR_MAX = 8 * OPTIONS_ERROR_LINE_MAX, /* who has more mistakes than these will look again */
    OPTIONS_USER_MAX = 64,
    PORT_DEFAULT = 41414,
    ALTERNATE_PORT_DEFAULT = 41415,
};

struct options {
    struct addr    listen[OPTIONS_LISTEN_MAX];
    size_t         listen_count;
    bool           listen_is_default; /* then a host without IPv6 (or IPv4) is no error */
    uint16_t       alternate_port;    /* 0: any */
    bool           alternate_given;
    struct addr    metrics;           /* ADDR_NONE: not told */
    char           user[OPTIONS_USER_MAX]; /* empty: stay who we are */
    enum log_level log_level;
    bool           log_addresses;
    bool           no_seccomp; /* system calls are not limited */
    struct server_config core; /* its counts and rates */
};

enum options_verdict { OPTIONS_RUN, OPTIONS_CHECK, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

/* Reads the configuration file as well, and asks whether the user exists. With OPTIONS_WRONG `error` says
 * what is wrong and what to do: one line, or one for each wrong line of the configuration file. May reorder argv. */
enum options_verdict options_parse(struct options *ret, int argc, char *argv[], char error[static OPTIONS_ERROR_MAX]);
extern const char options_help[];
#endif
