/* internal.h: the engine's insides, shared by the files of src/peer/ and nobody else.
 *
 * Every timer, in one sentence each (times in limits.h):
 *   register     rendezvous: until answered every 0.5 s, after 15 s with growing gaps; then the refresh
 *   outside      ask for our address of the other family, as often as the refresh
 *   classify     ask the server what kind of NAT we are behind, when nothing else is at hand
 *   unreachable  rendezvous: say that the server does not answer
 *   again        ask to be introduced once more to whom a run was lost with
 *   stock        a share of the guess budget comes back
 *   run          an introduction that does not confirm ends after RUN_US
 *   linger       what was said to nobody goes to whoever is confirmed until LINGER_US after the first
 *   ack, loss, pto, pace   session: RFC 9002
 *   link         session: ask the server for the relay until it links
 *   path         each path: its next question, its expiry (path.h)
 *   repunch      session: try for a direct path again while relayed
 *   attempt      session: the next try on ports that have to be predicted, guessed, or fresh (hard.c has its own)
 *   silence      session: gone after PEER_TIMEOUT_US while the server answers
 *   starved      session: gives no credit for STARVED_US while somebody else is there
 *   held up      session: our store is full, and in STARVED_US it takes next to nothing of it
 *   finish       what is owed at the end is not waited for longer than 3 PTO
 *   wait         --wait */
#ifndef PEER_INTERNAL_H
#define PEER_INTERNAL_H
#include "peer/engine.h"
#include "peer/ghosts.h"
#include "peer/hard.h"
#include "peer/inbox.h"
#include "peer/mailbox.h"
#include "peer/nat.h"
#include "peer/path.h"
#include "peer/received.h"
#include "peer/recovery.h"
#include "peer/stock.h"
#include "wire/rng.h"
#include "wire/seal.h"

enum {
    PEER_SLOTS = MAILBOX_SLOTS,
    EVENTS_MAX = 128,
    EVENT_TEXT_MAX = 320, /* a reason: two NATs, a name, a sentence */
    REQUESTS_MAX = 8,
    AGAIN_MAX = ROOM_PEOPLE_MAX, /* a full room refuses the newcomer so often at once */
};

enum peer_state {
    PEER_FREE,
    PEER_RUN,     /* introduced; nothing of the other has opened yet */
    PEER_LIVE,    /* confirmed */
    PEER_LEAVING, /* over; its last messages and the failures of ours are still to be told */
};

struct introduction { /* as the server knows it */
    uint64_t handle;
    uint8_t own_point[CPACE_POINT_BYTES], their_point[CPACE_POINT_BYTES];
};

struct peer {
    enum peer_state state;
    uint8_t slot;
    uint32_t number; /* 0 until it is live */
    bool told;       /* EVENT_PEER is out */
    bool ignored;
    vtime_us since; /* start of the run, or of the newest one that gave way to it */
    vtime_us heard_at;
    const char *left_reason;

    /* the run */
    struct share_secret own;
    struct share_public theirs;
    uint64_t order;           /* of all runs of this process */
    struct introduction via; /* for Signals */
    struct frame_envelope envelope; /* theirs, the first that opened */
    uint8_t run_id[CPACE_SID_BYTES];
    bool counted_wrong, counted_right;
    bool refuses; /* a room is full, ours or theirs: no session comes of it, and its packets say so */

    /* the session */
    struct seal seal;
    struct frame_offer offer; /* generation 0: none yet */
    char name[NAME_BYTES_MAX + 1];
    bool envelope_acked;
    uint8_t due;         /* CARRIED_*: to be sent */
    unsigned probes;     /* packets that may go out beyond the window */
    vtime_us stalled_at; /* no sooner is the path suspected again because its oldest packet is unanswered */
    vtime_us hold_until; /* small things wait so long for the direct path */
    struct recovery recovery;
    struct received received;
    struct outbox outbox;
    uint64_t their_receipt; /* how many of ours they have written */
    struct inbox inbox;
    struct shown shown; /* while it may not know that we are there, or another run may take the place of this */
    struct shown skip;  /* what an earlier session with the same process has shown */
    uint64_t limit_sent;
    vtime_us starved_since; /* our messages wait for its credit; VTIME_NEVER: they do not */
    vtime_us held_up_since; /* our store is full and waits for it; VTIME_NEVER: it does not */
    uint64_t due_messages, due_bytes; /* of its stream: one of them is to be receipted STARVED_US after that */

