# mapping endpoint-independent
# filtering address-and-port-dependent
# ports preserved
# A true endpoint-independent mapping with the strictest filter.
drop_strangers
map_one_to_one
let_in_answers
