#include "client/transcript.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char cut_note[] = "(what was before is not kept)\n";

/* The older half goes, so that this happens seldom. */
static void forget_old(struct transcript *t)
{
    char *half = t->text.at + t->text.size / 2;
    char *newline = memchr(half, '\n', t->text.size - t->text.size / 2);
    size_t gone = newline == NULL ? t->text.size : (size_t)(newline + 1 - t->text.at);
    memmove(t->text.at, t->text.at + gone, t->text.size - gone + 1);
    t->text.size -= gone;
    t->cut = true;
}

void transcript_add(struct transcript *t, const char *entry, size_t size)
{
    char when[32];
    struct tm local;
    time_t now = time(NULL);
    localtime_r(&now, &local);
    size_t when_size = strftime(when, sizeof when, "%F %T ", &local);
    if (t->text.size + when_size + size + 1 > TRANSCRIPT_BYTES_MAX)
        forget_old(t);
    buffer_add(&t->text, when, when_size);
    buffer_add(&t->text, entry, size);
    buffer_add(&t->text, "\n", 1);
}

static bool write_all(int fd, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, at, size);
        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0) {
            at += put;
            size -= (size_t)put;
        }
    }
    return true;
}

int transcript_save(const struct transcript *t, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return errno;
    bool good =
        (!t->cut || write_all(fd, cut_note, sizeof cut_note - 1)) && write_all(fd, buffer_text(&t->text), t->text.size);
    int error = errno;
    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (!good)
        unlink(path);
    return good ? 0 : error;
}

void transcript_wipe(struct transcript *t)
{
    if (t->text.at != NULL)
        explicit_bzero(t->text.at, t->text.cap);
    buffer_free(&t->text);
}
