/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop: what is known of sockets. */
#ifndef EBTOOLS_TCPSNOOP_CONNS_H
#define EBTOOLS_TCPSNOOP_CONNS_H

#include "in_flight.bpf.h"
#include "wanted.bpf.h"

#define CONNS_MAX 65536

/* What is known of a socket from its connect, listen or first packet until it is gone. */
struct conn {
	struct owner owner; /* all 0: nobody has accepted it yet, or it is not known */
	__u64 connect_ns; /* since when it connects; 0: it does not, or did before the trace */
	__u64 established_ns;
	__u64 handshake_ns;
	__u64 accept_wait_ns;
	__u64 state_ns; /* since when it is in its state; 0: not known, or nobody wants to know */
	__u64 closed_ns; /* since when it waits to be shown that it has ended, once its owner is known */
	__u32 came; /* what of it, or of a connect that was shown to fail: errno, or enum outcome */
	__u8 has_owner;
	__u8 before_start; /* the connection was there when the trace began */
	__u8 is_connecting : 1;
	__u8 is_in_call : 1; /* connect() has not returned yet */
	__u8 : 6;
	__u8 is_counted; /* as one that is under way */
};

/* By the address of struct sock. */
IN_FLIGHT(conns, struct conn, CONNS_MAX);

/* There was a connection that `conns` had no room for. */
__u32 has_overflowed = 0;

static __always_inline bool owner_wanted(const struct conn *conn)
{
	return conn && conn->has_owner ? conn->owner.wanted : !only_wanted;
}

static __always_inline void uncount(struct conn *conn)
{
	if (conn->is_counted)
		count_call(-1);
	conn->is_counted = 0;
	conn->is_connecting = 0;
}

static __always_inline void forget(__u64 key)
{
	struct conn *conn = in_flight_find(&conns, key);

	if (!conn)
		return;
	uncount(conn);
	bpf_map_delete_elem(&conns, &key);
}

static __noinline int keep(__u64 key, const struct conn *conn)
{
	if (!bpf_map_update_elem(&conns, &key, conn, BPF_ANY))
		return 0;
	has_overflowed = 1;
	count_lost(LOST_MAP_FULL);
	return -1;
}

/* Is a connect that begins counted as one that is under way? */
static __always_inline bool is_awaited(const struct conn *conn, struct sock___part *sk)
{
	struct fact fact = {.kind = KIND_CONNECT};

	if (!is_kind_wanted(KIND_CONNECT) || !owner_wanted(conn))
		return false;
	read_ends(&fact.local, &fact.remote, sk);
	return ends_wanted(&fact);
}

/* The current task does something with it that makes it its own. */
static __always_inline void own(struct conn *conn, struct task_struct *task)
{
	fill_owner(&conn->owner, task);
	conn->has_owner = 1;
}

/* Is the current task in connect(), of whatever socket? */
static __always_inline bool is_connect_call(void)
{
	bool compat = is_compat_call();
	long number = current_call_number();

	return IS_CONNECT(number, compat) || IS_SOCKETCALL(number, compat);
}

static __noinline int begin_connect(struct sock___part *sk)
{
	struct conn conn = {.is_connecting = 1, .connect_ns = bpf_ktime_get_boot_ns()};
	__u64 key = (__u64)sk;

	forget(key);
	own(&conn, (void *)bpf_get_current_task());
	if (only_wanted && !conn.owner.wanted)
		return 0;
	conn.is_in_call = is_connect_call();
	conn.is_counted = is_awaited(&conn, sk);
	if (!keep(key, &conn) && conn.is_counted)
		count_call(1);
	return 0;
}

/* A request of the other end, of which nobody knows here who will accept it. */
static __always_inline void begin_passive(__u64 key)
{
	struct conn conn = {};

	forget(key);
	keep(key, &conn);
}

static __always_inline void begin_listen(__u64 key)
{
	struct conn conn = {};

	forget(key);
	own(&conn, (void *)bpf_get_current_task());
	if (!only_wanted || conn.owner.wanted)
		keep(key, &conn);
}

#endif
