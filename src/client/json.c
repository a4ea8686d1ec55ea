#include "client/json.h"
#include "wire/text.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- out ---- */

static int append(const char *bytes, size_t size, void *data)
{
    buffer_add(data, bytes, size);
    return 0;
}

/* Consumes the object. NULL (out of memory) gives no line. */
static void add_line(struct buffer *ret, json_t *object)
{
    if (object == NULL)
        return;
    json_dump_callback(object, append, ret, JSON_COMPACT | JSON_REAL_PRECISION(9));
    buffer_add(ret, "\n", 1);
    json_decref(object);
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *peer_or_null(uint32_t peer)
{
    return peer == 0 ? json_null() : json_integer(peer);
}

static json_t *address_or_null(const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    return a->family == ADDR_NONE ? json_null() : json_string(addr_format(a, text));
}

static json_t *rtt_or_null(uint32_t rtt_us)
{
    return rtt_us == RTT_UNKNOWN ? json_null() : json_real((double)rtt_us / 1000.0);
}

static const char *path_name(enum engine_path path)
{
    static const char *const names[] = {
        [PATH_NONE] = "none", [PATH_RELAY] = "relay", [PATH_DIRECT] = "direct", [PATH_LAN] = "lan"};
    return (size_t)path < sizeof names / sizeof *names ? names[path] : names[0];
}

static const char *behaviour_name(uint8_t behaviour)
{
    static const char *const names[NAT_BEHAVIOURS] = {
        [NAT_UNKNOWN] = "unknown",
        [NAT_NONE] = "none",
        [NAT_ENDPOINT_INDEPENDENT] = "endpoint-independent",
        [NAT_ADDRESS_DEPENDENT] = "address-dependent",
        [NAT_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
        [NAT_PORT_INDEPENDENT] = "port-independent",
    };
    return behaviour < NAT_BEHAVIOURS ? names[behaviour] : names[NAT_UNKNOWN];
}

static const char *ports_name(uint8_t ports)
{
    static const char *const names[NAT_PORTS_KINDS] = {
        [NAT_PORTS_UNKNOWN] = "unknown",
        [NAT_PORTS_PRESERVED] = "preserved",
        [NAT_PORTS_SEQUENTIAL] = "sequential",
        [NAT_PORTS_RANDOM] = "random",
    };
    return ports < NAT_PORTS_KINDS ? names[ports] : names[NAT_PORTS_UNKNOWN];
}

static json_t *peer_list(const struct engine_event *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < e->peer_count && i < PEERS_MAX; i++)
        json_array_append_new(list, json_integer(e->peers[i]));
    return list;
}

void json_hello(struct buffer *ret, const char *version, enum keyword_form form)
{
    add_line(ret, json_pack("{ss ss ss}", "event", "hello", "version", version, "form",
                            form == KEYWORD_OPEN ? "open" : "room"));
}

void json_keyword(struct buffer *ret, const char *keyword, const char *command)
{
    add_line(ret, json_pack("{ss ss ss}", "event", "keyword", "keyword", keyword, "command", command));
}

static json_t *of_message(const struct engine_event *e)
{
    return json_pack("{ss sI ss sI ss%}", "event", "message", "peer", (json_int_t)e->peer, "name", e->name, "id",
                     (json_int_t)e->id, "text", e->text, e->text_size);
}

static json_t *of_path(const struct engine_event *e)
{
    return json_pack("{ss sI ss so so so}", "event", "path", "peer", (json_int_t)e->peer, "path", path_name(e->path),
                     "address", address_or_null(&e->addr), "rtt_ms", rtt_or_null(e->rtt_us), "reason",
                     text_or_null(e->text));
}

static json_t *of_session(const struct engine_event *e)
{
    const json_int_t peer = e->peer;
    switch (e->kind) {
    case EVENT_PEER:
        return json_pack("{ss sI ss}", "event", "peer", "peer", peer, "name", e->name);
    case EVENT_NAME:
        return json_pack("{ss sI ss}", "event", "name", "peer", peer, "name", e->name);
    case EVENT_PEER_LEFT:
        return json_pack("{ss sI so}", "event", "peer-left", "peer", peer, "reason", text_or_null(e->text));
    case EVENT_PATH:
        return of_path(e);
    case EVENT_MESSAGE:
        return of_message(e);
    default:
        return NULL;
    }
}

static json_t *of_event(const struct engine_event *e)
{
    const json_int_t id = (json_int_t)e->id;
    switch (e->kind) {
    case EVENT_REGISTERED:
        return json_pack("{ss so}", "event", "registered", "observed", address_or_null(&e->addr));
    case EVENT_SERVER_LOST:
        return json_pack("{ss so}", "event", "server-lost", "reason", text_or_null(e->text));
    case EVENT_NAT:
        return json_pack("{ss ss ss ss}", "event", "nat", "mapping", behaviour_name(e->mapping), "filtering",
                         behaviour_name(e->filtering), "ports", ports_name(e->ports));
    case EVENT_SENT:
        return json_pack("{ss sI so}", "event", "sent", "id", id, "peers", peer_list(e));
    case EVENT_DELIVERED:
        return json_pack("{ss sI sI}", "event", "delivered", "id", id, "peer", (json_int_t)e->peer);
    case EVENT_FAILED:
        return json_pack("{ss sI so so}", "event", "failed", "id", id, "peer", peer_or_null(e->peer), "reason",
                         text_or_null(e->text));
    case EVENT_WARNING:
    case EVENT_ERROR:
        return json_pack("{ss ss so}", "event", e->kind == EVENT_WARNING ? "warning" : "error", "code", e->code, "text",
                         text_or_null(e->text));
    case EVENT_END:
        return json_pack("{ss si}", "event", "end", "status", e->status);
    default:
        return of_session(e);
    }
}

void json_event(struct buffer *ret, const struct engine_event *event)
{
    add_line(ret, of_event(event));
}

static json_t *list_of(const struct engine_peer *peers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{sI ss ss so so so}", "peer", (json_int_t)peers[i].peer, "name",
                                              peers[i].name, "path", path_name(peers[i].path), "address",
                                              address_or_null(&peers[i].addr), "rtt_ms", rtt_or_null(peers[i].rtt_us),
                                              "reason", text_or_null(peers[i].reason)));
    return list;
}

