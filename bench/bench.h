/* bench.h: what the programs of bench/ share: clocks, sockets on loopback, and how they give up.
 * They are called by bench/run.py; each prints its result as one JSON object. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* CLOCK_MONOTONIC. */
uint64_t bench_now_ns(void);
/* The CPU time of all threads of a process, to the nanosecond (clock_getcpuclockid(3)). */
uint64_t bench_cpu_ns(pid_t pid);
/* Says why on stderr and ends the program with status 1. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A decimal number from min to max; otherwise fails and says which argument was wrong. */
uint64_t bench_number(const char *name, const char *text, uint64_t min, uint64_t max);
double bench_seconds(const char *name, const char *text);

/* What a process does while it is loaded. */
struct bench_use {
    uint64_t now_ns, cpu_ns;
    uint64_t waited_ns; /* could have run, and had to wait for the core; 0 where the kernel does not say */
};
struct bench_use bench_use_of(pid_t pid);
/* Prints, as members of a JSON object, the seconds between the two, the CPU time, and for which part of the time it
 * slept, having nothing to do. */
void bench_use_print(const struct bench_use *began, const struct bench_use *ended);

/* 127.a.b.c, a and b and c being the lowest 24 bits of `host`; every one of them is this machine. */
struct sockaddr_in bench_loopback(uint32_t host, uint16_t port);
/* A blocking UDP socket bound there (port 0: any) with a large receive buffer; receiving gives up after 5 s. */
int bench_socket(uint32_t host, uint16_t port);
/* The same at every address of this machine, any port. */
int bench_socket_everywhere(void);
uint16_t bench_port_of(int fd);
/* Sends a question and waits for a datagram; fails, naming `what`, when none comes. */
size_t bench_ask(int fd, const void *question, size_t size, uint8_t *ret, size_t cap, const char *what);
#endif
