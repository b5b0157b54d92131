/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop: which connections and events are wanted. */
#ifndef EBTOOLS_TCPSNOOP_WANTED_H
#define EBTOOLS_TCPSNOOP_WANTED_H

#include "packet.bpf.h"

/* Bits of 1 << enum kind. */
const volatile __u32 kinds = 0;
/* Only connections of wanted tasks. */
const volatile __u8 only_wanted = 0;
const volatile __u8 only_failed = 0;
/* 4, 6, or 0 for both. */
const volatile __u8 only_family = 0;
/* Bits of 1 << enum port_at: those that `ports` has some of. */
const volatile __u8 by_ports = 0;
const volatile __u64 slower_ns = 0;

/* Ports that are wanted: where, above 16 bits of the port. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1024);
} ports SEC(".maps");

/* What an event is about, before it is known to be wanted. */
struct fact {
	__u64 latency_ns;
	__u32 result;
	__u32 kind;
	struct end local;
	struct end remote;
};

static __always_inline bool is_kind_wanted(enum kind kind)
{
	return kinds >> kind & 1;
}

static __always_inline bool is_port_in(enum port_at at, __u16 port)
{
	__u32 key = at << 16 | port;

	return by_ports >> at & 1 && bpf_map_lookup_elem(&ports, &key);
}

static __always_inline bool ports_wanted(const struct fact *fact)
{
	__u16 local = fact->local.port, remote = fact->remote.port;

	if (by_ports & 1 << PORT_AT_EITHER && !is_port_in(PORT_AT_EITHER, local) &&
	    !is_port_in(PORT_AT_EITHER, remote))
		return false;
	if (by_ports & 1 << PORT_AT_LOCAL && !is_port_in(PORT_AT_LOCAL, local))
		return false;
	return !(by_ports & 1 << PORT_AT_REMOTE) || is_port_in(PORT_AT_REMOTE, remote);
}

static __always_inline bool is_in(void *networks, const struct end *end)
{
	struct packet packet = {.ethertype = end->family == 4 ? IPV4 : IPV6};

	return end->family && rules_of(networks, &packet, end->address) & RULE_ONLY;
}

/* Are not all ends wanted? */
static __always_inline bool is_by_ends(void)
{
	return only_family || by_ports || packets.with_src || packets.with_dst;
}

static __noinline bool ends_wanted(const struct fact *fact)
{
	/* Who listens has no other end. */
	__u16 family = fact->kind == KIND_LISTEN ? fact->local.family : fact->remote.family;

	if (only_family && family != only_family)
		return false;
	if (by_ports && !ports_wanted(fact))
		return false;
	if (packets.with_src && !is_in(&rules_of_src, &fact->local))
		return false;
	return !packets.with_dst || is_in(&rules_of_dst, &fact->remote);
}

static __always_inline bool is_failure(__u32 result)
{
	return result != OUTCOME_OK && result != OUTCOME_NONE;
}

#endif
