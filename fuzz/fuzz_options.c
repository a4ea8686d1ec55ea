/* p2p-client's command line, its environment and the keyword's file. Input: a byte whose lowest bits say which of
 * P2P_SERVER and P2P_KEYWORD are set, then texts that end with NUL: these, the file's content, the arguments. */
#include "client/buffer.h"
#include "client/options.h"
#include "client/secret.h"
#include "shapes.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

const struct fuzz_shape *fuzz_shape = &shape_options;

enum { ARGUMENTS_MAX = 24, TEXT_MAX = 2048 };

/* Every file is the one of the input, and there is no terminal. */
static const char *file_text;
static int input_open(const char *path, int flags)
{
    if (flags & O_RDWR || strcmp(path, "missing") == 0)
        return -1;
    int fd = memfd_create("keyword", MFD_CLOEXEC);
    size_t size = strlen(file_text);
    FUZZ_CHECK(fd >= 0 && write(fd, file_text, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

#define open input_open
#include "src/client/secret.c"

/* The next text; "" at the end. */
static char *take(char **at, char *end)
{
    char *text = *at;
    if (text == end)
        return text;
    *at += strlen(text);
    *at += *at < end;
    return text;
}

static void check_error(const char *error)
{
    FUZZ_CHECK(memchr(error, '\0', OPTIONS_ERROR_MAX) != NULL && error[0] != '\0');
}

/* The keyword may be the value of another option too; where it was given as one, nothing of it is left. */
static void check_overwritten(int argc, char *const *given, char typed[][TEXT_MAX + 1])
{
    int overwritten = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(given[i], typed[i]) == 0)
            continue;
        overwritten++;
        const size_t size = strlen(typed[i]);
        size_t rest = strlen(given[i]);
        FUZZ_CHECK(rest == 0 || given[i][rest - 1] == '=');
        for (; rest < size; rest++)
            FUZZ_CHECK(given[i][rest] == '\0');
    }
    FUZZ_CHECK(overwritten >= 1);
}

static void run(int argc, char **argv)
{
    static char typed[ARGUMENTS_MAX + 1][TEXT_MAX + 1];
    static struct options o;
    struct keyword k;
    struct buffer line = {0};
    char error[OPTIONS_ERROR_MAX] = "";
    char *given[ARGUMENTS_MAX + 1]; /* getopt_long reorders argv */
    for (int i = 1; i < argc; i++) {
        given[i] = argv[i];
        memcpy(typed[i], argv[i], strlen(argv[i]) + 1);
    }
    if (!options_parse(&o, argc, argv, error)) {
        check_error(error);
        return;
    }
    if (o.help || o.version)
        return;
    FUZZ_CHECK(o.wait_s <= WAIT_S_MAX && o.name_size <= NAME_BYTES_MAX);
    FUZZ_CHECK(o.server.port != 0 && strlen(o.server.host) <= HOST_BYTES_MAX);
    FUZZ_CHECK(o.server.numeric.family == ADDR_NONE || addr_is_sendable(&o.server.numeric));
    options_other_side(&o, "42-crab-lunar-toast", &line);
    FUZZ_CHECK(line.at != NULL && strchr(line.at, '\n') == NULL);
    buffer_free(&line);
    if (!secret_obtain(&k, &o, false, error)) {
        check_error(error);
        return;
    }
    FUZZ_CHECK(k.form == KEYWORD_NEW || (k.size >= 1 && k.size <= KEYWORD_BYTES_MAX));
    FUZZ_CHECK(getenv("P2P_KEYWORD") == NULL);
    if (o.keyword_source == KEYWORD_FROM_FLAG)
        check_overwritten(argc, given, typed);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    char text[TEXT_MAX + 1], *end, *next = text, *argv[ARGUMENTS_MAX + 1] = {"p2p-client"};
    static char server[TEXT_MAX + 32], keyword[TEXT_MAX + 32]; /* putenv keeps them */
    int argc = 1;
    if (size < 1)
        return 0;
    size_t length = size - 1 < TEXT_MAX ? size - 1 : TEXT_MAX;
    memcpy(text, at + 1, length);
    text[length] = '\0';
    end = text + length;

    unsetenv("P2P_SERVER");
    unsetenv("P2P_KEYWORD");
    if (at[0] & 1) {
        snprintf(server, sizeof server, "P2P_SERVER=%s", take(&next, end));
        putenv(server);
    }
    if (at[0] & 2) {
        snprintf(keyword, sizeof keyword, "P2P_KEYWORD=%s", take(&next, end));
        putenv(keyword);
    }
    file_text = at[0] & 4 ? take(&next, end) : "";
    while (next < end && argc < ARGUMENTS_MAX)
        argv[argc++] = take(&next, end);
    run(argc, argv);
    return 0;
}
