/* model_internal.h: the model's inside, for model*.c only. */
#ifndef GUI_MODEL_INTERNAL_H
#define GUI_MODEL_INTERNAL_H
#include "gui/model.h"
#include "wire/text.h"
#include <jansson.h>

enum { LINE_COLUMNS = 400 }; /* of a reason, an address: more than the client ever says */

struct model {
    struct model_view view;
    void             *data;
    enum link_state   link;
    bool              leaving, somebody_came;
    char             *server; /* as given, to be named in a sentence */
    char             *nat, *observed, *keyword, *invitation; /* may be NULL */
    char             *network;
    struct banner     trouble, advice;
    struct person     people[PEERS_MAX];
    size_t            people_count;
    uint32_t          words_of; /* 0: nobody's */
    char             *words;
    struct entry     *entries[ENTRIES_MAX];
    size_t            entry_count;
    uint64_t          last_number, last_id;
};

char *text_copy(const char *text);
void text_set(char **at, const char *text);
/* Foreign text as it is shown: with its line breaks, or as one line. The caller frees it. */
char *shown_block(const char *text, size_t size);
char *shown_line(const char *text);

void model_changed(struct model *m, unsigned what);
/* A queued message to the client, if there is one. */
void model_give(struct model *m, struct entry *e);

struct person *person_find(const struct model *m, uint32_t peer);
void person_clear(struct person *p);

/* Takes what `made` points to. */
struct entry *entry_add(struct model *m, struct entry made);
void entry_free(struct entry *e);
void entry_forget_oldest(struct model *m);
struct entry *entry_find(const struct model *m, uint64_t id);
/* The receipt of this peer, a new one if there is room; NULL: there is none. */
struct receipt *entry_receipt(struct entry *e, uint32_t peer);
enum mark entry_judge(const struct entry *e);
void entry_mark(struct model *m, struct entry *e, enum mark mark);
void model_notice(struct model *m, int64_t now_s, const char *text);
/* What the banners say, and what could be done about it. */
void model_trouble_of_server(struct model *m, const char *reason);
void model_trouble_of_end(struct model *m, const struct ending *ending, bool came_up);
void model_advise(struct model *m, const char *code, const char *text);
void model_describe_network(struct model *m);
#endif
