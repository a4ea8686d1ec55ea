#!/bin/bash
# Shows a chat between two people behind two NATs. usage: scripts/demo.sh [BUILD [NAT_OF_ANN NAT_OF_BOB]]
# The NATs are real ones, out of network namespaces (testbed/netns/kinds has them); as root, or as anybody where user
# namespaces are allowed. Elsewhere the chat runs over loopback. Nothing is left behind.
#   scripts/demo.sh build sequential port-restricted     the next port is predicted
#   scripts/demo.sh build symmetric linux                a random port is guessed
#   scripts/demo.sh build symmetric symmetric            there is no direct path, and both say why
# Status 0: both directions were delivered.
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "${1:-}" = --inside ]; then
    shift
    testbed/netns/internet.sh homes "$2" "$3" || exit
    exec python3 scripts/demo.py "$@"
fi

build=${1:-build}
ann=${2:-port-restricted}
bob=${3:-shifting}

for program in p2p-server p2p-client wan; do
    [ -x "$build/$program" ] || { echo "demo: $build/$program is missing: run make demo" >&2; exit 1; }
done

# As a child, and not by exec, so that a signal to us ends it in every case.
testbed/netns/private.sh scripts/demo.sh --inside "$build" "$ann" "$bob" &
child=$!
trap 'kill $child 2>/dev/null; wait $child; exit 130' INT
trap 'kill $child 2>/dev/null; wait $child; exit 143' TERM HUP
wait $child
status=$?
[ $status -eq 75 ] || exit $status

echo "demo: no network namespaces here, so there are no NATs to show: over loopback instead"
python3 scripts/demo.py "$build" &
child=$!
wait $child
