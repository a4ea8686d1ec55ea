#!/bin/bash
# Builds a small internet out of network namespaces. For inside private.sh: it names hosts as if there were no others.
# usage: internet.sh LAYOUT NAT_OF_A NAT_OF_B [NAT_OF_CARRIER_A [NAT_OF_CARRIER_B]]
#   homes      each person behind a router of their own; both routers on the wan          (README.md draws it)
#   homes-v6   the same, and IPv6 beside it: everybody has an address, and both routers have a firewall
#   lan        both at home A, on one network
#   isolated   both at home A, but the network keeps them apart, as guest networks do
#   carriers   each home behind a carrier of its own
#   carrier    both homes behind carrier A
# In each home there is somebody else, too: others-a, others-b. Leaves the wan's edges in /run/wan.edges; NATs are files
# in kinds/. Status 75: the kernel does not allow this.
set -u
here=$(dirname "$0")

cannot() {
    echo "internet: $1" >&2
    exit 75
}

# Output only when it matters.
try() {
    local said
    said=$("$@" 2>&1 </dev/null) || cannot "$* fails${said:+: $(head -n 3 <<<"$said")}"
}

try_reading() {
    local said
    said=$("$@" 2>&1) || cannot "$* fails${said:+: $(head -n 3 <<<"$said")}"
}

in_host() { # HOST COMMAND...
    local host=$1
    shift
    nsenter --net="/run/netns/$host" -- "$@"
}

# What is asked for below is collected, and done by build_hosts with few processes: they are what takes time here.
hosts=()
cables=''            # for ip
declare -A plumbing  # for ip in the host
declare -A settings  # NAME=VALUE ... in the host's /proc/sys/net

host() { # NAME...
    local name
    for name; do
        hosts+=("$name")
        plumbing[$name]=$'link set lo up\n'
        settings[$name]='ipv6/conf/all/disable_ipv6=1 '
    done
}

router() { # NAME...
    local name
    host "$@"
    for name; do
        settings[$name]+='ipv4/ip_forward=1 '
        # What stays on one side of a switch is none of the router's business.
        [ ! -e /proc/sys/net/bridge ] || settings[$name]+='bridge/bridge-nf-call-iptables=0 '
    done
}

# plug ROUTER SWITCH HOST INTERFACE ADDRESS/BITS GATEWAY: a cable from a host to a switch of a router
plug() {
    cables+="link add $3 netns $1 type veth peer name $4 netns $3"$'\n'
    plumbing[$1]+="link set $3 master $2 up"$'\n'
    plumbing[$3]+="addr add $5 dev $4"$'\n'"link set $4 up"$'\n'"route add default via $6"$'\n'
}

# A switch that looks for multicast would tell so, and be the first flow that its router knows.
switch() { # ROUTER NAME ADDRESS/BITS
    plumbing[$1]+="link add $2 type bridge mcast_snooping 0"$'\n'"addr add $3 dev $2"$'\n'"link set $2 up"$'\n'
}

# edge HOST PREFIX/BITS ADDRESS...: onto the wan, which has no ARP: everybody on it has the same link address.
edge() {
    local host=$1 prefix=$2 address
    shift 2
    cables+="link add $host netns wan address 02:00:00:00:00:02 type veth"
    cables+=" peer name wan netns $host address 02:00:00:00:00:01"$'\n'
    plumbing[wan]+="link set $host arp off up"$'\n'
    for address; do plumbing[$host]+="addr add $address dev wan"$'\n'; done
    plumbing[$host]+=$'link set wan arp off up\nroute add default dev wan\n'
    echo "$host,$prefix" >>/run/wan.edges
}

# v6 HOST INTERFACE ADDRESS/BITS [GATEWAY]: beside what is there; without duplicate address detection, which takes a second
v6() {
    settings[$1]+='ipv6/conf/all/disable_ipv6=0 ipv6/conf/all/forwarding=1 '
    plumbing[$1]+="addr add $3 dev $2 nodad"$'\n'
    [ -z "${4:-}" ] || plumbing[$1]+="route add ::/0 via $4"$'\n'
}

# home_v6 NAME PREFIX PERSON: a home's part of IPv6. A firewall is the same for both families.
home_v6() {
    v6 "$1" wan "$2::1/128"
    v6 "$1" lan "$2:1::1/64"
    v6 "$3" net "$2:1::10/64" "$2:1::1"
    plumbing[$1]+=$'route add ::/0 dev wan\n'
    echo "$1,$2::/48" >>/run/wan.edges
    nat "$1" firewall "$2::1" lan '' v6
}

build_hosts() {
    local name
    printf 'netns add %s\n' "${hosts[@]}" | try_reading ip -batch -
    try_reading ip -batch - <<<"$cables"
    for name in "${hosts[@]}"; do
        # Before the plumbing: addresses that v6 would add by itself must not be.
        # shellcheck disable=SC2016,SC2086
        try in_host "$name" sh -ec 'IFS=,; for s; do echo ${s#*=} >/proc/sys/net/${s%%=*}; done' sh ${settings[$name]}
        try_reading ip -n "$name" -batch - <<<"${plumbing[$name]}"
    done
}

