/* interfaces.h: the machine's own addresses. */
#ifndef CLIENT_INTERFACES_H
#define CLIENT_INTERFACES_H
#include <stdbool.h>
#include <stddef.h>
#include "wire/addr.h"

/* Of the interfaces that are up: no link-local IPv6 (it would need a scope), loopback only if wanted, then first.
 * Port 0. Returns how many, at most cap. */
size_t interfaces_list(struct addr *ret, size_t cap, bool with_loopback);
#endif
