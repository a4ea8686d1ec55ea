/* metrics_http.h: GET /metrics over HTTP, from the event loop that does everything else: no thread, nothing blocks.
 * A connection is for one request, and is cut after HTTP_LIFE_MAX_S, however slowly its client writes or reads. */
#ifndef SERVER_METRICS_HTTP_H
#define SERVER_METRICS_HTTP_H
#include <event2/event.h>
#include <stddef.h>

struct metrics_http;

enum {
    HTTP_CONNECTIONS_MAX = 8,      /* one or two scrapers, and somebody who looks by hand; the rest waits to be accepted */
    HTTP_CONNECTION_BYTES = 8192,  /* for a request's headers and an answer's; a scraper's have 500 */
    HTTP_LIFE_MAX_S = 10,          /* Prometheus gives up after 10 s, too */
};

struct metrics_http_caller {
    void  *context;
    void   (*woken)(void *context); /* called at the beginning of every event */
    size_t (*text)(void *context, char *ret, size_t cap); /* writes the text; returns its size, 0 if cap is too small */
};

/* Takes the listening socket, also when it fails (NULL). */
struct metrics_http *metrics_http_start(struct event_base *base, int listening, const struct metrics_http_caller *caller);
void metrics_http_stop(struct metrics_http *h); /* NULL is allowed */
#endif
