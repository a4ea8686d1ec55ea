/* core_internal.h: what the files of the server's core share. Nobody else includes it.
 *
 * Everything is a table of fixed size in the one block of memory that the caller set aside. Rows are
 * named by ids that count from 1, so that zeroed memory is empty and 0 is nobody. A *party* is whoever
 * can be introduced: ids up to registrations.max are registrations (their source is real), higher ones
 * are strangers (it may be forged). */
#ifndef SERVER_CORE_INTERNAL_H
#define SERVER_CORE_INTERNAL_H
#include "server/core.h"
#include "wire/seal.h"

enum {
    REGISTRATIONS_DEFAULT = 65536,
    STRANGERS_DEFAULT = 1024, /* over half of it: Retry, which needs no state */
    OUT_MAX = 128,            /* one input makes fewer than 64 datagrams, */
    OUT_TIMERS_MAX = 64,      /* so that what is due leaves it enough */
    PREFIX_SHARE_MIN = 64,    /* registrations of one source prefix when the table is over half full: */
    PREFIX_SHARE_PART = 64,   /* this many, or this part of the table */

    INTRODUCTIONS_EACH_MAX = 64,       /* at a time, of one party: a full room */
    UNANSWERED_MAX = 2,                /* in a row; then nobody until the next refresh */
    SPENT_MAX = 4, /* shares of one registration on one source prefix, without a link: then one in SPENT_GAP_S */
    FEW = 16,              /* in a room or bucket, with whom two stocks are enough: there that does not count */
    /* Cells of that memory for each registration. A flood of 365 introductions a second writes 44,000 of them in
     * SPENT_GAP_S. Of 65,536 the two of a prefix were then taken by chance in 24 of 100 cases, and one pair of friends in
     * twenty did not meet; of 524,288 in 0.6. */
    SPENT_CELLS = 8,
    SPENT_SHARES_LEFT = 2, /* these only on a prefix on which none is spent; in a mob, of which not more are there */
    SPENT_KEY = 1000, /* where it counts they come after everybody else */
    FAILED_KEY = 2,                    /* those whose runs have failed come after two of every other prefix */
    SIGNAL_FRAMES_MAX = 16,            /* each way, in one introduction */
    SIGNAL_BYTES_TOTAL_MAX = 8192,     /* the same */
    PAIR_WAYS = 4,                     /* remembered pairs per slot */
    FAILED_SLOTS = 1024,               /* source prefixes whose runs failed */
    FAILED_RUNS_MAX = 3,               /* then one introduction per FAILED_GAP_US */
    OPEN_NODES = 2 << PREFIX_BITS_MAX, /* every prefix of every length: node (1 << bits) | prefix */
    WALK_MAX = 1024,                   /* registrations looked at for one introduction */

    LINKS_EACH_MAX = LINKS_MAX + 1, /* presentations of one registration */
    RELAY_BYTES_PER_S = 8000,       /* 64 kbit/s, both ways together */
    RELAY_BURST_BYTES = 256 * 1024,

    /* Limits of a source prefix. Offices and carriers have hundreds behind one address, so they bite only when: */
    LIMIT_CELLS = 16384, /* a victim shares both of its with a hundred floods once in 6,700 */
    REGISTER_PER_S = 20, /* before the cookie, burst 40; when a quarter of the strangers' places is taken, so that one
                          * prefix never gets to the half from which on everybody is sent Retry */
    CONTROL_PER_S_MIN = 1000,   /* all together: that and one for each client, 16 times what refreshes need; */
    CONTROL_PER_S_MAX = 100000, /* a third of the Registers that one core was measured to carry */
    CONTROL_FLOOR_PER_S = 200,  /* a prefix, however many others there are */
    INTRODUCTIONS_PER_S = 20,   /* burst 200; when half of the introductions' places is taken */
    RELAY_TOTAL_BYTES_PER_S = 12500000,   /* 100 Mbit/s: a small host's line */
    RELAY_FLOOR_BYTES_PER_S = 160,        /* a line of chat now and then */

    RESERVED_MAX = 4096, /* numbers given to --new in the last ten minutes; the oldest gives way */
    RESERVED_SLOTS = 4096,
};

