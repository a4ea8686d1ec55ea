/* hand_parts.h: between the files of hand*.c: hand.c is the shell of the engine, hand_server.c its server,
 * hand_peer.c who knows the keyword, hand_packet.c what that one's packets are made of. */
#ifndef FUZZ_HAND_PARTS_H
#define FUZZ_HAND_PARTS_H
#include "hand.h"

/* hand.c. Not drained: this may be an answer in the middle of draining. */
void hand_put_in(struct hand *h, uint16_t socket, const struct addr *from, const uint8_t *at, size_t size);
/* A shell gives the engine what came to a socket that is open. */
uint16_t hand_open_socket(const struct hand *h, uint16_t wanted);

/* hand_server.c; `to`: which of its addresses was asked. */
void hand_server_gets(struct hand *h, uint16_t socket, const struct addr *to, const uint8_t *at, size_t size);
/* An answer from elsewhere comes through to who is behind no NAT. */
void hand_server_gets_probe(struct hand *h, uint16_t socket, const struct frame_probe *p, const struct addr *to);

/* hand_peer.c */
void hand_peer_learns(struct hand *h, const struct keyword *k);
void hand_peer_gets(struct hand *h, const uint8_t *at, size_t size, enum hand_way way);
#endif
