/* window.h: p2p-client-gtk, if it is installed and there is a display to show it on. */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H
#include <stdbool.h>
#include "client/options.h"

/* Without --console and --json, with a display, and not in a pipe. */
bool window_is_wanted(const struct options *o);
/* Becomes the window, with the same options; the keyword goes along in the environment. Returns if it is not found
 * beside this program or in PATH, or cannot open a window here. */
void window_open(const struct options *o);
#endif
