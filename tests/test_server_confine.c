/* The filter is installed in a child, which then tries one thing: SIGSYS, or it lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "server/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the parent has opened before: a UDP socket, a listening TCP socket and somebody who connects to it, an epoll. */
static int udp, listening, connecting, epoll;

/* The wait status of a child that does this behind the filter; it returns what is to be the exit status. */
static int status_of(int (*act)(void))
{
    int status;
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(confine_process(true) ? act() : 99);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void skip_if_sanitized(void)
{
    if (!CONFINE_SANITIZED)
        return;
    print_message("built with a sanitizer: nothing is limited\n");
    skip();
}

static int make_tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0;
}
static int make_udp_socket(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0) < 0;
}
static int open_to_read(void)
{
    return open("/etc/passwd", O_RDONLY) < 0;
}
static int open_to_write(void)
{
    return open("/tmp/p2p-server-confined", O_WRONLY | O_CREAT, 0600) < 0;
}
static int run_a_program(void)
{
    char name[] = "/bin/true", *argv[] = {name, NULL}, *environment[] = {NULL};
    return execve(name, argv, environment);
}
static int fork_a_process(void)
{
    return fork() < 0;
}
static int connect_elsewhere(void)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(udp, (const struct sockaddr *)&to, sizeof to);
}
static int bind_again(void)
{
    const struct sockaddr_in at = {.sin_family = AF_INET};
    return bind(udp, (const struct sockaddr *)&at, sizeof at);
}
static int set_socket_option(void)
{
    const int one = 1;
    return setsockopt(udp, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
}
static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}
static int make_code_of_data(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
static int kill_the_parent(void)
{
    return kill(getppid(), 0);
}
static int signal_another(void)
{
    return (int)syscall(SYS_tgkill, 1, 1, 0);
}
static int trace(void)
{
    return prctl(PR_SET_DUMPABLE, 1);
}
static int become_root(void)
{
    return setuid(0);
}
#if defined(__x86_64__)
static int call_by_the_other_table(void) /* x32: other numbers for the same calls */
{
    return (int)syscall(0x40000000 + SYS_getpid) < 0;
}
#endif

static void what_the_loop_never_does_is_the_end(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*act)(void);
    } deeds[] = {
        {"a TCP socket", make_tcp_socket},
        {"a UDP socket", make_udp_socket},
        {"reading a file", open_to_read},
        {"writing a file", open_to_write},
        {"execve", run_a_program},
        {"fork", fork_a_process},
        {"connect", connect_elsewhere},
        {"bind", bind_again},
        {"setsockopt", set_socket_option},
        {"mmap of code", map_code},
        {"mprotect to code", make_code_of_data},
        {"kill", kill_the_parent},
        {"tgkill of somebody else", signal_another},
        {"prctl", trace},
        {"setuid", become_root},
#if defined(__x86_64__)
        {"x32", call_by_the_other_table},
#endif
    };
    skip_if_sanitized();
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        const int status = status_of(deeds[i].act);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status 0x%x instead of SIGSYS", deeds[i].name, (unsigned)status);
    }
}

/* Each step that fails gives a number of its own. */
static int live(void)
{
    uint8_t bytes[64];
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    struct timespec now;
    if (getsockname(udp, (struct sockaddr *)&at, &size) != 0)
        return 1;
    struct iovec part = {.iov_base = bytes, .iov_len = 5};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &part, .msg_iovlen = 1}};
    if (sendmmsg(udp, &message, 1, 0) != 1 || recvmmsg(udp, &message, 1, 0, NULL) != 1 || message.msg_len != 5)
        return 2;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event) != 0 || epoll_wait(epoll, &event, 1, 5000) != 1)
        return 3;
    const int accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (accepted < 0 || setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        return 4;
    if (send(accepted, "hello", 5, MSG_NOSIGNAL) != 5 || recv(connecting, bytes, sizeof bytes, 0) != 5)
        return 5;
    part.iov_base = (void *)(uintptr_t) "hello";
    if (writev(accepted, &part, 1) != 5 || read(connecting, bytes, sizeof bytes) != 5)
        return 6;
    if (fcntl(accepted, F_SETFL, O_NONBLOCK) != 0 || shutdown(accepted, SHUT_RDWR) != 0 || close(accepted) != 0)
        return 7;
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes || clock_gettime(CLOCK_BOOTTIME, &now) != 0 ||
        poll(NULL, 0, 1) != 0)
        return 8;
    for (size_t bytes_each = 16; bytes_each < 64U << 20; bytes_each *= 4) { /* from the heap and by mappings */
        void *block = malloc(bytes_each);
        if (block == NULL)
            return 9;
        memset(block, 1, bytes_each);
        block = realloc(block, 2 * bytes_each);
        free(block);
    }
    return 0;
}

static void what_the_loop_does_goes_on(void **state)
{
    (void)state;
    assert_int_equal(status_of(live), 0);
}

/* So that a failed assertion says what it is. */
static int die(void)
{
    abort();
}
static void abort_is_still_sigabrt(void **state)
{
    (void)state;
    const int status = status_of(die);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static int open_without_filter(void)
{
    return open("/etc/passwd", O_RDONLY) < 0;
}
static void limits_hold_without_the_filter_too(void **state)
{
    (void)state;
    int status;
    skip_if_sanitized();
    const pid_t child = fork();
    if (child == 0) {
        struct rlimit processes, core;
        _exit(!confine_process(false) || open_without_filter() || prctl(PR_GET_DUMPABLE) != 0 ||
              prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || getrlimit(RLIMIT_NPROC, &processes) != 0 ||
              getrlimit(RLIMIT_CORE, &core) != 0 || processes.rlim_max != 0 || core.rlim_max != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int open_all(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    (void)state;
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    connecting = socket(AF_INET, SOCK_STREAM, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    return bind(udp, (struct sockaddr *)&at, size) | bind(listening, (struct sockaddr *)&at, size) |
           listen(listening, 1) | getsockname(listening, (struct sockaddr *)&at, &size) |
           connect(connecting, (struct sockaddr *)&at, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_loop_never_does_is_the_end),
        cmocka_unit_test(what_the_loop_does_goes_on),
        cmocka_unit_test(abort_is_still_sigabrt),
        cmocka_unit_test(limits_hold_without_the_filter_too),
    };
    return cmocka_run_group_tests(tests, open_all, NULL);
}
