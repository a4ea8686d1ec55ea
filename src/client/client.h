/* client.h: the loop around the engine, and what a mode (console, pipe, JSON) is to it.
 *
 * One turn: commands and datagrams go in, the engine is polled until it has nothing more, the mode gets a chance to
 * read more input, one timer is armed. A mode calls client_turn after anything of its own has happened; inside its
 * own functions below it only gives commands. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H
#include <stdbool.h>
#include <stdint.h>
#include "client/options.h"
#include "peer/engine.h"

struct client;
struct event_base;

struct view {
    /* Before the first turn. */
    void (*start)(struct view *v);
    /* Something to tell. The event's pointers are valid until the next command. */
    void (*event)(struct view *v, const struct engine_event *event);
    /* At the end of a turn: read on, if there is room. */
    void (*turn)(struct view *v);
    /* The next message that is on its output. */
    bool (*take_written)(struct view *v, uint32_t *ret_peer, uint64_t *ret_number);
    /* errno of an output that is gone, or 0. */
    int (*output_error)(struct view *v);
    /* Is everything written? Asked after EVENT_END. */
    bool (*is_drained)(struct view *v);
    /* A refused line and the like: 1 instead of the engine's 0. */
    int (*status)(struct view *v);
    /* SIGWINCH, SIGCONT; SIGTSTP: may be NULL. */
    void (*signal)(struct view *v, int number);
    /* On every way out. */
    void (*close)(struct view *v);
};

struct event_base *client_base(const struct client *c);
const struct engine *client_engine(const struct client *c);
const struct options *client_options(const struct client *c);
enum keyword_form client_form(const struct client *c);
void client_command(struct client *c, const struct engine_command *command);
void client_turn(struct client *c);
/* True once EVENT_END has come: nothing is read any more. */
bool client_has_ended(const struct client *c);
/* And its status was not 0, apart from what the mode itself knows. */
bool client_has_failed(const struct client *c);
/* COMMAND_QUIT, and not waiting long for a stalled reader. */
void client_quit(struct client *c);

/* Runs until the end; returns the exit status. `create` makes the mode once there is a loop. */
typedef struct view *view_create(struct client *c);
int client_run(const struct options *options, const struct keyword *keyword, view_create *create);

view_create pipe_create, json_create, console_create;
#endif