    /* the relay */
    uint32_t link; /* 0: not linked */
    bool link_wanted;
    uint8_t link_tries;
    vtime_us link_at;                     /* when to ask (again) */
    uint32_t signal_frames, signal_bytes; /* spent of the signalling budget */

    /* the paths */
    struct path paths[PATHS_MAX];
    int chosen;        /* index, or -1: none */
    uint64_t newest;   /* highest packet number seen + 1 */
    vtime_us paths_at; /* so many new addresses have been tried: before this the next are on credit */
    vtime_us questions_at; /* the same of questions to those who have never answered */
    vtime_us repunch_at;
    uint8_t repunch_tries;
    char path_reason[EVENT_TEXT_MAX];
    uint32_t offer_sent; /* generation */
    unsigned goodbyes;

    /* meeting on ports that no candidate names */
    struct addr witnessed; /* where the server sees it; ADDR_NONE: it has not said so */
    uint32_t attempt;      /* the last try that either end has begun; 0: none */
    uint8_t attempts_failed;
    vtime_us attempt_at;         /* no try before */
    struct frame_aim aim;        /* what we tell of ours */
    struct frame_aim their_aim;  /* what it tells, if it has not been followed yet; attempt 0: none */
    vtime_us their_aim_at;
    vtime_us openings_at; /* so many tries have been opened for it: before this the next are on credit */
    bool spares;     /* its router is to be spared */
    bool tries_told; /* the outlook is out */
};

struct request { /* a Register that went out */
    uint64_t token;
    vtime_us sent_at;
    uint32_t secret; /* which of our secrets it carried, counted from 1; 0: none */
};

struct rendezvous {
    struct addr addrs[ENGINE_SERVER_ADDRS_MAX];
    size_t addr_count, current;
    bool registered; /* the server knows us as far as we know */
    bool echoed;     /* for this secret */
    bool ever_registered, lost_told;
    uint8_t refusal_told; /* REFUSED_*; 0: none */
    unsigned at_once;     /* Registers without a pause between them */
    bool has_secret;
    uint8_t secret[SECRET_BYTES];
    uint64_t proof;
    uint8_t cookie[COOKIE_BYTES_MAX];
    uint8_t cookie_size;
    uint8_t bits; /* prefix bits that we give */
    struct addr observed;
    struct request requests[REQUESTS_MAX];
    unsigned request_next;
    uint32_t secret_count; /* of secrets that we have had */
    vtime_us register_at, gap_us;
    vtime_us refreshed_at;     /* the last Register */
    vtime_us unanswered_since; /* VTIME_NEVER: all is answered */
    unsigned unanswered;
    vtime_us back_at; /* when it last began to answer after a silence */
    uint32_t rtt_us;
    bool leave_due;
    char trouble[80]; /* why it cannot be reached, if the shell knows */
};

struct unwritten { /* what a session that is over has shown, and the program has not written out yet */
    uint32_t peer; /* 0: none */
    uint64_t number;
};

struct again { /* a run that is over, whose relay token the server is shown */
    struct relay_token token;
    vtime_us until; /* 0: none */
    vtime_us link_at, gap_us;
};

struct outside {          /* of the family that we are not registered with */
    struct addr observed; /* ADDR_NONE: not known */
    uint64_t token;       /* of the open question; 0: none */
    unsigned unanswered;
    vtime_us ask_at;
};

enum socket_use { SOCKET_FREE, SOCKET_MAIN, SOCKET_QUESTION, SOCKET_PUNCH, SOCKET_PING };

struct engine_socket {
    uint8_t use; /* enum socket_use */
    bool asked, open, failed, closing;
    uint8_t family;
    struct addr local;
};

