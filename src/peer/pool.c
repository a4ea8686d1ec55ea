/* Sockets beside the two that everything begins with: taken for a purpose, given back, opened and closed by the shell.
 */
#include "peer/internal.h"

uint16_t pool_take(struct engine *e, uint8_t family, enum socket_use use)
{
    for (uint16_t i = ENGINE_SOCKET_V6 + 1; i < ENGINE_SOCKETS_MAX; i++) {
        if (e->sockets[i].use != SOCKET_FREE)
            continue;
        e->sockets[i] = (struct engine_socket){.use = (uint8_t)use, .family = family};
        e->pool_work++;
        return i;
    }
    return 0;
}

void pool_give(struct engine *e, uint16_t i)
{
    struct engine_socket *s = &e->sockets[i];
    if (i <= ENGINE_SOCKET_V6 || s->use == SOCKET_FREE || s->closing)
        return;
    if (!s->asked || s->failed) {
        e->pool_work -= !s->asked;
        *s = (struct engine_socket){0};
        return;
    }
    s->closing = true;
    e->pool_work++;
}

void pool_opened(struct engine *e, uint16_t i, const struct addr *local)
{
    struct engine_socket *s = &e->sockets[i];
    if (!s->asked || s->use == SOCKET_FREE)
        return;
    s->open = local != NULL;
    s->failed = !s->open;
    if (s->open)
        s->local = *local;
    else if (s->closing) {
        e->pool_work--;
        *s = (struct engine_socket){0};
    }
}

static bool open_or_close(struct engine *e, uint16_t i, struct engine_out *ret)
{
    struct engine_socket *s = &e->sockets[i];
    if (s->use == SOCKET_FREE)
        return false;
    if (!s->asked) {
        s->asked = true;
        e->pool_work--;
        *ret = (struct engine_out){.kind = OUT_OPEN, .socket = i, .family = s->family};
        return true;
    }
    if (!s->closing || !s->open)
        return false;
    *s = (struct engine_socket){0};
    e->pool_work--;
    *ret = (struct engine_out){.kind = OUT_CLOSE, .socket = i};
    return true;
}

bool pool_is_open(const struct engine *e, uint16_t i)
{
    return e->sockets[i].open && !e->sockets[i].closing;
}

static bool is_on_a_path(const struct engine *e, uint16_t i)
{
    for (unsigned k = 0; k < PEER_SLOTS; k++) {
        const struct peer *p = &e->peers[k];
        for (int n = 1; p->state != PEER_FREE && n < PATHS_MAX; n++)
            if (p->paths[n].state != PATH_UNUSED && p->paths[n].socket == i)
                return true;
    }
    return false;
}

static void sweep(struct engine *e)
{
    e->pool_stale = false;
    for (uint16_t i = ENGINE_SOCKET_V6 + 1; i < ENGINE_SOCKETS_MAX; i++)
        if (e->sockets[i].use == SOCKET_PUNCH && !hard_uses(e, i) && !is_on_a_path(e, i))
            pool_give(e, i);
}

bool pool_poll(struct engine *e, struct engine_out *ret)
{
    if (e->pool_stale)
        sweep(e);
    for (uint16_t i = 0; e->pool_work > 0 && i < ENGINE_SOCKETS_MAX; i++)
        if (open_or_close(e, i, ret))
            return true;
    return false;
}
