/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* guard: connects and datagrams. */
#ifndef EBTOOLS_GUARD_CONNECTS_H
#define EBTOOLS_GUARD_CONNECTS_H

#include "decisions.bpf.h"

static __always_inline void show_connect(__u32 rule, const struct destination *network, __u16 port)
{
	struct record *record = begin(ACT_CONNECT, rule);

	if (!record)
		return;
	__builtin_memcpy(record->event.address, network->address, sizeof(network->address));
	record->event.port = port;
	record->event.family = network->family;
	record_submit(record, record->event.rule_len & (RULE_LEN - 1));
}

static __always_inline __u32 rule_in(void *networks, struct destination *network, __u16 port)
{
	__u32 *rule;

	network->port = port;
	rule = bpf_map_lookup_elem(networks, network);
	if (!rule) {
		network->port = 0;
		rule = bpf_map_lookup_elem(networks, network);
	}
	return rule ? *rule : 0;
}

#define V4 4
#define V6 6
#define V4_BITS (32 + 32)
#define V6_BITS (32 + 128)

static __always_inline __u32 rule_for_network(struct destination *network, __u16 port)
{
	__u32 rule = rule_in(&denied_networks, network, port);

	return rule && !rule_in(&allowed_networks, network, port) ? rule : 0;
}

/* What a cgroup's program returns: may it go on? */
#define GOES_ON 1
#define IS_REFUSED 0

static __always_inline int decide_connect(struct destination *network, __u32 rule, __u16 port)
{
	if (!rule)
		return GOES_ON;
	show_connect(rule, network, port);
	return enforce ? IS_REFUSED : GOES_ON;
}

static __always_inline bool connects_are_bound(void)
{
	return task_wanted_of((void *)bpf_get_current_task());
}

static __always_inline int connect4(struct destination *network, __u32 address, __u16 port)
{
	/* The kernel takes 0.0.0.0 for this host. */
	__u32 meant = address ?: bpf_htonl(0x7f000001);

	network->bits = V4_BITS;
	network->family = V4;
	__builtin_memcpy(network->address, &meant, sizeof(meant));
	return decide_connect(network, rule_for_network(network, port), port);
}

static __always_inline int to_ipv4(struct bpf_sock_addr *ctx)
{
	struct destination network = {};

	if (!connects_are_bound())
		return GOES_ON;
	return connect4(&network, ctx->user_ip4, bpf_ntohs(ctx->user_port));
}

static __always_inline int to_ipv6(struct bpf_sock_addr *ctx)
{
	__u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
	struct destination network = {.bits = V6_BITS, .family = V6};
	bool is_any = !(address[0] | address[1] | address[2] | address[3]);
	__u16 port = bpf_ntohs(ctx->user_port);
	struct destination v4 = {};

	if (!connects_are_bound())
		return GOES_ON;
	/* ::ffff:10.0.0.1; and :: is this host, by IPv4 where the socket is bound to such an address. */
	if (!address[0] && !address[1] && address[2] == bpf_htonl(0xffff))
		return connect4(&v4, address[3], port);
	if (is_any && connect4(&v4, 0, port) == IS_REFUSED)
		return IS_REFUSED;
	if (is_any)
		address[3] = bpf_htonl(1);
	__builtin_memcpy(network.address, address, sizeof(address));
	return decide_connect(&network, rule_for_network(&network, port), port);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return to_ipv4(ctx);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return to_ipv6(ctx);
}

/* What a socket that is not connected sends. */
SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return to_ipv4(ctx);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return to_ipv6(ctx);
}

#endif
