/* p2p-client-gtk: a window over `p2p-client --json`. */
#include "gui/window.h"
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

#define APP_ID "local.p2p.Client"

enum { STATUS_NO_DISPLAY = 1, STATUS_USAGE = 2 };

struct start {
    struct join join;
    bool has_keyword;
    struct window *window;
};

static void on_activate(GApplication *app, gpointer data)
{
    struct start *start = data;
    if (start->window == NULL)
        start->window = window_new(ADW_APPLICATION(app), &start->join, start->has_keyword);
    else
        gtk_window_present(start->window->window); /* a notification was clicked */
}

static gboolean on_signal(gpointer data)
{
    struct start *start = data;
    if (start->window != NULL)
        window_close(start->window);
    return G_SOURCE_CONTINUE;
}

/* The first one has the name on the bus, where notifications find it; the others are windows of their own, not
 * another view of the first one's chat. */
static AdwApplication *new_application(void)
{
    AdwApplication *app = adw_application_new(APP_ID, G_APPLICATION_DEFAULT_FLAGS);
    g_application_register(G_APPLICATION(app), NULL, NULL);
    if (g_application_get_is_registered(G_APPLICATION(app)) && !g_application_get_is_remote(G_APPLICATION(app)))
        return app;
    g_object_unref(app);
    return adw_application_new(APP_ID, G_APPLICATION_NON_UNIQUE);
}

int main(int argc, char **argv)
{
    struct start start = {0};
    enum options_verdict verdict = options_read(argc, argv, &start.join, &start.has_keyword);
    if (verdict == OPTIONS_DONE || verdict == OPTIONS_WRONG)
        return verdict == OPTIONS_DONE ? 0 : STATUS_USAGE;
    bool has_display = gtk_init_check();
    if (verdict == OPTIONS_PROBE)
        return has_display ? 0 : STATUS_NO_DISPLAY;
    if (!has_display) {
        fputs("p2p-client-gtk: there is no display that a window can be opened on; p2p-client --console needs none\n",
              stderr);
        return STATUS_NO_DISPLAY;
    }
    signal(SIGPIPE, SIG_IGN); /* a client that is gone is told by its end */
    AdwApplication *app = new_application();
    g_signal_connect(app, "activate", G_CALLBACK(on_activate), &start);
    g_unix_signal_add(SIGTERM, on_signal, &start);
    g_unix_signal_add(SIGINT, on_signal, &start);
    g_unix_signal_add(SIGHUP, on_signal, &start);
    int status = g_application_run(G_APPLICATION(app), 0, NULL);
    if (start.window != NULL)
        window_free(start.window);
    join_clear(&start.join);
    g_object_unref(app);
    return status;
}
