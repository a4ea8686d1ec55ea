# mapping endpoint-independent
# filtering address-and-port-dependent
# ports preserved
# poisoned yes
# linux.sh without a firewall: a stranger's packet that comes too early is for the router itself, which remembers it, and
# our packet to that stranger then leaves by another port.
masquerade
