/* What people type at the console, and what others make it show. Behind it is a live engine that has met the hand
 * (hand.h); the loop and the screen are made of nothing here, and the screen looks at all that is printed.
 * Input: a byte (style, width), then lines. One that begins with \x01 is said by the peer, one with \x02 is its new
 * name, behind \x03 Tab is pressed, any other is typed. */
#include "client/client.h"
#include "client/output.h"
#include "client/screen.h"
#include "client/transcript.h"
#include "hand.h"
#include "shapes.h"
#include "still.h"
#include "wire/text.h"
#include <errno.h>

const struct fuzz_shape *fuzz_shape = &shape_console;

enum { LINES_MAX = 60 };

static struct hand *h;
static struct view *view;
static struct options options;
static bool has_style, armed;
static size_t columns;
static struct screen_user user;

/* ---- the screen ---- */

static const char *skip_style(const char *at)
{
    static const char *const ours[] = {"\x1b[0m", "\x1b[1m", "\x1b[2m"};
    for (size_t i = 0; i < COUNT(ours); i++)
        if (strncmp(at, ours[i], strlen(ours[i])) == 0)
            return at + strlen(ours[i]);
    return at;
}

/* Nothing in it but our own three sequences could do anything to a terminal, and no line could be taken for another. */
void screen_print(struct screen *s, const char *text, size_t size)
{
    const char *end = text + size;
    (void)s;
    FUZZ_CHECK(size > 0 && text[size - 1] == '\n' && memchr(text, '\0', size) == NULL);
    while (text < end) {
        uint32_t c;
        const char *behind = has_style ? skip_style(text) : text;
        if (behind != text) {
            text = behind;
            continue;
        }
        size_t length = text_next((const uint8_t *)text, (size_t)(end - text), &c);
        FUZZ_CHECK(length > 0);
        if (c == '\n')
            FUZZ_CHECK(text + 1 == end || (end - text > 2 && text[1] == ' ' && text[2] == ' '));
        else
            FUZZ_CHECK(c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x202a && c <= 0x202e) &&
                       !(c >= 0x2066 && c <= 0x2069));
        text += length;
    }
}

struct screen *screen_open(struct client *c, const struct screen_user *made)
{
    (void)c;
    user = *made;
    return NULL;
}

void screen_close(struct screen *s)
{
    (void)s;
}

size_t screen_columns(const struct screen *s)
{
    (void)s;
    return columns;
}

bool screen_has_style(const struct screen *s)
{
    (void)s;
    return has_style;
}

struct output *screen_output(struct screen *s)
{
    static struct output none;
    (void)s;
    return &none;
}

void screen_arm(struct screen *s, bool wanted)
{
    (void)s;
    armed = wanted;
}

void screen_signal(struct screen *s, int number)
{
    (void)s, (void)number;
}

void output_mark(struct output *o, uint32_t peer, uint64_t number)
{
    (void)o, (void)peer, (void)number;
}

bool output_take_written(struct output *o, uint32_t *ret_peer, uint64_t *ret_number)
{
    (void)o, (void)ret_peer, (void)ret_number;
    return false;
}

size_t output_pending(const struct output *o)
{
    (void)o;
    return 0;
}

/* ---- /save: no files here ---- */

void transcript_add(struct transcript *t, const char *entry, size_t size)
{
    (void)t;
    FUZZ_CHECK(text_is_valid((const uint8_t *)entry, size));
}

int transcript_save(const struct transcript *t, const char *path)
{
    (void)t;
    FUZZ_CHECK(*path != '\0');
    return (int)strlen(path) % 3 == 0 ? 0 : strlen(path) % 3 == 1 ? EEXIST : ENOSPC;
}

void transcript_wipe(struct transcript *t)
{
    (void)t;
}

/* ---- the loop ---- */

const struct engine *client_engine(const struct client *c)
{
    (void)c;
    return h->e;
}

const struct options *client_options(const struct client *c)
{
    (void)c;
    return &options;
}

bool client_has_ended(const struct client *c)
{
    (void)c;
    return h->ended;
}

