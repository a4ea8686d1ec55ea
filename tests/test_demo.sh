#!/bin/bash
# The demo with the real programs and a real kernel's NATs: it delivers, by the path that the NATs allow, and leaves
# nothing behind when it is killed. P2P_BUILD names the folder of the programs.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${P2P_BUILD:-build}
. tests/checks.sh

# expect NAME PATTERN COMMAND...: status 0, and a line of the output matches.
expect() {
    local name=$1 pattern=$2 out status
    shift 2
    out=$("$@" 2>&1)
    status=$?
    if [ $status -eq 0 ] && grep -qE -- "$pattern" <<<"$out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name: status $status, wanted: $pattern"
        awk '{ print "     " $0 }' <<<"$out"
    fi
}

marked() { # the processes that were started with our mark and still run something
    local file pid
    grep -lzsxF "DEMO_MARK=$$" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
        pid=${file//[!0-9]/}
        [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" ] && echo "$pid"
    done
}

# Killed in the middle of the chat. The kernel takes a moment to empty the namespaces, so this waits for it.
killed() {
    local fifo line demo status seen='' pid pids said
    fifo=$(mktemp -u) && mkfifo "$fifo" || return 1
    DEMO_MARK=$$ scripts/demo.sh "$build" symmetric symmetric >"$fifo" 2>&1 &
    demo=$!
    exec {said}<"$fifo" # stays open, or the demo would end by itself
    rm -f "$fifo"
    while read -ru "$said" line; do
        [[ $line == *' meets '* ]] && seen=yes && break
    done
    mapfile -t pids < <(marked)
    kill -TERM $demo
    wait $demo
    status=$?
    exec {said}<&-
    for pid in "${pids[@]}"; do timeout 10 tail -s 0.05 --pid="$pid" -f /dev/null; done
    if [ -n "$seen" ] && [ ${#pids[@]} -gt 6 ] && [ $status -eq 143 ] && [ -z "$(marked)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL killed: chat was seen: ${seen:-no}; ${#pids[@]} processes; status $status; left: $(marked)"
    fi
}

if why=$(testbed/netns/private.sh testbed/netns/internet.sh homes port-restricted shifting 2>&1); then
    expect "two routers that filter" 'paths at the end: ann direct, bob direct$' \
        scripts/demo.sh "$build" port-restricted shifting
    expect "a symmetric NAT and one that lets everybody in" 'paths at the end: ann direct, bob direct$' \
        scripts/demo.sh "$build" symmetric full-cone
    expect "two symmetric NATs" 'paths at the end: ann relay, bob relay$' \
        scripts/demo.sh "$build" symmetric symmetric
    killed
else
    echo "skipped: 4 with NATs: $why"
    skipped=4
fi
expect "loopback" 'both directions delivered' python3 scripts/demo.py "$build"

finish
