# mapping endpoint-independent
# filtering address-and-port-dependent
# ports preserved
# timeout 20
# linux.sh that forgets a flow after 20 s of silence.
drop_strangers
let_in_answers
masquerade
echo 20 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
echo 20 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream
