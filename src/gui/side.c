/* Who is here and how they are reached; the words that two compare. */
#include "gui/sentences.h"
#include "gui/window.h"
#include <string.h>

struct person_row {
    uint32_t peer; /* 0: free */
    GtkWidget *row, *name, *route, *reason, *verify, *ignore, *verified;
};

struct side {
    struct window *w;
    struct person_row rows[PEERS_MAX];
    GtkWidget *dialog, *words; /* NULL: not open */
    uint32_t dialog_peer;
};

/* ---- the path ---- */

static void show_steps(struct side *s)
{
    static const char *const ids[] = {"step_0", "step_1", "step_2"};
    enum route route = model_route(s->w->model);
    enum link_state link = model_link(s->w->model);
    size_t current = route >= ROUTE_DIRECT ? 2 : route == ROUTE_RELAY ? 1 : 0;
    bool none = link == LINK_NONE || link == LINK_ENDED;
    struct buffer label = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        GtkWidget *step = window_get(s->w, ids[i]);
        gtk_widget_remove_css_class(step, "current");
        gtk_widget_remove_css_class(step, "reached");
        gtk_widget_remove_css_class(step, "good");
        if (i < current)
            gtk_widget_add_css_class(step, "reached");
        if (i == current && !none)
            gtk_widget_add_css_class(step, "current");
        if (i == current && current == 2)
            gtk_widget_add_css_class(step, "good");
    }
    buffer_add_text(&label, "Connection: ");
    sentence_state(s->w->model, &label);
    window_set_label(window_get(s->w, "steps"), label.at);
    buffer_free(&label);
}

/* ---- the list ---- */

static void on_verify(GtkButton *button, gpointer data)
{
    struct side *s = data;
    side_verify(s, GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(button), "peer")));
}

static void on_ignore(GtkButton *button, gpointer data)
{
    struct side *s = data;
    model_ignore(s->w->model, GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(button), "peer")));
}

static GtkWidget *small_label(const char *class)
{
    GtkWidget *label = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_widget_add_css_class(label, class);
    return label;
}

static GtkWidget *icon_button(struct side *s, const char *icon, uint32_t peer, GCallback clicked)
{
    GtkWidget *button = gtk_button_new_from_icon_name(icon);
    gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
    gtk_widget_add_css_class(button, "flat");
    g_object_set_data(G_OBJECT(button), "peer", GUINT_TO_POINTER(peer));
    g_signal_connect(button, "clicked", clicked, s);
    return button;
}

static void add_row(struct side *s, struct person_row *r, uint32_t peer)
{
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 2), *words = gtk_box_new(GTK_ORIENTATION_VERTICAL, 2);
    GtkWidget *top = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    r->peer = peer;
    r->name = small_label("name");
    r->route = small_label("caption");
    r->reason = small_label("caption");
    gtk_widget_add_css_class(r->reason, "dim-label");
    gtk_label_set_selectable(GTK_LABEL(r->reason), TRUE);
    r->verified = gtk_image_new_from_icon_name("security-high-symbolic");
    gtk_widget_add_css_class(r->verified, "success");
    window_set_label(r->verified, "Words compared");
    gtk_widget_set_tooltip_text(r->verified, "You have compared the words: nobody is in between");
    r->verify = icon_button(s, "dialog-password-symbolic", peer, G_CALLBACK(on_verify));
    r->ignore = icon_button(s, "action-unavailable-symbolic", peer, G_CALLBACK(on_ignore));
    gtk_box_append(GTK_BOX(top), r->name);
    gtk_box_append(GTK_BOX(top), r->verified);
    gtk_box_append(GTK_BOX(words), top);
    gtk_box_append(GTK_BOX(words), r->route);
    gtk_box_append(GTK_BOX(words), r->reason);
    gtk_widget_set_hexpand(words, TRUE);
    gtk_widget_add_css_class(line, "person");
    gtk_box_append(GTK_BOX(line), words);
    gtk_box_append(GTK_BOX(line), r->verify);
    gtk_box_append(GTK_BOX(line), r->ignore);
    r->row = gtk_list_box_row_new();
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(r->row), FALSE);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(r->row), line);
    gtk_list_box_append(GTK_LIST_BOX(window_get(s->w, "people")), r->row);
}

static void name_button(GtkWidget *button, const char *what, const char *name)
{
    char *label = g_strdup_printf("%s %s", what, name);
    window_set_label(button, label);
    gtk_widget_set_tooltip_text(button, label);
    g_free(label);
}

static void update_row(struct person_row *r, const struct person *p)
{
    struct buffer route = {0}, spoken = {0};
    sentence_route(p, &route);
    if (p->address[0] != '\0')
        buffer_addf(&route, "\n%s", p->address);
    gtk_label_set_text(GTK_LABEL(r->name), p->name);
    gtk_label_set_text(GTK_LABEL(r->route), p->ignored ? "Ignored" : route.at);
    gtk_label_set_text(GTK_LABEL(r->reason), p->reason);
    gtk_widget_set_visible(r->reason, p->reason[0] != '\0');
    gtk_widget_set_visible(r->verified, p->verified);
    gtk_widget_set_visible(r->ignore, !p->ignored);
    name_button(r->verify, "Compare words with", p->name);
    name_button(r->ignore, "Ignore", p->name);
    buffer_addf(&spoken, "%s: %s. %s", p->name, route.at, p->reason);
    window_set_label(r->row, spoken.at);
    buffer_free(&route);
    buffer_free(&spoken);
}