#define CAUTIOUS_S       600U /* after an unconfirmed run: no strangers */
#define FAILED_GAP_US    VTIME_S(10)
#define FAILED_MEMORY_US VTIME_S(600)
#define BITS_GRACE_US    VTIME_S(20) /* a refresh and its repetition */
#define SPENT_GAP_S       30U /* as shares are replaced in the open form */
#define LOST_GAP_S       30U         /* between the introductions of two whose runs are lost, from the third on; */
#define LOST_GAP_MAX_S   3600U       /* times 4 each time: 28 shares on the first day where none ever succeeds */
#define INTRODUCTION_MIN_US VTIME_S(1) /* in a full table: two envelopes each way over the longest paths there are */
#define UNANSWERED_US    VTIME_S(1)  /* after the last PeerInfo */

/* ---- core_table.c: rows, lists, hash chains ---- */
struct table { /* rows of one kind; a row in use is never all of the free list's business */
    uint8_t *base;
    size_t stride;
    uint32_t max, high, free, count; /* high: ids up to here have been in use */
};
struct list {
    uint32_t head, tail;
};
struct node {
    uint32_t prev, next;
};
struct chain_index { /* heads of hash chains; the next id stands in the row, at next_offset */
    uint32_t *heads;
    uint32_t mask;
    size_t next_offset;
};

static inline void *table_at(const struct table *t, uint32_t id)
{
    return t->base + (size_t)(id - 1) * t->stride;
}
uint32_t table_take(struct table *t);          /* a zeroed row; 0: full */
void table_give(struct table *t, uint32_t id); /* wipes it */
/* `offset` is that of the row's struct node. */
void list_append(const struct table *t, size_t offset, struct list *l, uint32_t id);
void list_remove(const struct table *t, size_t offset, struct list *l, uint32_t id);
uint32_t list_next(const struct table *t, size_t offset, uint32_t id);
void chain_insert(const struct table *t, const struct chain_index *x, uint64_t hash, uint32_t id);
void chain_remove(const struct table *t, const struct chain_index *x, uint64_t hash, uint32_t id);
uint32_t chain_first(const struct chain_index *x, uint64_t hash);
uint32_t chain_next(const struct table *t, const struct chain_index *x, uint32_t id);

/* ---- rows ---- */
struct path { /* how to reach somebody: from where and to where the newest packet came */
    struct addr from, local;
    uint16_t socket;
};

struct party { /* what registrations and strangers have in common; their first member */
    uint64_t handle, proof;
    uint8_t secret[SECRET_BYTES];
    struct path path;
    uint8_t introduction_count;
    uint8_t unanswered;
    uint32_t introductions; /* chain through introduction.side[] */
};

struct wish {      /* where somebody wants to be introduced */
    uint32_t room; /* 0: the open form */
    uint8_t prefix_bits, prefix;
    uint8_t given; /* FORM_NEW: the number is ours */
};

struct registration {
    struct party party;
    vtime_us refreshed;
    struct node lease, place;
    uint32_t next_by_secret, next_by_source;
    struct wish wish;
    uint32_t links;         /* chain through link.side[] */
    uint32_t sequence;      /* of joining its place: the smaller waits longer */
    uint32_t unconfirmed_s; /* server_seconds of the newest run without a link; 0: none */
    struct node waiting;    /* at failed[waits_at - 1] */
    uint16_t waits_at;      /* 0: nowhere */
    uint8_t share_count, link_count, refreshes;
};
static_assert(sizeof(struct registration) <= 160, "a million registrations fit 700 MiB");

struct ledger { /* bytes with headers; sent never exceeds received */
    uint64_t received, sent;
};

struct stranger {
    struct party party;
    struct ledger ledger;
    vtime_us heard;
    struct node age;
    uint32_t next_by_secret, next_by_source;
    struct wish wish;
    bool introduced;
    uint8_t share_count, link_count;
    uint16_t slot_size; /* the datagram of a Signal that waits for the echo; 0: none */
    struct share_public shares[SHARES_MAX];
    struct relay_token links[LINKS_MAX];
    uint8_t slot[SIGNAL_DATAGRAM_BYTES_MAX];
};

struct introduction_side {
    struct share_public share;
    uint32_t party; /* 0: gone */
    uint32_t next;  /* of the party's introductions */
    uint16_t bytes; /* of the datagrams from this side */
    uint8_t frames;
    bool prompted; /* PeerInfo was put in front of a Signal to it */
};

enum introduction_stage { STAGE_REPEAT_1, STAGE_REPEAT_2, STAGE_REPEAT_3, STAGE_UNANSWERED, STAGE_END, STAGES };

