#include "bench/bench.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum {
    RECEIVE_BUFFER_BYTES = 4 << 20, /* as p2p-server's; the system may grant less */
    PATIENCE_S = 5,                 /* nothing is lost on loopback, but the machine may be busy */
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        bench_fail("cannot read a clock: %s", strerror(errno));
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

uint64_t bench_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_ns(pid_t pid)
{
    clockid_t clock;
    int error = clock_getcpuclockid(pid, &clock);
    if (error != 0)
        bench_fail("process %d has no CPU clock: %s", (int)pid, strerror(error));
    return read_clock(clock);
}

/* The second number of each thread's schedstat. */
static uint64_t waited_ns(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (struct dirent *e; threads != NULL && (e = readdir(threads)) != NULL;) {
        unsigned long long ran, waited;
        char file_path[400];
        snprintf(file_path, sizeof file_path, "%s/%s/schedstat", path, e->d_name);
        FILE *file = fopen(file_path, "re");
        if (file != NULL && fscanf(file, "%llu %llu", &ran, &waited) == 2)
            sum += waited;
        if (file != NULL)
            fclose(file);
    }
    if (threads != NULL)
        closedir(threads);
    return sum;
}

struct bench_use bench_use_of(pid_t pid)
{
    return (struct bench_use){.cpu_ns = bench_cpu_ns(pid), .waited_ns = waited_ns(pid), .now_ns = bench_now_ns()};
}

void bench_use_print(const struct bench_use *began, const struct bench_use *ended)
{
    const double s = (double)(ended->now_ns - began->now_ns) / 1e9, cpu = (double)(ended->cpu_ns - began->cpu_ns) / 1e9;
    const double asleep = 1 - (cpu + (double)(ended->waited_ns - began->waited_ns) / 1e9) / s;
    printf("\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"asleep\": %.3f", s, cpu, asleep < 0 ? 0 : asleep);
}

_Noreturn void bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t bench_number(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value < min || value > max)
        bench_fail("%s: '%s' is not a number from %llu to %llu", name, text, (unsigned long long)min,
                   (unsigned long long)max);
    return value;
}

double bench_seconds(const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value <= 0 || value > 3600)
        bench_fail("%s: '%s' is not a time in seconds, above 0 and at most 3600", name, text);
    return value;
}

struct sockaddr_in bench_loopback(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(127U << 24 | (host & 0xffffff))};
}

static int open_at(struct sockaddr_in at)
{
    const int bytes = RECEIVE_BUFFER_BYTES;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof at) != 0)
        bench_fail("no UDP socket at %s port %u: %s", inet_ntoa(at.sin_addr), ntohs(at.sin_port), strerror(errno));
    return fd;
}

int bench_socket(uint32_t host, uint16_t port)
{
    return open_at(bench_loopback(host, port));
}

int bench_socket_everywhere(void)
{
    return open_at((struct sockaddr_in){.sin_family = AF_INET});
}

uint16_t bench_port_of(int fd)
{
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        bench_fail("a socket has no name: %s", strerror(errno));
    return ntohs(at.sin_port);
}

/* coturn closes its socket once more for a moment when it has begun to answer. */
static ssize_t ask_once(int fd, const void *question, size_t size, uint8_t *ret, size_t cap)
{
    if (send(fd, question, size, 0) != (ssize_t)size)
        return -1;
    return recv(fd, ret, cap, 0);
}

size_t bench_ask(int fd, const void *question, size_t size, uint8_t *ret, size_t cap, const char *what)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    const uint64_t until = bench_now_ns() + PATIENCE_S * 1000000000ULL;
    ssize_t got;
    while ((got = ask_once(fd, question, size, ret, cap)) < 0 && errno == ECONNREFUSED && bench_now_ns() < until)
        nanosleep(&moment, NULL);
    if (got < 0)
        bench_fail("no answer to %s: %s", what, strerror(errno));
    return (size_t)got;
}
