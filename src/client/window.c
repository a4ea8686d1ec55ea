#include "client/window.h"
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW_PROGRAM "p2p-client-gtk"

/* A terminal, or /dev/null as a menu gives it: no pipe, no file, no socket. */
static bool is_device(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0';
}

bool window_is_wanted(const struct options *o)
{
    return o->mode == MODE_AUTO && (is_set("WAYLAND_DISPLAY") || is_set("DISPLAY")) && is_device(STDIN_FILENO) &&
           is_device(STDOUT_FILENO);
}

static bool beside_us(char *ret, size_t cap)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0)
        return false;
    self[size] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return snprintf(ret, cap, "%s/" WINDOW_PROGRAM, self) < (int)cap && access(ret, X_OK) == 0;
}

/* An installed window may lack its libraries, and a display that is named may not be there: then the terminal is
 * what is left, so it is asked before we are gone. */
static bool can_open(const char *program)
{
    char *const argv[] = {WINDOW_PROGRAM, "--probe", NULL};
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    int status;
    if (posix_spawn_file_actions_init(&quiet) != 0)
        return false;
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    bool started = posix_spawnp(&pid, program, &quiet, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&quiet);
    return started && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void pass_keyword(const struct options *o)
{
    char text[KEYWORD_TYPED_MAX + 1];
    if (o->keyword_source != KEYWORD_FROM_FLAG || o->keyword_size > KEYWORD_TYPED_MAX)
        return;
    memcpy(text, o->keyword, o->keyword_size);
    text[o->keyword_size] = '\0';
    setenv("P2P_KEYWORD", text, 1);
    explicit_bzero(text, sizeof text);
}

void window_open(const struct options *o)
{
    static const char *const relays[] = {[RELAY_AUTO] = "auto", [RELAY_NEVER] = "never", [RELAY_ONLY] = "only"};
    char wait[32], name[NAME_BYTES_MAX + 1], path[PATH_MAX];
    const char *argv[16] = {WINDOW_PROGRAM};
    size_t count = 1;
    const char *program = beside_us(path, sizeof path) ? path : WINDOW_PROGRAM; /* which is looked for in PATH */

    if (!can_open(program))
        return;

    snprintf(wait, sizeof wait, "%llu", (unsigned long long)o->wait_s);
    memcpy(name, o->name, o->name_size);
    name[o->name_size] = '\0';
    if (o->keyword_source == KEYWORD_FROM_FILE) {
        argv[count++] = "--keyword-file";
        argv[count++] = o->keyword_file;
    } else if (o->keyword_source == KEYWORD_FROM_NEW) {
        argv[count++] = "--new";
    }
    if (o->server_given) {
        argv[count++] = "--server";
        argv[count++] = o->server_text;
    }
    if (o->name_size > 0) {
        argv[count++] = "--name";
        argv[count++] = name;
    }
    argv[count++] = "--relay";
    argv[count++] = relays[o->relay];
    argv[count++] = "--wait";
    argv[count++] = wait;

    const char *before = getenv("P2P_KEYWORD");
    char *kept = before == NULL ? NULL : strdup(before);
    pass_keyword(o);
    execvp(program, (char *const *)argv);
    /* It is gone: the environment as it was. */
    if (kept != NULL)
        setenv("P2P_KEYWORD", kept, 1);
    else
        unsetenv("P2P_KEYWORD");
    if (kept != NULL)
        explicit_bzero(kept, strlen(kept));
    free(kept);
}
