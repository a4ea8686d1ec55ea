/* json.h: events to lines and lines to commands, as docs and `p2p-client --help` promise them to programs. Pure but
 * for the heap. Every line ends with a newline; keys come in the documented order. */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include "client/buffer.h"
#include "peer/engine.h"

enum { JSON_LINE_MAX = 128 * 1024, JSON_ERROR_MAX = 160 };

/* ---- out ---- */

void json_hello(struct buffer *ret, const char *version, enum keyword_form form);
void json_keyword(struct buffer *ret, const char *keyword, const char *command);
/* Any event but EVENT_KEYWORD. */
void json_event(struct buffer *ret, const struct engine_event *event);
void json_peers(struct buffer *ret, const struct engine_peer *peers, size_t count);
void json_stats(struct buffer *ret, const struct engine_stat *stats, size_t count, const struct engine_peer *peers,
                size_t peer_count);
void json_verify(struct buffer *ret, uint32_t peer, const char *const words[static 4]);
/* `id` 0: of no message. */
void json_bad_command(struct buffer *ret, const char *text, uint64_t id);

/* ---- in ---- */

enum json_command_kind { JSON_SEND, JSON_PEERS, JSON_STATS, JSON_VERIFY, JSON_QUIT, JSON_NAME, JSON_IGNORE };

struct json_command {
    enum json_command_kind kind;
    uint64_t    id;   /* SEND; 0: none was given */
    uint32_t    peer; /* SEND: to, VERIFY, IGNORE; 0: none was given */
    const char *text; /* SEND, NAME: valid until json_command_free */
    size_t      text_size;
    void       *owner;
};

/* False: one sentence in ret_error, and ret->id if it could be read. Whether a peer exists is the caller's business.
 * In both cases json_command_free. */
bool json_command_parse(struct json_command *ret, const char *line, size_t size, char ret_error[static JSON_ERROR_MAX]);
void json_command_free(struct json_command *command);
#endif
