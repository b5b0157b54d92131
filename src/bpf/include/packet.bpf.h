/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a packet is, and which rules it matches: of tools that see packets. */
#ifndef EBTOOLS_PACKET_H
#define EBTOOLS_PACKET_H

#include "ebtools.bpf.h"
#include <bpf/bpf_endian.h>

#define VLANS_MAX 2
#define EXTENSIONS_MAX 6

/* linux/if_ether.h; in the packet's byte order. */
#define IPV4 bpf_htons(0x0800)
#define IPV6 bpf_htons(0x86dd)
#define ETHERTYPE_ARP 0x0806
#define VLAN bpf_htons(0x8100)
#define VLAN_OUTER bpf_htons(0x88a8)

/* linux/in6.h, linux/icmpv6.h */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH 51
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_MH 135

/* ICMP and ICMPv6: type of an echo. */
#define ECHO_REQUEST 8
#define ECHO_REPLY 0
#define ECHO6_REQUEST 128
#define ECHO6_REPLY 129

/* What rules say of a network's packets, or a port's: bits of enum rule. */
struct networks {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct network);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
} rules_of_src SEC(".maps"), rules_of_dst SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u16);
	__type(value, __u8);
	__uint(max_entries, 1024);
} rules_of_ports SEC(".maps");

/* A section of its own, as for the settings of all tools. */
const volatile struct packet_settings packets SEC(".rodata.packets") = {};

/* What is known of a packet. */
struct packet {
	void *at;
	void *end;
	__u8 src[16];
	__u8 dst[16];
	__u16 ethertype; /* the packet's order */
	__u16 src_port; /* host order */
	__u16 dst_port;
	__u8 protocol;
	__u8 echo;
	__u8 is_cut; /* 1: there may be more of it than was seen */
	__u8 reserved[7];
#ifdef PACKET_OF_KERNEL
	__u8 room[40]; /* for one header: that of IPv6 is the longest */
#endif
};

struct sk_buff___segments {
	unsigned int end;
	unsigned char *head;
} __attribute__((preserve_access_index, packed));

struct skb_shared_info___segments {
	unsigned short gso_segs;
} __attribute__((preserve_access_index, packed));

/* How many packets on the wire a struct sk_buff is. */
static __always_inline __u32 segments_of(const void *skb)
{
	const struct sk_buff___segments *of = skb;
	struct skb_shared_info___segments *shared =
		(void *)BPF_CORE_READ(of, head) + BPF_CORE_READ(of, end);

	return BPF_CORE_READ(shared, gso_segs) ?: 1;
}

static __always_inline bool is_ip(const struct packet *p)
{
	return p->ethertype == IPV4 || p->ethertype == IPV6;
}

/*
 * The next header; NULL where the packet has no more. With PACKET_OF_KERNEL the packet is in memory that
 * the kernel does not give to programs, and each header is copied to where the last one was.
 */
#ifdef PACKET_OF_KERNEL
#define TAKE(p, type)                                                                              \
	({                                                                                         \
		type *taken_ = (void *)(p)->room;                                                  \
		if ((p)->at + sizeof(type) > (p)->end ||                                           \
		    bpf_probe_read_kernel(taken_, sizeof(type), (p)->at)) {                        \
			taken_ = NULL;                                                             \
			(p)->is_cut = 1;                                                           \
		} else {                                                                           \
			(p)->at += sizeof(type);                                                   \
		}                                                                                  \
		taken_;                                                                            \
	})
#else
#define TAKE(p, type)                                                                              \
	({                                                                                         \
		type *taken_ = (p)->at;                                                            \
		if ((void *)(taken_ + 1) > (p)->end) {                                             \
			taken_ = NULL;                                                             \
			(p)->is_cut = 1;                                                           \
		} else {                                                                           \
			(p)->at = taken_ + 1;                                                      \
		}                                                                                  \
		taken_;                                                                            \
	})
#endif

static __always_inline void read_ports(struct packet *p)
{
	struct ports {
		__be16 src, dst;
	} *ports;
	struct icmp {
		__u8 type, code;
	} *icmp;

	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		ports = TAKE(p, struct ports);
		if (ports) {
			p->src_port = bpf_ntohs(ports->src);
			p->dst_port = bpf_ntohs(ports->dst);
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp = TAKE(p, struct icmp);
		if (!icmp)
			break;
		if (icmp->type == (p->protocol == IPPROTO_ICMP ? ECHO_REQUEST : ECHO6_REQUEST))
			p->echo = ECHO_ASKS;
		if (icmp->type == (p->protocol == IPPROTO_ICMP ? ECHO_REPLY : ECHO6_REPLY))
			p->echo = ECHO_ANSWERS;
		break;
	}
}

static __always_inline void read_ipv4(struct packet *p)
{
	void *start = p->at;
	struct iphdr *ip = TAKE(p, struct iphdr);

	if (!ip)
		return;
	__builtin_memcpy(p->src, &ip->saddr, 4);
	__builtin_memcpy(p->dst, &ip->daddr, 4);
	p->protocol = ip->protocol;
	p->at = start + ip->ihl * 4;
	/* A fragment that is not the first has no ports. */
	if (ip->ihl >= 5 && !(ip->frag_off & bpf_htons(0x1fff)))
		read_ports(p);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_MH;
}

