#include "server/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- root ---- */

bool confine_user(const char *name)
{
    const struct passwd *user = getpwnam(name);
    if (user == NULL) {
        fprintf(stderr, "p2p-server: --user: there is no user '%s' any more; create it or name another\n", name);
        return false;
    }
    const uid_t uid = user->pw_uid;
    const gid_t gid = user->pw_gid;
    if (setgroups(1, &gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
        fprintf(stderr, "p2p-server: --user: cannot become '%s': %s; start as root or leave it out\n", name,
                strerror(errno));
        return false;
    }
    if (uid != 0 && (setuid(0) == 0 || getuid() != uid || geteuid() != uid)) {
        fprintf(stderr, "p2p-server: --user: '%s' could become root again; name a user without privileges\n", name);
        return false;
    }
    return true;
}

/* ---- system calls ---- */

static const int allowed[] = {
    /* datagrams */
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
    /* the loop, its timers and its signals */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getrandom),
    /* stdout, the log, the service manager; and the metrics, whose socket has been listening since the start */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(accept4),
    SCMP_SYS(accept),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    /* memory, and the end */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

struct allowed_if { /* one argument, or a part of its bits, has this value */
    int call;
    struct scmp_arg_cmp argument;
};

static int add_rules(scmp_filter_ctx filter)
{
    const struct allowed_if conditional[] = {
        {SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        {SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        {SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS, 0)}, /* stdio asks whether stdout is a terminal */
        {SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0)},
        {SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0)},
        {SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETFD, 0)},
        {SCMP_SYS(setsockopt), SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP, 0)}, /* the metrics' answer: when it is sent */
        {SCMP_SYS(getsockopt), SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0)},
        {SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0)}, /* abort() */
    };
    int error = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < sizeof conditional / sizeof conditional[0] && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, conditional[i].call, 1, conditional[i].argument);
    return error;
}

static bool install_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int error = filter == NULL ? -ENOMEM : 0;
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error == 0)
        error = add_rules(filter);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    if (error != 0)
        fprintf(stderr,
                "p2p-server: cannot limit the system calls (seccomp): %s; allow it where the server runs (in the "
                "container's profile), or do without: --no-seccomp\n",
                strerror(-error));
    return error == 0;
}

/* ---- all together ---- */

static bool is_file(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

static bool set_limits(void)
{
    const struct rlimit none = {0};
    /* Somebody's log may be a file; there is no other that could grow. */
    if (!is_file(STDOUT_FILENO) && !is_file(STDERR_FILENO) && setrlimit(RLIMIT_FSIZE, &none) != 0)
        return false;
    return setrlimit(RLIMIT_NPROC, &none) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0;
}

bool confine_process(bool filter)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || (!CONFINE_SANITIZED && !set_limits())) {
        fprintf(stderr, "p2p-server: cannot give up privileges: %s; does a container or a security module forbid it?\n",
                strerror(errno));
        return false;
    }
    return CONFINE_SANITIZED || !filter || install_filter();
}
