/* How long one frame takes: to be encoded, decoded, sealed, opened; and what a memcpy of as many bytes takes, or
 * libsodium's cipher alone.
 * usage: frames ROUNDS SECONDS     prints one JSON object: nanoseconds a frame, by name, a figure for each round
 * Each round does all of them in turn, so that they are measured at the same time; SECONDS is for each in all. */
#include "bench/bench.h"
#include "wire/codec.h"
#include "wire/seal.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 256, ROUNDS_MAX = 100, SHORT = 200, LONG = PLAIN_BYTES_MAX };

static struct codec codec;
static struct frame register_frame, relay_frame, message_frame, decoded;
static uint8_t register_bytes[DATAGRAM_BYTES_MAX], relay_bytes[DATAGRAM_BYTES_MAX], message_bytes[DATAGRAM_BYTES_MAX];
static size_t register_size, relay_size, message_size;
static uint8_t plain[DATAGRAM_BYTES_MAX], scratch[DATAGRAM_BYTES_MAX];
static struct seal ann, bob;
static struct packet {
    uint64_t counter;
    uint32_t epoch;
    uint8_t bytes[CIPHERTEXT_BYTES_MAX];
} packets[BATCH];

/* The compiler must take it for used. */
static void used(const void *at)
{
    __asm__ volatile("" : : "r"(at) : "memory");
}

/* ---- codec ---- */

static void encode(const struct frame *f)
{
    for (int i = 0; i < BATCH; i++) {
        codec_encode(f, scratch, sizeof scratch);
        used(scratch);
    }
}

static void decode(const uint8_t *at, size_t size)
{
    for (int i = 0; i < BATCH; i++) {
        codec_decode(&codec, at, size, &decoded);
        used(&decoded);
    }
}

static void copy(const uint8_t *at, size_t size)
{
    for (int i = 0; i < BATCH; i++) {
        used(at);
        memcpy(scratch, at, size);
        used(scratch);
    }
}

static void encode_register(void)
{
    encode(&register_frame);
}

static void decode_register(void)
{
    decode(register_bytes, register_size);
}

static void copy_register(void)
{
    copy(register_bytes, register_size);
}

static void encode_relay(void)
{
    encode(&relay_frame);
}

static void decode_relay(void)
{
    decode(relay_bytes, relay_size);
}

static void copy_relay(void)
{
    copy(relay_bytes, relay_size);
}

static void encode_message(void)
{
    for (int i = 0; i < BATCH; i++) {
        codec_encode_inner(&message_frame, scratch, sizeof scratch);
        used(scratch);
    }
}

static void decode_message(void)
{
    for (int i = 0; i < BATCH; i++) {
        struct bytes rest = {message_bytes, message_size};
        codec_decode_inner(&codec, &rest, &decoded);
        used(&decoded);
    }
}

static void copy_message(void)
{
    copy(message_bytes, message_size);
}

/* ---- keys ---- */

static void seal(size_t size)
{
    for (int i = 0; i < BATCH; i++)
        seal_packet(&ann, VTIME_S(1), plain, size, packets[i].bytes, &packets[i].counter, &packets[i].epoch);
}

static void open(size_t size)
{
    int opened = 0;
    for (int i = 0; i < BATCH; i++)
        opened += seal_open(&bob, VTIME_S(1), ann.send.session, packets[i].epoch, packets[i].counter, packets[i].bytes,
                            size + SEAL_TAG_BYTES, OLD_KEY_US, scratch) == SEAL_OPENED;
    if (opened != BATCH)
        bench_fail("only %d of %d packets could be opened", opened, BATCH);
}

static const uint8_t bare_key[32] = {1}, bare_nonce[12] = {2}, bare_header[21] = {3}; /* as long as ours */

static void bare_seal(size_t size)
{
    for (int i = 0; i < BATCH; i++)
        crypto_aead_chacha20poly1305_ietf_encrypt(packets[i].bytes, NULL, plain, size, bare_header, sizeof bare_header,
                                                  NULL, bare_nonce, bare_key);
}

static void bare_open(size_t size)
{
    int opened = 0;
    for (int i = 0; i < BATCH; i++)
        opened +=
            crypto_aead_chacha20poly1305_ietf_decrypt(scratch, NULL, NULL, packets[i].bytes, size + SEAL_TAG_BYTES,
                                                      bare_header, sizeof bare_header, bare_nonce, bare_key) == 0;
    if (opened != BATCH)
        bench_fail("only %d of %d bare packets could be opened", opened, BATCH);
}

static void seal_short(void)
{
    seal(SHORT);
}

static void open_short(void)
{
    open(SHORT);
}

static void bare_seal_short(void)
{
    bare_seal(SHORT);
}

