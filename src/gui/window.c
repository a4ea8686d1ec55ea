#include "gui/window.h"
#include "client/display.h"
#include "gui/sentences.h"
#include <string.h>

enum {
    PEOPLE_SECONDS = 5,   /* between two questions about the paths: round-trip times change */
    GOODBYE_MS = 3000,    /* for the client to say goodbye, before it is killed */
    NOTIFY_COLUMNS = 200, /* of a message in a notification */
};

GtkWidget *window_get(const struct window *w, const char *id)
{
    GObject *object = gtk_builder_get_object(w->builder, id);
    g_assert(object != NULL);
    return GTK_WIDGET(object);
}

/* GTK 4.8 reads out a button's label beside it, and with its underline, where one is inside. */
void window_set_label(GtkWidget *widget, const char *label)
{
    gtk_accessible_reset_relation(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_RELATION_LABELLED_BY);
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, label, -1);
}

void window_toast(struct window *w, const char *text)
{
    char *plain = g_markup_escape_text(text, -1);
    adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(window_get(w, "toasts")), adw_toast_new(plain));
    g_free(plain);
}

void window_enable(struct window *w, const char *action, bool enabled)
{
    GAction *found = g_action_map_lookup_action(G_ACTION_MAP(w->window), action);
    g_simple_action_set_enabled(G_SIMPLE_ACTION(found), enabled);
}

/* ---- banners, title, which page ---- */

static void set_class(GtkWidget *widget, const char *class, bool on)
{
    if (on)
        gtk_widget_add_css_class(widget, class);
    else
        gtk_widget_remove_css_class(widget, class);
}

static void show_banner(struct window *w, const char *name, const struct banner *banner, bool has_button)
{
    char id[40];
    g_snprintf(id, sizeof id, "%s_revealer", name);
    GtkWidget *revealer = window_get(w, id);
    bool shown = banner->text[0] != '\0';
    gtk_revealer_set_reveal_child(GTK_REVEALER(revealer), shown);
    gtk_widget_set_visible(revealer, shown);
    if (!shown)
        return;
    gtk_label_set_text(GTK_LABEL(window_get(w, name)), banner->text);
    g_snprintf(id, sizeof id, "%s_button", name);
    gtk_widget_set_visible(window_get(w, id), has_button);
    g_snprintf(id, sizeof id, "%s_box", name);
    set_class(window_get(w, id), "error", banner->is_error);
    set_class(window_get(w, id), "warning", !banner->is_error);
}

static void show_banners(struct window *w)
{
    const struct banner *trouble = model_trouble(w->model), *advice = model_advice(w->model);
    show_banner(w, "trouble", trouble, trouble->action == BANNER_RECONNECT);
    show_banner(w, "advice", advice, advice->action == BANNER_NEW_KEYWORD);
}

static void show_title(struct window *w)
{
    struct buffer people = {0}, state = {0};
    AdwWindowTitle *title = ADW_WINDOW_TITLE(window_get(w, "title"));
    sentence_people(w->model, &people);
    sentence_state(w->model, &state);
    adw_window_title_set_title(title, people.at);
    adw_window_title_set_subtitle(title, state.at);
    gtk_window_set_title(w->window, model_somebody_came(w->model) ? people.at : "p2p");
    buffer_free(&people);
    buffer_free(&state);
}

static const char *middle_page(const struct window *w)
{
    if (model_entry_count(w->model) > 0)
        return "messages";
    return model_keyword(w->model) != NULL && !model_somebody_came(w->model) ? "invitation" : "waiting";
}

static gboolean on_page_turned(gpointer data)
{
    struct window *w = data;
    if (model_link(w->model) != LINK_NONE)
        chat_focus(w->chat);
    else
        join_focus(w);
    return G_SOURCE_REMOVE;
}

static void show_pages(struct window *w)
{
    bool chatting = model_link(w->model) != LINK_NONE;
    GtkStack *pages = GTK_STACK(window_get(w, "pages"));
    const char *page = chatting ? "chat" : "join", *before = gtk_stack_get_visible_child_name(pages);
    bool turned = g_strcmp0(before, page) != 0;
    gtk_stack_set_visible_child_name(GTK_STACK(window_get(w, "middle")), middle_page(w));
    gtk_stack_set_visible_child_name(pages, page);
    window_enable(w, "send", chatting);
    window_enable(w, "leave", chatting);
    window_enable(w, "join", !chatting);
    window_enable(w, "reconnect", model_link(w->model) == LINK_ENDED);
    window_enable(w, "invitation", chatting && model_keyword(w->model) != NULL);
    const struct person *people;
    window_enable(w, "verify", model_people(w->model, &people) > 0);
    if (turned)
        g_idle_add(on_page_turned, w); /* a page takes no focus before it is drawn */
}

