# mapping none
# filtering none
# A public address; the router only routes.
