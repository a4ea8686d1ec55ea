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

/* p2p.h from here */
struct engine; /* engine_size() bytes, about which nothing else is to be known */

enum relay_policy {
    RELAY_AUTO,  /* direct if possible, else relayed */
    RELAY_NEVER, /* introduction only; text waits for a direct path */
    RELAY_ONLY,  /* no candidates are sent, nothing is probed: members don't learn our address */
};

/* Copied by engine_init. */
struct engine_config {
    struct keyword keyword; /* KEYWORD_NEW: the engine makes the words, EVENT_KEYWORD tells them */
    enum relay_policy relay;
    uint8_t name_size; /* bytes; 0: none; the other side then shows "peer N" */
    uint8_t name[NAME_BYTES_MAX]; /* UTF-8 without control characters, not terminated */
    vtime_us wait_us; /* EVENT_END after so long in a row without anybody, or after COMMAND_FINISH; 0: never */
};

/* ---- sockets: the engine names them, the shell holds them ----
 * UDP, of one family each. The first two are asked for at once, the others come and go with the tries to get through
 * hard NATs. Numbers below ENGINE_SOCKETS_MAX; one that was closed may be asked for again. */
enum { ENGINE_SOCKET_V4 = 0, ENGINE_SOCKET_V6 = 1, ENGINE_SOCKETS_MAX = 300 /* 2, 257 for a try, 16 pings, 4 questions, one for each of 15 paths */ };
enum { ENGINE_INTERFACES_MAX = 16, ENGINE_SERVER_ADDRS_MAX = 8 };

/* ---- commands. What is not named for a kind is ignored; nothing is kept of what pointers point to. ---- */
enum engine_command_kind {
    COMMAND_SEND,           /* a message: id, to, text (UTF-8 without NUL, TEXT_BYTES_MAX at the most): EVENT_SENT with
                             * those who are there (none yet: once more when it is known), then EVENT_DELIVERED or
                             * EVENT_FAILED for each; or EVENT_ERROR bad-command, or EVENT_FAILED at once: the store of
                             * messages is full (see engine_has_room) */
    COMMAND_NAME,           /* change the own name: text; EVENT_ERROR bad-command if it is none */
    COMMAND_IGNORE,         /* show nothing more of `peer`, who is not told: what it says counts as written */
    COMMAND_FINISH,         /* end of input: EVENT_END when all is delivered, or after wait_us */
    COMMAND_QUIT,           /* now: say goodbye, fail what is undelivered, EVENT_END */
    COMMAND_WRITTEN,        /* the message of EVENT_MESSAGE (peer, number), and all of that peer before it, is where it
                             * belongs: only now is it delivered. Whoever is owed 64 KiB of these sends no more */
    COMMAND_SERVER_ADDRS,   /* the server's name has been resolved: addrs (v4 and v6 with port, the first 8) */
    COMMAND_SERVER_UNKNOWN, /* ... could not be resolved: text says why */
    COMMAND_SOCKET_OPENED,  /* answers OUT_OPEN: socket, addr: its local port; the ip may be zero */
    COMMAND_SOCKET_FAILED,  /* answers OUT_OPEN: socket */
    COMMAND_SEND_FAILED,    /* socket, addr, text: the system refused a datagram for good (no route, not permitted) */
    COMMAND_INTERFACES,     /* addrs, prefixes: the machine's addresses (port 0), without loopback unless the server is
                             * there. Members are told them; without any there are no paths inside a LAN */
    COMMAND_ENTROPY,        /* entropy: 32 fresh bytes; every minute and after a sleep */
};

struct engine_command {
    enum engine_command_kind kind;
    uint64_t id;         /* SEND: the caller's, 1..MESSAGE_ID_MAX, in use until settled; 0: the engine assigns one */
    uint32_t to;         /* SEND: a peer, or 0: everybody */
    uint32_t peer;       /* IGNORE, WRITTEN */
    uint64_t number;     /* WRITTEN */
    const uint8_t *text; /* SEND, NAME, COMMAND_SERVER_UNKNOWN, COMMAND_SEND_FAILED; need not be terminated */
    size_t text_size;    /* bytes */
    uint16_t socket;
    struct addr addr;
    const struct addr *addrs;
    size_t addr_count;
    const uint8_t *prefixes; /* INTERFACES: lengths of the subnets' prefixes; NULL: 24 and 64 */
    const uint8_t *entropy;  /* RNG_SEED_BYTES */
};

