// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcfilter: counts the packets that an interface sends, whose they are, drops those that match, and
 * loses, delays or slows down others.
 */
#include "packet.bpf.h"
#include "owner.bpf.h"
#include "socket.bpf.h"
#include "tables.bpf.h"

#define ENTRIES_MAX 16384
#define OWNERS_MAX 65536
/* Headers that are looked at: Ethernet, two VLANs, IPv6 with extensions, ports. */
#define HEADERS_LEN 128
#define QUEUES_MAX 256

/* linux/if_arp.h: interfaces whose packets begin with an Ethernet header. */
#define ARPHRD_ETHER 1
#define ARPHRD_LOOPBACK 772

#define NS_PER_S 1000000000ULL
#define HORIZON_NS (10 * NS_PER_S) /* fq lets no packet wait for longer */

/* Sent there, a packet is lost, and nobody is told: of a drop the sender's TCP would know. */
#define NO_INTERFACE 0x7fffffff

struct Qdisc_ops___tc {
	char id[16];
} FLAVOUR;

struct Qdisc___tc {
	const struct Qdisc_ops___tc *ops;
	struct gnet_stats_queue qstats;
} FLAVOUR;

struct netdev_queue___tc {
	struct Qdisc___tc *qdisc;
} FLAVOUR;

struct net_device___tc {
	struct netdev_queue___tc *_tx;
	unsigned int real_num_tx_queues;
	int ifindex;
	unsigned short type;
	struct {
		struct net___part *net;
	} nd_net;
} FLAVOUR;

struct tcp_sock___tc {
	bool is_mptcp;
} FLAVOUR;

struct inet_connection_sock___tc {
	void *icsk_ulp_data;
} FLAVOUR;

struct mptcp_subflow_context___tc {
	struct sock___part *conn;
} FLAVOUR;

struct sk_buff___tc {
	struct sock___part *sk;
	struct net_device___tc *dev;
	unsigned char *head;
	unsigned char *data;
	__u16 network_header;
} FLAVOUR;

/* What becomes of a packet. */
enum action {
	ACTION_PASS,
	ACTION_DROP, /* a rule says so */
	ACTION_LOSE, /* chance did */
	ACTION_DELAY,
	ACTION_OVERRUN, /* too many wait for their turn */
};

/* What TCX programs return. */
enum verdict {
	VERDICT_NEXT = -1, /* to the next program */
	VERDICT_DROP = 2,
};

/* What cgroup programs return. */
enum permission {
	PERMISSION_DENIED,
	PERMISSION_GRANTED,
};

TABLES(packet_table, struct owned_key, struct packet_value, ENTRIES_MAX);

/* What the interface is, as on_look() found it. */
struct interface {
	__u64 netns; /* the number of its network namespace */
	__u64 until_ns; /* when faults end: CLOCK_MONOTONIC */
	__u64 dropped; /* by its queues, since it is there */
	__u32 index;
	__u8 has_ethernet;
	__u8 has_fq; /* all its queues let packets wait for their time */
	__u8 reserved[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct interface);
	__uint(max_entries, 1);
} interfaces SEC(".maps");

/* When the next packet may go, of those that --rate slows down. */
struct turn {
	struct bpf_spin_lock lock;
	__u32 reserved;
	__u64 next_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct turn);
	__uint(max_entries, 1);
} turns SEC(".maps");

/* Whose sockets are, by the address of struct sock; those that were not used for long go. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u64);
	__type(value, struct owner);
	__uint(max_entries, OWNERS_MAX);
} owners SEC(".maps");

struct interface *export_interface;
enum action *export_action;

/* Owners are known. */
/* What of the owners packets are counted by: bits of enum count_by. */
const volatile __u32 owners_by = 0;
const volatile __u8 with_owners = 0;
/* Only packets of wanted owners. */
const volatile __u8 only_wanted = 0;
/* TCP packets from and to this port pass; 0 for none. */
const volatile __u16 spared_port = 0;
/* Of 2^32 packets so many are lost. */
const volatile __u64 lose = 0;
const volatile __u64 delay_ns = 0;
/* Bytes a second; 0 for any number. */
const volatile __u64 rate = 0;
/* The longest that a packet waits for its turn. */
const volatile __u64 wait_ns = 0;
/* How long faults last. */
const volatile __u64 for_ns = 0;