/* ---- notifications ---- */

static void notify(struct window *w, const char *title, const char *body)
{
    if (gtk_window_is_active(w->window))
        return;
    GNotification *n = g_notification_new(title);
    if (body != NULL)
        g_notification_set_body(n, body);
    g_application_send_notification(G_APPLICATION(w->app), "chat", n);
    g_object_unref(n);
}

static void notify_entry(struct window *w, const struct entry *entry)
{
    struct buffer line = {0};
    if (entry->kind == ENTRY_OWN)
        return;
    display_line(&line, entry->text, strlen(entry->text), NOTIFY_COLUMNS);
    if (entry->kind == ENTRY_RECEIVED)
        notify(w, entry->name, buffer_text(&line));
    else
        notify(w, buffer_text(&line), NULL);
    buffer_free(&line);
}

static void on_active(GtkWindow *window, GParamSpec *spec, gpointer data)
{
    struct window *w = data;
    (void)spec;
    if (gtk_window_is_active(window))
        g_application_withdraw_notification(G_APPLICATION(w->app), "chat");
}

/* ---- the model's view ---- */

static void on_entry(void *data, const struct entry *entry, enum entry_change change)
{
    struct window *w = data;
    chat_entry(w->chat, entry, change);
    if (change != ENTRY_ADDED)
        return;
    show_pages(w);
    notify_entry(w, entry);
}

static void on_changed(void *data, unsigned what)
{
    struct window *w = data;
    if (what & CHANGED_KEYWORD) {
        const char *keyword = model_keyword(w->model);
        GtkWidget *page = keyword == NULL ? NULL : invite_new(w, keyword, model_invitation(w->model));
        gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(window_get(w, "invitation")), page);
        if (keyword != NULL) { /* the next one joins the same room */
            join_set_keyword(&w->join, keyword);
            w->join.by = JOIN_BY_TYPED;
        }
    }
    if (what & CHANGED_BANNERS)
        show_banners(w);
    if (what & (CHANGED_STATE | CHANGED_PEOPLE))
        side_update(w->side);
    if (what & CHANGED_WORDS)
        side_update_words(w->side);
    show_title(w);
    show_pages(w);
}

static void on_command(void *data, const char *line, size_t size)
{
    struct window *w = data;
    if (w->child != NULL)
        child_write(w->child, line, size);
}

/* ---- the child ---- */

static int64_t now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static void on_line(void *data, const char *line, size_t size)
{
    struct window *w = data;
    model_line(w->model, line, size, now_s());
}

static void on_ended(void *data, const struct ending *ending)
{
    struct window *w = data;
    w->child = NULL;
    if (w->closing) {
        g_application_quit(G_APPLICATION(w->app));
        return;
    }
    if (!model_ended(w->model, ending, now_s()))
        join_show_trouble(w, model_trouble(w->model)->text);
}

void window_start(struct window *w, bool fresh)
{
    static const struct child_events events = {on_line, on_ended};
    GError *error = NULL;
    join_show_trouble(w, NULL);
    model_start(w->model, w->join.server == NULL ? "127.0.0.1" : w->join.server, fresh);
    w->child = child_start(&w->join, &events, w, &error);
    if (w->child != NULL)
        return;
    model_ended(w->model, &(struct ending){.status = 1, .said = error->message}, now_s());
    join_show_trouble(w, model_trouble(w->model)->text);
    g_error_free(error);
}

static gboolean on_goodbye_late(gpointer data)
{
    struct window *w = data;
    if (w->child != NULL)
        child_kill(w->child);
    return G_SOURCE_REMOVE;
}

static void say_goodbye(struct window *w)
{
    model_leave(w->model);
    g_timeout_add(GOODBYE_MS, on_goodbye_late, w);
}

void window_close(struct window *w)
{
    if (w->closing)
        return;
    w->closing = true;
    gtk_widget_set_visible(GTK_WIDGET(w->window), FALSE);
    if (w->child == NULL)
        g_application_quit(G_APPLICATION(w->app));
    else
        say_goodbye(w);
}

/* ---- leaving with something undelivered ---- */

