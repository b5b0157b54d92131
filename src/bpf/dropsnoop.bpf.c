// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* dropsnoop: packets that the kernel drops, where and why. */
#define PACKET_OF_KERNEL
#include "packet.bpf.h"

/* Calls of the kernel that are shown at most, and those of the tracepoint, which are not. */
#define READ_LEN ((64 + 8) * sizeof(__u64))
#define TAIL_MAX READ_LEN
#define DEVICE_LEN 16 /* IFNAMSIZ */

/* What else is known: bits. */
enum known {
	KNOWN_IP = 1 << 0, /* there are addresses */
	KNOWN_UID = 1 << 1,
	KNOWN_TCP = 1 << 2, /* there are flags of TCP */
};

/* The header's task is who dropped it, if pid is not 0; its user and its cgroup are the socket's. */
struct event {
	struct event_header header;
	__u64 location;
	__u32 reason; /* enum skb_drop_reason; 0 where the kernel has none */
	__u32 len; /* from its IP header on, where there is one */
	__u32 segments; /* packets on the wire that it is */
	__u32 netns; /* 0 when not known */
	struct packet_key packet; /* port: the destination's */
	__u16 src_port;
	__u8 known; /* bits of enum known */
	__u8 tcp_flags;
	__u8 dev[DEVICE_LEN]; /* NUL-terminated; empty when not known */
	/* In the tail: addresses of the stack, if it is asked for. */
};

#include "event.bpf.h"
#include "stack.bpf.h"

enum known *export_known;
struct packet_key *export_packet_key;

/* What becomes of packets that are dropped for a reason. */
enum verdict {
	VERDICT_SHOWN,
	VERDICT_HIDDEN, /* nobody misses them: they are counted */
	VERDICT_UNWANTED,
};

enum verdict *export_verdict;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 512);
} verdicts SEC(".maps");

/* Those for reasons that are not among verdicts: enum verdict. */
const volatile __u8 other_verdict = VERDICT_SHOWN;
/* What is no packet of a network is shown too: messages between sockets of this machine. */
const volatile __u8 with_messages = 0;
/* Only in this network namespace; 0 is any. */
const volatile __u32 only_netns = 0;
/* Only packets of this type, in their order; 0 is any. */
const volatile __u16 only_ethertype = 0;
/* Only of this network interface; an empty name is any. */
const volatile __u8 only_dev[DEVICE_LEN] = {};

/* Where the count of interrupts is: is_undisturbed(). */
const volatile __u64 cpus = 0;
const volatile __u64 interrupts = 0;

/* Only what is read, and few names of types: as in tcfilter. */
#define FLAVOUR __attribute__((preserve_access_index, packed))

struct net_device___drop;

struct net___drop {
	struct ns_common ns;
	struct net_device___drop *loopback_dev;
} FLAVOUR;

struct net_device___drop {
	char name[DEVICE_LEN];
	struct {
		struct net___drop *net;
	} nd_net;
} FLAVOUR;

struct sock_common___drop {
	unsigned char skc_state;
	struct {
		struct net___drop *net;
	} skc_net;
	struct sock___drop *skc_listener;
} FLAVOUR;

struct sock___drop {
	struct sock_common___drop __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	struct {
		unsigned int val;
	} sk_uid;
} FLAVOUR;

struct sk_buff___drop {
	struct sock___drop *sk;
	struct net_device___drop *dev;
	unsigned int len;
	unsigned int tail;
	unsigned char *head;
	unsigned char *data;
	__be16 protocol;
	__u16 network_header;
	__u16 mac_header;
} FLAVOUR;

/* linux/tcp_states.h: those of small sockets, which have no user and no cgroup. */
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

#define NO_HEADER 0xffff /* mac_header that is not set */
#define ETHERTYPE_ALL bpf_htons(3)

/* A dropped packet, and what is known of whose it is. */
struct drop {
	struct sk_buff___drop *skb;
	__u64 location;
	__u32 reason;
	__u32 netns;
	struct net_device___drop *dev; /* NULL when not known */
	struct cgroup *cgroup;
	__u32 uid;
	__u8 has_uid;
	__u8 has_task; /* the current one drops it */
	__u8 reserved[2];
	struct packet packet;
};

/*
 * The number of a network namespace; 0 if it is none. What a packet has for its interface and its socket
 * is used for other things where it waits in a queue: an address that is none would show memory of others.
 */
