#!/bin/bash
# The same seeds run the same worlds whatever compiled them: gcc and clang, with and without sanitizers. Builds four
# times and compares a line for each seed. usage: scripts/sim-hash.sh [SEEDS]     (40; run by `make sim-hash`)
set -u
cd "$(dirname "$0")/.." || exit 1
seeds=${1:-40}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
bad=0
hashes() { # NAME FOLDER MAKE-ARGUMENTS...
    local name=$1 folder=$2
    shift 2
    make --no-print-directory "$@" "$folder/tests/sim/main" >"$scratch/log" 2>&1 ||
        { cat "$scratch/log"; echo "$name: does not compile"; exit 1; }
    for story in swarm chaos; do
        "$folder/tests/sim/main" --story $story --seeds "$seeds" --each 2>"$scratch/log" >"$scratch/out" ||
            { cat "$scratch/out" "$scratch/log"; echo "$name: failed"; exit 1; } >&2
        sed -nE "s/^(seed [0-9]+ hash [0-9a-f]+) .*/$story \1/p" "$scratch/out"
    done >"$scratch/$name"
    if cmp -s "$scratch/gcc" "$scratch/$name"; then
        echo "$name: $(wc -l <"$scratch/$name") runs, $(sha256sum <"$scratch/$name" | cut -c1-16)"
    else
        echo "$name: differs from gcc:"
        diff "$scratch/gcc" "$scratch/$name" | head -n 10
        bad=1
    fi
}
hashes gcc build CC=gcc
hashes clang build/clang CC=clang
hashes gcc-sanitized build/san-gcc CC=gcc SAN=1
hashes clang-sanitized build/san-clang CC=clang SAN=1
exit $bad
