/* packet.h: UDP datagrams from any source, as Ethernet frames on one cable, many in one call.
 * Whoever cannot go on says why on stderr and ends the program with status 1. */
#ifndef SIEGE_PACKET_H
#define SIEGE_PACKET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/addr.h"
#include "wire/limits.h"

enum { PACKET_BATCH = 64 }; /* in one call */

struct cable; /* one a program */

_Noreturn void packet_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* `hears`: packet_receive will be called; otherwise the kernel copies nothing of what comes. */
struct cable *packet_open(const char *interface, const struct addr *server, bool hears);
/* Where the next datagram is to be written, DATAGRAM_BYTES_MAX; packet_queue then sends it, or later packet_flush. */
uint8_t *packet_next(struct cable *c);
void packet_queue(struct cable *c, const struct addr *from, size_t size);
void packet_flush(struct cable *c);
/* Takes what has come from the server, without waiting. */
void packet_receive(struct cable *c, void (*hear)(void *context, const struct addr *to, const uint8_t *at, size_t size),
                    void *context);
#endif
