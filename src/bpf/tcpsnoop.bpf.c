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
#include "in_flight.bpf.h"
#include "packet.bpf.h"

#define CONNS_MAX 65536

struct end *export_end;
enum kind *export_kind;
enum outcome *export_outcome;
enum retransmit *export_retransmit;
enum side *export_side;
enum port_at *export_port_at;

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

/* linux/errno.h */
#define EPIPE 32
#define ECONNABORTED 103
#define ECONNRESET 104
#define EINPROGRESS 115

/* What is known of a socket from its connect, listen or first packet until it is gone. */
struct conn {
	struct owner owner; /* all 0: nobody has accepted it yet, or it is not known */
	__u64 connect_ns; /* since when it connects; 0: it does not, or did before the trace */
	__u64 established_ns;
	__u64 handshake_ns;
	__u64 accept_wait_ns;
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

/* --- What is wanted ---------------------------------------------------------------------- */

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

static __always_inline bool owner_wanted(const struct conn *conn)
{
	return conn && conn->has_owner ? conn->owner.wanted : !only_wanted;
}

static __always_inline bool fact_wanted(const struct conn *conn, const struct fact *fact)
{
	if (!is_kind_wanted(fact->kind) || !owner_wanted(conn))
		return false;
	if (only_failed && !is_failure(fact->result))
		return false;
	if (slower_ns && fact->latency_ns < slower_ns)
		return false;
	return ends_wanted(fact);
}

/* --- Events ------------------------------------------------------------------------------ */

static __always_inline void fill_event(struct event *event, const struct conn *conn,
				       const struct fact *fact)
{
	static const struct owner nobody;

	__builtin_memset(event, 0, sizeof(*event));
	if (conn) {
		fill_header_by(&event->header, &conn->owner);
		event->handshake_ns = conn->handshake_ns;
		event->accept_wait_ns = conn->accept_wait_ns;
		event->has_owner = conn->has_owner;
		event->before_start = conn->before_start;
	} else {
		fill_header_by(&event->header, &nobody);
	}
	event->kind = fact->kind;
	event->result = fact->result;
	event->latency_ns = fact->latency_ns;
	event->local = fact->local;
	event->remote = fact->remote;
}

/* A record for what is wanted; NULL where it is not, or is only counted. sk: NULL where there is none. */
static __noinline struct record *event_begin(struct sock___part *sk, const struct conn *conn,
					     const struct fact *fact)
{
	struct count_key key = {.kind = fact->kind};
	struct record *record;

	if (!fact_wanted(conn, fact))
		return NULL;
	if (settings.count_by) {
		if (conn)
			fill_task_key_by(&key.task, &conn->owner, settings.count_by);
		count_as(&key);
		return NULL;
	}
	record = scratch_claim();
	if (!record)
		return NULL;
	fill_event(&record->event, conn, fact);
	if (sk) {
		record->event.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
		record->event.state = tcp_state(sk);
		if (!conn)
			record->event.before_start = !has_overflowed;
	}
	return record;
}

/* --- What is known of sockets ------------------------------------------------------------- */

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

/* --- Changes of state --------------------------------------------------------------------- */

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
	struct record *record;

	read_ends(&fact.local, &fact.remote, sk);
	record = event_begin(sk, in_flight_find(&conns, key), &fact);
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
	if (is_kind_wanted(KIND_STATE))
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

/* --- System calls ------------------------------------------------------------------------ */

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
	enum socket_call call = socket_call_of(regs);
	long ret = syscall_ret(ctx);
	struct sock___part *sk;

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

/* --- What is sent again, and resets --------------------------------------------------------- */

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

/* --- What was there, and what goes -------------------------------------------------------- */

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
