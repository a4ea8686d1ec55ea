#include "client/screen.h"
#include "client/buffer.h"
#include "client/input.h"
#include "client/keys.h"
#include "client/paste.h"
#include "wire/text.h"
#include <errno.h>
#include <event2/event.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <utf8proc.h>
#include <wchar.h>
#include <wctype.h>

enum {
    HISTORY_LINES = 500,
    PARTIAL_MS = 50, /* the rest of an escape sequence comes within that, or it was the Escape key */
    CTRL_D = 4,
    REPLACEMENT = 0xfffd,
    PROMPT_COLUMNS = 2,
    PLAIN_LINE_MAX = TEXT_BYTES_MAX,
    FLUSH_MS = 500,
    COLUMNS_DEFAULT = 80,
};

struct screen {
    struct client *client;
    struct screen_user user;
    struct output out;
    struct termios before;
    bool has_style, armed;

    EditLine *edit; /* NULL: plain, with `input` */
    HistoryW *history;
    FILE *file; /* libedit's, in front of `out` */
    struct keys keys;
    struct paste paste;
    bool entered, asked; /* Enter or Tab was the last key */
    struct event *readable, *partial;

    struct input input;
};

/* ---- the terminal comes back as it was, even from a crash ---- */

static struct termios crash_termios;

static void on_crash(int number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &crash_termios);
    ssize_t put = write(STDOUT_FILENO, PASTE_STOP, sizeof PASTE_STOP - 1);
    (void)put;
    signal(number, SIG_DFL);
    raise(number);
}

