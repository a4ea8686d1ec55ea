#!/bin/bash
# What fuzzing has gathered in build/fuzz-corpus/TARGET, without what adds nothing, becomes fuzz/corpus/TARGET.pack.
# How often an edge is passed counts for fuzzing, not for replaying: hence -use_counters=0.
# usage: fuzz/minimise.sh TARGET...     (through: make fuzz-minimise)
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p fuzz/corpus build/fuzz-log
status=0
for target; do
    folders=()
    [ ! -d "build/fuzz-corpus/$target" ] || folders+=("build/fuzz-corpus/$target")
    old=$(mktemp -d) new=$(mktemp -d) || exit 1
    [ ! -e "fuzz/corpus/$target.pack" ] || { fuzz/pack.py unpack "fuzz/corpus/$target.pack" "$old" && folders+=("$old"); }
    if [ ${#folders[@]} -gt 0 ] && nice -n 19 "build/fuzz-clang/fuzz/$target" -merge=1 -timeout=20 -rss_limit_mb=3000 \
        -use_counters=0 "$new" "${folders[@]}" >"build/fuzz-log/$target.merge" 2>&1; then
        fuzz/pack.py pack "fuzz/corpus/$target.pack" "$new"
    else
        echo "minimise: nothing to merge for $target, or it failed: build/fuzz-log/$target.merge" >&2
        status=1
    fi
    rm -rf "$old" "$new"
done
exit $status
