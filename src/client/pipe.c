/* The mode for programs that know only lines: `NAME: TEXT` on standard output, everything else on standard error. */
#include "client/client.h"
#include "client/display.h"
#include "client/input.h"
#include "client/output.h"
#include "client/people.h"
#include "wire/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ERRORS_PENDING_MAX = 1 << 23, /* a full mailbox that fails for everybody; more is lost if nobody reads it */
    ERRORS_FLUSH_MS = 2000,
};

struct pipe_view {
    struct view view;
    struct client *client;
    struct input input;
    struct output out, errors;
    struct people people;
    bool refused;  /* a line was not sent: status 1 */
    bool finished; /* COMMAND_FINISH was given, or there was no line */
};

static void say(struct pipe_view *p, const char *text)
{
    struct buffer line = {0};
    if (output_pending(&p->errors) < ERRORS_PENDING_MAX) {
        buffer_addf(&line, "p2p-client: %s\n", text);
        output_write(&p->errors, line.at, line.size);
    }
    buffer_free(&line);
}

static void show_message(struct pipe_view *p, const struct engine_event *event)
{
    struct buffer line = {0};
    display_name(&line, event->name);
    buffer_add_text(&line, ": ");
    display_text(&line, event->text, event->text_size);
    buffer_add_text(&line, "\n");
    output_write(&p->out, line.at, line.size);
    output_mark(&p->out, event->peer, event->number);
    buffer_free(&line);
}

static void show_keyword(struct pipe_view *p, const char *keyword)
{
    struct buffer line = {0};
    buffer_add_text(&line, "on the other side: ");
    options_other_side(client_options(p->client), keyword, &line);
    say(p, line.at);
    buffer_free(&line);
}

static void pipe_event(struct view *v, const struct engine_event *event)
{
    struct pipe_view *p = (struct pipe_view *)v;
    struct buffer line = {0};
    char what[40];
    snprintf(what, sizeof what, "line %llu", (unsigned long long)event->id);

    if (event->kind == EVENT_MESSAGE)
        show_message(p, event);
    else if (event->kind == EVENT_KEYWORD)
        show_keyword(p, event->text);
    else if (event->kind == EVENT_END && client_has_failed(p->client) && !people_came(&p->people))
        say(p, people_nobody_came(&p->people));
    else if (people_sentence(&p->people, event, what, &line))
        say(p, line.at);
    buffer_free(&line);
}

static void refuse(struct pipe_view *p, uint64_t number, const char *why)
{
    char text[160];
    snprintf(text, sizeof text, "error: line %llu was not sent: %s", (unsigned long long)number, why);
    say(p, text);
    p->refused = true;
}

/* The number of the line is the id of its message. */
static void send_line(struct pipe_view *p, const struct line *line)
{
    struct engine_command send = {
        .kind = COMMAND_SEND, .id = line->number, .text = (const uint8_t *)line->text, .text_size = line->size};
    if (line->too_long)
        refuse(p, line->number, "it is longer than 16384 bytes; split it");
    else if (memchr(line->text, '\0', line->size) != NULL)
        refuse(p, line->number, "it contains a NUL byte; messages are text, encode what is none (base64)");
    else if (!text_is_valid(send.text, send.text_size))
        refuse(p, line->number, "it is not valid UTF-8; convert it (iconv), or encode what is no text (base64)");
    else
        client_command(p->client, &send);
}

static void finish(struct pipe_view *p)
{
    p->finished = true;
    if (p->input.lines.count == 0)
        say(p, "no input: receiving only, until SIGINT or SIGTERM");
    else
        client_command(p->client, &(struct engine_command){.kind = COMMAND_FINISH});
}

static void pipe_turn(struct view *v)
{
    struct pipe_view *p = (struct pipe_view *)v;
    const struct engine *engine = client_engine(p->client);
    struct line line;
    bool room;
    while ((room = engine_has_room(engine, TEXT_BYTES_MAX)) && !client_has_ended(p->client) &&
           input_next(&p->input, &line))
        send_line(p, &line);
    if (!p->finished && input_has_ended(&p->input))
        finish(p);
    input_arm(&p->input, room && !client_has_ended(p->client));
}

static void pipe_start(struct view *v)
{
    struct pipe_view *p = (struct pipe_view *)v;
    const struct options *o = client_options(p->client);
    char text[HOST_BYTES_MAX + 80];
    snprintf(text, sizeof text, "meeting others with the same keyword at %s",
             o->server_given ? o->server_text : "127.0.0.1 (no --server was given)");
    say(p, text);
}

static bool pipe_take_written(struct view *v, uint32_t *ret_peer, uint64_t *ret_number)
{
    return output_take_written(&((struct pipe_view *)v)->out, ret_peer, ret_number);
}

static int pipe_output_error(struct view *v)
{
    return ((struct pipe_view *)v)->out.error;
}

static bool pipe_is_drained(struct view *v)
{
    return output_pending(&((struct pipe_view *)v)->out) == 0;
}

static int pipe_status(struct view *v)
{
    return ((struct pipe_view *)v)->refused;
}

static void pipe_close(struct view *v)
{
    struct pipe_view *p = (struct pipe_view *)v;
    output_flush(&p->errors, ERRORS_FLUSH_MS);
    output_close(&p->out);
    output_close(&p->errors);
    input_close(&p->input);
    free(p);
}

static void on_progress(void *data)
{
    client_turn(data);
}

struct view *pipe_create(struct client *c)
{
    struct pipe_view *p = memory_new(1, sizeof *p);
    p->client = c;
    p->view = (struct view){.start = pipe_start,
                            .event = pipe_event,
                            .turn = pipe_turn,
                            .take_written = pipe_take_written,
                            .output_error = pipe_output_error,
                            .is_drained = pipe_is_drained,
                            .status = pipe_status,
                            .close = pipe_close};
    input_open(&p->input, c, TEXT_BYTES_MAX);
    output_open(&p->out, STDOUT_FILENO, client_base(c), on_progress, c);
    output_open(&p->errors, STDERR_FILENO, client_base(c), NULL, NULL);
    return &p->view;
}