struct introduction {
    struct introduction_side side[2]; /* 0: the newcomer */
    vtime_us began, due;
    struct node stage_node;
    uint8_t stage;
    bool linked;
};

struct link_side {
    uint32_t registration; /* 0: not presented */
    uint32_t next;         /* of the registration's links */
    uint32_t name;
    bool may_tell;
};

struct link {
    uint8_t token[RELAY_TOKEN_BYTES];
    struct link_side side[2];
    uint32_t next_by_token;
    uint32_t credit_bytes;
    vtime_us credited;
    vtime_us touched; /* by a presentation or by use */
};

struct pair {             /* two registrations that are not to be introduced */
    uint64_t tag;         /* keyed hash of both handles; 0: free */
    bool strangers;       /* until they prove the contrary; else until every silent one of them has refreshed */
    bool silent[2];       /* by order of handle */
    uint8_t refreshes[2];
    uint8_t lost;         /* how often they proved it too late */
    uint32_t not_before_s; /* server_seconds; after such a proof */
};

struct failed { /* a source prefix in a room whose runs as a newcomer came to nothing */
    uint64_t tag;
    vtime_us newest, introduced;
    struct list waiting; /* registrations that are to be tried when the gap is over */
    struct node gap;
    uint32_t runs;
    bool in_gap; /* in server.gaps */
};

struct reservation {
    uint32_t number;
    uint32_t next;
    vtime_us until;
};

struct out {
    struct path path;
    uint16_t size;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
};

enum limit { LIMIT_STRANGERS, LIMIT_CONTROL, LIMIT_INTRODUCTIONS, LIMIT_RELAY, LIMITS };
struct limit_state {
    uint64_t counter; /* what a prefix may have had since the start */
    vtime_us grown;   /* when it did */
    uint32_t burst;   /* of a prefix */
    vtime_us total_until; /* what all together have used is paid for by then */
};
enum limit_verdict { LIMIT_OK, LIMIT_OVER_PART, LIMIT_OVER_TOTAL };

enum server_count {
    COUNT_RECEIVED,
    COUNT_RECEIVED_BYTES,
    COUNT_SENT,
    COUNT_SENT_BYTES,
    COUNT_DROPPED_QUEUE,
    COUNT_DROPPED_SOURCE,
    COUNT_PROBES,
    COUNT_PROBES_DROPPED,
    COUNT_DROPPED_KIND,
    COUNT_DROPPED_SECRET,
    COUNT_DROPPED_UNPADDED,
    COUNT_LEDGER_REFUSED,
    COUNT_REGISTERED,
    COUNT_RETRIES,
    COUNT_REFUSED_UNKNOWN,
    COUNT_REFUSED_ROOM_FULL,
    COUNT_REFUSED_BUSY,
    COUNT_REFUSED_CROWDED,
    COUNT_LAPSED,
    COUNT_DISPLACED,
    COUNT_INTRODUCED,
    COUNT_INTRODUCTIONS_LINKED,
    COUNT_INTRODUCTIONS_FULL,
    COUNT_INTRODUCTIONS_CUT,
    COUNT_SIGNALS,
    COUNT_SIGNALS_DROPPED,
    COUNT_LINKED,
    COUNT_RELAYED,
    COUNT_RELAYED_BYTES,
    COUNT_RELAY_OVER_QUOTA,
    COUNT_RETRIES_RATE,
    COUNT_REFUSED_RATE,
    COUNT_DROPPED_RATE,
    COUNT_DROPPED_INTRODUCTIONS_RATE,
    COUNT_DROPPED_RELAY_PART,
    COUNT_DROPPED_RELAY_TOTAL,
    COUNTS
};

struct tables { /* what lies in the block behind struct server */
    struct table registrations, strangers, introductions, links;
    struct chain_index registration_by_secret, registration_by_source, stranger_by_secret, stranger_by_source;
    struct chain_index link_by_token;
    struct share_public *shares; /* SHARES_MAX for each registration */
    struct list *rooms;          /* by hash of the number, oldest first; several numbers may share one */
    uint32_t rooms_mask;
    uint32_t *prefix_counts; /* registrations by hash of their source prefix */
    uint32_t prefix_mask;
    struct pair *pairs; /* PAIR_WAYS for each slot */
    uint32_t pairs_mask;
    uint64_t *limit_cells; /* LIMIT_CELLS for each limit */
    uint32_t *spent; /* server_seconds, by hash of a registration and somebody's source prefix */
    uint32_t spent_mask;
};