bool client_has_failed(const struct client *c)
{
    (void)c;
    return true;
}

void client_command(struct client *c, const struct engine_command *command)
{
    (void)c;
    if (h->ended)
        return;
    if (command->kind == COMMAND_SEND)
        FUZZ_CHECK(command->text_size <= TEXT_BYTES_MAX && text_is_valid(command->text, command->text_size));
    hand_command(h, command);
}

void client_quit(struct client *c)
{
    client_command(c, &(struct engine_command){.kind = COMMAND_QUIT});
}

static void on_event(const struct engine_event *event)
{
    view->event(view, event);
}

/* ---- lines ---- */

static void peer_says(const char *text, size_t size)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    const struct frame f = {.kind = FRAME_MESSAGE,
                            .message = {.data = {(const uint8_t *)text, size < 900 ? size : 900}}};
    size_t used = size == 0 ? 0 : codec_encode_inner(&f, plain, sizeof plain);
    hand_say(h, WAY_SIGNAL, TWIST_RIGHT, plain, used);
}

static void peer_is_called(const char *text, size_t size)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    struct frame f = {.kind = FRAME_OFFER, .offer = {.generation = 1}};
    f.offer.name_size = (uint8_t)(size < NAME_BYTES_MAX ? size : NAME_BYTES_MAX);
    memcpy(f.offer.name, text, f.offer.name_size);
    hand_say(h, WAY_SIGNAL, TWIST_RIGHT, plain, codec_encode_inner(&f, plain, sizeof plain));
}

/* As a record of the stream: id and length in front. */
static void peer_writes(const char *text, size_t size)
{
    char record[910];
    size = size < 900 ? size : 900;
    record[0] = (char)(1 + h->next_id++ % 100);
    record[1] = (char)(size % 128 | (size > 127 ? 128 : 0));
    record[2] = (char)(size / 128);
    memcpy(record + (size > 127 ? 3 : 2), text, size);
    peer_says(record, size + (size > 127 ? 3 : 2));
}

/* Only UTF-8 is typed. What is put in must be UTF-8, too. */
static void asks_for_more(const char *text, size_t size)
{
    struct buffer before = {0}, found = {0};
    if (!text_is_valid((const uint8_t *)text, size))
        return;
    buffer_add(&before, text, size);
    user.complete(user.data, before.at, size, &found);
    FUZZ_CHECK(text_is_valid((const uint8_t *)buffer_text(&found), found.size));
    buffer_free(&before);
    buffer_free(&found);
}

static void run_line(const char *text, size_t size)
{
    if (size > 0 && text[0] == 1)
        peer_writes(text + 1, size - 1);
    else if (size > 0 && text[0] == 2)
        peer_is_called(text + 1, size - 1);
    else if (size > 0 && text[0] == 3)
        asks_for_more(text + 1, size - 1);
    else if (armed)
        user.line(user.data, text, size);
    hand_drain(h);
    hand_run(h, VTIME_MS(200));
    view->turn(view);
}

static void begin(void)
{
    static struct still s;
    static const struct hand_beginning met = {.keyword = "42-crab-lunar-toast", .meets = true};
    if (s.at == NULL) {
        still_open(&s, hand_size() + sizeof *h);
        h = (struct hand *)((char *)s.at + hand_size());
        hand_begin(h, s.at, &met);
        still_keep(&s);
    }
    still_restore(&s);
    h->on_event = on_event;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct engine_event came = {.kind = EVENT_PEER, .peer = 1, .name = "bob"};
    if (size == 0)
        return 0;
    begin();
    has_style = at[0] & 1;
    columns = 12 + at[0] / 2;
    view = console_create(NULL);
    view->start(view);
    view->turn(view);
    view->event(view, &came);
    const char *text = (const char *)at + 1, *end = (const char *)at + size;
    for (unsigned i = 0; i < LINES_MAX && text < end; i++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;
        run_line(text, (size_t)(stop - text));
        text = newline != NULL ? newline + 1 : end;
    }
    user.line(user.data, NULL, 0);
    view->turn(view);
    view->close(view);
    return 0;
}
