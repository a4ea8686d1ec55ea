/* judge.h: watches everybody in a simulated world and stops the run when something happens that must
 * never happen, whatever the network does:
 *   - a message is shown twice, out of order, altered, with one missing before it, or to somebody it was not for;
 *   - `delivered` comes for a message that the other has not written (nor throws away, ignoring the sender), or twice, or beside
 *     `failed`;
 *   - a text, a name or a keyword in clear in a datagram; a private address in one to the server;
 *   - more bytes from the server to a source than came from it, before it showed a cookie or
 *     a secret that were sent there;
 *   - the server tells somebody's address to one who does not know that one's keyword;
 *   - an engine breaks its contract with the shell.
 * And it counts datagrams. Clients are told apart by the names they give to peers: they must differ. */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H
#include "sim_client.h"
#include "sim_server.h"

enum { JUDGE_CLIENTS_MAX = 128 };

/* What secret texts and names begin with: long enough not to turn up by chance. */
#define JUDGE_MARK "<sealed>"

struct judge_traffic { /* as it was sent, but `direct`: what arrived at a client from another */
    uint64_t to_server, from_server, to_others, direct;
    uint64_t bytes_to_server, bytes_from_server, bytes_to_others;
};

struct judge {
    struct world         *w;
    struct sim_server    *server;
    struct judge_traffic  traffic;
    uint64_t              shown;  /* messages, all together */
    struct judge_client  *clients;
    int                   client_count;
    struct judge_source  *sources; /* as the server sees them */
    int                   source_count;
    struct codec         *codec;
    void (*fail)(void *context, const char *why); /* must not return */
    void                 *fail_context;
};

/* fail NULL: the trace to stderr, then abort. */
struct judge *judge_new(struct world *w, void (*fail)(void *context, const char *why), void *context);
void judge_free(struct judge *j);
void judge_fail(const struct judge *j, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* For sim_client_new; a client is known from its first event on. */
struct sim_client_watcher judge_watcher(struct judge *j);
/* What this one says of what it has written is its own affair: a member who keeps to no rule. */
void judge_distrust(struct judge *j, struct sim_client *c);
void judge_set_server(struct judge *j, struct sim_server *s);
/* A new process of the server knows nothing of who was validated. */
void judge_server_restarted(struct judge *j);

/* Is everything that c said settled: delivered or failed for everybody whom `sent` named? */
bool judge_is_settled(const struct judge *j, const struct sim_client *c);
/* Which are not, a line each. */
void judge_print_unsettled(const struct judge *j, const struct sim_client *c, FILE *to);
/* Has `to` been shown all that `from` said to everybody? */
bool judge_has_all(const struct judge *j, const struct sim_client *from, const struct sim_client *to);
/* The number under which c knows `other` now; 0: not at all. */
uint32_t judge_peer(const struct judge *j, const struct sim_client *c, const struct sim_client *other);
#endif