void json_peers(struct buffer *ret, const struct engine_peer *peers, size_t count)
{
    add_line(ret, json_pack("{ss so}", "event", "peers", "peers", list_of(peers, count)));
}

void json_stats(struct buffer *ret, const struct engine_stat *stats, size_t count, const struct engine_peer *peers,
                size_t peer_count)
{
    json_t *object = json_pack("{ss}", "event", "stats");
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, stats[i].name, json_integer((json_int_t)stats[i].value));
    json_object_set_new(object, "peers", list_of(peers, peer_count));
    add_line(ret, object);
}

void json_verify(struct buffer *ret, uint32_t peer, const char *const words[static 4])
{
    add_line(ret, json_pack("{ss sI s[ssss]}", "event", "verify", "peer", (json_int_t)peer, "words", words[0], words[1],
                            words[2], words[3]));
}

void json_bad_command(struct buffer *ret, const char *text, uint64_t id)
{
    json_t *object = json_pack("{ss ss ss}", "event", "error", "code", "bad-command", "text", text);
    if (id != 0)
        json_object_set_new(object, "id", json_integer((json_int_t)id));
    add_line(ret, object);
}

/* ---- in ---- */

static bool bad(char ret_error[static JSON_ERROR_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool bad(char ret_error[static JSON_ERROR_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_error, JSON_ERROR_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* An integer from 1 to max under `key`; 0 if the key is not there. */
static bool read_number(const json_t *object, const char *key, uint64_t max, uint64_t *ret,
                        char ret_error[static JSON_ERROR_MAX])
{
    const json_t *value = json_object_get(object, key);
    *ret = 0;
    if (value == NULL)
        return true;
    json_int_t number = json_integer_value(value); /* 0 for what is no integer */
    if (number < 1 || (uint64_t)number > max)
        return bad(ret_error, "%s must be an integer from 1 to %llu", key, (unsigned long long)max);
    *ret = (uint64_t)number;
    return true;
}

static bool read_peer(const json_t *object, const char *key, struct json_command *ret,
                      char ret_error[static JSON_ERROR_MAX])
{
    uint64_t number;
    if (!read_number(object, key, UINT32_MAX, &number, ret_error))
        return false;
    ret->peer = (uint32_t)number;
    return true;
}

static bool read_send(const json_t *object, struct json_command *ret, char ret_error[static JSON_ERROR_MAX])
{
    const json_t *text = json_object_get(object, "send");
    ret->kind = JSON_SEND;
    if (!read_number(object, "id", MESSAGE_ID_MAX, &ret->id, ret_error) || !read_peer(object, "to", ret, ret_error))
        return false;
    if (!json_is_string(text))
        return bad(ret_error, "send must be a string");
    ret->text = json_string_value(text);
    ret->text_size = json_string_length(text);
    if (ret->text_size > TEXT_BYTES_MAX)
        return bad(ret_error, "the text is %zu bytes long; at most %d are allowed, split it", ret->text_size,
                   TEXT_BYTES_MAX);
    if (!text_is_valid((const uint8_t *)ret->text, ret->text_size))
        return bad(ret_error, "the text contains a NUL character; leave it out, or encode what is no text");
    return true;
}

static bool read_name(const json_t *object, struct json_command *ret, char ret_error[static JSON_ERROR_MAX])
{
    const json_t *name = json_object_get(object, "name");
    if (!json_is_string(name))
        return bad(ret_error, "name must be a string");
    ret->text = json_string_value(name);
    ret->text_size = json_string_length(name);
    if (ret->text_size > NAME_BYTES_MAX)
        return bad(ret_error, "the name is %zu bytes long; at most %d are allowed", ret->text_size, NAME_BYTES_MAX);
    if (!text_is_name((const uint8_t *)ret->text, ret->text_size))
        return bad(ret_error, "the name contains a control character; leave it out");
    return true;
}

static bool read_command(const json_t *object, struct json_command *ret, char ret_error[static JSON_ERROR_MAX])
{
    static const char *const names[] = {[JSON_PEERS] = "peers", [JSON_STATS] = "stats", [JSON_VERIFY] = "verify",
                                        [JSON_QUIT] = "quit",   [JSON_NAME] = "name",   [JSON_IGNORE] = "ignore"};
    const json_t *command = json_object_get(object, "command");
    size_t kind = JSON_PEERS;
    if (!json_is_string(command))
        return bad(ret_error, "command must be a string");
    while (kind < sizeof names / sizeof *names && strcmp(json_string_value(command), names[kind]) != 0)
        kind++;
    if (kind == sizeof names / sizeof *names)
        return bad(ret_error, "unknown command; there are peers, stats, verify, quit, name, ignore");

    ret->kind = (enum json_command_kind)kind;
    if (ret->kind == JSON_NAME)
        return read_name(object, ret, ret_error);
    if (ret->kind != JSON_IGNORE && ret->kind != JSON_VERIFY)
        return true;
    if (!read_peer(object, "peer", ret, ret_error))
        return false;
    if (ret->kind == JSON_IGNORE && ret->peer == 0)
        return bad(ret_error, "ignore needs a peer, the number that the event peer told");
    return true;
}

bool json_command_parse(struct json_command *ret, const char *line, size_t size, char ret_error[static JSON_ERROR_MAX])
{
    json_error_t error;
    *ret = (struct json_command){0};
    json_t *object = json_loadb(line, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    ret->owner = object;
    if (object == NULL)
        return bad(ret_error, "this line is not JSON (near byte %d); write an object a line, as {\"send\":\"hello\"}",
                   error.position);
    if (!json_is_object(object))
        return bad(ret_error, "this line is not a JSON object; write one a line, as {\"send\":\"hello\"}");

    bool send = json_object_get(object, "send") != NULL, command = json_object_get(object, "command") != NULL;
    if (send == command)
        return bad(ret_error,
                   "an object has either send or command; write {\"send\":\"hello\"} or {\"command\":\"peers\"}");
    return send ? read_send(object, ret, ret_error) : read_command(object, ret, ret_error);
}

void json_command_free(struct json_command *command)
{
    json_decref(command->owner);
    *command = (struct json_command){0};
}
