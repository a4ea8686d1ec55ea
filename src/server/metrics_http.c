#include "server/metrics_http.h"
#include "net/udp.h"
#include "server/metrics.h"
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHECK_MS = 1000 }; /* how often it is looked whose time is over */

struct connection {
    int fd; /* -1: free */
    vtime_us since;
};

struct metrics_http {
    struct MHD_Daemon *daemon;
    struct event *readable, *timer;
    struct metrics_http_caller caller;
    struct connection connections[HTTP_CONNECTIONS_MAX];
    bool closed_one; /* since the last run */
    char page[METRICS_TEXT_MAX];
};

/* ---- one request ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, const void *body,
                              size_t size)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (r == NULL)
        return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
        (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
        queued = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text)
{
    return answer(c, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct metrics_http *h = context;
    (void)version, (void)upload, (void)upload_size, (void)state;
    if (strcmp(url, "/metrics") != 0)
        return say(c, MHD_HTTP_NOT_FOUND, "only /metrics is here\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    const size_t size = h->caller.text(h->caller.context, h->page, sizeof h->page);
    if (size == 0)
        return say(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the metrics do not fit their buffer\n");
    return answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", h->page, size);
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *c, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    struct metrics_http *h = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*state != NULL)
            ((struct connection *)*state)->fd = -1;
        h->closed_one = true;
        return;
    }
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        if (h->connections[i].fd < 0) {
            const int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
            h->connections[i] = (struct connection){.fd = fd, .since = net_now()};
            *state = &h->connections[i];
            return;
        }
}

/* The library's own time limit begins anew with every byte, so that eight slow clients would keep everybody else out
 * for hours. It notices that a socket has been shut down, and cleans up. */
static void cut_old(struct metrics_http *h)
{
    const vtime_us now = net_now();
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        if (h->connections[i].fd >= 0 && now - h->connections[i].since >= VTIME_S(HTTP_LIFE_MAX_S))
            shutdown(h->connections[i].fd, SHUT_RDWR);
}

static bool has_connections(const struct metrics_http *h)
{
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        if (h->connections[i].fd >= 0)
            return true;
    return false;
}

/* Once all places have been taken the library listens again only in the run after one that has closed a connection,
 * and does not say that it wants to be run. */
static void set_timer(struct metrics_http *h)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    const bool due = h->closed_one || MHD_get_timeout(h->daemon, &wait_ms) == MHD_YES;
    if (!due && !has_connections(h))
        return;
    if (!due || wait_ms > CHECK_MS)
        wait_ms = CHECK_MS;
    const struct timeval t = {.tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
    evtimer_add(h->timer, &t);
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    struct metrics_http *h = context;
    (void)fd, (void)what;
    h->caller.woken(h->caller.context);
    cut_old(h);
    h->closed_one = false;
    MHD_run(h->daemon);
    set_timer(h);
}

/* ---- start and stop ---- */

static bool start(struct metrics_http *h, struct event_base *base, int listening)
{
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, listening,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_BYTES,
                                 MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
    if (h->daemon == NULL) {
        close(listening);
        return false;
    }
    const int epoll = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    h->readable = event_new(base, epoll, EV_READ | EV_PERSIST, on_event, h);
    h->timer = evtimer_new(base, on_event, h);
    return h->readable != NULL && h->timer != NULL && event_add(h->readable, NULL) == 0;
}

struct metrics_http *metrics_http_start(struct event_base *base, int listening,
                                        const struct metrics_http_caller *caller)
{
    struct metrics_http *h = calloc(1, sizeof *h);
    if (h == NULL) {
        close(listening);
        return NULL;
    }
    h->caller = *caller;
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        h->connections[i].fd = -1;
    if (start(h, base, listening))
        return h;
    metrics_http_stop(h);
    return NULL;
}

void metrics_http_stop(struct metrics_http *h)
{
    if (h == NULL)
        return;
    if (h->readable != NULL)
        event_free(h->readable);
    if (h->timer != NULL)
        event_free(h->timer);
    if (h->daemon != NULL)
        MHD_stop_daemon(h->daemon); /* closes the listening socket */
    free(h);
}