/* classify.c: the order is that in which they are asked */
enum classify_what {
    CLASSIFY_OTHER_PORT,
    CLASSIFY_OTHER_ADDRESS,
    CLASSIFY_FRESH_FIRST,
    CLASSIFY_FRESH_LAST = CLASSIFY_FRESH_FIRST + 3,
    CLASSIFY_FILTER_PORT,
    CLASSIFY_FILTER_ADDRESS,
    CLASSIFY_QUESTIONS
};

struct question {
    bool wanted, answered;
    uint16_t socket;
    struct addr to;
    uint8_t from; /* PROBE_FROM_* */
    uint64_t token;
    struct addr observed;
};

enum classify_stage { CLASSIFY_WAITING, CLASSIFY_ASKING, CLASSIFY_DONE };

struct classify {
    enum classify_stage stage;
    struct addr alternate; /* as the server says it: port 0: none; ADDR_NONE with a port: the same address */
    vtime_us ready_at;     /* 0: not registered yet */
    vtime_us busy_until;   /* somebody has just been met */
    struct question questions[CLASSIFY_QUESTIONS];
    unsigned round, next, failures;
    vtime_us again_at;
};

struct queued_event {
    struct engine_event event;
    char name[NAME_BYTES_MAX + 1];
    char text[EVENT_TEXT_MAX];
};

enum engine_phase { PHASE_RUNNING, PHASE_GOODBYE, PHASE_ENDED };

struct engine {
    struct engine_config config;
    struct rng rng;
    struct codec codec;
    vtime_us now; /* of the last call */

    struct engine_socket sockets[ENGINE_SOCKETS_MAX];
    unsigned pool_work; /* sockets that the shell has to open or close */
    bool pool_stale;    /* a path that had a socket of its own is gone */
    struct addr interfaces[ENGINE_INTERFACES_MAX];
    uint8_t prefixes[ENGINE_INTERFACES_MAX];
    size_t interface_count;

    struct keyword keyword;
    struct rendezvous rv;
    struct outside outside;
    struct classify classify;
    struct nat_class nat; /* ours */
    struct hard hard;
    struct stock stock;
    struct frame_offer offer; /* our own */

    struct peer peers[PEER_SLOTS];
    unsigned live;
    uint32_t next_number;
    bool ever_peer;
    vtime_us first_peer_at;          /* start of the linger; VTIME_NEVER */
    bool lingering;                  /* there are open letters and the linger runs */
    struct ghost spoken[GHOSTS_MAX]; /* our runs that carried text and did not confirm */
    struct ghost heard[GHOSTS_MAX];  /* sessions that ended before the other knew of us */
    struct unwritten unwritten[GHOSTS_MAX];
    unsigned unwritten_next;
    struct again again[AGAIN_MAX];
    unsigned wrong_count;
    bool room_full_told;
    bool strangers_told;

    struct mailbox mailbox;

    enum engine_phase phase;
    bool finishing;
    vtime_us finish_since, owed_until, alone_since;
    bool waited_out;
    uint64_t kept_from_somebody; /* letters that at the end somebody present had not got */

    struct queued_event events[EVENTS_MAX];
    unsigned event_first, event_count;
    uint8_t text[TEXT_BYTES_MAX + 1];
    uint8_t datagram[DATAGRAM_BYTES_MAX];

    struct {
        uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out, dropped;
        uint64_t introductions, confirmed, wrong, silent, reflected;
        uint64_t messages_in, messages_out, packets_lost, events_dropped, forged, replayed;
        uint64_t registers, server_frames_refused;
        uint64_t attempts, probes;
    } count;
};

struct peer_context {
    struct engine *engine;
    struct peer *peer;
}; /* for session_fate */

/* ---- events.c ---- */
struct queued_event *events_add(struct engine *e, enum engine_event_kind kind);
void events_note(struct engine *e, enum engine_event_kind kind, const char *code, const char *text);
void events_peer(struct engine *e, enum engine_event_kind kind, const struct peer *p);
bool events_poll(struct engine *e, struct engine_out *ret);

