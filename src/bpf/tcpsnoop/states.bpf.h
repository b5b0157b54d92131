/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop: what changes of a socket's state tell. */
#ifndef EBTOOLS_TCPSNOOP_STATES_H
#define EBTOOLS_TCPSNOOP_STATES_H

#include "events.bpf.h"

/* linux/errno.h */
#define EPIPE 32
#define ECONNABORTED 103
#define ECONNRESET 104

static __noinline int show_connect(struct sock___part *sk, struct conn *conn, __u32 result)
{
	struct fact fact = {.kind = KIND_CONNECT, .result = result};
	struct record *record;

	if (conn) {
		uncount(conn);
		if (conn->connect_ns)
			fact.latency_ns = bpf_ktime_get_boot_ns() - conn->connect_ns;
		conn->connect_ns = 0;
		conn->handshake_ns = result ? 0 : fact.latency_ns;
		conn->came = result;
	}
	read_ends(&fact.local, &fact.remote, sk);
	record = event_begin(sk, conn, &fact);
	if (!record)
		return 0;
	record->event.rtt_us = rtt_us(sk);
	record_submit(record, 0);
	return 0;
}

static __always_inline void on_established(struct sock___part *sk, __u64 key, __u32 before)
{
	struct conn none = {.before_start = !has_overflowed}, *conn = in_flight_find(&conns, key);

	if (before == TCP_SYN_SENT || (conn && conn->is_connecting))
		show_connect(sk, conn, OUTCOME_OK);
	/* Of those without owners at least the time is known. */
	if (!conn && !only_wanted && !keep(key, &none))
		conn = in_flight_find(&conns, key);
	if (conn)
		conn->established_ns = bpf_ktime_get_boot_ns();
}

/* Does it end by the call that asked for it? What that returns says why it has failed. */
static __always_inline bool is_in_its_call(const struct conn *conn)
{
	return conn->is_in_call && conn->owner.tid == (__u32)bpf_get_current_pid_tgid();
}

static __always_inline void on_not_connected(struct sock___part *sk, struct conn *conn)
{
	__u32 error = BPF_CORE_READ(sk, sk_err);

	if (error)
		show_connect(sk, conn, error);
	else if (BPF_CORE_READ(sk, sk_shutdown))
		show_connect(sk, conn, OUTCOME_CLOSED);
	else if (!conn || !is_connect_call())
		show_connect(sk, conn, OUTCOME_FAILED);
	else if (!is_in_its_call(conn)) /* A later one, of AF_UNSPEC, which takes it back. */
		show_connect(sk, conn, OUTCOME_CLOSED);
}

/* Of one that a socket has left for another one, nobody knows when: the ends are those of that one. */
static __always_inline void on_connect_again(struct sock___part *sk)
{
	struct conn *conn = in_flight_find(&conns, (__u64)sk);

	if (conn && conn->is_connecting)
		show_connect(sk, conn, OUTCOME_FAILED);
}

/* Both ends have said that they have no more to send, or one of them did not wait for that. */
static __always_inline __u32 outcome_of(__u32 error, __u32 before)
{
	if (error)
		return error;
	return before == TCP_FIN_WAIT2 || before == TCP_TIME_WAIT || before == TCP_CLOSING ||
			       before == TCP_LAST_ACK
		       ? OUTCOME_OK
		       : OUTCOME_RESET;
}

static __always_inline enum side reset_by(__u32 result)
{
	return result == OUTCOME_RESET || result == ECONNABORTED ? SIDE_LOCAL
	       : result == ECONNRESET || result == EPIPE	 ? SIDE_REMOTE
								 : SIDE_NONE;
}

