/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop: what is sent again, and resets. */
#ifndef EBTOOLS_TCPSNOOP_RETRANSMITS_H
#define EBTOOLS_TCPSNOOP_RETRANSMITS_H

#include "events.bpf.h"

static __always_inline enum retransmit retransmit_of(struct sock___part *sk)
{
	struct inet_connection_sock___part *connection = (void *)sk;
	__u32 state = tcp_state(sk);
	__u64 recovery;

	if (state == TCP_SYN_SENT)
		return RETRANSMIT_SYN;
	if (state == TCP_SYN_RECV)
		return RETRANSMIT_SYNACK;
	recovery = BPF_CORE_READ_BITFIELD_PROBED(connection, icsk_ca_state);
	if (recovery == TCP_CA_Recovery)
		return RETRANSMIT_FAST;
	if (recovery != TCP_CA_Loss &&
	    BPF_CORE_READ(connection, icsk_pending) == ICSK_TIME_LOSS_PROBE)
		return RETRANSMIT_TLP;
	return RETRANSMIT_RTO;
}

/* owner: the socket that has it. */
static __noinline int show_retransmit(struct sock___part *sk, __u64 owner, const struct fact *fact,
				      enum retransmit retransmit, __u32 segments)
{
	struct record *record = event_begin(sk, in_flight_find(&conns, owner), fact);

	if (!record)
		return 0;
	record->event.retransmit = retransmit;
	record->event.retransmits = segments;
	if (owner == (__u64)sk)
		record->event.rtt_us = rtt_us(sk);
	record_submit(record, 0);
	return 0;
}

SEC("tracepoint/tcp/tcp_retransmit_skb")
int on_retransmit(__u64 *ctx)
{
	struct fact fact = {.kind = KIND_RETRANSMIT, .result = OUTCOME_NONE};
	struct sock___part *sk = (void *)socket_of_segment(ctx);

	/* It could not be sent. */
	if (retransmit_error(ctx))
		return 0;
	read_ends(&fact.local, &fact.remote, sk);
	show_retransmit(sk, (__u64)sk, &fact, retransmit_of(sk),
			segments_of((void *)segment_of(ctx)));
	return 0;
}

/* Of a request, which has nothing but what sockets have in common. It belongs to who listens. */
SEC("tracepoint/tcp/tcp_retransmit_synack")
int on_retransmit_synack(__u64 *ctx)
{
	struct fact fact = {.kind = KIND_RETRANSMIT, .result = OUTCOME_NONE};
	struct sock___part *request = (void *)request_of(ctx);

	read_ends(&fact.local, &fact.remote, request);
	fact.local.port = BPF_CORE_READ(request, __sk_common.skc_num);
	show_retransmit(request, socket_of_request(ctx), &fact, RETRANSMIT_SYNACK, 1);
	return 0;
}

static __noinline int show_reset(struct sock___part *sk, const struct fact *fact, enum side by,
				 __u32 reason)
{
	struct conn *conn = sk ? in_flight_find(&conns, (__u64)sk) : NULL;
	struct record *record = event_begin(sk, conn, fact);

	if (!record)
		return 0;
	record->event.reset_by = by;
	record->event.reset_reason = reason;
	record_submit(record, 0);
	return 0;
}

/* Where there is a socket: some are sent for segments of none. */
SEC("tracepoint/tcp/tcp_send_reset")
int on_reset_sent(__u64 *ctx)
{
	struct fact fact = {.kind = KIND_RESET, .result = OUTCOME_NONE};
	struct sock___part *sk = (void *)socket_of_segment(ctx);
	struct sk_buff___part *skb = (void *)segment_of(ctx);

	if (skb)
		read_ends_of(&fact.local, &fact.remote, skb);
	else if (sk)
		read_ends(&fact.local, &fact.remote, sk);
	show_reset(sk, &fact, SIDE_LOCAL, reset_reason(ctx));
	return 0;
}

SEC("tracepoint/tcp/tcp_receive_reset")
int on_reset_received(__u64 *ctx)
{
	struct fact fact = {.kind = KIND_RESET, .result = OUTCOME_NONE};
	struct sock___part *sk = (void *)socket_reset(ctx);

	read_ends(&fact.local, &fact.remote, sk);
	show_reset(sk, &fact, SIDE_REMOTE, 0);
	return 0;
}

#endif
