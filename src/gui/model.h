/* model.h: what the window shows. Events of `p2p-client --json` go in, state and commands come out.
 * Pure but for the heap: no GTK, no clock, no process. Everything that came from others or from the client is fit
 * to be shown (client/display) before it is kept. Times are seconds since 1970, given by the caller. */
#ifndef GUI_MODEL_H
#define GUI_MODEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "client/buffer.h"
#include "wire/limits.h"

enum {
    ENTRIES_MAX    = 2000,              /* remembered; what is older is forgotten, whatever a flood costs */
    RECEIPTS_MAX   = ROOM_PEOPLE_MAX,   /* of one message */
    BANNER_BYTES   = 600,
    SAME_SENDER_S  = 120,               /* what follows so soon belongs to the bubble above it */
};

/* ---- what there is to see ---- */

enum link_state {
    LINK_NONE,       /* no client: the join screen */
    LINK_STARTING,   /* it has not said hello */
    LINK_SEARCHING,  /* the server has not answered yet */
    LINK_REGISTERED,
    LINK_LOST,       /* the server does not answer any more; those who are here may still be reached */
    LINK_ENDED,      /* the client is gone, and nobody asked it to go */
};

enum route { ROUTE_NONE, ROUTE_RELAY, ROUTE_DIRECT, ROUTE_LAN };

struct person {
    uint32_t   peer; /* the client's number, from 1 */
    enum route route;
    double     rtt_ms; /* below 0: not known */
    bool       ignored;
    bool       verified;  /* somebody has said that the words are the same */
    char      *name, *reason, *address; /* never NULL */
};

enum entry_kind { ENTRY_NOTICE, ENTRY_RECEIVED, ENTRY_OWN };

/* Of an own message. */
enum mark {
    MARK_QUEUED,    /* no client has it: it is sent when there is one */
    MARK_WAITING,   /* nobody is there yet */
    MARK_SENT,
    MARK_PARTLY,    /* some have it, some never will */
    MARK_DELIVERED, /* everybody whom it was for has it */
    MARK_FAILED,    /* nobody has it, as far as is known */
};

enum receipt_state { RECEIPT_PENDING, RECEIPT_DELIVERED, RECEIPT_FAILED };

struct receipt {
    uint32_t           peer;
    enum receipt_state state;
};

struct entry {
    enum entry_kind kind;
    uint64_t        number; /* counts up */
    int64_t         time_s;
    uint32_t        peer;     /* RECEIVED: whose */
    bool            follows;  /* RECEIVED, OWN: goes on where the entry before it stopped */
    char           *name;     /* RECEIVED: as it was then */
    char           *text;     /* as shown */
    /* OWN: */
    enum mark       mark;
    char           *typed;    /* as it is sent */
    char           *failure;  /* why, or NULL */
    uint64_t        id;       /* 0: not given to a client */
    size_t          receipt_count;
    struct receipt  receipts[RECEIPTS_MAX];
};

enum banner_action { BANNER_NOTHING, BANNER_RECONNECT, BANNER_NEW_KEYWORD };

struct banner { /* text "" : none */
    char               text[BANNER_BYTES];
    enum banner_action action;
    bool               is_error;
};

/* How the client went. */
struct ending {
    int         status; /* of its exit; meaningless with a signal */
    int         signal; /* 0: none */
    const char *said;   /* its last line on stderr; "" */
};

struct model;

/* ---- what is told to the one who shows it ---- */

enum entry_change { ENTRY_ADDED, ENTRY_CHANGED, ENTRY_REMOVED };
enum {
    CHANGED_STATE = 1, CHANGED_PEOPLE = 2, CHANGED_BANNERS = 4, CHANGED_KEYWORD = 8, CHANGED_WORDS = 16,
};

struct model_view {
    void (*entry)(void *data, const struct entry *entry, enum entry_change change);
    void (*changed)(void *data, unsigned what);
    /* A line for the client's input, with its newline. Not called while there is no client. */
    void (*command)(void *data, const char *line, size_t size);
};

struct model *model_new(const struct model_view *view, void *data);
void model_free(struct model *m);

/* ---- what happens ---- */

/* A new client is being started. Who was here is forgotten; what was queued goes to it when it says hello. `fresh`:
 * a chat of its own, not the one before again: what is shown is forgotten, too. */
void model_start(struct model *m, const char *server, bool fresh);
/* A line of its output, without the newline. What is no event that we know is skipped. */
void model_line(struct model *m, const char *line, size_t size, int64_t now_s);
/* Its process is gone. False: it never got as far as hello, and banner(m).text says why. */
bool model_ended(struct model *m, const struct ending *ending, int64_t now_s);

/* False: one sentence in *ret_why ("": there was nothing to send), and nothing has happened. */
bool model_send(struct model *m, const char *text, size_t size, int64_t now_s, const char **ret_why);
/* An own message with MARK_FAILED or MARK_PARTLY, as a new one at the end. */
void model_send_again(struct model *m, uint64_t number, int64_t now_s);
void model_ask_words(struct model *m, uint32_t peer);
void model_ask_people(struct model *m);
void model_set_verified(struct model *m, uint32_t peer, bool same);
void model_ignore(struct model *m, uint32_t peer);
/* False: it is no name (1 to 64 bytes, no control characters). */
bool model_rename(struct model *m, const char *name);
/* Asks the client to go; its end is then no surprise. */
void model_leave(struct model *m);
void model_dismiss_advice(struct model *m);

/* ---- looking in ---- */

enum link_state model_link(const struct model *m);
/* The one furthest from direct: what the whole room has reached. ROUTE_NONE: nobody is here. */
enum route model_route(const struct model *m);
size_t model_people(const struct model *m, const struct person **ret);
const struct person *model_person(const struct model *m, uint32_t peer);
bool model_somebody_came(const struct model *m);
/* Own messages that somebody present has not got yet, or that wait. */
size_t model_undelivered(const struct model *m);
size_t model_entry_count(const struct model *m);
const struct entry *model_entry(const struct model *m, size_t index);
/* Of the link: goes by itself. */
const struct banner *model_trouble(const struct model *m);
/* The latest warning: stays until it is dismissed. */
const struct banner *model_advice(const struct model *m);
/* What --new made, and the command for the other side; NULL: nothing yet. */
const char *model_keyword(const struct model *m);
const char *model_invitation(const struct model *m);
/* "crab lunar toast maple", or NULL if they have not been asked for. */
const char *model_words(const struct model *m, uint32_t peer);
/* What is known of the own network, in words; "" if nothing. */
const char *model_network(const struct model *m);
#endif
