/* sim_client.h: the shell of one engine in the simulated world, and its user: opens sockets, reports
 * interfaces, feeds entropy, keeps every event, writes messages out (or does not). One struct is one
 * process: a client that is started again is a new one. */
#ifndef SIM_SIM_CLIENT_H
#define SIM_SIM_CLIENT_H
#include "peer/engine.h"
#include "world.h"

struct sim_event { /* a copy that stays */
    vtime_us time; /* the world's */
    struct engine_event e; /* text and name are copies, too */
};

struct sim_client;
struct sim_client_watcher { /* the judge; any may be NULL */
    void *context;
    void (*on_said)(void *context, struct sim_client *c, uint64_t id, uint32_t to, const uint8_t *text, size_t size);
    void (*on_event)(void *context, struct sim_client *c, const struct sim_event *e);
    void (*on_written)(void *context, struct sim_client *c, uint32_t peer, uint64_t number);
    void (*on_ignored)(void *context, struct sim_client *c, uint32_t peer);
    void (*on_broken)(void *context, struct sim_client *c, const char *what); /* the engine broke its contract */
};

struct sim_client_config {
    const char *keyword; /* NULL: --new */
    const char *name;    /* what peers see; may be "" */
    enum relay_policy relay;
    vtime_us    wait_us;
    struct addr server[ENGINE_SERVER_ADDRS_MAX];
    size_t      server_count;
};

struct sim_client {
    struct world  *w;
    int            host, actor; /* actor -1: ended or killed */
    struct engine *e;
    struct sim_client_config config;
    struct sim_client_watcher watcher;
    char           label[TRACE_NAME_MAX];
    char           name[NAME_BYTES_MAX + 1], keyword[KEYWORD_BYTES_MAX + 1]; /* what config points to */
    int            sockets[ENGINE_SOCKETS_MAX]; /* -1: not open */
    unsigned       sockets_open, sockets_open_most, sockets_opened;
    struct dice    dice;
    vtime_us       entropy_at; /* the host's clock */
    struct sim_event *events;
    size_t         event_count, event_cap;
    size_t         written;       /* events before this one have been written if they were messages */
    bool           reader_stalled;
    bool           forgets; /* keeps no event once it has been looked at: for months */
    uint64_t       next_id;
    vtime_us       started_at, first_sent_at; /* the world's; VTIME_NEVER: not yet */
    uint64_t       sent_count;
    bool           ended;         /* EVENT_END came */
    int            status;
};

struct sim_client *sim_client_new(struct world *w, int host, const char *label, const struct sim_client_config *config,
                                  const struct sim_client_watcher *watcher);
void sim_client_free(struct sim_client *c);
void sim_client_kill(struct sim_client *c); /* kill -9 */

/* ---- what the user does; each returns after the engine has been polled dry ---- */
uint64_t sim_client_say(struct sim_client *c, const char *text); /* to everybody; returns the id */
uint64_t sim_client_say_to(struct sim_client *c, uint32_t to, const uint8_t *text, size_t size);
void sim_client_rename(struct sim_client *c, const char *name);
void sim_client_ignore(struct sim_client *c, uint32_t peer);
void sim_client_finish(struct sim_client *c);
void sim_client_quit(struct sim_client *c);
void sim_client_stall(struct sim_client *c, bool stalled); /* stops (or goes on) reading */
void sim_client_interfaces(struct sim_client *c); /* tells them again: after a change, after a sleep */
void sim_client_woke(struct sim_client *c);       /* after a sleep: entropy, interfaces, then the engine */
void sim_client_server(struct sim_client *c, const struct addr *addrs, size_t count);

/* ---- what was seen ---- */
/* The nth (from 0) event of a kind with this peer (0: any) since event number `from`; NULL: none. */
const struct sim_event *sim_client_event(const struct sim_client *c, enum engine_event_kind kind, uint32_t peer,
                                         size_t from, size_t nth);
size_t sim_client_count(const struct sim_client *c, enum engine_event_kind kind, uint32_t peer);
size_t sim_client_codes(const struct sim_client *c, const char *code); /* events with it */
uint64_t sim_client_stat(const struct sim_client *c, const char *name);
const char *sim_event_name(enum engine_event_kind kind);
#endif
