/* codec.h: bytes <-> frames; the only place that sees foreign bytes, and the only user of the
 * generated protobuf code. Pure: no heap; decoding works in the caller's struct codec.
 *
 * Decoding is three steps: size; a one-pass wire check of our own over the raw bytes; protobuf-c's
 * unpack in the arena, then every value against limits.h and the bounds written in p2p.proto.
 * What comes out of DECODE_OK obeys every bound stated in p2p.proto. */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/addr.h"
#include "wire/limits.h"

/* Bytes that belong to the datagram or plaintext that was decoded (or to the caller, when
 * encoding); never copied, never owned. */
struct bytes {
    const uint8_t *at;
    size_t         size;
};

enum frame_kind { /* the numbers of Frame.body in p2p.proto */
    FRAME_NONE = 0,
    FRAME_REGISTER = 2, FRAME_REGISTERED = 3, FRAME_PEER_INFO = 4, FRAME_SIGNAL = 5, FRAME_RELAY = 6,
    FRAME_SEALED = 7, FRAME_PUNCH = 8, FRAME_MESSAGE = 9, FRAME_ACK = 10, FRAME_RECEIPT = 11,
    FRAME_CREDIT = 12, FRAME_ENVELOPE = 13, FRAME_OFFER = 14, FRAME_LEAVE = 15, FRAME_LINK = 16,
    FRAME_LINKED = 17, FRAME_RETRY = 18, FRAME_REFUSED = 19, FRAME_PROBE = 20, FRAME_PROBED = 21,
    FRAME_AIM = 22,
    FRAME_KINDS
};

enum { FORM_ROOM = 1, FORM_OPEN = 2, FORM_NEW = 3 };
enum { REFUSED_UNKNOWN = 1, REFUSED_ROOM_FULL = 2, REFUSED_BUSY = 3, REFUSED_CROWDED = 4 };
enum { LEAVE_QUIT = 1, LEAVE_ROOM_FULL = 2 };
enum { PROBE_FROM_SAME, PROBE_FROM_OTHER_PORT, PROBE_FROM_OTHER_ADDRESS };
enum { CANDIDATE_HOST = 1, CANDIDATE_OBSERVED = 2, CANDIDATE_PREDICTED = 3 };
/* p2p.h from here */
/* What a NAT does, in RFC 4787's words: to mappings and to filtering, and to ports. NAT_PORT_INDEPENDENT: of
 * ports; nothing is known of addresses, for the server has one only. */
enum nat_behaviour { NAT_UNKNOWN, NAT_NONE, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT,
                     NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_PORT_INDEPENDENT, NAT_BEHAVIOURS };
enum nat_ports { NAT_PORTS_UNKNOWN, NAT_PORTS_PRESERVED, NAT_PORTS_SEQUENTIAL, NAT_PORTS_RANDOM, NAT_PORTS_KINDS };
/* p2p.h to here */

struct share_public {
    uint8_t point[32];
    uint8_t commitment[32];
};

struct relay_token {
    uint8_t token[RELAY_TOKEN_BYTES];
    uint8_t side;     /* 0, 1 */
    bool    may_tell;
};

struct frame_register {
    uint64_t token;
    bool     has_secret;
    uint8_t  secret[SECRET_BYTES];
    uint8_t  cookie_size; /* 0: none */
    uint8_t  cookie[COOKIE_BYTES_MAX];
    uint8_t  form;
    uint32_t room;
    uint8_t  prefix_bits, prefix;
    uint8_t  share_count, link_count;
    struct share_public shares[SHARES_MAX];
    struct relay_token  links[LINKS_MAX];
    bool     pad; /* encoding: fill up to DATAGRAM_BYTES_MAX. Decoding: always false; look at the size */
};

struct frame_registered {
    uint64_t    token, handle;
    uint8_t     secret[SECRET_BYTES];
    uint8_t     cookie_size;
    uint8_t     cookie[COOKIE_BYTES_MAX];
    struct addr observed;  /* as on the wire: masked */
    struct addr alternate; /* port 0: none; family ADDR_NONE with a port: same address */
    uint32_t    room;
    uint32_t    lease_s;
    uint8_t     bits_wanted; /* larger than 8 is decoded as 8 */
};

