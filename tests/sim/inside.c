#include "inside.h"

#include <stdio.h>
#include <string.h>

#include "peer/internal.h"
#include "trace.h"

static struct codec codec;

static void append(char *text, const char *word)
{
    size_t used = strlen(text);
    snprintf(text + used, INSIDE_TEXT_MAX - used, "%s", word);
}

bool inside_open(const struct engine *e, const struct frame_sealed *f, uint8_t *ret_plain)
{
    for (unsigned i = 0; e && i < PEER_SLOTS; i++) {
        const struct seal *own = &e->peers[i].seal;
        struct seal peek = {.recv = own->send};
        if (own->send.session == f->session && f->session != 0)
            return seal_open(&peek, 0, f->session, f->epoch, f->counter, f->ciphertext.at, f->ciphertext.size, 0,
                             ret_plain) == SEAL_OPENED;
    }
    return false;
}

static void tell_inner(const uint8_t *plain, size_t size, char *text)
{
    struct bytes rest = {plain, size};
    struct frame f;
    const char *separator = "";
    while (rest.size > 0 && codec_decode_inner(&codec, &rest, &f) == DECODE_OK) {
        if (f.kind == FRAME_NONE)
            continue;
        append(text, separator);
        separator = "+";
        if (f.kind != FRAME_PUNCH)
            append(text, trace_frame_name((uint8_t)f.kind));
        else
            append(text, f.punch.answer ? f.punch.challenge ? "Answer+Punch" : "Answer" : "Punch");
    }
}

static void tell_sealed(const struct engine *const *engines, size_t count, const struct frame_sealed *f, char *text)
{
    uint8_t plain[CIPHERTEXT_BYTES_MAX];
    for (size_t i = 0; i < count; i++)
        if (inside_open(engines[i], f, plain)) {
            tell_inner(plain, f->ciphertext.size - SEAL_TAG_BYTES, text);
            return;
        }
    append(text, "Sealed");
}

static void tell_content(const struct engine *const *engines, size_t count, const uint8_t *at, size_t size, char *text)
{
    struct frame f;
    if (codec_decode(&codec, at, size, &f) != DECODE_OK) {
        append(text, "?");
        return;
    }
    if (f.kind == FRAME_SEALED) {
        tell_sealed(engines, count, &f.sealed, text);
        return;
    }
    append(text, trace_frame_name((uint8_t)f.kind));
    if (f.kind == FRAME_SIGNAL || f.kind == FRAME_RELAY) {
        struct bytes inside = f.kind == FRAME_SIGNAL ? f.signal.datagram : f.relay.datagram;
        uint8_t copy[DATAGRAM_BYTES_MAX]; /* decoding uses the arena again */
        memcpy(copy, inside.at, inside.size);
        append(text, ":");
        tell_content(engines, count, copy, inside.size, text);
    }
}

void inside_tell(const struct engine *const *engines, size_t count, const uint8_t *at, size_t size,
                 char ret[static INSIDE_TEXT_MAX])
{
    ret[0] = '\0';
    tell_content(engines, count, at, size, ret);
}