static __always_inline void fill_bytes(struct event *event, struct sock___part *sk,
				       const struct conn *conn, __u32 before)
{
	struct tcp_sock___part *tcp = (void *)sk;

	event->bytes_sent = bytes_sent(sk, conn && conn->handshake_ns, before);
	event->bytes_received = bytes_received(sk);
	event->bytes_retransmitted = BPF_CORE_READ(tcp, bytes_retrans);
	event->retransmits = BPF_CORE_READ(tcp, total_retrans);
	event->rtt_us = rtt_us(sk);
}

static __noinline int show_close(struct sock___part *sk, struct conn *conn, __u32 result,
				 __u32 before, __u64 now)
{
	struct fact fact = {.kind = KIND_CLOSE, .result = result};
	struct record *record;

	read_ends(&fact.local, &fact.remote, sk);
	record = event_begin(sk, conn, &fact);
	if (!record)
		return 0;
	if (conn && conn->established_ns)
		record->event.duration_ns = now - conn->established_ns;
	record->event.reset_by = reset_by(result);
	fill_bytes(&record->event, sk, conn, before);
	record_submit(record, 0);
	return 0;
}

static __always_inline void on_closed(struct sock___part *sk, struct conn *conn, __u32 before)
{
	__u32 result = outcome_of(BPF_CORE_READ(sk, sk_err), before);
	__u64 now = bpf_ktime_get_boot_ns();

	/* A request that came to nothing. */
	if (conn && before == TCP_SYN_RECV && !conn->has_owner)
		return;
	/* It may be accepted all the same. */
	if (conn && !conn->has_owner && only_wanted) {
		conn->closed_ns = now;
		conn->came = result;
		return;
	}
	show_close(sk, conn, result, before, now);
}

static __noinline int show_state(struct sock___part *sk, __u64 key, __u32 before, __u32 state)
{
	struct fact fact = {.kind = KIND_STATE, .result = OUTCOME_NONE};
	struct conn *conn = in_flight_find(&conns, key);
	__u64 now = bpf_ktime_get_boot_ns();
	struct record *record;

	if (conn) {
		if (conn->state_ns)
			fact.latency_ns = now - conn->state_ns;
		conn->state_ns = now;
	}
	read_ends(&fact.local, &fact.remote, sk);
	record = event_begin(sk, conn, &fact);
	if (!record)
		return 0;
	record->event.state_before = before;
	record->event.state = state;
	record_submit(record, 0);
	return 0;
}

/* Whoever runs: the one that connects or listens, for other changes whoever was interrupted. */
SEC("tracepoint/sock/inet_sock_set_state")
int on_state(__u64 *ctx)
{
	__u64 key = socket_of_state(ctx);
	struct sock___part *sk = (void *)key;
	__u32 before = state_before(ctx), state = state_behind(ctx);
	struct conn *conn;

	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (state == TCP_SYN_SENT) {
		on_connect_again(sk);
		begin_connect(sk);
	} else if (state == TCP_LISTEN)
		begin_listen(key);
	else if (before == TCP_LISTEN && state == TCP_SYN_RECV)
		begin_passive(key);
	/* The kernel sets it anew by a close() after a shutdown(). */
	if (is_kind_wanted(KIND_STATE) && before != state)
		show_state(sk, key, before, state);
	if (state == TCP_ESTABLISHED)
		on_established(sk, key, before);
	if (state != TCP_CLOSE || before == TCP_LISTEN)
		return 0;
	conn = in_flight_find(&conns, key);
	if (before == TCP_SYN_SENT || (conn && conn->is_connecting))
		on_not_connected(sk, conn);
	else
		on_closed(sk, conn, before);
	return 0;
}

/* Another one may be at its address soon. */
SEC("tracepoint/tcp/tcp_destroy_sock")
int on_destroy(__u64 *ctx)
{
	__u64 key = socket_destroyed(ctx);
	struct conn *conn = in_flight_find(&conns, key);

	/* Nothing has said what came of it. */
	if (conn && conn->is_connecting)
		show_connect((void *)key, conn, OUTCOME_FAILED);
	forget(key);
	return 0;
}

#endif