struct frame_retry { uint64_t token; uint8_t cookie_size; uint8_t cookie[COOKIE_BYTES_MAX]; };
struct frame_refused { uint64_t token, proof; uint8_t code; uint32_t retry_after_s; };
struct frame_probe { uint64_t token; uint8_t from; /* encoding fills it up to PROBE_BYTES_MIN */ };
struct frame_probed { uint64_t token; struct addr observed; /* masked */ };
struct frame_peer_info { uint64_t handle; uint8_t own_point[32]; struct share_public share; };
struct frame_signal { bool has_secret; uint8_t secret[SECRET_BYTES]; uint64_t proof, handle; uint8_t point[32]; struct bytes datagram; };
struct frame_link { uint8_t secret[SECRET_BYTES]; struct relay_token token; };
struct frame_linked { uint64_t proof; uint8_t token[RELAY_TOKEN_BYTES]; uint32_t link; struct addr observed; /* masked; family ADDR_NONE: not told */ };
struct frame_relay { bool has_secret; uint8_t secret[SECRET_BYTES]; uint64_t proof; uint32_t link; struct bytes datagram; };
struct frame_leave { bool has_secret; uint8_t secret[SECRET_BYTES]; uint64_t proof; uint8_t reason; };
struct frame_sealed { uint64_t session; uint32_t epoch; uint64_t counter; struct bytes ciphertext; };
struct frame_envelope {
    uint8_t  nonce[32];
    uint8_t  same_count, pending_count;
    uint64_t same[SAME_TAGS_MAX], pending[PENDING_TAGS_MAX];
};
struct candidate { struct addr address; uint8_t kind; };
struct frame_offer {
    uint32_t generation;
    uint8_t  name_size;
    uint8_t  name[NAME_BYTES_MAX];
    uint8_t  candidate_count;
    struct candidate candidates[CANDIDATES_MAX];
    uint8_t  mapping, filtering; /* enum nat_behaviour */
    uint8_t  ports;              /* enum nat_ports */
    uint32_t server_rtt_us;
    bool     no_relay;
};
struct frame_punch { uint64_t challenge, answer; };
struct frame_aim {
    uint32_t    attempt;
    struct addr address; /* family ADDR_NONE with `stop` */
    uint16_t    stride;
    uint8_t     count;   /* 0: random ports */
    bool        stop;
};
struct frame_message { uint64_t offset; struct bytes data; };
struct ack_range { uint64_t first, last; }; /* packet numbers, both included */
struct frame_ack { uint32_t delay_us; uint8_t range_count; struct ack_range ranges[ACK_RANGES_MAX]; /* highest first */ };
struct frame_receipt { uint64_t count; };
struct frame_credit { uint64_t limit; };

struct frame {
    enum frame_kind kind;
    union {
        struct frame_register reg;
        struct frame_registered registered;
        struct frame_retry retry;
        struct frame_refused refused;
        struct frame_probe probe;
        struct frame_probed probed;
        struct frame_peer_info peer_info;
        struct frame_signal signal;
        struct frame_link link;
        struct frame_linked linked;
        struct frame_relay relay;
        struct frame_leave leave;
        struct frame_sealed sealed;
        struct frame_envelope envelope;
        struct frame_offer offer;
        struct frame_punch punch;
        struct frame_aim aim;
        struct frame_message message;
        struct frame_ack ack;
        struct frame_receipt receipt;
        struct frame_credit credit;
    };
};

enum decode_result {
    DECODE_OK,
    DECODE_SIZE,     /* empty or over DATAGRAM_BYTES_MAX */
    DECODE_PROTOCOL, /* does not begin with the protocol word (inside Sealed: has one) */
    DECODE_WIRE,     /* the wire check: tag, wire type, repetition, depth, count, varint, length */
    DECODE_MEMORY,   /* the arena did not suffice */
    DECODE_VALUE,    /* a bound of p2p.proto is broken */
    DECODE_UNKNOWN,  /* well-formed, but a body of a later version, or none */
    DECODE_PLACE,    /* a body that does not belong outside (or inside) Sealed */
    DECODE_RESULTS
};
const char *decode_result_name(enum decode_result r); /* "ok", "size", ... for metrics and tests */

struct codec { /* working memory of one decoder, no state between calls but the counts */
    _Alignas(16) uint8_t arena[ARENA_BYTES];
    size_t   used;
    unsigned objects;
    uint64_t counts[DECODE_RESULTS]; /* how often each result came out */
    size_t   arena_peak;
};

/* One datagram. *ret is meaningful only with DECODE_OK; spans in it point into `at`. */
enum decode_result codec_decode(struct codec *c, const uint8_t *at, size_t size, struct frame *ret);
/* The next frame of a plaintext: takes it from the front of *rest. DECODE_OK with kind FRAME_NONE
 * is padding (a length of 0). With DECODE_UNKNOWN *rest has moved on and reading may continue; on
 * any other failure the packet is to be dropped. Call while rest->size > 0. */
enum decode_result codec_decode_inner(struct codec *c, struct bytes *rest, struct frame *ret);

/* Encodes one datagram (with the protocol word); returns its size, 0 if it does not fit cap. */
size_t codec_encode(const struct frame *f, uint8_t *ret, size_t cap);
/* Encodes one length-prefixed inner frame. */
size_t codec_encode_inner(const struct frame *f, uint8_t *ret, size_t cap);
#endif
