/* inside.h: what is in a datagram: the simulator knows every key. Its own file, since it looks into engines. */
#ifndef SIM_INSIDE_H
#define SIM_INSIDE_H
#include "peer/engine.h"

enum { INSIDE_TEXT_MAX = 200 };

/* The plaintext of what this engine (NULL: nobody) has just sealed. ret_plain: CIPHERTEXT_BYTES_MAX. */
bool inside_open(const struct engine *e, const struct frame_sealed *f, uint8_t *ret_plain);
/* For people: "Register", "Signal:Envelope+Offer", "Punch", "Answer+Punch", ...; "Sealed" where none of the engines (NULLs are left
 * out) has sealed it. For datagrams that have just been sent. */
void inside_tell(const struct engine *const *engines, size_t count, const uint8_t *at, size_t size,
                 char ret[static INSIDE_TEXT_MAX]);
#endif
