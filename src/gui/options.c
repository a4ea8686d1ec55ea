#include "gui/options.h"
#include "client/buffer.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: p2p-client-gtk [--keyword K | --keyword-file F | --new] [OPTION]...\n"
                            "A window for p2p-client: chat with everybody who knows the same keyword.\n"
                            "  --keyword K, --keyword-file F, --new, --server HOST[:PORT], --name N,\n"
                            "  --relay auto|never|only, --wait S: as for p2p-client, see p2p-client --help.\n"
                            "  --version, --help\n"
                            "Without a keyword (nor P2P_KEYWORD) the window asks for one. F1 lists its keys.\n"
                            "Status: 0; 1 if there is no display, 2 wrong usage.\n";

const char *const join_relays[] = {"auto", "never", "only", NULL};

enum {
    FLAG_KEYWORD = 256,
    FLAG_FILE,
    FLAG_NEW,
    FLAG_SERVER,
    FLAG_NAME,
    FLAG_RELAY,
    FLAG_WAIT,
    FLAG_PROBE,
    FLAG_VERSION,
    FLAG_HELP
};

static const struct option flags[] = {
    {"keyword", required_argument, NULL, FLAG_KEYWORD},
    {"keyword-file", required_argument, NULL, FLAG_FILE},
    {"new", no_argument, NULL, FLAG_NEW},
    {"server", required_argument, NULL, FLAG_SERVER},
    {"name", required_argument, NULL, FLAG_NAME},
    {"relay", required_argument, NULL, FLAG_RELAY},
    {"wait", required_argument, NULL, FLAG_WAIT},
    {"probe", no_argument, NULL, FLAG_PROBE},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_new(1, size), text, size);
}

static void replace(char **at, const char *text)
{
    free(*at);
    *at = copy(text);
}

void join_set_keyword(struct join *join, const char *keyword)
{
    char *fresh = keyword == NULL ? NULL : copy(keyword);
    if (join->keyword != NULL)
        explicit_bzero(join->keyword, strlen(join->keyword));
    free(join->keyword);
    join->keyword = fresh;
}

void join_clear(struct join *join)
{
    join_set_keyword(join, NULL);
    free(join->file);
    free(join->server);
    free(join->name);
    free(join->relay);
    free(join->wait);
    *join = (struct join){0};
}

/* `value` lies where other programs can read it. */
static void take_secret(struct join *join, char *value)
{
    join_set_keyword(join, value);
    explicit_bzero(value, strlen(value));
}

static bool is_relay(const char *value)
{
    for (size_t i = 0; join_relays[i] != NULL; i++)
        if (strcmp(value, join_relays[i]) == 0)
            return true;
    return false;
}

static enum options_verdict take_flag(struct join *join, int flag, char *value, int *sources)
{
    switch (flag) {
    case FLAG_KEYWORD:
        take_secret(join, value);
        join->by = JOIN_BY_TYPED;
        ++*sources;
        break;
    case FLAG_FILE:
        replace(&join->file, value);
        join->by = JOIN_BY_FILE;
        ++*sources;
        break;
    case FLAG_NEW:
        join->by = JOIN_BY_NEW;
        ++*sources;
        break;
    case FLAG_SERVER:
        replace(&join->server, value);
        break;
    case FLAG_NAME:
        replace(&join->name, value);
        break;
    case FLAG_RELAY:
        if (!is_relay(value)) {
            fprintf(stderr, "p2p-client-gtk: --relay: '%.40s' is not one of auto, never, only\n", value);
            return OPTIONS_WRONG;
        }
        replace(&join->relay, value);
        break;
    case FLAG_WAIT:
        replace(&join->wait, value);
        break;
    case FLAG_PROBE:
        return OPTIONS_PROBE;
    case FLAG_VERSION:
        fputs("p2p-client-gtk " P2P_VERSION "\n", stdout);
        return OPTIONS_DONE;
    case FLAG_HELP:
        fputs(usage, stdout);
        return OPTIONS_DONE;
    }
    return OPTIONS_RUN;
}

static const char *flag_name(int flag)
{
    for (size_t i = 0; flags[i].name != NULL; i++)
        if (flags[i].val == flag)
            return flags[i].name;
    return "";
}

/* getopt_long has returned `what`. Of `argument` the text behind '=' is left out: it may be a keyword. */
static enum options_verdict wrong_flag(int what, const char *argument)
{
    int size = (int)strcspn(argument, "=");
    if (what == ':')
        fprintf(stderr, "p2p-client-gtk: --%s needs a value (see --help)\n", flag_name(optopt));
    else if (optopt >= FLAG_KEYWORD)
        fprintf(stderr, "p2p-client-gtk: --%s takes no value; leave out the '=' and what is behind it\n",
                flag_name(optopt));
    else if (strcmp(argument, "--json") == 0 || strcmp(argument, "--console") == 0)
        fprintf(stderr, "p2p-client-gtk: %s is for p2p-client, which has no window then\n", argument);
    else if (optopt != 0)
        fprintf(stderr, "p2p-client-gtk: unknown option '-%c'; --help lists them\n", optopt);
    else
        fprintf(stderr, "p2p-client-gtk: unknown option '%.*s', or it may mean several; --help lists them\n",
                size < 40 ? size : 40, argument);
    return OPTIONS_WRONG;
}

static void take_environment(struct join *join, bool wanted)
{
    char *keyword = getenv("P2P_KEYWORD");
    const char *server = getenv("P2P_SERVER");
    if (join->server == NULL && server != NULL && *server != '\0')
        join->server = copy(server);
    if (keyword == NULL)
        return;
    if (wanted)
        join_set_keyword(join, keyword);
    explicit_bzero(keyword, strlen(keyword));
    unsetenv("P2P_KEYWORD");
}

enum options_verdict options_read(int argc, char **argv, struct join *ret, bool *ret_has_keyword)
{
    int sources = 0;
    *ret = (struct join){0};
    opterr = 0;
    for (int flag; (flag = getopt_long(argc, argv, ":", flags, NULL)) != -1;) {
        bool is_wrong = flag == '?' || flag == ':';
        enum options_verdict verdict =
            is_wrong ? wrong_flag(flag, argv[optind - 1]) : take_flag(ret, flag, optarg, &sources);
        if (verdict != OPTIONS_RUN)
            return verdict;
    }
    if (optind < argc) {
        fprintf(stderr, "p2p-client-gtk: unexpected argument '%.80s'; the keyword is given with --keyword\n",
                argv[optind]);
        return OPTIONS_WRONG;
    }
    if (sources > 1) {
        fputs("p2p-client-gtk: give one of --keyword, --keyword-file and --new, once\n", stderr);
        return OPTIONS_WRONG;
    }
    take_environment(ret, sources == 0);
    *ret_has_keyword = ret->keyword != NULL || ret->by != JOIN_BY_TYPED;
    return OPTIONS_RUN;
}
