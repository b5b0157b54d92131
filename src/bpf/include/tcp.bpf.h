/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel knows of a connection of TCP: its ends, and what went by it. */
#ifndef EBTOOLS_TCP_H
#define EBTOOLS_TCP_H

#include "socket.bpf.h"
#include <bpf/bpf_endian.h>

/* net/sock.h: the other end has said that it has no more to send. */
#define SOCK_DONE (1 << 1)

/* net/inet_connection_sock.h: the timer that a probe comes from. */
#define ICSK_TIME_LOSS_PROBE 5

struct sk_buff___part {
	unsigned char *head;
	__u16 network_header;
	__u16 transport_header;
} FLAVOUR;

struct inet_sock___part {
	__be16 inet_sport;
} FLAVOUR;

struct inet_connection_sock___part {
	__u8 icsk_ca_state : 5;
	__u8 : 3;
	__u8 icsk_pending;
} FLAVOUR;

struct tcp_sock___part {
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u32 snd_una;
	__u32 write_seq;
	__u32 total_retrans;
	__u32 srtt_us; /* of 8 times that */
} FLAVOUR;

struct mptcp_sock___part {
	struct sock___part *first;
} FLAVOUR;

struct end {
	__u8 address[16]; /* one of IPv4 is in the first four */
	__u16 port;
	__u16 family; /* 4 or 6; 0: it is not known */
};

static __always_inline __u32 tcp_state(struct sock___part *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_state);
}

static __always_inline __u32 rtt_us(struct sock___part *sk)
{
	return BPF_CORE_READ((struct tcp_sock___part *)sk, srtt_us) >> 3;
}

/* That of TCP: for a socket of MPTCP, its first one. NULL for others. */
static __always_inline struct sock___part *tcp_in(struct sock___part *sk)
{
	__u16 protocol = sk ? BPF_CORE_READ(sk, sk_protocol) : 0;

	if (protocol == IPPROTO_TCP)
		return sk;
	if (protocol != IPPROTO_MPTCP || !bpf_core_field_exists(struct mptcp_sock___part, first))
		return NULL;
	return BPF_CORE_READ((struct mptcp_sock___part *)sk, first);
}

/* An address of IPv4 within one of IPv6 is one of IPv4. */
static __always_inline void set_address6(struct end *end, const __be32 words[4])
{
	end->family = words[0] || words[1] || words[2] != bpf_htonl(0xffff) ? 6 : 4;
	__builtin_memset(end->address, 0, sizeof(end->address));
	if (end->family == 4)
		__builtin_memcpy(end->address, &words[3], 4);
	else
		__builtin_memcpy(end->address, words, sizeof(end->address));
}

static __always_inline void read_address6(struct end *end, const void *address)
{
	__be32 words[4] = {};

	bpf_probe_read_kernel(words, sizeof(words), address);
	set_address6(end, words);
}

static __always_inline void set_address4(struct end *end, __be32 address)
{
	end->family = 4;
	__builtin_memset(end->address, 0, sizeof(end->address));
	__builtin_memcpy(end->address, &address, 4);
}

static __noinline int read_ends(struct end *local, struct end *remote, struct sock___part *sk)
{
	struct sock_common___part *common = &sk->__sk_common;

	local->port = bpf_ntohs(BPF_CORE_READ((struct inet_sock___part *)sk, inet_sport));
	remote->port = bpf_ntohs(BPF_CORE_READ(common, skc_dport));
	if (BPF_CORE_READ(common, skc_family) == AF_INET6) {
		read_address6(local, &common->skc_v6_rcv_saddr);
		read_address6(remote, &common->skc_v6_daddr);
	} else {
		set_address4(local, BPF_CORE_READ(common, skc_rcv_saddr));
		set_address4(remote, BPF_CORE_READ(common, skc_daddr));
	}
	return 0;
}

/*
 * The same of a connection's socket that a tracepoint gives: programs that are attached by BTF may read it
 * without a call for each member.
 */
