# mapping endpoint-independent
# filtering endpoint-independent
# ports preserved
# hairpin yes
# A carrier as RFC 6888 asks for: a block of ports for each subscriber, and subscribers reach each other's public ports,
# coming from their own.
drop_strangers
map_one_to_one
for entry in $map; do
    address=${entry%%:*} ports=${entry#*:}
    iptables -t nat -A PREROUTING -i "$inside" -d "$public" -p udp --dport "$ports" -j DNAT --to-destination "$address"
    iptables -t nat -A POSTROUTING -o "$inside" -s "$address" -p udp -m conntrack --ctstate DNAT -j SNAT --to-source "$public"
done
