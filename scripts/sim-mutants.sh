#!/bin/bash
# Does the simulator find a bug that is there? Puts each of tests/sim/mutants/*.patch into a copy of the sources and
# counts the seeds that the simulator needs to fail; without a patch all of them pass.
# usage: scripts/sim-mutants.sh BUILD [NAME]...      (SEEDS=1000, JOBS=1; run by `make sim-mutants`)
#
# Of a rare one the patch says by which seed to begin, "From seed N." in a line before the change.
# Writes a table, and says "N passed, N failed" in the last line: a mutant that lives is a failure.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?}
shift
seeds=${SEEDS:-1000} jobs=${JOBS:-1}
tree=$build/mutants
mutants=("$@")
[ ${#mutants[@]} -gt 0 ] || mapfile -t mutants < <(cd tests/sim/mutants && ls -- *.patch | sed 's/\.patch$//')

rm -rf "$tree"
mkdir -p "$tree/build" || exit 1
mapfile -t includes < <(sed -n 's/^include //p' Makefile)
cp -a --parents Makefile src proto scripts tests/sim "$tree/" && cp -a --parents "${includes[@]}" "$tree/" || exit 1
make_sim() {
    make -C "$tree" --no-print-directory B=build build/tests/sim/main >"$tree/make.log" 2>&1 ||
        { cat "$tree/make.log"; echo "does not compile"; return 1; }
}
passed=0 failed=0
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }

echo "| what was changed | seeds | what was seen |"
echo "| --- | --- | --- |"
make_sim || exit 1
# Without a change all must pass, or what is found below would prove nothing.
if out=$("$tree/build/tests/sim/main" --seeds "$seeds" --jobs "$jobs" 2>&1); then
    row "nothing" "$seeds" "nothing"
    passed=$((passed + 1))
else
    row "nothing" "?" "$(grep -a '^swarm, seed' <<<"$out" | head -n 1)"
    failed=$((failed + 1))
fi
for name in "${mutants[@]}"; do
    patch=$tree/tests/sim/mutants/$name.patch # all from the copy: the tree may change meanwhile
    file=$(sed -n 's|^+++ b/||p' "$patch" | cut -f1)
    cp -a "$tree/$file" "$tree/kept.c"
    if ! patch -d "$tree" -p1 -s <"$patch"; then
        row "$name" "?" "the patch does not fit any more"
        failed=$((failed + 1))
        continue
    fi
    touch "$tree/$file"
    if ! make_sim; then
        failed=$((failed + 1))
        cp "$tree/kept.c" "$tree/$file"
        continue
    fi
    first=$(sed -nE 's/^From seed ([0-9]+)\..*/\1/p' "$patch")
    # One process: the first seed that fails is the one that counts.
    if out=$("$tree/build/tests/sim/main" --seed "${first:-1}" --seeds "$seeds" 2>&1); then
        row "$name" "> $((${first:-1} + seeds - 1))" "nothing: it lives"
        failed=$((failed + 1))
    else
        seed=$(grep -aoE 'SEED=[0-9]+' <<<"$out" | head -n 1)
        why=$(grep -aE '^swarm, seed|Assertion' <<<"$out" | head -n 1 | sed -E 's/^swarm, seed [0-9]+, at ([0-9.]+) s: /\1 s: /')
        row "$name: $(head -n 1 "$patch")" "${seed#SEED=}" "$why"
        passed=$((passed + 1))
    fi
    cp "$tree/kept.c" "$tree/$file"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
