#include "script.h"
#include "shapes.h"
#include "still.h"
#include "wire/text.h"

/* More wakes than that, and an input is only slow. */
enum { OPERATIONS_MAX = 300 };

static struct hand *h;

static const struct addr *address(unsigned which)
{
    static struct addr all[8];
    if (all[0].family == ADDR_NONE) {
        all[0] = addr_v4(203, 0, 113, 1, 41414); /* the server */
        all[1] = addr_v4(203, 0, 113, 1, 41415);
        all[2] = addr_v4(198, 51, 100, 11, 5001); /* the peer */
        all[3] = addr_v4(198, 51, 100, 11, 5055);
        all[4] = addr_v4(192, 0, 2, 33, 5002);
        all[5] = addr_v4(10, 0, 0, 5, 5002);
        all[6] = addr_v4(203, 0, 113, 2, 41415);
        FUZZ_CHECK(addr_parse(&all[7], "[2001:db8::1]:41414"));
    }
    return &all[which % COUNT(all)];
}

/* The two that are always there, or any of those that are open now. */
static uint16_t socket_of(unsigned which)
{
    if (which % 4 != 3)
        return which % 8 == 1 ? ENGINE_SOCKET_V6 : ENGINE_SOCKET_V4;
    uint16_t number = 0;
    for (unsigned i = 2, left = which / 4; i < HAND_SOCKETS_MAX; i++)
        if (h->sockets[i].open) {
            number = (uint16_t)i;
            if (left-- == 0)
                break;
        }
    return number;
}

static uint16_t v4_socket_of(unsigned which)
{
    uint16_t socket = socket_of(which);
    return h->sockets[socket].local.family == ADDR_V4 ? socket : ENGINE_SOCKET_V4;
}

static void do_frame(const struct record *r)
{
    struct frame f;
    if (r->head[0] % 8 != 0 || codec_decode(&h->codec, r->payload, r->size, &f) != DECODE_OK) {
        hand_input(h, v4_socket_of(r->head[1]), address(r->head[0]), r->payload, r->size);
        return;
    }
    hand_serve(h, &f, r->head[2], v4_socket_of(r->head[1]));
    hand_drain(h);
}

static void do_time(const struct record *r)
{
    static const vtime_us times[] = {1,          VTIME_MS(5), VTIME_MS(30), VTIME_MS(200), VTIME_MS(700), VTIME_S(1),
                                     VTIME_S(3), VTIME_S(8),  VTIME_S(16),  VTIME_S(35),   VTIME_S(70),   VTIME_S(700)};
    h->habits = r->head[1] % 2 == 0 ? HABITS_ALL : r->head[1] / 2;
    hand_run(h, times[r->head[0] % COUNT(times)]);
}

static void do_say(const struct record *r)
{
    static uint8_t text[TEXT_BYTES_MAX];
    size_t size = r->size;
    memcpy(text, r->payload, size < sizeof text ? size : sizeof text);
    if (r->head[1] / 16 == 1) { /* a long one */
        size = (size_t)1000 * (r->head[1] % 16) + 300;
        memset(text, 'x', size);
    }
    if (size > sizeof text || !text_is_valid(text, size) || !engine_has_room(h->e, size))
        return;
    hand_command(h, &(struct engine_command){.kind = COMMAND_SEND,
                                             .id = r->head[0],
                                             .to = r->head[1] / 16 == 2 ? r->head[1] % 16 : 0,
                                             .text = text,
                                             .text_size = size});
}

static void do_command(const struct record *r)
{
    struct engine_command c = {.kind = COMMAND_FINISH, .text = r->payload, .text_size = r->size};
    switch (r->head[0] % 12) {
    case 0:
    case 1:
        c.kind = COMMAND_NAME;
        if (c.text_size > NAME_BYTES_MAX || !text_is_name(c.text, c.text_size))
            return;
        break;
    case 2:
        c.kind = COMMAND_IGNORE;
        c.peer = r->head[1] % 2 == 0 ? h->newest_peer : r->head[1];
        break;
    case 3:
        break; /* FINISH */
    case 4:
        c.kind = COMMAND_QUIT;
        break;
    case 5:
    case 6:
        h->holds_back = true;
        return;
    default:
        h->holds_back = false;
        c.kind = COMMAND_WRITTEN;
        c.peer = h->held_peer;
        c.number = h->held_number;
        if (c.number == 0)
            return;
    }
    hand_command(h, &c);
}

