/* secret.h: where the keyword comes from, and how it leaves no trace on the way. */
#ifndef CLIENT_SECRET_H
#define CLIENT_SECRET_H
#include <stdbool.h>
#include "client/options.h"
#include "wire/keyword.h"

/* The flag, P2P_KEYWORD (wiped from the environment in any case), the file, or, if may_ask, a question on the
 * terminal without echo. Wipes the flag's copy in *o. False: one sentence in ret_error. */
bool secret_obtain(struct keyword *ret, struct options *o, bool may_ask, char ret_error[static OPTIONS_ERROR_MAX]);
#endif
