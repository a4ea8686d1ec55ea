/* The mode for programs: events out and commands in, a JSON object a line. */
#include "client/client.h"
#include "client/input.h"
#include "client/json.h"
#include "client/output.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OUT_PENDING_HIGH = 1 << 18, /* with more than that waiting to be read, commands wait, too: they make events */
    OUT_PENDING_MAX = 1 << 27,  /* more than all peers' credit in the shortest messages: the rest is left out */
};

struct json_view {
    struct view view;
    struct client *client;
    enum keyword_form form;
    struct input input;
    struct output out;
    struct buffer line; /* what is being written */
    bool stale;         /* names or paths were left out: they are told once more when the reader reads on */
    bool parked;        /* `waiting` must be sent first, when there is room */
    bool finished;      /* COMMAND_FINISH or COMMAND_QUIT was given */
    struct json_command waiting;
};

static void flush_line(struct json_view *j)
{
    output_write(&j->out, buffer_text(&j->line), j->line.size);
    buffer_clear(&j->line);
}

static void show_keyword(struct json_view *j, const char *keyword)
{
    struct buffer command = {0};
    options_other_side(client_options(j->client), keyword, &command);
    json_keyword(&j->line, keyword, command.at);
    buffer_free(&command);
}

/* What a peer can change as often as he likes must not pile up in front of a reader that has stalled. */
static bool is_left_out(struct json_view *j, const struct engine_event *event)
{
    size_t pending = output_pending(&j->out);
    bool state = event->kind == EVENT_NAME || event->kind == EVENT_PATH;
    if (state && pending >= OUT_PENDING_HIGH)
        j->stale = true;
    if (event->kind == EVENT_MESSAGE || event->kind == EVENT_END)
        return false;
    return pending >= (state ? OUT_PENDING_HIGH : OUT_PENDING_MAX);
}

static void json_view_event(struct view *v, const struct engine_event *event)
{
    struct json_view *j = (struct json_view *)v;
    if (event->kind == EVENT_KEYWORD)
        show_keyword(j, event->text);
    else if (!is_left_out(j, event))
        json_event(&j->line, event);
    flush_line(j);
    if (event->kind == EVENT_MESSAGE)
        output_mark(&j->out, event->peer, event->number);
}

static void refuse(struct json_view *j, const char *why, uint64_t id)
{
    json_bad_command(&j->line, why, id);
    flush_line(j);
}

/* ---- commands ---- */

static size_t list_peers(const struct json_view *j, struct engine_peer peers[static PEERS_MAX])
{
    size_t count = engine_peers(client_engine(j->client), peers, PEERS_MAX);
    return count < PEERS_MAX ? count : PEERS_MAX;
}

static bool is_present(const struct json_view *j, uint32_t peer)
{
    struct engine_peer peers[PEERS_MAX];
    size_t count = list_peers(j, peers);
    for (size_t i = 0; i < count; i++)
        if (peers[i].peer == peer)
            return true;
    return false;
}

static void answer_peers(struct json_view *j)
{
    struct engine_peer peers[PEERS_MAX];
    json_peers(&j->line, peers, list_peers(j, peers));
    flush_line(j);
}

static void refresh(struct json_view *j)
{
    struct engine_peer peers[PEERS_MAX];
    size_t count = list_peers(j, peers);
    j->stale = false;
    for (size_t i = 0; i < count; i++) {
        const struct engine_peer *p = &peers[i];
        json_event(&j->line, &(struct engine_event){.kind = EVENT_NAME, .peer = p->peer, .name = p->name});
        json_event(&j->line, &(struct engine_event){.kind = EVENT_PATH,
                                                    .peer = p->peer,
                                                    .path = p->path,
                                                    .addr = p->addr,
                                                    .rtt_us = p->rtt_us,
                                                    .text = p->reason});
    }
    flush_line(j);
}

static void answer_stats(struct json_view *j)
{
    struct engine_stat stats[ENGINE_STATS_MAX];
    struct engine_peer peers[PEERS_MAX];
    size_t count = engine_stats(client_engine(j->client), stats);
    json_stats(&j->line, stats, count, peers, list_peers(j, peers));
    flush_line(j);
}

/* `only` 0: everybody. */
static void answer_verify(struct json_view *j, uint32_t only)
{
    struct engine_peer peers[PEERS_MAX];
    size_t count = list_peers(j, peers);
    for (size_t i = 0; i < count; i++) {
        const char *words[4];
        if ((only == 0 || only == peers[i].peer) && engine_verify(client_engine(j->client), peers[i].peer, words))
            json_verify(&j->line, peers[i].peer, words);
    }
    if (j->line.size == 0)
        json_event(&j->line, &(struct engine_event){.kind = EVENT_WARNING,
                                                    .code = "no-peers",
                                                    .text = "there is nobody to verify yet; wait for the event peer"});
    flush_line(j);
}

