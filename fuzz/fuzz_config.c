/* p2p-server's command line and configuration file. Input: texts that end with NUL: the file, then the arguments. */
#include "server/options.h"
#include "shapes.h"
#include <pwd.h>

const struct fuzz_shape *fuzz_shape = &shape_config;

enum { ARGUMENTS_MAX = 24, TEXT_MAX = 4096 };

/* Every file is the one of the input, and there is one user. */
static char *file_text;
static FILE *input_fopen(const char *path, const char *mode)
{
    (void)mode;
    size_t size = strlen(file_text);
    if (strcmp(path, "missing") == 0)
        return NULL;
    return size == 0 ? fmemopen(NULL, 1, "r") : fmemopen(file_text, size, "r");
}

static struct passwd *input_getpwnam(const char *name)
{
    static struct passwd nobody;
    return strcmp(name, "nobody") == 0 ? &nobody : NULL;
}

#define fopen    input_fopen
#define getpwnam input_getpwnam
#include "src/server/options.c"

static void run(int argc, char **argv)
{
    struct options o;
    char error[OPTIONS_ERROR_MAX];
    memset(error, 0x55, sizeof error);
    enum options_verdict verdict = options_parse(&o, argc, argv, error);
    if (verdict == OPTIONS_WRONG) {
        FUZZ_CHECK(memchr(error, '\0', sizeof error) != NULL && error[0] != '\0');
        return;
    }
    if (verdict != OPTIONS_RUN && verdict != OPTIONS_CHECK)
        return;
    FUZZ_CHECK(o.listen_count >= 1 && o.listen_count <= OPTIONS_LISTEN_MAX);
    FUZZ_CHECK(o.user[0] == '\0' || strcmp(o.user, "nobody") == 0);
    for (size_t i = 0; i < o.listen_count; i++) {
        FUZZ_CHECK(o.listen[i].family != ADDR_NONE);
        FUZZ_CHECK(o.alternate_port == 0 || o.alternate_port != o.listen[i].port);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    char text[TEXT_MAX + 1], *argv[ARGUMENTS_MAX + 1] = {"p2p-server"};
    int argc = 1;
    size = size < TEXT_MAX ? size : TEXT_MAX;
    memcpy(text, at, size);
    text[size] = '\0';
    file_text = text;
    for (char *next = text + strlen(text) + 1; next < text + size && argc < ARGUMENTS_MAX; next += strlen(next) + 1)
        argv[argc++] = next;
    run(argc, argv);
    return 0;
}
