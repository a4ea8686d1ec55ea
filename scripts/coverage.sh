#!/bin/bash
# Which lines of the pure code run: by fuzzing's committed inputs, by the unit tests, by the simulated worlds, each by
# itself and all together. usage: scripts/coverage.sh BUILD     (through: make coverage)
#
# BUILD is made by clang with coverage mapping. Prints a table for docs/testing.md; BUILD/coverage/NAME.txt has each file,
# and BUILD/coverage/uncovered.txt the lines that fuzzing never ran. COVERAGE_KEEP=1: kinds that BUILD/coverage has already
# are not run again. HARD_SEEDS=1, DIRECT_SEEDS=1, SIM_SEEDS=1: less of the simulation, as in its tests.
# Status 1: a program failed; what the others ran is told all the same.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
out=$build/coverage
[ "${COVERAGE_KEEP:-}" = 1 ] || rm -rf "$out"
mkdir -p "$out"
export CMOCKA_MESSAGE_OUTPUT=STDOUT
bad=0
tool() { # llvm's tools go by several names
    local name=$1
    shift
    if command -v "$name" >/dev/null; then "$name" "$@"; else "$name-14" "$@"; fi
}

mapfile -t fuzzers < <(printf '%s\n' codec sealed server engine pair text json console options config)
declare -A programs=()
for target in "${fuzzers[@]}"; do programs[fuzzing]+=" $build/fuzz/$target"; done
for source in tests/test_*.c; do programs[unit]+=" $build/${source%.c}"; done
for source in tests/sim/test_*.c; do programs[simulation]+=" $build/${source%.c}"; done

run_one() { # KIND PROGRAM
    local name arguments=()
    name=$(basename "$2")
    if [ "$1" = fuzzing ]; then
        [ ! -e "fuzz/corpus/$name.pack" ] || arguments+=("fuzz/corpus/$name.pack")
        for regression in fuzz/regressions/"$name"-*; do [ ! -e "$regression" ] || arguments+=("$regression"); done
    fi
    LLVM_PROFILE_FILE=$out/$1-$name.profraw nice "$2" "${arguments[@]}" >"$out/$1-$name.log" 2>&1 </dev/null && return
    echo "coverage: $2 failed, see $out/$1-$name.log" >&2
    bad=1
}

objects_of() { # llvm-cov wants the first program bare and the others behind -object
    local first=1 program
    for program; do
        [ "$first" -eq 1 ] || printf -- '-object\n'
        first=0
        printf '%s\n' "$program"
    done
}

sources=(src/wire/*.c src/peer/*.c src/server/core*.c)

# Lines of a folder that ran: "covered total percent".
sum_of() { # FILE PATTERN
    awk -v pattern="$2" '$1 ~ pattern { total += $2; missed += $3 }
        END { printf "%d %d %.1f", total - missed, total, total ? 100 * (total - missed) / total : 0 }' "$1"
}

kinds=(fuzzing unit simulation)
for kind in "${kinds[@]}"; do
    [ ! -e "$out/$kind.profdata" ] || continue
    for program in ${programs[$kind]}; do run_one "$kind" "$program"; done
    tool llvm-profdata merge -sparse -o "$out/$kind.profdata" "$out/$kind"-*.profraw
done
tool llvm-profdata merge -sparse -o "$out/all.profdata" $(printf "$out/%s.profdata " "${kinds[@]}")
programs[all]="${programs[fuzzing]} ${programs[unit]} ${programs[simulation]}"

for kind in "${kinds[@]}" all; do
    mapfile -t objects < <(objects_of ${programs[$kind]})
    tool llvm-cov export -summary-only -instr-profile "$out/$kind.profdata" "${objects[@]}" "${sources[@]}" 2>"$out/$kind.err" |
        python3 -c '
import json, os, sys
for entry in json.load(sys.stdin)["data"][0]["files"]:
    lines = entry["summary"]["lines"]
    print(os.path.relpath(entry["filename"]), lines["count"], lines["count"] - lines["covered"])' >"$out/$kind.txt"
done
mapfile -t objects < <(objects_of ${programs[fuzzing]})
tool llvm-cov show -instr-profile "$out/fuzzing.profdata" "${objects[@]}" "${sources[@]}" 2>/dev/null |
    awk '/^\/.*:$/ { file = $0 } /^ +[0-9]+\| +0\|/ { print file $0 }' >"$out/uncovered.txt"

echo '| lines that run | fuzzing | unit tests | simulation | all |'
echo '| --- | --- | --- | --- | --- |'
for part in src/wire src/server/core src/peer; do
    printf '| %s |' "$part"
    for kind in "${kinds[@]}" all; do
        read -r covered total percent < <(sum_of "$out/$kind.txt" "^$part")
        printf ' %s %% (%d of %d) |' "$percent" "$covered" "$total"
    done
    echo
done
exit $bad
