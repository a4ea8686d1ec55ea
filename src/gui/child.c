#include "gui/child.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { KEYWORD_FD = 3, SAID_BYTES = 512 };

#define CLIENT_PROGRAM "p2p-client"
#define KEYWORD_PATH   "/proc/self/fd/3"

struct child {
    GSubprocess *process;
    GDataInputStream *out, *errors;
    GOutputStream *in;
    GByteArray *waiting, *writing; /* for its input; what is being written */
    struct child_events events;
    void *data;
    int open; /* streams that have not ended, and the process */
    char said[SAID_BYTES];
};

static char *find_program(void)
{
    char *self = g_file_read_link("/proc/self/exe", NULL);
    if (self != NULL) {
        char *folder = g_path_get_dirname(self), *beside = g_build_filename(folder, CLIENT_PROGRAM, NULL);
        g_free(folder);
        g_free(self);
        if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
            return beside;
        g_free(beside);
    }
    return g_find_program_in_path(CLIENT_PROGRAM);
}

static void add_flag(GPtrArray *argv, const char *flag, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    g_ptr_array_add(argv, g_strdup(flag));
    g_ptr_array_add(argv, g_strdup(value));
}

static GPtrArray *command_line(const char *program, const struct join *join)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv, g_strdup(program));
    g_ptr_array_add(argv, g_strdup("--json"));
    if (join->by == JOIN_BY_NEW)
        g_ptr_array_add(argv, g_strdup("--new"));
    else
        add_flag(argv, "--keyword-file", join->by == JOIN_BY_FILE ? join->file : KEYWORD_PATH);
    add_flag(argv, "--server", join->server);
    add_flag(argv, "--name", join->name);
    add_flag(argv, "--relay", join->relay);
    add_flag(argv, "--wait", join->wait);
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* A pipe that has the keyword in it, to be read; -1 with errno. A keyword is far smaller than any pipe. */
static int keyword_pipe(const char *keyword)
{
    int ends[2];
    size_t size = strlen(keyword);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    ssize_t put = write(ends[1], keyword, size);
    close(ends[1]);
    if (put == (ssize_t)size)
        return ends[0];
    close(ends[0]);
    errno = EMSGSIZE;
    return -1;
}

static void finish(struct child *c)
{
    if (--c->open > 0)
        return;
    struct ending ending = {.said = c->said};
    if (g_subprocess_get_if_signaled(c->process))
        ending.signal = g_subprocess_get_term_sig(c->process);
    else
        ending.status = g_subprocess_get_exit_status(c->process);
    c->events.ended(c->data, &ending);
    g_object_unref(c->out);
    g_object_unref(c->errors);
    g_object_unref(c->process);
    g_byte_array_unref(c->waiting);
    g_byte_array_unref(c->writing);
    g_free(c);
}

static void on_process_end(GObject *process, GAsyncResult *result, gpointer data)
{
    g_subprocess_wait_finish(G_SUBPROCESS(process), result, NULL);
    finish(data);
}

/* ---- out ---- */

static void on_line(GObject *stream, GAsyncResult *result, gpointer data)
{
    struct child *c = data;
    gsize size;
    char *line = g_data_input_stream_read_line_finish(G_DATA_INPUT_STREAM(stream), result, &size, NULL);
    if (line == NULL) {
        finish(c);
        return;
    }
    c->events.line(c->data, line, size);
    g_free(line);
    /* Behind drawing: a flood of messages must not freeze the window. */
    g_data_input_stream_read_line_async(c->out, G_PRIORITY_DEFAULT_IDLE, NULL, on_line, c);
}

static void on_error_line(GObject *stream, GAsyncResult *result, gpointer data)
{
    struct child *c = data;
    char *line = g_data_input_stream_read_line_finish(G_DATA_INPUT_STREAM(stream), result, NULL, NULL);
    if (line == NULL) {
        finish(c);
        return;
    }
    g_strlcpy(c->said, line, sizeof c->said);
    g_free(line);
    g_data_input_stream_read_line_async(c->errors, G_PRIORITY_DEFAULT_IDLE, NULL, on_error_line, c);
}

/* ---- in ---- */

static void write_on(struct child *c);

static void on_written(GObject *stream, GAsyncResult *result, gpointer data)
{
    struct child *c = data;
    /* An error is the end of the process, which is told elsewhere. */
    g_output_stream_write_all_finish(G_OUTPUT_STREAM(stream), result, NULL, NULL);
    g_byte_array_set_size(c->writing, 0);
    if (c->waiting->len > 0)
        write_on(c);
    finish(c);
}

static void write_on(struct child *c)
{
    GByteArray *empty = c->writing;
    c->writing = c->waiting;
    c->waiting = empty;
    c->open++; /* the write holds us */
    g_output_stream_write_all_async(c->in, c->writing->data, c->writing->len, G_PRIORITY_DEFAULT, NULL, on_written, c);
}

void child_write(struct child *c, const char *bytes, size_t size)
{
    g_byte_array_append(c->waiting, (const guint8 *)bytes, (guint)size);
    if (c->writing->len == 0)
        write_on(c);
}

void child_kill(struct child *c)
{
    g_subprocess_force_exit(c->process);
}

/* ---- the beginning ---- */

static GSubprocess *spawn(const char *program, const struct join *join, GError **error)
{
    GSubprocessLauncher *launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    GPtrArray *argv = command_line(program, join);
    GSubprocess *process = NULL;
    int fd = join->by == JOIN_BY_TYPED ? keyword_pipe(join->keyword) : -1;
    if (join->by == JOIN_BY_TYPED && fd < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the keyword cannot be passed on: %s", g_strerror(errno));
    } else {
        if (fd >= 0)
            g_subprocess_launcher_take_fd(launcher, fd, KEYWORD_FD);
        process = g_subprocess_launcher_spawnv(launcher, (const char *const *)argv->pdata, error);
    }
    g_ptr_array_unref(argv);
    g_object_unref(launcher);
    return process;
}

struct child *child_start(const struct join *join, const struct child_events *events, void *data, GError **error)
{
    char *program = find_program();
    if (program == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    CLIENT_PROGRAM " is neither beside this program nor in PATH; install it");
        return NULL;
    }
    GSubprocess *process = spawn(program, join, error);
    g_free(program);
    if (process == NULL)
        return NULL;

    struct child *c = g_new0(struct child, 1);
    c->process = process;
    c->events = *events;
    c->data = data;
    c->waiting = g_byte_array_new();
    c->writing = g_byte_array_new();
    c->in = g_subprocess_get_stdin_pipe(process);
    c->out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
    c->errors = g_data_input_stream_new(g_subprocess_get_stderr_pipe(process));
    c->open = 3;
    g_subprocess_wait_async(process, NULL, on_process_end, c);
    g_data_input_stream_read_line_async(c->out, G_PRIORITY_DEFAULT_IDLE, NULL, on_line, c);
    g_data_input_stream_read_line_async(c->errors, G_PRIORITY_DEFAULT_IDLE, NULL, on_error_line, c);
    return c;
}
