# mapping endpoint-independent
# filtering address-dependent
# ports preserved
# In comes what is from an address that this port has sent to.
drop_strangers
map_one_to_one
ipset create sent-to hash:ip,port timeout 120
iptables -A FORWARD -o wan -p udp -j SET --add-set sent-to dst,src --exist
iptables -A FORWARD -i wan -p udp -m set --match-set sent-to src,dst -j ACCEPT
let_in_answers
