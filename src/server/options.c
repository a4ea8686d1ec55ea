#include "server/options.h"
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char options_help[] = "usage: p2p-server [OPTION]...    (defaults in parentheses; more: man p2p-server)\n"
                            "Brings people together who share a keyword, and relays what cannot go directly.\n"
                            "  --listen ADDR:PORT   where to listen, up to 8 times (0.0.0.0:41414 [::]:41414)\n"
                            "  --alt-port PORT      second port on each address, tells NATs apart (41415)\n"
                            "  --metrics ADDR:PORT  metrics for Prometheus; PORT alone: on 127.0.0.1 (none)\n"
                            "  --config FILE        lines NAME = VALUE as here; the command line wins (none)\n"
                            "  --user NAME          give up root for this user once the sockets are open\n"
                            "  --log-level LEVEL    error, warning, info or debug (info)\n"
                            "  --log-addresses      clients' addresses may be in the log; else none ever is\n"
                            "  --max-clients N      registered at once, about 700 bytes each (65536)\n"
                            "  --relay-rate BYTES   a second, for each two who are relayed (8000)\n"
                            "  --relay-total BYTES  a second, relayed in all (12500000)\n"
                            "  --register-rate N    newcomers a second from one source, if many come (20)\n"
                            "  --control-rate N     registrations and signals a second, all (1000 + clients)\n"
                            "  --no-seccomp         do not limit system calls: if kernel or debugger object\n"
                            "  --check              are options and configuration right? does nothing else\n"
                            "  --version, --help\n"
                            "A rate of 0: no limit. Prints `listening on udp ADDR:PORT` for each socket, then\n"
                            "`ready`. Status: 0 after SIGINT, SIGTERM, 1 cannot run, 2 wrong usage. Examples:\n"
                            "  p2p-server --user nobody --metrics 9090\n"
                            "  p2p-server --check --config /etc/p2p-server.conf\n";

static bool wrong(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, OPTIONS_ERROR_LINE_MAX, format, args);
    va_end(args);
    return false;
}

/* ---- one setting ---- */

static bool parse_address(struct addr *ret, const char *name, const char *value, char *error)
{
    if (addr_parse(ret, value))
        return true;
    return wrong(error, "%s: '%.100s' is not a numeric ADDR:PORT; write 192.0.2.1:%d or [2001:db8::1]:%d", name, value,
                 PORT_DEFAULT, PORT_DEFAULT);
}

static bool set_listen(struct options *o, const char *name, const char *value, char *error)
{
    struct addr a;
    if (!parse_address(&a, name, value, error))
        return false;
    if (o->listen_count == OPTIONS_LISTEN_MAX)
        return wrong(error, "%s: more than %d addresses; listen on 0.0.0.0 or [::] instead", name, OPTIONS_LISTEN_MAX);
    for (size_t i = 0; i < o->listen_count; i++)
        if (a.port != 0 && addr_equal(&a, &o->listen[i]))
            return wrong(error, "%s: '%s' is given twice; leave one out", name, value);
    o->listen[o->listen_count++] = a;
    return true;
}

