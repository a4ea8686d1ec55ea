/* By hand, and not libsystemd's: the protocols are promised not to change, what is needed of them is a getenv() and a
 * datagram, and the library would bring four others (lzma, zstd, lz4, gcrypt) into a program that faces strangers. */
#include "server/service.h"
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager = -1;

/* 0 for what is no number, or none at all. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    const uint64_t number = strtoumax(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}

unsigned service_passed(void)
{
    const uint64_t count = number_of("LISTEN_FDS");
    if (number_of("LISTEN_PID") != (uint64_t)getpid())
        return 0;
    return count < UINT16_MAX ? (unsigned)count : UINT16_MAX;
}

bool service_open(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (name == NULL)
        return true;
    const size_t size = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || size >= sizeof at.sun_path) {
        fprintf(stderr,
                "p2p-server: NOTIFY_SOCKET is '%.100s', which is neither a path nor an abstract name; unset it to do "
                "without\n",
                name);
        return false;
    }
    memcpy(at.sun_path, name, size);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager >= 0 &&
        connect(manager, (const struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) == 0)
        return true;
    fprintf(stderr,
            "p2p-server: cannot reach the service manager at NOTIFY_SOCKET '%.100s': %s; unset it to do without\n",
            name, strerror(errno));
    return false;
}

void service_say(const char *state)
{
    if (manager >= 0)
        send(manager, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

uint64_t service_watchdog_us(void)
{
    if (getenv("WATCHDOG_PID") != NULL && number_of("WATCHDOG_PID") != (uint64_t)getpid())
        return 0;
    return number_of("WATCHDOG_USEC");
}
