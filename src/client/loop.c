#include "client/buffer.h"
#include "client/client.h"
#include "client/machine.h"
#include "client/sockets.h"
#include "net/udp.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    RECEIVE_BATCH = 64, /* datagrams from one socket before the others get their turn */
    POLL_BATCH = 10000, /* steps of the engine before input gets its turn */
    QUIT_DRAIN_S = 1,   /* after quit, a reader that has stalled is not waited for any longer */
    SIGNALS = 8,
};

struct client {
    const struct options *options;
    enum keyword_form form;
    struct view *view;
    struct engine *engine;
    struct event_base *base;
    struct sockets sockets;
    struct machine machine;
    struct event *timer, *drain, *signals[SIGNALS];
    int timer_fd;
    vtime_us armed; /* when timer_fd goes off; VTIME_NEVER: disarmed */
    bool told_weak;
    char advice[400]; /* the last event's text, and what to do */
    bool unfinished;  /* the engine had more to do than POLL_BATCH */
    bool quitting, ended;
    bool has_failed; /* by the engine's judgement */
    int status;
};

bool client_has_failed(const struct client *c)
{
    return c->has_failed;
}

struct event_base *client_base(const struct client *c)
{
    return c->base;
}

const struct engine *client_engine(const struct client *c)
{
    return c->engine;
}

const struct options *client_options(const struct client *c)
{
    return c->options;
}

enum keyword_form client_form(const struct client *c)
{
    return c->form;
}

bool client_has_ended(const struct client *c)
{
    return c->ended;
}

/* ---- carrying out ---- */

/* The engine knows what happened, not what people could do about it. */
static void advise(struct client *c, struct engine_event *event)
{
    snprintf(c->advice, sizeof c->advice, "%s: is the server's address right, is it running, and is UDP let through?",
             event->text);
    event->text = c->advice;
    event->text_size = strlen(c->advice);
}

static void on_event(struct client *c, struct engine_event *event)
{
    if (event->kind == EVENT_SERVER_LOST)
        machine_lost_server(&c->machine);
    if (event->kind == EVENT_WARNING && strcmp(event->code, "weak-keyword") == 0) {
        if (c->told_weak)
            return;
        c->told_weak = true;
    }
    if (event->kind == EVENT_ERROR && strcmp(event->code, "server-unreachable") == 0)
        advise(c, event);
    if (event->kind == EVENT_END) {
        c->has_failed = event->status != 0;
        if (event->status == 0)
            event->status = c->status != 0 ? c->status : c->view->status(c->view);
        c->status = event->status;
        c->ended = true;
    }
    c->view->event(c->view, event);
}

static void carry_out_open(struct client *c, const struct engine_out *out)
{
    struct addr local = {0};
    int error = -sockets_open(&c->sockets, out->socket, out->family, &local);
    tell_opened(c->engine, out->socket, error, &local);
}

static void carry_out(struct client *c, struct engine_out *out)
{
    switch (out->kind) {
    case OUT_SEND: /* whatever the network answers, the program goes on */
        tell_sent(c->engine, out, -sockets_send(&c->sockets, out));
        break;
    case OUT_OPEN:
        carry_out_open(c, out);
        break;
    case OUT_CLOSE:
        sockets_close(&c->sockets, out->socket);
        break;
    case OUT_EVENT:
        on_event(c, &out->event);
        break;
    }
}

static bool report_written(struct client *c)
{
    struct engine_command written = {.kind = COMMAND_WRITTEN};
    bool any = false;
    while (!c->ended && c->view->take_written(c->view, &written.peer, &written.number)) {
        engine_command(c->engine, net_now(), &written);
        any = true;
    }
    return any;
}

static void pump(struct client *c)
{
    struct engine_out out;
    int steps = 0;
    do {
        while (steps < POLL_BATCH && engine_poll(c->engine, net_now(), &out)) {
            carry_out(c, &out);
            steps++;
        }
    } while (report_written(c) && steps < POLL_BATCH);
    c->unfinished = steps >= POLL_BATCH;
}

void client_command(struct client *c, const struct engine_command *command)
{
    if (c->ended)
        return;
    engine_command(c->engine, net_now(), command);
    pump(c);
}

void client_quit(struct client *c)
{
    c->quitting = true;
    client_command(c, &(struct engine_command){.kind = COMMAND_QUIT});
}

/* ---- a turn ---- */

static vtime_us next_due(const struct client *c, vtime_us now)
{
    if (c->ended)
        return VTIME_NEVER;
    if (c->unfinished)
        return now;
    /* A deadline that has passed and brought nothing must not keep the processor busy. */
    vtime_us due = engine_deadline(c->engine);
    return due <= now ? now + VTIME_MS(1) : due;
}

static void arm(struct client *c)
{
    vtime_us due = next_due(c, net_now());
    struct itimerspec when = {0};
    if (due == c->armed)
        return;
    if (due != VTIME_NEVER) {
        when.it_value.tv_sec = (time_t)(due / 1000000);
        when.it_value.tv_nsec = (long)(due % 1000000) * 1000 + 1; /* all zero would disarm */
    }
    timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    c->armed = due;
}

static void check_output(struct client *c)
{
    int error = c->view->output_error(c->view);
    if (error == 0 || c->status != 0)
        return;
    fprintf(stderr, "p2p-client: cannot write to standard output: %s; leaving\n", strerror(error));
    c->status = 1;
    client_quit(c);
}

