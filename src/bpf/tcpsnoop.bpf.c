// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tcpsnoop: connections of TCP, whose they are, and how they went. */
#include "tcp.bpf.h"

#define TAIL_MAX 8 /* there is none */

enum kind {
	KIND_CONNECT,
	KIND_ACCEPT,
	KIND_CLOSE,
	KIND_LISTEN,
	KIND_RETRANSMIT,
	KIND_RESET,
	KIND_STATE,
};

/* What came of it, where it is not the number of an error. */
enum outcome {
	OUTCOME_OK = 0,
	OUTCOME_NONE = 1 << 16, /* nothing comes of it */
	OUTCOME_CLOSED, /* the program has closed the socket */
	OUTCOME_FAILED, /* nothing says why */
	OUTCOME_RESET, /* by this host */
};

enum retransmit {
	RETRANSMIT_NONE,
	RETRANSMIT_SYN,
	RETRANSMIT_SYNACK,
	RETRANSMIT_FAST, /* the other end has got what was sent later */
	RETRANSMIT_RTO, /* after a time without an answer, and what follows from that */
	RETRANSMIT_TLP, /* a probe before that time */
};

enum side {
	SIDE_NONE,
	SIDE_LOCAL,
	SIDE_REMOTE,
};

/* Where --port, --lport and --rport look for a port. */
enum port_at {
	PORT_AT_EITHER,
	PORT_AT_LOCAL,
	PORT_AT_REMOTE,
};

/* Of times, 0 is none. */
struct event {
	struct event_header header; /* of the owner; all 0 but the time where nobody knows it */
	__u64 latency_ns;
	__u64 handshake_ns;
	__u64 accept_wait_ns;
	__u64 duration_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 bytes_retransmitted;
	__u64 socket; /* address of the struct sock */
	__u32 retransmits; /* segments: of a connection, or of this time */
	__u32 rtt_us;
	__u32 netns;
	__u32 backlog;
	__u32 result; /* errno, or enum outcome */
	__u32 reset_reason; /* of the kernel; 0: it is not known */
	struct end local;
	struct end remote;
	__u8 kind; /* enum kind */
	__u8 state_before; /* of TCP */
	__u8 state;
	__u8 retransmit; /* enum retransmit */
	__u8 reset_by; /* enum side */
	__u8 has_owner;
	__u8 before_start;
	__u8 reserved;
};

#include "event.bpf.h"

struct end *export_end;
enum kind *export_kind;
enum outcome *export_outcome;
enum retransmit *export_retransmit;
enum side *export_side;
enum port_at *export_port_at;

#include "tcpsnoop/calls.bpf.h"
#include "tcpsnoop/retransmits.bpf.h"
#include "tcpsnoop/rtt.bpf.h"
#include "tcpsnoop/states.bpf.h"

enum rtt_by *export_rtt_by;
struct rtt_ends *export_rtt_ends;
struct rtt_key *export_rtt_key;
struct rtt_value *export_rtt_value;

/* Sockets that were there before: of processes that have one together, the first one's. */
SEC("iter/task_file")
int on_file(struct bpf_iter__task_file *ctx)
{
	struct conn conn = {.before_start = 1};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock___part *sk;
	__u64 key;
	__u8 state;

	if (!task || !file)
		return 0;
	sk = tcp_in(sock_in(file));
	key = (__u64)sk;
	if (!sk || in_flight_find(&conns, key))
		return 0;
	state = tcp_state(sk);
	own(&conn, task);
	if (state == TCP_CLOSE || (only_wanted && !conn.owner.wanted))
		return 0;
	conn.is_connecting = state == TCP_SYN_SENT;
	conn.is_counted = conn.is_connecting && is_awaited(&conn, sk);
	if (!keep(key, &conn) && conn.is_counted)
		count_call(1);
	return 0;
}