static bool parse_port(uint16_t *ret, const char *value)
{
    char *end;
    unsigned long port = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || strlen(value) > 5 || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool set_alternate(struct options *o, const char *name, const char *value, char *error)
{
    if (!parse_port(&o->alternate_port, value))
        return wrong(error, "%s: '%.100s' is not a port; give a number from 0 (any) to 65535", name, value);
    o->alternate_given = true;
    return true;
}

static bool set_metrics(struct options *o, const char *name, const char *value, char *error)
{
    uint16_t port;
    if (parse_port(&port, value[0] == ':' ? value + 1 : value)) {
        o->metrics = addr_v4(127, 0, 0, 1, port);
        return true;
    }
    if (addr_parse(&o->metrics, value))
        return true;
    return wrong(error,
                 "%s: '%.100s' is neither a PORT nor a numeric ADDR:PORT; write 9090, 127.0.0.1:9090 or [::1]:9090",
                 name, value);
}

static bool set_user(struct options *o, const char *name, const char *value, char *error)
{
    if (value[0] == '\0' || strlen(value) >= sizeof o->user || getpwnam(value) == NULL)
        return wrong(error, "%s: there is no user '%.100s' on this machine; create it or name another", name, value);
    snprintf(o->user, sizeof o->user, "%s", value);
    return true;
}

static bool set_log_level(struct options *o, const char *name, const char *value, char *error)
{
    if (log_level_parse(&o->log_level, value))
        return true;
    return wrong(error, "%s: '%.100s' is no level; give error, warning, info or debug", name, value);
}

/* From the command line it is always "yes". */
static bool set_yes_or_no(bool *ret, const char *name, const char *value, char *error)
{
    *ret = strcmp(value, "yes") == 0;
    if (*ret || strcmp(value, "no") == 0)
        return true;
    return wrong(error, "%s: '%.100s' is neither yes nor no; write one of them", name, value);
}

static bool set_log_addresses(struct options *o, const char *name, const char *value, char *error)
{
    return set_yes_or_no(&o->log_addresses, name, value, error);
}

static bool set_no_seccomp(struct options *o, const char *name, const char *value, char *error)
{
    return set_yes_or_no(&o->no_seccomp, name, value, error);
}

/* ---- limits ---- */

static bool parse_number(uint32_t *ret, const char *name, const char *value, uint32_t least, uint32_t most, char *error)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || number < least || number > most)
        return wrong(error, "%s: '%.100s' is not a number from %" PRIu32 " to %" PRIu32, name, value, least, most);
    *ret = (uint32_t)number;
    return true;
}

static bool parse_rate(uint32_t *ret, const char *name, const char *value, char *error)
{
    uint32_t rate;
    if (!parse_number(&rate, name, value, 0, SERVER_RATE_MAX, error))
        return false;
    *ret = rate != 0 ? rate : SERVER_NO_LIMIT;
    return true;
}

static bool set_max_clients(struct options *o, const char *name, const char *value, char *error)
{
    return parse_number(&o->core.registrations_max, name, value, 1, SERVER_CLIENTS_MAX, error);
}

static bool set_relay_rate(struct options *o, const char *name, const char *value, char *error)
{
    return parse_rate(&o->core.relay_bytes_per_s, name, value, error);
}

static bool set_relay_total(struct options *o, const char *name, const char *value, char *error)
{
    return parse_rate(&o->core.relay_total_bytes_per_s, name, value, error);
}

static bool set_register_rate(struct options *o, const char *name, const char *value, char *error)
{
    return parse_rate(&o->core.register_per_s, name, value, error);
}

static bool set_control_rate(struct options *o, const char *name, const char *value, char *error)
{
    return parse_rate(&o->core.control_per_s, name, value, error);
}