# people ROUTER GATEWAY/BITS PERSON...: a home network. Sets map to what goes to whom where ports are mapped one to one:
# everybody's ephemeral ports are a range of their own.
people() {
    local router=$1 gateway=${2%/*} bits=${2#*/} name address ports
    switch "$router" lan "$2"
    map=''
    shift 2
    for name; do
        case $name in
        ann) address=${gateway%.*}.$((${gateway##*.} + 9)) ports=32768:46883 ;;
        bob) address=${gateway%.*}.$((${gateway##*.} + 10)) ports=46884:60999 ;;
        others-*) address=${gateway%.*}.$((${gateway##*.} + 11)) ports=20000:32767 ;;
        esac
        host "$name"
        plug "$router" lan "$name" net "$address/$bits" "$gateway"
        settings[$name]+="ipv4/ip_local_port_range=${ports/:/,} "
        map+="$address:$ports "
    done
}

nats=()
nat() { # ROUTER KIND PUBLIC_ADDRESS INSIDE_INTERFACE MAP [v6]
    [ -e "$here/kinds/$2.sh" ] || { echo "internet: no such NAT: $2" >&2; exit 2; }
    nats+=("$1" "$2" "$3" "$4" "$5" "${6:-v4}")
}

build_nats() {
    local tables=$IPTABLES
    set -- "${nats[@]}"
    while [ $# -gt 0 ]; do
        [ "$6" = v4 ] && IPTABLES=$tables || IPTABLES=${tables/ip/ip6}
        # shellcheck disable=SC2016
        try in_host "$1" env public="$3" inside="$4" map="$5" \
            sh -euc '. "$0/functions.sh"; . "$0/$1.sh"' "$here/kinds" "$2"
        shift 6
    done
}

# home NAME KIND PUBLIC_ADDRESS LAN_GATEWAY/BITS PUBLIC_GATEWAY/BITS PERSON...: the second network is for routers that
# don't translate.
home() {
    local name=$1 kind=$2 public=$3 gateway=$4 map
    case $kind in none | firewall) gateway=$5 ;; esac
    shift 5
    people "$name" "$gateway" "$@"
    nat "$name" "$kind" "$public" lan "$map"
}

# Debian's iptables speaks to nf_tables; an old kernel may only know the other one.
find_iptables() {
    local name
    for name in iptables iptables-legacy; do
        in_host wan "$name" -t nat -A POSTROUTING -o nowhere -j MASQUERADE 2>/dev/null || continue
        in_host wan "$name" -t nat -F
        export IPTABLES=$name
        return
    done
    cannot "no iptables that can masquerade"
}

[ $# -ge 3 ] || { echo "usage: internet.sh LAYOUT NAT_OF_A NAT_OF_B [NAT_OF_CARRIER_A [NAT_OF_CARRIER_B]]" >&2; exit 2; }
layout=$1 kind_a=$2 kind_b=$3 carrier_a=${4:-cgn} carrier_b=${5:-${4:-cgn}}
export PATH=$PATH:/usr/sbin:/sbin
lan_a=192.168.1.1/24 public_lan_a=198.51.100.129/25
lan_b=192.168.2.1/24 public_lan_b=192.0.2.129/25

host wan server
edge server 203.0.113.0/24 203.0.113.1/32 203.0.113.2/32 203.0.113.3/32 # the last one is others'

case $layout in
homes | homes-v6)
    router home-a home-b
    edge home-a 198.51.100.0/24 198.51.100.1/32
    edge home-b 192.0.2.0/24 192.0.2.1/32
    home home-a "$kind_a" 198.51.100.1 $lan_a $public_lan_a ann others-a
    home home-b "$kind_b" 192.0.2.1 $lan_b $public_lan_b bob others-b
    [ "$layout" = homes ] || {
        v6 server wan 2001:db8::1/128
        plumbing[server]+=$'route add ::/0 dev wan\n'
        echo server,2001:db8::/48 >>/run/wan.edges
        home_v6 home-a 2001:db8:a ann
        home_v6 home-b 2001:db8:b bob
        # Where nobody has a name, one with both families is what a hosts file says.
        echo '203.0.113.1 server.example
2001:db8::1 server.example' >/run/hosts
        try mount --bind /run/hosts /etc/hosts
    }
    ;;
lan | isolated)
    router home-a
    edge home-a 198.51.100.0/24 198.51.100.1/32
    home home-a "$kind_a" 198.51.100.1 $lan_a $public_lan_a ann bob others-a
    [ "$layout" = lan ] || plumbing[home-a]+=$'link set ann type bridge_slave isolated on\nlink set bob type bridge_slave isolated on\n'
    ;;
carriers)
    router home-a home-b carrier-a carrier-b
    edge carrier-a 198.51.100.0/24 198.51.100.1/32
    edge carrier-b 192.0.2.0/24 192.0.2.1/32
    switch carrier-a homes 100.64.0.1/24
    switch carrier-b homes 100.64.0.1/24
    plug carrier-a homes home-a wan 100.64.0.2/24 100.64.0.1
    plug carrier-b homes home-b wan 100.64.0.3/24 100.64.0.1
    home home-a "$kind_a" 100.64.0.2 $lan_a $public_lan_a ann others-a
    home home-b "$kind_b" 100.64.0.3 $lan_b $public_lan_b bob others-b
    nat carrier-a "$carrier_a" 198.51.100.1 homes "100.64.0.2:32768:46883"
    nat carrier-b "$carrier_b" 192.0.2.1 homes "100.64.0.3:46884:60999"
    ;;
carrier)
    router home-a home-b carrier-a
    edge carrier-a 198.51.100.0/24 198.51.100.1/32
    switch carrier-a homes 100.64.0.1/24
    plug carrier-a homes home-a wan 100.64.0.2/24 100.64.0.1
    plug carrier-a homes home-b wan 100.64.0.3/24 100.64.0.1
    home home-a "$kind_a" 100.64.0.2 $lan_a $public_lan_a ann others-a
    home home-b "$kind_b" 100.64.0.3 $lan_b $public_lan_b bob others-b
    nat carrier-a "$carrier_a" 198.51.100.1 homes "100.64.0.2:32768:46883 100.64.0.3:46884:60999"
    ;;
*)
    echo "internet: no such layout: $layout" >&2
    exit 2
    ;;
esac

build_hosts
find_iptables
build_nats