static void send_text(struct json_view *j, const struct json_command *command)
{
    client_command(j->client, &(struct engine_command){.kind = COMMAND_SEND,
                                                       .id = command->id,
                                                       .to = command->peer,
                                                       .text = (const uint8_t *)command->text,
                                                       .text_size = command->text_size});
}

static void carry_out(struct json_view *j, const struct json_command *command)
{
    switch (command->kind) {
    case JSON_SEND:
        send_text(j, command);
        break;
    case JSON_PEERS:
        answer_peers(j);
        break;
    case JSON_STATS:
        answer_stats(j);
        break;
    case JSON_VERIFY:
        answer_verify(j, command->peer);
        break;
    case JSON_QUIT:
        j->finished = true;
        client_quit(j->client);
        break;
    case JSON_NAME:
        client_command(j->client, &(struct engine_command){.kind = COMMAND_NAME,
                                                           .text = (const uint8_t *)command->text,
                                                           .text_size = command->text_size});
        break;
    case JSON_IGNORE:
        client_command(j->client, &(struct engine_command){.kind = COMMAND_IGNORE, .peer = command->peer});
        break;
    }
}

static void take_line(struct json_view *j, const struct line *line)
{
    struct json_command command;
    char error[JSON_ERROR_MAX];
    if (line->too_long) {
        refuse(j, "this line is longer than 131072 bytes, and was skipped; a message has 16384 at most", 0);
        return;
    }
    if (!json_command_parse(&command, line->text, line->size, error)) {
        refuse(j, error, command.id);
    } else if (command.peer != 0 && !is_present(j, command.peer)) {
        refuse(j, "there is no such peer here; {\"command\":\"peers\"} lists them", command.id);
    } else if (command.kind == JSON_SEND && !engine_has_room(client_engine(j->client), command.text_size)) {
        j->waiting = command;
        j->parked = true;
        return;
    } else {
        carry_out(j, &command);
    }
    json_command_free(&command);
}

/* A message for which there was no room. Its receiver may have left by now: then the engine says so. */
static bool unpark(struct json_view *j)
{
    if (j->parked && engine_has_room(client_engine(j->client), j->waiting.text_size)) {
        j->parked = false;
        carry_out(j, &j->waiting);
        json_command_free(&j->waiting);
    }
    return !j->parked;
}

static bool wants_more(struct json_view *j)
{
    return !j->finished && !client_has_ended(j->client) && unpark(j) && output_pending(&j->out) < OUT_PENDING_HIGH;
}

static void json_view_turn(struct view *v)
{
    struct json_view *j = (struct json_view *)v;
    struct line line;
    if (j->stale && output_pending(&j->out) < OUT_PENDING_HIGH)
        refresh(j);
    while (wants_more(j) && input_next(&j->input, &line))
        take_line(j, &line);
    if (!j->finished && !j->parked && input_has_ended(&j->input)) {
        j->finished = true;
        client_command(j->client, &(struct engine_command){.kind = COMMAND_FINISH});
    }
    input_arm(&j->input, wants_more(j));
}

/* ---- the rest ---- */

static void json_view_start(struct view *v)
{
    struct json_view *j = (struct json_view *)v;
    json_hello(&j->line, P2P_VERSION, j->form);
    flush_line(j);
}

static bool json_view_take_written(struct view *v, uint32_t *ret_peer, uint64_t *ret_number)
{
    return output_take_written(&((struct json_view *)v)->out, ret_peer, ret_number);
}

static int json_view_output_error(struct view *v)
{
    return ((struct json_view *)v)->out.error;
}

static bool json_view_is_drained(struct view *v)
{
    return output_pending(&((struct json_view *)v)->out) == 0;
}

static int json_view_status(struct view *v)
{
    (void)v;
    return 0; /* a bad line was answered; it is the program's business */
}

static void json_view_close(struct view *v)
{
    struct json_view *j = (struct json_view *)v;
    if (j->parked)
        json_command_free(&j->waiting);
    output_close(&j->out);
    input_close(&j->input);
    buffer_free(&j->line);
    free(j);
}

static void on_progress(void *data)
{
    client_turn(data);
}

struct view *json_create(struct client *c)
{
    struct json_view *j = memory_new(1, sizeof *j);
    j->client = c;
    j->form = client_form(c);
    j->view = (struct view){.start = json_view_start,
                            .event = json_view_event,
                            .turn = json_view_turn,
                            .take_written = json_view_take_written,
                            .output_error = json_view_output_error,
                            .is_drained = json_view_is_drained,
                            .status = json_view_status,
                            .close = json_view_close};
    input_open(&j->input, c, JSON_LINE_MAX);
    output_open(&j->out, STDOUT_FILENO, client_base(c), on_progress, c);
    return &j->view;
}