static __always_inline void read_given_ends(struct end *local, struct end *remote,
					    struct sock___part *sk)
{
	struct sock_common___part *common = &sk->__sk_common;

	if (settings.perf_tracepoints) {
		read_ends(local, remote, sk);
		return;
	}
	local->port = common->skc_num;
	remote->port = bpf_ntohs(common->skc_dport);
	if (common->skc_family == AF_INET6) {
		struct in6_addr here = common->skc_v6_rcv_saddr, there = common->skc_v6_daddr;

		set_address6(local, here.in6_u.u6_addr32);
		set_address6(remote, there.in6_u.u6_addr32);
	} else {
		set_address4(local, common->skc_rcv_saddr);
		set_address4(remote, common->skc_daddr);
	}
}

/* Of what has come: the other end has sent it. */
static __always_inline void read_ends_of(struct end *local, struct end *remote,
					 struct sk_buff___part *skb)
{
	void *head = BPF_CORE_READ(skb, head);
	void *ip = head + BPF_CORE_READ(skb, network_header);
	struct tcphdr *tcp = head + BPF_CORE_READ(skb, transport_header);
	struct iphdr ip4 = {};
	__be16 ports[2] = {};

	bpf_probe_read_kernel(&ip4, sizeof(ip4), ip);
	bpf_probe_read_kernel(ports, sizeof(ports), tcp);
	remote->port = bpf_ntohs(ports[0]);
	local->port = bpf_ntohs(ports[1]);
	if (ip4.version == 4) {
		set_address4(remote, ip4.saddr);
		set_address4(local, ip4.daddr);
	} else {
		read_address6(remote, ip + offsetof(struct ipv6hdr, saddr));
		read_address6(local, ip + offsetof(struct ipv6hdr, daddr));
	}
}

/* What connect() needs of an address: sockaddr_in, and sockaddr_in6 without its scope. */
#define ADDRESS4_LEN 16
#define ADDRESS6_LEN 24

/* An address that a program has given to connect(), of that length; false where it is none of IP. */
static __always_inline bool read_address_of_user(struct end *end, const void *address, int len)
{
	struct {
		__u16 family;
		__be16 port;
		__be32 address4; /* of IPv6, its label */
		__u8 address6[16];
	} given = {};

	/* One of IPv4 is shorter, and there may be nothing behind it. */
	if (len < ADDRESS4_LEN || bpf_probe_read_user(&given, 8, address))
		return false;
	end->port = bpf_ntohs(given.port);
	if (given.family == AF_INET)
		set_address4(end, given.address4);
	else if (given.family == AF_INET6 && len >= ADDRESS6_LEN &&
		 !bpf_probe_read_user(&given.address6, 16, address + 8))
		read_address6(end, &given.address6);
	else
		return false;
	return true;
}

/* Its own end is the last thing that it sends. */
static __always_inline bool has_sent_end(__u32 state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK || state == TCP_TIME_WAIT;
}

/*
 * Of what the program sent, what the other end has acknowledged: the kernel counts the begin and the end
 * of the connection with it. Where nobody knows whether it has begun here, what was sent is known at least,
 * though what could not be sent at all is in that too. before: its state.
 */
static __always_inline __u64 bytes_sent(struct sock___part *sk, bool has_begun_here, __u32 before)
{
	struct tcp_sock___part *tcp = (void *)sk;
	bool is_end_known = BPF_CORE_READ(tcp, snd_una) == BPF_CORE_READ(tcp, write_seq);
	__u64 besides = has_begun_here + (has_sent_end(before) && is_end_known);
	__u64 known = BPF_CORE_READ(tcp, bytes_acked);
	__u64 sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);

	known = known > besides ? known - besides : 0;
	return known < sent ? known : sent;
}

/* What has come, in order: it has the end as one more byte. */
static __always_inline __u64 bytes_received(struct sock___part *sk)
{
	bool is_done = BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DONE;

	return BPF_CORE_READ((struct tcp_sock___part *)sk, bytes_received) - is_done;
}

#endif
