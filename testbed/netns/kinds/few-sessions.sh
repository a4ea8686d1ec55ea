# mapping endpoint-independent
# filtering address-and-port-dependent
# ports preserved
# sessions 300
# linux.sh with room for 300 flows of everybody together.
drop_strangers
few_sessions 300
let_in_answers
masquerade
