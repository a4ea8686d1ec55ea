#include "server/batch.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

/* No segmentation offload. UDP_SEGMENT sends one buffer in pieces to one destination, UDP_GRO joins datagrams in a row
 * from one source; but a link's quota is seven full datagrams a second, so that those of a batch come from as many
 * people and go to as many. There is hardly ever anything to join. */
enum {
    SWALLOW_MAX = 16, /* ICMP errors in a row before the loop gets a chance to do something else */
};

static void init(struct batch_messages *m)
{
    for (size_t i = 0; i < BATCH_MAX; i++) {
        m->parts[i] = (struct iovec){.iov_base = m->bytes[i], .iov_len = DATAGRAM_BYTES_MAX};
        m->headers[i].msg_hdr = (struct msghdr){.msg_name = &m->addresses[i],
                                                .msg_iov = &m->parts[i],
                                                .msg_iovlen = 1,
                                                .msg_control = m->controls[i],
                                                .msg_controllen = sizeof m->controls[i],
                                                .msg_namelen = sizeof m->addresses[i]};
    }
}

/* ---- in ---- */

void batch_in_init(struct batch_in *b)
{
    init(&b->m);
}

int batch_receive(struct batch_in *b, int fd)
{
    for (int i = 0; i < SWALLOW_MAX; i++) {
        int count = recvmmsg(fd, b->m.headers, BATCH_MAX, MSG_DONTWAIT, NULL);
        if (count >= 0)
            return count;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (!udp_is_weather(errno))
            return -errno;
    }
    return 0;
}

void batch_get(struct batch_in *b, size_t i, struct batch_datagram *ret)
{
    struct msghdr *h = &b->m.headers[i].msg_hdr;
    *ret = (struct batch_datagram){.bytes = b->m.bytes[i],
                                   .size = h->msg_flags & MSG_TRUNC ? BATCH_DATAGRAM_BYTES : b->m.headers[i].msg_len};
    udp_sockaddr_to(&ret->from, &b->m.addresses[i]);
    udp_read_local(h, &ret->local);
    h->msg_namelen = sizeof b->m.addresses[i]; /* which the system has written over */
    h->msg_controllen = sizeof b->m.controls[i];
}

/* ---- out ---- */

void batch_out_init(struct batch_out *b)
{
    init(&b->m);
}

void batch_put(struct batch_out *b, const struct addr *local, const struct addr *to, const uint8_t *bytes, size_t size)
{
    assert(b->count < BATCH_MAX && size <= DATAGRAM_BYTES_MAX);
    const size_t i = b->count++;
    struct msghdr *h = &b->m.headers[i].msg_hdr;
    h->msg_namelen = udp_sockaddr_from(&b->m.addresses[i], to);
    h->msg_control = b->m.controls[i];
    h->msg_controllen = 0;
    if (local->family == to->family)
        udp_append_source(h, local);
    else
        h->msg_control = NULL;
    memcpy(b->m.bytes[i], bytes, size);
    b->m.parts[i].iov_len = size;
}

static void count_lost(struct batch_out *b, size_t i, int error)
{
    if (udp_is_full(error)) {
        b->full++;
        return;
    }
    b->failed++;
    b->failed_errno = error;
    udp_sockaddr_to(&b->failed_to, &b->m.addresses[i]);
}

void batch_send(struct batch_out *b, int fd)
{
    for (size_t done = 0; done < b->count;) {
        int sent = sendmmsg(fd, b->m.headers + done, (unsigned)(b->count - done), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            done += (size_t)sent;
        } else if (errno != EINTR) { /* about the first one */
            count_lost(b, done, errno);
            done++;
        }
    }
    b->count = 0;
}