/* ---- what to do ---- */
enum engine_event_kind {
    EVENT_KEYWORD,     /* text: the keyword that KEYWORD_NEW made */
    EVENT_REGISTERED,  /* addr: observed */
    EVENT_SERVER_LOST, /* text: reason */
    EVENT_NAT,         /* mapping, filtering, ports */
    EVENT_PEER,        /* peer, name: a session is confirmed */
    EVENT_NAME,        /* peer, name */
    EVENT_PEER_LEFT,   /* peer, name, text: "quit" or "timeout" */
    EVENT_PATH,        /* peer, path, addr, rtt_us, text: reason; the path that is used has changed */
    EVENT_MESSAGE,     /* peer, name, id (the sender's), number, text: answer with COMMAND_WRITTEN */
    EVENT_SENT,        /* id, peers[]: accepted, for these */
    EVENT_DELIVERED,   /* id, peer */
    EVENT_FAILED,      /* id, peer (0: nobody ever came), text: reason */
    EVENT_WARNING,     /* code, text */
    EVENT_ERROR,       /* code, text; the engine goes on */
    EVENT_END,         /* status: 0 all was delivered; 1 something was not, or nobody ever came. It is the last event */
};

enum engine_path { PATH_NONE, PATH_RELAY, PATH_DIRECT, PATH_LAN /* both addresses are private */ };

#define RTT_UNKNOWN UINT32_MAX

/* All pointers are valid until the engine is called again. Fields that its kind does not name mean nothing. */
struct engine_event {
    enum engine_event_kind kind;
    uint32_t peer;       /* from 1, in the order in which they came, never used twice */
    uint64_t id, number; /* MESSAGE: `number` is its place among all of that peer's, from 1 */
    const char *code; /* static: "weak-keyword", ... */
    const char *text; /* terminated; a MESSAGE is UTF-8 without NUL of somebody else: not fit for a terminal as it is */
    size_t text_size; /* bytes */
    const char *name; /* terminated; "peer N" if the peer gave none. Two may have the same, and neither need be true */
    struct addr addr;
    enum engine_path path;
    uint32_t rtt_us; /* or RTT_UNKNOWN */
    uint8_t mapping, filtering; /* enum nat_behaviour */
    uint8_t ports;              /* enum nat_ports */
    uint8_t peer_count;
    uint32_t peers[PEERS_MAX];
    int status;
};

enum engine_out_kind {
    OUT_SEND,  /* a datagram: socket, to, ttl, bytes */
    OUT_OPEN,  /* a socket: answer with COMMAND_SOCKET_OPENED or COMMAND_SOCKET_FAILED, at once or later */
    OUT_CLOSE, /* that socket */
    OUT_EVENT,
};

struct engine_out {
    enum engine_out_kind kind;
    uint16_t socket;      /* SEND, OPEN, CLOSE */
    uint8_t family;       /* OPEN: enum addr_family; any port */
    struct addr to;       /* SEND */
    uint8_t ttl;          /* SEND: 0: the system's */
    const uint8_t *bytes; /* SEND: valid until the engine is called again */
    size_t size;          /* bytes, DATAGRAM_BYTES_MAX at the most */
    struct engine_event event;
};

/* ---- the five functions ---- */
/* Bytes that the caller sets aside: zeroed, aligned as malloc aligns, not moved while it is in use. To be wiped by the
 * caller at the end: EVENT_END wipes the keys, not what was said. */
size_t engine_size(void);
/* Once per struct. `seed`: from the system's generator, never used twice. */
void engine_init(struct engine *e, const struct engine_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                 vtime_us now);
/* A datagram came in on `socket` from `from`. `local` is not used yet: NULL. */
void engine_input(struct engine *e, vtime_us now, uint16_t socket, const struct addr *local, const struct addr *from,
                  const uint8_t *at, size_t size);
void engine_command(struct engine *e, vtime_us now, const struct engine_command *command);
/* The next thing to do, in *ret. False: nothing now, and *ret means nothing. */
bool engine_poll(struct engine *e, vtime_us now, struct engine_out *ret);
/* When to poll although nothing has come; VTIME_NEVER after EVENT_END. May be in the past. */
vtime_us engine_deadline(const struct engine *e);

/* ---- looking in: change nothing; pointers are valid until one of the five is called ---- */
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
/* The four static words that both sides see if nobody is in between. False: no such peer. */
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
/* p2p.h to here */
#endif
