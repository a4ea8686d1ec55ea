/* Sends every message back to whoever wrote it; a complete program around libp2p-peer.a. Linux, IPv4.
 *     cc -o echo echo.c $(pkg-config --cflags --libs --static p2p-peer)
 *     ./echo 192.0.2.1:41414 42-crab-lunar-toast       # Ctrl-C ends it */
#define _GNU_SOURCE /* ppoll */
#include <arpa/inet.h>
#include <p2p.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct pollfd sockets[P2P_SOCKETS_MAX]; /* fd -1: not open, and poll(2) skips it */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static p2p_us now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return P2P_S(t.tv_sec) + (p2p_us)t.tv_nsec / 1000;
}

static struct p2p_command opened(uint16_t socket_number, uint8_t family)
{
    struct sockaddr_in local = {.sin_family = AF_INET};
    socklen_t size = sizeof local;
    int fd = family == P2P_ADDR_V4 ? socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&local, size) || getsockname(fd, (struct sockaddr *)&local, &size))
        return (struct p2p_command){.kind = P2P_COMMAND_SOCKET_FAILED, .socket = socket_number};
    sockets[socket_number] = (struct pollfd){.fd = fd, .events = POLLIN};
    return (struct p2p_command){.kind = P2P_COMMAND_SOCKET_OPENED,
                                .socket = socket_number,
                                .addr = p2p_addr_v4(0, 0, 0, 0, ntohs(local.sin_port))};
}

static void send_datagram(const struct p2p_out *out)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(out->to.port)};
    int ttl = out->ttl == 0 ? 64 : out->ttl, fd = sockets[out->socket].fd;
    memcpy(&to.sin_addr, out->to.ip, 4);
    setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    sendto(fd, out->bytes, out->size, 0, (struct sockaddr *)&to, sizeof to); /* what fails is loss to the engine */
}

/* The answer, then the receipt: `event` may point into the engine, so its text is copied before that is called. */
static void echo(struct p2p *e, const struct p2p_event *event)
{
    uint8_t text[P2P_TEXT_BYTES_MAX];
    struct p2p_command send = {
        .kind = P2P_COMMAND_SEND, .to = event->peer, .text = text, .text_size = event->text_size};
    struct p2p_command written = {.kind = P2P_COMMAND_WRITTEN, .peer = event->peer, .number = event->number};
    memcpy(text, event->text, event->text_size);
    p2p_command(e, now(), &send);
    p2p_command(e, now(), &written);
}

static bool carry_out(struct p2p *e, const struct p2p_out *out) /* false: it was the last */
{
    const struct p2p_event *event = &out->event;
    struct p2p_command answer;
    switch (out->kind) {
    case P2P_OUT_SEND:
        send_datagram(out);
        return true;
    case P2P_OUT_OPEN:
        answer = opened(out->socket, out->family);
        p2p_command(e, now(), &answer);
        return true;
    case P2P_OUT_CLOSE:
        close(sockets[out->socket].fd);
        sockets[out->socket].fd = -1;
        return true;
    case P2P_OUT_EVENT:
        break;
    }
    if (event->kind == P2P_EVENT_MESSAGE)
        echo(e, event);
    else if (event->kind == P2P_EVENT_PEER || event->kind == P2P_EVENT_PEER_LEFT)
        fprintf(stderr, "echo: peer %u %s\n", event->peer, event->kind == P2P_EVENT_PEER ? "came" : "left");
    else if (event->kind == P2P_EVENT_WARNING || event->kind == P2P_EVENT_ERROR)
        fprintf(stderr, "echo: %s\n", event->text);
    return event->kind != P2P_EVENT_END;
}

static void receive(struct p2p *e, uint16_t socket_number)
{
    uint8_t datagram[P2P_DATAGRAM_BYTES_MAX + 1]; /* a longer one is none of ours: the engine drops it */
    struct sockaddr_in sender;
    socklen_t size = sizeof sender;
    struct p2p_addr from;
    ssize_t got = recvfrom(sockets[socket_number].fd, datagram, sizeof datagram, 0, (struct sockaddr *)&sender, &size);
    if (got >= 0 && p2p_addr_from_ip(&from, (uint8_t *)&sender.sin_addr, 4, ntohs(sender.sin_port)))
        p2p_input(e, now(), socket_number, NULL, &from, datagram, (size_t)got);
}

static int run(struct p2p *e)
{
    struct p2p_out out;
    uint8_t entropy[P2P_RNG_SEED_BYTES];
    sigset_t none;
    int asked = 0;
    sigemptyset(&none);
    for (p2p_us reseeded = now();;) {
        while (p2p_poll(e, now(), &out))
            if (!carry_out(e, &out))
                return out.event.status;
        if (interrupted) {
            interrupted = 0;
            /* The first Ctrl-C leaves when all is delivered, the second now. */
            p2p_command(e, now(), &(struct p2p_command){.kind = asked++ ? P2P_COMMAND_QUIT : P2P_COMMAND_FINISH});
            continue;
        }
        if (now() - reseeded > P2P_S(60) && getrandom(entropy, sizeof entropy, 0) == sizeof entropy) {
            reseeded = now();
            p2p_command(e, now(), &(struct p2p_command){.kind = P2P_COMMAND_ENTROPY, .entropy = entropy});
        }
        p2p_us at = p2p_deadline(e), wait = at > now() ? at - now() : 0;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000) * 1000};
        ppoll(sockets, P2P_SOCKETS_MAX, &timeout, &none); /* signals come in here only */
        for (uint16_t i = 0; i < P2P_SOCKETS_MAX; i++)
            if (sockets[i].fd >= 0 && sockets[i].revents != 0)
                receive(e, i);
    }
}

int main(int argc, char **argv)
{
    uint8_t seed[P2P_RNG_SEED_BYTES];
    struct p2p_addr server;
    struct p2p_config config = {.name = "echo", .name_size = 4};
    struct p2p_command meet = {.kind = P2P_COMMAND_SERVER_ADDRS, .addrs = &server, .addr_count = 1};
    struct sigaction interrupt = {.sa_handler = on_signal};
    struct p2p *e;
    int status;
    if (argc != 3 || !p2p_addr_parse(&server, argv[1]) ||
        p2p_keyword_parse(&config.keyword, argv[2], strlen(argv[2])) != P2P_KEYWORD_OK) {
        fprintf(stderr, "usage: echo ADDR:PORT KEYWORD, as in: echo 192.0.2.1:41414 42-crab-lunar-toast\n");
        return 2;
    }
    if (sodium_init() < 0 || getrandom(seed, sizeof seed, 0) != sizeof seed || (e = calloc(1, p2p_size())) == NULL) {
        fprintf(stderr, "echo: no memory, or no entropy from the system\n");
        return 1;
    }
    sigemptyset(&interrupt.sa_mask);
    sigaddset(&interrupt.sa_mask, SIGINT);
    sigaddset(&interrupt.sa_mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &interrupt.sa_mask, NULL);
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &interrupt, NULL);
    for (int i = 0; i < P2P_SOCKETS_MAX; i++)
        sockets[i].fd = -1;
    p2p_init(e, &config, seed, now());
    p2p_command(e, now(), &meet);
    status = run(e);
    sodium_memzero(e, p2p_size()); /* what was said is still in there */
    free(e);
    return status;
}