/* Whoever watches for crashes already (a sanitizer) keeps doing so. */
static void watch_crashes(const struct termios *before)
{
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    crash_termios = *before;
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        struct sigaction old;
        if (sigaction(crashes[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            signal(crashes[i], on_crash);
    }
}

/* ---- libedit ---- */

static ssize_t write_through(void *data, const char *bytes, size_t size)
{
    output_write(data, bytes, size);
    return (ssize_t)size;
}

static wchar_t *prompt(EditLine *edit)
{
    static wchar_t text[] = L"> ";
    (void)edit;
    return text;
}

/* libedit asks for more than one character in the middle of an escape sequence only; see on_readable. */
static int get_character(EditLine *edit, wchar_t *ret)
{
    struct screen *s;
    uint32_t codepoint;
    if (el_wget(edit, EL_CLIENTDATA, &s) != 0 || !keys_next(&s->keys, &codepoint)) {
        errno = EAGAIN;
        return -1;
    }
    s->entered = codepoint == '\n' || codepoint == '\r';
    *ret = (wchar_t)codepoint;
    return 1;
}

/* What it completes to is put in when libedit is out of the way again. */
static unsigned char on_tab(EditLine *edit, wint_t key)
{
    struct screen *s;
    (void)key;
    if (el_wget(edit, EL_CLIENTDATA, &s) == 0)
        s->asked = true;
    return CC_NORM;
}

static bool line_is_empty(const struct screen *s)
{
    const LineInfoW *line = el_wline(s->edit);
    return line->buffer == line->lastchar;
}

/* As libedit counts: ^X, \U+XXXX, and a column for what has none. */
static size_t columns_of(wchar_t c, size_t column)
{
    if (c == '\t')
        return 8 - column % 8;
    if (c < ' ' || c == 0x7f)
        return 2;
    if (!iswprint((wint_t)c))
        return c > 0xffff ? 8 : 7;
    int width = wcwidth(c);
    return width > 0 ? (size_t)width : 1;
}

/* The row of the cursor below the prompt's, as libedit wraps. */
static size_t cursor_row(const struct screen *s)
{
    const LineInfoW *line = el_wline(s->edit);
    size_t columns = screen_columns(s), column = PROMPT_COLUMNS, row = 0;
    for (const wchar_t *at = line->buffer; at < line->cursor; at++) {
        size_t width = *at == '\n' ? columns : columns_of(*at, column);
        if (*at != '\n' && column + width > columns) {
            row++;
            column = 0;
        }
        column += width;
        if (column >= columns) {
            row++;
            column = 0;
        }
    }
    return row;
}

static void erase_line(struct screen *s)
{
    size_t row = cursor_row(s);
    fputc('\r', s->file);
    if (row > 0)
        fprintf(s->file, "\x1b[%zuA", row);
    fputs("\x1b[J", s->file);
}

static void redraw_line(struct screen *s)
{
    el_wset(s->edit, EL_REFRESH, NULL);
    fflush(s->file);
}

static void add_character(struct buffer *ret, wchar_t c)
{
    utf8proc_uint8_t bytes[4];
    buffer_add(ret, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, bytes));
}

static void give_line(struct screen *s, const wchar_t *text, size_t size)
{
    struct buffer line = {0};
    HistEventW event;
    for (size_t i = 0; i < size; i++)
        add_character(&line, text[i]);
    if (size > 0) {
        wchar_t *copy = memory_new(size + 1, sizeof *copy);
        memcpy(copy, text, size * sizeof *copy);
        history_w(s->history, &event, H_ENTER, copy);
        free(copy);
    }
    /* Begins a new line: forgets this one and shows the prompt. */
    el_wset(s->edit, EL_UNBUFFERED, 0);
    el_wset(s->edit, EL_UNBUFFERED, 1);
    fflush(s->file);
    s->user.line(s->user.data, buffer_text(&line), line.size);
    buffer_free(&line);
}

static void insert(struct screen *s, const struct buffer *text)
{
    wchar_t *wide = memory_new(text->size + 1, sizeof *wide);
    size_t count = 0;
    for (size_t at = 0; at < text->size;) {
        uint32_t codepoint;
        size_t length = text_next((const uint8_t *)text->at + at, text->size - at, &codepoint);
        wide[count++] = length == 0 ? REPLACEMENT : (wchar_t)codepoint;
        at += length == 0 ? 1 : length;
    }
    erase_line(s);
    el_winsertstr(s->edit, wide);
    redraw_line(s);
    explicit_bzero(wide, (text->size + 1) * sizeof *wide);
    free(wide);
}

/* It waits in the line, as it is, for Enter: nobody wants to have sent what the clipboard happened to hold. */
static void use_paste(struct screen *s)
{
    size_t size = s->paste.text.size;
    if (size > TEXT_BYTES_MAX)
        s->user.line(s->user.data, "", SIZE_MAX);
    else if (size > 0)
        insert(s, &s->paste.text);
    buffer_clear(&s->paste.text);
}

static void complete(struct screen *s)
{
    const LineInfoW *line = el_wline(s->edit);
    struct buffer before = {0}, found = {0};
    for (const wchar_t *at = line->buffer; at < line->cursor; at++)
        add_character(&before, *at);
    s->asked = false;
    s->user.complete(s->user.data, buffer_text(&before), before.size, &found);
    if (found.size > 0)
        insert(s, &found);
    buffer_free(&before);
    buffer_free(&found);
}

static bool next_is_end(const struct screen *s)
{
    return s->keys.start < s->keys.end && s->keys.at[s->keys.start] == CTRL_D && line_is_empty(s);
}

static void use_keys(struct screen *s, bool even_partial)
{
    while (s->armed) {
        int count = 0;
        enum paste_step step = paste_take(&s->paste, &s->keys);
        if (step == PASTE_DONE)
            use_paste(s);
        if (step == PASTE_MORE ||
            (step == PASTE_NONE && !keys_are_whole(&s->keys) && !(even_partial && keys_are_partial(&s->keys))))
            break;
        if (step == PASTE_DONE)
            continue;
        if (next_is_end(s)) {
            s->keys.start++;
            s->user.line(s->user.data, NULL, 0);
            break;
        }
        const wchar_t *text = el_wgets(s->edit, &count);
        if (text != NULL && count > 0 && s->entered && (text[count - 1] == L'\n' || text[count - 1] == L'\r'))
            give_line(s, text, (size_t)count - 1);
        if (s->asked)
            complete(s);
    }
    fflush(s->file);
}

static void on_partial(evutil_socket_t fd, short what, void *data)
{
    struct screen *s = data;
    (void)fd;
    (void)what;
    use_keys(s, true);
    client_turn(s->client);
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
    struct screen *s = data;
    struct timeval wait = {.tv_usec = PARTIAL_MS * 1000};
    size_t size;
    uint8_t *space = keys_space(&s->keys, &size);
    (void)what;
    ssize_t got = read(fd, space, size);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) { /* the terminal is gone */
        screen_arm(s, false);
        s->user.line(s->user.data, NULL, 0);
    } else {
        s->keys.end += (size_t)got;
        use_keys(s, false);
        if (!s->paste.open && keys_are_partial(&s->keys))
            event_add(s->partial, &wait);
        else
            event_del(s->partial);
    }
    client_turn(s->client);
}

/* What would ask for a key of its own, and wait for it, is taken away: searches, quoting, commands by name. */
static void set_keys(EditLine *edit)
{
    static const wchar_t *const waiting[] = {L"^R", L"^S", L"^V", L"\\ex", L"\\eX", L"^X"};
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
        el_wset(edit, EL_BIND, waiting[i], L"ed-unassigned", NULL);
}

