# mapping endpoint-independent
# filtering address-and-port-dependent
# ports random
# linux.sh that gives out ports of its own: not the host's, but the same one for all destinations.
drop_strangers
let_in_answers
iptables -t nat -A POSTROUTING -o wan -p udp -j MASQUERADE --to-ports 20000-29999
masquerade
