/* A program's lines on standard input, in pieces as a pipe gives them: cut into lines and read as commands; and what is
 * written for such a program is JSON that says what it should. Input: size of the pieces (1 byte), then the bytes. */
#include "client/json.h"
#include "client/lines.h"
#include "shapes.h"
#include "wire/text.h"
#include <jansson.h>

const struct fuzz_shape *fuzz_shape = &shape_json;

enum { LINE_MAX = 512 };

/* One line of JSON, ending with its newline, whose `key` is this text. */
static void check_line(const struct buffer *line, const char *key, const char *text, size_t size)
{
    json_error_t error;
    FUZZ_CHECK(line->size > 1 && memchr(line->at, '\n', line->size) == line->at + line->size - 1);
    json_t *object = json_loadb(line->at, line->size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    FUZZ_CHECK(object != NULL);
    const json_t *value = json_object_get(object, key);
    FUZZ_CHECK(json_is_string(value) && json_string_length(value) == size);
    FUZZ_CHECK(memcmp(json_string_value(value), text, size) == 0);
    json_decref(object);
}

static void check_out(const struct json_command *c)
{
    struct buffer line = {0};
    if (c->kind == JSON_SEND) {
        json_event(&line, &(struct engine_event){.kind = EVENT_MESSAGE,
                                                 .peer = 1,
                                                 .id = c->id + (c->id == 0),
                                                 .name = "x",
                                                 .text = c->text,
                                                 .text_size = c->text_size});
        check_line(&line, "text", c->text, c->text_size);
    } else {
        char *name = strndup(c->text, c->text_size);
        FUZZ_CHECK(name != NULL);
        json_event(&line, &(struct engine_event){.kind = EVENT_PEER, .peer = c->peer, .name = name});
        check_line(&line, "name", name, c->text_size);
        free(name);
    }
    buffer_free(&line);
}

static void run_line(const char *text, size_t size)
{
    struct json_command c;
    struct buffer line = {0};
    char error[JSON_ERROR_MAX];
    memset(error, 0x55, sizeof error);
    if (json_command_parse(&c, text, size, error)) {
        FUZZ_CHECK(c.id <= MESSAGE_ID_MAX);
        if (c.kind == JSON_SEND)
            FUZZ_CHECK(c.text_size <= TEXT_BYTES_MAX && text_is_valid((const uint8_t *)c.text, c.text_size));
        if (c.kind == JSON_NAME)
            FUZZ_CHECK(c.text_size <= NAME_BYTES_MAX && text_is_name((const uint8_t *)c.text, c.text_size));
        if (c.kind == JSON_IGNORE)
            FUZZ_CHECK(c.peer != 0);
        if (c.kind == JSON_SEND || c.kind == JSON_NAME)
            check_out(&c);
    } else {
        FUZZ_CHECK(memchr(error, '\0', sizeof error) != NULL);
        json_bad_command(&line, error, c.id);
        check_line(&line, "text", error, strlen(error));
        buffer_free(&line);
    }
    json_command_free(&c);
}

/* The lines again, cut the simple way. */
struct expected {
    const char *at, *end;
    uint64_t number;
};

static void check_cut(struct expected *x, const struct line *line)
{
    const char *newline = x->at < x->end ? memchr(x->at, '\n', (size_t)(x->end - x->at)) : NULL;
    size_t size = (size_t)((newline != NULL ? newline : x->end) - x->at);
    FUZZ_CHECK(x->at < x->end);
    FUZZ_CHECK(line->number == ++x->number);
    FUZZ_CHECK(line->too_long == (size > LINE_MAX));
    FUZZ_CHECK(line->too_long || (line->size == size && memcmp(line->text, x->at, size) == 0));
    x->at = newline != NULL ? newline + 1 : x->end;
}

static void run_lines(const uint8_t *at, size_t size, size_t piece)
{
    struct lines l;
    struct line line;
    struct expected x = {(const char *)at, (const char *)at + size, 0};
    lines_init(&l, LINE_MAX);
    while (!l.ended) {
        size_t room, got = piece < size ? piece : size;
        char *space = lines_space(&l, &room);
        FUZZ_CHECK(room > 0);
        got = got < room ? got : room;
        memcpy(space, at, got);
        lines_filled(&l, got);
        at += got;
        size -= got;
        while (lines_next(&l, &line)) {
            check_cut(&x, &line);
            if (!line.too_long)
                run_line(line.text, line.size);
        }
    }
    FUZZ_CHECK(x.at == x.end);
    lines_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size > 0)
        run_lines(at + 1, size - 1, at[0] == 0 ? 1024 : at[0]);
    return 0;
}
