#!/bin/bash
# make bench does not rot: every figure is there and says something. What the figures are is not looked at.
# P2P_BUILD names the folder of the programs.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${P2P_BUILD:-build}
. tests/checks.sh
if grep -q __asan_init "$build/p2p-server"; then
    skip 'what a sanitized program takes is no figure'
    finish
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# figures_are_there COUNT JSON: so many rows, and all rounds of all above 0, but for what waits for nothing.
figures_are_there() {
    python3 - "$@" <<'END'
import json, sys
rows = json.load(open(sys.argv[2]))["rows"]
print("%d rows, wanted %s" % (len(rows), sys.argv[1]))
bad = [r["figure"] for r in rows if not r["rounds"] or ("wake-ups" not in r["figure"] and min(r["rounds"]) <= 0)]
bad += [r["figure"] + ": reference" for r in rows if "wake-ups" not in r["figure"] and min(r["reference_rounds"]) <= 0]
print("not above 0: %s" % bad)
sys.exit(bool(bad) or len(rows) != int(sys.argv[1]))
END
}

refuses() { # PROGRAM ARGUMENT...: status 1 or 2, and a reason
    local status
    "$@" >"$scratch/refused" 2>&1
    status=$?
    [ $status -eq 1 ] || [ $status -eq 2 ] || return 1
    [ -s "$scratch/refused" ]
}

# relay 2 (3 with coturn), latency 4, register 4, memory 4, frames 10, client 2
rows=26
PATH=$PATH:/usr/sbin
! command -v turnserver >/dev/null || rows=$((rows + 1))
check "a short run" python3 bench/run.py "$build" --short --json "$scratch/bench.json"
check "all figures" figures_are_there $rows "$scratch/bench.json"
check "one of them" python3 bench/run.py "$build" --short --bench memory --json "$scratch/memory.json"
check "its figures" figures_are_there 4 "$scratch/memory.json"
check "a wrong time" refuses python3 bench/run.py "$build" --time 0
check "a wrong name" refuses python3 bench/run.py "$build" --bench nothing
check "a wrong number" refuses "$build/bench/registry" many
check "a wrong mode" refuses "$build/bench/register_load" sleep 1 1 1 1

finish
