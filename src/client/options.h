/* options.h: what the command line and the environment ask for. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/host.h"
#include "peer/engine.h"
#include "wire/addr.h"

enum {
    WAIT_S_DEFAULT      = 86400,
    WAIT_S_MAX          = 1000000000, /* 31 years: no sum of microseconds overflows */
    KEYWORD_TYPED_MAX   = 1024,       /* as typed; the normal form of a longer one would be too long, too */
    OPTIONS_ERROR_MAX   = 512,
};

enum client_mode { MODE_AUTO, MODE_CONSOLE, MODE_JSON };
enum keyword_source { KEYWORD_FROM_NOWHERE, KEYWORD_FROM_FLAG, KEYWORD_FROM_FILE, KEYWORD_FROM_NEW };

struct options {
    bool                help, version;
    enum client_mode    mode;
    enum relay_policy   relay;
    enum keyword_source keyword_source;
    char                keyword[KEYWORD_TYPED_MAX]; /* from the flag; not terminated; secret */
    size_t              keyword_size;               /* over KEYWORD_TYPED_MAX: it was cut, it is too long */
    const char         *keyword_file;
    struct host_port    server;
    bool                server_given; /* by flag or P2P_SERVER */
    char                server_text[HOST_BYTES_MAX + 16]; /* as given */
    uint8_t             name_size;
    uint8_t             name[NAME_BYTES_MAX];
    uint64_t            wait_s; /* 0: for ever */
};

/* Reads the flags and P2P_SERVER. The value of --keyword is overwritten in argv. False: wrong usage, one
 * sentence in ret_error. With help or version the rest has not been looked at. */
bool options_parse(struct options *ret, int argc, char **argv, char ret_error[static OPTIONS_ERROR_MAX]);
/* The command that brings somebody else into the same chat, for --new. */
struct buffer;
void options_other_side(const struct options *o, const char *keyword, struct buffer *ret);

extern const char options_usage[];
#endif
