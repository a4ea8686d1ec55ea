/* p2p-client: the command line, the keyword, and which mode it is to be. */
#include "client/client.h"
#include "client/options.h"
#include "client/secret.h"
#include "client/window.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_USAGE = 2 };

static int wrong_usage(const char *error)
{
    fprintf(stderr, "p2p-client: %s\n", error);
    return STATUS_USAGE;
}

static int cannot_start(const char *error)
{
    fprintf(stderr, "p2p-client: cannot start: %s\n", error);
    return 1;
}

/* Whoever starts us with a standard descriptor closed must not find our sockets there. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int print(const char *text)
{
    return fputs(text, stdout) < 0 || fflush(stdout) != 0;
}

static view_create *choose_mode(const struct options *o)
{
    if (o->mode == MODE_JSON)
        return json_create;
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? console_create : pipe_create;
}

int main(int argc, char **argv)
{
    struct options options;
    struct keyword keyword;
    char error[OPTIONS_ERROR_MAX];

    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    if (!options_parse(&options, argc, argv, error))
        return wrong_usage(error);
    if (options.help)
        return print(options_usage);
    if (options.version)
        return print("p2p-client " P2P_VERSION "\n");

    if (window_is_wanted(&options))
        window_open(&options); /* returns if there is none */
    /* A program that speaks JSON would not see a question on the terminal that it was started from. */
    bool may_ask = options.mode != MODE_JSON || isatty(STDIN_FILENO);
    if (!secret_obtain(&keyword, &options, may_ask, error))
        return wrong_usage(error);
    if (sodium_init() < 0)
        return cannot_start("libsodium finds no source of random numbers; is /dev/urandom there?");
    int status = client_run(&options, &keyword, choose_mode(&options));
    keyword_wipe(&keyword);
    return status;
}
