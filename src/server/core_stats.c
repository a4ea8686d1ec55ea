#include "server/core_internal.h"

static const char *const count_names[COUNTS] = {
    [COUNT_RECEIVED] = "received_datagrams",
    [COUNT_RECEIVED_BYTES] = "received_bytes",
    [COUNT_SENT] = "sent_datagrams",
    [COUNT_SENT_BYTES] = "sent_bytes",
    [COUNT_DROPPED_QUEUE] = "dropped_queue_full",
    [COUNT_DROPPED_SOURCE] = "dropped_wrong_source",
    [COUNT_PROBES] = "probes",
    [COUNT_PROBES_DROPPED] = "probes_dropped",
    [COUNT_DROPPED_KIND] = "dropped_not_for_server",
    [COUNT_DROPPED_SECRET] = "dropped_unknown_secret",
    [COUNT_DROPPED_UNPADDED] = "dropped_unpadded",
    [COUNT_LEDGER_REFUSED] = "ledger_refused",
    [COUNT_REGISTERED] = "registered",
    [COUNT_RETRIES] = "retries",
    [COUNT_REFUSED_UNKNOWN] = "refused_unknown",
    [COUNT_REFUSED_ROOM_FULL] = "refused_room_full",
    [COUNT_REFUSED_BUSY] = "refused_busy",
    [COUNT_REFUSED_CROWDED] = "refused_crowded",
    [COUNT_LAPSED] = "lapsed",
    [COUNT_DISPLACED] = "displaced",
    [COUNT_INTRODUCED] = "introduced",
    [COUNT_INTRODUCTIONS_LINKED] = "introductions_linked",
    [COUNT_INTRODUCTIONS_FULL] = "introductions_full",
    [COUNT_INTRODUCTIONS_CUT] = "introductions_cut",
    [COUNT_SIGNALS] = "signals",
    [COUNT_SIGNALS_DROPPED] = "signals_dropped",
    [COUNT_LINKED] = "linked",
    [COUNT_RELAYED] = "relayed_datagrams",
    [COUNT_RELAYED_BYTES] = "relayed_bytes",
    [COUNT_RELAY_OVER_QUOTA] = "relay_over_quota",
    [COUNT_RETRIES_RATE] = "retries_over_rate",
    [COUNT_REFUSED_RATE] = "refused_over_rate",
    [COUNT_DROPPED_RATE] = "dropped_over_rate",
    [COUNT_DROPPED_INTRODUCTIONS_RATE] = "dropped_introductions_over_rate",
    [COUNT_DROPPED_RELAY_PART] = "dropped_relay_over_part",
    [COUNT_DROPPED_RELAY_TOTAL] = "dropped_relay_over_total",
};

static const char *const decode_names[DECODE_RESULTS] = {
    [DECODE_OK] = "decode_ok",           [DECODE_SIZE] = "decode_size",     [DECODE_PROTOCOL] = "decode_protocol",
    [DECODE_WIRE] = "decode_wire",       [DECODE_MEMORY] = "decode_memory", [DECODE_VALUE] = "decode_value",
    [DECODE_UNKNOWN] = "decode_unknown", [DECODE_PLACE] = "decode_place",
};

enum { GAUGES = 10 };
static_assert(GAUGES + COUNTS + DECODE_RESULTS <= SERVER_STATS_MAX, "they all fit");

size_t server_stats(const struct server *s, struct server_stat ret[static SERVER_STATS_MAX])
{
    size_t n = 0;
    const struct server_stat gauges[GAUGES] = {
        {"registrations", s->t.registrations.count},
        {"registrations_open", s->open_total},
        {"unvalidated", s->t.strangers.count},
        {"introductions", s->t.introductions.count},
        {"links", s->t.links.count},
        {"registrations_max", s->t.registrations.max},
        {"unvalidated_max", s->t.strangers.max},
        {"introductions_max", s->t.introductions.max},
        {"links_max", s->t.links.max},
        {"bits_wanted", s->bits_wanted},
    };
    for (int i = 0; i < GAUGES; i++)
        ret[n++] = gauges[i];
    for (int i = 0; i < COUNTS; i++)
        ret[n++] = (struct server_stat){count_names[i], s->counts[i]};
    for (int i = 0; i < DECODE_RESULTS; i++)
        ret[n++] = (struct server_stat){decode_names[i], s->codec.counts[i]};
    return n;
}
