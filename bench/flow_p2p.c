/* Two who registered with p2p-server and presented the same relay token. */
#include "bench/flow.h"
#include "wire/codec.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static struct codec codec;

struct person {
    int fd;
    uint8_t secret[SECRET_BYTES];
    uint32_t link;
};

static void ask(int fd, const struct frame *question, enum frame_kind wanted, struct frame *ret, const char *what)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX], answer[DATAGRAM_BYTES_MAX];
    size_t size = codec_encode(question, bytes, sizeof bytes);
    size_t got = bench_ask(fd, bytes, size, answer, sizeof answer, what);
    enum decode_result result = codec_decode(&codec, answer, got, ret);
    if (result != DECODE_OK || ret->kind != wanted)
        bench_fail("the answer to %s is a frame of kind %d (%s)", what, (int)ret->kind, decode_result_name(result));
}

/* Rooms of their own: nobody is introduced, and nothing comes but what is relayed. */
static void register_at(struct person *p, uint32_t room)
{
    struct frame answer,
        question = {.kind = FRAME_REGISTER, .reg = {.token = room, .form = FORM_ROOM, .room = room, .pad = true}};
    ask(p->fd, &question, FRAME_REGISTERED, &answer, "Register");
    question.reg.pad = false;
    question.reg.has_secret = true;
    memcpy(question.reg.secret, answer.registered.secret, SECRET_BYTES);
    question.reg.cookie_size = answer.registered.cookie_size;
    memcpy(question.reg.cookie, answer.registered.cookie, COOKIE_BYTES_MAX);
    memcpy(p->secret, answer.registered.secret, SECRET_BYTES);
    ask(p->fd, &question, FRAME_REGISTERED, &answer, "the echo of Registered");
}

static struct frame link_frame(const struct person *p, uint32_t number, uint8_t side)
{
    struct frame f = {.kind = FRAME_LINK, .link = {.token = {.side = side}}};
    memcpy(f.link.secret, p->secret, SECRET_BYTES);
    memcpy(f.link.token.token, &number, sizeof number);
    return f;
}

/* Only the second of the two is answered, both sides at once. */
static void link_both(struct person *a, struct person *b, uint32_t number)
{
    uint8_t bytes[DATAGRAM_BYTES_MAX];
    struct frame answer, first = link_frame(b, number, 1), second = link_frame(a, number, 0);
    size_t size = codec_encode(&first, bytes, sizeof bytes);
    if (send(b->fd, bytes, size, 0) != (ssize_t)size)
        bench_fail("cannot send Link: %s", strerror(errno));
    ask(a->fd, &second, FRAME_LINKED, &answer, "Link");
    a->link = answer.linked.link;
    if (recv(b->fd, bytes, sizeof bytes, 0) <= 0)
        bench_fail("only one side was told that both are linked: %s", strerror(errno));
}

/* A Relay of `size` bytes, or the largest that there is. */
static size_t relay_frame(uint8_t ret[static DATAGRAM_BYTES_MAX], const struct person *p, size_t size)
{
    uint8_t sealed[RELAY_DATAGRAM_BYTES_MAX];
    struct frame f = {.kind = FRAME_RELAY, .relay = {.has_secret = true, .link = p->link}};
    memcpy(f.relay.secret, p->secret, SECRET_BYTES);
    memset(sealed, 0x5a, sizeof sealed);
    for (size_t inside = sizeof sealed; inside > 0; inside--) {
        f.relay.datagram = (struct bytes){.at = sealed, .size = inside};
        size_t all = codec_encode(&f, ret, DATAGRAM_BYTES_MAX);
        if (all <= size)
            return all;
    }
    bench_fail("no Relay has %zu bytes", size);
}

void flow_open_p2p(struct flow *f, uint32_t number, uint16_t port, size_t size)
{
    flow_open_sockets(f, number, port);
    struct person a = {.fd = f->from}, b = {.fd = f->to};
    register_at(&a, 2 * number + 1);
    register_at(&b, 2 * number + 2);
    link_both(&a, &b, number + 1);
    f->size = relay_frame(f->datagram, &a, size);
}
