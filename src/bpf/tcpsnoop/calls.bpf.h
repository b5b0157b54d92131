/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop: connects that fail in the call, accepts, and listens. */
#ifndef EBTOOLS_TCPSNOOP_CALLS_H
#define EBTOOLS_TCPSNOOP_CALLS_H

#include "states.bpf.h"

/* linux/errno.h */
#define EINPROGRESS 115

/* What is to be shown of a connect() that returns: that it has failed, where nothing has told it. */
static __always_inline bool is_news(struct sock___part *sk, struct conn *conn, long ret)
{
	bool is_told;

	if (conn)
		conn->is_in_call = 0;
	if (ret == -EINPROGRESS || tcp_state(sk) != TCP_CLOSE)
		return false;
	/* The state has, with another name where the program has asked for the error meanwhile. */
	is_told = conn && (ret >= 0 || conn->came == -ret || conn->came > OUTCOME_NONE);
	if (is_told)
		conn->came = 0;
	return ret < 0 && !is_told;
}

/* Of connects that fail in the call: there was no way to the other end, or no port left. */
static __always_inline void on_connect_returns(struct sock___part *sk, struct pt_regs *regs,
					       long ret)
{
	struct fact fact = {.kind = KIND_CONNECT, .result = -ret};
	struct conn fresh = {}, *conn = in_flight_find(&conns, (__u64)sk);
	struct record *record;

	if (!is_news(sk, conn, ret))
		return;
	if (conn && conn->connect_ns)
		fact.latency_ns = bpf_ktime_get_boot_ns() - conn->connect_ns;
	own(&fresh, (void *)bpf_get_current_task());
	read_ends(&fact.local, &fact.remote, sk);
	if (read_address_of_user(&fact.remote, (void *)socket_argument(regs, 1),
				 socket_argument(regs, 2))) {
		record = event_begin(sk, &fresh, &fact);
		if (record)
			record_submit(record, 0);
	}
	forget((__u64)sk);
}

static __always_inline void on_accepted(struct sock___part *sk)
{
	struct fact fact = {.kind = KIND_ACCEPT};
	struct conn none = {.before_start = !has_overflowed}, *conn;
	struct record *record;
	__u64 key = (__u64)sk;

	conn = in_flight_find(&conns, key);
	if (!conn && !keep(key, &none))
		conn = in_flight_find(&conns, key);
	if (!conn)
		return;
	own(conn, (void *)bpf_get_current_task());
	if (conn->established_ns && !conn->before_start)
		conn->accept_wait_ns = bpf_ktime_get_boot_ns() - conn->established_ns;
	fact.latency_ns = conn->accept_wait_ns;
	read_ends(&fact.local, &fact.remote, sk);
	record = event_begin(sk, conn, &fact);
	if (record) {
		record->event.rtt_us = rtt_us(sk);
		record_submit(record, 0);
	}
	/* Nobody has sent anything. */
	if (conn->closed_ns)
		show_close(sk, conn, conn->came, TCP_ESTABLISHED, conn->closed_ns);
	if (only_wanted && !conn->owner.wanted)
		forget(key);
}

static __always_inline void on_listened(struct sock___part *sk, long ret)
{
	struct fact fact = {.kind = KIND_LISTEN, .result = -ret};
	struct record *record;
	struct conn conn = {};

	own(&conn, (void *)bpf_get_current_task());
	read_ends(&fact.local, &fact.remote, sk);
	record = event_begin(sk, &conn, &fact);
	if (!record)
		return;
	record->event.backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
	record_submit(record, 0);
}

/* All system calls end here: whatever began before the trace too. */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_call_exit(__u64 *ctx)
{
	struct pt_regs *regs = syscall_regs(ctx);
	long ret = syscall_ret(ctx);
	enum socket_call call;
	struct sock___part *sk;

	if (!MAY_BE_SOCKET_CALL(call_number(regs)))
		return 0;
	call = socket_call_of(regs);
	if (call == SOCKET_ACCEPT ? ret < 0 : call != SOCKET_CONNECT && call != SOCKET_LISTEN)
		return 0;
	sk = tcp_in(sock_of_fd(call == SOCKET_ACCEPT ? ret : socket_argument(regs, 0)));
	if (!sk)
		return 0;
	if (call == SOCKET_ACCEPT)
		on_accepted(sk);
	else if (call == SOCKET_CONNECT)
		on_connect_returns(sk, regs, call_returned(ret));
	else
		on_listened(sk, ret);
	return 0;
}

#endif
