#include "loop/tell.h"
#include "net/host.h"
#include "net/interfaces.h"
#include "net/udp.h"
#include <string.h>

void tell_opened(struct engine *e, uint16_t socket, int error, const struct addr *local)
{
    struct engine_command answer = {.kind = COMMAND_SOCKET_OPENED, .socket = socket, .addr = *local};
    if (error != 0) {
        const char *text = strerror(error);
        answer = (struct engine_command){
            .kind = COMMAND_SOCKET_FAILED, .socket = socket, .text = (const uint8_t *)text, .text_size = strlen(text)};
    }
    engine_command(e, net_now(), &answer);
}

void tell_sent(struct engine *e, const struct engine_out *out, int error)
{
    if (!udp_is_unreachable(error))
        return;
    const char *text = strerror(error);
    engine_command(e, net_now(),
                   &(struct engine_command){.kind = COMMAND_SEND_FAILED,
                                            .socket = out->socket,
                                            .addr = out->to,
                                            .text = (const uint8_t *)text,
                                            .text_size = strlen(text)});
}

bool tell_interfaces_changed(struct told_interfaces *t, bool with_loopback, struct engine_command *ret)
{
    struct addr found[ENGINE_INTERFACES_MAX];
    size_t count = interfaces_list(found, t->prefixes, ENGINE_INTERFACES_MAX, with_loopback);
    if (addrs_equal(found, count, t->addrs, t->count))
        return false;
    memcpy(t->addrs, found, count * sizeof *found);
    t->count = count;
    *ret = (struct engine_command){
        .kind = COMMAND_INTERFACES, .addrs = t->addrs, .prefixes = t->prefixes, .addr_count = count};
    return true;
}