static void do_shell(const struct record *r)
{
    uint8_t entropy[RNG_SEED_BYTES] = {r->head[1]};
    struct addr addrs[4];
    uint8_t prefixes[4] = {24, 8, 32, 16};
    struct engine_command c = {.kind = COMMAND_ENTROPY, .entropy = entropy};
    for (unsigned i = 0; i < COUNT(addrs); i++) {
        addrs[i] = *address(r->head[2] / 4 + i * r->head[1]);
        c.addr_count += i < r->head[2] % 4U;
    }
    switch (r->head[0] % 8) {
    case 0:
        break;
    case 1:
        c = (struct engine_command){.kind = COMMAND_SEND_FAILED,
                                    .socket = socket_of(r->head[1]),
                                    .addr = *address(r->head[2]),
                                    .text = (const uint8_t *)"no route",
                                    .text_size = 8};
        if (!h->sockets[c.socket].open)
            return;
        break;
    case 2:
        h->refuses_sockets = r->head[1] % 2 == 0;
        return;
    case 3:
        for (unsigned i = 0; i < COUNT(addrs); i++)
            addrs[i].port = 0;
        c = (struct engine_command){.kind = COMMAND_INTERFACES, .addrs = addrs, .addr_count = c.addr_count};
        c.prefixes = r->head[1] % 2 == 0 ? prefixes : NULL;
        break;
    case 4:
        hand_servers(h, addrs, c.addr_count + 1);
        return;
    case 5:
        c = (struct engine_command){
            .kind = COMMAND_SERVER_UNKNOWN, .text = (const uint8_t *)"no such name", .text_size = 12};
        break;
    default:
        h->server = *address(r->head[1] % 2 == 0 ? 0 : 6); /* the answers come from elsewhere */
        return;
    }
    hand_command(h, &c);
}

static void do_again(const struct record *r)
{
    const struct hand_datagram *d =
        r->head[0] % 2 == 0 ? &h->to[r->head[0] / 2 % HAND_RING] : &h->sent[r->head[0] / 2 % HAND_RING];
    struct hand_datagram copy = *d;
    if (copy.size > 0 && copy.from.family == ADDR_V4)
        hand_input(h, v4_socket_of(r->head[1]), r->head[1] % 2 == 0 ? &copy.from : address(r->head[1]), copy.bytes,
                   copy.size);
}

static void run(const struct record *r)
{
    switch ((enum engine_operation)r->operation) {
    case ENGINE_FRAME:
        do_frame(r);
        break;
    case ENGINE_RAW:
        hand_input(h, v4_socket_of(r->head[1]), address(r->head[0]), r->payload, r->size);
        break;
    case ENGINE_SEALED:
        hand_say(h, (enum hand_way)(r->head[0] % HAND_WAYS), r->head[1], r->payload, r->size);
        hand_drain(h);
        break;
    case ENGINE_TIME:
        do_time(r);
        break;
    case ENGINE_SAY:
        do_say(r);
        break;
    case ENGINE_COMMAND:
        do_command(r);
        break;
    case ENGINE_SHELL:
        do_shell(r);
        break;
    case ENGINE_INTRODUCE:
        hand_introduce(h, r->head[0]);
        hand_drain(h);
        break;
    case ENGINE_AGAIN:
        do_again(r);
        break;
    case ENGINE_OPERATIONS:
        break;
    }
}

/* What a user may look at. */
static void look(void)
{
    struct engine_peer peers[PEERS_MAX];
    struct engine_stat stats[ENGINE_STATS_MAX];
    const char *words[4];
    size_t count = engine_peers(h->e, peers, COUNT(peers));
    for (size_t i = 0; i < count && i < COUNT(peers); i++) {
        FUZZ_CHECK(peers[i].name != NULL && text_is_name((const uint8_t *)peers[i].name, strlen(peers[i].name)));
        FUZZ_CHECK(engine_verify(h->e, peers[i].peer, words) && words[3] != NULL);
    }
    FUZZ_CHECK(engine_stats(h->e, stats) <= ENGINE_STATS_MAX);
    FUZZ_CHECK(engine_undelivered(h->e) <= MAILBOX_MESSAGES);
}

void script_run(const struct hand_beginning *beginnings, size_t count, const uint8_t *at, size_t size)
{
    static struct still stills[BEGINNINGS_MAX];
    struct record r;
    FUZZ_CHECK(count <= BEGINNINGS_MAX);
    if (size == 0)
        return;
    const size_t which = at[0] % count;
    struct still *s = &stills[which];
    if (s->at == NULL) {
        still_open(s, hand_size() + sizeof *h);
        hand_begin((struct hand *)((char *)s->at + hand_size()), s->at, &beginnings[which]);
        still_keep(s);
    }
    still_restore(s);
    h = (struct hand *)((char *)s->at + hand_size());
    at++;
    size--;
    for (unsigned i = 0; i < OPERATIONS_MAX && record_next(&at, &size, &r); i++)
        run(&r);
    look();
}
