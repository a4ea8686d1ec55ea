/* What the wan tells, and is told, while it runs. */
#include "wan.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { LINE_BYTES_MAX = 256 };

static const char *const fate_names[] = {"flying", "arrived", "lost", "expired"};
static const char *const option_names[OPTIONS] = {"seed", "jitter", "loss", "duplicate", "reorder", "overtake", "hops"};

/* ---- questions ---- */

static const char *text_of(const struct ip *ip, char text[static INET6_ADDRSTRLEN])
{
    inet_ntop(AF_INET6, ip->bytes, text, INET6_ADDRSTRLEN);
    return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static void print_ends(FILE *to, const struct pair *p)
{
    char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
    fprintf(to, "{\"from\":\"%s\",\"to\":\"%s\",", text_of(&p->src, src), text_of(&p->dst, dst));
}

static void answer_counts(FILE *to)
{
    uint64_t foreign = 0, kernel_drops = 0;
    for (size_t i = 0; i < wan.edge_count; i++) {
        struct tpacket_stats stats = {0};
        socklen_t size = sizeof stats;
        foreign += wan.edges[i].foreign;
        if (getsockopt(wan.edges[i].fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
            kernel_drops += stats.tp_drops;
    }
    wan.overflow += kernel_drops; /* asking has set the kernel's own count to zero */
    fprintf(to, "{\"now\":%.6f,\"overflow\":%" PRIu64 ",\"foreign\":%" PRIu64 ",\"unroutable\":%" PRIu64 ",\"pairs\":[",
            seconds(wan_now_ns()), wan.overflow, foreign, wan.unroutable);
    for (size_t i = 0; i < wan.pair_count; i++) {
        const struct pair *p = &wan.pairs[i];
        fputs(i > 0 ? ",\n" : "\n", to);
        print_ends(to, p);
        fprintf(to,
                "\"sent\":%" PRIu64 ",\"sent_bytes\":%" PRIu64 ",\"arrived\":%" PRIu64 ",\"arrived_bytes\":%" PRIu64
                ",\"lost\":%" PRIu64 ",\"expired\":%" PRIu64 ",\"duplicated\":%" PRIu64 "}",
                p->sent, p->sent_bytes, p->arrived, p->arrived_bytes, p->lost, p->expired, p->duplicated);
    }
    fputs("]}\n", to);
}

static void answer_trace(FILE *to)
{
    fputs("[", to);
    for (size_t i = 0; i < wan.pair_count; i++) {
        const struct pair *p = &wan.pairs[i];
        fputs(i > 0 ? ",\n" : "\n", to);
        print_ends(to, p);
        fputs("\"packets\":[", to);
        for (unsigned k = 0; k < p->trace_count; k++) {
            const struct record *r = &p->trace[k];
            fprintf(to,
                    "%s{\"sent\":%.6f,\"arrived\":%.6f,\"fate\":\"%s\",\"size\":%u,\"ttl\":%u,\"ports\":[%u,%u],"
                    "\"head\":\"",
                    k > 0 ? ",\n " : "", seconds(r->sent_ns), seconds(r->arrived_ns), fate_names[r->fate], r->size,
                    r->ttl, r->from_port, r->to_port);
            for (unsigned b = 0; b < r->head_size; b++)
                fprintf(to, "%02x", r->head[b]);
            fputs("\"}", to);
        }
        fputs("]}", to);
    }
    fputs("]\n", to);
}

bool wan_set_option(const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(option_names[i], name) == 0 && end != text && *end == '\0' && value >= 0) {
            wan.options[i] = value;
            return true;
        }
    return false;
}

static bool set_options(char *rest)
{
    char *name;
    while ((name = strtok_r(NULL, " ", &rest)) != NULL) {
        const char *value = strtok_r(NULL, " ", &rest);
        if (value == NULL || !wan_set_option(name, value))
            return false;
    }
    return true;
}

static bool add_loss(const char *rest)
{
    char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
    struct ip s, d;
    bool v6;
    unsigned count, byte = 0;
    int fields = sscanf(rest, "%45s %45s %u %x", src, dst, &count, &byte);
    if (fields < 3 || !wan_read_ip(&s, src, &v6) || !wan_read_ip(&d, dst, &v6))
        return false;
    for (size_t i = 0; i < WAN_LOSSES_MAX; i++)
        if (wan.losses[i].count == 0) {
            wan.losses[i] = (struct loss){s, d, count, fields == 4 ? (int)byte : -1};
            return true;
        }
    return false;
}

void wan_answer(int listener)
{
    struct timeval patience = {.tv_usec = 200000}; /* nobody who just connects may hold up the traffic */
    char line[LINE_BYTES_MAX + 1], *rest = line;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        wan_die("accept");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t got = recv(fd, line, LINE_BYTES_MAX, 0);
    FILE *stream = fdopen(fd, "w");
    if (stream == NULL)
        wan_die("stream");
    line[got > 0 ? got : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    const char *word = strtok_r(line, " ", &rest);
    if (word != NULL && strcmp(word, "counts") == 0)
        answer_counts(stream);
    else if (word != NULL && strcmp(word, "trace") == 0)
        answer_trace(stream);
    else if (word != NULL && strcmp(word, "set") == 0 && set_options(rest))
        fputs("{}\n", stream);
    else if (word != NULL && strcmp(word, "lose") == 0 && add_loss(rest))
        fputs("{}\n", stream);
    else
        fputs("{\"error\":\"what?\"}\n", stream);
    fclose(stream);
}

int wan_listen(const char *path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof where.sun_path)
        wan_die("the socket's path is too long");
    strcpy(where.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&where, sizeof where) != 0 || listen(fd, 8) != 0)
        wan_die(path);
    return fd;
}
