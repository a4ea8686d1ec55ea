# mapping address-and-port-dependent
# filtering address-and-port-dependent
# ports random
# sessions 300
# symmetric.sh with room for 300 flows of everybody together.
drop_strangers
few_sessions 300
let_in_answers
iptables -t nat -A POSTROUTING -o wan -p udp -j MASQUERADE --random-fully
masquerade
