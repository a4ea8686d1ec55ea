#include "client/resolve.h"
#include "client/buffer.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RETRY_S_FIRST = 1, /* doubling */
    RETRY_S_MAX = 60,
    REFRESH_S = 300, /* a server that moves is found again within five minutes */
    HURRY_S = 2,     /* at most so often */
};

/* Belongs to the thread until its pointer has gone through the pipe. */
struct job {
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    int pipe;
    struct addr addrs[ENGINE_SERVER_ADDRS_MAX];
    size_t addr_count;
    char error[HOST_ERROR_MAX];
};

static void *resolve(void *data)
{
    struct job *job = data;
    job->addr_count = host_resolve(job->host, job->port, job->addrs, ENGINE_SERVER_ADDRS_MAX, job->error);
    if (write(job->pipe, &job, sizeof job) != sizeof job) /* the reader is gone */
        free(job);
    return NULL;
}

/* Signals belong to the event loop's thread. */
static bool start_thread(struct job *job)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attributes, resolve, job) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

static void schedule(struct resolver *r, long seconds)
{
    struct timeval wait = {.tv_sec = seconds};
    event_add(r->again, &wait);
}

static void start(struct resolver *r)
{
    struct job *job = memory_new(1, sizeof *job);
    snprintf(job->host, sizeof job->host, "%s", r->server->host);
    job->port = r->server->port;
    job->pipe = r->pipe[1];
    r->busy = start_thread(job);
    if (r->busy)
        return;
    free(job);
    schedule(r, RETRY_S_MAX);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
    struct resolver *r = data;
    (void)fd;
    (void)what;
    if (!r->busy)
        start(r);
}

static void on_result(evutil_socket_t fd, short what, void *data)
{
    struct resolver *r = data;
    struct job *job;
    (void)what;
    if (read(fd, &job, sizeof job) != sizeof job)
        return;
    r->busy = false;
    r->error[0] = '\0';
    if (job->addr_count > 0) {
        memcpy(r->addrs, job->addrs, sizeof r->addrs);
        r->addr_count = job->addr_count;
        r->failures = 0;
        schedule(r, REFRESH_S);
    } else {
        snprintf(r->error, sizeof r->error, "%.80s: %.150s", job->host, job->error);
        unsigned doublings = r->failures < 6 ? r->failures : 6;
        long wait = RETRY_S_FIRST << doublings;
        r->failures++;
        schedule(r, wait < RETRY_S_MAX ? wait : RETRY_S_MAX);
    }
    free(job);
    r->done(r->data);
}

void resolver_open(struct resolver *r, const struct host_port *server, struct event_base *base, void (*done)(void *),
                   void *data)
{
    *r = (struct resolver){.server = server, .done = done, .data = data, .pipe = {-1, -1}};
    if (server->numeric.family != ADDR_NONE) {
        r->addrs[0] = server->numeric;
        r->addr_count = 1;
        return;
    }
    if (pipe2(r->pipe, O_CLOEXEC) != 0) {
        snprintf(r->error, sizeof r->error, "%.80s: %s", server->host, strerror(errno));
        return;
    }
    r->readable = event_new(base, r->pipe[0], EV_READ | EV_PERSIST, on_result, r);
    r->again = event_new(base, -1, 0, on_again, r);
    event_add(r->readable, NULL);
    start(r);
}

void resolver_hurry(struct resolver *r)
{
    if (r->again != NULL && !r->busy && r->failures == 0)
        schedule(r, HURRY_S);
}

/* The pipe stays open: a thread may still write to it, and the program ends now. */
void resolver_close(struct resolver *r)
{
    if (r->readable != NULL)
        event_free(r->readable);
    if (r->again != NULL)
        event_free(r->again);
    r->readable = r->again = NULL;
}