static const struct setting {
    const char *name;
    bool (*set)(struct options *o, const char *name, const char *value, char *error);
} settings[] = {
    {"listen", set_listen},
    {"alt-port", set_alternate},
    {"metrics", set_metrics},
    {"user", set_user},
    {"log-level", set_log_level},
    {"log-addresses", set_log_addresses},
    {"no-seccomp", set_no_seccomp},
    {"max-clients", set_max_clients},
    {"relay-rate", set_relay_rate},
    {"relay-total", set_relay_total},
    {"register-rate", set_register_rate},
    {"control-rate", set_control_rate},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* ---- the configuration file ---- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

/* "name = value" or "name value"; a '#' at the beginning or after white space begins a comment. */
static bool apply_line(struct options *o, char *line, const char *place, char *error)
{
    for (char *at = line; (at = strchr(at, '#')) != NULL; at++)
        if (at == line || isspace((unsigned char)at[-1])) {
            *at = '\0';
            break;
        }
    char *name = trim(line);
    if (*name == '\0')
        return true;
    size_t length = strcspn(name, " \t=");
    char *value = name + length + strspn(name + length, " \t");
    if (*value == '=')
        value = trim(value + 1);
    name[length] = '\0';

    for (int i = 0; i < SETTINGS; i++) {
        char label[300];
        if (strcmp(settings[i].name, name) != 0)
            continue;
        snprintf(label, sizeof label, "%s: %s", place, name);
        return *value != '\0' ? settings[i].set(o, label, value, error)
                              : wrong(error, "%s has no value; write %s = VALUE", label, name);
    }
    return wrong(error, "%s: there is no setting '%.60s'; the names are those of the options (see --help)", place,
                 name);
}

static void append_line(char *error, const char *line)
{
    const size_t used = strlen(error);
    if (used + 1 + strlen(line) < OPTIONS_ERROR_MAX)
        snprintf(error + used, OPTIONS_ERROR_MAX - used, "%s%s", used == 0 ? "" : "\n", line);
}

enum line { LINE_WHOLE, LINE_LONG, LINE_NUL, LINE_NONE };

/* Reads one without its end. After LINE_NUL there is no point in going on: it is no text. */
static enum line read_line(FILE *file, char *ret, size_t cap)
{
    size_t used = 0;
    bool whole = true;
    int c;
    while ((c = getc(file)) != EOF && c != '\n' && c != '\0') {
        whole = used < cap - 1;
        if (whole)
            ret[used++] = (char)c;
    }
    ret[used] = '\0';
    if (c == '\0')
        return LINE_NUL;
    if (c == EOF && used == 0)
        return LINE_NONE;
    return whole ? LINE_WHOLE : LINE_LONG;
}

/* To its end, so that all mistakes are told at once. */
static bool apply_lines(struct options *o, FILE *file, const char *path, char *error)
{
    char line[1024], place[260], line_error[OPTIONS_ERROR_LINE_MAX];
    enum line kind = LINE_WHOLE;
    bool all_right = true;
    error[0] = '\0';
    for (int number = 1; kind != LINE_NUL && (kind = read_line(file, line, sizeof line)) != LINE_NONE; number++) {
        bool right;
        snprintf(place, sizeof place, "%.200s line %d", path, number);
        if (kind == LINE_WHOLE)
            right = apply_line(o, line, place, line_error);
        else
            right = wrong(line_error, "%s %s", place,
                          kind == LINE_LONG ? "is too long; break it up" : "has a NUL in it; name a text file");
        if (!right)
            append_line(error, line_error);
        all_right = all_right && right;
    }
    return all_right;
}

static bool apply_file(struct options *o, const char *path, char *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return wrong(error, "--config: cannot read '%.200s': %s; name a file that this user can read", path,
                     strerror(errno));
    const bool right = apply_lines(o, file, path, error);
    const int failed = ferror(file) ? errno : 0;
    fclose(file);
    return failed == 0 ? right
                       : wrong(error, "--config: cannot read '%.200s': %s; name a file that this user can read", path,
                               strerror(failed));
}

/* ---- the command line ---- */

enum { FLAG_CONFIG = SETTINGS, FLAG_CHECK, FLAG_VERSION, FLAG_HELP, FLAGS };

static const struct option flags[] = {
    {"listen", required_argument, NULL, 0},
    {"alt-port", required_argument, NULL, 1},
    {"metrics", required_argument, NULL, 2},
    {"user", required_argument, NULL, 3},
    {"log-level", required_argument, NULL, 4},
    {"log-addresses", no_argument, NULL, 5},
    {"no-seccomp", no_argument, NULL, 6},
    {"max-clients", required_argument, NULL, 7},
    {"relay-rate", required_argument, NULL, 8},
    {"relay-total", required_argument, NULL, 9},
    {"register-rate", required_argument, NULL, 10},
    {"control-rate", required_argument, NULL, 11},
    {"config", required_argument, NULL, FLAG_CONFIG},
    {"check", no_argument, NULL, FLAG_CHECK},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static bool wrong_flag(char *error, int result, char *argv[])
{
    const char *text = argv[optind - 1];
    if (result == ':')
        return wrong(error, "%.100s needs a value (see --help)", text);
    if (optopt >= FLAGS) /* a short one, perhaps in the middle of several */
        return wrong(error, "there is no option '-%c' (see --help)", optopt);
    if (optopt != 0)
        return wrong(error, "%.100s: this option takes no value; leave it out", text);
    return wrong(error, "there is no option '%.100s' (see --help)", text);
}

/* First round: is everything known, and which file is to be read. */
static bool scan(int argc, char *argv[], const char **ret_config, enum options_verdict *ret_verdict, char *error)
{
    optind = 0;
    opterr = 0;
    for (int flag; (flag = getopt_long(argc, argv, ":", flags, NULL)) != -1;) {
        if (flag == ':' || flag == '?')
            return wrong_flag(error, flag, argv);
        if (flag == FLAG_CONFIG)
            *ret_config = optarg;
        else if (flag == FLAG_CHECK && *ret_verdict == OPTIONS_RUN)
            *ret_verdict = OPTIONS_CHECK;
        else if (flag == FLAG_VERSION || flag == FLAG_HELP)
            *ret_verdict = flag == FLAG_HELP ? OPTIONS_HELP : OPTIONS_VERSION;
    }
    if (optind < argc)
        return wrong(error, "'%.100s' is not an option; addresses go behind --listen (see --help)", argv[optind]);
    return true;
}

static bool apply_flags(struct options *o, int argc, char *argv[], char *error)
{
    bool first_listen = true;
    optind = 0;
    for (int flag; (flag = getopt_long(argc, argv, ":", flags, NULL)) != -1;) {
        char label[32];
        if (flag >= SETTINGS)
            continue;
        if (flag == 0 && first_listen) {
            o->listen_count = 0;
            first_listen = false;
        }
        snprintf(label, sizeof label, "--%s", settings[flag].name);
        if (!settings[flag].set(o, label, optarg != NULL ? optarg : "yes", error))
            return false;
    }
    return true;
}

/* ---- together ---- */

static bool complete(struct options *o, char *error)
{
    if (o->listen_count == 0) {
        o->listen_is_default = true;
        addr_parse(&o->listen[o->listen_count++], "0.0.0.0:41414");
        addr_parse(&o->listen[o->listen_count++], "[::]:41414");
    }
    bool any_port = false;
    for (size_t i = 0; i < o->listen_count; i++)
        any_port = any_port || o->listen[i].port == 0;
    if (!o->alternate_given)
        o->alternate_port = any_port ? 0 : ALTERNATE_PORT_DEFAULT;
    for (size_t i = 0; i < o->listen_count; i++)
        if (o->alternate_port != 0 && o->alternate_port == o->listen[i].port)
            return wrong(error, "port %u is a --listen port and the alternate port; give another --alt-port",
                         o->alternate_port);
    if (server_size(&o->core) == SIZE_MAX)
        return wrong(error, "max-clients: %" PRIu32 " are more than this machine can address; give fewer",
                     o->core.registrations_max);
    return true;
}

enum options_verdict options_parse(struct options *ret, int argc, char *argv[], char error[static OPTIONS_ERROR_MAX])
{
    enum options_verdict verdict = OPTIONS_RUN;
    const char *config = NULL;
    *ret = (struct options){.log_level = LOG_LEVEL_INFO};
    if (!scan(argc, argv, &config, &verdict, error))
        return OPTIONS_WRONG;
    if (verdict == OPTIONS_HELP || verdict == OPTIONS_VERSION)
        return verdict;
    if (config != NULL && !apply_file(ret, config, error))
        return OPTIONS_WRONG;
    if (!apply_flags(ret, argc, argv, error) || !complete(ret, error))
        return OPTIONS_WRONG;
    return verdict;
}
