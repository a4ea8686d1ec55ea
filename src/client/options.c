#include "client/options.h"
#include "client/buffer.h"
#include "wire/text.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char options_usage[] = "usage: p2p-client [--keyword K | --keyword-file F | --new] [OPTION]...\n"
                             "Chat with everybody who knows the same keyword: directly where the network\n"
                             "allows it, else through the server, which cannot read a word of it.\n"
                             "  --keyword K          the keyword (others on this machine cannot see it in ps);\n"
                             "                       else P2P_KEYWORD is used, else you are asked\n"
                             "  --keyword-file F     the keyword is the first line of F\n"
                             "  --new                make a keyword and print the command for the other side\n"
                             "  --server HOST[:PORT] where to meet: a name, 192.0.2.1, [2001:db8::1]; port\n"
                             "                       41414 if left out; else P2P_SERVER, else 127.0.0.1\n"
                             "  --name N             how others see you\n"
                             "  --console            chat in this terminal, even if there is a display\n"
                             "  --json               events out and commands in, a JSON object a line\n"
                             "  --relay auto|never|only   never: direct or not at all; only: hide your address\n"
                             "  --wait S             give up after S seconds alone (default 86400; 0: never)\n"
                             "  --version, --help\n"
                             "In a pipe, lines in are messages and lines out are 'NAME: TEXT'. Status: 0 all\n"
                             "delivered, 1 something was not, or nobody came, 2 wrong usage. Examples:\n"
                             "  p2p-client --new --server chat.example.org\n"
                             "  make 2>&1 | p2p-client --keyword 42-crab-lunar-toast --name build\n";

enum {
    FLAG_KEYWORD = 256,
    FLAG_KEYWORD_FILE,
    FLAG_NEW,
    FLAG_SERVER,
    FLAG_NAME,
    FLAG_CONSOLE,
    FLAG_JSON,
    FLAG_RELAY,
    FLAG_WAIT,
    FLAG_VERSION,
    FLAG_HELP,
};

static const struct option flags[] = {
    {"keyword", required_argument, NULL, FLAG_KEYWORD},
    {"keyword-file", required_argument, NULL, FLAG_KEYWORD_FILE},
    {"new", no_argument, NULL, FLAG_NEW},
    {"server", required_argument, NULL, FLAG_SERVER},
    {"name", required_argument, NULL, FLAG_NAME},
    {"console", no_argument, NULL, FLAG_CONSOLE},
    {"json", no_argument, NULL, FLAG_JSON},
    {"relay", required_argument, NULL, FLAG_RELAY},
    {"wait", required_argument, NULL, FLAG_WAIT},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static bool wrong(char ret_error[static OPTIONS_ERROR_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool wrong(char ret_error[static OPTIONS_ERROR_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_error, OPTIONS_ERROR_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static bool number_parse(uint64_t *ret, const char *text, uint64_t max)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return false;
    }
    *ret = value;
    return true;
}

static bool take_server(struct options *o, const char *where, const char *text,
                        char ret_error[static OPTIONS_ERROR_MAX])
{
    char why[HOST_ERROR_MAX];
    if (!host_port_parse(&o->server, text, why))
        return wrong(ret_error, "%s: %s", where, why);
    snprintf(o->server_text, sizeof o->server_text, "%s", text);
    o->server_given = true;
    return true;
}

/* ---- single flags ---- */

static bool take_keyword_source(struct options *o, enum keyword_source source, char ret_error[static OPTIONS_ERROR_MAX])
{
    if (o->keyword_source != KEYWORD_FROM_NOWHERE)
        return wrong(ret_error, "give one of --keyword, --keyword-file and --new, once");
    o->keyword_source = source;
    return true;
}

/* `value` lies in argv, where other users see it: it is gone before anything else happens. */
static void take_keyword(struct options *o, char *value)
{
    o->keyword_size = strlen(value);
    memcpy(o->keyword, value, o->keyword_size < KEYWORD_TYPED_MAX ? o->keyword_size : KEYWORD_TYPED_MAX);
    explicit_bzero(value, o->keyword_size);
}

static bool take_name(struct options *o, const char *value, char ret_error[static OPTIONS_ERROR_MAX])
{
    size_t size = strlen(value);
    if (size > NAME_BYTES_MAX)
        return wrong(ret_error, "--name: the name is %zu bytes long; at most %d are allowed, shorten it", size,
                     NAME_BYTES_MAX);
    if (!text_is_name((const uint8_t *)value, size))
        return wrong(ret_error, "--name: the name must be UTF-8 without control characters");
    memcpy(o->name, value, size);
    o->name_size = (uint8_t)size;
    return true;
}

static bool take_mode(struct options *o, enum client_mode mode, char ret_error[static OPTIONS_ERROR_MAX])
{
    if (o->mode != MODE_AUTO && o->mode != mode)
        return wrong(ret_error, "give --console or --json, not both");
    o->mode = mode;
    return true;
}

static bool take_relay(struct options *o, const char *value, char ret_error[static OPTIONS_ERROR_MAX])
{
    static const char *const names[] = {[RELAY_AUTO] = "auto", [RELAY_NEVER] = "never", [RELAY_ONLY] = "only"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i]) == 0) {
            o->relay = (enum relay_policy)i;
            return true;
        }
    }
    return wrong(ret_error, "--relay: '%.40s' is not one of auto, never, only", value);
}

