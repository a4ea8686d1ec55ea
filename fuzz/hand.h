/* hand.h: everything around one engine, made by hand out of the wire format: its shell, its server and one peer that
 * knows the keyword. So a fuzzer's bytes become the plaintext of packets that open. Of the engine it knows engine.h.
 *
 * The engine's contract is checked all the time: polled dry, its deadline lies in the future; nothing is sent from a
 * socket that is not open, to nowhere, or that does not decode; no event comes after EVENT_END. */
#ifndef FUZZ_HAND_H
#define FUZZ_HAND_H
#include "peer/engine.h"
#include "wire/seal.h"

enum hand_habit { /* what the server and the peer do of themselves */
    HABIT_REGISTER = 1,  /* the server answers Register and Probe */
    HABIT_INTRODUCE = 2, /* ... and introduces the peer, once */
    HABIT_LINK = 4,      /* ... and links */
    HABIT_ENVELOPE = 8,  /* the peer sends its first packet when one of the engine's has come */
    HABIT_ACK = 16,
    HABIT_ANSWER = 32,   /* it answers Punch */
    HABITS_ALL = 63,
};

enum hand_patch { /* what is put right in a frame of the server, if it has such a field */
    HAND_TOKEN = 1,    /* the newest Register's or Probe's */
    HAND_PROOF = 2,
    HAND_HANDLE = 4,   /* the peer's */
    HAND_POINT = 8,    /* PeerInfo: an unused share of the engine's; Signal: the peer's */
    HAND_LINK = 16,    /* the session's name and token */
    HAND_OBSERVED = 32,
    HAND_SECRET = 64,  /* the one that Registered gave before, else a new one */
    HAND_ALTERNATE = 128, /* Registered: another port of the server's */
};

enum hand_way { WAY_SIGNAL, WAY_RELAY, WAY_DIRECT, WAY_ELSEWHERE, HAND_WAYS };
enum hand_twist { /* of a packet of the session */
    TWIST_JUMP = 1,      /* its counter, some way ahead */
    TWIST_ENVELOPE = 2,  /* with an Envelope in front */
    TWIST_ACK = 4,       /* with an Ack of everything in front */
    TWIST_RIGHT = 8,     /* Punch answers, Message follows, Offer is newer, Aim of the try that goes on */
    TWIST_RECORD = 16,   /* Message: its data becomes the text of a whole record */
    TWIST_EPOCH = 32,    /* under the next key */
    TWIST_FLIP = 64,     /* one bit of it is wrong */
    TWIST_TWICE = 128,
};

enum hand_run { /* what is special about a run */
    RUN_WRONG = 1,      /* another keyword */
    RUN_SAME = 2,       /* of the process that had the run before: that was a session */
    RUN_PENDING = 4,    /* the same, and it goes on */
    RUN_FIRST = 8,      /* the peer does not wait for the engine's first packet */
    RUN_HANDLE = 16,    /* with the handle of the one before */
    RUN_SILENT = 32,    /* the peer sends no first packet: the script does */
    RUN_REFLECTED = 64, /* with the engine's own share */
    RUN_OVER = 128,     /* with RUN_PENDING: the run before is over for the peer */
};

enum { HAND_RING = 16, HAND_SOCKETS_MAX = ENGINE_SOCKETS_MAX, HAND_SERVERS_MAX = 16 };

enum hand_nat { /* what is between the engine and the rest */
    NAT_OF_NOBODY,
    NAT_OF_COUNTING, /* a new port, the next one, for each destination; only who was asked may answer */
    NAT_OF_DICE,     /* the same, any port */
};
enum { HAND_MAPPINGS_MAX = 64 };

struct hand_datagram {
    uint16_t    socket, size;
    struct addr from; /* who sent it, as the engine sees it; of its own: where it went */
    uint8_t     bytes[DATAGRAM_BYTES_MAX];
};

struct hand {
    struct engine *e;
    vtime_us    now;
    struct addr server, peer, elsewhere;
    struct addr servers[HAND_SERVERS_MAX]; /* all that the engine has been told */
    unsigned    server_count;
    unsigned    habits;
    enum relay_policy relay; /* the engine's */
    struct rng  rng;
    struct codec codec, inner_codec;
    uint8_t     generator[CPACE_POINT_BYTES], wrong_generator[CPACE_POINT_BYTES];
    enum hand_nat nat; /* of the engine, and the peer says it has the same; then nothing comes through directly */
    struct {
        uint16_t socket, port;
    } mappings[HAND_MAPPINGS_MAX];
    unsigned mapping_count;

    /* the shell */
    struct {
        bool open;
        struct addr local;
    } sockets[HAND_SOCKETS_MAX];
    bool     refuses_sockets, holds_back, ended;
    uint32_t held_peer; /* COMMAND_WRITTEN that is held back: the newest message */
    uint64_t held_number;
    uint32_t newest_peer;
    uint64_t events[EVENT_END + 1];
    unsigned wakes, packets;
    void (*on_event)(const struct engine_event *event); /* NULL */

    /* the server */
    uint64_t token, probe, handle, proof;
    uint16_t server_socket; /* of the engine: where its newest Register came from */
    uint8_t  secret[SECRET_BYTES];
    bool     registered;
    struct frame_register newest;
    uint32_t link;

    /* the peer */
    uint8_t  scalar[CPACE_SCALAR_BYTES], nonce[SEAL_NONCE_BYTES];
    struct share_public share;
    uint8_t  used_point[CPACE_POINT_BYTES]; /* of the engine's share in the run */
    bool     running, opened, said_first;
    struct seal seal;
    uint64_t peer_handle;
    uint8_t  run_id[CPACE_SID_BYTES];
    unsigned how;                         /* enum hand_run */
    uint8_t  before_key[SEAL_KEY_BYTES];  /* of the run before: for its same tags */
    uint8_t  before_side;
    uint64_t seen_largest, seen_before; /* packet numbers: bit i of seen_before is seen_largest - i */
    bool     ack_due;
    uint64_t challenge, stream_end, next_id;
    uint32_t generation, attempt;
    uint16_t direct_socket; /* of the engine: where its newest direct packet came from */

    /* datagrams to and from the engine, the newest ones */
    struct hand_datagram to[HAND_RING], sent[HAND_RING];
    unsigned to_count, sent_count;
};

struct hand_beginning {
    const char       *keyword; /* NULL: the engine makes one */
    enum relay_policy relay;
    vtime_us          wait_us;
    bool              meets; /* begins with a session */
    enum hand_nat     nat;
};

size_t hand_size(void); /* of the memory behind *h, the engine's, zeroed */
void   hand_begin(struct hand *h, void *engine, const struct hand_beginning *b);
/* Polls until there is nothing more to do. */
void   hand_drain(struct hand *h);
void   hand_command(struct hand *h, const struct engine_command *command);
void   hand_input(struct hand *h, uint16_t socket, const struct addr *from, const uint8_t *at, size_t size);
/* Tells the engine these addresses of its server. */
void   hand_servers(struct hand *h, const struct addr *addrs, size_t count);
/* From the server; `what` is of enum hand_patch. */
void   hand_serve(struct hand *h, struct frame *f, unsigned what, uint16_t socket);
/* A new run of the peer with the engine, if that has a share left; `how` is of enum hand_run. */
void   hand_introduce(struct hand *h, unsigned how);
/* Inner frames from the peer; `how` is of enum hand_twist. */
void   hand_say(struct hand *h, enum hand_way way, unsigned how, const uint8_t *plain, size_t size);
void   hand_run(struct hand *h, vtime_us duration);
#endif