/* ---- rendezvous.c: the client's side of docs/protocol.md s4 ---- */
void rendezvous_init(struct engine *e, vtime_us now);
void rendezvous_registered(struct engine *e, vtime_us now, const struct frame_registered *f);
void rendezvous_retry(struct engine *e, vtime_us now, const struct frame_retry *f);
void rendezvous_refused(struct engine *e, vtime_us now, const struct frame_refused *f);
void rendezvous_server_leaves(struct engine *e, vtime_us now);
void rendezvous_soon(struct engine *e, vtime_us at); /* refresh no later than that */
bool rendezvous_poll(struct engine *e, vtime_us now, struct engine_out *ret);
bool rendezvous_leave(struct engine *e, struct engine_out *ret);
vtime_us rendezvous_deadline(const struct engine *e);
bool rendezvous_from_server(const struct engine *e, const struct addr *from);
bool rendezvous_answers(const struct engine *e, vtime_us now);
const struct addr *rendezvous_addr(const struct engine *e);
uint16_t rendezvous_socket(const struct engine *e);
void rendezvous_addrs(struct engine *e, vtime_us now, const struct addr *addrs, size_t count);

/* ---- outside.c ---- */
bool outside_poll(struct engine *e, vtime_us now, struct engine_out *ret);
bool outside_probed(struct engine *e, vtime_us now, const struct addr *from, const struct frame_probed *f);
vtime_us outside_deadline(const struct engine *e);

/* ---- pool.c ---- */
/* 0: none is free. It may be used when pool_is_open says so. */
uint16_t pool_take(struct engine *e, uint8_t family, enum socket_use use);
void pool_give(struct engine *e, uint16_t socket); /* harmless for those that are not taken */
/* The shell's answer; local NULL: it could not be opened. */
void pool_opened(struct engine *e, uint16_t socket, const struct addr *local);
bool pool_is_open(const struct engine *e, uint16_t socket);
bool pool_poll(struct engine *e, struct engine_out *ret);

/* ---- classify.c ---- */
void classify_registered(struct engine *e, vtime_us now, const struct frame_registered *f, bool moved);
void classify_met(struct engine *e, vtime_us now); /* somebody, directly */
void classify_forget(struct engine *e); /* what has been found out stays until something else is */
bool classify_probed(struct engine *e, const struct addr *from, const struct frame_probed *f);
bool classify_poll(struct engine *e, vtime_us now, struct engine_out *ret);
vtime_us classify_deadline(const struct engine *e);
/* The server's address that questions go to, and how it sees our main socket of that family; NULL: not known yet. */
const struct addr *classify_base(const struct engine *e);
const struct addr *classify_observed(const struct engine *e);

/* ---- introduce.c: runs ---- */
void introduce_peer_info(struct engine *e, vtime_us now, const struct frame_peer_info *f);
/* The run or session that a Signal belongs to; NULL: none. */
struct peer *introduce_find(struct engine *e, const uint8_t point[static 32]);
/* Does the Signal come by p's own introduction, so that what does not open in it is a wrong guess? */
bool introduce_is_own(const struct peer *p, const uint8_t point[static 32]);
void introduce_wrong(struct engine *e, struct peer *p);
/* A packet with an Envelope opened in a run; true if the session is live now. Else the run is over, or it goes on
 * without becoming a session (p->refuses) until both ends know. */
bool introduce_confirm(struct engine *e, vtime_us now, struct peer *p, const struct frame_envelope *f);
/* The other end says that its room is full. */
void introduce_room_full(struct engine *e);
/* The run is at its end without a session. */
void introduce_end(struct engine *e, vtime_us now, struct peer *p);

/* ---- again.c: whom to be introduced to once more ---- */
void again_add(struct engine *e, vtime_us now, const struct seal *seal);
void again_forget(struct engine *e); /* the registration is gone: everybody is new to the next one */
void again_list(const struct engine *e, struct frame_register *f);
void again_linked(struct engine *e, const uint8_t token[static RELAY_TOKEN_BYTES]);
bool again_poll(struct engine *e, vtime_us now, struct engine_out *ret);
vtime_us again_deadline(const struct engine *e);

