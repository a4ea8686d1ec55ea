# mapping address-and-port-dependent
# filtering address-and-port-dependent
# ports random
# Another random port for each destination.
drop_strangers
let_in_answers
iptables -t nat -A POSTROUTING -o wan -p udp -j MASQUERADE --random-fully
masquerade
