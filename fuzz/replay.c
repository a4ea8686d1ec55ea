/* Runs inputs through a harness, without a fuzzer: files, folders and packs (corpus/NAME.pack, see pack.py).
 * usage: TARGET [-v] PATH...      the last line is how many inputs ran */
#include "fuzz.h"
#include <dirent.h>
#include <sys/stat.h>

static bool verbose;
static unsigned long ran;

static void run(const char *name, const uint8_t *at, size_t size)
{
    /* Exact, so that a sanitizer sees a byte too many. */
    uint8_t *exact = malloc(size + (size == 0));
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, at, size);
    if (verbose) {
        printf("%s (%zu bytes)\n", name, size);
        fflush(stdout);
    }
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    ran++;
}

static uint8_t *load(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        perror(path);
        exit(2);
    }
    uint8_t *at = malloc((size_t)size + 1);
    FUZZ_CHECK(at != NULL);
    if (fread(at, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    *ret_size = (size_t)size;
    return at;
}

/* A pack: for each input its size (4 bytes, little-endian), then the input. */
static void run_pack(const char *path, const uint8_t *at, size_t size)
{
    for (unsigned number = 0; size > 0; number++) {
        char name[300];
        if (size < 4) {
            fprintf(stderr, "%s: cut off\n", path);
            exit(2);
        }
        size_t length = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        if (length > size - 4) {
            fprintf(stderr, "%s: cut off\n", path);
            exit(2);
        }
        snprintf(name, sizeof name, "%.250s number %u", path, number);
        run(name, at + 4, length);
        at += 4 + length;
        size -= 4 + length;
    }
}

static void run_file(const char *path)
{
    size_t size;
    uint8_t *at = load(path, &size);
    const char *ending = strrchr(path, '.');
    if (ending != NULL && strcmp(ending, ".pack") == 0)
        run_pack(path, at, size);
    else
        run(path, at, size);
    free(at);
}

static void run_path(const char *path)
{
    struct stat info;
    struct dirent **entries;
    if (stat(path, &info) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(info.st_mode)) {
        run_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char inside[4096];
        snprintf(inside, sizeof inside, "%.3800s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            run_path(inside);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            verbose = true;
        else
            run_path(argv[i]);
    }
    printf("%lu inputs\n", ran);
    return 0;
}