static __always_inline struct interface *the_interface(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&interfaces, &zero);
}

static __always_inline struct sock___part *sock_of(struct __sk_buff *skb)
{
	return BPF_CORE_READ((struct sk_buff___tc *)(void *)number_of(skb), sk);
}

/* linux/tcp_states.h: a request for a connection, which belongs to whoever listens. */
#define TCP_NEW_SYN_RECV 12

/* Whose part a socket of TCP is: of a listening one, or of one of MPTCP, which has several. */
static __always_inline struct sock___part *whole_of(struct sock___part *sk)
{
	struct mptcp_subflow_context___tc *part;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_NEW_SYN_RECV)
		return BPF_CORE_READ(sk, __sk_common.skc_listener);
	if (!bpf_core_field_exists(struct tcp_sock___tc, is_mptcp) ||
	    !bpf_core_type_exists(struct mptcp_subflow_context___tc) ||
	    !BPF_CORE_READ((struct tcp_sock___tc *)sk, is_mptcp))
		return NULL;
	part = BPF_CORE_READ((struct inet_connection_sock___tc *)sk, icsk_ulp_data);
	return BPF_CORE_READ(part, conn);
}

static __always_inline struct owner *owner_of(struct sock___part *sk, bool is_tcp)
{
	__u64 key = (__u64)sk;
	struct owner *owner;

	if (!key)
		return NULL;
	owner = bpf_map_lookup_elem(&owners, &key);
	if (owner || !is_tcp)
		return owner;
	key = (__u64)whole_of(sk);
	return bpf_map_lookup_elem(&owners, &key);
}

static __always_inline void own(__u64 key, struct task_struct *task)
{
	struct owner owner;

	fill_owner(&owner, task);
	if (bpf_map_update_elem(&owners, &key, &owner, BPF_ANY))
		count_lost(LOST_MAP_FULL);
}

/* Attached to the root of cgroup v2: the current task makes a socket. */
SEC("cgroup/sock_create")
int on_socket(struct bpf_sock *ctx)
{
	own(number_of(ctx), (void *)bpf_get_current_task());
	return PERMISSION_GRANTED;
}

#define IPPROTO_MPTCP 262

/* Those of TCP send for a while still: on_destroy. */
SEC("cgroup/sock_release")
int on_release(struct bpf_sock *ctx)
{
	__u64 key = number_of(ctx);

	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_MPTCP)
		bpf_map_delete_elem(&owners, &key);
	return PERMISSION_GRANTED;
}

/* All system calls end here: the current task has accepted a connection, whenever the call began. */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_accept(__u64 *ctx)
{
	long fd = syscall_ret(ctx);
	struct sock___part *sk;

	if (fd < 0 || socket_call_of(syscall_regs(ctx)) != SOCKET_ACCEPT)
		return 0;
	sk = sock_of_fd(fd);
	if (sk)
		own((__u64)sk, (void *)bpf_get_current_task());
	return 0;
}

/* Another one may be at its address soon. */
SEC("tracepoint/tcp/tcp_destroy_sock")
int on_destroy(__u64 *ctx)
{
	__u64 key = socket_destroyed(ctx);

	bpf_map_delete_elem(&owners, &key);
	return 0;
}

/* Sockets that were there before: of processes that have one together, the last one's. */
SEC("iter/task_file")
int on_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock___part *sk;

	if (!task || !file)
		return 0;
	sk = sock_in(file);
	if (sk)
		own((__u64)sk, task);
	return 0;
}

static __always_inline void count(const struct packet *p, enum action action,
				  const struct owner *owner, __u64 number, __u64 bytes)
{
	struct packet_value none = {}, *value;
	struct owned_key key = {};

	key.packet.action = action;
	fill_packet_key(&key.packet, p);
	if (owner)
		fill_task_key_by(&key.task, owner, owners_by);
	value = table_entry_for(&packet_table, &key, &none, number);
	if (!value)
		return;
	/* What a process sends may be interrupted by what the network answers. */
	__sync_fetch_and_add(&value->packets, number);
	__sync_fetch_and_add(&value->bytes, bytes);
	count_all_submitted(number);
}

