/* mailbox.h: what we have said and who has not got it yet. Pure.
 *
 * One ring of texts for all peers; a message stays until everybody that it is for has written it out or is gone.
 * For each peer slot an outbox: the messages for that peer in order, which together are its stream (p2p.proto,
 * Message). Nothing is copied per peer: a piece of the stream is put together from the ring when it is sent. */
#ifndef PEER_MAILBOX_H
#define PEER_MAILBOX_H
#include "wire/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTBOX_LOST_MAX = 128, MAILBOX_SLOTS = 32 /* bits of letter.waiting */ };

struct letter {
    uint64_t id;
    uint32_t text_at; /* in the ring of texts */
    uint16_t size;
    bool open;        /* said to nobody yet: whoever is confirmed until the linger ends gets it */
    bool delivered;   /* to at least one */
    bool failed;      /* for at least one */
    uint32_t waiting; /* bit per peer slot: addressed, not yet receipted */
    uint8_t told_count;
    uint32_t told[PEERS_MAX]; /* while open: the peers whose outcome has been told, also those who left since */
};

struct mailbox {
    uint8_t text[MAILBOX_TEXT_BYTES];
    struct letter letters[MAILBOX_MESSAGES];
    uint64_t first, next; /* letters are numbered from 0; letter n is at n % MAILBOX_MESSAGES */
    uint32_t text_used;   /* bytes, up to the ring's size */
    uint32_t text_next;
    uint64_t last_id;     /* the largest seen or assigned */
    uint64_t undelivered; /* letters that went without having been delivered to anybody */
};

struct stream_range {
    uint64_t from, to;
}; /* [from, to) */

struct outbox {                        /* all zero but limit */
    uint64_t letter[MAILBOX_MESSAGES]; /* number of letter k of this stream, at k % MAILBOX_MESSAGES */
    uint64_t start[MAILBOX_MESSAGES];  /* and where it starts in the stream */
    uint64_t first, next;              /* first: how many are receipted; next: how many were put in */
    uint64_t end;                      /* of the stream so far */
    uint64_t sent;                     /* everything below has been sent once */
    uint64_t limit;                    /* the peer's credit */
    struct stream_range lost[OUTBOX_LOST_MAX];
    unsigned lost_count;
};

struct letter *mailbox_letter(struct mailbox *m, uint64_t number);
bool mailbox_has_room(const struct mailbox *m, size_t text_size);
/* Is less than an eighth of it free? */
bool mailbox_is_short(const struct mailbox *m);
bool mailbox_id_in_use(const struct mailbox *m, uint64_t id);
/* Call only with room. id 0: the next free one. Returns the letter's number. */
uint64_t mailbox_add(struct mailbox *m, uint64_t id, const uint8_t *text, size_t size, bool open);
/* Frees finished letters at the front. Call after waiting or open of any letter changed. */
void mailbox_collect(struct mailbox *m);
/* Is any letter not finished: for somebody, or open? */
bool mailbox_is_empty(const struct mailbox *m);

void outbox_init(struct outbox *o);
/* Puts a letter at the end of the stream. */
void outbox_add(struct outbox *o, const struct mailbox *m, uint64_t number);
/* The first letter of the stream is receipted (or given up): it is no longer read. */
void outbox_pop(struct outbox *o);
/* Bytes of the stream that are receipted. */
uint64_t outbox_receipted(const struct outbox *o);
/* Have the first `count` letters of the stream been sent? */
bool outbox_was_sent(const struct outbox *o, uint64_t count);
/* The next piece to send, lost ones first, at most `cap` bytes and within the credit. False: nothing. */
bool outbox_next(const struct outbox *o, size_t cap, uint64_t *ret_offset, size_t *ret_size);
/* Its bytes. They exist as long as the letters are not receipted; false otherwise (then nothing need be sent). */
bool outbox_read(const struct outbox *o, const struct mailbox *m, uint64_t offset, size_t size, uint8_t *ret);
void outbox_sent(struct outbox *o, uint64_t offset, size_t size);
/* False: all of it is receipted, nothing need be sent again. */
bool outbox_lost(struct outbox *o, uint64_t offset, size_t size);
/* Is there more to send than the peer's credit allows? */
bool outbox_is_starved(const struct outbox *o);
/* Is there anything that could be sent if windows and paths allowed? */
bool outbox_has_more(const struct outbox *o);
#endif