static void bare_open_short(void)
{
    bare_open(SHORT);
}

static void seal_long(void)
{
    seal(LONG);
}

static void open_long(void)
{
    open(LONG);
}

static void bare_seal_long(void)
{
    bare_seal(LONG);
}

static void bare_open_long(void)
{
    bare_open(LONG);
}

/* ---- all ---- */

static struct work {
    const char *name;
    void (*before)(void); /* not timed; may be NULL */
    void (*run)(void);
    double ns[ROUNDS_MAX];
} works[] = {
    {"encode_register", NULL, encode_register, {0}},
    {"decode_register", NULL, decode_register, {0}},
    {"copy_register", NULL, copy_register, {0}},
    {"encode_relay", NULL, encode_relay, {0}},
    {"decode_relay", NULL, decode_relay, {0}},
    {"copy_relay", NULL, copy_relay, {0}},
    {"encode_message", NULL, encode_message, {0}},
    {"decode_message", NULL, decode_message, {0}},
    {"copy_message", NULL, copy_message, {0}},
    {"seal_200", NULL, seal_short, {0}},
    {"open_200", seal_short, open_short, {0}},
    {"bare_seal_200", NULL, bare_seal_short, {0}},
    {"bare_open_200", bare_seal_short, bare_open_short, {0}},
    {"seal_1100", NULL, seal_long, {0}},
    {"open_1100", seal_long, open_long, {0}},
    {"bare_seal_1100", NULL, bare_seal_long, {0}},
    {"bare_open_1100", bare_seal_long, bare_open_long, {0}},
};
enum { WORKS = sizeof works / sizeof works[0] };

/* Of the fastest batch: what else the machine does only adds. */
static double measure(const struct work *w, uint64_t ns)
{
    const uint64_t until = bench_now_ns() + ns;
    uint64_t best = UINT64_MAX;
    do {
        if (w->before != NULL)
            w->before();
        const uint64_t began = bench_now_ns();
        w->run();
        const uint64_t spent = bench_now_ns() - began;
        best = spent < best ? spent : best;
    } while (bench_now_ns() < until);
    return (double)best / BATCH;
}

static void print(unsigned rounds)
{
    for (int i = 0; i < WORKS; i++) {
        printf("%s\"%s\": [", i == 0 ? "{" : ", ", works[i].name);
        for (unsigned round = 0; round < rounds; round++)
            printf("%s%.1f", round == 0 ? "" : ", ", works[i].ns[round]);
        printf("]");
    }
    puts("}");
}

static size_t encoded(const struct frame *f, uint8_t ret[static DATAGRAM_BYTES_MAX])
{
    size_t size = codec_encode(f, ret, DATAGRAM_BYTES_MAX);
    if (size == 0 || codec_decode(&codec, ret, size, &decoded) != DECODE_OK)
        bench_fail("frame of kind %d is not one", (int)f->kind);
    return size;
}

static void prepare(void)
{
    memset(plain, 0x5a, sizeof plain);
    register_frame =
        (struct frame){.kind = FRAME_REGISTER,
                       .reg = {.token = 1, .form = FORM_ROOM, .room = 42, .share_count = SHARES_MAX, .pad = true}};
    randombytes_buf(register_frame.reg.shares, sizeof register_frame.reg.shares);
    register_size = encoded(&register_frame, register_bytes);
    relay_frame = (struct frame){
        .kind = FRAME_RELAY, .relay = {.has_secret = true, .link = 1, .datagram = {plain, RELAY_DATAGRAM_BYTES_MAX}}};
    relay_size = encoded(&relay_frame, relay_bytes);
    message_frame = (struct frame){.kind = FRAME_MESSAGE, .message = {.offset = 100000, .data = {plain, 1000}}};
    message_size = codec_encode_inner(&message_frame, message_bytes, sizeof message_bytes);

    struct cpace_result run = {.own_is_larger = true};
    seal_init(&ann, &run, VTIME_S(1));
    run.own_is_larger = false;
    seal_init(&bob, &run, VTIME_S(1));
}

int main(int argc, char *argv[])
{
    if (argc != 3)
        bench_fail("usage: frames ROUNDS SECONDS");
    const unsigned rounds = (unsigned)bench_number("ROUNDS", argv[1], 1, ROUNDS_MAX);
    const uint64_t ns = (uint64_t)(bench_seconds("SECONDS", argv[2]) * 1e9 / rounds);
    if (sodium_init() < 0)
        bench_fail("libsodium does not start");
    prepare();
    for (unsigned round = 0; round < rounds; round++)
        for (int i = 0; i < WORKS; i++)
            works[i].ns[round] = measure(&works[i], ns);
    print(rounds);
    return 0;
}