/* Nobody is to lock oneself out. */
static __always_inline bool is_spared(const struct packet *p)
{
	bool is_unknown = !p->src_port && !p->dst_port; /* of a fragment that is not the first */

	return spared_port && p->protocol == IPPROTO_TCP &&
	       (is_unknown || p->src_port == spared_port || p->dst_port == spared_port);
}

/* When a packet of so many bytes may go, of those that come after each other at the rate. */
static __always_inline __u64 turn_of(__u64 now, __u64 bytes)
{
	__u64 takes = bytes * NS_PER_S / rate, at;
	__u32 zero = 0;
	struct turn *turn = bpf_map_lookup_elem(&turns, &zero);

	if (!turn)
		return now;
	bpf_spin_lock(&turn->lock);
	at = turn->next_ns > now ? turn->next_ns : now;
	if (at - now <= wait_ns)
		turn->next_ns = at + takes;
	bpf_spin_unlock(&turn->lock);
	return at;
}

/* --lose, --delay, --rate: as long as they last. */
static __always_inline enum action spoil(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns(), at = now;
	struct interface *interface = the_interface();

	if (!for_ns || !interface || now >= interface->until_ns)
		return ACTION_PASS;
	if (lose && bpf_get_prandom_u32() < lose)
		return ACTION_LOSE;
	if (rate)
		at = turn_of(now, skb->wire_len);
	if (at - now > wait_ns && rate)
		return ACTION_OVERRUN;
	at += delay_ns;
	if (at == now)
		return ACTION_PASS;
	/* TCP may have set a later time itself; what is far from it is of another clock. */
	if (skb->tstamp > now && skb->tstamp - now < HORIZON_NS)
		at += skb->tstamp - now;
	/* Not of ARP, for one: the kernel lets packets of IP alone wait. */
	return bpf_skb_set_tstamp(skb, at, BPF_SKB_TSTAMP_DELIVERY_MONO) ? ACTION_PASS
									 : ACTION_DELAY;
}

/* Is it one that is looked at? Its owner, where that is known. */
static __always_inline bool packet_wanted(struct __sk_buff *skb, const struct packet *p,
					  __u8 matched, struct owner **owner)
{
	*owner = with_owners ? owner_of(sock_of(skb), p->protocol == IPPROTO_TCP) : NULL;
	if (only_wanted && (!*owner || !(*owner)->wanted))
		return false;
	return !packets.with_only || matched & RULE_ONLY;
}

/*
 * A packet that is made of many is many. A guest's does not say of how many; but its headers are in the
 * bytes that often. They are shorter than what each carries, so that the number is this or one less.
 */
static __always_inline __u64 number_of_packets(struct __sk_buff *skb, __u64 bytes)
{
	__u64 size = skb->gso_size, len = skb->len, number = skb->gso_segs, headers;

	if (number || !size)
		return number ?: 1;
	number = (len - 1) / size + 1;
	if (number < 3 || bytes <= len)
		return number ?: 1;
	headers = (bytes - len) / (number - 2);
	return (len - headers - 1) / size + 1 < number ? number - 1 : number;
}

/* A member that is read at this moment, by an instruction that the verifier takes. */
#define SKB(skb, member) CONTEXT(skb, u32, offsetof(struct __sk_buff, member))

/* Where the packet of IP begins, of an interface whose own header is another one, or none. */
static __always_inline __u64 network_offset(struct __sk_buff *skb)
{
	struct sk_buff___tc *packet = (void *)number_of(skb);
	__u64 before = BPF_CORE_READ(packet, data) - BPF_CORE_READ(packet, head);

	return (BPF_CORE_READ(packet, network_header) - before) & (HEADERS_LEN - 1);
}

static __always_inline void read_linear(struct __sk_buff *skb, struct packet *p)
{
	struct interface *interface = the_interface();

	__builtin_memset(p, 0, sizeof(*p));
	p->protocol = PROTOCOL_CUT;
	p->at = (void *)SKB(skb, data);
	p->end = (void *)SKB(skb, data_end);
	if (interface && interface->has_ethernet) {
		read_packet(p);
	} else {
		p->at += network_offset(skb);
		p->ethertype = SKB(skb, protocol);
		read_ip(p);
	}
}