struct server {
    struct server_config config;
    struct rng rng;
    vtime_us started;
    uint8_t hash_key[16], cookie_key[2][16];
    vtime_us cookie_rotated;

    struct tables t;

    struct list leases, stranger_ages, stages[STAGES];
    struct list open[OPEN_NODES];
    uint32_t open_counts[OPEN_NODES];
    uint32_t open_total;
    uint32_t sequence;
    uint8_t bits_wanted, bits_before; /* before: what sufficed until the wanted grew */
    vtime_us bits_grace_until;

    struct failed failed[FAILED_SLOTS];
    struct list gaps; /* of failed[], in the order of `introduced`: all gaps are equally long */
    struct limit_state limits[LIMITS];
    struct reservation reserved[RESERVED_MAX];
    uint32_t reserved_heads[RESERVED_SLOTS];
    uint32_t reserved_next;

    bool down;
    uint32_t down_next; /* the registration that gets the next Leave */
    uint32_t out_first, out_count;
    struct out out[OUT_MAX];
    uint64_t counts[COUNTS];
    struct codec codec;
};

struct arrival { /* one datagram that came in */
    vtime_us now;
    struct path path;
    size_t size;
};

/* ---- core_table.c ---- */
/* Places the tables in a block that begins with a struct server; NULL: only measures. Returns the size. */
size_t tables_lay_out(struct tables *ret, uint8_t *block, const struct server_config *config);
uint64_t server_hash(const struct server *s, const void *bytes, size_t size);
uint64_t server_hash_source(const struct server *s, const struct addr *a);
uint32_t server_seconds(const struct server *s, vtime_us now); /* since the start, from 1 */

static inline struct registration *registration_at(const struct server *s, uint32_t id)
{
    return table_at(&s->t.registrations, id);
}
static inline bool is_stranger(const struct server *s, uint32_t id)
{
    return id > s->t.registrations.max;
}
static inline struct stranger *stranger_at(const struct server *s, uint32_t id)
{
    return table_at(&s->t.strangers, id - s->t.registrations.max);
}
static inline struct introduction *introduction_at(const struct server *s, uint32_t id)
{
    return table_at(&s->t.introductions, id);
}
static inline struct link *link_at(const struct server *s, uint32_t id)
{
    return table_at(&s->t.links, id);
}
static inline struct party *party_at(const struct server *s, uint32_t id)
{
    return is_stranger(s, id) ? &stranger_at(s, id)->party : &registration_at(s, id)->party;
}
static inline const struct addr *source_of(const struct server *s, uint32_t party)
{
    return &party_at(s, party)->path.from;
}
static inline struct share_public *shares_of(const struct server *s, uint32_t registration)
{
    return s->t.shares + (size_t)(registration - 1) * SHARES_MAX;
}

/* ---- core_send.c: everything that leaves goes through here ---- */
/* To a party: a stranger's ledger is asked. False: it did not fit. */
bool send_to(struct server *s, uint32_t party, const struct frame *f);
/* Would `size` bytes more fit a stranger's ledger? Always true for a registration. */
bool send_fits(const struct server *s, uint32_t party, size_t size);
/* To where a datagram came from, paid with that datagram alone. */
void send_reply(struct server *s, const struct arrival *in, const struct frame *f);
void send_registered(struct server *s, const struct arrival *in, uint32_t party, uint64_t token);
void send_refused(struct server *s, const struct arrival *in, uint64_t token, uint64_t proof, uint8_t code);
void send_refused_to(struct server *s, uint32_t party, uint64_t token, uint64_t proof, uint8_t code);
void send_refused_over_rate(struct server *s, const struct arrival *in, uint64_t token); /* REFUSED_BUSY */
size_t header_bytes(const struct addr *a);

/* ---- core_probe.c ---- */
void probe_answer(struct server *s, const struct arrival *in, const struct frame_probe *f);
/* How a packet would leave by another address and the other port than `from` came to. */
bool probe_other_address(const struct server *s, const struct path *from, struct path *ret);

/* ---- core_limit.c: what one source prefix may do; each call is one, and is counted ---- */
void limits_init(struct server *s, vtime_us now); /* fills in the configuration's defaults */
bool limit_stranger(struct server *s, vtime_us now, const struct addr *source); /* state before the cookie */
/* The next three: for sources that are real. */
bool limit_control(struct server *s, vtime_us now, const struct addr *source);
bool limit_introduction(struct server *s, vtime_us now, const struct addr *newcomer);
bool limit_introduction_is_left(struct server *s, vtime_us now, const struct addr *newcomer); /* takes none */
enum limit_verdict limit_relay(struct server *s, vtime_us now, const struct addr *source, size_t bytes);

