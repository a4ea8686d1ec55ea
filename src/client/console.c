/* The mode for people at a terminal. */
#include "client/choice.h"
#include "client/client.h"
#include "client/display.h"
#include "client/output.h"
#include "client/people.h"
#include "client/screen.h"
#include "client/transcript.h"
#include "wire/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EXCERPTS = 256,               /* of our latest messages, to name those that fail */
    STATUS_PENDING_MAX = 1 << 23, /* a terminal that is held back loses what is over that, but no message */
    EXCERPT_COLUMNS = 40,
    EXCERPT_BYTES = 4 * EXCERPT_COLUMNS + 16,
};

struct excerpt {
    uint64_t id; /* 0: free */
    char text[EXCERPT_BYTES];
};

struct console {
    struct view view;
    struct client *client;
    struct screen *screen;
    struct people people;
    struct transcript transcript;
    struct excerpt excerpts[EXCERPTS];
    uint64_t last_id;
    bool finished;
};

/* ---- saying something ---- */

/* A status line; `text` may come from a peer and is fit for the terminal already. */
static void say(struct console *k, const char *text)
{
    struct buffer line = {0};
    bool style = screen_has_style(k->screen);
    if (output_pending(screen_output(k->screen)) > STATUS_PENDING_MAX)
        return;
    buffer_addf(&line, "%s* ", style ? "\x1b[2m" : "");
    display_wrapped(&line, text, strlen(text), 2, screen_columns(k->screen));
    buffer_addf(&line, "%s\n", style ? "\x1b[0m" : "");
    screen_print(k->screen, line.at, line.size);
    buffer_free(&line);
}

/* What happens to people and to messages is kept; answers to commands are not. */
static void say_and_keep(struct console *k, const char *text)
{
    struct buffer entry = {0};
    buffer_add_text(&entry, "* ");
    display_text(&entry, text, strlen(text));
    transcript_add(&k->transcript, entry.at, entry.size);
    buffer_free(&entry);
    say(k, text);
}

/* `who`: with what stands behind a name on the screen; our own lines begin as they do there. */
static void keep_message(struct console *k, const char *who, const char *text, size_t size)
{
    struct buffer entry = {0};
    buffer_add_text(&entry, who);
    display_text(&entry, text, size);
    transcript_add(&k->transcript, entry.at, entry.size);
    buffer_free(&entry);
}

static size_t text_columns(const char *text)
{
    size_t columns = 0, size = strlen(text);
    uint32_t codepoint;
    for (size_t length; (length = text_next((const uint8_t *)text, size, &codepoint)) > 0;) {
        columns += display_columns(codepoint);
        text += length;
        size -= length;
    }
    return columns;
}

static void show_message(struct console *k, const struct engine_event *event)
{
    char buf[32];
    struct buffer line = {0};
    const char *name = people_name(&k->people, event->peer, buf);
    bool style = screen_has_style(k->screen);
    buffer_addf(&line, "%s%s%s: ", style ? "\x1b[1m" : "", name, style ? "\x1b[0m" : "");
    display_wrapped(&line, event->text, event->text_size, text_columns(name) + 2, screen_columns(k->screen));
    buffer_add(&line, "\n", 1);
    screen_print(k->screen, line.at, line.size);
    output_mark(screen_output(k->screen), event->peer, event->number);
    buffer_clear(&line);
    buffer_addf(&line, "%s: ", name);
    keep_message(k, line.at, event->text, event->text_size);
    buffer_free(&line);
}

static void show_keyword(struct console *k, const char *keyword)
{
    struct buffer line = {0};
    options_other_side(client_options(k->client), keyword, &line);
    if (!isatty(STDERR_FILENO))
        fprintf(stderr, "%s\n", line.at); /* whoever sends it elsewhere wants to have it there */
    struct buffer shown = {0};
    buffer_addf(&shown, "on the other side: %s", line.at);
    say(k, shown.at);
    buffer_free(&shown);
    buffer_free(&line);
}

static const char *message_text(const struct console *k, uint64_t id)
{
    const struct excerpt *e = &k->excerpts[id % EXCERPTS];
    return e->id == id && id != 0 ? e->text : "a message";
}