/* Some of the headers may be where programs cannot see them; to get them costs a copy. */
static __always_inline void read_sent(struct __sk_buff *skb, struct packet *p)
{
	__u32 len = SKB(skb, len), most = len < HEADERS_LEN ? len : HEADERS_LEN;

	read_linear(skb, p);
	if (!p->is_cut || SKB(skb, data_end) - SKB(skb, data) >= most)
		return;
	bpf_skb_pull_data(skb, most);
	read_linear(skb, p);
}

static __always_inline int verdict_of(enum action action)
{
	switch (action) {
	case ACTION_DROP:
		return VERDICT_DROP;
	case ACTION_LOSE:
	case ACTION_OVERRUN:
		return bpf_redirect(NO_INTERFACE, 0);
	default:
		return VERDICT_NEXT;
	}
}

SEC("tcx/egress")
int on_packet(struct __sk_buff *skb)
{
	enum action action = ACTION_PASS;
	struct owner *owner;
	struct packet p;
	__u8 matched;

	read_sent(skb, &p);
	matched = rules_matched(&p);
	if (!packet_wanted(skb, &p, matched, &owner))
		return VERDICT_NEXT;
	if (!is_spared(&p))
		action = matched & RULE_DROP ? ACTION_DROP : spoil(skb);
	count(&p, action, owner, number_of_packets(skb, skb->wire_len), skb->wire_len);
	return verdict_of(action);
}

/* The interface's, and not one of the same number in another network namespace? */
static __always_inline bool is_sent_there(struct __sk_buff *skb)
{
	struct sk_buff___tc *packet = (void *)number_of(skb);
	struct interface *interface = the_interface();

	if (!interface || skb->ifindex != interface->index)
		return false;
	return BPF_CORE_READ(packet, dev, nd_net.net, ns.inum) == interface->netns;
}

/* Before Linux 6.6: what sockets send, from the header of IP on. */
SEC("cgroup_skb/egress")
int on_packet_of_socket(struct __sk_buff *skb)
{
	struct packet p = {
		.at = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.ethertype = skb->protocol,
		.protocol = PROTOCOL_CUT,
	};
	enum action action = ACTION_PASS;
	struct owner *owner;
	__u8 matched;

	if (!is_sent_there(skb))
		return PERMISSION_GRANTED;
	read_ip(&p);
	matched = rules_matched(&p);
	if (!packet_wanted(skb, &p, matched, &owner))
		return PERMISSION_GRANTED;
	if (matched & RULE_DROP && !is_spared(&p))
		action = ACTION_DROP;
	count(&p, action, owner, number_of_packets(skb, 0), skb->len);
	return action == ACTION_PASS ? PERMISSION_GRANTED : PERMISSION_DENIED;
}

static __always_inline bool is_fq(struct Qdisc___tc *qdisc)
{
	char id[3] = {};

	BPF_CORE_READ_STR_INTO(&id, qdisc, ops, id);
	return id[0] == 'f' && id[1] == 'q' && !id[2];
}

/* Run by the tracer with the interface's number: at first, when faults begin, and at the end. */
SEC("tc")
int on_look(struct __sk_buff *skb)
{
	struct sk_buff___tc *packet = (void *)number_of(skb);
	struct net_device___tc *device = BPF_CORE_READ(packet, dev);
	struct interface *interface = the_interface();
	struct netdev_queue___tc *queues = BPF_CORE_READ(device, _tx);
	__u32 count = BPF_CORE_READ(device, real_num_tx_queues), i;
	__u16 type = BPF_CORE_READ(device, type);

	if (!interface)
		return 0;
	interface->index = BPF_CORE_READ(device, ifindex);
	interface->netns = BPF_CORE_READ(device, nd_net.net, ns.inum);
	interface->has_ethernet = type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK;
	/* The tracer says so. */
	if (skb->mark)
		interface->until_ns = bpf_ktime_get_ns() + for_ns;
	interface->has_fq = 1;
	interface->dropped = 0;
	for (i = 0; i < QUEUES_MAX && i < count; i++) {
		void *queue = (void *)queues + i * bpf_core_type_size(struct netdev_queue___tc);
		struct Qdisc___tc *qdisc = BPF_CORE_READ((struct netdev_queue___tc *)queue, qdisc);

		interface->has_fq &= is_fq(qdisc);
		interface->dropped += BPF_CORE_READ(qdisc, qstats.drops);
	}
	return 0;
}
