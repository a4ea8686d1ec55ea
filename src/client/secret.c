#include "client/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static bool accept_keyword(struct keyword *ret, const char *where, const char *text, size_t size,
                           char ret_error[static OPTIONS_ERROR_MAX])
{
    enum keyword_error error = size > KEYWORD_TYPED_MAX ? KEYWORD_TOO_LONG : keyword_parse(ret, text, size);
    if (error != KEYWORD_OK)
        snprintf(ret_error, OPTIONS_ERROR_MAX, "%s: %s", where, keyword_error_text(error));
    return error == KEYWORD_OK;
}

/* ---- a file ---- */

/* Up to `cap` bytes of the first line; returns how many, without the line's end, or -1. */
static ssize_t read_line(int fd, char *at, size_t cap)
{
    size_t size = 0;
    while (size < cap) {
        ssize_t got = read(fd, at + size, cap - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        char *newline = memchr(at + size, '\n', (size_t)got);
        if (newline != NULL)
            return newline - at;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    return (ssize_t)size;
}

static bool from_file(struct keyword *ret, const char *path, char ret_error[static OPTIONS_ERROR_MAX])
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    char line[KEYWORD_TYPED_MAX + 1], where[300];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t size = fd < 0 ? -1 : read_line(fd, line, sizeof line);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (size < 0) {
        snprintf(ret_error, OPTIONS_ERROR_MAX,
                 "--keyword-file: cannot read '%.200s': %s; its first line is to be the keyword", path,
                 strerror(error));
        return false;
    }
    const char *text = line;
    if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (size > 0 && text[size - 1] == '\r')
        size--;
    snprintf(where, sizeof where, "--keyword-file: the first line of '%.200s'", path);
    bool good = accept_keyword(ret, where, text, (size_t)size, ret_error);
    explicit_bzero(line, sizeof line);
    return good;
}

/* ---- the environment ---- */

/* The bytes of the environment stay readable in /proc after unsetenv, so they are overwritten. */
static bool take_environment(struct options *o)
{
    char *value = getenv("P2P_KEYWORD");
    if (value == NULL)
        return false;
    size_t size = strlen(value);
    bool used = o->keyword_source == KEYWORD_FROM_NOWHERE;
    if (used) {
        o->keyword_size = size;
        memcpy(o->keyword, value, size < KEYWORD_TYPED_MAX ? size : KEYWORD_TYPED_MAX);
    }
    explicit_bzero(value, size);
    unsetenv("P2P_KEYWORD");
    return used;
}

/* ---- the terminal ---- */

static volatile sig_atomic_t signal_seen;

static void note_signal(int number)
{
    signal_seen = number;
}

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { WATCHED = sizeof watched / sizeof *watched };

static ssize_t read_without_echo(int fd, char *at, size_t cap)
{
    struct termios before, silent;
    struct sigaction old[WATCHED];
    struct sigaction note = {.sa_handler = note_signal}; /* without SA_RESTART: read returns */
    if (tcgetattr(fd, &before) != 0)
        return -1;

    signal_seen = 0;
    for (size_t i = 0; i < WATCHED; i++)
        sigaction(watched[i], &note, &old[i]);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    tcsetattr(fd, TCSAFLUSH, &silent);

    ssize_t got = read(fd, at, cap); /* canonical mode: a line */

    tcsetattr(fd, TCSAFLUSH, &before);
    for (size_t i = 0; i < WATCHED; i++)
        sigaction(watched[i], &old[i], NULL);
    if (write(fd, "\n", 1) < 0)
        return -1;
    if (signal_seen != 0)
        raise(signal_seen); /* with the terminal as it was */
    return got;
}

static bool from_terminal(struct keyword *ret, int fd, char ret_error[static OPTIONS_ERROR_MAX])
{
    static const char question[] = "Keyword: ";
    char line[KEYWORD_TYPED_MAX + 1];
    ssize_t size;
    do { /* again after Ctrl-Z and fg */
        size = write(fd, question, sizeof question - 1) < 0 ? -1 : read_without_echo(fd, line, sizeof line);
    } while (size < 0 && signal_seen == SIGTSTP);
    if (size < 0) {
        snprintf(ret_error, OPTIONS_ERROR_MAX,
                 "no keyword was typed; run it again, or give --keyword, --keyword-file or --new");
        return false;
    }
    if (size > 0 && line[size - 1] == '\n')
        size--;
    bool good = accept_keyword(ret, "keyword", line, (size_t)size, ret_error);
    explicit_bzero(line, sizeof line);
    return good;
}

static bool ask(struct keyword *ret, bool may_ask, char ret_error[static OPTIONS_ERROR_MAX])
{
    int fd = may_ask ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        snprintf(ret_error, OPTIONS_ERROR_MAX,
                 "no keyword, and no terminal to ask for it; give --keyword, --keyword-file, --new or P2P_KEYWORD");
        return false;
    }
    bool good = from_terminal(ret, fd, ret_error);
    close(fd);
    return good;
}

bool secret_obtain(struct keyword *ret, struct options *o, bool may_ask, char ret_error[static OPTIONS_ERROR_MAX])
{
    const char *where = take_environment(o) ? "P2P_KEYWORD" : "--keyword";
    bool good;
    switch (o->keyword_source) {
    case KEYWORD_FROM_NEW:
        *ret = (struct keyword){.form = KEYWORD_NEW};
        return true;
    case KEYWORD_FROM_FILE:
        return from_file(ret, o->keyword_file, ret_error);
    case KEYWORD_FROM_NOWHERE:
        if (strcmp(where, "P2P_KEYWORD") != 0)
            return ask(ret, may_ask, ret_error);
        break;
    case KEYWORD_FROM_FLAG:
        break;
    }
    good = accept_keyword(ret, where, o->keyword, o->keyword_size, ret_error);
    explicit_bzero(o->keyword, sizeof o->keyword);
    return good;
}
