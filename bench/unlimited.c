/* Linked into a p2p-server that is to be measured: what it limits for the good of all is not what it can do.
 * -Wl,--wrap=server_init */
#include "server/core.h"

void __real_server_init(struct server *s, const struct server_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                        vtime_us now);
void __wrap_server_init(struct server *s, const struct server_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                        vtime_us now);

void __wrap_server_init(struct server *s, const struct server_config *config, const uint8_t seed[static RNG_SEED_BYTES],
                        vtime_us now)
{
    struct server_config unlimited = *config;
    unlimited.register_per_s = unlimited.control_per_s = SERVER_NO_LIMIT;
    unlimited.relay_bytes_per_s = unlimited.relay_total_bytes_per_s = SERVER_NO_LIMIT;
    __real_server_init(s, &unlimited, seed, now);
}
