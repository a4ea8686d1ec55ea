#include "google.h"
#include "p2p.pb.h"
#include <google/protobuf/util/message_differencer.h>
#include <string>

using p2p::v1::Frame;

namespace {

// The bounds that the wire check looks at because they are bounds on memory (limits.h).
bool Over(const Frame &f)
{
    if (f.has_register_() && (f.register_().shares_size() > 8 || f.register_().links_size() > 15 || f.register_().form() < 0))
        return true;
    if (f.has_ack() && f.ack().ranges_size() > 63)
        return true;
    if (f.has_envelope() && (f.envelope().same_size() > 15 || f.envelope().pending_size() > 40))
        return true;
    if (f.has_refused() && f.refused().code() < 0)
        return true;
    if (f.has_leave() && f.leave().reason() < 0)
        return true;
    if (f.has_probe() && f.probe().from() < 0)
        return true;
    if (!f.has_offer())
        return false;
    for (const auto &c : f.offer().candidates())
        if (c.kind() < 0)
            return true;
    return f.offer().candidates_size() > 8 || f.offer().mapping() < 0 || f.offer().filtering() < 0 ||
           f.offer().ports() < 0;
}

bool Parse(Frame *f, const uint8_t *at, size_t size)
{
    return f->ParseFromArray(at, static_cast<int>(size));
}

// What p2p.proto says of values that are not known (yet).
void Normalise(Frame *f)
{
    f->DiscardUnknownFields();
    if (f->has_register_())
        f->mutable_register_()->clear_padding();
    if (f->has_probe())
        f->mutable_probe()->clear_padding();
    if (f->has_registered() && f->registered().bits_wanted() > 8)
        f->mutable_registered()->set_bits_wanted(8);
    if (f->has_refused() && (f->refused().code() < 1 || f->refused().code() > 4))
        f->mutable_refused()->set_code(p2p::v1::REFUSED_BUSY);
    if (f->has_leave() && f->leave().reason() != p2p::v1::LEAVE_ROOM_FULL)
        f->mutable_leave()->set_reason(p2p::v1::LEAVE_QUIT);
    if (!f->has_offer())
        return;
    auto *o = f->mutable_offer();
    for (auto &c : *o->mutable_candidates())
        if (c.kind() < 1 || c.kind() > 3)
            c.set_kind(p2p::v1::CANDIDATE_OBSERVED);
    if (o->mapping() > 5)
        o->set_mapping(p2p::v1::NAT_UNKNOWN);
    if (o->filtering() > 5)
        o->set_filtering(p2p::v1::NAT_UNKNOWN);
    if (o->ports() > 3)
        o->set_ports(p2p::v1::NAT_PORTS_UNKNOWN);
}

} // namespace

extern "C" enum google_verdict google_parse(const uint8_t *at, size_t size)
{
    Frame f;
    if (!Parse(&f, at, size))
        return GOOGLE_REFUSES;
    return Over(f) ? GOOGLE_OVER : GOOGLE_ACCEPTS;
}

extern "C" size_t google_rewrite(const uint8_t *at, size_t size, uint8_t *ret, size_t cap)
{
    Frame f;
    Parse(&f, at, size);
    f.DiscardUnknownFields();
    size_t made = f.ByteSizeLong();
    return made <= cap && f.SerializeToArray(ret, static_cast<int>(made)) ? made : 0;
}

extern "C" bool google_same_values(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    Frame x, y;
    if (!Parse(&x, a, a_size) || !Parse(&y, b, b_size))
        return false;
    Normalise(&x);
    Normalise(&y);
    return google::protobuf::util::MessageDifferencer::Equals(x, y);
}
