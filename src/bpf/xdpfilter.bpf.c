// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* xdpfilter: counts the packets that an interface receives, and drops those that match. */
#include "packet.bpf.h"
#include "tables.bpf.h"

#define ENTRIES_MAX 16384

TABLES(packet_table, struct packet_key, struct packet_value, ENTRIES_MAX);

static __always_inline void count(const struct packet *p, bool dropped, __u64 bytes)
{
	struct packet_value none = {}, *value;
	struct packet_key key = {.action = dropped};

	fill_packet_key(&key, p);
	value = table_entry(&packet_table, &key, &none);
	if (!value)
		return;
	/* Packets are received one after the other on a CPU. */
	value->packets++;
	value->bytes += bytes;
	count_submitted();
}

SEC("xdp")
int on_packet(struct xdp_md *ctx)
{
	struct packet p = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.protocol = PROTOCOL_CUT,
	};
	bool dropped;

	read_packet(&p);
	dropped = rules_matched(&p) & RULE_DROP;
	count(&p, dropped, p.end - (void *)(long)ctx->data);
	return dropped ? XDP_DROP : XDP_PASS;
}
