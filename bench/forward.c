/* The least that a relay or a server can do with a datagram: what the others are compared with.
 * usage: forward BATCH [ANSWER]
 *   BATCH   1: a datagram per system call; more: up to so many at once, with recvmmsg and sendmmsg
 *   ANSWER  so many bytes go back to where a datagram came from. Without it, it goes on, whole, to the neighbour of
 *           its source: the address of which the last bit differs, and the same port
 * Says where it listens as p2p-server does, and runs until it is killed. */
#include "bench/bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH_MAX = 64, DATAGRAM_MAX = 1500 };

static struct {
    struct sockaddr_in peer[BATCH_MAX];
    uint8_t bytes[BATCH_MAX][DATAGRAM_MAX];
    struct iovec parts[BATCH_MAX];
    struct mmsghdr messages[BATCH_MAX];
} b;

static size_t answer_bytes; /* 0: forward */

static void turn(struct sockaddr_in *peer, size_t *size)
{
    if (answer_bytes == 0)
        peer->sin_addr.s_addr ^= htonl(1);
    else if (*size > answer_bytes)
        *size = answer_bytes;
}

static void run_single(int fd)
{
    for (;;) {
        socklen_t length = sizeof b.peer[0];
        ssize_t got = recvfrom(fd, b.bytes[0], DATAGRAM_MAX, 0, (struct sockaddr *)&b.peer[0], &length);
        if (got < 0)
            continue; /* nobody is told of what a test does not count */
        size_t size = (size_t)got;
        turn(&b.peer[0], &size);
        sendto(fd, b.bytes[0], size, 0, (struct sockaddr *)&b.peer[0], length);
    }
}

static void run_batched(int fd, unsigned batch)
{
    for (;;) {
        for (unsigned i = 0; i < batch; i++) {
            b.parts[i] = (struct iovec){.iov_base = b.bytes[i], .iov_len = DATAGRAM_MAX};
            b.messages[i].msg_hdr = (struct msghdr){
                .msg_name = &b.peer[i], .msg_namelen = sizeof b.peer[i], .msg_iov = &b.parts[i], .msg_iovlen = 1};
        }
        int got = recvmmsg(fd, b.messages, batch, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++) {
            size_t size = b.messages[i].msg_len;
            turn(&b.peer[i], &size);
            b.parts[i].iov_len = size;
        }
        for (int sent = 0, now; sent<got; sent += now> 0 ? now : 1)
            now = sendmmsg(fd, b.messages + sent, (unsigned)(got - sent), 0);
    }
}

int main(int argc, char *argv[])
{
    if (argc != 2 && argc != 3)
        bench_fail("usage: forward BATCH [ANSWER]");
    unsigned batch = (unsigned)bench_number("BATCH", argv[1], 1, BATCH_MAX);
    if (argc == 3)
        answer_bytes = bench_number("ANSWER", argv[2], 1, DATAGRAM_MAX);
    int fd = bench_socket(1, 0);
    const struct timeval for_ever = {0};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof for_ever) != 0)
        bench_fail("cannot wait: %s", strerror(errno));
    printf("listening on udp 127.0.0.1:%u\nready\n", bench_port_of(fd));
    fflush(stdout);
    if (batch == 1)
        run_single(fd);
    run_batched(fd, batch);
}
