/* The first screen: keyword, name, server. */
#include "gui/sentences.h"
#include "gui/window.h"
#include <string.h>

static const char *text_of(struct window *w, const char *id)
{
    return gtk_editable_get_text(GTK_EDITABLE(window_get(w, id)));
}

static void set_text(struct window *w, const char *id, const char *text)
{
    gtk_editable_set_text(GTK_EDITABLE(window_get(w, id)), text == NULL ? "" : text);
}

static void show_hint(struct window *w)
{
    static const char *const classes[] = {
        [HINT_NONE] = "dim-label", [HINT_WRONG] = "error", [HINT_WEAK] = "warning", [HINT_GOOD] = "success"};
    GtkWidget *label = window_get(w, "hint");
    const char *typed = text_of(w, "keyword");
    struct hint hint = hint_keyword(typed, strlen(typed));
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
        gtk_widget_remove_css_class(label, classes[i]);
    gtk_widget_add_css_class(label, classes[hint.level]);
    gtk_label_set_text(GTK_LABEL(label), hint.text);
    window_enable(w, "join", hint.level >= HINT_WEAK);
}

/* The whole command that --new prints, pasted, fills the server, too. */
static void on_keyword(GtkEditable *editable, gpointer data)
{
    struct window *w = data;
    struct buffer keyword = {0}, server = {0};
    if (invitation_read(gtk_editable_get_text(editable), &keyword, &server)) {
        if (server.size > 0)
            set_text(w, "server", server.at);
        set_text(w, "keyword", keyword.at); /* and we are called again */
    }
    if (keyword.size > 0)
        explicit_bzero(keyword.at, keyword.size);
    buffer_free(&keyword);
    buffer_free(&server);
    show_hint(w);
}

static void on_activate(AdwEntryRow *row, gpointer data)
{
    (void)row;
    g_action_group_activate_action(G_ACTION_GROUP(((struct window *)data)->window), "join", NULL);
}

/* libadwaita's own buttons in a row have a tooltip, and no name for a screen reader. */
static void name_by_tooltip(GtkWidget *widget)
{
    const char *tooltip = gtk_widget_get_tooltip_text(widget);
    if (GTK_IS_BUTTON(widget) && tooltip != NULL)
        window_set_label(widget, tooltip);
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child != NULL;
         child = gtk_widget_get_next_sibling(child))
        name_by_tooltip(child);
}

void join_open(struct window *w)
{
    static const char *const entries[] = {"keyword", "name", "server"};
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++)
        g_signal_connect(window_get(w, entries[i]), "entry-activated", G_CALLBACK(on_activate), w);
    g_signal_connect(window_get(w, "keyword"), "changed", G_CALLBACK(on_keyword), w);
    set_text(w, "keyword", w->join.keyword);
    set_text(w, "name", w->join.name);
    set_text(w, "server", w->join.server == NULL ? "127.0.0.1" : w->join.server);
    for (guint i = 0; join_relays[i] != NULL; i++)
        if (g_strcmp0(w->join.relay, join_relays[i]) == 0)
            adw_combo_row_set_selected(ADW_COMBO_ROW(window_get(w, "relay")), i);
    name_by_tooltip(window_get(w, "keyword"));
    name_by_tooltip(window_get(w, "name"));
    name_by_tooltip(window_get(w, "own_name"));
    join_show_trouble(w, NULL);
    show_hint(w);
}

static void replace(char **at, const char *text)
{
    char *fresh = g_strstrip(g_strdup(text));
    g_free(*at);
    *at = fresh;
}

bool join_read(struct window *w, enum join_by by)
{
    const char *keyword = text_of(w, "keyword");
    if (by == JOIN_BY_TYPED && hint_keyword(keyword, strlen(keyword)).level < HINT_WEAK) {
        gtk_widget_grab_focus(window_get(w, "keyword"));
        return false;
    }
    w->join.by = by;
    join_set_keyword(&w->join, by == JOIN_BY_TYPED ? keyword : NULL);
    replace(&w->join.name, text_of(w, "name"));
    replace(&w->join.server, text_of(w, "server"));
    replace(&w->join.relay, join_relays[adw_combo_row_get_selected(ADW_COMBO_ROW(window_get(w, "relay")))]);
    return true;
}

void join_show_trouble(struct window *w, const char *text)
{
    GtkWidget *revealer = window_get(w, "join_trouble_revealer");
    gtk_widget_set_visible(revealer, text != NULL);
    gtk_revealer_set_reveal_child(GTK_REVEALER(revealer), text != NULL);
    gtk_label_set_text(GTK_LABEL(window_get(w, "join_trouble")), text == NULL ? "" : text);
}

void join_focus(struct window *w)
{
    show_hint(w);
    gtk_widget_grab_focus(window_get(w, "keyword"));
}