/* ---- core_cookie.c ---- */
void cookie_make(struct server *s, vtime_us now, const struct addr *source, uint8_t ret[static COOKIE_BYTES]);
bool cookie_is_valid(struct server *s, vtime_us now, const struct addr *source, const uint8_t *cookie, size_t size);

/* ---- core_gate.c: Register ---- */
void gate_register(struct server *s, const struct arrival *in, const struct frame_register *f);
/* Who sent a frame with this secret from there: a registration. 0: nobody; what had to be answered is. */
uint32_t gate_authenticate(struct server *s, const struct arrival *in, const uint8_t secret[static SECRET_BYTES],
                           bool answer_unknown);

/* ---- core_registry.c: registrations and strangers ---- */
uint32_t party_by_secret(const struct server *s, const uint8_t secret[static SECRET_BYTES]);
uint32_t registration_by_source(const struct server *s, const struct addr *source);
uint32_t stranger_by_source(const struct server *s, const struct addr *source);
/* In the whole table; more when another prefix has the same hash. */
uint32_t registrations_of_prefix(const struct server *s, const struct addr *source);
/* A registration with p's names at w; 0 and *ret_code when there is no place for it. */
uint32_t registration_add(struct server *s, vtime_us now, const struct party *p, const struct wish *w,
                          uint8_t *ret_code);
void registration_remove(struct server *s, vtime_us now, uint32_t id);
void registration_refresh(struct server *s, vtime_us now, uint32_t id);
void registration_set_path(struct server *s, vtime_us now, uint32_t id, const struct path *path);
/* The new stock, but for shares that an introduction has used. */
void registration_stock(struct server *s, uint32_t id, const struct share_public *shares, uint8_t count);
/* In its stock, or used by an introduction that is remembered. */
bool registration_has_share(const struct server *s, uint32_t id, const struct share_public *shares, uint8_t count);
void registrations_run(struct server *s, vtime_us now);
uint32_t stranger_add(struct server *s, const struct arrival *in); /* 0: the table is full */
/* A Register came from it: counts for its ledger and lets it live on. */
void stranger_heard(struct server *s, const struct arrival *in, uint32_t id);
void stranger_remove(struct server *s, uint32_t id);
void strangers_run(struct server *s, vtime_us now);
void party_name(struct server *s, struct party *p); /* a fresh handle and secret */

/* ---- core_prefix.c: what one subscriber gets, an IPv4 address or an IPv6 /56 ---- */
uint64_t server_hash_prefix(const struct server *s, const struct addr *a, uint32_t salt);
bool same_prefix(const struct addr *a, const struct addr *b);

struct prefix {
    const struct addr *source; /* one of it; NULL: free */
    uint16_t all, seen;        /* registrations in the place; so far, as the caller counts */
};
struct crowd_member {
    uint32_t id;
    struct prefix *prefix;
};
struct crowd { /* some of a place. It is large: of its arrays only what is needed is touched */
    uint32_t count, mask;
    struct crowd_member members[WALK_MAX];
    struct prefix prefixes[2 * WALK_MAX]; /* by hash, up to mask */
};
void crowd_count(const struct server *s, struct crowd *c); /* `count` and the members' ids are given */
/* One that nobody there has may be asked for once. */
struct prefix *crowd_prefix(const struct server *s, struct crowd *c, const struct addr *source);

/* ---- core_place.c: rooms, buckets, numbers ---- */
/* May a newcomer from `source` join w (where `except` does not count)? If so, *ret_gives_way (0: nobody) has to
 * go first; if not, *ret_code says why. */
bool place_has_room(const struct server *s, const struct wish *w, const struct addr *source, uint32_t except,
                    uint32_t *ret_gives_way, uint8_t *ret_code);
