/* The judge itself: each thing that must never happen is made up here, and must be caught. */
#include <string.h>

#include "judge_parts.h"
#include "scene_test.h"

/* Two clients whose engines are never used; only what the judge is told counts. */
struct court {
    struct world *w;
    struct judge *j;
    struct sim_client_watcher watch;
    struct sim_client a, b;
    struct sim_server server;
    int nat;
    bool caught;
    char why[400];
    jmp_buf back;
};

static void on_fail(void *context, const char *why)
{
    struct court *c = context;
    c->caught = true;
    snprintf(c->why, sizeof c->why, "%s", why);
    longjmp(c->back, 1);
}

static struct addr server_addr(void)
{
    return addr_v4(198, 51, 100, 1, 41414);
}

static void tell(struct court *c, struct sim_client *who, struct engine_event e)
{
    struct sim_event event = {.time = 1, .e = e};
    c->watch.on_event(c->watch.context, who, &event);
}

static void say(struct court *c, struct sim_client *who, uint64_t id, const char *text)
{
    c->watch.on_said(c->watch.context, who, id, 0, (const uint8_t *)text, strlen(text));
}

static void show(struct court *c, struct sim_client *to, uint64_t id, const char *text)
{
    tell(c, to,
         (struct engine_event){.kind = EVENT_MESSAGE, .peer = 1, .id = id, .text = text, .text_size = strlen(text)});
}

static void sent_to_one(struct court *c, struct sim_client *who, uint64_t id)
{
    tell(c, who, (struct engine_event){.kind = EVENT_SENT, .id = id, .peer_count = 1, .peers = {1}});
}

static void write_out(struct court *c, struct sim_client *who, uint64_t id)
{
    c->watch.on_written(c->watch.context, who, 1, id);
}

static void delivered(struct court *c, struct sim_client *who, uint64_t id)
{
    tell(c, who, (struct engine_event){.kind = EVENT_DELIVERED, .peer = 1, .id = id});
}

static void failed(struct court *c, struct sim_client *who, uint64_t id)
{
    tell(c, who, (struct engine_event){.kind = EVENT_FAILED, .peer = 1, .id = id, .text = ""});
}

/* ---- what is right ---- */
static void nothing_wrong(struct court *c)
{
    say(c, &c->a, 1, "one");
    sent_to_one(c, &c->a, 1);
    say(c, &c->a, 2, "two");
    sent_to_one(c, &c->a, 2);
    show(c, &c->b, 1, "one");
    write_out(c, &c->b, 1);
    delivered(c, &c->a, 1);
    show(c, &c->b, 2, "two");
    failed(c, &c->a, 2);
    assert_true(judge_has_all(c->j, &c->a, &c->b));
    assert_true(judge_is_settled(c->j, &c->a));
}

/* ---- messages ---- */
static void shown_twice(struct court *c)
{
    say(c, &c->a, 1, "one");
    show(c, &c->b, 1, "one");
    show(c, &c->b, 1, "one");
}

static void shown_altered(struct court *c)
{
    say(c, &c->a, 1, "one");
    show(c, &c->b, 1, "onE");
}

static void shown_never_said(struct court *c)
{
    show(c, &c->b, 1, "one");
}

static void shown_out_of_order(struct court *c)
{
    say(c, &c->a, 1, "one");
    say(c, &c->a, 2, "two");
    show(c, &c->b, 2, "two");
    show(c, &c->b, 1, "one");
}

static void shown_with_a_gap(struct court *c)
{
    say(c, &c->a, 1, "one");
    sent_to_one(c, &c->a, 1);
    say(c, &c->a, 2, "two");
    sent_to_one(c, &c->a, 2);
    show(c, &c->b, 2, "two");
}

static void delivered_unwritten(struct court *c)
{
    say(c, &c->a, 1, "one");
    show(c, &c->b, 1, "one");
    delivered(c, &c->a, 1);
}

static void delivered_ignored(struct court *c)
{
    say(c, &c->a, 1, "one");
    c->watch.on_ignored(c->watch.context, &c->b, 1);
    delivered(c, &c->a, 1);
}

static void delivered_shown_then_ignored(struct court *c)
{
    say(c, &c->a, 1, "one");
    show(c, &c->b, 1, "one");
    c->watch.on_ignored(c->watch.context, &c->b, 1);
    delivered(c, &c->a, 1);
}

static void delivered_twice(struct court *c)
{
    say(c, &c->a, 1, "one");
    show(c, &c->b, 1, "one");
    write_out(c, &c->b, 1);
    delivered(c, &c->a, 1);
    delivered(c, &c->a, 1);
}

static void delivered_after_failed(struct court *c)
{
    say(c, &c->a, 1, "one");
    show(c, &c->b, 1, "one");
    write_out(c, &c->b, 1);
    failed(c, &c->a, 1);
    delivered(c, &c->a, 1);
}

