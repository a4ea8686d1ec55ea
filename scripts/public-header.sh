#!/bin/bash
# p2p.h, the one header of libp2p-peer.a, out of the headers that the engine itself is compiled with: what stands
# between "p2p.h from here" and "to here", and the numbers named below. Every name gets a prefix: `engine_poll` is
# p2p_poll for those outside, EVENT_PEER is P2P_EVENT_PEER.
# usage: scripts/public-header.sh VERSION     prints p2p.h
#        scripts/public-header.sh --symbols   prints "old new" for each function, for objcopy
set -euo pipefail
cd "$(dirname "$0")/../src"

numbers=(DATAGRAM_BYTES_MAX KEYWORD_BYTES_MAX NAME_BYTES_MAX TEXT_BYTES_MAX ROOM_PEOPLE_MAX PEERS_MAX)
headers=(wire/vtime.h wire/addr.h wire/keyword.h wire/codec.h peer/engine.h loop/loop.h)

public_part() {
    local part
    part=$(sed -n '/^\/\* p2p\.h from here \*\/$/,/^\/\* p2p\.h to here \*\/$/p' "$1" | sed '/^\/\* p2p\.h /d')
    [ -n "$part" ] || { echo "public-header: $1 has no public part" >&2; return 1; }
    printf '%s\n' "$part"
}

public_numbers() {
    local name
    echo '/* ---- numbers ---- */'
    echo 'enum {'
    for name in "${numbers[@]}"; do
        grep -hE "^ +$name +=" wire/limits.h || { echo "public-header: limits.h has no $name" >&2; return 1; }
    done
    grep -hoE 'RNG_SEED_BYTES = [0-9]+,' wire/rng.h | sed 's/^/    /'
    echo '};'
    grep -h '^#define MESSAGE_ID_MAX ' wire/limits.h
}

raw() {
    local header
    public_numbers
    for header in "${headers[@]}"; do
        echo
        public_part "$header"
    done
}

# Types, functions, and everything in capitals with a '_' but for the C library's. C++ knows no [static N].
renamed() {
    sed -E 's/\b(struct|enum) engine\b/\1 p2p/g
        s/\bengine_([a-z]+)/p2p_\1/g
        s/\b(struct|enum) (addr|keyword|nat|relay)(_[a-z]+)?\b/\1 p2p_\2\3/g
        s/\b(addr|keyword)_(v4|ip_size|from_ip|format|parse|error_text|is_weak|wipe)\b/p2p_\1_\2/g
        s/\bvtime_us\b/p2p_us/g
        s/\bVTIME_/ENGINE_/g
        s/\b([A-Z][A-Z0-9]+_[A-Z0-9_]+)\b/P2P_\1/g
        s/\bP2P_(ENGINE_|UINT|CLOCK_)/\1/g
        s/\bENGINE_/P2P_/g
        s/\bstatic ([A-Z0-9])/\1/g'
}

if [ "${1-}" = --symbols ]; then
    raw | grep -oE '^[a-z].*\b(engine|addr|keyword)_[a-z0-9_]+\(' | grep -oE '[a-z0-9_]+\($' | tr -d '(' | sort -u |
        while read -r name; do echo "$name $(renamed <<<"$name(" | tr -d '(')"; done
    exit
fi

cat <<EOT
/* p2p.h: one person's end of a chat: rendezvous, introductions, sessions, paths, messages. Version $1.
 * Link with libp2p-peer.a: pkg-config --cflags --libs p2p-peer. A guide: docs/embedding.md; an example:
 * examples/echo.c. (Generated: see scripts/public-header.sh.)
 *
 * Owns no socket and no thread, reads no clock, draws no entropy, writes nothing, allocates nothing. The caller owns the
 * memory and everything else:
 *
 *     p2p_init(e, &config, seed, now)                   once
 *     p2p_input(e, now, socket, local, from, at, size)  for every datagram that arrives
 *     p2p_command(e, now, &command)                     what the user wants, what the sockets did
 *     while (p2p_poll(e, now, &out)) carry out \`out\`    after each of the above, and when
 *     p2p_deadline(e)                                   has come (an early poll is harmless)
 *
 * None of them can fail for the caller: bad datagrams are dropped and counted, and what the user should know comes out
 * as events. An engine may be used by one thread at a time; two engines know nothing of each other. Call sodium_init()
 * (<sodium.h>) once before the first one.
 *
 * p2p_run is a shell around all of this, for a program that has no event loop of its own. */
#ifndef P2P_H
#define P2P_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define P2P_VERSION "$1"

EOT
raw | renamed
cat <<'EOT'

#ifdef __cplusplus
}
#endif
#endif
EOT
