/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop --rtt: smoothed round-trip times, one for each segment that comes, summed up here. */
#ifndef EBTOOLS_TCPSNOOP_RTT_H
#define EBTOOLS_TCPSNOOP_RTT_H

#include "conns.bpf.h"
#include "hist.bpf.h"
#include "tables.bpf.h"

#define RTTS_MAX 4096

/* What of the ends is summed up by: bits above those of enum count_by, which are of the owner. */
enum rtt_by {
	RTT_BY_LADDR = 1 << 16,
	RTT_BY_LPORT = 1 << 17,
	RTT_BY_RADDR = 1 << 18,
	RTT_BY_RPORT = 1 << 19,
	RTT_BY_OWNER = RTT_BY_LADDR - 1,
	RTT_BY_ENDS = RTT_BY_LADDR | RTT_BY_LPORT | RTT_BY_RADDR | RTT_BY_RPORT,
};

/*
 * 0 in what is not summed up by. Keys cost by their length: a table has as much of it as is needed, and the
 * rest is 0.
 */
struct rtt_key {
	struct rtt_ends {
		__u32 cpu; /* so that no two CPUs write to the same memory */
		__u32 has_owner;
		struct end local;
		struct end remote;
	} ends;
	struct task_key task;
};

struct rtt_value {
	__u64 count;
	__u64 total_ns;
	struct histogram histogram;
};

TABLES(rtt_table, __u64, struct rtt_value, RTTS_MAX);
TABLES(rtt_end_table, struct rtt_ends, struct rtt_value, RTTS_MAX);
TABLES(rtt_owner_table, struct rtt_key, struct rtt_value, RTTS_MAX);

/* Bits of enum rtt_by and enum count_by. */
const volatile __u32 rtt_by = 0;

/* Those that are there. The compiler may not take up the address of one that is not. */
#define RTT_TABLES(name)                                                                           \
	({                                                                                         \
		void *tables = &name;                                                              \
		asm volatile("# " #name : "+r"(tables));                                           \
		tables;                                                                            \
	})

static __always_inline void *rtt_tables(void)
{
	if (!rtt_by)
		return RTT_TABLES(rtt_table);
	if (rtt_by & RTT_BY_OWNER)
		return RTT_TABLES(rtt_owner_table);
	return RTT_TABLES(rtt_end_table);
}

/* A new entry: too large for the stack. */
static const struct rtt_value no_rtt = {.histogram = NO_HISTOGRAM};

static __always_inline void fill_rtt_end(struct end *to, const struct end *from, bool by_address,
					 bool by_port)
{
	if (by_address) {
		__builtin_memcpy(to->address, from->address, sizeof(to->address));
		to->family = from->family;
	}
	if (by_port)
		to->port = from->port;
}

/* The ends' part of a key; false where they are not wanted. */
static __always_inline bool fill_rtt_ends(struct rtt_key *key, struct sock___part *sk)
{
	struct fact fact = {};

	read_given_ends(&fact.local, &fact.remote, sk);
	if (!ends_wanted(&fact))
		return false;
	fill_rtt_end(&key->ends.local, &fact.local, rtt_by & RTT_BY_LADDR, rtt_by & RTT_BY_LPORT);
	fill_rtt_end(&key->ends.remote, &fact.remote, rtt_by & RTT_BY_RADDR, rtt_by & RTT_BY_RPORT);
	return true;
}

/* And the owner's. */
static __always_inline bool fill_rtt_owner(struct rtt_key *key, struct sock___part *sk)
{
	const struct conn *conn = in_flight_find(&conns, (__u64)sk);

	if (!owner_wanted(conn))
		return false;
	if (conn && conn->has_owner && rtt_by & RTT_BY_OWNER) {
		key->ends.has_owner = 1;
		fill_task_key_by(&key->task, &conn->owner, rtt_by);
	}
	return true;
}

/*
 * Of an established connection, before the kernel has looked at what came. User space knows how many were summed
 * up: they are in the accounts by that.
 */
SEC("tracepoint/tcp/tcp_probe")
int on_segment(__u64 *ctx)
{
	struct sock___part *sk = (void *)socket_probed(ctx);
	__u64 rtt_ns = 1000ULL * rtt_us(sk);
	struct rtt_key key = {.ends.cpu = bpf_get_smp_processor_id()};
	struct rtt_value *value;

	/* Without one: nothing that was sent has been answered yet. */
	if (!rtt_ns || rtt_ns < slower_ns)
		return 0;
	if ((only_wanted || rtt_by & RTT_BY_OWNER) && !fill_rtt_owner(&key, sk))
		return 0;
	if ((is_by_ends() || rtt_by & RTT_BY_ENDS) && !fill_rtt_ends(&key, sk))
		return 0;
	value = table_entry(rtt_tables(), &key, &no_rtt);
	if (!value)
		return 0;
	/* Each CPU has its own; but before Linux 6.1 (05b24ff9b2cf) an interrupt may run this within itself. */
	__sync_fetch_and_add(&value->count, 1);
	__sync_fetch_and_add(&value->total_ns, rtt_ns);
	__sync_fetch_and_add(hist_add(&value->histogram, rtt_ns), 1);
	return 0;
}

#endif
