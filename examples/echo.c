/* Sends every message back to whoever wrote it; a complete program around libp2p-peer.a.
 *     cc -o echo echo.c $(pkg-config --cflags --libs p2p-peer)
 *     ./echo chat.example.org 42-crab-lunar-toast       # Ctrl-C ends it */
#define _GNU_SOURCE /* sigset_t, whatever -std says */
#include <p2p.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_event(struct p2p *e, p2p_us now, const struct p2p_event *event, void *data)
{
    struct p2p_command answer = {.kind = P2P_COMMAND_SEND,
                                 .to = event->peer,
                                 .text = (const uint8_t *)event->text,
                                 .text_size = event->text_size};
    (void)data;
    if (event->kind == P2P_EVENT_MESSAGE) /* not fit for a terminal as it is: it is somebody else's */
        p2p_command(e, now, &answer);
    else if (event->kind == P2P_EVENT_PEER || event->kind == P2P_EVENT_PEER_LEFT)
        fprintf(stderr, "echo: peer %u %s\n", event->peer, event->kind == P2P_EVENT_PEER ? "came" : "left");
    else if (event->kind == P2P_EVENT_WARNING || event->kind == P2P_EVENT_ERROR)
        fprintf(stderr, "echo: %s\n", event->text);
}

/* The first Ctrl-C leaves when all is delivered, the second now. */
static void on_signal(struct p2p *e, p2p_us now, void *data)
{
    struct p2p_loop *loop = data;
    struct signalfd_siginfo signal;
    static bool again;
    if (read(loop->fd, &signal, sizeof signal) == sizeof signal)
        p2p_command(e, now, &(struct p2p_command){.kind = again ? P2P_COMMAND_QUIT : P2P_COMMAND_FINISH});
    again = true;
}

int main(int argc, char **argv)
{
    struct p2p_config config = {.name = "echo", .name_size = 4};
    struct p2p_loop loop = {.event = on_event, .readable = on_signal, .data = &loop};
    sigset_t signals;
    if (argc != 3 || p2p_keyword_parse(&config.keyword, argv[2], strlen(argv[2])) != P2P_KEYWORD_OK) {
        fprintf(stderr, "usage: echo HOST[:PORT] KEYWORD, as in: echo chat.example.org 42-crab-lunar-toast\n");
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    loop.fd = signalfd(-1, &signals, SFD_CLOEXEC);
    loop.server = argv[1];
    int status = p2p_run(&config, &loop);
    if (status < 0)
        fprintf(stderr, "echo: cannot start: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