static __always_inline __u32 netns_of(struct net___drop *net)
{
	if (!net || BPF_CORE_READ(net, loopback_dev, nd_net.net) != net)
		return 0;
	return BPF_CORE_READ(net, ns.inum);
}

static __always_inline void find_device(struct drop *drop)
{
	struct sk_buff___drop *skb = drop->skb;
	struct net_device___drop *dev = BPF_CORE_READ(skb, dev);

	drop->netns = netns_of(BPF_CORE_READ(dev, nd_net.net));
	drop->dev = drop->netns ? dev : NULL;
}

/* The socket that it was for, or is from. */
static __always_inline void find_socket(struct drop *drop, struct sock___drop *for_sk)
{
	struct sk_buff___drop *skb = drop->skb;
	struct sock___drop *sk = for_sk ?: BPF_CORE_READ(skb, sk);
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__u32 netns;

	if (state == TCP_NEW_SYN_RECV)
		sk = BPF_CORE_READ(sk, __sk_common.skc_listener);
	if (state == TCP_TIME_WAIT)
		return;
	netns = netns_of(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	if (!netns)
		return;
	if (!drop->netns)
		drop->netns = netns;
	drop->has_uid = 1;
	drop->uid = BPF_CORE_READ(sk, sk_uid.val);
	drop->cgroup = cgroup_in((void *)sk + bpf_core_field_offset(sk->sk_cgrp_data));
}

/* Who drops it, unless the kernel does that for whoever. */
static __always_inline void find_task(struct drop *drop)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	drop->has_task = is_undisturbed(task, cpus, interrupts) &&
			 !(BPF_CORE_READ(task, flags) & PF_KTHREAD);
	if (!drop->has_task || drop->has_uid)
		return;
	drop->has_uid = 1;
	drop->uid = uid_of(task);
	drop->cgroup = cgroup_of(task);
}

/* Its headers, as far as they are where one can read them. */
static __always_inline void read_dropped(struct drop *drop)
{
	struct sk_buff___drop *skb = drop->skb;
	struct packet *p = &drop->packet;
	void *head = BPF_CORE_READ(skb, head);
	__u16 network = BPF_CORE_READ(skb, network_header), mac = BPF_CORE_READ(skb, mac_header);
	__u8 version = 0;

	p->protocol = PROTOCOL_CUT;
	p->ethertype = BPF_CORE_READ(skb, protocol);
	p->end = head + BPF_CORE_READ(skb, tail);
	p->at = head + network;
	if (!p->ethertype || p->ethertype == ETHERTYPE_ALL) {
		/* A program has made the frame. */
		p->at = head + mac;
		if (mac && mac != NO_HEADER)
			read_packet(p);
		return;
	}
	bpf_probe_read_kernel(&version, sizeof(version), p->at);
	version >>= 4;
	/* Before it gets to a protocol of the network, that header may be not known yet. */
	if (!network || (p->ethertype == IPV4 && version != 4) ||
	    (p->ethertype == IPV6 && version != 6))
		return;
	read_tags(p);
}

static __always_inline bool dev_wanted(struct drop *drop)
{
	struct net_device___drop *dev = drop->dev;
	char name[DEVICE_LEN] = {};
	int i;

	if (!only_dev[0])
		return true;
	if (dev)
		BPF_CORE_READ_INTO(&name, dev, name);
	for (i = 0; i < DEVICE_LEN; i++) {
		if (name[i] != only_dev[i])
			return false;
		if (!name[i])
			break;
	}
	return true;
}

/* The filters of all tools: of tasks for who drops it, of users and cgroups for its socket. */
static __always_inline bool owner_wanted(struct drop *drop)
{
	bool of_tasks = settings.by_pid || settings.by_tid || settings.by_comm || settings.follow;

	if (settings.by_uid && !(drop->has_uid && in_wanted_uids(drop->uid)))
		return false;
	if (settings.by_cgroup && !(drop->cgroup && is_cgroup_wanted(drop->cgroup)))
		return false;
	if (!drop->has_task)
		return !of_tasks;
	return is_task_named(NULL, bpf_get_current_pid_tgid() >> 32);
}

static __always_inline bool drop_wanted(struct drop *drop)
{
	if (only_netns && drop->netns != only_netns)
		return false;
	if (only_ethertype && drop->packet.ethertype != only_ethertype)
		return false;
	if (packets.with_only && !(rules_matched(&drop->packet) & RULE_ONLY))
		return false;
	return dev_wanted(drop) && owner_wanted(drop);
}

