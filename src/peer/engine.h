/* engine.h: one person's end of a chat: rendezvous, introductions, sessions, paths, messages.
 *
 * Pure (docs/protocol.md is what it does): owns no socket, reads no clock, draws no entropy, logs
 * nothing, allocates nothing after engine_init. The caller owns the memory and everything else:
 *
 *     engine_init(e, &config, seed, now)                   once
 *     engine_input(e, now, socket, local, from, at, size)  for every datagram that arrives
 *     engine_command(e, now, &command)                     what the user wants, what the shell saw
 *     while (engine_poll(e, now, &out)) carry out `out`    after each of the above, and when
 *     engine_deadline(e)                                   has come (an early poll is harmless)
 *
 * None of them can fail for the caller. Bad datagrams are dropped and counted; what the user should
 * know comes out as events. */
#ifndef PEER_ENGINE_H
#define PEER_ENGINE_H
#include "wire/addr.h"
#include "wire/codec.h"
#include "wire/keyword.h"
#include "wire/limits.h"
#include "wire/vtime.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;

enum relay_policy {
    RELAY_AUTO,  /* direct if possible, else relayed */
    RELAY_NEVER, /* introduction only; text waits for a direct path */
    RELAY_ONLY,  /* no candidates are sent, nothing is probed: members don't learn our address */
};

struct engine_config {
    struct keyword keyword; /* KEYWORD_NEW: the engine makes the words, EVENT_KEYWORD tells them */
    enum relay_policy relay;
    uint8_t name_size; /* 0: none; the other side then shows "peer N" */
    uint8_t name[NAME_BYTES_MAX];
    vtime_us wait_us; /* --wait; 0: for ever */
};

/* ---- sockets: the engine names them, the shell holds them ---- */
enum { ENGINE_SOCKET_V4 = 0, ENGINE_SOCKET_V6 = 1, ENGINE_SOCKETS_MAX = 300 /* 2, 257 for a try, 16 pings, 4 questions, one for each of 15 paths */ };
enum { ENGINE_INTERFACES_MAX = 16, ENGINE_SERVER_ADDRS_MAX = 8 };

/* ---- commands ---- */
enum engine_command_kind {
    COMMAND_SEND,           /* a message: id, to, text */
    COMMAND_NAME,           /* change the own name: text */
    COMMAND_IGNORE,         /* show nothing more of `peer`, who is not told: what it says counts as written */
    COMMAND_FINISH,         /* end of input: EVENT_END when all is delivered, or at --wait */
    COMMAND_QUIT,           /* now: say goodbye, fail what is undelivered, EVENT_END */
    COMMAND_WRITTEN,        /* the message of EVENT_MESSAGE (peer, number) is on its output: receipt and credit */
    COMMAND_SERVER_ADDRS,   /* the server's name has been resolved: addrs (v4 and v6 with port) */
    COMMAND_SERVER_UNKNOWN, /* ... could not be resolved: text says why */
    COMMAND_SOCKET_OPENED,  /* socket, addr: its local address with port */
    COMMAND_SOCKET_FAILED,  /* socket */
    COMMAND_SEND_FAILED,    /* socket, addr, text: the system refused a datagram for good (no route, not permitted) */
    COMMAND_INTERFACES,     /* addrs, prefixes: the machine's addresses (port 0), loopback left out */
    COMMAND_ENTROPY,        /* entropy: 32 fresh bytes; every minute and after a sleep */
};

struct engine_command {
    enum engine_command_kind kind;
    uint64_t id;         /* SEND: the caller's, 1..MESSAGE_ID_MAX, or 0: the engine assigns one */
    uint32_t to;         /* SEND: a peer, or 0: everybody */
    uint32_t peer;       /* IGNORE, WRITTEN */
    uint64_t number;     /* WRITTEN */
    const uint8_t *text; /* SEND, NAME, *_FAILED: not kept; need not be terminated */
    size_t text_size;
    uint16_t socket;
    struct addr addr;
    const struct addr *addrs;
    size_t addr_count;
    const uint8_t *prefixes; /* INTERFACES: lengths of the subnets' prefixes; NULL: 24 and 64 */
    const uint8_t *entropy;
};

