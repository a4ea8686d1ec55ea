/* What the other person needs to come here: the keyword, the command, and the command as a QR code. */
#include "gui/sentences.h"
#include "gui/window.h"
#include <qrencode.h>
#include <string.h>

enum { QR_SIZE = 208, QR_QUIET = 4 /* modules around it, ISO/IEC 18004 s6.3.8 */ };

/* Dark on light, whatever the theme: many readers know nothing else. */
static void draw_qr(GtkDrawingArea *area, cairo_t *cr, int width, int height, gpointer data)
{
    const QRcode *qr = data;
    int modules = qr->width + 2 * QR_QUIET, size = MIN(width, height) / modules;
    (void)area;
    if (size == 0)
        return;
    cairo_translate(cr, (width - size * modules) / 2, (height - size * modules) / 2);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_rectangle(cr, 0, 0, size * modules, size * modules);
    cairo_fill(cr);
    cairo_set_source_rgb(cr, 0, 0, 0);
    for (int y = 0; y < qr->width; y++)
        for (int x = 0; x < qr->width; x++)
            if (qr->data[y * qr->width + x] & 1)
                cairo_rectangle(cr, (x + QR_QUIET) * size, (y + QR_QUIET) * size, size, size);
    cairo_fill(cr);
}

static void free_qr(gpointer data)
{
    QRcode_free(data);
}

static GtkWidget *qr_new(const char *text)
{
    QRcode *qr = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    if (qr == NULL) /* longer than a QR code holds */
        return gtk_label_new(NULL);
    GtkWidget *area = g_object_new(GTK_TYPE_DRAWING_AREA, "accessible-role", GTK_ACCESSIBLE_ROLE_IMG, NULL);
    gtk_drawing_area_set_content_width(GTK_DRAWING_AREA(area), QR_SIZE);
    gtk_drawing_area_set_content_height(GTK_DRAWING_AREA(area), QR_SIZE);
    gtk_drawing_area_set_draw_func(GTK_DRAWING_AREA(area), draw_qr, qr, free_qr);
    gtk_widget_set_halign(area, GTK_ALIGN_CENTER);
    window_set_label(area, "QR code of the command for the other person");
    return area;
}

static GtkWidget *centred(GtkWidget *box, const char *text, const char *class)
{
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
    gtk_widget_add_css_class(label, class);
    gtk_box_append(GTK_BOX(box), label);
    return label;
}

static void on_copy(GtkButton *button, gpointer data)
{
    struct window *w = data;
    const char *text = g_object_get_data(G_OBJECT(button), "text");
    gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(button)), text);
    window_toast(w, "Copied");
}

static void add_copy(struct window *w, GtkWidget *box, const char *label, const char *spoken, const char *text)
{
    GtkWidget *button = gtk_button_new_with_mnemonic(label);
    g_object_set_data_full(G_OBJECT(button), "text", g_strdup(text), g_free);
    g_signal_connect(button, "clicked", G_CALLBACK(on_copy), w);
    window_set_label(button, spoken);
    gtk_box_append(GTK_BOX(box), button);
}

GtkWidget *invite_new(struct window *w, const char *keyword, const char *invitation)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 12), *buttons = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
    gtk_widget_set_valign(box, GTK_ALIGN_CENTER);
    gtk_widget_set_margin_top(box, 16);
    gtk_widget_set_margin_bottom(box, 16);
    gtk_widget_set_margin_start(box, 16);
    gtk_widget_set_margin_end(box, 16);
    centred(box, "Tell the other person this keyword", "title-3");
    GtkWidget *label = centred(box, keyword, "keyword");
    gtk_label_set_selectable(GTK_LABEL(label), TRUE);
    gtk_widget_set_halign(buttons, GTK_ALIGN_CENTER);
    add_copy(w, buttons, "Copy _Keyword", "Copy keyword", keyword);
    add_copy(w, buttons, "Copy C_ommand", "Copy command", invitation);
    gtk_box_append(GTK_BOX(box), buttons);
    gtk_box_append(GTK_BOX(box), qr_new(invitation));
    label = centred(box, invitation, "caption");
    gtk_label_set_selectable(GTK_LABEL(label), TRUE);
    gtk_widget_add_css_class(label, "dim-label");
    if (server_is_here(w->join.server)) {
        label =
            centred(box,
                    "It works on this computer only: that is where the server is. To meet somebody elsewhere, leave, "
                    "and fill in a server that both of you can reach.",
                    "caption");
        gtk_widget_add_css_class(label, "warning");
    }
    centred(box, "Who scans it reads this command, and can paste it whole as the keyword of another window.",
            "caption");
    return box;
}

static gboolean on_escape(GtkWidget *window, GVariant *arguments, gpointer data)
{
    (void)arguments;
    (void)data;
    gtk_window_close(GTK_WINDOW(window));
    return TRUE;
}

void invite_open(struct window *w)
{
    GtkWidget *window = adw_window_new(), *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *bar = adw_header_bar_new();
    gtk_widget_add_css_class(bar, "flat");
    gtk_box_append(GTK_BOX(box), bar);
    gtk_box_append(GTK_BOX(box), invite_new(w, model_keyword(w->model), model_invitation(w->model)));
    gtk_window_set_title(GTK_WINDOW(window), "Invitation");
    gtk_window_set_modal(GTK_WINDOW(window), TRUE);
    gtk_window_set_transient_for(GTK_WINDOW(window), w->window);
    gtk_window_set_default_size(GTK_WINDOW(window), 420, -1);
    adw_window_set_content(ADW_WINDOW(window), box);
    GtkEventController *keys = gtk_shortcut_controller_new();
    gtk_shortcut_controller_add_shortcut(
        GTK_SHORTCUT_CONTROLLER(keys),
        gtk_shortcut_new(gtk_keyval_trigger_new(GDK_KEY_Escape, 0), gtk_callback_action_new(on_escape, NULL, NULL)));
    gtk_widget_add_controller(window, keys);
    gtk_window_present(GTK_WINDOW(window));
}
