/* service.h: what a service manager passes and wants to know: the sockets of sd_listen_fds(3), the messages of
 * sd_notify(3), the watchdog of sd_watchdog_enabled(3). Without one, all of this does nothing. */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H
#include <stdbool.h>
#include <stdint.h>

enum { SERVICE_FDS_FIRST = 3 }; /* descriptors of the passed sockets count from here */

/* How many sockets were passed; 0: none, or not to us. */
unsigned service_passed(void);
/* Once, while sockets may still be made. False after one line on stderr: READY could not be told, and a manager that
 * waits for it would end us later without a reason. */
bool service_open(void);
/* "READY=1", "STOPPING=1", "WATCHDOG=1". Does not wait. */
void service_say(const char *state);
/* The longest time between two "WATCHDOG=1"; 0: nobody waits for one. */
uint64_t service_watchdog_us(void);
#endif
