# mapping endpoint-independent
# filtering address-and-port-dependent
# ports preserved
# sessions 300
# linux.sh with room for 300 flows of everybody together; what would be one more is dropped.
drop_strangers
iptables -A FORWARD -o wan -p udp -m conntrack --ctstate NEW -m connlimit --connlimit-above 300 --connlimit-mask 0 -j DROP
let_in_answers
masquerade
