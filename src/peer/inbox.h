/* inbox.h: the other's stream of messages: pieces in any order in, whole messages in order out. Pure. */
#ifndef PEER_INBOX_H
#define PEER_INBOX_H
#include "wire/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INBOX_PIECES_MAX = 64 /* behind gaps */, INBOX_MARKS_MAX = 64 };

struct inbox {                  /* all zero at the start */
    uint8_t ring[CREDIT_BYTES]; /* byte n of the stream is at n % CREDIT_BYTES */
    uint64_t taken;             /* everything below has been taken as messages */
    struct {
        uint64_t from, to;
    } pieces[INBOX_PIECES_MAX + 1]; /* what has arrived above, lowest first, never touching; one continues the stream */
    unsigned piece_count;
    uint64_t messages; /* taken */
    uint64_t written;  /* of those, how many the program has written out */
    struct {
        uint64_t number, end;
    } marks[INBOX_MARKS_MAX]; /* where taken, unwritten messages end */
    unsigned mark_count;
    uint64_t written_end; /* everything below is written out: what credit counts from */
};

struct inbox_message {
    uint64_t id;
    uint64_t number; /* from 1 */
    size_t size;
};

enum inbox_verdict { INBOX_STORED, INBOX_FULL /* credit or pieces: drop the packet */ };
enum inbox_verdict inbox_put(struct inbox *b, uint64_t offset, const uint8_t *at, size_t size);

enum inbox_next { INBOX_NOTHING, INBOX_MESSAGE, INBOX_BROKEN /* not a stream of ours: end the session */ };
/* Is a whole message there? Takes nothing. */
enum inbox_next inbox_peek(const struct inbox *b, struct inbox_message *ret);
/* Takes the message that inbox_peek told of; its text goes to ret (ret->size bytes). INBOX_BROKEN: not UTF-8. */
enum inbox_next inbox_take(struct inbox *b, const struct inbox_message *m, uint8_t *ret_text);
/* The program has written message `number` and all before it. */
void inbox_written(struct inbox *b, uint64_t number);
uint64_t inbox_limit(const struct inbox *b);
#endif
