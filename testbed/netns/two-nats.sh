#!/bin/bash
# Two homes behind two NATs, a server, and an internet between them that only routes, of network namespaces:
#
#     ann --- home-ann ---.            .--- home-bob --- bob
#  192.168.1.10  198.51.100.2   core   192.0.2.2  192.168.2.10
#                               |
#                      server 203.0.113.1
#
# usage: two-nats.sh NAT_OF_ANN NAT_OF_BOB COMMAND...
#   port-restricted  MASQUERADE: keeps the port for every destination, lets in only what was written to
#   shifting         the same with another port than the host's (20000-29999), still one for all destinations
#   full-cone        like the first, and whatever comes in goes to the host: reachable by anybody once it has sent
#   symmetric        MASQUERADE --random-fully: another random port for every destination
#
# Runs COMMAND where nsenter --net=/run/netns/NAME enters a host, and ends with its status. Needs root or user
# namespaces. Everything, processes too, is in namespaces of this command's own: its names collide with nothing,
# and nothing is left when it ends, however it ends. Status 75: the kernel or a container does not allow this.
set -u
PATH=$PATH:/usr/sbin:/sbin

cannot() {
    echo "two-nats: $1" >&2
    exit 75
}

# Output only when it matters.
try() {
    local said
    said=$("$@" 2>&1 </dev/null) || cannot "$* fails${said:+: $(head -n 1 <<<"$said")}"
}

in_host() { # HOST COMMAND...
    local host=$1
    shift
    nsenter --net="/run/netns/$host" -- "$@"
}

# Debian's iptables speaks to nf_tables; an old kernel may only know the other one.
find_iptables() {
    for iptables in iptables iptables-legacy; do
        in_host home-ann "$iptables" -t nat -A POSTROUTING -o wan -j MASQUERADE 2>/dev/null || continue
        in_host home-ann "$iptables" -t nat -F
        return
    done
    cannot "no iptables that can masquerade"
}

# wire HOST INTERFACE ADDRESS  HOST INTERFACE ADDRESS: a cable between two hosts
wire() {
    try ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
    try ip -n "$1" addr add "$3" dev "$2"
    try ip -n "$4" addr add "$6" dev "$5"
    try ip -n "$1" link set "$2" up
    try ip -n "$4" link set "$5" up
}

forward() { try in_host "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'; }

nat() { # ROUTER KIND HOST_BEHIND
    local rule=(try in_host "$1" "$iptables")
    # As on a home router, strangers do not get an answer, and no conntrack entry, from the router itself.
    "${rule[@]}" -A INPUT -i wan -m conntrack --ctstate NEW -j DROP
    case $2 in
    port-restricted) ;;
    full-cone) "${rule[@]}" -t nat -A PREROUTING -i wan -p udp -j DNAT --to-destination "$3" ;;
    shifting) "${rule[@]}" -t nat -A POSTROUTING -o wan -p udp -j MASQUERADE --to-ports 20000-29999 ;;
    symmetric) "${rule[@]}" -t nat -A POSTROUTING -o wan -p udp -j MASQUERADE --random-fully ;;
    *)
        echo "two-nats: no such NAT: $2" >&2
        exit 2
        ;;
    esac
    "${rule[@]}" -t nat -A POSTROUTING -o wan -j MASQUERADE
}

# ---- outside: go inside ----
if [ "${1:-}" != --inside ]; then
    [ $# -ge 3 ] || { echo "usage: two-nats.sh NAT NAT COMMAND..." >&2; exit 2; }
    own=(unshare --net --mount --pid --fork --kill-child)
    # Root in a container may lack the right; a user namespace may give it.
    "${own[@]}" true 2>/dev/null || own+=(--map-root-user)
    said=$("${own[@]}" true 2>&1) || cannot "no namespaces here: $said"
    # In the background, because unshare keeps signals from itself while it waits.
    "${own[@]}" -- "$0" --inside "$@" <&0 &
    child=$!
    trap 'kill -KILL $child 2>/dev/null; exit 130' INT
    trap 'kill -KILL $child 2>/dev/null; exit 143' TERM HUP
    wait $child
    exit
fi

# ---- inside ----
shift
[ $$ -eq 1 ] || { echo "two-nats: --inside is not for you" >&2; exit 2; }
# Programs that look themselves up (LeakSanitizer does) need a /proc of this pid namespace; a container may forbid it.
mount -t proc proc /proc 2>/dev/null
try mount -t tmpfs tmpfs /run
try mkdir -p /run/netns
for host in core server home-ann home-bob ann bob; do
    try ip netns add $host
    try ip -n $host link set lo up
done

wire core to-server 203.0.113.254/24 server net 203.0.113.1/24
wire core to-ann 198.51.100.1/24 home-ann wan 198.51.100.2/24
wire core to-bob 192.0.2.1/24 home-bob wan 192.0.2.2/24
wire home-ann lan 192.168.1.1/24 ann net 192.168.1.10/24
wire home-bob lan 192.168.2.1/24 bob net 192.168.2.10/24
try ip -n server route add default via 203.0.113.254
try ip -n home-ann route add default via 198.51.100.1
try ip -n home-bob route add default via 192.0.2.1
try ip -n ann route add default via 192.168.1.1
try ip -n bob route add default via 192.168.2.1
for router in core home-ann home-bob; do forward $router; done

find_iptables
nat home-ann "$1" 192.168.1.10
nat home-bob "$2" 192.168.2.10

shift 2
"$@"
