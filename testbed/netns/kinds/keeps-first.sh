# mapping address-and-port-dependent
# filtering address-and-port-dependent
# ports sequential-after-first
# A port is kept for the first destination; each other destination gets the next one of a counter.
drop_strangers
let_in_answers
ipset create known hash:ip,port timeout 120
iptables -t nat -N KEEP
iptables -t nat -A KEEP -j SET --add-set known src,src
iptables -t nat -A KEEP -j MASQUERADE
iptables -t nat -A POSTROUTING -o wan -p udp -m set ! --match-set known src,src -j KEEP
next_port_for_each_flow
masquerade