/* ---- same.c: the same two processes in more than one run ---- */
void same_envelope(const struct engine *e, const struct peer *p, struct frame_envelope *ret);
/* p is about to be confirmed by f. False: another run or session with the same process goes on in its place. */
bool same_confirm(struct engine *e, struct peer *p, const struct frame_envelope *f);

/* ---- session.c, packet.c: one peer ---- */
void session_sealed(struct engine *e, vtime_us now, const struct frame_sealed *f, uint16_t socket,
                    const struct addr *from /* NULL: by relay */, struct peer *expected);
bool packet_poll(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret);
vtime_us packet_deadline(const struct engine *e, const struct peer *p, vtime_us now);
/* A question from any of our sockets to any address, in a packet of p's session. ttl 0: the system's. */
bool packet_punch(struct engine *e, vtime_us now, struct peer *p, uint16_t socket, const struct addr *to, uint8_t ttl,
                  const struct frame_punch *f, struct engine_out *ret);
bool packet_goodbye(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret);
bool session_fate(void *context, const struct sent_packet *s, enum packet_fate fate);
void session_timers(struct engine *e, vtime_us now, struct peer *p);
vtime_us session_deadline(const struct engine *e, const struct peer *p);
/* The peer broke the protocol: it is told so to the user, and gone. */
void session_break(struct engine *e, struct peer *p);
void session_leave(struct engine *e, struct peer *p, const char *reason);
void session_free(struct engine *e, struct peer *p);
/* Shows the server this side of a relay token. */
bool session_link(struct engine *e, const struct relay_token *token, struct engine_out *ret);
bool session_link_poll(struct engine *e, vtime_us now, struct peer *p, struct engine_out *ret);
void session_linked(struct engine *e, const struct frame_linked *f);
void session_want_link(struct peer *p, vtime_us at);
void session_unlink_all(struct engine *e);
/* One of the two wants no relay. */
bool relay_is_refused(const struct engine *e, const struct peer *p);
bool relay_is_ready(const struct engine *e, const struct peer *p, vtime_us now);

/* ---- checks.c: candidates and paths ---- */
void checks_own_offer(struct engine *e); /* our candidates or name may have changed */
void checks_offer(struct engine *e, vtime_us now, struct peer *p);
int checks_path(struct engine *e, vtime_us now, struct peer *p, uint16_t socket, const struct addr *from);
void checks_punch(struct engine *e, vtime_us now, struct peer *p, int path, const struct frame_punch *f);
void checks_timers(struct engine *e, vtime_us now, struct peer *p);
vtime_us checks_deadline(const struct engine *e, const struct peer *p);
bool checks_pending(const struct engine *e, const struct peer *p, vtime_us now, int *ret_path);
/* The challenge that is due over path i, which is thereby asked; 0: none. */
uint64_t checks_question(struct engine *e, vtime_us now, struct peer *p, int i);
void checks_init(struct engine *e, struct peer *p, vtime_us now);
void checks_tell(struct engine *e, struct peer *p, const char *outcome);
void checks_choose(struct engine *e, vtime_us now, struct peer *p, const char *reason);

/* ---- delivery.c: letters, receipts, the end ---- */
void delivery_send(struct engine *e, vtime_us now, const struct engine_command *c);
void delivery_open_letters(struct engine *e, struct peer *p);
void delivery_confirmed(struct engine *e, vtime_us now, struct peer *p);
bool delivery_poll(struct engine *e, vtime_us now, struct engine_out *ret);
void delivery_timers(struct engine *e, vtime_us now);
vtime_us delivery_deadline(const struct engine *e);
void delivery_end(struct engine *e, vtime_us now);
bool delivery_goodbye_poll(struct engine *e, vtime_us now, struct engine_out *ret);

/* ---- engine.c ---- */
void engine_wipe(struct engine *e); /* keyword, keys and secrets, at the end */
bool engine_out_datagram(struct engine *e, struct engine_out *ret, uint16_t socket, const struct addr *to, size_t size);
#endif
