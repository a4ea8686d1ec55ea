# mapping endpoint-independent
# filtering endpoint-independent
# ports preserved
# "DMZ host", or a generous router: what goes out of a port comes from it, whatever comes to it goes in.
drop_strangers
map_one_to_one