void client_turn(struct client *c)
{
    pump(c);
    if (!c->ended)
        c->view->turn(c->view);
    pump(c);
    check_output(c);
    arm(c);
    if (!c->ended)
        return;
    if (c->view->is_drained(c->view)) {
        event_base_loopbreak(c->base);
    } else if (c->quitting && !event_pending(c->drain, EV_TIMEOUT, NULL)) {
        struct timeval wait = {.tv_sec = QUIT_DRAIN_S};
        event_add(c->drain, &wait);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
    struct client *c = data;
    uint64_t expirations;
    (void)what;
    if (read(fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
        return;
    c->armed = 0;
    machine_notice_sleep(&c->machine);
    client_turn(c);
}

static void on_datagrams(void *data, uint16_t socket)
{
    struct client *c = data;
    uint8_t datagram[DATAGRAM_BYTES_MAX + 1];
    struct addr from, local;
    machine_notice_sleep(&c->machine);
    for (int i = 0; i < RECEIVE_BATCH && !c->ended; i++) {
        int size = sockets_receive(&c->sockets, socket, datagram, sizeof datagram, &from, &local);
        if (size < 0)
            break;
        if ((size_t)size > DATAGRAM_BYTES_MAX)
            continue; /* nothing of ours is that long */
        engine_input(c->engine, net_now(), socket, &local, &from, datagram, (size_t)size);
        pump(c);
    }
    client_turn(c);
}

static void on_drained_too_long(evutil_socket_t fd, short what, void *data)
{
    struct client *c = data;
    (void)fd;
    (void)what;
    event_base_loopbreak(c->base);
}

/* ---- signals ---- */

static void on_end_signal(evutil_socket_t number, short what, void *data)
{
    struct client *c = data;
    (void)what;
    if (c->quitting || c->ended || number == SIGQUIT) { /* the second one does not wait for anything */
        if (!c->ended)
            c->status = 1;
        event_base_loopbreak(c->base);
        return;
    }
    client_quit(c);
    client_turn(c);
}

static void on_view_signal(evutil_socket_t number, short what, void *data)
{
    struct client *c = data;
    (void)what;
    c->view->signal(c->view, (int)number);
    client_turn(c);
}

/* SIGINT is taken even if it is ignored, as it is in the background of a script: kill -INT must end us. A SIGHUP
 * that nohup ignores stays ignored. */
static void watch_signals(struct client *c)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP}, shown[] = {SIGWINCH, SIGCONT, SIGTSTP};
    struct sigaction hangup;
    size_t count = 0;
    sigaction(SIGHUP, NULL, &hangup);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i] != SIGHUP || hangup.sa_handler != SIG_IGN)
            c->signals[count++] = evsignal_new(c->base, ends[i], on_end_signal, c);
    for (size_t i = 0; c->view->signal != NULL && i < sizeof shown / sizeof *shown; i++)
        c->signals[count++] = evsignal_new(c->base, shown[i], on_view_signal, c);
    assert(count <= SIGNALS);
    for (size_t i = 0; i < count; i++)
        event_add(c->signals[i], NULL);
}

/* ---- beginning and end ---- */

/* Without epoll, which knows no files: standard input and output may be any kind of descriptor. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    event_config_require_features(config, EV_FEATURE_FDS);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool start_engine(struct client *c, const struct keyword *keyword)
{
    uint8_t seed[RNG_SEED_BYTES];
    struct engine_config config = {.keyword = *keyword,
                                   .relay = c->options->relay,
                                   .name_size = c->options->name_size,
                                   .wait_us = VTIME_S(c->options->wait_s)};
    memcpy(config.name, c->options->name, c->options->name_size);
    if (getrandom(seed, sizeof seed, 0) != sizeof seed)
        return false;
    c->engine = memory_new(1, engine_size());
    engine_init(c->engine, &config, seed, net_now());
    explicit_bzero(seed, sizeof seed);
    keyword_wipe(&config.keyword);
    return true;
}

static bool start_loop(struct client *c)
{
    c->base = new_base();
    c->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (c->base == NULL || c->timer_fd < 0)
        return false;
    c->timer = event_new(c->base, c->timer_fd, EV_READ | EV_PERSIST, on_timer, c);
    c->drain = event_new(c->base, -1, 0, on_drained_too_long, c);
    event_add(c->timer, NULL);
    sockets_init(&c->sockets, c->base, on_datagrams, c);
    return true;
}

static void stop(struct client *c)
{
    c->view->close(c->view);
    machine_close(&c->machine);
    sockets_close_all(&c->sockets);
    for (size_t i = 0; i < SIGNALS; i++)
        if (c->signals[i] != NULL)
            event_free(c->signals[i]);
    event_free(c->timer);
    event_free(c->drain);
    event_base_free(c->base);
    close(c->timer_fd);
    explicit_bzero(c->engine, engine_size());
    free(c->engine);
}

static void warn_of_weak_keyword(struct client *c, const struct keyword *keyword)
{
    struct engine_event weak = {.kind = EVENT_WARNING,
                                .code = "weak-keyword",
                                .text = "this keyword is easy to guess: somebody who does gets into the chat; "
                                        "p2p-client --new makes a good one"};
    if (keyword->form != KEYWORD_NEW && keyword_is_weak(keyword))
        on_event(c, &weak);
}

int client_run(const struct options *options, const struct keyword *keyword, view_create *create)
{
    struct client *c = memory_new(1, sizeof *c);
    c->options = options;
    c->form = keyword->form;
    if (!start_loop(c) || !start_engine(c, keyword)) {
        fprintf(stderr, "p2p-client: cannot start: %s; are memory and open files (ulimit) too few?\n", strerror(errno));
        free(c);
        return 1;
    }
    c->view = create(c);
    watch_signals(c);
    c->view->start(c->view);
    warn_of_weak_keyword(c, keyword);
    machine_open(&c->machine, c);
    client_turn(c);
    event_base_dispatch(c->base);

    int status = c->status;
    stop(c);
    free(c);
    return status;
}
