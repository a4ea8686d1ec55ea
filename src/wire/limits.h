/* limits.h: every number of the protocol, with its unit and its reason. Sources: RFCs by number;
 * "measured" and "computed" refer to docs/protocol.md, "Why these numbers". */
#ifndef WIRE_LIMITS_H
#define WIRE_LIMITS_H
#include <assert.h>
#include "wire/vtime.h"

enum {
    /* ---- sizes in bytes ---- */
    DATAGRAM_BYTES_MAX  = 1200,  /* fits every path: IPv6's 1280 less headers and a tunnel (RFC 9000 s14) */
    PROTOCOL_WORD       = 0x31503250, /* "P2P1" as a little-endian fixed32 */
    REGISTERED_BYTES_MAX = 144,  /* with the next two and three UDP/IPv6 headers: what one padded */
    PEER_INFO_BYTES_MAX  = 160,  /* Register pays for (1,200 + 48), so that an unvalidated newcomer */
    SIGNAL_BYTES_MAX     = 800,  /* can be answered, introduced and sent one envelope */
    PROBE_BYTES_MIN      = 64,   /* Probed has 50 at the most: an answer is never longer than its question */
    UDP4_HEADER_BYTES    = 28,   /* IP and UDP header: counted in the byte ledger */
    UDP6_HEADER_BYTES    = 48,
    SIGNAL_DATAGRAM_BYTES_MAX = 724,  /* what fits Signal: 800 less its other fields (76 to the server) */
    RELAY_DATAGRAM_BYTES_MAX  = 1160, /* what fits Relay: 1,200 less its other fields (34), rounded */
    SEALED_OVERHEAD_BYTES = 48,  /* word 5, body 3, session 9, epoch 3, counter 9, length 3, tag 16 */
    PLAIN_BYTES_MAX       = 1100, /* one sealed packet, the same over relay and direct, so that a packet never has
                                   * to be cut anew when the path changes */
    PLAIN_SIGNAL_BYTES_MAX = 676, /* the same inside Signal */
    CIPHERTEXT_BYTES_MAX  = PLAIN_BYTES_MAX + 16,
    KEYWORD_BYTES_MAX     = 128, /* in normal form; far over what people remember */
    KEYWORD_CI_MAX        = 32,  /* "p2p1 room 999999" */
    KEYWORD_WORDS_TEXT_MAX = 32, /* three words of 8 letters, two '-', NUL */
    NAME_BYTES_MAX        = 64,  /* a name on a line of chat */
    TEXT_BYTES_MAX        = 16384, /* one message: a few pages; a larger thing is a file */
    MESSAGE_ID_BYTES_MAX  = 8,   /* varint of 2^53-1 */
    MESSAGE_DATA_BYTES_MAX = 1090, /* PLAIN_BYTES_MAX less the frame around it at a small offset */
    COOKIE_BYTES_MAX      = 32,  /* ours has 20 */
    COOKIE_BYTES          = 20,  /* time 4, SipHash-128 16 */
    SECRET_BYTES          = 16,  /* 128 bits: not to be guessed on line or off */
    RELAY_TOKEN_BYTES     = 16,

    /* ---- counts ---- */
    SHARES_MAX            = 8,   /* stock of one-time shares: eight introductions without a round trip */
    ROOM_PEOPLE_MAX       = 16,  /* full mesh: 15 sessions each */
    PEERS_MAX             = ROOM_PEOPLE_MAX - 1,
    LINKS_MAX             = PEERS_MAX, /* a Register lists them all */
    SAME_TAGS_MAX         = PEERS_MAX,
    PENDING_TAGS_MAX      = 40,  /* unconfirmed runs: 31 that go on, 8 that are over and carried text, rounded */
    CANDIDATES_MAX        = 8,   /* host v4 and v6, observed v4 and v6, four more interfaces */
    AIM_PORTS_MAX         = 64,  /* of one try: 25 sockets, and what other traffic takes between them */
    ACK_RANGES_MAX        = 32,  /* FACTS: enough for 30 % loss and reordering; 63 numbers */
    ROOM_NUMBER_MAX       = 999999,
    PREFIX_BITS_MAX       = 8,   /* what the open form may ever tell of a keyword */
    REGISTRATIONS_PER_ROOM_MAX = 64,
    UNKNOWN_FIELDS_MAX    = 16,  /* in a datagram: room for later versions, none for floods */
    WIRE_FIELDS_MAX       = 192, /* in a datagram: a Register of 8 shares and 15 links has 96 */
    WIRE_DEPTH_MAX        = 3,   /* Frame, Offer, Candidate, Address less one */

    /* ---- the decoder ---- */
    ARENA_BYTES           = 16384, /* nothing that passes the wire check takes over 6 kB (measured) */
    ARENA_OBJECTS_MAX     = 256,
};

