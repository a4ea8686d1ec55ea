# mapping address-and-port-dependent
# filtering address-and-port-dependent
# ports sequential
# The next port for each new flow, whoever's it is.
drop_strangers
let_in_answers
next_port_for_each_flow
masquerade
