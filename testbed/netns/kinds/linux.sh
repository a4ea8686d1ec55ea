# mapping endpoint-independent
# filtering address-and-port-dependent
# ports preserved
# What most home routers ship. It looks like port-restricted.sh, but the port is only kept as long as nobody else has it.
drop_strangers
let_in_answers
masquerade