static void console_event(struct view *v, const struct engine_event *event)
{
    struct console *k = (struct console *)v;
    struct buffer line = {0};
    if (event->kind == EVENT_MESSAGE)
        show_message(k, event);
    else if (event->kind == EVENT_KEYWORD)
        show_keyword(k, event->text);
    else if (event->kind == EVENT_END && client_has_failed(k->client) && !people_came(&k->people))
        say(k, people_nobody_came(&k->people));
    else if (people_sentence(&k->people, event, message_text(k, event->id), &line))
        say_and_keep(k, line.at);
    buffer_free(&line);
}

/* ---- sending ---- */

static void keep_excerpt(struct console *k, uint64_t id, const char *text, size_t size)
{
    struct excerpt *e = &k->excerpts[id % EXCERPTS];
    struct buffer line = {0};
    display_line(&line, text, size, EXCERPT_COLUMNS);
    e->id = id;
    snprintf(e->text, sizeof e->text, "\"%.160s\"", buffer_text(&line));
    buffer_free(&line);
}

static void send_text(struct console *k, const char *text, size_t size)
{
    struct engine_command send = {.kind = COMMAND_SEND, .text = (const uint8_t *)text, .text_size = size};
    if (size > TEXT_BYTES_MAX) {
        say(k, "not sent: a message is at most 16384 bytes long; split it");
    } else if (!text_is_valid(send.text, size)) {
        say(k, "not sent: this is not valid UTF-8; is the terminal set to UTF-8?");
    } else if (!engine_has_room(client_engine(k->client), size)) {
        say(k, "not sent: too much is waiting to be delivered; try again later");
    } else {
        send.id = ++k->last_id;
        keep_excerpt(k, send.id, text, size);
        keep_message(k, "> ", text, size);
        client_command(k->client, &send);
    }
}

/* ---- commands ---- */

static void command_help(struct console *k, const char *argument)
{
    static const char *const lines[] = {
        "what you type goes to everybody here; a line that begins with // sends one that begins with /",
        "/peers            who is here, and how they are reached",
        "/verify [PEER]    four words; the same on both sides if nobody is in between",
        "/name NEW         change your name",
        "/ignore PEER      show nothing more of somebody",
        "/save FILE        write what was said so far to a new file",
        "/stats            counters, and why each path is what it is",
        "/quit             leave now (Ctrl-C); Ctrl-D leaves when all is delivered",
    };
    (void)argument;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        say(k, lines[i]);
}

static size_t list_peers(const struct console *k, struct engine_peer peers[static PEERS_MAX])
{
    size_t count = engine_peers(client_engine(k->client), peers, PEERS_MAX);
    return count < PEERS_MAX ? count : PEERS_MAX;
}

static void say_peer(struct console *k, const struct engine_peer *peer)
{
    char buf[32], at[ADDR_TEXT_MAX];
    struct buffer line = {0};
    buffer_addf(&line, "%u %s: %s", peer->peer, people_name(&k->people, peer->peer, buf), path_text(peer->path));
    if (peer->addr.family != ADDR_NONE)
        buffer_addf(&line, " %s", addr_format(&peer->addr, at));
    add_rtt(&line, peer->rtt_us);
    if (peer->waiting > 0)
        buffer_addf(&line, ", %u not yet delivered", peer->waiting);
    if (peer->reason != NULL && *peer->reason != '\0')
        buffer_addf(&line, " (%s)", peer->reason);
    say(k, line.at);
    buffer_free(&line);
}

static void command_peers(struct console *k, const char *argument)
{
    struct engine_peer peers[PEERS_MAX];
    size_t count = list_peers(k, peers);
    (void)argument;
    if (count == 0)
        say(k, "nobody is here yet");
    for (size_t i = 0; i < count; i++)
        say_peer(k, &peers[i]);
}

static void command_stats(struct console *k, const char *argument)
{
    struct engine_stat stats[ENGINE_STATS_MAX];
    size_t count = engine_stats(client_engine(k->client), stats);
    char line[120];
    (void)argument;
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%-32s %llu", stats[i].name, (unsigned long long)stats[i].value);
        say(k, line);
    }
    command_peers(k, ""); /* with what was tried, and why the path is what it is */
}

static void command_verify(struct console *k, const char *argument)
{
    struct engine_peer peers[PEERS_MAX];
    size_t count = list_peers(k, peers);
    uint32_t only = *argument == '\0' ? 0 : people_find(&k->people, argument);
    if (count == 0 || (*argument != '\0' && only == 0)) {
        say(k, count == 0 ? "nobody is here yet" : "there is no such peer; /peers lists them");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *words[4];
        char line[PERSON_TEXT_MAX + 80], buf[32];
        if ((only != 0 && only != peers[i].peer) || !engine_verify(client_engine(k->client), peers[i].peer, words))
            continue;
        snprintf(line, sizeof line, "%s: %s %s %s %s", people_name(&k->people, peers[i].peer, buf), words[0], words[1],
                 words[2], words[3]);
        say(k, line);
    }
}

static void command_name(struct console *k, const char *argument)
{
    size_t size = strlen(argument);
    if (size == 0 || size > NAME_BYTES_MAX || !text_is_name((const uint8_t *)argument, size)) {
        say(k, "a name is 1 to 64 bytes long, without control characters: /name NEW");
        return;
    }
    client_command(k->client, &(struct engine_command){
                                  .kind = COMMAND_NAME, .text = (const uint8_t *)argument, .text_size = size});
}

static void command_ignore(struct console *k, const char *argument)
{
    uint32_t peer = people_find(&k->people, argument);
    if (peer == 0)
        say(k, "there is no such peer; /peers lists them: /ignore PEER");
    else
        client_command(k->client, &(struct engine_command){.kind = COMMAND_IGNORE, .peer = peer});
}

/* A '~' is our home, as in a shell. */
static void add_path(struct buffer *ret, const char *argument)
{
    const char *home = getenv("HOME");
    if (argument[0] == '~' && argument[1] == '/' && home != NULL) {
        buffer_add_text(ret, home);
        argument++;
    }
    buffer_add_text(ret, argument);
}

static void command_save(struct console *k, const char *argument)
{
    struct buffer path = {0}, line = {0};
    add_path(&path, argument);
    int error = path.size == 0 ? ENOENT : transcript_save(&k->transcript, path.at);
    if (path.size == 0)
        buffer_add_text(&line, "what is the file to be called? /save FILE");
    else if (error == 0)
        buffer_addf(&line, "saved to %s, which only you can read", path.at);
    else if (error == EEXIST)
        buffer_addf(&line, "not saved: there is a %s already, and it stays as it is; take another name", path.at);
    else
        buffer_addf(&line, "not saved: cannot write %s: %s; take another place", path.at, strerror(error));
    say(k, line.at);
    buffer_free(&path);
    buffer_free(&line);
}

static void command_quit(struct console *k, const char *argument)
{
    (void)argument;
    k->finished = true;
    client_quit(k->client);
}

static const struct {
    const char *name;
    void (*run)(struct console *, const char *);
} commands[] = {
    {"help", command_help},     {"peers", command_peers}, {"stats", command_stats}, {"verify", command_verify},
    {"ignore", command_ignore}, {"name", command_name},   {"save", command_save},   {"quit", command_quit},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void run_command(struct console *k, const char *text)
{
    size_t word = strcspn(text, " ");
    const char *argument = text + word + strspn(text + word, " ");
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strlen(commands[i].name) == word && memcmp(commands[i].name, text, word) == 0) {
            commands[i].run(k, argument);
            return;
        }
    }
    say(k, "there is no such command; /help lists them, and // at the beginning sends a /");
}

/* ---- Tab ---- */

static void decide(struct console *k, struct choice *c, const char *behind, struct buffer *ret)
{
    if (c->count > 0)
        buffer_add(ret, c->first + c->prefix_size, c->common_size - c->prefix_size);
    if (c->count == 1)
        buffer_add_text(ret, behind);
    else if (c->count > 1 && c->common_size == c->prefix_size)
        say(k, c->all.at);
    buffer_free(&c->all);
}

static void offer_people(struct console *k, struct choice *c)
{
    size_t at = 0;
    for (const char *name; (name = people_next(&k->people, &at)) != NULL;)
        choice_offer(c, name);
}

