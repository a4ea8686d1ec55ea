/* interfaces.h: the machine's own addresses. */
#ifndef NET_INTERFACES_H
#define NET_INTERFACES_H
#include "wire/addr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the interfaces that are up: no link-local IPv6 (it would need a scope), loopback only if wanted, then first.
 * Port 0. ret_prefixes (may be NULL) gets the lengths of their subnets' prefixes. Returns how many, at most cap. */
size_t interfaces_list(struct addr *ret, uint8_t *ret_prefixes, size_t cap, bool with_loopback);
#endif
