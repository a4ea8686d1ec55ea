/* One entry of the list: a notice in the middle, or a bubble at one side. */
#include "gui/sentences.h"
#include "gui/window.h"

enum { BUBBLE_CHARS = 52, GAP = 8, AVATAR = 28 };

struct bubble {
    GtkWidget *box, *foot, *button, *row;
    uint64_t number;
    void (*again)(void *data, uint64_t number);
    void *data;
    char *clock;
};

static char *clock_of(int64_t time_s, const char *format)
{
    GDateTime *t = g_date_time_new_from_unix_local(time_s);
    char *text = g_date_time_format(t, format);
    g_date_time_unref(t);
    return text;
}

static GtkWidget *label_new(const char *text, const char *class)
{
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_max_width_chars(GTK_LABEL(label), BUBBLE_CHARS);
    if (class != NULL)
        gtk_widget_add_css_class(label, class);
    return label;
}

static void on_again(GtkButton *button, gpointer data)
{
    struct bubble *b = data;
    (void)button;
    b->again(b->data, b->number);
}

static void fill_foot(struct bubble *b)
{
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, GAP);
    gtk_widget_set_halign(line, GTK_ALIGN_END);
    b->foot = label_new(b->clock, "foot");
    b->button = gtk_button_new_with_mnemonic("Send _Again");
    window_set_label(b->button, "Send again");
    gtk_widget_set_visible(b->button, FALSE);
    g_signal_connect(b->button, "clicked", G_CALLBACK(on_again), b);
    gtk_box_append(GTK_BOX(line), b->button);
    gtk_box_append(GTK_BOX(line), b->foot);
    gtk_box_append(GTK_BOX(b->box), line);
}

static GtkWidget *fill_bubble(struct bubble *b, const struct entry *e)
{
    bool own = e->kind == ENTRY_OWN;
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, GAP), *text = label_new(e->text, NULL);
    b->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 2);
    gtk_widget_add_css_class(b->box, "bubble");
    gtk_widget_add_css_class(b->box, own ? "own" : "received");
    gtk_widget_set_overflow(b->box, GTK_OVERFLOW_HIDDEN); /* piles of marks stay in their bubble */
    gtk_widget_set_halign(line, own ? GTK_ALIGN_END : GTK_ALIGN_START);
    gtk_widget_set_margin_top(line, e->follows ? 0 : GAP);
    gtk_widget_set_margin_start(line, own ? 6 * GAP : e->follows ? AVATAR + GAP : 0);
    gtk_widget_set_margin_end(line, own ? 0 : 6 * GAP);
    gtk_label_set_selectable(GTK_LABEL(text), TRUE);
    if (!own && !e->follows) {
        GtkWidget *avatar = adw_avatar_new(AVATAR, e->name, TRUE);
        gtk_widget_set_valign(avatar, GTK_ALIGN_END);
        gtk_box_append(GTK_BOX(line), avatar);
        gtk_box_append(GTK_BOX(b->box), label_new(e->name, "sender"));
    }
    gtk_box_append(GTK_BOX(b->box), text);
    fill_foot(b);
    gtk_box_append(GTK_BOX(line), b->box);
    return line;
}

static GtkWidget *fill_notice(const struct entry *e)
{
    GtkWidget *label = label_new(e->text, "notice");
    gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
    gtk_widget_set_halign(label, GTK_ALIGN_CENTER);
    gtk_widget_set_margin_top(label, GAP);
    return label;
}

static void bubble_free(gpointer data)
{
    struct bubble *b = data;
    g_free(b->clock);
    g_free(b);
}

GtkWidget *bubble_new(const struct entry *e, void (*again)(void *data, uint64_t number), void *data)
{
    struct bubble *b = g_new0(struct bubble, 1);
    *b = (struct bubble){.row = gtk_list_box_row_new(), .number = e->number, .again = again, .data = data};
    b->clock = clock_of(e->time_s, "%H:%M");
    g_object_set_data_full(G_OBJECT(b->row), "bubble", b, bubble_free);
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(b->row), FALSE);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(b->row), e->kind == ENTRY_NOTICE ? fill_notice(e) : fill_bubble(b, e));
    bubble_update(b->row, e);
    return b->row;
}

void bubble_update(GtkWidget *row, const struct entry *e)
{
    struct bubble *b = g_object_get_data(G_OBJECT(row), "bubble");
    struct buffer spoken = {0}, meaning = {0}, foot = {0};
    sentence_entry(e, b->clock, &spoken);
    window_set_label(row, spoken.at);
    if (e->kind == ENTRY_OWN) {
        bool failed = e->mark == MARK_FAILED || e->mark == MARK_PARTLY;
        sentence_mark(e, &meaning);
        if (failed) {
            gtk_widget_add_css_class(b->box, "failed");
            buffer_addf(&foot, "%s %s", b->clock, meaning.at);
        } else {
            buffer_addf(&foot, "%s %s", b->clock, mark_sign(e->mark));
        }
        gtk_label_set_text(GTK_LABEL(b->foot), foot.at);
        gtk_widget_set_visible(b->button, failed);
    }
    if (e->kind != ENTRY_NOTICE) {
        char *full = clock_of(e->time_s, "%x %X");
        buffer_addf(&meaning, "%s%s", meaning.size > 0 ? "\n" : "", full);
        gtk_widget_set_tooltip_text(b->foot, meaning.at);
        g_free(full);
    }
    buffer_free(&spoken);
    buffer_free(&meaning);
    buffer_free(&foot);
}
