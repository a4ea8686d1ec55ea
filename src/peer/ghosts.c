#include "peer/ghosts.h"
#include <sodium.h>
#include <string.h>

static uint64_t hash_of(const uint8_t *text, size_t size)
{
    uint8_t hash[16];
    uint64_t ret;
    crypto_generichash(hash, sizeof hash, text, size, NULL, 0);
    memcpy(&ret, hash, sizeof ret);
    return ret;
}

void shown_add(struct shown *s, uint64_t id, const uint8_t *text, size_t size)
{
    if (s->count == SHOWN_MAX)
        return;
    s->messages[s->count].id = id;
    s->messages[s->count++].hash = hash_of(text, size);
}

static bool has(const struct shown *s, uint64_t id, uint64_t hash)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->messages[i].id == id && s->messages[i].hash == hash)
            return true;
    return false;
}

bool shown_contains(const struct shown *s, uint64_t id, const uint8_t *text, size_t size)
{
    if (s->count == 0)
        return false;
    return has(s, id, hash_of(text, size));
}

void shown_join(struct shown *s, const struct shown *more)
{
    for (unsigned i = 0; i < more->count && s->count < SHOWN_MAX; i++)
        if (!has(s, more->messages[i].id, more->messages[i].hash))
            s->messages[s->count++] = more->messages[i];
}

void ghost_add(struct ghost ghosts[static GHOSTS_MAX], vtime_us now, const struct seal *seal, const struct shown *shown)
{
    struct ghost *g = &ghosts[0];
    for (unsigned i = 1; i < GHOSTS_MAX; i++)
        if (ghosts[i].until < g->until)
            g = &ghosts[i];
    g->until = now + GHOST_US;
    memcpy(g->same_key, seal->same_key, sizeof g->same_key);
    g->side = seal->side;
    g->shown.count = 0;
    if (shown != NULL)
        shown_join(&g->shown, shown);
}

bool ghost_is_there(const struct ghost *g, vtime_us now)
{
    return g->until > now;
}
