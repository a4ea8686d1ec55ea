/* The messages, and the field for the next one. */
#include "gui/window.h"
#include <string.h>

struct chat {
    struct window *w;
    GtkListBox *list;
    GtkTextBuffer *text;
    GtkAdjustment *scroll;
    GHashTable *rows; /* entry -> row */
    bool at_bottom;   /* and so it stays when something comes */
    guint following;  /* the source that will scroll there; 0: none */
    bool composing;   /* an input method has something that is not finished */
};

/* ---- scrolling ---- */

static void show_below(struct chat *c, bool shown)
{
    GtkWidget *revealer = window_get(c->w, "below_revealer");
    gtk_revealer_set_reveal_child(GTK_REVEALER(revealer), shown);
    gtk_widget_set_visible(revealer, shown);
}

static void to_bottom(struct chat *c)
{
    gtk_adjustment_set_value(c->scroll, gtk_adjustment_get_upper(c->scroll));
}

static gboolean on_laid_out(gpointer data)
{
    struct chat *c = data;
    c->following = 0;
    if (c->at_bottom)
        to_bottom(c);
    return G_SOURCE_REMOVE;
}

/* We are called while the list is being laid out: a place that is set now is kept, but shown only after some later
 * change of it. */
static void on_grown(GtkAdjustment *scroll, gpointer data)
{
    struct chat *c = data;
    (void)scroll;
    if (c->at_bottom && c->following == 0)
        c->following = g_idle_add(on_laid_out, c);
}

static void on_scrolled(GtkAdjustment *scroll, gpointer data)
{
    struct chat *c = data;
    double below =
        gtk_adjustment_get_upper(scroll) - gtk_adjustment_get_page_size(scroll) - gtk_adjustment_get_value(scroll);
    c->at_bottom = below < 8; /* pixels: rounding, and a row's margin */
    if (c->at_bottom)
        show_below(c, false);
}

static void on_below(GtkButton *button, gpointer data)
{
    struct chat *c = data;
    (void)button;
    c->at_bottom = true;
    to_bottom(c);
}

/* ---- entries ---- */

static void send_again(void *data, uint64_t number)
{
    struct chat *c = data;
    c->at_bottom = true;
    model_send_again(c->w->model, number, g_get_real_time() / G_USEC_PER_SEC);
}

void chat_entry(struct chat *c, const struct entry *entry, enum entry_change change)
{
    GtkWidget *row = g_hash_table_lookup(c->rows, entry);
    if (change == ENTRY_ADDED) {
        row = bubble_new(entry, send_again, c);
        g_hash_table_insert(c->rows, (gpointer)entry, row);
        gtk_list_box_append(c->list, row);
        show_below(c, !c->at_bottom);
    } else if (row != NULL && change == ENTRY_CHANGED) {
        bubble_update(row, entry);
    } else if (row != NULL) {
        g_hash_table_remove(c->rows, entry);
        gtk_list_box_remove(c->list, row);
    }
}

/* ---- writing ---- */

void chat_send(struct chat *c)
{
    GtkTextIter start, end;
    const char *why;
    gtk_text_buffer_get_bounds(c->text, &start, &end);
    char *text = gtk_text_buffer_get_text(c->text, &start, &end, FALSE);
    c->at_bottom = true;
    if (model_send(c->w->model, text, strlen(text), g_get_real_time() / G_USEC_PER_SEC, &why))
        gtk_text_buffer_set_text(c->text, "", 0);
    else if (*why != '\0')
        window_toast(c->w, why);
    g_free(text);
    chat_focus(c);
}

static void on_preedit(GtkTextView *view, const char *preedit, gpointer data)
{
    (void)view;
    ((struct chat *)data)->composing = *preedit != '\0';
}

static gboolean on_key(GtkEventControllerKey *keys, guint key, guint code, GdkModifierType state, gpointer data)
{
    struct chat *c = data;
    bool enter = key == GDK_KEY_Return || key == GDK_KEY_KP_Enter || key == GDK_KEY_ISO_Enter;
    (void)keys;
    (void)code;
    if (!enter || c->composing || (state & (GDK_SHIFT_MASK | GDK_ALT_MASK)) != 0)
        return FALSE;
    chat_send(c);
    return TRUE;
}

static void on_text(GtkTextBuffer *text, gpointer data)
{
    struct chat *c = data;
    gtk_widget_set_visible(window_get(c->w, "placeholder"), gtk_text_buffer_get_char_count(text) == 0);
}

void chat_focus(struct chat *c)
{
    gtk_widget_grab_focus(window_get(c->w, "composer"));
}

struct chat *chat_new(struct window *w)
{
    struct chat *c = g_new0(struct chat, 1);
    GtkWidget *composer = window_get(w, "composer");
    c->w = w;
    c->at_bottom = true;
    c->rows = g_hash_table_new(g_direct_hash, g_direct_equal);
    c->list = GTK_LIST_BOX(window_get(w, "messages"));
    c->text = gtk_text_view_get_buffer(GTK_TEXT_VIEW(composer));
    c->scroll = gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(window_get(w, "scroller")));
    g_signal_connect(c->scroll, "changed", G_CALLBACK(on_grown), c);
    g_signal_connect(c->scroll, "value-changed", G_CALLBACK(on_scrolled), c);
    g_signal_connect(c->text, "changed", G_CALLBACK(on_text), c);
    g_signal_connect(composer, "preedit-changed", G_CALLBACK(on_preedit), c);
    g_signal_connect(window_get(w, "below"), "clicked", G_CALLBACK(on_below), c);
    GtkEventController *keys = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
    g_signal_connect(keys, "key-pressed", G_CALLBACK(on_key), c);
    gtk_widget_add_controller(composer, keys);
    show_below(c, false);
    return c;
}

void chat_free(struct chat *c)
{
    if (c->following != 0)
        g_source_remove(c->following);
    g_hash_table_unref(c->rows);
    g_free(c);
}