static bool open_edit(struct screen *s)
{
    HistEventW event;
    cookie_io_functions_t through = {.write = write_through};
    s->file = fopencookie(&s->out, "w", through);
    if (s->file == NULL)
        return false;
    s->edit = el_init_fd("p2p-client", stdin, s->file, s->file, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
    s->history = history_winit();
    if (s->edit == NULL || s->history == NULL)
        return false;
    history_w(s->history, &event, H_SETSIZE, HISTORY_LINES);
    history_w(s->history, &event, H_SETUNIQUE, 1);
    el_wset(s->edit, EL_CLIENTDATA, s);
    el_wset(s->edit, EL_EDITOR, L"emacs");
    el_wset(s->edit, EL_PROMPT, prompt);
    el_wset(s->edit, EL_HIST, history_w, s->history);
    el_wset(s->edit, EL_SIGNAL, 0);
    el_wset(s->edit, EL_GETCFN, get_character);
    set_keys(s->edit);
    el_wset(s->edit, EL_ADDFN, L"p2p-complete", L"Complete commands and names", on_tab);
    el_wset(s->edit, EL_BIND, L"^I", L"p2p-complete", NULL);
    s->readable = event_new(client_base(s->client), STDIN_FILENO, EV_READ | EV_PERSIST, on_readable, s);
    s->partial = event_new(client_base(s->client), -1, 0, on_partial, s);
    el_wset(s->edit, EL_UNBUFFERED, 1);
    fputs(PASTE_ASK, s->file);
    fflush(s->file);
    return true;
}

static void close_edit(struct screen *s)
{
    if (s->edit != NULL) {
        erase_line(s);
        fputs(PASTE_STOP, s->file);
        el_wset(s->edit, EL_UNBUFFERED, 0);
        el_end(s->edit);
    }
    if (s->history != NULL)
        history_wend(s->history);
    if (s->file != NULL)
        fclose(s->file);
    if (s->readable != NULL)
        event_free(s->readable);
    if (s->partial != NULL)
        event_free(s->partial);
    explicit_bzero(&s->keys, sizeof s->keys);
    buffer_free(&s->paste.text);
    s->edit = NULL;
    s->file = NULL;
}

/* ---- both ---- */

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0';
}

static bool terminal_is_dumb(void)
{
    return !is_set("TERM") || strcmp(getenv("TERM"), "dumb") == 0;
}

/* What we show is UTF-8, whatever the locale says. */
static void need_utf8(void)
{
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static void on_progress(void *data)
{
    client_turn(data);
}

struct screen *screen_open(struct client *c, const struct screen_user *user)
{
    struct screen *s = memory_new(1, sizeof *s);
    s->client = c;
    s->user = *user;
    output_open(&s->out, STDOUT_FILENO, client_base(c), on_progress, c);
    bool dumb = terminal_is_dumb() || tcgetattr(STDIN_FILENO, &s->before) != 0;
    s->has_style = !dumb && !is_set("NO_COLOR");
    need_utf8();
    if (!dumb) {
        watch_crashes(&s->before);
        dumb = !open_edit(s);
        if (dumb)
            close_edit(s);
    }
    if (dumb)
        input_open(&s->input, c, PLAIN_LINE_MAX);
    return s;
}

void screen_close(struct screen *s)
{
    if (s->edit != NULL) {
        close_edit(s);
        tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
    } else {
        input_close(&s->input);
    }
    output_flush(&s->out, FLUSH_MS);
    output_close(&s->out);
    free(s);
}

void screen_print(struct screen *s, const char *text, size_t size)
{
    if (s->edit == NULL) {
        output_write(&s->out, text, size);
        return;
    }
    erase_line(s);
    fwrite(text, 1, size, s->file);
    redraw_line(s);
}

size_t screen_columns(const struct screen *s)
{
    struct winsize size;
    (void)s;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

bool screen_has_style(const struct screen *s)
{
    return s->has_style;
}

struct output *screen_output(struct screen *s)
{
    return &s->out;
}

static void arm_plain(struct screen *s, bool wanted)
{
    struct line line;
    while (wanted && s->armed && input_next(&s->input, &line))
        s->user.line(s->user.data, line.too_long ? "" : line.text, line.too_long ? SIZE_MAX : line.size);
    if (wanted && s->armed && input_has_ended(&s->input)) {
        s->armed = false;
        s->user.line(s->user.data, NULL, 0);
    }
    input_arm(&s->input, s->armed);
}

void screen_arm(struct screen *s, bool wanted)
{
    bool was = s->armed;
    s->armed = wanted;
    if (s->edit == NULL)
        arm_plain(s, wanted);
    else if (wanted && !was)
        event_add(s->readable, NULL);
    else if (!wanted && was)
        event_del(s->readable);
}

void screen_signal(struct screen *s, int number)
{
    if (s->edit == NULL) {
        if (number == SIGTSTP)
            raise(SIGSTOP);
        return;
    }
    if (number == SIGTSTP) {
        erase_line(s);
        fputs(PASTE_STOP, s->file);
        fflush(s->file);
        output_flush(&s->out, FLUSH_MS);
        el_wset(s->edit, EL_PREP_TERM, 0);
        raise(SIGSTOP); /* and on with SIGCONT */
    }
    if (number == SIGWINCH) {
        el_resize(s->edit);
    } else { /* somebody else may have set the terminal's modes meanwhile */
        el_wset(s->edit, EL_PREP_TERM, 0);
        el_wset(s->edit, EL_PREP_TERM, 1);
        fputs(PASTE_ASK, s->file);
    }
    fputs("\r\x1b[J", s->file);
    redraw_line(s);
}
