#!/bin/bash
# Runs a command as root of a machine of its own: network, mounts, processes. usage: private.sh COMMAND...
# Its names collide with nothing outside, and when it ends, however it ends, the kernel takes everything back: hosts,
# cables, rules, processes. As root, or as anybody where user namespaces are allowed. Ends with the command's status;
# 75: not possible here.
set -u
PATH=$PATH:/usr/sbin:/sbin

if [ "${1:-}" = --inside ]; then
    shift
    [ $$ -eq 1 ] || { echo "private: --inside is not for you" >&2; exit 2; }
    # Our number outside, for who wants to come in later; /proc is still the one of outside.
    read -r PRIVATE_PID _ </proc/self/stat
    export PRIVATE_PID
    mount -t tmpfs tmpfs /run && mkdir -p /run/netns || exit 75
    # Some containers forbid it; few programs miss it.
    mount -t proc proc /proc 2>/dev/null
    exec "$@"
fi

[ $# -ge 1 ] || { echo "usage: private.sh COMMAND..." >&2; exit 2; }
own=(unshare --net --mount --pid --fork --kill-child)
# Root in a container may lack the right; a user namespace may give it.
"${own[@]}" true 2>/dev/null || own+=(--map-root-user)
said=$("${own[@]}" true 2>&1) || { echo "private: no namespaces here: $said" >&2; exit 75; }

# unshare keeps signals from itself while it waits, so it is a child, and we kill it; and should we be killed
# ourselves, the kernel does.
setpriv --pdeathsig KILL "${own[@]}" -- "$0" --inside "$@" <&0 &
child=$!
trap 'kill -KILL $child 2>/dev/null; exit 130' INT
trap 'kill -KILL $child 2>/dev/null; exit 143' TERM HUP
wait $child