/* ---- life of a registration ---- */
#define REGISTER_INTERVAL_US   VTIME_MS(500) /* while unanswered, +- 20 %: one loss costs half a second */
#define REGISTER_FAST_US       VTIME_S(15)   /* this long, then the gap doubles up to: */
#define REGISTER_GAP_MAX_US    VTIME_S(18)   /* so that a restarted server is found again within 20 s */
#define LEASE_US               VTIME_S(60)   /* three refreshes may be lost */
#define REFRESH_MIN_US         VTIME_S(15)   /* + 0..20 %: under the shortest common NAT timeout, 30 s; */
#define REFRESH_JITTER_US      VTIME_S(3)    /* RFC 8445 s11 asks for no less than 15 s */
#define ROOM_RESERVED_US       VTIME_S(600)  /* a number from --new waits for its first refresh */
#define UNVALIDATED_US         VTIME_S(5)    /* a source that does not echo is forgotten */
#define COOKIE_ROTATE_US       VTIME_S(120)  /* key of the cookies; two accepted */
#define INTRODUCTION_US        VTIME_S(30)   /* an introduction's shares and budget at the server */
#define PEER_INFO_REPEAT_US    VTIME_S(1)    /* up to 3 times to a side that has not answered */

/* ---- a run ---- */
#define RUN_US                 VTIME_S(30)   /* envelopes are repeated this long */

/* ---- a session ---- */
#define KEEPALIVE_MIN_US       VTIME_S(15)   /* + 0..20 %, as REFRESH */
#define KEEPALIVE_JITTER_US    VTIME_S(3)
#define CONSENT_US             VTIME_S(30)   /* RFC 7675 s5.1: a path unanswered for so long is not used */
#define PEER_TIMEOUT_US        VTIME_S(60)   /* without an authentic packet, while the server answers us */
#define STARVED_US             VTIME_S(60)   /* no credit for so long: its reader is stuck, the others go on */
#define STORE_SHARE            128           /* of a full store in that time: 8 KiB or 32 messages. Receipts are for
                                              * whole ones: 273 bytes a second always do, and very bad lines take more */
#define LINGER_US              VTIME_S(2)    /* after the first peer: who else gets what was typed before */

/* ---- keys ---- */
#define RATCHET_PACKETS        (1ULL << 20)  /* far below the cipher's 2^36 forgeries (RFC 9001 s6.6) */
#define RATCHET_US             VTIME_S(600)
#define OLD_KEY_US             VTIME_S(3)    /* at least; max with 3 PTO */

/* ---- recovery: RFC 9002, its names in its appendix A.2 and B.1 ---- */
#define INITIAL_RTT_US         VTIME_MS(333)
#define GRANULARITY_US         VTIME_MS(1)
#define ACK_DELAY_MAX_US       VTIME_MS(25)
enum {
    PACKET_THRESHOLD       = 3,
    INITIAL_WINDOW_BYTES   = 12000, /* 10 x 1,200 (s7.2) */
    MINIMUM_WINDOW_BYTES   = 2400,
    PACING_BURST_PACKETS   = 10,
};

/* ---- messages ---- */
enum {
    CREDIT_BYTES           = 65536,  /* what a peer may send ahead of the reader; memory per peer */
    MAILBOX_TEXT_BYTES     = 1 << 20, /* unacknowledged text of all messages: 64 of the largest */
    MAILBOX_MESSAGES       = 4096,
};
#define MESSAGE_ID_MAX         ((1ULL << 53) - 1) /* what JSON numbers carry exactly */

static_assert(REGISTERED_BYTES_MAX + PEER_INFO_BYTES_MAX + SIGNAL_BYTES_MAX + 3 * UDP6_HEADER_BYTES <=
              DATAGRAM_BYTES_MAX + UDP6_HEADER_BYTES, "one padded Register pays for the first answers");
static_assert(PLAIN_BYTES_MAX + SEALED_OVERHEAD_BYTES <= RELAY_DATAGRAM_BYTES_MAX, "a packet fits Relay");
static_assert(PLAIN_SIGNAL_BYTES_MAX + SEALED_OVERHEAD_BYTES <= SIGNAL_DATAGRAM_BYTES_MAX, "and Signal");
static_assert(LEASE_US >= 3 * (REFRESH_MIN_US + REFRESH_JITTER_US), "a lease outlives lost refreshes");
static_assert(KEEPALIVE_MIN_US + KEEPALIVE_JITTER_US < VTIME_S(20), "keepalives beat a 20 s NAT timeout");
static_assert(CREDIT_BYTES >= 2 * TEXT_BYTES_MAX, "a message always fits the credit");
#endif
