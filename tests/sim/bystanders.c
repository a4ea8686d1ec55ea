#include "bystanders.h"

#include <string.h>

#define TICK_US VTIME_S(1) /* an answer has this long to come */
enum { NEW = BYSTANDERS_FLOWS, ECHO_PORT = 7 };

static void ask(struct bystanders *b, int i)
{
    static const uint8_t question[] = "still there?";
    b->answered[i] = false;
    world_send(b->w, b->sockets[i], NULL, &b->echo, 0, question, sizeof question);
}

static void count(struct bystanders *b)
{
    for (int i = 0; i < BYSTANDERS_FLOWS; i++)
        b->broken += !b->answered[i];
    if (b->answered[NEW])
        return;
    b->failed_last_at = b->w->now - TICK_US;
    if (b->new_failed++ == 0)
        b->failed_first_at = b->failed_last_at;
}

vtime_us bystanders_failing_us(const struct bystanders *b)
{
    return b->new_failed == 0 ? 0 : b->failed_last_at - b->failed_first_at + TICK_US;
}

static void on_wake(void *self, vtime_us now)
{
    struct bystanders *b = self;
    if (b->ticks++ > 0) {
        count(b);
        world_close(b->w, b->sockets[NEW]);
    }
    b->sockets[NEW] = world_open(b->w, b->actor, ADDR_V4, 0);
    for (int i = 0; i <= NEW; i++)
        ask(b, i);
    b->tick_at = now + TICK_US;
}

static void on_answer(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                      const uint8_t *at, size_t size)
{
    struct bystanders *b = self;
    (void)now, (void)local, (void)from, (void)at, (void)size;
    for (int i = 0; i <= NEW; i++)
        b->answered[i] = b->answered[i] || b->sockets[i] == socket;
}

static vtime_us on_deadline(void *self)
{
    return ((struct bystanders *)self)->tick_at;
}

static void on_question(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                        const uint8_t *at, size_t size)
{
    struct bystanders *b = self;
    (void)now;
    world_send(b->w, socket, local, from, 0, at, size);
}

static void on_nothing(void *self, vtime_us now)
{
    (void)self, (void)now;
}

static vtime_us never(void *self)
{
    (void)self;
    return VTIME_NEVER;
}

void bystanders_start(struct bystanders *b, struct world *w, int network, struct addr ip)
{
    static const struct actor_calls theirs = {on_answer, on_wake, on_deadline}, echo = {on_question, on_nothing, never};
    memset(b, 0, sizeof *b);
    b->w = w;
    b->echo = addr_v4(198, 51, 100, 7, 0);
    int far = world_add_host(w, INTERNET, VTIME_MS(10), "elsewhere");
    world_add_addr(w, far, &b->echo);
    b->echo.port = ECHO_PORT;
    world_open(w, world_add_actor(w, far, &echo, b, "elsewhere"), ADDR_V4, ECHO_PORT);
    b->host = world_add_host(w, network, 0, "others");
    world_add_addr(w, b->host, &ip);
    b->tick_at = world_host_now(w, b->host);
    b->actor = world_add_actor(w, b->host, &theirs, b, "others");
    for (int i = 0; i < BYSTANDERS_FLOWS; i++)
        b->sockets[i] = world_open(w, b->actor, ADDR_V4, 0);
    world_touch(w, b->actor);
}
