#include "net/tcp.h"
#include "server/confine.h"
#include "server/loop.h"
#include "server/options.h"
#include "server/service.h"
#include "server/sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Were one of the three closed, a socket would get its number, and every line of the log. What is not writable refuses
 * them instead. */
static bool have_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

/* Every line of it. */
static int complain(int status, const char *what)
{
    for (size_t size; *what != '\0'; what += size + (what[size] == '\n')) {
        size = strcspn(what, "\n");
        fprintf(stderr, "p2p-server: %.*s\n", (int)size, what);
    }
    return status;
}

static void announce(const struct sockets *s)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < s->count; i++)
        printf("listening on udp %s\n", addr_format(&s->locals[i], text));
    puts("ready");
    if (fflush(stdout) != 0)
        log_event(LOG_LEVEL_WARNING, "stdout-failed", LOG_TEXT("reason", strerror(errno)));
    log_event(LOG_LEVEL_INFO, "start", LOG_TEXT("version", P2P_VERSION), LOG_NUMBER("sockets", s->count));
}

/* -1 in *ret_fd if there are none to be told. */
static bool open_metrics(const struct options *o, int *ret_fd)
{
    char text[ADDR_TEXT_MAX];
    struct addr at = o->metrics;
    *ret_fd = -1;
    if (at.family == ADDR_NONE)
        return true;
    *ret_fd = tcp_listen(&at);
    if (*ret_fd < 0) {
        fprintf(stderr, "p2p-server: --metrics: cannot listen on http %s: %s%s\n", addr_format(&at, text),
                strerror(-*ret_fd), sockets_advice(-*ret_fd));
        return false;
    }
    log_event(LOG_LEVEL_INFO, "metrics", LOG_TEXT("listening", addr_format(&at, text)));
    if (!addr_is_loopback(&at))
        log_event(LOG_LEVEL_WARNING, "metrics-exposed", LOG_TEXT("listening", text),
                  LOG_TEXT("reason", "whoever reaches this address can read them; no password, no encryption"));
    return true;
}

/* From here on the loop is all that is done. */
static bool go(const struct sockets *s, const struct options *o)
{
    if (!confine_process(!o->no_seccomp))
        return false;
    announce(s);
    service_say("READY=1");
    if (o->no_seccomp)
        log_event(LOG_LEVEL_WARNING, "seccomp-off", LOG_TEXT("reason", "no-seccomp is set"));
    return true;
}

static int run(const struct options *o)
{
    struct sockets sockets;
    int metrics;
    if (!sockets_open(&sockets, o))
        return 1;
    int status = 1;
    if (open_metrics(o, &metrics) && service_open() && (o->user[0] == '\0' || confine_user(o->user)))
        status = loop_run(&sockets, metrics, o, go);
    sockets_close(&sockets);
    return status;
}

int main(int argc, char *argv[])
{
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    if (!have_standard_files())
        return 1; /* and nowhere to say so */
    signal(SIGPIPE, SIG_IGN);
    switch (options_parse(&o, argc, argv, error)) {
    case OPTIONS_HELP:
        fputs(options_help, stdout);
        return 0;
    case OPTIONS_VERSION:
        puts("p2p-server " P2P_VERSION);
        return 0;
    case OPTIONS_CHECK:
        return 0;
    case OPTIONS_WRONG:
        return complain(2, error);
    case OPTIONS_RUN:
        break;
    }
    log_open(o.log_level, o.log_addresses);
    return run(&o);
}
