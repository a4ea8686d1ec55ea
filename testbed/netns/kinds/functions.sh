# What the files beside this one are made of. Each of them is run in a router whose interfaces are `wan` and $inside:
#   $public   its address on the wan side
#   $map      ADDRESS:FIRST_PORT:LAST_PORT of everybody inside: the ports that are theirs where ports are mapped one to one
# and begins with what the probe must find, in RFC 4787's terms.
alias iptables="${IPTABLES:-iptables}"

# Linux finds a free port for each destination anew, and a stranger's packet can take one away (see open-input.sh). Only
# rules make a mapping endpoint-independent: what goes out of a port comes from it, and what comes to it goes in.
map_one_to_one() {
    for entry in $map; do
        address=${entry%%:*} ports=${entry#*:}
        iptables -t nat -A PREROUTING -i wan -d "$public" -p udp --dport "$ports" -j DNAT --to-destination "$address"
        iptables -t nat -A POSTROUTING -o wan -s "$address" -p udp -j SNAT --to-source "$public"
    done
    masquerade
}

masquerade() {
    iptables -t nat -A POSTROUTING -o wan -j MASQUERADE
}

# Strangers get no answer from the router itself, as on any home router.
drop_strangers() {
    iptables -A INPUT -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    iptables -A INPUT -i wan -j DROP
}

# Only what answers something gets in: address-and-port-dependent filtering.
let_in_answers() {
    iptables -A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    iptables -A FORWARD -i wan -j DROP
}

# What would be one flow more is dropped.
few_sessions() { # COUNT
    iptables -A FORWARD -o wan -p udp -m conntrack --ctstate NEW \
        -m connlimit --connlimit-above "$1" --connlimit-mask 0 -j DROP
}

# A rule for each port: of n rules, each takes the first of the n packets that it sees, and the others see one less. Only
# the first packet of a flow comes here.
next_port_for_each_flow() {
    count=1024
    i=0
    while [ $i -lt $count ]; do
        # In pieces: the kernel takes no more from somebody without rights outside.
        {
            echo '*nat'
            end=$((i + 128))
            while [ $i -lt $end ]; do
                echo "-A POSTROUTING -o wan -p udp -m statistic --mode nth --every $((count - i)) --packet 0" \
                    "-j SNAT --to-source $public:$((50000 + i))"
                i=$((i + 1))
            done
            echo COMMIT
        } >/run/rules
        "${IPTABLES:-iptables}-restore" --noflush /run/rules
    done
}