static void sent_twice(struct court *c)
{
    say(c, &c->a, 1, "one");
    sent_to_one(c, &c->a, 1);
    sent_to_one(c, &c->a, 1);
}

/* ---- people ---- */
static void peer_unknown(struct court *c)
{
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PATH, .peer = 2});
}

static void peer_number_reused(struct court *c)
{
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PEER, .peer = 1, .name = "bob"});
}

static void peer_left_twice(struct court *c)
{
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PEER_LEFT, .peer = 1});
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PEER_LEFT, .peer = 1});
}

static void peer_is_itself(struct court *c)
{
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PEER, .peer = 2, .name = "ann"});
}

static void peer_with_other_keyword(struct court *c)
{
    static struct sim_client eve;
    eve = c->b;
    eve.config.name = "eve";
    eve.config.keyword = "42-quite-other-words";
    tell(c, &eve, (struct engine_event){.kind = EVENT_REGISTERED});
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PEER, .peer = 2, .name = "eve"});
}

static void contract_broken(struct court *c)
{
    c->watch.on_broken(c->watch.context, &c->a, "spins");
}

/* ---- the wire ---- */
static void client_sends(struct court *c, const void *at, size_t size)
{
    struct packet p = {.origin = c->a.host, .src = addr_v4(192, 168, 1, 2, 5000), .dst = server_addr()};
    memcpy(p.bytes, at, size);
    p.size = (uint16_t)size;
    judge_tap(c->j, FATE_SENT, &p, c->a.host, -1);
}

static void text_in_clear(struct court *c)
{
    client_sends(c, "xxx" JUDGE_MARK "hello", 3 + sizeof JUDGE_MARK - 1 + 5);
}

static void keyword_in_clear(struct court *c)
{
    client_sends(c, "xx-crab-lunar-toastxx", 21);
}

static void private_address_to_server(struct court *c)
{
    static const uint8_t field[] = {0x55, 0x0a, 4, 192, 168, 1, 2, 0x10};
    client_sends(c, field, sizeof field);
}

static const struct addr *source(void)
{
    static struct addr a;
    a = addr_v4(203, 0, 113, 1, 5000);
    return &a;
}

static void on_wire(struct court *c, const struct frame *f, bool from_server)
{
    struct packet p = {.origin = from_server ? c->server.host : c->a.host};
    p.src = from_server ? server_addr() : *source();
    p.dst = from_server ? *source() : server_addr();
    p.size = (uint16_t)codec_encode(f, p.bytes, sizeof p.bytes);
    assert_true(p.size > 0);
    judge_tap(c->j, from_server ? FATE_SENT : FATE_DELIVERED, &p, c->server.host, -1);
}

static const struct frame registered = {.kind = FRAME_REGISTERED,
                                        .registered = {.token = 1,
                                                       .handle = 2,
                                                       .secret = {3},
                                                       .cookie_size = 4,
                                                       .cookie = {1, 2, 3, 4},
                                                       .observed = {.family = ADDR_V4, .ip = {1, 2, 3, 4}, .port = 5},
                                                       .lease_s = 60}};
static const struct frame greeting = {.kind = FRAME_REGISTER,
                                      .reg = {.token = 1, .form = FORM_ROOM, .room = 42, .pad = true}};

static void amplification(struct court *c)
{
    on_wire(c, &greeting, false);
    for (int i = 0; i < 40; i++)
        on_wire(c, &registered, true);
}

static void amplification_without_any(struct court *c)
{
    on_wire(c, &registered, true);
}

static void no_amplification_after_the_cookie(struct court *c)
{
    on_wire(c, &greeting, false);
    on_wire(c, &registered, true);
    struct frame echo = greeting;
    echo.reg.cookie_size = 4;
    memcpy(echo.reg.cookie, (uint8_t[]){1, 2, 3, 4}, 4);
    on_wire(c, &echo, false);
    for (int i = 0; i < 40; i++)
        on_wire(c, &registered, true);
}

static void another_cookie_is_none(struct court *c)
{
    on_wire(c, &greeting, false);
    on_wire(c, &registered, true);
    struct frame echo = greeting;
    echo.reg.cookie_size = 4;
    memcpy(echo.reg.cookie, (uint8_t[]){1, 2, 3, 5}, 4);
    on_wire(c, &echo, false);
    for (int i = 0; i < 40; i++)
        on_wire(c, &registered, true);
}

