#!/bin/bash
# Every committed input of fuzz/ once more, through the replaying programs of this build; and that the rig notices what
# it should notice: the canary, by replay where a sanitizer watches and by a fuzzer where clang is.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${P2P_BUILD:-build}
. tests/checks.sh
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# Nothing replayed is nothing tested.
replays() {
    local target=$1 paths=() out
    [ ! -e "fuzz/corpus/$target.pack" ] || paths+=("fuzz/corpus/$target.pack")
    for regression in fuzz/regressions/"$target"-*; do
        [ ! -e "$regression" ] || paths+=("$regression")
    done
    [ ${#paths[@]} -gt 0 ] || { echo "no inputs"; return 1; }
    out=$("$build/fuzz/$target" "${paths[@]}") || { echo "$out"; return 1; }
    echo "$out"
    [ "${out##*$'\n'}" != "0 inputs" ]
}
for target in codec sealed server engine pair text json console options config; do
    check "$target" replays "$target"
done

# ---- does the rig notice? ----
canary_dies() {
    if "$build/fuzz/canary" fuzz/canary/crash; then
        echo "the canary lives"
        return 1
    fi
    echo "the sanitizer saw it"
}
if grep -q __asan_init "$build/fuzz/canary"; then # only a sanitizer sees it
    check "canary, replayed" canary_dies
fi

canary_is_found() {
    local make_log=$scratch/make
    rm -rf build/fuzz-corpus/canary # from nothing
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory fuzz-canary >"$make_log" 2>&1 && { cat "$make_log"; echo "not found"; return 1; }
    grep -q '^FAIL canary .*found build/fuzz-found/canary-' "$make_log" || { cat "$make_log"; return 1; }
    grep '^FAIL canary' "$make_log" | sed 's/^FAIL canary *//'
}
if command -v clang >/dev/null && compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a' >/dev/null; then
    check "canary, fuzzed" canary_is_found
else
    skip "canary, fuzzed: no clang with libFuzzer here (make fuzz installs it)"
fi

finish