static __always_inline void read_ipv6(struct packet *p)
{
	struct extension {
		__u8 next, len;
		__be16 offset; /* of a fragment */
		__u32 rest;
	} *extension;
	struct ipv6hdr *ip = TAKE(p, struct ipv6hdr);
	void *start;
	int i;

	if (!ip)
		return;
	__builtin_memcpy(p->src, &ip->saddr, 16);
	__builtin_memcpy(p->dst, &ip->daddr, 16);
	p->protocol = ip->nexthdr;
	for (i = 0; i < EXTENSIONS_MAX; i++) {
		if (!is_extension(p->protocol))
			break;
		start = p->at;
		extension = TAKE(p, struct extension);
		if (!extension)
			return;
		if (p->protocol == IPPROTO_FRAGMENT && (extension->offset & bpf_htons(0xfff8))) {
			p->protocol = extension->next;
			return;
		}
		if (p->protocol == IPPROTO_AH) /* RFC 4302 */
			p->at = start + 8 + extension->len * 4;
		else if (p->protocol != IPPROTO_FRAGMENT)
			p->at = start + 8 + extension->len * 8;
		p->protocol = extension->next;
	}
	read_ports(p);
}

/* From its IP header on. */
static __always_inline void read_ip(struct packet *p)
{
	if (p->ethertype == IPV4)
		read_ipv4(p);
	else if (p->ethertype == IPV6)
		read_ipv6(p);
}

/* From what is behind its Ethernet header on, whose type is known. */
static __always_inline void read_tags(struct packet *p)
{
	struct tag {
		__be16 tag, ethertype;
	} *tag;
	int i;

	for (i = 0; i < VLANS_MAX; i++) {
		if (p->ethertype != VLAN && p->ethertype != VLAN_OUTER)
			break;
		tag = TAKE(p, struct tag);
		if (!tag)
			return;
		p->ethertype = tag->ethertype;
	}
	read_ip(p);
}

/* From its Ethernet header on. */
static __always_inline void read_packet(struct packet *p)
{
	struct ethhdr *ethernet = TAKE(p, struct ethhdr);

	if (!ethernet)
		return;
	p->ethertype = ethernet->h_proto;
	read_tags(p);
}

/* Of the most specific network that it is in, which has the rules of the others too. */
static __always_inline __u8 rules_of(void *networks, const struct packet *p, const __u8 *address)
{
	struct network key = {.bits = 8 + 128, .family = 6};
	__u8 *found;

	if (!is_ip(p))
		return 0;
	if (p->ethertype == IPV4) {
		key.bits = 8 + 32;
		key.family = 4;
	}
	__builtin_memcpy(key.address, address, 16);
	found = bpf_map_lookup_elem(networks, &key);
	return found ? *found : 0;
}

static __always_inline __u8 rules_of_port(__u16 port)
{
	__u8 *found = port ? bpf_map_lookup_elem(&rules_of_ports, &port) : NULL;

	return found ? *found : 0;
}

static __always_inline __u8 rules_of_protocol(const struct packet *p)
{
	__u32 word = p->protocol >> 6 & 3, bit = p->protocol & 63;
	__u8 matched = 0;

	if (packets.protocols[word] >> bit & 1)
		matched |= RULE_DROP;
	if (packets.only_protocols[word] >> bit & 1)
		matched |= RULE_ONLY;
	if (p->echo && p->protocol == IPPROTO_ICMP)
		matched |= packets.echo;
	if (p->echo && p->protocol == IPPROTO_ICMPV6)
		matched |= packets.echo6;
	return matched;
}

/* Bits of enum rule: of all rules that it matches. */
static __always_inline __u8 rules_matched(const struct packet *p)
{
	__u8 matched = is_ip(p) ? rules_of_protocol(p) : 0;

	if (p->ethertype == bpf_htons(ETHERTYPE_ARP))
		matched |= packets.arp;
	if (packets.with_ports)
		matched |= rules_of_port(p->src_port) | rules_of_port(p->dst_port);
	if (packets.with_src)
		matched |= rules_of(&rules_of_src, p, p->src);
	if (packets.with_dst)
		matched |= rules_of(&rules_of_dst, p, p->dst);
	return matched;
}

/* What it is counted by; the rest is the tool's. */
static __always_inline void fill_packet_key(struct packet_key *key, const struct packet *p)
{
	key->ethertype = bpf_ntohs(p->ethertype);
	key->protocol = p->protocol;
	key->echo = p->echo;
	key->cpu = bpf_get_smp_processor_id();
	if (packets.by & PACKETS_BY_SRC)
		__builtin_memcpy(key->src, p->src, 16);
	if (packets.by & PACKETS_BY_DST)
		__builtin_memcpy(key->dst, p->dst, 16);
	if (packets.by & PACKETS_BY_PORT)
		key->port = p->dst_port;
}

#endif