/* ---- what to do ---- */
enum engine_event_kind {
    EVENT_KEYWORD,     /* text: the keyword that --new made */
    EVENT_REGISTERED,  /* addr: observed */
    EVENT_SERVER_LOST, /* text: reason */
    EVENT_NAT,         /* mapping, filtering, ports */
    EVENT_PEER,        /* peer, name: a session is confirmed */
    EVENT_NAME,        /* peer, name */
    EVENT_PEER_LEFT,   /* peer, name, text: "quit" or "timeout" */
    EVENT_PATH,        /* peer, path, addr, rtt_us, text: reason */
    EVENT_MESSAGE,     /* peer, name, id (the sender's), number, text: answer with COMMAND_WRITTEN */
    EVENT_SENT,        /* id, peers[]: accepted, for these */
    EVENT_DELIVERED,   /* id, peer */
    EVENT_FAILED,      /* id, peer (0: nobody ever came), text: reason */
    EVENT_WARNING,     /* code, text */
    EVENT_ERROR,       /* code, text */
    EVENT_END,         /* status: nothing comes after it */
};

enum engine_path { PATH_NONE, PATH_RELAY, PATH_DIRECT, PATH_LAN };

#define RTT_UNKNOWN UINT32_MAX

struct engine_event {
    enum engine_event_kind kind;
    uint32_t peer;
    uint64_t id, number;
    const char *code; /* static: "weak-keyword", ... */
    const char *text; /* terminated, or see text_size for EVENT_MESSAGE; valid until the next call */
    size_t text_size;
    const char *name; /* terminated; "peer N" if the peer gave none */
    struct addr addr;
    enum engine_path path;
    uint32_t rtt_us; /* RTT_UNKNOWN */
    uint8_t mapping, filtering, ports;
    uint8_t peer_count;
    uint32_t peers[PEERS_MAX];
    int status;
};

enum engine_out_kind { OUT_SEND, OUT_OPEN, OUT_CLOSE, OUT_EVENT };

struct engine_out {
    enum engine_out_kind kind;
    uint16_t socket;      /* SEND, OPEN, CLOSE */
    uint8_t family;       /* OPEN: enum addr_family; any port */
    struct addr to;       /* SEND */
    uint8_t ttl;          /* SEND: 0: the system's */
    const uint8_t *bytes; /* SEND: valid until the next call */
    size_t size;
    struct engine_event event;
};

/* ---- the five functions ---- */
size_t engine_size(void); /* bytes that the caller sets aside, aligned as for malloc; zeroed */
void engine_init(struct engine *e, const struct engine_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                 vtime_us now);
void engine_input(struct engine *e, vtime_us now, uint16_t socket, const struct addr *local, const struct addr *from,
                  const uint8_t *at, size_t size);
void engine_command(struct engine *e, vtime_us now, const struct engine_command *command);
bool engine_poll(struct engine *e, vtime_us now, struct engine_out *ret);
vtime_us engine_deadline(const struct engine *e);

/* ---- looking in: change nothing ---- */
struct engine_peer {
    uint32_t peer;
    const char *name;
    enum engine_path path;
    struct addr addr;   /* of the path */
    uint32_t rtt_us;    /* RTT_UNKNOWN */
    uint32_t waiting;   /* our messages that it has not acknowledged */
    const char *reason; /* why the path is what it is */
};
/* Fills up to cap; returns how many there are. */
size_t engine_peers(const struct engine *e, struct engine_peer *ret, size_t cap);
/* Four words, NULL if there is no such peer. */
bool engine_verify(const struct engine *e, uint32_t peer, const char *ret_words[static 4]);
/* May a message of so many bytes be sent now, or is the mailbox full? */
bool engine_has_room(const struct engine *e, size_t text_size);

/* Counters since the start, for stats: names and values, in a fixed order. */
struct engine_stat {
    const char *name;
    uint64_t value;
};
enum { ENGINE_STATS_MAX = 40 };
size_t engine_stats(const struct engine *e, struct engine_stat ret[static ENGINE_STATS_MAX]);
/* How many messages are not delivered to everybody yet. */
size_t engine_undelivered(const struct engine *e);
#endif
