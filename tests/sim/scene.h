/* scene.h: the usual set of a scenario: a world, a server on the internet, homes behind NATs, people, a judge.
 * Everything belongs to the scene; a scenario that goes wrong prints its seed and the trace. */
#ifndef SIM_SCENE_H
#define SIM_SCENE_H
#include "judge.h"
#include "kinds.h"

enum { SCENE_CLIENTS_MAX = JUDGE_CLIENTS_MAX };

struct scene {
    struct world      *w;
    struct judge      *judge;
    struct sim_server *server;
    struct sim_client *clients[SCENE_CLIENTS_MAX];
    int                client_count;
    int                homes;
    uint64_t           seed;
    const char        *title;
    const char        *keyword; /* for those who join; "42-crab-lunar-toast" unless changed */
    struct sim_client_config config; /* what else they join with: relay policy, wait */
    void (*fail)(const char *why); /* must not return; NULL: abort */
};

/* The server has an address of each family, and one more of v4 for probes; it hangs on the core without a delay. */
struct scene *scene_new(const char *title, uint64_t seed);
/* The same with another server: sizes of its tables. */
struct scene *scene_new_with(const char *title, uint64_t seed, const struct server_config *config);
void          scene_free(struct scene *s);
void          scene_fail(struct scene *s, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
#define scene_check(s, condition)                                                                                      \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            scene_fail(s, "%s:%d: not so: %s", __FILE__, __LINE__, #condition);                                        \
    } while (0)

/* A host so far (one way) from the core: behind a NAT of its own (NULL: with a public address); returns the host. */
int scene_home(struct scene *s, vtime_us delay_us, const struct natbox_config *nat);
int scene_home_of(struct scene *s, vtime_us delay_us, const struct nat_kind *kind);
/* One more host on a network; v4 only. */
int scene_host(struct scene *s, int network, vtime_us delay_us, struct addr ip);
/* The network of a host, and the NAT in front of it. */
int scene_network(const struct scene *s, int host);
int scene_natbox(const struct scene *s, int host);
/* Gives the host (and the firewall of its home) v6 as well. */
void scene_add_v6(struct scene *s, int host);

/* Starts a client on the host; its label is its name to others, after JUDGE_MARK. */
struct sim_client *scene_join(struct scene *s, int host, const char *label);
/* A text that no other is, of at least `size` bytes; valid until the next call. */
const char *scene_text(struct scene *s, size_t size);
uint64_t    scene_say(struct scene *s, struct sim_client *c, size_t size);

/* ---- waiting, in virtual time; each fails the scenario when it has not come within `us` ---- */
const struct sim_event *scene_wait(struct scene *s, struct sim_client *c, enum engine_event_kind kind, vtime_us us);
/* Until a knows b and b knows a. */
void scene_meet(struct scene *s, struct sim_client *a, struct sim_client *b, vtime_us us);
/* Until both know each other over a path of at least this kind (PATH_DIRECT is content with LAN). */
void scene_meet_by(struct scene *s, struct sim_client *a, struct sim_client *b, enum engine_path path, vtime_us us);
/* Until all that the two said has been shown to the other and is settled. */
void scene_settle(struct scene *s, struct sim_client *a, struct sim_client *b, vtime_us us);
/* The path that a has to b now; PATH_NONE: none, or b is unknown. */
enum engine_path scene_path(const struct scene *s, const struct sim_client *a, const struct sim_client *b);
bool scene_wait_until(struct scene *s, vtime_us us, bool (*done)(struct scene *s, void *context), void *context);
void scene_restart_server(struct scene *s);
#endif
