/* natprobe: a home behind one NAT and a server with two addresses, in virtual time, for programs that ask questions of
 * it: test_kinds.py does.
 *   natprobe --kinds     prints the names of all kinds
 *   natprobe --hope      prints "A B MEANS" for every ordered pair
 *   natprobe KIND [SEED] reads orders from stdin, a line each, and answers each with a line:
 *
 *     open HOST [ADDRESS PORT]         "opened N ADDRESS PORT"; HOST is ann or server
 *     send N ADDRESS PORT HEX          "sent"; from socket N
 *     wait MICROSECONDS                "NOW got N ADDRESS PORT HEX" as soon as a datagram has come to socket N from
 *                                      this address, else, after that time, "NOW nothing"
 *
 * A line that it does not understand ends it with status 2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"

enum { SOCKETS_MAX = 1024, HEX_MAX = 2 * WORLD_DATAGRAM_MAX };
#define ANN_US VTIME_MS(25) /* to the core; the server is there */

static const char *const server_addresses[] = {"198.51.100.11", "198.51.100.12"};

struct end { /* several of one world's socket, if it has several addresses */
    int socket;
    struct addr local;
};

struct box {
    struct world *w;
    int hosts[2], actors[2]; /* ann, server */
    struct end ends[SOCKETS_MAX];
    int end_count;
    bool got;
    int got_end;
    struct addr got_from;
    size_t got_size;
    uint8_t got_bytes[WORLD_DATAGRAM_MAX];
};

static _Noreturn void refuse(const char *line)
{
    fprintf(stderr, "natprobe: what is this? %s\n", line);
    exit(2);
}

static struct addr parse(const char *ip, unsigned port)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];
    snprintf(text, sizeof text, "%.40s:%u", ip, port);
    if (!addr_parse(&a, text))
        refuse(text);
    return a;
}

static const char *ip_text(const struct addr *a)
{
    static char text[ADDR_TEXT_MAX];
    *strrchr(addr_format(a, text), ':') = '\0';
    return text;
}

/* ---- the programs on the two hosts ---- */

static void on_input(void *self, vtime_us now, int socket, const struct addr *local, const struct addr *from,
                     const uint8_t *at, size_t size)
{
    struct box *b = self;
    (void)now;
    for (int i = 0; i < b->end_count; i++)
        if (b->ends[i].socket == socket && addr_ip_equal(&b->ends[i].local, local)) {
            b->got = true;
            b->got_end = i;
            b->got_from = *from;
            b->got_size = size;
            memcpy(b->got_bytes, at, size);
        }
}

static void on_wake(void *self, vtime_us now)
{
    (void)self, (void)now;
}

static vtime_us on_deadline(void *self)
{
    (void)self;
    return VTIME_NEVER;
}

static bool has_got(void *context)
{
    return ((struct box *)context)->got;
}

/* ---- orders ---- */

static void do_open(struct box *b, const char *line)
{
    char host[8], ip[40] = "";
    unsigned port = 0;
    if (sscanf(line, "open %7s %39s %u", host, ip, &port) < 1 || b->end_count == SOCKETS_MAX)
        refuse(line);
    int which = strcmp(host, "server") == 0;
    struct end *e = &b->ends[b->end_count];
    e->local = port ? parse(ip, port) : *world_addr(b->w, b->hosts[which], 0);
    e->socket = -1;
    for (int i = 0; port && i < b->end_count; i++) /* the same port at the other address is the same socket */
        if (b->ends[i].local.port == port && world_port(b->w, b->ends[i].socket) == port)
            e->socket = b->ends[i].socket;
    if (e->socket < 0)
        e->socket = world_open(b->w, b->actors[which], ADDR_V4, (uint16_t)port);
    if (e->socket < 0)
        refuse(line);
    e->local.port = world_port(b->w, e->socket);
    printf("opened %d %s %u\n", b->end_count++, ip_text(&e->local), e->local.port);
}

static void do_send(struct box *b, const char *line)
{
    static char hex[HEX_MAX + 1];
    uint8_t bytes[WORLD_DATAGRAM_MAX];
    char ip[40];
    int n;
    unsigned port, byte;
    size_t size = 0;
    if (sscanf(line, "send %d %39s %u %3000s", &n, ip, &port, hex) != 4 || n < 0 || n >= b->end_count)
        refuse(line);
    for (; hex[2 * size] && sscanf(hex + 2 * size, "%2x", &byte) == 1; size++)
        bytes[size] = (uint8_t)byte;
    struct addr to = parse(ip, port);
    world_send(b->w, b->ends[n].socket, &b->ends[n].local, &to, 0, bytes, size);
    puts("sent");
}

static void do_wait(struct box *b, const char *line)
{
    unsigned long long us;
    if (sscanf(line, "wait %llu", &us) != 1)
        refuse(line);
    b->got = false;
    bool got = world_run_while_not(b->w, us, has_got, b);
    printf("%llu ", (unsigned long long)b->w->now);
    if (got) {
        printf("got %d %s %u ", b->got_end, ip_text(&b->got_from), b->got_from.port);
        for (size_t i = 0; i < b->got_size; i++)
            printf("%02x", b->got_bytes[i]);
        putchar('\n');
    } else {
        puts("nothing");
    }
}

static void serve(struct box *b)
{
    static char line[HEX_MAX + 100];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "open ", 5) == 0)
            do_open(b, line);
        else if (strncmp(line, "send ", 5) == 0)
            do_send(b, line);
        else if (strncmp(line, "wait ", 5) == 0)
            do_wait(b, line);
        else
            refuse(line);
        fflush(stdout);
    }
}

/* ---- beginning ---- */

static void print_hope(void)
{
    for (size_t i = 0; i < NAT_KINDS; i++)
        for (size_t k = 0; k < NAT_KINDS; k++)
            printf("%s %s %s\n", nat_kinds[i].name, nat_kinds[k].name,
                   nat_hope_name(nat_hope(&nat_kinds[i], &nat_kinds[k])));
}

int main(int argc, char **argv)
{
    static const struct actor_calls calls = {on_input, on_wake, on_deadline};
    static struct box b;
    if (argc == 2 && strcmp(argv[1], "--kinds") == 0) {
        for (size_t i = 0; i < NAT_KINDS; i++)
            puts(nat_kinds[i].name);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--hope") == 0) {
        print_hope();
        return 0;
    }
    const struct nat_kind *kind = argc == 2 || argc == 3 ? nat_kind_find(argv[1]) : NULL;
    if (!kind) {
        fputs("usage: natprobe --kinds | --hope | KIND [SEED]\n", stderr);
        return 2;
    }
    struct scene *s = scene_new("natprobe", argc == 3 ? strtoull(argv[2], NULL, 10) : 1);
    b.w = s->w;
    b.hosts[0] = scene_home_of(s, ANN_US, kind);
    b.hosts[1] = scene_host(s, INTERNET, 0, parse(server_addresses[0], 0));
    struct addr second = parse(server_addresses[1], 0);
    world_add_addr(b.w, b.hosts[1], &second);
    for (int i = 0; i < 2; i++)
        b.actors[i] = world_add_actor(b.w, b.hosts[i], &calls, &b, i ? "server" : "ann");
    serve(&b);
    scene_free(s);
    return 0;
}