static void address_told_to_a_stranger(struct court *c)
{
    static struct sim_client eve;
    eve = c->b;
    eve.host = c->b.host;
    eve.config.name = "eve";
    eve.config.keyword = "42-quite-other-words";
    tell(c, &eve, (struct engine_event){.kind = EVENT_REGISTERED});
    no_amplification_after_the_cookie(c); /* the judge knows where A is */
    struct packet p = {.origin = eve.host, .src = addr_v4(203, 0, 113, 9, 9), .dst = server_addr()};
    p.size = (uint16_t)codec_encode(&greeting, p.bytes, sizeof p.bytes);
    judge_tap(c->j, FATE_DELIVERED, &p, c->server.host, -1);
    struct frame linked = {.kind = FRAME_LINKED, .linked = {.proof = 1, .token = {7}, .link = 1}};
    linked.linked.observed = addr_mask(source(), 7);
    p = (struct packet){.origin = c->server.host, .src = server_addr(), .dst = addr_v4(203, 0, 113, 9, 9)};
    p.size = (uint16_t)codec_encode(&linked, p.bytes, sizeof p.bytes);
    judge_tap(c->j, FATE_SENT, &p, c->server.host, -1);
}

/* ---- */

static const struct {
    const char *name;
    void (*deed)(struct court *c);
    const char *expected; /* part of the sentence; NULL: nothing is wrong */
} deeds[] = {
    {"nothing wrong", nothing_wrong, NULL},
    {"shown twice", shown_twice, "twice"},
    {"shown altered", shown_altered, "altered"},
    {"shown, never said", shown_never_said, "never said"},
    {"shown out of order", shown_out_of_order, "too late"},
    {"shown with a gap", shown_with_a_gap, "older"},
    {"delivered, unwritten", delivered_unwritten, "has not written"},
    {"delivered, as its sender is ignored", delivered_ignored, NULL},
    {"delivered, shown before he was ignored", delivered_shown_then_ignored, "has not written"},
    {"delivered twice", delivered_twice, "after delivered"},
    {"delivered after failed", delivered_after_failed, "after failed"},
    {"sent twice", sent_twice, "once more"},
    {"peer unknown", peer_unknown, "not introduced"},
    {"peer number reused", peer_number_reused, "number 1 again"},
    {"peer left twice", peer_left_twice, "left twice"},
    {"peer is itself", peer_is_itself, "met itself"},
    {"peer with other keyword", peer_with_other_keyword, "another keyword"},
    {"contract broken", contract_broken, "spins"},
    {"text in clear", text_in_clear, "in clear"},
    {"keyword in clear", keyword_in_clear, "keyword is in clear"},
    {"private address to server", private_address_to_server, "private address"},
    {"amplification", amplification, "receives there"},
    {"amplification without any", amplification_without_any, "receives there"},
    {"no amplification after the cookie", no_amplification_after_the_cookie, NULL},
    {"another cookie is none", another_cookie_is_none, "receives there"},
    {"address told to a stranger", address_told_to_a_stranger, "another keyword"},
};

static void court_open(struct court *c)
{
    memset(c, 0, sizeof *c);
    c->w = world_new(1);
    c->j = judge_new(c->w, on_fail, c);
    c->watch = judge_watcher(c->j);
    struct addr ip = server_addr(), outside = addr_v4(203, 0, 113, 1, 0);
    c->server.host = world_add_host(c->w, INTERNET, 0, "server");
    world_add_addr(c->w, c->server.host, &ip);
    judge_set_server(c->j, &c->server);
    c->nat = world_add_natbox(c->w, INTERNET, 0, &natbox_cone, &outside, NULL);
    c->a.host = world_add_host(c->w, world_inside(c->w, c->nat), 0, "a");
    ip = addr_v4(192, 168, 1, 2, 0);
    world_add_addr(c->w, c->a.host, &ip);
    c->b.host = world_add_host(c->w, INTERNET, 0, "b");
    c->a.config.name = "ann";
    c->b.config.name = "bob";
    c->a.config.keyword = c->b.config.keyword = "42-crab-lunar-toast";
    tell(c, &c->a, (struct engine_event){.kind = EVENT_REGISTERED});
    tell(c, &c->b, (struct engine_event){.kind = EVENT_REGISTERED});
    tell(c, &c->a, (struct engine_event){.kind = EVENT_PEER, .peer = 1, .name = "bob"});
    tell(c, &c->b, (struct engine_event){.kind = EVENT_PEER, .peer = 1, .name = "ann"});
}

static void test_deeds(void **state)
{
    static struct court c;
    (void)state;
    static size_t i; /* survives longjmp */
    for (i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        court_open(&c);
        if (setjmp(c.back) == 0)
            deeds[i].deed(&c);
        if (c.caught != (deeds[i].expected != NULL) || (c.caught && !strstr(c.why, deeds[i].expected)))
            fail_msg("%s: %s", deeds[i].name, c.caught ? c.why : "was not caught");
        judge_free(c.j);
        world_free(c.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