static __always_inline enum verdict verdict_of(__u32 reason)
{
	__u8 *verdict = bpf_map_lookup_elem(&verdicts, &reason);

	return verdict ? *verdict : other_verdict;
}

static __always_inline void fill_owner_of(struct event_header *header, struct drop *drop)
{
	struct cgroup *cgroup = drop->cgroup;

	if (drop->has_task) {
		fill_header(header);
	} else {
		__builtin_memset(header, 0, sizeof(*header));
		header->time_ns = bpf_ktime_get_boot_ns();
	}
	header->uid = drop->has_uid ? drop->uid : 0;
	header->cgroup_id = cgroup ? BPF_CORE_READ(cgroup, kn, id) : 0;
}

/* Was its header of IP found? */
static __always_inline bool has_addresses(const struct packet *p)
{
	return is_ip(p) && p->protocol != PROTOCOL_CUT;
}

/* From the header of the network on, wherever the kernel was when it dropped it. */
static __always_inline __u32 len_of(struct drop *drop)
{
	struct sk_buff___drop *skb = drop->skb;
	void *head = BPF_CORE_READ(skb, head), *data = BPF_CORE_READ(skb, data);
	__u16 network = BPF_CORE_READ(skb, network_header);
	__u32 len = BPF_CORE_READ(skb, len);

	return has_addresses(&drop->packet) ? len + (data - head) - network : len;
}

static __always_inline void fill_drop(struct event *event, struct drop *drop)
{
	struct net_device___drop *dev = drop->dev;
	const struct packet *p = &drop->packet;

	event->location = drop->location;
	event->reason = drop->reason;
	event->netns = drop->netns;
	event->len = len_of(drop);
	event->segments = segments_of(drop->skb);
	__builtin_memset(&event->packet, 0, sizeof(event->packet));
	__builtin_memcpy(event->packet.src, p->src, 16);
	__builtin_memcpy(event->packet.dst, p->dst, 16);
	event->packet.ethertype = bpf_ntohs(p->ethertype);
	event->packet.protocol = p->protocol;
	event->packet.echo = p->echo;
	event->packet.port = p->dst_port;
	event->src_port = p->src_port;
	event->known = (has_addresses(p) ? KNOWN_IP : 0) | (drop->has_uid ? KNOWN_UID : 0);
	event->tcp_flags = 0;
	__builtin_memset(event->dev, 0, sizeof(event->dev));
	if (dev)
		BPF_CORE_READ_STR_INTO((char (*)[DEVICE_LEN])event->dev, dev, name);
}

/* They are behind its ports, up to which it has been read. */
static __always_inline void fill_tcp_flags(struct event *event, struct drop *drop)
{
	struct packet *p = &drop->packet;
	struct rest {
		__be32 seq, ack;
		__u8 offset, flags;
	} __attribute__((packed)) * rest;

	if (!is_ip(p) || p->protocol != IPPROTO_TCP || !p->dst_port)
		return;
	rest = TAKE(p, struct rest);
	if (!rest)
		return;
	event->tcp_flags = rest->flags;
	event->known |= KNOWN_TCP;
}

static __always_inline void show(__u64 *ctx, struct drop *drop)
{
	struct record *record = scratch_claim();
	__u64 stack = 0;

	if (!record)
		return;
	fill_owner_of(&record->event.header, drop);
	fill_drop(&record->event, drop);
	fill_tcp_flags(&record->event, drop);
	if (settings.collect & COLLECT_STACK)
		stack = read_stack(ctx, record->tail, READ_LEN, 0);
	record_submit(record, stack);
}

SEC("tracepoint/skb/kfree_skb")
int on_drop(__u64 *ctx)
{
	struct drop drop = {
		.skb = (void *)freed_skb(ctx),
		.location = freed_where(ctx),
		.reason = freed_why(ctx),
	};
	enum verdict verdict = verdict_of(drop.reason);

	if (verdict == VERDICT_UNWANTED)
		return 0;
	read_dropped(&drop);
	find_device(&drop);
	find_socket(&drop, (void *)freed_for(ctx));
	find_task(&drop);
	if (!drop_wanted(&drop))
		return 0;
	if (verdict == VERDICT_HIDDEN || (!drop.packet.ethertype && !with_messages))
		count_hidden();
	else if (!count_only())
		show(ctx, &drop);
	return 0;
}