static void on_leave_answer(AdwMessageDialog *dialog, const char *answer, gpointer data)
{
    struct window *w = data;
    bool quits = GPOINTER_TO_INT(g_object_get_data(G_OBJECT(dialog), "quits")) != 0;
    if (strcmp(answer, "leave") != 0)
        return;
    if (quits)
        window_close(w);
    else
        say_goodbye(w);
}

/* True: somebody is being asked. */
static bool asks_before_leaving(struct window *w, bool quits)
{
    size_t count = w->closing ? 0 : model_undelivered(w->model);
    if (count == 0 || model_link(w->model) == LINK_NONE)
        return false;
    GtkWidget *dialog = adw_message_dialog_new(w->window, "Leave now?", NULL);
    adw_message_dialog_format_body(ADW_MESSAGE_DIALOG(dialog),
                                   count == 1 ? "%zu message is not delivered yet, and will not be if you leave."
                                              : "%zu messages are not delivered yet, and will not be if you leave.",
                                   count);
    adw_message_dialog_add_responses(ADW_MESSAGE_DIALOG(dialog), "stay", "_Stay", "leave", "_Leave", NULL);
    adw_message_dialog_set_response_appearance(ADW_MESSAGE_DIALOG(dialog), "leave", ADW_RESPONSE_DESTRUCTIVE);
    adw_message_dialog_set_default_response(ADW_MESSAGE_DIALOG(dialog), "stay");
    adw_message_dialog_set_close_response(ADW_MESSAGE_DIALOG(dialog), "stay");
    g_object_set_data(G_OBJECT(dialog), "quits", GINT_TO_POINTER(quits));
    g_signal_connect(dialog, "response", G_CALLBACK(on_leave_answer), w);
    gtk_window_present(GTK_WINDOW(dialog));
    return true;
}

static gboolean on_close_request(GtkWindow *window, gpointer data)
{
    (void)window;
    if (!asks_before_leaving(data, true))
        window_close(data);
    return TRUE;
}

/* ---- actions ---- */

static void act_join(GSimpleAction *action, GVariant *value, gpointer data)
{
    struct window *w = data;
    (void)action;
    (void)value;
    if (w->child == NULL && join_read(w, JOIN_BY_TYPED))
        window_start(w, true);
}

/* From the chat it leads back to the first screen, where it can be used. */
static void act_new_keyword(GSimpleAction *action, GVariant *value, gpointer data)
{
    struct window *w = data;
    if (w->child != NULL || model_link(w->model) != LINK_NONE)
        g_action_group_activate_action(G_ACTION_GROUP(w->window), "leave", NULL);
    else if (join_read(w, JOIN_BY_NEW))
        window_start(w, true);
    (void)action;
    (void)value;
}

static void act_leave(GSimpleAction *action, GVariant *value, gpointer data)
{
    struct window *w = data;
    (void)action;
    (void)value;
    if (w->child == NULL) {
        model_leave(w->model);
        model_ended(w->model, &(struct ending){.said = ""}, now_s());
    } else if (!asks_before_leaving(w, false)) {
        say_goodbye(w);
    }
}

static void act_reconnect(GSimpleAction *action, GVariant *value, gpointer data)
{
    struct window *w = data;
    (void)action;
    (void)value;
    if (w->child == NULL)
        window_start(w, false);
}

static void act_send(GSimpleAction *action, GVariant *value, gpointer data)
{
    (void)action;
    (void)value;
    chat_send(((struct window *)data)->chat);
}

static void act_verify(GSimpleAction *action, GVariant *value, gpointer data)
{
    (void)action;
    (void)value;
    side_verify(((struct window *)data)->side, 0);
}

static void act_invitation(GSimpleAction *action, GVariant *value, gpointer data)
{
    (void)action;
    (void)value;
    invite_open(data);
}

static void act_dismiss(GSimpleAction *action, GVariant *value, gpointer data)
{
    (void)action;
    (void)value;
    model_dismiss_advice(((struct window *)data)->model);
}

static void act_back_to_text(GSimpleAction *action, GVariant *value, gpointer data)
{
    (void)action;
    (void)value;
    chat_focus(((struct window *)data)->chat);
}

static void act_about(GSimpleAction *action, GVariant *value, gpointer data)
{
    struct window *w = data;
    (void)action;
    (void)value;
    adw_show_about_window(w->window, "application-name", "p2p", "application-icon", "local.p2p.Client", "version",
                          P2P_VERSION, "comments",
                          "Chat with whoever knows the same keyword: directly where the network allows it, else "
                          "through the server, which cannot read a word of it.",
                          "license-type", GTK_LICENSE_CUSTOM, "license", "ISC, see the file LICENSE", NULL);
}

