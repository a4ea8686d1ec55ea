/* hex.h: for tests: hexadecimal text, and files of `name = hex` lines. Paths are from the root of the tree. */
#ifndef TESTS_HEX_H
#define TESTS_HEX_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants some of these first */
#include <cmocka.h>

struct blob {
    size_t size;
    uint8_t at[1024];
};

/* Takes hex digits up to the first other character. */
static inline struct blob hex_parse(const char *text)
{
    struct blob b = {0};
    size_t digits = strspn(text, "0123456789abcdef");
    assert_int_equal(digits % 2, 0);
    assert_true(digits / 2 <= sizeof b.at);
    for (; b.size < digits / 2; b.size++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * b.size, "%2x", &byte), 1);
        b.at[b.size] = (uint8_t)byte;
    }
    return b;
}

/* The value of "prefix.name" (or of "name" with an empty prefix) in a file; fails the test if it is not there. */
static inline struct blob hex_lookup(const char *path, const char *prefix, const char *name)
{
    char line[4096], wanted[128];
    struct blob b = {0};
    bool found = false;
    snprintf(wanted, sizeof wanted, "%s%s%s = ", prefix, prefix[0] != '\0' ? "." : "", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f) != NULL) {
        found = strncmp(line, wanted, strlen(wanted)) == 0;
        if (found)
            b = hex_parse(line + strlen(wanted));
    }
    fclose(f);
    if (!found)
        fail_msg("%s has no %s", path, wanted);
    return b;
}

#define assert_blob(b, bytes, length)                                                                                  \
    do {                                                                                                               \
        assert_int_equal((b).size, (length));                                                                          \
        assert_memory_equal((b).at, (bytes), (length));                                                                \
    } while (0)
#endif
