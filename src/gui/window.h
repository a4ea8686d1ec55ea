/* window.h: the parts of the one window, and what they need of each other. Each part fills itself from the model. */
#ifndef GUI_WINDOW_H
#define GUI_WINDOW_H
#include <adwaita.h>
#include "gui/child.h"
#include "gui/model.h"
#include "gui/options.h"

struct chat;
struct side;

struct window {
    AdwApplication *app;
    GtkBuilder     *builder;
    GtkWindow      *window;
    struct model   *model;
    struct child   *child; /* NULL: none is running */
    struct join     join;  /* how it was or will be started */
    struct chat    *chat;
    struct side    *side;
    bool            closing; /* when the child is gone, so are we */
};

/* The widget of this id in window.ui; it is there. */
GtkWidget *window_get(const struct window *w, const char *id);
void window_set_label(GtkWidget *widget, const char *label); /* for those who do not see it */
void window_toast(struct window *w, const char *text);       /* plain text */
void window_enable(struct window *w, const char *action, bool enabled);
/* Starts p2p-client with w->join. `fresh` as for model_start. */
void window_start(struct window *w, bool fresh);
/* Makes the window. `at_once`: the keyword is known, no question is needed. Takes *join. */
struct window *window_new(AdwApplication *app, struct join *join, bool at_once);
void window_free(struct window *w);
/* Ends the chat, and then the program. */
void window_close(struct window *w);

/* ---- join.c: the first screen ---- */
void join_open(struct window *w);
/* Reads the fields into w->join; false: there is no keyword that can be used. */
bool join_read(struct window *w, enum join_by by);
void join_show_trouble(struct window *w, const char *text);
void join_focus(struct window *w);

/* ---- chat.c: the messages and the field for the next ---- */
struct chat *chat_new(struct window *w);
void chat_free(struct chat *c);
void chat_entry(struct chat *c, const struct entry *entry, enum entry_change change);
void chat_send(struct chat *c);
void chat_focus(struct chat *c);

/* ---- bubble.c: one entry of the list ---- */
struct bubble;
/* The row; `again` is called by its button. */
GtkWidget *bubble_new(const struct entry *entry, void (*again)(void *data, uint64_t number), void *data);
void bubble_update(GtkWidget *row, const struct entry *entry);

/* ---- side.c: the people, the path, the words ---- */
struct side *side_new(struct window *w);
void side_free(struct side *s);
void side_update(struct side *s);
void side_update_words(struct side *s);
/* 0: the only one, or the one who is shown first. */
void side_verify(struct side *s, uint32_t peer);

/* ---- invite.c: what the other person needs ---- */
GtkWidget *invite_new(struct window *w, const char *keyword, const char *invitation);
void invite_open(struct window *w);
#endif
