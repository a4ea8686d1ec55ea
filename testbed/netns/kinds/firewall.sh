# mapping none
# filtering address-and-port-dependent
# A public address behind a router that lets in what answers something: IPv6 at home, offices.
drop_strangers
let_in_answers