static void act_quit(GSimpleAction *action, GVariant *value, gpointer data)
{
    (void)action;
    (void)value;
    on_close_request(NULL, data);
}

static const struct {
    const char *action, *keys[3];
} shortcuts[] = {
    {"app.quit", {"<Control>q", "<Control>w"}},
    {"win.show-help-overlay", {"F1", "<Control>question"}},
    {"win.send", {"<Control>Return", "<Control>KP_Enter"}},
    {"win.people", {"F9"}},
    {"win.verify", {"<Control>k"}},
    {"win.invitation", {"<Control>i"}},
    {"win.reconnect", {"<Control>r"}},
    {"win.leave", {"<Control>l"}},
    {"win.new-keyword", {"<Control>n"}},
    {"win.back-to-text", {"Escape"}},
};

static void add_actions(struct window *w)
{
    static const GActionEntry of_window[] = {
        {.name = "join", .activate = act_join},
        {.name = "new-keyword", .activate = act_new_keyword},
        {.name = "leave", .activate = act_leave},
        {.name = "reconnect", .activate = act_reconnect},
        {.name = "send", .activate = act_send},
        {.name = "verify", .activate = act_verify},
        {.name = "invitation", .activate = act_invitation},
        {.name = "dismiss", .activate = act_dismiss},
        {.name = "back-to-text", .activate = act_back_to_text},
        {.name = "about", .activate = act_about},
    };
    static const GActionEntry of_app[] = {{.name = "quit", .activate = act_quit}};
    g_action_map_add_action_entries(G_ACTION_MAP(w->window), of_window, G_N_ELEMENTS(of_window), w);
    g_action_map_add_action_entries(G_ACTION_MAP(w->app), of_app, G_N_ELEMENTS(of_app), w);
    GPropertyAction *people = g_property_action_new("people", window_get(w, "flap"), "reveal-flap");
    g_action_map_add_action(G_ACTION_MAP(w->window), G_ACTION(people));
    g_object_unref(people);
    for (size_t i = 0; i < G_N_ELEMENTS(shortcuts); i++)
        gtk_application_set_accels_for_action(GTK_APPLICATION(w->app), shortcuts[i].action, shortcuts[i].keys);
}

static void name_buttons(struct window *w)
{
    static const char *const buttons[][2] = {{"join", "Join"},
                                             {"make_keyword", "Make a strong keyword"},
                                             {"trouble_button", "Reconnect"},
                                             {"advice_button", "New keyword"},
                                             {"below", "New messages below"}};
    for (size_t i = 0; i < G_N_ELEMENTS(buttons); i++)
        window_set_label(window_get(w, buttons[i][0]), buttons[i][1]);
}

static gboolean on_people_timer(gpointer data)
{
    struct window *w = data;
    const struct person *people;
    if (model_people(w->model, &people) > 0)
        model_ask_people(w->model);
    return G_SOURCE_CONTINUE;
}

struct window *window_new(AdwApplication *app, struct join *join, bool at_once)
{
    static const struct model_view view = {on_entry, on_changed, on_command};
    struct window *w = g_new0(struct window, 1);
    w->app = app;
    w->join = *join;
    *join = (struct join){0};
    w->builder = gtk_builder_new_from_resource("/local/p2p/Client/window.ui");
    w->window = GTK_WINDOW(window_get(w, "window"));
    w->model = model_new(&view, w);
    gtk_window_set_icon_name(w->window, "local.p2p.Client");
    gtk_window_set_application(w->window, GTK_APPLICATION(app));
    add_actions(w);
    name_buttons(w);
    w->chat = chat_new(w);
    w->side = side_new(w);
    join_open(w);
    show_banners(w);
    show_pages(w);
    join_focus(w);
    g_signal_connect(w->window, "notify::is-active", G_CALLBACK(on_active), w);
    g_signal_connect(w->window, "close-request", G_CALLBACK(on_close_request), w);
    g_timeout_add_seconds(PEOPLE_SECONDS, on_people_timer, w);
    if (at_once)
        window_start(w, true);
    gtk_window_present(w->window);
    return w;
}

void window_free(struct window *w)
{
    gtk_window_destroy(w->window); /* first: its widgets may have something to tell the others */
    g_object_unref(w->builder);
    chat_free(w->chat);
    side_free(w->side);
    model_free(w->model);
    join_clear(&w->join);
    g_free(w);
}