/* Commands at the beginning, names behind /verify and /ignore, and names in a text: "ann: " at its beginning. */
static void on_complete(void *data, const char *text, size_t size, struct buffer *ret)
{
    struct console *k = data;
    const char *space = memrchr(text, ' ', size), *word = space == NULL ? text : space + 1;
    struct choice c = {.prefix = word, .prefix_size = size - (size_t)(word - text)};
    if (size == 0)
        return;
    if (text[0] == '/' && space == NULL) {
        c.prefix++;
        c.prefix_size--;
        for (size_t i = 0; i < COMMANDS; i++)
            choice_offer(&c, commands[i].name);
        decide(k, &c, " ", ret);
        return;
    }
    bool is_argument = strncmp(text, "/verify ", 8) == 0 || strncmp(text, "/ignore ", 8) == 0;
    if (is_argument) { /* all of it: a name may have spaces */
        c.prefix = text + 8;
        c.prefix_size = size - 8;
    } else if (c.prefix_size == 0) {
        return;
    }
    offer_people(k, &c);
    decide(k, &c, is_argument ? "" : space == NULL ? ": " : " ", ret);
}

static void finish(struct console *k)
{
    if (k->finished)
        return;
    k->finished = true;
    if (engine_undelivered(client_engine(k->client)) > 0)
        say(k, "leaving when all is delivered (Ctrl-C leaves now)");
    client_command(k->client, &(struct engine_command){.kind = COMMAND_FINISH});
}

static void on_line(void *data, const char *text, size_t size)
{
    struct console *k = data;
    if (text == NULL)
        finish(k);
    else if (size >= 2 && size <= TEXT_BYTES_MAX && text[0] == '/' && text[1] == '/')
        send_text(k, text + 1, size - 1);
    else if (size >= 1 && size <= TEXT_BYTES_MAX && text[0] == '/' && memchr(text, '\0', size) == NULL) {
        struct buffer line = {0};
        buffer_add(&line, text + 1, size - 1);
        run_command(k, line.at);
        buffer_free(&line);
    } else if (size > 0) {
        send_text(k, text, size);
    }
}

/* ---- the view ---- */

static void console_start(struct view *v)
{
    struct console *k = (struct console *)v;
    const struct options *o = client_options(k->client);
    char text[HOST_BYTES_MAX + 120];
    snprintf(text, sizeof text, "meeting others with the same keyword at %s; /help lists the commands",
             o->server_given ? o->server_text : "127.0.0.1 (no --server was given)");
    say(k, text);
}

static void console_turn(struct view *v)
{
    struct console *k = (struct console *)v;
    screen_arm(k->screen, !k->finished && !client_has_ended(k->client));
}

static bool console_take_written(struct view *v, uint32_t *ret_peer, uint64_t *ret_number)
{
    return output_take_written(screen_output(((struct console *)v)->screen), ret_peer, ret_number);
}

static int console_output_error(struct view *v)
{
    return screen_output(((struct console *)v)->screen)->error;
}

static bool console_is_drained(struct view *v)
{
    return output_pending(screen_output(((struct console *)v)->screen)) == 0;
}

static int console_status(struct view *v)
{
    (void)v;
    return 0;
}

static void console_signal(struct view *v, int number)
{
    screen_signal(((struct console *)v)->screen, number);
}

static void console_close(struct view *v)
{
    struct console *k = (struct console *)v;
    screen_close(k->screen);
    explicit_bzero(k->excerpts, sizeof k->excerpts);
    transcript_wipe(&k->transcript);
    free(k);
}

struct view *console_create(struct client *c)
{
    struct console *k = memory_new(1, sizeof *k);
    k->client = c;
    k->people.distinct = true;
    k->view = (struct view){.start = console_start,
                            .event = console_event,
                            .turn = console_turn,
                            .take_written = console_take_written,
                            .output_error = console_output_error,
                            .is_drained = console_is_drained,
                            .status = console_status,
                            .signal = console_signal,
                            .close = console_close};
    k->screen = screen_open(c, &(struct screen_user){.line = on_line, .complete = on_complete, .data = k});
    return &k->view;
}