static struct person_row *find_row(struct side *s, uint32_t peer)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (s->rows[i].peer == peer)
            return &s->rows[i];
    return NULL;
}

void side_update(struct side *s)
{
    const struct person *people;
    size_t count = model_people(s->w->model, &people);
    GtkListBox *list = GTK_LIST_BOX(window_get(s->w, "people"));
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct person_row *r = &s->rows[i];
        if (r->peer == 0 || model_person(s->w->model, r->peer) != NULL)
            continue;
        gtk_list_box_remove(list, r->row);
        *r = (struct person_row){0};
    }
    for (size_t i = 0; i < count; i++) {
        struct person_row *r = find_row(s, people[i].peer);
        if (r == NULL) {
            r = find_row(s, 0);
            add_row(s, r, people[i].peer);
        }
        update_row(r, &people[i]);
    }
    if (s->dialog != NULL && model_person(s->w->model, s->dialog_peer) == NULL)
        gtk_window_close(GTK_WINDOW(s->dialog));
    gtk_label_set_text(GTK_LABEL(window_get(s->w, "network")), model_network(s->w->model));
    show_steps(s);
}

/* ---- the words ---- */

static void on_compared(AdwMessageDialog *dialog, const char *answer, gpointer data)
{
    struct side *s = data;
    (void)dialog;
    s->dialog = s->words = NULL;
    if (strcmp(answer, "later") != 0)
        model_set_verified(s->w->model, s->dialog_peer, strcmp(answer, "same") == 0);
}

void side_verify(struct side *s, uint32_t peer)
{
    const struct person *people;
    if (peer == 0 && model_people(s->w->model, &people) > 0)
        peer = people[0].peer;
    const struct person *p = model_person(s->w->model, peer);
    if (p == NULL || s->dialog != NULL)
        return;
    char *heading = g_strdup_printf("Compare words with %s", p->name);
    s->dialog_peer = peer;
    s->dialog = adw_message_dialog_new(
        s->w->window, heading,
        "Ask for the four words by a voice or on a screen that you know. If both see the same, nobody is in between.");
    g_free(heading);
    AdwMessageDialog *dialog = ADW_MESSAGE_DIALOG(s->dialog);
    s->words = small_label("words");
    gtk_label_set_selectable(GTK_LABEL(s->words), TRUE);
    gtk_label_set_justify(GTK_LABEL(s->words), GTK_JUSTIFY_CENTER);
    gtk_widget_set_halign(s->words, GTK_ALIGN_CENTER);
    adw_message_dialog_set_extra_child(dialog, s->words);
    adw_message_dialog_add_responses(dialog, "later", "_Not Now", "different", "_Different", "same", "_The Same", NULL);
    adw_message_dialog_set_response_appearance(dialog, "different", ADW_RESPONSE_DESTRUCTIVE);
    adw_message_dialog_set_response_appearance(dialog, "same", ADW_RESPONSE_SUGGESTED);
    adw_message_dialog_set_close_response(dialog, "later");
    g_signal_connect(dialog, "response", G_CALLBACK(on_compared), s);
    model_ask_words(s->w->model, peer);
    gtk_window_present(GTK_WINDOW(dialog));
}

void side_update_words(struct side *s)
{
    const char *words = model_words(s->w->model, s->dialog_peer);
    if (s->dialog != NULL && words != NULL)
        gtk_label_set_text(GTK_LABEL(s->words), words);
}

static void on_rename(AdwEntryRow *row, gpointer data)
{
    struct window *w = data;
    const char *name = gtk_editable_get_text(GTK_EDITABLE(row));
    if (!model_rename(w->model, name)) {
        window_toast(w, "A name is 1 to 64 bytes long, without control characters.");
        return;
    }
    g_free(w->join.name); /* and for the next client */
    w->join.name = g_strdup(name);
    gtk_editable_set_text(GTK_EDITABLE(window_get(w, "name")), name);
    chat_focus(w->chat);
}

static void on_name(GtkEditable *name, GParamSpec *spec, gpointer data)
{
    (void)spec;
    gtk_editable_set_text(GTK_EDITABLE(data), gtk_editable_get_text(name));
}

static GtkWidget *nobody_new(void)
{
    GtkWidget *label = small_label("dim-label");
    gtk_label_set_text(GTK_LABEL(label), "Nobody here");
    gtk_widget_set_margin_top(label, 10);
    gtk_widget_set_margin_bottom(label, 10);
    gtk_widget_set_margin_start(label, 10);
    return label;
}

struct side *side_new(struct window *w)
{
    struct side *s = g_new0(struct side, 1);
    s->w = w;
    gtk_list_box_set_placeholder(GTK_LIST_BOX(window_get(w, "people")), nobody_new());
    g_signal_connect(window_get(w, "own_name"), "apply", G_CALLBACK(on_rename), w);
    g_signal_connect(window_get(w, "name"), "notify::text", G_CALLBACK(on_name), window_get(w, "own_name"));
    return s;
}

void side_free(struct side *s)
{
    g_free(s);
}
