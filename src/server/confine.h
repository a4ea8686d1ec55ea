/* confine.h: power that the server does not need is given up, for good: first root, when the sockets are open; then, when
 * everything else is open and allocated and before the first datagram is read, all system calls but those that its loop
 * makes. Each returns false after one line on stderr about what failed and what to do. */
#ifndef SERVER_CONFINE_H
#define SERVER_CONFINE_H
#include <stdbool.h>

/* In a build with a sanitizer, which opens files, makes threads and traces itself when it has something to report. */
#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif
#ifndef CONFINE_SANITIZED
#define CONFINE_SANITIZED 0
#endif

/* Becomes this user and its group, with no way back to root. */
bool confine_user(const char *name);
/* No new privileges, no tracing by others and no core file, no process, no file that grows; and with `filter` no system
 * call beyond those of the loop: another one kills the process with SIGSYS. In a build with a sanitizer only the first. */
bool confine_process(bool filter);
#endif