void place_displace(struct server *s, vtime_us now, uint32_t registration); /* 0: nobody */
void place_join(struct server *s, vtime_us now, uint32_t registration, const struct wish *w);
void place_leave(struct server *s, vtime_us now, uint32_t registration);
bool place_same(const struct wish *a, const struct wish *b);
/* A walk over the registrations with which one at w is to be introduced. */
struct place_walk {
    struct wish wish;
    uint8_t bits;
    uint32_t node, first, level_end; /* of the open form's tree */
    uint32_t id, steps;
};
struct place_walk place_walk(const struct server *s, vtime_us now, const struct wish *w);
uint32_t place_walk_next(const struct server *s, struct place_walk *k); /* 0: that was all */
uint8_t place_bits_for(uint32_t registrations);                         /* wanted with so many in the open form */
uint8_t place_bits_matched(const struct server *s, vtime_us now);
uint32_t place_free_number(struct server *s, vtime_us now); /* 0: none found */
void place_reserve(struct server *s, vtime_us now, uint32_t number);

/* ---- core_choose.c ---- */
void introduce_registration(struct server *s, vtime_us now, uint32_t id);

/* ---- core_introduce.c ---- */
bool is_open_to_more(const struct server *s, uint32_t party);
uint8_t *share_count(const struct server *s, uint32_t party);
uint32_t introduction_between(const struct server *s, uint32_t a, uint32_t b); /* 0: none */
bool introduction_begin(struct server *s, vtime_us now, uint32_t newcomer, uint32_t waiter); /* false: no room */
void introduce_stranger(struct server *s, vtime_us now, uint32_t id);
bool introduction_used_share(const struct server *s, uint32_t party, const uint8_t point[static 32]);
void introductions_forget(struct server *s, uint32_t party); /* the party is going */
void introductions_rename(struct server *s, uint32_t from, uint32_t to);
/* A link was made. False: they are not being introduced. */
bool introductions_confirm(struct server *s, vtime_us now, uint32_t a, uint32_t b);
void introductions_run(struct server *s, vtime_us now);
vtime_us introductions_deadline(const struct server *s);
int introduction_side_of(const struct introduction *i, uint32_t party);
uint32_t introduction_next(const struct server *s, uint32_t introduction, uint32_t party); /* of the party's */
/* To one side. `reserve`: what a stranger's ledger must have left afterwards. */
void introduction_send_peer_info(struct server *s, const struct introduction *i, int side, size_t reserve);

/* ---- core_signal.c ---- */
void signal_forward(struct server *s, uint32_t sender, const struct frame_signal *f);
/* What waited for the echo; call when the stranger has become a registration and knows it. */
void signal_deliver_slot(struct server *s, uint32_t registration, const uint8_t *datagram, size_t size);

/* ---- core_memory.c: what is remembered of failed introductions ---- */
void pair_remember(struct server *s, uint32_t a, uint32_t b, bool silent_a, bool silent_b);
/* Both have shown that they have the same keyword: in time for their introduction, or when it was over. */
void pair_proven(struct server *s, vtime_us now, uint32_t a, uint32_t b, bool in_time);
bool pair_is_blocked(const struct server *s, vtime_us now, uint32_t a, uint32_t b);
void failed_remember(struct server *s, vtime_us now, uint32_t newcomer);
bool failed_is_known(const struct server *s, vtime_us now, uint32_t newcomer);
/* True: not now; introduce_registration is called for it when its turn has come. */
bool failed_must_wait(struct server *s, vtime_us now, uint32_t newcomer);
void failed_introduced(struct server *s, vtime_us now, uint32_t newcomer);
void failed_forget(struct server *s, uint32_t registration); /* it goes, or its prefix or place changes */
void failed_run(struct server *s, vtime_us now);
vtime_us failed_deadline(const struct server *s);

/* How many shares the registration has spent lately on this source prefix without a link. */
uint32_t spent_on(const struct server *s, vtime_us now, uint32_t registration, const struct addr *source);
void spent_add(struct server *s, vtime_us now, uint32_t registration, const struct addr *source);
void spent_forgive(struct server *s, vtime_us now, uint32_t registration, const struct addr *source); /* a link */

/* ---- core_link.c: links and the relay ---- */
void link_present(struct server *s, vtime_us now, uint32_t registration, const struct relay_token *t, bool answer);
bool link_exists(const struct server *s, uint32_t a, uint32_t b);
void links_forget(struct server *s, uint32_t registration);
/* A Register lists all sessions that its sender has: presentations of others are withdrawn. */
void links_keep(struct server *s, uint32_t registration, const struct relay_token *listed, uint8_t count);
void links_tell_moved(struct server *s, uint32_t registration);
void relay_forward(struct server *s, const struct arrival *in, uint32_t sender, const struct frame_relay *f);
#endif
