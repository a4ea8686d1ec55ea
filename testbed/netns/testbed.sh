#!/bin/bash
# A small internet that stays, to look into and play with. usage:
#   testbed.sh up [LAYOUT NAT_OF_A NAT_OF_B [NAT_OF_CARRIER_A [NAT_OF_CARRIER_B]]]     default: homes linux linux
#   testbed.sh enter HOST [COMMAND...]     default: a shell; hosts are server, wan, home-a, home-b, ann, bob, carrier-a, ...
#   testbed.sh wan QUESTION...             counts, trace, set loss 10, ... (see wan.c)
#   testbed.sh down                        and every trace is gone
# Programs are taken from P2P_BUILD (default: build). P2P_TESTBED names the testbed (default: testbed), so that there may
# be several. One process holds everything, and the kernel cleans up after it. Status 75: not possible here.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${P2P_BUILD:-build}" && pwd) || exit 1
name=${P2P_TESTBED:-testbed}
PATH=$PATH:/usr/sbin:/sbin
state=$build/testbeds/$name

# Who holds the lock is up; every process in the testbed does.
is_up() {
    [ -e "$state.lock" ] && ! flock -n "$state.lock" true
}

forget() {
    rm -f "$state".*
    [ ! -e "$build/testbeds" ] || rmdir --ignore-fail-on-non-empty "$build/testbeds"
}

need_up() {
    is_up || { echo "testbed: '$name' is not up" >&2; exit 1; }
    read -r pid <"$state.pid"
    inside=(nsenter --target "$pid" --mount --net --pid)
    [ "$(readlink "/proc/$pid/ns/user")" = "$(readlink /proc/self/ns/user)" ] || inside+=(--user --preserve-credentials)
}

up() {
    [ $# -gt 0 ] || set -- homes linux linux
    is_up && { echo "testbed: '$name' is up already" >&2; exit 1; }
    mkdir -p "$build/testbeds" || exit 1
    rm -f "$state".*
    exec 9>"$state.lock"
    flock -n 9 || exit 1
    mkfifo "$state.said" || exit 1
    setsid "$here/private.sh" "$here/testbed.sh" --hold "$@" </dev/null >"$state.said" 2>"$state.log" &
    trap 'kill $! && wait $!; forget; exit 130' INT TERM
    local said=''
    read -r said <"$state.said"
    rm -f "$state.said"
    exec 9>&-
    if [ "$said" != ready ]; then
        wait $!
        local status=$?
        cat "$state.log" >&2
        forget
        exit $status
    fi
    echo "testbed: '$name' is up: $*; the server listens on 203.0.113.1:41414"
    echo "  testbed/netns/testbed.sh enter ann $build/p2p-client --keyword foo --server 203.0.113.1"
    echo "  testbed/netns/testbed.sh enter bob $build/p2p-client --keyword foo --server 203.0.113.1"
    echo "  testbed/netns/testbed.sh enter home-a conntrack -L"
}

# As the first process of the testbed.
hold() {
    "$here/internet.sh" "$@" || exit
    mapfile -t edges < <(sed '/^server,/s/$/,0/; t; s/$/,25/' /run/wan.edges)
    exec 3>&1 >/run/wan.said
    nsenter --net=/run/netns/wan "$build/wan" socket /run/wan.socket "${edges[@]}" &
    wan=$!
    tail --pid=$wan -n +1 -f /run/wan.said | grep -q -m 1 ready || exit 1
    : >/run/server.said # before anybody looks into it
    nsenter --net=/run/netns/server "$build/p2p-server" --listen 203.0.113.1:41414 --listen 203.0.113.2:41414 \
        >/run/server.said 2>&1 &
    tail --pid=$! -n +1 -f /run/server.said | grep -q -m 1 ready || { cat /run/server.said >&2; exit 1; }
    echo "$PRIVATE_PID" >"$state.pid"
    echo ready >&3
    exec 3>&-
    wait $wan
}

case ${1:-} in
up)
    shift
    up "$@"
    ;;
--hold)
    shift
    hold "$@"
    ;;
enter)
    need_up
    host=${2:?enter whom?}
    shift 2
    [ $# -gt 0 ] || set -- "${SHELL:-/bin/sh}"
    exec "${inside[@]}" -- nsenter --net="/run/netns/$host" -- "$@"
    ;;
wan)
    need_up
    shift
    exec "${inside[@]}" -- python3 "$here/lab.py" "$@"
    ;;
down)
    is_up || { echo "testbed: '$name' is not up"; forget; exit 0; }
    read -r pid <"$state.pid" || { echo "testbed: '$name' is not up yet" >&2; exit 1; }
    kill -KILL "$pid"
    flock "$state.lock" true # comes when the last process has gone
    forget
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
