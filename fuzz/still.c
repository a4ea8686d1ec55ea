#include "still.h"
#include "fuzz.h"
#include <sys/mman.h>
#include <unistd.h>

void still_open(struct still *s, size_t size)
{
    s->size = size;
    s->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(s->at != MAP_FAILED);
}

/* The same bytes at the same address out of a file, privately: what is written goes to copies of pages. */
void still_keep(struct still *s)
{
    int fd = memfd_create("still", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    for (size_t done = 0; done < s->size;) {
        ssize_t wrote = write(fd, (const char *)s->at + done, s->size - done);
        FUZZ_CHECK(wrote > 0);
        done += (size_t)wrote;
    }
    void *again = mmap(s->at, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
    FUZZ_CHECK(again == s->at);
    close(fd);
}

/* Drops those copies. */
void still_restore(struct still *s)
{
    FUZZ_CHECK(madvise(s->at, s->size, MADV_DONTNEED) == 0);
}