static bool take_wait(struct options *o, const char *value, char ret_error[static OPTIONS_ERROR_MAX])
{
    if (!number_parse(&o->wait_s, value, WAIT_S_MAX))
        return wrong(ret_error, "--wait: '%.40s' is not a number of whole seconds from 0 (for ever) to %d", value,
                     WAIT_S_MAX);
    return true;
}

static bool take_flag(struct options *o, int flag, char *value, char ret_error[static OPTIONS_ERROR_MAX])
{
    switch (flag) {
    case FLAG_KEYWORD:
        take_keyword(o, value);
        return take_keyword_source(o, KEYWORD_FROM_FLAG, ret_error);
    case FLAG_KEYWORD_FILE:
        o->keyword_file = value;
        return take_keyword_source(o, KEYWORD_FROM_FILE, ret_error);
    case FLAG_NEW:
        return take_keyword_source(o, KEYWORD_FROM_NEW, ret_error);
    case FLAG_SERVER:
        return take_server(o, "--server", value, ret_error);
    case FLAG_NAME:
        return take_name(o, value, ret_error);
    case FLAG_CONSOLE:
        return take_mode(o, MODE_CONSOLE, ret_error);
    case FLAG_JSON:
        return take_mode(o, MODE_JSON, ret_error);
    case FLAG_RELAY:
        return take_relay(o, value, ret_error);
    case FLAG_WAIT:
        return take_wait(o, value, ret_error);
    case FLAG_VERSION:
        o->version = true;
        return true;
    default:
        o->help = true;
        return true;
    }
}

/* ---- the whole line ---- */

static const char *flag_name(int flag)
{
    for (size_t i = 0; flags[i].name != NULL; i++)
        if (flags[i].val == flag)
            return flags[i].name;
    return "";
}

/* getopt_long said '?': no such option, an ambiguous beginning of several, or a value where none belongs.
 * The text behind '=' is left out: it may be a keyword. */
static bool wrong_flag(const char *argument, char ret_error[static OPTIONS_ERROR_MAX])
{
    if (optopt >= FLAG_KEYWORD)
        return wrong(ret_error, "--%s takes no value; leave out the '=' and what is behind it", flag_name(optopt));
    if (optopt != 0)
        return wrong(ret_error, "unknown option '-%c'; --help lists them", optopt);

    int size = (int)strcspn(argument, "=");
    size_t fit = 0;
    for (size_t i = 0; flags[i].name != NULL; i++)
        fit += size > 2 && strncmp(flags[i].name, argument + 2, (size_t)size - 2) == 0;
    if (fit > 1)
        return wrong(ret_error, "'%.*s' may mean several options; write it out", size < 40 ? size : 40, argument);
    return wrong(ret_error, "unknown option '%.*s'; --help lists them", size < 40 ? size : 40, argument);
}

bool options_parse(struct options *ret, int argc, char **argv, char ret_error[static OPTIONS_ERROR_MAX])
{
    struct options *o = ret;
    *o = (struct options){.wait_s = WAIT_S_DEFAULT};
    opterr = 0;
    optind = 0; /* GNU: start anew, so that this may be called twice */

    for (int flag; (flag = getopt_long(argc, argv, ":", flags, NULL)) != -1;) {
        if (flag == '?')
            return wrong_flag(argv[optind - 1], ret_error);
        bool separate = optarg != NULL && optarg == argv[optind - 1];
        if (flag == ':' || (separate && strncmp(optarg, "--", 2) == 0))
            return wrong(ret_error, "--%s needs a value (see --help)", flag_name(flag == ':' ? optopt : flag));
        if (!take_flag(o, flag, optarg, ret_error))
            return false;
        if (o->help || o->version)
            return true;
    }
    if (optind < argc)
        return wrong(ret_error, "unexpected argument '%.80s'; the keyword is given with --keyword", argv[optind]);

    const char *server = getenv("P2P_SERVER");
    if (!o->server_given && server != NULL && *server != '\0')
        return take_server(o, "P2P_SERVER", server, ret_error);
    if (!o->server_given)
        return host_port_parse(&o->server, "127.0.0.1", ret_error);
    return true;
}

/* As one word for a POSIX shell. */
static void add_quoted(struct buffer *ret, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@%+=,";
    if (*text != '\0' && text[strspn(text, plain)] == '\0') {
        buffer_add_text(ret, text);
        return;
    }
    buffer_add_text(ret, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buffer_add_text(ret, "'\\''");
        else
            buffer_add(ret, text, 1);
    }
    buffer_add_text(ret, "'");
}

void options_other_side(const struct options *o, const char *keyword, struct buffer *ret)
{
    buffer_add_text(ret, "p2p-client --keyword ");
    add_quoted(ret, keyword);
    if (o->server_given) {
        buffer_add_text(ret, " --server ");
        add_quoted(ret, o->server_text);
    }
}
